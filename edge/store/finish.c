/*
 * I1  a copy is whole only if count, bytes and Merkle root, computed anew over the rows that are
 *     there, are the manifest's.
 * I2  copy whole, claim with manifest, custody and the row of video appear in one savepoint. A copy
 *     that ends without a custody row is a cached one.
 * I3  an upload does not end under an id that shows another streamer's video by now, unless it has
 *     ended elsewhere already, nor after its own streamer has deleted it.
 */
#include "edge/store/finish.h"

#include "edge/store/copy.h"
#include "edge/store/list.h"
#include "edge/store/row.h"

struct held {
    uint64_t chunks, whole_chunks, bytes;
    struct hash root;
};

static struct held add_up(struct conn *c, const struct copy *copy)
{
    struct held held = {0};
    struct merkle tree = {0};
    struct query *q = query_of(c, Q_PROOF_HASHES);
    bind_int(q, 1, copy->n);
    while (query_row(q)) {
        struct hash statement;
        col_hash(q, 0, &statement);
        struct hash leaf = merkle_leaf(slice_of(statement.b, HASH_BYTES));
        merkle_add(&tree, &leaf);
    }
    query_end(q);
    held.chunks = tree.count;
    if (tree.count)
        held.root = merkle_root(&tree);
    q = query_of(c, Q_CHUNK_SUMS);
    bind_id(q, 1, &copy->video_id);
    bind_int(q, 2, copy->n);
    if (query_row(q)) {
        held.whole_chunks = col_int(q, 0);
        held.bytes = col_int(q, 1);
    }
    query_end(q);
    return held;
}

static enum err compare(struct conn *c, const struct copy *copy, const struct manifest *m)
{
    if (copy->next_part || copy->next <= m->chunks)
        return ERR_NOT_READY;
    struct held held = add_up(c, copy);
    bool matches = held.chunks == m->chunks && held.whole_chunks == m->chunks &&
                   held.bytes == m->bytes && hash_eq(&held.root, &m->root);
    return matches ? ERR_OK : ERR_SIGNATURE; /* I1 */
}

/* A statement from before the one that the upload began with does not end it. */
static bool outdated(struct conn *c, const struct copy *copy, const struct storage_row *row)
{
    struct query *q = query_of(c, Q_UPLOAD_LOAD);
    bind_int(q, 1, copy->n);
    bool older = query_row(q) && row->video.revision_us < col_int(q, 0);
    query_end(q);
    return older;
}

static void make_whole(struct conn *c, const struct copy *copy, const struct storage_op *op)
{
    struct query *q = query_of(c, Q_COPY_FINISH);
    bind_int(q, 1, copy->n);
    bind_hash(q, 2, &op->u.finish.manifest.root);
    bind_blob(q, 3, op->u.finish.receipt);
    bind_blob(q, 4, op->u.finish.receipt_credential);
    bind_int(q, 5, op->u.finish.receipt_ours);
    query_run(q);
    q = query_of(c, Q_UPLOAD_DROP);
    bind_int(q, 1, copy->n);
    query_run(q);
}

enum err finish_copy(struct conn *c, const struct storage_op *op)
{
    const struct storage_row *row = &op->u.finish.row;
    const struct manifest *manifest = &op->u.finish.manifest;
    struct copy copy = copy_of_stream(c, &row->video.video_id, &op->u.finish.stream);
    if (!copy.n || !hash_eq(&manifest->stream, &copy.stream))
        return ERR_CONFLICT;
    struct held_claim held = row_held(c, row);
    if (held.order < 0 && !held.same_stream)
        return ERR_CONFLICT; /* I3 */
    if (copy.state == COPY_UPLOADING && !held.same_stream &&
        list_other_visible(c, &row->video.video_id, &row->video.streamer_id))
        return ERR_CONFLICT; /* I3 */
    if (copy.state == COPY_WHOLE) {
        if (!hash_eq(&copy.root, &manifest->root) || copy.bytes != manifest->bytes)
            return ERR_SIGNATURE;
    } else {
        if (outdated(c, &copy, row))
            return ERR_CONFLICT;
        enum err err = compare(c, &copy, manifest);
        if (err != ERR_OK)
            return err;
    }
    bool better = op->u.finish.receipt.len &&
                  (op->u.finish.receipt_ours ? !copy.receipt_ours : !copy.has_receipt);
    if (copy.state != COPY_WHOLE || better)
        make_whole(c, &copy, op);
    row_merge_claim(c, row); /* I2 */
    if (row->has_holding) {
        row_merge_holding(c, row);
        copy_keep(c, &copy, true);
    }
    row_settle(c, &row->video.video_id, &row->video.streamer_id);
    return ERR_OK;
}
