#ifndef WIRE_AUTH_H
#define WIRE_AUTH_H
/* auth/params, auth/zone, auth/user (docs/PROTOCOL.md §2.4). Conventions: wire/message.h. */
#include "wire/message.h"

enum {
    USER_BYTES_MAX = 64,
    PASSWORD_BYTES_MAX = 256,
    JWT_BYTES_MAX = 4096,
    SEALED_BYTES_MAX = 8192,
    ZONE_OBJECT_BYTES_MAX = 2560,
};

struct params_request {
    struct slice client_id;
};
struct slice params_request_encode(const struct params_request *m, struct arena *arena);
enum err params_request_decode(struct slice payload, struct arena *arena,
                               struct params_request *ret);

struct params_reply {
    struct slice params; /* signed object */
};
struct slice params_reply_encode(const struct params_reply *m, struct arena *arena);
enum err params_reply_decode(struct slice payload, struct arena *arena, struct params_reply *ret);

struct zone_request {
    struct enrolment enrolment;
    struct slice proof; /* ENROL_PROOF_BYTES; empty: absent (unauthorized), only the id is filled */
};
struct slice zone_request_encode(const struct zone_request *m, struct arena *arena);
enum err zone_request_decode(struct slice payload, struct arena *arena, struct zone_request *ret);

struct zone_reply {
    struct id edge_id;
    struct slice params;     /* signed object */
    struct slice credential; /* signed object */
    struct nonce nonce;
    struct hash proof;
};
struct slice zone_reply_encode(const struct zone_reply *m, struct arena *arena);
enum err zone_reply_decode(struct slice payload, struct arena *arena, struct zone_reply *ret);

/* auth/user, outer: sealed, or the inner object itself. Either user and password, or owner_id. */
struct user_request {
    struct slice sealed;         /* raw; not empty: nothing else is filled; encode ignores it */
    struct slice user, password; /* local provider */
    struct slice owner_id;       /* JWT */
    struct pubkey pk;
    struct slice client_id;         /* may be empty (S) */
    struct signed_fields signature; /* over this object */
};
/* user_request_encode: the inner object, signed. */
struct slice user_request_encode(const struct user_request *m, const struct request_signer *signer,
                                 struct arena *arena);
/* user_sealed_encode: {"sealed": b64(sealed)}. */
struct slice user_sealed_encode(struct slice sealed, struct arena *arena);
enum err user_request_decode(struct slice payload, struct arena *arena, struct user_request *ret);

struct user_reply {
    struct slice credential; /* signed object */
    struct hash request;
};
struct slice user_reply_encode(const struct user_reply *m, struct arena *arena);
enum err user_reply_decode(struct slice payload, struct arena *arena, struct user_reply *ret);

#endif
