/* The whole catalogue: who asks for it, when it counts, and who tells it to whom. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t merged(struct stage *s)
{
    return core_counter(s->core, COUNT_rows_merged);
}

/* ---- asking for everything ---- */

static struct stage *new_here(void)
{
    return stage_new(&(struct stage_spec){.new_here = true});
}

/* edge2 is there, and has a catalogue. */
static void beat(struct stage *s, const char *edge_id)
{
    struct stage_beat b = {.edge_id = edge_id, .root = {.horizon_us = 1, .b = {1}}};
    stage_do(s, stage_beat_event(&b));
}

static const struct db_request *asked(const struct stage *s)
{
    return stage_last(s, MESSAGE_DB_REQUEST)->body;
}

static void test_joins(void **state)
{
    (void)state;
    struct stage *s = new_here();
    stage_pass(s, STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 0); /* whom? */
    beat(s, "edge2");
    stage_pass(s, STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 1);
    assert_true(slice_eq_str(asked(s)->from, "edge2") && asked(s)->bundle);
    assert_false(horizon_comparable(s->core));
    struct storage_row *rows = scene_rows(s, 2);
    stage_do(s, stage_rows_event(rows, 1, 1, 0)); /* the first page, and then silence */
    stage_pass(s, 3 * STAGE_S - 1);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 1);
    stage_pass(s, 1);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 2);
    stage_do(s, stage_rows_event(rows, 1, 1, 0));
    stage_do(s, stage_rows_event(rows + 1, 1, 2, 2));
    stage_pass(s, STAGE_S);
    assert_int_equal(merged(s), 2);
    assert_true(horizon_settled(s->core));
    assert_int_equal(memory_store_meta(s->store, "since").len, 8);
    stage_do(s, event_new(EVENT_BUS_DOWN));
    stage_do(s, event_new(EVENT_BUS_UP)); /* repair finds what was missed */
    beat(s, "edge2");
    stage_pass(s, 60 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 2);
    stage_free(s);
}

/* Nobody is there: what is here is all there is. Somebody who has just come as well tells nothing.
 */
static void test_joins_alone(void **state)
{
    (void)state;
    struct stage *s = new_here();
    stage_do(s, stage_beat_event(&(struct stage_beat){.edge_id = "edge2", .since_us = 1}));
    s->core->peers.count ? (void)0 : fail();
    presence_peer(s->core, slice_str("edge2"))->status.since_us = 0;
    stage_pass(s, 5 * STAGE_S);
    assert_false(horizon_settled(s->core));
    stage_pass(s, 2 * STAGE_S);
    assert_true(horizon_settled(s->core));
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 0);
    stage_free(s);
}

/* An edge that does not answer is left, and another one asked. */
static void test_asks_another_one(void **state)
{
    (void)state;
    struct stage *s = new_here();
    bool asked_one[2] = {false};
    for (int i = 0; i < 120; i++) {
        beat(s, "edge2");
        beat(s, "edge3");
        stage_forget(s);
        stage_pass(s, STAGE_S);
        if (stage_count(s, MESSAGE_DB_REQUEST))
            asked_one[slice_eq_str(asked(s)->from, "edge3")] = true;
    }
    assert_true(asked_one[0] && asked_one[1]);
    assert_false(horizon_settled(s->core));
    stage_free(s);
}

/* An answer with a hole is no answer, and one that nobody asked for changes nothing. */
static void test_a_hole_is_asked_again(void **state)
{
    (void)state;
    struct stage *s = new_here();
    beat(s, "edge2");
    stage_pass(s, STAGE_S);
    stage_forget(s);
    stage_do(s, stage_rows_event(NULL, 0, 1, 0));
    stage_do(s, stage_rows_event(NULL, 0, 3, 3)); /* page 2 was lost */
    beat(s, "edge2");
    stage_pass(s, 4 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 1);
    for (uint32_t page = 1; page <= 3; page++)
        stage_do(s, stage_rows_event(NULL, 0, page, page == 3 ? 3 : 0));
    stage_forget(s);
    stage_pass(s, 60 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 0);
    struct reel *r = scene_small("video1");
    struct storage_row row = stage_row(&s->arena, r, &edge2, 1, stage_hlc(s));
    stage_do(s, stage_rows_event(&row, 1, 1, 1));
    assert_int_equal(s->core->videos, 0);
    reel_free(r);
    stage_free(s);
}

