/* Renewals, and what rotation and revocation change in a zone that is served. */
#include "auth_edge/list.h"
#include "tests/unit/auth_edge/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SUBJECT "5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11"

/* --- renewals --------------------------------------------------------------------- */

/* A credential that the zone could have signed; the fields to bend are the caller's. */
static struct credential credential_of(const struct world *w)
{
    return (struct credential){
        .kind = CREDENTIAL_STREAMER,
        .subject = id_of(SUBJECT),
        .display_name = slice_str("lea"),
        .pk = w->key.pk,
        .zone_id = id_of("zone1"),
        .key_epoch = 3,
        .serial = 41,
        .not_before_us = start_us - 10,
        .not_after_us = start_us + 10,
    };
}

static struct slice sign(struct world *w, const struct credential *c, const struct signkey *key)
{
    uint8_t body[CREDENTIAL_OBJECT_BYTES_MAX];
    struct writer b = writer_of(body, sizeof(body));
    struct writer o =
        writer_of(arena_alloc(&w->arena, CREDENTIAL_OBJECT_BYTES_MAX), CREDENTIAL_OBJECT_BYTES_MAX);
    credential_encode(c, &b);
    signed_append(&o, OBJECT_CREDENTIAL, slice_of(body, b.len), key);
    assert_false(b.full || o.full);
    return slice_of(o.buf, o.len);
}

static struct slice request(struct world *w, struct slice credential, struct hash *ret_request)
{
    struct user_request m = {.renew = credential, .client_id = slice_str("c1"), .pk = w->key.pk};
    struct request_signer signer = {
        .target = slice_str("zone1"),
        .ts_us = w->now.utc_us,
        .nonce = {{++w->nonce}},
        .key = &w->key,
        .ret_request = ret_request,
    };
    return user_request_encode(&m, &signer, &w->arena);
}

static struct zone_outcome renew(struct world *w, const struct credential *c)
{
    struct hash hash;
    return receive(w, TOPIC_AUTH_USER, request(w, sign(w, c, &w->keys.sign), &hash));
}

static void expect_not_renewed(struct world *w, const struct zone_outcome *o)
{
    expect_refusal(w, o, TOPIC_AUTH_USER_REPLY, "c1", CODE_UNAUTHORIZED, ZONE_NOT_RENEWABLE);
}

static struct slice seal(struct world *w, struct slice plain)
{
    size_t len = plain.len + SEAL_OVERHEAD_BYTES;
    uint8_t *sealed = arena_alloc(&w->arena, len);
    seal_to(&w->keys.box.pk, plain, sealed);
    return user_sealed_encode(slice_of(sealed, len), &w->arena);
}

/* A provider knew the subject: the same subject and key, a new serial, the name of today. */
static void test_renewed(void **state)
{
    struct world *w = *state;
    struct credential c = credential_of(w), renewed;
    struct hash hash;
    struct slice payload = request(w, sign(w, &c, &w->keys.sign), &hash);
    struct zone_outcome o = receive(w, TOPIC_AUTH_USER, payload);
    struct zone_answer a;
    struct user_reply reply;
    assert_int_equal(o.kind, ZONE_LOGIN);
    assert_int_equal(o.login->renews, 41);
    assert_string_equal(o.login->subject.s, SUBJECT);
    assert_int_equal(o.login->user_len + o.login->token_len + o.login->password_len, 0);
    memcpy(o.login->name, "Léa", 4);
    o.login->name_len = 4;
    assert_true(zone_login_answer(w->zone, w->now, o.login, &w->arena, &a));
    assert_int_equal(user_reply_decode(a.payload, &w->arena, &reply), ERR_OK);
    assert_true(hash_eq(&reply.request, &hash));
    assert_int_equal(credential_open(reply.credential, &w->params, &renewed), ERR_OK);
    assert_string_equal(renewed.subject.s, SUBJECT);
    assert_true(pubkey_eq(&renewed.pk, &w->key.pk));
    assert_true(slice_eq_str(renewed.display_name, "Léa"));
    assert_int_equal(renewed.not_after_us, start_us + streamer_life_us);
    assert_int_equal(w->table.last.renews, 41);
    assert_int_equal(zone_count(w->zone, ZONE_STREAMERS_RENEWED), 1);
    assert_int_equal(zone_count(w->zone, ZONE_STREAMERS_LOGGED_IN), 0);
    login_free(o.login);

    o = receive(w, TOPIC_AUTH_USER, payload);
    expect_refusal(w, &o, TOPIC_AUTH_USER_REPLY, "c1", CODE_UNAUTHORIZED, ZONE_REPLAYED);
}

