/*
 * edgectl watch: finds an edge that has the video, verifies what it is, watches
 * it one way or the other, and sums up.
 *
 *   candidates --init--> info, verified --live--> watch_live
 *       ^                    |    \--stored--> watch_stored
 *       +-- unknown, silent -+
 */
#include "client/watch.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct option options_watch[] = {
    {.name = "edge",
     .env = "EDGECTL_EDGE",
     .help = "id of the edge to ask first (default: the best that answers)"},
    {.name = "output",
     .env = "EDGECTL_OUTPUT",
     .help = "file to write, - for standard output (default: only verify)",
     .letter = 'o'},
    {.name = "proof",
     .env = "EDGECTL_PROOF",
     .help = "file for what makes the output verifiable offline"},
    {.name = "thumbnail-out",
     .env = "EDGECTL_THUMBNAIL_OUT",
     .help = "file for the JPEG that an edge made for the streamer, once it is verified"},
    {.name = "duration",
     .env = "EDGECTL_DURATION",
     .help = "live: stop after so many s of it (0: at its end)",
     .fallback = "0",
     .kind = OPTION_UINT,
     .min = 0,
     .max = 10 * 365 * 86400},
    OPTION_REQUIRE_REVOCATIONS,
    OPTIONS_COMMON,
};

/* ------------------------------------------------------------------ shared */

bool view_reply(const struct view *v, const struct topic *topic)
{
    return topic->kind == TOPIC_WATCH_REPLY && slice_eq(topic->a, id_slice(&v->edge_id)) &&
           slice_eq(topic->b, id_slice(&v->session->id));
}

void view_token(struct view *v, struct slice token)
{
    if (token.len != TOKEN_BYTES)
        return;
    memcpy(v->token, token.ptr, TOKEN_BYTES);
    v->token_len = TOKEN_BYTES;
}

void view_thumbnail(struct view *v, const struct watch_info *info)
{
    struct thumbnail shown;
    thumbnail_check(&v->checker, info->delegation, info->thumbnail_part, &shown);
    if (v->thumbnail.kind == THUMBNAIL_NONE)
        v->thumbnail = shown;
}

void view_reject(struct view *v)
{
    v->rejected++;
    memcpy(v->rejected_why, v->checker.why, sizeof(v->rejected_why));
}

void view_took(struct view *v)
{
    v->parts++;
    if (!v->first_part_us)
        v->first_part_us = clock_mono_us();
}

enum exit_status view_write(struct view *v, struct slice bytes)
{
    if (v->reader_gone)
        return STATUS_OK;
    enum err err = sink_write(&v->sink, bytes);
    if (err == ERR_CLOSED) {
        v->reader_gone = true;
        return STATUS_OK;
    }
    if (err == ERR_OK)
        return STATUS_OK;
    progress_clear(&v->progress);
    say("%s cannot be written: %s", v->order.output, strerror(errno));
    return STATUS_FAILED;
}

enum exit_status view_prove(struct view *v, struct slice statement, const struct signature *sig)
{
    if (!v->order.proof_path)
        return STATUS_OK;
    struct proof_entry entry = {.statement = statement, .sig = *sig};
    if (proof_writer_add(&v->proof, &entry) == ERR_OK)
        return STATUS_OK;
    say("a proof file holds at most %d chunks; watch without --proof, or a part of it with "
        "--duration",
        PROOF_CHUNKS_MAX);
    return STATUS_FAILED;
}

/* ------------------------------------------------------------------ what it is */

/* What one edge said that the video is. */
struct info_wait {
    struct view *view;
    struct id next; /* where to go on: this edge, or one that shows the live */
    bool refused, unknown;
    bool revoked; /* what it says verifies, but is of a streamer who is revoked */
    char refusal[REFUSAL_BYTES];
    uint64_t unverified; /* answers that did not verify: anybody may have sent them */
};

/* The edge to go to for a live: this one if it has it, else the first that is named. */
static struct id live_edge(const struct id *asked, struct slice edges)
{
    struct id first = *asked;
    if (!edges_have(edges, asked))
        edges_next(&edges, &first);
    return first;
}

/*
 * Verify what an edge says the video is, but not yet whether its streamer is revoked. On failure
 * the checker says why. A later key of the zone is followed, and the edge asked again then.
 */