static struct event *page_event(const struct asked *of, uint32_t page, uint32_t pages)
{
    struct event *ev = stage_rows_event(NULL, 0, page, pages);
    ev->u.db_reply.from = of->from;
    ev->u.db_reply.asking = of->number;
    return ev;
}

/* What another edge says, or was said to another asking, or was said before, neither ends a join
 * nor begins it anew. */
static void test_pages_of_this_asking_alone(void **state)
{
    (void)state;
    struct stage *s = new_here();
    beat(s, "edge2");
    stage_pass(s, STAGE_S);
    struct asked now = s->core->sync.out;
    struct asked before = {now.from, now.number - 1};
    struct asked other = {stage_id("edge3"), now.number};
    assert_true(asked(s)->asking == now.number && now.number);
    assert_int_equal(core_trust_view(s->core)->asked.number, now.number);
    stage_do(s, page_event(&before, 1, 1));
    stage_do(s, page_event(&other, 1, 1));
    assert_int_equal(s->core->sync.page, 1);
    stage_do(s, page_event(&now, 1, 0));
    stage_do(s, page_event(&now, 2, 0));
    stage_do(s, page_event(&now, 1, 0));
    stage_do(s, page_event(&now, 2, 2));
    stage_do(s, page_event(&before, 3, 3));
    stage_pass(s, STAGE_S);
    assert_false(horizon_settled(s->core));
    assert_int_equal(s->core->sync.page, 3);
    stage_do(s, page_event(&now, 3, 3));
    stage_pass(s, STAGE_S);
    assert_true(horizon_settled(s->core));
    assert_int_equal(core_trust_view(s->core)->asked.number, 0);
    stage_free(s);
}

/* An asking that begins anew has another number: what is still on its way is not taken for it. */
static void test_another_asking_another_number(void **state)
{
    (void)state;
    struct stage *s = new_here();
    beat(s, "edge2");
    stage_pass(s, STAGE_S);
    struct asked first = s->core->sync.out;
    stage_do(s, page_event(&first, 2, 0)); /* page 1 was lost */
    beat(s, "edge2");
    stage_pass(s, 4 * STAGE_S);
    assert_int_equal(asked(s)->page, 1);
    assert_true(asked(s)->asking != first.number);
    stage_do(s, page_event(&first, 1, 1));
    stage_pass(s, STAGE_S);
    assert_false(horizon_settled(s->core));
    stage_free(s);
}

/* Rows that the disk refused are asked for again: else they would be missing for good. */
static void test_a_refused_row_is_asked_again(void **state)
{
    (void)state;
    struct stage *s = new_here();
    beat(s, "edge2");
    stage_pass(s, STAGE_S);
    struct storage_row *rows = scene_rows(s, 2);
    memory_store_fail(s->store, ERR_STORAGE_FULL, 0, 1);
    stage_do(s, stage_rows_event(rows, 2, 1, 1));
    stage_pass(s, STAGE_S);
    assert_int_equal(merged(s), 1);
    assert_false(horizon_settled(s->core));
    beat(s, "edge2");
    stage_forget(s);
    stage_pass(s, 4 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 1);
    stage_do(s, stage_rows_event(rows, 2, 1, 1));
    stage_pass(s, STAGE_S);
    assert_true(horizon_settled(s->core));
    stage_free(s);
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
        beat(s[i / EDGES], id);
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
    beat(s, "edge2");
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
    struct storage_row *rows = scene_rows(s, 200);
    for (size_t i = 0; i < 200; i++)
        stage_do(s, stage_row_event(&rows[i]));
    stage_forget(s);
    stage_do(s, db_event("edge2"));
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), 1); /* the next one in a moment */
    stage_pass(s, STAGE_S);
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

