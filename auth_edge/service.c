/*
 * Why: one place where what the authority decides meets the broker, the clock
 * and the providers; nothing is decided here.
 *
 *   connecting --BUS_CONNECTED--> serving --SIGTERM--> draining --> flushed --> closed
 *        ^---------BUS_LOST--------'
 *
 * Invariants
 *   I1  a login is in one place: in a provider, or here for one function call.
 *   I2  a message is taken only when everything that it leads to can be done
 *       without waiting (the records' commit excepted).
 */
#include "auth_edge/service.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { COUNTERS_TEXT_BYTES = 900, ERROR_LOG_INTERVAL_US = 1000 * 1000, US_PER_MS = 1000 };

static const struct {
    enum topic_kind kind;
    enum service_lane lane;
} served[] = {
    {TOPIC_AUTH_PARAMS, LANE_ZONE}, {TOPIC_AUTH_ZONE, LANE_ZONE}, {TOPIC_AUTH_USER, LANE_LOGIN}};
enum { SERVED_N = sizeof(served) / sizeof(served[0]) };

struct service {
    const struct service_config *config;
    struct bus *bus;
    int signal_fd;
    struct arena arena; /* of the request at hand */
    bool connected[SERVICE_LANES];
    bool reported, ending;
    uint64_t started_us;        /* monotonic */
    uint64_t failures_seen;     /* ZONE_RECORD_FAILED that were logged */
    uint64_t failure_logged_us; /* monotonic */
    uint64_t unknown_topics, unsent;
};

static struct zone_now now(void)
{
    return (struct zone_now){.utc_us = clock_utc_us(), .mono_us = clock_mono_us()};
}

/* --- answering ------------------------------------------------------------------- */

static void log_granted(const struct credential *c)
{
    char until[ISO8601_BYTES];
    clock_iso8601(c->not_after_us, until);
    if (c->kind == CREDENTIAL_EDGE)
        log_line(LOG_INFO, "edge %s enrolled: credential %llu until %s", c->subject.s,
                 (unsigned long long)c->serial, until);
    else
        log_line(LOG_INFO, "streamer %s (%.*s) logged in: credential %llu until %s", c->subject.s,
                 SLICE_FMT(c->display_name), (unsigned long long)c->serial, until);
}

static void publish(struct service *s, const struct zone_answer *answer)
{
    char buf[TOPIC_BUF_BYTES];
    struct slice topic =
        topic_print(answer->topic, s->config->topic_prefix, answer->id, slice_str(""), buf);
    struct msg *msg = msg_new(slice_str(""), answer->payload, NULL);
    if (bus_publish(s->bus, LANE_ZONE, topic, msg, 1, false) != ERR_OK)
        s->unsent++;
    msg_unref(msg);
    if (answer->granted)
        log_granted(answer->granted);
}

/* The records failed: say why, at most once a second. */
static void log_failure(struct service *s)
{
    uint64_t failures = zone_count(s->config->zone, ZONE_RECORD_FAILED);
    uint64_t mono_us = clock_mono_us();
    if (failures == s->failures_seen || mono_us - s->failure_logged_us < ERROR_LOG_INTERVAL_US)
        return;
    s->failures_seen = failures;
    s->failure_logged_us = mono_us;
    log_line(LOG_ERROR, "%s", store_error(s->config->store));
}

/* Takes over the login. */
static void answer_login(struct service *s, struct login *login)
{
    struct zone_answer answer;
    if (zone_login_answer(s->config->zone, now(), login, &s->arena, &answer))
        publish(s, &answer);
    arena_reset(&s->arena);
    login_free(login);
}

/* Takes over the login. */
static void begin_login(struct service *s, struct login *login)
{
    bool by_token = login->token_len > 0;
    struct provider *provider = by_token ? s->config->tokens : s->config->passwords;
    if (provider) {
        login->err = provider->check(provider, login);
        if (login->err == ERR_OK)
            return;
    } else {
        login->err = ERR_UNAUTHORIZED;
        login->message = by_token ? "no token provider is configured here; use user and password"
                                  : "no password provider is configured here; use a token";
    }
    answer_login(s, login);
}

/* What is left keeps the provider's descriptor readable. */
static void take_logins(struct service *s, struct provider *provider)
{
    struct login *login;
    for (int i = 0; provider && i < SERVICE_LOGINS_BATCH_MAX; i++) {
        if ((login = provider->take(provider)) == NULL)
            return;
        answer_login(s, login);
    }
}

