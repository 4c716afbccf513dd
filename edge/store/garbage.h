#ifndef EDGE_STORE_GARBAGE_H
#define EDGE_STORE_GARBAGE_H
/*
 * Freeing what hung on copies that were dropped, little by little: no operation
 * waits for more than one slice. Writer thread, outside a transaction.
 */
#include "edge/store/conn.h"

enum {
    GARBAGE_PARTS_MAX = 128,  /* freed in one slice; about 8 MB */
    GARBAGE_PROOFS_MAX = 512, /* likewise */
    GARBAGE_GROUPS = 8,       /* while writes keep coming: a slice after so many groups */
};

/* garbage_free: one slice, committed. False: nothing is left to do, or the database failed, which
 * changes nothing: try again when it has worked. */
bool garbage_free(struct conn *c);

#endif
