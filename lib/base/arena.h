#ifndef BASE_ARENA_H
#define BASE_ARENA_H
/*
 * Memory with one life: allocate many, release all at once. One arena per
 * decoded event and one per core step. Blocks grow from ARENA_BLOCK_BYTES;
 * callers bound what goes in by bounding their input. Not thread-safe.
 */
#include "base/slice.h"

enum { ARENA_BLOCK_BYTES = 4096 };

struct arena {
    struct arena_block *head;
};

/* arena_alloc: n zeroed bytes, aligned for anything, owned by the arena. Never NULL. */
void *arena_alloc(struct arena *arena, size_t n);

/* arena_copy: a copy of s, NUL-terminated past its end, owned by the arena. */
struct slice arena_copy(struct arena *arena, struct slice s);

/* arena_reset: release everything but one block, which is kept for reuse. */
void arena_reset(struct arena *arena);

/* arena_release: release everything; the arena is as good as zeroed. Accepts a zeroed one. */
void arena_release(struct arena *arena);

#endif
