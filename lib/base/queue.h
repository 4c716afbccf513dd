#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H
/*
 * A bounded first-in-first-out queue of pointers between threads. Pushing never
 * waits; taking may. Bytes are bounded by the items' budget (msg.h), the number
 * of items by the queue's capacity.
 *
 * Invariants
 *   I1  items come out in the order of their sequence numbers, which count from 0.
 *   I2  queue_fd() is readable exactly while items wait or the queue is closed. It costs two
 *       system calls for each change between empty and filled: see queue_init_waited.
 *
 * All functions but init and release: any thread.
 */
#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    void **items; /* ring of cap */
    size_t cap;
    uint64_t head;  /* sequence number of the oldest item */
    uint64_t tail;  /* sequence number of the next one */
    size_t wake_at; /* see queue_wake_at */
    bool left;      /* the oldest one, by queue_take_if: for those who wait */
    bool closed;
    int fd; /* -1: queue_init_waited */
};

/* queue_init: an empty queue for cap items. ERR_IO: no eventfd (too many open files). */
enum err queue_init(struct queue *q, size_t cap);

/* queue_init_waited: as queue_init, for takers that wait in queue_wait and never poll: no eventfd,
 * no system call for it, and no queue_fd. */
void queue_init_waited(struct queue *q, size_t cap);

/*
 * queue_wake_at: let queue_wait sleep until n items wait (1 at first), as somebody else polls and
 * takes the first ones. Who does not sleep takes what there is. Before anybody waits.
 * n: 1..cap.
 */
void queue_wake_at(struct queue *q, size_t n);

/* queue_release: free the queue, not its items; the caller has taken those. Zeroed is fine. */
void queue_release(struct queue *q);

/*
 * queue_push: append item (not NULL); the queue borrows it until it is taken.
 * ERR_LIMIT: full, the item stays the caller's. ERR_CLOSED: closed, likewise.
 */
enum err queue_push(struct queue *q, void *item);

/* queue_take: the oldest item or NULL, without waiting. ret_seq may be NULL. */
void *queue_take(struct queue *q, uint64_t *ret_seq);

/*
 * queue_take_if: as queue_take, but NULL, too, if may(item, seq, arg) refuses the oldest one: it
 * stays, and one who sleeps in queue_wait is woken for it, however few wait.
 * may       called with the queue's lock held; calls nothing of it.
 * ret_left  whether it was refused.
 */
void *queue_take_if(struct queue *q, bool (*may)(const void *item, uint64_t seq, const void *arg),
                    const void *arg, uint64_t *ret_seq, bool *ret_left);

/*
 * queue_wait: as queue_take, but waits; NULL once the queue is closed and empty. Who sleeps is not
 * woken while fewer than queue_wake_at wait, unless queue_take_if has left one.
 */
void *queue_wait(struct queue *q, uint64_t *ret_seq);

/* queue_close: refuse further items and wake every waiter; what is inside can still be taken. */
void queue_close(struct queue *q);

/* queue_is_closed: whether queue_close was called. */
bool queue_is_closed(struct queue *q);

/* queue_taken: how many items were taken so far. */
uint64_t queue_taken(struct queue *q);

/* queue_fd: readable while items wait or the queue is closed; for poll() only, never read it. */
int queue_fd(const struct queue *q);

#endif
