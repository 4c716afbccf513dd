#ifndef EDGE_STORE_ROW_H
#define EDGE_STORE_ROW_H
/*
 * The catalogue's rows, claims and holdings: merging them and taking them out.
 * Whoever changes any calls row_settle for its video id, in the same savepoint.
 * Writer thread, inside a transaction; errors stick in c->db.
 */
#include "edge/store/conn.h"

enum row_merged {
    ROW_REFUSED, /* a holding without a claim, or a row dead at the horizon */
    ROW_OLDER,
    ROW_SAME,
    ROW_TAKEN,
};

/* What is held under the key of a row's video or deletion. */
struct held_claim {
    bool any, deleted;
    bool same_stream; /* a video of the row's stream */
    uint64_t revision_us;
    struct row_digest digest;
    int order; /* below, equal to or above 0 as the row is older than, the same as, or newer than
                  what is held; 1 when there is none */
};
struct held_claim row_held(struct conn *c, const struct storage_row *row);

/* row_claimed_by_other: whether another streamer has, or had and deleted, a claim on this id. */
bool row_claimed_by_other(struct conn *c, const struct id *video_id, const struct id *streamer_id);

/* row_merge_claim: take the video or deletion of the row if it is newer. A deletion takes the
 * holdings, the copy and the upload of its key with it, but for an upload that began after it. A
 * video of another stream than before makes a cached copy of the one in custody. */
enum row_merged row_merge_claim(struct conn *c, const struct storage_row *row);

/* row_merge_holding: take the holding of the row if it is newer. */
enum row_merged row_merge_holding(struct conn *c, const struct storage_row *row);

/* row_drop_claim: forget a claim and its holdings; returns how many rows that were. */
uint32_t row_drop_claim(struct conn *c, const struct id *video_id, const struct id *streamer_id);

/* row_drop_holding: forget one, by its rowid. */
void row_drop_holding(struct conn *c, uint64_t rowid, const struct id *video_id,
                      const struct row_digest *digest);

/* row_upload_revision: that of the upload to this edge that is under way; 0: there is none. */
uint64_t row_upload_revision(struct conn *c, const struct id *video_id,
                             const struct id *streamer_id);

/* row_settle: the tables that a person reads, video and streamer, are brought up to date with what
 * was changed of one claim, its holdings, its copy or its upload. */
void row_settle(struct conn *c, const struct id *video_id, const struct id *streamer_id);

#endif
