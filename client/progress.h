#ifndef CLIENT_PROGRESS_H
#define CLIENT_PROGRESS_H
/*
 * One line on the terminal that is drawn over itself: how far, how fast, how
 * long still. Nothing at all is drawn where standard error is no terminal.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROGRESS_LINE_BYTES = 256,
    PROGRESS_DRAW_US = 200 * 1000, /* at most so often */
    PROGRESS_BAR_COLUMNS = 24,
};

struct progress {
    bool shown;
    const char *what;     /* borrowed: "upload" */
    uint64_t total_bytes; /* 0: not known */
    uint64_t from_bytes;  /* what was there before it began, which is no speed of ours */
    uint64_t started_us, drawn_us;
};

/* progress_init: quiet: never draw, terminal or not. */
void progress_init(struct progress *p, const char *what, uint64_t total_bytes, bool quiet,
                   uint64_t now_us);

/* progress_draw: note is added at the end of the line; "" for none. */
void progress_draw(struct progress *p, uint64_t done_bytes, const char *note, uint64_t now_us);

/* progress_clear: wipe the line, before something else is said and at the end. */
void progress_clear(struct progress *p);

/* progress_line: what progress_draw draws. Pure. */
void progress_line(const struct progress *p, uint64_t done_bytes, const char *note, uint64_t now_us,
                   char ret[static PROGRESS_LINE_BYTES]);

#endif
