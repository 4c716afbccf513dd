/*
 * Why: everything that gives somebody a standing in the zone is decided here,
 * in one place without I/O, so that it can be read and tested line by line.
 *
 * Invariants
 *   I1  no credential leaves before records.issue has returned ERR_OK for it.
 *   I2  a credential names the key that signed the request for it.
 *   I3  a password or token is looked at only after the proof of possession
 *       held and the request was fresh.
 *   I4  what nothing verified gets at most UNVERIFIED_ANSWERS_PER_S_MAX error
 *       answers and PARAMS_ANSWERS_PER_S_MAX parameters a second.
 *   I5  the answer to a refused login is the same for every reason that lies in
 *       the user's name or secret.
 */
#include "auth_edge/zone.h"

#include "auth_edge/nonces.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/address.h"

#include <stdlib.h>

enum { US_PER_S = 1000 * 1000 };

/* Tokens in millionths: refilled with time, one spent per answer; full after a second. */
struct rate {
    uint64_t per_s_max;
    uint64_t micro_tokens;
    uint64_t last_us;
};

struct zone {
    struct zone_config config;
    struct zone_keys keys;
    uint8_t params[ZONE_OBJECT_BYTES_MAX];
    size_t params_len;
    struct nonces enrol_nonces, login_nonces;
    struct rate unverified, params_rate;
    uint64_t counters[ZONE_COUNTERS_N];
};

/* One request on its way through: what an answer to it needs. */
struct asked {
    struct zone *zone;
    struct zone_now now;
    struct arena *arena;
    enum topic_kind reply; /* the topic that it is answered on */
    struct slice id;       /* the id that it is answered under; empty: none */
    struct hash request;   /* zero: none that verified */
};

static void sign_params(struct zone *zone)
{
    struct zone_params params = {
        .zone_id = zone->config.zone_id,
        .sign_pk = zone->keys.sign.pk,
        .box_pk = zone->keys.box.pk,
        .key_epoch = zone->config.key_epoch,
        .issued_us = zone->config.issued_us,
    };
    uint8_t body[ZONE_OBJECT_BYTES_MAX];
    struct writer b = writer_of(body, sizeof(body));
    zone_params_encode(&params, &b);
    struct writer w = writer_of(zone->params, sizeof(zone->params));
    signed_append(&w, OBJECT_ZONE, slice_of(body, b.len), &zone->keys.sign);
    CHECK(!b.full && !w.full);
    zone->params_len = w.len;
}

struct zone *zone_new(const struct zone_config *config)
{
    CHECK(config->edge_credential_us > 0 && config->streamer_credential_us > 0);
    struct zone *zone = mem_alloc(sizeof(*zone));
    zone->config = *config;
    zone->keys = *config->keys;
    zone->config.keys = &zone->keys;
    nonces_init(&zone->enrol_nonces, ENROL_NONCES_MAX, config->answered_until_us);
    nonces_init(&zone->login_nonces, LOGIN_NONCES_MAX, config->answered_until_us);
    zone->unverified = (struct rate){.per_s_max = UNVERIFIED_ANSWERS_PER_S_MAX};
    zone->params_rate = (struct rate){.per_s_max = PARAMS_ANSWERS_PER_S_MAX};
    sign_params(zone);
    return zone;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    nonces_release(&zone->enrol_nonces);
    nonces_release(&zone->login_nonces);
    crypto_wipe(zone, sizeof(*zone));
    free(zone);
}

struct slice zone_params(const struct zone *zone)
{
    return slice_of(zone->params, zone->params_len);
}

uint64_t zone_count(const struct zone *zone, enum zone_counter counter)
{
    return zone->counters[counter];
}

