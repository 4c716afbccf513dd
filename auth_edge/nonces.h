#ifndef AUTH_EDGE_NONCES_H
#define AUTH_EDGE_NONCES_H
/*
 * Each signed request counts once: a window of time, and a cache of the
 * (key, nonce) pairs that were accepted inside it. Bounded: it says busy rather
 * than forget a pair that could come back. Pure; one thread.
 */
#include "base/map.h"
#include "trust/object.h"

struct nonce_seen {
    uint8_t pair[KEY_BYTES + NONCE_BYTES];
    uint64_t ts_us;
};

struct nonces {
    struct map seen;         /* pair -> struct nonce_seen */
    struct nonce_seen *ring; /* cap entries, in the order in which they were accepted */
    size_t cap;
    uint64_t head, tail;
    uint64_t known_from_us; /* of requests up to then, pairs may have been forgotten */
};

/*
 * nonces_init: an empty cache.
 * cap            pairs at most, > 0.
 * known_from_us  requests up to this time may have been accepted before (by a
 *                process that is gone); 0: none were.
 */
void nonces_init(struct nonces *n, size_t cap, uint64_t known_from_us);

/* nonces_release: free it. Zeroed is fine. */
void nonces_release(struct nonces *n);

/*
 * nonces_accept: remember the pair of a request that was made at ts_us.
 * ERR_TIMEOUT: ts_us is more than TIME_WINDOW_US from now_us. ERR_CONFLICT: it
 * was accepted before. ERR_BUSY: cannot be told now (the cache is full of pairs
 * that could come back, or the request is not newer than what was forgotten).
 */
enum err nonces_accept(struct nonces *n, const struct pubkey *pk, const struct nonce *nonce,
                       uint64_t ts_us, uint64_t now_us);

#endif
