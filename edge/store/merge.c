/*
 * The decisions of the catalogue, apart from the database that keeps the rows.
 *
 * I1  every order here is total over the whole content of a row and depends on the rows alone, not
 *     on which came first: the maximum over a set of rows is the same, byte for byte, in whatever
 *     order they are merged.
 */
#include "edge/store/merge.h"

static int order_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int order_bytes(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return order ? order : order_u64(a.len, b.len);
}

int merge_revision_order(const struct merge_revision *a, const struct merge_revision *b)
{
    int order = order_u64(a->revision_us, b->revision_us);
    if (!order)
        order = (int)a->deleted - (int)b->deleted;
    if (!order)
        order = memcmp(a->statement_hash.b, b->statement_hash.b, HASH_BYTES);
    if (!order)
        order = (a->manifest.len > 0) - (b->manifest.len > 0);
    if (!order)
        order = order_bytes(a->statement, b->statement);
    if (!order)
        order = order_bytes(a->manifest, b->manifest);
    return order ? order : order_bytes(a->credential, b->credential);
}

int merge_state_order(const struct merge_state *a, const struct merge_state *b)
{
    int order = order_u64(a->hlc, b->hlc);
    if (!order)
        order = order_bytes(a->object, b->object);
    return order ? order : order_bytes(a->edge_credential, b->edge_credential);
}

bool merge_claim_visible(const struct merge_claim *c)
{
    return c->live || c->stored;
}

bool merge_claim_listed(const struct merge_claim *a, const struct merge_claim *b)
{
    if (merge_claim_visible(a) != merge_claim_visible(b))
        return merge_claim_visible(a);
    if (a->vouched != b->vouched)
        return a->vouched > b->vouched;
    int order = order_u64(a->created_us, b->created_us);
    return (order ? order : strcmp(a->streamer_id.s, b->streamer_id.s)) < 0;
}

bool merge_dead_deletion(uint64_t revision_us, uint64_t horizon_us)
{
    return horizon_us && revision_us <= horizon_us;
}

bool merge_dead_holding(uint8_t state, uint64_t hlc, uint64_t horizon_us)
{
    return horizon_us && state == 0 && (hlc >> HLC_COUNTER_BITS) * 1000 <= horizon_us;
}
