/* Why: an upload and a live begin the same way, and must not differ in what they sign. */
#include "client/publish.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/date.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANDOM_ID_BYTES = 8 };

static enum exit_status describe_text(const struct option *options, const char *name, size_t max,
                                      struct slice *ret)
{
    struct slice text = slice_str(config_text(options, name));
    if (text.len > max) {
        say("--%s has %zu bytes; %zu is the most", name, text.len, max);
        return STATUS_USAGE;
    }
    *ret = text;
    return STATUS_OK;
}

static const char *picture_type(struct slice bytes)
{
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff}, png[] = {0x89, 'P', 'N', 'G'};
    if (bytes.len > sizeof(jpeg) && memcmp(bytes.ptr, jpeg, sizeof(jpeg)) == 0)
        return "image/jpeg";
    if (bytes.len > sizeof(png) && memcmp(bytes.ptr, png, sizeof(png)) == 0)
        return "image/png";
    if (slice_starts(bytes, "GIF8"))
        return "image/gif";
    if (bytes.len > 12 && slice_starts(bytes, "RIFF") && memcmp(bytes.ptr + 8, "WEBP", 4) == 0)
        return "image/webp";
    return NULL;
}

static enum exit_status describe_thumbnail(struct publication *p, const char *path)
{
    CLEANUP(mem_free_ptr) char *bytes = NULL;
    size_t len;
    enum err err = file_read(path, THUMBNAIL_BYTES_MAX, &bytes, &len);
    if (err != ERR_OK && err != ERR_LIMIT) {
        say("thumbnail %s cannot be read: %s", path, strerror(errno));
        return STATUS_USAGE;
    }
    const char *type = err == ERR_OK ? picture_type(slice_of(bytes, len)) : "image/jpeg";
    if (!type) {
        say("thumbnail %s is no JPEG, PNG, WebP or GIF picture", path);
        return STATUS_USAGE;
    }
    size_t head = strlen("data:;base64,") + strlen(type);
    if (err == ERR_LIMIT || head + b64_text_len(len) > THUMBNAIL_BYTES_MAX) {
        say("thumbnail %s is too large: about %d bytes are the most; make it smaller, such as "
            "160x90",
            path, THUMBNAIL_BYTES_MAX / 4 * 3 - 32);
        return STATUS_USAGE;
    }
    char *text = arena_alloc(&p->arena, head + b64_text_len(len) + 1);
    snprintf(text, head + 1, "data:%s;base64,", type);
    b64_encode(slice_of(bytes, len), text + head);
    p->thumbnail = slice_str(text);
    return STATUS_OK;
}

static enum exit_status describe_id(struct publication *p, const char *text)
{
    uint8_t random[RANDOM_ID_BYTES];
    if (!text) {
        crypto_random(random, sizeof(random));
        hex_encode(slice_of(random, sizeof(random)), p->video.video_id.s);
        return STATUS_OK;
    }
    if (id_parse(slice_str(text), &p->video.video_id) == ERR_OK)
        return STATUS_OK;
    say("--id '%.80s' is no id: 1 to %d of [A-Za-z0-9_-]", text, ID_BYTES_MAX);
    return STATUS_USAGE;
}

static void default_title(struct publication *p, const char *input)
{
    const char *slash = strrchr(input, '/');
    const char *name = strcmp(input, "-") == 0 ? "live" : slash && slash[1] ? slash + 1 : input;
    char *title = arena_alloc(&p->arena, TITLE_BYTES_MAX + 1);
    p->video.title = slice_str(text_safe(slice_str(name), title, TITLE_BYTES_MAX + 1));
}

enum exit_status publication_describe(struct publication *p, const struct option *options,
                                      const char *input, bool live)
{
    struct video *v = &p->video;
    p->topic = live ? TOPIC_LIVE_UPLOAD : TOPIC_UPLOAD;
    p->reply_topic = live ? TOPIC_LIVE_UPLOAD_REPLY : TOPIC_UPLOAD_REPLY;
    v->live = live;
    v->created_us = clock_utc_us();
    crypto_random(v->nonce.b, HASH_BYTES);
    enum exit_status status = describe_id(p, config_text(options, "id"));
    if (status == STATUS_OK)
        status = describe_text(options, "title", TITLE_BYTES_MAX, &v->title);
    if (status == STATUS_OK)
        status = describe_text(options, "description", DESCRIPTION_BYTES_MAX, &v->description);
    if (status == STATUS_OK)
        status = describe_text(options, "category", CATEGORY_BYTES_MAX, &v->category);
    if (status == STATUS_OK && config_text(options, "thumbnail"))
        status = describe_thumbnail(p, config_text(options, "thumbnail"));
    p->delegate.wanted = !p->thumbnail.len && !config_flag(options, "no-delegate");
    if (v->title.len == 0)
        default_title(p, input);
    if (p->thumbnail.len)
        v->thumbnail_hash = hash_of(p->thumbnail, (struct slice){0});
    return status;
}

