/* The edge's place in its zone: enrolment, renewal, and what it says of itself and hears of others.
 */
#include "tests/unit/edge/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* A reply to the last request, as the zone would make it, before somebody spoils it. */
struct reply {
    struct slice params;
    const struct member *credential;
    struct hash request;
    struct nonce nonce;
    uint8_t secret[KEY_BYTES];
    const char *edge_id;
};

static struct reply reply_of(struct stage *s)
{
    const struct zone_request *m = stage_last(s, MESSAGE_ZONE_REQUEST)->body;
    struct reply r = {.params = reel_zone_bytes(&s->arena),
                      .credential = &s->edge,
                      .nonce = m->enrolment.nonce,
                      .edge_id = s->edge.id.s};
    reel_zone_secret(r.secret);
    assert_int_equal(enrolment_check(&m->enrolment, r.secret, m->proof, &r.request), ERR_OK);
    assert_int_equal(m->enrolment.ts_us, s->utc_us);
    return r;
}

static struct event *reply_event(const struct reply *r)
{
    struct event *ev = event_new(EVENT_ZONE_REPLY);
    struct zone_reply *m = &ev->u.zone_reply;
    m->edge_id = stage_id(r->edge_id);
    m->params = arena_copy(&ev->arena, r->params);
    m->credential = arena_copy(&ev->arena, member_credential(r->credential));
    m->nonce = r->nonce;
    m->proof = enrolment_reply_mac(r->secret, &r->request, m->params, m->credential, &m->nonce);
    return ev;
}

static struct event *ping_event(const char *client_id)
{
    struct event *ev = event_new(EVENT_PING);
    ev->u.ping.client_id = arena_copy(&ev->arena, slice_str(client_id));
    return ev;
}

static bool answers_ping(struct stage *s)
{
    stage_forget(s);
    stage_do(s, ping_event("client1"));
    size_t n = stage_count(s, MESSAGE_PING_REPLY);
    stage_forget(s);
    return n == 1;
}

/* In somebody else's name they are sent to him: within the budget of all who showed no token. */
static void test_pings_are_rationed(void **state)
{
    (void)state;
    enum { PINGS = UNTRUSTED_BYTES_PER_S_MAX / 1024 };
    struct stage *s = stage_new(NULL);
    stage_pass(s, 1);
    for (int i = 0; i < PINGS; i++) {
        stage_step(s, ping_event("victim"));
        assert_int_equal(stage_count(s, MESSAGE_PING_REPLY), 1);
        stage_forget(s);
    }
    assert_false(answers_ping(s));
    stage_pass(s, 2 * STAGE_S);
    assert_true(answers_ping(s));
    stage_free(s);
}

static struct stage *fresh(void)
{
    struct stage *s = stage_new(&(struct stage_spec){.fresh = true, .bus_down = true});
    stage_do(s, event_new(EVENT_BUS_UP));
    return s;
}

static void test_enrols(void **state)
{
    (void)state;
    struct stage *s = fresh();
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 1);
    assert_int_equal(stage_count(s, MESSAGE_EDGE_STATUS), 0);
    struct reply r = reply_of(s);
    assert_false(answers_ping(s));
    assert_int_equal(core_counter(s->core, COUNT_answers_suppressed), 1);
    stage_do(s, reply_event(&r));
    assert_int_equal(stage_effects(s, EFFECT_TRUST), 1);
    assert_int_equal(stage_count(s, MESSAGE_EDGE_STATUS), 1);
    assert_true(core_trust_view(s->core)->has_zone);
    assert_true(slice_eq(memory_store_meta(s->store, "credential"), member_credential(&s->edge)));
    assert_true(slice_eq(memory_store_meta(s->store, "zone_params"), r.params));
    assert_true(answers_ping(s));
    stage_free(s);
}

/* Each thing that can be wrong with a reply; afterwards the good one is still taken. */
static void test_bad_replies(void **state)
{
    (void)state;
    struct stage *s = fresh();
    struct reply good = reply_of(s);
    struct member other_key;
    struct member streamer;
    member_make("edge2", CREDENTIAL_EDGE, &other_key);
    member_make("edge1", CREDENTIAL_STREAMER, &streamer);
    struct reply bad[5] = {good, good, good, good, good};
    bad[0].secret[0] ^= 1;
    bad[1].request.b[31] ^= 1;
    bad[2].credential = &other_key;
    bad[3].credential = &streamer;
    bad[4].edge_id = "edge2";
    for (size_t i = 0; i < 5; i++) {
        stage_do(s, reply_event(&bad[i]));
        assert_int_equal(core_counter(s->core, COUNT_messages_rejected), i + 1);
        assert_false(answers_ping(s));
    }
    struct event *cut = reply_event(&good);
    cut->u.zone_reply.params.len--;
    stage_do(s, cut);
    assert_false(core_trust_view(s->core)->has_zone);
    stage_do(s, reply_event(&good));
    assert_true(answers_ping(s));
    stage_do(s, reply_event(&good)); /* nothing is outstanding any more */
    assert_int_equal(core_counter(s->core, COUNT_messages_rejected), 7);
    stage_free(s);
}

