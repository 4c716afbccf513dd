/* What shows that a video was there before its streamer was revoked stays with every copy. */
#include "tests/unit/edge/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct member alice, edge1, edge2;

static int group_setup(void **state)
{
    (void)state;
    crypto_init();
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    member_make("edge1", CREDENTIAL_EDGE, &edge1);
    member_make("edge2", CREDENTIAL_EDGE, &edge2);
    return 0;
}

struct scene {
    struct stage *s; /* edge1, which lacks video1 */
    struct reel *r;  /* at edge2 */
};

static int setup(void **state)
{
    struct scene *c = test_calloc(1, sizeof(*c));
    c->s = stage_new(NULL);
    c->r = reel_new(&alice, "video1", 1, false);
    reel_fill(c->r, 3, 2 * REEL_PART_BYTES);
    reel_finish(c->r);
    struct storage_row row = stage_row(&c->s->arena, c->r, &edge2, 1, stage_hlc(c->s));
    stage_do(c->s, stage_row_event(&row));
    stage_do(c->s, stage_status_event("edge2", true));
    stage_forget(c->s);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct scene *c = *state;
    stage_free(c->s);
    reel_free(c->r);
    test_free(c);
    return 0;
}

static void watch(struct stage *s, const char *client_id, const char *video_id)
{
    struct watch_request m = {
        .kind = WATCH_INIT, .client_id = slice_str(client_id), .video_id = stage_id(video_id)};
    stage_do(s, stage_watch_event(&m));
}

static void parts(struct scene *c)
{
    for (size_t i = 0; i < c->r->n; i++) {
        struct event *ev = stage_part_event(c->r, i);
        ev->u.part.topic = TOPIC_WATCH_REPLY;
        stage_do(c->s, ev);
    }
}

static bool whole(struct scene *c)
{
    return memory_store_whole(c->s->store, &c->r->stream);
}

/* What edge2 shows with the video: the receipt that another edge gave for it, as decode found it.
 */
static struct event *receipt_event(const struct reel *r, const char *source)
{
    struct event *ev = event_new(EVENT_WATCH_INFO);
    ev->u.watch_info.source = stage_id(source);
    ev->u.watch_info.info.video_id = stage_id("video1");
    ev->u.watch_info.info.receipt = arena_copy(&ev->arena, slice_str("the receipt"));
    ev->u.watch_info.info.receipt_credential = arena_copy(&ev->arena, slice_str("edge9's"));
    ev->u.watch_info.receipt_holds = true;
    ev->u.watch_info.receipt_serial = 90;
    ev->u.watch_info.receipt = (struct receipt){.stream = r->stream,
                                                .last_chunk = r->manifest.chunks,
                                                .hash = r->final_video.manifest_hash,
                                                .time_us = REEL_UTC_US};
    return ev;
}

static const struct watch_info *info_of(struct stage *s)
{
    stage_forget(s);
    watch(s, "viewer2", "video1");
    return stage_last(s, MESSAGE_WATCH_INFO)->body;
}

static void test_a_receipt_comes_along(void **state)
{
    struct scene *c = *state;
    watch(c->s, "viewer1", "video1");
    assert_int_equal(info_of(c->s)->receipt.len, 0); /* no source has answered */
    stage_do(c->s, receipt_event(c->r, "edge2"));
    assert_true(slice_eq_str(info_of(c->s)->receipt, "the receipt")); /* on its way already */
    parts(c);
    assert_true(whole(c));
    assert_true(slice_eq_str(info_of(c->s)->receipt, "the receipt"));
    assert_true(slice_eq_str(info_of(c->s)->receipt_credential, "edge9's"));
    stage_restart(c->s);
    assert_true(slice_eq_str(info_of(c->s)->receipt, "the receipt"));
    assert_int_equal(core_counter(c->s->core, COUNT_receipts_refused), 0);
}

static void spoil(struct event *ev, int how)
{
    struct receipt *r = &ev->u.watch_info.receipt;
    switch (how) {
    case 0: ev->u.watch_info.receipt_holds = false; break;
    case 1: r->stream.b[0] ^= 1; break;
    case 2: r->last_chunk--; break;
    case 3: r->hash.b[31] ^= 1; break;
    case 4: r->track = 1; break;
    default: r->time_us = REEL_UTC_US + 1; break; /* when who signed it was revoked */
    }
}

/* One that does not hold, or holds about something else: the fetch goes on without it. */
static void test_receipts_about_other_things(void **state)
{
    (void)state;
    struct revocation entry = {90, REEL_UTC_US + 1};
    struct reel_list list = {.number = 1, .n = 1, .entries = &entry};
    for (int how = 0; how < 6; how++) {
        void *scene;
        setup(&scene);
        struct scene *c = scene;
        struct event *ev = receipt_event(c->r, "edge2");
        spoil(ev, how);
        stage_do(c->s, stage_revocations_event(&list));
        watch(c->s, "viewer1", "video1");
        stage_do(c->s, ev);
        assert_int_equal(core_counter(c->s->core, COUNT_receipts_refused), 1);
        parts(c);
        assert_true(whole(c));
        assert_int_equal(info_of(c->s)->receipt.len, 0);
        teardown(&scene);
    }
}

/* Who uploads here what was fetched before gets a receipt of this edge, which stays. */
static void test_our_own_receipt_comes_first(void **state)
{
    struct scene *c = *state;
    watch(c->s, "viewer1", "video1");
    stage_do(c->s, receipt_event(c->r, "edge2"));
    parts(c);
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_do(c->s, stage_end_event(c->r));
    struct slice ours = arena_copy(&c->s->arena, stage_ack(c->s)->receipt);
    assert_false(slice_eq_str(ours, "the receipt"));
    assert_true(slice_eq(info_of(c->s)->receipt, ours));
    assert_true(slice_eq(info_of(c->s)->receipt_credential, member_credential(&edge1)));
    stage_do(c->s, stage_init_event(c->s, c->r));
    assert_true(slice_eq(stage_ack(c->s)->receipt, ours));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_receipt_comes_along),
        T(test_receipts_about_other_things),
        T(test_our_own_receipt_comes_first),
    };
#undef T
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
