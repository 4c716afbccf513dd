#ifndef WIRE_WATCH_H
#define WIRE_WATCH_H
/* video/watch and live/watch (docs/PROTOCOL.md §4.3, §4.4). Conventions: wire/message.h. */
#include "wire/message.h"

enum { WATCH_WINDOW_BYTES_MAX = 1024 * 1024 };

enum watch_kind {
    WATCH_INIT,
    WATCH_PULL_ORIGINAL, /* chunk_part is the last one received */
    WATCH_SEEK,          /* pull, chunk_part, part, window_bytes */
    WATCH_CREDIT,        /* pull, credit, window_bytes */
};

struct watch_request {
    enum watch_kind kind;
    struct slice client_id;
    struct id video_id;
    bool local_only;
    uint32_t chunk_part, part;
    uint32_t pull;
    uint64_t credit_bytes;
    uint32_t window_bytes;
    struct slice token; /* raw; empty: absent, or no token */
};
struct slice watch_request_encode(const struct watch_request *m, struct arena *arena);
enum err watch_request_decode(struct slice payload, struct arena *arena, struct watch_request *ret);

/* The answer to init, and a live's metadata, which has fewer fields. */
struct watch_info {
    struct id video_id;
    struct slice title; /* written as video_title and video_nom */
    struct slice edge_id;
    struct slice edges;    /* comma-separated: where it is held, or live */
    struct id streamer_id; /* "" if absent (S) */
    struct slice streamer_name;
    struct slice media_type, codecs;
    bool live;       /* as the field says, false on the live topic; the statement is what counts */
    uint32_t chunks; /* 0: not finished */
    uint64_t bytes;
    struct slice statement, credential, manifest; /* signed objects; manifest may be empty */
    struct slice token;
    /* What shows that it was here before its streamer was revoked; empty: this edge has none. */
    struct slice receipt, receipt_credential;
    /* A thumbnail that an edge made and signed for the streamer; empty: none. wire/upload.h */
    struct slice delegation, thumbnail_part;
};
/* watch_info_encode: with "status":"ok" and the fixture's "chunk_part":"0", "end":"0". */
struct slice watch_info_encode(const struct watch_info *m, struct arena *arena);
/* live_info_encode: on the live topic (to_one false) or as the answer to a join (true). */
struct slice live_info_encode(const struct watch_info *m, bool to_one, struct arena *arena);
enum err watch_info_decode(struct slice payload, struct arena *arena, struct watch_info *ret);

/* {"video_id","pull"?,"chunk_part"?,"end":"1"} after the last part; live: {"video_id","end":1}. */
struct watch_end {
    struct id video_id;
    bool has_pull;
    uint32_t pull;
    uint32_t chunk_part; /* 0: absent */
    bool live;           /* "end" is a number */
};
struct slice watch_end_encode(const struct watch_end *m, struct arena *arena);

/* What a JSON payload on a watch reply or live topic is. */
enum watch_reply_kind {
    WATCH_REPLY_INFO,
    WATCH_REPLY_END,
    WATCH_REPLY_ERROR,
    WATCH_REPLY_PART_JSON
};
/* watch_reply_classify: which decoder to call; cheap. ERR_FORMAT: none of these. */
enum err watch_reply_classify(struct slice payload, enum watch_reply_kind *ret);
enum err watch_end_decode(struct slice payload, struct arena *arena, struct watch_end *ret);

struct live_join {
    struct id video_id;
    struct slice client_id;
    struct slice token;
};
struct slice live_join_encode(const struct live_join *m, struct arena *arena);
enum err live_join_decode(struct slice payload, struct arena *arena, struct live_join *ret);

#endif
