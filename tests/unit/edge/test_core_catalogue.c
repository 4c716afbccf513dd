/* The catalogue: what is merged, who answers whom, and what a crash left behind. */
#include "base/mem.h"
#include "tests/unit/edge/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct member alice, edge2, edge3;

static int group_setup(void **state)
{
    (void)state;
    crypto_init();
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    member_make("edge2", CREDENTIAL_EDGE, &edge2);
    member_make("edge3", CREDENTIAL_EDGE, &edge3);
    return 0;
}

static int setup(void **state)
{
    *state = stage_new(NULL);
    return 0;
}

static int teardown(void **state)
{
    stage_free(*state);
    return 0;
}

static struct reel *film(const char *id)
{
    struct reel *r = reel_new(&alice, id, 1, false);
    reel_fill(r, 1, 100);
    reel_finish(r);
    return r;
}

/* n rows of videos v0000, v0001, …, each held by edge2; from the stage's arena. */
static struct storage_row *films(struct stage *s, size_t n)
{
    char id[32];
    struct storage_row *rows = arena_alloc(&s->arena, n * sizeof(*rows));
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "v%04zu", i);
        struct reel *r = film(id);
        struct storage_row row = stage_row(&s->arena, r, &edge2, 1, stage_hlc(s));
        rows[i] = storage_row_copy(&s->arena, &row);
        reel_free(r);
    }
    return rows;
}

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
    struct reel *r = film("video1");
    struct storage_row row = stage_row(&s->arena, r, &edge2, 1, 5);
    stage_do(s, stage_row_event(&row));
    assert_int_equal(merged(s), 1);
    assert_int_equal(s->core->videos, 1);
    stage_do(s, stage_row_event(&row));
    assert_int_equal(merged(s), 1);
    assert_int_equal(core_counter(s->core, COUNT_rows_unchanged), 1);
    row = stage_row(&s->arena, r, &edge2, 0, 4); /* older */
    stage_do(s, stage_row_event(&row));
    assert_int_equal(s->core->videos, 1);
    row = stage_row(&s->arena, r, &edge2, 0, 6);
    row.has_video = false;
    stage_do(s, stage_row_event(&row));
    assert_int_equal(s->core->videos, 0);
    assert_int_equal(s->said_n, 0);
    reel_free(r);
}

static void test_stamps_ahead(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1");
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

/* Nobody else says what we hold; but a newer revision may come with such a row. */
static void test_rows_about_us(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1");
    struct storage_row row = stage_row(&s->arena, r, &s->edge, 1, stage_hlc(s));
    stage_do(s, stage_row_event(&row));
    assert_int_equal(refused(s), 0); /* our own announcement comes back like this */
    assert_int_equal(
        memory_store_holding(s->store, OBJECT_CUSTODY, &r->video.video_id, &s->edge.id), -1);
    row = stage_row(&s->arena, r, &edge2, 1, stage_hlc(s));
    row.has_video = false;
    stage_do(s, stage_row_event(&row));
    assert_int_equal(s->core->videos, 1); /* the video of the first, the custody of the second */
    reel_free(r);
}

static void test_updates_are_bounded(void **state)
{
    struct stage *s = *state;
    struct reel *r = film("video1");
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

/* ---- asking for everything ---- */

static void test_asks(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.bus_down = true});
    stage_pass(s, 10 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 0);
    stage_do(s, event_new(EVENT_BUS_UP));
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 1);
    stage_pass(s, 3 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 2);
    struct storage_row *rows = films(s, 2);
    stage_do(s, stage_rows_event(rows, 1, 1, 0)); /* the first page, and then silence */
    stage_pass(s, 3 * STAGE_S - 1);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 2);
    stage_pass(s, 1);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 3);
    stage_do(s, stage_rows_event(rows, 1, 1, 0));
    stage_do(s, stage_rows_event(rows + 1, 1, 2, 2));
    assert_int_equal(merged(s), 2);
    stage_pass(s, 60 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 3);
    stage_do(s, event_new(EVENT_BUS_DOWN));
    stage_do(s, event_new(EVENT_BUS_UP)); /* who knows what was missed */
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 4);
    stage_pass(s, 60 * STAGE_S); /* nobody is there: a few times, not for ever */
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 8);
    stage_free(s);
}

