/*
 * I1  at a horizon every edge forgets the same rows: withdrawn holdings and deletions dead at it
 *     (merge.h), and claims as old as it that nobody says anything about. It becomes the root's
 *     when nothing of the kind is left; what is dead is refused from the first slice on.
 * I2  rows are looked at in the order of their keys, and those that have to go are collected before
 *     they go: a slice is bounded in both.
 * I3  a copy is never dropped because rows are forgotten, but by ORPHANS, when nobody claims it.
 */
#include "edge/store/forget.h"

#include "base/bytes.h"
#include "edge/store/copy.h"
#include "edge/store/merge.h"
#include "edge/store/row.h"
#include "edge/store/sums.h"

struct key {
    struct id video_id, streamer_id;
};

/* One slice. */
struct sweep {
    uint32_t rows; /* that went */
    bool more;     /* something may be left */
};

static bool is_full(const struct sweep *s)
{
    return s->rows >= STORE_SLICE_ROWS_MAX;
}

static enum err end(const struct sweep *s, struct storage_done *done)
{
    done->u.slice.more = s->more;
    done->u.slice.rows = s->rows;
    return ERR_OK;
}

/* Where the last call of this operation left off, or at the beginning. */
static struct walk *walk_of(struct conn *c, enum storage_kind kind, uint64_t limit)
{
    struct walk *w = &c->tally.walk;
    if (!w->under_way || w->kind != kind || w->limit != limit)
        *w = (struct walk){.under_way = true, .kind = kind, .limit = limit};
    return w;
}

static void drop_claim(struct conn *c, const struct key *key, struct sweep *s)
{
    s->rows += row_drop_claim(c, &key->video_id, &key->streamer_id);
    row_settle(c, &key->video_id, &key->streamer_id);
}

/*
 * The next claims, by key, that q marks in its column 2 (I2); the walk is moved behind what was
 * looked at, and ends when nothing is left.
 */
static size_t next_claims(struct query *q, struct walk *w, size_t max, struct key *ret)
{
    size_t n = 0;
    unsigned looked = 0;
    struct key from = {w->video_id, w->streamer_id}; /* what is bound must not change meanwhile */
    bind_id(q, 1, &from.video_id);
    bind_id(q, 2, &from.streamer_id);
    w->under_way = false;
    while (query_row(q)) {
        w->under_way = n == max || looked++ == FORGET_LOOK_MAX;
        if (w->under_way)
            break;
        col_id(q, 0, &w->video_id);
        col_id(q, 1, &w->streamer_id);
        if (col_int(q, 2))
            ret[n++] = (struct key){w->video_id, w->streamer_id};
    }
    query_end(q);
    return n;
}

/* ---- HORIZON ---- */

/* The first hlc after a time: what is below it is not later. */
static uint64_t hlc_after(uint64_t us)
{
    return (us / 1000 + 1) << HLC_COUNTER_BITS;
}

/* They were not listed, and the claims they were under are looked at next. */
static void drop_dead_holdings(struct conn *c, uint64_t horizon_us, struct sweep *s)
{
    struct {
        uint64_t rowid;
        struct id video_id;
        struct row_digest digest;
    } found[STORE_SLICE_ROWS_MAX];
    size_t n = 0;
    struct query *q = query_of(c, Q_HOLDINGS_DEAD);
    bind_int(q, 1, hlc_after(horizon_us));
    for (; n < STORE_SLICE_ROWS_MAX && query_row(q); n++) {
        found[n].rowid = col_int(q, 0);
        col_id(q, 1, &found[n].video_id);
        col_row_digest(q, 2, &found[n].digest);
    }
    query_end(q);
    for (size_t i = 0; i < n && !c->db.err; i++)
        row_drop_holding(c, found[i].rowid, &found[i].video_id, &found[i].digest);
    s->rows += (uint32_t)n;
}

