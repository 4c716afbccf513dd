#ifndef AUTH_EDGE_DB_H
#define AUTH_EDGE_DB_H
/*
 * SQLite, behind what the files of the store need of it. db.c is the program's
 * only includer of sqlite3.h. Statements are prepared for one use each: the
 * authority writes a few rows a second.
 *
 * Every function that fails has left its sentence in store->error. One thread
 * per store.
 */
#include "base/id.h"
#include "trust/object.h"

struct sqlite3;
struct sqlite3_stmt;

enum {
    DB_ERROR_BYTES = 512,
    DB_BUSY_TIMEOUT_MS = 2000, /* how long another process may hold the write lock */
};

struct store {
    struct sqlite3 *db;
    char error[DB_ERROR_BYTES];
    uint64_t version_seen; /* of store_changed */
};

/* db_open: connect to a file that is there; WAL, synchronous=FULL. ERR_IO. db_close: NULL is fine.
 */
enum err db_open(struct store *store, const char *path);
void db_close(struct sqlite3 *db);

/* db_run: statements without rows. what: completes "cannot …". ERR_IO, ERR_STORAGE_FULL. */
enum err db_run(struct store *store, const char *sql, const char *what);
/* db_number: the first column of the first row. ERR_UNKNOWN: there is no row. ERR_IO. */
enum err db_number(struct store *store, const char *sql, uint64_t *ret);
/* db_begin: take the write lock, waiting DB_BUSY_TIMEOUT_MS at most. ERR_IO, ERR_STORAGE_FULL.
 */
enum err db_begin(struct store *store);
/* db_finish: end the transaction: kept if err is ERR_OK, else undone. Returns err, or why not. */
enum err db_finish(struct store *store, enum err err);
/* db_damaged: ERR_IO: a row of that table is not one of ours. */
enum err db_damaged(struct store *store, const char *table);

/* db_prepare: a statement, for CLEANUP(db_finalize). ERR_IO. */
enum err db_prepare(struct store *store, const char *sql, struct sqlite3_stmt **ret);
void db_finalize(struct sqlite3_stmt **stmt);
/* db_row: ERR_OK: a row is there; ERR_UNKNOWN: none (more); ERR_IO. */
enum err db_row(struct store *store, struct sqlite3_stmt *stmt);
/* db_done: run a statement without rows. ERR_CONFLICT: a constraint of the table. Else as db_run.
 */
enum err db_done(struct store *store, struct sqlite3_stmt *stmt, const char *what);
/* db_changes: rows that the last statement changed. db_last_id: the rowid that it inserted. */
uint64_t db_changes(struct store *store);
uint64_t db_last_id(struct store *store);

/* Parameters are numbered from 1, columns from 0. What is bound is copied. */
void bind_text(struct sqlite3_stmt *stmt, int i, struct slice text);
void bind_u64(struct sqlite3_stmt *stmt, int i, uint64_t v);         /* at most INT64_MAX */
void bind_b64(struct sqlite3_stmt *stmt, int i, struct slice bytes); /* at most 64 bytes */

static inline void bind_id(struct sqlite3_stmt *stmt, int i, const struct id *id)
{
    bind_text(stmt, i, id_slice(id));
}

static inline void bind_key(struct sqlite3_stmt *stmt, int i, const struct pubkey *pk)
{
    bind_b64(stmt, i, slice_of(pk->b, KEY_BYTES));
}

/* As the tables' checks have it. */
static inline void bind_kind(struct sqlite3_stmt *stmt, int i, enum credential_kind kind)
{
    bind_text(stmt, i, slice_str(kind == CREDENTIAL_EDGE ? "edge" : "streamer"));
}

uint64_t column_u64(struct sqlite3_stmt *stmt, int i);
/* column_text: borrowed until the next row. */
struct slice column_text(struct sqlite3_stmt *stmt, int i);
/* column_copy: the text with its NUL; false: longer than max - 1 bytes: not written by us. */
bool column_copy(struct sqlite3_stmt *stmt, int i, char *to, size_t max);
/* column_bytes: what bind_b64 wrote; false: not exactly n bytes. */
bool column_bytes(struct sqlite3_stmt *stmt, int i, uint8_t *ret, size_t n);

#endif
