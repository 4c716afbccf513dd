/*
 * Why: what the authority must not forget: which key an edge id belongs to,
 * which serials are given out, who the users are.
 *
 * Invariants
 *   I1  every change is one transaction, on disk (synchronous=FULL) when the
 *       function returns ERR_OK, and undone when it does not.
 *   I2  a serial is never given out twice (AUTOINCREMENT), even if rows are deleted.
 *   I3  no password, token or private key is in the file.
 */
#include "auth_edge/store.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { APPLICATION_ID = 0x45434155 /* "ECAU" */, SCHEMA_VERSION = 1 };
enum { KEY_TEXT_BYTES = (KEY_BYTES + 2) / 3 * 4 + 1 };

struct store {
    sqlite3 *db;
    char error[STORE_ERROR_BYTES];
};

/* Signed times are kept exactly, as whole microseconds; the others to be read. */
static const char schema[] =
    "CREATE TABLE zone ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  id TEXT NOT NULL,"
    "  key_epoch INTEGER NOT NULL,"
    "  issued_us INTEGER NOT NULL," /* of the signed parameters */
    "  sign_pk TEXT NOT NULL,"      /* base64; the public half of zone.key */
    "  box_pk TEXT NOT NULL,"       /* of zone.box */
    "  answered_until_us INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE TABLE users ("
    "  id TEXT PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE,"
    "  password_hash TEXT NOT NULL,"
    "  created_at TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE edges ("
    "  id TEXT PRIMARY KEY,"
    "  pk TEXT NOT NULL,"
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
    "CREATE VIEW credentials_readable AS"
    "  SELECT serial, kind, subject, name, datetime(not_before_us / 1000000, 'unixepoch')"
    "  AS not_before, datetime(not_after_us / 1000000, 'unixepoch') AS not_after, pk"
    "  FROM credentials;";

/* --- SQLite ---------------------------------------------------------------------- */

static enum err fail(struct store *store, const char *what)
{
    int code = sqlite3_errcode(store->db) & 0xff;
    int cause = sqlite3_system_errno(store->db);
    snprintf(store->error, sizeof(store->error), "auth_edge.db: cannot %s: %s", what,
             sqlite3_errmsg(store->db));
    bool full =
        code == SQLITE_FULL || (code == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT));
    return full ? ERR_STORAGE_FULL : ERR_IO;
}

static enum err run(struct store *store, const char *sql, const char *what)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : fail(store, what);
}

static void finalize(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
}

/* The statements are ours: one that does not compile is a damaged file or no memory. */
static enum err prepare(struct store *store, const char *sql, sqlite3_stmt **ret)
{
    int code = sqlite3_prepare_v2(store->db, sql, -1, ret, NULL);
    return code == SQLITE_OK ? ERR_OK : fail(store, "read");
}

static void bind_text(sqlite3_stmt *stmt, int i, struct slice text)
{
    const char *ptr = text.len ? (const char *)text.ptr : "";
    CHECK(sqlite3_bind_text(stmt, i, ptr, (int)text.len, SQLITE_TRANSIENT) == SQLITE_OK);
}

static void bind_u64(sqlite3_stmt *stmt, int i, uint64_t v)
{
    CHECK(v <= INT64_MAX);
    CHECK(sqlite3_bind_int64(stmt, i, (sqlite3_int64)v) == SQLITE_OK);
}

static void bind_key(sqlite3_stmt *stmt, int i, const struct pubkey *pk)
{
    char text[KEY_TEXT_BYTES];
    b64_encode(slice_of(pk->b, KEY_BYTES), text);
    bind_text(stmt, i, slice_str(text));
}

static uint64_t column_u64(sqlite3_stmt *stmt, int i)
{
    return (uint64_t)sqlite3_column_int64(stmt, i);
}

static struct slice column_text(sqlite3_stmt *stmt, int i)
{
    const unsigned char *text = sqlite3_column_text(stmt, i);
    return slice_of(text, (size_t)sqlite3_column_bytes(stmt, i));
}

/* A text of at most max - 1 bytes with its NUL; a longer one was not written by us. */
static bool column_copy(sqlite3_stmt *stmt, int i, char *to, size_t max)
{
    struct slice text = column_text(stmt, i);
    if (text.len >= max)
        return false;
    if (text.len)
        memcpy(to, text.ptr, text.len);
    to[text.len] = '\0';
    return true;
}

