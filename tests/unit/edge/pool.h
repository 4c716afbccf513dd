#ifndef TESTS_EDGE_POOL_H
#define TESTS_EDGE_POOL_H
/*
 * A verify pool of edge1, and messages for it that are numbered, of two kinds: scraps, which begin
 * as parts do and are refused, so that the caller may decode them; and pings, which are text, so
 * that a worker has to.
 */
#include "edge/verify.h"
#include "tests/unit/asleep.h"
#include "tests/unit/edge/reel.h"

enum { WORKERS = 4, MESSAGES = 10000, INBOX = 1024 };

struct pool {
    struct queue inboxes[LANES];
    struct verify *v;
};

extern unsigned no_help;          /* 0, and verify_take leaves it so */
extern struct budget pool_budget; /* of all messages */

/* Of a group of tests, and of each. The teardown sees that every message was released. */
int pool_group_setup(void **state);
int pool_setup(void **state);
int pool_teardown(void **state);

bool readable_fd(int fd, int timeout_ms);
bool readable(const struct verify *v, enum lane lane, int timeout_ms);

/* next_event: the lane's next one as the loop gets it: from the workers, or with help for want of
 * one. */
struct event *next_event(struct pool *p, enum lane lane, unsigned *help);

/* Push number i; and an event, which is freed, is that one. */
void ping(struct pool *p, enum lane lane, unsigned i);
void scrap(struct pool *p, enum lane lane, unsigned i);
void expect_ping(struct event *ev, unsigned i);
void expect_scrap(struct event *ev, unsigned i);
void expect_part(struct event *ev, const struct reel_part *part);

/* message: number i of a mixture: every seventh is a part with work to be verified, the others are
 * scraps, or with texts scraps and pings. */
struct msg *message(const struct reel *r, unsigned i, bool texts);
void expect_message(struct event *ev, const struct reel *r, unsigned i, bool texts);
/* push_message: false: the inbox is full, and the message released. */
bool push_message(struct pool *p, enum lane lane, struct msg *msg);

/* reel_live: parts of 8 KB. trust: the pool verifies against a view with this stream alone. */
struct reel *reel_live(const struct member *streamer);
void trust(struct pool *p, const struct reel *r);

#endif
