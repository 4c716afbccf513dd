/*
 * Media coming in: the part of uploads, lives and fetches that is the same.
 * Invariants I1-I3 stand with struct ingest in state.h.
 */
#include "base/check.h"
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

struct ingest *ingest_find(struct core *core, const struct hash *stream)
{
    return map_get(&core->ingests, slice_of(stream->b, HASH_BYTES));
}

struct ingest *ingest_by_serial(struct core *core, uint64_t serial)
{
    size_t cursor = 0;
    for (struct ingest *in; (in = map_next(&core->ingests, &cursor)) != NULL;)
        if (in->serial == serial)
            return in;
    return NULL;
}

static struct slice copied(struct arena *arena, struct slice s)
{
    return s.len ? arena_copy(arena, s) : (struct slice){0};
}

struct storage_row storage_row_copy(struct arena *arena, const struct storage_row *row)
{
    struct storage_row copy = *row;
    copy.statement = copied(arena, row->statement);
    copy.credential = copied(arena, row->credential);
    copy.manifest = copied(arena, row->manifest);
    copy.thumbnail = copied(arena, row->thumbnail);
    copy.streamer_name = copied(arena, row->streamer_name);
    copy.video.title = copied(arena, row->video.title);
    copy.video.description = copied(arena, row->video.description);
    copy.video.category = copied(arena, row->video.category);
    copy.video.media_type = copied(arena, row->video.media_type);
    copy.video.codecs = copied(arena, row->video.codecs);
    copy.holding_row.object = copied(arena, row->holding_row.object);
    copy.holding_row.edge_credential = copied(arena, row->holding_row.edge_credential);
    return copy;
}

static void count_use(struct core *core, enum stream_use use, bool begins)
{
    if (use == STREAM_UPLOAD)
        core->uploads += begins ? 1u : -1u;
    else if (use == STREAM_FETCH)
        core->fetches += begins ? 1u : -1u;
}

/* What is on its way to the disk, of uploads or of fetches: each has a total of its own, so that
 * what viewers cause to be fetched takes nothing from the windows that streamers were granted. */
static uint32_t *inflight_of(struct core *core, const struct ingest *in)
{
    return in->use == STREAM_FETCH ? &core->fetch_inflight_bytes : &core->inflight_bytes;
}

static bool room_for(const struct core *core, enum stream_use use)
{
    size_t lives = core->ingests.count - core->uploads - core->fetches;
    switch (use) {
    case STREAM_UPLOAD: return core->uploads < UPLOADS_MAX;
    case STREAM_FETCH: return core->fetches < FETCHES_MAX;
    case STREAM_LIVE: return lives < LIVES_MAX;
    }
    return false;
}

struct ingest *ingest_new(struct core *core, enum stream_use use, const struct hash *stream,
                          const struct pubkey *signer, const struct storage_row *row)
{
    if (!room_for(core, use))
        return NULL;
    struct ingest *in = mem_alloc(sizeof(*in));
    in->use = use;
    in->serial = ++core->serial;
    in->stream = *stream;
    in->signer = *signer;
    in->row = storage_row_copy(&in->arena, row);
    in->active_us = core->now_us;
    in->not_after_us = UINT64_MAX;
    if (map_put(&core->ingests, slice_of(in->stream.b, HASH_BYTES), in) != ERR_OK) {
        arena_release(&in->arena);
        free(in);
        return NULL;
    }
    count_use(core, use, true);
    return in;
}

void ingest_free(struct core *core, struct ingest *in)
{
    count_use(core, in->use, false);
    *inflight_of(core, in) -= in->inflight_bytes; /* I3 */
    live_release(core, in);
    thumbnail_release(core, in);
    map_remove(&core->ingests, slice_of(in->stream.b, HASH_BYTES));
    if (in->state != INGEST_CLAIMING)
        core_distrust(core, &in->stream); /* I2 */
    fetch_release(core, in);
    arena_release(&in->final_arena);
    arena_release(&in->arena);
    free(in);
}

void ingest_start(struct core *core, struct ingest *in, const struct storage_position *at)
{
    in->recv_chunk = in->comm_chunk = at->next;
    in->recv_part = in->comm_part = at->next_part;
    in->prev = at->prev;
    in->current = at->current;
    in->init_number = at->init_number;
    in->state = INGEST_RUNNING;
    in->active_us = core->now_us;
    core_trust(core, in); /* I2 */
}

