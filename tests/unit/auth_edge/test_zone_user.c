#include "tests/unit/auth_edge/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PASSWORD_TOO_LONG = PASSWORD_BYTES_MAX + 1 };

/* --- auth/user -------------------------------------------------------------------- */

struct login_form {
    const char *user, *password, *token, *client_id, *target;
    struct hash request;
};

static struct slice inner(struct world *w, struct login_form *f)
{
    struct user_request m = {
        .user = slice_str(f->user),
        .password = slice_str(f->password),
        .owner_id = slice_str(f->token),
        .client_id = slice_str(f->client_id),
        .pk = w->key.pk,
    };
    struct request_signer signer = {
        .target = slice_str(f->target ? f->target : "zone1"),
        .ts_us = w->now.utc_us,
        .nonce = {{++w->nonce}},
        .key = &w->key,
        .ret_request = &f->request,
    };
    return user_request_encode(&m, &signer, &w->arena);
}

static struct slice seal(struct world *w, struct slice plain)
{
    size_t len = plain.len + SEAL_OVERHEAD_BYTES;
    uint8_t *sealed = arena_alloc(&w->arena, len);
    seal_to(&w->keys.box.pk, plain, sealed);
    return user_sealed_encode(slice_of(sealed, len), &w->arena);
}

static struct zone_outcome log_in(struct world *w, struct login_form *f)
{
    return receive(w, TOPIC_AUTH_USER, seal(w, inner(w, f)));
}

static struct login_form password_form(void)
{
    return (struct login_form){.user = "lea", .password = "pw", .client_id = "c1"};
}

static void expect_user_refusal(struct world *w, const struct zone_outcome *o, const char *id,
                                enum wire_code code, enum zone_counter counter)
{
    expect_refusal(w, o, TOPIC_AUTH_USER_REPLY, id, code, counter);
}

static void provider_says(struct login *login, enum err err)
{
    login->err = err;
    login->subject = id_of("5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11");
    memcpy(login->name, "Léa", 4);
    login->name_len = 4;
}

static void test_login(void **state)
{
    struct world *w = *state;
    struct login_form f = password_form();
    struct zone_outcome o = log_in(w, &f);
    struct zone_answer a;
    struct user_reply reply;
    struct credential c;
    assert_int_equal(o.kind, ZONE_LOGIN);
    assert_int_equal(o.login->user_len, 3);
    assert_memory_equal(o.login->user, "lea", 3);
    assert_int_equal(o.login->password_len, 2);
    assert_memory_equal(o.login->password, "pw", 2);
    assert_int_equal(o.login->token_len, 0);
    provider_says(o.login, ERR_OK);
    w->now.utc_us += 5;
    assert_true(zone_login_answer(w->zone, w->now, o.login, &w->arena, &a));
    assert_int_equal(a.topic, TOPIC_AUTH_USER_REPLY);
    assert_true(slice_eq_str(a.id, "c1"));
    assert_non_null(a.granted);
    assert_int_equal(user_reply_decode(a.payload, &w->arena, &reply), ERR_OK);
    assert_true(hash_eq(&reply.request, &f.request));
    assert_int_equal(credential_open(reply.credential, &w->params, &c), ERR_OK);
    assert_int_equal(c.kind, CREDENTIAL_STREAMER);
    assert_string_equal(c.subject.s, "5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11");
    assert_true(slice_eq_str(c.display_name, "Léa"));
    assert_true(pubkey_eq(&c.pk, &w->key.pk));
    assert_int_equal(c.not_after_us, start_us + 5 + streamer_life_us);
    assert_int_equal(w->table.last.request_us, start_us);
    assert_int_equal(zone_count(w->zone, ZONE_STREAMERS_LOGGED_IN), 1);
    login_free(o.login);
}

/* The original's form: a token, in the open, without client_id. */
static void test_login_token_plain(void **state)
{
    struct world *w = *state;
    struct login_form f = {.token = "e.y.J"};
    struct zone_outcome o = receive(w, TOPIC_AUTH_USER, inner(w, &f));
    struct zone_answer a;
    assert_int_equal(o.kind, ZONE_LOGIN);
    assert_int_equal(o.login->token_len, 5);
    assert_int_equal(o.login->user_len, 0);
    provider_says(o.login, ERR_OK);
    assert_true(zone_login_answer(w->zone, w->now, o.login, &w->arena, &a));
    assert_true(slice_eq_str(a.id, "5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11"));
    login_free(o.login);

    o = receive(w, TOPIC_AUTH_USER, inner(w, &f));
    provider_says(o.login, ERR_UNAUTHORIZED); /* then nobody is known to be told */
    assert_false(zone_login_answer(w->zone, w->now, o.login, &w->arena, &a));
    assert_int_equal(zone_count(w->zone, ZONE_NO_ADDRESS), 1);
    login_free(o.login);
}