static bool open_claim(struct view *v, const struct watch_info *info)
{
    struct claim claim = {.credential = info->credential,
                          .statement = info->statement,
                          .manifest = info->manifest,
                          .receipt = info->receipt,
                          .receipt_credential = info->receipt_credential,
                          .video_id = &v->order.video_id,
                          .valid_at_us = info->live ? clock_utc_us() : 0};
    checker_release(&v->checker);
    enum err err = checker_open(&v->checker, &v->zone, &claim);
    if (err == ERR_NOT_READY)
        follow_later(&v->follow);
    if (err != ERR_OK)
        return false;
    view_token(v, info->token);
    v->live = info->live && v->checker.video.live;
    v->thumbnail = (struct thumbnail){0};
    view_thumbnail(v, info);
    return true;
}

static enum answer take_refusal(struct info_wait *w, const struct wire_error *error)
{
    struct slice about = error->video_id;
    enum err err = wire_code_err(error->code_text);
    if (about.len && !slice_eq(about, id_slice(&w->view->order.video_id)))
        return ANSWER_STRAY;
    w->refused = true;
    w->unknown = err == ERR_UNKNOWN;
    say_refusal(error, w->refusal);
    return err == ERR_BUSY || err == ERR_NOT_READY ? ANSWER_LATER : ANSWER_REFUSED;
}

static enum answer take_info(void *context, const struct topic *topic, struct slice payload)
{
    struct info_wait *w = context;
    struct view *v = w->view;
    CLEANUP(arena_release) struct arena arena = {0};
    struct watch_info info;
    struct wire_error error;
    if (!view_reply(v, topic))
        return ANSWER_STRAY;
    if (reply_is_error(payload, &arena, &error))
        return take_refusal(w, &error);
    if (watch_info_decode(payload, &arena, &info) != ERR_OK ||
        !id_eq(&info.video_id, &v->order.video_id))
        return ANSWER_STRAY;
    if (!open_claim(v, &info)) {
        w->unverified++;
        return ANSWER_STRAY;
    }
    switch (view_verdict(v)) {
    case ERR_OK: break;
    case ERR_NOT_READY: w->unverified++; return ANSWER_STRAY;
    default: /* anybody can leave the receipt out */
        w->revoked = true;
        memcpy(v->revoked, v->checker.why, sizeof(v->revoked));
        return ANSWER_REFUSED;
    }
    w->refused = w->revoked = false;
    v->revoked[0] = '\0';
    w->next = v->live ? live_edge(&v->edge_id, info.edges) : v->edge_id;
    return ANSWER_TAKEN;
}

static enum err ask_init(struct view *v,
                         enum answer (*take)(void *, const struct topic *, struct slice),
                         void *context, uint64_t timeout_us)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct watch_request request = {
        .kind = WATCH_INIT, .client_id = id_slice(&v->session->id), .video_id = v->order.video_id};
    struct ask ask = {.kind = TOPIC_WATCH,
                      .a = id_slice(&v->edge_id),
                      .payload = watch_request_encode(&request, &arena),
                      .repeat = true,
                      .take = take,
                      .context = context};
    return session_ask(v->session, &ask, timeout_us);
}

static enum exit_status subscribe(struct view *v)
{
    enum err err = session_subscribe(v->session, TOPIC_WATCH_REPLY, id_slice(&v->edge_id),
                                     id_slice(&v->session->id));
    return session_status(v->session, err, v->edge_id.s);
}

/* One candidate. STATUS_NO_ANSWER: try the next. */
static enum exit_status try_edge(struct view *v, bool *ret_unknown)
{
    enum exit_status status = subscribe(v);
    if (status != STATUS_OK)
        return status;
    struct info_wait wait = {.view = v};
    enum err err = ask_init(v, take_info, &wait, v->session->timeout_us);
    if (err == ERR_TIMEOUT && wait.unverified) {
        say("what edge %s says about %s does not verify: %s", v->edge_id.s, v->order.video_id.s,
            checker_why(&v->checker));
        return STATUS_UNVERIFIED;
    }
    if (err != ERR_OK)
        return session_status(v->session, err, v->edge_id.s);
    if (wait.revoked)
        return STATUS_UNVERIFIED; /* another edge may have its receipt */
    if (wait.refused) {
        *ret_unknown = wait.unknown;
        if (!wait.unknown)
            say("edge %s: %s", v->edge_id.s, wait.refusal);
        return STATUS_NO_ANSWER;
    }
    if (id_eq(&wait.next, &v->edge_id))
        return STATUS_OK;
    v->edge_id = wait.next;
    return subscribe(v);
}

