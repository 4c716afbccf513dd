/* Tokens taken apart; keys and signatures. */
#include "auth_edge/jws.h"
#include "auth_edge/token.h"
#include "base/base64.h"
#include "tests/unit/auth_edge/tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TEXT_BYTES = 8192, SUB_DIGITS = 36 };

static const char header[] = "{\"alg\":\"ES256\",\"kid\":\"k\"}";
static const char sub[] = "5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11";

static char *url_text(const char *plain, char *at)
{
    b64_encode(slice_str(plain), at);
    for (; *at && *at != '='; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    *at = '\0';
    return at;
}

/* header.claims.signature, of the first two as JSON. */
static enum err read_token(const char *head, const char *claims, const char *signature,
                           struct arena *arena, struct token *ret)
{
    char *text = arena_alloc(arena, 3 * TEXT_BYTES);
    char *end = url_text(head, text);
    *end++ = '.';
    end = url_text(claims, end);
    snprintf(end, TEXT_BYTES, ".%s", signature);
    return token_read(slice_str(text), arena, ret);
}

static void a_token_is_taken_apart(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct token t;
    assert_int_equal(token_read(slice_str(TOKEN_ES256), &arena, &t), ERR_OK);
    assert_int_equal(t.alg, TOKEN_ALG_PUBLIC);
    assert_true(slice_eq_str(t.kid, "es1"));
    assert_string_equal(t.subject.s, sub);
    assert_true(slice_eq_str(t.issuer, "https://p.example/auth/v1"));
    assert_int_equal(t.expires_s, 2000000000);
    assert_int_equal(t.not_before_s, 0);
    assert_true(t.for_users);
    assert_int_equal(t.signature_len, 64);
    assert_int_equal(t.input.len, strrchr(TOKEN_ES256, '.') - TOKEN_ES256);
    assert_int_equal(token_read(slice_str(TOKEN_HS256), &arena, &t), ERR_OK);
    assert_int_equal(t.alg, TOKEN_ALG_SECRET);
    assert_int_equal(t.kid.len, 0);
    assert_int_equal(token_read(slice_str(TOKEN_NONE), &arena, &t), ERR_OK);
    assert_int_equal(t.alg, TOKEN_ALG_NONE);
    arena_release(&arena);
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        ".",
                                        "..",
                                        "...",
                                        "a.b",
                                        "a.b.c",
                                        "e30.e30.",
                                        "e30.e30.AA.AA",
                                        "e30=.e30=.AA",
                                        "e30.e30.A",
                                        "W10.W10.AA",
                                        "\xff.\xff.\xff"};
    (void)state;
    struct arena arena = {0};
    struct token t = {.expires_s = 7};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_not_equal(token_read(slice_str(texts[i]), &arena, &t), ERR_OK);
    assert_int_equal(read_token(header, "[]", "AA", &arena, &t), ERR_FORMAT);
    assert_int_equal(read_token("[]", CLAIMS, "AA", &arena, &t), ERR_FORMAT);
    assert_int_equal(read_token("{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", CLAIMS, "AA", &arena, &t),
                     ERR_FORMAT);
    assert_int_equal(read_token(header, "{\"sub\":\"service\"}", "AA", &arena, &t), ERR_FORMAT);
    assert_int_equal(read_token(header, "{\"exp\":-1}", "AA", &arena, &t), ERR_FORMAT);
    assert_int_equal(t.expires_s, 7); /* untouched */
    arena_release(&arena);
}

static void only_the_algorithms_of_supabase_are_known(void **state)
{
    static const struct {
        const char *header;
        enum token_alg alg;
    } cases[] = {
        {"{\"alg\":\"ES256\"}", TOKEN_ALG_PUBLIC},
        {"{\"alg\":\"RS256\"}", TOKEN_ALG_PUBLIC},
        {"{\"alg\":\"HS256\"}", TOKEN_ALG_SECRET},
        {"{\"alg\":\"none\"}", TOKEN_ALG_NONE},
        {"{\"alg\":\"NONE\"}", TOKEN_ALG_NONE},
        {"{\"alg\":\"HS512\"}", TOKEN_ALG_NONE},
        {"{\"alg\":\"es256\"}", TOKEN_ALG_NONE},
        {"{\"alg\":\"PS256\"}", TOKEN_ALG_NONE},
        {"{\"alg\":\"EdDSA\"}", TOKEN_ALG_NONE},
        {"{\"alg\":256}", TOKEN_ALG_NONE},
        {"{}", TOKEN_ALG_NONE},
    };
    (void)state;
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct token t;
        assert_int_equal(read_token(cases[i].header, CLAIMS, "AA", &arena, &t), ERR_OK);
        assert_int_equal(t.alg, cases[i].alg);
    }
    arena_release(&arena);
}

