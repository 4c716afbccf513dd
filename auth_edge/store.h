#ifndef AUTH_EDGE_STORE_H
#define AUTH_EDGE_STORE_H
/*
 * auth_edge.db: users, edges and the credentials that were issued, in SQLite
 * (WAL, synchronous=FULL, mode 0600). store.c is the program's only includer of
 * sqlite3.h. Several processes may have the file open: `auth_edge user add`
 * works beside a serving one. One thread per store.
 *
 * Every function that can fail with ERR_IO or ERR_STORAGE_FULL leaves the
 * sentence for the operator in store_error.
 */
#include "auth_edge/records.h"
#include "base/clock.h"
#include "wire/auth.h"

struct store; /* opaque */

enum {
    STORE_ERROR_BYTES = 512,
    STORE_BUSY_TIMEOUT_MS = 2000, /* how long another process may hold the write lock */
};

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

/* store_records: the authority's port; valid as long as the store. */
struct records store_records(struct store *store);

/* store_answered_until: the newest request_us that was issued for; 0: none. ERR_IO. */
enum err store_answered_until(struct store *store, uint64_t *ret_us);

/* What the files beside the database must belong to. */
struct store_zone {
    struct id zone_id;
    uint32_t key_epoch;
    uint64_t issued_us; /* of the parameters */
    struct pubkey sign_pk;
    struct pubkey box_pk;
};
/* store_zone_get: ERR_UNKNOWN: a new database. ERR_IO. */
enum err store_zone_get(struct store *store, struct store_zone *ret_zone);
/* store_zone_put: ERR_IO, ERR_STORAGE_FULL. */
enum err store_zone_put(struct store *store, const struct store_zone *zone);

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
/* store_user_next: the user whose name follows, in the order of the bytes; "" gives the first.
 * ERR_UNKNOWN: none does. ERR_IO. */
enum err store_user_next(struct store *store, const char *after, struct store_user *ret_user);

#endif
