#ifndef TRUST_MERKLE_H
#define TRUST_MERKLE_H
/*
 * RFC 9162 §2.1's Merkle tree with BLAKE2b-256: leaf H(0x00 ‖ data), node
 * H(0x01 ‖ left ‖ right). A lone node is promoted, never duplicated.
 * Pure; any thread.
 */
#include "trust/crypto.h"

enum { MERKLE_DEPTH_MAX = 32 }; /* 2^32 - 1 leaves */

struct hash merkle_leaf(struct slice data);

/* A root built leaf by leaf in O(log n) memory. Zeroed is the empty tree. */
struct merkle {
    uint64_t count;
    /* stack[l]: the complete subtree of 2^l leaves that bit l of count stands for */
    struct hash stack[MERKLE_DEPTH_MAX];
};
void merkle_add(struct merkle *m, const struct hash *leaf); /* at most 2^32 - 1 times */
/* merkle_root: the root of what was added; at least one leaf. */
struct hash merkle_root(const struct merkle *m);

/* merkle_proof_len: hashes in the proof of leaf index of count; index < count. */
size_t merkle_proof_len(uint32_t index, uint32_t count);

/*
 * merkle_prove: the proof of leaf index < count. leaves: count hashes. O(count) hashes.
 * ret_proof: merkle_proof_len hashes' room, from the leaf up.
 */
void merkle_prove(const struct hash *leaves, uint32_t count, uint32_t index,
                  struct hash *ret_proof);

/*
 * merkle_check: whether leaf is number index of count under root.
 * proof: raw hashes. ERR_FORMAT: not exactly merkle_proof_len of them, or index >= count.
 * ERR_SIGNATURE: it is not.
 */
enum err merkle_check(const struct hash *leaf, uint32_t index, uint32_t count, struct slice proof,
                      const struct hash *root);

#endif