static void receive(struct service *s, const struct msg *msg)
{
    struct topic topic;
    if (topic_parse(msg->topic, s->config->topic_prefix, &topic) != ERR_OK ||
        (topic.kind != TOPIC_AUTH_PARAMS && topic.kind != TOPIC_AUTH_ZONE &&
         topic.kind != TOPIC_AUTH_USER)) {
        s->unknown_topics++;
        return;
    }
    struct zone_outcome outcome =
        zone_receive(s->config->zone, now(), topic.kind, msg->payload, &s->arena);
    if (outcome.kind == ZONE_ANSWER)
        publish(s, &outcome.answer);
    arena_reset(&s->arena);
    if (outcome.kind == ZONE_LOGIN)
        begin_login(s, outcome.login);
}

/* The next message: what edges and clients need first comes before the logins. */
static struct msg *next_message(struct service *s)
{
    struct msg *msg = queue_take(bus_inbox(s->bus, LANE_ZONE), NULL);
    return msg ? msg : queue_take(bus_inbox(s->bus, LANE_LOGIN), NULL);
}

/* At most max messages. */
static void take_messages(struct service *s, int max)
{
    for (int i = 0; i < max; i++) {
        CLEANUP(msg_unref_ptr) struct msg *msg = next_message(s);
        if (!msg)
            return;
        receive(s, msg);
    }
}

/* --- what else happens ----------------------------------------------------------- */

static void log_counters(struct service *s)
{
    struct bus_counters zone = bus_counters(s->bus, LANE_ZONE);
    struct bus_counters login = bus_counters(s->bus, LANE_LOGIN);
    char text[COUNTERS_TEXT_BYTES];
    size_t len = 0;
    for (enum zone_counter c = 0; c < ZONE_COUNTERS_N; c++) {
        int n = snprintf(text + len, sizeof(text) - len, " %s=%" PRIu64, zone_counter_name(c),
                         zone_count(s->config->zone, c));
        CHECK(n > 0 && (size_t)n < sizeof(text) - len);
        len += (size_t)n;
    }
    log_line(LOG_INFO,
             "counters:%s unknown_topics=%" PRIu64 " unsent=%" PRIu64 " received=%" PRIu64
             " dropped_inbox=%" PRIu64 " sent=%" PRIu64 " dropped_age=%" PRIu64
             " reconnects=%" PRIu64,
             text, s->unknown_topics, s->unsent, zone.received + login.received,
             zone.dropped_inbox + login.dropped_inbox, zone.sent, zone.dropped_age,
             zone.reconnects + login.reconnects);
}

static void take_signals(struct service *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGUSR1)
            log_counters(s);
        else
            s->ending = true;
    }
}

static bool all_connected(const struct service *s)
{
    return s->connected[LANE_ZONE] && s->connected[LANE_LOGIN];
}

static void take_bus_events(struct service *s)
{
    struct bus_event event;
    while (bus_event_take(s->bus, &event)) {
        bool before = all_connected(s);
        if (event.kind == BUS_CONNECTED)
            s->connected[event.lane] = true;
        else if (event.kind == BUS_LOST)
            s->connected[event.lane] = false;
        else if (event.kind == BUS_REFUSED)
            log_line(LOG_ERROR, "the broker does not let this client subscribe to the auth topics");
        if (!before && all_connected(s))
            log_line(LOG_INFO, "connected to the broker at %s", s->config->broker->broker);
        else if (before && !all_connected(s))
            log_line(LOG_WARN, "the broker at %s is gone; trying until it is back",
                     s->config->broker->broker);
    }
}

/* The one line about a broker that is absent at the start. Returns poll's time-out. */
static int report_absence(struct service *s)
{
    if (all_connected(s) || s->reported)
        return -1;
    uint64_t passed_ms = (clock_mono_us() - s->started_us) / US_PER_MS;
    if (passed_ms < SERVICE_REPORT_MS)
        return (int)(SERVICE_REPORT_MS - passed_ms);
    char why[BUS_ERROR_BYTES];
    bus_last_error(s->bus, why);
    log_line(LOG_WARN, "no broker yet: %s; trying until there is one",
             why[0] ? why : s->config->broker->broker);
    s->reported = true;
    return -1;
}

static struct pollfd watch(int fd)
{
    return (struct pollfd){.fd = fd, .events = POLLIN};
}

static int provider_fd(const struct provider *provider)
{
    return provider ? provider->fd(provider) : -1; /* poll ignores negative ones */
}

