#ifndef AUTH_EDGE_BROKER_H
#define AUTH_EDGE_BROKER_H
/*
 * What a locked Mosquitto is told about a zone: who may do what on which topic
 * (docs/SECURITY.md, Matrix). Written once, when a broker is set up; afterwards
 * accounts.h adds and takes away clients.
 *
 *   dynamic-security.json  roles and first clients; the plugin's own from then on
 *   acl                    what depends on a client's id or name: the plugin has no patterns
 *   broker.auth            auth_edge's own password, 0600
 */
#include "base/arena.h"
#include "base/err.h"
#include "trust/broker.h"

enum { BROKER_ERROR_BYTES = 4096 };

#define BROKER_ROLE_EDGE "edge"
#define BROKER_ROLE_STREAMER "streamer"

/* The plugin's topics; TOPIC_PREFIX does not stand before them. */
#define BROKER_CONTROL_TOPIC "$CONTROL/dynamic-security/v1"
#define BROKER_CONTROL_ANSWERS BROKER_CONTROL_TOPIC "/response"

/* broker_security: the text of dynamic-security.json; its defaults deny. Draws random salts. */
struct slice broker_security(struct slice topic_prefix, const char *enrol_password,
                             const char *auth_password, struct arena *arena);

/* broker_acl: the text of the ACL file. */
struct slice broker_acl(struct slice topic_prefix, struct arena *arena);

/*
 * broker_init: write the three files into a folder, made if need be.
 * ret_error  the sentence for the operator on failure.
 * ERR_CONFLICT: there is such a file already: clients would be lost. ERR_IO: the disk.
 */
enum err broker_init(const char *dir, struct slice topic_prefix,
                     const uint8_t zone_secret[static KEY_BYTES],
                     char ret_error[static BROKER_ERROR_BYTES]);

#endif
