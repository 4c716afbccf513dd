/* The catalogue: what is merged, who answers whom, and what a crash left behind. */
#include "base/mem.h"
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t merged(struct stage *s)
{
    return core_counter(s->core, COUNT_rows_merged);
}

static uint64_t refused(struct stage *s)
{
    return core_counter(s->core, COUNT_rows_refused);
}

/* ---- merging ---- */

static void test_merge(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_small("video1");
    uint64_t now = stage_hlc(s);
    struct storage_row row = stage_row(&s->arena, r, &edge2, 1, now + 5);
    stage_do(s, stage_row_event(&row));
    assert_int_equal(merged(s), 1);
    assert_int_equal(s->core->videos, 1);
    stage_do(s, stage_row_event(&row));
    assert_int_equal(merged(s), 1);
    assert_int_equal(core_counter(s->core, COUNT_rows_unchanged), 1);
    row = stage_row(&s->arena, r, &edge2, 0, now + 4); /* older */
    stage_do(s, stage_row_event(&row));
    assert_int_equal(s->core->videos, 1);
    row = stage_row(&s->arena, r, &edge2, 0, now + 6);
    row.has_video = false;
    stage_do(s, stage_row_event(&row));
    assert_int_equal(s->core->videos, 0);
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 0); /* it is not ours to tell */
    reel_free(r);
}

static void test_stamps_ahead(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_small("video1");
    uint64_t limit = (s->utc_us + HLC_AHEAD_MAX_US) / 1000 << 16;
    struct storage_row row = stage_row(&s->arena, r, &edge2, 1, limit + 0xffff + 1);
    row.has_video = false;
    stage_step(s, stage_row_event(&row));
    assert_int_equal(refused(s), 1);
    assert_int_equal(s->core->stores_under_way, 0);
    row = stage_row(&s->arena, r, &edge2, 1, limit + 0xffff + 1);
    stage_do(s, stage_row_event(&row)); /* what the streamer signed is not the worse for it */
    assert_int_equal(refused(s), 2);
    assert_int_equal(merged(s), 1);
    assert_int_equal(s->core->videos, 0);
    row = stage_row(&s->arena, r, &edge2, 1, limit + 0xffff);
    stage_do(s, stage_row_event(&row));
    assert_int_equal(refused(s), 2);
    assert_int_equal(s->core->videos, 1);
    reel_free(r);
}

/* Claims and deletions that are revised in the future wait until it has come. */
static void test_revisions_ahead(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_small("video1");
    struct storage_row row = stage_row(&s->arena, r, &edge2, 1, stage_hlc(s));
    row.video.revision_us = s->utc_us + HLC_AHEAD_MAX_US + 1;
    row.has_holding = false;
    stage_step(s, stage_row_event(&row));
    assert_int_equal(refused(s), 1);
    row.video.revision_us--;
    stage_do(s, stage_row_event(&row));
    assert_int_equal(merged(s), 1);
    row = stage_deletion_row(&s->arena, r, s->utc_us + HLC_AHEAD_MAX_US + 1, false);
    stage_do(s, stage_row_event(&row));
    assert_int_equal(refused(s), 2);
    assert_false(memory_store_deleted(s->store, &r->video.video_id, &alice.id));
    row = stage_deletion_row(&s->arena, r, s->utc_us + HLC_AHEAD_MAX_US, false);
    stage_do(s, stage_row_event(&row));
    assert_true(memory_store_deleted(s->store, &r->video.video_id, &alice.id));
    reel_free(r);
}

/* What was first said before the horizon may have been deleted since: nobody brings it back but
 * who is asked for all that he has. */
static void test_before_the_horizon(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_small("video1");
    struct storage_row row = stage_row(&s->arena, r, &edge2, 1, stage_hlc(s));
    row.video.revision_us = s->core->root.horizon_us;
    stage_do(s, stage_row_event(&row));
    stage_do(s, stage_lot_event(&row, 1));
    assert_int_equal(core_counter(s->core, COUNT_rows_orphaned), 2);
    assert_int_equal(s->core->videos, 0);
    row.video.revision_us++;
    stage_do(s, stage_row_event(&row));
    assert_int_equal(s->core->videos, 1);
    reel_free(r);
    s = stage_new(&(struct stage_spec){.new_here = true});
    r = scene_small("video1");
    stage_do(s, stage_beat_event(
                    &(struct stage_beat){.edge_id = "edge2", .root = {.horizon_us = 1, .b = {1}}}));
    stage_pass(s, STAGE_S);
    row = stage_row(&s->arena, r, &edge2, 1, stage_hlc(s));
    row.video.revision_us = s->core->root.horizon_us;
    stage_do(s, stage_rows_event(&row, 1, 1, 1));
    assert_int_equal(s->core->videos, 1);
    reel_free(r);
    stage_free(s);
}

