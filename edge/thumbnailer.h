#ifndef EDGE_THUMBNAILER_H
#define EDGE_THUMBNAILER_H
/*
 * Runs edge_thumbnail: a thread of its own, one child at a time. The media is a stranger's and the
 * codecs are large: so they live in another program, which has nothing of this one but a pipe in
 * and a pipe out.
 *
 *   submit --queue--> thread: spawn, limits, media in, JPEG out --queue--> results
 *
 * The child gets no environment, no descriptor but 0, 1 and /dev/null as 2, and a process group of
 * its own, which is killed when it ends, takes longer than it may, writes more than a
 * thumbnail may have, or when the thumbnailer is closed.
 */
#include "base/queue.h"
#include "edge/core/thumbnail_job.h"

enum {
    THUMBNAIL_JOBS_MAX = 4, /* the core has one at a time */
    THUMBNAIL_WALL_MS = 10000,
    THUMBNAIL_CPU_S = 5,
    THUMBNAIL_NICE = 10, /* media comes first: each picture of a bomb takes all of its seconds */
    THUMBNAIL_MEMORY_BYTES = 512 * 1024 * 1024, /* of address space: libraries are half of it */
    THUMBNAIL_FILES_MAX = 16,
};

struct thumbnailer;

/*
 * thumbnailer_open: start the thread, which inherits the signal mask; that must block what the
 * process reads as data.
 * program  copied; it need not be there.
 * wall_ms  how long a child may take: THUMBNAIL_WALL_MS.
 * ERR_IO: no thread or eventfd.
 */
enum err thumbnailer_open(const char *program, uint32_t wall_ms, struct thumbnailer **ret);

/* thumbnailer_submit: the job becomes the thumbnailer's until it is in the results. */
void thumbnailer_submit(struct thumbnailer *t, struct thumbnail_job *job);

/* thumbnailer_results: struct thumbnail_job *, each the taker's. */
struct queue *thumbnailer_results(struct thumbnailer *t);

/* thumbnailer_close: kill the child, end the thread, free what was not taken. NULL is fine. */
void thumbnailer_close(struct thumbnailer *t);

#endif
