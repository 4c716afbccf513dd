/* Who an edge is to a locked broker: enrolling, itself, and back again. */
#include "tests/unit/edge/stage.h"
#include "trust/broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct stage_spec locked = {.fresh = true, .bus_down = true, .accounts = true};

static struct stage *locked_stage(void)
{
    return stage_new(&locked);
}

static struct slice sealed_login(struct stage *s, const char *user, const char *password)
{
    struct broker_login login = {.user = slice_str(user), .password = slice_str(password)};
    struct slice plain = broker_login_encode(&login, &s->arena);
    size_t len = plain.len + SEAL_OVERHEAD_BYTES;
    uint8_t *sealed = arena_alloc(&s->arena, len);
    assert_int_equal(seal_to_signer(&s->edge.key.pk, plain, sealed), ERR_OK);
    return slice_of(sealed, len);
}

/* The zone's answer to the last request, with what is sealed in it. */
static void answer(struct stage *s, struct slice broker)
{
    const struct zone_request *q = stage_last(s, MESSAGE_ZONE_REQUEST)->body;
    uint8_t secret[KEY_BYTES];
    struct hash request;
    reel_zone_secret(secret);
    assert_int_equal(enrolment_check(&q->enrolment, secret, q->proof, &request), ERR_OK);
    struct event *ev = event_new(EVENT_ZONE_REPLY);
    struct zone_reply *m = &ev->u.zone_reply;
    m->edge_id = s->edge.id;
    m->params = arena_copy(&ev->arena, reel_zone_bytes(&s->arena));
    m->credential = arena_copy(&ev->arena, member_credential(&s->edge));
    m->nonce = q->enrolment.nonce;
    m->proof = enrolment_reply_mac(secret, &request, m->params, m->credential, &m->nonce);
    m->broker = arena_copy(&ev->arena, broker);
    stage_forget(s);
    stage_do(s, ev);
}

static void expect_login(const struct stage *s, const char *user, bool enrolling)
{
    const struct edge_login *login = core_login(s->core);
    assert_non_null(login);
    assert_string_equal(login->user, user);
    assert_int_equal(login->enrolling, enrolling);
}

static void expect_changes(struct stage *s, size_t n)
{
    assert_int_equal(stage_effects(s, EFFECT_LOGIN), n);
    stage_forget(s);
}

static void it_enrols_and_becomes_itself(void **state)
{
    (void)state;
    char password[BROKER_PASSWORD_BYTES];
    uint8_t secret[KEY_BYTES];
    struct stage *s = locked_stage();
    reel_zone_secret(secret);
    broker_enrol_password(secret, password);
    expect_login(s, "enrol", true);
    assert_string_equal(core_login(s->core)->password, password);
    stage_do(s, event_new(EVENT_BUS_UP));
    answer(s, sealed_login(s, "edge1", "its own"));
    expect_login(s, "edge1", false);
    assert_string_equal(core_login(s->core)->password, "its own");
    expect_changes(s, 1);
    assert_true(memory_store_meta(s->store, "broker").len > 0);
    stage_free(s);
}

static void what_was_kept_is_used_at_the_next_start(void **state)
{
    (void)state;
    struct stage *s = locked_stage();
    stage_do(s, event_new(EVENT_BUS_UP));
    answer(s, sealed_login(s, "edge1", "its own"));
    struct core_config config = {.edge_id = s->edge.id,
                                 .key = s->edge.key,
                                 .broker_accounts = true,
                                 .broker_login = memory_store_meta(s->store, "broker")};
    struct core *again = core_new(&config);
    assert_string_equal(core_login(again)->user, "edge1");
    assert_false(core_login(again)->enrolling);
    core_free(again);
    config.broker_login = slice_str("{\"user\":7}");
    again = core_new(&config);
    assert_true(core_login(again)->enrolling);
    core_free(again);
    config.broker_accounts = false;
    again = core_new(&config);
    assert_null(core_login(again));
    core_free(again);
    stage_free(s);
}

