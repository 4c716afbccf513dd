/*
 * Who is revoked (docs/PROTOCOL.md §2.4): the zone's list and what follows from it. Edges pass
 * it on to each other, for auth_edge may be away; and how we stand with that one is said here.
 *
 * Invariants
 *   I1  the list never goes back: within one key of the zone by number, then by time of issue. What
 *       a restart finds in the database counts; a list that storage refused is handed over again.
 *   I2  from the step on in which a list arrives nothing more is taken from whom it names. Lives
 *       and uploads end in that step, or as soon as there is room for what has to be said.
 *   I3  a list is published at most once in TELL_EVERY_US.
 */
#include "base/check.h"
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum {
    AUTH_AWAY_US = 30 * 1000 * 1000, /* without a new list or a reply */
    TELL_EVERY_US = 10 * 1000 * 1000,
    TELL_JITTER_US = 1000 * 1000, /* who hears another say it meanwhile, need not */
    TELL_LATER_US = 1000 * 1000,  /* the outbox was full */
    END_ROOM = 16,                /* effects that ending one stream may take, and some to spare */
};
#define KEEP_EVERY_US (3600ull * 1000 * 1000) /* while only the time of issue changes */
#define KEEP_AGAIN_US (10ull * 1000 * 1000)   /* storage refused */

/*
 * What is revoked as the list is issued is so now, even by a clock that is behind auth_edge's.
 */
bool core_revoked(const struct core *core, uint64_t serial)
{
    const struct revocations *list = &core->revoked.list;
    uint64_t at_us = list->issued_us > core->utc_us ? list->issued_us : core->utc_us;
    return list->n > 0 && revocations_revoked(list, serial, at_us);
}

/* ---- the list ---- */

/* Its own copy: what it borrows from must last. */
static void adopt(struct core *core, struct slice bytes)
{
    struct revoked_list *r = &core->revoked;
    struct slice body;
    struct signature sig;
    free(r->bytes);
    r->bytes = mem_alloc(bytes.len);
    r->len = bytes.len;
    memcpy(r->bytes, bytes.ptr, bytes.len);
    CHECK(signed_split(slice_of(r->bytes, r->len), &body, &sig) == ERR_OK &&
          revocations_decode(body, &r->list) == ERR_OK);
}

/* It was verified before it was kept, by a key that may be older by now, or one whose parameters
 * storage had no room for. */
static bool kept_holds(const struct core *core, struct slice bytes)
{
    struct slice body;
    struct signature sig;
    struct revocations list;
    return signed_split(bytes, &body, &sig) == ERR_OK &&
           revocations_decode(body, &list) == ERR_OK &&
           (!core->has_zone || id_eq(&list.zone_id, &core->zone.zone_id));
}

void revocation_start(struct core *core)
{
    struct revoked_list *r = &core->revoked;
    struct slice kept = core->config.revocations;
    r->heard_us = core->now_us;
    r->heard_utc_us = core->utc_us;
    if (!kept_holds(core, kept))
        return;
    adopt(core, kept);
    r->keep_us = core->now_us + KEEP_EVERY_US;
    r->heard_utc_us = r->list.issued_us < core->utc_us ? r->list.issued_us : core->utc_us;
}

static void keep(struct core *core)
{
    struct revoked_list *r = &core->revoked;
    r->keep_us = core->now_us + KEEP_EVERY_US;
    core_keep(core, "revocations", slice_of(r->bytes, r->len));
}

/* What else is kept by name is asked for again, or made anew; whichever it was, once more does no
 * harm. */
void revocation_kept(struct core *core, const struct storage_done *done)
{
    struct revoked_list *r = &core->revoked;
    if (done->err != ERR_OK && r->bytes && r->keep_us > core->now_us + KEEP_AGAIN_US)
        r->keep_us = core->now_us + KEEP_AGAIN_US;
}

/* Whether it comes from auth_edge: other edges can say only what it said before. */
static bool fresh(const struct core *core, const struct revocations *list)
{
    uint64_t issued = list->issued_us;
    uint64_t apart = issued > core->utc_us ? issued - core->utc_us : core->utc_us - issued;
    return apart <= TIME_WINDOW_US;
}

/* The clock of auth_edge was far ahead when it issued ours: what says the same by a clock that is
 * right is newer, or auth_edge would count as away, and the list as new, until that time comes. */
static bool corrects(const struct core *core, const struct revocations *list)
{
    const struct revocations *ours = &core->revoked.list;
    return list->key_epoch == ours->key_epoch && list->number == ours->number &&
           slice_eq(list->entries, ours->entries) && ours->issued_us > core->utc_us &&
           !fresh(core, ours) && fresh(core, list);
}

void revocation_list(struct core *core, const struct event *ev)
{
    struct revoked_list *r = &core->revoked;
    const struct revocations *list = &ev->u.revocations.list;
    bool known = r->bytes && id_eq(&list->zone_id, &r->list.zone_id);
    if (known && !revocations_newer(list, &r->list) && !corrects(core, list)) { /* I1 */
        if (list->number == r->list.number)
            r->telling = false; /* somebody has said it */
        else
            core_count(core, COUNT_revocations_refused);
        return;
    }
    bool changed = !known || list->number != r->list.number || list->key_epoch != r->list.key_epoch;
    core_count(core, COUNT_revocations_taken);
    adopt(core, ev->u.revocations.bytes);
    if (fresh(core, &r->list))
        revocation_heard(core);
    if (changed)
        r->keep_us = core->now_us;
    r->telling = false;
    r->ending = true;
    presence_revoked(core);
    fetch_revoked(core);
}

/* ---- what ends ---- */

