#include "tests/unit/edge/picture.h"

#include "tests/unit/jpeg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The streamer gives no picture. */
struct reel *picture_bare_of(const struct member *who, const char *id, bool live)
{
    struct reel *r = reel_new(who, id, 1, live);
    r->thumbnail = (struct slice){0};
    r->video.thumbnail_hash = (struct hash){0};
    reel_sign(r);
    return r;
}

/* An init chunk and two keyframes of two parts. */
struct reel *picture_of(const struct member *who, const char *id, bool live)
{
    struct reel *r = picture_bare_of(who, id, live);
    reel_fill(r, 2, REEL_PART_BYTES + 100);
    reel_finish(r);
    return r;
}

struct delegation picture_leave(const struct stage *s, const struct reel *r)
{
    return (struct delegation){.stream = r->stream,
                               .edge_pk = s->edge.key.pk,
                               .tracks_n = 1,
                               .tracks = {THUMBNAIL_TRACK},
                               .not_after_us = s->utc_us + 60 * STAGE_S};
}

static struct slice signed_leave(struct arena *arena, const struct signkey *key,
                                 const struct delegation *d)
{
    uint8_t body[OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    delegation_encode(d, &w);
    return reel_object(arena, OBJECT_DELEGATION, &w, key);
}

/* d NULL: there is one, but its signature does not hold. */
static void end_with(struct stage *s, const struct reel *r, const struct delegation *d)
{
    struct event *ev = stage_end_event(r);
    ev->u.end.end.delegation =
        d ? signed_leave(&ev->arena, &r->streamer->key, d) : slice_str("a forged one");
    ev->u.end.delegated = d != NULL;
    if (d)
        ev->u.end.delegation = *d;
    stage_do(s, ev);
}

void picture_send_with(struct stage *s, const struct reel *r, const struct delegation *d)
{
    stage_do(s, stage_init_event(s, r));
    stage_parts(s, r, 0, r->n);
    end_with(s, r, d);
}

void picture_send(struct stage *s, const struct reel *r)
{
    struct delegation d = picture_leave(s, r);
    picture_send_with(s, r, &d);
}

/* The job that was asked for last; NULL: none since stage_forget. */
const struct thumbnail_job *picture_asked(const struct stage *s)
{
    const struct thumbnail_job *job = NULL;
    for (size_t i = 0; i < s->said_n; i++)
        if (s->said[i].kind == EFFECT_THUMBNAIL)
            job = s->said[i].job;
    return job;
}

void picture_answer(struct stage *s, uint64_t serial, enum err err)
{
    struct event *ev = event_new(EVENT_THUMBNAIL);
    ev->u.thumbnail = thumbnail_job_new(serial);
    ev->u.thumbnail->err = err;
    if (err == ERR_OK)
        ev->u.thumbnail->jpeg_len =
            jpeg_make(ev->u.thumbnail->jpeg, 320, 180, PICTURE_JPEG_BYTES).len;
    stage_do(s, ev);
}

/* What was asked for last is made, as large as it may be. */
void picture_answer_full(struct stage *s)
{
    struct event *ev = event_new(EVENT_THUMBNAIL);
    ev->u.thumbnail = thumbnail_job_new(picture_asked(s)->serial);
    ev->u.thumbnail->jpeg_len =
        jpeg_make(ev->u.thumbnail->jpeg, 320, 180, THUMBNAIL_JPEG_BYTES_MAX).len;
    stage_do(s, ev);
}

const struct watch_info *picture_watched(struct stage *s, const struct reel *r)
{
    struct watch_request m = {
        .kind = WATCH_INIT, .client_id = slice_str("viewer"), .video_id = r->video.video_id};
    stage_do(s, stage_watch_event(&m));
    return stage_last(s, MESSAGE_WATCH_INFO)->body;
}

void picture_holds(const struct stage *s, const struct watch_info *info, const struct reel *r)
{
    struct slice jpeg;
    struct part part;
    assert_int_equal(thumbnail_open(info->delegation, info->thumbnail_part, &r->stream,
                                    &r->streamer->key.pk, &jpeg),
                     ERR_OK);
    assert_int_equal(jpeg.len, PICTURE_JPEG_BYTES);
    assert_int_equal(part_decode(info->thumbnail_part, &part), ERR_OK);
    assert_true(pubkey_eq(&part.chunk.signer, &s->edge.key.pk));
}

uint64_t picture_count(const struct stage *s, enum core_counter which)
{
    return core_counter(s->core, which);
}

struct event *picture_live_leave(const struct reel *r, const struct delegation *d)
{
    struct event *ev = event_new(EVENT_DELEGATION);
    ev->u.delegation.message.video_id = r->video.video_id;
    ev->u.delegation.message.streamer_id = r->video.streamer_id;
    ev->u.delegation.message.delegation = signed_leave(&ev->arena, &r->streamer->key, d);
    ev->u.delegation.delegation = *d;
    return ev;
}
