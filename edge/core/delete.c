/*
 * Deleting a video: its streamer says so, or the zone (docs/PROTOCOL.md §4.8). What is stored
 * is the deletion itself, a row like a statement, which spreads like one and takes the bytes
 * with it wherever it comes.
 *
 *   request --checked--> STORAGE_DELETE --committed--> answered, announced
 */
#include "edge/core/state.h"

static struct answer answer_to(const struct verified_delete *v)
{
    return (struct answer){
        .kind = TOPIC_DELETE_REPLY,
        .reply_id = v->by_zone ? v->request.client_id : id_slice(&v->request.streamer_id),
        .video_id = id_slice(&v->request.video_id),
        .client_id = v->request.client_id,
    };
}

/* Everything that can be said against a deletion without asking storage. */
static enum err judge(struct core *core, const struct verified_delete *v, const char **ret_why)
{
    const struct deletion *d = &v->deletion;
    if (!core_ready(core)) {
        *ret_why = "this edge has no valid credential yet; try again";
        return ERR_NOT_READY;
    }
    if (!id_eq(&d->zone_id, &core->zone.zone_id) || !id_eq(&d->video_id, &v->request.video_id) ||
        !id_eq(&d->streamer_id, &v->request.streamer_id)) {
        *ret_why = "the deletion is of another zone, video or streamer";
        return ERR_FORMAT;
    }
    if (d->revision_us > core->utc_us + HLC_AHEAD_MAX_US) {
        *ret_why = "the deletion's revision is more than 5 minutes ahead of this edge's clock; "
                   "set yours";
        return ERR_FORMAT;
    }
    if (v->by_zone)
        return ERR_OK; /* who brings it does not matter */
    if (!core_entitled(core, &v->credential, &d->streamer_id, ret_why))
        return ERR_UNAUTHORIZED;
    return core_fresh(core, &v->credential.pk, &v->auth, ret_why);
}

static struct pending_delete *pending_of(struct core *core, uint64_t serial)
{
    for (size_t i = 0; i < DELETES_MAX; i++)
        if (core->deletes[i].serial == serial)
            return &core->deletes[i];
    return NULL;
}

static void pending_free(struct pending_delete *p)
{
    arena_release(&p->arena);
    *p = (struct pending_delete){0};
}

void delete_request(struct core *core, const struct event *ev)
{
    const struct verified_delete *v = &ev->u.delete;
    struct answer to = answer_to(v);
    const char *why = "";
    enum err err = judge(core, v, &why);
    if (err != ERR_OK) {
        core_answer_error(core, &to, err, why);
        return;
    }
    struct pending_delete *p = pending_of(core, 0);
    if (!p || core->stores_under_way >= STORES_UNDER_WAY_MAX) {
        core_answer_error(core, &to, ERR_BUSY, "too many deletions at once; try again");
        return;
    }
    struct storage_row row = {
        .has_deletion = true,
        .video = {.zone_id = v->deletion.zone_id,
                  .video_id = v->deletion.video_id,
                  .streamer_id = v->deletion.streamer_id,
                  .revision_us = v->deletion.revision_us},
        .statement_hash = v->deletion_hash,
        .statement = v->request.deletion,
        .credential = v->request.credential,
    };
    p->serial = ++core->serial;
    p->row = storage_row_copy(&p->arena, &row);
    p->reply_id = arena_copy(&p->arena, to.reply_id);
    struct storage_op *op = storage_op_new(STORAGE_DELETE, TOKEN_OF(TOKEN_DELETE, p->serial));
    op->u.row = storage_row_copy(&op->arena, &row);
    core_store(core, op);
}

static const char *refusal(enum err err)
{
    switch (err) {
    case ERR_UNKNOWN: return "no video of this streamer is known here under this id";
    case ERR_CONFLICT: return "there is a newer revision of the video; sign a greater one";
    case ERR_STORAGE_FULL: return "this edge's disk is full; try another edge";
    default: return "the edge could not keep it; see its log";
    }
}

static void deleted(struct core *core, const struct pending_delete *p,
                    const struct storage_done *done)
{
    const struct video *video = &p->row.video;
    if (reply_id_ok(p->reply_id, core->config.allow_token_reply_ids)) {
        struct delete_reply *m = core_body(core, sizeof(*m));
        *m = (struct delete_reply){.video_id = video->video_id, .edge_id = core->config.edge_id};
        core_send(core, LANE_CONTROL, TOPIC_DELETE_REPLY, core_self(core), p->reply_id,
                  MESSAGE_DELETE_REPLY, m);
    }
    if (!done->u.row_merge.changed)
        return; /* the same again: everybody knows */
    core_count(core, COUNT_videos_deleted);
    core_log(core, false, "video %s of %s is deleted%s", video->video_id.s, video->streamer_id.s,
             p->row.credential.len ? "" : " by the zone");
    gossip_add(core, &p->row, true);
    delete_ended(core, &video->video_id, &video->streamer_id, video->revision_us);
}

void delete_done(struct core *core, const struct storage_done *done)
{
    struct pending_delete *p = pending_of(core, TOKEN_NUMBER(done->token));
    if (!p)
        return;
    if (done->err == ERR_OK)
        deleted(core, p, done);
    else
        core_answer_error(core,
                          &(struct answer){.kind = TOPIC_DELETE_REPLY,
                                           .reply_id = p->reply_id,
                                           .video_id = id_slice(&p->row.video.video_id),
                                           .verified = p->row.credential.len > 0},
                          done->err, refusal(done->err));
    pending_free(p);
}

void delete_release(struct core *core)
{
    for (size_t i = 0; i < DELETES_MAX; i++)
        pending_free(&core->deletes[i]);
}

/* ---- what runs under a deleted id ---- */

/* One that the deletion ends; what is being claimed or withdrawn is storage's to decide. */
static struct ingest *next_ended(const struct core *core, const struct id *video_id,
                                 const struct id *streamer_id, uint64_t revision_us)
{
    size_t cursor = 0;
    for (struct ingest *in; (in = map_next(&core->ingests, &cursor)) != NULL;)
        if (id_eq(&in->row.video.video_id, video_id) &&
            id_eq(&in->row.video.streamer_id, streamer_id) &&
            in->row.video.revision_us <= revision_us &&
            (in->use == STREAM_FETCH || in->state == INGEST_RUNNING ||
             (in->use == STREAM_UPLOAD && in->state == INGEST_FINISHING)))
            return in;
    return NULL;
}

static void end(struct core *core, struct ingest *in)
{
    static const char why[] = "the video was deleted";
    if (in->use == STREAM_LIVE) {
        live_cut(core, in, why);
    } else if (in->use == STREAM_FETCH) {
        fetch_fail(core, in, ERR_UNKNOWN);
    } else {
        core_answer_error(core,
                          &(struct answer){.kind = TOPIC_UPLOAD_REPLY,
                                           .reply_id = id_slice(&in->row.video.streamer_id),
                                           .video_id = id_slice(&in->row.video.video_id),
                                           .verified = true},
                          ERR_CONFLICT, why);
        ingest_free(core, in);
    }
}

void delete_ended(struct core *core, const struct id *video_id, const struct id *streamer_id,
                  uint64_t revision_us)
{
    custody_deleted(core, video_id, streamer_id);
    for (struct ingest *in; (in = next_ended(core, video_id, streamer_id, revision_us)) != NULL;)
        end(core, in);
}
