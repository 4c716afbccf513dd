/* Deletions: who may say one, what it ends here, and that it is told once. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- deletions ---- */

static uint64_t later(const struct reel *r)
{
    return r->final_video.revision_us + 1;
}

static struct slice deletion_object(struct arena *arena, const struct deletion *d)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    deletion_encode(d, &w);
    return reel_object(arena, OBJECT_DELETION, &w, &alice.key);
}

static struct event *delete_event(struct stage *s, const char *video_id, uint64_t revision_us)
{
    struct event *ev = event_new(EVENT_DELETE);
    struct verified_delete *v = &ev->u.delete;
    v->deletion = (struct deletion){.zone_id = s->core->zone.zone_id,
                                    .video_id = stage_id(video_id),
                                    .streamer_id = alice.id,
                                    .revision_us = revision_us};
    v->request.video_id = v->deletion.video_id;
    v->request.streamer_id = alice.id;
    v->request.credential = member_credential(&alice);
    v->request.deletion = deletion_object(&ev->arena, &v->deletion);
    struct slice body;
    struct signature sig;
    assert_int_equal(signed_split(v->request.deletion, &body, &sig), ERR_OK);
    v->deletion_hash = object_hash(OBJECT_DELETION, body);
    assert_int_equal(credential_open(v->request.credential, &s->core->zone, &v->credential),
                     ERR_OK);
    v->auth = stage_auth(s);
    return ev;
}

static struct event *by_zone(struct event *ev, const char *client_id)
{
    ev->u.delete.by_zone = true;
    ev->u.delete.request.credential = (struct slice){0};
    ev->u.delete.request.client_id = arena_copy(&ev->arena, slice_str(client_id));
    return ev;
}

static bool is_deleted(struct scene *c)
{
    return memory_store_deleted(c->s->store, &c->r->video.video_id, &alice.id);
}

static void expect_ok(struct stage *s, const char *reply_id)
{
    const struct effect *e = stage_last(s, MESSAGE_DELETE_REPLY);
    const struct delete_reply *m = e->body;
    assert_int_equal(e->topic, TOPIC_DELETE_REPLY);
    assert_true(slice_eq_str(e->a, "edge1") && slice_eq_str(e->b, reply_id));
    assert_string_equal(m->video_id.s, "video1");
    assert_string_equal(m->edge_id.s, "edge1");
    assert_int_equal(stage_count(s, MESSAGE_ERROR), 0);
}

static void refused(struct scene *c, struct event *ev, enum wire_code code)
{
    stage_forget(c->s);
    stage_do(c->s, ev);
    assert_int_equal(stage_count(c->s, MESSAGE_DELETE_REPLY), 0);
    stage_expect_error(c->s, code, TOPIC_DELETE_REPLY, "alice");
}

static void test_deleted(void **state)
{
    struct scene *c = *state;
    stage_upload(c->s, c->r);
    stage_forget(c->s);
    c->s->commit_at_once = false;
    stage_do(c->s, delete_event(c->s, "video1", later(c->r)));
    assert_int_equal(stage_count(c->s, MESSAGE_DELETE_REPLY), 0); /* not before it is stored */
    c->s->commit_at_once = true;
    stage_settle(c->s);
    stage_pass(c->s, STAGE_S);
    expect_ok(c->s, "alice");
    assert_int_equal(stage_count(c->s, MESSAGE_DB_UPDATE), 1);
    const struct db_update *m = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    assert_true(m->removal && m->deletion.len && m->credential.len && !m->has_holding);
    assert_true(is_deleted(c));
    assert_int_equal(memory_store_parts(c->s->store, &c->r->stream), 0);
    assert_int_equal(memory_store_videos(c->s->store), 0);
    assert_int_equal(core_counter(c->s->core, COUNT_videos_deleted), 1);
}

static void test_again(void **state)
{
    struct scene *c = *state;
    stage_upload(c->s, c->r);
    stage_do(c->s, delete_event(c->s, "video1", later(c->r)));
    stage_pass(c->s, STAGE_S);
    stage_forget(c->s);
    stage_do(c->s, delete_event(c->s, "video1", later(c->r)));
    stage_pass(c->s, STAGE_S);
    expect_ok(c->s, "alice"); /* the answer may have been lost */
    assert_int_equal(stage_count(c->s, MESSAGE_DB_UPDATE), 0);
    assert_int_equal(core_counter(c->s->core, COUNT_videos_deleted), 1);
}

