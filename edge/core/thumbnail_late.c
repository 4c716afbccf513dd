/*
 * The thumbnail of a copy that was fetched before its source had one: the source is asked again,
 * a few times, by the init with which a fetch begins (docs/PROTOCOL.md §4.9).
 *
 *   copy whole, no picture came along --> waits --init--> asked --info with one--> put
 *                                           ^               |
 *                                           +-- none yet ---+-- the last time: there is none
 *
 * Invariants
 *   I1  asked is only about copies of videos that ended less than LATE_US ago: the others have had
 *       their time, and an edge that fetches thousands of them asks nobody twice.
 *   I2  at most THUMBNAIL_LATE_CHECKS_MAX pictures are verified for each time that we asked, and
 *       none that nobody awaits: a forged one does not take the place of the source's.
 *   I3  none gives way while there is a free slot; then the oldest of the streamer that has most
 *       does, to one that still has fewer after it, else the oldest of that one's own;
 *       who has none then finds no room. Nobody loses its only one to another.
 */
#include "edge/core/state.h"

#define LATE_US (600ull * 1000 * 1000)

/* After the copy, and after each time; last, how long the answer is waited for. */
static const uint64_t waits_us[] = {5000 * 1000, 30 * 1000 * 1000, 180 * 1000 * 1000,
                                    10 * 1000 * 1000};
_Static_assert(sizeof(waits_us) / sizeof(waits_us[0]) == THUMBNAIL_LATE_ASKS + 1,
               "after the copy, and after each time");

static void due(struct core *core, struct thumbnail_late *l)
{
    l->next_us = core->now_us + waits_us[l->asked];
    if (l->next_us < core->lates.first_us)
        core->lates.first_us = l->next_us;
}

/* I1 */
static bool may_come(const struct core *core, const struct ingest *in)
{
    static const struct hash none = {0};
    const struct video *v = &in->row.video;
    return in->source.s[0] && hash_eq(&v->thumbnail_hash, &none) &&
           slice_eq_str(v->media_type, "video/mp4") && core->utc_us < v->revision_us + LATE_US;
}

/* How many there are of a streamer, and the oldest of them. */
static size_t count_of(struct core *core, const struct id *streamer_id,
                       struct thumbnail_late **ret_oldest)
{
    struct thumbnail_late *oldest = NULL;
    size_t n = 0;
    for (size_t i = 0; i < THUMBNAIL_LATES_MAX; i++) {
        struct thumbnail_late *l = &core->lates.slots[i];
        if (!l->source.s[0] || !id_eq(&l->streamer_id, streamer_id))
            continue;
        n++;
        if (!oldest || l->number < oldest->number)
            oldest = l;
    }
    *ret_oldest = oldest;
    return n;
}

/* I3. NULL: nobody gives way. */
static struct thumbnail_late *displaced(struct core *core, const struct id *streamer_id)
{
    struct thumbnail_late *own;
    struct thumbnail_late *gone = NULL;
    size_t mine = count_of(core, streamer_id, &own);
    size_t most = 0;
    for (size_t i = 0; i < THUMBNAIL_LATES_MAX; i++) {
        struct thumbnail_late *oldest;
        size_t n = count_of(core, &core->lates.slots[i].streamer_id, &oldest);
        if (n > most) {
            most = n;
            gone = oldest;
        }
    }
    return mine + 1 < most ? gone : own;
}

static struct thumbnail_late *slot_for(struct core *core, const struct id *streamer_id)
{
    for (size_t i = 0; i < THUMBNAIL_LATES_MAX; i++)
        if (!core->lates.slots[i].source.s[0])
            return &core->lates.slots[i];
    core_count(core, COUNT_thumbnails_dropped);
    return displaced(core, streamer_id);
}

void thumbnail_late(struct core *core, const struct ingest *in)
{
    if (!may_come(core, in))
        return;
    struct thumbnail_late *l = slot_for(core, &in->row.video.streamer_id);
    if (!l)
        return;
    *l = (struct thumbnail_late){.video_id = in->row.video.video_id,
                                 .source = in->source,
                                 .streamer_id = in->row.video.streamer_id,
                                 .stream = in->stream,
                                 .signer = in->signer,
                                 .number = ++core->lates.number};
    due(core, l);
}

static struct thumbnail_late *awaited(struct core *core, const struct id *video_id,
                                      const struct id *source)
{
    for (size_t i = 0; i < THUMBNAIL_LATES_MAX; i++) {
        struct thumbnail_late *l = &core->lates.slots[i];
        if (l->checks && id_eq(&l->video_id, video_id) && id_eq(&l->source, source))
            return l;
    }
    return NULL;
}

void thumbnail_late_info(struct core *core, const struct event *ev)
{
    const struct watch_info *m = &ev->u.watch_info.info;
    struct thumbnail_late *l = awaited(core, &m->video_id, &ev->u.watch_info.source);
    struct slice jpeg;
    if (!l || core->stopping)
        return;
    if (!m->delegation.len && !m->thumbnail_part.len)
        return;  /* none yet; or somebody says so in its name */
    l->checks--; /* I2 */
    if (m->delegation.len > DELEGATION_OBJECT_BYTES_MAX ||
        thumbnail_open(m->delegation, m->thumbnail_part, &l->stream, &l->signer, &jpeg) != ERR_OK) {
        core_count(core, COUNT_thumbnails_refused);
        return;
    }
    thumbnail_keep(core, ++core->serial, &l->video_id, &l->stream, m->delegation,
                   m->thumbnail_part);
    *l = (struct thumbnail_late){0};
}

static void send_init(struct core *core, const struct thumbnail_late *l)
{
    struct watch_request *m = core_body(core, sizeof(*m));
    *m = (struct watch_request){.kind = WATCH_INIT,
                                .client_id = core_self(core),
                                .video_id = l->video_id,
                                .local_only = true};
    core_send(core, LANE_CONTROL, TOPIC_WATCH, id_slice(&l->source), (struct slice){0},
              MESSAGE_WATCH_REQUEST, m);
}

/* Who is revoked is passed over: it may be admitted again by the next time. */
static void ask(struct core *core, struct thumbnail_late *l)
{
    const struct peer *p = presence_peer(core, id_slice(&l->source));
    bool revoked = p && p->revoked;
    if (!revoked)
        send_init(core, l);
    l->checks = revoked ? 0 : THUMBNAIL_LATE_CHECKS_MAX;
    l->asked++;
    due(core, l);
}

static bool able(const struct core *core)
{
    return core_ready(core) && core->bus_up[LANE_CONTROL];
}

void thumbnail_late_pump(struct core *core)
{
    if (core->now_us < core->lates.first_us || !able(core) ||
        core_room(core) <= EFFECTS_KEPT + THUMBNAIL_LATES_MAX)
        return;
    core->lates.first_us = UINT64_MAX;
    for (size_t i = 0; i < THUMBNAIL_LATES_MAX; i++) {
        struct thumbnail_late *l = &core->lates.slots[i];
        if (!l->source.s[0])
            continue;
        if (core->now_us < l->next_us) {
            if (l->next_us < core->lates.first_us)
                core->lates.first_us = l->next_us;
        } else if (l->asked < THUMBNAIL_LATE_ASKS) {
            ask(core, l);
        } else {
            *l = (struct thumbnail_late){0};
        }
    }
}

uint64_t thumbnail_late_deadline_us(const struct core *core)
{
    return able(core) ? core->lates.first_us : UINT64_MAX;
}
