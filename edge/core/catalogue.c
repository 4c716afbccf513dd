/*
 * One catalogue over all edges: rows that others announce are merged, and it is
 * listed to who asks (docs/PROTOCOL.md §4.5). The merge itself is storage's,
 * inside the write transaction. Asking for all of it is in sync.c.
 */
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum { MERGES_UNDER_WAY_MAX = 2048 }; /* beyond it rows wait or are refused */

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
    if (TOKEN_PURPOSE(done->token) == TOKEN_STALE)
        stale_done(core, done);
    if (TOKEN_PURPOSE(done->token) != TOKEN_WITHDRAW)
        return;
    struct ingest *in = ingest_by_serial(core, TOKEN_NUMBER(done->token));
    if (in)
        live_withdrawn(core, in, done->err);
}

static void backlog_drop(struct core *core)
{
    struct row_backlog *b = core->backlog;
    core->backlog = b->after;
    core->backlog_n--;
    arena_release(&b->arena);
    free(b);
}

void catalogue_pump(struct core *core)
{
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
    if (!p->trusted)
        core_untrusted_spend(core, weight_of(done));
    struct message_list *m = core_body(core, sizeof(*m));
    *m = (struct message_list){.paged = p->paged,
                               .n = done->u.list.n,
                               .rows = done->u.list.rows,
                               .more = done->u.list.more,
                               .next = done->u.list.next,
                               .token = core_token(core, client_id)};
    core_send(core, LANE_CONTROL, TOPIC_LIST_REPLY, core_self(core), client_id, MESSAGE_LIST, m);
}