/* A login elsewhere may have brought a credential of a later epoch than the pin's. */
static enum exit_status load_streamer(struct publication *p, const struct option *options)
{
    enum err err = streamer_load(&p->identity, &p->zone, clock_utc_us(), &p->streamer);
    if (err == ERR_NOT_READY) {
        enum exit_status status = zone_obtain(&p->session, &p->identity, options, true, &p->zone);
        if (status != STATUS_OK)
            return status;
        err = streamer_load(&p->identity, &p->zone, clock_utc_us(), &p->streamer);
    }
    switch (err) {
    case ERR_OK: return STATUS_OK;
    case ERR_UNKNOWN: say("you are not logged in: edgectl login --user NAME"); break;
    case ERR_TIMEOUT: say("your credential is out of date: edgectl login again"); break;
    case ERR_UNAUTHORIZED:
        say("%s/key may be read by others, or the credential is another zone's: chmod 600 the key, "
            "or edgectl login again",
            p->identity.home);
        break;
    default:
        say("key and credential in %s do not belong together: edgectl login again",
            p->identity.home);
        break;
    }
    return STATUS_FAILED;
}

enum exit_status publication_connect(struct publication *p, const struct option *options)
{
    if (identity_open(&p->identity) != ERR_OK) {
        say("set EDGECTL_HOME to the folder of your key: HOME is not set, or too long");
        return STATUS_USAGE;
    }
    enum exit_status status = session_open(&p->session, options);
    if (status == STATUS_OK)
        status = zone_obtain(&p->session, &p->identity, options, false, &p->zone);
    if (status == STATUS_OK)
        status = load_streamer(p, options);
    if (status != STATUS_OK)
        return status;
    p->video.zone_id = p->zone.zone_id;
    p->video.streamer_id = p->streamer.credential.subject;
    follow_open(&p->follow, &p->session, &p->identity, &p->zone);
    renewal_init(&p->renewal, &p->follow, &p->streamer);
    status = publication_judge(p);
    if (status == STATUS_OK)
        renewal_start(&p->renewal);
    if (status == STATUS_OK && session_interrupted())
        status = session_status(&p->session, ERR_CLOSED, "auth_edge (renewal)");
    return status;
}

enum exit_status publication_judge(const struct publication *p)
{
    uint64_t since_us;
    char since[ISO8601_BYTES];
    const struct revocations *list = follow_list(&p->follow);
    if (!list || !revocations_since(list, p->streamer.credential.serial, &since_us))
        return STATUS_OK;
    clock_iso8601(since_us, since);
    say("the credential of %s is revoked since %s; ask the operator of the zone, then log in again",
        p->streamer.credential.subject.s, since);
    return STATUS_UNAUTHORIZED;
}

enum exit_status publication_join(struct publication *p)
{
    enum err err = session_subscribe(&p->session, p->reply_topic, id_slice(&p->edge_id),
                                     id_slice(&p->video.streamer_id));
    return session_status(&p->session, err, p->edge_id.s);
}

void publication_sign(struct publication *p, const struct hash *manifest_hash, uint64_t utc_us)
{
    uint8_t body[VIDEO_OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    struct video *v = &p->video;
    v->revision_us = utc_us > v->revision_us ? utc_us : v->revision_us + 1;
    v->manifest_hash = *manifest_hash;
    video_encode(v, &w);
    CHECK(!w.full);
    struct writer out = writer_of(p->statement, sizeof(p->statement));
    signed_append(&out, OBJECT_VIDEO, slice_of(body, w.len), &p->streamer.key);
    CHECK(!out.full);
    p->statement_len = out.len;
    p->stream = video_stream(v);
}

size_t publication_delegation(const struct publication *p,
                              uint8_t ret[static DELEGATION_OBJECT_BYTES_MAX])
{
    return delegate_sign(&p->delegate, &p->stream, &p->streamer.key, clock_utc_us(), ret);
}

enum err publication_init(struct publication *p)
{
    CLEANUP(arena_release) struct arena arena = {0};
    const struct video *v = &p->video;
    struct upload_init init = {
        .video_id = v->video_id,
        .title = v->title,
        .description = v->description,
        .category = v->category,
        .thumbnail = p->thumbnail,
        .streamer_id = v->streamer_id,
        .streamer_name = p->streamer.credential.display_name,
        .credential = slice_of(p->streamer.bytes, p->streamer.len),
        .statement = slice_of(p->statement, p->statement_len),
    };
    struct request_signer signer = {
        .target = id_slice(&p->edge_id), .ts_us = clock_utc_us(), .key = &p->streamer.key};
    crypto_random(signer.nonce.b, NONCE_BYTES);
    return session_send(&p->session, p->topic, id_slice(&p->edge_id),
                        upload_init_encode(&init, v->live, &signer, &arena));
}

bool publication_believes(struct publication *p, uint64_t now_us)
{
    if (p->doubted)
        return p->asked_again;
    p->doubted = true;
    p->ask_again_us = now_us + SESSION_DOUBT_US;
    return false;
}

bool publication_doubts(struct publication *p, uint64_t now_us)
{
    if (!p->ask_again_us || now_us < p->ask_again_us)
        return false;
    p->ask_again_us = 0;
    p->asked_again = true;
    return true;
}

bool publication_reply(const struct publication *p, const struct topic *topic)
{
    return topic->kind == p->reply_topic && slice_eq(topic->a, id_slice(&p->edge_id)) &&
           slice_eq(topic->b, id_slice(&p->video.streamer_id));
}

bool publication_final(enum err err)
{
    return err != ERR_BUSY && err != ERR_NOT_READY && err != ERR_IO;
}

enum exit_status publication_status(enum err err)
{
    return err == ERR_UNAUTHORIZED ? STATUS_UNAUTHORIZED : STATUS_FAILED;
}

void publication_close(struct publication *p)
{
    follow_close(&p->follow);
    if (p->session.bus)
        session_close(&p->session);
    arena_release(&p->arena);
    crypto_wipe(&p->streamer.key, sizeof(p->streamer.key));
}
