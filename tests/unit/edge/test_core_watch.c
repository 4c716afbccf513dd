/* Views of stored videos: what is answered, how much is sent, and to whom first. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* "video1", held: an init chunk and 5 chunks of 4 parts. */
enum { CHUNKS = 6, PARTS = 4 };

static int setup(void **state)
{
    struct scene *c = scene_new(scene_film("video1", CHUNKS - 1, PARTS * REEL_PART_BYTES));
    stage_upload(c->s, c->r);
    stage_forget(c->s);
    *state = c;
    return 0;
}

/* ---- asking ---- */

static struct watch_request request(enum watch_kind kind, const char *client_id)
{
    return (struct watch_request){
        .kind = kind, .client_id = slice_str(client_id), .video_id = stage_id("video1")};
}

static void init(struct stage *s, const char *client_id, const char *video_id, bool local_only)
{
    struct watch_request m = request(WATCH_INIT, client_id);
    m.video_id = stage_id(video_id);
    m.local_only = local_only;
    stage_do(s, stage_watch_event(&m));
}

static struct event *seek_event(struct stage *s, const char *client_id, uint32_t pull,
                                uint32_t chunk, uint32_t part, uint32_t window_bytes)
{
    struct watch_request m = request(WATCH_SEEK, client_id);
    m.pull = pull;
    m.chunk_part = chunk;
    m.part = part;
    m.window_bytes = window_bytes;
    m.token = stage_token(s, client_id);
    return stage_watch_event(&m);
}

static void seek(struct stage *s, uint32_t pull, uint32_t chunk, uint32_t part,
                 uint32_t window_bytes)
{
    stage_do(s, seek_event(s, "viewer1", pull, chunk, part, window_bytes));
}

static void credit(struct stage *s, uint32_t pull, uint64_t bytes, uint32_t window_bytes)
{
    struct watch_request m = request(WATCH_CREDIT, "viewer1");
    m.pull = pull;
    m.credit_bytes = bytes;
    m.window_bytes = window_bytes;
    m.token = stage_token(s, "viewer1");
    stage_do(s, stage_watch_event(&m));
}

static void pull_original(struct stage *s, uint32_t last)
{
    struct watch_request m = request(WATCH_PULL_ORIGINAL, "viewer1");
    m.chunk_part = last;
    stage_do(s, stage_watch_event(&m));
}

static size_t packets(struct stage *s)
{
    return stage_packets(s, TOPIC_WATCH_REPLY, "viewer1");
}

static uint64_t sent_bytes(struct stage *s, const char *client_id)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->said_n; i++)
        if (s->said[i].kind == EFFECT_PACKET && slice_eq_str(s->said[i].b, client_id))
            bytes += s->said[i].packet->payload.len;
    return bytes;
}

/* The packets sent are the reel's from this index on. */
static void expect_from(struct scene *c, size_t at)
{
    for (size_t i = 0; i < packets(c->s); i++)
        assert_true(slice_eq(stage_packet(c->s, TOPIC_WATCH_REPLY, "viewer1", i)->packet->payload,
                             c->r->parts[at + i].packet->payload));
}

/* ---- init ---- */

static void test_init(void **state)
{
    struct scene *c = *state;
    init(c->s, "viewer1", "video1", false);
    const struct effect *e = stage_last(c->s, MESSAGE_WATCH_INFO);
    const struct watch_info *info = e->body;
    assert_int_equal(e->topic, TOPIC_WATCH_REPLY);
    assert_int_equal(e->lane, LANE_MEDIA);
    assert_true(slice_eq_str(e->b, "viewer1"));
    assert_int_equal(info->chunks, CHUNKS);
    assert_int_equal(info->bytes, c->r->manifest.bytes);
    assert_true(slice_eq_str(info->edges, "edge1"));
    assert_true(slice_eq_str(info->title, "A title"));
    assert_true(slice_eq(info->statement, c->r->final_statement));
    assert_true(slice_eq(info->manifest, c->r->manifest_bytes));
    assert_true(slice_eq(info->credential, member_credential(&alice)));
    assert_true(slice_eq(info->token, stage_token(c->s, "viewer1")));
    assert_false(info->live);
    stage_forget(c->s);
    init(c->s, "viewer1", "video1", true);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_INFO), 1);
}

