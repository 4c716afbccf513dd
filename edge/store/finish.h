#ifndef EDGE_STORE_FINISH_H
#define EDGE_STORE_FINISH_H
/*
 * The end of an upload or a fetch: what is held becomes a video, if it is what
 * the manifest says. Writer thread, inside a savepoint; the errors are FINISH's
 * of edge/core/storage.h, those of the database stick in c->db.
 */
#include "edge/store/conn.h"

/* finish_copy: O(chunks) hashes; touches no media. */
enum err finish_copy(struct conn *c, const struct storage_op *op);

#endif
