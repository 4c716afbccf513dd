/*
 * What is listed is a function of what was merged.
 *
 * I1  claim and holding hold the greatest row of each key (merge.h), whatever came first.
 * I2  the row of video is row_list()'s function of claim, holding, copy and upload: every
 *     operation that changes one of these calls it in the same savepoint.
 * I3  c->videos counts the rows of video that are listed.
 *
 *   some claim visible (merge.h)   live | complete    the listed claim; edges from its holdings
 *   else, a whole copy here        unlisted           nobody answers for it, but its bytes stay
 *   else, an upload to this edge   uploading          what the streamer signed at its beginning
 *   else                           no row             fetches of what is gone are dropped as well
 */
#include "edge/store/row.h"

#include "base/clock.h"
#include "edge/store/copy.h"
#include "edge/store/merge.h"

static const char *kind_of(const struct storage_row *row)
{
    return row->holding_row.type == OBJECT_PRESENCE ? "presence" : "custody";
}

void row_streamer(struct conn *c, const struct storage_row *row)
{
    char created_at[ISO8601_BYTES];
    clock_iso8601(row->video.created_us, created_at);
    struct query *q = query_of(c, Q_STREAMER_PUT);
    bind_id(q, 1, &row->video.streamer_id);
    bind_text(q, 2, row->streamer_name);
    bind_str(q, 3, created_at);
    query_run(q);
}

struct held_claim {
    bool any, same_stream, has_manifest;
    struct merge_revision revision;
};

static struct held_claim held_claim(struct conn *c, const struct storage_row *row)
{
    struct held_claim held = {0};
    struct query *q = query_of(c, Q_CLAIM_VERSION);
    bind_id(q, 1, &row->video.video_id);
    bind_id(q, 2, &row->video.streamer_id);
    if (query_row(q)) {
        struct hash stream;
        held.any = true;
        held.revision.revision_us = col_int(q, 0);
        col_hash(q, 1, &held.revision.statement_hash);
        col_hash(q, 2, &stream);
        held.same_stream = hash_eq(&stream, &row->stream);
        held.has_manifest = col_int(q, 3) > 0;
    }
    query_end(q);
    return held;
}

static int order(const struct storage_row *row, const struct held_claim *held)
{
    struct merge_revision revision = {row->video.revision_us, row->statement_hash};
    return held->any ? merge_revision_order(&revision, &held->revision) : 1;
}

int row_claim_order(struct conn *c, const struct storage_row *row, bool *ret_same_stream)
{
    struct held_claim held = held_claim(c, row);
    *ret_same_stream = held.same_stream;
    return order(row, &held);
}

static void claim_put(struct conn *c, const struct storage_row *row)
{
    row_streamer(c, row);
    struct query *q = query_of(c, Q_CLAIM_PUT);
    bind_id(q, 1, &row->video.video_id);
    bind_id(q, 2, &row->video.streamer_id);
    bind_int(q, 3, row->video.created_us);
    bind_int(q, 4, row->video.revision_us);
    bind_hash(q, 5, &row->stream);
    bind_hash(q, 6, &row->statement_hash);
    bind_text(q, 7, row->thumbnail);
    bind_blob(q, 8, row->statement);
    bind_blob(q, 9, row->credential);
    bind_blob(q, 10, row->manifest);
    query_run(q);
}

enum row_merged row_merge_video(struct conn *c, const struct storage_row *row)
{
    struct held_claim held = held_claim(c, row);
    int newer = order(row, &held);
    if (newer > 0) {
        claim_put(c, row);
        return ROW_TAKEN;
    }
    if (newer < 0)
        return ROW_OLDER;
    if (held.has_manifest || !row->manifest.len)
        return ROW_SAME;
    struct query *q = query_of(c, Q_CLAIM_FILL);
    bind_id(q, 1, &row->video.video_id);
    bind_id(q, 2, &row->video.streamer_id);
    bind_blob(q, 3, row->manifest);
    query_run(q);
    return ROW_TAKEN;
}

