/* The verify pool with its caller's help: the order of a lane holds, whoever is slow, and what may
 * be slow is a worker's. */
#include "tests/unit/edge/pool.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- who decodes what ---- */

static void test_single_comes_at_once(void **state)
{
    struct pool *p = *state;
    for (enum lane lane = LANE_LIVE; lane <= LANE_MEDIA; lane++)
        for (unsigned i = 0; i < 100; i++) {
            unsigned help = 1 + i % 3;
            assert_true(all_asleep());
            assert_null(verify_take(p->v, lane, &help)); /* nothing: nothing is counted */
            assert_int_equal(help, 1 + i % 3);
            scrap(p, lane, i);
            expect_scrap(verify_take(p->v, lane, &help), i);
            assert_int_equal(help, i % 3);
        }
}

/* As many as help says, one for each call; what workers have decoded costs none. */
static void test_help_is_counted(void **state)
{
    struct pool *p = *state;
    unsigned help = 2;
    assert_true(all_asleep());
    for (unsigned i = 0; i < 3; i++)
        scrap(p, LANE_LIVE, i);
    expect_scrap(verify_take(p->v, LANE_LIVE, &help), 0);
    assert_int_equal(help, 1);
    expect_scrap(verify_take(p->v, LANE_LIVE, &help), 1);
    assert_int_equal(help, 0);
    assert_null(verify_take(p->v, LANE_LIVE, &help));
    assert_int_equal(help, 0);
    assert_true(readable_fd(verify_help_fd(p->v, LANE_LIVE), 0));
    for (unsigned i = 3; i < 2 + VERIFY_WAKE_AT; i++)
        scrap(p, LANE_LIVE, i);
    assert_true(all_asleep()); /* workers have all that was left */
    help = 5;
    for (unsigned i = 2; i < 2 + VERIFY_WAKE_AT; i++)
        expect_scrap(verify_take(p->v, LANE_LIVE, &help), i);
    assert_null(verify_take(p->v, LANE_LIVE, &help));
    assert_int_equal(help, 5);
}

/* The head of the inbox is refused: whoever helps hears of it by verify_fd. */
static void expect_left(struct pool *p, enum lane lane)
{
    unsigned help = 8;
    assert_null(verify_take(p->v, lane, &help));
    assert_int_equal(help, 8);
    assert_int_equal(verify_help_fd(p->v, lane), -1);
    assert_true(readable(p->v, lane, 10000));
    assert_int_equal(verify_help_fd(p->v, lane), -1); /* until the next verify_take */
}

/* I3: a worker has it at once, however few wait, and what comes after it comes after it. */
static void test_text_is_left_to_a_worker(void **state)
{
    struct pool *p = *state;
    for (enum lane lane = LANE_LIVE; lane <= LANE_MEDIA; lane++)
        for (unsigned n = 0; n < 100; n++) {
            unsigned behind = n % (VERIFY_WAKE_AT - 1), help = 8;
            assert_true(all_asleep());
            ping(p, lane, 0);
            for (unsigned i = 1; i <= behind; i++)
                scrap(p, lane, i);
            expect_left(p, lane);
            expect_ping(verify_take(p->v, lane, &no_help), 0);
            assert_true(verify_help_fd(p->v, lane) >= 0);
            for (unsigned i = 1; i <= behind; i++)
                expect_scrap(next_event(p, lane, &help), i);
            assert_null(verify_take(p->v, lane, &help));
            assert_true(verify_help_fd(p->v, lane) >= 0);
        }
}

/* Behind a part that the caller decodes, and before another one. */
static void test_text_between_parts(void **state)
{
    struct pool *p = *state;
    for (enum lane lane = LANE_LIVE; lane <= LANE_MEDIA; lane++)
        for (unsigned n = 0; n < 100; n++) {
            unsigned help = 1;
            assert_true(all_asleep());
            scrap(p, lane, 0);
            ping(p, lane, 1);
            scrap(p, lane, 2);
            expect_scrap(verify_take(p->v, lane, &help), 0);
            assert_int_equal(help, 0);
            expect_left(p, lane);
            expect_ping(verify_take(p->v, lane, &help), 1);
            help = 1;
            expect_scrap(next_event(p, lane, &help), 2);
        }
}

