#ifndef EDGE_STORE_FORGET_H
#define EDGE_STORE_FORGET_H
/*
 * What the catalogue forgets, in slices: HORIZON, BOOTSTRAP, ORPHANS. Each call
 * is one operation; tally.walk remembers where the next one goes on. Writer
 * thread, inside a savepoint.
 */
#include "edge/store/conn.h"

enum {
    FORGET_LOOK_MAX = 4096,   /* rows that one call looks at, of which few may have to go */
    FORGET_CHUNKS_MAX = 4096, /* of the copies that one ORPHANS drops */
};

enum err forget_dead(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err forget_catalogue(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err forget_orphans(struct conn *c, const struct storage_op *op, struct storage_done *done);

#endif
