/* Who is there: what a status must be to be believed, and what ours say. */
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static bool online(struct stage *s, const char *id)
{
    return presence_online(s->core, slice_str(id));
}

static uint64_t status_refused(const struct stage *s)
{
    return core_counter(s->core, COUNT_statuses_refused);
}

static void beat(struct stage *s, const struct stage_beat *b)
{
    stage_do(s, stage_beat_event(b));
}

/* ---- the others ---- */

static void test_silence(void **state)
{
    struct stage *s = *state;
    assert_true(online(s, "edge1")); /* we */
    assert_false(online(s, "edge2"));
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    assert_true(online(s, "edge2"));
    stage_pass(s, PEER_SILENCE_US);
    assert_true(online(s, "edge2"));
    stage_pass(s, 1);
    assert_false(online(s, "edge2"));
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    assert_true(online(s, "edge2"));
}

/* Nobody is made or unmade by what he did not sign. */
static void test_unsigned(void **state)
{
    struct stage *s = *state;
    struct stage_beat will = {.edge_id = "edge2", .unsigned_will = true};
    beat(s, &will);
    assert_false(online(s, "edge2"));
    assert_int_equal(s->core->peers.count, 0);
    assert_int_equal(status_refused(s), 1);
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    beat(s, &will); /* says online, unsigned: nothing */
    assert_true(online(s, "edge2"));
    will.offline = true;
    beat(s, &will);
    assert_true(online(s, "edge2"));
    stage_pass(s, PEER_HINTED_SILENCE_US);
    assert_true(online(s, "edge2"));
    stage_pass(s, 1);
    assert_false(online(s, "edge2"));
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    stage_pass(s, PEER_HINTED_SILENCE_US + 1);
    assert_true(online(s, "edge2")); /* the hint was of then */
}

/* A stranger makes nobody count the others again and again, and nothing of who is gone. */
static void test_unsigned_again(void **state)
{
    struct stage *s = *state;
    struct stage_beat will = {.edge_id = "edge2", .unsigned_will = true, .offline = true};
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    uint64_t changes = s->core->peers_changes;
    for (int i = 0; i < 5; i++)
        beat(s, &will);
    assert_int_equal(s->core->peers_changes, changes + 1);
    beat(s, &(struct stage_beat){.edge_id = "edge2", .offline = true});
    changes = s->core->peers_changes;
    beat(s, &will);
    assert_int_equal(s->core->peers_changes, changes);
}

static void test_signed_offline(void **state)
{
    struct stage *s = *state;
    beat(s, &(struct stage_beat){.edge_id = "edge2", .offline = true});
    assert_int_equal(s->core->peers.count, 0);
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    beat(s, &(struct stage_beat){.edge_id = "edge2", .offline = true});
    assert_false(online(s, "edge2"));
}

static void test_times_go_up(void **state)
{
    struct stage *s = *state;
    struct stage_beat b = {.edge_id = "edge2", .time_us = s->utc_us};
    beat(s, &b);
    assert_true(online(s, "edge2"));
    beat(s, &b);
    assert_int_equal(status_refused(s), 1);
    b.time_us--;
    beat(s, &b);
    assert_int_equal(status_refused(s), 2);
    stage_pass(s, PEER_SILENCE_US + 1);
    b.time_us++;
    beat(s, &b); /* recorded while it was there */
    assert_int_equal(status_refused(s), 3);
    assert_false(online(s, "edge2"));
    b.time_us++;
    beat(s, &b);
    assert_true(online(s, "edge2"));
}

/* Not even who has just started believes an old status, or one of a wrong clock. */
static void test_times_are_near(void **state)
{
    struct stage *s = *state;
    struct stage_beat b = {.edge_id = "edge2", .time_us = s->utc_us - HLC_AHEAD_MAX_US - 1};
    beat(s, &b);
    b.time_us = s->utc_us + HLC_AHEAD_MAX_US + 1;
    beat(s, &b);
    assert_int_equal(status_refused(s), 2);
    assert_false(online(s, "edge2"));
    b.time_us = s->utc_us - HLC_AHEAD_MAX_US;
    beat(s, &b);
    assert_true(online(s, "edge2"));
    b.time_us = s->utc_us + HLC_AHEAD_MAX_US;
    beat(s, &b);
    assert_int_equal(status_refused(s), 2);
}

