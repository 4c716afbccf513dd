#ifndef AUTH_EDGE_FOLDER_H
#define AUTH_EDGE_FOLDER_H
/*
 * The data folder of a zone: all that must be kept, backed up, and never lost.
 *
 *   zone.key      seed of the signing key, 64 hexadecimal digits
 *   zone.box      secret half of the encryption key, likewise
 *   zone.secret   what edges need to enrol, likewise; copied to them
 *   auth_edge.db  users, edges, credentials (store.h)
 *
 * All 0600. A folder is one zone's: the database remembers id and key, and a
 * key file that was lost or exchanged is refused, never replaced.
 */
#include "auth_edge/store.h"
#include "auth_edge/zone.h"

enum { FOLDER_PATH_BYTES_MAX = 3072, FOLDER_ERROR_BYTES = 4096 };

#define ZONE_ID_DEFAULT "zone1"

struct folder_config {
    const char *path;
    const char *zone_id;     /* NULL: the folder's own, or ZONE_ID_DEFAULT for a new one */
    const char *zone_secret; /* 64 hexadecimal digits instead of zone.secret; NULL: the file's */
    bool may_create;
    uint64_t now_us;
};

struct folder {
    char path[FOLDER_PATH_BYTES_MAX]; /* absolute */
    struct zone_keys keys;
    struct store_zone zone;
    struct store *store;
    bool created; /* by this call */
};

/*
 * folder_open: open a zone's folder, or make it.
 * ret_error  the sentence for the operator on failure.
 * ERR_UNKNOWN: there is no zone and may_create is false. ERR_CONFLICT: another
 * zone's, or a key file is missing or another one. ERR_FORMAT: a malformed id,
 * secret or file. ERR_IO, ERR_STORAGE_FULL: the disk.
 */
enum err folder_open(const struct folder_config *config, struct folder *ret_folder,
                     char ret_error[static FOLDER_ERROR_BYTES]);

/* folder_warn_if_open: say so if others may use a file with a secret, this one or another. */
void folder_warn_if_open(const char *path);

/* folder_close: close the database, wipe the keys. Zeroed is fine. */
void folder_close(struct folder *folder);

#endif
