/* Thumbnails in the core: from a delegation to what is stored or shown, one at a time. */
#include "tests/unit/edge/picture.h"
#include "tests/unit/edge/scene.h"
#include "tests/unit/jpeg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { FILMS = THUMBNAIL_WISHES_MAX + 2 };

static struct reel *bare(const char *id, bool live)
{
    return picture_bare_of(&alice, id, live);
}

static struct reel *film(const char *id, bool live)
{
    return picture_of(&alice, id, live);
}

/* ---- videos ---- */

static void an_upload_gets_one(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1", false);
    picture_send(s, r);
    const struct thumbnail_job *job = picture_asked(s);
    assert_non_null(job);
    struct chunk *init = &r->parts[0].part.chunk, *first = &r->parts[1].part.chunk;
    assert_int_equal(job->media_len, init->payload_len + first->payload_len); /* and no more */
    assert_memory_equal(job->media, r->parts[0].part.payload.ptr, init->payload_len);
    picture_answer(s, job->serial, ERR_OK);
    assert_int_equal(picture_count(s, COUNT_thumbnails_made), 1);
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 1);
    picture_holds(s, picture_watched(s, r), r);
    reel_free(r);
}

/* The receipt does not wait for it. */
static void the_receipt_comes_first(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1", false);
    picture_send(s, r);
    assert_true(stage_ack(s)->receipt.len > 0);
    assert_int_equal(picture_count(s, COUNT_thumbnails_made), 0);
    assert_int_equal(picture_watched(s, r)->thumbnail_part.len, 0);
    reel_free(r);
}

static void the_answer_to_init_says_who_we_are(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1", false), *l = film("live1", true);
    struct credential c;
    struct zone_params zone;
    reel_zone(&zone);
    stage_do(s, stage_init_event(s, r));
    assert_int_equal(credential_open(stage_ack(s)->edge_credential, &zone, &c), ERR_OK);
    assert_true(pubkey_eq(&c.pk, &s->edge.key.pk));
    stage_parts(s, r, 0, 1);
    assert_int_equal(stage_ack(s)->edge_credential.len, 0); /* not with every part */
    stage_do(s, stage_init_event(s, l));
    assert_int_equal(credential_open(stage_ack(s)->edge_credential, &zone, &c), ERR_OK);
    reel_free(r);
    reel_free(l);
}

static void what_does_not_allow_it(void **state)
{
    struct stage *s = *state;
    for (unsigned i = 0; i < 6; i++) {
        char id[16];
        snprintf(id, sizeof(id), "video%u", i);
        struct reel *r = film(id, false);
        struct delegation d = picture_leave(s, r);
        if (i == 0)
            d.stream.b[0] ^= 1;
        else if (i == 1)
            d.edge_pk = alice.key.pk;
        else if (i == 2)
            d.tracks[0] = 2;
        else if (i == 3)
            d.not_after_us = s->utc_us;
        else if (i == 4)
            d.tracks_n = 0;
        picture_send_with(s, r, i == 5 ? NULL : &d);
        assert_true(stage_ack(s)->receipt.len > 0);
        assert_null(picture_asked(s));
        assert_int_equal(picture_count(s, COUNT_delegations_refused), i + 1);
        reel_free(r);
    }
}

static void who_gave_one_gets_none(void **state)
{
    struct stage *s = *state;
    struct reel *r = reel_new(&alice, "video1", 1, false);
    reel_fill(r, 1, 100);
    reel_finish(r);
    picture_send(s, r);
    assert_null(picture_asked(s));
    assert_int_equal(picture_count(s, COUNT_delegations_refused), 1);
    reel_free(r);
}

/* A fragment without a keyframe is passed over; after too many of them there is no picture. */
static void the_first_keyframe(void **state)
{
    struct stage *s = *state;
    struct reel *r = bare("video1", false), *none = bare("video2", false);
    reel_cut(r, CHUNK_INIT, 0, 0, 500);
    reel_cut(r, CHUNK_MEDIA, 0, 0, 2 * REEL_PART_BYTES);
    reel_cut(r, CHUNK_MEDIA, CHUNK_KEYFRAME, 0, 77);
    reel_finish(r);
    picture_send(s, r);
    assert_int_equal(picture_asked(s)->media_len, 577);
    picture_answer(s, picture_asked(s)->serial, ERR_FORMAT);
    assert_int_equal(picture_count(s, COUNT_thumbnails_failed), 1);
    stage_forget(s);
    reel_cut(none, CHUNK_INIT, 0, 0, 500);
    for (unsigned i = 0; i <= THUMBNAIL_PASSED_MAX; i++)
        reel_cut(none, CHUNK_MEDIA, 0, 0, 100);
    reel_cut(none, CHUNK_MEDIA, CHUNK_KEYFRAME, 0, 77);
    reel_finish(none);
    picture_send(s, none);
    assert_null(picture_asked(s));
    assert_int_equal(picture_count(s, COUNT_thumbnails_failed), 2);
    reel_free(r);
    reel_free(none);
}