static void test_init_unknown(void **state)
{
    struct scene *c = *state;
    init(c->s, "viewer1", "video2", false);
    stage_expect_error(c->s, CODE_UNKNOWN_VIDEO, TOPIC_WATCH_REPLY, "viewer1");
    init(c->s, "not/an/id", "video1", false);
    assert_int_equal(c->s->said_n, 0);
}

static void test_init_not_finished(void **state)
{
    struct scene *c = *state;
    struct reel *r = reel_new(&alice, "video2", 1, false);
    reel_fill(r, 1, 100);
    stage_do(c->s, stage_init_event(c->s, r));
    stage_parts(c->s, r, 0, r->n);
    stage_forget(c->s);
    init(c->s, "viewer1", "video2", false);
    stage_expect_error(c->s, CODE_NOT_READY, TOPIC_WATCH_REPLY, "viewer1");
    init(c->s, "viewer1", "video2", true);
    stage_expect_error(c->s, CODE_UNKNOWN_VIDEO, TOPIC_WATCH_REPLY, "viewer1");
    reel_free(r);
}

static void test_init_elsewhere(void **state)
{
    struct scene *c = *state;
    struct reel *r = reel_new(&alice, "video2", 1, false);
    struct reel *live = reel_new(&alice, "live1", 1, true);
    reel_fill(r, 1, 100);
    reel_finish(r);
    struct storage_row row = stage_row(&c->s->arena, r, &edge2, 1, stage_hlc(c->s));
    stage_do(c->s, stage_row_event(&row));
    row = stage_row(&c->s->arena, live, &edge2, 1, stage_hlc(c->s));
    stage_do(c->s, stage_row_event(&row));
    init(c->s, "viewer1", "video2", true);
    stage_expect_error(c->s, CODE_UNKNOWN_VIDEO, TOPIC_WATCH_REPLY, "viewer1");
    assert_int_equal(core_counter(c->s->core, COUNT_fetches_started), 0);
    init(c->s, "viewer1", "video2", false);
    const struct watch_info *info = stage_last(c->s, MESSAGE_WATCH_INFO)->body;
    assert_int_equal(info->chunks, 2);
    assert_true(slice_eq_str(info->edges, "edge2"));
    assert_int_equal(core_counter(c->s->core, COUNT_fetches_started), 1);
    init(c->s, "viewer1", "live1", false);
    info = stage_last(c->s, MESSAGE_WATCH_INFO)->body;
    assert_true(info->live && slice_eq_str(info->edges, "edge2"));
    assert_int_equal(info->chunks, 0);
    assert_int_equal(core_counter(c->s->core, COUNT_fetches_started), 1);
    reel_free(r);
    reel_free(live);
}

/* ---- binary pulls ---- */

static void test_seek(void **state)
{
    struct scene *c = *state;
    seek(c->s, 1, 1, 0, WATCH_WINDOW_BYTES_MAX);
    assert_int_equal(packets(c->s), c->r->n);
    expect_from(c, 0);
    const struct watch_end *end = stage_last(c->s, MESSAGE_WATCH_END)->body;
    assert_true(end->has_pull && end->pull == 1 && end->chunk_part == CHUNKS && !end->live);
    stage_forget(c->s);
    seek(c->s, 2, 3, 2, WATCH_WINDOW_BYTES_MAX);
    expect_from(c, reel_at(c->r, 3, 2));
    assert_int_equal(packets(c->s), c->r->n - reel_at(c->r, 3, 2));
    stage_forget(c->s);
    seek(c->s, 3, CHUNKS + 1, 0, WATCH_WINDOW_BYTES_MAX); /* beyond the last */
    assert_int_equal(packets(c->s), 0);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_END), 1);
    assert_int_equal(stage_count(c->s, MESSAGE_ERROR), 0);
}

