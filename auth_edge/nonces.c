/*
 * Why: a signed request that is captured on the broker must be worth nothing.
 *
 * Invariants
 *   I1  an accepted pair is in the cache, or its request is not newer than
 *       known_from_us, or it is older than the window.
 *   I2  what is older than the window leaves before the cache counts as full;
 *       a clock that is set back brings none of it back, since known_from_us
 *       never decreases.
 */
#include "auth_edge/nonces.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

void nonces_init(struct nonces *n, size_t cap, uint64_t known_from_us)
{
    CHECK(cap > 0);
    *n = (struct nonces){.ring = mem_array(cap, sizeof(struct nonce_seen)),
                         .cap = cap,
                         .known_from_us = known_from_us};
    map_init(&n->seen, cap);
}

void nonces_release(struct nonces *n)
{
    map_release(&n->seen);
    free(n->ring);
    *n = (struct nonces){0};
}

static struct slice pair_of(const struct nonce_seen *seen)
{
    return slice_of(seen->pair, sizeof(seen->pair));
}

/* I2. The ring is in the order of arrival: a request from the future of our clock keeps those
 * behind it for at most one more window. */
static void forget_old(struct nonces *n, uint64_t now_us)
{
    while (n->head != n->tail) {
        struct nonce_seen *oldest = &n->ring[n->head % n->cap];
        if (oldest->ts_us >= now_us || now_us - oldest->ts_us <= TIME_WINDOW_US)
            return;
        map_remove(&n->seen, pair_of(oldest));
        if (oldest->ts_us > n->known_from_us)
            n->known_from_us = oldest->ts_us;
        n->head++;
    }
}

enum err nonces_accept(struct nonces *n, const struct pubkey *pk, const struct nonce *nonce,
                       uint64_t ts_us, uint64_t now_us)
{
    uint64_t distance_us = ts_us > now_us ? ts_us - now_us : now_us - ts_us;
    if (distance_us > TIME_WINDOW_US)
        return ERR_TIMEOUT;
    forget_old(n, now_us);
    struct nonce_seen seen = {.ts_us = ts_us};
    memcpy(seen.pair, pk->b, KEY_BYTES);
    memcpy(seen.pair + KEY_BYTES, nonce->b, NONCE_BYTES);
    if (map_get(&n->seen, pair_of(&seen)))
        return ERR_CONFLICT;
    if (ts_us <= n->known_from_us || n->tail - n->head == n->cap)
        return ERR_BUSY;
    struct nonce_seen *kept = &n->ring[n->tail++ % n->cap];
    *kept = seen;
    CHECK(map_put(&n->seen, pair_of(kept), kept) == ERR_OK);
    return ERR_OK;
}
