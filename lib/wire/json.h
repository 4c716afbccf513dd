#ifndef WIRE_JSON_H
#define WIRE_JSON_H
/*
 * JSON text to typed fields and back. For lib/wire, and for what auth_edge reads
 * that is no message; json.c is the only includer of cJSON.
 *
 * Reading: json_open, then getters. The first field that is not what it should
 * be sets `err`, and everything read from then on is empty or zero: check err
 * once, at the end. A field that is null is absent. The other spellings of
 * docs/PROTOCOL.md §1 are found under any of them.
 *
 * Numbers count as the IEEE double nearest to them, so 1.0 and 1e3 are the
 * whole numbers 1 and 1000, also where they are signed.
 *
 * Writing: json_begin, puts, json_end. It cannot fail, and what it writes our
 * readers accept: control characters other than tab, LF and CR, and what is no
 * UTF-8, are written as '?'; a byte of text becomes two at most.
 *
 * Pure; any thread.
 */
#include "base/arena.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/id.h"
#include "trust/object.h"

struct cJSON;

struct json {
    struct cJSON *root;     /* owned; NULL: err is set */
    const struct cJSON *at; /* the object that getters read: root at first */
    struct arena *arena;    /* borrowed: takes the texts and blobs */
    enum err err;
};

/*
 * json_open: parse one object or array. Call json_close, also after an error.
 * text   borrowed until json_close, at most PACKET_BYTES_MAX bytes.
 * err is ERR_FORMAT: not JSON, not UTF-8, or "\u0000" in a string; ERR_LIMIT:
 * too long, or deeper than JSON_DEPTH_MAX.
 */
struct json json_open(struct slice text, struct arena *arena);
/* json_open_object: as json_open, and an array is ERR_FORMAT. */
struct json json_open_object(struct slice text, struct arena *arena);
void json_close(struct json *j);

/* json_fail: set err unless an earlier one stands. */
void json_fail(struct json *j, enum err err);
/* json_require: ERR_FORMAT unless ok. */
void json_require(struct json *j, bool ok);

bool json_has(const struct json *j, const char *key);

/*
 * json_text: a string, copied to the arena; empty when absent.
 * ERR_FORMAT: another type, or control characters. ERR_LIMIT: more than max bytes.
 */
struct slice json_text(struct json *j, const char *key, size_t max);
/* json_loose_text: as json_text; numbers and booleans give their signed text (§2.3). */
struct slice json_loose_text(struct json *j, const char *key, size_t max);
/* json_peek_text: a string where it lies, borrowed until json_close; empty when absent. */
struct slice json_peek_text(struct json *j, const char *key);

/* json_names: whether a string is s, or an array of strings has s in it. */
bool json_names(const struct json *j, const char *key, const char *s);

/* json_id: an id that must be there. json_id_or_none: "" when absent. */
struct id json_id(struct json *j, const char *key);
struct id json_id_or_none(struct json *j, const char *key);
/* json_reply_id: client_id, which must be there; whether it is safe reply_id_ok says. */
struct slice json_reply_id(struct json *j);

/*
 * json_uint: a whole number, also as a string of digits or a boolean; 0 when absent.
 * ERR_FORMAT: anything else. ERR_LIMIT: more than max, which is below 2^53.
 */
uint64_t json_uint(struct json *j, const char *key, uint64_t max);
uint32_t json_u32(struct json *j, const char *key);
uint64_t json_u53(struct json *j, const char *key);
/* json_flag: a number, a string of digits, "true", "false" or a boolean; false when absent or "".
 */
bool json_flag(struct json *j, const char *key);
/* json_real: a finite number; 0 when absent. */
double json_real(struct json *j, const char *key);
bool json_is_number(const struct json *j, const char *key);

/* json_blob: base64 of at most max bytes; empty when absent. ERR_FORMAT, ERR_LIMIT. */
struct slice json_blob(struct json *j, const char *key, size_t max);
/* json_blobs: an array of at most max_n base64 texts of at most max bytes each; in the arena. */
struct slice *json_blobs(struct json *j, const char *key, size_t max_n, size_t max, size_t *ret_n);
/* json_bytes: base64 of exactly n bytes, which must be there. */
void json_bytes(struct json *j, const char *key, void *ret, size_t n);
/* json_token: a reply token; empty when absent or not one, which is worth the same. */
struct slice json_token(struct json *j);

