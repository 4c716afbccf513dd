#ifndef CLIENT_ACCOUNT_H
#define CLIENT_ACCOUNT_H
/*
 * Our account at a locked broker, which comes with a credential (docs/PROTOCOL.md §2.7), in
 * $EDGECTL_HOME/broker, 0600: the address of the broker, user and password, a line each. It is
 * shown to that broker alone.
 */
#include "client/identity.h"
#include "wire/auth.h"

struct account {
    char user[BROKER_TEXT_BYTES_MAX + 1];
    char password[BROKER_TEXT_BYTES_MAX + 1];
};

/*
 * account_keep: open what came with a credential and keep it in place of what was there.
 * broker  as --mqtt-broker says.
 * ERR_SIGNATURE: not sealed to our key. ERR_FORMAT, ERR_LIMIT: no login. ERR_IO: errno tells.
 */
enum err account_keep(const struct identity *identity, const char *broker,
                      const struct signkey *key, struct slice sealed);

/* account_read: ERR_UNKNOWN: none for this broker. ERR_UNAUTHORIZED: others may read the file, so
 * it is not used. ERR_FORMAT, ERR_IO. Wipe it when done. */
enum err account_read(const struct identity *identity, const char *broker, struct account *ret);

#endif
