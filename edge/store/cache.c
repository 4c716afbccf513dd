/*
 * I1  only what is CACHED (conn.c) is dropped, the least recently used first: never what is watched
 *     or in custody, nor a whole copy that no edge answers for, which may be the last one.
 */
#include "edge/store/cache.h"

#include "base/check.h"
#include "edge/store/copy.h"
#include "edge/store/row.h"

enum { VICTIMS_MAX = 64 };

struct victim {
    struct copy copy;
    uint64_t bytes;
};

enum err cache_touch(struct conn *c, const struct storage_op *op)
{
    struct query *q = query_of(c, Q_COPY_ANY);
    bind_id(q, 1, &op->u.copy_touch.video_id);
    bool any = query_row(q);
    query_end(q);
    if (!any)
        return ERR_UNKNOWN;
    q = query_of(c, Q_COPY_TOUCH);
    bind_id(q, 1, &op->u.copy_touch.video_id);
    bind_int(q, 2, op->u.copy_touch.used_us);
    query_run(q);
    return ERR_OK;
}

static bool is_to_stay(const struct storage_op *op, const struct id *video_id)
{
    for (size_t i = 0; i < op->u.cache_trim.keep_n; i++)
        if (id_eq(&op->u.cache_trim.keep[i], video_id))
            return true;
    return false;
}

static uint64_t cached_bytes(struct conn *c)
{
    struct query *q = query_of(c, Q_CACHE_BYTES);
    uint64_t bytes = query_row(q) ? col_int(q, 0) : 0;
    query_end(q);
    return bytes;
}

/* Those to be dropped so that no more than bytes_max are left of `bytes`. */
static size_t choose(struct conn *c, const struct storage_op *op, uint64_t bytes,
                     struct victim ret[static VICTIMS_MAX])
{
    size_t n = 0;
    uint64_t chunks = 0;
    struct query *q = query_of(c, Q_CACHE_OLDEST);
    bind_id(q, 1, &c->edge_id);
    while (n < VICTIMS_MAX && bytes > op->u.cache_trim.bytes_max &&
           chunks < CACHE_DROP_CHUNKS_MAX && query_row(q)) {
        struct victim v = {.copy.n = col_int(q, 0), .bytes = col_int(q, 3)};
        col_id(q, 1, &v.copy.video_id);
        col_id(q, 2, &v.copy.streamer_id);
        if (col_int(q, 5) || is_to_stay(op, &v.copy.video_id)) /* I1 */
            continue;
        chunks += col_int(q, 4);
        bytes -= v.bytes;
        ret[n++] = v;
    }
    query_end(q);
    return n;
}

enum err cache_trim(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    CHECK(op->u.cache_trim.keep_n <= STORE_TRIM_KEEP_MAX);
    struct victim victims[VICTIMS_MAX];
    uint64_t bytes = cached_bytes(c);
    size_t n = choose(c, op, bytes, victims);
    for (size_t i = 0; i < n; i++) {
        copy_drop(c, &victims[i].copy);
        row_settle(c, &victims[i].copy.video_id, &victims[i].copy.streamer_id);
        bytes -= victims[i].bytes;
    }
    done->u.cache_trim.bytes = bytes;
    done->u.cache_trim.dropped = (uint32_t)n;
    return ERR_OK;
}
