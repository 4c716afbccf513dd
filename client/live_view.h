#ifndef CLIENT_LIVE_VIEW_H
#define CLIENT_LIVE_VIEW_H
/*
 * A live, put in order: parts come from two topics (the replay since the last
 * keyframe, and what is live now) without an order between them, doubled, with
 * holes. Out come whole chunks, numbers ascending, beginning at a keyframe; after
 * a hole again from a keyframe.
 *
 *   WAITING --whole keyframe, its init chunk seen--> PLAYING --hole, waited--> WAITING
 *
 * Bounded: at most LIVE_VIEW_BYTES_MAX of chunks are held, whatever comes.
 * Pure: time is an argument (monotonic µs). Not thread-safe.
 */
#include "trust/part.h"

enum {
    LIVE_VIEW_BYTES_MAX = 12 * 1024 * 1024, /* the largest chunk, twice, and some more */
    LIVE_VIEW_CHUNKS_MAX = 512,
    LIVE_VIEW_WAIT_US = 700 * 1000, /* how long a missing part may still arrive */
};

/* One chunk: being put together, or whole. */
struct live_chunk {
    struct chunk chunk; /* ext is not kept */
    uint8_t statement[STATEMENT_BYTES_MAX];
    size_t statement_len;
    struct signature sig;
    uint32_t have_n;  /* parts that are there */
    uint8_t *have;    /* owned: a bit per part */
    uint8_t *payload; /* owned: chunk.payload_len */
};

struct live_view {
    struct live_chunk *held[LIVE_VIEW_CHUNKS_MAX]; /* by ascending number */
    size_t held_n;
    size_t held_bytes;
    bool playing;
    uint32_t last_number; /* of the last chunk that was given out */
    uint32_t init_number; /* of the init chunk that was given out last; 0: none */
    uint64_t stuck_us;    /* since when something waits for what is missing; 0: nothing does */
    /* counters */
    uint64_t duplicates, old, conflicts, no_room, gaps, skipped_chunks;
};

void live_view_release(struct live_view *v); /* a zeroed live_view is ready */

/* live_view_part: a verified part. false: dropped, and counted. */
bool live_view_part(struct live_view *v, const struct part *part);

/*
 * live_view_next: the next chunk to play, or NULL: an init chunk before the first
 * keyframe that needs it, media, or the end. The caller frees it with live_chunk_free.
 */
struct live_chunk *live_view_next(struct live_view *v, uint64_t now_us);
void live_chunk_free(struct live_chunk *chunk);

/* live_view_deadline_us: when to call live_view_next again at the latest; UINT64_MAX: never. */
uint64_t live_view_deadline_us(const struct live_view *v);

#endif
