/*
 * Lives: streamers publish, viewers receive, in one process and so by one clock.
 *
 *   I1  with --rate 0 at most `window` parts of a stream are between its streamer
 *       and its slowest viewer: nobody has a reason to drop any, and a faster
 *       streamer does not pass for a faster node.
 *   I2  with a rate, a part's delay counts from when it was due, not from when
 *       the generator found the time.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/load/load.h"
#include "wire/upload.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RING = 1024,      /* parts of a stream that may be under way */
    IN_FLIGHT = 16,   /* QoS 1 window of a streamer */
    RATE_MAX = 32000, /* parts/s that a tape is long enough for when the rate is not given */
    DRAIN_US = 1500 * 1000,
    ID_TEXT = 80,
};

struct stream {
    struct tape tape;
    struct mq mq;
    char topic[MQ_TOPIC_BYTES_MAX];
    uint64_t next;     /* part to be published, from 0 */
    uint64_t complete; /* parts before it reached every viewer */
    uint64_t sent_us[RING];
    uint16_t got[RING]; /* viewers that have it, or missed it for good */
};

struct viewer {
    struct mq mq;
    uint64_t *next; /* per stream */
    uint64_t bytes, parts, lost;
};

struct run {
    struct load *load;
    struct streamer streamer;
    struct stream *streams;
    struct viewer *viewers;
    struct mq control;
    uint32_t inits, answered;
    uint64_t begin_us, end_us; /* of the measurement; UINT64_MAX: not yet */
    uint64_t published, late;
    uint64_t paced_from_us;
    struct samples delays;
};

/* ---- receiving ---- */

static void completed(struct run *r, struct stream *s)
{
    while (s->complete < s->next && s->got[s->complete % RING] >= r->load->viewers)
        s->got[s->complete++ % RING] = 0;
}

/* The number behind the last '-' or '/' of the topic. */
static struct stream *stream_of(struct run *r, struct slice topic)
{
    uint32_t k = 0, scale = 1;
    size_t i = topic.len;
    for (; i > 0 && topic.ptr[i - 1] >= '0' && topic.ptr[i - 1] <= '9'; i--) {
        k += scale * (uint32_t)(topic.ptr[i - 1] - '0');
        scale *= 10;
    }
    return k < r->load->streams && i < topic.len ? &r->streams[k] : NULL;
}

static void viewer_message(struct mq *mq, struct slice topic, struct slice payload)
{
    struct run *r = mq->owner;
    struct viewer *v = &r->viewers[mq->number];
    struct stream *s = stream_of(r, topic);
    struct part part;
    if (payload.len && payload.ptr[0] == '{')
        return; /* metadata */
    if (!s || part_decode(payload, &part) != ERR_OK)
        die("viewer %d got what is no part", mq->number);
    uint64_t *next = &v->next[s - r->streams];
    uint64_t seq = (uint64_t)(part.chunk.number - 1) * r->load->parts_n + part.index;
    if (seq < *next || seq >= s->next)
        die("viewer %d got part %llu instead of %llu", mq->number, (unsigned long long)seq,
            (unsigned long long)*next);
    uint64_t now_us = clock_mono_us();
    bool measured = now_us >= r->begin_us && now_us < r->end_us;
    if (measured) {
        samples_add(&r->delays, now_us - s->sent_us[seq % RING]);
        v->bytes += payload.len;
        v->parts++;
    }
    v->lost += seq - *next;
    for (; *next <= seq; (*next)++)
        s->got[*next % RING]++;
    completed(r, s);
}

static void control_message(struct mq *mq, struct slice topic, struct slice payload)
{
    struct run *r = mq->owner;
    CLEANUP(arena_release) struct arena arena = {0};
    struct wire_error error;
    (void)topic;
    if (reply_is_error(payload, &arena, &error))
        die("the edge refuses a live: %.*s: %.*s", SLICE_FMT(error.code_text),
            SLICE_FMT(error.message));
    r->answered++;
}

static void streamer_message(struct mq *mq, struct slice topic, struct slice payload)
{
    (void)mq, (void)topic, (void)payload;
}

/* ---- beginning ---- */

