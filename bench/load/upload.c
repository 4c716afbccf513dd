/*
 * Uploads: streamers that keep their windows full, and count what was
 * acknowledged: it is verified and on disk.
 *
 *   I1  bytes count when they are acknowledged, never when they are sent.
 */
#include "wire/upload.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/load/load.h"
#include "flow/push.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    IN_FLIGHT = 16,
    RATE_MAX = 8000, /* parts/s that a tape is long enough for */
    FINISH_US = 60 * 1000 * 1000,
    TEXT = 80,
};

struct upload {
    struct streamer streamer;
    struct tape tape;
    size_t packet_bytes;
    struct mq mq;
    struct push push;
    char topic[TOPIC_BUF_BYTES];
    char id[TEXT];
    uint64_t acked_at_begin; /* parts */
    bool done;
};

struct run {
    struct load *load;
    struct upload *uploads;
};

static uint64_t acked_parts(const struct upload *u)
{
    uint32_t next = u->push.next ? u->push.next : 1;
    return (uint64_t)(next - 1) * u->tape.config.parts_n + u->push.next_part;
}

/* ---- answers ---- */

static void answered(struct mq *mq, struct slice topic, struct slice payload)
{
    struct run *r = mq->owner;
    struct upload *u = &r->uploads[mq->number];
    uint64_t now_us = clock_mono_us();
    CLEANUP(arena_release) struct arena arena = {0};
    struct wire_error error;
    struct upload_ack ack;
    (void)topic;
    if (reply_is_error(payload, &arena, &error)) {
        if (slice_eq_str(error.video_id, u->id))
            die("an upload is refused: %.*s: %.*s", SLICE_FMT(error.code_text),
                SLICE_FMT(error.message));
        return;
    }
    if (upload_ack_decode(payload, &arena, &ack) != ERR_OK)
        die("the answer to an upload is not one");
    if (!r->load->in && strcmp(ack.video_id.s, u->id) != 0)
        return; /* another upload of the same streamer */
    if (ack.receipt.len) {
        push_receipt(&u->push);
        u->done = true;
    } else if (u->push.state == PUSH_INIT) {
        push_granted(&u->push, ack.next, ack.next_part, ack.window_bytes, now_us);
    } else {
        bool beyond = ack.chunk_part > ack.next ||
                      (ack.chunk_part == ack.next && ack.packet_index >= ack.next_part);
        push_acked(&u->push, ack.next, ack.next_part, ack.window_bytes, !ack.has_part || beyond,
                   now_us);
    }
}

/* ---- beginning ---- */

static void open_upload(struct run *r, uint32_t k)
{
    struct load *load = r->load;
    struct upload *u = &r->uploads[k];
    char text[1024];
    char buf[TOPIC_BUF_BYTES];
    double seconds = (double)(load->warm_us + load->measure_us) / 1e6;
    snprintf(text, sizeof(text), "%s/%u", load->home, k);
    streamer_load(text, &u->streamer);
    snprintf(u->id, sizeof(u->id), "%s-%u", load->id, k);
    struct tape_config config = {
        .part_bytes = load->part_bytes,
        .parts_n = load->parts_n,
        .chunks_n =
            load->chunks_n ? load->chunks_n : (uint32_t)(seconds * RATE_MAX / load->parts_n) + 1,
        .keyframe_every = load->keyframe_every,
        .chunk_us = 1000000,
        .video_id = u->id,
    };
    tape_make(&u->tape, &config, &u->streamer);
    u->packet_bytes = tape_packet_bytes(&u->tape);
    mq_open(&u->mq, &load->loop, load->broker, u->id, REPLY_OUT_PACKETS, answered, r, (int)k);
    if (load->in) {
        snprintf(u->topic, sizeof(u->topic), "%s/%u", load->in, k);
        snprintf(buf, sizeof(buf), "%s/%u", load->out, k);
    } else {
        topic_print(TOPIC_UPLOAD_REPLY, (struct slice){0}, load->edge,
                    id_slice(&u->streamer.credential.subject), buf);
    }
    mq_subscribe(&u->mq, buf, 1);
    if (!load->in)
        topic_print(TOPIC_UPLOAD, (struct slice){0}, load->edge, (struct slice){0}, u->topic);
    load_settle(load, &u->mq, 1);
    push_init(&u->push, clock_mono_us());
    if (load->in) /* a reference needs no init; its window is given */
        push_granted(&u->push, 1, 0, load->window, clock_mono_us());
}

