/*
 * Anything, in any order: whatever streamers, viewers, other edges, the disk
 * and the clock do, the invariants hold after every step, the edge drains when
 * it is told to stop, and the same seed says the same, byte for byte.
 */
#include "tests/unit/edge/stage.h"
#include "tests/unit/jpeg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { STEPS = 15000, STREAMERS = 2, IDS = 8, TAKES = 2, KINDS = 2, CLIENTS = 12, SERIAL = 100 };
enum { SEEDS_MAX = 16 }; /* as many runs as it takes to go everywhere */

static struct member streamers[STREAMERS], edge2;
static struct reel *reels[STREAMERS][IDS][TAKES][KINDS];
static size_t sent[STREAMERS][IDS][TAKES][KINDS]; /* parts, of the run under way */
static uint64_t rng;

static uint32_t below(uint32_t n)
{
    uint64_t z = (rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % n);
}

static struct reel *make(int streamer, int id, int take, int live)
{
    char name[32];
    snprintf(name, sizeof(name), "id%d", id);
    struct reel *r = reel_new(&streamers[streamer], name, (unsigned)take + 1, live);
    if (id % 4) { /* the streamer gives no picture */
        r->thumbnail = (struct slice){0};
        r->video.thumbnail_hash = (struct hash){0};
        reel_sign(r);
    }
    reel_cut(r, CHUNK_INIT, 0, REEL_UTC_US, 700);
    for (int i = 0; i < 12; i++)
        reel_cut(r, CHUNK_MEDIA, i % 3 ? 0 : CHUNK_KEYFRAME, REEL_UTC_US, 20000);
    if (live)
        reel_cut(r, CHUNK_END, 0, REEL_UTC_US, 0);
    reel_finish(r);
    return r;
}

static int group_setup(void **state)
{
    (void)state;
    crypto_init();
    member_make("edge2", CREDENTIAL_EDGE, &edge2);
    for (int s = 0; s < STREAMERS; s++) {
        char name[32];
        snprintf(name, sizeof(name), "streamer%d", s);
        struct member_spec spec = {.kind = CREDENTIAL_STREAMER,
                                   .not_before_us = REEL_UTC_US - REEL_DAY_US,
                                   .not_after_us = REEL_UTC_US + REEL_DAY_US,
                                   .serial = SERIAL + (uint64_t)s};
        member_make_as(name, &spec, &streamers[s]);
        for (int i = 0; i < IDS; i++)
            for (int t = 0; t < TAKES; t++)
                for (int k = 0; k < KINDS; k++)
                    reels[s][i][t][k] = make(s, i, t, k);
    }
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    for (int s = 0; s < STREAMERS; s++)
        for (int i = 0; i < IDS; i++)
            for (int t = 0; t < TAKES; t++)
                for (int k = 0; k < KINDS; k++)
                    reel_free(reels[s][i][t][k]);
    return 0;
}

/* ---- what may happen ---- */

/* Mostly one that counts. */
static struct delegation leave(const struct stage *s, const struct reel *r)
{
    return (struct delegation){.stream = r->stream,
                               .edge_pk = s->edge.key.pk,
                               .tracks_n = 1,
                               .tracks = {below(8) ? 1 : 2},
                               .not_after_us = s->utc_us + 60 * STAGE_S};
}

static void ends(struct stage *s, const struct reel *r)
{
    struct event *ev = stage_end_event(r);
    if (below(4))
        ev->u.end.end.delegation = slice_str("a delegation");
    ev->u.end.delegated = ev->u.end.end.delegation.len && below(8);
    ev->u.end.delegation = leave(s, r);
    stage_step(s, ev);
}

static void delegates(struct stage *s, const struct reel *r)
{
    struct event *ev = event_new(EVENT_DELEGATION);
    ev->u.delegation.message = (struct upload_delegation){.video_id = r->video.video_id,
                                                          .streamer_id = r->video.streamer_id,
                                                          .delegation = slice_str("a delegation")};
    ev->u.delegation.delegation = leave(s, r);
    stage_step(s, ev);
}