static void serve(struct service *s)
{
    const struct service_config *config = s->config;
    while (!s->ending) {
        struct pollfd fds[] = {
            watch(queue_fd(bus_inbox(s->bus, LANE_ZONE))),
            watch(queue_fd(bus_inbox(s->bus, LANE_LOGIN))),
            watch(bus_events_fd(s->bus)),
            watch(s->signal_fd),
            watch(provider_fd(config->passwords)),
            watch(provider_fd(config->tokens)),
        };
        poll(fds, sizeof(fds) / sizeof(fds[0]), report_absence(s));
        take_signals(s);
        take_bus_events(s);
        take_logins(s, config->passwords);
        take_logins(s, config->tokens);
        take_messages(s, SERVICE_BATCH_MAX);
        log_failure(s);
    }
}

/* --- ending ---------------------------------------------------------------------- */

static size_t logins_pending(const struct service *s)
{
    const struct provider *passwords = s->config->passwords, *tokens = s->config->tokens;
    return (passwords ? passwords->pending(passwords) : 0) + (tokens ? tokens->pending(tokens) : 0);
}

/* What the broker has handed over is answered: the messages at once, the logins in their time. */
static void drain(struct service *s)
{
    uint64_t end_us = clock_mono_us() + SERVICE_DRAIN_TIMEOUT_MS * (uint64_t)US_PER_MS;
    for (size_t i = 0; i < SERVED_N; i++) {
        char buf[TOPIC_BUF_BYTES];
        struct slice none = slice_str("");
        bus_unsubscribe(s->bus, (int)served[i].lane,
                        topic_print(served[i].kind, s->config->topic_prefix, none, none, buf));
    }
    take_messages(s, SERVICE_LANES * SERVICE_INBOX_MESSAGES_MAX);
    while (logins_pending(s) > 0) {
        uint64_t mono_us = clock_mono_us();
        if (mono_us >= end_us) {
            log_line(LOG_WARN, "%zu logins were left unanswered", logins_pending(s));
            return;
        }
        struct pollfd fds[] = {watch(provider_fd(s->config->passwords)),
                               watch(provider_fd(s->config->tokens))};
        poll(fds, sizeof(fds) / sizeof(fds[0]), (int)((end_us - mono_us) / US_PER_MS) + 1);
        take_logins(s, s->config->passwords);
        take_logins(s, s->config->tokens);
    }
}

static void end(struct service *s)
{
    log_line(LOG_INFO, "ending");
    drain(s);
    if (s->connected[LANE_ZONE] && bus_flush(s->bus, SERVICE_FLUSH_TIMEOUT_MS) != ERR_OK)
        log_line(LOG_WARN, "the broker did not take the last answers in time");
    log_failure(s);
    log_counters(s);
}

/* --- beginning ------------------------------------------------------------------- */

static void signal_set(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGUSR1);
}

void service_block_signals(void)
{
    sigset_t signals;
    signal_set(&signals);
    CHECK(sigprocmask(SIG_BLOCK, &signals, NULL) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static enum err connect_bus(struct service *s)
{
    struct bus_config bus = *s->config->broker;
    bus.will_topic = bus.will_payload = slice_str("");
    bus.lanes_n = SERVICE_LANES;
    bus.lanes[LANE_ZONE] = (struct bus_lane_config){
        .name = "",
        .inbox_bytes_max = SERVICE_INBOX_BYTES_MAX,
        .inbox_messages_max = SERVICE_INBOX_MESSAGES_MAX,
        .outbox_bytes_max = SERVICE_OUTBOX_BYTES_MAX,
        .outbox_messages_max = SERVICE_OUTBOX_MESSAGES_MAX,
    };
    bus.lanes[LANE_LOGIN] = (struct bus_lane_config){
        .name = "login",
        .inbox_bytes_max = SERVICE_INBOX_BYTES_MAX,
        .inbox_messages_max = SERVICE_INBOX_MESSAGES_MAX,
    };
    enum err err = bus_open(&bus, &s->bus);
    for (size_t i = 0; err == ERR_OK && i < SERVED_N; i++) {
        char buf[TOPIC_BUF_BYTES];
        struct slice none = slice_str("");
        struct slice filter = topic_print(served[i].kind, s->config->topic_prefix, none, none, buf);
        err = bus_subscribe(s->bus, (int)served[i].lane, filter, 1, NULL);
    }
    return err;
}

enum err service_run(const struct service_config *config)
{
    struct service s = {.config = config, .started_us = clock_mono_us()};
    sigset_t signals;
    signal_set(&signals);
    s.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s.signal_fd < 0)
        return ERR_IO;
    enum err err = connect_bus(&s);
    if (err == ERR_OK) {
        serve(&s);
        end(&s);
    }
    bus_close(s.bus);
    arena_release(&s.arena);
    close(s.signal_fd);
    return err;
}
