/* What edges say to each other: nobody speaks in another's name. */
#include "tests/unit/edge/decode_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void expect_peer_refused(const char *topic, struct slice payload, const char *what)
{
    struct event *ev = decoded(topic, payload);
    assert_int_equal(ev->kind, EVENT_REJECTED);
    if (!ev->u.rejection.of_peer || strcmp(ev->u.rejection.what, what) != 0)
        fail_msg("%s, not %s", ev->u.rejection.what, what);
    event_free(ev);
}

static const char unsigned_[] = "no edge signed it",
                  unknown[] = "of an edge whose credential was "
                              "not seen",
                  again[] = "of another time, or said before",
                  forged[] = "not signed by the edge that it names",
                  unasked[] = "a page that nobody asked for";

/* ---- status ---- */

static void test_status_of_a_known_edge(void **state)
{
    (void)state;
    struct edge_status m = status_of(&edge2);
    struct event *ev = decoded("edge/status/edge2", edge_status_encode(&m, &arena));
    assert_int_equal(ev->kind, EVENT_EDGE_STATUS);
    const struct verified_status *v = &ev->u.status;
    assert_true(v->verified && pubkey_eq(&v->pk, &edge2.key.pk));
    assert_int_equal(v->node.disk_free, 5);
    assert_true(v->serial == 0 && v->not_after_us == 0);
    event_free(ev);
    m.signed_status = flipped(m.signed_status);
    assert_false(verified(&m));
    m.signed_status = (struct slice){0}; /* a last will */
    assert_false(verified(&m));
    m.online = false;
    assert_false(verified(&m));
}

static void test_status_with_a_credential(void **state)
{
    (void)state;
    struct edge_status m = status_of(&edge3);
    assert_false(verified(&m)); /* nobody has heard of it */
    m.credential = member_credential(&edge3);
    struct event *ev = decoded("edge/status/edge3", edge_status_encode(&m, &arena));
    const struct verified_status *v = &ev->u.status;
    assert_true(v->verified && pubkey_eq(&v->pk, &edge3.key.pk));
    assert_true(v->not_after_us > REEL_UTC_US);
    event_free(ev);
    m.credential = flipped(m.credential);
    assert_false(verified(&m));
    m.credential = member_credential(&edge2);
    assert_false(verified(&m));
    struct member streamer; /* a streamer is no edge */
    member_make("edge3", CREDENTIAL_STREAMER, &streamer);
    m.credential = member_credential(&streamer);
    assert_false(verified(&m));
    m = status_of(&edge2); /* known, but what it shows must hold all the same */
    m.credential = member_credential(&edge3);
    assert_false(verified(&m));
}

static void test_status_of_others(void **state)
{
    (void)state;
    struct edge_status m = status_of(&edge2);
    struct node_status node = node_of(&edge2);
    m.signed_status = status_object(&node, &edge3);
    assert_false(verified(&m));
    node = node_of(&edge3); /* edge2 signs that edge3 is there */
    m.signed_status = status_object(&node, &edge2);
    assert_false(verified(&m));
    node = node_of(&edge2);
    node.zone_id = stage_id("zone2");
    m.signed_status = status_object(&node, &edge2);
    assert_false(verified(&m));
    node = node_of(&edge2);
    node.state = 0;
    m.signed_status = status_object(&node, &edge2);
    assert_false(verified(&m));
    m.online = false;
    assert_true(verified(&m));
    struct trust_view *full = view;
    m = status_of(&edge3);
    m.credential = member_credential(&edge3);
    view = trust_view_new();
    assert_false(verified(&m));
    trust_view_unref(view);
    view = full;
    expect_rejected("edge/status/edge2", edge_status_encode(&m, &arena), ERR_FORMAT, NULL);
}

/* ---- rows ---- */

