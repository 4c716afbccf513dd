/* The operations of the store, one by one, each with its errors. */
#include "base/check.h"
#include "base/mem.h"
#include "tests/unit/edge/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct film small_live(const char *video_id, const char *streamer_id, uint64_t created_us,
                              unsigned seed)
{
    struct film f = film_small(video_id, streamer_id, created_us, seed);
    f.video.live = true;
    return f;
}

static void assert_position(struct world *w, struct storage_op *op, uint32_t next,
                            uint32_t next_part, uint32_t init_number, bool finished)
{
    struct storage_done *done = world_do(w, op);
    assert_int_equal(done->err, ERR_OK);
    assert_int_equal(done->u.position.next, next);
    assert_int_equal(done->u.position.next_part, next_part);
    assert_int_equal(done->u.position.init_number, init_number);
    assert_int_equal(done->u.position.finished, finished);
    storage_done_free(done);
}

static void upload_is_kept_and_listed(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    assert_position(w, op_claim(&f), 1, 0, 0, false);
    assert_string_equal(world_text(w, "SELECT state FROM video"), "uploading");
    assert_int_equal(store_videos(w->store), 0);
    for (size_t i = 0; i < f.parts_n; i++) {
        struct storage_done *done = world_do(w, op_part(&f, i));
        assert_int_equal(done->err, ERR_OK);
        assert_true(hash_eq(&done->u.part_put.stream, &f.stream));
        assert_int_equal(done->u.part_put.chunk, f.parts[i].chunk);
        assert_int_equal(done->u.part_put.index, f.parts[i].index);
        assert_int_equal(done->u.part_put.packet_bytes, f.parts[i].len);
        assert_false(done->u.part_put.more);
        storage_done_free(done);
    }
    struct storage_done *done = world_do(w, op_finish(&f, 7, "receipt"));
    assert_int_equal(done->err, ERR_OK);
    assert_int_equal(done->videos, 1);
    storage_done_free(done);
    assert_string_equal(world_text(w, "SELECT id || ' ' || state || ' ' || edges || ' ' || chunks"
                                      " || ' ' || bytes FROM video"),
                        "video1 complete edge1 3 6024");
    assert_string_equal(world_text(w, "SELECT seconds FROM overview"), "2.0");
    assert_string_equal(world_text(w, "SELECT id FROM chunk ORDER BY id"),
                        "video1-000001 video1-000002 video1-000003");
    assert_string_equal(world_text(w, "SELECT part FROM chunk ORDER BY id"), "1 3 3");
    assert_string_equal(world_text(w, "SELECT created_at FROM video"),
                        "2025-11-21T04:40:00.000000Z");
    assert_string_equal(world_text(w, "SELECT chunks_missing FROM overview"), "0");
    assert_string_equal(world_text(w, "SELECT edge_id || ' ' || state FROM custody"), "edge1 yes");
    assert_int_equal(world_int(w, "SELECT count(*) FROM upload"), 0);
    film_release(&f);
}

static void video_get_tells_everything(void **state)
{
    struct world *w = *state;
    /* .999995: what SQLite's own dates round up to the next second */
    struct film f = film_small("video1", "alice", T + 999995, 1);
    assert_int_equal(world_err(w, op_get("video1")), ERR_UNKNOWN);
    film_upload(w, &f);
    struct arena arena = {0};
    struct storage_row row = film_row(&f, true, &arena);
    struct storage_done *done = world_do(w, op_get("video1"));
    assert_int_equal(done->err, ERR_OK);
    assert_true(slice_eq(done->u.video.row.title, f.video.title));
    assert_true(slice_eq(done->u.video.row.description, f.video.description));
    assert_true(slice_eq(done->u.video.row.category, f.video.category));
    assert_true(slice_eq_str(done->u.video.row.thumbnail, "12456"));
    assert_true(slice_eq_str(done->u.video.row.edges, "edge1"));
    assert_true(slice_eq(done->u.video.row.statement, row.statement));
    assert_true(slice_eq(done->u.video.row.credential, row.credential));
    assert_true(slice_eq(done->u.video.row.manifest, row.manifest));
    assert_string_equal(done->u.video.row.streamer_id.s, "alice");
    assert_int_equal(done->u.video.row.created_us, T + 999995);
    assert_true(slice_eq_str(done->u.video.streamer_name, "Jean"));
    assert_true(slice_eq(done->u.video.media_type, f.video.media_type));
    assert_true(slice_eq(done->u.video.codecs, f.video.codecs));
    assert_true(hash_eq(&done->u.video.stream, &f.stream));
    assert_true(done->u.video.whole);
    assert_false(done->u.video.live);
    assert_int_equal(done->u.video.chunks, 3);
    assert_int_equal(done->u.video.bytes, f.manifest.bytes);
    assert_int_equal(done->videos, 1);
    storage_done_free(done);
    arena_release(&arena);
    film_release(&f);
}

