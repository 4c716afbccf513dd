/* What the catalogue forgets, and that no copy goes with it. */
#include "tests/unit/edge/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static unsigned sweep(struct world *w, struct storage_op *(*make)(uint64_t), uint64_t at)
{
    unsigned rows = 0;
    for (bool more = true; more;) {
        struct storage_done *done = world_do(w, make(at));
        assert_int_equal(done->err, ERR_OK);
        rows += done->u.slice.rows;
        more = done->u.slice.more;
        if (make == op_horizon)
            assert_int_equal(done->root.horizon_us == at, !more);
        storage_done_free(done);
        assert_true(world_root_is_right(w));
    }
    return rows;
}

static void the_horizon_forgets_what_is_dead(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1), gone = film_small("video2", "alice", T, 2),
                bare = film_small("video3", "bob", T, 3),
                held = film_small("video4", "alice", T, 4);
    film_upload(w, &f);
    film_upload(w, &gone);
    assert_int_equal(world_err(w, op_delete(&gone, T + 1000)), ERR_OK);
    assert_int_equal(world_err(w, op_merge(&bare, true, "edge2", OBJECT_CUSTODY, 0, hlc_at(T))),
                     ERR_OK);
    assert_int_equal(world_err(w, op_merge(&held, true, "edge2", OBJECT_CUSTODY, 0, hlc_at(T))),
                     ERR_OK);
    assert_int_equal(world_err(w, op_merge(&held, true, "edge3", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_int_equal(store_root(w->store).horizon_us, 0);
    assert_int_equal(sweep(w, op_horizon, T - 1), 0);
    assert_string_equal(world_text(w, "SELECT video_id FROM claim ORDER BY 1"),
                        "video1 video2 video3 video4");
    assert_int_equal(sweep(w, op_horizon, T + 1000), 4);
    assert_string_equal(world_text(w, "SELECT video_id FROM claim ORDER BY 1"), "video1 video4");
    assert_string_equal(world_text(w, "SELECT edge_id FROM holding ORDER BY 1"), "edge1 edge3");
    assert_string_equal(world_text(w, "SELECT id FROM streamer"), "alice");
    /* They do not come back: neither now nor after a restart. */
    for (int i = 0; i < 2; i++) {
        world_merged(w, op_deleted(&gone, T + 1000), false, true, false);
        world_merged(w, op_merge(&held, true, "edge2", OBJECT_CUSTODY, 0, hlc_at(T + 1000)), false,
                     true, false);
        world_reopen(w);
        assert_int_equal(world_err(w, op_delete(&gone, T + 1000)), ERR_UNKNOWN);
        assert_int_equal(store_root(w->store).horizon_us, T + 1000);
    }
    assert_int_equal(world_err(w, op_delete(&held, T + 1000)), ERR_CONFLICT); /* dead at once */
    world_merged(w, op_deleted(&gone, T + 1001), true, false, true);
    assert_int_equal(sweep(w, op_horizon, T), 0); /* back: the clock was wrong */
    world_merged(w, op_merge(&held, true, "edge2", OBJECT_CUSTODY, 0, hlc_at(T + 1000)), true,
                 false, false);
    film_release(&f);
    film_release(&gone);
    film_release(&bare);
    film_release(&held);
}

/* What nobody has asked for does not bring an old claim that is unknown here: its deletion may have
 * been forgotten. */
static void old_claims_come_only_when_asked_for(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1),
                known = film_small("video2", "alice", T, 2);
    assert_int_equal(world_err(w, op_merge(&known, false, "edge2", OBJECT_PRESENCE, 1, 5)), ERR_OK);
    assert_int_equal(sweep(w, op_horizon, T + 2), 0);
    struct storage_op *op = op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5);
    op->u.row.recent_only = true;
    world_merged(w, op, false, true, false);
    op = op_merge(&known, true, "edge2", OBJECT_CUSTODY, 1, 5); /* newer than what is known */
    op->u.row.recent_only = true;
    world_merged(w, op, true, false, false);
    world_merged(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5), true, false, false);
    assert_int_equal(sweep(w, op_horizon, T + 1), 0);
    struct film later = film_small("video3", "alice", T, 3); /* revision T + 2 */
    op = op_merge(&later, true, "edge2", OBJECT_CUSTODY, 1, 5);
    op->u.row.recent_only = true;
    world_merged(w, op, true, false, false);
    film_release(&f);
    film_release(&known);
    film_release(&later);
}