static struct slice bundle_of(const char *kind)
{
    struct holding h = {.zone_id = film->video.zone_id,
                        .edge_id = edge2.id,
                        .video_id = film->video.video_id,
                        .streamer_id = alice.id,
                        .stream = film->stream,
                        .state = 1,
                        .hlc = 9};
    struct bundle_claim claim = {.object = film->final_statement,
                                 .credential = member_credential(&alice),
                                 .manifest = film->manifest_bytes,
                                 .thumbnail = film->thumbnail};
    struct holding_row holding = {OBJECT_CUSTODY,
                                  reel_holding_object(&arena, OBJECT_CUSTODY, &h, &edge2.key),
                                  member_credential(&edge2)};
    struct bundle_out *b = bundle_start(&arena);
    assert_true(bundle_add_claim(b, &claim));
    claim.object = flipped(claim.object);
    assert_true(bundle_add_claim(b, &claim) && bundle_add_holding(b, &holding));
    if (strcmp(kind, "db") == 0)
        return bundle_end_db(b, &edge2.id, ASKING, 2, 3);
    if (strcmp(kind, "update") == 0)
        return bundle_end_update(b, &edge2.id);
    return bundle_end_sync(b, &edge2.id);
}

static void expect_rows(const char *topic, struct slice payload)
{
    struct event *ev = decoded(topic, payload);
    assert_int_equal(ev->kind, EVENT_DB_ROWS);
    assert_int_equal(ev->u.db_rows.n, 2);
    assert_int_equal(ev->u.db_rows.skipped, 1);
    assert_true(ev->u.db_rows.rows[0].has_video && ev->u.db_rows.rows[1].has_holding);
    event_free(ev);
}

static struct slice update(void)
{
    return peer_text(bundle_of("update"), TOPIC_DB_UPDATE, &edge2, "");
}

static struct slice rows(void)
{
    return peer_text(bundle_of("sync"), TOPIC_DB_SYNC, &edge2, "edge1");
}

static struct slice page(void)
{
    return peer_text(bundle_of("db"), TOPIC_DB_REPLY, &edge2, "edge1");
}

static void test_rows(void **state)
{
    (void)state;
    expect_rows("db/update", update());
    expect_rows("db/sync/edge1", rows());
    expect_rejected("db/sync/edge2", rows(), ERR_FORMAT, NULL);
    struct slice other = peer_text(bundle_of("db"), TOPIC_DB_SYNC, &edge2, "edge1");
    expect_rejected("db/sync/edge1", other, ERR_FORMAT, NULL);
    other = slice_str("{\"status\":\"lot\",\"EDGE_ID\":\"edge2\",\"claims\":[3]}");
    expect_rejected("db/update", peer_text(other, TOPIC_DB_UPDATE, &edge2, ""), ERR_FORMAT, NULL);
    struct event *ev = decoded("db/edge1", page());
    assert_int_equal(ev->kind, EVENT_DB_REPLY);
    assert_true(ev->u.db_reply.n == 2 && ev->u.db_reply.skipped == 1);
    assert_true(ev->u.db_reply.page == 2 && ev->u.db_reply.pages == 3);
    assert_true(ev->u.db_reply.asking == ASKING && id_eq(&ev->u.db_reply.from, &edge2.id));
    event_free(ev);
    expect_rejected("db/edge2", page(), ERR_FORMAT, NULL);
    other = slice_str("{\"EDGE_ID\":\"edge2\",\"asking\":77,\"claims\":[]}"); /* no page */
    expect_rejected("db/edge1", peer_text(other, TOPIC_DB_REPLY, &edge2, "edge1"), ERR_FORMAT,
                    NULL);
}

/* ---- who says it ---- */

