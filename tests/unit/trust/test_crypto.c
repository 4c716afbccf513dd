#include "tests/unit/trust/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void check_hex(const uint8_t *bytes, size_t n, const char *expected)
{
    char hex[2 * SIGNATURE_BYTES + 1];
    hex_encode(slice_of(bytes, n), hex);
    assert_string_equal(hex, expected);
}

/* Known answers of BLAKE2b-256, plain and keyed, made with Python's hashlib. */
static void test_hash(void **state)
{
    (void)state;
    struct hash h = hash_of(slice_str("abc"), (struct slice){0});
    check_hex(h.b, HASH_BYTES, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    struct hash split = hash_of(slice_str("a"), slice_str("bc"));
    assert_true(hash_eq(&h, &split));
    h = hash_of((struct slice){0}, (struct slice){0});
    check_hex(h.b, HASH_BYTES, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    struct hash key = fixture_bytes(0x41);
    h = mac_of(key.b, slice_str("abc"));
    check_hex(h.b, HASH_BYTES, "c4bec7e1453d3fa77eb54d5f92f0b839d6155b59547212651b84026666679864");
    assert_false(hash_is_zero(&h));
    h = (struct hash){0};
    assert_true(hash_is_zero(&h));
    h.b[HASH_BYTES - 1] = 1;
    assert_false(hash_is_zero(&h));
}

/* RFC 8032 §7.1, tests 1 to 3. */
static void test_ed25519(void **state)
{
    static const struct {
        const char *seed, *pk, *message, *sig;
    } rfc[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
         "1cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
         "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
         "984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rfc) / sizeof(rfc[0]); i++) {
        uint8_t seed[KEY_BYTES], message[2];
        size_t len = strlen(rfc[i].message) / 2;
        struct signkey key;
        assert_int_equal(hex_decode(slice_str(rfc[i].seed), seed, KEY_BYTES), ERR_OK);
        assert_int_equal(hex_decode(slice_str(rfc[i].message), message, len), ERR_OK);
        signkey_from_seed(seed, &key);
        check_hex(key.pk.b, KEY_BYTES, rfc[i].pk);
        struct signature sig = crypto_sign(&key, slice_of(message, len));
        check_hex(sig.b, SIGNATURE_BYTES, rfc[i].sig);
        assert_int_equal(crypto_verify(&key.pk, slice_of(message, len), &sig), ERR_OK);
    }
}

static void test_signature_bits(void **state)
{
    (void)state;
    struct signkey key, other;
    signkey_random(&key);
    signkey_random(&other);
    assert_false(pubkey_eq(&key.pk, &other.pk));
    struct signature sig = crypto_sign(&key, slice_str("text"));
    assert_int_equal(crypto_verify(&key.pk, slice_str("text"), &sig), ERR_OK);
    assert_int_equal(crypto_verify(&other.pk, slice_str("text"), &sig), ERR_SIGNATURE);
    assert_int_equal(crypto_verify(&key.pk, slice_str("texT"), &sig), ERR_SIGNATURE);
    assert_int_equal(crypto_verify(&key.pk, slice_str("tex"), &sig), ERR_SIGNATURE);
    for (size_t bit = 0; bit < 8 * SIGNATURE_BYTES; bit++) {
        struct signature bad = sig;
        bad.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(crypto_verify(&key.pk, slice_str("text"), &bad), ERR_SIGNATURE);
    }
    struct pubkey zero = {{0}}; /* of low order: signs anything, if a library lets it */
    assert_int_equal(crypto_verify(&zero, slice_str("text"), &sig), ERR_SIGNATURE);
}

static void test_expand(void **state)
{
    (void)state;
    struct hash seed = fixture_bytes(1), other = fixture_bytes(2);
    uint8_t a[100], b[100];
    crypto_expand(seed.b, 7, a, sizeof(a));
    crypto_expand(seed.b, 7, b, sizeof(b));
    assert_memory_equal(a, b, sizeof(a));
    crypto_expand(seed.b, 7, b, 10);
    assert_memory_equal(a, b, 10);
    crypto_expand(seed.b, 8, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    crypto_expand(seed.b, (uint64_t)7 << 32, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    crypto_expand(other.b, 7, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    crypto_expand(seed.b, 7, NULL, 0);
}

static void test_seal(void **state)
{
    (void)state;
    struct boxkey key = fixture_box(), other;
    boxkey_random(&other);
    struct boxkey again;
    boxkey_from_secret(other.sk, &again);
    assert_true(pubkey_eq(&again.pk, &other.pk));
    static const char plain[] = "a password";
    uint8_t sealed[sizeof(plain) + SEAL_OVERHEAD_BYTES], opened[sizeof(plain)];
    struct slice all = slice_of(sealed, sizeof(sealed));
    seal_to(&key.pk, slice_of(plain, sizeof(plain)), sealed);
    assert_int_equal(seal_open(&key, all, opened), ERR_OK);
    assert_memory_equal(opened, plain, sizeof(plain));
    assert_int_equal(seal_open(&other, all, opened), ERR_SIGNATURE);
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 1;
        assert_int_equal(seal_open(&key, all, opened), ERR_SIGNATURE);
        sealed[i] ^= 1;
    }
    assert_int_equal(seal_open(&key, slice_of(sealed, SEAL_OVERHEAD_BYTES - 1), opened),
                     ERR_SIGNATURE);
    assert_int_equal(seal_open(&key, slice_of(sealed, 0), opened), ERR_SIGNATURE);
    seal_to(&key.pk, (struct slice){0}, sealed);
    assert_int_equal(seal_open(&key, slice_of(sealed, SEAL_OVERHEAD_BYTES), opened), ERR_OK);
}

/* What is sealed to a signing key is for whoever holds its seed, and for no other. */
static void test_seal_to_signer(void **state)
{
    (void)state;
    struct signkey key = fixture_key(KEY_EDGE), other = fixture_key(KEY_STRANGER);
    static const char plain[] = "a login";
    uint8_t sealed[sizeof(plain) + SEAL_OVERHEAD_BYTES], opened[sizeof(plain)];
    struct slice all = slice_of(sealed, sizeof(sealed));
    assert_int_equal(seal_to_signer(&key.pk, slice_of(plain, sizeof(plain)), sealed), ERR_OK);
    assert_int_equal(seal_open_signer(&key, all, opened), ERR_OK);
    assert_memory_equal(opened, plain, sizeof(plain));
    assert_int_equal(seal_open_signer(&other, all, opened), ERR_SIGNATURE);
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 1;
        assert_int_equal(seal_open_signer(&key, all, opened), ERR_SIGNATURE);
        sealed[i] ^= 1;
    }
    assert_int_equal(seal_open_signer(&key, slice_of(sealed, SEAL_OVERHEAD_BYTES - 1), opened),
                     ERR_SIGNATURE);
    assert_int_equal(seal_open_signer(&key, (struct slice){0}, opened), ERR_SIGNATURE);
    assert_int_equal(seal_to_signer(&key.pk, (struct slice){0}, sealed), ERR_OK);
    assert_int_equal(seal_open_signer(&key, slice_of(sealed, SEAL_OVERHEAD_BYTES), opened), ERR_OK);
}

/* Bytes that are no point, or one of low order, to which anybody could open: nothing is sealed. */
static void test_seal_to_no_signer(void **state)
{
    static const char *const refused[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0200000000000000000000000000000000000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct pubkey pk;
        uint8_t sealed[SEAL_OVERHEAD_BYTES + 1] = {0}, untouched[SEAL_OVERHEAD_BYTES + 1] = {0};
        assert_int_equal(hex_decode(slice_str(refused[i]), pk.b, KEY_BYTES), ERR_OK);
        assert_int_equal(seal_to_signer(&pk, slice_str("x"), sealed), ERR_FORMAT);
        assert_memory_equal(sealed, untouched, sizeof(sealed));
    }
}

static void test_password(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_BYTES], second[PASSWORD_HASH_BYTES];
    assert_int_equal(password_hash(slice_str("correct horse"), hash), ERR_OK);
    assert_int_equal(password_hash(slice_str("correct horse"), second), ERR_OK);
    assert_string_not_equal(hash, second);
    assert_true(slice_starts(slice_str(hash), "$argon2id$v=19$m=19456,t=2,p=1$"));
    char *kept = strdup(hash); /* as long as its text, as from a database */
    assert_int_equal(password_verify(kept, slice_str("correct horse")), ERR_OK);
    assert_int_equal(password_verify(kept, slice_str("correct horsf")), ERR_UNAUTHORIZED);
    assert_int_equal(password_verify(kept, slice_str("")), ERR_UNAUTHORIZED);
    free(kept);
    assert_int_equal(password_hash((struct slice){0}, hash), ERR_OK);
    assert_int_equal(password_verify(hash, (struct slice){0}), ERR_OK);
    assert_int_equal(password_verify("", slice_str("correct horse")), ERR_UNAUTHORIZED);
    assert_int_equal(password_verify("$argon2id$", slice_str("a")), ERR_UNAUTHORIZED);
    char long_hash[PASSWORD_HASH_BYTES + 2];
    memset(long_hash, 'a', sizeof(long_hash) - 1);
    long_hash[sizeof(long_hash) - 1] = '\0';
    assert_int_equal(password_verify(long_hash, slice_str("a")), ERR_UNAUTHORIZED);
}

static void test_hex(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x7f, 0xab, 0xff};
    char text[sizeof(bytes) * 2 + 1];
    uint8_t back[sizeof(bytes)];
    hex_encode(slice_of(bytes, sizeof(bytes)), text);
    assert_string_equal(text, "007fabff");
    assert_int_equal(hex_decode(slice_str("007FabFF"), back, sizeof(back)), ERR_OK);
    assert_memory_equal(back, bytes, sizeof(bytes));
    assert_int_equal(hex_decode(slice_str("007fabf"), back, sizeof(back)), ERR_FORMAT);
    assert_int_equal(hex_decode(slice_str("007fabff0"), back, sizeof(back)), ERR_FORMAT);
    assert_int_equal(hex_decode(slice_str("007fab"), back, sizeof(back)), ERR_FORMAT);
    assert_int_equal(hex_decode(slice_str("007fabfg"), back, sizeof(back)), ERR_FORMAT);
    assert_int_equal(hex_decode(slice_str("007fab f"), back, sizeof(back)), ERR_FORMAT);
    assert_int_equal(hex_decode(slice_str(""), back, 0), ERR_OK);
}

static void test_secret(void **state)
{
    (void)state;
    char text[SECRET_TEXT_BYTES + 2] = {0};
    uint8_t secret[KEY_BYTES];
    struct hash expected = fixture_bytes(0x5a);
    hex_encode(slice_of(expected.b, KEY_BYTES), text);
    struct slice digits = slice_of(text, SECRET_TEXT_BYTES - 1);
    assert_int_equal(secret_parse(digits, secret), ERR_OK);
    assert_memory_equal(secret, expected.b, KEY_BYTES);
    text[SECRET_TEXT_BYTES - 1] = '\n';
    assert_int_equal(secret_parse(slice_str(text), secret), ERR_OK);
    text[SECRET_TEXT_BYTES] = '\n';
    assert_int_equal(secret_parse(slice_str(text), secret), ERR_FORMAT);
    text[SECRET_TEXT_BYTES - 1] = '0';
    assert_int_equal(secret_parse(slice_of(text, SECRET_TEXT_BYTES), secret), ERR_FORMAT);
    text[SECRET_TEXT_BYTES - 2] = '\n';
    assert_int_equal(secret_parse(digits, secret), ERR_FORMAT);
    assert_int_equal(secret_parse(slice_of(text, 0), secret), ERR_FORMAT);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(crypto_equal("abc", "abd", 2));
    assert_false(crypto_equal("abc", "abd", 3));
    uint8_t bytes[16], zero[16] = {0};
    crypto_random(bytes, sizeof(bytes));
    assert_false(crypto_equal(bytes, zero, sizeof(bytes)));
    crypto_wipe(bytes, sizeof(bytes));
    assert_true(crypto_equal(bytes, zero, sizeof(bytes)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_ed25519),
        cmocka_unit_test(test_signature_bits),
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_seal),
        cmocka_unit_test(test_seal_to_signer),
        cmocka_unit_test(test_seal_to_no_signer),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_equal),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
