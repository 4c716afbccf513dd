/*
 * Who is there: our heartbeat, the other edges', and the answer to ping
 * (docs/PROTOCOL.md §4.1).
 *
 * Invariants
 *   I1  only a status that its edge signed makes a peer, keeps one online, or takes it away at
 *       once. What nobody signed can but shorten the silence that counts as gone.
 *   I2  the times of one peer's statuses only go up, and are within STATUS_APART_MAX_US of our
 *       clock: an old status says nothing, even to who has just started.
 *   I3  the key of every peer that is not revoked is in the trust view, and no other edge's; one
 *       whose credential has ended, until our next heartbeat.
 *   I4  who is revoked is neither online nor counted.
 *   I5  whether a peer is there changes by silence alone, or peers_changes grows.
 */
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

#define STATUS_APART_MAX_US HLC_AHEAD_MAX_US

enum {
    BEAT_JITTER_US = 250 * 1000, /* so that edges that started together do not stay in step */
    BEAT_SOON_US = 1000 * 1000,  /* who has just come is shown our credential after that */
    CREDENTIAL_FIRST_BEATS = 3,  /* with the credential, after each connect; then */
    CREDENTIAL_EVERY_BEATS = 12,
    APPEARED_EVERY_US = 2 * 1000 * 1000, /* newcomers quicken no beat that was so short ago */
    PING_REPLY_BYTES =
        1024, /* what one counts: whoever is named as the asker may be somebody else */
};

static uint32_t lives_n(const struct core *core)
{
    return (uint32_t)core->lives.count;
}

void presence_ping(struct core *core, const struct ping_request *m)
{
    if (!core_ready(core) || !core_untrusted_left(core) ||
        !reply_id_ok(m->client_id, core->config.allow_token_reply_ids)) {
        core_count(core, COUNT_answers_suppressed);
        return;
    }
    core_untrusted_spend(core, PING_REPLY_BYTES);
    struct ping_reply *reply = core_body(core, sizeof(*reply));
    *reply = (struct ping_reply){
        .edge_id = core->config.edge_id,
        .load = core->load,
        .timestamp_us = core->utc_us,
        .zone_id = core->zone.zone_id,
        .version = slice_str(core->config.version),
        .streams = lives_n(core),
        .viewers = (uint32_t)core->views.count,
        .uptime_s = (core->now_us - core->started_us) / 1000000,
        .token = core_token(core, m->client_id),
        .contact = revocation_contact(core),
    };
    core_send(core, LANE_CONTROL, TOPIC_PING_REPLY, m->client_id, (struct slice){0},
              MESSAGE_PING_REPLY, reply);
}

/* ---- the other edges ---- */

uint64_t presence_until_us(const struct peer *p)
{
    return p->heard_us + (p->hinted ? PEER_HINTED_SILENCE_US : PEER_SILENCE_US);
}

bool presence_here(const struct core *core, const struct peer *p)
{
    return p->online && core->now_us <= presence_until_us(p);
}

struct peer *presence_peer(struct core *core, struct slice id)
{
    struct peer *p = map_get(&core->peers, id);
    if (p)
        p->online = presence_here(core, p);
    return p;
}

bool presence_online(struct core *core, struct slice id)
{
    if (slice_eq(id, core_self(core)))
        return true;
    const struct peer *p = presence_peer(core, id);
    return p && p->online;
}

/* Since when we could have heard somebody. */
static uint64_t listening_since_us(const struct core *core)
{
    return core->bus_up_us > core->started_us ? core->bus_up_us : core->started_us;
}

bool presence_counted(struct core *core, struct slice id)
{
    const struct peer *p = presence_peer(core, id);
    if (p && p->revoked)
        return false; /* I4 */
    if (!core->bus_up[LANE_CONTROL] || presence_online(core, id))
        return true;
    uint64_t since = listening_since_us(core);
    if (p && p->heard_us > since)
        since = p->heard_us;
    return core->now_us - since < core->config.replica_grace_us;
}

size_t presence_agreeing(struct core *core, const uint8_t root[static ROOT_DIGEST_BYTES])
{
    size_t n = memcmp(core->root.b, root, ROOT_DIGEST_BYTES) == 0;
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;)
        n += p->status.horizon_us == core->root.horizon_us &&
             memcmp(p->status.root, root, ROOT_DIGEST_BYTES) == 0 && presence_here(core, p);
    return n;
}

