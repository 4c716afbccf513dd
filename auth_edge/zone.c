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

#include "auth_edge/list.h"
#include "auth_edge/zone_work.h"
#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

void zone_adopt(struct zone *zone, const struct zone_params *params, const struct zone_keys *keys)
{
    CHECK(pubkey_eq(&params->sign_pk, &keys->sign.pk) && pubkey_eq(&params->box_pk, &keys->box.pk));
    zone->is = *params;
    zone->keys = *keys;
    uint8_t body[ZONE_OBJECT_BYTES_MAX];
    struct writer b = writer_of(body, sizeof(body));
    zone_params_encode(params, &b);
    struct writer w = writer_of(zone->params, sizeof(zone->params));
    signed_append(&w, OBJECT_ZONE, slice_of(body, b.len), &zone->keys.sign);
    CHECK(!b.full && !w.full);
    zone->params_len = w.len;
    zone->list_len = 0;
}

void zone_revoke(struct zone *zone, const struct revoked *revoked)
{
    CHECK(revoked->n <= REVOCATIONS_MAX);
    zone->revoked = *revoked;
    zone->list_len = 0;
}

struct slice zone_revocations(struct zone *zone, uint64_t utc_us, struct arena *arena)
{
    zone->list_len = list_sign(&zone->revoked, &zone->is, &zone->keys.sign, utc_us, zone->list);
    struct revocations_message m = {.revocations = slice_of(zone->list, zone->list_len)};
    return revocations_message_encode(&m, arena);
}

struct zone *zone_new(const struct zone_config *config)
{
    CHECK(config->edge_credential_us > 0 && config->streamer_credential_us > 0);
    struct zone *zone = mem_alloc(sizeof(*zone));
    zone->config = *config;
    zone->config.params = &zone->is;
    zone->config.keys = &zone->keys;
    nonces_init(&zone->enrol_nonces, ENROL_NONCES_MAX, config->answered_until_us);
    nonces_init(&zone->login_nonces, LOGIN_NONCES_MAX, config->answered_until_us);
    zone->unverified = (struct rate){.per_s_max = UNVERIFIED_ANSWERS_PER_S_MAX};
    zone->params_rate = (struct rate){.per_s_max = PARAMS_ANSWERS_PER_S_MAX};
    zone->params_lists = (struct rate){.per_s_max = PARAMS_LISTS_PER_S_MAX};
    zone->renewals = (struct rate){.per_s_max = RENEWALS_PER_S_MAX};
    zone_adopt(zone, config->params, config->keys);
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
        [ZONE_STREAMERS_RENEWED] = "streamers_renewed",
        [ZONE_MALFORMED] = "malformed",
        [ZONE_TOO_LARGE] = "too_large",
        [ZONE_NO_ADDRESS] = "no_address",
        [ZONE_BAD_PROOF] = "bad_proof",
        [ZONE_OUT_OF_TIME] = "out_of_time",
        [ZONE_REPLAYED] = "replayed",
        [ZONE_NONCES_FULL] = "nonces_full",
        [ZONE_RESERVED] = "reserved",
        [ZONE_SECOND_KEY] = "second_key",
        [ZONE_REVOKED] = "revoked",
        [ZONE_QUOTA] = "quota",
        [ZONE_NOT_RENEWABLE] = "not_renewable",
        [ZONE_LOGIN_REFUSED] = "login_refused",
        [ZONE_LOGIN_BUSY] = "login_busy",
        [ZONE_RECORD_FAILED] = "record_failed",
        [ZONE_RATE_LIMITED] = "rate_limited",
    };
    return names[counter];
}

/* --- auth/params ---------------------------------------------------------------- */

static struct zone_outcome receive_params(struct asked *asked, struct slice payload)
{
    struct zone *zone = asked->zone;
    struct params_request m;
    enum err err = params_request_decode(payload, asked->arena, &m);
    if (err != ERR_OK)
        return zone_refuse_undecodable(asked, err);
    if (!reply_id_ok(m.client_id, zone->config.allow_token_reply_ids))
        return zone_silence(zone, ZONE_NO_ADDRESS);
    if (!rate_take(&zone->params_rate, asked->now.mono_us))
        return zone_silence(zone, ZONE_RATE_LIMITED);
    asked->id = m.client_id;
    struct params_reply reply = {.params = zone_params(zone)};
    if (zone->list_len && rate_take(&zone->params_lists, asked->now.mono_us))
        reply.revocations = slice_of(zone->list, zone->list_len);
    zone_count_up(zone, ZONE_PARAMS_ANSWERED);
    return zone_answer_with(asked, params_reply_encode(&reply, asked->arena), NULL);
}

