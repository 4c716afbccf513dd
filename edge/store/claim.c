/*
 * Claims (docs/PROTOCOL.md §4.2, §4.4).
 *
 * I1  an upload that is not finished is known at this edge alone: what its streamer signed is in
 *     upload, not in claim, so nothing that the other edges list is displaced by an attempt.
 * I2  a whole copy is dropped only when its own streamer's newer statement, which the catalogue
 *     holds, names another stream.
 * I3  an id that is taken, by whatever has a row in video or any claim, deleted or not, is taken
 *     for every other streamer; but what was begun is ended by nothing that cannot be watched:
 *     anybody may claim, or delete, an id that was seen on its way.
 * I4  a streamer's statement that is not newer than what it said last, deletion or not, begins
 *     nothing new.
 */
#include "edge/store/claim.h"

#include "edge/store/copy.h"
#include "edge/store/row.h"

/* What stands under a video id. */
struct taken {
    bool any, complete;
    struct id streamer_id;
};

static struct taken taken_by(struct conn *c, const struct id *video_id)
{
    struct taken taken = {0};
    struct query *q = query_of(c, Q_VIDEO_STATE);
    bind_id(q, 1, video_id);
    if (query_row(q)) {
        taken.any = true;
        col_id(q, 0, &taken.streamer_id);
        taken.complete = slice_eq_str(col_slice(q, 1), "complete");
    }
    query_end(q);
    return taken;
}

static void upload_put(struct conn *c, const struct copy *copy, const struct storage_row *row)
{
    struct query *q = query_of(c, Q_UPLOAD_PUT);
    bind_int(q, 1, copy->n);
    bind_int(q, 2, row->video.revision_us);
    bind_text(q, 3, row->thumbnail);
    bind_blob(q, 4, row->statement);
    bind_blob(q, 5, row->credential);
    query_run(q);
    q = query_of(c, Q_COPY_STATE);
    bind_int(q, 1, copy->n);
    bind_str(q, 2, "uploading");
    query_run(q);
}

/* Whether the stream began with another `created`: what decides about a contested id stays. */
static bool created_moved(struct conn *c, const struct copy *copy, const struct storage_row *row)
{
    struct query *q = query_of(c, Q_UPLOAD_LOAD);
    struct slice body;
    struct signature sig;
    struct video video;
    bind_int(q, 1, copy->n);
    bool moved = query_row(q) && signed_split(col_slice(q, 1), &body, &sig) == ERR_OK &&
                 video_decode(body, &video) == ERR_OK && video.created_us != row->video.created_us;
    query_end(q);
    return moved;
}

/* I4 */
static bool outdated(const struct held_claim *held, const struct storage_row *row)
{
    return held->any && held->revision_us >= row->video.revision_us;
}

static enum err begin_upload(struct conn *c, const struct storage_row *row,
                             const struct taken *taken, struct storage_done *done)
{
    const struct id *video_id = &row->video.video_id;
    struct held_claim held = row_held(c, row);
    bool same_claim = held.same_stream;
    struct copy copy = copy_of_streamer(c, video_id, &row->video.streamer_id);
    bool same_copy = copy.n && hash_eq(&copy.stream, &row->stream);
    if ((row->only_resume && !same_copy) || (same_copy && created_moved(c, &copy, row)))
        return ERR_CONFLICT;
    if (!same_claim && (taken->complete || outdated(&held, row)))
        return ERR_CONFLICT; /* a finished one, or I4 */
    if (copy.n && !same_copy) {
        if (copy.state == COPY_WHOLE && !same_claim)
            return ERR_CONFLICT; /* I2 */
        copy_drop(c, &copy);
        copy.n = 0;
    }
    if (!copy.n)
        copy = copy_new(c, video_id, &row->video.streamer_id, &row->stream, COPY_UPLOADING);
    if (copy.state != COPY_WHOLE) {
        upload_put(c, &copy, row);
        row_settle(c, video_id, &row->video.streamer_id);
    }
    done->u.position = copy_position(c, &copy, &done->arena);
    return ERR_OK;
}

