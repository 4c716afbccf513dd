/*
 * Each message gets its lane's sequence number when a worker takes it, and its
 * event goes into the slot of that number; the loop takes slots in order. Where the slot that it
 * wants is empty, the loop is a worker, too: a message that it decodes itself costs no change of
 * threads, and workers are woken only when VERIFY_WAKE_AT wait.
 *
 * Invariants
 *   I1  slot s is written only while head <= s < head + VERIFY_SLOTS, so no event is
 *       overwritten; the worker that holds number `head` never waits. The loop, which
 *       alone moves head, takes no number that it would have to wait with.
 *   I2  the lane's fd is readable exactly while slot `head` is filled.
 *   I3  the loop decodes parts and nothing else: their cost is bounded by a hash of 64 KB and one
 *       signature, while text may be parsed and verified for milliseconds, at a stranger's choice.
 *       Control is its one worker's altogether: what edges say counts once (decoder.once).
 */
#include "edge/verify.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct verify_lane {
    struct verify *pool;
    struct queue *inbox;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* head went on, or closing */
    struct event *slots[VERIFY_SLOTS];
    uint64_t head;
    bool closing;
    bool helped; /* by the loop (I3) */
    bool left;   /* what waits there is for a worker; the loop's thread */
    int fd;
};

struct verify {
    struct decoder decoder; /* as each thread's begins; never changes */
    struct decoder own;     /* the loop's */
    struct verify_lane lanes[LANES];
    pthread_mutex_t view_lock;
    struct trust_view *view;
    pthread_t threads[1 + (LANES - 1) * VERIFY_WORKERS_MAX];
    unsigned threads_n;
};

static struct trust_view *view_get(struct verify *v)
{
    pthread_mutex_lock(&v->view_lock);
    struct trust_view *view = trust_view_ref(v->view);
    pthread_mutex_unlock(&v->view_lock);
    return view;
}

void verify_view(struct verify *v, struct trust_view *view)
{
    trust_view_ref(view);
    pthread_mutex_lock(&v->view_lock);
    struct trust_view *old = v->view;
    v->view = view;
    pthread_mutex_unlock(&v->view_lock);
    trust_view_unref(old);
}

