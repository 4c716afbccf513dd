/*
 *   I1  What proves who we are leaves only sealed to the zone's key.
 *   I2  Nothing is kept that this zone did not sign for our key, and no account that did not
 *       come with such a thing.
 *   I3  A renewal never takes the place of another login of this home: who writes what was granted
 *       holds the home's lock while it looks.
 *   I4  No credential is kept beside a key that it is not for.
 */
#include "client/auth.h"

#include "base/clock.h"
#include "client/account.h"
#include "client/zone.h"

#include <unistd.h>

struct slice auth_seal(struct auth_request *a, struct arena *arena)
{
    struct request_signer signer = {.target = id_slice(&a->zone->zone_id),
                                    .ts_us = clock_utc_us(),
                                    .key = a->key,
                                    .ret_request = &a->hash};
    crypto_random(signer.nonce.b, NONCE_BYTES);
    a->request.pk = a->key->pk;
    a->request.client_id = id_slice(&a->client_id);
    struct slice inner = user_request_encode(&a->request, &signer, arena);
    size_t len = inner.len + SEAL_OVERHEAD_BYTES;
    uint8_t *sealed = arena_alloc(arena, len);
    seal_to(&a->zone->box_pk, inner, sealed); /* I1 */
    crypto_wipe((void *)(uintptr_t)inner.ptr, inner.len);
    return user_sealed_encode(slice_of(sealed, len), arena);
}

enum auth_answer auth_take(const struct auth_request *a, const struct topic *topic,
                           struct slice payload, struct arena *arena, struct user_reply *ret_reply,
                           struct wire_error *ret_error)
{
    struct wire_error error;
    struct user_reply reply;
    if (topic->kind != TOPIC_AUTH_USER_REPLY || !slice_eq(topic->a, id_slice(&a->client_id)))
        return AUTH_STRAY;
    if (reply_is_error(payload, arena, &error)) {
        if (!hash_eq(&error.request, &a->hash))
            return AUTH_STRAY;
        *ret_error = error;
        return AUTH_REFUSED;
    }
    if (user_reply_decode(payload, arena, &reply) != ERR_OK || !hash_eq(&reply.request, &a->hash))
        return AUTH_STRAY;
    *ret_reply = reply;
    return AUTH_GRANTED;
}

/* I3. What is no credential is replaced, and so is what ends earlier. ERR_IO: it cannot be told. */
static enum err superseded(const struct auth_request *a, const struct identity *identity,
                           const struct credential *renewed, bool *ret_stays)
{
    uint8_t bytes[OBJECT_BYTES_MAX];
    struct credential kept;
    size_t len;
    enum err err = identity_read(identity, "credential", bytes, &len);
    if (err == ERR_IO)
        return err;
    *ret_stays = false;
    if (err != ERR_OK)
        return ERR_OK;
    err = credential_open(slice_of(bytes, len), a->zone, &kept);
    if (err == ERR_OK)
        *ret_stays = !id_eq(&kept.subject, &renewed->subject) ||
                     !pubkey_eq(&kept.pk, &renewed->pk) ||
                     kept.not_after_us > renewed->not_after_us;
    else /* a later epoch's, another zone's */
        *ret_stays = err == ERR_NOT_READY || err == ERR_UNAUTHORIZED;
    return ERR_OK;
}

/* I4 */
static enum err check_key(const struct auth_request *a, const struct identity *identity)
{
    struct signkey kept;
    enum err err = identity_key(identity, false, &kept);
    if (err != ERR_OK)
        return err == ERR_IO ? ERR_IO : ERR_CONFLICT;
    bool same = pubkey_eq(&kept.pk, &a->key->pk);
    crypto_wipe(&kept, sizeof(kept));
    return same ? ERR_OK : ERR_CONFLICT;
}

/* The lock is held (I3). */
static enum err write_granted(const struct auth_request *a, const struct identity *identity,
                              const struct user_reply *reply, const struct credential *c)
{
    bool stays = false, renewal = a->request.renew.len > 0;
    enum err err = renewal ? superseded(a, identity, c, &stays) : ERR_OK;
    if (err != ERR_OK || stays)
        return err;
    err = check_key(a, identity);
    if (err == ERR_OK && reply->broker.len && a->broker && zone_broker_trusted(a->broker))
        err = account_keep(identity, a->broker, a->key, reply->broker);
    if (err == ERR_OK) /* I2 */
        err = identity_write(identity, "credential", reply->credential);
    return err;
}

enum err auth_keep(const struct auth_request *a, const struct identity *identity,
                   const struct user_reply *reply, struct credential *ret)
{
    struct credential c;
    int lock;
    enum err err = credential_open(reply->credential, a->zone, &c);
    if (err == ERR_OK && (c.kind != CREDENTIAL_STREAMER || !pubkey_eq(&c.pk, &a->key->pk)))
        err = ERR_SIGNATURE;
    if (err == ERR_OK)
        err = identity_lock(identity, &lock);
    if (err != ERR_OK)
        return err;
    err = write_granted(a, identity, reply, &c);
    close(lock);
    if (err == ERR_OK)
        *ret = c;
    return err;
}
