#ifndef CLIENT_AUTH_H
#define CLIENT_AUTH_H
/*
 * A request to auth_edge for a credential (docs/PROTOCOL.md §2.4): made, sealed, and its
 * answer taken. Login and renewal are two of them; they differ in who waits.
 */
#include "base/arena.h"
#include "client/identity.h"
#include "wire/auth.h"
#include "wire/topic.h"

struct auth_request {
    const struct zone_params *zone; /* the caller's; to its box key it is sealed */
    const struct signkey *key;      /* the caller's; the credential is to be for it */
    struct id client_id;            /* under which it is answered */
    const char *broker;             /* through which it is asked; NULL: no account there is kept */
    struct user_request request;    /* user and password, owner_id, or renew */
    struct hash hash;               /* of what was made last: what its answer echoes */
};

/* auth_seal: the payload, with a fresh time and nonce; fills hash. */
struct slice auth_seal(struct auth_request *a, struct arena *arena);

enum auth_answer { AUTH_STRAY, AUTH_GRANTED, AUTH_REFUSED };

/*
 * auth_take: what a message is to the request that was made last: only who opened that one can
 * echo its hash. ret_reply (GRANTED; not verified yet) and ret_error (REFUSED) borrow from arena.
 */
enum auth_answer auth_take(const struct auth_request *a, const struct topic *topic,
                           struct slice payload, struct arena *arena, struct user_reply *ret_reply,
                           struct wire_error *ret_error);

/*
 * auth_keep: verify what was granted, and keep it in place of the credential before; and the
 * account at the broker that came with it, where a password may be shown: over TLS, or to this
 * machine. What was renewed is not kept over another login of this home meanwhile.
 * ERR_NOT_READY: signed in a later epoch than the zone's parameters here. ERR_FORMAT,
 * ERR_LIMIT, ERR_UNAUTHORIZED, ERR_SIGNATURE: not this zone's, or not for our key. It may be good
 * and yet not kept: ERR_CONFLICT: the key in home is not the one that asked any more. ERR_IO: home
 * cannot be read or written (errno tells). ERR_BUSY, ERR_CLOSED: as identity_lock. ret borrows from
 * reply.
 */
enum err auth_keep(const struct auth_request *a, const struct identity *identity,
                   const struct user_reply *reply, struct credential *ret);

#endif
