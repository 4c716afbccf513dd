/*
 * Fetching a copy from an edge that has it: we are that edge's viewer, and our
 * own store's uploader (docs/PROTOCOL.md §4.3). One fetch per video, however
 * many viewers wait for it.
 *
 *   want --COPY_BEGIN--> begun --init to a source--> informed --parts--> all there --FINISH--> held
 *                          ^                             |
 *                          +------ next source <---------+ (silence, gap for good, error, bad part)
 *                                       |
 *                                       +-- none left: failed, the viewers are told
 */
#include "edge/core/state.h"

enum {
    FETCH_WINDOW_BYTES = 1024 * 1024,
    FETCH_ASK_US = 2 * 1000 * 1000, /* an init that is not answered for so long: next source */
    FETCH_ROUNDS = 2,               /* how often every source is tried */
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

void fetch_release(struct core *core, struct ingest *in)
{
    for (unsigned i = 0; i < FETCHES_MAX; i++)
        if (core->fetching[i] == in)
            core->fetching[i] = NULL;
}

static void fail(struct core *core, struct ingest *in, enum err err)
{
    struct id video_id = in->row.video.video_id;
    core_count(core, COUNT_fetches_failed);
    core_log(core, true, "fetch of %s failed: %s; it goes on when somebody asks again", video_id.s,
             err_name(err));
    ingest_free(core, in);
    watch_fail(core, &video_id, err);
}

/* ---- beginning ---- */

/* What the catalogue holds about a video, as a row and a manifest; it was verified when merged. */
static enum err row_of(struct core *core, const struct storage_done *done, struct storage_row *row,
                       struct credential *ret_streamer, struct manifest *ret_manifest)
{
    const struct catalogue_row *c = &done->u.video.row;
    struct slice body;
    struct signature sig;
    enum err err = credential_open(c->credential, &core->zone, ret_streamer);
    if (err == ERR_OK)
        err = manifest_open(c->manifest, &ret_streamer->pk, ret_manifest);
    if (err == ERR_OK)
        err = video_open(c->statement, &ret_streamer->pk, &row->video);
    if (err == ERR_OK)
        err = signed_split(c->statement, &body, &sig);
    if (err != ERR_OK)
        return err;
    row->has_video = true;
    row->stream = done->u.video.stream;
    row->statement_hash = object_hash(OBJECT_VIDEO, body);
    row->statement = c->statement;
    row->credential = c->credential;
    row->manifest = c->manifest;
    row->thumbnail = c->thumbnail;
    row->streamer_name = done->u.video.streamer_name;
    return ERR_OK;
}

void fetch_want(struct core *core, const struct storage_done *video)
{
    if (find_video(core, &video->u.video.row.video_id) || ingest_find(core, &video->u.video.stream))
        return;
    struct storage_row row = {0};
    struct credential streamer;
    struct manifest manifest;
    if (!core->has_zone || row_of(core, video, &row, &streamer, &manifest) != ERR_OK)
        return;
    unsigned slot = 0;
    while (slot < FETCHES_MAX && core->fetching[slot])
        slot++;
    if (slot == FETCHES_MAX)
        return; /* the viewers are answered not_ready, and ask again */
    struct ingest *in = ingest_new(core, STREAM_FETCH, &row.stream, &streamer.pk, &row);
    if (!in)
        return;
    core->fetching[slot] = in;
    in->manifest = manifest;
    in->edges = arena_copy(&in->arena, video->u.video.row.edges);
    core_count(core, COUNT_fetches_started);
    struct storage_op *op = storage_op_new(STORAGE_COPY_BEGIN, TOKEN_OF(TOKEN_INGEST, in->serial));
    op->u.copy_begin.video_id = row.video.video_id;
    op->u.copy_begin.stream = row.stream;
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
    struct peer *p = presence_peer(core, edge);
    return !slice_eq(edge, core_self(core)) && (!p || p->online);
}

static bool next_source(struct core *core, struct ingest *in)
{
    struct slice edge;
    size_t n = 0;
    while (list_at(in->edges, n, &edge))
        n++;
    while (in->sources_tried < n * FETCH_ROUNDS) {
        list_at(in->edges, in->sources_tried++ % n, &edge);
        if (usable(core, edge) && id_parse(edge, &in->source) == ERR_OK)
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

/* Ask the next source, or give up. */
static void ask(struct core *core, struct ingest *in)
{
    in->informed = false;
    if (!next_source(core, in)) {
        fail(core, in, ERR_NOT_READY);
        return;
    }
    in->asked_us = in->active_us = core->now_us;
    struct watch_request *m = request(core, in, WATCH_INIT);
    m->local_only = true;
    send_request(core, in, m);
}

void fetch_begun(struct core *core, const struct storage_done *done)
{
    struct ingest *in = ingest_by_serial(core, TOKEN_NUMBER(done->token));
    if (!in)
        return;
    struct id video_id = in->row.video.video_id;
    if (done->err != ERR_OK) {
        fail(core, in, done->err);
    } else if (done->u.position.finished) {
        ingest_free(core, in);
        watch_wake(core, &video_id);
    } else {
        ingest_start(core, in, &done->u.position);
        ask(core, in);
    }
}

/* ---- answers ---- */

void fetch_info(struct core *core, const struct event *ev)
{
    const struct watch_info *m = &ev->u.watch_info.info;
    struct ingest *in = find_video(core, &m->video_id);
    if (!in || in->state != INGEST_RUNNING || in->informed ||
        !id_eq(&in->source, &ev->u.watch_info.source) || m->token.len > sizeof(in->token))
        return;
    if (m->token.len)
        memcpy(in->token, m->token.ptr, m->token.len);
    in->token_len = m->token.len;
    in->informed = true;
    in->active_us = core->now_us;
    uint32_t share = FETCH_WINDOW_TOTAL_BYTES / core->fetches; /* together within their total */
    pull_init(&in->pull, share < FETCH_WINDOW_BYTES ? share : FETCH_WINDOW_BYTES);
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
        return; /* the next one is a gap, and the pull seeks */
    }
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
    ask(core, in);
}

void fetch_committed(struct core *core, struct ingest *in, const struct storage_done *done)
{
    if (in->failed != ERR_OK) {
        if (in->inflight_parts == 0)
            fail(core, in, in->failed);
        return;
    }
    struct id video_id = in->row.video.video_id;
    if (done->kind == STORAGE_FINISH && done->err != ERR_OK) {
        fail(core, in, done->err);
    } else if (done->kind == STORAGE_FINISH) {
        announce(core, &in->final_row, false);
        core_log(core, false, "video %s: this edge holds a copy now", video_id.s);
        ingest_free(core, in);
        watch_wake(core, &video_id);
    } else {
        if (in->comm_chunk > in->manifest.chunks && in->state == INGEST_RUNNING)
            ingest_finish(core, in, &in->manifest, &in->row, false);
        watch_wake(core, &video_id);
    }
}

/* ---- time ---- */

/* Credit follows the disk: no more is asked for while half a window waits for its commit. */
static bool may_ask(const struct ingest *in)
{
    return in->inflight_bytes <= FETCH_WINDOW_BYTES / 2 || in->pull.seek_due;
}

static void pump_one(struct core *core, struct ingest *in)
{
    if (in->state != INGEST_RUNNING || in->recv_chunk > in->manifest.chunks)
        return;
    if (!in->informed) {
        if (core->now_us - in->asked_us >= FETCH_ASK_US)
            ask(core, in);
        return;
    }
    struct pull_request req;
    while (core_room(core) > 8 && may_ask(in) && pull_next(&in->pull, core->now_us, &req)) {
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
static uint64_t deadline_us(const struct ingest *in)
{
    if (in->state != INGEST_RUNNING || in->recv_chunk > in->manifest.chunks)
        return UINT64_MAX;
    if (!in->informed)
        return in->asked_us + FETCH_ASK_US;
    return may_ask(in) ? pull_deadline_us(&in->pull) : UINT64_MAX;
}

uint64_t fetch_deadline_us(const struct core *core)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; core->fetches && i < FETCHES_MAX; i++) {
        uint64_t mine = core->fetching[i] ? deadline_us(core->fetching[i]) : UINT64_MAX;
        at = mine < at ? mine : at;
    }
    return at;
}
