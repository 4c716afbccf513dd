#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H
/*
 * A whole cluster in one thread, on a clock of its own: edges (the real core,
 * encode and decode, a store in memory), streamers and viewers who speak the
 * protocol, one edge that lies, a stranger, and a broker that loses, doubles,
 * delays and divides. Everything follows from the seed; docs/TESTING.md tells
 * how to use it.
 *
 *   sim.c       the clock: what happens when
 *   broker.c    who gets which message, and what becomes of it on the way
 *   node.c      an edge: messages in, effects out, crashes
 *   streamer.c  uploads and deletions, with everything sent again until it is answered
 *   live.c      lives, which end
 *   viewer.c    watches what is listed
 *   stranger.c  somebody without a credential, in the name of edges
 *   liar.c      an enrolled edge that lies
 *   auth.c      the zone's authority: revokes, and changes its key
 *   chaos.c     what goes wrong, and that it ends
 *   verdict.c   what must hold
 *   trace.c     what happened, as a hash and as the last lines
 *   memo.c      signatures are verified once
 *   scale.c     how traffic grows
 */
#include "edge/core/core.h"
#include "edge/once.h"
#include "flow/pull.h"
#include "flow/push.h"
#include "tests/unit/edge/memory_store.h"
#include "tests/unit/edge/reel.h"
#include "wire/topic.h"

#define SIM_S (1000ull * 1000)

enum {
    SIM_EDGES_MAX = 1000,
    SIM_STREAMERS_MAX = 4,
    SIM_VIEWERS_MAX = 4,
    SIM_LIVES_MAX = 2,
    SIM_VIDEOS_MAX = 16, /* of one streamer */
    SIM_TRACE_LINES = 200,
    SIM_LINE_BYTES = 200,
};

/* ---- what happens ---- */

enum happening_kind {
    HAPPEN_DELIVER,  /* msg to client `who` */
    HAPPEN_TICK,     /* an edge's deadline */
    HAPPEN_STORE,    /* an edge's store commits and reads */
    HAPPEN_LOAD,     /* an edge measures its machine */
    HAPPEN_STREAMER, /* a streamer's deadline */
    HAPPEN_LIVE,
    HAPPEN_VIEWER,
    HAPPEN_STRANGER,
    HAPPEN_LIAR,
    HAPPEN_AUTH,
    HAPPEN_CHAOS, /* entry `who` of the plan */
    HAPPEN_LOOK,  /* the verdict looks */
};

struct happening {
    uint64_t at_us, order; /* order: breaks ties, so that a run replays */
    enum happening_kind kind;
    unsigned who;
    uint64_t generation; /* of an edge: what was meant for an earlier life of it is void */
    struct msg *msg;     /* owned; DELIVER */
};

/* ---- the cast ---- */

enum client_kind {
    CLIENT_EDGE,
    CLIENT_STREAMER,
    CLIENT_VIEWER,
    CLIENT_LIAR,
    CLIENT_STRANGER,
    CLIENT_AUTH
};

/* Somebody at the broker; his number is his index in sim.clients. */
struct client {
    enum client_kind kind;
    unsigned index; /* among his kind */
    struct id id;
    unsigned group; /* only the same group hears him */
};

struct node {
    struct member member;
    unsigned client;
    struct memory_store *store;
    struct core *core; /* NULL: it is down */
    struct checked *checked;
    struct once *once;
    uint64_t generation;
    uint64_t tick_at_us; /* the HAPPEN_TICK that counts; 0: none */
    bool store_due, bus_up, full;
    int64_t skew_us; /* of its clock */
    uint64_t steps;
    uint64_t list_number; /* of revocations, on its disk, when it was looked at last */
    bool spared;          /* started late: nothing else happens to it before */
};

struct upload {
    struct reel *reel;
    struct push push;
    unsigned edge; /* to whom it is sent */
    uint64_t begin_us, retry_us;
    unsigned refusals;
    bool begun, acked, given_up, contested;
    bool deleting, deleted; /* deletion: sent; acknowledged */
    bool by_zone;
    uint64_t delete_us, delete_again_us; /* when it is deleted; sent again */
    unsigned delete_edge, delete_tries;
    uint64_t deletion_revision_us;
};

struct streamer {
    struct member member;
    unsigned client;
    uint32_t nonces;
    size_t n;
    struct upload uploads[SIM_VIDEOS_MAX];
    uint64_t wake_us;
};

