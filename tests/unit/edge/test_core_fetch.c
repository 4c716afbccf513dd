/* Fetching a copy from another edge: from whom, what if it fails, and what the viewers see of it.
 */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define SILENCE_US (2 * STAGE_S) /* a source that does not answer for so long is given up */

/* edge1 lacks "video1", an init chunk and 5 chunks of 4 parts, which edge2 and edge3 have. */
enum { CHUNKS = 6 };

static void beat(struct stage *s)
{
    stage_do(s, stage_status_event("edge2", true));
    stage_do(s, stage_status_event("edge3", true));
}

static int setup(void **state)
{
    struct scene *c = scene_new(scene_film("video1", CHUNKS - 1, 4 * REEL_PART_BYTES));
    scene_announce(c->s, c->r, &edge2);
    scene_announce(c->s, c->r, &edge3);
    beat(c->s);
    stage_forget(c->s);
    *state = c;
    return 0;
}

/* ---- viewers at edge1 ---- */

static void watch(struct stage *s, const char *client_id, const char *video_id)
{
    struct watch_request m = {
        .kind = WATCH_INIT, .client_id = slice_str(client_id), .video_id = stage_id(video_id)};
    stage_do(s, stage_watch_event(&m));
}

static void seek(struct stage *s, const char *client_id, uint32_t pull)
{
    struct watch_request m = {.kind = WATCH_SEEK,
                              .client_id = slice_str(client_id),
                              .video_id = stage_id("video1"),
                              .pull = pull,
                              .chunk_part = 1,
                              .window_bytes = WATCH_WINDOW_BYTES_MAX,
                              .token = stage_token(s, client_id)};
    stage_do(s, stage_watch_event(&m));
}

/* ---- what a source says ---- */

static struct event *info_event(const char *source, size_t token_len)
{
    struct event *ev = event_new(EVENT_WATCH_INFO);
    ev->u.watch_info.source = stage_id(source);
    ev->u.watch_info.info.video_id = stage_id("video1");
    ev->u.watch_info.info.token = slice_of(arena_alloc(&ev->arena, token_len), token_len);
    return ev;
}

static struct event *part_event(const struct reel *r, size_t i)
{
    struct event *ev = stage_part_event(r, i);
    ev->u.part.topic = TOPIC_WATCH_REPLY;
    return ev;
}

static struct event *end_event(const char *source, uint32_t pull)
{
    struct event *ev = event_new(EVENT_WATCH_END);
    ev->u.watch_end.source = stage_id(source);
    ev->u.watch_end.end =
        (struct watch_end){.video_id = stage_id("video1"), .has_pull = true, .pull = pull};
    return ev;
}

static struct event *error_event(const char *source)
{
    struct event *ev = event_new(EVENT_WATCH_ERROR);
    ev->u.watch_error.source = stage_id(source);
    ev->u.watch_error.error =
        (struct wire_error){.code = CODE_BUSY, .video_id = slice_str("video1")};
    return ev;
}

static void parts(struct scene *c, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        stage_do(c->s, part_event(c->r, i));
}

/* ---- what is asked of sources ---- */

static const struct watch_request *asked(struct stage *s, const char *source, enum watch_kind kind)
{
    const struct effect *e = stage_last(s, MESSAGE_WATCH_REQUEST);
    const struct watch_request *m = e->body;
    assert_int_equal(e->topic, TOPIC_WATCH);
    assert_int_equal(e->lane, LANE_CONTROL);
    assert_true(slice_eq_str(e->a, source));
    assert_true(slice_eq_str(m->client_id, "edge1"));
    assert_int_equal(m->kind, kind);
    return m;
}

static void expect_seek(struct stage *s, const char *source, uint32_t chunk, uint32_t part)
{
    const struct watch_request *m = asked(s, source, WATCH_SEEK);
    assert_int_equal(m->chunk_part, chunk);
    assert_int_equal(m->part, part);
}

/* A viewer asks, edge2 answers: the fetch runs. */
static void running(struct scene *c)
{
    watch(c->s, "viewer1", "video1");
    assert_true(asked(c->s, "edge2", WATCH_INIT)->local_only);
    stage_do(c->s, info_event("edge2", TOKEN_BYTES));
    expect_seek(c->s, "edge2", 1, 0);
    stage_forget(c->s);
}

