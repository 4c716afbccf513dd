/*
 * The streamer's side: signing chunks and cutting them into parts.
 *
 * Invariants
 *   I1  every statement that is cut decodes: what chunk_decode refuses is a
 *       programmer's error here.
 *   I2  statement number n + 1 names the hash of statement n.
 */
#include "base/check.h"
#include "base/mem.h"
#include "trust/part.h"

void chunk_cutter_init(struct chunk_cutter *c, const struct hash *stream, const struct signkey *key,
                       uint32_t part_bytes)
{
    CHECK(part_bytes >= PART_BYTES_MIN && part_bytes <= PART_PAYLOAD_BYTES_MAX);
    *c = (struct chunk_cutter){
        .stream = *stream,
        .key = key,
        .part_bytes = part_bytes,
        .next_number = 1,
    };
}

/* Hash the parts into ret (parts_n of them); returns the root. */
static struct hash hash_parts(struct slice payload, uint32_t part_bytes, struct hash *ret,
                              uint32_t parts_n)
{
    struct merkle tree = {0};
    for (uint32_t i = 0; i < parts_n; i++) {
        size_t len = payload.len < part_bytes ? payload.len : part_bytes;
        ret[i] = merkle_leaf(slice_of(payload.ptr, len));
        merkle_add(&tree, &ret[i]);
        payload = slice_from(payload, len);
    }
    return merkle_root(&tree);
}

static void sign_statement(struct chunk_cutter *c, struct cut_chunk *cut)
{
    struct writer w = writer_of(cut->statement, sizeof(cut->statement));
    chunk_encode(&cut->chunk, &w);
    CHECK(!w.full);
    cut->statement_len = w.len;
    struct slice statement = slice_of(cut->statement, w.len);
    struct chunk decoded;
    CHECK(chunk_decode(statement, &decoded) == ERR_OK); /* I1 */
    cut->sig = object_sign(OBJECT_CHUNK, statement, c->key);

    c->prev = object_hash(OBJECT_CHUNK, statement); /* I2 */
    struct hash leaf = merkle_leaf(slice_of(c->prev.b, HASH_BYTES));
    merkle_add(&c->statements, &leaf);
}

enum err chunk_cut(struct chunk_cutter *c, enum chunk_kind kind, uint16_t flags,
                   uint64_t capture_us, uint32_t duration_us, struct slice payload,
                   struct cut_chunk *ret)
{
    if (payload.len > CHUNK_BYTES_MAX)
        return ERR_LIMIT;
    if (payload.len == 0)
        payload = slice_str(""); /* an empty slice may have no address to count from */
    if (kind == CHUNK_INIT)
        c->init_number = c->next_number;
    uint32_t payload_len = (uint32_t)payload.len;
    uint32_t parts_n = chunk_parts_n(payload_len, c->part_bytes);
    *ret = (struct cut_chunk){
        .chunk =
            {
                .stream = c->stream,
                .track = c->track,
                .kind = kind,
                .flags = flags,
                .number = c->next_number,
                .init_number = c->init_number,
                .signer = c->key->pk,
                .capture_us = capture_us,
                .duration_us = duration_us,
                .payload_len = payload_len,
                .part_bytes = c->part_bytes,
                .parts_n = (uint16_t)parts_n,
                .prev = c->prev,
            },
        .payload = payload,
        .leaves = mem_array(parts_n, sizeof(struct hash)),
    };
    ret->chunk.root = hash_parts(payload, c->part_bytes, ret->leaves, parts_n);
    sign_statement(c, ret);
    c->next_number++;
    c->bytes += payload_len;
    return ERR_OK;
}

size_t cut_chunk_part(const struct cut_chunk *c, uint32_t index,
                      uint8_t ret_packet[static PACKET_BYTES_MAX])
{
    struct hash proof[MERKLE_DEPTH_MAX];
    merkle_prove(c->leaves, c->chunk.parts_n, index, proof);
    struct writer w = writer_of(ret_packet, PACKET_BYTES_MAX);
    write_bytes(&w, "EVC1", 4);
    write_u16(&w, (uint16_t)c->statement_len);
    write_bytes(&w, c->statement, c->statement_len);
    write_bytes(&w, c->sig.b, SIGNATURE_BYTES);
    write_u16(&w, (uint16_t)index);
    write_bytes(&w, proof, merkle_proof_len(index, c->chunk.parts_n) * HASH_BYTES);
    struct slice rest = slice_from(c->payload, (size_t)index * c->chunk.part_bytes);
    write_bytes(&w, rest.ptr, chunk_part_len(&c->chunk, index));
    CHECK(!w.full && w.len == part_packet_len(&c->chunk, c->statement_len, index));
    return w.len;
}

void cut_chunk_release(struct cut_chunk *c)
{
    mem_free_ptr(&c->leaves);
    c->leaves = NULL;
}

struct manifest chunk_cutter_manifest(const struct chunk_cutter *c)
{
    return (struct manifest){
        .stream = c->stream,
        .track = c->track,
        .chunks = c->next_number - 1,
        .bytes = c->bytes,
        .root = merkle_root(&c->statements),
    };
}