static void test_seek_unknown(void **state)
{
    struct scene *c = *state;
    struct watch_request m = request(WATCH_SEEK, "viewer1");
    m.video_id = stage_id("video2");
    m.pull = 1;
    m.chunk_part = 1;
    stage_do(c->s, stage_watch_event(&m));
    stage_expect_error(c->s, CODE_UNKNOWN_VIDEO, TOPIC_WATCH_REPLY, "viewer1");
    assert_int_equal(c->s->core->views_wanting, 0);
}

/* One part always goes; then never more than credit and window allow. */
static void test_credit(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    uint64_t part = c->r->parts[2].packet->payload.len; /* of the whole ones */
    for (uint32_t window = 0; window < 2; window++) {
        stage_forget(s);
        seek(s, 1 + window, 2, 0, window);
        assert_int_equal(packets(s), 1);
        assert_int_equal(memory_store_reads(s->store), 0);
    }
    stage_forget(s);
    seek(s, 3, 2, 0, (uint32_t)(2 * part));
    assert_int_equal(packets(s), 2);
    credit(s, 3, part, (uint32_t)(2 * part));
    assert_int_equal(packets(s), 3);
    credit(s, 3, 2 * part, (uint32_t)(3 * part - 1)); /* a byte too few for the fifth */
    assert_int_equal(packets(s), 4);
    credit(s, 3, 2 * part, (uint32_t)(3 * part)); /* the same credit with a larger window */
    assert_int_equal(packets(s), 5);
    credit(s, 3, part, WATCH_WINDOW_BYTES_MAX);         /* an older one */
    credit(s, 2, 5 * part, WATCH_WINDOW_BYTES_MAX);     /* of another pull */
    credit(s, 3, 5 * part + 1, WATCH_WINDOW_BYTES_MAX); /* more than was sent */
    assert_int_equal(packets(s), 5);
    struct watch_request m = request(WATCH_CREDIT, "viewer1");
    m.pull = 3;
    m.credit_bytes = 5 * part;
    m.window_bytes = WATCH_WINDOW_BYTES_MAX;
    stage_do(s, stage_watch_event(&m)); /* without a token */
    assert_int_equal(packets(s), 5);
    credit(s, 3, 5 * part, 0);
    assert_int_equal(packets(s), 6);    /* all received: one goes */
    credit(s, 3, 6 * part, UINT32_MAX); /* capped */
    expect_from(c, 1);
    assert_int_equal(packets(s), c->r->n - 1);
}

/* While the credit is used up, nothing is read. */
static void test_no_reading_without_credit(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    uint32_t window = (uint32_t)c->r->parts[2].packet->payload.len * 2 + 100;
    seek(s, 1, 2, 0, window);
    assert_int_equal(packets(s), 2);
    uint64_t steps = s->steps;
    stage_pass(s, STAGE_S);
    assert_true(s->steps - steps < 10);
    credit(s, 1, 0, window);
    assert_int_equal(packets(s), 2);
}

static void test_window_is_capped(void **state)
{
    struct scene *c = *state;
    struct reel *r = scene_film("video2", 2, CHUNK_BYTES_MAX / 4);
    stage_upload(c->s, r);
    stage_forget(c->s);
    struct event *ev = seek_event(c->s, "viewer1", 1, 1, 0, UINT32_MAX);
    ev->u.watch.video_id = stage_id("video2");
    stage_do(c->s, ev);
    assert_true(sent_bytes(c->s, "viewer1") <= WATCH_WINDOW_BYTES_MAX);
    assert_true(sent_bytes(c->s, "viewer1") > WATCH_WINDOW_BYTES_MAX - 2 * REEL_PART_BYTES);
    reel_free(r);
}

