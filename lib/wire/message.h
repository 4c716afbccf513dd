#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H
/*
 * What every message codec of lib/wire shares.
 *
 * X_decode(payload, arena, ret): JSON text to struct. Strings and base64-decoded
 * blobs are slices owned by the arena. ERR_FORMAT: not JSON, wrong types,
 * contradiction, a required field missing; ERR_LIMIT: a field above its limit.
 * Fields that were absent are empty slices, zero, or their has_ flag is false.
 *
 * X_encode(x, arena): struct to JSON text, owned by the arena. Total: an X that
 * obeys the limits always encodes. Empty slices of optional fields are left out.
 *
 * Both read liberally and write strictly (docs/PROTOCOL.md §1). Pure; any thread.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "trust/object.h"
#include "trust/thumbnail.h"
#include "wire/text.h"

enum {
    MESSAGE_TEXT_BYTES_MAX = 1024, /* `message` of an error */
};

/* The longest signed objects that docs/PROTOCOL.md §2.1 allows: version, fields, signature. */
enum {
    ID_FIELD_BYTES_MAX = 4 + ID_BYTES_MAX,
    CREDENTIAL_OBJECT_BYTES_MAX = 1 + 1 + ID_FIELD_BYTES_MAX + 4 + NAME_BYTES_MAX + KEY_BYTES +
                                  ID_FIELD_BYTES_MAX + 4 + 3 * 8 + SIGNATURE_BYTES,
    VIDEO_OBJECT_BYTES_MAX = 1 + 3 * ID_FIELD_BYTES_MAX + HASH_BYTES + 4 + TITLE_BYTES_MAX + 4 +
                             DESCRIPTION_BYTES_MAX + 4 + CATEGORY_BYTES_MAX + 1 + HASH_BYTES + 4 +
                             MEDIA_TYPE_BYTES_MAX + 4 + CODECS_BYTES_MAX + 2 * 8 + HASH_BYTES +
                             SIGNATURE_BYTES,
    MANIFEST_OBJECT_BYTES_MAX = 1 + HASH_BYTES + 2 + 4 + 8 + HASH_BYTES + SIGNATURE_BYTES,
    HOLDING_OBJECT_BYTES_MAX = 1 + 4 * ID_FIELD_BYTES_MAX + HASH_BYTES + 1 + 8 + SIGNATURE_BYTES,
    RECEIPT_OBJECT_BYTES_MAX =
        1 + 2 * ID_FIELD_BYTES_MAX + HASH_BYTES + 2 + 4 + HASH_BYTES + 8 + SIGNATURE_BYTES,
    DELETION_OBJECT_BYTES_MAX = 1 + 3 * ID_FIELD_BYTES_MAX + 8 + SIGNATURE_BYTES,
    REVOCATIONS_OBJECT_BYTES_MAX = REVOCATIONS_BODY_BYTES_MAX + SIGNATURE_BYTES,
    ZONE_OBJECT_BYTES_MAX = 1 + ID_FIELD_BYTES_MAX + 2 * KEY_BYTES + 4 + 8 + 1 +
                            ZONE_LINKS_MAX * (2 * (4 + KEY_BYTES) + SIGNATURE_BYTES) +
                            SIGNATURE_BYTES,
    STATUS_OBJECT_BYTES_MAX =
        1 + 2 * ID_FIELD_BYTES_MAX + 1 + 3 * 8 + NODE_ROOT_BYTES + 2 * 8 + SIGNATURE_BYTES,
    PROOF_OBJECT_BYTES_MAX = 1 + 3 * ID_FIELD_BYTES_MAX + HASH_BYTES + NONCE_BYTES + 2 +
                             POSSESSION_PARTS_MAX * HASH_BYTES + SIGNATURE_BYTES,
};

/* The wire's error codes. */
enum wire_code {
    CODE_BAD_REQUEST,
    CODE_UNAUTHORIZED,
    CODE_BAD_SIGNATURE,
    CODE_UNKNOWN_VIDEO,
    CODE_CONFLICT,
    CODE_TOO_LARGE,
    CODE_QUOTA,
    CODE_BUSY,
    CODE_STORAGE_FULL,
    CODE_NOT_READY,
    CODE_INTERNAL,
};
const char *wire_code_name(enum wire_code code);
enum wire_code wire_code_of(enum err err);
/* wire_code_err: the error that a received code stands for: `internal` ERR_IO, unknown ERR_BUSY. */
enum err wire_code_err(struct slice name);

/*
 * What a signed request carries besides its fields: filled by decode, over all
 * fields of the object but auth, also unknown ones; ignored by encode, which
 * writes auth when it is given a signer. A field that cannot be signed, a
 * repeated key, or more than REQUEST_FIELDS_MAX fields: decode gives ERR_FORMAT.
 */
struct signed_fields {
    struct hash fields;
    struct slice auth; /* AUTH_BYTES raw bytes; empty: absent */
};

/* Who signs a request that is encoded. */
struct request_signer {
    struct slice target; /* edge id or zone id */
    uint64_t ts_us;
    struct nonce nonce;
    const struct signkey *key;
    struct hash *ret_request; /* may be NULL */
};

/* An error answer: which ids it echoes. Empty ones are left out. */
struct wire_error {
    enum wire_code code;
    struct slice code_text; /* decode: as received */
    struct slice message;
    struct slice video_id, client_id, edge_id;
    uint32_t chunk_part; /* 0: absent */
    bool has_packet_index;
    uint32_t packet_index;
    uint32_t pull;       /* 0: absent */
    struct hash request; /* all zero: absent */
};
struct slice wire_error_encode(const struct wire_error *e, struct arena *arena);

/*
 * reply_is_error: whether a reply is an error answer.
 * Returns true and fills ret if payload is a JSON object with "status":"error". Fields of it
 * that are not what they should be are left empty: an error answer is never lost to them.
 */
bool reply_is_error(struct slice payload, struct arena *arena, struct wire_error *ret);

#endif