/* Texts alone cost no help. */
static void test_texts_cost_no_help(void **state)
{
    struct pool *p = *state;
    for (unsigned n = 0; n < 100; n++) {
        unsigned help = 8;
        assert_true(all_asleep());
        for (unsigned i = 0; i + 1 < VERIFY_WAKE_AT; i++)
            ping(p, LANE_LIVE, i);
        for (unsigned i = 0; i + 1 < VERIFY_WAKE_AT; i++)
            expect_ping(next_event(p, LANE_LIVE, &help), i);
        assert_int_equal(help, 8);
    }
}

static void test_control_is_not_helped(void **state)
{
    struct pool *p = *state;
    assert_int_equal(verify_help_fd(p->v, LANE_CONTROL), -1);
    for (unsigned i = 0; i < 100; i++) {
        unsigned help = 8;
        ping(p, LANE_CONTROL, i);
        scrap(p, LANE_CONTROL, i);
        assert_true(readable(p->v, LANE_CONTROL, 10000));
        expect_ping(verify_take(p->v, LANE_CONTROL, &help), i);
        expect_scrap(next_event(p, LANE_CONTROL, &help), i);
        assert_int_equal(verify_help_fd(p->v, LANE_CONTROL), -1);
        assert_null(verify_take(p->v, LANE_CONTROL, &help));
        assert_int_equal(help, 8);
    }
}

struct feed {
    struct pool *pool;
    const struct reel *reel;
    bool texts;
    pthread_t thread;
};

/* As the bus does; both lanes the same. */
static void *feed_all(void *arg)
{
    const struct feed *f = arg;
    for (unsigned i = 0; i < MESSAGES; i++)
        for (enum lane lane = LANE_LIVE; lane <= LANE_MEDIA; lane++)
            while (!push_message(f->pool, lane, message(f->reel, i, f->texts)))
                sched_yield();
    return NULL;
}

/* One turn of edge/loop.c for a lane; returns how many events it took. */
static unsigned take_turn(const struct feed *f, enum lane lane, unsigned taken, unsigned *helped)
{
    enum { EVENTS = 64, DECODED = 8 };
    unsigned help = DECODED;
    unsigned n = 0;
    struct event *ev;
    for (; n < EVENTS && (ev = verify_take(f->pool->v, lane, &help)); n++)
        expect_message(ev, f->reel, taken + n, f->texts);
    *helped += DECODED - help;
    return n;
}

static void run_loop(struct pool *p, bool texts)
{
    struct member alice;
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    struct reel *r = reel_live(&alice);
    struct feed feed = {.pool = p, .reel = r, .texts = texts};
    unsigned taken[LANES] = {0}, helped[LANES] = {0};
    trust(p, r);
    assert_int_equal(pthread_create(&feed.thread, NULL, feed_all, &feed), 0);
    while (taken[LANE_LIVE] < MESSAGES || taken[LANE_MEDIA] < MESSAGES) {
        struct pollfd fds[2 * LANES];
        for (enum lane lane = 0; lane < LANES; lane++) {
            fds[lane] = (struct pollfd){verify_fd(p->v, lane), POLLIN, 0};
            fds[LANES + lane] = (struct pollfd){verify_help_fd(p->v, lane), POLLIN, 0};
        }
        assert_true(poll(fds, 2 * LANES, 10000) > 0); /* no message is forgotten */
        for (enum lane lane = LANE_LIVE; lane <= LANE_MEDIA; lane++)
            if (fds[lane].revents || fds[LANES + lane].revents)
                taken[lane] += take_turn(&feed, lane, taken[lane], &helped[lane]);
    }
    assert_int_equal(pthread_join(feed.thread, NULL), 0);
    for (enum lane lane = LANE_LIVE; lane <= LANE_MEDIA; lane++) {
        assert_int_equal(taken[lane], MESSAGES);
        assert_false(readable(p->v, lane, 0));
        assert_true(helped[lane] > 0 && helped[lane] < MESSAGES); /* both took part */
    }
    reel_free(r);
}

/* The order of each lane while its workers and the loop decode at once. */
static void test_order_with_help(void **state)
{
    run_loop(*state, false);
}

/* And where the loop leaves some of them to the workers. */
static void test_order_with_texts(void **state)
{
    run_loop(*state, true);
}

/* ---- one of them is slow ---- */

