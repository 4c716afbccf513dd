/* Lives: parts go out at once and unchanged, joiners get what they need, and every live ends. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { GOP = 3, PARTS = 2 }; /* chunks from keyframe to keyframe, and parts of each */

/* "live1": an init chunk, then groups of GOP chunks. */
static struct reel *live_reel(const struct member *who, unsigned take, unsigned groups)
{
    struct reel *r = reel_new(who, "live1", take, true);
    reel_cut(r, CHUNK_INIT, 0, REEL_UTC_US, 700);
    for (unsigned i = 0; i < groups * GOP; i++)
        reel_cut(r, CHUNK_MEDIA, i % GOP == 0 ? CHUNK_KEYFRAME : 0, REEL_UTC_US,
                 REEL_PART_BYTES + 100);
    return r;
}

static int setup(void **state)
{
    *state = scene_new(live_reel(&alice, 1, 4));
    return 0;
}

static void begin(struct scene *c)
{
    stage_do(c->s, stage_init_event(c->s, c->r));
    assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 1);
    stage_forget(c->s);
}

static int presence(struct scene *c)
{
    struct id video_id = stage_id("live1");
    return memory_store_holding(c->s->store, OBJECT_PRESENCE, &video_id, &c->s->edge.id);
}

static void expect_over(struct scene *c)
{
    assert_int_equal(c->s->core->lives.count, 0);
    assert_int_equal(c->s->core->ingests.count, 0);
    assert_int_equal(presence(c), 0);
    assert_int_equal(c->s->core->videos, 0);
    const struct watch_end *end = stage_last(c->s, MESSAGE_WATCH_END)->body;
    assert_true(end->live);
    assert_int_equal(stage_last(c->s, MESSAGE_WATCH_END)->topic, TOPIC_LIVE_PARTS);
    const struct db_update *m = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    assert_true(m->removal && m->live);
}

/* ---- beginning ---- */

static void test_begin(void **state)
{
    struct scene *c = *state;
    stage_step(c->s, stage_init_event(c->s, c->r));
    assert_int_equal(c->s->core->lives.count, 0);
    assert_int_equal(c->s->said_n, 0);
    stage_settle(c->s);
    assert_int_equal(c->s->core->lives.count, 1);
    assert_int_equal(presence(c), 1);
    const struct effect *e = stage_last(c->s, MESSAGE_UPLOAD_ACK);
    assert_int_equal(e->topic, TOPIC_LIVE_UPLOAD_REPLY);
    assert_int_equal(stage_ack(c->s)->next, 1);
    e = stage_last(c->s, MESSAGE_LIVE_INFO_ALL);
    const struct watch_info *info = e->body;
    assert_int_equal(e->topic, TOPIC_LIVE_PARTS);
    assert_true(slice_eq_str(e->b, "live1"));
    assert_true(slice_eq_str(info->streamer_name, "alice"));
    assert_true(slice_eq(info->statement, c->r->statement));
    const struct db_update *m = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    assert_true(m->live && !m->removal);
    assert_int_equal(m->holding.type, OBJECT_PRESENCE);
    assert_true(m->statement.len && m->credential.len && !m->manifest.len);
}

static void refused(struct scene *c, struct event *ev, enum wire_code code, const char *who)
{
    stage_forget(c->s);
    stage_do(c->s, ev);
    assert_int_equal(stage_count(c->s, MESSAGE_UPLOAD_ACK), 0);
    stage_expect_error(c->s, code, TOPIC_LIVE_UPLOAD_REPLY, who);
}

static void test_begin_refused(void **state)
{
    struct scene *c = *state;
    struct event *ev = stage_init_event(c->s, c->r);
    ev->u.init.video.live = false;
    refused(c, ev, CODE_BAD_REQUEST, "alice");
    memory_store_fail(c->s->store, ERR_STORAGE_FULL, 0, 1);
    refused(c, stage_init_event(c->s, c->r), CODE_STORAGE_FULL, "alice");
    assert_int_equal(c->s->core->ingests.count, 0);
    struct reel *video = scene_small("live1");
    stage_upload(c->s, video);
    refused(c, stage_init_event(c->s, c->r), CODE_CONFLICT, "alice"); /* a finished one */
    struct reel *foreign = live_reel(&bob, 1, 1);
    refused(c, stage_init_event(c->s, foreign), CODE_CONFLICT, "bob");
    reel_free(foreign);
    reel_free(video);
}

