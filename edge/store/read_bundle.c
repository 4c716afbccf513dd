/*
 * Rows as edges exchange them: the catalogue in order, and rows asked for one by one.
 *
 * I1  what is read for one answer fits one bundle (wire/bundle.h) at the most that JSON can make of
 *     it; each credential is counted once, as it travels. It holds at least one row, if there is
 *     one: whoever goes on where an answer ended comes to the end.
 * I2  a claim stands before its holdings, in the same answer or an earlier one.
 */
#include "base/check.h"
#include "edge/store/read.h"

enum {
    CLAIM_FRAME_BYTES = 96, /* JSON around a claim's values, its credential's place included */
    HOLDING_FRAME_BYTES = 48,
    CREDENTIAL_FRAME_BYTES = 8,
};

struct answer {
    struct arena *arena;
    struct bundle_claim *claims;
    struct holding_row *holdings;
    struct slice *credentials;
    size_t claims_n, holdings_n, credentials_n;
    size_t bytes; /* estimated, as JSON */
};

static struct answer answer_start(struct arena *arena)
{
    struct answer a = {.arena = arena};
    a.claims = arena_alloc(arena, BUNDLE_ROWS_MAX * sizeof(*a.claims));
    a.holdings = arena_alloc(arena, BUNDLE_ROWS_MAX * sizeof(*a.holdings));
    a.credentials = arena_alloc(arena, BUNDLE_CREDENTIALS_MAX * sizeof(*a.credentials));
    return a;
}

static void answer_end(const struct answer *a, struct storage_done *done)
{
    done->u.bundle.claims = a->claims;
    done->u.bundle.claims_n = a->claims_n;
    done->u.bundle.holdings = a->holdings;
    done->u.bundle.holdings_n = a->holdings_n;
}

/* The credential as it is kept in the answer; ptr NULL: it is not there yet. */
static struct slice known_credential(const struct answer *a, struct slice credential)
{
    size_t i = 0;
    while (i < a->credentials_n && !slice_eq(a->credentials[i], credential))
        i++;
    return i < a->credentials_n ? a->credentials[i] : slice_of(NULL, 0);
}

/*
 * Whether a row of so many bytes, beside its credential, fits (I1); then it is counted, and
 * ret_credential is the answer's. Borrowed bytes are copied once per credential.
 */
static bool take(struct answer *a, size_t bytes, struct slice credential,
                 struct slice *ret_credential)
{
    struct slice kept = known_credential(a, credential);
    if (credential.len && !kept.ptr)
        bytes += b64_text_len(credential.len) + CREDENTIAL_FRAME_BYTES;
    bool any = a->claims_n || a->holdings_n;
    if (any && a->bytes + bytes > CATALOGUE_PAGE_BYTES_MAX)
        return false;
    if (a->claims_n == BUNDLE_ROWS_MAX || a->holdings_n == BUNDLE_ROWS_MAX ||
        a->credentials_n == BUNDLE_CREDENTIALS_MAX)
        return false;
    if (credential.len && !kept.ptr)
        kept = a->credentials[a->credentials_n++] = arena_copy(a->arena, credential);
    a->bytes += bytes;
    *ret_credential = kept;
    return true;
}

/* The columns from `deleted` of Q_BUNDLE_CLAIMS and Q_ROW_CLAIM. False: no room. */
static bool add_claim(struct answer *a, struct query *q)
{
    struct bundle_claim claim = {.deleted = col_int(q, 2) != 0};
    struct slice object = col_slice(q, 3), manifest = col_slice(q, 5), thumbnail = col_slice(q, 6);
    size_t bytes = CLAIM_FRAME_BYTES + b64_text_len(object.len) + b64_text_len(manifest.len) +
                   read_text_bytes(thumbnail);
    if (!take(a, bytes, col_slice(q, 4), &claim.credential))
        return false;
    claim.object = arena_copy(a->arena, object);
    claim.manifest = arena_copy(a->arena, manifest);
    claim.thumbnail = arena_copy(a->arena, thumbnail);
    a->claims[a->claims_n++] = claim;
    return true;
}

