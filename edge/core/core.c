/*
 * The core: what all machines share, and the step that runs them. The machines
 * are in the files that state.h names.
 *
 * Invariants
 *   I1  the same configuration and events give the same effects: nothing here
 *       reads a clock, a random source or an address.
 *   I2  a step adds at most EFFECTS_PER_STEP_MAX effects; longer work goes on
 *       at the next deadline.
 */
#include "edge/core/core.h"

#include "base/check.h"
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t core_counter(const struct core *core, enum core_counter which)
{
    return core->counters[which];
}

const char *core_counter_name(enum core_counter which)
{
#define CORE_COUNTER_NAME(name) #name,
    static const char *const names[] = {CORE_COUNTERS(CORE_COUNTER_NAME)};
#undef CORE_COUNTER_NAME
    return names[which];
}

struct trust_view *core_trust_view(const struct core *core)
{
    return core->view;
}

/* ---- effects ---- */

struct slice core_copy(struct core *core, struct slice s)
{
    return arena_copy(&core->fx->arena, s);
}

void *core_body(struct core *core, size_t n)
{
    return arena_alloc(&core->fx->arena, n);
}

size_t core_room(const struct core *core)
{
    return EFFECTS_PER_STEP_MAX - core->fx->n;
}

static struct effect *add(struct core *core, enum effect_kind kind)
{
    CHECK(core->fx->n < EFFECTS_PER_STEP_MAX); /* I2 */
    struct effect *e = &core->fx->list[core->fx->n++];
    *e = (struct effect){.kind = kind};
    return e;
}

void core_send(struct core *core, enum lane lane, enum topic_kind topic, struct slice a,
               struct slice b, enum message_kind message, const void *body)
{
    struct effect *e = add(core, EFFECT_SEND);
    e->lane = lane;
    e->topic = topic;
    e->a = core_copy(core, a);
    e->b = core_copy(core, b);
    e->message = message;
    e->body = body;
    e->stamp = core_stamp(core, e);
}

void core_packet(struct core *core, enum topic_kind topic, struct slice a, struct slice b,
                 struct msg *packet)
{
    struct effect *e = add(core, EFFECT_PACKET);
    bool live = topic == TOPIC_LIVE_PARTS;
    e->lane = live ? LANE_LIVE : LANE_MEDIA;
    e->topic = topic;
    e->a = core_copy(core, a);
    e->b = core_copy(core, b);
    e->packet = msg_ref(packet);
    size_t *free_bytes = live ? &core->live_free_bytes : &core->media_free_bytes;
    size_t len = packet->payload.len;
    *free_bytes -= len < *free_bytes ? len : *free_bytes;
}

void core_store(struct core *core, struct storage_op *op)
{
    add(core, EFFECT_STORE)->op = op;
    core->stores_under_way++; /* I1 of stored.c */
}

void core_thumbnail(struct core *core, struct thumbnail_job *job)
{
    add(core, EFFECT_THUMBNAIL)->job = job;
}

void core_login_changed(struct core *core)
{
    add(core, EFFECT_LOGIN);
}

void core_log(struct core *core, bool warning, const char *fmt, ...)
{
    if (core_room(core) <= EFFECTS_KEPT)
        return;
    struct effect *e = add(core, EFFECT_LOG);
    e->warning = warning;
    va_list args;
    va_start(args, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, args);
    va_end(args);
}

/* ---- helpers ---- */

void core_random(struct core *core, void *ret, size_t n)
{
    crypto_expand(core->config.seed, ++core->random_counter, ret, n);
}

bool core_stamp_ahead(const struct core *core, uint64_t hlc)
{
    return (hlc >> 16) * 1000 > core->utc_us + HLC_AHEAD_MAX_US;
}

void core_own_hlc(struct core *core, uint64_t hlc)
{
    if (hlc > core->last_hlc && !core_stamp_ahead(core, hlc))
        core->last_hlc = hlc;
}

