/*
 * Fetching a copy from an edge that has it: we are that edge's viewer, and our
 * own store's uploader (docs/PROTOCOL.md §4.3). One fetch per video, however
 * many viewers wait for it: for them it makes a cached copy, that nobody counts
 * on; for custody a replica, announced when it is whole.
 *
 *   want --COPY_BEGIN--> begun --init to a source--> informed --parts--> all there --FINISH--> held
 *                          ^                             |
 *                          +------ next source <---------+ (silence, gap for good, error, bad part)
 *                          |            |
 *                          +-- pause <--+ all were asked, and one is online
 *                                       +-- none is online, or none brought anything for
 *                                           a while: failed, the viewers are told
 */
#include "edge/core/state.h"

enum {
    FETCH_ASK_US = 2 * 1000 * 1000, /* an init that is not answered for so long: next source */
    FETCH_PAUSE_US = 1000 * 1000,   /* after every source was asked; doubles */
    FETCH_PAUSE_DOUBLINGS_MAX = 3,
    FETCH_HELD_US = 50 * 1000, /* a replica waits for its share of the rate */
    FETCH_PATIENCE_US = 60 * 1000 * 1000,
    REPLICA_PATIENCE_US =
        10 * 1000 * 1000, /* nobody waits for it, and other films may fare better */
};

static struct ingest *find_video(const struct core *core, const struct id *video_id)
{
    for (unsigned i = 0; i < FETCHES_MAX; i++)
        if (core->fetching[i] && id_eq(&core->fetching[i]->row.video.video_id, video_id))
            return core->fetching[i];
    return NULL;
}

bool fetch_running(const struct core *core, const struct id *video_id)
{
    return find_video(core, video_id) != NULL;
}

void fetch_receipt(struct core *core, const struct hash *stream, struct slice *ret_receipt,
                   struct slice *ret_credential)
{
    const struct ingest *in = ingest_find(core, stream);
    if (!in || !in->kept_receipt.len)
        return;
    *ret_receipt = core_copy(core, in->kept_receipt);
    *ret_credential = core_copy(core, in->kept_receipt_credential);
}

void fetch_release(struct core *core, struct ingest *in)
{
    for (unsigned i = 0; i < FETCHES_MAX; i++)
        if (core->fetching[i] == in) {
            core->fetching[i] = NULL;
            core->replications -= in->for_custody;
        }
}

void fetch_fail(struct core *core, struct ingest *in, enum err err)
{
    struct id video_id = in->row.video.video_id;
    bool for_custody = in->for_custody;
    core_count(core, COUNT_fetches_failed);
    core_log(core, true, "fetch of %s failed: %s; it goes on when it is wanted again", video_id.s,
             err_name(err));
    ingest_free(core, in);
    watch_fail(core, &video_id, err);
    custody_fetched(core, &video_id, for_custody, err);
}

/* ---- beginning ---- */

enum err fetch_row(struct core *core, const struct storage_done *done, struct storage_row *ret_row,
                   struct credential *ret_streamer, struct manifest *ret_manifest)
{
    const struct catalogue_row *c = &done->u.video.row;
    struct slice body;
    struct signature sig;
    enum err err = credential_open(c->credential, &core->zone, ret_streamer);
    if (err == ERR_OK)
        err = manifest_open(c->manifest, &ret_streamer->pk, ret_manifest);
    if (err == ERR_OK)
        err = video_open(c->statement, &ret_streamer->pk, &ret_row->video);
    if (err == ERR_OK)
        err = signed_split(c->statement, &body, &sig);
    if (err != ERR_OK)
        return err;
    ret_row->has_video = true;
    ret_row->stream = done->u.video.stream;
    ret_row->statement_hash = object_hash(OBJECT_VIDEO, body);
    ret_row->statement = c->statement;
    ret_row->credential = c->credential;
    ret_row->manifest = c->manifest;
    ret_row->thumbnail = c->thumbnail;
    ret_row->streamer_name = done->u.video.streamer_name;
    return ERR_OK;
}

static unsigned slot_free(const struct core *core)
{
    unsigned slot = 0;
    while (slot < FETCHES_MAX && core->fetching[slot])
        slot++;
    return slot;
}

static void becomes_replica(struct core *core, struct ingest *in)
{
    core->replications += !in->for_custody;
    in->for_custody = true;
}

