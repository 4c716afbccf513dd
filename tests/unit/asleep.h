#ifndef TESTS_ASLEEP_H
#define TESTS_ASLEEP_H
/* When the threads of a test have nothing to do: what did not happen by then does not happen. */
#include "base/clock.h"

#include <dirent.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often a thread went to sleep, 0 if it has ended; -1: it does not sleep. */
static inline long asleep_times(int tid)
{
    static const char counter[] = "voluntary_ctxt_switches:";
    char path[64], line[128], word;
    long times = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "State: %c", &word) == 1 && word != 'S')
            times = -1;
        if (times == 0 && strncmp(line, counter, sizeof(counter) - 1) == 0)
            times = strtol(line + sizeof(counter) - 1, NULL, 10);
    }
    if (f)
        fclose(f);
    return times;
}

/* The sum over all threads but the caller; -1: one does not sleep. */
static inline long asleep_sum(void)
{
    long sum = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *d; tasks && sum >= 0 && (d = readdir(tasks)) != NULL;) {
        int tid = (int)strtol(d->d_name, NULL, 10);
        long times = tid > 0 && tid != gettid() ? asleep_times(tid) : 0;
        sum = times < 0 ? -1 : sum + times;
    }
    if (tasks)
        closedir(tasks);
    return sum;
}

/* all_asleep: wait until all other threads sleep at one time, that is, have slept from one look
 * at them to the next. False: not within 20 s. */
static inline bool all_asleep(void)
{
    uint64_t end_us = clock_mono_us() + 20ull * 1000 * 1000;
    for (long before = -1; clock_mono_us() < end_us; sched_yield()) {
        long now = asleep_sum();
        if (now >= 0 && now == before)
            return true;
        before = now;
    }
    return false;
}

#endif
