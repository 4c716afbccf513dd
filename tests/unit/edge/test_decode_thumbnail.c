/* Delegations and thumbnails from the wire: what holds against the trust view, and what does not.
 */
#include "edge/decode.h"
#include "tests/unit/edge/reel.h"
#include "tests/unit/jpeg.h"
#include "trust/thumbnail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct member alice, bob, edge2;
static struct budget budget = {.max_bytes = 1024 * 1024};
static struct decoder decoder = {.budget = &budget};
static struct trust_view *view;
static struct reel *film, *unknown;
static struct arena arena;

static int group_setup(void **state)
{
    (void)state;
    struct zone_params zone;
    crypto_init();
    reel_zone(&zone);
    assert_int_equal(id_parse(slice_str("edge1"), &decoder.self), ERR_OK);
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    member_make("bob", CREDENTIAL_STREAMER, &bob);
    member_make("edge2", CREDENTIAL_EDGE, &edge2);
    film = reel_new(&alice, "video1", 1, false);
    unknown = reel_new(&alice, "video2", 1, false);
    reel_fill(film, 1, 100);
    reel_finish(film);
    struct trust_view *empty = trust_view_new();
    struct trust_view *zoned = trust_view_with_zone(empty, &zone);
    struct trusted_stream s = {
        .stream = film->stream, .signer = alice.key.pk, .use = STREAM_UPLOAD};
    view = trust_view_with(zoned, &s);
    trust_view_unref(empty);
    trust_view_unref(zoned);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    reel_free(film);
    reel_free(unknown);
    trust_view_unref(view);
    arena_release(&arena);
    return 0;
}

static struct event *decoded(const char *topic, struct slice payload)
{
    return decode(&decoder, view, msg_new(slice_str(topic), payload, NULL));
}

static struct slice delegation(const struct reel *r, const struct member *by, uint64_t not_after_us)
{
    uint8_t body[OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    struct delegation d = {.stream = r->stream,
                           .edge_pk = edge2.key.pk,
                           .tracks_n = 1,
                           .tracks = {THUMBNAIL_TRACK},
                           .not_after_us = not_after_us};
    delegation_encode(&d, &w);
    return reel_object(&arena, OBJECT_DELEGATION, &w, &by->key);
}

static struct event *ended(struct slice leave)
{
    struct upload_end m = {.video_id = film->video.video_id,
                           .streamer_id = alice.id,
                           .manifest = film->manifest_bytes,
                           .statement = film->final_statement,
                           .delegation = leave};
    return decoded("video/upload/edge1", upload_end_encode(&m, &arena));
}

static void expect_end(struct slice leave, bool delegated)
{
    struct event *ev = ended(leave);
    assert_int_equal(ev->kind, EVENT_UPLOAD_END); /* whatever the delegation is worth */
    assert_int_equal(ev->u.end.delegated, delegated);
    assert_true(slice_eq(ev->u.end.end.delegation, leave));
    event_free(ev);
}

static void test_end(void **state)
{
    (void)state;
    expect_end((struct slice){0}, false);
    expect_end(delegation(film, &alice, 1), true);
    expect_end(delegation(film, &bob, 1), false);
    expect_end(slice_str("no delegation"), false);
}

static struct event *said(struct slice leave)
{
    struct upload_delegation m = {
        .video_id = film->video.video_id, .streamer_id = alice.id, .delegation = leave};
    return decoded("live/upload/edge1", upload_delegation_encode(&m, &arena));
}

static void expect_said(struct slice leave, enum err err)
{
    struct event *ev = said(leave);
    assert_int_equal(ev->kind, err == ERR_OK ? EVENT_DELEGATION : EVENT_REJECTED);
    if (err != ERR_OK) {
        assert_int_equal(ev->u.rejection.err, err);
        assert_false(ev->u.rejection.answer);
    } else {
        assert_true(hash_eq(&ev->u.delegation.delegation.stream, &film->stream));
    }
    event_free(ev);
}

static void test_message(void **state)
{
    (void)state;
    expect_said(delegation(film, &alice, 1), ERR_OK);
    expect_said(delegation(film, &bob, 1), ERR_SIGNATURE);
    expect_said(delegation(unknown, &alice, 1), ERR_SIGNATURE); /* nothing under way */
    expect_said(slice_str("no delegation"), ERR_FORMAT);
}

static struct slice thumbnail(const struct reel *r, const struct member *by)
{
    static uint8_t jpeg[500];
    uint8_t *packet = arena_alloc(&arena, THUMBNAIL_PART_BYTES_MAX);
    size_t len =
        thumbnail_sign(&r->stream, &by->key, 5, jpeg_make(jpeg, 32, 18, sizeof(jpeg)), packet);
    return slice_of(packet, len);
}

static void expect_shown(struct slice leave, struct slice part, bool holds)
{
    struct watch_info info = {.video_id = film->video.video_id,
                              .streamer_id = alice.id,
                              .statement = film->statement,
                              .credential = member_credential(&alice),
                              .edge_id = slice_str("edge2"),
                              .delegation = leave,
                              .thumbnail_part = part};
    struct event *ev = decoded("video/watch/edge2/edge1", watch_info_encode(&info, &arena));
    assert_int_equal(ev->kind, EVENT_WATCH_INFO);
    assert_int_equal(ev->u.watch_info.thumbnail_holds, holds);
    if (holds)
        assert_true(hash_eq(&ev->u.watch_info.thumbnail_stream, &film->stream));
    event_free(ev);
}

static void test_with_a_copy(void **state)
{
    (void)state;
    struct slice leave = delegation(film, &alice, 6), part = thumbnail(film, &edge2);
    struct slice none = {0};
    expect_shown(leave, part, true);
    expect_shown(none, none, false);
    expect_shown(none, part, false);
    expect_shown(leave, none, false);
    expect_shown(leave, slice_str("no part"), false);
    expect_shown(leave, thumbnail(film, &bob), false);          /* another's key */
    expect_shown(delegation(film, &alice, 5), part, false);     /* over when it was made */
    expect_shown(delegation(film, &bob, 6), part, false);       /* nobody's leave */
    expect_shown(leave, thumbnail(unknown, &edge2), false);     /* another video's */
    expect_shown(leave, film->parts[0].packet->payload, false); /* media */
    expect_shown(delegation(unknown, &alice, 6), part, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_with_a_copy),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