struct live {
    struct reel *reel; /* NULL: not begun */
    unsigned streamer, edge, inits, chunks;
};

struct viewer {
    struct id id;
    unsigned client;
    struct pull pull;
    const struct reel *reel; /* what is watched; NULL: nothing */
    unsigned edge;
    bool informed;
    uint8_t token[TOKEN_BYTES];
    uint64_t until_us, watched, wake_us;
};

enum { STRANGER_KEPT_MAX = 64 };
struct stranger {
    struct member member; /* a key that nobody trusts */
    unsigned client;
    struct msg *kept[STRANGER_KEPT_MAX]; /* what edges signed: to be said again */
    size_t kept_n;
};

enum { LIAR_KEPT_MAX = 64 };
struct liar {
    struct member member;
    unsigned client;
    bool on;
    uint64_t last_hlc, said_us;
    struct msg *kept[LIAR_KEPT_MAX]; /* what others said: to be said again */
    size_t kept_n;
    uint32_t nonces;
};

enum { LIAR_SERIAL = 66 }; /* of its credential where it will be revoked */
struct auth {
    bool on, revoked;
    unsigned client;
    uint32_t epoch;
    uint64_t number, serial, random;
    uint64_t revoke_us, rotate_us, off_us;
};

/* What goes wrong for a while. */
enum trouble_kind {
    TROUBLE_CRASH,
    TROUBLE_STOP,
    TROUBLE_LINK, /* an edge loses the broker */
    TROUBLE_SPLIT,
    TROUBLE_CLOCK,
    TROUBLE_DISK,
    TROUBLE_STORM, /* the broker loses and doubles much */
};
struct trouble {
    enum trouble_kind kind;
    unsigned edge;
    uint64_t begin_us, end_us;
    int64_t skew_us;
    bool under_way;
};
enum { TROUBLES_MAX = 64 };

struct sim_spec {
    uint64_t seed;
    unsigned edges; /* 0: the seed decides */
    bool told;      /* print every line of the trace */
};

/* What went over the broker, for the table of the scale run. */
struct traffic {
    uint64_t messages, bytes;
};
enum traffic_kind {
    TRAFFIC_STATUS,
    TRAFFIC_GOSSIP,
    TRAFFIC_REPAIR,
    TRAFFIC_DB,
    TRAFFIC_MEDIA,
    TRAFFICS
};

struct sim {
    struct sim_spec spec;
    uint64_t random;
    uint64_t now_us; /* monotonic, of everybody */
    uint64_t utc_us; /* the right time */
    uint64_t started_us;

    struct happening *heap;
    size_t heap_n, heap_cap;
    uint64_t orders;

    size_t clients_n;
    struct client *clients;
    unsigned nodes_n, streamers_n, viewers_n, lives_n;
    struct node *nodes;
    struct streamer streamers[SIM_STREAMERS_MAX];
    struct viewer viewers[SIM_VIEWERS_MAX];
    struct live lives[SIM_LIVES_MAX];
    struct stranger stranger;
    struct liar liar;
    struct auth auth;
    bool has_liar;
    struct effects *fx;
    struct budget budget;

    /* the settings of this run */
    unsigned replicas;
    uint64_t grace_us, kept_us, cache_bytes;
    unsigned loss_per_mille, double_per_mille;
    uint64_t delay_us_max;
    struct trouble troubles[TROUBLES_MAX];
    size_t troubles_n;
    uint64_t heal_us; /* from then on nothing goes wrong */
    bool healed, finished;
    uint64_t ahead_us;   /* the most by which a clock is ahead */
    bool lasting;        /* for longer than deletions are kept */
    bool clocks_way_off; /* a clock is set beyond every horizon: deletions may be forgotten */

    struct verdict *verdict; /* verdict.c's */
    struct traffic sent[TRAFFICS], received[TRAFFICS];

    struct hash trace;
    char (*lines)[SIM_LINE_BYTES];
    size_t lines_n;
};

/* ---- sim.c ---- */
struct sim *sim_new(const struct sim_spec *spec);
/* sim_run: until it is over. Returns whether everything held; else sim_failure says what did not.
 */
