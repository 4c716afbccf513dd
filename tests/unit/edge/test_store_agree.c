/* The store as a half of an agreement: deletions, sums, and finding and telling what differs. */
#include "base/check.h"
#include "base/mem.h"
#include "tests/unit/edge/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct storage_op *only_holding(struct storage_op *op)
{
    op->u.row.has_video = false;
    return op;
}

/* ---- deletions ---- */

static void a_deletion_takes_everything_with_it(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1), g = film_small("video2", "alice", T, 2);
    assert_int_equal(world_err(w, op_delete(&f, T + 10)), ERR_UNKNOWN);
    film_upload(w, &f);
    film_upload(w, &g);
    assert_int_equal(world_err(w, only_holding(op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5))),
                     ERR_OK);
    assert_int_equal(world_err(w, op_delete(&f, T + 1)), ERR_CONFLICT); /* older than the video */
    struct storage_done *done = world_do(w, op_delete(&f, T + 10));
    assert_int_equal(done->err, ERR_OK);
    assert_true(done->u.row_merge.changed && done->u.row_merge.deletion);
    assert_int_equal(done->u.row_merge.revision_us, T + 10);
    assert_string_equal(done->u.row_merge.video_id.s, "video1");
    assert_string_equal(done->u.row_merge.streamer_id.s, "alice");
    assert_false(done->u.row_merge.complete);
    assert_int_equal(done->videos, 1);
    storage_done_free(done);
    assert_string_equal(world_text(w, "SELECT id FROM video"), "video2");
    assert_string_equal(world_text(w, "SELECT DISTINCT video_id FROM holding"), "video2");
    assert_string_equal(world_text(w, "SELECT DISTINCT video_id FROM chunk"), "video2");
    assert_string_equal(world_text(w, "SELECT video_id FROM copy"), "video2");
    assert_string_equal(world_text(w, "SELECT deleted FROM claim ORDER BY video_id"), "1 0");
    world_freed(w);
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), g.parts_n);
    assert_int_equal(world_int(w, "SELECT count(*) FROM chunk_proof"), 3);
    assert_int_equal(world_err(w, op_get("video1")), ERR_UNKNOWN);
    assert_int_equal(world_err(w, op_read("video1", 1, 0, 1)), ERR_UNKNOWN);
    world_merged(w, op_delete(&f, T + 10), false, false, false); /* again: it is so */
    assert_int_equal(world_err(w, op_delete(&f, T + 9)), ERR_CONFLICT);
    film_release(&f);
    film_release(&g);
}

static void what_is_deleted_does_not_come_back(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1),
                bobs = film_small("video1", "bob", T + 1, 2);
    world_merged(w, op_deleted(&f, T + 10), true, false, true); /* before anything is known of it */
    assert_int_equal(world_int(w, "SELECT count(*) FROM streamer"), 0);
    world_merged(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5), false, true, false);
    assert_int_equal(world_int(w, "SELECT count(*) FROM holding"), 0);
    assert_int_equal(world_err(w, op_claim(&f)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_claim(&bobs)), ERR_CONFLICT); /* the id stays alice's */
    /* Its streamer may say something newer under the same id. */
    struct film again = film_small("video1", "alice", T + 10, 3);
    again.video.revision_us = T + 10;
    assert_int_equal(world_err(w, op_claim(&again)), ERR_CONFLICT); /* not newer */
    again.video.revision_us = T + 11;
    film_upload(w, &again);
    assert_string_equal(world_text(w, "SELECT state FROM video"), "complete");
    world_merged(w, op_deleted(&f, T + 10), false, false, false);
    assert_true(world_root_is_right(w));
    film_release(&f);
    film_release(&bobs);
    film_release(&again);
}

