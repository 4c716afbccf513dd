#include "base/arena.h"

#include "base/mem.h"

#include <stdalign.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    alignas(max_align_t) uint8_t bytes[];
};

static struct arena_block *block_new(struct arena_block *next, size_t cap)
{
    struct arena_block *block = mem_alloc_raw(sizeof(*block) + cap);
    block->next = next;
    block->used = 0;
    block->cap = cap;
    return block;
}

void *arena_alloc(struct arena *arena, size_t n)
{
    size_t need = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *head = arena->head;
    if (!head || need > head->cap - head->used) {
        head = block_new(head, need > ARENA_BLOCK_BYTES ? need : ARENA_BLOCK_BYTES);
        arena->head = head;
    }
    void *ptr = head->bytes + head->used;
    head->used += need;
    memset(ptr, 0, need);
    return ptr;
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
    uint8_t *ptr = arena_alloc(arena, s.len + 1);
    if (s.len)
        memcpy(ptr, s.ptr, s.len);
    return slice_of(ptr, s.len);
}

void arena_reset(struct arena *arena)
{
    while (arena->head && (arena->head->next || arena->head->cap > ARENA_BLOCK_BYTES)) {
        struct arena_block *next = arena->head->next;
        free(arena->head);
        arena->head = next;
    }
    if (arena->head)
        arena->head->used = 0;
}

void arena_release(struct arena *arena)
{
    while (arena->head) {
        struct arena_block *next = arena->head->next;
        free(arena->head);
        arena->head = next;
    }
}
