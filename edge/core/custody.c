/*
 * Copies: enough of every video, and no more (docs/PROTOCOL.md §4.7). Who makes one and who
 * gives one up is decided in placement.c, by everybody alike; giving up is in surplus.c.
 *
 *   a row was merged, a sweep found it --look--> due --jitter--> read again --judge--+
 *                                                                                    |
 *          LEAVE, or MAKE: fetch | SAY: a cached copy is custody | UNSAY | DROP  <---+
 *
 * Invariants
 *   I1  every decision is made on what the catalogue says after the jitter: of edges that
 *       came to look at the same time, the later ones see what the first one did.
 *   I2  a row of ours is announced only after storage has it, and storage takes only what
 *       is true of the copies here.
 *   I3  nothing cached is dropped before one whole sweep has found what is wanted of it.
 *   I4  at most REPLICATIONS_MAX replicas are fetched at once, none while lives or
 *       viewers fill half of an outbox, and at replication_bytes_per_s together.
 */
#include "base/mem.h"
#include "edge/core/placement.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum {
    REPLICATE_JITTER_US = 3 * 1000 * 1000,
    SWEEP_SOON_US = 2 * 1000 * 1000,  /* after edges came or went: more may follow */
    COPY_AGAIN_US = 60 * 1000 * 1000, /* after a copy that could not be made */
    PEERS_CHECK_US = 1000 * 1000,
    SWEEP_EVERY_US = 600 * 1000 * 1000,
};
#define TRIM_EVERY_US (3600ull * 1000 * 1000)
#define TRIM_WATCHED_US VIEW_IDLE_TIMEOUT_US /* what is being watched stays meanwhile */
#define TOUCH_EVERY_US (60ull * 1000 * 1000)

static bool able(const struct core *core)
{
    return core_ready(core) && core->bus_up[LANE_CONTROL] && horizon_settled(core);
}

static void sooner(uint64_t *at_us, uint64_t us)
{
    *at_us = us < *at_us ? us : *at_us;
}

void custody_sweep_by(struct core *core, uint64_t at_us)
{
    sooner(&core->custody_sweep_us, at_us);
}

/* ---- rate ---- */

bool custody_may_fetch(const struct core *core)
{
    return core->replication_left_bytes > 0 && !core->stopping &&
           core->live_free_bytes > LIVE_OUTBOX_BYTES_MAX / 2 && /* I4 */
           core->media_free_bytes > MEDIA_OUTBOX_BYTES_MAX / 2;
}

void custody_spend(struct core *core, uint32_t bytes)
{
    core->replication_left_bytes -= bytes;
}

static void refill(struct core *core)
{
    uint64_t rate = core->config.replication_bytes_per_s;
    uint64_t passed_us = core->now_us - core->replication_us;
    uint64_t earned = passed_us < 1000000 ? rate * passed_us / 1000000 : rate;
    if (!earned)
        return;
    core->replication_us = core->now_us;
    core->replication_left_bytes += (int64_t)earned;
    if (core->replication_left_bytes > (int64_t)rate)
        core->replication_left_bytes = (int64_t)rate;
}

/* ---- what should be done about a video ---- */

enum verdict {
    LEAVE,
    MAKE,  /* fetch a copy */
    SAY,   /* there is a whole cached copy: answer for it */
    UNSAY, /* our row says that there is one, and there is none */
    DROP,  /* more edges hold it than need to */
};

/* The next name of a comma-separated list; false: no more. */
static bool list_next(struct slice *list, struct slice *ret)
{
    if (!list->len)
        return false;
    const uint8_t *comma = memchr(list->ptr, ',', list->len);
    size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
    *ret = slice_of(list->ptr, len);
    *list = slice_from(*list, comma ? len + 1 : len);
    return true;
}

static bool list_has(struct slice list, struct slice name)
{
    struct slice each;
    while (list_next(&list, &each))
        if (slice_eq(each, name))
            return true;
    return false;
}

static struct place *place_of(struct place *places, size_t n, struct slice id)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq(id_slice(&places[i].edge_id), id))
            return &places[i];
    return NULL;
}

static struct place place_of_peer(struct core *core, const struct peer *p)
{
    return (struct place){.edge_id = p->id,
                          .online = presence_online(core, id_slice(&p->id)),
                          .counted = presence_counted(core, id_slice(&p->id)),
                          .disk_free = p->status.disk_free,
                          .disk_total = p->status.disk_total};
}

