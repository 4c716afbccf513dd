/*
 * Views: stored videos, pulled (docs/PROTOCOL.md §4.3).
 *
 * Invariants
 *   I1  at most one read of storage is under way per view, and READS_BYTES_MAX in all.
 *   I2  a read is asked for only with credit of the viewer and room in the media outbox:
 *       the more viewers, the smaller each one's share, in turn (round robin).
 *   I3  a view is freed only while nothing is read for it.
 */
#include "base/check.h"
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum { VIEWS_FREED_MAX = 256 }; /* in one pass of a sweep */

/* ---- the table ---- */

static struct slice serial_key(const struct view *v)
{
    return slice_of(&v->serial, sizeof(v->serial));
}

static struct slice key_of(struct core *core, struct slice client_id, const struct id *video_id)
{
    struct slice id = id_slice(video_id);
    uint8_t *key = core_body(core, client_id.len + 1 + id.len);
    memcpy(key, client_id.ptr, client_id.len);
    key[client_id.len] = '/';
    memcpy(key + client_id.len + 1, id.ptr, id.len);
    return slice_of(key, client_id.len + 1 + id.len);
}

static size_t views_of(const struct core *core, struct slice client_id)
{
    size_t n = 0;
    size_t cursor = 0;
    for (struct view *v; (v = map_next(&core->views, &cursor)) != NULL;)
        n += slice_eq(v->client_id, client_id);
    return n;
}

static struct view *view_by_serial(struct core *core, uint64_t serial)
{
    return map_get(&core->views_by_serial, slice_of(&serial, sizeof(serial)));
}

static void view_want(struct core *core, struct view *v, bool wanting)
{
    struct view *turn = core->view_turn;
    if (wanting == v->wanting)
        return;
    v->wanting = wanting;
    if (wanting) { /* behind all others */
        core->views_wanting++;
        v->after = turn ? turn : v;
        v->before = turn ? turn->before : v;
        v->before->after = v->after->before = v;
        core->view_turn = turn ? turn : v;
    } else {
        core->views_wanting--;
        v->before->after = v->after;
        v->after->before = v->before;
        if (turn == v)
            core->view_turn = v->after == v ? NULL : v->after;
    }
}

static void view_free(struct core *core, struct view *v)
{
    view_want(core, v, false);
    map_remove(&core->views_by_serial, serial_key(v));
    map_remove(&core->views, v->key);
    arena_release(&v->arena);
    free(v);
}

/*
 * Who is at a limit goes on to something else: what was not used for longest gives way, unless
 * it is being served. client_id NULL: the edge is at its limit, and what never showed a token
 * gives way, so that strangers keep no viewer out.
 */
static void view_spare(struct core *core, const struct slice *client_id)
{
    struct view *oldest = NULL;
    size_t cursor = 0;
    for (struct view *v; (v = map_next(&core->views, &cursor)) != NULL;)
        if ((client_id ? slice_eq(v->client_id, *client_id) : !v->trusted) && !v->wanting &&
            !v->reading && !v->info_due && (!oldest || v->active_us < oldest->active_us))
            oldest = v;
    if (oldest)
        view_free(core, oldest);
}

/* How many videos one asker watches at once; another edge may fetch all that it can from us. */
static size_t views_max(struct core *core, struct slice client_id)
{
    const struct peer *p = presence_peer(core, client_id);
    return p && !p->revoked ? FETCHES_MAX : VIEWS_PER_CLIENT_MAX;
}

static struct view *view_get(struct core *core, const struct watch_request *m)
{
    struct slice key = key_of(core, m->client_id, &m->video_id);
    struct view *v = map_get(&core->views, key);
    if (v)
        return v;
    size_t max = views_max(core, m->client_id);
    if (views_of(core, m->client_id) >= max)
        view_spare(core, &m->client_id);
    if (core->views.count == VIEWS_MAX)
        view_spare(core, NULL);
    if (core->views.count == VIEWS_MAX || views_of(core, m->client_id) >= max)
        return NULL;
    v = mem_alloc(sizeof(*v));
    v->key = arena_copy(&v->arena, key);
    v->client_id = slice_of(v->key.ptr, m->client_id.len);
    v->video_id = m->video_id;
    v->serial = ++core->serial;
    CHECK(map_put(&core->views, v->key, v) == ERR_OK);
    CHECK(map_put(&core->views_by_serial, serial_key(v), v) == ERR_OK);
    return v;
}

