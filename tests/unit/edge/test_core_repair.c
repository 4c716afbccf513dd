/* Two catalogues that differ become one; what is asked and answered is bounded. */
#include "tests/unit/edge/scene.h"
#include "tests/unit/edge/town.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* n videos, named by a prefix, that edge9 holds: put into one stage as if they were announced. */
static void put(struct stage *s, const char *prefix, size_t n)
{
    char id[32];
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "%s%04zu", prefix, i);
        struct storage_row row = scene_row(s, id, &edge9);
        stage_do(s, stage_row_event(&row));
    }
}

static void test_one_row(void **state)
{
    (void)state;
    struct town *t = town_new(2, NULL);
    town_pass(t, 10 * STAGE_S);
    put(t->s[0], "v", 1);
    assert_false(town_agrees(t));
    assert_true(town_until_agreed(t, 40 * STAGE_S));
    assert_int_equal(t->s[1]->core->videos, 1);
    assert_true(t->largest <= PACKET_BYTES_MAX);
    town_pass(t, 20 * STAGE_S);
    t->sync_messages = 0;
    town_pass(t, 60 * STAGE_S);
    assert_int_equal(t->sync_messages, 0); /* nothing is left to be said */
    town_free(t);
}

/* Whoever of the two lacks it, and both at once. */
static void test_both_ways(void **state)
{
    (void)state;
    struct town *t = town_new(2, NULL);
    put(t->s[0], "a", 3);
    put(t->s[1], "b", 3);
    assert_true(town_until_agreed(t, 60 * STAGE_S));
    assert_int_equal(t->s[0]->core->videos, 6);
    assert_int_equal(t->s[1]->core->videos, 6);
    town_free(t);
}

static void test_many(void **state)
{
    (void)state;
    struct town *t = town_new(2, NULL);
    put(t->s[0], "a", 600);
    put(t->s[1], "b", 300);
    assert_true(town_until_agreed(t, 200 * STAGE_S));
    assert_int_equal(t->s[1]->core->videos, 900);
    assert_true(t->largest <= PACKET_BYTES_MAX);
    town_free(t);
}

/* Ten rows of many cost little. */
static void test_few_of_many(void **state)
{
    (void)state;
    struct town *t = town_new(2, NULL);
    put(t->s[0], "a", 1000);
    put(t->s[1], "a", 1000);
    put(t->s[1], "b", 5);
    put(t->s[0], "c", 5);
    assert_true(town_until_agreed(t, 60 * STAGE_S));
    assert_true(t->sync_bytes <= 64 * 1024);
    town_free(t);
}

/* The one that lacks something asks, not all the others; and it asks one of them. */
static void test_one_of_many_differs(void **state)
{
    (void)state;
    struct town *t = town_new(6, NULL);
    town_pass(t, 10 * STAGE_S);
    for (size_t i = 1; i < 6; i++)
        put(t->s[i], "v", 20);
    assert_true(town_until_agreed(t, 60 * STAGE_S));
    uint64_t rows = 0;
    for (size_t i = 0; i < 6; i++)
        rows += core_counter(t->s[i]->core, COUNT_sync_rows_sent);
    assert_true(rows <= 60); /* claims and holdings, once or a little more */
    town_free(t);
}

/* A deletion takes what it deletes with it, on both sides. */
static void test_deletion(void **state)
{
    (void)state;
    struct town *t = town_new(2, NULL);
    struct reel *r = scene_small("v1");
    for (size_t i = 0; i < 2; i++) {
        struct storage_row row = stage_row(&t->s[i]->arena, r, &edge9, 1, 5);
        stage_do(t->s[i], stage_row_event(&row));
    }
    struct storage_row gone =
        stage_deletion_row(&t->arena, r, r->final_video.revision_us + 1, false);
    stage_do(t->s[1], stage_row_event(&gone));
    assert_true(town_until_agreed(t, 60 * STAGE_S));
    assert_true(memory_store_deleted(t->s[0]->store, &r->video.video_id, &alice.id));
    assert_int_equal(t->s[0]->core->videos, 0);
    reel_free(r);
    town_free(t);
}

/* One leaf with more entries than a message names: it is gone through piece by piece. */
static void test_a_full_leaf(void **state)
{
    (void)state;
    struct town *t = town_new(2, NULL);
    struct reel *r = scene_small("v1");
    for (size_t i = 0; i < SYNC_ENTRIES_MAX + 300; i++) {
        struct member holder;
        char id[32];
        snprintf(id, sizeof(id), "holder%zu", i);
        member_make(id, CREDENTIAL_EDGE, &holder);
        struct stage *s = t->s[i % 8 == 0];
        scene_announce(s, r, &holder);
    }
    assert_true(town_until_agreed(t, 120 * STAGE_S));
    assert_true(t->largest <= PACKET_BYTES_MAX);
    reel_free(r);
    town_free(t);
}

