/*
 * Runs seeds, each in a process of its own, and says which fail.
 *
 *   build/sim [--seed N] [--seeds N] [--first N] [--edges N] [--jobs N] [--file F] [--tell]
 *   build/sim --scale [--edges N]
 */
#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NEW_SEEDS = 300, SEEDS_MAX = 1000 * 1000, JOBS_MAX = 64, REPORT_BYTES = 48 * 1024 };

struct options {
    struct sim_spec spec;
    bool one; /* --seed */
    bool scale;
    uint64_t first;
    size_t seeds_n;
    const char *file;
    unsigned jobs;
};

/* ---- one seed ---- */

static struct sim *running; /* for whoever is told of an abort */

/* The process is broken and about to end: what is not safe here cannot make it worse. */
static void last_words(int number)
{
    if (running) {
        dprintf(STDOUT_FILENO, /* NOLINT(bugprone-signal-handler,cert-sig30-c) */
                "seed %" PRIu64 ": stopped by signal %d at %.3f s\n", running->spec.seed, number,
                (double)(running->now_us - running->started_us) / (double)SIM_S);
        trace_print(running, STDOUT_FILENO); /* NOLINT(bugprone-signal-handler,cert-sig30-c) */
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void cast(struct sim *s)
{
    chaos_plan(s);
    s->streamers_n = 1 + (unsigned)sim_random(s, 3);
    for (unsigned i = 0; i < s->streamers_n; i++)
        streamer_init(s, i);
    s->viewers_n = (unsigned)sim_random(s, 3);
    for (unsigned i = 0; i < s->viewers_n; i++)
        viewer_init(s, i);
    s->lives_n =
        sim_chance(s, 3) && !s->clocks_way_off ? 1 + (unsigned)sim_random(s, SIM_LIVES_MAX) : 0;
    for (unsigned i = 0; i < s->lives_n; i++)
        live_init(s, i);
    if (sim_chance(s, 3))
        stranger_init(s);
    if (sim_chance(s, 3))
        liar_init(s);
    auth_init(s);
    if (s->streamers_n > 1 && sim_chance(s, 4))
        s->streamers[0].uploads[0].contested = s->streamers[1].uploads[0].contested = true;
    verdict_init(s);
}

static bool run_one(const struct sim_spec *spec)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS};
    struct sim *s = running = sim_new(spec);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], last_words);
    cast(s);
    bool good = sim_run(s);
    char trace[2 * HASH_BYTES + 1];
    hex_encode(slice_of(s->trace.b, 8), trace);
    uint64_t lasted = (s->now_us - s->started_us) / SIM_S;
    if (!good) {
        fflush(stdout);
        if (!spec->told)
            trace_print(s, STDOUT_FILENO);
        printf("seed %" PRIu64 ": %s (at %" PRIu64 " s; trace %s)\n", spec->seed, sim_failure(s),
               lasted, trace);
    } else {
        printf("seed %" PRIu64 ": passed, %u edges, %" PRIu64 " s, trace %s\n", spec->seed,
               s->nodes_n, lasted, trace);
    }
    fflush(stdout);
    running = NULL;
    sim_free(s);
    return good;
}

/* ---- many ---- */

struct job {
    pid_t pid;
    int fd;
    uint64_t seed;
    size_t len;
    char *report;
};

struct fleet {
    const struct options *o;
    const uint64_t *seeds;
    size_t seeds_n, begun, passed, failed;
    struct job jobs[JOBS_MAX];
    bool terminal;
};

static void begin_job(struct fleet *f, struct job *j)
{
    int fds[2];
    struct sim_spec spec = f->o->spec;
    spec.seed = j->seed = f->seeds[f->begun++];
    CHECK(pipe(fds) == 0);
    fflush(stdout);
    j->pid = fork();
    CHECK(j->pid >= 0);
    if (j->pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        exit(run_one(&spec) ? 0 : 1);
    }
    close(fds[1]);
    j->fd = fds[0];
    j->len = 0;
    j->report = mem_alloc(REPORT_BYTES);
}

static void end_job(struct fleet *f, struct job *j)
{
    int status;
    CHECK(waitpid(j->pid, &status, 0) == j->pid);
    close(j->fd);
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    f->passed += good;
    f->failed += !good;
    if (!good)
        printf("%s%.*s\n  again: make sim SEED=%" PRIu64 "\n", f->terminal ? "\r" : "", (int)j->len,
               j->report, j->seed);
    if (f->terminal) {
        printf("\rsim: %zu of %zu, %zu failed ", f->passed + f->failed, f->seeds_n, f->failed);
        fflush(stdout);
    }
    free(j->report);
    j->pid = 0;
}

