#ifndef TESTS_EDGE_REEL_H
#define TESTS_EDGE_REEL_H
/*
 * A zone, who belongs to it, and what a streamer sends: signed objects and
 * parts that chunk_cutter made, ready to be put into events or messages.
 */
#include "base/arena.h"
#include "base/msg.h"
#include "trust/object.h"
#include "trust/part.h"
#include "wire/peer.h"

/* 2026-11-21T11:09:30Z: when every test begins. */
#define REEL_UTC_US (1795259370ull * 1000 * 1000)
#define REEL_DAY_US (24ull * 3600 * 1000 * 1000)

/* Somebody with a key and a credential of the zone. */
struct member {
    struct id id;
    struct signkey key;
    uint8_t credential[OBJECT_BYTES_MAX];
    size_t credential_len;
};

/* What a credential says, where it is not the usual. */
struct member_spec {
    enum credential_kind kind;
    uint64_t not_before_us, not_after_us;
    uint64_t serial; /* 0: REEL_SERIAL */
    uint32_t epoch;  /* of the zone's key; 0: 1 */
};

/* A list of revoked credentials, by the zone's key of an epoch; 0: 1. */
struct reel_list {
    uint32_t epoch;
    uint64_t number, issued_us; /* 0: REEL_UTC_US */
    uint32_t n;
    const struct revocation *entries; /* ascending */
};

void reel_zone(struct zone_params *ret);
struct signkey reel_zone_key(void);
/* _at: the zone as it is in an epoch of its key, from 1; links lead there from the first one. */
void reel_zone_at(uint32_t epoch, struct zone_params *ret);
struct signkey reel_zone_key_at(uint32_t epoch);
struct slice reel_zone_bytes_at(uint32_t epoch, struct arena *arena);
/* reel_revocations: a signed list, in the arena. */
struct slice reel_revocations(const struct reel_list *list, struct arena *arena);
/* reel_zone_bytes: the zone's signed parameters, in the arena. */
struct slice reel_zone_bytes(struct arena *arena);
void reel_zone_secret(uint8_t ret[static KEY_BYTES]);
enum { REEL_SERIAL = 7 }; /* of every credential that does not say another */
/* member_make: the key follows from the id; in date for a day around REEL_UTC_US. */
void member_make(const char *id, enum credential_kind kind, struct member *ret);
/* member_make_numbered: its credential has this serial. */
void member_make_numbered(const char *id, enum credential_kind kind, uint64_t serial,
                          struct member *ret);
void member_make_as(const char *id, const struct member_spec *spec, struct member *ret);
static inline struct slice member_credential(const struct member *m)
{
    return slice_of(m->credential, m->credential_len);
}

struct reel_part {
    struct msg *packet; /* owned */
    struct part part;   /* borrows from packet */
    struct hash statement_hash;
};

enum { REEL_PARTS_MAX = 6000, REEL_PART_BYTES = 8192 };

struct reel {
    struct arena arena;
    const struct member *streamer; /* borrowed */
    struct video video;            /* first revision */
    struct hash stream;
    struct slice statement, thumbnail;
    struct chunk_cutter cutter;
    size_t n;
    struct reel_part parts[REEL_PARTS_MAX];
    /* reel_finish */
    struct manifest manifest;
    struct video final_video;
    struct slice manifest_bytes, final_statement;
};

/*
 * reel_new: a stream without chunks.
 * take  which stream of this video id it is: its nonce follows from it.
 */
struct reel *reel_new(const struct member *streamer, const char *video_id, unsigned take,
                      bool live);
/* reel_sign: sign the statement again after a change of r->video. */
void reel_sign(struct reel *r);
void reel_free(struct reel *r);

/* reel_cut: one more chunk; returns the index of its first part. */
size_t reel_cut(struct reel *r, enum chunk_kind kind, uint16_t flags, uint64_t capture_us,
                size_t payload_len);
/* reel_fill: an init chunk and n media chunks of payload_len, every one a keyframe. */
void reel_fill(struct reel *r, unsigned n, size_t payload_len);
/* reel_finish: manifest and final revision. */
void reel_finish(struct reel *r);
/* reel_parts_of: how many parts a chunk has. */
uint16_t reel_parts_of(const struct reel *r, uint32_t chunk);
/* reel_at: the index of a part. */
size_t reel_at(const struct reel *r, uint32_t chunk, uint32_t part);

/* reel_object: body ‖ signature of a signed object of any kind, in the arena. */
struct slice reel_object(struct arena *arena, enum object_type type, const struct writer *body,
                         const struct signkey *key);
/* reel_peer_text: a message of an edge, signed. to: "" for all. */
struct slice reel_peer_text(struct arena *arena, struct slice text, enum topic_kind topic,
                            const struct member *from, const struct id *to, uint64_t time_us);
struct slice reel_video_object(struct arena *arena, const struct video *video,
                               const struct signkey *key);
struct slice reel_deletion_object(struct arena *arena, const struct deletion *deletion,
                                  const struct signkey *key);
struct slice reel_holding_object(struct arena *arena, enum object_type type,
                                 const struct holding *holding, const struct signkey *key);

#endif
