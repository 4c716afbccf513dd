#include "tests/unit/auth_edge/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- auth/params ------------------------------------------------------------------ */

static struct slice params_payload(struct world *w, const char *client_id)
{
    struct params_request m = {.client_id = slice_str(client_id)};
    return params_request_encode(&m, &w->arena);
}

static void test_params(void **state)
{
    struct world *w = *state;
    struct params_reply reply;
    struct zone_params params;
    struct zone_outcome o = receive(w, TOPIC_AUTH_PARAMS, params_payload(w, "c1"));
    assert_int_equal(o.kind, ZONE_ANSWER);
    assert_int_equal(o.answer.topic, TOPIC_AUTH_PARAMS_REPLY);
    assert_true(slice_eq_str(o.answer.id, "c1"));
    assert_int_equal(params_reply_decode(o.answer.payload, &w->arena, &reply), ERR_OK);
    assert_int_equal(zone_open(reply.params, &params), ERR_OK);
    assert_string_equal(params.zone_id.s, "zone1");
    assert_int_equal(params.key_epoch, 3);
    assert_int_equal(params.issued_us, start_us - 1);
    assert_true(pubkey_eq(&params.sign_pk, &w->keys.sign.pk));
    assert_true(pubkey_eq(&params.box_pk, &w->keys.box.pk));
    assert_int_equal(zone_count(w->zone, ZONE_PARAMS_ANSWERED), 1);
}

/* The same keys give the same bytes, also after a restart: clients abort at two answers. */
static void test_params_stable(void **state)
{
    struct world *w = *state;
    struct zone *again = zone_new(&w->config);
    assert_true(slice_eq(zone_params(w->zone), zone_params(again)));
    zone_free(again);
    zone_free(NULL);
}

static void test_params_addresses(void **state)
{
    struct world *w = *state;
    struct zone_outcome o = receive(w, TOPIC_AUTH_PARAMS, slice_str("{}"));
    assert_int_equal(o.kind, ZONE_SILENCE);
    o = receive(w, TOPIC_AUTH_PARAMS, slice_str("{\"client_id\":\"a/b\"}"));
    expect_silence(w, &o, ZONE_NO_ADDRESS);
    o = receive(w, TOPIC_AUTH_PARAMS, slice_str("{\"client_id\":\"ey.J\"}"));
    expect_silence(w, &o, ZONE_NO_ADDRESS);
    o = receive(w, TOPIC_AUTH_PARAMS, slice_str("not JSON"));
    expect_silence(w, &o, ZONE_MALFORMED);
    o = receive(w, TOPIC_AUTH_PARAMS, slice_of(NULL, 0));
    assert_int_equal(o.kind, ZONE_SILENCE);
    assert_int_equal(zone_count(w->zone, ZONE_PARAMS_ANSWERED), 0);

    struct zone_config liberal = w->config;
    liberal.allow_token_reply_ids = true;
    struct zone *zone = zone_new(&liberal);
    o = zone_receive(zone, w->now, TOPIC_AUTH_PARAMS, slice_str("{\"client_id\":\"ey.J\"}"),
                     &w->arena);
    assert_int_equal(o.kind, ZONE_ANSWER);
    o = zone_receive(zone, w->now, TOPIC_AUTH_PARAMS, slice_str("{\"client_id\":\"a/b\"}"),
                     &w->arena);
    assert_int_equal(o.kind, ZONE_SILENCE);
    zone_free(zone);
}

static void test_params_rate(void **state)
{
    struct world *w = *state;
    struct slice payload = params_payload(w, "c1");
    for (int i = 0; i < PARAMS_ANSWERS_PER_S_MAX; i++)
        assert_int_equal(receive(w, TOPIC_AUTH_PARAMS, payload).kind, ZONE_ANSWER);
    assert_int_equal(receive(w, TOPIC_AUTH_PARAMS, payload).kind, ZONE_SILENCE);
    assert_int_equal(zone_count(w->zone, ZONE_RATE_LIMITED), 1);
    w->now.mono_us += 1000000 / PARAMS_ANSWERS_PER_S_MAX;
    assert_int_equal(receive(w, TOPIC_AUTH_PARAMS, payload).kind, ZONE_ANSWER);
    assert_int_equal(receive(w, TOPIC_AUTH_PARAMS, payload).kind, ZONE_SILENCE);
}

