/*
 * Invariants
 *   I1  the trust view of a step is in force before any of its answers leaves:
 *       who is told "go on" is verified against the view that knows him.
 *   I2  completions of storage come before messages, control before live before media, and
 *       each gets a bounded turn, in which no more than TURN_DECODED_MAX parts are decoded.
 */
#include "edge/loop.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/encode.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* A part costs 0.05 ms to pass on and 0.15 ms to decode: control waits a millisecond or two. */
enum { TURN_EVENTS_MAX = 64, TURN_PARTS_MAX = 16, TURN_DECODED_MAX = 4 };
enum { SEND_WARN_US = 10 * 1000 * 1000 };

struct run {
    struct loop *loop;
    struct effects *fx;
    bool lane_up[LANES];
    bool stopping, drained;
    uint64_t stop_us;
    uint64_t load_us;
    uint64_t warned_us;
    char broker_error[BUS_ERROR_BYTES]; /* last said */
    uint64_t refused; /* messages that the outbox did not take, since the last warning */
    enum err err;
};

/* ---- effects ---- */

static void publish(struct run *r, const struct effect *e, struct slice topic, struct msg *msg)
{
    if (bus_publish(r->loop->bus, (int)e->lane, topic, msg, 1, false) == ERR_OK)
        return;
    r->refused++;
    uint64_t now = clock_mono_us();
    if (now - r->warned_us < SEND_WARN_US)
        return;
    log_line(LOG_WARN, "%" PRIu64 " messages were not sent: the broker is too slow or away",
             r->refused);
    r->warned_us = now;
    r->refused = 0;
}

static void send(struct run *r, const struct effect *e)
{
    char buf[TOPIC_BUF_BYTES];
    struct slice payloads[ENCODE_MESSAGES_MAX];
    struct slice topic = topic_print(e->topic, r->loop->prefix, e->a, e->b, buf);
    unsigned n = encode(e, &r->fx->arena, payloads);
    for (unsigned i = 0; i < n; i++) {
        CLEANUP(msg_unref_ptr) struct msg *msg = msg_new((struct slice){0}, payloads[i], NULL);
        publish(r, e, topic, msg);
    }
}

static void carry_out(struct run *r, struct effect *e)
{
    char buf[TOPIC_BUF_BYTES];
    switch (e->kind) {
    case EFFECT_SEND: send(r, e); break;
    case EFFECT_PACKET:
        publish(r, e, topic_print(e->topic, r->loop->prefix, e->a, e->b, buf), e->packet);
        break;
    case EFFECT_STORE:
        CHECK(store_submit(r->loop->store, e->op) == ERR_OK); /* the core's bounds are below */
        e->op = NULL;
        break;
    case EFFECT_THUMBNAIL:
        thumbnailer_submit(r->loop->thumbnailer, e->job); /* the core has one at a time */
        e->job = NULL;
        break;
    case EFFECT_TRUST: break; /* I1: done before */
    case EFFECT_LOGIN:
        log_line(LOG_INFO, "broker: going on as %s", core_login(r->loop->core)->user);
        bus_set_login(r->loop->bus, core_login(r->loop->core)->user,
                      core_login(r->loop->core)->password);
        break;
    case EFFECT_LOG: log_line(e->warning ? LOG_WARN : LOG_INFO, "%s", e->text); break;
    case EFFECT_DRAINED: r->drained = true; break;
    }
}

static void step(struct run *r, struct event *ev)
{
    struct loop *loop = r->loop;
    ev->now_us = clock_mono_us();
    ev->utc_us = clock_utc_us();
    ev->live_free_bytes = bus_outbox_free_bytes(loop->bus, LANE_LIVE);
    ev->media_free_bytes = bus_outbox_free_bytes(loop->bus, LANE_MEDIA);
    ev->control_free_bytes = bus_outbox_free_bytes(loop->bus, LANE_CONTROL);
    core_step(loop->core, ev, r->fx);
    for (size_t i = 0; i < r->fx->n; i++)
        if (r->fx->list[i].kind == EFFECT_TRUST)
            verify_view(loop->verify, core_trust_view(loop->core)); /* I1 */
    for (size_t i = 0; i < r->fx->n; i++)
        carry_out(r, &r->fx->list[i]);
    effects_reset(r->fx);
}

