#include "tests/unit/flow/link.h"

#include "base/check.h"

#include <string.h>

uint64_t rng_next(struct rng *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state;
}

bool rng_percent(struct rng *r, unsigned percent)
{
    return rng_next(r) % 100 < percent;
}

static void put(struct link *l, uint64_t now_us, const uint32_t v[static 6])
{
    CHECK(l->n < LINK_MESSAGES_MAX);
    uint64_t spread = l->delay_max_us - l->delay_min_us + 1;
    struct link_message *m = &l->queue[l->n++];
    m->at_us = now_us + l->delay_min_us + rng_next(l->rng) % spread;
    m->order = l->count++;
    memcpy(m->v, v, sizeof(m->v));
}

struct link link_of(struct rng *rng, unsigned loss_percent, uint64_t delay_max_us)
{
    return (struct link){.rng = rng,
                         .loss_percent = loss_percent,
                         .double_percent = loss_percent,
                         .delay_min_us = 1000,
                         .delay_max_us = loss_percent ? delay_max_us : 1000};
}

void link_send(struct link *l, uint64_t now_us, const uint32_t v[static 6])
{
    if (rng_percent(l->rng, l->loss_percent))
        return;
    put(l, now_us, v);
    if (rng_percent(l->rng, l->double_percent))
        put(l, now_us, v);
}

static size_t first(const struct link *l)
{
    size_t best = 0;
    for (size_t i = 1; i < l->n; i++)
        if (l->queue[i].at_us < l->queue[best].at_us ||
            (l->queue[i].at_us == l->queue[best].at_us && l->queue[i].order < l->queue[best].order))
            best = i;
    return best;
}

bool link_take(struct link *l, uint64_t now_us, uint32_t ret_v[static 6])
{
    if (l->n == 0)
        return false;
    size_t i = first(l);
    if (l->queue[i].at_us > now_us)
        return false;
    memcpy(ret_v, l->queue[i].v, sizeof(l->queue[i].v));
    l->queue[i] = l->queue[--l->n];
    return true;
}

uint64_t link_next_us(const struct link *l)
{
    return l->n ? l->queue[first(l)].at_us : UINT64_MAX;
}