static void test_foreign_streamer(void **state)
{
    struct scene *c = *state;
    struct reel *foreign = live_reel(&bob, 1, 1);
    begin(c);
    refused(c, stage_init_event(c->s, foreign), CODE_CONFLICT, "bob");
    assert_int_equal(c->s->core->lives.count, 1);
    stage_parts(c->s, foreign, 0, 1);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_unknown_stream), 1);
    reel_free(foreign);
}

/* However the new stream's init falls, the presence that is left says that the live runs. */
static void test_replaced(void **state)
{
    struct scene *c = *state;
    struct reel *second = live_reel(&alice, 2, 1);
    begin(c);
    stage_parts(c->s, c->r, 0, 3);
    stage_forget(c->s);
    stage_do(c->s, stage_init_event(c->s, second));
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_END), 1);
    assert_int_equal(c->s->core->lives.count, 1);
    assert_int_equal(c->s->core->ingests.count, 1);
    assert_int_equal(presence(c), 1);
    assert_int_equal(stage_count(c->s, MESSAGE_DB_UPDATE), 1); /* which takes the old one's place */
    const struct db_update *m = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    struct holding h;
    assert_int_equal(holding_open(OBJECT_PRESENCE, m->holding.object, &c->s->edge.key.pk, &h),
                     ERR_OK);
    assert_true(!m->removal && h.state == 1 && hash_eq(&h.stream, &second->stream));
    stage_parts(c->s, c->r, 3, 4);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_unknown_stream), 1);
    stage_parts(c->s, second, 0, second->n);
    assert_int_equal(stage_packets(c->s, TOPIC_LIVE_PARTS, "live1"), second->n);
    reel_free(second);
}

/* A claim that is refused ends nothing. */
static void test_not_replaced(void **state)
{
    struct scene *c = *state;
    struct reel *second = live_reel(&alice, 2, 1);
    begin(c);
    stage_parts(c->s, c->r, 0, 3);
    memory_store_fail(c->s->store, ERR_STORAGE_FULL, 0, 1);
    stage_do(c->s, stage_init_event(c->s, second));
    stage_expect_error(c->s, CODE_STORAGE_FULL, TOPIC_LIVE_UPLOAD_REPLY, "alice");
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_END), 0);
    stage_parts(c->s, c->r, 3, 6);
    assert_int_equal(stage_packets(c->s, TOPIC_LIVE_PARTS, "live1"), 3);
    assert_int_equal(presence(c), 1);
    reel_free(second);
}

/* The old stream falls silent while the new one is being claimed: its withdrawal is the older. */
static void test_ends_while_it_is_replaced(void **state)
{
    struct scene *c = *state;
    struct reel *second = live_reel(&alice, 2, 1);
    begin(c);
    c->s->commit_at_once = false;
    stage_do(c->s, stage_init_event(c->s, second));
    stage_pass(c->s, LIVE_IDLE_TIMEOUT_US + STAGE_S);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_END), 1);
    assert_int_equal(c->s->core->lives.count, 0);
    c->s->commit_at_once = true;
    stage_settle(c->s);
    assert_int_equal(c->s->core->lives.count, 1);
    assert_int_equal(c->s->core->ingests.count, 1);
    assert_int_equal(presence(c), 1);
    reel_free(second);
}

/* A renewed credential is what joiners get, and what the catalogue keeps. */
static void test_renewed(void **state)
{
    struct scene *c = *state;
    struct member renewed;
    member_make_as("alice",
                   &(struct member_spec){.kind = CREDENTIAL_STREAMER,
                                         .not_before_us = REEL_UTC_US - REEL_DAY_US,
                                         .not_after_us = REEL_UTC_US + 200 * REEL_DAY_US},
                   &renewed);
    begin(c);
    struct event *ev = stage_init_event(c->s, c->r);
    ev->u.init.init.credential = member_credential(&renewed);
    assert_int_equal(
        credential_open(ev->u.init.init.credential, &c->s->core->zone, &ev->u.init.credential),
        ERR_OK);
    stage_do(c->s, ev);
    assert_int_equal(
        c->s->core->counters[COUNT_rows_merged] + c->s->core->counters[COUNT_rows_unchanged], 1);
    assert_int_equal(presence(c), 1);
    stage_do(c->s, stage_join_event("viewer1", "live1", (struct slice){0}));
    const struct watch_info *info = stage_last(c->s, MESSAGE_LIVE_INFO_ONE)->body;
    assert_true(slice_eq(info->credential, member_credential(&renewed)));
}

