/* Who is revoked: the list, and what ends by it at once. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { EDGE2 = 22, FAR_MANY = 150 };

/* The list of this number names one serial, from the beginning on. */
static struct event *list_of(uint64_t number, uint64_t serial)
{
    struct revocation entry = {.serial = serial, .since_us = REEL_UTC_US};
    return stage_revocations_event(
        &(struct reel_list){.number = number, .n = serial != 0, .entries = &entry});
}

static void revoke(struct stage *s, uint64_t number, uint64_t serial)
{
    stage_do(s, list_of(number, serial));
}

static uint64_t number_of(const struct stage *s)
{
    return s->core->revoked.list.number;
}

/* ---- the list ---- */

static uint64_t kept_number(const struct stage *s)
{
    struct slice body;
    struct signature sig;
    struct revocations list;
    struct slice kept = memory_store_meta(s->store, "revocations");
    if (!kept.len)
        return 0;
    assert_int_equal(signed_split(kept, &body, &sig), ERR_OK);
    assert_int_equal(revocations_decode(body, &list), ERR_OK);
    return list.number;
}

static void test_list_of(void **state)
{
    struct stage *s = *state;
    static const uint32_t sizes[] = {0, 1, REVOCATIONS_MAX};
    struct revocation *entries = test_calloc(REVOCATIONS_MAX, sizeof(*entries));
    for (uint32_t i = 0; i < REVOCATIONS_MAX; i++)
        entries[i] = (struct revocation){1000 + 3 * i, REEL_UTC_US};
    assert_false(core_revoked(s->core, 1000));
    for (size_t i = 0; i < 3; i++) {
        stage_do(s, stage_revocations_event(
                        &(struct reel_list){.number = i + 1, .n = sizes[i], .entries = entries}));
        assert_int_equal(number_of(s), i + 1);
        assert_int_equal(kept_number(s), i + 1);
        assert_int_equal(core_revoked(s->core, 1000), sizes[i] > 0);
        assert_int_equal(core_revoked(s->core, 1000 + 3 * (REVOCATIONS_MAX - 1)),
                         sizes[i] == REVOCATIONS_MAX);
        assert_false(core_revoked(s->core, 1001));
        assert_false(core_revoked(s->core, 0) || core_revoked(s->core, UINT64_MAX));
    }
    assert_int_equal(core_counter(s->core, COUNT_revocations_taken), 3);
    stage_restart(s);
    assert_int_equal(number_of(s), 3);
    assert_true(core_revoked(s->core, 1003));
    test_free(entries);
}

static void test_never_goes_back(void **state)
{
    struct stage *s = *state;
    revoke(s, 5, ALICE);
    revoke(s, 4, 0);
    assert_int_equal(number_of(s), 5);
    assert_int_equal(core_counter(s->core, COUNT_revocations_refused), 1);
    stage_do(
        s, stage_revocations_event(&(struct reel_list){.number = 5, .issued_us = REEL_UTC_US - 1}));
    assert_true(core_revoked(s->core, ALICE)); /* the same number, of before */
    stage_restart(s);
    revoke(s, 4, 0);
    assert_int_equal(number_of(s), 5);
    assert_true(core_revoked(s->core, ALICE));
    revoke(s, 6, BOB);
    assert_true(core_revoked(s->core, BOB) && !core_revoked(s->core, ALICE));
}

