/*
 * Why: what the authority must not forget: which key an edge id belongs to,
 * which serials are given out and which are revoked, who the users are.
 *
 * Invariants
 *   I1  every change is one transaction, on disk (synchronous=FULL) when the
 *       function returns ERR_OK, and undone when it does not.
 *   I2  a serial is never given out twice (AUTOINCREMENT), even if rows are deleted.
 *   I3  no password, token or private key is in the file.
 *   I4  links, revocations and the number of the list never go back.
 */
#include "auth_edge/store.h"

#include "auth_edge/db.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Static_assert((int)STORE_ERROR_BYTES == (int)DB_ERROR_BYTES, "one sentence");

enum { APPLICATION_ID = 0x45434155 /* "ECAU" */, SCHEMA_VERSION = 1 };

/* Signed times are kept exactly, as whole microseconds; the others to be read. */
static const char schema[] =
    "CREATE TABLE zone ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  id TEXT NOT NULL,"
    "  key_epoch INTEGER NOT NULL,"
    "  issued_us INTEGER NOT NULL," /* of the signed parameters */
    "  sign_pk TEXT NOT NULL,"      /* base64; the public half of zone.key */
    "  box_pk TEXT NOT NULL,"       /* of zone.box */
    "  answered_until_us INTEGER NOT NULL DEFAULT 0,"
    "  list_number INTEGER NOT NULL DEFAULT 1," /* of the list of revocations */
    "  touched INTEGER NOT NULL DEFAULT 0"      /* changes of the files beside */
    ") STRICT;"
    "CREATE TABLE zone_links ("
    "  new_epoch INTEGER PRIMARY KEY,"
    "  new_pk TEXT NOT NULL,"
    "  old_epoch INTEGER NOT NULL,"
    "  old_pk TEXT NOT NULL,"
    "  signature TEXT NOT NULL" /* by old_pk */
    ") STRICT;"
    "CREATE TABLE users ("
    "  id TEXT PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE,"
    "  password_hash TEXT NOT NULL,"
    "  created_at TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE edges ("
    "  id TEXT PRIMARY KEY,"
    "  pk TEXT NOT NULL," /* empty: the next key that enrols is its own */
    "  state TEXT NOT NULL DEFAULT 'admitted' CHECK (state IN ('admitted', 'revoked')),"
    "  created_at TEXT NOT NULL,"
    "  last_seen TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE streamers ("
    "  id TEXT PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  state TEXT NOT NULL DEFAULT 'admitted' CHECK (state IN ('admitted', 'revoked')),"
    "  created_at TEXT NOT NULL,"
    "  last_seen TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE credentials ("
    "  serial INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  kind TEXT NOT NULL CHECK (kind IN ('edge', 'streamer')),"
    "  subject TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  pk TEXT NOT NULL,"
    "  key_epoch INTEGER NOT NULL,"
    "  not_before_us INTEGER NOT NULL,"
    "  not_after_us INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX credentials_subject ON credentials (subject);"
    "CREATE TABLE revocations ("
    "  serial INTEGER PRIMARY KEY,"
    "  since_us INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE broker_clients ("
    "  subject TEXT PRIMARY KEY,"
    "  kind TEXT NOT NULL CHECK (kind IN ('edge', 'streamer')),"
    "  generation INTEGER NOT NULL DEFAULT 1," /* of the password */
    "  state TEXT NOT NULL DEFAULT 'wanted'"
    "    CHECK (state IN ('wanted', 'there', 'ending', 'gone'))"
    ") STRICT;"
    /* Whoever is revoked, or loses its key, loses its account. */
    "CREATE TRIGGER edge_loses_account AFTER UPDATE OF pk, state ON edges"
    " WHEN new.state = 'revoked' OR (old.pk <> '' AND new.pk <> old.pk) BEGIN"
    "  UPDATE broker_clients SET state = 'ending'"
    "  WHERE subject = new.id AND kind = 'edge' AND state <> 'gone';"
    " END;"
    "CREATE TRIGGER streamer_loses_account AFTER UPDATE OF state ON streamers"
    " WHEN new.state = 'revoked' BEGIN"
    "  UPDATE broker_clients SET state = 'ending'"
    "  WHERE subject = new.id AND kind = 'streamer' AND state <> 'gone';"
    " END;"
    "CREATE VIEW credentials_readable AS"
    "  SELECT serial, kind, subject, name, datetime(not_before_us / 1000000, 'unixepoch')"
    "  AS not_before, datetime(not_after_us / 1000000, 'unixepoch') AS not_after,"
    "  datetime(since_us / 1000000, 'unixepoch') AS revoked_since, pk"
    "  FROM credentials LEFT JOIN revocations USING (serial);";

/* --- opening --------------------------------------------------------------------- */

static enum err create_schema(struct store *store)
{
    char pragmas[96];
    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d",
             APPLICATION_ID, SCHEMA_VERSION);
    enum err err = db_run(store, schema, "create the tables");
    return err == ERR_OK ? db_run(store, pragmas, "create the tables") : err;
}

