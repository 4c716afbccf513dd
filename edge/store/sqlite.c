/*
 * The only includer of sqlite3.h in the edge.
 *
 * I1  db->err is set by the first failure and changed by nothing but db_clear.
 * I2  while db->err is set no statement is stepped.
 * I3  SQLITE_FULL, and an I/O error whose cause is a full disk or quota, are ERR_STORAGE_FULL:
 *     the database is sound and may work again. So it is while another process has it locked:
 *     ERR_BUSY. Every other failure is ERR_IO.
 */
#include "edge/store/sqlite.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static enum err err_of(struct db *db, int code)
{
    int cause = sqlite3_system_errno(db->handle);
    switch (code & 0xff) {
    case SQLITE_FULL: return ERR_STORAGE_FULL;
    case SQLITE_NOTADB: return ERR_FORMAT;
    case SQLITE_BUSY: return ERR_BUSY;
    case SQLITE_IOERR: return cause == ENOSPC || cause == EDQUOT ? ERR_STORAGE_FULL : ERR_IO;
    default: return ERR_IO;
    }
}

/* I1, I3 */
static void fail(struct db *db, int code)
{
    if (db->err)
        return;
    db->err = err_of(db, code);
    snprintf(db->error, sizeof(db->error), "%.120s: %s (SQLite error %d)", db->path,
             sqlite3_errmsg(db->handle), code);
}

void db_corrupt(struct db *db, const char *what)
{
    if (db->err)
        return;
    db->err = ERR_IO;
    snprintf(db->error, sizeof(db->error), "%.120s: %s is damaged", db->path, what);
}

void db_open(struct db *db, const char *path)
{
    *db = (struct db){.path = path};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (code != SQLITE_OK) {
        fail(db, code);
        return;
    }
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

void db_close(struct db *db)
{
    for (int i = 0; i < db->queries_n; i++)
        sqlite3_finalize(db->queries[i].stmt);
    free(db->queries);
    CHECK(sqlite3_close(db->handle) == SQLITE_OK);
    *db = (struct db){0};
}

void db_exec(struct db *db, const char *sql)
{
    if (db->err)
        return;
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        fail(db, code);
}

int64_t db_int(struct db *db, const char *sql)
{
    if (db->err)
        return 0;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        fail(db, code);
    sqlite3_finalize(stmt);
    return value;
}

void db_prepare(struct db *db, const char *const *sql, int n, int first, int end)
{
    if (!db->queries) {
        db->queries = mem_array((size_t)n, sizeof(*db->queries));
        db->queries_n = n;
    }
    for (int i = first; i < end && !db->err; i++) {
        struct query *q = &db->queries[i];
        q->db = db;
        int code =
            sqlite3_prepare_v3(db->handle, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
        if (code != SQLITE_OK)
            fail(db, code);
    }
}

bool db_in_transaction(const struct db *db)
{
    return !sqlite3_get_autocommit(db->handle);
}

enum err db_clear(struct db *db)
{
    enum err err = db->err;
    db->err = ERR_OK;
    return err;
}

struct query *query_start(struct db *db, int i)
{
    CHECK(i >= 0 && i < db->queries_n && db->queries[i].stmt);
    return &db->queries[i];
}

static void bound(struct query *q, int code)
{
    if (code != SQLITE_OK)
        fail(q->db, code);
}

void bind_int(struct query *q, int at, uint64_t v)
{
    bound(q, sqlite3_bind_int64(q->stmt, at, (sqlite3_int64)v));
}

void bind_text(struct query *q, int at, struct slice v)
{
    const char *text = v.len ? (const char *)v.ptr : "";
    bound(q, sqlite3_bind_text64(q->stmt, at, text, v.len, SQLITE_STATIC, SQLITE_UTF8));
}

void bind_blob(struct query *q, int at, struct slice v)
{
    const void *bytes = v.len ? (const void *)v.ptr : "";
    bound(q, sqlite3_bind_blob64(q->stmt, at, bytes, v.len, SQLITE_STATIC));
}

void bind_null(struct query *q, int at)
{
    bound(q, sqlite3_bind_null(q->stmt, at));
}

bool query_row(struct query *q)
{
    if (q->db->err)
        return false; /* I2 */
    int code = sqlite3_step(q->stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        fail(q->db, code);
    return code == SQLITE_ROW;
}

void query_end(struct query *q)
{
    sqlite3_reset(q->stmt); /* repeats the error of the last step, which was taken there */
}

void query_run(struct query *q)
{
    CHECK(!query_row(q));
    query_end(q);
}

uint64_t col_int(struct query *q, int at)
{
    return (uint64_t)sqlite3_column_int64(q->stmt, at);
}

struct slice col_slice(struct query *q, int at)
{
    const void *bytes = sqlite3_column_blob(q->stmt, at);
    int len = sqlite3_column_bytes(q->stmt, at);
    return slice_of(bytes, len > 0 ? (size_t)len : 0);
}

struct slice col_copy(struct query *q, int at, struct arena *arena)
{
    return arena_copy(arena, col_slice(q, at));
}

void col_hash(struct query *q, int at, struct hash *ret)
{
    struct slice bytes = col_slice(q, at);
    *ret = (struct hash){0};
    if (bytes.len == HASH_BYTES)
        memcpy(ret->b, bytes.ptr, HASH_BYTES);
    else
        db_corrupt(q->db, "a hash");
}

void col_id(struct query *q, int at, struct id *ret)
{
    *ret = (struct id){0};
    if (id_parse(col_slice(q, at), ret) != ERR_OK)
        db_corrupt(q->db, "an id");
}
