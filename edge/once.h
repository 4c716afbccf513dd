#ifndef EDGE_ONCE_H
#define EDGE_ONCE_H
/*
 * What other edges signed counts once (docs/PROTOCOL.md §4.5): the times of
 * each edge's last messages. Kept where messages are verified, so that one that
 * is said again costs neither a signature nor its rows'.
 *
 * Invariants
 *   I1  a (edge, time) that was taken is refused from then on: it is remembered, or no later than
 *       one that was forgotten, or out of the window.
 *
 * Bounded: ONCE_EDGES_MAX edges of ONCE_TIMES times. One thread's.
 */
#include "wire/peer.h"

enum {
    ONCE_EDGES_MAX = 1024,
    ONCE_TIMES = 64, /* messages that overtake so many others are refused */
};

struct once;

/* once_new: empty. once_free: NULL is fine. */
struct once *once_new(void);
void once_free(struct once *r);

/* once_fresh: within PEER_WINDOW_US of now, and not taken before. O(ONCE_TIMES). */
bool once_fresh(const struct once *r, const struct id *edge, uint64_t time_us, uint64_t utc_us);
/* once_take: it was signed, and fresh. False: so many edges said something within the window
 * that there is no room for one more. */
bool once_take(struct once *r, const struct id *edge, uint64_t time_us, uint64_t utc_us);

#endif