static enum exit_status candidates(struct view *v, struct edge_answer *ret, size_t *ret_n)
{
    if (config_text(v->options, "edge")) {
        *ret_n = 1;
        return choose_edge(v->session, v->options, NULL, &ret[0].edge_id);
    }
    enum err err = choose_collect(v->session, CHOOSE_WAIT_US, ret, ret_n);
    return session_status(v->session, err, "any edge (ping)");
}

/* Best edge first, until one has it and what it says verifies. */
static enum exit_status find(struct view *v)
{
    CLEANUP(mem_free_ptr) struct edge_answer *edges = mem_array(EDGES_MAX, sizeof(*edges));
    size_t n;
    enum exit_status status = candidates(v, edges, &n);
    if (status != STATUS_OK)
        return status;
    bool all_unknown = true;
    status = STATUS_FAILED;
    for (size_t i = 0; i < n && !session_interrupted(); i++) {
        bool unknown = false;
        v->edge_id = edges[i].edge_id;
        v->started_us = clock_mono_us();
        enum exit_status one = try_edge(v, &unknown);
        if (one == STATUS_OK)
            return STATUS_OK;
        all_unknown = all_unknown && unknown;
        if (!unknown && status != STATUS_UNVERIFIED)
            status = one;
    }
    if (v->revoked[0])
        say("%s", v->revoked);
    if (all_unknown && !session_interrupted()) {
        say("no video or live %s is known; edgectl list shows what there is", v->order.video_id.s);
        return STATUS_FAILED;
    }
    return status;
}

/* ------------------------------------------------------------------ summary */

static double ms(uint64_t us)
{
    return (double)us / 1000;
}

static double mean_age_ms(const struct view *v)
{
    return v->age_n ? ms(v->age_sum_us) / (double)v->age_n : 0;
}

static void summary_json(const struct view *v, bool verified, const char *sha256, FILE *file)
{
    struct json_text j = {.file = file};
    json_text_open(&j, NULL, '{');
    json_text_str(&j, "id", id_slice(&v->order.video_id));
    json_text_str(&j, "title", v->checker.video.title);
    json_text_str(&j, "streamer_id", id_slice(&v->checker.video.streamer_id));
    json_text_str(&j, "edge", id_slice(&v->edge_id));
    json_text_bool(&j, "live", v->live);
    json_text_bool(&j, "verified", verified);
    if (v->revoked[0])
        json_text_str(&j, "revoked", slice_str(v->revoked));
    follow_json(&v->follow.list, &j);
    json_text_uint(&j, "chunks", v->checker.chunks);
    json_text_uint(&j, "parts", v->parts);
    json_text_uint(&j, "bytes", v->sink.bytes);
    json_text_uint(&j, "rejected", v->rejected);
    json_text_uint(&j, "duplicates", v->duplicates);
    json_text_str(&j, "thumbnail", slice_str(thumbnail_kind_name(v->thumbnail.kind)));
    json_text_str(&j, "sha256", slice_str(sha256));
    json_text_real(&j, "first_part_ms",
                   v->first_part_us ? ms(v->first_part_us - v->started_us) : 0);
    if (v->live) {
        json_text_uint(&j, "gaps", v->gaps);
        json_text_uint(&j, "skipped_chunks", v->skipped_chunks);
        json_text_real(&j, "age_mean_ms", mean_age_ms(v));
        json_text_real(&j, "age_max_ms", ms(v->age_max_us));
    }
    json_text_close(&j, '}');
    fputc('\n', file);
}