static void test_old_seeks(void **state)
{
    struct scene *c = *state;
    seek(c->s, 5, 2, 0, WATCH_WINDOW_BYTES_MAX);
    stage_forget(c->s);
    seek(c->s, 5, 2, 0, WATCH_WINDOW_BYTES_MAX);
    seek(c->s, 4, 2, 0, WATCH_WINDOW_BYTES_MAX);
    assert_int_equal(c->s->said_n, 0);
    seek(c->s, 6, 2, 0, WATCH_WINDOW_BYTES_MAX);
    assert_int_equal(packets(c->s), c->r->n - 1);
    stage_forget(c->s);
    init(c->s, "viewer1", "video1", false); /* the viewer begins again */
    seek(c->s, 1, 2, 0, WATCH_WINDOW_BYTES_MAX);
    assert_int_equal(packets(c->s), c->r->n - 1);
}

/* Who has not shown that he reads the reply topic gets one chunk at a time, wherever he asks. */
static void test_without_token(void **state)
{
    struct scene *c = *state;
    struct watch_request m = request(WATCH_SEEK, "viewer1");
    m.window_bytes = WATCH_WINDOW_BYTES_MAX;
    static const uint32_t chunks[] = {0, 1, 3};
    for (uint32_t i = 0; i < 3; i++) {
        m.pull = i + 1;
        m.chunk_part = chunks[i];
        stage_forget(c->s);
        stage_do(c->s, stage_watch_event(&m));
        stage_pass(c->s, STAGE_S); /* and not faster than UNTRUSTED_VIEW_BYTES_PER_S_MAX */
        uint32_t chunk = chunks[i] ? chunks[i] : 1;
        assert_int_equal(packets(c->s), reel_parts_of(c->r, chunk));
        expect_from(c, reel_at(c->r, chunk, 0));
        credit(c->s, i + 1, sent_bytes(c->s, "viewer1"), WATCH_WINDOW_BYTES_MAX);
        assert_int_equal(packets(c->s), reel_parts_of(c->r, chunk));
    }
    m.pull = 8;
    m.chunk_part = 1;
    m.part = 1; /* the init chunk has no such part */
    stage_forget(c->s);
    stage_do(c->s, stage_watch_event(&m));
    assert_int_equal(packets(c->s), 0);
    assert_int_equal(c->s->core->views_wanting, 0);
    m.part = 0;
    m.pull = 9;
    m.chunk_part = CHUNKS + 1;
    stage_do(c->s, stage_watch_event(&m));
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_END), 1);
}

/* The viewer went elsewhere while a read was under way. */
static void test_seek_during_a_read(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    s->read_at_once = false;
    seek(s, 1, 1, 0, WATCH_WINDOW_BYTES_MAX);
    seek(s, 2, 4, 1, WATCH_WINDOW_BYTES_MAX);
    assert_int_equal(memory_store_reads(s->store), 1);
    s->read_at_once = true;
    stage_settle(s);
    expect_from(c, reel_at(c->r, 4, 1));
    assert_int_equal(packets(s), c->r->n - reel_at(c->r, 4, 1));
}

static void test_read_fails(void **state)
{
    struct scene *c = *state;
    memory_store_fail_reads(c->s->store, ERR_BUSY, 1);
    seek(c->s, 1, 1, 0, WATCH_WINDOW_BYTES_MAX);
    stage_expect_error(c->s, CODE_BUSY, TOPIC_WATCH_REPLY, "viewer1");
    seek(c->s, 2, 1, 0, WATCH_WINDOW_BYTES_MAX);
    assert_int_equal(packets(c->s), c->r->n);
}

/* ---- the original's pulls ---- */

