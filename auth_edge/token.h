#ifndef AUTH_EDGE_TOKEN_H
#define AUTH_EDGE_TOKEN_H
/*
 * An access token as Supabase issues it (a JWT, RFC 7519, in the compact form of
 * RFC 7515), taken apart. What is found can only speak against a token: that it
 * is good, Supabase alone says. Pure; any thread.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"

enum {
    TOKEN_SIGNATURE_BYTES_MAX = 512, /* RSA with 4096 bits */
    TOKEN_SKEW_S = 60,               /* that Supabase's clock and ours may differ by */
    TOKEN_ISSUER_BYTES_MAX = 512,
    KID_BYTES_MAX = 128,
};

/*
 * What the header says that the token is signed with. It never selects how a
 * signature is checked (the key does), only whether a public key can be asked.
 */
enum token_alg {
    TOKEN_ALG_NONE,   /* no algorithm that Supabase signs with */
    TOKEN_ALG_SECRET, /* HS256: with a secret that only Supabase has */
    TOKEN_ALG_PUBLIC, /* ES256, RS256: with a key of the key set */
};

struct token {
    enum token_alg alg;
    struct slice kid;   /* in the arena; empty: none */
    struct slice input; /* what is signed; borrowed from the text */
    uint8_t signature[TOKEN_SIGNATURE_BYTES_MAX];
    size_t signature_len;

    struct id subject;   /* a UUID in its canonical form */
    struct slice issuer; /* in the arena; empty: none */
    uint64_t expires_s, not_before_s;
    bool for_users; /* audience and role are `authenticated` */
};

/*
 * token_read: take a token apart.
 * text   borrowed as long as the token is used.
 * arena  owns the slices; cost: a few times the text.
 * ERR_FORMAT: no token, a critical extension, or no UUID for a subject.
 * ERR_LIMIT: a field above its limit.
 */
enum err token_read(struct slice text, struct arena *arena, struct token *ret);

/*
 * token_in_order: whether the claims are those of a user's token that is in date.
 * issuer  that it must name; empty: it must name none.
 */
bool token_in_order(const struct token *token, struct slice issuer, uint64_t now_s);

/* uuid_ok: 8-4-4-4-12 hexadecimal digits, lower case: one text for one user. */
bool uuid_ok(struct slice text);

#endif