static void read_job(struct fleet *f, struct job *j)
{
    char beyond[1024];
    bool room = j->len < REPORT_BYTES - 1;
    ssize_t n = read(j->fd, room ? j->report + j->len : beyond,
                     room ? REPORT_BYTES - 1 - j->len : sizeof(beyond));
    if (n > 0)
        j->len += room ? (size_t)n : 0;
    else
        end_job(f, j);
}

static void run_many(struct fleet *f)
{
    for (;;) {
        struct pollfd fds[JOBS_MAX];
        struct job *of[JOBS_MAX];
        nfds_t n = 0;
        for (unsigned i = 0; i < f->o->jobs; i++) {
            struct job *j = &f->jobs[i];
            if (!j->pid && f->begun < f->seeds_n)
                begin_job(f, j);
            if (j->pid) {
                of[n] = j;
                fds[n++] = (struct pollfd){.fd = j->fd, .events = POLLIN};
            }
        }
        if (!n)
            return;
        if (poll(fds, n, -1) < 0)
            continue;
        for (nfds_t i = 0; i < n; i++)
            if (fds[i].revents)
                read_job(f, of[i]);
    }
}

/* ---- which ---- */

/* Seeds of a file: one per line, what follows it is a comment. */
static size_t read_seeds(const char *path, uint64_t *ret)
{
    size_t n = 0;
    char line[512];
    FILE *in = fopen(path, "r");
    if (!in) {
        fprintf(stderr, "sim: cannot read %s\n", path);
        exit(2);
    }
    while (n < SEEDS_MAX && fgets(line, sizeof(line), in))
        if (line[0] >= '0' && line[0] <= '9')
            ret[n++] = strtoull(line, NULL, 10);
    fclose(in);
    return n;
}

static int run_all(const struct options *o)
{
    struct fleet f = {.o = o, .terminal = isatty(STDOUT_FILENO)};
    uint64_t *seeds = mem_array(SEEDS_MAX + o->seeds_n, sizeof(*seeds));
    if (o->file)
        f.seeds_n = read_seeds(o->file, seeds);
    for (size_t i = 0; i < o->seeds_n; i++)
        seeds[f.seeds_n++] = o->first + i;
    f.seeds = seeds;
    run_many(&f);
    free(seeds);
    printf("%ssim: %zu passed, %zu failed\n", f.terminal ? "\r" : "", f.passed, f.failed);
    return f.failed ? 1 : 0;
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (end == text || *end) {
        fprintf(stderr, "sim: '%s' is no number\n", text);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"seed", required_argument, NULL, 's'},
                                          {"seeds", required_argument, NULL, 'n'},
                                          {"first", required_argument, NULL, 'f'},
                                          {"edges", required_argument, NULL, 'e'},
                                          {"jobs", required_argument, NULL, 'j'},
                                          {"file", required_argument, NULL, 'l'},
                                          {"tell", no_argument, NULL, 't'},
                                          {"scale", no_argument, NULL, 'c'},
                                          {NULL, 0, NULL, 0}};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct options o = {.first = (uint64_t)time(NULL) % 1000000 * 1000,
                        .seeds_n = NEW_SEEDS,
                        .jobs = cores > 0 ? (unsigned)cores : 1};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 's':
            o.one = true;
            o.spec.seed = number(optarg);
            break;
        case 'n': o.seeds_n = number(optarg); break;
        case 'f': o.first = number(optarg); break;
        case 'e': o.spec.edges = (unsigned)number(optarg); break;
        case 'j': o.jobs = (unsigned)number(optarg); break;
        case 'l': o.file = optarg; break;
        case 't': o.spec.told = true; break;
        case 'c': o.scale = true; break;
        default: return 2;
        }
    }
    if (o.jobs < 1 || o.jobs > JOBS_MAX || o.seeds_n > SEEDS_MAX || o.spec.edges > SIM_EDGES_MAX) {
        fprintf(stderr, "sim: too many, or none\n");
        return 2;
    }
    if (o.scale)
        return scale_main(o.spec.edges);
    if (o.one)
        return run_one(&o.spec) ? 0 : 1;
    return run_all(&o);
}
