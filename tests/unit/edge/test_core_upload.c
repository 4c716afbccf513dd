/* Uploads: what is acknowledged and when, how they end, and where they go on. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- parts ---- */

static void test_parts_in_order(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    for (size_t i = 0; i < c->r->n; i++) {
        const struct part *p = &c->r->parts[i].part;
        stage_forget(c->s);
        stage_part(c->s, c->r, i);
        assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 0); /* not before the commit */
        stage_settle(c->s);
        assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 1);
        bool last = p->index + 1 == p->chunk.parts_n;
        stage_expect_ack(c->s, p->chunk.number + last, last ? 0 : p->index + 1u);
        assert_int_equal(stage_ack(c->s)->chunk_part, p->chunk.number);
        assert_int_equal(stage_ack(c->s)->packet_index, p->index);
    }
    assert_int_equal(memory_store_parts(c->s->store, &c->r->stream), c->r->n);
}

/* Binary: one acknowledgement per commit; JSON: one each. */
static void test_acks_of_one_commit(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_forget(c->s);
    for (size_t i = 0; i < 7; i++)
        stage_part(c->s, c->r, i);
    stage_settle(c->s);
    assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 1);
    stage_expect_ack(c->s, 4, 0);
    stage_forget(c->s);
    for (size_t i = 7; i < 13; i++)
        stage_step(c->s, stage_part_json_event(c->r, i));
    stage_settle(c->s);
    assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 6);
    stage_expect_ack(c->s, 6, 0);
}

static void test_duplicates(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    stage_do(s, stage_init_event(s, c->r));
    stage_parts(s, c->r, 0, 3);
    stage_part(s, c->r, 3);
    stage_forget(s);
    stage_part(s, c->r, 3); /* not committed yet: nothing to say */
    assert_int_equal(stage_count(s, MESSAGE_UPLOAD_ACK), 0);
    stage_part(s, c->r, 1);
    stage_part(s, c->r, 2); /* every one, or a lost answer would cost a time-out */
    assert_int_equal(stage_count(s, MESSAGE_UPLOAD_ACK), 2);
    stage_expect_ack(s, 2, 2);
    assert_int_equal(stage_ack(s)->packet_index, 1);
    assert_int_equal(core_counter(s->core, COUNT_parts_duplicate), 3);
    stage_settle(s);
    assert_int_equal(memory_store_parts(s->store, &c->r->stream), 4);
}

static void test_gap(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    stage_do(s, stage_init_event(s, c->r));
    stage_parts(s, c->r, 0, 2);
    stage_forget(s);
    stage_do(s, stage_part_event(c->r, 3));
    stage_do(s, stage_part_event(c->r, 4));
    stage_do(s, stage_part_event(c->r, 8));
    assert_int_equal(core_counter(s->core, COUNT_parts_out_of_order), 3);
    assert_int_equal(stage_count(s, MESSAGE_UPLOAD_ACK), 1); /* where to go on, but not thrice */
    stage_expect_ack(s, 2, 1);
    stage_parts(s, c->r, 2, c->r->n);
    stage_expect_ack(s, 7, 0);
}

static void expect_part_refused(struct scene *c, struct event *ev, enum wire_code code)
{
    uint64_t before = core_counter(c->s->core, COUNT_parts_refused);
    size_t parts = memory_store_parts(c->s->store, &c->r->stream);
    stage_do(c->s, ev);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_refused), before + 1);
    assert_int_equal(memory_store_parts(c->s->store, &c->r->stream), parts);
    stage_expect_error(c->s, code, TOPIC_UPLOAD_REPLY, "alice");
}