/* Nothing is parsed above the limit of a message. */
static void test_too_large(void **state)
{
    struct world *w = *state;
    uint8_t *big = malloc(PACKET_BYTES_MAX + 1);
    assert_non_null(big);
    memset(big, ' ', PACKET_BYTES_MAX + 1);
    memcpy(big, "{\"client_id\":\"c1\"}", 18);
    struct zone_outcome o = receive(w, TOPIC_AUTH_PARAMS, slice_of(big, PACKET_BYTES_MAX));
    assert_int_equal(o.kind, ZONE_ANSWER);
    o = receive(w, TOPIC_AUTH_PARAMS, slice_of(big, PACKET_BYTES_MAX + 1));
    expect_silence(w, &o, ZONE_TOO_LARGE);
    free(big);
}

/* --- auth/zone -------------------------------------------------------------------- */

struct attempt {
    struct zone_request m;
    uint8_t proof[ENROL_PROOF_BYTES];
    struct hash request;
};

static struct attempt *attempt_new(struct world *w, const char *edge_id, const uint8_t *secret)
{
    struct attempt *a = arena_alloc(&w->arena, sizeof(*a));
    a->m.enrolment = (struct enrolment){.edge_id = id_of(edge_id),
                                        .pk = w->key.pk,
                                        .ts_us = w->now.utc_us,
                                        .nonce = {{++w->nonce}}};
    a->m.proof = slice_of(a->proof, sizeof(a->proof));
    enrolment_prove(&a->m.enrolment, secret, &w->key, a->proof, &a->request);
    return a;
}

static struct zone_outcome enrol(struct world *w, const struct attempt *a)
{
    return receive(w, TOPIC_AUTH_ZONE, zone_request_encode(&a->m, &w->arena));
}

static struct zone_outcome enrol_as(struct world *w, const char *edge_id)
{
    return enrol(w, attempt_new(w, edge_id, w->keys.secret));
}

static void expect_zone_refusal(struct world *w, const struct zone_outcome *o, const char *id,
                                enum wire_code code, enum zone_counter counter)
{
    expect_refusal(w, o, TOPIC_AUTH_ZONE_REPLY, id, code, counter);
}

static void test_enrol(void **state)
{
    struct world *w = *state;
    struct attempt *a = attempt_new(w, "edge1", w->keys.secret);
    struct zone_outcome o = enrol(w, a);
    struct zone_reply reply;
    struct credential c;
    assert_int_equal(o.kind, ZONE_ANSWER);
    assert_int_equal(o.answer.topic, TOPIC_AUTH_ZONE_REPLY);
    assert_true(slice_eq_str(o.answer.id, "edge1"));
    assert_non_null(o.answer.granted);
    assert_int_equal(zone_reply_decode(o.answer.payload, &w->arena, &reply), ERR_OK);
    assert_string_equal(reply.edge_id.s, "edge1");
    struct hash mac = enrolment_reply_mac(w->keys.secret, &a->request, reply.params,
                                          reply.credential, &reply.nonce);
    assert_true(hash_eq(&mac, &reply.proof));
    assert_int_equal(credential_open(reply.credential, &w->params, &c), ERR_OK);
    assert_int_equal(c.kind, CREDENTIAL_EDGE);
    assert_string_equal(c.subject.s, "edge1");
    assert_true(pubkey_eq(&c.pk, &w->key.pk));
    assert_int_equal(c.serial, 1);
    assert_int_equal(c.not_after_us, start_us + edge_life_us);
    assert_true(credential_valid_at(&c, start_us - CREDENTIAL_BACKDATE_US));
    assert_int_equal(w->table.last.request_us, start_us);
    assert_int_equal(w->table.last.reuse_from_us, start_us + edge_life_us / 2);
    assert_int_equal(zone_count(w->zone, ZONE_EDGES_ENROLLED), 1);
}

static void test_enrol_again(void **state)
{
    struct world *w = *state;
    struct zone_outcome o = enrol_as(w, "edge1");
    assert_non_null(o.answer.granted);
    w->now.utc_us += 3600u * (uint64_t)1000000;
    o = enrol_as(w, "edge1");
    assert_non_null(o.answer.granted);
    assert_int_equal(w->table.edges_n, 1);
}

