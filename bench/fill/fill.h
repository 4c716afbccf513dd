#ifndef BENCH_FILL_FILL_H
#define BENCH_FILL_FILL_H
/*
 * A catalogue of any size, really signed: by streamers and edges whose
 * credentials the zone's own key signs here, so that any edge of the zone
 * believes it. Everything is a function of the zone, the ids and the numbers:
 * made again, it is the same.
 */
#include "edge/core/storage.h"

struct town {
    struct id zone_id;
    struct signkey zone_key;
    uint64_t now_us; /* nothing is newer */
};

/* secret_load: of the data folder of an auth_edge: this file of it; dies when it is none. */
void secret_load(const char *auth_folder, const char *name, uint8_t ret[static KEY_BYTES]);
/* town_load: from the data folder of an auth_edge; dies when there is none. */
void town_load(struct town *t, const char *auth_folder, const char *zone_id);

/*
 * town_row: video number k of those whose ids begin with `name`: its statement with a manifest,
 * and custody of one edge. again: 0 at first; the same video stated anew, k-th time.
 */
struct storage_op *town_row(const struct town *t, const char *name, uint32_t k, uint32_t again);

/* die: say why on standard error and exit with 1. */
_Noreturn __attribute__((format(printf, 1, 2))) void die(const char *fmt, ...);

#endif
