/*
 * edgectl upload: cuts, signs and pushes a file until the edge gives its receipt.
 *
 *   source --piece--> chunk_cut --held--> parts --push window--> edge
 *                                  ^                               |
 *                                  +------- next: release ---------+
 *
 *   I1  held is the run of cut chunks from push.next on: un-acknowledged media is
 *       in memory, nothing else is.
 *   I2  What is skipped (the edge has it) is cut and signed all the same: hash
 *       chain, manifest and sha256 cover the whole file.
 *   I3  Cutting is deterministic, so chunk n is the same bytes and statement in
 *       every run with the same state.
 *   I4  A receipt may come with any acknowledgement: if the last answer was lost,
 *       init is answered as done. It is kept when its signatures hold, and ends the
 *       upload once everything is cut and it says the same.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "client/progress.h"
#include "client/publish.h"
#include "client/say.h"
#include "client/sink.h"
#include "client/source.h"
#include "client/upload_state.h"
#include "flow/push.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    UPLOAD_WINDOW_OURS_MAX = 2 * 1024 * 1024, /* of what the edge grants: it is memory here */
    REFUSALS_MAX = 3, /* final errors without progress in between, before we believe them */
    SKIP_SLICE_US = 100 * 1000,
};

static struct option options_upload[] = {
    OPTIONS_PUBLISH,
    OPTIONS_COMMON,
};

/* A cut chunk that the edge has not acknowledged. */
struct held {
    struct held *next;
    struct cut_chunk cut;
    uint8_t *bytes; /* owned: the payload */
};

struct upload {
    struct publication pub;
    struct source source;
    struct upload_state state;
    struct chunk_cutter cutter;
    struct push push;
    struct held *first, *last; /* I1 */
    bool all_cut, granted, resumed;
    bool continued; /* an earlier run sent some of this stream */
    struct sha256 hash;
    uint64_t parts;      /* cut so far */
    uint64_t safe_bytes; /* payload of chunks that are acknowledged */
    uint64_t sent_mark;  /* bus: sent_bytes when last looked */
    uint8_t manifest[OBJECT_BYTES_MAX];
    size_t manifest_len;
    struct hash manifest_hash;
    struct receipt receipt; /* I4 */
    bool has_receipt;
    unsigned refusals;
    char refusal[REFUSAL_BYTES];
    struct progress progress;
    uint64_t started_us;
};

/* ------------------------------------------------------------------ cutting */

static void release_first(struct upload *u)
{
    struct held *h = u->first;
    u->first = h->next;
    if (!u->first)
        u->last = NULL;
    u->safe_bytes += h->cut.chunk.payload_len;
    cut_chunk_release(&h->cut);
    free(h->bytes);
    free(h);
}

static void release_acked(struct upload *u)
{
    while (u->first && u->first->cut.chunk.number < u->push.next)
        release_first(u); /* I1 */
}

/* Cut the next chunk into held. STATUS_FAILED: said. At the end all_cut is set. */
static enum exit_status cut_next(struct upload *u)
{
    struct fragment piece;
    enum err err = source_next(&u->source, &piece);
    if (err == ERR_CLOSED) {
        u->all_cut = true;
        return STATUS_OK;
    }
    if (err != ERR_OK) {
        say("%s: %s", u->source.path, u->source.why);
        return STATUS_FAILED;
    }
    struct held *h = mem_alloc(sizeof(*h));
    h->bytes = piece.bytes;
    struct slice payload = slice_of(piece.bytes, piece.len);
    uint64_t capture_us = u->pub.video.created_us + piece.start_us;
    err = chunk_cut(&u->cutter, piece.init ? CHUNK_INIT : CHUNK_MEDIA,
                    piece.keyframe ? CHUNK_KEYFRAME : 0, capture_us, piece.duration_us, payload,
                    &h->cut);
    CHECK(err == ERR_OK); /* the source keeps to CHUNK_BYTES_MAX */
    sha256_add(&u->hash, payload);
    u->parts += h->cut.chunk.parts_n;
    if (u->last)
        u->last->next = h;
    else
        u->first = h;
    u->last = h;
    return STATUS_OK;
}

