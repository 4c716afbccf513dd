/*
 * A part is hostile until part_verify: everything that its size depends on is
 * checked against a limit before it is used, and nothing is read twice.
 *
 * Invariants
 *   I1  a statement that decodes implies the length of each of its packets, so
 *       a packet with a byte more or less is no part.
 *   I2  the cache holds only hashes of statements whose signature was verified.
 */
#include "trust/part.h"

#include "base/check.h"
#include "trust/body.h"

static const uint8_t magic[4] = {'E', 'V', 'C', '1'};

/* A packet is made of these, one after the other, before proof and payload. */
enum { PART_HEAD_BYTES = sizeof(magic) + 2 + SIGNATURE_BYTES + 2 };

_Static_assert(CHUNK_BYTES_MAX / PART_BYTES_MIN <= CHUNK_PARTS_MAX, "parts of the longest chunk");
_Static_assert(PART_HEAD_BYTES + STATEMENT_BYTES_MAX + 12 * HASH_BYTES + PART_PAYLOAD_BYTES_MAX <=
                   PACKET_BYTES_MAX,
               "the longest part fits a packet, even with the proof of 4,096 parts");

/* --- statements ---------------------------------------------------------- */

void chunk_encode(const struct chunk *c, struct writer *w)
{
    CHECK(c->ext.len <= STATEMENT_EXT_BYTES_MAX);
    write_u8(w, OBJECT_VERSION);
    write_hash(w, &c->stream);
    write_u16(w, c->track);
    write_u8(w, (uint8_t)c->kind);
    write_u16(w, c->flags);
    write_u32(w, c->number);
    write_u32(w, c->init_number);
    write_pubkey(w, &c->signer);
    write_u64(w, c->capture_us);
    write_u32(w, c->duration_us);
    write_u32(w, c->payload_len);
    write_u32(w, c->part_bytes);
    write_u16(w, c->parts_n);
    write_hash(w, &c->root);
    write_hash(w, &c->prev);
    write_u16(w, (uint16_t)c->ext.len);
    write_bytes(w, c->ext.ptr, c->ext.len);
}

/* The rules that tie a statement's fields together. */
static enum err chunk_rules(const struct chunk *c)
{
    if (c->payload_len > CHUNK_BYTES_MAX || c->part_bytes > PART_PAYLOAD_BYTES_MAX)
        return ERR_LIMIT;
    if (c->part_bytes < PART_BYTES_MIN || (c->payload_len == 0) != (c->kind == CHUNK_END))
        return ERR_FORMAT;
    if (c->parts_n != chunk_parts_n(c->payload_len, c->part_bytes))
        return ERR_FORMAT;
    if (c->number == 0 || (c->number == 1) != hash_is_zero(&c->prev))
        return ERR_FORMAT;
    if (c->kind == CHUNK_INIT ? c->init_number != c->number : c->init_number >= c->number)
        return ERR_FORMAT;
    return c->flags & CHUNK_FLAGS_CRITICAL ? ERR_FORMAT : ERR_OK;
}

enum err chunk_decode(struct slice body, struct chunk *ret)
{
    struct body b = body_of(body);
    struct chunk c = {0};
    body_version(&b);
    c.stream = body_hash(&b);
    c.track = read_u16(&b.r);
    c.kind = (enum chunk_kind)body_u8(&b, CHUNK_INIT, CHUNK_END);
    c.flags = read_u16(&b.r);
    c.number = read_u32(&b.r);
    c.init_number = read_u32(&b.r);
    c.signer = body_pubkey(&b);
    c.capture_us = read_u64(&b.r);
    c.duration_us = read_u32(&b.r);
    c.payload_len = read_u32(&b.r);
    c.part_bytes = read_u32(&b.r);
    c.parts_n = read_u16(&b.r);
    c.root = body_hash(&b);
    c.prev = body_hash(&b);
    uint16_t ext_len = read_u16(&b.r);
    if (ext_len > STATEMENT_EXT_BYTES_MAX)
        body_refuse(&b, ERR_LIMIT);
    c.ext = read_bytes(&b.r, ext_len);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        err = chunk_rules(&c);
    if (err == ERR_OK)
        *ret = c;
    return err;
}

