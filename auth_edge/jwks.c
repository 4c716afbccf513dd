/*
 * Why: a token that Supabase would refuse for its signature alone costs no
 * request, and yet no user waits for, or is turned away by, a set that cannot be
 * had: then Supabase decides alone.
 *
 *   I1  the algorithm is the key's. A token that claims HS256 under the kid of a
 *       public key is forged; under another kid it is signed with a secret, of
 *       which no key set says anything.
 *   I2  two fetches begin at least JWKS_PAUSE_US apart.
 *   I3  an unknown kid is refused only by a set that is younger than that.
 */
#include "auth_edge/jwks.h"

#include "base/check.h"
#include "wire/json.h"

void jwks_release(struct jwks *set)
{
    for (size_t i = 0; i < set->n; i++)
        jws_key_free(set->keys[i].key);
    *set = (struct jwks){0};
}

void jwks_begin(struct jwks *set, uint64_t now_us)
{
    CHECK(!set->fetching);
    set->fetching = set->tried = true;
    set->tried_us = now_us;
}

void jwks_failed(struct jwks *set)
{
    set->fetching = false;
}

/* --- reading ----------------------------------------------------------------------- */

/* One number of a key; empty: absent or malformed, which no kind of key accepts. */
static struct slice number(struct json *j, const char *name, uint8_t *buf, size_t cap)
{
    size_t len;
    if (b64url_decode(json_peek_text(j, name), buf, cap, &len) != ERR_OK)
        return (struct slice){0};
    return slice_of(buf, len);
}

/* Absent, or that. */
static bool may_be(const struct json *j, const char *key, const char *s)
{
    return !json_has(j, key) || json_names(j, key, s);
}

static enum err key_read(struct json *j, struct jws_key **ret)
{
    uint8_t a[JWS_RSA_BYTES_MAX], b[JWS_RSA_BYTES_MAX];
    if (!may_be(j, "use", "sig"))
        return ERR_UNKNOWN;
    if (json_names(j, "kty", "EC") && json_names(j, "crv", "P-256") && may_be(j, "alg", "ES256"))
        return jws_key_es256(number(j, "x", a, sizeof(a)), number(j, "y", b, sizeof(b)), ret);
    if (json_names(j, "kty", "RSA") && may_be(j, "alg", "RS256"))
        return jws_key_rs256(number(j, "n", a, sizeof(a)), number(j, "e", b, sizeof(b)), ret);
    return ERR_UNKNOWN;
}

static void jwk_read(struct json *j, struct jwks *set)
{
    struct jwk *jwk = &set->keys[set->n];
    struct slice kid = json_peek_text(j, "kid");
    if (kid.len == 0 || kid.len > sizeof(jwk->kid) || key_read(j, &jwk->key) != ERR_OK)
        return;
    memcpy(jwk->kid, kid.ptr, kid.len);
    jwk->kid_len = kid.len;
    set->n++;
}

enum err jwks_take(struct jwks *set, struct slice text, uint64_t now_us)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct jwks fresh = {.held = true, .held_us = now_us, .tried = true, .tried_us = set->tried_us};
    struct json j CLEANUP(json_close) = json_open_object(text, &arena);
    size_t n;
    json_require(&j, json_has(&j, "keys"));
    const struct cJSON *item = json_array(&j, "keys", JWKS_KEYS_MAX, &n);
    for (; item && j.err == ERR_OK; item = json_next(item)) {
        j.at = item;
        jwk_read(&j, &fresh);
    }
    set->fetching = false;
    if (j.err != ERR_OK) {
        jwks_release(&fresh);
        return j.err;
    }
    jwks_release(set);
    *set = fresh;
    return ERR_OK;
}

/* --- judging ------------------------------------------------------------------------ */

static const struct jwk *find(const struct jwks *set, struct slice kid)
{
    for (size_t i = 0; i < set->n; i++)
        if (slice_eq(slice_of(set->keys[i].kid, set->keys[i].kid_len), kid))
            return &set->keys[i];
    return NULL;
}

/* I2. Whether a newer set is on its way, or may be sent for. */
static bool can_wait(const struct jwks *set, uint64_t now_us)
{
    return set->fetching || !set->tried || now_us - set->tried_us >= JWKS_PAUSE_US;
}

enum verdict jwks_judge(const struct jwks *set, const struct token *token, uint64_t now_us)
{
    bool old = !set->held || now_us - set->held_us >= JWKS_LIFE_US;
    if (token->alg == TOKEN_ALG_NONE)
        return VERDICT_REFUSED;
    if (old && can_wait(set, now_us))
        return VERDICT_FETCH;
    const struct jwk *jwk = find(set, token->kid);
    if (token->alg == TOKEN_ALG_SECRET)
        return jwk ? VERDICT_REFUSED : VERDICT_ASK; /* I1 */
    if (jwk) {
        struct slice signature = slice_of(token->signature, token->signature_len);
        return jws_verify(jwk->key, token->input, signature) == ERR_OK ? VERDICT_ASK
                                                                       : VERDICT_REFUSED;
    }
    if (set->held && now_us - set->held_us < JWKS_PAUSE_US)
        return VERDICT_REFUSED; /* I3 */
    return can_wait(set, now_us) ? VERDICT_FETCH : VERDICT_ASK;
}
