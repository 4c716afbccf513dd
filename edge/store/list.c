/*
 * What is listed is a function of what was merged.
 *
 * I1  the row of video is list_video()'s function of claim, holding, copy and upload.
 * I2  tally.videos counts the rows of video that are listed.
 * I3  a row of video stays while there is a copy of it: what hangs on it are the chunks held.
 * I4  the row of streamer is a function of its claims that are no deletions, whatever came first:
 *     the name in the newest one's credential, the least `created`. Uploads under way count only
 *     while there is no claim.
 *
 *   some claim visible (merge.h)   live | complete    the listed claim; edges from its holdings
 *   else, a whole copy and a claim unlisted           nobody answers for it, but its bytes stay
 *   else, an upload to this edge   uploading          what the streamer signed at its beginning
 *   else, a whole copy             unlisted           its claim was forgotten; it may come again
 *   else                           no row             fetches of what is gone are dropped as well
 */
#include "edge/store/list.h"

#include "base/date.h"
#include "edge/store/copy.h"
#include "edge/store/merge.h"

/* One row of video, as it is to be. */
struct listing {
    const char *state;
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
        struct hash stream;
        col_hash(q, 0, &stream);
        l.thumbnail = col_slice(q, 1);
        l.statement = col_slice(q, 2);
        l.manifest = col_slice(q, 3);
        if (merge_claim_visible(claim))
            l.edges = slice_of(edges, edges_of(c, video_id, claim, &stream, edges));
        video_put(c, &l);
    }
    query_end(q);
}

/* The columns are Q_CLAIMS_OF_VIDEO's. */
static struct merge_claim load_claim(struct query *q)
{
    struct merge_claim claim = {
        .created_us = col_int(q, 1), .live = col_int(q, 2) != 0, .stored = col_int(q, 3) != 0};
    uint64_t vouched = col_int(q, 4);
    claim.vouched = vouched < VOUCHED_MAX ? (unsigned)vouched : VOUCHED_MAX;
    col_id(q, 0, &claim.streamer_id);
    return claim;
}

/* The claim of this id that comes first; false: there is none. */
static bool first_claim(struct conn *c, const struct id *video_id, struct merge_claim *ret)
{
    bool any = false;
    struct query *q = query_of(c, Q_CLAIMS_OF_VIDEO);
    bind_id(q, 1, video_id);
    while (query_row(q)) {
        struct merge_claim claim = load_claim(q);
        if (!any || merge_claim_listed(&claim, ret))
            *ret = claim;
        any = true;
    }
    query_end(q);
    return any;
}

bool list_other_visible(struct conn *c, const struct id *video_id, const struct id *streamer_id)
{
    bool visible = false;
    struct query *q = query_of(c, Q_CLAIMS_OF_VIDEO);
    bind_id(q, 1, video_id);
    while (query_row(q) && !visible) {
        struct merge_claim claim = load_claim(q);
        visible = !id_eq(&claim.streamer_id, streamer_id) && merge_claim_visible(&claim);
    }
    query_end(q);
    return visible;
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

static void run_for(struct conn *c, enum query_number number, const struct id *id)
{
    struct query *q = query_of(c, number);
    bind_id(q, 1, id);
    query_run(q);
}

static void list_upload(struct conn *c, struct slice thumbnail, struct slice statement)
{
    video_put(
        c, &(struct listing){.state = "uploading", .statement = statement, .thumbnail = thumbnail});
}

/* Nothing of this id can be watched anywhere: what is left at this edge. */
static void list_rest(struct conn *c, const struct id *video_id)
{
    enum { OF_CLAIM, OF_UPLOAD, OF_NOTHING };
    drop_fetches(c, video_id);
    struct query *q = query_of(c, Q_COPY_LEFT);
    bind_id(q, 1, video_id);
    bool left = query_row(q);
    uint64_t what = left ? col_int(q, 0) : OF_NOTHING;
    struct merge_claim claim = {0};
    if (left && what == OF_CLAIM)
        col_id(q, 1, &claim.streamer_id);
    if (left && what == OF_UPLOAD)
        list_upload(c, col_slice(q, 2), col_slice(q, 3));
    query_end(q);
    if (what == OF_CLAIM)
        list_claim(c, video_id, &claim);
    else if (what == OF_NOTHING)
        run_for(c, left ? Q_VIDEO_UNLIST : Q_VIDEO_DROP, video_id); /* I3 */
}

static bool is_listed(struct conn *c, const struct id *video_id)
{
    struct query *q = query_of(c, Q_VIDEO_STATE);
    bind_id(q, 1, video_id);
    bool listed = query_row(q) && col_int(q, 2) != 0;
    query_end(q);
    return listed;
}

void list_video(struct conn *c, const struct id *video_id)
{
    bool before = is_listed(c, video_id);
    struct merge_claim first;
    bool now = first_claim(c, video_id, &first) && merge_claim_visible(&first);
    if (now)
        list_claim(c, video_id, &first);
    else
        list_rest(c, video_id);
    if (!c->db.err)
        c->tally.videos = c->tally.videos + now - before; /* I2 */
}

/* The name that a credential shows; empty: it is none. */
static struct slice name_in(struct slice signed_credential)
{
    struct slice body;
    struct signature sig;
    struct credential credential;
    bool decoded = signed_split(signed_credential, &body, &sig) == ERR_OK &&
                   credential_decode(body, &credential) == ERR_OK;
    return decoded ? credential.display_name : slice_of(NULL, 0);
}

static void streamer_put(struct conn *c, const struct id *streamer_id, struct slice credential,
                         uint64_t created_us)
{
    char created_at[ISO8601_BYTES];
    clock_iso8601(created_us, created_at);
    struct query *q = query_of(c, Q_STREAMER_PUT);
    bind_id(q, 1, streamer_id);
    bind_text(q, 2, name_in(credential));
    bind_str(q, 3, created_at);
    query_run(q);
}

/* False: there is no claim. */
static bool streamer_of_claims(struct conn *c, const struct id *streamer_id)
{
    struct query *first = query_of(c, Q_STREAMER_FIRST);
    bind_id(first, 1, streamer_id);
    bool any = query_row(first);
    uint64_t created_us = any ? col_int(first, 0) : 0;
    query_end(first);
    struct query *newest = query_of(c, Q_STREAMER_NEWEST);
    bind_id(newest, 1, streamer_id);
    if (any && query_row(newest))
        streamer_put(c, streamer_id, col_slice(newest, 0), created_us);
    query_end(newest);
    return any;
}

/* False: there is no upload. */
static bool streamer_of_uploads(struct conn *c, const struct id *streamer_id)
{
    struct query *q = query_of(c, Q_STREAMER_UPLOAD);
    bind_id(q, 1, streamer_id);
    bool any = query_row(q);
    struct slice body;
    struct signature sig;
    struct video video;
    if (any && (signed_split(col_slice(q, 1), &body, &sig) != ERR_OK ||
                video_decode(body, &video) != ERR_OK))
        db_corrupt(&c->db, "a video statement");
    else if (any)
        streamer_put(c, streamer_id, col_slice(q, 0), video.created_us);
    query_end(q);
    return any;
}

void list_streamer(struct conn *c, const struct id *streamer_id)
{
    if (!streamer_of_claims(c, streamer_id) && !streamer_of_uploads(c, streamer_id))
        run_for(c, Q_STREAMER_DROP, streamer_id); /* unless a row of video is left: I3 */
}
