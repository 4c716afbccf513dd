/* Reading parts, fetching copies, listing, and pages of the catalogue. */
#include "base/check.h"
#include "base/mem.h"
#include "edge/store/read.h"
#include "tests/unit/edge/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* What is read from (chunk, part) on is parts first … first + n - 1 of the film. */
static void assert_read(struct world *w, struct storage_op *op, const struct film *f, size_t first,
                        size_t n, bool end)
{
    struct storage_done *done = world_do(w, op);
    assert_int_equal(done->err, ERR_OK);
    assert_int_equal(done->u.parts_read.n, n);
    assert_int_equal(done->u.parts_read.end, end);
    for (size_t i = 0; i < n; i++) {
        const struct storage_part *got = &done->u.parts_read.parts[i];
        const struct film_part *want = &f->parts[first + i];
        assert_int_equal(got->chunk, want->chunk);
        assert_int_equal(got->index, want->index);
        assert_int_equal(got->parts_n, want->chunk == 1 ? 1 : 3);
        assert_int_equal(got->packet->payload.len, want->len);
        assert_memory_equal(got->packet->payload.ptr, want->packet, want->len);
    }
    storage_done_free(done);
}

static void parts_are_read_from_anywhere(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    assert_int_equal(world_err(w, op_read("video1", 1, 0, 1)), ERR_UNKNOWN);
    film_upload(w, &f);
    assert_read(w, op_read("video1", 1, 0, UINT32_MAX), &f, 0, 7, true);
    assert_read(w, op_read("video1", 0, 0, UINT32_MAX), &f, 0, 7, true);
    for (size_t i = 0; i < f.parts_n; i++) {
        uint32_t chunk = f.parts[i].chunk, part = f.parts[i].index;
        size_t left = f.parts_n - i, len = f.parts[i].len;
        assert_read(w, op_read("video1", chunk, part, UINT32_MAX), &f, i, left, true);
        assert_read(w, op_read("video1", chunk, part, 0), &f, i, 1, left == 1); /* at least one */
        if (left == 1)
            continue;
        uint32_t two = (uint32_t)(len + f.parts[i + 1].len);
        assert_read(w, op_read("video1", chunk, part, two - 1), &f, i, 1, false);
        assert_read(w, op_read("video1", chunk, part, two), &f, i, 2, left == 2);
    }
    assert_read(w, op_read("video1", 2, 99, UINT32_MAX), &f, 4, 3, true); /* the next there is */
    assert_read(w, op_read("video1", 3, 3, 1), &f, 7, 0, true);           /* past the end */
    assert_read(w, op_read("video1", UINT32_MAX, UINT32_MAX, 1), &f, 7, 0, true);
    film_release(&f);
}

static void partial_copies_are_read_as_far_as_they_go(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    assert_int_equal(world_err(w, op_claim(&f)), ERR_OK);
    assert_read(w, op_read("video1", 1, 0, 1), &f, 0, 0, false);
    for (size_t i = 0; i < f.parts_n; i++) {
        assert_int_equal(world_err(w, op_part(&f, i)), ERR_OK);
        assert_read(w, op_read("video1", 1, 0, UINT32_MAX), &f, 0, i + 1, false);
    }
    assert_read(w, op_read("video1", 4, 0, 1), &f, 0, 0, false);
    film_release(&f);
}

static void reads_are_bounded(void **state)
{
    struct world *w = *state;
    struct film f, g;
    film_make(&f, "many", "alice", T, 1, 2, 100 * FILM_PART_BYTES, FILM_PART_BYTES);
    film_make(&g, "large", "alice", T, 1, 2, 10 * 60000, 60000);
    film_upload(w, &f);
    film_upload(w, &g);
    struct storage_done *done = world_do(w, op_read("many", 1, 0, UINT32_MAX));
    assert_int_equal(done->u.parts_read.n, STORE_READ_PARTS_MAX);
    storage_done_free(done);
    done = world_do(w, op_read("large", 1, 0, UINT32_MAX));
    assert_int_equal(done->u.parts_read.n, STORE_READ_BYTES_MAX / 60000);
    assert_int_equal(done->u.parts_read.end, false);
    storage_done_free(done);
    film_release(&f);
    film_release(&g);
}

