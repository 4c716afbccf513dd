/* Giving up a copy, and proving one to who gives up. */
#include "edge/core/placement.h"
#include "tests/unit/edge/copies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- giving up ---- */

/* A film of ours that edge2, edge3 and edge4 hold as well, and that is not ours to keep. */
static struct reel *surplus(struct copies *c, bool keep)
{
    struct place places[4];
    char id[16];
    struct id keepers[REPLICAS_MAX];
    size_t n;
    for (int i = 0; i < 4; i++)
        places[i] = (struct place){
            .edge_id = copies_edges[i].id, .holds = true, .online = true, .counted = true};
    for (int i = 0;; i++) {
        snprintf(id, sizeof(id), "film%d", i);
        struct id video_id = stage_id(id);
        if (placement_surplus(places, 4, &copies_edges[0].id, &video_id, 2, keepers, &n) == !keep)
            break;
    }
    struct reel *r = copies_film(id);
    stage_upload(c->s, r);
    copies_come(c, 2, 4);
    for (int i = 2; i <= 4; i++)
        copies_says(c, r, i, 1);
    return r;
}

static size_t probes(struct stage *s)
{
    size_t n = 0;
    const struct effect *e;
    for (size_t i = 0; (e = stage_nth(s, MESSAGE_SYNC, i)) != NULL; i++)
        n += ((const struct sync_message *)e->body)->kind == SYNC_PROBE;
    return n;
}

/* The i-th probe that was sent, and to whom. */
static const struct sync_message *probe(struct stage *s, size_t i, struct id *ret_to)
{
    const struct effect *e;
    for (size_t k = 0; (e = stage_nth(s, MESSAGE_SYNC, k)) != NULL; k++) {
        const struct sync_message *m = e->body;
        if (m->kind != SYNC_PROBE || i--)
            continue;
        assert_int_equal(e->topic, TOPIC_DB_SYNC);
        assert_int_equal(id_parse(e->a, ret_to), ERR_OK);
        return m;
    }
    fail_msg("fewer probes were sent");
    return NULL;
}

static struct hash hash_part(const struct reel *r, const struct nonce *nonce,
                             const struct probe_part *part)
{
    const struct reel_part *p = &r->parts[reel_at(r, part->chunk, part->part)];
    return hash_of(slice_of(nonce->b, NONCE_BYTES), p->packet->payload);
}

/* What edge `to` answers to a probe when it has the film. */
static struct event *proof(struct copies *c, const struct reel *r, const struct sync_message *m,
                           const struct id *to)
{
    struct event *ev = event_new(EVENT_DB_SYNC);
    struct possession *p = &ev->u.db_sync.possession;
    ev->u.db_sync.message = (struct sync_message){.kind = SYNC_PROOF, .edge_id = *to};
    ev->u.db_sync.message.u.proof.video_id = m->u.probe.video_id;
    ev->u.db_sync.proved = true;
    *p = (struct possession){.zone_id = c->s->core->zone.zone_id,
                             .edge_id = *to,
                             .asker_id = copies_edges[0].id,
                             .stream = m->u.probe.stream,
                             .nonce = m->u.probe.nonce,
                             .n = (uint16_t)m->u.probe.n};
    for (size_t i = 0; i < m->u.probe.n; i++)
        p->hashes[i] = hash_part(r, &m->u.probe.nonce, &m->u.probe.parts[i]);
    return ev;
}

static void prove(struct copies *c, const struct reel *r, size_t i)
{
    struct id to;
    const struct sync_message *m = probe(c->s, i, &to);
    stage_do(c->s, proof(c, r, m, &to));
}

/* Until the keepers are asked, at most us; false: they were not. */
static bool asks(struct copies *c, uint64_t us)
{
    enum { STEP_US = 100 * 1000 };
    stage_forget(c->s);
    for (uint64_t passed_us = 0; !probes(c->s) && passed_us < us; passed_us += STEP_US) {
        stage_pass(c->s, STEP_US);
        if (passed_us % HEARTBEAT_US == 0)
            copies_beat(c);
    }
    return probes(c->s) > 0;
}

