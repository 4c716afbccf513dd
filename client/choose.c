/* Why: every command but login must pick an edge, and all of them the same way. */
#include "client/choose.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "client/say.h"

#include <stdio.h>
#include <stdlib.h>

bool edges_next(struct slice *edges, struct id *ret)
{
    while (edges->len) {
        const uint8_t *comma = memchr(edges->ptr, ',', edges->len);
        size_t n = comma ? (size_t)(comma - edges->ptr) : edges->len;
        enum err err = id_parse(slice_of(edges->ptr, n), ret);
        *edges = slice_from(*edges, comma ? n + 1 : n);
        if (err == ERR_OK)
            return true;
    }
    return false;
}

bool edges_have(struct slice edges, const struct id *id)
{
    struct id one;
    while (edges_next(&edges, &one))
        if (id_eq(&one, id))
            return true;
    return false;
}

double choose_score(const struct machine_load *load, double rtt_ms)
{
    double latency = rtt_ms < CHOOSE_RTT_MS_MAX ? rtt_ms : CHOOSE_RTT_MS_MAX;
    double score = 0.3 * load->cpu_percent + 0.3 * load->memory_percent + 0.2 * load->disk_percent +
                   0.2 * latency / 10;
    bool overloaded = load->cpu_percent > CHOOSE_OVERLOAD_PERCENT ||
                      load->memory_percent > CHOOSE_OVERLOAD_PERCENT ||
                      load->disk_percent > CHOOSE_OVERLOAD_PERCENT;
    return overloaded ? score + CHOOSE_OVERLOAD_PENALTY : score;
}

struct collection {
    uint64_t asked_us;
    struct edge_answer *edges;
    size_t n;
};

static bool known(const struct collection *c, const struct id *edge_id)
{
    for (size_t i = 0; i < c->n; i++)
        if (id_eq(&c->edges[i].edge_id, edge_id))
            return true;
    return false;
}

/* The first answer of each edge counts. */
static enum answer take_answer(void *context, const struct topic *topic, struct slice payload)
{
    struct collection *c = context;
    CLEANUP(arena_release) struct arena arena = {0};
    struct ping_reply reply;
    if (topic->kind != TOPIC_PING_REPLY || c->n == EDGES_MAX ||
        ping_reply_decode(payload, &arena, &reply) != ERR_OK || known(c, &reply.edge_id))
        return ANSWER_STRAY;
    struct edge_answer *edge = &c->edges[c->n++];
    *edge = (struct edge_answer){.edge_id = reply.edge_id,
                                 .zone_id = reply.zone_id,
                                 .load = reply.load,
                                 .streams = reply.streams,
                                 .viewers = reply.viewers,
                                 .uptime_s = reply.uptime_s,
                                 .contact = reply.contact,
                                 .rtt_ms = (double)(clock_mono_us() - c->asked_us) / 1000};
    edge->score = choose_score(&edge->load, edge->rtt_ms);
    text_safe(reply.version, edge->version, sizeof(edge->version));
    if (reply.token.len == TOKEN_BYTES) {
        memcpy(edge->token, reply.token.ptr, TOKEN_BYTES);
        edge->token_len = TOKEN_BYTES;
    }
    return ANSWER_TAKEN;
}

static int by_score(const void *a, const void *b)
{
    const struct edge_answer *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return strcmp(x->edge_id.s, y->edge_id.s);
}

static enum err collect_more(struct session *s, struct collection *c, uint64_t until_us)
{
    while (clock_mono_us() < until_us) {
        CLEANUP(msg_unref_ptr) struct msg *msg = NULL;
        struct topic topic;
        enum session_news news = session_wait(s, until_us, &msg, &topic);
        if (news == SESSION_STOP)
            return ERR_CLOSED;
        if (news == SESSION_MESSAGE && take_answer(c, &topic, msg->payload) == ANSWER_STRAY)
            s->strays++;
    }
    return ERR_OK;
}

enum err choose_collect(struct session *s, uint64_t wait_us,
                        struct edge_answer ret_edges[static EDGES_MAX], size_t *ret_n)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct slice self = id_slice(&s->id);
    enum err err = session_subscribe(s, TOPIC_PING_REPLY, self, (struct slice){0});
    if (err != ERR_OK)
        return err;
    struct ping_request request = {.client_id = self};
    struct collection c = {.edges = ret_edges, .asked_us = clock_mono_us()};
    struct ask ask = {.kind = TOPIC_PING,
                      .payload = ping_request_encode(&request, &arena),
                      .take = take_answer,
                      .context = &c};
    uint64_t until_us = c.asked_us + wait_us;
    err = session_ask(s, &ask, wait_us);
    if (err == ERR_TIMEOUT && wait_us < s->timeout_us) {
        c.asked_us = clock_mono_us();
        err = session_ask(s, &ask, s->timeout_us - wait_us);
    }
    if (err == ERR_OK)
        err = collect_more(s, &c, until_us);
    session_unsubscribe(s, TOPIC_PING_REPLY, self, (struct slice){0});
    if (err != ERR_OK)
        return err;
    qsort(ret_edges, c.n, sizeof(*ret_edges), by_score);
    *ret_n = c.n;
    return ERR_OK;
}

enum exit_status choose_edge(struct session *s, const struct option *options,
                             const struct id *zone_id, struct id *ret)
{
    const char *named = config_text(options, "edge");
    if (named) {
        if (id_parse(slice_str(named), ret) == ERR_OK)
            return STATUS_OK;
        say("--edge '%s' is no edge id: give 1 to %d of [A-Za-z0-9_-]", named, ID_BYTES_MAX);
        return STATUS_USAGE;
    }
    CLEANUP(mem_free_ptr) struct edge_answer *edges = mem_array(EDGES_MAX, sizeof(*edges));
    size_t n;
    enum err err = choose_collect(s, CHOOSE_WAIT_US, edges, &n);
    if (err != ERR_OK)
        return session_status(s, err, "any edge (ping)");
    for (size_t i = 0; i < n; i++)
        if (!zone_id || edges[i].zone_id.s[0] == '\0' || id_eq(&edges[i].zone_id, zone_id)) {
            *ret = edges[i].edge_id;
            return STATUS_OK;
        }
    say("%zu edges answered, but none of zone %s", n, zone_id->s);
    return STATUS_FAILED;
}
