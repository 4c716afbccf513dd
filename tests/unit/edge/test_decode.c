/* From bytes to events: every kind of message, and everything that can be wrong with it. */
#include "base/mem.h"
#include "edge/decode.h"
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct budget budget = {.max_bytes = 1024 * 1024};
static struct decoder decoder = {.budget = &budget};
static struct trust_view *view;
static struct reel *film, *live;
static struct arena arena;

static void trust(const struct reel *r, enum stream_use use)
{
    struct trusted_stream s = {.stream = r->stream, .signer = r->streamer->key.pk, .use = use};
    struct trust_view *old = view;
    view = trust_view_with(old, &s);
    trust_view_unref(old);
}

static int group_setup(void **state)
{
    scene_cast(state);
    decoder.self = stage_id("edge1");
    film = scene_film("video1", 2, 3 * REEL_PART_BYTES);
    live = reel_new(&alice, "live1", 1, true);
    reel_fill(live, 2, 100);
    view = scene_view();
    trust(film, STREAM_UPLOAD);
    trust(live, STREAM_LIVE);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    reel_free(film);
    reel_free(live);
    trust_view_unref(view);
    arena_release(&arena);
    assert_int_equal(budget.alive_bytes, 0);
    return 0;
}

/* ---- helpers ---- */

static struct event *decoded(const char *topic, struct slice payload)
{
    return decode(&decoder, view, msg_new(slice_str(topic), payload, NULL));
}

static void expect_kind(const char *topic, struct slice payload, enum event_kind kind)
{
    struct event *ev = decoded(topic, payload);
    if (ev->kind != kind)
        fail_msg("%s: kind %d, not %d (%s) %.*s", topic, ev->kind, kind,
                 ev->kind == EVENT_REJECTED ? ev->u.rejection.what : "", SLICE_FMT(payload));
    event_free(ev);
}

/* A rejection; reply_id NULL: with nobody to tell. */
static void expect_rejected(const char *topic, struct slice payload, enum err err,
                            enum topic_kind reply, const char *reply_id)
{
    struct event *ev = decoded(topic, payload);
    const struct rejection *r = &ev->u.rejection;
    assert_int_equal(ev->kind, EVENT_REJECTED);
    if (r->err != err)
        fail_msg("%s, not %s: %s (%.*s)", err_name(r->err), err_name(err), r->what,
                 SLICE_FMT(payload));
    assert_non_null(r->what);
    assert_int_equal(r->answer, reply_id != NULL);
    if (reply_id) {
        assert_int_equal(r->reply_kind, reply);
        assert_true(slice_eq_str(r->reply_id, reply_id));
    }
    event_free(ev);
}

/* text with the first `from` replaced by `to`. */
static struct slice replaced(struct slice text, const char *from, const char *to)
{
    const uint8_t *at = memmem(text.ptr, text.len, from, strlen(from));
    assert_non_null(at);
    size_t before = (size_t)(at - text.ptr);
    size_t len = text.len - strlen(from) + strlen(to);
    uint8_t *out = arena_alloc(&arena, len);
    memcpy(out, text.ptr, before);
    memcpy(out + before, to, strlen(to));
    memcpy(out + before + strlen(to), at + strlen(from), text.len - before - strlen(from));
    return slice_of(out, len);
}

/* bytes with one of them changed. */
static struct slice flipped(struct slice bytes, size_t at)
{
    struct slice copy = arena_copy(&arena, bytes);
    assert_true(at < bytes.len);
    ((uint8_t *)copy.ptr)[at] ^= 1;
    return copy;
}

/* ---- init ---- */

static struct upload_init init_of(const struct reel *r)
{
    return (struct upload_init){.video_id = r->video.video_id,
                                .title = r->video.title,
                                .description = r->video.description,
                                .category = r->video.category,
                                .thumbnail = r->thumbnail,
                                .streamer_id = r->streamer->id,
                                .streamer_name = slice_str("Alice"),
                                .credential = member_credential(r->streamer),
                                .statement = r->statement};
}

static struct slice signed_init(const struct upload_init *m, bool is_live, const char *target,
                                const struct member *by)
{
    struct request_signer signer = {
        .target = slice_str(target), .ts_us = REEL_UTC_US, .key = &by->key};
    return upload_init_encode(m, is_live, &signer, &arena);
}

