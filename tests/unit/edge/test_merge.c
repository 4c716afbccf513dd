/*
 * Merging takes the maximum of total orders: whatever the order in which rows
 * arrive, however often, every edge ends with the same table.
 */
#include "base/check.h"
#include "edge/store/merge.h"
#include "tests/unit/edge/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t draws;

static uint32_t draw(uint32_t below)
{
    static const uint8_t seed[KEY_BYTES] = "merge";
    uint32_t v;
    crypto_expand(seed, draws++, &v, sizeof(v));
    return v % below;
}

/* Few values, so that ties and repetitions are common. */
static struct merge_revision some_revision(void)
{
    struct merge_revision r = {.revision_us = draw(3) ? draw(3) : UINT64_MAX - draw(2)};
    r.statement_hash.b[31] = (uint8_t)draw(3);
    r.statement_hash.b[0] = (uint8_t)(draw(2) * 0x80);
    return r;
}

static struct merge_state some_state(void)
{
    static const char objects[] = "abab";
    return (struct merge_state){draw(3) ? draw(3) : UINT64_MAX,
                                slice_of(objects + draw(3), draw(3))};
}

static struct merge_claim some_claim(void)
{
    struct merge_claim c = {.created_us = draw(3), .live = !draw(3), .stored = !draw(3)};
    snprintf(c.streamer_id.s, sizeof(c.streamer_id.s), "s%u", (unsigned)draw(4));
    return c;
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void revisions_are_totally_ordered(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct merge_revision a = some_revision(), b = some_revision(), c = some_revision();
        int ab = sign(merge_revision_order(&a, &b)), bc = sign(merge_revision_order(&b, &c));
        assert_int_equal(ab, -sign(merge_revision_order(&b, &a)));
        assert_int_equal(merge_revision_order(&a, &a), 0);
        assert_int_equal(ab == 0, a.revision_us == b.revision_us &&
                                      hash_eq(&a.statement_hash, &b.statement_hash));
        if (ab == bc)
            assert_int_equal(sign(merge_revision_order(&a, &c)), ab);
        if (a.revision_us > b.revision_us)
            assert_int_equal(ab, 1);
    }
}

static void states_are_totally_ordered(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct merge_state a = some_state(), b = some_state(), c = some_state();
        int ab = sign(merge_state_order(&a, &b)), bc = sign(merge_state_order(&b, &c));
        assert_int_equal(ab, -sign(merge_state_order(&b, &a)));
        assert_int_equal(merge_state_order(&a, &a), 0);
        assert_int_equal(ab == 0, a.hlc == b.hlc && slice_eq(a.object, b.object));
        if (ab == bc)
            assert_int_equal(sign(merge_state_order(&a, &c)), ab);
        if (a.hlc > b.hlc)
            assert_int_equal(ab, 1);
    }
}

static void one_claim_is_listed(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct merge_claim a = some_claim(), b = some_claim(), c = some_claim();
        if (id_eq(&a.streamer_id, &b.streamer_id) || id_eq(&b.streamer_id, &c.streamer_id) ||
            id_eq(&a.streamer_id, &c.streamer_id))
            continue; /* claims of one id have different streamers */
        bool ab = merge_claim_listed(&a, &b), bc = merge_claim_listed(&b, &c);
        assert_int_equal(ab, !merge_claim_listed(&b, &a));
        if (ab && bc)
            assert_true(merge_claim_listed(&a, &c));
        if (merge_claim_visible(&a) && !merge_claim_visible(&b))
            assert_true(ab);
        if (merge_claim_visible(&a) && merge_claim_visible(&b) && a.created_us < b.created_us)
            assert_true(ab);
    }
}

static void the_lowest_created_and_streamer_is_listed(void **state)
{
    (void)state;
    struct merge_claim a = {{"bob"}, 5, true, false}, b = {{"alice"}, 6, false, true};
    assert_true(merge_claim_listed(&a, &b));
    a.created_us = 6;
    assert_false(merge_claim_listed(&a, &b));
    b.stored = false; /* nobody has it any more */
    assert_true(merge_claim_listed(&a, &b));
    a.live = false;
    assert_false(merge_claim_listed(&a, &b));
}

/* ---- the same, through the database ---- */

enum { ROWS = 60, ORDERS = 12 };

