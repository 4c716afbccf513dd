/* Copies: when one is made here, what is said of it, and what is cached. */
#include "edge/core/placement.h"
#include "tests/unit/edge/copies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- making ---- */

static void test_made(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 2);
    copies_says(c, c->r, 2, 1);
    assert_true(copies_begins(c, COPIES_LOOK_US));
    assert_int_equal(c->s->core->replications, 1);
    copies_serve(c, c->r);
    copies_pass(c, STAGE_S);
    assert_int_equal(copies_custody(c, c->r), 1);
    const struct db_update *m = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    assert_int_equal(m->holding.type, OBJECT_CUSTODY);
    assert_true(!m->removal && m->statement.len && m->manifest.len);
    assert_int_equal(copies_count(c, COUNT_copies_begun), 1);
    assert_int_equal(c->s->core->replications, 0);
}

static void test_enough(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 3);
    copies_says(c, c->r, 2, 1);
    copies_says(c, c->r, 3, 1);
    copies_pass(c, 700 * STAGE_S);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
}

static void test_replicas_one(void **state)
{
    struct copies *c = *state;
    c->s->core->config.replicas = 1;
    copies_come(c, 2, 2);
    copies_says(c, c->r, 2, 1);
    copies_pass(c, COPIES_LOOK_US);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
}

/* Of many films each edge makes those that fall to it, and no other. */
static void test_whose_turn(void **state)
{
    struct copies *c = *state;
    struct place places[COPIES_EDGES];
    char id[16];
    copies_come(c, 2, COPIES_EDGES);
    for (int i = 0; i < COPIES_EDGES; i++)
        places[i] = (struct place){.edge_id = copies_edges[i].id,
                                   .online = true,
                                   .counted = true,
                                   .disk_free = 100ull << 30,
                                   .disk_total = 200ull << 30};
    places[1].holds = true;
    unsigned ours = 0;
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "film%d", i);
        struct reel *r = scene_small(id);
        stage_forget(c->s);
        copies_says(c, r, 2, 1);
        bool made = copies_begins(c, COPIES_LOOK_US);
        bool mine =
            placement_makes(places, COPIES_EDGES, &copies_edges[0].id, &r->video.video_id, 100, 1);
        assert_int_equal(made, mine);
        ours += mine;
        if (mine)
            copies_serve(c, r);
        assert_int_equal(copies_custody(c, r), mine ? 1 : -1);
        reel_free(r);
    }
    assert_in_range(ours, 2, 20);
}

/* Somebody else was quicker: what the jitter is for. */
static void test_second_look(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 3);
    copies_says(c, c->r, 2, 1);
    assert_int_equal(c->s->core->custody_due_n, 1);
    copies_says(c, c->r, 3, 1);
    copies_pass(c, COPIES_LOOK_US);
    assert_int_equal(c->s->core->custody_due_n, 0);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
}

static void test_takes_over(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 3);
    copies_says(c, c->r, 2, 1);
    copies_says(c, c->r, 3, 1);
    c->there[2] = false;
    copies_pass(c, c->s->core->config.replica_grace_us - 10 * STAGE_S);
    assert_int_equal(copies_inits(c->s), 0); /* it may come back */
    assert_true(copies_begins(c, 10 * STAGE_S + COPIES_SWEEP_US));
    copies_serve(c, c->r);
    assert_int_equal(copies_custody(c, c->r), 1);
}

static void test_no_room(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 2);
    copies_disk(c, 2 * c->r->manifest.bytes - 1, 4 * c->r->manifest.bytes);
    copies_says(c, c->r, 2, 1);
    copies_pass(c, COPIES_LOOK_US);
    assert_int_equal(copies_inits(c->s), 0);
}

