/*
 * Giving up a copy that is one too many: only when every edge that is to keep one has just
 * proved that it has it, and none of them is giving up its own meanwhile
 * (docs/PROTOCOL.md §4.7).
 *
 *   begin --hash parts of our own--> asked --every keeper proved them--> giving up --row stored-->
 * gone
 *                                      |
 *                                      +-- PROVE_US passed, a wrong proof, a viewer: kept
 *
 * Invariants
 *   I1  who has answered a probe keeps its copy for VOUCH_US, far longer than the asker waits
 *       for its proofs; who gives up answers none. So of edges that count on each other at
 *       most one gives up.
 *   I2  nothing is given up for VOUCH_US after a start, when what we vouched for is forgotten.
 *   I3  a copy is given up against as many proofs as there are to be replicas.
 */
#include "base/mem.h"
#include "edge/core/state.h"

enum {
    PROVE_US = 10 * 1000 * 1000,
    BEGIN_EVERY_US = 125 * 1000, /* well below what a keeper answers in a second */
    VOUCH_US = 60 * 1000 * 1000,
    AGAIN_US = VIEW_IDLE_TIMEOUT_US, /* after a viewer, or a keeper that was silent */
};

static struct custody_drop *drop_of(struct core *core, const struct id *video_id)
{
    for (size_t i = 0; i < CUSTODY_DROPS_MAX; i++)
        if (core->drops[i].used && id_eq(&core->drops[i].video_id, video_id))
            return &core->drops[i];
    return NULL;
}

static struct custody_drop *drop_by_serial(struct core *core, uint64_t serial)
{
    for (size_t i = 0; i < CUSTODY_DROPS_MAX; i++)
        if (core->drops[i].used && core->drops[i].serial == serial)
            return &core->drops[i];
    return NULL;
}

static struct custody_drop *drop_room(struct core *core)
{
    for (size_t i = 0; i < CUSTODY_DROPS_MAX; i++)
        if (!core->drops[i].used)
            return &core->drops[i];
    return NULL;
}

bool surplus_free(const struct core *core)
{
    if (core->now_us < core->drop_next_us)
        return false;
    for (size_t i = 0; i < CUSTODY_DROPS_MAX; i++)
        if (!core->drops[i].used)
            return true;
    return false;
}

/* ---- vouching ---- */

/* Until when we keep our copy because of what we said; 0: nothing. */
static uint64_t bound_until_us(const struct core *core, const struct id *video_id)
{
    uint64_t until_us = 0;
    for (size_t i = 0; i < core->vouched_n; i++)
        if (core->vouched[i].until_us > until_us && id_eq(&core->vouched[i].video_id, video_id))
            until_us = core->vouched[i].until_us;
    return until_us;
}

/* false: for so many that no more can be remembered. */
static bool vouch(struct core *core, const struct id *video_id)
{
    if (!core->vouched)
        core->vouched = mem_array(VOUCHED_LIST_MAX, sizeof(*core->vouched));
    size_t kept = 0;
    for (size_t i = 0; i < core->vouched_n; i++)
        if (core->vouched[i].until_us > core->now_us &&
            !id_eq(&core->vouched[i].video_id, video_id))
            core->vouched[kept++] = core->vouched[i];
    core->vouched_n = kept;
    if (kept == VOUCHED_LIST_MAX)
        return false;
    core->vouched[core->vouched_n++] =
        (struct vouched){.video_id = *video_id, .until_us = core->now_us + VOUCH_US};
    return true;
}

/* ---- giving up ---- */

bool surplus_begin(struct core *core, const struct storage_row *row, const struct id *keepers,
                   size_t keepers_n)
{
    const struct id *video_id = &row->video.video_id;
    uint64_t until_us = bound_until_us(core, video_id);
    if (core->now_us < core->started_us + VOUCH_US) {        /* I2 */
        custody_sweep_by(core, core->started_us + VOUCH_US); /* many may wait for it */
        return true;
    }
    if (core->now_us < until_us || watch_viewers(core, video_id)) {
        uint64_t again_us = core->now_us + AGAIN_US; /* who made a copy of it was a viewer, too */
        custody_look_at(core, video_id, until_us > again_us ? until_us : again_us);
        return true;
    }
    if (drop_of(core, video_id) || keepers_n < core->config.replicas) /* I3 */
        return true;                                                  /* a later sweep finds it */
    struct custody_drop *d = drop_room(core);
    if (!d || core->stores_under_way >= STORES_UNDER_WAY_MAX)
        return false;
    *d = (struct custody_drop){.used = true,
                               .serial = ++core->serial,
                               .video_id = *video_id,
                               .streamer_id = row->video.streamer_id,
                               .stream = row->stream,
                               .until_us = core->now_us + PROVE_US,
                               .keepers_n = keepers_n};
    core->drop_next_us = core->now_us + BEGIN_EVERY_US;
    memcpy(d->keepers, keepers, keepers_n * sizeof(*keepers));
    core_random(core, d->nonce.b, NONCE_BYTES);
    struct storage_op *op = storage_op_new(STORAGE_PROBE, TOKEN_OF(TOKEN_PROBE, d->serial));
    op->u.probe.video_id = d->video_id;
    op->u.probe.stream = d->stream;
    op->u.probe.nonce = d->nonce;
    op->u.probe.pick = true;
    core_random(core, &op->u.probe.seed, sizeof(op->u.probe.seed));
    core_store(core, op);
    return true;
}

