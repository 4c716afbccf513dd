#ifndef EDGE_STORE_ROW_H
#define EDGE_STORE_ROW_H
/*
 * The catalogue's rows: merging them, and keeping the table that a person
 * reads, video, true to them. Writer thread, inside a transaction; errors stick
 * in c->db.
 */
#include "edge/store/conn.h"

enum row_merged { ROW_OLDER, ROW_SAME, ROW_TAKEN };

/* row_streamer: the streamer of row->video is in the table, under the newest name. */
void row_streamer(struct conn *c, const struct storage_row *row);

/* row_claim_order: below, equal to or above 0 as row->video is older than, the same as, or newer
 * than the claim held; 1 when there is none. ret_same_stream: whether it is of the same stream. */
int row_claim_order(struct conn *c, const struct storage_row *row, bool *ret_same_stream);

/* row_merge_video: take the video of the row if it is newer; a manifest also if it is the same. */
enum row_merged row_merge_video(struct conn *c, const struct storage_row *row);

/* row_merge_holding: take the holding of the row if it is newer. */
enum row_merged row_merge_holding(struct conn *c, const struct storage_row *row);

/* row_list: derive the row of video from claims, holdings and copies, and count it in c->videos. */
void row_list(struct conn *c, const struct id *video_id);

#endif
