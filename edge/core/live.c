/*
 * Lives: verified parts go out again at once, unchanged; the parts since the
 * last keyframe are kept for who joins (docs/PROTOCOL.md §4.4).
 *
 *   claim --> RUNNING --end chunk, silence, replaced, stop--> FINISHING --withdrawn--> gone
 *
 * Invariants
 *   I1  a live is in core->lives exactly while RUNNING.
 *   I2  parts of one live leave in ascending (number, index), each at most once.
 *   I3  what is dropped is dropped up to a keyframe or init chunk: viewers never get
 *       a fragment whose predecessors in the group were withheld on purpose.
 *   I4  Σ bytes of all init and gop runs == core->gop_bytes <= GOP_CACHE_TOTAL_BYTES_MAX;
 *       Σ bytes of all replays == core->replay_bytes <= REPLAY_TOTAL_BYTES_MAX: they keep
 *       packets that have left the cache.
 */
#include "base/check.h"
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum { INFO_EVERY_US = 1000 * 1000 };

/* ---- runs of packets ---- */

static void gop_clear(struct core *core, struct gop *gop)
{
    for (size_t i = 0; i < gop->n; i++)
        msg_unref(gop->packets[i]);
    core->gop_bytes -= gop->bytes; /* I4 */
    gop->n = gop->bytes = 0;
    gop->broken = false;
}

static void gop_release(struct core *core, struct gop *gop)
{
    gop_clear(core, gop);
    free(gop->packets);
    *gop = (struct gop){0};
}

/* Room for an init segment, which every joiner needs: the largest group of another live gives way.
 */
static void gop_evict(struct core *core, size_t len)
{
    while (core->gop_bytes + len > GOP_CACHE_TOTAL_BYTES_MAX) {
        struct ingest *largest = NULL;
        size_t cursor = 0;
        for (struct ingest *x; (x = map_next(&core->lives, &cursor)) != NULL;)
            if (x->gop.n && (!largest || x->gop.bytes > largest->gop.bytes))
                largest = x;
        if (!largest)
            return;
        gop_clear(core, &largest->gop);
        largest->gop.broken = true;
    }
}

static void gop_add(struct core *core, struct gop *gop, struct msg *packet)
{
    size_t len = packet->payload.len;
    if (gop->broken)
        return;
    if (gop->n == GOP_PACKETS_MAX || gop->bytes + len > LIVE_GOP_BYTES_MAX ||
        core->gop_bytes + len > GOP_CACHE_TOTAL_BYTES_MAX) {
        gop_clear(core, gop);
        gop->broken = true;
        return;
    }
    if (gop->n == gop->cap) {
        gop->cap = gop->cap ? 2 * gop->cap : 8;
        gop->packets = mem_resize(gop->packets, gop->cap * sizeof(struct msg *));
    }
    gop->packets[gop->n++] = msg_ref(packet);
    gop->bytes += len;
    core->gop_bytes += len; /* I4 */
}

void live_release(struct core *core, struct ingest *in)
{
    struct slice id = id_slice(&in->row.video.video_id);
    if (map_get(&core->lives, id) == in)
        map_remove(&core->lives, id);
    gop_release(core, &in->init);
    gop_release(core, &in->gop);
}

/* ---- metadata ---- */

static struct watch_info *info_of(struct core *core, const struct ingest *in)
{
    struct watch_info *info = core_body(core, sizeof(*info));
    const struct video *video = &in->row.video;
    *info = (struct watch_info){
        .video_id = video->video_id,
        .title = core_copy(core, video->title),
        .edge_id = core_self(core),
        .edges = core_self(core),
        .streamer_id = video->streamer_id,
        .streamer_name = core_copy(core, in->row.streamer_name),
        .media_type = core_copy(core, video->media_type),
        .codecs = core_copy(core, video->codecs),
        .live = true,
        .statement = core_copy(core, in->row.statement),
        .credential = core_copy(core, in->row.credential),
    };
    return info;
}

static void publish_info(struct core *core, struct ingest *in)
{
    in->info_us = core->now_us;
    core_send(core, LANE_LIVE, TOPIC_LIVE_PARTS, core_self(core), id_slice(&in->row.video.video_id),
              MESSAGE_LIVE_INFO_ALL, info_of(core, in));
}

void live_begin(struct core *core, struct ingest *in)
{
    /* I1; there is room, see ingest_new, and none of this id, see claim.c */
    CHECK(map_put(&core->lives, id_slice(&in->row.video.video_id), in) == ERR_OK);
    publish_info(core, in);
    gossip_add(core, &in->row, false);
    core_log(core, false, "live %s begins", in->row.video.video_id.s);
}

/* ---- parts ---- */

