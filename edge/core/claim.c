/*
 * The init of an upload or a live: who may, what is claimed, where it goes on
 * (docs/PROTOCOL.md §4.2, §4.4).
 *
 *   init --checked--> CLAIMING --storage CLAIM--> RUNNING, answered
 *                        |                          ^
 *                        +-- conflict: answered     +-- init again: answered from what is committed
 */
#include "edge/core/state.h"

static struct answer answer_to(const struct storage_row *row, bool live)
{
    return (struct answer){
        .kind = live ? TOPIC_LIVE_UPLOAD_REPLY : TOPIC_UPLOAD_REPLY,
        .reply_id = id_slice(&row->video.streamer_id),
        .video_id = id_slice(&row->video.video_id),
    };
}

/* Everything that can be said against an init without asking storage. */
static enum err judge(struct core *core, const struct verified_init *v, bool live,
                      const char **ret_why)
{
    if (!core_ready(core)) {
        *ret_why = "this edge has no valid credential yet; try again";
        return ERR_NOT_READY;
    }
    if (!core_entitled(core, &v->credential, &v->video.streamer_id, ret_why))
        return ERR_UNAUTHORIZED;
    if (v->video.live != live) {
        *ret_why = "the statement's live flag does not belong on this topic";
        return ERR_FORMAT;
    }
    if (v->video.revision_us > core->utc_us + HLC_AHEAD_MAX_US) {
        *ret_why = "the statement's revision is more than 5 minutes ahead of this edge's clock; "
                   "set yours";
        return ERR_FORMAT;
    }
    if (core->root.horizon_us && v->video.revision_us <= core->root.horizon_us) {
        *ret_why = "the statement's revision is of before deletions are remembered: the other "
                   "edges would not take it; sign a newer one";
        return ERR_FORMAT;
    }
    return core_fresh(core, &v->credential.pk, &v->auth, ret_why);
}

static struct storage_row row_of(struct core *core, const struct verified_init *v)
{
    uint64_t now = core->utc_us;
    uint64_t created = v->video.created_us;
    uint64_t apart = created > now ? created - now : now - created;
    return (struct storage_row){
        .only_resume = apart > CREATED_WINDOW_US,
        .has_video = true,
        .video = v->video,
        .stream = v->stream,
        .statement_hash = v->statement_hash,
        .statement = v->init.statement,
        .credential = v->init.credential,
        .thumbnail = v->init.thumbnail,
        .streamer_name = v->credential.display_name,
    };
}

/* The answer to an init of a live or of an upload that runs here already. */
static void answer_running(struct core *core, struct ingest *in)
{
    if (in->use == STREAM_UPLOAD) {
        upload_granted(core, in);
        return;
    }
    struct upload_ack *ack = core_body(core, sizeof(*ack));
    *ack = (struct upload_ack){
        .video_id = in->row.video.video_id,
        .edge_id = core->config.edge_id,
        .next = in->last_number + 1,
        .edge_credential = core_copy(core, slice_of(core->credential_bytes, core->credential_len))};
    core_send(core, LANE_CONTROL, TOPIC_LIVE_UPLOAD_REPLY, core_self(core),
              id_slice(&in->row.video.streamer_id), MESSAGE_UPLOAD_ACK, ack);
}

/* Another ingest of this kind and video id, in CLAIMING or past it; NULL: there is none. */
static struct ingest *other(struct core *core, enum stream_use use, const struct id *video_id,
                            const struct ingest *in, bool claiming)
{
    size_t cursor = 0;
    for (struct ingest *x; (x = map_next(&core->ingests, &cursor)) != NULL;)
        if (x != in && x->use == use && (x->state == INGEST_CLAIMING) == claiming &&
            id_eq(&x->row.video.video_id, video_id))
            return x;
    return NULL;
}

/*
 * A live that runs under this id for another stream of the same streamer is replaced, once the
 * new claim is stored: its presence takes the old one's place. Hence no second claim of an id
 * before the first one was answered.
 */
