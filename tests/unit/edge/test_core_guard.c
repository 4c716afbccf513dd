/* What strangers, streamers and returning edges may not do, and what must not get lost over it. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct reel *film(const char *id)
{
    return scene_film(id, 3, 2 * REEL_PART_BYTES);
}

/* ---- whose an id is ---- */

/* `created` decides between two claims of one id: the final revision may not set it back. */
static void test_created_stays(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1");
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, r->n);
    struct event *ev = stage_end_event(r);
    ev->u.end.video.created_us = 1;
    stage_do(s, ev);
    stage_expect_error(s, CODE_BAD_REQUEST, TOPIC_UPLOAD_REPLY, "alice");
    assert_int_equal(s->core->videos, 0);
    stage_do(s, stage_end_event(r));
    assert_true(stage_ack(s)->receipt.len > 0);
    reel_free(r);
}

/* ---- while the credential lasts ---- */

static void test_credential_ends_amid_an_upload(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1");
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, 2);
    s->utc_us += 2 * REEL_DAY_US;
    stage_forget(s);
    stage_do(s, stage_part_event(r, 2));
    stage_expect_error(s, CODE_UNAUTHORIZED, TOPIC_UPLOAD_REPLY, "alice");
    assert_int_equal(memory_store_parts(s->store, &r->stream), 2);
    reel_free(r);
}

static void test_credential_ends_amid_a_live(void **state)
{
    struct stage *s = *state;
    struct reel *r = reel_new(&alice, "live1", 1, true);
    reel_fill(r, 4, 2 * REEL_PART_BYTES);
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, 3);
    size_t relayed = stage_packets(s, TOPIC_LIVE_PARTS, "");
    s->utc_us += 2 * REEL_DAY_US;
    stage_do(s, stage_part_event(r, 3));
    assert_int_equal(stage_packets(s, TOPIC_LIVE_PARTS, ""), relayed);
    assert_int_equal(stage_count(s, MESSAGE_WATCH_END), 1);
    assert_int_equal(s->core->lives.count, 0);
    reel_free(r);
}

/* ---- who shows no token ---- */

static struct watch_request pull(const char *client_id, uint32_t last)
{
    return (struct watch_request){.kind = WATCH_PULL_ORIGINAL,
                                  .client_id = slice_str(client_id),
                                  .video_id = stage_id("video1"),
                                  .chunk_part = last};
}

static uint64_t json_bytes(const struct stage *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < stage_count(s, MESSAGE_PART_JSON); i++)
        bytes += ((const struct part_json *)stage_nth(s, MESSAGE_PART_JSON, i)->body)->packet.len;
    return bytes;
}

/* However often one asks in somebody's name, he is sent no more than the rate. */
static void test_one_view_is_paced(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_film("video1", 2, CHUNK_BYTES_MAX);
    stage_upload(s, r);
    stage_forget(s);
    for (int i = 0; i < 100; i++) {
        struct watch_request m = pull("victim", 1);
        stage_do(s, stage_watch_event(&m));
        stage_pass(s, STAGE_S / 10);
    }
    uint64_t most = 10ull * UNTRUSTED_VIEW_BYTES_PER_S_MAX + CHUNK_BYTES_MAX;
    assert_true(json_bytes(s) > 0);
    assert_true(json_bytes(s) <= most);
    reel_free(r);
}

static void test_all_views_are_paced(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_film("video1", 1, CHUNK_BYTES_MAX);
    stage_upload(s, r);
    stage_forget(s);
    char id[32];
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "victim%d", i);
        struct watch_request m = pull(id, 1);
        stage_do(s, stage_watch_event(&m));
    }
    stage_pass(s, STAGE_S / 2);
    assert_true(json_bytes(s) >= UNTRUSTED_BYTES_PER_S_MAX / 2);
    assert_true(json_bytes(s) <= 2ull * UNTRUSTED_BYTES_PER_S_MAX);
    reel_free(r);
}

/* ---- the catalogue ---- */

