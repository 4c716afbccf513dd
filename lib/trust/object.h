#ifndef TRUST_OBJECT_H
#define TRUST_OBJECT_H
/*
 * The signed objects of docs/PROTOCOL.md §2.1: one struct and one codec each.
 *
 * X_encode writes the body; X_decode reads a body (nothing may be left over)
 * and borrows its strings from it. A signed object is body ‖ signature.
 *
 * Invariants
 *   I1  decode(encode(x)) == x, and encode(decode(b)) == b for every b that decodes.
 *   I2  nothing is believed before object_verify: decode alone proves nothing.
 *
 * Pure; any thread.
 */
#include "base/bytes.h"
#include "base/id.h"
#include "trust/crypto.h"

enum {
    OBJECT_VERSION = 1,
    TITLE_BYTES_MAX = 256,
    NAME_BYTES_MAX = 256, /* display names */
    DESCRIPTION_BYTES_MAX = 1024,
    CATEGORY_BYTES_MAX = 64,
    MEDIA_TYPE_BYTES_MAX = 64,
    CODECS_BYTES_MAX = 128,
    THUMBNAIL_BYTES_MAX = 12288,
    ZONE_LINKS_MAX = 8,
    /* A list and the parameters of a zone, as base64, fit one message together. */
    REVOCATIONS_MAX = 2900,
    REVOCATIONS_BODY_BYTES_MAX = 1 + 4 + ID_BYTES_MAX + 4 + 8 + 8 + 8 + 4 + REVOCATIONS_MAX * 16,
    DELEGATION_TRACKS_MAX = 16,
    OBJECT_BYTES_MAX = 4096, /* any signed object of this file but a revocation list */
    REQUEST_FIELDS_MAX = 32,
    AUTH_BYTES = 8 + NONCE_BYTES + SIGNATURE_BYTES,
};

enum { TIME_WINDOW_US = 60 * 1000 * 1000 };

/* The types, as they stand in the domain prefix. */
enum object_type {
    OBJECT_ZONE,
    OBJECT_ZONE_LINK,
    OBJECT_CREDENTIAL,
    OBJECT_VIDEO,
    OBJECT_CHUNK,
    OBJECT_MANIFEST,
    OBJECT_RECEIPT,
    OBJECT_CUSTODY,
    OBJECT_PRESENCE,
    OBJECT_DELETION,
    OBJECT_REVOCATIONS,
    OBJECT_DELEGATION,
    OBJECT_STATUS, /* what an edge says of itself, every few seconds */
    OBJECT_PROOF,  /* that an edge holds some parts */
    OBJECT_REQUEST,
    OBJECT_EDGE_REQ,
    OBJECT_EDGE_REP,
    OBJECT_PEER,   /* what one edge says to another: trust/peer.h */
    OBJECT_STREAM, /* hashed only */
    OBJECT_FIELDS, /* hashed only */
    OBJECT_TOKEN,  /* MAC only */
};

/* object_domain: "edge-cluster/v1/<type>" with its NUL as the last byte. Static. */
struct slice object_domain(enum object_type type);

/* object_hash: H(domain ‖ body). */
struct hash object_hash(enum object_type type, struct slice body);

/* object_sign: the signature over domain ‖ body; at most REVOCATIONS_BODY_BYTES_MAX of it. */
struct signature object_sign(enum object_type type, struct slice body, const struct signkey *key);

/* object_check: ERR_SIGNATURE unless sig is pk's over domain ‖ body. */
enum err object_check(enum object_type type, struct slice body, const struct signature *sig,
                      const struct pubkey *pk);

/*
 * signed_split: split body ‖ signature. ERR_FORMAT: too short. ret_body borrows from bytes.
 */
enum err signed_split(struct slice bytes, struct slice *ret_body, struct signature *ret_sig);

/* signed_append: write body ‖ signature to w, signing with key. */
void signed_append(struct writer *w, enum object_type type, struct slice body,
                   const struct signkey *key);

struct zone_link {
    uint32_t old_epoch;
    struct pubkey old_pk;
    uint32_t new_epoch;
    struct pubkey new_pk;
    struct signature sig; /* by old_pk */
};

struct zone_params {
    struct id zone_id;
    struct pubkey sign_pk;
    struct pubkey box_pk;
    uint32_t key_epoch;
    uint64_t issued_us;
    uint8_t links_n;
    struct zone_link links[ZONE_LINKS_MAX];
};

