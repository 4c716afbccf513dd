/* What is forgotten, who must forget, and what must not be. */
#include "tests/unit/edge/scene.h"
#include "tests/unit/edge/town.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define HOUR_US (3600ull * STAGE_S)
#define KEPT_US (30 * REEL_DAY_US)

static struct reel *film_at(const char *id, uint64_t created_us)
{
    struct reel *r = reel_new(&alice, id, 1, false);
    r->video.created_us = created_us;
    reel_sign(r);
    reel_fill(r, 1, 100);
    reel_finish(r);
    return r;
}

/* ---- the horizon itself ---- */

static void test_moves_by_the_hour(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    uint64_t expected = (s->utc_us - KEPT_US) / HOUR_US * HOUR_US;
    assert_int_equal(s->core->root.horizon_us, expected);
    uint64_t left = HOUR_US - s->utc_us % HOUR_US;
    s->now_us += left - 1;
    s->utc_us += left - 1;
    stage_do(s, event_new(EVENT_TICK));
    assert_int_equal(s->core->root.horizon_us, expected);
    uint64_t steps = s->steps;
    stage_pass(s, 1);
    assert_int_equal(s->core->root.horizon_us, expected + HOUR_US);
    stage_pass(s, 60 * STAGE_S);
    assert_true(s->steps - steps < 500); /* and then it rests */
    s->utc_us -= 2 * HOUR_US;            /* the clock was wrong */
    stage_do(s, event_new(EVENT_TICK));
    assert_int_equal(s->core->root.horizon_us, expected - HOUR_US);
    stage_free(s);
}

/* A clock that is ahead for a while makes nothing forgotten. */
static void test_a_leap(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    uint64_t before = s->core->root.horizon_us;
    s->utc_us += 3 * HOUR_US;
    stage_pass(s, 60 * STAGE_S);
    assert_int_equal(s->core->root.horizon_us, before);
    s->utc_us -= 3 * HOUR_US;
    stage_pass(s, 60 * STAGE_S);
    s->utc_us += 3 * HOUR_US;
    stage_pass(s, 60 * STAGE_S);
    assert_int_equal(s->core->root.horizon_us, before);
    struct stage_beat b = {.edge_id = "edge2", .root = {.horizon_us = before + 3 * HOUR_US}};
    stage_do(s, stage_beat_event(&b)); /* it is later there as well */
    stage_pass(s, STAGE_S);
    assert_int_equal(s->core->root.horizon_us, before + 3 * HOUR_US);
    s->utc_us += 5 * HOUR_US;
    uint64_t steps = s->steps;
    stage_pass(s, HOUR_US / 2);
    assert_int_equal(s->core->root.horizon_us, before + 3 * HOUR_US);
    stage_pass(s, HOUR_US / 2 + 60 * STAGE_S);
    assert_true(s->core->root.horizon_us >= before + 8 * HOUR_US);
    assert_true(s->steps - steps < 3600 * 5); /* it has not gone round and round */
    stage_free(s);
}

static void test_a_refusal_is_tried_again(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    uint64_t before = s->core->root.horizon_us;
    memory_store_fail(s->store, ERR_STORAGE_FULL, 0, 1);
    s->now_us += HOUR_US;
    s->utc_us += HOUR_US;
    uint64_t steps = s->steps;
    stage_do(s, event_new(EVENT_TICK));
    assert_int_equal(s->core->root.horizon_us, before);
    stage_pass(s, 59 * STAGE_S);
    assert_true(s->steps - steps < 500);
    stage_pass(s, 2 * STAGE_S);
    assert_int_equal(s->core->root.horizon_us, before + HOUR_US);
    stage_free(s);
}

static void test_before_the_horizon(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.tombstone_kept_us = UINT64_MAX});
    stage_pass(s, 60 * STAGE_S); /* no time is that long ago */
    assert_int_equal(stage_count(s, MESSAGE_SYNC), 0);
    stage_free(s);
}

/* ---- contact ---- */

