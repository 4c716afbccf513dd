/*
 * What edges say to each other: publishes on the catalogue's topics, counted as a subscriber of
 * its own sees them, and what each edge says of its catalogue. A line of JSON whenever something
 * new was heard (at most every TELL_US), until it is killed.
 */
#include "base/check.h"
#include "base/clock.h"
#include "bench/load/load.h"
#include "trust/object.h"
#include "wire/presence.h"

#include <stdio.h>

enum { EDGES_MAX = 16, TELL_US = 100 * 1000 };

struct flow {
    const char *name;
    uint64_t messages;
    uint64_t payload_bytes;
    uint64_t packet_bytes; /* the whole PUBLISH: with its header and topic */
    uint64_t first_us, last_us;
};

enum flow_number { FLOW_BEAT, FLOW_BEAT_CREDENTIAL, FLOW_DB, FLOW_PAGE, FLOW_SYNC, FLOW_UPDATE };

struct tally {
    struct flow flows[FLOW_UPDATE + 1];
    struct edge_heard {
        struct node_status status;
        uint64_t at_us;
    } edges[EDGES_MAX];
    size_t edges_n;
    bool news;
};

static struct tally tally = {.flows = {[FLOW_BEAT] = {.name = "beat"},
                                       [FLOW_BEAT_CREDENTIAL] = {.name = "beat_credential"},
                                       [FLOW_DB] = {.name = "db"},
                                       [FLOW_PAGE] = {.name = "page"},
                                       [FLOW_SYNC] = {.name = "sync"},
                                       [FLOW_UPDATE] = {.name = "update"}}};

static enum flow_number flow_of(struct slice topic)
{
    if (slice_eq_str(topic, "db"))
        return FLOW_DB;
    if (slice_eq_str(topic, "db/update"))
        return FLOW_UPDATE;
    if (slice_starts(topic, "db/sync/"))
        return FLOW_SYNC;
    return slice_starts(topic, "edge/status/") ? FLOW_BEAT : FLOW_PAGE;
}

static struct edge_heard *edge_of(const struct id *id)
{
    for (size_t i = 0; i < tally.edges_n; i++)
        if (id_eq(&tally.edges[i].status.edge_id, id))
            return &tally.edges[i];
    if (tally.edges_n == EDGES_MAX)
        die("there are more than %d edges", EDGES_MAX);
    return &tally.edges[tally.edges_n++];
}

/* Signatures are not looked at: only edges of this bench are here. */
static enum flow_number status_heard(struct slice payload)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct edge_status said;
    struct node_status status;
    struct slice body;
    struct signature sig;
    if (edge_status_decode(payload, &arena, &said) != ERR_OK ||
        signed_split(said.signed_status, &body, &sig) != ERR_OK ||
        node_status_decode(body, &status) != ERR_OK)
        return FLOW_BEAT; /* a last will */
    *edge_of(&status.edge_id) = (struct edge_heard){status, clock_utc_us()};
    return said.credential.len ? FLOW_BEAT_CREDENTIAL : FLOW_BEAT;
}

static void heard(struct mq *mq, struct slice topic, struct slice payload)
{
    enum flow_number number = flow_of(topic);
    if (number == FLOW_BEAT)
        number = status_heard(payload);
    struct flow *f = &tally.flows[number];
    size_t len = 2 + topic.len + 2 + payload.len; /* a length, and the packet's id */
    (void)mq;
    f->messages++;
    f->payload_bytes += payload.len;
    f->packet_bytes += len + 1 + (len < 128 ? 1 : len < 16384 ? 2 : 3);
    f->last_us = clock_utc_us();
    f->first_us = f->first_us ? f->first_us : f->last_us;
    tally.news = true;
}

static unsigned long long u(uint64_t x)
{
    return (unsigned long long)x;
}

static void tell(void)
{
    printf("{\"at_us\":%llu,\"flows\":{", u(clock_utc_us()));
    for (size_t i = 0; i <= FLOW_UPDATE; i++) {
        const struct flow *f = &tally.flows[i];
        printf("%s\"%s\":{\"messages\":%llu,\"payload_bytes\":%llu,\"packet_bytes\":%llu,"
               "\"first_us\":%llu,\"last_us\":%llu}",
               i ? "," : "", f->name, u(f->messages), u(f->payload_bytes), u(f->packet_bytes),
               u(f->first_us), u(f->last_us));
    }
    printf("},\"edges\":{");
    for (size_t i = 0; i < tally.edges_n; i++) {
        const struct node_status *s = &tally.edges[i].status;
        char root[2 * NODE_ROOT_BYTES + 1];
        hex_encode(slice_of(s->root, NODE_ROOT_BYTES), root);
        printf("%s\"%s\":{\"state\":%d,\"horizon_us\":%llu,\"root\":\"%s\",\"at_us\":%llu}",
               i ? "," : "", s->edge_id.s, s->state, u(s->horizon_us), root,
               u(tally.edges[i].at_us));
    }
    puts("}}");
    fflush(stdout);
    tally.news = false;
}

int tally_main(struct load *load)
{
    static const char *const filters[] = {"edge/status/+", "db", "db/+", "db/sync/+"};
    struct mq mq;
    mq_open(&mq, &load->loop, load->broker, load->id, REPLY_OUT_PACKETS, heard, NULL, 0);
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        mq_subscribe(&mq, filters[i], 1);
    load_settle(load, &mq, 1);
    tell();
    for (uint64_t told_us = 0;;) {
        mq_run(&load->loop, TELL_US);
        if (tally.news && clock_mono_us() >= told_us + TELL_US) {
            told_us = clock_mono_us();
            tell();
        }
    }
}
