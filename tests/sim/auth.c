/*
 * The zone's authority: enrols edges again, says who is revoked, and changes its key. Only in some
 * seeds: in the others it is away, as it is for most of an edge's life.
 *
 *   I1  what it draws it draws from a stream of its own.
 *   I2  who comes late to a new key finds it there; else it goes away in the middle, and the edges
 *       have its last list from each other.
 */
#include "base/check.h"
#include "edge/core/state.h"
#include "tests/sim/sim.h"

enum { ONE_OF = 16, ACTS_IN = 5, LIST_EVERY_US = 10 * 1000 * 1000, FIRST_SERIAL = 1000 };

static uint64_t drawn(struct sim *s, uint64_t n)
{
    struct hash h = hash_of(slice_str("auth"), slice_of(&s->auth.random, sizeof(s->auth.random)));
    uint64_t z;
    s->auth.random++;
    memcpy(&z, h.b, sizeof(z));
    return z % n;
}

bool auth_acts(const struct sim *s)
{
    return s->spec.seed % ONE_OF < ACTS_IN;
}

void auth_init(struct sim *s)
{
    struct auth *a = &s->auth;
    struct id id;
    if (!auth_acts(s))
        return;
    uint64_t room = s->heal_us - s->now_us;
    CHECK(id_parse(slice_str("auth"), &id) == ERR_OK);
    a->on = true;
    a->random = s->spec.seed << 20;
    a->client = sim_client(s, CLIENT_AUTH, 0, &id);
    a->epoch = 1;
    a->number = 1;
    a->serial = FIRST_SERIAL;
    a->revoke_us = s->now_us + drawn(s, room);
    bool rotates = drawn(s, 2) == 0;
    a->rotate_us = rotates ? s->now_us + drawn(s, room) : UINT64_MAX;
    a->off_us = rotates ? UINT64_MAX : s->now_us + drawn(s, room); /* I2 */
    sim_at(s, s->now_us + SIM_S, HAPPEN_AUTH, 0, 0, NULL);
}

static void say_list(struct sim *s)
{
    struct auth *a = &s->auth;
    struct arena arena = {0};
    struct revocation entry = {LIAR_SERIAL, REEL_UTC_US};
    struct reel_list list = {.epoch = a->epoch,
                             .number = a->number,
                             .issued_us = s->utc_us,
                             .n = a->revoked,
                             .entries = &entry};
    struct revocations_message m = {.revocations = reel_revocations(&list, &arena)};
    broker_send(s, a->client, TOPIC_AUTH_REVOCATIONS, (struct slice){0}, (struct slice){0},
                revocations_message_encode(&m, &arena));
    arena_release(&arena);
}

void auth_wake(struct sim *s)
{
    struct auth *a = &s->auth;
    if (s->now_us >= a->off_us) {
        a->on = false;
        trace_line(s, "auth is gone for good");
        return;
    }
    if (!a->revoked && s->now_us >= a->revoke_us) {
        a->revoked = true;
        a->number++;
        trace_line(s, "the liar is revoked");
    }
    if (a->epoch == 1 && s->now_us >= a->rotate_us) {
        a->epoch = 2;
        trace_line(s, "the zone has a new key");
    }
    say_list(s);
    sim_at(s, s->now_us + LIST_EVERY_US, HAPPEN_AUTH, 0, 0, NULL);
}

void auth_take(struct sim *s, const struct msg *msg)
{
    struct auth *a = &s->auth;
    struct arena arena = {0};
    struct zone_request m;
    struct zone_reply reply = {0};
    struct hash request;
    uint8_t secret[KEY_BYTES];
    reel_zone_secret(secret);
    if (a->on && zone_request_decode(msg->payload, &arena, &m) == ERR_OK &&
        enrolment_check(&m.enrolment, secret, m.proof, &request) == ERR_OK) {
        struct member member;
        struct member_spec spec = {.kind = CREDENTIAL_EDGE,
                                   .not_before_us = REEL_UTC_US - REEL_DAY_US,
                                   .not_after_us = REEL_UTC_US + REEL_DAY_US,
                                   .serial = ++a->serial,
                                   .epoch = a->epoch};
        member_make_as(m.enrolment.edge_id.s, &spec, &member);
        reply.edge_id = member.id;
        reply.params = reel_zone_bytes_at(a->epoch, &arena);
        reply.credential = member_credential(&member);
        reply.nonce = m.enrolment.nonce;
        reply.proof =
            enrolment_reply_mac(secret, &request, reply.params, reply.credential, &reply.nonce);
        broker_send(s, a->client, TOPIC_AUTH_ZONE_REPLY, id_slice(&member.id), (struct slice){0},
                    zone_reply_encode(&reply, &arena));
    }
    arena_release(&arena);
}

/* ---- what must hold ---- */

static uint64_t number_at(const struct node *n)
{
    return n->core ? n->core->revoked.list.number : 0;
}

/* What is on its disk: a crash may come before a commit. */
static uint64_t kept_at(const struct node *n)
{
    struct slice body;
    struct signature sig;
    struct revocations list = {0};
    if (signed_split(memory_store_meta(n->store, "revocations"), &body, &sig) == ERR_OK)
        CHECK(revocations_decode(body, &list) == ERR_OK);
    return list.number;
}

void auth_check(struct sim *s)
{
    for (unsigned i = 0; i < s->nodes_n; i++) {
        struct node *n = &s->nodes[i];
        if (n->core && number_at(n) < n->list_number)
            sim_fail(s, "the list of %s went back", n->member.id.s);
        n->list_number = kept_at(n);
    }
}

const struct node *auth_differs(const struct sim *s)
{
    for (unsigned i = 1; i < s->nodes_n; i++)
        if (number_at(&s->nodes[i]) != number_at(&s->nodes[0]) ||
            s->nodes[i].core->zone.key_epoch != s->nodes[0].core->zone.key_epoch)
            return &s->nodes[i];
    return NULL;
}
