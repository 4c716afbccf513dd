#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
/* The two clocks, read by the loops alone: the core and the libraries get time as an argument. */
#include <stddef.h>
#include <stdint.h>

/* clock_mono_us: microseconds since an arbitrary start; never goes back. Any thread. */
uint64_t clock_mono_us(void);

/* clock_utc_us: microseconds since 1970-01-01T00:00:00Z; may jump. Any thread. */
uint64_t clock_utc_us(void);

enum { ISO8601_BYTES = 28 }; /* "2026-11-21T11:09:30.123456Z" and its NUL */

/* clock_iso8601: utc_us as "YYYY-MM-DDTHH:MM:SS.ffffffZ". Pure. Any thread. */
void clock_iso8601(uint64_t utc_us, char ret[static ISO8601_BYTES]);

#endif
