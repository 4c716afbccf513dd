/*
 * One catalogue over all edges: rows that others announce are merged, and it is
 * listed to who asks (docs/PROTOCOL.md §4.5). The merge itself is storage's,
 * inside the write transaction. Asking for all of it is in sync.c, finding out
 * what differs in repair.c.
 *
 * Invariants
 *   I1  backlog_n <= ROW_BACKLOG_MAX messages and backlog_rows <= ROW_BACKLOG_ROWS_MAX rows wait;
 *       merges_under_way of them are with storage, at most MERGES_UNDER_WAY_MAX.
 *   I2  nothing stamped or revised more than HLC_AHEAD_MAX_US from now is merged.
 *   I3  what was first said before the horizon, and may have been deleted since, is taken from an
 *       answer to our own asking alone: whoever says it again brings nothing back.
 *   I4  of a streamer who is revoked nothing is taken from a row that came alone, for anybody may
 *       have sent that: neither a deletion nor a greater revision. What edges sign brings it,
 *       if one of them took it before (docs/decisions/0011).
 */
#include "base/check.h"
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum { MERGES_UNDER_WAY_MAX = 2048 }; /* beyond it rows wait or are refused */

/* ---- rows from others ---- */

static bool plausible(const struct core *core, uint64_t at_us)
{
    return at_us <= core->utc_us + HLC_AHEAD_MAX_US;
}

/* I2, I3. What its streamer signed about a video is not the worse for a holding that comes along.
 * Our own rows come back from others like any: they are what we said, perhaps before we forgot it.
 */
static void merge(struct core *core, const struct storage_row *row, bool asked)
{
    bool claims = row->has_video || row->has_deletion;
    bool claim = claims && plausible(core, row->video.revision_us);
    bool holding = row->has_holding && plausible(core, (row->holding.hlc >> 16) * 1000);
    if (claims && !claim)
        core_count(core, COUNT_rows_refused);
    if (row->has_holding && !holding)
        core_count(core, COUNT_rows_refused);
    if (!claim && !holding)
        return;
    if (holding && id_eq(&row->holding.edge_id, &core->config.edge_id))
        core_own_hlc(core, row->holding.hlc);
    struct storage_op *op = storage_op_new(STORAGE_ROW_MERGE, TOKEN_OF(TOKEN_MERGE, 0));
    op->u.row = storage_row_copy(&op->arena, row);
    op->u.row.has_video = claim && row->has_video;
    op->u.row.has_deletion = claim && row->has_deletion;
    op->u.row.has_holding = holding;
    op->u.row.restamp = false;
    op->u.row.recent_only = !asked;
    core->merges_under_way++;
    core_store(core, op);
}

static bool may_merge(const struct core *core)
{
    return core->merges_under_way < MERGES_UNDER_WAY_MAX &&
           core->stores_under_way < STORES_UNDER_WAY_MAX && core_room(core) >= 16;
}

/* Whether its streamer is revoked. The credential was verified with the row. */
static bool claim_revoked(const struct core *core, const struct storage_row *row)
{
    struct slice body;
    struct signature sig;
    struct credential c;
    return (row->has_video || row->has_deletion) && row->credential.len &&
           signed_split(row->credential, &body, &sig) == ERR_OK &&
           credential_decode(body, &c) == ERR_OK && core_revoked(core, c.serial);
}

/* I4 */
void catalogue_update(struct core *core, const struct event *ev)
{
    struct storage_row row = ev->u.db_update.row;
    if (claim_revoked(core, &row)) {
        core_count(core, COUNT_revoked_refused);
        row.has_video = row.has_deletion = false;
    }
    if (may_merge(core))
        merge(core, &row, false);
    else
        core_count(core, COUNT_rows_refused);
}

/* ---- what became of them ---- */

static struct ingest *live_of(const struct core *core, const struct holding *h)
{
    struct ingest *in = map_get(&core->lives, id_slice(&h->video_id));
    return in && id_eq(&in->row.video.streamer_id, &h->streamer_id) ? in : NULL;
}

/* A presence of ours that we did not know: from before a backup was restored, or a crash. */
static void own_presence(struct core *core, const struct holding *h)
{
    struct ingest *live = live_of(core, h);
    if (h->state == 1 && (!live || !hash_eq(&live->stream, &h->stream)))
        stale_add(core, h);
    else if (h->state == 0 && live)
        stale_again(core, live);
}