/* Every edge that we know, we first, and those that hold the video without our having heard them.
 */
static size_t places_of(struct core *core, struct slice edges, struct place **ret)
{
    size_t n = 0;
    struct slice name;
    for (struct slice rest = edges; list_next(&rest, &name);)
        n++;
    struct place *places = core_body(core, (core->peers.count + 1 + n) * sizeof(*places));
    n = 0;
    places[n++] = (struct place){.edge_id = core->config.edge_id,
                                 .online = true,
                                 .counted = true,
                                 .disk_free = core->load.disk_free,
                                 .disk_total = core->load.disk_total};
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;)
        places[n++] = place_of_peer(core, p);
    while (list_next(&edges, &name)) {
        struct place *p = place_of(places, n, name);
        if (!p && id_parse(name, &places[n].edge_id) == ERR_OK) {
            p = &places[n++];
            p->counted = presence_counted(core, name);
        }
        if (p)
            p->holds = true;
    }
    *ret = places;
    return n;
}

static void count_holders(struct core *core, struct slice edges, unsigned *ret_counted,
                          unsigned *ret_online)
{
    struct slice name;
    *ret_counted = *ret_online = 0;
    while (list_next(&edges, &name)) {
        *ret_counted += presence_counted(core, name) || slice_eq(name, core_self(core));
        *ret_online += presence_online(core, name);
    }
}

/* ret_keepers: DROP: who keep theirs; REPLICAS_MAX long. */
static enum verdict judge(struct core *core, const struct storage_custody *v,
                          struct id *ret_keepers, size_t *ret_keepers_n)
{
    const struct id *self = &core->config.edge_id;
    unsigned replicas = core->config.replicas;
    bool here = list_has(v->edges, core_self(core));
    unsigned counted, online;
    if (here && !v->whole_here)
        return UNSAY;
    count_holders(core, v->edges, &counted, &online);
    if (here ? online <= replicas : counted >= replicas)
        return LEAVE;
    if (!here && !online && !v->whole_here)
        return LEAVE; /* nobody is there to get it from */
    struct place *places;
    size_t n = places_of(core, v->edges, &places);
    if (here)
        return placement_surplus(places, n, self, &v->video_id, replicas, ret_keepers,
                                 ret_keepers_n)
                   ? DROP
                   : LEAVE;
    unsigned missing = placement_missing(places, n, replicas);
    bool makes = placement_makes(places, n, self, &v->video_id, v->bytes, missing);
    if (v->whole_here)
        return makes || !online ? SAY : LEAVE;
    return makes && core->now_us >= core->custody_full_us ? MAKE : LEAVE;
}

/* ---- what is due ---- */

void custody_look_at(struct core *core, const struct id *video_id, uint64_t at_us)
{
    struct custody_due *d = NULL;
    if (!core->custody_due)
        core->custody_due = mem_array(CUSTODY_DUE_MAX, sizeof(*core->custody_due));
    for (size_t i = 0; !d && i < core->custody_due_n; i++)
        if (id_eq(&core->custody_due[i].video_id, video_id))
            d = &core->custody_due[i];
    if (!d && core->custody_due_n == CUSTODY_DUE_MAX) {
        custody_sweep_by(core, core->now_us + SWEEP_SOON_US);
        return;
    }
    if (!d) {
        d = &core->custody_due[core->custody_due_n++];
        *d = (struct custody_due){.video_id = *video_id, .at_us = UINT64_MAX};
    }
    sooner(&d->at_us, at_us);
    core->custody_due_us = core->custody_due_n == 1 ? d->at_us : core->custody_due_us;
    sooner(&core->custody_due_us, d->at_us);
}

void custody_look(struct core *core, const struct id *video_id)
{
    uint32_t random;
    core_random(core, &random, sizeof(random));
    custody_look_at(core, video_id, core->now_us + random % REPLICATE_JITTER_US);
}

static void read_video(struct core *core, const struct id *video_id)
{
    struct storage_op *op = storage_op_new(STORAGE_VIDEO_GET, TOKEN_OF(TOKEN_CUSTODY, 0));
    op->u.video_get.video_id = *video_id;
    core->custody_looks++;
    core_store(core, op);
}

