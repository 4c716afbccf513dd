#include "tests/unit/edge/stage.h"

#include "base/check.h"
#include "base/mem.h"
#include "edge/encode.h"
#include "tests/unit/edge/invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct id stage_id(const char *text)
{
    struct id id;
    CHECK(id_parse(slice_str(text), &id) == ERR_OK);
    return id;
}

enum { STEPS_TO_SETTLE_MAX = 200 * 1000, CHECK_WALK_MAX = 32 };

/* ---- invariants ---- */

static void check(struct stage *s)
{
    core_check(s->core, memory_store_under_way(s->store));
    s->unchecked = 0;
}

/* After every step, but where a check walks more than a step does: every so many, and at the end.
 */
static void check_now_and_then(struct stage *s)
{
    size_t walked = s->core->ingests.count + s->core->views.count;
    if (++s->unchecked > walked / CHECK_WALK_MAX)
        check(s);
}

static void check_at_the_end(struct stage *s)
{
    if (s->unchecked)
        check(s);
}

/* ---- life ---- */

/* What is not said otherwise: the settings' defaults, and an edge that has been here for a day. */
static void agree_config(struct stage *s, const struct stage_spec *spec, struct core_config *ret)
{
    ret->root = memory_store_root(s->store);
    ret->replicas = spec->replicas ? spec->replicas : 2;
    ret->replica_grace_us = spec->replica_grace_us ? spec->replica_grace_us : 300 * STAGE_S;
    ret->cache_bytes_max = spec->cache_bytes_max ? spec->cache_bytes_max : 1024ull << 20;
    ret->replication_bytes_per_s =
        spec->replication_bytes_per_s ? spec->replication_bytes_per_s : 8u << 20;
    ret->tombstone_kept_us = spec->tombstone_kept_us ? spec->tombstone_kept_us : 30 * REEL_DAY_US;
    ret->contact_us = spec->new_here ? 0 : spec->contact_us ? spec->contact_us : s->utc_us;
    ret->since_us = spec->new_here ? 0 : spec->since_us ? spec->since_us : s->utc_us - REEL_DAY_US;
}

static void core_begin(struct stage *s, const struct stage_spec *spec)
{
    struct arena arena = {0};
    struct core_config config = {
        .edge_id = s->edge.id,
        .key = s->edge.key,
        .version = "test",
        .allow_token_reply_ids = spec->tokens,
        .broker_accounts = spec->accounts,
        .now_us = s->now_us,
        .utc_us = s->utc_us,
        .last_hlc = spec->last_hlc,
        .videos = memory_store_videos(s->store),
        .stale = spec->stale,
        .stale_n = spec->stale_n,
    };
    agree_config(s, spec, &config);
    reel_zone_secret(config.zone_secret);
    memset(config.seed, spec->seed, KEY_BYTES);
    if (!spec->fresh) {
        config.zone_params = memory_store_meta(s->store, "zone_params");
        config.credential = memory_store_meta(s->store, "credential");
    }
    if (!spec->fresh && !config.credential.len) {
        config.zone_params = reel_zone_bytes(&arena);
        config.credential = member_credential(&s->edge);
    }
    config.revocations = memory_store_meta(s->store, "revocations");
    config.broker_login = memory_store_meta(s->store, "broker");
    s->core = core_new(&config);
    arena_release(&arena);
    if (!spec->bus_down)
        stage_do(s, event_new(EVENT_BUS_UP));
}

static struct memory_store *store_new(const struct id *edge_id)
{
    struct memory_store_config config = {.edge_id = *edge_id};
    uint8_t secret[KEY_BYTES];
    reel_zone_secret(secret);
    struct hash key = digest_key(secret);
    memcpy(config.digest_key, key.b, KEY_BYTES);
    return memory_store_new(&config);
}

