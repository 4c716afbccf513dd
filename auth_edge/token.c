/*
 * Why: most of what is wrong with a token can be read off it, and need not cost
 * a request.
 *
 *   I1  nothing is taken for true because a token says so; what it says can only
 *       turn it away.
 */
#include "auth_edge/token.h"

#include "base/check.h"
#include "wire/json.h"

static const char wanted[] = "authenticated"; /* Supabase's audience and role of users */

bool uuid_ok(struct slice text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (text.len != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (form[i] == 'x' ? !digit : c != '-')
            return false;
    }
    return true;
}

/* The text up to a dot, or to the end where none is wanted. false: the dots are not where they
 * should be. */
static bool cut(struct slice *text, bool dot, struct slice *ret)
{
    const uint8_t *at = text->len ? memchr(text->ptr, '.', text->len) : NULL;
    if ((at != NULL) != dot)
        return false;
    size_t len = at ? (size_t)(at - text->ptr) : text->len;
    *ret = slice_of(text->ptr, len);
    *text = slice_from(*text, dot ? len + 1 : len);
    return true;
}

static enum err decode(struct slice text, struct arena *arena, struct slice *ret)
{
    size_t max = text.len / 4 * 3 + 3, len;
    uint8_t *bytes = arena_alloc(arena, max);
    enum err err = b64url_decode(text, bytes, max, &len);
    if (err == ERR_OK)
        *ret = slice_of(bytes, len);
    return err;
}

static enum err header_read(struct slice part, struct arena *arena, struct token *ret)
{
    struct slice text;
    enum err err = decode(part, arena, &text);
    if (err != ERR_OK)
        return err;
    struct json j CLEANUP(json_close) = json_open_object(text, arena);
    if (json_names(&j, "alg", "ES256") || json_names(&j, "alg", "RS256"))
        ret->alg = TOKEN_ALG_PUBLIC;
    if (json_names(&j, "alg", "HS256"))
        ret->alg = TOKEN_ALG_SECRET;
    ret->kid = json_text(&j, "kid", KID_BYTES_MAX);
    json_require(&j, !json_has(&j, "crit"));
    return j.err;
}

static enum err claims_read(struct slice part, struct arena *arena, struct token *ret)
{
    struct slice text;
    enum err err = decode(part, arena, &text);
    if (err != ERR_OK)
        return err;
    struct json j CLEANUP(json_close) = json_open_object(text, arena);
    ret->issuer = json_text(&j, "iss", TOKEN_ISSUER_BYTES_MAX);
    ret->expires_s = json_u53(&j, "exp");
    ret->not_before_s = json_u53(&j, "nbf");
    ret->for_users = json_names(&j, "aud", wanted) && json_names(&j, "role", wanted);
    ret->subject = json_id(&j, "sub");
    json_require(&j, uuid_ok(id_slice(&ret->subject)));
    return j.err;
}

enum err token_read(struct slice text, struct arena *arena, struct token *ret)
{
    struct token token = {.alg = TOKEN_ALG_NONE};
    struct slice header, claims, signature, rest = text;
    if (!cut(&rest, true, &header) || !cut(&rest, true, &claims) || !cut(&rest, false, &signature))
        return ERR_FORMAT;
    token.input = slice_of(text.ptr, header.len + 1 + claims.len);
    enum err err = header_read(header, arena, &token);
    if (err == ERR_OK)
        err = claims_read(claims, arena, &token);
    if (err == ERR_OK)
        err = b64url_decode(signature, token.signature, sizeof(token.signature),
                            &token.signature_len);
    if (err == ERR_OK)
        *ret = token;
    return err;
}

bool token_in_order(const struct token *token, struct slice issuer, uint64_t now_s)
{
    return token->for_users && slice_eq(token->issuer, issuer) &&
           token->expires_s + TOKEN_SKEW_S > now_s && token->not_before_s <= now_s + TOKEN_SKEW_S;
}
