/*
 * I1  the tree is the sum over the rows that are committed, no more and no less: it is changed in
 *     sums_committed alone.
 * I2  a leaf is stored beside each row, so that adding up reads nothing but two indexes.
 */
#include "edge/store/sums.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

enum { CHANGES_START = 64 };

void sums_note(struct conn *c, const struct id *video_id, const struct row_digest *row, bool gone)
{
    if (c->tally.changes_n == c->changes_cap) {
        c->changes_cap = c->changes_cap ? 2 * c->changes_cap : CHANGES_START;
        c->changes = mem_resize(c->changes, c->changes_cap * sizeof(*c->changes));
    }
    c->changes[c->tally.changes_n++] = (struct change){*row, digest_leaf_of(video_id), gone};
}

void sums_committed(struct conn *c)
{
    for (size_t i = 0; c->digest && i < c->tally.changes_n; i++) {
        const struct change *change = &c->changes[i];
        if (change->gone)
            digest_remove(c->digest, change->leaf, &change->row);
        else
            digest_add(c->digest, change->leaf, &change->row);
    }
    c->tally.changes_n = 0;
}

void col_row_digest(struct query *q, int at, struct row_digest *ret)
{
    struct slice bytes = col_slice(q, at);
    *ret = (struct row_digest){0};
    if (bytes.len == ROW_DIGEST_BYTES)
        memcpy(ret->b, bytes.ptr, ROW_DIGEST_BYTES);
    else
        db_corrupt(q->db, "the digest of a row");
}

static void add_up(struct conn *c, struct digest *d, enum query_number rows)
{
    struct query *q = query_of(c, rows);
    while (query_row(q)) {
        struct row_digest row;
        col_row_digest(q, 1, &row);
        digest_add(d, (uint16_t)col_int(q, 0), &row);
    }
    query_end(q);
}

void sums_build(struct conn *c)
{
    if (c->digest)
        return;
    struct digest *d = digest_new(c->digest_key.b);
    add_up(c, d, Q_CLAIM_DIGESTS);
    add_up(c, d, Q_HOLDING_DIGESTS);
    if (c->db.err)
        digest_free(d);
    else
        c->digest = d;
}

void sums_release(struct conn *c)
{
    digest_free(c->digest);
    free(c->changes);
}

struct catalogue_root sums_root(const struct conn *c)
{
    struct catalogue_root root = {0};
    if (c->digest) {
        root.horizon_us = c->tally.horizon_us;
        digest_root(c->digest, root.b);
    }
    return root;
}

static void read_node(const struct digest *d, struct digest_node parent, struct sync_node *ret)
{
    ret->depth = parent.depth;
    ret->prefix = parent.prefix;
    for (unsigned i = 0; i < DIGEST_FANOUT; i++) {
        unsigned prefix = (unsigned)parent.prefix * DIGEST_FANOUT + i;
        struct digest_node child = {(uint8_t)(parent.depth + 1), (uint16_t)prefix};
        digest_of_node(d, child, ret->children[i]);
    }
}

enum err sums_read(const struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    size_t n = op->u.digests.n;
    if (!c->digest)
        return ERR_BUSY;
    CHECK(n <= SYNC_NODES_MAX);
    struct sync_node *nodes = arena_alloc(&done->arena, n * sizeof(*nodes));
    for (size_t i = 0; i < n; i++) {
        CHECK(op->u.digests.nodes[i].depth < DIGEST_DEPTH);
        read_node(c->digest, op->u.digests.nodes[i], &nodes[i]);
    }
    done->u.digests.n = n;
    done->u.digests.nodes = nodes;
    return ERR_OK;
}