static void reads_keep_to_the_budget(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    film_upload(w, &f);
    size_t three = f.parts[0].len + f.parts[1].len + f.parts[2].len;
    w->budget.max_bytes = three;
    assert_read(w, op_read("video1", 1, 0, UINT32_MAX), &f, 0, 3, false);
    w->budget.max_bytes = three - 1;
    assert_read(w, op_read("video1", 1, 0, UINT32_MAX), &f, 0, 2, false);
    struct storage_done *held = world_do(w, op_read("video1", 1, 0, UINT32_MAX));
    assert_int_equal(world_err(w, op_read("video1", 2, 0, UINT32_MAX)), ERR_BUSY);
    storage_done_free(held);
    assert_int_equal(atomic_load(&w->budget.alive_bytes), 0);
    w->budget.max_bytes = 0;
    assert_int_equal(world_err(w, op_read("video1", 1, 0, UINT32_MAX)), ERR_BUSY);
    assert_read(w, op_read("video1", 9, 0, UINT32_MAX), &f, 0, 0, true); /* costs nothing */
    film_release(&f);
}

static void fetched_copies(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1), g = film_small("video1", "alice", T, 2);
    assert_int_equal(world_err(w, op_copy(&f)), ERR_UNKNOWN);
    assert_int_equal(world_err(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    struct storage_done *done = world_do(w, op_get("video1"));
    assert_false(done->u.video.whole);
    assert_int_equal(done->u.video.chunks, 3);
    assert_true(slice_eq_str(done->u.video.row.edges, "edge2"));
    storage_done_free(done);
    assert_int_equal(world_err(w, op_read("video1", 1, 0, 1)), ERR_UNKNOWN);
    assert_int_equal(world_err(w, op_copy(&g)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_copy(&f)), ERR_OK);
    for (size_t i = 0; i < f.parts_n; i++) {
        assert_int_equal(world_err(w, op_part(&f, i)), ERR_OK);
        if (i == 4)
            world_reopen(w);
        done = world_do(w, op_copy(&f));
        assert_int_equal(done->u.position.next, i + 1 < 7 ? f.parts[i + 1].chunk : 4);
        assert_int_equal(done->u.position.next_part, i + 1 < 7 ? f.parts[i + 1].index : 0);
        assert_false(done->u.position.finished);
        storage_done_free(done);
    }
    assert_int_equal(world_err(w, op_finish(&f, 6, "")), ERR_OK);
    done = world_do(w, op_copy(&f));
    assert_true(done->u.position.finished);
    assert_int_equal(done->u.position.receipt.len, 0);
    storage_done_free(done);
    done = world_do(w, op_get("video1"));
    assert_true(done->u.video.whole);
    assert_true(slice_eq_str(done->u.video.row.edges, "edge1,edge2"));
    assert_int_equal(done->videos, 1);
    storage_done_free(done);
    assert_read(w, op_read("video1", 1, 0, UINT32_MAX), &f, 0, 7, true);
    film_release(&f);
    film_release(&g);
}

static void an_upload_of_what_another_edge_has(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    assert_int_equal(world_err(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_claim(&f)), ERR_OK);
    for (size_t i = 0; i < f.parts_n; i++) {
        if (i == 3)
            assert_int_equal(world_err(w, op_copy(&f)), ERR_OK); /* shares the copy */
        assert_int_equal(world_err(w, op_part(&f, i)), ERR_OK);
    }
    assert_int_equal(world_err(w, op_finish(&f, 6, "")), ERR_OK);        /* by the fetch */
    assert_int_equal(world_err(w, op_finish(&f, 7, "receipt")), ERR_OK); /* by the upload */
    struct storage_done *done = world_do(w, op_claim(&f));
    assert_true(done->u.position.finished);
    assert_true(slice_eq_str(done->u.position.receipt, "receipt"));
    storage_done_free(done);
    film_release(&f);
}

/* A fetch of what then vanishes everywhere leaves nothing. */
static void a_fetch_of_what_vanishes(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    assert_int_equal(world_err(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_copy(&f)), ERR_OK);
    assert_int_equal(world_err(w, op_part(&f, 0)), ERR_OK);
    struct storage_done *done = world_do(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 0, 6));
    assert_true(done->u.row_merge.changed);
    assert_int_equal(done->videos, 0);
    storage_done_free(done);
    world_freed(w);
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM video"), 0);
    assert_int_equal(world_err(w, op_part(&f, 1)), ERR_CONFLICT);
    film_release(&f);
}

