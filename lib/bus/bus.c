/*
 * The bus's life and its thread.
 *
 * The thread does whatever is due, one thing at a time, in this order: a new
 * login; broken and waiting connections; what waited too long; subscriptions; messages, those
 * of lane 0 first, the other lanes' in turn. Then it sleeps until it is woken
 * or a deadline comes. It alone calls into Paho (internal.h, L3), but for
 * messages that find room in the window while all connections stand: those
 * go to Paho from the thread that publishes. So nothing that a program calls
 * ever waits for Paho's global lock while that waits for the network.
 *
 * I1  Between two messages of lane 0 at most one of another lane is sent.
 */
#include "bus/bus.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "bus/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WILL_PAYLOAD_BYTES_MAX = 65535, US_PER_MS = 1000, NS_PER_US = 1000, US_PER_S = 1000000 };

/* clock_mono_us is CLOCK_MONOTONIC, and so are the conditions. */
static struct timespec timespec_of(uint64_t us)
{
    return (struct timespec){.tv_sec = (time_t)(us / US_PER_S),
                             .tv_nsec = (long)(us % US_PER_S) * NS_PER_US};
}

static bool connections_step(struct bus *bus, uint64_t now_us)
{
    for (int i = 0; i < bus->lanes_n; i++)
        for (int k = 0; k < bus->lanes[i].conns_n; k++)
            if (conn_step(&bus->lanes[i].conns[k], now_us))
                return true;
    return false;
}

bool bus_steady(const struct bus *bus)
{
    if (bus->login_due)
        return false;
    for (int i = 0; i < bus->lanes_n; i++)
        for (int k = 0; k < bus->lanes[i].conns_n; k++)
            if (bus->lanes[i].conns[k].state != CONN_UP)
                return false;
    return true;
}

/* The one place where the login is exchanged: conn_connect reads it unlocked, on this thread. */
static bool login_step(struct bus *bus, uint64_t now_us)
{
    if (!bus->login_due)
        return false;
    mem_free_secret(bus->user);
    mem_free_secret(bus->password);
    bus->user = bus->next_user;
    bus->password = bus->next_password;
    bus->next_user = bus->next_password = NULL;
    bus->login_due = bus->denied_told = false;
    for (int i = 0; i < bus->lanes_n; i++)
        for (int k = 0; k < bus->lanes[i].conns_n; k++)
            conn_renew(&bus->lanes[i].conns[k], now_us);
    return true;
}

static bool age_step(struct bus *bus, uint64_t now_us)
{
    struct outgoing *aged = NULL;
    for (int i = 0; i < bus->lanes_n && !aged; i++)
        aged = outbox_drop_aged(&bus->lanes[i], now_us);
    if (!aged)
        return false;
    pthread_mutex_unlock(&bus->lock);
    outgoing_free_list(aged);
    pthread_mutex_lock(&bus->lock);
    return true;
}

static bool filters_step(struct bus *bus)
{
    for (int i = 0; i < bus->lanes_n; i++)
        if (lane_filters_step(&bus->lanes[i]))
            return true;
    return false;
}

static struct lane *lane_to_send(struct bus *bus)
{
    if (outbox_can_send(&bus->lanes[0]))
        return &bus->lanes[0];
    for (int i = 1; i < bus->lanes_n; i++) {
        bus->turn = bus->turn + 1 < bus->lanes_n ? bus->turn + 1 : 1;
        if (outbox_can_send(&bus->lanes[bus->turn]))
            return &bus->lanes[bus->turn];
    }
    return NULL;
}

static bool send_step(struct bus *bus, uint64_t now_us)
{
    struct lane *lane = lane_to_send(bus);
    if (lane)
        outbox_send_one(lane, now_us);
    return lane;
}

static void sleep_until_due(struct bus *bus)
{
    uint64_t due_us = UINT64_MAX;
    for (int i = 0; i < bus->lanes_n; i++) {
        struct lane *lane = &bus->lanes[i];
        uint64_t age_us = outbox_age_deadline(lane);
        due_us = age_us < due_us ? age_us : due_us;
        for (int k = 0; k < lane->conns_n; k++) {
            uint64_t conn_us = conn_deadline(&lane->conns[k]);
            due_us = conn_us < due_us ? conn_us : due_us;
        }
    }
    if (due_us == UINT64_MAX) {
        pthread_cond_wait(&bus->work, &bus->lock);
    } else {
        struct timespec until = timespec_of(due_us);
        pthread_cond_timedwait(&bus->work, &bus->lock, &until);
    }
}

