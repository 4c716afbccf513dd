/*
 * The decisions of the catalogue, apart from the database that keeps the rows.
 *
 * I1  every order here is total and depends on the rows alone, not on which came first: the
 *     maximum over a set of rows is the same in whatever order they are merged.
 */
#include "edge/store/merge.h"

static int order_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int merge_revision_order(const struct merge_revision *a, const struct merge_revision *b)
{
    int order = order_u64(a->revision_us, b->revision_us);
    return order ? order : memcmp(a->statement_hash.b, b->statement_hash.b, HASH_BYTES);
}

static int order_bytes(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return order ? order : order_u64(a.len, b.len);
}

int merge_state_order(const struct merge_state *a, const struct merge_state *b)
{
    int order = order_u64(a->hlc, b->hlc);
    return order ? order : order_bytes(a->object, b->object);
}

bool merge_claim_visible(const struct merge_claim *c)
{
    return c->live || c->stored;
}

bool merge_claim_listed(const struct merge_claim *a, const struct merge_claim *b)
{
    if (merge_claim_visible(a) != merge_claim_visible(b))
        return merge_claim_visible(a);
    int order = order_u64(a->created_us, b->created_us);
    return (order ? order : strcmp(a->streamer_id.s, b->streamer_id.s)) < 0;
}
