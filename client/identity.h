#ifndef CLIENT_IDENTITY_H
#define CLIENT_IDENTITY_H
/*
 * What edgectl keeps about its user, in $EDGECTL_HOME (~/.config/edge-cluster):
 *
 *   key           the signing key's seed, 64 hexadecimal digits, mode 0600
 *   credential    the streamer's credential, base64 of the signed object
 *   broker        our account at a locked broker (account.h), mode 0600
 *   zone          the pinned zone's parameters, base64 of the signed object
 *   revocations   the zone's newest list of revoked credentials, likewise (revocations.h)
 *   uploads/ID    an upload that has no receipt yet (upload_state.h)
 *   lock          empty, mode 0600: locked by who compares and writes (identity_lock)
 *
 * The key never leaves this folder.
 */
#include "base/id.h"
#include "trust/object.h"

enum {
    IDENTITY_PATH_BYTES_MAX = 1024,
    IDENTITY_LOCK_WAIT_US = 5 * 1000 * 1000, /* what identity_open grants identity_lock */
    IDENTITY_LOCK_AGAIN_US = 20 * 1000,      /* and tries so often until then */
};

struct identity {
    uint64_t lock_wait_us; /* identity_lock gives up after */
    char home[IDENTITY_PATH_BYTES_MAX - 128];
};

/* identity_open: where home is; nothing is made yet. ERR_UNKNOWN: neither
 * EDGECTL_HOME nor HOME is set. ERR_LIMIT: the path is too long. */
enum err identity_open(struct identity *ret);

/* identity_path: home/name; name shorter than 128 bytes. */
void identity_path(const struct identity *identity, const char *name,
                   char ret[static IDENTITY_PATH_BYTES_MAX]);

/*
 * identity_key: the signing key.
 * make  make one if there is none yet; of commands that do so at once, all get the same one. The
 *       caller does not hold the lock.
 * ERR_UNKNOWN: there is none. ERR_UNAUTHORIZED: others may read it: nothing is
 * signed with such a key. ERR_FORMAT: it is no key. ERR_IO: errno tells. ERR_BUSY, ERR_CLOSED
 * (make only): as identity_lock.
 */
enum err identity_key(const struct identity *identity, bool make, struct signkey *ret);

/*
 * identity_read: a signed object kept as base64 ("credential", "zone").
 * ret  OBJECT_BYTES_MAX bytes' room.
 * ERR_UNKNOWN: there is none. ERR_FORMAT, ERR_LIMIT: not base64, or too much. ERR_IO.
 */
enum err identity_read(const struct identity *identity, const char *name,
                       uint8_t ret[static OBJECT_BYTES_MAX], size_t *ret_len);

/* identity_write: replace it, of any length, mode 0600, making home if need be. ERR_IO: errno
 * tells. */
enum err identity_write(const struct identity *identity, const char *name, struct slice bytes);

/*
 * identity_lock: keep other commands of this home from writing until the file is closed:
 * who compares what is kept with what is to replace it holds this meanwhile. Two writers of
 * one file at once would also tear it. Makes home if need be. Not recursive.
 * ERR_BUSY: somebody else has held it for lock_wait_us. ERR_CLOSED: a signal came while
 * it was waited for. ERR_IO: errno tells.
 */
enum err identity_lock(const struct identity *identity, int *ret_fd);

/* identity_say_locked: say what ERR_BUSY or ERR_CLOSED of identity_lock means, and what to do.
 * false: it is another error, and nothing was said. */
bool identity_say_locked(const struct identity *identity, enum err err);

/* A streamer who may sign: the key, and the credential that names it. */
struct streamer {
    struct signkey key;
    uint8_t bytes[OBJECT_BYTES_MAX]; /* the signed credential */
    size_t len;
    struct credential credential; /* borrows from bytes: do not copy the struct */
};

/*
 * streamer_load: key and credential, checked against the zone and each other, in date.
 * ERR_UNKNOWN: not logged in. ERR_SIGNATURE, ERR_FORMAT: not this zone's or not
 * this key's. ERR_UNAUTHORIZED: the key file is open to others. ERR_TIMEOUT: out of date.
 */
enum err streamer_load(const struct identity *identity, const struct zone_params *zone,
                       uint64_t utc_us, struct streamer *ret);

#endif
