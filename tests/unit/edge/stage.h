#ifndef TESTS_EDGE_STAGE_H
#define TESTS_EDGE_STAGE_H
/*
 * One edge's core on a stage of its own: a virtual clock, a store in memory,
 * and everything that the core said, kept until it is forgotten. The
 * invariants of edge/core/state.h are checked after every step, or after so many that it takes no
 * longer than they do, and at the end.
 */
#include "edge/core/state.h"
#include "tests/unit/edge/memory_store.h"
#include "tests/unit/edge/reel.h"

#define STAGE_S (1000ull * 1000)

/* How it begins; zeroed: an enrolled edge "edge1" with the bus up and nothing stored. */
struct stage_spec {
    const char *edge_id;
    bool fresh;    /* no kept credential */
    bool bus_down; /* EVENT_BUS_UP is not sent */
    bool tokens;   /* ALLOW_TOKEN_REPLY_IDS */
    bool accounts; /* BROKER_ACCOUNTS */
    const struct holding *stale;
    size_t stale_n;
    uint64_t last_hlc;
    uint8_t seed;
    const struct member_spec *credential; /* of the edge; NULL: in date */
    uint64_t utc_ahead_us;                /* clock at the beginning, after REEL_UTC_US */
    /* 0: the settings' defaults. */
    unsigned replicas;
    uint64_t replica_grace_us, cache_bytes_max, replication_bytes_per_s, tombstone_kept_us;
    bool new_here;                 /* its catalogue was never whole: it joins first */
    uint64_t contact_us, since_us; /* 0: now, and a day ago */
};

struct stage {
    struct core *core;
    struct memory_store *store;
    struct effects *fx;
    struct member edge;
    struct arena arena; /* for whatever a test needs */
    uint64_t now_us, utc_us;
    size_t live_free_bytes, media_free_bytes;
    uint32_t nonces;           /* handed out */
    uint64_t status_us;        /* of the last status that was given none */
    uint64_t steps, unchecked; /* in all; since the invariants were checked */
    bool read_at_once;         /* stage_settle answers reads (true at first) */
    bool commit_at_once;       /* stage_settle commits writes (true at first) */
    size_t group_max;          /* writes per commit */
    struct hash digest;        /* of all effects so far */
    struct effect *said; /* what was sent, published, logged: SEND, PACKET, LOG, TRUST, DRAINED */
    size_t said_n, said_cap;
    struct effects **kept; /* whose arenas and events `said` borrows from */
    size_t kept_n, kept_cap;
};

struct stage *stage_new(const struct stage_spec *spec);
void stage_free(struct stage *s);

/* stage_restart: a new core on the same store, as after a crash: what was not committed is lost. */
void stage_restart(struct stage *s);

/* stage_step: apply one event at the current time; its operations go to the store. */
void stage_step(struct stage *s, struct event *ev);
/* stage_settle: commit, read and complete until the store is idle. */
void stage_settle(struct stage *s);
/* stage_complete: one step for each completion that is ready. */
void stage_complete(struct stage *s);
/* stage_do: step, then settle. */
void stage_do(struct stage *s, struct event *ev);
/* stage_pass: let us microseconds pass, with ticks at the core's deadlines, settling. */
void stage_pass(struct stage *s, uint64_t us);

/* ---- what was said since stage_forget ---- */
void stage_forget(struct stage *s);
/* stage_count: messages of a kind. stage_last: the last one; fails the test if there is none. */
size_t stage_count(const struct stage *s, enum message_kind kind);
const struct effect *stage_last(const struct stage *s, enum message_kind kind);
/* stage_nth: the i-th message of a kind, from 0; NULL: there are fewer. */
const struct effect *stage_nth(const struct stage *s, enum message_kind kind, size_t i);
/* stage_packets: packets published on this kind of topic with last level b ("": any). */
size_t stage_packets(const struct stage *s, enum topic_kind topic, const char *b);
const struct effect *stage_packet(const struct stage *s, enum topic_kind topic, const char *b,
                                  size_t i);
