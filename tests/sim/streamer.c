/*
 * Streamers: each uploads some videos, sends everything again until it is
 * answered, goes to another edge when one does not answer, and deletes some.
 *
 *   I1  acked is set by a receipt that verifies, and by nothing else.
 */
#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/sim.h"
#include "wire/delete.h"
#include "wire/upload.h"

#include <stdio.h>

enum {
    RETRY_US = 3 * 1000 * 1000,
    REFUSALS_MAX = 8, /* before an upload is given up */
    DELETE_TRIES_MAX = 2,
};

static void wake_at(struct sim *s, unsigned i, uint64_t at_us)
{
    struct streamer *st = &s->streamers[i];
    if (at_us <= s->now_us)
        at_us = s->now_us + 1;
    if (st->wake_us > s->now_us && st->wake_us <= at_us)
        return;
    st->wake_us = at_us;
    sim_at(s, at_us, HAPPEN_STREAMER, i, 0, NULL);
}

void streamer_init(struct sim *s, unsigned i)
{
    char name[32];
    struct streamer *st = &s->streamers[i];
    snprintf(name, sizeof(name), "streamer%u", i + 1);
    member_make(name, CREDENTIAL_STREAMER, &st->member);
    st->client = sim_client(s, CLIENT_STREAMER, i, &st->member.id);
    st->n = 1 + sim_random(s, 4);
    for (size_t k = 0; k < st->n; k++) {
        struct upload *u = &st->uploads[k];
        u->begin_us = s->now_us + SIM_S + sim_random(s, (s->heal_us - s->now_us) * 2 / 3);
        u->edge = (unsigned)sim_random(s, s->nodes_n);
        if (sim_chance(s, 3))
            u->delete_us = u->begin_us + sim_random(s, 90 * SIM_S);
        u->by_zone = sim_chance(s, 4);
        wake_at(s, i, u->begin_us);
        sim_at(s, u->begin_us, HAPPEN_STREAMER, i, 0, NULL);
    }
}

void streamer_free(struct streamer *st)
{
    for (size_t k = 0; k < st->n; k++)
        if (st->uploads[k].reel)
            reel_free(st->uploads[k].reel);
}

bool streamer_done(const struct streamer *st)
{
    for (size_t k = 0; k < st->n; k++) {
        const struct upload *u = &st->uploads[k];
        if (!u->acked && !u->given_up)
            return false;
        if (u->acked && u->delete_us && !u->deleted)
            return false;
    }
    return true;
}

/* ---- uploads ---- */

static void begin(struct sim *s, unsigned i, size_t k)
{
    char name[32];
    struct streamer *st = &s->streamers[i];
    struct upload *u = &st->uploads[k];
    if (u->contested)
        snprintf(name, sizeof(name), "contested");
    else
        snprintf(name, sizeof(name), "video%u-%zu", i + 1, k + 1);
    u->begun = true;
    u->reel = reel_new(&st->member, name, (unsigned)k, false);
    u->reel->video.created_us = s->utc_us;
    u->reel->video.revision_us = s->utc_us + 1;
    reel_sign(u->reel);
    reel_fill(u->reel, 1 + (unsigned)sim_random(s, 2), 300 + sim_random(s, 20000));
    reel_finish(u->reel);
    push_init(&u->push, s->now_us);
    trace_line(s, "%s begins %s", st->member.id.s, name);
}

static struct slice edge_id(const struct sim *s, unsigned edge)
{
    return id_slice(&s->nodes[edge].member.id);
}

static struct request_signer signer_of(const struct sim *s, struct streamer *st, unsigned edge)
{
    struct request_signer signer = {
        .target = edge_id(s, edge), .ts_us = s->utc_us, .key = &st->member.key};
    st->nonces++;
    memcpy(signer.nonce.b, &st->nonces, sizeof(st->nonces));
    return signer;
}

static void send_init(struct sim *s, struct streamer *st, const struct upload *u)
{
    struct arena arena = {0};
    const struct video *v = &u->reel->video;
    struct upload_init m = {
        .video_id = v->video_id,
        .title = v->title,
        .description = v->description,
        .category = v->category,
        .thumbnail = u->reel->thumbnail,
        .streamer_id = v->streamer_id,
        .streamer_name = id_slice(&st->member.id),
        .credential = member_credential(&st->member),
        .statement = u->reel->statement,
    };
    struct request_signer signer = signer_of(s, st, u->edge);
    broker_send(s, st->client, TOPIC_UPLOAD, edge_id(s, u->edge), (struct slice){0},
                upload_init_encode(&m, false, &signer, &arena));
    arena_release(&arena);
}

