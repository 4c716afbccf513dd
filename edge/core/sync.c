/*
 * Asking for the whole catalogue, and telling it (docs/PROTOCOL.md §4.5). An
 * edge asks when it joins (its catalogue was never whole), has forgotten its own
 * (horizon.c) or cannot agree with another; else what it lacks is found by repair.c.
 *
 *   wanted --somebody has one--> asking --pages 1, 2, … n--> landing --all merged--> told
 *      |                          ^  |                           |
 *      |                          +--+ silence, a hole           +-- storage refused: asking
 *      +--nobody is there: what we have is all there is
 *
 * Invariants
 *   I1  an answer counts as complete only if every page of it came, in order, and was merged.
 *   I2  pages are told one at a time, not before PAGE_EVERY_US after the last, and only while the
 *       control outbox is less than half full: acknowledgements and heartbeats never wait behind a
 *       catalogue, and who asks has time to merge it.
 *   I3  one edge is asked at a time, by name.
 *   I4  a page counts once, and only for the asking that it names: what was said before, or to
 *       another, neither ends a join nor begins it anew.
 *   I5  no more than DB_PAGES_AHEAD_MAX pages are on their way to us, and we ask for more only
 *       while few wait to be merged: a slow disk makes a join slow, never one that has to begin
 *       again.
 */
#include "base/check.h"
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum {
    SYNC_EVERY_US = 3 * 1000 * 1000,   /* without an answer, or with a hole in it */
    SYNC_TRIES_MAX = 3,                /* of one edge; then another one */
    SYNC_LOOK_US = 250 * 1000,         /* whether somebody has come who can be asked */
    SYNC_ALONE_US = 6 * 1000 * 1000,   /* a heartbeat of the others: nobody who has one is there */
    SYNC_WAIT_US = 60 * 1000 * 1000,   /* somebody is there who has none yet */
    SYNC_AGAIN_US = 120 * 1000 * 1000, /* between two askings for want of agreement */
    PAGE_EVERY_US = 20 * 1000,
    PAGES_WAITING_MAX = DB_PAGES_AHEAD_MAX / 2, /* and more are asked for */
    SESSION_IDLE_US = 30 * 1000 * 1000,
};

/* ---- asking ---- */

static bool reachable(const struct core *core)
{
    return core_ready(core) && core->bus_up[LANE_CONTROL];
}

void sync_begin(struct core *core)
{
    core->sync = (struct sync){.next_us = core->now_us, .round = core->sync.round};
}

bool sync_wanted(const struct core *core)
{
    return core->since_us == 0 || core->rejoin == REJOIN_ASK || core->sync.again;
}

void sync_ask(struct core *core, const struct peer *p)
{
    if (sync_wanted(core) || core->now_us < core->sync_again_us)
        return;
    core->sync_again_us = core->now_us + SYNC_AGAIN_US;
    sync_begin(core);
    core->sync.again = true;
    core->sync.with = p->id;
}

static struct hash weight(struct slice asker, struct slice edge, uint32_t round)
{
    uint8_t buf[2 * (4 + ID_BYTES_MAX) + 4];
    struct writer w = writer_of(buf, sizeof(buf));
    write_str(&w, asker);
    write_str(&w, edge);
    if (round)
        write_u32(&w, round);
    return hash_of(slice_of(buf, w.len), (struct slice){0});
}

static bool can_tell(struct core *core, const struct peer *p)
{
    if (!presence_online(core, id_slice(&p->id)) || !p->status.horizon_us)
        return false;
    if (core->sync.again)
        return id_eq(&p->id, &core->sync.with);
    return core->rejoin != REJOIN_ASK || horizon_authority(core, p);
}

/* Whom to ask: another one each round, and not the same for all. */
static bool choose(struct core *core)
{
    struct hash best = {0};
    struct id from = {0};
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;) {
        struct hash h = weight(core_self(core), id_slice(&p->id), core->sync.round);
        if (can_tell(core, p) && memcmp(h.b, best.b, HASH_BYTES) > 0) {
            best = h;
            from = p->id;
        }
    }
    core->sync.out.from = from;
    core->sync.round++;
    return from.s[0] != '\0';
}

/* Whether somebody is there who has a catalogue, though it may not be able to tell it now. */
static bool somebody(struct core *core)
{
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;)
        if (p->status.since_us && presence_online(core, id_slice(&p->id)))
            return true;
    return false;
}