/*
 * Our clock was ahead and is right again (or is behind, and will be right): nobody takes our stamps
 * for so long. We go on from the present; rows that say what is so are stamped anew.
 */
static void clock_check(struct core *core)
{
    if (!core_stamp_ahead(core, core->last_hlc))
        return;
    core->last_hlc = core->utc_us / 1000 << 16;
    core->custody_sweep_us = core->now_us;
    stale_clock(core);
    core_log(core, true, "this edge's rows are stamped ahead of its clock: they are stamped anew");
}

uint64_t core_hlc(struct core *core)
{
    uint64_t now = core->utc_us / 1000 << 16;
    core->last_hlc = now > core->last_hlc ? now : core->last_hlc + 1;
    return core->last_hlc;
}

bool core_ready(const struct core *core)
{
    return core->has_credential && !core->stopping &&
           credential_valid_at(&core->credential, core->utc_us) &&
           !core_revoked(core, core->credential.serial);
}

static void view_replace(struct core *core, struct trust_view *view)
{
    trust_view_unref(core->view);
    core->view = view;
    core->view_changed = true;
}

void core_trust(struct core *core, const struct ingest *in)
{
    struct trusted_stream s = {.stream = in->stream, .signer = in->signer, .use = in->use};
    view_replace(core, trust_view_with(core->view, &s));
}

void core_distrust(struct core *core, const struct hash *stream)
{
    view_replace(core, trust_view_without(core->view, stream));
}

void core_edge_trust(struct core *core, const struct id *edge_id, const struct pubkey *pk)
{
    struct trusted_edge e = {.edge_id = *edge_id, .pk = *pk};
    view_replace(core, trust_view_with_edge(core->view, &e));
}

void core_edge_distrust(struct core *core, const struct id *edge_id)
{
    view_replace(core, trust_view_without_edge(core->view, edge_id));
}

void core_trust_asked(struct core *core, const struct asked *asked)
{
    view_replace(core, trust_view_with_asked(core->view, asked));
}

/* ---- life ---- */

struct core *core_new(const struct core_config *config)
{
    struct core *core = mem_alloc(sizeof(*core));
    core->config = *config;
    core->now_us = config->now_us;
    core->utc_us = config->utc_us;
    core->started_us = config->now_us;
    core->last_hlc = config->last_hlc;
    core->videos = config->videos;
    core->root = config->root;
    core->since_us = config->since_us;
    core->contact_us = core->contact_kept_us = config->contact_us;
    core->view = trust_view_new();
    core->watch_due_us = UINT64_MAX;
    struct hash secret = mac_of(config->key.seed, slice_str("edge-cluster/v1/token-secret"));
    memcpy(core->token_secret, secret.b, KEY_BYTES); /* of the key: tokens outlive a restart */
    core->nonce_ring = mem_array(NONCES_MAX, sizeof(*core->nonce_ring));
    map_init(&core->nonces, NONCES_MAX);
    map_init(&core->peers, PEERS_MAX);
    map_init(&core->ingests, UPLOADS_MAX + LIVES_MAX + FETCHES_MAX);
    map_init(&core->lives, LIVES_MAX);
    map_init(&core->views, VIEWS_MAX);
    map_init(&core->views_by_serial, VIEWS_MAX);
    for (size_t i = 0; i < config->stale_n; i++)
        stale_add(core, &config->stale[i]);
    core->config.stale = NULL;
    zone_start(core);
    revocation_start(core);
    core->config.zone_params = core->config.credential = core->config.revocations =
        core->config.broker_login = (struct slice){0};
    return core;
}

static void free_peers(struct core *core)
{
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;)
        free(p);
    map_release(&core->peers);
}