static struct held *held_at(const struct upload *u, uint32_t number)
{
    struct held *h = u->first;
    while (h && h->cut.chunk.number < number)
        h = h->next;
    return h && h->cut.chunk.number == number ? h : NULL;
}

/*
 * The chunk at the cursor, cut if it has not been. NULL: none yet (again later),
 * or all_cut.
 */
static enum exit_status chunk_at_cursor(struct upload *u, struct held **ret)
{
    uint64_t until_us = clock_mono_us() + SKIP_SLICE_US;
    *ret = NULL;
    while (!u->all_cut && u->cutter.next_number <= u->push.cursor) {
        enum exit_status status = cut_next(u);
        if (status != STATUS_OK)
            return status;
        release_acked(u); /* I2 */
        if (clock_mono_us() >= until_us)
            break;
    }
    *ret = held_at(u, u->push.cursor);
    return STATUS_OK;
}

/* ------------------------------------------------------------------ sending */

static enum err send_part(struct upload *u, const struct held *h)
{
    uint8_t *bytes;
    size_t len = part_packet_len(&h->cut.chunk, h->cut.statement_len, u->push.cursor_part);
    uint8_t packet[PACKET_BYTES_MAX];
    CHECK(cut_chunk_part(&h->cut, u->push.cursor_part, packet) == len);
    CLEANUP(msg_unref_ptr) struct msg *msg = msg_alloc(len, NULL, &bytes);
    memcpy(bytes, packet, len);
    enum err err = session_send_msg(&u->pub.session, u->pub.topic, id_slice(&u->pub.edge_id), msg);
    if (err == ERR_OK)
        push_was_sent(&u->push, h->cut.chunk.parts_n, len, clock_mono_us());
    return err;
}

/* As many parts as the window and the outbox take. ret_more: come back at once. */
static enum exit_status send_parts(struct upload *u, bool *ret_more)
{
    *ret_more = false;
    while (u->push.state == PUSH_RUNNING && push_may_send(&u->push, PACKET_BYTES_MAX)) {
        struct held *h;
        enum exit_status status = chunk_at_cursor(u, &h);
        if (status != STATUS_OK)
            return status;
        if (!h && !u->all_cut) {
            *ret_more = true;
            return STATUS_OK;
        }
        if (!h) {
            push_finish(&u->push);
            return STATUS_OK;
        }
        if (send_part(u, h) != ERR_OK)
            return STATUS_OK; /* the outbox is full: SESSION_DRAINED brings us back */
    }
    return STATUS_OK;
}