struct stage *stage_new(const struct stage_spec *spec)
{
    static const struct stage_spec usual;
    spec = spec ? spec : &usual;
    struct stage *s = mem_alloc(sizeof(*s));
    CHECK(crypto_init() == ERR_OK);
    s->fx = mem_alloc(sizeof(*s->fx));
    s->now_us = 1000 * STAGE_S;
    s->utc_us = REEL_UTC_US + spec->utc_ahead_us;
    s->live_free_bytes = LIVE_OUTBOX_BYTES_MAX;
    s->media_free_bytes = MEDIA_OUTBOX_BYTES_MAX;
    s->read_at_once = s->commit_at_once = true;
    s->group_max = SIZE_MAX;
    const char *id = spec->edge_id ? spec->edge_id : "edge1";
    if (spec->credential)
        member_make_as(id, spec->credential, &s->edge);
    else
        member_make(id, CREDENTIAL_EDGE, &s->edge);
    s->store = store_new(&s->edge.id);
    core_begin(s, spec);
    stage_forget(s);
    return s;
}

void stage_restart(struct stage *s)
{
    static const struct stage_spec usual;
    check_at_the_end(s);
    stage_forget(s);
    core_free(s->core);
    memory_store_crash(s->store);
    core_begin(s, &usual);
    stage_forget(s);
}

void stage_forget(struct stage *s)
{
    for (size_t i = 0; i < s->said_n; i++) {
        msg_unref(s->said[i].packet);
        thumbnail_job_free(s->said[i].job);
    }
    s->said_n = 0;
    for (size_t i = 0; i < s->kept_n; i++) {
        effects_reset(s->kept[i]);
        arena_release(&s->kept[i]->arena);
        free(s->kept[i]);
    }
    s->kept_n = 0;
}

void stage_free(struct stage *s)
{
    check_at_the_end(s);
    stage_forget(s);
    core_free(s->core);
    memory_store_free(s->store);
    arena_release(&s->arena);
    free(s->said);
    free(s->kept);
    free(s->fx);
    free(s);
}

/* ---- the step ---- */

static void digest_bytes(struct stage *s, struct slice bytes)
{
    struct hash h = hash_of(bytes, (struct slice){0});
    s->digest = hash_of(slice_of(s->digest.b, HASH_BYTES), slice_of(h.b, HASH_BYTES));
}

/* What an effect says, byte for byte as it would leave. */
static void digest_effect(struct stage *s, const struct effect *e)
{
    struct arena arena = {0};
    struct slice payloads[ENCODE_MESSAGES_MAX];
    uint32_t head[] = {(uint32_t)e->kind, (uint32_t)e->lane, (uint32_t)e->topic,
                       (uint32_t)e->message};
    digest_bytes(s, slice_of(head, sizeof(head)));
    digest_bytes(s, e->a);
    digest_bytes(s, e->b);
    if (e->kind == EFFECT_PACKET)
        digest_bytes(s, e->packet->payload);
    if (e->kind == EFFECT_LOG)
        digest_bytes(s, slice_str(e->text));
    if (e->kind == EFFECT_STORE) {
        digest_bytes(s, slice_of(&e->op->kind, sizeof(e->op->kind)));
        digest_bytes(s, slice_of(&e->op->token, sizeof(e->op->token)));
    }
    unsigned n = e->kind == EFFECT_SEND ? encode(e, &arena, payloads) : 0;
    for (unsigned i = 0; i < n; i++) {
        CHECK(payloads[i].len <= PACKET_BYTES_MAX);
        digest_bytes(s, payloads[i]);
    }
    arena_release(&arena);
}

static void say(struct stage *s, const struct effect *e)
{
    if (s->said_n == s->said_cap) {
        s->said_cap = s->said_cap ? 2 * s->said_cap : 64;
        s->said = mem_resize(s->said, s->said_cap * sizeof(*s->said));
    }
    s->said[s->said_n++] = *e;
}

/* Keep what the effects borrow from: the arena and the event, but not the list. */
static void keep(struct stage *s)
{
    if (s->kept_n == s->kept_cap) {
        s->kept_cap = s->kept_cap ? 2 * s->kept_cap : 64;
        s->kept = mem_resize(s->kept, s->kept_cap * sizeof(struct effects *));
    }
    struct effects *kept = mem_alloc(offsetof(struct effects, list));
    kept->arena = s->fx->arena;
    kept->event = s->fx->event;
    s->kept[s->kept_n++] = kept;
    s->fx->arena = (struct arena){0};
    s->fx->event = NULL;
    s->fx->n = 0;
}