/* A ping, number 0, that takes milliseconds. */
static void push_slow(struct pool *p, enum lane lane)
{
    static char text[60000];
    int at = snprintf(text, sizeof(text), "{\"client_id\":\"c0\",\"x\":[0");
    while (at < (int)sizeof(text) - 8)
        at += snprintf(text + at, sizeof(text) - (size_t)at, ",0");
    snprintf(text + at, sizeof(text) - (size_t)at, "]}");
    struct msg *msg = msg_new(slice_str("video/request/ping"), slice_str(text), &pool_budget);
    assert_int_equal(queue_push(&p->inboxes[lane], msg), ERR_OK);
}

/*
 * A worker has the slow message, and the caller decodes the scraps behind it until there is an
 * event or no more leave. Returns whether there was none, which is up to the scheduler; an event
 * is number 0. *help is what is left.
 */
static bool run_ahead(struct pool *p, unsigned scraps, unsigned *help)
{
    uint64_t before = queue_taken(&p->inboxes[LANE_MEDIA]);
    assert_true(all_asleep());
    push_slow(p, LANE_MEDIA);
    for (unsigned i = 1; i <= scraps; i++)
        scrap(p, LANE_MEDIA, i);
    while (queue_taken(&p->inboxes[LANE_MEDIA]) == before)
        sched_yield();
    struct event *ev = verify_take(p->v, LANE_MEDIA, help);
    if (ev)
        expect_ping(ev, 0);
    return !ev;
}

static void take_rest(struct pool *p, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        unsigned help = 1;
        struct event *ev = next_event(p, LANE_MEDIA, &help);
        i ? expect_scrap(ev, i) : expect_ping(ev, i);
    }
    assert_false(readable(p->v, LANE_MEDIA, 0));
}

enum { AHEAD = 8, AHEAD_ROUNDS = 30, STOP_ROUNDS = 10, TRIES_MAX = 2000 };

/* The slots that the caller filled come out in their turn. */
static void test_caller_runs_ahead(void **state)
{
    struct pool *p = *state;
    int ahead = 0;
    for (int i = 0; ahead < AHEAD_ROUNDS && i < TRIES_MAX; i++) {
        unsigned help = 2;
        bool none = run_ahead(p, AHEAD, &help);
        ahead += none && help == 0;
        take_rest(p, none ? 0 : 1, AHEAD);
    }
    assert_int_equal(ahead, AHEAD_ROUNDS);
}

/* I1: it takes no number that has no slot yet, however much it may help, but leaves that to a
 * worker, who waits with it. */
static void test_caller_stops_at_the_last_slot(void **state)
{
    struct pool *p = *state;
    struct queue *q = &p->inboxes[LANE_MEDIA];
    enum { SCRAPS = 2 * VERIFY_SLOTS };
    int stopped = 0;
    for (int i = 0; stopped < STOP_ROUNDS && i < TRIES_MAX; i++) {
        unsigned help = 2 * SCRAPS;
        uint64_t before = queue_taken(q);
        bool none = run_ahead(p, SCRAPS, &help);
        uint64_t after = queue_taken(q);
        assert_true(after - before <= VERIFY_SLOTS + WORKERS + (none ? 0u : 1u));
        assert_true(!none || after - before >= VERIFY_SLOTS);
        assert_true(!none || verify_help_fd(p->v, LANE_MEDIA) == -1);
        stopped += none;
        take_rest(p, none ? 0 : 1, SCRAPS);
    }
    assert_int_equal(stopped, STOP_ROUNDS);
}

/* I3: what waits behind a slow one waits for the worker, parts, too. */
static void test_slow_control_is_not_helped(void **state)
{
    struct pool *p = *state;
    struct queue *q = &p->inboxes[LANE_CONTROL];
    for (int round = 0; round < AHEAD_ROUNDS; round++) {
        unsigned help = AHEAD;
        uint64_t before = queue_taken(q);
        push_slow(p, LANE_CONTROL);
        while (queue_taken(q) == before)
            sched_yield();
        for (unsigned i = 1; i <= AHEAD; i++)
            scrap(p, LANE_CONTROL, i);
        struct event *ev = verify_take(p->v, LANE_CONTROL, &help); /* the worker is at it */
        expect_ping(ev ? ev : next_event(p, LANE_CONTROL, &help), 0);
        for (unsigned i = 1; i <= AHEAD; i++)
            expect_scrap(next_event(p, LANE_CONTROL, &help), i);
        assert_int_equal(help, AHEAD);
    }
}