static void unfinished_upload_is_not_listed(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    assert_position(w, op_claim(&f), 1, 0, 0, false);
    struct storage_done *done = world_do(w, op_get("video1"));
    assert_int_equal(done->err, ERR_OK);
    assert_false(done->u.video.whole);
    assert_false(done->u.video.live);
    assert_int_equal(done->u.video.row.edges.len, 0);
    assert_true(done->u.video.row.statement.len > 0);
    assert_true(hash_eq(&done->u.video.stream, &f.stream));
    storage_done_free(done);
    done = world_do(w, op_list("", 0));
    assert_int_equal(done->u.list.n, 0);
    storage_done_free(done);
    done = world_do(w, op_page(""));
    assert_int_equal(done->u.db_page.n, 0);
    assert_int_equal(done->u.db_page.streamers_n, 0);
    storage_done_free(done);
    film_release(&f);
}

static void upload_resumes_everywhere(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    for (size_t i = 0; i <= f.parts_n; i++) {
        bool at_end = i == f.parts_n;
        uint32_t next = at_end ? 4 : f.parts[i].chunk;
        uint32_t next_part = at_end ? 0 : f.parts[i].index;
        assert_position(w, op_claim(&f), next, next_part, i ? 1 : 0, false);
        world_reopen(w);
        struct storage_done *done = world_do(w, op_claim(&f));
        assert_int_equal(done->u.position.next, next);
        assert_int_equal(done->u.position.next_part, next_part);
        struct part part;
        struct slice packet = slice_of(f.parts[i - (i > 0)].packet, f.parts[i - (i > 0)].len);
        assert_int_equal(part_decode(packet, &part), ERR_OK);
        struct hash last = object_hash(OBJECT_CHUNK, part.statement);
        if (i && next_part)
            assert_true(hash_eq(&done->u.position.current, &last));
        else if (i)
            assert_true(hash_eq(&done->u.position.prev, &last));
        else
            assert_true(hash_is_zero(&done->u.position.prev));
        storage_done_free(done);
        if (!at_end)
            assert_int_equal(world_err(w, op_part(&f, i)), ERR_OK);
    }
    assert_int_equal(world_err(w, op_finish(&f, 1, "receipt")), ERR_OK);
    struct storage_done *done = world_do(w, op_claim(&f));
    assert_true(done->u.position.finished);
    assert_int_equal(done->u.position.next, 4);
    assert_true(slice_eq_str(done->u.position.receipt, "receipt"));
    storage_done_free(done);
    film_release(&f);
}

static void only_the_next_part_is_taken(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1), g = film_small("video1", "alice", T, 2);
    assert_int_equal(world_err(w, op_part(&f, 0)), ERR_CONFLICT);
    assert_position(w, op_claim(&f), 1, 0, 0, false);
    assert_int_equal(world_err(w, op_part(&f, 1)), ERR_CONFLICT); /* beyond */
    assert_int_equal(world_err(w, op_part(&g, 0)), ERR_CONFLICT); /* another stream */
    assert_int_equal(world_err(w, op_part(&f, 0)), ERR_OK);
    assert_int_equal(world_err(w, op_part(&f, 0)), ERR_CONFLICT); /* again */
    assert_int_equal(world_err(w, op_part(&f, 2)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_part(&f, 1)), ERR_OK);
    struct storage_op *op = op_part(&f, 2);
    op->u.part_put.statement_hash.b[0] ^= 1; /* another statement for the same chunk */
    assert_int_equal(world_err(w, op), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_part(&f, 2)), ERR_OK);
    assert_int_equal(world_err(w, op_part(&f, 3)), ERR_OK);
    op = op_part(&f, 4);
    op->u.part_put.chunk.prev.b[0] ^= 1; /* does not follow */
    assert_int_equal(world_err(w, op), ERR_CONFLICT);
    assert_position(w, op_claim(&f), 3, 0, 1, false);
    film_release(&f);
    film_release(&g);
}

