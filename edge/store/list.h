#ifndef EDGE_STORE_LIST_H
#define EDGE_STORE_LIST_H
/* The tables that a person reads. Writer thread, inside a transaction; errors stick in c->db. */
#include "edge/store/conn.h"

/* list_video: derive the row of video from claims, holdings and copies, and count it in c->tally.
 */
void list_video(struct conn *c, const struct id *video_id);

/* list_streamer: derive the row of streamer from its claims, or from its uploads while it has no
 * claim. After list_video. */
void list_streamer(struct conn *c, const struct id *streamer_id);

/* list_other_visible: whether a claim of another streamer on this id can be watched somewhere. */
bool list_other_visible(struct conn *c, const struct id *video_id, const struct id *streamer_id);

#endif
