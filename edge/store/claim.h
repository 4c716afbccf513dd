#ifndef EDGE_STORE_CLAIM_H
#define EDGE_STORE_CLAIM_H
/*
 * The beginning of an upload, a live, or a fetch: who may have the id, and
 * where it goes on. Writer thread, inside a savepoint; the errors are those of
 * edge/core/storage.h, those of the database stick in c->db.
 */
#include "edge/store/conn.h"

enum err claim_begin(struct conn *c, const struct storage_row *row, struct storage_done *done);
enum err claim_copy_begin(struct conn *c, const struct storage_op *op, struct storage_done *done);

#endif
