/*
 * What must hold.
 *
 *   at any time    a video that an edge knows as deleted is not listed there again; what core_check
 *                  demands (after every step: node.c); what viewers are sent is what was uploaded
 *   in the end     all edges have the same catalogue, to the byte, and the same root; everything
 *                  that has a receipt and was not deleted is listed, and there are copies of it,
 *                  byte for byte, on as many edges as there should be; nothing deleted is anywhere;
 *                  no live is listed that is over
 *
 * In the end: when it holds twice, LASTS_US apart; it must be within SETTLE_US after all is well.
 */
#include "base/mem.h"
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_EVERY_US = 10 * 1000 * 1000,
    LASTS_US = 40 * 1000 * 1000,
    SETTLE_S = 90 * 60, /* an hour, when all were off for so long that their horizons leap */
    FAILURE_BYTES = 400,
};

struct verdict {
    char failure[FAILURE_BYTES];
    char missing[FAILURE_BYTES]; /* what does not hold yet */
    uint64_t good_us;            /* since when everything holds; 0: it does not */
    bool *known_deleted;         /* [node][streamer][upload] */
};

const char *sim_failure(const struct sim *s)
{
    return s->verdict->failure;
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
    va_list args;
    if (s->verdict->failure[0])
        return;
    va_start(args, fmt);
    vsnprintf(s->verdict->failure, FAILURE_BYTES, fmt, args);
    va_end(args);
}

__attribute__((format(printf, 2, 3))) static bool miss(struct sim *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->verdict->missing, FAILURE_BYTES, fmt, args);
    va_end(args);
    return false;
}

void verdict_init(struct sim *s)
{
    s->verdict = mem_alloc(sizeof(*s->verdict));
    s->verdict->known_deleted =
        mem_array((size_t)s->nodes_n * SIM_STREAMERS_MAX * SIM_VIDEOS_MAX, sizeof(bool));
    sim_at(s, s->now_us + LOOK_EVERY_US, HAPPEN_LOOK, 0, 0, NULL);
}

void verdict_free(struct sim *s)
{
    if (s->verdict)
        free(s->verdict->known_deleted);
    free(s->verdict);
}

/* Whether this upload's stream is what the node lists under its id. */
static bool listed(const struct node *n, const struct upload *u)
{
    struct hash stream;
    return memory_store_listed(n->store, &u->reel->video.video_id, &stream) &&
           hash_eq(&stream, &u->reel->stream);
}

/*
 * Whether this edge may have forgotten the deletion: it is behind the horizon, or the clock was set
 * beyond it. From then on who has a key of the zone may bring old rows back; honest edges do not,
 * and say of theirs that they are no longer true.
 */
static bool forgotten(const struct sim *s, unsigned node, const struct upload *u)
{
    uint64_t horizon_us = memory_store_root(s->nodes[node].store).horizon_us;
    return s->clocks_way_off || u->deletion_revision_us <= horizon_us;
}

/* ---- at any time ---- */

static void check_deleted(struct sim *s, unsigned node, unsigned i, size_t k)
{
    const struct node *n = &s->nodes[node];
    const struct upload *u = &s->streamers[i].uploads[k];
    bool *known = &s->verdict->known_deleted[(node * SIM_STREAMERS_MAX + i) * SIM_VIDEOS_MAX + k];
    if (!u->begun)
        return;
    if (forgotten(s, node, u))
        *known = false;
    if (*known && listed(n, u))
        sim_fail(s, "%s is listed at %s, which knew that it is deleted", u->reel->video.video_id.s,
                 n->member.id.s);
    *known = *known ||
             memory_store_deleted(n->store, &u->reel->video.video_id, &s->streamers[i].member.id);
}

/* ---- in the end ---- */

struct compared {
    const struct reel *reel;
    size_t at;
    bool same;
};

static void compare_part(void *context, struct slice packet)
{
    struct compared *c = context;
    c->same =
        c->same && c->at < c->reel->n && slice_eq(packet, c->reel->parts[c->at].packet->payload);
    c->at++;
}

static bool holds(const struct node *n, const struct reel *reel)
{
    struct compared c = {.reel = reel, .same = true};
    if (!memory_store_whole(n->store, &reel->stream) ||
        memory_store_holding(n->store, OBJECT_CUSTODY, &reel->video.video_id, &n->member.id) != 1)
        return false;
    memory_store_copy(n->store, &reel->stream, compare_part, &c);
    return c.same && c.at == reel->n;
}