static void step_kind(struct run *r, enum event_kind kind)
{
    step(r, event_new(kind));
}

/* ---- sources ---- */

static void take_completions(struct run *r)
{
    struct storage_done *done;
    for (int n = 0; n < TURN_EVENTS_MAX; n++) {
        if (!(done = queue_take(store_completions(r->loop->store), NULL)))
            return;
        if (done->err == ERR_IO)
            r->err = ERR_IO;
        struct event *ev = event_new(EVENT_STORED);
        ev->u.done = done;
        step(r, ev);
    }
}

static void take_messages(struct run *r, enum lane lane)
{
    struct event *ev;
    unsigned help = TURN_DECODED_MAX;
    int most = lane == LANE_CONTROL ? TURN_EVENTS_MAX : TURN_PARTS_MAX;
    for (int n = 0; n < most && (ev = verify_take(r->loop->verify, lane, &help)); n++)
        step(r, ev);
}

static void take_thumbnails(struct run *r)
{
    struct thumbnail_job *job;
    while ((job = queue_take(thumbnailer_results(r->loop->thumbnailer), NULL)) != NULL) {
        struct event *ev = event_new(EVENT_THUMBNAIL);
        ev->u.thumbnail = job;
        step(r, ev);
    }
}

static bool all_up(const struct run *r)
{
    for (enum lane lane = 0; lane < LANES; lane++)
        if (!r->lane_up[lane])
            return false;
    return true;
}

/* Then next to nothing may be read, and that is no news. */
static bool enrolling(const struct run *r)
{
    const struct edge_login *login = core_login(r->loop->core);
    return login && login->enrolling;
}

static void take_bus_events(struct run *r)
{
    struct bus_event b;
    while (bus_event_take(r->loop->bus, &b)) {
        bool was_up = all_up(r);
        if (b.kind == BUS_CONNECTED)
            r->lane_up[b.lane] = true;
        else if (b.kind == BUS_LOST)
            r->lane_up[b.lane] = false;
        else if (b.kind == BUS_DRAINED)
            step_kind(r, EVENT_TICK);
        else if (b.kind == BUS_DENIED)
            step_kind(r, EVENT_BUS_DENIED);
        else if (b.kind == BUS_REFUSED && !enrolling(r))
            log_line(LOG_ERROR, "the broker refuses a subscription; check its access list");
        bool up = all_up(r);
        if (up == was_up)
            continue;
        log_line(up ? LOG_INFO : LOG_WARN, "broker: %s", up ? "connected" : "connection lost");
        step_kind(r, up ? EVENT_BUS_UP : EVENT_BUS_DOWN);
    }
}

/* Counters on lines of about this length: together they are longer than a line may be. */
enum { COUNTERS_LINE_BYTES = 700 };

struct counters_line {
    char text[COUNTERS_LINE_BYTES + 200];
    size_t len;
};

static void counters_flush(struct counters_line *l)
{
    if (l->len)
        log_line(LOG_INFO, "counters:%s", l->text);
    l->len = 0;
}

__attribute__((format(printf, 2, 3))) static void counters_add(struct counters_line *l,
                                                               const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    l->len += (size_t)vsnprintf(l->text + l->len, sizeof(l->text) - l->len, fmt, args);
    va_end(args);
    if (l->len >= COUNTERS_LINE_BYTES)
        counters_flush(l);
}

void loop_log_counters(const struct loop *loop)
{
    struct counters_line l = {.len = 0};
    for (enum core_counter c = 0; c < COUNTERS; c++)
        if (core_counter(loop->core, c))
            counters_add(&l, " %s=%" PRIu64, core_counter_name(c), core_counter(loop->core, c));
    for (int lane = 0; lane < LANES; lane++) {
        struct bus_counters b = bus_counters(loop->bus, lane);
        counters_add(
            &l, " lane%d[in=%" PRIu64 " dropped=%" PRIu64 " out=%" PRIu64 " refused=%" PRIu64 "]",
            lane, b.received, b.dropped_inbox, b.sent, b.dropped_outbox);
    }
    counters_flush(&l);
}

