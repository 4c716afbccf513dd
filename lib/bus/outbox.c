/*
 * The sending half of a lane.
 *
 *   bus_publish ──▶ queued ──outbox_send_one──▶ under way ──done(ok)──▶ given back
 *                      (by the publisher, while there is room in the window; else by the bus's
 * thread) ▲   │                          │ │   └─ outbox_drop_aged ──▶    │ the connection died:
 *                   └──────── outbox_requeue ◀─────┘ conn_rebuild
 *
 * I1  Queued items are in the order of their sequence numbers, and all of them
 *     are younger than those under way. One thread at a time hands a lane's
 *     items to Paho (lane->sending).
 * I2  outbox_bytes and outbox_messages count every item from bus_publish until
 *     give_back.
 * I3  At most BUS_WINDOW items are under way: more makes Paho hoard, fewer
 *     leaves a long line idle.
 * I4  An item that was under way when SUSPECT_TRIES connections died is sent
 *     alone: if it is what kills them, it takes no neighbour along when it is
 *     given up.
 * I5  Nothing is sent before the lane is up, so that a request that waited for
 *     the connection finds its reply topic subscribed.
 * I6  While publishers come by, they refill the window. The bus's thread is woken for it when
 *     half of it has gone: done() is called with Paho's lock held, and a thread woken there for
 *     every message would only run into that lock.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bus/internal.h"

#include <stdlib.h>

enum { SUSPECT_TRIES = 2, REFILL_AT = BUS_WINDOW / 2, PUBLISHER_SENDS_MAX = 2, US_PER_MS = 1000 };

void outgoing_free_list(struct outgoing *list)
{
    while (list) {
        struct outgoing *next = list->next;
        msg_unref(list->msg);
        free(list);
        list = next;
    }
}

static bool at_most_half(const struct lane *lane)
{
    return lane->outbox_bytes <= lane->outbox_bytes_max / 2 &&
           lane->outbox_messages <= lane->outbox_messages_max / 2;
}

/* Relaxed: who was told of the change, by an event or as the publisher, has had the lock since.
 * [locked] */
static void room_refresh(struct lane *lane)
{
    bool full = lane->outbox_messages >= lane->outbox_messages_max;
    atomic_store_explicit(&lane->outbox_free_bytes,
                          full ? 0 : lane->outbox_bytes_max - lane->outbox_bytes,
                          memory_order_relaxed);
}

static void give_back(struct lane *lane, const struct outgoing *item)
{
    CHECK(lane->outbox_bytes >= item->bytes && lane->outbox_messages > 0); /* I2 */
    lane->outbox_bytes -= item->bytes;
    lane->outbox_messages--;
    room_refresh(lane);
    if (lane->drain_wanted && at_most_half(lane)) {
        lane->drain_wanted = false;
        lane->drained = true;
        events_refresh(lane->bus);
    }
    if (lane->outbox_messages == 0)
        pthread_cond_broadcast(&lane->bus->emptied);
}

static struct outgoing *pop(struct lane *lane)
{
    struct outgoing *item = lane->head;
    lane->head = item->next;
    if (!lane->head)
        lane->tail = &lane->head;
    item->next = NULL;
    return item;
}

static void insert_by_seq(struct outgoing **list, struct outgoing *item)
{
    while (*list && (*list)->seq < item->seq)
        list = &(*list)->next;
    item->next = *list;
    *list = item;
}

static struct outgoing *take_under_way(struct conn *conn)
{
    struct outgoing *list = NULL;
    for (int i = 0; i < BUS_WINDOW; i++) {
        if (conn->slots[i].item)
            insert_by_seq(&list, conn->slots[i].item);
        conn->slots[i].item = NULL;
    }
    conn->in_flight = 0;
    conn->alone = false;
    return list;
}

struct outgoing *outbox_requeue(struct lane *lane)
{
    struct outgoing *back = take_under_way(lane->send);
    struct outgoing *given_up = NULL;
    for (struct outgoing **at = &back; *at;) {
        struct outgoing *item = *at;
        if (++item->tries < BUS_SEND_TRIES_MAX) {
            lane->counters.resent++;
            at = &item->next;
            continue;
        }
        *at = item->next;
        item->next = given_up;
        given_up = item;
        lane->counters.send_failures++;
        give_back(lane, item);
    }
    if (back) {
        struct outgoing *last = back;
        while (last->next)
            last = last->next;
        CHECK(!lane->head || last->seq < lane->head->seq); /* I1 */
        last->next = lane->head;
        if (!lane->head)
            lane->tail = &last->next;
        lane->head = back;
    }
    return given_up;
}

uint64_t outbox_age_deadline(const struct lane *lane)
{
    if (lane->up || !lane->head)
        return UINT64_MAX;
    uint64_t since_us =
        lane->head->queued_us > lane->down_us ? lane->head->queued_us : lane->down_us;
    return since_us + (uint64_t)BUS_SEND_AGE_MAX_MS * US_PER_MS;
}

struct outgoing *outbox_drop_aged(struct lane *lane, uint64_t now_us)
{
    struct outgoing *aged = NULL;
    while (now_us >= outbox_age_deadline(lane)) {
        struct outgoing *item = pop(lane);
        item->next = aged;
        aged = item;
        lane->counters.dropped_age++;
        give_back(lane, item);
    }
    return aged;
}

bool outbox_can_send(const struct lane *lane)
{
    const struct conn *conn = lane->send;
    if (!lane->up || !lane->head || lane->sending || conn->in_flight == BUS_WINDOW || conn->alone)
        return false; /* I1, I3, I4, I5 */
    return lane->head->tries < SUSPECT_TRIES || conn->in_flight == 0;
}