static uint64_t kept(const struct stage *s, const char *key)
{
    struct slice value = memory_store_meta(s->store, key);
    struct reader r = reader_of(value);
    return value.len == 8 ? read_u64(&r) : 0;
}

static void agree(struct stage *s, uint64_t since_us)
{
    struct stage_beat b = {.edge_id = "edge2", .since_us = since_us, .root = s->core->root};
    stage_do(s, stage_beat_event(&b));
}

static void test_contact_is_kept(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.contact_us = REEL_UTC_US - REEL_DAY_US});
    stage_pass(s, STAGE_S);
    assert_int_equal(kept(s, "contact"), 0);
    agree(s, 0);
    assert_int_equal(kept(s, "contact"), s->utc_us);
    stage_pass(s, STAGE_S);
    agree(s, 0);
    assert_int_equal(s->core->contact_us, s->utc_us);
    assert_int_equal(kept(s, "contact"), s->utc_us - STAGE_S); /* hourly */
    stage_free(s);
}

/* Whose table is ours, his memory is. */
static void test_since_is_shared(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.since_us = REEL_UTC_US - 100});
    stage_pass(s, STAGE_S);
    agree(s, REEL_UTC_US - 50);
    assert_int_equal(s->core->since_us, REEL_UTC_US - 100);
    agree(s, REEL_UTC_US - 200);
    assert_int_equal(s->core->since_us, REEL_UTC_US - 200);
    assert_int_equal(kept(s, "since"), REEL_UTC_US - 200);
    stage_free(s);
}

/* ---- away too long ---- */

enum { KEPT_H = 2 };
#define TOO_LONG_US ((2 * KEPT_H + 1) * HOUR_US)

/* Two edges that agreed about two videos of the first; then nothing reaches it any more. */
struct away {
    struct town *t;
    struct stage *here, *there;
    struct reel *deleted, *kept, *mine;
};

static void upload(struct stage *s, struct reel *r)
{
    stage_upload(s, r);
    stage_pass(s, 100 * 1000);
}

static bool listed(struct stage *s, const struct reel *r)
{
    struct arena arena = {0};
    struct slice dump = memory_store_dump(s->store, &arena);
    const char *id = r->video.video_id.s;
    bool found = memmem(dump.ptr, dump.len, id, strlen(id)) != NULL;
    arena_release(&arena);
    return found && !memory_store_deleted(s->store, &r->video.video_id, &alice.id);
}

static bool held(const struct away *a, const struct reel *r)
{
    return memory_store_whole(a->here->store, &r->stream);
}

static struct away away_new(void)
{
    struct stage_spec spec = {.replicas = 1, .tombstone_kept_us = KEPT_H * HOUR_US};
    struct away a = {.t = town_new(2, &spec)};
    a.here = a.t->s[0];
    a.there = a.t->s[1];
    a.deleted = scene_small("deleted");
    a.kept = scene_small("kept");
    upload(a.here, a.deleted);
    upload(a.here, a.kept);
    town_pass(a.t, 20 * STAGE_S);
    town_skip(a.t, HOUR_US * 3 / 2);
    town_pass(a.t, 20 * STAGE_S);
    assert_true(town_agrees(a.t) && listed(a.there, a.kept));
    assert_int_equal(a.here->core->contact_us / HOUR_US, a.here->utc_us / HOUR_US);
    a.t->cut[0] = true;
    a.mine = film_at("mine", a.here->utc_us);
    upload(a.here, a.mine); /* acknowledged, and nobody else knows it */
    return a;
}

static void away_free(struct away *a)
{
    reel_free(a->deleted);
    reel_free(a->kept);
    reel_free(a->mine);
    town_free(a->t);
}

static void pass_away(struct away *a, uint64_t us)
{
    for (uint64_t end = a->t->now_us + us; a->t->now_us < end;) {
        town_skip(a->t, HOUR_US / 2);
        town_pass(a->t, STAGE_S);
    }
}

/* It was off all the while. */
static void was_off(struct away *a)
{
    a->here->core->started_us = a->here->now_us;
    stage_do(a->here, event_new(EVENT_BUS_DOWN));
    stage_do(a->here, event_new(EVENT_BUS_UP));
    stage_forget(a->here);
    a->t->cut[0] = false;
}

