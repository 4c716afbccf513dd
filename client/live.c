/*
 * edgectl live: reads media as it comes (or paced, from a file), cuts it into
 * short fragments, signs and sends each at once.
 *
 *   WAITING --granted--> init chunk --> STREAMING --lag, lost connection--> DROPPING
 *      ^                                  |    ^                               |
 *      +--- pause, and no answer to init -+    +------- keyframe, room --------+
 *
 *   I1  Numbers have no gaps: what is dropped is dropped before it is cut. Whatever
 *       number an answer names, we go on with our own.
 *   I2  After a drop the next chunk begins at a keyframe and says "discontinuity".
 *   I3  An edge that lacks our last init chunk (it started anew, or had ended us in a
 *       pause) gets a new one before the next keyframe, for who joins then.
 *   I4  Nobody signs statuses, errors and answers: while we are sending they make us
 *       ask the edge (init) or cut an init chunk more, and drop nothing. An edge that says
 *       `unauthorized` to several inits in a row, and nothing else, is believed. The zone's
 *       list of revocations is signed, and ends us at once.
 *   I5  A renewed credential goes out with an init, beside the media, which goes on.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "client/media.h"
#include "client/progress.h"
#include "client/publish.h"
#include "client/say.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    LIVE_LAG_US = 3 * 1000 * 1000, /* older than this in the outbox: drop to a keyframe */
    LIVE_INIT_AGAIN_US = 3 * 1000 * 1000,
    ATTEND_US = 20 * 1000,
    LIVE_QUIET_US = 5 * 1000 * 1000,  /* an edge ends a live after 10 s without a sign of it */
    LIVE_ANSWER_US = 4 * 1000 * 1000, /* after a pause, media waits so long for the edge */
    LIVE_WAKE_AGAIN_US = 1000 * 1000, /* and asks so often: an edge that ends us is deaf to init */
    LIVE_CAPTURE_BACK_US = 10 * 1000 * 1000, /* a fragment is dated back at most so far */
    LIVE_REFUSALS_MAX = 3,                   /* of inits in a row, once it was live */
    LIVE_UNANSWERED_MAX = 1,                 /* inits at the end; with more the edge is gone */
    LIVE_MARKS_MAX = 256,                    /* chunks whose age in the outbox is known */
};

static struct option options_live[] = {
    OPTIONS_PUBLISH,
    {.name = "loop",
     .env = "EDGECTL_LOOP",
     .help = "a file: begin again at its end",
     .kind = OPTION_FLAG},
    {.name = "live-fragment-ms",
     .help = "length of a fragment, in ms; keyframes begin one anyway",
     .fallback = "200",
     .kind = OPTION_UINT,
     .min = 20,
     .max = 10000},
    OPTIONS_COMMON,
};

/* When what had been published in all, up to a chunk's end, was handed to the bus. */
struct mark {
    uint64_t end_bytes;
    uint64_t at_us;
};

struct live_stream {
    struct publication pub;
    struct media *media;
    struct chunk_cutter cutter;
    uint8_t *init; /* owned: the init segment */
    size_t init_len;
    bool granted, ever_granted, dropping, finished;
    bool init_due; /* an init chunk, before the next keyframe (I3) */
    bool ask_due;  /* init, although we are granted: the edge may have started anew */
    enum exit_status status;
    unsigned refusals;   /* final errors since the last answer */
    unsigned unanswered; /* inits sent since the last answer */
    unsigned complaints; /* errors while we were sending */
    unsigned denials;    /* inits since the last answer that were `unauthorized` while we were */
    bool denied;         /* the last init was one of them */
    uint64_t asked_us;   /* last init sent */
    uint64_t sent_us;    /* last chunk or init sent: the edge knows that we are there */
    uint64_t uptime_s;   /* of the edge, to see that it started anew */
    uint64_t last_capture_us;
    /* how far behind the broker is */
    uint64_t published_bytes;
    struct mark marks[LIVE_MARKS_MAX];
    unsigned marks_head, marks_n;
    /* for the summary */
    uint64_t started_us, parts, bytes, dropped, drops;
    char refusal[REFUSAL_BYTES];
    struct progress progress;
};

