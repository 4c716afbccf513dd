/*
 *   I1  held[] ascends strictly; every number in it is above last_number, but for
 *       init chunks, which stay until a newer one was given out.
 *   I2  held_bytes is the sum of the payloads in held[], at most LIVE_VIEW_BYTES_MAX.
 *   I3  What is given out ascends strictly, and the first media chunk after a
 *       start or a hole is a keyframe.
 */
#include "client/live_view.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

void live_chunk_free(struct live_chunk *chunk)
{
    if (!chunk)
        return;
    free(chunk->have);
    free(chunk->payload);
    free(chunk);
}

static struct live_chunk *take_at(struct live_view *v, size_t i)
{
    struct live_chunk *c = v->held[i];
    v->held_n--;
    for (; i < v->held_n; i++)
        v->held[i] = v->held[i + 1];
    v->held_bytes -= c->chunk.payload_len; /* I2 */
    return c;
}

static void drop_at(struct live_view *v, size_t i)
{
    live_chunk_free(take_at(v, i));
}

void live_view_release(struct live_view *v)
{
    while (v->held_n)
        drop_at(v, v->held_n - 1);
}

/* Index of the first held chunk whose number is at least number. */
static size_t place_of(const struct live_view *v, uint32_t number)
{
    size_t i = 0;
    while (i < v->held_n && v->held[i]->chunk.number < number)
        i++;
    return i;
}

static bool whole(const struct live_chunk *c)
{
    return c->have_n == c->chunk.parts_n;
}

static struct live_chunk *chunk_new(const struct part *part)
{
    struct live_chunk *c = mem_alloc(sizeof(*c));
    c->chunk = part->chunk;
    c->chunk.ext = (struct slice){0};
    c->statement_len = part->statement.len;
    memcpy(c->statement, part->statement.ptr, part->statement.len);
    c->sig = part->sig;
    c->have = mem_alloc((part->chunk.parts_n + 7u) / 8);
    c->payload = mem_alloc_raw(part->chunk.payload_len);
    return c;
}

static bool has_room(const struct live_view *v, const struct chunk *chunk)
{
    return v->held_n < LIVE_VIEW_CHUNKS_MAX &&
           v->held_bytes + chunk->payload_len <= LIVE_VIEW_BYTES_MAX;
}

/* Room for a chunk, at the cost of older ones that still wait for something: a hole, then. */
static bool make_room(struct live_view *v, const struct chunk *chunk)
{
    for (size_t i = 0; !has_room(v, chunk);) {
        if (i == v->held_n || v->held[i]->chunk.number > chunk->number)
            return false;
        if (v->held[i]->chunk.kind == CHUNK_INIT && v->held_n < LIVE_VIEW_CHUNKS_MAX) {
            i++;
            continue;
        }
        v->gaps += v->playing;
        v->playing = false;
        v->skipped_chunks++;
        drop_at(v, i);
    }
    return true;
}

/* The chunk that the part belongs to, made if there is room. NULL: counted. */
static struct live_chunk *chunk_of(struct live_view *v, const struct part *part)
{
    size_t i = place_of(v, part->chunk.number);
    if (i < v->held_n && v->held[i]->chunk.number == part->chunk.number) {
        struct live_chunk *c = v->held[i];
        if (slice_eq(slice_of(c->statement, c->statement_len), part->statement))
            return c;
        v->conflicts++;
        return NULL;
    }
    if (!make_room(v, &part->chunk)) {
        v->no_room++;
        return NULL;
    }
    i = place_of(v, part->chunk.number);
    struct live_chunk *c = chunk_new(part);
    for (size_t k = v->held_n++; k > i; k--)
        v->held[k] = v->held[k - 1];
    v->held[i] = c;
    v->held_bytes += c->chunk.payload_len;
    return c;
}

