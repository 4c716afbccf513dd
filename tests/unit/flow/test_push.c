/*
 * Push: each transition of its diagram, then an upload to a model of an edge
 * over a bad network: everything arrives once, in order, and it ends.
 */
#include "flow/push.h"
#include "tests/unit/flow/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PACKET = 1000, WINDOW = 4 * PACKET, RTO = UPLOAD_RTO_US };

static void send_n(struct push *p, unsigned n, uint32_t parts_n)
{
    for (unsigned i = 0; i < n; i++)
        push_was_sent(p, parts_n, PACKET, 0);
}

/* A push that was granted everything from the start at time 0. */
static struct push running(void)
{
    struct push p;
    push_init(&p, 0);
    assert_int_equal(push_due(&p, 0), PUSH_DUE_INIT);
    push_granted(&p, 1, 0, WINDOW, 0);
    assert_int_equal(p.state, PUSH_RUNNING);
    return p;
}

static void test_window(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 4, 100);
    assert_false(push_may_send(&p, 1));
    push_acked(&p, 1, 1, WINDOW, false, 1);
    assert_true(push_may_send(&p, PACKET));
    assert_false(push_may_send(&p, PACKET + 1));
    push_acked(&p, 1, 4, 0, false, 1);
    assert_true(push_may_send(&p, 1000000)); /* one always may */
    push_was_sent(&p, 100, 1000000, 1);
    assert_false(push_may_send(&p, 1));
}

static void test_outstanding_limit(void **state)
{
    (void)state;
    struct push p = running();
    push_acked(&p, 1, 0, UINT32_MAX, false, 0);
    send_n(&p, PUSH_OUTSTANDING_MAX, 1);
    assert_false(push_may_send(&p, 0));
    push_acked(&p, 2, 0, UINT32_MAX, false, 0);
    assert_true(push_may_send(&p, 1));
}

static void test_cursor_crosses_chunks(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 2, 2);
    assert_int_equal(p.cursor, 2);
    assert_int_equal(p.cursor_part, 0);
}

static void test_granted_in_the_middle(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 2, 2);
    push_disconnected(&p, 0);
    push_granted(&p, 9, 3, WINDOW, 0); /* the edge has more than was sent: go on there */
    assert_int_equal(p.cursor, 9);
    assert_int_equal(p.cursor_part, 3);
    assert_int_equal(p.outstanding_bytes, 0);
}

static void test_acks_of_what_was_never_sent(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 2, 100);
    push_acked(&p, 1, 3, 7, false, 0);
    push_acked(&p, UINT32_MAX, 0, 7, true, 0);
    assert_int_equal(p.next_part, 0);
    assert_int_equal(p.window_bytes, WINDOW);
    assert_int_equal(push_due(&p, RTO), PUSH_DUE_NOTHING); /* goes back to 0 */
    push_acked(&p, 1, 2, WINDOW, false, RTO);              /* late, but true */
    assert_int_equal(p.cursor_part, 2);
}

static void test_silence_goes_back_then_inits(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 3, 100);
    push_acked(&p, 1, 1, WINDOW, false, 0);
    assert_int_equal(push_deadline_us(&p), RTO);
    assert_int_equal(push_due(&p, RTO - 1), PUSH_DUE_NOTHING);
    assert_int_equal(p.cursor_part, 3);
    assert_int_equal(push_due(&p, RTO), PUSH_DUE_NOTHING);
    assert_int_equal(p.cursor_part, 1);
    push_was_sent(&p, 100, PACKET, RTO);
    assert_int_equal(push_due(&p, 2 * RTO), PUSH_DUE_INIT);
    assert_int_equal(p.state, PUSH_INIT);
    assert_false(push_may_send(&p, 1));
    push_granted(&p, 1, 2, WINDOW, 2 * RTO);
    assert_int_equal(p.cursor_part, 2);
}

static void test_idle_is_no_silence(void **state)
{
    (void)state;
    struct push p = running();
    assert_int_equal(push_deadline_us(&p), UINT64_MAX);
    assert_int_equal(push_due(&p, 100 * RTO), PUSH_DUE_NOTHING);
    assert_int_equal(p.state, PUSH_RUNNING);
}

static void test_slow_link_is_no_silence(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 1, 100);
    push_heard(&p, RTO - 1);
    assert_int_equal(push_due(&p, RTO), PUSH_DUE_NOTHING);
    assert_int_equal(p.cursor_part, 1);
}

