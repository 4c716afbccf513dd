#ifndef WIRE_SYNC_H
#define WIRE_SYNC_H
/*
 * db/sync/{EDGE_ID}: two edges finding out in which rows they differ, and one
 * edge proving to another that it holds what it says
 * (docs/PROTOCOL.md §4.6, §4.7). Conventions: wire/message.h.
 *
 * Binary lists travel as base64 of little-endian records:
 *   node    u8 depth, u16 prefix, 16 x [8] digests of its children     (131 bytes)
 *   leaf    u16 leaf, u8 more, [16] from, [16] through, u16 n, n x entry
 *   entry   u8 kind (1 claim, 2 deletion, 3 custody, 4 presence), [8] key, u64 version, [16] digest
 *   want    u16 leaf, [16] digest
 *   part    u32 chunk, u16 part
 * None is empty: a message without a record is ERR_FORMAT.
 */
#include "wire/bundle.h"

enum {
    SYNC_ROW_DIGEST_BYTES = 16,
    SYNC_NODE_DIGEST_BYTES = 8,
    SYNC_KEY_BYTES = 8,
    SYNC_FANOUT = 16,
    SYNC_DEPTH = 4,       /* nodes that have children are less deep; prefix < SYNC_FANOUT ^ depth */
    SYNC_NODES_MAX = 128, /* in one message */
    SYNC_LEAVES_MAX = 128,   /* in one message */
    SYNC_ENTRIES_MAX = 1024, /* in one message, over all its leaves */
    SYNC_WANT_MAX = 1024,
    PROBE_PARTS_MAX = 8,
};

enum sync_kind { SYNC_DIGESTS, SYNC_LEAVES, SYNC_WANT, SYNC_ROWS, SYNC_PROBE, SYNC_PROOF };

struct sync_node {
    uint8_t depth;
    uint16_t prefix;
    uint8_t children[SYNC_FANOUT][SYNC_NODE_DIGEST_BYTES];
};

enum sync_row_kind {
    SYNC_ROW_CLAIM = 1,
    SYNC_ROW_DELETION = 2,
    SYNC_ROW_CUSTODY = 3,
    SYNC_ROW_PRESENCE = 4,
};

/* One row as it is compared: key = first bytes of H over what identifies it (claim and deletion
 * alike), version = revision or hlc. */
struct sync_entry {
    enum sync_row_kind kind;
    uint8_t key[SYNC_KEY_BYTES];
    uint64_t version;
    uint8_t digest[SYNC_ROW_DIGEST_BYTES];
};

/* The rows of one leaf in ascending order of digest: those above `from` (all zero: from the first
 * one on), and up to `through` if there are more. */
struct sync_leaf {
    uint16_t leaf;
    bool more;
    uint8_t from[SYNC_ROW_DIGEST_BYTES];
    uint8_t through[SYNC_ROW_DIGEST_BYTES];
    size_t n;
    struct sync_entry *entries;
};

struct sync_want {
    uint16_t leaf;
    uint8_t digest[SYNC_ROW_DIGEST_BYTES];
};

struct probe_part {
    uint32_t chunk;
    uint16_t part;
};

struct sync_message {
    enum sync_kind kind;
    struct id edge_id;   /* who sends it */
    uint64_t horizon_us; /* DIGESTS, LEAVES, WANT */
    union {
        struct {
            size_t n;
            struct sync_node *nodes;
        } digests;
        struct {
            size_t n;
            struct sync_leaf *leaves;
        } leaves;
        struct {
            size_t n;
            struct sync_want *rows;
        } want;
        struct bundle rows; /* decode only: written with bundle_end_sync */
        struct {
            struct id video_id;
            struct hash stream;
            struct nonce nonce;
            size_t n;
            struct probe_part parts[PROBE_PARTS_MAX];
        } probe;
        struct {
            struct id video_id;
            struct slice proof; /* signed object of type `proof` */
        } proof;
    } u;
};

/* sync_message_encode: every kind but SYNC_ROWS; within the limits above it fits a packet. */
struct slice sync_message_encode(const struct sync_message *m, struct arena *arena);
/* sync_message_decode: ERR_LIMIT: more than the limits above. ERR_FORMAT also: entries that do not
 * ascend, a node too deep or of another prefix. */
enum err sync_message_decode(struct slice payload, struct arena *arena, struct sync_message *ret);

#endif
