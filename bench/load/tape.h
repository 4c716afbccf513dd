#ifndef BENCH_LOAD_TAPE_H
#define BENCH_LOAD_TAPE_H
/*
 * A stream signed beforehand: while the load runs, a part costs its generator
 * one lookup. All chunks carry the same media, so that a tape of many thousand
 * parts needs a megabyte; each has a statement, number and signature of its own.
 *
 * And who signs: a streamer whom edgectl has logged in.
 */
#include "base/arena.h"
#include "trust/part.h"

struct streamer {
    struct signkey key;
    uint8_t bytes[OBJECT_BYTES_MAX]; /* the signed credential */
    size_t len;
    struct credential credential; /* borrows from bytes */
};

/* streamer_load: key and credential from an EDGECTL_HOME; dies when there is none. */
void streamer_load(const char *home, struct streamer *ret);

struct tape_config {
    uint32_t part_bytes;
    uint32_t parts_n;        /* per chunk */
    uint32_t chunks_n;       /* signed */
    uint32_t keyframe_every; /* chunks */
    uint64_t chunk_us;       /* that a chunk lasts */
    bool live;
    const char *video_id;
};

struct tape_chunk {
    uint8_t statement[STATEMENT_BYTES_MIN];
    struct signature sig;
};

struct tape {
    struct tape_config config;
    const struct streamer *streamer; /* borrowed */
    struct video video;
    struct slice media;        /* of one chunk; shared by all tapes of the process */
    struct hash *proofs;       /* of each part, the same in every chunk; owned */
    struct tape_chunk *chunks; /* chunks_n, owned */
    struct merkle statements;
};

/* tape_make: sign chunks_n chunks, captured now. 20 µs each. */
void tape_make(struct tape *t, const struct tape_config *config, const struct streamer *streamer);

/*
 * tape_part: part `part` of chunk `chunk` (from 1) as lead ‖ body.
 * lead  MQ_LEAD_BYTES_MAX bytes' room. Returns its length.
 */
size_t tape_part(const struct tape *t, uint32_t chunk, uint32_t part, uint8_t *lead,
                 struct slice *ret_body);

/* tape_init, tape_end: the init message and the end with the manifest of the first
 * chunks_n chunks, which must be all; owned by the arena. */
struct slice tape_init(const struct tape *t, struct slice edge_id, struct arena *arena);
struct slice tape_end(const struct tape *t, struct arena *arena);

/* tape_packet_bytes: the length of its longest part's packet. */
size_t tape_packet_bytes(const struct tape *t);

#endif