static void merged(struct core *core, const struct storage_done *done)
{
    bool changed = done->u.row_merge.changed;
    if (done->u.row_merge.refused)
        core_count(core, COUNT_rows_orphaned);
    else
        core_count(core, changed ? COUNT_rows_merged : COUNT_rows_unchanged);
    if (!changed)
        return;
    if (done->u.row_merge.deletion)
        delete_ended(core, &done->u.row_merge.video_id, &done->u.row_merge.streamer_id,
                     done->u.row_merge.revision_us);
    else if (done->u.row_merge.complete)
        custody_look(core, &done->u.row_merge.video_id);
    if (TOKEN_PURPOSE(done->token) != TOKEN_MERGE || !done->u.row_merge.own)
        return;
    if (done->u.row_merge.own_presence)
        own_presence(core, &done->u.row_merge.own_holding);
    else if (!done->u.row_merge.own_true)
        custody_correct(core, &done->u.row_merge.video_id);
}

void catalogue_merged(struct core *core, const struct storage_done *done)
{
    if (TOKEN_PURPOSE(done->token) == TOKEN_MERGE) {
        CHECK(core->merges_under_way > 0); /* I1 */
        core->merges_under_way--;
        core->merges_failed += done->err != ERR_OK;
    }
    if (done->err == ERR_OK)
        merged(core, done);
    if (TOKEN_PURPOSE(done->token) == TOKEN_STALE)
        stale_done(core, done);
    if (TOKEN_PURPOSE(done->token) != TOKEN_WITHDRAW)
        return;
    struct ingest *in = ingest_by_serial(core, TOKEN_NUMBER(done->token));
    if (in)
        live_withdrawn(core, in, done->err);
}

/* ---- rows that wait ---- */

bool catalogue_keep(struct core *core, struct event *ev, struct storage_row *rows, size_t n,
                    bool asked)
{
    if (core->backlog_n == ROW_BACKLOG_MAX || core->backlog_rows + n > ROW_BACKLOG_ROWS_MAX)
        return false; /* I1 */
    struct row_backlog *b = mem_alloc(sizeof(*b));
    b->rows = rows;
    b->n = n;
    b->asked = asked;
    b->arena = ev->arena;
    ev->arena = (struct arena){0};
    *(core->backlog ? &core->backlog_tail->after : &core->backlog) = b;
    core->backlog_tail = b;
    core->backlog_n++;
    core->backlog_rows += n;
    return true;
}

/* Rows that nobody asked for: what finds no room comes again by repair. */
void catalogue_rows(struct core *core, struct event *ev)
{
    core->counters[COUNT_rows_refused] += ev->u.db_rows.skipped;
    if (!core->stopping && catalogue_keep(core, ev, ev->u.db_rows.rows, ev->u.db_rows.n, false))
        return;
    core->counters[COUNT_rows_refused] += ev->u.db_rows.n;
}

static void backlog_drop(struct core *core)
{
    struct row_backlog *b = core->backlog;
    core->backlog = b->after;
    core->backlog_n--;
    core->backlog_rows -= b->n;
    arena_release(&b->arena);
    free(b);
}

void catalogue_pump(struct core *core)
{
    for (unsigned n = 0; core->backlog && !core->stopping && n < ROWS_PER_STEP_MAX; n++) {
        if (!may_merge(core))
            return;
        struct row_backlog *b = core->backlog;
        if (b->next < b->n)
            merge(core, &b->rows[b->next++], b->asked);
        if (b->next >= b->n)
            backlog_drop(core);
    }
}

uint64_t catalogue_deadline_us(const struct core *core)
{
    return core->backlog_n && !core->stopping ? core->now_us + PUMP_AGAIN_US : UINT64_MAX;
}

void catalogue_release(struct core *core)
{
    while (core->backlog)
        backlog_drop(core);
}

/* ---- lists ---- */