static void test_reply_to_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    struct reply r = {
        .params = reel_zone_bytes(&s->arena), .credential = &s->edge, .edge_id = "edge1"};
    reel_zone_secret(r.secret);
    stage_do(s, reply_event(&r));
    assert_int_equal(core_counter(s->core, COUNT_messages_rejected), 1);
    assert_int_equal(stage_effects(s, EFFECT_TRUST), 0);
    stage_free(s);
}

static struct event *refusal_event(void)
{
    struct event *ev = event_new(EVENT_ZONE_ERROR);
    ev->u.zone_error = (struct wire_error){
        .code = CODE_CONFLICT, .code_text = slice_str("conflict"), .message = slice_str("no")};
    return ev;
}

/* The operator hears of it once, and a good reply is taken all the same. */
static void test_refused(void **state)
{
    (void)state;
    struct stage *s = fresh();
    struct reply r = reply_of(s);
    stage_do(s, refusal_event());
    stage_do(s, refusal_event());
    assert_int_equal(stage_effects(s, EFFECT_LOG), 1);
    stage_do(s, reply_event(&r));
    assert_true(answers_ping(s));
    stage_do(s, refusal_event()); /* nothing was asked */
    assert_int_equal(stage_effects(s, EFFECT_LOG), 0);
    stage_free(s);
}

static void test_asks_again_backing_off(void **state)
{
    (void)state;
    struct stage *s = fresh();
    stage_forget(s);
    stage_pass(s, 16 * STAGE_S); /* at 1, 3, 7, 15 s */
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 4);
    stage_pass(s, 15 * STAGE_S); /* at 31 s */
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 5);
    stage_pass(s, 300 * STAGE_S); /* every 30 s */
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 15);
    stage_do(s, event_new(EVENT_BUS_DOWN));
    stage_forget(s);
    stage_pass(s, 300 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 0);
    stage_do(s, event_new(EVENT_BUS_UP));
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 1);
    struct reply r = reply_of(s);
    stage_do(s, reply_event(&r));
    assert_true(answers_ping(s));
    stage_free(s);
}

static void test_kept_credential(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.bus_down = true});
    assert_true(core_trust_view(s->core)->has_zone);
    assert_true(answers_ping(s));
    stage_do(s, event_new(EVENT_BUS_UP));
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 0);
    assert_int_equal(stage_count(s, MESSAGE_EDGE_STATUS), 1);
    stage_free(s);
}

/* The day around the start is two days long; two thirds of it end 8 hours after the start. */
static void test_renews(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    const uint64_t hours = 8 * 3600 * STAGE_S;
    for (int i = 0; i < 8; i++) {
        stage_pass(s, hours / 8 - (i == 7 ? STAGE_S : 0));
        assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 0);
        stage_forget(s);
    }
    stage_pass(s, 2 * STAGE_S);
    assert_true(stage_count(s, MESSAGE_ZONE_REQUEST) >= 1);
    assert_true(answers_ping(s));
    stage_pass(s, 60 * STAGE_S);
    struct reply r = reply_of(s);
    struct member renewed;
    member_make_as("edge1",
                   &(struct member_spec){.kind = CREDENTIAL_EDGE,
                                         .not_before_us = s->utc_us,
                                         .not_after_us = s->utc_us + 3 * REEL_DAY_US},
                   &renewed);
    r.credential = &renewed;
    stage_do(s, reply_event(&r));
    assert_true(slice_eq(memory_store_meta(s->store, "credential"), member_credential(&renewed)));
    stage_forget(s);
    stage_pass(s, 3600 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 0);
    stage_free(s);
}

static struct member_spec dated(uint64_t from_us, uint64_t to_us)
{
    return (struct member_spec){
        .kind = CREDENTIAL_EDGE, .not_before_us = from_us, .not_after_us = to_us};
}

static void test_credential_out_of_date(void **state)
{
    (void)state;
    struct member_spec past = dated(REEL_UTC_US - REEL_DAY_US, REEL_UTC_US);
    struct member_spec future = dated(REEL_UTC_US + 1, REEL_UTC_US + REEL_DAY_US);
    struct member_spec last = dated(REEL_UTC_US, REEL_UTC_US + 1);
    struct stage *s = stage_new(&(struct stage_spec){.credential = &past});
    assert_false(answers_ping(s));
    stage_pass(s, 2 * STAGE_S);
    assert_true(stage_count(s, MESSAGE_ZONE_REQUEST) > 0);
    stage_free(s);
    s = stage_new(&(struct stage_spec){.credential = &future});
    assert_false(answers_ping(s));
    s->utc_us += STAGE_S;
    assert_true(answers_ping(s));
    stage_free(s);
    s = stage_new(&(struct stage_spec){.credential = &last});
    assert_true(answers_ping(s));
    s->utc_us++;
    assert_false(answers_ping(s));
    stage_free(s);
}