static bool kept(struct sim *s, const struct upload *u)
{
    unsigned copies = 0;
    unsigned lists = 0;
    unsigned wanted = s->replicas < s->nodes_n ? s->replicas : s->nodes_n;
    const char *id = u->reel->video.video_id.s;
    for (unsigned i = 0; i < s->nodes_n; i++) {
        copies += holds(&s->nodes[i], u->reel);
        lists += listed(&s->nodes[i], u);
    }
    if (u->contested && lists == 0) /* another has the name; but it is not lost */
        return copies ? true : miss(s, "%s, contested, has no copy any more", id);
    if (lists < s->nodes_n)
        return miss(s, "%s is listed by %u of %u edges", id, lists, s->nodes_n);
    return copies >= wanted || miss(s, "%s has %u copies, not %u", id, copies, wanted);
}

static bool gone(struct sim *s, const struct upload *u)
{
    for (unsigned i = 0; i < s->nodes_n; i++) {
        const struct node *n = &s->nodes[i];
        if (listed(n, u))
            return miss(s, "%s was deleted, and %s lists it", u->reel->video.video_id.s,
                        n->member.id.s);
        if (memory_store_parts(n->store, &u->reel->stream))
            return miss(s, "%s was deleted, and %s has bytes of it", u->reel->video.video_id.s,
                        n->member.id.s);
    }
    return true;
}

/* No edge lists a live whose streamer has stopped. */
static bool over(struct sim *s)
{
    for (unsigned k = 0; k < s->lives_n; k++)
        for (unsigned i = 0; i < s->nodes_n; i++) {
            const struct live *l = &s->lives[k];
            struct hash stream;
            if (l->reel &&
                memory_store_listed(s->nodes[i].store, &l->reel->video.video_id, &stream))
                return miss(s, "%s is over, and %s lists it", l->reel->video.video_id.s,
                            s->nodes[i].member.id.s);
        }
    return true;
}

static bool agree(struct sim *s)
{
    struct hash first = {0};
    struct catalogue_root root = {0};
    for (unsigned i = 0; i < s->nodes_n; i++) {
        struct arena arena = {0};
        struct hash dump = hash_of(memory_store_dump(s->nodes[i].store, &arena), (struct slice){0});
        struct catalogue_root its = memory_store_root(s->nodes[i].store);
        arena_release(&arena);
        if (i == 0) {
            first = dump;
            root = its;
        }
        if (!hash_eq(&dump, &first))
            return miss(s, "edge1 and %s differ", s->nodes[i].member.id.s);
        if (memcmp(&its, &root, sizeof(root)) != 0)
            return miss(s, "the roots of edge1 and %s differ", s->nodes[i].member.id.s);
    }
    return true;
}

static bool all_holds(struct sim *s)
{
    for (unsigned i = 0; i < s->streamers_n; i++) {
        const struct streamer *st = &s->streamers[i];
        if (!streamer_done(st))
            return miss(s, "%s waits for an answer", st->member.id.s);
        for (size_t k = 0; k < st->n; k++) {
            const struct upload *u = &st->uploads[k];
            bool excused = s->clocks_way_off || (s->has_liar && forgotten(s, 0, u));
            if (u->deleted ? !excused && !gone(s, u) : u->acked && !u->deleting && !kept(s, u))
                return false;
        }
    }
    const struct node *other = auth_differs(s);
    if (other)
        return miss(s, "edge1 and %s have different lists of who is revoked", other->member.id.s);
    return over(s) && agree(s);
}

void verdict_look(struct sim *s)
{
    struct verdict *v = s->verdict;
    for (unsigned n = 0; n < s->nodes_n; n++)
        for (unsigned i = 0; i < s->streamers_n; i++)
            for (size_t k = 0; k < s->streamers[i].n; k++)
                check_deleted(s, n, i, k);
    auth_check(s);
    sim_at(s, s->now_us + LOOK_EVERY_US, HAPPEN_LOOK, 0, 0, NULL);
    if (!s->healed)
        return;
    if (!all_holds(s))
        v->good_us = 0;
    else if (!v->good_us)
        v->good_us = s->now_us;
    s->finished = v->good_us && s->now_us >= v->good_us + LASTS_US;
    /* A live that ended by a clock that was ahead is over when that time has come. */
    uint64_t patience_us = SETTLE_S * SIM_S + (s->lives_n ? s->ahead_us : 0);
    if (!s->finished && s->now_us > s->heal_us + patience_us)
        sim_fail(s, "%s, %u minutes after all was well again", v->missing,
                 (unsigned)(patience_us / SIM_S / 60));
}
