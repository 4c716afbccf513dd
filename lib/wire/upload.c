#include "wire/upload.h"

#include "base/check.h"
#include "wire/signed.h"

/*
 * Uploads and lives, from the streamer's side: init, parts in JSON, the end,
 * and what the edge answers.
 *
 *   I1  part_json_decode gives a packet that part_decode takes and that the fields do not
 * contradict. I2  no message of part_json_encode is longer than PACKET_BYTES_MAX.
 */

/* --- init ------------------------------------------------------------------------ */

struct slice upload_init_encode(const struct upload_init *m, bool live,
                                const struct request_signer *signer, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_id(&out, "video_id", &m->video_id);
    json_put_text(&out, "video_nom", m->title);
    json_put_text(&out, "description", m->description);
    json_put_text(&out, "category", m->category);
    json_put_text(&out, "thumbnail", m->thumbnail);
    if (live) {
        json_put_uint(&out, "end", 0);
    } else {
        json_put_uint(&out, "init", 1);
        json_put_str(&out, "end", "0");
    }
    json_put_id(&out, "streamer_id", &m->streamer_id);
    json_put_text(&out, "streamer_nom", m->streamer_name);
    json_put_blob(&out, "credential", m->credential);
    json_put_blob(&out, "statement", m->statement);
    return signed_end(&out, live ? "live/upload" : "video/upload", signer);
}