enum credential_kind { CREDENTIAL_EDGE = 1, CREDENTIAL_STREAMER = 2 };

struct credential {
    enum credential_kind kind;
    struct id subject;
    struct slice display_name; /* borrowed from the body; cosmetic */
    struct pubkey pk;
    struct id zone_id;
    uint32_t key_epoch;
    uint64_t serial;
    uint64_t not_before_us;
    uint64_t not_after_us;
};

struct video {
    struct id zone_id;
    struct id video_id;
    struct id streamer_id;
    struct hash nonce;
    struct slice title, description, category; /* borrowed */
    bool live;
    struct hash thumbnail_hash;
    struct slice media_type, codecs; /* borrowed */
    uint64_t created_us;
    uint64_t revision_us;
    struct hash manifest_hash;
};

struct manifest {
    struct hash stream;
    uint16_t track;
    uint32_t chunks;
    uint64_t bytes;
    struct hash root;
};

struct receipt {
    struct id zone_id;
    struct id edge_id;
    struct hash stream;
    uint16_t track;
    uint32_t last_chunk;
    struct hash hash;
    uint64_t time_us;
};

/* Custody and presence share their fields and differ by domain. */
struct holding {
    struct id zone_id;
    struct id edge_id;
    struct id video_id;
    struct id streamer_id;
    struct hash stream;
    uint8_t state; /* 1: whole copy / live now; 0: gone / ended */
    uint64_t hlc;
};

struct deletion {
    struct id zone_id;
    struct id video_id;
    struct id streamer_id;
    uint64_t revision_us;
};

struct revocation {
    uint64_t serial;
    uint64_t since_us;
};

struct revocations {
    struct id zone_id;
    uint32_t key_epoch;
    uint64_t number;
    uint64_t issued_us;
    uint64_t next_us;
    uint32_t n;
    struct slice entries; /* borrowed; n times u64 serial, u64 since: revocations_at */
};

/* What an edge says of itself in edge/status. */
enum { NODE_ROOT_BYTES = 16 };
struct node_status {
    struct id zone_id;
    struct id edge_id;
    uint8_t state;       /* 1: online; 0: it is stopping */
    uint64_t time_us;    /* of one edge they only go up */
    uint64_t since_us;   /* its catalogue knows of every deletion since then */
    uint64_t horizon_us; /* of the root; 0: it has no whole catalogue now */
    uint8_t root[NODE_ROOT_BYTES];
    uint64_t disk_free, disk_total; /* bytes */
};

/* That an edge holds parts of a stream: the answer to one probe. */
enum { POSSESSION_PARTS_MAX = 8 };
struct possession {
    struct id zone_id;
    struct id edge_id;  /* who holds them */
    struct id asker_id; /* who asked */
    struct hash stream;
    struct nonce nonce;
    uint16_t n;
    struct hash hashes[POSSESSION_PARTS_MAX]; /* H(nonce ‖ packet), in the order asked */
};

struct delegation {
    struct hash stream;
    struct pubkey edge_pk;
    uint16_t tracks_n;
    uint16_t tracks[DELEGATION_TRACKS_MAX];
    uint64_t not_after_us;
};

/*
 * X_encode: write the body; what does not fit shows in w->full.
 * X_decode: read a body; on failure ret is untouched.
 * ERR_FORMAT: malformed: cut short, left-over bytes, another version, a value
 * outside its list, no id, no UTF-8, a NUL. ERR_LIMIT: a length above its limit.
 */
