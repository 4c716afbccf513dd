#include "tests/unit/trust/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct field field_of(const char *key, const char *value)
{
    return (struct field){slice_str(key), slice_str(value)};
}

/* --- fields -------------------------------------------------------------- */

static void test_fields_order(void **state)
{
    (void)state;
    struct field a[] = {field_of("b", "2"), field_of("a", "1"), field_of("", "0"),
                        field_of("ab", "3"), field_of("auth", "x")};
    struct field b[] = {field_of("ab", "3"), field_of("b", "2"), field_of("", "0"),
                        field_of("a", "1")};
    struct hash ha, hb;
    assert_int_equal(fields_hash(a, 5, &ha), ERR_OK);
    assert_int_equal(fields_hash(b, 4, &hb), ERR_OK);
    assert_true(hash_eq(&ha, &hb));
    assert_true(slice_eq_str(b[0].key, ""));
    assert_true(slice_eq_str(b[1].key, "a"));
    assert_true(slice_eq_str(b[2].key, "ab"));
    assert_true(slice_eq_str(b[3].key, "b"));
}

/* Where one field ends and the next begins is part of what is hashed. */
static void test_fields_borders(void **state)
{
    (void)state;
    struct field a[] = {field_of("a", "bc"), field_of("d", "")};
    struct field b[] = {field_of("ab", "c"), field_of("d", "")};
    struct field c[] = {field_of("a", "bc")};
    struct hash ha, hb, hc, none;
    assert_int_equal(fields_hash(a, 2, &ha), ERR_OK);
    assert_int_equal(fields_hash(b, 2, &hb), ERR_OK);
    assert_int_equal(fields_hash(c, 1, &hc), ERR_OK);
    assert_int_equal(fields_hash(NULL, 0, &none), ERR_OK);
    assert_false(hash_eq(&ha, &hb));
    assert_false(hash_eq(&ha, &hc));
    assert_false(hash_eq(&hc, &none));
}

static void test_fields_twice(void **state)
{
    (void)state;
    struct hash h = fixture_bytes(9), before = h;
    struct field same[] = {field_of("b", "1"), field_of("a", "1"), field_of("b", "1")};
    struct field auths[] = {field_of("auth", "1"), field_of("auth", "2")};
    assert_int_equal(fields_hash(same, 3, &h), ERR_FORMAT);
    assert_int_equal(fields_hash(auths, 2, &h), ERR_FORMAT);
    assert_true(hash_eq(&h, &before));
}

static void test_fields_limit(void **state)
{
    (void)state;
    char keys[REQUEST_FIELDS_MAX + 2][8];
    struct field fields[REQUEST_FIELDS_MAX + 2];
    struct hash h;
    for (size_t i = 0; i < REQUEST_FIELDS_MAX + 2; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%02zu", i);
        fields[i] = field_of(keys[i], "");
    }
    assert_int_equal(fields_hash(fields, REQUEST_FIELDS_MAX, &h), ERR_OK);
    assert_int_equal(fields_hash(fields, REQUEST_FIELDS_MAX + 1, &h), ERR_LIMIT);
    assert_int_equal(fields_hash(fields, REQUEST_FIELDS_MAX + 2, &h), ERR_LIMIT);
    fields[3] = field_of("auth", "");
    assert_int_equal(fields_hash(fields, REQUEST_FIELDS_MAX + 1, &h), ERR_OK);
}

/* --- requests ------------------------------------------------------------ */