uint32_t chunk_parts_n(uint32_t payload_len, uint32_t part_bytes)
{
    CHECK(part_bytes > 0);
    uint32_t n = payload_len / part_bytes + (payload_len % part_bytes != 0);
    return n ? n : 1;
}

uint32_t chunk_part_len(const struct chunk *c, uint32_t index)
{
    CHECK(index < c->parts_n);
    return index + 1 < c->parts_n ? c->part_bytes : c->payload_len - index * c->part_bytes;
}

/* --- parts --------------------------------------------------------------- */

size_t part_packet_len(const struct chunk *c, size_t statement_len, uint32_t index)
{
    return PART_HEAD_BYTES + statement_len + merkle_proof_len(index, c->parts_n) * HASH_BYTES +
           chunk_part_len(c, index);
}

bool part_is(struct slice packet)
{
    return packet.len >= sizeof(magic) && memcmp(packet.ptr, magic, sizeof(magic)) == 0;
}

enum err part_decode(struct slice packet, struct part *ret)
{
    struct reader r = reader_of(packet);
    struct part p;
    if (!slice_eq(read_bytes(&r, sizeof(magic)), slice_of(magic, sizeof(magic))))
        return ERR_FORMAT;
    uint16_t statement_len = read_u16(&r);
    if (statement_len > STATEMENT_BYTES_MAX)
        return ERR_LIMIT;
    p.statement = read_bytes(&r, statement_len);
    read_copy(&r, p.sig.b, SIGNATURE_BYTES);
    p.index = read_u16(&r);
    if (r.bad)
        return ERR_FORMAT;
    enum err err = chunk_decode(p.statement, &p.chunk);
    if (err != ERR_OK)
        return err;
    if (p.index >= p.chunk.parts_n)
        return ERR_FORMAT;
    p.proof = read_bytes(&r, merkle_proof_len(p.index, p.chunk.parts_n) * HASH_BYTES);
    p.payload = read_bytes(&r, chunk_part_len(&p.chunk, p.index));
    if (!reader_done(&r)) /* I1 */
        return ERR_FORMAT;
    *ret = p;
    return ERR_OK;
}

enum err part_check_payload(const struct part *p)
{
    struct hash leaf = merkle_leaf(p->payload);
    enum err err = merkle_check(&leaf, p->index, p->chunk.parts_n, p->proof, &p->chunk.root);
    return err == ERR_OK ? ERR_OK : ERR_SIGNATURE;
}

enum err part_check_statement(const struct part *p)
{
    return object_check(OBJECT_CHUNK, p->statement, &p->sig, &p->chunk.signer);
}

struct hash part_key(const struct part *p)
{
    return hash_of(p->statement, slice_of(p->sig.b, SIGNATURE_BYTES));
}

static size_t slot_of(const struct hash *key)
{
    return (key->b[0] | (size_t)key->b[1] << 8) % SIG_CACHE_SLOTS;
}

bool sig_cache_has(const struct sig_cache *cache, const struct hash *key)
{
    return hash_eq(&cache->slots[slot_of(key)], key);
}

void sig_cache_add(struct sig_cache *cache, const struct hash *key)
{
    cache->slots[slot_of(key)] = *key;
}

enum err part_verify(const struct part *p, struct sig_cache *cache)
{
    if (!cache) {
        enum err err = part_check_statement(p);
        return err == ERR_OK ? part_check_payload(p) : err;
    }
    struct hash key = part_key(p);
    if (!sig_cache_has(cache, &key)) {
        enum err err = part_check_statement(p);
        if (err != ERR_OK)
            return err;
        sig_cache_add(cache, &key); /* I2 */
    }
    return part_check_payload(p);
}