static void test_init(void **state)
{
    (void)state;
    struct upload_init m = init_of(film);
    struct event *ev = decoded("video/upload/edge1", signed_init(&m, false, "edge1", &alice));
    assert_int_equal(ev->kind, EVENT_UPLOAD_INIT);
    const struct verified_init *v = &ev->u.init;
    assert_true(hash_eq(&v->stream, &film->stream));
    assert_true(id_eq(&v->credential.subject, &alice.id));
    assert_int_equal(v->auth.ts_us, REEL_UTC_US);
    assert_true(slice_eq(v->init.thumbnail, film->thumbnail));
    struct slice body = slice_of(film->statement.ptr, film->statement.len - SIGNATURE_BYTES);
    struct hash hash = object_hash(OBJECT_VIDEO, body);
    assert_true(hash_eq(&v->statement_hash, &hash));
    event_free(ev);
    m = init_of(live);
    expect_kind("live/upload/edge1", signed_init(&m, true, "edge1", &alice), EVENT_LIVE_INIT);
    m.streamer_name = (struct slice){0};
    expect_kind("live/upload/edge1", signed_init(&m, true, "edge1", &alice), EVENT_LIVE_INIT);
}

static void init_refused(const struct upload_init *m, enum err err)
{
    expect_rejected("video/upload/edge1", signed_init(m, false, "edge1", &alice), err,
                    TOPIC_UPLOAD_REPLY, m->streamer_id.s);
}

/* Signed as it stands, but not what the statement or the credential says. */
static void test_init_fields(void **state)
{
    (void)state;
    struct upload_init m = init_of(film);
    m.video_id = stage_id("video2");
    init_refused(&m, ERR_FORMAT);
    m = init_of(film);
    m.streamer_id = bob.id;
    init_refused(&m, ERR_FORMAT);
    m = init_of(film);
    m.title = slice_str("Another title");
    init_refused(&m, ERR_FORMAT);
    m = init_of(film);
    m.description = (struct slice){0};
    init_refused(&m, ERR_FORMAT);
    m = init_of(film);
    m.category = slice_str("gaming");
    init_refused(&m, ERR_FORMAT);
    m = init_of(film);
    m.thumbnail = slice_str("thumb2.jpg");
    init_refused(&m, ERR_FORMAT);
    m.thumbnail = (struct slice){0};
    init_refused(&m, ERR_FORMAT);
    m = init_of(film);
    m.credential = (struct slice){0};
    init_refused(&m, ERR_UNAUTHORIZED);
    m.credential = flipped(member_credential(&alice), alice.credential_len - 1);
    init_refused(&m, ERR_SIGNATURE);
    m.credential = flipped(member_credential(&alice), 0); /* the version */
    init_refused(&m, ERR_FORMAT);
    m.credential = member_credential(&bob); /* another's */
    init_refused(&m, ERR_SIGNATURE);
    m = init_of(film);
    m.statement = (struct slice){0};
    init_refused(&m, ERR_UNAUTHORIZED);
    m.statement = flipped(film->statement, film->statement.len - 1);
    init_refused(&m, ERR_SIGNATURE);
    m.statement = slice_of(film->statement.ptr, film->statement.len - 1);
    init_refused(&m, ERR_FORMAT);
}

static void test_init_of_another_zone(void **state)
{
    (void)state;
    struct upload_init m = init_of(film);
    struct video video = film->video;
    video.zone_id = stage_id("zone2");
    m.statement = reel_video_object(&arena, &video, &alice.key);
    init_refused(&m, ERR_FORMAT);
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct credential c = {.kind = CREDENTIAL_STREAMER,
                           .subject = alice.id,
                           .pk = alice.key.pk,
                           .zone_id = stage_id("zone2"),
                           .key_epoch = 1,
                           .not_after_us = UINT64_MAX};
    credential_encode(&c, &w);
    m = init_of(film);
    m.credential = reel_object(&arena, OBJECT_CREDENTIAL, &w, &bob.key);
    init_refused(&m, ERR_UNAUTHORIZED);
}