/* One of few ids, streamers, streams, revisions, edges, states and hlcs. */
static struct storage_op *some_row(void)
{
    static const char *const ids[] = {"video1", "video2"}, *const streamers[] = {"alice", "bob"},
                             *const edges[] = {"edge1", "edge2", "edge3"};
    struct film f;
    uint32_t id = draw(2), streamer = draw(2), seed = draw(2);
    film_make(&f, ids[id], streamers[streamer], 1763700000000000ull + draw(2), seed, 1, 0,
              FILM_PART_BYTES);
    bool final = draw(2);
    if (!final)
        f.video.live = true;
    struct storage_op *op =
        op_merge(&f, final, edges[draw(3)], draw(2) ? OBJECT_CUSTODY : OBJECT_PRESENCE,
                 (uint8_t)draw(2), 1 + draw(6));
    op->u.row.streamer_name = id_slice(&op->u.row.video.streamer_id);
    if (!draw(4))
        op->u.row.has_video = false;
    else if (!draw(4))
        op->u.row.has_holding = false;
    if (!draw(5))
        op->u.row.manifest = slice_of(NULL, 0); /* may travel without */
    film_release(&f);
    return op;
}

/* A copy that shares the first one's arena. */
static struct storage_op *same_row(const struct storage_op *op)
{
    struct storage_op *copy = storage_op_new(STORAGE_ROW_MERGE, op->token);
    copy->u.row = op->u.row;
    return copy;
}

/* All that was merged, and what is derived from it; created_at of streamer is not. */
static const char *dump(struct world *w)
{
    return world_text(
        w, "SELECT * FROM ("
           "SELECT id || streamer_id || state || edges || live || created_at || title ||"
           "       coalesce(chunks, '-') || coalesce(bytes, '-') FROM video ORDER BY 1) UNION ALL "
           "SELECT * FROM (SELECT video_id || streamer_id || revision_us || hex(statement_hash) ||"
           "       length(manifest) FROM claim ORDER BY 1) UNION ALL "
           "SELECT * FROM (SELECT video_id || streamer_id || edge_id || kind || state || hlc ||"
           "       hex(substr(stream, 1, 4)) FROM holding ORDER BY 1)");
}

static void merge_in_order(struct world *w, struct storage_op *const rows[ROWS],
                           const size_t order[ROWS])
{
    uint64_t listed = 0;
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(store_submit(w->store, same_row(rows[order[i]])), ERR_OK);
    for (size_t i = 0; i < ROWS; i++) {
        struct storage_done *done = queue_wait(store_completions(w->store), NULL);
        assert_int_equal(done->err, ERR_OK);
        listed = done->videos;
        storage_done_free(done);
    }
    assert_int_equal(listed,
                     world_int(w, "SELECT count(*) FROM video WHERE state IN ('complete','live')"));
}

static void every_order_ends_in_the_same_table(void **state)
{
    struct world *w = *state;
    struct storage_op *rows[ROWS];
    char first[4096];
    for (unsigned round = 0; round < 4; round++) {
        size_t order[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            rows[i] = some_row();
            order[i] = i;
        }
        for (unsigned k = 0; k < ORDERS; k++) {
            world_exec(w, "DELETE FROM video; DELETE FROM claim; DELETE FROM holding");
            world_reopen(w); /* it counts what is listed when it opens */
            merge_in_order(w, rows, order);
            if (k == 0)
                snprintf(first, sizeof(first), "%s", dump(w));
            assert_string_equal(dump(w), first);
            merge_in_order(w, rows, order); /* again: nothing changes */
            assert_string_equal(dump(w), first);
            for (size_t i = ROWS - 1; i > 0; i--) {
                size_t j = draw((uint32_t)i + 1), t = order[i];
                order[i] = order[j];
                order[j] = t;
            }
        }
        for (size_t i = 0; i < ROWS; i++)
            storage_op_free(rows[i]);
    }
}

int main(void)
{
    CHECK(crypto_init() == ERR_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revisions_are_totally_ordered),
        cmocka_unit_test(states_are_totally_ordered),
        cmocka_unit_test(one_claim_is_listed),
        cmocka_unit_test(the_lowest_created_and_streamer_is_listed),
        cmocka_unit_test_setup_teardown(every_order_ends_in_the_same_table, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
