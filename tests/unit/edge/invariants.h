#ifndef TESTS_EDGE_INVARIANTS_H
#define TESTS_EDGE_INVARIANTS_H
/* The numbered invariants of edge/core, checked from outside after a step; a broken one aborts. */
#include "edge/core/state.h"

/*
 * core_check
 * under_way  operations that storage has and has not answered.
 */
void core_check(const struct core *core, size_t under_way);

#endif