/* ------------------------------------------------------------------ sending */

static bool send_cut(struct live_stream *l, const struct cut_chunk *cut)
{
    for (uint32_t i = 0; i < cut->chunk.parts_n; i++) {
        uint8_t packet[PACKET_BYTES_MAX];
        size_t len = cut_chunk_part(cut, i, packet);
        if (session_send(&l->pub.session, l->pub.topic, id_slice(&l->pub.edge_id),
                         slice_of(packet, len)) != ERR_OK)
            return false;
        l->parts++;
        l->published_bytes += len;
    }
    l->bytes += cut->chunk.payload_len;
    l->sent_us = clock_mono_us();
    return true;
}

static void mark(struct live_stream *l, uint64_t now_us)
{
    unsigned at = (l->marks_head + l->marks_n) % LIVE_MARKS_MAX;
    if (l->marks_n == LIVE_MARKS_MAX)
        return; /* so many chunks wait that it lags in any case */
    l->marks[at] = (struct mark){l->published_bytes, now_us};
    l->marks_n++;
}

/* How long the oldest chunk has been in the outbox. */
static uint64_t lag_us(struct live_stream *l, uint64_t now_us)
{
    uint64_t waiting = bus_counters(l->pub.session.bus, 0).outbox_bytes;
    uint64_t gone = l->published_bytes > waiting ? l->published_bytes - waiting : 0;
    while (l->marks_n && l->marks[l->marks_head].end_bytes <= gone) {
        l->marks_head = (l->marks_head + 1) % LIVE_MARKS_MAX;
        l->marks_n--;
    }
    return l->marks_n ? now_us - l->marks[l->marks_head].at_us : 0;
}

/* Whether all packets of a chunk of so many bytes fit the outbox now. */
static bool fits(struct live_stream *l, size_t payload_len)
{
    size_t parts = payload_len / PART_PAYLOAD_BYTES_MAX + 1;
    size_t need = payload_len + parts * (PACKET_BYTES_MAX - PART_PAYLOAD_BYTES_MAX);
    return bus_outbox_free_bytes(l->pub.session.bus, 0) >= need;
}

static uint64_t capture_time(struct live_stream *l, uint32_t duration_us)
{
    uint64_t back_us = duration_us < LIVE_CAPTURE_BACK_US ? duration_us : LIVE_CAPTURE_BACK_US;
    uint64_t at_us = clock_utc_us() - back_us;
    if (at_us <= l->last_capture_us)
        at_us = l->last_capture_us + 1;
    l->last_capture_us = at_us;
    return at_us;
}

/* STATUS_FAILED when the numbers would get a hole: it fitted before it was cut. */
static void send_chunk(struct live_stream *l, enum chunk_kind kind, uint16_t flags,
                       uint32_t duration_us, struct slice payload)
{
    struct cut_chunk cut;
    CHECK(chunk_cut(&l->cutter, kind, flags, capture_time(l, duration_us), duration_us, payload,
                    &cut) == ERR_OK);
    if (!send_cut(l, &cut) && !l->dropping) {
        l->dropping = true; /* the rest of it cannot be played: go on at a keyframe (I2) */
        l->drops++;
    }
    cut_chunk_release(&cut);
    mark(l, clock_mono_us());
}

static void drop(struct live_stream *l)
{
    l->drops += !l->dropping;
    l->dropping = true;
    l->dropped++;
}

/* ------------------------------------------------------------------ the edge */

static void lose_grant(struct live_stream *l)
{
    l->granted = false;
    l->asked_us = 0;
}

static void ask(struct live_stream *l)
{
    if (publication_init(&l->pub) != ERR_OK)
        return;
    l->asked_us = l->sent_us = clock_mono_us();
    l->unanswered++;
    l->ask_due = l->denied = false;
}