static void claim_conflicts(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1), bobs = film_small("video1", "bob", T, 1);
    struct film again = film_small("video1", "alice", T + 10, 2);
    assert_position(w, op_claim(&f), 1, 0, 0, false);
    assert_int_equal(world_err(w, op_part(&f, 0)), ERR_OK);
    assert_int_equal(world_err(w, op_claim(&bobs)), ERR_CONFLICT);
    bobs.video.live = true;
    assert_int_equal(world_err(w, op_live(&bobs, 1)), ERR_CONFLICT);
    bobs.video.live = false;
    /* Another stream of the same streamer begins anew. */
    assert_position(w, op_claim(&again), 1, 0, 0, false);
    assert_int_equal(world_int(w, "SELECT count(*) FROM chunk"), 0);
    world_freed(w);
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM chunk_proof"), 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM copy"), 1);
    assert_int_equal(world_err(w, op_part(&f, 1)), ERR_CONFLICT);
    film_upload(w, &again);
    /* A finished one is nobody's to replace. */
    struct film third = film_small("video1", "alice", T + 20, 3);
    assert_int_equal(world_err(w, op_claim(&third)), ERR_CONFLICT);
    third.video.live = true;
    assert_int_equal(world_err(w, op_live(&third, 1)), ERR_CONFLICT);
    struct film as_live = again;
    as_live.video.live = true;
    assert_int_equal(world_err(w, op_live(&as_live, 1)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_claim(&bobs)), ERR_CONFLICT);
    assert_position(w, op_claim(&again), 4, 0, 1, true);
    film_release(&f);
    film_release(&bobs);
    film_release(&again);
    film_release(&third);
}

static void only_resume(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1),
                g = film_small("video1", "alice", T + 10, 2);
    struct storage_op *op = op_claim(&f);
    op->u.row.only_resume = true;
    assert_int_equal(world_err(w, op), ERR_CONFLICT);
    assert_int_equal(world_int(w, "SELECT count(*) FROM video"), 0);
    assert_position(w, op_claim(&f), 1, 0, 0, false);
    op = op_claim(&f);
    op->u.row.only_resume = true;
    assert_position(w, op, 1, 0, 0, false);
    op = op_claim(&g);
    op->u.row.only_resume = true;
    assert_int_equal(world_err(w, op), ERR_CONFLICT);
    struct film live = small_live("live1", "alice", T, 3);
    op = op_live(&live, 1);
    op->u.row.only_resume = true;
    assert_int_equal(world_err(w, op), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_live(&live, 1)), ERR_OK);
    op = op_live(&live, 2);
    op->u.row.only_resume = true;
    assert_int_equal(world_err(w, op), ERR_OK);
    film_release(&f);
    film_release(&g);
    film_release(&live);
}