static bool whole(struct scene *c)
{
    return memory_store_whole(c->s->store, &c->r->stream);
}

/* ---- to the end ---- */

static void test_fetch(void **state)
{
    struct scene *c = *state;
    running(c);
    seek(c->s, "viewer1", 1);
    assert_int_equal(c->s->said_n, 0); /* it waits for the fetch */
    parts(c, 0, 5);
    assert_int_equal(stage_packets(c->s, TOPIC_WATCH_REPLY, "viewer1"), 5); /* as it comes */
    parts(c, 5, c->r->n);
    assert_int_equal(stage_packets(c->s, TOPIC_WATCH_REPLY, "viewer1"), c->r->n);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_END), 1);
    assert_int_equal(stage_count(c->s, MESSAGE_ERROR), 0);
    assert_int_equal(c->s->core->ingests.count, 0);
    assert_true(whole(c));
    assert_int_equal(stage_count(c->s, MESSAGE_DB_UPDATE), 0); /* a cached copy: see custody.c */
    stage_forget(c->s);
    watch(c->s, "viewer2", "video1");
    const struct watch_info *info = stage_last(c->s, MESSAGE_WATCH_INFO)->body;
    assert_true(slice_eq_str(info->edges, "edge2,edge3"));
    assert_int_equal(core_counter(c->s->core, COUNT_fetches_started), 1);
}

static void test_one_fetch_for_all(void **state)
{
    struct scene *c = *state;
    char id[32];
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "viewer%d", i);
        watch(c->s, id, "video1");
        seek(c->s, id, 1);
    }
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 1);
    stage_do(c->s, info_event("edge2", TOKEN_BYTES));
    parts(c, 0, c->r->n);
    assert_int_equal(stage_packets(c->s, TOPIC_WATCH_REPLY, ""), 20 * c->r->n);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_END), 20);
}

/* A source edge on a stage of its own: what one says, the other hears. */
static void exchange(struct stage *from, struct stage *to, const struct reel *r)
{
    for (size_t i = 0; i < from->said_n; i++) {
        const struct effect *e = &from->said[i];
        if (e->kind == EFFECT_PACKET && slice_eq(e->b, id_slice(&to->edge.id))) {
            struct part part;
            assert_int_equal(part_decode(e->packet->payload, &part), ERR_OK);
            stage_do(to, part_event(r, reel_at(r, part.chunk.number, part.index)));
        } else if (e->kind == EFFECT_SEND && e->message == MESSAGE_WATCH_REQUEST) {
            stage_do(to, stage_watch_event(e->body));
        } else if (e->kind == EFFECT_SEND && slice_eq(e->b, id_slice(&to->edge.id))) {
            struct event *ev =
                event_new(e->message == MESSAGE_WATCH_INFO ? EVENT_WATCH_INFO : EVENT_WATCH_END);
            if (e->message == MESSAGE_WATCH_INFO) {
                ev->u.watch_info.source = from->edge.id;
                ev->u.watch_info.info = *(const struct watch_info *)e->body;
            } else {
                assert_int_equal(e->message, MESSAGE_WATCH_END);
                ev->u.watch_end.source = from->edge.id;
                ev->u.watch_end.end = *(const struct watch_end *)e->body;
            }
            stage_do(to, ev);
        }
    }
    stage_forget(from);
}

static void test_between_two_edges(void **state)
{
    struct scene *c = *state;
    struct stage *source = stage_new(&(struct stage_spec){.edge_id = "edge2"});
    struct reel *r = scene_film("video2", 3, 2 * 1024 * 1024);
    stage_upload(source, r);
    scene_announce(c->s, r, &edge2);
    stage_forget(source);
    stage_forget(c->s);
    watch(c->s, "viewer1", "video2");
    for (int i = 0; i < 100 && memory_store_parts(c->s->store, &r->stream) < r->n; i++) {
        exchange(c->s, source, r);
        assert_true(source->core->views.count == 1);
        exchange(source, c->s, r);
    }
    assert_int_equal(memory_store_parts(c->s->store, &r->stream), r->n);
    assert_int_equal(c->s->core->ingests.count, 0);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_duplicate), 0);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_over_window), 0);
    reel_free(r);
    stage_free(source);
}

