/*
 * Presences of ours that are no longer true: of lives that a crash cut off,
 * whose withdrawal the disk refused, or that others remember and we do not.
 * Each is withdrawn until storage has it, and only then announced. And those of
 * running lives that are true but stamped wrong: they are stamped anew. So is what repair tells
 * others and nobody takes, since our clock was ahead when it was stamped.
 *
 * Invariants
 *   I1  stale_n <= STALE_MAX; what finds no room comes again with a repair.
 */
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum { STALE_RETRY_US = 5 * 1000 * 1000 };

void stale_add(struct core *core, const struct holding *holding)
{
    if (core->stale_n == STALE_MAX) {
        core_count(core, COUNT_rows_refused); /* I1 */
        return;
    }
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
    struct storage_row row = {.has_holding = true, .restamp = true, .holding = *holding};
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

static bool able(const struct core *core)
{
    return core_ready(core) && core->bus_up[LANE_CONTROL];
}

static bool may_store(const struct core *core)
{
    return able(core) && core_room(core) >= 16 && core->stores_under_way < STORES_UNDER_WAY_MAX;
}

void stale_again(struct core *core, struct ingest *in)
{
    core->presences_due += !in->presence_due;
    in->presence_due = true;
}

void stale_clock(struct core *core)
{
    size_t cursor = 0;
    for (struct ingest *in; (in = map_next(&core->lives, &cursor)) != NULL;)
        stale_again(core, in);
}

/* A withdrawal that our clock stamped while it was ahead, or the presence of a live then. */
static void presence_ahead(struct core *core, const struct holding *h)
{
    for (size_t i = 0; i < core->stale_n; i++)
        if (id_eq(&core->stale[i].holding.video_id, &h->video_id) &&
            id_eq(&core->stale[i].holding.streamer_id, &h->streamer_id))
            return;
    struct ingest *live = map_get(&core->lives, id_slice(&h->video_id));
    if (live && id_eq(&live->row.video.streamer_id, &h->streamer_id))
        stale_again(core, live);
    else
        stale_add(core, h);
}

/* Of a copy: the sweep stamps what is listed anew, but another streamer's video may be. */
static void custody_ahead(struct core *core, const struct holding *h)
{
    struct storage_row row = {
        .stream = h->stream,
        .video = {.video_id = h->video_id, .streamer_id = h->streamer_id},
    };
    custody_say(core, &row, h->state); /* no room: it is told again */
}

void stale_told(struct core *core, const struct holding_row *rows, size_t n)
{
    for (size_t i = 0; i < n && core_ready(core) && core_room(core) > EFFECTS_KEPT; i++) {
        struct slice body;
        struct signature sig;
        struct holding h;
        if (signed_split(rows[i].object, &body, &sig) != ERR_OK ||
            holding_decode(body, &h) != ERR_OK || !id_eq(&h.edge_id, &core->config.edge_id) ||
            !core_stamp_ahead(core, h.hlc))
            continue;
        if (rows[i].type == OBJECT_PRESENCE)
            presence_ahead(core, &h);
        else
            custody_ahead(core, &h);
    }
}

static void merge(struct core *core, const struct storage_row *row, uint64_t serial)
{
    struct storage_op *op = storage_op_new(STORAGE_ROW_MERGE, TOKEN_OF(TOKEN_STALE, serial));
    op->u.row = storage_row_copy(&op->arena, row);
    core_store(core, op);
}

/* Running lives whose presence is to be stamped anew. */
static void restamp(struct core *core)
{
    size_t cursor = 0;
    if (core->now_us < core->presences_us)
        return;
    for (struct ingest *in; core->presences_due && may_store(core);) {
        in = map_next(&core->lives, &cursor);
        if (!in) {
            core->presences_due = 0; /* the others have ended */
            return;
        }
        if (!in->presence_due)
            continue;
        in->presence_due = false;
        core->presences_due--;
        in->row.restamp = true;
        in->row.holding = holding_of(core, &in->row.video, &in->stream, 1);
        in->row.holding_row = holding_sign(core, &in->arena, OBJECT_PRESENCE, &in->row.holding);
        merge(core, &in->row, in->serial);
    }
}

void stale_pump(struct core *core)
{
    restamp(core);
    for (size_t i = 0; i < core->stale_n; i++) {
        struct stale_live *s = &core->stale[i];
        if (s->under_way || core->now_us < s->due_us)
            continue;
        if (!may_store(core))
            return;
        if (live_again(core, &s->holding)) {
            s->due_us = core->now_us + STALE_RETRY_US;
            continue;
        }
        s->under_way = true;
        s->holding.state = 0;
        s->holding.hlc = core_hlc(core);
        struct storage_row row = row_of(core, &s->holding);
        merge(core, &row, s->serial);
    }
}

/* A running live's presence is stored: it is announced like a new one. */
static void restamped(struct core *core, const struct storage_done *done)
{
    struct ingest *in = ingest_by_serial(core, TOKEN_NUMBER(done->token));
    if (!in || in->state != INGEST_RUNNING)
        return;
    core->presences_us = done->err == ERR_OK ? 0 : core->now_us + STALE_RETRY_US;
    if (done->err != ERR_OK)
        stale_again(core, in);
    else
        gossip_add(core, &in->row, false);
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
        if (!done->u.row_merge.refused)
            gossip_add(core, &row, true);
        *s = core->stale[--core->stale_n];
        return;
    }
    restamped(core, done);
}

uint64_t stale_deadline_us(const struct core *core)
{
    uint64_t at = UINT64_MAX;
    if (!able(core))
        return at;
    if (core->presences_due)
        at = core->presences_us;
    for (size_t i = 0; i < core->stale_n; i++)
        if (!core->stale[i].under_way && core->stale[i].due_us < at)
            at = core->stale[i].due_us;
    return at;
}
