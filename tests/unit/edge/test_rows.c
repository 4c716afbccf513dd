/* Catalogue rows from elsewhere: nobody says what only another may say. */
#include "edge/rows.h"
#include "tests/unit/edge/reel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct member alice, bob, edge1, edge2;
static struct trust_view *view;
static struct reel *film, *other;
static struct arena arena;

static int group_setup(void **state)
{
    (void)state;
    struct zone_params zone;
    crypto_init();
    reel_zone(&zone);
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    member_make("bob", CREDENTIAL_STREAMER, &bob);
    member_make("edge1", CREDENTIAL_EDGE, &edge1);
    member_make("edge2", CREDENTIAL_EDGE, &edge2);
    film = reel_new(&alice, "video1", 1, false);
    other = reel_new(&alice, "video1", 2, false);
    reel_fill(film, 1, 100);
    reel_fill(other, 1, 200);
    reel_finish(film);
    reel_finish(other);
    struct trust_view *empty = trust_view_new();
    view = trust_view_with_zone(empty, &zone);
    trust_view_unref(empty);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    reel_free(film);
    reel_free(other);
    trust_view_unref(view);
    arena_release(&arena);
    return 0;
}

static struct holding holding_of(const struct reel *r, const struct member *edge)
{
    return (struct holding){.zone_id = r->video.zone_id,
                            .edge_id = edge->id,
                            .video_id = r->video.video_id,
                            .streamer_id = r->streamer->id,
                            .stream = r->stream,
                            .state = 1,
                            .hlc = 9};
}

static struct holding_row row_of(const struct holding *h, enum object_type type,
                                 const struct member *edge)
{
    return (struct holding_row){type, reel_holding_object(&arena, type, h, &edge->key),
                                member_credential(edge)};
}

static struct db_update good(void)
{
    struct holding h = holding_of(film, &edge2);
    return (struct db_update){.video_id = film->video.video_id,
                              .thumbnail = film->thumbnail,
                              .streamer_id = alice.id,
                              .edge_id = edge2.id,
                              .statement = film->final_statement,
                              .credential = member_credential(&alice),
                              .manifest = film->manifest_bytes,
                              .has_holding = true,
                              .holding = row_of(&h, OBJECT_CUSTODY, &edge2)};
}

static struct slice flipped(struct slice bytes)
{
    struct slice copy = arena_copy(&arena, bytes);
    ((uint8_t *)copy.ptr)[bytes.len - 1] ^= 1;
    return copy;
}

static void expect(const struct db_update *m, enum err err)
{
    struct storage_row row = {.only_resume = true}; /* untouched on failure */
    assert_string_equal(err_name(row_from_update(m, view, &row)), err_name(err));
    assert_int_equal(row.only_resume, err != ERR_OK);
}

static void test_update(void **state)
{
    (void)state;
    struct db_update m = good();
    struct storage_row row;
    assert_int_equal(row_from_update(&m, view, &row), ERR_OK);
    assert_true(row.has_video && row.has_holding && !row.only_resume);
    assert_true(hash_eq(&row.stream, &film->stream));
    assert_true(slice_eq(row.manifest, film->manifest_bytes));
    assert_true(slice_eq_str(row.streamer_name, "alice"));
    assert_int_equal(row.holding.hlc, 9);
    m.title = slice_str("what is not signed is not looked at");
    m.video_id = edge2.id;
    expect(&m, ERR_OK);
    m.has_holding = false;
    expect(&m, ERR_OK);
    m = good();
    m.statement = m.credential = m.manifest = (struct slice){0};
    assert_int_equal(row_from_update(&m, view, &row), ERR_OK);
    assert_true(!row.has_video && row.has_holding);
    m.has_holding = false;
    expect(&m, ERR_UNAUTHORIZED); /* the original's: nobody signed anything */
}

static void test_no_zone(void **state)
{
    (void)state;
    struct trust_view *empty = trust_view_new();
    struct storage_row row;
    struct db_update m = good();
    assert_int_equal(row_from_update(&m, empty, &row), ERR_NOT_READY);
    trust_view_unref(empty);
}