/* A credential is public: it may come in the open, also where tokens may not. */
static void test_sealed_or_not(void **state)
{
    struct world *w = *state;
    struct credential c = credential_of(w);
    struct hash hash;
    w->config.require_sealed_login = true;
    zone_free(w->zone);
    w->zone = zone_new(&w->config);
    struct zone_outcome o = renew(w, &c);
    assert_int_equal(o.kind, ZONE_LOGIN);
    login_free(o.login);
    o = receive(w, TOPIC_AUTH_USER, seal(w, request(w, sign(w, &c, &w->keys.sign), &hash)));
    assert_int_equal(o.kind, ZONE_LOGIN);
    login_free(o.login);
}

/* The dates, at their ends and beyond. */
static void test_dates(void **state)
{
    struct world *w = *state;
    struct credential c = credential_of(w);
    c.not_before_us = start_us;
    c.not_after_us = start_us + 1;
    struct zone_outcome o = renew(w, &c);
    assert_int_equal(o.kind, ZONE_LOGIN);
    login_free(o.login);
    c.not_before_us = start_us - 10;
    c.not_after_us = start_us;
    o = renew(w, &c);
    expect_not_renewed(w, &o);
    c.not_before_us = start_us + 1;
    c.not_after_us = start_us + 10;
    o = renew(w, &c);
    expect_not_renewed(w, &o);
}

static void test_not_theirs(void **state)
{
    struct world *w = *state;
    struct signkey stranger;
    struct hash hash;
    signkey_random(&stranger);
    struct credential c = credential_of(w);
    c.pk = stranger.pk; /* somebody else's, signed by the zone */
    struct zone_outcome o = renew(w, &c);
    expect_not_renewed(w, &o);
    c = credential_of(w);
    c.kind = CREDENTIAL_EDGE;
    o = renew(w, &c);
    expect_not_renewed(w, &o);
    c = credential_of(w);
    c.zone_id = id_of("zone2");
    o = renew(w, &c);
    expect_not_renewed(w, &o);
    c = credential_of(w);
    c.key_epoch = 2; /* nothing leads back there */
    o = renew(w, &c);
    expect_not_renewed(w, &o);
    c = credential_of(w);
    o = receive(w, TOPIC_AUTH_USER, request(w, sign(w, &c, &stranger), &hash));
    expect_not_renewed(w, &o);
    o = receive(w, TOPIC_AUTH_USER, request(w, slice_str("nonsense"), &hash));
    expect_not_renewed(w, &o);
    assert_int_equal(w->table.serial, 0);
}

/* Who the provider does not know any more, and who the operator has revoked. */
static void test_refused_later(void **state)
{
    struct world *w = *state;
    struct credential c = credential_of(w);
    struct zone_outcome o = renew(w, &c);
    struct zone_answer a;
    assert_int_equal(o.kind, ZONE_LOGIN);
    o.login->err = ERR_UNAUTHORIZED;
    o.login->message = "log in with a token";
    assert_true(zone_login_answer(w->zone, w->now, o.login, &w->arena, &a));
    expect_error(w, &a, TOPIC_AUTH_USER_REPLY, "c1", CODE_UNAUTHORIZED);
    assert_int_equal(zone_count(w->zone, ZONE_LOGIN_REFUSED), 1);
    login_free(o.login);

    w->table.revoked = 41;
    o = renew(w, &c);
    assert_int_equal(o.kind, ZONE_LOGIN);
    assert_true(zone_login_answer(w->zone, w->now, o.login, &w->arena, &a));
    expect_error(w, &a, TOPIC_AUTH_USER_REPLY, "c1", CODE_UNAUTHORIZED);
    assert_int_equal(zone_count(w->zone, ZONE_REVOKED), 1);
    login_free(o.login);
}

