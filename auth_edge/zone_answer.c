/* How the authority answers, and how it issues what it grants. */
#include "auth_edge/zone_work.h"
#include "base/check.h"
#include "wire/address.h"

void zone_count_up(struct zone *zone, enum zone_counter counter)
{
    zone->counters[counter]++;
}

struct zone_outcome zone_silence(struct zone *zone, enum zone_counter counter)
{
    zone_count_up(zone, counter);
    return (struct zone_outcome){.kind = ZONE_SILENCE};
}

struct zone_outcome zone_answer_with(const struct asked *asked, struct slice payload,
                                     const struct credential *granted)
{
    return (struct zone_outcome){
        .kind = ZONE_ANSWER,
        .answer = {.topic = asked->reply, .id = asked->id, .payload = payload, .granted = granted},
    };
}

struct zone_outcome zone_refuse(const struct asked *asked, enum wire_code code, const char *message)
{
    struct wire_error error = {
        .code = code, .message = slice_str(message), .request = asked->request};
    if (!asked->id.len)
        return zone_silence(asked->zone, ZONE_NO_ADDRESS);
    if (asked->reply == TOPIC_AUTH_ZONE_REPLY)
        error.edge_id = asked->id;
    else
        error.client_id = asked->id;
    return zone_answer_with(asked, wire_error_encode(&error, asked->arena), NULL);
}

struct zone_outcome zone_refuse_unverified(const struct asked *asked, enum zone_counter counter,
                                           enum wire_code code, const char *message)
{
    zone_count_up(asked->zone, counter);
    if (!asked->id.len)
        return zone_silence(asked->zone, ZONE_NO_ADDRESS);
    if (!rate_take(&asked->zone->unverified, asked->now.mono_us))
        return zone_silence(asked->zone, ZONE_RATE_LIMITED);
    return zone_refuse(asked, code, message);
}

void zone_find_address(struct asked *asked, struct slice payload)
{
    bool edge = asked->reply == TOPIC_AUTH_ZONE_REPLY;
    struct reply_address found = address_read(payload, asked->arena);
    struct slice id = edge ? found.edge_id : found.client_id;
    if (reply_id_ok(id, !edge && asked->zone->config.allow_token_reply_ids))
        asked->id = id;
}

struct zone_outcome zone_refuse_undecodable(const struct asked *asked, enum err err)
{
    if (err == ERR_LIMIT)
        return zone_refuse_unverified(asked, ZONE_TOO_LARGE, CODE_TOO_LARGE,
                                      "a field is above its limit");
    return zone_refuse_unverified(asked, ZONE_MALFORMED, CODE_BAD_REQUEST,
                                  "not a request as docs/PROTOCOL.md describes it");
}

struct zone_outcome zone_refuse_stale(const struct asked *asked, enum err err)
{
    if (err == ERR_TIMEOUT)
        return zone_refuse_unverified(asked, ZONE_OUT_OF_TIME, CODE_UNAUTHORIZED,
                                      "made more than 60 s from this clock; check yours");
    if (err == ERR_CONFLICT)
        return zone_refuse_unverified(asked, ZONE_REPLAYED, CODE_UNAUTHORIZED,
                                      "this request was answered before; make a new one");
    return zone_refuse_unverified(asked, ZONE_NONCES_FULL, CODE_BUSY,
                                  "cannot tell whether this request is new; make another one");
}

enum err zone_grant(const struct asked *asked, const struct wanted *wanted,
                    struct credential **ret_granted, struct slice *ret_signed)
{
    struct zone *zone = asked->zone;
    uint64_t now_us = asked->now.utc_us;
    struct issue issue = {
        .credential = wanted->credential,
        .now_us = now_us,
        .request_us = wanted->request_us,
        .renews = wanted->renews,
        .reuse_from_us = now_us + wanted->life_us / 2,
    };
    issue.credential.zone_id = zone->is.zone_id;
    issue.credential.key_epoch = zone->is.key_epoch;
    issue.credential.not_before_us =
        now_us > CREDENTIAL_BACKDATE_US ? now_us - CREDENTIAL_BACKDATE_US : 0;
    issue.credential.not_after_us = now_us + wanted->life_us;
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

enum err zone_broker_login(const struct asked *asked, const struct credential *granted,
                           struct slice *ret_sealed)
{
    const struct zone_config *config = &asked->zone->config;
    struct broker_client client;
    char password[BROKER_PASSWORD_BYTES];
    *ret_sealed = (struct slice){0};
    if (!config->broker_key)
        return ERR_OK;
    enum err err =
        config->clients.find(config->clients.ctx, granted->kind, &granted->subject, &client);
    if (err != ERR_OK)
        return err;
    broker_password(config->broker_key, client.kind, &client.subject, client.generation, password);
    struct broker_login login = {.user = id_slice(&client.subject),
                                 .password = slice_str(password)};
    struct slice plain = broker_login_encode(&login, asked->arena);
    size_t len = plain.len + SEAL_OVERHEAD_BYTES;
    uint8_t *sealed = arena_alloc(asked->arena, len);
    err = seal_to_signer(&granted->pk, plain, sealed);
    crypto_wipe((void *)(uintptr_t)plain.ptr, plain.len);
    crypto_wipe(password, sizeof(password));
    if (err == ERR_OK)
        *ret_sealed = slice_of(sealed, len);
    return err;
}

struct zone_outcome zone_answer_held(const struct asked *asked, struct slice payload,
                                     const struct credential *granted)
{
    struct zone_outcome outcome = zone_answer_with(asked, payload, granted);
    if (asked->zone->config.broker_key)
        outcome.answer.otherwise =
            zone_refuse(asked, CODE_BUSY, "no account at the broker can be made now; try again")
                .answer.payload;
    return outcome;
}

struct zone_outcome zone_refuse_grant(const struct asked *asked, enum err err)
{
    switch (err) {
    case ERR_CONFLICT:
        zone_count_up(asked->zone, ZONE_SECOND_KEY);
        return zone_refuse(asked, CODE_CONFLICT,
                           "this id is bound to another key, or somebody else's");
    case ERR_UNAUTHORIZED:
        zone_count_up(asked->zone, ZONE_REVOKED);
        return zone_refuse(asked, CODE_UNAUTHORIZED, "revoked by the operator of the zone");
    case ERR_QUOTA:
        zone_count_up(asked->zone, ZONE_QUOTA);
        return zone_refuse(asked, CODE_QUOTA,
                           "too many credentials of this id are in date; use one of them, or wait");
    case ERR_LIMIT:
        zone_count_up(asked->zone, ZONE_QUOTA);
        return zone_refuse(asked, CODE_QUOTA,
                           "the broker has no room for another account; ask the zone's operator");
    case ERR_STORAGE_FULL:
        zone_count_up(asked->zone, ZONE_RECORD_FAILED);
        return zone_refuse(asked, CODE_STORAGE_FULL, "the zone authority's disk is full");
    default:
        zone_count_up(asked->zone, ZONE_RECORD_FAILED);
        return zone_refuse(asked, CODE_INTERNAL,
                           "the zone authority's records failed; see its log");
    }
}