static void test_two_at_once(void **state)
{
    struct copies *c = *state;
    char id[16];
    struct reel *films[4];
    copies_come(c, 2, 2);
    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof(id), "film%d", i);
        films[i] = copies_film(id);
        copies_says(c, films[i], 2, 1);
    }
    copies_pass(c, 2 * COPIES_LOOK_US);
    assert_int_equal(c->s->core->replications, REPLICATIONS_MAX);
    assert_int_equal(c->s->core->fetches, REPLICATIONS_MAX);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 4; i++)
            if (fetch_running(c->s->core, &films[i]->video.video_id))
                copies_serve(c, films[i]);
        assert_true(c->s->core->replications <= REPLICATIONS_MAX);
        copies_pass(c, STAGE_S / 2);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(copies_custody(c, films[i]), 1);
        reel_free(films[i]);
    }
}

/* Who says that it has films and serves none holds up the others for a while only. */
static void test_silent_holder(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 2);
    copies_says(c, c->r, 2, 1);
    assert_true(copies_begins(c, COPIES_LOOK_US));
    copies_pass(c, 20 * STAGE_S);
    assert_int_equal(c->s->core->replications, 0);
    assert_int_equal(copies_count(c, COUNT_fetches_failed), 1);
    stage_forget(c->s);
    assert_true(copies_begins(c, 70 * STAGE_S)); /* but it is asked again */
    copies_serve(c, c->r);
    assert_int_equal(copies_custody(c, c->r), 1);
}

static void test_disk_full(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 2);
    copies_says(c, c->r, 2, 1);
    assert_true(copies_begins(c, COPIES_LOOK_US));
    copies_inform(c, "edge2", c->r);
    copies_parts(c, c->r, 0, 3);
    memory_store_fail(c->s->store, ERR_STORAGE_FULL, 0, 1);
    copies_parts(c, c->r, 3, 4);
    assert_int_equal(c->s->core->fetches, 0);
    assert_int_equal(c->s->core->replications, 0);
    stage_forget(c->s);
    copies_pass(c, 55 * STAGE_S);
    assert_int_equal(copies_inits(c->s), 0);
    assert_true(copies_begins(c, 20 * STAGE_S));
    copies_inform(c, "edge2", c->r);
    copies_parts(c, c->r, 3, c->r->n); /* it goes on where it was */
    assert_int_equal(copies_custody(c, c->r), 1);
}

/* A replica keeps to its rate, and gives way to live traffic; a viewer does not wait. */
static void test_rate(void **state)
{
    struct copies *c = *state;
    c->s->core->config.replication_bytes_per_s = 64 * 1024;
    struct reel *r = scene_film("long", 1, 3 * 1024 * 1024);
    copies_come(c, 2, 2);
    copies_says(c, r, 2, 1);
    assert_true(copies_begins(c, COPIES_LOOK_US));
    copies_inform(c, "edge2", r);
    copies_parts(c, r, 0, 100); /* 800 KiB, as far as its window goes */
    stage_forget(c->s);
    copies_pass(c, 8 * STAGE_S);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0); /* and no seek for silence */
    copies_pass(c, 8 * STAGE_S);
    assert_true(stage_count(c->s, MESSAGE_WATCH_REQUEST) > 0);
    assert_int_equal(copies_count(c, COUNT_fetches_failed), 0);
    reel_free(r);
}

static void test_live_traffic_first(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 2);
    copies_says(c, c->r, 2, 1);
    assert_true(copies_begins(c, COPIES_LOOK_US));
    stage_forget(c->s);
    c->s->live_free_bytes = LIVE_OUTBOX_BYTES_MAX / 2;
    copies_inform(c, "edge2", c->r);
    copies_pass(c, 70 * STAGE_S);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
    assert_int_equal(c->s->core->fetches, 1); /* it waits, and does not give up */
    c->s->live_free_bytes = LIVE_OUTBOX_BYTES_MAX / 2 + 1;
    c->s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX / 2;
    copies_pass(c, 5 * STAGE_S);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
    c->s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX / 2 + 1;
    copies_pass(c, STAGE_S);
    assert_true(stage_count(c->s, MESSAGE_WATCH_REQUEST) > 0);
    copies_parts(c, c->r, 0, c->r->n);
    assert_int_equal(copies_custody(c, c->r), 1);
}

/* ---- cached copies ---- */

