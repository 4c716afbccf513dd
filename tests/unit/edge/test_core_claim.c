/* The init of an upload: who may, and what is taken already. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_init(void **state)
{
    struct scene *c = *state;
    stage_step(c->s, stage_init_event(c->s, c->r));
    assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 0); /* not before storage has it */
    stage_settle(c->s);
    stage_expect_ack(c->s, 1, 0);
    const struct upload_ack *ack = stage_ack(c->s);
    assert_false(ack->has_part);
    assert_int_equal(ack->window_bytes, UPLOAD_WINDOW_BYTES_MAX);
    assert_true(slice_eq_str(stage_last(c->s, MESSAGE_UPLOAD_ACK)->b, "alice"));
    assert_int_equal(stage_effects(c->s, EFFECT_TRUST), 1);
}

static void refused(struct scene *c, struct event *ev, enum wire_code code)
{
    stage_do(c->s, ev);
    assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 0);
    stage_expect_error(c->s, code, TOPIC_UPLOAD_REPLY, "alice");
    assert_int_equal(c->s->core->ingests.count, 0);
}

static void test_init_refused(void **state)
{
    struct scene *c = *state;
    struct event *ev = stage_init_event(c->s, c->r);
    ev->u.init.credential.subject = bob.id;
    refused(c, ev, CODE_UNAUTHORIZED);
    ev = stage_init_event(c->s, c->r);
    ev->u.init.credential.kind = CREDENTIAL_EDGE;
    refused(c, ev, CODE_UNAUTHORIZED);
    ev = stage_init_event(c->s, c->r);
    ev->u.init.credential.not_after_us = c->s->utc_us;
    refused(c, ev, CODE_UNAUTHORIZED);
    ev = stage_init_event(c->s, c->r);
    ev->u.init.credential.not_before_us = c->s->utc_us + 1;
    refused(c, ev, CODE_UNAUTHORIZED);
    ev = stage_init_event(c->s, c->r);
    ev->u.init.video.live = true;
    refused(c, ev, CODE_BAD_REQUEST);
    stage_do(c->s, event_new(EVENT_STOP));
    refused(c, stage_init_event(c->s, c->r), CODE_NOT_READY);
}

/* A revision from the future would win against every one that comes after it. */
static void test_init_from_the_future(void **state)
{
    struct scene *c = *state;
    struct event *ev = stage_init_event(c->s, c->r);
    ev->u.init.video.revision_us = c->s->utc_us + HLC_AHEAD_MAX_US + 1;
    refused(c, ev, CODE_BAD_REQUEST);
    ev = stage_init_event(c->s, c->r);
    ev->u.init.video.revision_us = c->s->utc_us + HLC_AHEAD_MAX_US;
    stage_do(c->s, ev);
    assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 1);
}

/* What the others take for forgotten is not begun: it would be listed here alone. */
static void test_init_from_before_the_horizon(void **state)
{
    struct scene *c = *state;
    uint64_t horizon_us = c->s->core->root.horizon_us;
    assert_true(horizon_us);
    struct event *ev = stage_init_event(c->s, c->r);
    ev->u.init.video.revision_us = horizon_us;
    refused(c, ev, CODE_BAD_REQUEST);
    ev = stage_init_event(c->s, c->r);
    ev->u.init.video.revision_us = horizon_us + 1;
    stage_do(c->s, ev);
    assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 1);
}

static void test_init_before_enrolment(void **state)
{
    struct scene *c = *state;
    stage_free(c->s);
    c->s = stage_new(&(struct stage_spec){.fresh = true});
    refused(c, stage_init_event(c->s, c->r), CODE_NOT_READY);
}

static void test_init_replayed(void **state)
{
    struct scene *c = *state;
    struct event *again = stage_init_event(c->s, c->r);
    c->s->nonces--; /* the same nonce for the next one */
    stage_do(c->s, stage_init_event(c->s, c->r));
    assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 1);
    stage_forget(c->s);
    stage_do(c->s, again);
    stage_expect_error(c->s, CODE_UNAUTHORIZED, TOPIC_UPLOAD_REPLY, "alice");
    assert_int_equal(core_counter(c->s->core, COUNT_replays_refused), 1);
}

static void test_init_skewed(void **state)
{
    struct scene *c = *state;
    static const struct {
        int64_t skew_us;
        bool taken;
    } cases[] = {{TIME_WINDOW_US, true},
                 {TIME_WINDOW_US + 1, false},
                 {-(int64_t)TIME_WINDOW_US, true},
                 {-(int64_t)TIME_WINDOW_US - 1, false}};
    for (size_t i = 0; i < 4; i++) {
        struct event *ev = stage_init_event(c->s, c->r);
        ev->u.init.auth.ts_us += (uint64_t)cases[i].skew_us;
        stage_do(c->s, ev);
        assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), cases[i].taken);
        assert_int_equal(stage_count(c->s, MESSAGE_ERROR), !cases[i].taken);
        stage_forget(c->s);
    }
}

