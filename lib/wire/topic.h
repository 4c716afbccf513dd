#ifndef WIRE_TOPIC_H
#define WIRE_TOPIC_H
/*
 * Topics: from text to meaning and back (docs/PROTOCOL.md §1, §4). Pure; any thread.
 */
#include "base/id.h"
#include "base/slice.h"

enum {
    TOPIC_BYTES_MAX = 200,
    TOPIC_PREFIX_BYTES_MAX = 57, /* the longest topic without it, and a slash, take 143 of 200 */
    TOPIC_PREFIX_LEVELS_MAX = 4, /* the deepest topic has 3 slashes of its own, of 7 */
    REPLY_ID_BYTES_MAX = 2048,
    TOPIC_BUF_BYTES = TOPIC_BYTES_MAX + REPLY_ID_BYTES_MAX + 1,
};

enum topic_kind {
    TOPIC_AUTH_PARAMS,       /* auth/params */
    TOPIC_AUTH_PARAMS_REPLY, /* auth/params/{a} */
    TOPIC_AUTH_ZONE,
    TOPIC_AUTH_ZONE_REPLY, /* auth/zone/{a} */
    TOPIC_AUTH_USER,
    TOPIC_AUTH_USER_REPLY, /* auth/user/{a} */
    TOPIC_AUTH_REVOCATIONS,
    TOPIC_DB,
    TOPIC_DB_REPLY, /* db/{a}; never "update" or "sync" */
    TOPIC_DB_UPDATE,
    TOPIC_DB_SYNC,     /* db/sync/{a} */
    TOPIC_EDGE_STATUS, /* edge/status/{a} */
    TOPIC_PING,
    TOPIC_PING_REPLY,        /* video/request/ping/{a} */
    TOPIC_LIST,              /* video/liste/{a} */
    TOPIC_LIST_REPLY,        /* video/liste/{a}/{b} */
    TOPIC_UPLOAD,            /* video/upload/{a} */
    TOPIC_UPLOAD_REPLY,      /* video/upload/{a}/{b} */
    TOPIC_DELETE,            /* video/delete/{a} */
    TOPIC_DELETE_REPLY,      /* video/delete/{a}/{b} */
    TOPIC_WATCH,             /* video/watch/{a} */
    TOPIC_WATCH_REPLY,       /* video/watch/{a}/{b} */
    TOPIC_LIVE_UPLOAD,       /* live/upload/{a} */
    TOPIC_LIVE_UPLOAD_REPLY, /* live/upload/{a}/{b} */
    TOPIC_LIVE_WATCH,        /* live/watch/{a} */
    TOPIC_LIVE_PARTS,        /* live/watch/{a}/{b} */
};

/* topic_prefix_ok: may be TOPIC_PREFIX: levels of [A-Za-z0-9_-] joined by '/', or empty. */
bool topic_prefix_ok(struct slice prefix);

/* edge_id_reserved: no edge may have this id: topics below db/ have it. */
bool edge_id_reserved(const struct id *id);

struct topic {
    enum topic_kind kind;
    struct slice a, b; /* the levels marked {a}, {b}; borrowed from the text */
};

/*
 * topic_parse: what a topic says.
 * prefix  TOPIC_PREFIX without its trailing slash; empty: none.
 * ERR_FORMAT: none of ours, or a level that must be an id is not one, or an edge's is reserved.
 * Reply ids may be any one level without '+' and '#'.
 */
enum err topic_parse(struct slice text, struct slice prefix, struct topic *ret);

/*
 * topic_print: the topic of a kind. a and b are ignored where the kind has none; "+" is allowed.
 * Returns the text, NUL-terminated, in buf. A programmer's error if a needed level is empty or
 * longer than REPLY_ID_BYTES_MAX, or two are longer than ids.
 */
struct slice topic_print(enum topic_kind kind, struct slice prefix, struct slice a, struct slice b,
                         char buf[static TOPIC_BUF_BYTES]);

/*
 * reply_id_ok: may be put into a reply topic: an id, or with allow_tokens any single level of
 * at most REPLY_ID_BYTES_MAX bytes that no broker refuses: UTF-8, no '+', '#', '/', no control
 * characters and no noncharacters.
 */
bool reply_id_ok(struct slice id, bool allow_tokens);

#endif