/*
 * Whether the statement may stand where the stream is: the rules of PROTOCOL §2.2 that need its
 * past. ERR_FORMAT: against a rule. ERR_SIGNATURE: it follows from another chunk.
 */
static enum err follows(const struct ingest *in, const struct chunk *c)
{
    bool init = c->kind == CHUNK_INIT;
    if (c->track != 0 || c->init_number != (init ? c->number : in->init_number))
        return ERR_FORMAT;
    if (!init && c->number == 1 && slice_eq_str(in->row.video.media_type, "video/mp4"))
        return ERR_FORMAT;
    return hash_eq(&c->prev, &in->prev) ? ERR_OK : ERR_SIGNATURE;
}

static enum err place(const struct ingest *in, const struct part_event *ev)
{
    const struct chunk *c = &ev->part.chunk;
    if (c->number < in->recv_chunk ||
        (c->number == in->recv_chunk && ev->part.index < in->recv_part))
        return ERR_CONFLICT;
    if (c->number > in->recv_chunk || ev->part.index > in->recv_part)
        return ERR_NOT_READY;
    if (in->recv_part > 0)
        return hash_eq(&ev->statement_hash, &in->current) ? ERR_OK : ERR_SIGNATURE;
    return follows(in, c);
}

static void put(struct core *core, struct ingest *in, struct part_event *ev)
{
    struct storage_op *op = storage_op_new(STORAGE_PART_PUT, TOKEN_OF(TOKEN_INGEST, in->serial));
    op->u.part_put.video_id = in->row.video.video_id;
    op->u.part_put.stream = in->stream;
    op->u.part_put.packet = msg_ref(ev->packet);
    op->u.part_put.chunk = ev->part.chunk;
    op->u.part_put.statement = ev->part.statement;
    op->u.part_put.sig = ev->part.sig;
    op->u.part_put.statement_hash = ev->statement_hash;
    op->u.part_put.index = ev->part.index;
    core_store(core, op);
}

enum err ingest_put(struct core *core, struct ingest *in, struct part_event *ev)
{
    uint32_t len = (uint32_t)ev->packet->payload.len;
    enum err err = place(in, ev);
    if (err != ERR_OK)
        return err;
    uint32_t total = in->use == STREAM_FETCH ? FETCH_WINDOW_TOTAL_BYTES : UPLOAD_WINDOW_TOTAL_BYTES;
    if (core->stores_under_way >= STORES_UNDER_WAY_MAX || *inflight_of(core, in) > total - len ||
        (in->inflight_bytes && in->inflight_bytes + len > UPLOAD_WINDOW_BYTES_MAX))
        return ERR_QUOTA;
    put(core, in, ev);
    in->inflight_bytes += len;
    in->inflight_parts++;
    *inflight_of(core, in) += len; /* I3 */
    in->active_us = core->now_us;
    in->json = ev->json;
    in->current = ev->statement_hash;
    if (ev->part.chunk.kind == CHUNK_INIT)
        in->init_number = ev->part.chunk.number;
    if (++in->recv_part == ev->part.chunk.parts_n) {
        in->prev = in->current;
        in->recv_chunk++;
        in->recv_part = 0;
    }
    return ERR_OK;
}

void ingest_committed(struct core *core, struct ingest *in, const struct storage_done *done)
{
    uint32_t len = done->u.part_put.packet_bytes;
    CHECK(in->inflight_parts > 0 && in->inflight_bytes >= len);
    in->inflight_bytes -= len;
    in->inflight_parts--;
    *inflight_of(core, in) -= len; /* I3 */
    if (done->err != ERR_OK) {
        in->failed = in->failed == ERR_OK ? done->err : in->failed;
        return;
    }
    in->comm_chunk = done->u.part_put.chunk;
    in->comm_part = done->u.part_put.index + 1u;
    if (in->comm_part == done->u.part_put.parts_n) {
        in->comm_chunk++;
        in->comm_part = 0;
    }
}