static void test_cached(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 3);
    copies_cache(c, c->r, "viewer1");
    copies_pass(c, COPIES_LOOK_US);
    assert_int_equal(copies_custody(c, c->r), -1);
    assert_int_equal(stage_count(c->s, MESSAGE_DB_UPDATE), 0); /* nobody is to count on it */
}

/* The copy is here already when one is missing: it is said, and nothing is fetched. */
static void test_cached_becomes_custody(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 3);
    copies_cache(c, c->r, "viewer1");
    copies_pass(c, COPIES_LOOK_US);
    stage_forget(c->s);
    copies_says(c, c->r, 3, 0);
    copies_pass(c, COPIES_LOOK_US);
    assert_int_equal(copies_inits(c->s), 0);
    assert_int_equal(copies_custody(c, c->r), 1);
    const struct db_update *m = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    assert_int_equal(m->holding.type, OBJECT_CUSTODY);
    assert_true(!m->removal && m->statement.len && m->manifest.len);
}

static void test_viewers_fetch_becomes_replica(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 2);
    copies_says(c, c->r, 2, 1);
    copies_watch(c, "viewer1", c->r); /* before anybody has looked */
    assert_int_equal(c->s->core->replications, 0);
    for (int i = 0; !c->s->core->replications && i < 40; i++)
        copies_pass(c, STAGE_S / 10);
    assert_int_equal(c->s->core->replications, 1);
    assert_int_equal(c->s->core->fetches, 1);
    copies_serve(c, c->r);
    assert_int_equal(copies_custody(c, c->r), 1);
    assert_int_equal(c->s->core->replications, 0);
}

/* What was used least lately goes; never what is watched, nor what is in custody. */
static void test_trim(void **state)
{
    struct copies *c = *state;
    struct reel *films[3] = {copies_film("film0"), copies_film("film1"), copies_film("film2")};
    c->s->core->config.cache_bytes_max = 2 * films[0]->manifest.bytes;
    copies_come(c, 2, 3);
    copies_cache(c, films[0], "viewer0");
    copies_pass(c, 35 * STAGE_S); /* nobody watches it any more */
    copies_cache(c, films[1], "viewer1");
    copies_pass(c, 35 * STAGE_S);
    copies_watch(c, "viewer2", films[0]); /* used again */
    copies_pass(c, 35 * STAGE_S);
    copies_cache(c, films[2], "viewer3");
    copies_pass(c, COPIES_LOOK_US);
    assert_true(memory_store_whole(c->s->store, &films[0]->stream));
    assert_false(memory_store_whole(c->s->store, &films[1]->stream));
    assert_true(memory_store_whole(c->s->store, &films[2]->stream));
    assert_int_equal(copies_count(c, COUNT_cache_evicted), 1);
    for (int i = 0; i < 3; i++)
        reel_free(films[i]);
}

static void test_trim_spares_viewers(void **state)
{
    struct copies *c = *state;
    struct reel *other = copies_film("film1");
    c->s->core->config.cache_bytes_max = 0;
    copies_come(c, 2, 3);
    copies_cache(c, c->r, "viewer1");
    copies_cache(c, other, "viewer2");
    assert_true(memory_store_whole(c->s->store, &c->r->stream));
    for (int i = 0; i < 10; i++) { /* one goes on watching */
        copies_pass(c, 10 * STAGE_S);
        copies_watch(c, "viewer1", c->r);
    }
    c->s->core->cache_trim_us = c->s->now_us;
    copies_pass(c, STAGE_S);
    assert_true(memory_store_whole(c->s->store, &c->r->stream));
    assert_false(memory_store_whole(c->s->store, &other->stream));
    reel_free(other);
}

/* ---- what we say of ourselves ---- */

/* A row of ours from before our disk was replaced says that we hold it. */
static void test_corrected(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 3);
    copies_says(c, c->r, 2, 1);
    copies_says(c, c->r, 3, 1);
    copies_says(c, c->r, 1, 1);
    copies_pass(c, COPIES_LOOK_US);
    assert_int_equal(copies_custody(c, c->r), 0);
    const struct db_update *m = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    assert_true(m->removal && m->has_holding);
}