/* ---- sources ---- */

static void test_sources_offline(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_status_event("edge2", false));
    scene_announce(c->s, c->r, &edge1); /* nobody else's word about us counts */
    watch(c->s, "viewer1", "video1");
    asked(c->s, "edge3", WATCH_INIT);
}

static void test_no_source(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_status_event("edge2", false));
    stage_pass(c->s, PEER_SILENCE_US + 1); /* edge3 is silent */
    stage_forget(c->s);
    watch(c->s, "viewer1", "video1");
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_INFO), 1);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
    assert_int_equal(core_counter(c->s->core, COUNT_fetches_failed), 1);
    stage_forget(c->s);
    seek(c->s, "viewer1", 1);
    assert_int_equal(stage_count(c->s, MESSAGE_ERROR), 1);
    stage_do(c->s, stage_status_event("edge2", true));
    watch(c->s, "viewer1", "video1"); /* asking again begins again */
    asked(c->s, "edge2", WATCH_INIT);
}

/* Sources that are there and do not answer are asked in turn, with pauses that grow, until
 * FETCH_PATIENCE_US has brought nothing. */
static void test_silent_sources(void **state)
{
    struct scene *c = *state;
    watch(c->s, "viewer1", "video1");
    seek(c->s, "viewer1", 1);
    static const unsigned pauses_s[] = {1, 2, 4, 8};
    for (int round = 0; round < 4; round++) {
        asked(c->s, "edge2", WATCH_INIT);
        stage_pass(c->s, SILENCE_US - 1);
        asked(c->s, "edge2", WATCH_INIT);
        stage_pass(c->s, 1);
        asked(c->s, "edge3", WATCH_INIT);
        stage_pass(c->s, SILENCE_US);
        stage_forget(c->s);
        beat(c->s);
        stage_pass(c->s, pauses_s[round] * STAGE_S - 1);
        assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
        stage_pass(c->s, 1);
        beat(c->s);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(stage_count(c->s, MESSAGE_ERROR), 0);
        beat(c->s);
        seek(c->s, "viewer1", 2 + (uint32_t)i);
        stage_pass(c->s, 10 * STAGE_S);
    }
    stage_expect_error(c->s, CODE_NOT_READY, TOPIC_WATCH_REPLY, "viewer1");
    assert_int_equal(c->s->core->ingests.count, 0);
    assert_int_equal(core_counter(c->s->core, COUNT_fetches_failed), 1);
}

/* A source that is busy is there: it is asked until it has time. */
static void test_busy_source(void **state)
{
    struct scene *c = *state;
    stage_do(c->s, stage_status_event("edge3", false));
    watch(c->s, "viewer1", "video1");
    for (int i = 0; i < 30; i++) {
        if (stage_count(c->s, MESSAGE_WATCH_REQUEST))
            stage_do(c->s, error_event("edge2"));
        stage_forget(c->s);
        stage_pass(c->s, 8 * STAGE_S);
        stage_do(c->s, stage_status_event("edge2", true));
    }
    assert_int_equal(core_counter(c->s->core, COUNT_fetches_failed), 0);
    while (!stage_count(c->s, MESSAGE_WATCH_REQUEST))
        stage_pass(c->s, STAGE_S / 10);
    stage_do(c->s, info_event("edge2", TOKEN_BYTES));
    parts(c, 0, c->r->n);
    assert_true(whole(c));
}

/* The last source goes away: who waits is told, and not after a minute. */
static void test_sources_go_away(void **state)
{
    struct scene *c = *state;
    watch(c->s, "viewer1", "video1");
    seek(c->s, "viewer1", 1);
    stage_pass(c->s, 2 * SILENCE_US); /* the pause begins */
    stage_do(c->s, stage_status_event("edge2", false));
    stage_do(c->s, stage_status_event("edge3", false));
    stage_pass(c->s, STAGE_S);
    stage_expect_error(c->s, CODE_NOT_READY, TOPIC_WATCH_REPLY, "viewer1");
}

