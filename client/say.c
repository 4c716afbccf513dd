/* Why: one place knows how text from strangers reaches a terminal or a program. */
#include "client/say.h"

#include <stdarg.h>

enum { SAY_BYTES_MAX = 1024 };

/* Length of the UTF-8 character at s, or 0 if it is none that may be shown. */
static size_t shown_length(struct slice s)
{
    uint8_t c = s.ptr[0];
    if (c < 0x80)
        return c >= 0x20 && c != 0x7f ? 1 : 0;
    size_t n = c >= 0xc2 && c <= 0xdf   ? 2
               : c >= 0xe0 && c <= 0xef ? 3
               : c >= 0xf0 && c <= 0xf4 ? 4
                                        : 0;
    if (n == 0 || n > s.len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s.ptr[i] & 0xc0) != 0x80)
            return 0;
    bool c1_control = n == 2 && c == 0xc2 && s.ptr[1] < 0xa0;
    bool direction = n == 3 && c == 0xe2 &&
                     ((s.ptr[1] == 0x80 && s.ptr[2] >= 0xaa && s.ptr[2] <= 0xae) ||
                      (s.ptr[1] == 0x81 && s.ptr[2] >= 0xa6 && s.ptr[2] <= 0xa9));
    return c1_control || direction ? 0 : n;
}

const char *text_safe(struct slice text, char *buf, size_t cap)
{
    size_t used = 0;
    while (text.len) {
        size_t n = shown_length(text);
        size_t take = n ? n : 1;
        if (used + take >= cap)
            break;
        if (n)
            memcpy(buf + used, text.ptr, n);
        else
            buf[used] = '?';
        used += take;
        text = slice_from(text, take);
    }
    buf[used] = '\0';
    return buf;
}

void say(const char *fmt, ...)
{
    char text[SAY_BYTES_MAX], safe[SAY_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fprintf(stderr, "edgectl: %s\n", text_safe(slice_str(text), safe, sizeof(safe)));
}

void say_refusal(const struct wire_error *error, char ret[static REFUSAL_BYTES])
{
    char message[REFUSAL_BYTES - 32], code[24];
    snprintf(ret, REFUSAL_BYTES, "%s (%s)", text_safe(error->message, message, sizeof(message)),
             text_safe(error->code_text, code, sizeof(code)));
}

const char *text_size(double bytes, char buf[static TEXT_SIZE_BYTES])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 1000 && unit + 1 < sizeof(units) / sizeof(*units)) {
        bytes /= 1000;
        unit++;
    }
    snprintf(buf, TEXT_SIZE_BYTES, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return buf;
}

static void put_text(FILE *file, struct slice text)
{
    putc('"', file);
    while (text.len) {
        uint8_t c = text.ptr[0];
        size_t n = shown_length(text);
        if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(file, "\\u%04x", c);
        else if (n)
            fwrite(text.ptr, 1, n, file);
        else
            fputs("\\ufffd", file);
        text = slice_from(text, n ? n : 1);
    }
    putc('"', file);
}

static void put_key(struct json_text *j, const char *key)
{
    if (j->comma)
        fputs(", ", j->file);
    j->comma = true;
    if (!key)
        return;
    put_text(j->file, slice_str(key));
    fputs(": ", j->file);
}

void json_text_open(struct json_text *j, const char *key, char bracket)
{
    put_key(j, key);
    putc(bracket, j->file);
    j->comma = false;
}

void json_text_close(struct json_text *j, char bracket)
{
    putc(bracket, j->file);
    j->comma = true;
}

void json_text_str(struct json_text *j, const char *key, struct slice text)
{
    put_key(j, key);
    put_text(j->file, text);
}

void json_text_uint(struct json_text *j, const char *key, uint64_t v)
{
    put_key(j, key);
    fprintf(j->file, "%llu", (unsigned long long)v);
}

void json_text_real(struct json_text *j, const char *key, double v)
{
    put_key(j, key);
    fprintf(j->file, "%.3f", v);
}

void json_text_bool(struct json_text *j, const char *key, bool v)
{
    put_key(j, key);
    fputs(v ? "true" : "false", j->file);
}