void watch_release(struct core *core)
{
    for (size_t cursor = 0; core->views.count; cursor = 0)
        view_free(core, map_next(&core->views, &cursor));
}

static void view_error(struct core *core, const struct view *v, enum err err, const char *why)
{
    core_answer_error(core,
                      &(struct answer){.kind = TOPIC_WATCH_REPLY,
                                       .reply_id = v->client_id,
                                       .video_id = id_slice(&v->video_id),
                                       .client_id = v->client_id},
                      err, why);
}

/* ---- requests ---- */

static void init(struct core *core, struct view *v, const struct watch_request *m)
{
    v->local_only = m->local_only;
    v->pull_floor = 0;
    if (v->info_due)
        return;
    if (core->stores_under_way >= STORES_UNDER_WAY_MAX) {
        view_error(core, v, ERR_BUSY, "too much at once; try again");
        return;
    }
    v->info_due = true;
    struct storage_op *op = storage_op_new(STORAGE_VIDEO_GET, TOKEN_OF(TOKEN_VIEW, v->serial));
    op->u.video_get.video_id = v->video_id;
    core_store(core, op);
}

static void seek(struct core *core, struct view *v, uint32_t chunk, uint32_t part)
{
    v->chunk = chunk;
    v->part = part;
    v->sent_bytes = v->credited_bytes = 0;
    v->next_bytes = 0;
    v->starved = false;
    view_want(core, v, true);
}

static uint32_t capped(uint32_t window_bytes)
{
    return window_bytes < WATCH_WINDOW_BYTES_MAX ? window_bytes : WATCH_WINDOW_BYTES_MAX;
}

/*
 * Whether who asks has shown that he reads the reply topic: by a token that is valid, or by the
 * one that was when this view began to show it. A film may last longer than a token.
 */
static bool shows_token(struct core *core, struct view *v, struct slice token)
{
    if (core_token_ok(core, v->client_id, token)) {
        memcpy(v->token, token.ptr, TOKEN_BYTES);
        return true;
    }
    return v->trusted && token.len == TOKEN_BYTES && crypto_equal(v->token, token.ptr, TOKEN_BYTES);
}

static void seek_binary(struct core *core, struct view *v, const struct watch_request *m)
{
    bool trusted = shows_token(core, v, m->token);
    uint32_t chunk = m->chunk_part ? m->chunk_part : 1;
    if (v->trusted && !trusted)
        return; /* somebody else's, in this viewer's name */
    if (v->pull_floor && m->pull <= v->pull_floor)
        return; /* an older one, or the same again */
    v->pull_floor = m->pull;
    v->trusted = trusted;
    v->json = false;
    v->pull = m->pull;
    v->stop_chunk = trusted ? 0 : chunk;
    v->allowed_bytes = trusted ? capped(m->window_bytes) : CHUNK_BYTES_MAX * 2ull;
    seek(core, v, chunk, m->part);
}

static void seek_original(struct core *core, struct view *v, const struct watch_request *m)
{
    if (m->chunk_part == UINT32_MAX)
        return;
    v->trusted = shows_token(core, v, m->token);
    v->json = true;
    v->pull = 0;
    v->stop_chunk = m->chunk_part + 1;
    v->allowed_bytes = CHUNK_BYTES_MAX * 2ull;
    seek(core, v, m->chunk_part + 1, 0);
}

static void credit(struct core *core, struct view *v, const struct watch_request *m)
{
    if (v->json || m->pull != v->pull || m->credit_bytes < v->credited_bytes ||
        m->credit_bytes > v->sent_bytes || !shows_token(core, v, m->token))
        return;
    v->credited_bytes = m->credit_bytes;
    v->allowed_bytes = m->credit_bytes + capped(m->window_bytes);
}

