#ifndef TESTS_EDGE_SCENE_H
#define TESTS_EDGE_SCENE_H
/*
 * What the tests of one core have in common: who is in them, a stage, and a film of alice's.
 */
#include "tests/unit/edge/stage.h"

extern struct member alice, bob;                        /* streamers */
extern struct member edge1, edge2, edge3, edge8, edge9; /* a usual stage is edge1 */

/* scene_cast: a group's setup: makes them all. */
int scene_cast(void **state);

/* scene_cast_numbered: as scene_cast, with serials in the credentials of alice and bob. */
enum { ALICE = 11, BOB = 12 };
int scene_cast_numbered(void **state);

/* scene_view: who knows the zone, and no stream and no edge. */
struct trust_view *scene_view(void);

/* A test's setup and teardown where *state is a usual stage. */
int scene_stage_setup(void **state);
int scene_stage_teardown(void **state);

struct scene {
    struct stage *s; /* a usual one; owned */
    struct reel *r;  /* of alice; owned */
};

/* A test's where *state is a scene with "video1", an init chunk and 5 chunks of 3 parts, finished;
 * nothing of it is sent. */
int scene_setup(void **state);
int scene_teardown(void **state);
/* scene_new: for a setup with another reel, which it takes. */
struct scene *scene_new(struct reel *r);

/* scene_film: alice's, finished: an init chunk and n chunks of payload_len; the caller frees it. */
struct reel *scene_film(const char *id, unsigned n, size_t payload_len);
/* scene_small: the smallest film. */
struct reel *scene_small(const char *id);
/* scene_film_of, scene_live_of: anybody's: an init chunk and 3 chunks; of a live, not finished. */
struct reel *scene_film_of(const struct member *who, const char *id);
struct reel *scene_live_of(const struct member *who, const char *id);
/* scene_row: a small film that this edge holds; from the stage's arena. */
struct storage_row scene_row(struct stage *s, const char *id, const struct member *edge);
/* scene_rows: n of them, v0000, v0001, …, held by edge2. */
struct storage_row *scene_rows(struct stage *s, size_t n);
/* scene_announce: an edge says that it holds a film. */
void scene_announce(struct stage *s, const struct reel *r, const struct member *edge);

#endif
