/* The only file that knows SQLite. */
#include "auth_edge/db.h"

#include "base/check.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

enum { BOUND_BYTES_MAX = 64, BOUND_TEXT_BYTES = (BOUND_BYTES_MAX + 2) / 3 * 4 + 1 };

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

enum err db_open(struct store *store, const char *path)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK)
        return fail(store, "open it");
    if (sqlite3_db_readonly(store->db, "main") == 1) {
        snprintf(store->error, sizeof(store->error), "%.300s cannot be written", path);
        return ERR_IO;
    }
    sqlite3_extended_result_codes(store->db, 0);
    sqlite3_busy_timeout(store->db, DB_BUSY_TIMEOUT_MS);
    return db_run(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", "open it");
}

void db_close(struct sqlite3 *db)
{
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

enum err db_run(struct store *store, const char *sql, const char *what)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : fail(store, what);
}

enum err db_number(struct store *store, const char *sql, uint64_t *ret)
{
    CLEANUP(db_finalize) sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store, sql, &stmt);
    if (err == ERR_OK)
        err = db_row(store, stmt);
    if (err == ERR_OK)
        *ret = column_u64(stmt, 0);
    return err;
}

enum err db_begin(struct store *store)
{
    return db_run(store, "BEGIN IMMEDIATE", "write");
}

enum err db_finish(struct store *store, enum err err)
{
    if (err == ERR_OK)
        err = db_run(store, "COMMIT", "write");
    if (err != ERR_OK)
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

enum err db_damaged(struct store *store, const char *table)
{
    snprintf(store->error, sizeof(store->error),
             "auth_edge.db: a row of %s is not one of ours; restore a backup", table);
    return ERR_IO;
}

/* The statements are ours: one that does not compile is a damaged file or no memory. */
enum err db_prepare(struct store *store, const char *sql, sqlite3_stmt **ret)
{
    int code = sqlite3_prepare_v2(store->db, sql, -1, ret, NULL);
    return code == SQLITE_OK ? ERR_OK : fail(store, "read");
}

void db_finalize(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
}

enum err db_row(struct store *store, sqlite3_stmt *stmt)
{
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        return ERR_OK;
    return code == SQLITE_DONE ? ERR_UNKNOWN : fail(store, "read");
}

enum err db_done(struct store *store, sqlite3_stmt *stmt, const char *what)
{
    if (sqlite3_step(stmt) == SQLITE_DONE)
        return ERR_OK;
    enum err err = fail(store, what);
    return (sqlite3_errcode(store->db) & 0xff) == SQLITE_CONSTRAINT ? ERR_CONFLICT : err;
}

uint64_t db_changes(struct store *store)
{
    return (uint64_t)sqlite3_changes(store->db);
}

uint64_t db_last_id(struct store *store)
{
    return (uint64_t)sqlite3_last_insert_rowid(store->db);
}

/* --- parameters and columns ------------------------------------------------------ */

void bind_text(sqlite3_stmt *stmt, int i, struct slice text)
{
    const char *ptr = text.len ? (const char *)text.ptr : "";
    CHECK(sqlite3_bind_text(stmt, i, ptr, (int)text.len, SQLITE_TRANSIENT) == SQLITE_OK);
}

void bind_u64(sqlite3_stmt *stmt, int i, uint64_t v)
{
    CHECK(v <= INT64_MAX);
    CHECK(sqlite3_bind_int64(stmt, i, (sqlite3_int64)v) == SQLITE_OK);
}

void bind_b64(sqlite3_stmt *stmt, int i, struct slice bytes)
{
    char text[BOUND_TEXT_BYTES];
    CHECK(bytes.len <= BOUND_BYTES_MAX);
    b64_encode(bytes, text);
    bind_text(stmt, i, slice_str(text));
}

uint64_t column_u64(sqlite3_stmt *stmt, int i)
{
    return (uint64_t)sqlite3_column_int64(stmt, i);
}

struct slice column_text(sqlite3_stmt *stmt, int i)
{
    const unsigned char *text = sqlite3_column_text(stmt, i);
    return slice_of(text, (size_t)sqlite3_column_bytes(stmt, i));
}

bool column_copy(sqlite3_stmt *stmt, int i, char *to, size_t max)
{
    struct slice text = column_text(stmt, i);
    if (text.len >= max)
        return false;
    if (text.len)
        memcpy(to, text.ptr, text.len);
    to[text.len] = '\0';
    return true;
}

bool column_bytes(sqlite3_stmt *stmt, int i, uint8_t *ret, size_t n)
{
    uint8_t bytes[BOUND_BYTES_MAX];
    struct slice text = column_text(stmt, i);
    size_t len;
    if (text.len >= BOUND_TEXT_BYTES || b64_decode(text, bytes, sizeof(bytes), &len) != ERR_OK ||
        len != n)
        return false;
    memcpy(ret, bytes, n);
    return true;
}
