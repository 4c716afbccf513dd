#ifndef TESTS_EDGE_DECODE_WORLD_H
#define TESTS_EDGE_DECODE_WORLD_H
/*
 * A decoder of edge1 that knows the zone and edge2's key and has asked edge2 for pages, and what is
 * said to it. What the functions return lives in `arena`, until decode_teardown.
 */
#include "edge/decode.h"
#include "tests/unit/edge/scene.h"

enum { ASKING = 77 };

extern struct member zone_key; /* whose key is the zone's */
extern struct decoder decoder;
extern struct trust_view *view;
extern struct reel *film; /* alice's, finished */
extern struct arena arena;

/* Of a group of tests. */
int decode_setup(void **state);
int decode_teardown(void **state);

/* decoded: what this message becomes; the caller frees it. */
struct event *decoded(const char *topic, struct slice payload);
/* expect_rejected: it is refused, and answered to reply_id (NULL: nobody). */
void expect_rejected(const char *topic, struct slice payload, enum err err, const char *reply_id);

/* flipped: the same bytes but for one bit. signed_by: the object, signed. */
struct slice flipped(struct slice bytes);
struct slice signed_by(enum object_type type, const struct writer *w, const struct member *by);
/* peer_text: signed by an edge for another one, or for all (""), at a time of its own. */
struct slice peer_text(struct slice text, enum topic_kind topic, const struct member *by,
                       const char *to);
extern uint64_t said_us; /* the time of the last one */

/* What an edge says of itself: the object, and the status with it and with a credential. */
struct node_status node_of(const struct member *edge);
struct slice status_object(const struct node_status *s, const struct member *by);
struct edge_status status_of(const struct member *edge);
/* verified: whether it is believed. */
bool verified(const struct edge_status *m);

#endif
