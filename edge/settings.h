#ifndef EDGE_SETTINGS_H
#define EDGE_SETTINGS_H
/*
 * The edge's options and the small files of its data folder: id, key, zone secret.
 * A file with a secret that others can use is warned about, by its name.
 */
#include "base/config.h"
#include "base/id.h"
#include "trust/crypto.h"

enum {
    SETTINGS_ERROR_BYTES = 512,
    PATH_BYTES_MAX = 1024,
    STORAGE_BYTES_MIN = 1024 * 1024, /* room for the empty tables, and some */
    REPLICA_GRACE_S_MAX = 30 * 24 * 3600,
    CACHE_MIB_MAX = 1 << 30,
    REPLICATION_KIB_S_MIN = 64, /* below a part a second replicas would never end */
    REPLICATION_KIB_S_MAX = 1 << 24,
    TOMBSTONE_HOURS_MAX = 10 * 365 * 24,
};

struct settings {
    struct option *options; /* the table, filled; owned */
    struct id edge_id;
    struct signkey key;
    uint8_t zone_secret[KEY_BYTES];
    char db_path[PATH_BYTES_MAX];
    char thumbnail_program[PATH_BYTES_MAX]; /* as given, or edge_thumbnail beside this program */
    char *password;                         /* of the broker; NULL: none; owned */
};

/*
 * settings_load: options from argv, environment and .env; the data folder is
 * made if need be, and an id and key in it at the first start.
 * ret_error  what is wrong and what to do.
 * ERR_FORMAT: an option. ERR_IO: a file. ERR_CLOSED: --help was asked for and printed.
 */
enum err settings_load(int argc, char **argv, struct settings *ret,
                       char ret_error[static SETTINGS_ERROR_BYTES]);

/* settings_forget: wipe key and zone secret, once somebody else has them. */
void settings_forget(struct settings *s);

/* settings_release: wipe and free. */
void settings_release(struct settings *s);

#endif
