/*
 * The only file that knows libsodium. Its headers are taken one by one: the
 * whole of sodium.h declares a crypto_sign of its own.
 */
#include "trust/crypto.h"

#include "base/check.h"

#include <sodium/core.h>
#include <sodium/crypto_box.h>
#include <sodium/crypto_generichash.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/crypto_pwhash.h>
#include <sodium/crypto_scalarmult.h>
#include <sodium/crypto_sign_ed25519.h>
#include <sodium/crypto_stream_chacha20.h>
#include <sodium/randombytes.h>
#include <sodium/utils.h>

_Static_assert(sizeof(struct hasher) >= sizeof(crypto_generichash_state), "hasher too small");
_Static_assert(_Alignof(struct hasher) >= _Alignof(crypto_generichash_state), "hasher alignment");
_Static_assert(SIGNATURE_BYTES == crypto_sign_ed25519_BYTES, "signature size");
_Static_assert(KEY_BYTES == crypto_sign_ed25519_PUBLICKEYBYTES, "public key size");
_Static_assert(KEY_BYTES == crypto_sign_ed25519_SEEDBYTES, "seed size");
_Static_assert(KEY_BYTES == crypto_box_PUBLICKEYBYTES, "box key size");
_Static_assert(KEY_BYTES == crypto_box_SECRETKEYBYTES, "box secret size");
_Static_assert(KEY_BYTES == crypto_stream_chacha20_KEYBYTES, "generator's key size");
_Static_assert(crypto_stream_chacha20_NONCEBYTES == 8, "the generator's nonce is the counter");
_Static_assert(SEAL_OVERHEAD_BYTES == crypto_box_SEALBYTES, "seal overhead");
_Static_assert(PASSWORD_HASH_BYTES == crypto_pwhash_STRBYTES, "password hash size");

/* libsodium wants an address even for no bytes. */
static const uint8_t *address(struct slice s)
{
    return s.len ? s.ptr : (const uint8_t *)"";
}

bool hash_is_zero(const struct hash *h)
{
    static const struct hash zero;
    return hash_eq(h, &zero);
}

enum err crypto_init(void)
{
    return sodium_init() < 0 ? ERR_IO : ERR_OK;
}

void crypto_random(void *ret, size_t n)
{
    if (n)
        randombytes_buf(ret, n);
}

void crypto_expand(const uint8_t seed[static KEY_BYTES], uint64_t counter, void *ret, size_t n)
{
    uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    for (size_t i = 0; i < sizeof(nonce); i++)
        nonce[i] = (uint8_t)(counter >> (8 * i));
    if (n)
        crypto_stream_chacha20(ret, n, nonce, seed);
}