static enum err begin_live(struct conn *c, const struct storage_row *row, const struct taken *taken,
                           struct storage_done *done)
{
    const struct id *video_id = &row->video.video_id;
    struct held_claim held = row_held(c, row);
    struct copy copy = copy_of_streamer(c, video_id, &row->video.streamer_id);
    if (taken->complete || (copy.n && copy.state == COPY_WHOLE))
        return ERR_CONFLICT;
    if (!held.same_stream && (outdated(&held, row) || row->only_resume))
        return ERR_CONFLICT; /* I4 */
    if (copy.n)
        copy_drop(c, &copy);
    row_merge_claim(c, row);
    if (row->has_holding)
        row_merge_holding(c, row);
    row_settle(c, video_id, &row->video.streamer_id);
    done->u.position = (struct storage_position){.next = 1};
    return ERR_OK;
}

/* Whether this very stream was begun here, or is what its streamer claims. */
static bool goes_on(struct conn *c, const struct storage_row *row)
{
    return copy_of_stream(c, &row->video.video_id, &row->stream).n || row_held(c, row).same_stream;
}

enum err claim_begin(struct conn *c, const struct storage_row *row, struct storage_done *done)
{
    struct taken taken = taken_by(c, &row->video.video_id);
    if (taken.any && !id_eq(&taken.streamer_id, &row->video.streamer_id))
        return ERR_CONFLICT; /* I3 */
    if (row_claimed_by_other(c, &row->video.video_id, &row->video.streamer_id) && !goes_on(c, row))
        return ERR_CONFLICT; /* I3 */
    return row->video.live ? begin_live(c, row, &taken, done) : begin_upload(c, row, &taken, done);
}

/* Whether it is being uploaded, and newer than what its streamer says in the catalogue: what was
 * acknowledged of it does not give way to a copy of what it will replace. */
static bool replaces(struct conn *c, const struct copy *copy)
{
    uint64_t revision_us = UINT64_MAX;
    struct query *q = query_of(c, Q_CLAIM_VERSION);
    bind_id(q, 1, &copy->video_id);
    bind_id(q, 2, &copy->streamer_id);
    if (query_row(q))
        revision_us = col_int(q, 0);
    query_end(q);
    q = query_of(c, Q_UPLOAD_LOAD);
    bind_int(q, 1, copy->n);
    bool newer = query_row(q) && col_int(q, 0) > revision_us;
    query_end(q);
    return newer;
}

enum err claim_copy_begin(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    const struct id *video_id = &op->u.copy_begin.video_id;
    const struct hash *wanted = &op->u.copy_begin.stream;
    struct taken taken = taken_by(c, video_id);
    if (!taken.complete)
        return ERR_UNKNOWN;
    struct hash stream = {0};
    struct query *q = query_of(c, Q_CLAIM_LOAD);
    bind_id(q, 1, video_id);
    bind_id(q, 2, &taken.streamer_id);
    if (query_row(q))
        col_hash(q, 0, &stream);
    query_end(q);
    if (!hash_eq(&stream, wanted))
        return ERR_CONFLICT;
    struct copy copy = copy_of_streamer(c, video_id, &taken.streamer_id);
    if (copy.n && !hash_eq(&copy.stream, wanted)) {
        if (replaces(c, &copy))
            return ERR_CONFLICT;
        copy_drop(c, &copy); /* I2 */
        copy.n = 0;
    }
    if (!copy.n)
        copy = copy_new(c, video_id, &taken.streamer_id, wanted, COPY_FETCHING);
    struct query *touch = query_of(c, Q_COPY_TOUCH);
    bind_id(touch, 1, video_id);
    bind_int(touch, 2, op->u.copy_begin.used_us);
    query_run(touch);
    done->u.position = copy_position(c, &copy, &done->arena);
    return ERR_OK;
}
