#ifndef CLIENT_FOLLOW_H
#define CLIENT_FOLLOW_H
/*
 * What is trusted, kept up to date while a command runs: the zone's parameters, when its
 * key changes, and its list of revocations. Nothing waits for it: it listens beside whatever
 * is being waited for, and a change is SESSION_TRUST (session.h).
 *
 *   auth/revocations --newer--> list, kept in home
 *   something of a later epoch --follow_later--> auth/params --follows from the pin--> zone, pinned
 */
#include "client/revocations.h"
#include "client/say.h"
#include "client/session.h"

enum { FOLLOW_AGAIN_US = 10 * 1000 * 1000 }; /* auth/params is asked at most so often */

struct follow {
    struct session *session;
    const struct identity *identity;
    struct zone_params *zone; /* the command's own: replaced in place */
    struct revocation_list list;
    uint64_t asked_us; /* follow_later, monotonic; 0: not yet */
};

/*
 * follow_open: begin, with the list that is kept. All three stay the caller's and where they
 * are until follow_close; zone is filled. A damaged list of ours is said and left out.
 */
void follow_open(struct follow *f, struct session *session, const struct identity *identity,
                 struct zone_params *zone);

/* follow_load: the list that is kept, unless the one that is held is newer; also of a key that
 * another command has followed the zone to by now: then zone is replaced, too. */
void follow_load(struct follow *f);

/* follow_close: the session listens no more. Zeroed is fine. */
void follow_close(struct follow *f);

/* follow_later: something of a later epoch than the zone's parameters was seen: ask for newer
 * ones, unless that was done lately. Anybody can make us do that. */
void follow_later(struct follow *f);

/* follow_list: the newest list, or NULL. */
static inline const struct revocations *follow_list(const struct follow *f)
{
    return revocation_list_get(&f->list);
}

/*
 * follow_take: a message, as the session's listener hears it; context is the follow.
 * HEARD_NEWS: the zone or the list is another one now.
 */
enum heard follow_take(void *context, const struct topic *topic, struct slice payload);

/*
 * follow_wait: until a list is known; fresh: one that --require-revocations is content with.
 * ERR_TIMEOUT: none came within wait_us; what has arrived by then counts. ERR_CLOSED: interrupted.
 * What else arrives is dropped.
 */
enum err follow_wait(struct follow *f, bool fresh, uint64_t wait_us);

/*
 * follow_note: say if there is no list, or none to be relied on; what that means, what to do.
 * quiet    to a terminal only.
 * else_do  what this command may do beside, from its "; " on; "": nothing.
 */
void follow_note(const struct revocation_list *list, bool quiet, const char *else_do);
/* follow_json: "revocations": the list's number (0: none is known), "revocations_age_s" if
 * it is too old to be relied on, "revocations_ahead_s" if it is dated so far ahead. */
void follow_json(const struct revocation_list *list, struct json_text *j);

#endif
