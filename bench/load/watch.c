/*
 * Watchers of stored videos: they pull as edgectl does, but verify nothing, so
 * that the node is measured. At the end of a video they begin again.
 *
 *   I1  each watches video number --id-(k mod streams), and from begin to end.
 */
#include "wire/watch.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/load/load.h"
#include "flow/pull.h"

#include <stdio.h>

enum { TEXT = 80, GIVE_UP_US = 10 * 1000 * 1000 };

struct watcher {
    struct mq mq;
    struct id client_id, video_id;
    struct pull pull;
    uint8_t token[TOKEN_BYTES];
    size_t token_len;
    uint64_t asked_us, first_part_us; /* from init to the first part */
    uint64_t bytes, rounds, seeks;
    bool informed;
};

struct run {
    struct load *load;
    struct watcher *watchers;
    char topic[TOPIC_BUF_BYTES]; /* of requests */
    bool measured;
};

static void request(struct run *r, struct watcher *w, const struct watch_request *m)
{
    CLEANUP(arena_release) struct arena arena = {0};
    mq_publish_copy(&w->mq, r->topic, watch_request_encode(m, &arena));
}

static void init(struct run *r, struct watcher *w)
{
    struct watch_request m = {
        .kind = WATCH_INIT, .client_id = id_slice(&w->client_id), .video_id = w->video_id};
    w->asked_us = clock_mono_us();
    w->first_part_us = 0;
    w->informed = r->load->in != NULL;
    if (w->informed)
        pull_start(&w->pull, 1, 0, w->asked_us);
    else
        request(r, w, &m);
}

static void ask(struct run *r, struct watcher *w)
{
    struct pull_request due;
    while (pull_next(&w->pull, clock_mono_us(), &due)) {
        struct watch_request m = {
            .kind = due.seek ? WATCH_SEEK : WATCH_CREDIT,
            .client_id = id_slice(&w->client_id),
            .video_id = w->video_id,
            .chunk_part = due.chunk,
            .part = due.part,
            .pull = due.pull,
            .credit_bytes = due.credit_bytes,
            .window_bytes = due.window_bytes,
            .token = slice_of(w->token, w->token_len),
        };
        w->seeks += due.seek;
        request(r, w, &m);
    }
    if (w->pull.state == PULL_FAILED)
        die("watcher %d gets nothing", w->mq.number);
}

static void take_info(struct run *r, struct watcher *w, struct slice payload, struct arena *arena)
{
    struct watch_info info;
    if (w->informed || watch_info_decode(payload, arena, &info) != ERR_OK)
        return;
    if (info.token.len != TOKEN_BYTES || info.chunks == 0)
        die("video %s is not there whole", w->video_id.s);
    memcpy(w->token, info.token.ptr, TOKEN_BYTES);
    w->token_len = TOKEN_BYTES;
    w->informed = true;
    pull_expect(&w->pull, info.chunks);
    pull_start(&w->pull, 1, 0, clock_mono_us());
    ask(r, w);
}

static void take_json(struct run *r, struct watcher *w, struct slice payload)
{
    CLEANUP(arena_release) struct arena arena = {0};
    enum watch_reply_kind kind;
    struct watch_end end;
    struct wire_error error;
    if (watch_reply_classify(payload, &kind) != ERR_OK)
        return;
    if (kind == WATCH_REPLY_INFO)
        take_info(r, w, payload, &arena);
    else if (kind == WATCH_REPLY_END && watch_end_decode(payload, &arena, &end) == ERR_OK)
        pull_end(&w->pull, end.pull, clock_mono_us());
    else if (kind == WATCH_REPLY_ERROR && reply_is_error(payload, &arena, &error))
        die("the edge refuses a view: %.*s", SLICE_FMT(error.message));
}

static void take_part(struct run *r, struct watcher *w, struct slice payload)
{
    struct part part;
    uint64_t now_us = clock_mono_us();
    if (part_decode(payload, &part) != ERR_OK)
        die("watcher %d got what is no part", w->mq.number);
    if (pull_part(&w->pull, part.chunk.number, part.index, part.chunk.parts_n, payload.len,
                  now_us) != PULL_ACCEPT)
        return;
    if (!w->first_part_us)
        w->first_part_us = now_us - w->asked_us;
    if (r->measured)
        w->bytes += payload.len;
}

