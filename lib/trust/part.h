#ifndef TRUST_PART_H
#define TRUST_PART_H
/*
 * Chunk statements and the parts that carry them (docs/PROTOCOL.md §2.2).
 * Pure; any thread.
 */
#include "trust/merkle.h"
#include "trust/object.h"

enum {
    PACKET_BYTES_MAX = 65536,
    PART_PAYLOAD_BYTES_MAX = 61440,
    PART_PAYLOAD_JSON_BYTES_MAX = 45000,
    PART_BYTES_MIN = 1024,
    CHUNK_BYTES_MAX = 4 * 1024 * 1024,
    CHUNK_PARTS_MAX = 4096,
    STATEMENT_EXT_BYTES_MAX = 256,
    STATEMENT_BYTES_MIN = 166,
    STATEMENT_BYTES_MAX = STATEMENT_BYTES_MIN + STATEMENT_EXT_BYTES_MAX,
};

enum chunk_kind { CHUNK_INIT = 1, CHUNK_MEDIA = 2, CHUNK_END = 3 };

enum chunk_flag {
    CHUNK_KEYFRAME = 1,
    CHUNK_DISCONTINUITY = 2,
    CHUNK_ENCRYPTED = 4,
    CHUNK_FLAGS_CRITICAL = 0xff00, /* unknown ones: refuse the chunk */
};

struct chunk {
    struct hash stream;
    uint16_t track;
    enum chunk_kind kind;
    uint16_t flags;
    uint32_t number;
    uint32_t init_number;
    struct pubkey signer;
    uint64_t capture_us;
    uint32_t duration_us;
    uint32_t payload_len;
    uint32_t part_bytes;
    uint16_t parts_n;
    struct hash root;
    struct hash prev;
    struct slice ext; /* borrowed */
};

/* chunk_encode: the body. */
void chunk_encode(const struct chunk *c, struct writer *w);

/*
 * chunk_decode: a body with every rule of §2.2 that needs nothing but itself.
 * ERR_FORMAT: malformed, parts_n that the lengths do not imply, unknown critical flag,
 * an init_number that is not its own (init) or not an earlier one (others), a prev that
 * is zero after chunk 1 or not zero in it.
 * ERR_LIMIT: a declared size above its limit. ret borrows ext.
 */
enum err chunk_decode(struct slice body, struct chunk *ret);

/* chunk_parts_n: max(1, ceil(payload_len / part_bytes)). */
uint32_t chunk_parts_n(uint32_t payload_len, uint32_t part_bytes);

/* chunk_part_len: payload bytes of part index of this chunk. */
uint32_t chunk_part_len(const struct chunk *c, uint32_t index);

/* part_packet_len: bytes of the packet of part index, with a statement of statement_len bytes. */
size_t part_packet_len(const struct chunk *c, size_t statement_len, uint32_t index);

/* One part, decoded. Everything borrows from the packet. */
struct part {
    struct chunk chunk;
    struct slice statement; /* the chunk body */
    struct signature sig;
    uint16_t index;
    struct slice proof;
    struct slice payload;
};

/*
 * part_decode: split one packet into a part. No byte of media is touched.
 * packet    borrowed; any bytes, 0..PACKET_BYTES_MAX.
 * ERR_FORMAT: not a part: drop and count. ERR_LIMIT: a declared size exceeds its limit.
 */
enum err part_decode(struct slice packet, struct part *ret);

/* part_is: whether a packet begins as a part does; nothing else is known of it. */
bool part_is(struct slice packet);

/* part_check_payload: the payload belongs to the statement (Merkle proof). ERR_SIGNATURE. */
enum err part_check_payload(const struct part *p);

/* part_check_statement: chunk.signer signed the statement. 48 µs. ERR_SIGNATURE. */
enum err part_check_statement(const struct part *p);

/* part_key: H(statement ‖ signature), by which a checked statement is known again. */
struct hash part_key(const struct part *p);

/*
 * sig_cache: remembers statements whose signature was verified, so that the
 * parts of one chunk cost one verification. Keyed by part_key,
 * and the statement names its signer; a miss costs time, never truth. Zeroed is
 * empty. Of one thread, or under a lock of the caller's.
 */
enum { SIG_CACHE_SLOTS = 2048 };
struct sig_cache {
    struct hash slots[SIG_CACHE_SLOTS];
};

/* sig_cache_has: whether the statement with this part_key is remembered. */
bool sig_cache_has(const struct sig_cache *cache, const struct hash *key);

/* sig_cache_add: its signature was right. Another one may be forgotten for it. */
void sig_cache_add(struct sig_cache *cache, const struct hash *key);

/*
 * part_verify: statement signature (through the cache) and payload.
 * cache  NULL: always verify. ERR_SIGNATURE.
 */
enum err part_verify(const struct part *p, struct sig_cache *cache);

/*
 * chunk_cutter: signs chunks and cuts them into parts; the streamer's side.
 * Keeps number, init number and hash chain.
 */
struct chunk_cutter {
    struct hash stream;
    uint16_t track;            /* 0 at first; may be set before the first chunk */
    const struct signkey *key; /* borrowed */
    uint32_t part_bytes;
    uint32_t next_number; /* 1 at first */
    uint32_t init_number; /* 0 until an init chunk was cut */
    struct hash prev;
    struct merkle statements; /* for the manifest */
    uint64_t bytes;
};

/* One signed chunk, ready to be sent part by part. */
struct cut_chunk {
    struct chunk chunk;
    uint8_t statement[STATEMENT_BYTES_MAX];
    size_t statement_len;
    struct signature sig;
    struct slice payload; /* borrowed from the caller */
    struct hash *leaves;  /* owned: parts_n */
};

void chunk_cutter_init(struct chunk_cutter *c, const struct hash *stream, const struct signkey *key,
                       uint32_t part_bytes);

/*
 * chunk_cut: sign the next chunk. kind, flags, times as in §2.2.
 * payload  borrowed until cut_chunk_release; 1..CHUNK_BYTES_MAX bytes, 0 for CHUNK_END.
 * ERR_LIMIT: longer; the cutter is unchanged. One hash pass over the payload.
 */
enum err chunk_cut(struct chunk_cutter *c, enum chunk_kind kind, uint16_t flags,
                   uint64_t capture_us, uint32_t duration_us, struct slice payload,
                   struct cut_chunk *ret);

/*
 * cut_chunk_part: write the packet of part index; returns its length (part_packet_len).
 * Hashes the tree's other half of nodes again: about parts_n × 0.15 µs.
 */
size_t cut_chunk_part(const struct cut_chunk *c, uint32_t index,
                      uint8_t ret_packet[static PACKET_BYTES_MAX]);
void cut_chunk_release(struct cut_chunk *c);

/* chunk_cutter_manifest: the manifest over everything cut so far; at least one chunk. */
struct manifest chunk_cutter_manifest(const struct chunk_cutter *c);

#endif