/*
 * Init: until it is answered, when the edge may have started anew, and in a pause,
 * so that it does not take that for the end.
 */
static void ask_if_due(struct live_stream *l)
{
    uint64_t now_us = clock_mono_us();
    bool pause = now_us - l->sent_us >= LIVE_INIT_AGAIN_US;
    if (!l->granted && publication_doubts(&l->pub, now_us))
        ask(l);
    bool due = !l->granted || l->unanswered || l->ask_due || pause;
    if (due && l->pub.session.up && (!l->asked_us || now_us - l->asked_us >= LIVE_INIT_AGAIN_US))
        ask(l);
}

/* With every answer to an init: the edge may have started anew, and knows nothing of it then. */
static void delegate(struct live_stream *l, const struct upload_ack *ack)
{
    CLEANUP(arena_release) struct arena arena = {0};
    uint8_t delegation[DELEGATION_OBJECT_BYTES_MAX];
    struct publication *p = &l->pub;
    delegate_edge(&p->delegate, &p->zone, &p->edge_id, ack->edge_credential, clock_utc_us());
    size_t len = publication_delegation(p, delegation);
    struct upload_delegation m = {.video_id = p->video.video_id,
                                  .streamer_id = p->video.streamer_id,
                                  .delegation = slice_of(delegation, len)};
    if (len)
        session_send(&p->session, p->topic, id_slice(&p->edge_id),
                     upload_delegation_encode(&m, &arena));
}

static void take_answer(struct live_stream *l, const struct upload_ack *ack)
{
    if (ack->next <= l->cutter.init_number)
        l->init_due = true; /* I3; the number itself says nothing else to us (I1) */
    l->granted = l->ever_granted = true;
    l->unanswered = 0;
    l->refusals = 0;
    l->denials = 0;
    delegate(l, ack);
}

static void end_refused(struct live_stream *l, enum err err)
{
    progress_clear(&l->progress);
    say("edge %s refuses: %s", l->pub.edge_id.s, l->refusal);
    l->status = publication_status(err);
    l->finished = true;
}

/* I4: an edge that no longer takes our credential says so to every init. */
static void take_denial(struct live_stream *l)
{
    l->ask_due = true;
    if (!l->unanswered || l->denied)
        return;
    l->denied = true;
    if (++l->denials >= LIVE_REFUSALS_MAX)
        end_refused(l, ERR_UNAUTHORIZED);
}

static void take_error(struct live_stream *l, const struct wire_error *error)
{
    enum err err = wire_code_err(error->code_text);
    bool final = publication_final(err);
    say_refusal(error, l->refusal);
    if (l->granted) {
        l->complaints++; /* I4 */
        if (err == ERR_UNAUTHORIZED)
            take_denial(l);
        return;
    }
    l->refusals += final;
    if (!final)
        return;
    if (l->ever_granted ? l->refusals < LIVE_REFUSALS_MAX
                        : !publication_believes(&l->pub, clock_mono_us()))
        return;
    end_refused(l, err);
}

/* The edge's heartbeat: its uptime goes back when it started anew, and knows nothing of us. */
static void take_status(struct live_stream *l, struct slice payload, struct arena *arena)
{
    struct edge_status status;
    if (edge_status_decode(payload, arena, &status) != ERR_OK ||
        !id_eq(&status.edge_id, &l->pub.edge_id))
        return;
    l->ask_due = l->ask_due || !status.online || status.uptime_s < l->uptime_s; /* I4 */
    l->uptime_s = status.uptime_s;
}

