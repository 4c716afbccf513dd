/*
 * edgectl delete: signs that a video is gone, and hands that to one edge, which tells the others.
 *
 *   ping --edges--> look up: who holds it, which revision it has
 *                      |
 *                      v
 *   sign (or --signed FILE) --> one edge after the other, until one has kept it
 *
 *   I1  The deletion is signed once: sent again, to whomever, it is the same one. The
 *       request around it is signed each time it goes out, for a nonce counts once.
 *   I2  What the look-up finds is only believed for what it verifies: a revision by us.
 *       Which edges hold the video nobody signs; it decides who is asked first.
 */
#include "wire/delete.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/checker.h"
#include "client/publish.h"
#include "client/say.h"
#include "client/upload_state.h"
#include "wire/catalogue.h"
#include "wire/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOKUP_WAIT_US = 1000 * 1000 };

static struct option options_delete[] = {
    {.name = "edge",
     .env = "EDGECTL_EDGE",
     .help = "id of the edge to tell (default: one that holds it, else the best that answers)"},
    {.name = "signed",
     .env = "EDGECTL_SIGNED",
     .help = "file with a deletion that the zone signed, in place of ID and a login"},
    OPTIONS_COMMON,
};

struct deletion_order {
    struct publication pub; /* by_zone: its session, identity and zone alone */
    bool by_zone;
    struct id video_id, streamer_id;
    uint64_t revision_us;
    uint8_t bytes[OBJECT_BYTES_MAX]; /* the signed deletion */
    size_t len;
    struct id reply_id; /* under which edges answer */
    struct edge_answer *edges;
    size_t edges_n;
    char holders[EDGES_TEXT_BYTES_MAX + 1]; /* comma-separated; "": not known */
    /* what the edge at hand said */
    struct id edge_id;
    bool refused;
    enum err refusal_err;
    char refusal[REFUSAL_BYTES];
    /* and one that does not know the video, or does not get on */
    bool unknown;
};

/* ------------------------------------------------------------------ what is known */

/* A verified answer to the look-up: of which revision it is, and who holds it (I2). */
static bool take_lookup(struct deletion_order *d, const struct topic *topic, struct slice payload)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct watch_info info;
    if (topic->kind != TOPIC_WATCH_REPLY || !slice_eq(topic->b, id_slice(&d->pub.session.id)) ||
        watch_info_decode(payload, &arena, &info) != ERR_OK ||
        info.edges.len > EDGES_TEXT_BYTES_MAX)
        return false;
    struct claim claim = {.credential = info.credential,
                          .statement = info.statement,
                          .manifest = info.manifest,
                          .video_id = &d->video_id};
    struct checker *checker = mem_alloc(sizeof(*checker));
    enum err err = checker_open(checker, &d->pub.zone, &claim);
    if (err == ERR_NOT_READY)
        follow_later(&d->pub.follow);
    bool holds = err == ERR_OK && id_eq(&checker->video.streamer_id, &d->streamer_id);
    if (holds) {
        if (!d->by_zone)
            d->revision_us = checker->video.revision_us;
        memcpy(d->holders, info.edges.ptr, info.edges.len);
        d->holders[info.edges.len] = '\0';
    }
    checker_release(checker);
    free(checker);
    return holds;
}

static void send_all(struct deletion_order *d, struct slice payload)
{
    for (size_t i = 0; i < d->edges_n; i++)
        session_send(&d->pub.session, TOPIC_WATCH, id_slice(&d->edges[i].edge_id), payload);
}

