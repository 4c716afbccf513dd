/* What happened: every message as a hash, so that two runs can be compared, and the last lines. */
#include "base/mem.h"
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void trace_bytes(struct sim *s, struct slice bytes)
{
    s->trace = hash_of(slice_of(s->trace.b, HASH_BYTES), bytes);
}

void trace_line(struct sim *s, const char *fmt, ...)
{
    va_list args;
    char *line = s->lines[s->lines_n++ % SIM_TRACE_LINES];
    int n = snprintf(line, SIM_LINE_BYTES, "%9.3f  ",
                     (double)(s->now_us - s->started_us) / (double)SIM_S);
    va_start(args, fmt);
    vsnprintf(line + n, SIM_LINE_BYTES - (size_t)n, fmt, args);
    va_end(args);
    trace_bytes(s, slice_str(line));
    if (s->spec.told)
        puts(line);
}

void trace_print(const struct sim *s, int fd)
{
    size_t n = s->lines_n < SIM_TRACE_LINES ? s->lines_n : SIM_TRACE_LINES;
    for (size_t i = s->lines_n - n; i < s->lines_n; i++) {
        const char *line = s->lines[i % SIM_TRACE_LINES];
        char text[SIM_LINE_BYTES + 1];
        size_t len = strlen(line);
        memcpy(text, line, len);
        text[len] = '\n';
        if (write(fd, text, len + 1) < 0)
            return;
    }
}
