/*
 * A stored video, pulled part by part and written through: a part goes out as
 * soon as it verified and is the next one.
 *
 *   I1  Bytes are written in the order of (chunk, part), each part once.
 *   I2  All parts of a chunk stand under one statement, which follows from the
 *       chunk before; this is checked at its first part.
 */
#include "base/check.h"
#include "client/say.h"
#include "client/watch.h"
#include "flow/pull.h"

struct stored {
    struct view *view;
    struct pull pull;
    struct hash current; /* the statement under which the current chunk stands */
    uint64_t useful_us;  /* last time that a part was taken */
    bool ended_early;    /* since then the edge said that this was all, and it was not */
    struct wire_error error;
    struct arena arena; /* the error's texts */
};

static void send_init(struct view *v, struct arena *arena)
{
    struct watch_request init = {
        .kind = WATCH_INIT, .client_id = id_slice(&v->session->id), .video_id = v->order.video_id};
    session_send(v->session, TOPIC_WATCH, id_slice(&v->edge_id),
                 watch_request_encode(&init, arena));
}

/*
 * Every seek but the first also says init: the edge may have forgotten us, or
 * started anew, and a token lasts an hour or two. A request that does not go out
 * is like one that is lost: the next silence repeats it.
 */
static void send_requests(struct stored *st, uint64_t now_us)
{
    struct view *v = st->view;
    struct pull_request r;
    while (pull_next(&st->pull, now_us, &r)) {
        CLEANUP(arena_release) struct arena arena = {0};
        if (r.seek && r.pull > 1)
            send_init(v, &arena);
        struct watch_request request = {
            .kind = r.seek ? WATCH_SEEK : WATCH_CREDIT,
            .client_id = id_slice(&v->session->id),
            .video_id = v->order.video_id,
            .chunk_part = r.chunk,
            .part = r.part,
            .pull = r.pull,
            .credit_bytes = r.credit_bytes,
            .window_bytes = r.window_bytes,
            .token = slice_of(v->token, v->token_len),
        };
        session_send(v->session, TOPIC_WATCH, id_slice(&v->edge_id),
                     watch_request_encode(&request, &arena));
    }
}

/* I2. STATUS_UNVERIFIED: said. */
static enum exit_status check_chunk(struct stored *st, const struct part *part)
{
    struct view *v = st->view;
    struct hash hash = object_hash(OBJECT_CHUNK, part->statement);
    if (part->index > 0) {
        if (hash_eq(&hash, &st->current))
            return STATUS_OK;
        say("chunk %u has two different statements, both signed by %s", part->chunk.number,
            v->checker.credential.subject.s);
        return STATUS_UNVERIFIED;
    }
    if (checker_chunk(&v->checker, &part->chunk, part->statement, false) != ERR_OK) {
        say("%s", checker_why(&v->checker));
        return STATUS_UNVERIFIED;
    }
    st->current = hash;
    return view_prove(v, part->statement, &part->sig);
}

static enum exit_status take_part(struct stored *st, struct slice packet)
{
    struct view *v = st->view;
    struct part part;
    if (checker_part(&v->checker, packet, &part) != ERR_OK) {
        view_reject(v);
        return STATUS_OK;
    }
    uint64_t now_us = clock_mono_us();
    enum pull_verdict verdict =
        pull_part(&st->pull, part.chunk.number, part.index, part.chunk.parts_n, packet.len, now_us);
    if (verdict != PULL_ACCEPT) {
        v->duplicates += verdict == PULL_DUPLICATE;
        return STATUS_OK;
    }
    st->useful_us = now_us;
    st->ended_early = false;
    enum exit_status status = check_chunk(st, &part);
    if (status == STATUS_OK)
        status = view_write(v, part.payload);
    if (status == STATUS_OK)
        view_took(v);
    progress_draw(&v->progress, v->sink.bytes, "", now_us);
    return status;
}

/* Answers that are not parts: the end, a new token, an error. Strangers' are ignored. */
static void take_json(struct stored *st, struct slice payload)
{
    struct view *v = st->view;
    uint64_t now_us = clock_mono_us();
    CLEANUP(arena_release) struct arena arena = {0};
    enum watch_reply_kind kind;
    struct watch_end end;
    struct watch_info info;
    if (watch_reply_classify(payload, &kind) != ERR_OK)
        return;
    if (kind == WATCH_REPLY_END && watch_end_decode(payload, &arena, &end) == ERR_OK &&
        end.has_pull && id_eq(&end.video_id, &v->order.video_id)) {
        pull_end(&st->pull, end.pull, now_us);
        if (end.pull == st->pull.pull)
            st->ended_early = st->pull.state != PULL_ENDED;
    }
    if (kind == WATCH_REPLY_INFO && watch_info_decode(payload, &arena, &info) == ERR_OK)
        view_token(v, info.token);
    if (kind != WATCH_REPLY_ERROR)
        return;
    arena_reset(&st->arena);
    if (!reply_is_error(payload, &st->arena, &st->error))
        return;
    enum err err = wire_code_err(st->error.code_text);
    if (err == ERR_BUSY || err == ERR_NOT_READY)
        pull_heard(&st->pull, now_us);
}