/* Ask every edge at once what it holds itself: who does not must not fetch it for that. */
static enum err look_up(struct deletion_order *d)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct session *s = &d->pub.session;
    struct slice any = slice_str("+");
    enum err err = session_subscribe(s, TOPIC_WATCH_REPLY, any, id_slice(&s->id));
    if (err != ERR_OK)
        return err;
    struct watch_request request = {.kind = WATCH_INIT,
                                    .client_id = id_slice(&s->id),
                                    .video_id = d->video_id,
                                    .local_only = true};
    struct slice payload = watch_request_encode(&request, &arena);
    send_all(d, payload);
    uint64_t until_us = clock_mono_us() + LOOKUP_WAIT_US;
    size_t answers = 0;
    bool found = false;
    while (!found && answers < d->edges_n && clock_mono_us() < until_us) {
        CLEANUP(msg_unref_ptr) struct msg *msg = NULL;
        struct topic topic;
        enum session_news news = session_wait(s, until_us, &msg, &topic);
        if (news == SESSION_STOP)
            return ERR_CLOSED;
        if (news == SESSION_TRUST) {
            answers = 0;
            send_all(d, payload);
        }
        if (news != SESSION_MESSAGE)
            continue;
        answers += topic.kind == TOPIC_WATCH_REPLY;
        found = take_lookup(d, &topic, msg->payload);
    }
    session_unsubscribe(s, TOPIC_WATCH_REPLY, any, id_slice(&s->id));
    return ERR_OK;
}

/* ------------------------------------------------------------------ what is sent */

static void sign(struct deletion_order *d)
{
    uint64_t now_us = clock_utc_us();
    struct deletion deletion = {
        .zone_id = d->pub.zone.zone_id,
        .video_id = d->video_id,
        .streamer_id = d->streamer_id,
        .revision_us = now_us > d->revision_us ? now_us : d->revision_us + 1,
    };
    d->revision_us = deletion.revision_us;
    uint8_t body[OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    struct writer out = writer_of(d->bytes, sizeof(d->bytes));
    deletion_encode(&deletion, &w);
    signed_append(&out, OBJECT_DELETION, slice_of(body, w.len), &d->pub.streamer.key);
    CHECK(!w.full && !out.full);
    d->len = out.len;
}

static struct slice make_request(void *context, struct arena *arena)
{
    struct deletion_order *d = context;
    struct delete_request request = {.video_id = d->video_id,
                                     .streamer_id = d->streamer_id,
                                     .deletion = slice_of(d->bytes, d->len)};
    if (d->by_zone) {
        request.client_id = id_slice(&d->reply_id);
        return delete_request_encode(&request, NULL, arena);
    }
    request.credential = slice_of(d->pub.streamer.bytes, d->pub.streamer.len);
    struct request_signer signer = {
        .target = id_slice(&d->edge_id), .ts_us = clock_utc_us(), .key = &d->pub.streamer.key};
    crypto_random(signer.nonce.b, NONCE_BYTES);
    return delete_request_encode(&request, &signer, arena);
}

static enum answer take_reply(void *context, const struct topic *topic, struct slice payload)
{
    struct deletion_order *d = context;
    CLEANUP(arena_release) struct arena arena = {0};
    struct wire_error error;
    struct delete_reply reply;
    if (topic->kind != TOPIC_DELETE_REPLY || !slice_eq(topic->a, id_slice(&d->edge_id)) ||
        !slice_eq(topic->b, id_slice(&d->reply_id)))
        return ANSWER_STRAY;
    if (reply_is_error(payload, &arena, &error)) {
        if (!slice_eq(error.video_id, id_slice(&d->video_id)))
            return ANSWER_STRAY;
        d->refused = true;
        d->refusal_err = wire_code_err(error.code_text);
        say_refusal(&error, d->refusal);
        bool later = d->refusal_err == ERR_BUSY || d->refusal_err == ERR_NOT_READY;
        return later ? ANSWER_LATER : ANSWER_REFUSED;
    }
    if (delete_reply_decode(payload, &arena, &reply) != ERR_OK ||
        !id_eq(&reply.video_id, &d->video_id) || !id_eq(&reply.edge_id, &d->edge_id))
        return ANSWER_STRAY;
    d->refused = false;
    return ANSWER_TAKEN;
}

/* One edge. STATUS_NO_ANSWER: the next one may do better. */
static enum exit_status tell(struct deletion_order *d, const struct id *edge_id)
{
    struct session *s = &d->pub.session;
    d->edge_id = *edge_id;
    d->refused = false;
    enum err err =
        session_subscribe(s, TOPIC_DELETE_REPLY, id_slice(edge_id), id_slice(&d->reply_id));
    struct ask ask = {.kind = TOPIC_DELETE,
                      .a = id_slice(edge_id),
                      .renew = make_request,
                      .repeat = true,
                      .take = take_reply,
                      .context = d};
    if (err == ERR_OK)
        err = session_ask(s, &ask, s->timeout_us);
    if (err != ERR_OK)
        return session_status(s, err, edge_id->s);
    if (!d->refused)
        return STATUS_OK;
    d->unknown = d->unknown || d->refusal_err == ERR_UNKNOWN;
    if (d->refusal_err == ERR_UNKNOWN)
        return STATUS_NO_ANSWER;
    say("edge %s refuses: %s", edge_id->s, d->refusal);
    return publication_final(d->refusal_err) && d->refusal_err != ERR_STORAGE_FULL
               ? publication_status(d->refusal_err)
               : STATUS_NO_ANSWER;
}

/* Those that hold it first; both halves are in the order of the ping: best first. */
static enum exit_status tell_one(struct deletion_order *d)
{
    enum exit_status status = STATUS_NO_ANSWER;
    struct slice holders = slice_str(d->holders);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < d->edges_n && status == STATUS_NO_ANSWER; i++)
            if (!session_interrupted() && edges_have(holders, &d->edges[i].edge_id) == (pass == 0))
                status = tell(d, &d->edges[i].edge_id);
    if (status != STATUS_NO_ANSWER || !d->unknown)
        return status;
    say("no edge knows of a video %s of %s; edgectl list shows what there is", d->video_id.s,
        d->by_zone ? d->streamer_id.s : "yours");
    return STATUS_FAILED;
}