bool live_view_part(struct live_view *v, const struct part *part)
{
    const struct chunk *chunk = &part->chunk;
    if (chunk->number <= v->last_number &&
        (chunk->kind != CHUNK_INIT || chunk->number <= v->init_number)) {
        v->old++;
        return false;
    }
    struct live_chunk *c = chunk_of(v, part);
    if (!c)
        return false;
    uint8_t bit = (uint8_t)(1u << (part->index % 8));
    if (c->have[part->index / 8] & bit) {
        v->duplicates++;
        return false;
    }
    c->have[part->index / 8] |= bit;
    c->have_n++;
    if (c == v->held[0])
        v->stuck_us = 0; /* what is waited for is coming */
    if (part->payload.len)
        memcpy(c->payload + (size_t)part->index * chunk->part_bytes, part->payload.ptr,
               part->payload.len);
    return true;
}

static struct live_chunk *give(struct live_view *v, size_t i)
{
    struct live_chunk *c = take_at(v, i);
    if (c->chunk.kind == CHUNK_INIT)
        v->init_number = c->chunk.number;
    if (c->chunk.number > v->last_number)
        v->last_number = c->chunk.number;
    v->stuck_us = 0;
    return c;
}

/* Everything below number goes, but for the init chunk that is needed. */
static void drop_below(struct live_view *v, uint32_t number, uint32_t init_number)
{
    for (size_t i = 0; i < v->held_n && v->held[i]->chunk.number < number;) {
        if (v->held[i]->chunk.number == init_number) {
            i++;
            continue;
        }
        v->skipped_chunks += v->held[i]->chunk.kind == CHUNK_MEDIA;
        drop_at(v, i);
    }
}

/* The held init chunk that this one needs. */
static struct live_chunk *held_init(const struct live_view *v, uint32_t number)
{
    size_t i = place_of(v, number);
    bool found = i < v->held_n && v->held[i]->chunk.number == number &&
                 v->held[i]->chunk.kind == CHUNK_INIT && whole(v->held[i]);
    return found ? v->held[i] : NULL;
}

static bool entry(const struct live_view *v, const struct live_chunk *c)
{
    if (!whole(c) || c->chunk.kind == CHUNK_INIT)
        return false;
    if (c->chunk.kind == CHUNK_END)
        return true;
    return c->chunk.flags & CHUNK_KEYFRAME &&
           (c->chunk.init_number == 0 || c->chunk.init_number == v->init_number ||
            held_init(v, c->chunk.init_number));
}

/* WAITING: the first chunk at which one can begin, after its init chunk. */
static struct live_chunk *begin(struct live_view *v)
{
    for (size_t i = 0; i < v->held_n; i++) {
        const struct live_chunk *c = v->held[i];
        if (!entry(v, c))
            continue;
        uint32_t number = c->chunk.number, init_number = c->chunk.init_number;
        drop_below(v, number, init_number);
        if (init_number != v->init_number && held_init(v, init_number))
            return give(v, place_of(v, init_number));
        drop_below(v, number, 0);
        v->playing = true;
        return give(v, 0);
    }
    return NULL;
}

/* PLAYING, and something is held that is not the next: wait, then give the hole up. */
static void stuck(struct live_view *v, uint64_t now_us)
{
    bool begun = v->held_n && v->held[0]->chunk.number == v->last_number + 1;
    if (v->held_n <= begun)
        return; /* nothing that comes after it is here yet */
    if (v->stuck_us == 0)
        v->stuck_us = now_us;
    if (now_us - v->stuck_us < LIVE_VIEW_WAIT_US)
        return;
    v->gaps++;
    v->playing = false;
    v->stuck_us = 0;
    if (begun)
        drop_at(v, 0);
}

struct live_chunk *live_view_next(struct live_view *v, uint64_t now_us)
{
    if (v->playing) {
        if (v->held_n && v->held[0]->chunk.number == v->last_number + 1 && whole(v->held[0]))
            return give(v, 0); /* I3 */
        stuck(v, now_us);
    }
    return v->playing ? NULL : begin(v);
}

uint64_t live_view_deadline_us(const struct live_view *v)
{
    return v->playing && v->stuck_us ? v->stuck_us + LIVE_VIEW_WAIT_US : UINT64_MAX;
}
