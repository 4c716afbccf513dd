#ifndef EDGE_STORE_CACHE_H
#define EDGE_STORE_CACHE_H
/* Which copies stay: custody, use, and making room. Writer thread, inside a savepoint. */
#include "edge/store/conn.h"

enum { CACHE_DROP_CHUNKS_MAX = 4096 }; /* of one CACHE_TRIM: a few tens of milliseconds */

enum err cache_touch(struct conn *c, const struct storage_op *op);
enum err cache_trim(struct conn *c, const struct storage_op *op, struct storage_done *done);

#endif
