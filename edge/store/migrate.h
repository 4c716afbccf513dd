#ifndef EDGE_STORE_MIGRATE_H
#define EDGE_STORE_MIGRATE_H
/*
 * The numbered migrations of schema/, carried inside the program, and the gate
 * before them: PRAGMA application_id says that a file is an Edge Cluster
 * database, PRAGMA user_version which migrations it has had.
 */
#include "edge/store/sqlite.h"

enum { DB_APPLICATION_ID = 0x45564331 /* "EVC1" */ };

/* migrate_check: set db->err to ERR_FORMAT, with the sentence in db->error, unless the file is
 * empty or ours and not newer than this program. Changes nothing. */
void migrate_check(struct db *db);

/* migrate: apply what is missing, each migration as one transaction. Check db->err. */
void migrate(struct db *db);

#endif