void fetch_want(struct core *core, const struct storage_done *video, bool for_custody)
{
    struct ingest *in = find_video(core, &video->u.video.row.video_id);
    if (in && for_custody)
        becomes_replica(core, in);
    if (in || ingest_find(core, &video->u.video.stream))
        return;
    struct storage_row row = {0};
    struct credential streamer;
    struct manifest manifest;
    unsigned slot = slot_free(core);
    if (!core->has_zone ||
        slot == FETCHES_MAX || /* viewers are answered not_ready, and ask again */
        fetch_row(core, video, &row, &streamer, &manifest) != ERR_OK)
        return;
    in = ingest_new(core, STREAM_FETCH, &row.stream, &streamer.pk, &row);
    if (!in)
        return;
    core->fetching[slot] = in;
    if (for_custody) {
        becomes_replica(core, in);
        core_count(core, COUNT_copies_begun);
    }
    in->manifest = manifest;
    in->edges = arena_copy(&in->arena, video->u.video.row.edges);
    in->progress_us = core->now_us;
    core_count(core, COUNT_fetches_started);
    struct storage_op *op = storage_op_new(STORAGE_COPY_BEGIN, TOKEN_OF(TOKEN_INGEST, in->serial));
    op->u.copy_begin.video_id = row.video.video_id;
    op->u.copy_begin.stream = row.stream;
    op->u.copy_begin.used_us = core->utc_us;
    core_store(core, op);
}

/* The i-th name of a comma-separated list. */
static bool list_at(struct slice list, size_t i, struct slice *ret)
{
    while (list.len) {
        const uint8_t *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        if (i-- == 0) {
            *ret = slice_of(list.ptr, len);
            return true;
        }
        list = comma ? slice_from(list, len + 1) : (struct slice){0};
    }
    return false;
}

/* One that was never heard of may be there all the same: we may have come a moment ago. */
static bool usable(struct core *core, struct slice edge)
{
    if (slice_eq(edge, core_self(core)))
        return false;
    bool early = core->now_us - core->bus_up_us < PEER_SILENCE_US;
    return presence_online(core, edge) || (early && !presence_peer(core, edge));
}

/* The next source of this round; ret_any: whether there is one at all. */
static bool next_source(struct core *core, struct ingest *in, bool *ret_any)
{
    struct slice edge;
    *ret_any = false;
    for (size_t i = 0; list_at(in->edges, i, &edge); i++) {
        if (!usable(core, edge))
            continue;
        *ret_any = true;
        if (i < in->sources_tried || id_parse(edge, &in->source) != ERR_OK)
            continue;
        in->sources_tried = i + 1;
        return true;
    }
    return false;
}

static struct watch_request *request(struct core *core, const struct ingest *in,
                                     enum watch_kind kind)
{
    struct watch_request *m = core_body(core, sizeof(*m));
    m->kind = kind;
    m->client_id = core_self(core);
    m->video_id = in->row.video.video_id;
    return m;
}

static void send_request(struct core *core, const struct ingest *in, const struct watch_request *m)
{
    core_send(core, LANE_CONTROL, TOPIC_WATCH, id_slice(&in->source), (struct slice){0},
              MESSAGE_WATCH_REQUEST, m);
}

/* All were asked: again after a pause, which grows while none of them brings anything. */
static void pause(struct core *core, struct ingest *in)
{
    in->source = (struct id){0};
    in->sources_tried = 0;
    in->retry_us = core->now_us + ((uint64_t)FETCH_PAUSE_US << in->rounds);
    if (in->rounds < FETCH_PAUSE_DOUBLINGS_MAX)
        in->rounds++;
}

static uint64_t patience_us(const struct core *core, const struct ingest *in)
{
    bool awaited = !in->for_custody || watch_viewers(core, &in->row.video.video_id);
    return awaited ? FETCH_PATIENCE_US : REPLICA_PATIENCE_US;
}

/* Ask the next source, or give up. */
static void ask(struct core *core, struct ingest *in)
{
    bool any;
    in->informed = false;
    if (!next_source(core, in, &any)) {
        if (any && core->now_us - in->progress_us < patience_us(core, in))
            pause(core, in);
        else
            fetch_fail(core, in, ERR_NOT_READY);
        return;
    }
    in->asked_us = core->now_us;
    struct watch_request *m = request(core, in, WATCH_INIT);
    m->local_only = true;
    send_request(core, in, m);
}

/* Every byte is here. */
static void held(struct core *core, struct ingest *in)
{
    struct id video_id = in->row.video.video_id;
    bool said = in->final_row.has_holding;
    ingest_free(core, in);
    watch_wake(core, &video_id);
    custody_fetched(core, &video_id, said, ERR_OK);
}

void fetch_begun(struct core *core, const struct storage_done *done)
{
    struct ingest *in = ingest_by_serial(core, TOKEN_NUMBER(done->token));
    if (!in)
        return;
    if (done->err != ERR_OK) {
        fetch_fail(core, in, done->err);
    } else if (done->u.position.finished) {
        held(core, in);
    } else {
        ingest_start(core, in, &done->u.position);
        if (in->comm_chunk > in->manifest.chunks) /* it was cut off before the end was stored */
            ingest_finish(core, in, &in->manifest, &in->row, false);
        else
            ask(core, in);
    }
}