/* The manifest over everything, and the final statement that names it; made once. */
static void make_manifest(struct upload *u)
{
    uint8_t body[OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    struct manifest manifest = chunk_cutter_manifest(&u->cutter);
    manifest_encode(&manifest, &w);
    struct writer out = writer_of(u->manifest, sizeof(u->manifest));
    signed_append(&out, OBJECT_MANIFEST, slice_of(body, w.len), &u->pub.streamer.key);
    CHECK(!w.full && !out.full);
    u->manifest_len = out.len;
    u->manifest_hash = object_hash(OBJECT_MANIFEST, slice_of(body, w.len));
    publication_sign(&u->pub, &u->manifest_hash, clock_utc_us());
}

static void send_end(struct upload *u)
{
    CLEANUP(arena_release) struct arena arena = {0};
    uint8_t delegation[DELEGATION_OBJECT_BYTES_MAX];
    if (!u->manifest_len)
        make_manifest(u);
    struct upload_end end = {.video_id = u->pub.video.video_id,
                             .streamer_id = u->pub.video.streamer_id,
                             .manifest = slice_of(u->manifest, u->manifest_len),
                             .statement = slice_of(u->pub.statement, u->pub.statement_len),
                             .delegation =
                                 slice_of(delegation, publication_delegation(&u->pub, delegation))};
    session_send(&u->pub.session, u->pub.topic, id_slice(&u->pub.edge_id),
                 upload_end_encode(&end, &arena));
}

/* Init and end that do not go out are like lost ones: they are due again after silence. */
static void send_due(struct upload *u, uint64_t now_us)
{
    struct bus_counters counters = bus_counters(u->pub.session.bus, 0);
    if (counters.outbox_bytes && counters.sent_bytes != u->sent_mark)
        push_heard(&u->push, now_us);
    u->sent_mark = counters.sent_bytes;
    if (!u->granted && publication_doubts(&u->pub, now_us))
        publication_init(&u->pub);
    switch (push_due(&u->push, now_us)) {
    case PUSH_DUE_INIT: publication_init(&u->pub); break;
    case PUSH_DUE_END: send_end(u); break;
    case PUSH_DUE_NOTHING: break;
    }
}

/* ------------------------------------------------------------------ answers */

static const char later_epoch[] =
    "the edge's credential is of a later key of the zone than is known here";

/* Why a receipt is none of this edge for this upload; NULL: it is, and is kept (I4). */
static const char *receipt_fault(struct upload *u, const struct upload_ack *ack)
{
    struct credential edge;
    struct receipt r;
    enum err err = credential_open(ack->edge_credential, &u->pub.zone, &edge);
    if (err == ERR_NOT_READY)
        return later_epoch;
    if (err != ERR_OK || edge.kind != CREDENTIAL_EDGE || !id_eq(&edge.subject, &u->pub.edge_id))
        return "the edge's credential is not one of this zone for this edge";
    if (!credential_valid_at(&edge, clock_utc_us()))
        return "the edge's credential is out of date";
    const struct revocations *list = follow_list(&u->pub.follow);
    if (list && revocations_revoked(list, edge.serial, clock_utc_us()))
        return "the edge's credential is revoked";
    if (receipt_open(ack->receipt, &edge.pk, &r) != ERR_OK)
        return "the edge's signature on it does not hold";
    if (!id_eq(&r.zone_id, &u->pub.zone.zone_id) || !id_eq(&r.edge_id, &u->pub.edge_id) ||
        !hash_eq(&r.stream, &u->pub.stream) || r.track != 0)
        return "it is about another upload";
    u->receipt = r;
    u->has_receipt = true;
    return NULL;
}

/* Everything is cut: the upload is done if the receipt is about that. */
static enum exit_status settle(struct upload *u)
{
    if (!u->manifest_len)
        make_manifest(u);
    if (u->receipt.last_chunk == u->cutter.next_number - 1 &&
        hash_eq(&u->receipt.hash, &u->manifest_hash)) {
        push_receipt(&u->push);
        return STATUS_OK;
    }
    progress_clear(&u->progress);
    say("edge %s has signed a receipt about other chunks than were sent", u->pub.edge_id.s);
    return STATUS_UNVERIFIED;
}

/*
 * Strangers may write here as well: a refusal of our first init is believed when
 * it comes again after another init; later only if it comes again and again while
 * nothing moves.
 */
static bool believed(struct upload *u)
{
    bool stands_still = u->push.state == PUSH_INIT || u->push.silences > 0;
    u->refusals++;
    if (!u->granted)
        return publication_believes(&u->pub, clock_mono_us());
    return u->refusals >= REFUSALS_MAX && stands_still;
}

static void keep_state(struct upload *u)
{
    u->granted = true;
    u->state.revision_us = u->pub.video.revision_us;
    u->state.edge_id = u->pub.edge_id;
    if (upload_state_write(&u->pub.identity, &u->pub.video.video_id, &u->state) != ERR_OK)
        say("note: %s/uploads cannot be written, so this upload cannot be resumed",
            u->pub.identity.home);
}

static bool beyond(const struct upload_ack *ack)
{
    return ack->chunk_part > ack->next ||
           (ack->chunk_part == ack->next && ack->packet_index > ack->next_part);
}

static enum exit_status take_ack(struct upload *u, const struct upload_ack *ack)
{
    uint64_t now_us = clock_mono_us();
    uint32_t window =
        ack->window_bytes < UPLOAD_WINDOW_OURS_MAX ? ack->window_bytes : UPLOAD_WINDOW_OURS_MAX;
    uint32_t next = u->push.next, next_part = u->push.next_part;
    const char *fault = ack->receipt.len ? receipt_fault(u, ack) : NULL;
    if (fault) {
        snprintf(u->refusal, sizeof(u->refusal), "its receipt does not hold: %s", fault);
        if (fault == later_epoch) {
            follow_later(&u->pub.follow); /* the end is sent again, and so is the receipt */
            return STATUS_OK;
        }
        if (!u->granted || !believed(u))
            return STATUS_OK; /* anybody can send one */
        progress_clear(&u->progress);
        say("edge %s: %s", u->pub.edge_id.s, u->refusal);
        return STATUS_UNVERIFIED;
    }
    delegate_edge(&u->pub.delegate, &u->pub.zone, &u->pub.edge_id, ack->edge_credential,
                  clock_utc_us());
    if (!u->granted && !u->continued && !ack->receipt.len && (ack->next > 1 || ack->next_part))
        return STATUS_OK; /* nobody holds anything of a stream that is new */
    if (u->push.state == PUSH_INIT) {
        push_granted(&u->push, ack->next, ack->next_part, window, now_us);
        if (!u->granted) {
            u->resumed = ack->next > 1 || ack->next_part > 0;
            keep_state(u);
        }
    } else {
        push_acked(&u->push, ack->next, ack->next_part, window, !ack->has_part || beyond(ack),
                   now_us);
    }
    if (u->push.next != next || u->push.next_part != next_part)
        u->refusals = 0;
    release_acked(u);
    return STATUS_OK;
}

static enum exit_status take_error(struct upload *u, const struct wire_error *error)
{
    enum err err = wire_code_err(error->code_text);
    say_refusal(error, u->refusal);
    if (!publication_final(err) || !believed(u))
        return STATUS_OK;
    progress_clear(&u->progress);
    say("edge %s refuses: %s", u->pub.edge_id.s, u->refusal);
    if (err == ERR_CONFLICT) /* whatever else it is may pass, and the upload goes on then */
        upload_state_remove(&u->pub.identity, &u->pub.video.video_id);
    return publication_status(err);
}

static enum exit_status take_answer(struct upload *u, const struct topic *topic,
                                    struct slice payload)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct upload_ack ack;
    struct wire_error error;
    if (!publication_reply(&u->pub, topic))
        return STATUS_OK;
    if (reply_is_error(payload, &arena, &error))
        return slice_eq(error.video_id, id_slice(&u->pub.video.video_id)) ? take_error(u, &error)
                                                                          : STATUS_OK;
    if (upload_ack_decode(payload, &arena, &ack) != ERR_OK ||
        !id_eq(&ack.video_id, &u->pub.video.video_id))
        return STATUS_OK;
    return take_ack(u, &ack);
}