static enum err may_claim(struct core *core, const struct verified_init *v, const char **ret_why)
{
    const struct ingest *old = map_get(&core->lives, id_slice(&v->video.video_id));
    if (other(core, STREAM_LIVE, &v->video.video_id, NULL, true)) {
        *ret_why = "another init for this id is being answered; try again";
        return ERR_BUSY;
    }
    if (old && !id_eq(&old->row.video.streamer_id, &v->video.streamer_id)) {
        *ret_why = "a live of another streamer runs under this id";
        return ERR_CONFLICT;
    }
    return ERR_OK;
}

/* No streamer takes all the places of an edge. */
static enum err share(struct core *core, const struct id *streamer_id, bool live,
                      const char **ret_why)
{
    size_t n = 0;
    size_t cursor = 0;
    for (struct ingest *x; (x = map_next(&core->ingests, &cursor)) != NULL;)
        n += x->use == (live ? STREAM_LIVE : STREAM_UPLOAD) && x->state != INGEST_FINISHING &&
             id_eq(&x->row.video.streamer_id, streamer_id);
    *ret_why = "this streamer has too many streams under way here; end one";
    return n < (live ? LIVES_PER_STREAMER_MAX : UPLOADS_PER_STREAMER_MAX) ? ERR_OK : ERR_QUOTA;
}

/* Joiners get the new credential, and so does who reads the row of a live; an upload's row is
 * stored with it in the end. */
static void renewed(struct core *core, const struct ingest *in)
{
    if (in->use != STREAM_LIVE || in->state != INGEST_RUNNING ||
        core->stores_under_way >= STORES_UNDER_WAY_MAX)
        return;
    struct storage_op *op = storage_op_new(STORAGE_ROW_MERGE, TOKEN_OF(TOKEN_INGEST, in->serial));
    op->u.row = storage_row_copy(&op->arena, &in->row);
    op->u.row.has_holding = false;
    core_store(core, op);
}

/* An upload or live that is under way goes on, perhaps with a newer credential. */
static void claim_again(struct core *core, struct ingest *in, const struct verified_init *v)
{
    in->active_us = core->now_us;
    if (pubkey_eq(&in->signer, &v->credential.pk) &&
        v->credential.not_after_us > in->not_after_us) {
        in->not_after_us = v->credential.not_after_us;
        in->credential_serial = v->credential.serial;
        in->row.credential = arena_copy(&in->arena, v->init.credential);
        renewed(core, in);
    }
    if (in->state == INGEST_RUNNING && in->failed == ERR_OK)
        answer_running(core, in); /* else what is under way answers */
}

void claim_init(struct core *core, struct event *ev, bool live)
{
    const struct verified_init *v = &ev->u.init;
    struct storage_row row = row_of(core, v);
    struct answer to = answer_to(&row, live);
    const char *why = "";
    enum err err = judge(core, v, live, &why);
    if (err != ERR_OK) {
        core_answer_error(core, &to, err, why); /* anybody could have sent it again */
        return;
    }
    to.verified = true;
    struct ingest *in = ingest_find(core, &v->stream);
    if (in && in->use == STREAM_FETCH) {
        core_answer_error(core, &to, ERR_CONFLICT, "this stream is complete at another edge");
        return;
    }
    if (in) {
        claim_again(core, in, v);
        return;
    }
    err = share(core, &v->video.streamer_id, live, &why);
    if (err == ERR_OK && live)
        err = may_claim(core, v, &why);
    if (err != ERR_OK) {
        core_answer_error(core, &to, err, why);
        return;
    }
    in = ingest_new(core, live ? STREAM_LIVE : STREAM_UPLOAD, &v->stream, &v->credential.pk, &row);
    if (!in) {
        core_answer_error(core, &to, ERR_BUSY, "this edge takes no more streams now; try another");
        return;
    }
    in->not_after_us = v->credential.not_after_us;
    in->credential_serial = v->credential.serial;
    if (live) {
        in->row.has_holding = in->row.restamp = true;
        core_hlc(core); /* left free: a live that this one replaces may end before it is stored */
        in->row.holding = holding_of(core, &in->row.video, &in->stream, 1);
        in->row.holding_row = holding_sign(core, &in->arena, OBJECT_PRESENCE, &in->row.holding);
    }
    struct storage_op *op = storage_op_new(STORAGE_CLAIM, TOKEN_OF(TOKEN_INGEST, in->serial));
    op->u.row = storage_row_copy(&op->arena, &in->row);
    core_store(core, op);
}

