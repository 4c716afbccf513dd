#ifndef TRUST_PEER_H
#define TRUST_PEER_H
/*
 * What one edge says to another about the catalogue, under its key
 * (docs/PROTOCOL.md §2.1, `peer`). The text itself travels beside it
 * (wire/peer.h). Pure; any thread.
 */
#include "trust/object.h"

enum { PEER_TOPIC_BYTES_MAX = 16 };

struct peer_said {
    struct id zone_id;
    struct id from;
    struct id to;       /* "": to all */
    struct slice topic; /* its words without ids; at most PEER_TOPIC_BYTES_MAX */
    uint64_t time_us;
    struct hash text; /* H(the message) */
};

/* peer_said_encode: the body that is signed. */
void peer_said_encode(const struct peer_said *p, struct writer *w);
struct signature peer_said_sign(const struct peer_said *p, const struct signkey *key);
/* peer_said_check: ERR_SIGNATURE unless sig is pk's over it. 48 µs. */
enum err peer_said_check(const struct peer_said *p, const struct signature *sig,
                         const struct pubkey *pk);

#endif
