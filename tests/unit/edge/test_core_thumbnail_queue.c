/* Whose thumbnails wait to be made, and who gives way: no streamer starves another. */
#include "tests/unit/edge/picture.h"
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct member carol; /* beside alice and bob */

static int group_setup(void **state)
{
    scene_cast(state);
    member_make("carol", CREDENTIAL_STREAMER, &carol);
    return 0;
}

/* So many uploads more; the last one, the caller's to free. */
static struct reel *uploads(struct stage *s, const struct member *who, unsigned n)
{
    struct reel *r = NULL;
    for (unsigned i = 0; i < n; i++) {
        static unsigned number;
        char id[32];
        snprintf(id, sizeof(id), "film%06u", number++);
        if (r)
            reel_free(r);
        r = picture_of(who, id, false);
        picture_send(s, r);
    }
    return r;
}

static void make_all(struct stage *s)
{
    for (uint64_t last = 0; picture_asked(s)->serial != last;) {
        last = picture_asked(s)->serial;
        picture_answer(s, last, ERR_OK);
    }
    assert_int_equal(s->core->thumbnail_wishes_n, 0);
}

/* Of one streamer half a queue waits; what is above it finds no room. */
static void one_streamer_waits_with_so_many(void **state)
{
    struct stage *s = *state;
    struct reel *last = uploads(s, &alice, 1 + THUMBNAIL_WISHES_PER_STREAMER_MAX);
    assert_int_equal(s->core->thumbnail_wishes_n, THUMBNAIL_WISHES_PER_STREAMER_MAX);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 0);
    struct reel *above = uploads(s, &alice, 1);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 1);
    assert_int_equal(s->core->thumbnail_wishes_n, THUMBNAIL_WISHES_PER_STREAMER_MAX);
    make_all(s);
    picture_holds(s, picture_watched(s, last), last);
    assert_int_equal(picture_watched(s, above)->thumbnail_part.len, 0);
    reel_free(last);
    reel_free(above);
}

/* The newest of who has most gives way to who has none, and nobody to who would have as many. */
static void a_full_queue_has_room_for_others(void **state)
{
    struct stage *s = *state;
    enum { HALF = THUMBNAIL_WISHES_PER_STREAMER_MAX };
    struct reel *first = uploads(s, &bob, HALF + 1); /* one of them is made */
    struct reel *oldest = uploads(s, &alice, 1), *newest = uploads(s, &alice, HALF - 1);
    assert_int_equal(s->core->thumbnail_wishes_n, THUMBNAIL_WISHES_MAX);
    struct reel *other = uploads(s, &carol, 1);
    assert_int_equal(picture_count(s, COUNT_thumbnails_displaced), 1);
    assert_int_equal(s->core->thumbnail_wishes_n, THUMBNAIL_WISHES_MAX);
    reel_free(uploads(s, &carol, THUMBNAIL_WISHES_MAX));
    reel_free(uploads(s, &alice, THUMBNAIL_WISHES_MAX));
    reel_free(uploads(s, &bob, THUMBNAIL_WISHES_MAX));
    assert_in_range(picture_count(s, COUNT_thumbnails_displaced), 5,
                    6); /* about a third each, and then */
    make_all(s);
    picture_holds(s, picture_watched(s, other), other);
    picture_holds(s, picture_watched(s, oldest), oldest);
    assert_int_equal(picture_watched(s, newest)->thumbnail_part.len, 0);
    assert_int_equal(picture_watched(s, first)->thumbnail_part.len, 0);
    reel_free(first);
    reel_free(oldest);
    reel_free(newest);
    reel_free(other);
}

/* With one of each in the queue nobody gives way: there is none that has more than others. */
static void one_of_each(void **state)
{
    struct stage *s = *state;
    for (unsigned i = 0; i < THUMBNAIL_WISHES_MAX + 2; i++) {
        char name[16];
        struct member who;
        snprintf(name, sizeof(name), "streamer%u", i);
        member_make(name, CREDENTIAL_STREAMER, &who);
        reel_free(uploads(s, &who, 1));
    }
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 1);
    assert_int_equal(picture_count(s, COUNT_thumbnails_displaced), 0);
}

/* A live that gives way, or finds no room, asks again with its next keyframe. */
static void a_live_gets_its_turn_later(void **state)
{
    struct stage *s = *state;
    struct reel *r = picture_of(&bob, "live1", true);
    struct delegation d = picture_leave(s, r);
    reel_free(uploads(s, &alice, 1 + THUMBNAIL_WISHES_PER_STREAMER_MAX));
    reel_free(uploads(s, &bob, THUMBNAIL_WISHES_PER_STREAMER_MAX - 1));
    stage_do(s, stage_init_event(s, r));
    stage_do(s, picture_live_leave(r, &d));
    stage_parts(s, r, 0, 3);
    assert_int_equal(s->core->thumbnail_wishes_n, THUMBNAIL_WISHES_MAX);
    reel_free(uploads(s, &carol, 1)); /* in place of the live */
    assert_int_equal(picture_count(s, COUNT_thumbnails_displaced), 1);
    stage_parts(s, r, 3, r->n); /* no room: bob has not fewer by two than anybody */
    make_all(s);
    assert_int_equal(s->core->live_thumbnails, 0);
    size_t last = reel_cut(r, CHUNK_MEDIA, CHUNK_KEYFRAME, s->utc_us, 100);
    stage_parts(s, r, last, last + 1);
    make_all(s);
    assert_int_equal(s->core->live_thumbnails, 1);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 0);
    reel_free(r);
}

/* One that never finds room is counted when it ends. */
static void a_live_that_never_finds_room(void **state)
{
    struct stage *s = *state;
    struct reel *r = picture_of(&alice, "live1", true);
    struct delegation d = picture_leave(s, r);
    reel_free(uploads(s, &alice, 1 + THUMBNAIL_WISHES_PER_STREAMER_MAX));
    stage_do(s, stage_init_event(s, r));
    stage_do(s, picture_live_leave(r, &d));
    stage_parts(s, r, 0, r->n);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 0);
    stage_pass(s, LIVE_IDLE_TIMEOUT_US + STAGE_S);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 1);
    reel_free(r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_stage_setup, scene_stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_streamer_waits_with_so_many),
        TEST(a_full_queue_has_room_for_others),
        TEST(one_of_each),
        TEST(a_live_gets_its_turn_later),
        TEST(a_live_that_never_finds_room),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
