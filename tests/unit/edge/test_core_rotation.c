/* The zone's authority is away, or has another key: edges ask for it, soon and seldom, and nothing
 * that runs notices. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* ---- the zone's answers ---- */

static bool answers_ping(struct stage *s)
{
    struct event *ev = event_new(EVENT_PING);
    stage_forget(s);
    ev->u.ping.client_id = arena_copy(&ev->arena, slice_str("client1"));
    stage_do(s, ev);
    return stage_count(s, MESSAGE_PING_REPLY) == 1;
}

static struct event *reply_event(struct stage *s, const struct member *credential, uint32_t epoch)
{
    const struct zone_request *m = stage_last(s, MESSAGE_ZONE_REQUEST)->body;
    struct event *ev = event_new(EVENT_ZONE_REPLY);
    struct zone_reply *reply = &ev->u.zone_reply;
    struct hash request;
    uint8_t secret[KEY_BYTES];
    reel_zone_secret(secret);
    assert_int_equal(enrolment_check(&m->enrolment, secret, m->proof, &request), ERR_OK);
    reply->edge_id = s->edge.id;
    reply->params = reel_zone_bytes_at(epoch, &ev->arena);
    reply->credential = arena_copy(&ev->arena, member_credential(credential));
    reply->nonce = m->enrolment.nonce;
    reply->proof =
        enrolment_reply_mac(secret, &request, reply->params, reply->credential, &reply->nonce);
    return ev;
}

/* ---- contact ---- */

static struct zone_contact contact(struct stage *s)
{
    assert_true(answers_ping(s));
    const struct ping_reply *m = stage_last(s, MESSAGE_PING_REPLY)->body;
    struct zone_contact ret = m->contact;
    return ret;
}

static void hears_auth(struct stage *s, uint64_t issued_us)
{
    stage_do(s, stage_revocations_event(&(struct reel_list){.number = 1, .issued_us = issued_us}));
}

static void test_contact(void **state)
{
    struct stage *s = *state;
    uint64_t began_us = s->utc_us;
    struct zone_contact c = contact(s);
    assert_false(c.away || c.revocations || c.issued_us);
    stage_pass(s, 30 * STAGE_S - 1);
    assert_false(contact(s).away);
    stage_pass(s, 1);
    c = contact(s);
    assert_true(c.away);
    assert_int_equal(c.since_us, began_us);
    hears_auth(s, s->utc_us);
    c = contact(s);
    assert_false(c.away);
    assert_int_equal(c.revocations, 1);
    assert_int_equal(c.issued_us, s->utc_us);
    uint64_t heard_us = s->utc_us;
    stage_pass(s, 20 * STAGE_S);
    hears_auth(s, heard_us); /* the same again: any edge may say that */
    stage_pass(s, 10 * STAGE_S);
    c = contact(s);
    assert_true(c.away);
    assert_int_equal(c.since_us, heard_us);
    stage_forget(s);
    stage_pass(s, 6 * STAGE_S);
    const struct edge_status *m = stage_last(s, MESSAGE_EDGE_STATUS)->body;
    assert_true(m->contact.away);
    assert_int_equal(m->contact.revocations, 1);
}

/* What another edge has kept since yesterday is no word of auth_edge's. */
static void test_contact_by_an_old_list(void **state)
{
    struct stage *s = *state;
    stage_pass(s, 40 * STAGE_S);
    hears_auth(s, s->utc_us - REEL_DAY_US);
    assert_true(contact(s).away);
    assert_int_equal(contact(s).revocations, 1);
}

/* ---- the zone's key is rotated ---- */

static struct event *newer_event(void)
{
    struct event *ev = event_new(EVENT_REJECTED);
    ev->newer_zone = true;
    ev->u.rejection.err = ERR_UNAUTHORIZED;
    return ev;
}

static void test_asks_for_the_new_key(void **state)
{
    struct stage *s = *state;
    struct member again;
    struct member_spec spec = {.kind = CREDENTIAL_EDGE,
                               .not_before_us = REEL_UTC_US - REEL_DAY_US,
                               .not_after_us = REEL_UTC_US + REEL_DAY_US,
                               .serial = REEL_SERIAL + 1,
                               .epoch = 2};
    member_make_as("edge1", &spec, &again);
    for (int i = 0; i < 20; i++)
        stage_do(s, newer_event());
    stage_pass(s, STAGE_S);
    assert_int_equal(stage_count(s, MESSAGE_ZONE_REQUEST), 1);
    stage_do(s, reply_event(s, &again, 2));
    assert_int_equal(core_trust_view(s->core)->zone.key_epoch, 2);
    assert_int_equal(core_counter(s->core, COUNT_zone_newer), 20);
    stage_forget(s);
    for (int i = 0; i < 25; i++) { /* somebody goes on to name a key that there is not */
        stage_do(s, newer_event());
        stage_pass(s, STAGE_S);
        if (stage_count(s, MESSAGE_ZONE_REQUEST))
            stage_do(s, reply_event(s, &again, 2));
    }
    assert_true(core_counter(s->core, COUNT_zone_newer) == 45);
    stage_forget(s);
    stage_restart(s);
    assert_int_equal(core_trust_view(s->core)->zone.key_epoch, 2);
    assert_true(answers_ping(s));
}