/* ------------------------------------------------------------------ running */

static enum exit_status find_edges(struct deletion_order *d, const struct option *options)
{
    d->edges = mem_array(EDGES_MAX, sizeof(*d->edges));
    if (config_text(options, "edge")) {
        d->edges_n = 1;
        return choose_edge(&d->pub.session, options, NULL, &d->edges[0].edge_id);
    }
    enum err err = choose_collect(&d->pub.session, CHOOSE_WAIT_US, d->edges, &d->edges_n);
    return session_status(&d->pub.session, err, "any edge (ping)");
}

static void summary(const struct deletion_order *d, bool json)
{
    if (!json) {
        printf("deleted %s of %s: edge %s has it and tells the others\n", d->video_id.s,
               d->streamer_id.s, d->edge_id.s);
        return;
    }
    struct json_text j = {.file = stdout};
    json_text_open(&j, NULL, '{');
    json_text_str(&j, "id", id_slice(&d->video_id));
    json_text_str(&j, "streamer_id", id_slice(&d->streamer_id));
    json_text_str(&j, "edge", id_slice(&d->edge_id));
    json_text_str(&j, "signed_by", slice_str(d->by_zone ? "zone" : "streamer"));
    json_text_uint(&j, "revision", d->revision_us);
    json_text_close(&j, '}');
    putchar('\n');
}

/* Connected, and whoever signs is known. */
static enum exit_status delete_video(struct deletion_order *d, const struct option *options)
{
    enum exit_status status = find_edges(d, options);
    if (status != STATUS_OK)
        return status;
    enum err err = look_up(d);
    if (err != ERR_OK)
        return session_status(&d->pub.session, err, "the edges");
    if (!d->by_zone)
        status = publication_judge(&d->pub);
    if (status != STATUS_OK)
        return status;
    if (!d->by_zone)
        sign(d);
    status = tell_one(d);
    if (status != STATUS_OK)
        return status;
    upload_state_remove(&d->pub.identity, &d->video_id);
    summary(d, config_flag(options, "json"));
    return STATUS_OK;
}

static enum exit_status as_streamer(struct deletion_order *d, const struct option *options,
                                    const char *id)
{
    if (id_parse(slice_str(id), &d->video_id) != ERR_OK) {
        say("'%.80s' is no video id: 1 to %d of [A-Za-z0-9_-]", id, ID_BYTES_MAX);
        return STATUS_USAGE;
    }
    enum exit_status status = publication_connect(&d->pub, options);
    d->streamer_id = d->reply_id = d->pub.video.streamer_id;
    return status == STATUS_OK ? delete_video(d, options) : status;
}

