#include "base/clock.h"

#include "base/check.h"

#include <stdio.h>
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

void clock_iso8601(uint64_t utc_us, char ret[static ISO8601_BYTES])
{
    const uint64_t year_10000_s = 253402300800u;
    uint64_t seconds = utc_us / 1000000u;
    time_t t = (time_t)(seconds < year_10000_s ? seconds : year_10000_s - 1);
    struct tm tm;
    CHECK(gmtime_r(&t, &tm) != NULL);
    size_t n = strftime(ret, ISO8601_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret + n, ISO8601_BYTES - n, ".%06uZ", (unsigned)(utc_us % 1000000u));
}
