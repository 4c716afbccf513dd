#ifndef WIRE_DELETE_H
#define WIRE_DELETE_H
/* video/delete (docs/PROTOCOL.md §4.8). Conventions: wire/message.h. */
#include "wire/message.h"

struct delete_request {
    struct id video_id;
    struct id streamer_id;
    struct slice client_id;  /* whom to answer, when the zone signed; else empty */
    struct slice credential; /* of the streamer; empty: the zone signed the deletion */
    struct slice deletion;   /* signed object */
    struct signed_fields signature;
};
/* delete_request_encode: signer NULL: without auth (signed by the zone). */
struct slice delete_request_encode(const struct delete_request *m,
                                   const struct request_signer *signer, struct arena *arena);
enum err delete_request_decode(struct slice payload, struct arena *arena,
                               struct delete_request *ret);

/* {"status":"ok","video_id","EDGE_ID"} */
struct delete_reply {
    struct id video_id;
    struct id edge_id;
};
struct slice delete_reply_encode(const struct delete_reply *m, struct arena *arena);
enum err delete_reply_decode(struct slice payload, struct arena *arena, struct delete_reply *ret);

#endif