/* It names no epoch: when no key that is known here signed it, a newer one may have. */
static enum err open_signed(struct deletion_order *d, const struct option *options,
                            struct deletion *ret)
{
    struct slice bytes = slice_of(d->bytes, d->len);
    enum err err = zone_deletion_open(bytes, &d->pub.zone, ret);
    if (err == ERR_SIGNATURE &&
        zone_obtain(&d->pub.session, &d->pub.identity, options, true, &d->pub.zone) == STATUS_OK)
        err = zone_deletion_open(bytes, &d->pub.zone, ret);
    if (err == ERR_OK && !id_eq(&ret->zone_id, &d->pub.zone.zone_id))
        err = ERR_UNAUTHORIZED;
    return err;
}

/* The file: base64 of the signed object, as `auth_edge delete` prints it. */
static enum exit_status read_signed(struct deletion_order *d, const struct option *options,
                                    const char *path)
{
    CLEANUP(mem_free_ptr) char *text = NULL;
    size_t len;
    enum err err = file_read(path, 2 * OBJECT_BYTES_MAX, &text, &len);
    if (err != ERR_OK) {
        say("%s cannot be read: %s", path, err == ERR_IO ? strerror(errno) : err_name(err));
        return STATUS_FAILED;
    }
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        len--;
    struct deletion deletion;
    err = b64_decode(slice_of(text, len), d->bytes, sizeof(d->bytes), &d->len);
    if (err == ERR_OK)
        err = open_signed(d, options, &deletion);
    if (err != ERR_OK) {
        say("%s is no deletion that zone %s signed (%s); make one with: auth_edge delete STREAMER "
            "VIDEO",
            path, d->pub.zone.zone_id.s, err_name(err));
        return STATUS_UNVERIFIED;
    }
    d->video_id = deletion.video_id;
    d->streamer_id = deletion.streamer_id;
    d->revision_us = deletion.revision_us;
    return STATUS_OK;
}

static enum exit_status as_zone(struct deletion_order *d, const struct option *options,
                                const char *path)
{
    if (identity_open(&d->pub.identity) != ERR_OK) {
        say("set EDGECTL_HOME to a folder for keys: HOME is not set, or too long");
        return STATUS_USAGE;
    }
    d->by_zone = true;
    enum exit_status status = session_open(&d->pub.session, options);
    if (status == STATUS_OK)
        status = zone_obtain(&d->pub.session, &d->pub.identity, options, false, &d->pub.zone);
    if (status == STATUS_OK)
        status = read_signed(d, options, path);
    if (status != STATUS_OK)
        return status;
    d->reply_id = d->pub.session.id;
    follow_open(&d->pub.follow, &d->pub.session, &d->pub.identity, &d->pub.zone);
    return delete_video(d, options);
}

static enum exit_status run(const struct option *options, const char *const *arguments, int n)
{
    const char *path = config_text(options, "signed");
    if ((path != NULL) == (n == 1)) {
        say("name the video, or give --signed FILE, which names it");
        return STATUS_USAGE;
    }
    struct deletion_order *d = mem_alloc(sizeof(*d));
    enum exit_status status =
        path ? as_zone(d, options, path) : as_streamer(d, options, arguments[0]);
    publication_close(&d->pub);
    free(d->edges);
    free(d);
    return status;
}

const struct command command_delete = {
    .name = "delete",
    .arguments = "ID",
    .summary = "delete a video of yours, or an upload under way, at all edges",
    .details =
        "Signs that the video is gone and gives that to one edge, which keeps it before it\n"
        "answers, frees the bytes and tells the other edges; one that is away learns it when it\n"
        "is back. The id is not free for others for as long as the edges remember (30 days).\n"
        "--signed FILE sends what `auth_edge delete STREAMER VIDEO` printed: the zone may delete\n"
        "what any streamer has published.",
    .arguments_min = 0,
    .arguments_max = 1,
    .options = options_delete,
    .run = run,
};
