#ifndef AUTH_EDGE_FOLDER_H
#define AUTH_EDGE_FOLDER_H
/*
 * The data folder of a zone: all that must be kept, backed up, and never lost.
 *
 *   zone.key      seed of the signing key, 64 hexadecimal digits
 *   zone.key.new  the next one, while a rotation is under way (rotate.h)
 *   zone.box      secret half of the encryption key, likewise
 *   zone.broker   what passwords at a locked broker follow from, where there is one (broker.h)
 *   zone.secret   what edges need to enrol, likewise; copied to them
 *   auth_edge.db  users, edges, credentials (store.h)
 *
 * All 0600. A folder is one zone's: the database remembers id and key, and a
 * key file that was lost or exchanged is refused, never replaced. What a
 * rotation that was cut short has left is put right by whoever opens it next.
 */
#include "auth_edge/store.h"
#include "auth_edge/zone.h"

#include <limits.h>

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
    struct zone_params zone;
    struct store *store;
    bool created;             /* by this call */
    bool secret_from_outside; /* config's zone_secret */
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

/*
 * folder_reload: read again what a rotation changes: the zone's parameters, its key, its secret.
 * On failure the folder is as it was; errors as of folder_open. A lock and at most three small
 * files.
 */
enum err folder_reload(struct folder *folder, char ret_error[static FOLDER_ERROR_BYTES]);

/* folder_broker_key: of zone.broker; make: written if there is none yet. ERR_UNKNOWN: there is
 * none. ERR_FORMAT, ERR_IO. */
enum err folder_broker_key(const struct folder *folder, bool make, uint8_t ret[static KEY_BYTES],
                           char ret_error[static FOLDER_ERROR_BYTES]);

/* folder_file: the path of a file of the folder. */
void folder_file(const struct folder *folder, const char *name, char ret[static PATH_MAX]);

/* folder_close: close the database, wipe the keys. Zeroed is fine. */
void folder_close(struct folder *folder);

#endif