static enum err damaged(struct store *store, const char *what)
{
    snprintf(store->error, sizeof(store->error),
             "auth_edge.db: a row of %s is not one of ours; restore a backup", what);
    return ERR_IO;
}

/* A statement that returns no row. */
static enum err step_done(struct store *store, sqlite3_stmt *stmt, const char *what)
{
    return sqlite3_step(stmt) == SQLITE_DONE ? ERR_OK : fail(store, what);
}

/* ERR_OK: a row is there; ERR_UNKNOWN: none. */
static enum err step_row(struct store *store, sqlite3_stmt *stmt)
{
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        return ERR_OK;
    return code == SQLITE_DONE ? ERR_UNKNOWN : fail(store, "read");
}

static enum err read_number(struct store *store, const char *sql, uint64_t *ret)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err = prepare(store, sql, &stmt);
    if (err == ERR_OK)
        err = step_row(store, stmt);
    if (err == ERR_OK)
        *ret = column_u64(stmt, 0);
    return err;
}

/* I1: end a transaction, whatever came before. */
static enum err finish(struct store *store, enum err err)
{
    if (err == ERR_OK)
        err = run(store, "COMMIT", "write");
    if (err != ERR_OK)
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* --- opening --------------------------------------------------------------------- */

static enum err create_schema(struct store *store)
{
    char pragmas[96];
    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d",
             APPLICATION_ID, SCHEMA_VERSION);
    enum err err = run(store, schema, "create the tables");
    return err == ERR_OK ? run(store, pragmas, "create the tables") : err;
}

/* Inside a transaction, so that two processes at once make one database. */
static enum err check_schema(struct store *store)
{
    uint64_t application_id = 0, version = 0, tables = 0;
    enum err err = read_number(store, "PRAGMA application_id", &application_id);
    if (err == ERR_OK)
        err = read_number(store, "PRAGMA user_version", &version);
    if (err == ERR_OK)
        err = read_number(store, "SELECT count(*) FROM sqlite_schema", &tables);
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

static enum err open_db(struct store *store, const char *path)
{
    enum err err = create_file(store, path);
    if (err != ERR_OK)
        return err;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK)
        return fail(store, "open it");
    if (sqlite3_db_readonly(store->db, "main") == 1) {
        snprintf(store->error, sizeof(store->error), "%.300s cannot be written", path);
        return ERR_IO;
    }
    sqlite3_extended_result_codes(store->db, 0);
    sqlite3_busy_timeout(store->db, STORE_BUSY_TIMEOUT_MS);
    err = run(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", "open it");
    if (err == ERR_OK)
        err = run(store, "BEGIN IMMEDIATE", "open it");
    if (err == ERR_OK)
        err = finish(store, check_schema(store));
    return err;
}

enum err store_open(const char *path, struct store **ret_store,
                    char ret_error[static STORE_ERROR_BYTES])
{
    struct store *store = mem_alloc(sizeof(*store));
    enum err err = open_db(store, path);
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
    CHECK(sqlite3_close(store->db) == SQLITE_OK);
    free(store);
}

const char *store_error(const struct store *store)
{
    return store->error;
}

/* --- the zone -------------------------------------------------------------------- */

static bool column_key(sqlite3_stmt *stmt, int i, struct pubkey *ret)
{
    size_t len;
    return b64_decode(column_text(stmt, i), ret->b, KEY_BYTES, &len) == ERR_OK && len == KEY_BYTES;
}

enum err store_zone_get(struct store *store, struct store_zone *ret_zone)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err =
        prepare(store, "SELECT id, key_epoch, issued_us, sign_pk, box_pk FROM zone", &stmt);
    if (err == ERR_OK)
        err = step_row(store, stmt);
    if (err != ERR_OK)
        return err;
    struct store_zone zone = {.key_epoch = (uint32_t)column_u64(stmt, 1),
                              .issued_us = column_u64(stmt, 2)};
    if (id_parse(column_text(stmt, 0), &zone.zone_id) != ERR_OK ||
        !column_key(stmt, 3, &zone.sign_pk) || !column_key(stmt, 4, &zone.box_pk))
        return damaged(store, "zone");
    *ret_zone = zone;
    return ERR_OK;
}

