#ifndef BENCH_LOAD_LOAD_H
#define BENCH_LOAD_LOAD_H
/*
 * The load generators: one program, a mode per file. Each connects, warms up,
 * measures for --seconds, prints one line of JSON on standard output and exits;
 * what it cannot do ends it with 1 and a sentence on standard error.
 */
#include "base/config.h"
#include "bench/load/mq.h"
#include "bench/load/tape.h"
#include "wire/topic.h"

enum { REPLY_OUT_PACKETS = 64, SETTLE_US = 30 * 1000 * 1000, POLL_US = 20 * 1000 };

/* What every mode is told. Texts are borrowed from the options. */
struct load {
    const char *broker;
    const char *home; /* EDGECTL_HOME of one streamer, or a folder with 0, 1, 2 … */
    const char *id;   /* that videos and clients of this run begin with */
    struct slice edge;
    const char *in, *out; /* of a reference, in place of the edge's topics; NULL: the edge's */
    uint32_t streams, viewers;
    uint32_t part_bytes, parts_n, chunks_n, keyframe_every;
    uint32_t window; /* parts from end to end, or bytes, as the mode says */
    int qos;
    double rate; /* per second and stream; 0: as fast as it goes */
    uint64_t warm_us, measure_us;
    const char *report; /* file that is made when the measurement begins; NULL: none */
    struct mq_loop loop;
};

int live_main(struct load *load);
int upload_main(struct load *load);
int watch_main(struct load *load);
int ping_main(struct load *load);
int tally_main(struct load *load);
int delay_main(struct load *load);
int ready_main(struct load *load, const char *const *command);

/* Durations, for percentiles. */
struct samples {
    uint32_t *us;
    size_t n, cap;
};
void samples_add(struct samples *s, uint64_t us);
/* samples_print: "p50_us":…,"p90_us":…,"p99_us":…,"max_us":…,"samples":… after sorting. */
void samples_print(struct samples *s, const char *prefix);

/* load_begins: the measurement begins now: make --report. */
void load_begins(const struct load *load);

/* load_settle: run until the connections are settled; dies after SETTLE_US. */
void load_settle(struct load *load, const struct mq *conns, size_t n);

/* Where a spread of `rate` per second puts event number n, from start_us. */
static inline uint64_t load_due_us(uint64_t start_us, uint64_t n, double rate)
{
    return start_us + (uint64_t)((double)n * 1e6 / rate);
}

#endif
