#ifndef AUTH_EDGE_JWKS_H
#define AUTH_EDGE_JWKS_H
/*
 * The key set of a Supabase project (RFC 7517), when to fetch it, and what it has
 * to say about a token. It turns tokens away; it accepts none. Pure, with
 * monotonic time as an argument; one thread.
 *
 *   absent --begin--> fetching --take--> held --10 minutes, or an unknown kid--> fetching ...
 *                        '-----failed--> as before; not again for a minute
 */
#include "auth_edge/jws.h"
#include "auth_edge/token.h"

enum { JWKS_KEYS_MAX = 16 };

static const uint64_t JWKS_LIFE_US = UINT64_C(10) * 60 * 1000 * 1000;
static const uint64_t JWKS_PAUSE_US = UINT64_C(60) * 1000 * 1000; /* between two fetches */

struct jwk {
    char kid[KID_BYTES_MAX];
    size_t kid_len;
    struct jws_key *key; /* owned */
};

struct jwks {
    struct jwk keys[JWKS_KEYS_MAX];
    size_t n; /* 0: no asymmetric keys, or held is false */
    bool held, tried, fetching;
    uint64_t held_us, tried_us; /* when the set was taken; when the last fetch began */
};

/* jwks_release: free the keys. Zeroed is fine, and is an absent set. */
void jwks_release(struct jwks *set);

/* jwks_begin: a fetch begins. One of the two below must follow. */
void jwks_begin(struct jwks *set, uint64_t now_us);
/*
 * jwks_take: the fetch gave text. Keys of other kinds than ES256 and RS256, for
 * other uses than signing, or without a kid are left out.
 * ERR_FORMAT: no key set. ERR_LIMIT: more than JWKS_KEYS_MAX keys. Then what was
 * held stays, as after jwks_failed.
 */
enum err jwks_take(struct jwks *set, struct slice text, uint64_t now_us);
void jwks_failed(struct jwks *set);

enum verdict {
    VERDICT_REFUSED, /* no user's token: unauthorized */
    VERDICT_ASK,     /* nothing speaks against it: Supabase decides */
    VERDICT_FETCH,   /* cannot be told without the set: wait for it, and judge again */
};

/*
 * jwks_judge: what the set says about a token whose claims are in order. At most
 * one signature check. VERDICT_FETCH is never the answer right after jwks_take
 * or jwks_failed.
 */
enum verdict jwks_judge(const struct jwks *set, const struct token *token, uint64_t now_us);

#endif
