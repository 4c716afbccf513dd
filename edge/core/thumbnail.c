/*
 * Thumbnails that this edge makes for streamers who gave none and said that it may
 * (docs/PROTOCOL.md §4.9).
 *
 *   delegated --upload finished, keyframe of a live came--> asked, in a queue
 *
 *   IDLE --first of the queue--> READING --init, first keyframe--> CHILD --JPEG--> signed
 *     ^                             |  (a live: from the GOP cache)   |               |
 *     +------- none to be had ------+------------ failed -------------+    STORING <--+
 *     +-------------------------------------- stored, shown, dropped --------+
 *
 * Invariants
 *   I1  at most one picture is being made, from at most THUMBNAIL_MEDIA_BYTES_MAX of media.
 *   I2  nothing waits for a picture: no acknowledgement, no end, no draining.
 *   I3  every delegation ends in a thumbnail or in a counter. That it was displaced ends that of an
 *       upload; for a live it is a postponement, and what comes of it then counts as well.
 *   I4  no streamer keeps another's picture from being made: the oldest is made first, of one
 *       streamer at most THUMBNAIL_WISHES_PER_STREAMER_MAX wait, and when the queue is full, who
 *       has most gives way; never its only one.
 *   I5  core->live_thumbnails counts the lives that have one: at most LIVE_THUMBNAILS_MAX.
 */
#include "base/check.h"
#include "edge/core/state.h"

/* ---- delegations ---- */

/* Whether this edge may make a picture of this stream, and is to. */
static bool permitted(struct core *core, const struct ingest *in, const struct delegation *d)
{
    static const struct hash none = {0};
    return delegation_allows(d, &in->stream, &core->config.key.pk) &&
           core->utc_us < d->not_after_us && hash_eq(&in->row.video.thumbnail_hash, &none);
}

void thumbnail_delegated(struct core *core, struct ingest *in, struct slice bytes,
                         const struct delegation *d)
{
    if (!bytes.len)
        return;
    if (!d || bytes.len > sizeof(in->delegation.bytes) || !permitted(core, in, d)) {
        core_count(core, COUNT_delegations_refused);
        return;
    }
    memcpy(in->delegation.bytes, bytes.ptr, bytes.len);
    in->delegation.len = bytes.len;
    in->delegation.not_after_us = d->not_after_us;
}

void thumbnail_delegation(struct core *core, const struct event *ev)
{
    const struct upload_delegation *m = &ev->u.delegation.message;
    struct ingest *in = ingest_find(core, &ev->u.delegation.delegation.stream);
    if (in && in->use == STREAM_LIVE && in->state == INGEST_RUNNING && !in->delegation.len &&
        !in->thumbnail_asked && id_eq(&m->video_id, &in->row.video.video_id) &&
        id_eq(&m->streamer_id, &in->row.video.streamer_id))
        thumbnail_delegated(core, in, m->delegation, &ev->u.delegation.delegation);
    else if (!in || !in->delegation.len) /* else it is the same again */
        core_count(core, COUNT_delegations_refused);
}

/* ---- the queue ---- */

static size_t waiting_of(const struct core *core, const struct id *streamer_id)
{
    size_t n = 0;
    for (size_t i = 0; i < core->thumbnail_wishes_n; i++)
        n += id_eq(&core->thumbnail_wishes[i].streamer_id, streamer_id);
    return n;
}

static struct thumbnail_wish take_wish(struct core *core, size_t at)
{
    struct thumbnail_wish wish = core->thumbnail_wishes[at];
    core->thumbnail_wishes_n--;
    memmove(&core->thumbnail_wishes[at], &core->thumbnail_wishes[at + 1],
            (core->thumbnail_wishes_n - at) * sizeof(wish));
    return wish;
}

/*
 * The newest wish of the streamer that has most gives way to one that still has fewer after it. A
 * live asks again with its next keyframe; of an upload nothing is left that could.
 */
