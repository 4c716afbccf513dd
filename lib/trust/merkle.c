/*
 * Level by level, a node's sibling differs in the last bit of its index; the
 * last node of a level with an even index has none and is promoted. That is
 * RFC 9162's split at the largest power of two, seen from the leaves.
 */
#include "trust/merkle.h"

#include "base/check.h"

struct hash merkle_leaf(struct slice data)
{
    static const uint8_t prefix = 0x00;
    return hash_of(slice_of(&prefix, 1), data);
}

static struct hash merkle_node(const struct hash *left, const struct hash *right)
{
    uint8_t bytes[1 + 2 * HASH_BYTES];
    bytes[0] = 0x01;
    memcpy(bytes + 1, left->b, HASH_BYTES);
    memcpy(bytes + 1 + HASH_BYTES, right->b, HASH_BYTES);
    return hash_of(slice_of(bytes, sizeof(bytes)), (struct slice){0});
}

void merkle_add(struct merkle *m, const struct hash *leaf)
{
    CHECK(m->count < UINT32_MAX);
    struct hash node = *leaf;
    size_t level = 0;
    for (; m->count >> level & 1; level++)
        node = merkle_node(&m->stack[level], &node);
    m->stack[level] = node;
    m->count++;
}

struct hash merkle_root(const struct merkle *m)
{
    CHECK(m->count > 0);
    size_t level = 0;
    while (!(m->count >> level & 1))
        level++;
    struct hash root = m->stack[level];
    while (++level < MERKLE_DEPTH_MAX)
        if (m->count >> level & 1)
            root = merkle_node(&m->stack[level], &root);
    return root;
}

size_t merkle_proof_len(uint32_t index, uint32_t count)
{
    CHECK(index < count);
    size_t len = 0;
    for (uint32_t last = count - 1; last; last >>= 1, index >>= 1)
        if (index & 1 || index < last)
            len++;
    return len;
}

/* The root of leaves from..to-1. */
static struct hash root_of(const struct hash *leaves, uint64_t from, uint64_t to)
{
    struct merkle m = {0};
    for (uint64_t i = from; i < to; i++)
        merkle_add(&m, &leaves[i]);
    return merkle_root(&m);
}

void merkle_prove(const struct hash *leaves, uint32_t count, uint32_t index, struct hash *ret_proof)
{
    CHECK(index < count);
    uint32_t last = count - 1;
    for (size_t level = 0; last; level++, last >>= 1, index >>= 1) {
        if (!(index & 1) && index == last)
            continue;
        uint64_t from = (uint64_t)(index ^ 1) << level;
        uint64_t to = from + ((uint64_t)1 << level);
        *ret_proof++ = root_of(leaves, from, to < count ? to : count);
    }
}

enum err merkle_check(const struct hash *leaf, uint32_t index, uint32_t count, struct slice proof,
                      const struct hash *root)
{
    if (index >= count || proof.len != merkle_proof_len(index, count) * HASH_BYTES)
        return ERR_FORMAT;
    struct hash node = *leaf;
    for (uint32_t last = count - 1; last; last >>= 1, index >>= 1) {
        if (!(index & 1) && index == last)
            continue;
        struct hash sibling;
        memcpy(sibling.b, proof.ptr, HASH_BYTES);
        proof = slice_from(proof, HASH_BYTES);
        node = index & 1 ? merkle_node(&sibling, &node) : merkle_node(&node, &sibling);
    }
    return hash_eq(&node, root) ? ERR_OK : ERR_SIGNATURE;
}