/* The child that is running, or one that was asked for before. */
static void child_acts(struct stage *s)
{
    struct event *ev = event_new(EVENT_THUMBNAIL);
    ev->u.thumbnail = thumbnail_job_new(s->core->thumbnail.serial - (below(8) == 0));
    ev->u.thumbnail->err = below(2) ? ERR_OK : ERR_TIMEOUT;
    ev->u.thumbnail->jpeg_len =
        jpeg_make(ev->u.thumbnail->jpeg, 320, 180, below(8) ? 2000 : JPEG_FRAME_BYTES).len;
    stage_step(s, ev);
}

static void streamer_acts(struct stage *s)
{
    uint32_t at[] = {below(STREAMERS), below(IDS), below(TAKES), below(KINDS)};
    if (below(8)) { /* mostly ids that nobody else takes */
        at[1] %= IDS / 2;
        at[0] = at[1] % STREAMERS;
    }
    const struct reel *r = reels[at[0]][at[1]][at[2]][at[3]];
    size_t *n = &sent[at[0]][at[1]][at[2]][at[3]];
    uint32_t what = below(40);
    if (what == 0) {
        stage_step(s, stage_init_event(s, r));
        *n = 0;
    } else if (what == 1 && !r->video.live) {
        ends(s, r);
    } else if (what == 2) {
        *n = below((uint32_t)r->n);
    } else {
        if (r->video.live && below(4) == 0)
            delegates(s, r);
        for (uint32_t i = below(16); i > 0 && *n < r->n; i--) {
            struct event *ev = below(8) ? stage_part_event(r, *n) : stage_part_json_event(r, *n);
            ev->u.part.part.chunk.capture_us = s->utc_us;
            *n += below(30) ? 1 : 2; /* one is lost */
            stage_step(s, ev);
        }
    }
}

static void viewer_acts(struct stage *s)
{
    char client[32];
    char video[32];
    snprintf(client, sizeof(client), "client%u", below(CLIENTS));
    snprintf(video, sizeof(video), "id%u", below(IDS + 1));
    struct slice token = below(4) ? stage_token(s, client) : (struct slice){0};
    if (below(8) == 0) {
        stage_step(s, stage_join_event(client, video, token));
        return;
    }
    struct watch_request m = {
        .kind = (enum watch_kind)below(4),
        .client_id = slice_str(client),
        .video_id = stage_id(video),
        .local_only = below(8) == 0,
        .chunk_part = below(16),
        .part = below(3),
        .pull = below(50),
        .credit_bytes = below(200000),
        .window_bytes = below(300000),
        .token = token,
    };
    stage_step(s, stage_watch_event(&m));
}

static struct event *source_says(void)
{
    static const enum event_kind kinds[] = {EVENT_WATCH_INFO, EVENT_WATCH_END, EVENT_WATCH_ERROR};
    static const char *const ids[IDS] = {"id0", "id1", "id2", "id3", "id4", "id5", "id6", "id7"};
    const char *id = ids[below(IDS)];
    struct event *ev = event_new(kinds[below(8) ? 0 : below(3)]);
    if (ev->kind == EVENT_WATCH_INFO) {
        ev->u.watch_info.source = edge2.id;
        ev->u.watch_info.info.video_id = stage_id(id);
        ev->u.watch_info.info.receipt = below(2) ? slice_str("none") : (struct slice){0};
        ev->u.watch_info.info.delegation = below(2) ? slice_str("none") : (struct slice){0};
    } else if (ev->kind == EVENT_WATCH_END) {
        ev->u.watch_end.source = edge2.id;
        ev->u.watch_end.end = (struct watch_end){.video_id = stage_id(id), .pull = below(4)};
    } else {
        ev->u.watch_error.source = edge2.id;
        ev->u.watch_error.error.video_id = slice_str(id);
    }
    return ev;
}

static void source_sends(struct stage *s)
{
    for (unsigned i = 0; i < FETCHES_MAX; i++) {
        const struct ingest *in = s->core->fetching[i];
        if (!in)
            continue;
        for (int a = 0; a < STREAMERS * IDS * TAKES; a++) {
            const struct reel *r =
                reels[a % STREAMERS][a / STREAMERS % IDS][a / STREAMERS / IDS][0];
            if (!hash_eq(&r->stream, &in->stream) || in->recv_chunk > r->manifest.chunks)
                continue;
            size_t at = reel_at(r, in->recv_chunk ? in->recv_chunk : 1, in->recv_part);
            struct event *ev = stage_part_event(r, at);
            ev->u.part.topic = TOPIC_WATCH_REPLY;
            stage_step(s, ev);
            return;
        }
    }
}

