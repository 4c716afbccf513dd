#ifndef TESTS_EDGE_CONFORMANCE_H
#define TESTS_EDGE_CONFORMANCE_H
/*
 * The memory store and the SQLite store side by side: each operation is given
 * to both, and both must answer the same. What storage.h leaves to them (where
 * a page ends, how large a slice is, which parts are probed) is walked through
 * to the end and compared as a whole.
 */
#include "tests/unit/edge/memory_store.h"
#include "tests/unit/edge/store_world.h"

struct pair {
    struct world *w;
    struct memory_store *m;
};

/* pair_setup, pair_teardown: cmocka's; *state is the pair, both as edge1. */
int pair_setup(void **state);
int pair_teardown(void **state);

/* pair_do: op, and a copy of it, to both; their completions are compared; returns the error. */
enum err pair_do(struct pair *p, struct storage_op *op);
/* pair_ok: as pair_do; it succeeds. */
void pair_ok(struct pair *p, struct storage_op *op);
/* pair_until: a HORIZON, BOOTSTRAP, ORPHANS, CACHE_TRIM again and again until it has done all. */
void pair_until(struct pair *p, struct storage_op *(*make)(void *context), void *context);
/* pair_look: every read there is; the catalogues, roots, lists and copies are the same. */
void pair_look(struct pair *p);
/* pair_parts: from this one to the last. */
void pair_parts(struct pair *p, const struct film *f, size_t from);
/* pair_fetch: film_upload, film_fetch for both. */
void pair_upload(struct pair *p, const struct film *f, uint64_t hlc);
void pair_fetch(struct pair *p, const struct film *f, uint64_t used_us);

#endif