/* Nobody to be asked by name. Is it that nobody is there? Then what we have is all there is. */
static void nobody(struct core *core)
{
    struct sync *s = &core->sync;
    s->again = false; /* repair goes on trying */
    if (!s->begun_us)
        s->begun_us = core->now_us;
    s->next_us = core->now_us + SYNC_LOOK_US;
    uint64_t patience_us = somebody(core) ? SYNC_WAIT_US : SYNC_ALONE_US;
    if (core->since_us || core->now_us - s->begun_us < patience_us)
        return;
    horizon_joined(core);
    core_log(core, false, "no other edge has a catalogue: beginning with what is here");
}

static uint64_t asking_number(struct core *core)
{
    uint64_t number;
    core_random(core, &number, sizeof(number));
    return (number >> 12) + 1; /* below 2^53, and not 0 */
}

static void ask(struct core *core)
{
    struct sync *s = &core->sync;
    if (!s->asking || !s->page) {
        s->page = 1; /* else: asked again while an answer is coming, it goes on where it is */
        s->failures = core->merges_failed;
        s->out.number = asking_number(core); /* I4 */
    }
    s->asking = true;
    s->tries++;
    s->next_us = core->now_us + SYNC_EVERY_US;
    struct db_request *m = core_body(core, sizeof(*m));
    m->edge_id = core->config.edge_id;
    m->from = core_copy(core, id_slice(&s->out.from));
    m->bundle = true;
    m->asking = s->out.number;
    m->page = s->asked = s->page;
    core_send(core, LANE_CONTROL, TOPIC_DB, (struct slice){0}, (struct slice){0},
              MESSAGE_DB_REQUEST, m);
}

/* Every page came: told when their rows are in the catalogue. */
static void land(struct core *core)
{
    struct sync *s = &core->sync;
    if (core->backlog_n || core->merges_under_way)
        return;
    bool whole = s->failures == core->merges_failed; /* I1 */
    bool again = s->again;
    sync_begin(core);
    if (again)
        return;
    if (!whole)
        core->sync.next_us = core->now_us + SYNC_EVERY_US;
    else if (core->rejoin == REJOIN_ASK)
        horizon_asked(core);
    else
        horizon_joined(core);
}

/* I5. The answer is coming, and half of what was asked for is here. */
static bool wants_more(const struct core *core)
{
    const struct sync *s = &core->sync;
    return s->asking && s->page >= s->asked + DB_PAGES_AHEAD_MAX / 2 &&
           core->backlog_n <= PAGES_WAITING_MAX;
}

/* I5. It stopped because we are slow: nobody is to be asked again yet. */
static bool merging(const struct core *core)
{
    return core->sync.asking && core->sync.page > 1 && core->backlog_n > PAGES_WAITING_MAX;
}

/* The same edge as before: for more, or because it is silent. */
static bool asks_again(const struct core *core)
{
    const struct sync *s = &core->sync;
    return wants_more(core) ||
           (s->asking && !merging(core) && core->now_us >= s->next_us && s->tries < SYNC_TRIES_MAX);
}

void sync_tick(struct core *core)
{
    struct sync *s = &core->sync;
    if (!sync_wanted(core) || !reachable(core) || core_room(core) < 16)
        return;
    if (s->landing)
        land(core);
    else if (asks_again(core))
        ask(core);
    else if (core->now_us < s->next_us)
        return;
    else if (merging(core))
        s->next_us = core->now_us + SYNC_LOOK_US;
    else if (!(s->again && s->asking) && choose(core)) {
        s->asking = false;
        s->tries = 0;
        ask(core);
    } else {
        s->asking = false;
        nobody(core);
    }
}

void sync_show(struct core *core)
{
    static const struct asked nobody_is = {.number = 0};
    const struct asked *asked = core->sync.asking ? &core->sync.out : &nobody_is;
    if (core->view->asked.number != asked->number)
        core_trust_asked(core, asked);
}

void sync_reply(struct core *core, struct event *ev)
{
    struct sync *s = &core->sync;
    size_t n = ev->u.db_reply.n;
    uint32_t page = ev->u.db_reply.page;
    uint32_t pages = ev->u.db_reply.pages;
    core->counters[COUNT_rows_refused] += ev->u.db_reply.skipped;
    if (!s->asking || ev->u.db_reply.asking != s->out.number ||
        !id_eq(&ev->u.db_reply.from, &s->out.from) || page < s->page) {
        core->counters[COUNT_rows_refused] += n; /* I4 */
        return;
    }
    bool kept = page == s->page && catalogue_keep(core, ev, ev->u.db_reply.rows, n, true);
    s->page = kept ? s->page + 1 : 0; /* I1 */
    s->tries = kept ? 0 : s->tries;
    if (!kept)
        core->counters[COUNT_rows_refused] += n;
    s->next_us = core->now_us + SYNC_EVERY_US;
    if (s->page && pages == page) {
        s->asking = false;
        s->landing = true;
    }
}