static void take_message(struct live_stream *l, const struct topic *topic, struct slice payload)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct upload_ack ack;
    struct wire_error error;
    if (topic->kind == TOPIC_EDGE_STATUS)
        take_status(l, payload, &arena);
    if (renewal_take(&l->pub.renewal, topic, payload))
        l->ask_due = true; /* I5 */
    if (!publication_reply(&l->pub, topic))
        return;
    if (reply_is_error(payload, &arena, &error)) {
        if (slice_eq(error.video_id, id_slice(&l->pub.video.video_id)))
            take_error(l, &error);
    } else if (upload_ack_decode(payload, &arena, &ack) == ERR_OK &&
               id_eq(&ack.video_id, &l->pub.video.video_id)) {
        take_answer(l, &ack);
    }
}

static void renew_if_due(struct live_stream *l)
{
    struct renewal *r = &l->pub.renewal;
    if (renewal_step(r, clock_mono_us()))
        l->ask_due = true; /* I5 */
    if (renewal_worries(r)) {
        progress_clear(&l->progress);
        renewal_note(r);
    }
}

static void judge(struct live_stream *l)
{
    progress_clear(&l->progress);
    enum exit_status status = publication_judge(&l->pub);
    l->finished = l->finished || status != STATUS_OK;
    if (status != STATUS_OK)
        l->status = status;
}

/* Everything that came, and then wait until deadline_us. */
static void attend(struct live_stream *l, uint64_t deadline_us)
{
    do {
        CLEANUP(msg_unref_ptr) struct msg *msg = NULL;
        struct topic topic;
        renew_if_due(l);
        ask_if_due(l);
        switch (session_wait(&l->pub.session, deadline_us, &msg, &topic)) {
        case SESSION_MESSAGE: take_message(l, &topic, msg->payload); break;
        case SESSION_DOWN: lose_grant(l); break;
        case SESSION_STOP: l->finished = true; break;
        case SESSION_TRUST: judge(l); break;
        case SESSION_TIMEOUT: return;
        case SESSION_UP:
        case SESSION_DRAINED: break;
        }
    } while (!l->finished);
}

/*
 * After a pause the edge may have ended us, and would not say so: media goes on
 * when it has answered, for what comes while it begins anew is lost.
 */
static void wake_edge(struct live_stream *l)
{
    uint64_t now_us = clock_mono_us();
    uint64_t deadline_us = now_us + LIVE_ANSWER_US;
    if (!l->granted || now_us - l->sent_us < LIVE_QUIET_US)
        return;
    l->unanswered = 0;
    ask(l);
    while (l->granted && l->unanswered && !l->finished && now_us < deadline_us) {
        attend(l, now_us + ATTEND_US);
        now_us = clock_mono_us();
        if (l->unanswered && now_us - l->asked_us >= LIVE_WAKE_AGAIN_US)
            ask(l);
    }
    if (l->unanswered)
        l->granted = false;
}

/* ------------------------------------------------------------------ media */

/* One fragment goes out, or is dropped. */
static void publish(struct live_stream *l, const struct fragment *f)
{
    wake_edge(l);
    bool init = l->init_due && (f->keyframe || l->cutter.next_number == 1);
    size_t need = f->len + (init ? l->init_len : 0);
    bool behind = lag_us(l, clock_mono_us()) > LIVE_LAG_US || !fits(l, need);
    if (!l->granted || behind || (l->dropping && !f->keyframe)) {
        drop(l); /* I1 */
        return;
    }
    uint16_t flags = f->keyframe ? CHUNK_KEYFRAME : 0;
    if (l->dropping)
        flags |= CHUNK_DISCONTINUITY; /* I2 */
    l->dropping = false;
    if (init) {
        l->init_due = false;
        send_chunk(l, CHUNK_INIT, 0, 0, slice_of(l->init, l->init_len)); /* I3 */
    }
    send_chunk(l, CHUNK_MEDIA, flags, f->duration_us, slice_of(f->bytes, f->len));
}

/* ------------------------------------------------------------------ running */