/* ---- sending ---- */

static void send_due(struct run *r, struct upload *u, uint64_t now_us)
{
    CLEANUP(arena_release) struct arena arena = {0};
    switch (push_due(&u->push, now_us)) {
    case PUSH_DUE_INIT:
        if (r->load->in)
            die("the reference is silent");
        mq_publish_copy(&u->mq, u->topic, tape_init(&u->tape, r->load->edge, &arena));
        break;
    case PUSH_DUE_END: mq_publish_copy(&u->mq, u->topic, tape_end(&u->tape, &arena)); break;
    case PUSH_DUE_NOTHING: break;
    }
}

static void send_parts(struct run *r, struct upload *u, uint64_t now_us)
{
    uint32_t chunks_n = u->tape.config.chunks_n;
    while (u->push.state == PUSH_RUNNING && u->push.cursor <= chunks_n &&
           u->mq.in_flight < IN_FLIGHT && push_may_send(&u->push, u->packet_bytes)) {
        uint8_t lead[MQ_LEAD_BYTES_MAX];
        struct slice body;
        size_t n = tape_part(&u->tape, u->push.cursor, u->push.cursor_part, lead, &body);
        mq_publish(&u->mq, u->topic, slice_of(lead, n), body);
        push_was_sent(&u->push, r->load->parts_n, n + body.len, now_us);
    }
    if (u->push.state == PUSH_RUNNING && u->push.cursor > chunks_n) {
        if (r->load->chunks_n == 0)
            die("the tape of %u chunks is too short", chunks_n);
        push_finish(&u->push);
    }
}

static void go(struct run *r, uint64_t until_us)
{
    uint64_t now_us;
    while ((now_us = clock_mono_us()) < until_us) {
        bool done = true;
        for (uint32_t k = 0; k < r->load->streams; k++) {
            struct upload *u = &r->uploads[k];
            send_due(r, u, now_us);
            send_parts(r, u, now_us);
            if (u->push.state == PUSH_FAILED)
                die("upload %u gets no answer", k);
            done = done && u->done;
        }
        if (done)
            return;
        mq_run(&r->load->loop, POLL_US);
    }
}

/* ---- reporting ---- */

static void report(const struct run *r, uint64_t took_us)
{
    uint64_t bytes = 0, least = UINT64_MAX, most = 0, parts = 0;
    for (uint32_t k = 0; k < r->load->streams; k++) {
        const struct upload *u = &r->uploads[k];
        uint64_t n = acked_parts(u) - u->acked_at_begin; /* I1 */
        uint64_t b = n * u->packet_bytes;
        parts += n;
        bytes += b;
        least = b < least ? b : least;
        most = b > most ? b : most;
    }
    double seconds = (double)took_us / 1e6;
    printf("{\"seconds\":%.3f,\"bytes\":%llu,\"parts\":%llu,\"bytes_per_s\":%.0f,"
           "\"parts_per_s\":%.1f,\"stream_min_bytes\":%llu,\"stream_max_bytes\":%llu}\n",
           seconds, (unsigned long long)bytes, (unsigned long long)parts, (double)bytes / seconds,
           (double)parts / seconds, (unsigned long long)least, (unsigned long long)most);
}

/* With --chunks the uploads go to their end and get their receipts; else time decides. */
int upload_main(struct load *load)
{
    struct run r = {.load = load, .uploads = mem_array(load->streams, sizeof(struct upload))};
    if (!load->home)
        die("give --home, a folder with an EDGECTL_HOME 0, 1, 2 … for each stream");
    for (uint32_t k = 0; k < load->streams; k++)
        open_upload(&r, k);
    if (!load->chunks_n)
        go(&r, clock_mono_us() + load->warm_us);
    for (uint32_t k = 0; k < load->streams; k++)
        r.uploads[k].acked_at_begin = acked_parts(&r.uploads[k]);
    load_begins(load);
    uint64_t begin_us = clock_mono_us();
    go(&r, begin_us + (load->chunks_n ? FINISH_US : load->measure_us));
    uint64_t took_us = clock_mono_us() - begin_us;
    for (uint32_t k = 0; k < load->streams && load->chunks_n; k++)
        if (!r.uploads[k].done)
            die("upload %u did not end within %d s", k, FINISH_US / 1000000);
    report(&r, took_us);
    return 0;
}