void fetch_revoked(struct core *core)
{
    for (unsigned i = 0; core->fetches && i < FETCHES_MAX; i++) {
        struct ingest *in = core->fetching[i];
        if (!in || in->state != INGEST_RUNNING || in->recv_chunk > in->manifest.chunks)
            continue;
        const struct peer *p = presence_peer(core, id_slice(&in->source));
        if (p && p->revoked)
            ask(core, in);
    }
}

/* ---- answers ---- */

/* What may be on its way to one fetch: half of its share of the total, since as much may wait for
 * the disk, and one part at least. */
static uint32_t window_of(const struct core *core)
{
    uint32_t share = FETCH_WINDOW_TOTAL_BYTES / 2 / core->fetches;
    return share > PACKET_BYTES_MAX ? share : PACKET_BYTES_MAX;
}

/*
 * The receipt that an edge gave for this stream, as the source shows it: it stays with the copy,
 * and shows one day that the video was there before its streamer was revoked. The first that holds.
 */
static void take_receipt(struct core *core, struct ingest *in, const struct event *ev)
{
    const struct watch_info *m = &ev->u.watch_info.info;
    const struct receipt *r = &ev->u.watch_info.receipt;
    if (!m->receipt.len || in->kept_receipt.len)
        return;
    const struct revocations *list = &core->revoked.list;
    if (!ev->u.watch_info.receipt_holds || !hash_eq(&r->stream, &in->stream) || r->track != 0 ||
        r->last_chunk != in->manifest.chunks || !hash_eq(&r->hash, &in->row.video.manifest_hash) ||
        (list->n && revocations_revoked(list, ev->u.watch_info.receipt_serial, r->time_us))) {
        core_count(core, COUNT_receipts_refused);
        return;
    }
    in->kept_receipt = arena_copy(&in->arena, m->receipt);
    in->kept_receipt_credential = arena_copy(&in->arena, m->receipt_credential);
}

void fetch_info(struct core *core, const struct event *ev)
{
    const struct watch_info *m = &ev->u.watch_info.info;
    struct ingest *in = find_video(core, &m->video_id);
    if (!in)
        thumbnail_late_info(core, ev);
    if (!in || in->state != INGEST_RUNNING || in->informed ||
        !id_eq(&in->source, &ev->u.watch_info.source) || m->token.len > sizeof(in->token))
        return;
    if (m->token.len)
        memcpy(in->token, m->token.ptr, m->token.len);
    in->token_len = m->token.len;
    in->informed = true;
    take_receipt(core, in, ev);
    thumbnail_offered(core, in, ev);
    pull_init(&in->pull, window_of(core));
    pull_start(&in->pull, in->recv_chunk, in->recv_part, core->now_us);
}

void fetch_part(struct core *core, struct ingest *in, struct part_event *ev)
{
    if (in->state != INGEST_RUNNING || !in->informed || in->failed != ERR_OK || core->stopping)
        return;
    const struct part *p = &ev->part;
    bool beyond = p->chunk.number > in->manifest.chunks; /* the manifest would not match any more */
    enum err err = beyond ? ERR_FORMAT : ingest_put(core, in, ev);
    if (err == ERR_FORMAT || err == ERR_SIGNATURE) { /* this source sends what does not follow */
        core_count(core, COUNT_parts_refused);
        ask(core, in);
        return;
    }
    if (err == ERR_QUOTA) {
        core_count(core, COUNT_parts_over_window);
        pull_lost(&in->pull); /* sought again when there is room */
        return;
    }
    if (err == ERR_OK) {
        in->progress_us = core->now_us;
        in->rounds = 0;
    }
    if (in->for_custody)
        custody_spend(core, (uint32_t)ev->packet->payload.len);
    pull_part(&in->pull, p->chunk.number, p->index, p->chunk.parts_n, ev->packet->payload.len,
              core->now_us);
}

void fetch_end(struct core *core, const struct event *ev)
{
    const struct watch_end *m = &ev->u.watch_end.end;
    struct ingest *in = find_video(core, &m->video_id);
    if (!in || in->state != INGEST_RUNNING || !in->informed ||
        !id_eq(&in->source, &ev->u.watch_end.source))
        return;
    pull_end(&in->pull, m->pull, core->now_us);
    if (in->pull.state == PULL_ENDED && in->recv_chunk <= in->manifest.chunks)
        ask(core, in); /* it has less than the manifest names */
}