static enum exit_status wait_for_grant(struct live_stream *l)
{
    uint64_t deadline_us = clock_mono_us() + l->pub.session.timeout_us;
    while (!l->granted && !l->finished) {
        uint64_t now_us = clock_mono_us();
        if (now_us >= deadline_us) {
            if (l->refusal[0])
                say("edge %s does not get on: %s", l->pub.edge_id.s, l->refusal);
            return session_status(&l->pub.session, ERR_TIMEOUT, l->pub.edge_id.s);
        }
        attend(l, now_us + ATTEND_US);
    }
    return l->status;
}

static void draw(struct live_stream *l)
{
    char note[160];
    snprintf(note, sizeof(note), "%s, chunk %u, %llu dropped%s", l->pub.video.video_id.s,
             l->cutter.next_number - 1, (unsigned long long)l->dropped,
             l->granted ? "" : ", waiting for the edge");
    progress_draw(&l->progress, l->bytes, note, clock_mono_us());
}

static void take_fragment(struct live_stream *l, struct fragment *f)
{
    if (f->init) {
        l->init = f->bytes;
        l->init_len = f->len;
        return;
    }
    publish(l, f);
    free(f->bytes);
}

static enum exit_status stream(struct live_stream *l)
{
    while (!l->finished) {
        struct fragment f;
        uint64_t wait_us = 0;
        enum err err = media_next(l->media, clock_mono_us(), &f, &wait_us);
        if (err == ERR_OK)
            take_fragment(l, &f);
        else if (err == ERR_CLOSED)
            return STATUS_OK;
        else if (err != ERR_BUSY) {
            progress_clear(&l->progress);
            say("%s", media_why(l->media));
            return STATUS_FAILED;
        }
        attend(l, wait_us);
        draw(l);
    }
    return l->status;
}

/* The signed end, and whatever is still on its way. */
static enum exit_status finish(struct live_stream *l)
{
    enum exit_status status = STATUS_OK;
    if (l->cutter.next_number > 1)
        send_chunk(l, CHUNK_END, 0, 0, (struct slice){0});
    if (bus_flush(l->pub.session.bus, SESSION_FLUSH_MS) != ERR_OK) {
        progress_clear(&l->progress);
        say("the broker did not take the last of it within %d s", SESSION_FLUSH_MS / 1000);
        status = STATUS_NO_ANSWER;
    }
    attend(l, clock_mono_us()); /* what has been said about it by now */
    return status;
}

/* What nobody saw, as far as we know. */
static enum exit_status verdict(struct live_stream *l)
{
    if (l->complaints)
        say("edge %s refused %u times; the last time: %s", l->pub.edge_id.s, l->complaints,
            l->refusal);
    if (l->granted && l->unanswered <= LIVE_UNANSWERED_MAX)
        return STATUS_OK;
    say("edge %s no longer answers: the last of it may have reached nobody", l->pub.edge_id.s);
    return STATUS_NO_ANSWER;
}

static void summary(const struct live_stream *l, bool json)
{
    double seconds = (double)(clock_mono_us() - l->started_us) / 1e6;
    if (!json) {
        printf("live %s at %s ended: %.0f s, %u chunks, %llu parts, %llu bytes, %llu fragments "
               "dropped at %llu times\n",
               l->pub.video.video_id.s, l->pub.edge_id.s, seconds, l->cutter.next_number - 1,
               (unsigned long long)l->parts, (unsigned long long)l->bytes,
               (unsigned long long)l->dropped, (unsigned long long)l->drops);
        return;
    }
    struct json_text j = {.file = stdout};
    json_text_open(&j, NULL, '{');
    json_text_str(&j, "id", id_slice(&l->pub.video.video_id));
    json_text_str(&j, "edge", id_slice(&l->pub.edge_id));
    json_text_str(&j, "streamer_id", id_slice(&l->pub.video.streamer_id));
    json_text_str(&j, "codecs", l->pub.video.codecs);
    json_text_real(&j, "seconds", seconds);
    json_text_uint(&j, "chunks", l->cutter.next_number - 1);
    json_text_uint(&j, "parts", l->parts);
    json_text_uint(&j, "bytes", l->bytes);
    json_text_uint(&j, "dropped_fragments", l->dropped);
    json_text_uint(&j, "drops", l->drops);
    follow_json(&l->pub.follow.list, &j);
    json_text_close(&j, '}');
    putchar('\n');
}