static struct slot *free_slot(struct conn *conn)
{
    int i = 0;
    while (conn->slots[i].item)
        i++;
    return &conn->slots[i];
}

/* Take the item out of its slot; the connection has answered for it. */
static struct outgoing *slot_empty(struct slot *slot)
{
    struct outgoing *item = slot->item;
    slot->item = NULL;
    slot->conn->in_flight--;
    slot->conn->alone = false;
    give_back(slot->conn->lane, item);
    return item;
}

void outbox_send_one(struct lane *lane, uint64_t now_us)
{
    struct conn *conn = lane->send;
    struct bus *bus = lane->bus;
    struct slot *slot = free_slot(conn);
    struct outgoing *item = pop(lane);
    slot->item = item;
    conn->alone = item->tries >= SUSPECT_TRIES;
    if (conn->in_flight++ == 0)
        conn->progress_us = now_us;
    lane->sending = true;
    pthread_mutex_unlock(&bus->lock);
    /* Once Paho has it, done() may free the item at any moment. */
    enum err err = paho_publish(conn->paho, item->topic, item->msg->payload, item->qos,
                                item->retained, &slot->send);
    struct outgoing *refused = NULL;
    pthread_mutex_lock(&bus->lock);
    lane->sending = false;
    if (err == ERR_CLOSED) {
        conn_break(conn, "connection lost");
    } else if (err != ERR_OK) {
        lane->counters.send_failures++;
        refused = slot_empty(slot);
    }
    if (refused) {
        pthread_mutex_unlock(&bus->lock);
        outgoing_free_list(refused);
        pthread_mutex_lock(&bus->lock);
    }
}

void outbox_send_done(struct paho_send *send, bool ok)
{
    struct slot *slot = (struct slot *)send;
    struct conn *conn = slot->conn;
    struct bus *bus = conn->bus;
    struct outgoing *item = NULL;
    pthread_mutex_lock(&bus->lock);
    if (!ok) {
        conn_break(conn, "connection lost");
    } else if (slot->item) {
        conn->lane->counters.sent++;
        conn->lane->counters.sent_bytes += slot->item->msg->payload.len;
        conn->progress_us = clock_mono_us();
        item = slot_empty(slot);
        if (outbox_can_send(conn->lane) && conn->in_flight <= REFILL_AT)
            pthread_cond_signal(&bus->work); /* I6 */
    }
    pthread_mutex_unlock(&bus->lock);
    outgoing_free_list(item);
}

void outbox_release(struct lane *lane)
{
    if (lane->send)
        outgoing_free_list(take_under_way(lane->send));
    outgoing_free_list(lane->head);
    lane->head = NULL;
}

static struct outgoing *outgoing_new(struct slice topic, struct msg *payload, int qos,
                                     bool retained)
{
    struct outgoing *item = mem_alloc_raw(sizeof(*item) + topic.len + 1);
    *item = (struct outgoing){.msg = msg_ref(payload),
                              .queued_us = clock_mono_us(),
                              .bytes = topic.len + payload->payload.len,
                              .qos = qos,
                              .retained = retained};
    memcpy(item->topic, topic.ptr, topic.len);
    item->topic[topic.len] = '\0';
    return item;
}

/* Queue the item unless there is no room. [locked] */
static enum err append(struct lane *lane, struct outgoing *item)
{
    if (lane->bus->closing)
        return ERR_CLOSED;
    if (item->bytes > lane->outbox_bytes_max - lane->outbox_bytes ||
        lane->outbox_messages >= lane->outbox_messages_max) {
        lane->drain_wanted = true;
        lane->counters.dropped_outbox++;
        return ERR_LIMIT;
    }
    item->seq = lane->next_seq++;
    lane->outbox_bytes += item->bytes;
    lane->outbox_messages++;
    room_refresh(lane);
    if (!at_most_half(lane))
        lane->drain_wanted = true;
    *lane->tail = item;
    lane->tail = &item->next;
    return ERR_OK;
}

/*
 * What the window takes goes to Paho from here, which saves a change of threads; the rest is the
 * bus's thread's. Not while a connection is being made: Paho then holds its lock for as long as a
 * name server takes. [locked, unlocks]
 */
static void send_or_wake(struct lane *lane)
{
    for (int n = 0; n < PUBLISHER_SENDS_MAX && bus_steady(lane->bus) && outbox_can_send(lane); n++)
        outbox_send_one(lane, clock_mono_us());
    if (outbox_can_send(lane) || lane->send->state == CONN_BROKEN)
        pthread_cond_signal(&lane->bus->work);
}

enum err bus_publish(struct bus *bus, int lane_index, struct slice topic, struct msg *payload,
                     int qos, bool retained)
{
    CHECK(lane_index >= 0 && lane_index < bus->lanes_n && (qos == 0 || qos == 1));
    if (!text_is_topic(topic))
        return ERR_FORMAT;
    struct outgoing *item = outgoing_new(topic, payload, qos, retained);
    pthread_mutex_lock(&bus->lock);
    enum err err = append(&bus->lanes[lane_index], item);
    if (err == ERR_OK)
        send_or_wake(&bus->lanes[lane_index]);
    pthread_mutex_unlock(&bus->lock);
    if (err != ERR_OK)
        outgoing_free_list(item);
    return err;
}

size_t bus_outbox_free_bytes(struct bus *bus, int lane_index)
{
    CHECK(lane_index >= 0 && lane_index < bus->lanes_n);
    return atomic_load_explicit(&bus->lanes[lane_index].outbox_free_bytes, memory_order_relaxed);
}
