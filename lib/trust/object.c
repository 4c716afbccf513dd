/*
 * What every signed object shares: the domain that keeps a signature over one
 * type from being taken for another's, and the form body ‖ signature.
 */
#include "trust/object.h"

#include "base/check.h"

enum {
    DOMAIN_BYTES_MAX = 32,
    SIGNED_BYTES_MAX = DOMAIN_BYTES_MAX + REVOCATIONS_BODY_BYTES_MAX, /* the longest that is */
};
_Static_assert((int)REVOCATIONS_BODY_BYTES_MAX >= (int)OBJECT_BYTES_MAX, "longest object");

#define DOMAIN(type)                                                                               \
    {                                                                                              \
        (const uint8_t *)"edge-cluster/v1/" type, sizeof("edge-cluster/v1/" type)                  \
    }
static const struct slice domains[] = {
    [OBJECT_ZONE] = DOMAIN("zone"),
    [OBJECT_ZONE_LINK] = DOMAIN("zone-link"),
    [OBJECT_CREDENTIAL] = DOMAIN("credential"),
    [OBJECT_VIDEO] = DOMAIN("video"),
    [OBJECT_CHUNK] = DOMAIN("chunk"),
    [OBJECT_MANIFEST] = DOMAIN("manifest"),
    [OBJECT_RECEIPT] = DOMAIN("receipt"),
    [OBJECT_CUSTODY] = DOMAIN("custody"),
    [OBJECT_PRESENCE] = DOMAIN("presence"),
    [OBJECT_DELETION] = DOMAIN("deletion"),
    [OBJECT_REVOCATIONS] = DOMAIN("revocations"),
    [OBJECT_DELEGATION] = DOMAIN("delegation"),
    [OBJECT_STATUS] = DOMAIN("status"),
    [OBJECT_PROOF] = DOMAIN("proof"),
    [OBJECT_REQUEST] = DOMAIN("request"),
    [OBJECT_EDGE_REQ] = DOMAIN("edge-req"),
    [OBJECT_EDGE_REP] = DOMAIN("edge-rep"),
    [OBJECT_PEER] = DOMAIN("peer"),
    [OBJECT_STREAM] = DOMAIN("stream"),
    [OBJECT_FIELDS] = DOMAIN("fields"),
    [OBJECT_TOKEN] = DOMAIN("token"),
};

struct slice object_domain(enum object_type type)
{
    CHECK((size_t)type < sizeof(domains) / sizeof(domains[0]));
    return domains[type];
}

struct hash object_hash(enum object_type type, struct slice body)
{
    return hash_of(object_domain(type), body);
}

/* Ed25519 takes its message in one piece. False: longer than anything we sign. */
static bool join(enum object_type type, struct slice body, struct writer *w)
{
    struct slice domain = object_domain(type);
    write_bytes(w, domain.ptr, domain.len);
    write_bytes(w, body.ptr, body.len);
    return !w->full;
}

struct signature object_sign(enum object_type type, struct slice body, const struct signkey *key)
{
    uint8_t bytes[SIGNED_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    CHECK(join(type, body, &w));
    return crypto_sign(key, slice_of(bytes, w.len));
}

enum err object_check(enum object_type type, struct slice body, const struct signature *sig,
                      const struct pubkey *pk)
{
    uint8_t bytes[SIGNED_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    if (!join(type, body, &w))
        return ERR_SIGNATURE;
    return crypto_verify(pk, slice_of(bytes, w.len), sig);
}

enum err signed_split(struct slice bytes, struct slice *ret_body, struct signature *ret_sig)
{
    if (bytes.len < SIGNATURE_BYTES)
        return ERR_FORMAT;
    *ret_body = slice_of(bytes.ptr, bytes.len - SIGNATURE_BYTES);
    memcpy(ret_sig->b, bytes.ptr + ret_body->len, SIGNATURE_BYTES);
    return ERR_OK;
}

void signed_append(struct writer *w, enum object_type type, struct slice body,
                   const struct signkey *key)
{
    struct signature sig = object_sign(type, body, key);
    write_bytes(w, body.ptr, body.len);
    write_bytes(w, sig.b, SIGNATURE_BYTES);
}
