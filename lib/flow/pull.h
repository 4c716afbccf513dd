#ifndef FLOW_PULL_H
#define FLOW_PULL_H
/*
 * Pulling a stored video part by part (docs/PROTOCOL.md §4.3): which part comes
 * next, when to seek, when to give credit, when to give up. It sees numbers and
 * lengths, never media; the caller verifies parts before it shows them here.
 * Used by edgectl and by an edge's fetch.
 *
 *   IDLE --pull_start--> SEEKING --part--> RUNNING --end--> ENDED
 *                           ^                |
 *                           +-- gap, silence-+        too many silent seeks: FAILED
 *
 * Pure: time is an argument (monotonic µs). Not thread-safe.
 */
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PULL_SILENCE_US = 2 * 1000 * 1000, /* nothing heard for so long: seek again */
    PULL_SEEKS_MAX = 5,                /* silent seeks in a row before FAILED */
};

enum pull_state { PULL_IDLE, PULL_SEEKING, PULL_RUNNING, PULL_ENDED, PULL_FAILED };

struct pull {
    enum pull_state state;
    uint32_t pull;        /* number of the current seek; grows */
    uint32_t chunk, part; /* the part expected next */
    uint32_t window_bytes;
    uint64_t received_bytes; /* packets' bytes accepted for this pull: what credit is about */
    uint64_t stray_bytes;    /* dropped since the last seek */
    uint64_t credited_bytes; /* last credit sent */
    uint64_t heard_us;       /* last time that something useful came, or that we asked */
    uint32_t chunks;         /* in the whole video; 0: not known */
    unsigned silent_seeks;
    bool seek_due;
};

/* pull_init: window_bytes is what may be under way at once. */
void pull_init(struct pull *p, uint32_t window_bytes);

/*
 * pull_expect: the video has that many chunks (from a verified manifest). From
 * then on the last part ends the pull, and an end before it is a gap.
 */
void pull_expect(struct pull *p, uint32_t chunks);

/* pull_start: begin, or begin again at another place, at part `part` of chunk `chunk`. */
void pull_start(struct pull *p, uint32_t chunk, uint32_t part, uint64_t now_us);

enum pull_verdict {
    PULL_ACCEPT,    /* the expected one; the position has moved on */
    PULL_DUPLICATE, /* had it already: drop */
    PULL_GAP,       /* something is missing: drop; a seek is due */
};

/*
 * pull_part: a verified part arrived.
 * parts_n  of its chunk, so that the position can move to the next chunk.
 */
enum pull_verdict pull_part(struct pull *p, uint32_t chunk, uint32_t part, uint32_t parts_n,
                            size_t packet_bytes, uint64_t now_us);

/* pull_lost: the expected part arrived, but there was no room for it: a seek is due. */
void pull_lost(struct pull *p);

/*
 * pull_end: the end answer to pull number `pull` arrived; others are ignored, and
 * so is one in the middle of a chunk or before the last expected one: it stands
 * for lost parts, and counts as a silent seek.
 */
void pull_end(struct pull *p, uint32_t pull, uint64_t now_us);

/*
 * pull_heard: the other side said something else that shows it is at work
 * ("not_ready"). The caller bounds how long it puts up with that.
 */
void pull_heard(struct pull *p, uint64_t now_us);

/* What to send now. */
struct pull_request {
    bool seek; /* else credit */
    uint32_t pull;
    uint32_t chunk, part;  /* seek */
    uint64_t credit_bytes; /* credit */
    uint32_t window_bytes;
};
/* pull_next: true and one request if one is due now. Call until false. */
bool pull_next(struct pull *p, uint64_t now_us, struct pull_request *ret);

/* pull_deadline_us: when to call pull_next again at the latest; UINT64_MAX: never. */
uint64_t pull_deadline_us(const struct pull *p);

#endif