void core_free(struct core *core)
{
    if (!core)
        return;
    for (size_t cursor = 0; core->ingests.count; cursor = 0)
        ingest_free(core, map_next(&core->ingests, &cursor));
    watch_release(core);
    live_replays_release(core);
    catalogue_release(core);
    gossip_release(core);
    repair_release(core);
    custody_release(core);
    delete_release(core);
    thumbnail_free(core);
    revocation_release(core);
    free_peers(core);
    map_release(&core->nonces);
    map_release(&core->ingests);
    map_release(&core->lives);
    map_release(&core->views);
    map_release(&core->views_by_serial);
    free(core->nonce_ring);
    stale_release(core);
    trust_view_unref(core->view);
    crypto_wipe(&core->config, sizeof(core->config));
    free(core);
}

/* ---- the step ---- */

/* The upload or live that a rejected part was meant for, as far as it says. */
static struct ingest *meant_for(struct core *core, const struct rejection *r)
{
    if (r->has_stream)
        return ingest_find(core, &r->stream);
    size_t cursor = 0;
    for (struct ingest *in; r->by_video && (in = map_next(&core->ingests, &cursor)) != NULL;)
        if (in->use != STREAM_FETCH && slice_eq(r->video_id, id_slice(&in->row.video.video_id)))
            return in;
    return NULL;
}

static void rejected(struct core *core, const struct rejection *r)
{
    core_count(core, r->of_peer                              ? COUNT_peers_refused
                     : r->err == ERR_NOT_READY && !r->answer ? COUNT_parts_unknown_stream
                                                             : COUNT_messages_rejected);
    struct answer to = {.kind = r->reply_kind,
                        .reply_id = r->reply_id,
                        .video_id = r->video_id,
                        .client_id = r->client_id,
                        .chunk_part = r->chunk_part};
    struct ingest *in = meant_for(core, r);
    if (in && in->use != STREAM_FETCH) {
        to.kind = in->use == STREAM_LIVE ? TOPIC_LIVE_UPLOAD_REPLY : TOPIC_UPLOAD_REPLY;
        to.reply_id = id_slice(&in->row.video.streamer_id);
        to.video_id = id_slice(&in->row.video.video_id);
    } else if (!r->answer) {
        core_count(core, COUNT_answers_suppressed);
        return;
    }
    core_answer_error(core, &to, r->err, r->what);
}

/* What a streamer sends after its credential's end is not taken: a live ends, an upload stops. */
static bool expired(struct core *core, struct ingest *in, const struct part_event *ev)
{
    if (core->utc_us < in->not_after_us)
        return false;
    rejected(core, &(struct rejection){.err = ERR_UNAUTHORIZED,
                                       .what = "the credential has ended; log in and init again",
                                       .has_stream = true,
                                       .stream = in->stream,
                                       .chunk_part = ev->part.chunk.number});
    if (in->use == STREAM_LIVE && in->state == INGEST_RUNNING)
        live_end(core, in, "the streamer's credential has ended");
    return true;
}

static void part(struct core *core, struct part_event *ev)
{
    struct ingest *in = ingest_find(core, &ev->part.chunk.stream);
    if (!in || in->state == INGEST_CLAIMING) {
        core_count(core, COUNT_parts_unknown_stream);
        return;
    }
    core_count(core, COUNT_parts_verified);
    static const enum topic_kind expected[] = {[STREAM_UPLOAD] = TOPIC_UPLOAD,
                                               [STREAM_LIVE] = TOPIC_LIVE_UPLOAD,
                                               [STREAM_FETCH] = TOPIC_WATCH_REPLY};
    if (ev->topic != expected[in->use]) {
        core_count(core, COUNT_parts_refused);
        return;
    }
    if (ev->json && !id_eq(&ev->video_id, &in->row.video.video_id)) {
        rejected(core, &(struct rejection){.err = ERR_FORMAT,
                                           .what = "video_id is not the part's",
                                           .has_stream = true,
                                           .stream = in->stream,
                                           .chunk_part = ev->part.chunk.number});
        return;
    }
    if (revocation_stops(core, in)) {
        core_count(core, COUNT_parts_refused);
        return;
    }
    if (expired(core, in, ev))
        return;
    if (in->use == STREAM_UPLOAD)
        upload_part(core, in, ev);
    else if (in->use == STREAM_LIVE)
        live_part(core, in, ev);
    else
        fetch_part(core, in, ev);
}

