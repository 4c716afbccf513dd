#ifndef EDGE_STORE_MERGE_H
#define EDGE_STORE_MERGE_H
/*
 * Which of two catalogue rows stays (docs/PROTOCOL.md §4.5). Every decision is
 * a total order on what is signed, and merging takes the maximum: so rows may
 * be lost, doubled and reordered on the way, and every edge ends with the same.
 *
 * Pure; any thread.
 */
#include "edge/core/storage.h"

/* Of one claim (video_id, streamer_id): what orders its revisions. */
struct merge_revision {
    uint64_t revision_us;
    struct hash statement_hash;
};

/* merge_revision_order: below, equal to or above 0 as a is older than, the same as, or newer
 * than b. */
int merge_revision_order(const struct merge_revision *a, const struct merge_revision *b);

/* Of one holding (video_id, streamer_id, edge_id, kind): what orders its states. */
struct merge_state {
    uint64_t hlc;
    struct slice object; /* signed; breaks the tie of an edge that repeated an hlc */
};

/* merge_state_order: below, equal to or above 0 as a is older than, the same as, or newer than b.
 */
int merge_state_order(const struct merge_state *a, const struct merge_state *b);

/* One claim of a video id, with what the edges say about it. */
struct merge_claim {
    struct id streamer_id;
    uint64_t created_us;
    bool live;   /* some edge shows it now */
    bool stored; /* it has a manifest, and some edge holds every byte of it */
};

/* merge_claim_visible: whether anything of the claim can be watched anywhere. */
bool merge_claim_visible(const struct merge_claim *c);

/* merge_claim_listed: whether a is listed rather than b, which belongs to the same video id and
 * another streamer: visible before not, then the lowest (created, streamer_id). */
bool merge_claim_listed(const struct merge_claim *a, const struct merge_claim *b);

#endif