static void test_request(void **state)
{
    (void)state;
    struct slice type = slice_str("video/upload"), target = slice_str("edge1");
    struct signkey key = fixture_key(KEY_STREAMER), stranger = fixture_key(KEY_STRANGER);
    struct hash fields = fixture_bytes(3), other = fixture_bytes(4), signed_hash, checked_hash;
    struct nonce nonce;
    struct request_auth out;
    uint8_t auth[AUTH_BYTES + 1] = {0};
    struct slice whole = slice_of(auth, AUTH_BYTES);
    crypto_random(nonce.b, NONCE_BYTES);
    request_sign(type, target, &fields, fixture_now_us, &nonce, &key, auth, &signed_hash);
    assert_int_equal(request_check(type, target, &fields, whole, &key.pk, &out, &checked_hash),
                     ERR_OK);
    assert_true(out.ts_us == fixture_now_us);
    assert_memory_equal(out.nonce.b, nonce.b, NONCE_BYTES);
    assert_true(hash_eq(&signed_hash, &checked_hash));
    assert_int_equal(request_check(type, target, &fields, whole, &key.pk, &out, NULL), ERR_OK);

    assert_int_equal(
        request_check(slice_str("live/upload"), target, &fields, whole, &key.pk, &out, NULL),
        ERR_SIGNATURE);
    assert_int_equal(request_check(type, slice_str("edge2"), &fields, whole, &key.pk, &out, NULL),
                     ERR_SIGNATURE);
    assert_int_equal(request_check(type, target, &other, whole, &key.pk, &out, NULL),
                     ERR_SIGNATURE);
    assert_int_equal(request_check(type, target, &fields, whole, &stranger.pk, &out, NULL),
                     ERR_SIGNATURE);
    for (size_t i = 0; i < AUTH_BYTES; i++) {
        auth[i] ^= 1;
        assert_int_equal(request_check(type, target, &fields, whole, &key.pk, &out, NULL),
                         ERR_SIGNATURE);
        auth[i] ^= 1;
    }
    for (size_t len = 0; len <= AUTH_BYTES + 1; len++)
        assert_int_equal(
            request_check(type, target, &fields, slice_of(auth, len), &key.pk, &out, NULL),
            len == AUTH_BYTES ? ERR_OK : ERR_FORMAT);
}

/* --- enrolment ----------------------------------------------------------- */

static void test_enrolment(void **state)
{
    (void)state;
    struct signkey key = fixture_key(KEY_EDGE);
    struct hash secret = fixture_bytes(0x41), wrong = fixture_bytes(0x42), made, checked;
    struct enrolment e = {fixture_id("edge1"), key.pk, fixture_now_us, {{1, 2, 3}}};
    uint8_t proof[ENROL_PROOF_BYTES + 1] = {0};
    struct slice whole = slice_of(proof, ENROL_PROOF_BYTES);
    enrolment_prove(&e, secret.b, &key, proof, &made);
    assert_int_equal(enrolment_check(&e, secret.b, whole, &checked), ERR_OK);
    assert_true(hash_eq(&made, &checked));
    assert_int_equal(enrolment_check(&e, wrong.b, whole, &checked), ERR_UNAUTHORIZED);
    for (size_t len = 0; len <= ENROL_PROOF_BYTES + 1; len++)
        assert_int_equal(enrolment_check(&e, secret.b, slice_of(proof, len), &checked),
                         len == ENROL_PROOF_BYTES ? ERR_OK : ERR_FORMAT);
    for (size_t i = 0; i < ENROL_PROOF_BYTES; i++) {
        proof[i] ^= 1;
        assert_int_equal(enrolment_check(&e, secret.b, whole, &checked),
                         i < HASH_BYTES ? ERR_UNAUTHORIZED : ERR_SIGNATURE);
        proof[i] ^= 1;
    }
    struct enrolment other = e;
    other.ts_us++;
    assert_int_equal(enrolment_check(&other, secret.b, whole, &checked), ERR_UNAUTHORIZED);
    other = e;
    other.nonce.b[15] ^= 1;
    assert_int_equal(enrolment_check(&other, secret.b, whole, &checked), ERR_UNAUTHORIZED);
    other = e;
    other.edge_id = fixture_id("edge2");
    assert_int_equal(enrolment_check(&other, secret.b, whole, &checked), ERR_UNAUTHORIZED);
    other = e; /* who knows the secret still cannot enrol a key that is not his */
    other.pk = fixture_key(KEY_STRANGER).pk;
    enrolment_prove(&other, secret.b, &key, proof, &made);
    assert_int_equal(enrolment_check(&other, secret.b, whole, &checked), ERR_SIGNATURE);
}