/* Whether a look may begin now; what it may find has room then. */
static bool may_look(const struct core *core)
{
    return core->custody_due_n && core->custody_looks < CUSTODY_LOOKS_MAX &&
           core->replications < REPLICATIONS_MAX && surplus_free(core);
}

/* Read what is due, in the order in which it came; what is not stays. */
static void look(struct core *core)
{
    if (!may_look(core) || core->custody_due_us > core->now_us)
        return;
    size_t kept = 0;
    core->custody_due_us = UINT64_MAX;
    for (size_t i = 0; i < core->custody_due_n; i++) {
        struct custody_due d = core->custody_due[i];
        if (d.at_us <= core->now_us && core->custody_looks < CUSTODY_LOOKS_MAX &&
            core_room(core) > 16 && core->stores_under_way < STORES_UNDER_WAY_MAX) {
            read_video(core, &d.video_id);
            continue;
        }
        core->custody_due[kept++] = d;
        sooner(&core->custody_due_us, d.at_us);
    }
    core->custody_due_n = kept;
}

void custody_correct(struct core *core, const struct id *video_id)
{
    if (able(core) && core->stores_under_way < STORES_UNDER_WAY_MAX && core_room(core) > 16)
        read_video(core, video_id);
    else
        custody_look(core, video_id);
}

/* ---- rows of ours ---- */

uint64_t custody_say(struct core *core, const struct storage_row *video, uint8_t state)
{
    struct custody_put *p = NULL;
    for (size_t i = 0; !p && i < CUSTODY_PUTS_MAX; i++)
        if (!core->puts[i].serial)
            p = &core->puts[i];
    if (!p || core->stores_under_way >= STORES_UNDER_WAY_MAX)
        return 0;
    p->serial = ++core->serial;
    p->row = storage_row_copy(&p->arena, video);
    p->row.has_video = state == 1 && video->statement.len;
    p->row.has_holding = p->row.restamp = true;
    p->row.holding = holding_of(core, &p->row.video, &p->row.stream, state);
    p->row.holding_row = holding_sign(core, &p->arena, OBJECT_CUSTODY, &p->row.holding);
    struct storage_op *op = storage_op_new(STORAGE_CUSTODY_PUT, TOKEN_OF(TOKEN_CUSTODY, p->serial));
    op->u.row = storage_row_copy(&op->arena, &p->row);
    op->u.row.has_video = false;
    core_store(core, op);
    return p->serial;
}

void custody_put(struct core *core, const struct storage_done *done)
{
    for (size_t i = 0; i < CUSTODY_PUTS_MAX; i++) {
        struct custody_put *p = &core->puts[i];
        if (!p->serial || p->serial != TOKEN_NUMBER(done->token))
            continue;
        bool gone = p->row.holding.state == 0;
        if (done->err == ERR_OK && done->u.row_merge.changed)
            gossip_add(core, &p->row, gone); /* I2 */
        if (gone && done->err == ERR_OK)
            core->cache_trim_us = core->now_us;
        surplus_put(core, p->serial);
        if (done->err == ERR_NOT_READY || (done->err == ERR_OK && done->u.row_merge.changed))
            custody_look(core, &p->row.holding.video_id);
        else if (done->err != ERR_OK)
            custody_sweep_by(core, core->now_us + COPY_AGAIN_US);
        arena_release(&p->arena);
        *p = (struct custody_put){0};
        return;
    }
}

/* ---- looking ---- */

static void act(struct core *core, const struct storage_done *done, enum verdict verdict,
                const struct id *keepers, size_t keepers_n)
{
    const struct id *video_id = &done->u.video.row.video_id;
    struct storage_row row = {0};
    struct credential streamer;
    struct manifest manifest;
    if (verdict == LEAVE || fetch_row(core, done, &row, &streamer, &manifest) != ERR_OK)
        return;
    bool room = true;
    switch (verdict) {
    case LEAVE: break;
    case SAY:
    case UNSAY: room = custody_say(core, &row, verdict == SAY) != 0; break;
    case DROP: room = surplus_begin(core, &row, keepers, keepers_n); break;
    case MAKE:
        room = core->replications < REPLICATIONS_MAX;
        if (room)
            fetch_want(core, done, true);
        break;
    }
    if (!room)
        custody_look(core, video_id);
}