static void test_original(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    init(s, "viewer1", "video1", false);
    size_t at = 0;
    for (uint32_t last = 0; last < CHUNKS; last++) {
        stage_forget(s);
        pull_original(s, last);
        stage_pass(s, STAGE_S);
        assert_int_equal(stage_count(s, MESSAGE_PART_JSON), reel_parts_of(c->r, last + 1));
        assert_int_equal(stage_count(s, MESSAGE_WATCH_END), 0);
        for (size_t i = 0; i < reel_parts_of(c->r, last + 1); i++, at++) {
            const struct part_json *m = stage_nth(s, MESSAGE_PART_JSON, i)->body;
            assert_true(slice_eq(m->packet, c->r->parts[at].packet->payload));
            assert_true(slice_eq_str(m->video_title, "A title"));
            assert_int_equal(m->number, last + 1);
            assert_int_equal(m->index, i);
            assert_int_equal(m->parts_n, reel_parts_of(c->r, last + 1));
        }
    }
    stage_forget(s);
    pull_original(s, CHUNKS);
    const struct watch_end *end = stage_last(s, MESSAGE_WATCH_END)->body;
    assert_false(end->has_pull || end->live);
    assert_int_equal(end->chunk_part, CHUNKS);
    assert_int_equal(stage_count(s, MESSAGE_PART_JSON), 0);
    stage_forget(s);
    pull_original(s, UINT32_MAX);
    assert_int_equal(s->said_n, 0);
    assert_int_equal(packets(s), 0);
    pull_original(s, 2); /* back again; then binary from the same client */
    assert_int_equal(stage_count(s, MESSAGE_PART_JSON), PARTS);
    seek(s, 1, 1, 0, WATCH_WINDOW_BYTES_MAX);
    assert_int_equal(packets(s), c->r->n);
}

/* ---- limits ---- */

static void test_forgotten(void **state)
{
    struct scene *c = *state;
    uint32_t window = (uint32_t)c->r->parts[2].packet->payload.len;
    seek(c->s, 1, 2, 0, window);
    stage_pass(c->s, VIEW_IDLE_TIMEOUT_US);
    assert_int_equal(c->s->core->views.count, 1);
    stage_pass(c->s, 2 * SWEEP_US);
    assert_int_equal(c->s->core->views.count, 0);
    stage_forget(c->s);
    credit(c->s, 1, window, window); /* the viewer will hear nothing, and seek */
    assert_int_equal(c->s->said_n, 0);
    assert_int_equal(c->s->core->views.count, 0);
    seek(c->s, 1, 2, 1, window);
    assert_int_equal(packets(c->s), 1);
}

static void ask(struct stage *s, const char *client_id, int video, bool serve)
{
    char id[32];
    snprintf(id, sizeof(id), "v%d", video);
    struct watch_request m = request(serve ? WATCH_SEEK : WATCH_INIT, client_id);
    m.video_id = stage_id(id);
    m.pull = 1;
    s->now_us++;
    stage_step(s, stage_watch_event(&m));
}

/* Another edge fetches as many of our videos at once as it can. */
static void test_views_of_an_edge(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    stage_do(s, stage_status_event("edge2", true));
    s->read_at_once = false;
    for (int i = 0; i < FETCHES_MAX; i++)
        ask(s, "edge2", i, true);
    assert_int_equal(s->core->views.count, FETCHES_MAX);
    stage_forget(s);
    ask(s, "edge2", FETCHES_MAX, true);
    stage_expect_error(s, CODE_BUSY, TOPIC_WATCH_REPLY, "edge2");
    s->read_at_once = true;
    stage_settle(s);
}

