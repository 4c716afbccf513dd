/*
 * Finding out in which rows two edges differ, and telling each other these
 * (docs/PROTOCOL.md §4.6). Nothing is remembered between the messages of a
 * round: every one is answered from what storage holds then.
 *
 *   A: roots differ    --digests of the root node-->   B: which children differ?
 *   A: which differ?   <--digests of those nodes---    B
 *   …down to the leaves:
 *   A: what differs?   <--entries of those leaves--    B
 *   A                  --rows; wants--------------->   B
 *   A                  <--rows----------------------   B
 *
 * Invariants
 *   I1  nothing is asked or answered but at equal horizons, by an edge whose catalogue is whole,
 *       to a peer that is online; the rest is counted.
 *   I2  at most SYNC_SLOTS_MAX answers are made at once, SLOTS_PER_PEER_MAX of them for one peer;
 *       each sends at most ANSWER_MESSAGES_MAX messages but rows, within half the control outbox.
 *       What is left out differs in the next round.
 *   I3  one round of ours begins at a time, REPAIR_EVERY_US apart; a peer with whom it changes
 *       nothing is asked less and less often.
 */
#include "edge/core/differ.h"
#include "edge/core/state.h"

enum {
    REPAIR_EVERY_US = 5 * 1000 * 1000,
    REPAIR_AGAIN_US = 1000 * 1000, /* after a round that brought something */
    REPAIR_FRUITLESS_US_MAX = 60 * 1000 * 1000,
    REPAIR_JITTER_US = 1000 * 1000,
    ANSWER_MESSAGES_MAX = 4,
    SLOTS_PER_PEER_MAX = 8,
    CHILDREN_MAX = SYNC_NODES_MAX * SYNC_FANOUT,
    /* Statuses in a row that show another root than ours, before it is asked about: */
    BEATS_FEW = 2,     /* fewer edges show ours than theirs: it is probably we who lack something */
    BEATS_SAME = 3,    /* as many do, and it is the other's turn to ask first */
    BEATS_MANY = 4,    /* it is probably they: they ask */
    FRUITLESS_ASK = 3, /* rounds in vain, before it is asked for all that it has */
};

/* ---- rounds of ours ---- */

static bool may_begin(const struct core *core)
{
    return horizon_comparable(core) && core->root.horizon_us && core_ready(core) &&
           core->bus_up[LANE_CONTROL];
}

static bool equal(const struct core *core, const uint8_t root[static ROOT_DIGEST_BYTES])
{
    return memcmp(core->root.b, root, ROOT_DIGEST_BYTES) == 0;
}

static unsigned patience(struct core *core, const struct peer *p)
{
    size_t ours = presence_agreeing(core, core->root.b);
    size_t theirs = presence_agreeing(core, p->status.root);
    if (ours != theirs)
        return ours < theirs ? BEATS_FEW : BEATS_MANY;
    return strcmp(core->config.edge_id.s, p->id.s) < 0 ? BEATS_FEW : BEATS_SAME;
}

static void schedule(struct core *core, const struct peer *p, uint64_t at_us)
{
    core->repair_peer = p->id;
    core->repair_due = true;
    core->repair_next_us = at_us;
}

void repair_status(struct core *core, struct peer *p)
{
    if (!may_begin(core) || p->status.horizon_us != core->root.horizon_us) {
        p->differs = 0;
        return;
    }
    if (equal(core, p->status.root)) {
        p->differs = p->fruitless = 0;
        horizon_contact(core, p);
        return;
    }
    if (core->backlog_n)
        return; /* it may be among what waits */
    p->differs += p->differs < BEATS_MANY;
    if (p->differs < BEATS_FEW || core->repair_due || core->now_us < core->repair_next_us ||
        core->now_us < p->repair_us || p->differs < patience(core, p))
        return;
    uint32_t jitter;
    core_random(core, &jitter, sizeof(jitter));
    schedule(core, p, core->now_us + jitter % REPAIR_JITTER_US);
}

/* A round that brought something is followed by the next at once: there may be more. */
static void go_on(struct core *core)
{
    struct peer *p = presence_peer(core, id_slice(&core->repair_peer));
    if (core->repair_due || core->repair_peer.s[0] == '\0' || core->backlog_n ||
        core->merges_under_way || core->now_us < core->repair_next_us)
        return;
    bool brought = p && p->online && !equal(core, p->asked_ours.b) && p->differs >= BEATS_FEW &&
                   !equal(core, p->status.root) && p->status.horizon_us == core->root.horizon_us;
    core->repair_peer = (struct id){0};
    if (brought)
        schedule(core, p, core->now_us);
}

