/* A catalogue that is told no faster than who asked for it can take it. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { FILMS = 48, PAGE_ROWS = 180, AHEAD = DB_PAGES_AHEAD_MAX };

/* Rows with thumbnails: a page has room for one or two. */
static struct storage_row *films(struct stage *s, size_t n)
{
    static char thumbnail[THUMBNAIL_BYTES_MAX];
    memset(thumbnail, 'x', sizeof(thumbnail));
    struct storage_row *rows = scene_rows(s, n);
    for (size_t i = 0; i < n; i++)
        rows[i].thumbnail = slice_of(thumbnail, sizeof(thumbnail));
    return rows;
}

/* ---- telling ---- */

static void ask(struct stage *s, uint32_t page)
{
    struct event *ev = event_new(EVENT_DB_REQUEST);
    ev->u.db_request.edge_id = stage_id("edge2");
    ev->u.db_request.bundle = true;
    ev->u.db_request.page = page;
    stage_do(s, ev);
    stage_pass(s, 2 * STAGE_S);
}

static const struct message_bundle *last(const struct stage *s)
{
    return stage_last(s, MESSAGE_DB_BUNDLE)->body;
}

static struct stage *teller(void)
{
    struct stage *s = stage_new(NULL);
    struct storage_row *rows = films(s, FILMS);
    for (size_t i = 0; i < FILMS; i++)
        stage_do(s, stage_row_event(&rows[i]));
    stage_forget(s);
    return s;
}

static void test_so_many_pages_and_no_more(void **state)
{
    (void)state;
    struct stage *s = teller();
    ask(s, 1);
    assert_int_equal(stage_count(s, MESSAGE_DB_BUNDLE), AHEAD);
    assert_false(sync_telling(s->core));
    ask(s, AHEAD + 2); /* of one that was never sent */
    assert_int_equal(stage_count(s, MESSAGE_DB_BUNDLE), AHEAD);
    ask(s, 6);
    assert_int_equal(stage_count(s, MESSAGE_DB_BUNDLE), AHEAD + 5);
    ask(s, 4); /* late: what was allowed stays allowed */
    assert_int_equal(stage_count(s, MESSAGE_DB_BUNDLE), AHEAD + 5);
    assert_int_equal(last(s)->pages, 0);
    ask(s, AHEAD + 6);
    assert_true(last(s)->pages > AHEAD + 5);
    assert_int_equal(last(s)->page, last(s)->pages);
    stage_free(s);
}

static void test_without_a_page_all_come(void **state)
{
    (void)state;
    struct stage *s = teller();
    ask(s, 0);
    assert_true(stage_count(s, MESSAGE_DB_BUNDLE) > AHEAD && last(s)->pages != 0);
    stage_free(s);
}

static void test_from_the_beginning_again(void **state)
{
    (void)state;
    struct stage *s = teller();
    ask(s, 1);
    stage_forget(s);
    ask(s, 1); /* a page was lost */
    assert_int_equal(stage_count(s, MESSAGE_DB_BUNDLE), AHEAD);
    assert_int_equal(last(s)->page, AHEAD);
    stage_pass(s, 31 * STAGE_S); /* who asks no more is forgotten */
    stage_forget(s);
    ask(s, AHEAD + 1);
    assert_int_equal(
        ((const struct message_bundle *)stage_nth(s, MESSAGE_DB_BUNDLE, 0)->body)->page, 1);
    stage_free(s);
}

/* Another number is another asking: it is told from the first page on, and its pages say so. */
static void test_another_asking(void **state)
{
    (void)state;
    struct stage *s = teller();
    ask(s, 1);
    stage_forget(s);
    for (uint32_t page = 2; page > 0; page--) { /* none that goes on */
        struct event *ev = event_new(EVENT_DB_REQUEST);
        ev->u.db_request.edge_id = stage_id("edge2");
        ev->u.db_request.bundle = true;
        ev->u.db_request.page = page;
        ev->u.db_request.asking = 9;
        stage_do(s, ev);
        stage_pass(s, 2 * STAGE_S);
        assert_int_equal(stage_count(s, MESSAGE_DB_BUNDLE), page == 1 ? AHEAD : 0);
    }
    const struct message_bundle *m = stage_nth(s, MESSAGE_DB_BUNDLE, 0)->body;
    assert_true(m->page == 1 && m->asking == 9 && last(s)->asking == 9);
    stage_free(s);
}

/* The budget of strangers holds nobody up who signs. */
static void test_pages_need_no_budget(void **state)
{
    (void)state;
    struct stage *s = teller();
    s->core->untrusted_left_bytes = 0;
    s->core->untrusted_us = s->now_us;
    struct event *ev = event_new(EVENT_DB_REQUEST); /* the original's */
    ev->u.db_request.edge_id = stage_id("edge3");
    stage_do(s, ev);
    assert_int_equal(stage_count(s, MESSAGE_DB_PAGE), 0);
    ev = event_new(EVENT_DB_REQUEST);
    ev->u.db_request.edge_id = stage_id("edge2");
    ev->u.db_request.bundle = true;
    stage_do(s, ev);
    assert_int_equal(stage_count(s, MESSAGE_DB_BUNDLE), 1);
    assert_int_equal(s->core->untrusted_left_bytes, 0);
    stage_free(s);
}

/* ---- asking ---- */

static const struct db_request *asked(const struct stage *s)
{
    return stage_last(s, MESSAGE_DB_REQUEST)->body;
}

static void test_more_is_asked_for_as_rows_are_merged(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.new_here = true});
    struct stage_beat b = {.edge_id = "edge2", .root = {.horizon_us = 1, .b = {1}}};
    stage_do(s, stage_beat_event(&b));
    stage_pass(s, STAGE_S);
    assert_int_equal(asked(s)->page, 1);
    struct storage_row *rows = films(s, PAGE_ROWS);
    s->commit_at_once = false;
    for (uint32_t page = 1; page <= AHEAD; page++)
        stage_do(s, stage_rows_event(rows, PAGE_ROWS, page, 0));
    assert_true(s->core->backlog_n > AHEAD / 2);
    stage_pass(s, 20 * STAGE_S); /* storage is slow: that is no silence */
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 2);
    assert_int_equal(asked(s)->page, AHEAD / 2 + 1);
    s->commit_at_once = true;
    stage_pass(s, STAGE_S);
    assert_int_equal(asked(s)->page, AHEAD + 1);
    stage_do(s, stage_rows_event(rows, 1, AHEAD + 1, AHEAD + 1));
    stage_pass(s, STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_DB_REQUEST), 3);
    assert_int_equal(core_counter(s->core, COUNT_rows_refused), 0);
    assert_true(horizon_settled(s->core));
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_so_many_pages_and_no_more),
        cmocka_unit_test(test_without_a_page_all_come),
        cmocka_unit_test(test_from_the_beginning_again),
        cmocka_unit_test(test_another_asking),
        cmocka_unit_test(test_pages_need_no_budget),
        cmocka_unit_test(test_more_is_asked_for_as_rows_are_merged),
    };
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
