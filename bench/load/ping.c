/* How long the control path takes: ping as a client asks it, or (--in) the broker's own echo. */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/load/load.h"
#include "wire/presence.h"

#include <stdio.h>

enum { LOST_US = 5 * 1000 * 1000 };

struct ping {
    uint64_t sent_us; /* 0: none under way */
    bool measured;
    struct samples delays;
    uint64_t lost;
};

static void answered(struct mq *mq, struct slice topic, struct slice payload)
{
    struct ping *p = mq->owner;
    (void)topic, (void)payload;
    if (!p->sent_us)
        return;
    if (p->measured)
        samples_add(&p->delays, clock_mono_us() - p->sent_us);
    p->sent_us = 0;
}

static void ask(struct load *load, struct mq *mq, struct ping *p)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct ping_request request = {.client_id = slice_str(load->id)};
    char topic[TOPIC_BUF_BYTES];
    topic_print(TOPIC_PING, (struct slice){0}, load->edge, load->edge, topic);
    struct slice payload = ping_request_encode(&request, &arena);
    p->sent_us = clock_mono_us();
    mq_publish_copy(mq, load->in ? load->in : topic, payload);
    while (p->sent_us && clock_mono_us() < p->sent_us + LOST_US)
        mq_run(&load->loop, POLL_US);
    p->lost += p->sent_us != 0;
    p->sent_us = 0;
}

int ping_main(struct load *load)
{
    struct ping p = {0};
    struct mq mq;
    char topic[TOPIC_BUF_BYTES];
    double rate = load->rate > 0 ? load->rate : 50;
    topic_print(TOPIC_PING_REPLY, (struct slice){0}, slice_str(load->id), load->edge, topic);
    mq_open(&mq, &load->loop, load->broker, load->id, REPLY_OUT_PACKETS, answered, &p, 0);
    mq_subscribe(&mq, load->in ? load->in : topic, 1);
    load_settle(load, &mq, 1);
    uint64_t start_us = clock_mono_us();
    uint64_t end_us = start_us + load->warm_us + load->measure_us;
    for (uint64_t n = 0; clock_mono_us() < end_us; n++) {
        uint64_t due_us = load_due_us(start_us, n, rate);
        for (uint64_t now_us; (now_us = clock_mono_us()) < due_us;)
            mq_run(&load->loop, due_us - now_us);
        p.measured = due_us >= start_us + load->warm_us;
        ask(load, &mq, &p);
    }
    printf("{\"lost\":%llu,", (unsigned long long)p.lost);
    samples_print(&p.delays, "");
    puts("}");
    return 0;
}