static void test_surplus(void **state)
{
    struct copies *c = *state;
    struct reel *r = surplus(c, false);
    assert_false(asks(c, COPIES_QUIET_US - STAGE_S)); /* too soon after a start */
    assert_true(asks(c, COPIES_SWEEP_US));
    assert_int_equal(probes(c->s), 2);
    struct id first, second;
    const struct sync_message *m = probe(c->s, 0, &first);
    probe(c->s, 1, &second);
    assert_false(id_eq(&first, &second));
    assert_int_equal(m->u.probe.n, PROBE_PARTS_MAX);
    prove(c, r, 0);
    assert_int_equal(copies_custody(c, r), 1); /* one proof is not enough */
    prove(c, r, 0);
    assert_int_equal(copies_custody(c, r), 1);
    prove(c, r, 1);
    assert_int_equal(copies_custody(c, r), 0);
    assert_true(memory_store_whole(c->s->store, &r->stream)); /* a cached copy now */
    copies_pass(c, STAGE_S);
    const struct db_update *u = stage_last(c->s, MESSAGE_DB_UPDATE)->body;
    assert_true(u->removal && u->holding.type == OBJECT_CUSTODY);
    assert_int_equal(copies_count(c, COUNT_copies_dropped), 1);
    stage_forget(c->s);
    copies_pass(c, 700 * STAGE_S);
    assert_int_equal(probes(c->s), 0);
    reel_free(r);
}

/* Ours is among those that stay. */
static void test_keeper(void **state)
{
    struct copies *c = *state;
    struct reel *r = surplus(c, true);
    copies_pass(c, 800 * STAGE_S);
    assert_int_equal(probes(c->s), 0);
    assert_int_equal(copies_custody(c, r), 1);
    reel_free(r);
}

/* To where the keepers have just been asked. */
static struct reel *asked(struct copies *c)
{
    struct reel *r = surplus(c, false);
    copies_pass(c, COPIES_QUIET_US - STAGE_S);
    assert_true(asks(c, COPIES_SWEEP_US));
    assert_int_equal(probes(c->s), 2);
    return r;
}

static void test_proof_wrong(void **state)
{
    struct copies *c = *state;
    struct reel *r = asked(c);
    struct id to;
    prove(c, r, 0);
    const struct sync_message *m = probe(c->s, 1, &to);
    struct event *ev = proof(c, r, m, &to);
    ev->u.db_sync.possession.hashes[PROBE_PARTS_MAX - 1].b[0] ^= 1;
    stage_do(c->s, ev);
    assert_int_equal(copies_count(c, COUNT_probes_failed), 1);
    stage_do(c->s, proof(c, r, m, &to)); /* too late */
    assert_int_equal(copies_custody(c, r), 1);
    reel_free(r);
}

/* What does not answer our question to this keeper is no proof. */
static void test_proof_of_something_else(void **state)
{
    struct copies *c = *state;
    struct reel *r = asked(c);
    struct id to;
    const struct sync_message *m = probe(c->s, 1, &to);
    prove(c, r, 0);
    struct event *ev = proof(c, r, m, &to);
    ev->u.db_sync.proved = false;
    stage_do(c->s, ev);
    ev = proof(c, r, m, &to);
    ev->u.db_sync.possession.nonce.b[0] ^= 1;
    stage_do(c->s, ev);
    ev = proof(c, r, m, &to);
    ev->u.db_sync.possession.asker_id = copies_edges[4].id;
    stage_do(c->s, ev);
    ev = proof(c, r, m, &to);
    ev->u.db_sync.possession.edge_id = copies_edges[5].id; /* nobody asked it */
    stage_do(c->s, ev);
    ev = proof(c, r, m, &to);
    ev->u.db_sync.possession.stream.b[0] ^= 1;
    stage_do(c->s, ev);
    assert_int_equal(copies_custody(c, r), 1);
    assert_int_equal(copies_count(c, COUNT_messages_rejected), 5);
    prove(c, r, 1);
    assert_int_equal(copies_custody(c, r), 0);
    reel_free(r);
}