/* Where logins must be sealed, a token that the broker could read is worth nothing. */
static void test_login_must_be_sealed(void **state)
{
    struct world *w = *state;
    struct login_form f = {.token = "e.y.J", .client_id = "c1"};
    w->config.require_sealed_login = true;
    zone_free(w->zone);
    w->zone = zone_new(&w->config);
    struct zone_outcome o = receive(w, TOPIC_AUTH_USER, inner(w, &f));
    expect_user_refusal(w, &o, "c1", CODE_BAD_REQUEST, ZONE_MALFORMED);
    o = log_in(w, &f);
    assert_int_equal(o.kind, ZONE_LOGIN);
    login_free(o.login);
}

static void test_login_refusals(void **state)
{
    static const struct {
        enum err err;
        enum wire_code code;
        enum zone_counter counter;
    } cases[] = {
        {ERR_UNAUTHORIZED, CODE_UNAUTHORIZED, ZONE_LOGIN_REFUSED},
        {ERR_BUSY, CODE_BUSY, ZONE_LOGIN_BUSY},
        {ERR_IO, CODE_INTERNAL, ZONE_RECORD_FAILED},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct login_form f = password_form();
        struct zone_outcome o = log_in(w, &f);
        struct zone_answer a;
        struct wire_error error;
        assert_int_equal(o.kind, ZONE_LOGIN);
        provider_says(o.login, cases[i].err);
        assert_true(zone_login_answer(w->zone, w->now, o.login, &w->arena, &a));
        expect_error(w, &a, TOPIC_AUTH_USER_REPLY, "c1", cases[i].code);
        assert_true(reply_is_error(a.payload, &w->arena, &error));
        assert_true(hash_eq(&error.request, &f.request));
        assert_int_equal(zone_count(w->zone, cases[i].counter), 1);
        login_free(o.login);
    }
    assert_int_equal(w->table.serial, 0);
}

static void test_login_record_fails(void **state)
{
    struct world *w = *state;
    struct login_form f = password_form();
    struct zone_outcome o = log_in(w, &f);
    struct zone_answer a;
    provider_says(o.login, ERR_OK);
    w->table.fail = ERR_STORAGE_FULL;
    assert_true(zone_login_answer(w->zone, w->now, o.login, &w->arena, &a));
    expect_error(w, &a, TOPIC_AUTH_USER_REPLY, "c1", CODE_STORAGE_FULL);
    assert_int_equal(zone_count(w->zone, ZONE_STREAMERS_LOGGED_IN), 0);
    login_free(o.login);
}

/* I3: without a proof that holds, here and now, no provider is asked. */
static void test_login_proofs(void **state)
{
    struct world *w = *state;
    struct login_form f = password_form();
    struct login_form other = password_form();
    other.target = "zone2";
    struct zone_outcome o = log_in(w, &other);
    expect_user_refusal(w, &o, "c1", CODE_BAD_SIGNATURE, ZONE_BAD_PROOF);

    struct slice sealed = seal(w, inner(w, &f));
    o = receive(w, TOPIC_AUTH_USER, sealed);
    assert_int_equal(o.kind, ZONE_LOGIN);
    login_free(o.login);
    o = receive(w, TOPIC_AUTH_USER, sealed);
    expect_user_refusal(w, &o, "c1", CODE_UNAUTHORIZED, ZONE_REPLAYED);

    struct slice plain = inner(w, &f);
    o = receive(w, TOPIC_AUTH_USER, seal(w, plain));
    assert_int_equal(o.kind, ZONE_LOGIN);
    login_free(o.login);
    o = receive(w, TOPIC_AUTH_USER, seal(w, plain)); /* other bytes, the same request */
    expect_user_refusal(w, &o, "c1", CODE_UNAUTHORIZED, ZONE_REPLAYED);

    sealed = seal(w, inner(w, &f));
    w->now.utc_us += TIME_WINDOW_US + 1;
    o = receive(w, TOPIC_AUTH_USER, sealed);
    expect_user_refusal(w, &o, "c1", CODE_UNAUTHORIZED, ZONE_OUT_OF_TIME);

    struct user_request unsigned_m = {.user = slice_str("lea"),
                                      .password = slice_str("pw"),
                                      .client_id = slice_str("c1"),
                                      .pk = w->key.pk};
    o = receive(w, TOPIC_AUTH_USER, seal(w, user_request_encode(&unsigned_m, NULL, &w->arena)));
    expect_user_refusal(w, &o, "c1", CODE_UNAUTHORIZED, ZONE_BAD_PROOF);
}