/* ---- who is answered ---- */

static struct stage *settled(void)
{
    struct stage *s = stage_new(NULL);
    stage_pass(s, STAGE_S);
    put(s, "v", 3);
    stage_forget(s);
    return s;
}

static struct sync_message leaves_of(const struct stage *s, struct arena *arena)
{
    struct sync_message m = {
        .kind = SYNC_LEAVES, .edge_id = stage_id("edge8"), .horizon_us = s->core->root.horizon_us};
    struct id v = stage_id("v0001");
    m.u.leaves.n = 1;
    m.u.leaves.leaves = arena_alloc(arena, sizeof(struct sync_leaf));
    m.u.leaves.leaves[0].leaf = digest_leaf_of(&v);
    return m;
}

static uint64_t sync_refused(const struct stage *s)
{
    return core_counter(s->core, COUNT_sync_refused);
}

static void test_whom_it_answers(void **state)
{
    (void)state;
    struct stage *s = settled();
    struct sync_message m = leaves_of(s, &s->arena);
    stage_do(s, stage_sync_event(&m)); /* never heard of */
    assert_int_equal(sync_refused(s), 1);
    stage_do(s, stage_status_event("edge8", true));
    m.horizon_us++;
    stage_do(s, stage_sync_event(&m));
    assert_int_equal(sync_refused(s), 2);
    m.horizon_us--;
    m.edge_id = s->edge.id;
    stage_do(s, stage_sync_event(&m)); /* in our own name */
    assert_int_equal(sync_refused(s), 3);
    m.edge_id = stage_id("edge8");
    assert_int_equal(stage_count(s, MESSAGE_SYNC_ROWS), 0);
    stage_do(s, stage_sync_event(&m));
    assert_int_equal(stage_count(s, MESSAGE_SYNC_ROWS), 1);
    const struct message_bundle *b = stage_last(s, MESSAGE_SYNC_ROWS)->body;
    assert_true(b->claims_n == 1 && b->holdings_n == 1);
    stage_pass(s, PEER_SILENCE_US + 1);
    stage_do(s, stage_sync_event(&m)); /* it is silent */
    assert_int_equal(sync_refused(s), 4);
    stage_free(s);
}

static void test_slots_are_bounded(void **state)
{
    (void)state;
    struct stage *s = settled();
    struct sync_message m = leaves_of(s, &s->arena);
    s->read_at_once = false;
    stage_do(s, stage_status_event("edge8", true));
    stage_do(s, stage_status_event("edge9", true));
    stage_do(s, stage_status_event("edge7", true));
    for (int i = 0; i < 10; i++)
        stage_do(s, stage_sync_event(&m));
    assert_int_equal(sync_refused(s), 2); /* one peer has its share */
    m.edge_id = stage_id("edge9");
    for (int i = 0; i < 8; i++)
        stage_do(s, stage_sync_event(&m));
    assert_int_equal(sync_refused(s), 2);
    m.edge_id = stage_id("edge7");
    stage_do(s, stage_sync_event(&m));
    assert_int_equal(sync_refused(s), 3); /* all are taken */
    s->read_at_once = true;
    stage_settle(s);
    stage_pass(s, STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_SYNC_ROWS), 16);
    stage_do(s, stage_sync_event(&m));
    assert_int_equal(stage_count(s, MESSAGE_SYNC_ROWS), 17);
    stage_free(s);
}

/* What was asked is signed: it waits for nobody who showed nothing, and takes nothing from him. */
static void test_answers_need_no_budget(void **state)
{
    (void)state;
    struct stage *s = settled();
    struct sync_message m = leaves_of(s, &s->arena);
    stage_do(s, stage_status_event("edge8", true));
    s->core->untrusted_left_bytes = 0;
    s->core->untrusted_us = s->now_us;
    stage_do(s, stage_sync_event(&m));
    assert_int_equal(stage_count(s, MESSAGE_SYNC_ROWS), 1);
    s->core->untrusted_left_bytes = 1;
    stage_do(s, stage_sync_event(&m));
    assert_int_equal(stage_count(s, MESSAGE_SYNC_ROWS), 2);
    assert_int_equal(s->core->untrusted_left_bytes, 1);
    stage_free(s);
}

static void test_broker_goes_away(void **state)
{
    (void)state;
    struct stage *s = settled();
    struct sync_message m = leaves_of(s, &s->arena);
    s->read_at_once = false;
    stage_do(s, stage_status_event("edge8", true));
    stage_do(s, stage_sync_event(&m));
    stage_do(s, event_new(EVENT_BUS_DOWN));
    s->read_at_once = true;
    stage_settle(s);
    assert_int_equal(stage_count(s, MESSAGE_SYNC_ROWS), 0);
    for (size_t i = 0; i < SYNC_SLOTS_MAX; i++)
        assert_false(s->core->slots[i].used);
    stage_free(s);
}

