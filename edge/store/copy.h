#ifndef EDGE_STORE_COPY_H
#define EDGE_STORE_COPY_H
/*
 * The bytes of one claim at this edge: the row of table copy, and what hangs on
 * it. Writer thread, inside a transaction; errors stick in c->db.
 */
#include "edge/store/conn.h"

enum copy_state { COPY_UPLOADING, COPY_FETCHING, COPY_WHOLE };

enum { CHUNK_PREFIX_BYTES = 2 * ID_BYTES_MAX + 2, CHUNK_ID_BYTES = CHUNK_PREFIX_BYTES + 12 };

struct copy {
    uint64_t n; /* 0: there is none */
    struct id video_id, streamer_id;
    struct hash stream;
    enum copy_state state;
    char chunk_prefix[CHUNK_PREFIX_BYTES];
    uint32_t next, next_part, init_number;
    uint64_t bytes, duration_us;
    struct hash prev, current;
    struct hash root; /* when whole */
    bool has_receipt, receipt_ours;
    bool kept; /* not a cached one */
};

/* copy_of_streamer, copy_of_stream: the one there is, or n == 0. */
struct copy copy_of_streamer(struct conn *c, const struct id *video_id,
                             const struct id *streamer_id);
struct copy copy_of_stream(struct conn *c, const struct id *video_id, const struct hash *stream);

/* copy_new: an empty one; the video row must be there, and no copy of this streamer's claim. */
struct copy copy_new(struct conn *c, const struct id *video_id, const struct id *streamer_id,
                     const struct hash *stream, enum copy_state state);

/* copy_keep: it is in custody, or a cached one from now on. */
void copy_keep(struct conn *c, const struct copy *copy, bool kept);

/* copy_drop: everything of it: chunks and its upload now; parts and proofs become garbage, which is
 * freed later (garbage.h). */
void copy_drop(struct conn *c, const struct copy *copy);

/* copy_position: where it goes on; the receipt and its credential are copied to the arena. */
struct storage_position copy_position(struct conn *c, const struct copy *copy, struct arena *arena);

/* copy_put: add the next part. ERR_CONFLICT: it is not the next one, or does not follow from what
 * is held (another statement for this chunk, another hash chain). */
enum err copy_put(struct conn *c, const struct storage_op *op);

#endif