/* A field that was changed, or added, after signing. */
static void test_login_altered(void **state)
{
    struct world *w = *state;
    struct login_form f = {.token = "e.y.J", .client_id = "c1"};
    struct slice payload = arena_copy(&w->arena, inner(w, &f));
    uint8_t *at = memmem(payload.ptr, payload.len, "e.y.J", 5);
    assert_non_null(at);
    at[4] = 'K';
    struct zone_outcome o = receive(w, TOPIC_AUTH_USER, payload);
    expect_user_refusal(w, &o, "c1", CODE_BAD_SIGNATURE, ZONE_BAD_PROOF);

    payload = inner(w, &f);
    char *longer = arena_alloc(&w->arena, payload.len + 16);
    int n = snprintf(longer, payload.len + 16, "{\"extra\":1,%.*s", (int)payload.len - 1,
                     (const char *)payload.ptr + 1);
    o = receive(w, TOPIC_AUTH_USER, slice_of(longer, (size_t)n));
    expect_user_refusal(w, &o, "c1", CODE_BAD_SIGNATURE, ZONE_BAD_PROOF);
}

static void test_login_password_in_the_open(void **state)
{
    struct world *w = *state;
    struct login_form f = password_form();
    struct zone_outcome o = receive(w, TOPIC_AUTH_USER, inner(w, &f));
    expect_user_refusal(w, &o, "c1", CODE_BAD_REQUEST, ZONE_MALFORMED);
}

static void test_login_malformed(void **state)
{
    static const char *const bad[] = {
        "{\"client_id\":\"c1\",\"ownerId\":\"J\"}", /* no pk */
        "{\"client_id\":\"c1\",\"ownerId\":7,\"pk\":\"AA==\"}",
        "{\"client_id\":\"c1\",\"sealed\":\"***\"}",
        "{\"client_id\":\"c1\"}",
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct zone_outcome o = receive(w, TOPIC_AUTH_USER, slice_str(bad[i]));
        expect_user_refusal(w, &o, "c1", CODE_BAD_REQUEST, ZONE_MALFORMED);
    }
    struct zone_outcome o = receive(w, TOPIC_AUTH_USER, slice_str("{\"sealed\":\"AAAA\"}"));
    expect_silence(w, &o, ZONE_NO_ADDRESS);

    boxkey_random(&w->keys.box); /* sealed to somebody else */
    struct login_form f = password_form();
    o = log_in(w, &f);
    assert_int_equal(o.kind, ZONE_SILENCE);
}

static void test_login_sealed_contents(void **state)
{
    struct world *w = *state;
    struct login_form f = password_form();
    struct slice twice = seal(w, seal(w, inner(w, &f)));
    struct zone_outcome o = receive(w, TOPIC_AUTH_USER, twice);
    assert_int_equal(o.kind, ZONE_SILENCE);
    o = receive(w, TOPIC_AUTH_USER, seal(w, slice_str("")));
    assert_int_equal(o.kind, ZONE_SILENCE);
    o = receive(w, TOPIC_AUTH_USER, seal(w, slice_str("{\"client_id\":\"c1\",\"user\":[]}")));
    expect_user_refusal(w, &o, "c1", CODE_BAD_REQUEST, ZONE_MALFORMED);
    f.client_id = "a/b";
    o = log_in(w, &f);
    expect_silence(w, &o, ZONE_NO_ADDRESS);
}

/* User name and password at their limits, and above. */
static void test_login_limits(void **state)
{
    struct world *w = *state;
    char user[USER_BYTES_MAX + 2], password[PASSWORD_TOO_LONG + 1];
    memset(user, 'u', sizeof(user));
    memset(password, 'p', sizeof(password));
    user[USER_BYTES_MAX] = '\0';
    password[PASSWORD_BYTES_MAX] = '\0';
    struct login_form f = {.user = user, .password = password, .client_id = "c1"};
    struct zone_outcome o = log_in(w, &f);
    assert_int_equal(o.kind, ZONE_LOGIN);
    assert_int_equal(o.login->user_len, USER_BYTES_MAX);
    assert_int_equal(o.login->password_len, PASSWORD_BYTES_MAX);
    login_free(o.login);
    password[PASSWORD_BYTES_MAX] = 'p';
    password[PASSWORD_TOO_LONG] = '\0';
    o = log_in(w, &f);
    expect_user_refusal(w, &o, "c1", CODE_TOO_LARGE, ZONE_TOO_LARGE);
    password[PASSWORD_BYTES_MAX] = '\0';
    user[USER_BYTES_MAX] = 'u';
    user[USER_BYTES_MAX + 1] = '\0';
    o = log_in(w, &f);
    expect_user_refusal(w, &o, "c1", CODE_TOO_LARGE, ZONE_TOO_LARGE);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_enter, world_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_login),
        IN_WORLD(test_login_token_plain),
        IN_WORLD(test_login_refusals),
        IN_WORLD(test_login_must_be_sealed),
        IN_WORLD(test_login_record_fails),
        IN_WORLD(test_login_proofs),
        IN_WORLD(test_login_altered),
        IN_WORLD(test_login_password_in_the_open),
        IN_WORLD(test_login_malformed),
        IN_WORLD(test_login_sealed_contents),
        IN_WORLD(test_login_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