void fetch_error(struct core *core, const struct event *ev)
{
    struct id video_id;
    if (id_parse(ev->u.watch_error.error.video_id, &video_id) != ERR_OK)
        return;
    struct ingest *in = find_video(core, &video_id);
    if (!in || in->state != INGEST_RUNNING || !id_eq(&in->source, &ev->u.watch_error.source))
        return;
    /* Anybody could have sent it: while verified parts flow it changes nothing. */
    if (in->informed && in->pull.state == PULL_RUNNING)
        return;
    if (ev->u.watch_error.error.code == CODE_BUSY)
        in->progress_us = core->now_us; /* it is there, and will have time */
    ask(core, in);
}

void fetch_committed(struct core *core, struct ingest *in, const struct storage_done *done)
{
    if (in->failed != ERR_OK) {
        if (in->inflight_parts == 0)
            fetch_fail(core, in, in->failed);
        return;
    }
    struct id video_id = in->row.video.video_id;
    if (done->kind == STORAGE_FINISH && done->err != ERR_OK) {
        fetch_fail(core, in, done->err);
    } else if (done->kind == STORAGE_FINISH) {
        if (in->final_row.has_holding)
            gossip_add(core, &in->final_row, false);
        thumbnail_fetched(core, in);
        core_log(core, false, "video %s: this edge holds a %s now", video_id.s,
                 in->final_row.has_holding ? "copy" : "cached copy");
        held(core, in);
    } else {
        if (in->comm_chunk > in->manifest.chunks && in->state == INGEST_RUNNING)
            ingest_finish(core, in, &in->manifest, &in->row, false);
        watch_wake(core, &video_id);
    }
}

/* ---- time ---- */

/* Credit follows the disk: no more is asked for while half a window waits for its commit, and what
 * was lost for want of room is sought when all fetches together leave some. */
static bool may_ask(const struct core *core, const struct ingest *in)
{
    if (in->pull.seek_due)
        return core->fetch_inflight_bytes <= FETCH_WINDOW_TOTAL_BYTES / 2;
    return in->inflight_bytes <= in->pull.window_bytes / 2;
}

/* When the next source is asked: after a pause, or when this one has not answered the init. */
static uint64_t asked_again_us(const struct ingest *in)
{
    return in->source.s[0] ? in->asked_us + FETCH_ASK_US : in->retry_us;
}

/* A replica waits while live traffic or the rate wants it to: no silence of the source's. */
static bool held_back(const struct core *core, const struct ingest *in)
{
    return in->for_custody && !custody_may_fetch(core);
}

static void pump_one(struct core *core, struct ingest *in)
{
    if (in->state != INGEST_RUNNING || in->recv_chunk > in->manifest.chunks)
        return;
    if (!in->informed) {
        if (core->now_us >= asked_again_us(in))
            ask(core, in);
        return;
    }
    if (held_back(core, in)) {
        pull_heard(&in->pull, core->now_us);
        in->progress_us = core->now_us;
        return;
    }
    struct pull_request req;
    in->pull.window_bytes = window_of(core);
    while (core_room(core) > 8 && may_ask(core, in) && pull_next(&in->pull, core->now_us, &req)) {
        struct watch_request *m = request(core, in, req.seek ? WATCH_SEEK : WATCH_CREDIT);
        m->pull = req.pull;
        m->chunk_part = req.chunk;
        m->part = req.part;
        m->credit_bytes = req.credit_bytes;
        m->window_bytes = req.window_bytes;
        m->token = core_copy(core, slice_of(in->token, in->token_len));
        send_request(core, in, m);
    }
    if (in->pull.state == PULL_FAILED)
        ask(core, in);
}

void fetch_pump(struct core *core)
{
    for (unsigned i = 0; core->fetches && i < FETCHES_MAX; i++)
        if (core->fetching[i] && core_room(core) > 16)
            pump_one(core, core->fetching[i]);
}

/* When pump_one has something to do; what waits for a commit goes on with its completion. */
static uint64_t deadline_us(const struct core *core, const struct ingest *in)
{
    if (in->state != INGEST_RUNNING || in->recv_chunk > in->manifest.chunks)
        return UINT64_MAX;
    if (!in->informed)
        return asked_again_us(in);
    if (held_back(core, in))
        return core->now_us + FETCH_HELD_US;
    return may_ask(core, in) ? pull_deadline_us(&in->pull) : UINT64_MAX;
}

uint64_t fetch_deadline_us(const struct core *core)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; core->fetches && i < FETCHES_MAX; i++) {
        uint64_t mine = core->fetching[i] ? deadline_us(core, core->fetching[i]) : UINT64_MAX;
        at = mine < at ? mine : at;
    }
    return at;
}
