/*
 * Asking for the whole catalogue, and telling it (docs/PROTOCOL.md §4.5).
 *
 *   broker there, or a peer comes back --ask--> asking --pages 1, 2, … n--> done
 *                                        ^        |
 *                                        +--------+ (silence, a hole: at most SYNC_TRIES_MAX times)
 *
 * Invariants
 *   I1  an answer counts as complete only if every page of it came, in order, and was kept.
 *   I2  pages are told one at a time, and only while the control outbox is less than half
 *       full: acknowledgements and heartbeats never wait behind a catalogue.
 *   I3  core->peers_to_ask == number of peers with ask set.
 */
#include "base/check.h"
#include "base/mem.h"
#include "edge/core/state.h"

#include <stdlib.h>

enum {
    SYNC_EVERY_US = 3 * 1000 * 1000,  /* without an answer, or with a hole in it */
    SYNC_PAUSE_US = 30 * 1000 * 1000, /* after SYNC_TRIES_MAX of them */
    SYNC_JITTER_US = 500 * 1000,
    SYNC_TRIES_MAX = 5,
};

/* ---- asking ---- */

static bool reachable(const struct core *core)
{
    return core_ready(core) && core->bus_up[LANE_CONTROL];
}

static uint64_t jitter_us(struct core *core)
{
    uint32_t random;
    core_random(core, &random, sizeof(random));
    return random % SYNC_JITTER_US;
}

void sync_begin(struct core *core)
{
    core->sync = (struct sync){.next_us = core->now_us};
}

void sync_peer_back(struct core *core, struct peer *p)
{
    if (p->ask)
        return;
    p->ask = true;
    if (core->peers_to_ask++ == 0 && core->sync.done && !core->sync.asking)
        core->sync.next_us = core->now_us + jitter_us(core);
}

static void peer_asked(struct core *core, struct peer *p)
{
    if (p && p->ask) {
        p->ask = false;
        core->peers_to_ask--;
    }
}

void sync_peer_gone(struct core *core, struct peer *p)
{
    peer_asked(core, p);
}

/* What was asked for is there, or will not come: go on to the next. */
static void settle(struct core *core)
{
    peer_asked(core, presence_peer(core, id_slice(&core->sync.from)));
    core->sync.done = core->sync.done || core->sync.from.s[0] == '\0';
    core->sync.asking = false;
    core->sync.tries = 0;
    core->sync.from = (struct id){0};
}

static bool choose(struct core *core)
{
    if (core->sync.asking)
        return true; /* the same again */
    core->sync.from = (struct id){0};
    if (!core->sync.done)
        return true;
    size_t cursor = 0;
    for (struct peer *p; core->peers_to_ask && (p = map_next(&core->peers, &cursor)) != NULL;) {
        if (p->ask && presence_peer(core, id_slice(&p->id))->online) {
            core->sync.from = p->id;
            return true;
        }
        peer_asked(core, p); /* gone: it is asked when it is back */
    }
    return false;
}

void sync_tick(struct core *core)
{
    struct sync *s = &core->sync;
    if (core->now_us < s->next_us || !reachable(core) || core_room(core) < 16 || !choose(core))
        return;
    if (s->tries ==
        SYNC_TRIES_MAX) { /* a peer is asked again later; that nobody is there is fine */
        s->done = true;
        s->asking = false;
        s->tries = 0;
        s->next_us = core->now_us + SYNC_PAUSE_US + jitter_us(core);
        return;
    }
    if (!s->asking)
        s->page = 1; /* asked again while an answer is coming: it goes on where it is */
    s->tries++;
    s->asking = true;
    s->next_us = core->now_us + SYNC_EVERY_US;
    struct db_request *m = core_body(core, sizeof(*m));
    m->edge_id = core->config.edge_id;
    m->from = core_copy(core, id_slice(&s->from));
    core_send(core, LANE_CONTROL, TOPIC_DB, (struct slice){0}, (struct slice){0},
              MESSAGE_DB_REQUEST, m);
}

/* Keep a page's rows for catalogue_pump; false: there is no room. */
static bool keep(struct core *core, struct event *ev)
{
    if (core->backlog_n == ROW_BACKLOG_MAX)
        return false;
    struct row_backlog *b = mem_alloc(sizeof(*b));
    b->rows = ev->u.db_reply.rows;
    b->n = ev->u.db_reply.n;
    b->arena = ev->arena;
    ev->arena = (struct arena){0};
    *(core->backlog ? &core->backlog_tail->after : &core->backlog) = b;
    core->backlog_tail = b;
    core->backlog_n++;
    return true;
}