static void test_wrong_chain(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    stage_do(s, stage_init_event(s, c->r));
    struct event *ev = stage_part_event(c->r, 1); /* video/mp4 begins with an init chunk */
    ev->u.part.part.chunk.number = 1;
    ev->u.part.part.chunk.prev = (struct hash){0};
    expect_part_refused(c, ev, CODE_BAD_REQUEST);
    stage_parts(s, c->r, 0, 4);
    ev = stage_part_event(c->r, 4); /* another predecessor */
    ev->u.part.part.chunk.prev.b[0] ^= 1;
    expect_part_refused(c, ev, CODE_CONFLICT);
    ev = stage_part_event(c->r, 4); /* another init chunk */
    ev->u.part.part.chunk.init_number = 0;
    expect_part_refused(c, ev, CODE_BAD_REQUEST);
    ev = stage_part_event(c->r, 4); /* another track */
    ev->u.part.part.chunk.track = 1;
    expect_part_refused(c, ev, CODE_BAD_REQUEST);
    stage_parts(s, c->r, 4, 5);
    ev = stage_part_event(c->r, 5); /* another statement for the same number */
    ev->u.part.statement_hash.b[0] ^= 1;
    expect_part_refused(c, ev, CODE_CONFLICT);
    ev = stage_part_event(c->r, 5); /* another topic */
    ev->u.part.topic = TOPIC_LIVE_UPLOAD;
    stage_do(s, ev);
    assert_int_equal(core_counter(s->core, COUNT_parts_refused), 6);
    ev = stage_part_json_event(c->r, 5); /* the JSON names another video */
    ev->u.part.video_id = stage_id("video2");
    stage_do(s, ev);
    stage_expect_error(s, CODE_BAD_REQUEST, TOPIC_UPLOAD_REPLY, "alice");
    stage_parts(s, c->r, 5, c->r->n);
    stage_expect_ack(s, 7, 0);
}

static void test_second_init_chunk(void **state)
{
    struct scene *c = *state;
    struct reel *r = reel_new(&alice, "video2", 1, false);
    reel_fill(r, 2, 3000);
    reel_fill(r, 2, 3000);
    reel_finish(r);
    stage_upload(c->s, r);
    reel_free(r);
}

static void test_octet_stream(void **state)
{
    struct scene *c = *state;
    struct reel *r = reel_new(&alice, "file1", 1, false);
    r->video.media_type = slice_str("application/octet-stream");
    reel_sign(r);
    for (int i = 0; i < 3; i++)
        reel_cut(r, CHUNK_MEDIA, 0, 0, 30000);
    reel_finish(r);
    stage_upload(c->s, r);
    reel_free(r);
}

static void test_unknown_stream(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_part_event(c->r, 0));
    stage_step(c->s, stage_init_event(c->s, c->r));
    stage_part(c->s, c->r, 0); /* storage has not said where to begin */
    assert_int_equal(core_counter(c->s->core, COUNT_parts_unknown_stream), 2);
    stage_settle(c->s);
    stage_expect_ack(c->s, 1, 0);
}

/* ---- windows ---- */

static void test_over_window(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    struct reel *r = reel_new(&alice, "video2", 1, false);
    reel_fill(r, 30, 80000);
    stage_do(s, stage_init_event(s, r));
    size_t sent = 0;
    size_t i = 0;
    while (core_counter(s->core, COUNT_parts_over_window) == 0) {
        sent += r->parts[i].packet->payload.len;
        stage_part(s, r, i++);
    }
    assert_true(sent > UPLOAD_WINDOW_BYTES_MAX);
    assert_true(sent - r->parts[i - 1].packet->payload.len <= UPLOAD_WINDOW_BYTES_MAX);
    stage_settle(s);
    stage_parts(s, r, i - 1, r->n); /* what was dropped is sent again */
    stage_expect_ack(s, 32, 0);
    reel_free(r);
}

