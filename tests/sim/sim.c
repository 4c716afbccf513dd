/*
 * The clock. What happens is kept in a heap by (time, order); each happening
 * may cause others, never in the past.
 *
 *   I1  a run follows from its seed: no address, no real time and no hash order decides anything.
 */
#include "tests/sim/sim.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

enum { RUN_S_MAX = 6 * 3600, HAPPENINGS_MAX = 20 * 1000 * 1000 };

uint64_t sim_random(struct sim *s, uint64_t n)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15ull; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % n;
}

bool sim_chance(struct sim *s, unsigned n)
{
    return sim_random(s, n) == 0;
}

/* ---- the heap ---- */

static bool before(const struct happening *a, const struct happening *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct happening *a, struct happening *b)
{
    struct happening t = *a;
    *a = *b;
    *b = t;
}

void sim_at(struct sim *s, uint64_t at_us, enum happening_kind kind, unsigned who,
            uint64_t generation, struct msg *msg)
{
    if (s->heap_n == s->heap_cap) {
        s->heap_cap = s->heap_cap ? 2 * s->heap_cap : 256;
        s->heap = mem_resize(s->heap, s->heap_cap * sizeof(*s->heap));
    }
    size_t i = s->heap_n++;
    s->heap[i] = (struct happening){.at_us = at_us < s->now_us ? s->now_us : at_us,
                                    .order = s->orders++,
                                    .kind = kind,
                                    .who = who,
                                    .generation = generation,
                                    .msg = msg};
    for (; i && before(&s->heap[i], &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&s->heap[i], &s->heap[(i - 1) / 2]);
}

static bool heap_take(struct sim *s, struct happening *ret)
{
    if (!s->heap_n)
        return false;
    *ret = s->heap[0];
    s->heap[0] = s->heap[--s->heap_n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < s->heap_n && before(&s->heap[child], &s->heap[least]))
                least = child;
        if (least == i)
            return true;
        swap(&s->heap[i], &s->heap[least]);
        i = least;
    }
}

/* ---- beginning and end ---- */

unsigned sim_client(struct sim *s, enum client_kind kind, unsigned index, const struct id *id)
{
    CHECK(s->clients_n < SIM_EDGES_MAX + SIM_STREAMERS_MAX + SIM_VIEWERS_MAX + 2);
    s->clients[s->clients_n] = (struct client){.kind = kind, .index = index, .id = *id};
    return (unsigned)s->clients_n++;
}

struct sim *sim_new(const struct sim_spec *spec)
{
    CHECK(crypto_init() == ERR_OK);
    struct sim *s = mem_alloc(sizeof(*s));
    s->spec = *spec;
    s->random = spec->seed * 0x2545f4914f6cdd1dull;
    s->now_us = s->started_us = 1000 * SIM_S;
    s->utc_us = REEL_UTC_US;
    s->lines = mem_array(SIM_TRACE_LINES, SIM_LINE_BYTES);
    s->clients =
        mem_array(SIM_EDGES_MAX + SIM_STREAMERS_MAX + SIM_VIEWERS_MAX + 2, sizeof(*s->clients));
    s->fx = mem_alloc(sizeof(*s->fx));
    s->budget.max_bytes = SIZE_MAX;
    s->nodes_n = spec->edges ? spec->edges : 2 + (unsigned)sim_random(s, 4);
    s->nodes = mem_array(s->nodes_n, sizeof(*s->nodes));
    for (unsigned i = 0; i < s->nodes_n; i++)
        node_init(s, i);
    return s;
}

void sim_free(struct sim *s)
{
    for (size_t i = 0; i < s->heap_n; i++)
        msg_unref(s->heap[i].msg);
    for (unsigned i = 0; i < s->nodes_n; i++)
        node_free(&s->nodes[i]);
    for (unsigned i = 0; i < s->streamers_n; i++)
        streamer_free(&s->streamers[i]);
    for (unsigned i = 0; i < s->lives_n; i++)
        live_free(&s->lives[i]);
    stranger_free(&s->stranger);
    liar_free(&s->liar);
    verdict_free(s);
    free(s->nodes);
    free(s->clients);
    free(s->heap);
    free(s->lines);
    arena_release(&s->fx->arena);
    free(s->fx);
    free(s);
}

/* ---- running ---- */

static void deliver(struct sim *s, const struct happening *h)
{
    const struct client *to = &s->clients[h->who];
    switch (to->kind) {
    case CLIENT_EDGE:
        if (h->generation == s->nodes[to->index].generation)
            node_take(s, to->index, msg_ref(h->msg));
        break;
    case CLIENT_STREAMER: streamer_take(s, to->index, h->msg); break;
    case CLIENT_VIEWER: viewer_take(s, to->index, h->msg); break;
    case CLIENT_STRANGER: stranger_take(s, h->msg); break;
    case CLIENT_LIAR: liar_take(s, h->msg); break;
    case CLIENT_AUTH: auth_take(s, h->msg); break;
    }
    msg_unref(h->msg);
}

static void happen(struct sim *s, const struct happening *h)
{
    bool alive = h->who < s->nodes_n && s->nodes[h->who].core &&
                 h->generation == s->nodes[h->who].generation;
    switch (h->kind) {
    case HAPPEN_DELIVER: deliver(s, h); break;
    case HAPPEN_TICK:
        if (alive && s->nodes[h->who].tick_at_us == h->at_us)
            node_tick(s, h->who);
        break;
    case HAPPEN_STORE:
        if (alive)
            node_store(s, h->who);
        break;
    case HAPPEN_LOAD:
        if (alive)
            node_load(s, h->who);
        break;
    case HAPPEN_STREAMER: streamer_wake(s, h->who); break;
    case HAPPEN_LIVE: live_wake(s, h->who); break;
    case HAPPEN_VIEWER: viewer_wake(s, h->who); break;
    case HAPPEN_STRANGER: stranger_wake(s); break;
    case HAPPEN_LIAR: liar_wake(s); break;
    case HAPPEN_AUTH: auth_wake(s); break;
    case HAPPEN_CHAOS: chaos_happen(s, h->who); break;
    case HAPPEN_LOOK: verdict_look(s); break;
    }
}

void sim_until(struct sim *s, uint64_t at_us)
{
    struct happening h;
    while (s->heap_n && s->heap[0].at_us <= at_us && heap_take(s, &h)) {
        s->utc_us += h.at_us - s->now_us;
        s->now_us = h.at_us;
        happen(s, &h);
    }
    s->utc_us += at_us - s->now_us;
    s->now_us = at_us;
}

bool sim_run(struct sim *s)
{
    struct happening h;
    uint64_t n = 0;
    while (!s->finished && !sim_failure(s)[0] && heap_take(s, &h)) {
        s->utc_us += h.at_us - s->now_us;
        s->now_us = h.at_us;
        happen(s, &h);
        if (s->now_us - s->started_us > RUN_S_MAX * SIM_S || ++n > HAPPENINGS_MAX)
            sim_fail(s, "it goes on for ever");
    }
    return !sim_failure(s)[0];
}