static void test_missed_goes_back_once(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 4, 100);
    push_acked(&p, 1, 1, WINDOW, true, 0);
    assert_int_equal(p.cursor_part, 1);
    send_n(&p, 3, 100);
    push_acked(&p, 1, 1, WINDOW, true, 0); /* answers what was under way before */
    assert_int_equal(p.cursor_part, 4);
    push_acked(&p, 1, 4, WINDOW, false, 0);
    send_n(&p, 2, 100);
    push_acked(&p, 1, 4, WINDOW, true, 0); /* a new hole */
    assert_int_equal(p.cursor_part, 4);
}

static void test_old_acks_change_nothing(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 3, 100);
    push_acked(&p, 1, 3, WINDOW, false, 0);
    push_acked(&p, 1, 1, 2 * WINDOW, true, 0);
    assert_int_equal(p.next_part, 3);
    assert_int_equal(p.cursor_part, 3);
    assert_int_equal(p.window_bytes, 2 * WINDOW);
}

static void test_end(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 2, 2);
    push_finish(&p);
    assert_int_equal(push_due(&p, 0), PUSH_DUE_NOTHING); /* two parts are not safe yet */
    push_acked(&p, 2, 0, WINDOW, false, 0);
    assert_int_equal(push_due(&p, 0), PUSH_DUE_END);
    assert_int_equal(push_due(&p, 1), PUSH_DUE_NOTHING);
    assert_int_equal(push_due(&p, RTO), PUSH_DUE_END);
    assert_int_equal(push_due(&p, 2 * RTO), PUSH_DUE_INIT);
    push_granted(&p, 2, 0, WINDOW, 2 * RTO);
    push_finish(&p);
    assert_int_equal(push_due(&p, 2 * RTO), PUSH_DUE_END);
    push_receipt(&p);
    assert_int_equal(p.state, PUSH_DONE);
    push_disconnected(&p, 0);
    assert_int_equal(p.state, PUSH_DONE);
    assert_int_equal(push_deadline_us(&p), UINT64_MAX);
}

static void test_lost_at_the_end(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 2, 2);
    push_finish(&p);
    push_acked(&p, 1, 1, WINDOW, false, 0);
    assert_int_equal(push_due(&p, RTO), PUSH_DUE_NOTHING);
    assert_int_equal(p.state, PUSH_RUNNING);
    assert_int_equal(p.cursor, 1);
    assert_int_equal(p.cursor_part, 1);
}

static void test_gives_up(void **state)
{
    (void)state;
    struct push p;
    push_init(&p, 0);
    uint64_t now = 0;
    for (int i = 0; i < PUSH_INITS_MAX; i++, now = push_deadline_us(&p))
        assert_int_equal(push_due(&p, now), PUSH_DUE_INIT);
    assert_int_equal(push_due(&p, now - 1), PUSH_DUE_NOTHING);
    assert_int_equal(p.state, PUSH_INIT);
    assert_int_equal(push_due(&p, now), PUSH_DUE_NOTHING);
    assert_int_equal(p.state, PUSH_FAILED);
    push_receipt(&p);
    assert_int_equal(p.state, PUSH_FAILED);
}

/* An edge that grants every init and never acknowledges does not hold us for ever. */
static void test_gives_up_without_progress(void **state)
{
    (void)state;
    struct push p;
    push_init(&p, 0);
    uint64_t now = 0;
    unsigned inits = 0;
    while (p.state != PUSH_FAILED && inits < 100) {
        if (push_due(&p, now) == PUSH_DUE_INIT) {
            inits++;
            push_granted(&p, 1, 0, WINDOW, now);
        }
        if (push_may_send(&p, PACKET))
            push_was_sent(&p, 10, PACKET, now);
        else if (push_deadline_us(&p) > now)
            now = push_deadline_us(&p);
    }
    assert_int_equal(inits, PUSH_INITS_MAX);
}

static void test_disconnected(void **state)
{
    (void)state;
    struct push p = running();
    send_n(&p, 3, 100);
    push_disconnected(&p, 5);
    assert_int_equal(push_due(&p, 6), PUSH_DUE_INIT);
    push_granted(&p, 1, 2, WINDOW, 7);
    assert_int_equal(p.cursor_part, 2);
    assert_int_equal(p.outstanding_bytes, 0);
}

/* ------------------------------------------------------------------ property */

enum { CHUNKS = 40, OP_INIT = 1, OP_PART, OP_END, OP_GRANT, OP_ACK, OP_RECEIPT };

struct world {
    struct rng rng;
    struct link up, down;
    uint32_t parts_n[CHUNKS + 1];
    /* the edge */
    uint32_t next, next_part;
    unsigned stored;
    uint64_t now_us;
};

static void world_init(struct world *w, uint64_t seed, unsigned loss)
{
    w->rng.state = seed;
    w->up = w->down = link_of(&w->rng, loss, 30000);
    w->next = 1;
    for (uint32_t c = 1; c <= CHUNKS; c++)
        w->parts_n[c] = 1 + (uint32_t)(rng_next(&w->rng) % 5);
}