static void test_away_too_long(void **state)
{
    (void)state;
    struct away a = away_new();
    stage_do(a.there, stage_delete_event(a.there, a.deleted, a.there->utc_us, NULL));
    assert_true(memory_store_deleted(a.there->store, &a.deleted->video.video_id, &alice.id));
    pass_away(&a, TOO_LONG_US);
    assert_false(memory_store_deleted(a.there->store, &a.deleted->video.video_id, &alice.id));
    was_off(&a);
    assert_true(listed(a.here, a.deleted));
    town_pass(a.t, 120 * STAGE_S);
    assert_true(horizon_settled(a.here->core));
    assert_false(listed(a.here, a.deleted) || listed(a.there, a.deleted));
    assert_false(held(&a, a.deleted));
    assert_true(listed(a.here, a.kept) && listed(a.there, a.kept) && held(&a, a.kept));
    assert_true(listed(a.here, a.mine) && listed(a.there, a.mine) && held(&a, a.mine));
    assert_true(town_agrees(a.t));
    away_free(&a);
}

/* Not so long that the deletion is forgotten: it is simply told. */
static void test_away_not_too_long(void **state)
{
    (void)state;
    struct away a = away_new();
    stage_do(a.there, stage_delete_event(a.there, a.deleted, a.there->utc_us, NULL));
    pass_away(&a, KEPT_H * HOUR_US / 2);
    was_off(&a);
    town_pass(a.t, 60 * STAGE_S);
    assert_int_equal(a.here->core->fresh_us, 0);
    assert_true(memory_store_deleted(a.here->store, &a.deleted->video.video_id, &alice.id));
    assert_true(listed(a.there, a.mine) && held(&a, a.mine));
    assert_true(town_agrees(a.t));
    away_free(&a);
}

/* Who is there has no memory of then: nothing may be forgotten for its sake. */
static void test_nobody_remembers(void **state)
{
    (void)state;
    struct away a = away_new();
    pass_away(&a, TOO_LONG_US);
    stage_free(a.there);
    a.t->s[1] = NULL;
    struct stage *new = town_add(
        a.t, &(struct stage_spec){.new_here = true, .tombstone_kept_us = KEPT_H * HOUR_US});
    was_off(&a);
    town_pass(a.t, 240 * STAGE_S);
    assert_true(horizon_settled(a.here->core) && horizon_settled(new->core));
    assert_true(held(&a, a.deleted) && held(&a, a.kept) && held(&a, a.mine));
    assert_true(listed(new, a.kept) && listed(new, a.mine));
    assert_true(town_agrees(a.t));
    away_free(&a);
}

/* Both were off: neither knows better. */
static void test_both_were_off(void **state)
{
    (void)state;
    struct away a = away_new();
    pass_away(&a, TOO_LONG_US);
    a.there->core->started_us = a.there->now_us;
    was_off(&a);
    town_pass(a.t, 240 * STAGE_S);
    assert_true(horizon_settled(a.here->core) && horizon_settled(a.there->core));
    assert_true(held(&a, a.kept) && held(&a, a.mine));
    assert_true(listed(a.there, a.kept) && listed(a.there, a.mine));
    assert_true(town_agrees(a.t));
    away_free(&a);
}

/* Alone it forgets nothing, however long. */
static void test_alone(void **state)
{
    (void)state;
    struct away a = away_new();
    pass_away(&a, TOO_LONG_US);
    stage_free(a.there);
    a.t->s[1] = NULL;
    was_off(&a);
    uint64_t steps = a.here->steps;
    town_pass(a.t, 120 * STAGE_S);
    assert_true(horizon_settled(a.here->core));
    assert_true(held(&a, a.kept) && held(&a, a.deleted) && held(&a, a.mine));
    assert_true(a.here->steps - steps < 120 * 120); /* a step of the town, and little more */
    away_free(&a);
}

