#ifndef EDGE_VERIFY_H
#define EDGE_VERIFY_H
/*
 * The verify pool: decode and signatures on all cores, in parallel, with the
 * order of each lane kept. One thread for control, `workers` for each of the others, where the
 * loop itself decodes parts: alone while fewer than VERIFY_WAKE_AT wait.
 *
 *   inbox(lane) --queue_wait--> worker: decode() --> slot[seq % VERIFY_SLOTS] --> verify_take()
 *        `------- the loop: decode() of parts, while the slot it wants is empty -----^
 */
#include "base/queue.h"
#include "edge/core/effect.h"
#include "edge/decode.h"

enum { VERIFY_SLOTS = 256, VERIFY_WORKERS_MAX = 16, VERIFY_WAKE_AT = 4 };

struct verify;

/*
 * verify_open: start the threads.
 * decoder   copied, but for once and checked, which are the pool's; what it borrows outlives the
 *           pool.
 * inboxes   one queue of struct msg * per lane; verify_close closes them. All but control's have a
 *           queue_fd, and room for VERIFY_WAKE_AT.
 * workers   of each lane but control, 1..VERIFY_WORKERS_MAX.
 * ERR_IO: no thread or eventfd.
 */
enum err verify_open(const struct decoder *decoder, struct queue *inboxes[static LANES],
                     unsigned workers, struct verify **ret);

/* verify_view: verify against this view from the next message on; takes a reference of its own. */
void verify_view(struct verify *v, struct trust_view *view);

/*
 * verify_take: the lane's next event in order, or NULL while it is not ready. The loop's thread.
 * help  how many parts the caller may decode itself (at most some 0.15 ms each) while that one is
 *       not ready; counted down. Not touched for control.
 */
struct event *verify_take(struct verify *v, enum lane which, unsigned *help);

/* verify_fd: readable while the lane's next event is ready; for poll() only. */
int verify_fd(const struct verify *v, enum lane lane);

/* verify_help_fd: readable while parts wait that the caller may decode; for poll() only. -1, which
 * poll() skips: control, or what waits is left to a worker. Ask anew before each poll(). */
int verify_help_fd(const struct verify *v, enum lane lane);

/* verify_close: close the inboxes, stop the threads, free what was not taken. NULL is fine. */
void verify_close(struct verify *v);

#endif
