/* Which operation is whose, and the two that are small. */
#include "edge/store/write.h"

#include "base/check.h"
#include "edge/store/claim.h"
#include "edge/store/copy.h"
#include "edge/store/finish.h"
#include "edge/store/row.h"

static enum err merge_row(struct conn *c, const struct storage_row *row, struct storage_done *done)
{
    bool video = row->has_video && row_merge_video(c, row) == ROW_TAKEN;
    bool holding = row->has_holding && row_merge_holding(c, row) == ROW_TAKEN;
    done->u.row_merge.changed = video || holding;
    if (video)
        row_list(c, &row->video.video_id);
    if (holding && !(video && id_eq(&row->video.video_id, &row->holding.video_id)))
        row_list(c, &row->holding.video_id);
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

enum err write_apply(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    switch (op->kind) {
    case STORAGE_CLAIM: return claim_begin(c, &op->u.row, done);
    case STORAGE_COPY_BEGIN: return claim_copy_begin(c, op, done);
    case STORAGE_PART_PUT: return copy_put(c, op);
    case STORAGE_FINISH: return finish_copy(c, op);
    case STORAGE_ROW_MERGE: return merge_row(c, &op->u.row, done);
    case STORAGE_META_PUT: return put_meta(c, op);
    default: check_fail("a write", __FILE__, __LINE__);
    }
}
