#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/load/load.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { OPTION_ARGS_MAX = 64 };

static struct option options[] = {
    {.name = "broker", .env = "BENCH_BROKER", .help = "IPv4:port", .fallback = "127.0.0.1:1883"},
    {.name = "edge", .env = "BENCH_EDGE", .help = "id of the edge", .fallback = "bench"},
    {.name = "home", .env = "BENCH_HOME", .help = "EDGECTL_HOME, or a folder of them: 0, 1, 2 …"},
    {.name = "id", .env = "BENCH_ID", .help = "videos and clients begin with it", .fallback = "b"},
    {.name = "in", .env = "BENCH_IN", .help = "topic of a reference: streams publish on IN/k"},
    {.name = "out", .env = "BENCH_OUT", .help = "and answers come on OUT/k"},
    {.name = "report", .env = "BENCH_REPORT", .help = "file made when the measurement begins"},
    {.name = "streams",
     .env = "BENCH_STREAMS",
     .fallback = "1",
     .kind = OPTION_UINT,
     .min = 1,
     .max = 10000,
     .help = "lives, uploads or videos"},
    {.name = "viewers",
     .env = "BENCH_VIEWERS",
     .fallback = "1",
     .kind = OPTION_UINT,
     .min = 0,
     .max = 10000,
     .help = "that each see everything"},
    {.name = "part-bytes",
     .env = "BENCH_PART_BYTES",
     .fallback = "61440",
     .kind = OPTION_UINT,
     .min = PART_BYTES_MIN,
     .max = PART_PAYLOAD_BYTES_MAX,
     .help = "payload of a part"},
    {.name = "parts",
     .env = "BENCH_PARTS",
     .fallback = "8",
     .kind = OPTION_UINT,
     .min = 1,
     .max = 64,
     .help = "parts of a chunk"},
    {.name = "chunks",
     .env = "BENCH_CHUNKS",
     .fallback = "0",
     .kind = OPTION_UINT,
     .max = 1000000,
     .help = "of a stream; 0: enough for the time"},
    {.name = "keyframe-every",
     .env = "BENCH_KEYFRAME_EVERY",
     .fallback = "1",
     .kind = OPTION_UINT,
     .min = 1,
     .max = 1000,
     .help = "chunks"},
    {.name = "window",
     .env = "BENCH_WINDOW",
     .fallback = "64",
     .kind = OPTION_UINT,
     .max = 100000000,
     .help = "live: parts from end to end; upload, watch: bytes"},
    {.name = "qos",
     .env = "BENCH_QOS",
     .fallback = "1",
     .kind = OPTION_UINT,
     .max = 1,
     .help = "of the viewers' subscriptions"},
    {.name = "rate", .env = "BENCH_RATE", .fallback = "0", .help = "per second and stream"},
    {.name = "warm-ms",
     .env = "BENCH_WARM_MS",
     .fallback = "500",
     .kind = OPTION_UINT,
     .max = 60000,
     .help = "before the measurement"},
    {.name = "seconds", .env = "BENCH_SECONDS", .fallback = "3", .help = "of measurement"},
    {.name = NULL},
};

/* ---- shared by the modes ---- */

void samples_add(struct samples *s, uint64_t us)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 65536;
        s->us = mem_resize(s->us, s->cap * sizeof(*s->us));
    }
    s->us[s->n++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t at(const struct samples *s, double share)
{
    return s->n ? s->us[(size_t)(share * (double)(s->n - 1))] : 0;
}

void samples_print(struct samples *s, const char *prefix)
{
    if (s->n)
        qsort(s->us, s->n, sizeof(*s->us), compare);
    printf("\"%sp50_us\":%u,\"%sp90_us\":%u,\"%sp99_us\":%u,\"%smax_us\":%u,\"%ssamples\":%zu",
           prefix, at(s, 0.5), prefix, at(s, 0.9), prefix, at(s, 0.99), prefix, at(s, 1), prefix,
           s->n);
}

void load_begins(const struct load *load)
{
    if (!load->report)
        return;
    int fd = open(load->report, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
}

void load_settle(struct load *load, const struct mq *conns, size_t n)
{
    uint64_t deadline_us = clock_mono_us() + SETTLE_US;
    for (size_t i = 0; i < n; i++)
        while (!mq_settled(&conns[i])) {
            if (clock_mono_us() > deadline_us)
                die("the broker does not answer connection %zu", i);
            mq_run(&load->loop, POLL_US);
        }
}

/* ---- what was asked for ---- */

static uint32_t number(const char *name)
{
    return (uint32_t)config_uint(options, name);
}

static double real(const char *name)
{
    return strtod(config_text(options, name), NULL);
}

static void load_fill(struct load *load)
{
    *load = (struct load){
        .broker = config_text(options, "broker"),
        .home = config_text(options, "home"),
        .id = config_text(options, "id"),
        .edge = slice_str(config_text(options, "edge")),
        .in = config_text(options, "in"),
        .out = config_text(options, "out"),
        .report = config_text(options, "report"),
        .streams = number("streams"),
        .viewers = number("viewers"),
        .part_bytes = number("part-bytes"),
        .parts_n = number("parts"),
        .chunks_n = number("chunks"),
        .keyframe_every = number("keyframe-every"),
        .window = number("window"),
        .qos = (int)number("qos"),
        .rate = real("rate"),
        .warm_us = config_uint(options, "warm-ms") * 1000,
        .measure_us = (uint64_t)(real("seconds") * 1e6),
    };
    mq_loop_init(&load->loop);
}

int main(int argc, char **argv)
{
    const char *positional[OPTION_ARGS_MAX];
    char error[CONFIG_ERROR_BYTES];
    int n = 0;
    struct load load;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives the bench */
    if (argc < 2 || argc > OPTION_ARGS_MAX)
        die("usage: load live|upload|watch|ping|tally|ready|delay [--option value …]");
    if (config_load(options, argc - 2, argv + 2, positional, &n, error) != ERR_OK)
        die("%s", error);
    positional[n] = NULL;
    CHECK(crypto_init() == ERR_OK);
    load_fill(&load);
    if (strcmp(argv[1], "live") == 0)
        return live_main(&load);
    if (strcmp(argv[1], "upload") == 0)
        return upload_main(&load);
    if (strcmp(argv[1], "watch") == 0)
        return watch_main(&load);
    if (strcmp(argv[1], "ping") == 0)
        return ping_main(&load);
    if (strcmp(argv[1], "tally") == 0)
        return tally_main(&load);
    if (strcmp(argv[1], "delay") == 0)
        return delay_main(&load);
    if (strcmp(argv[1], "ready") == 0 && n > 0)
        return ready_main(&load, positional);
    die("there is no mode '%s'", argv[1]);
}
