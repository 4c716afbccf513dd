#ifndef EDGE_CORE_PLACEMENT_H
#define EDGE_CORE_PLACEMENT_H
/*
 * Who of the edges makes or gives up a copy of a video: the same question gets
 * the same answer at every edge that sees the same edges, without a leader
 * (docs/PROTOCOL.md §4.7). Pure; any thread.
 */
#include "base/id.h"

/* One edge as it counts for one video. */
struct place {
    struct id edge_id;
    bool holds; /* its custody row says so */
    bool online;
    bool counted;                   /* online, or away for less than the grace */
    uint64_t disk_free, disk_total; /* bytes, as it says; 0, 0: not known */
};

/*
 * placement_missing: how many copies are wanted beyond those that count: at most
 * the replicas, and at most as many as there are places that are online.
 */
unsigned placement_missing(const struct place *places, size_t n, unsigned replicas);

/* placement_room: whether an edge with so much disk takes a copy of so many bytes. */
bool placement_room(const struct place *p, uint64_t bytes);

/*
 * placement_makes: whether `self` is one of the `missing` that make a copy: by rendezvous
 * hashing, weighted by free disk, over those online that do not hold it and have room.
 */
bool placement_makes(const struct place *places, size_t n, const struct id *self,
                     const struct id *video_id, uint64_t bytes, unsigned missing);

/*
 * placement_surplus: whether `self`, who holds a copy, is beyond the replicas: by unweighted
 * rendezvous hashing over the holders that are online, whose first `replicas` keep theirs.
 * ret_keepers  those who keep, at least `replicas` long; *ret_n of them, when true.
 */
bool placement_surplus(const struct place *places, size_t n, const struct id *self,
                       const struct id *video_id, unsigned replicas, struct id *ret_keepers,
                       size_t *ret_n);

#endif
