#ifndef CLIENT_UPLOAD_STATE_H
#define CLIENT_UPLOAD_STATE_H
/*
 * What must be remembered of an upload so that the same command goes on with
 * it: kept in $EDGECTL_HOME/uploads/ID from the edge's first answer until the
 * receipt. Lines of "name value".
 */
#include "client/identity.h"

enum { UPLOAD_PATH_BYTES_MAX = 4096 };

struct upload_state {
    struct hash nonce; /* names the stream, with the ids */
    uint64_t created_us;
    uint64_t revision_us; /* the last that was signed */
    uint32_t part_bytes;
    uint64_t size_bytes; /* the file, to see that it is still the same */
    int64_t mtime_ns;
    struct id zone_id, streamer_id, edge_id;
    char path[UPLOAD_PATH_BYTES_MAX]; /* absolute */
};

/* upload_state_read: ERR_UNKNOWN: there is none. ERR_FORMAT: damaged. ERR_IO. */
enum err upload_state_read(const struct identity *identity, const struct id *video_id,
                           struct upload_state *ret);
enum err upload_state_write(const struct identity *identity, const struct id *video_id,
                            const struct upload_state *state);
void upload_state_remove(const struct identity *identity, const struct id *video_id);

/* upload_state_same: the same file by the same streamer in the same zone, cut the same way. */
bool upload_state_same(const struct upload_state *a, const struct upload_state *b);

#endif