static void it_forgets_in_slices(void **state)
{
    enum { N = 700 };
    struct world *w = *state;
    char id[16];
    for (unsigned i = 0; i < N; i++) {
        struct film f;
        snprintf(id, sizeof(id), "video%03u", i);
        film_make(&f, id, "alice", T + i, i, 1, 0, FILM_PART_BYTES);
        struct storage_op *op = i % 2 ? op_deleted(&f, T + i)
                                      : op_merge(&f, true, "edge2", OBJECT_CUSTODY, 0, hlc_at(T));
        assert_int_equal(store_submit(w->store, op), ERR_OK);
        film_release(&f);
    }
    for (unsigned i = 0; i < N; i++)
        storage_done_free(queue_wait(store_completions(w->store), NULL));
    struct storage_done *done = world_do(w, op_horizon(T + 2 * N));
    assert_int_equal(done->u.slice.rows, STORE_SLICE_ROWS_MAX);
    assert_true(done->u.slice.more);
    assert_int_equal(done->root.horizon_us, 0);
    storage_done_free(done);
    /* What is dead is refused from now on. */
    struct film f = film_small("video001", "alice", T, 1);
    world_merged(w, op_deleted(&f, T + 2 * N), false, true, false);
    assert_int_equal(sweep(w, op_horizon, T + 2 * N), N + N / 2 - STORE_SLICE_ROWS_MAX);
    assert_int_equal(world_int(w, "SELECT count(*) FROM claim"), 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM holding"), 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM streamer"), 0);
    film_release(&f);
}

static struct storage_op *orphans_of(uint64_t unused)
{
    (void)unused;
    return op_orphans();
}

/* An edge that was away too long asks for everything anew, and keeps its copies meanwhile. */
static void a_bootstrap_forgets_the_catalogue_but_no_copy(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1),
                fresh = film_small("video2", "alice", T + 9, 2),
                lost = film_small("video3", "bob", T, 3),
                going = film_small("video4", "carol", T, 4),
                deleted = film_small("video5", "carol", T, 5);
    film_upload(w, &f);     /* custody stamped T */
    film_upload(w, &fresh); /* T + 9: after the last contact */
    film_upload(w, &lost);
    assert_int_equal(world_err(w, op_merge(&fresh, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_claim(&going)), ERR_OK);
    world_fill(w, 200, 2);
    assert_int_equal(world_err(w, op_deleted(&deleted, T)), ERR_OK);
    assert_int_equal(sweep(w, op_bootstrap, T + 8), 2 + 2 + 600);
    /* A deletion may have been acknowledged here alone. */
    assert_string_equal(world_text(w, "SELECT video_id || deleted FROM claim ORDER BY 1"),
                        "video20 video51");
    assert_string_equal(world_text(w, "SELECT edge_id FROM holding ORDER BY 1"), "edge1 edge2");
    assert_string_equal(world_text(w, "SELECT id || state FROM video ORDER BY 1"),
                        "video1unlisted video2complete video3unlisted video4uploading");
    assert_int_equal(store_videos(w->store), 1);
    assert_int_equal(world_int(w, "SELECT count(*) FROM chunk"), 9);
    assert_int_equal(world_int(w, "SELECT count(*) FROM copy WHERE kept"), 3);
    /* Nothing can be watched of what nobody claims. */
    assert_int_equal(world_err(w, op_get("video1")), ERR_UNKNOWN);
    assert_int_equal(world_err(w, op_read("video1", 1, 0, 1)), ERR_UNKNOWN);
    /* The others still know of one. */
    assert_int_equal(world_err(w, op_merge(&f, true, "edge1", OBJECT_CUSTODY, 1, T)), ERR_OK);
    struct storage_done *done = world_do(w, op_get("video1"));
    assert_true(done->u.video.whole && done->u.video.custody);
    storage_done_free(done);
    assert_int_equal(sweep(w, orphans_of, 0), 1);
    assert_string_equal(world_text(w, "SELECT id || state FROM video ORDER BY 1"),
                        "video1complete video2complete video4uploading");
    assert_string_equal(world_text(w, "SELECT id FROM streamer ORDER BY 1"), "alice carol");
    world_freed(w);
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), 2 * f.parts_n);
    film_release(&f);
    film_release(&fresh);
    film_release(&lost);
    film_release(&going);
    film_release(&deleted);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_horizon_forgets_what_is_dead),
        TEST(old_claims_come_only_when_asked_for),
        TEST(it_forgets_in_slices),
        TEST(a_bootstrap_forgets_the_catalogue_but_no_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