/* The first columns of Q_BUNDLE_HOLDINGS and Q_ROW_HOLDING. False: no room. */
static bool add_holding(struct answer *a, struct query *q)
{
    struct holding_row h = {.type = slice_eq_str(col_slice(q, 0), "presence") ? OBJECT_PRESENCE
                                                                              : OBJECT_CUSTODY};
    struct slice object = col_slice(q, 1);
    if (!take(a, HOLDING_FRAME_BYTES + b64_text_len(object.len), col_slice(q, 2),
              &h.edge_credential))
        return false;
    h.object = arena_copy(a->arena, object);
    a->holdings[a->holdings_n++] = h;
    return true;
}

/* Where a page goes on. */
struct place {
    struct id video_id, streamer_id;
    bool inside;       /* its claim was told, and its holdings up to: */
    struct id edge_id; /* "": none of them yet */
    enum object_type type;
};

/* The holdings of the claim at p, behind p; p moves along. False: the page is full. */
static bool add_holdings(struct conn *c, struct answer *a, struct place *p)
{
    bool room = true;
    if (!p->inside) {
        p->edge_id = (struct id){0};
        p->type = OBJECT_CUSTODY;
    }
    const struct place from = *p; /* what is bound must not change meanwhile */
    struct query *q = query_of(c, Q_BUNDLE_HOLDINGS);
    bind_id(q, 1, &from.video_id);
    bind_id(q, 2, &from.streamer_id);
    bind_id(q, 3, &from.edge_id);
    bind_str(q, 4, from.type == OBJECT_PRESENCE ? "presence" : "custody");
    while (room && query_row(q)) {
        room = add_holding(a, q);
        if (!room)
            break;
        p->type = a->holdings[a->holdings_n - 1].type;
        col_id(q, 3, &p->edge_id);
    }
    query_end(q);
    p->inside = !room;
    return room;
}

static void page_end(const struct place *p, struct storage_done *done)
{
    done->u.bundle.last_video = p->video_id;
    done->u.bundle.last_streamer = p->streamer_id;
    done->u.bundle.inside = p->inside;
    done->u.bundle.last_edge = p->edge_id;
    done->u.bundle.last_type = p->type;
}

enum err read_bundle_page(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    struct answer a = answer_start(&done->arena);
    struct place p = {0};
    if (!op->u.bundle_page.first)
        p = (struct place){op->u.bundle_page.after_video, op->u.bundle_page.after_streamer,
                           op->u.bundle_page.inside, op->u.bundle_page.after_edge,
                           op->u.bundle_page.after_type};
    bool room = !p.inside || add_holdings(c, &a, &p);
    struct query *q = query_of(c, Q_BUNDLE_CLAIMS);
    struct place from = p;
    bind_id(q, 1, &from.video_id);
    bind_id(q, 2, &from.streamer_id);
    while (room && query_row(q)) {
        room = add_claim(&a, q); /* I2 */
        if (!room)
            break;
        col_id(q, 0, &p.video_id);
        col_id(q, 1, &p.streamer_id);
        room = add_holdings(c, &a, &p);
    }
    query_end(q);
    done->u.bundle.more = !room;
    answer_end(&a, done);
    page_end(&p, done);
    return ERR_OK;
}

/* One row by leaf and digest; false: it is there, and there is no room. */
static bool add_wanted(struct conn *c, struct answer *a, const struct sync_want *want)
{
    static const enum query_number queries[] = {Q_ROW_CLAIM, Q_ROW_HOLDING};
    bool found = false, room = true;
    for (int i = 0; i < 2 && !found; i++) {
        struct query *q = query_of(c, queries[i]);
        bind_int(q, 1, want->leaf);
        bind_blob(q, 2, slice_of(want->digest, SYNC_ROW_DIGEST_BYTES));
        found = query_row(q);
        if (found)
            room = i == 0 ? add_claim(a, q) : add_holding(a, q);
        query_end(q);
    }
    return room;
}

enum err read_rows(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    CHECK(op->u.rows_get.n <= SYNC_WANT_MAX);
    struct answer a = answer_start(&done->arena);
    size_t i = 0;
    while (i < op->u.rows_get.n && add_wanted(c, &a, &op->u.rows_get.rows[i]))
        i++;
    done->u.bundle.looked_n = i;
    done->u.bundle.more = i < op->u.rows_get.n;
    answer_end(&a, done);
    return ERR_OK;
}
