#ifndef EDGE_STORE_SUMS_H
#define EDGE_STORE_SUMS_H
/*
 * The tree of sums (edge/core/digest.h) over the rows of claim and holding, kept
 * in memory beside the writer's connection. Writer thread.
 *
 * A row that comes or goes is noted; the notes are applied when the transaction
 * is committed, and taken back with tally.changes_n when it is not.
 */
#include "edge/store/conn.h"

struct change {
    struct row_digest row;
    uint16_t leaf;
    bool gone;
};

/* sums_note: a row of this video id comes, or is gone, with the running transaction. */
void sums_note(struct conn *c, const struct id *video_id, const struct row_digest *row, bool gone);
/* sums_committed: the transaction is committed. */
void sums_committed(struct conn *c);

/*
 * sums_build: add up everything, unless that was done: outside a transaction, before the first
 * one. About 1.5 s for 1,000,000 rows. What the database failed at is in c->db.err.
 */
void sums_build(struct conn *c);
/* sums_release: accepts what was never built. */
void sums_release(struct conn *c);

/* sums_root: as of the last commit. */
struct catalogue_root sums_root(const struct conn *c);
/* sums_read: DIGESTS. */
enum err sums_read(const struct conn *c, const struct storage_op *op, struct storage_done *done);

/* col_row_digest: of a row; anything else is db_corrupt. */
void col_row_digest(struct query *q, int at, struct row_digest *ret);

#endif