static void holding_put(struct conn *c, const struct storage_row *row)
{
    struct query *q = query_of(c, Q_HOLDING_PUT);
    bind_id(q, 1, &row->holding.video_id);
    bind_id(q, 2, &row->holding.streamer_id);
    bind_id(q, 3, &row->holding.edge_id);
    bind_str(q, 4, kind_of(row));
    bind_int(q, 5, row->holding.state);
    bind_int(q, 6, row->holding.hlc);
    bind_hash(q, 7, &row->holding.stream);
    bind_blob(q, 8, row->holding_row.object);
    bind_blob(q, 9, row->holding_row.edge_credential);
    query_run(q);
}

enum row_merged row_merge_holding(struct conn *c, const struct storage_row *row)
{
    struct merge_state state = {row->holding.hlc, row->holding_row.object};
    struct query *q = query_of(c, Q_HOLDING_VERSION);
    bind_id(q, 1, &row->holding.video_id);
    bind_id(q, 2, &row->holding.streamer_id);
    bind_id(q, 3, &row->holding.edge_id);
    bind_str(q, 4, kind_of(row));
    int newer = 1;
    if (query_row(q)) {
        struct merge_state held = {col_int(q, 0), col_slice(q, 1)};
        newer = merge_state_order(&state, &held);
    }
    query_end(q);
    if (newer > 0)
        holding_put(c, row);
    return newer > 0 ? ROW_TAKEN : newer < 0 ? ROW_OLDER : ROW_SAME;
}

/* One row of video, as it is to be. */
struct listing {
    const char *state;
    struct hash stream;
    struct slice statement, manifest, thumbnail, edges;
};

/* How much there is, if the streamer has signed it. */
static void bind_size(struct conn *c, struct query *q, struct slice signed_manifest)
{
    bind_null(q, 13);
    bind_null(q, 14);
    if (!signed_manifest.len)
        return;
    struct slice body;
    struct signature sig;
    struct manifest manifest;
    if (signed_split(signed_manifest, &body, &sig) != ERR_OK ||
        manifest_decode(body, &manifest) != ERR_OK) {
        db_corrupt(&c->db, "a manifest");
        return;
    }
    bind_int(q, 13, manifest.chunks);
    bind_int(q, 14, manifest.bytes);
}

static void video_put(struct conn *c, const struct listing *l)
{
    struct slice body;
    struct signature sig;
    struct video video;
    if (signed_split(l->statement, &body, &sig) != ERR_OK || video_decode(body, &video) != ERR_OK) {
        db_corrupt(&c->db, "a video statement");
        return;
    }
    char created_at[ISO8601_BYTES];
    clock_iso8601(video.created_us, created_at);
    struct query *q = query_of(c, Q_VIDEO_PUT);
    bind_id(q, 1, &video.video_id);
    bind_text(q, 2, video.title);
    bind_text(q, 3, video.description);
    bind_text(q, 4, video.category);
    bind_int(q, 5, strcmp(l->state, "live") == 0);
    bind_text(q, 6, l->edges);
    bind_text(q, 7, l->thumbnail);
    bind_id(q, 8, &video.streamer_id);
    bind_str(q, 9, created_at);
    bind_str(q, 10, l->state);
    bind_text(q, 11, video.media_type);
    bind_text(q, 12, video.codecs);
    bind_size(c, q, l->manifest);
    bind_hash(q, 15, &l->stream);
    query_run(q);
}

/* The edges that answer for a stream, joined by commas; those beyond the limit are left out. */
static size_t edges_of(struct conn *c, const struct id *video_id, const struct merge_claim *claim,
                       const struct hash *stream, char ret[static EDGES_TEXT_BYTES_MAX])
{
    size_t len = 0;
    struct query *q = query_of(c, Q_HOLDING_EDGES);
    bind_id(q, 1, video_id);
    bind_id(q, 2, &claim->streamer_id);
    bind_str(q, 3, claim->live ? "presence" : "custody");
    bind_hash(q, 4, stream);
    while (query_row(q)) {
        struct slice edge = col_slice(q, 0);
        if (len + edge.len + 1 > EDGES_TEXT_BYTES_MAX)
            break;
        if (len)
            ret[len++] = ',';
        memcpy(ret + len, edge.ptr, edge.len);
        len += edge.len;
    }
    query_end(q);
    return len;
}

