#include "base/utf8.h"
#include "wire/json.h"
#include "wire/text.h"

#include <stdio.h>

/*
 * Why not cJSON: it writes 1e15 as "1e+15", costs an allocation per field, and
 * a page of rows must know its length, and take its last row back, while it
 * grows.
 *
 *   I1  what is written is JSON that json_open accepts, whatever the texts are.
 *   I2  a byte of text becomes two bytes at most.
 *   I3  counting adds to len exactly what writing would.
 */

enum { OUT_BYTES_MIN = 512 };

static const uint64_t UINT_MAX_JSON = ((uint64_t)1 << 53) - 1;

/* n more bytes (and one that base64 may write after them) have room. */
static void out_reserve(struct json_out *out, size_t n)
{
    if (!out->arena || n < out->cap - out->len)
        return;
    size_t cap = out->cap ? out->cap : OUT_BYTES_MIN;
    while (n >= cap - out->len)
        cap *= 2;
    uint8_t *buf = arena_alloc(out->arena, cap);
    if (out->len)
        memcpy(buf, out->buf, out->len);
    out->buf = buf;
    out->cap = cap;
}

static void out_bytes(struct json_out *out, const void *ptr, size_t n)
{
    out_reserve(out, n);
    if (out->arena && n)
        memcpy(out->buf + out->len, ptr, n);
    out->len += n;
}

static void out_str(struct json_out *out, const char *s)
{
    out_bytes(out, s, strlen(s));
}

static void out_key(struct json_out *out, const char *key)
{
    if (!out->first)
        out_bytes(out, ",", 1);
    out->first = false;
    if (!key)
        return;
    out_bytes(out, "\"", 1);
    out_str(out, key);
    out_bytes(out, "\":", 2);
}

/* The letter of a two-byte escape; 0: c needs none. */
static char escape_of(uint8_t c)
{
    switch (c) {
    case '"': return '"';
    case '\\': return '\\';
    case '\t': return 't';
    case '\n': return 'n';
    case '\r': return 'r';
    default: return 0;
    }
}

/* One byte that is not written as it is, or a control character. Returns the bytes it took. */
static size_t out_special(struct json_out *out, struct slice s, bool utf8)
{
    size_t control = text_control(s);
    char letter = escape_of(s.ptr[0]);
    if (control > 0 || (!utf8 && s.ptr[0] >= 0x80))
        out_bytes(out, "?", 1);
    else if (letter)
        out_bytes(out, (char[]){'\\', letter}, 2);
    else
        out_bytes(out, s.ptr, 1);
    return control > 0 ? control : 1;
}

/* 0xc2 may begin a control character. */
static bool is_plain(uint8_t c, bool utf8)
{
    return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && c != 0xc2 && (c < 0x80 || utf8);
}

static void out_text(struct json_out *out, struct slice text)
{
    bool utf8 = utf8_text(text);
    out_bytes(out, "\"", 1);
    for (size_t i = 0; i < text.len;) {
        size_t run = i;
        while (run < text.len && is_plain(text.ptr[run], utf8))
            run++;
        out_bytes(out, text.ptr + i, run - i);
        i = run;
        if (i < text.len)
            i += out_special(out, slice_from(text, i), utf8);
    }
    out_bytes(out, "\"", 1);
}

struct json_out json_begin(struct arena *arena, size_t bytes)
{
    struct json_out out = {.arena = arena, .first = true};
    out_reserve(&out, bytes + 2);
    out_bytes(&out, "{", 1);
    return out;
}

struct json_out json_count(void)
{
    return (struct json_out){.len = 1, .first = true};
}

struct json_out json_bare(struct arena *arena)
{
    return (struct json_out){.arena = arena, .first = true};
}

struct slice json_end(struct json_out *out)
{
    out_bytes(out, "}", 1);
    return slice_of(out->buf, out->len);
}

void json_put_open(struct json_out *out, const char *key, char bracket)
{
    out_key(out, key);
    out_bytes(out, &bracket, 1);
    out->first = true;
}

void json_put_close(struct json_out *out, char bracket)
{
    out_bytes(out, &bracket, 1);
    out->first = false;
}

void json_put_text(struct json_out *out, const char *key, struct slice text)
{
    out_key(out, key);
    out_text(out, text);
}

void json_put_some(struct json_out *out, const char *key, struct slice text)
{
    if (text.len > 0)
        json_put_text(out, key, text);
}

void json_put_str(struct json_out *out, const char *key, const char *s)
{
    json_put_text(out, key, slice_str(s));
}

void json_put_id(struct json_out *out, const char *key, const struct id *id)
{
    json_put_text(out, key, id_slice(id));
}

void json_put_uint(struct json_out *out, const char *key, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu",
             (unsigned long long)(v < UINT_MAX_JSON ? v : UINT_MAX_JSON));
    out_key(out, key);
    out_str(out, text);
}

void json_put_bool(struct json_out *out, const char *key, bool v)
{
    out_key(out, key);
    out_str(out, v ? "true" : "false");
}

void json_put_blob(struct json_out *out, const char *key, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    size_t len = b64_text_len(bytes.len);
    out_key(out, key);
    out_bytes(out, "\"", 1);
    out_reserve(out, len);
    if (out->arena)
        b64_encode(bytes, (char *)out->buf + out->len);
    out->len += len;
    out_bytes(out, "\"", 1);
}

void json_put_raw(struct json_out *out, struct slice text)
{
    out_bytes(out, text.ptr, text.len);
}

void json_put_items(struct json_out *out, const char *key, const struct json_out *items)
{
    json_put_open(out, key, '[');
    json_put_raw(out, slice_of(items->buf, items->len));
    json_put_close(out, ']');
}
