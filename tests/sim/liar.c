/*
 * An edge with a credential that lies: it repeats what others said long ago,
 * claims copies that it has not, says two things with one stamp, speaks in the
 * name of others, answers probes with guesses, and sends the whole catalogue
 * as if it were empty.
 *
 *   I1  it has no key but its own: what it forges does not verify.
 *   I2  where edges may be away for longer than deletions are kept it does not say that it knows of
 *       all of them since: an edge that comes back then believes one that does.
 */
#include "base/check.h"
#include "tests/sim/sim.h"
#include "wire/bundle.h"
#include "wire/presence.h"
#include "wire/sync.h"
#include "wire/watch.h"

enum { ACT_US_MAX = 4 * 1000 * 1000, KEEP_ONE_IN = 20 };

void liar_init(struct sim *s)
{
    struct liar *l = &s->liar;
    s->has_liar = l->on = true;
    struct member_spec spec = {.kind = CREDENTIAL_EDGE,
                               .not_before_us = REEL_UTC_US - REEL_DAY_US,
                               .not_after_us = REEL_UTC_US + REEL_DAY_US,
                               .serial = auth_acts(s) ? LIAR_SERIAL : REEL_SERIAL};
    member_make_as("liar", &spec, &l->member);
    l->client = sim_client(s, CLIENT_LIAR, 0, &l->member.id);
    sim_at(s, s->now_us + SIM_S, HAPPEN_LIAR, 0, 0, NULL);
}

void liar_free(struct liar *l)
{
    for (size_t i = 0; i < l->kept_n; i++)
        msg_unref(l->kept[i]);
}

static void random_bytes(struct sim *s, void *ret, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)ret)[i] = (uint8_t)sim_random(s, 256);
}

/* Somebody's video that was begun, or NULL. */
static const struct upload *some_upload(struct sim *s)
{
    const struct streamer *st = &s->streamers[sim_random(s, s->streamers_n)];
    const struct upload *u = &st->uploads[sim_random(s, st->n)];
    return u->begun ? u : NULL;
}

/* ---- what it says ---- */

/* To another edge, or to all, under its own key. */
static void say_signed(struct sim *s, enum topic_kind topic, const struct id *to, struct slice text,
                       struct arena *arena)
{
    struct liar *l = &s->liar;
    struct id all = {0};
    l->said_us = l->said_us < s->utc_us ? s->utc_us : l->said_us + 1;
    broker_send(s, l->client, topic, to ? id_slice(to) : (struct slice){0}, (struct slice){0},
                reel_peer_text(arena, text, topic, &l->member, to ? to : &all, l->said_us));
}

