/* auth/user: logins and renewals (zone.c, I2, I3, I5). */
#include "auth_edge/zone_work.h"
#include "base/check.h"

static void wipe_slice(struct slice s)
{
    crypto_wipe((void *)(uintptr_t)s.ptr, s.len);
}

static void copy_to(char *to, size_t *ret_len, size_t max, struct slice from)
{
    CHECK(from.len <= max);
    if (from.len)
        memcpy(to, from.ptr, from.len);
    *ret_len = from.len;
}

static struct login *login_of(const struct asked *asked, const struct user_request *m,
                              uint64_t ts_us)
{
    struct login *login = login_new();
    copy_to(login->user, &login->user_len, sizeof(login->user), m->user);
    copy_to(login->password, &login->password_len, sizeof(login->password), m->password);
    copy_to(login->token, &login->token_len, sizeof(login->token), m->owner_id);
    copy_to(login->client_id, &login->client_id_len, sizeof(login->client_id), m->client_id);
    login->pk = m->pk;
    login->request = asked->request;
    login->request_us = ts_us;
    return login;
}

/* NULL: a credential that pk may have renewed. Else what is wrong with it. */
static const char *why_not_renewed(const struct asked *asked, const struct user_request *m,
                                   struct credential *ret)
{
    const struct zone *zone = asked->zone;
    if (credential_open(m->renew, &zone->is, ret) != ERR_OK)
        return "this credential is not one of this zone's; log in";
    if (ret->kind != CREDENTIAL_STREAMER)
        return "this is no streamer's credential; edges renew theirs on auth/zone";
    if (!pubkey_eq(&ret->pk, &m->pk))
        return "this credential is another key's";
    if (!credential_valid_at(ret, asked->now.utc_us))
        return "this credential is out of date; log in";
    return NULL;
}

/* A renewal whose proof of possession holds and that is fresh. What the operator revoked is the
 * records' to know. */
static struct zone_outcome renew(const struct asked *asked, const struct user_request *m,
                                 uint64_t ts_us)
{
    struct zone *zone = asked->zone;
    struct credential shown;
    const char *why = why_not_renewed(asked, m, &shown);
    if (why)
        return zone_refuse_unverified(asked, ZONE_NOT_RENEWABLE, CODE_UNAUTHORIZED, why);
    if (!rate_take(&zone->renewals, asked->now.mono_us)) {
        zone_count_up(zone, ZONE_LOGIN_BUSY);
        return zone_refuse(asked, CODE_BUSY, "too many renewals at once; try again");
    }
    struct login *login = login_of(asked, m, ts_us);
    login->subject = shown.subject;
    login->renews = shown.serial;
    return (struct zone_outcome){.kind = ZONE_LOGIN, .login = login};
}

/* I3. The inner object, sealed or not. A credential is nothing that the broker may not read. */
static struct zone_outcome receive_login(struct asked *asked, const struct user_request *m,
                                         bool sealed)
{
    struct zone *zone = asked->zone;
    if (m->client_id.len) {
        if (!reply_id_ok(m->client_id, zone->config.allow_token_reply_ids))
            return zone_silence(zone, ZONE_NO_ADDRESS);
        asked->id = m->client_id;
    }
    if (m->password.len && !sealed)
        return zone_refuse_unverified(
            asked, ZONE_MALFORMED, CODE_BAD_REQUEST,
            "a password must be sealed; the broker has seen this one: change it");
    if (zone->config.require_sealed_login && !sealed && !m->renew.len)
        return zone_refuse_unverified(
            asked, ZONE_MALFORMED, CODE_BAD_REQUEST,
            "a login must be sealed here; the broker has seen this token: end its session");
    if (!m->signature.auth.len)
        return zone_refuse_unverified(asked, ZONE_BAD_PROOF, CODE_UNAUTHORIZED,
                                      "auth is missing: the request must be signed by pk");
    struct request_auth auth;
    enum err err =
        request_check(slice_str("auth/user"), id_slice(&zone->is.zone_id), &m->signature.fields,
                      m->signature.auth, &m->pk, &auth, &asked->request);
    if (err != ERR_OK)
        return zone_refuse_unverified(asked, ZONE_BAD_PROOF, wire_code_of(err),
                                      "auth is not made by pk over this request for this zone");
    err = nonces_accept(&zone->login_nonces, &m->pk, &auth.nonce, auth.ts_us, asked->now.utc_us);
    if (err != ERR_OK)
        return zone_refuse_stale(asked, err);
    if (m->renew.len)
        return renew(asked, m, auth.ts_us);
    return (struct zone_outcome){.kind = ZONE_LOGIN, .login = login_of(asked, m, auth.ts_us)};
}

