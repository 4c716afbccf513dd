/*
 * What goes wrong: a plan drawn at the beginning. Every trouble ends, at the
 * latest when all of them do (heal_us).
 */
#include "tests/sim/sim.h"

#include <stdio.h>

enum {
    WAY_OFF_S = 40 * 24 * 3600, /* beyond every horizon */
    HEAL = TROUBLES_MAX,        /* entry of the plan that ends it all */
    START = TROUBLES_MAX + 1,   /* and from there on: an edge that begins late */
};

static int64_t wrong_clock(struct sim *s)
{
    static const int64_t by_s[] = {3, 40, 200, 400, 3600, 7200};
    int64_t by = by_s[sim_random(s, 6)];
    if (sim_chance(s, 12))
        by = WAY_OFF_S;
    if ((uint64_t)by * SIM_S + 3600 * SIM_S > s->kept_us)
        s->clocks_way_off = true;
    bool ahead = sim_chance(s, 2);
    if (ahead && (uint64_t)by * SIM_S > s->ahead_us)
        s->ahead_us = (uint64_t)by * SIM_S;
    return (ahead ? by : -by) * (int64_t)SIM_S;
}

/*
 * A cluster that is in two parts for longer than deletions are kept has two catalogues, each of
 * which was agreed upon: nothing tells which deletions the other part has forgotten. That is said
 * in docs/PROTOCOL.md; it is not simulated.
 */
static uint64_t longest(const struct sim *s, enum trouble_kind kind, uint64_t longest_us)
{
    bool apart = kind == TROUBLE_SPLIT || kind == TROUBLE_STORM;
    return apart && longest_us > s->kept_us / 3 ? s->kept_us / 3 : longest_us;
}

static void plan_trouble(struct sim *s, unsigned i, uint64_t longest_us)
{
    struct trouble *t = &s->troubles[i];
    uint64_t room = s->heal_us - s->now_us;
    t->kind = (enum trouble_kind)sim_random(s, TROUBLE_STORM + 1);
    t->edge = (unsigned)sim_random(s, s->nodes_n);
    t->begin_us = s->now_us + sim_random(s, room);
    t->end_us = t->begin_us + SIM_S + sim_random(s, longest(s, t->kind, longest_us));
    t->end_us = t->end_us < s->heal_us ? t->end_us : s->heal_us;
    t->skew_us = t->kind == TROUBLE_CLOCK ? wrong_clock(s) : 0;
    sim_at(s, t->begin_us, HAPPEN_CHAOS, i, 0, NULL);
    sim_at(s, t->end_us, HAPPEN_CHAOS, i, 0, NULL);
}

void chaos_plan(struct sim *s)
{
    static const unsigned losses[] = {0, 0, 5, 20, 100};
    static const uint64_t delays[] = {10 * 1000, 50 * 1000, 400 * 1000, 3000 * 1000};
    static const uint64_t caches[] = {0, 16 * 1024, 64 * 1024};
    bool lasting = s->lasting = sim_chance(s, 16);
    uint64_t lasts_us = (60 + sim_random(s, 180)) * SIM_S;
    if (lasting)
        lasts_us = (3600 + sim_random(s, 4 * 3600)) * SIM_S;
    s->heal_us = s->now_us + lasts_us;
    s->replicas = 1 + (unsigned)sim_random(s, 3);
    s->grace_us = (20 + sim_random(s, 60)) * SIM_S;
    s->kept_us = lasting ? 2 * 3600 * SIM_S : 720 * 3600 * SIM_S;
    s->cache_bytes = caches[sim_random(s, 3)];
    s->loss_per_mille = losses[sim_random(s, 5)];
    s->double_per_mille = losses[sim_random(s, 5)];
    s->delay_us_max = delays[sim_random(s, 4)];
    s->troubles_n = sim_random(s, 12);
    for (unsigned i = 0; i < s->troubles_n; i++)
        plan_trouble(s, i, lasting ? lasts_us : 60 * SIM_S);
    sim_at(s, s->heal_us, HAPPEN_CHAOS, HEAL, 0, NULL);
    for (unsigned i = 0; i < s->nodes_n; i++) {
        struct node *n = &s->nodes[i];
        n->skew_us = (int64_t)sim_random(s, 4 * SIM_S) - (int64_t)(2 * SIM_S);
        n->spared = i && sim_chance(s, 8);
        uint64_t late = n->spared ? sim_random(s, lasts_us) : sim_random(s, SIM_S);
        sim_at(s, s->now_us + late, HAPPEN_CHAOS, START + i, 0, NULL);
    }
}

static void divide(struct sim *s, bool apart)
{
    for (size_t i = 0; i < s->clients_n; i++)
        s->clients[i].group = apart ? (unsigned)sim_random(s, 2) : 0;
    trace_line(s, apart ? "the broker falls apart" : "the broker is one again");
}

static void storm(struct sim *s, bool begins)
{
    s->loss_per_mille += begins ? 300u : -300u;
    s->double_per_mille += begins ? 100u : -100u;
    trace_line(s, begins ? "a storm begins" : "the storm is over");
}

static void turn(struct sim *s, struct trouble *t)
{
    struct node *n = &s->nodes[t->edge];
    bool begins = t->under_way = !t->under_way;
    switch (t->kind) {
    case TROUBLE_CRASH:
        if (begins)
            node_crash(s, t->edge);
        else if (!n->core)
            node_start(s, t->edge);
        break;
    case TROUBLE_STOP:
        if (begins)
            node_stop(s, t->edge);
        else
            node_crash(s, t->edge);
        if (!begins)
            node_start(s, t->edge);
        break;
    case TROUBLE_LINK: node_link(s, t->edge, !begins); break;
    case TROUBLE_SPLIT: divide(s, begins); break;
    case TROUBLE_CLOCK:
        n->skew_us += begins ? t->skew_us : -t->skew_us;
        trace_line(s, "the clock of %s is off by %.1f s", n->member.id.s,
                   (double)n->skew_us / (double)SIM_S);
        break;
    case TROUBLE_DISK:
        n->full = begins;
        trace_line(s, "the disk of %s is %s", n->member.id.s, begins ? "full" : "not full");
        break;
    case TROUBLE_STORM: storm(s, begins); break;
    }
}

static void heal(struct sim *s)
{
    for (size_t i = 0; i < s->troubles_n; i++)
        if (s->troubles[i].under_way)
            turn(s, &s->troubles[i]);
    s->healed = true;
    s->liar.on = false;
    divide(s, false);
    for (unsigned i = 0; i < s->nodes_n; i++) {
        s->nodes[i].full = s->nodes[i].spared = false;
        if (!s->nodes[i].core)
            node_start(s, i);
        node_link(s, i, true);
    }
    trace_line(s, "all is well again");
}

void chaos_happen(struct sim *s, unsigned entry)
{
    if (entry >= START) {
        struct node *n = &s->nodes[entry - START];
        n->spared = false;
        if (!n->core)
            node_start(s, entry - START);
    } else if (entry == HEAL) {
        heal(s);
    } else {
        struct trouble *t = &s->troubles[entry];
        /* An edge that has not begun yet, or all that is over. */
        if (!s->healed && (t->under_way || !s->nodes[t->edge].spared))
            turn(s, t);
    }
}
