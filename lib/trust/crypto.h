#ifndef TRUST_CRYPTO_H
#define TRUST_CRYPTO_H
/*
 * libsodium, behind a dozen functions: Ed25519, BLAKE2b, sealed boxes, password
 * hashes, hexadecimal. crypto.c is the only includer of libsodium's headers.
 * Everything is pure but what draws random bytes: crypto_random, the _random
 * keys, seal_to and password_hash. All functions: any thread, after crypto_init.
 */
#include "base/base64.h"
#include "base/err.h"
#include "base/slice.h"

enum {
    HASH_BYTES = 32,
    KEY_BYTES = 32, /* public keys, seeds, MAC keys, zone secrets */
    SIGNATURE_BYTES = 64,
    NONCE_BYTES = 16,
    SEAL_OVERHEAD_BYTES = 48,
    PASSWORD_HASH_BYTES = 128, /* text with its NUL */
    PASSWORD_HASH_MEMORY_BYTES = 19 * 1024 * 1024,
    PASSWORD_HASH_PASSES = 2,
    SECRET_TEXT_BYTES = KEY_BYTES * 2 + 1, /* in a file: digits and a line end */
};

struct hash {
    uint8_t b[HASH_BYTES];
};
struct pubkey {
    uint8_t b[KEY_BYTES];
};
struct signature {
    uint8_t b[SIGNATURE_BYTES];
};
struct nonce {
    uint8_t b[NONCE_BYTES];
};
/* A signing key with its public half. Wipe with crypto_wipe when done. */
struct signkey {
    uint8_t seed[KEY_BYTES];
    struct pubkey pk;
};
/* An X25519 key pair for sealed boxes. */
struct boxkey {
    uint8_t sk[KEY_BYTES];
    struct pubkey pk;
};

static inline bool hash_eq(const struct hash *a, const struct hash *b)
{
    return memcmp(a->b, b->b, HASH_BYTES) == 0;
}
static inline bool pubkey_eq(const struct pubkey *a, const struct pubkey *b)
{
    return memcmp(a->b, b->b, KEY_BYTES) == 0;
}
bool hash_is_zero(const struct hash *h);

/* crypto_init: once, from main, before anything else here. ERR_IO: no randomness. */
enum err crypto_init(void);

/* crypto_random: n random bytes from the system. */
void crypto_random(void *ret, size_t n);
/* crypto_expand: n bytes drawn from a seed and a counter: the core's generator. Pure. */
void crypto_expand(const uint8_t seed[static KEY_BYTES], uint64_t counter, void *ret, size_t n);
void crypto_wipe(void *ptr, size_t n);
/* crypto_equal: constant time. */
bool crypto_equal(const void *a, const void *b, size_t n);

/* An incremental BLAKE2b-256: H(x), or MAC(key, x) when it was begun with a key. */
struct hasher {
    _Alignas(64) uint8_t state[384];
};
void hasher_init(struct hasher *h);
void hasher_init_keyed(struct hasher *h, const uint8_t key[static KEY_BYTES]);
void hasher_add(struct hasher *h, struct slice bytes);
struct hash hasher_end(struct hasher *h);

/* hash_of: H(a ‖ b); b may be empty. */
struct hash hash_of(struct slice a, struct slice b);
/* mac_of: MAC(key, bytes). */
struct hash mac_of(const uint8_t key[static KEY_BYTES], struct slice bytes);

/* signkey_from_seed: the pair that the seed names. */
void signkey_from_seed(const uint8_t seed[static KEY_BYTES], struct signkey *ret);
void signkey_random(struct signkey *ret);
void boxkey_random(struct boxkey *ret);
/* boxkey_from_secret: recompute the public half. */
void boxkey_from_secret(const uint8_t sk[static KEY_BYTES], struct boxkey *ret);

/* crypto_sign: Ed25519 over bytes; 16 µs. */
struct signature crypto_sign(const struct signkey *key, struct slice bytes);
/* crypto_verify: 48 µs. ERR_SIGNATURE. */
enum err crypto_verify(const struct pubkey *pk, struct slice bytes, const struct signature *sig);

/* seal_to: ret has plain.len + SEAL_OVERHEAD_BYTES bytes' room. */
void seal_to(const struct pubkey *box_pk, struct slice plain, uint8_t *ret);
/*
 * seal_to_signer: as seal_to, to whoever holds the signing key of pk (its Ed25519 point as X25519).
 * ERR_FORMAT: pk is no point. seal_open_signer: as seal_open, with that signing key.
 */
enum err seal_to_signer(const struct pubkey *pk, struct slice plain, uint8_t *ret);
enum err seal_open_signer(const struct signkey *key, struct slice sealed, uint8_t *ret);

/* seal_open: ret has sealed.len - SEAL_OVERHEAD_BYTES bytes' room. ERR_SIGNATURE: not for this key.
 */
enum err seal_open(const struct boxkey *key, struct slice sealed, uint8_t *ret);

/* password_hash: Argon2id, 19 MiB, 2 passes; 17 ms. ERR_IO: the memory was refused. */
enum err password_hash(struct slice password, char ret[static PASSWORD_HASH_BYTES]);
/* password_verify: ERR_UNAUTHORIZED: another password. */
enum err password_verify(const char *hash, struct slice password);

/* hex_encode: 2n + 1 bytes with NUL; hex_decode: exactly n bytes or ERR_FORMAT. */
void hex_encode(struct slice bytes, char *ret);
enum err hex_decode(struct slice text, uint8_t *ret, size_t n);

/*
 * secret_parse: a seed or a secret as its file holds it: 64 hexadecimal digits,
 * and a line end or none. ERR_FORMAT: anything else. ret may be half-written then.
 */
enum err secret_parse(struct slice text, uint8_t ret[static KEY_BYTES]);

/*
 * An incremental SHA-256: what people compare files with (sha256sum). Nothing
 * is signed or trusted by it. Copies of the state may be kept and gone on with.
 */
enum { SHA256_BYTES = 32 };
struct sha256 {
    _Alignas(8) uint8_t state[104];
};
void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, struct slice bytes);
void sha256_end(struct sha256 *h, uint8_t ret[static SHA256_BYTES]);

#endif