static void refuse(struct core *core, struct ingest *in, const struct part_event *ev, enum err err,
                   const char *why)
{
    core_count(core, COUNT_parts_refused);
    core_answer_error(core,
                      &(struct answer){.kind = TOPIC_LIVE_UPLOAD_REPLY,
                                       .reply_id = id_slice(&in->row.video.streamer_id),
                                       .video_id = id_slice(&in->row.video.video_id),
                                       .chunk_part = ev->part.chunk.number},
                      err, why);
}

/* I2: whether this part comes after everything that was relayed. */
static bool in_order(struct core *core, struct ingest *in, const struct part_event *ev)
{
    uint32_t number = ev->part.chunk.number;
    if (number < in->last_number ||
        (number == in->last_number && ev->part.index <= in->last_index)) {
        core_count(core, COUNT_parts_duplicate);
        return false;
    }
    if (number == in->last_number && !hash_eq(&ev->statement_hash, &in->current)) {
        refuse(core, in, ev, ERR_CONFLICT, "another chunk has this number");
        return false;
    }
    return true;
}

static bool timely(const struct core *core, const struct chunk *c)
{
    uint64_t apart =
        c->capture_us > core->utc_us ? c->capture_us - core->utc_us : core->utc_us - c->capture_us;
    return apart <= CAPTURE_WINDOW_US;
}

static void remember(struct core *core, struct ingest *in, const struct part_event *ev)
{
    const struct chunk *c = &ev->part.chunk;
    if (c->kind == CHUNK_INIT) {
        if (ev->part.index == 0) {
            gop_clear(core, &in->init);
            gop_clear(core, &in->gop);
            in->live_init = c->number;
        }
        if (c->number == in->live_init) { /* else its first part is missing */
            gop_evict(core, ev->original->payload.len);
            gop_add(core, &in->init, ev->original);
        }
        return;
    }
    if ((c->flags & CHUNK_KEYFRAME) && ev->part.index == 0)
        gop_clear(core, &in->gop);
    gop_add(core, &in->gop, ev->original);
}

/* I3: whether the part may leave now. */
static bool may_leave(struct core *core, struct ingest *in, const struct part_event *ev)
{
    const struct chunk *c = &ev->part.chunk;
    bool entry = ev->part.index == 0 && (c->kind != CHUNK_MEDIA || (c->flags & CHUNK_KEYFRAME));
    if (in->skipping && !entry)
        return false;
    in->skipping = ev->original->payload.len > core->live_free_bytes;
    return !in->skipping;
}

void live_part(struct core *core, struct ingest *in, struct part_event *ev)
{
    const struct chunk *c = &ev->part.chunk;
    if (in->state != INGEST_RUNNING || c->track != 0 || core->stopping) {
        core_count(core, COUNT_parts_refused);
        return;
    }
    if (!in_order(core, in, ev))
        return;
    if (!timely(core, c)) {
        refuse(core, in, ev, ERR_FORMAT, "capture time is more than 30 s from this edge's clock");
        return;
    }
    in->last_number = c->number;
    in->last_index = ev->part.index;
    in->current = ev->statement_hash;
    in->active_us = core->now_us;
    remember(core, in, ev);
    thumbnail_live_part(core, in, c, ev->part.index);
    if (may_leave(core, in, ev)) {
        core_count(core, COUNT_parts_relayed);
        core_packet(core, TOPIC_LIVE_PARTS, core_self(core), id_slice(&in->row.video.video_id),
                    ev->original);
    } else {
        core_count(core, COUNT_live_parts_dropped);
    }
    if (c->kind == CHUNK_END)
        live_end(core, in, "ended by its streamer");
}

/* ---- the end ---- */

static void say_end(struct core *core, struct ingest *in, const char *why)
{
    struct watch_end *end = core_body(core, sizeof(*end));
    *end = (struct watch_end){.video_id = in->row.video.video_id, .live = true};
    core_send(core, LANE_LIVE, TOPIC_LIVE_PARTS, core_self(core), id_slice(&in->row.video.video_id),
              MESSAGE_WATCH_END, end);
    core_log(core, false, "live %s ends: %s", in->row.video.video_id.s, why);
    live_release(core, in);
}

/* A stream of the same id that is being claimed here, and whose presence is signed already. */
static const struct ingest *successor(const struct core *core, const struct ingest *in)
{
    size_t cursor = 0;
    for (const struct ingest *x; (x = map_next(&core->ingests, &cursor)) != NULL;)
        if (x != in && x->use == STREAM_LIVE && x->state == INGEST_CLAIMING &&
            id_eq(&x->row.video.video_id, &in->row.video.video_id))
            return x;
    return NULL;
}