bool sim_run(struct sim *s);
/* sim_until: let time pass until then. */
void sim_until(struct sim *s, uint64_t at_us);
void sim_free(struct sim *s);
/* sim_random: below n; n > 0. sim_chance: one in n. */
uint64_t sim_random(struct sim *s, uint64_t n);
bool sim_chance(struct sim *s, unsigned n);
/* sim_at: something will happen; msg's reference passes on. */
void sim_at(struct sim *s, uint64_t at_us, enum happening_kind kind, unsigned who,
            uint64_t generation, struct msg *msg);
/* sim_client: one more at the broker; his number. */
unsigned sim_client(struct sim *s, enum client_kind kind, unsigned index, const struct id *id);

/* ---- broker.c ---- */
/* broker_publish: from client `from`. payload is copied. */
void broker_publish(struct sim *s, unsigned from, struct slice topic, struct slice payload);
void broker_send(struct sim *s, unsigned from, enum topic_kind kind, struct slice a, struct slice b,
                 struct slice payload);
/* broker_will: an edge's connection broke: everybody hears it (if he can). */
void broker_will(struct sim *s, unsigned edge);

/* ---- node.c ---- */
void node_init(struct sim *s, unsigned edge);
void node_start(struct sim *s, unsigned edge);
/* node_crash: what is not committed is lost, and what was committed may not have been answered. */
void node_crash(struct sim *s, unsigned edge);
void node_link(struct sim *s, unsigned edge, bool up);
void node_take(struct sim *s, unsigned edge, struct msg *msg); /* takes msg */
void node_tick(struct sim *s, unsigned edge);
void node_store(struct sim *s, unsigned edge);
void node_load(struct sim *s, unsigned edge);
void node_stop(struct sim *s, unsigned edge);
uint64_t node_utc(const struct sim *s, const struct node *n);
void node_free(struct node *n);

/* ---- streamer.c ---- */
void streamer_init(struct sim *s, unsigned i);
void streamer_take(struct sim *s, unsigned i, const struct msg *msg);
void streamer_wake(struct sim *s, unsigned i);
/* streamer_done: nothing of what he began is open any more. */
bool streamer_done(const struct streamer *st);
void streamer_free(struct streamer *st);

/* ---- live.c ---- */
void live_init(struct sim *s, unsigned i);
void live_wake(struct sim *s, unsigned i);
void live_free(struct live *l);

/* ---- viewer.c ---- */
void viewer_init(struct sim *s, unsigned i);
void viewer_take(struct sim *s, unsigned i, const struct msg *msg);
void viewer_wake(struct sim *s, unsigned i);

/* ---- stranger.c ---- */
void stranger_init(struct sim *s);
void stranger_take(struct sim *s, const struct msg *msg);
void stranger_wake(struct sim *s);
void stranger_free(struct stranger *x);
/* stranger_made: whether it is a forgery of his. */
bool stranger_made(struct slice payload);

/* ---- liar.c ---- */
void liar_init(struct sim *s);
void liar_take(struct sim *s, const struct msg *msg);
void liar_wake(struct sim *s);
void liar_free(struct liar *l);

/* ---- auth.c ---- */
/* auth_acts: whether there is one in this seed. */
bool auth_acts(const struct sim *s);
void auth_init(struct sim *s);
void auth_take(struct sim *s, const struct msg *msg);
void auth_wake(struct sim *s);
/* auth_check: no edge's list has gone back since it was looked at last. */
void auth_check(struct sim *s);
/* auth_differs: an edge whose list or key of the zone is not edge1's; NULL: there is none. */
const struct node *auth_differs(const struct sim *s);

/* ---- chaos.c ---- */
void chaos_plan(struct sim *s);
void chaos_happen(struct sim *s, unsigned entry);

/* ---- verdict.c ---- */
void verdict_init(struct sim *s);
void verdict_look(struct sim *s);
void verdict_free(struct sim *s);
/* sim_failure: what did not hold; empty: nothing. */
const char *sim_failure(const struct sim *s);
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *s, const char *fmt, ...);

/* ---- scale.c ---- */
/* scale_main: a table; edges 0: of several sizes. */
int scale_main(unsigned edges);

/* ---- trace.c ---- */
__attribute__((format(printf, 2, 3))) void trace_line(struct sim *s, const char *fmt, ...);
/* trace_bytes: into the hash alone. */
void trace_bytes(struct sim *s, struct slice bytes);
/* trace_print: the last lines, to a descriptor; safe after an abort. */
void trace_print(const struct sim *s, int fd);

#endif
