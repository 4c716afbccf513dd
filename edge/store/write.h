#ifndef EDGE_STORE_WRITE_H
#define EDGE_STORE_WRITE_H
/* The writes of edge/core/storage.h. Writer thread, each inside a savepoint of its own. */
#include "edge/store/conn.h"

/*
 * write_apply: apply one operation.
 * done  kind and token are set; its err is left alone.
 * Returns the operation's error, with which the savepoint must be rolled back. What the database
 * itself failed at is in c->db.err, which comes first.
 */
enum err write_apply(struct conn *c, const struct storage_op *op, struct storage_done *done);

#endif