static void fd_raise(int fd)
{
    uint64_t one = 1;
    CHECK(write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

static void fd_lower(int fd)
{
    uint64_t count;
    CHECK(read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count));
}

/* Put an event where its number says; false when the pool is closing. */
static bool slot_put(struct verify_lane *lane, uint64_t seq, struct event *ev)
{
    pthread_mutex_lock(&lane->lock);
    while (seq >= lane->head + VERIFY_SLOTS && !lane->closing)
        pthread_cond_wait(&lane->moved, &lane->lock);
    bool put = !lane->closing;
    if (put) {
        lane->slots[seq % VERIFY_SLOTS] = ev; /* I1 */
        if (seq == lane->head)
            fd_raise(lane->fd); /* I2 */
    }
    pthread_mutex_unlock(&lane->lock);
    return put;
}

/* Slot head has been taken, or passed by. [locked] */
static void head_on(struct verify_lane *lane)
{
    lane->head++;
    pthread_cond_broadcast(&lane->moved);
}

/* The event of slot head, or NULL. [locked] */
static struct event *head_take(struct verify_lane *lane)
{
    struct event *ev = lane->slots[lane->head % VERIFY_SLOTS];
    if (!ev)
        return NULL;
    lane->slots[lane->head % VERIFY_SLOTS] = NULL;
    head_on(lane);
    if (!lane->slots[lane->head % VERIFY_SLOTS])
        fd_lower(lane->fd); /* I2 */
    return ev;
}

/* Put what the loop has decoded. Returns the event of slot head, or NULL. [locked] */
static struct event *own_put(struct verify_lane *lane, uint64_t seq, struct event *ev)
{
    CHECK(seq - lane->head < VERIFY_SLOTS); /* I1 */
    if (seq != lane->head) {
        lane->slots[seq % VERIFY_SLOTS] = ev;
        return head_take(lane);
    }
    head_on(lane);
    if (lane->slots[lane->head % VERIFY_SLOTS])
        fd_raise(lane->fd); /* I2 */
    return ev;
}

static struct event *decode_one(struct verify *v, struct decoder *decoder, struct msg *msg)
{
    struct trust_view *view = view_get(v);
    decoder->utc_us = clock_utc_us();
    struct event *ev = decode(decoder, view, msg);
    trust_view_unref(view);
    return ev;
}

/* I1, I3 */
static bool is_ours(const void *item, uint64_t seq, const void *lane_)
{
    const struct verify_lane *lane = lane_;
    const struct msg *msg = item;
    return seq - lane->head < VERIFY_SLOTS && part_is(msg->payload);
}

/* The loop is a worker for one message. false: it may take none. */
static bool lend_hand(struct verify_lane *lane, struct event **ret)
{
    struct verify *v = lane->pool;
    uint64_t seq;
    /* Of what is left to a worker the loop hears by verify_fd. */
    struct msg *msg = queue_take_if(lane->inbox, is_ours, lane, &seq, &lane->left);
    if (!msg)
        return false;
    struct event *ev = decode_one(v, &v->own, msg);
    pthread_mutex_lock(&lane->lock);
    *ret = own_put(lane, seq, ev);
    pthread_mutex_unlock(&lane->lock);
    return true;
}

struct event *verify_take(struct verify *v, enum lane which, unsigned *help)
{
    struct verify_lane *lane = &v->lanes[which];
    pthread_mutex_lock(&lane->lock);
    struct event *ev = head_take(lane);
    pthread_mutex_unlock(&lane->lock);
    lane->left = false;
    while (!ev && lane->helped && *help > 0 && lend_hand(lane, &ev))
        (*help)--;
    return ev;
}

int verify_fd(const struct verify *v, enum lane lane)
{
    return v->lanes[lane].fd;
}

int verify_help_fd(const struct verify *v, enum lane lane)
{
    const struct verify_lane *l = &v->lanes[lane];
    return l->helped && !l->left ? queue_fd(l->inbox) : -1;
}

static void *worker(void *arg)
{
    static const char *const names[LANES] = {[LANE_CONTROL] = "verify-control",
                                             [LANE_LIVE] = "verify-live",
                                             [LANE_MEDIA] = "verify-media"};
    struct verify_lane *lane = arg;
    pthread_setname_np(pthread_self(), names[lane - lane->pool->lanes]);
    struct decoder decoder = lane->pool->decoder;
    decoder.once = once_new();
    uint64_t seq;
    struct msg *msg;
    while ((msg = queue_wait(lane->inbox, &seq)) != NULL) {
        struct event *ev = decode_one(lane->pool, &decoder, msg);
        if (!slot_put(lane, seq, ev))
            event_free(ev);
    }
    once_free(decoder.once);
    return NULL;
}

static enum err lane_init(struct verify *v, enum lane which, struct queue *inbox)
{
    struct verify_lane *lane = &v->lanes[which];
    lane->pool = v;
    lane->inbox = inbox;
    lane->helped = which != LANE_CONTROL;
    if (lane->helped)
        queue_wake_at(inbox, VERIFY_WAKE_AT);
    lane->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(pthread_mutex_init(&lane->lock, NULL) == 0);
    CHECK(pthread_cond_init(&lane->moved, NULL) == 0);
    return lane->fd >= 0 ? ERR_OK : ERR_IO;
}

static enum err lane_start(struct verify_lane *lane, unsigned workers)
{
    struct verify *v = lane->pool;
    for (unsigned i = 0; i < workers; i++) {
        if (pthread_create(&v->threads[v->threads_n], NULL, worker, lane) != 0)
            return ERR_IO;
        v->threads_n++;
    }
    return ERR_OK;
}

enum err verify_open(const struct decoder *decoder, struct queue *inboxes[static LANES],
                     unsigned workers, struct verify **ret)
{
    CHECK(workers >= 1 && workers <= VERIFY_WORKERS_MAX);
    struct verify *v = mem_alloc(sizeof(*v));
    v->decoder = *decoder;
    v->decoder.checked = checked_new();
    v->own = v->decoder;
    v->own.once = once_new();
    v->view = trust_view_new();
    CHECK(pthread_mutex_init(&v->view_lock, NULL) == 0);
    enum err err = ERR_OK;
    for (enum lane lane = 0; lane < LANES; lane++)
        if (lane_init(v, lane, inboxes[lane]) != ERR_OK)
            err = ERR_IO;
    for (enum lane lane = 0; err == ERR_OK && lane < LANES; lane++)
        err = lane_start(&v->lanes[lane], lane == LANE_CONTROL ? 1 : workers);
    if (err != ERR_OK) {
        verify_close(v);
        return err;
    }
    *ret = v;
    return ERR_OK;
}

static void lane_stop(struct verify_lane *lane)
{
    queue_close(lane->inbox);
    pthread_mutex_lock(&lane->lock);
    lane->closing = true;
    pthread_cond_broadcast(&lane->moved);
    pthread_mutex_unlock(&lane->lock);
}

static void lane_release(struct verify_lane *lane)
{
    for (size_t i = 0; i < VERIFY_SLOTS; i++)
        event_free(lane->slots[i]);
    pthread_cond_destroy(&lane->moved);
    pthread_mutex_destroy(&lane->lock);
    if (lane->fd >= 0)
        close(lane->fd);
}

void verify_close(struct verify *v)
{
    if (!v)
        return;
    for (enum lane lane = 0; lane < LANES; lane++)
        lane_stop(&v->lanes[lane]);
    for (unsigned i = 0; i < v->threads_n; i++)
        pthread_join(v->threads[i], NULL);
    for (enum lane lane = 0; lane < LANES; lane++)
        lane_release(&v->lanes[lane]);
    pthread_mutex_destroy(&v->view_lock);
    trust_view_unref(v->view);
    once_free(v->own.once);
    checked_free(v->decoder.checked);
    free(v);
}
