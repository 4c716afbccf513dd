/* What edges say to each other, and deletions: nobody speaks in another's name. */
#include "edge/decode.h"
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ASKING = 77 };

static struct member zone_key;
static struct decoder decoder;
static struct trust_view *view; /* knows the zone and edge2's key */
static struct sig_cache cache;
static struct reel *film;
static struct arena arena;

static int group_setup(void **state)
{
    scene_cast(state);
    decoder.self = stage_id("edge1");
    decoder.once = once_new();
    decoder.utc_us = REEL_UTC_US;
    member_make("zone", CREDENTIAL_STREAMER, &zone_key); /* whose key is the zone's */
    film = scene_small("video1");
    struct trust_view *zoned = scene_view();
    struct trusted_edge known = {edge2.id, edge2.key.pk};
    struct asked asked = {edge2.id, ASKING};
    struct trust_view *peered = trust_view_with_edge(zoned, &known);
    view = trust_view_with_asked(peered, &asked);
    trust_view_unref(zoned);
    trust_view_unref(peered);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    reel_free(film);
    once_free(decoder.once);
    trust_view_unref(view);
    arena_release(&arena);
    return 0;
}

static struct event *decoded(const char *topic, struct slice payload)
{
    return decode(&decoder, view, &cache, msg_new(slice_str(topic), payload, NULL));
}

static void expect_rejected(const char *topic, struct slice payload, enum err err,
                            const char *reply_id)
{
    struct event *ev = decoded(topic, payload);
    const struct rejection *r = &ev->u.rejection;
    if (ev->kind != EVENT_REJECTED || r->err != err)
        fail_msg("kind %d, %s, not %s: %s", ev->kind, err_name(r->err), err_name(err), r->what);
    assert_int_equal(r->answer, reply_id != NULL);
    if (reply_id)
        assert_true(slice_eq_str(r->reply_id, reply_id));
    event_free(ev);
}

static struct slice flipped(struct slice bytes)
{
    struct slice copy = arena_copy(&arena, bytes);
    ((uint8_t *)copy.ptr)[bytes.len - 1] ^= 1;
    return copy;
}

static struct slice signed_by(enum object_type type, const struct writer *w,
                              const struct member *by)
{
    return reel_object(&arena, type, w, &by->key);
}

static uint64_t said_us; /* of the last message that was signed */

/* Signed by an edge for another one, or for all ("" ), as never before. */
static struct slice peer_text(struct slice text, enum topic_kind topic, const struct member *by,
                              const char *to)
{
    struct id to_id = {0};
    if (*to)
        to_id = stage_id(to);
    said_us = said_us ? said_us + 1 : REEL_UTC_US;
    return reel_peer_text(&arena, text, topic, by, &to_id, said_us);
}

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

static struct node_status node_of(const struct member *edge)
{
    return (struct node_status){.zone_id = film->video.zone_id,
                                .edge_id = edge->id,
                                .state = 1,
                                .time_us = REEL_UTC_US,
                                .disk_free = 5};
}

static struct slice status_object(const struct node_status *s, const struct member *by)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    node_status_encode(s, &w);
    return signed_by(OBJECT_STATUS, &w, by);
}

static struct edge_status status_of(const struct member *edge)
{
    struct node_status node = node_of(edge);
    return (struct edge_status){
        .edge_id = edge->id, .online = true, .signed_status = status_object(&node, edge)};
}

/* Whether a status of edge2's topic, or edge3's, proves what it says. */
static bool verified(const struct edge_status *m)
{
    char topic[TOPIC_BUF_BYTES];
    topic_print(TOPIC_EDGE_STATUS, slice_str(""), id_slice(&m->edge_id), slice_str(""), topic);
    struct event *ev = decoded(topic, edge_status_encode(m, &arena));
    assert_int_equal(ev->kind, EVENT_EDGE_STATUS);
    bool ret = ev->u.status.verified;
    event_free(ev);
    return ret;
}

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

/* ---- deletion ---- */

static struct slice deletion_of(const struct member *by, const char *video, const char *streamer,
                                const char *zone)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct deletion d = {.zone_id = stage_id(zone),
                         .video_id = stage_id(video),
                         .streamer_id = stage_id(streamer),
                         .revision_us = REEL_UTC_US};
    deletion_encode(&d, &w);
    return signed_by(OBJECT_DELETION, &w, by);
}

static struct delete_request request_of(struct slice deletion)
{
    return (struct delete_request){.video_id = film->video.video_id,
                                   .streamer_id = alice.id,
                                   .credential = member_credential(&alice),
                                   .deletion = deletion};
}

static struct slice request_text(const struct delete_request *m, const char *target,
                                 const struct member *by)
{
    struct request_signer signer = {
        .target = slice_str(target), .ts_us = REEL_UTC_US, .key = &by->key};
    return delete_request_encode(m, &signer, &arena);
}