void custody_video(struct core *core, const struct storage_done *done)
{
    core->custody_looks--;
    if (done->err != ERR_OK || !able(core) || done->u.video.live || !done->u.video.row.manifest.len)
        return;
    struct slice body;
    struct signature sig;
    struct manifest manifest;
    if (signed_split(done->u.video.row.manifest, &body, &sig) != ERR_OK ||
        manifest_decode(body, &manifest) != ERR_OK)
        return;
    struct storage_custody v = {.video_id = done->u.video.row.video_id,
                                .streamer_id = done->u.video.row.streamer_id,
                                .stream = done->u.video.stream,
                                .bytes = manifest.bytes,
                                .edges = done->u.video.row.edges,
                                .whole_here = done->u.video.whole};
    struct id keepers[REPLICAS_MAX];
    size_t keepers_n = 0;
    enum verdict verdict = judge(core, &v, keepers, &keepers_n);
    act(core, done, verdict, keepers, keepers_n);
}

void custody_fetched(struct core *core, const struct id *video_id, bool for_custody, enum err err)
{
    if (err == ERR_OK && !for_custody) {
        core->cache_trim_us = core->now_us;
        custody_look(core, video_id); /* a copy may be missing that needs no other fetch */
    }
    if (err == ERR_STORAGE_FULL) {
        core->custody_full_us = core->now_us + COPY_AGAIN_US;
        core->cache_trim_us = core->now_us;
    }
    if (err != ERR_OK && for_custody)
        custody_sweep_by(core, core->now_us + COPY_AGAIN_US);
}

void custody_deleted(struct core *core, const struct id *video_id, const struct id *streamer_id)
{
    surplus_forget(core, video_id, streamer_id);
}

/* ---- the sweep ---- */

/* Something that changes whenever an edge comes, goes, or stops being counted. */
static uint64_t peers_sum(struct core *core)
{
    uint64_t sum = core->now_us - core->started_us >= core->config.replica_grace_us;
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;) {
        uint64_t key;
        memcpy(&key, p->pk.b, sizeof(key));
        sum += key * (1u + (presence_online(core, id_slice(&p->id)) ? 2u : 0u) +
                      (presence_counted(core, id_slice(&p->id)) ? 1u : 0u));
    }
    return sum;
}

static void check_peers(struct core *core)
{
    if (core->now_us < core->custody_check_us)
        return;
    core->custody_check_us = core->now_us + PEERS_CHECK_US;
    uint64_t sum = peers_sum(core);
    if (sum == core->custody_peers)
        return;
    core->custody_peers = sum;
    custody_sweep_by(core, core->now_us + SWEEP_SOON_US);
}

/* The sweep waits while what it found before is looked at. */
static bool may_scan(const struct core *core)
{
    return core->custody_sweeping && !core->custody_scanning &&
           core->custody_due_n + STORE_SCAN_MAX <= CUSTODY_DUE_MAX;
}

static void sweep(struct core *core)
{
    if (core->now_us >= core->custody_sweep_us && !core->custody_sweeping) {
        core->custody_sweep_us = core->now_us + SWEEP_EVERY_US;
        if (core->custody_full_us > core->now_us)
            custody_sweep_by(core, core->custody_full_us);
        core->custody_sweeping = true;
        core->custody_after = (struct id){0};
    }
    if (!may_scan(core) || core_room(core) <= 16 || core->stores_under_way >= STORES_UNDER_WAY_MAX)
        return;
    struct storage_op *op = storage_op_new(STORAGE_CUSTODY_SCAN, TOKEN_OF(TOKEN_CUSTODY, 0));
    op->u.custody_scan.after = core->custody_after;
    core->custody_scanning = true;
    core_store(core, op);
}

static void scanned(struct core *core, const struct storage_custody *v)
{
    bool nobodys = !v->edges.len && v->whole_here && !v->custody_here; /* not listed: no look */
    struct id keepers[REPLICAS_MAX];
    size_t keepers_n;
    if (nobodys || core_stamp_ahead(core, v->own_hlc)) {
        struct storage_row row = {
            .stream = v->stream,
            .video = {.video_id = v->video_id, .streamer_id = v->streamer_id},
        };
        if (!custody_say(core, &row, v->whole_here && (nobodys || v->custody_here)))
            custody_sweep_by(core, core->now_us + SWEEP_SOON_US);
    } else if (judge(core, v, keepers, &keepers_n) != LEAVE) {
        custody_look(core, &v->video_id);
    }
}

