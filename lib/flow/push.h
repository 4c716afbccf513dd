#ifndef FLOW_PUSH_H
#define FLOW_PUSH_H
/*
 * Pushing an upload part by part (docs/PROTOCOL.md §4.2): what may be sent
 * now, what was acknowledged, when to go back, when to say init again.
 * Used by edgectl and by load generators. It keeps no media: the caller keeps
 * chunks until push_acked says that they are safe.
 *
 *   INIT --push_granted--> RUNNING --push_finish--> FINISHING --push_receipt--> DONE
 *    ^                      |   ^                     |    |
 *    |                      |   +---- cursor back ----+    |
 *    +--- silence, twice ---+------------------------------+     too often: FAILED
 *
 * Pure: time is an argument (monotonic µs). Not thread-safe.
 */
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    UPLOAD_RTO_US = 3 * 1000 * 1000,
    PUSH_OUTSTANDING_MAX = 1024, /* parts */
    PUSH_INITS_MAX = 10,         /* inits without progress after them before FAILED */
};

enum push_state { PUSH_INIT, PUSH_RUNNING, PUSH_FINISHING, PUSH_DONE, PUSH_FAILED };

struct push_sent {
    uint32_t chunk, part;
    uint32_t bytes;
};

struct push {
    enum push_state state;
    uint32_t next, next_part;     /* everything before is safe */
    uint32_t cursor, cursor_part; /* what push_may_send is about */
    uint32_t top, top_part;       /* everything before was sent, or granted as safe */
    uint32_t window_bytes;
    uint64_t outstanding_bytes;
    struct push_sent sent[PUSH_OUTSTANDING_MAX]; /* ring, oldest first */
    uint32_t sent_head, sent_n;
    uint64_t progress_us;           /* last time that something moved */
    uint64_t asked_us;              /* last init that was handed out */
    unsigned silences;              /* since the last progress */
    unsigned inits;                 /* since the last progress */
    uint32_t recover, recover_part; /* no fast go-back before next has passed this */
    bool init_due, end_sent;
};

void push_init(struct push *p, uint64_t now_us);

/* push_granted: init was answered. Moves the cursor to (next, next_part). */
void push_granted(struct push *p, uint32_t next, uint32_t next_part, uint32_t window_bytes,
                  uint64_t now_us);

/* push_may_send: whether a packet of that many bytes may go now at the cursor; one always may. */
bool push_may_send(const struct push *p, size_t bytes);

/*
 * push_was_sent: the part at the cursor was sent; parts_n of its chunk moves the cursor on.
 * Only after push_may_send said yes.
 */
void push_was_sent(struct push *p, uint32_t parts_n, size_t bytes, uint64_t now_us);

/*
 * push_acked: an acknowledgement. Older ones than what is known change nothing but the window;
 * one of what was never sent is a lie and changes nothing at all.
 * missed  it answers a part beyond the `next` that it names: the edge lacks one in between.
 *         The cursor goes back at once, but not a second time before everything
 *         that was under way has been answered (silence takes care of the rest).
 */
void push_acked(struct push *p, uint32_t next, uint32_t next_part, uint32_t window_bytes,
                bool missed, uint64_t now_us);

/*
 * push_heard: the link is moving what was sent (the broker acknowledges), so
 * silence of the edge proves nothing yet: a slow uplink is not a lost packet.
 */
void push_heard(struct push *p, uint64_t now_us);

/*
 * push_finish: everything up to the cursor was sent and nothing follows; the end
 * message is due once all of it is acknowledged. Idempotent. If the cursor goes
 * back, the state is RUNNING again: send, and call this again at the end.
 */
void push_finish(struct push *p);
/* push_receipt: the receipt came: DONE. */
void push_receipt(struct push *p);

/* push_disconnected: the connection was lost: init is due; call push_due when it is back. */
void push_disconnected(struct push *p, uint64_t now_us);

enum push_due { PUSH_DUE_NOTHING, PUSH_DUE_INIT, PUSH_DUE_END };
/* push_due: what has to be sent now besides parts; may move the cursor back after silence. */
enum push_due push_due(struct push *p, uint64_t now_us);

/* push_deadline_us: when to call push_due again at the latest; UINT64_MAX: never. */
uint64_t push_deadline_us(const struct push *p);

#endif
