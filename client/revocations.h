#ifndef CLIENT_REVOCATIONS_H
#define CLIENT_REVOCATIONS_H
/*
 * The zone's list of revoked credentials, as it is kept in $EDGECTL_HOME/revocations: the
 * newest that was ever seen. Nobody can make it go back.
 */
#include "client/identity.h"

enum { REVOCATIONS_OVERDUE_US = 30 * 1000 * 1000 }; /* after `next`: worth a note */

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
 * revocation_list_take: a list that arrived, in place of l if it is newer.
 * ERR_CONFLICT: it is not. Otherwise as revocations_open (trust/object.h).
 */
enum err revocation_list_take(struct revocation_list *l, const struct zone_params *zone,
                              struct slice bytes);

/*
 * revocation_list_keep: write it to home unless a newer one is kept there by now (several
 * commands may run). ERR_IO: errno tells.
 */
enum err revocation_list_keep(const struct revocation_list *l, const struct identity *identity,
                              const struct zone_params *zone);

/* revocation_list_overdue: whether a newer one should have come by now. Pure. */
bool revocation_list_overdue(const struct revocation_list *l, uint64_t utc_us);

#endif
