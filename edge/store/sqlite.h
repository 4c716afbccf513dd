#ifndef EDGE_STORE_SQLITE_H
#define EDGE_STORE_SQLITE_H
/*
 * SQLite, behind what the store needs of it: one connection with all its
 * statements prepared once.
 *
 * Errors stick: the first call that fails sets db->err and db->error; from then
 * on nothing runs and there are no rows, until db_clear. So an operation runs
 * its statements in a row and looks once, at the end.
 *
 * A connection and its queries belong to one thread at a time.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/slice.h"
#include "trust/crypto.h"

struct sqlite3;
struct sqlite3_stmt;

enum { DB_ERROR_BYTES = 256, BUSY_TIMEOUT_MS = 1000 };

struct query {
    struct db *db;
    struct sqlite3_stmt *stmt;
};

struct db {
    struct sqlite3 *handle;
    const char *path;      /* borrowed */
    struct query *queries; /* by number; owned */
    int queries_n;
    /* ERR_OK; ERR_STORAGE_FULL; ERR_FORMAT: not a database; ERR_BUSY: locked by another process
     * for BUSY_TIMEOUT_MS; ERR_IO */
    enum err err;
    char error[DB_ERROR_BYTES];
};

/* db_open: connect to a file that exists (it may be empty). Check db->err. */
void db_open(struct db *db, const char *path);
/* db_close: without a checkpoint. Accepts a zeroed or half-opened one. */
void db_close(struct db *db);

/* db_exec: run statements that give no rows. */
void db_exec(struct db *db, const char *sql);
/* db_int: the first column of the first row of a query; 0 when there is none. */
int64_t db_int(struct db *db, const char *sql);
/* db_prepare: prepare sql[i] as query i for first <= i < end. n: how many queries there are. */
void db_prepare(struct db *db, const char *const *sql, int n, int first, int end);

/* db_in_transaction: false also after an error that made SQLite roll back. */
bool db_in_transaction(const struct db *db);
/* db_clear: forget the error, and return it. */
enum err db_clear(struct db *db);
/* db_corrupt: something read is not what was written: ERR_IO, with this text. */
void db_corrupt(struct db *db, const char *what);

/* query_start: query number i, ready to be bound; parameters and columns are numbered from 1 and
 * from 0. What is bound is borrowed until the query has ended. */
struct query *query_start(struct db *db, int i);
void bind_int(struct query *q, int at, uint64_t v); /* kept as the same 64 bits, signed */
void bind_text(struct query *q, int at, struct slice v);
void bind_blob(struct query *q, int at, struct slice v);
void bind_null(struct query *q, int at);

/* query_row: the next row; false at the end or after a failure. End with query_end. */
bool query_row(struct query *q);
/* query_end: release the query's cursor and its columns. */
void query_end(struct query *q);
/* query_run: step once through a statement without rows, and end. */
void query_run(struct query *q);

uint64_t col_int(struct query *q, int at);
/* col_slice: text or blob, borrowed until the next row or query_end. */
struct slice col_slice(struct query *q, int at);
struct slice col_copy(struct query *q, int at, struct arena *arena);
/* col_hash, col_id: a hash, an id; anything else is db_corrupt. ret is zeroed then. */
void col_hash(struct query *q, int at, struct hash *ret);
void col_id(struct query *q, int at, struct id *ret);

static inline void bind_id(struct query *q, int at, const struct id *id)
{
    bind_text(q, at, id_slice(id));
}

static inline void bind_str(struct query *q, int at, const char *s)
{
    bind_text(q, at, slice_str(s));
}

static inline void bind_hash(struct query *q, int at, const struct hash *h)
{
    bind_blob(q, at, slice_of(h->b, HASH_BYTES));
}

#endif
