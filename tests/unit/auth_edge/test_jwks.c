/* The key set: what is read, when it is fetched, what it says about a token. */
#include "auth_edge/jwks.h"
#include "tests/unit/auth_edge/tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { TEXT_BYTES = 8192 };

#define EC "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
#define RSA "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" RSA_N "\""
#define KEYS                                                                                       \
    "{\"keys\":[" EC ",\"kid\":\"es1\",\"alg\":\"ES256\",\"use\":\"sig\"}," RSA                    \
    ",\"kid\":\"rs1\"}]}"

static const uint64_t S = 1000 * 1000;
static const uint64_t t0 = 5 * 1000 * 1000;

static struct jwks held(const char *text, uint64_t at_us)
{
    struct jwks set = {0};
    jwks_begin(&set, at_us);
    assert_int_equal(jwks_take(&set, slice_str(text), at_us), ERR_OK);
    return set;
}

static enum verdict judge(const struct jwks *set, const char *text, uint64_t now_us)
{
    struct arena arena = {0};
    struct token token;
    assert_int_equal(token_read(slice_str(text), &arena, &token), ERR_OK);
    enum verdict verdict = jwks_judge(set, &token, now_us);
    arena_release(&arena);
    return verdict;
}

static void keys_judge_tokens(void **state)
{
    static const struct {
        const char *token;
        enum verdict verdict;
    } cases[] = {
        {TOKEN_ES256, VERDICT_ASK},
        {TOKEN_RS256, VERDICT_ASK},
        {TOKEN_ES256_OTHER_KEY, VERDICT_REFUSED},
        {TOKEN_RS256_UNDER_EC_KID, VERDICT_REFUSED},
        {TOKEN_ES256_OTHER_KID, VERDICT_REFUSED},
        {TOKEN_ES256_NO_KID, VERDICT_REFUSED},
        {TOKEN_CONFUSED, VERDICT_REFUSED},
        {TOKEN_NONE, VERDICT_REFUSED},
        {TOKEN_HS256, VERDICT_ASK},
    };
    (void)state;
    struct jwks set = held(KEYS, t0);
    assert_int_equal(set.n, 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(judge(&set, cases[i].token, t0 + 1), cases[i].verdict);
    jwks_release(&set);
}

/* A project that signs with a secret: nothing but HS256 can be its. */
static void an_empty_set_accepts_nothing(void **state)
{
    (void)state;
    struct jwks set = held("{\"keys\":[]}", t0);
    assert_int_equal(judge(&set, TOKEN_HS256, t0 + 1), VERDICT_ASK);
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 1), VERDICT_REFUSED);
    assert_int_equal(judge(&set, TOKEN_CONFUSED, t0 + 1), VERDICT_ASK); /* there is no such key */
    assert_int_equal(judge(&set, TOKEN_NONE, t0 + 1), VERDICT_REFUSED);
    jwks_release(&set);
}

static void the_first_token_waits_for_the_set(void **state)
{
    (void)state;
    struct jwks set = {0};
    assert_int_equal(judge(&set, TOKEN_NONE, t0), VERDICT_REFUSED);
    assert_int_equal(judge(&set, TOKEN_ES256, t0), VERDICT_FETCH);
    assert_int_equal(judge(&set, TOKEN_HS256, t0), VERDICT_FETCH);
    jwks_begin(&set, t0);
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 1), VERDICT_FETCH);
    jwks_release(&set);
}

/* Supabase is the authority: without a set it is asked about everything that is in order. */
static void a_set_that_cannot_be_had_stops_nobody(void **state)
{
    (void)state;
    struct jwks set = {0};
    jwks_begin(&set, t0);
    jwks_failed(&set);
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 1), VERDICT_ASK);
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KEY, t0 + 60 * S - 1), VERDICT_ASK);
    assert_int_equal(judge(&set, TOKEN_NONE, t0 + 1), VERDICT_REFUSED);
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 60 * S), VERDICT_FETCH);
    jwks_release(&set);
}

static void an_unknown_kid_fetches_once_a_minute(void **state)
{
    (void)state;
    struct jwks set = held(KEYS, t0);
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KID, t0 + 60 * S - 1), VERDICT_REFUSED);
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KID, t0 + 60 * S), VERDICT_FETCH);
    assert_int_equal(judge(&set, TOKEN_HS256, t0 + 60 * S), VERDICT_ASK);
    jwks_begin(&set, t0 + 60 * S);
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KID, t0 + 60 * S), VERDICT_FETCH); /* waits */
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 60 * S), VERDICT_ASK);             /* does not */
    assert_int_equal(jwks_take(&set, slice_str(KEYS), t0 + 61 * S), ERR_OK);
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KID, t0 + 61 * S), VERDICT_REFUSED);
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KID, t0 + 120 * S), VERDICT_REFUSED);
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KID, t0 + 121 * S), VERDICT_FETCH);
    jwks_begin(&set, t0 + 121 * S);
    jwks_failed(&set); /* then the set says nothing about new keys */
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KID, t0 + 122 * S), VERDICT_ASK);
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KEY, t0 + 122 * S), VERDICT_REFUSED);
    jwks_release(&set);
}

