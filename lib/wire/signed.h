#ifndef WIRE_SIGNED_H
#define WIRE_SIGNED_H
/* Signed requests (docs/PROTOCOL.md §2.3): what the two that there are share. Private to lib/wire.
 */
#include "wire/json.h"
#include "wire/message.h"

/* signed_read: the hash over every field but auth, and auth's bytes (empty: absent). */
void signed_read(struct json *j, struct signed_fields *ret);

/*
 * signed_end: json_end, after signing what was written and adding auth.
 * type    "video/upload", …; signer NULL: no auth.
 */
struct slice signed_end(struct json_out *out, const char *type,
                        const struct request_signer *signer);

#endif
