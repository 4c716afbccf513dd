#ifndef EDGE_LOOP_H
#define EDGE_LOOP_H
/*
 * The one thread that owns the core: it waits for the bus, the verify pool,
 * storage, signals and the core's deadline, feeds events in and carries effects
 * out. The only code that knows the core and the adapters both.
 */
#include "bus/bus.h"
#include "edge/core/core.h"
#include "edge/load.h"
#include "edge/store/store.h"
#include "edge/thumbnailer.h"
#include "edge/verify.h"

enum {
    DRAIN_US_MAX = 600 * 1000, /* SIGTERM: how long commits and answers are waited for */
    DRAIN_FLUSH_MS_MAX = 200,  /* …and then the broker */
};

struct loop {
    struct core *core;
    struct bus *bus;
    struct store *store;
    struct verify *verify;
    struct thumbnailer *thumbnailer;
    struct load load;
    struct slice prefix; /* TOPIC_PREFIX; borrowed */
    int signal_fd;       /* signalfd for SIGTERM, SIGINT, SIGUSR1 */
};

/*
 * loop_run: until SIGTERM or SIGINT has been obeyed. Everything in the loop is
 * borrowed. ERR_IO: the database failed; what was acknowledged is on disk.
 */
enum err loop_run(struct loop *loop);

/* loop_log_counters: one line with every counter that is not zero. */
void loop_log_counters(const struct loop *loop);

#endif