static void a_set_is_fetched_again_after_ten_minutes(void **state)
{
    (void)state;
    struct jwks set = held(KEYS, t0);
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 600 * S - 1), VERDICT_ASK);
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 600 * S), VERDICT_FETCH);
    jwks_begin(&set, t0 + 600 * S);
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 601 * S), VERDICT_FETCH);
    jwks_failed(&set);
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 601 * S), VERDICT_ASK);
    assert_int_equal(judge(&set, TOKEN_ES256_OTHER_KEY, t0 + 601 * S), VERDICT_REFUSED);
    jwks_begin(&set, t0 + 660 * S);
    assert_int_equal(jwks_take(&set, slice_str("{\"keys\":[]}"), t0 + 660 * S), ERR_OK);
    assert_int_equal(judge(&set, TOKEN_ES256, t0 + 661 * S), VERDICT_REFUSED); /* a key withdrawn */
    jwks_release(&set);
}

static void other_kinds_of_keys_are_left_out(void **state)
{
    static const char *const keys[] = {
        "{}",
        EC "}", /* no kid */
        EC ",\"kid\":\"\"}",
        EC ",\"kid\":5}",
        EC ",\"kid\":\"k\",\"use\":\"enc\"}",
        EC ",\"kid\":\"k\",\"alg\":\"RS256\"}",
        EC ",\"kid\":\"k\",\"alg\":\"HS256\"}",
        RSA ",\"kid\":\"k\",\"alg\":\"ES256\"}",
        RSA ",\"kid\":\"k\",\"alg\":\"RS512\"}",
        "{\"kty\":\"oct\",\"kid\":\"k\",\"k\":\"AAAA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"" EC_X "\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\",\"kid\":\"k\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"" EC_X "\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}",
        "{\"kty\":\"RSA\",\"kid\":\"k\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char text[TEXT_BYTES];
        snprintf(text, sizeof(text), "{\"keys\":[%s]}", keys[i]);
        struct jwks set = {0};
        jwks_begin(&set, t0);
        jwks_take(&set, slice_str(text), t0);
        assert_int_equal(set.n, 0);
        jwks_release(&set);
    }
}

static void what_is_no_set_leaves_the_old_one(void **state)
{
    static const char *const texts[] = {
        "", "x", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[1]}", "{\"keys\":[]", "<html>"};
    (void)state;
    struct jwks set = held(KEYS, t0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        jwks_begin(&set, t0 + i);
        assert_int_equal(jwks_take(&set, slice_str(texts[i]), t0 + i), ERR_FORMAT);
        assert_false(set.fetching);
        assert_int_equal(set.n, 2);
        assert_int_equal(set.held_us, t0);
    }
    jwks_release(&set);
}

static enum err take_n(struct jwks *set, size_t n)
{
    char text[TEXT_BYTES];
    size_t len = (size_t)sprintf(text, "{\"keys\":[");
    for (size_t i = 0; i < n; i++)
        len += (size_t)sprintf(text + len, "%s" EC ",\"kid\":\"k%zu\"}", i ? "," : "", i);
    sprintf(text + len, "]}");
    jwks_begin(set, t0);
    return jwks_take(set, slice_str(text), t0);
}

static void a_set_has_a_limit(void **state)
{
    (void)state;
    struct jwks set = {0};
    assert_int_equal(take_n(&set, JWKS_KEYS_MAX), ERR_OK);
    assert_int_equal(set.n, JWKS_KEYS_MAX);
    assert_int_equal(take_n(&set, JWKS_KEYS_MAX + 1), ERR_LIMIT);
    assert_int_equal(set.n, JWKS_KEYS_MAX);
    assert_int_equal(take_n(&set, 0), ERR_OK);
    assert_int_equal(set.n, 0);
    jwks_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_judge_tokens),
        cmocka_unit_test(an_empty_set_accepts_nothing),
        cmocka_unit_test(the_first_token_waits_for_the_set),
        cmocka_unit_test(a_set_that_cannot_be_had_stops_nobody),
        cmocka_unit_test(an_unknown_kid_fetches_once_a_minute),
        cmocka_unit_test(a_set_is_fetched_again_after_ten_minutes),
        cmocka_unit_test(other_kinds_of_keys_are_left_out),
        cmocka_unit_test(what_is_no_set_leaves_the_old_one),
        cmocka_unit_test(a_set_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