static void send_end(struct sim *s, const struct streamer *st, const struct upload *u)
{
    struct arena arena = {0};
    struct upload_end m = {.video_id = u->reel->video.video_id,
                           .streamer_id = u->reel->video.streamer_id,
                           .manifest = u->reel->manifest_bytes,
                           .statement = u->reel->final_statement};
    broker_send(s, st->client, TOPIC_UPLOAD, edge_id(s, u->edge), (struct slice){0},
                upload_end_encode(&m, &arena));
    arena_release(&arena);
}

static void send_parts(struct sim *s, const struct streamer *st, struct upload *u)
{
    struct push *p = &u->push;
    uint32_t chunks = u->reel->manifest.chunks;
    while (p->state == PUSH_RUNNING && p->cursor <= chunks && push_may_send(p, PACKET_BYTES_MAX)) {
        const struct reel_part *part = &u->reel->parts[reel_at(u->reel, p->cursor, p->cursor_part)];
        broker_send(s, st->client, TOPIC_UPLOAD, edge_id(s, u->edge), (struct slice){0},
                    part->packet->payload);
        push_was_sent(p, part->part.chunk.parts_n, part->packet->payload.len, s->now_us);
    }
    if (p->state == PUSH_RUNNING && p->cursor > chunks)
        push_finish(p);
}

/* To another edge, from the beginning. */
static void turn_away(struct sim *s, struct upload *u)
{
    u->edge = (unsigned)sim_random(s, s->nodes_n);
    push_init(&u->push, s->now_us);
}

static uint64_t push_on(struct sim *s, struct streamer *st, struct upload *u)
{
    if (s->now_us < u->retry_us)
        return u->retry_us;
    for (enum push_due due; (due = push_due(&u->push, s->now_us)) != PUSH_DUE_NOTHING;) {
        if (due == PUSH_DUE_INIT)
            send_init(s, st, u);
        else
            send_end(s, st, u);
    }
    if (u->push.state == PUSH_FAILED)
        turn_away(s, u);
    send_parts(s, st, u);
    uint64_t at = push_deadline_us(&u->push);
    return at > s->now_us ? at : s->now_us + 1000;
}

/* ---- deletions ---- */

static uint64_t delete_on(struct sim *s, struct streamer *st, struct upload *u)
{
    if (s->now_us < u->delete_us)
        return u->delete_us;
    if (s->now_us < u->delete_again_us)
        return u->delete_again_us;
    struct arena arena = {0};
    struct signkey zone = reel_zone_key();
    if (!u->deleting)
        u->deletion_revision_us = s->utc_us;
    if (!u->deleting || ++u->delete_tries > DELETE_TRIES_MAX) {
        u->delete_edge = (unsigned)sim_random(s, s->nodes_n);
        u->delete_tries = 0;
    }
    u->deleting = true;
    const struct video *v = &u->reel->video;
    struct deletion deletion = {.zone_id = v->zone_id,
                                .video_id = v->video_id,
                                .streamer_id = v->streamer_id,
                                .revision_us = u->deletion_revision_us};
    struct delete_request m = {
        .video_id = v->video_id,
        .streamer_id = v->streamer_id,
        .deletion = reel_deletion_object(&arena, &deletion, u->by_zone ? &zone : &st->member.key)};
    struct request_signer signer = signer_of(s, st, u->delete_edge);
    if (u->by_zone)
        m.client_id = id_slice(&st->member.id);
    else
        m.credential = member_credential(&st->member);
    broker_send(s, st->client, TOPIC_DELETE, edge_id(s, u->delete_edge), (struct slice){0},
                delete_request_encode(&m, u->by_zone ? NULL : &signer, &arena));
    arena_release(&arena);
    u->delete_again_us = s->now_us + RETRY_US;
    return u->delete_again_us;
}

/* ---- what happens to him ---- */

void streamer_wake(struct sim *s, unsigned i)
{
    struct streamer *st = &s->streamers[i];
    uint64_t next = UINT64_MAX;
    for (size_t k = 0; k < st->n; k++) {
        struct upload *u = &st->uploads[k];
        uint64_t at = UINT64_MAX;
        if (!u->begun && s->now_us < u->begin_us) {
            at = u->begin_us;
        } else {
            if (!u->begun)
                begin(s, i, k);
            if (!u->acked && !u->given_up)
                at = push_on(s, st, u);
            if (u->delete_us && !u->deleted && (u->acked || sim_chance(s, 4))) {
                uint64_t again = delete_on(s, st, u);
                at = again < at ? again : at;
            }
        }
        next = at < next ? at : next;
    }
    if (next != UINT64_MAX)
        wake_at(s, i, next);
}

