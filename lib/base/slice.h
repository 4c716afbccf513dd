#ifndef BASE_SLICE_H
#define BASE_SLICE_H
/*
 * A borrowed run of bytes: text (UTF-8, not NUL-terminated) or binary. Whoever
 * hands a slice out says what it borrows from. The empty slice may have any ptr.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *ptr;
    size_t len;
};

static inline struct slice slice_of(const void *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

/* slice_str: the bytes of a C string without its NUL; NULL gives the empty slice. */
static inline struct slice slice_str(const char *s)
{
    return (struct slice){(const uint8_t *)s, s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_eq_str(struct slice a, const char *s)
{
    return slice_eq(a, slice_str(s));
}

static inline bool slice_starts(struct slice a, const char *prefix)
{
    struct slice p = slice_str(prefix);
    return a.len >= p.len && (p.len == 0 || memcmp(a.ptr, p.ptr, p.len) == 0);
}

/* slice_from: what follows the first n bytes; n <= s.len. */
static inline struct slice slice_from(struct slice s, size_t n)
{
    return (struct slice){s.ptr + n, s.len - n};
}

/* For printf: "%.*s", SLICE_FMT(s). Text only. */
#define SLICE_FMT(s) (int)(s).len, (const char *)(s).ptr

#endif