static void a_deletion_ends_an_upload_that_is_not_newer(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    assert_int_equal(world_err(w, op_claim(&f)), ERR_OK); /* revision T + 1 */
    assert_int_equal(world_err(w, op_part(&f, 0)), ERR_OK);
    assert_int_equal(world_err(w, op_delete(&f, T)), ERR_CONFLICT); /* the upload is newer */
    world_merged(w, op_deleted(&f, T), true, false, true);          /* and goes on */
    assert_int_equal(world_err(w, op_part(&f, 1)), ERR_OK);
    world_merged(w, op_delete(&f, T + 1), true, false, true);
    assert_int_equal(world_err(w, op_part(&f, 2)), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_finish(&f, 1, "r")), ERR_CONFLICT);
    assert_int_equal(world_int(w, "SELECT count(*) FROM copy"), 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM upload"), 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM video"), 0);
    assert_int_equal(world_int(w, "SELECT count(*) FROM streamer"), 0);
    film_release(&f);
}

static void an_upload_does_not_end_under_what_was_deleted_or_taken(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1),
                bobs = film_small("video1", "bob", T + 5, 2);
    assert_int_equal(world_err(w, op_claim(&f)), ERR_OK);
    for (size_t i = 0; i < f.parts_n; i++)
        assert_int_equal(world_err(w, op_part(&f, i)), ERR_OK);
    assert_int_equal(world_err(w, op_merge(&bobs, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_finish(&f, 6, "r")), ERR_CONFLICT);
    assert_int_equal(world_err(w, op_merge(&bobs, true, "edge2", OBJECT_CUSTODY, 0, 7)), ERR_OK);
    assert_int_equal(world_err(w, op_finish(&f, 6, "r")), ERR_OK); /* his is nowhere any more */
    assert_int_equal(world_err(w, op_merge(&bobs, true, "edge2", OBJECT_CUSTODY, 1, 8)), ERR_OK);
    assert_int_equal(world_err(w, op_finish(&f, 9, "r")), ERR_OK); /* it had ended already */
    film_release(&f);
    film_release(&bobs);
}

static void the_zone_deletes_as_well(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    film_upload(w, &f);
    struct storage_op *op = op_delete(&f, T + 10);
    op->u.row.credential = slice_of(NULL, 0);
    world_merged(w, op, true, false, true);
    assert_int_equal(world_int(w, "SELECT length(credential) FROM claim"), 0);
    struct storage_done *done = world_do(w, op_bundle(NULL));
    assert_int_equal(done->u.bundle.claims_n, 1);
    assert_true(done->u.bundle.claims[0].deleted);
    assert_int_equal(done->u.bundle.claims[0].credential.len, 0);
    assert_int_equal(done->u.bundle.holdings_n, 0);
    storage_done_free(done);
    film_release(&f);
}

/* ---- rows ---- */

static void a_holding_lives_under_a_claim(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    world_merged(w, only_holding(op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5)), false, true,
                 false);
    assert_int_equal(world_int(w, "SELECT count(*) FROM holding"), 0);
    struct storage_op *op = op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5);
    op->u.row.has_holding = false;
    world_merged(w, op, true, false, false);
    world_merged(w, only_holding(op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5)), true, false,
                 false);
    world_merged(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5), false, false, false);
    world_merged(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 0, 4), false, false, false);
    world_merged(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 0, 6), true, false, false);
    film_release(&f);
}

