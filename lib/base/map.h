#ifndef BASE_MAP_H
#define BASE_MAP_H
/*
 * A fixed-capacity hash map from short byte keys to pointers: the core's tables
 * of uploads, lives, viewers and peers. It is allocated once and never grows;
 * capacity is the table's named limit.
 *
 * Iteration is in slot order, which depends on the keys and the order of the
 * calls alone, never on addresses, so that a simulated run replays. Collisions
 * that an attacker provokes cost at most one pass over the capacity.
 *
 * Not thread-safe. Pure.
 */
#include "base/err.h"
#include "base/slice.h"

struct map_slot {
    struct slice key; /* borrowed from the value; ptr NULL: free */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_slot *slots; /* power of two, at least twice the capacity */
    size_t mask;
    size_t count;
    size_t cap;
};

/* map_init: an empty map for at most cap values. */
void map_init(struct map *map, size_t cap);
/* map_release: free the map, not the values. Zeroed is fine. */
void map_release(struct map *map);

/* map_get: the value under key, or NULL. Expected O(1). */
void *map_get(const struct map *map, struct slice key);

/*
 * map_put: add value (not NULL) under key. key must live, unchanged, as long as
 * the value is in the map: point it into the value.
 * ERR_LIMIT: the map is at capacity. ERR_CONFLICT: the key is taken.
 */
enum err map_put(struct map *map, struct slice key, void *value);

/* map_remove: take out and return the value under key; NULL when there is none. */
void *map_remove(struct map *map, struct slice key);

/*
 * map_next: walk the values: start with *cursor = 0; NULL at the end. The map
 * must not change during a walk (collect first, then remove).
 */
void *map_next(const struct map *map, size_t *cursor);

#endif