/* auth_edge's clock was a year ahead: once it is right again, auth_edge is there, and says so. */
static void test_issued_by_a_clock_that_was_ahead(void **state)
{
    struct stage *s = *state;
    struct revocation entry = {.serial = ALICE, .since_us = REEL_UTC_US};
    struct reel_list l = {
        .number = 5, .issued_us = s->utc_us + 365 * REEL_DAY_US, .n = 1, .entries = &entry};
    stage_do(s, stage_revocations_event(&l));
    assert_true(core_revoked(s->core, ALICE));
    stage_pass(s, 40 * STAGE_S);
    assert_true(revocation_contact(s->core).away);
    l.issued_us = s->utc_us - 2 * TIME_WINDOW_US; /* an old one, again */
    stage_do(s, stage_revocations_event(&l));
    assert_true(revocation_contact(s->core).away);
    l.issued_us = s->utc_us;
    l.n = 0; /* says something else under that number */
    stage_do(s, stage_revocations_event(&l));
    assert_true(core_revoked(s->core, ALICE));
    l.n = 1;
    stage_do(s, stage_revocations_event(&l));
    assert_int_equal(s->core->revoked.list.issued_us, s->utc_us);
    assert_false(revocation_contact(s->core).away);
    assert_true(core_revoked(s->core, ALICE));
}

/* Every ten seconds a list comes that says the same: it is not written each time. */
static void test_kept_when_it_changes(void **state)
{
    struct stage *s = *state;
    revoke(s, 1, ALICE);
    struct slice first = arena_copy(&s->arena, memory_store_meta(s->store, "revocations"));
    stage_pass(s, 10 * STAGE_S);
    stage_do(s, stage_revocations_event(&(struct reel_list){.number = 1, .issued_us = s->utc_us}));
    assert_int_equal(s->core->revoked.list.issued_us, s->utc_us);
    assert_true(slice_eq(first, memory_store_meta(s->store, "revocations")));
    revoke(s, 2, BOB);
    assert_int_equal(kept_number(s), 2);
}

/* A full disk keeps nothing: the list is in force all the same, and kept when there is room. */
static void test_kept_when_there_is_room(void **state)
{
    struct stage *s = *state;
    memory_store_fail(s->store, ERR_STORAGE_FULL, 0, 1);
    revoke(s, 3, ALICE);
    assert_true(core_revoked(s->core, ALICE));
    assert_int_equal(kept_number(s), 0);
    stage_pass(s, 11 * STAGE_S);
    assert_int_equal(kept_number(s), 3);
    stage_restart(s);
    assert_true(core_revoked(s->core, ALICE));
}

/* By a clock that is behind, what auth_edge says is revoked is so all the same; what will be
 * revoked later is not yet. */
static void test_since(void **state)
{
    struct stage *s = *state;
    struct revocation entries[] = {{ALICE, REEL_UTC_US + 50 * STAGE_S},
                                   {BOB, REEL_UTC_US + 100 * STAGE_S}};
    stage_do(
        s, stage_revocations_event(&(struct reel_list){
               .number = 1, .issued_us = REEL_UTC_US + 50 * STAGE_S, .n = 2, .entries = entries}));
    assert_true(core_revoked(s->core, ALICE));
    assert_false(core_revoked(s->core, BOB));
    stage_pass(s, 100 * STAGE_S);
    assert_true(core_revoked(s->core, BOB));
}

/* ---- who asks ---- */

static void test_inits(void **state)
{
    struct stage *s = *state;
    struct reel *film = scene_film_of(&alice, "video1");
    struct reel *live = scene_live_of(&alice, "live1");
    struct reel *other = scene_film_of(&bob, "video2");
    revoke(s, 1, ALICE);
    stage_do(s, stage_init_event(s, film));
    stage_expect_error(s, CODE_UNAUTHORIZED, TOPIC_UPLOAD_REPLY, "alice");
    stage_do(s, stage_init_event(s, live));
    stage_expect_error(s, CODE_UNAUTHORIZED, TOPIC_LIVE_UPLOAD_REPLY, "alice");
    assert_int_equal(s->core->ingests.count, 0);
    assert_int_equal(core_counter(s->core, COUNT_revoked_refused), 2);
    stage_upload(s, other);
    stage_restart(s);
    stage_do(s, stage_init_event(s, film));
    stage_expect_error(s, CODE_UNAUTHORIZED, TOPIC_UPLOAD_REPLY, "alice");
    reel_free(film);
    reel_free(live);
    reel_free(other);
}