uint64_t sync_deadline_us(const struct core *core)
{
    if (!sync_wanted(core) || !reachable(core) || core->sync.landing)
        return UINT64_MAX; /* landing: the backlog and completions go on by themselves */
    return core->sync.next_us;
}

/* ---- telling ---- */

/*
 * Whether of all edges online that have a catalogue it is we who answer this asker. Who has none
 * yet answers an original edge if nobody has: it asks but once.
 */
static bool ours_to_answer(struct core *core, const struct db_request *m)
{
    bool able = horizon_comparable(core);
    bool named = m->from.len != 0;
    if (named || !able)
        return able ? slice_eq(m->from, core_self(core)) : !m->bundle && !named && !somebody(core);
    struct hash mine = weight(id_slice(&m->edge_id), core_self(core), 0);
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;) {
        struct hash theirs = weight(id_slice(&m->edge_id), id_slice(&p->id), 0);
        if (!id_eq(&p->id, &m->edge_id) && p->status.horizon_us &&
            presence_online(core, id_slice(&p->id)) && memcmp(theirs.b, mine.b, HASH_BYTES) > 0)
            return false;
    }
    return true;
}

/* Who is being answered asks for more, or has lost a page and wants all of it again. */
static void session_again(struct core *core, struct db_session *s, const struct db_request *m)
{
    bool anew = m->asking != s->asking;
    if (!m->page || m->page > s->page + 1 || s->hushed || (anew && m->page != 1))
        return;
    if (anew || (m->page == 1 && s->page)) {
        if (s->reading || (!anew && s->page < s->pages_allowed))
            return; /* pages are coming; it asks again */
        *s = (struct db_session){
            .used = true, .bundle = s->bundle, .asker = s->asker, .asking = m->asking};
    }
    uint32_t allowed = m->page - 1 + DB_PAGES_AHEAD_MAX;
    s->pages_allowed = allowed > s->pages_allowed ? allowed : s->pages_allowed;
    s->until_us = core->now_us + SESSION_IDLE_US;
}

/* Anybody may ask in the original's form: first comes who signs, and that it has no catalogue. */
static unsigned urgency(struct core *core, const struct id *asker, bool bundle)
{
    const struct peer *p = presence_peer(core, id_slice(asker));
    return !bundle || !p || !p->online ? 0 : p->status.horizon_us ? 1 : 2;
}

/* A free one, or that of the least urgent of those who are told something; NULL: none is less. */
static struct db_session *session_room(struct core *core, const struct db_request *m)
{
    struct db_session *room = NULL;
    unsigned least = urgency(core, &m->edge_id, m->bundle);
    for (size_t i = 0; i < DB_SESSIONS_MAX; i++) {
        struct db_session *s = &core->sessions[i];
        if (!s->used)
            return s;
        unsigned its = urgency(core, &s->asker, s->bundle);
        if (!s->reading && its < least) {
            least = its;
            room = s;
        }
    }
    return room;
}

void sync_request(struct core *core, const struct db_request *m)
{
    if (id_eq(&m->edge_id, &core->config.edge_id) || !core_ready(core) || !ours_to_answer(core, m))
        return;
    for (size_t i = 0; i < DB_SESSIONS_MAX; i++) {
        struct db_session *s = &core->sessions[i];
        if (s->used && s->bundle == m->bundle && id_eq(&s->asker, &m->edge_id)) {
            session_again(core, s, m);
            return;
        }
    }
    struct db_session *s = session_room(core, m);
    if (s)
        *s = (struct db_session){.used = true,
                                 .bundle = m->bundle,
                                 .asker = m->edge_id,
                                 .asking = m->asking,
                                 .pages_allowed = m->page ? DB_PAGES_AHEAD_MAX : UINT32_MAX,
                                 .until_us = core->now_us + SESSION_IDLE_US};
    else
        core_count(core, COUNT_answers_suppressed); /* the asker asks again */
}

/* I2; and anybody may have asked in the original's form, in anybody's name. */
static bool may_tell(const struct core *core, const struct db_session *s)
{
    return core->bus_up[LANE_CONTROL] && core->control_free_bytes > CONTROL_OUTBOX_BYTES_MAX / 2 &&
           (s->bundle || core_untrusted_left(core)) &&
           core->stores_under_way < STORES_UNDER_WAY_MAX && core_room(core) >= 16;
}