static void test_enrolment_reply(void **state)
{
    (void)state;
    struct hash secret = fixture_bytes(1), request = fixture_bytes(2);
    struct nonce nonce = {{9}};
    struct slice params = slice_str("params"), credential = slice_str("credential");
    struct hash mac = enrolment_reply_mac(secret.b, &request, params, credential, &nonce), other;
    other = enrolment_reply_mac(secret.b, &request, params, credential, &nonce);
    assert_true(hash_eq(&mac, &other));
    other = enrolment_reply_mac(request.b, &request, params, credential, &nonce);
    assert_false(hash_eq(&mac, &other));
    other = enrolment_reply_mac(secret.b, &secret, params, credential, &nonce);
    assert_false(hash_eq(&mac, &other));
    other = enrolment_reply_mac(secret.b, &request, slice_str("paramsc"), slice_str("redential"),
                                &nonce);
    assert_false(hash_eq(&mac, &other));
    nonce.b[0]++;
    other = enrolment_reply_mac(secret.b, &request, params, credential, &nonce);
    assert_false(hash_eq(&mac, &other));
}

/* --- tokens -------------------------------------------------------------- */

static const uint64_t hour_us = (uint64_t)3600 * 1000 * 1000;

static void test_token_hours(void **state)
{
    (void)state;
    struct hash secret = fixture_bytes(0x51);
    struct slice client = slice_str("CLIENT");
    uint8_t token[TOKEN_BYTES];
    struct slice whole = slice_of(token, TOKEN_BYTES);
    token_make(secret.b, client, 5 * hour_us, token);
    assert_false(token_valid(secret.b, client, 5 * hour_us - 1, whole));
    assert_true(token_valid(secret.b, client, 5 * hour_us, whole));
    assert_true(token_valid(secret.b, client, 7 * hour_us - 1, whole));
    assert_false(token_valid(secret.b, client, 7 * hour_us, whole));
    token_make(secret.b, client, 0, token);
    assert_true(token_valid(secret.b, client, 0, whole));
    assert_true(token_valid(secret.b, client, 2 * hour_us - 1, whole));
    token[0] ^= 1;
    assert_false(token_valid(secret.b, client, 0, whole));
}

static void test_token_owner(void **state)
{
    (void)state;
    struct hash secret = fixture_bytes(0x51), other = fixture_bytes(0x52);
    uint8_t token[TOKEN_BYTES + 1] = {0};
    token_make(secret.b, slice_str("CLIENT"), fixture_now_us, token);
    struct slice whole = slice_of(token, TOKEN_BYTES);
    assert_false(token_valid(secret.b, slice_str("CLIENT2"), fixture_now_us, whole));
    assert_false(token_valid(other.b, slice_str("CLIENT"), fixture_now_us, whole));
    for (size_t len = 0; len <= TOKEN_BYTES + 1; len++)
        assert_int_equal(
            token_valid(secret.b, slice_str("CLIENT"), fixture_now_us, slice_of(token, len)),
            len == TOKEN_BYTES);
    for (size_t i = 0; i < TOKEN_BYTES; i++) {
        token[i] ^= 0x10;
        assert_false(token_valid(secret.b, slice_str("CLIENT"), fixture_now_us, whole));
        token[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_order),    cmocka_unit_test(test_fields_borders),
        cmocka_unit_test(test_fields_twice),    cmocka_unit_test(test_fields_limit),
        cmocka_unit_test(test_request),         cmocka_unit_test(test_enrolment),
        cmocka_unit_test(test_enrolment_reply), cmocka_unit_test(test_token_hours),
        cmocka_unit_test(test_token_owner),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