static void test_source_refuses(void **state)
{
    struct scene *c = *state;
    watch(c->s, "viewer1", "video1");
    stage_do(c->s, error_event("edge3")); /* it was not asked */
    asked(c->s, "edge2", WATCH_INIT);
    stage_do(c->s, error_event("edge2"));
    asked(c->s, "edge3", WATCH_INIT);
    stage_do(c->s, info_event("edge2", TOKEN_BYTES));     /* too late */
    stage_do(c->s, info_event("edge3", TOKEN_BYTES + 1)); /* no token of ours */
    asked(c->s, "edge3", WATCH_INIT);
    stage_do(c->s, info_event("edge3", 0));
    expect_seek(c->s, "edge3", 1, 0);
    stage_do(c->s, part_event(c->r, 0));
    stage_forget(c->s);
    stage_do(c->s, error_event("edge3")); /* while parts flow, anybody may have said it */
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
    parts(c, 1, c->r->n);
    assert_true(whole(c));
}

/* Silence in the middle: seeks, and in the end another source, from where the first one stopped. */
static void test_source_dies(void **state)
{
    struct scene *c = *state;
    running(c);
    parts(c, 0, 7);
    stage_pass(c->s, PULL_SILENCE_US);
    expect_seek(c->s, "edge2", 3, 2);
    for (int i = 0; i < PULL_SEEKS_MAX; i++) {
        stage_do(c->s, stage_status_event("edge3", true));
        asked(c->s, "edge2", WATCH_SEEK);
        stage_pass(c->s, PULL_SILENCE_US);
    }
    asked(c->s, "edge3", WATCH_INIT);
    stage_do(c->s, info_event("edge3", TOKEN_BYTES));
    expect_seek(c->s, "edge3", 3, 2);
    parts(c, 7, c->r->n);
    assert_true(whole(c));
}

static void test_gap(void **state)
{
    struct scene *c = *state;
    running(c);
    parts(c, 0, 3);
    stage_forget(c->s);
    parts(c, 4, 5);
    expect_seek(c->s, "edge2", 2, 2);
    parts(c, 5, 8); /* still from before the seek */
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 1);
    parts(c, 3, c->r->n);
    assert_true(whole(c));
}

static void test_wrong_part(void **state)
{
    struct scene *c = *state;
    running(c);
    parts(c, 0, 1);
    struct event *ev = part_event(c->r, 1);
    ev->u.part.part.chunk.prev.b[0] ^= 1;
    stage_do(c->s, ev);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_refused), 1);
    asked(c->s, "edge3", WATCH_INIT);
    stage_do(c->s, part_event(c->r, 1)); /* from nobody that was asked: not taken */
    assert_int_equal(memory_store_parts(c->s->store, &c->r->stream), 1);
    stage_do(c->s, info_event("edge3", TOKEN_BYTES));
    expect_seek(c->s, "edge3", 2, 0);
    ev = part_event(c->r, 1); /* an upload is not where it comes from */
    ev->u.part.topic = TOPIC_UPLOAD;
    stage_do(c->s, ev);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_refused), 2);
    parts(c, 1, c->r->n);
    assert_true(whole(c));
}

/* A chunk that the streamer signed but left out of the manifest would spoil the copy for good. */
static void test_beyond_the_manifest(void **state)
{
    struct scene *c = *state;
    size_t extra = reel_cut(c->r, CHUNK_MEDIA, CHUNK_KEYFRAME, REEL_UTC_US, 100);
    running(c);
    c->s->commit_at_once = false;
    parts(c, 0, extra + 1);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_refused), 1);
    c->s->commit_at_once = true;
    stage_settle(c->s);
    assert_true(whole(c));
}

static void test_ends_early(void **state)
{
    struct scene *c = *state;
    running(c);
    parts(c, 0, 5);
    stage_do(c->s, end_event("edge3", 1)); /* not the source */
    stage_do(c->s, end_event("edge2", 7)); /* another pull */
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
    stage_do(c->s, end_event("edge2", 1)); /* but the manifest names more */
    asked(c->s, "edge3", WATCH_INIT);
}

/* ---- storage ---- */