/* Inside a transaction, so that two processes at once make one database. */
static enum err check_schema(struct store *store)
{
    uint64_t application_id = 0, version = 0, tables = 0;
    enum err err = db_number(store, "PRAGMA application_id", &application_id);
    if (err == ERR_OK)
        err = db_number(store, "PRAGMA user_version", &version);
    if (err == ERR_OK)
        err = db_number(store, "SELECT count(*) FROM sqlite_schema", &tables);
    if (err != ERR_OK)
        return err;
    if (!application_id && !version && !tables)
        return create_schema(store);
    if (application_id == APPLICATION_ID && version == SCHEMA_VERSION)
        return ERR_OK;
    if (application_id == APPLICATION_ID)
        snprintf(store->error, sizeof(store->error),
                 "auth_edge.db is of version %llu, this program knows %d; use a newer program",
                 (unsigned long long)version, SCHEMA_VERSION);
    else
        snprintf(store->error, sizeof(store->error),
                 "auth_edge.db is another program's database; use another folder");
    return ERR_FORMAT;
}

/* SQLite would create it readable to others; it gives -wal and -shm the file's mode. */
static enum err create_file(struct store *store, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) {
        snprintf(store->error, sizeof(store->error), "cannot create %.300s: %s", path,
                 strerror(errno));
        return ERR_IO;
    }
    if (fd >= 0)
        close(fd);
    return ERR_OK;
}

enum err store_open(const char *path, struct store **ret_store,
                    char ret_error[static STORE_ERROR_BYTES])
{
    struct store *store = mem_alloc(sizeof(*store));
    enum err err = create_file(store, path);
    if (err == ERR_OK)
        err = db_open(store, path);
    if (err == ERR_OK)
        err = db_begin(store);
    if (err == ERR_OK)
        err = db_finish(store, check_schema(store));
    if (err != ERR_OK) {
        snprintf(ret_error, STORE_ERROR_BYTES, "%s", store->error);
        store_close(store);
        return err;
    }
    *ret_store = store;
    return ERR_OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    db_close(store->db);
    free(store);
}

const char *store_error(const struct store *store)
{
    return store->error;
}

bool store_changed(struct store *store)
{
    uint64_t version;
    if (db_number(store, "PRAGMA data_version", &version) != ERR_OK)
        return false;
    bool changed = version != store->version_seen;
    store->version_seen = version;
    return changed;
}

enum err store_lock(struct store *store)
{
    return db_begin(store);
}

enum err store_unlock(struct store *store, enum err err)
{
    return db_finish(store, err);
}

/* --- the zone -------------------------------------------------------------------- */

/* Up to the epoch of the row that was read: a rotation may have come in between. */
static enum err get_links(struct store *store, struct zone_params *zone)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store,
                              "SELECT old_epoch, old_pk, new_epoch, new_pk, signature"
                              " FROM zone_links WHERE new_epoch <= ?1 ORDER BY new_epoch",
                              &stmt);
    if (err != ERR_OK)
        return err;
    bind_u64(stmt, 1, zone->key_epoch);
    while ((err = db_row(store, stmt)) == ERR_OK) {
        if (zone->links_n == ZONE_LINKS_MAX)
            return db_damaged(store, "zone_links");
        struct zone_link *link = &zone->links[zone->links_n++];
        link->old_epoch = (uint32_t)column_u64(stmt, 0);
        link->new_epoch = (uint32_t)column_u64(stmt, 2);
        if (!column_bytes(stmt, 1, link->old_pk.b, KEY_BYTES) ||
            !column_bytes(stmt, 3, link->new_pk.b, KEY_BYTES) ||
            !column_bytes(stmt, 4, link->sig.b, SIGNATURE_BYTES))
            return db_damaged(store, "zone_links");
    }
    return err == ERR_UNKNOWN ? ERR_OK : err;
}

static enum err get_zone(struct store *store, struct zone_params *ret)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err =
        db_prepare(store, "SELECT id, key_epoch, issued_us, sign_pk, box_pk FROM zone", &stmt);
    if (err == ERR_OK)
        err = db_row(store, stmt);
    if (err != ERR_OK)
        return err;
    ret->key_epoch = (uint32_t)column_u64(stmt, 1);
    ret->issued_us = column_u64(stmt, 2);
    if (id_parse(column_text(stmt, 0), &ret->zone_id) != ERR_OK ||
        !column_bytes(stmt, 3, ret->sign_pk.b, KEY_BYTES) ||
        !column_bytes(stmt, 4, ret->box_pk.b, KEY_BYTES))
        return db_damaged(store, "zone");
    return ERR_OK;
}

enum err store_zone_get(struct store *store, struct zone_params *ret_zone)
{
    struct zone_params zone = {0};
    enum err err = get_zone(store, &zone);
    if (err == ERR_OK)
        err = get_links(store, &zone);
    if (err == ERR_OK)
        *ret_zone = zone;
    return err;
}