/* A holding alone says nothing about a video that nobody described. */
static void test_orphans(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_small("video1");
    struct storage_row row = stage_row(&s->arena, r, &edge2, 1, stage_hlc(s));
    row.has_video = false;
    stage_do(s, stage_row_event(&row));
    assert_int_equal(core_counter(s->core, COUNT_rows_orphaned), 1);
    assert_int_equal(merged(s), 0);
    reel_free(r);
}

static int custody(struct stage *s, const struct reel *r)
{
    return memory_store_holding(s->store, OBJECT_CUSTODY, &r->video.video_id, &s->edge.id);
}

/* What we said before our memory was lost comes back; if it is not so any more, we say so. */
static void test_rows_of_ours(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_small("video1");
    uint64_t hlc = stage_hlc(s) + (30 * 1000 << 16); /* half a minute ahead: plausible */
    struct storage_row row = stage_row(&s->arena, r, &s->edge, 1, hlc);
    stage_do(s, stage_row_event(&row));
    assert_int_equal(refused(s), 0);
    assert_true(s->core->last_hlc >= hlc);
    stage_pass(s, 10 * STAGE_S);
    assert_int_equal(custody(s, r), 0); /* there is no copy here */
    assert_true(s->core->last_hlc > hlc);
    row = stage_row(&s->arena, r, &s->edge, 1, stage_hlc(s) + (600ull * 1000 << 16));
    row.has_video = false;
    stage_do(s, stage_row_event(&row));
    assert_int_equal(refused(s), 1);
    assert_int_equal(custody(s, r), 0);
    reel_free(r);
}

static int presence(struct stage *s, const struct reel *r)
{
    return memory_store_holding(s->store, OBJECT_PRESENCE, &r->video.video_id, &s->edge.id);
}

/* A live of ours that others remember and we do not is over. */
static void test_presence_of_ours(void **state)
{
    struct stage *s = *state;
    struct reel *r = reel_new(&alice, "live1", 1, true);
    struct storage_row row = {.has_video = true,
                              .video = r->video,
                              .stream = r->stream,
                              .statement = r->statement,
                              .credential = member_credential(&alice),
                              .has_holding = true};
    row.holding = (struct holding){.zone_id = r->video.zone_id,
                                   .edge_id = s->edge.id,
                                   .video_id = r->video.video_id,
                                   .streamer_id = alice.id,
                                   .stream = r->stream,
                                   .state = 1,
                                   .hlc = stage_hlc(s)};
    row.holding_row = (struct holding_row){
        .type = OBJECT_PRESENCE,
        .object = reel_holding_object(&s->arena, OBJECT_PRESENCE, &row.holding, &s->edge.key),
        .edge_credential = member_credential(&s->edge)};
    stage_do(s, stage_row_event(&row));
    stage_pass(s, STAGE_S);
    assert_int_equal(presence(s, r), 0);
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 1);
    assert_true(((const struct db_update *)stage_last(s, MESSAGE_DB_UPDATE)->body)->removal);
    /* One that runs was not ended by what we said before it. */
    stage_do(s, stage_init_event(s, r));
    assert_int_equal(presence(s, r), 1);
    stage_forget(s);
    row.has_video = false;
    row.holding.state = 0;
    row.holding.hlc = stage_hlc(s) + (60ull * 1000 << 16);
    row.holding_row.object =
        reel_holding_object(&s->arena, OBJECT_PRESENCE, &row.holding, &s->edge.key);
    stage_do(s, stage_row_event(&row));
    stage_pass(s, STAGE_S);
    assert_int_equal(presence(s, r), 1);
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 1);
    assert_false(((const struct db_update *)stage_last(s, MESSAGE_DB_UPDATE)->body)->removal);
    reel_free(r);
}

static void test_updates_are_bounded(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_small("video1");
    s->commit_at_once = false;
    for (uint64_t i = 0; i < 3000; i++) {
        struct storage_row row = stage_row(&s->arena, r, &edge2, 1, i + 1);
        stage_do(s, stage_row_event(&row));
    }
    size_t most = memory_store_writes(s->store);
    assert_true(most < 3000);
    assert_int_equal(refused(s), 3000 - most);
    s->commit_at_once = true;
    stage_settle(s);
    assert_int_equal(merged(s), most);
    reel_free(r);
}

/* ---- rows that wait ---- */

