/* What edges alone say to each other is signed, each message at a time of its own. */
#include "tests/unit/edge/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct member alice;

static int group_setup(void **state)
{
    (void)state;
    crypto_init();
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    return 0;
}

static const struct peer_stamp *asks(struct stage *s, uint32_t number)
{
    struct event *ev = event_new(EVENT_DB_REQUEST);
    ev->u.db_request.edge_id = stage_id("edge2");
    ev->u.db_request.bundle = true;
    ev->u.db_request.page = 1;
    ev->u.db_request.asking = number;
    stage_do(s, ev);
    return stage_last(s, MESSAGE_DB_BUNDLE)->stamp;
}

static void test_who_and_to_whom(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    struct id to = stage_id("edge2");
    const struct peer_stamp *stamp = asks(s, 1);
    assert_true(id_eq(&stamp->from, &s->edge.id) && id_eq(&stamp->to, &to));
    assert_true(id_eq(&stamp->zone_id, &s->core->zone.zone_id));
    assert_int_equal(stamp->topic, TOPIC_DB_REPLY);
    assert_int_equal(stamp->time_us, s->utc_us);
    assert_true(pubkey_eq(&stamp->key->pk, &s->edge.key.pk));
    stage_free(s);
    s = stage_new(&(struct stage_spec){.new_here = true});
    stage_do(s, stage_beat_event(
                    &(struct stage_beat){.edge_id = "edge2", .root = {.horizon_us = 1, .b = {1}}}));
    stage_pass(s, STAGE_S);
    stamp = stage_last(s, MESSAGE_DB_REQUEST)->stamp;
    assert_true(stamp->topic == TOPIC_DB && stamp->to.s[0] == '\0'); /* all hear it */
    stage_free(s);
}

/* What the original's edges and clients read is as it always was. */
static void test_others_are_not_signed(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    struct reel *r = reel_new(&alice, "video1", 1, false);
    reel_fill(r, 1, 100);
    reel_finish(r);
    stage_upload(s, r);
    assert_null(stage_last(s, MESSAGE_DB_UPDATE)->stamp);
    struct event *ev = event_new(EVENT_DB_REQUEST);
    ev->u.db_request.edge_id = stage_id("edge2");
    stage_do(s, ev);
    assert_null(stage_last(s, MESSAGE_DB_PAGE)->stamp);
    reel_free(r);
    stage_free(s);
}

/* In one moment, and with a clock that goes back: times go up, unless nobody would believe them. */
static void test_times(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    uint64_t utc_us = s->utc_us;
    assert_int_equal(asks(s, 1)->time_us, utc_us);
    assert_int_equal(asks(s, 2)->time_us, utc_us + 1);
    s->utc_us = utc_us - PEER_WINDOW_US + 2;
    assert_int_equal(asks(s, 3)->time_us, utc_us + 2);
    s->utc_us = utc_us - PEER_WINDOW_US;
    assert_int_equal(asks(s, 4)->time_us, utc_us - PEER_WINDOW_US);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_and_to_whom),
        cmocka_unit_test(test_others_are_not_signed),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
