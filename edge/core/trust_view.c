/*
 * The view is copied on every change instead of locked: changes are rare (a
 * stream begins or ends), look-ups happen for every part on every core.
 *
 * Invariants
 *   I1  streams are in ascending order and each stands once.
 */
#include "edge/core/trust_view.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

static struct trust_view *view_alloc(const struct trust_view *old, size_t n)
{
    struct trust_view *view = mem_alloc(sizeof(*view) + n * sizeof(view->streams[0]));
    if (old) {
        view->has_zone = old->has_zone;
        view->zone = old->zone;
    }
    atomic_init(&view->refs, 1);
    view->n = n;
    return view;
}

struct trust_view *trust_view_new(void)
{
    return view_alloc(NULL, 0);
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

const struct trusted_stream *trust_view_find(const struct trust_view *view,
                                             const struct hash *stream)
{
    size_t i = lower_bound(view, stream);
    if (i == view->n || !hash_eq(&view->streams[i].stream, stream))
        return NULL;
    return &view->streams[i];
}

struct trust_view *trust_view_with_zone(const struct trust_view *old,
                                        const struct zone_params *zone)
{
    struct trust_view *view = view_alloc(old, old->n);
    memcpy(view->streams, old->streams, old->n * sizeof(old->streams[0]));
    view->has_zone = true;
    view->zone = *zone;
    return view;
}

struct trust_view *trust_view_with(const struct trust_view *old,
                                   const struct trusted_stream *stream)
{
    size_t at = lower_bound(old, &stream->stream);
    bool there = at < old->n && hash_eq(&old->streams[at].stream, &stream->stream);
    struct trust_view *view = view_alloc(old, old->n + (there ? 0 : 1));
    size_t rest = old->n - at - (there ? 1 : 0);
    memcpy(view->streams, old->streams, at * sizeof(old->streams[0]));
    view->streams[at] = *stream;
    memcpy(view->streams + at + 1, old->streams + old->n - rest, rest * sizeof(old->streams[0]));
    return view;
}

struct trust_view *trust_view_without(const struct trust_view *old, const struct hash *stream)
{
    size_t at = lower_bound(old, stream);
    bool there = at < old->n && hash_eq(&old->streams[at].stream, stream);
    struct trust_view *view = view_alloc(old, old->n - (there ? 1 : 0));
    size_t rest = old->n - at - (there ? 1 : 0);
    memcpy(view->streams, old->streams, at * sizeof(old->streams[0]));
    memcpy(view->streams + at, old->streams + old->n - rest, rest * sizeof(old->streams[0]));
    return view;
}