/* I3 */
static void asked(struct core *core, struct peer *p)
{
    bool in_vain = equal(core, p->asked_ours.b) &&
                   memcmp(p->asked_theirs, p->status.root, ROOT_DIGEST_BYTES) == 0;
    p->fruitless = in_vain ? p->fruitless + 1 : 0;
    unsigned shift = p->fruitless < 4 ? p->fruitless : 4;
    uint64_t pause_us = (uint64_t)REPAIR_EVERY_US << shift;
    p->asked_ours = core->root;
    memcpy(p->asked_theirs, p->status.root, ROOT_DIGEST_BYTES);
    p->repair_us =
        core->now_us + (pause_us < REPAIR_FRUITLESS_US_MAX ? pause_us : REPAIR_FRUITLESS_US_MAX);
    core->repair_next_us = core->now_us + (in_vain ? REPAIR_EVERY_US : REPAIR_AGAIN_US);
    core_count(core, COUNT_syncs_started);
    if (p->fruitless >= FRUITLESS_ASK)
        sync_ask(core, p); /* rows of before the horizon come only so */
}

/* ---- slots ---- */

static struct sync_slot *slot_take(struct core *core, const struct id *peer, enum slot_stage stage)
{
    struct sync_slot *free_one = NULL;
    unsigned of_peer = 0;
    for (size_t i = 0; i < SYNC_SLOTS_MAX; i++) {
        of_peer += core->slots[i].used && id_eq(&core->slots[i].peer, peer);
        if (!core->slots[i].used && !free_one)
            free_one = &core->slots[i];
    }
    if (!free_one || of_peer >= SLOTS_PER_PEER_MAX)
        return NULL; /* I2 */
    *free_one =
        (struct sync_slot){.used = true, .serial = ++core->serial, .peer = *peer, .stage = stage};
    return free_one;
}

static void slot_free(struct sync_slot *s)
{
    arena_release(&s->arena);
    *s = (struct sync_slot){0};
}

void repair_release(struct core *core)
{
    for (size_t i = 0; i < SYNC_SLOTS_MAX; i++)
        slot_free(&core->slots[i]);
}

void repair_hush(struct core *core)
{
    core->repair_due = false;
    for (size_t i = 0; i < SYNC_SLOTS_MAX; i++) {
        struct sync_slot *s = &core->slots[i];
        s->hushed = s->reading;
        if (s->used && !s->reading)
            slot_free(s);
    }
}

/* I2 */
static bool may_answer(const struct core *core)
{
    return core->bus_up[LANE_CONTROL] && core->control_free_bytes > CONTROL_OUTBOX_BYTES_MAX / 2 &&
           core->stores_under_way < STORES_UNDER_WAY_MAX && core_room(core) >= 16;
}

static struct storage_op *op_new(const struct sync_slot *s, enum storage_kind kind)
{
    return storage_op_new(kind, TOKEN_OF(TOKEN_REPAIR, s->serial));
}

static void *copied(struct arena *arena, const void *ptr, size_t bytes)
{
    void *copy = arena_alloc(arena, bytes);
    memcpy(copy, ptr, bytes);
    return copy;
}

static size_t at_most(size_t n, size_t max)
{
    return n < max ? n : max;
}

/* ---- what is read for an answer ---- */

static struct storage_op *read_nodes(const struct sync_slot *s)
{
    static const struct digest_node root = {0};
    struct storage_op *op = op_new(s, STORAGE_DIGESTS);
    const struct digest_node *nodes = s->stage == SLOT_BEGIN ? &root : s->nodes + s->next;
    op->u.digests.n = s->stage == SLOT_BEGIN ? 1 : at_most(s->n - s->next, SYNC_NODES_MAX);
    op->u.digests.nodes = copied(&op->arena, nodes, op->u.digests.n * sizeof(*nodes));
    return op;
}

static struct storage_op *read_same_nodes(const struct sync_slot *s)
{
    struct storage_op *op = op_new(s, STORAGE_DIGESTS);
    size_t n = s->message.u.digests.n;
    struct digest_node *nodes = arena_alloc(&op->arena, n * sizeof(*nodes));
    for (size_t i = 0; i < n; i++)
        nodes[i] = (struct digest_node){.depth = s->message.u.digests.nodes[i].depth,
                                        .prefix = s->message.u.digests.nodes[i].prefix};
    op->u.digests.n = n;
    op->u.digests.nodes = nodes;
    return op;
}

