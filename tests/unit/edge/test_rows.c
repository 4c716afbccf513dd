/* Catalogue rows from elsewhere: nobody says what only another may say. */
#include "edge/rows.h"
#include "tests/unit/edge/reel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

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

static struct catalogue_row catalogue_row(const struct reel *r)
{
    return (struct catalogue_row){.video_id = r->video.video_id,
                                  .thumbnail = r->thumbnail,
                                  .streamer_id = r->streamer->id,
                                  .statement = r->final_statement,
                                  .credential = member_credential(r->streamer),
                                  .manifest = r->manifest_bytes};
}

static void test_reply(void **state)
{
    (void)state;
    struct holding first = holding_of(film, &edge1);
    struct holding second = holding_of(film, &edge2);
    struct catalogue_row rows[4] = {catalogue_row(film), catalogue_row(film), catalogue_row(film),
                                    catalogue_row(other)};
    struct holding_row holdings[3];
    struct holding_row others[2];
    rows[0].holdings = holdings;
    rows[1].holdings = others;
    rows[0].holdings_n = 3; /* good, good, wrong */
    rows[0].holdings[0] = row_of(&first, OBJECT_CUSTODY, &edge1);
    rows[0].holdings[1] = row_of(&second, OBJECT_CUSTODY, &edge2);
    rows[0].holdings[2] = row_of(&second, OBJECT_CUSTODY, &edge1);
    rows[1].holdings_n = 2; /* wrong, good */
    rows[1].holdings[0] = row_of(&first, OBJECT_CUSTODY, &edge2);
    rows[1].holdings[1] = row_of(&second, OBJECT_CUSTODY, &edge2);
    rows[2].statement = flipped(rows[2].statement);
    struct db_reply m = {.n = 4, .rows = rows};
    size_t n;
    size_t skipped = 5;
    const struct storage_row *out = rows_from_reply(&m, view, &arena, &n, &skipped);
    assert_int_equal(n, 5);
    assert_int_equal(skipped, 5 + 3);
    assert_true(out[0].has_video && out[0].has_holding);
    assert_true(id_eq(&out[0].holding.edge_id, &edge1.id));
    assert_true(!out[1].has_video && out[1].has_holding);
    assert_true(id_eq(&out[1].holding.edge_id, &edge2.id));
    assert_true(out[2].has_video && !out[2].has_holding);
    assert_true(!out[3].has_video && id_eq(&out[3].holding.edge_id, &edge2.id));
    assert_true(out[4].has_video && hash_eq(&out[4].stream, &other->stream));
}

static void test_reply_empty(void **state)
{
    (void)state;
    struct db_reply m = {0};
    size_t n = 9;
    size_t skipped = 0;
    rows_from_reply(&m, view, &arena, &n, &skipped);
    assert_true(n == 0 && skipped == 0);
    struct catalogue_row row = catalogue_row(film);
    struct trust_view *empty = trust_view_new();
    m = (struct db_reply){.n = 1, .rows = &row};
    rows_from_reply(&m, empty, &arena, &n, &skipped);
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
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_reply_empty),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
