#ifndef WIRE_UPLOAD_H
#define WIRE_UPLOAD_H
/*
 * video/upload and live/upload (docs/PROTOCOL.md §4.2, §4.4): init, end,
 * acknowledgement, and parts in JSON. Conventions: wire/message.h.
 */
#include "base/msg.h"
#include "wire/message.h"

/* init of an upload or a live. */
struct upload_init {
    struct id video_id;
    struct slice title, description, category, thumbnail; /* thumbnail as text */
    struct id streamer_id;
    struct slice streamer_name;
    struct slice credential; /* signed object; empty: absent (unauthorized) */
    struct slice statement;  /* signed video object; empty: absent (unauthorized) */
    struct signed_fields signature;
};
/*
 * upload_init_encode: signer NULL: without auth. m->signature is ignored.
 * live: written without "init" and with "end":0, as the original's; signed as live/upload.
 */
struct slice upload_init_encode(const struct upload_init *m, bool live,
                                const struct request_signer *signer, struct arena *arena);
enum err upload_init_decode(struct slice payload, struct arena *arena, struct upload_init *ret);

/* The end of an upload. */
struct upload_end {
    struct id video_id;
    struct id streamer_id;
    struct slice manifest;   /* signed object */
    struct slice statement;  /* signed video object, final revision */
    struct slice delegation; /* to the edge: it may make a thumbnail; or empty */
};
struct slice upload_end_encode(const struct upload_end *m, struct arena *arena);
enum err upload_end_decode(struct slice payload, struct arena *arena, struct upload_end *ret);

/* To a live, once init was answered: as `delegation` in the end of an upload. Nothing answers. */
struct upload_delegation {
    struct id video_id;
    struct id streamer_id;
    struct slice delegation; /* signed object */
};
struct slice upload_delegation_encode(const struct upload_delegation *m, struct arena *arena);
enum err upload_delegation_decode(struct slice payload, struct arena *arena,
                                  struct upload_delegation *ret);

struct upload_ack {
    struct id video_id;
    struct id edge_id;
    bool has_part; /* chunk_part and packet_index are there */
    uint32_t chunk_part, packet_index;
    uint32_t next, next_part;
    uint32_t window_bytes;
    struct slice receipt;         /* signed object; empty before the end */
    struct slice edge_credential; /* with the answer to init, and with the receipt */
};
struct slice upload_ack_encode(const struct upload_ack *m, struct arena *arena);
enum err upload_ack_decode(struct slice payload, struct arena *arena, struct upload_ack *ret);

/*
 * What a payload on an upload topic is.
 */
enum upload_kind {
    UPLOAD_PART_BINARY,
    UPLOAD_PART_JSON,
    UPLOAD_INIT,
    UPLOAD_END,          /* with a manifest */
    UPLOAD_END_UNSIGNED, /* {"video_id","end":1} alone (S) */
    UPLOAD_DELEGATION,
};
/*
 * upload_classify: which decoder to call; cheap, and no proof that it will succeed.
 * An object with a chunk is a part, whatever else it says; one with a delegation and neither init
 * nor end is that. live: on live/upload, another object with neither chunk nor end 1 is an init.
 * ERR_FORMAT: none of these.
 */
enum err upload_classify(struct slice payload, bool live, enum upload_kind *ret);

/*
 * part_json_decode: the binary packet inside a JSON part, checked against the fields.
 * ret_msg   a new message holding the packet, charged to budget; the caller owns the reference.
 * ERR_FORMAT: not one, or fields that contradict the part (which is decoded for that).
 * ERR_LIMIT: too large, or the budget is used up.
 */
enum err part_json_decode(struct slice payload, struct budget *budget, struct id *ret_video_id,
                          struct msg **ret_msg);

/* A part to JSON viewers. part_json_messages: 1, or 2 when it does not fit one message. */
struct part_json {
    struct id video_id;
    struct slice video_title; /* empty: left out */
    struct slice packet;
    uint32_t number, index, parts_n;
    bool end;
};
unsigned part_json_messages(const struct part_json *m);
/* fragment: 0 <= fragment < part_json_messages(m). */
struct slice part_json_encode(const struct part_json *m, unsigned fragment, struct arena *arena);

#endif
