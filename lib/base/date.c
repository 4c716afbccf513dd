#include "base/date.h"

#include "base/check.h"

#include <stdio.h>
#include <time.h>

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