/* Likewise, but it is missing then: said to be gone, and fetched. */
static void test_corrected_and_made(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 2);
    copies_says(c, c->r, 2, 1);
    copies_says(c, c->r, 1, 1);
    assert_true(copies_begins(c, 2 * COPIES_LOOK_US));
    assert_int_equal(copies_custody(c, c->r), 0);
    copies_serve(c, c->r);
    assert_int_equal(copies_custody(c, c->r), 1);
}

/* ---- limits ---- */

/* All who answered for it say that it is gone; the cached copy here is the last one. */
static void test_last_one_is_said(void **state)
{
    struct copies *c = *state;
    copies_come(c, 2, 3);
    copies_cache(c, c->r, "viewer1");
    copies_pass(c, COPIES_SWEEP_US);
    copies_says(c, c->r, 2, 0);
    copies_says(c, c->r, 3, 0);
    copies_pass(c, 620 * STAGE_S);
    assert_int_equal(copies_custody(c, c->r), 1);
    assert_int_equal(memory_store_videos(c->s->store), 1);
}

/* Said by a clock that was ahead: said again by the one that is right, or nothing that we say
 * until then would count. */
static void test_stamped_in_the_future(void **state)
{
    struct copies *c = *state;
    const uint64_t ahead_us = 2 * HLC_AHEAD_MAX_US;
    struct reel *r = reel_new(&alice, "film", 1, false);
    r->video.created_us += ahead_us - CREATED_WINDOW_US; /* as late as this edge takes it */
    reel_sign(r);
    reel_fill(r, 1, 100);
    reel_finish(r);
    c->s->utc_us += ahead_us;
    stage_upload(c->s, r);
    assert_int_equal(copies_custody(c, r), 1);
    c->s->utc_us -= ahead_us;
    stage_forget(c->s);
    copies_pass(c, STAGE_S);
    c->s->core->custody_sweep_us = c->s->now_us;
    copies_pass(c, STAGE_S);
    const struct db_update *m = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    struct holding h;
    assert_int_equal(holding_open(OBJECT_CUSTODY, m->holding.object, &c->s->edge.key.pk, &h),
                     ERR_OK);
    assert_int_equal(h.state, 1);
    assert_true((h.hlc >> 16) * 1000 <= c->s->utc_us);
    assert_int_equal(copies_custody(c, r), 1);
    reel_free(r);
}

static void test_due_limit(void **state)
{
    struct copies *c = *state;
    struct core *core = c->s->core;
    char text[16];
    copies_pass(c, 20 * STAGE_S);
    for (int i = 0; i < CUSTODY_DUE_MAX; i++) {
        snprintf(text, sizeof(text), "v%d", i);
        struct id id = stage_id(text);
        custody_look(core, &id);
        custody_look(core, &id); /* once is enough */
    }
    assert_int_equal(core->custody_due_n, CUSTODY_DUE_MAX);
    uint64_t sweep_us = core->custody_sweep_us;
    struct id more = stage_id("one-more");
    custody_look(core, &more);
    assert_int_equal(core->custody_due_n, CUSTODY_DUE_MAX);
    assert_true(core->custody_sweep_us < sweep_us); /* the sweep finds it */
    copies_pass(c, 20 * STAGE_S);
    assert_int_equal(core->custody_due_n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, copies_setup, copies_teardown)
    const struct CMUnitTest tests[] = {
        T(test_made),
        T(test_enough),
        T(test_replicas_one),
        T(test_whose_turn),
        T(test_second_look),
        T(test_takes_over),
        T(test_no_room),
        T(test_two_at_once),
        T(test_silent_holder),
        T(test_disk_full),
        T(test_rate),
        T(test_live_traffic_first),
        T(test_cached),
        T(test_cached_becomes_custody),
        T(test_viewers_fetch_becomes_replica),
        T(test_trim),
        T(test_trim_spares_viewers),
        T(test_corrected),
        T(test_corrected_and_made),
        T(test_last_one_is_said),
        T(test_stamped_in_the_future),
        T(test_due_limit),
    };
#undef T
    return cmocka_run_group_tests(tests, copies_group_setup, NULL);
}
