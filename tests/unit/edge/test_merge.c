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

static struct slice some_bytes(void)
{
    static const char bytes[] = "abab";
    return slice_of(bytes + draw(3), draw(3));
}

/* Few values, so that ties and repetitions are common. */
static struct merge_revision some_revision(void)
{
    struct merge_revision r = {.revision_us = draw(3) ? draw(3) : UINT64_MAX - draw(2),
                               .deleted = !draw(3),
                               .statement = some_bytes(),
                               .manifest = some_bytes(),
                               .credential = some_bytes()};
    r.statement_hash.b[31] = (uint8_t)draw(2);
    r.statement_hash.b[0] = (uint8_t)(draw(2) * 0x80);
    return r;
}

static struct merge_state some_state(void)
{
    return (struct merge_state){draw(3) ? draw(3) : UINT64_MAX, some_bytes(), some_bytes()};
}

static struct merge_claim some_claim(void)
{
    struct merge_claim c = {.created_us = draw(3),
                            .live = !draw(3),
                            .stored = !draw(3),
                            .vouched = draw(VOUCHED_MAX + 1)};
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
        assert_int_equal(ab == 0, a.revision_us == b.revision_us && a.deleted == b.deleted &&
                                      hash_eq(&a.statement_hash, &b.statement_hash) &&
                                      slice_eq(a.statement, b.statement) &&
                                      slice_eq(a.manifest, b.manifest) &&
                                      slice_eq(a.credential, b.credential));
        if (ab == bc)
            assert_int_equal(sign(merge_revision_order(&a, &c)), ab);
        if (a.revision_us > b.revision_us)
            assert_int_equal(ab, 1);
        if (a.revision_us == b.revision_us && a.deleted && !b.deleted)
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
        assert_int_equal(ab == 0, a.hlc == b.hlc && slice_eq(a.object, b.object) &&
                                      slice_eq(a.edge_credential, b.edge_credential));
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
        if (merge_claim_visible(&a) && merge_claim_visible(&b) && a.vouched > b.vouched)
            assert_true(ab);
        if (merge_claim_visible(&a) && merge_claim_visible(&b) && a.vouched == b.vouched &&
            a.created_us < b.created_us)
            assert_true(ab);
    }
}

static void the_lowest_created_and_streamer_is_listed(void **state)
{
    (void)state;
    struct merge_claim a = {{"bob"}, 5, true, false, 1}, b = {{"alice"}, 6, false, true, 1};
    assert_true(merge_claim_listed(&a, &b));
    a.created_us = 6;
    assert_false(merge_claim_listed(&a, &b));
    b.stored = false; /* nobody has it any more */
    assert_true(merge_claim_listed(&a, &b));
    a.live = false;
    assert_false(merge_claim_listed(&a, &b));
    /* What two edges vouch for is not displaced by an earlier date. */
    a = (struct merge_claim){{"bob"}, 0, false, true, 1};
    b = (struct merge_claim){{"alice"}, 6, false, true, VOUCHED_MAX};
    assert_false(merge_claim_listed(&a, &b));
    a.vouched = VOUCHED_MAX;
    assert_true(merge_claim_listed(&a, &b));
}

static void deletions_and_withdrawals_die_at_the_horizon(void **state)
{
    (void)state;
    const uint64_t t = 1763700000000000ull, hlc = t / 1000 << HLC_COUNTER_BITS;
    assert_true(merge_dead_deletion(t, t));
    assert_false(merge_dead_deletion(t + 1, t));
    assert_true(merge_dead_holding(0, hlc, t));
    assert_true(merge_dead_holding(0, hlc + 65535, t)); /* of the same millisecond */
    assert_false(merge_dead_holding(0, hlc + 65536, t));
    assert_true(merge_dead_holding(0, hlc + 65536, t + 1000));
    assert_false(merge_dead_holding(1, hlc, UINT64_MAX));
    assert_false(merge_dead_deletion(0, 0)); /* no horizon yet */
    assert_false(merge_dead_holding(0, 0, 0));
}

/* ---- the same, through the database ---- */

enum { ROWS = 60, ORDERS = 12 };

