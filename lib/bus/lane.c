/*
 * The receiving half of a lane: its filters, its inbox, and whether it is up.
 *
 * Filter       bus_subscribe        lane_filters_step      answered
 *        FREE ───────────────▶ NEW ───────────────▶ ASKED ──────────▶ SETTLED
 *          ▲                    ▲ ▲   new session     │                  │
 *          │                    │ └───────────────────┴──────────────────┤
 *          │                    │ bus_subscribe                          │
 *          └─────────────────── GONE ◀───────────────────────────────────┘
 *           UNSUBSCRIBE sent             bus_unsubscribe (NEW: at once FREE)
 *
 * I1  A filter's number is not given away while an answer to it may come.
 * I2  A received message is charged from here until its last release, and its
 *     budget lives as long as the last of them.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bus/internal.h"

#include <stdlib.h>

static void filter_answered(struct paho_ask *ask, bool ok, bool granted)
{
    struct filter *filter = (struct filter *)ask;
    struct lane *lane = filter->lane;
    pthread_mutex_lock(&lane->bus->lock);
    if (!ok) {
        conn_break(lane->recv, "a subscription failed");
    } else if (filter->asks > 0 && --filter->asks == 0 && filter->state == FILTER_ASKED) {
        filter->state = FILTER_SETTLED;
        if (filter->report) {
            filter->report = false;
            filter->answered = true;
            filter->refused = !granted;
            lane->answers_due++;
        }
        lane_refresh(lane);
    }
    pthread_mutex_unlock(&lane->bus->lock);
}

static void inbox_budget_unref(struct inbox_budget *budget)
{
    if (atomic_fetch_sub_explicit(&budget->refs, 1, memory_order_acq_rel) == 1)
        free(budget);
}

enum err lane_init(struct lane *lane, struct bus *bus, int index,
                   const struct bus_lane_config *config)
{
    lane->bus = bus;
    lane->index = index;
    lane->outbox_bytes_max = config->outbox_bytes_max;
    lane->outbox_messages_max = config->outbox_messages_max;
    lane->tail = &lane->head;
    atomic_init(&lane->outbox_free_bytes, config->outbox_bytes_max);
    lane->inbox_budget = mem_alloc(sizeof(*lane->inbox_budget));
    lane->inbox_budget->budget.max_bytes = config->inbox_bytes_max;
    atomic_init(&lane->inbox_budget->refs, 1);
    for (int i = 0; i < BUS_FILTERS_MAX; i++)
        lane->filters[i] = (struct filter){.ask.answered = filter_answered, .lane = lane};
    if (!config->inbox_waited)
        return queue_init(&lane->inbox, config->inbox_messages_max);
    queue_init_waited(&lane->inbox, config->inbox_messages_max);
    return ERR_OK;
}

void lane_release(struct lane *lane)
{
    struct msg *msg;
    while (lane->inbox.items && (msg = queue_take(&lane->inbox, NULL)))
        msg_unref(msg);
    queue_release(&lane->inbox);
    outbox_release(lane);
    for (int i = 0; i < BUS_FILTERS_MAX; i++)
        free(lane->filters[i].text);
    if (lane->inbox_budget)
        inbox_budget_unref(lane->inbox_budget);
}

static bool filters_pending(const struct lane *lane)
{
    for (int i = 0; i < lane->filters_n; i++)
        if (lane->filters[i].state == FILTER_NEW || lane->filters[i].state == FILTER_ASKED)
            return true;
    return false;
}

void lane_refresh(struct lane *lane)
{
    bool receiving = lane->recv->state == CONN_UP;
    if (!receiving)
        lane->settled = false;
    else if (!lane->settled)
        lane->settled = !filters_pending(lane);
    bool up = receiving && lane->settled && lane->send->state == CONN_UP;
    if (lane->up && !up) {
        lane->lost_since = true;
        lane->down_us = clock_mono_us();
    }
    if (!lane->up && up)
        pthread_cond_signal(&lane->bus->work); /* what waited may go */
    lane->up = up;
    events_refresh(lane->bus);
}

void lane_forget_session(struct lane *lane)
{
    for (int i = 0; i < lane->filters_n; i++) {
        struct filter *filter = &lane->filters[i];
        filter->asks = 0;
        if (filter->state == FILTER_GONE)
            filter->state = FILTER_FREE;
        else if (filter->state != FILTER_FREE)
            filter->state = FILTER_NEW;
    }
    lane->filters_dirty = true;
}

static void filter_subscribe(struct filter *filter)
{
    struct lane *lane = filter->lane;
    struct bus *bus = lane->bus;
    char text[BUS_TOPIC_BYTES_MAX + 1]; /* ours: unlocked, the filter may change hands */
    int qos = filter->qos;
    memcpy(text, filter->text, strlen(filter->text) + 1);
    filter->state = FILTER_ASKED;
    filter->asks++;
    pthread_mutex_unlock(&bus->lock);
    enum err err = paho_subscribe(lane->recv->paho, text, qos, &filter->ask);
    pthread_mutex_lock(&bus->lock);
    if (err != ERR_OK)
        conn_break(lane->recv, "a subscription failed");
}

static void filter_unsubscribe(struct filter *filter)
{
    struct lane *lane = filter->lane;
    struct bus *bus = lane->bus;
    char *text = filter->text;
    filter->text = NULL;
    filter->state = FILTER_FREE;
    pthread_mutex_unlock(&bus->lock);
    enum err err = paho_unsubscribe(lane->recv->paho, text);
    free(text);
    pthread_mutex_lock(&bus->lock);
    if (err != ERR_OK)
        conn_break(lane->recv, "an unsubscription failed");
}

