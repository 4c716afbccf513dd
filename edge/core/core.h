#ifndef EDGE_CORE_CORE_H
#define EDGE_CORE_CORE_H
/*
 * The core of an edge: all its state, and what it decides. Sans I/O:
 *
 *     core_step(core, event, effects)
 *
 * is the whole of it. No socket, clock, file, database, thread or random number
 * inside: events carry time, the seed comes with the configuration, and the
 * same events give the same effects. One thread owns a core.
 *
 * There are no timer effects: call core_step with EVENT_TICK when
 * core_deadline_us() is reached.
 */
#include "edge/core/effect.h"
#include "edge/core/trust_view.h"

enum {
    UPLOADS_MAX = 64,
    LIVES_MAX = 2048,
    STALE_MAX = 2 * LIVES_MAX, /* presences of ours to be withdrawn */
    FETCHES_MAX = 32,
    VIEWS_MAX = 4096,
    VIEWS_PER_CLIENT_MAX = 8,
    PEERS_MAX = 1024,
    NONCES_MAX = 16384,
    NONCES_PER_KEY_MAX = NONCES_MAX / 8,
    DB_SESSIONS_MAX = 4,
    UPLOADS_PER_STREAMER_MAX = UPLOADS_MAX / 2,
    LIVES_PER_STREAMER_MAX = LIVES_MAX / 2,
    UPLOAD_WINDOW_TOTAL_BYTES = 6 * 1024 * 1024,
    FETCH_WINDOW_TOTAL_BYTES = 2 * 1024 * 1024,
    UPLOAD_WINDOW_BYTES_MAX = 2 * 1024 * 1024,
    UPLOAD_WINDOW_BYTES_MIN = UPLOAD_WINDOW_TOTAL_BYTES / UPLOADS_MAX,
    GOP_CACHE_TOTAL_BYTES_MAX = 10 * 1024 * 1024,
    LIVE_GOP_BYTES_MAX = 5 * 1024 * 1024,
    REPLAY_TOTAL_BYTES_MAX = 6 * 1024 * 1024, /* groups that joiners are being sent */
    READS_BYTES_MAX = 4 * 1024 * 1024,
    LIVE_OUTBOX_BYTES_MAX = 8 * 1024 * 1024,
    MEDIA_OUTBOX_BYTES_MAX = 8 * 1024 * 1024,
    CONTROL_OUTBOX_BYTES_MAX = 4 * 1024 * 1024,
    UNTRUSTED_BYTES_PER_S_MAX = 8 * 1024 * 1024, /* to all who showed no token */
    UNTRUSTED_VIEW_BYTES_PER_S_MAX = 2 * 1024 * 1024,
    UNVERIFIED_ANSWERS_PER_S_MAX = 200,
    HEARTBEAT_US = 5 * 1000 * 1000,
    PEER_SILENCE_US = 15 * 1000 * 1000,
    LIVE_IDLE_TIMEOUT_US = 10 * 1000 * 1000,
    UPLOAD_IDLE_TIMEOUT_US = 60 * 1000 * 1000,
    VIEW_IDLE_TIMEOUT_US = 30 * 1000 * 1000,
    PEER_HINTED_SILENCE_US = 7 * 1000 * 1000, /* after an offline that nobody signed */
    REPLICAS_MAX = 16,
    REPLICATIONS_MAX = 2, /* custody fetches at once; FETCHES_MAX is for viewers as well */
    SYNC_SLOTS_MAX = 16,  /* answers of db/sync being made */
    GOSSIP_ROWS_MAX = 1024,
    GOSSIP_BYTES_MAX = 4 * 1024 * 1024,
    CUSTODY_DUE_MAX = 1024, /* videos to be looked at soon; beyond it the sweep finds them */
    CAPTURE_WINDOW_US = 30 * 1000 * 1000,
};
#define CREATED_WINDOW_US (5ull * 60 * 1000 * 1000)
#define HLC_AHEAD_MAX_US (5ull * 60 * 1000 * 1000)

struct core;

struct core_config {
    struct id edge_id;
    struct signkey key; /* the edge's own */
    uint8_t zone_secret[KEY_BYTES];
    uint8_t seed[KEY_BYTES]; /* for nonces and jitter */
    const char *version;     /* borrowed */
    bool allow_token_reply_ids;
    uint64_t now_us, utc_us;
    uint64_t last_hlc; /* of this edge's rows */
    uint64_t videos;
    struct catalogue_root root; /* as storage opened */
    /* Custody: how many copies, how long an edge may be away before another takes over, what
     * cached copies may take, how fast copies are made. */
    unsigned replicas;
    uint64_t replica_grace_us;
    uint64_t cache_bytes_max;
    uint64_t replication_bytes_per_s;
    /* How long deletions and withdrawals are kept (the horizon is that long ago), and when this
     * edge last agreed with another (UTC; 0: never). */
    uint64_t tombstone_kept_us;
    uint64_t contact_us;       /* meta "contact", u64 LE */
    uint64_t since_us;         /* meta "since", u64 LE; 0: this catalogue was never whole */
    struct slice zone_params;  /* signed object kept from before; empty: none */
    struct slice credential;   /* likewise */
    struct slice revocations;  /* meta "revocations": the newest list there was; empty: none */
    bool broker_accounts;      /* the broker has an account for this edge; auth_edge gives it: */
    struct slice broker_login; /* meta "broker": what it gave last; empty: nothing yet */
    /* Presences of this edge that a crash left behind: withdrawn at once. Borrowed during the call.
     */
    const struct holding *stale;
    size_t stale_n;
};

