/* The verify pool: the order of a lane holds, whichever worker is slow, and it ends at any time. */
#include "edge/verify.h"
#include "tests/unit/edge/reel.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { WORKERS = 4, MESSAGES = 10000, INBOX = 1024 };

struct scene {
    struct queue inboxes[LANES];
    struct verify *v;
};

static struct decoder decoder;
static struct budget budget;

static int group_setup(void **state)
{
    (void)state;
    crypto_init();
    return id_parse(slice_str("edge1"), &decoder.self) == ERR_OK ? 0 : -1;
}

static int setup(void **state)
{
    struct scene *c = test_calloc(1, sizeof(*c));
    struct queue *inboxes[LANES];
    budget = (struct budget){.max_bytes = SIZE_MAX};
    for (int lane = 0; lane < LANES; lane++) {
        inboxes[lane] = &c->inboxes[lane];
        assert_int_equal(queue_init(&c->inboxes[lane], INBOX), ERR_OK);
    }
    assert_int_equal(verify_open(&decoder, inboxes, WORKERS, &c->v), ERR_OK);
    *state = c;
    return 0;
}

/* Every message that was pushed or taken has been released. */
static int teardown(void **state)
{
    struct scene *c = *state;
    verify_close(c->v);
    for (int lane = 0; lane < LANES; lane++) {
        struct msg *msg;
        while ((msg = queue_take(&c->inboxes[lane], NULL)) != NULL)
            msg_unref(msg);
        queue_release(&c->inboxes[lane]);
    }
    test_free(c);
    assert_int_equal(budget.alive_bytes, 0);
    return 0;
}