static void topic_of(const struct load *load, uint32_t k, bool out, char *ret)
{
    char id[ID_TEXT];
    char buf[TOPIC_BUF_BYTES];
    if (load->in) {
        snprintf(ret, MQ_TOPIC_BYTES_MAX, "%s/%u", out ? load->out : load->in, k);
        return;
    }
    snprintf(id, sizeof(id), "%s-%u", load->id, k);
    struct slice topic =
        out ? topic_print(TOPIC_LIVE_PARTS, (struct slice){0}, load->edge, slice_str(id), buf)
            : topic_print(TOPIC_LIVE_UPLOAD, (struct slice){0}, load->edge, (struct slice){0}, buf);
    snprintf(ret, MQ_TOPIC_BYTES_MAX, "%.*s", SLICE_FMT(topic));
}

static void open_streams(struct run *r)
{
    struct load *load = r->load;
    char client[ID_TEXT];
    char id[ID_TEXT];
    double seconds = (double)(load->warm_us + load->measure_us) / 1e6;
    double parts = (seconds + 1) * (load->rate > 0 ? load->rate : RATE_MAX) + IN_FLIGHT;
    for (uint32_t k = 0; k < load->streams; k++) {
        struct stream *s = &r->streams[k];
        snprintf(id, sizeof(id), "%s-%u", load->id, k);
        struct tape_config config = {
            .part_bytes = load->part_bytes,
            .parts_n = load->parts_n,
            .chunks_n = load->chunks_n ? load->chunks_n : (uint32_t)(parts / load->parts_n) + 1,
            .keyframe_every = load->keyframe_every,
            .chunk_us = 1000000,
            .live = true,
            .video_id = id,
        };
        tape_make(&s->tape, &config, &r->streamer);
        topic_of(load, k, false, s->topic);
        snprintf(client, sizeof(client), "%s-s%u", load->id, k);
        mq_open(&s->mq, &load->loop, load->broker, client, IN_FLIGHT + 8, streamer_message, r,
                (int)k);
        load_settle(load, &s->mq, 1);
    }
}

static void open_viewers(struct run *r)
{
    struct load *load = r->load;
    char client[ID_TEXT];
    char topic[MQ_TOPIC_BYTES_MAX];
    for (uint32_t i = 0; i < load->viewers; i++) {
        struct viewer *v = &r->viewers[i];
        v->next = mem_array(load->streams, sizeof(*v->next));
        snprintf(client, sizeof(client), "%s-v%u", load->id, i);
        mq_open(&v->mq, &load->loop, load->broker, client, REPLY_OUT_PACKETS, viewer_message, r,
                (int)i);
        topic_of(load, 0, true, topic);
        if (load->streams > 1)
            memcpy(strrchr(topic, '/') + 1, "+", 2);
        mq_subscribe(&v->mq, topic, load->qos);
        load_settle(load, &v->mq, 1);
    }
}

static void await_answers(struct run *r, uint32_t missing_max)
{
    uint64_t deadline_us = clock_mono_us() + SETTLE_US;
    while (r->inits - r->answered > missing_max) {
        if (clock_mono_us() > deadline_us)
            die("the edge answers %u of %u inits", r->answered, r->inits);
        mq_run(&r->load->loop, POLL_US);
    }
}

/* All inits go over one connection: a reply topic per live would be a subscription per live. */
static void init_streams(struct run *r)
{
    struct load *load = r->load;
    char client[ID_TEXT];
    char buf[TOPIC_BUF_BYTES];
    snprintf(client, sizeof(client), "%s-c", load->id);
    mq_open(&r->control, &load->loop, load->broker, client, REPLY_OUT_PACKETS, control_message, r,
            0);
    topic_print(TOPIC_LIVE_UPLOAD_REPLY, (struct slice){0}, load->edge,
                id_slice(&r->streamer.credential.subject), buf);
    mq_subscribe(&r->control, buf, 1);
    load_settle(load, &r->control, 1);
    for (uint32_t k = 0; k < load->streams; k++) {
        CLEANUP(arena_release) struct arena arena = {0};
        r->inits++;
        mq_publish_copy(&r->control, r->streams[k].topic,
                        tape_init(&r->streams[k].tape, load->edge, &arena));
        await_answers(r, 8);
    }
    await_answers(r, 0);
}

/* ---- publishing ---- */

static void publish_one(struct run *r, struct stream *s, uint64_t due_us)
{
    uint8_t lead[MQ_LEAD_BYTES_MAX];
    struct slice body;
    uint32_t parts_n = r->load->parts_n;
    uint64_t chunk = s->next / parts_n + 1;
    if (chunk > s->tape.config.chunks_n)
        die("the tape of %u chunks is too short", s->tape.config.chunks_n);
    size_t n = tape_part(&s->tape, (uint32_t)chunk, (uint32_t)(s->next % parts_n), lead, &body);
    s->sent_us[s->next % RING] = due_us;
    s->next++;
    r->published++;
    mq_publish(&s->mq, s->topic, slice_of(lead, n), body);
}