static void test_two_inits_at_once(void **state)
{
    struct scene *c = *state;
    struct reel *second = live_reel(&alice, 2, 1);
    stage_step(c->s, stage_init_event(c->s, c->r));
    stage_step(c->s, stage_init_event(c->s, second));
    stage_expect_error(c->s, CODE_BUSY, TOPIC_LIVE_UPLOAD_REPLY, "alice");
    stage_settle(c->s);
    assert_int_equal(presence(c), 1);
    stage_do(c->s, stage_init_event(c->s, second));
    assert_int_equal(presence(c), 1);
    assert_int_equal(c->s->core->lives.count, 1);
    reel_free(second);
}

static void test_init_while_running(void **state)
{
    struct scene *c = *state;
    begin(c);
    stage_parts(c->s, c->r, 0, 6);
    stage_do(c->s, stage_init_event(c->s, c->r));
    assert_int_equal(stage_ack(c->s)->next, c->r->parts[5].part.chunk.number + 1);
    assert_int_equal(stage_count(c->s, MESSAGE_WATCH_END), 0);
}

static void test_limit(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    char id[32];
    for (int i = 0; i <= LIVES_MAX; i++) {
        snprintf(id, sizeof(id), "l%d", i);
        struct reel *r = reel_new(i % 2 ? &alice : &bob, id, 1, true);
        stage_step(s, stage_init_event(s, r));
        if (i < LIVES_MAX)
            assert_int_equal(stage_count(s, MESSAGE_ERROR), 0);
        if (i + 2 == LIVES_MAX) { /* one below the edge's limit, one streamer is at its own */
            struct reel *more = reel_new(&bob, "more", 1, true);
            stage_step(s, stage_init_event(s, more));
            stage_expect_error(s, CODE_QUOTA, TOPIC_LIVE_UPLOAD_REPLY, "bob");
            stage_forget(s);
            reel_free(more);
        }
        reel_free(r);
    }
    stage_expect_error(s, CODE_QUOTA, TOPIC_LIVE_UPLOAD_REPLY, "bob");
    stage_settle(s);
    assert_int_equal(s->core->lives.count, LIVES_MAX);
    struct reel *r = reel_new(&alice, "video1", 1, false);
    stage_forget(s);
    stage_do(s, stage_init_event(s, r)); /* uploads have room of their own */
    assert_int_equal(stage_count(s, MESSAGE_UPLOAD_ACK), 1);
    stage_step(s, event_new(EVENT_STOP)); /* and all of them end, a slice at a time */
    stage_forget(s);
    while (stage_effects(s, EFFECT_DRAINED) == 0) {
        stage_settle(s);
        s->now_us += SWEEP_US;
        stage_step(s, event_new(EVENT_TICK));
    }
    assert_int_equal(s->core->ingests.count, 0);
    reel_free(r);
    stage_free(s);
}

/* ---- parts ---- */

static void test_relay(void **state)
{
    struct scene *c = *state;
    begin(c);
    stage_parts(c->s, c->r, 0, 4);
    stage_do(c->s, stage_part_json_event(c->r, 4));
    assert_int_equal(stage_packets(c->s, TOPIC_LIVE_PARTS, "live1"), 5);
    for (size_t i = 0; i < 4; i++)
        assert_ptr_equal(stage_packet(c->s, TOPIC_LIVE_PARTS, "", i)->packet,
                         c->r->parts[i].packet);
    assert_true(slice_eq_str(stage_packet(c->s, TOPIC_LIVE_PARTS, "", 4)->packet->payload,
                             "{\"as\":\"it came\"}"));
    assert_int_equal(core_counter(c->s->core, COUNT_parts_relayed), 5);
}

