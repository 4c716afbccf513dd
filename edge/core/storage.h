#ifndef EDGE_CORE_STORAGE_H
#define EDGE_CORE_STORAGE_H
/*
 * What the core asks of storage, and what storage answers: typed operations
 * and completions, data only. edge/store implements them on SQLite.
 *
 * Every operation is answered by exactly one completion with its token.
 * Writes are applied in the order in which they were submitted, each as a
 * savepoint, and answered only after the commit (synchronous=FULL) that holds
 * them. Reads may overtake writes, and see only what was committed.
 *
 * Ownership: an operation and all it points to (its arena, its message
 * references) belong to storage once submitted; a completion and all it points
 * to belong to whoever takes it. storage_op_free / storage_done_free release both.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/msg.h"
#include "trust/part.h"
#include "wire/catalogue.h"

enum {
    STORE_READ_BYTES_MAX = 256 * 1024, /* parts in one PARTS_READ */
    STORE_READ_PARTS_MAX = 64,
    STORE_GROUP_BYTES_MAX = 4 * 1024 * 1024, /* of parts in one transaction */
    STORE_OPS_MAX = 8192,                    /* submitted and not yet taken back */
};

enum storage_kind {
    /* writes */
    STORAGE_CLAIM,      /* begin or resume an upload or live of a streamer at this edge */
    STORAGE_COPY_BEGIN, /* begin or resume fetching a copy of a video of the catalogue */
    STORAGE_PART_PUT,
    STORAGE_FINISH,    /* check the manifest against what is held; make it a video */
    STORAGE_ROW_MERGE, /* a verified catalogue row from another edge, or our own */
    STORAGE_META_PUT,  /* a small named value of this node */
    /* reads */
    STORAGE_VIDEO_GET,
    STORAGE_PARTS_READ,
    STORAGE_LIST,
    STORAGE_DB_PAGE,
};

/*
 * A catalogue row, decoded and verified. Strings are the operation's arena's.
 * has_video: the video row (statement and credential filled).
 */
struct storage_row {
    bool only_resume; /* CLAIM: ERR_CONFLICT unless this very stream is known here */
    bool has_video;
    struct video video; /* decoded statement */
    struct hash stream;
    struct hash statement_hash; /* object_hash of the statement: breaks revision ties */
    struct slice statement, credential, manifest; /* signed objects; manifest may be empty */
    struct slice thumbnail;                       /* text */
    struct slice streamer_name;                   /* from the credential */
    bool has_holding;
    struct holding holding; /* decoded */
    struct holding_row holding_row;
};

struct storage_op {
    enum storage_kind kind;
    uint64_t token; /* the core's */
    struct arena arena;
    union {
        struct storage_row row; /* CLAIM (video; live: with presence holding), ROW_MERGE */
        struct {
            struct id video_id;
            struct hash stream;
        } copy_begin;
        struct {
            struct id video_id;
            struct hash stream;
            struct msg *packet; /* owned reference; payload is the binary part */
            struct chunk chunk;
            struct slice statement; /* borrowed from packet */
            struct signature sig;
            struct hash statement_hash;
            uint16_t index;
        } part_put;
        struct {
            struct hash stream;
            struct manifest manifest; /* decoded and verified */
            struct storage_row row;   /* final revision with manifest, and our custody */
            struct slice receipt;     /* signed object; empty for a fetched copy */
        } finish;
        struct {
            char key[32];
            struct slice value;
        } meta_put;
        struct {
            struct id video_id;
        } video_get;
        struct {
            struct id video_id;
            uint32_t chunk, part;
            uint32_t bytes_max;
        } parts_read;
        struct list_request list; /* strings in the arena */
        struct {
            struct id after; /* video id; "" at first: keyset order by id */
            bool first;
        } db_page;
    } u;
};

/* Where an upload or a fetch goes on. */
struct storage_position {
    uint32_t next, next_part;
    struct hash prev;     /* statement hash of chunk next - 1; zero for next 1 */
    struct hash current;  /* statement hash of chunk next, if next_part > 0 */
    uint32_t init_number; /* last init chunk held; 0 none */
    bool finished;        /* the copy is whole, with a manifest */
    struct slice receipt; /* if finished by an upload */
};

struct storage_part {
    struct msg *packet; /* owned reference; payload is the binary part */
    uint32_t chunk;
    uint16_t index, parts_n;
};

struct storage_done {
    enum storage_kind kind;
    uint64_t token;
    struct arena arena;
    uint64_t videos; /* rows listed, as of this completion */
    /*
     * ERR_OK, or
     * CLAIM       ERR_CONFLICT: the id belongs to another streamer, or is a finished video
     * COPY_BEGIN  ERR_UNKNOWN: no such video row; ERR_CONFLICT: it has another stream
     * PART_PUT    ERR_CONFLICT: not the next part of this copy (an earlier one failed), or
     *             another stream
     * FINISH      ERR_NOT_READY: chunks are missing; ERR_SIGNATURE: the manifest names others;
     *             ERR_CONFLICT: another stream, or an older revision
     * VIDEO_GET, PARTS_READ  ERR_UNKNOWN: no such video or no bytes of it here
     * any write   ERR_STORAGE_FULL: nothing of it was kept; ERR_IO: the database failed, the
     *             process must stop (error text was logged by the store's owner through
     *             store_error)
     */
    enum err err;
    union {
        struct storage_position position; /* CLAIM, COPY_BEGIN */
        struct {
            struct hash stream;
            uint32_t chunk;
            uint16_t index, parts_n;
            uint32_t packet_bytes; /* also on failure */
            bool more;             /* further parts of this stream follow from the same commit */
        } part_put;
        struct {
            bool changed; /* the merge took the row (or its holding) */
        } row_merge;
        struct {
            struct catalogue_row row; /* with trust fields and edges; holdings_n 0 */
            struct slice streamer_name;
            struct slice media_type, codecs;
            struct hash stream;
            bool whole;      /* this edge holds every byte */
            bool live;       /* a live at one of `edges` */
            uint32_t chunks; /* of a whole copy */
            uint64_t bytes;
        } video;
        struct {
            size_t n;
            struct storage_part parts[STORE_READ_PARTS_MAX];
            bool end; /* nothing comes after the last of these, and the copy is whole */
        } parts_read;
        struct {
            size_t n;
            struct catalogue_row *rows; /* arena; newest first */
            bool more;
            struct id next; /* if more: the last one looked at, whether it was wanted or not */
        } list;
        struct {
            size_t n;
            struct catalogue_row *rows; /* arena; ascending id, with trust fields and holdings */
            bool more;
            size_t streamers_n;
            struct storage_streamer *streamers; /* arena; of these rows */
        } db_page;
    } u;
};

struct storage_streamer {
    struct id id;
    struct slice name;
    uint64_t created_us;
};

/* storage_op_new: zeroed, with an empty arena. */
struct storage_op *storage_op_new(enum storage_kind kind, uint64_t token);
void storage_op_free(struct storage_op *op);
void storage_done_free(struct storage_done *done);

#endif
