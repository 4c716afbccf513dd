/* What became so here is told to all: alone, in lots, later, or not at all. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static int setup(void **state)
{
    struct stage *s = stage_new(NULL);
    stage_pass(s, STAGE_S);
    stage_forget(s);
    *state = s;
    return 0;
}

/* A row of ours, as a machine would announce it. thumbnail_len: of its text. */
static struct storage_row row_of(struct stage *s, const char *id, size_t thumbnail_len)
{
    struct storage_row row = scene_row(s, id, &s->edge);
    uint8_t *text = arena_alloc(&s->arena, thumbnail_len + 1);
    memset(text, '"', thumbnail_len);
    row.thumbnail = slice_of(text, thumbnail_len);
    return row;
}

/* gossip_add outside of a step: it needs none. */
static void add(struct stage *s, size_t n, size_t thumbnail_len)
{
    char id[32];
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "v%04zu", i);
        struct storage_row row = row_of(s, id, thumbnail_len);
        gossip_add(s->core, &row, false);
    }
}

static uint64_t dropped(const struct stage *s)
{
    return core_counter(s->core, COUNT_gossip_dropped);
}

static size_t lots(const struct stage *s, size_t *ret_claims, size_t *ret_holdings)
{
    size_t n = stage_count(s, MESSAGE_DB_LOT);
    *ret_claims = *ret_holdings = 0;
    for (size_t i = 0; i < n; i++) {
        const struct message_bundle *m = stage_nth(s, MESSAGE_DB_LOT, i)->body;
        *ret_claims += m->claims_n;
        *ret_holdings += m->holdings_n;
    }
    return n;
}

static void test_few_leave_alone(void **state)
{
    struct stage *s = *state;
    add(s, 4, 0);
    stage_do(s, event_new(EVENT_TICK));
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 4);
    assert_int_equal(stage_count(s, MESSAGE_DB_LOT), 0);
    add(s, 1, 0); /* of the same moment: waits to see whether more come */
    stage_do(s, event_new(EVENT_TICK));
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 4);
    stage_pass(s, STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 5);
    const struct db_update *m = stage_last(s, MESSAGE_DB_UPDATE)->body;
    assert_true(!m->removal && m->statement.len && m->manifest.len && m->has_holding);
    assert_true(slice_eq_str(id_slice(&m->video_id), "v0000"));
}

static void test_many_leave_in_lots(void **state)
{
    struct stage *s = *state;
    size_t claims;
    size_t holdings;
    add(s, 100, 0);
    stage_pass(s, STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 0);
    size_t n = lots(s, &claims, &holdings);
    assert_true(n > 1 && n < 20);
    assert_true(claims == 100 && holdings == 100);
    assert_int_equal(s->core->gossip_n, 0);
    assert_int_equal(s->core->gossip_bytes, 0);
}

/* The longest texts, every byte of which needs an escape, still fit: the stage checks. */
static void test_largest_rows(void **state)
{
    struct stage *s = *state;
    size_t claims;
    size_t holdings;
    add(s, 10, THUMBNAIL_BYTES_MAX);
    stage_pass(s, STAGE_S);
    assert_true(lots(s, &claims, &holdings) >= 5);
    assert_int_equal(claims + stage_count(s, MESSAGE_DB_UPDATE), 10);
}

static void test_bounds(void **state)
{
    struct stage *s = *state;
    stage_do(s, event_new(EVENT_BUS_DOWN));
    add(s, GOSSIP_ROWS_MAX, 0);
    assert_int_equal(dropped(s), 0);
    add(s, 3, 0);
    assert_int_equal(dropped(s), 3);
    stage_pass(s, 60 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_LOT), 0); /* nobody would hear it */
    stage_do(s, event_new(EVENT_BUS_UP));
    stage_pass(s, STAGE_S);
    size_t claims;
    size_t holdings;
    lots(s, &claims, &holdings);
    assert_int_equal(claims, GOSSIP_ROWS_MAX);
}

static void test_bytes_are_bounded(void **state)
{
    struct stage *s = *state;
    stage_do(s, event_new(EVENT_BUS_DOWN));
    add(s, 300, THUMBNAIL_BYTES_MAX);
    assert_true(dropped(s) > 0);
    assert_true(s->core->gossip_bytes <= GOSSIP_BYTES_MAX);
    assert_true(s->core->gossip_bytes > GOSSIP_BYTES_MAX - 64 * 1024);
}

static void test_deletions_and_withdrawals(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_small("v1");
    struct storage_row row = stage_deletion_row(&s->arena, r, s->utc_us, false);
    gossip_add(s->core, &row, true);
    stage_do(s, event_new(EVENT_TICK));
    const struct db_update *m = stage_last(s, MESSAGE_DB_UPDATE)->body;
    assert_true(m->removal && m->deletion.len && m->credential.len && !m->has_holding);
    assert_true(id_eq(&m->video_id, &r->video.video_id) && id_eq(&m->streamer_id, &alice.id));
    assert_int_equal(m->statement.len, 0);
    row = row_of(s, "v2", 0);
    row.has_video = false;
    gossip_add(s->core, &row, true);
    stage_do(s, event_new(EVENT_TICK));
    m = stage_last(s, MESSAGE_DB_UPDATE)->body;
    assert_true(m->removal && m->has_holding && !m->deletion.len && !m->statement.len);
    reel_free(r);
}

/* What is to be said is said before the edge is gone. */
static void test_stop(void **state)
{
    struct stage *s = *state;
    add(s, 7, 0);
    stage_do(s, event_new(EVENT_STOP));
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1);
    assert_int_equal(s->core->gossip_n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_stage_teardown)
    const struct CMUnitTest tests[] = {
        T(test_few_leave_alone),
        T(test_many_leave_in_lots),
        T(test_largest_rows),
        T(test_bounds),
        T(test_bytes_are_bounded),
        T(test_deletions_and_withdrawals),
        T(test_stop),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
