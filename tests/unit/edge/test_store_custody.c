/* Copies: which are kept, which make room, which are proved, and how what was dropped is freed. */
#include "edge/store/garbage.h"
#include "tests/unit/edge/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char cached[] = "SELECT video_id FROM copy WHERE kept = 0 ORDER BY video_id";

static void assert_trimmed(struct world *w, struct storage_op *op, uint64_t bytes, uint32_t dropped)
{
    struct storage_done *done = world_do(w, op);
    assert_int_equal(done->err, ERR_OK);
    assert_int_equal(done->u.cache_trim.bytes, bytes);
    assert_int_equal(done->u.cache_trim.dropped, dropped);
    storage_done_free(done);
}

/* ---- custody ---- */

static void a_fetch_for_a_viewer_is_a_cached_copy(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    film_fetch(w, &f, T);
    assert_string_equal(world_text(w, "SELECT edges FROM video"), "edge2");
    assert_string_equal(world_text(w, "SELECT edge_id FROM holding"), "edge2");
    struct storage_done *done = world_do(w, op_get("video1"));
    assert_true(done->u.video.whole);
    assert_false(done->u.video.custody);
    storage_done_free(done);
    /* It becomes custody without a fetch, and cached again. */
    done = world_do(w, op_custody(&f, 1, T));
    assert_int_equal(done->err, ERR_OK);
    assert_true(done->u.row_merge.changed && done->u.row_merge.complete);
    assert_true(done->u.row_merge.own && done->u.row_merge.own_true);
    storage_done_free(done);
    assert_string_equal(world_text(w, "SELECT edges FROM video"), "edge1,edge2");
    assert_int_equal(world_int(w, "SELECT kept FROM copy"), 1);
    done = world_do(w, op_get("video1"));
    assert_true(done->u.video.whole && done->u.video.custody);
    storage_done_free(done);
    assert_int_equal(world_err(w, op_custody(&f, 0, T + 1)), ERR_OK);
    assert_string_equal(world_text(w, cached), "video1");
    assert_true(world_root_is_right(w));
    film_release(&f);
}

static void custody_is_put_only_if_it_is_true(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1),
                other = film_small("video1", "alice", T, 2);
    assert_int_equal(world_err(w, op_custody(&f, 1, 1)), ERR_CONFLICT); /* no claim */
    assert_int_equal(world_err(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_custody(&f, 1, 1)), ERR_NOT_READY); /* nothing here */
    assert_int_equal(world_err(w, op_custody(&other, 0, 1)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_copy(&f)), ERR_OK);
    for (size_t i = 0; i < f.parts_n; i++) {
        assert_int_equal(world_err(w, op_custody(&f, 1, 1)), ERR_NOT_READY); /* a part of it */
        assert_int_equal(world_err(w, op_part(&f, i)), ERR_OK);
    }
    assert_int_equal(world_err(w, op_custody(&f, 1, 1)), ERR_NOT_READY); /* not checked yet */
    assert_int_equal(world_err(w, op_cached(&f)), ERR_OK);
    assert_int_equal(world_err(w, op_custody(&f, 1, 1)), ERR_OK);
    assert_int_equal(world_err(w, op_deleted(&f, T + 9)), ERR_OK);
    assert_int_equal(world_err(w, op_custody(&f, 0, 2)), ERR_CONFLICT);
    film_release(&f);
    film_release(&other);
}

static const struct storage_custody *scanned(const struct storage_done *done, const char *id)
{
    for (size_t i = 0; i < done->u.custody_scan.n; i++)
        if (strcmp(done->u.custody_scan.videos[i].video_id.s, id) == 0)
            return &done->u.custody_scan.videos[i];
    return NULL;
}

