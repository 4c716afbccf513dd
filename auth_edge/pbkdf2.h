#ifndef AUTH_EDGE_PBKDF2_H
#define AUTH_EDGE_PBKDF2_H
/* What Mosquitto's dynamic security plugin keeps of a password: PBKDF2 with SHA-512. Any thread. */
#include "base/slice.h"

enum {
    PBKDF2_BYTES = 64,
    PBKDF2_SALT_BYTES = 12,
    PBKDF2_ITERATIONS = 101, /* the plugin's own; our passwords have 256 random bits */
};

void pbkdf2(struct slice password, const uint8_t salt[static PBKDF2_SALT_BYTES],
            uint8_t ret[static PBKDF2_BYTES]);

#endif
