/* Rows are merged, forgotten and summed up whole or not at all. */
#include "base/check.h"
#include "edge/store/conn.h"
#include "tests/unit/edge/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* All that edges agree on, and the copies. */
static const char everything[] =
    "SELECT id || state || edges FROM video UNION ALL SELECT id || name FROM streamer UNION ALL "
    "SELECT video_id || deleted || hex(digest) FROM claim UNION ALL "
    "SELECT video_id || edge_id || state || hex(digest) FROM holding UNION ALL "
    "SELECT video_id || state || kept FROM copy UNION ALL SELECT id FROM chunk UNION ALL "
    "SELECT copy FROM garbage UNION ALL SELECT key || hex(value) FROM meta ORDER BY 1";

static struct film films[4];

static struct storage_op *merge_another(void)
{
    return op_merge(&films[3], true, "edge2", OBJECT_CUSTODY, 1, 5);
}

static struct storage_op *withdraw(void)
{
    return op_merge(&films[0], true, "edge1", OBJECT_CUSTODY, 0, T + 50);
}

static struct storage_op *delete_first(void)
{
    return op_delete(&films[0], T + 50);
}

static struct storage_op *keep_cached(void)
{
    return op_custody(&films[1], 1, T + 50);
}

static struct storage_op *trim(void)
{
    return op_trim(0, NULL);
}

static struct storage_op *horizon(void)
{
    return op_horizon(T + 1000000);
}

static struct storage_op *bootstrap(void)
{
    return op_bootstrap(UINT32_MAX * 1000000ull);
}

/* Each write, failing at the last thing that it does to some table. */
static void a_write_that_fails_changes_nothing(void **state)
{
    static const struct {
        const char *at;
        struct storage_op *(*make)(void);
    } cases[] = {
        {"INSERT ON holding", merge_another},  {"INSERT ON video", merge_another},
        {"INSERT ON streamer", merge_another}, {"UPDATE ON video", withdraw},
        {"DELETE ON holding", delete_first},   {"DELETE ON chunk", delete_first},
        {"INSERT ON garbage", delete_first},   {"DELETE ON video", delete_first},
        {"UPDATE ON copy", keep_cached},       {"DELETE ON copy", trim},
        {"INSERT ON garbage", trim},           {"DELETE ON claim", horizon},
        {"INSERT ON meta", horizon},           {"DELETE ON streamer", horizon},
        {"DELETE ON claim", bootstrap},        {"UPDATE ON video", bootstrap},
    };
    struct world *w = *state;
    static const char *const streamers[] = {"alice", "bob", "carol", "dave"};
    char id[16], trigger[128];
    static char before[65536];
    for (unsigned i = 0; i < 4; i++) {
        snprintf(id, sizeof(id), "video%u", i);
        film_make(&films[i], id, streamers[i], T, i, 3, 2500, FILM_PART_BYTES);
    }
    film_upload(w, &films[0]);
    film_fetch(w, &films[1], T);
    assert_int_equal(world_err(w, op_deleted(&films[2], T + 5)), ERR_OK);
    films[2].video.video_id = (struct id){"video5"}; /* a claim that nobody says anything about */
    struct storage_op *bare = op_merge(&films[2], false, "edge2", OBJECT_CUSTODY, 1, 5);
    bare->u.row.has_holding = false;
    assert_int_equal(world_err(w, bare), ERR_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct catalogue_root root = store_root(w->store);
        uint64_t videos = store_videos(w->store);
        snprintf(before, sizeof(before), "%s", world_text(w, everything));
        snprintf(trigger, sizeof(trigger),
                 "CREATE TRIGGER broken AFTER %s BEGIN SELECT RAISE(ABORT, 'broken'); END",
                 cases[i].at);
        world_exec(w, trigger);
        struct storage_done *done = world_do(w, cases[i].make());
        assert_int_equal(done->err, ERR_IO);
        assert_memory_equal(done->root.b, root.b, ROOT_DIGEST_BYTES);
        assert_int_equal(done->root.horizon_us, root.horizon_us);
        assert_int_equal(done->videos, videos);
        storage_done_free(done);
        assert_string_equal(world_text(w, everything), before);
        assert_true(world_root_is_right(w));
        world_exec(w, "DROP TRIGGER broken");
    }
    assert_int_equal(world_err(w, horizon()), ERR_OK);
    assert_int_equal(world_err(w, delete_first()), ERR_CONFLICT); /* dead by now */
    assert_int_equal(world_err(w, bootstrap()), ERR_OK);
    assert_true(world_root_is_right(w));
    for (unsigned i = 0; i < 4; i++)
        film_release(&films[i]);
}

