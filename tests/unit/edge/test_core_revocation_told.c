/* Who is revoked: how edges pass the list on to each other. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SERIAL = 11 };

static void revoke(struct stage *s, uint64_t number)
{
    struct revocation entry = {.serial = SERIAL, .since_us = REEL_UTC_US};
    stage_do(s, stage_revocations_event(
                    &(struct reel_list){.number = number, .n = 1, .entries = &entry}));
}

static void hears_number(struct stage *s, const char *edge_id, uint64_t number)
{
    stage_do(s, stage_beat_event(&(struct stage_beat){.edge_id = edge_id, .revocations = number}));
}

static size_t told(const struct stage *s)
{
    return stage_count(s, MESSAGE_REVOCATIONS);
}

static void test_tells_who_has_an_older_one(void **state)
{
    struct stage *s = *state;
    hears_number(s, "edge2", 0);
    stage_pass(s, 2 * STAGE_S);
    assert_int_equal(told(s), 0); /* there is none */
    revoke(s, 5);
    hears_number(s, "edge2", 5);
    hears_number(s, "edge3", 6);
    stage_pass(s, 2 * STAGE_S);
    assert_int_equal(told(s), 0);
    hears_number(s, "edge2", 4);
    assert_int_equal(told(s), 0); /* not at once: another may */
    stage_pass(s, STAGE_S);
    assert_int_equal(told(s), 1);
    const struct effect *e = stage_last(s, MESSAGE_REVOCATIONS);
    const struct revocations_message *m = e->body;
    assert_int_equal(e->topic, TOPIC_AUTH_REVOCATIONS);
    assert_int_equal(e->lane, LANE_CONTROL);
    assert_true(slice_eq(m->revocations, memory_store_meta(s->store, "revocations")));
    assert_int_equal(core_counter(s->core, COUNT_revocations_told), 1);
}

static void test_tells_seldom(void **state)
{
    struct stage *s = *state;
    revoke(s, 5);
    for (int i = 0; i < 90; i++) { /* edge2 never learns */
        hears_number(s, "edge2", 0);
        hears_number(s, "edge3", 0);
        stage_pass(s, STAGE_S / 3);
    }
    assert_int_equal(told(s), 3); /* in 30 s */
}

static void test_tells_what_nobody_said(void **state)
{
    struct stage *s = *state;
    revoke(s, 5);
    hears_number(s, "edge2", 0);
    revoke(s, 5); /* another edge was quicker */
    stage_pass(s, 5 * STAGE_S);
    assert_int_equal(told(s), 0);
    hears_number(s, "edge2", 0);
    stage_do(s, event_new(EVENT_BUS_DOWN));
    stage_pass(s, 5 * STAGE_S);
    stage_do(s, event_new(EVENT_BUS_UP));
    stage_pass(s, 5 * STAGE_S);
    assert_int_equal(told(s), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_stage_setup, scene_stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_tells_who_has_an_older_one),
        TEST(test_tells_seldom),
        TEST(test_tells_what_nobody_said),
    };
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