static void test_enrol_bad_proofs(void **state)
{
    struct world *w = *state;
    uint8_t wrong[KEY_BYTES];
    memcpy(wrong, w->keys.secret, KEY_BYTES);
    wrong[KEY_BYTES - 1] ^= 1;
    struct zone_outcome o = enrol(w, attempt_new(w, "edge1", wrong));
    expect_zone_refusal(w, &o, "edge1", CODE_UNAUTHORIZED, ZONE_BAD_PROOF);

    struct attempt *a = attempt_new(w, "edge1", w->keys.secret);
    a->proof[ENROL_PROOF_BYTES - 1] ^= 1; /* the signature */
    o = enrol(w, a);
    expect_zone_refusal(w, &o, "edge1", CODE_BAD_SIGNATURE, ZONE_BAD_PROOF);

    a = attempt_new(w, "edge1", w->keys.secret);
    a->m.enrolment.edge_id = id_of("edge2"); /* proved for another id */
    o = enrol(w, a);
    expect_zone_refusal(w, &o, "edge2", CODE_UNAUTHORIZED, ZONE_BAD_PROOF);

    a = attempt_new(w, "edge1", w->keys.secret);
    a->m.enrolment.ts_us++;
    o = enrol(w, a);
    expect_zone_refusal(w, &o, "edge1", CODE_UNAUTHORIZED, ZONE_BAD_PROOF);

    o = receive(w, TOPIC_AUTH_ZONE, slice_str("{\"ID\":\"edge1\"}")); /* the original's */
    expect_zone_refusal(w, &o, "edge1", CODE_UNAUTHORIZED, ZONE_BAD_PROOF);
    assert_int_equal(w->table.serial, 0);
    assert_int_equal(zone_count(w->zone, ZONE_EDGES_ENROLLED), 0);
}

static void test_enrol_replay(void **state)
{
    struct world *w = *state;
    struct attempt *a = attempt_new(w, "edge1", w->keys.secret);
    struct zone_outcome o = enrol(w, a);
    assert_non_null(o.answer.granted);
    o = enrol(w, a);
    expect_zone_refusal(w, &o, "edge1", CODE_UNAUTHORIZED, ZONE_REPLAYED);
    assert_int_equal(w->table.serial, 1);
}

/* At the window's edge and beyond it, both ways. */
static void test_enrol_window(void **state)
{
    struct world *w = *state;
    struct attempt *early = attempt_new(w, "edge1", w->keys.secret);
    struct attempt *late = attempt_new(w, "edge1", w->keys.secret);
    struct attempt *expired = attempt_new(w, "edge1", w->keys.secret);
    struct attempt *future = attempt_new(w, "edge1", w->keys.secret);
    w->now.utc_us = start_us - TIME_WINDOW_US;
    struct zone_outcome o = enrol(w, early);
    assert_non_null(o.answer.granted);
    w->now.utc_us--;
    o = enrol(w, future);
    expect_zone_refusal(w, &o, "edge1", CODE_UNAUTHORIZED, ZONE_OUT_OF_TIME);
    w->now.utc_us = start_us + TIME_WINDOW_US;
    o = enrol(w, late);
    assert_non_null(o.answer.granted);
    w->now.utc_us++;
    o = enrol(w, expired);
    expect_zone_refusal(w, &o, "edge1", CODE_UNAUTHORIZED, ZONE_OUT_OF_TIME);
}

/* What an earlier process may have answered is not answered again. */
static void test_enrol_after_restart(void **state)
{
    struct world *w = *state;
    struct attempt *a = attempt_new(w, "edge1", w->keys.secret);
    zone_free(w->zone);
    w->config.answered_until_us = start_us;
    w->zone = zone_new(&w->config);
    w->now.utc_us++;
    struct zone_outcome o = enrol(w, a);
    expect_zone_refusal(w, &o, "edge1", CODE_BUSY, ZONE_NONCES_FULL);
    o = enrol_as(w, "edge1");
    assert_non_null(o.answer.granted);
}

static void test_enrol_second_key(void **state)
{
    struct world *w = *state;
    struct zone_outcome o = enrol_as(w, "edge1");
    assert_non_null(o.answer.granted);
    struct signkey first = w->key;
    signkey_random(&w->key);
    o = enrol_as(w, "edge1");
    expect_zone_refusal(w, &o, "edge1", CODE_CONFLICT, ZONE_SECOND_KEY);
    o = enrol_as(w, "edge2");
    assert_non_null(o.answer.granted);
    w->key = first;
    o = enrol_as(w, "edge1");
    assert_non_null(o.answer.granted);
}

static void test_enrol_reserved(void **state)
{
    static const char *const names[] = {"update", "sync"};
    struct world *w = *state;
    for (size_t i = 0; i < 2; i++) {
        struct zone_outcome o = enrol_as(w, names[i]);
        expect_zone_refusal(w, &o, names[i], CODE_BAD_REQUEST, ZONE_RESERVED);
    }
    assert_int_equal(w->table.serial, 0);
    struct zone_outcome o = enrol_as(w, "updates");
    assert_non_null(o.answer.granted);
}

