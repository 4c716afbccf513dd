#ifndef TESTS_EDGE_PICTURE_H
#define TESTS_EDGE_PICTURE_H
/* Films on the stage whose streamers let the edge make their thumbnail. */
#include "tests/unit/edge/stage.h"

enum { PICTURE_JPEG_BYTES = 3000 };

/* picture_bare_of: without a picture of the streamer's; picture_of: an init chunk and two keyframes
 * of two parts. The caller frees them. */
struct reel *picture_bare_of(const struct member *who, const char *id, bool live);
struct reel *picture_of(const struct member *who, const char *id, bool live);
/* picture_leave: that the stage's edge may make one, for a minute. */
struct delegation picture_leave(const struct stage *s, const struct reel *r);
struct event *picture_live_leave(const struct reel *r, const struct delegation *d);
/* picture_send: all of it, with that leave. d NULL: there is one, but its signature does not hold.
 */
void picture_send(struct stage *s, const struct reel *r);
void picture_send_with(struct stage *s, const struct reel *r, const struct delegation *d);
/* picture_asked: the job that was asked for last; NULL: none since stage_forget. picture_answer: it
 * is done so; picture_answer_full: it is as large as it may be. */
const struct thumbnail_job *picture_asked(const struct stage *s);
void picture_answer(struct stage *s, uint64_t serial, enum err err);
void picture_answer_full(struct stage *s);
/* picture_watched: the answer to a viewer's init. picture_holds: it shows a thumbnail by s's edge.
 */
const struct watch_info *picture_watched(struct stage *s, const struct reel *r);
void picture_holds(const struct stage *s, const struct watch_info *info, const struct reel *r);
uint64_t picture_count(const struct stage *s, enum core_counter which);

#endif
