#include "base/map.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

static uint64_t hash_key(struct slice key)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ key.ptr[i]) * 0x100000001b3u;
    return h ^ (h >> 32);
}

void map_init(struct map *map, size_t cap)
{
    size_t slots = 2;
    while (slots < 2 * cap)
        slots *= 2;
    *map = (struct map){
        .slots = mem_array(slots, sizeof(struct map_slot)), .mask = slots - 1, .cap = cap};
}

void map_release(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}

/* The slot that holds key, or the free one where it would go. */
static size_t find(const struct map *map, struct slice key, uint64_t hash)
{
    size_t i = hash & map->mask;
    while (map->slots[i].key.ptr &&
           !(map->slots[i].hash == hash && slice_eq(map->slots[i].key, key)))
        i = (i + 1) & map->mask;
    return i;
}

void *map_get(const struct map *map, struct slice key)
{
    return map->slots[find(map, key, hash_key(key))].value;
}

enum err map_put(struct map *map, struct slice key, void *value)
{
    CHECK(value && key.ptr);
    uint64_t hash = hash_key(key);
    struct map_slot *slot = &map->slots[find(map, key, hash)];
    if (slot->key.ptr)
        return ERR_CONFLICT;
    if (map->count == map->cap)
        return ERR_LIMIT;
    *slot = (struct map_slot){.key = key, .value = value, .hash = hash};
    map->count++;
    return ERR_OK;
}

void *map_remove(struct map *map, struct slice key)
{
    size_t hole = find(map, key, hash_key(key));
    void *value = map->slots[hole].value;
    if (!map->slots[hole].key.ptr)
        return NULL;
    /* Linear probing without tombstones: move back every later value of the
     * run whose home slot is not between the hole and itself. */
    for (size_t i = (hole + 1) & map->mask; map->slots[i].key.ptr; i = (i + 1) & map->mask) {
        size_t home = map->slots[i].hash & map->mask;
        if (((i - home) & map->mask) >= ((i - hole) & map->mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct map_slot){0};
    map->count--;
    return value;
}

void *map_next(const struct map *map, size_t *cursor)
{
    while (map->count && *cursor <= map->mask) { /* most tables are empty, and wide */
        struct map_slot *slot = &map->slots[(*cursor)++];
        if (slot->key.ptr)
            return slot->value;
    }
    return NULL;
}
