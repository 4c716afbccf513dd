/*
 *   pin file --whole--> done            (renew: ask, accept what follows from it)
 *   --zone-key alone -> ask, accept only what that key leads to, pin
 *   nothing ----------> ask where the broker is trusted, collect; two answers abort; pin
 *
 *   I1  The pin only ever moves on: between processes of one home that is so because whoever
 *       writes it holds the home's lock while it compares.
 *   I2  No command trusts what the pin does not lead to, or come from, as it is by then.
 */
#include "client/zone.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "client/say.h"
#include "wire/auth.h"

#include <stdlib.h>
#include <unistd.h>

static enum exit_status say_damaged(const struct identity *identity, enum err err)
{
    say("the pinned zone in %s/zone is unreadable (%s); remove that file to pin it anew",
        identity->home, err_name(err));
    return STATUS_FAILED;
}

enum err zone_pinned(const struct identity *identity, struct zone_params *ret)
{
    uint8_t bytes[OBJECT_BYTES_MAX];
    size_t len;
    enum err err = identity_read(identity, "zone", bytes, &len);
    return err == ERR_OK ? zone_open(slice_of(bytes, len), ret) : err;
}

enum exit_status zone_pin_read(const struct identity *identity, const struct option *options,
                               struct zone_pin *ret)
{
    *ret = (struct zone_pin){0};
    enum err err = zone_pinned(identity, &ret->params);
    if (err != ERR_OK && err != ERR_UNKNOWN)
        return say_damaged(identity, err);
    ret->any = ret->whole = err == ERR_OK;
    const char *key = config_text(options, "zone-key");
    if (!key)
        return STATUS_OK;
    struct pubkey pk;
    size_t len;
    if (b64_decode(slice_str(key), pk.b, KEY_BYTES, &len) != ERR_OK || len != KEY_BYTES) {
        say("--zone-key is no key: give the base64 of its 32 bytes");
        return STATUS_USAGE;
    }
    struct zone_params key_alone = {.sign_pk = pk};
    if (!ret->whole)
        ret->params = key_alone;
    else if (zone_accept(&key_alone, &ret->params) != ERR_OK) {
        say("the zone pinned in %s/zone has another key than --zone-key, and does not follow from "
            "it; leave --zone-key out if the zone has a newer key now, or remove that file if it "
            "really is another zone",
            identity->home);
        return STATUS_FAILED;
    }
    ret->any = true;
    return STATUS_OK;
}

/* The lock is held (I1). */
static enum err move_pin(const struct identity *identity, struct slice bytes,
                         const struct zone_params *params, struct zone_params *ret)
{
    struct zone_params pinned;
    enum err err = zone_pinned(identity, &pinned);
    bool any = err != ERR_UNKNOWN;
    if (any && err != ERR_OK)
        return err; /* somebody has to look at it: zone_pin_read says so */
    if (any && zone_accept(&pinned, params) != ERR_OK) {
        err = zone_accept(params, &pinned); /* I2 */
        if (err == ERR_OK)
            *ret = pinned;
        return err;
    }
    err = identity_write(identity, "zone", bytes);
    if (err == ERR_OK)
        *ret = *params;
    return err;
}

enum err zone_pin(const struct identity *identity, struct slice bytes, struct zone_params *ret)
{
    struct zone_params params;
    int lock;
    enum err err = zone_open(bytes, &params);
    if (err == ERR_OK)
        err = identity_lock(identity, &lock);
    if (err != ERR_OK)
        return err;
    err = move_pin(identity, bytes, &params, ret);
    close(lock);
    return err;
}

static bool starts(const char *s, const char *prefix)
{
    return slice_starts(slice_str(s), prefix);
}

bool zone_broker_trusted(const char *broker)
{
    static const char *const tls[] = {"mqtts://", "ssl://", "wss://"};
    static const char *const plain[] = {"mqtt://", "tcp://", "ws://"};
    for (size_t i = 0; i < sizeof(tls) / sizeof(*tls); i++)
        if (starts(broker, tls[i]))
            return true;
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        if (starts(broker, plain[i]))
            broker += strlen(plain[i]);
    size_t host = strcspn(broker, ":/");
    if (broker[0] == '[')
        return starts(broker, "[::1]");
    if (host == strlen("localhost") && starts(broker, "localhost"))
        return true;
    return host > 4 && strspn(broker, "0123456789.") >= host && starts(broker, "127.");
}

/* The answers that came so far. */
struct answers {
    const struct zone_pin *pin;
    bool any, contradicted;
    struct zone_params params;
    uint8_t bytes[OBJECT_BYTES_MAX];
    size_t len;
    unsigned refused;
};

