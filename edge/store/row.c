/*
 * What was merged.
 *
 * I1  claim and holding hold the greatest row of each key (merge.h), whatever came first.
 * I2  a holding is there only under a claim that is no deletion.
 * I3  every row that comes or goes is noted for the sums (sums.h).
 * I4  what is dead at the horizon does not come back.
 */
#include "edge/store/row.h"

#include "edge/store/copy.h"
#include "edge/store/list.h"
#include "edge/store/merge.h"
#include "edge/store/sums.h"

static const char *kind_of(const struct storage_row *row)
{
    return row->holding_row.type == OBJECT_PRESENCE ? "presence" : "custody";
}

struct held_claim row_held(struct conn *c, const struct storage_row *row)
{
    struct held_claim held = {.order = 1};
    struct query *q = query_of(c, Q_CLAIM_VERSION);
    bind_id(q, 1, &row->video.video_id);
    bind_id(q, 2, &row->video.streamer_id);
    if (query_row(q)) {
        struct hash stream;
        struct merge_revision there = {.revision_us = col_int(q, 0),
                                       .deleted = col_int(q, 1) != 0,
                                       .statement = col_slice(q, 5),
                                       .manifest = col_slice(q, 6),
                                       .credential = col_slice(q, 7)};
        struct merge_revision here = {.revision_us = row->video.revision_us,
                                      .deleted = row->has_deletion,
                                      .statement_hash = row->statement_hash,
                                      .statement = row->statement,
                                      .manifest = row->manifest,
                                      .credential = row->credential};
        col_hash(q, 2, &there.statement_hash);
        col_hash(q, 3, &stream);
        col_row_digest(q, 4, &held.digest);
        held.any = true;
        held.deleted = there.deleted;
        held.same_stream = !held.deleted && hash_eq(&stream, &row->stream);
        held.revision_us = there.revision_us;
        held.order = merge_revision_order(&here, &there);
    }
    query_end(q);
    return held;
}

bool row_claimed_by_other(struct conn *c, const struct id *video_id, const struct id *streamer_id)
{
    struct query *q = query_of(c, Q_CLAIM_OF_OTHER);
    bind_id(q, 1, video_id);
    bind_id(q, 2, streamer_id);
    bool any = query_row(q);
    query_end(q);
    return any;
}

static void claim_put(struct conn *c, const struct storage_row *row)
{
    static const struct hash no_stream;
    bool deleted = row->has_deletion;
    struct slice manifest = deleted ? slice_of(NULL, 0) : row->manifest;
    struct row_digest digest = row_digest_of_claim(row->statement, manifest, row->credential);
    struct query *q = query_of(c, Q_CLAIM_PUT);
    bind_id(q, 1, &row->video.video_id);
    bind_id(q, 2, &row->video.streamer_id);
    bind_int(q, 3, deleted);
    bind_int(q, 4, deleted ? 0 : row->video.created_us);
    bind_int(q, 5, row->video.revision_us);
    bind_int(q, 6, digest_leaf_of(&row->video.video_id));
    bind_blob(q, 7, slice_of(digest.b, ROW_DIGEST_BYTES));
    bind_hash(q, 8, deleted ? &no_stream : &row->stream);
    bind_hash(q, 9, &row->statement_hash);
    bind_blob(q, 10, row->statement);
    bind_blob(q, 11, row->credential);
    bind_blob(q, 12, manifest);
    bind_text(q, 13, deleted ? slice_of(NULL, 0) : row->thumbnail);
    query_run(q);
    sums_note(c, &row->video.video_id, &digest, false);
}

static uint32_t drop_holdings(struct conn *c, const struct id *video_id,
                              const struct id *streamer_id)
{
    uint32_t n = 0;
    struct query *q = query_of(c, Q_HOLDINGS_OF_CLAIM);
    bind_id(q, 1, video_id);
    bind_id(q, 2, streamer_id);
    for (; query_row(q); n++) {
        struct row_digest digest;
        col_row_digest(q, 0, &digest);
        sums_note(c, video_id, &digest, true);
    }
    query_end(q);
    if (!n)
        return 0;
    q = query_of(c, Q_HOLDINGS_DROP);
    bind_id(q, 1, video_id);
    bind_id(q, 2, streamer_id);
    query_run(q);
    return n;
}

/* What a deletion takes with it (I2). */
static void drop_all(struct conn *c, const struct storage_row *deletion)
{
    const struct id *video_id = &deletion->video.video_id;
    const struct id *streamer_id = &deletion->video.streamer_id;
    drop_holdings(c, video_id, streamer_id);
    if (row_upload_revision(c, video_id, streamer_id) > deletion->video.revision_us)
        return;
    struct copy copy = copy_of_streamer(c, video_id, streamer_id);
    if (copy.n)
        copy_drop(c, &copy);
}

/* What its streamer has replaced by another stream is nobody's custody any more. */
static void let_go(struct conn *c, const struct storage_row *row)
{
    struct copy copy = copy_of_streamer(c, &row->video.video_id, &row->video.streamer_id);
    if (copy.kept && !hash_eq(&copy.stream, &row->stream))
        copy_keep(c, &copy, false);
}

