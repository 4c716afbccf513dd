#ifndef EDGE_CORE_DIFFER_H
#define EDGE_CORE_DIFFER_H
/*
 * Which rows of a leaf two edges have to tell each other, from the entries of
 * both (docs/PROTOCOL.md §4.6). Pure; any thread.
 */
#include "base/arena.h"
#include "wire/sync.h"

struct difference {
    size_t wants_n, rows_n;
    struct sync_want *wants; /* theirs: we lack them, or have them older */
    struct sync_want *rows;  /* ours: they lack them, or have them older */
};

/*
 * differ_leaf: entries in any order; both lists begin above the same digest. Which of two rows
 * that say different things about the same is newer cannot always be told: then both travel.
 * Claims come first. ret's arrays are the arena's.
 * Returns how far was compared (borrowed from a leaf); NULL: to the end. O(n log n).
 */
const uint8_t *differ_leaf(const struct sync_leaf *theirs, const struct sync_leaf *ours,
                           struct arena *arena, struct difference *ret);

#endif