static void finish_checks(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1), g = film_small("video1", "alice", T, 2);
    assert_int_equal(world_err(w, op_finish(&f, 1, "r")), ERR_CONFLICT); /* nothing of it */
    assert_position(w, op_claim(&f), 1, 0, 0, false);
    assert_int_equal(world_err(w, op_finish(&g, 1, "r")), ERR_CONFLICT);
    for (size_t i = 0; i < f.parts_n; i++) {
        assert_int_equal(world_err(w, op_finish(&f, 1, "r")), ERR_NOT_READY);
        assert_int_equal(world_err(w, op_part(&f, i)), ERR_OK);
    }
    struct storage_op *op = op_finish(&f, 1, "r");
    op->u.finish.manifest.root.b[5] ^= 1;
    assert_int_equal(world_err(w, op), ERR_SIGNATURE);
    op = op_finish(&f, 1, "r");
    op->u.finish.manifest.bytes++;
    assert_int_equal(world_err(w, op), ERR_SIGNATURE);
    op = op_finish(&f, 1, "r");
    op->u.finish.manifest.chunks--; /* more is held than it names */
    assert_int_equal(world_err(w, op), ERR_SIGNATURE);
    op = op_finish(&f, 1, "r");
    op->u.finish.manifest.chunks++;
    assert_int_equal(world_err(w, op), ERR_NOT_READY);
    op = op_finish(&f, 1, "r");
    op->u.finish.row.video.revision_us = f.video.revision_us - 1;
    assert_int_equal(world_err(w, op), ERR_CONFLICT);
    assert_string_equal(world_text(w, "SELECT state FROM copy"), "uploading");
    assert_int_equal(world_err(w, op_finish(&f, 1, "first")), ERR_OK);
    assert_int_equal(world_err(w, op_finish(&f, 2, "second")), ERR_OK); /* idempotent */
    op = op_finish(&f, 3, "r");
    op->u.finish.manifest.root.b[5] ^= 1;
    assert_int_equal(world_err(w, op), ERR_SIGNATURE);
    struct storage_done *done = world_do(w, op_claim(&f));
    assert_true(slice_eq_str(done->u.position.receipt, "first"));
    storage_done_free(done);
    assert_int_equal(world_int(w, "SELECT hlc FROM holding"), 2);
    film_release(&f);
    film_release(&g);
}

static void live_comes_and_goes(void **state)
{
    struct world *w = *state;
    struct film f = small_live("live1", "alice", T, 1), bobs = small_live("live1", "bob", T + 9, 1);
    struct film next = small_live("live1", "alice", T + 20, 2);
    assert_position(w, op_live(&f, 10), 1, 0, 0, false);
    struct storage_done *done = world_do(w, op_get("live1"));
    assert_true(done->u.video.live);
    assert_false(done->u.video.whole);
    assert_true(done->u.video.row.live);
    assert_true(slice_eq_str(done->u.video.row.edges, "edge1"));
    assert_int_equal(done->videos, 1);
    storage_done_free(done);
    assert_int_equal(world_err(w, op_read("live1", 1, 0, 1)), ERR_UNKNOWN);
    assert_int_equal(world_err(w, op_copy(&f)), ERR_UNKNOWN);
    assert_int_equal(world_err(w, op_live(&bobs, 11)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_live(&f, 12)), ERR_OK); /* resumed */
    assert_int_equal(world_err(w, op_live(&next, 13)), ERR_OK);
    assert_int_equal(world_err(w, op_live(&f, 14)),
                     ERR_CONFLICT); /* older than what was announced */
    /* A withdrawal without the video's row. */
    struct storage_op *op = op_merge(&next, false, "edge1", OBJECT_PRESENCE, 0, 15);
    op->u.row.has_video = false;
    done = world_do(w, op);
    assert_true(done->u.row_merge.changed);
    assert_int_equal(done->videos, 0);
    storage_done_free(done);
    assert_int_equal(world_int(w, "SELECT count(*) FROM video"), 0);
    /* The id stays its streamer's; what is older stays out. */
    op = op_merge(&next, false, "edge1", OBJECT_PRESENCE, 1, 14);
    done = world_do(w, op);
    assert_false(done->u.row_merge.changed);
    assert_int_equal(done->videos, 0);
    storage_done_free(done);
    assert_int_equal(world_err(w, op_live(&bobs, 16)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_live(&next, 16)), ERR_OK);
    assert_string_equal(world_text(w, "SELECT streamer_id FROM video"), "alice");
    film_release(&f);
    film_release(&bobs);
    film_release(&next);
}