static void test_video_corrupted(void **state)
{
    (void)state;
    struct db_update m = good();
    m.statement = flipped(m.statement);
    expect(&m, ERR_SIGNATURE);
    m = good();
    m.statement.len = 10;
    expect(&m, ERR_FORMAT);
    m = good();
    m.credential = flipped(m.credential);
    expect(&m, ERR_SIGNATURE);
    m.credential = member_credential(&bob);
    expect(&m, ERR_SIGNATURE);
    m.credential = (struct slice){0};
    expect(&m, ERR_FORMAT);
    m = good();
    m.manifest = flipped(m.manifest);
    expect(&m, ERR_SIGNATURE);
    m.manifest = other->manifest_bytes; /* of another take */
    expect(&m, ERR_SIGNATURE);
    m.manifest = (struct slice){0};
    expect(&m, ERR_SIGNATURE);
    m = good();
    m.statement = film->statement; /* the first revision names no manifest */
    expect(&m, ERR_SIGNATURE);
    m.manifest = (struct slice){0};
    expect(&m, ERR_OK);
    m = good();
    m.thumbnail = slice_str("thumb2.jpg");
    expect(&m, ERR_SIGNATURE);
    m.thumbnail = (struct slice){0};
    expect(&m, ERR_SIGNATURE);
}

static void test_video_of_others(void **state)
{
    (void)state;
    struct db_update m = good();
    struct video video = film->final_video;
    video.streamer_id = bob.id; /* alice signs in the name of bob */
    m.has_holding = false;
    m.statement = reel_video_object(&arena, &video, &alice.key);
    expect(&m, ERR_UNAUTHORIZED);
    video = film->final_video;
    memcpy(video.zone_id.s, "zone2", 6);
    m.statement = reel_video_object(&arena, &video, &alice.key);
    expect(&m, ERR_UNAUTHORIZED);
    struct member edge; /* an edge is no streamer */
    member_make("alice", CREDENTIAL_EDGE, &edge);
    m = good();
    m.credential = member_credential(&edge);
    expect(&m, ERR_UNAUTHORIZED);
}

static void test_holding_corrupted(void **state)
{
    (void)state;
    struct db_update m = good();
    m.holding.object = flipped(m.holding.object);
    expect(&m, ERR_SIGNATURE);
    m = good();
    m.holding.type = OBJECT_PRESENCE; /* a custody is no presence */
    expect(&m, ERR_SIGNATURE);
    m = good();
    m.holding.edge_credential = flipped(m.holding.edge_credential);
    expect(&m, ERR_SIGNATURE);
    m.holding.edge_credential = member_credential(&edge1);
    expect(&m, ERR_SIGNATURE);
    m = good();
    m.holding.object.len = 0;
    expect(&m, ERR_FORMAT);
}

static void test_holding_of_others(void **state)
{
    (void)state;
    struct db_update m = good();
    struct holding h = holding_of(film, &edge1);
    m.holding = row_of(&h, OBJECT_CUSTODY, &edge2); /* edge2 speaks of edge1 */
    expect(&m, ERR_UNAUTHORIZED);
    struct member streamer;
    member_make("edge2", CREDENTIAL_STREAMER, &streamer);
    h = holding_of(film, &streamer);
    m.holding = row_of(&h, OBJECT_CUSTODY, &streamer);
    expect(&m, ERR_UNAUTHORIZED);
    h = holding_of(film, &edge2);
    memcpy(h.zone_id.s, "zone2", 6);
    m.holding = row_of(&h, OBJECT_CUSTODY, &edge2);
    expect(&m, ERR_UNAUTHORIZED);
    h = holding_of(other, &edge2); /* of another take */
    m.holding = row_of(&h, OBJECT_CUSTODY, &edge2);
    expect(&m, ERR_FORMAT);
    h = holding_of(film, &edge2);
    h.streamer_id = bob.id;
    m.holding = row_of(&h, OBJECT_CUSTODY, &edge2);
    expect(&m, ERR_FORMAT);
}

/* ---- deletions and bundles ---- */

static struct slice deletion_by(const struct member *signer, const struct member *streamer)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct deletion d = {.zone_id = film->video.zone_id,
                         .video_id = film->video.video_id,
                         .streamer_id = streamer->id,
                         .revision_us = REEL_UTC_US + 7};
    deletion_encode(&d, &w);
    return reel_object(&arena, OBJECT_DELETION, &w, &signer->key);
}

static void expect_deletion(struct slice deletion, struct slice credential, enum err err)
{
    struct storage_row row = {.only_resume = true};
    assert_string_equal(err_name(row_from_deletion(deletion, credential, view, &row)),
                        err_name(err));
    assert_int_equal(row.only_resume, err != ERR_OK);
}