static void test_duplicates(void **state)
{
    struct scene *c = *state;
    begin(c);
    stage_parts(c->s, c->r, 0, 5);
    stage_parts(c->s, c->r, 2, 5);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_duplicate), 3);
    struct event *ev = stage_part_event(c->r, 5); /* first: nothing follows from chunk 4 alone */
    stage_do(c->s, stage_part_event(c->r, 5));
    ev->u.part.part.index = 1;
    ev->u.part.statement_hash.b[0] ^= 1;
    stage_do(c->s, ev);
    stage_expect_error(c->s, CODE_CONFLICT, TOPIC_LIVE_UPLOAD_REPLY, "alice");
    assert_int_equal(core_counter(c->s->core, COUNT_parts_relayed), 6);
    stage_parts(c->s, c->r, 9, 10); /* gaps are the viewers' to deal with */
    assert_int_equal(core_counter(c->s->core, COUNT_parts_relayed), 7);
}

static void test_wrong_track_and_topic(void **state)
{
    struct scene *c = *state;
    begin(c);
    struct event *ev = stage_part_event(c->r, 0);
    ev->u.part.part.chunk.track = 1;
    stage_do(c->s, ev);
    ev = stage_part_event(c->r, 0);
    ev->u.part.topic = TOPIC_UPLOAD;
    stage_do(c->s, ev);
    assert_int_equal(core_counter(c->s->core, COUNT_parts_refused), 2);
    assert_int_equal(stage_packets(c->s, TOPIC_LIVE_PARTS, ""), 0);
}

static void test_capture_time(void **state)
{
    struct scene *c = *state;
    static const struct {
        int64_t skew_us;
        bool taken;
    } cases[] = {{CAPTURE_WINDOW_US, true},
                 {CAPTURE_WINDOW_US + 1, false},
                 {-(int64_t)CAPTURE_WINDOW_US, true},
                 {-(int64_t)CAPTURE_WINDOW_US - 1, false}};
    begin(c);
    for (size_t i = 0; i < 4; i++) {
        struct event *ev = stage_part_event(c->r, i);
        ev->u.part.part.chunk.capture_us = c->s->utc_us + (uint64_t)cases[i].skew_us;
        stage_forget(c->s);
        stage_do(c->s, ev);
        assert_int_equal(stage_packets(c->s, TOPIC_LIVE_PARTS, ""), cases[i].taken);
        if (!cases[i].taken)
            stage_expect_error(c->s, CODE_BAD_REQUEST, TOPIC_LIVE_UPLOAD_REPLY, "alice");
    }
}

/* The outbox is full in the middle of a group: nothing more of it, and from the next keyframe on
 * everything again. */
static void test_skips_to_keyframe(void **state)
{
    struct scene *c = *state;
    begin(c);
    c->s->media_free_bytes = 0;      /* what is recorded is in nobody's way */
    size_t second = 1 + GOP * PARTS; /* first part of the second group */
    for (size_t i = 0; i < second; i++) {
        c->s->live_free_bytes =
            i == 4 ? c->r->parts[4].packet->payload.len - 1 : c->r->parts[i].packet->payload.len;
        stage_do(c->s, stage_part_event(c->r, i));
    }
    assert_int_equal(stage_packets(c->s, TOPIC_LIVE_PARTS, ""), 4);
    assert_int_equal(core_counter(c->s->core, COUNT_live_parts_dropped), second - 4);
    c->s->live_free_bytes = 0; /* a keyframe that does not fit is skipped whole */
    stage_parts(c->s, c->r, second, second + 1);
    c->s->live_free_bytes = LIVE_OUTBOX_BYTES_MAX;
    stage_parts(c->s, c->r, second + 1, second + GOP * PARTS);
    assert_int_equal(stage_packets(c->s, TOPIC_LIVE_PARTS, ""), 4);
    stage_forget(c->s);
    stage_parts(c->s, c->r, second + GOP * PARTS, c->r->n);
    assert_int_equal(stage_packets(c->s, TOPIC_LIVE_PARTS, ""), 2 * GOP * PARTS);
    assert_int_equal(stage_packet(c->s, TOPIC_LIVE_PARTS, "", 0)->lane, LANE_LIVE);
}

/* ---- the end ---- */

