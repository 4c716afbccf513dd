/* Watching: what a viewer asks, and what it hears that is not a part. */
#include "wire/watch.h"

#include "base/check.h"
#include "wire/catalogue.h"
#include "wire/json.h"

/* --- asking --------------------------------------------------------------------- */

struct slice watch_request_encode(const struct watch_request *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_text(&out, "client_id", m->client_id);
    json_put_id(&out, "video_id", &m->video_id);
    json_put_str(&out, "init", m->kind == WATCH_INIT ? "1" : "0");
    switch (m->kind) {
    case WATCH_INIT:
        if (m->local_only)
            json_put_uint(&out, "local_only", 1);
        break;
    case WATCH_PULL_ORIGINAL: json_put_uint(&out, "chunk_part", m->chunk_part); break;
    case WATCH_SEEK:
        json_put_uint(&out, "pull", m->pull);
        json_put_uint(&out, "chunk_part", m->chunk_part);
        json_put_uint(&out, "part", m->part);
        json_put_uint(&out, "window_bytes", m->window_bytes);
        break;
    case WATCH_CREDIT:
        json_put_uint(&out, "pull", m->pull);
        json_put_uint(&out, "credit", m->credit_bytes);
        json_put_uint(&out, "window_bytes", m->window_bytes);
        break;
    }
    json_put_blob(&out, "token", m->token);
    return json_end(&out);
}

static enum watch_kind kind_read(struct json *j)
{
    if (json_flag(j, "init"))
        return WATCH_INIT;
    if (json_has(j, "credit")) {
        json_require(j, json_has(j, "pull"));
        return WATCH_CREDIT;
    }
    json_require(j, json_has(j, "chunk_part"));
    return json_has(j, "pull") ? WATCH_SEEK : WATCH_PULL_ORIGINAL;
}

