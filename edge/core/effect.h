#ifndef EDGE_CORE_EFFECT_H
#define EDGE_CORE_EFFECT_H
/*
 * What the core wants done: data, in order. Whoever runs the core carries them
 * out after the step and then calls effects_reset. Messages are typed; their
 * encoding is not the core's business (edge/encode.h).
 */
#include "edge/core/event.h"
#include "wire/peer.h"

enum { EFFECTS_PER_STEP_MAX = 512, EFFECT_LOG_BYTES_MAX = 256 };

/* What is live waits behind nothing that was recorded. */
enum lane { LANE_CONTROL, LANE_LIVE, LANE_MEDIA, LANES };

enum effect_kind {
    EFFECT_SEND,      /* a typed message on a topic */
    EFFECT_PACKET,    /* a part, as it is, on a topic */
    EFFECT_STORE,     /* a storage operation */
    EFFECT_TRUST,     /* the trust view has changed: core_trust_view() */
    EFFECT_LOGIN,     /* to the broker as somebody else: core_login() */
    EFFECT_LOG,       /* a line for the operator */
    EFFECT_THUMBNAIL, /* have a picture made; EVENT_THUMBNAIL brings it */
    EFFECT_DRAINED,   /* after EVENT_STOP: nothing is under way any more */
};

enum message_kind {
    MESSAGE_ZONE_REQUEST,
    MESSAGE_PING_REPLY,
    MESSAGE_EDGE_STATUS,
    MESSAGE_ERROR,
    MESSAGE_UPLOAD_ACK,
    MESSAGE_WATCH_REQUEST,
    MESSAGE_WATCH_INFO,
    MESSAGE_LIVE_INFO_ALL, /* on the live topic */
    MESSAGE_LIVE_INFO_ONE, /* answer to a join */
    MESSAGE_WATCH_END,
    MESSAGE_PART_JSON,
    MESSAGE_LIST,
    MESSAGE_DB_REQUEST,
    MESSAGE_DB_PAGE,
    MESSAGE_DB_UPDATE,
    MESSAGE_DB_LOT,    /* struct message_bundle on db/update */
    MESSAGE_DB_BUNDLE, /* struct message_bundle as a page of db */
    MESSAGE_SYNC,      /* struct sync_message */
    MESSAGE_SYNC_ROWS, /* struct message_bundle on db/sync */
    MESSAGE_DELETE_REPLY,
    MESSAGE_REVOCATIONS,
};

/* Rows that fit one message (storage bounds what it reads for one). */
struct message_bundle {
    struct id edge_id; /* ours */
    size_t claims_n, holdings_n;
    const struct bundle_claim *claims;
    const struct holding_row *holdings;
    uint32_t page, pages; /* DB_BUNDLE */
    uint64_t asking;      /* DB_BUNDLE */
};

struct message_list {
    bool paged;
    size_t n;
    const struct catalogue_row *rows;
    bool more;
    struct id next; /* if more: after which to go on */
    struct slice token;
};

struct message_db_page {
    size_t n;
    const struct catalogue_row *rows;
    size_t streamers_n;
    const struct storage_streamer *streamers;
    uint32_t page, pages;
};

struct effect {
    enum effect_kind kind;
    /* SEND, PACKET */
    enum lane lane;
    enum topic_kind topic;
    struct slice a, b; /* topic levels; the step's arena or the core's */
    enum message_kind message;
    const void *body; /* the struct that message names; the step's arena or the event's */
    const struct peer_stamp *stamp; /* what it is signed with; NULL: it is not */
    struct msg *packet;             /* owned reference */
    /* STORE */
    struct storage_op *op; /* owned */
    /* THUMBNAIL */
    struct thumbnail_job *job; /* owned */
    /* LOG */
    bool warning;
    char text[EFFECT_LOG_BYTES_MAX];
};

struct effects {
    struct arena arena;
    struct event *event; /* owned: what the effects may borrow from */
    size_t n;
    struct effect list[EFFECTS_PER_STEP_MAX];
};

/* effects_own: keep ev until the reset. */
void effects_own(struct effects *fx, struct event *ev);

/* effects_reset: release the event, what is still owned, and the arena. */
void effects_reset(struct effects *fx);

#endif
