#ifndef EDGE_CORE_TRUST_VIEW_H
#define EDGE_CORE_TRUST_VIEW_H
/*
 * What the verify workers believe: the zone's parameters and which key signs
 * which stream that is under way. Immutable once published, counted by
 * reference; the core makes a new one for every change.
 */
#include "trust/object.h"

#include <stdatomic.h>

enum stream_use { STREAM_UPLOAD, STREAM_LIVE, STREAM_FETCH };

struct trusted_stream {
    struct hash stream;
    struct pubkey signer;
    enum stream_use use;
};

/* An edge whose credential was seen: who may say something in its name. */
struct trusted_edge {
    struct id edge_id;
    struct pubkey pk;
};

/* Whom we ask for its whole catalogue: its pages are looked at, and nobody else's. */
struct asked {
    struct id from;
    uint64_t number; /* pages name it; 0: nobody is asked */
};

struct trust_view {
    atomic_uint refs;
    bool has_zone;
    struct asked asked;
    struct zone_params zone;
    size_t edges_n;
    struct trusted_edge *edges; /* ascending by id; owned */
    size_t n;
    struct trusted_stream streams[]; /* ascending by stream */
};

/* trust_view_new: an empty view without a zone, one reference. */
struct trust_view *trust_view_new(void);
struct trust_view *trust_view_ref(struct trust_view *view);
void trust_view_unref(struct trust_view *view); /* NULL is fine */

/* trust_view_find: who signs this stream, or NULL. O(log n). Any thread. */
const struct trusted_stream *trust_view_find(const struct trust_view *view,
                                             const struct hash *stream);

/* trust_view_edge: the key of an edge, or NULL. O(log n). Any thread. */
const struct pubkey *trust_view_edge(const struct trust_view *view, const struct id *edge_id);

/* Copies of old with one change; the caller owns the result and keeps old. O(n).
 * trust_view_with_edge replaces a key of the same edge. */
struct trust_view *trust_view_with_edge(const struct trust_view *old,
                                        const struct trusted_edge *edge);
struct trust_view *trust_view_without_edge(const struct trust_view *old, const struct id *edge_id);
struct trust_view *trust_view_with_zone(const struct trust_view *old,
                                        const struct zone_params *zone);
struct trust_view *trust_view_with_asked(const struct trust_view *old, const struct asked *asked);
struct trust_view *trust_view_with(const struct trust_view *old,
                                   const struct trusted_stream *stream);
struct trust_view *trust_view_without(const struct trust_view *old, const struct hash *stream);

#endif
