#include "wire/peer.h"

#include "base/base64.h"
#include "base/check.h"
#include "wire/json.h"

static const char begins[] = ",\"sig\":\"";
static const char ends[] = "\"}";

enum {
    NUMBER_DIGITS_MAX = 16, /* below 2^53 */
    BEGINS_BYTES = sizeof(begins) - 1,
    ENDS_BYTES = sizeof(ends) - 1,
    BLOB_BYTES = PEER_SIG_BYTES / 3 * 4,
    TAIL_BYTES = BEGINS_BYTES + BLOB_BYTES + ENDS_BYTES,
};
_Static_assert(PEER_SIG_BYTES % 3 == 0, "no padding");
_Static_assert((int)TAIL_BYTES == (int)PEER_SIG_TEXT_BYTES + 1,
               "it takes the place of the bracket");

static struct slice topic_words(enum topic_kind topic)
{
    switch (topic) {
    case TOPIC_DB_UPDATE: return slice_str("db/update");
    case TOPIC_DB_SYNC: return slice_str("db/sync");
    default: CHECK(topic == TOPIC_DB || topic == TOPIC_DB_REPLY); return slice_str("db");
    }
}

/* head: the text without its last bracket. */
static struct peer_said said(struct slice head, const struct peer_stamp *stamp)
{
    return (struct peer_said){.zone_id = stamp->zone_id,
                              .from = stamp->from,
                              .to = stamp->to,
                              .topic = topic_words(stamp->topic),
                              .time_us = stamp->time_us,
                              .text = hash_of(head, slice_str("}"))};
}

struct slice peer_text_sign(struct slice text, const struct peer_stamp *stamp, struct arena *arena)
{
    CHECK(text.len > 2 && text.ptr[text.len - 1] == '}');
    struct slice head = slice_of(text.ptr, text.len - 1);
    struct peer_said p = said(head, stamp);
    struct signature sig = peer_said_sign(&p, stamp->key);
    uint8_t blob[PEER_SIG_BYTES];
    struct writer b = writer_of(blob, sizeof(blob));
    write_u64(&b, stamp->time_us);
    write_bytes(&b, sig.b, SIGNATURE_BYTES);
    char blob_text[BLOB_BYTES + 1];
    b64_encode(slice_of(blob, b.len), blob_text);
    size_t len = head.len + TAIL_BYTES;
    struct writer w = writer_of(arena_alloc(arena, len), len);
    write_bytes(&w, head.ptr, head.len);
    write_bytes(&w, begins, BEGINS_BYTES);
    write_bytes(&w, blob_text, BLOB_BYTES);
    write_bytes(&w, ends, ENDS_BYTES);
    CHECK(!w.full);
    return slice_of(w.buf, w.len);
}

static bool stands_at(const uint8_t *at, const char *text, size_t n)
{
    return memcmp(at, text, n) == 0;
}

static enum err sig_read(struct slice payload, struct peer_mark *ret)
{
    if (payload.len <= TAIL_BYTES)
        return ERR_UNAUTHORIZED;
    const uint8_t *tail = payload.ptr + payload.len - TAIL_BYTES;
    uint8_t blob[PEER_SIG_BYTES];
    size_t n;
    if (!stands_at(tail, begins, BEGINS_BYTES) ||
        !stands_at(tail + BEGINS_BYTES + BLOB_BYTES, ends, ENDS_BYTES) ||
        b64_decode(slice_of(tail + BEGINS_BYTES, BLOB_BYTES), blob, sizeof(blob), &n) != ERR_OK ||
        n != PEER_SIG_BYTES)
        return ERR_UNAUTHORIZED;
    struct reader r = reader_of(slice_of(blob, sizeof(blob)));
    ret->time_us = read_u64(&r);
    read_copy(&r, ret->sig.b, SIGNATURE_BYTES);
    return ERR_OK;
}

/* A text where it lies, as far as it is an id. */
static bool id_in(struct slice value, struct id *ret)
{
    return value.len > 2 && value.ptr[0] == '"' &&
           id_parse(slice_of(value.ptr + 1, value.len - 2), ret) == ERR_OK;
}

/* A number as we write it; 0: another, or none. */
static uint64_t number_in(struct slice value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.len > NUMBER_DIGITS_MAX || value.ptr[i] < '0' || value.ptr[i] > '9')
            return 0;
        v = v * 10 + (value.ptr[i] - '0');
    }
    return v;
}

enum err peer_text_read(struct slice payload, const char *key, struct peer_mark *ret)
{
    struct json_peek peeks[] = {{.key = "asking"}, {.key = key}};
    struct peer_mark m = {.time_us = 0};
    if (sig_read(payload, &m) != ERR_OK || json_peek(payload, peeks, 2) != ERR_OK ||
        !id_in(peeks[1].value, &m.from))
        return ERR_UNAUTHORIZED;
    m.asking = number_in(peeks[0].value);
    *ret = m;
    return ERR_OK;
}

enum err peer_text_check(struct slice payload, const struct peer_stamp *stamp,
                         const struct signature *sig, const struct pubkey *pk)
{
    CHECK(payload.len > TAIL_BYTES);
    struct peer_said p = said(slice_of(payload.ptr, payload.len - TAIL_BYTES), stamp);
    return peer_said_check(&p, sig, pk);
}
