/*
 * Uploads: parts in order, acknowledged after their commit, ended by a manifest
 * (docs/PROTOCOL.md §4.2).
 *
 * Invariants
 *   I1  an acknowledgement names (comm_chunk, comm_part), which only a completion
 *       of storage moves: nothing is acknowledged that is not on disk.
 *   I2  after a failed commit nothing is taken until all that was in flight has
 *       come back; then the upload goes on from what is committed.
 */
#include "edge/core/state.h"

enum { HINT_US = 100 * 1000 }; /* at most one hint about a gap in this time */

/* The window shrinks as uploads join, so that together they stay within the total. */
static uint32_t window(struct core *core)
{
    uint32_t share = UPLOAD_WINDOW_TOTAL_BYTES / (core->uploads ? core->uploads : 1);
    if (share > UPLOAD_WINDOW_BYTES_MAX)
        return UPLOAD_WINDOW_BYTES_MAX;
    return share < UPLOAD_WINDOW_BYTES_MIN ? UPLOAD_WINDOW_BYTES_MIN : share;
}

static struct upload_ack *ack_of(struct core *core, struct ingest *in)
{
    struct upload_ack *ack = core_body(core, sizeof(*ack));
    in->window_bytes = window(core);
    *ack = (struct upload_ack){
        .video_id = in->row.video.video_id,
        .edge_id = core->config.edge_id,
        .next = in->comm_chunk,
        .next_part = in->comm_part,
        .window_bytes = in->window_bytes,
    };
    return ack;
}

static void send_ack(struct core *core, const struct ingest *in, const struct upload_ack *ack)
{
    core_count(core, COUNT_acks_sent);
    core_send(core, LANE_CONTROL, TOPIC_UPLOAD_REPLY, core_self(core),
              id_slice(&in->row.video.streamer_id), MESSAGE_UPLOAD_ACK, ack);
}

void upload_ack(struct core *core, struct ingest *in, uint32_t chunk, uint32_t part, bool has_part)
{
    struct upload_ack *ack = ack_of(core, in);
    ack->has_part = has_part;
    ack->chunk_part = chunk;
    ack->packet_index = part;
    send_ack(core, in, ack);
}

void upload_granted(struct core *core, struct ingest *in)
{
    struct upload_ack *ack = ack_of(core, in);
    ack->edge_credential = core_copy(core, slice_of(core->credential_bytes, core->credential_len));
    send_ack(core, in, ack);
}

/* Say where to go on, but not for every part behind the same gap. */
static void hint(struct core *core, struct ingest *in)
{
    if (core->now_us - in->hinted_us < HINT_US)
        return;
    in->hinted_us = core->now_us;
    upload_ack(core, in, 0, 0, false);
}

static void refuse(struct core *core, struct ingest *in, const struct part_event *ev, enum err err,
                   const char *why)
{
    core_count(core, COUNT_parts_refused);
    core_answer_error(core,
                      &(struct answer){.kind = TOPIC_UPLOAD_REPLY,
                                       .reply_id = id_slice(&in->row.video.streamer_id),
                                       .video_id = id_slice(&in->row.video.video_id),
                                       .chunk_part = ev->part.chunk.number},
                      err, why);
}

static bool committed(const struct ingest *in, const struct part_event *ev)
{
    return ev->part.chunk.number < in->comm_chunk ||
           (ev->part.chunk.number == in->comm_chunk && ev->part.index < in->comm_part);
}

void upload_part(struct core *core, struct ingest *in, struct part_event *ev)
{
    if (in->state != INGEST_RUNNING || in->failed != ERR_OK || core->stopping)
        return; /* I2; the streamer sends again after UPLOAD_RTO_MS */
    switch (ingest_put(core, in, ev)) {
    case ERR_OK: break;
    case ERR_CONFLICT:
        core_count(core, COUNT_parts_duplicate);
        if (committed(in, ev))
            upload_ack(core, in, ev->part.chunk.number, ev->part.index, true);
        break;
    case ERR_NOT_READY:
        core_count(core, COUNT_parts_out_of_order);
        hint(core, in);
        break;
    case ERR_QUOTA:
        core_count(core, COUNT_parts_over_window);
        hint(core, in);
        break;
    case ERR_FORMAT:
        refuse(core, in, ev, ERR_FORMAT, "kind, track or init number do not fit this stream");
        break;
    default:
        refuse(core, in, ev, ERR_CONFLICT,
               "another chunk has this number, or it does not follow from the one before");
        break;
    }
}