/* --- auth/zone ------------------------------------------------------------------ */

/* An enrolment whose proof holds and that is fresh. */
static struct zone_outcome enrol(struct asked *asked, const struct enrolment *e)
{
    struct zone *zone = asked->zone;
    if (edge_id_reserved(&e->edge_id) || broker_user_reserved(&e->edge_id)) {
        zone_count_up(zone, ZONE_RESERVED);
        return zone_refuse(asked, CODE_BAD_REQUEST, "this id is reserved; choose another edge id");
    }
    struct wanted wanted = {
        .credential = {.kind = CREDENTIAL_EDGE, .subject = e->edge_id, .pk = e->pk},
        .life_us = zone->config.edge_credential_us,
        .request_us = e->ts_us,
    };
    struct credential *granted;
    struct zone_reply reply = {
        .edge_id = e->edge_id, .params = zone_params(zone), .nonce = e->nonce};
    enum err err = zone_grant(asked, &wanted, &granted, &reply.credential);
    if (err == ERR_OK)
        err = zone_broker_login(asked, granted, &reply.broker);
    if (err != ERR_OK)
        return zone_refuse_grant(asked, err);
    reply.proof = enrolment_reply_mac(zone->keys.secret, &asked->request, reply.params,
                                      reply.credential, &reply.nonce);
    zone_count_up(zone, ZONE_EDGES_ENROLLED);
    return zone_answer_held(asked, zone_reply_encode(&reply, asked->arena), granted);
}

static struct zone_outcome receive_zone(struct asked *asked, struct slice payload)
{
    struct zone *zone = asked->zone;
    struct zone_request m;
    enum err err = zone_request_decode(payload, asked->arena, &m);
    if (err != ERR_OK) {
        zone_find_address(asked, payload);
        return zone_refuse_undecodable(asked, err);
    }
    asked->id = arena_copy(asked->arena, id_slice(&m.enrolment.edge_id));
    if (!m.proof.len)
        return zone_refuse_unverified(
            asked, ZONE_BAD_PROOF, CODE_UNAUTHORIZED,
            "pk, ts, nonce and proof are missing: prove that you may enrol");
    err = enrolment_check(&m.enrolment, zone->keys.secret, m.proof, &asked->request);
    if (err != ERR_OK)
        return zone_refuse_unverified(asked, ZONE_BAD_PROOF, wire_code_of(err),
                                      err == ERR_UNAUTHORIZED
                                          ? "the proof is not made with this zone's secret"
                                          : "the signature is not made with the key that is named");
    err = nonces_accept(&zone->enrol_nonces, &m.enrolment.pk, &m.enrolment.nonce, m.enrolment.ts_us,
                        asked->now.utc_us);
    if (err != ERR_OK)
        return zone_refuse_stale(asked, err);
    return enrol(asked, &m.enrolment);
}

struct zone_outcome zone_receive(struct zone *zone, struct zone_now now, enum topic_kind kind,
                                 struct slice payload, struct arena *arena)
{
    struct asked asked = {.zone = zone, .now = now, .arena = arena};
    if (payload.len > PACKET_BYTES_MAX)
        return zone_silence(zone, ZONE_TOO_LARGE);
    switch (kind) {
    case TOPIC_AUTH_PARAMS:
        asked.reply = TOPIC_AUTH_PARAMS_REPLY;
        return receive_params(&asked, payload);
    case TOPIC_AUTH_ZONE: asked.reply = TOPIC_AUTH_ZONE_REPLY; return receive_zone(&asked, payload);
    default:
        CHECK(kind == TOPIC_AUTH_USER);
        asked.reply = TOPIC_AUTH_USER_REPLY;
        return zone_receive_user(&asked, payload);
    }
}