static void test_deletions(void **state)
{
    struct stage *s = *state;
    struct reel *film = scene_film_of(&alice, "video1");
    stage_upload(s, film);
    uint64_t revision_us = film->final_video.revision_us + 1;
    revoke(s, 1, ALICE);
    stage_forget(s);
    stage_do(s, stage_delete_event(s, film, revision_us, NULL));
    stage_expect_error(s, CODE_UNAUTHORIZED, TOPIC_DELETE_REPLY, "alice");
    assert_int_equal(s->core->videos, 1); /* what was acknowledged stays listed */
    assert_int_equal(core_counter(s->core, COUNT_revoked_refused), 1);
    stage_do(s, stage_delete_event(s, film, revision_us, "operator")); /* the zone may */
    assert_int_equal(s->core->videos, 0);
    reel_free(film);
}

/* A row that comes alone may be anybody's: nothing of a revoked streamer is taken from it, but
 * what edges sign has what one of them took in time. */
static void test_rows_that_come_alone(void **state)
{
    struct stage *s = *state;
    struct reel *film = scene_film_of(&alice, "video1");
    struct reel *other = scene_film_of(&bob, "video2");
    stage_upload(s, film);
    stage_upload(s, other);
    revoke(s, 1, ALICE);
    uint64_t revision_us = film->final_video.revision_us + 1;
    struct storage_row deletion = stage_deletion_row(&s->arena, film, revision_us, false);
    struct reel *later = reel_new(&alice, "video1", 2, false);
    later->video.revision_us = revision_us;
    reel_sign(later);
    reel_fill(later, 1, 100);
    reel_finish(later);
    struct storage_row greater = stage_row(&s->arena, later, &bob, 1, stage_hlc(s));
    greater.has_holding = false;
    stage_do(s, stage_row_event(&deletion));
    stage_do(s, stage_row_event(&greater));
    assert_int_equal(s->core->videos, 2);
    assert_int_equal(core_counter(s->core, COUNT_revoked_refused), 2);
    assert_int_equal(core_counter(s->core, COUNT_rows_merged), 0);
    struct storage_row his =
        stage_deletion_row(&s->arena, other, other->final_video.revision_us + 1, false);
    stage_do(s, stage_row_event(&his));
    assert_int_equal(s->core->videos, 1);
    stage_do(s, stage_lot_event(&deletion, 1));
    assert_int_equal(s->core->videos, 0);
    reel_free(later);
    reel_free(film);
    reel_free(other);
}

/* ---- what runs ---- */

static void test_live_is_cut_at_once(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_live_of(&alice, "live1");
    struct reel *other = scene_live_of(&bob, "live2");
    stage_do(s, stage_init_event(s, r));
    stage_do(s, stage_init_event(s, other));
    stage_parts(s, r, 0, 2);
    stage_parts(s, other, 0, 2);
    stage_forget(s);
    stage_step(s, list_of(1, ALICE)); /* one step */
    const struct watch_end *end = stage_last(s, MESSAGE_WATCH_END)->body;
    assert_true(end->live);
    assert_string_equal(end->video_id.s, "live1");
    assert_int_equal(stage_last(s, MESSAGE_WATCH_END)->topic, TOPIC_LIVE_PARTS);
    stage_expect_error(s, CODE_UNAUTHORIZED, TOPIC_LIVE_UPLOAD_REPLY, "alice");
    assert_int_equal(core_counter(s->core, COUNT_revoked_ended), 1);
    stage_settle(s);
    assert_int_equal(s->core->lives.count, 1);
    struct id video_id = stage_id("live1");
    assert_int_equal(memory_store_holding(s->store, OBJECT_PRESENCE, &video_id, &s->edge.id), 0);
    uint64_t relayed = core_counter(s->core, COUNT_parts_relayed);
    stage_parts(s, r, 2, 3);
    assert_int_equal(core_counter(s->core, COUNT_parts_relayed), relayed);
    stage_parts(s, other, 2, 4);
    assert_int_equal(core_counter(s->core, COUNT_parts_relayed), relayed + 2);
    reel_free(r);
    reel_free(other);
}

