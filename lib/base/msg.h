#ifndef BASE_MSG_H
#define BASE_MSG_H
/*
 * A message has one life: it is made once (by the bus from the client library's
 * own memory, or by msg_new), never changes, and is shared by reference between
 * inbox, store, sender and GOP cache until the last one releases it.
 *
 * Invariants
 *   I1  topic and payload never change between creation and the last release.
 *   I2  a message counts against its budget from creation to the last release.
 *
 * Any thread may take and release references; they are counted atomically.
 */
#include "base/slice.h"

#include <stdatomic.h>

/* Bytes alive, against a limit. Outlives every message that was charged to it. */
struct budget {
    size_t max_bytes;
    atomic_size_t alive_bytes;
};

/* budget_take: charge n bytes unless that would exceed max_bytes. Any thread. */
bool budget_take(struct budget *budget, size_t n);
/* budget_give: return n bytes that budget_take charged. Any thread. */
void budget_give(struct budget *budget, size_t n);

struct msg {
    struct slice topic; /* may be empty */
    struct slice payload;
    atomic_uint refs;
    struct budget *budget; /* NULL: not counted */
    size_t charged_bytes;
    void (*destroy)(struct msg *msg); /* frees the message and its backing memory */
    void *backing[2];                 /* the destroyer's */
};

/*
 * msg_new: a message of our own, holding a copy of topic and payload, with one
 * reference, which the caller owns.
 * budget  NULL, or what payload.len + topic.len is charged to.
 * Returns NULL when the budget is used up (count it). Any thread.
 */
struct msg *msg_new(struct slice topic, struct slice payload, struct budget *budget);

/*
 * msg_alloc: as msg_new with no topic, and payload_len writable bytes at
 * *ret_bytes that the caller fills before anyone else sees the message.
 */
struct msg *msg_alloc(size_t payload_len, struct budget *budget, uint8_t **ret_bytes);

/* msg_ref: one more reference; returns msg. */
struct msg *msg_ref(struct msg *msg);

/* msg_unref: give one reference back; the last one destroys. NULL is fine. */
void msg_unref(struct msg *msg);

/* msg_unref_ptr: for CLEANUP(msg_unref_ptr) on a struct msg *. */
void msg_unref_ptr(struct msg **msg);

#endif
