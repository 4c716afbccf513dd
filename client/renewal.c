/*
 *   I1  A credential is replaced only by one for the same streamer and key that ends later.
 */
#include "client/renewal.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/date.h"
#include "base/mem.h"

#include <stdlib.h>

uint64_t renewal_due_us(const struct credential *credential)
{
    uint64_t life_us = credential->not_after_us - credential->not_before_us;
    return credential->not_before_us + life_us / 3 * 2;
}

void renewal_init(struct renewal *r, struct follow *follow, struct streamer *streamer)
{
    *r = (struct renewal){.session = follow->session,
                          .identity = follow->identity,
                          .follow = follow,
                          .streamer = streamer};
    r->auth = (struct auth_request){.zone = follow->zone,
                                    .key = &streamer->key,
                                    .client_id = follow->session->id,
                                    .broker = follow->session->broker};
}

static bool due(const struct renewal *r)
{
    return clock_utc_us() >= renewal_due_us(&r->streamer->credential);
}

static bool adopt(struct renewal *r, struct slice bytes)
{
    struct credential c;
    struct streamer *s = r->streamer;
    if (bytes.len > sizeof(s->bytes) || credential_open(bytes, r->follow->zone, &c) != ERR_OK ||
        !id_eq(&c.subject, &s->credential.subject) || !pubkey_eq(&c.pk, &s->key.pk) ||
        c.not_after_us <= s->credential.not_after_us)
        return false; /* I1 */
    memcpy(s->bytes, bytes.ptr, bytes.len);
    s->len = bytes.len;
    CHECK(credential_open(slice_of(s->bytes, s->len), r->follow->zone, &s->credential) == ERR_OK);
    r->refusal[0] = '\0';
    return true;
}

/* Another command of this user may have renewed it, or logged in. */
static bool adopt_from_home(struct renewal *r)
{
    uint8_t bytes[OBJECT_BYTES_MAX];
    size_t len;
    return identity_read(r->identity, "credential", bytes, &len) == ERR_OK &&
           adopt(r, slice_of(bytes, len));
}

static struct slice make(void *context, struct arena *arena)
{
    struct renewal *r = context;
    r->auth.request =
        (struct user_request){.renew = slice_of(r->streamer->bytes, r->streamer->len)};
    return auth_seal(&r->auth, arena);
}

static enum answer take(void *context, const struct topic *topic, struct slice payload)
{
    struct renewal *r = context;
    CLEANUP(arena_release) struct arena arena = {0};
    struct user_reply reply;
    struct wire_error error;
    struct credential c;
    switch (auth_take(&r->auth, topic, payload, &arena, &reply, &error)) {
    case AUTH_STRAY: return ANSWER_STRAY;
    case AUTH_REFUSED: say_refusal(&error, r->refusal); return ANSWER_REFUSED;
    case AUTH_GRANTED: break;
    }
    enum err err = auth_keep(&r->auth, r->identity, &reply, &c);
    if (err == ERR_NOT_READY)
        follow_later(r->follow); /* and then it is asked again */
    bool unkept = err == ERR_IO || err == ERR_BUSY || err == ERR_CLOSED || err == ERR_CONFLICT;
    if (err != ERR_OK && !unkept)
        return ANSWER_STRAY;
    adopt(r, reply.credential); /* that it cannot be written does not make it less good */
    return ANSWER_TAKEN;
}

/* The less is left, the sooner; auth_edge may also have given the same one again. */
static uint64_t next_try_us(const struct renewal *r, uint64_t now_us)
{
    uint64_t utc_us = clock_utc_us(), end_us = r->streamer->credential.not_after_us;
    uint64_t wait_us = end_us > utc_us ? (end_us - utc_us) / 4 : RENEWAL_AGAIN_US;
    if (wait_us < RENEWAL_WAIT_US)
        wait_us = RENEWAL_WAIT_US;
    return now_us + (wait_us < RENEWAL_AGAIN_US ? wait_us : RENEWAL_AGAIN_US);
}

static void start_listening(struct renewal *r)
{
    if (!r->listening)
        session_listen(r->session, TOPIC_AUTH_USER_REPLY, id_slice(&r->auth.client_id));
    r->listening = true;
}

void renewal_start(struct renewal *r)
{
    if (!due(r) || adopt_from_home(r))
        return;
    start_listening(r);
    struct ask ask = {
        .kind = TOPIC_AUTH_USER, .renew = make, .repeat = true, .take = take, .context = r};
    session_ask(r->session, &ask, RENEWAL_WAIT_US);
    r->again_us = next_try_us(r, clock_mono_us());
}

bool renewal_step(struct renewal *r, uint64_t now_us)
{
    CLEANUP(arena_release) struct arena arena = {0};
    if (now_us < r->again_us || !due(r))
        return false;
    r->again_us = next_try_us(r, now_us);
    if (adopt_from_home(r))
        return true;
    start_listening(r);
    session_send(r->session, TOPIC_AUTH_USER, (struct slice){0}, make(r, &arena));
    return false;
}

bool renewal_take(struct renewal *r, const struct topic *topic, struct slice payload)
{
    uint64_t before_us = r->streamer->credential.not_after_us;
    return topic->kind == TOPIC_AUTH_USER_REPLY && take(r, topic, payload) == ANSWER_TAKEN &&
           r->streamer->credential.not_after_us > before_us;
}

void renewal_note(struct renewal *r)
{
    char until[ISO8601_BYTES];
    clock_iso8601(r->streamer->credential.not_after_us, until);
    say("note: the credential ends at %s and is not renewed: %s; edgectl login again, and this "
        "goes on with the new one",
        until, r->refusal);
    r->noted = true;
}
