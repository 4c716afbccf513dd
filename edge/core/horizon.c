/*
 * What is forgotten, and who must forget (docs/PROTOCOL.md §4.6).
 *
 * Deletions and withdrawals are kept for tombstone_kept_us, up to a horizon that all edges move by
 * whole hours. Who agreed with nobody for longer has missed deletions that nobody remembers: what
 * it would tell is forgotten first, and the catalogue asked for afresh.
 *
 *   NONE --away too long, others there--> WAIT --one that knows--> FORGET --slices--> ASK
 *    ^                                     |                                           |
 *    |<------ nobody knows better ---------+                             every page merged
 *    |                                                                                 v
 *    +<--slices-- ORPHANS <------- our root is that of one that knows ------------- AGREE
 *
 * Invariants
 *   I1  what was stored here and never seen by another is not forgotten: groups with a custody of
 *       ours from CONTACT_SLACK_US before the last contact on stay.
 *   I2  nothing is forgotten because one edge alone says that it knows, unless it is the only one
 *       ever heard; copies go only after our root was, signed, that of most others as well: a page
 *       that was lost or invented, or an edge that lies, takes nothing away.
 *   I3  an edge that never met another, or is alone, forgets nothing but what is dead.
 *   I4  one operation at a time; each removes a slice.
 *   I5  the others are counted anew when a peer's row changed, our last contact is another, or one
 *       of them has gone silent: not at each step.
 */
#include "base/bytes.h"
#include "edge/core/state.h"

#define HOUR_US (3600ull * 1000 * 1000)
#define CONTACT_SLACK_US HOUR_US          /* what was on its way then, and a wrong clock */
#define KEEP_CONTACT_US HOUR_US           /* the last contact is kept that often */
#define ALONE_US (30ull * 1000 * 1000)    /* nobody who knows is heard: there is none */
#define KNOWING_US (7ull * 1000 * 1000)   /* a heartbeat: it does not take it back */
#define PATIENCE_US (60ull * 1000 * 1000) /* with who knew and has gone, or knows alone */
#define AGREE_US (600ull * 1000 * 1000)   /* with who knows, and never agrees */
#define MINDFUL_US (12ull * 1000 * 1000)  /* as above, for who was here all the time */
#define HORIZON_RETRY_US (60ull * 1000 * 1000)
#define LEAP_US (2 * HOUR_US)
#define LEAP_WAIT_US HOUR_US
#define REJOIN_LOOK_US (1000ull * 1000)

bool horizon_comparable(const struct core *core)
{
    return core->since_us && core->rejoin != REJOIN_WAIT && core->rejoin != REJOIN_FORGET &&
           core->rejoin != REJOIN_ASK;
}

bool horizon_settled(const struct core *core)
{
    return core->since_us && core->rejoin == REJOIN_NONE;
}

static void keep(struct core *core, const char *key, uint64_t value)
{
    uint8_t buf[8];
    struct writer w = writer_of(buf, sizeof(buf));
    write_u64(&w, value);
    core_keep(core, key, slice_of(buf, w.len));
}

static void since(struct core *core, uint64_t since_us)
{
    if (core->since_us == since_us)
        return;
    core->since_us = since_us;
    keep(core, "since", since_us);
}

void horizon_joined(struct core *core)
{
    since(core, core->utc_us);
}

/* ---- away too long ---- */

/* Whether everything said since a time may have been forgotten by `then`. */
static bool beyond(const struct core *core, uint64_t since_us, uint64_t then_us)
{
    return then_us > since_us && then_us - since_us > core->config.tombstone_kept_us;
}

/* I3 */
static bool away(const struct core *core)
{
    bool fresh = core->fresh_us > core->contact_us && core->fresh_us <= core->utc_us;
    uint64_t last = fresh ? core->fresh_us : core->contact_us;
    return core->contact_us && core->since_us && beyond(core, last, core->utc_us);
}

static bool knows(const struct core *core, const struct peer *p)
{
    return p->status.horizon_us && p->status.since_us && p->status.since_us <= core->contact_us &&
           beyond(core, core->contact_us, p->status.time_us); /* its clock says so as well */
}

bool horizon_authority(const struct core *core, const struct peer *p)
{
    return presence_here(core, p) && knows(core, p);
}

struct others horizon_count(const struct core *core)
{
    struct others o = {.contact_us = core->contact_us,
                       .changes = core->peers_changes,
                       .from_us = core->now_us,
                       .until_us = UINT64_MAX};
    size_t cursor = 0;
    for (const struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;) {
        if (!presence_here(core, p))
            continue;
        uint64_t until_us = presence_until_us(p);
        o.until_us = until_us < o.until_us ? until_us : o.until_us;
        o.online++;
        o.able += p->status.horizon_us != 0;
        o.knowing += knows(core, p);
        o.was_here |= !p->status.horizon_us && p->up_since_us <= core->contact_us;
    }
    return o;
}