static void test_end_chunk(void **state)
{
    struct scene *c = *state;
    size_t end = reel_cut(c->r, CHUNK_END, 0, REEL_UTC_US, 0);
    begin(c);
    stage_parts(c->s, c->r, 0, 3);
    stage_step(c->s, stage_part_event(c->r, end));
    assert_int_equal(stage_packets(c->s, TOPIC_LIVE_PARTS, ""), 4);
    assert_int_equal(c->s->said[c->s->said_n - 2].message,
                     MESSAGE_WATCH_END);                       /* after its packet */
    assert_int_equal(stage_count(c->s, MESSAGE_DB_UPDATE), 0); /* not before storage has it */
    stage_step(c->s, stage_part_event(c->r, end));
    assert_int_equal(core_counter(c->s->core, COUNT_parts_refused), 1);
    stage_settle(c->s);
    expect_over(c);
    assert_int_equal(c->s->core->gop_bytes, 0);
}

static void test_silence(void **state)
{
    struct scene *c = *state;
    begin(c);
    stage_do(c->s, event_new(EVENT_LIVE_END_UNSIGNED));
    stage_pass(c->s, LIVE_IDLE_TIMEOUT_US - 1);
    assert_int_equal(c->s->core->lives.count, 1);
    struct event *ev = stage_part_event(c->r, 0);
    stage_do(c->s, ev);
    stage_pass(c->s, LIVE_IDLE_TIMEOUT_US - 1);
    assert_int_equal(c->s->core->lives.count, 1);
    stage_pass(c->s, SWEEP_US);
    expect_over(c);
    stage_do(c->s, stage_init_event(c->s, c->r)); /* the streamer is back */
    assert_int_equal(presence(c), 1);
}

static void test_withdrawal_not_kept(void **state)
{
    struct scene *c = *state;
    begin(c);
    memory_store_fail(c->s->store, ERR_STORAGE_FULL, 0, 1);
    stage_pass(c->s, LIVE_IDLE_TIMEOUT_US + SWEEP_US);
    assert_int_equal(c->s->core->ingests.count, 0);
    const struct db_update *m = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    assert_true(m->removal);
}

static void test_stop(void **state)
{
    struct scene *c = *state;
    begin(c);
    stage_parts(c->s, c->r, 0, 5);
    stage_step(c->s, event_new(EVENT_STOP));
    assert_int_equal(stage_effects(c->s, EFFECT_DRAINED), 0);
    stage_settle(c->s);
    expect_over(c);
    assert_int_equal(c->s->said[c->s->said_n - 1].kind, EFFECT_DRAINED);
}

static void test_stop_while_claiming(void **state)
{
    struct scene *c = *state;
    stage_step(c->s, stage_init_event(c->s, c->r));
    stage_step(c->s, event_new(EVENT_STOP));
    stage_settle(c->s);
    expect_over(c);
    assert_int_equal(stage_effects(c->s, EFFECT_DRAINED), 1);
}

/* ---- joining ---- */

static size_t join(struct scene *c, const char *client_id, bool with_token)
{
    struct slice token = with_token ? stage_token(c->s, client_id) : (struct slice){0};
    stage_forget(c->s);
    stage_do(c->s, stage_join_event(client_id, "live1", token));
    return stage_packets(c->s, TOPIC_WATCH_REPLY, client_id);
}

static void test_join(void **state)
{
    struct scene *c = *state;
    begin(c);
    assert_int_equal(join(c, "viewer1", true), 0); /* nothing came yet, but the metadata */
    assert_int_equal(stage_count(c->s, MESSAGE_LIVE_INFO_ONE), 1);
    stage_parts(c->s, c->r, 0, 1 + GOP * PARTS + 3);
    assert_int_equal(join(c, "viewer1", true), 1 + 3); /* since the second keyframe */
    const struct watch_info *info = stage_last(c->s, MESSAGE_LIVE_INFO_ONE)->body;
    assert_true(info->live && slice_eq(info->token, stage_token(c->s, "viewer1")));
    assert_int_equal(stage_last(c->s, MESSAGE_LIVE_INFO_ONE)->topic, TOPIC_WATCH_REPLY);
    assert_ptr_equal(stage_packet(c->s, TOPIC_WATCH_REPLY, "viewer1", 0)->packet,
                     c->r->parts[0].packet);
    assert_ptr_equal(stage_packet(c->s, TOPIC_WATCH_REPLY, "viewer1", 1)->packet,
                     c->r->parts[1 + GOP * PARTS].packet);
    assert_int_equal(join(c, "viewer1", false), 1);
    assert_int_equal(join(c, "viewer2", false), 1);
    stage_forget(c->s);
    stage_do(c->s, stage_join_event("viewer2", "live1", stage_token(c->s, "viewer1")));
    assert_int_equal(stage_packets(c->s, TOPIC_WATCH_REPLY, ""), 1); /* another's token */
    stage_do(c->s, stage_join_event("viewer1", "live2", stage_token(c->s, "viewer1")));
    stage_expect_error(c->s, CODE_UNKNOWN_VIDEO, TOPIC_WATCH_REPLY, "viewer1");
    struct event *ev = stage_join_event("x", "live1", (struct slice){0});
    ev->u.join.client_id = slice_str("not/an/id");
    stage_do(c->s, ev);
    assert_int_equal(c->s->said_n, 0);
}