enum row_merged row_merge_claim(struct conn *c, const struct storage_row *row)
{
    if (row->has_deletion && merge_dead_deletion(row->video.revision_us, c->tally.dead_us))
        return ROW_REFUSED; /* I4 */
    struct held_claim held = row_held(c, row);
    if (held.order <= 0)
        return held.order < 0 ? ROW_OLDER : ROW_SAME;
    if (row->recent_only && !held.any &&
        merge_dead_deletion(row->video.revision_us, c->tally.dead_us))
        return ROW_REFUSED; /* I4 */
    if (held.any)
        sums_note(c, &row->video.video_id, &held.digest, true);
    claim_put(c, row);
    if (row->has_deletion)
        drop_all(c, row);
    else if (held.any && !held.same_stream)
        let_go(c, row);
    return ROW_TAKEN;
}

static bool claim_stands(struct conn *c, const struct holding *h)
{
    struct query *q = query_of(c, Q_CLAIM_LOAD);
    bind_id(q, 1, &h->video_id);
    bind_id(q, 2, &h->streamer_id);
    bool stands = query_row(q);
    query_end(q);
    return stands;
}

static void holding_put(struct conn *c, const struct storage_row *row)
{
    const struct holding *h = &row->holding;
    struct row_digest digest =
        row_digest_of_holding(row->holding_row.object, row->holding_row.edge_credential);
    struct query *q = query_of(c, Q_HOLDING_PUT);
    bind_id(q, 1, &h->video_id);
    bind_id(q, 2, &h->streamer_id);
    bind_id(q, 3, &h->edge_id);
    bind_str(q, 4, kind_of(row));
    bind_int(q, 5, h->state);
    bind_int(q, 6, h->hlc);
    bind_int(q, 7, digest_leaf_of(&h->video_id));
    bind_blob(q, 8, slice_of(digest.b, ROW_DIGEST_BYTES));
    bind_hash(q, 9, &h->stream);
    bind_blob(q, 10, row->holding_row.object);
    bind_blob(q, 11, row->holding_row.edge_credential);
    query_run(q);
    sums_note(c, &h->video_id, &digest, false);
}

/* A row of ours may be stamped by a clock that was wrong; it must not outlast what is so now. */
static bool is_restamped(const struct storage_row *row, uint64_t held_hlc)
{
    uint64_t now_ms = row->holding.hlc >> HLC_COUNTER_BITS, held_ms = held_hlc >> HLC_COUNTER_BITS;
    return row->restamp && held_ms > now_ms && (held_ms - now_ms) * 1000 > RESTAMP_AHEAD_US;
}

enum row_merged row_merge_holding(struct conn *c, const struct storage_row *row)
{
    const struct holding *h = &row->holding;
    if (merge_dead_holding(h->state, h->hlc, c->tally.dead_us) || !claim_stands(c, h))
        return ROW_REFUSED; /* I2, I4 */
    struct merge_state state = {h->hlc, row->holding_row.object, row->holding_row.edge_credential};
    struct row_digest digest;
    struct query *q = query_of(c, Q_HOLDING_VERSION);
    bind_id(q, 1, &h->video_id);
    bind_id(q, 2, &h->streamer_id);
    bind_id(q, 3, &h->edge_id);
    bind_str(q, 4, kind_of(row));
    int newer = 1;
    bool any = query_row(q);
    if (any) {
        struct merge_state held = {col_int(q, 0), col_slice(q, 1), col_slice(q, 2)};
        newer = is_restamped(row, held.hlc) ? 1 : merge_state_order(&state, &held);
        col_row_digest(q, 5, &digest);
    }
    query_end(q);
    if (newer <= 0)
        return newer < 0 ? ROW_OLDER : ROW_SAME;
    if (any)
        sums_note(c, &h->video_id, &digest, true);
    holding_put(c, row);
    return ROW_TAKEN;
}

uint32_t row_drop_claim(struct conn *c, const struct id *video_id, const struct id *streamer_id)
{
    uint32_t n = drop_holdings(c, video_id, streamer_id);
    struct row_digest digest;
    struct query *q = query_of(c, Q_CLAIM_VERSION);
    bind_id(q, 1, video_id);
    bind_id(q, 2, streamer_id);
    bool any = query_row(q);
    if (any)
        col_row_digest(q, 4, &digest);
    query_end(q);
    if (!any)
        return n;
    sums_note(c, video_id, &digest, true);
    q = query_of(c, Q_CLAIM_DROP);
    bind_id(q, 1, video_id);
    bind_id(q, 2, streamer_id);
    query_run(q);
    return n + 1;
}

void row_drop_holding(struct conn *c, uint64_t rowid, const struct id *video_id,
                      const struct row_digest *digest)
{
    struct query *q = query_of(c, Q_HOLDING_DROP);
    bind_int(q, 1, rowid);
    query_run(q);
    sums_note(c, video_id, digest, true);
}

uint64_t row_upload_revision(struct conn *c, const struct id *video_id,
                             const struct id *streamer_id)
{
    struct copy copy = copy_of_streamer(c, video_id, streamer_id);
    struct query *q = query_of(c, Q_UPLOAD_LOAD);
    bind_int(q, 1, copy.n);
    uint64_t revision_us = query_row(q) ? col_int(q, 0) : 0;
    query_end(q);
    return revision_us;
}

void row_settle(struct conn *c, const struct id *video_id, const struct id *streamer_id)
{
    list_video(c, video_id);
    list_streamer(c, streamer_id);
}
