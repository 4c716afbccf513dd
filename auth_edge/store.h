#ifndef AUTH_EDGE_STORE_H
#define AUTH_EDGE_STORE_H
/*
 * auth_edge.db: the zone, its users, edges and streamers, the credentials that
 * were issued and those that are revoked, in SQLite (WAL, synchronous=FULL, mode
 * 0600). Several processes may have the file open: the operator's commands work
 * beside a serving one, which looks at store_changed. One thread per store.
 *
 * Every function that can fail with ERR_IO or ERR_STORAGE_FULL leaves the
 * sentence for the operator in store_error.
 */
#include "auth_edge/clients.h"
#include "auth_edge/records.h"
#include "base/clock.h"
#include "wire/auth.h"

struct store; /* opaque */

enum { STORE_ERROR_BYTES = 512 };

/*
 * store_open: open or create the database and its tables.
 * path       …/auth_edge.db; its folder exists.
 * ret_error  the sentence for the operator on failure.
 * ERR_IO: cannot be opened or written. ERR_FORMAT: another program's database,
 * or made by a newer version.
 */
enum err store_open(const char *path, struct store **ret_store,
                    char ret_error[static STORE_ERROR_BYTES]);

/* store_close: NULL is fine. */
void store_close(struct store *store);

/* store_error: what failed last, as a sentence; borrowed until the next call. */
const char *store_error(const struct store *store);

/* store_records: the authority's port; valid as long as the store. store_clients: likewise, of the
 * accounts at the broker (store_clients.c). */
struct records store_records(struct store *store);
struct clients store_clients(struct store *store);

/* store_answered_until: the newest request_us that was issued for; 0: none. ERR_IO. */
enum err store_answered_until(struct store *store, uint64_t *ret_us);

/* store_changed: whether another process has written since this was asked last; the first time:
 * true. Microseconds. */
bool store_changed(struct store *store);

/*
 * store_lock: take the write lock for several of the calls below; then store_unlock: keep what
 * they did (err ERR_OK) or undo it. Returns err, or why it was not kept. ERR_IO, ERR_STORAGE_FULL.
 */
enum err store_lock(struct store *store);
enum err store_unlock(struct store *store, enum err err);

/* store_zone_get: the zone's parameters, links included. ERR_UNKNOWN: a new database. ERR_IO. */
enum err store_zone_get(struct store *store, struct zone_params *ret_zone);
/* store_zone_put: found the zone, or, under store_lock, change it; links stay for ever.
 * ERR_IO, ERR_STORAGE_FULL. */
enum err store_zone_put(struct store *store, const struct zone_params *zone);
/* store_touch: let other processes see a change that is not in the database. */
enum err store_touch(struct store *store);

/* --- edges and streamers (store_revoke.c) --------------------------------------- */

struct store_principal {
    struct id id;
    char name[NAME_BYTES_MAX + 1]; /* a streamer's */
    char last_seen[ISO8601_BYTES];
    bool revoked;
    bool bound;              /* an edge: to a key; a streamer: always */
    uint64_t serial, end_us; /* of the last credential; 0: it never had one */
};
/* store_principal_next: the one whose id follows, in the order of the bytes; "" gives the first.
 * ERR_UNKNOWN: none does. ERR_IO. */
enum err store_principal_next(struct store *store, enum credential_kind kind, const char *after,
                              struct store_principal *ret);

/* What revoking came to. */
struct store_revoking {
    uint32_t serials; /* that are revoked by it */
    uint32_t listed;  /* serials on the list now */
    uint64_t number;  /* of the list */
    uint64_t end_us;  /* of the last credential of the subject that is in date; 0: none is */
};
/*
 * store_revoke: block a subject, and put what it holds in date on the list, since now_us; of a
 * streamer also the last that has ended, while half of the list is free.
 * ERR_UNKNOWN: no such edge, streamer or user. ERR_LIMIT: blocked, but its serials do not fit the
 * list, and none was put there; ret_done is set. ERR_IO, ERR_STORAGE_FULL.
 */
enum err store_revoke(struct store *store, enum credential_kind kind, const struct id *id,
                      uint64_t now_us, struct store_revoking *ret_done);
/* store_rekey: put what an edge holds on the list; the next key that enrols is its own, blocked
 * or not. ERR_UNKNOWN; ERR_LIMIT: its serials do not fit; nothing is changed. ERR_IO,
 * ERR_STORAGE_FULL. */
enum err store_rekey(struct store *store, const struct id *edge_id, uint64_t now_us,
                     struct store_revoking *ret_done);
/* store_admit: a streamer gets credentials again; what is on the list stays there.
 * ERR_UNKNOWN. ERR_IO, ERR_STORAGE_FULL. */
enum err store_admit(struct store *store, const struct id *streamer_id);
/* store_revoked: the list. ERR_UNKNOWN: no zone. ERR_IO. */
enum err store_revoked(struct store *store, struct revoked *ret);

/* --- users ----------------------------------------------------------------------- */

struct store_user {
    struct id id; /* a UUID: the streamer's id */
    char name[USER_BYTES_MAX + 1];
    char password_hash[PASSWORD_HASH_BYTES];
    char created_at[ISO8601_BYTES];
};
/* store_user_add: ERR_CONFLICT: the name or the id is taken. ERR_IO, ERR_STORAGE_FULL. */
enum err store_user_add(struct store *store, const struct store_user *user);
/* store_user_set_hash: a new password. ERR_UNKNOWN: no such user. ERR_IO, ERR_STORAGE_FULL. */
enum err store_user_set_hash(struct store *store, const char *name, const char *password_hash);
/* store_user_find: by name. ERR_UNKNOWN: no such user. ERR_IO. */
enum err store_user_find(struct store *store, struct slice name, struct store_user *ret_user);
/* store_user_get: by id. ERR_UNKNOWN: no such user. ERR_IO. */
enum err store_user_get(struct store *store, const struct id *id, struct store_user *ret_user);
/* store_user_next: the user whose name follows, in the order of the bytes; "" gives the first.
 * ERR_UNKNOWN: none does. ERR_IO. */
enum err store_user_next(struct store *store, const char *after, struct store_user *ret_user);

#endif
