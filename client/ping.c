/* edgectl ping: which edges answer, best first. */
#include "base/check.h"
#include "base/date.h"
#include "base/mem.h"
#include "client/choose.h"
#include "client/say.h"

#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS_MAX = 60000 };

static struct option options_ping[] = {
    {.name = "wait",
     .env = "EDGECTL_WAIT",
     .help = "how long answers are collected, in ms",
     .fallback = "1000",
     .kind = OPTION_UINT,
     .min = 1,
     .max = WAIT_MS_MAX},
    OPTIONS_COMMON,
};

/* A time, or "" for none. */
static const char *when(uint64_t utc_us, char buf[static ISO8601_BYTES])
{
    buf[0] = '\0';
    if (utc_us)
        clock_iso8601(utc_us, buf);
    return buf;
}

static void print_json(const struct edge_answer *edges, size_t n)
{
    struct json_text j = {.file = stdout};
    json_text_open(&j, NULL, '[');
    for (size_t i = 0; i < n; i++) {
        const struct edge_answer *e = &edges[i];
        char at[ISO8601_BYTES];
        json_text_open(&j, NULL, '{');
        json_text_str(&j, "edge_id", id_slice(&e->edge_id));
        json_text_str(&j, "zone", id_slice(&e->zone_id));
        json_text_real(&j, "rtt_ms", e->rtt_ms);
        json_text_real(&j, "score", e->score);
        json_text_real(&j, "cpu_percent", e->load.cpu_percent);
        json_text_real(&j, "memory_percent", e->load.memory_percent);
        json_text_real(&j, "disk_percent", e->load.disk_percent);
        json_text_uint(&j, "disk_free_bytes", e->load.disk_free);
        json_text_uint(&j, "streams", e->streams);
        json_text_uint(&j, "viewers", e->viewers);
        json_text_uint(&j, "uptime_s", e->uptime_s);
        json_text_str(&j, "version", slice_str(e->version));
        json_text_uint(&j, "revocations", e->contact.revocations);
        json_text_str(&j, "revocations_issued", slice_str(when(e->contact.issued_us, at)));
        json_text_bool(&j, "auth_edge_away", e->contact.away);
        json_text_str(&j, "auth_edge_away_since",
                      slice_str(when(e->contact.away ? e->contact.since_us : 0, at)));
        json_text_close(&j, '}');
    }
    json_text_close(&j, ']');
    putchar('\n');
}

static bool any_away(const struct edge_answer *edges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (edges[i].contact.away)
            return true;
    return false;
}

static void print_table(const struct edge_answer *edges, size_t n)
{
    bool away = any_away(edges, n);
    printf("%-16s %-12s %9s %6s %6s %6s %8s %8s %8s%s\n", "EDGE", "ZONE", "RTT ms", "CPU %",
           "MEM %", "DISK %", "STREAMS", "VIEWERS", "SCORE", away ? "  AUTH_EDGE AWAY SINCE" : "");
    for (size_t i = 0; i < n; i++) {
        const struct edge_answer *e = &edges[i];
        char at[ISO8601_BYTES];
        when(e->contact.away ? e->contact.since_us : 0, at);
        printf("%-16s %-12s %9.2f %6.0f %6.0f %6.0f %8u %8u %8.1f%s%s\n", e->edge_id.s,
               e->zone_id.s, e->rtt_ms, e->load.cpu_percent, e->load.memory_percent,
               e->load.disk_percent, e->streams, e->viewers, e->score, at[0] ? "  " : "", at);
    }
}

static enum exit_status run(const struct option *options, const char *const *arguments, int n)
{
    (void)arguments;
    (void)n;
    struct session s;
    enum exit_status status = session_open(&s, options);
    if (status != STATUS_OK)
        return status;
    CLEANUP(mem_free_ptr) struct edge_answer *edges = mem_array(EDGES_MAX, sizeof(*edges));
    size_t edges_n = 0;
    enum err err = choose_collect(&s, config_uint(options, "wait") * 1000, edges, &edges_n);
    status = session_status(&s, err, "any edge");
    if (config_flag(options, "json") && (status == STATUS_OK || err == ERR_TIMEOUT))
        print_json(edges, edges_n);
    else if (status == STATUS_OK)
        print_table(edges, edges_n);
    session_close(&s);
    return status;
}

const struct command command_ping = {
    .name = "ping",
    .arguments = "",
    .summary = "every edge that answers: load, round trip; best first",
    .details =
        "Asks all edges at once and lists those that answer, best first: the order in which\n"
        "the other commands choose one. The score is 0.3 CPU % + 0.3 memory % + 0.2 disk % +\n"
        "0.2 of the round trip (1 s counts 100), and 1000 more if anything is above 90 %. Edges\n"
        "that have not heard auth_edge lately say since when: they serve on, but nobody new can\n"
        "log in, and who is revoked meanwhile is not known there.",
    .options = options_ping,
    .run = run,
};