static void a_renewal_with_the_same_login_changes_nothing(void **state)
{
    (void)state;
    struct stage *s = locked_stage();
    stage_do(s, event_new(EVENT_BUS_UP));
    answer(s, sealed_login(s, "edge1", "its own"));
    expect_changes(s, 1);
    stage_pass(s, 24 * 3600 * STAGE_S); /* it asks again in time */
    assert_true(stage_count(s, MESSAGE_ZONE_REQUEST) > 0);
    answer(s, sealed_login(s, "edge1", "its own"));
    expect_changes(s, 0);
    stage_free(s);
}

static void it_enrols_again_when_it_is_denied(void **state)
{
    (void)state;
    struct stage *s = locked_stage();
    stage_do(s, event_new(EVENT_BUS_UP));
    answer(s, sealed_login(s, "edge1", "its own"));
    stage_do(s, event_new(EVENT_BUS_DOWN));
    stage_forget(s);
    stage_do(s, event_new(EVENT_BUS_DENIED));
    expect_login(s, "enrol", true);
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 0);
    expect_changes(s, 1);
    stage_do(s, event_new(EVENT_BUS_DENIED)); /* the zone secret is not the zone's any more */
    assert_int_equal(stage_effects(s, EFFECT_LOG), 1);
    expect_changes(s, 0);
    stage_do(s, event_new(EVENT_BUS_UP));
    stage_pass(s, 2 * STAGE_S); /* with a credential that is good for long */
    answer(s, sealed_login(s, "edge1", "another"));
    expect_login(s, "edge1", false);
    expect_changes(s, 1);
    stage_free(s);
}

static void what_is_not_sealed_to_it_is_no_login(void **state)
{
    (void)state;
    struct stage *s = locked_stage();
    stage_do(s, event_new(EVENT_BUS_UP));
    struct slice good = sealed_login(s, "edge1", "its own");
    uint8_t bad[1024];
    memcpy(bad, good.ptr, good.len);
    bad[good.len - 1] ^= 1;
    answer(s, slice_of(bad, good.len));
    expect_login(s, "enrol", true);
    assert_int_equal(core_counter(s->core, COUNT_messages_rejected), 1);
    expect_changes(s, 0);
    stage_free(s);
    s = locked_stage();
    stage_do(s, event_new(EVENT_BUS_UP));
    answer(s, slice_of(bad, SEAL_OVERHEAD_BYTES));
    expect_login(s, "enrol", true);
    expect_changes(s, 0);
    stage_free(s);
    s = locked_stage();
    stage_do(s, event_new(EVENT_BUS_UP));
    answer(s, sealed_login(s, "enrol", "no"));
    expect_changes(s, 0);
    stage_free(s);
    s = locked_stage();
    stage_do(s, event_new(EVENT_BUS_UP));
    answer(s, sealed_login(s, "edge2", "another edge's"));
    expect_login(s, "enrol", true);
    assert_int_equal(core_counter(s->core, COUNT_messages_rejected), 1);
    assert_int_equal(memory_store_meta(s->store, "broker").len, 0);
    expect_changes(s, 0);
    stage_free(s);
    s = locked_stage();
    stage_do(s, event_new(EVENT_BUS_UP));
    answer(s, (struct slice){0}); /* an auth_edge that knows no locked broker */
    expect_login(s, "enrol", true);
    expect_changes(s, 0);
    stage_free(s);
}

static void without_accounts_nothing_of_this_happens(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.fresh = true, .bus_down = true});
    stage_do(s, event_new(EVENT_BUS_UP));
    answer(s, sealed_login(s, "edge1", "its own"));
    stage_do(s, event_new(EVENT_BUS_DENIED));
    assert_null(core_login(s->core));
    expect_changes(s, 0);
    assert_int_equal(memory_store_meta(s->store, "broker").len, 0);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_enrols_and_becomes_itself),
        cmocka_unit_test(what_was_kept_is_used_at_the_next_start),
        cmocka_unit_test(a_renewal_with_the_same_login_changes_nothing),
        cmocka_unit_test(it_enrols_again_when_it_is_denied),
        cmocka_unit_test(what_is_not_sealed_to_it_is_no_login),
        cmocka_unit_test(without_accounts_nothing_of_this_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