struct holding holding_of(struct core *core, const struct video *video, const struct hash *stream,
                          uint8_t state)
{
    return (struct holding){.zone_id = core->zone.zone_id,
                            .edge_id = core->config.edge_id,
                            .video_id = video->video_id,
                            .streamer_id = video->streamer_id,
                            .stream = *stream,
                            .state = state,
                            .hlc = core_hlc(core)};
}

static struct slice signed_by_us(struct core *core, struct arena *arena, enum object_type type,
                                 const struct writer *body)
{
    CHECK(!body->full);
    size_t cap = body->len + SIGNATURE_BYTES;
    struct writer w = writer_of(arena_alloc(arena, cap), cap);
    signed_append(&w, type, slice_of(body->buf, body->len), &core->config.key);
    CHECK(!w.full);
    return slice_of(w.buf, w.len);
}

struct holding_row holding_sign(struct core *core, struct arena *arena, enum object_type type,
                                const struct holding *holding)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer body = writer_of(buf, sizeof(buf));
    holding_encode(holding, &body);
    return (struct holding_row){
        .type = type,
        .object = signed_by_us(core, arena, type, &body),
        .edge_credential =
            arena_copy(arena, slice_of(core->credential_bytes, core->credential_len)),
    };
}

static struct slice receipt_sign(struct core *core, struct arena *arena, const struct ingest *in,
                                 const struct manifest *manifest, const struct hash *hash)
{
    struct receipt receipt = {.zone_id = core->zone.zone_id,
                              .edge_id = core->config.edge_id,
                              .stream = in->stream,
                              .track = manifest->track,
                              .last_chunk = manifest->chunks,
                              .hash = *hash,
                              .time_us = core->utc_us};
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer body = writer_of(buf, sizeof(buf));
    receipt_encode(&receipt, &body);
    return signed_by_us(core, arena, OBJECT_RECEIPT, &body);
}

void ingest_finish(struct core *core, struct ingest *in, const struct manifest *manifest,
                   const struct storage_row *final_row, bool with_receipt)
{
    struct storage_op *op = storage_op_new(STORAGE_FINISH, TOKEN_OF(TOKEN_INGEST, in->serial));
    struct storage_row *row = &op->u.finish.row;
    *row = storage_row_copy(&op->arena, final_row);
    row->has_holding = row->restamp = in->use == STREAM_UPLOAD || in->for_custody;
    if (row->has_holding) {
        row->holding = holding_of(core, &row->video, &in->stream, 1);
        row->holding_row = holding_sign(core, &op->arena, OBJECT_CUSTODY, &row->holding);
    }
    op->u.finish.stream = in->stream;
    op->u.finish.manifest = *manifest;
    if (with_receipt) {
        op->u.finish.receipt_ours = true;
        op->u.finish.receipt =
            receipt_sign(core, &op->arena, in, manifest, &row->video.manifest_hash);
        op->u.finish.receipt_credential =
            arena_copy(&op->arena, slice_of(core->credential_bytes, core->credential_len));
    } else {
        op->u.finish.receipt = copied(&op->arena, in->kept_receipt);
        op->u.finish.receipt_credential = copied(&op->arena, in->kept_receipt_credential);
    }
    arena_reset(&in->final_arena);
    in->final_row = storage_row_copy(&in->final_arena, row);
    in->receipt = arena_copy(&in->final_arena, op->u.finish.receipt);
    in->state = INGEST_FINISHING;
    core_store(core, op);
}

bool ingest_idle(const struct core *core, const struct ingest *in)
{
    if (in->state == INGEST_CLAIMING || in->state == INGEST_FINISHING || in->inflight_parts)
        return false;
    if (core->stopping)
        return true;
    if (in->use == STREAM_FETCH)
        return false; /* it knows itself how long it waits */
    uint64_t idle_us = core->now_us - in->active_us;
    if (in->use == STREAM_LIVE)
        return idle_us >= LIVE_IDLE_TIMEOUT_US;
    return idle_us >= UPLOAD_IDLE_TIMEOUT_US;
}

void ingest_expire(struct core *core, struct ingest *in)
{
    if (in->use == STREAM_LIVE)
        live_end(core, in, core->stopping ? "the edge is stopping" : "nothing came any more");
    else
        ingest_free(core, in); /* its position is in the database: init resumes it */
}