enum err upload_init_decode(struct slice payload, struct arena *arena, struct upload_init *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct upload_init m = {
        .video_id = json_id(&j, "video_id"),
        .title = json_text(&j, "video_nom", TITLE_BYTES_MAX),
        .description = json_text(&j, "description", DESCRIPTION_BYTES_MAX),
        .category = json_text(&j, "category", CATEGORY_BYTES_MAX),
        .thumbnail = json_loose_text(&j, "thumbnail", THUMBNAIL_BYTES_MAX),
        .streamer_id = json_id(&j, "streamer_id"),
        .streamer_name = json_text(&j, "streamer_nom", NAME_BYTES_MAX),
        .credential = json_blob(&j, "credential", CREDENTIAL_OBJECT_BYTES_MAX),
        .statement = json_blob(&j, "statement", VIDEO_OBJECT_BYTES_MAX),
    };
    signed_read(&j, &m.signature);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* --- end ------------------------------------------------------------------------- */

struct slice upload_end_encode(const struct upload_end *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_id(&out, "video_id", &m->video_id);
    json_put_id(&out, "streamer_id", &m->streamer_id);
    json_put_uint(&out, "init", 0);
    json_put_str(&out, "end", "1");
    json_put_blob(&out, "manifest", m->manifest);
    json_put_blob(&out, "statement", m->statement);
    json_put_blob(&out, "delegation", m->delegation);
    return json_end(&out);
}

enum err upload_end_decode(struct slice payload, struct arena *arena, struct upload_end *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct upload_end m = {
        .video_id = json_id(&j, "video_id"),
        .streamer_id = json_id(&j, "streamer_id"),
        .manifest = json_blob(&j, "manifest", MANIFEST_OBJECT_BYTES_MAX),
        .statement = json_blob(&j, "statement", VIDEO_OBJECT_BYTES_MAX),
        .delegation = json_blob(&j, "delegation", DELEGATION_OBJECT_BYTES_MAX),
    };
    json_require(&j, json_flag(&j, "end") && m.manifest.len > 0 && m.statement.len > 0);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* --- delegation -------------------------------------------------------------------- */

struct slice upload_delegation_encode(const struct upload_delegation *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_id(&out, "video_id", &m->video_id);
    json_put_id(&out, "streamer_id", &m->streamer_id);
    json_put_blob(&out, "delegation", m->delegation);
    return json_end(&out);
}

enum err upload_delegation_decode(struct slice payload, struct arena *arena,
                                  struct upload_delegation *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct upload_delegation m = {
        .video_id = json_id(&j, "video_id"),
        .streamer_id = json_id(&j, "streamer_id"),
        .delegation = json_blob(&j, "delegation", DELEGATION_OBJECT_BYTES_MAX),
    };
    json_require(&j, m.delegation.len > 0);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* --- acknowledgement ---------------------------------------------------------------- */

struct slice upload_ack_encode(const struct upload_ack *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_str(&out, "status", "ok");
    json_put_id(&out, "video_id", &m->video_id);
    if (m->has_part) {
        json_put_uint(&out, "chunk_part", m->chunk_part);
        json_put_uint(&out, "packet_index", m->packet_index);
    }
    json_put_uint(&out, "next", m->next);
    json_put_uint(&out, "next_part", m->next_part);
    json_put_uint(&out, "window_bytes", m->window_bytes);
    json_put_id(&out, "EDGE_ID", &m->edge_id);
    json_put_blob(&out, "receipt", m->receipt);
    json_put_blob(&out, "edge_credential", m->edge_credential);
    return json_end(&out);
}

enum err upload_ack_decode(struct slice payload, struct arena *arena, struct upload_ack *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct upload_ack m = {
        .video_id = json_id(&j, "video_id"),
        .edge_id = json_id(&j, "EDGE_ID"),
        .has_part = json_has(&j, "chunk_part") && json_has(&j, "packet_index"),
        .next = json_u32(&j, "next"),
        .next_part = json_u32(&j, "next_part"),
        .window_bytes = json_u32(&j, "window_bytes"),
        .receipt = json_blob(&j, "receipt", RECEIPT_OBJECT_BYTES_MAX),
        .edge_credential = json_blob(&j, "edge_credential", CREDENTIAL_OBJECT_BYTES_MAX),
    };
    if (m.has_part) {
        m.chunk_part = json_u32(&j, "chunk_part");
        m.packet_index = json_u32(&j, "packet_index");
    }
    json_require(&j, json_has(&j, "next"));
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* --- what a payload is ----------------------------------------------------------------- */

static enum err classify_json(struct slice payload, bool live, enum upload_kind *ret)
{
    enum { CHUNK, INIT, END, MANIFEST, DELEGATION, FIELDS_N };
    struct json_peek fields[FIELDS_N] = {
        [CHUNK] = {.key = "chunk"},
        [INIT] = {.key = "init"},
        [END] = {.key = "end"},
        [MANIFEST] = {.key = "manifest"},
        [DELEGATION] = {.key = "delegation"},
    };
    bool init = false, end = false;
    enum err err = json_peek(payload, fields, FIELDS_N);
    if (err != ERR_OK)
        return err;
    if (slice_starts(fields[CHUNK].value, "\"")) {
        *ret = UPLOAD_PART_JSON;
        return ERR_OK;
    }
    if (json_peek_flag(fields[INIT].value, &init) != ERR_OK ||
        json_peek_flag(fields[END].value, &end) != ERR_OK)
        return ERR_FORMAT;
    if (!fields[INIT].value.len && !fields[END].value.len &&
        slice_starts(fields[DELEGATION].value, "\""))
        *ret = UPLOAD_DELEGATION;
    else if (live ? !end : init)
        *ret = UPLOAD_INIT;
    else if (end)
        *ret = slice_starts(fields[MANIFEST].value, "\"") ? UPLOAD_END : UPLOAD_END_UNSIGNED;
    else
        return ERR_FORMAT;
    return ERR_OK;
}

enum err upload_classify(struct slice payload, bool live, enum upload_kind *ret)
{
    if (slice_starts(payload, "{"))
        return classify_json(payload, live, ret);
    if (!part_is(payload))
        return ERR_FORMAT;
    *ret = UPLOAD_PART_BINARY;
    return ERR_OK;
}

/* --- parts in JSON ------------------------------------------------------------------------ */

static bool agrees(struct json *j, const char *key, uint32_t value)
{
    return !json_has(j, key) || json_u32(j, key) == value;
}

/* The packet in `chunk`, decoded straight into a message: the one copy on the way in. */
static struct msg *packet_read(struct json *j, struct budget *budget)
{
    struct slice text = json_peek_text(j, "chunk");
    json_require(j, text.len >= 4);
    if (j->err != ERR_OK)
        return NULL;
    size_t len = text.len / 4 * 3, decoded = 0;
    for (size_t i = 1; i <= 2; i++)
        len -= text.ptr[text.len - i] == '=';
    uint8_t *bytes;
    struct msg *msg = msg_alloc(len, budget, &bytes);
    if (!msg) {
        json_fail(j, ERR_LIMIT);
        return NULL;
    }
    enum err err = b64_decode(text, bytes, len, &decoded);
    if (err != ERR_OK)
        json_fail(j, err);
    json_require(j, decoded == len);
    return msg;
}

static void packet_check(struct json *j, const struct msg *msg)
{
    struct part part;
    enum err err = part_decode(msg->payload, &part);
    if (err != ERR_OK) {
        json_fail(j, err);
        return;
    }
    json_require(j, json_has(j, "chunk_part"));
    json_require(j, agrees(j, "chunk_part", part.chunk.number));
    json_require(j, agrees(j, "packet_index", part.index));
    json_require(j, agrees(j, "total_packets", part.chunk.parts_n));
}

enum err part_json_decode(struct slice payload, struct budget *budget, struct id *ret_video_id,
                          struct msg **ret_msg)
{
    struct arena arena CLEANUP(arena_release) = {0};
    struct json j CLEANUP(json_close) = json_open_object(payload, &arena);
    struct id video_id = json_id(&j, "video_id");
    struct msg *msg CLEANUP(msg_unref_ptr) = packet_read(&j, budget);
    if (j.err == ERR_OK)
        packet_check(&j, msg);
    if (j.err != ERR_OK)
        return j.err;
    *ret_video_id = video_id;
    *ret_msg = msg;
    msg = NULL;
    return ERR_OK;
}

static void part_write(struct json_out *out, const struct part_json *m, unsigned fragment,
                       unsigned fragments)
{
    size_t half = (m->packet.len + 1) / 2;
    struct slice chunk = m->packet;
    if (fragments > 1)
        chunk = fragment ? slice_from(m->packet, half) : slice_of(m->packet.ptr, half);
    json_put_id(out, "video_id", &m->video_id);
    json_put_some(out, "video_title", m->video_title);
    json_put_str(out, "end", m->end ? "1" : "0");
    json_put_uint(out, "chunk_part", m->number);
    json_put_blob(out, "chunk", chunk);
    json_put_uint(out, "packet_index", m->index);
    json_put_uint(out, "total_packets", m->parts_n);
    if (fragments > 1) {
        json_put_uint(out, "fragment", fragment);
        json_put_uint(out, "fragments", fragments);
    }
}

static size_t part_text_len(const struct part_json *m, unsigned fragment, unsigned fragments)
{
    struct json_out out = json_count();
    part_write(&out, m, fragment, fragments);
    return out.len + 1;
}

unsigned part_json_messages(const struct part_json *m)
{
    return part_text_len(m, 0, 1) <= PACKET_BYTES_MAX ? 1 : 2;
}

struct slice part_json_encode(const struct part_json *m, unsigned fragment, struct arena *arena)
{
    unsigned fragments = part_json_messages(m);
    CHECK(fragment < fragments);
    size_t len = part_text_len(m, fragment, fragments);
    CHECK(len <= PACKET_BYTES_MAX);
    struct json_out out = json_begin(arena, len);
    part_write(&out, m, fragment, fragments);
    return json_end(&out);
}