static void test_no_proof(void **state)
{
    struct copies *c = *state;
    struct reel *r = asked(c);
    prove(c, r, 0);
    copies_pass(c, COPIES_PROVE_US);
    assert_int_equal(copies_count(c, COUNT_probes_failed), 1);
    prove(c, r, 1);
    assert_int_equal(copies_custody(c, r), 1);
    stage_forget(c->s);
    assert_true(asks(c, 40 * STAGE_S)); /* it is tried again */
    reel_free(r);
}

static void test_keeper_goes_away(void **state)
{
    struct copies *c = *state;
    struct reel *r = asked(c);
    struct id to;
    probe(c->s, 0, &to);
    prove(c, r, 0);
    stage_do(c->s, stage_status_event(to.s, false));
    prove(c, r, 1);
    assert_int_equal(copies_custody(c, r), 1);
    reel_free(r);
}

static void test_watched(void **state)
{
    struct copies *c = *state;
    struct reel *r = asked(c);
    copies_watch(c, "viewer1", r); /* meanwhile */
    prove(c, r, 0);
    prove(c, r, 1);
    assert_int_equal(copies_custody(c, r), 1);
    assert_false(asks(c, VIEW_IDLE_TIMEOUT_US - STAGE_S));
    assert_true(asks(c, 2 * VIEW_IDLE_TIMEOUT_US)); /* he is gone */
    reel_free(r);
}

/* ---- proving ---- */

static struct event *probe_event(const struct reel *r, const char *asker, size_t n)
{
    struct event *ev = event_new(EVENT_DB_SYNC);
    struct sync_message *m = &ev->u.db_sync.message;
    m->kind = SYNC_PROBE;
    m->edge_id = stage_id(asker);
    m->u.probe.video_id = r->video.video_id;
    m->u.probe.stream = r->stream;
    m->u.probe.nonce.b[0] = 7;
    m->u.probe.n = n;
    for (size_t i = 0; i < n && i < PROBE_PARTS_MAX; i++)
        m->u.probe.parts[i] = (struct probe_part){.chunk = 2, .part = (uint16_t)(i % 4)};
    return ev;
}

static void test_row_not_stored(void **state)
{
    struct copies *c = *state;
    struct reel *r = asked(c);
    prove(c, r, 0);
    memory_store_fail(c->s->store, ERR_STORAGE_FULL, 0, 1);
    prove(c, r, 1);
    assert_int_equal(copies_custody(c, r), 1); /* nothing is given up that is not on disk */
    stage_do(c->s, probe_event(r, "edge2", 1));
    assert_int_equal(copies_count(c, COUNT_probes_answered), 1); /* and ours is proved again */
    reel_free(r);
}

static void test_proves(void **state)
{
    struct copies *c = *state;
    stage_upload(c->s, c->r);
    copies_come(c, 2, 2);
    stage_forget(c->s);
    stage_do(c->s, probe_event(c->r, "edge2", 4));
    const struct effect *e = stage_last(c->s, MESSAGE_SYNC);
    const struct sync_message *m = e->body;
    assert_true(slice_eq_str(e->a, "edge2"));
    assert_int_equal(m->kind, SYNC_PROOF);
    struct possession p;
    assert_int_equal(possession_open(m->u.proof.proof, &copies_edges[0].key.pk, &p), ERR_OK);
    assert_string_equal(p.asker_id.s, "edge2");
    assert_string_equal(p.edge_id.s, "edge1");
    assert_int_equal(p.n, 4);
    for (uint16_t i = 0; i < 4; i++) {
        struct probe_part part = {.chunk = 2, .part = i};
        struct hash h = hash_part(c->r, &p.nonce, &part);
        assert_true(hash_eq(&p.hashes[i], &h));
    }
    assert_int_equal(copies_count(c, COUNT_probes_answered), 1);
}

