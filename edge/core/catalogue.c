/*
 * One catalogue over all edges: rows that others announce are merged, ours are
 * announced, and who comes new asks for all of it (docs/PROTOCOL.md §4.5).
 * The merge itself is storage's, inside the write transaction.
 */
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum {
    SYNC_EVERY_US = 3 * 1000 * 1000,
    SYNC_TRIES_MAX = 5,
    MERGES_UNDER_WAY_MAX = 2048, /* beyond it rows wait or are refused */
};

/* ---- rows from others ---- */

static bool plausible(const struct core *core, const struct storage_row *row)
{
    uint64_t at_us = (row->holding.hlc >> 16) * 1000;
    return at_us <= core->utc_us + HLC_AHEAD_MAX_US;
}

/* What its streamer signed about a video is merged whoever brings it; a holding only if it can be.
 */
static void merge(struct core *core, const struct storage_row *row)
{
    /* Only we write about us: what comes back is our own echo, or somebody's copy of it. */
    bool ours = row->has_holding && id_eq(&row->holding.edge_id, &core->config.edge_id);
    bool holding = row->has_holding && !ours && plausible(core, row);
    if (row->has_holding && !holding && !ours)
        core_count(core, COUNT_rows_refused);
    if (!row->has_video && !holding)
        return;
    struct storage_op *op = storage_op_new(STORAGE_ROW_MERGE, TOKEN_OF(TOKEN_MERGE, 0));
    op->u.row = storage_row_copy(&op->arena, row);
    op->u.row.has_holding = holding;
    core_store(core, op);
}

void catalogue_update(struct core *core, const struct event *ev)
{
    if (core->stores_under_way >= MERGES_UNDER_WAY_MAX)
        core_count(core, COUNT_rows_refused);
    else
        merge(core, &ev->u.db_update.row);
}

void catalogue_merged(struct core *core, const struct storage_done *done)
{
    if (done->err == ERR_OK)
        core_count(core, done->u.row_merge.changed ? COUNT_rows_merged : COUNT_rows_unchanged);
    if (TOKEN_PURPOSE(done->token) != TOKEN_WITHDRAW)
        return;
    struct ingest *in = ingest_by_serial(core, TOKEN_NUMBER(done->token));
    if (in)
        live_withdrawn(core, in);
}

/* ---- asking for everything ---- */

static bool reachable(const struct core *core)
{
    return core_ready(core) && core->bus_up[LANE_CONTROL];
}

void catalogue_tick(struct core *core)
{
    if (core->synced || core->now_us < core->sync_next_us || !reachable(core))
        return;
    if (core->sync_tries++ == SYNC_TRIES_MAX) {
        core->synced = true; /* nobody is there, or their answers are lost: heartbeats go on */
        return;
    }
    core->sync_next_us = core->now_us + SYNC_EVERY_US;
    struct db_request *m = core_body(core, sizeof(*m));
    m->edge_id = core->config.edge_id;
    core_send(core, LANE_CONTROL, TOPIC_DB, (struct slice){0}, (struct slice){0},
              MESSAGE_DB_REQUEST, m);
}

void catalogue_db_reply(struct core *core, struct event *ev)
{
    core->sync_next_us = core->now_us + SYNC_EVERY_US;
    core->synced = core->synced || ev->u.db_reply.pages || ev->u.db_reply.page == 0;
    core->counters[COUNT_rows_refused] += ev->u.db_reply.skipped;
    if (core->backlog_n == ROW_BACKLOG_MAX) {
        core->counters[COUNT_rows_refused] += ev->u.db_reply.n;
        return;
    }
    struct row_backlog *b = mem_alloc(sizeof(*b));
    b->rows = ev->u.db_reply.rows;
    b->n = ev->u.db_reply.n;
    b->arena = ev->arena;
    ev->arena = (struct arena){0};
    *(core->backlog ? &core->backlog_tail->after : &core->backlog) = b;
    core->backlog_tail = b;
    core->backlog_n++;
}

static void backlog_drop(struct core *core)
{
    struct row_backlog *b = core->backlog;
    core->backlog = b->after;
    core->backlog_n--;
    arena_release(&b->arena);
    free(b);
}

/* Withdraw lives that a crash of ours left behind in the catalogue. */
static void withdraw_stale(struct core *core)
{
    while (core->stale_next < core->stale_n && reachable(core) && core_room(core) > 16 &&
           core->stores_under_way < MERGES_UNDER_WAY_MAX) {
        struct storage_row row = {.has_holding = true};
        row.holding = core->stale[core->stale_next++];
        row.holding.state = 0;
        row.holding.hlc = core_hlc(core);
        row.holding_row = holding_sign(core, &core->fx->arena, OBJECT_PRESENCE, &row.holding);
        struct storage_op *op = storage_op_new(STORAGE_ROW_MERGE, TOKEN_OF(TOKEN_MERGE, 0));
        op->u.row = storage_row_copy(&op->arena, &row);
        core_store(core, op);
        announce(core, &row, true);
    }
}