/* Parts that fill a packet, whose check takes the caller some time. */
static struct reel *reel_long(const struct member *streamer)
{
    struct reel *r = reel_new(streamer, "live2", 1, true);
    r->cutter.part_bytes = PART_PAYLOAD_BYTES_MAX;
    for (int i = 0; i < 100; i++)
        reel_cut(r, CHUNK_MEDIA, 0, 0, PART_PAYLOAD_BYTES_MAX);
    return r;
}

struct feeder {
    struct pool *pool;
    const struct reel_part *part;
};

/* The part, and once it was taken scraps 1 to AHEAD. */
static void *push_behind(void *arg)
{
    const struct feeder *f = arg;
    struct queue *q = &f->pool->inboxes[LANE_MEDIA];
    uint64_t before = queue_taken(q);
    struct slice payload = f->part->packet->payload;
    assert_true(push_message(f->pool, LANE_MEDIA,
                             msg_new(slice_str("live/upload/edge1"), payload, &pool_budget)));
    while (queue_taken(q) == before)
        sched_yield();
    for (unsigned i = 1; i <= AHEAD; i++)
        scrap(f->pool, LANE_MEDIA, i);
    return NULL;
}

/* The caller has the part, while workers decode what is behind. Returns whether some of that was
 * ready with it, which is up to the scheduler; either way it is readable at once (I2). */
static bool overtake(struct pool *p, const struct reel_part *part)
{
    struct feeder f = {p, part};
    pthread_t thread;
    unsigned help = 1;
    assert_true(all_asleep());
    assert_int_equal(pthread_create(&thread, NULL, push_behind, &f), 0);
    expect_part(next_event(p, LANE_MEDIA, &help), part);
    bool ready = readable(p->v, LANE_MEDIA, 0);
    assert_int_equal(help, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(all_asleep());
    for (unsigned i = 1; i <= AHEAD - VERIFY_WAKE_AT + 1; i++) {
        assert_true(readable(p->v, LANE_MEDIA, 0));
        expect_scrap(verify_take(p->v, LANE_MEDIA, &no_help), i);
    }
    take_rest(p, AHEAD - VERIFY_WAKE_AT + 2, AHEAD);
    return ready;
}

static void test_workers_run_ahead(void **state)
{
    struct pool *p = *state;
    struct member alice;
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    struct reel *r = reel_long(&alice);
    trust(p, r);
    int ready = 0;
    for (size_t i = 0; ready < AHEAD_ROUNDS && i < TRIES_MAX; i++)
        ready += overtake(p, &r->parts[i % r->n]);
    assert_int_equal(ready, AHEAD_ROUNDS);
    reel_free(r);
}

/* ---- closing: the teardown counts the bytes ---- */

/* What was left to a worker is under way, or not yet. */
static void test_close_with_text(void **state)
{
    struct pool *p = *state;
    unsigned help = 8;
    assert_true(all_asleep());
    for (unsigned i = 0; i + 1 < VERIFY_WAKE_AT; i++)
        ping(p, LANE_LIVE, i);
    assert_null(verify_take(p->v, LANE_LIVE, &help));
}

static void test_close_with_slots_of_the_caller(void **state)
{
    struct pool *p = *state;
    for (int i = 0; i < TRIES_MAX; i++) {
        unsigned help = 2;
        bool none = run_ahead(p, AHEAD, &help);
        if (none && help == 0)
            return;
        take_rest(p, none ? 0 : 1, AHEAD);
    }
    fail_msg("no worker was slow enough in %d tries", TRIES_MAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, pool_setup, pool_teardown)
    const struct CMUnitTest tests[] = {
        T(test_single_comes_at_once),
        T(test_help_is_counted),
        T(test_text_is_left_to_a_worker),
        T(test_text_between_parts),
        T(test_texts_cost_no_help),
        T(test_control_is_not_helped),
        T(test_order_with_help),
        T(test_order_with_texts),
        T(test_caller_runs_ahead),
        T(test_caller_stops_at_the_last_slot),
        T(test_slow_control_is_not_helped),
        T(test_workers_run_ahead),
        T(test_close_with_text),
        T(test_close_with_slots_of_the_caller),
    };
#undef T
    return cmocka_run_group_tests(tests, pool_group_setup, NULL);
}