/* ------------------------------------------------------------------ running */

static enum exit_status gave_up(const struct upload *u)
{
    if (u->refusal[0])
        say("edge %s does not get on: %s", u->pub.edge_id.s, u->refusal);
    else if (u->granted)
        say("edge %s no longer answers", u->pub.edge_id.s);
    else
        say("no answer from edge %s within %llu s; is it running? --timeout waits longer",
            u->pub.edge_id.s, (unsigned long long)(u->pub.session.timeout_us / 1000000));
    if (u->granted)
        say("the same command with --id %s goes on where it stopped", u->pub.video.video_id.s);
    return STATUS_NO_ANSWER;
}

static bool hopeless(const struct upload *u, uint64_t now_us)
{
    return u->push.state == PUSH_FAILED ||
           (!u->granted && now_us - u->started_us > u->pub.session.timeout_us);
}

static uint64_t wake_us(const struct upload *u, uint64_t now_us)
{
    uint64_t at_us = now_us + UPLOAD_RTO_US;
    if (u->pub.session.up && push_deadline_us(&u->push) < at_us)
        at_us = push_deadline_us(&u->push);
    if (u->pub.ask_again_us && u->pub.ask_again_us < at_us)
        at_us = u->pub.ask_again_us;
    return at_us;
}

static enum exit_status push_all(struct upload *u)
{
    struct session *s = &u->pub.session;
    enum exit_status status = STATUS_OK;
    while (status == STATUS_OK && u->push.state != PUSH_DONE) {
        CLEANUP(msg_unref_ptr) struct msg *msg = NULL;
        struct topic topic;
        bool more = false;
        uint64_t now_us = clock_mono_us();
        if (hopeless(u, now_us))
            return gave_up(u);
        if (s->up)
            send_due(u, now_us);
        status = send_parts(u, &more);
        if (status == STATUS_OK && u->has_receipt && u->all_cut)
            return settle(u);
        if (status != STATUS_OK)
            return status;
        progress_draw(&u->progress, u->safe_bytes, u->pub.video.video_id.s, now_us);
        switch (session_wait(s, more ? 0 : wake_us(u, now_us), &msg, &topic)) {
        case SESSION_MESSAGE: status = take_answer(u, &topic, msg->payload); break;
        case SESSION_DOWN: push_disconnected(&u->push, clock_mono_us()); break;
        case SESSION_TRUST:
            progress_clear(&u->progress);
            status = publication_judge(&u->pub);
            break;
        case SESSION_STOP:
            progress_clear(&u->progress);
            say("interrupted; the same command with --id %s goes on where it stopped",
                u->pub.video.video_id.s);
            return STATUS_FAILED;
        case SESSION_UP:
        case SESSION_TIMEOUT:
        case SESSION_DRAINED: break;
        }
    }
    return status;
}

