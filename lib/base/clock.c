#include "base/clock.h"

#include "base/check.h"

#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;
    CHECK(clock_gettime(id, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_utc_us(void)
{
    return read_us(CLOCK_REALTIME);
}