static bool displace(struct core *core, size_t mine)
{
    size_t at = 0;
    size_t most = 0;
    for (size_t i = core->thumbnail_wishes_n; i-- > 0;) {
        size_t n = waiting_of(core, &core->thumbnail_wishes[i].streamer_id);
        if (n > most) {
            most = n;
            at = i;
        }
    }
    if (mine + 1 >= most)
        return false;
    struct thumbnail_wish wish = take_wish(core, at);
    struct ingest *in = wish.live ? ingest_find(core, &wish.stream) : NULL;
    if (in)
        in->thumbnail_asked = false;
    core_count(core, COUNT_thumbnails_displaced);
    return true;
}

/* I4 */
static bool room_for(struct core *core, const struct id *streamer_id)
{
    size_t mine = waiting_of(core, streamer_id);
    return mine < THUMBNAIL_WISHES_PER_STREAMER_MAX &&
           (core->thumbnail_wishes_n < THUMBNAIL_WISHES_MAX || displace(core, mine));
}

/* A live that finds no room asks again with its next keyframe. */
static void ask(struct core *core, struct ingest *in)
{
    bool live = in->use == STREAM_LIVE;
    if (!room_for(core, &in->row.video.streamer_id)) {
        if (!live)
            core_count(core, COUNT_thumbnails_dropped);
        return;
    }
    core->thumbnail_wishes[core->thumbnail_wishes_n++] = (struct thumbnail_wish){
        .live = live,
        .video_id = in->row.video.video_id,
        .streamer_id = in->row.video.streamer_id,
        .stream = in->stream,
        .delegation = in->delegation,
    };
    in->thumbnail_asked = true;
}

void thumbnail_finished(struct core *core, struct ingest *in)
{
    if (!in->delegation.len)
        return;
    if (slice_eq_str(in->row.video.media_type, "video/mp4"))
        ask(core, in);
    else
        core_count(core, COUNT_thumbnails_failed);
}

void thumbnail_live_part(struct core *core, struct ingest *in, const struct chunk *c,
                         uint16_t index)
{
    if (in->delegation.len && !in->thumbnail_asked && c->kind == CHUNK_MEDIA &&
        (c->flags & CHUNK_KEYFRAME) && index + 1u == c->parts_n && !in->gop.broken)
        ask(core, in);
}

/* ---- making one ---- */

static void idle(struct core *core)
{
    thumbnail_job_free(core->thumbnail.job);
    core->thumbnail = (struct thumbnail_making){0};
}

static void failed(struct core *core)
{
    core_count(core, COUNT_thumbnails_failed);
    idle(core);
}

static void start_child(struct core *core)
{
    struct thumbnail_making *t = &core->thumbnail;
    t->state = THUMBNAIL_CHILD;
    core_thumbnail(core, t->job);
    t->job = NULL;
}

/* What a part of media is to a picture. */
enum taken { TAKEN_MORE, TAKEN_ALL, TAKEN_NOTHING /* and there will be nothing */ };

/*
 * The next part, in order: chunk 1 is the init segment, then fragments are passed over until one
 * begins with a keyframe.
 */
static enum taken take(struct thumbnail_making *t, struct slice packet)
{
    struct part part;
    if (part_decode(packet, &part) != ERR_OK)
        return TAKEN_NOTHING;
    const struct chunk *c = &part.chunk;
    if (c->number < t->chunk || (c->number == t->chunk && part.index < t->part))
        return TAKEN_MORE; /* of a chunk that is passed over */
    bool init = t->chunk == t->first;
    if (c->number > t->chunk || part.index > t->part || !hash_eq(&c->stream, &t->wish.stream) ||
        init != (c->kind == CHUNK_INIT) || c->kind == CHUNK_END || (c->flags & CHUNK_ENCRYPTED))
        return TAKEN_NOTHING;
    if (!init && !(c->flags & CHUNK_KEYFRAME)) {
        t->chunk++;
        return ++t->passed <= THUMBNAIL_PASSED_MAX ? TAKEN_MORE : TAKEN_NOTHING;
    }
    bool full = thumbnail_job_add(t->job, part.payload);
    if (++t->part < c->parts_n)
        return full && !init ? TAKEN_ALL : full ? TAKEN_NOTHING : TAKEN_MORE;
    t->chunk++;
    t->part = 0;
    return init ? TAKEN_MORE : TAKEN_ALL;
}