/* However small the parts: storage takes no more than STORE_OPS_MAX at once. */
static void test_tiny_parts(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    enum { STREAMS = 6, PARTS = 1500 };
    struct reel *r[STREAMS];
    char id[32];
    for (int k = 0; k < STREAMS; k++) {
        snprintf(id, sizeof(id), "tiny%d", k);
        r[k] = reel_new(&alice, id, 1, false);
        r[k]->video.media_type = slice_str("application/octet-stream");
        reel_sign(r[k]);
        for (int i = 0; i < PARTS; i++)
            reel_cut(r[k], CHUNK_MEDIA, 0, 0, 1);
        stage_do(s, stage_init_event(s, r[k]));
    }
    for (int i = 0; i < PARTS; i++)
        for (int k = 0; k < STREAMS; k++)
            stage_part(s, r[k], (size_t)i);
    assert_true(s->core->stores_under_way <= STORES_UNDER_WAY_MAX);
    assert_true(core_counter(s->core, COUNT_parts_over_window) > 0);
    stage_settle(s);
    for (int k = 0; k < STREAMS; k++) {
        stage_forget(s);
        stage_parts(s, r[k], memory_store_parts(s->store, &r[k]->stream), PARTS);
        stage_expect_ack(s, PARTS + 1, 0);
        reel_free(r[k]);
    }
}

static void expect_windows(unsigned uploads, uint32_t window_bytes)
{
    struct stage *s = stage_new(NULL);
    char id[32];
    for (unsigned i = 0; i < uploads; i++) {
        snprintf(id, sizeof(id), "v%u", i);
        struct reel *r = reel_new(i % 2 ? &alice : &bob, id, 1, false);
        stage_do(s, stage_init_event(s, r));
        reel_free(r);
    }
    assert_int_equal(stage_ack(s)->window_bytes, window_bytes);
    assert_true((uint64_t)uploads * window_bytes <= UPLOAD_WINDOW_TOTAL_BYTES);
    struct reel *r = reel_new(&alice, "more", 1, false);
    stage_forget(s);
    stage_do(s, stage_init_event(s, r));
    if (uploads == UPLOADS_MAX)
        stage_expect_error(s, CODE_QUOTA, TOPIC_UPLOAD_REPLY, "alice");
    else
        assert_int_equal(stage_count(s, MESSAGE_UPLOAD_ACK), 1);
    reel_free(r);
    stage_free(s);
}

static void test_window_shares(void **state)
{
    (void)state;
    expect_windows(1, UPLOAD_WINDOW_BYTES_MAX);
    expect_windows(8, UPLOAD_WINDOW_TOTAL_BYTES / 8);
    expect_windows(UPLOADS_MAX, UPLOAD_WINDOW_BYTES_MIN);
}

/* ---- storage fails ---- */

static void test_storage_full(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    stage_do(s, stage_init_event(s, c->r));
    stage_parts(s, c->r, 0, 4);
    stage_forget(s);
    s->group_max = 2;
    memory_store_fail(s->store, ERR_STORAGE_FULL, 3, 1);
    for (size_t i = 4; i < 12; i++)
        stage_part(s, c->r, i);
    stage_settle(s);
    assert_int_equal(stage_count(s, MESSAGE_ERROR), 1);
    stage_expect_error(s, CODE_STORAGE_FULL, TOPIC_UPLOAD_REPLY, "alice");
    assert_int_equal(core_counter(s->core, COUNT_store_failures), 1);
    assert_int_equal(s->core->ingests.count, 0);
    assert_int_equal(memory_store_parts(s->store, &c->r->stream), 7);
    stage_do(s, stage_init_event(s, c->r));
    stage_expect_ack(s, 4, 0); /* what was acknowledged, and one more that was kept */
    stage_parts(s, c->r, 7, c->r->n);
    stage_do(s, stage_end_event(c->r));
    assert_true(stage_ack(s)->receipt.len > 0);
}