static void test_upload_stops_at_once(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_film_of(&alice, "video1");
    struct reel *other = scene_film_of(&bob, "video2");
    stage_do(s, stage_init_event(s, r));
    stage_do(s, stage_init_event(s, other));
    s->commit_at_once = false;
    stage_part(s, r, 0);
    stage_part(s, other, 0);
    stage_forget(s);
    stage_step(s, list_of(1, ALICE)); /* with a part in flight */
    stage_expect_error(s, CODE_UNAUTHORIZED, TOPIC_UPLOAD_REPLY, "alice");
    assert_int_equal(s->core->ingests.count, 1);
    s->commit_at_once = true;
    stage_settle(s);
    for (size_t i = 0; i < s->said_n; i++) /* nothing of it is acknowledged any more */
        assert_false(s->said[i].kind == EFFECT_SEND && slice_eq_str(s->said[i].b, "alice"));
    uint64_t unknown = core_counter(s->core, COUNT_parts_unknown_stream);
    stage_parts(s, r, 1, 2);
    assert_int_equal(core_counter(s->core, COUNT_parts_unknown_stream), unknown + 1);
    stage_parts(s, other, 1, other->n);
    stage_do(s, stage_end_event(other));
    assert_true(stage_ack(s)->receipt.len > 0);
    reel_free(r);
    reel_free(other);
}

/* The list comes while storage is asked about an init: nothing begins that would not end. */
static void test_while_claiming(void **state)
{
    struct stage *s = *state;
    struct reel *film = scene_film_of(&alice, "video1");
    struct reel *live = scene_live_of(&alice, "live1");
    stage_step(s, stage_init_event(s, film));
    stage_step(s, stage_init_event(s, live));
    stage_forget(s);
    stage_step(s, list_of(1, ALICE));
    assert_int_equal(stage_count(s, MESSAGE_ERROR), 0);
    stage_settle(s);
    assert_int_equal(stage_count(s, MESSAGE_UPLOAD_ACK), 0);
    assert_int_equal(stage_count(s, MESSAGE_ERROR), 2);
    assert_int_equal(s->core->ingests.count, 0);
    assert_int_equal(s->core->videos, 0);
    reel_free(film);
    reel_free(live);
}

/* What was complete before the list came is acknowledged. */
static void test_while_finishing(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_film_of(&alice, "video1");
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, r->n);
    stage_step(s, stage_end_event(r));
    stage_step(s, list_of(1, ALICE));
    stage_settle(s);
    assert_true(stage_ack(s)->receipt.len > 0);
    assert_int_equal(s->core->videos, 1);
    reel_free(r);
}

/* An end that arrives with the list, or later. */
static void test_end_after_it(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_film_of(&alice, "video1");
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, r->n);
    stage_forget(s);
    stage_step(s, list_of(1, ALICE));
    stage_do(s, stage_end_event(r));
    assert_int_equal(stage_count(s, MESSAGE_UPLOAD_ACK), 0);
    assert_int_equal(s->core->videos, 0);
    reel_free(r);
}

/* More of them than one step has room to end: what is left takes nothing meanwhile. */
static void test_many(void **state)
{
    struct stage *s = *state;
    struct reel *lives[FAR_MANY];
    for (int i = 0; i < FAR_MANY; i++) {
        char id[16];
        snprintf(id, sizeof(id), "live%d", i);
        lives[i] = scene_live_of(&alice, id);
        stage_do(s, stage_init_event(s, lives[i]));
        stage_forget(s);
    }
    assert_int_equal(s->core->lives.count, FAR_MANY);
    stage_step(s, list_of(1, ALICE));
    assert_true(s->core->lives.count > 0 && s->core->lives.count < FAR_MANY);
    uint64_t relayed = core_counter(s->core, COUNT_parts_relayed);
    for (int i = 0; i < FAR_MANY; i++)
        stage_step(s, stage_part_event(lives[i], 0));
    assert_int_equal(core_counter(s->core, COUNT_parts_relayed), relayed);
    stage_settle(s);
    stage_pass(s, STAGE_S);
    assert_int_equal(s->core->lives.count, 0);
    assert_int_equal(s->core->ingests.count, 0);
    assert_int_equal(core_counter(s->core, COUNT_revoked_ended), FAR_MANY);
    for (int i = 0; i < FAR_MANY; i++)
        reel_free(lives[i]);
}