static void live_replaces_an_unfinished_upload(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1),
                live = small_live("video1", "alice", T + 5, 2);
    assert_position(w, op_claim(&f), 1, 0, 0, false);
    assert_int_equal(world_err(w, op_part(&f, 0)), ERR_OK);
    assert_int_equal(world_err(w, op_live(&live, 1)), ERR_OK);
    assert_int_equal(world_int(w, "SELECT count(*) FROM copy"), 0);
    assert_string_equal(world_text(w, "SELECT state FROM video"), "live");
    /* And an upload under a running live's id waits behind it, until it is finished. */
    struct film after = film_small("video1", "alice", T + 50, 3);
    assert_position(w, op_claim(&after), 1, 0, 0, false);
    assert_string_equal(world_text(w, "SELECT state FROM video"), "live");
    assert_int_equal(world_err(w, op_merge(&live, false, "edge1", OBJECT_PRESENCE, 0, 2)), ERR_OK);
    assert_string_equal(world_text(w, "SELECT state FROM video"), "uploading");
    film_upload(w, &after);
    assert_string_equal(world_text(w, "SELECT state FROM video"), "complete");
    film_release(&f);
    film_release(&live);
    film_release(&after);
}

static void stale_visit(void *context, const struct holding *h)
{
    char *text = context;
    size_t n = strlen(text);
    snprintf(text + n, 128 - n, "%s/%s/%s ", h->edge_id.s, h->video_id.s, h->streamer_id.s);
    assert_int_equal(h->state, 1);
}

static void lives_left_by_a_crash_are_told(void **state)
{
    struct world *w = *state;
    struct film f = small_live("live1", "alice", T, 1), g = small_live("live2", "bob", T, 1);
    struct film others = small_live("live3", "alice", T, 1),
                ended = small_live("live4", "alice", T, 1);
    char text[128] = "";
    assert_int_equal(store_stale_presences(w->store, stale_visit, text), ERR_OK);
    assert_string_equal(text, "");
    assert_int_equal(store_last_hlc(w->store), 0);
    assert_int_equal(world_err(w, op_live(&g, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_live(&f, 9)), ERR_OK);
    assert_int_equal(world_err(w, op_live(&ended, 6)), ERR_OK);
    assert_int_equal(world_err(w, op_merge(&ended, false, "edge1", OBJECT_PRESENCE, 0, 7)), ERR_OK);
    assert_int_equal(world_err(w, op_merge(&others, false, "edge2", OBJECT_PRESENCE, 1, 99)),
                     ERR_OK);
    world_reopen(w);
    assert_int_equal(store_stale_presences(w->store, stale_visit, text), ERR_OK);
    assert_string_equal(text, "edge1/live1/alice edge1/live2/bob ");
    assert_int_equal(store_last_hlc(w->store), 9);
    assert_int_equal(store_videos(w->store), 3);
    film_release(&f);
    film_release(&g);
    film_release(&others);
    film_release(&ended);
}

static void meta_is_kept(void **state)
{
    struct world *w = *state;
    uint8_t *value;
    size_t len;
    assert_int_equal(store_meta(w->store, "hlc", &value, &len), ERR_UNKNOWN);
    uint8_t *most CLEANUP(mem_free_ptr) = mem_alloc(STORE_META_BYTES_MAX);
    assert_int_equal(world_err(w, op_meta("hlc", slice_str("old"))), ERR_OK);
    assert_int_equal(world_err(w, op_meta("hlc", slice_str("1234"))), ERR_OK);
    assert_int_equal(world_err(w, op_meta("empty", slice_str(""))), ERR_OK);
    assert_int_equal(world_err(w, op_meta("most", slice_of(most, STORE_META_BYTES_MAX))), ERR_OK);
    world_reopen(w);
    assert_int_equal(store_meta(w->store, "hlc", &value, &len), ERR_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(value, "1234", 4);
    free(value);
    assert_int_equal(store_meta(w->store, "empty", &value, &len), ERR_OK);
    assert_int_equal(len, 0);
    free(value);
    assert_int_equal(store_meta(w->store, "most", &value, &len), ERR_OK);
    assert_int_equal(len, STORE_META_BYTES_MAX);
    free(value);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(upload_is_kept_and_listed),
        TEST(video_get_tells_everything),
        TEST(unfinished_upload_is_not_listed),
        TEST(upload_resumes_everywhere),
        TEST(only_the_next_part_is_taken),
        TEST(claim_conflicts),
        TEST(only_resume),
        TEST(finish_checks),
        TEST(live_comes_and_goes),
        TEST(live_replaces_an_unfinished_upload),
        TEST(lives_left_by_a_crash_are_told),
        TEST(meta_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