const char *zone_counter_name(enum zone_counter counter)
{
    static const char *const names[ZONE_COUNTERS_N] = {
        [ZONE_PARAMS_ANSWERED] = "params_answered",
        [ZONE_EDGES_ENROLLED] = "edges_enrolled",
        [ZONE_STREAMERS_LOGGED_IN] = "streamers_logged_in",
        [ZONE_MALFORMED] = "malformed",
        [ZONE_TOO_LARGE] = "too_large",
        [ZONE_NO_ADDRESS] = "no_address",
        [ZONE_BAD_PROOF] = "bad_proof",
        [ZONE_OUT_OF_TIME] = "out_of_time",
        [ZONE_REPLAYED] = "replayed",
        [ZONE_NONCES_FULL] = "nonces_full",
        [ZONE_RESERVED] = "reserved",
        [ZONE_SECOND_KEY] = "second_key",
        [ZONE_LOGIN_REFUSED] = "login_refused",
        [ZONE_LOGIN_BUSY] = "login_busy",
        [ZONE_RECORD_FAILED] = "record_failed",
        [ZONE_RATE_LIMITED] = "rate_limited",
    };
    return names[counter];
}

/* --- answering ------------------------------------------------------------------ */

static bool rate_take(struct rate *rate, uint64_t mono_us)
{
    uint64_t full = rate->per_s_max * US_PER_S;
    uint64_t passed_us = mono_us - rate->last_us;
    rate->micro_tokens += (passed_us < US_PER_S ? passed_us : US_PER_S) * rate->per_s_max;
    if (rate->micro_tokens > full)
        rate->micro_tokens = full;
    rate->last_us = mono_us;
    if (rate->micro_tokens < US_PER_S)
        return false;
    rate->micro_tokens -= US_PER_S;
    return true;
}

static void count(struct zone *zone, enum zone_counter counter)
{
    zone->counters[counter]++;
}

static struct zone_outcome silence(struct zone *zone, enum zone_counter counter)
{
    count(zone, counter);
    return (struct zone_outcome){.kind = ZONE_SILENCE};
}

static struct zone_outcome answer_with(const struct asked *asked, struct slice payload,
                                       const struct credential *granted)
{
    return (struct zone_outcome){
        .kind = ZONE_ANSWER,
        .answer = {asked->reply, asked->id, payload, granted},
    };
}

/* Refuse something that was verified; the caller has counted why. */
static struct zone_outcome refuse(const struct asked *asked, enum wire_code code,
                                  const char *message)
{
    struct wire_error error = {
        .code = code, .message = slice_str(message), .request = asked->request};
    if (!asked->id.len)
        return silence(asked->zone, ZONE_NO_ADDRESS);
    if (asked->reply == TOPIC_AUTH_ZONE_REPLY)
        error.edge_id = asked->id;
    else
        error.client_id = asked->id;
    return answer_with(asked, wire_error_encode(&error, asked->arena), NULL);
}

/* I4. Refuse something that nothing verified. */
static struct zone_outcome refuse_unverified(const struct asked *asked, enum zone_counter counter,
                                             enum wire_code code, const char *message)
{
    count(asked->zone, counter);
    if (!asked->id.len)
        return silence(asked->zone, ZONE_NO_ADDRESS);
    if (!rate_take(&asked->zone->unverified, asked->now.mono_us))
        return silence(asked->zone, ZONE_RATE_LIMITED);
    return refuse(asked, code, message);
}

/* The address in a payload that cannot be decoded, if that much of it is readable. */
static void find_address(struct asked *asked, struct slice payload)
{
    bool edge = asked->reply == TOPIC_AUTH_ZONE_REPLY;
    struct reply_address found = address_read(payload, asked->arena);
    struct slice id = edge ? found.edge_id : found.client_id;
    if (reply_id_ok(id, !edge && asked->zone->config.allow_token_reply_ids))
        asked->id = id;
}

/* What is no request. err: the decoder's. */
static struct zone_outcome refuse_undecodable(const struct asked *asked, enum err err)
{
    if (err == ERR_LIMIT)
        return refuse_unverified(asked, ZONE_TOO_LARGE, CODE_TOO_LARGE,
                                 "a field is above its limit");
    return refuse_unverified(asked, ZONE_MALFORMED, CODE_BAD_REQUEST,
                             "not a request as docs/PROTOCOL.md describes it");
}