static void edge_says(struct world *w, uint32_t op, uint32_t chunk, uint32_t part)
{
    uint32_t v[6] = {op, w->next, w->next_part, WINDOW, chunk, part};
    link_send(&w->down, w->now_us, v);
}

static void edge_takes(struct world *w, const uint32_t v[static 6])
{
    if (v[0] == OP_INIT)
        edge_says(w, OP_GRANT, 0, 0);
    if (v[0] == OP_END)
        edge_says(w, w->next == CHUNKS + 1 ? OP_RECEIPT : OP_ACK, 0, 0);
    if (v[0] != OP_PART)
        return;
    if (v[1] == w->next && v[2] == w->next_part) {
        w->stored++;
        if (++w->next_part == w->parts_n[w->next]) {
            w->next++;
            w->next_part = 0;
        }
    }
    edge_says(w, OP_ACK, v[1], v[2]);
}

static void client_takes(struct world *w, struct push *p, const uint32_t v[static 6])
{
    bool missed = v[4] > v[1] || (v[4] == v[1] && v[5] > v[2]);
    if (v[0] == OP_GRANT)
        push_granted(p, v[1], v[2], v[3], w->now_us);
    else if (v[0] == OP_ACK)
        push_acked(p, v[1], v[2], v[3], missed, w->now_us);
    else
        push_receipt(p);
    assert_true(p->outstanding_bytes <= WINDOW);
}

static void client_sends(struct world *w, struct push *p)
{
    uint32_t v[6] = {0};
    enum push_due due = push_due(p, w->now_us);
    v[0] = due == PUSH_DUE_INIT ? OP_INIT : OP_END;
    if (due != PUSH_DUE_NOTHING)
        link_send(&w->up, w->now_us, v);
    while (p->cursor <= CHUNKS && push_may_send(p, PACKET)) {
        uint32_t part[6] = {OP_PART, p->cursor, p->cursor_part};
        link_send(&w->up, w->now_us, part);
        push_was_sent(p, w->parts_n[p->cursor], PACKET, w->now_us);
    }
    if (p->cursor > CHUNKS)
        push_finish(p);
}

static uint64_t earliest(const struct world *w, const struct push *p)
{
    uint64_t at = push_deadline_us(p);
    uint64_t up = link_next_us(&w->up), down = link_next_us(&w->down);
    at = up < at ? up : at;
    at = down < at ? down : at;
    return at > w->now_us && at != UINT64_MAX ? at : w->now_us + 1;
}

/* Returns the virtual seconds that it took. */
static uint64_t run_world(uint64_t seed, unsigned loss)
{
    struct world *w = calloc(1, sizeof(*w));
    struct push *p = calloc(1, sizeof(*p));
    world_init(w, seed, loss);
    push_init(p, 0);
    while (p->state != PUSH_DONE && p->state != PUSH_FAILED) {
        uint32_t v[6];
        if (loss && rng_next(&w->rng) % 2000 == 0)
            push_disconnected(p, w->now_us);
        while (link_take(&w->up, w->now_us, v))
            edge_takes(w, v);
        while (link_take(&w->down, w->now_us, v))
            client_takes(w, p, v);
        client_sends(w, p);
        w->now_us = earliest(w, p);
        assert_true(w->now_us < (uint64_t)3600 * 1000 * 1000);
    }
    unsigned parts = 0;
    for (uint32_t c = 1; c <= CHUNKS; c++)
        parts += w->parts_n[c];
    assert_int_equal(p->state, PUSH_DONE);
    assert_int_equal(w->stored, parts);
    uint64_t took_s = w->now_us / 1000000;
    free(w);
    free(p);
    return took_s;
}

static void test_property_good_link(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        assert_true(run_world(seed, 0) < 1); /* no time-out was needed */
}

static void test_property_bad_link(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        run_world(seed * 7919, 1 + (unsigned)(seed % 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_outstanding_limit),
        cmocka_unit_test(test_cursor_crosses_chunks),
        cmocka_unit_test(test_granted_in_the_middle),
        cmocka_unit_test(test_acks_of_what_was_never_sent),
        cmocka_unit_test(test_silence_goes_back_then_inits),
        cmocka_unit_test(test_idle_is_no_silence),
        cmocka_unit_test(test_slow_link_is_no_silence),
        cmocka_unit_test(test_missed_goes_back_once),
        cmocka_unit_test(test_old_acks_change_nothing),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_lost_at_the_end),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_gives_up_without_progress),
        cmocka_unit_test(test_disconnected),
        cmocka_unit_test(test_property_good_link),
        cmocka_unit_test(test_property_bad_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