size_t stage_effects(const struct stage *s, enum effect_kind kind);

/* The bodies of the last message of a kind. */
const struct upload_ack *stage_ack(const struct stage *s);
const struct wire_error *stage_error(const struct stage *s);
/* stage_expect_ack: the last acknowledgement of an upload names this position. */
void stage_expect_ack(const struct stage *s, uint32_t next, uint32_t next_part);
/* stage_expect_error: the last error has this code, and was sent to this reply id; then forget. */
void stage_expect_error(struct stage *s, enum wire_code code, enum topic_kind topic,
                        const char *reply_id);

/* ---- events ---- */
struct request_auth stage_auth(struct stage *s);
struct event *stage_init_event(struct stage *s, const struct reel *r);
struct event *stage_part_event(const struct reel *r, size_t i);
/* stage_part_json_event: as if it had come in JSON. */
struct event *stage_part_json_event(const struct reel *r, size_t i);
struct event *stage_end_event(const struct reel *r);
struct event *stage_watch_event(const struct watch_request *m);
struct event *stage_join_event(const char *client_id, const char *video_id, struct slice token);

/* What a status of another edge says. Zeroed but for the id: it is online, with room on its disk
 * and no catalogue to compare. */
struct stage_beat {
    const char *edge_id;
    bool offline;
    bool unsigned_will;         /* anybody may have sent it */
    bool without_credential;    /* its key was remembered */
    uint64_t serial;            /* of its credential; 0: REEL_SERIAL */
    const char *key;            /* whose key it has; NULL: edge_id's */
    uint64_t revocations;       /* the number of the list that it has */
    uint64_t time_us;           /* 0: as of the step, above any before */
    uint64_t since_us;          /* 0: a day before REEL_UTC_US */
    struct catalogue_root root; /* horizon_us 0: none */
    uint64_t disk_free, disk_total;
    uint64_t uptime_s;
};
struct event *stage_beat_event(const struct stage_beat *b);
/* stage_status_event: a verified status with nothing unusual. */
struct event *stage_status_event(const char *edge_id, bool online);

/* stage_revocations_event: a list as decode found it. */
struct event *stage_revocations_event(const struct reel_list *list);

/* stage_lot_event: rows as they come by db/sync or as a lot. */
struct event *stage_lot_event(const struct storage_row *rows, size_t n);
/* stage_sync_event: any kind but SYNC_ROWS; a proof is one whose signature does not hold. */
struct event *stage_sync_event(const struct sync_message *m);
/* stage_proof_event: a proof whose signature holds. */
struct event *stage_proof_event(const char *edge_id, const struct id *video_id,
                                const struct possession *p);
/* stage_delete_event: client_id NULL: signed by the streamer; else by the zone, answered there. */
struct event *stage_delete_event(struct stage *s, const struct reel *r, uint64_t revision_us,
                                 const char *client_id);
/* stage_deletion_row: a deletion as it is merged. */
struct storage_row stage_deletion_row(struct arena *arena, const struct reel *r,
                                      uint64_t revision_us, bool by_zone);
struct event *stage_rows_event(const struct storage_row *rows, size_t n, uint32_t page,
                               uint32_t pages);
struct event *stage_row_event(const struct storage_row *row);

/* ---- short cuts ---- */
void stage_part(struct stage *s, const struct reel *r, size_t i);
/* stage_parts: parts from..to-1, each settled. */
void stage_parts(struct stage *s, const struct reel *r, size_t from, size_t to);
/* stage_upload: init, every part, end. */
void stage_upload(struct stage *s, const struct reel *r);
struct slice stage_token(struct stage *s, const char *client_id);
/* stage_row: a finished reel as its row with this edge's custody (or its presence). */
struct storage_row stage_row(struct arena *arena, const struct reel *r, const struct member *edge,
                             uint8_t state, uint64_t hlc);
/* stage_hlc: a stamp of now. */
uint64_t stage_hlc(const struct stage *s);
struct id stage_id(const char *text);

#endif
