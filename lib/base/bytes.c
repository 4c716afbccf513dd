#include "base/bytes.h"

static void write_le(struct writer *w, uint64_t v, size_t width)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    write_bytes(w, bytes, width);
}

void write_u8(struct writer *w, uint8_t v)
{
    write_le(w, v, 1);
}

void write_u16(struct writer *w, uint16_t v)
{
    write_le(w, v, 2);
}

void write_u32(struct writer *w, uint32_t v)
{
    write_le(w, v, 4);
}

void write_u64(struct writer *w, uint64_t v)
{
    write_le(w, v, 8);
}

void write_bytes(struct writer *w, const void *ptr, size_t len)
{
    if (w->full || len > w->cap - w->len) {
        w->full = true;
        return;
    }
    if (len)
        memcpy(w->buf + w->len, ptr, len);
    w->len += len;
}

void write_str(struct writer *w, struct slice s)
{
    if (s.len > UINT32_MAX) {
        w->full = true;
        return;
    }
    write_u32(w, (uint32_t)s.len);
    write_bytes(w, s.ptr, s.len);
}

struct slice read_bytes(struct reader *r, size_t len)
{
    if (r->bad || len > r->len) {
        r->bad = true;
        return (struct slice){0};
    }
    struct slice s = slice_of(r->ptr, len);
    r->ptr += len;
    r->len -= len;
    return s;
}

static uint64_t read_le(struct reader *r, size_t width)
{
    struct slice s = read_bytes(r, width);
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++)
        v |= (uint64_t)s.ptr[i] << (8 * i);
    return v;
}

uint8_t read_u8(struct reader *r)
{
    return (uint8_t)read_le(r, 1);
}

uint16_t read_u16(struct reader *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t read_u32(struct reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t read_u64(struct reader *r)
{
    return read_le(r, 8);
}

void read_copy(struct reader *r, void *out, size_t len)
{
    struct slice s = read_bytes(r, len);
    if (r->bad)
        memset(out, 0, len);
    else if (len)
        memcpy(out, s.ptr, len);
}

struct slice read_str(struct reader *r, size_t max)
{
    uint32_t len = read_u32(r);
    if (len > max)
        r->bad = true;
    return read_bytes(r, len);
}

bool reader_done(const struct reader *r)
{
    return !r->bad && r->len == 0;
}