static void test_storage_full(void **state)
{
    struct scene *c = *state;
    running(c);
    seek(c->s, "viewer1", 1);
    parts(c, 0, 5);
    memory_store_fail(c->s->store, ERR_STORAGE_FULL, 1, 1);
    parts(c, 5, 7);
    stage_expect_error(c->s, CODE_STORAGE_FULL, TOPIC_WATCH_REPLY, "viewer1");
    assert_int_equal(c->s->core->ingests.count, 0);
    watch(c->s, "viewer1", "video1");
    stage_do(c->s, info_event("edge2", TOKEN_BYTES));
    expect_seek(c->s, "edge2", 3, 1); /* what is kept need not come again */
    parts(c, 6, c->r->n);
    assert_true(whole(c));
}

/* Given up with parts on their way to the disk, begun again before they come back. */
static void test_begun_again_at_once(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    running(c);
    s->commit_at_once = false;
    parts(c, 0, 4);
    stage_do(s, stage_status_event("edge2", false));
    stage_do(s, stage_status_event("edge3", false));
    struct event *ev = part_event(c->r, 4);
    ev->u.part.part.index = 3;
    ev->u.part.statement_hash.b[0] ^= 1;
    stage_do(s, ev);
    assert_int_equal(s->core->ingests.count, 0); /* no source is left */
    stage_do(s, stage_status_event("edge2", true));
    watch(s, "viewer1", "video1");
    assert_int_equal(s->core->fetches, 1);
    s->commit_at_once = true;
    stage_settle(s);
    stage_do(s, info_event("edge2", TOKEN_BYTES));
    expect_seek(s, "edge2", 2, 3);
    parts(c, 4, c->r->n);
    assert_true(whole(c));
}

static void test_credit_follows_the_disk(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    struct reel *r = scene_film("video2", 1, 2 * 1024 * 1024);
    scene_announce(s, r, &edge2);
    stage_forget(s);
    watch(s, "viewer1", "video2");
    struct event *ev = info_event("edge2", TOKEN_BYTES);
    ev->u.watch_info.info.video_id = stage_id("video2");
    stage_do(s, ev);
    s->commit_at_once = false;
    size_t i = 0;
    while (s->core->fetch_inflight_bytes <= 512 * 1024)
        stage_do(s, part_event(r, i++));
    stage_forget(s);
    for (size_t end = i + 40; i < end; i++)
        stage_do(s, part_event(r, i));
    assert_int_equal(stage_count(s, MESSAGE_WATCH_REQUEST), 0);
    s->commit_at_once = true;
    stage_settle(s);
    assert_int_equal(stage_count(s, MESSAGE_WATCH_REQUEST), 1);
    assert_true(asked(s, "edge2", WATCH_CREDIT)->credit_bytes > 512 * 1024);
    reel_free(r);
}

/* Two sources send more than may wait for the disk: what found no room is sought again as soon as
 * there is some, without a silence. */
static void test_no_room_for_all(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    struct reel *films[2];
    size_t next[2] = {0};
    for (int i = 0; i < 2; i++) {
        char id[] = {'w', (char)('0' + i), '\0'};
        films[i] = reel_new(&alice, id, 1, false);
        reel_fill(films[i], 1, 3 * 1024 * 1024);
        reel_finish(films[i]);
        scene_announce(s, films[i], &edge2);
        watch(s, id, id);
        struct event *ev = info_event("edge2", TOKEN_BYTES);
        ev->u.watch_info.info.video_id = stage_id(id);
        stage_do(s, ev);
        assert_in_range(asked(s, "edge2", WATCH_SEEK)->window_bytes, PACKET_BYTES_MAX,
                        FETCH_WINDOW_TOTAL_BYTES / 2 / (uint32_t)(i + 1));
    }
    s->commit_at_once = false;
    while (!core_counter(s->core, COUNT_parts_over_window))
        for (int i = 0; i < 2; i++)
            stage_do(s, part_event(films[i], next[i]++));
    stage_forget(s);
    s->commit_at_once = true;
    stage_settle(s);
    const struct watch_request *m = asked(s, "edge2", WATCH_SEEK);
    const struct reel *lost = id_eq(&m->video_id, &films[0]->video.video_id) ? films[0] : films[1];
    assert_int_equal(m->part, next[lost == films[1]] - 2); /* the init chunk is one of them */
    for (int i = 0; i < 2; i++)
        reel_free(films[i]);
}

