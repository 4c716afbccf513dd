#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

enum { LOG_LINE_BYTES_MAX = 1024 };

static const char *log_program = "";
static enum log_level log_max = LOG_INFO;

void log_setup(const char *program, enum log_level max)
{
    log_program = program;
    log_max = max;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    if (level > log_max)
        return;
    char text[LOG_LINE_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    char now[ISO8601_BYTES];
    clock_iso8601(clock_utc_us(), now);
    fprintf(stderr, "%s %s %s: %s\n", now, names[level], log_program, text);
}
