#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
/* The two clocks, read by the loops alone: the core and the libraries get time as an argument. */
#include "base/date.h"

#include <stdint.h>

/* clock_mono_us: microseconds since an arbitrary start; never goes back. Any thread. */
uint64_t clock_mono_us(void);

/* clock_utc_us: microseconds since 1970-01-01T00:00:00Z; may jump. Any thread. */
uint64_t clock_utc_us(void);

#endif
