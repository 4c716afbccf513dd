/*
 * One edge as it is built in edge/: bytes → decode → core → effects → bytes, with
 * a store that answers a little later.
 *
 *   I1  what the core borrows or says passes through encode and decode: nothing is handed over.
 *   I2  a crash loses what was not committed; what was committed stays, whether it was answered or
 *       not.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "edge/decode.h"
#include "edge/encode.h"
#include "tests/sim/sim.h"
#include "tests/unit/edge/invariants.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOAD_EVERY_US = 20 * 1000 * 1000, STORE_DELAY_US = 4000, REPLICATION_BYTES = 8 << 20 };

uint64_t node_utc(const struct sim *s, const struct node *n)
{
    return (uint64_t)((int64_t)s->utc_us + n->skew_us);
}

void node_init(struct sim *s, unsigned edge)
{
    char name[32];
    struct node *n = &s->nodes[edge];
    struct memory_store_config config = {0};
    uint8_t secret[KEY_BYTES];
    snprintf(name, sizeof(name), "edge%u", edge + 1);
    member_make(name, CREDENTIAL_EDGE, &n->member);
    n->client = sim_client(s, CLIENT_EDGE, edge, &n->member.id);
    reel_zone_secret(secret);
    struct hash key = digest_key(secret);
    config.edge_id = n->member.id;
    memcpy(config.digest_key, key.b, KEY_BYTES);
    n->store = memory_store_new(&config);
    n->checked = checked_new();
}

void node_free(struct node *n)
{
    core_free(n->core);
    memory_store_free(n->store);
    once_free(n->once);
    checked_free(n->checked);
}

/* ---- effects ---- */

static void wake_store(struct sim *s, unsigned edge)
{
    struct node *n = &s->nodes[edge];
    if (n->store_due)
        return;
    n->store_due = true;
    uint64_t delay = s->healed ? STORE_DELAY_US : 200 + sim_random(s, 30 * 1000);
    sim_at(s, s->now_us + delay, HAPPEN_STORE, edge, n->generation, NULL);
}

static void carry_out(struct sim *s, unsigned edge, struct effect *e)
{
    struct node *n = &s->nodes[edge];
    char buf[TOPIC_BUF_BYTES];
    struct slice payloads[ENCODE_MESSAGES_MAX];
    switch (e->kind) {
    case EFFECT_SEND: {
        struct slice topic = topic_print(e->topic, (struct slice){0}, e->a, e->b, buf);
        unsigned count = encode(e, &s->fx->arena, payloads);
        for (unsigned i = 0; i < count; i++)
            broker_publish(s, n->client, topic, payloads[i]);
        break;
    }
    case EFFECT_PACKET:
        broker_publish(s, n->client, topic_print(e->topic, (struct slice){0}, e->a, e->b, buf),
                       e->packet->payload);
        break;
    case EFFECT_STORE:
        memory_store_submit(n->store, e->op);
        e->op = NULL;
        wake_store(s, edge);
        break;
    case EFFECT_LOG: trace_line(s, "%s: %s", n->member.id.s, e->text); break;
    case EFFECT_LOGIN:
    case EFFECT_THUMBNAIL:
    case EFFECT_TRUST:
    case EFFECT_DRAINED: break;
    }
}

static void step(struct sim *s, unsigned edge, struct event *ev)
{
    struct node *n = &s->nodes[edge];
    ev->now_us = s->now_us;
    ev->utc_us = node_utc(s, n);
    ev->live_free_bytes = LIVE_OUTBOX_BYTES_MAX;
    ev->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX;
    ev->control_free_bytes = CONTROL_OUTBOX_BYTES_MAX;
    core_step(n->core, ev, s->fx);
    n->steps++;
    CHECK(s->fx->n <= EFFECTS_PER_STEP_MAX);
    for (size_t i = 0; i < s->fx->n; i++)
        carry_out(s, edge, &s->fx->list[i]);
    effects_reset(s->fx);
    core_check(n->core, memory_store_under_way(n->store));
    uint64_t at = core_deadline_us(n->core);
    if (at != n->tick_at_us) {
        n->tick_at_us = at;
        if (at != UINT64_MAX)
            sim_at(s, at, HAPPEN_TICK, edge, n->generation, NULL);
    }
}

/* ---- life ---- */

static uint64_t number_of(const struct node *n, const char *key)
{
    struct reader r = reader_of(memory_store_meta(n->store, key));
    uint64_t number = read_u64(&r);
    return reader_done(&r) ? number : 0;
}

