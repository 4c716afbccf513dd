#include "tests/unit/edge/invariants.h"

#include "base/check.h"

/* state.h: struct ingest, I1 and I2. */
static void check_ingest(const struct core *core, const struct ingest *in)
{
    bool media = in->use != STREAM_LIVE && in->state != INGEST_CLAIMING;
    bool trusted = trust_view_find(core->view, &in->stream) != NULL;
    CHECK(trusted == (in->state != INGEST_CLAIMING)); /* I2 */
    CHECK(!media || in->comm_chunk < in->recv_chunk ||
          (in->comm_chunk == in->recv_chunk && in->comm_part <= in->recv_part)); /* I1 */
    CHECK((in->inflight_bytes == 0) == (in->inflight_parts == 0));
    CHECK(in->use != STREAM_LIVE || in->inflight_parts == 0);
    bool shown = map_get(&core->lives, id_slice(&in->row.video.video_id)) == in;
    CHECK(shown == (in->use == STREAM_LIVE && in->state == INGEST_RUNNING)); /* live.c I1 */
}

static void check_ingests(const struct core *core)
{
    unsigned uploads = 0;
    unsigned fetches = 0;
    unsigned lives = 0;
    unsigned trusted = 0;
    size_t inflight = 0;
    size_t fetching = 0;
    size_t gop = 0;
    size_t cursor = 0;
    for (const struct ingest *in; (in = map_next(&core->ingests, &cursor)) != NULL;) {
        check_ingest(core, in);
        uploads += in->use == STREAM_UPLOAD;
        fetches += in->use == STREAM_FETCH;
        lives += in->use == STREAM_LIVE;
        trusted += in->state != INGEST_CLAIMING;
        *(in->use == STREAM_FETCH ? &fetching : &inflight) += in->inflight_bytes;
        gop += in->init.bytes + in->gop.bytes;
    }
    CHECK(core->uploads == uploads && uploads <= UPLOADS_MAX);
    CHECK(core->fetches == fetches && fetches <= FETCHES_MAX);
    CHECK(lives <= LIVES_MAX && core->lives.count <= lives);
    CHECK(core->view->n == trusted);         /* I2, from the other side */
    CHECK(core->inflight_bytes == inflight); /* I3 */
    CHECK(inflight <= UPLOAD_WINDOW_TOTAL_BYTES);
    CHECK(core->fetch_inflight_bytes == fetching && fetching <= FETCH_WINDOW_TOTAL_BYTES);
    CHECK(core->gop_bytes == gop && gop <= GOP_CACHE_TOTAL_BYTES_MAX); /* live.c I4 */
    unsigned slots = 0;
    for (unsigned i = 0; i < FETCHES_MAX; i++)
        slots += core->fetching[i] != NULL;
    CHECK(slots == fetches);
}

static void check_views(const struct core *core)
{
    size_t wanting = 0;
    uint64_t reads = 0;
    size_t cursor = 0;
    for (const struct view *v; (v = map_next(&core->views, &cursor)) != NULL;) {
        wanting += v->wanting;
        reads += v->reading ? v->read_bytes : 0;
        CHECK(map_get(&core->views_by_serial, slice_of(&v->serial, sizeof(v->serial))) == v);
        CHECK(v->credited_bytes <= v->sent_bytes);
    }
    CHECK(core->views_wanting == wanting);
    const struct view *turn = core->view_turn;
    for (size_t i = 0; i < wanting; i++, turn = turn->after)
        CHECK(turn->wanting && turn->after->before == turn);
    CHECK(turn == core->view_turn && !turn == !wanting); /* the ring has them all */
    CHECK(core->views.count == core->views_by_serial.count);
    reads += core->thumbnail.reading ? STORE_READ_BYTES_MAX : 0;
    CHECK(core->reads_bytes == reads && reads <= READS_BYTES_MAX); /* watch.c I1 */
}

static void check_thumbnails(const struct core *core)
{
    size_t lives = 0;
    size_t cursor = 0;
    for (const struct ingest *in; (in = map_next(&core->ingests, &cursor)) != NULL;)
        lives += in->use == STREAM_LIVE && in->thumbnail.len;
    CHECK(core->live_thumbnails == lives && lives <= LIVE_THUMBNAILS_MAX); /* thumbnail.c I5 */
    CHECK(core->thumbnail_wishes_n <= THUMBNAIL_WISHES_MAX);
    for (size_t i = 0; i < core->thumbnail_wishes_n; i++) {
        unsigned of_one = 0; /* thumbnail.c I4 */
        for (size_t k = 0; k < core->thumbnail_wishes_n; k++)
            of_one += id_eq(&core->thumbnail_wishes[i].streamer_id,
                            &core->thumbnail_wishes[k].streamer_id);
        CHECK(of_one <= THUMBNAIL_WISHES_PER_STREAMER_MAX);
    }
    CHECK((core->thumbnail.job != NULL) == (core->thumbnail.state == THUMBNAIL_READING)); /* I1 */
}

/* records.h: struct thumbnail_lates. */
static void check_lates(const struct core *core)
{
    const struct thumbnail_lates *lates = &core->lates;
    for (size_t i = 0; i < THUMBNAIL_LATES_MAX; i++) {
        const struct thumbnail_late *l = &lates->slots[i];
        if (!l->source.s[0])
            continue;
        CHECK(l->asked <= THUMBNAIL_LATE_ASKS && l->checks <= THUMBNAIL_LATE_CHECKS_MAX);
        CHECK(l->asked > 0 || l->checks == 0); /* thumbnail_late.c I2 */
        CHECK(lates->first_us <= l->next_us);
        CHECK(l->number > 0 && l->number <= lates->number);
        for (size_t k = 0; k < i; k++)
            CHECK(!lates->slots[k].source.s[0] || lates->slots[k].number != l->number);
    }
}

/* What was counted of the others is what one would count now: horizon.c I5, presence.c I5. */
static void check_others(const struct core *core)
{
    const struct others *kept = &core->others;
    if (!horizon_counted(core))
        return;
    struct others o = horizon_count(core);
    CHECK(o.online == kept->online && o.able == kept->able && o.knowing == kept->knowing);
    CHECK(o.was_here == kept->was_here);
}

void core_check(const struct core *core, size_t under_way)
{
    check_ingests(core);
    check_views(core);
    check_thumbnails(core);
    check_lates(core);
    check_others(core);
    CHECK(core->stores_under_way == under_way); /* core.c I3 */
    CHECK(under_way <= STORE_OPS_MAX);
    CHECK(core->replays_n <= REPLAYS_MAX && core->backlog_n <= ROW_BACKLOG_MAX);
    CHECK(core->peers.count <= PEERS_MAX && core->nonces.count == core->nonce_n);
    CHECK(core_deadline_us(core) > core->now_us); /* or the loop would spin */
}