static void summary_text(const struct view *v, bool verified, const char *sha256, FILE *file)
{
    char size[TEXT_SIZE_BYTES];
    fprintf(file, "%s %s by %s from %s: %llu parts, %u chunks, %llu bytes (%s), %llu rejected%s\n",
            v->live ? "live" : "video", v->order.video_id.s, v->checker.video.streamer_id.s,
            v->edge_id.s, (unsigned long long)v->parts, v->checker.chunks,
            (unsigned long long)v->sink.bytes, text_size((double)v->sink.bytes, size),
            (unsigned long long)v->rejected, verified ? ", all verified" : ", NOT whole");
    fprintf(file, "sha256 %s, first part after %.0f ms\n", sha256,
            v->first_part_us ? ms(v->first_part_us - v->started_us) : 0);
    if (v->live)
        fprintf(file, "age %.0f ms on average, %.0f ms at most; %llu gaps, %llu chunks skipped\n",
                mean_age_ms(v), ms(v->age_max_us), (unsigned long long)v->gaps,
                (unsigned long long)v->skipped_chunks);
    if (v->order.verify && verified)
        fprintf(file,
                "verified against zone %s: credential, statement, every part, the hash chain%s\n",
                v->zone.zone_id.s,
                v->checker.has_manifest ? " and the manifest"
                : v->live               ? ""
                                        : " and the end");
}

/* Where the media itself goes to standard output, the summary does not. */
static void summary(const struct view *v, bool verified)
{
    char sha256[SINK_SHA256_TEXT_BYTES];
    sink_sha256(&v->sink, sha256);
    bool taken = v->order.output && strcmp(v->order.output, "-") == 0;
    FILE *file = taken ? stderr : stdout;
    if (v->order.json)
        summary_json(v, verified, sha256, file);
    else
        summary_text(v, verified, sha256, file);
}

/* ------------------------------------------------------------------ running */

static enum exit_status head_proof(struct view *v, bool again)
{
    uint8_t zone[OBJECT_BYTES_MAX];
    size_t len;
    if (identity_read(&v->identity, "zone", zone, &len) != ERR_OK) {
        say("the pinned zone in %s cannot be read", v->identity.home);
        return STATUS_FAILED;
    }
    struct proof_head head = {.zone = slice_of(zone, len),
                              .credential = v->checker.credential_bytes,
                              .video = v->checker.statement_bytes,
                              .manifest = v->live ? (struct slice){0} : v->checker.manifest_bytes};
    if (v->checker.has_receipt) {
        head.receipt = v->checker.receipt_bytes;
        head.receipt_credential = v->checker.receipt_credential_bytes;
    }
    CHECK((again ? proof_writer_rehead(&v->proof, &head) : proof_writer_init(&v->proof, &head)) ==
          ERR_OK);
    return STATUS_OK;
}

static enum exit_status start_outputs(struct view *v)
{
    if (sink_open(&v->sink, v->order.output, !v->live) != ERR_OK) {
        say("%s cannot be written: %s", v->order.output, strerror(errno));
        return STATUS_FAILED;
    }
    return v->order.proof_path ? head_proof(v, false) : STATUS_OK;
}

static enum answer take_receipt(void *context, const struct topic *topic, struct slice payload)
{
    struct view *v = context;
    CLEANUP(arena_release) struct arena arena = {0};
    struct watch_info info;
    if (!view_reply(v, topic) || watch_info_decode(payload, &arena, &info) != ERR_OK ||
        !id_eq(&info.video_id, &v->order.video_id))
        return ANSWER_STRAY;
    return checker_receipt(&v->checker, info.receipt, info.receipt_credential) ? ANSWER_TAKEN
                                                                               : ANSWER_LATER;
}

/* An edge that had to fetch it for us shows the receipt only once it has it. */
static enum exit_status complete_proof(struct view *v)
{
    if (!v->order.proof_path || v->checker.has_receipt || !v->checker.has_manifest)
        return STATUS_OK;
    ask_init(v, take_receipt, v, RECEIPT_WAIT_US); /* without one it is whole all the same */
    return v->checker.has_receipt ? head_proof(v, true) : STATUS_OK;
}

static enum exit_status keep_outputs(struct view *v)
{
    if (sink_commit(&v->sink) != ERR_OK) {
        say("%s cannot be finished: %s", v->order.output, strerror(errno));
        return STATUS_FAILED;
    }
    if (v->order.proof_path &&
        file_write(v->order.proof_path, proof_writer_bytes(&v->proof)) != ERR_OK) {
        say("%s cannot be written: %s", v->order.proof_path, strerror(errno));
        return STATUS_FAILED;
    }
    return STATUS_OK;
}