/* Parts that arrive while a failure is coming back are not taken: they would leave a gap. */
static void test_parts_after_a_failure(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    stage_do(s, stage_init_event(s, c->r));
    s->commit_at_once = false;
    memory_store_fail(s->store, ERR_STORAGE_FULL, 1, 1);
    for (size_t i = 0; i < 4; i++)
        stage_part(s, c->r, i);
    memory_store_commit(s->store, 2);
    stage_complete(s);
    stage_forget(s);
    stage_part(s, c->r, 4);
    stage_do(s, stage_init_event(s, c->r)); /* nor is an init answered before it is known where */
    assert_int_equal(s->said_n, 0);
    memory_store_commit(s->store, 8);
    stage_complete(s);
    stage_expect_error(s, CODE_STORAGE_FULL, TOPIC_UPLOAD_REPLY, "alice");
}

/* ---- resuming ---- */

static void test_resume_after_a_crash(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    stage_do(s, stage_init_event(s, c->r));
    stage_parts(s, c->r, 0, 3); /* in the middle of chunk 2 */
    stage_part(s, c->r, 3);     /* not committed */
    stage_restart(s);
    stage_do(s, stage_part_event(c->r, 3));
    assert_int_equal(core_counter(s->core, COUNT_parts_unknown_stream), 1);
    stage_do(s, stage_init_event(s, c->r));
    stage_expect_ack(s, 2, 2);
    stage_parts(s, c->r, 3, c->r->n);
    stage_do(s, stage_end_event(c->r));
    assert_true(stage_ack(s)->receipt.len > 0);
}

static void test_init_while_running(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_parts(c->s, c->r, 0, 2);
    stage_part(c->s, c->r, 2);
    stage_forget(c->s);
    stage_step(c->s, stage_init_event(c->s, c->r));
    stage_expect_ack(c->s, 2, 1); /* what is committed, not what came */
    stage_settle(c->s);
}

static void test_idle(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_parts(c->s, c->r, 0, 5);
    stage_pass(c->s, UPLOAD_IDLE_TIMEOUT_US - SWEEP_US);
    assert_int_equal(c->s->core->uploads, 1);
    stage_pass(c->s, 2 * SWEEP_US);
    assert_int_equal(c->s->core->uploads, 0);
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_expect_ack(c->s, 3, 1);
}

static void test_stop_in_flight(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    stage_do(s, stage_init_event(s, c->r));
    for (size_t i = 0; i < 4; i++)
        stage_part(s, c->r, i);
    stage_forget(s);
    stage_step(s, event_new(EVENT_STOP));
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 0);
    stage_settle(s);
    stage_expect_ack(s, 3, 0); /* committed, acknowledged, then gone */
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1);
    assert_int_equal(s->said[s->said_n - 1].kind, EFFECT_DRAINED);
}

/* ---- the end ---- */

static void test_finish(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    stage_upload(s, c->r);
    const struct upload_ack *ack = stage_ack(s);
    struct receipt receipt;
    struct credential credential;
    assert_int_equal(ack->next, c->r->manifest.chunks + 1);
    assert_int_equal(credential_open(ack->edge_credential, &s->core->zone, &credential), ERR_OK);
    assert_int_equal(receipt_open(ack->receipt, &credential.pk, &receipt), ERR_OK);
    assert_int_equal(receipt.last_chunk, c->r->manifest.chunks);
    assert_true(hash_eq(&receipt.stream, &c->r->stream));
    assert_true(hash_eq(&receipt.hash, &c->r->final_video.manifest_hash));
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 1);
    const struct db_update *m = stage_last(s, MESSAGE_DB_UPDATE)->body;
    assert_false(m->removal || m->live);
    assert_true(slice_eq(m->manifest, c->r->manifest_bytes));
    assert_true(slice_eq(m->statement, c->r->final_statement));
    assert_int_equal(m->holding.type, OBJECT_CUSTODY);
    assert_int_equal(s->core->ingests.count, 0);
    assert_int_equal(s->core->videos, 1);
    struct slice first = arena_copy(&s->arena, ack->receipt);
    stage_forget(s);
    stage_do(s, stage_init_event(s, c->r)); /* the last answer was lost */
    assert_true(slice_eq(stage_ack(s)->receipt, first));
    assert_int_equal(stage_ack(s)->next, c->r->manifest.chunks + 1);
    assert_true(stage_ack(s)->edge_credential.len > 0);
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 0);
}

