#ifndef AUTH_EDGE_CLIENTS_H
#define AUTH_EDGE_CLIENTS_H
/*
 * The table of accounts at the broker: the port between accounts.c, which
 * decides, and store_clients.c, which keeps.
 *
 *   (none) --> wanted --> there --> ending --> gone --> there
 *              made        confirmed  revoked   disabled, confirmed; generation + 1
 *
 * `ending` comes from triggers of the database: whoever revokes a principal or takes an edge's
 * key away does not have to think of the broker.
 */
#include "trust/broker.h"

enum { BROKER_CLIENTS_MAX = 5000 }; /* with so many one more takes the broker 0.1 s */

enum client_state { CLIENT_WANTED, CLIENT_THERE, CLIENT_ENDING, CLIENT_GONE };

struct broker_client {
    struct id subject; /* its user name */
    enum credential_kind kind;
    uint32_t generation; /* of its password, from 1 */
    enum client_state state;
};

struct clients {
    void *ctx;
    /* find: a principal's, made if there is none. ERR_LIMIT: BROKER_CLIENTS_MAX. ERR_CONFLICT: the
     * other kind's. ERR_IO, ERR_STORAGE_FULL. */
    enum err (*find)(void *ctx, enum credential_kind kind, const struct id *subject,
                     struct broker_client *ret);
    /* confirm: what the broker has done. There: unless it is ending by now; gone: generation + 1.
     */
    enum err (*confirm)(void *ctx, const struct id *subject, enum client_state state);
    /* next_ending: the one in state `ending` whose subject follows; "" gives the first.
     * ERR_UNKNOWN: none does. ERR_IO. */
    enum err (*next_ending)(void *ctx, const char *after, struct broker_client *ret);
};

#endif