/* The state of an earlier run that this one may go on with. */
static bool resumable(const struct upload *u, const struct option *options,
                      struct upload_state *ret)
{
    const char *edge = config_text(options, "edge");
    return upload_state_read(&u->pub.identity, &u->pub.video.video_id, ret) == ERR_OK &&
           upload_state_same(ret, &u->state) && (!edge || strcmp(edge, ret->edge_id.s) == 0);
}

static enum exit_status prepare(struct upload *u, const struct option *options)
{
    struct video *v = &u->pub.video;
    u->state.created_us = v->created_us;
    u->state.nonce = v->nonce;
    u->state.part_bytes = PART_PAYLOAD_BYTES_MAX;
    u->state.size_bytes = u->source.size_bytes;
    u->state.mtime_ns = u->source.mtime_ns;
    u->state.zone_id = v->zone_id;
    u->state.streamer_id = v->streamer_id;
    char *path = realpath(u->source.path, NULL);
    snprintf(u->state.path, sizeof(u->state.path), "%s", path ? path : u->source.path);
    free(path);
    CLEANUP(mem_free_ptr) struct upload_state *before = mem_alloc(sizeof(*before));
    enum exit_status status = STATUS_OK;
    if (resumable(u, options, before)) {
        u->state = *before;
        u->continued = true;
        u->pub.edge_id = before->edge_id;
        v->nonce = before->nonce;
        v->created_us = before->created_us;
        v->revision_us = before->revision_us;
    } else {
        status = choose_edge(&u->pub.session, options, &v->zone_id, &u->pub.edge_id);
    }
    v->media_type = slice_str(source_media_type(&u->source));
    v->codecs = slice_str(source_codecs(&u->source));
    publication_sign(&u->pub, &(struct hash){0}, clock_utc_us());
    chunk_cutter_init(&u->cutter, &u->pub.stream, &u->pub.streamer.key, u->state.part_bytes);
    sha256_init(&u->hash);
    return status;
}