static struct upload *upload_of(struct streamer *st, struct slice video_id)
{
    for (size_t k = 0; k < st->n; k++)
        if (st->uploads[k].begun &&
            slice_eq(id_slice(&st->uploads[k].reel->video.video_id), video_id))
            return &st->uploads[k];
    return NULL;
}

static void take_error(struct sim *s, struct streamer *st, const struct wire_error *e)
{
    struct upload *u = upload_of(st, e->video_id);
    trace_line(s, "%s is refused %.*s: %.*s: %.*s", st->member.id.s, SLICE_FMT(e->video_id),
               SLICE_FMT(e->code_text), SLICE_FMT(e->message));
    if (!u || u->acked || u->given_up)
        return;
    u->retry_us = s->now_us + SIM_S;
    /* bad_request: begun so long ago that the edges would not take it any more */
    if (!slice_eq_str(e->code_text, "conflict") && !slice_eq_str(e->code_text, "bad_request"))
        return;
    u->given_up = ++u->refusals >= REFUSALS_MAX;
    turn_away(s, u);
}

static void take_receipt(struct sim *s, struct streamer *st, struct upload *u, unsigned edge,
                         const struct upload_ack *ack)
{
    struct receipt receipt;
    const struct manifest *m = &u->reel->manifest;
    if (receipt_open(ack->receipt, &s->nodes[edge].member.key.pk, &receipt) != ERR_OK ||
        !hash_eq(&receipt.stream, &u->reel->stream) || receipt.last_chunk != m->chunks) {
        sim_fail(s, "the receipt for %s is none", u->reel->video.video_id.s);
        return;
    }
    if (!u->acked)
        trace_line(s, "%s has a receipt for %s from %s", st->member.id.s, u->reel->video.video_id.s,
                   s->nodes[edge].member.id.s);
    push_receipt(&u->push);
    u->acked = true; /* I1 */
}

static void take_ack(struct sim *s, struct streamer *st, unsigned edge,
                     const struct upload_ack *ack)
{
    struct upload *u = upload_of(st, id_slice(&ack->video_id));
    if (!u)
        return;
    if (ack->receipt.len) {
        take_receipt(s, st, u, edge, ack);
        return;
    }
    if (u->acked || u->given_up || edge != u->edge)
        return;
    bool beyond = ack->chunk_part > ack->next ||
                  (ack->chunk_part == ack->next && ack->packet_index >= ack->next_part);
    u->refusals = 0;
    if (u->push.state == PUSH_INIT)
        push_granted(&u->push, ack->next, ack->next_part, ack->window_bytes, s->now_us);
    else
        push_acked(&u->push, ack->next, ack->next_part, ack->window_bytes, !ack->has_part || beyond,
                   s->now_us);
}

static unsigned edge_of(const struct sim *s, struct slice id)
{
    unsigned i = 0;
    while (i < s->nodes_n && !slice_eq(edge_id(s, i), id))
        i++;
    return i;
}

void streamer_take(struct sim *s, unsigned i, const struct msg *msg)
{
    struct streamer *st = &s->streamers[i];
    struct arena arena = {0};
    struct topic t;
    struct wire_error error;
    struct upload_ack ack;
    struct delete_reply reply;
    CHECK(topic_parse(msg->topic, (struct slice){0}, &t) == ERR_OK);
    unsigned edge = edge_of(s, t.a);
    if (edge == s->nodes_n) {
        /* the liar */
    } else if (reply_is_error(msg->payload, &arena, &error)) {
        if (t.kind == TOPIC_UPLOAD_REPLY)
            take_error(s, st, &error);
        else
            trace_line(s, "%s may not delete or show %.*s: %.*s: %.*s", st->member.id.s,
                       SLICE_FMT(error.video_id), SLICE_FMT(error.code_text),
                       SLICE_FMT(error.message));
    } else if (t.kind == TOPIC_DELETE_REPLY &&
               delete_reply_decode(msg->payload, &arena, &reply) == ERR_OK) {
        struct upload *u = upload_of(st, id_slice(&reply.video_id));
        if (u && u->deleting && !u->deleted) {
            u->deleted = true;
            trace_line(s, "%s has deleted %s at %s", st->member.id.s, reply.video_id.s,
                       s->nodes[edge].member.id.s);
        }
        if (u && u->deleting)
            u->given_up = u->given_up || !u->acked;
    } else if (t.kind == TOPIC_UPLOAD_REPLY &&
               upload_ack_decode(msg->payload, &arena, &ack) == ERR_OK) {
        take_ack(s, st, edge, &ack);
    }
    arena_release(&arena);
    wake_at(s, i, s->now_us + 1);
}