enum err watch_request_decode(struct slice payload, struct arena *arena, struct watch_request *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct watch_request m = {
        .kind = kind_read(&j),
        .client_id = json_reply_id(&j),
        .video_id = json_id(&j, "video_id"),
        .token = json_token(&j),
    };
    if (m.kind == WATCH_INIT) {
        m.local_only = json_flag(&j, "local_only");
    } else if (m.kind == WATCH_PULL_ORIGINAL) {
        m.chunk_part = json_u32(&j, "chunk_part");
    } else {
        m.pull = json_u32(&j, "pull");
        m.window_bytes = json_u32(&j, "window_bytes");
    }
    if (m.kind == WATCH_SEEK) {
        m.chunk_part = json_u32(&j, "chunk_part");
        m.part = json_u32(&j, "part");
    }
    if (m.kind == WATCH_CREDIT)
        m.credit_bytes = json_u53(&j, "credit");
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* --- what is watched --------------------------------------------------------------- */

enum {
    INFO_BYTES_MAX =
        sizeof("{\"status\":\"ok\",\"chunk_part\":\"0\",\"end\":\"0\",}") +
        2 * PLAIN_FIELD("streamer_id", ID_BYTES_MAX) +
        2 * TEXT_FIELD("video_title", TITLE_BYTES_MAX) + TEXT_FIELD("EDGE_ID", ID_BYTES_MAX) +
        TEXT_FIELD("edges", EDGES_TEXT_BYTES_MAX) + TEXT_FIELD("streamer_nom", NAME_BYTES_MAX) +
        TEXT_FIELD("media_type", MEDIA_TYPE_BYTES_MAX) + TEXT_FIELD("codecs", CODECS_BYTES_MAX) +
        PLAIN_FIELD("live", 1) + PLAIN_FIELD("chunks", 10) + PLAIN_FIELD("bytes", 16) +
        BLOB_FIELD("statement", VIDEO_OBJECT_BYTES_MAX) +
        2 * BLOB_FIELD("receipt_credential", CREDENTIAL_OBJECT_BYTES_MAX) +
        BLOB_FIELD("manifest", MANIFEST_OBJECT_BYTES_MAX) + BLOB_FIELD("token", TOKEN_BYTES) +
        BLOB_FIELD("receipt", RECEIPT_OBJECT_BYTES_MAX) +
        BLOB_FIELD("delegation", DELEGATION_OBJECT_BYTES_MAX) +
        BLOB_FIELD("thumbnail_part", THUMBNAIL_PART_BYTES_MAX),
};
_Static_assert((int)INFO_BYTES_MAX <= (int)PACKET_BYTES_MAX, "the longest answer fits a packet");

struct slice watch_info_encode(const struct watch_info *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_str(&out, "status", "ok");
    json_put_id(&out, "video_id", &m->video_id);
    json_put_text(&out, "video_title", m->title);
    json_put_text(&out, "video_nom", m->title);
    json_put_str(&out, "chunk_part", "0");
    json_put_str(&out, "end", "0");
    json_put_text(&out, "EDGE_ID", m->edge_id);
    json_put_some(&out, "edges", m->edges);
    json_put_id(&out, "streamer_id", &m->streamer_id);
    json_put_text(&out, "streamer_nom", m->streamer_name);
    json_put_text(&out, "media_type", m->media_type);
    json_put_text(&out, "codecs", m->codecs);
    json_put_uint(&out, "live", m->live);
    json_put_uint(&out, "chunks", m->chunks);
    json_put_uint(&out, "bytes", m->bytes);
    json_put_blob(&out, "statement", m->statement);
    json_put_blob(&out, "credential", m->credential);
    json_put_blob(&out, "manifest", m->manifest);
    json_put_blob(&out, "token", m->token);
    json_put_blob(&out, "receipt", m->receipt);
    json_put_blob(&out, "receipt_credential", m->receipt_credential);
    json_put_blob(&out, "delegation", m->delegation);
    json_put_blob(&out, "thumbnail_part", m->thumbnail_part);
    return json_end(&out);
}

struct slice live_info_encode(const struct watch_info *m, bool to_one, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    if (to_one)
        json_put_str(&out, "status", "ok");
    json_put_id(&out, "video_id", &m->video_id);
    json_put_id(&out, "streamer_id", &m->streamer_id);
    json_put_text(&out, "streamer_nom", m->streamer_name);
    json_put_text(&out, "video_title", m->title);
    json_put_blob(&out, "statement", m->statement);
    json_put_blob(&out, "credential", m->credential);
    json_put_uint(&out, "end", 0);
    if (to_one) {
        json_put_uint(&out, "live", 1);
        json_put_blob(&out, "token", m->token);
        json_put_blob(&out, "delegation", m->delegation);
        json_put_blob(&out, "thumbnail_part", m->thumbnail_part);
    }
    return json_end(&out);
}

enum err watch_info_decode(struct slice payload, struct arena *arena, struct watch_info *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct watch_info m = {
        .video_id = json_id(&j, "video_id"),
        .title = json_text(&j, "video_nom", TITLE_BYTES_MAX),
        .edge_id = json_text(&j, "EDGE_ID", ID_BYTES_MAX),
        .edges = json_text(&j, "edges", EDGES_TEXT_BYTES_MAX),
        .streamer_id = json_id_or_none(&j, "streamer_id"),
        .streamer_name = json_text(&j, "streamer_nom", NAME_BYTES_MAX),
        .media_type = json_text(&j, "media_type", MEDIA_TYPE_BYTES_MAX),
        .codecs = json_text(&j, "codecs", CODECS_BYTES_MAX),
        .live = json_flag(&j, "live"),
        .chunks = json_u32(&j, "chunks"),
        .bytes = json_u53(&j, "bytes"),
        .statement = json_blob(&j, "statement", VIDEO_OBJECT_BYTES_MAX),
        .credential = json_blob(&j, "credential", CREDENTIAL_OBJECT_BYTES_MAX),
        .manifest = json_blob(&j, "manifest", MANIFEST_OBJECT_BYTES_MAX),
        .token = json_token(&j),
        .receipt = json_blob(&j, "receipt", RECEIPT_OBJECT_BYTES_MAX),
        .receipt_credential = json_blob(&j, "receipt_credential", CREDENTIAL_OBJECT_BYTES_MAX),
        .delegation = json_blob(&j, "delegation", DELEGATION_OBJECT_BYTES_MAX),
        .thumbnail_part = json_blob(&j, "thumbnail_part", THUMBNAIL_PART_BYTES_MAX),
    };
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* --- the end ------------------------------------------------------------------------ */

struct slice watch_end_encode(const struct watch_end *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_id(&out, "video_id", &m->video_id);
    if (m->has_pull)
        json_put_uint(&out, "pull", m->pull);
    if (m->chunk_part)
        json_put_uint(&out, "chunk_part", m->chunk_part);
    if (m->live)
        json_put_uint(&out, "end", 1);
    else
        json_put_str(&out, "end", "1");
    return json_end(&out);
}

enum err watch_end_decode(struct slice payload, struct arena *arena, struct watch_end *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct watch_end m = {
        .video_id = json_id(&j, "video_id"),
        .has_pull = json_has(&j, "pull"),
        .pull = json_u32(&j, "pull"),
        .chunk_part = json_u32(&j, "chunk_part"),
        .live = json_is_number(&j, "end"),
    };
    json_require(&j, json_flag(&j, "end"));
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

enum err watch_reply_classify(struct slice payload, enum watch_reply_kind *ret)
{
    enum { CHUNK, STATUS, END, STATEMENT, TITLE, STREAMER, FIELDS_N };
    struct json_peek fields[FIELDS_N] = {
        [CHUNK] = {.key = "chunk"},       [STATUS] = {.key = "status"},
        [END] = {.key = "end"},           [STATEMENT] = {.key = "statement"},
        [TITLE] = {.key = "video_title"}, [STREAMER] = {.key = "streamer_id"},
    };
    enum err err = json_peek(payload, fields, FIELDS_N);
    bool end = false;
    if (err != ERR_OK)
        return err;
    if (slice_starts(fields[CHUNK].value, "\"")) {
        *ret = WATCH_REPLY_PART_JSON;
        return ERR_OK;
    }
    if (json_peek_is(fields[STATUS].value, "error")) {
        *ret = WATCH_REPLY_ERROR;
        return ERR_OK;
    }
    err = json_peek_flag(fields[END].value, &end);
    if (err != ERR_OK)
        return err;
    if (!end && !fields[STATEMENT].value.len && !fields[TITLE].value.len &&
        !fields[STREAMER].value.len)
        return ERR_FORMAT;
    *ret = end ? WATCH_REPLY_END : WATCH_REPLY_INFO;
    return ERR_OK;
}

/* --- joining a live ------------------------------------------------------------------- */

struct slice live_join_encode(const struct live_join *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_id(&out, "video_id", &m->video_id);
    json_put_text(&out, "client_id", m->client_id);
    json_put_str(&out, "action", "watch");
    json_put_blob(&out, "token", m->token);
    return json_end(&out);
}

enum err live_join_decode(struct slice payload, struct arena *arena, struct live_join *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct live_join m = {
        .video_id = json_id(&j, "video_id"),
        .client_id = json_reply_id(&j),
        .token = json_token(&j),
    };
    json_require(&j, slice_eq_str(json_peek_text(&j, "action"), "watch"));
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}
