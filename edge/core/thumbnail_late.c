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
 *   I2  at most one picture is verified for each time that we asked, and none that nobody awaits.
 */
#include "edge/core/state.h"

#define LATE_US (600ull * 1000 * 1000)

/* After the copy, and after each time; last, how long the answer is waited for. */
static const uint64_t waits_us[] = {5000 * 1000, 30 * 1000 * 1000, 180 * 1000 * 1000,
                                    10 * 1000 * 1000};
enum { LATE_ASKS = sizeof(waits_us) / sizeof(waits_us[0]) - 1 };

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

void thumbnail_late(struct core *core, const struct ingest *in)
{
    if (!may_come(core, in))
        return;
    struct thumbnail_late *l = &core->lates.ring[core->lates.next];
    core->lates.next = (core->lates.next + 1) % THUMBNAIL_LATES_MAX;
    if (l->source.s[0])
        core_count(core, COUNT_thumbnails_dropped);
    *l = (struct thumbnail_late){.video_id = in->row.video.video_id,
                                 .source = in->source,
                                 .stream = in->stream,
                                 .signer = in->signer};
    due(core, l);
}

static struct thumbnail_late *awaited(struct core *core, const struct id *video_id,
                                      const struct id *source)
{
    for (size_t i = 0; i < THUMBNAIL_LATES_MAX; i++) {
        struct thumbnail_late *l = &core->lates.ring[i];
        if (l->awaited && id_eq(&l->video_id, video_id) && id_eq(&l->source, source))
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
        return;         /* none yet; or somebody says so in its name */
    l->awaited = false; /* I2 */
    if (m->delegation.len > DELEGATION_OBJECT_BYTES_MAX ||
        thumbnail_open(m->delegation, m->thumbnail_part, &l->stream, &l->signer, &jpeg) != ERR_OK) {
        core_count(core, COUNT_thumbnails_refused);
        return;
    }
    thumbnail_keep(core, ++core->serial, &l->video_id, &l->stream, m->delegation,
                   m->thumbnail_part);
    *l = (struct thumbnail_late){0};
}

static void ask(struct core *core, struct thumbnail_late *l)
{
    struct watch_request *m = core_body(core, sizeof(*m));
    *m = (struct watch_request){.kind = WATCH_INIT,
                                .client_id = core_self(core),
                                .video_id = l->video_id,
                                .local_only = true};
    core_send(core, LANE_CONTROL, TOPIC_WATCH, id_slice(&l->source), (struct slice){0},
              MESSAGE_WATCH_REQUEST, m);
    l->asked++;
    l->awaited = true;
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
        struct thumbnail_late *l = &core->lates.ring[i];
        if (!l->source.s[0])
            continue;
        if (core->now_us < l->next_us) {
            if (l->next_us < core->lates.first_us)
                core->lates.first_us = l->next_us;
        } else if (l->asked < LATE_ASKS) {
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
