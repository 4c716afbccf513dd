/*
 * Pull: its transitions, then a whole video from a model of an edge over a bad
 * network: every part is accepted once, in order, and it ends.
 */
#include "flow/pull.h"
#include "tests/unit/flow/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PACKET = 1000, WINDOW = 8 * PACKET, SILENCE = PULL_SILENCE_US };

static struct pull started(uint32_t chunks)
{
    struct pull p;
    struct pull_request r;
    pull_init(&p, WINDOW);
    assert_false(pull_next(&p, 0, &r));
    assert_int_equal(pull_deadline_us(&p), UINT64_MAX);
    pull_expect(&p, chunks);
    pull_start(&p, 1, 0, 0);
    assert_int_equal(pull_deadline_us(&p), 0);
    assert_true(pull_next(&p, 0, &r));
    assert_true(r.seek);
    assert_int_equal(r.pull, 1);
    assert_int_equal(r.chunk, 1);
    assert_int_equal(r.part, 0);
    assert_false(pull_next(&p, 0, &r));
    return p;
}

static void test_in_order(void **state)
{
    (void)state;
    struct pull p = started(2);
    assert_int_equal(pull_part(&p, 1, 0, 2, PACKET, 1), PULL_ACCEPT);
    assert_int_equal(p.state, PULL_RUNNING);
    assert_int_equal(pull_part(&p, 1, 0, 2, PACKET, 1), PULL_DUPLICATE);
    assert_int_equal(pull_part(&p, 1, 1, 2, PACKET, 1), PULL_ACCEPT);
    assert_int_equal(pull_part(&p, 2, 0, 1, PACKET, 1), PULL_ACCEPT);
    assert_int_equal(p.state, PULL_ENDED);
    assert_int_equal(pull_deadline_us(&p), UINT64_MAX);
}

static void test_credit(void **state)
{
    (void)state;
    struct pull p = started(0);
    struct pull_request r;
    pull_part(&p, 1, 0, 100, WINDOW / 4 - 1, 1);
    assert_false(pull_next(&p, 1, &r));
    pull_part(&p, 1, 1, 100, 1, 1);
    assert_true(pull_next(&p, 1, &r));
    assert_false(r.seek);
    assert_int_equal(r.pull, 1);
    assert_int_equal(r.credit_bytes, WINDOW / 4);
    assert_int_equal(r.window_bytes, WINDOW);
    assert_false(pull_next(&p, 1, &r));
}

static void test_zero_window(void **state)
{
    (void)state;
    struct pull p;
    struct pull_request r;
    pull_init(&p, 0);
    pull_start(&p, 1, 0, 0);
    assert_true(pull_next(&p, 0, &r));
    assert_false(pull_next(&p, 0, &r)); /* no credit for nothing */
    pull_part(&p, 1, 0, 2, PACKET, 0);
    assert_true(pull_next(&p, 0, &r));
    assert_int_equal(r.credit_bytes, PACKET);
}

static void test_gap_seeks_once(void **state)
{
    (void)state;
    struct pull p = started(0);
    struct pull_request r;
    pull_part(&p, 1, 0, 100, PACKET, 1);
    assert_int_equal(pull_part(&p, 1, 2, 100, PACKET, 1), PULL_GAP);
    assert_true(pull_next(&p, 1, &r));
    assert_true(r.seek);
    assert_int_equal(r.pull, 2);
    assert_int_equal(r.part, 1);
    for (uint32_t i = 3; i < 3 + WINDOW / PACKET; i++) { /* still under way from before */
        assert_int_equal(pull_part(&p, 1, i, 100, PACKET, 1), PULL_GAP);
        if (pull_next(&p, 1, &r))
            assert_false(r.seek);
    }
    pull_part(&p, 1, 90, 100, PACKET, 1); /* more than can have been */
    assert_true(pull_next(&p, 1, &r));
    assert_true(r.seek);
}

static void test_lost_seeks_at_once(void **state)
{
    (void)state;
    struct pull p = started(2);
    struct pull_request r;
    pull_part(&p, 1, 0, 3, PACKET, 1);
    pull_lost(&p);
    pull_lost(&p);
    assert_int_equal(pull_deadline_us(&p), 0);
    assert_true(pull_next(&p, 2, &r));
    assert_true(r.seek);
    assert_int_equal(r.part, 1);
    assert_false(pull_next(&p, 2, &r));
    pull_lost(&p); /* likewise while it seeks */
    assert_true(pull_next(&p, 3, &r));
    assert_int_equal(p.silent_seeks, 0);
    pull_part(&p, 1, 1, 3, PACKET, 4);
    pull_part(&p, 1, 2, 3, PACKET, 4);
    pull_part(&p, 2, 0, 1, PACKET, 4);
    pull_lost(&p); /* it is over */
    assert_int_equal(p.state, PULL_ENDED);
}