/* The same body signed again, by a signer that draws what ours derives: other bytes. */
static void sign_again(struct storage_row *row, struct arena *arena)
{
    struct slice other = arena_copy(arena, row->statement);
    uint8_t *bytes = arena_alloc(arena, other.len);
    memcpy(bytes, other.ptr, other.len);
    bytes[other.len - 1] ^= (uint8_t)draw(2);
    row->statement = slice_of(bytes, other.len);
}

/* One of few ids, streamers, streams, revisions, edges, states and hlcs. */
static struct storage_op *some_row(void)
{
    static const char *const ids[] = {"video1", "video2"}, *const streamers[] = {"alice", "bob"},
                             *const edges[] = {"edge1", "edge2", "edge3"},
                             *const names[] = {"Jean", "Jeanne"};
    struct film f;
    uint32_t id = draw(2), streamer = draw(2), seed = draw(2);
    film_make(&f, ids[id], streamers[streamer], 1763700000000000ull + draw(2), seed, 1, 0,
              FILM_PART_BYTES);
    f.name = names[draw(2)];
    if (!draw(6)) {
        struct storage_op *op = op_deleted(&f, 1763700000000000ull + draw(4));
        if (!draw(3))
            op->u.row.credential = slice_of(NULL, 0); /* the zone's */
        film_release(&f);
        return op;
    }
    bool final = draw(2);
    if (!final)
        f.video.live = true;
    struct storage_op *op =
        op_merge(&f, final, edges[draw(3)], draw(2) ? OBJECT_CUSTODY : OBJECT_PRESENCE,
                 (uint8_t)draw(2), 1 + draw(6));
    sign_again(&op->u.row, &op->arena);
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

/* All that was merged, and all that is derived from it, byte for byte. */
static const char *dump(struct world *w)
{
    return world_text(
        w,
        "SELECT * FROM ("
        "SELECT id || streamer_id || state || edges || live || created_at || title ||"
        "       description || category || thumbnail || media_type || codecs ||"
        "       coalesce(chunks, '-') || coalesce(bytes, '-') FROM video ORDER BY 1) UNION ALL "
        "SELECT * FROM (SELECT id || name || created_at FROM streamer ORDER BY 1) UNION ALL "
        "SELECT * FROM (SELECT video_id || streamer_id || deleted || created_us || revision_us ||"
        "       leaf || hex(digest) || hex(stream) || hex(statement_hash) || hex(statement) ||"
        "       hex(credential) || hex(manifest) || thumbnail FROM claim ORDER BY 1) UNION ALL "
        "SELECT * FROM (SELECT video_id || streamer_id || edge_id || kind || state || hlc ||"
        "       leaf || hex(digest) || hex(stream) || hex(object) || hex(edge_credential)"
        "       FROM holding ORDER BY 1)");
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
    struct catalogue_root root = {0};
    static char first[65536];
    for (unsigned round = 0; round < 4; round++) {
        size_t order[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            rows[i] = some_row();
            order[i] = i;
        }
        for (unsigned k = 0; k < ORDERS; k++) {
            world_exec(w, "DELETE FROM video; DELETE FROM streamer; DELETE FROM claim;"
                          "DELETE FROM holding");
            world_reopen(w); /* it counts what is listed, and sums up, when it opens */
            merge_in_order(w, rows, order);
            merge_in_order(w, rows, order); /* holdings that came before their claims */
            if (k == 0) {
                snprintf(first, sizeof(first), "%s", dump(w));
                root = store_root(w->store);
            }
            assert_string_equal(dump(w), first);
            assert_memory_equal(store_root(w->store).b, root.b, ROOT_DIGEST_BYTES);
            merge_in_order(w, rows, order); /* again: nothing changes */
            assert_string_equal(dump(w), first);
            assert_true(world_root_is_right(w));
            assert_memory_equal(store_root(w->store).b, root.b, ROOT_DIGEST_BYTES);
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
        cmocka_unit_test(deletions_and_withdrawals_die_at_the_horizon),
        cmocka_unit_test_setup_teardown(every_order_ends_in_the_same_table, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
