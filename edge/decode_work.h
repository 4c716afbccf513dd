#ifndef EDGE_DECODE_WORK_H
#define EDGE_DECODE_WORK_H
/* What the halves of decode share: decode.c for viewers and streamers, decode_peer.c for the
 * catalogue and the other edges. Private to them. */
#include "edge/decode.h"

struct work {
    const struct decoder *d;
    const struct trust_view *view;
    struct topic topic;
    struct event *ev;
};

extern const char decode_malformed[];
extern const char decode_newer_key[]; /* of the zone's: ERR_NOT_READY */

/* decode_reject: refuse. _to: and answer on a reply topic if the message says where. what: static.
 */
void decode_reject(struct work *w, enum err err, const char *what);
void decode_reject_to(struct work *w, enum err err, const char *what, enum topic_kind reply_kind);

/* decode_newer: err of opening what the zone signed; ERR_NOT_READY: the event asks for newer
 * parameters. */
void decode_newer(struct work *w, enum err err);

/* One function per topic: the event becomes what the message says, or a rejection. */
void decode_list(struct work *w);
void decode_db_request(struct work *w);
void decode_db_update(struct work *w);
void decode_db_reply(struct work *w);
void decode_db_sync(struct work *w);
void decode_edge_status(struct work *w);
void decode_revocations(struct work *w);
void decode_delete(struct work *w);

#endif