/* Room for a peer: the one that has been silent for longest gives way. */
static struct peer *peer_make(struct core *core, const struct id *id)
{
    if (core->peers.count == PEERS_MAX) {
        struct peer *gone = NULL;
        size_t cursor = 0;
        for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;)
            if (!presence_here(core, p) && (!gone || p->heard_us < gone->heard_us))
                gone = p;
        if (!gone)
            return NULL;
        core_edge_distrust(core, &gone->id); /* I3 */
        free(map_remove(&core->peers, id_slice(&gone->id)));
    }
    core->peers_changes++;
    struct peer *p = mem_alloc(sizeof(*p));
    p->id = *id;
    map_put(&core->peers, id_slice(&p->id), p);
    return p;
}

/* A credential may be replaced by a later one alone; without one, the last must be in date. */
static bool credential_holds(const struct core *core, const struct peer *p,
                             const struct verified_status *m)
{
    if (m->not_after_us == 0)
        return p && pubkey_eq(&p->pk, &m->pk) && core->utc_us < p->not_after_us;
    if (core->utc_us >= m->not_after_us)
        return false;
    return !p || pubkey_eq(&p->pk, &m->pk) || m->serial > p->serial;
}

static bool believed(const struct core *core, const struct peer *p, const struct verified_status *m)
{
    uint64_t time = m->node.time_us;
    uint64_t apart = time > core->utc_us ? time - core->utc_us : core->utc_us - time;
    return core->has_zone && id_eq(&m->node.zone_id, &core->zone.zone_id) &&
           id_eq(&m->node.edge_id, &m->status.edge_id) && apart <= STATUS_APART_MAX_US &&
           (!p || time > p->status.time_us) && credential_holds(core, p, m); /* I2 */
}

/* Who has just come knows nobody's key yet. */
static void appeared(struct core *core)
{
    core->show_credential = true;
    uint64_t soon = core->now_us + BEAT_SOON_US;
    if (core->now_us - core->beat_us >= APPEARED_EVERY_US && soon < core->heartbeat_next_us)
        core->heartbeat_next_us = soon;
}

static void heard(struct core *core, struct peer *p, const struct verified_status *m)
{
    core->peers_changes++;
    if (!pubkey_eq(&p->pk, &m->pk)) {
        p->pk = m->pk;
        core_edge_trust(core, &p->id, &p->pk); /* I3 */
    }
    if (m->not_after_us && m->serial >= p->serial) {
        p->serial = m->serial;
        p->not_after_us = m->not_after_us;
    }
    p->status = m->node;
    uint64_t up_s = m->status.uptime_s < core->utc_us / 1000000 ? m->status.uptime_s : 0;
    p->up_since_us = core->utc_us - up_s * 1000000;
    p->heard_us = core->now_us;
    p->hinted = p->revoked = false;
    bool back = m->node.state == 1 && (!p->online || up_s < p->up_s); /* or begun anew meanwhile */
    p->up_s = up_s;
    p->online = m->node.state == 1;
    if (back) {
        p->differs = 0;
        appeared(core);
    }
}

/* Its key is forgotten: what it goes on to sign is nobody's. */
static void revoke(struct core *core, struct peer *p)
{
    core->peers_changes++;
    if (!p->revoked) {
        core_edge_distrust(core, &p->id); /* I3 */
        core_log(core, true, "edge %s is revoked: it does not count any more", p->id.s);
    }
    p->revoked = true;
    p->online = false; /* I4 */
    p->pk = (struct pubkey){0};
}

void presence_revoked(struct core *core)
{
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;) {
        bool revoked = core_revoked(core, p->serial);
        if (revoked && !p->revoked)
            revoke(core, p);
        if (!revoked && p->revoked)
            p->serial = 0; /* whatever credential it shows is news */
        p->revoked = revoked;
    }
}

/* A status with a revoked credential: the edge is remembered as gone, unless another key or a later
 * credential has come in its place: then somebody says again what the edge said before. */
static void revoked_status(struct core *core, struct peer *p, const struct verified_status *m)
{
    static const struct pubkey none = {0};
    if (p && !pubkey_eq(&p->pk, &none) && (!pubkey_eq(&p->pk, &m->pk) || m->serial < p->serial))
        return;
    if (!p)
        p = peer_make(core, &m->status.edge_id);
    if (!p)
        return;
    if (m->serial > p->serial)
        p->serial = m->serial;
    revoke(core, p);
}

