/*
 * I1  a migration and its number in user_version are one transaction.
 * I2  a file with another application_id is not touched.
 */
#include "edge/store/migrate.h"

#include <stdio.h>

/* The file's bytes and a NUL, found from the root of the repository, where make runs. */
#define EMBED(symbol, path)                                                                        \
    __asm__(".pushsection .rodata\n.hidden " symbol "\n.global " symbol "\n" symbol                \
            ":\n.incbin \"" path "\"\n.byte 0\n.popsection\n")

EMBED("schema_0001", "schema/0001_first_light.sql");
extern const char schema_0001[];

static const char *const migrations[] = {schema_0001};
enum { MIGRATIONS_N = sizeof(migrations) / sizeof(migrations[0]) };

static void refuse(struct db *db, const char *why)
{
    db->err = ERR_FORMAT;
    snprintf(db->error, sizeof(db->error), "%.120s %s", db->path, why);
}

void migrate_check(struct db *db)
{
    bool empty = db_int(db, "SELECT count(*) FROM sqlite_schema") == 0;
    int64_t application = db_int(db, "PRAGMA application_id");
    int64_t version = db_int(db, "PRAGMA user_version");
    if (db->err == ERR_FORMAT || (!db->err && application != DB_APPLICATION_ID && !empty))
        refuse(db, "is not an Edge Cluster database; move it away or name another data folder");
    else if (!db->err && application == DB_APPLICATION_ID && version > MIGRATIONS_N)
        refuse(db, "was made by a newer version of this program; run that one");
}

static void apply(struct db *db, int number)
{
    char stamp[96];
    snprintf(stamp, sizeof(stamp), "PRAGMA application_id = %d; PRAGMA user_version = %d",
             DB_APPLICATION_ID, number);
    db_exec(db, "BEGIN IMMEDIATE");
    db_exec(db, migrations[number - 1]);
    db_exec(db, stamp);
    db_exec(db, "COMMIT"); /* I1; when something failed, closing rolls back */
}

void migrate(struct db *db)
{
    for (int number = (int)db_int(db, "PRAGMA user_version") + 1; number <= MIGRATIONS_N; number++)
        apply(db, number);
}
