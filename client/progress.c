/* Why: a person wants to see that it moves; a program that reads us does not. */
#include "client/progress.h"

#include "client/say.h"

#include <stdio.h>
#include <unistd.h>

void progress_init(struct progress *p, const char *what, uint64_t total_bytes, bool quiet,
                   uint64_t now_us)
{
    *p = (struct progress){.shown = !quiet && isatty(STDERR_FILENO),
                           .what = what,
                           .total_bytes = total_bytes,
                           .started_us = now_us};
}

static size_t put_bar(const struct progress *p, uint64_t done_bytes, char *ret, size_t cap)
{
    double share = (double)done_bytes / (double)p->total_bytes;
    int full = (int)(share * PROGRESS_BAR_COLUMNS);
    full = full > PROGRESS_BAR_COLUMNS ? PROGRESS_BAR_COLUMNS : full;
    char bar[PROGRESS_BAR_COLUMNS + 1];
    for (int i = 0; i < PROGRESS_BAR_COLUMNS; i++)
        bar[i] = i < full ? '#' : '.';
    bar[PROGRESS_BAR_COLUMNS] = '\0';
    int n = snprintf(ret, cap, " [%s] %3.0f %%", bar, share > 1 ? 100 : share * 100);
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

void progress_line(const struct progress *p, uint64_t done_bytes, const char *note, uint64_t now_us,
                   char ret[static PROGRESS_LINE_BYTES])
{
    char size[TEXT_SIZE_BYTES], rate[TEXT_SIZE_BYTES];
    uint64_t moved = done_bytes > p->from_bytes ? done_bytes - p->from_bytes : 0;
    double elapsed_s = (double)(now_us - p->started_us) / 1e6;
    double per_s = elapsed_s > 0.1 ? (double)moved / elapsed_s : 0;
    size_t used = (size_t)snprintf(ret, PROGRESS_LINE_BYTES, "%.40s", p->what);
    if (p->total_bytes)
        used += put_bar(p, done_bytes, ret + used, PROGRESS_LINE_BYTES - used);
    used += (size_t)snprintf(ret + used, PROGRESS_LINE_BYTES - used, " %s, %s/s",
                             text_size((double)done_bytes, size), text_size(per_s, rate));
    if (p->total_bytes > done_bytes && per_s > 0) {
        uint64_t left_s = (uint64_t)((double)(p->total_bytes - done_bytes) / per_s + 0.5);
        used += (size_t)snprintf(ret + used, PROGRESS_LINE_BYTES - used, ", %llu:%02u left",
                                 (unsigned long long)(left_s / 60), (unsigned)(left_s % 60));
    }
    if (note[0])
        snprintf(ret + used, PROGRESS_LINE_BYTES - used, ", %.80s", note);
}

void progress_draw(struct progress *p, uint64_t done_bytes, const char *note, uint64_t now_us)
{
    if (!p->shown || (p->drawn_us && now_us - p->drawn_us < PROGRESS_DRAW_US))
        return;
    char line[PROGRESS_LINE_BYTES];
    progress_line(p, done_bytes, note, now_us, line);
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    p->drawn_us = now_us;
}

void progress_clear(struct progress *p)
{
    if (!p->shown || !p->drawn_us)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    p->drawn_us = 0;
}
