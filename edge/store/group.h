#ifndef EDGE_STORE_GROUP_H
#define EDGE_STORE_GROUP_H
/*
 * Group commit: some writes, in order, as one transaction. Writer thread.
 */
#include "edge/store/conn.h"

enum { GROUP_OPS_MAX = 512 };

struct group {
    size_t n;
    size_t bytes;                              /* of parts */
    struct storage_op *ops[GROUP_OPS_MAX];     /* owned */
    struct storage_done *dones[GROUP_OPS_MAX]; /* made by group_commit; the taker's */
};

/* group_has_room: whether another operation may be added. */
bool group_has_room(const struct group *g);
/* group_add: op becomes the group's. */
void group_add(struct group *g, struct storage_op *op);

/*
 * group_commit: apply and commit all; then every operation has a completion
 * with its error, and is freed. c->db has no error afterwards.
 * ret_error  written only if the database failed: the sentence.
 * Returns ERR_OK; what the database failed at: ERR_STORAGE_FULL, ERR_IO. ERR_BUSY: another
 * process has it locked, and the group is as it was: commit it again, or let it fail.
 */
enum err group_commit(struct group *g, struct conn *c, char ret_error[static DB_ERROR_BYTES]);

/* group_fail: without a try, every operation has a completion with err, and is freed. */
void group_fail(struct group *g, enum err err);

/* done_new: the completion of op, empty. */
struct storage_done *done_new(const struct storage_op *op);

#endif
