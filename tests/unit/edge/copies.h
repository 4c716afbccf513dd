#ifndef TESTS_EDGE_COPIES_H
#define TESTS_EDGE_COPIES_H
/*
 * One edge on its stage among others, and films of which there are to be two copies: what the
 * tests of custody and of giving up have in common.
 */
#include "tests/unit/edge/scene.h"

enum { COPIES_EDGES = 6, COPIES_CHUNKS = 6 };
#define COPIES_LOOK_US (4 * STAGE_S)   /* longer than any jitter */
#define COPIES_SWEEP_US (10 * STAGE_S) /* until a sweep after edges came or went was acted on */
#define COPIES_QUIET_US (60 * STAGE_S) /* nothing is given up so soon after a start or a proof */
#define COPIES_PROVE_US (10 * STAGE_S)

extern struct member copies_edges[COPIES_EDGES]; /* edge1 (we), edge2, … */

struct copies {
    struct stage *s;          /* edge1 */
    bool there[COPIES_EDGES]; /* which others are */
    struct reel *r;           /* "video1": an init chunk and 5 chunks of 4 parts; owned */
    struct arena arena;
};

/* For cmocka. */
int copies_group_setup(void **state);
int copies_setup(void **state);
int copies_teardown(void **state);

/* copies_film: a finished film of the size of video1; the caller frees it. */
struct reel *copies_film(const char *id);
/* copies_disk: what our disk has. */
void copies_disk(struct copies *c, uint64_t free_bytes, uint64_t total_bytes);
/* copies_come: edgeFIRST to edgeLAST are there. copies_beat: who is there says so.
 * copies_pass: time in which they do. */
void copies_come(struct copies *c, int first, int last);
void copies_beat(struct copies *c);
void copies_pass(struct copies *c, uint64_t us);
/* copies_says: edgeN says about a film that it holds it (1) or does not (0). */
void copies_says(struct copies *c, const struct reel *r, int n, uint8_t state);

/* copies_inits: how often a source was asked since stage_forget. copies_begins: let time pass until
 * one is, at most us. */
size_t copies_inits(struct stage *s);
bool copies_begins(struct copies *c, uint64_t us);
/* copies_inform, copies_parts: a source answers an init, sends parts; copies_serve: edge2, all. */
void copies_inform(struct copies *c, const char *source, const struct reel *r);
void copies_parts(struct copies *c, const struct reel *r, size_t from, size_t to);
void copies_serve(struct copies *c, const struct reel *r);
/* copies_watch: a viewer's init. copies_cache: a viewer's fetch of what edge2 and edge3 hold. */
void copies_watch(struct copies *c, const char *client_id, const struct reel *r);
void copies_cache(struct copies *c, const struct reel *r, const char *viewer);

/* copies_custody: the state of our custody row; -1: there is none. */
int copies_custody(struct copies *c, const struct reel *r);
uint64_t copies_count(struct copies *c, enum core_counter which);

#endif