bool horizon_counted(const struct core *core)
{
    const struct others *o = &core->others;
    return o->from_us && o->contact_us == core->contact_us && o->changes == core->peers_changes &&
           core->now_us >= o->from_us && core->now_us <= o->until_us;
}

/* I5 */
static struct others look(struct core *core)
{
    if (!horizon_counted(core))
        core->others = horizon_count(core);
    return core->others;
}

static void settle(struct core *core)
{
    core->rejoin = REJOIN_NONE;
    core->fresh_us = core->utc_us;
}

static void enter(struct core *core, enum rejoin state)
{
    core->rejoin = state;
    core->rejoin_us = core->now_us;
}

/* Most of those who can tell say that we are the one who was away. */
static bool told(const struct others *o)
{
    return o->knowing * 2 > o->able;
}

/* I2 */
static bool believed(const struct core *core, const struct others *o)
{
    return told(o) && (o->knowing > 1 || core->peers.count == 1);
}

/*
 * Most of those who can tell know: we are the one who was away. Nobody knows: all have been away,
 * or came later. One that was up when it agreed last, and still is, was not away: the others were,
 * and learn from it. Else what is here is all there is; so it is with the word of one alone.
 */
static void wait_on(struct core *core)
{
    struct others o = look(core);
    uint64_t up_since = core->utc_us - (core->now_us - core->started_us);
    uint64_t waited = core->now_us - core->rejoin_us;
    if (believed(core, &o)) {
        if (waited < (o.knowing > 1 ? KNOWING_US : ALONE_US))
            return;
        enter(core, REJOIN_FORGET);
        core_log(core, true,
                 "away for longer than deletions are kept: the catalogue is asked for "
                 "afresh, what was uploaded here since stays");
    } else if (!told(&o) && up_since <= core->contact_us) {
        if (waited >= MINDFUL_US)
            settle(core);
    } else if (!o.was_here && waited >= (told(&o) ? PATIENCE_US : ALONE_US)) {
        since(core, core->utc_us);
        settle(core);
    }
}

/* Who knew has gone, or does not agree: we go on with what we have, and drop no copy. */
static void give_up(struct core *core)
{
    if (core->rejoin == REJOIN_ASK)
        since(core, 0); /* not whole: any other edge may tell */
    settle(core);
    sync_begin(core);
    core_log(core, true,
             "the edges that know of every deletion have gone or disagree: going on without");
}

void horizon_asked(struct core *core)
{
    enter(core, REJOIN_AGREE);
}

/* Whether most of the others that can tell show our root: what we were told is no witness. */
static bool widely_agreed(struct core *core, const struct others *o)
{
    return (presence_agreeing(core, core->root.b) - 1) * 2 > o->able;
}

/* Their table is ours: so we know of every deletion that they know of. */
void horizon_contact(struct core *core, const struct peer *p)
{
    if (!core->since_us)
        return;
    struct others o = look(core);
    bool wide = widely_agreed(core, &o);
    if (core->rejoin == REJOIN_AGREE && horizon_authority(core, p) && wide && believed(core, &o))
        enter(core, REJOIN_ORPHANS); /* I2 */
    if (core->rejoin != REJOIN_NONE)
        return;
    if (p->status.since_us && p->status.since_us < core->since_us && wide)
        since(core, p->status.since_us);
    core->contact_us = core->utc_us;
    if (core->utc_us - core->contact_kept_us >= KEEP_CONTACT_US ||
        core->utc_us < core->contact_kept_us) {
        core->contact_kept_us = core->utc_us;
        keep(core, "contact", core->utc_us);
    }
}

/* Only others make it necessary: who is alone has nobody to mislead. */
static bool anybody(struct core *core)
{
    return look(core).online || core->now_us - core->bus_up_us < ALONE_US;
}

/* Whom we ask has gone; or the agreement that we wait for is not to be had. */
static bool in_vain(struct core *core)
{
    uint64_t waited = core->now_us - core->rejoin_us;
    if (waited < PATIENCE_US || (core->rejoin != REJOIN_ASK && core->rejoin != REJOIN_AGREE))
        return false;
    struct others o = look(core);
    if (core->rejoin == REJOIN_ASK)
        return !o.knowing;
    return waited >= AGREE_US || !believed(core, &o);
}

