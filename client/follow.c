/*
 *   I1  The zone is replaced only by what follows from it (zone_accept), of a later epoch, and
 *       which the pin, as it is by then, follows from or leads to (zone_pin).
 *   I2  A list counts only if the zone's current key signed it (revocation_list_take).
 *   I3  What cannot be kept still counts for this command.
 */
#include "client/follow.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/date.h"
#include "client/zone.h"
#include "wire/auth.h"

#include <unistd.h>

/* Another command may have followed the zone's key since this one read the pin. */
static bool catch_up(struct follow *f)
{
    struct zone_params pinned;
    if (zone_pinned(f->identity, &pinned) != ERR_OK || pinned.key_epoch <= f->zone->key_epoch ||
        zone_accept(f->zone, &pinned) != ERR_OK)
        return false; /* I1 */
    *f->zone = pinned;
    return true;
}

void follow_load(struct follow *f)
{
    struct revocation_list kept = {0};
    enum err err = revocation_list_load(f->identity, f->zone, &kept);
    if (err == ERR_NOT_READY && catch_up(f))
        err = revocation_list_load(f->identity, f->zone, &kept);
    revocation_list_adopt(&f->list, &kept, clock_utc_us());
    if (err != ERR_OK && err != ERR_UNKNOWN)
        say("note: the list of revocations kept in %s/revocations is unreadable (%s); it is left "
            "out until a newer one comes",
            f->identity->home, err_name(err));
}

static void ask_params(struct follow *f)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct params_request request = {.client_id = id_slice(&f->session->id)};
    session_send(f->session, TOPIC_AUTH_PARAMS, (struct slice){0},
                 params_request_encode(&request, &arena));
}

void follow_later(struct follow *f)
{
    uint64_t now_us = clock_mono_us();
    if (f->asked_us && now_us - f->asked_us < FOLLOW_AGAIN_US)
        return;
    f->asked_us = now_us;
    ask_params(f);
}

static enum heard take_list(struct follow *f, struct slice bytes)
{
    uint64_t utc_us = clock_utc_us();
    enum err err = bytes.len ? revocation_list_take(&f->list, f->zone, bytes, utc_us) : ERR_UNKNOWN;
    if (err == ERR_NOT_READY)
        follow_later(f);
    if (err != ERR_OK)
        return HEARD;
    revocation_list_keep(&f->list, f->identity, f->zone, utc_us); /* I3 */
    return HEARD_NEWS;
}

static enum heard take_params(struct follow *f, struct slice bytes)
{
    struct zone_params offered, pinned;
    if (zone_open(bytes, &offered) != ERR_OK || offered.key_epoch <= f->zone->key_epoch ||
        zone_accept(f->zone, &offered) != ERR_OK) /* I1 */
        return HEARD;
    switch (zone_pin(f->identity, bytes, &pinned)) {
    case ERR_OK: break;
    case ERR_UNAUTHORIZED: return HEARD; /* I1 */
    default: pinned = offered; break;    /* I3 */
    }
    if (zone_accept(f->zone, &pinned) != ERR_OK)
        return HEARD; /* I1 */
    *f->zone = pinned;
    follow_load(f); /* what was of a later epoch before can be read now */
    return HEARD_NEWS;
}

enum heard follow_take(void *context, const struct topic *topic, struct slice payload)
{
    struct follow *f = context;
    CLEANUP(arena_release) struct arena arena = {0};
    struct revocations_message message;
    struct params_reply reply;
    if (topic->kind == TOPIC_AUTH_REVOCATIONS)
        return revocations_message_decode(payload, &arena, &message) == ERR_OK
                   ? take_list(f, message.revocations)
                   : HEARD;
    if (topic->kind != TOPIC_AUTH_PARAMS_REPLY)
        return HEARD_NOTHING;
    if (params_reply_decode(payload, &arena, &reply) != ERR_OK)
        return HEARD;
    enum heard zone = take_params(f, reply.params);
    enum heard list = take_list(f, reply.revocations);
    return zone == HEARD_NEWS ? zone : list;
}

void follow_open(struct follow *f, struct session *session, const struct identity *identity,
                 struct zone_params *zone)
{
    *f = (struct follow){.session = session, .identity = identity, .zone = zone};
    session->listener = (struct session_listener){.take = follow_take, .context = f};
    follow_load(f);
    session_listen(session, TOPIC_AUTH_REVOCATIONS, (struct slice){0});
    session_listen(session, TOPIC_AUTH_PARAMS_REPLY, id_slice(&session->id));
    if (!f->list.bytes || clock_utc_us() > f->list.list.next_us)
        ask_params(f); /* not every broker keeps the last one for us */
}

void follow_close(struct follow *f)
{
    if (f->session)
        f->session->listener = (struct session_listener){0};
    revocation_list_release(&f->list);
    *f = (struct follow){0};
}

enum err follow_wait(struct follow *f, bool fresh, uint64_t wait_us)
{
    uint64_t now_us = clock_mono_us(), end_us = now_us + wait_us;
    bool late = false; /* what the last look brought still counts */
    while (fresh ? !revocation_list_fresh(&f->list, clock_utc_us()) : !f->list.bytes) {
        if (late)
            return ERR_TIMEOUT;
        CLEANUP(msg_unref_ptr) struct msg *msg = NULL;
        struct topic topic;
        uint64_t until_us =
            now_us + SESSION_REPEAT_US < end_us ? now_us + SESSION_REPEAT_US : end_us;
        switch (session_wait(f->session, until_us, &msg, &topic)) {
        case SESSION_STOP: return ERR_CLOSED;
        case SESSION_TIMEOUT: ask_params(f); break;
        case SESSION_MESSAGE: f->session->strays++; break;
        case SESSION_UP:
        case SESSION_TRUST:
        case SESSION_DOWN:
        case SESSION_DRAINED: break;
        }
        now_us = clock_mono_us();
        late = now_us >= end_us;
    }
    return ERR_OK;
}

void follow_note(const struct revocation_list *list, bool quiet, const char *else_do)
{
    char text[REVOCATIONS_TEXT_BYTES];
    if (revocation_list_worries(list, clock_utc_us(), text) && (!quiet || isatty(STDERR_FILENO)))
        say("note: %s; try again in a while, or ask your operator if none comes%s", text, else_do);
}

void follow_json(const struct revocation_list *list, struct json_text *j)
{
    uint64_t now_us = clock_utc_us();
    json_text_uint(j, "revocations", list->bytes ? list->list.number : 0);
    if (revocation_list_overdue(list, now_us))
        json_text_uint(j, "revocations_age_s", (now_us - list->list.issued_us) / 1000000);
    if (revocation_list_ahead(list, now_us))
        json_text_uint(j, "revocations_ahead_s", (list->list.issued_us - now_us) / 1000000);
}