void catalogue_pump(struct core *core)
{
    withdraw_stale(core);
    for (unsigned n = 0; core->backlog && !core->stopping && n < ROWS_PER_STEP_MAX; n++) {
        if (core->stores_under_way >= MERGES_UNDER_WAY_MAX || core_room(core) < 16)
            return;
        struct row_backlog *b = core->backlog;
        if (b->next < b->n)
            merge(core, &b->rows[b->next++]);
        if (b->next >= b->n)
            backlog_drop(core);
    }
}

uint64_t catalogue_deadline_us(const struct core *core)
{
    if ((core->backlog_n && !core->stopping) ||
        (core->stale_next < core->stale_n && reachable(core)))
        return core->now_us + PUMP_AGAIN_US;
    return !core->synced && reachable(core) ? core->sync_next_us : UINT64_MAX;
}

void catalogue_release(struct core *core)
{
    while (core->backlog)
        backlog_drop(core);
}

/* ---- answering who asks for everything ---- */

static struct hash weight(struct slice asker, struct slice edge)
{
    uint8_t buf[2 * (4 + ID_BYTES_MAX)];
    struct writer w = writer_of(buf, sizeof(buf));
    write_str(&w, asker);
    write_str(&w, edge);
    return hash_of(slice_of(buf, w.len), (struct slice){0});
}

/* Whether of all edges online it is we who answer this asker. */
static bool ours_to_answer(struct core *core, const struct id *asker)
{
    struct hash mine = weight(id_slice(asker), core_self(core));
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;) {
        if (id_eq(&p->id, asker) || !presence_peer(core, id_slice(&p->id))->online)
            continue;
        struct hash theirs = weight(id_slice(asker), id_slice(&p->id));
        if (memcmp(theirs.b, mine.b, HASH_BYTES) > 0)
            return false;
    }
    return true;
}

static void read_page(struct core *core, size_t slot, const struct id *after, bool first)
{
    struct storage_op *op = storage_op_new(STORAGE_DB_PAGE, TOKEN_OF(TOKEN_DB_SESSION, slot));
    op->u.db_page.first = first;
    if (after)
        op->u.db_page.after = *after;
    core_store(core, op);
}

void catalogue_db_request(struct core *core, const struct db_request *m)
{
    if (id_eq(&m->edge_id, &core->config.edge_id) || !core_ready(core) ||
        !ours_to_answer(core, &m->edge_id))
        return;
    size_t slot = DB_SESSIONS_MAX;
    for (size_t i = 0; i < DB_SESSIONS_MAX; i++) {
        if (core->sessions[i].used && id_eq(&core->sessions[i].asker, &m->edge_id))
            return; /* being answered */
        if (!core->sessions[i].used && slot == DB_SESSIONS_MAX)
            slot = i;
    }
    if (slot == DB_SESSIONS_MAX) {
        core_count(core, COUNT_answers_suppressed); /* the asker asks again */
        return;
    }
    core->sessions[slot] = (struct db_session){.used = true, .asker = m->edge_id};
    read_page(core, slot, NULL, true);
}

void catalogue_db_page(struct core *core, const struct storage_done *done)
{
    size_t slot = (size_t)TOKEN_NUMBER(done->token);
    struct db_session *s = &core->sessions[slot];
    if (done->err != ERR_OK) {
        s->used = false;
        return;
    }
    struct message_db_page *m = core_body(core, sizeof(*m));
    bool more = done->u.db_page.more && done->u.db_page.n;
    s->page++;
    *m = (struct message_db_page){.n = done->u.db_page.n,
                                  .rows = done->u.db_page.rows,
                                  .streamers_n = done->u.db_page.streamers_n,
                                  .streamers = done->u.db_page.streamers,
                                  .page = s->page,
                                  .pages = more ? 0 : s->page};
    core_send(core, LANE_CONTROL, TOPIC_DB_REPLY, id_slice(&s->asker), (struct slice){0},
              MESSAGE_DB_PAGE, m);
    if (more)
        read_page(core, slot, &done->u.db_page.rows[done->u.db_page.n - 1].video_id, false);
    else
        s->used = false;
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
    if (!p || core->stopping) {
        core_answer_error(core, &to, ERR_BUSY, "too many lists at once; try again");
        return;
    }
    p->serial = ++core->serial;
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
    struct message_list *m = core_body(core, sizeof(*m));
    *m = (struct message_list){.paged = p->paged,
                               .n = done->u.list.n,
                               .rows = done->u.list.rows,
                               .more = done->u.list.more,
                               .token = core_token(core, client_id)};
    core_send(core, LANE_CONTROL, TOPIC_LIST_REPLY, core_self(core), client_id, MESSAGE_LIST, m);
}
