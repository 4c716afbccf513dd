/*
 *   I1  The zone is replaced only by what follows from it (zone_accept), of a later epoch;
 *       the pin, only by what follows from the pin.
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
    enum err err = bytes.len ? revocation_list_take(&f->list, f->zone, bytes) : ERR_UNKNOWN;
    if (err == ERR_NOT_READY)
        follow_later(f);
    if (err != ERR_OK)
        return HEARD;
    revocation_list_keep(&f->list, f->identity, f->zone); /* I3 */
    return HEARD_NEWS;
}

static enum heard take_params(struct follow *f, struct slice bytes)
{
    struct zone_params offered;
    if (zone_open(bytes, &offered) != ERR_OK || offered.key_epoch <= f->zone->key_epoch ||
        zone_accept(f->zone, &offered) != ERR_OK) /* I1 */
        return HEARD;
    *f->zone = offered;
    zone_pin(f->identity, bytes);
    return HEARD_NEWS;
}

static enum heard take(void *context, const struct topic *topic, struct slice payload)
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
    session->listener = (struct session_listener){.take = take, .context = f};
    enum err err = revocation_list_load(identity, zone, &f->list);
    if (err != ERR_OK && err != ERR_UNKNOWN)
        say("note: the list of revocations kept in %s/revocations is unreadable (%s); it is left "
            "out until a newer one comes",
            identity->home, err_name(err));
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

void follow_note(const struct follow *f)
{
    uint64_t now_us = clock_utc_us();
    char issued[ISO8601_BYTES];
    if (!isatty(STDERR_FILENO))
        return;
    if (!f->list.bytes)
        say("note: no list of revocations has been seen; who was revoked is not known here");
    if (!revocation_list_overdue(&f->list, now_us))
        return;
    clock_iso8601(f->list.list.issued_us, issued);
    say("note: the list of revocations is %llu s old (%s); who was revoked since is not known here",
        (unsigned long long)((now_us - f->list.list.issued_us) / 1000000), issued);
}

void follow_json(const struct revocation_list *list, struct json_text *j)
{
    uint64_t now_us = clock_utc_us();
    json_text_uint(j, "revocations", list->bytes ? list->list.number : 0);
    if (revocation_list_overdue(list, now_us))
        json_text_uint(j, "revocations_age_s", (now_us - list->list.issued_us) / 1000000);
}