static void *run(void *arg)
{
    struct bus *bus = arg;
    pthread_setname_np(pthread_self(), "bus");
    pthread_mutex_lock(&bus->lock);
    while (!bus->closing) {
        uint64_t now_us = clock_mono_us();
        if (!login_step(bus, now_us) && !connections_step(bus, now_us) && !age_step(bus, now_us) &&
            !filters_step(bus) && !send_step(bus, now_us))
            sleep_until_due(bus);
    }
    conn_close_all(bus);
    pthread_mutex_unlock(&bus->lock);
    return NULL;
}

static char *copy(const char *s)
{
    if (!s)
        return NULL;
    char *text = mem_alloc(strlen(s) + 1);
    memcpy(text, s, strlen(s));
    return text;
}

static enum err config_check(const struct bus_config *config, struct text_uri *ret_uri)
{
    struct id id;
    int nameless = 0;
    CHECK(config->lanes_n >= 1 && config->lanes_n <= BUS_LANES_MAX);
    for (int i = 0; i < config->lanes_n; i++) {
        struct slice name = slice_str(config->lanes[i].name);
        if (!text_is_lane_name(name))
            return ERR_FORMAT;
        nameless += name.len == 0;
    }
    CHECK(nameless == 1);
    if (id_parse(slice_str(config->client_id), &id) != ERR_OK ||
        config->will_payload.len > WILL_PAYLOAD_BYTES_MAX ||
        (config->will_topic.len && !text_is_topic(config->will_topic)))
        return ERR_FORMAT;
    return text_uri_parse(config->broker ? config->broker : "", ret_uri);
}

static void config_copy(struct bus *bus, const struct bus_config *config)
{
    bus->user = copy(config->user);
    bus->password = copy(config->password);
    bus->ca_file = copy(config->ca_file);
    bus->cert_file = copy(config->cert_file);
    bus->key_file = copy(config->key_file);
    if (config->will_topic.len) {
        bus->will_topic = mem_alloc(config->will_topic.len + 1);
        memcpy(bus->will_topic, config->will_topic.ptr, config->will_topic.len);
    }
    bus->will_payload = mem_alloc(config->will_payload.len);
    bus->will_len = config->will_payload.len;
    if (bus->will_len)
        memcpy(bus->will_payload, config->will_payload.ptr, bus->will_len);
}

static void lane_connect(struct lane *lane, const struct bus_config *config, uint64_t now_us)
{
    const struct bus_lane_config *lane_config = &config->lanes[lane->index];
    bool named = lane_config->name && lane_config->name[0];
    char id[BUS_CLIENT_ID_BYTES];
    lane->down_us = now_us;
    lane->conns_n = lane_config->separate_sender ? 2 : 1;
    lane->recv = &lane->conns[0];
    lane->send = &lane->conns[lane->conns_n - 1];
    for (int k = 0; k < lane->conns_n; k++) {
        snprintf(id, sizeof(id), "%s%s%s%s", config->client_id, named ? "-" : "",
                 named ? lane_config->name : "", k ? "-s" : "");
        conn_init(&lane->conns[k], lane, k == 0, id, now_us);
    }
}

static void conditions_init(struct bus *bus)
{
    pthread_condattr_t monotonic;
    CHECK(pthread_mutex_init(&bus->lock, NULL) == 0);
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&bus->work, &monotonic) == 0);
    CHECK(pthread_cond_init(&bus->emptied, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
}

/* Everything but the thread and the clients; those are gone or never were. */
static void bus_free(struct bus *bus)
{
    for (int i = 0; i < bus->lanes_n; i++)
        lane_release(&bus->lanes[i]);
    if (bus->events_fd >= 0)
        close(bus->events_fd);
    pthread_cond_destroy(&bus->work);
    pthread_cond_destroy(&bus->emptied);
    pthread_mutex_destroy(&bus->lock);
    mem_free_secret(bus->user);
    mem_free_secret(bus->password);
    mem_free_secret(bus->next_user);
    mem_free_secret(bus->next_password);
    free(bus->ca_file);
    free(bus->cert_file);
    free(bus->key_file);
    free(bus->will_topic);
    free(bus->will_payload);
    free(bus);
}

static enum err bus_start(struct bus *bus, const struct bus_config *config)
{
    bus->events_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bus->events_fd < 0)
        return ERR_IO;
    for (int i = 0; i < config->lanes_n; i++) {
        bus->lanes_n = i + 1;
        enum err err = lane_init(&bus->lanes[i], bus, i, &config->lanes[i]);
        if (err != ERR_OK)
            return err;
    }
    uint64_t now_us = clock_mono_us();
    for (int i = 0; i < bus->lanes_n; i++)
        lane_connect(&bus->lanes[i], config, now_us);
    int failed = pthread_create(&bus->thread, NULL, run, bus);
    if (!failed)
        return ERR_OK;
    pthread_mutex_lock(&bus->lock);
    conn_close_all(bus);
    pthread_mutex_unlock(&bus->lock);
    errno = failed;
    return ERR_IO;
}

