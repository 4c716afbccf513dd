#include "tests/unit/edge/town.h"

#include "base/mem.h"
#include "edge/decode.h"
#include "edge/encode.h"

#include <stdio.h>
#include <stdlib.h>

struct stage *town_add(struct town *t, const struct stage_spec *spec)
{
    char id[32];
    struct stage_spec its = spec ? *spec : (struct stage_spec){0};
    snprintf(id, sizeof(id), "edge%zu", t->n + 1);
    its.edge_id = its.edge_id ? its.edge_id : id;
    its.seed = (uint8_t)(t->n + 1);
    its.bus_down = true;
    struct stage *s = stage_new(&its);
    if (t->now_us) {
        s->now_us = t->now_us;
        s->utc_us = t->utc_us;
    }
    t->now_us = s->now_us;
    t->utc_us = s->utc_us;
    stage_do(s, event_new(EVENT_BUS_UP));
    t->once[t->n] = once_new();
    t->s[t->n++] = s;
    return s;
}

struct town *town_new(size_t n, const struct stage_spec *spec)
{
    struct town *t = mem_alloc(sizeof(*t));
    t->budget.max_bytes = 1 << 20;
    for (size_t i = 0; i < n; i++)
        town_add(t, spec);
    return t;
}

void town_free(struct town *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->s[i])
            stage_free(t->s[i]);
    for (size_t i = 0; i < t->n; i++)
        once_free(t->once[i]);
    arena_release(&t->arena);
    free(t);
}

static bool among_edges(enum topic_kind kind)
{
    return kind == TOPIC_DB || kind == TOPIC_DB_REPLY || kind == TOPIC_DB_UPDATE ||
           kind == TOPIC_DB_SYNC || kind == TOPIC_EDGE_STATUS;
}

static void deliver(struct town *t, size_t to, struct slice topic, struct slice payload)
{
    struct stage *s = t->s[to];
    struct decoder d = {
        .self = s->edge.id, .budget = &t->budget, .once = t->once[to], .utc_us = s->utc_us};
    struct msg *msg = msg_new(topic, payload, NULL);
    stage_do(s, decode(&d, core_trust_view(s->core), msg));
}

static void count(struct town *t, enum topic_kind kind, size_t len)
{
    t->messages++;
    t->bytes += len;
    t->asked += kind == TOPIC_DB;
    t->sync_messages += kind == TOPIC_DB_SYNC;
    t->sync_bytes += kind == TOPIC_DB_SYNC ? len : 0;
    t->largest = len > t->largest ? len : t->largest;
}

static void publish(struct town *t, size_t from, const struct effect *e)
{
    char buf[TOPIC_BUF_BYTES];
    struct arena arena = {0};
    struct slice payloads[ENCODE_MESSAGES_MAX];
    struct slice topic = topic_print(e->topic, (struct slice){0}, e->a, e->b, buf);
    unsigned n = encode(e, &arena, payloads);
    bool named = e->topic == TOPIC_DB_REPLY || e->topic == TOPIC_DB_SYNC;
    for (unsigned i = 0; i < n; i++) {
        count(t, e->topic, payloads[i].len);
        for (size_t to = 0; to < t->n; to++)
            if (t->s[to] && !t->cut[to] && (to != from || e->topic == TOPIC_DB_UPDATE) &&
                (!named || slice_eq(e->a, id_slice(&t->s[to]->edge.id))))
                deliver(t, to, topic, payloads[i]);
    }
    arena_release(&arena);
}

/* The first n things that were said; what they borrow from goes when nothing is left. */
static void forget(struct stage *s, size_t n)
{
    if (s->said_n == n) {
        stage_forget(s);
        return;
    }
    for (size_t i = 0; i < n; i++)
        msg_unref(s->said[i].packet);
    memmove(s->said, s->said + n, (s->said_n - n) * sizeof(*s->said));
    s->said_n -= n;
}

static void publish_all(struct town *t)
{
    bool moved;
    do {
        moved = false;
        for (size_t i = 0; i < t->n; i++) {
            struct stage *s = t->s[i];
            if (!s || !s->said_n)
                continue;
            moved = true;
            size_t n = s->said_n; /* what is said meanwhile has its turn afterwards */
            for (size_t k = 0; k < n; k++)
                if (s->said[k].kind == EFFECT_SEND && among_edges(s->said[k].topic) && !t->cut[i])
                    publish(t, i, &s->said[k]);
            forget(s, n);
        }
    } while (moved);
}

void town_pass(struct town *t, uint64_t us)
{
    for (uint64_t end = t->now_us + us; t->now_us < end;) {
        uint64_t step = end - t->now_us < TOWN_STEP_US ? end - t->now_us : TOWN_STEP_US;
        t->now_us += step;
        t->utc_us += step;
        for (size_t i = 0; i < t->n; i++)
            if (t->s[i])
                stage_pass(t->s[i], step);
        publish_all(t);
    }
}

void town_skip(struct town *t, uint64_t us)
{
    t->now_us += us;
    t->utc_us += us;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->s[i])
            continue;
        t->s[i]->now_us += us;
        t->s[i]->utc_us += us;
        stage_do(t->s[i], event_new(EVENT_TICK));
    }
    publish_all(t);
}

/* Cheap, and false nearly always while they differ. */
static bool roots_agree(const struct town *t)
{
    const struct stage *first = NULL;
    bool same = true;
    for (size_t i = 0; i < t->n; i++) {
        const struct stage *s = t->s[i];
        if (!s)
            continue;
        first = first ? first : s;
        same = same && memcmp(s->core->root.b, first->core->root.b, ROOT_DIGEST_BYTES) == 0;
    }
    return same;
}

bool town_agrees(struct town *t)
{
    if (!roots_agree(t))
        return false;
    struct arena arena = {0};
    struct slice first = {0};
    bool same = true;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->s[i])
            continue;
        struct slice dump = memory_store_dump(t->s[i]->store, &arena);
        same = same && (!first.ptr || slice_eq(first, dump));
        first = dump;
    }
    arena_release(&arena);
    return same;
}

bool town_until_agreed(struct town *t, uint64_t us)
{
    for (uint64_t end = t->now_us + us; t->now_us < end && !town_agrees(t);)
        town_pass(t, 100 * 1000);
    return town_agrees(t);
}