/* At most once in ten seconds, whoever says what. */
static void test_asks_seldom(void **state)
{
    struct stage *s = *state;
    size_t asked = 0;
    for (int i = 0; i < 60; i++) {
        stage_do(s, newer_event());
        stage_pass(s, STAGE_S / 2);
        if (!stage_count(s, MESSAGE_ZONE_REQUEST))
            continue;
        asked++;
        stage_do(s, reply_event(s, &s->edge, 1));
        stage_forget(s);
    }
    assert_int_equal(asked, 3); /* in 30 s */
}

static void rotated(struct stage *s)
{
    struct member again;
    struct member_spec spec = {.kind = CREDENTIAL_EDGE,
                               .not_before_us = REEL_UTC_US - REEL_DAY_US,
                               .not_after_us = REEL_UTC_US + REEL_DAY_US,
                               .serial = REEL_SERIAL + 1,
                               .epoch = 2};
    member_make_as("edge1", &spec, &again);
    stage_do(s, newer_event());
    stage_pass(s, STAGE_S);
    stage_do(s, reply_event(s, &again, 2));
}

static void test_a_rotation_breaks_nothing(void **state)
{
    struct stage *s = *state;
    struct reel *film = scene_film_of(&alice, "video1");
    struct reel *live = scene_live_of(&alice, "live1");
    struct reel *later = scene_film_of(&bob, "video2");
    stage_do(s, stage_init_event(s, film));
    stage_do(s, stage_init_event(s, live));
    stage_parts(s, film, 0, 3);
    stage_parts(s, live, 0, 2);
    stage_do(s, stage_status_event("edge2", true));
    rotated(s);
    assert_true(presence_online(s->core, slice_str("edge2")));
    stage_parts(s, live, 2, 4);
    assert_int_equal(core_counter(s->core, COUNT_parts_relayed), 4);
    stage_parts(s, film, 3, film->n);
    stage_do(s, stage_end_event(film));
    assert_true(stage_ack(s)->receipt.len > 0);
    stage_upload(s, later); /* with a credential of the older key */
    stage_restart(s);
    assert_int_equal(s->core->zone.key_epoch, 2);
    assert_int_equal(memory_store_videos(s->store), 3); /* the live was not withdrawn */
    reel_free(film);
    reel_free(live);
    reel_free(later);
}

static void hears_of_a_lesser_number(struct stage *s)
{
    stage_do(s, stage_beat_event(&(struct stage_beat){.edge_id = "edge2", .revocations = 3}));
    stage_pass(s, 2 * STAGE_S);
}

/* A list of the older key stays in force until there is one of the new key, which may have any
 * number: who had the old key could have written the greatest. */
static void test_lists_of_two_keys(void **state)
{
    struct stage *s = *state;
    struct revocation of_alice = {ALICE, REEL_UTC_US};
    stage_do(s, stage_revocations_event(
                    &(struct reel_list){.number = UINT64_MAX, .n = 1, .entries = &of_alice}));
    rotated(s);
    assert_true(core_revoked(s->core, ALICE));
    stage_restart(s);
    assert_true(core_revoked(s->core, ALICE));
    hears_of_a_lesser_number(s);
    assert_int_equal(stage_count(s, MESSAGE_REVOCATIONS),
                     0); /* who has the new key takes it no more */
    struct revocation entry = {BOB, REEL_UTC_US};
    stage_do(s, stage_revocations_event(
                    &(struct reel_list){.epoch = 2, .number = 4, .n = 1, .entries = &entry}));
    assert_int_equal(s->core->revoked.list.number, 4);
    assert_true(core_revoked(s->core, BOB) && !core_revoked(s->core, ALICE));
    hears_of_a_lesser_number(s);
    assert_int_equal(stage_count(s, MESSAGE_REVOCATIONS), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_stage_setup, scene_stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_contact),
        TEST(test_contact_by_an_old_list),
        TEST(test_asks_for_the_new_key),
        TEST(test_asks_seldom),
        TEST(test_a_rotation_breaks_nothing),
        TEST(test_lists_of_two_keys),
    };
    return cmocka_run_group_tests(tests, scene_cast_numbered, NULL);
}