/* A large answer is merged in slices, and no more of it is kept than the backlog holds. */
static void test_backlog(void **state)
{
    struct stage *s = *state;
    struct storage_row *rows = films(s, 40);
    struct event *ev = stage_rows_event(rows, 40, 1, 0);
    ev->u.db_reply.skipped = 3;
    stage_step(s, ev);
    assert_int_equal(memory_store_writes(s->store), ROWS_PER_STEP_MAX);
    assert_int_equal(refused(s), 3);
    assert_true(core_deadline_us(s->core) <= s->now_us + PUMP_AGAIN_US);
    stage_pass(s, 2 * PUMP_AGAIN_US);
    assert_int_equal(merged(s), 40);
    for (uint32_t page = 2; page < 2 + 2 * ROW_BACKLOG_MAX; page++)
        stage_step(s, stage_rows_event(rows, 40, page, 0));
    assert_int_equal(s->core->backlog_n, ROW_BACKLOG_MAX);
    assert_int_equal(refused(s) % 40, 3);
    uint64_t pages_refused = refused(s) / 40;
    assert_true(pages_refused > 0);
    stage_pass(s, STAGE_S);
    assert_int_equal(s->core->backlog_n, 0);
    assert_int_equal(core_counter(s->core, COUNT_rows_unchanged),
                     40 * (2 * ROW_BACKLOG_MAX - pages_refused));
}

static void test_backlog_waits_for_storage(void **state)
{
    struct stage *s = *state;
    struct storage_row *rows = films(s, 40);
    s->commit_at_once = false;
    for (uint32_t page = 1; page <= 60; page++)
        stage_step(s, stage_rows_event(rows, 40, page, 0));
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
    struct storage_row *rows = films(s, 40);
    for (uint32_t page = 1; page <= 10; page++)
        stage_step(s, stage_rows_event(rows, 40, page, 0));
    stage_step(s, event_new(EVENT_STOP));
    stage_settle(s);
    assert_int_equal(stage_effects(s, EFFECT_DRAINED), 1); /* the rest is asked for again */
    stage_pass(s, STAGE_S);
}

/* ---- answering ---- */

static struct event *db_event(const char *asker)
{
    struct event *ev = event_new(EVENT_DB_REQUEST);
    ev->u.db_request.edge_id = stage_id(asker);
    return ev;
}

enum { EDGES = 5 };

static void test_exactly_one_answers(void **state)
{
    (void)state;
    struct stage *s[EDGES];
    char id[32];
    unsigned answered[EDGES] = {0};
    for (int i = 0; i < EDGES; i++) {
        snprintf(id, sizeof(id), "edge%d", i);
        s[i] = stage_new(&(struct stage_spec){.edge_id = id});
    }
    for (int i = 0; i < EDGES * EDGES; i++) {
        snprintf(id, sizeof(id), "edge%d", i % EDGES);
        stage_do(s[i / EDGES], stage_status_event(id, true));
    }
    for (int k = 0; k < 100; k++) {
        unsigned n = 0;
        snprintf(id, sizeof(id), "edge%d", k); /* the first ones are among them */
        for (int i = 0; i < EDGES; i++) {
            stage_forget(s[i]);
            stage_do(s[i], db_event(id));
            n += (unsigned)stage_count(s[i], MESSAGE_DB_PAGE);
            answered[i] += (unsigned)stage_count(s[i], MESSAGE_DB_PAGE);
        }
        assert_int_equal(n, 1);
        if (k < EDGES)
            assert_int_equal(stage_count(s[k], MESSAGE_DB_PAGE), 0);
    }
    for (int i = 0; i < EDGES; i++)
        assert_true(answered[i] > 5); /* and not always the same one */
    stage_do(s[0], stage_status_event("edge1", false));
    for (int i = 0; i < EDGES; i++)
        stage_free(s[i]);
}

/* Who is silent is left out: the next one answers. */
static void test_the_next_one_answers(void **state)
{
    struct stage *s = *state;
    stage_do(s, stage_status_event("edge2", true));
    char id[32];
    int asker = 0;
    do {
        snprintf(id, sizeof(id), "asker%d", asker++);
        stage_forget(s);
        stage_do(s, db_event(id));
    } while (stage_count(s, MESSAGE_DB_PAGE));
    stage_pass(s, PEER_SILENCE_US + 1);
    stage_do(s, db_event(id));
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), 1);
    stage_forget(s);
    stage_do(s, db_event("edge1")); /* our own */
    assert_int_equal(s->said_n, 0);
}