static void take_signal(struct run *r)
{
    struct signalfd_siginfo info;
    if (read(r->loop->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGUSR1) {
        loop_log_counters(r->loop);
        return;
    }
    if (r->stopping)
        return;
    log_line(LOG_INFO, "stopping: finishing what is under way");
    r->stopping = true;
    r->stop_us = clock_mono_us();
    step_kind(r, EVENT_STOP);
}

/* Why there is no broker, once for each reason. */
static void say_broker(struct run *r)
{
    char why[BUS_ERROR_BYTES];
    bus_last_error(r->loop->bus, why);
    if (strcmp(why, r->broker_error) == 0)
        return;
    memcpy(r->broker_error, why, sizeof(why));
    if (why[0])
        log_line(LOG_WARN, "%s; trying again until it answers", why);
}

static void sample_load(struct run *r, uint64_t now_us)
{
    if (now_us < r->load_us)
        return;
    r->load_us = now_us + LOAD_SAMPLE_US;
    say_broker(r);
    struct event *ev = event_new(EVENT_LOAD);
    load_sample(&r->loop->load, &ev->u.load);
    step(r, ev);
}

/* ---- waiting ---- */

static int wait_ms(const struct run *r, uint64_t now_us)
{
    uint64_t at = core_deadline_us(r->loop->core);
    if (r->load_us < at)
        at = r->load_us;
    if (r->stopping && r->stop_us + DRAIN_US_MAX < at)
        at = r->stop_us + DRAIN_US_MAX;
    if (at <= now_us)
        return 0;
    uint64_t ms = (at - now_us + 999) / 1000;
    return ms < 60000 ? (int)ms : 60000;
}

static bool finished(const struct run *r, uint64_t now_us)
{
    if (r->err != ERR_OK)
        return true;
    return r->stopping && (r->drained || now_us - r->stop_us >= DRAIN_US_MAX);
}

static void turn(struct run *r)
{
    struct loop *loop = r->loop;
    struct pollfd fds[] = {
        {.fd = loop->signal_fd, .events = POLLIN},
        {.fd = bus_events_fd(loop->bus), .events = POLLIN},
        {.fd = queue_fd(store_completions(loop->store)), .events = POLLIN},
        {.fd = verify_fd(loop->verify, LANE_CONTROL), .events = POLLIN},
        {.fd = verify_fd(loop->verify, LANE_LIVE), .events = POLLIN},
        {.fd = verify_fd(loop->verify, LANE_MEDIA), .events = POLLIN},
        {.fd = queue_fd(thumbnailer_results(loop->thumbnailer)), .events = POLLIN},
        {.fd = verify_help_fd(loop->verify, LANE_LIVE), .events = POLLIN},
        {.fd = verify_help_fd(loop->verify, LANE_MEDIA), .events = POLLIN},
    };
    if (poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(r, clock_mono_us())) < 0)
        return; /* EINTR */
    if (fds[0].revents)
        take_signal(r);
    if (fds[1].revents)
        take_bus_events(r);
    if (fds[2].revents)
        take_completions(r); /* I2 */
    if (fds[3].revents)
        take_messages(r, LANE_CONTROL);
    if (fds[4].revents || fds[7].revents)
        take_messages(r, LANE_LIVE);
    if (fds[5].revents || fds[8].revents)
        take_messages(r, LANE_MEDIA);
    if (fds[6].revents)
        take_thumbnails(r);
    uint64_t now_us = clock_mono_us();
    sample_load(r, now_us);
    if (now_us >= core_deadline_us(loop->core))
        step_kind(r, EVENT_TICK);
}

enum err loop_run(struct loop *loop)
{
    struct run r = {.loop = loop, .fx = mem_alloc(sizeof(struct effects))};
    verify_view(loop->verify, core_trust_view(loop->core));
    while (!finished(&r, clock_mono_us()))
        turn(&r);
    if (r.err == ERR_OK && !r.drained) {
        step_kind(&r, EVENT_STOP); /* say offline all the same */
        log_line(LOG_WARN,
                 "not everything was committed in time; nothing of that was acknowledged");
    }
    arena_release(&r.fx->arena);
    free(r.fx);
    if (r.err == ERR_OK)
        bus_flush(loop->bus, DRAIN_FLUSH_MS_MAX);
    return r.err;
}
