/*
 * A live, joined: the init segment first, then chunks from a keyframe on, whole
 * and in order (live_view.h), until its signed end.
 *
 *   joined --parts--> playing --signed end--> done
 *      ^                |  \--unsigned end, silence--> truncated
 *      +---- silence ---+
 */
#include "base/check.h"
#include "base/mem.h"
#include "client/live_view.h"
#include "client/say.h"
#include "client/watch.h"

#include <stdlib.h>

struct live {
    struct view *view;
    struct live_view order;
    struct hash init_hash; /* of the init segment that was written last */
    bool init_written, ended;
    uint64_t joined_us, heard_us; /* last join sent; last verified part */
    uint64_t end_heard_us;        /* an unsigned end came; 0: none */
    uint64_t playing_us;          /* first chunk written */
};

static void join(struct live *l)
{
    struct view *v = l->view;
    CLEANUP(arena_release) struct arena arena = {0};
    struct live_join request = {.video_id = v->order.video_id,
                                .client_id = id_slice(&v->session->id),
                                .token = slice_of(v->token, v->token_len)};
    session_send(v->session, TOPIC_LIVE_WATCH, id_slice(&v->edge_id),
                 live_join_encode(&request, &arena));
    l->joined_us = clock_mono_us();
}

static void note_age(struct view *v, const struct chunk *chunk)
{
    uint64_t now_us = clock_utc_us();
    uint64_t age_us = now_us > chunk->capture_us ? now_us - chunk->capture_us : 0;
    v->age_n++;
    v->age_sum_us += age_us;
    if (age_us > v->age_max_us)
        v->age_max_us = age_us;
}

/* A whole chunk, next in order. An init segment that says the same again is not repeated. */
static enum exit_status play(struct live *l, const struct live_chunk *c)
{
    struct view *v = l->view;
    struct slice statement = slice_of(c->statement, c->statement_len);
    struct slice payload = slice_of(c->payload, c->chunk.payload_len);
    if (checker_chunk(&v->checker, &c->chunk, statement, true) != ERR_OK) {
        view_reject(v);
        return STATUS_OK;
    }
    l->ended = c->chunk.kind == CHUNK_END;
    if (c->chunk.kind == CHUNK_INIT) {
        struct hash hash = hash_of(payload, (struct slice){0});
        if (l->init_written && hash_eq(&hash, &l->init_hash))
            return STATUS_OK;
        l->init_hash = hash;
        l->init_written = true;
    }
    if (c->chunk.kind == CHUNK_MEDIA)
        note_age(v, &c->chunk);
    if (!l->playing_us)
        l->playing_us = clock_mono_us();
    enum exit_status status = view_prove(v, statement, &c->sig);
    return status == STATUS_OK ? view_write(v, payload) : status;
}

static enum exit_status play_all(struct live *l)
{
    struct live_chunk *c;
    enum exit_status status = STATUS_OK;
    while (status == STATUS_OK && !l->ended && !l->view->reader_gone &&
           (c = live_view_next(&l->order, clock_mono_us())) != NULL) {
        status = play(l, c);
        live_chunk_free(c);
    }
    return status;
}

static enum exit_status take_part(struct live *l, struct slice packet)
{
    struct view *v = l->view;
    struct part part;
    if (checker_part(&v->checker, packet, &part) != ERR_OK) {
        view_reject(v);
        return STATUS_OK;
    }
    l->heard_us = clock_mono_us();
    l->end_heard_us = 0;
    if (!live_view_part(&l->order, &part))
        return STATUS_OK;
    view_took(v);
    return play_all(l);
}

/* An unsigned end only makes us less patient; a token and a newer credential are kept. */
static void take_json(struct live *l, const struct topic *topic, struct slice payload)
{
    struct view *v = l->view;
    CLEANUP(arena_release) struct arena arena = {0};
    enum watch_reply_kind kind;
    struct watch_end end;
    struct watch_info info;
    if (watch_reply_classify(payload, &kind) != ERR_OK)
        return;
    if (kind == WATCH_REPLY_END && topic->kind == TOPIC_LIVE_PARTS && !l->end_heard_us &&
        watch_end_decode(payload, &arena, &end) == ERR_OK)
        l->end_heard_us = clock_mono_us();
    if (kind != WATCH_REPLY_INFO || watch_info_decode(payload, &arena, &info) != ERR_OK)
        return;
    checker_renewed(&v->checker, info.credential);
    if (topic->kind == TOPIC_WATCH_REPLY) {
        view_token(v, info.token);
        view_thumbnail(v, &info);
    }
}