/* It begins anew, alone with what we make it hear. */
static struct stage *restarted(struct away *a)
{
    pass_away(a, TOO_LONG_US);
    a->here->core->started_us = a->here->now_us;
    return a->here;
}

/* An edge that says it remembers all, and whose table is another than ours. */
static struct stage_beat liar(const struct stage *s, const char *edge_id)
{
    struct stage_beat b = {.edge_id = edge_id, .since_us = 1, .root = s->core->root};
    b.root.b[0] ^= 1;
    return b;
}

/* One that remembers as much as we do, and has something else. */
static struct stage_beat knows(const struct stage *s, const char *edge_id)
{
    return (struct stage_beat){.edge_id = edge_id,
                               .since_us = s->core->since_us,
                               .root = {.horizon_us = s->core->root.horizon_us, .b = {7}}};
}

/* These n say so, over and over; every 5 s, and so often. */
static void told_by(struct stage *s, const struct stage_beat *beats, size_t n, int times)
{
    for (int i = 0; i < times; i++) {
        for (size_t k = 0; k < n; k++)
            stage_do(s, stage_beat_event(&beats[k]));
        stage_pass(s, 5 * STAGE_S);
    }
}

/* A page that somebody invented ends the asking, and takes nothing away: no root agrees. */
static void test_an_invented_answer(void **state)
{
    (void)state;
    struct away a = away_new();
    struct stage *s = restarted(&a);
    struct stage_beat b = knows(s, "edge2");
    told_by(s, &b, 1, 8);
    assert_int_equal(s->core->rejoin, REJOIN_ASK);
    assert_true(stage_count(s, MESSAGE_DB_REQUEST) > 0);
    stage_do(s, stage_rows_event(NULL, 0, 1, 1));
    told_by(s, &b, 1, 10);
    assert_int_equal(s->core->rejoin, REJOIN_AGREE);
    assert_false(horizon_settled(s->core));
    assert_true(held(&a, a.kept) && held(&a, a.mine) && listed(s, a.mine));
    away_free(&a);
}

/* The only one that knew goes away amid it: what is left is gone on with. */
static void test_who_knew_goes_away(void **state)
{
    (void)state;
    struct away a = away_new();
    struct stage *s = restarted(&a);
    struct stage_beat b = knows(s, "edge2");
    told_by(s, &b, 1, 8);
    assert_int_equal(s->core->rejoin, REJOIN_ASK);
    stage_pass(s, 120 * STAGE_S);
    assert_true(horizon_settled(s->core));
    assert_true(held(&a, a.kept) && held(&a, a.mine));
    away_free(&a);
}

/* One of many says that it knows: the others are believed. */
static void test_one_that_lies(void **state)
{
    (void)state;
    struct away a = away_new();
    struct stage *s = restarted(&a);
    struct stage_beat beats[] = {
        liar(s, "edge2"),
        {.edge_id = "edge3", .since_us = s->utc_us, .root = s->core->root},
        {.edge_id = "edge4", .since_us = s->utc_us, .root = s->core->root}};
    for (int i = 0; i < 12; i++) {
        told_by(s, beats, 3, 1);
        assert_true(s->core->rejoin == REJOIN_WAIT || s->core->rejoin == REJOIN_NONE);
    }
    assert_true(horizon_settled(s->core) && listed(s, a.kept));
    away_free(&a);
}

/* Somebody alone says that it knows, and we have heard others who are silent now. */
static void test_one_is_not_enough(void **state)
{
    (void)state;
    struct away a = away_new();
    struct stage *s = restarted(&a);
    struct stage_beat silent = liar(s, "edge3");
    stage_do(s, stage_beat_event(&silent));
    stage_pass(s, 16 * STAGE_S);
    struct stage_beat lie = liar(s, "edge2");
    for (int i = 0; i < 20; i++) {
        told_by(s, &lie, 1, 1);
        assert_true(s->core->rejoin == REJOIN_WAIT || s->core->rejoin == REJOIN_NONE);
    }
    assert_true(horizon_settled(s->core) && listed(s, a.kept) && held(&a, a.kept));
    assert_true(s->core->since_us > s->core->contact_us); /* it makes nobody else forget */
    away_free(&a);
}