static bool readable(const struct verify *v, enum lane lane, int timeout_ms)
{
    struct pollfd p = {.fd = verify_fd(v, lane), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

/* Message number i: most are quickly refused, every seventh has work to be verified. */
static struct msg *message(const struct reel *r, unsigned i)
{
    char text[64];
    if (i % 7 == 0)
        return msg_new(slice_str("live/upload/edge1"), r->parts[i / 7 % r->n].packet->payload,
                       &budget);
    snprintf(text, sizeof(text), "{\"client_id\":\"c%u\"}", i);
    return msg_new(slice_str("video/request/ping"), slice_str(text), &budget);
}

static void expect_message(const struct event *ev, const struct reel *r, unsigned i)
{
    char text[64];
    snprintf(text, sizeof(text), "c%u", i);
    if (i % 7 == 0) {
        const struct reel_part *p = &r->parts[i / 7 % r->n];
        assert_int_equal(ev->kind, EVENT_PART);
        assert_true(hash_eq(&ev->u.part.statement_hash, &p->statement_hash));
        assert_int_equal(ev->u.part.part.index, p->part.index);
    } else {
        assert_int_equal(ev->kind, EVENT_PING);
        assert_true(slice_eq_str(ev->u.ping.client_id, text));
    }
}

static void trust(struct scene *c, const struct reel *r)
{
    struct trusted_stream s = {
        .stream = r->stream, .signer = r->streamer->key.pk, .use = STREAM_LIVE};
    struct trust_view *empty = trust_view_new();
    struct trust_view *view = trust_view_with(empty, &s);
    verify_view(c->v, view);
    trust_view_unref(view);
    trust_view_unref(empty);
}

static void test_order(void **state)
{
    struct scene *c = *state;
    struct member alice;
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    struct reel *r = reel_new(&alice, "live1", 1, true);
    for (int i = 0; i < 40; i++)
        reel_cut(r, CHUNK_MEDIA, 0, 0, 20000);
    trust(c, r);
    unsigned pushed = 0;
    unsigned taken = 0;
    while (taken < MESSAGES) {
        while (pushed < MESSAGES) {
            struct msg *msg = message(r, pushed);
            if (queue_push(&c->inboxes[LANE_MEDIA], msg) != ERR_OK) {
                msg_unref(msg);
                break;
            }
            pushed++;
        }
        assert_true(readable(c->v, LANE_MEDIA, 10000));
        struct event *ev = verify_take(c->v, LANE_MEDIA);
        assert_non_null(ev); /* readable means that there is one */
        expect_message(ev, r, taken++);
        event_free(ev);
    }
    assert_false(readable(c->v, LANE_MEDIA, 0));
    assert_null(verify_take(c->v, LANE_MEDIA));
    reel_free(r);
}

static void push(struct scene *c, enum lane lane, const char *topic, const char *text)
{
    struct msg *msg = msg_new(slice_str(topic), slice_str(text), &budget);
    assert_int_equal(queue_push(&c->inboxes[lane], msg), ERR_OK);
}

static void test_lanes_are_apart(void **state)
{
    struct scene *c = *state;
    for (int i = 0; i < VERIFY_SLOTS + 50; i++) /* more than media's slots: its workers wait */
        push(c, LANE_MEDIA, "video/request/ping", "{\"client_id\":\"m\"}");
    for (enum lane lane = LANE_CONTROL; lane < LANE_MEDIA; lane++) {
        push(c, lane, "video/request/ping", "{\"client_id\":\"c\"}");
        assert_true(readable(c->v, lane, 10000));
        struct event *ev = verify_take(c->v, lane);
        assert_true(slice_eq_str(ev->u.ping.client_id, "c"));
        event_free(ev);
    }
    for (int i = 0; i < VERIFY_SLOTS + 50; i++) {
        assert_true(readable(c->v, LANE_MEDIA, 10000));
        event_free(verify_take(c->v, LANE_MEDIA));
    }
}

/* A message that comes after verify_view is verified against that view. */
static void test_view_changes(void **state)
{
    struct scene *c = *state;
    struct member alice;
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    struct reel *r = reel_new(&alice, "live1", 1, true);
    reel_cut(r, CHUNK_MEDIA, 0, 0, 100);
    for (int i = 0; i < 200; i++) {
        if (i % 2) {
            trust(c, r);
        } else {
            struct trust_view *empty = trust_view_new();
            verify_view(c->v, empty);
            trust_view_unref(empty);
        }
        assert_int_equal(queue_push(&c->inboxes[LANE_MEDIA], message(r, 0)), ERR_OK);
        assert_true(readable(c->v, LANE_MEDIA, 10000));
        struct event *ev = verify_take(c->v, LANE_MEDIA);
        assert_int_equal(ev->kind, i % 2 ? EVENT_PART : EVENT_REJECTED);
        event_free(ev);
    }
    reel_free(r);
}

/* Closing with nothing, something and everything under way; the teardown counts the bytes. */
static void test_close_empty(void **state)
{
    struct scene *c = *state;
    assert_null(verify_take(c->v, LANE_MEDIA));
}

static void test_close_under_way(void **state)
{
    struct scene *c = *state;
    for (int i = 0; i < INBOX; i++)
        push(c, LANE_MEDIA, "video/request/ping", "{\"client_id\":\"m\"}");
    push(c, LANE_CONTROL, "db", "{}");
    event_free(verify_take(c->v, LANE_MEDIA));
}

static void test_close_with_full_slots(void **state)
{
    struct scene *c = *state;
    for (int i = 0; i < VERIFY_SLOTS + WORKERS; i++)
        push(c, LANE_MEDIA, "video/request/ping", "{\"client_id\":\"m\"}");
    assert_true(readable(c->v, LANE_MEDIA, 10000));
    struct pollfd p = {.fd = queue_fd(&c->inboxes[LANE_MEDIA]), .events = POLLIN};
    while (poll(&p, 1, 0) == 1)
        ; /* until the workers hold the rest */
}

static void test_close_nothing(void **state)
{
    (void)state;
    verify_close(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_order),
        T(test_lanes_are_apart),
        T(test_view_changes),
        T(test_close_empty),
        T(test_close_under_way),
        T(test_close_with_full_slots),
        cmocka_unit_test(test_close_nothing),
    };
#undef T
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
