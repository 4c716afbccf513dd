/*
 * Somebody with a connection and no credential, who hears what edges say to
 * each other: he tells who joins that there is nothing, asks and tells in the
 * name of edges, and says again what they said. He does not end when all else
 * is well again.
 *
 *   I1  what he made says so (MARK), and no edge believes it: node.c looks.
 */
#include "base/check.h"
#include "tests/sim/sim.h"
#include "wire/bundle.h"
#include "wire/sync.h"

enum { ACT_US_MAX = 3 * 1000 * 1000, KEEP_ONE_IN = 4 };

static const char mark[] = "{\"stranger\":1,";

void stranger_init(struct sim *s)
{
    struct stranger *x = &s->stranger;
    struct id id = {"stranger"};
    member_make("nobody", CREDENTIAL_EDGE, &x->member);
    x->client = sim_client(s, CLIENT_STRANGER, 0, &id);
    sim_at(s, s->now_us + SIM_S, HAPPEN_STRANGER, 0, 0, NULL);
}

void stranger_free(struct stranger *x)
{
    for (size_t i = 0; i < STRANGER_KEPT_MAX; i++)
        msg_unref(x->kept[i]);
}

bool stranger_made(struct slice payload)
{
    return slice_starts(payload, mark);
}

/* ---- what he forges ---- */

static struct slice marked(struct arena *arena, struct slice text)
{
    size_t head = sizeof(mark) - 1;
    uint8_t *out = arena_alloc(arena, head + text.len);
    memcpy(out, mark, head);
    memcpy(out + head, text.ptr + 1, text.len - 1);
    return slice_of(out, head + text.len - 1);
}

/* The signature of something that an edge did say, as it stands at its end. */
static struct slice with_anothers(struct arena *arena, struct slice text, const struct msg *other)
{
    struct slice tail = slice_from(other->payload, other->payload.len - PEER_SIG_TEXT_BYTES - 1);
    uint8_t *out = arena_alloc(arena, text.len - 1 + tail.len);
    memcpy(out, text.ptr, text.len - 1);
    memcpy(out + text.len - 1, tail.ptr, tail.len);
    return slice_of(out, text.len - 1 + tail.len);
}

static const struct msg *some_kept(struct sim *s)
{
    struct stranger *x = &s->stranger;
    return x->kept_n ? x->kept[sim_random(s, x->kept_n)] : NULL;
}

/* In the name of `from`: unsigned, under a key of his own, or under what another message has. */
static void forge(struct sim *s, enum topic_kind topic, const struct member *from,
                  const struct id *to, struct slice text)
{
    struct arena arena = {0};
    struct id all = {0};
    struct member in_its_name = s->stranger.member;
    const struct msg *other = some_kept(s);
    in_its_name.id = from->id;
    text = marked(&arena, text);
    switch (sim_random(s, 3)) {
    case 0: break;
    case 1:
        text = reel_peer_text(&arena, text, topic, &in_its_name, to ? to : &all,
                              s->utc_us + sim_random(s, SIM_S));
        break;
    case 2: text = other ? with_anothers(&arena, text, other) : text; break;
    }
    broker_send(s, s->stranger.client, topic, to ? id_slice(to) : (struct slice){0},
                (struct slice){0}, text);
    arena_release(&arena);
}

static const struct member *some_edge(struct sim *s)
{
    return &s->nodes[sim_random(s, s->nodes_n)].member;
}

static void forge_rows(struct sim *s)
{
    struct arena arena = {0};
    const struct member *from = some_edge(s);
    const struct streamer *st = &s->streamers[sim_random(s, s->streamers_n)];
    const struct upload *u = &st->uploads[sim_random(s, st->n)];
    const struct reel *r = u->reel;
    if (!u->begun)
        return;
    struct bundle_claim claim = {.object = r->statement,
                                 .credential = member_credential(r->streamer),
                                 .thumbnail = r->thumbnail};
    struct bundle_out *b = bundle_start(&arena);
    bundle_add_claim(b, &claim);
    if (sim_chance(s, 2))
        forge(s, TOPIC_DB_UPDATE, from, NULL, bundle_end_update(b, &from->id));
    else
        forge(s, TOPIC_DB_SYNC, from, &some_edge(s)->id, bundle_end_sync(b, &from->id));
    arena_release(&arena);
}

static void forge_question(struct sim *s)
{
    struct arena arena = {0};
    const struct member *from = some_edge(s);
    const struct node *to = &s->nodes[sim_random(s, s->nodes_n)];
    struct sync_node node = {.depth = 0};
    struct sync_message m = {.kind = SYNC_DIGESTS,
                             .edge_id = from->id,
                             .horizon_us = memory_store_root(to->store).horizon_us,
                             .u.digests = {1, &node}};
    forge(s, TOPIC_DB_SYNC, from, &to->member.id, sync_message_encode(&m, &arena));
    arena_release(&arena);
}

static void forge_asking(struct sim *s)
{
    struct arena arena = {0};
    const struct member *from = some_edge(s);
    struct db_request m = {.edge_id = from->id,
                           .from = id_slice(&some_edge(s)->id),
                           .bundle = true,
                           .page = (uint32_t)sim_random(s, 3),
                           .asking = 1 + sim_random(s, 1ull << 50)};
    forge(s, TOPIC_DB, from, NULL, db_request_encode(&m, &arena));
    arena_release(&arena);
}

static void say_again(struct sim *s)
{
    const struct msg *m = some_kept(s);
    if (m)
        broker_publish(s, s->stranger.client, m->topic, m->payload);
}

void stranger_wake(struct sim *s)
{
    switch (sim_random(s, 5)) {
    case 0: forge_rows(s); break;
    case 1: forge_question(s); break;
    case 2: forge_asking(s); break;
    default: say_again(s); break;
    }
    sim_at(s, s->now_us + SIM_S / 10 + sim_random(s, ACT_US_MAX), HAPPEN_STRANGER, 0, 0, NULL);
}

/* ---- what he hears ---- */

/* To who joins: the whole catalogue is empty, says whom it asks. */
static void forge_page(struct sim *s, struct slice payload)
{
    struct arena arena = {0};
    struct db_request m;
    if (db_request_decode(payload, &arena, &m) == ERR_OK && m.from.len) {
        struct member from = s->stranger.member;
        CHECK(id_parse(m.from, &from.id) == ERR_OK);
        forge(s, TOPIC_DB_REPLY, &from, &m.edge_id,
              bundle_end_db(bundle_start(&arena), &from.id, m.asking, 1, 1));
    }
    arena_release(&arena);
}

void stranger_take(struct sim *s, const struct msg *msg)
{
    struct stranger *x = &s->stranger;
    struct topic t;
    struct peer_mark m;
    CHECK(topic_parse(msg->topic, (struct slice){0}, &t) == ERR_OK);
    if (stranger_made(msg->payload))
        return;
    if (t.kind == TOPIC_DB)
        forge_page(s, msg->payload);
    if (peer_text_read(msg->payload, t.kind == TOPIC_DB ? "ID" : "EDGE_ID", &m) != ERR_OK ||
        !sim_chance(s, KEEP_ONE_IN))
        return;
    size_t at = x->kept_n < STRANGER_KEPT_MAX ? x->kept_n++ : sim_random(s, STRANGER_KEPT_MAX);
    msg_unref(x->kept[at]);
    x->kept[at] = msg_new(msg->topic, msg->payload, NULL);
}