/* A request whose proof holds but that is not fresh. err: of nonces_accept. */
static struct zone_outcome refuse_stale(const struct asked *asked, enum err err)
{
    if (err == ERR_TIMEOUT)
        return refuse_unverified(asked, ZONE_OUT_OF_TIME, CODE_UNAUTHORIZED,
                                 "made more than 60 s from this clock; check yours");
    if (err == ERR_CONFLICT)
        return refuse_unverified(asked, ZONE_REPLAYED, CODE_UNAUTHORIZED,
                                 "this request was answered before; make a new one");
    return refuse_unverified(asked, ZONE_NONCES_FULL, CODE_BUSY,
                             "cannot tell whether this request is new; make another one");
}

/*
 * I1. Issue a credential; ret_signed is its signed object. The errors are those
 * of records.issue, for refuse_grant.
 */
static enum err grant(const struct asked *asked, const struct credential *wanted, uint64_t life_us,
                      uint64_t request_us, struct credential **ret_granted,
                      struct slice *ret_signed)
{
    struct zone *zone = asked->zone;
    uint64_t now_us = asked->now.utc_us;
    struct issue issue = {
        .credential = *wanted,
        .now_us = now_us,
        .request_us = request_us,
        .reuse_from_us = now_us + life_us / 2,
    };
    issue.credential.zone_id = zone->config.zone_id;
    issue.credential.key_epoch = zone->config.key_epoch;
    issue.credential.not_before_us =
        now_us > CREDENTIAL_BACKDATE_US ? now_us - CREDENTIAL_BACKDATE_US : 0;
    issue.credential.not_after_us = now_us + life_us;
    struct issued issued;
    enum err err = zone->config.records.issue(zone->config.records.ctx, &issue, &issued);
    if (err != ERR_OK)
        return err;
    struct credential *granted = arena_alloc(asked->arena, sizeof(*granted));
    *granted = issue.credential;
    granted->serial = issued.serial;
    granted->not_before_us = issued.not_before_us;
    granted->not_after_us = issued.not_after_us;

    uint8_t body[CREDENTIAL_OBJECT_BYTES_MAX];
    struct writer b = writer_of(body, sizeof(body));
    credential_encode(granted, &b);
    uint8_t *bytes = arena_alloc(asked->arena, CREDENTIAL_OBJECT_BYTES_MAX);
    struct writer w = writer_of(bytes, CREDENTIAL_OBJECT_BYTES_MAX);
    signed_append(&w, OBJECT_CREDENTIAL, slice_of(body, b.len), &zone->keys.sign);
    CHECK(!b.full && !w.full);
    *ret_granted = granted;
    *ret_signed = slice_of(bytes, w.len);
    return ERR_OK;
}

static struct zone_outcome refuse_grant(const struct asked *asked, enum err err)
{
    if (err == ERR_CONFLICT) {
        count(asked->zone, ZONE_SECOND_KEY);
        return refuse(asked, CODE_CONFLICT, "this edge id is bound to another key");
    }
    count(asked->zone, ZONE_RECORD_FAILED);
    if (err == ERR_STORAGE_FULL)
        return refuse(asked, CODE_STORAGE_FULL, "the zone authority's disk is full");
    return refuse(asked, CODE_INTERNAL, "the zone authority's records failed; see its log");
}

/* --- auth/params ---------------------------------------------------------------- */

static struct zone_outcome receive_params(struct asked *asked, struct slice payload)
{
    struct zone *zone = asked->zone;
    struct params_request m;
    enum err err = params_request_decode(payload, asked->arena, &m);
    if (err != ERR_OK)
        return refuse_undecodable(asked, err);
    if (!reply_id_ok(m.client_id, zone->config.allow_token_reply_ids))
        return silence(zone, ZONE_NO_ADDRESS);
    if (!rate_take(&zone->params_rate, asked->now.mono_us))
        return silence(zone, ZONE_RATE_LIMITED);
    asked->id = m.client_id;
    struct params_reply reply = {.params = zone_params(zone)};
    count(zone, ZONE_PARAMS_ANSWERED);
    return answer_with(asked, params_reply_encode(&reply, asked->arena), NULL);
}