static struct slice good_deletion(void)
{
    return deletion_of(&alice, "video1", "alice", "zone1");
}

static void test_delete(void **state)
{
    (void)state;
    struct delete_request m = request_of(good_deletion());
    struct event *ev = decoded("video/delete/edge1", request_text(&m, "edge1", &alice));
    assert_int_equal(ev->kind, EVENT_DELETE);
    const struct verified_delete *v = &ev->u.delete;
    assert_false(v->by_zone);
    assert_true(id_eq(&v->credential.subject, &alice.id));
    assert_int_equal(v->deletion.revision_us, REEL_UTC_US);
    assert_int_equal(v->auth.ts_us, REEL_UTC_US);
    struct hash hash =
        object_hash(OBJECT_DELETION, slice_of(m.deletion.ptr, m.deletion.len - SIGNATURE_BYTES));
    assert_true(hash_eq(&v->deletion_hash, &hash));
    event_free(ev);
}

static void refused(const struct delete_request *m, enum err err)
{
    expect_rejected("video/delete/edge1", request_text(m, "edge1", &alice), err, "alice");
}

static void test_delete_of_others(void **state)
{
    (void)state;
    struct delete_request m = request_of(good_deletion());
    expect_rejected("video/delete/edge1", request_text(&m, "edge2", &alice), ERR_SIGNATURE,
                    "alice");
    m.client_id = slice_str("c1"); /* the zone's are answered there, a streamer's never */
    expect_rejected("video/delete/edge1", request_text(&m, "edge2", &alice), ERR_SIGNATURE,
                    "alice");
    m.client_id = (struct slice){0};
    expect_rejected("video/delete/edge1", request_text(&m, "edge1", &bob), ERR_SIGNATURE, "alice");
    expect_rejected("video/delete/edge1", delete_request_encode(&m, NULL, &arena), ERR_UNAUTHORIZED,
                    "alice");
    m.deletion = deletion_of(&bob, "video1", "alice", "zone1");
    refused(&m, ERR_SIGNATURE);
    m.deletion = deletion_of(&zone_key, "video1", "alice", "zone1"); /* not with a credential */
    refused(&m, ERR_SIGNATURE);
    m.deletion = deletion_of(&alice, "video2", "alice", "zone1");
    refused(&m, ERR_FORMAT);
    m.deletion = deletion_of(&alice, "video1", "bob", "zone1");
    refused(&m, ERR_FORMAT);
    m.deletion = deletion_of(&alice, "video1", "alice", "zone2");
    refused(&m, ERR_FORMAT);
    m.deletion = (struct slice){0};
    refused(&m, ERR_FORMAT);
    m = request_of(good_deletion());
    m.credential = flipped(m.credential);
    refused(&m, ERR_SIGNATURE);
    m.credential = member_credential(&bob); /* bob deletes what is alice's */
    m.deletion = deletion_of(&bob, "video1", "alice", "zone1");
    expect_rejected("video/delete/edge1", request_text(&m, "edge1", &bob), ERR_UNAUTHORIZED,
                    "alice");
    struct member edge;
    member_make("alice", CREDENTIAL_EDGE, &edge);
    m.credential = member_credential(&edge);
    m.deletion = deletion_of(&edge, "video1", "alice", "zone1");
    expect_rejected("video/delete/edge1", request_text(&m, "edge1", &edge), ERR_UNAUTHORIZED,
                    "alice");
    struct trust_view *full = view;
    view = trust_view_new();
    m = request_of(good_deletion());
    refused(&m, ERR_NOT_READY);
    trust_view_unref(view);
    view = full;
}

/* The zone's word needs no request of its own: it is signed, and says all that there is to say. */
static void test_delete_by_the_zone(void **state)
{
    (void)state;
    struct delete_request m = request_of(deletion_of(&zone_key, "video1", "alice", "zone1"));
    m.credential = (struct slice){0};
    m.client_id = slice_str("c1");
    struct event *ev = decoded("video/delete/edge1", delete_request_encode(&m, NULL, &arena));
    assert_int_equal(ev->kind, EVENT_DELETE);
    assert_true(ev->u.delete.by_zone && slice_eq_str(ev->u.delete.request.client_id, "c1"));
    event_free(ev);
    m.deletion = good_deletion(); /* which only alice's credential may go with */
    expect_rejected("video/delete/edge1", delete_request_encode(&m, NULL, &arena), ERR_SIGNATURE,
                    "c1");
    m.deletion = deletion_of(&zone_key, "video1", "alice", "zone2");
    expect_rejected("video/delete/edge1", delete_request_encode(&m, NULL, &arena), ERR_FORMAT,
                    "c1");
    m.client_id = (struct slice){0};
    expect_rejected("video/delete/edge1", delete_request_encode(&m, NULL, &arena), ERR_FORMAT,
                    "alice");
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
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_delete_of_others),
        cmocka_unit_test(test_delete_by_the_zone),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
