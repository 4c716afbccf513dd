#ifndef BASE_DATE_H
#define BASE_DATE_H
/* Time as text. Pure. */
#include "base/slice.h"

enum { ISO8601_BYTES = 28 }; /* "2026-11-21T11:09:30.123456Z" and its NUL */

/* clock_iso8601: utc_us as "YYYY-MM-DDTHH:MM:SS.ffffffZ". Pure. Any thread. */
void clock_iso8601(uint64_t utc_us, char ret[static ISO8601_BYTES]);
/*
 * clock_iso8601_read: the time that such a text says, with T or a space, and of its fraction and
 * its Z as much as there is; 0: anything else. Pure. Any thread.
 */
uint64_t clock_iso8601_read(struct slice text);

#endif
