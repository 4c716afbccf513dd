#ifndef WIRE_CATALOGUE_H
#define WIRE_CATALOGUE_H
/* video/liste, db, db/update (docs/PROTOCOL.md §4.5). Conventions: wire/message.h. */
#include "wire/message.h"

enum {
    LIST_LIMIT_MAX = 200,
    LIST_QUERY_BYTES_MAX = 256,
    DB_ROOT_BYTES_MAX = 128,
    EDGES_TEXT_BYTES_MAX = 8192, /* comma-separated edge ids of one video */
    ROW_HOLDINGS_MAX = 16,       /* so that the largest row fits an empty page; see catalogue.c */
    CATALOGUE_PAGE_BYTES_MAX = 49152, /* stop collecting rows for a page at about that much */
    PAGE_ROWS_MAX = 512,              /* no more of the shortest rows fit a page */
};

struct list_request {
    struct slice client_id;
    bool paged;         /* any of the options below was given (token alone is none) */
    uint32_t limit;     /* 0: as many as fit */
    struct slice after; /* an id, or empty */
    struct slice category, query;
    bool has_live, live;
    struct slice token;
};
struct slice list_request_encode(const struct list_request *m, struct arena *arena);
enum err list_request_decode(struct slice payload, struct arena *arena, struct list_request *ret);

/* A custody or presence row as it travels. */
struct holding_row {
    enum object_type type;        /* OBJECT_CUSTODY or OBJECT_PRESENCE */
    struct slice object;          /* signed holding */
    struct slice edge_credential; /* signed object */
};

/* One video as listed; the trust fields are for `db` alone. */
struct catalogue_row {
    struct id video_id;
    struct slice title, description, category;
    bool live;
    struct slice edges;   /* comma-separated */
    struct slice offline; /* those of edges that are silent, in lists; comma-separated, or empty */
    struct slice thumbnail;
    struct id streamer_id;
    uint64_t created_us; /* written as ISO 8601; 0 when what was read is none */
    struct slice statement, credential, manifest; /* signed; empty in lists */
    size_t holdings_n;
    struct holding_row *holdings; /* arena; at most ROW_HOLDINGS_MAX */
};

/*
 * A page being built: rows are appended until one does not fit. One row within
 * the limits, and its streamer, always fit an empty page: add the streamer first.
 */
struct page; /* owned by the arena it was started in */
struct page *page_start(struct arena *arena);
/*
 * page_add_row: false, and nothing added, if the message would exceed PACKET_BYTES_MAX.
 * with_trust  also statement, credential, manifest and holdings. At most
 *             ROW_HOLDINGS_MAX holdings.
 */
bool page_add_row(struct page *p, const struct catalogue_row *row, bool with_trust);
/* page_add_streamer: {"id","name","created_at"}, for db; false, nothing added: does not fit. */
bool page_add_streamer(struct page *p, const struct id *id, struct slice name, uint64_t created_us);
struct slice page_end_bare(struct page *p);
/* page_end_list: next: an id or empty; token: raw, or empty. */
struct slice page_end_list(struct page *p, struct slice next, struct slice token);
/* page_end_db: pages 0: more follow. A first page with nothing: {"streamers":""}. */
struct slice page_end_db(struct page *p, uint32_t page, uint32_t pages);

/* Reading pages: one bad row makes the page bad. */
struct list_reply {
    size_t n;
    struct catalogue_row *rows; /* arena */
    struct slice next, token;
};
enum err list_reply_decode(struct slice payload, struct arena *arena, struct list_reply *ret);

struct db_request {
    struct id edge_id;
    struct slice root; /* as text; may be empty */
    struct slice from; /* who is to answer; empty: whose turn it is */
    bool bundle;       /* "form":"bundle": pages of wire/bundle.h; else the original's */
    uint32_t page;     /* the next one wanted: no more than DB_PAGES_AHEAD_MAX from it on are to
                          come before it is said again; 0: all of them, from the first on */
    uint64_t asking;   /* a number that the pages come back with; another one begins anew */
};
enum { DB_PAGES_AHEAD_MAX = 24 };
struct slice db_request_encode(const struct db_request *m, struct arena *arena);
enum err db_request_decode(struct slice payload, struct arena *arena, struct db_request *ret);

struct db_reply {
    size_t n;
    struct catalogue_row *rows; /* arena; rows without statement are skipped and counted */
    size_t skipped;
    uint32_t page, pages; /* {"streamers":""}: 1 and 1 */
};
enum err db_reply_decode(struct slice payload, struct arena *arena, struct db_reply *ret);

/* A row or its end. The original's have neither statement nor holding, its removals no streamer. */
struct db_update {
    bool removal; /* suppression */
    bool live;
    struct id video_id;
    struct slice title, category, description, thumbnail;
    struct id streamer_id; /* "" if absent from a removal */
    struct slice streamer_name;
    struct id edge_id;
    struct slice statement, credential, manifest; /* signed; may be empty */
    bool has_holding;
    struct holding_row holding;
    struct slice deletion; /* signed; a removal of the whole video */
};
struct slice db_update_encode(const struct db_update *m, struct arena *arena);
enum err db_update_decode(struct slice payload, struct arena *arena, struct db_update *ret);

#endif
