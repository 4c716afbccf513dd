/* A thumbnail that was made after a copy was fetched: asked for again, a few times. */
#include "tests/unit/edge/picture.h"
#include "tests/unit/edge/scene.h"
#include "tests/unit/jpeg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define LATE_US (600 * STAGE_S)
#define WAITS_US (300 * STAGE_S) /* all of them together, and more */

static struct event *info_event(const struct reel *r, const char *source)
{
    struct event *ev = event_new(EVENT_WATCH_INFO);
    ev->u.watch_info.source = stage_id(source);
    ev->u.watch_info.info.video_id = r->video.video_id;
    return ev;
}

/* What edge2 made of the film, by leave of somebody. */
static struct event *picture_event(const struct stage *s, const struct reel *r,
                                   const struct signkey *by, const char *source)
{
    struct event *ev = info_event(r, source);
    struct delegation d = picture_leave(s, r);
    uint8_t jpeg[THUMBNAIL_JPEG_BYTES_MAX], body[OBJECT_BYTES_MAX];
    uint8_t packet[THUMBNAIL_PART_BYTES_MAX];
    struct slice picture = jpeg_make(jpeg, 320, 180, PICTURE_JPEG_BYTES);
    d.edge_pk = edge2.key.pk;
    struct writer w = writer_of(body, sizeof(body));
    delegation_encode(&d, &w);
    size_t len = thumbnail_sign(&r->stream, &edge2.key, s->utc_us, picture, packet);
    ev->u.watch_info.info.delegation = reel_object(&ev->arena, OBJECT_DELEGATION, &w, by);
    ev->u.watch_info.info.thumbnail_part = arena_copy(&ev->arena, slice_of(packet, len));
    return ev;
}

/* How often edge2 was asked since stage_forget. */
static size_t inits(const struct stage *s)
{
    size_t n = 0;
    const struct effect *e;
    for (size_t i = 0; (e = stage_nth(s, MESSAGE_WATCH_REQUEST, i)) != NULL; i++) {
        const struct watch_request *m = e->body;
        n += m->kind == WATCH_INIT && m->local_only && slice_eq_str(e->a, "edge2");
    }
    return n;
}

/* A copy of edge2's is made here; info: its answer. */
static void fetch_with(struct stage *s, const struct reel *r, struct event *info)
{
    scene_announce(s, r, &edge2);
    stage_do(s, stage_status_event("edge2", true));
    picture_watched(s, r);
    stage_do(s, info);
    for (size_t i = 0; i < r->n; i++) {
        struct event *ev = stage_part_event(r, i);
        ev->u.part.topic = TOPIC_WATCH_REPLY;
        stage_do(s, ev);
    }
    assert_true(memory_store_whole(s->store, &r->stream));
    stage_forget(s);
}

static void fetch(struct stage *s, const struct reel *r)
{
    fetch_with(s, r, info_event(r, "edge2"));
}

static void comes_with_the_next_asking(void **state)
{
    struct stage *s = *state;
    struct reel *r = picture_of(&alice, "video1", false);
    fetch(s, r);
    stage_pass(s, 6 * STAGE_S);
    assert_int_equal(inits(s), 1);
    stage_do(s, info_event(r, "edge2")); /* not yet */
    assert_int_equal(picture_watched(s, r)->thumbnail_part.len, 0);
    stage_forget(s);
    stage_pass(s, 31 * STAGE_S);
    assert_int_equal(inits(s), 1);
    stage_do(s, picture_event(s, r, &alice.key, "edge2"));
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 1);
    assert_true(picture_watched(s, r)->thumbnail_part.len > 0);
    stage_forget(s);
    stage_pass(s, WAITS_US);
    assert_int_equal(inits(s), 0);
    reel_free(r);
}

static void three_times_and_no_more(void **state)
{
    struct stage *s = *state;
    struct reel *r = picture_of(&alice, "video1", false);
    fetch(s, r);
    stage_pass(s, WAITS_US);
    assert_int_equal(inits(s), 3);
    stage_forget(s);
    stage_pass(s, LATE_US);
    assert_int_equal(inits(s), 0);
    stage_do(s, picture_event(s, r, &alice.key, "edge2"));
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 0);
    reel_free(r);
}

static void what_nobody_awaits_or_does_not_hold(void **state)
{
    struct stage *s = *state;
    struct reel *r = picture_of(&alice, "video1", false);
    fetch(s, r);
    stage_do(s, picture_event(s, r, &alice.key, "edge2")); /* not asked yet */
    stage_pass(s, 6 * STAGE_S);
    stage_do(s, picture_event(s, r, &alice.key, "edge3")); /* not whom we asked */
    assert_int_equal(picture_count(s, COUNT_thumbnails_refused), 0);
    stage_do(s, picture_event(s, r, &bob.key, "edge2")); /* not the streamer's leave */
    assert_int_equal(picture_count(s, COUNT_thumbnails_refused), 1);
    stage_do(s, picture_event(s, r, &alice.key, "edge2")); /* that one was somebody else's */
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 1);
    reel_free(r);
}

static void so_many_forged_ones_and_no_more(void **state)
{
    struct stage *s = *state;
    struct reel *r = picture_of(&alice, "video1", false);
    fetch(s, r);
    stage_pass(s, 6 * STAGE_S);
    for (unsigned i = 0; i <= THUMBNAIL_LATE_CHECKS_MAX; i++)
        stage_do(s, picture_event(s, r, &bob.key, "edge2"));
    assert_int_equal(picture_count(s, COUNT_thumbnails_refused), THUMBNAIL_LATE_CHECKS_MAX);
    stage_do(s, picture_event(s, r, &alice.key, "edge2"));
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 0);
    stage_pass(s, 31 * STAGE_S);
    stage_do(s, picture_event(s, r, &alice.key, "edge2"));
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 1);
    reel_free(r);
}