/* At the rate, above it, and a moment later. */
static void test_rate(void **state)
{
    struct world *w = *state;
    struct credential c = credential_of(w);
    for (int i = 0; i < RENEWALS_PER_S_MAX; i++) {
        struct zone_outcome o = renew(w, &c);
        assert_int_equal(o.kind, ZONE_LOGIN);
        login_free(o.login);
    }
    struct zone_outcome o = renew(w, &c);
    expect_refusal(w, &o, TOPIC_AUTH_USER_REPLY, "c1", CODE_BUSY, ZONE_LOGIN_BUSY);
    w->now.mono_us += 1000000 / RENEWALS_PER_S_MAX;
    o = renew(w, &c);
    assert_int_equal(o.kind, ZONE_LOGIN);
    login_free(o.login);
}

/* --- a rotation ------------------------------------------------------------------- */

/* The zone under its next key. */
static void rotate(struct world *w)
{
    uint8_t body[OBJECT_BYTES_MAX];
    struct writer b = writer_of(body, sizeof(body));
    struct zone_params next = w->params;
    struct zone_link *link = &next.links[next.links_n++];
    struct signkey old = w->keys.sign;
    signkey_random(&w->keys.sign);
    *link = (struct zone_link){next.key_epoch, old.pk, next.key_epoch + 1, w->keys.sign.pk, {{0}}};
    zone_link_body(&next.zone_id, link, &b);
    link->sig = object_sign(OBJECT_ZONE_LINK, slice_of(body, b.len), &old);
    next.key_epoch++;
    next.sign_pk = w->keys.sign.pk;
    zone_adopt(w->zone, &next, &w->keys);
}

static struct zone_params asked_for(struct world *w)
{
    struct params_request m = {.client_id = slice_str("c1")};
    struct params_reply reply;
    struct zone_params params;
    struct zone_outcome o = receive(w, TOPIC_AUTH_PARAMS, params_request_encode(&m, &w->arena));
    assert_int_equal(o.kind, ZONE_ANSWER);
    assert_int_equal(params_reply_decode(o.answer.payload, &w->arena, &reply), ERR_OK);
    assert_int_equal(zone_open(reply.params, &params), ERR_OK);
    return params;
}

/* The answer is the new parameters at once, which those who pinned the old ones accept; what is
 * renewed is of the new epoch. */
static void test_adopt(void **state)
{
    struct world *w = *state;
    struct credential old = credential_of(w), renewed;
    struct slice shown = sign(w, &old, &w->keys.sign);
    struct zone_params pin = asked_for(w);
    struct hash hash;
    struct zone_answer a;
    struct user_reply reply;
    rotate(w);
    struct zone_params after = asked_for(w);
    assert_int_equal(after.key_epoch, 4);
    assert_int_equal(zone_accept(&pin, &after), ERR_OK);
    assert_int_equal(zone_accept(&after, &pin), ERR_UNAUTHORIZED);

    struct zone_outcome o = receive(w, TOPIC_AUTH_USER, request(w, shown, &hash));
    assert_int_equal(o.kind, ZONE_LOGIN);
    assert_true(zone_login_answer(w->zone, w->now, o.login, &w->arena, &a));
    assert_int_equal(user_reply_decode(a.payload, &w->arena, &reply), ERR_OK);
    assert_int_equal(credential_open(reply.credential, &after, &renewed), ERR_OK);
    assert_int_equal(renewed.key_epoch, 4);
    assert_int_equal(credential_open(reply.credential, &pin, &renewed), ERR_NOT_READY);
    login_free(o.login);
}

/* --- the list --------------------------------------------------------------------- */

static struct slice published(struct world *w)
{
    struct revocations_message m;
    struct slice payload = zone_revocations(w->zone, w->now.utc_us, &w->arena);
    assert_true(payload.len <= PACKET_BYTES_MAX);
    assert_int_equal(revocations_message_decode(payload, &w->arena, &m), ERR_OK);
    return m.revocations;
}

