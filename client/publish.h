#ifndef CLIENT_PUBLISH_H
#define CLIENT_PUBLISH_H
/*
 * What uploads and lives share on the streamer's side: who signs, for which
 * edge, under which statement, and the init that says so.
 */
#include "base/arena.h"
#include "client/choose.h"
#include "client/delegate.h"
#include "client/renewal.h"
#include "client/zone.h"
#include "trust/part.h"
#include "wire/upload.h"

/* The options of both commands; see OPTIONS_COMMON. */
#define OPTIONS_PUBLISH                                                                            \
    {.name = "id",                                                                                 \
     .env = "EDGECTL_ID",                                                                          \
     .help = "id of the video, [A-Za-z0-9_-]{1,64} (default: random)"},                            \
        {.name = "title", .env = "EDGECTL_TITLE", .help = "title (default: the file's name)"},     \
        {.name = "category", .env = "EDGECTL_CATEGORY", .help = "category", .fallback = "video"},  \
        {.name = "description", .env = "EDGECTL_DESCRIPTION", .help = "description"},              \
        {.name = "thumbnail",                                                                      \
         .env = "EDGECTL_THUMBNAIL",                                                               \
         .help = "small picture (JPEG, PNG, WebP, GIF; about 9 kB)"},                              \
        {.name = "no-delegate",                                                                    \
         .env = "EDGECTL_NO_DELEGATE",                                                             \
         .help = "do not let the edge make a thumbnail where none is given",                       \
         .kind = OPTION_FLAG},                                                                     \
    {                                                                                              \
        .name = "edge", .help = "id of the edge to send to (default: the best that answers)"       \
    }

struct publication {
    struct session session;
    struct identity identity;
    struct zone_params zone;
    struct follow follow; /* keeps zone up to date */
    struct streamer streamer;
    struct renewal renewal; /* of the streamer's credential */
    struct id edge_id;
    struct arena arena; /* texts of the statement */
    struct video video;
    struct slice thumbnail;   /* as text */
    struct delegate delegate; /* who may make one */
    struct hash stream;
    enum topic_kind topic, reply_topic;
    uint8_t statement[VIDEO_OBJECT_BYTES_MAX]; /* signed, as it stands now */
    size_t statement_len;
    /* The first init was refused: */
    bool doubted, asked_again;
    uint64_t ask_again_us; /* init is due then, once; 0: no */
};

/*
 * publication_describe: the statement's texts, from the options. Says what is
 * wrong: STATUS_USAGE: too long, no id, no picture. Needs nothing but p zeroed.
 * input  its last path component is the default title.
 */
enum exit_status publication_describe(struct publication *p, const struct option *options,
                                      const char *input, bool live);

/*
 * publication_connect: broker, zone, credential, renewed if that is due. Says what is wrong;
 * STATUS_UNAUTHORIZED: it is revoked.
 */
enum exit_status publication_connect(struct publication *p, const struct option *options);

/*
 * publication_judge: before anything is published, and at SESSION_TRUST: STATUS_OK, or
 * STATUS_UNAUTHORIZED: our credential is revoked by now; said.
 */
enum exit_status publication_judge(const struct publication *p);

/* publication_join: subscribe to the answers of p->edge_id. Says what is wrong. */
enum exit_status publication_join(struct publication *p);

/*
 * publication_sign: the statement as of now, signed: a revision greater than any
 * before. Fills stream. manifest_hash: zero before the end.
 */
void publication_sign(struct publication *p, const struct hash *manifest_hash, uint64_t utc_us);

/* publication_delegation: that our edge may make a thumbnail, signed now. Returns its length: 0
 * where it may not. */
size_t publication_delegation(const struct publication *p,
                              uint8_t ret[static DELEGATION_OBJECT_BYTES_MAX]);

/* publication_init: send the init, freshly signed. ERR_LIMIT: no room; try again. */
enum err publication_init(struct publication *p);

/*
 * publication_believes: whether to believe a refusal of an init before anything was
 * granted: anybody may have sent it. Not the first time; then init is due again
 * (publication_doubts), and what comes after that is believed.
 */
bool publication_believes(struct publication *p, uint64_t now_us);

/* publication_doubts: whether that init is due; true once. */
bool publication_doubts(struct publication *p, uint64_t now_us);

/* publication_reply: whether a message is our edge's answer to us. */
bool publication_reply(const struct publication *p, const struct topic *topic);

/* publication_close: zeroed is fine. */
void publication_close(struct publication *p);

/* publication_final: whether an error says that trying again is of no use. */
bool publication_final(enum err err);

/* publication_status: the exit status for a refusal. */
enum exit_status publication_status(enum err err);

#endif