static void beat(struct stage *s, uint64_t serial)
{
    stage_do(s, stage_beat_event(&(struct stage_beat){.edge_id = "edge2", .serial = serial}));
}

static void who_is_revoked_is_passed_over(void **state)
{
    enum { EDGE2 = 102 };
    struct stage *s = *state;
    struct revocation entry = {EDGE2, s->utc_us};
    struct reel_list list = {.number = 1, .issued_us = s->utc_us, .n = 1, .entries = &entry};
    struct reel *r = picture_of(&alice, "video1", false);
    fetch(s, r);
    beat(s, EDGE2);
    stage_do(s, stage_revocations_event(&list));
    stage_pass(s, 6 * STAGE_S);
    assert_int_equal(inits(s), 0);
    stage_do(s, picture_event(s, r, &alice.key, "edge2"));
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 0);
    beat(s, EDGE2 + 1); /* admitted again */
    stage_pass(s, 31 * STAGE_S);
    assert_int_equal(inits(s), 1);
    reel_free(r);
}

static void who_is_not_asked(void **state)
{
    struct stage *s = *state;
    struct reel *given = scene_film("video1", 1, 100), *along = picture_of(&alice, "video2", false),
                *old = picture_of(&alice, "video3", false);
    fetch(s, given);
    struct event *ev = picture_event(s, along, &alice.key, "edge2");
    ev->u.watch_info.thumbnail_holds = true;
    ev->u.watch_info.thumbnail_stream = along->stream;
    fetch_with(s, along, ev);
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 1);
    stage_pass(s, LATE_US + STAGE_S);
    assert_int_equal(inits(s), 0);
    fetch(s, old);
    stage_pass(s, WAITS_US);
    assert_int_equal(inits(s), 0);
    reel_free(given);
    reel_free(along);
    reel_free(old);
}

static struct reel *fetch_of(struct stage *s, const struct member *who, unsigned number)
{
    char id[16];
    snprintf(id, sizeof(id), "video%02u", number);
    struct reel *r = picture_of(who, id, false);
    fetch(s, r);
    return r;
}

/* Whether edge2 was asked for this one since stage_forget. */
static bool was_asked(const struct stage *s, const char *id)
{
    const struct effect *e;
    for (size_t i = 0; (e = stage_nth(s, MESSAGE_WATCH_REQUEST, i)) != NULL; i++) {
        const struct watch_request *m = e->body;
        if (m->kind == WATCH_INIT && slice_eq_str(id_slice(&m->video_id), id))
            return true;
    }
    return false;
}

static void a_slot_that_is_free_is_taken_first(void **state)
{
    struct stage *s = *state;
    for (unsigned i = 0; i < THUMBNAIL_LATES_MAX - 1; i++)
        reel_free(fetch_of(s, &alice, i));
    struct reel *r = fetch_of(s, &alice, THUMBNAIL_LATES_MAX - 1);
    stage_pass(s, 6 * STAGE_S);
    stage_do(s, picture_event(s, r, &alice.key, "edge2"));
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 1);
    reel_free(r);
    reel_free(fetch_of(s, &alice, THUMBNAIL_LATES_MAX));
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 0);
    stage_pass(s, 31 * STAGE_S);
    assert_true(was_asked(s, "video00") && was_asked(s, "video32"));
}

static void who_has_most_gives_way(void **state)
{
    struct stage *s = *state;
    reel_free(fetch_of(s, &alice, 0));
    for (unsigned i = 1; i <= THUMBNAIL_LATES_MAX + 1; i++)
        reel_free(fetch_of(s, &bob, i)); /* the last two in place of bob's first two */
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 2);
    reel_free(fetch_of(s, &alice, 50)); /* of bob's third */
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 3);
    stage_pass(s, 6 * STAGE_S);
    assert_int_equal(inits(s), THUMBNAIL_LATES_MAX);
    assert_true(was_asked(s, "video00") && was_asked(s, "video50") && was_asked(s, "video04"));
    assert_false(was_asked(s, "video01") || was_asked(s, "video02") || was_asked(s, "video03"));
}

/* Nobody's only one gives way. */
static void one_of_each(void **state)
{
    struct stage *s = *state;
    for (unsigned i = 0; i <= THUMBNAIL_LATES_MAX; i++) {
        char name[16];
        struct member who;
        snprintf(name, sizeof(name), "streamer%u", i);
        member_make(name, CREDENTIAL_STREAMER, &who);
        reel_free(fetch_of(s, &who, i));
    }
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 1);
    stage_pass(s, 6 * STAGE_S);
    assert_true(was_asked(s, "video00"));
    assert_false(was_asked(s, "video32"));
}

/* Of so many copies one may come late; the oldest gives way, counted. */
static void the_oldest_gives_way(void **state)
{
    struct stage *s = *state;
    for (unsigned i = 0; i <= THUMBNAIL_LATES_MAX; i++) {
        assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 0);
        reel_free(fetch_of(s, &alice, i));
    }
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 1);
    stage_pass(s, 6 * STAGE_S);
    assert_int_equal(inits(s), THUMBNAIL_LATES_MAX);
    assert_false(was_asked(s, "video00"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_stage_setup, scene_stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(comes_with_the_next_asking),
        TEST(three_times_and_no_more),
        TEST(what_nobody_awaits_or_does_not_hold),
        TEST(so_many_forged_ones_and_no_more),
        TEST(who_is_revoked_is_passed_over),
        TEST(who_is_not_asked),
        TEST(a_slot_that_is_free_is_taken_first),
        TEST(who_has_most_gives_way),
        TEST(one_of_each),
        TEST(the_oldest_gives_way),
    };
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