enum err store_zone_put(struct store *store, const struct store_zone *zone)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err = prepare(store,
                           "INSERT INTO zone (one, id, key_epoch, issued_us, sign_pk, box_pk)"
                           " VALUES (1, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (one) DO UPDATE SET"
                           " id = ?1, key_epoch = ?2, issued_us = ?3, sign_pk = ?4, box_pk = ?5",
                           &stmt);
    if (err != ERR_OK)
        return err;
    bind_text(stmt, 1, id_slice(&zone->zone_id));
    bind_u64(stmt, 2, zone->key_epoch);
    bind_u64(stmt, 3, zone->issued_us);
    bind_key(stmt, 4, &zone->sign_pk);
    bind_key(stmt, 5, &zone->box_pk);
    return step_done(store, stmt, "write the zone");
}

enum err store_answered_until(struct store *store, uint64_t *ret_us)
{
    uint64_t us = 0;
    enum err err = read_number(store, "SELECT answered_until_us FROM zone", &us);
    if (err != ERR_OK && err != ERR_UNKNOWN)
        return err;
    *ret_us = us;
    return ERR_OK;
}

/* --- issuing --------------------------------------------------------------------- */

static const char *kind_text(enum credential_kind kind)
{
    return kind == CREDENTIAL_EDGE ? "edge" : "streamer";
}

/* ERR_CONFLICT: the id is bound to another key. */
static enum err bind_edge(struct store *store, const struct issue *issue)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err = prepare(store,
                           "INSERT INTO edges (id, pk, created_at, last_seen)"
                           " VALUES (?1, ?2, ?3, ?3) ON CONFLICT (id) DO UPDATE"
                           " SET last_seen = ?3 WHERE pk = ?2",
                           &stmt);
    if (err != ERR_OK)
        return err;
    char now[ISO8601_BYTES];
    clock_iso8601(issue->now_us, now);
    bind_text(stmt, 1, id_slice(&issue->credential.subject));
    bind_key(stmt, 2, &issue->credential.pk);
    bind_text(stmt, 3, slice_str(now));
    err = step_done(store, stmt, "write an edge");
    if (err == ERR_OK && sqlite3_changes(store->db) == 0)
        err = ERR_CONFLICT;
    return err;
}

/* The parameters ?1 to ?5 of both statements below: all of a credential but serial and dates. */
static void bind_credential(sqlite3_stmt *stmt, const struct credential *c)
{
    bind_text(stmt, 1, slice_str(kind_text(c->kind)));
    bind_text(stmt, 2, id_slice(&c->subject));
    bind_text(stmt, 3, c->display_name);
    bind_key(stmt, 4, &c->pk);
    bind_u64(stmt, 5, c->key_epoch);
}

/* ERR_UNKNOWN: none that may be given again. */
static enum err find_credential(struct store *store, const struct issue *issue, struct issued *ret)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err = prepare(store,
                           "SELECT serial, not_before_us, not_after_us FROM credentials"
                           " WHERE kind = ?1 AND subject = ?2 AND name = ?3 AND pk = ?4"
                           " AND key_epoch = ?5 AND not_before_us <= ?6 AND not_after_us >= ?7"
                           " AND not_after_us <= ?8 ORDER BY serial DESC LIMIT 1",
                           &stmt);
    if (err != ERR_OK)
        return err;
    bind_credential(stmt, &issue->credential);
    bind_u64(stmt, 6, issue->now_us);
    bind_u64(stmt, 7, issue->reuse_from_us);
    bind_u64(stmt, 8, issue->credential.not_after_us);
    err = step_row(store, stmt);
    if (err == ERR_OK)
        *ret = (struct issued){column_u64(stmt, 0), column_u64(stmt, 1), column_u64(stmt, 2)};
    return err;
}

static enum err add_credential(struct store *store, const struct credential *c, struct issued *ret)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err = prepare(store,
                           "INSERT INTO credentials (kind, subject, name, pk, key_epoch,"
                           " not_before_us, not_after_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                           &stmt);
    if (err != ERR_OK)
        return err;
    bind_credential(stmt, c);
    bind_u64(stmt, 6, c->not_before_us);
    bind_u64(stmt, 7, c->not_after_us);
    err = step_done(store, stmt, "write a credential");
    if (err == ERR_OK)
        *ret = (struct issued){(uint64_t)sqlite3_last_insert_rowid(store->db), c->not_before_us,
                               c->not_after_us};
    return err;
}

