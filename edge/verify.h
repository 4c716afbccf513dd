#ifndef EDGE_VERIFY_H
#define EDGE_VERIFY_H
/*
 * The verify pool: decode and signatures on all cores, in parallel, with the
 * order of each lane kept. One thread for control, `workers` for each of the others.
 *
 *   inbox(lane) --queue_wait--> worker: decode() --> slot[seq % VERIFY_SLOTS] --> verify_take()
 */
#include "base/queue.h"
#include "edge/core/effect.h"
#include "edge/decode.h"

enum { VERIFY_SLOTS = 256, VERIFY_WORKERS_MAX = 16 };

struct verify;

/*
 * verify_open: start the threads.
 * decoder   copied; what it borrows outlives the pool.
 * inboxes   one queue of struct msg * per lane; verify_close closes them.
 * workers   of each lane but control, 1..VERIFY_WORKERS_MAX.
 * ERR_IO: no thread or eventfd.
 */
enum err verify_open(const struct decoder *decoder, struct queue *inboxes[static LANES],
                     unsigned workers, struct verify **ret);

/* verify_view: verify against this view from the next message on; takes a reference of its own. */
void verify_view(struct verify *v, struct trust_view *view);

/* verify_take: the lane's next event in order, or NULL while it is not ready. The loop's thread. */
struct event *verify_take(struct verify *v, enum lane which);

/* verify_fd: readable while verify_take(v, lane) has something; for poll() only. */
int verify_fd(const struct verify *v, enum lane lane);

/* verify_close: close the inboxes, stop the threads, free what was not taken. NULL is fine. */
void verify_close(struct verify *v);

#endif