static void test_deletion(void **state)
{
    (void)state;
    struct storage_row row;
    struct slice deletion = deletion_by(&alice, &alice);
    assert_int_equal(row_from_deletion(deletion, member_credential(&alice), view, &row), ERR_OK);
    assert_true(row.has_deletion && !row.has_video && !row.has_holding);
    assert_true(id_eq(&row.video.video_id, &film->video.video_id));
    assert_true(id_eq(&row.video.streamer_id, &alice.id));
    assert_int_equal(row.video.revision_us, REEL_UTC_US + 7);
    assert_true(slice_eq(row.statement, deletion));
    assert_true(slice_eq(row.credential, member_credential(&alice)));
    struct hash hash =
        object_hash(OBJECT_DELETION, slice_of(deletion.ptr, deletion.len - SIGNATURE_BYTES));
    assert_true(hash_eq(&row.statement_hash, &hash));

    struct db_update m = {.removal = true, .deletion = deletion};
    m.credential = member_credential(&alice);
    assert_int_equal(row_from_update(&m, view, &row), ERR_OK);
    assert_true(row.has_deletion);
    m.credential = (struct slice){0};
    assert_int_equal(row_from_update(&m, view, &row), ERR_SIGNATURE);
}

static void test_deletion_of_others(void **state)
{
    (void)state;
    struct slice good = deletion_by(&alice, &alice);
    expect_deletion(good, member_credential(&alice), ERR_OK);
    expect_deletion(good, member_credential(&bob), ERR_SIGNATURE);
    expect_deletion(flipped(good), member_credential(&alice), ERR_SIGNATURE);
    expect_deletion(good, flipped(member_credential(&alice)), ERR_SIGNATURE);
    expect_deletion(slice_of(good.ptr, 20), member_credential(&alice), ERR_FORMAT);
    expect_deletion(deletion_by(&bob, &alice), member_credential(&bob), ERR_UNAUTHORIZED);
    struct member edge; /* an edge deletes nothing */
    member_make("alice", CREDENTIAL_EDGE, &edge);
    expect_deletion(deletion_by(&edge, &alice), member_credential(&edge), ERR_UNAUTHORIZED);
    /* Without a credential it is the zone that must have signed. */
    struct member zone;
    member_make("zone", CREDENTIAL_STREAMER, &zone); /* whose key is the zone's */
    expect_deletion(deletion_by(&zone, &alice), (struct slice){0}, ERR_OK);
    expect_deletion(good, (struct slice){0}, ERR_SIGNATURE);
    expect_deletion(deletion_by(&zone, &alice), member_credential(&alice), ERR_SIGNATURE);
    struct trust_view *empty = trust_view_new();
    struct storage_row row;
    assert_int_equal(row_from_deletion(good, member_credential(&alice), empty, &row),
                     ERR_NOT_READY);
    trust_view_unref(empty);
}

static struct bundle_claim claim_of(const struct reel *r)
{
    return (struct bundle_claim){.object = r->final_statement,
                                 .credential = member_credential(r->streamer),
                                 .manifest = r->manifest_bytes,
                                 .thumbnail = r->thumbnail};
}

static void test_bundle(void **state)
{
    (void)state;
    struct holding first = holding_of(film, &edge1), second = holding_of(other, &edge2);
    struct bundle_claim claims[] = {claim_of(film),
                                    claim_of(film),
                                    claim_of(other),
                                    claim_of(film),
                                    {.deleted = true,
                                     .object = deletion_by(&alice, &alice),
                                     .credential = member_credential(&alice)},
                                    {.deleted = true,
                                     .object = deletion_by(&alice, &alice),
                                     .credential = member_credential(&bob)}};
    struct holding_row holdings[] = {row_of(&first, OBJECT_CUSTODY, &edge1),
                                     row_of(&first, OBJECT_CUSTODY, &edge2),
                                     row_of(&second, OBJECT_PRESENCE, &edge2)};
    claims[1].thumbnail = slice_str("another");
    claims[3].credential = flipped(member_credential(&alice));
    struct bundle b = {
        .claims_n = 6, .claims = claims, .holdings_n = 3, .holdings = holdings, .skipped = 100};
    size_t n, skipped = 2;
    bool newer = false;
    const struct storage_row *rows = rows_from_bundle(&b, view, &arena, &n, &skipped, &newer);
    assert_int_equal(n, 5);
    assert_int_equal(skipped, 2 + 4); /* what the decoder left out the caller has counted */
    assert_true(rows[0].has_video && hash_eq(&rows[0].stream, &film->stream));
    assert_true(rows[1].has_video && hash_eq(&rows[1].stream, &other->stream));
    assert_true(rows[2].has_deletion && !rows[2].has_video);
    assert_true(rows[3].has_holding && !rows[3].has_video);
    assert_true(id_eq(&rows[3].holding.edge_id, &edge1.id));
    assert_true(rows[4].holding_row.type == OBJECT_PRESENCE && rows[4].holding.hlc == 9);
}

