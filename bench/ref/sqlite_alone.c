/*
 * SQLite alone: 60 KiB blobs, `group` of them per transaction, synchronous=FULL.
 * Prints bytes per second.
 *
 *   sqlite_alone DATABASE GROUP SECONDS
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOB = 61440 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(sqlite3 *db, int code)
{
    if (code == SQLITE_OK || code == SQLITE_DONE)
        return;
    fprintf(stderr, "sqlite_alone: %s\n", sqlite3_errmsg(db));
    exit(1);
}

int main(int argc, char **argv)
{
    sqlite3 *db;
    sqlite3_stmt *put;
    long long n = 0;
    if (argc != 4)
        return 1;
    unsigned char *blob = malloc(BLOB);
    for (int i = 0; i < BLOB; i++)
        blob[i] = (unsigned char)rand();
    must(NULL, sqlite3_open(argv[1], &db));
    must(db, sqlite3_exec(db,
                          "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; "
                          "PRAGMA synchronous=FULL; "
                          "CREATE TABLE part(n INTEGER PRIMARY KEY, packet BLOB NOT NULL)",
                          NULL, NULL, NULL));
    must(db, sqlite3_prepare_v2(db, "INSERT INTO part VALUES(?,?)", -1, &put, NULL));
    double start_s = now_s(), seconds = atof(argv[3]);
    while (now_s() < start_s + seconds) {
        must(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        for (int i = 0; i < atoi(argv[2]); i++) {
            sqlite3_bind_int64(put, 1, ++n);
            sqlite3_bind_blob(put, 2, blob, BLOB, SQLITE_STATIC);
            must(db, sqlite3_step(put));
            sqlite3_reset(put);
        }
        must(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    }
    printf("{\"bytes_per_s\":%.0f}\n", (double)n * BLOB / (now_s() - start_s));
    return 0;
}