enum err bus_open(const struct bus_config *config, struct bus **ret_bus)
{
    struct text_uri uri;
    enum err err = config_check(config, &uri);
    if (err != ERR_OK)
        return err;
    struct bus *bus = mem_alloc(sizeof(*bus));
    bus->uri = uri;
    conditions_init(bus);
    config_copy(bus, config);
    err = bus_start(bus, config);
    if (err != ERR_OK) {
        int saved = errno;
        bus_free(bus);
        errno = saved;
        return err;
    }
    *ret_bus = bus;
    return ERR_OK;
}

void bus_close(struct bus *bus)
{
    if (!bus)
        return;
    pthread_mutex_lock(&bus->lock);
    bus->closing = true;
    pthread_cond_signal(&bus->work);
    pthread_cond_broadcast(&bus->emptied);
    pthread_mutex_unlock(&bus->lock);
    CHECK(pthread_join(bus->thread, NULL) == 0);
    bus_free(bus);
}

void bus_set_login(struct bus *bus, const char *user, const char *password)
{
    char *next_user = copy(user), *next_password = copy(password);
    pthread_mutex_lock(&bus->lock);
    char *unused_user = bus->next_user, *unused_password = bus->next_password;
    bus->next_user = next_user;
    bus->next_password = next_password;
    bus->login_due = true;
    bus->denied = false;
    events_refresh(bus);
    pthread_cond_signal(&bus->work);
    pthread_mutex_unlock(&bus->lock);
    mem_free_secret(unused_user);
    mem_free_secret(unused_password);
}

static bool outboxes_empty(const struct bus *bus)
{
    for (int i = 0; i < bus->lanes_n; i++)
        if (bus->lanes[i].outbox_messages)
            return false;
    return true;
}

enum err bus_flush(struct bus *bus, uint32_t timeout_ms)
{
    struct timespec until = timespec_of(clock_mono_us() + (uint64_t)timeout_ms * US_PER_MS);
    int waited = 0;
    pthread_mutex_lock(&bus->lock);
    while (!outboxes_empty(bus) && waited == 0)
        waited = pthread_cond_timedwait(&bus->emptied, &bus->lock, &until);
    bool empty = outboxes_empty(bus);
    pthread_mutex_unlock(&bus->lock);
    return empty ? ERR_OK : ERR_TIMEOUT;
}

struct queue *bus_inbox(struct bus *bus, int lane)
{
    CHECK(lane >= 0 && lane < bus->lanes_n);
    return &bus->lanes[lane].inbox;
}

struct bus_counters bus_counters(struct bus *bus, int lane)
{
    CHECK(lane >= 0 && lane < bus->lanes_n);
    const struct lane *l = &bus->lanes[lane];
    pthread_mutex_lock(&bus->lock);
    struct bus_counters counters = l->counters;
    counters.outbox_bytes = l->outbox_bytes;
    pthread_mutex_unlock(&bus->lock);
    counters.received = atomic_load_explicit(&l->received, memory_order_relaxed);
    counters.received_bytes = atomic_load_explicit(&l->received_bytes, memory_order_relaxed);
    counters.dropped_inbox = atomic_load_explicit(&l->dropped_inbox, memory_order_relaxed);
    counters.inbox_alive_bytes =
        atomic_load_explicit(&l->inbox_budget->budget.alive_bytes, memory_order_relaxed);
    return counters;
}

void bus_last_error(struct bus *bus, char ret_text[static BUS_ERROR_BYTES])
{
    pthread_mutex_lock(&bus->lock);
    memcpy(ret_text, bus->last_error, BUS_ERROR_BYTES);
    pthread_mutex_unlock(&bus->lock);
}
