#ifndef EDGE_LOAD_H
#define EDGE_LOAD_H
/* What the machine is busy with, as ping tells it: /proc/stat, /proc/meminfo, the data folder's
 * disk. */
#include "wire/presence.h"

enum { LOAD_SAMPLE_US = 2 * 1000 * 1000 };

struct load {
    const char *folder;   /* borrowed; whose file system is the disk */
    uint64_t busy, total; /* of the last sample, in ticks */
};

/* load_sample: measure. The CPU share is that since the last sample (since boot at first).
 * What cannot be read is zero. */
void load_sample(struct load *load, struct machine_load *ret);

#endif