void sync_reply(struct core *core, struct event *ev)
{
    struct sync *s = &core->sync;
    uint32_t page = ev->u.db_reply.page;
    uint32_t pages = ev->u.db_reply.pages;
    core->counters[COUNT_rows_refused] += ev->u.db_reply.skipped;
    if (!s->asking) {
        core->counters[COUNT_rows_refused] += ev->u.db_reply.n; /* nobody asked */
        return;
    }
    if (page == 1)
        s->page = 1;
    bool kept = page == s->page && keep(core, ev);
    s->page = kept ? s->page + 1 : 0; /* I1 */
    s->tries = kept ? 0 : s->tries;
    if (!kept)
        core->counters[COUNT_rows_refused] += ev->u.db_reply.n;
    s->next_us = core->now_us + SYNC_EVERY_US;
    if (s->page && pages == page)
        settle(core);
}

uint64_t sync_deadline_us(const struct core *core)
{
    bool wanted = core->sync.asking || !core->sync.done || core->peers_to_ask;
    return wanted && reachable(core) ? core->sync.next_us : UINT64_MAX;
}

/* ---- telling ---- */

static struct hash weight(struct slice asker, struct slice edge)
{
    uint8_t buf[2 * (4 + ID_BYTES_MAX)];
    struct writer w = writer_of(buf, sizeof(buf));
    write_str(&w, asker);
    write_str(&w, edge);
    return hash_of(slice_of(buf, w.len), (struct slice){0});
}

/* Whether of all edges online it is we who answer this asker. */
static bool ours_to_answer(struct core *core, const struct db_request *m)
{
    if (m->from.len)
        return slice_eq(m->from, core_self(core));
    struct hash mine = weight(id_slice(&m->edge_id), core_self(core));
    size_t cursor = 0;
    for (struct peer *p; (p = map_next(&core->peers, &cursor)) != NULL;) {
        if (id_eq(&p->id, &m->edge_id) || !presence_peer(core, id_slice(&p->id))->online)
            continue;
        struct hash theirs = weight(id_slice(&m->edge_id), id_slice(&p->id));
        if (memcmp(theirs.b, mine.b, HASH_BYTES) > 0)
            return false;
    }
    return true;
}

void sync_request(struct core *core, const struct db_request *m)
{
    if (id_eq(&m->edge_id, &core->config.edge_id) || !core_ready(core) || !ours_to_answer(core, m))
        return;
    struct db_session *s = NULL;
    for (size_t i = 0; i < DB_SESSIONS_MAX; i++) {
        if (core->sessions[i].used && id_eq(&core->sessions[i].asker, &m->edge_id))
            return; /* being answered */
        if (!core->sessions[i].used && !s)
            s = &core->sessions[i];
    }
    if (s)
        *s = (struct db_session){.used = true, .asker = m->edge_id};
    else
        core_count(core, COUNT_answers_suppressed); /* the asker asks again */
}

/* I2; and anybody may have asked, in anybody's name. */
static bool may_tell(const struct core *core)
{
    return core->bus_up[LANE_CONTROL] && core->control_free_bytes > CONTROL_OUTBOX_BYTES_MAX / 2 &&
           core_untrusted_left(core) && core->stores_under_way < STORES_UNDER_WAY_MAX &&
           core_room(core) >= 16;
}

void sync_pump(struct core *core)
{
    for (size_t i = 0; i < DB_SESSIONS_MAX; i++) {
        struct db_session *s = &core->sessions[i];
        if (s->used && !s->reading && core->stopping)
            s->used = false;
        if (!s->used || s->reading || !may_tell(core))
            continue;
        struct storage_op *op = storage_op_new(STORAGE_DB_PAGE, TOKEN_OF(TOKEN_DB_SESSION, i));
        op->u.db_page.first = s->page == 0;
        op->u.db_page.after = s->after;
        s->reading = true;
        core_store(core, op);
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
        if (core->sessions[i].used && !core->sessions[i].reading)
            return true;
    return false;
}

void sync_page(struct core *core, const struct storage_done *done)
{
    struct db_session *s = &core->sessions[TOKEN_NUMBER(done->token)];
    CHECK(s->used && s->reading);
    s->reading = false;
    bool tell = done->err == ERR_OK && !s->hushed;
    bool more = tell && done->u.db_page.more && done->u.db_page.n;
    if (tell) {
        struct message_db_page *m = core_body(core, sizeof(*m));
        s->page++;
        *m = (struct message_db_page){.n = done->u.db_page.n,
                                      .rows = done->u.db_page.rows,
                                      .streamers_n = done->u.db_page.streamers_n,
                                      .streamers = done->u.db_page.streamers,
                                      .page = s->page,
                                      .pages = more ? 0 : s->page};
        core_untrusted_spend(core, PACKET_BYTES_MAX);
        core_send(core, LANE_CONTROL, TOPIC_DB_REPLY, id_slice(&s->asker), (struct slice){0},
                  MESSAGE_DB_PAGE, m);
    }
    if (more)
        s->after = done->u.db_page.rows[done->u.db_page.n - 1].video_id;
    else
        s->used = false;
}