static void asks_for_proof(struct stage *s)
{
    uint32_t id = below(IDS / 2);
    const struct reel *r = reels[id % STREAMERS][id][below(TAKES)][0];
    struct sync_message m = {.kind = SYNC_PROBE, .edge_id = edge2.id};
    m.u.probe.video_id = r->video.video_id;
    m.u.probe.stream = r->stream;
    m.u.probe.n = below(PROBE_PARTS_MAX);
    for (size_t i = 0; i < m.u.probe.n; i++)
        m.u.probe.parts[i].chunk = 1 + below(4);
    stage_step(s, stage_sync_event(&m));
}

/* Now and then a deletion, by either way, and a holding without its claim. */
static void deletes(struct stage *s, const struct reel *r, struct storage_row *row)
{
    uint32_t what = below(12);
    if (what == 0)
        stage_step(s, stage_delete_event(s, r, r->final_video.revision_us + 1, NULL));
    if (what == 1) {
        struct storage_row gone =
            stage_deletion_row(&s->arena, r, r->final_video.revision_us + 1, below(2));
        stage_step(s, stage_row_event(&gone));
    }
    if (what == 2) {
        row->has_video = false;
        stage_step(s, stage_row_event(row));
    }
    if (what == 3)
        stage_step(s, stage_beat_event(&(struct stage_beat){.edge_id = "edge2", .time_us = 1}));
}

static void edges_act(struct stage *s)
{
    uint32_t id = below(8) ? IDS / 2 + below(IDS / 2) : below(IDS); /* mostly no streamer's here */
    const struct reel *r = reels[below(STREAMERS)][id][below(TAKES)][below(KINDS)];
    struct storage_row row =
        stage_row(&s->arena, r, &edge2, (uint8_t)below(2), stage_hlc(s) << below(16) / 15);
    char asker[32];
    struct event *ev;
    switch (below(8)) {
    case 0: stage_step(s, stage_row_event(&row)); break;
    case 6: asks_for_proof(s); break;
    case 7: deletes(s, r, &row); break;
    case 1: stage_step(s, stage_rows_event(&row, 1, 1, below(2))); break;
    case 2: stage_step(s, stage_status_event("edge2", below(8) > 0)); break;
    case 3:
        snprintf(asker, sizeof(asker), "edge%u", below(9));
        ev = event_new(EVENT_DB_REQUEST);
        ev->u.db_request.edge_id = stage_id(asker);
        stage_step(s, ev);
        break;
    case 4: stage_step(s, source_says()); break;
    default: source_sends(s); break;
    }
}

/* A list, mostly a newer one, of which every other names nobody; or somebody who names a newer key.
 */
static void zone_acts(struct stage *s)
{
    static const uint64_t serials[] = {SERIAL, SERIAL + 1, REEL_SERIAL};
    uint64_t number = s->core->revoked.list.number + below(4);
    struct revocation entry = {serials[below(8) ? below(2) : 2], REEL_UTC_US};
    struct reel_list list = {.number = below(4) ? number : number / 2,
                             .issued_us = s->utc_us - below(2) * 60 * STAGE_S,
                             .n = below(2),
                             .entries = &entry};
    struct event *ev = stage_revocations_event(&list);
    if (below(8) == 0) {
        event_free(ev);
        ev = event_new(EVENT_TICK);
        ev->newer_zone = true;
    }
    stage_step(s, ev);
    stage_step(
        s, stage_beat_event(&(struct stage_beat){.edge_id = "edge2", .revocations = number / 2}));
}