static void test_only_who_is_named_answers(void **state)
{
    struct stage *s = *state;
    struct event *ev = event_new(EVENT_DB_REQUEST);
    ev->u.db_request =
        (struct db_request){.edge_id = stage_id("edge9"), .from = slice_str("edge2")};
    stage_do(s, ev);
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), 0);
    ev = event_new(EVENT_DB_REQUEST);
    ev->u.db_request =
        (struct db_request){.edge_id = stage_id("edge9"), .from = slice_str("edge1")};
    stage_do(s, ev);
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), 1);
}

/* ---- the disk refuses ---- */

/* A live whose withdrawal could not be kept is announced as over only once it could. */
static void test_a_withdrawal_is_tried_again(void **state)
{
    struct stage *s = *state;
    struct reel *r = reel_new(&alice, "live1", 1, true);
    reel_fill(r, 1, 100);
    size_t end = reel_cut(r, CHUNK_END, 0, REEL_UTC_US, 0);
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, end);
    stage_forget(s);
    memory_store_fail(s->store, ERR_STORAGE_FULL, 0, 2);
    stage_do(s, stage_part_event(r, end));
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 0);
    assert_int_equal(
        memory_store_holding(s->store, OBJECT_PRESENCE, &r->video.video_id, &s->edge.id), 1);
    stage_pass(s, 30 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 1);
    assert_true(((const struct db_update *)stage_last(s, MESSAGE_DB_UPDATE)->body)->removal);
    assert_int_equal(
        memory_store_holding(s->store, OBJECT_PRESENCE, &r->video.video_id, &s->edge.id), 0);
    reel_free(r);
}

/* A withdrawal that waits for the disk does not take a new live of the same id with it. */
static void test_an_old_withdrawal_spares_a_new_live(void **state)
{
    struct stage *s = *state;
    struct reel *old = reel_new(&alice, "live1", 1, true);
    struct reel *new = reel_new(&alice, "live1", 2, true);
    reel_fill(old, 1, 100);
    reel_fill(new, 1, 100);
    size_t end = reel_cut(old, CHUNK_END, 0, REEL_UTC_US, 0);
    stage_do(s, stage_init_event(s, old));
    stage_parts(s, old, 0, end);
    memory_store_fail(s->store, ERR_STORAGE_FULL, 0, 1);
    stage_step(s, stage_part_event(old, end));
    stage_step(s, stage_init_event(s, new));
    stage_settle(s);
    for (int i = 0; i < 8; i++) { /* it goes on: there is room again */
        stage_pass(s, STAGE_S);
        assert_int_equal(
            memory_store_holding(s->store, OBJECT_PRESENCE, &new->video.video_id, &s->edge.id), 1);
    }
    reel_free(old);
    reel_free(new);
}

/* ---- stopping ---- */

/* It is told to stop while a part is on its way to the disk. */
static void stops_amid_an_upload(struct stage *s, const struct reel *r)
{
    stage_do(s, stage_init_event(s, r));
    s->commit_at_once = false;
    stage_step(s, stage_part_event(r, 0));
    stage_step(s, event_new(EVENT_STOP));
}

static void test_nothing_new_while_stopping(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1");
    stops_amid_an_upload(s, r);
    stage_step(s, stage_part_event(r, 1));
    assert_int_equal(memory_store_writes(s->store), 1);
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 0);
    s->commit_at_once = true;
    stage_settle(s);
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1);
    reel_free(r);
}

static void test_stop_twice_says_offline(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1");
    stops_amid_an_upload(s, r);
    stage_forget(s);
    stage_step(s, event_new(EVENT_STOP)); /* the loop waits no longer */
    assert_false(((const struct edge_status *)stage_last(s, MESSAGE_EDGE_STATUS)->body)->online);
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1);
    reel_free(r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scene_stage_setup, scene_stage_teardown)
    const struct CMUnitTest tests[] = {
        T(test_created_stays),
        T(test_credential_ends_amid_an_upload),
        T(test_credential_ends_amid_a_live),
        T(test_one_view_is_paced),
        T(test_all_views_are_paced),
        T(test_only_who_is_named_answers),
        T(test_a_withdrawal_is_tried_again),
        T(test_an_old_withdrawal_spares_a_new_live),
        T(test_nothing_new_while_stopping),
        T(test_stop_twice_says_offline),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