void watch_request(struct core *core, const struct event *ev)
{
    const struct watch_request *m = &ev->u.watch;
    if (!reply_id_ok(m->client_id, core->config.allow_token_reply_ids)) {
        core_count(core, COUNT_answers_suppressed);
        return;
    }
    if (m->kind == WATCH_CREDIT && !map_get(&core->views, key_of(core, m->client_id, &m->video_id)))
        return; /* forgotten: the viewer will seek */
    struct view *v = view_get(core, m);
    if (!v || core->stopping) {
        core_count(core, COUNT_views_refused);
        core_answer_error(core,
                          &(struct answer){.kind = TOPIC_WATCH_REPLY,
                                           .reply_id = m->client_id,
                                           .video_id = id_slice(&m->video_id),
                                           .client_id = m->client_id},
                          ERR_BUSY, "this edge serves no more views now; try another");
        return;
    }
    v->active_us = core->now_us;
    switch (m->kind) {
    case WATCH_INIT: init(core, v, m); break;
    case WATCH_SEEK: seek_binary(core, v, m); break;
    case WATCH_PULL_ORIGINAL: seek_original(core, v, m); break;
    case WATCH_CREDIT: credit(core, v, m); break;
    }
}

/* ---- what the video is ---- */

static void count_of(const struct storage_done *done, uint32_t *ret_chunks, uint64_t *ret_bytes)
{
    struct slice body;
    struct signature sig;
    struct manifest manifest;
    *ret_chunks = 0;
    *ret_bytes = 0;
    if (signed_split(done->u.video.row.manifest, &body, &sig) == ERR_OK &&
        manifest_decode(body, &manifest) == ERR_OK) {
        *ret_chunks = manifest.chunks;
        *ret_bytes = manifest.bytes;
    }
}

static void send_info(struct core *core, const struct view *v, const struct storage_done *done)
{
    const struct catalogue_row *row = &done->u.video.row;
    struct watch_info *info = core_body(core, sizeof(*info));
    *info = (struct watch_info){
        .video_id = row->video_id,
        .title = row->title,
        .edge_id = core_self(core),
        .edges = row->edges,
        .streamer_id = row->streamer_id,
        .streamer_name = done->u.video.streamer_name,
        .media_type = done->u.video.media_type,
        .codecs = done->u.video.codecs,
        .live = done->u.video.live,
        .statement = row->statement,
        .credential = row->credential,
        .manifest = row->manifest,
        .token = core_token(core, v->client_id),
        .receipt = done->u.video.receipt,
        .receipt_credential = done->u.video.receipt_credential,
        .delegation = done->u.video.delegation,
        .thumbnail_part = done->u.video.thumbnail_part,
    };
    if (!info->receipt.len)
        fetch_receipt(core, &done->u.video.stream, &info->receipt, &info->receipt_credential);
    count_of(done, &info->chunks, &info->bytes);
    core_send(core, LANE_MEDIA, TOPIC_WATCH_REPLY, core_self(core), v->client_id,
              MESSAGE_WATCH_INFO, info);
}

void watch_video(struct core *core, const struct storage_done *done)
{
    struct view *v = view_by_serial(core, TOKEN_NUMBER(done->token));
    CHECK(v); /* I3: info_due keeps it */
    v->info_due = false;
    if (done->err != ERR_OK) {
        view_error(core, v, done->err, "nothing is known under this id");
        return;
    }
    bool elsewhere = !done->u.video.whole && !done->u.video.live;
    if (elsewhere && v->local_only) {
        view_error(core, v, ERR_UNKNOWN, "this edge does not hold it");
        return;
    }
    if (elsewhere && !done->u.video.row.manifest.len) {
        view_error(core, v, ERR_NOT_READY, "its upload is not finished");
        return;
    }
    if (!v->title.len)
        v->title = arena_copy(&v->arena, done->u.video.row.title);
    if (elsewhere)
        fetch_want(core, done, false);
    else if (done->u.video.whole && !done->u.video.custody)
        custody_touch(core, &v->video_id);
    send_info(core, v, done);
}

/* ---- parts ---- */

static void send_part(struct core *core, const struct view *v, const struct storage_part *part)
{
    if (!v->json) {
        core_packet(core, TOPIC_WATCH_REPLY, core_self(core), v->client_id, part->packet);
        return;
    }
    struct part_json *m = core_body(core, sizeof(*m));
    *m = (struct part_json){.video_id = v->video_id,
                            .video_title = core_copy(core, v->title),
                            .packet = part->packet->payload,
                            .number = part->chunk,
                            .index = part->index,
                            .parts_n = part->parts_n};
    core_send(core, LANE_MEDIA, TOPIC_WATCH_REPLY, core_self(core), v->client_id, MESSAGE_PART_JSON,
              m);
}