void custody_scanned(struct core *core, const struct storage_done *done)
{
    core->custody_scanning = false;
    size_t n = done->err == ERR_OK ? done->u.custody_scan.n : 0;
    for (size_t i = 0; i < n && able(core) && core_room(core) > EFFECTS_KEPT; i++)
        scanned(core, &done->u.custody_scan.videos[i]);
    core->custody_sweeping = n && done->u.custody_scan.more;
    if (core->custody_sweeping)
        core->custody_after = done->u.custody_scan.videos[n - 1].video_id;
    else
        core->custody_swept = done->err == ERR_OK && able(core);
}

/* ---- cached copies ---- */

void custody_touch(struct core *core, const struct id *video_id)
{
    struct vouched *oldest = &core->touched[core->touched_next];
    for (size_t i = 0; i < TOUCHES_MAX; i++)
        if (core->touched[i].until_us > core->now_us && id_eq(&core->touched[i].video_id, video_id))
            return;
    if (oldest->until_us > core->now_us || core->stores_under_way >= STORES_UNDER_WAY_MAX)
        return;
    *oldest = (struct vouched){.video_id = *video_id, .until_us = core->now_us + TOUCH_EVERY_US};
    core->touched_next = (core->touched_next + 1) % TOUCHES_MAX;
    struct storage_op *op = storage_op_new(STORAGE_COPY_TOUCH, TOKEN_OF(TOKEN_CUSTODY, 0));
    op->u.copy_touch.video_id = *video_id;
    op->u.copy_touch.used_us = core->utc_us;
    core_store(core, op);
}

static void trim(struct core *core)
{
    if (!core->custody_swept || core->cache_trimming || core->now_us < core->cache_trim_us ||
        core_room(core) <= 16 || core->stores_under_way >= STORES_UNDER_WAY_MAX)
        return;
    core->cache_trim_us = core->now_us + TRIM_EVERY_US;
    struct storage_op *op = storage_op_new(STORAGE_CACHE_TRIM, TOKEN_OF(TOKEN_CUSTODY, 0));
    op->u.cache_trim.bytes_max = core->config.cache_bytes_max;
    op->u.cache_trim.keep_n = watch_keeps(core, &op->arena, &op->u.cache_trim.keep);
    if (op->u.cache_trim.keep_n > STORE_TRIM_KEEP_MAX) {
        core->cache_trim_us = core->now_us + TRIM_WATCHED_US;
        storage_op_free(op);
        return;
    }
    core->cache_trimming = true;
    core_store(core, op);
}

void custody_trimmed(struct core *core, const struct storage_done *done)
{
    core->cache_trimming = false;
    if (done->err != ERR_OK)
        return;
    core->counters[COUNT_cache_evicted] += done->u.cache_trim.dropped;
    if (done->u.cache_trim.bytes <= core->config.cache_bytes_max)
        return;
    core->cache_trim_us = core->now_us;
    if (!done->u.cache_trim.dropped) /* else it goes in slices */
        core->cache_trim_us += TRIM_WATCHED_US;
}

/* ---- time ---- */

void custody_tick(struct core *core)
{
    refill(core);
    surplus_tick(core);
    if (!able(core)) {
        core->custody_swept = core->custody_swept && horizon_settled(core);
        return;
    }
    check_peers(core);
    sweep(core);
    look(core);
    trim(core);
}

uint64_t custody_deadline_us(const struct core *core)
{
    uint64_t at = surplus_deadline_us(core);
    if (!able(core))
        return at;
    if (!core->custody_sweeping)
        sooner(&at, core->custody_sweep_us);
    if (may_scan(core))
        at = core->now_us;
    if (may_look(core))
        sooner(&at, core->custody_due_us);
    if (core->custody_swept && !core->cache_trimming)
        sooner(&at, core->cache_trim_us);
    return at;
}

void custody_release(struct core *core)
{
    for (size_t i = 0; i < CUSTODY_PUTS_MAX; i++)
        arena_release(&core->puts[i].arena);
    free(core->custody_due);
    free(core->vouched);
}