/* Of two that know one answers that there is nothing, and signs it: the other does not. */
static void test_copies_outlast_a_liar(void **state)
{
    (void)state;
    struct away a = away_new();
    struct stage *s = restarted(&a);
    struct stage_beat beats[] = {liar(s, "edge2"), liar(s, "edge3")};
    told_by(s, beats, 2, 3);
    assert_int_equal(s->core->rejoin, REJOIN_ASK);
    stage_do(s, stage_rows_event(NULL, 0, 1, 1));
    for (int i = 0; i < 150; i++) {
        beats[0].root = s->core->root;
        told_by(s, beats, 2, 1);
        assert_true(s->core->rejoin != REJOIN_ORPHANS);
    }
    assert_true(held(&a, a.kept) && held(&a, a.mine));
    assert_true(horizon_settled(s->core)); /* nor does it keep us from our work for ever */
    away_free(&a);
}

/* The others are counted when one of them says something or falls silent, and not meanwhile. */
static void test_others_are_counted_once(void **state)
{
    (void)state;
    struct away a = away_new();
    struct stage *s = restarted(&a);
    struct stage_beat b = liar(s, "edge2");
    stage_do(s, stage_beat_event(&b));
    assert_int_equal(s->core->rejoin, REJOIN_WAIT);
    uint64_t counted_us = s->core->others.from_us;
    assert_int_equal(s->core->others.online, 1);
    stage_pass(s, 5 * STAGE_S);
    assert_int_equal(s->core->others.from_us, counted_us);
    stage_do(s, stage_beat_event(&b));
    assert_int_equal(s->core->others.from_us, s->now_us);
    counted_us = s->now_us;
    stage_pass(s, PEER_SILENCE_US - STAGE_S);
    assert_int_equal(s->core->others.from_us, counted_us);
    stage_pass(s, 2 * STAGE_S);
    assert_int_equal(s->core->others.online, 0);
    away_free(&a);
}

/* A new edge gets the whole catalogue from one of the others, and no more than that. */
static void test_a_new_edge_joins(void **state)
{
    (void)state;
    struct town *t = town_new(3, NULL);
    for (size_t i = 0; i < 300; i++) {
        char id[32];
        snprintf(id, sizeof(id), "v%04zu", i);
        struct reel *r = scene_small(id);
        for (size_t k = 0; k < 3; k++) {
            struct storage_row row = stage_row(&t->s[k]->arena, r, &edge9, 1, stage_hlc(t->s[0]));
            stage_do(t->s[k], stage_row_event(&row));
        }
        reel_free(r);
    }
    town_pass(t, 10 * STAGE_S);
    assert_true(town_agrees(t));
    t->bytes = t->asked = t->sync_messages = 0;
    struct stage *new = town_add(t, &(struct stage_spec){.new_here = true});
    town_pass(t, 20 * STAGE_S);
    assert_true(horizon_settled(new->core));
    assert_true(town_agrees(t));
    assert_int_equal(t->asked, 1);
    assert_int_equal(t->sync_messages, 0);
    assert_true(t->largest <= PACKET_BYTES_MAX);
    town_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_by_the_hour),
        cmocka_unit_test(test_a_leap),
        cmocka_unit_test(test_a_refusal_is_tried_again),
        cmocka_unit_test(test_before_the_horizon),
        cmocka_unit_test(test_contact_is_kept),
        cmocka_unit_test(test_since_is_shared),
        cmocka_unit_test(test_away_too_long),
        cmocka_unit_test(test_away_not_too_long),
        cmocka_unit_test(test_nobody_remembers),
        cmocka_unit_test(test_both_were_off),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_an_invented_answer),
        cmocka_unit_test(test_who_knew_goes_away),
        cmocka_unit_test(test_one_that_lies),
        cmocka_unit_test(test_one_is_not_enough),
        cmocka_unit_test(test_copies_outlast_a_liar),
        cmocka_unit_test(test_others_are_counted_once),
        cmocka_unit_test(test_a_new_edge_joins),
    };
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