/* The form of our edges: every row once, credentials and all. */
static void test_bundles(void **state)
{
    struct stage *s = *state;
    struct storage_row *rows = scene_rows(s, 200);
    for (size_t i = 0; i < 200; i++)
        stage_do(s, stage_row_event(&rows[i]));
    stage_forget(s);
    struct event *ev = db_event("edge2");
    ev->u.db_request.bundle = true;
    stage_do(s, ev);
    stage_pass(s, STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), 0);
    size_t pages = stage_count(s, MESSAGE_DB_BUNDLE);
    size_t claims = 0;
    size_t holdings = 0;
    for (size_t i = 0; i < pages; i++) {
        const struct message_bundle *m = stage_nth(s, MESSAGE_DB_BUNDLE, i)->body;
        assert_int_equal(m->page, i + 1);
        assert_int_equal(m->pages, i + 1 == pages ? pages : 0);
        claims += m->claims_n;
        holdings += m->holdings_n;
    }
    assert_true(pages > 1 && claims == 200 && holdings == 200);
}

/* Who has no whole catalogue tells none, and is not waited for. */
static void test_a_new_edge_does_not_answer(void **state)
{
    (void)state;
    struct stage *s = new_here();
    struct event *ev = db_event("edge9");
    ev->u.db_request.bundle = true;
    stage_do(s, ev);
    assert_int_equal(stage_count(s, MESSAGE_DB_BUNDLE), 0);
    stage_do(s, db_event("original")); /* which asks but once */
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), 1);
    stage_do(s, stage_status_event("edge2", true));
    stage_do(s, db_event("another"));
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), 1); /* edge2 has one */
    stage_free(s);
    s = stage_new(NULL);
    stage_do(s, stage_status_event("edge2", true)); /* it shows no root */
    for (int i = 0; i < 20; i++) {
        char id[32];
        snprintf(id, sizeof(id), "asker%d", i);
        stage_forget(s);
        stage_do(s, db_event(id));
        assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), 1);
    }
    stage_free(s);
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

static struct event *told_event(const char *asker, bool bundle)
{
    struct event *ev = db_event(asker);
    ev->u.db_request.from = slice_str("edge1");
    ev->u.db_request.bundle = bundle;
    ev->u.db_request.page = bundle;
    return ev;
}

/* Strangers take every place: who shows, signed, that it has no catalogue is told all the same, in
 * its own form, from beginning to end, whatever is asked in its name. */
static void test_strangers_stop_no_join(void **state)
{
    struct stage *s = *state;
    char id[32];
    struct storage_row *rows = scene_rows(s, 200);
    for (size_t i = 0; i < 200; i++)
        stage_do(s, stage_row_event(&rows[i]));
    beat(s, "edge3");
    stage_do(s, stage_beat_event(&(struct stage_beat){.edge_id = "edge2"}));
    for (int i = 0; i < DB_SESSIONS_MAX; i++) {
        snprintf(id, sizeof(id), "asker%d", i);
        stage_do(s, told_event(id, true));
    }
    stage_pass(s, STAGE_S);
    for (int i = 0; i < DB_SESSIONS_MAX; i++) {
        snprintf(id, sizeof(id), "asker%d", i);
        stage_do(s, told_event(id, true));
    }
    stage_forget(s);
    stage_do(s, told_event("edge2", false)); /* somebody else says so */
    for (int i = 0; i < 50; i++) {
        stage_do(s, told_event("edge2", true)); /* edge2 itself, and then others */
        stage_pass(s, STAGE_S / 50);
    }
    uint32_t page = 0;
    uint32_t pages = 0;
    for (size_t i = 0; i < stage_count(s, MESSAGE_DB_BUNDLE) && !pages; i++) {
        const struct effect *e = stage_nth(s, MESSAGE_DB_BUNDLE, i);
        const struct message_bundle *m = e->body;
        if (!slice_eq_str(e->a, "edge2"))
            continue;
        assert_int_equal(m->page, ++page);
        pages = m->pages;
    }
    assert_true(page > 1);
    assert_int_equal(pages, page);
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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_stage_setup, scene_stage_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_joins_alone),
        cmocka_unit_test(test_asks_another_one),
        cmocka_unit_test(test_a_hole_is_asked_again),
        cmocka_unit_test(test_pages_of_this_asking_alone),
        cmocka_unit_test(test_another_asking_another_number),
        cmocka_unit_test(test_a_refused_row_is_asked_again),
        cmocka_unit_test(test_exactly_one_answers),
        T(test_the_next_one_answers),
        T(test_pages),
        T(test_bundles),
        cmocka_unit_test(test_a_new_edge_does_not_answer),
        T(test_sessions),
        T(test_strangers_stop_no_join),
        cmocka_unit_test(test_not_enrolled),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