static void test_resumes_after_a_crash(void **state)
{
    struct scene *c = *state;
    running(c);
    parts(c, 0, 6);
    stage_restart(c->s);
    assert_int_equal(c->s->core->ingests.count, 0);
    watch(c->s, "viewer1", "video1"); /* nobody was heard of yet: both may be there */
    asked(c->s, "edge2", WATCH_INIT);
    stage_do(c->s, info_event("edge2", TOKEN_BYTES));
    expect_seek(c->s, "edge2", 3, 1);
    parts(c, 6, c->r->n);
    assert_true(whole(c));
}

/* Every part is there, but the edge went down before the copy was finished: nobody is asked. */
static void test_finishes_after_a_crash(void **state)
{
    struct scene *c = *state;
    running(c);
    parts(c, 0, c->r->n - 1);
    c->s->commit_at_once = false;
    stage_step(c->s, part_event(c->r, c->r->n - 1));
    assert_true(memory_store_commit(c->s->store, 1));
    c->s->commit_at_once = true;
    stage_restart(c->s);
    assert_false(whole(c));
    watch(c->s, "viewer1", "video1");
    assert_true(whole(c));
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_REQUEST), 0);
    assert_int_equal(c->s->core->ingests.count, 0);
}

/* ---- limits ---- */

static void test_limit(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    char id[32];
    char viewer[32];
    for (int i = 0; i <= FETCHES_MAX; i++) {
        snprintf(id, sizeof(id), "v%d", i);
        snprintf(viewer, sizeof(viewer), "viewer%d", i);
        struct reel *r = scene_small(id);
        scene_announce(s, r, &edge2);
        watch(s, viewer, id);
        reel_free(r);
    }
    assert_int_equal(s->core->fetches, FETCHES_MAX);
    assert_int_equal(core_counter(s->core, COUNT_fetches_started), FETCHES_MAX);
    assert_int_equal(stage_count(s, MESSAGE_WATCH_INFO), FETCHES_MAX + 1);
    stage_pass(s, 30 * STAGE_S); /* edge2 is silent */
    assert_int_equal(s->core->fetches, 0);
    stage_do(s, stage_status_event("edge2", true));
    watch(s, viewer, id);
    assert_int_equal(s->core->fetches, 1);
}

/* So many viewers wait that not all of them can be told: the step holds, and nobody is left
 * waiting for a fetch that is over. */
static void test_many_viewers_of_a_failure(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    char id[32];
    for (int i = 0; i < 600; i++) {
        snprintf(id, sizeof(id), "viewer%d", i);
        watch(s, id, "video1");
        seek(s, id, 1);
    }
    assert_int_equal(s->core->views_wanting, 600);
    stage_do(s, stage_status_event("edge2", false));
    stage_do(s, stage_status_event("edge3", false));
    stage_forget(s);
    stage_pass(s, SILENCE_US);
    assert_int_equal(stage_count(s, MESSAGE_ERROR), UNVERIFIED_ANSWERS_PER_S_MAX);
    assert_int_equal(s->core->views_wanting, 0);
}

static void test_stop(void **state)
{
    struct scene *c = *state;
    running(c);
    c->s->commit_at_once = false;
    parts(c, 0, 5);
    stage_step(c->s, event_new(EVENT_STOP));
    assert_int_equal(stage_effects(c->s, EFFECT_DRAINED), 0);
    c->s->commit_at_once = true;
    stage_settle(c->s);
    assert_int_equal(stage_effects(c->s, EFFECT_DRAINED), 1);
    assert_int_equal(c->s->core->ingests.count, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(test_fetch),
        T(test_one_fetch_for_all),
        T(test_between_two_edges),
        T(test_sources_offline),
        T(test_no_source),
        T(test_silent_sources),
        T(test_busy_source),
        T(test_sources_go_away),
        T(test_source_refuses),
        T(test_source_dies),
        T(test_gap),
        T(test_wrong_part),
        T(test_beyond_the_manifest),
        T(test_ends_early),
        T(test_storage_full),
        T(test_begun_again_at_once),
        T(test_credit_follows_the_disk),
        T(test_no_room_for_all),
        T(test_resumes_after_a_crash),
        T(test_finishes_after_a_crash),
        T(test_limit),
        T(test_many_viewers_of_a_failure),
        T(test_stop),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