static void test_ping_tells_the_load(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    struct event *load = event_new(EVENT_LOAD);
    load->u.load = (struct machine_load){.cpu_percent = 12.5, .disk_free = 99};
    stage_do(s, load);
    stage_pass(s, 7 * STAGE_S);
    stage_forget(s);
    stage_do(s, ping_event("client1"));
    const struct effect *e = stage_last(s, MESSAGE_PING_REPLY);
    const struct ping_reply *m = e->body;
    assert_int_equal(e->topic, TOPIC_PING_REPLY);
    assert_true(slice_eq_str(e->a, "client1"));
    assert_int_equal(m->load.disk_free, 99);
    assert_int_equal(m->uptime_s, 7);
    assert_true(slice_eq(m->token, stage_token(s, "client1")));
    stage_forget(s);
    stage_do(s, ping_event("not/an/id"));
    assert_int_equal(s->said_n, 0);
    stage_free(s);
}

static void test_token_reply_ids(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.tokens = true});
    static char token[REPLY_ID_BYTES_MAX + 2];
    memset(token, 'x', REPLY_ID_BYTES_MAX);
    token[10] = '.';
    stage_do(s, ping_event(token));
    assert_int_equal(stage_count(s, MESSAGE_PING_REPLY), 1);
    token[REPLY_ID_BYTES_MAX] = 'x';
    stage_do(s, ping_event(token));
    stage_do(s, ping_event("a+b"));
    assert_int_equal(stage_count(s, MESSAGE_PING_REPLY), 1);
    stage_free(s);
}

static void test_heartbeat(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    stage_pass(s, 50 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_EDGE_STATUS), 10);
    stage_do(s, event_new(EVENT_BUS_DOWN));
    stage_forget(s);
    stage_pass(s, 50 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_EDGE_STATUS), 0);
    stage_do(s, event_new(EVENT_BUS_UP));
    const struct edge_status *m = stage_last(s, MESSAGE_EDGE_STATUS)->body;
    assert_true(m->online);
    stage_free(s);
}

static bool online(struct stage *s, const char *id)
{
    struct peer *p = presence_peer(s->core, slice_str(id));
    return p && p->online;
}

static void test_peers(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    stage_do(s, stage_status_event("edge2", true));
    stage_do(s, stage_status_event("edge3", true));
    stage_do(s, stage_status_event("edge4", false)); /* never seen: nothing to remember */
    stage_do(s, stage_status_event("edge1", true));  /* ourselves */
    assert_int_equal(s->core->peers.count, 2);
    assert_true(online(s, "edge2") && online(s, "edge3"));
    stage_do(s, stage_status_event("edge3", false));
    assert_false(online(s, "edge3"));
    stage_pass(s, PEER_SILENCE_US);
    assert_true(online(s, "edge2"));
    stage_pass(s, 1);
    assert_false(online(s, "edge2"));
    stage_do(s, stage_status_event("edge2", true));
    assert_true(online(s, "edge2"));
    stage_free(s);
}

static void test_peers_limit(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    char id[32];
    for (int i = 0; i <= PEERS_MAX; i++) {
        snprintf(id, sizeof(id), "peer%d", i);
        stage_do(s, stage_status_event(id, true));
        stage_forget(s);
    }
    assert_int_equal(s->core->peers.count, PEERS_MAX);
    assert_false(online(s, id)); /* one too many */
    stage_do(s, stage_status_event("peer7", false));
    stage_do(s, stage_status_event(id, true));
    assert_true(online(s, id));
    assert_int_equal(s->core->peers.count, PEERS_MAX);
    stage_free(s);
}

/* Who has nothing to do sleeps: a step for each heartbeat and request, and hardly one more. */
static void test_rests(void **state)
{
    (void)state;
    struct stage_spec specs[] = {
        {.fresh = true, .bus_down = true}, {.fresh = true}, {.bus_down = true}, {0}};
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        struct stage *s = stage_new(&specs[i]);
        uint64_t before = s->steps;
        stage_pass(s, 60 * STAGE_S);
        if (s->steps - before > 80)
            fail_msg("world %zu: %d steps in a minute", i, (int)(s->steps - before));
        stage_free(s);
    }
}

static void test_stop(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    stage_do(s, event_new(EVENT_STOP));
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1);
    const struct edge_status *m = stage_last(s, MESSAGE_EDGE_STATUS)->body;
    assert_false(m->online);
    assert_false(answers_ping(s));
    stage_pass(s, 60 * STAGE_S);
    assert_int_equal(s->said_n, 0);
    stage_free(s);
}

static void test_stop_before_enrolment(void **state)
{
    (void)state;
    struct stage *s = fresh();
    stage_do(s, event_new(EVENT_STOP));
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1);
    stage_pass(s, 60 * STAGE_S);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pings_are_rationed),
        cmocka_unit_test(test_enrols),
        cmocka_unit_test(test_bad_replies),
        cmocka_unit_test(test_reply_to_nothing),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_asks_again_backing_off),
        cmocka_unit_test(test_kept_credential),
        cmocka_unit_test(test_renews),
        cmocka_unit_test(test_credential_out_of_date),
        cmocka_unit_test(test_ping_tells_the_load),
        cmocka_unit_test(test_token_reply_ids),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_peers_limit),
        cmocka_unit_test(test_rests),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_before_enrolment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
