/*
 * What became so here is told to all: a row at a time in the original's form
 * while there are few, as lots when they come in bursts (docs/PROTOCOL.md §4.5).
 *
 * Invariants
 *   I1  at most GOSSIP_ROWS_MAX rows and GOSSIP_BYTES_MAX bytes wait. What finds no room is
 *       dropped and counted: it is in the catalogue, and repair brings it.
 *   I2  nothing is said while the broker is away or the control outbox is more than half full:
 *       acknowledgements and heartbeats never wait behind gossip.
 *   I3  rows are said in the order in which they came.
 */
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum {
    SINGLES_PER_TURN_MAX = 4,
    TURN_US = 50 * 1000,
    ROW_FRAME_BYTES = 512,     /* field names, ids, numbers of one row as JSON */
    MESSAGE_FRAME_BYTES = 256, /* of a lot */
};

static size_t base64_bytes(struct slice s)
{
    return (s.len + 2) / 3 * 4;
}

/* At most what the row weighs as JSON: text may need an escape for every byte. */
static size_t weight_of(const struct storage_row *row)
{
    size_t bytes = ROW_FRAME_BYTES + 2 * row->thumbnail.len;
    const struct slice objects[] = {row->statement, row->credential, row->manifest,
                                    row->holding_row.object, row->holding_row.edge_credential};
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
        bytes += base64_bytes(objects[i]);
    return bytes;
}

void gossip_add(struct core *core, const struct storage_row *row, bool removal)
{
    size_t bytes = weight_of(row);
    if (core->gossip_n == GOSSIP_ROWS_MAX || core->gossip_bytes + bytes > GOSSIP_BYTES_MAX) {
        core_count(core, COUNT_gossip_dropped); /* I1 */
        return;
    }
    struct gossip_row *g = mem_alloc(sizeof(*g));
    g->row = storage_row_copy(&g->arena, row);
    g->removal = removal;
    g->bytes = bytes;
    *(core->gossip ? &core->gossip_tail->after : &core->gossip) = g;
    core->gossip_tail = g;
    core->gossip_n++;
    core->gossip_bytes += bytes;
}

static void drop_first(struct core *core)
{
    struct gossip_row *g = core->gossip;
    core->gossip = g->after;
    core->gossip_n--;
    core->gossip_bytes -= g->bytes;
    arena_release(&g->arena);
    free(g);
}

void gossip_release(struct core *core)
{
    while (core->gossip)
        drop_first(core);
}

static struct holding_row holding_copy(struct core *core, const struct holding_row *h)
{
    return (struct holding_row){.type = h->type,
                                .object = core_copy(core, h->object),
                                .edge_credential = core_copy(core, h->edge_credential)};
}

static void spent(struct core *core, size_t bytes)
{
    core->control_free_bytes -= bytes < core->control_free_bytes ? bytes : core->control_free_bytes;
}

/* ---- one row ---- */

static struct db_update *update_of(struct core *core, const struct storage_row *row)
{
    struct db_update *m = core_body(core, sizeof(*m));
    m->edge_id = core->config.edge_id;
    m->video_id = row->has_holding ? row->holding.video_id : row->video.video_id;
    m->streamer_id = row->has_holding ? row->holding.streamer_id : row->video.streamer_id;
    m->live = row->has_holding && row->holding_row.type == OBJECT_PRESENCE;
    m->has_holding = row->has_holding;
    if (row->has_holding)
        m->holding = holding_copy(core, &row->holding_row);
    return m;
}

static void say_one(struct core *core, const struct gossip_row *g)
{
    const struct storage_row *row = &g->row;
    struct db_update *m = update_of(core, row);
    m->removal = g->removal || row->has_deletion;
    if (row->has_deletion) {
        m->deletion = core_copy(core, row->statement);
        m->credential = core_copy(core, row->credential);
    } else if (!m->removal) {
        m->title = core_copy(core, row->video.title);
        m->category = core_copy(core, row->video.category);
        m->description = core_copy(core, row->video.description);
        m->thumbnail = core_copy(core, row->thumbnail);
        m->streamer_name = core_copy(core, row->streamer_name);
        m->statement = core_copy(core, row->statement);
        m->credential = core_copy(core, row->credential);
        m->manifest = core_copy(core, row->manifest);
    }
    core_send(core, LANE_CONTROL, TOPIC_DB_UPDATE, (struct slice){0}, (struct slice){0},
              MESSAGE_DB_UPDATE, m);
    spent(core, g->bytes);
}

/* ---- many ---- */

static struct bundle_claim claim_copy(struct core *core, const struct storage_row *row)
{
    return (struct bundle_claim){.deleted = row->has_deletion,
                                 .object = core_copy(core, row->statement),
                                 .credential = core_copy(core, row->credential),
                                 .manifest = core_copy(core, row->manifest),
                                 .thumbnail = core_copy(core, row->thumbnail)};
}

/* As many of the first rows as surely fit one message. */
static void say_lot(struct core *core)
{
    size_t n = 0;
    size_t bytes = MESSAGE_FRAME_BYTES;
    for (const struct gossip_row *g = core->gossip;
         g && n < BUNDLE_ROWS_MAX && (n == 0 || bytes + g->bytes <= CATALOGUE_PAGE_BYTES_MAX);
         g = g->after) {
        bytes += g->bytes;
        n++;
    }
    struct message_bundle *m = core_body(core, sizeof(*m));
    struct bundle_claim *claims = core_body(core, n * sizeof(*claims));
    struct holding_row *holdings = core_body(core, n * sizeof(*holdings));
    *m = (struct message_bundle){
        .edge_id = core->config.edge_id, .claims = claims, .holdings = holdings};
    for (size_t i = 0; i < n; i++) {
        const struct storage_row *row = &core->gossip->row;
        if (row->has_video || row->has_deletion)
            claims[m->claims_n++] = claim_copy(core, row);
        if (row->has_holding)
            holdings[m->holdings_n++] = holding_copy(core, &row->holding_row);
        drop_first(core);
    }
    core_send(core, LANE_CONTROL, TOPIC_DB_UPDATE, (struct slice){0}, (struct slice){0},
              MESSAGE_DB_LOT, m);
    spent(core, bytes);
}

/* ---- when ---- */

/* I2 */
static bool may_say(const struct core *core)
{
    return core->bus_up[LANE_CONTROL] && core->has_credential &&
           core->control_free_bytes > CONTROL_OUTBOX_BYTES_MAX / 2 && core_room(core) > 16;
}

/*
 * A few rows of a turn leave at once and alone. If there are more, the rest waits for the end of
 * the turn, and leaves in lots.
 */
void gossip_pump(struct core *core)
{
    bool turn_over = core->now_us >= core->gossip_turn_us || core->stopping;
    if (turn_over && core->gossip_n) {
        core->gossip_turn_us = core->now_us + TURN_US;
        core->gossip_singles = 0;
        while (core->gossip_n > SINGLES_PER_TURN_MAX && may_say(core))
            say_lot(core);
    }
    while (core->gossip && core->gossip_singles < SINGLES_PER_TURN_MAX &&
           core->gossip_n <= SINGLES_PER_TURN_MAX && may_say(core)) {
        core->gossip_singles++;
        say_one(core, core->gossip);
        drop_first(core);
    }
}

uint64_t gossip_deadline_us(const struct core *core)
{
    if (!core->gossip || !core->bus_up[LANE_CONTROL] || !core->has_credential)
        return UINT64_MAX;
    uint64_t soon = core->now_us + UNTRUSTED_TICK_US;
    return core->gossip_turn_us > soon ? core->gossip_turn_us : soon;
}
