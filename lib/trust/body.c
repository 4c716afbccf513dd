#include "trust/body.h"

#include "base/check.h"
#include "base/utf8.h"
#include "trust/object.h"

struct body body_of(struct slice bytes)
{
    return (struct body){.r = reader_of(bytes)};
}

void body_refuse(struct body *b, enum err err)
{
    if (b->err == ERR_OK && !b->r.bad)
        b->err = err;
}

void body_version(struct body *b)
{
    body_u8(b, OBJECT_VERSION, OBJECT_VERSION);
}

uint8_t body_u8(struct body *b, uint8_t min, uint8_t max)
{
    uint8_t v = read_u8(&b->r);
    if (v < min || v > max)
        body_refuse(b, ERR_FORMAT);
    return v;
}

void body_id(struct body *b, struct id *ret)
{
    if (id_parse(read_str(&b->r, ID_BYTES_MAX), ret) != ERR_OK)
        body_refuse(b, ERR_FORMAT);
}

struct slice body_text(struct body *b, size_t max)
{
    uint32_t len = read_u32(&b->r);
    if (len > max)
        body_refuse(b, ERR_LIMIT);
    struct slice text = read_bytes(&b->r, len);
    if (!utf8_text(text))
        body_refuse(b, ERR_FORMAT);
    return text;
}

struct hash body_hash(struct body *b)
{
    struct hash h;
    read_copy(&b->r, h.b, HASH_BYTES);
    return h;
}

struct pubkey body_pubkey(struct body *b)
{
    struct pubkey pk;
    read_copy(&b->r, pk.b, KEY_BYTES);
    return pk;
}

enum err body_end(const struct body *b)
{
    if (b->err != ERR_OK)
        return b->err;
    return reader_done(&b->r) ? ERR_OK : ERR_FORMAT;
}

void write_hash(struct writer *w, const struct hash *h)
{
    write_bytes(w, h->b, HASH_BYTES);
}

void write_pubkey(struct writer *w, const struct pubkey *pk)
{
    write_bytes(w, pk->b, KEY_BYTES);
}

void write_id(struct writer *w, const struct id *id)
{
    write_str(w, id_slice(id));
}

void hasher_add_u64(struct hasher *h, uint64_t v)
{
    uint8_t bytes[8];
    struct writer w = writer_of(bytes, sizeof(bytes));
    write_u64(&w, v);
    hasher_add(h, slice_of(bytes, w.len));
}

void hasher_add_str(struct hasher *h, struct slice s)
{
    CHECK(s.len <= UINT32_MAX);
    uint8_t len[4];
    struct writer w = writer_of(len, sizeof(len));
    write_u32(&w, (uint32_t)s.len);
    hasher_add(h, slice_of(len, w.len));
    hasher_add(h, s);
}