static void bus_changed(struct core *core, bool up)
{
    for (enum lane lane = 0; lane < LANES; lane++)
        core->bus_up[lane] = up;
    if (!up) {
        live_replays_release(core); /* nobody receives them; joiners ask again */
        sync_hush(core);
        repair_hush(core);
        return;
    }
    core->bus_up_us = core->now_us;
    core->beats = 0;
    core->heartbeat_next_us = core->now_us;
    core->enrol_next_us = core->enrol_next_us > core->now_us ? core->now_us : core->enrol_next_us;
    sync_begin(core);
}

/* The second time there is no more waiting: who drains has taken too long. */
static void stop(struct core *core)
{
    if (core->stopping && !core->drained) {
        core->drained = true;
        presence_offline(core);
        add(core, EFFECT_DRAINED);
    }
    core->stopping = true;
}

static void db_sync(struct core *core, struct event *ev)
{
    enum sync_kind kind = ev->u.db_sync.message.kind;
    if (kind == SYNC_PROBE || kind == SYNC_PROOF)
        custody_message(core, ev);
    else
        repair_message(core, ev);
}

static void dispatch(struct core *core, struct event *ev)
{
    switch (ev->kind) {
    case EVENT_TICK: break;
    case EVENT_BUS_UP: bus_changed(core, true); break;
    case EVENT_BUS_DOWN: bus_changed(core, false); break;
    case EVENT_LOAD: core->load = ev->u.load; break;
    case EVENT_STOP: stop(core); break;
    case EVENT_STORED: core_stored(core, ev->u.done); break;
    case EVENT_REJECTED: rejected(core, &ev->u.rejection); break;
    case EVENT_ZONE_REPLY: zone_reply(core, ev); break;
    case EVENT_ZONE_ERROR: zone_error(core, &ev->u.zone_error); break;
    case EVENT_BUS_DENIED: login_denied(core); break;
    case EVENT_PING: presence_ping(core, &ev->u.ping); break;
    case EVENT_LIST: catalogue_list(core, &ev->u.list); break;
    case EVENT_EDGE_STATUS: presence_status(core, &ev->u.status); break;
    case EVENT_REVOCATIONS: revocation_list(core, ev); break;
    case EVENT_DB_REQUEST: sync_request(core, &ev->u.db_request); break;
    case EVENT_DB_REPLY: sync_reply(core, ev); break;
    case EVENT_DB_UPDATE: catalogue_update(core, ev); break;
    case EVENT_DB_SYNC: db_sync(core, ev); break;
    case EVENT_DB_ROWS: catalogue_rows(core, ev); break;
    case EVENT_DELETE: delete_request(core, ev); break;
    case EVENT_UPLOAD_INIT: claim_init(core, ev, false); break;
    case EVENT_UPLOAD_END: upload_end(core, ev); break;
    case EVENT_LIVE_INIT: claim_init(core, ev, true); break;
    case EVENT_DELEGATION: thumbnail_delegation(core, ev); break;
    case EVENT_THUMBNAIL: thumbnail_made(core, ev->u.thumbnail); break;
    case EVENT_LIVE_END_UNSIGNED: break; /* like silence: LIVE_IDLE_TIMEOUT_US decides */
    case EVENT_PART: part(core, &ev->u.part); break;
    case EVENT_WATCH: watch_request(core, ev); break;
    case EVENT_JOIN: live_join(core, &ev->u.join); break;
    case EVENT_WATCH_INFO: fetch_info(core, ev); break;
    case EVENT_WATCH_END: fetch_end(core, ev); break;
    case EVENT_WATCH_ERROR: fetch_error(core, ev); break;
    }
}

