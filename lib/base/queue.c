#include "base/queue.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void queue_init_waited(struct queue *q, size_t cap)
{
    CHECK(cap > 0);
    *q =
        (struct queue){.items = mem_array(cap, sizeof(void *)), .cap = cap, .wake_at = 1, .fd = -1};
    CHECK(pthread_mutex_init(&q->lock, NULL) == 0);
    CHECK(pthread_cond_init(&q->filled, NULL) == 0);
}

enum err queue_init(struct queue *q, size_t cap)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return ERR_IO;
    queue_init_waited(q, cap);
    q->fd = fd;
    return ERR_OK;
}

void queue_wake_at(struct queue *q, size_t n)
{
    CHECK(n >= 1 && n <= q->cap);
    pthread_mutex_lock(&q->lock);
    q->wake_at = n;
    pthread_mutex_unlock(&q->lock);
}

void queue_release(struct queue *q)
{
    if (!q->items)
        return;
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
    if (q->fd >= 0)
        close(q->fd);
    free(q->items);
    *q = (struct queue){0};
}

/* I2: written on the change from empty, drained on the change to empty; a closed queue stays
 * readable. Called with the lock held. */
static void fd_raise(struct queue *q)
{
    uint64_t one = 1;
    if (q->fd >= 0)
        CHECK(write(q->fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

static void fd_lower(struct queue *q)
{
    uint64_t count;
    if (q->fd >= 0)
        CHECK(read(q->fd, &count, sizeof(count)) == (ssize_t)sizeof(count));
}

enum err queue_push(struct queue *q, void *item)
{
    CHECK(item);
    enum err err = ERR_OK;
    pthread_mutex_lock(&q->lock);
    if (q->closed) {
        err = ERR_CLOSED;
    } else if (q->tail - q->head == q->cap) {
        err = ERR_LIMIT;
    } else {
        if (q->tail == q->head)
            fd_raise(q);
        q->items[q->tail++ % q->cap] = item;
        if (q->tail - q->head >= q->wake_at)
            pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->lock);
    return err;
}

static void *take_locked(struct queue *q, uint64_t *ret_seq)
{
    if (q->tail == q->head)
        return NULL;
    void *item = q->items[q->head % q->cap];
    if (ret_seq)
        *ret_seq = q->head;
    q->head++;
    q->left = false;
    if (q->tail == q->head && !q->closed)
        fd_lower(q);
    return item;
}

void *queue_take(struct queue *q, uint64_t *ret_seq)
{
    pthread_mutex_lock(&q->lock);
    void *item = take_locked(q, ret_seq);
    pthread_mutex_unlock(&q->lock);
    return item;
}

void *queue_take_if(struct queue *q, bool (*may)(const void *item, uint64_t seq, const void *arg),
                    const void *arg, uint64_t *ret_seq, bool *ret_left)
{
    pthread_mutex_lock(&q->lock);
    bool some = q->tail != q->head;
    bool take = some && may(q->items[q->head % q->cap], q->head, arg);
    void *item = take ? take_locked(q, ret_seq) : NULL;
    *ret_left = some && !take;
    if (*ret_left && !q->left) {
        q->left = true;
        pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->lock);
    return item;
}

void *queue_wait(struct queue *q, uint64_t *ret_seq)
{
    pthread_mutex_lock(&q->lock);
    if (q->tail == q->head)
        while (q->tail - q->head < q->wake_at && !q->left && !q->closed)
            pthread_cond_wait(&q->filled, &q->lock);
    void *item = take_locked(q, ret_seq);
    pthread_mutex_unlock(&q->lock);
    return item;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    if (!q->closed && q->tail == q->head)
        fd_raise(q);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

bool queue_is_closed(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool closed = q->closed;
    pthread_mutex_unlock(&q->lock);
    return closed;
}

uint64_t queue_taken(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    uint64_t taken = q->head; /* I1 */
    pthread_mutex_unlock(&q->lock);
    return taken;
}

int queue_fd(const struct queue *q)
{
    CHECK(q->fd >= 0);
    return q->fd;
}
