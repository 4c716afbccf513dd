/* Error answers, which any request may get. */
#include "wire/message.h"

#include "base/check.h"
#include "wire/json.h"
#include "wire/topic.h"

/* In the order of enum wire_code: the name, and what it is to the one who reads it. */
static const struct {
    const char *name;
    enum err err;
} codes[] = {
    [CODE_BAD_REQUEST] = {"bad_request", ERR_FORMAT},
    [CODE_UNAUTHORIZED] = {"unauthorized", ERR_UNAUTHORIZED},
    [CODE_BAD_SIGNATURE] = {"bad_signature", ERR_SIGNATURE},
    [CODE_UNKNOWN_VIDEO] = {"unknown_video", ERR_UNKNOWN},
    [CODE_CONFLICT] = {"conflict", ERR_CONFLICT},
    [CODE_TOO_LARGE] = {"too_large", ERR_LIMIT},
    [CODE_QUOTA] = {"quota", ERR_QUOTA},
    [CODE_BUSY] = {"busy", ERR_BUSY},
    [CODE_STORAGE_FULL] = {"storage_full", ERR_STORAGE_FULL},
    [CODE_NOT_READY] = {"not_ready", ERR_NOT_READY},
    [CODE_INTERNAL] = {"internal", ERR_IO},
};
enum { CODES_N = sizeof(codes) / sizeof(codes[0]) };

const char *wire_code_name(enum wire_code code)
{
    CHECK((unsigned)code < CODES_N);
    return codes[code].name;
}

enum wire_code wire_code_of(enum err err)
{
    if (err == ERR_TIMEOUT)
        return CODE_BUSY;
    for (unsigned i = 0; i < CODES_N; i++)
        if (codes[i].err == err)
            return (enum wire_code)i;
    return CODE_INTERNAL;
}

static enum wire_code code_of_name(struct slice name)
{
    unsigned i = 0;
    while (i < CODES_N && !slice_eq_str(name, codes[i].name))
        i++;
    return i < CODES_N ? (enum wire_code)i : CODE_BUSY;
}

enum err wire_code_err(struct slice name)
{
    return codes[code_of_name(name)].err;
}

struct slice wire_error_encode(const struct wire_error *e, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_str(&out, "status", "error");
    json_put_str(&out, "code", wire_code_name(e->code));
    json_put_text(&out, "message", e->message);
    json_put_some(&out, "video_id", e->video_id);
    json_put_some(&out, "client_id", e->client_id);
    json_put_some(&out, "EDGE_ID", e->edge_id);
    if (e->chunk_part)
        json_put_uint(&out, "chunk_part", e->chunk_part);
    if (e->has_packet_index)
        json_put_uint(&out, "packet_index", e->packet_index);
    if (e->pull)
        json_put_uint(&out, "pull", e->pull);
    if (!hash_is_zero(&e->request))
        json_put_blob(&out, "request", slice_of(e->request.b, HASH_BYTES));
    return json_end(&out);
}

/* One field is read; what is wrong with it must not touch the next one. */
static struct slice text_or_none(struct json *j, const char *key, size_t max)
{
    struct slice text = json_text(j, key, max);
    j->err = ERR_OK;
    return text;
}

static uint32_t u32_or_none(struct json *j, const char *key, bool *ret_has)
{
    uint32_t v = json_u32(j, key);
    *ret_has = j->err == ERR_OK && json_has(j, key);
    j->err = ERR_OK;
    return v;
}

bool reply_is_error(struct slice payload, struct arena *arena, struct wire_error *ret)
{
    if (!slice_starts(payload, "{"))
        return false;
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    if (j.err != ERR_OK)
        return false;
    if (!slice_eq_str(text_or_none(&j, "status", MESSAGE_TEXT_BYTES_MAX), "error"))
        return false;
    bool ignored;
    struct wire_error e = {
        .code_text = text_or_none(&j, "code", MESSAGE_TEXT_BYTES_MAX),
        .message = text_or_none(&j, "message", MESSAGE_TEXT_BYTES_MAX),
        .video_id = text_or_none(&j, "video_id", ID_BYTES_MAX),
        .client_id = text_or_none(&j, "client_id", REPLY_ID_BYTES_MAX),
        .edge_id = text_or_none(&j, "EDGE_ID", ID_BYTES_MAX),
        .chunk_part = u32_or_none(&j, "chunk_part", &ignored),
        .pull = u32_or_none(&j, "pull", &ignored),
    };
    e.packet_index = u32_or_none(&j, "packet_index", &e.has_packet_index);
    e.code = code_of_name(e.code_text);
    if (json_has(&j, "request"))
        json_bytes(&j, "request", e.request.b, HASH_BYTES);
    *ret = e;
    return true;
}