/* Many rows are merged in slices, and no more are kept than the backlog holds. */
static void test_backlog(void **state)
{
    struct stage *s = *state;
    struct storage_row *rows = scene_rows(s, 40);
    struct event *ev = stage_lot_event(rows, 40);
    ev->u.db_rows.skipped = 3;
    stage_step(s, ev);
    assert_int_equal(memory_store_writes(s->store), ROWS_PER_STEP_MAX);
    assert_int_equal(refused(s), 3);
    assert_true(core_deadline_us(s->core) <= s->now_us + PUMP_AGAIN_US);
    stage_pass(s, 2 * PUMP_AGAIN_US);
    assert_int_equal(merged(s), 40);
    for (uint32_t i = 0; i < 2 * ROW_BACKLOG_MAX; i++)
        stage_step(s, stage_lot_event(rows, 40));
    uint64_t lots_refused = refused(s) / 40;
    assert_true(lots_refused > 0);
    assert_int_equal(refused(s) % 40, 3);
    stage_pass(s, STAGE_S);
    assert_int_equal(s->core->backlog_n, 0);
    assert_int_equal(s->core->backlog_rows, 0);
    assert_int_equal(core_counter(s->core, COUNT_rows_unchanged),
                     40 * (2 * ROW_BACKLOG_MAX - lots_refused));
}

static void test_backlog_rows(void **state)
{
    struct stage *s = *state;
    s->commit_at_once = false;
    struct storage_row *rows = scene_rows(s, 512);
    for (size_t i = 0; i < ROW_BACKLOG_ROWS_MAX / 512; i++)
        stage_step(s, stage_lot_event(rows, 512));
    assert_int_equal(refused(s), 0);
    stage_step(s, stage_lot_event(rows, 1));
    assert_int_equal(refused(s), 1);
    stage_step(s, stage_lot_event(rows, 0));
    assert_true(s->core->backlog_rows <= ROW_BACKLOG_ROWS_MAX);
    s->commit_at_once = true;
    stage_pass(s, STAGE_S);
}

static void test_backlog_waits_for_storage(void **state)
{
    struct stage *s = *state;
    struct storage_row *rows = scene_rows(s, 40);
    s->commit_at_once = false;
    for (uint32_t i = 1; i <= 60; i++)
        stage_step(s, stage_lot_event(rows, 40));
    stage_pass(s, STAGE_S / 10);
    size_t most = memory_store_writes(s->store);
    assert_true(most < 60 * 40);
    assert_true(s->core->backlog_n > 0);
    s->commit_at_once = true;
    stage_pass(s, STAGE_S);
    assert_int_equal(s->core->backlog_n, 0);
    assert_int_equal(merged(s) + core_counter(s->core, COUNT_rows_unchanged), 60 * 40);
    assert_int_equal(refused(s), 0);
}

static void test_stop_with_a_backlog(void **state)
{
    struct stage *s = *state;
    struct storage_row *rows = scene_rows(s, 40);
    for (uint32_t i = 1; i <= 10; i++)
        stage_step(s, stage_lot_event(rows, 40));
    stage_step(s, event_new(EVENT_STOP));
    stage_settle(s);
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1); /* repair brings the rest */
    stage_pass(s, STAGE_S);
}

/* ---- what a crash left behind ---- */

static struct holding *stale(size_t n)
{
    struct holding *h = mem_array(n, sizeof(*h));
    char id[32];
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "live%zu", i);
        h[i] = (struct holding){.zone_id = stage_id("zone1"),
                                .edge_id = stage_id("edge1"),
                                .video_id = stage_id(id),
                                .streamer_id = alice.id,
                                .state = 1,
                                .hlc = (REEL_UTC_US / 1000 << 16) - 1};
    }
    return h;
}

/* The withdrawals that were said, alone or in lots. */
static size_t withdrawn(struct stage *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->said_n; i++) {
        const struct effect *e = &s->said[i];
        if (e->kind == EFFECT_SEND && e->message == MESSAGE_DB_UPDATE)
            n += ((const struct db_update *)e->body)->removal;
        if (e->kind == EFFECT_SEND && e->message == MESSAGE_DB_LOT)
            n += ((const struct message_bundle *)e->body)->holdings_n;
    }
    return n;
}

