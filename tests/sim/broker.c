/*
 * The broker: who gets which message, and what becomes of it on the way.
 *
 *   I1  only bytes pass: nobody hears more of another than what decode makes of them.
 *   I2  when nothing is wrong, every message arrives once, and those of one sender in order.
 */
#include "base/check.h"
#include "tests/sim/sim.h"
#include "wire/presence.h"

#include <stdio.h>

enum { CALM_DELAY_US = 5000 };

static bool self(struct slice level, const struct client *c)
{
    return slice_eq(level, id_slice(&c->id));
}

/* What an edge subscribes to: edge/main.c. */
static bool edge_hears(const struct topic *t, const struct client *c)
{
    switch (t->kind) {
    case TOPIC_AUTH_REVOCATIONS:
    case TOPIC_DB:
    case TOPIC_DB_UPDATE:
    case TOPIC_EDGE_STATUS:
    case TOPIC_PING: return true;
    case TOPIC_AUTH_ZONE_REPLY:
    case TOPIC_DB_REPLY:
    case TOPIC_DB_SYNC:
    case TOPIC_LIST:
    case TOPIC_WATCH:
    case TOPIC_LIVE_WATCH:
    case TOPIC_UPLOAD:
    case TOPIC_LIVE_UPLOAD:
    case TOPIC_DELETE: return self(t->a, c);
    case TOPIC_WATCH_REPLY: return self(t->b, c);
    default: return false;
    }
}

static bool hears(const struct topic *t, const struct client *c)
{
    switch (c->kind) {
    case CLIENT_EDGE:
    case CLIENT_LIAR: return edge_hears(t, c);
    case CLIENT_STREAMER:
        return (t->kind == TOPIC_UPLOAD_REPLY || t->kind == TOPIC_DELETE_REPLY ||
                t->kind == TOPIC_LIVE_UPLOAD_REPLY) &&
               self(t->b, c);
    case CLIENT_STRANGER:
        return t->kind == TOPIC_DB || t->kind == TOPIC_DB_REPLY || t->kind == TOPIC_DB_UPDATE ||
               t->kind == TOPIC_DB_SYNC;
    case CLIENT_VIEWER: return t->kind == TOPIC_WATCH_REPLY && self(t->b, c);
    case CLIENT_AUTH: return t->kind == TOPIC_AUTH_ZONE;
    }
    return false;
}

/* Whether the broker has a connection to him. */
static bool connected(const struct sim *s, const struct client *c)
{
    if (c->kind == CLIENT_LIAR)
        return s->liar.on;
    return c->kind != CLIENT_EDGE || (s->nodes[c->index].core && s->nodes[c->index].bus_up);
}

static enum traffic_kind traffic_of(enum topic_kind kind)
{
    switch (kind) {
    case TOPIC_EDGE_STATUS: return TRAFFIC_STATUS;
    case TOPIC_DB_UPDATE: return TRAFFIC_GOSSIP;
    case TOPIC_DB_SYNC: return TRAFFIC_REPAIR;
    case TOPIC_DB:
    case TOPIC_DB_REPLY: return TRAFFIC_DB;
    default: return TRAFFIC_MEDIA;
    }
}

static void count(struct traffic *t, size_t bytes)
{
    t->messages++;
    t->bytes += bytes;
}

static void forward(struct sim *s, unsigned to, struct msg *msg, enum traffic_kind kind)
{
    const struct client *c = &s->clients[to];
    uint64_t generation = c->kind == CLIENT_EDGE ? s->nodes[c->index].generation : 0;
    unsigned copies = 1;
    if (!s->healed && sim_random(s, 1000) < s->loss_per_mille)
        copies = 0;
    else if (!s->healed && sim_random(s, 1000) < s->double_per_mille)
        copies = 2;
    for (unsigned i = 0; i < copies; i++) {
        uint64_t delay = CALM_DELAY_US;
        if (!s->healed && s->delay_us_max)
            delay = 1 + sim_random(s, s->delay_us_max);
        count(&s->received[kind], msg->payload.len);
        sim_at(s, s->now_us + delay, HAPPEN_DELIVER, to, generation, msg_ref(msg));
    }
}

static void publish(struct sim *s, unsigned group, struct slice topic, struct slice payload)
{
    struct topic t;
    CHECK(topic_parse(topic, (struct slice){0}, &t) == ERR_OK);
    struct msg *msg = msg_new(topic, payload, NULL);
    enum traffic_kind kind = traffic_of(t.kind);
    count(&s->sent[kind], payload.len);
    for (unsigned i = 0; i < s->clients_n; i++) {
        const struct client *c = &s->clients[i];
        if (c->group == group && connected(s, c) && hears(&t, c))
            forward(s, i, msg, kind);
    }
    msg_unref(msg);
}

void broker_publish(struct sim *s, unsigned from, struct slice topic, struct slice payload)
{
    const struct client *c = &s->clients[from];
    CHECK(payload.len <= PACKET_BYTES_MAX);
    if (!connected(s, c))
        return;
    trace_bytes(s, payload);
    trace_line(s, "%s > %.*s %zu", c->id.s, SLICE_FMT(topic), payload.len);
    publish(s, c->group, topic, payload);
}

void broker_send(struct sim *s, unsigned from, enum topic_kind kind, struct slice a, struct slice b,
                 struct slice payload)
{
    char buf[TOPIC_BUF_BYTES];
    broker_publish(s, from, topic_print(kind, (struct slice){0}, a, b, buf), payload);
}

void broker_will(struct sim *s, unsigned edge)
{
    struct arena arena = {0};
    char buf[TOPIC_BUF_BYTES];
    const struct client *c = &s->clients[s->nodes[edge].client];
    struct edge_status status = {.edge_id = c->id};
    struct slice topic =
        topic_print(TOPIC_EDGE_STATUS, (struct slice){0}, id_slice(&c->id), (struct slice){0}, buf);
    publish(s, c->group, topic, edge_status_encode(&status, &arena));
    arena_release(&arena);
}
