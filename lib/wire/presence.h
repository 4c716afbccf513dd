#ifndef WIRE_PRESENCE_H
#define WIRE_PRESENCE_H
/* video/request/ping and edge/status (docs/PROTOCOL.md §4.1). Conventions: wire/message.h. */
#include "wire/message.h"

enum { VERSION_BYTES_MAX = 64 };

/* How a node stands with its auth_edge. Nobody signs it: a hint for people, and for who may be
 * asked. */
struct zone_contact {
    uint64_t revocations; /* number of the list in force; 0: none yet */
    uint64_t issued_us;   /* when that list was signed last; written as ISO 8601 */
    bool away;            /* auth_edge has not been heard lately; and then: */
    uint64_t since_us;    /* since when; written as ISO 8601 */
};

struct ping_request {
    struct slice client_id;
};
struct slice ping_request_encode(const struct ping_request *m, struct arena *arena);
enum err ping_request_decode(struct slice payload, struct arena *arena, struct ping_request *ret);

/* What a node measures of its machine. Percentages are written as whole numbers of 0…100. */
struct machine_load {
    double cpu_percent;
    uint64_t memory_total, memory_available, memory_used; /* bytes */
    double memory_percent;
    uint64_t disk_total, disk_used, disk_free; /* bytes */
    double disk_percent;
};

struct ping_reply {
    struct id edge_id;
    struct machine_load load;
    uint64_t timestamp_us; /* written as ISO 8601; 0 when decoded */
    struct id zone_id;     /* "" if absent (S) */
    struct slice version;
    uint32_t streams, viewers;
    uint64_t uptime_s;
    struct slice token; /* raw TOKEN_BYTES; may be empty */
    struct zone_contact contact;
};
struct slice ping_reply_encode(const struct ping_reply *m, struct arena *arena);
enum err ping_reply_decode(struct slice payload, struct arena *arena, struct ping_reply *ret);

struct edge_status {
    struct id edge_id;
    bool online;
    struct slice zone;
    uint64_t ts_ms;
    uint64_t videos;
    uint32_t streams, viewers;
    uint64_t uptime_s;
    struct slice signed_status;  /* signed object of type `status`; empty in a last will */
    struct slice credential;     /* the edge's, now and then; else empty */
    struct zone_contact contact; /* of one that is online, and without issued_us */
};
struct slice edge_status_encode(const struct edge_status *m, struct arena *arena);
enum err edge_status_decode(struct slice payload, struct arena *arena, struct edge_status *ret);

#endif