void presence_status(struct core *core, const struct verified_status *m)
{
    if (id_eq(&m->status.edge_id, &core->config.edge_id))
        return;
    struct peer *p = presence_peer(core, id_slice(&m->status.edge_id));
    if (!m->verified && !m->status.online && p) {
        if (p->online && !p->hinted) { /* I1. Many of them change no more than one does. */
            p->hinted = true;
            core->peers_changes++;
        }
        return;
    }
    if (m->verified && m->not_after_us && core_revoked(core, m->serial)) {
        core_count(core, COUNT_statuses_refused);
        revoked_status(core, p, m);
        return;
    }
    if (!m->verified || !believed(core, p, m)) {
        core_count(core, COUNT_statuses_refused);
        return;
    }
    if (!p && m->node.state == 1)
        p = peer_make(core, &m->status.edge_id);
    if (!p)
        return;
    heard(core, p, m);
    if (!p->online)
        return;
    revocation_hint(core, m->status.contact.revocations);
    repair_status(core, p);
}

/* ---- ours ---- */

/* Times only go up, unless our clock was so far ahead that nobody believed it. */
static uint64_t status_time(struct core *core)
{
    uint64_t last = core->status_time_us;
    bool ahead = last > core->utc_us + STATUS_APART_MAX_US;
    core->status_time_us = last < core->utc_us || ahead ? core->utc_us : last + 1;
    return core->status_time_us;
}

static struct slice sign(struct core *core, bool online)
{
    struct node_status s = {
        .zone_id = core->zone.zone_id,
        .edge_id = core->config.edge_id,
        .state = online,
        .time_us = status_time(core),
        .since_us = core->since_us,
        .disk_free = core->load.disk_free,
        .disk_total = core->load.disk_total,
    };
    if (horizon_comparable(core)) {
        s.horizon_us = core->root.horizon_us;
        memcpy(s.root, core->root.b, NODE_ROOT_BYTES);
    }
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer body = writer_of(buf, sizeof(buf));
    node_status_encode(&s, &body);
    size_t cap = body.len + SIGNATURE_BYTES;
    struct writer w = writer_of(core_body(core, cap), cap);
    signed_append(&w, OBJECT_STATUS, slice_of(body.buf, body.len), &core->config.key);
    return slice_of(w.buf, w.len);
}

static bool with_credential(struct core *core)
{
    bool with = core->beats < CREDENTIAL_FIRST_BEATS || core->show_credential ||
                core->beats % CREDENTIAL_EVERY_BEATS == 0;
    core->show_credential = false;
    return with;
}

static void send_status(struct core *core, bool online)
{
    struct edge_status *m = core_body(core, sizeof(*m));
    *m = (struct edge_status){
        .edge_id = core->config.edge_id,
        .online = online,
        .zone = id_slice(&core->zone.zone_id),
        .ts_ms = core->utc_us / 1000,
        .videos = core->videos,
        .streams = lives_n(core),
        .viewers = (uint32_t)core->views.count,
        .uptime_s = (core->now_us - core->started_us) / 1000000,
        .contact = revocation_contact(core),
    };
    if (core->has_credential)
        m->signed_status = sign(core, online);
    if (core->has_credential && with_credential(core))
        m->credential = slice_of(core->credential_bytes, core->credential_len);
    core_send(core, LANE_CONTROL, TOPIC_EDGE_STATUS, core_self(core), (struct slice){0},
              MESSAGE_EDGE_STATUS, m);
    core->beats++;
    core->beat_us = core->now_us;
}

void presence_offline(struct core *core)
{
    send_status(core, false);
}

/* I3. Whatever credential in date it shows next is news: it was our clock, if it is the same. */
static void forget_ended(struct core *core)
{
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;) {
        if (p->revoked || core->utc_us < p->not_after_us || pubkey_eq(&p->pk, &(struct pubkey){0}))
            continue;
        core_edge_distrust(core, &p->id);
        p->pk = (struct pubkey){0};
        p->serial = 0;
    }
}

void presence_tick(struct core *core)
{
    if (core->now_us < core->heartbeat_next_us)
        return;
    forget_ended(core);
    uint32_t jitter;
    core_random(core, &jitter, sizeof(jitter));
    core->heartbeat_next_us = core->now_us + HEARTBEAT_US - jitter % BEAT_JITTER_US;
    if (core_ready(core) && core->bus_up[LANE_CONTROL])
        send_status(core, true);
}

uint64_t presence_deadline_us(const struct core *core)
{
    return core->heartbeat_next_us;
}
