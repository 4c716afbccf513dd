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
    bool deleted; /* a deletion wins a tie */
    struct hash statement_hash;
    /* Signed objects: break what ties remain (the same body may be signed twice), so that tables
     * end equal. */
    struct slice statement, manifest, credential;
};

/* merge_revision_order: below, equal to or above 0 as a is older than, the same as, or newer
 * than b. */
int merge_revision_order(const struct merge_revision *a, const struct merge_revision *b);

/* Of one holding (video_id, streamer_id, edge_id, kind): what orders its states. */
struct merge_state {
    uint64_t hlc;
    struct slice object; /* signed; breaks the tie of an edge that repeated an hlc */
    struct slice edge_credential;
};

/* merge_state_order: below, equal to or above 0 as a is older than, the same as, or newer than b.
 */
int merge_state_order(const struct merge_state *a, const struct merge_state *b);

/* One claim of a video id, with what the edges say about it. */
struct merge_claim {
    struct id streamer_id;
    uint64_t created_us;
    bool live;        /* some edge shows it now */
    bool stored;      /* it has a manifest, and some edge holds every byte of it */
    unsigned vouched; /* edges that say so, at most VOUCHED_MAX */
};
/* Edges copy only what is listed: a claim that two edges vouch for is not displaced by one that a
 * single lying edge vouches for, whatever `created` it says. */
enum { VOUCHED_MAX = 2 };

/* merge_claim_visible: whether anything of the claim can be watched anywhere. */
bool merge_claim_visible(const struct merge_claim *c);

/* merge_claim_listed: whether a is listed rather than b, which belongs to the same video id and
 * another streamer: visible before not, then the more vouched for, then the lowest
 * (created, streamer_id). */
bool merge_claim_listed(const struct merge_claim *a, const struct merge_claim *b);

/*
 * merge_dead: whether a row is gone for good at a horizon: a deletion or a holding of state 0
 * whose time (revision, or that of the hlc) is not after it. Horizon 0: nothing is dead.
 */
enum { HLC_COUNTER_BITS = 16 }; /* below its milliseconds */
bool merge_dead_deletion(uint64_t revision_us, uint64_t horizon_us);
bool merge_dead_holding(uint8_t state, uint64_t hlc, uint64_t horizon_us);

#endif
