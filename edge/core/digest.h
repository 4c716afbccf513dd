#ifndef EDGE_CORE_DIGEST_H
#define EDGE_CORE_DIGEST_H
/*
 * The catalogue as a tree of sums (docs/PROTOCOL.md §4.6): what two edges
 * compare to find the rows in which they differ, without listing them all.
 *
 * A row's digest is a hash over the whole row. Its leaf is named by its video
 * id. A node's sum is the sum of MAC(key, row digest) over the rows below it,
 * in four lanes of 64 bits: rows may come and go in any order, and who has no
 * key finds no rows that cancel out. 2.2 MB whatever the number of rows.
 *
 * Pure; one thread at a time.
 */
#include "base/id.h"
#include "trust/crypto.h"

enum {
    DIGEST_FANOUT = 16,
    DIGEST_DEPTH = 4, /* levels below the root: the last are the leaves */
    DIGEST_LEAVES = 65536,
    ROW_DIGEST_BYTES = 16,
    NODE_DIGEST_BYTES = 8,
    ROOT_DIGEST_BYTES = 16,
    ROW_KEY_BYTES = 8,
};

struct row_digest {
    uint8_t b[ROW_DIGEST_BYTES];
};

/* A node: the first 4 * depth bits of the leaves below it. depth 0: the root, prefix 0. */
struct digest_node {
    uint8_t depth;
    uint16_t prefix;
};

struct digest;

/* digest_new: of no rows. key: KEY_BYTES, copied. digest_free: NULL is fine. */
struct digest *digest_new(const uint8_t key[static KEY_BYTES]);
void digest_free(struct digest *d);

/* digest_key: the key that a zone's edges share. */
struct hash digest_key(const uint8_t zone_secret[static KEY_BYTES]);

/* digest_leaf_of: the first 16 bits of H(video id). */
uint16_t digest_leaf_of(const struct id *video_id);

/* digest_add, digest_remove: a row comes or goes. O(DIGEST_DEPTH) and one MAC. */
void digest_add(struct digest *d, uint16_t leaf, const struct row_digest *row);
void digest_remove(struct digest *d, uint16_t leaf, const struct row_digest *row);

/* digest_of_node: all zero for a node without rows. node.depth <= DIGEST_DEPTH. */
void digest_of_node(const struct digest *d, struct digest_node node,
                    uint8_t ret[static NODE_DIGEST_BYTES]);
/* digest_root: of everything; all zero: no rows. */
void digest_root(const struct digest *d, uint8_t ret[static ROOT_DIGEST_BYTES]);

/*
 * row_digest_of_claim: statement: the signed video statement or deletion.
 * manifest, credential: may be empty. row_digest_of_holding: likewise, over all of it.
 */
struct row_digest row_digest_of_claim(struct slice statement, struct slice manifest,
                                      struct slice credential);
struct row_digest row_digest_of_holding(struct slice object, struct slice edge_credential);

/*
 * row_key_of_claim, row_key_of_holding: what names a row in the entries of a leaf: first bytes of
 * H over its ids, each with a NUL. A claim and its deletion have the same; custody and presence
 * of one edge as well: they are told apart by their kind.
 */
void row_key_of_claim(const struct id *video_id, const struct id *streamer_id,
                      uint8_t ret[static ROW_KEY_BYTES]);
void row_key_of_holding(const struct id *video_id, const struct id *streamer_id,
                        const struct id *edge_id, uint8_t ret[static ROW_KEY_BYTES]);

static inline bool row_digest_eq(const struct row_digest *a, const struct row_digest *b)
{
    return memcmp(a->b, b->b, ROW_DIGEST_BYTES) == 0;
}

#endif
