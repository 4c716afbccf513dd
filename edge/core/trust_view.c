/*
 * The view is copied on every change instead of locked: changes are rare (a
 * stream begins or ends, an edge appears), look-ups happen for every part on every core.
 *
 * Invariants
 *   I1  streams and edges are in ascending order and each stands once.
 */
#include "edge/core/trust_view.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

_Static_assert(_Alignof(struct trusted_edge) <= _Alignof(struct trusted_stream),
               "edges follow the streams");

/* A view with room for n streams and edges_n edges behind them, of the old one's zone and asking.
 */
static struct trust_view *view_alloc(const struct trust_view *old, size_t n, size_t edges_n)
{
    struct trust_view *view =
        mem_alloc(sizeof(*view) + n * sizeof(view->streams[0]) + edges_n * sizeof(view->edges[0]));
    if (old) {
        view->has_zone = old->has_zone;
        view->zone = old->zone;
        view->asked = old->asked;
    }
    atomic_init(&view->refs, 1);
    view->n = n;
    view->edges_n = edges_n;
    view->edges = (struct trusted_edge *)(void *)(view->streams + n);
    return view;
}

/* Copy a table of `old_n` items of `size` bytes whose items at..at+gone are replaced by `come`
 * items, which stay to be filled in. */
static void table_copy(void *ret, const void *old, size_t old_n, size_t size, size_t at,
                       size_t gone, size_t come)
{
    const uint8_t *from = old;
    uint8_t *to = ret;
    size_t rest = old_n - at - gone;
    if (at)
        memcpy(to, from, at * size);
    if (rest)
        memcpy(to + (at + come) * size, from + (at + gone) * size, rest * size);
}

static void streams_copy(struct trust_view *view, const struct trust_view *old)
{
    table_copy(view->streams, old->streams, old->n, sizeof(old->streams[0]), 0, 0, 0);
}

static void edges_copy(struct trust_view *view, const struct trust_view *old)
{
    table_copy(view->edges, old->edges, old->edges_n, sizeof(old->edges[0]), 0, 0, 0);
}

struct trust_view *trust_view_new(void)
{
    return view_alloc(NULL, 0, 0);
}

struct trust_view *trust_view_ref(struct trust_view *view)
{
    atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
    return view;
}

void trust_view_unref(struct trust_view *view)
{
    if (view && atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) == 1)
        free(view);
}

/* The first index whose stream is not below the one given. */
static size_t lower_bound(const struct trust_view *view, const struct hash *stream)
{
    size_t lo = 0;
    size_t hi = view->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (memcmp(view->streams[mid].stream.b, stream->b, HASH_BYTES) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool stream_at(const struct trust_view *view, size_t i, const struct hash *stream)
{
    return i < view->n && hash_eq(&view->streams[i].stream, stream);
}

const struct trusted_stream *trust_view_find(const struct trust_view *view,
                                             const struct hash *stream)
{
    size_t i = lower_bound(view, stream);
    return stream_at(view, i, stream) ? &view->streams[i] : NULL;
}

/* The first index whose edge is not below the one given. */
static size_t edge_lower_bound(const struct trust_view *view, const struct id *edge_id)
{
    size_t lo = 0;
    size_t hi = view->edges_n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(view->edges[mid].edge_id.s, edge_id->s) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool edge_at(const struct trust_view *view, size_t i, const struct id *edge_id)
{
    return i < view->edges_n && id_eq(&view->edges[i].edge_id, edge_id);
}

const struct pubkey *trust_view_edge(const struct trust_view *view, const struct id *edge_id)
{
    size_t i = edge_lower_bound(view, edge_id);
    return edge_at(view, i, edge_id) ? &view->edges[i].pk : NULL;
}

struct trust_view *trust_view_with_edge(const struct trust_view *old,
                                        const struct trusted_edge *edge)
{
    size_t at = edge_lower_bound(old, &edge->edge_id);
    size_t gone = edge_at(old, at, &edge->edge_id);
    struct trust_view *view = view_alloc(old, old->n, old->edges_n + 1 - gone);
    streams_copy(view, old);
    table_copy(view->edges, old->edges, old->edges_n, sizeof(*edge), at, gone, 1);
    view->edges[at] = *edge;
    return view;
}

struct trust_view *trust_view_without_edge(const struct trust_view *old, const struct id *edge_id)
{
    size_t at = edge_lower_bound(old, edge_id);
    size_t gone = edge_at(old, at, edge_id);
    struct trust_view *view = view_alloc(old, old->n, old->edges_n - gone);
    streams_copy(view, old);
    table_copy(view->edges, old->edges, old->edges_n, sizeof(old->edges[0]), at, gone, 0);
    return view;
}

struct trust_view *trust_view_with_zone(const struct trust_view *old,
                                        const struct zone_params *zone)
{
    struct trust_view *view = view_alloc(old, old->n, old->edges_n);
    streams_copy(view, old);
    edges_copy(view, old);
    view->has_zone = true;
    view->zone = *zone;
    return view;
}

struct trust_view *trust_view_with_asked(const struct trust_view *old, const struct asked *asked)
{
    struct trust_view *view = view_alloc(old, old->n, old->edges_n);
    streams_copy(view, old);
    edges_copy(view, old);
    view->asked = *asked;
    return view;
}

struct trust_view *trust_view_with(const struct trust_view *old,
                                   const struct trusted_stream *stream)
{
    size_t at = lower_bound(old, &stream->stream);
    size_t gone = stream_at(old, at, &stream->stream);
    struct trust_view *view = view_alloc(old, old->n + 1 - gone, old->edges_n);
    table_copy(view->streams, old->streams, old->n, sizeof(*stream), at, gone, 1);
    view->streams[at] = *stream;
    edges_copy(view, old);
    return view;
}

struct trust_view *trust_view_without(const struct trust_view *old, const struct hash *stream)
{
    size_t at = lower_bound(old, stream);
    size_t gone = stream_at(old, at, stream);
    struct trust_view *view = view_alloc(old, old->n - gone, old->edges_n);
    table_copy(view->streams, old->streams, old->n, sizeof(old->streams[0]), at, gone, 0);
    edges_copy(view, old);
    return view;
}