static void test_views_of_one_client(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    for (int i = 0; i < VIEWS_PER_CLIENT_MAX; i++) {
        ask(s, "viewer1", i, false);
        stage_settle(s);
    }
    stage_forget(s);
    ask(s, "viewer1", 0, false); /* the second is now what was used longest ago */
    ask(s, "viewer1", 99, false);
    assert_int_equal(s->core->views.count, VIEWS_PER_CLIENT_MAX);
    assert_null(map_get(&s->core->views, slice_str("viewer1/v1")));
    assert_non_null(map_get(&s->core->views, slice_str("viewer1/v0")));
    stage_settle(s);
    assert_int_equal(core_counter(s->core, COUNT_views_refused), 0);
    s->read_at_once = false;
    for (int i = 100; i < 100 + VIEWS_PER_CLIENT_MAX; i++)
        ask(s, "viewer1", i, true);
    stage_forget(s);
    ask(s, "viewer1", 200, true); /* all are being served */
    stage_expect_error(s, CODE_BUSY, TOPIC_WATCH_REPLY, "viewer1");
    assert_int_equal(core_counter(s->core, COUNT_views_refused), 1);
    ask(s, "viewer2", 200, true);
    assert_int_equal(stage_count(s, MESSAGE_ERROR), 0);
}

static void test_views_of_all(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    char id[32];
    for (int i = 0; i < VIEWS_MAX; i++) {
        snprintf(id, sizeof(id), "viewer%d", i);
        init(s, id, "video1", false);
        assert_int_equal(stage_count(s, MESSAGE_ERROR), 0);
        stage_forget(s);
    }
    init(s, "more", "video1", false); /* strangers keep nobody out: the oldest gives way */
    assert_int_equal(stage_count(s, MESSAGE_WATCH_INFO), 1);
    assert_int_equal(s->core->views.count, VIEWS_MAX);
    for (int i = 0; i < VIEWS_MAX; i++) { /* now all of them are viewers that showed a token */
        snprintf(id, sizeof(id), "viewer%d", i);
        struct watch_request m = request(WATCH_SEEK, id);
        m.token = stage_token(s, id);
        m.pull = 1;
        m.chunk_part = CHUNKS + 1;
        m.window_bytes = 1;
        stage_do(s, stage_watch_event(&m));
        stage_forget(s);
    }
    init(s, "late", "video1", false);
    stage_expect_error(s, CODE_BUSY, TOPIC_WATCH_REPLY, "late");
    stage_pass(s, VIEW_IDLE_TIMEOUT_US + 2 * SWEEP_US);
    init(s, "more", "video1", false);
    assert_int_equal(s->core->views.count, 1);
}

/* Storage takes only so much at once: the rest is told to come again. */
static void test_gets_under_way(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    char id[32];
    struct reel *r = reel_new(&alice, "video2", 1, false);
    stage_do(s, stage_init_event(s, r));
    s->read_at_once = false;
    stage_forget(s);
    for (int i = 0; i < STORES_UNDER_WAY_MAX; i++) {
        snprintf(id, sizeof(id), "viewer%d", i);
        init(s, id, "video1", false);
    }
    assert_int_equal(s->said_n, 0);
    s->now_us += STAGE_S;
    init(s, "viewer0", "video2", false);
    stage_forget(s);
    seek(s, 1, 1, 0, WATCH_WINDOW_BYTES_MAX); /* nor is anything read */
    assert_int_equal(memory_store_reads(s->store), STORES_UNDER_WAY_MAX);
    s->read_at_once = true;
    stage_settle(s);
    assert_int_equal(packets(s), c->r->n);
    assert_int_equal(stage_count(s, MESSAGE_WATCH_INFO), STORES_UNDER_WAY_MAX);
    reel_free(r);
}

/* ---- many viewers ---- */

static void test_reads_are_bounded(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    char id[32];
    s->read_at_once = false;
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "viewer%d", i);
        stage_do(s, seek_event(s, id, 1, 1, 0, WATCH_WINDOW_BYTES_MAX));
    }
    assert_int_equal(memory_store_reads(s->store),
                     (MEDIA_OUTBOX_BYTES_MAX / 2) / STORE_READ_BYTES_MAX);
    assert_true(s->core->reads_bytes <= READS_BYTES_MAX);
    s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX / 2; /* the broker is slow: nothing more */
    for (int i = 0; i < 20; i++) {
        memory_store_read(s->store);
        stage_complete(s);
    }
    assert_int_equal(memory_store_reads(s->store), 0);
    s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX;
    s->read_at_once = true;
    stage_do(s, event_new(EVENT_TICK));
    assert_int_equal(stage_packets(s, TOPIC_WATCH_REPLY, ""), 100 * c->r->n);
}

