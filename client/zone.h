#ifndef CLIENT_ZONE_H
#define CLIENT_ZONE_H
/*
 * The zone that we trust: pinned once, asked for at most, never taken from what
 * is to be verified (docs/PROTOCOL.md §2.1, §2.4).
 */
#include "client/identity.h"
#include "client/session.h"

enum { ZONE_COLLECT_US = 700 * 1000 }; /* after a first unpinned answer, wait for another one */

/* What is known before anyone is asked. */
struct zone_pin {
    bool any;   /* a key is pinned, by file or by --zone-key */
    bool whole; /* the file has all parameters; else params.zone_id is "" */
    struct zone_params params;
};

/*
 * zone_pin_read: the file and --zone-key, which may be an older key of the pinned zone. Says
 * what is wrong: STATUS_USAGE: no key; STATUS_FAILED: the file is damaged, or the two
 * contradict each other.
 */
enum exit_status zone_pin_read(const struct identity *identity, const struct option *options,
                               struct zone_pin *ret);

/* zone_pinned: the parameters in home. ERR_UNKNOWN: none are pinned. ERR_FORMAT, ERR_LIMIT,
 * ERR_SIGNATURE: the file is damaged. ERR_IO: errno tells. */
enum err zone_pinned(const struct identity *identity, struct zone_params *ret);

/*
 * zone_obtain: the zone's parameters: from the pin, else asked for, checked
 * against the pin (or trusted on first use where the broker allows that) and pinned.
 * renew  ask in any case, and take newer parameters that follow from the pin.
 * Says what is wrong; also STATUS_NO_ANSWER, STATUS_UNVERIFIED.
 */
enum exit_status zone_obtain(struct session *s, const struct identity *identity,
                             const struct option *options, bool renew, struct zone_params *ret);

/*
 * zone_pin: keep parameters, signed by their own zone, that follow from the pin as it is now:
 * another command may have moved it since this one read it.
 * ret  what is to be trusted now: these, or what is pinned, where that follows from these.
 * ERR_UNAUTHORIZED: neither follows from the other: another zone, or another way on from a key
 * that both come from. Nothing of them may be trusted, and the pin stays. ERR_FORMAT,
 * ERR_LIMIT, ERR_SIGNATURE: these, or the pin, are damaged. ERR_IO: errno tells. ERR_BUSY,
 * ERR_CLOSED: as identity_lock.
 */
enum err zone_pin(const struct identity *identity, struct slice bytes, struct zone_params *ret);

/* zone_broker_trusted: whether a first use may be trusted: loopback, or verified TLS. Pure. */
bool zone_broker_trusted(const char *broker);

#endif