/* Of a receipt: of the key that signs now the newest credential; of one that this edge had before,
 * the one of then. */
static struct slice receipt_credential(struct core *core, const struct storage_position *at)
{
    struct credential c;
    bool before = credential_open(at->receipt_credential, &core->zone, &c) == ERR_OK &&
                  !pubkey_eq(&c.pk, &core->config.key.pk);
    return core_copy(core, before ? at->receipt_credential
                                  : slice_of(core->credential_bytes, core->credential_len));
}

/* A finished upload whose streamer lost the last answer: the same answer again. */
static void answer_finished(struct core *core, struct ingest *in, const struct storage_position *at)
{
    struct upload_ack *ack = core_body(core, sizeof(*ack));
    *ack = (struct upload_ack){
        .video_id = in->row.video.video_id,
        .edge_id = core->config.edge_id,
        .next = at->next,
        .next_part = at->next_part,
        .window_bytes = UPLOAD_WINDOW_BYTES_MIN,
        .receipt = core_copy(core, at->receipt),
        .edge_credential = receipt_credential(core, at),
    };
    core_send(core, LANE_CONTROL, TOPIC_UPLOAD_REPLY, core_self(core),
              id_slice(&in->row.video.streamer_id), MESSAGE_UPLOAD_ACK, ack);
}

static const char *refusal(enum err err)
{
    switch (err) {
    case ERR_CONFLICT:
        return "this id belongs to a finished video or another streamer, or `created` is more than "
               "5 minutes from this edge's clock; choose another id";
    case ERR_STORAGE_FULL: return "this edge's disk is full; try another edge";
    default: return "the edge could not keep it; see its log";
    }
}

void claim_done(struct core *core, const struct storage_done *done)
{
    struct ingest *in = ingest_by_serial(core, TOKEN_NUMBER(done->token));
    if (!in)
        return;
    bool live = in->use == STREAM_LIVE;
    struct answer to = answer_to(&in->row, live);
    to.verified = true;
    if (done->err != ERR_OK) {
        core_answer_error(core, &to, done->err, refusal(done->err));
        ingest_free(core, in);
        return;
    }
    /* Finished, but fetched from another edge: no receipt of ours yet. The end will bring one. */
    bool receipt_due = !live && !done->u.position.receipt_ours;
    if (done->u.position.finished && !receipt_due) {
        if (live)
            core_answer_error(core, &to, ERR_CONFLICT, refusal(ERR_CONFLICT));
        else
            answer_finished(core, in, &done->u.position);
        ingest_free(core, in);
        return;
    }
    /* An upload that this one replaces: storage has dropped it. What is in flight of it comes back
     * to nobody. */
    struct ingest *old = other(core, STREAM_UPLOAD, &in->row.video.video_id, in, false);
    if (old)
        ingest_free(core, old);
    old = live ? map_get(&core->lives, id_slice(&in->row.video.video_id)) : NULL;
    if (old)
        live_cut(core, old, "replaced by a new stream");
    ingest_start(core, in, &done->u.position);
    if (live)
        live_begin(core, in);
    if (!revocation_stops(core, in)) /* since it was asked */
        answer_running(core, in);
}
