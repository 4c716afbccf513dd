/*
 * Each message gets its lane's sequence number when a worker takes it, and its
 * event goes into the slot of that number; the loop takes slots in order.
 *
 * Invariants
 *   I1  a worker writes slot s only while head <= s < head + VERIFY_SLOTS, so no
 *       event is overwritten; the worker that holds number `head` never waits.
 *   I2  the lane's fd is readable exactly while slot `head` is filled.
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
    int fd;
};

struct verify {
    struct decoder decoder;
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

struct event *verify_take(struct verify *v, enum lane which)
{
    struct verify_lane *lane = &v->lanes[which];
    pthread_mutex_lock(&lane->lock);
    struct event *ev = lane->slots[lane->head % VERIFY_SLOTS];
    if (ev) {
        lane->slots[lane->head % VERIFY_SLOTS] = NULL;
        lane->head++;
        if (!lane->slots[lane->head % VERIFY_SLOTS])
            fd_lower(lane->fd); /* I2 */
        pthread_cond_broadcast(&lane->moved);
    }
    pthread_mutex_unlock(&lane->lock);
    return ev;
}

int verify_fd(const struct verify *v, enum lane lane)
{
    return v->lanes[lane].fd;
}

static void *worker(void *arg)
{
    struct verify_lane *lane = arg;
    struct sig_cache *cache = mem_alloc(sizeof(*cache));
    struct decoder decoder = lane->pool->decoder;
    decoder.once = once_new();
    uint64_t seq;
    struct msg *msg;
    while ((msg = queue_wait(lane->inbox, &seq)) != NULL) {
        struct trust_view *view = view_get(lane->pool);
        decoder.utc_us = clock_utc_us();
        struct event *ev = decode(&decoder, view, cache, msg);
        trust_view_unref(view);
        if (!slot_put(lane, seq, ev))
            event_free(ev);
    }
    once_free(decoder.once);
    free(cache);
    return NULL;
}

static enum err lane_init(struct verify *v, enum lane which, struct queue *inbox)
{
    struct verify_lane *lane = &v->lanes[which];
    lane->pool = v;
    lane->inbox = inbox;
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
    free(v);
}