static void test_proves_nothing(void **state)
{
    struct copies *c = *state;
    struct reel *other = copies_film("film1");
    stage_upload(c->s, c->r);
    copies_come(c, 2, 3);
    copies_cache(c, other, "viewer1");
    stage_forget(c->s);
    stage_do(c->s, probe_event(c->r, "edge5", 1)); /* nobody that we know */
    stage_do(c->s, probe_event(c->r, "edge1", 1)); /* ourselves */
    stage_do(c->s, probe_event(c->r, "edge2", 0));
    stage_do(c->s, probe_event(c->r, "edge2", PROBE_PARTS_MAX + 1));
    stage_do(c->s, probe_event(other, "edge2", 1)); /* cached: nobody counts on it */
    struct event *ev = probe_event(c->r, "edge2", 1);
    ev->u.db_sync.message.u.probe.stream.b[0] ^= 1;
    stage_do(c->s, ev);
    ev = probe_event(c->r, "edge2", 1);
    ev->u.db_sync.message.u.probe.parts[0].chunk = 100;
    stage_do(c->s, ev);
    assert_int_equal(stage_count(c->s, MESSAGE_SYNC), 0);
    assert_int_equal(copies_count(c, COUNT_sync_refused), 7);
    stage_do(c->s, probe_event(c->r, "edge2", PROBE_PARTS_MAX));
    assert_int_equal(stage_count(c->s, MESSAGE_SYNC), 1);
    reel_free(other);
}

static void test_probes_limit(void **state)
{
    struct copies *c = *state;
    stage_upload(c->s, c->r);
    copies_come(c, 2, 2);
    stage_forget(c->s);
    c->s->read_at_once = false;
    for (int i = 0; i < PROBE_ANSWERS_MAX + 1; i++)
        stage_do(c->s, probe_event(c->r, "edge2", 1));
    assert_int_equal(copies_count(c, COUNT_sync_refused), 1);
    c->s->read_at_once = true;
    stage_settle(c->s);
    assert_int_equal(stage_count(c->s, MESSAGE_SYNC), PROBE_ANSWERS_MAX);
    for (int i = PROBE_ANSWERS_MAX; i < PROBES_PER_S_MAX + 5; i++)
        stage_do(c->s, probe_event(c->r, "edge2", 1));
    assert_int_equal(stage_count(c->s, MESSAGE_SYNC), PROBES_PER_S_MAX);
    assert_int_equal(copies_count(c, COUNT_sync_refused), 6);
    copies_pass(c, STAGE_S);
    stage_do(c->s, probe_event(c->r, "edge2", 1));
    assert_int_equal(stage_count(c->s, MESSAGE_SYNC), PROBES_PER_S_MAX + 1);
}

/* Who has proved its copy to somebody keeps it; who is giving it up proves nothing. */
static void test_vouched(void **state)
{
    struct copies *c = *state;
    struct reel *r = surplus(c, false);
    copies_pass(c, COPIES_QUIET_US - STAGE_S);
    stage_do(c->s, probe_event(r, "edge2", 1));
    assert_int_equal(copies_count(c, COUNT_probes_answered), 1);
    assert_false(asks(c, COPIES_QUIET_US - STAGE_S));
    assert_true(asks(c, COPIES_SWEEP_US));
    stage_do(c->s, probe_event(r, "edge2", 1));
    assert_int_equal(copies_count(c, COUNT_probes_answered), 1);
    prove(c, r, 0);
    c->s->commit_at_once = false;
    prove(c, r, 1);
    stage_do(c->s, probe_event(r, "edge2", 1)); /* the row is on its way to the disk */
    c->s->commit_at_once = true;
    stage_settle(c->s);
    assert_int_equal(copies_custody(c, r), 0);
    stage_do(c->s, probe_event(r, "edge2", 1)); /* and after it */
    assert_int_equal(copies_count(c, COUNT_probes_answered), 1);
    reel_free(r);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, copies_setup, copies_teardown)
    const struct CMUnitTest tests[] = {
        T(test_surplus),      T(test_keeper),
        T(test_proof_wrong),  T(test_proof_of_something_else),
        T(test_no_proof),     T(test_keeper_goes_away),
        T(test_watched),      T(test_row_not_stored),
        T(test_proves),       T(test_proves_nothing),
        T(test_probes_limit), T(test_vouched),
    };
#undef T
    return cmocka_run_group_tests(tests, copies_group_setup, NULL);
}