/* decode, or refuse with the client id, if that much can be read. */
static enum err decode_user(struct asked *asked, struct slice payload, struct user_request *ret,
                            struct zone_outcome *ret_refusal)
{
    enum err err = user_request_decode(payload, asked->arena, ret);
    if (err == ERR_OK)
        return ERR_OK;
    zone_find_address(asked, payload);
    *ret_refusal = zone_refuse_undecodable(asked, err);
    return err;
}

struct zone_outcome zone_receive_user(struct asked *asked, struct slice payload)
{
    struct zone *zone = asked->zone;
    struct zone_outcome outcome;
    struct user_request outer, inner;
    if (decode_user(asked, payload, &outer, &outcome) != ERR_OK)
        return outcome;
    if (!outer.sealed.len) {
        outcome = receive_login(asked, &outer, false);
        wipe_slice(outer.password);
        wipe_slice(outer.owner_id);
        return outcome;
    }
    if (outer.sealed.len <= SEAL_OVERHEAD_BYTES)
        return zone_refuse_undecodable(asked, ERR_FORMAT);
    size_t plain_len = outer.sealed.len - SEAL_OVERHEAD_BYTES;
    uint8_t *plain = arena_alloc(asked->arena, plain_len);
    if (seal_open(&zone->keys.box, outer.sealed, plain) != ERR_OK)
        return zone_refuse_undecodable(asked, ERR_FORMAT);
    if (decode_user(asked, slice_of(plain, plain_len), &inner, &outcome) == ERR_OK) {
        outcome = inner.sealed.len ? zone_refuse_undecodable(asked, ERR_FORMAT)
                                   : receive_login(asked, &inner, true);
        wipe_slice(inner.password);
        wipe_slice(inner.owner_id);
    }
    crypto_wipe(plain, plain_len);
    return outcome;
}

/* I5: what the message says depends on the provider alone. */
static struct zone_outcome refuse_login(const struct asked *asked, const struct login *login)
{
    const char *message = login->message;
    switch (login->err) {
    case ERR_UNAUTHORIZED:
        zone_count_up(asked->zone, ZONE_LOGIN_REFUSED);
        return zone_refuse(asked, CODE_UNAUTHORIZED, message ? message : "wrong user or password");
    case ERR_BUSY:
        zone_count_up(asked->zone, ZONE_LOGIN_BUSY);
        return zone_refuse(asked, CODE_BUSY,
                           message ? message : "too many logins at once; try again");
    default:
        zone_count_up(asked->zone, ZONE_RECORD_FAILED);
        return zone_refuse(asked, CODE_INTERNAL,
                           "the users cannot be read; see the authority's log");
    }
}

static struct zone_outcome finish_login(struct asked *asked, const struct login *login)
{
    struct zone *zone = asked->zone;
    if (login->err != ERR_OK)
        return refuse_login(asked, login);
    if (!asked->id.len)
        asked->id = arena_copy(asked->arena, id_slice(&login->subject));
    struct wanted wanted = {
        .credential = {.kind = CREDENTIAL_STREAMER,
                       .subject = login->subject,
                       .display_name = slice_of(login->name, login->name_len),
                       .pk = login->pk},
        .life_us = zone->config.streamer_credential_us,
        .request_us = login->request_us,
        .renews = login->renews,
    };
    struct credential *granted;
    struct user_reply reply = {.request = login->request};
    enum err err = zone_grant(asked, &wanted, &granted, &reply.credential);
    if (err == ERR_OK)
        err = zone_broker_login(asked, granted, &reply.broker);
    if (err != ERR_OK)
        return zone_refuse_grant(asked, err);
    zone_count_up(zone, login->renews ? ZONE_STREAMERS_RENEWED : ZONE_STREAMERS_LOGGED_IN);
    return zone_answer_held(asked, user_reply_encode(&reply, asked->arena), granted);
}

bool zone_login_answer(struct zone *zone, struct zone_now now, const struct login *login,
                       struct arena *arena, struct zone_answer *ret_answer)
{
    struct asked asked = {
        .zone = zone,
        .now = now,
        .arena = arena,
        .reply = TOPIC_AUTH_USER_REPLY,
        .id = arena_copy(arena, slice_of(login->client_id, login->client_id_len)),
        .request = login->request,
    };
    struct zone_outcome outcome = finish_login(&asked, login);
    if (outcome.kind != ZONE_ANSWER)
        return false;
    *ret_answer = outcome.answer;
    return true;
}
