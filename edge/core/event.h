#ifndef EDGE_CORE_EVENT_H
#define EDGE_CORE_EVENT_H
/*
 * What happens to the core: decoded, verified messages, completions of storage,
 * the state of the bus, and time. One struct per event; what an event points to
 * lives in its arena or its message until event_free.
 *
 * Verified here means: every signature in the message was checked against the
 * trust view that was current then. The core checks what depends on time and
 * state (dates, freshness, claims) when it applies the event.
 */
#include "base/arena.h"
#include "base/msg.h"
#include "edge/core/storage.h"
#include "edge/core/thumbnail_job.h"
#include "wire/auth.h"
#include "wire/catalogue.h"
#include "wire/delete.h"
#include "wire/presence.h"
#include "wire/sync.h"
#include "wire/topic.h"
#include "wire/upload.h"
#include "wire/watch.h"

enum event_kind {
    EVENT_TICK,   /* a deadline was reached */
    EVENT_BUS_UP, /* connected, subscriptions in force */
    EVENT_BUS_DOWN,
    EVENT_BUS_DENIED, /* the broker refuses the login */
    EVENT_LOAD,       /* a new measurement of the machine */
    EVENT_STOP,       /* begin to drain */
    EVENT_STORED,     /* a completion */
    EVENT_REJECTED,   /* a message that decode or verify refused */
    EVENT_ZONE_REPLY,
    EVENT_ZONE_ERROR,
    EVENT_PING,
    EVENT_LIST,
    EVENT_EDGE_STATUS,
    EVENT_REVOCATIONS, /* a list that the zone's key in force signed */
    EVENT_DB_REQUEST,
    EVENT_DB_REPLY,
    EVENT_DB_UPDATE,
    EVENT_DB_SYNC, /* digests, leaves, want, probe, proof */
    EVENT_DB_ROWS, /* rows by db/sync or a lot by db/update */
    EVENT_DELETE,
    EVENT_UPLOAD_INIT,
    EVENT_UPLOAD_END,
    EVENT_LIVE_INIT,
    EVENT_LIVE_END_UNSIGNED,
    EVENT_DELEGATION, /* of a live under way */
    EVENT_THUMBNAIL,  /* a picture was made, or not */
    EVENT_PART,
    EVENT_WATCH,
    EVENT_JOIN,
    EVENT_WATCH_INFO, /* answers to our own fetches */
    EVENT_WATCH_END,
    EVENT_WATCH_ERROR,
};

/* Why a message was refused, and whom to tell. Slices borrow from the event. */
struct rejection {
    enum err err;
    const char *what; /* static: what to do about it */
    bool answer;      /* reply_kind and reply_id are filled */
    enum topic_kind reply_kind;
    struct slice reply_id;
    struct slice video_id, client_id;
    uint32_t chunk_part;
    bool of_peer;    /* in an edge's name, who did not sign it, or not now, or not only once */
    bool has_stream; /* a part of a known stream: the core knows its streamer */
    bool by_video;   /* a part in JSON: the core may know who streams video_id */
    struct hash stream;
};

/* A verified init of an upload or a live. */
struct verified_init {
    struct upload_init init;
    struct credential credential;
    struct video video;
    struct hash stream, statement_hash;
    struct request_auth auth;
};

/* A deletion whose signature, and whose request's, hold. */
struct verified_delete {
    struct delete_request request;
    bool by_zone;
    struct credential credential; /* not by_zone */
    struct deletion deletion;
    struct hash deletion_hash;
    struct request_auth auth; /* not by_zone */
};

/* A status and what was proved by it. */
struct verified_status {
    struct edge_status status;
    bool verified; /* signed by the key of an edge credential of this zone, which is: */
    struct node_status node;
    struct pubkey pk;
    uint64_t serial, not_after_us; /* of that credential, if it came along; else 0 */
};

struct verified_end {
    struct upload_end end;
    struct video video;
    struct hash stream, statement_hash;
    struct manifest manifest;
    bool delegated; /* there is a delegation, and its signature holds: */
    struct delegation delegation;
};

struct part_event {
    enum topic_kind topic; /* on which kind of topic it came */
    struct msg *packet;    /* owned: the binary packet */
    struct msg *original;  /* owned: as it arrived (the same message when binary) */
    bool json;
    struct id video_id; /* json: the field */
    struct part part;   /* borrows from packet */
    struct hash statement_hash;
};

struct event {
    enum event_kind kind;
    uint64_t now_us; /* monotonic */
    uint64_t utc_us;
    size_t live_free_bytes; /* room in the outboxes */
    size_t media_free_bytes;
    size_t control_free_bytes;
    bool newer_zone; /* something in it says that it is signed by a later key of the zone than we
                        know: nobody verified that */
    struct arena arena;
    struct msg *msg; /* owned; may be NULL */
    union {
        struct machine_load load;
        struct storage_done *done; /* owned */
        struct rejection rejection;
        struct zone_reply zone_reply;
        struct wire_error zone_error; /* anybody may have sent it */
        struct ping_request ping;
        struct list_request list;
        struct verified_status status;
        struct {
            struct slice bytes; /* signed object; arena */
            struct revocations list;
        } revocations;
        struct db_request db_request;
        struct {
            size_t n, skipped;
            struct storage_row *rows; /* verified; arena */
            uint32_t page, pages;
            struct id from;  /* who signed it */
            uint64_t asking; /* what it answers */
        } db_reply;
        struct {
            struct storage_row row; /* verified */
        } db_update;
        struct {
            struct sync_message message; /* any kind but SYNC_ROWS */
            bool proved;                 /* PROOF: its signature holds, and: */
            struct possession possession;
        } db_sync;
        struct {
            size_t n, skipped;
            struct storage_row *rows; /* verified; arena */
        } db_rows;
        struct {
            struct upload_delegation message;
            struct delegation delegation; /* signed by the key of the stream that it names */
        } delegation;
        struct thumbnail_job *thumbnail; /* owned */
        struct verified_delete delete;
        struct verified_init init;
        struct verified_end end;
        struct part_event part;
        struct watch_request watch;
        struct live_join join;
        struct {
            struct id source;
            struct watch_info info;
            bool thumbnail_holds; /* delegation and part, about a stream that is fetched here: */
            struct hash thumbnail_stream;
            bool receipt_holds; /* it is signed by an edge of this zone, whose credential has */
            uint64_t receipt_serial;
            struct receipt receipt;
        } watch_info;
        struct {
            struct id source;
            struct watch_end end;
        } watch_end;
        struct {
            struct id source;
            struct wire_error error;
        } watch_error;
    } u;
};

/* event_new: zeroed, kind set. event_free: with everything that it owns; NULL is fine. */
struct event *event_new(enum event_kind kind);
void event_free(struct event *ev);

#endif