static void test_nobody_signed(void **state)
{
    (void)state;
    expect_peer_refused("db/update", bundle_of("update"), unsigned_);
    expect_peer_refused("db/sync/edge1", bundle_of("sync"), unsigned_);
    expect_peer_refused("db/sync/edge1", slice_str("{}"), unsigned_);
    expect_peer_refused("db/edge1", bundle_of("db"), unsigned_);
    expect_peer_refused("db/edge1", slice_str("{\"streamers\":\"\"}"), unsigned_);
    struct db_request m = {.edge_id = edge2.id, .bundle = true};
    expect_peer_refused("db", db_request_encode(&m, &arena), unsigned_);
    struct event *ev =
        decoded("db", peer_text(db_request_encode(&m, &arena), TOPIC_DB, &edge2, ""));
    assert_true(ev->kind == EVENT_DB_REQUEST && ev->u.db_request.bundle);
    event_free(ev);
    m.bundle = false; /* the original's */
    ev = decoded("db", db_request_encode(&m, &arena));
    assert_int_equal(ev->kind, EVENT_DB_REQUEST);
    event_free(ev);
}

static void test_somebody_else_signed(void **state)
{
    (void)state;
    struct slice text = bundle_of("update");
    expect_peer_refused("db/update", peer_text(text, TOPIC_DB_UPDATE, &edge3, ""), forged);
    expect_peer_refused("db/update", peer_text(text, TOPIC_DB_SYNC, &edge2, ""), forged);
    expect_peer_refused("db/update", peer_text(text, TOPIC_DB_UPDATE, &edge2, "edge1"), forged);
    text = bundle_of("sync");
    expect_peer_refused("db/sync/edge1", peer_text(text, TOPIC_DB_SYNC, &edge2, "edge3"), forged);
    expect_peer_refused("db/sync/edge1", peer_text(text, TOPIC_DB_SYNC, &edge2, ""), forged);
    text = slice_str("{\"EDGE_ID\":\"edge3\",\"sync\":\"want\"}");
    expect_peer_refused("db/sync/edge1", peer_text(text, TOPIC_DB_SYNC, &edge3, "edge1"), unknown);
    text = slice_str("{\"EDGE_ID\":\"edge1\",\"sync\":\"want\"}");
    expect_peer_refused("db/sync/edge1", peer_text(text, TOPIC_DB_SYNC, &edge1, "edge1"),
                        "in the name of this edge");
    text =
        slice_str("{\"EDGE_ID\":\"edge1\",\"status\":\"lot\",\"claims\":[]}"); /* ours comes back */
    struct event *ev = decoded("db/update", peer_text(text, TOPIC_DB_UPDATE, &edge1, ""));
    assert_int_equal(ev->kind, EVENT_TICK);
    event_free(ev);
    struct db_request m = {.edge_id = edge3.id, .bundle = true};
    text = db_request_encode(&m, &arena);
    expect_peer_refused("db", peer_text(text, TOPIC_DB, &edge2, ""), unknown);
}

/* Wherever a byte is another one, nobody said it. */
static void test_tampered_with(void **state)
{
    (void)state;
    struct slice good = page();
    for (size_t i = 0; i < good.len; i += i < good.len - 120 ? 97 : 1) {
        struct slice bad = arena_copy(&arena, good);
        ((uint8_t *)bad.ptr)[i] ^= 1;
        struct event *ev = decoded("db/edge1", bad);
        assert_true(ev->kind == EVENT_REJECTED && ev->u.rejection.of_peer);
        event_free(ev);
    }
    struct event *ev = decoded("db/edge1", good);
    assert_int_equal(ev->kind, EVENT_DB_REPLY);
    event_free(ev);
}

static void test_said_once(void **state)
{
    (void)state;
    struct slice first = rows();
    struct slice second = rows();
    expect_rows("db/sync/edge1", second);
    expect_rows("db/sync/edge1", first); /* overtaken */
    expect_peer_refused("db/sync/edge1", first, again);
    expect_peer_refused("db/sync/edge1", second, again);
    struct slice third = rows();
    decoder.utc_us = said_us + PEER_WINDOW_US + 1;
    expect_peer_refused("db/sync/edge1", third, again);
    decoder.utc_us = said_us - PEER_WINDOW_US - 1;
    expect_peer_refused("db/sync/edge1", third, again);
    decoder.utc_us = said_us + PEER_WINDOW_US;
    expect_rows("db/sync/edge1", third);
    decoder.utc_us = REEL_UTC_US;
}