static bool in_order(const char *claims, uint64_t now_s)
{
    struct arena arena = {0};
    struct token t;
    assert_int_equal(read_token(header, claims, "AA", &arena, &t), ERR_OK);
    bool ok = token_in_order(&t, slice_str("i"), now_s);
    arena_release(&arena);
    return ok;
}

#define SUB "\"sub\":\"5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11\""
#define USER "\"role\":\"authenticated\"," SUB
#define AUD "\"aud\":\"authenticated\","
#define ISS "\"iss\":\"i\","

static void claims_are_checked(void **state)
{
    (void)state;
    assert_true(in_order("{" ISS AUD USER ",\"exp\":1000}", 900));
    assert_true(in_order("{" ISS "\"aud\":[\"x\",\"authenticated\"]," USER ",\"exp\":1000}", 900));
    static const char *const refused[] = {
        "{" AUD USER ",\"exp\":1000}",                                  /* no issuer */
        "{\"iss\":\"j\"," AUD USER ",\"exp\":1000}",                    /* another one */
        "{\"iss\":\"\"," AUD USER ",\"exp\":1000}",                     /* an empty one */
        "{" ISS USER ",\"exp\":1000}",                                  /* no audience */
        "{" ISS "\"aud\":\"anon\"," USER ",\"exp\":1000}",              /* another one */
        "{" ISS "\"aud\":[\"x\"]," USER ",\"exp\":1000}",               /* others */
        "{" ISS "\"aud\":[]," USER ",\"exp\":1000}",                    /* none */
        "{" ISS "\"aud\":[[\"authenticated\"]]," USER ",\"exp\":1000}", /* too deep */
        "{" ISS AUD SUB ",\"exp\":1000}",                               /* no role */
        "{" ISS AUD "\"role\":\"service_role\"," SUB ",\"exp\":1000}",  /* another one */
        "{" ISS AUD USER "}",                                           /* for ever */
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_false(in_order(refused[i], 900));
}

static void dates_are_checked_with_a_minute_to_spare(void **state)
{
    static const char expires[] = "{" ISS AUD USER ",\"exp\":1000}";
    static const char begins[] = "{" ISS AUD USER ",\"exp\":9000,\"nbf\":1000}";
    (void)state;
    assert_true(in_order(expires, 1000));
    assert_true(in_order(expires, 1000 + TOKEN_SKEW_S - 1));
    assert_false(in_order(expires, 1000 + TOKEN_SKEW_S));
    assert_true(in_order(begins, 1000 - TOKEN_SKEW_S));
    assert_false(in_order(begins, 1000 - TOKEN_SKEW_S - 1));
}

static void a_project_may_name_no_issuer(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct token t;
    assert_int_equal(read_token(header, "{" AUD USER ",\"exp\":1000}", "AA", &arena, &t), ERR_OK);
    assert_true(token_in_order(&t, slice_str(""), 1));
    assert_int_equal(read_token(header, "{" ISS AUD USER ",\"exp\":9}", "AA", &arena, &t), ERR_OK);
    assert_false(token_in_order(&t, slice_str(""), 1));
    arena_release(&arena);
}

static void repeat(char *ret, const char *before, char c, size_t n, const char *after)
{
    char *at = ret + sprintf(ret, "%s", before);
    memset(at, c, n);
    memcpy(at + n, after, strlen(after) + 1);
}

static void fields_have_limits(void **state)
{
    (void)state;
    char text[TEXT_BYTES], signature[TEXT_BYTES];
    struct arena arena = {0};
    struct token t;
    repeat(text, "{\"alg\":\"ES256\",\"kid\":\"", 'k', KID_BYTES_MAX, "\"}");
    assert_int_equal(read_token(text, CLAIMS, "AA", &arena, &t), ERR_OK);
    repeat(text, "{\"alg\":\"ES256\",\"kid\":\"", 'k', KID_BYTES_MAX + 1, "\"}");
    assert_int_equal(read_token(text, CLAIMS, "AA", &arena, &t), ERR_LIMIT);
    repeat(text, "{" SUB ",\"iss\":\"", 'i', TOKEN_ISSUER_BYTES_MAX, "\"}");
    assert_int_equal(read_token(header, text, "AA", &arena, &t), ERR_OK);
    repeat(text, "{" SUB ",\"iss\":\"", 'i', TOKEN_ISSUER_BYTES_MAX + 1, "\"}");
    assert_int_equal(read_token(header, text, "AA", &arena, &t), ERR_LIMIT);
    repeat(signature, "", 'A', 683, ""); /* 512 bytes */
    assert_int_equal(read_token(header, CLAIMS, signature, &arena, &t), ERR_OK);
    assert_int_equal(t.signature_len, TOKEN_SIGNATURE_BYTES_MAX);
    repeat(signature, "", 'A', 684, "");
    assert_int_equal(read_token(header, CLAIMS, signature, &arena, &t), ERR_LIMIT);
    assert_int_equal(read_token(header, CLAIMS, "", &arena, &t), ERR_OK);
    assert_int_equal(t.signature_len, 0);
    arena_release(&arena);
}

static void a_uuid_has_one_text(void **state)
{
    (void)state;
    char text[] = "5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11-";
    assert_true(uuid_ok(slice_of(text, SUB_DIGITS)));
    assert_false(uuid_ok(slice_of(text, SUB_DIGITS - 1)));
    assert_false(uuid_ok(slice_of(text, SUB_DIGITS + 1)));
    assert_false(uuid_ok(slice_str("")));
    for (size_t i = 0; i < SUB_DIGITS; i++) {
        char was = text[i];
        text[i] = was == '-' ? '0' : '-';
        assert_false(uuid_ok(slice_of(text, SUB_DIGITS)));
        text[i] = 'A';
        assert_false(uuid_ok(slice_of(text, SUB_DIGITS)));
        text[i] = was;
    }
}

/* --- signatures -------------------------------------------------------------------- */

struct bytes {
    uint8_t b[JWS_RSA_BYTES_MAX + 1];
    size_t len;
};

static struct bytes bytes_of(const char *text)
{
    struct bytes bytes;
    assert_int_equal(b64url_decode(slice_str(text), bytes.b, sizeof(bytes.b), &bytes.len), ERR_OK);
    return bytes;
}

static struct slice slice_bytes(const struct bytes *bytes)
{
    return slice_of(bytes->b, bytes->len);
}

static struct jws_key *ec_key(const char *x, const char *y)
{
    struct bytes bx = bytes_of(x), by = bytes_of(y);
    struct jws_key *key;
    assert_int_equal(jws_key_es256(slice_bytes(&bx), slice_bytes(&by), &key), ERR_OK);
    return key;
}

static struct jws_key *rsa_key(const char *n)
{
    struct bytes bn = bytes_of(n), be = bytes_of("AQAB");
    struct jws_key *key;
    assert_int_equal(jws_key_rs256(slice_bytes(&bn), slice_bytes(&be), &key), ERR_OK);
    return key;
}

static enum err verify(const struct jws_key *key, const char *text)
{
    struct bytes signature = bytes_of(strrchr(text, '.') + 1);
    return jws_verify(key, slice_of(text, (size_t)(strrchr(text, '.') - text)),
                      slice_bytes(&signature));
}

static void signatures_hold_with_their_key_alone(void **state)
{
    (void)state;
    struct jws_key *rfc = ec_key(RFC_X, RFC_Y), *ec = ec_key(EC_X, EC_Y), *rsa = rsa_key(RSA_N);
    assert_int_equal(verify(rfc, RFC_TOKEN), ERR_OK);
    assert_int_equal(verify(ec, TOKEN_ES256), ERR_OK);
    assert_int_equal(verify(rsa, TOKEN_RS256), ERR_OK);
    assert_int_equal(verify(ec, RFC_TOKEN), ERR_SIGNATURE);
    assert_int_equal(verify(ec, TOKEN_ES256_OTHER_KEY), ERR_SIGNATURE);
    assert_int_equal(verify(ec, TOKEN_RS256), ERR_SIGNATURE);
    assert_int_equal(verify(rsa, TOKEN_ES256), ERR_SIGNATURE);
    assert_int_equal(verify(rsa, TOKEN_CONFUSED), ERR_SIGNATURE);
    assert_int_equal(verify(ec, TOKEN_NONE), ERR_SIGNATURE);
    assert_int_equal(verify(rsa, TOKEN_NONE), ERR_SIGNATURE);
    jws_key_free(rfc);
    jws_key_free(ec);
    jws_key_free(rsa);
}

static void a_flipped_bit_breaks_a_signature(void **state)
{
    (void)state;
    static const char *const tokens[] = {TOKEN_ES256, TOKEN_RS256};
    struct jws_key *keys[] = {ec_key(EC_X, EC_Y), rsa_key(RSA_N)};
    for (size_t i = 0; i < 2; i++) {
        struct slice input = slice_of(tokens[i], (size_t)(strrchr(tokens[i], '.') - tokens[i]));
        struct bytes signature = bytes_of(strrchr(tokens[i], '.') + 1);
        for (size_t k = 0; k < signature.len; k += 7) {
            signature.b[k] ^= 1;
            assert_int_equal(jws_verify(keys[i], input, slice_bytes(&signature)), ERR_SIGNATURE);
            signature.b[k] ^= 1;
        }
        assert_int_equal(jws_verify(keys[i], input, slice_bytes(&signature)), ERR_OK);
        signature.b[signature.len++] = 0;
        assert_int_equal(jws_verify(keys[i], input, slice_bytes(&signature)), ERR_SIGNATURE);
        signature.len -= 2;
        assert_int_equal(jws_verify(keys[i], input, slice_bytes(&signature)), ERR_SIGNATURE);
        input.len--;
        signature.len++;
        assert_int_equal(jws_verify(keys[i], input, slice_bytes(&signature)), ERR_SIGNATURE);
        jws_key_free(keys[i]);
    }
}

/* r = s = 0, which a careless verifier accepts from anybody. */
static void a_zero_signature_is_refused(void **state)
{
    (void)state;
    static const uint8_t zero[2 * JWS_EC_BYTES];
    struct jws_key *key = ec_key(EC_X, EC_Y);
    assert_int_equal(jws_verify(key, slice_str("x"), slice_of(zero, sizeof(zero))), ERR_SIGNATURE);
    assert_int_equal(jws_verify(key, slice_str("x"), slice_of(zero, 0)), ERR_SIGNATURE);
    jws_key_free(key);
}

static void what_is_no_point_is_no_key(void **state)
{
    (void)state;
    struct bytes x = bytes_of(EC_X), y = bytes_of(EC_Y);
    struct jws_key *key = NULL;
    y.b[31] ^= 1;
    assert_int_equal(jws_key_es256(slice_bytes(&x), slice_bytes(&y), &key), ERR_FORMAT);
    y.b[31] ^= 1;
    x.len--;
    assert_int_equal(jws_key_es256(slice_bytes(&x), slice_bytes(&y), &key), ERR_FORMAT);
    assert_int_equal(jws_key_es256(slice_str(""), slice_str(""), &key), ERR_FORMAT);
    memset(x.b, 0, sizeof(x.b));
    memset(y.b, 0, sizeof(y.b));
    x.len = y.len = JWS_EC_BYTES;
    assert_int_equal(jws_key_es256(slice_bytes(&x), slice_bytes(&y), &key), ERR_FORMAT);
    assert_null(key);
}

static enum err rsa_of(size_t bytes, uint8_t first, const char *e)
{
    struct bytes n = {.len = bytes}, be = bytes_of(e);
    struct jws_key *key = NULL;
    memset(n.b, 0x5b, sizeof(n.b));
    n.b[0] = first;
    enum err err = jws_key_rs256(slice_bytes(&n), slice_bytes(&be), &key);
    jws_key_free(key);
    return err;
}

static void rsa_keys_have_limits(void **state)
{
    (void)state;
    assert_int_equal(rsa_of(JWS_RSA_BYTES_MIN - 1, 0xcd, "AQAB"), ERR_FORMAT);
    assert_int_equal(rsa_of(JWS_RSA_BYTES_MAX + 1, 0xcd, "AQAB"), ERR_FORMAT);
    assert_int_equal(rsa_of(JWS_RSA_BYTES_MIN, 0x4d, "AQAB"), ERR_FORMAT); /* 2047 bits */
    assert_int_equal(rsa_of(JWS_RSA_BYTES_MIN, 0x00, "AQAB"), ERR_FORMAT);
    assert_int_equal(rsa_of(0, 0, "AQAB"), ERR_FORMAT);
    assert_int_equal(rsa_of(JWS_RSA_BYTES_MIN, 0xcd, ""), ERR_FORMAT);
    assert_int_equal(rsa_of(JWS_RSA_BYTES_MIN, 0xcd, "AQ"), ERR_FORMAT);      /* 1 */
    assert_int_equal(rsa_of(JWS_RSA_BYTES_MIN, 0xcd, "AQAA"), ERR_FORMAT);    /* even */
    assert_int_equal(rsa_of(JWS_RSA_BYTES_MIN, 0xcd, "AQAAAAE"), ERR_FORMAT); /* 5 bytes */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_taken_apart),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(only_the_algorithms_of_supabase_are_known),
        cmocka_unit_test(claims_are_checked),
        cmocka_unit_test(dates_are_checked_with_a_minute_to_spare),
        cmocka_unit_test(a_project_may_name_no_issuer),
        cmocka_unit_test(fields_have_limits),
        cmocka_unit_test(a_uuid_has_one_text),
        cmocka_unit_test(signatures_hold_with_their_key_alone),
        cmocka_unit_test(a_flipped_bit_breaks_a_signature),
        cmocka_unit_test(a_zero_signature_is_refused),
        cmocka_unit_test(what_is_no_point_is_no_key),
        cmocka_unit_test(rsa_keys_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
