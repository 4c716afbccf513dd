#ifndef AUTH_EDGE_ZONE_WORK_H
#define AUTH_EDGE_ZONE_WORK_H
/*
 * What the authority's files share: zone.c keeps its state and enrols edges,
 * zone_user.c answers auth/user, zone_answer.c has the answers and issues.
 */
#include "auth_edge/nonces.h"
#include "auth_edge/rate.h"
#include "auth_edge/zone.h"

struct zone {
    struct zone_config config; /* its pointers are to what follows */
    struct zone_params is;
    struct zone_keys keys;
    uint8_t params[ZONE_OBJECT_BYTES_MAX];
    size_t params_len;
    struct revoked revoked;
    uint8_t list[REVOCATIONS_OBJECT_BYTES_MAX]; /* signed */
    size_t list_len;                            /* 0: not signed since it changed */
    struct nonces enrol_nonces, login_nonces;
    struct rate unverified, params_rate, params_lists, renewals;
    uint64_t counters[ZONE_COUNTERS_N];
};

/* One request on its way through: what an answer to it needs. */
struct asked {
    struct zone *zone;
    struct zone_now now;
    struct arena *arena;
    enum topic_kind reply; /* the topic that it is answered on */
    struct slice id;       /* the id that it is answered under; empty: none */
    struct hash request;   /* zero: none that verified */
};

void zone_count_up(struct zone *zone, enum zone_counter counter);

/* --- outcomes: what they point to is in the arena -------------------------------- */

/* zone_silence: no answer; counted. */
struct zone_outcome zone_silence(struct zone *zone, enum zone_counter counter);
/* zone_answer_with: granted may be NULL. */
struct zone_outcome zone_answer_with(const struct asked *asked, struct slice payload,
                                     const struct credential *granted);
/* zone_refuse: something that was verified; the caller has counted why. */
struct zone_outcome zone_refuse(const struct asked *asked, enum wire_code code,
                                const char *message);
/* zone_refuse_unverified: zone.c, I4. */
struct zone_outcome zone_refuse_unverified(const struct asked *asked, enum zone_counter counter,
                                           enum wire_code code, const char *message);
/* zone_refuse_undecodable: what is no request; err is the decoder's. */
struct zone_outcome zone_refuse_undecodable(const struct asked *asked, enum err err);
/* zone_refuse_stale: a request whose proof holds but that is not fresh; err of nonces_accept. */
struct zone_outcome zone_refuse_stale(const struct asked *asked, enum err err);
/* zone_find_address: the one in a payload that cannot be decoded, if that much is readable. */
void zone_find_address(struct asked *asked, struct slice payload);

/* --- issuing --------------------------------------------------------------------- */

/* What is asked for, and why. */
struct wanted {
    struct credential credential; /* kind, subject, display_name and pk are set */
    uint64_t life_us;
    uint64_t request_us;
    uint64_t renews;
};

/*
 * zone_grant: issue a credential (zone.c, I1); ret_signed is its signed object. The errors are
 * those of records.issue, for zone_refuse_grant.
 */
enum err zone_grant(const struct asked *asked, const struct wanted *wanted,
                    struct credential **ret_granted, struct slice *ret_signed);
struct zone_outcome zone_refuse_grant(const struct asked *asked, enum err err);

/*
 * zone_broker_login: the granted one's login at a locked broker, sealed to its key; empty where
 * the broker keeps no accounts. ERR_LIMIT: it has too many; ERR_CONFLICT: somebody else has the
 * name; ERR_IO, ERR_STORAGE_FULL: the table; ERR_FORMAT: nothing can be sealed to the key.
 * zone_answer_held: the answer that carries it.
 */
enum err zone_broker_login(const struct asked *asked, const struct credential *granted,
                           struct slice *ret_sealed);
struct zone_outcome zone_answer_held(const struct asked *asked, struct slice payload,
                                     const struct credential *granted);

/* zone_receive_user: a request on auth/user. */
struct zone_outcome zone_receive_user(struct asked *asked, struct slice payload);

#endif