/* Two streamers, one id: both are kept, the lowest (created, streamer) is listed. */
static void two_claims_of_one_id(void **state)
{
    struct world *w = *state;
    struct film first = film_small("video1", "bob", T, 1),
                ours = film_small("video1", "alice", T + 5, 2);
    film_upload(w, &ours);
    assert_int_equal(world_err(w, op_merge(&first, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    struct storage_done *done = world_do(w, op_get("video1"));
    assert_string_equal(done->u.video.row.streamer_id.s, "bob");
    assert_false(done->u.video.whole);
    assert_int_equal(done->videos, 1);
    storage_done_free(done);
    assert_int_equal(world_err(w, op_read("video1", 1, 0, 1)), ERR_UNKNOWN);
    assert_int_equal(world_err(w, op_claim(&ours)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_copy(&ours)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_copy(&first)), ERR_OK);
    for (size_t i = 0; i < first.parts_n; i++)
        assert_int_equal(world_err(w, op_part(&first, i)), ERR_OK);
    assert_int_equal(world_err(w, op_finish(&first, T + 9, "")), ERR_OK);
    assert_read(w, op_read("video1", 1, 0, UINT32_MAX), &first, 0, 7, true);
    assert_string_equal(world_text(w, "SELECT id FROM chunk WHERE chunk_nb = 2 ORDER BY id"),
                        "video1-000002 video1.bob-000002");
    /* When nobody has the first one any more, the second is listed again, whole. */
    assert_int_equal(world_err(w, op_merge(&first, true, "edge2", OBJECT_CUSTODY, 0, 6)), ERR_OK);
    assert_int_equal(world_err(w, op_merge(&first, true, "edge1", OBJECT_CUSTODY, 0, T + 10)),
                     ERR_OK);
    assert_string_equal(world_text(w, "SELECT streamer_id FROM video"), "alice");
    assert_read(w, op_read("video1", 1, 0, UINT32_MAX), &ours, 0, 7, true);
    film_release(&first);
    film_release(&ours);
}

/* A newer revision of the same streamer with another stream: what was held is superseded. */
static void a_superseded_copy_is_fetched_anew(void **state)
{
    struct world *w = *state;
    struct film old = film_small("video1", "alice", T, 1),
                new = film_small("video1", "alice", T + 50, 2);
    film_upload(w, &old);
    /* Those who hold the old stream do not answer for the new one. */
    struct storage_op *op = op_merge(&new, true, "edge2", OBJECT_CUSTODY, 1, 5);
    op->u.row.has_holding = false;
    struct storage_done *done = world_do(w, op);
    assert_true(done->u.row_merge.changed);
    assert_int_equal(done->videos, 0);
    storage_done_free(done);
    assert_string_equal(world_text(w, "SELECT state FROM video"), "unlisted");
    assert_int_equal(world_err(w, op_merge(&new, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    done = world_do(w, op_get("video1"));
    assert_false(done->u.video.whole);
    assert_true(slice_eq_str(done->u.video.row.edges, "edge2"));
    storage_done_free(done);
    assert_int_equal(world_err(w, op_finish(&old, 99, "r")), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_copy(&new)), ERR_OK);
    assert_int_equal(world_err(w, op_part(&new, 0)), ERR_OK);
    assert_read(w, op_read("video1", 1, 0, UINT32_MAX), &new, 0, 1, false);
    film_release(&old);
    film_release(&new);
}

static void many_videos(struct world *w, unsigned n)
{
    char id[16];
    for (unsigned i = 0; i < n; i++) {
        struct film f;
        snprintf(id, sizeof(id), "video%03u", i);
        film_make(&f, id, i % 3 ? "alice" : "bob", T + i / 2 * 1000, i, 1, 0, FILM_PART_BYTES);
        bool live = f.video.live = i % 10 == 9;
        assert_int_equal(world_err(w, live ? op_merge(&f, false, "edge2", OBJECT_PRESENCE, 1, i + 1)
                                           : op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, i + 1)),
                         ERR_OK);
        film_release(&f);
    }
    assert_int_equal(store_videos(w->store), n);
}

/* Walk the list in pages; count what comes, checking the order. */
static unsigned walk(struct world *w, uint32_t limit, void (*filter)(struct list_request *m))
{
    struct id after = {""};
    uint64_t created_us = UINT64_MAX;
    unsigned n = 0;
    for (bool more = true; more;) {
        struct storage_op *op = op_list("", limit);
        op->u.list.after = arena_copy(&op->arena, id_slice(&after));
        if (filter)
            filter(&op->u.list);
        struct storage_done *done = world_do(w, op);
        assert_int_equal(done->err, ERR_OK);
        more = done->u.list.more;
        assert_true(!limit || done->u.list.n <= limit);
        for (size_t i = 0; i < done->u.list.n; i++) {
            const struct catalogue_row *row = &done->u.list.rows[i];
            assert_true(row->created_us < created_us ||
                        (row->created_us == created_us && strcmp(row->video_id.s, after.s) > 0));
            assert_int_equal(row->statement.len, 0);
            created_us = row->created_us;
            after = row->video_id;
            n++;
        }
        assert_true(!more || filter || id_eq(&done->u.list.next, &after));
        after = done->u.list.next;
        created_us = filter ? UINT64_MAX : created_us;
        storage_done_free(done);
    }
    return n;
}

static void only_live(struct list_request *m)
{
    m->has_live = m->live = true;
}

static void not_live(struct list_request *m)
{
    m->has_live = true;
}

static void only_sport(struct list_request *m)
{
    m->category = slice_str("sport");
}

static void titled(struct list_request *m)
{
    m->query = slice_str("MA PREM");
}

static void titled_otherwise(struct list_request *m)
{
    m->query = slice_str("%");
}

static void lists_are_paged_and_filtered(void **state)
{
    struct world *w = *state;
    assert_int_equal(walk(w, 0, NULL), 0);
    many_videos(w, 60);
    assert_int_equal(walk(w, 0, NULL), 60);
    assert_int_equal(walk(w, 1, NULL), 60);
    assert_int_equal(walk(w, 7, NULL), 60);
    assert_int_equal(walk(w, 59, NULL), 60);
    assert_int_equal(walk(w, 60, NULL), 60);
    assert_int_equal(walk(w, LIST_LIMIT_MAX, NULL), 60);
    assert_int_equal(walk(w, 4, only_live), 6);
    assert_int_equal(walk(w, 0, not_live), 54);
    assert_int_equal(walk(w, 9, only_sport), 30);
    assert_int_equal(walk(w, 0, titled), 60);
    assert_int_equal(walk(w, 0, titled_otherwise), 0);
    struct storage_done *done = world_do(w, op_list("", 60));
    assert_false(done->u.list.more);
    assert_string_equal(done->u.list.rows[0].video_id.s, "video058");
    storage_done_free(done);
    done = world_do(w, op_list("gone", 0)); /* a live that ended meanwhile */
    assert_int_equal(done->err, ERR_OK);
    assert_int_equal(done->u.list.n, 0);
    storage_done_free(done);
    assert_string_equal(world_text(w, "SELECT count(*) FROM overview"), "60");
}

static void lists_end_where_a_message_does(void **state)
{
    struct world *w = *state;
    char *thumbnail CLEANUP(mem_free_ptr) = mem_alloc(THUMBNAIL_BYTES_MAX);
    memset(thumbnail, 'x', THUMBNAIL_BYTES_MAX);
    for (char id[] = "videoA"; id[5] < 'K'; id[5]++) {
        struct film f = film_small(id, "alice", T, 1);
        struct storage_op *op = op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 1);
        op->u.row.thumbnail = slice_of(thumbnail, THUMBNAIL_BYTES_MAX);
        assert_int_equal(world_err(w, op), ERR_OK);
        film_release(&f);
    }
    struct storage_done *done = world_do(w, op_list("", 0));
    assert_true(done->u.list.more);
    /* A row is more than its thumbnail, and the page ends before the row that is too much. */
    assert_int_equal(done->u.list.n, CATALOGUE_PAGE_BYTES_MAX / THUMBNAIL_BYTES_MAX - 1);
    storage_done_free(done);
    assert_int_equal(walk(w, 0, NULL), 10);
    done = world_do(w, op_page(""));
    assert_true(done->u.db_page.more);
    assert_true(done->u.db_page.n <= CATALOGUE_PAGE_BYTES_MAX / THUMBNAIL_BYTES_MAX);
    storage_done_free(done);
}

static void titled_last(struct list_request *m)
{
    m->query = slice_str("last");
}

/* Videos that are listed, older than T, in the table that is read; what they stand on is not. */
static void add_older(struct world *w, unsigned n)
{
    char sql[640];
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %u)"
             " INSERT INTO video (id, title, description, category, live, edges, thumbnail,"
             " streamer_id, media_type, codecs, created_at, state)"
             " SELECT printf('older%%06d', n), iif(n = %u, 'the last', 'one of many'), '', '', 0,"
             " 'edge2', '', 'alice', '', '', printf('2001-01-01T00:00:%%02d.%%06dZ', 59 - n / 1000,"
             " 999 - n %% 1000), 'complete' FROM i",
             n, n);
    world_exec(w, sql);
}

static void a_list_looks_at_so_many(void **state)
{
    struct world *w = *state;
    many_videos(w, 2);
    add_older(w, LIST_SCAN_ROWS_MAX - 3);
    struct storage_done *done;
    for (unsigned n = LIST_SCAN_ROWS_MAX - 1; n <= LIST_SCAN_ROWS_MAX + 1; n++) {
        struct storage_op *op = op_list("", 1);
        titled_last(&op->u.list);
        done = world_do(w, op);
        bool more = n > LIST_SCAN_ROWS_MAX;
        assert_int_equal(done->u.list.more, more);
        assert_int_equal(done->u.list.n, !more);
        assert_int_equal(done->u.list.next.s[0] != '\0', true);
        storage_done_free(done);
        assert_int_equal(walk(w, 0, titled_last), 1);
        world_exec(w, "DELETE FROM video WHERE id LIKE 'older%'");
        add_older(w, n - 1);
    }
    world_exec(w, "DELETE FROM video WHERE id LIKE 'older%'");
    add_older(w, 4 * LIST_SCAN_ROWS_MAX);
    assert_int_equal(walk(w, 0, titled_last), 1);
    assert_int_equal(walk(w, 3, titled), 2);
    assert_int_equal(walk(w, 200, NULL), 2 + 4 * LIST_SCAN_ROWS_MAX);
}

static void the_catalogue_is_paged_by_id(void **state)
{
    struct world *w = *state;
    many_videos(w, 60);
    char after[ID_BYTES_MAX + 1] = "";
    unsigned n = 0, pages = 0;
    for (bool more = true; more; pages++) {
        struct storage_done *done = world_do(w, op_page(after));
        more = done->u.db_page.more;
        assert_true(done->u.db_page.n > 0);
        assert_int_equal(done->u.db_page.streamers_n, 2);
        assert_true(slice_eq_str(done->u.db_page.streamers[0].name, "Jean"));
        assert_true(done->u.db_page.streamers[0].created_us <= T + 60000);
        assert_true(done->u.db_page.streamers[0].created_us >= T);
        for (size_t i = 0; i < done->u.db_page.n; i++, n++) {
            const struct catalogue_row *row = &done->u.db_page.rows[i];
            assert_true(strcmp(row->video_id.s, after) > 0);
            snprintf(after, sizeof(after), "%s", row->video_id.s);
            assert_true(row->statement.len > 0 && row->credential.len > 0);
            assert_int_equal(row->live, row->manifest.len == 0);
            assert_int_equal(row->holdings_n, 1);
            assert_int_equal(row->holdings[0].type, row->live ? OBJECT_PRESENCE : OBJECT_CUSTODY);
            assert_true(slice_eq_str(row->holdings[0].edge_credential, "credential of the edge"));
        }
        storage_done_free(done);
    }
    assert_int_equal(n, 60);
    assert_true(pages > 1);
}

static void holdings_of_a_row_are_bounded(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    char edge[16];
    for (unsigned i = 0; i < 70; i++) {
        snprintf(edge, sizeof(edge), "edge%03u", i);
        assert_int_equal(world_err(w, op_merge(&f, true, edge, OBJECT_CUSTODY, i % 2, i + 1)),
                         ERR_OK);
    }
    struct storage_done *done = world_do(w, op_page(""));
    assert_int_equal(done->u.db_page.n, 1);
    const struct catalogue_row *row = &done->u.db_page.rows[0];
    assert_in_range(row->holdings_n, 16, ROW_HOLDINGS_MAX);
    for (size_t i = 0; i < row->holdings_n; i++) { /* those who have it come first */
        struct slice body;
        struct signature sig;
        struct holding h;
        assert_int_equal(signed_split(row->holdings[i].object, &body, &sig), ERR_OK);
        assert_int_equal(holding_decode(body, &h), ERR_OK);
        assert_int_equal(h.state, 1);
    }
    assert_int_equal(row->edges.len, 35 * 8 - 1);
    storage_done_free(done);
    film_release(&f);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(parts_are_read_from_anywhere),
        TEST(partial_copies_are_read_as_far_as_they_go),
        TEST(reads_are_bounded),
        TEST(reads_keep_to_the_budget),
        TEST(fetched_copies),
        TEST(an_upload_of_what_another_edge_has),
        TEST(a_fetch_of_what_vanishes),
        TEST(two_claims_of_one_id),
        TEST(a_superseded_copy_is_fetched_anew),
        TEST(lists_are_paged_and_filtered),
        TEST(lists_end_where_a_message_does),
        TEST(a_list_looks_at_so_many),
        TEST(the_catalogue_is_paged_by_id),
        TEST(holdings_of_a_row_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