/* The video stands without it; who asked for it is told. */
static enum exit_status keep_thumbnail(const struct view *v)
{
    const struct thumbnail *t = &v->thumbnail;
    if (t->rejected)
        say("the thumbnail that edge %s shows does not verify", v->edge_id.s);
    if (!v->order.thumbnail_path)
        return STATUS_OK;
    if (t->kind != THUMBNAIL_DELEGATED) {
        say(t->kind == THUMBNAIL_GIVEN
                ? "no edge made a thumbnail of %s: its streamer gave one, which the list shows"
                : "there is no thumbnail of %s",
            v->order.video_id.s);
        return t->rejected ? STATUS_UNVERIFIED : STATUS_FAILED;
    }
    if (file_write(v->order.thumbnail_path, slice_of(t->jpeg, t->jpeg_len)) == ERR_OK)
        return STATUS_OK;
    say("%s cannot be written: %s", v->order.thumbnail_path, strerror(errno));
    return STATUS_FAILED;
}

static enum exit_status view_all(struct view *v)
{
    enum exit_status status = zone_obtain(v->session, &v->identity, v->options, false, &v->zone);
    if (status != STATUS_OK)
        return status;
    follow_open(&v->follow, v->session, &v->identity, &v->zone);
    status = view_await_list(v);
    if (status == STATUS_OK)
        status = find(v);
    if (status == STATUS_OK)
        status = start_outputs(v);
    if (status != STATUS_OK)
        return status;
    status = v->live ? watch_live(v) : watch_stored(v);
    progress_clear(&v->progress);
    view_note(v);
    if (status == STATUS_OK && !v->live)
        status = complete_proof(v);
    bool cut = status == STATUS_UNVERIFIED || status == STATUS_NO_LIST;
    bool kept = status == STATUS_OK || (v->live && cut);
    if (kept && keep_outputs(v) != STATUS_OK)
        status = STATUS_FAILED;
    enum exit_status picture = kept ? keep_thumbnail(v) : STATUS_OK;
    if (!v->reader_gone && (status == STATUS_OK || cut))
        summary(v, status == STATUS_OK);
    return status == STATUS_OK ? picture : status;
}

enum exit_status watch_run(const struct option *options, const struct watch_order *order)
{
    struct view *v = mem_alloc(sizeof(*v));
    struct session session;
    v->order = *order;
    v->options = options;
    v->session = &session;
    v->sink.fd = -1;
    enum exit_status status = STATUS_USAGE;
    if (identity_open(&v->identity) != ERR_OK)
        say("set EDGECTL_HOME to a folder for keys: HOME is not set, or too long");
    else
        status = session_open(&session, options);
    if (status == STATUS_OK) {
        status = view_all(v);
        follow_close(&v->follow);
        session_close(&session);
    }
    checker_release(&v->checker);
    proof_writer_release(&v->proof);
    sink_release(&v->sink);
    free(v);
    return status;
}

static enum exit_status run(const struct option *options, const char *const *arguments, int n)
{
    (void)n;
    struct watch_order order = {.output = config_text(options, "output"),
                                .proof_path = config_text(options, "proof"),
                                .thumbnail_path = config_text(options, "thumbnail-out"),
                                .duration_us = config_uint(options, "duration") * 1000000u,
                                .json = config_flag(options, "json"),
                                .require_list = config_flag(options, "require-revocations")};
    if (id_parse(slice_str(arguments[0]), &order.video_id) != ERR_OK) {
        say("'%.80s' is no video id: 1 to %d of [A-Za-z0-9_-]", arguments[0], ID_BYTES_MAX);
        return STATUS_USAGE;
    }
    return watch_run(options, &order);
}

const struct command command_watch = {
    .name = "watch",
    .arguments = "ID",
    .summary = "watch a video or a live; every part is verified",
    .details =
        "Fetches a stored video, or joins a live at its last keyframe, and verifies every part\n"
        "against the zone's key before a byte of it is written. A stored video is written to\n"
        "FILE.part and renamed when it is whole; a live is written to FILE as it comes. To\n"
        "see it:  edgectl watch ID -o - | ffplay -\n"
        "What a streamer who is revoked has published counts only with an edge's receipt from\n"
        "before; a live of such a streamer ends. The zone's list says who is revoked. When none\n"
        "has come, or it is old, that is said; with --require-revocations nothing is played\n"
        "then, and the exit status is 6.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = options_watch,
    .run = run,
};