/* The times of an edge's statuses go up, and are near ours. */
static void date_status(struct stage *s, struct event *ev)
{
    struct node_status *node = &ev->u.status.node;
    if (ev->kind != EVENT_EDGE_STATUS || !ev->u.status.verified || node->time_us)
        return;
    s->status_us = s->status_us < s->utc_us ? s->utc_us : s->status_us + 1;
    node->time_us = s->status_us;
    ev->u.status.status.ts_ms = node->time_us / 1000;
}

/* A page that names nobody answers what was asked last. */
static void address_page(const struct stage *s, struct event *ev)
{
    if (ev->kind != EVENT_DB_REPLY || ev->u.db_reply.from.s[0])
        return;
    ev->u.db_reply.from = s->core->sync.out.from;
    ev->u.db_reply.asking = s->core->sync.out.number;
}

void stage_step(struct stage *s, struct event *ev)
{
    date_status(s, ev);
    address_page(s, ev);
    ev->now_us = s->now_us;
    ev->utc_us = s->utc_us;
    ev->live_free_bytes = s->live_free_bytes;
    ev->media_free_bytes = s->media_free_bytes;
    ev->control_free_bytes = CONTROL_OUTBOX_BYTES_MAX;
    core_step(s->core, ev, s->fx);
    s->steps++;
    CHECK(s->fx->n <= EFFECTS_PER_STEP_MAX);
    for (size_t i = 0; i < s->fx->n; i++) {
        struct effect *e = &s->fx->list[i];
        digest_effect(s, e);
        if (e->kind == EFFECT_STORE)
            memory_store_submit(s->store, e->op);
        else
            say(s, e);
        e->op = NULL;
    }
    keep(s);
    check_now_and_then(s);
}

void stage_complete(struct stage *s)
{
    for (struct storage_done *done; (done = memory_store_take(s->store)) != NULL;) {
        struct event *ev = event_new(EVENT_STORED);
        ev->u.done = done;
        stage_step(s, ev);
    }
}

void stage_settle(struct stage *s)
{
    bool moved;
    uint64_t steps = s->steps;
    do {
        CHECK(s->steps - steps < STEPS_TO_SETTLE_MAX); /* or it goes round and round */
        moved = s->commit_at_once && memory_store_commit(s->store, s->group_max);
        moved = (s->read_at_once && memory_store_read(s->store)) || moved;
        stage_complete(s);
    } while (moved);
}

void stage_do(struct stage *s, struct event *ev)
{
    stage_step(s, ev);
    stage_settle(s);
}

void stage_pass(struct stage *s, uint64_t us)
{
    uint64_t end = s->now_us + us;
    while (s->now_us < end) {
        uint64_t at = core_deadline_us(s->core);
        at = at < end ? at : end;
        s->utc_us += at - s->now_us;
        s->now_us = at;
        stage_do(s, event_new(EVENT_TICK));
    }
}

/* ---- what was said ---- */

const struct effect *stage_nth(const struct stage *s, enum message_kind kind, size_t i)
{
    for (size_t k = 0; k < s->said_n; k++)
        if (s->said[k].kind == EFFECT_SEND && s->said[k].message == kind && i-- == 0)
            return &s->said[k];
    return NULL;
}

size_t stage_count(const struct stage *s, enum message_kind kind)
{
    size_t n = 0;
    for (size_t k = 0; k < s->said_n; k++)
        n += s->said[k].kind == EFFECT_SEND && s->said[k].message == kind;
    return n;
}

const struct effect *stage_last(const struct stage *s, enum message_kind kind)
{
    size_t n = stage_count(s, kind);
    assert_true(n > 0);
    return stage_nth(s, kind, n - 1);
}

const struct effect *stage_packet(const struct stage *s, enum topic_kind topic, const char *b,
                                  size_t i)
{
    for (size_t k = 0; k < s->said_n; k++) {
        const struct effect *e = &s->said[k];
        if (e->kind == EFFECT_PACKET && e->topic == topic && (!*b || slice_eq_str(e->b, b)) &&
            i-- == 0)
            return e;
    }
    return NULL;
}