static enum exit_status go_live(struct live_stream *l, const struct option *options)
{
    struct publication *p = &l->pub;
    enum exit_status status = publication_connect(p, options);
    if (status == STATUS_OK)
        status = choose_edge(&p->session, options, &p->zone.zone_id, &p->edge_id);
    if (status == STATUS_OK)
        status = publication_join(p);
    if (status == STATUS_OK)
        status = session_status(&p->session,
                                session_subscribe(&p->session, TOPIC_EDGE_STATUS,
                                                  id_slice(&p->edge_id), (struct slice){0}),
                                p->edge_id.s);
    if (status == STATUS_OK)
        status = publication_judge(p);
    if (status != STATUS_OK)
        return status;
    bool json = config_flag(options, "json");
    p->video.created_us = clock_utc_us();
    p->video.media_type = slice_str("video/mp4");
    p->video.codecs = slice_str(media_codecs(l->media));
    publication_sign(p, &(struct hash){0}, clock_utc_us());
    l->init_due = true;
    chunk_cutter_init(&l->cutter, &p->stream, &p->streamer.key, PART_PAYLOAD_BYTES_MAX);
    l->started_us = clock_mono_us();
    progress_init(&l->progress, "live", 0, json, l->started_us);
    status = wait_for_grant(l);
    if (status != STATUS_OK || !l->granted)
        return status;
    if (!json && !l->progress.shown)
        say("live as %s at edge %s", p->video.video_id.s, p->edge_id.s);
    status = stream(l);
    enum exit_status end = finish(l);
    progress_clear(&l->progress);
    if (end == STATUS_OK && status == STATUS_OK)
        end = verdict(l);
    follow_note(&p->follow.list, true, "");
    summary(l, json);
    return status == STATUS_OK ? end : status;
}

static bool is_file(const char *input)
{
    struct stat st;
    return stat(input, &st) == 0 && S_ISREG(st.st_mode);
}

static enum exit_status run(const struct option *options, const char *const *arguments, int n)
{
    (void)n;
    const char *input = arguments[0];
    struct media_options media = {
        .live = true,
        .paced = is_file(input),
        .loop = config_flag(options, "loop"),
        .fragment_us = (uint32_t)config_uint(options, "live-fragment-ms") * 1000,
        .fragment_bytes_max = CHUNK_BYTES_MAX,
        .interrupted = session_interrupted,
    };
    if (media.loop && !media.paced) {
        say("--loop needs a file");
        return STATUS_USAGE;
    }
    struct live_stream *l = mem_alloc(sizeof(*l));
    char why[MEDIA_WHY_BYTES];
    enum exit_status status = publication_describe(&l->pub, options, input, true);
    if (status == STATUS_OK && media_open(input, &media, &l->media, why) != ERR_OK) {
        say("%.200s: %s", input, why);
        status = STATUS_FAILED;
    }
    if (status == STATUS_OK)
        status = go_live(l, options);
    media_close(l->media);
    free(l->init);
    publication_close(&l->pub);
    free(l);
    return status;
}

const struct command command_live = {
    .name = "live",
    .arguments = "INPUT",
    .summary = "sign a stream and send it live through an edge",
    .details =
        "INPUT is a media file (sent in real time; --loop for ever), a URL that libavformat opens\n"
        "(rtsp://…), or - for standard input. It is repacked, not re-encoded. Ends in order at\n"
        "the end of the input, on Ctrl-C and on SIGTERM. Where the network does not keep up,\n"
        "whole groups of pictures are dropped and counted. The credential is renewed on the way;\n"
        "if it is revoked, the live ends with status 5.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = options_live,
    .run = run,
};
