#ifndef TESTS_EDGE_STORE_WORLD_H
#define TESTS_EDGE_STORE_WORLD_H
/*
 * What the tests of the store share: a store in a folder of its own, films that
 * are really signed and cut, and operations made of them.
 */
#include "edge/store/store.h"

#include <stdlib.h>

struct world {
    char dir[64], path[96];
    struct budget budget;
    struct store_config config;
    struct store *store;
};

/* world_setup, world_teardown: cmocka's; *state is the world, its store open as edge1. */
int world_setup(void **state);
int world_teardown(void **state);
/* world_reopen: close and open again. */
void world_reopen(struct world *w);
/* world_do: submit and wait for the completion; other completions must not be under way. */
struct storage_done *world_do(struct world *w, struct storage_op *op);
/* world_err: as world_do, and only the error. */
enum err world_err(struct world *w, struct storage_op *op);
/* world_int: the first column of the first row, seen through a connection of its own. */
int64_t world_int(struct world *w, const char *sql);
/* world_text: the first column of every row, joined by spaces; static. */
const char *world_text(struct world *w, const char *sql);
void world_exec(struct world *w, const char *sql);
/* world_freed: wait until nothing that was dropped takes room any more. */
void world_freed(struct world *w);
/* world_root_is_right: the digests of all rows are those of what is in them, and the root is their
 * sum. After a completion. */
bool world_root_is_right(struct world *w);
/* world_kill: run act in a child, which writes a byte to fd for each thing that was acknowledged to
 * it, and kill it after so many; returns how many it wrote. The store must be closed. */
struct film;
size_t world_kill(struct world *w, void (*act)(struct world *w, const struct film *f, int fd),
                  const struct film *f, size_t after);
/* world_lock: keep the database locked, as an operator might, until world_unlock. */
struct sqlite3;
struct sqlite3 *world_lock(struct world *w, const char *how);
void world_unlock(struct sqlite3 *db);

/* world_merged: op succeeds as a merge, with this outcome, and the root is right. */
void world_merged(struct world *w, struct storage_op *op, bool changed, bool refused,
                  bool deletion);

/* 2025-11-21T04:40:00Z: about when films are made. hlc_at: the stamp of a time. */
static const uint64_t T = 1763700000000000ull;
static inline uint64_t hlc_at(uint64_t us)
{
    return us / 1000 << 16;
}

struct film_part {
    uint8_t *packet;
    size_t len;
    uint32_t chunk, index;
};

/* A video whose parts are cut and signed. Texts are static. */
struct film {
    struct video video; /* as at init; revision_us is created_us + 1 */
    struct video final; /* with the manifest; revision_us is created_us + 2 */
    struct hash stream;
    bool bare;        /* its rows have no thumbnail; set it before they are made */
    const char *name; /* the streamer's, in its credential; "Jean" */
    struct signkey key;
    struct manifest manifest;
    size_t parts_n;
    struct film_part *parts; /* in order */
};

enum { FILM_PART_BYTES = 1024 };

/*
 * film_make: an init chunk of one part, then chunks_n - 1 chunks of chunk_bytes.
 * seed makes it different from another film of the same name.
 */
void film_make(struct film *f, const char *video_id, const char *streamer_id, uint64_t created_us,
               unsigned seed, unsigned chunks_n, size_t chunk_bytes, uint32_t part_bytes);
/* film_small: a chunk of one part and two of three. */
struct film film_small(const char *video_id, const char *streamer_id, uint64_t created_us,
                       unsigned seed);
void film_release(struct film *f);

/* film_row: the row at init, or the final one with its manifest. */
struct storage_row film_row(const struct film *f, bool final, struct arena *arena);
/* film_hold: add a holding to a row. */
void film_hold(const struct film *f, struct storage_row *row, struct arena *arena,
               const char *edge_id, enum object_type type, uint8_t state, uint64_t hlc);

/* film_deletion: the streamer's deletion. */
struct storage_row film_deletion(const struct film *f, uint64_t revision_us, struct arena *arena);

struct storage_op *op_claim(const struct film *f);
/* op_live: a claim of a film whose video.live was set, with edge1's presence. */
struct storage_op *op_live(const struct film *f, uint64_t hlc);
struct storage_op *op_copy(const struct film *f);
struct storage_op *op_part(const struct film *f, size_t i);
/* op_finish: with edge1's custody; receipt: as text. */
struct storage_op *op_finish(const struct film *f, uint64_t hlc, const char *receipt);
/* op_merge: the row at init or the final one, with a holding of an edge. */
struct storage_op *op_merge(const struct film *f, bool final, const char *edge_id,
                            enum object_type type, uint8_t state, uint64_t hlc);
/* op_deleted: the deletion as another edge sends it; op_delete: as its streamer asks for it. */
struct storage_op *op_deleted(const struct film *f, uint64_t revision_us);
struct storage_op *op_delete(const struct film *f, uint64_t revision_us);
/* op_custody: edge1 puts its own row. op_cached: a fetch ends without one. */
struct storage_op *op_custody(const struct film *f, uint8_t state, uint64_t hlc);
struct storage_op *op_cached(const struct film *f);
struct storage_op *op_touch(const char *video_id, uint64_t used_us);
/* op_trim: keep: an id, or NULL. */
struct storage_op *op_trim(uint64_t bytes_max, const char *keep);
struct storage_op *op_horizon(uint64_t horizon_us);
struct storage_op *op_bootstrap(uint64_t kept_hlc);
struct storage_op *op_orphans(void);
/* op_digests: of one node. op_leaf: of one leaf, entries above `from` (NULL: all). */
struct storage_op *op_digests(uint8_t depth, uint16_t prefix);
struct storage_op *op_leaf(uint16_t leaf, const uint8_t *from);
/* op_bundle: the page after another one; NULL: the first. */
struct storage_op *op_bundle(const struct storage_done *after);
struct storage_op *op_rows(const struct sync_want *rows, size_t n);
struct storage_op *op_scan(const char *after, const char *only);
/* op_probe: of parts that are picked. */
struct storage_op *op_probe(const struct film *f, uint64_t seed);
/* op_thumbnail: a JPEG's frame of this many bytes, in a part that says that an edge made it. */
struct storage_op *op_thumbnail(const struct film *f, size_t jpeg_len);
struct storage_op *op_get(const char *video_id);
struct storage_op *op_read(const char *video_id, uint32_t chunk, uint32_t part, uint32_t bytes_max);
struct storage_op *op_list(const char *after, uint32_t limit);
struct storage_op *op_page(const char *after);
struct storage_op *op_meta(const char *key, struct slice value);

/* film_upload: claim, all parts, finish; every one succeeds. */
void film_upload(struct world *w, const struct film *f);
/* world_fill: videos video000… of one small part, with custody of edges edge000… */
void world_fill(struct world *w, unsigned videos, unsigned edges);
/* film_fetch: edge2 has it: copy it here, into the cache, as used at that time. */
void film_fetch(struct world *w, const struct film *f, uint64_t used_us);

#endif