static void list_claim(struct conn *c, const struct id *video_id, const struct merge_claim *claim)
{
    char edges[EDGES_TEXT_BYTES_MAX];
    struct query *q = query_of(c, Q_CLAIM_LOAD);
    bind_id(q, 1, video_id);
    bind_id(q, 2, &claim->streamer_id);
    if (query_row(q)) {
        struct listing l = {.state = claim->live     ? "live"
                                     : claim->stored ? "complete"
                                                     : "unlisted"};
        col_hash(q, 0, &l.stream);
        l.thumbnail = col_slice(q, 1);
        l.statement = col_slice(q, 2);
        l.manifest = col_slice(q, 3);
        if (merge_claim_visible(claim))
            l.edges = slice_of(edges, edges_of(c, video_id, claim, &l.stream, edges));
        video_put(c, &l);
    }
    query_end(q);
}

/* The claim of this id that comes first; false: there is none. */
static bool first_claim(struct conn *c, const struct id *video_id, struct merge_claim *ret)
{
    bool any = false;
    struct query *q = query_of(c, Q_CLAIMS_OF_VIDEO);
    bind_id(q, 1, video_id);
    while (query_row(q)) {
        struct merge_claim claim = {
            .created_us = col_int(q, 1), .live = col_int(q, 2) != 0, .stored = col_int(q, 3) != 0};
        col_id(q, 0, &claim.streamer_id);
        if (!any || merge_claim_listed(&claim, ret))
            *ret = claim;
        any = true;
    }
    query_end(q);
    return any;
}

static void drop_fetches(struct conn *c, const struct id *video_id)
{
    struct copy copy = {.video_id = *video_id};
    do {
        struct query *q = query_of(c, Q_FETCHES_OF_VIDEO);
        bind_id(q, 1, video_id);
        copy.n = query_row(q) ? col_int(q, 0) : 0;
        query_end(q);
        if (copy.n)
            copy_drop(c, &copy);
    } while (copy.n);
}

/* Nothing of this id can be watched anywhere: what is left at this edge. */
static void list_rest(struct conn *c, const struct id *video_id)
{
    drop_fetches(c, video_id);
    struct query *q = query_of(c, Q_COPY_LEFT);
    bind_id(q, 1, video_id);
    if (!query_row(q)) {
        query_end(q);
        q = query_of(c, Q_VIDEO_DROP);
        bind_id(q, 1, video_id);
        query_run(q);
        return;
    }
    if (slice_eq_str(col_slice(q, 0), "whole")) {
        struct merge_claim claim = {0};
        col_id(q, 1, &claim.streamer_id);
        query_end(q);
        list_claim(c, video_id, &claim);
        return;
    }
    struct listing l = {.state = "uploading"};
    col_hash(q, 2, &l.stream);
    l.thumbnail = col_slice(q, 3);
    l.statement = col_slice(q, 4);
    video_put(c, &l);
    query_end(q);
}

static bool is_listed(struct conn *c, const struct id *video_id)
{
    struct query *q = query_of(c, Q_VIDEO_STATE);
    bind_id(q, 1, video_id);
    bool listed = query_row(q) && col_int(q, 2) != 0;
    query_end(q);
    return listed;
}

void row_list(struct conn *c, const struct id *video_id)
{
    bool before = is_listed(c, video_id);
    struct merge_claim first;
    bool now = first_claim(c, video_id, &first) && merge_claim_visible(&first);
    if (now)
        list_claim(c, video_id, &first);
    else
        list_rest(c, video_id);
    if (!c->db.err)
        c->videos = c->videos + now - before; /* I3 */
}
