/*
 * fill rows: merge a catalogue into an edge's database, through the edge's own store, as fast as it
 * goes. fill sums: what keeping the sums over a catalogue costs, without a database.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/mem.h"
#include "bench/fill/fill.h"
#include "edge/store/store.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { AHEAD_MAX = 20000, UNDER_WAY_MAX = 4096, CHANGES = 200000 };

static struct option options[] = {
    {.name = "database", .env = "BENCH_DATABASE", .help = "file of the edge"},
    {.name = "edge", .env = "BENCH_EDGE", .help = "its id", .fallback = "bench"},
    {.name = "auth", .env = "BENCH_AUTH", .help = "data folder of the auth_edge"},
    {.name = "zone", .env = "BENCH_ZONE", .help = "the zone's id", .fallback = "zone1"},
    {.name = "id", .env = "BENCH_ID", .help = "video ids begin with it", .fallback = "v"},
    {.name = "videos",
     .env = "BENCH_VIDEOS",
     .kind = OPTION_UINT,
     .fallback = "1000",
     .min = 1,
     .max = 10000000,
     .help = "two rows each: a claim, and one custody"},
    {.name = "again",
     .env = "BENCH_AGAIN",
     .kind = OPTION_UINT,
     .fallback = "0",
     .max = 1000,
     .help = "the videos are there: state them anew, for the nth time"},
    {.name = NULL},
};

void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static size_t resident_bytes(void)
{
    char line[128] = "";
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || !fgets(line, sizeof(line), f) || !strchr(line, ' '))
        die("there is no /proc/self/statm");
    fclose(f);
    return strtoul(strchr(line, ' '), NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- rows ---- */

static struct hash digest_key_of(const char *auth_folder)
{
    uint8_t secret[KEY_BYTES];
    secret_load(auth_folder, "zone.secret", secret);
    return digest_key(secret);
}

struct filling {
    struct store *store;
    struct budget budget;
    uint32_t under_way, changed;
};

static void take(struct filling *f)
{
    struct storage_done *done = queue_wait(store_completions(f->store), NULL);
    char why[STORE_ERROR_BYTES];
    store_error(f->store, why);
    if (done->err != ERR_OK)
        die("the store refuses: %s %s", err_name(done->err), why);
    f->changed += done->kind == STORAGE_ROW_MERGE && done->u.row_merge.changed;
    f->under_way--;
    storage_done_free(done);
}

static void put(struct filling *f, struct storage_op *op)
{
    while (f->under_way >= UNDER_WAY_MAX)
        take(f);
    if (store_submit(f->store, op) != ERR_OK)
        die("the store takes no more");
    f->under_way++;
}

static void drain(struct filling *f)
{
    while (f->under_way)
        take(f);
}

static void open_store(struct filling *f)
{
    char error[STORE_ERROR_BYTES];
    f->budget.max_bytes = STORE_READ_BYTES_MAX;
    struct store_config config = {.path = config_text(options, "database"),
                                  .budget = &f->budget,
                                  .digest_key = digest_key_of(config_text(options, "auth"))};
    if (id_parse(slice_str(config_text(options, "edge")), &config.edge_id) != ERR_OK)
        die("--edge is no id");
    if (store_open(&config, &f->store, error) != ERR_OK)
        die("%s", error);
    struct storage_op *op = storage_op_new(STORAGE_META_PUT, 0); /* after it, all is summed up */
    snprintf(op->u.meta_put.key, sizeof(op->u.meta_put.key), "bench");
    op->u.meta_put.value = slice_str("filled");
    put(f, op);
    drain(f);
}

/* What is signed before the clock starts does not slow down what is measured. */
static int rows_main(const struct town *town)
{
    struct filling f = {0};
    uint32_t n = (uint32_t)config_uint(options, "videos");
    uint32_t again = (uint32_t)config_uint(options, "again");
    uint32_t ahead = n < AHEAD_MAX ? n : AHEAD_MAX;
    const char *name = config_text(options, "id");
    struct storage_op **signed_ops = mem_array(ahead, sizeof(struct storage_op *));
    open_store(&f);
    for (uint32_t k = 0; k < ahead; k++)
        signed_ops[k] = town_row(town, name, k, again);
    uint64_t start_us = clock_mono_us(), start_cpu_us = cpu_us();
    for (uint32_t k = 0; k < n; k++)
        put(&f, k < ahead ? signed_ops[k] : town_row(town, name, k, again));
    drain(&f);
    uint64_t took_us = clock_mono_us() - start_us, took_cpu_us = cpu_us() - start_cpu_us;
    store_close(f.store);
    free(signed_ops);
    printf("{\"videos\":%u,\"changed\":%u,\"took_us\":%llu,\"cpu_us\":%llu}\n", n, f.changed,
           (unsigned long long)took_us, (unsigned long long)took_cpu_us);
    return 0;
}

/* ---- sums ---- */

static struct row_digest numbered(uint32_t n)
{
    struct row_digest row = {{0}};
    memcpy(row.b, &n, sizeof(n));
    return row;
}

/* A row that changes: the new one is hashed, the old one comes off the sums, the new one goes on,
 * and the root is wanted. */
static double change_us(const struct town *town, struct digest *d)
{
    struct storage_op *op = town_row(town, "v", 1, 0);
    const struct storage_row *row = &op->u.row;
    uint8_t root[ROOT_DIGEST_BYTES];
    uint64_t start_us = cpu_us();
    for (uint32_t k = 0; k < CHANGES; k++) {
        struct row_digest old = numbered(k);
        struct row_digest new = row_digest_of_claim(row->statement, row->manifest, row->credential);
        uint16_t leaf = (uint16_t)(k * 2654435761U >> 16);
        digest_remove(d, leaf, &old);
        digest_add(d, leaf, &new);
        digest_root(d, root);
    }
    double us = (double)(cpu_us() - start_us) / CHANGES;
    storage_op_free(op);
    return us;
}

static int sums_main(const struct town *town)
{
    static const uint8_t key[KEY_BYTES] = {1};
    uint32_t n = (uint32_t)config_uint(options, "videos") * 2;
    size_t before = resident_bytes();
    struct digest *d = digest_new(key);
    uint64_t start_us = cpu_us();
    for (uint32_t k = 0; k < n; k++) {
        struct row_digest row = numbered(k);
        digest_add(d, (uint16_t)(k * 2654435761U >> 16), &row);
    }
    double add_us = (double)(cpu_us() - start_us) / n;
    size_t bytes = resident_bytes() - before;
    printf("{\"rows\":%u,\"bytes\":%zu,\"add_us\":%.3f,\"change_us\":%.3f}\n", n, bytes, add_us,
           change_us(town, d));
    digest_free(d);
    return 0;
}

int main(int argc, char **argv)
{
    char error[CONFIG_ERROR_BYTES];
    const char *positional[32];
    int n = 0;
    struct town town;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives the bench */
    if (argc < 2 || argc > 32)
        die("usage: fill rows|sums --auth FOLDER [--option value …]");
    if (config_load(options, argc - 2, argv + 2, positional, &n, error) != ERR_OK)
        die("%s", error);
    if (!config_text(options, "auth"))
        die("--auth is missing");
    CHECK(crypto_init() == ERR_OK);
    town_load(&town, config_text(options, "auth"), config_text(options, "zone"));
    if (strcmp(argv[1], "rows") == 0 && config_text(options, "database"))
        return rows_main(&town);
    if (strcmp(argv[1], "sums") == 0)
        return sums_main(&town);
    die("there is no mode '%s', or --database is missing", argv[1]);
}
