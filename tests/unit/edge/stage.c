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

enum { STEPS_TO_SETTLE_MAX = 200 * 1000 };

/* ---- life ---- */

static void core_begin(struct stage *s, const struct stage_spec *spec)
{
    struct arena arena = {0};
    struct core_config config = {
        .edge_id = s->edge.id,
        .key = s->edge.key,
        .version = "test",
        .allow_token_reply_ids = spec->tokens,
        .now_us = s->now_us,
        .utc_us = s->utc_us,
        .last_hlc = spec->last_hlc,
        .videos = memory_store_videos(s->store),
        .stale = spec->stale,
        .stale_n = spec->stale_n,
    };
    reel_zone_secret(config.zone_secret);
    memset(config.seed, spec->seed, KEY_BYTES);
    if (!spec->fresh) {
        config.zone_params = reel_zone_bytes(&arena);
        config.credential = member_credential(&s->edge);
    }
    s->core = core_new(&config);
    arena_release(&arena);
    if (!spec->bus_down)
        stage_do(s, event_new(EVENT_BUS_UP));
}

struct stage *stage_new(const struct stage_spec *spec)
{
    static const struct stage_spec usual;
    spec = spec ? spec : &usual;
    struct stage *s = mem_alloc(sizeof(*s));
    CHECK(crypto_init() == ERR_OK);
    s->store = memory_store_new();
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
    core_begin(s, spec);
    stage_forget(s);
    return s;
}

void stage_restart(struct stage *s)
{
    static const struct stage_spec usual;
    stage_forget(s);
    core_free(s->core);
    memory_store_crash(s->store);
    core_begin(s, &usual);
    stage_forget(s);
}