static void test_keys(void **state)
{
    struct stage *s = *state;
    struct id id = stage_id("edge2");
    struct event *ev = stage_beat_event(&(struct stage_beat){.edge_id = "edge2"});
    ev->u.status.node.zone_id = stage_id("zone9");
    stage_do(s, ev);
    assert_int_equal(status_refused(s), 1);
    beat(s, &(struct stage_beat){.edge_id = "edge2", .without_credential = true});
    assert_int_equal(status_refused(s), 2); /* nobody has shown its key yet */
    assert_null(trust_view_edge(core_trust_view(s->core), &id));
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    assert_non_null(trust_view_edge(core_trust_view(s->core), &id));
    assert_true(stage_effects(s, EFFECT_TRUST) > 0);
    beat(s, &(struct stage_beat){.edge_id = "edge2", .without_credential = true});
    assert_int_equal(status_refused(s), 2);
    ev = stage_beat_event(&(struct stage_beat){.edge_id = "edge2"});
    ev->u.status.pk.b[0] ^= 1; /* an older credential, another key */
    stage_do(s, ev);
    assert_int_equal(status_refused(s), 3);
    ev = stage_beat_event(&(struct stage_beat){.edge_id = "edge2"});
    ev->u.status.pk.b[0] ^= 1;
    ev->u.status.serial++; /* enrolled anew */
    stage_do(s, ev);
    assert_int_equal(status_refused(s), 3);
    assert_true(online(s, "edge2"));
}

static void test_credential_ends(void **state)
{
    struct stage *s = *state;
    struct event *ev = stage_beat_event(&(struct stage_beat){.edge_id = "edge2"});
    ev->u.status.not_after_us = s->utc_us;
    stage_do(s, ev);
    assert_int_equal(status_refused(s), 1);
    ev = stage_beat_event(&(struct stage_beat){.edge_id = "edge2"});
    ev->u.status.not_after_us = s->utc_us + STAGE_S;
    stage_do(s, ev);
    assert_int_equal(status_refused(s), 1);
    stage_pass(s, STAGE_S);
    beat(s, &(struct stage_beat){.edge_id = "edge2", .without_credential = true});
    assert_int_equal(status_refused(s), 2);
    struct id id = stage_id("edge2");
    stage_pass(s, HEARTBEAT_US); /* then nothing that it signs counts */
    assert_null(trust_view_edge(core_trust_view(s->core), &id));
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    assert_non_null(trust_view_edge(core_trust_view(s->core), &id));
    assert_true(online(s, "edge2"));
}

/* The table is bounded: those that are silent give way, and none that are there. */
static void test_peers_max(void **state)
{
    struct stage *s = *state;
    char id[32];
    struct id first = stage_id("peer0");
    for (int i = 0; i <= PEERS_MAX; i++) {
        snprintf(id, sizeof(id), "peer%d", i);
        beat(s, &(struct stage_beat){.edge_id = id});
        stage_forget(s);
    }
    assert_int_equal(s->core->peers.count, PEERS_MAX);
    assert_false(online(s, id));
    stage_pass(s, 10 * STAGE_S);
    for (int i = 1; i < PEERS_MAX; i++) {
        char other[32];
        snprintf(other, sizeof(other), "peer%d", i);
        beat(s, &(struct stage_beat){.edge_id = other});
        stage_forget(s);
    }
    stage_pass(s, 10 * STAGE_S);
    beat(s, &(struct stage_beat){.edge_id = id});
    assert_true(online(s, id));
    assert_int_equal(s->core->peers.count, PEERS_MAX);
    assert_null(trust_view_edge(core_trust_view(s->core), &first)); /* forgotten with its key */
}

static bool counted(struct stage *s, const char *id)
{
    return presence_counted(s->core, slice_str(id));
}

static void test_counted(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.replica_grace_us = 60 * STAGE_S});
    assert_true(counted(s, "edge2")); /* it may not have been heard yet */
    stage_pass(s, 60 * STAGE_S - 1);
    assert_true(counted(s, "edge2"));
    stage_pass(s, 1);
    assert_false(counted(s, "edge2"));
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    stage_pass(s, 60 * STAGE_S - 1);
    assert_true(!online(s, "edge2") && counted(s, "edge2"));
    stage_pass(s, 1);
    assert_false(counted(s, "edge2"));
    stage_do(s, event_new(EVENT_BUS_DOWN));
    assert_true(counted(s, "edge2")); /* it is we who are away */
    stage_do(s, event_new(EVENT_BUS_UP));
    assert_true(counted(s, "edge2"));
    stage_pass(s, 60 * STAGE_S);
    assert_false(counted(s, "edge2"));
    stage_free(s);
}

/* ---- ours ---- */

static const struct edge_status *said(const struct stage *s, size_t i)
{
    return stage_nth(s, MESSAGE_EDGE_STATUS, i)->body;
}

static struct node_status opened(const struct stage *s, const struct edge_status *m)
{
    struct node_status node;
    assert_int_equal(node_status_open(m->signed_status, &s->edge.key.pk, &node), ERR_OK);
    return node;
}