static void received(struct mq *mq, struct slice topic, struct slice payload)
{
    struct run *r = mq->owner;
    struct watcher *w = &r->watchers[mq->number];
    (void)topic;
    if (payload.len && payload.ptr[0] == '{')
        take_json(r, w, payload);
    else
        take_part(r, w, payload);
    if (w->pull.state == PULL_ENDED) {
        w->rounds++;
        pull_start(&w->pull, 1, 0, clock_mono_us());
    }
    if (w->informed)
        ask(r, w);
}

static void open_watcher(struct run *r, uint32_t i)
{
    struct load *load = r->load;
    struct watcher *w = &r->watchers[i];
    char buf[TOPIC_BUF_BYTES];
    snprintf(w->client_id.s, sizeof(w->client_id.s), "%s-w%u", load->id, i);
    snprintf(w->video_id.s, sizeof(w->video_id.s), "%s-%u", load->id, i % load->streams); /* I1 */
    pull_init(&w->pull, load->window);
    mq_open(&w->mq, &load->loop, load->broker, w->client_id.s, REPLY_OUT_PACKETS, received, r,
            (int)i);
    if (load->in)
        snprintf(buf, sizeof(buf), "%s/%s", load->out, w->client_id.s);
    else
        topic_print(TOPIC_WATCH_REPLY, (struct slice){0}, load->edge, id_slice(&w->client_id), buf);
    mq_subscribe(&w->mq, buf, load->qos);
    load_settle(load, &w->mq, 1);
}

static void go(struct run *r, uint64_t until_us)
{
    while (clock_mono_us() < until_us) {
        mq_run(&r->load->loop, POLL_US);
        for (uint32_t i = 0; i < r->load->viewers; i++)
            if (r->watchers[i].informed)
                ask(r, &r->watchers[i]);
    }
}

/* One watcher after the other asks anew, alone: how long until the first part is there. */
static void first_parts(struct run *r, struct samples *ret)
{
    for (uint32_t i = 0; i < r->load->viewers; i++) {
        struct watcher *w = &r->watchers[i];
        init(r, w);
        while (!w->first_part_us) {
            if (clock_mono_us() > w->asked_us + GIVE_UP_US)
                die("watcher %u gets no first part", i);
            mq_run(&r->load->loop, POLL_US);
        }
        samples_add(ret, w->first_part_us);
        if (r->load->measure_us == 0)
            mq_close(&w->mq); /* what is still under way for it is the broker's */
    }
}

static void report(struct run *r, struct samples *first)
{
    uint64_t bytes = 0, least = UINT64_MAX, most = 0, seeks = 0, rounds = 0;
    double seconds = (double)r->load->measure_us / 1e6;
    for (uint32_t i = 0; i < r->load->viewers; i++) {
        const struct watcher *w = &r->watchers[i];
        bytes += w->bytes;
        seeks += w->seeks;
        rounds += w->rounds;
        least = w->bytes < least ? w->bytes : least;
        most = w->bytes > most ? w->bytes : most;
    }
    printf("{\"seconds\":%.3f,\"bytes\":%llu,\"bytes_per_s\":%.0f,\"viewer_min_bytes\":%llu,"
           "\"viewer_max_bytes\":%llu,\"seeks\":%llu,\"rounds\":%llu,",
           seconds, (unsigned long long)bytes, seconds > 0 ? (double)bytes / seconds : 0,
           (unsigned long long)least, (unsigned long long)most, (unsigned long long)seeks,
           (unsigned long long)rounds);
    samples_print(first, "first_");
    puts("}");
}

/* --seconds 0: only the times to first parts. */
int watch_main(struct load *load)
{
    struct run r = {.load = load, .watchers = mem_array(load->viewers, sizeof(struct watcher))};
    struct samples first = {0};
    if (load->in)
        snprintf(r.topic, sizeof(r.topic), "%s", load->in);
    else
        topic_print(TOPIC_WATCH, (struct slice){0}, load->edge, (struct slice){0}, r.topic);
    for (uint32_t i = 0; i < load->viewers; i++)
        open_watcher(&r, i);
    if (load->measure_us == 0) {
        first_parts(&r, &first);
    } else {
        for (uint32_t i = 0; i < load->viewers; i++)
            init(&r, &r.watchers[i]);
        go(&r, clock_mono_us() + load->warm_us);
        load_begins(load);
        r.measured = true;
        go(&r, clock_mono_us() + load->measure_us);
        for (uint32_t i = 0; i < load->viewers; i++)
            samples_add(&first, r.watchers[i].first_part_us);
    }
    report(&r, &first);
    return 0;
}
