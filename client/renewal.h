#ifndef CLIENT_RENEWAL_H
#define CLIENT_RENEWAL_H
/*
 * A credential renewed before it ends: once two thirds of its life have passed, at the start
 * of a command and while a live goes on. That it fails is no error while the credential is
 * in date: it is tried again.
 *
 *   in force --two thirds--> newer one in home? --yes--> adopted
 *      ^                           | no
 *      +---- kept, adopted <-- auth/user renew, again and again
 */
#include "client/auth.h"
#include "client/follow.h"

enum {
    RENEWAL_WAIT_US = 2 * 1000 * 1000, /* the start of a command waits so long for an answer */
    /* In a live it is tried again after a quarter of what is left, at most after: */
    RENEWAL_AGAIN_US = 60 * 1000 * 1000,
};

struct renewal {
    struct session *session;
    const struct identity *identity;
    struct follow *follow;
    struct streamer *streamer; /* the command's own: its credential is replaced in place */
    struct auth_request auth;
    uint64_t again_us; /* monotonic: not before */
    bool listening;
    char refusal[REFUSAL_BYTES]; /* the last one, "": none */
    bool noted;
};

/* renewal_due_us: when two thirds of a credential's life have passed. Pure. */
uint64_t renewal_due_us(const struct credential *credential);

/* renewal_init: all stay the caller's and where they are; follow's zone is what it is for. */
void renewal_init(struct renewal *r, struct follow *follow, struct streamer *streamer);

/* renewal_start: at the start of a command: renew if it is due, and wait a moment for that. */
void renewal_start(struct renewal *r);

/*
 * renewal_step: at every turn of a loop: ask, if it is due.
 * true: streamer has a newer credential: somebody logged in again, here.
 */
bool renewal_step(struct renewal *r, uint64_t now_us);

/* renewal_worries: whether it was refused, and nobody has been told; renewal_note tells. */
static inline bool renewal_worries(const struct renewal *r)
{
    return r->refusal[0] && !r->noted;
}
void renewal_note(struct renewal *r);

/* renewal_take: a message. true: it was the answer, and streamer has a newer credential. */
bool renewal_take(struct renewal *r, const struct topic *topic, struct slice payload);

#endif