static void a_scan_tells_who_holds_what(void **state)
{
    struct world *w = *state;
    struct film ours = film_small("video1", "alice", T, 1),
                theirs = film_small("video2", "bob", T, 2),
                both = film_small("video3", "bob", T, 3), lost = film_small("video4", "bob", T, 4),
                live = film_small("video5", "bob", T, 5),
                under_way = film_small("video6", "bob", T, 6);
    live.video.live = true;
    film_upload(w, &ours);
    assert_int_equal(world_err(w, op_merge(&theirs, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    film_fetch(w, &both, T);
    film_upload(w, &lost);
    assert_int_equal(world_err(w, op_merge(&lost, true, "edge1", OBJECT_CUSTODY, 0, T + 7)),
                     ERR_OK); /* others bring back what we do not remember */
    assert_int_equal(world_err(w, op_merge(&live, false, "edge2", OBJECT_PRESENCE, 1, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_claim(&under_way)), ERR_OK);
    struct storage_done *done = world_do(w, op_scan("", ""));
    assert_int_equal(done->u.custody_scan.n, 4);
    assert_false(done->u.custody_scan.more);
    const struct storage_custody *v = scanned(done, "video1");
    assert_string_equal(v->streamer_id.s, "alice");
    assert_true(hash_eq(&v->stream, &ours.stream));
    assert_int_equal(v->bytes, ours.manifest.bytes);
    assert_true(slice_eq_str(v->edges, "edge1"));
    assert_true(v->custody_here && v->whole_here);
    assert_int_equal(v->own_hlc, T);
    v = scanned(done, "video2");
    assert_true(slice_eq_str(v->edges, "edge2"));
    assert_false(v->custody_here || v->whole_here);
    assert_int_equal(v->own_hlc, 0);
    v = scanned(done, "video3");
    assert_true(v->whole_here && !v->custody_here);
    v = scanned(done, "video4"); /* nobody answers for it, but it is here */
    assert_true(v->whole_here && !v->custody_here);
    assert_int_equal(v->edges.len, 0);
    assert_int_equal(v->own_hlc, T + 7);
    storage_done_free(done);
    done = world_do(w, op_scan("video1", ""));
    assert_int_equal(done->u.custody_scan.n, 3);
    storage_done_free(done);
    done = world_do(w, op_scan("", "video3"));
    assert_int_equal(done->u.custody_scan.n, 1);
    assert_non_null(scanned(done, "video3"));
    storage_done_free(done);
    done = world_do(w, op_scan("", "video"));
    assert_int_equal(done->u.custody_scan.n, 0);
    storage_done_free(done);
    film_release(&ours);
    film_release(&theirs);
    film_release(&both);
    film_release(&lost);
    film_release(&live);
    film_release(&under_way);
}

static void scans_go_on_where_they_ended(void **state)
{
    enum { N = STORE_SCAN_MAX * 2 + 1 };
    struct world *w = *state;
    char id[16];
    for (unsigned i = 0; i < N; i++) {
        struct film f;
        snprintf(id, sizeof(id), "v%u", i);
        film_make(&f, id, "alice", T + i, i, 1, 0, FILM_PART_BYTES);
        assert_int_equal(store_submit(w->store, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5)),
                         ERR_OK);
        film_release(&f);
    }
    for (unsigned i = 0; i < N; i++)
        storage_done_free(queue_wait(store_completions(w->store), NULL));
    struct id after = {""};
    size_t n = 0;
    for (bool more = true; more;) {
        struct storage_done *done = world_do(w, op_scan(after.s, ""));
        for (size_t i = 0; i < done->u.custody_scan.n; i++) {
            const struct id *video_id = &done->u.custody_scan.videos[i].video_id;
            assert_true(strcmp(video_id->s, after.s) > 0);
            after = *video_id;
        }
        n += done->u.custody_scan.n;
        more = done->u.custody_scan.more;
        assert_int_equal(more, n < N);
        storage_done_free(done);
    }
    assert_int_equal(n, N);
}

/* ---- the cache ---- */

static void the_least_recently_used_go_first(void **state)
{
    struct world *w = *state;
    struct film f[4];
    char id[16];
    for (unsigned i = 0; i < 4; i++) {
        snprintf(id, sizeof(id), "video%u", i);
        f[i] = film_small(id, "alice", T + i, i);
        film_fetch(w, &f[i], T + 10 - i);
    }
    uint64_t each = f[0].manifest.bytes;
    assert_int_equal(world_err(w, op_touch("video9", T)), ERR_UNKNOWN);
    assert_int_equal(world_err(w, op_touch("video2", T + 20)), ERR_OK); /* 3 1 0 2 */
    assert_int_equal(world_err(w, op_touch("video2", T + 1)), ERR_OK);  /* never backwards */
    assert_trimmed(w, op_trim(4 * each, NULL), 4 * each, 0);
    assert_trimmed(w, op_trim(4 * each - 1, NULL), 3 * each, 1);
    assert_string_equal(world_text(w, cached), "video0 video1 video2");
    assert_trimmed(w, op_trim(2 * each, "video1"), 2 * each, 1); /* being watched */
    assert_string_equal(world_text(w, cached), "video1 video2");
    assert_trimmed(w, op_trim(0, "video1"), each, 1);
    assert_trimmed(w, op_trim(0, "video1"), each, 0);
    assert_trimmed(w, op_trim(0, NULL), 0, 1);
    assert_int_equal(store_videos(w->store), 4); /* others have them */
    world_freed(w);
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), 0);
    for (unsigned i = 0; i < 4; i++)
        film_release(&f[i]);
}

static void what_is_kept_never_makes_room(void **state)
{
    struct world *w = *state;
    struct film ours = film_small("video1", "alice", T, 1),
                last = film_small("video2", "alice", T, 2),
                under_way = film_small("video3", "alice", T, 3),
                part = film_small("video4", "bob", T, 4);
    film_upload(w, &ours); /* in custody */
    film_fetch(w, &last, T);
    assert_int_equal(world_err(w, op_merge(&last, true, "edge2", OBJECT_CUSTODY, 0, T + 1)),
                     ERR_OK); /* cached, and the last copy there is */
    assert_int_equal(world_err(w, op_claim(&under_way)), ERR_OK);
    assert_int_equal(world_err(w, op_part(&under_way, 0)), ERR_OK);
    assert_int_equal(world_err(w, op_merge(&part, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_copy(&part)), ERR_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(world_err(w, op_part(&part, i)), ERR_OK);
    assert_trimmed(w, op_trim(0, NULL), last.manifest.bytes, 1); /* what is half fetched goes */
    assert_string_equal(world_text(w, "SELECT video_id FROM copy ORDER BY 1"),
                        "video1 video2 video3");
    assert_int_equal(world_err(w, op_part(&part, 4)), ERR_CONFLICT);
    /* That our row is forgotten gives nothing up; that others bring back an old one neither. */
    world_exec(w, "DELETE FROM holding WHERE video_id = 'video1'");
    world_reopen(w);
    assert_trimmed(w, op_trim(0, NULL), last.manifest.bytes, 0);
    assert_int_equal(world_err(w, op_merge(&ours, true, "edge1", OBJECT_CUSTODY, 0, T + 1)),
                     ERR_OK);
    assert_trimmed(w, op_trim(0, NULL), last.manifest.bytes, 0);
    /* A cached one whose row says custody is in custody. */
    assert_int_equal(world_err(w, op_merge(&last, true, "edge1", OBJECT_CUSTODY, 1, T)), ERR_OK);
    assert_trimmed(w, op_trim(0, NULL), last.manifest.bytes, 0);
    film_release(&ours);
    film_release(&last);
    film_release(&under_way);
    film_release(&part);
}

/* Deleted and uploaded again elsewhere while this edge was away, which hears of the last alone. */
static void what_its_streamer_replaced_makes_room(void **state)
{
    struct world *w = *state;
    struct film old = film_small("video1", "alice", T, 1),
                new = film_small("video1", "alice", T + 100, 2);
    film_upload(w, &old);
    assert_int_equal(world_err(w, op_merge(&new, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_trimmed(w, op_trim(old.manifest.bytes, NULL), old.manifest.bytes, 0);
    assert_trimmed(w, op_trim(0, NULL), 0, 1);
    world_freed(w);
    assert_string_equal(world_text(w, "SELECT edges FROM video"), "edge2");
    film_release(&old);
    film_release(&new);
}

/* ---- proofs ---- */

static void assert_proof(const struct film *f, const struct storage_done *done)
{
    static const struct nonce nonce = {{1, 2, 3}};
    for (size_t i = 0; i < done->u.probe.n; i++) {
        const struct probe_part *p = &done->u.probe.parts[i];
        size_t k = 0;
        while (k < f->parts_n && (f->parts[k].chunk != p->chunk || f->parts[k].index != p->part))
            k++;
        assert_true(k < f->parts_n);
        struct hash h =
            hash_of(slice_of(nonce.b, NONCE_BYTES), slice_of(f->parts[k].packet, f->parts[k].len));
        assert_true(hash_eq(&h, &done->u.probe.hashes[i]));
        for (size_t j = 0; j < i; j++)
            assert_true(done->u.probe.parts[j].chunk != p->chunk ||
                        done->u.probe.parts[j].part != p->part);
    }
}

static void parts_are_proved(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1), g;
    film_make(&g, "video2", "alice", T, 2, 9, 5 * FILM_PART_BYTES, FILM_PART_BYTES);
    film_upload(w, &f);
    film_upload(w, &g);
    struct storage_done *done = world_do(w, op_probe(&f, 1));
    assert_int_equal(done->err, ERR_OK);
    assert_int_equal(done->u.probe.n, 7); /* all there are */
    assert_proof(&f, done);
    storage_done_free(done);
    struct probe_part first = {0};
    bool differ = false;
    for (uint64_t seed = 0; seed < 20; seed++) {
        done = world_do(w, op_probe(&g, seed));
        assert_int_equal(done->u.probe.n, PROBE_PARTS_MAX);
        assert_proof(&g, done);
        differ |= seed && (done->u.probe.parts[0].chunk != first.chunk ||
                           done->u.probe.parts[0].part != first.part);
        first = done->u.probe.parts[0];
        /* What is asked for is answered in that order. */
        struct storage_op *op = op_probe(&g, 0);
        op->u.probe.pick = false;
        op->u.probe.n = PROBE_PARTS_MAX;
        for (size_t i = 0; i < PROBE_PARTS_MAX; i++)
            op->u.probe.parts[i] = done->u.probe.parts[PROBE_PARTS_MAX - 1 - i];
        struct storage_done *again = world_do(w, op);
        assert_int_equal(again->err, ERR_OK);
        for (size_t i = 0; i < PROBE_PARTS_MAX; i++)
            assert_true(
                hash_eq(&again->u.probe.hashes[i], &done->u.probe.hashes[PROBE_PARTS_MAX - 1 - i]));
        storage_done_free(again);
        storage_done_free(done);
    }
    assert_true(differ);
    film_release(&f);
    film_release(&g);
}

static void what_is_not_in_custody_proves_nothing(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1),
                other = film_small("video1", "alice", T, 2);
    assert_int_equal(world_err(w, op_probe(&f, 1)), ERR_UNKNOWN);
    film_fetch(w, &f, T);
    assert_int_equal(world_err(w, op_probe(&f, 1)), ERR_UNKNOWN); /* a cached one */
    assert_int_equal(world_err(w, op_custody(&f, 1, T)), ERR_OK);
    assert_int_equal(world_err(w, op_probe(&f, 1)), ERR_OK);
    assert_int_equal(world_err(w, op_probe(&other, 1)), ERR_UNKNOWN);
    struct storage_op *op = op_probe(&f, 0);
    op->u.probe.pick = false;
    op->u.probe.n = 1;
    op->u.probe.parts[0] = (struct probe_part){2, 3}; /* behind the last one of its chunk */
    assert_int_equal(world_err(w, op), ERR_UNKNOWN);
    assert_int_equal(world_err(w, op_custody(&f, 0, T + 1)), ERR_OK);
    assert_int_equal(world_err(w, op_probe(&f, 1)), ERR_UNKNOWN);
    film_release(&f);
    film_release(&other);
}

/* ---- garbage ---- */

static void copy_numbers_wait_until_their_parts_are_freed(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1), g = film_small("video2", "alice", T, 2);
    film_upload(w, &f);
    int64_t n = world_int(w, "SELECT n FROM copy");
    struct sqlite3 *locker = world_lock(w, "BEGIN IMMEDIATE"); /* nothing is freed meanwhile */
    assert_int_equal(store_submit(w->store, op_delete(&f, T + 10)), ERR_OK);
    assert_int_equal(store_submit(w->store, op_claim(&g)), ERR_OK);
    assert_int_equal(store_submit(w->store, op_part(&g, 0)), ERR_OK);
    world_unlock(locker);
    for (int i = 0; i < 3; i++) {
        struct storage_done *done = queue_wait(store_completions(w->store), NULL);
        assert_int_equal(done->err, ERR_OK);
        storage_done_free(done);
    }
    assert_int_equal(world_int(w, "SELECT n FROM copy"), n + 1);
    world_freed(w);
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), 1);
    film_release(&f);
    film_release(&g);
}

static void what_a_crash_left_is_freed(void **state)
{
    enum { N = 3 * GARBAGE_PARTS_MAX + 1 };
    struct world *w = *state;
    struct film f;
    film_make(&f, "video1", "alice", T, 1, 2, (N - 1) * FILM_PART_BYTES, FILM_PART_BYTES);
    film_upload(w, &f);
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), N);
    /* As if the power had gone right after the commit. */
    world_exec(w, "PRAGMA foreign_keys = OFF; INSERT INTO garbage SELECT n FROM copy;"
                  "DELETE FROM copy; DELETE FROM chunk");
    world_reopen(w);
    world_freed(w);
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM chunk_proof"), 0);
    film_release(&f);
}