static void send_end(struct core *core, struct view *v)
{
    struct watch_end *end = core_body(core, sizeof(*end));
    *end = (struct watch_end){
        .video_id = v->video_id, .has_pull = !v->json, .pull = v->pull, .chunk_part = v->chunk - 1};
    core_send(core, LANE_MEDIA, TOPIC_WATCH_REPLY, core_self(core), v->client_id, MESSAGE_WATCH_END,
              end);
    view_want(core, v, false);
}

/* Whether the viewer's credit and the outbox allow this packet; one always goes. */
static bool may_send(const struct core *core, const struct view *v, size_t len)
{
    if (len > core->media_free_bytes)
        return false;
    return v->sent_bytes == v->credited_bytes || v->sent_bytes + len <= v->allowed_bytes;
}

/* Send what was read; true if all of it went. */
static bool send_parts(struct core *core, struct view *v, const struct storage_done *done)
{
    for (size_t i = 0; i < done->u.parts_read.n; i++) {
        const struct storage_part *part = &done->u.parts_read.parts[i];
        size_t len = part->packet->payload.len;
        if (v->stop_chunk && part->chunk > v->stop_chunk) {
            view_want(core, v, false); /* there is no such part of the chunk: nothing to send */
            return false;
        }
        v->next_bytes = (uint32_t)len;
        if (!may_send(core, v, len))
            return false;
        v->next_bytes = 0;
        send_part(core, v, part);
        core_count(core, COUNT_parts_served);
        v->sent_bytes += len;
        v->chunk = part->chunk;
        v->part = part->index + 1u;
        if (v->part == part->parts_n) {
            v->chunk++;
            v->part = 0;
        }
    }
    return true;
}

static void nothing_there(struct core *core, struct view *v, enum err err)
{
    if (v->woken)
        return; /* it was stored while we read: the pump reads again */
    if (fetch_running(core, &v->video_id)) {
        v->starved = true; /* watch_wake */
        return;
    }
    view_want(core, v, false);
    view_error(core, v, err == ERR_OK ? ERR_NOT_READY : err,
               "these bytes are not here; ask with init first");
}

/*
 * Who showed no token may not be who reads the reply topic: nobody is sent more than a
 * modest rate at another's request, and all of them together no more than one budget.
 */
static void pace(struct core *core, struct view *v, uint64_t bytes)
{
    if (v->trusted)
        return;
    core_untrusted_spend(core, bytes);
    v->not_before_us = core->now_us + bytes * 1000000 / UNTRUSTED_VIEW_BYTES_PER_S_MAX;
}

void watch_parts(struct core *core, struct storage_done *done)
{
    struct view *v = view_by_serial(core, TOKEN_NUMBER(done->token));
    CHECK(v && v->reading); /* I3 */
    v->reading = false;
    core->reads_bytes -= v->read_bytes; /* I1 */
    if (v->read_pull != v->pull || v->read_chunk != v->chunk || v->read_part != v->part)
        return; /* the viewer went elsewhere meanwhile: the pump reads there */
    if (done->err != ERR_OK || (done->u.parts_read.n == 0 && !done->u.parts_read.end)) {
        nothing_there(core, v, done->err);
        return;
    }
    uint64_t sent_before = v->sent_bytes;
    bool all = send_parts(core, v, done);
    pace(core, v, v->sent_bytes - sent_before);
    if (v->stop_chunk && done->u.parts_read.n && v->chunk > v->stop_chunk)
        view_want(core, v, false);
    else if (all && done->u.parts_read.end)
        send_end(core, v);
}

/* I2: not for a packet that was read before and is longer than what the viewer has left. */
static bool may_read(const struct view *v)
{
    return v->wanting && !v->reading && !v->starved &&
           (v->sent_bytes == v->credited_bytes ||
            (v->sent_bytes < v->allowed_bytes &&
             v->sent_bytes + v->next_bytes <= v->allowed_bytes));
}

static void read_for(struct core *core, struct view *v, uint32_t bytes)
{
    v->reading = true;
    v->woken = false;
    v->read_pull = v->pull;
    v->read_chunk = v->chunk;
    v->read_part = v->part;
    v->read_bytes = bytes;
    core->reads_bytes += bytes; /* I1 */
    struct storage_op *op = storage_op_new(STORAGE_PARTS_READ, TOKEN_OF(TOKEN_VIEW, v->serial));
    op->u.parts_read.video_id = v->video_id;
    op->u.parts_read.chunk = v->chunk;
    op->u.parts_read.part = v->part;
    op->u.parts_read.bytes_max = bytes;
    core_store(core, op);
}

