#ifndef CLIENT_CHOOSE_H
#define CLIENT_CHOOSE_H
/* Which edges there are, and which one is best (docs/PROTOCOL.md §4.1). */
#include "client/session.h"
#include "trust/object.h"
#include "wire/presence.h"

enum {
    EDGES_MAX = 256,              /* answers that are kept */
    CHOOSE_WAIT_US = 1000 * 1000, /* how long answers are collected */
    CHOOSE_RTT_MS_MAX = 1000,     /* more does not count */
    CHOOSE_OVERLOAD_PERCENT = 90,
    CHOOSE_OVERLOAD_PENALTY = 1000,
};

struct edge_answer {
    struct id edge_id, zone_id;
    struct machine_load load;
    uint32_t streams, viewers;
    uint64_t uptime_s;
    struct zone_contact contact;
    char version[VERSION_BYTES_MAX + 1];
    double rtt_ms;
    double score;
    uint8_t token[TOKEN_BYTES];
    size_t token_len; /* 0: none */
};

/* edges_next: take the next id from comma-separated text; what is no id is left out. false:
 * there is none. */
bool edges_next(struct slice *edges, struct id *ret);
/* edges_have: whether an id is in comma-separated text. */
bool edges_have(struct slice edges, const struct id *id);

/* choose_score: lower is better. Pure. */
double choose_score(const struct machine_load *load, double rtt_ms);

/*
 * choose_collect: ping, and collect answers for wait_us, or, while there is none,
 * until --timeout; best first.
 * ret_edges  EDGES_MAX answers' room.
 * ERR_TIMEOUT: nobody answered. ERR_CLOSED, ERR_UNAUTHORIZED, ERR_LIMIT: session.h.
 */
enum err choose_collect(struct session *s, uint64_t wait_us,
                        struct edge_answer ret_edges[static EDGES_MAX], size_t *ret_n);

/*
 * choose_edge: --edge if it was given, else the best that answers.
 * zone_id  only edges of this zone; NULL: any.
 * Says what is wrong: STATUS_USAGE: --edge is no id; STATUS_NO_ANSWER, STATUS_FAILED.
 */
enum exit_status choose_edge(struct session *s, const struct option *options,
                             const struct id *zone_id, struct id *ret);

#endif
