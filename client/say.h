#ifndef CLIENT_SAY_H
#define CLIENT_SAY_H
/*
 * What the user reads: sentences on standard error, results on standard output
 * (text or JSON). Text that came from the network passes through text_safe, so
 * that it cannot command a terminal.
 */
#include "base/err.h"
#include "base/slice.h"
#include "wire/message.h"

#include <stdio.h>

/* say: "edgectl: …" and a newline, on standard error; what happened, to what, what to do. */
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);

/*
 * text_safe: text for a terminal: control characters and what is not UTF-8 become '?'.
 * Cut (at a character) to fit cap with its NUL. Returns buf.
 */
const char *text_safe(struct slice text, char *buf, size_t cap);

/* say_refusal: what an error answer says, as "message (code)", safe for a terminal. */
enum { REFUSAL_BYTES = 256 };
void say_refusal(const struct wire_error *error, char ret[static REFUSAL_BYTES]);

/* text_size: bytes as "734 B", "1.2 MB", "3.4 GB". */
enum { TEXT_SIZE_BYTES = 24 };
const char *text_size(double bytes, char buf[static TEXT_SIZE_BYTES]);

/* JSON, written as it comes. Zeroed but for file is ready. */
struct json_text {
    FILE *file;
    bool comma; /* one is due before the next member */
};
/* key NULL: an item of an array, or the whole. */
void json_text_open(struct json_text *j, const char *key, char bracket);
void json_text_close(struct json_text *j, char bracket);
void json_text_str(struct json_text *j, const char *key, struct slice text);
void json_text_uint(struct json_text *j, const char *key, uint64_t v);
void json_text_real(struct json_text *j, const char *key, double v);
void json_text_bool(struct json_text *j, const char *key, bool v);

#endif
