#ifndef TESTS_TRUST_FIXTURE_H
#define TESTS_TRUST_FIXTURE_H
/* A zone, an edge and a streamer that never change, and numbers that look random but repeat. */
#include "trust/object.h"
#include "trust/part.h"

enum { FIXTURE_NOW_S = 1795259370 }; /* 2026-11-21T11:09:30Z */
static const uint64_t fixture_now_us = (uint64_t)FIXTURE_NOW_S * 1000 * 1000 + 123456;

enum fixture_key {
    KEY_ZONE,   /* epoch 1 */
    KEY_ZONE_2, /* the zone's key at epoch 2 */
    KEY_ZONE_3,
    KEY_EDGE,
    KEY_STREAMER,
    KEY_STRANGER,
    FIXTURE_KEYS_N,
};
struct signkey fixture_key(enum fixture_key which);
const char *fixture_key_name(enum fixture_key which);
struct boxkey fixture_box(void);
/* 32 bytes of one value. */
struct hash fixture_bytes(uint8_t value);
struct id fixture_id(const char *text);

/* "zone1": epoch 1 without links, or epoch 3 with the links 1 -> 2 -> 3. */
struct zone_params fixture_zone(void);
struct zone_params fixture_zone_rotated(void);
struct credential fixture_credential(enum credential_kind kind);
/* "video1" of "streamer1": the first revision. */
struct video fixture_video(void);
struct hash fixture_stream(void);
/* Byte i of the payload of chunk number. */
void fixture_payload(uint32_t number, uint8_t *ret, size_t n);

/* A signed object in a buffer: body, signature and both together. */
struct fixture_object {
    uint8_t bytes[REVOCATIONS_BODY_BYTES_MAX + SIGNATURE_BYTES];
    struct slice body, whole;
};
void fixture_sign(enum object_type type, const struct writer *body, enum fixture_key key,
                  struct fixture_object *ret);

/* splitmix64. */
struct prng {
    uint64_t state;
};
uint64_t prng_next(struct prng *p);
/* prng_below: 0..n-1. */
uint32_t prng_below(struct prng *p, uint32_t n);
void prng_fill(struct prng *p, void *ret, size_t n);
/* prng_text: valid UTF-8 of at most max bytes in buf. */
struct slice prng_text(struct prng *p, char *buf, size_t max);
struct id prng_id(struct prng *p);

#endif