/* A full cache says nothing about the request: busy, until the oldest are forgotten. */
static void test_nonces_full(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    const char *why;
    for (size_t i = 0; i < NONCES_MAX; i++) {
        struct request_auth auth = stage_auth(s);
        struct pubkey pk = bob.key.pk;
        pk.b[0] = (uint8_t)(i / NONCES_PER_KEY_MAX); /* many keys: one has its own limit */
        assert_int_equal(core_fresh(s->core, &pk, &auth, &why), ERR_OK);
        if ((i + 1) % NONCES_PER_KEY_MAX == 0 && i + 1 < NONCES_MAX) {
            auth = stage_auth(s);
            assert_int_equal(core_fresh(s->core, &pk, &auth, &why), ERR_QUOTA);
        }
    }
    stage_do(s, stage_init_event(s, c->r));
    stage_expect_error(s, CODE_BUSY, TOPIC_UPLOAD_REPLY, "alice");
    s->now_us += 2ull * TIME_WINDOW_US;
    s->utc_us += 2ull * TIME_WINDOW_US;
    stage_do(s, stage_init_event(s, c->r));
    stage_expect_error(s, CODE_BUSY, TOPIC_UPLOAD_REPLY, "alice");
    s->now_us++;
    stage_do(s, stage_init_event(s, c->r));
    assert_int_equal(stage_count(s, MESSAGE_UPLOAD_ACK), 1);
    assert_int_equal(s->core->nonces.count, 1);
}

static void test_created_in_another_time(void **state)
{
    struct scene *c = *state;
    c->r->video.created_us = REEL_UTC_US - CREATED_WINDOW_US - 1;
    reel_sign(c->r);
    refused(c, stage_init_event(c->s, c->r), CODE_CONFLICT);
    c->r->video.created_us++;
    reel_sign(c->r);
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_expect_ack(c->s, 1, 0);
    stage_pass(c->s, 300 * STAGE_S); /* what is known may go on however old it is */
    stage_forget(c->s);
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_expect_ack(c->s, 1, 0);
}

static void test_conflict(void **state)
{
    struct scene *c = *state;
    struct reel *foreign = reel_new(&bob, "video1", 1, false);
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_do(c->s, stage_init_event(c->s, foreign));
    stage_expect_error(c->s, CODE_CONFLICT, TOPIC_UPLOAD_REPLY, "bob");
    assert_int_equal(c->s->core->ingests.count, 1);
    stage_parts(c->s, c->r, 0, c->r->n);
    stage_do(c->s, stage_end_event(c->r));
    struct reel *second = reel_new(&alice, "video1", 2, false);
    stage_forget(c->s);
    stage_do(c->s, stage_init_event(c->s, second)); /* a finished one is not replaced */
    stage_expect_error(c->s, CODE_CONFLICT, TOPIC_UPLOAD_REPLY, "alice");
    reel_free(foreign);
    reel_free(second);
}

/* A new stream of the same streamer: the old one ends without a word, and what it still sends
 * does not disturb the new one. */
static void test_replaced(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    struct reel *second = reel_new(&alice, "video1", 2, false);
    reel_fill(second, 2, 20000);
    stage_do(s, stage_init_event(s, c->r));
    stage_parts(s, c->r, 0, 3);
    s->commit_at_once = false;
    stage_part(s, c->r, 3);
    stage_step(s, stage_init_event(s, second));
    stage_part(s, c->r, 4);
    s->commit_at_once = true;
    stage_forget(s);
    stage_settle(s);
    stage_expect_ack(s, 1, 0);
    assert_int_equal(stage_count(s, MESSAGE_ERROR), 0);
    assert_int_equal(s->core->ingests.count, 1);
    stage_parts(s, c->r, 5, 6);
    assert_int_equal(core_counter(s->core, COUNT_parts_unknown_stream), 1);
    stage_parts(s, second, 0, second->n);
    assert_int_equal(stage_count(s, MESSAGE_ERROR), 0);
    stage_expect_ack(s, 4, 0);
    reel_free(second);
}

static void test_claim_fails(void **state)
{
    struct scene *c = *state;
    memory_store_fail(c->s->store, ERR_STORAGE_FULL, 0, 1);
    refused(c, stage_init_event(c->s, c->r), CODE_STORAGE_FULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(test_init),
        T(test_init_refused),
        T(test_init_from_the_future),
        T(test_init_from_before_the_horizon),
        T(test_init_before_enrolment),
        T(test_init_replayed),
        T(test_init_skewed),
        T(test_nonces_full),
        T(test_created_in_another_time),
        T(test_conflict),
        T(test_replaced),
        T(test_claim_fails),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