void catalogue_list(struct core *core, const struct list_request *m)
{
    struct answer to = {
        .kind = TOPIC_LIST_REPLY, .reply_id = m->client_id, .client_id = m->client_id};
    if (!reply_id_ok(m->client_id, core->config.allow_token_reply_ids)) {
        core_count(core, COUNT_answers_suppressed);
        return;
    }
    struct pending_list *p = NULL;
    for (size_t i = 0; !p && i < LISTS_MAX; i++)
        if (!core->lists[i].serial)
            p = &core->lists[i];
    bool trusted = core_token_ok(core, m->client_id, m->token);
    if (!p || core->stopping || (!trusted && !core_untrusted_left(core))) {
        core_answer_error(core, &to, ERR_BUSY, "too many lists at once; try again");
        return;
    }
    p->serial = ++core->serial;
    p->trusted = trusted;
    p->paged = m->paged;
    p->client_id_len = m->client_id.len;
    memcpy(p->client_id, m->client_id.ptr, m->client_id.len);
    struct storage_op *op = storage_op_new(STORAGE_LIST, TOKEN_OF(TOKEN_LIST, p->serial));
    op->u.list = *m;
    op->u.list.client_id = (struct slice){0};
    op->u.list.after = arena_copy(&op->arena, m->after);
    op->u.list.category = arena_copy(&op->arena, m->category);
    op->u.list.query = arena_copy(&op->arena, m->query);
    op->u.list.token = (struct slice){0};
    core_store(core, op);
}

/* About what a list weighs as JSON. */
static uint64_t weight_of(const struct storage_done *done)
{
    enum { ROW_FRAME_BYTES = 300 };
    uint64_t bytes = 0;
    for (size_t i = 0; i < done->u.list.n; i++) {
        const struct catalogue_row *r = &done->u.list.rows[i];
        bytes +=
            ROW_FRAME_BYTES + r->title.len + r->description.len + r->edges.len + r->thumbnail.len;
    }
    return bytes;
}

/* Whom we never heard of may be there all the same, if we have come a moment ago. */
static bool offline(struct core *core, struct slice edge)
{
    if (presence_online(core, edge))
        return false;
    uint64_t since = core->bus_up_us > core->started_us ? core->bus_up_us : core->started_us;
    return presence_peer(core, edge) || core->now_us - since > PEER_SILENCE_US;
}

/* Those of a comma-separated list of edges that are silent. */
static struct slice offline_of(struct core *core, struct slice edges)
{
    uint8_t *text = core_body(core, edges.len + 1);
    size_t len = 0;
    while (edges.len) {
        const uint8_t *comma = memchr(edges.ptr, ',', edges.len);
        struct slice edge = slice_of(edges.ptr, comma ? (size_t)(comma - edges.ptr) : edges.len);
        edges = comma ? slice_from(edges, edge.len + 1) : (struct slice){0};
        if (!offline(core, edge))
            continue;
        if (len)
            text[len++] = ',';
        memcpy(text + len, edge.ptr, edge.len);
        len += edge.len;
    }
    return slice_of(text, len);
}

void catalogue_listed(struct core *core, const struct storage_done *done)
{
    struct pending_list *p = NULL;
    for (size_t i = 0; !p && i < LISTS_MAX; i++)
        if (core->lists[i].serial == TOKEN_NUMBER(done->token))
            p = &core->lists[i];
    if (!p)
        return;
    struct slice client_id = slice_of(p->client_id, p->client_id_len);
    p->serial = 0;
    if (done->err != ERR_OK) {
        struct answer to = {
            .kind = TOPIC_LIST_REPLY, .reply_id = client_id, .client_id = client_id};
        core_answer_error(core, &to, done->err, "the list could not be read; see the edge's log");
        return;
    }
    thumbnail_list(core, p->paged, done);
    if (!p->trusted)
        core_untrusted_spend(core, weight_of(done));
    for (size_t i = 0; i < done->u.list.n; i++)
        done->u.list.rows[i].offline = offline_of(core, done->u.list.rows[i].edges);
    struct message_list *m = core_body(core, sizeof(*m));
    *m = (struct message_list){.paged = p->paged,
                               .n = done->u.list.n,
                               .rows = done->u.list.rows,
                               .more = done->u.list.more,
                               .next = done->u.list.next,
                               .token = core_token(core, client_id)};
    core_send(core, LANE_CONTROL, TOPIC_LIST_REPLY, core_self(core), client_id, MESSAGE_LIST, m);
}