bool lane_filters_step(struct lane *lane)
{
    if (!lane->filters_dirty || lane->recv->state != CONN_UP)
        return false;
    for (int i = 0; i < lane->filters_n; i++) {
        struct filter *filter = &lane->filters[i];
        if (filter->state == FILTER_NEW)
            filter_subscribe(filter);
        else if (filter->state == FILTER_GONE)
            filter_unsubscribe(filter);
        else
            continue;
        return true;
    }
    lane->filters_dirty = false;
    lane_refresh(lane);
    return true;
}

static struct filter *filter_find(struct lane *lane, struct slice text)
{
    for (int i = 0; i < lane->filters_n; i++)
        if (lane->filters[i].state != FILTER_FREE && slice_eq_str(text, lane->filters[i].text))
            return &lane->filters[i];
    return NULL;
}

/* A filter without a text yet, or NULL when all are taken (I1). */
static struct filter *filter_new(struct lane *lane)
{
    for (int i = 0; i < lane->filters_n; i++)
        if (lane->filters[i].state == FILTER_FREE && lane->filters[i].asks == 0)
            return &lane->filters[i];
    return lane->filters_n < BUS_FILTERS_MAX ? &lane->filters[lane->filters_n++] : NULL;
}

static void answer_forget(struct filter *filter)
{
    if (filter->answered)
        filter->lane->answers_due--;
    filter->answered = false;
}

enum err bus_subscribe(struct bus *bus, int lane_index, struct slice topic_filter, int qos,
                       int *ret_filter)
{
    CHECK(lane_index >= 0 && lane_index < bus->lanes_n && (qos == 0 || qos == 1));
    if (!text_is_filter(topic_filter))
        return ERR_FORMAT;
    struct lane *lane = &bus->lanes[lane_index];
    pthread_mutex_lock(&bus->lock);
    struct filter *filter = filter_find(lane, topic_filter);
    if (!filter && (filter = filter_new(lane))) {
        free(filter->text);
        filter->text = mem_alloc(topic_filter.len + 1);
        memcpy(filter->text, topic_filter.ptr, topic_filter.len);
    }
    if (filter) {
        answer_forget(filter);
        filter->qos = qos;
        filter->report = true;
        filter->state = FILTER_NEW;
        lane->filters_dirty = true;
        events_refresh(bus);
        pthread_cond_signal(&bus->work);
        if (ret_filter)
            *ret_filter = (int)(filter - lane->filters);
    }
    pthread_mutex_unlock(&bus->lock);
    return filter ? ERR_OK : ERR_LIMIT;
}

enum err bus_unsubscribe(struct bus *bus, int lane_index, struct slice topic_filter)
{
    CHECK(lane_index >= 0 && lane_index < bus->lanes_n);
    struct lane *lane = &bus->lanes[lane_index];
    pthread_mutex_lock(&bus->lock);
    struct filter *filter = filter_find(lane, topic_filter);
    if (filter && filter->state == FILTER_GONE)
        filter = NULL;
    if (filter) {
        answer_forget(filter);
        filter->report = false;
        filter->state = lane->recv->state == CONN_UP ? FILTER_GONE : FILTER_FREE;
        lane->filters_dirty = true;
        lane_refresh(lane);
        pthread_cond_signal(&bus->work);
    }
    pthread_mutex_unlock(&bus->lock);
    return filter ? ERR_OK : ERR_UNKNOWN;
}

static void received_destroy(struct msg *msg)
{
    struct inbox_budget *budget = (struct inbox_budget *)msg->budget;
    paho_message_free((struct paho_message){.message = msg->backing[0], .topic = msg->backing[1]});
    free(msg);
    inbox_budget_unref(budget);
}

/* NULL: over the lane's bytes; the memory stays the caller's. */
static struct msg *received_new(struct lane *lane, struct slice topic, struct slice payload,
                                struct paho_message memory)
{
    size_t bytes = topic.len + payload.len + BUS_MESSAGE_OVERHEAD_BYTES;
    if (!budget_take(&lane->inbox_budget->budget, bytes))
        return NULL;
    atomic_fetch_add_explicit(&lane->inbox_budget->refs, 1, memory_order_relaxed);
    struct msg *msg = mem_alloc_raw(sizeof(*msg));
    *msg = (struct msg){
        .topic = topic,
        .payload = payload,
        .refs = 1,
        .budget = &lane->inbox_budget->budget,
        .charged_bytes = bytes,
        .destroy = received_destroy,
        .backing = {memory.message, memory.topic},
    };
    return msg;
}

/* Freeing a message is a call into Paho, so it is done unlocked (L2). */
void lane_received(struct lane *lane, struct slice topic, struct slice payload,
                   struct paho_message memory)
{
    struct msg *msg = received_new(lane, topic, payload, memory);
    size_t bytes = payload.len;
    bool taken = msg && queue_push(&lane->inbox, msg) == ERR_OK;
    if (!taken && msg)
        msg_unref(msg);
    else if (!taken)
        paho_message_free(memory);
    atomic_fetch_add_explicit(taken ? &lane->received : &lane->dropped_inbox, 1,
                              memory_order_relaxed);
    if (taken)
        atomic_fetch_add_explicit(&lane->received_bytes, bytes, memory_order_relaxed);
}