static void test_silence(void **state)
{
    (void)state;
    struct pull p = started(0);
    struct pull_request r;
    uint64_t now = 0;
    for (int i = 0; i < PULL_SEEKS_MAX; i++) {
        assert_int_equal(pull_deadline_us(&p), now + SILENCE);
        assert_false(pull_next(&p, now + SILENCE - 1, &r));
        now += SILENCE;
        assert_true(pull_next(&p, now, &r));
        assert_true(r.seek);
    }
    assert_false(pull_next(&p, now + SILENCE, &r));
    assert_int_equal(p.state, PULL_FAILED);
    assert_int_equal(pull_part(&p, 1, 0, 1, PACKET, now), PULL_DUPLICATE);
}

static void test_heard_puts_off(void **state)
{
    (void)state;
    struct pull p = started(0);
    struct pull_request r;
    pull_heard(&p, SILENCE - 1);
    assert_false(pull_next(&p, SILENCE, &r));
}

static void test_duplicates_are_no_life(void **state)
{
    (void)state;
    struct pull p = started(0);
    struct pull_request r;
    pull_part(&p, 1, 0, 2, PACKET, 0);
    for (uint64_t now = 0; now < 100 * SILENCE && p.state != PULL_FAILED; now += SILENCE / 4) {
        pull_part(&p, 1, 0, 2, PACKET, now);
        while (pull_next(&p, now, &r)) {
        }
    }
    assert_int_equal(p.state, PULL_FAILED);
}

static void test_junk_from_beyond_ends(void **state)
{
    (void)state;
    struct pull p = started(0);
    struct pull_request r;
    unsigned seeks = 0;
    for (int i = 0; i < 10000 && p.state != PULL_FAILED; i++) {
        pull_part(&p, 7, 0, 2, PACKET, 0);
        while (pull_next(&p, 0, &r))
            seeks += r.seek;
    }
    assert_int_equal(p.state, PULL_FAILED);
    assert_int_equal(seeks, PULL_SEEKS_MAX);
}

static void test_end(void **state)
{
    (void)state;
    struct pull p = started(0);
    pull_end(&p, 7, 1);
    assert_int_not_equal(p.state, PULL_ENDED); /* another pull's */
    pull_part(&p, 1, 0, 2, PACKET, 1);
    pull_end(&p, 1, 1);
    assert_int_not_equal(p.state, PULL_ENDED); /* in the middle of a chunk */
    pull_part(&p, 1, 1, 2, PACKET, 1);
    pull_end(&p, 1, 1);
    assert_int_equal(p.state, PULL_ENDED);
}

/* An edge that says "end" too early, for ever, does not hold us for ever. */
static void test_early_end(void **state)
{
    (void)state;
    struct pull p = started(3);
    struct pull_request r;
    pull_part(&p, 1, 0, 1, PACKET, 0);
    unsigned seeks = 0;
    for (uint64_t now = 0; p.state != PULL_FAILED && now < 100 * SILENCE; now += SILENCE / 8) {
        pull_end(&p, p.pull, now);
        assert_int_not_equal(p.state, PULL_ENDED);
        while (pull_next(&p, now, &r))
            seeks += r.seek;
    }
    assert_int_equal(p.state, PULL_FAILED);
    assert_int_equal(seeks, PULL_SEEKS_MAX);
}

/* ------------------------------------------------------------------ property */

enum { CHUNKS = 40, OP_SEEK = 1, OP_CREDIT, OP_PART, OP_END };

struct world {
    struct rng rng;
    struct link up, down;
    uint32_t parts_n[CHUNKS + 1];
    /* the edge's view */
    uint32_t pull, chunk, part;
    uint64_t sent_bytes, allowed_bytes;
    bool end_said;
    /* ours */
    uint32_t want_chunk, want_part;
    uint64_t now_us;
};

static void world_init(struct world *w, uint64_t seed, unsigned loss)
{
    w->rng.state = seed;
    w->up = w->down = link_of(&w->rng, loss, 20000);
    w->want_chunk = 1;
    for (uint32_t c = 1; c <= CHUNKS; c++)
        w->parts_n[c] = 1 + (uint32_t)(rng_next(&w->rng) % 6);
}