/* --- auth/zone ------------------------------------------------------------------ */

/* An enrolment whose proof holds and that is fresh. */
static struct zone_outcome enrol(struct asked *asked, const struct enrolment *e)
{
    struct zone *zone = asked->zone;
    if (edge_id_reserved(&e->edge_id)) {
        count(zone, ZONE_RESERVED);
        return refuse(asked, CODE_BAD_REQUEST, "this id is reserved; choose another edge id");
    }
    struct credential wanted = {.kind = CREDENTIAL_EDGE, .subject = e->edge_id, .pk = e->pk};
    struct credential *granted;
    struct zone_reply reply = {
        .edge_id = e->edge_id, .params = zone_params(zone), .nonce = e->nonce};
    enum err err = grant(asked, &wanted, zone->config.edge_credential_us, e->ts_us, &granted,
                         &reply.credential);
    if (err != ERR_OK)
        return refuse_grant(asked, err);
    reply.proof = enrolment_reply_mac(zone->keys.secret, &asked->request, reply.params,
                                      reply.credential, &reply.nonce);
    count(zone, ZONE_EDGES_ENROLLED);
    return answer_with(asked, zone_reply_encode(&reply, asked->arena), granted);
}

static struct zone_outcome receive_zone(struct asked *asked, struct slice payload)
{
    struct zone *zone = asked->zone;
    struct zone_request m;
    enum err err = zone_request_decode(payload, asked->arena, &m);
    if (err != ERR_OK) {
        find_address(asked, payload);
        return refuse_undecodable(asked, err);
    }
    asked->id = arena_copy(asked->arena, id_slice(&m.enrolment.edge_id));
    if (!m.proof.len)
        return refuse_unverified(asked, ZONE_BAD_PROOF, CODE_UNAUTHORIZED,
                                 "pk, ts, nonce and proof are missing: prove that you may enrol");
    err = enrolment_check(&m.enrolment, zone->keys.secret, m.proof, &asked->request);
    if (err != ERR_OK)
        return refuse_unverified(asked, ZONE_BAD_PROOF, wire_code_of(err),
                                 err == ERR_UNAUTHORIZED
                                     ? "the proof is not made with this zone's secret"
                                     : "the signature is not made with the key that is named");
    err = nonces_accept(&zone->enrol_nonces, &m.enrolment.pk, &m.enrolment.nonce, m.enrolment.ts_us,
                        asked->now.utc_us);
    if (err != ERR_OK)
        return refuse_stale(asked, err);
    return enrol(asked, &m.enrolment);
}

/* --- auth/user ------------------------------------------------------------------ */

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

/* I3. A login whose proof of possession holds and that is fresh. */
static struct zone_outcome ask_provider(const struct asked *asked, const struct user_request *m,
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
    return (struct zone_outcome){.kind = ZONE_LOGIN, .login = login};
}

/* The inner object, sealed or not. */
static struct zone_outcome receive_login(struct asked *asked, const struct user_request *m,
                                         bool sealed)
{
    struct zone *zone = asked->zone;
    if (m->client_id.len) {
        if (!reply_id_ok(m->client_id, zone->config.allow_token_reply_ids))
            return silence(zone, ZONE_NO_ADDRESS);
        asked->id = m->client_id;
    }
    if (m->password.len && !sealed)
        return refuse_unverified(
            asked, ZONE_MALFORMED, CODE_BAD_REQUEST,
            "a password must be sealed; the broker has seen this one: change it");
    if (zone->config.require_sealed_login && !sealed)
        return refuse_unverified(
            asked, ZONE_MALFORMED, CODE_BAD_REQUEST,
            "a login must be sealed here; the broker has seen this token: end its session");
    if (!m->signature.auth.len)
        return refuse_unverified(asked, ZONE_BAD_PROOF, CODE_UNAUTHORIZED,
                                 "auth is missing: the request must be signed by pk");
    struct request_auth auth;
    enum err err =
        request_check(slice_str("auth/user"), id_slice(&zone->config.zone_id), &m->signature.fields,
                      m->signature.auth, &m->pk, &auth, &asked->request);
    if (err != ERR_OK)
        return refuse_unverified(asked, ZONE_BAD_PROOF, wire_code_of(err),
                                 "auth is not made by pk over this request for this zone");
    err = nonces_accept(&zone->login_nonces, &m->pk, &auth.nonce, auth.ts_us, asked->now.utc_us);
    if (err != ERR_OK)
        return refuse_stale(asked, err);
    return ask_provider(asked, m, auth.ts_us);
}

