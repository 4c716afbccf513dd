#ifndef BASE_BYTES_H
#define BASE_BYTES_H
/*
 * The canonical encoding: integers little-endian, strings u32-length-prefixed.
 *
 * writer: appends to a fixed buffer. The first append that does not fit sets
 * `full`, and nothing is appended from then on: check it once, at the end.
 * reader: takes from a slice. The first take that does not fit sets `bad`, and
 * everything from then on is zero or empty: check reader_done() at the end.
 * Neither allocates. Not thread-safe; different objects are independent.
 */
#include "base/slice.h"

struct writer {
    uint8_t *buf; /* borrowed */
    size_t cap;
    size_t len;
    bool full;
};

static inline struct writer writer_of(void *buf, size_t cap)
{
    return (struct writer){.buf = buf, .cap = cap};
}

void write_u8(struct writer *w, uint8_t v);
void write_u16(struct writer *w, uint16_t v);
void write_u32(struct writer *w, uint32_t v);
void write_u64(struct writer *w, uint64_t v);
void write_bytes(struct writer *w, const void *ptr, size_t len); /* as they are */
void write_str(struct writer *w, struct slice s);                /* u32 length, bytes */

struct reader {
    const uint8_t *ptr; /* borrowed: what is left */
    size_t len;
    bool bad;
};

static inline struct reader reader_of(struct slice s)
{
    return (struct reader){.ptr = s.ptr, .len = s.len};
}

uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/* read_bytes: the next len bytes, borrowed; empty when bad. */
struct slice read_bytes(struct reader *r, size_t len);
/* read_copy: the next len bytes copied to out; out is zeroed when bad. */
void read_copy(struct reader *r, void *out, size_t len);
/* read_str: a length-prefixed string of at most max bytes, borrowed; a longer one is bad. */
struct slice read_str(struct reader *r, size_t max);
/* reader_done: everything was there and nothing is left over. */
bool reader_done(const struct reader *r);

#endif