static enum exit_status gave_up(const struct stored *st)
{
    const struct view *v = st->view;
    if (v->rejected) {
        say("edge %s sends what does not verify, in place of part %u of chunk %u (%llu messages): "
            "%s",
            v->edge_id.s, st->pull.part, st->pull.chunk, (unsigned long long)v->rejected,
            v->rejected_why);
        return STATUS_UNVERIFIED;
    }
    if (st->ended_early) {
        say("truncated at chunk %u: edge %s says that this is all, and it is not", st->pull.chunk,
            v->edge_id.s);
        return STATUS_UNVERIFIED;
    }
    if (st->error.code_text.len)
        say("edge %s stops at part %u of chunk %u: %.*s (%.*s)", v->edge_id.s, st->pull.part,
            st->pull.chunk, SLICE_FMT(st->error.message), SLICE_FMT(st->error.code_text));
    else
        say("edge %s no longer answers; it stopped at part %u of chunk %u", v->edge_id.s,
            st->pull.part, st->pull.chunk);
    return STATUS_NO_ANSWER;
}

/* When to give up: an edge that has less than was signed is asked again, but not for long. */
static uint64_t patience_end_us(const struct stored *st)
{
    uint64_t timeout_us = st->view->session->timeout_us;
    bool less = st->ended_early && timeout_us < WATCH_PATIENCE_US;
    return st->useful_us + (less ? timeout_us : WATCH_PATIENCE_US);
}

static bool going_on(const struct stored *st)
{
    return (st->pull.state == PULL_SEEKING || st->pull.state == PULL_RUNNING) &&
           !st->view->reader_gone;
}

static enum exit_status pull_all(struct stored *st)
{
    struct view *v = st->view;
    enum exit_status status = STATUS_OK;
    while (status == STATUS_OK && going_on(st)) {
        CLEANUP(msg_unref_ptr) struct msg *msg = NULL;
        struct topic topic;
        uint64_t now_us = clock_mono_us();
        uint64_t end_us = patience_end_us(st);
        if (now_us >= end_us)
            return gave_up(st);
        if (v->session->up)
            send_requests(st, now_us);
        uint64_t wake_us = v->session->up ? pull_deadline_us(&st->pull) : UINT64_MAX;
        if (wake_us > now_us + PULL_SILENCE_US)
            wake_us = now_us + PULL_SILENCE_US;
        if (wake_us > end_us)
            wake_us = end_us;
        enum session_news news = session_wait(v->session, wake_us, &msg, &topic);
        if (news == SESSION_MESSAGE || news == SESSION_TIMEOUT)
            status = view_may_go_on(v); /* as it is by now: the wait may have been long */
        if (status != STATUS_OK)
            return status;
        switch (news) {
        case SESSION_STOP: say("interrupted; nothing is kept"); return STATUS_FAILED;
        case SESSION_UP:
            pull_start(&st->pull, st->pull.chunk, st->pull.part, clock_mono_us());
            break;
        case SESSION_MESSAGE:
            if (!view_reply(v, &topic))
                v->session->strays++;
            else if (msg->payload.len && msg->payload.ptr[0] == '{')
                take_json(st, msg->payload);
            else
                status = take_part(st, msg->payload);
            break;
        case SESSION_TRUST: status = view_judge(v); break;
        case SESSION_TIMEOUT:
        case SESSION_DOWN:
        case SESSION_DRAINED: break;
        }
    }
    return status;
}

enum exit_status watch_stored(struct view *v)
{
    struct stored st = {.view = v, .useful_us = clock_mono_us()};
    bool known = v->checker.has_manifest;
    progress_init(&v->progress, v->order.verify ? "verify" : "watch",
                  known ? v->checker.manifest.bytes : 0, v->order.json, st.useful_us);
    pull_init(&st.pull, WATCH_WINDOW_BYTES_MAX);
    pull_expect(&st.pull, known ? v->checker.manifest.chunks : 0);
    pull_start(&st.pull, 1, 0, st.useful_us);
    enum exit_status status = pull_all(&st);
    progress_clear(&v->progress);
    if (status == STATUS_OK && !v->reader_gone) {
        if (st.pull.state == PULL_FAILED) {
            status = gave_up(&st);
        } else if (checker_end(&v->checker) != ERR_OK) {
            say("%s", checker_why(&v->checker));
            status = STATUS_UNVERIFIED;
        }
    }
    arena_release(&st.arena);
    return status;
}