/* Claims and deletions that nobody says anything about, as old as the horizon. */
static void drop_bare_claims(struct conn *c, uint64_t horizon_us, struct sweep *s)
{
    struct key keys[STORE_SLICE_ROWS_MAX];
    struct walk *w = walk_of(c, STORAGE_HORIZON, horizon_us);
    size_t max = STORE_SLICE_ROWS_MAX - s->rows;
    size_t n = next_claims(query_of(c, Q_CLAIMS_FROM), w, max, keys);
    for (size_t i = 0; i < n && !c->db.err; i++) {
        struct query *q = query_of(c, Q_CLAIM_VERSION);
        bind_id(q, 1, &keys[i].video_id);
        bind_id(q, 2, &keys[i].streamer_id);
        bool dead = query_row(q) && merge_dead_deletion(col_int(q, 0), horizon_us);
        query_end(q);
        if (dead)
            drop_claim(c, &keys[i], s);
    }
    s->more = w->under_way;
}

/* I1 */
static void set_horizon(struct conn *c, uint64_t horizon_us)
{
    uint8_t bytes[8];
    struct writer w = writer_of(bytes, sizeof(bytes));
    write_u64(&w, horizon_us);
    c->tally.horizon_us = horizon_us;
    struct query *q = query_of(c, Q_META_PUT);
    bind_str(q, 1, META_HORIZON);
    bind_blob(q, 2, slice_of(bytes, w.len));
    query_run(q);
}

enum err forget_dead(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    uint64_t horizon_us = op->u.horizon.horizon_us;
    struct sweep s = {0};
    c->tally.dead_us = horizon_us;
    if (horizon_us)
        drop_dead_holdings(c, horizon_us, &s);
    if (is_full(&s))
        s.more = true;
    else
        drop_bare_claims(c, horizon_us, &s);
    if (!s.more)
        set_horizon(c, horizon_us);
    return end(&s, done);
}

/* ---- BOOTSTRAP ---- */

/* Deletions stay: one may have been acknowledged here and be known to nobody else yet. */
enum err forget_catalogue(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    struct key keys[STORE_SLICE_ROWS_MAX];
    struct sweep s = {0};
    uint64_t kept_hlc = op->u.bootstrap.kept_hlc;
    struct walk *w = walk_of(c, STORAGE_BOOTSTRAP, kept_hlc);
    struct query *q = query_of(c, Q_CLAIMS_OWN_FROM);
    bind_id(q, 3, &c->edge_id);
    bind_int(q, 4, kept_hlc);
    struct walk before = *w;
    size_t n = next_claims(q, w, STORE_SLICE_ROWS_MAX, keys), i = 0;
    for (; i < n && !is_full(&s) && !c->db.err; i++)
        drop_claim(c, &keys[i], &s);
    if (i && i < n) { /* their holdings filled the slice: go on behind the last one that went */
        *w = before;
        w->video_id = keys[i - 1].video_id;
        w->streamer_id = keys[i - 1].streamer_id;
    }
    s.more = w->under_way;
    return end(&s, done);
}

/* ---- ORPHANS ---- */

static size_t next_orphans(struct conn *c, struct walk *w,
                           struct copy ret[static STORE_SLICE_ROWS_MAX])
{
    size_t n = 0;
    unsigned looked = 0;
    uint64_t chunks = 0;
    struct query *q = query_of(c, Q_COPIES_FROM);
    bind_int(q, 1, w->copy);
    w->under_way = false;
    while (query_row(q)) {
        w->under_way =
            n == STORE_SLICE_ROWS_MAX || chunks >= FORGET_CHUNKS_MAX || looked++ == FORGET_LOOK_MAX;
        if (w->under_way)
            break;
        w->copy = col_int(q, 0);
        if (!col_int(q, 4))
            continue;
        ret[n] = (struct copy){.n = w->copy};
        col_id(q, 1, &ret[n].video_id);
        col_id(q, 2, &ret[n].streamer_id);
        n++;
        chunks += col_int(q, 3);
    }
    query_end(q);
    return n;
}

/* I3 */
enum err forget_orphans(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    (void)op;
    struct copy orphans[STORE_SLICE_ROWS_MAX];
    struct sweep s = {0};
    struct walk *w = walk_of(c, STORAGE_ORPHANS, 0);
    size_t n = next_orphans(c, w, orphans);
    for (size_t i = 0; i < n && !c->db.err; i++) {
        copy_drop(c, &orphans[i]);
        row_settle(c, &orphans[i].video_id, &orphans[i].streamer_id);
    }
    s.rows = (uint32_t)n;
    s.more = w->under_way;
    return end(&s, done);
}
