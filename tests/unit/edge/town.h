#ifndef TESTS_EDGE_TOWN_H
#define TESTS_EDGE_TOWN_H
/*
 * A few stages on one broker and one clock: what edges tell each other (topics
 * of db, edge/status) is encoded, delivered and decoded as it would be; the
 * rest is dropped. Small and lossless, for tests of one machine at a time.
 */
#include "edge/once.h"
#include "tests/unit/edge/stage.h"

enum { TOWN_STAGES_MAX = 8, TOWN_STEP_US = 10 * 1000 };

struct town {
    size_t n;
    struct stage *s[TOWN_STAGES_MAX]; /* owned; NULL: it is down */
    bool cut[TOWN_STAGES_MAX];        /* nothing from or to it arrives */
    struct once *once[TOWN_STAGES_MAX];
    struct budget budget;
    struct arena arena;
    uint64_t now_us, utc_us;
    /* what arrived, since it was set to zero */
    size_t messages, bytes, sync_messages, sync_bytes, largest;
    size_t asked; /* db */
};

/* town_new: n edges "edge1"…, each with a copy of spec (but the id). */
struct town *town_new(size_t n, const struct stage_spec *spec);
void town_free(struct town *t);
/* town_add: one more edge; returns it. */
struct stage *town_add(struct town *t, const struct stage_spec *spec);
/* town_pass: let us microseconds pass, delivering. */
void town_pass(struct town *t, uint64_t us);
/* town_skip: the clock jumps, with nobody looking. */
void town_skip(struct town *t, uint64_t us);
/* town_agrees: every table of edges that are up is the same, byte for byte. */
bool town_agrees(struct town *t);
/* town_until: pass until they agree, or for us; whether they do. */
bool town_until_agreed(struct town *t, uint64_t us);

#endif