static void summary(const struct upload *u, bool json)
{
    struct sink sum = {.hash = u->hash};
    char digest[SINK_SHA256_TEXT_BYTES], receipt[ISO8601_BYTES];
    sink_sha256(&sum, digest);
    clock_iso8601(u->receipt.time_us, receipt);
    double seconds = (double)(clock_mono_us() - u->started_us) / 1e6;
    if (!json) {
        printf("uploaded %s to %s: %u chunks, %llu bytes, sha256 %s, receipt of %s verified\n",
               u->pub.video.video_id.s, u->pub.edge_id.s, u->cutter.next_number - 1,
               (unsigned long long)u->cutter.bytes, digest, receipt);
        return;
    }
    struct json_text j = {.file = stdout};
    json_text_open(&j, NULL, '{');
    json_text_str(&j, "id", id_slice(&u->pub.video.video_id));
    json_text_str(&j, "edge", id_slice(&u->pub.edge_id));
    json_text_str(&j, "streamer_id", id_slice(&u->pub.video.streamer_id));
    json_text_str(&j, "title", u->pub.video.title);
    json_text_str(&j, "media_type", u->pub.video.media_type);
    json_text_str(&j, "codecs", u->pub.video.codecs);
    json_text_uint(&j, "chunks", u->cutter.next_number - 1);
    json_text_uint(&j, "parts", u->parts);
    json_text_uint(&j, "bytes", u->cutter.bytes);
    json_text_str(&j, "sha256", slice_str(digest));
    json_text_bool(&j, "resumed", u->resumed);
    json_text_real(&j, "seconds", seconds);
    json_text_str(&j, "receipt_at", slice_str(receipt));
    follow_json(&u->pub.follow.list, &j);
    json_text_close(&j, '}');
    putchar('\n');
}

static enum exit_status upload_file(struct upload *u, const struct option *options)
{
    enum exit_status status = publication_connect(&u->pub, options);
    if (status == STATUS_OK)
        status = prepare(u, options);
    if (status == STATUS_OK)
        status = publication_join(&u->pub);
    if (status == STATUS_OK)
        status = publication_judge(&u->pub);
    if (status != STATUS_OK)
        return status;
    bool json = config_flag(options, "json");
    u->started_us = clock_mono_us();
    progress_init(&u->progress, "upload", u->source.size_bytes, json, u->started_us);
    push_init(&u->push, u->started_us);
    status = push_all(u);
    progress_clear(&u->progress);
    if (status != STATUS_OK)
        return status;
    upload_state_remove(&u->pub.identity, &u->pub.video.video_id);
    follow_note(&u->pub.follow.list, true, "");
    summary(u, json);
    return STATUS_OK;
}

static enum exit_status run(const struct option *options, const char *const *arguments, int n)
{
    (void)n;
    struct upload *u = mem_alloc(sizeof(*u));
    enum exit_status status = publication_describe(&u->pub, options, arguments[0], false);
    if (status == STATUS_OK && source_open(&u->source, arguments[0]) != ERR_OK) {
        say("%s: %s", arguments[0], u->source.why);
        status = STATUS_FAILED;
    }
    if (status == STATUS_OK) {
        status = upload_file(u, options);
        source_close(&u->source);
    }
    while (u->first)
        release_first(u);
    publication_close(&u->pub);
    free(u);
    return status;
}

const struct command command_upload = {
    .name = "upload",
    .arguments = "FILE",
    .summary = "sign a file and store it at an edge",
    .details =
        "Media that MP4 can carry is repacked (not re-encoded) into fragmented MP4; any other\n"
        "file is stored as it is. Succeeds only with the edge's signed receipt. Prints the "
        "SHA-256\n"
        "of what was signed: `edgectl watch ID -o FILE` writes exactly those bytes. An upload "
        "that\n"
        "was interrupted goes on when the same command is run again with the same --id.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = options_upload,
    .run = run,
};