static void edge_sends(struct world *w)
{
    bool first = w->sent_bytes == 0;
    while (w->chunk && w->chunk <= CHUNKS &&
           (w->sent_bytes + PACKET <= w->allowed_bytes || first)) {
        uint32_t v[6] = {OP_PART, w->chunk, w->part, w->parts_n[w->chunk]};
        link_send(&w->down, w->now_us, v);
        first = false;
        w->sent_bytes += PACKET;
        if (++w->part == w->parts_n[w->chunk]) {
            w->chunk++;
            w->part = 0;
        }
    }
    if (w->chunk == CHUNKS + 1 && !w->end_said) {
        uint32_t v[6] = {OP_END, w->pull};
        link_send(&w->down, w->now_us, v);
        w->end_said = true;
    }
}

static void edge_takes(struct world *w, const uint32_t v[static 6])
{
    if (v[0] == OP_SEEK && v[1] > w->pull) {
        w->pull = v[1];
        w->chunk = v[2];
        w->part = v[3];
        w->sent_bytes = 0;
        w->allowed_bytes = v[4];
        w->end_said = false;
    } else if (v[0] == OP_CREDIT && v[1] == w->pull && v[2] + v[4] > w->allowed_bytes) {
        w->allowed_bytes = v[2] + v[4];
    }
    edge_sends(w);
}

static void client_takes(struct world *w, struct pull *p, const uint32_t v[static 6])
{
    if (v[0] == OP_END) {
        pull_end(p, v[1], w->now_us);
        return;
    }
    if (pull_part(p, v[1], v[2], v[3], PACKET, w->now_us) != PULL_ACCEPT)
        return;
    assert_int_equal(v[1], w->want_chunk); /* I1 */
    assert_int_equal(v[2], w->want_part);
    if (++w->want_part == w->parts_n[w->want_chunk]) {
        w->want_chunk++;
        w->want_part = 0;
    }
}

static void client_asks(struct world *w, struct pull *p)
{
    struct pull_request r;
    while (pull_next(p, w->now_us, &r)) {
        uint32_t seek[6] = {OP_SEEK, r.pull, r.chunk, r.part, r.window_bytes};
        uint32_t credit[6] = {OP_CREDIT, r.pull, (uint32_t)r.credit_bytes, 0, r.window_bytes};
        link_send(&w->up, w->now_us, r.seek ? seek : credit);
    }
}

static uint64_t run_world(uint64_t seed, unsigned loss, bool chunks_known)
{
    struct world *w = calloc(1, sizeof(*w));
    struct pull p;
    world_init(w, seed, loss);
    pull_init(&p, WINDOW);
    pull_expect(&p, chunks_known ? CHUNKS : 0);
    pull_start(&p, 1, 0, 0);
    while (p.state != PULL_ENDED && p.state != PULL_FAILED) {
        uint32_t v[6];
        while (link_take(&w->up, w->now_us, v))
            edge_takes(w, v);
        while (link_take(&w->down, w->now_us, v))
            client_takes(w, &p, v);
        client_asks(w, &p);
        uint64_t at = pull_deadline_us(&p);
        uint64_t up = link_next_us(&w->up), down = link_next_us(&w->down);
        at = up < at ? up : at;
        at = down < at ? down : at;
        w->now_us = at > w->now_us && at != UINT64_MAX ? at : w->now_us + 1;
        assert_true(w->now_us < (uint64_t)3600 * 1000 * 1000);
    }
    assert_int_equal(p.state, PULL_ENDED);
    if (chunks_known || loss == 0)
        assert_int_equal(w->want_chunk, CHUNKS + 1);
    uint64_t took_s = w->now_us / 1000000;
    free(w);
    return took_s;
}

static void test_property_good_link(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        assert_true(run_world(seed, 0, seed % 2) < 1); /* no time-out was needed */
}

static void test_property_bad_link(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        run_world(seed * 7919, 1 + (unsigned)(seed % 6), seed % 4 != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_credit),
        cmocka_unit_test(test_zero_window),
        cmocka_unit_test(test_gap_seeks_once),
        cmocka_unit_test(test_lost_seeks_at_once),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_heard_puts_off),
        cmocka_unit_test(test_duplicates_are_no_life),
        cmocka_unit_test(test_junk_from_beyond_ends),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_early_end),
        cmocka_unit_test(test_property_good_link),
        cmocka_unit_test(test_property_bad_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
