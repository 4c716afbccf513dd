#ifndef EDGE_DECODE_H
#define EDGE_DECODE_H
/*
 * From a message to a typed, verified event: the only place of the edge where
 * topics, JSON, the part format and signatures are looked at. Hostile input
 * ends here, as EVENT_REJECTED.
 *
 * Pure but for the message's reference counts and what it remembers: of other edges' messages, and
 * of the signatures that it checked. Any thread, each with a decoder of its own.
 */
#include "edge/checked.h"
#include "edge/core/event.h"
#include "edge/core/trust_view.h"
#include "edge/once.h"

struct decoder {
    struct id self;
    struct slice prefix;     /* TOPIC_PREFIX; borrowed */
    struct budget *budget;   /* for packets taken out of JSON; outlives them */
    struct once *once;       /* this thread's */
    struct checked *checked; /* NULL: every signature is checked */
    uint64_t utc_us;         /* now: what edges sign is believed for a while alone */
};

/*
 * decode: msg becomes an event, never NULL.
 * msg    its reference passes to the event.
 * view   what to verify against; borrowed.
 */
struct event *decode(const struct decoder *d, const struct trust_view *view, struct msg *msg);

#endif