static enum err put_link(struct store *store, const struct zone_link *link)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store,
                              "INSERT OR IGNORE INTO zone_links"
                              " (old_epoch, old_pk, new_epoch, new_pk, signature)"
                              " VALUES (?1, ?2, ?3, ?4, ?5)",
                              &stmt);
    if (err != ERR_OK)
        return err;
    bind_u64(stmt, 1, link->old_epoch);
    bind_key(stmt, 2, &link->old_pk);
    bind_u64(stmt, 3, link->new_epoch);
    bind_key(stmt, 4, &link->new_pk);
    bind_b64(stmt, 5, slice_of(link->sig.b, SIGNATURE_BYTES));
    return db_done(store, stmt, "write a link");
}

enum err store_zone_put(struct store *store, const struct zone_params *zone)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    CHECK(zone->links_n <= ZONE_LINKS_MAX);
    enum err err = db_prepare(store,
                              "INSERT INTO zone (one, id, key_epoch, issued_us, sign_pk, box_pk)"
                              " VALUES (1, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (one) DO UPDATE SET"
                              " id = ?1, key_epoch = ?2, issued_us = ?3, sign_pk = ?4, box_pk = ?5",
                              &stmt);
    if (err != ERR_OK)
        return err;
    bind_id(stmt, 1, &zone->zone_id);
    bind_u64(stmt, 2, zone->key_epoch);
    bind_u64(stmt, 3, zone->issued_us);
    bind_key(stmt, 4, &zone->sign_pk);
    bind_key(stmt, 5, &zone->box_pk);
    err = db_done(store, stmt, "write the zone");
    for (size_t i = 0; err == ERR_OK && i < zone->links_n; i++)
        err = put_link(store, &zone->links[i]);
    return err;
}

enum err store_touch(struct store *store)
{
    return db_run(store, "UPDATE zone SET touched = touched + 1", "write the zone");
}

enum err store_answered_until(struct store *store, uint64_t *ret_us)
{
    uint64_t us = 0;
    enum err err = db_number(store, "SELECT answered_until_us FROM zone", &us);
    if (err != ERR_OK && err != ERR_UNKNOWN)
        return err;
    *ret_us = us;
    return ERR_OK;
}

/* --- users ----------------------------------------------------------------------- */

enum err store_user_add(struct store *store, const struct store_user *user)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store,
                              "INSERT INTO users (id, name, password_hash, created_at)"
                              " VALUES (?1, ?2, ?3, ?4)",
                              &stmt);
    if (err != ERR_OK)
        return err;
    bind_text(stmt, 1, id_slice(&user->id));
    bind_text(stmt, 2, slice_str(user->name));
    bind_text(stmt, 3, slice_str(user->password_hash));
    bind_text(stmt, 4, slice_str(user->created_at));
    return db_done(store, stmt, "write a user");
}

enum err store_user_set_hash(struct store *store, const char *name, const char *password_hash)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store, "UPDATE users SET password_hash = ?2 WHERE name = ?1", &stmt);
    if (err != ERR_OK)
        return err;
    bind_text(stmt, 1, slice_str(name));
    bind_text(stmt, 2, slice_str(password_hash));
    err = db_done(store, stmt, "write a user");
    if (err == ERR_OK && db_changes(store) == 0)
        err = ERR_UNKNOWN;
    return err;
}

/* The first user that a condition on the text ?1 gives. */
static enum err get_user(struct store *store, const char *sql, struct slice text,
                         struct store_user *ret_user)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store, sql, &stmt);
    if (err != ERR_OK)
        return err;
    bind_text(stmt, 1, text);
    err = db_row(store, stmt);
    if (err != ERR_OK)
        return err;
    struct store_user user;
    if (id_parse(column_text(stmt, 0), &user.id) != ERR_OK ||
        !column_copy(stmt, 1, user.name, sizeof(user.name)) ||
        !column_copy(stmt, 2, user.password_hash, sizeof(user.password_hash)) ||
        !column_copy(stmt, 3, user.created_at, sizeof(user.created_at)))
        return db_damaged(store, "users");
    *ret_user = user;
    return ERR_OK;
}

enum err store_user_find(struct store *store, struct slice name, struct store_user *ret_user)
{
    return get_user(store, "SELECT id, name, password_hash, created_at FROM users WHERE name = ?1",
                    name, ret_user);
}

enum err store_user_get(struct store *store, const struct id *id, struct store_user *ret_user)
{
    return get_user(store, "SELECT id, name, password_hash, created_at FROM users WHERE id = ?1",
                    id_slice(id), ret_user);
}

enum err store_user_next(struct store *store, const char *after, struct store_user *ret_user)
{
    return get_user(store,
                    "SELECT id, name, password_hash, created_at FROM users WHERE name > ?1"
                    " ORDER BY name LIMIT 1",
                    slice_str(after), ret_user);
}
