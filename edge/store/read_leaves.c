/*
 * The entries of leaves: claims and holdings in one ascending order of digest.
 *
 * I1  an answer has at most SYNC_ENTRIES_MAX entries; a leaf that has more, or finds no room for
 *     all, says so and through which digest it came.
 */
#include "base/check.h"
#include "edge/store/read.h"
#include "edge/store/sums.h"

/* A table's rows of one leaf, the next one in `entry`. */
struct side {
    struct query *q;
    bool any;
    struct sync_entry entry;
};

static void next_claim(struct side *s)
{
    s->any = query_row(s->q);
    if (!s->any)
        return;
    struct id video_id, streamer_id;
    struct row_digest digest;
    col_row_digest(s->q, 0, &digest);
    col_id(s->q, 3, &video_id);
    col_id(s->q, 4, &streamer_id);
    s->entry.kind = col_int(s->q, 1) ? SYNC_ROW_DELETION : SYNC_ROW_CLAIM;
    s->entry.version = col_int(s->q, 2);
    memcpy(s->entry.digest, digest.b, SYNC_ROW_DIGEST_BYTES);
    row_key_of_claim(&video_id, &streamer_id, s->entry.key);
}

static void next_holding(struct side *s)
{
    s->any = query_row(s->q);
    if (!s->any)
        return;
    struct id video_id, streamer_id, edge_id;
    struct row_digest digest;
    col_row_digest(s->q, 0, &digest);
    col_id(s->q, 3, &video_id);
    col_id(s->q, 4, &streamer_id);
    col_id(s->q, 5, &edge_id);
    s->entry.kind =
        slice_eq_str(col_slice(s->q, 1), "presence") ? SYNC_ROW_PRESENCE : SYNC_ROW_CUSTODY;
    s->entry.version = col_int(s->q, 2);
    memcpy(s->entry.digest, digest.b, SYNC_ROW_DIGEST_BYTES);
    row_key_of_holding(&video_id, &streamer_id, &edge_id, s->entry.key);
}

static struct side side_of(struct conn *c, enum query_number number, uint16_t leaf,
                           const struct row_digest *from)
{
    struct side s = {.q = query_of(c, number)};
    bind_int(s.q, 1, leaf);
    bind_blob(s.q, 2, slice_of(from->b, ROW_DIGEST_BYTES));
    return s;
}

/* Up to `room` entries of one leaf (I1). */
static void read_leaf(struct conn *c, const struct row_digest *from, size_t room,
                      struct arena *arena, struct sync_leaf *ret)
{
    struct sync_entry entries[SYNC_ENTRIES_MAX];
    struct side claims = side_of(c, Q_LEAF_CLAIMS, ret->leaf, from);
    struct side holdings = side_of(c, Q_LEAF_HOLDINGS, ret->leaf, from);
    size_t n = 0;
    next_claim(&claims);
    next_holding(&holdings);
    while (n < room && (claims.any || holdings.any)) {
        bool claim =
            claims.any && (!holdings.any || memcmp(claims.entry.digest, holdings.entry.digest,
                                                   SYNC_ROW_DIGEST_BYTES) < 0);
        entries[n++] = claim ? claims.entry : holdings.entry;
        if (claim)
            next_claim(&claims);
        else
            next_holding(&holdings);
    }
    ret->more = claims.any || holdings.any;
    query_end(claims.q);
    query_end(holdings.q);
    ret->n = n;
    ret->entries = arena_alloc(arena, n * sizeof(*ret->entries));
    if (n) {
        memcpy(ret->entries, entries, n * sizeof(*ret->entries));
        memcpy(ret->through, entries[n - 1].digest, SYNC_ROW_DIGEST_BYTES);
    }
}

enum err read_leaves(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    size_t asked = op->u.leaves.n, room = SYNC_ENTRIES_MAX, n = 0;
    CHECK(asked <= SYNC_LEAVES_MAX);
    struct sync_leaf *leaves = arena_alloc(&done->arena, asked * sizeof(*leaves));
    for (; n < asked && room; n++) {
        struct sync_leaf *leaf = &leaves[n];
        leaf->leaf = op->u.leaves.leaves[n];
        memcpy(leaf->from, op->u.leaves.from[n].b, SYNC_ROW_DIGEST_BYTES);
        read_leaf(c, &op->u.leaves.from[n], room, &done->arena, leaf);
        room -= leaf->n;
    }
    done->u.leaves.n = n;
    done->u.leaves.leaves = leaves;
    return ERR_OK;
}
