/*
 * Presences of ours that are no longer true: of lives that a crash cut off, or
 * whose withdrawal the disk refused. Each is withdrawn until storage has it,
 * and only then announced.
 */
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum { STALE_RETRY_US = 5 * 1000 * 1000 };

void stale_add(struct core *core, const struct holding *holding)
{
    if (core->stale_n == core->stale_cap) {
        core->stale_cap = core->stale_cap ? 2 * core->stale_cap : 16;
        core->stale = mem_resize(core->stale, core->stale_cap * sizeof(*core->stale));
    }
    core->stale[core->stale_n++] =
        (struct stale_live){.holding = *holding, .serial = ++core->serial, .due_us = core->now_us};
}

void stale_release(struct core *core)
{
    free(core->stale);
    core->stale = NULL;
    core->stale_n = core->stale_cap = 0;
}

/* The withdrawal as a row; the same holding gives the same bytes. */
static struct storage_row row_of(struct core *core, const struct holding *holding)
{
    struct storage_row row = {.has_holding = true, .holding = *holding};
    row.holding_row = holding_sign(core, &core->fx->arena, OBJECT_PRESENCE, holding);
    return row;
}

/*
 * The catalogue keeps one presence for a video at an edge, whatever the stream: a withdrawal
 * stamped now would take a new live of the same id with it. That live's own end comes later.
 */
static bool live_again(const struct core *core, const struct holding *h)
{
    size_t cursor = 0;
    for (struct ingest *in; (in = map_next(&core->ingests, &cursor)) != NULL;)
        if (in->use == STREAM_LIVE && in->state != INGEST_FINISHING &&
            id_eq(&in->row.video.video_id, &h->video_id))
            return true;
    return false;
}

void stale_pump(struct core *core)
{
    for (size_t i = 0; i < core->stale_n; i++) {
        struct stale_live *s = &core->stale[i];
        if (s->under_way || core->now_us < s->due_us)
            continue;
        if (!core_ready(core) || !core->bus_up[LANE_CONTROL] || core_room(core) < 16 ||
            core->stores_under_way >= STORES_UNDER_WAY_MAX)
            return;
        if (live_again(core, &s->holding)) {
            s->due_us = core->now_us + STALE_RETRY_US;
            continue;
        }
        s->under_way = true;
        s->holding.state = 0;
        s->holding.hlc = core_hlc(core);
        struct storage_row row = row_of(core, &s->holding);
        struct storage_op *op = storage_op_new(STORAGE_ROW_MERGE, TOKEN_OF(TOKEN_STALE, s->serial));
        op->u.row = storage_row_copy(&op->arena, &row);
        core_store(core, op);
    }
}

void stale_done(struct core *core, const struct storage_done *done)
{
    for (size_t i = 0; i < core->stale_n; i++) {
        struct stale_live *s = &core->stale[i];
        if (s->serial != TOKEN_NUMBER(done->token))
            continue;
        s->under_way = false;
        s->due_us = core->now_us + STALE_RETRY_US;
        if (done->err != ERR_OK)
            return;
        struct storage_row row = row_of(core, &s->holding);
        announce(core, &row, true);
        *s = core->stale[--core->stale_n];
        return;
    }
}

uint64_t stale_deadline_us(const struct core *core)
{
    uint64_t at = UINT64_MAX;
    bool able = core_ready(core) && core->bus_up[LANE_CONTROL];
    for (size_t i = 0; able && i < core->stale_n; i++)
        if (!core->stale[i].under_way && core->stale[i].due_us < at)
            at = core->stale[i].due_us;
    return at;
}
