#ifndef AUTH_EDGE_JWS_H
#define AUTH_EDGE_JWS_H
/*
 * Public keys that sign tokens, and whether they did (RFC 7518 §3: ES256, RS256).
 * jws.c is the only includer of OpenSSL (docs/decisions/0010). A key knows its
 * algorithm: there is no other way to name one. Pure; any thread, a key in one at
 * a time.
 */
#include "base/err.h"
#include "base/slice.h"

enum {
    JWS_EC_BYTES = 32, /* a coordinate, or half a signature: P-256 */
    JWS_RSA_BYTES_MIN = 2048 / 8,
    JWS_RSA_BYTES_MAX = 4096 / 8,
    JWS_RSA_EXPONENT_BYTES_MAX = 4,
};

struct jws_key; /* opaque */

/* jws_key_es256: ERR_FORMAT: x and y are no point of P-256. */
enum err jws_key_es256(struct slice x, struct slice y, struct jws_key **ret);
/*
 * jws_key_rs256: n and e without leading zeros. ERR_FORMAT: no key of 2048 to
 * 4096 bits with an odd exponent above 1.
 */
enum err jws_key_rs256(struct slice n, struct slice e, struct jws_key **ret);
/* jws_key_free: NULL is fine. */
void jws_key_free(struct jws_key *key);

/* jws_verify: 30 µs (RS256, 2048 bits) to 100 µs. ERR_SIGNATURE: not this key's over input. */
enum err jws_verify(const struct jws_key *key, struct slice input, struct slice signature);

#endif