/* The end right behind the last part: it waits for the commit of what came before. */
static void test_finish_in_one_go(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    for (size_t i = 0; i < c->r->n; i++)
        stage_part(c->s, c->r, i);
    stage_step(c->s, stage_end_event(c->r));
    stage_step(c->s, stage_end_event(c->r));
    stage_settle(c->s);
    assert_true(stage_ack(c->s)->receipt.len > 0);
    assert_int_equal(c->s->core->ingests.count, 0);
}

static void test_finish_too_early(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_end_event(c->r));
    stage_expect_error(c->s, CODE_NOT_READY, TOPIC_UPLOAD_REPLY, "alice");
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_parts(c->s, c->r, 0, c->r->n - 1);
    stage_forget(c->s);
    stage_do(c->s, stage_end_event(c->r));
    stage_expect_ack(c->s, 6, 2); /* this one is missing */
    assert_int_equal(stage_ack(c->s)->receipt.len, 0);
    stage_parts(c->s, c->r, c->r->n - 1, c->r->n);
    stage_do(c->s, stage_end_event(c->r));
    assert_true(stage_ack(c->s)->receipt.len > 0);
}

static void test_finish_from_the_future(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_parts(c->s, c->r, 0, c->r->n);
    struct event *ev = stage_end_event(c->r);
    ev->u.end.video.revision_us = c->s->utc_us + HLC_AHEAD_MAX_US + 1;
    stage_do(c->s, ev);
    stage_expect_error(c->s, CODE_BAD_REQUEST, TOPIC_UPLOAD_REPLY, "alice");
    stage_do(c->s, stage_end_event(c->r)); /* the upload goes on */
    assert_true(stage_ack(c->s)->receipt.len > 0);
}

static void test_finish_with_another_manifest(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_parts(c->s, c->r, 0, c->r->n);
    struct event *ev = stage_end_event(c->r);
    ev->u.end.manifest.root.b[3] ^= 1;
    stage_forget(c->s);
    stage_do(c->s, ev);
    stage_expect_error(c->s, CODE_BAD_SIGNATURE, TOPIC_UPLOAD_REPLY, "alice");
    ev = stage_end_event(c->r); /* a thumbnail that the init did not bring */
    ev->u.end.video.thumbnail_hash.b[0] ^= 1;
    stage_do(c->s, ev);
    stage_expect_error(c->s, CODE_BAD_REQUEST, TOPIC_UPLOAD_REPLY, "alice");
    ev = stage_end_event(c->r);
    ev->u.end.video.live = true;
    stage_do(c->s, ev);
    stage_expect_error(c->s, CODE_BAD_REQUEST, TOPIC_UPLOAD_REPLY, "alice");
    memory_store_fail(c->s->store, ERR_STORAGE_FULL, 0, 1);
    stage_do(c->s, stage_end_event(c->r));
    stage_expect_error(c->s, CODE_STORAGE_FULL, TOPIC_UPLOAD_REPLY, "alice");
    stage_do(c->s, stage_end_event(c->r));
    assert_true(stage_ack(c->s)->receipt.len > 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(test_parts_in_order),
        T(test_acks_of_one_commit),
        T(test_duplicates),
        T(test_gap),
        T(test_wrong_chain),
        T(test_second_init_chunk),
        T(test_octet_stream),
        T(test_unknown_stream),
        T(test_over_window),
        T(test_tiny_parts),
        cmocka_unit_test(test_window_shares),
        T(test_storage_full),
        T(test_parts_after_a_failure),
        T(test_resume_after_a_crash),
        T(test_init_while_running),
        T(test_idle),
        T(test_stop_in_flight),
        T(test_finish),
        T(test_finish_in_one_go),
        T(test_finish_too_early),
        T(test_finish_from_the_future),
        T(test_finish_with_another_manifest),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
