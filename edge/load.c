/* Linux' own figures, in the meaning that the original client gives them. */
#include "edge/load.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <sys/statvfs.h>

enum { PROC_BYTES_MAX = 65536 };

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

/* The number at *text after blanks; moves *text behind it. 0 where there is none. */
static uint64_t next_number(const char **text)
{
    char *end;
    uint64_t v = strtoull(*text, &end, 10);
    *text = end;
    return v;
}

/* The first line of /proc/stat: user nice system idle iowait irq softirq steal … */
static void cpu(struct load *load, struct machine_load *ret)
{
    enum { IDLE = 3, IOWAIT = 4, TIMES_N = 8 };
    CLEANUP(mem_free_ptr) char *text = NULL;
    size_t len;
    if (file_read("/proc/stat", PROC_BYTES_MAX, &text, &len) != ERR_OK || len < 4)
        return;
    const char *at = text + strlen("cpu ");
    uint64_t busy = 0;
    uint64_t total = 0;
    for (int i = 0; i < TIMES_N; i++) {
        uint64_t ticks = next_number(&at);
        total += ticks;
        busy += i == IDLE || i == IOWAIT ? 0 : ticks;
    }
    ret->cpu_percent = percent(busy - load->busy, total - load->total);
    load->busy = busy;
    load->total = total;
}

static uint64_t meminfo(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    if (!line)
        return 0;
    line += strlen(name);
    return next_number(&line) * 1024; /* given in KiB */
}

static void memory(struct machine_load *ret)
{
    CLEANUP(mem_free_ptr) char *text = NULL;
    size_t len;
    if (file_read("/proc/meminfo", PROC_BYTES_MAX, &text, &len) != ERR_OK)
        return;
    ret->memory_total = meminfo(text, "MemTotal:");
    ret->memory_available = meminfo(text, "MemAvailable:");
    ret->memory_used = ret->memory_total - ret->memory_available;
    ret->memory_percent = percent(ret->memory_used, ret->memory_total);
}

static void disk(const struct load *load, struct machine_load *ret)
{
    struct statvfs fs;
    if (statvfs(load->folder, &fs) != 0)
        return;
    ret->disk_total = (uint64_t)fs.f_blocks * fs.f_frsize;
    ret->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    ret->disk_used = ret->disk_total - (uint64_t)fs.f_bfree * fs.f_frsize;
    ret->disk_percent = percent(ret->disk_used, ret->disk_used + ret->disk_free);
}

void load_sample(struct load *load, struct machine_load *ret)
{
    struct machine_load sample = {0};
    cpu(load, &sample);
    memory(&sample);
    disk(load, &sample);
    *ret = sample;
}