void zone_params_encode(const struct zone_params *z, struct writer *w);
enum err zone_params_decode(struct slice body, struct zone_params *ret);
void credential_encode(const struct credential *c, struct writer *w);
enum err credential_decode(struct slice body, struct credential *ret);
void video_encode(const struct video *v, struct writer *w);
enum err video_decode(struct slice body, struct video *ret);
void manifest_encode(const struct manifest *m, struct writer *w);
enum err manifest_decode(struct slice body, struct manifest *ret);
void receipt_encode(const struct receipt *r, struct writer *w);
enum err receipt_decode(struct slice body, struct receipt *ret);
void holding_encode(const struct holding *h, struct writer *w);
enum err holding_decode(struct slice body, struct holding *ret);
void deletion_encode(const struct deletion *d, struct writer *w);
enum err deletion_decode(struct slice body, struct deletion *ret);
void revocations_encode(const struct revocations *r, struct writer *w);
enum err revocations_decode(struct slice body, struct revocations *ret);
struct revocation revocations_at(const struct revocations *r, uint32_t i); /* serials ascend */
void node_status_encode(const struct node_status *s, struct writer *w);
enum err node_status_decode(struct slice body, struct node_status *ret);
void possession_encode(const struct possession *p, struct writer *w);
enum err possession_decode(struct slice body, struct possession *ret);
void delegation_encode(const struct delegation *d, struct writer *w);
enum err delegation_decode(struct slice body, struct delegation *ret);

/* video_stream: the stream id that zone, streamer, video and nonce name. */
struct hash video_stream(const struct video *v);
/* video_thumbnail_hash: what thumbnail_hash is for this text; zero for the empty one. */
struct hash video_thumbnail_hash(struct slice text);

/* zone_link_body: what the old key signs of a link, as OBJECT_ZONE_LINK. */
void zone_link_body(const struct id *zone_id, const struct zone_link *link, struct writer *w);

/*
 * zone_open: decode and verify signed zone parameters against themselves
 * (signature by sign_pk). What they are worth is decided by zone_accept.
 * ERR_FORMAT, ERR_LIMIT, ERR_SIGNATURE.
 */
enum err zone_open(struct slice bytes, struct zone_params *ret);

/*
 * zone_accept: whether parameters follow from what is pinned: same zone id and
 * the same key at the same epoch, or a chain of links from the pinned key up.
 * pin        what was accepted before; a zone_id of "" pins the key alone: then
 *            neither its id nor its epoch is looked at.
 * offered    from zone_open.
 * ERR_UNAUTHORIZED: another zone, an older epoch, or links that do not lead here.
 */
enum err zone_accept(const struct zone_params *pin, const struct zone_params *offered);

/*
 * zone_key_of: the key that signed for the zone in an epoch: the current one, or one that the
 * links lead back to (they are part of what the current key signed, and count as its word).
 * ERR_NOT_READY: an epoch after these parameters: ask for newer ones. ERR_UNAUTHORIZED: no link
 * leads there.
 */
enum err zone_key_of(const struct zone_params *zone, uint32_t epoch, struct pubkey *ret);

/*
 * credential_open: decode, and verify that this zone signed it (id, epoch, the epoch's key).
 * Dates and revocations are not looked at: credential_valid_at and revocations_revoked do.
 * ERR_FORMAT, ERR_LIMIT, ERR_SIGNATURE; ERR_UNAUTHORIZED: another zone, or an epoch that nothing
 * leads back to; ERR_NOT_READY: a later epoch: newer parameters are needed.
 * ret borrows from bytes.
 */
enum err credential_open(struct slice bytes, const struct zone_params *zone,
                         struct credential *ret);
/* credential_valid_at: not_before <= t < not_after. */
bool credential_valid_at(const struct credential *c, uint64_t utc_us);

/*
 * revocations_open: decode, and verify that this zone's current key signed it: an older key may
 * not. ERR_FORMAT (serials that do not ascend, too), ERR_LIMIT, ERR_SIGNATURE; ERR_UNAUTHORIZED:
 * another zone or an older epoch; ERR_NOT_READY: a later epoch. ret borrows from bytes.
 */
enum err revocations_open(struct slice bytes, const struct zone_params *zone,
                          struct revocations *ret);
/*
 * revocations_newer: whether a list replaces another: by epoch, then by number, then by time of
 * issue. Whoever stole a key can give out a list of the greatest number; a rotation ends its word.
 */
bool revocations_newer(const struct revocations *list, const struct revocations *than);
/* revocations_since: since when a serial is revoked, in *ret_us; false: it is not. O(log n). */
bool revocations_since(const struct revocations *list, uint64_t serial, uint64_t *ret_us);
/* revocations_revoked: whether it is, at this time. */
bool revocations_revoked(const struct revocations *list, uint64_t serial, uint64_t at_us);

/*
 * zone_deletion_open: a deletion signed by the zone, in any epoch that these parameters lead back
 * to; it names no epoch, so one that nobody signed costs a verification for each. Whether it is
 * about this zone is the caller's to ask, as with deletion_open. ERR_FORMAT, ERR_SIGNATURE.
 * Borrowing.
 */