static struct sync_message *message(struct core *core, enum sync_kind kind)
{
    struct sync_message *m = core_body(core, sizeof(*m));
    m->kind = kind;
    m->edge_id = core->config.edge_id;
    return m;
}

static void send(struct core *core, const struct id *to, const struct sync_message *m)
{
    core_send(core, LANE_CONTROL, TOPIC_DB_SYNC, id_slice(to), (struct slice){0}, MESSAGE_SYNC, m);
}

/* Our own hashes are there: ask the keepers for theirs. */
static void ask(struct core *core, struct custody_drop *d, const struct storage_done *done)
{
    if (done->err != ERR_OK || !done->u.probe.n || core_room(core) <= REPLICAS_MAX + EFFECTS_KEPT) {
        d->used = false;
        return;
    }
    d->parts_n = done->u.probe.n;
    memcpy(d->parts, done->u.probe.parts, sizeof(d->parts));
    memcpy(d->hashes, done->u.probe.hashes, sizeof(d->hashes));
    d->until_us = core->now_us + PROVE_US;
    struct sync_message *m = message(core, SYNC_PROBE);
    m->u.probe.video_id = d->video_id;
    m->u.probe.stream = d->stream;
    m->u.probe.nonce = d->nonce;
    m->u.probe.n = d->parts_n;
    memcpy(m->u.probe.parts, d->parts, sizeof(d->parts));
    for (size_t i = 0; i < d->keepers_n; i++)
        send(core, &d->keepers[i], m);
}

static void give_up(struct core *core, struct custody_drop *d)
{
    bool all = !watch_viewers(core, &d->video_id);
    for (size_t i = 0; i < d->keepers_n; i++)
        all = all && presence_online(core, id_slice(&d->keepers[i]));
    struct storage_row row = {
        .stream = d->stream,
        .video = {.video_id = d->video_id, .streamer_id = d->streamer_id},
    };
    d->serial = all && core_ready(core) ? custody_say(core, &row, 0) : 0;
    d->giving_up = d->used = d->serial != 0;
    if (!d->giving_up) {
        custody_look_at(core, &d->video_id, core->now_us + AGAIN_US);
        return;
    }
    core_count(core, COUNT_copies_dropped);
    core_log(core, false, "video %s: enough other edges have proved their copies; ours is surplus",
             d->video_id.s);
}

void surplus_put(struct core *core, uint64_t serial)
{
    struct custody_drop *d = drop_by_serial(core, serial);
    if (d && d->giving_up)
        d->used = false;
}

void surplus_forget(struct core *core, const struct id *video_id, const struct id *streamer_id)
{
    struct custody_drop *d = drop_of(core, video_id);
    if (d && !d->giving_up && id_eq(&d->streamer_id, streamer_id))
        d->used = false;
}

/* ---- proofs ---- */

/* A keeper's proof, whose signature holds. A wrong one is an edge that has not what it says. */
static void check_proof(struct core *core, const struct event *ev)
{
    const struct possession *p = &ev->u.db_sync.possession;
    struct custody_drop *d = drop_of(core, &ev->u.db_sync.message.u.proof.video_id);
    size_t k = 0;
    while (d && k < d->keepers_n && !id_eq(&d->keepers[k], &p->edge_id))
        k++;
    if (!ev->u.db_sync.proved || !d || d->giving_up || !d->parts_n || k == d->keepers_n ||
        !id_eq(&p->asker_id, &core->config.edge_id) || !id_eq(&p->zone_id, &core->zone.zone_id) ||
        !hash_eq(&p->stream, &d->stream) || memcmp(p->nonce.b, d->nonce.b, NONCE_BYTES) != 0) {
        core_count(core, COUNT_messages_rejected);
        return;
    }
    bool right = p->n == d->parts_n;
    for (size_t i = 0; right && i < d->parts_n; i++)
        right = hash_eq(&p->hashes[i], &d->hashes[i]);
    if (!right) {
        core_count(core, COUNT_probes_failed);
        core_log(core, true, "edge %s does not prove its copy of video %s; ours is kept",
                 p->edge_id.s, d->video_id.s);
        d->used = false;
        return;
    }
    d->proved[k] = true;
    size_t proved = 0;
    for (size_t i = 0; i < d->keepers_n; i++)
        proved += d->proved[i];
    if (proved == d->keepers_n)
        give_up(core, d);
}