/* At most THUMBNAIL_MEDIA_BYTES_MAX go to the child, however large the fragment is. */
static void a_large_fragment_is_cut_off(void **state)
{
    struct stage *s = *state;
    struct reel *r = bare("video1", false);
    reel_cut(r, CHUNK_INIT, 0, 0, 500);
    reel_cut(r, CHUNK_MEDIA, CHUNK_KEYFRAME, 0, THUMBNAIL_MEDIA_BYTES_MAX);
    reel_finish(r);
    picture_send(s, r);
    stage_pass(s, STAGE_S);
    assert_int_equal(picture_asked(s)->media_len, THUMBNAIL_MEDIA_BYTES_MAX);
    reel_free(r);
}

static void one_at_a_time(void **state)
{
    struct stage *s = *state;
    struct reel *r[FILMS];
    for (unsigned i = 0; i < FILMS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "video%02u", i);
        r[i] = picture_of(i % 2 ? &bob : &alice, id, false);
        picture_send(s, r[i]);
    }
    assert_int_equal(stage_effects(s, EFFECT_THUMBNAIL), 1);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 1); /* one is made, 16 wait */
    for (unsigned i = 1; i < FILMS; i++) {
        uint64_t serial = picture_asked(s)->serial;
        picture_answer(s, serial, i % 2 ? ERR_OK : ERR_TIMEOUT);
        picture_answer(s, serial, ERR_OK); /* nobody waits for that any more */
    }
    assert_int_equal(stage_effects(s, EFFECT_THUMBNAIL), FILMS - 1);
    assert_int_equal(picture_count(s, COUNT_thumbnails_made) +
                         picture_count(s, COUNT_thumbnails_failed),
                     FILMS - 1);
    for (unsigned i = 0; i < FILMS; i++)
        reel_free(r[i]);
}

static void what_the_program_fails_at(void **state)
{
    struct stage *s = *state;
    static const enum err errs[] = {ERR_FORMAT, ERR_LIMIT,   ERR_TIMEOUT, ERR_IO,
                                    ERR_CLOSED, ERR_UNKNOWN, ERR_UNKNOWN};
    for (unsigned i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
        char id[16];
        snprintf(id, sizeof(id), "video%u", i);
        struct reel *r = film(id, false);
        stage_forget(s);
        picture_send(s, r);
        size_t before = stage_effects(s, EFFECT_LOG);
        picture_answer(s, picture_asked(s)->serial, errs[i]);
        assert_int_equal(picture_count(s, COUNT_thumbnails_failed), i + 1);
        assert_int_equal(stage_effects(s, EFFECT_LOG) - before, i < 6); /* not there: said once */
        assert_int_equal(picture_watched(s, r)->thumbnail_part.len, 0);
        reel_free(r);
    }
}

/* The job's own check is not the only one. */
static void what_is_no_picture_is_not_signed(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1", false);
    picture_send(s, r);
    struct event *ev = event_new(EVENT_THUMBNAIL);
    ev->u.thumbnail = thumbnail_job_new(picture_asked(s)->serial);
    ev->u.thumbnail->jpeg_len = 100;
    stage_do(s, ev);
    assert_int_equal(picture_count(s, COUNT_thumbnails_made), 0);
    assert_int_equal(picture_count(s, COUNT_thumbnails_failed), 1);
    reel_free(r);
}

static void too_late_is_not_signed(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1", false);
    picture_send(s, r);
    uint64_t serial = picture_asked(s)->serial;
    stage_pass(s, 61 * STAGE_S);
    picture_answer(s, serial, ERR_OK);
    assert_int_equal(picture_count(s, COUNT_thumbnails_made), 0);
    assert_int_equal(picture_count(s, COUNT_thumbnails_failed), 1);
    reel_free(r);
}

static void deleted_meanwhile(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1", false);
    picture_send(s, r);
    uint64_t serial = picture_asked(s)->serial;
    stage_do(s, stage_delete_event(s, r, r->final_video.revision_us + 1, NULL));
    picture_answer(s, serial, ERR_OK);
    assert_int_equal(picture_count(s, COUNT_thumbnails_kept), 0);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 1);
    reel_free(r);
}