static void went_wrong(struct core *core, struct ingest *in)
{
    if (in->inflight_parts)
        return; /* I2 */
    enum err err = in->failed;
    core_answer_error(core,
                      &(struct answer){.kind = TOPIC_UPLOAD_REPLY,
                                       .reply_id = id_slice(&in->row.video.streamer_id),
                                       .video_id = id_slice(&in->row.video.video_id),
                                       .verified = true},
                      err,
                      err == ERR_STORAGE_FULL
                          ? "this edge's disk is full; what was acknowledged is kept"
                          : "the edge could not keep it; begin again with init");
    ingest_free(core, in); /* init resumes from the database */
}

static const char *unfinished(enum err err)
{
    switch (err) {
    case ERR_STORAGE_FULL: return "this edge's disk is full; send the end again";
    case ERR_CONFLICT:
        return "another streamer's video has taken this id meanwhile, or yours was deleted or "
               "signed anew; choose another id";
    case ERR_SIGNATURE: return "the manifest does not match what is held";
    default: return "the edge could not keep it; see its log";
    }
}

static void finished(struct core *core, struct ingest *in, enum err err)
{
    if (err == ERR_NOT_READY) { /* parts are missing: say which, go on */
        in->state = INGEST_RUNNING;
        upload_ack(core, in, 0, 0, false);
        return;
    }
    if (err != ERR_OK) {
        core_answer_error(core,
                          &(struct answer){.kind = TOPIC_UPLOAD_REPLY,
                                           .reply_id = id_slice(&in->row.video.streamer_id),
                                           .video_id = id_slice(&in->row.video.video_id),
                                           .verified = true},
                          err, unfinished(err));
        in->state = INGEST_RUNNING;
        return;
    }
    struct upload_ack *ack = core_body(core, sizeof(*ack));
    *ack = (struct upload_ack){
        .video_id = in->row.video.video_id,
        .edge_id = core->config.edge_id,
        .next = in->comm_chunk,
        .next_part = in->comm_part,
        .window_bytes = window(core),
        .receipt = core_copy(core, in->receipt),
        .edge_credential = core_copy(core, slice_of(core->credential_bytes, core->credential_len)),
    };
    core_send(core, LANE_CONTROL, TOPIC_UPLOAD_REPLY, core_self(core),
              id_slice(&in->row.video.streamer_id), MESSAGE_UPLOAD_ACK, ack);
    gossip_add(core, &in->final_row, false);
    thumbnail_finished(core, in);
    core_log(core, false, "video %s complete: %u chunks", in->row.video.video_id.s,
             in->comm_chunk - 1);
    ingest_free(core, in);
}

void upload_done(struct core *core, struct ingest *in, const struct storage_done *done)
{
    if (done->kind == STORAGE_FINISH)
        finished(core, in, done->err);
    else if (in->failed != ERR_OK)
        went_wrong(core, in);
    else if (in->json || !done->u.part_put.more)
        upload_ack(core, in, done->u.part_put.chunk, done->u.part_put.index, true);
}

/* verified: of an upload under way; else anybody may have sent it. */
static void refuse_end(struct core *core, const struct verified_end *v, bool verified, enum err err,
                       const char *why)
{
    struct answer to = {.kind = TOPIC_UPLOAD_REPLY,
                        .reply_id = id_slice(&v->end.streamer_id),
                        .video_id = id_slice(&v->end.video_id),
                        .verified = verified};
    core_answer_error(core, &to, err, why);
}

void upload_end(struct core *core, struct event *ev)
{
    const struct verified_end *v = &ev->u.end;
    struct ingest *in = ingest_find(core, &v->stream);
    if (!in || in->use != STREAM_UPLOAD || in->state == INGEST_CLAIMING) {
        refuse_end(core, v, false, ERR_NOT_READY, "no such upload is under way here; send init");
        return;
    }
    if (revocation_stops(core, in) || in->state == INGEST_FINISHING || in->failed != ERR_OK)
        return;
    /* `created` decides whose a contested id is: what was checked at init must stay. */
    if (v->video.live || v->video.created_us != in->row.video.created_us ||
        !hash_eq(&v->video.thumbnail_hash, &in->row.video.thumbnail_hash)) {
        refuse_end(core, v, true, ERR_FORMAT,
                   "the statement's thumbnail, created or live flag is not the init's");
        return;
    }
    if (v->video.revision_us > core->utc_us + HLC_AHEAD_MAX_US) {
        refuse_end(
            core, v, true, ERR_FORMAT,
            "the statement's revision is more than 5 minutes ahead of this edge's clock; set "
            "yours");
        return;
    }
    struct storage_row row = in->row;
    row.video = v->video;
    row.statement = v->end.statement;
    row.statement_hash = v->statement_hash;
    row.manifest = v->end.manifest;
    in->active_us = core->now_us;
    thumbnail_delegated(core, in, v->end.delegation, v->delegated ? &v->delegation : NULL);
    ingest_finish(core, in, &v->manifest, &row, true);
}