/* Somebody wants to know whether we have it: rate-limited, and I1. */
static void answer_probe(struct core *core, const struct sync_message *m)
{
    struct probe_answer *a = NULL;
    for (size_t i = 0; !a && i < PROBE_ANSWERS_MAX; i++)
        if (!core->probe_answers[i].serial)
            a = &core->probe_answers[i];
    if (core->now_us / 1000000 != core->probe_second) {
        core->probe_second = core->now_us / 1000000;
        core->probes = 0;
    }
    if (!a || !core_ready(core) || core->stores_under_way >= STORES_UNDER_WAY_MAX ||
        id_eq(&m->edge_id, &core->config.edge_id) ||
        !presence_online(core, id_slice(&m->edge_id)) || !m->u.probe.n ||
        m->u.probe.n > PROBE_PARTS_MAX || core->probes >= PROBES_PER_S_MAX ||
        drop_of(core, &m->u.probe.video_id) || !vouch(core, &m->u.probe.video_id)) {
        core_count(core, COUNT_sync_refused);
        return;
    }
    core->probes++;
    *a = (struct probe_answer){.serial = ++core->serial,
                               .asker = m->edge_id,
                               .video_id = m->u.probe.video_id,
                               .stream = m->u.probe.stream,
                               .nonce = m->u.probe.nonce,
                               .parts_n = m->u.probe.n};
    struct storage_op *op = storage_op_new(STORAGE_PROBE, TOKEN_OF(TOKEN_PROBE, a->serial));
    op->u.probe.video_id = a->video_id;
    op->u.probe.stream = a->stream;
    op->u.probe.nonce = a->nonce;
    op->u.probe.n = a->parts_n;
    memcpy(op->u.probe.parts, m->u.probe.parts, sizeof(op->u.probe.parts));
    core_store(core, op);
}

void custody_message(struct core *core, const struct event *ev)
{
    if (ev->u.db_sync.message.kind == SYNC_PROBE)
        answer_probe(core, &ev->u.db_sync.message);
    else
        check_proof(core, ev);
}

static void prove(struct core *core, const struct probe_answer *a, const struct storage_done *done)
{
    if (done->err != ERR_OK || done->u.probe.n != a->parts_n || !core_ready(core)) {
        core_count(core, COUNT_sync_refused); /* silence says it */
        return;
    }
    struct possession p = {.zone_id = core->zone.zone_id,
                           .edge_id = core->config.edge_id,
                           .asker_id = a->asker,
                           .stream = a->stream,
                           .nonce = a->nonce,
                           .n = (uint16_t)a->parts_n};
    memcpy(p.hashes, done->u.probe.hashes, a->parts_n * sizeof(p.hashes[0]));
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer body = writer_of(buf, sizeof(buf));
    possession_encode(&p, &body);
    uint8_t *object = core_body(core, body.len + SIGNATURE_BYTES);
    struct writer w = writer_of(object, body.len + SIGNATURE_BYTES);
    signed_append(&w, OBJECT_PROOF, slice_of(body.buf, body.len), &core->config.key);
    struct sync_message *m = message(core, SYNC_PROOF);
    m->u.proof.video_id = a->video_id;
    m->u.proof.proof = slice_of(w.buf, w.len);
    core_count(core, COUNT_probes_answered);
    send(core, &a->asker, m);
}

void custody_probed(struct core *core, const struct storage_done *done)
{
    uint64_t serial = TOKEN_NUMBER(done->token);
    struct custody_drop *d = drop_by_serial(core, serial);
    if (d)
        ask(core, d, done);
    for (size_t i = 0; !d && i < PROBE_ANSWERS_MAX; i++)
        if (core->probe_answers[i].serial == serial) {
            prove(core, &core->probe_answers[i], done);
            core->probe_answers[i].serial = 0;
        }
}

/* ---- time ---- */

void surplus_tick(struct core *core)
{
    for (size_t i = 0; i < CUSTODY_DROPS_MAX; i++) {
        struct custody_drop *d = &core->drops[i];
        if (d->used && !d->giving_up && core->now_us >= d->until_us) {
            core_count(core, COUNT_probes_failed);
            custody_look_at(core, &d->video_id, core->now_us + AGAIN_US);
            d->used = false;
        }
    }
}

uint64_t surplus_deadline_us(const struct core *core)
{
    uint64_t at = core->drop_next_us > core->now_us ? core->drop_next_us : UINT64_MAX;
    for (size_t i = 0; i < CUSTODY_DROPS_MAX; i++)
        if (core->drops[i].used && !core->drops[i].giving_up && core->drops[i].until_us < at)
            at = core->drops[i].until_us;
    return at;
}