/* Draining does not wait for a child that may never answer. */
static void stopping_waits_for_none(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1", false);
    picture_send(s, r);
    uint64_t serial = picture_asked(s)->serial;
    stage_do(s, event_new(EVENT_STOP));
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1);
    picture_answer(s, serial, ERR_OK);
    assert_int_equal(picture_count(s, COUNT_thumbnails_made), 0);
    reel_free(r);
}

/* ---- lives ---- */

static struct slice listed_thumbnail(struct stage *s)
{
    struct event *ev = event_new(EVENT_LIST);
    ev->u.list.client_id = slice_str("viewer");
    stage_do(s, ev);
    const struct message_list *m = stage_last(s, MESSAGE_LIST)->body;
    assert_int_equal(m->n, 1);
    return m->rows[0].thumbnail;
}

static void a_live_shows_one_to_its_end(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("live1", true);
    struct delegation d = picture_leave(s, r);
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, 1);
    stage_do(s, picture_live_leave(r, &d));
    stage_do(s, picture_live_leave(r, &d)); /* the same again is no fault */
    assert_int_equal(picture_count(s, COUNT_delegations_refused), 0);
    assert_null(picture_asked(s));
    stage_parts(s, r, 1, 2);
    assert_null(picture_asked(s)); /* half a keyframe */
    stage_parts(s, r, 2, 3);
    assert_non_null(picture_asked(s));
    assert_int_equal(picture_asked(s)->media_len,
                     r->parts[0].part.chunk.payload_len + r->parts[1].part.chunk.payload_len);
    assert_int_equal(listed_thumbnail(s).len, 0);
    picture_answer(s, picture_asked(s)->serial, ERR_OK);
    assert_true(slice_starts(listed_thumbnail(s), "data:image/jpeg;base64,"));
    stage_do(s, stage_join_event("viewer", "live1", stage_token(s, "viewer")));
    picture_holds(s, stage_last(s, MESSAGE_LIVE_INFO_ONE)->body, r);
    stage_parts(s, r, 3, r->n);
    assert_int_equal(stage_effects(s, EFFECT_THUMBNAIL), 1);
    assert_int_equal(s->core->live_thumbnails, 1);
    stage_pass(s, LIVE_IDLE_TIMEOUT_US + STAGE_S);
    assert_int_equal(s->core->live_thumbnails, 0);
    reel_free(r);
}

/* A live that ends while its picture is made: the job's serial. */
static uint64_t ended_meanwhile(struct stage *s, struct reel *r, struct delegation *ret_d)
{
    *ret_d = picture_leave(s, r);
    stage_do(s, stage_init_event(s, r));
    stage_do(s, picture_live_leave(r, ret_d));
    stage_parts(s, r, 0, r->n);
    uint64_t serial = picture_asked(s)->serial;
    stage_pass(s, LIVE_IDLE_TIMEOUT_US + STAGE_S);
    return serial;
}

/* A page that is full: older rows give up what an edge made, and nothing else gives way. */
static void a_full_list(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("live1", true), *films[6];
    struct delegation d = picture_leave(s, r);
    for (unsigned i = 0; i < 6; i++) {
        char id[16];
        snprintf(id, sizeof(id), "video%u", i);
        films[i] = film(id, false);
        picture_send(s, films[i]);
        picture_answer_full(s);
    }
    stage_do(s, stage_init_event(s, r));
    stage_do(s, picture_live_leave(r, &d));
    stage_parts(s, r, 0, r->n);
    picture_answer_full(s);
    struct event *ev = event_new(EVENT_LIST);
    ev->u.list.client_id = slice_str("viewer");
    stage_do(s, ev);
    const struct message_list *m = stage_last(s, MESSAGE_LIST)->body;
    size_t shown = 0;
    for (size_t i = 0; i < m->n; i++)
        shown += m->rows[i].thumbnail.len > 0;
    assert_int_equal(m->n, 7);
    assert_in_range(shown, 3, 4); /* of 11 kB each */
    for (size_t i = 0; i < m->n; i++)
        if (m->rows[i].live)
            assert_true(m->rows[i].thumbnail.len > 0);
    reel_free(r);
    for (unsigned i = 0; i < 6; i++)
        reel_free(films[i]);
}

static void a_live_that_ends_meanwhile(void **state)
{
    struct stage *s = *state;
    struct delegation d;
    struct reel *r = film("live1", true);
    uint64_t serial = ended_meanwhile(s, r, &d);
    picture_answer(s, serial, ERR_OK);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 1);
    assert_int_equal(s->core->live_thumbnails, 0);
    reel_free(r);
}