void live_end(struct core *core, struct ingest *in, const char *why)
{
    say_end(core, in, why);
    in->state = INGEST_FINISHING;
    struct storage_row *row = &in->final_row;
    const struct ingest *next = successor(core, in);
    *row = (struct storage_row){.has_holding = true, .restamp = true};
    row->holding = holding_of(core, &in->row.video, &in->stream, 0);
    if (next)
        row->holding.hlc = next->row.holding.hlc - 1; /* left free for it: see claim.c */
    row->holding_row = holding_sign(core, &in->final_arena, OBJECT_PRESENCE, &row->holding);
    struct storage_op *op = storage_op_new(STORAGE_ROW_MERGE, TOKEN_OF(TOKEN_WITHDRAW, in->serial));
    op->u.row = storage_row_copy(&op->arena, row);
    core_store(core, op);
}

void live_cut(struct core *core, struct ingest *in, const char *why)
{
    say_end(core, in, why);
    ingest_free(core, in);
}

void live_withdrawn(struct core *core, struct ingest *in, enum err err)
{
    if (err == ERR_OK)
        gossip_add(core, &in->final_row, true);
    else
        stale_add(core, &in->final_row.holding);
    ingest_free(core, in);
}

/* ---- joining ---- */

static void replay_drop(struct core *core, size_t i)
{
    struct replay *r = &core->replays[i];
    for (size_t k = r->next; k < r->n; k++)
        msg_unref(r->packets[k]);
    core->replay_bytes -= r->bytes;
    free(r->packets);
    arena_release(&r->arena);
    core->replays[i] = core->replays[--core->replays_n];
}

void live_replays_release(struct core *core)
{
    while (core->replays_n)
        replay_drop(core, core->replays_n - 1);
}

/* One replay per asker at a time: a new join begins again. */
static void replay_forget(struct core *core, struct slice client_id)
{
    for (size_t i = 0; i < core->replays_n; i++)
        if (slice_eq(core->replays[i].client_id, client_id))
            replay_drop(core, i--);
}

static struct replay *replay_make(struct core *core, struct slice client_id)
{
    if (core->replays_n == REPLAYS_MAX)
        return NULL;
    struct replay *r = &core->replays[core->replays_n++];
    *r = (struct replay){0};
    r->client_id = arena_copy(&r->arena, client_id);
    return r;
}

static void replay_add(struct replay *r, const struct gop *gop)
{
    for (size_t i = 0; i < gop->n; i++)
        r->packets[r->n++] = msg_ref(gop->packets[i]);
}

void live_join(struct core *core, const struct live_join *m)
{
    struct answer to = {.kind = TOPIC_WATCH_REPLY,
                        .reply_id = m->client_id,
                        .video_id = id_slice(&m->video_id),
                        .client_id = m->client_id};
    if (!reply_id_ok(m->client_id, core->config.allow_token_reply_ids)) {
        core_count(core, COUNT_answers_suppressed);
        return;
    }
    struct ingest *in = map_get(&core->lives, id_slice(&m->video_id));
    if (!in) {
        core_answer_error(core, &to, ERR_UNKNOWN, "no live runs here under this id");
        return;
    }
    bool trusted = core_token_ok(core, m->client_id, m->token);
    bool whole = trusted && !in->init.broken && !in->gop.broken;
    size_t bytes = in->init.bytes + (whole ? in->gop.bytes : 0);
    struct replay *r = NULL;
    replay_forget(core, m->client_id);
    if (core->replay_bytes + bytes <= REPLAY_TOTAL_BYTES_MAX &&
        (trusted || core_untrusted_left(core)))
        r = replay_make(core, m->client_id);
    if (!r) {
        core_answer_error(core, &to, ERR_BUSY, "too many joins at once; try again");
        return;
    }
    if (!trusted)
        core_untrusted_spend(core, bytes);
    r->bytes = bytes;
    core->replay_bytes += bytes; /* I4 */
    r->packets = mem_array(in->init.n + in->gop.n, sizeof(struct msg *));
    replay_add(r, &in->init);
    if (whole)
        replay_add(r, &in->gop);
    struct watch_info *info = info_of(core, in);
    info->token = core_token(core, m->client_id);
    if (in->thumbnail.len) {
        info->delegation = core_copy(core, slice_of(in->delegation.bytes, in->delegation.len));
        info->thumbnail_part = core_copy(core, in->thumbnail);
    }
    core_send(core, LANE_MEDIA, TOPIC_WATCH_REPLY, core_self(core), m->client_id,
              MESSAGE_LIVE_INFO_ONE, info);
    if (core->now_us - in->info_us >= INFO_EVERY_US)
        publish_info(core, in);
}

void live_pump(struct core *core)
{
    for (size_t i = 0; i < core->replays_n; i++) {
        struct replay *r = &core->replays[i];
        while (r->next < r->n && core_room(core) > EFFECTS_PER_STEP_MAX / 2 &&
               core->media_free_bytes > MEDIA_OUTBOX_BYTES_MAX / 2) {
            struct msg *packet = r->packets[r->next++];
            core_packet(core, TOPIC_WATCH_REPLY, core_self(core), r->client_id, packet);
            msg_unref(packet);
        }
        if (r->next == r->n)
            replay_drop(core, i--);
    }
}
