#ifndef AUTH_EDGE_USERS_H
#define AUTH_EDGE_USERS_H
/*
 * `auth_edge user …`: the operator's side of the embedded users. Prints; every
 * function returns the exit status. Main thread, no loop running.
 */
#include "auth_edge/store.h"

/* Where a password comes from: the first that is not NULL, else the terminal or standard input. */
struct password_source {
    const char *file; /* its first line */
    const char *text;
};

/* users_add: a new user with a new UUID. */
int users_add(struct store *store, const char *name, const struct password_source *source,
              uint64_t now_us);
/* users_passwd: another password for a user. */
int users_passwd(struct store *store, const char *name, const struct password_source *source);
/* users_list: name, id and date, one user a line. */
int users_list(struct store *store);

#endif