/* It ends and goes on while its picture is made, and another is asked for: the first one counts. */
static void a_live_that_begins_again_meanwhile(void **state)
{
    struct stage *s = *state;
    struct delegation d;
    struct reel *r = film("live1", true);
    uint64_t serial = ended_meanwhile(s, r, &d);
    stage_do(s, stage_init_event(s, r));
    picture_answer(s, serial,
                   ERR_OK); /* nobody has said it of this live yet: it was said of this stream */
    stage_do(s, stage_join_event("viewer", "live1", stage_token(s, "viewer")));
    picture_holds(s, stage_last(s, MESSAGE_LIVE_INFO_ONE)->body, r);
    stage_do(s, picture_live_leave(r, &d));
    stage_parts(s, r, 0, r->n);
    assert_int_equal(s->core->live_thumbnails, 1);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 0);
    reel_free(r);
}

/* Likewise, but the new live has asked before the old one's picture comes. */
static void two_pictures_of_one_live(void **state)
{
    struct stage *s = *state;
    struct delegation d;
    struct reel *r = film("live1", true);
    uint64_t serial = ended_meanwhile(s, r, &d);
    stage_do(s, stage_init_event(s, r));
    stage_do(s, picture_live_leave(r, &d));
    stage_parts(s, r, 0, r->n);
    picture_answer(s, serial, ERR_OK);
    assert_int_not_equal(picture_asked(s)->serial, serial);
    picture_answer(s, picture_asked(s)->serial, ERR_OK);
    assert_int_equal(s->core->live_thumbnails, 1);
    assert_int_equal(picture_count(s, COUNT_thumbnails_dropped), 1);
    reel_free(r);
}

/* In JSON the cache holds text, which is not looked into. */
static void a_live_in_json_has_none(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("live1", true);
    struct delegation d = picture_leave(s, r);
    stage_do(s, stage_init_event(s, r));
    stage_do(s, picture_live_leave(r, &d));
    for (size_t i = 0; i < r->n; i++) {
        struct event *ev = stage_part_json_event(r, i);
        ev->u.part.topic = TOPIC_LIVE_UPLOAD;
        msg_unref(ev->u.part.original);
        ev->u.part.original = msg_new((struct slice){0}, slice_str("{\"chunk\":\"\"}"), NULL);
        stage_do(s, ev);
    }
    assert_null(picture_asked(s));
    assert_int_equal(picture_count(s, COUNT_thumbnails_failed), 1);
    stage_do(s, picture_live_leave(r, &d));
    assert_int_equal(picture_count(s, COUNT_delegations_refused), 1); /* it would be so again */
    reel_free(r);
}

static void a_delegation_of_no_live(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("live1", true), *up = film("video1", false);
    struct delegation d = picture_leave(s, r);
    stage_do(s, picture_live_leave(r, &d));
    assert_int_equal(picture_count(s, COUNT_delegations_refused), 1); /* nothing runs */
    stage_do(s, stage_init_event(s, r));
    struct event *ev = picture_live_leave(r, &d);
    ev->u.delegation.message.video_id = stage_id("live2");
    stage_do(s, ev);
    assert_int_equal(picture_count(s, COUNT_delegations_refused), 2);
    stage_do(s, stage_init_event(s, up));
    d = picture_leave(s, up);
    stage_do(s, picture_live_leave(up, &d));
    assert_int_equal(picture_count(s, COUNT_delegations_refused),
                     3); /* an upload says it at its end */
    reel_free(r);
    reel_free(up);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_stage_setup, scene_stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_upload_gets_one),
        TEST(the_receipt_comes_first),
        TEST(the_answer_to_init_says_who_we_are),
        TEST(what_does_not_allow_it),
        TEST(who_gave_one_gets_none),
        TEST(the_first_keyframe),
        TEST(a_large_fragment_is_cut_off),
        TEST(one_at_a_time),
        TEST(what_the_program_fails_at),
        TEST(what_is_no_picture_is_not_signed),
        TEST(too_late_is_not_signed),
        TEST(deleted_meanwhile),
        TEST(stopping_waits_for_none),
        TEST(a_live_shows_one_to_its_end),
        TEST(a_full_list),
        TEST(a_live_that_ends_meanwhile),
        TEST(a_live_that_begins_again_meanwhile),
        TEST(two_pictures_of_one_live),
        TEST(a_live_in_json_has_none),
        TEST(a_delegation_of_no_live),
    };
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
