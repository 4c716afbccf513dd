#ifndef TRUST_BROKER_H
#define TRUST_BROKER_H
/*
 * Who somebody is to a locked broker (docs/PROTOCOL.md §2.7): user names and passwords, which
 * follow from keys and are stored nowhere. Pure; any thread.
 */
#include "trust/object.h"

/* Two users that are no principals: who has the zone secret and no credential yet, and auth_edge.
 */
#define BROKER_USER_ENROL "enrol"
#define BROKER_USER_AUTH "auth"

enum { BROKER_PASSWORD_BYTES = 2 * HASH_BYTES + 1 }; /* text with its NUL */

/* broker_user_reserved: no edge and no streamer may have this id. */
bool broker_user_reserved(const struct id *id);

/* broker_enrol_password: of BROKER_USER_ENROL: whoever has the zone secret knows it. */
void broker_enrol_password(const uint8_t zone_secret[static KEY_BYTES],
                           char ret[static BROKER_PASSWORD_BYTES]);

/* broker_password: of an edge or streamer, whose user name is its id. generation: counts how often
 * it was taken away. */
void broker_password(const uint8_t key[static KEY_BYTES], enum credential_kind kind,
                     const struct id *subject, uint32_t generation,
                     char ret[static BROKER_PASSWORD_BYTES]);

#endif
