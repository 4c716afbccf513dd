#include "edge/once.h"

#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

struct said {
    struct id edge;
    uint64_t floor_us;             /* the greatest that was forgotten */
    uint64_t times_us[ONCE_TIMES]; /* 0: none */
};

struct once {
    struct map edges;
};

struct once *once_new(void)
{
    struct once *r = mem_alloc(sizeof(*r));
    map_init(&r->edges, ONCE_EDGES_MAX);
    return r;
}

void once_free(struct once *r)
{
    if (!r)
        return;
    size_t cursor = 0;
    for (struct said *s; (s = map_next(&r->edges, &cursor)) != NULL;)
        free(s);
    map_release(&r->edges);
    free(r);
}

bool once_fresh(const struct once *r, const struct id *edge, uint64_t time_us, uint64_t utc_us)
{
    uint64_t apart = time_us > utc_us ? time_us - utc_us : utc_us - time_us;
    if (apart > PEER_WINDOW_US)
        return false;
    const struct said *s = map_get(&r->edges, id_slice(edge));
    if (!s)
        return true;
    bool fresh = time_us > s->floor_us;
    for (size_t i = 0; fresh && i < ONCE_TIMES; i++)
        fresh = s->times_us[i] != time_us;
    return fresh;
}

/* Whether all that it said is so old that the window refuses it. */
static bool over(const struct said *s, uint64_t utc_us)
{
    uint64_t last_us = s->floor_us;
    for (size_t i = 0; i < ONCE_TIMES; i++)
        last_us = s->times_us[i] > last_us ? s->times_us[i] : last_us;
    return last_us + PEER_WINDOW_US < utc_us;
}

/* One that says nothing any more gives way. */
static void make_room(struct once *r, uint64_t utc_us)
{
    struct said *old = NULL;
    size_t cursor = 0;
    for (struct said *s; !old && (s = map_next(&r->edges, &cursor)) != NULL;)
        if (over(s, utc_us))
            old = s;
    if (old)
        free(map_remove(&r->edges, id_slice(&old->edge)));
}

static struct said *said_by(struct once *r, const struct id *edge, uint64_t utc_us)
{
    struct said *s = map_get(&r->edges, id_slice(edge));
    if (s)
        return s;
    if (r->edges.count == ONCE_EDGES_MAX)
        make_room(r, utc_us);
    if (r->edges.count == ONCE_EDGES_MAX)
        return NULL;
    s = mem_alloc(sizeof(*s));
    s->edge = *edge;
    map_put(&r->edges, id_slice(&s->edge), s);
    return s;
}

bool once_take(struct once *r, const struct id *edge, uint64_t time_us, uint64_t utc_us)
{
    struct said *s = said_by(r, edge, utc_us);
    if (!s)
        return false;
    size_t oldest = 0;
    for (size_t i = 1; i < ONCE_TIMES; i++)
        if (s->times_us[i] < s->times_us[oldest])
            oldest = i;
    if (s->times_us[oldest] > s->floor_us)
        s->floor_us = s->times_us[oldest]; /* I1 */
    s->times_us[oldest] = time_us;
    return true;
}