/* Whoever init'ed again with a newer credential is not ended by the older one's revocation. */
static void test_renewed(void **state)
{
    struct stage *s = *state;
    struct member later;
    struct member_spec spec = {.kind = CREDENTIAL_STREAMER,
                               .not_before_us = REEL_UTC_US - REEL_DAY_US,
                               .not_after_us = REEL_UTC_US + 2 * REEL_DAY_US,
                               .serial = BOB};
    member_make_as("alice", &spec, &later);
    struct reel *r = scene_live_of(&alice, "live1");
    stage_do(s, stage_init_event(s, r));
    r->streamer = &later;
    stage_do(s, stage_init_event(s, r));
    revoke(s, 1, ALICE);
    assert_int_equal(s->core->lives.count, 1);
    revoke(s, 2, BOB);
    assert_int_equal(s->core->lives.count, 0);
    reel_free(r);
}

/* ---- edges ---- */

static void beat(struct stage *s, const char *edge_id, uint64_t serial)
{
    stage_do(s, stage_beat_event(&(struct stage_beat){.edge_id = edge_id, .serial = serial}));
}

static void beat_alone(struct stage *s, const char *edge_id)
{
    struct stage_beat b = {.edge_id = edge_id, .without_credential = true};
    stage_do(s, stage_beat_event(&b));
}

static void expect_gone(struct stage *s, const char *edge_id)
{
    struct id id = stage_id(edge_id);
    assert_false(presence_online(s->core, slice_str(edge_id)));
    assert_false(presence_counted(s->core, slice_str(edge_id)));
    assert_null(trust_view_edge(core_trust_view(s->core), &id));
}

static void test_peer_is_gone_at_once(void **state)
{
    struct stage *s = *state;
    beat(s, "edge2", EDGE2);
    beat(s, "edge3", 0);
    stage_step(s, list_of(1, EDGE2));
    expect_gone(s, "edge2");
    assert_true(presence_online(s->core, slice_str("edge3")));
    uint64_t refused = core_counter(s->core, COUNT_statuses_refused);
    beat(s, "edge2", EDGE2);
    beat_alone(s, "edge2");
    expect_gone(s, "edge2");
    assert_int_equal(core_counter(s->core, COUNT_statuses_refused), refused + 2);
    beat(s, "edge2", EDGE2 + 1); /* it was admitted again: another credential */
    assert_true(presence_online(s->core, slice_str("edge2")));
    assert_non_null(trust_view_edge(core_trust_view(s->core), &edge2.id));
}

/* A list that names the peer no more (its credential has ended): it may come back as it was. */
static void test_peer_is_named_no_more(void **state)
{
    struct stage *s = *state;
    beat(s, "edge2", EDGE2);
    revoke(s, 1, EDGE2);
    revoke(s, 2, 0);
    assert_false(presence_online(s->core, slice_str("edge2")));
    beat_alone(s, "edge2");
    assert_false(presence_online(s->core, slice_str("edge2"))); /* its key was forgotten */
    beat(s, "edge2", EDGE2);
    assert_true(presence_online(s->core, slice_str("edge2")));
}

/* After `edge rekey` two keys say that they are edge2: the revoked one takes the other nothing. */
static void test_old_key_of_a_rekeyed_edge(void **state)
{
    struct stage *s = *state;
    struct stage_beat old = {.edge_id = "edge2", .serial = EDGE2};
    struct stage_beat new = {.edge_id = "edge2", .serial = EDGE2 + 1, .key = "edge2b"};
    stage_do(s, stage_beat_event(&old));
    revoke(s, 1, EDGE2);
    stage_do(s, stage_beat_event(&new));
    assert_true(presence_online(s->core, slice_str("edge2")));
    stage_do(s, stage_beat_event(&old));
    assert_true(presence_online(s->core, slice_str("edge2")));
}

