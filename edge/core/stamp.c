/*
 * What edges alone say to each other is signed when it is encoded
 * (docs/PROTOCOL.md §4.5); here it is said by whom, to whom and when.
 *
 * Invariants
 *   I1  no two messages of ours have the same time, and times go up, unless our clock was so far
 *       ahead that nobody believed it.
 */
#include "base/check.h"
#include "edge/core/state.h"

static uint64_t time_of(struct core *core)
{
    uint64_t last = core->stamped_us;
    bool ahead = last > core->utc_us + PEER_WINDOW_US;
    core->stamped_us = last < core->utc_us || ahead ? core->utc_us : last + 1;
    return core->stamped_us;
}

static bool between_edges(enum message_kind message)
{
    return message == MESSAGE_DB_REQUEST || message == MESSAGE_DB_LOT ||
           message == MESSAGE_DB_BUNDLE || message == MESSAGE_SYNC || message == MESSAGE_SYNC_ROWS;
}

const struct peer_stamp *core_stamp(struct core *core, const struct effect *e)
{
    if (!between_edges(e->message))
        return NULL;
    struct peer_stamp *s = core_body(core, sizeof(*s));
    *s = (struct peer_stamp){.zone_id = core->zone.zone_id,
                             .from = core->config.edge_id,
                             .topic = e->topic,
                             .time_us = time_of(core),
                             .key = &core->config.key};
    if (e->a.len)
        CHECK(id_parse(e->a, &s->to) == ERR_OK);
    return s;
}
