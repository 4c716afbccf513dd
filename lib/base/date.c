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

/* Days from 1970-01-01 to a date of the Gregorian calendar, year 1970 or later. */
static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
    /* Years begin in March, so that the leap day is their last. */
    unsigned y = month > 2 ? year : year - 1;
    unsigned m = month > 2 ? month - 3 : month + 9;
    uint64_t days = (uint64_t)y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    return days - 719468; /* 1970-01-01 counted from 0000-03-01 */
}

/* The n digits at s[at]; false: they are not all digits. */
static bool take_digits(struct slice s, size_t at, size_t n, unsigned *ret)
{
    unsigned v = 0;
    if (s.len < at + n)
        return false;
    for (size_t i = at; i < at + n; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        v = v * 10 + (s.ptr[i] - '0');
    }
    *ret = v;
    return true;
}

/* The fraction after "YYYY-MM-DDTHH:MM:SS" in µs, and nothing or Z behind it. */
static bool take_fraction(struct slice s, unsigned *ret_us)
{
    unsigned us = 0, scale = 100000;
    if (slice_starts(s, ".")) {
        for (s = slice_from(s, 1); s.len && s.ptr[0] >= '0' && s.ptr[0] <= '9';
             s = slice_from(s, 1), scale /= 10)
            us += (s.ptr[0] - '0') * scale;
    }
    *ret_us = us;
    return s.len == 0 || slice_eq_str(s, "Z");
}

uint64_t clock_iso8601_read(struct slice text)
{
    unsigned year, month, day, hour, minute, second, us;
    bool ok = take_digits(text, 0, 4, &year) && take_digits(text, 5, 2, &month) &&
              take_digits(text, 8, 2, &day) && take_digits(text, 11, 2, &hour) &&
              take_digits(text, 14, 2, &minute) && take_digits(text, 17, 2, &second) &&
              text.ptr[4] == '-' && text.ptr[7] == '-' &&
              (text.ptr[10] == 'T' || text.ptr[10] == ' ') && text.ptr[13] == ':' &&
              text.ptr[16] == ':' && take_fraction(slice_from(text, 19), &us);
    if (!ok || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return 0;
    uint64_t seconds = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return seconds * 1000000 + us;
}