static bool may_publish(const struct run *r, const struct stream *s)
{
    uint64_t under_way = r->load->viewers ? s->next - s->complete : 0;
    uint64_t most = r->load->rate > 0 ? RING - 1 : r->load->window;
    return s->mq.in_flight < IN_FLIGHT && under_way < most; /* I1 */
}

static void publish_all(struct run *r)
{
    for (uint32_t k = 0; k < r->load->streams; k++)
        while (may_publish(r, &r->streams[k]))
            publish_one(r, &r->streams[k], clock_mono_us());
    mq_run(&r->load->loop, POLL_US);
}

/* Parts of all streams in turn, evenly spread. */
static void publish_paced(struct run *r)
{
    double rate = r->load->rate * r->load->streams;
    uint64_t now_us = clock_mono_us();
    uint64_t due_us;
    bool blocked = false;
    while ((due_us = load_due_us(r->paced_from_us, r->published, rate)) <= now_us) {
        struct stream *s = &r->streams[r->published % r->load->streams];
        blocked = !may_publish(r, s);
        if (blocked)
            break;
        if (now_us - due_us > 5000)
            r->late++;
        publish_one(r, s, due_us); /* I2 */
    }
    mq_run(&r->load->loop, blocked || due_us > now_us + POLL_US ? POLL_US : due_us - now_us);
}

static void go(struct run *r, uint64_t until_us)
{
    if (!r->paced_from_us)
        r->paced_from_us = clock_mono_us();
    while (clock_mono_us() < until_us) {
        if (r->load->rate > 0)
            publish_paced(r);
        else
            publish_all(r);
    }
}

/* ---- reporting ---- */

static uint64_t under_way(const struct run *r)
{
    uint64_t n = 0;
    for (uint32_t k = 0; k < r->load->streams && r->load->viewers; k++)
        n += r->streams[k].next - r->streams[k].complete;
    return n;
}

static void report(struct run *r, uint64_t missing)
{
    uint64_t bytes = 0, parts = 0, lost = 0, least = UINT64_MAX, most = 0;
    double seconds = (double)r->load->measure_us / 1e6;
    for (uint32_t i = 0; i < r->load->viewers; i++) {
        const struct viewer *v = &r->viewers[i];
        bytes += v->bytes;
        parts += v->parts;
        lost += v->lost;
        least = v->bytes < least ? v->bytes : least;
        most = v->bytes > most ? v->bytes : most;
    }
    printf("{\"seconds\":%.3f,\"bytes\":%llu,\"parts\":%llu,\"bytes_per_s\":%.0f,"
           "\"parts_per_s\":%.1f,\"lost\":%llu,\"missing\":%llu,\"late\":%llu,\"published\":%llu,"
           "\"viewer_min_bytes\":%llu,\"viewer_max_bytes\":%llu,",
           seconds, (unsigned long long)bytes, (unsigned long long)parts, (double)bytes / seconds,
           (double)parts / seconds, (unsigned long long)lost, (unsigned long long)missing,
           (unsigned long long)r->late, (unsigned long long)r->published,
           (unsigned long long)(least == UINT64_MAX ? 0 : least), (unsigned long long)most);
    samples_print(&r->delays, "");
    puts("}");
}

int live_main(struct load *load)
{
    struct run r = {.load = load, .begin_us = UINT64_MAX, .end_us = UINT64_MAX};
    if (load->window >= RING || !load->home)
        die("give --home, and a --window below %d parts", RING);
    streamer_load(load->home, &r.streamer);
    r.streams = mem_array(load->streams, sizeof(*r.streams));
    r.viewers = mem_array(load->viewers ? load->viewers : 1, sizeof(*r.viewers));
    open_viewers(&r);
    open_streams(&r);
    if (!load->in)
        init_streams(&r);
    go(&r, clock_mono_us() + load->warm_us);
    load_begins(load);
    r.begin_us = clock_mono_us();
    r.end_us = r.begin_us + load->measure_us;
    go(&r, r.end_us);
    uint64_t drain_us = clock_mono_us() + DRAIN_US;
    while (under_way(&r) && clock_mono_us() < drain_us)
        mq_run(&load->loop, POLL_US);
    report(&r, under_way(&r));
    return 0;
}