enum err zone_deletion_open(struct slice bytes, const struct zone_params *zone,
                            struct deletion *ret);

/* X_open: decode body ‖ signature and verify it against pk. ERR_FORMAT, ERR_SIGNATURE. Borrowing.
 */
enum err video_open(struct slice bytes, const struct pubkey *pk, struct video *ret);
enum err manifest_open(struct slice bytes, const struct pubkey *pk, struct manifest *ret);
enum err receipt_open(struct slice bytes, const struct pubkey *pk, struct receipt *ret);
enum err holding_open(enum object_type type, struct slice bytes, const struct pubkey *pk,
                      struct holding *ret);
enum err deletion_open(struct slice bytes, const struct pubkey *pk, struct deletion *ret);
enum err node_status_open(struct slice bytes, const struct pubkey *pk, struct node_status *ret);
enum err possession_open(struct slice bytes, const struct pubkey *pk, struct possession *ret);
enum err delegation_open(struct slice bytes, const struct pubkey *pk, struct delegation *ret);

/* One field of a signed request, as its canonical text (docs/PROTOCOL.md §2.3). Borrowed. */
struct field {
    struct slice key;
    struct slice value;
};

/*
 * fields_hash: the hash over the fields but "auth". Sorts fields in place.
 * ERR_FORMAT: a key twice. ERR_LIMIT: more than REQUEST_FIELDS_MAX beside "auth".
 */
enum err fields_hash(struct field *fields, size_t n, struct hash *ret);

struct request_auth {
    uint64_t ts_us;
    struct nonce nonce;
    struct signature sig;
};

/* request_body: encode what is signed. type: ours; target: an id. */
void request_body(struct writer *w, struct slice type, struct slice target,
                  const struct hash *fields, uint64_t ts_us, const struct nonce *nonce);
/* request_sign: the AUTH_BYTES of `auth`, and the hash that the reply echoes (may be NULL). */
void request_sign(struct slice type, struct slice target, const struct hash *fields, uint64_t ts_us,
                  const struct nonce *nonce, const struct signkey *key,
                  uint8_t ret_auth[static AUTH_BYTES], struct hash *ret_request);
/*
 * request_check: verify `auth`; whether ts and nonce are fresh is the caller's to decide.
 * ERR_FORMAT: not AUTH_BYTES. ERR_SIGNATURE. ret_request may be NULL.
 */
enum err request_check(struct slice type, struct slice target, const struct hash *fields,
                       struct slice auth, const struct pubkey *pk, struct request_auth *ret,
                       struct hash *ret_request);

/* Enrolment (§2.4). ENROL_PROOF_BYTES = MAC ‖ signature. */
enum { ENROL_PROOF_BYTES = HASH_BYTES + SIGNATURE_BYTES };
struct enrolment {
    struct id edge_id;
    struct pubkey pk;
    uint64_t ts_us;
    struct nonce nonce;
};
void enrolment_prove(const struct enrolment *e, const uint8_t secret[static KEY_BYTES],
                     const struct signkey *key, uint8_t ret_proof[static ENROL_PROOF_BYTES],
                     struct hash *ret_request);
/* ERR_FORMAT: length. ERR_UNAUTHORIZED: the MAC does not hold. ERR_SIGNATURE: the key's does not.
 */
enum err enrolment_check(const struct enrolment *e, const uint8_t secret[static KEY_BYTES],
                         struct slice proof, struct hash *ret_request);
/* enrolment_reply_mac: the reply's proof. params and credential are signed objects. */
struct hash enrolment_reply_mac(const uint8_t secret[static KEY_BYTES], const struct hash *request,
                                struct slice params, struct slice credential,
                                const struct nonce *nonce);

/* Reply tokens (§2.5). */
enum { TOKEN_BYTES = 16 };
void token_make(const uint8_t secret[static KEY_BYTES], struct slice client_id, uint64_t utc_us,
                uint8_t ret[static TOKEN_BYTES]);
/* token_valid: made in this hour or the one before. */
bool token_valid(const uint8_t secret[static KEY_BYTES], struct slice client_id, uint64_t utc_us,
                 struct slice token);

#endif