static void test_beats(void **state)
{
    struct stage *s = *state;
    struct event *ev = event_new(EVENT_LOAD);
    ev->u.load = (struct machine_load){.disk_free = 5, .disk_total = 9};
    stage_do(s, ev);
    stage_forget(s);
    stage_pass(s, 60 * STAGE_S);
    size_t n = stage_count(s, MESSAGE_EDGE_STATUS);
    assert_true(n >= 12 && n <= 13);
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        struct node_status node = opened(s, said(s, i));
        assert_true(node.time_us > last);
        last = node.time_us;
        assert_true(node.state == 1 && id_eq(&node.edge_id, &s->edge.id));
        assert_true(node.disk_free == 5 && node.disk_total == 9);
        assert_int_equal(node.since_us, s->core->since_us);
        assert_int_equal(node.horizon_us, s->core->root.horizon_us);
        assert_memory_equal(node.root, s->core->root.b, NODE_ROOT_BYTES);
    }
    assert_true(s->core->root.horizon_us > 0);
}

static void test_when_the_credential_is_shown(void **state)
{
    struct stage *s = *state;
    stage_pass(s, 60 * STAGE_S);
    stage_do(s, event_new(EVENT_BUS_DOWN));
    stage_forget(s);
    stage_do(s, event_new(EVENT_BUS_UP));
    stage_pass(s, 64 * STAGE_S);
    size_t n = stage_count(s, MESSAGE_EDGE_STATUS);
    assert_true(n >= 13);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(said(s, i)->credential.len > 0, i < 3 || i == 12);
    uint64_t due_us = s->core->heartbeat_next_us;
    stage_pass(s, due_us - s->now_us - STAGE_S * 3 / 2);
    stage_forget(s);
    beat(s, &(struct stage_beat){.edge_id = "edge2"});
    stage_pass(s, STAGE_S); /* soon: it knows nobody's key */
    assert_int_equal(stage_count(s, MESSAGE_EDGE_STATUS), 1);
    assert_true(said(s, 0)->credential.len > 0);
}

/* An edge that fell and stood up again was never missed: it knows nobody's key all the same. */
static void test_a_quick_restart(void **state)
{
    struct stage *s = *state;
    for (uint64_t up_s = 100; up_s < 130; up_s += 6) {
        beat(s, &(struct stage_beat){.edge_id = "edge2", .uptime_s = up_s});
        stage_pass(s, 6 * STAGE_S);
    }
    assert_false(s->core->show_credential);
    beat(s, &(struct stage_beat){.edge_id = "edge2", .uptime_s = 1});
    assert_true(s->core->show_credential);
}

static void test_stop_is_signed(void **state)
{
    struct stage *s = *state;
    stage_forget(s);
    stage_do(s, event_new(EVENT_STOP));
    const struct edge_status *m = stage_last(s, MESSAGE_EDGE_STATUS)->body;
    assert_false(m->online);
    assert_int_equal(opened(s, m).state, 0);
}

/* Who has no whole catalogue shows no root. */
static void test_no_root_while_joining(void **state)
{
    (void)state;
    struct stage *s = stage_new(&(struct stage_spec){.new_here = true});
    stage_pass(s, 5 * STAGE_S);
    assert_int_equal(opened(s, stage_last(s, MESSAGE_EDGE_STATUS)->body).horizon_us, 0);
    stage_pass(s, 15 * STAGE_S);
    struct node_status node = opened(s, stage_last(s, MESSAGE_EDGE_STATUS)->body);
    assert_true(node.horizon_us > 0 && node.since_us > 0);
    stage_free(s);
}

/* Our clock was ahead: nobody believed our times, and they begin again. */
static void test_our_times(void **state)
{
    struct stage *s = *state;
    stage_pass(s, 10 * STAGE_S);
    uint64_t last = opened(s, stage_last(s, MESSAGE_EDGE_STATUS)->body).time_us;
    s->utc_us -= 60 * STAGE_S;
    stage_pass(s, 10 * STAGE_S);
    struct node_status node = opened(s, stage_last(s, MESSAGE_EDGE_STATUS)->body);
    assert_true(node.time_us > last);
    s->utc_us -= HLC_AHEAD_MAX_US;
    stage_pass(s, 10 * STAGE_S);
    node = opened(s, stage_last(s, MESSAGE_EDGE_STATUS)->body);
    assert_true(node.time_us < last && node.time_us <= s->utc_us);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_stage_setup, scene_stage_teardown)
    const struct CMUnitTest tests[] = {
        T(test_silence),
        T(test_unsigned),
        T(test_unsigned_again),
        T(test_signed_offline),
        T(test_times_go_up),
        T(test_times_are_near),
        T(test_keys),
        T(test_credential_ends),
        T(test_peers_max),
        cmocka_unit_test(test_counted),
        T(test_beats),
        T(test_when_the_credential_is_shown),
        T(test_a_quick_restart),
        T(test_stop_is_signed),
        cmocka_unit_test(test_no_root_while_joining),
        T(test_our_times),
    };
#undef T
    return cmocka_run_group_tests(tests, scene_cast, NULL);
}