static void say_status(struct sim *s)
{
    struct liar *l = &s->liar;
    struct arena arena = {0};
    uint8_t body[OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    struct zone_params zone;
    reel_zone(&zone);
    struct node_status node = {.zone_id = zone.zone_id,
                               .edge_id = l->member.id,
                               .state = 1,
                               .time_us = s->utc_us + sim_random(s, SIM_S),
                               .since_us =
                                   s->lasting ? s->utc_us : s->utc_us - sim_random(s, REEL_DAY_US),
                               .disk_free = 1ull << 40,
                               .disk_total = 1ull << 41};
    node.horizon_us = memory_store_root(s->nodes[0].store).horizon_us;
    random_bytes(s, node.root, NODE_ROOT_BYTES);
    node_status_encode(&node, &w);
    struct edge_status status = {
        .edge_id = l->member.id,
        .online = true,
        .zone = id_slice(&zone.zone_id),
        .ts_ms = node.time_us / 1000,
        .signed_status = reel_object(&arena, OBJECT_STATUS, &w, &l->member.key),
        .credential = member_credential(&l->member),
    };
    broker_send(s, l->client, TOPIC_EDGE_STATUS, id_slice(&l->member.id), (struct slice){0},
                edge_status_encode(&status, &arena));
    arena_release(&arena);
}

static void say_again(struct sim *s)
{
    struct liar *l = &s->liar;
    if (!l->kept_n)
        return;
    const struct msg *m = l->kept[sim_random(s, l->kept_n)];
    broker_publish(s, l->client, m->topic, m->payload);
}

struct lie {
    const struct reel *reel;
    const struct member *edge; /* in whose name */
    uint8_t state;
    uint64_t hlc;
    bool final;       /* the video's last statement, else its first */
    bool other_bytes; /* of another stream */
};

static void say_holding(struct sim *s, const struct lie *lie)
{
    struct liar *l = &s->liar;
    struct arena arena = {0};
    const struct reel *r = lie->reel;
    struct holding h = {.zone_id = r->video.zone_id,
                        .edge_id = lie->edge->id,
                        .video_id = r->video.video_id,
                        .streamer_id = r->video.streamer_id,
                        .stream = r->stream,
                        .state = lie->state,
                        .hlc = lie->hlc};
    if (lie->other_bytes)
        random_bytes(s, h.stream.b, HASH_BYTES);
    struct bundle_claim claim = {.object = lie->final ? r->final_statement : r->statement,
                                 .credential = member_credential(r->streamer),
                                 .manifest = lie->final ? r->manifest_bytes : (struct slice){0},
                                 .thumbnail = r->thumbnail};
    struct holding_row row = {.type = OBJECT_CUSTODY,
                              .object =
                                  reel_holding_object(&arena, OBJECT_CUSTODY, &h, &l->member.key),
                              .edge_credential = member_credential(lie->edge)};
    struct bundle_out *b = bundle_start(&arena);
    bundle_add_claim(b, &claim);
    bundle_add_holding(b, &row);
    say_signed(s, TOPIC_DB_UPDATE, NULL, bundle_end_update(b, &l->member.id), &arena);
    arena_release(&arena);
}

static void say_lies(struct sim *s)
{
    struct liar *l = &s->liar;
    const struct upload *u = some_upload(s);
    if (!u)
        return;
    l->last_hlc = (s->utc_us / 1000) << 16;
    struct lie lie = {.reel = u->reel,
                      .edge = &l->member,
                      .state = 1,
                      .hlc = l->last_hlc,
                      .final = u->acked && !sim_chance(s, 4)};
    switch (sim_random(s, 4)) {
    case 0: break; /* a copy that it has not */
    case 1:        /* two things with one stamp */
        say_holding(s, &lie);
        lie.state = 0;
        break;
    case 2: lie.edge = &s->nodes[sim_random(s, s->nodes_n)].member; break;
    case 3: lie.other_bytes = true; break;
    }
    say_holding(s, &lie);
}

/* In the name of the streamer, who did not sign it. */
static void say_deletion(struct sim *s)
{
    struct liar *l = &s->liar;
    struct arena arena = {0};
    const struct upload *u = some_upload(s);
    if (!u)
        return;
    struct deletion d = {.zone_id = u->reel->video.zone_id,
                         .video_id = u->reel->video.video_id,
                         .streamer_id = u->reel->video.streamer_id,
                         .revision_us = s->utc_us};
    struct bundle_claim claim = {
        .deleted = true,
        .object = reel_deletion_object(&arena, &d, &l->member.key),
        .credential = sim_chance(s, 2) ? member_credential(u->reel->streamer) : (struct slice){0}};
    struct bundle_out *b = bundle_start(&arena);
    bundle_add_claim(b, &claim);
    say_signed(s, TOPIC_DB_UPDATE, NULL, bundle_end_update(b, &l->member.id), &arena);
    arena_release(&arena);
}

static void say_digests(struct sim *s)
{
    struct liar *l = &s->liar;
    struct arena arena = {0};
    const struct node *n = &s->nodes[sim_random(s, s->nodes_n)];
    struct sync_node nodes[4] = {0};
    struct sync_want wants[4];
    struct sync_message m = {.kind = sim_chance(s, 2) ? SYNC_DIGESTS : SYNC_WANT,
                             .edge_id = l->member.id,
                             .horizon_us = memory_store_root(n->store).horizon_us};
    random_bytes(s, wants, sizeof(wants));
    for (size_t i = 0; i < 4; i++) {
        nodes[i].depth = (uint8_t)i;
        nodes[i].prefix = (uint16_t)sim_random(s, 1ull << (4 * i));
        random_bytes(s, nodes[i].children, sizeof(nodes[i].children));
    }
    if (m.kind == SYNC_DIGESTS) {
        m.u.digests.n = 4;
        m.u.digests.nodes = nodes;
    } else {
        m.u.want.n = 4;
        m.u.want.rows = wants;
    }
    say_signed(s, TOPIC_DB_SYNC, &n->member.id, sync_message_encode(&m, &arena), &arena);
    arena_release(&arena);
}

void liar_wake(struct sim *s)
{
    if (!s->liar.on)
        return;
    switch (sim_random(s, 6)) {
    case 0:
    case 1: say_lies(s); break;
    case 2: say_again(s); break;
    case 3: say_deletion(s); break;
    case 4: say_digests(s); break;
    case 5: break;
    }
    say_status(s);
    sim_at(s, s->now_us + SIM_S / 2 + sim_random(s, ACT_US_MAX), HAPPEN_LIAR, 0, 0, NULL);
}

/* ---- what it answers ---- */

static void guess(struct sim *s, const struct sync_message *probe)
{
    struct liar *l = &s->liar;
    struct arena arena = {0};
    uint8_t body[OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    struct zone_params zone;
    reel_zone(&zone);
    struct possession p = {.zone_id = zone.zone_id,
                           .edge_id = l->member.id,
                           .asker_id = probe->edge_id,
                           .stream = probe->u.probe.stream,
                           .nonce = probe->u.probe.nonce,
                           .n = (uint16_t)probe->u.probe.n};
    random_bytes(s, p.hashes, sizeof(p.hashes));
    possession_encode(&p, &w);
    struct sync_message m = {.kind = SYNC_PROOF, .edge_id = l->member.id};
    m.u.proof.video_id = probe->u.probe.video_id;
    m.u.proof.proof = reel_object(&arena, OBJECT_PROOF, &w, &l->member.key);
    say_signed(s, TOPIC_DB_SYNC, &probe->edge_id, sync_message_encode(&m, &arena), &arena);
    arena_release(&arena);
}

static void say_nothing_is_there(struct sim *s, struct slice payload)
{
    struct liar *l = &s->liar;
    struct arena arena = {0};
    struct db_request m;
    if (db_request_decode(payload, &arena, &m) == ERR_OK && m.bundle &&
        (!m.from.len || slice_eq(m.from, id_slice(&l->member.id))))
        say_signed(s, TOPIC_DB_REPLY, &m.edge_id,
                   bundle_end_db(bundle_start(&arena), &l->member.id, m.asking, 1, 1), &arena);
    arena_release(&arena);
}

void liar_take(struct sim *s, const struct msg *msg)
{
    struct liar *l = &s->liar;
    struct arena arena = {0};
    struct topic t;
    struct sync_message m;
    CHECK(topic_parse(msg->topic, (struct slice){0}, &t) == ERR_OK);
    if (t.kind == TOPIC_DB_SYNC && sync_message_decode(msg->payload, &arena, &m) == ERR_OK &&
        m.kind == SYNC_PROBE)
        guess(s, &m);
    if (t.kind == TOPIC_DB)
        say_nothing_is_there(s, msg->payload);
    bool telling = t.kind == TOPIC_DB_UPDATE || t.kind == TOPIC_EDGE_STATUS;
    if (telling && l->kept_n < LIAR_KEPT_MAX && sim_chance(s, KEEP_ONE_IN))
        l->kept[l->kept_n++] = msg_new(msg->topic, msg->payload, NULL);
    arena_release(&arena);
}