static struct storage_op *read_entries(const struct sync_slot *s)
{
    struct storage_op *op = op_new(s, STORAGE_LEAVES);
    size_t n = at_most(s->n - s->next, SYNC_LEAVES_MAX);
    op->u.leaves.n = n;
    op->u.leaves.leaves = copied(&op->arena, s->leaves + s->next, n * sizeof(*s->leaves));
    op->u.leaves.from = copied(&op->arena, s->from + s->next, n * sizeof(*s->from));
    return op;
}

static struct storage_op *read_same_leaves(const struct sync_slot *s)
{
    struct storage_op *op = op_new(s, STORAGE_LEAVES);
    size_t n = s->message.u.leaves.n;
    uint16_t *leaves = arena_alloc(&op->arena, n * sizeof(*leaves));
    struct row_digest *from = arena_alloc(&op->arena, n * sizeof(*from));
    for (size_t i = 0; i < n; i++) {
        leaves[i] = s->message.u.leaves.leaves[i].leaf;
        memcpy(from[i].b, s->message.u.leaves.leaves[i].from, ROW_DIGEST_BYTES);
    }
    op->u.leaves.n = n;
    op->u.leaves.leaves = leaves;
    op->u.leaves.from = from;
    return op;
}

static struct storage_op *read_rows(const struct sync_slot *s)
{
    struct storage_op *op = op_new(s, STORAGE_ROWS_GET);
    op->u.rows_get.n = at_most(s->n - s->next, SYNC_WANT_MAX);
    op->u.rows_get.rows =
        copied(&op->arena, s->rows + s->next, op->u.rows_get.n * sizeof(*s->rows));
    return op;
}

static void slot_read(struct core *core, struct sync_slot *s)
{
    struct storage_op *op = NULL;
    switch (s->stage) {
    case SLOT_BEGIN:
    case SLOT_CHILDREN: op = read_nodes(s); break;
    case SLOT_COMPARE: op = read_same_nodes(s); break;
    case SLOT_ENTRIES: op = read_entries(s); break;
    case SLOT_LEAVES: op = read_same_leaves(s); break;
    case SLOT_ROWS: op = read_rows(s); break;
    }
    s->reading = true;
    core_store(core, op);
}

/* ---- what is sent ---- */

static struct sync_message *message(struct core *core, enum sync_kind kind)
{
    struct sync_message *m = core_body(core, sizeof(*m));
    m->kind = kind;
    m->edge_id = core->config.edge_id;
    m->horizon_us = core->root.horizon_us;
    return m;
}

static void send(struct core *core, struct sync_slot *s, const struct sync_message *m)
{
    core_send(core, LANE_CONTROL, TOPIC_DB_SYNC, id_slice(&s->peer), (struct slice){0},
              MESSAGE_SYNC, m);
    s->sent++;
}

static void send_nodes(struct core *core, struct sync_slot *s, const struct storage_done *done)
{
    struct sync_message *m = message(core, SYNC_DIGESTS);
    m->u.digests.n = done->u.digests.n;
    m->u.digests.nodes = done->u.digests.nodes;
    if (m->u.digests.n)
        send(core, s, m);
}

/* Returns how many of those asked for came: the others wait for their turn. */
static size_t send_entries(struct core *core, struct sync_slot *s, const struct storage_done *done)
{
    struct sync_message *m = message(core, SYNC_LEAVES);
    m->u.leaves.n = done->u.leaves.n;
    m->u.leaves.leaves = done->u.leaves.leaves;
    if (m->u.leaves.n)
        send(core, s, m);
    return done->u.leaves.n;
}

static void send_wants(struct core *core, struct sync_slot *s, struct sync_want *wants, size_t n)
{
    for (size_t i = 0; i < n; i += SYNC_WANT_MAX) {
        struct sync_message *m = message(core, SYNC_WANT);
        m->u.want.n = at_most(n - i, SYNC_WANT_MAX);
        m->u.want.rows = wants + i;
        send(core, s, m);
    }
}

static void send_rows(struct core *core, const struct sync_slot *s, const struct storage_done *done)
{
    size_t n = done->u.bundle.claims_n + done->u.bundle.holdings_n;
    if (!n)
        return;
    struct message_bundle *m = core_body(core, sizeof(*m));
    *m = (struct message_bundle){.edge_id = core->config.edge_id,
                                 .claims_n = done->u.bundle.claims_n,
                                 .claims = done->u.bundle.claims,
                                 .holdings_n = done->u.bundle.holdings_n,
                                 .holdings = done->u.bundle.holdings};
    core->counters[COUNT_sync_rows_sent] += n;
    stale_told(core, m->holdings, m->holdings_n);
    core_send(core, LANE_CONTROL, TOPIC_DB_SYNC, id_slice(&s->peer), (struct slice){0},
              MESSAGE_SYNC_ROWS, m);
}

