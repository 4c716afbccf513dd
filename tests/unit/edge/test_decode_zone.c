/* Deletions, and what the zone says: its list of who is revoked, and its next key. */
#include "tests/unit/edge/decode_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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

/* ---- the zone's key, and who is revoked ---- */

/* The zone as it is in an epoch of its key is what messages are verified against, for a while. */
static struct trust_view *seen_at(uint32_t epoch)
{
    struct trust_view *before = view;
    struct zone_params zone;
    reel_zone_at(epoch, &zone);
    view = trust_view_with_zone(before, &zone);
    return before;
}

static void seen_again(struct trust_view *before)
{
    trust_view_unref(view);
    view = before;
}

static struct slice list_text(const struct reel_list *list)
{
    struct revocations_message m = {.revocations = reel_revocations(list, &arena)};
    return revocations_message_encode(&m, &arena);
}

static void test_revocations(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, REVOCATIONS_MAX};
    struct revocation *entries = test_calloc(REVOCATIONS_MAX, sizeof(*entries));
    for (uint32_t i = 0; i < REVOCATIONS_MAX; i++)
        entries[i] = (struct revocation){i + 1, REEL_UTC_US};
    for (size_t i = 0; i < 3; i++) {
        struct slice text =
            list_text(&(struct reel_list){.number = 9, .n = sizes[i], .entries = entries});
        assert_true(text.len <= PACKET_BYTES_MAX);
        struct event *ev = decoded("auth/revocations", text);
        assert_int_equal(ev->kind, EVENT_REVOCATIONS);
        assert_int_equal(ev->u.revocations.list.n, sizes[i]);
        assert_int_equal(ev->u.revocations.list.number, 9);
        assert_false(ev->newer_zone);
        event_free(ev);
    }
    test_free(entries);
}

/* Of another key, of an older key, or changed: none of ours. Of a later one: to be asked for. */
static void test_revocations_refused(void **state)
{
    (void)state;
    struct slice good = reel_revocations(&(struct reel_list){.number = 9}, &arena);
    struct slice bad[] = {flipped(good), slice_of(good.ptr, good.len - 1), slice_str("x")};
    for (size_t i = 0; i < 3; i++) {
        struct revocations_message m = {.revocations = bad[i]};
        expect_rejected("auth/revocations", revocations_message_encode(&m, &arena),
                        ERR_UNAUTHORIZED, NULL);
    }
    expect_rejected("auth/revocations", slice_str("{}"), ERR_UNAUTHORIZED, NULL);
    struct slice later = list_text(&(struct reel_list){.epoch = 2, .number = 9});
    struct event *ev = decoded("auth/revocations", later);
    assert_int_equal(ev->kind, EVENT_REJECTED);
    assert_true(ev->newer_zone);
    event_free(ev);
    struct trust_view *before = seen_at(2);
    ev = decoded("auth/revocations", later);
    assert_int_equal(ev->kind, EVENT_REVOCATIONS);
    event_free(ev);
    expect_rejected("auth/revocations", list_text(&(struct reel_list){.number = 10}),
                    ERR_UNAUTHORIZED, NULL);
    seen_again(before);
    before = view;
    view = trust_view_new();
    ev = decoded("auth/revocations", later);
    assert_true(ev->kind == EVENT_REJECTED && !ev->newer_zone); /* it is asking already */
    event_free(ev);
    seen_again(before);
}

static struct member made_at(const char *id, enum credential_kind kind, uint32_t epoch)
{
    struct member m;
    struct member_spec spec = {.kind = kind,
                               .not_before_us = REEL_UTC_US - REEL_DAY_US,
                               .not_after_us = REEL_UTC_US + REEL_DAY_US,
                               .epoch = epoch};
    member_make_as(id, &spec, &m);
    return m;
}

/* After a rotation what the older keys signed counts on. */
static void test_after_a_rotation(void **state)
{
    (void)state;
    struct trust_view *before = seen_at(3);
    struct edge_status status = status_of(&edge3);
    status.credential = member_credential(&edge3);
    assert_true(verified(&status));
    struct delete_request m = request_of(good_deletion());
    struct event *ev = decoded("video/delete/edge1", request_text(&m, "edge1", &alice));
    assert_int_equal(ev->kind, EVENT_DELETE);
    event_free(ev);
    struct member second;
    member_make("zone2", CREDENTIAL_STREAMER, &second); /* the zone's second key */
    const struct member *keys[] = {&zone_key, &second};
    for (size_t i = 0; i < 2; i++) {
        m = request_of(deletion_of(keys[i], "video1", "alice", "zone1"));
        m.credential = (struct slice){0};
        m.client_id = slice_str("c1");
        ev = decoded("video/delete/edge1", delete_request_encode(&m, NULL, &arena));
        assert_true(ev->kind == EVENT_DELETE && ev->u.delete.by_zone);
        event_free(ev);
    }
    seen_again(before);
}

/* Before an edge has heard of a rotation it believes nothing of the new key, and says so. */
static void test_before_it_hears_of_a_rotation(void **state)
{
    (void)state;
    struct member later_alice = made_at("alice", CREDENTIAL_STREAMER, 2);
    struct member later_edge = made_at("edge3", CREDENTIAL_EDGE, 2);
    struct delete_request m = request_of(good_deletion());
    m.credential = member_credential(&later_alice);
    struct event *ev = decoded("video/delete/edge1", request_text(&m, "edge1", &alice));
    assert_int_equal(ev->kind, EVENT_REJECTED);
    assert_int_equal(ev->u.rejection.err, ERR_NOT_READY);
    assert_true(ev->newer_zone && ev->u.rejection.answer);
    event_free(ev);
    struct edge_status status = status_of(&later_edge);
    status.credential = member_credential(&later_edge);
    ev = decoded("edge/status/edge3", edge_status_encode(&status, &arena));
    assert_true(ev->kind == EVENT_EDGE_STATUS && !ev->u.status.verified && ev->newer_zone);
    event_free(ev);
    struct db_update row = {.video_id = film->video.video_id,
                            .thumbnail = film->thumbnail,
                            .streamer_id = alice.id,
                            .edge_id = edge2.id,
                            .statement = film->final_statement,
                            .credential = member_credential(&later_alice),
                            .manifest = film->manifest_bytes};
    ev = decoded("db/update", db_update_encode(&row, &arena));
    assert_true(ev->kind == EVENT_REJECTED && ev->newer_zone);
    event_free(ev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_delete_of_others),
        cmocka_unit_test(test_delete_by_the_zone),
        cmocka_unit_test(test_revocations),
        cmocka_unit_test(test_revocations_refused),
        cmocka_unit_test(test_after_a_rotation),
        cmocka_unit_test(test_before_it_hears_of_a_rotation),
    };
    return cmocka_run_group_tests(tests, decode_setup, decode_teardown);
}
