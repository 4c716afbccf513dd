/* Viewers: each watches one video after the other, and knows every byte that it should get. */
#include "base/check.h"
#include "tests/sim/sim.h"
#include "wire/watch.h"

#include <stdio.h>

enum { WINDOW_BYTES = 32 * 1024, WATCH_US = 60 * 1000 * 1000, PAUSE_S = 20 };

static void wake_at(struct sim *s, unsigned i, uint64_t at_us)
{
    s->viewers[i].wake_us = at_us;
    sim_at(s, at_us, HAPPEN_VIEWER, i, 0, NULL);
}

void viewer_init(struct sim *s, unsigned i)
{
    char name[32];
    struct viewer *v = &s->viewers[i];
    snprintf(name, sizeof(name), "viewer%u", i + 1);
    CHECK(id_parse(slice_str(name), &v->id) == ERR_OK);
    v->client = sim_client(s, CLIENT_VIEWER, i, &v->id);
    wake_at(s, i, s->now_us + 10 * SIM_S + sim_random(s, 30 * SIM_S));
}

static const struct reel *choose(struct sim *s)
{
    const struct streamer *st = &s->streamers[sim_random(s, s->streamers_n)];
    const struct upload *u = &st->uploads[sim_random(s, st->n)];
    return u->acked && !u->contested ? u->reel : NULL;
}

static void request(struct sim *s, const struct viewer *v, const struct watch_request *m)
{
    struct arena arena = {0};
    broker_send(s, v->client, TOPIC_WATCH, id_slice(&s->nodes[v->edge].member.id),
                (struct slice){0}, watch_request_encode(m, &arena));
    arena_release(&arena);
}

static void stop(struct sim *s, unsigned i)
{
    s->viewers[i].reel = NULL;
    wake_at(s, i, s->now_us + 1 + sim_random(s, PAUSE_S * SIM_S));
}

static void begin(struct sim *s, unsigned i)
{
    struct viewer *v = &s->viewers[i];
    v->reel = choose(s);
    if (!v->reel) {
        stop(s, i);
        return;
    }
    v->edge = (unsigned)sim_random(s, s->nodes_n);
    v->informed = false;
    v->until_us = s->now_us + WATCH_US;
    pull_init(&v->pull, WINDOW_BYTES);
    struct watch_request m = {
        .kind = WATCH_INIT, .client_id = id_slice(&v->id), .video_id = v->reel->video.video_id};
    request(s, v, &m);
    wake_at(s, i, s->now_us + 2 * SIM_S);
}

static void ask(struct sim *s, unsigned i)
{
    struct viewer *v = &s->viewers[i];
    struct pull_request due;
    while (v->informed && pull_next(&v->pull, s->now_us, &due)) {
        struct watch_request m = {
            .kind = due.seek ? WATCH_SEEK : WATCH_CREDIT,
            .client_id = id_slice(&v->id),
            .video_id = v->reel->video.video_id,
            .chunk_part = due.chunk,
            .part = due.part,
            .pull = due.pull,
            .credit_bytes = due.credit_bytes,
            .window_bytes = due.window_bytes,
            .token = slice_of(v->token, TOKEN_BYTES),
        };
        request(s, v, &m);
    }
    uint64_t at = v->informed ? pull_deadline_us(&v->pull) : s->now_us + 2 * SIM_S;
    wake_at(s, i, at > s->now_us && at < v->until_us ? at : s->now_us + SIM_S);
}

void viewer_wake(struct sim *s, unsigned i)
{
    struct viewer *v = &s->viewers[i];
    if (v->wake_us != s->now_us || s->healed)
        return;
    if (!v->reel)
        begin(s, i);
    else if (s->now_us > v->until_us || v->pull.state == PULL_FAILED)
        stop(s, i);
    else
        ask(s, i);
}

static void take_part(struct sim *s, struct viewer *v, struct slice payload)
{
    struct part part;
    if (part_decode(payload, &part) != ERR_OK || !hash_eq(&part.chunk.stream, &v->reel->stream))
        return;
    if (part.chunk.number > v->reel->manifest.chunks ||
        part.index >= reel_parts_of(v->reel, part.chunk.number) ||
        !slice_eq(payload,
                  v->reel->parts[reel_at(v->reel, part.chunk.number, part.index)].packet->payload))
        sim_fail(s, "%s was sent other bytes of %s", v->id.s, v->reel->video.video_id.s);
    else
        pull_part(&v->pull, part.chunk.number, part.index, part.chunk.parts_n, payload.len,
                  s->now_us);
}

static void take_json(struct sim *s, struct viewer *v, struct slice payload)
{
    struct arena arena = {0};
    enum watch_reply_kind kind;
    struct watch_info info;
    struct watch_end end;
    if (watch_reply_classify(payload, &kind) != ERR_OK)
        return;
    if (kind == WATCH_REPLY_INFO && watch_info_decode(payload, &arena, &info) == ERR_OK &&
        !v->informed && info.chunks && info.token.len == TOKEN_BYTES &&
        id_eq(&info.video_id, &v->reel->video.video_id)) {
        memcpy(v->token, info.token.ptr, TOKEN_BYTES);
        v->informed = true;
        pull_expect(&v->pull, info.chunks);
        pull_start(&v->pull, 1, 0, s->now_us);
    } else if (kind == WATCH_REPLY_END && watch_end_decode(payload, &arena, &end) == ERR_OK) {
        pull_end(&v->pull, end.pull, s->now_us);
    }
    arena_release(&arena);
}

void viewer_take(struct sim *s, unsigned i, const struct msg *msg)
{
    struct viewer *v = &s->viewers[i];
    if (!v->reel)
        return;
    if (msg->payload.len && msg->payload.ptr[0] == '{')
        take_json(s, v, msg->payload);
    else if (v->informed)
        take_part(s, v, msg->payload);
    if (v->informed && v->pull.state == PULL_ENDED) {
        v->watched++;
        trace_line(s, "%s has watched %s", v->id.s, v->reel->video.video_id.s);
        stop(s, i);
    } else {
        ask(s, i);
    }
}