static void taken(struct core *core, enum taken what)
{
    if (what == TAKEN_ALL)
        start_child(core);
    else if (what == TAKEN_NOTHING)
        failed(core);
}

/* ---- of a live: what its GOP cache holds ---- */

static enum taken take_run(struct thumbnail_making *t, const struct gop *gop)
{
    enum taken what = TAKEN_MORE;
    for (size_t i = 0; i < gop->n && what == TAKEN_MORE; i++)
        what = take(t, gop->packets[i]->payload);
    return what;
}

static bool position(const struct gop *gop, uint32_t *ret_chunk)
{
    struct part part;
    if (!gop->n || part_decode(gop->packets[0]->payload, &part) != ERR_OK || part.index != 0)
        return false;
    *ret_chunk = part.chunk.number;
    return true;
}

/* The group of now may have begun a moment ago: then the next keyframe asks again. */
static void take_live(struct core *core)
{
    struct thumbnail_making *t = &core->thumbnail;
    struct ingest *in = ingest_find(core, &t->wish.stream);
    if (!in || in->use != STREAM_LIVE || in->state != INGEST_RUNNING) {
        failed(core);
        return;
    }
    enum taken what = TAKEN_NOTHING;
    if (position(&in->init, &t->chunk)) {
        t->first = t->chunk;
        what = take_run(t, &in->init);
        if (what == TAKEN_MORE && position(&in->gop, &t->chunk))
            what = take_run(t, &in->gop);
    }
    if (what == TAKEN_MORE) {
        in->thumbnail_asked = false;
        idle(core);
        return;
    }
    if (what == TAKEN_NOTHING)
        in->delegation.len = 0; /* in JSON, or cut off: it would be so again */
    taken(core, what);
}

/* ---- of a video: what is on disk ---- */

static void read_on(struct core *core)
{
    struct thumbnail_making *t = &core->thumbnail;
    if (core->now_us < t->again_us || core->stores_under_way >= STORES_UNDER_WAY_MAX ||
        core->reads_bytes + STORE_READ_BYTES_MAX > READS_BYTES_MAX)
        return; /* viewers come first; a completion or the time comes here again */
    t->reading = true;
    core->reads_bytes += STORE_READ_BYTES_MAX;
    struct storage_op *op =
        storage_op_new(STORAGE_PARTS_READ, TOKEN_OF(TOKEN_THUMBNAIL, t->serial));
    op->u.parts_read.video_id = t->wish.video_id;
    op->u.parts_read.chunk = t->chunk;
    op->u.parts_read.part = t->part;
    op->u.parts_read.bytes_max = STORE_READ_BYTES_MAX;
    core_store(core, op);
}

void thumbnail_parts(struct core *core, const struct storage_done *done)
{
    struct thumbnail_making *t = &core->thumbnail;
    core->reads_bytes -= STORE_READ_BYTES_MAX;
    CHECK(t->reading && t->serial == TOKEN_NUMBER(done->token));
    t->reading = false;
    if (core->stopping) {
        idle(core); /* I2 */
        return;
    }
    if (done->err == ERR_BUSY) {
        t->again_us = core->now_us + THUMBNAIL_AGAIN_US;
        return;
    }
    enum taken what = done->err == ERR_OK && done->u.parts_read.n ? TAKEN_MORE : TAKEN_NOTHING;
    for (size_t i = 0; what == TAKEN_MORE && i < done->u.parts_read.n; i++)
        what = take(t, done->u.parts_read.parts[i].packet->payload);
    if (what == TAKEN_MORE && done->u.parts_read.end)
        what = TAKEN_NOTHING;
    taken(core, what);
}

/* ---- what came of it ---- */

void thumbnail_keep(struct core *core, uint64_t serial, const struct id *video_id,
                    const struct hash *stream, struct slice delegation, struct slice packet)
{
    struct storage_op *op =
        storage_op_new(STORAGE_THUMBNAIL_PUT, TOKEN_OF(TOKEN_THUMBNAIL, serial));
    op->u.thumbnail_put.video_id = *video_id;
    op->u.thumbnail_put.stream = *stream;
    op->u.thumbnail_put.delegation = arena_copy(&op->arena, delegation);
    op->u.thumbnail_put.packet = arena_copy(&op->arena, packet);
    core_store(core, op);
}