static void test_stale_presences(void **state)
{
    (void)state;
    enum { N = 300 };
    struct holding *h = stale(N);
    struct stage_spec spec = {.bus_down = true, .stale = h, .stale_n = N};
    struct stage *s = stage_new(&spec);
    for (size_t i = 0; i < N; i++) {
        struct reel *r = reel_new(&alice, h[i].video_id.s, 1, true);
        struct storage_row row = {.has_video = true,
                                  .video = r->video,
                                  .stream = r->stream,
                                  .statement = r->statement,
                                  .credential = member_credential(&alice)};
        stage_do(s, stage_row_event(&row));
        reel_free(r);
    }
    free(h);
    stage_pass(s, STAGE_S); /* nobody would hear it */
    assert_int_equal(withdrawn(s), 0);
    stage_do(s, event_new(EVENT_BUS_UP));
    assert_true(withdrawn(s) > 0);
    stage_pass(s, STAGE_S);
    assert_int_equal(withdrawn(s), N);
    assert_true(stage_count(s, MESSAGE_DB_LOT) > 0);
    char id[32];
    for (size_t i = 0; i < N; i++) {
        snprintf(id, sizeof(id), "live%zu", i);
        struct id video_id = stage_id(id);
        assert_int_equal(memory_store_holding(s->store, OBJECT_PRESENCE, &video_id, &s->edge.id),
                         0);
    }
    stage_free(s);
}

/* Of a video that nobody knows any more there is nothing to withdraw. */
static void test_stale_without_a_claim(void **state)
{
    (void)state;
    struct holding *h = stale(3);
    struct stage *s = stage_new(&(struct stage_spec){.stale = h, .stale_n = 3});
    free(h);
    stage_pass(s, 60 * STAGE_S);
    assert_int_equal(s->core->stale_n, 0);
    assert_int_equal(withdrawn(s), 0);
    stage_free(s);
}

static void test_stale_before_enrolment(void **state)
{
    (void)state;
    struct holding *h = stale(1);
    struct stage_spec spec = {.fresh = true, .stale = h, .stale_n = 1};
    struct stage *s = stage_new(&spec);
    free(h);
    uint64_t steps = s->steps;
    stage_pass(s, 60 * STAGE_S);
    assert_true(s->steps - steps < 100);
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 0);
    stage_free(s);
}

/* Stamps grow when the clock goes back a little. */
static void test_stamps_grow(void **state)
{
    (void)state;
    uint64_t last = (REEL_UTC_US + HLC_AHEAD_MAX_US) / 1000 << 16;
    struct stage *s = stage_new(&(struct stage_spec){.last_hlc = last});
    struct reel *r = reel_new(&alice, "live1", 1, true);
    for (int i = 0; i < 3; i++) {
        stage_do(s, stage_init_event(s, r));
        const struct db_update *m = stage_last(s, MESSAGE_DB_UPDATE)->body;
        struct holding said;
        assert_int_equal(holding_open(OBJECT_PRESENCE, m->holding.object, &s->edge.key.pk, &said),
                         ERR_OK);
        assert_true(said.hlc > last && said.hlc < last + 8);
        last = said.hlc;
        stage_pass(s, LIVE_IDLE_TIMEOUT_US + SWEEP_US);
    }
    reel_free(r);
    stage_free(s);
}

/* Nobody takes what a clock a day ahead has stamped: once it is right, all is stamped anew. */
static void test_clock_was_ahead(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.utc_ahead_us = REEL_DAY_US / 2});
    struct reel *r = reel_new(&alice, "live1", 1, true);
    r->video.created_us += REEL_DAY_US / 2;
    reel_sign(r);
    stage_do(s, stage_init_event(s, r));
    uint64_t ahead = s->core->last_hlc;
    s->utc_us -= REEL_DAY_US / 2;
    stage_forget(s);
    stage_pass(s, STAGE_S);
    assert_true(s->core->last_hlc < ahead);
    assert_int_equal(presence(s, r), 1);
    const struct db_update *m = stage_last(s, MESSAGE_DB_UPDATE)->body;
    struct holding said;
    assert_int_equal(holding_open(OBJECT_PRESENCE, m->holding.object, &s->edge.key.pk, &said),
                     ERR_OK);
    assert_true(said.state == 1 && said.hlc < ahead);
    assert_int_equal(memory_store_last_hlc(s->store),
                     said.hlc); /* it has taken the other's place */
    stage_pass(s, 60 * STAGE_S);
    assert_int_equal(presence(s, r), 0); /* it fell silent, and could be withdrawn */
    reel_free(r);
    stage_free(s);
}

/* ---- lists ---- */

static struct event *list_event(const char *client_id, bool paged, uint32_t limit)
{
    struct event *ev = event_new(EVENT_LIST);
    ev->u.list = (struct list_request){
        .client_id = arena_copy(&ev->arena, slice_str(client_id)), .paged = paged, .limit = limit};
    return ev;
}