/* json_enter: at becomes the object under key; returns what to set it back to. */
const struct cJSON *json_enter(struct json *j, const char *key);
/*
 * json_array: the first item of the array under key, NULL when absent or empty.
 * key NULL: of the array at. ret_n: its length, at most max, else ERR_LIMIT.
 * ERR_FORMAT: no array, or an item that is no object. json_next: the item after.
 */
const struct cJSON *json_array(struct json *j, const char *key, size_t max, size_t *ret_n);
const struct cJSON *json_next(const struct cJSON *item);
bool json_is_array(const struct json *j);

/*
 * json_fields: every member but "auth" as the text that is signed (§2.3).
 * ret_fields  borrow from j and its arena.
 * ERR_FORMAT: a value that has no such text, more than REQUEST_FIELDS_MAX, "auth" twice.
 */
size_t json_fields(struct json *j, struct field ret_fields[static REQUEST_FIELDS_MAX]);

/*
 * json_peek: find top-level members of an object without parsing it: cheap, and
 * no proof that the text is JSON. Values are raw text, borrowed; empty: absent.
 * Stops where the first of the n (at least 1) is a string, whose value is then its
 * opening quote alone: a part's media is not walked over. ERR_FORMAT: no object.
 */
struct json_peek {
    const char *key;
    struct slice value;
};
enum err json_peek(struct slice text, struct json_peek *peeks, size_t n);
/* json_peek_flag: json_flag of a raw value. ERR_FORMAT. */
enum err json_peek_flag(struct slice value, bool *ret);
/* json_peek_is: whether a raw value is the string s. */
bool json_peek_is(struct slice value, const char *s);

/* Upper bounds of what is written, key, quotes and comma with it. A byte of text may become two. */
#define TEXT_FIELD(key, bytes) (sizeof(key) + 5 + 2 * (bytes))
#define PLAIN_FIELD(key, bytes) (sizeof(key) + 5 + (bytes))
#define BLOB_FIELD(key, bytes) (sizeof(key) + 5 + ((bytes) + 2) / 3 * 4)

/* Text being written. Copies may be kept and put back, to take back what was added. */
struct json_out {
    struct arena *arena; /* borrowed; NULL: nothing is written, len counts */
    uint8_t *buf;
    size_t len, cap;
    bool first; /* no comma is due */
};

/* json_begin: an object. bytes: room to start with, 0 if not known. */
struct json_out json_begin(struct arena *arena, size_t bytes);
/* json_count: an object of which only the length is wanted. */
struct json_out json_count(void);
/* json_bare: members or items alone, for json_put_raw. */
struct json_out json_bare(struct arena *arena);
struct slice json_end(struct json_out *out);

/* key NULL: an item of an array. */
void json_put_open(struct json_out *out, const char *key, char bracket);
void json_put_close(struct json_out *out, char bracket);
void json_put_text(struct json_out *out, const char *key, struct slice text);
/* json_put_some: as json_put_text; left out when empty. */
void json_put_some(struct json_out *out, const char *key, struct slice text);
void json_put_str(struct json_out *out, const char *key, const char *s);
void json_put_id(struct json_out *out, const char *key, const struct id *id);
/* json_put_uint: what does not fit below 2^53 is written as 2^53 - 1. */
void json_put_uint(struct json_out *out, const char *key, uint64_t v);
void json_put_bool(struct json_out *out, const char *key, bool v);
/* json_put_blob: base64; left out when empty. */
void json_put_blob(struct json_out *out, const char *key, struct slice bytes);
/* json_put_raw: items or members that are JSON already, joined by commas; no comma before. */
void json_put_raw(struct json_out *out, struct slice text);
/* json_put_items: an array of what json_bare collected. */
void json_put_items(struct json_out *out, const char *key, const struct json_out *items);

#endif
