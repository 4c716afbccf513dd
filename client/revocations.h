#ifndef CLIENT_REVOCATIONS_H
#define CLIENT_REVOCATIONS_H
/*
 * The zone's list of revoked credentials, as it is kept in $EDGECTL_HOME/revocations: the
 * newest that was ever seen. Nobody can make it go back.
 */
#include "client/identity.h"

enum {
    REVOCATIONS_OVERDUE_US = 30 * 1000 * 1000, /* after `next`: worth a note */
    /* Issued later than so far ahead: a clock is wrong, and its age is not known. As edges do. */
    REVOCATIONS_AHEAD_MAX_US = TIME_WINDOW_US,
    REVOCATIONS_FRESH_S = 60, /* --require-revocations: issued at most so long ago */
    REVOCATIONS_TEXT_BYTES = 256,
};

struct revocation_list {
    uint8_t *bytes; /* owned: the signed object; NULL: none is known */
    size_t len;
    struct revocations list; /* borrows from bytes */
};

/* revocation_list_release: zeroed is fine. */
void revocation_list_release(struct revocation_list *l);

/* revocation_list_get: the list, or NULL. */
static inline const struct revocations *revocation_list_get(const struct revocation_list *l)
{
    return l->bytes ? &l->list : NULL;
}

/*
 * revocation_list_load: what is kept. It was signed by a key of the zone that was current
 * then: an older one of the zone's is fine, for the newest list that was seen stays.
 * ERR_UNKNOWN: none is kept. ERR_FORMAT, ERR_LIMIT, ERR_SIGNATURE, ERR_UNAUTHORIZED: damaged,
 * or another zone's. ERR_NOT_READY: of a later epoch than the zone's parameters. ERR_IO.
 */
enum err revocation_list_load(const struct identity *identity, const struct zone_params *zone,
                              struct revocation_list *ret);

/*
 * revocation_list_take: a list that arrived, in place of l if it is newer, or says the same
 * and is dated right where l is dated ahead.
 * ERR_CONFLICT: it is not; or it says what l says, only dated ahead. Otherwise as
 * revocations_open (trust/object.h).
 */
enum err revocation_list_take(struct revocation_list *l, const struct zone_params *zone,
                              struct slice bytes, uint64_t utc_us);

/*
 * revocation_list_adopt: other in place of l if l would give way to it in revocation_list_take;
 * both were checked when they were loaded or taken.
 * other  taken over, and zeroed, either way.
 */
void revocation_list_adopt(struct revocation_list *l, struct revocation_list *other,
                           uint64_t utc_us);

/*
 * revocation_list_keep: write it to home unless what is kept there by now (several commands
 * may run) would not give way to it in revocation_list_take. ERR_IO: errno tells. ERR_BUSY,
 * ERR_CLOSED: as identity_lock.
 */
enum err revocation_list_keep(const struct revocation_list *l, const struct identity *identity,
                              const struct zone_params *zone, uint64_t utc_us);

/* revocation_list_overdue: whether a newer one should have come by now. Pure. */
bool revocation_list_overdue(const struct revocation_list *l, uint64_t utc_us);
/* revocation_list_ahead: whether it is dated more than REVOCATIONS_AHEAD_MAX_US ahead. Pure. */
bool revocation_list_ahead(const struct revocation_list *l, uint64_t utc_us);
/* revocation_list_fresh: whether it was issued in the last REVOCATIONS_FRESH_S. Pure. */
bool revocation_list_fresh(const struct revocation_list *l, uint64_t utc_us);
/* revocation_list_tell: what there is, and what it leaves unknown, as half a sentence. Pure. */
void revocation_list_tell(const struct revocation_list *l, uint64_t utc_us,
                          char ret[static REVOCATIONS_TEXT_BYTES]);
/* revocation_list_worries: whether there is none, or none to be relied on; tells as above. Pure. */
bool revocation_list_worries(const struct revocation_list *l, uint64_t utc_us,
                             char ret[static REVOCATIONS_TEXT_BYTES]);

#endif