void crypto_wipe(void *ptr, size_t n)
{
    sodium_memzero(ptr, n);
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

static crypto_generichash_state *state_of(struct hasher *h)
{
    return (crypto_generichash_state *)(void *)h->state;
}

void hasher_init(struct hasher *h)
{
    crypto_generichash_init(state_of(h), NULL, 0, HASH_BYTES);
}

void hasher_init_keyed(struct hasher *h, const uint8_t key[static KEY_BYTES])
{
    crypto_generichash_init(state_of(h), key, KEY_BYTES, HASH_BYTES);
}

void hasher_add(struct hasher *h, struct slice bytes)
{
    if (bytes.len)
        crypto_generichash_update(state_of(h), bytes.ptr, bytes.len);
}

struct hash hasher_end(struct hasher *h)
{
    struct hash hash;
    crypto_generichash_final(state_of(h), hash.b, HASH_BYTES);
    return hash;
}

struct hash hash_of(struct slice a, struct slice b)
{
    struct hasher h;
    hasher_init(&h);
    hasher_add(&h, a);
    hasher_add(&h, b);
    return hasher_end(&h);
}

struct hash mac_of(const uint8_t key[static KEY_BYTES], struct slice bytes)
{
    struct hasher h;
    hasher_init_keyed(&h, key);
    hasher_add(&h, bytes);
    return hasher_end(&h); /* which wipes the state */
}

void signkey_from_seed(const uint8_t seed[static KEY_BYTES], struct signkey *ret)
{
    uint8_t sk[crypto_sign_ed25519_SECRETKEYBYTES];
    crypto_sign_ed25519_seed_keypair(ret->pk.b, sk, seed);
    crypto_wipe(sk, sizeof(sk));
    memmove(ret->seed, seed, KEY_BYTES); /* seed may be ret's own */
}

void signkey_random(struct signkey *ret)
{
    crypto_random(ret->seed, KEY_BYTES);
    signkey_from_seed(ret->seed, ret);
}

void boxkey_random(struct boxkey *ret)
{
    crypto_box_keypair(ret->pk.b, ret->sk);
}

void boxkey_from_secret(const uint8_t sk[static KEY_BYTES], struct boxkey *ret)
{
    memmove(ret->sk, sk, KEY_BYTES);
    crypto_scalarmult_base(ret->pk.b, ret->sk);
}

/* libsodium's secret key: seed ‖ public key. */
static void secret_of(const struct signkey *key,
                      uint8_t ret[static crypto_sign_ed25519_SECRETKEYBYTES])
{
    memcpy(ret, key->seed, KEY_BYTES);
    memcpy(ret + KEY_BYTES, key->pk.b, KEY_BYTES);
}

struct signature crypto_sign(const struct signkey *key, struct slice bytes)
{
    uint8_t sk[crypto_sign_ed25519_SECRETKEYBYTES];
    secret_of(key, sk);
    struct signature sig;
    crypto_sign_ed25519_detached(sig.b, NULL, address(bytes), bytes.len, sk);
    crypto_wipe(sk, sizeof(sk));
    return sig;
}

enum err crypto_verify(const struct pubkey *pk, struct slice bytes, const struct signature *sig)
{
    if (crypto_sign_ed25519_verify_detached(sig->b, address(bytes), bytes.len, pk->b) != 0)
        return ERR_SIGNATURE;
    return ERR_OK;
}

void seal_to(const struct pubkey *box_pk, struct slice plain, uint8_t *ret)
{
    /* Fails for a box_pk of low order alone: then nobody shall read it. */
    if (crypto_box_seal(ret, address(plain), plain.len, box_pk->b) != 0)
        crypto_random(ret, plain.len + SEAL_OVERHEAD_BYTES);
}

enum err seal_open(const struct boxkey *key, struct slice sealed, uint8_t *ret)
{
    if (sealed.len < SEAL_OVERHEAD_BYTES)
        return ERR_SIGNATURE;
    if (crypto_box_seal_open(ret, sealed.ptr, sealed.len, key->pk.b, key->sk) != 0)
        return ERR_SIGNATURE;
    return ERR_OK;
}

enum err seal_to_signer(const struct pubkey *pk, struct slice plain, uint8_t *ret)
{
    struct pubkey box_pk;
    if (crypto_sign_ed25519_pk_to_curve25519(box_pk.b, pk->b) != 0)
        return ERR_FORMAT;
    seal_to(&box_pk, plain, ret);
    return ERR_OK;
}

enum err seal_open_signer(const struct signkey *key, struct slice sealed, uint8_t *ret)
{
    struct boxkey box;
    uint8_t sk[crypto_sign_ed25519_SECRETKEYBYTES];
    secret_of(key, sk);
    crypto_sign_ed25519_sk_to_curve25519(box.sk, sk);
    boxkey_from_secret(box.sk, &box);
    enum err err = seal_open(&box, sealed, ret);
    crypto_wipe(sk, sizeof(sk));
    crypto_wipe(&box, sizeof(box));
    return err;
}

enum err password_hash(struct slice password, char ret[static PASSWORD_HASH_BYTES])
{
    if (crypto_pwhash_str(ret, (const char *)address(password), password.len, PASSWORD_HASH_PASSES,
                          PASSWORD_HASH_MEMORY_BYTES) != 0)
        return ERR_IO;
    return ERR_OK;
}

enum err password_verify(const char *hash, struct slice password)
{
    /* libsodium reads a whole buffer of its own size, NUL-padded. */
    char whole[PASSWORD_HASH_BYTES] = {0};
    size_t len = strlen(hash);
    if (len >= sizeof(whole))
        return ERR_UNAUTHORIZED;
    memcpy(whole, hash, len);
    if (crypto_pwhash_str_verify(whole, (const char *)address(password), password.len) != 0)
        return ERR_UNAUTHORIZED;
    return ERR_OK;
}

void hex_encode(struct slice bytes, char *ret)
{
    sodium_bin2hex(ret, bytes.len * 2 + 1, address(bytes), bytes.len);
}

enum err hex_decode(struct slice text, uint8_t *ret, size_t n)
{
    size_t len = 0;
    if (text.len != n * 2)
        return ERR_FORMAT;
    if (n == 0)
        return ERR_OK;
    if (sodium_hex2bin(ret, n, (const char *)text.ptr, text.len, NULL, &len, NULL) != 0)
        return ERR_FORMAT;
    return len == n ? ERR_OK : ERR_FORMAT;
}

enum err secret_parse(struct slice text, uint8_t ret[static KEY_BYTES])
{
    if (text.len == SECRET_TEXT_BYTES && text.ptr[text.len - 1] == '\n')
        text.len--;
    return hex_decode(text, ret, KEY_BYTES);
}

_Static_assert(sizeof(struct sha256) == sizeof(crypto_hash_sha256_state), "room for the state");

void sha256_init(struct sha256 *h)
{
    crypto_hash_sha256_init((crypto_hash_sha256_state *)h->state);
}

void sha256_add(struct sha256 *h, struct slice bytes)
{
    crypto_hash_sha256_update((crypto_hash_sha256_state *)h->state, bytes.ptr, bytes.len);
}

void sha256_end(struct sha256 *h, uint8_t ret[static SHA256_BYTES])
{
    crypto_hash_sha256_final((crypto_hash_sha256_state *)h->state, ret);
}