static void test_by_the_zone(void **state)
{
    struct scene *c = *state;
    stage_upload(c->s, c->r);
    stage_forget(c->s);
    stage_do(c->s, by_zone(delete_event(c->s, "video1", later(c->r)), "operator1"));
    expect_ok(c->s, "operator1");
    assert_true(is_deleted(c));
    stage_forget(c->s);
    stage_do(c->s, by_zone(delete_event(c->s, "video1", later(c->r)), "no/id"));
    assert_int_equal(stage_count(c->s, MESSAGE_DELETE_REPLY), 0);
}

static void test_refused(void **state)
{
    struct scene *c = *state;
    stage_upload(c->s, c->r);
    struct event *ev = delete_event(c->s, "video1", later(c->r));
    ev->u.delete.credential.subject = bob.id;
    refused(c, ev, CODE_UNAUTHORIZED);
    ev = delete_event(c->s, "video1", later(c->r));
    ev->u.delete.credential.kind = CREDENTIAL_EDGE;
    refused(c, ev, CODE_UNAUTHORIZED);
    ev = delete_event(c->s, "video1", later(c->r));
    ev->u.delete.credential.not_after_us = c->s->utc_us;
    refused(c, ev, CODE_UNAUTHORIZED);
    ev = delete_event(c->s, "video1", later(c->r));
    ev->u.delete.auth.ts_us -= TIME_WINDOW_US + 1;
    refused(c, ev, CODE_UNAUTHORIZED);
    ev = delete_event(c->s, "video1", later(c->r));
    ev->u.delete.request.video_id = stage_id("video2");
    refused(c, ev, CODE_BAD_REQUEST);
    ev = delete_event(c->s, "video1", later(c->r));
    ev->u.delete.deletion.zone_id = stage_id("other");
    refused(c, ev, CODE_BAD_REQUEST);
    refused(c, delete_event(c->s, "video1", c->s->utc_us + HLC_AHEAD_MAX_US + 1), CODE_BAD_REQUEST);
    refused(c, delete_event(c->s, "video1", c->r->final_video.revision_us - 1), CODE_CONFLICT);
    refused(c, delete_event(c->s, "video2", later(c->r)), CODE_UNKNOWN_VIDEO);
    assert_false(is_deleted(c));
    assert_int_equal(core_counter(c->s->core, COUNT_videos_deleted), 0);
    stage_do(c->s, delete_event(c->s, "video1", c->s->utc_us + HLC_AHEAD_MAX_US));
    assert_true(is_deleted(c)); /* just not too far ahead */
}

static void test_replayed(void **state)
{
    struct scene *c = *state;
    stage_upload(c->s, c->r);
    struct event *again = delete_event(c->s, "video1", later(c->r));
    c->s->nonces--;
    stage_do(c->s, delete_event(c->s, "video1", later(c->r)));
    refused(c, again, CODE_UNAUTHORIZED);
    assert_int_equal(core_counter(c->s->core, COUNT_replays_refused), 1);
}

static void test_storage_full(void **state)
{
    struct scene *c = *state;
    stage_upload(c->s, c->r);
    memory_store_fail(c->s->store, ERR_STORAGE_FULL, 0, 1);
    refused(c, delete_event(c->s, "video1", later(c->r)), CODE_STORAGE_FULL);
    assert_false(is_deleted(c));
    stage_do(c->s, delete_event(c->s, "video1", later(c->r)));
    assert_true(is_deleted(c));
}

static void test_not_ready(void **state)
{
    struct scene *c = *state;
    struct event *ev = delete_event(c->s, "video1", later(c->r));
    stage_do(c->s, event_new(EVENT_STOP));
    refused(c, ev, CODE_NOT_READY);
}

