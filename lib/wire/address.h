#ifndef WIRE_ADDRESS_H
#define WIRE_ADDRESS_H
/*
 * Whom to answer when a message cannot be decoded: the ids in it that are
 * readable all the same. Conventions: wire/message.h.
 */
#include "wire/message.h"

struct reply_address {
    struct slice client_id, streamer_id, video_id, edge_id; /* arena; empty: absent or unreadable */
    bool credential; /* there is one, whether it can be read or not */
};

/* address_read: never fails; what is no JSON object has no ids. Parses the whole text. */
struct reply_address address_read(struct slice payload, struct arena *arena);

#endif
