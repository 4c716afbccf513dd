#ifndef AUTH_EDGE_LOCAL_H
#define AUTH_EDGE_LOCAL_H
/*
 * The embedded provider: the users in auth_edge.db, Argon2id passwords. The
 * hashing is done one at a time by one thread, so that a flood of logins costs
 * one core and 19 MiB, and everything else goes on.
 */
#include "auth_edge/provider.h"
#include "auth_edge/store.h"

enum { LOGIN_QUEUE_MAX = 32 }; /* waiting or under way: half a second's work; beyond it: busy */

/*
 * local_open: start the worker.
 * store  borrowed; read by check, in the loop's thread.
 * ERR_IO: no thread, eventfd or memory for a hash.
 */
enum err local_open(struct store *store, struct provider **ret_provider);

#endif
