#ifndef AUTH_EDGE_BACKOFF_H
#define AUTH_EDGE_BACKOFF_H
/*
 * When a service that failed may be asked again: exponential, with jitter, and
 * first by one asker alone. Pure, with monotonic time as an argument; one thread.
 *
 *   open --failed--> shut --time passes--> one asks --ok--> open
 *                     ^--------failed--------'
 */
#include <stdbool.h>
#include <stdint.h>

enum {
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_MAX_MS = 60 * 1000,
};

struct backoff {
    unsigned failures;  /* in a row; 0: open */
    uint64_t failed_us; /* the last one that counted */
    uint64_t until_us;
    bool asking; /* the one */
};

/* backoff_shut: whether nobody more may ask now. */
bool backoff_shut(const struct backoff *b, uint64_t now_us);
/* backoff_admit: whether one more may ask now. Each that may is followed by one of the next two. */
bool backoff_admit(struct backoff *b, uint64_t now_us);
/*
 * backoff_ok, backoff_failed: how what began at begun_us has ended. What began
 * before the last failure says nothing new. True: it changed the state.
 * after_ms  what the service asked for, at most BACKOFF_MAX_MS of it counts; 0: nothing.
 * random    any number.
 */
bool backoff_ok(struct backoff *b, uint64_t begun_us);
bool backoff_failed(struct backoff *b, uint64_t begun_us, uint64_t now_us, uint64_t after_ms,
                    uint32_t random);

/* backoff_wait_s: seconds until somebody may ask, rounded up, at least 1. */
unsigned backoff_wait_s(const struct backoff *b, uint64_t now_us);

#endif