/* In one group some rows find room and some do not: what is summed up is what is there. */
static void a_full_store_sums_up_what_it_took(void **state)
{
    enum { N = 300 };
    struct world *w = *state;
    char id[16];
    w->config.bytes_max = (uint64_t)(world_int(w, "PRAGMA page_count") + 4) * DB_PAGE_BYTES;
    world_reopen(w);
    struct sqlite3 *locker = world_lock(w, "BEGIN IMMEDIATE");
    for (unsigned i = 0; i < N; i++) {
        struct film f;
        snprintf(id, sizeof(id), "video%u", i);
        film_make(&f, id, "alice", T + i, i, 1, 0, FILM_PART_BYTES);
        struct storage_op *op = op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5);
        if (i % 3) { /* as large as they come: the small ones between them may still fit */
            uint8_t *text = arena_alloc(&op->arena, THUMBNAIL_BYTES_MAX);
            memset(text, 'x', THUMBNAIL_BYTES_MAX);
            op->u.row.thumbnail = slice_of(text, THUMBNAIL_BYTES_MAX);
        }
        assert_int_equal(store_submit(w->store, op), ERR_OK);
        film_release(&f);
    }
    world_unlock(locker);
    int64_t taken = 0, full = 0;
    for (unsigned i = 0; i < N; i++) {
        struct storage_done *done = queue_wait(store_completions(w->store), NULL);
        taken += done->err == ERR_OK;
        full += done->err == ERR_STORAGE_FULL;
        storage_done_free(done);
    }
    assert_int_equal(taken + full, N);
    assert_true(full > 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM claim"), taken);
    assert_int_equal(world_int(w, "SELECT count(*) FROM holding"), taken);
    assert_int_equal(store_videos(w->store), taken);
    assert_true(world_root_is_right(w));
}

static void the_sum_is_made_anew_at_the_start(void **state)
{
    struct world *w = *state;
    struct film f;
    film_make(&f, "video1", "alice", T, 1, 2, 3 * FILM_PART_BYTES, FILM_PART_BYTES);
    film_upload(w, &f);
    struct catalogue_root root = store_root(w->store);
    assert_int_equal(world_err(w, op_horizon(T - 1)), ERR_OK);
    world_reopen(w);
    assert_int_equal(world_err(w, op_meta("any", slice_str("thing"))), ERR_OK);
    assert_memory_equal(store_root(w->store).b, root.b, ROOT_DIGEST_BYTES);
    assert_int_equal(store_root(w->store).horizon_us, T - 1);
    film_release(&f);
}

/* ---- no power ---- */

enum { KILLED_ROWS = 120, KILLED_PARTS = 200 };

/* Even: a video that edge2 holds. Odd: the deletion of what came before it. */
static struct storage_op *killed_row(unsigned i)
{
    struct film f;
    char id[16];
    snprintf(id, sizeof(id), "video%u", i / 2);
    film_make(&f, id, "alice", T + i / 2, i / 2, 1, 0, FILM_PART_BYTES);
    struct storage_op *op =
        i % 2 ? op_deleted(&f, T + KILLED_ROWS) : op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5);
    film_release(&f);
    return op;
}

/* The child: delete a large video, so that there is something to free meanwhile; then write one
 * byte to fd for each row that is acknowledged. */
static void merge_and_tell(struct world *w, const struct film *large, int fd)
{
    enum { UNDER_WAY = 8 };
    char error[STORE_ERROR_BYTES];
    CHECK(store_open(&w->config, &w->store, error) == ERR_OK);
    CHECK(world_err(w, op_delete(large, T + 10)) == ERR_OK);
    for (unsigned sent = 0, told = 0; told < KILLED_ROWS; told++) {
        for (; sent < KILLED_ROWS && sent < told + UNDER_WAY; sent++)
            CHECK(store_submit(w->store, killed_row(sent)) == ERR_OK);
        struct storage_done *done = queue_wait(store_completions(w->store), NULL);
        CHECK(done->err == ERR_OK && write(fd, "", 1) == 1);
        storage_done_free(done);
    }
    _exit(0);
}

static void a_killed_edge_has_the_rows_that_it_acknowledged(void **state)
{
    static const size_t afters[] = {1, 10, 40, 80};
    struct world *w = *state;
    for (size_t k = 0; k < sizeof(afters) / sizeof(afters[0]); k++) {
        struct film large;
        char sql[128], name[16], error[STORE_ERROR_BYTES];
        snprintf(name, sizeof(name), "large%zu", k);
        film_make(&large, name, "bob", T, 1, 2, KILLED_PARTS * FILM_PART_BYTES, FILM_PART_BYTES);
        film_upload(w, &large);
        world_exec(w, "DELETE FROM video WHERE id LIKE 'video%';"
                      "DELETE FROM claim WHERE video_id LIKE 'video%';"
                      "DELETE FROM holding WHERE video_id LIKE 'video%'");
        store_close(w->store);
        w->store = NULL;
        size_t told = world_kill(w, merge_and_tell, &large, afters[k]);
        assert_in_range(told, afters[k], KILLED_ROWS);
        assert_int_equal(store_open(&w->config, &w->store, error), ERR_OK);
        snprintf(sql, sizeof(sql),
                 "SELECT sum(1 + deleted) FROM claim WHERE video_id LIKE 'video%%'");
        assert_true(world_int(w, sql) >= (int64_t)told);
        assert_int_equal(world_int(w, "SELECT count(*) FROM holding h JOIN claim c"
                                      " USING (video_id, streamer_id) WHERE c.deleted"),
                         0);
        assert_int_equal(store_videos(w->store), world_int(w, "SELECT count(*) FROM video"));
        world_freed(w); /* what the killed one had not freed yet */
        assert_int_equal(world_int(w, "SELECT count(*) FROM part"), 0);
        assert_int_equal(world_err(w, op_meta("any", slice_str("thing"))), ERR_OK);
        assert_true(world_root_is_right(w));
        film_release(&large);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_write_that_fails_changes_nothing),
        TEST(a_full_store_sums_up_what_it_took),
        TEST(the_sum_is_made_anew_at_the_start),
        TEST(a_killed_edge_has_the_rows_that_it_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