/* I1: nothing leaves when the record could not be made. */
static void test_enrol_record_fails(void **state)
{
    struct world *w = *state;
    w->table.fail = ERR_STORAGE_FULL;
    struct zone_outcome o = enrol_as(w, "edge1");
    expect_zone_refusal(w, &o, "edge1", CODE_STORAGE_FULL, ZONE_RECORD_FAILED);
    w->table.fail = ERR_IO;
    o = enrol_as(w, "edge1");
    expect_zone_refusal(w, &o, "edge1", CODE_INTERNAL, ZONE_RECORD_FAILED);
}

static void test_enrol_malformed(void **state)
{
    static const char *const bad[] = {
        "{\"ID\":\"edge1\",\"pk\":5,\"ts\":1,\"nonce\":\"AA==\",\"proof\":\"AA==\"}",
        "{\"ID\":\"edge1\",\"pk\":\"AA==\",\"ts\":\"x\",\"nonce\":\"AA==\",\"proof\":\"AA==\"}",
        "{\"ID\":\"edge1\",\"proof\":{\"a\":[]}}",
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct zone_outcome o = receive(w, TOPIC_AUTH_ZONE, slice_str(bad[i]));
        expect_zone_refusal(w, &o, "edge1", CODE_BAD_REQUEST, ZONE_MALFORMED);
    }
    struct zone_outcome o = receive(w, TOPIC_AUTH_ZONE, slice_str("{\"ID\":\"a/+\"}"));
    expect_silence(w, &o, ZONE_NO_ADDRESS);
    o = receive(w, TOPIC_AUTH_ZONE, slice_str("{\"ID\":[1]}"));
    assert_int_equal(o.kind, ZONE_SILENCE);
}

/* I4: at the limit, above it, refilled; and none of it touches what is verified. */
static void test_unverified_rate(void **state)
{
    struct world *w = *state;
    struct slice bad = slice_str("{\"ID\":\"edge1\"}");
    for (int i = 0; i < UNVERIFIED_ANSWERS_PER_S_MAX; i++)
        assert_int_equal(receive(w, TOPIC_AUTH_ZONE, bad).kind, ZONE_ANSWER);
    assert_int_equal(receive(w, TOPIC_AUTH_ZONE, bad).kind, ZONE_SILENCE);
    assert_int_equal(zone_count(w->zone, ZONE_RATE_LIMITED), 1);
    struct zone_outcome o = enrol_as(w, "edge1");
    assert_non_null(o.answer.granted);
    w->now.mono_us += 1000000 / UNVERIFIED_ANSWERS_PER_S_MAX;
    assert_int_equal(receive(w, TOPIC_AUTH_ZONE, bad).kind, ZONE_ANSWER);
    assert_int_equal(receive(w, TOPIC_AUTH_ZONE, bad).kind, ZONE_SILENCE);
    w->now.mono_us += 3600u * (uint64_t)1000000; /* no more than a second's worth is saved up */
    for (int i = 0; i < UNVERIFIED_ANSWERS_PER_S_MAX; i++)
        assert_int_equal(receive(w, TOPIC_AUTH_ZONE, bad).kind, ZONE_ANSWER);
    assert_int_equal(receive(w, TOPIC_AUTH_ZONE, bad).kind, ZONE_SILENCE);
}

static void test_counter_names(void **state)
{
    (void)state;
    for (enum zone_counter c = 0; c < ZONE_COUNTERS_N; c++)
        assert_non_null(zone_counter_name(c));
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_enter, world_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_params),
        IN_WORLD(test_params_stable),
        IN_WORLD(test_params_addresses),
        IN_WORLD(test_params_rate),
        IN_WORLD(test_too_large),
        IN_WORLD(test_enrol),
        IN_WORLD(test_enrol_again),
        IN_WORLD(test_enrol_bad_proofs),
        IN_WORLD(test_enrol_replay),
        IN_WORLD(test_enrol_window),
        IN_WORLD(test_enrol_after_restart),
        IN_WORLD(test_enrol_second_key),
        IN_WORLD(test_enrol_reserved),
        IN_WORLD(test_enrol_record_fails),
        IN_WORLD(test_enrol_malformed),
        IN_WORLD(test_unverified_rate),
        cmocka_unit_test(test_counter_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
