/*
 * Invariants
 *   I1  what is listed is computed from claims, holdings and copies whenever it is asked for.
 */
#include "tests/unit/edge/memory_kept.h"

#include "base/mem.h"

#include <stdlib.h>

void vec_add(struct vec *v, void *item)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 16;
        v->at = mem_resize(v->at, v->cap * sizeof(void *));
    }
    v->at[v->n++] = item;
}

void *vec_take(struct vec *v, size_t i)
{
    void *item = v->at[i];
    memmove(v->at + i, v->at + i + 1, (v->n - i - 1) * sizeof(void *));
    v->n--;
    return item;
}

void kept_row_free(struct kept_row *r)
{
    arena_release(&r->arena);
    free(r);
}

void kept_copy_free(struct copy *c)
{
    for (size_t i = 0; i < c->parts.n; i++) {
        struct storage_part *p = c->parts.at[i];
        msg_unref(p->packet);
        free(p);
    }
    free(c->parts.at);
    arena_release(&c->arena);
    free(c);
}

/* ---- looking things up ---- */

struct kept_row *kept_claim(const struct memory_store *s, const struct id *video_id,
                            const struct id *streamer_id)
{
    for (size_t i = 0; i < s->claims.n; i++) {
        struct kept_row *r = s->claims.at[i];
        if (id_eq(&r->row.video.video_id, video_id) &&
            id_eq(&r->row.video.streamer_id, streamer_id))
            return r;
    }
    return NULL;
}

struct kept_row *kept_holding(const struct memory_store *s, const struct storage_row *row)
{
    for (size_t i = 0; i < s->holdings.n; i++) {
        struct kept_row *r = s->holdings.at[i];
        if (id_eq(&r->row.holding.video_id, &row->holding.video_id) &&
            id_eq(&r->row.holding.streamer_id, &row->holding.streamer_id) &&
            id_eq(&r->row.holding.edge_id, &row->holding.edge_id) &&
            r->row.holding_row.type == row->holding_row.type)
            return r;
    }
    return NULL;
}

struct copy *kept_copy(const struct memory_store *s, const struct id *video_id,
                       const struct id *streamer_id)
{
    for (size_t i = 0; i < s->copies.n; i++) {
        struct copy *c = s->copies.at[i];
        if (id_eq(&c->video_id, video_id) && id_eq(&c->streamer_id, streamer_id))
            return c;
    }
    return NULL;
}

struct copy *kept_copy_of_stream(const struct memory_store *s, const struct hash *stream)
{
    for (size_t i = 0; i < s->copies.n; i++) {
        struct copy *c = s->copies.at[i];
        if (hash_eq(&c->stream, stream))
            return c;
    }
    return NULL;
}

void kept_copy_drop(struct memory_store *s, const struct copy *copy)
{
    for (size_t i = 0; i < s->copies.n; i++)
        if (s->copies.at[i] == copy) {
            kept_copy_free(vec_take(&s->copies, i));
            return;
        }
}

/* Whether some edge says of this claim's stream that it has it. */
static bool held_somewhere(const struct memory_store *s, const struct storage_row *claim,
                           enum object_type type)
{
    for (size_t i = 0; i < s->holdings.n; i++) {
        const struct storage_row *r = &((struct kept_row *)s->holdings.at[i])->row;
        if (r->holding_row.type == type && r->holding.state == 1 &&
            id_eq(&r->holding.video_id, &claim->video.video_id) &&
            id_eq(&r->holding.streamer_id, &claim->video.streamer_id) &&
            hash_eq(&r->holding.stream, &claim->stream))
            return true;
    }
    return false;
}

static struct merge_claim as_claim(const struct memory_store *s, const struct storage_row *row)
{
    return (struct merge_claim){
        .streamer_id = row->video.streamer_id,
        .created_us = row->video.created_us,
        .live = held_somewhere(s, row, OBJECT_PRESENCE),
        .stored = row->manifest.len && held_somewhere(s, row, OBJECT_CUSTODY),
    };
}

/* ---- what is listed (I1) ---- */

struct listing kept_listing(const struct memory_store *s, const struct id *video_id)
{
    struct listing l = {ABSENT, NULL};
    struct merge_claim first = {0};
    for (size_t i = 0; i < s->claims.n; i++) {
        const struct storage_row *row = &((struct kept_row *)s->claims.at[i])->row;
        if (!id_eq(&row->video.video_id, video_id))
            continue;
        struct merge_claim claim = as_claim(s, row);
        if (!merge_claim_visible(&claim) || (l.row && !merge_claim_listed(&claim, &first)))
            continue;
        first = claim;
        l = (struct listing){claim.live ? LIVE : COMPLETE, row};
    }
    for (size_t i = 0; i < s->copies.n && l.state < COMPLETE; i++) {
        const struct copy *c = s->copies.at[i];
        if (!id_eq(&c->video_id, video_id) || c->state == COPY_FETCHING || l.state == UNLISTED)
            continue;
        const struct kept_row *claim = kept_claim(s, video_id, &c->streamer_id);
        if (c->state == COPY_WHOLE && claim)
            l = (struct listing){UNLISTED, &claim->row};
        else if (l.state == ABSENT && c->state == COPY_UPLOADING)
            l = (struct listing){UPLOADING, &c->upload};
    }
    return l;
}

/* Fetches of what nobody holds any more are dropped. */
void kept_settle(struct memory_store *s, const struct id *video_id)
{
    if (kept_listing(s, video_id).state >= COMPLETE)
        return;
    for (size_t i = s->copies.n; i-- > 0;) {
        const struct copy *c = s->copies.at[i];
        if (c->state == COPY_FETCHING && id_eq(&c->video_id, video_id))
            kept_copy_drop(s, c);
    }
}

/* Each listed video once, through its listed claim. */
bool kept_is_listed(const struct memory_store *s, const struct storage_row *row)
{
    struct listing l = kept_listing(s, &row->video.video_id);
    return l.state >= COMPLETE && l.row == row;
}