/* Rows by a later key of the zone are left out, and somebody is to ask for that key; by an older
 * one they count. */
static void test_bundle_of_two_keys(void **state)
{
    (void)state;
    struct member later;
    struct member_spec spec = {.kind = CREDENTIAL_STREAMER,
                               .not_before_us = REEL_UTC_US,
                               .not_after_us = REEL_UTC_US + REEL_DAY_US,
                               .epoch = 2};
    member_make_as("alice", &spec, &later);
    struct bundle_claim claims[] = {claim_of(film), claim_of(film)};
    claims[0].credential = member_credential(&later);
    struct bundle b = {.claims_n = 2, .claims = claims};
    size_t n, skipped = 0;
    bool newer = false;
    rows_from_bundle(&b, view, &arena, &n, &skipped, &newer);
    assert_true(newer && n == 1 && skipped == 1);
    struct zone_params zone;
    reel_zone_at(2, &zone);
    struct trust_view *rotated = trust_view_with_zone(view, &zone);
    newer = false;
    skipped = 0;
    rows_from_bundle(&b, rotated, &arena, &n, &skipped, &newer);
    assert_true(!newer && n == 2 && skipped == 0);
    trust_view_unref(rotated);
}

/* Many rows, more than the tables begin with, of one credential and of many. */
static void test_large_bundle(void **state)
{
    (void)state;
    enum { N = 100 };
    static struct member edges[N];
    struct bundle_claim claims[N];
    struct holding_row holdings[N];
    for (unsigned i = 0; i < N; i++) {
        char id[16];
        snprintf(id, sizeof(id), "edge-%u", i);
        member_make(id, CREDENTIAL_EDGE, &edges[i]);
        struct holding h = holding_of(film, &edges[i]);
        h.hlc = i;
        claims[i] = claim_of(film);
        holdings[i] = row_of(&h, OBJECT_CUSTODY, &edges[i]);
        if (i % 10 == 9)
            holdings[i].edge_credential = flipped(holdings[i].edge_credential);
    }
    struct bundle b = {.claims_n = N, .claims = claims, .holdings_n = N, .holdings = holdings};
    size_t n, skipped = 0;
    bool newer = false;
    const struct storage_row *rows = rows_from_bundle(&b, view, &arena, &n, &skipped, &newer);
    assert_int_equal(n, 2 * N - N / 10);
    assert_int_equal(skipped, N / 10);
    for (size_t i = N; i < n; i++)
        assert_int_equal(rows[i].holding.hlc, (i - N) + (i - N) / 9);
}

static void test_bundle_empty(void **state)
{
    (void)state;
    struct bundle b = {0};
    size_t n = 9, skipped = 0;
    bool newer = false;
    rows_from_bundle(&b, view, &arena, &n, &skipped, &newer);
    assert_true(n == 0 && skipped == 0);
    struct bundle_claim claim = claim_of(film);
    struct trust_view *empty = trust_view_new();
    b = (struct bundle){.claims_n = 1, .claims = &claim};
    rows_from_bundle(&b, empty, &arena, &n, &skipped, &newer);
    assert_true(n == 0 && skipped == 1);
    trust_view_unref(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_no_zone),
        cmocka_unit_test(test_video_corrupted),
        cmocka_unit_test(test_video_of_others),
        cmocka_unit_test(test_holding_corrupted),
        cmocka_unit_test(test_holding_of_others),
        cmocka_unit_test(test_deletion),
        cmocka_unit_test(test_deletion_of_others),
        cmocka_unit_test(test_bundle),
        cmocka_unit_test(test_bundle_of_two_keys),
        cmocka_unit_test(test_large_bundle),
        cmocka_unit_test(test_bundle_empty),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
