/*
 * Which operation is whose, and the small ones.
 *
 * I1  our own custody row says 1 only for a whole copy of what its claim names, whenever it is
 *     this edge that writes it.
 * I2  a whole copy is kept from when this edge takes it into custody until this edge gives it up,
 *     or its streamer replaces it: that its row is forgotten, or that others bring back an old
 *     one, takes nothing away.
 */
#include "edge/store/write.h"

#include "base/check.h"
#include "edge/store/cache.h"
#include "edge/store/claim.h"
#include "edge/store/copy.h"
#include "edge/store/finish.h"
#include "edge/store/forget.h"
#include "edge/store/merge.h"
#include "edge/store/row.h"
#include "edge/store/sums.h"

/* Whether our custody row that is held now, of this claim, agrees with the copies here. */
static bool custody_true(struct conn *c, const struct holding *h)
{
    bool said = false;
    struct hash stream = {0};
    struct query *q = query_of(c, Q_HOLDING_VERSION);
    bind_id(q, 1, &h->video_id);
    bind_id(q, 2, &h->streamer_id);
    bind_id(q, 3, &h->edge_id);
    bind_str(q, 4, "custody");
    if (query_row(q)) {
        said = col_int(q, 3) != 0;
        col_hash(q, 4, &stream);
    }
    query_end(q);
    struct copy copy = copy_of_streamer(c, &h->video_id, &h->streamer_id);
    bool whole = copy.n && copy.state == COPY_WHOLE && hash_eq(&copy.stream, &stream);
    return said ? whole : !(whole && copy.kept);
}

static bool is_complete(struct conn *c, const struct id *video_id)
{
    struct query *q = query_of(c, Q_VIDEO_STATE);
    bind_id(q, 1, video_id);
    bool complete = query_row(q) && slice_eq_str(col_slice(q, 1), "complete");
    query_end(q);
    return complete;
}

static void merge_holding(struct conn *c, const struct storage_row *row, struct storage_done *done)
{
    enum row_merged merged = row_merge_holding(c, row);
    done->u.row_merge.changed |= merged == ROW_TAKEN;
    done->u.row_merge.refused |= merged == ROW_REFUSED;
    if (merged == ROW_REFUSED || !id_eq(&row->holding.edge_id, &c->edge_id))
        return;
    bool presence = row->holding_row.type == OBJECT_PRESENCE;
    done->u.row_merge.own = true;
    done->u.row_merge.own_holding = row->holding;
    done->u.row_merge.own_presence = presence;
    done->u.row_merge.own_true = presence || custody_true(c, &row->holding);
}

/* What a completion says on failure too. */
static void name_row(const struct storage_row *row, struct storage_done *done)
{
    bool claim = row->has_video || row->has_deletion;
    memset(&done->u.row_merge, 0, sizeof(done->u.row_merge)); /* it may be tried again */
    done->u.row_merge.video_id = claim ? row->video.video_id : row->holding.video_id;
    done->u.row_merge.streamer_id = claim ? row->video.streamer_id : row->holding.streamer_id;
}

static enum err merge_row(struct conn *c, const struct storage_row *row, struct storage_done *done)
{
    const struct id *video_id = &done->u.row_merge.video_id;
    name_row(row, done);
    enum row_merged merged =
        row->has_video || row->has_deletion ? row_merge_claim(c, row) : ROW_SAME;
    done->u.row_merge.changed = merged == ROW_TAKEN;
    done->u.row_merge.refused = merged == ROW_REFUSED;
    done->u.row_merge.deletion = row->has_deletion && merged == ROW_TAKEN;
    done->u.row_merge.revision_us = row->has_deletion ? row->video.revision_us : 0;
    if (row->has_holding)
        merge_holding(c, row, done);
    if (done->u.row_merge.changed)
        row_settle(c, video_id, &done->u.row_merge.streamer_id);
    done->u.row_merge.complete = is_complete(c, video_id);
    return ERR_OK;
}

