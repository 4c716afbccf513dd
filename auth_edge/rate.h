#ifndef AUTH_EDGE_RATE_H
#define AUTH_EDGE_RATE_H
/*
 * So many a second and no more. Pure, with monotonic time as an argument.
 */
#include <stdbool.h>
#include <stdint.h>

/* Tokens in millionths: refilled with time, one spent by each that may; full after a second. */
struct rate {
    uint64_t per_s_max; /* the only field to set */
    uint64_t micro_tokens;
    uint64_t last_us;
};

/* rate_take: whether one more may now. */
bool rate_take(struct rate *rate, uint64_t mono_us);

#endif