void stage_forget(struct stage *s)
{
    for (size_t i = 0; i < s->said_n; i++)
        msg_unref(s->said[i].packet);
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

static void digest_add(struct stage *s, struct slice bytes)
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
    digest_add(s, slice_of(head, sizeof(head)));
    digest_add(s, e->a);
    digest_add(s, e->b);
    if (e->kind == EFFECT_PACKET)
        digest_add(s, e->packet->payload);
    if (e->kind == EFFECT_LOG)
        digest_add(s, slice_str(e->text));
    if (e->kind == EFFECT_STORE) {
        digest_add(s, slice_of(&e->op->kind, sizeof(e->op->kind)));
        digest_add(s, slice_of(&e->op->token, sizeof(e->op->token)));
    }
    unsigned n = e->kind == EFFECT_SEND ? encode(e, &arena, payloads) : 0;
    for (unsigned i = 0; i < n; i++) {
        CHECK(payloads[i].len <= PACKET_BYTES_MAX);
        digest_add(s, payloads[i]);
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

void stage_step(struct stage *s, struct event *ev)
{
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
    core_check(s->core, memory_store_under_way(s->store));
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

/* ---- events ---- */

struct request_auth stage_auth(struct stage *s)
{
    struct request_auth auth = {.ts_us = s->utc_us};
    s->nonces++;
    memcpy(auth.nonce.b, &s->nonces, sizeof(s->nonces));
    return auth;
}

struct event *stage_init_event(struct stage *s, const struct reel *r)
{
    struct event *ev = event_new(r->video.live ? EVENT_LIVE_INIT : EVENT_UPLOAD_INIT);
    struct verified_init *v = &ev->u.init;
    struct slice body;
    struct signature sig;
    v->video = r->video;
    v->stream = r->stream;
    v->auth = stage_auth(s);
    v->init = (struct upload_init){
        .video_id = r->video.video_id,
        .title = r->video.title,
        .description = r->video.description,
        .category = r->video.category,
        .thumbnail = r->thumbnail,
        .streamer_id = r->video.streamer_id,
        .streamer_name = slice_str(r->streamer->id.s),
        .credential = arena_copy(&ev->arena, member_credential(r->streamer)),
        .statement = arena_copy(&ev->arena, r->statement),
    };
    CHECK(signed_split(v->init.statement, &body, &sig) == ERR_OK);
    v->statement_hash = object_hash(OBJECT_VIDEO, body);
    CHECK(signed_split(v->init.credential, &body, &sig) == ERR_OK &&
          credential_decode(body, &v->credential) == ERR_OK);
    return ev;
}

static struct event *part_event(const struct reel_part *p, bool json, enum topic_kind topic)
{
    struct event *ev = event_new(EVENT_PART);
    ev->u.part = (struct part_event){
        .topic = topic,
        .packet = msg_ref(p->packet),
        .original = json ? msg_new((struct slice){0}, slice_str("{\"as\":\"it came\"}"), NULL)
                         : msg_ref(p->packet),
        .json = json,
        .part = p->part,
        .statement_hash = p->statement_hash,
    };
    return ev;
}

struct event *stage_part_event(const struct reel *r, size_t i)
{
    return part_event(&r->parts[i], false, r->video.live ? TOPIC_LIVE_UPLOAD : TOPIC_UPLOAD);
}

struct event *stage_part_json_event(const struct reel *r, size_t i)
{
    struct event *ev =
        part_event(&r->parts[i], true, r->video.live ? TOPIC_LIVE_UPLOAD : TOPIC_UPLOAD);
    ev->u.part.video_id = r->video.video_id;
    return ev;
}

struct event *stage_end_event(const struct reel *r)
{
    struct event *ev = event_new(EVENT_UPLOAD_END);
    struct verified_end *v = &ev->u.end;
    struct slice body;
    struct signature sig;
    v->end = (struct upload_end){.video_id = r->video.video_id,
                                 .streamer_id = r->video.streamer_id,
                                 .manifest = arena_copy(&ev->arena, r->manifest_bytes),
                                 .statement = arena_copy(&ev->arena, r->final_statement)};
    CHECK(signed_split(v->end.statement, &body, &sig) == ERR_OK &&
          video_decode(body, &v->video) == ERR_OK);
    v->stream = r->stream;
    v->statement_hash = object_hash(OBJECT_VIDEO, body);
    v->manifest = r->manifest;
    return ev;
}

struct event *stage_watch_event(const struct watch_request *m)
{
    struct event *ev = event_new(EVENT_WATCH);
    ev->u.watch = *m;
    ev->u.watch.client_id = arena_copy(&ev->arena, m->client_id);
    ev->u.watch.token = arena_copy(&ev->arena, m->token);
    return ev;
}

struct event *stage_join_event(const char *client_id, const char *video_id, struct slice token)
{
    struct event *ev = event_new(EVENT_JOIN);
    ev->u.join = (struct live_join){.video_id = stage_id(video_id),
                                    .client_id = arena_copy(&ev->arena, slice_str(client_id)),
                                    .token = arena_copy(&ev->arena, token)};
    return ev;
}

struct event *stage_status_event(const char *edge_id, bool online)
{
    struct event *ev = event_new(EVENT_EDGE_STATUS);
    ev->u.status = (struct edge_status){.edge_id = stage_id(edge_id), .online = online};
    return ev;
}

struct event *stage_rows_event(const struct storage_row *rows, size_t n, uint32_t page,
                               uint32_t pages)
{
    struct event *ev = event_new(EVENT_DB_REPLY);
    ev->u.db_reply.rows = arena_alloc(&ev->arena, n * sizeof(*rows));
    for (size_t i = 0; i < n; i++)
        ev->u.db_reply.rows[i] = storage_row_copy(&ev->arena, &rows[i]);
    ev->u.db_reply.n = n;
    ev->u.db_reply.page = page;
    ev->u.db_reply.pages = pages;
    return ev;
}

struct event *stage_row_event(const struct storage_row *row)
{
    struct event *ev = event_new(EVENT_DB_UPDATE);
    ev->u.db_update.row = storage_row_copy(&ev->arena, row);
    return ev;
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