void node_start(struct sim *s, unsigned edge)
{
    struct node *n = &s->nodes[edge];
    struct arena arena = {0};
    struct core_config config = {
        .edge_id = n->member.id,
        .key = n->member.key,
        .version = "sim",
        .now_us = s->now_us,
        .utc_us = node_utc(s, n),
        .last_hlc = memory_store_last_hlc(n->store),
        .videos = memory_store_videos(n->store),
        .root = memory_store_root(n->store),
        .replicas = s->replicas,
        .replica_grace_us = s->grace_us,
        .cache_bytes_max = s->cache_bytes,
        .replication_bytes_per_s = REPLICATION_BYTES,
        .tombstone_kept_us = s->kept_us,
        .contact_us = number_of(n, "contact"),
        .since_us = number_of(n, "since"),
        .zone_params = memory_store_meta(n->store, "zone_params"),
        .credential = memory_store_meta(n->store, "credential"),
        .revocations = memory_store_meta(n->store, "revocations"),
    };
    if (!config.credential.len) {
        config.zone_params = reel_zone_bytes(&arena);
        config.credential = member_credential(&n->member);
    }
    config.stale = memory_store_stale(n->store, &arena, &config.stale_n);
    reel_zone_secret(config.zone_secret);
    for (size_t i = 0; i < KEY_BYTES; i++)
        config.seed[i] = (uint8_t)sim_random(s, 256);
    CHECK(!n->core);
    n->generation++;
    n->tick_at_us = 0;
    n->store_due = false;
    n->core = core_new(&config);
    once_free(n->once); /* forgotten with the rest */
    n->once = once_new();
    arena_release(&arena);
    trace_line(s, "%s starts", n->member.id.s);
    sim_at(s, s->now_us, HAPPEN_LOAD, edge, n->generation, NULL);
    n->bus_up = true;
    step(s, edge, event_new(EVENT_BUS_UP));
}

void node_crash(struct sim *s, unsigned edge)
{
    struct node *n = &s->nodes[edge];
    if (!n->core)
        return;
    memory_store_commit(n->store, sim_random(s, 4)); /* I2 */
    memory_store_crash(n->store);
    core_free(n->core);
    n->core = NULL;
    n->generation++;
    trace_line(s, "%s is gone", n->member.id.s);
    if (n->bus_up && sim_chance(s, 2))
        broker_will(s, edge);
    n->bus_up = false;
}

void node_link(struct sim *s, unsigned edge, bool up)
{
    struct node *n = &s->nodes[edge];
    if (!n->core || n->bus_up == up)
        return;
    trace_line(s, "%s %s the broker", n->member.id.s, up ? "has" : "lost");
    n->bus_up = up;
    if (!up)
        broker_will(s, edge);
    step(s, edge, event_new(up ? EVENT_BUS_UP : EVENT_BUS_DOWN));
}

void node_stop(struct sim *s, unsigned edge)
{
    if (s->nodes[edge].core)
        step(s, edge, event_new(EVENT_STOP));
}

/* ---- what happens to it ---- */

void node_take(struct sim *s, unsigned edge, struct msg *msg)
{
    struct node *n = &s->nodes[edge];
    if (!n->core || !n->bus_up) {
        msg_unref(msg);
        return;
    }
    struct decoder d = {.self = n->member.id,
                        .budget = &s->budget,
                        .once = n->once,
                        .checked = n->checked,
                        .utc_us = node_utc(s, n)};
    bool forged = stranger_made(msg->payload);
    struct event *ev = decode(&d, core_trust_view(n->core), msg);
    if (forged && ev->kind != EVENT_REJECTED && ev->kind != EVENT_TICK) /* its own, come back */
        sim_fail(s, "%s believes a stranger", n->member.id.s);
    if (ev->kind == EVENT_REJECTED)
        trace_line(s, "%s rejects: %s", n->member.id.s, ev->u.rejection.what);
    step(s, edge, ev);
}

void node_tick(struct sim *s, unsigned edge)
{
    s->nodes[edge].tick_at_us = 0;
    step(s, edge, event_new(EVENT_TICK));
}

static void complete(struct sim *s, unsigned edge)
{
    struct node *n = &s->nodes[edge];
    for (struct storage_done *done; (done = memory_store_take(n->store)) != NULL;) {
        struct event *ev = event_new(EVENT_STORED);
        ev->u.done = done;
        step(s, edge, ev);
    }
}

void node_store(struct sim *s, unsigned edge)
{
    struct node *n = &s->nodes[edge];
    n->store_due = false;
    memory_store_fail(n->store, ERR_STORAGE_FULL, 0, n->full ? UINT32_MAX : 0);
    memory_store_commit(n->store, s->healed ? SIZE_MAX : 1 + sim_random(s, 64));
    for (unsigned i = 0; i < 16 && memory_store_read(n->store); i++)
        ;
    complete(s, edge);
    if (memory_store_under_way(n->store))
        wake_store(s, edge);
}

void node_load(struct sim *s, unsigned edge)
{
    struct node *n = &s->nodes[edge];
    struct event *ev = event_new(EVENT_LOAD);
    uint64_t total = (50ull + 50 * (edge % 3)) << 30;
    ev->u.load = (struct machine_load){.memory_total = 8ull << 30,
                                       .memory_available = 4ull << 30,
                                       .disk_total = total,
                                       .disk_free = n->full ? 4096 : total / 2};
    ev->u.load.disk_used = total - ev->u.load.disk_free;
    sim_at(s, s->now_us + LOAD_EVERY_US, HAPPEN_LOAD, edge, n->generation, NULL);
    step(s, edge, ev);
}