static void test_list(void **state)
{
    struct stage *s = *state;
    struct storage_row *rows = scene_rows(s, 5);
    for (size_t i = 0; i < 5; i++)
        stage_do(s, stage_row_event(&rows[i]));
    stage_do(s, list_event("viewer1", false, 0));
    const struct effect *e = stage_last(s, MESSAGE_LIST);
    const struct message_list *m = e->body;
    assert_int_equal(e->topic, TOPIC_LIST_REPLY);
    assert_true(slice_eq_str(e->b, "viewer1"));
    assert_true(m->n == 5 && !m->more && !m->paged);
    assert_true(slice_eq(m->token, stage_token(s, "viewer1")));
    stage_do(s, list_event("viewer1", true, 2));
    m = stage_last(s, MESSAGE_LIST)->body;
    assert_true(m->n == 2 && m->more && m->paged);
    struct event *ev = list_event("viewer1", true, 2);
    ev->u.list.after = arena_copy(&ev->arena, id_slice(&m->rows[1].video_id));
    ev->u.list.category = slice_str("Gaming");
    ev->u.list.has_live = true;
    stage_do(s, ev);
    m = stage_last(s, MESSAGE_LIST)->body;
    assert_true(m->n == 2 && m->more);
    assert_true(slice_eq_str(id_slice(&m->rows[0].video_id), "v0002"));
    stage_forget(s);
    stage_do(s, list_event("a/b", false, 0));
    assert_int_equal(s->said_n, 0);
    memory_store_fail_reads(s->store, ERR_IO, 1);
    stage_do(s, list_event("viewer1", false, 0));
    stage_expect_error(s, CODE_INTERNAL, TOPIC_LIST_REPLY, "viewer1");
}

static void test_lists_at_once(void **state)
{
    struct stage *s = *state;
    s->read_at_once = false;
    for (int i = 0; i < LISTS_MAX; i++)
        stage_do(s, list_event("viewer1", false, 0));
    assert_int_equal(s->said_n, 0);
    stage_do(s, list_event("viewer2", false, 0));
    stage_expect_error(s, CODE_BUSY, TOPIC_LIST_REPLY, "viewer2");
    s->read_at_once = true;
    stage_settle(s);
    assert_int_equal(stage_count(s, MESSAGE_LIST), LISTS_MAX);
    stage_do(s, list_event("viewer2", false, 0));
    assert_int_equal(stage_count(s, MESSAGE_LIST), LISTS_MAX + 1);
    stage_do(s, event_new(EVENT_STOP));
    stage_do(s, list_event("viewer2", false, 0));
    stage_expect_error(s, CODE_BUSY, TOPIC_LIST_REPLY, "viewer2");
}

/* Holders that are silent are named: known ones at once, others when we have listened for long. */
static void test_list_names_who_is_offline(void **state)
{
    struct stage *s = *state;
    struct storage_row *rows = scene_rows(s, 1);
    stage_do(s, stage_row_event(&rows[0]));
    stage_do(s, list_event("viewer", false, 0));
    const struct message_list *m = stage_last(s, MESSAGE_LIST)->body;
    assert_int_equal(m->rows[0].offline.len, 0);
    stage_pass(s, PEER_SILENCE_US + 1);
    stage_do(s, list_event("viewer", false, 0));
    m = stage_last(s, MESSAGE_LIST)->body;
    assert_true(slice_eq_str(m->rows[0].edges, "edge2") &&
                slice_eq_str(m->rows[0].offline, "edge2"));
    stage_do(s, stage_status_event("edge2", true));
    stage_do(s, list_event("viewer", false, 0));
    m = stage_last(s, MESSAGE_LIST)->body;
    assert_int_equal(m->rows[0].offline.len, 0);
    stage_do(s, stage_status_event("edge2", false));
    stage_do(s, list_event("viewer", false, 0));
    m = stage_last(s, MESSAGE_LIST)->body;
    assert_true(slice_eq_str(m->rows[0].offline, "edge2"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_stage_setup, scene_stage_teardown)
    const struct CMUnitTest tests[] = {
        T(test_merge),
        T(test_stamps_ahead),
        T(test_revisions_ahead),
        T(test_before_the_horizon),
        T(test_orphans),
        T(test_rows_of_ours),
        T(test_presence_of_ours),
        T(test_updates_are_bounded),
        T(test_backlog),
        T(test_backlog_rows),
        T(test_backlog_waits_for_storage),
        T(test_stop_with_a_backlog),
        cmocka_unit_test(test_stale_presences),
        cmocka_unit_test(test_stale_without_a_claim),
        cmocka_unit_test(test_stale_before_enrolment),
        cmocka_unit_test(test_stamps_grow),
        cmocka_unit_test(test_clock_was_ahead),
        T(test_list),
        T(test_lists_at_once),
        T(test_list_names_who_is_offline),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