/* ---- comparing ---- */

/* The children that differ, into the slot: nodes, or leaves at the last level. */
static void compare_nodes(struct sync_slot *s, const struct storage_done *done)
{
    const struct sync_node *theirs = s->message.u.digests.nodes;
    const struct sync_node *ours = done->u.digests.nodes;
    size_t most = at_most(done->u.digests.n, s->message.u.digests.n);
    s->nodes = arena_alloc(&s->arena, most * SYNC_FANOUT * sizeof(*s->nodes));
    s->leaves = arena_alloc(&s->arena, most * SYNC_FANOUT * sizeof(*s->leaves));
    s->from = arena_alloc(&s->arena, most * SYNC_FANOUT * sizeof(*s->from));
    size_t nodes_n = 0;
    size_t leaves_n = 0;
    for (size_t i = 0; i < most * SYNC_FANOUT; i++) {
        const struct sync_node *a = &theirs[i / SYNC_FANOUT];
        const struct sync_node *b = &ours[i / SYNC_FANOUT];
        size_t child = i % SYNC_FANOUT;
        if (memcmp(a->children[child], b->children[child], SYNC_NODE_DIGEST_BYTES) == 0)
            continue;
        uint16_t prefix = (uint16_t)(a->prefix * SYNC_FANOUT + child);
        if (a->depth + 1 == DIGEST_DEPTH)
            s->leaves[leaves_n++] = prefix;
        else
            s->nodes[nodes_n++] =
                (struct digest_node){.depth = (uint8_t)(a->depth + 1), .prefix = prefix};
    }
    s->stage = nodes_n ? SLOT_CHILDREN : SLOT_ENTRIES; /* one message names nodes of one depth */
    s->n = nodes_n ? nodes_n : leaves_n;
    s->next = 0;
}

static const struct sync_leaf *leaf_of(const struct storage_done *done, const struct sync_leaf *l)
{
    for (size_t i = 0; i < done->u.leaves.n; i++)
        if (done->u.leaves.leaves[i].leaf == l->leaf)
            return &done->u.leaves.leaves[i];
    return NULL;
}

/*
 * What they lack or have older is sent, what we lack or have older wanted; where a list was cut
 * off, ours goes on from there. Claims come before holdings: they sort so.
 */
static void compare_leaves(struct core *core, struct sync_slot *s, const struct storage_done *done)
{
    struct arena *arena = &core->fx->arena;
    size_t n = s->message.u.leaves.n;
    struct sync_want *wants = arena_alloc(arena, SYNC_ENTRIES_MAX * sizeof(*wants));
    s->rows = arena_alloc(&s->arena, SYNC_ENTRIES_MAX * sizeof(*s->rows));
    s->leaves = arena_alloc(&s->arena, n * sizeof(*s->leaves));
    s->from = arena_alloc(&s->arena, n * sizeof(*s->from));
    size_t wants_n = 0;
    size_t rows_n = 0;
    size_t more_n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct sync_leaf *theirs = &s->message.u.leaves.leaves[i];
        const struct sync_leaf *ours = leaf_of(done, theirs);
        if (!ours || theirs->n + wants_n > SYNC_ENTRIES_MAX || ours->n + rows_n > SYNC_ENTRIES_MAX)
            continue;
        struct difference d;
        const uint8_t *through = differ_leaf(theirs, ours, arena, &d);
        memcpy(wants + wants_n, d.wants, d.wants_n * sizeof(*wants));
        memcpy(s->rows + rows_n, d.rows, d.rows_n * sizeof(*s->rows));
        wants_n += d.wants_n;
        rows_n += d.rows_n;
        if (through) {
            s->leaves[more_n] = theirs->leaf;
            memcpy(s->from[more_n++].b, through, ROW_DIGEST_BYTES);
        }
    }
    send_wants(core, s, wants, wants_n);
    s->then_n = rows_n;
    s->stage = more_n ? SLOT_ENTRIES : SLOT_ROWS;
    s->n = more_n ? more_n : rows_n;
    s->next = 0;
}

/* ---- an answer goes on ---- */

