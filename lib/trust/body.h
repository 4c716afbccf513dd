#ifndef TRUST_BODY_H
#define TRUST_BODY_H
/*
 * What the codecs of lib/trust share; nobody else includes it. A reader that
 * also remembers the first rule that was broken: take everything, then ask
 * body_end once. After an error everything taken is zero, empty or unusable.
 */
#include "base/bytes.h"
#include "base/id.h"
#include "trust/crypto.h"

struct body {
    struct reader r;
    enum err err; /* the first broken rule; a short body shows in r alone */
};

struct body body_of(struct slice bytes);

/* body_refuse: note err unless another one came first. */
void body_refuse(struct body *b, enum err err);
/* body_version: the u8 version. ERR_FORMAT: not OBJECT_VERSION. */
void body_version(struct body *b);
/* body_u8: a u8 of min..max. ERR_FORMAT: another. */
uint8_t body_u8(struct body *b, uint8_t min, uint8_t max);
/* body_id: str that is an id. ERR_FORMAT. */
void body_id(struct body *b, struct id *ret);
/* body_text: str of UTF-8 without NUL, borrowed. ERR_LIMIT: above max bytes. ERR_FORMAT. */
struct slice body_text(struct body *b, size_t max);
struct hash body_hash(struct body *b);
struct pubkey body_pubkey(struct body *b);
/* body_end: ERR_OK: every rule held and nothing is left over. */
enum err body_end(const struct body *b);

/* The writer's half of the same. */
void write_hash(struct writer *w, const struct hash *h);
void write_pubkey(struct writer *w, const struct pubkey *pk);
void write_id(struct writer *w, const struct id *id);

/* The same encoding into a hash, for what has no bound worth a buffer. */
void hasher_add_u64(struct hasher *h, uint64_t v);
void hasher_add_str(struct hasher *h, struct slice s);

#endif