static bool for_us(const struct view *v, const struct topic *topic)
{
    return view_reply(v, topic) ||
           (topic->kind == TOPIC_LIVE_PARTS && slice_eq(topic->a, id_slice(&v->edge_id)) &&
            slice_eq(topic->b, id_slice(&v->order.video_id)));
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t wake_us(const struct live *l)
{
    const struct view *v = l->view;
    uint64_t at_us = least(live_view_deadline_us(&l->order), l->joined_us + LIVE_REJOIN_US);
    if (l->end_heard_us)
        at_us = least(at_us, l->end_heard_us + LIVE_END_WAIT_US);
    if (l->playing_us && v->order.duration_us)
        at_us = least(at_us, l->playing_us + v->order.duration_us);
    return at_us;
}

/* What time brings: enough watched, joined again, given up. true: it is over. */
static bool time_is_up(struct live *l, enum exit_status *ret_status)
{
    struct view *v = l->view;
    uint64_t now_us = clock_mono_us();
    if (l->playing_us && v->order.duration_us && now_us - l->playing_us >= v->order.duration_us)
        return true;
    if (l->end_heard_us && now_us - l->end_heard_us >= LIVE_END_WAIT_US) {
        say("truncated: the edge says that the live ended, but its streamer signed no end");
        *ret_status = STATUS_UNVERIFIED;
        return true;
    }
    if (now_us - l->heard_us >= LIVE_SILENCE_US) {
        say("truncated: nothing that verifies came for %d s (%llu messages rejected)",
            LIVE_SILENCE_US / 1000000, (unsigned long long)v->rejected);
        *ret_status = v->parts || v->rejected ? STATUS_UNVERIFIED : STATUS_NO_ANSWER;
        return true;
    }
    if (l->playing_us && now_us - l->playing_us >= LIVE_NOTE_US)
        view_note(v);
    if (now_us - l->heard_us >= LIVE_REJOIN_US && now_us - l->joined_us >= LIVE_REJOIN_US)
        join(l);
    else if (now_us - l->joined_us >= LIVE_REJOIN_US)
        l->joined_us = now_us; /* not silent: look again later */
    return false;
}

static enum exit_status watch_until_end(struct live *l)
{
    struct view *v = l->view;
    enum exit_status status = STATUS_OK;
    while (status == STATUS_OK && !l->ended && !v->reader_gone && !time_is_up(l, &status)) {
        CLEANUP(msg_unref_ptr) struct msg *msg = NULL;
        struct topic topic;
        enum session_news news = session_wait(v->session, wake_us(l), &msg, &topic);
        if (news == SESSION_MESSAGE || news == SESSION_TIMEOUT)
            status = view_may_go_on(v); /* as it is by now: the wait may have been long */
        if (status != STATUS_OK)
            return status;
        switch (news) {
        case SESSION_STOP: return STATUS_OK; /* whoever watches a live decides when it is enough */
        case SESSION_UP: join(l); break;
        case SESSION_MESSAGE:
            if (!for_us(v, &topic))
                v->session->strays++;
            else if (msg->payload.len && msg->payload.ptr[0] == '{')
                take_json(l, &topic, msg->payload);
            else
                status = take_part(l, msg->payload);
            break;
        case SESSION_TRUST: status = view_judge(v); break;
        case SESSION_TIMEOUT: status = play_all(l); break;
        case SESSION_DOWN:
        case SESSION_DRAINED: break;
        }
        progress_draw(&v->progress, v->sink.bytes, "", clock_mono_us());
    }
    return status;
}

enum exit_status watch_live(struct view *v)
{
    enum err err = session_subscribe(v->session, TOPIC_LIVE_PARTS, id_slice(&v->edge_id),
                                     id_slice(&v->order.video_id));
    if (err != ERR_OK)
        return session_status(v->session, err, v->edge_id.s);
    if (view_judge(v) != STATUS_OK) /* a list may have come meanwhile */
        return STATUS_UNVERIFIED;
    struct live *l = mem_alloc(sizeof(*l));
    l->view = v;
    l->heard_us = clock_mono_us();
    progress_init(&v->progress, "live", 0, v->order.json, l->heard_us);
    join(l);
    enum exit_status status = watch_until_end(l);
    v->duplicates += l->order.duplicates + l->order.old;
    v->rejected += l->order.conflicts;
    v->gaps = l->order.gaps;
    v->skipped_chunks = l->order.skipped_chunks;
    live_view_release(&l->order);
    free(l);
    return status;
}