/* ---- who is asked ---- */

static struct catalogue_root other_root(const struct stage *s)
{
    struct catalogue_root root = s->core->root;
    root.b[0] ^= 1;
    return root;
}

static void beats(struct stage *s, const struct stage_beat *b, int n)
{
    for (int i = 0; i < n; i++) {
        stage_do(s, stage_beat_event(b));
        stage_pass(s, HEARTBEAT_US);
    }
}

static void test_patience(void **state)
{
    (void)state;
    struct stage *s = settled();
    struct stage_beat b = {.edge_id = "edge8", .root = other_root(s)};
    beats(s, &b, 1);
    assert_int_equal(stage_count(s, MESSAGE_SYNC), 0);
    beats(s, &b, 1);
    assert_int_equal(stage_count(s, MESSAGE_SYNC), 1);
    const struct sync_message *m = stage_last(s, MESSAGE_SYNC)->body;
    assert_int_equal(m->kind, SYNC_DIGESTS);
    assert_int_equal(m->u.digests.n, 1);
    assert_int_equal(m->u.digests.nodes[0].depth, 0);
    stage_free(s);
    /* of two that are alike the lower id asks first */
    s = stage_new(&(struct stage_spec){.edge_id = "edge9"});
    stage_pass(s, STAGE_S);
    b.root = other_root(s);
    beats(s, &b, 2);
    assert_int_equal(stage_count(s, MESSAGE_SYNC), 0);
    beats(s, &b, 1);
    assert_int_equal(stage_count(s, MESSAGE_SYNC), 1);
    stage_free(s);
}

/* A peer that never changes is asked less and less often. */
static void test_in_vain(void **state)
{
    (void)state;
    struct stage *s = settled();
    struct stage_beat b = {.edge_id = "edge8", .root = other_root(s)};
    beats(s, &b, 12);
    size_t first = stage_count(s, MESSAGE_SYNC);
    stage_forget(s);
    beats(s, &b, 48);
    size_t later = stage_count(s, MESSAGE_SYNC);
    assert_true(first >= 3 && first <= 6);
    assert_true(later >= 3 && later <= 5); /* every 60 s or so */
    stage_free(s);
}

/* When no round changes anything, it is asked for all that it has: now and then. */
static void test_asks_for_all(void **state)
{
    (void)state;
    struct stage *s = settled();
    struct stage_beat b = {.edge_id = "edge8", .root = other_root(s)};
    beats(s, &b, 24);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 3); /* three tries of one asking */
    const struct db_request *m = stage_last(s, MESSAGE_DB_REQUEST)->body;
    assert_true(slice_eq_str(m->from, "edge8") && m->bundle);
    assert_true(horizon_settled(s->core));
    stage_forget(s);
    beats(s, &b, 48);
    size_t n = stage_count(s, MESSAGE_DB_REQUEST);
    assert_true(n >= 3 && n <= 6);
    stage_free(s);
}

/* Rows of before the horizon, which nobody takes unasked, come all the same. */
static void test_old_rows(void **state)
{
    (void)state;
    struct town *t = town_new(2, &(struct stage_spec){.tombstone_kept_us = 3600 * STAGE_S});
    put(t->s[0], "v", 5);
    t->cut[0] = true;
    for (int i = 0; i < 6; i++) {
        town_skip(t, 1800 * STAGE_S);
        town_pass(t, STAGE_S);
    }
    for (size_t i = 0; i < 2; i++) /* each of them has met others meanwhile */
        t->s[i]->core->contact_us = t->utc_us;
    t->cut[0] = false;
    assert_true(town_until_agreed(t, 600 * STAGE_S));
    assert_int_equal(t->s[1]->core->videos, 5);
    town_free(t);
}

static void test_other_horizons_are_not_compared(void **state)
{
    (void)state;
    struct stage *s = settled();
    struct stage_beat b = {.edge_id = "edge8", .root = other_root(s)};
    b.root.horizon_us += 3600 * STAGE_S;
    beats(s, &b, 10);
    b.root.horizon_us = 0;
    beats(s, &b, 10);
    assert_int_equal(stage_count(s, MESSAGE_SYNC), 0);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_row),
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_few_of_many),
        cmocka_unit_test(test_one_of_many_differs),
        cmocka_unit_test(test_deletion),
        cmocka_unit_test(test_a_full_leaf),
        cmocka_unit_test(test_whom_it_answers),
        cmocka_unit_test(test_slots_are_bounded),
        cmocka_unit_test(test_answers_need_no_budget),
        cmocka_unit_test(test_broker_goes_away),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_in_vain),
        cmocka_unit_test(test_asks_for_all),
        cmocka_unit_test(test_old_rows),
        cmocka_unit_test(test_other_horizons_are_not_compared),
    };
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
