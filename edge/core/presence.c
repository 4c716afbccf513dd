/*
 * Who is there: our heartbeat, the other edges', and the answer to ping
 * (docs/PROTOCOL.md §4.1).
 */
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

static uint32_t lives_n(const struct core *core)
{
    return (uint32_t)core->lives.count;
}

void presence_ping(struct core *core, const struct ping_request *m)
{
    if (!core_ready(core) || !reply_id_ok(m->client_id, core->config.allow_token_reply_ids)) {
        core_count(core, COUNT_answers_suppressed);
        return;
    }
    struct ping_reply *reply = core_body(core, sizeof(*reply));
    *reply = (struct ping_reply){
        .edge_id = core->config.edge_id,
        .load = core->load,
        .timestamp_us = core->utc_us,
        .zone_id = core->zone.zone_id,
        .version = slice_str(core->config.version),
        .streams = lives_n(core),
        .viewers = (uint32_t)core->views.count,
        .uptime_s = (core->now_us - core->started_us) / 1000000,
        .token = core_token(core, m->client_id),
    };
    core_send(core, LANE_CONTROL, TOPIC_PING_REPLY, m->client_id, (struct slice){0},
              MESSAGE_PING_REPLY, reply);
}

struct peer *presence_peer(struct core *core, struct slice id)
{
    struct peer *p = map_get(&core->peers, id);
    if (p && p->online && core->now_us - p->heard_us > PEER_SILENCE_US)
        p->online = false;
    return p;
}

/* Room for a peer: the first one that is offline gives way. */
static struct peer *peer_make(struct core *core, const struct id *id)
{
    if (core->peers.count == PEERS_MAX) {
        struct peer *gone = NULL;
        size_t cursor = 0;
        for (struct peer *p; !gone && (p = map_next(&core->peers, &cursor)) != NULL;)
            if (!presence_peer(core, id_slice(&p->id))->online)
                gone = p;
        if (!gone)
            return NULL;
        sync_peer_gone(core, gone);
        free(map_remove(&core->peers, id_slice(&gone->id)));
    }
    struct peer *p = mem_alloc(sizeof(*p));
    p->id = *id;
    map_put(&core->peers, id_slice(&p->id), p);
    return p;
}

void presence_status(struct core *core, const struct edge_status *m)
{
    if (id_eq(&m->edge_id, &core->config.edge_id))
        return;
    struct peer *p = presence_peer(core, id_slice(&m->edge_id));
    if (!p && m->online)
        p = peer_make(core, &m->edge_id);
    if (!p)
        return;
    bool back = m->online && (!p->online || p->heard_us == 0);
    p->online = m->online;
    p->heard_us = core->now_us;
    if (back)
        sync_peer_back(core, p);
}

static void send_status(struct core *core, bool online)
{
    struct edge_status *m = core_body(core, sizeof(*m));
    *m = (struct edge_status){
        .edge_id = core->config.edge_id,
        .online = online,
        .zone = id_slice(&core->zone.zone_id),
        .ts_ms = core->utc_us / 1000,
        .videos = core->videos,
        .streams = lives_n(core),
        .viewers = (uint32_t)core->views.count,
        .uptime_s = (core->now_us - core->started_us) / 1000000,
    };
    core_send(core, LANE_CONTROL, TOPIC_EDGE_STATUS, core_self(core), (struct slice){0},
              MESSAGE_EDGE_STATUS, m);
}

void presence_offline(struct core *core)
{
    send_status(core, false);
}

void presence_tick(struct core *core)
{
    if (core->now_us < core->heartbeat_next_us)
        return;
    core->heartbeat_next_us = core->now_us + HEARTBEAT_US;
    if (core_ready(core) && core->bus_up[LANE_CONTROL])
        send_status(core, true);
}