/* Whether a view without a token has to wait, and until when the pump may sleep for it. */
static bool paced(struct core *core, const struct view *v)
{
    uint64_t due_us = v->not_before_us;
    if (due_us <= core->now_us && !core_untrusted_left(core))
        due_us = core->untrusted_us + UNTRUSTED_REFILL_US;
    if (v->trusted || due_us <= core->now_us)
        return false;
    core->watch_due_us = due_us < core->watch_due_us ? due_us : core->watch_due_us;
    return true;
}

void watch_pump(struct core *core)
{
    core->watch_due_us = UINT64_MAX;
    struct view *v = core->view_turn;
    for (size_t n = core->views_wanting; n; n--, v = v->after) {
        if (!may_read(v) || paced(core, v))
            continue;
        uint64_t left = v->allowed_bytes > v->sent_bytes ? v->allowed_bytes - v->sent_bytes : 1;
        uint32_t bytes = left < STORE_READ_BYTES_MAX ? (uint32_t)left : STORE_READ_BYTES_MAX;
        uint64_t reads = core->reads_bytes + bytes;
        if (reads > READS_BYTES_MAX ||
            reads + MEDIA_OUTBOX_BYTES_MAX / 2 > core->media_free_bytes || core_room(core) < 8 ||
            core->stores_under_way >= STORES_UNDER_WAY_MAX) {
            core->view_turn = v; /* its turn comes first, or it might never */
            return; /* I1, I2: the next completion or drained outbox comes here again */
        }
        read_for(core, v, bytes);
    }
}

void watch_wake(struct core *core, const struct id *video_id)
{
    size_t cursor = 0;
    for (struct view *v; core->views_wanting && (v = map_next(&core->views, &cursor)) != NULL;)
        if (id_eq(&v->video_id, video_id)) {
            v->starved = false;
            v->woken = v->reading;
        }
}

void watch_fail(struct core *core, const struct id *video_id, enum err err)
{
    size_t cursor = 0;
    for (struct view *v; (v = map_next(&core->views, &cursor)) != NULL;)
        if (v->starved && id_eq(&v->video_id, video_id)) {
            v->starved = false;
            view_want(core, v, false);
            view_error(core, v, err, "no edge that holds it answers; try again later");
        }
}

bool watch_viewers(const struct core *core, const struct id *video_id)
{
    size_t cursor = 0;
    for (const struct view *v; (v = map_next(&core->views, &cursor)) != NULL;)
        if (id_eq(&v->video_id, video_id))
            return true;
    return false;
}

size_t watch_keeps(const struct core *core, struct arena *arena, const struct id **ret)
{
    size_t max = core->views.count + FETCHES_MAX;
    struct id *ids = arena_alloc(arena, max * sizeof(*ids));
    struct map seen;
    map_init(&seen, max);
    size_t n = 0;
    size_t cursor = 0;
    for (const struct view *v; (v = map_next(&core->views, &cursor)) != NULL;) {
        ids[n] = v->video_id;
        n += map_put(&seen, id_slice(&ids[n]), &ids[n]) == ERR_OK;
    }
    for (size_t i = 0; i < FETCHES_MAX; i++) {
        if (!core->fetching[i])
            continue;
        ids[n] = core->fetching[i]->row.video.video_id;
        n += map_put(&seen, id_slice(&ids[n]), &ids[n]) == ERR_OK;
    }
    map_release(&seen);
    *ret = ids;
    return n;
}

void watch_tick(struct core *core)
{
    struct view *idle[VIEWS_FREED_MAX];
    size_t n;
    do {
        size_t cursor = 0;
        n = 0;
        for (struct view *v; n < VIEWS_FREED_MAX && (v = map_next(&core->views, &cursor)) != NULL;)
            if (!v->reading && !v->info_due &&
                (core->stopping || core->now_us - v->active_us > VIEW_IDLE_TIMEOUT_US))
                idle[n++] = v;
        for (size_t i = 0; i < n; i++)
            view_free(core, idle[i]);
    } while (n == VIEWS_FREED_MAX);
}

uint64_t watch_deadline_us(const struct core *core)
{
    return core->watch_due_us;
}