static void world_acts(struct stage *s)
{
    struct event *ev;
    switch (below(14)) {
    case 0: stage_step(s, event_new(below(4) ? EVENT_BUS_UP : EVENT_BUS_DOWN)); break;
    case 1:
        s->live_free_bytes = below(2) * below(LIVE_OUTBOX_BYTES_MAX);
        s->media_free_bytes = below(2) * below(MEDIA_OUTBOX_BYTES_MAX);
        break;
    case 2:
        s->live_free_bytes = LIVE_OUTBOX_BYTES_MAX;
        s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX;
        break;
    case 3: memory_store_fail(s->store, ERR_STORAGE_FULL, below(20), below(3)); break;
    case 4: stage_pass(s, below(20) ? below(500 * 1000) : below(20 * 1000 * 1000)); break;
    case 5:
        ev = event_new(EVENT_REJECTED);
        ev->u.rejection = (struct rejection){.err = ERR_SIGNATURE,
                                             .what = "wrong",
                                             .of_peer = below(4) == 0,
                                             .has_stream = true,
                                             .stream = reels[0][below(IDS)][0][below(2)]->stream};
        stage_step(s, ev);
        break;
    case 6:
        ev = event_new(EVENT_LIST);
        ev->u.list = (struct list_request){.client_id = slice_str("client1"), .paged = below(2)};
        stage_step(s, ev);
        break;
    case 7:
        ev = event_new(EVENT_PING);
        ev->u.ping.client_id = slice_str("client1");
        stage_step(s, ev);
        break;
    case 8: zone_acts(s); break;
    case 9:
    case 10: child_acts(s); break;
    default: stage_pass(s, below(10 * 1000)); break;
    }
}

static void disk_acts(struct stage *s)
{
    memory_store_commit(s->store, 1 + below(64));
    for (uint32_t i = below(16); i > 0; i--)
        memory_store_read(s->store);
    stage_complete(s);
}

/* ---- runs ---- */

static struct hash run(uint64_t seed, uint64_t *ret_seen)
{
    struct stage *s = stage_new(&(struct stage_spec){.seed = (uint8_t)seed});
    rng = seed;
    memset(sent, 0, sizeof(sent));
    for (int i = 0; i < STEPS; i++) {
        s->commit_at_once = s->read_at_once = below(50) == 0;
        switch (below(6)) {
        case 0: viewer_acts(s); break;
        case 1: edges_act(s); break;
        case 2: world_acts(s); break;
        case 3: disk_acts(s); break;
        default: streamer_acts(s); break;
        }
        stage_forget(s);
        arena_reset(&s->arena);
    }
    s->commit_at_once = s->read_at_once = true;
    memory_store_fail(s->store, ERR_OK, 0, 0);
    s->live_free_bytes = LIVE_OUTBOX_BYTES_MAX;
    s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX;
    stage_step(s, event_new(EVENT_STOP));
    stage_settle(s);
    stage_pass(s, 2 * SWEEP_US);
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1);
    for (enum core_counter k = 0; k < COUNTERS; k++)
        ret_seen[k] += core_counter(s->core, k);
    struct hash digest = s->digest;
    stage_free(s);
    return digest;
}

/* What needs a limit to be reached, or other edges that answer: see tests/sim. */
static bool rare(enum core_counter k)
{
    static const enum core_counter list[] = {
        COUNT_parts_over_window, COUNT_replays_refused,      COUNT_views_refused,
        COUNT_gossip_dropped,    COUNT_syncs_started,        COUNT_sync_rows_sent,
        COUNT_copies_dropped,    COUNT_cache_evicted,        COUNT_probes_failed,
        COUNT_probes_answered,   COUNT_thumbnails_dropped,   COUNT_thumbnails_kept,
        COUNT_thumbnails_made,   COUNT_thumbnails_displaced,
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (list[i] == k)
            return true;
    return false;
}

/* The name of something that no run has done yet; NULL: they went everywhere. */
static const char *never(const uint64_t *seen)
{
    for (enum core_counter k = 0; k < COUNTERS; k++)
        if (seen[k] == 0 && !rare(k))
            return core_counter_name(k);
    return NULL;
}

static void test_replay(void **state)
{
    (void)state;
    uint64_t seen[COUNTERS] = {0};
    struct hash first = run(1, seen);
    struct hash again = run(1, seen);
    struct hash other = run(2, seen);
    assert_memory_equal(first.b, again.b, HASH_BYTES);
    assert_memory_not_equal(first.b, other.b, HASH_BYTES);
    for (uint64_t seed = 3; never(seen) && seed <= SEEDS_MAX; seed++)
        run(seed, seen);
    if (never(seen))
        fail_msg("%s never happened", never(seen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_replay)};
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