static enum err delete_video(struct conn *c, const struct storage_row *row,
                             struct storage_done *done)
{
    const struct id *video_id = &row->video.video_id, *streamer_id = &row->video.streamer_id;
    CHECK(row->has_deletion);
    name_row(row, done);
    struct held_claim held = row_held(c, row);
    uint64_t upload_us = row_upload_revision(c, video_id, streamer_id);
    if (!held.any && !upload_us)
        return ERR_UNKNOWN;
    bool dead = merge_dead_deletion(row->video.revision_us, c->tally.dead_us);
    if (held.order < 0 || upload_us > row->video.revision_us || (held.order > 0 && dead))
        return ERR_CONFLICT;
    return merge_row(c, row, done);
}

static enum err put_custody(struct conn *c, const struct storage_row *row,
                            struct storage_done *done)
{
    const struct holding *h = &row->holding;
    CHECK(row->has_holding && row->holding_row.type == OBJECT_CUSTODY);
    CHECK(id_eq(&h->edge_id, &c->edge_id));
    struct hash stream = {0};
    struct storage_row alone = *row;
    alone.has_video = alone.has_deletion = false;
    name_row(&alone, done);
    struct query *q = query_of(c, Q_CLAIM_LOAD);
    bind_id(q, 1, &h->video_id);
    bind_id(q, 2, &h->streamer_id);
    if (query_row(q))
        col_hash(q, 0, &stream);
    query_end(q);
    if (!hash_eq(&stream, &h->stream))
        return ERR_CONFLICT;
    struct copy copy = copy_of_stream(c, &h->video_id, &h->stream);
    if (h->state && (!copy.n || copy.state != COPY_WHOLE))
        return ERR_NOT_READY; /* I1 */
    merge_row(c, &alone, done);
    if (copy.n && done->u.row_merge.changed) { /* I2 */
        copy_keep(c, &copy, h->state != 0);
        done->u.row_merge.own_true = custody_true(c, h);
    }
    return ERR_OK;
}

static enum err put_meta(struct conn *c, const struct storage_op *op)
{
    struct query *q = query_of(c, Q_META_PUT);
    bind_str(q, 1, op->u.meta_put.key);
    bind_blob(q, 2, op->u.meta_put.value);
    query_run(q);
    return ERR_OK;
}

static enum err put_thumbnail(struct conn *c, const struct storage_op *op)
{
    struct copy copy =
        copy_of_stream(c, &op->u.thumbnail_put.video_id, &op->u.thumbnail_put.stream);
    if (!copy.n || copy.state != COPY_WHOLE)
        return ERR_UNKNOWN;
    struct query *q = query_of(c, Q_THUMBNAIL_PUT);
    bind_int(q, 1, copy.n);
    bind_blob(q, 2, op->u.thumbnail_put.delegation);
    bind_blob(q, 3, op->u.thumbnail_put.packet);
    query_run(q);
    return ERR_OK;
}

enum err write_apply(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    switch (op->kind) {
    case STORAGE_CLAIM: return claim_begin(c, &op->u.row, done);
    case STORAGE_COPY_BEGIN: return claim_copy_begin(c, op, done);
    case STORAGE_PART_PUT: return copy_put(c, op);
    case STORAGE_FINISH: return finish_copy(c, op);
    case STORAGE_ROW_MERGE: return merge_row(c, &op->u.row, done);
    case STORAGE_META_PUT: return put_meta(c, op);
    case STORAGE_DELETE: return delete_video(c, &op->u.row, done);
    case STORAGE_CUSTODY_PUT: return put_custody(c, &op->u.row, done);
    case STORAGE_COPY_TOUCH: return cache_touch(c, op);
    case STORAGE_CACHE_TRIM: return cache_trim(c, op, done);
    case STORAGE_HORIZON: return forget_dead(c, op, done);
    case STORAGE_BOOTSTRAP: return forget_catalogue(c, op, done);
    case STORAGE_ORPHANS: return forget_orphans(c, op, done);
    case STORAGE_THUMBNAIL_PUT: return put_thumbnail(c, op);
    case STORAGE_DIGESTS: return sums_read(c, op, done);
    default: check_fail("a write", __FILE__, __LINE__);
    }
}