static bool same_zone(const struct zone_params *a, const struct zone_params *b)
{
    return id_eq(&a->zone_id, &b->zone_id) && pubkey_eq(&a->sign_pk, &b->sign_pk) &&
           pubkey_eq(&a->box_pk, &b->box_pk) && a->key_epoch == b->key_epoch;
}

static enum answer take_params(void *context, const struct topic *topic, struct slice payload)
{
    struct answers *got = context;
    CLEANUP(arena_release) struct arena arena = {0};
    struct params_reply reply;
    struct zone_params params;
    if (topic->kind != TOPIC_AUTH_PARAMS_REPLY ||
        params_reply_decode(payload, &arena, &reply) != ERR_OK ||
        reply.params.len > OBJECT_BYTES_MAX || zone_open(reply.params, &params) != ERR_OK)
        return ANSWER_STRAY;
    if (got->pin->any && zone_accept(&got->pin->params, &params) != ERR_OK) {
        got->refused++;
        return ANSWER_STRAY;
    }
    if (got->any)
        got->contradicted = !same_zone(&got->params, &params);
    got->any = true;
    got->params = params;
    got->len = reply.params.len;
    memcpy(got->bytes, reply.params.ptr, reply.params.len);
    return ANSWER_TAKEN;
}

/* Ask, and without a pin listen a moment longer: a second voice must say the same. */
static enum err ask(struct session *s, struct answers *got)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct slice self = id_slice(&s->id);
    enum err err = session_subscribe(s, TOPIC_AUTH_PARAMS_REPLY, self, (struct slice){0});
    if (err != ERR_OK)
        return err;
    struct params_request request = {.client_id = self};
    struct ask ask = {.kind = TOPIC_AUTH_PARAMS,
                      .payload = params_request_encode(&request, &arena),
                      .repeat = true,
                      .take = take_params,
                      .context = got};
    err = session_ask(s, &ask, s->timeout_us);
    uint64_t until_us = clock_mono_us() + ZONE_COLLECT_US;
    while (err == ERR_OK && !got->pin->any && !got->contradicted && clock_mono_us() < until_us) {
        CLEANUP(msg_unref_ptr) struct msg *msg = NULL;
        struct topic topic;
        enum session_news news = session_wait(s, until_us, &msg, &topic);
        if (news == SESSION_STOP)
            err = ERR_CLOSED;
        if (news == SESSION_MESSAGE)
            take_params(got, &topic, msg->payload);
    }
    session_unsubscribe(s, TOPIC_AUTH_PARAMS_REPLY, self, (struct slice){0});
    return err;
}

static enum exit_status pin_answer(const struct identity *identity, const struct answers *got,
                                   struct zone_params *ret)
{
    enum err err = zone_pin(identity, slice_of(got->bytes, got->len), ret);
    if (identity_say_locked(identity, err))
        return STATUS_FAILED;
    switch (err) {
    case ERR_OK: return STATUS_OK;
    case ERR_UNAUTHORIZED:
        say("the zone that answers is not the one that another command has pinned in %s meanwhile; "
            "ask your operator for the key and give --zone-key",
            identity->home);
        return STATUS_UNVERIFIED;
    case ERR_IO:
        say("the zone cannot be pinned in %s; check that you may write there", identity->home);
        return STATUS_FAILED;
    default: return say_damaged(identity, err); /* the pin: the answer was opened when it came */
    }
}

enum exit_status zone_obtain(struct session *s, const struct identity *identity,
                             const struct option *options, bool renew, struct zone_params *ret)
{
    struct zone_pin pin;
    enum exit_status status = zone_pin_read(identity, options, &pin);
    if (status != STATUS_OK)
        return status;
    if (pin.whole && !renew) {
        *ret = pin.params;
        return STATUS_OK;
    }
    if (!pin.any && !zone_broker_trusted(config_text(options, "mqtt-broker"))) {
        say("no zone is pinned, and over this broker anyone could answer: give --zone-key, or use "
            "TLS (mqtts://)");
        return STATUS_USAGE;
    }
    struct answers got = {.pin = &pin};
    enum err err = ask(s, &got);
    if (err == ERR_TIMEOUT && got.refused) {
        say("%u answers about the zone do not follow from the key that is pinned; none is trusted",
            got.refused);
        return STATUS_UNVERIFIED;
    }
    if (err != ERR_OK)
        return session_status(s, err, "auth_edge (the zone's parameters)");
    if (got.contradicted) {
        say("two different zones answer; ask your operator for the key and give --zone-key");
        return STATUS_UNVERIFIED;
    }
    return pin_answer(identity, &got, ret);
}
