#ifndef WIRE_AUTH_H
#define WIRE_AUTH_H
/* auth/… (docs/PROTOCOL.md §2.4). Conventions: wire/message.h. */
#include "wire/message.h"

enum {
    USER_BYTES_MAX = 64,
    PASSWORD_BYTES_MAX = 256,
    JWT_BYTES_MAX = 4096,
    SEALED_BYTES_MAX = 8192,
    BROKER_LOGIN_BYTES_MAX = 512, /* sealed */
    BROKER_TEXT_BYTES_MAX = 128,  /* its user, its password */
};

struct params_request {
    struct slice client_id;
};
struct slice params_request_encode(const struct params_request *m, struct arena *arena);
enum err params_request_decode(struct slice payload, struct arena *arena,
                               struct params_request *ret);

struct params_reply {
    struct slice params;      /* signed object */
    struct slice revocations; /* signed object: the newest list, or empty */
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
    struct slice broker; /* a broker_login sealed to the edge's key, beside the proof; or empty */
};
struct slice zone_reply_encode(const struct zone_reply *m, struct arena *arena);
enum err zone_reply_decode(struct slice payload, struct arena *arena, struct zone_reply *ret);

/* auth/user, outer: sealed, or the inner object itself. One of: user and password; owner_id; renew.
 */
struct user_request {
    struct slice sealed;         /* raw; not empty: nothing else is filled; encode ignores it */
    struct slice user, password; /* local provider */
    struct slice owner_id;       /* JWT */
    struct slice renew;          /* the signed credential that is to be renewed, of the key pk */
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
    struct slice broker; /* a broker_login sealed to the streamer's key, or empty */
};
struct slice user_reply_encode(const struct user_reply *m, struct arena *arena);
enum err user_reply_decode(struct slice payload, struct arena *arena, struct user_reply *ret);

/* auth/revocations. */
struct revocations_message {
    struct slice revocations; /* signed object */
};
struct slice revocations_message_encode(const struct revocations_message *m, struct arena *arena);
enum err revocations_message_decode(struct slice payload, struct arena *arena,
                                    struct revocations_message *ret);

/* {"user","password"}: who a principal is to the broker. Sealed, never on a topic in clear. */
struct broker_login {
    struct slice user, password; /* both must be there */
};
struct slice broker_login_encode(const struct broker_login *m, struct arena *arena);
enum err broker_login_decode(struct slice plain, struct arena *arena, struct broker_login *ret);

#endif