/* What was read is sent; the slot stands at what comes next. */
static void slot_advance(struct core *core, struct sync_slot *s, const struct storage_done *done)
{
    switch (s->stage) {
    case SLOT_BEGIN:
        send_nodes(core, s, done);
        s->n = s->next = 0;
        break;
    case SLOT_COMPARE: compare_nodes(s, done); break;
    case SLOT_CHILDREN:
        send_nodes(core, s, done);
        s->next += at_most(s->n - s->next, SYNC_NODES_MAX);
        break;
    case SLOT_ENTRIES: {
        size_t sent = send_entries(core, s, done);
        s->next = sent ? s->next + sent : s->n;
        break;
    }
    case SLOT_LEAVES: compare_leaves(core, s, done); break;
    case SLOT_ROWS: {
        send_rows(core, s, done);
        size_t looked = done->u.bundle.looked_n;
        s->next = done->u.bundle.more && looked ? s->next + looked
                                                : s->next + at_most(s->n - s->next, SYNC_WANT_MAX);
        break;
    }
    }
    bool enough = s->stage != SLOT_ROWS && s->sent >= ANSWER_MESSAGES_MAX; /* I2 */
    if (s->stage == SLOT_ENTRIES && s->then_n && (enough || s->next >= s->n)) {
        s->stage = SLOT_ROWS;
        s->n = s->then_n;
        s->next = s->then_n = 0;
    } else if (enough || s->next >= s->n) {
        slot_free(s);
    }
}

void repair_read(struct core *core, struct storage_done *done)
{
    struct sync_slot *s = NULL;
    for (size_t i = 0; !s && i < SYNC_SLOTS_MAX; i++)
        if (core->slots[i].used && core->slots[i].serial == TOKEN_NUMBER(done->token))
            s = &core->slots[i];
    if (!s)
        return;
    s->reading = false;
    if (done->err != ERR_OK || s->hushed || !may_begin(core))
        slot_free(s); /* roots differ still: another round comes */
    else
        slot_advance(core, s, done);
}

/* ---- messages ---- */

static bool answerable(struct core *core, const struct sync_message *m)
{
    const struct peer *p = presence_peer(core, id_slice(&m->edge_id));
    return may_begin(core) && p && p->online && m->horizon_us == core->root.horizon_us; /* I1 */
}

void repair_message(struct core *core, struct event *ev)
{
    const struct sync_message *m = &ev->u.db_sync.message;
    static const enum slot_stage stages[] = {
        [SYNC_DIGESTS] = SLOT_COMPARE, [SYNC_LEAVES] = SLOT_LEAVES, [SYNC_WANT] = SLOT_ROWS};
    struct sync_slot *s = NULL;
    bool ours = id_eq(&m->edge_id, &core->config.edge_id);
    if (!ours && m->kind <= SYNC_WANT && answerable(core, m))
        s = slot_take(core, &m->edge_id, stages[m->kind]);
    if (!s) {
        core_count(core, COUNT_sync_refused);
        return;
    }
    s->message = *m;
    s->arena = ev->arena;
    ev->arena = (struct arena){0};
    if (m->kind == SYNC_WANT) {
        s->rows = s->message.u.want.rows;
        s->n = s->message.u.want.n;
    }
}

/* ---- time ---- */

static void begin(struct core *core)
{
    struct peer *p = presence_peer(core, id_slice(&core->repair_peer));
    core->repair_due = false;
    if (!p || !p->online || !may_begin(core) || core->stopping || equal(core, p->status.root) ||
        p->status.horizon_us != core->root.horizon_us)
        return;
    if (slot_take(core, &p->id, SLOT_BEGIN))
        asked(core, p);
}

void repair_tick(struct core *core)
{
    go_on(core);
    if (core->repair_due && core->now_us >= core->repair_next_us)
        begin(core);
    for (size_t i = 0; i < SYNC_SLOTS_MAX; i++) {
        struct sync_slot *s = &core->slots[i];
        if (s->used && !s->reading && core->stopping)
            slot_free(s);
        else if (s->used && !s->reading && may_answer(core))
            slot_read(core, s);
    }
}

uint64_t repair_deadline_us(const struct core *core)
{
    uint64_t at = UINT64_MAX;
    if (core->bus_up[LANE_CONTROL] && !core->stopping &&
        (core->repair_due || core->repair_peer.s[0]))
        at = core->repair_next_us > core->now_us ? core->repair_next_us
                                                 : core->now_us + UNTRUSTED_TICK_US;
    for (size_t i = 0; core->bus_up[LANE_CONTROL] && i < SYNC_SLOTS_MAX; i++)
        if (core->slots[i].used && !core->slots[i].reading && core->now_us + UNTRUSTED_TICK_US < at)
            at = core->now_us + UNTRUSTED_TICK_US;
    return at;
}
