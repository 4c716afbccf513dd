#include "tests/unit/edge/copies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct member copies_edges[COPIES_EDGES];

int copies_group_setup(void **state)
{
    scene_cast(state);
    for (int i = 0; i < COPIES_EDGES; i++) {
        char id[16];
        snprintf(id, sizeof(id), "edge%d", i + 1);
        member_make(id, CREDENTIAL_EDGE, &copies_edges[i]);
    }
    return 0;
}

struct reel *copies_film(const char *id)
{
    return scene_film(id, COPIES_CHUNKS - 1, 4 * REEL_PART_BYTES);
}

void copies_disk(struct copies *c, uint64_t free_bytes, uint64_t total_bytes)
{
    struct event *ev = event_new(EVENT_LOAD);
    ev->u.load.disk_free = free_bytes;
    ev->u.load.disk_total = total_bytes;
    stage_do(c->s, ev);
}

int copies_setup(void **state)
{
    struct copies *c = test_calloc(1, sizeof(*c));
    c->s = stage_new(NULL);
    copies_disk(c, 100ull << 30, 200ull << 30); /* as stage_status_event says of the others */
    c->r = copies_film("video1");
    *state = c;
    return 0;
}

int copies_teardown(void **state)
{
    struct copies *c = *state;
    stage_free(c->s);
    reel_free(c->r);
    arena_release(&c->arena);
    test_free(c);
    return 0;
}

/* ---- others ---- */

void copies_beat(struct copies *c)
{
    for (int i = 1; i < COPIES_EDGES; i++)
        if (c->there[i])
            stage_do(c->s, stage_status_event(copies_edges[i].id.s, true));
}

/* Time in which those who are there say so. */
void copies_pass(struct copies *c, uint64_t us)
{
    while (us) {
        uint64_t step_us = us < HEARTBEAT_US ? us : HEARTBEAT_US;
        stage_pass(c->s, step_us);
        us -= step_us;
        copies_beat(c);
    }
}

void copies_come(struct copies *c, int first, int last)
{
    for (int i = first; i <= last; i++)
        c->there[i - 1] = true;
    copies_beat(c);
}

/* edgeN says about a film that it holds it, or does not any more. */
void copies_says(struct copies *c, const struct reel *r, int n, uint8_t state)
{
    struct storage_row row = stage_row(&c->arena, r, &copies_edges[n - 1], state, stage_hlc(c->s));
    stage_do(c->s, stage_row_event(&row));
}

/* ---- fetching ---- */

size_t copies_inits(struct stage *s)
{
    size_t n = 0;
    const struct effect *e;
    for (size_t i = 0; (e = stage_nth(s, MESSAGE_WATCH_REQUEST, i)) != NULL; i++)
        n += ((const struct watch_request *)e->body)->kind == WATCH_INIT;
    return n;
}

/* Until a fetch asks somebody, at most so long. */
bool copies_begins(struct copies *c, uint64_t us)
{
    enum { STEP_US = 100 * 1000 };
    for (uint64_t passed_us = 0; !copies_inits(c->s) && passed_us < us; passed_us += STEP_US) {
        stage_pass(c->s, STEP_US);
        if (passed_us % HEARTBEAT_US == 0)
            copies_beat(c);
    }
    return copies_inits(c->s) > 0;
}

void copies_inform(struct copies *c, const char *source, const struct reel *r)
{
    static const uint8_t token[TOKEN_BYTES];
    struct event *ev = event_new(EVENT_WATCH_INFO);
    ev->u.watch_info.source = stage_id(source);
    ev->u.watch_info.info.video_id = r->video.video_id;
    ev->u.watch_info.info.token = slice_of(token, TOKEN_BYTES);
    stage_do(c->s, ev);
}

void copies_parts(struct copies *c, const struct reel *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        struct event *ev = stage_part_event(r, i);
        ev->u.part.topic = TOPIC_WATCH_REPLY;
        stage_do(c->s, ev);
    }
}

/* edge2 serves the film to whatever fetches it. */
void copies_serve(struct copies *c, const struct reel *r)
{
    copies_inform(c, "edge2", r);
    copies_parts(c, r, 0, r->n);
}

void copies_watch(struct copies *c, const char *client_id, const struct reel *r)
{
    struct watch_request m = {
        .kind = WATCH_INIT, .client_id = slice_str(client_id), .video_id = r->video.video_id};
    stage_do(c->s, stage_watch_event(&m));
}

int copies_custody(struct copies *c, const struct reel *r)
{
    return memory_store_holding(c->s->store, OBJECT_CUSTODY, &r->video.video_id,
                                &copies_edges[0].id);
}

uint64_t copies_count(struct copies *c, enum core_counter which)
{
    return core_counter(c->s->core, which);
}

/* A viewer's fetch of a film that edge2 and edge3 hold: a cached copy. */
void copies_cache(struct copies *c, const struct reel *r, const char *viewer)
{
    copies_says(c, r, 2, 1);
    copies_says(c, r, 3, 1);
    copies_watch(c, viewer, r);
    copies_serve(c, r);
    assert_true(memory_store_whole(c->s->store, &r->stream));
}
