/*
 * What the list of revocations lets be played, and what is said where there is none to go by.
 *
 *   I1  With --require-revocations no part is taken while no list is fresh.
 *   I2  Nobody sees a view end as verified without being told, once, that there was no list,
 *       or none to be relied on.
 */
#include "client/say.h"
#include "client/watch.h"

#include <string.h>

enum exit_status revocations_missing(const struct revocation_list *list)
{
    char text[REVOCATIONS_TEXT_BYTES];
    revocation_list_tell(list, clock_utc_us(), text);
    say("%s; --require-revocations asks for one that is at most %d s old: see whether auth_edge "
        "runs and the clock here is right, or go on without it",
        text, REVOCATIONS_FRESH_S);
    return STATUS_NO_LIST;
}

enum exit_status view_await_list(struct view *v)
{
    bool needed = v->order.require_list;
    enum err err = follow_wait(&v->follow, needed, needed ? v->session->timeout_us : LIST_WAIT_US);
    if (err == ERR_CLOSED)
        return session_status(v->session, err, "auth_edge");
    return needed && err != ERR_OK ? revocations_missing(&v->follow.list) : STATUS_OK;
}

enum exit_status view_may_go_on(struct view *v)
{
    if (!v->order.require_list || revocation_list_fresh(&v->follow.list, clock_utc_us()))
        return STATUS_OK;
    progress_clear(&v->progress);
    v->noted = true; /* I2: with what follows */
    return revocations_missing(&v->follow.list);
}

void view_note(struct view *v)
{
    char text[REVOCATIONS_TEXT_BYTES];
    if (v->noted || !revocation_list_worries(&v->follow.list, clock_utc_us(), text))
        return;
    v->noted = true; /* or is in the summary (follow_json), for who wants no sentences */
    progress_clear(&v->progress);
    follow_note(&v->follow.list, v->order.json,
                "; with --require-revocations nothing is played then");
}

enum err view_verdict(struct view *v)
{
    v->checker.zone = v->zone; /* it may have a newer key by now */
    enum err err = checker_judge(&v->checker, follow_list(&v->follow));
    if (err == ERR_NOT_READY)
        follow_later(&v->follow);
    return err;
}

enum exit_status view_judge(struct view *v)
{
    if (view_verdict(v) == ERR_OK)
        return STATUS_OK;
    memcpy(v->revoked, v->checker.why, sizeof(v->revoked));
    progress_clear(&v->progress);
    say("%s", v->revoked);
    return STATUS_UNVERIFIED;
}