static struct slice list_asked_for(struct world *w)
{
    struct params_request m = {.client_id = slice_str("c1")};
    struct params_reply reply;
    struct zone_outcome o = receive(w, TOPIC_AUTH_PARAMS, params_request_encode(&m, &w->arena));
    assert_int_equal(o.kind, ZONE_ANSWER);
    assert_true(o.answer.payload.len <= PACKET_BYTES_MAX);
    assert_int_equal(params_reply_decode(o.answer.payload, &w->arena, &reply), ERR_OK);
    return reply.revocations;
}

static void test_list(void **state)
{
    static const uint32_t sizes[] = {0, 1, REVOCATIONS_MAX};
    static struct revoked revoked;
    struct world *w = *state;
    for (uint32_t i = 0; i < REVOCATIONS_MAX; i++)
        revoked.entries[i] = (struct revocation){10 + 2 * (uint64_t)i, start_us + i};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct revocations list;
        uint64_t since;
        revoked.n = sizes[i];
        revoked.number = 7 + i;
        zone_revoke(w->zone, &revoked);
        assert_int_equal(revocations_open(published(w), &w->params, &list), ERR_OK);
        assert_int_equal(list.number, 7 + i);
        assert_int_equal(list.n, sizes[i]);
        assert_int_equal(list.issued_us, start_us);
        assert_int_equal(list.next_us - list.issued_us, REVOCATIONS_NEXT_S * 1000000);
        assert_int_equal(revocations_since(&list, 10, &since), sizes[i] > 0);
        assert_false(revocations_since(&list, 11, &since));
    }
}

/* It stands beside the parameters, as often as is allowed, and never an old one. */
static void test_list_beside_params(void **state)
{
    static struct revoked revoked = {.number = 7, .n = REVOCATIONS_MAX};
    struct world *w = *state;
    struct revocations list;
    for (uint32_t i = 0; i < REVOCATIONS_MAX; i++)
        revoked.entries[i].serial = i + 1;
    assert_int_equal(list_asked_for(w).len, 0);
    zone_revoke(w->zone, &revoked);
    assert_int_equal(list_asked_for(w).len, 0);
    published(w);
    for (int i = 0; i < PARAMS_LISTS_PER_S_MAX; i++)
        assert_int_equal(revocations_open(list_asked_for(w), &w->params, &list), ERR_OK);
    assert_int_equal(list.n, REVOCATIONS_MAX);
    assert_int_equal(list_asked_for(w).len, 0);
    w->now.mono_us += 1000000;
    rotate(w);
    assert_int_equal(list_asked_for(w).len, 0);
    published(w);
    struct zone_params after = asked_for(w);
    assert_int_equal(revocations_open(list_asked_for(w), &after, &list), ERR_OK);
}

/* Signed anew it is newer by its time alone, and by another key only who has that key reads it. */
static void test_list_signed_anew(void **state)
{
    static struct revoked revoked = {.number = 7};
    struct world *w = *state;
    struct revocations first, second;
    zone_revoke(w->zone, &revoked);
    assert_int_equal(revocations_open(published(w), &w->params, &first), ERR_OK);
    w->now.utc_us++;
    assert_int_equal(revocations_open(published(w), &w->params, &second), ERR_OK);
    assert_true(revocations_newer(&second, &first));
    assert_false(revocations_newer(&first, &second));
    rotate(w);
    assert_int_equal(revocations_open(published(w), &w->params, &second), ERR_NOT_READY);
    struct zone_params after = asked_for(w);
    assert_int_equal(revocations_open(published(w), &after, &second), ERR_OK);
    assert_int_equal(second.number, 7);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_enter, world_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_renewed),
        IN_WORLD(test_sealed_or_not),
        IN_WORLD(test_dates),
        IN_WORLD(test_not_theirs),
        IN_WORLD(test_refused_later),
        IN_WORLD(test_rate),
        IN_WORLD(test_adopt),
        IN_WORLD(test_list),
        IN_WORLD(test_list_beside_params),
        IN_WORLD(test_list_signed_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