size_t stage_packets(const struct stage *s, enum topic_kind topic, const char *b)
{
    size_t n = 0;
    while (stage_packet(s, topic, b, n))
        n++;
    return n;
}

size_t stage_effects(const struct stage *s, enum effect_kind kind)
{
    size_t n = 0;
    for (size_t k = 0; k < s->said_n; k++)
        n += s->said[k].kind == kind;
    return n;
}

const struct upload_ack *stage_ack(const struct stage *s)
{
    return stage_last(s, MESSAGE_UPLOAD_ACK)->body;
}

const struct wire_error *stage_error(const struct stage *s)
{
    return stage_last(s, MESSAGE_ERROR)->body;
}

void stage_expect_ack(const struct stage *s, uint32_t next, uint32_t next_part)
{
    const struct upload_ack *ack = stage_ack(s);
    assert_int_equal(ack->next, next);
    assert_int_equal(ack->next_part, next_part);
    assert_int_equal(stage_last(s, MESSAGE_UPLOAD_ACK)->topic, TOPIC_UPLOAD_REPLY);
}

void stage_expect_error(struct stage *s, enum wire_code code, enum topic_kind topic,
                        const char *reply_id)
{
    const struct effect *e = stage_last(s, MESSAGE_ERROR);
    const struct wire_error *error = e->body;
    assert_string_equal(wire_code_name(error->code), wire_code_name(code));
    assert_int_equal(e->topic, topic);
    assert_true(slice_eq_str(e->b, reply_id));
    assert_true(error->message.len > 0);
    stage_forget(s);
}

struct request_auth stage_auth(struct stage *s)
{
    struct request_auth auth = {.ts_us = s->utc_us};
    s->nonces++;
    memcpy(auth.nonce.b, &s->nonces, sizeof(s->nonces));
    return auth;
}

/* ---- short cuts ---- */

void stage_part(struct stage *s, const struct reel *r, size_t i)
{
    stage_step(s, stage_part_event(r, i));
}

void stage_parts(struct stage *s, const struct reel *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        stage_do(s, stage_part_event(r, i));
}

void stage_upload(struct stage *s, const struct reel *r)
{
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, r->n);
    stage_do(s, stage_end_event(r));
    assert_true(stage_ack(s)->receipt.len > 0);
}

struct slice stage_token(struct stage *s, const char *client_id)
{
    uint8_t *token = arena_alloc(&s->arena, TOKEN_BYTES);
    token_make(s->core->token_secret, slice_str(client_id), s->utc_us, token);
    return slice_of(token, TOKEN_BYTES);
}

uint64_t stage_hlc(const struct stage *s)
{
    return s->utc_us / 1000 << 16;
}

struct storage_row stage_row(struct arena *arena, const struct reel *r, const struct member *edge,
                             uint8_t state, uint64_t hlc)
{
    const struct video *video = r->video.live ? &r->video : &r->final_video;
    struct slice statement = r->video.live ? r->statement : r->final_statement;
    enum object_type type = r->video.live ? OBJECT_PRESENCE : OBJECT_CUSTODY;
    struct holding holding = {.zone_id = video->zone_id,
                              .edge_id = edge->id,
                              .video_id = video->video_id,
                              .streamer_id = video->streamer_id,
                              .stream = r->stream,
                              .state = state,
                              .hlc = hlc};
    return (struct storage_row){
        .has_video = true,
        .video = *video,
        .stream = r->stream,
        .statement_hash =
            object_hash(OBJECT_VIDEO, slice_of(statement.ptr, statement.len - SIGNATURE_BYTES)),
        .statement = statement,
        .credential = member_credential(r->streamer),
        .manifest = r->manifest_bytes,
        .thumbnail = r->thumbnail,
        .streamer_name = slice_str(r->streamer->id.s),
        .has_holding = true,
        .holding = holding,
        .holding_row = {.type = type,
                        .object = reel_holding_object(arena, type, &holding, &edge->key),
                        .edge_credential = member_credential(edge)},
    };
}
