#ifndef AUTH_EDGE_ZONE_H
#define AUTH_EDGE_ZONE_H
/*
 * The authority of a zone: what is asked of it on auth/params, auth/zone and
 * auth/user, and what it answers (docs/PROTOCOL.md §2.4). It has keys, time as
 * an argument, and records (records.h) for what must outlive it; no socket,
 * file, clock or random number.
 *
 *   payload --> zone_receive --> silence | answer | login --> provider
 *                                                                |
 *                              answer <-- zone_login_answer <----+
 *
 * One thread.
 */
#include "auth_edge/clients.h"
#include "auth_edge/provider.h"
#include "auth_edge/records.h"

enum {
    ENROL_NONCES_MAX = 4096,           /* of askers who know the zone's secret */
    LOGIN_NONCES_MAX = 32768,          /* of anybody: 270 logins a second over the window */
    UNVERIFIED_ANSWERS_PER_S_MAX = 50, /* error answers to input that nothing verified */
    PARAMS_ANSWERS_PER_S_MAX = 500,    /* parameters are asked for before anything is verified */
    PARAMS_LISTS_PER_S_MAX = 50,       /* of them with the list, which may be long */
    RENEWALS_PER_S_MAX = 50,           /* of streamers' credentials; beyond it: busy */
    /* Dates begin this much early, for clocks that are behind. */
    CREDENTIAL_BACKDATE_US = TIME_WINDOW_US,
};

struct zone_keys {
    struct signkey sign;
    struct boxkey box;
    uint8_t secret[KEY_BYTES]; /* what an edge must know to enrol */
};

struct zone_config {
    const struct zone_params *params; /* with the same keys, the same for ever; copied */
    const struct zone_keys *keys;     /* copied */
    uint64_t edge_credential_us, streamer_credential_us; /* lives, > 0 */
    uint64_t answered_until_us; /* the newest request that an earlier process answered; 0: none */
    bool allow_token_reply_ids;
    bool require_sealed_login; /* a token that the broker could read is refused */
    struct records records;    /* outlives the zone */
    /* What passwords at a locked broker follow from, and the table of its accounts; both outlive
     * the zone. NULL: the broker keeps none. */
    const uint8_t *broker_key; /* KEY_BYTES */
    struct clients clients;
};

struct zone; /* opaque */

struct zone *zone_new(const struct zone_config *config);
/* zone_free: wipe the keys, free. NULL is fine. */
void zone_free(struct zone *zone);

/* zone_params: the signed parameters; borrowed from the zone until zone_adopt. */
struct slice zone_params(const struct zone *zone);

/* zone_adopt: go on under the same zone's other parameters and keys (copied; the old are wiped). */
void zone_adopt(struct zone *zone, const struct zone_params *params, const struct zone_keys *keys);
/* zone_revoke: the list from now on (copied). */
void zone_revoke(struct zone *zone, const struct revoked *revoked);
/* zone_revocations: sign the list now: the payload of auth/revocations, in the arena. From then on
 * it stands beside the parameters, too, until zone_adopt or zone_revoke. */
struct slice zone_revocations(struct zone *zone, uint64_t utc_us, struct arena *arena);

struct zone_now {
    uint64_t utc_us;
    uint64_t mono_us;
};

struct zone_answer {
    enum topic_kind topic;            /* one of the reply topics */
    struct slice id;                  /* its level */
    struct slice payload;             /* JSON */
    const struct credential *granted; /* what it carries; NULL: none */
    struct slice otherwise; /* sent in its place if what it carries cannot have its account at the
                               broker; empty: it needs none */
};

enum zone_outcome_kind {
    ZONE_SILENCE, /* counted */
    ZONE_ANSWER,
    ZONE_LOGIN, /* for a provider; then zone_login_answer */
};

struct zone_outcome {
    enum zone_outcome_kind kind;
    struct zone_answer answer;
    struct login *login; /* the caller's */
};

/*
 * zone_receive: one request.
 * kind     TOPIC_AUTH_PARAMS, TOPIC_AUTH_ZONE or TOPIC_AUTH_USER.
 * payload  borrowed; any bytes of any length.
 * arena    owns all that the outcome points to, but the login.
 * Costs at most two signature checks and one unsealing; an enrolment, one transaction.
 */
struct zone_outcome zone_receive(struct zone *zone, struct zone_now now, enum topic_kind kind,
                                 struct slice payload, struct arena *arena);

/*
 * zone_login_answer: answer a login that a provider has answered, or refused
 * (login->err is then what check returned). false: there is no address for the
 * answer; it was counted.
 */
bool zone_login_answer(struct zone *zone, struct zone_now now, const struct login *login,
                       struct arena *arena, struct zone_answer *ret_answer);

/* What was counted, since zone_new. */
enum zone_counter {
    ZONE_PARAMS_ANSWERED,
    ZONE_EDGES_ENROLLED,
    ZONE_STREAMERS_LOGGED_IN,
    ZONE_STREAMERS_RENEWED,
    ZONE_MALFORMED,     /* not JSON, wrong types, not sealed to us, contradictions */
    ZONE_TOO_LARGE,     /* above a limit */
    ZONE_NO_ADDRESS,    /* no id, or an unusable one, to answer under */
    ZONE_BAD_PROOF,     /* a MAC or signature that does not hold, or none at all */
    ZONE_OUT_OF_TIME,   /* outside of the window */
    ZONE_REPLAYED,      /* accepted before */
    ZONE_NONCES_FULL,   /* answered busy: freshness could not be told */
    ZONE_RESERVED,      /* an edge id that is reserved */
    ZONE_SECOND_KEY,    /* an id that is another key's, or somebody else's */
    ZONE_REVOKED,       /* whom the operator has revoked */
    ZONE_QUOTA,         /* a subject with too many credentials */
    ZONE_NOT_RENEWABLE, /* a credential that is not ours, not theirs or out of date */
    ZONE_LOGIN_REFUSED, /* a provider said no */
    ZONE_LOGIN_BUSY,    /* a provider could not say */
    ZONE_RECORD_FAILED, /* the records could not be read or written */
    ZONE_RATE_LIMITED,  /* answers that were left out */
    ZONE_COUNTERS_N,
};
uint64_t zone_count(const struct zone *zone, enum zone_counter counter);
/* zone_counter_name: "edges_enrolled". Static. */
const char *zone_counter_name(enum zone_counter counter);

#endif