static enum err note_answered(struct store *store, uint64_t request_us)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err =
        prepare(store, "UPDATE zone SET answered_until_us = max(answered_until_us, ?1)", &stmt);
    if (err != ERR_OK)
        return err;
    bind_u64(stmt, 1, request_us);
    return step_done(store, stmt, "write the time of a request");
}

static enum err record(struct store *store, const struct issue *issue, struct issued *ret)
{
    enum err err = ERR_OK;
    if (issue->credential.kind == CREDENTIAL_EDGE)
        err = bind_edge(store, issue);
    if (err == ERR_OK)
        err = find_credential(store, issue, ret);
    if (err == ERR_UNKNOWN)
        err = add_credential(store, &issue->credential, ret);
    if (err == ERR_OK)
        err = note_answered(store, issue->request_us);
    return err;
}

static enum err issue_credential(void *ctx, const struct issue *issue, struct issued *ret_issued)
{
    struct store *store = ctx;
    struct issued issued;
    enum err err = run(store, "BEGIN IMMEDIATE", "write");
    if (err != ERR_OK)
        return err;
    err = finish(store, record(store, issue, &issued));
    if (err == ERR_OK)
        *ret_issued = issued;
    return err;
}

struct records store_records(struct store *store)
{
    return (struct records){.ctx = store, .issue = issue_credential};
}

/* --- users ----------------------------------------------------------------------- */

enum err store_user_add(struct store *store, const struct store_user *user)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err = prepare(store,
                           "INSERT INTO users (id, name, password_hash, created_at)"
                           " VALUES (?1, ?2, ?3, ?4)",
                           &stmt);
    if (err != ERR_OK)
        return err;
    bind_text(stmt, 1, id_slice(&user->id));
    bind_text(stmt, 2, slice_str(user->name));
    bind_text(stmt, 3, slice_str(user->password_hash));
    bind_text(stmt, 4, slice_str(user->created_at));
    if (sqlite3_step(stmt) == SQLITE_DONE)
        return ERR_OK;
    if (sqlite3_errcode(store->db) == SQLITE_CONSTRAINT)
        return ERR_CONFLICT;
    return fail(store, "write a user");
}

enum err store_user_set_hash(struct store *store, const char *name, const char *password_hash)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err = prepare(store, "UPDATE users SET password_hash = ?2 WHERE name = ?1", &stmt);
    if (err != ERR_OK)
        return err;
    bind_text(stmt, 1, slice_str(name));
    bind_text(stmt, 2, slice_str(password_hash));
    err = step_done(store, stmt, "write a user");
    if (err == ERR_OK && sqlite3_changes(store->db) == 0)
        err = ERR_UNKNOWN;
    return err;
}

/* The first user that a condition on the name ?1 gives. */
static enum err get_user(struct store *store, const char *sql, struct slice name,
                         struct store_user *ret_user)
{
    CLEANUP(finalize) sqlite3_stmt *stmt = NULL;
    enum err err = prepare(store, sql, &stmt);
    if (err != ERR_OK)
        return err;
    bind_text(stmt, 1, name);
    err = step_row(store, stmt);
    if (err != ERR_OK)
        return err;
    struct store_user user;
    if (id_parse(column_text(stmt, 0), &user.id) != ERR_OK ||
        !column_copy(stmt, 1, user.name, sizeof(user.name)) ||
        !column_copy(stmt, 2, user.password_hash, sizeof(user.password_hash)) ||
        !column_copy(stmt, 3, user.created_at, sizeof(user.created_at)))
        return damaged(store, "users");
    *ret_user = user;
    return ERR_OK;
}

enum err store_user_find(struct store *store, struct slice name, struct store_user *ret_user)
{
    return get_user(store, "SELECT id, name, password_hash, created_at FROM users WHERE name = ?1",
                    name, ret_user);
}

enum err store_user_next(struct store *store, const char *after, struct store_user *ret_user)
{
    return get_user(store,
                    "SELECT id, name, password_hash, created_at FROM users WHERE name > ?1"
                    " ORDER BY name LIMIT 1",
                    slice_str(after), ret_user);
}
