#ifndef EDGE_STORE_READ_H
#define EDGE_STORE_READ_H
/*
 * The reads of edge/core/storage.h. Reader thread, each inside a read
 * transaction, so that all it sees is of one commit. What is found is copied to
 * done's arena; messages are charged to c->budget.
 */
#include "edge/store/conn.h"

/* read_apply: the operation's error; the database's own is in c->db.err, which comes first. */
enum err read_apply(struct conn *c, const struct storage_op *op, struct storage_done *done);

enum err read_video(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err read_parts(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err read_list(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err read_db_page(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err read_bundle_page(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err read_rows(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err read_leaves(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err read_custody(struct conn *c, const struct storage_op *op, struct storage_done *done);
enum err read_probe(struct conn *c, const struct storage_op *op, struct storage_done *done);

enum { LIST_SCAN_ROWS_MAX = 1024 }; /* a few milliseconds' worth */

/* read_text_bytes: of text as JSON: a byte becomes two at most. */
size_t read_text_bytes(struct slice text);

/* read_thumbnail: what an edge made for a whole copy of this claim, copied to the arena; false:
 * nothing. ret_delegation may be NULL. */
bool read_thumbnail(struct conn *c, const struct id *video_id, const struct id *streamer_id,
                    struct arena *arena, struct slice *ret_delegation, struct slice *ret_packet);

/* read_row: the columns ROW_COLUMNS of conn.c, copied to the arena. */
enum { READ_ROW_COLUMNS = 9 };
void read_row(struct query *q, struct arena *arena, struct catalogue_row *ret);

#endif