/* I5. The live may have ended and begun again meanwhile: the leave is of the stream. */
static void show_live(struct core *core, struct slice packet)
{
    const struct thumbnail_wish *wish = &core->thumbnail.wish;
    struct ingest *in = ingest_find(core, &wish->stream);
    bool room = core->live_thumbnails < LIVE_THUMBNAILS_MAX;
    if (in && in->use == STREAM_LIVE && in->state == INGEST_RUNNING && !in->thumbnail.len && room) {
        in->delegation = wish->delegation;
        in->thumbnail_asked = true;
        in->thumbnail = arena_copy(&in->arena, packet);
        core->live_thumbnails++;
    } else {
        core_count(core, COUNT_thumbnails_dropped);
    }
    idle(core);
}

static const char *why(enum err err)
{
    switch (err) {
    case ERR_TIMEOUT: return "took too long";
    case ERR_LIMIT: return "wrote too much";
    case ERR_IO: return "could not be started";
    default: return "found no picture in it";
    }
}

/* Once for a program that is not there; each time for what it could not do. */
static void say_failure(struct core *core, enum err err)
{
    if (err == ERR_UNKNOWN && !core->thumbnailer_missing_said)
        core_log(core, true,
                 "no thumbnails are made: edge_thumbnail is not beside this program; install it, "
                 "or give --thumbnail-program");
    else if (err != ERR_UNKNOWN)
        core_log(core, true, "no thumbnail of %s: edge_thumbnail %s",
                 core->thumbnail.wish.video_id.s, why(err));
    core->thumbnailer_missing_said |= err == ERR_UNKNOWN;
}

void thumbnail_made(struct core *core, const struct thumbnail_job *job)
{
    struct thumbnail_making *t = &core->thumbnail;
    struct slice jpeg = slice_of(job->jpeg, job->jpeg_len);
    if (t->state != THUMBNAIL_CHILD || t->serial != job->serial || core->stopping)
        return;
    if (job->err != ERR_OK || !jpeg_ok(jpeg)) {
        say_failure(core, job->err);
        failed(core);
        return;
    }
    if (core->utc_us >= t->wish.delegation.not_after_us) {
        failed(core);
        return;
    }
    uint8_t packet[THUMBNAIL_PART_BYTES_MAX];
    size_t len = thumbnail_sign(&t->wish.stream, &core->config.key, core->utc_us, jpeg, packet);
    core_count(core, COUNT_thumbnails_made);
    if (t->wish.live) {
        show_live(core, slice_of(packet, len));
        return;
    }
    t->state = THUMBNAIL_STORING;
    thumbnail_keep(core, t->serial, &t->wish.video_id, &t->wish.stream,
                   slice_of(t->wish.delegation.bytes, t->wish.delegation.len),
                   slice_of(packet, len));
}

void thumbnail_stored(struct core *core, const struct storage_done *done)
{
    if (done->err != ERR_OK) /* deleted or given up meanwhile, or the disk is full */
        core_count(core, COUNT_thumbnails_dropped);
    else
        core_count(core, COUNT_thumbnails_kept);
    if (core->thumbnail.state == THUMBNAIL_STORING &&
        core->thumbnail.serial == TOKEN_NUMBER(done->token))
        idle(core);
}

/* ---- one that another edge made comes with a copy ---- */

void thumbnail_offered(struct core *core, struct ingest *in, const struct event *ev)
{
    const struct watch_info *m = &ev->u.watch_info.info;
    static const struct hash none = {0};
    if ((!m->delegation.len && !m->thumbnail_part.len) || in->thumbnail.len)
        return;
    if (!ev->u.watch_info.thumbnail_holds || !hash_eq(&in->row.video.thumbnail_hash, &none) ||
        !hash_eq(&ev->u.watch_info.thumbnail_stream, &in->stream)) {
        core_count(core, COUNT_thumbnails_refused);
        return;
    }
    CHECK(m->delegation.len <= sizeof(in->delegation.bytes));
    memcpy(in->delegation.bytes, m->delegation.ptr, m->delegation.len);
    in->delegation.len = m->delegation.len;
    in->thumbnail = arena_copy(&in->arena, m->thumbnail_part);
}