/* A joiner brings the metadata to all, but not more than once a second. */
static void test_metadata(void **state)
{
    struct scene *c = *state;
    begin(c);
    join(c, "viewer1", true);
    assert_int_equal(stage_count(c->s, MESSAGE_LIVE_INFO_ALL), 0);
    stage_pass(c->s, STAGE_S);
    join(c, "viewer1", true);
    assert_int_equal(stage_count(c->s, MESSAGE_LIVE_INFO_ALL), 1);
    join(c, "viewer2", true);
    assert_int_equal(stage_count(c->s, MESSAGE_LIVE_INFO_ALL), 0);
}

/* An init chunk whose first part was lost is not mixed with the one before. */
static void test_join_after_half_an_init(void **state)
{
    struct scene *c = *state;
    size_t again = reel_cut(c->r, CHUNK_INIT, 0, REEL_UTC_US, REEL_PART_BYTES + 1);
    begin(c);
    stage_parts(c->s, c->r, 0, 3);
    stage_parts(c->s, c->r, again + 1, again + 2);
    assert_int_equal(join(c, "viewer1", false), 1);
    assert_ptr_equal(stage_packet(c->s, TOPIC_WATCH_REPLY, "viewer1", 0)->packet,
                     c->r->parts[0].packet);
}

static void test_replay_in_slices(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    struct reel *r = reel_new(&alice, "live1", 1, true);
    reel_cut(r, CHUNK_INIT, 0, REEL_UTC_US, 700);
    reel_cut(r, CHUNK_MEDIA, CHUNK_KEYFRAME, REEL_UTC_US, 600 * REEL_PART_BYTES / 2);
    reel_cut(r, CHUNK_MEDIA, 0, REEL_UTC_US, 600 * REEL_PART_BYTES / 2);
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, r->n);
    stage_forget(s);
    stage_do(s, stage_join_event("viewer1", "live1", stage_token(s, "viewer1")));
    size_t sent = stage_packets(s, TOPIC_WATCH_REPLY, "viewer1");
    assert_true(sent > 100 && sent <= EFFECTS_PER_STEP_MAX / 2);
    s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX / 2; /* it waits for the outbox */
    stage_pass(s, STAGE_S / 10);
    assert_int_equal(stage_packets(s, TOPIC_WATCH_REPLY, "viewer1"), sent);
    s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX;
    stage_pass(s, STAGE_S / 10);
    assert_int_equal(stage_packets(s, TOPIC_WATCH_REPLY, "viewer1"), r->n);
    for (size_t i = 0; i < r->n; i++)
        assert_ptr_equal(stage_packet(s, TOPIC_WATCH_REPLY, "viewer1", i)->packet,
                         r->parts[i].packet);
    assert_int_equal(s->core->replays_n, 0);
    reel_free(r);
    stage_free(s);
}