/* A page of another asking, or of whom nobody asks, is not looked at. */
static void test_asked(void **state)
{
    (void)state;
    struct trust_view *full = view;
    struct asked others[] = {{edge2.id, ASKING + 1}, {edge3.id, ASKING}, {edge2.id, 0}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        view = trust_view_with_asked(full, &others[i]);
        expect_peer_refused("db/edge1", page(), unasked);
        trust_view_unref(view);
    }
    view = trust_view_new();
    expect_peer_refused("db/sync/edge1", rows(), unknown); /* not enrolled yet */
    trust_view_unref(view);
    view = full;
}

/* ---- db/sync ---- */

static struct slice sync_text(const struct sync_message *m, const struct member *by)
{
    return peer_text(sync_message_encode(m, &arena), TOPIC_DB_SYNC, by, "edge1");
}

static void test_sync(void **state)
{
    (void)state;
    struct sync_node node = {.depth = 0};
    struct sync_message m = {.kind = SYNC_DIGESTS,
                             .edge_id = edge2.id,
                             .horizon_us = REEL_UTC_US,
                             .u.digests = {1, &node}};
    struct event *ev = decoded("db/sync/edge1", sync_text(&m, &edge2));
    assert_int_equal(ev->kind, EVENT_DB_SYNC);
    assert_int_equal(ev->u.db_sync.message.horizon_us, REEL_UTC_US);
    assert_false(ev->u.db_sync.proved);
    event_free(ev);
    expect_rejected("db/sync/edge3", sync_text(&m, &edge2), ERR_FORMAT, NULL);
    struct slice nothing = slice_str("{\"EDGE_ID\":\"edge2\"}");
    expect_rejected("db/sync/edge1", peer_text(nothing, TOPIC_DB_SYNC, &edge2, "edge1"), ERR_FORMAT,
                    NULL);
}

static struct possession possession_of(void)
{
    return (struct possession){.zone_id = film->video.zone_id,
                               .edge_id = edge2.id,
                               .asker_id = decoder.self,
                               .stream = film->stream,
                               .n = 1};
}

static bool proved(const struct possession *p, const struct member *by, const struct member *sender)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    possession_encode(p, &w);
    struct sync_message m = {.kind = SYNC_PROOF,
                             .edge_id = sender->id,
                             .u.proof = {film->video.video_id, signed_by(OBJECT_PROOF, &w, by)}};
    struct event *ev = decoded("db/sync/edge1", sync_text(&m, sender));
    bool ret = ev->kind == EVENT_DB_SYNC && ev->u.db_sync.proved;
    if (ret)
        assert_true(hash_eq(&ev->u.db_sync.possession.stream, &film->stream));
    event_free(ev);
    return ret;
}

static void test_proof(void **state)
{
    (void)state;
    struct possession p = possession_of();
    assert_true(proved(&p, &edge2, &edge2));
    assert_false(proved(&p, &edge3, &edge2)); /* another signs */
    assert_false(proved(&p, &edge2, &edge3)); /* another passes it on */
    p.edge_id = edge3.id;
    assert_false(proved(&p, &edge2, &edge2));
    assert_false(proved(&p, &edge3, &edge3)); /* an edge that nobody has heard of */
    p = possession_of();
    p.asker_id = edge3.id; /* made for somebody else */
    assert_false(proved(&p, &edge2, &edge2));
    p = possession_of();
    p.zone_id = stage_id("zone2");
    assert_false(proved(&p, &edge2, &edge2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_of_a_known_edge),
        cmocka_unit_test(test_status_with_a_credential),
        cmocka_unit_test(test_status_of_others),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_nobody_signed),
        cmocka_unit_test(test_somebody_else_signed),
        cmocka_unit_test(test_tampered_with),
        cmocka_unit_test(test_said_once),
        cmocka_unit_test(test_asked),
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_proof),
    };
    return cmocka_run_group_tests(tests, decode_setup, decode_teardown);
}
