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

/* follow_note: on a terminal, say if the list is too old to be relied on. */
void follow_note(const struct follow *f);
/* follow_json: "revocations": the list's number (0: none is known), and "revocations_age_s" if
 * it is too old to be relied on. */
void follow_json(const struct revocation_list *list, struct json_text *j);

#endif
