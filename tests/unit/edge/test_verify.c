/* The verify pool: the order of a lane holds, whichever worker is slow, and it ends at any time.
 * With the caller's help: test_verify_help.c. */
#include "tests/unit/edge/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* ---- the workers alone ---- */

/* Of the last ones fewer than VERIFY_WAKE_AT may be left to the loop. */
static void test_order(void **state)
{
    struct pool *p = *state;
    struct member alice;
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    struct reel *r = reel_live(&alice);
    trust(p, r);
    unsigned pushed = 0;
    unsigned help = VERIFY_WAKE_AT - 1; /* for the last ones */
    for (unsigned taken = 0; taken < MESSAGES; taken++) {
        while (pushed < MESSAGES && push_message(p, LANE_MEDIA, message(r, pushed, true)))
            pushed++;
        bool last = taken > MESSAGES - VERIFY_WAKE_AT;
        assert_true(last || readable(p->v, LANE_MEDIA, 10000));
        struct event *ev =
            last ? next_event(p, LANE_MEDIA, &help) : verify_take(p->v, LANE_MEDIA, &no_help);
        expect_message(ev, r, taken, true); /* readable means that there is one */
    }
    assert_false(readable(p->v, LANE_MEDIA, 0));
    assert_null(verify_take(p->v, LANE_MEDIA, &no_help));
    reel_free(r);
}

static void test_lanes_are_apart(void **state)
{
    struct pool *p = *state;
    enum { SCRAPS = VERIFY_SLOTS + WORKERS + VERIFY_WAKE_AT };
    for (unsigned i = 0; i < SCRAPS; i++) /* more than media's slots: its workers wait */
        scrap(p, LANE_MEDIA, i);
    assert_true(all_asleep());
    for (enum lane lane = LANE_CONTROL; lane < LANE_MEDIA; lane++) {
        unsigned n = lane == LANE_CONTROL ? 1 : VERIFY_WAKE_AT;
        for (unsigned i = 0; i < n; i++)
            ping(p, lane, i);
        for (unsigned i = 0; i < n; i++) {
            assert_true(readable(p->v, lane, 10000));
            expect_ping(verify_take(p->v, lane, &no_help), i);
        }
    }
    for (unsigned i = 0; i < SCRAPS; i++) {
        unsigned help = 1;
        expect_scrap(next_event(p, LANE_MEDIA, &help), i);
    }
}

/* Workers that sleep do so while fewer than VERIFY_WAKE_AT wait. */
static void test_few_wait_for_help(void **state)
{
    struct pool *p = *state;
    for (enum lane lane = LANE_LIVE; lane <= LANE_MEDIA; lane++) {
        assert_true(all_asleep());
        assert_false(readable_fd(verify_help_fd(p->v, lane), 0));
        for (unsigned i = 0; i + 1 < VERIFY_WAKE_AT; i++) {
            scrap(p, lane, i);
            assert_true(all_asleep());
            assert_false(readable(p->v, lane, 0));
            assert_true(readable_fd(verify_help_fd(p->v, lane), 0));
            assert_null(verify_take(p->v, lane, &no_help));
            assert_int_equal(queue_taken(&p->inboxes[lane]), 0);
        }
        scrap(p, lane, VERIFY_WAKE_AT - 1);
        for (unsigned i = 0; i < VERIFY_WAKE_AT; i++) {
            assert_true(readable(p->v, lane, 10000));
            expect_scrap(verify_take(p->v, lane, &no_help), i);
        }
        assert_false(readable(p->v, lane, 0));
        assert_false(readable_fd(verify_help_fd(p->v, lane), 0));
    }
}

/* Messages that come after verify_view are verified against that view: n of them, by the workers,
 * or by the caller. */
static void expect_view(struct pool *p, const struct reel *r, bool trusted, unsigned n)
{
    assert_true(all_asleep());
    for (unsigned i = 0; i < n; i++)
        assert_true(push_message(p, LANE_MEDIA, message(r, 0, false)));
    for (unsigned i = 0; i < n; i++) {
        unsigned help = n < VERIFY_WAKE_AT;
        assert_true(help || readable(p->v, LANE_MEDIA, 10000));
        struct event *ev = verify_take(p->v, LANE_MEDIA, &help);
        assert_non_null(ev);
        assert_int_equal(ev->kind, trusted ? EVENT_PART : EVENT_REJECTED);
        event_free(ev);
    }
}

static void test_view_changes(void **state)
{
    struct pool *p = *state;
    struct member alice;
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    struct reel *r = reel_live(&alice);
    for (int i = 0; i < 200; i++) {
        if (i % 2) {
            trust(p, r);
        } else {
            struct trust_view *empty = trust_view_new();
            verify_view(p->v, empty);
            trust_view_unref(empty);
        }
        expect_view(p, r, i % 2, i % 4 < 2 ? VERIFY_WAKE_AT : 1);
    }
    reel_free(r);
}

/* ---- closing ---- */

/* With nothing, something and everything under way; the teardown counts the bytes. */
static void test_close_empty(void **state)
{
    struct pool *p = *state;
    assert_null(verify_take(p->v, LANE_MEDIA, &no_help));
}

static void test_close_under_way(void **state)
{
    struct pool *p = *state;
    unsigned help = 3;
    for (unsigned i = 0; i < INBOX; i++)
        scrap(p, LANE_MEDIA, i);
    ping(p, LANE_CONTROL, 0);
    event_free(verify_take(p->v, LANE_MEDIA, &no_help));
    event_free(verify_take(p->v, LANE_MEDIA, &help));
}

/* Fewer than wake a worker. */
static void test_close_with_few(void **state)
{
    struct pool *p = *state;
    assert_true(all_asleep());
    for (unsigned i = 0; i + 1 < VERIFY_WAKE_AT; i++)
        scrap(p, LANE_LIVE, i);
    assert_int_equal(queue_taken(&p->inboxes[LANE_LIVE]), 0);
}

static void test_close_with_full_slots(void **state)
{
    struct pool *p = *state;
    for (unsigned i = 0; i < VERIFY_SLOTS + WORKERS + VERIFY_WAKE_AT; i++)
        scrap(p, LANE_MEDIA, i);
    assert_true(all_asleep()); /* workers hold one each that has no slot, all or some */
    assert_true(queue_taken(&p->inboxes[LANE_MEDIA]) > VERIFY_SLOTS);
    assert_true(readable(p->v, LANE_MEDIA, 0));
}

static void test_close_nothing(void **state)
{
    (void)state;
    verify_close(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, pool_setup, pool_teardown)
    const struct CMUnitTest tests[] = {
        T(test_order),          T(test_lanes_are_apart),       T(test_few_wait_for_help),
        T(test_view_changes),   T(test_close_empty),           T(test_close_under_way),
        T(test_close_with_few), T(test_close_with_full_slots), cmocka_unit_test(test_close_nothing),
    };
#undef T
    return cmocka_run_group_tests(tests, pool_group_setup, NULL);
}