/* End uploads, lives and views that nobody uses any more; give pulls their time. */
static void sweep(struct core *core)
{
    if (core->now_us < core->sweep_next_us && !core->stopping)
        return;
    core->sweep_next_us = core->now_us + SWEEP_US;
    struct ingest *idle = NULL;
    do {
        size_t cursor = 0;
        idle = NULL;
        for (struct ingest *in; !idle && (in = map_next(&core->ingests, &cursor)) != NULL;)
            if (ingest_idle(core, in))
                idle = in;
        if (idle && core_room(core) >= 16)
            ingest_expire(core, idle);
    } while (idle && core_room(core) >= 16);
    watch_tick(core);
}

static void pump(struct core *core)
{
    sweep(core);
    zone_tick(core);
    revocation_tick(core);
    horizon_tick(core); /* before a status shows a root that is none to compare with */
    presence_tick(core);
    sync_tick(core);
    sync_show(core);
    sync_pump(core);
    stale_pump(core);
    catalogue_pump(core);
    gossip_pump(core);
    repair_tick(core);
    live_pump(core);
    custody_tick(core);
    fetch_pump(core);
    watch_pump(core);
    thumbnail_pump(core);
    thumbnail_late_pump(core);
    if (core->view_changed) {
        core->view_changed = false;
        add(core, EFFECT_TRUST);
    }
    bool idle = core->stopping && core->ingests.count == 0 && core->stores_under_way == 0 &&
                (core->gossip_n == 0 || !core->bus_up[LANE_CONTROL]);
    if (idle && !core->drained && core_room(core) >= 2) {
        core->drained = true;
        presence_offline(core);
        add(core, EFFECT_DRAINED);
    }
}

void core_step(struct core *core, struct event *ev, struct effects *fx)
{
    CHECK(fx->n == 0);
    core->fx = fx;
    core->now_us = ev->now_us;
    core->utc_us = ev->utc_us;
    core->live_free_bytes = ev->live_free_bytes;
    core->media_free_bytes = ev->media_free_bytes;
    core->control_free_bytes = ev->control_free_bytes;
    if (core->now_us - core->untrusted_us >= UNTRUSTED_REFILL_US) {
        core->untrusted_us = core->now_us;
        core->untrusted_left_bytes = UNTRUSTED_BYTES_PER_S_MAX;
    }
    clock_check(core);
    if (ev->newer_zone)
        zone_newer(core);
    dispatch(core, ev);
    pump(core);
    effects_own(fx, ev);
    core->fx = NULL;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t core_deadline_us(const struct core *core)
{
    uint64_t at = sooner(presence_deadline_us(core), zone_deadline_us(core));
    if (core->ingests.count || core->views.count || core->stopping)
        at = sooner(at, core->sweep_next_us);
    at = sooner(at, revocation_deadline_us(core));
    at = sooner(at, catalogue_deadline_us(core));
    at = sooner(at, sync_deadline_us(core));
    at = sooner(at, stale_deadline_us(core));
    at = sooner(at, gossip_deadline_us(core));
    at = sooner(at, repair_deadline_us(core));
    at = sooner(at, horizon_deadline_us(core));
    at = sooner(at, custody_deadline_us(core));
    if (sync_telling(core))
        at = sooner(at, core->now_us + UNTRUSTED_TICK_US);
    if (core->replays_n) {
        bool room = core->media_free_bytes > MEDIA_OUTBOX_BYTES_MAX / 2;
        at = sooner(at, core->now_us + (room ? PUMP_AGAIN_US : UNTRUSTED_TICK_US));
    }
    at = sooner(at, watch_deadline_us(core));
    at = sooner(at, fetch_deadline_us(core));
    at = sooner(at, thumbnail_deadline_us(core));
    at = sooner(at, thumbnail_late_deadline_us(core));
    return at > core->now_us ? at : core->now_us + PUMP_AGAIN_US; /* what found no room this time */
}
