#ifndef EDGE_STORE_STORE_H
#define EDGE_STORE_STORE_H
/*
 * The store: SQLite behind edge/core/storage.h. One writer thread (group
 * commit), one reader thread with its own connection. The only includer of
 * sqlite3.h in the edge. While another process (an operator's shell, a backup)
 * keeps the database locked, operations wait.
 *
 * What a person finds in the file is described in schema/.
 */
#include "base/queue.h"
#include "edge/core/storage.h"

struct store;

struct store_config {
    const char *path;       /* …/edge_cluster.db; its folder exists */
    struct id edge_id;      /* whose copies these are */
    struct budget *budget;  /* what read parts are charged to; outlives every message */
    uint64_t bytes_max;     /* the file grows no further; 0: no such limit */
    struct hash digest_key; /* of the sums over the catalogue: what all edges of the zone share */
};

enum { STORE_ERROR_BYTES = 256, STORE_META_BYTES_MAX = 65536 };

/*
 * store_open: open or create the database, migrate it, start the threads.
 * config     borrowed for the call; its path is copied.
 * ret_error  the sentence for the operator on failure: what, which file, what to do.
 * ERR_IO: cannot be opened or written (read-only, locked by another process, corrupt).
 * ERR_STORAGE_FULL: no room to make or migrate it.
 * ERR_FORMAT: not an Edge Cluster database, or made by a newer version.
 */
enum err store_open(const struct store_config *config, struct store **ret,
                    char ret_error[static STORE_ERROR_BYTES]);

/* store_meta: a value put by META_PUT, before the first operation. ret: heap, caller frees.
 * ERR_UNKNOWN: never put. ERR_IO: store_error tells. */
enum err store_meta(struct store *store, const char *key, uint8_t **ret, size_t *ret_len);
/* store_last_hlc: the greatest hlc of a holding of this edge as of store_open; 0: none. */
uint64_t store_last_hlc(struct store *store);
/* store_videos: how many videos are listed, as of the last commit. Any thread. */
uint64_t store_videos(struct store *store);

/* store_root: the catalogue's sum as of the last commit; horizon_us 0: not summed up yet, which
 * the writer does before the first operation. Any thread. */
struct catalogue_root store_root(struct store *store);

/*
 * store_stale_presences: the lives that this edge still announces, because it
 * stopped without ending them: for the core to withdraw. Before the first operation.
 * visit    called for each, in ascending order of video id; holding (state 1) is
 *          valid during the call; visit must not call the store.
 * ERR_IO: store_error tells.
 */
enum err store_stale_presences(struct store *store,
                               void (*visit)(void *context, const struct holding *holding),
                               void *context);

/* store_submit: hand over an operation. Never waits. A META_PUT's value is at most
 * STORE_META_BYTES_MAX. ERR_LIMIT: STORE_OPS_MAX under way (op stays
 * the caller's); the core's own bounds make that a defect. Any thread. */
enum err store_submit(struct store *store, struct storage_op *op);

/* store_completions: struct storage_done *, for the loop's poll; each taken one is the taker's. */
struct queue *store_completions(struct store *store);

/* store_error: the last database error as a sentence; empty: none yet. Any thread. */
void store_error(struct store *store, char ret[static STORE_ERROR_BYTES]);

/* store_close: apply and commit what was submitted, unless another process keeps the database
 * locked; stop the threads, close without a checkpoint. Completions not taken are freed. NULL is
 * fine. */
void store_close(struct store *store);

#endif