static void test_init_auth(void **state)
{
    (void)state;
    struct upload_init m = init_of(film);
    struct slice good = signed_init(&m, false, "edge1", &alice);
    expect_kind("video/upload/edge1", good, EVENT_UPLOAD_INIT);
    struct slice bad[] = {
        signed_init(&m, false, "edge2", &alice),                      /* for another edge */
        signed_init(&m, false, "edge1", &bob),                        /* by another key */
        replaced(good, "Alice", "Alicf"),                             /* changed on the way */
        replaced(good, "{\"video_id\"", "{\"extra\":1,\"video_id\""), /* added */
        replaced(good, "\"init\":1", "\"init\":true"),                /* another spelling */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_rejected("video/upload/edge1", bad[i], ERR_SIGNATURE, TOPIC_UPLOAD_REPLY, "alice");
    expect_rejected("video/upload/edge1", upload_init_encode(&m, false, NULL, &arena),
                    ERR_UNAUTHORIZED, TOPIC_UPLOAD_REPLY, "alice");
    expect_rejected("live/upload/edge1", good, ERR_SIGNATURE, TOPIC_LIVE_UPLOAD_REPLY, "alice");
}

static void test_init_before_enrolment(void **state)
{
    (void)state;
    struct upload_init m = init_of(film);
    struct trust_view *full = view;
    view = trust_view_new();
    expect_rejected("video/upload/edge1", signed_init(&m, false, "edge1", &alice), ERR_NOT_READY,
                    TOPIC_UPLOAD_REPLY, "alice");
    trust_view_unref(view);
    view = full;
}

static void test_not_json(void **state)
{
    (void)state;
    struct upload_init m = init_of(film);
    struct slice good = signed_init(&m, false, "edge1", &alice);
    for (size_t len = 0; len < good.len; len += 7)
        expect_rejected("video/upload/edge1", slice_of(good.ptr, len), ERR_FORMAT,
                        TOPIC_UPLOAD_REPLY, NULL);
    static const char *const texts[] = {"",
                                        "x",
                                        "{",
                                        "[]",
                                        "null",
                                        "{}",
                                        "{\"init\":1}",
                                        "{\"init\":[1]}",
                                        "{\"end\":\"1\",\"end\":\"2\"}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct event *ev = decoded("video/upload/edge1", slice_str(texts[i]));
        assert_true(ev->kind == EVENT_REJECTED || ev->kind == EVENT_LIVE_END_UNSIGNED);
        event_free(ev);
    }
    expect_rejected("video/upload/edge1", slice_str("{\"init\":1,\"streamer_id\":\"alice\"}"),
                    ERR_FORMAT, TOPIC_UPLOAD_REPLY, "alice");
}

/* ---- parts ---- */

static void test_part(void **state)
{
    (void)state;
    struct event *ev = decoded("video/upload/edge1", film->parts[2].packet->payload);
    assert_int_equal(ev->kind, EVENT_PART);
    const struct part_event *p = &ev->u.part;
    assert_ptr_equal(p->packet, ev->msg);
    assert_ptr_equal(p->original, ev->msg);
    assert_int_equal(ev->msg->refs, 3);
    assert_false(p->json);
    assert_int_equal(p->topic, TOPIC_UPLOAD);
    assert_true(hash_eq(&p->statement_hash, &film->parts[2].statement_hash));
    event_free(ev);
    expect_kind("live/upload/edge1", live->parts[0].packet->payload, EVENT_PART);
    expect_kind("video/watch/edge2/edge1", film->parts[0].packet->payload, EVENT_PART);
}

/* One flipped bit, wherever it is: never a part, and the streamer is told when it is known whose.
 */
static void test_part_flipped(void **state)
{
    (void)state;
    struct slice good = film->parts[2].packet->payload;
    size_t head = good.len - film->parts[2].part.payload.len;
    for (size_t at = 0; at < good.len; at += at < head ? 1 : 97) {
        struct event *ev = decoded("video/upload/edge1", flipped(good, at));
        const struct rejection *r = &ev->u.rejection;
        assert_int_equal(ev->kind, EVENT_REJECTED);
        assert_false(r->answer);
        if (at < 4 + 2 + 1)
            assert_true(r->err == ERR_FORMAT || r->err == ERR_LIMIT);
        else if (at < 4 + 2 + 1 + HASH_BYTES)
            assert_int_equal(r->err, ERR_NOT_READY);
        else
            assert_true(r->err == ERR_FORMAT || r->err == ERR_LIMIT || r->err == ERR_SIGNATURE ||
                        r->err == ERR_UNAUTHORIZED);
        if (at >= head)
            assert_int_equal(r->err, ERR_SIGNATURE);
        if (r->err == ERR_SIGNATURE || r->err == ERR_UNAUTHORIZED)
            assert_true(r->has_stream && hash_eq(&r->stream, &film->stream) && r->chunk_part > 0);
        event_free(ev);
        arena_reset(&arena);
    }
}

static void test_part_lengths(void **state)
{
    (void)state;
    struct slice good = film->parts[0].packet->payload;
    for (size_t len = 4; len < good.len; len += 13)
        expect_rejected("video/upload/edge1", slice_of(good.ptr, len), ERR_FORMAT, TOPIC_DB, NULL);
    uint8_t *longer = arena_alloc(&arena, good.len + 1);
    memcpy(longer, good.ptr, good.len);
    expect_rejected("video/upload/edge1", slice_of(longer, good.len + 1), ERR_FORMAT, TOPIC_DB,
                    NULL);
}

static void test_part_of_others(void **state)
{
    (void)state;
    struct reel *other = reel_new(&alice, "video2", 1, false);
    reel_fill(other, 1, 100);
    expect_rejected("video/upload/edge1", other->parts[0].packet->payload, ERR_NOT_READY, TOPIC_DB,
                    NULL);
    struct reel *foreign = reel_new(&bob, "video1", 1, false);
    foreign->cutter.stream = film->stream; /* bob signs into the stream of alice */
    reel_fill(foreign, 1, 100);
    struct event *ev = decoded("video/upload/edge1", foreign->parts[0].packet->payload);
    assert_int_equal(ev->kind, EVENT_REJECTED);
    assert_int_equal(ev->u.rejection.err, ERR_UNAUTHORIZED);
    assert_true(ev->u.rejection.has_stream);
    event_free(ev);
    reel_free(other);
    reel_free(foreign);
}

static struct slice part_text(const struct reel *r, size_t i)
{
    const struct part *p = &r->parts[i].part;
    struct part_json m = {.video_id = r->video.video_id,
                          .packet = r->parts[i].packet->payload,
                          .number = p->chunk.number,
                          .index = p->index,
                          .parts_n = p->chunk.parts_n};
    assert_int_equal(part_json_messages(&m), 1);
    return part_json_encode(&m, 0, &arena);
}

static void test_part_json(void **state)
{
    (void)state;
    struct slice good = part_text(film, 2);
    struct event *ev = decoded("video/upload/edge1", good);
    assert_int_equal(ev->kind, EVENT_PART);
    assert_true(ev->u.part.json && id_eq(&ev->u.part.video_id, &film->video.video_id));
    assert_true(slice_eq(ev->u.part.packet->payload, film->parts[2].packet->payload));
    assert_ptr_equal(ev->u.part.original, ev->msg);
    assert_true(budget.alive_bytes > 0);
    event_free(ev);
    assert_int_equal(budget.alive_bytes, 0);
    struct slice bad[] = {
        replaced(good, "\"chunk_part\":2", "\"chunk_part\":3"),
        replaced(good, "\"packet_index\":1", "\"packet_index\":0"),
        replaced(good, "\"total_packets\":3", "\"total_packets\":4"),
        replaced(good, "\"chunk\":\"", "\"chunk\":\"A"),
        replaced(good, "\"video_id\":\"video1\"", "\"video_id\":\"vid/1\""),
        replaced(good, "\"video_id\":\"video1\",", ""),
        slice_str("{\"video_id\":\"video1\",\"chunk_part\":1,\"chunk\":\"\"}"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ev = decoded("video/upload/edge1", bad[i]);
        assert_int_equal(ev->kind, EVENT_REJECTED);
        assert_int_equal(ev->u.rejection.err, ERR_FORMAT);
        assert_true(ev->u.rejection.by_video);
        event_free(ev);
    }
    expect_kind("video/upload/edge1", replaced(good, ",\"packet_index\":1", ""), EVENT_PART);
    budget.max_bytes = 1000;
    ev = decoded("video/upload/edge1", good);
    assert_int_equal(ev->u.rejection.err, ERR_LIMIT);
    event_free(ev);
    budget.max_bytes = 1024 * 1024;
}

/* ---- the end ---- */

static struct slice end_text(struct slice manifest, struct slice statement, const char *video_id)
{
    struct upload_end m = {.video_id = stage_id(video_id),
                           .streamer_id = alice.id,
                           .manifest = manifest,
                           .statement = statement};
    return upload_end_encode(&m, &arena);
}

static void end_refused(struct slice text, enum err err)
{
    expect_rejected("video/upload/edge1", text, err, TOPIC_UPLOAD_REPLY, "alice");
}

static void test_end(void **state)
{
    (void)state;
    struct slice manifest = film->manifest_bytes;
    struct slice statement = film->final_statement;
    expect_kind("video/upload/edge1", end_text(manifest, statement, "video1"), EVENT_UPLOAD_END);
    end_refused(end_text(flipped(manifest, manifest.len - 1), statement, "video1"), ERR_SIGNATURE);
    end_refused(end_text(flipped(manifest, 40), statement, "video1"), ERR_SIGNATURE);
    end_refused(end_text(manifest, flipped(statement, statement.len - 1), "video1"), ERR_SIGNATURE);
    end_refused(end_text(manifest, statement, "video2"), ERR_FORMAT);
    end_refused(end_text(manifest, film->statement, "video1"), ERR_FORMAT); /* the first one */
    struct reel *other = reel_new(&alice, "video1", 2, false);
    reel_fill(other, 1, 100);
    reel_finish(other);
    end_refused(end_text(manifest, other->final_statement, "video1"), ERR_NOT_READY);
    end_refused(end_text(other->manifest_bytes, statement, "video1"), ERR_FORMAT);
    reel_free(other);
    expect_kind("live/upload/edge1", slice_str("{\"video_id\":\"live1\",\"end\":1}"),
                EVENT_LIVE_END_UNSIGNED);
}

/* ---- everything else ---- */

static void test_topics(void **state)
{
    (void)state;
    static const char ping[] = "{\"client_id\":\"c1\"}";
    static const char *const wrong[] = {"",
                                        "video",
                                        "video/upload",
                                        "auth/zone",
                                        "x/y",
                                        "video/request/ping/c1",
                                        "live/watch/edge1/live1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        expect_rejected(wrong[i], slice_str(ping), ERR_FORMAT, TOPIC_DB, NULL);
    expect_kind("video/request/ping", slice_str(ping), EVENT_PING);
    decoder.prefix = slice_str("here");
    expect_kind("here/video/request/ping", slice_str(ping), EVENT_PING);
    expect_rejected("video/request/ping", slice_str(ping), ERR_FORMAT, TOPIC_DB, NULL);
    decoder.prefix = (struct slice){0};
    uint8_t *large = mem_alloc(PACKET_BYTES_MAX + 1);
    memset(large, ' ', PACKET_BYTES_MAX + 1);
    memcpy(large, ping, strlen(ping));
    expect_kind("video/request/ping", slice_of(large, PACKET_BYTES_MAX), EVENT_PING);
    expect_rejected("video/request/ping", slice_of(large, PACKET_BYTES_MAX + 1), ERR_LIMIT,
                    TOPIC_DB, NULL);
    free(large);
}

static void test_viewers(void **state)
{
    (void)state;
    struct watch_request m = {
        .client_id = slice_str("c1"), .video_id = stage_id("video1"), .pull = 3, .credit_bytes = 9};
    for (enum watch_kind kind = WATCH_INIT; kind <= WATCH_CREDIT; kind++) {
        m.kind = kind;
        struct event *ev = decoded("video/watch/edge1", watch_request_encode(&m, &arena));
        assert_int_equal(ev->kind, EVENT_WATCH);
        assert_int_equal(ev->u.watch.kind, kind);
        event_free(ev);
    }
    expect_rejected("video/watch/edge1", slice_str("{\"client_id\":\"c1\",\"init\":\"1\"}"),
                    ERR_FORMAT, TOPIC_WATCH_REPLY, "c1");
    expect_rejected("video/watch/edge1", slice_str("{\"video_id\":\"video1\",\"init\":\"1\"}"),
                    ERR_FORMAT, TOPIC_WATCH_REPLY, NULL);
    struct live_join join = {.client_id = slice_str("c1"), .video_id = stage_id("live1")};
    struct slice text = live_join_encode(&join, &arena);
    expect_kind("live/watch/edge1", text, EVENT_JOIN);
    expect_rejected("live/watch/edge1", replaced(text, "\"watch\"", "\"leave\""), ERR_FORMAT,
                    TOPIC_WATCH_REPLY, "c1");
    struct list_request list = {.client_id = slice_str("c1"), .paged = true, .limit = 5};
    text = list_request_encode(&list, &arena);
    expect_kind("video/liste/edge1", text, EVENT_LIST);
    expect_rejected("video/liste/edge1", replaced(text, "5", "[5]"), ERR_FORMAT, TOPIC_LIST_REPLY,
                    "c1");
    expect_rejected("video/request/ping", slice_str("{\"client_id\":7}"), ERR_FORMAT, TOPIC_DB,
                    NULL);
}

static void test_watch_replies(void **state)
{
    (void)state;
    struct watch_info info = {.video_id = film->video.video_id,
                              .title = slice_str("A title"),
                              .edge_id = slice_str("edge2"),
                              .streamer_id = alice.id,
                              .statement = film->statement};
    struct watch_end end = {.video_id = film->video.video_id, .has_pull = true, .pull = 7};
    struct wire_error error = {.code = CODE_BUSY, .video_id = slice_str("video1")};
    struct event *ev = decoded("video/watch/edge2/edge1", watch_info_encode(&info, &arena));
    assert_int_equal(ev->kind, EVENT_WATCH_INFO);
    assert_string_equal(ev->u.watch_info.source.s, "edge2");
    event_free(ev);
    ev = decoded("video/watch/edge2/edge1", watch_end_encode(&end, &arena));
    assert_int_equal(ev->kind, EVENT_WATCH_END);
    assert_int_equal(ev->u.watch_end.end.pull, 7);
    event_free(ev);
    ev = decoded("video/watch/edge2/edge1", wire_error_encode(&error, &arena));
    assert_int_equal(ev->kind, EVENT_WATCH_ERROR);
    assert_int_equal(ev->u.watch_error.error.code, CODE_BUSY);
    event_free(ev);
    expect_rejected("video/watch/edge2/edge3", watch_end_encode(&end, &arena), ERR_FORMAT, TOPIC_DB,
                    NULL);
    expect_rejected("video/watch/edge2/edge1", part_text(film, 0), ERR_FORMAT, TOPIC_DB, NULL);
    expect_rejected("video/watch/edge2/edge1", slice_str("{}"), ERR_FORMAT, TOPIC_DB, NULL);
    expect_rejected("video/watch/edge2/edge1", (struct slice){0}, ERR_FORMAT, TOPIC_DB, NULL);
}

/* ---- receipts that travel ---- */

static struct slice receipt_by(const struct member *edge, uint64_t time_us, const char *edge_id)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct receipt r = {.zone_id = film->video.zone_id,
                        .edge_id = stage_id(edge_id),
                        .stream = film->stream,
                        .last_chunk = 2,
                        .time_us = time_us};
    receipt_encode(&r, &w);
    return reel_object(&arena, OBJECT_RECEIPT, &w, &edge->key);
}

static bool receipt_holds(struct slice receipt, struct slice credential)
{
    struct watch_info info = {.video_id = film->video.video_id,
                              .edge_id = slice_str("edge2"),
                              .streamer_id = alice.id,
                              .statement = film->statement,
                              .receipt = receipt,
                              .receipt_credential = credential};
    struct event *ev = decoded("video/watch/edge2/edge1", watch_info_encode(&info, &arena));
    assert_int_equal(ev->kind, EVENT_WATCH_INFO); /* whatever the receipt is */
    bool holds = ev->u.watch_info.receipt_holds;
    if (holds)
        assert_true(hash_eq(&ev->u.watch_info.receipt.stream, &film->stream) &&
                    ev->u.watch_info.receipt_serial == REEL_SERIAL);
    event_free(ev);
    return holds;
}

static void test_receipts(void **state)
{
    (void)state;
    struct slice edge = member_credential(&edge2);
    struct slice good = receipt_by(&edge2, REEL_UTC_US, "edge2");
    assert_true(receipt_holds(good, edge));
    assert_false(receipt_holds((struct slice){0}, edge));
    assert_false(receipt_holds(good, (struct slice){0}));
    assert_false(receipt_holds(flipped(good, good.len - 1), edge));
    assert_false(receipt_holds(good, flipped(edge, edge.len - 1)));
    assert_false(receipt_holds(receipt_by(&alice, REEL_UTC_US, "alice"),
                               member_credential(&alice))); /* no edge */
    assert_false(receipt_holds(receipt_by(&edge2, REEL_UTC_US, "edge3"), edge));
    assert_false(receipt_holds(receipt_by(&edge2, REEL_UTC_US + REEL_DAY_US, "edge2"), edge));
    assert_false(receipt_holds(receipt_by(&edge2, REEL_UTC_US - REEL_DAY_US - 1, "edge2"), edge));
}

static void test_edges(void **state)
{
    (void)state;
    struct edge_status status = {.edge_id = edge2.id, .online = true};
    struct slice text = edge_status_encode(&status, &arena);
    expect_kind("edge/status/edge2", text, EVENT_EDGE_STATUS);
    expect_rejected("edge/status/edge3", text, ERR_FORMAT, TOPIC_DB, NULL);
    expect_rejected("edge/status/edge2", replaced(text, "online", "onlyne"), ERR_FORMAT, TOPIC_DB,
                    NULL);
    struct db_request request = {.edge_id = edge2.id};
    expect_kind("db", db_request_encode(&request, &arena), EVENT_DB_REQUEST);
    expect_rejected("db", slice_str("{\"ID\":\"a b\"}"), ERR_FORMAT, TOPIC_DB, NULL);
    struct zone_reply reply = {.edge_id = edge2.id,
                               .params = reel_zone_bytes(&arena),
                               .credential = member_credential(&edge2)};
    expect_kind("auth/zone/edge2", zone_reply_encode(&reply, &arena), EVENT_ZONE_REPLY);
    expect_rejected("auth/zone/edge2", slice_str("{\"status\":\"ok\"}"), ERR_FORMAT, TOPIC_DB,
                    NULL);
    struct wire_error error = {.code = CODE_CONFLICT, .message = slice_str("another key")};
    expect_kind("auth/zone/edge2", wire_error_encode(&error, &arena), EVENT_ZONE_ERROR);
}

static void test_catalogue(void **state)
{
    (void)state;
    struct holding holding = {.zone_id = film->video.zone_id,
                              .edge_id = edge2.id,
                              .video_id = film->video.video_id,
                              .streamer_id = alice.id,
                              .stream = film->stream,
                              .state = 1,
                              .hlc = 9};
    struct db_update m = {
        .video_id = film->video.video_id,
        .title = film->video.title,
        .category = film->video.category,
        .description = film->video.description,
        .thumbnail = film->thumbnail,
        .streamer_id = alice.id,
        .streamer_name = slice_str("alice"),
        .edge_id = edge2.id,
        .statement = film->final_statement,
        .credential = member_credential(&alice),
        .manifest = film->manifest_bytes,
        .has_holding = true,
        .holding = {OBJECT_CUSTODY,
                    reel_holding_object(&arena, OBJECT_CUSTODY, &holding, &edge2.key),
                    member_credential(&edge2)}};
    struct event *ev = decoded("db/update", db_update_encode(&m, &arena));
    assert_int_equal(ev->kind, EVENT_DB_UPDATE);
    assert_true(ev->u.db_update.row.has_video && ev->u.db_update.row.has_holding);
    event_free(ev);
    m.statement = flipped(film->final_statement, film->final_statement.len - 1);
    expect_rejected("db/update", db_update_encode(&m, &arena), ERR_SIGNATURE, TOPIC_DB, NULL);
    m.statement = m.credential = m.manifest = (struct slice){0};
    m.has_holding = false;
    expect_rejected("db/update", db_update_encode(&m, &arena), ERR_UNAUTHORIZED, TOPIC_DB, NULL);
    expect_rejected("db/update", slice_str("{}"), ERR_FORMAT, TOPIC_DB, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_init_fields),
        cmocka_unit_test(test_init_of_another_zone),
        cmocka_unit_test(test_init_auth),
        cmocka_unit_test(test_init_before_enrolment),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_part),
        cmocka_unit_test(test_part_flipped),
        cmocka_unit_test(test_part_lengths),
        cmocka_unit_test(test_part_of_others),
        cmocka_unit_test(test_part_json),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_viewers),
        cmocka_unit_test(test_watch_replies),
        cmocka_unit_test(test_receipts),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_catalogue),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