static void test_pages(void **state)
{
    struct stage *s = *state;
    const struct effect *e;
    stage_do(s, db_event("edge2"));
    e = stage_last(s, MESSAGE_DB_PAGE);
    const struct message_db_page *m = e->body;
    assert_int_equal(e->topic, TOPIC_DB_REPLY);
    assert_true(slice_eq_str(e->a, "edge2"));
    assert_true(m->n == 0 && m->page == 1 && m->pages == 1);
    struct storage_row *rows = films(s, 200);
    for (size_t i = 0; i < 200; i++)
        stage_do(s, stage_row_event(&rows[i]));
    stage_forget(s);
    stage_do(s, db_event("edge2"));
    size_t pages = stage_count(s, MESSAGE_DB_PAGE);
    size_t n = 0;
    assert_true(pages > 1);
    for (size_t i = 0; i < pages; i++) {
        m = stage_nth(s, MESSAGE_DB_PAGE, i)->body;
        assert_int_equal(m->page, i + 1);
        assert_int_equal(m->pages, i + 1 == pages ? pages : 0);
        assert_int_equal(m->rows[0].holdings_n, 1);
        n += m->n;
    }
    assert_int_equal(n, 200);
}

static void test_sessions(void **state)
{
    struct stage *s = *state;
    char id[32];
    s->read_at_once = false;
    for (int i = 0; i < DB_SESSIONS_MAX; i++) {
        snprintf(id, sizeof(id), "asker%d", i);
        stage_do(s, db_event(id));
        stage_do(s, db_event(id)); /* being answered */
    }
    assert_int_equal(memory_store_reads(s->store), DB_SESSIONS_MAX);
    stage_do(s, db_event("more"));
    assert_int_equal(core_counter(s->core, COUNT_answers_suppressed), 1);
    s->read_at_once = true;
    memory_store_fail_reads(s->store, ERR_BUSY, 1);
    stage_settle(s);
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), DB_SESSIONS_MAX - 1);
    stage_do(s, db_event("asker0")); /* what failed is asked again */
    stage_do(s, db_event("more"));
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), DB_SESSIONS_MAX + 1);
}

static void test_not_enrolled(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.fresh = true});
    stage_do(s, db_event("edge2"));
    assert_int_equal(s->said_n, 0);
    assert_int_equal(s->core->stores_under_way, 0);
    stage_free(s);
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

static void test_stale_presences(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct holding *h = stale(N);
    struct stage_spec spec = {.bus_down = true, .stale = h, .stale_n = N};
    struct stage *s = stage_new(&spec);
    free(h);
    stage_pass(s, STAGE_S); /* nobody would hear it */
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), 0);
    stage_do(s, event_new(EVENT_BUS_UP));
    assert_true(stage_count(s, MESSAGE_DB_UPDATE) > 0);
    stage_pass(s, STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_UPDATE), N);
    for (size_t i = 0; i < N; i++) {
        const struct db_update *m = stage_nth(s, MESSAGE_DB_UPDATE, i)->body;
        struct holding said;
        assert_true(m->removal && m->live);
        assert_int_equal(holding_open(OBJECT_PRESENCE, m->holding.object, &s->edge.key.pk, &said),
                         ERR_OK);
        assert_true(said.state == 0 && said.hlc >= REEL_UTC_US / 1000 << 16);
        assert_int_equal(
            memory_store_holding(s->store, OBJECT_PRESENCE, &said.video_id, &s->edge.id), 0);
    }
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

/* However far the clock went back, our stamps grow. */
static void test_stamps_grow(void **state)
{
    (void)state;
    uint64_t last = (REEL_UTC_US + 3600 * STAGE_S) / 1000 << 16;
    struct stage *s = stage_new(&(struct stage_spec){.last_hlc = last});
    struct reel *r = reel_new(&alice, "live1", 1, true);
    for (int i = 0; i < 3; i++) {
        stage_do(s, stage_init_event(s, r));
        const struct db_update *m = stage_last(s, MESSAGE_DB_UPDATE)->body;
        struct holding said;
        assert_int_equal(holding_open(OBJECT_PRESENCE, m->holding.object, &s->edge.key.pk, &said),
                         ERR_OK);
        assert_int_equal(said.hlc, last + 1);
        stage_pass(s, LIVE_IDLE_TIMEOUT_US + SWEEP_US);
        last += 2; /* one for the end */
    }
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
    struct storage_row *rows = films(s, 5);
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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_merge),
        T(test_stamps_ahead),
        T(test_rows_about_us),
        T(test_updates_are_bounded),
        cmocka_unit_test(test_asks),
        T(test_backlog),
        T(test_backlog_waits_for_storage),
        T(test_stop_with_a_backlog),
        cmocka_unit_test(test_exactly_one_answers),
        T(test_the_next_one_answers),
        T(test_pages),
        T(test_sessions),
        cmocka_unit_test(test_not_enrolled),
        cmocka_unit_test(test_stale_presences),
        cmocka_unit_test(test_stale_before_enrolment),
        cmocka_unit_test(test_stamps_grow),
        T(test_list),
        T(test_lists_at_once),
    };
#undef T
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