static void test_limit(void **state)
{
    struct scene *c = *state;
    char id[32];
    c->s->commit_at_once = false;
    for (int i = 0; i < DELETES_MAX; i++) {
        snprintf(id, sizeof(id), "v%d", i);
        stage_do(c->s, delete_event(c->s, id, later(c->r)));
    }
    assert_int_equal(stage_count(c->s, MESSAGE_ERROR), 0);
    refused(c, delete_event(c->s, "one-more", later(c->r)), CODE_BUSY);
    c->s->commit_at_once = true;
    stage_settle(c->s);
    assert_int_equal(stage_count(c->s, MESSAGE_ERROR), DELETES_MAX); /* unknown, all of them */
    refused(c, delete_event(c->s, "one-more", later(c->r)), CODE_UNKNOWN_VIDEO);
}

/* ---- what runs under the id ---- */

static void test_upload_is_told(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_parts(c->s, c->r, 0, 4);
    stage_forget(c->s);
    stage_do(c->s, delete_event(c->s, "video1", c->r->video.revision_us + 1));
    assert_int_equal(stage_count(c->s, MESSAGE_DELETE_REPLY), 1);
    stage_expect_error(c->s, CODE_CONFLICT, TOPIC_UPLOAD_REPLY, "alice");
    assert_int_equal(c->s->core->ingests.count, 0);
    assert_int_equal(memory_store_parts(c->s->store, &c->r->stream), 0);
    stage_do(c->s, stage_part_event(c->r, 4));
    assert_int_equal(core_counter(c->s->core, COUNT_parts_unknown_stream), 1);
}

static void test_ends_a_live(void **state)
{
    struct scene *c = *state;
    struct reel *live = reel_new(&alice, "video1", 2, true);
    stage_do(c->s, stage_init_event(c->s, live));
    assert_int_equal(c->s->core->lives.count, 1);
    stage_forget(c->s);
    stage_do(c->s, delete_event(c->s, "video1", live->video.revision_us + 1));
    const struct watch_end *m = stage_last(c->s, MESSAGE_WATCH_END)->body;
    assert_true(m->live);
    assert_int_equal(c->s->core->lives.count, 0);
    assert_int_equal(c->s->core->ingests.count, 0);
    assert_int_equal(memory_store_videos(c->s->store), 0);
    reel_free(live);
}

static void test_ends_a_fetch(void **state)
{
    struct scene *c = *state;
    scene_announce(c->s, c->r, &edge2);
    stage_do(c->s, stage_status_event("edge2", true));
    struct watch_request m = {
        .kind = WATCH_INIT, .client_id = slice_str("viewer1"), .video_id = c->r->video.video_id};
    stage_do(c->s, stage_watch_event(&m));
    assert_int_equal(c->s->core->fetches, 1);
    stage_do(c->s, delete_event(c->s, "video1", later(c->r)));
    assert_int_equal(c->s->core->fetches, 0);
    assert_int_equal(c->s->core->ingests.count, 0);
}

/* A deletion that comes late says nothing about what was begun after it. */
static void test_newer_upload_stays(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_parts(c->s, c->r, 0, 4);
    refused(c, delete_event(c->s, "video1", c->r->video.revision_us - 1), CODE_CONFLICT);
    struct storage_row row =
        stage_deletion_row(&c->s->arena, c->r, c->r->video.revision_us - 1, false);
    stage_do(c->s, stage_row_event(&row));
    assert_int_equal(c->s->core->uploads, 1);
    stage_parts(c->s, c->r, 4, c->r->n);
    stage_do(c->s, stage_end_event(c->r));
    assert_true(stage_ack(c->s)->receipt.len > 0);
    assert_int_equal(memory_store_videos(c->s->store), 1);
}

/* Another edge's deletion ends what runs here as well. */
static void test_merged(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_init_event(c->s, c->r));
    stage_parts(c->s, c->r, 0, 4);
    struct storage_row row = stage_deletion_row(&c->s->arena, c->r, later(c->r), false);
    stage_forget(c->s);
    stage_do(c->s, stage_row_event(&row));
    stage_expect_error(c->s, CODE_CONFLICT, TOPIC_UPLOAD_REPLY, "alice");
    assert_int_equal(c->s->core->ingests.count, 0);
    assert_true(is_deleted(c));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(test_deleted),     T(test_again),        T(test_by_the_zone),
        T(test_refused),     T(test_replayed),     T(test_storage_full),
        T(test_not_ready),   T(test_limit),        T(test_upload_is_told),
        T(test_ends_a_live), T(test_ends_a_fetch), T(test_newer_upload_stays),
        T(test_merged),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