/* decode, or refuse with the client id, if that much can be read. */
static enum err decode_user(struct asked *asked, struct slice payload, struct user_request *ret,
                            struct zone_outcome *ret_refusal)
{
    enum err err = user_request_decode(payload, asked->arena, ret);
    if (err == ERR_OK)
        return ERR_OK;
    find_address(asked, payload);
    *ret_refusal = refuse_undecodable(asked, err);
    return err;
}

static struct zone_outcome receive_user(struct asked *asked, struct slice payload)
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
        return refuse_undecodable(asked, ERR_FORMAT);
    size_t plain_len = outer.sealed.len - SEAL_OVERHEAD_BYTES;
    uint8_t *plain = arena_alloc(asked->arena, plain_len);
    if (seal_open(&zone->keys.box, outer.sealed, plain) != ERR_OK)
        return refuse_undecodable(asked, ERR_FORMAT);
    if (decode_user(asked, slice_of(plain, plain_len), &inner, &outcome) == ERR_OK) {
        outcome = inner.sealed.len ? refuse_undecodable(asked, ERR_FORMAT)
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
        count(asked->zone, ZONE_LOGIN_REFUSED);
        return refuse(asked, CODE_UNAUTHORIZED, message ? message : "wrong user or password");
    case ERR_BUSY:
        count(asked->zone, ZONE_LOGIN_BUSY);
        return refuse(asked, CODE_BUSY, message ? message : "too many logins at once; try again");
    default:
        count(asked->zone, ZONE_RECORD_FAILED);
        return refuse(asked, CODE_INTERNAL, "the users cannot be read; see the authority's log");
    }
}

static struct zone_outcome finish_login(struct asked *asked, const struct login *login)
{
    struct zone *zone = asked->zone;
    if (login->err != ERR_OK)
        return refuse_login(asked, login);
    if (!asked->id.len)
        asked->id = arena_copy(asked->arena, id_slice(&login->subject));
    struct credential wanted = {
        .kind = CREDENTIAL_STREAMER,
        .subject = login->subject,
        .display_name = slice_of(login->name, login->name_len),
        .pk = login->pk,
    };
    struct credential *granted;
    struct user_reply reply = {.request = login->request};
    enum err err = grant(asked, &wanted, zone->config.streamer_credential_us, login->request_us,
                         &granted, &reply.credential);
    if (err != ERR_OK)
        return refuse_grant(asked, err);
    count(zone, ZONE_STREAMERS_LOGGED_IN);
    return answer_with(asked, user_reply_encode(&reply, asked->arena), granted);
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

struct zone_outcome zone_receive(struct zone *zone, struct zone_now now, enum topic_kind kind,
                                 struct slice payload, struct arena *arena)
{
    struct asked asked = {.zone = zone, .now = now, .arena = arena};
    if (payload.len > PACKET_BYTES_MAX)
        return silence(zone, ZONE_TOO_LARGE);
    switch (kind) {
    case TOPIC_AUTH_PARAMS:
        asked.reply = TOPIC_AUTH_PARAMS_REPLY;
        return receive_params(&asked, payload);
    case TOPIC_AUTH_ZONE: asked.reply = TOPIC_AUTH_ZONE_REPLY; return receive_zone(&asked, payload);
    default:
        CHECK(kind == TOPIC_AUTH_USER);
        asked.reply = TOPIC_AUTH_USER_REPLY;
        return receive_user(&asked, payload);
    }
}