static void read_page(struct core *core, size_t i)
{
    struct db_session *s = &core->sessions[i];
    struct storage_op *op = storage_op_new(s->bundle ? STORAGE_BUNDLE_PAGE : STORAGE_DB_PAGE,
                                           TOKEN_OF(TOKEN_DB_SESSION, i));
    if (s->bundle) {
        op->u.bundle_page.first = s->page == 0;
        op->u.bundle_page.after_video = s->after;
        op->u.bundle_page.after_streamer = s->after_streamer;
        op->u.bundle_page.inside = s->inside;
        op->u.bundle_page.after_edge = s->after_edge;
        op->u.bundle_page.after_type = s->after_type;
    } else {
        op->u.db_page.first = s->page == 0;
        op->u.db_page.after = s->after;
    }
    s->reading = true;
    s->not_before_us = core->now_us + PAGE_EVERY_US; /* I2 */
    core_store(core, op);
}

void sync_pump(struct core *core)
{
    for (size_t i = 0; i < DB_SESSIONS_MAX; i++) {
        struct db_session *s = &core->sessions[i];
        bool waits = s->page >= s->pages_allowed;
        if (s->used && !s->reading &&
            (core->stopping || (s->bundle && !horizon_comparable(core)) ||
             (waits && core->now_us >= s->until_us)))
            s->used = false;
        if (s->used && !s->reading && !waits && core->now_us >= s->not_before_us &&
            may_tell(core, s))
            read_page(core, i);
    }
}

void sync_hush(struct core *core)
{
    for (size_t i = 0; i < DB_SESSIONS_MAX; i++) {
        core->sessions[i].hushed = core->sessions[i].reading;
        core->sessions[i].used = core->sessions[i].reading;
    }
}

bool sync_telling(const struct core *core)
{
    for (size_t i = 0; core->bus_up[LANE_CONTROL] && i < DB_SESSIONS_MAX; i++)
        if (core->sessions[i].used && !core->sessions[i].reading &&
            core->sessions[i].page < core->sessions[i].pages_allowed)
            return true;
    return false;
}

/* A page in the form of our edges. Returns whether there are more. */
static bool tell_bundle(struct core *core, struct db_session *s, const struct storage_done *done)
{
    bool more = done->u.bundle.more && done->u.bundle.claims_n + done->u.bundle.holdings_n;
    struct message_bundle *m = core_body(core, sizeof(*m));
    *m = (struct message_bundle){.edge_id = core->config.edge_id,
                                 .claims_n = done->u.bundle.claims_n,
                                 .claims = done->u.bundle.claims,
                                 .holdings_n = done->u.bundle.holdings_n,
                                 .holdings = done->u.bundle.holdings,
                                 .page = s->page,
                                 .pages = more ? 0 : s->page,
                                 .asking = s->asking};
    core_send(core, LANE_CONTROL, TOPIC_DB_REPLY, id_slice(&s->asker), (struct slice){0},
              MESSAGE_DB_BUNDLE, m);
    s->after = done->u.bundle.last_video;
    s->after_streamer = done->u.bundle.last_streamer;
    s->inside = done->u.bundle.inside;
    s->after_edge = done->u.bundle.last_edge;
    s->after_type = done->u.bundle.last_type;
    return more;
}

/* A page in the original's form. */
static bool tell_rows(struct core *core, struct db_session *s, const struct storage_done *done)
{
    bool more = done->u.db_page.more && done->u.db_page.n;
    struct message_db_page *m = core_body(core, sizeof(*m));
    *m = (struct message_db_page){.n = done->u.db_page.n,
                                  .rows = done->u.db_page.rows,
                                  .streamers_n = done->u.db_page.streamers_n,
                                  .streamers = done->u.db_page.streamers,
                                  .page = s->page,
                                  .pages = more ? 0 : s->page};
    core_send(core, LANE_CONTROL, TOPIC_DB_REPLY, id_slice(&s->asker), (struct slice){0},
              MESSAGE_DB_PAGE, m);
    if (more)
        s->after = done->u.db_page.rows[done->u.db_page.n - 1].video_id;
    return more;
}

void sync_page(struct core *core, const struct storage_done *done)
{
    struct db_session *s = &core->sessions[TOKEN_NUMBER(done->token)];
    CHECK(s->used && s->reading);
    s->reading = false;
    s->used = done->err == ERR_OK && !s->hushed;
    if (!s->used)
        return; /* the asker asks again */
    s->page++;
    if (!s->bundle)
        core_untrusted_spend(core, PACKET_BYTES_MAX);
    s->used = (s->bundle ? tell_bundle : tell_rows)(core, s, done);
}