static void test_many_joins(void **state)
{
    struct scene *c = *state;
    char id[32];
    begin(c);
    stage_parts(c->s, c->r, 0, 5);
    stage_forget(c->s);
    c->s->media_free_bytes = 0;
    for (int i = 0; i < REPLAYS_MAX; i++) {
        snprintf(id, sizeof(id), "viewer%d", i);
        stage_do(c->s, stage_join_event(id, "live1", stage_token(c->s, id)));
        stage_do(c->s, stage_join_event(id, "live1", stage_token(c->s, id))); /* begins again */
    }
    assert_int_equal(c->s->core->replays_n, REPLAYS_MAX);
    assert_int_equal(stage_count(c->s, MESSAGE_ERROR), 0);
    stage_do(c->s, stage_join_event("more", "live1", (struct slice){0}));
    stage_expect_error(c->s, CODE_BUSY, TOPIC_WATCH_REPLY, "more");
    c->s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX;
    stage_pass(c->s, STAGE_S);
    assert_int_equal(stage_packets(c->s, TOPIC_WATCH_REPLY, ""), REPLAYS_MAX * 5);
    assert_int_equal(stage_packets(c->s, TOPIC_WATCH_REPLY, id), 5);
}

/* ---- the cache ---- */

static void test_cache_bytes(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    struct scene c = {.s = s, .r = reel_new(&alice, "live1", 1, true)};
    reel_cut(c.r, CHUNK_INIT, 0, REEL_UTC_US, 700);
    for (int i = 0; i < 4; i++)
        reel_cut(c.r, CHUNK_MEDIA, i == 0 ? CHUNK_KEYFRAME : 0, REEL_UTC_US, CHUNK_BYTES_MAX - 1);
    size_t key = reel_cut(c.r, CHUNK_MEDIA, CHUNK_KEYFRAME, REEL_UTC_US, 100);
    begin(&c);
    size_t i = 0;
    size_t bytes = 0;
    size_t init_bytes = 0;
    while (bytes - init_bytes + c.r->parts[i].packet->payload.len <= LIVE_GOP_BYTES_MAX) {
        bytes += c.r->parts[i].packet->payload.len;
        init_bytes = init_bytes ? init_bytes : bytes;
        stage_do(s, stage_part_event(c.r, i++));
        stage_forget(s);
    }
    assert_int_equal(s->core->gop_bytes, bytes);
    stage_do(s, stage_part_event(c.r, i++)); /* one too many: the group is not kept */
    assert_int_equal(s->core->gop_bytes, c.r->parts[0].packet->payload.len);
    assert_int_equal(join(&c, "viewer1", true), 1);
    stage_do(s, stage_part_event(c.r, i++));
    assert_int_equal(join(&c, "viewer1", true), 1);
    stage_do(s, stage_part_event(c.r, key));
    assert_int_equal(join(&c, "viewer1", true), 2);
    reel_free(c.r);
    stage_free(s);
}

static void test_cache_packets(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    struct scene c = {.s = s, .r = reel_new(&alice, "live1", 1, true)};
    reel_cut(c.r, CHUNK_INIT, 0, REEL_UTC_US, 700);
    for (int i = 0; i <= GOP_PACKETS_MAX; i++)
        reel_cut(c.r, CHUNK_MEDIA, i == 0 ? CHUNK_KEYFRAME : 0, REEL_UTC_US, 1);
    begin(&c);
    for (size_t i = 0; i <= GOP_PACKETS_MAX; i++) {
        stage_do(s, stage_part_event(c.r, i));
        stage_forget(s);
    }
    struct ingest *in = map_get(&s->core->lives, slice_str("live1"));
    assert_int_equal(in->gop.n, GOP_PACKETS_MAX);
    stage_do(s, stage_part_event(c.r, GOP_PACKETS_MAX + 1));
    assert_int_equal(in->gop.n, 0);
    assert_true(in->gop.broken);
    reel_free(c.r);
    stage_free(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(test_begin),
        T(test_begin_refused),
        T(test_foreign_streamer),
        T(test_replaced),
        T(test_not_replaced),
        T(test_ends_while_it_is_replaced),
        T(test_renewed),
        T(test_two_inits_at_once),
        T(test_init_while_running),
        cmocka_unit_test(test_limit),
        T(test_relay),
        T(test_duplicates),
        T(test_wrong_track_and_topic),
        T(test_capture_time),
        T(test_skips_to_keyframe),
        T(test_end_chunk),
        T(test_silence),
        T(test_withdrawal_not_kept),
        T(test_stop),
        T(test_stop_while_claiming),
        T(test_join),
        T(test_metadata),
        T(test_join_after_half_an_init),
        cmocka_unit_test(test_replay_in_slices),
        T(test_many_joins),
        cmocka_unit_test(test_cache_bytes),
        cmocka_unit_test(test_cache_packets),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
