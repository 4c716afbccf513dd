/*
 * Sums over the rows of the catalogue.
 *
 * I1  the sum of a node is the sum of its children's, lane by lane, modulo 2^64: each row is added
 *     to every node above it, in whatever order, and a row removed leaves no trace.
 * I2  what leaves here is a hash of a sum: of rows without the key nobody can tell what they add.
 */
#include "edge/core/digest.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

enum {
    LANES_N = HASH_BYTES / 8,
    BITS_PER_LEVEL = 4,
    NODES_ABOVE_1 = 1,
    NODES_ABOVE_2 = NODES_ABOVE_1 + 16,
    NODES_ABOVE_3 = NODES_ABOVE_2 + 256,
    NODES_ABOVE_4 = NODES_ABOVE_3 + 4096,
    NODES_N = NODES_ABOVE_4 + DIGEST_LEAVES,
};

struct sum {
    uint64_t lanes[LANES_N];
};

struct digest {
    uint8_t key[KEY_BYTES];
    struct sum nodes[NODES_N]; /* level by level, from the root */
};

static const size_t first_of_level[DIGEST_DEPTH + 1] = {0, NODES_ABOVE_1, NODES_ABOVE_2,
                                                        NODES_ABOVE_3, NODES_ABOVE_4};

struct digest *digest_new(const uint8_t key[static KEY_BYTES])
{
    struct digest *d = mem_alloc(sizeof(*d));
    memcpy(d->key, key, KEY_BYTES);
    return d;
}

void digest_free(struct digest *d)
{
    if (d)
        crypto_wipe(d->key, KEY_BYTES);
    free(d);
}

struct hash digest_key(const uint8_t zone_secret[static KEY_BYTES])
{
    return mac_of(zone_secret, slice_str("edge-cluster/v1/digest-key"));
}

uint16_t digest_leaf_of(const struct id *video_id)
{
    struct hash h = hash_of(id_slice(video_id), slice_of(NULL, 0));
    return (uint16_t)(h.b[0] << 8 | h.b[1]);
}

static struct sum what_it_adds(const struct digest *d, const struct row_digest *row)
{
    struct sum sum;
    struct hash mac = mac_of(d->key, slice_of(row->b, ROW_DIGEST_BYTES));
    struct reader r = reader_of(slice_of(mac.b, HASH_BYTES));
    for (int i = 0; i < LANES_N; i++)
        sum.lanes[i] = read_u64(&r);
    return sum;
}

static size_t index_of(unsigned depth, unsigned prefix)
{
    CHECK(depth <= DIGEST_DEPTH && prefix < 1u << (BITS_PER_LEVEL * depth));
    return first_of_level[depth] + prefix;
}

/* I1 */
static void add_everywhere(struct digest *d, uint16_t leaf, const struct sum *sum)
{
    for (unsigned depth = 0; depth <= DIGEST_DEPTH; depth++) {
        unsigned prefix = (unsigned)leaf >> (BITS_PER_LEVEL * (DIGEST_DEPTH - depth));
        struct sum *node = &d->nodes[index_of(depth, prefix)];
        for (int i = 0; i < LANES_N; i++)
            node->lanes[i] += sum->lanes[i];
    }
}

void digest_add(struct digest *d, uint16_t leaf, const struct row_digest *row)
{
    struct sum sum = what_it_adds(d, row);
    add_everywhere(d, leaf, &sum);
}

void digest_remove(struct digest *d, uint16_t leaf, const struct row_digest *row)
{
    struct sum sum = what_it_adds(d, row);
    for (int i = 0; i < LANES_N; i++)
        sum.lanes[i] = 0 - sum.lanes[i];
    add_everywhere(d, leaf, &sum);
}

/* I2. Of nothing: all zero. */
static struct hash hash_of_sum(const struct sum *sum)
{
    uint8_t bytes[HASH_BYTES];
    uint64_t any = 0;
    struct writer w = writer_of(bytes, sizeof(bytes));
    for (int i = 0; i < LANES_N; i++) {
        write_u64(&w, sum->lanes[i]);
        any |= sum->lanes[i];
    }
    return any ? hash_of(slice_of(bytes, w.len), slice_of(NULL, 0)) : (struct hash){0};
}

void digest_of_node(const struct digest *d, struct digest_node node,
                    uint8_t ret[static NODE_DIGEST_BYTES])
{
    struct hash h = hash_of_sum(&d->nodes[index_of(node.depth, node.prefix)]);
    memcpy(ret, h.b, NODE_DIGEST_BYTES);
}

void digest_root(const struct digest *d, uint8_t ret[static ROOT_DIGEST_BYTES])
{
    struct hash h = hash_of_sum(&d->nodes[0]);
    memcpy(ret, h.b, ROOT_DIGEST_BYTES);
}

/* H(kind ‖ u32 length ‖ bytes ‖ …): no two different rows give the same input. */
static struct row_digest digest_of(uint8_t kind, const struct slice *fields, size_t n)
{
    struct hasher h;
    hasher_init(&h);
    hasher_add(&h, slice_of(&kind, 1));
    for (size_t i = 0; i < n; i++) {
        uint8_t len[4];
        struct writer w = writer_of(len, sizeof(len));
        write_u32(&w, (uint32_t)fields[i].len);
        hasher_add(&h, slice_of(len, w.len));
        hasher_add(&h, fields[i]);
    }
    struct hash whole = hasher_end(&h);
    struct row_digest ret;
    memcpy(ret.b, whole.b, ROW_DIGEST_BYTES);
    return ret;
}

struct row_digest row_digest_of_claim(struct slice statement, struct slice manifest,
                                      struct slice credential)
{
    struct slice fields[] = {statement, manifest, credential};
    return digest_of(1, fields, 3);
}

struct row_digest row_digest_of_holding(struct slice object, struct slice edge_credential)
{
    struct slice fields[] = {object, edge_credential};
    return digest_of(2, fields, 2);
}

static void key_of(const struct id *const *ids, size_t n, uint8_t ret[static ROW_KEY_BYTES])
{
    struct hasher h;
    hasher_init(&h);
    for (size_t i = 0; i < n; i++)
        hasher_add(&h, slice_of(ids[i]->s, strlen(ids[i]->s) + 1)); /* an id has no NUL inside */
    struct hash whole = hasher_end(&h);
    memcpy(ret, whole.b, ROW_KEY_BYTES);
}

void row_key_of_claim(const struct id *video_id, const struct id *streamer_id,
                      uint8_t ret[static ROW_KEY_BYTES])
{
    key_of((const struct id *const[]){video_id, streamer_id}, 2, ret);
}

void row_key_of_holding(const struct id *video_id, const struct id *streamer_id,
                        const struct id *edge_id, uint8_t ret[static ROW_KEY_BYTES])
{
    key_of((const struct id *const[]){video_id, streamer_id, edge_id}, 3, ret);
}
