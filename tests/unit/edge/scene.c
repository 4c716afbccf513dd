#include "tests/unit/edge/scene.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

struct member alice, bob, edge1, edge2, edge3, edge8, edge9;

int scene_cast(void **state)
{
    (void)state;
    crypto_init();
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    member_make("bob", CREDENTIAL_STREAMER, &bob);
    member_make("edge1", CREDENTIAL_EDGE, &edge1);
    member_make("edge2", CREDENTIAL_EDGE, &edge2);
    member_make("edge3", CREDENTIAL_EDGE, &edge3);
    member_make("edge8", CREDENTIAL_EDGE, &edge8);
    member_make("edge9", CREDENTIAL_EDGE, &edge9);
    return 0;
}

int scene_cast_numbered(void **state)
{
    scene_cast(state);
    member_make_numbered("alice", CREDENTIAL_STREAMER, ALICE, &alice);
    member_make_numbered("bob", CREDENTIAL_STREAMER, BOB, &bob);
    return 0;
}

struct trust_view *scene_view(void)
{
    struct zone_params zone;
    reel_zone(&zone);
    struct trust_view *empty = trust_view_new();
    struct trust_view *view = trust_view_with_zone(empty, &zone);
    trust_view_unref(empty);
    return view;
}

int scene_stage_setup(void **state)
{
    *state = stage_new(NULL);
    return 0;
}

int scene_stage_teardown(void **state)
{
    stage_free(*state);
    return 0;
}

struct scene *scene_new(struct reel *r)
{
    struct scene *c = mem_alloc(sizeof(*c));
    c->s = stage_new(NULL);
    c->r = r;
    return c;
}

int scene_setup(void **state)
{
    *state = scene_new(scene_film("video1", 5, 20000));
    return 0;
}

int scene_teardown(void **state)
{
    struct scene *c = *state;
    stage_free(c->s);
    reel_free(c->r);
    free(c);
    return 0;
}

struct reel *scene_film(const char *id, unsigned n, size_t payload_len)
{
    struct reel *r = reel_new(&alice, id, 1, false);
    reel_fill(r, n, payload_len);
    reel_finish(r);
    return r;
}

struct reel *scene_small(const char *id)
{
    return scene_film(id, 1, 100);
}

struct storage_row scene_row(struct stage *s, const char *id, const struct member *edge)
{
    struct reel *r = scene_small(id);
    struct storage_row row = stage_row(&s->arena, r, edge, 1, stage_hlc(s));
    row = storage_row_copy(&s->arena, &row);
    reel_free(r);
    return row;
}

struct storage_row *scene_rows(struct stage *s, size_t n)
{
    char id[32];
    struct storage_row *rows = arena_alloc(&s->arena, n * sizeof(*rows));
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "v%04zu", i);
        rows[i] = scene_row(s, id, &edge2);
    }
    return rows;
}

void scene_announce(struct stage *s, const struct reel *r, const struct member *edge)
{
    struct storage_row row = stage_row(&s->arena, r, edge, 1, stage_hlc(s));
    stage_do(s, stage_row_event(&row));
}

struct reel *scene_film_of(const struct member *who, const char *id)
{
    struct reel *r = reel_new(who, id, 1, false);
    reel_fill(r, 3, 2 * REEL_PART_BYTES);
    reel_finish(r);
    return r;
}

struct reel *scene_live_of(const struct member *who, const char *id)
{
    struct reel *r = reel_new(who, id, 1, true);
    reel_fill(r, 3, 100);
    return r;
}