/* Its newest claim names it, its oldest dates it; whichever came first. */
static void a_streamer_is_what_its_claims_say(void **state)
{
    struct world *w = *state;
    struct film old = film_small("video1", "alice", T, 1),
                new = film_small("video2", "alice", T + 50, 2);
    const char *row = "SELECT name || ' ' || created_at FROM streamer";
    old.name = "Old";
    new.name = "New";
    assert_int_equal(world_err(w, op_claim(&new)), ERR_OK); /* an upload, while there is no claim */
    assert_string_equal(world_text(w, row), "New 2025-11-21T04:40:00.000050Z");
    assert_int_equal(world_err(w, op_merge(&old, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_string_equal(world_text(w, row), "Old 2025-11-21T04:40:00.000000Z");
    assert_int_equal(world_err(w, op_merge(&new, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_string_equal(world_text(w, row), "New 2025-11-21T04:40:00.000000Z");
    assert_int_equal(world_err(w, op_deleted(&old, T + 10)), ERR_OK);
    assert_string_equal(world_text(w, row), "New 2025-11-21T04:40:00.000050Z");
    assert_int_equal(world_err(w, op_deleted(&new, T + 100)), ERR_OK);
    assert_string_equal(world_text(w, row), "");
    film_release(&old);
    film_release(&new);
}

static void two_edges_outweigh_one(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1),
                liars = film_small("video1", "bob", 1000000, 2);
    film_upload(w, &f);
    assert_int_equal(world_err(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_merge(&liars, true, "edge9", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_string_equal(world_text(w, "SELECT streamer_id FROM video"), "alice");
    assert_int_equal(world_err(w, op_merge(&liars, true, "edge8", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_string_equal(world_text(w, "SELECT streamer_id FROM video"), "bob");
    film_release(&f);
    film_release(&liars);
}

static void our_own_rows_are_looked_at(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    struct storage_done *done = world_do(w, op_merge(&f, true, "edge1", OBJECT_CUSTODY, 1, 5));
    assert_true(done->u.row_merge.own);
    assert_false(done->u.row_merge.own_true); /* nothing of it is here */
    assert_false(done->u.row_merge.own_presence);
    assert_int_equal(done->u.row_merge.own_holding.hlc, 5);
    assert_true(done->u.row_merge.complete);
    storage_done_free(done);
    assert_int_equal(world_err(w, op_custody(&f, 1, 6)), ERR_NOT_READY);
    assert_int_equal(world_err(w, op_custody(&f, 0, 6)), ERR_OK);
    film_upload(w, &f);
    assert_int_equal(world_int(w, "SELECT kept FROM copy"), 1);
    done = world_do(w, op_merge(&f, true, "edge1", OBJECT_CUSTODY, 1, T));
    assert_true(done->u.row_merge.own && done->u.row_merge.own_true);
    storage_done_free(done);
    /* One of ours that we do not remember: the copy stays what it was. */
    done = world_do(w, op_merge(&f, true, "edge1", OBJECT_CUSTODY, 0, T + 5));
    assert_true(done->u.row_merge.changed && done->u.row_merge.own);
    assert_false(done->u.row_merge.own_true);
    storage_done_free(done);
    assert_int_equal(world_int(w, "SELECT kept FROM copy"), 1);
    assert_string_equal(world_text(w, "SELECT state FROM video"), "unlisted");
    done = world_do(w, op_custody(&f, 1, T + 6));
    assert_int_equal(done->err, ERR_OK);
    assert_true(done->u.row_merge.own_true && done->u.row_merge.complete);
    storage_done_free(done);
    done = world_do(w, op_merge(&f, true, "edge1", OBJECT_PRESENCE, 1, T));
    assert_true(done->u.row_merge.own && done->u.row_merge.own_true);
    assert_true(done->u.row_merge.own_presence);
    storage_done_free(done);
    done = world_do(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, T));
    assert_false(done->u.row_merge.own);
    storage_done_free(done);
    film_release(&f);
}

/* What a wrong clock stamped does not outlast what is stamped by the right one. */
static void a_row_of_ours_from_the_future_is_restamped(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    uint64_t now = hlc_at(T), ahead = hlc_at(T + RESTAMP_AHEAD_US);
    film_upload(w, &f);
    world_merged(w, op_merge(&f, true, "edge1", OBJECT_CUSTODY, 1, ahead), true, false, false);
    struct storage_op *op = op_custody(&f, 1, now);
    op->u.row.restamp = true;
    world_merged(w, op, false, false, false); /* not far enough */
    world_merged(w, op_merge(&f, true, "edge1", OBJECT_CUSTODY, 1, ahead + 65536), true, false,
                 false);
    world_merged(w, op_custody(&f, 1, now), false, false, false); /* nobody said that it may */
    op = op_custody(&f, 1, now);
    op->u.row.restamp = true;
    world_merged(w, op, true, false, false);
    assert_int_equal(world_int(w, "SELECT hlc FROM holding"), now);
    film_release(&f);
}

/* ---- finding and telling what differs ---- */

/* Walk the bundles; what they bring is merged into another store's database, in order. */
static unsigned walk_bundles(struct world *w, size_t *ret_claims, size_t *ret_holdings)
{
    unsigned pages = 0;
    struct storage_done *page = NULL;
    *ret_claims = *ret_holdings = 0;
    for (bool more = true; more; pages++) {
        struct storage_done *next = world_do(w, op_bundle(page));
        assert_int_equal(next->err, ERR_OK);
        assert_true(next->u.bundle.claims_n + next->u.bundle.holdings_n > 0 ||
                    !next->u.bundle.more);
        struct arena arena = {0};
        struct bundle_out *out = bundle_start(&arena);
        for (size_t i = 0; i < next->u.bundle.claims_n; i++)
            assert_true(bundle_add_claim(out, &next->u.bundle.claims[i]));
        for (size_t i = 0; i < next->u.bundle.holdings_n; i++)
            assert_true(bundle_add_holding(out, &next->u.bundle.holdings[i]));
        arena_release(&arena);
        *ret_claims += next->u.bundle.claims_n;
        *ret_holdings += next->u.bundle.holdings_n;
        more = next->u.bundle.more;
        storage_done_free(page);
        page = next;
    }
    storage_done_free(page);
    return pages;
}

static void bundles_bring_every_row_once(void **state)
{
    struct world *w = *state;
    size_t claims, holdings;
    assert_int_equal(walk_bundles(w, &claims, &holdings), 1);
    assert_int_equal(claims + holdings, 0);
    world_fill(w, 60, 3);
    struct film f = film_small("video007", "carol", T, 1);
    assert_int_equal(world_err(w, op_deleted(&f, T)), ERR_OK);
    assert_in_range(walk_bundles(w, &claims, &holdings), 2, 8);
    assert_int_equal(claims, 61);
    assert_int_equal(holdings, 180);
    film_release(&f);
}

/* Wherever a page ends: after a claim, and before the first of its holdings too. */
static void pages_end_between_a_claim_and_its_holdings(void **state)
{
    struct world *w = *state;
    size_t claims, holdings;
    world_fill(w, 60, 1);
    for (unsigned edges = 2; edges <= 12; edges++) {
        world_fill(w, 1, edges); /* one row more at the beginning: each page ends elsewhere */
        assert_in_range(walk_bundles(w, &claims, &holdings), 2, 8);
        assert_int_equal(claims, 60);
        assert_int_equal(holdings, 59 + edges);
    }
}

/* A claim whose holdings do not fit one page goes on with the next. */
static void a_claim_may_have_more_holdings_than_a_page(void **state)
{
    struct world *w = *state;
    size_t claims, holdings;
    world_fill(w, 2, 300);
    assert_in_range(walk_bundles(w, &claims, &holdings), 4, 40);
    assert_int_equal(claims, 2);
    assert_int_equal(holdings, 600);
    /* Even if it vanishes meanwhile, the rest comes. */
    struct storage_done *page = world_do(w, op_bundle(NULL));
    assert_true(page->u.bundle.inside);
    assert_string_equal(page->u.bundle.last_video.s, "video000");
    struct film f;
    film_make(&f, "video000", "bob", T, 0, 1, 0, FILM_PART_BYTES);
    assert_int_equal(world_err(w, op_deleted(&f, T + 5)), ERR_OK);
    struct storage_done *next = world_do(w, op_bundle(page));
    assert_int_equal(next->u.bundle.claims_n, 1);
    assert_string_equal(next->u.bundle.last_video.s, "video001");
    storage_done_free(page);
    storage_done_free(next);
    film_release(&f);
}

static struct sync_node node_of(struct world *w, uint8_t depth, uint16_t prefix)
{
    struct storage_done *done = world_do(w, op_digests(depth, prefix));
    assert_int_equal(done->err, ERR_OK);
    assert_int_equal(done->u.digests.n, 1);
    struct sync_node node = done->u.digests.nodes[0];
    assert_int_equal(node.depth, depth);
    assert_int_equal(node.prefix, prefix);
    storage_done_free(done);
    return node;
}

/* The entries of a leaf, in pages of what fits; each named row can be had. */
static size_t rows_of_leaf(struct world *w, uint16_t leaf)
{
    uint8_t from[SYNC_ROW_DIGEST_BYTES] = {0};
    size_t n = 0;
    for (bool more = true; more;) {
        struct storage_done *done = world_do(w, op_leaf(leaf, from));
        assert_int_equal(done->u.leaves.n, 1);
        const struct sync_leaf *l = &done->u.leaves.leaves[0];
        assert_int_equal(l->leaf, leaf);
        assert_memory_equal(l->from, from, sizeof(from));
        for (size_t i = 0; i < l->n; i++) {
            assert_true(memcmp(l->entries[i].digest, from, sizeof(from)) > 0);
            memcpy(from, l->entries[i].digest, sizeof(from));
            struct sync_want want = {.leaf = leaf};
            memcpy(want.digest, from, sizeof(from));
            struct storage_done *row = world_do(w, op_rows(&want, 1));
            bool claim = l->entries[i].kind <= SYNC_ROW_DELETION;
            assert_int_equal(row->u.bundle.claims_n, claim);
            assert_int_equal(row->u.bundle.holdings_n, !claim);
            assert_int_equal(row->u.bundle.looked_n, 1);
            assert_false(row->u.bundle.more);
            storage_done_free(row);
        }
        if (l->n)
            assert_memory_equal(l->through, from, sizeof(from));
        n += l->n;
        more = l->more;
        storage_done_free(done);
    }
    return n;
}

static void differences_are_found_from_the_root(void **state)
{
    struct world *w = *state;
    world_fill(w, 20, 2);
    struct sync_node before = node_of(w, 0, 0);
    struct film f = film_small("another", "alice", T, 1);
    assert_int_equal(world_err(w, op_deleted(&f, T)), ERR_OK);
    uint16_t leaf = digest_leaf_of(&f.video.video_id);
    struct sync_node after = node_of(w, 0, 0);
    for (unsigned i = 0; i < SYNC_FANOUT; i++)
        assert_int_equal(memcmp(before.children[i], after.children[i], SYNC_NODE_DIGEST_BYTES) == 0,
                         i != leaf >> 12u);
    static const uint8_t zero[SYNC_NODE_DIGEST_BYTES];
    for (unsigned depth = 1; depth < DIGEST_DEPTH; depth++) {
        unsigned child = (unsigned)leaf >> (4 * (DIGEST_DEPTH - 1 - depth)) & 15;
        struct sync_node node =
            node_of(w, (uint8_t)depth, (uint16_t)(leaf >> (4 * (DIGEST_DEPTH - depth))));
        assert_memory_not_equal(node.children[child], zero, sizeof(zero));
    }
    assert_int_equal(rows_of_leaf(w, leaf), 1);
    struct id id = {"video000"};
    assert_int_equal(rows_of_leaf(w, digest_leaf_of(&id)), 3);
    film_release(&f);
}

static void entries_name_their_rows(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    assert_int_equal(world_err(w, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, 5)), ERR_OK);
    assert_int_equal(world_err(w, op_merge(&f, true, "edge2", OBJECT_PRESENCE, 0, 6)), ERR_OK);
    struct storage_done *done = world_do(w, op_leaf(digest_leaf_of(&f.video.video_id), NULL));
    const struct sync_leaf *l = &done->u.leaves.leaves[0];
    uint8_t claim[ROW_KEY_BYTES], holding[ROW_KEY_BYTES];
    struct id edge = {"edge2"};
    row_key_of_claim(&f.video.video_id, &f.video.streamer_id, claim);
    row_key_of_holding(&f.video.video_id, &f.video.streamer_id, &edge, holding);
    unsigned seen = 0;
    assert_int_equal(l->n, 3);
    for (size_t i = 0; i < l->n; i++) {
        const struct sync_entry *e = &l->entries[i];
        seen |= 1u << e->kind;
        assert_memory_equal(e->key, e->kind == SYNC_ROW_CLAIM ? claim : holding, ROW_KEY_BYTES);
        assert_int_equal(e->version, e->kind == SYNC_ROW_CLAIM     ? f.final.revision_us
                                     : e->kind == SYNC_ROW_CUSTODY ? 5
                                                                   : 6);
    }
    assert_int_equal(seen, 1u << SYNC_ROW_CLAIM | 1u << SYNC_ROW_CUSTODY | 1u << SYNC_ROW_PRESENCE);
    storage_done_free(done);
    film_release(&f);
}

/* One leaf with more rows than an answer takes. */
static void leaves_are_told_in_pages(void **state)
{
    struct world *w = *state;
    struct film f = film_small("video1", "alice", T, 1);
    char edge[16];
    for (unsigned i = 0; i < SYNC_ENTRIES_MAX; i++) {
        snprintf(edge, sizeof(edge), "edge%u", i);
        assert_int_equal(store_submit(w->store, op_merge(&f, true, edge, OBJECT_CUSTODY, 1, 5)),
                         ERR_OK);
    }
    for (unsigned i = 0; i < SYNC_ENTRIES_MAX; i++)
        storage_done_free(queue_wait(store_completions(w->store), NULL));
    uint16_t leaf = digest_leaf_of(&f.video.video_id);
    struct storage_done *done = world_do(w, op_leaf(leaf, NULL));
    assert_int_equal(done->u.leaves.leaves[0].n, SYNC_ENTRIES_MAX);
    assert_true(done->u.leaves.leaves[0].more);
    storage_done_free(done);
    /* A leaf that finds no room is left out. */
    struct storage_op *op = op_leaf(leaf, NULL);
    uint16_t leaves[] = {(uint16_t)(leaf + 1), leaf, (uint16_t)(leaf + 2)};
    struct row_digest from[3] = {0};
    op->u.leaves.n = 3;
    op->u.leaves.leaves = leaves;
    op->u.leaves.from = from;
    done = world_do(w, op);
    assert_int_equal(done->u.leaves.n, 2);
    assert_int_equal(done->u.leaves.leaves[0].n, 0);
    assert_false(done->u.leaves.leaves[0].more);
    storage_done_free(done);
    assert_int_equal(rows_of_leaf(w, leaf), SYNC_ENTRIES_MAX + 1);
    film_release(&f);
}

static void rows_are_told_as_far_as_they_fit(void **state)
{
    struct world *w = *state;
    world_fill(w, 100, 1);
    struct sync_want *wants CLEANUP(mem_free_ptr) = mem_alloc(SYNC_WANT_MAX * sizeof(*wants));
    size_t n = 0;
    char id[16];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "video%03u", i);
        struct id video_id;
        assert_int_equal(id_parse(slice_str(id), &video_id), ERR_OK);
        uint16_t leaf = digest_leaf_of(&video_id);
        struct storage_done *done = world_do(w, op_leaf(leaf, NULL));
        const struct sync_leaf *l = &done->u.leaves.leaves[0];
        for (size_t k = 0; k < l->n && l->n == 2; k++) {
            wants[n].leaf = leaf;
            memcpy(wants[n++].digest, l->entries[k].digest, SYNC_ROW_DIGEST_BYTES);
        }
        wants[n].leaf = leaf; /* one that is not there (any more) */
        memset(wants[n++].digest, (int)i, SYNC_ROW_DIGEST_BYTES);
        storage_done_free(done);
    }
    size_t told = 0, looked = 0;
    unsigned answers = 0;
    for (bool more = true; more; answers++) {
        struct storage_done *done = world_do(w, op_rows(wants + looked, n - looked));
        assert_true(done->u.bundle.looked_n > 0);
        looked += done->u.bundle.looked_n;
        told += done->u.bundle.claims_n + done->u.bundle.holdings_n;
        more = done->u.bundle.more;
        assert_int_equal(more, looked < n);
        storage_done_free(done);
    }
    assert_int_equal(told, n - 100);
    assert_true(answers > 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_deletion_takes_everything_with_it),
        TEST(what_is_deleted_does_not_come_back),
        TEST(a_deletion_ends_an_upload_that_is_not_newer),
        TEST(an_upload_does_not_end_under_what_was_deleted_or_taken),
        TEST(the_zone_deletes_as_well),
        TEST(a_holding_lives_under_a_claim),
        TEST(a_streamer_is_what_its_claims_say),
        TEST(two_edges_outweigh_one),
        TEST(our_own_rows_are_looked_at),
        TEST(a_row_of_ours_from_the_future_is_restamped),
        TEST(bundles_bring_every_row_once),
        TEST(pages_end_between_a_claim_and_its_holdings),
        TEST(a_claim_may_have_more_holdings_than_a_page),
        TEST(differences_are_found_from_the_root),
        TEST(entries_name_their_rows),
        TEST(leaves_are_told_in_pages),
        TEST(rows_are_told_as_far_as_they_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