/* What an edge said before it was admitted again may be said once more by whoever kept it. */
static void test_old_status_of_an_admitted_edge(void **state)
{
    struct stage *s = *state;
    beat(s, "edge2", EDGE2);
    revoke(s, 1, EDGE2);
    beat(s, "edge2", EDGE2 + 1);
    assert_true(presence_online(s->core, slice_str("edge2")));
    beat(s, "edge2", EDGE2);
    assert_true(presence_online(s->core, slice_str("edge2")));
    beat_alone(s, "edge2");
    assert_true(presence_online(s->core, slice_str("edge2")));
}

/* Its key was forgotten with the end of its credential; then it shows one that is revoked. */
static void test_revoked_after_an_end(void **state)
{
    struct stage *s = *state;
    struct event *ev =
        stage_beat_event(&(struct stage_beat){.edge_id = "edge2", .serial = EDGE2 - 1});
    ev->u.status.not_after_us = s->utc_us + STAGE_S;
    stage_do(s, ev);
    stage_pass(s, STAGE_S + HEARTBEAT_US);
    revoke(s, 1, EDGE2);
    assert_true(presence_counted(s->core, slice_str("edge2")));
    beat(s, "edge2", EDGE2);
    expect_gone(s, "edge2");
}

/* Who has just started counts an edge that it never heard of; not one that shows itself revoked. */
static void test_revoked_before_the_start(void **state)
{
    struct stage *s = *state;
    revoke(s, 1, EDGE2);
    stage_restart(s);
    assert_true(presence_counted(s->core, slice_str("edge2")));
    beat(s, "edge2", EDGE2);
    expect_gone(s, "edge2");
    assert_int_equal(s->core->peers.count, 1);
    beat(s, "edge2", EDGE2 + 1);
    assert_true(presence_online(s->core, slice_str("edge2")));
}

static struct event *info_event(const char *source)
{
    struct event *ev = event_new(EVENT_WATCH_INFO);
    ev->u.watch_info.source = stage_id(source);
    ev->u.watch_info.info.video_id = stage_id("video1");
    return ev;
}

static void announced(struct stage *s, const struct reel *r, const char *edge_id)
{
    struct member edge;
    member_make(edge_id, CREDENTIAL_EDGE, &edge);
    struct storage_row row = stage_row(&s->arena, r, &edge, 1, stage_hlc(s));
    stage_do(s, stage_row_event(&row));
}

static void expect_asked(struct stage *s, const char *source)
{
    assert_true(slice_eq_str(stage_last(s, MESSAGE_WATCH_REQUEST)->a, source));
}

static void test_fetch_goes_on_elsewhere(void **state)
{
    struct stage *s = *state;
    struct reel *r = scene_film_of(&bob, "video1");
    announced(s, r, "edge2");
    announced(s, r, "edge3");
    beat(s, "edge2", EDGE2);
    beat(s, "edge3", EDGE2 + 1);
    struct watch_request m = {
        .kind = WATCH_INIT, .client_id = slice_str("client1"), .video_id = stage_id("video1")};
    stage_do(s, stage_watch_event(&m));
    expect_asked(s, "edge2");
    stage_do(s, info_event("edge2"));
    stage_forget(s);
    stage_step(s, list_of(1, EDGE2));
    expect_asked(s, "edge3");
    stage_do(s, info_event("edge3"));
    stage_step(s, list_of(2, EDGE2 + 1));
    stage_settle(s);
    assert_int_equal(s->core->fetches, 0);
    assert_int_equal(core_counter(s->core, COUNT_fetches_failed), 1);
    reel_free(r);
}

/* ---- ourselves ---- */

static bool answers_ping(struct stage *s)
{
    struct event *ev = event_new(EVENT_PING);
    stage_forget(s);
    ev->u.ping.client_id = arena_copy(&ev->arena, slice_str("client1"));
    stage_do(s, ev);
    return stage_count(s, MESSAGE_PING_REPLY) == 1;
}