/* core_new: never fails; kept parameters that do not verify are ignored. core_free: NULL is fine.
 */
struct core *core_new(const struct core_config *config);
void core_free(struct core *core);

/*
 * core_step: apply one event. Takes ownership of ev.
 * fx  empty on entry; filled with at most EFFECTS_PER_STEP_MAX effects, in order.
 */
void core_step(struct core *core, struct event *ev, struct effects *fx);

/* core_deadline_us: when it wants an EVENT_TICK at the latest (monotonic). */
uint64_t core_deadline_us(const struct core *core);

/* Who the edge is to a locked broker. */
struct edge_login {
    char user[BROKER_TEXT_BYTES_MAX + 1];
    char password[BROKER_TEXT_BYTES_MAX + 1];
    bool enrolling; /* it may do nothing but ask for its own */
};
/* core_login: as whom to connect, from the start and after each EFFECT_LOGIN. NULL: as the settings
 * say. Borrowed until the next step. */
const struct edge_login *core_login(const struct core *core);

/* core_trust_view: the current view, borrowed until the next step. */
struct trust_view *core_trust_view(const struct core *core);

/* Counters: what happened to every input that got no answer, and what flowed. */
#define CORE_COUNTERS(X)                                                                           \
    X(messages_rejected)  /* undecodable or unverifiable */                                        \
    X(answers_suppressed) /* errors not told: rate limit, or nobody to tell */                     \
    X(parts_verified)                                                                              \
    X(parts_duplicate)                                                                             \
    X(parts_out_of_order)                                                                          \
    X(parts_unknown_stream)                                                                        \
    X(parts_refused) /* verified, but against the rules of the stream */                           \
    X(parts_over_window)                                                                           \
    X(parts_relayed)                                                                               \
    X(live_parts_dropped) /* the broker was too slow: whole groups up to a keyframe */             \
    X(parts_served)                                                                                \
    X(acks_sent)                                                                                   \
    X(replays_refused) /* signed requests seen before or out of time */                            \
    X(rows_merged)                                                                                 \
    X(rows_unchanged)                                                                              \
    X(rows_refused)                                                                                \
    X(rows_orphaned)    /* holdings without a claim, rows dead at the horizon */                   \
    X(statuses_refused) /* of edges: unsigned, unknown or old */                                   \
    X(peers_refused)    /* messages between edges: unsigned, unknown, old, repeated or unasked */  \
    X(gossip_dropped)   /* rows that were not announced; repair brings them */                     \
    X(syncs_started)                                                                               \
    X(sync_rows_sent)                                                                              \
    X(sync_refused) /* no slot, no budget, another horizon */                                      \
    X(copies_begun)                                                                                \
    X(copies_dropped) /* surplus ones that gave up custody */                                      \
    X(cache_evicted)                                                                               \
    X(probes_answered)                                                                             \
    X(probes_failed)                                                                               \
    X(videos_deleted)                                                                              \
    X(fetches_started)                                                                             \
    X(fetches_failed)                                                                              \
    X(receipts_refused)    /* that came with a copy, and are none about it */                      \
    X(revocations_taken)   /* lists */                                                             \
    X(revocations_refused) /* lists older than ours */                                             \
    X(revocations_told)    /* lists passed on to other edges */                                    \
    X(revoked_refused)     /* what was asked with a revoked credential */                          \
    X(revoked_ended)       /* lives and uploads that ended by it */                                \
    X(zone_newer)          /* what names a later key of the zone than we know */                   \
    X(delegations_refused) /* of thumbnails: for another edge or stream, over, or not signed */    \
    X(thumbnails_made)                                                                             \
    X(thumbnails_failed)    /* the media holds none, or the program failed at it */                \
    X(thumbnails_dropped)   /* no room, or what it is of is gone */                                \
    X(thumbnails_displaced) /* gave way in the queue to a streamer that has fewer there */         \
    X(thumbnails_kept)      /* stored, our own or with a copy */                                   \
    X(thumbnails_refused)   /* that came with a copy, and do not hold */                           \
    X(views_refused)                                                                               \
    X(store_failures)

enum core_counter {
#define CORE_COUNTER_ENUM(name) COUNT_##name,
    CORE_COUNTERS(CORE_COUNTER_ENUM)
#undef CORE_COUNTER_ENUM
        COUNTERS
};
uint64_t core_counter(const struct core *core, enum core_counter which);
const char *core_counter_name(enum core_counter which);

#endif