/* While writes keep coming, what was dropped is freed between them. */
static void garbage_does_not_wait_for_silence(void **state)
{
    enum { N = 4 * GARBAGE_PARTS_MAX };
    struct world *w = *state;
    struct film f;
    film_make(&f, "video1", "alice", T, 1, 2, N * FILM_PART_BYTES, FILM_PART_BYTES);
    film_upload(w, &f);
    assert_int_equal(store_submit(w->store, op_delete(&f, T + 10)), ERR_OK);
    size_t under_way = 1;
    int64_t left = N;
    for (unsigned i = 0; left; i++) {
        while (under_way < 16) {
            assert_int_equal(store_submit(w->store, op_meta("busy", slice_of(&i, sizeof(i)))),
                             ERR_OK);
            under_way++;
        }
        struct storage_done *done = queue_wait(store_completions(w->store), NULL);
        assert_int_equal(done->err, ERR_OK);
        storage_done_free(done);
        under_way--;
        if (i % 16 == 0)
            left = world_int(w, "SELECT count(*) FROM garbage");
    }
    while (under_way--)
        storage_done_free(queue_wait(store_completions(w->store), NULL));
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), 0);
    film_release(&f);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_fetch_for_a_viewer_is_a_cached_copy),
        TEST(custody_is_put_only_if_it_is_true),
        TEST(a_scan_tells_who_holds_what),
        TEST(scans_go_on_where_they_ended),
        TEST(the_least_recently_used_go_first),
        TEST(what_is_kept_never_makes_room),
        TEST(what_its_streamer_replaced_makes_room),
        TEST(parts_are_proved),
        TEST(what_is_not_in_custody_proves_nothing),
        TEST(copy_numbers_wait_until_their_parts_are_freed),
        TEST(what_a_crash_left_is_freed),
        TEST(garbage_does_not_wait_for_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