static struct event *reply_event(struct stage *s, const struct member *credential)
{
    const struct zone_request *m = stage_last(s, MESSAGE_ZONE_REQUEST)->body;
    struct event *ev = event_new(EVENT_ZONE_REPLY);
    struct zone_reply *reply = &ev->u.zone_reply;
    struct hash request;
    uint8_t secret[KEY_BYTES];
    reel_zone_secret(secret);
    assert_int_equal(enrolment_check(&m->enrolment, secret, m->proof, &request), ERR_OK);
    reply->edge_id = s->edge.id;
    reply->params = reel_zone_bytes(&ev->arena);
    reply->credential = arena_copy(&ev->arena, member_credential(credential));
    reply->nonce = m->enrolment.nonce;
    reply->proof =
        enrolment_reply_mac(secret, &request, reply->params, reply->credential, &reply->nonce);
    return ev;
}

static void test_this_edge(void **state)
{
    struct stage *s = *state;
    struct reel *film = scene_film_of(&alice, "video1");
    struct reel *live = scene_live_of(&alice, "live1");
    struct reel *held = scene_film_of(&bob, "video2");
    stage_upload(s, held);
    stage_do(s, stage_init_event(s, film));
    stage_do(s, stage_init_event(s, live));
    stage_forget(s);
    stage_do(s, list_of(1, REEL_SERIAL));
    assert_int_equal(s->core->ingests.count, 0);
    assert_int_equal(stage_count(s, MESSAGE_WATCH_END), 1);
    assert_int_equal(stage_error(s)->code, CODE_NOT_READY);
    assert_false(answers_ping(s));
    assert_int_equal(s->core->videos, 1); /* and what it has it keeps */
    stage_do(s, stage_init_event(s, film));
    stage_expect_error(s, CODE_NOT_READY, TOPIC_UPLOAD_REPLY, "alice");
    stage_pass(s, 20 * STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_EDGE_STATUS), 0);
    assert_true(stage_count(s, MESSAGE_ZONE_REQUEST) > 0);
    struct member again;
    member_make_numbered("edge1", CREDENTIAL_EDGE, REEL_SERIAL + 1, &again);
    stage_do(s, reply_event(s, &again));
    assert_true(answers_ping(s));
    reel_free(film);
    reel_free(live);
    reel_free(held);
}

static void test_this_edge_says_so_once(void **state)
{
    struct stage *s = *state;
    for (uint64_t number = 1; number < 4; number++)
        stage_do(s, list_of(number, REEL_SERIAL));
    stage_pass(s, 20 * STAGE_S);
    assert_int_equal(stage_effects(s, EFFECT_LOG), 1);
    stage_restart(s);
    assert_false(answers_ping(s));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_stage_setup, scene_stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list_of),
        TEST(test_never_goes_back),
        TEST(test_issued_by_a_clock_that_was_ahead),
        TEST(test_kept_when_it_changes),
        TEST(test_kept_when_there_is_room),
        TEST(test_since),
        TEST(test_inits),
        TEST(test_deletions),
        TEST(test_rows_that_come_alone),
        TEST(test_live_is_cut_at_once),
        TEST(test_upload_stops_at_once),
        TEST(test_while_claiming),
        TEST(test_while_finishing),
        TEST(test_end_after_it),
        TEST(test_many),
        TEST(test_renewed),
        TEST(test_peer_is_gone_at_once),
        TEST(test_peer_is_named_no_more),
        TEST(test_old_key_of_a_rekeyed_edge),
        TEST(test_old_status_of_an_admitted_edge),
        TEST(test_revoked_before_the_start),
        TEST(test_revoked_after_an_end),
        TEST(test_fetch_goes_on_elsewhere),
        TEST(test_this_edge),
        TEST(test_this_edge_says_so_once),
    };
    return cmocka_run_group_tests(tests, scene_cast_numbered, NULL);
}