static bool refused(const struct core *core, const struct ingest *in, enum err *ret_err,
                    const char **ret_why)
{
    if (in->use == STREAM_FETCH)
        return false;
    if (core_revoked(core, in->credential_serial)) {
        *ret_err = ERR_UNAUTHORIZED;
        *ret_why = core_revoked_why;
        return true;
    }
    *ret_err = ERR_NOT_READY;
    *ret_why = "this edge is revoked; use another";
    return core->has_credential && core_revoked(core, core->credential.serial);
}

bool revocation_stops(struct core *core, struct ingest *in)
{
    enum err err;
    const char *why;
    if (!refused(core, in, &err, &why))
        return false;
    if (in->state != INGEST_RUNNING)
        return true;
    bool live = in->use == STREAM_LIVE;
    core_count(core, COUNT_revoked_ended);
    core_answer_error(core,
                      &(struct answer){.kind = live ? TOPIC_LIVE_UPLOAD_REPLY : TOPIC_UPLOAD_REPLY,
                                       .reply_id = id_slice(&in->row.video.streamer_id),
                                       .video_id = id_slice(&in->row.video.video_id),
                                       .verified = true},
                      err, why);
    if (live) {
        live_end(core, in, why);
        return true;
    }
    core_log(core, false, "upload %s stops: %s", in->row.video.video_id.s, why);
    ingest_free(core, in); /* what is in flight comes back to nobody */
    return true;
}

static struct ingest *next_refused(const struct core *core)
{
    size_t cursor = 0;
    enum err err;
    const char *why;
    for (struct ingest *in; (in = map_next(&core->ingests, &cursor)) != NULL;)
        if (in->state == INGEST_RUNNING && refused(core, in, &err, &why))
            return in;
    return NULL;
}

/* I2 */
static void end_refused(struct core *core)
{
    struct ingest *in = NULL;
    while (core_room(core) > END_ROOM && (in = next_refused(core)) != NULL)
        revocation_stops(core, in);
    core->revoked.ending = in != NULL;
}

static void say_self(struct core *core)
{
    struct revoked_list *r = &core->revoked;
    bool self = core->has_credential && core_revoked(core, core->credential.serial);
    if (self && !r->self_said) {
        core_log(core, true,
                 "this edge is revoked: it takes no more, is nobody's peer and keeps what it has; "
                 "ask the operator of the zone");
        core->enrol_next_us = core->now_us;
    }
    r->self_said = self;
}

/* ---- passing it on ---- */

void revocation_hint(struct core *core, uint64_t number)
{
    struct revoked_list *r = &core->revoked;
    uint32_t jitter;
    if (!r->bytes || number >= r->list.number || r->telling ||
        r->list.key_epoch != core->zone.key_epoch) /* nobody takes it any more */
        return;
    core_random(core, &jitter, sizeof(jitter));
    r->telling = true;
    r->tell_us = core->now_us + jitter % TELL_JITTER_US;
    if (r->tell_us < r->tell_next_us)
        r->tell_us = r->tell_next_us; /* I3 */
}

static void tell(struct core *core)
{
    struct revoked_list *r = &core->revoked;
    if (!core_ready(core) || !core->bus_up[LANE_CONTROL])
        r->telling = false;
    if (!r->telling || core->now_us < r->tell_us)
        return;
    if (core->control_free_bytes < CONTROL_OUTBOX_BYTES_MAX / 2 ||
        core_room(core) <= EFFECTS_KEPT) {
        r->tell_us = core->now_us + TELL_LATER_US;
        return;
    }
    r->telling = false;
    r->tell_next_us = core->now_us + TELL_EVERY_US;
    struct revocations_message *m = core_body(core, sizeof(*m));
    m->revocations = core_copy(core, slice_of(r->bytes, r->len));
    core_count(core, COUNT_revocations_told);
    core_send(core, LANE_CONTROL, TOPIC_AUTH_REVOCATIONS, (struct slice){0}, (struct slice){0},
              MESSAGE_REVOCATIONS, m);
}

/* ---- auth_edge ---- */

void revocation_heard(struct core *core)
{
    struct revoked_list *r = &core->revoked;
    if (r->away_said)
        core_log(core, false, "auth_edge is there again");
    r->away_said = false;
    r->heard_us = core->now_us;
    r->heard_utc_us = core->utc_us;
}

static bool away(const struct core *core)
{
    return core->now_us - core->revoked.heard_us >= AUTH_AWAY_US;
}

struct zone_contact revocation_contact(const struct core *core)
{
    const struct revoked_list *r = &core->revoked;
    struct zone_contact contact = {
        .revocations = r->list.number, .issued_us = r->list.issued_us, .away = away(core)};
    if (contact.away)
        contact.since_us = r->heard_utc_us;
    return contact;
}

static void say_away(struct core *core)
{
    if (core->revoked.away_said || core->stopping || !away(core))
        return;
    core->revoked.away_said = true;
    core_log(core, true, "auth_edge is silent: going on with what it has signed so far");
}

/* ---- time ---- */

void revocation_tick(struct core *core)
{
    if (core->revoked.ending)
        end_refused(core);
    if (core->revoked.bytes && core->now_us >= core->revoked.keep_us &&
        core->stores_under_way < STORES_UNDER_WAY_MAX && core_room(core) > EFFECTS_KEPT)
        keep(core);
    say_self(core);
    say_away(core);
    tell(core);
}

uint64_t revocation_deadline_us(const struct core *core)
{
    const struct revoked_list *r = &core->revoked;
    uint64_t at = r->away_said || core->stopping ? UINT64_MAX : r->heard_us + AUTH_AWAY_US;
    if (r->bytes && r->keep_us < at)
        at = r->keep_us;
    if (r->ending)
        at = core->now_us;
    return r->telling && r->tell_us < at ? r->tell_us : at;
}

void revocation_release(struct core *core)
{
    free(core->revoked.bytes);
}