/* What does not fit the outbox when it was read is read again, later. */
static void test_outbox_fills_during_a_read(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    s->read_at_once = false;
    seek(s, 1, 1, 0, WATCH_WINDOW_BYTES_MAX);
    s->media_free_bytes = 20000;
    s->read_at_once = true;
    stage_settle(s);
    assert_int_equal(packets(s), 3);
    s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX;
    stage_do(s, event_new(EVENT_TICK));
    assert_int_equal(packets(s), c->r->n);
    expect_from(c, 0);
}

/* The outbox has room for one read at a time: each viewer still gets its turn. */
static void expect_fair(struct scene *c, int viewers)
{
    struct stage *s = c->s;
    char id[32];
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX / 2 + 20000;
    s->read_at_once = false;
    for (int i = 0; i < viewers; i++) {
        snprintf(id, sizeof(id), "viewer%d", i);
        stage_do(s, seek_event(s, id, 1, 1, 0, 20000)); /* 2 parts, if credit follows */
    }
    for (int turn = 0; turn < 4 * viewers; turn++) {
        assert_true(memory_store_reads(s->store) <= 1);
        memory_store_read(s->store);
        stage_complete(s);
        for (int i = 0; i < viewers; i++) {
            snprintf(id, sizeof(id), "viewer%d", i);
            struct watch_request m = request(WATCH_CREDIT, id);
            m.pull = 1;
            m.credit_bytes = sent_bytes(s, id);
            m.window_bytes = 20000;
            m.token = stage_token(s, id);
            stage_do(s, stage_watch_event(&m));
        }
    }
    for (int i = 0; i < viewers; i++) {
        snprintf(id, sizeof(id), "viewer%d", i);
        uint64_t bytes = sent_bytes(s, id);
        least = bytes < least ? bytes : least;
        most = bytes > most ? bytes : most;
    }
    assert_true(least > 0);
    assert_true(most - least <= 2 * 20000);
}

static void test_fair_to_two(void **state)
{
    expect_fair(*state, 2);
}

static void test_fair_to_three(void **state)
{
    expect_fair(*state, 3);
}

static void test_fair_to_fifty(void **state)
{
    expect_fair(*state, 50);
}

static void test_stop(void **state)
{
    struct scene *c = *state;
    struct stage *s = c->s;
    s->read_at_once = false;
    seek(s, 1, 1, 0, WATCH_WINDOW_BYTES_MAX);
    stage_step(s, event_new(EVENT_STOP));
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 0);
    init(s, "viewer2", "video1", false);
    stage_expect_error(s, CODE_BUSY, TOPIC_WATCH_REPLY, "viewer2");
    s->read_at_once = true;
    stage_settle(s);
    stage_pass(s, 2 * SWEEP_US);
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1);
    assert_int_equal(s->core->views.count, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(test_init),
        T(test_init_unknown),
        T(test_init_not_finished),
        T(test_init_elsewhere),
        T(test_seek),
        T(test_seek_unknown),
        T(test_credit),
        T(test_no_reading_without_credit),
        T(test_window_is_capped),
        T(test_old_seeks),
        T(test_without_token),
        T(test_seek_during_a_read),
        T(test_read_fails),
        T(test_original),
        T(test_forgotten),
        T(test_views_of_an_edge),
        T(test_views_of_one_client),
        T(test_views_of_all),
        T(test_gets_under_way),
        T(test_reads_are_bounded),
        T(test_outbox_fills_during_a_read),
        T(test_fair_to_two),
        T(test_fair_to_three),
        T(test_fair_to_fifty),
        T(test_stop),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