void thumbnail_fetched(struct core *core, const struct ingest *in)
{
    if (in->thumbnail.len)
        thumbnail_keep(core, in->serial, &in->row.video.video_id, &in->stream,
                       slice_of(in->delegation.bytes, in->delegation.len), in->thumbnail);
    else
        thumbnail_late(core, in);
}

/* ---- showing ---- */

static const struct ingest *live_with(const struct core *core, const struct catalogue_row *row)
{
    const struct ingest *in = map_get(&core->lives, id_slice(&row->video_id));
    return in && in->thumbnail.len && !row->thumbnail.len &&
                   id_eq(&in->row.video.streamer_id, &row->streamer_id)
               ? in
               : NULL;
}

/* Room for a text in row i, at the cost of those behind it. */
static bool make_room(const struct storage_done *done, size_t i, size_t len, size_t *bytes)
{
    for (size_t k = done->u.list.n; *bytes + len > CATALOGUE_PAGE_BYTES_MAX && --k > i;) {
        if (!done->u.list.made[k])
            continue;
        *bytes -= done->u.list.rows[k].thumbnail.len;
        done->u.list.rows[k].thumbnail = (struct slice){0};
        done->u.list.made[k] = false;
    }
    return *bytes + len <= CATALOGUE_PAGE_BYTES_MAX;
}

void thumbnail_list(struct core *core, bool paged, const struct storage_done *done)
{
    size_t bytes = done->u.list.bytes;
    for (size_t i = 0; core->live_thumbnails && i < done->u.list.n; i++) {
        struct catalogue_row *row = &done->u.list.rows[i];
        const struct ingest *in = live_with(core, row);
        struct slice jpeg;
        if (!in || thumbnail_jpeg(in->thumbnail, &jpeg) != ERR_OK)
            continue;
        struct slice text = thumbnail_text(jpeg, &core->fx->arena);
        if (!paged && !make_room(done, i, text.len, &bytes))
            continue;
        bytes += text.len;
        row->thumbnail = text;
    }
}

/* ---- running ---- */

void thumbnail_pump(struct core *core)
{
    struct thumbnail_making *t = &core->thumbnail;
    if (core->stopping || core_room(core) <= EFFECTS_KEPT)
        return; /* I2 */
    if (t->state == THUMBNAIL_READING && !t->reading)
        read_on(core);
    if (t->state != THUMBNAIL_IDLE || !core->thumbnail_wishes_n)
        return;
    *t = (struct thumbnail_making){.state = THUMBNAIL_READING,
                                   .serial = ++core->serial,
                                   .wish = take_wish(core, 0),
                                   .first = 1,
                                   .chunk = 1};
    t->job = thumbnail_job_new(t->serial);
    if (t->wish.live)
        take_live(core);
    else
        read_on(core);
}

uint64_t thumbnail_deadline_us(const struct core *core)
{
    const struct thumbnail_making *t = &core->thumbnail;
    bool waits = t->state == THUMBNAIL_READING && !t->reading;
    if (core->stopping || (!waits && (t->state != THUMBNAIL_IDLE || !core->thumbnail_wishes_n)))
        return UINT64_MAX;
    return t->again_us > core->now_us ? t->again_us : core->now_us + UNTRUSTED_TICK_US;
}

void thumbnail_release(struct core *core, const struct ingest *in)
{
    if (in->use != STREAM_LIVE)
        return;
    if (in->thumbnail.len)
        core->live_thumbnails--; /* I5 */
    else if (in->delegation.len && !in->thumbnail_asked)
        core_count(core, COUNT_thumbnails_dropped); /* I3: no room, or no keyframe, to its end */
}

void thumbnail_free(struct core *core)
{
    idle(core);
}