static void rejoin(struct core *core)
{
    bool here = core_ready(core) && core->bus_up[LANE_CONTROL];
    if (core->rejoin == REJOIN_NONE && here && away(core) && anybody(core))
        enter(core, REJOIN_WAIT);
    if (here && in_vain(core))
        give_up(core);
    if (core->rejoin != REJOIN_WAIT)
        return;
    if (!here)
        core->rejoin_us = core->now_us;
    else if (!anybody(core))
        core->rejoin = REJOIN_NONE;
    else
        wait_on(core);
}

/* ---- slices ---- */

static bool may_store(const struct core *core)
{
    return !core->horizon_under_way && !core->stopping && core_room(core) >= 16 &&
           core->stores_under_way < STORES_UNDER_WAY_MAX;
}

static struct storage_op *begin(struct core *core, enum storage_kind kind)
{
    struct storage_op *op = storage_op_new(kind, TOKEN_OF(TOKEN_HORIZON, 0));
    core->horizon_under_way = true;
    core_store(core, op);
    return op;
}

static uint64_t horizon_of(const struct core *core)
{
    uint64_t kept = core->config.tombstone_kept_us;
    return core->utc_us > kept ? (core->utc_us - kept) / HOUR_US * HOUR_US : 0;
}

/*
 * A horizon that leaps is that of who was off, or of a wrong clock, which must not forget what is
 * young: it waits until another edge shows it, or for as long as no clock is wrong unnoticed.
 */
static bool leaps(const struct core *core)
{
    return core->root.horizon_us && horizon_of(core) > core->root.horizon_us + LEAP_US;
}

static bool leap_holds(struct core *core)
{
    if (!core->horizon_leap_us)
        core->horizon_leap_us = core->now_us + LEAP_WAIT_US;
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;)
        if (p->status.horizon_us + HOUR_US >= horizon_of(core) && presence_here(core, p))
            return true;
    return core->now_us >= core->horizon_leap_us;
}

/* When it moves. */
static uint64_t next_hour_us(const struct core *core)
{
    return core->now_us + HOUR_US - (core->utc_us - core->config.tombstone_kept_us) % HOUR_US;
}

static void move(struct core *core)
{
    uint64_t target_us = horizon_of(core);
    if (!leaps(core))
        core->horizon_leap_us = 0;
    else if (!leap_holds(core))
        return;
    if (!target_us || target_us == core->horizon_us)
        return;
    begin(core, STORAGE_HORIZON)->u.horizon.horizon_us = target_us;
    core->horizon_target_us = target_us;
}

void horizon_tick(struct core *core)
{
    rejoin(core);
    if (!may_store(core) || core->now_us < core->horizon_next_us)
        return;
    if (core->rejoin == REJOIN_FORGET) {
        uint64_t kept_us = core->contact_us - CONTACT_SLACK_US; /* I1 */
        begin(core, STORAGE_BOOTSTRAP)->u.bootstrap.kept_hlc = kept_us / 1000 << 16;
    } else if (core->rejoin == REJOIN_ORPHANS) {
        begin(core, STORAGE_ORPHANS);
    } else {
        move(core);
    }
}

static void sliced(struct core *core, enum storage_kind kind)
{
    if (kind == STORAGE_HORIZON) {
        core->horizon_us = core->horizon_target_us;
    } else if (kind == STORAGE_BOOTSTRAP && core->rejoin == REJOIN_FORGET) {
        enter(core, REJOIN_ASK);
        sync_begin(core);
    } else if (kind == STORAGE_ORPHANS && core->rejoin == REJOIN_ORPHANS) {
        settle(core);
        core_log(core, false, "the catalogue is whole again");
    }
}

void horizon_done(struct core *core, const struct storage_done *done)
{
    core->horizon_under_way = false;
    if (done->err != ERR_OK)
        core->horizon_next_us = core->now_us + HORIZON_RETRY_US;
    else if (!done->u.slice.more)
        sliced(core, done->kind);
}

uint64_t horizon_deadline_us(const struct core *core)
{
    uint64_t at = core->stopping ? UINT64_MAX : next_hour_us(core);
    if (core->rejoin != REJOIN_NONE || away(core))
        at = core->now_us + REJOIN_LOOK_US;
    bool slices = core->rejoin == REJOIN_FORGET || core->rejoin == REJOIN_ORPHANS;
    bool due = horizon_of(core) && horizon_of(core) != core->horizon_us && !leaps(core);
    if (core->horizon_leap_us && core->horizon_leap_us < at)
        at = core->horizon_leap_us > core->now_us ? core->horizon_leap_us
                                                  : core->now_us + REJOIN_LOOK_US;
    if ((slices || due) && !core->horizon_under_way && !core->stopping &&
        core->horizon_next_us < at)
        at = core->horizon_next_us;
    return at;
}
