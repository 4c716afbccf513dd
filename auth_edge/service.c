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

#include "auth_edge/list.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { COUNTERS_TEXT_BYTES = 1200, ERROR_LOG_INTERVAL_US = 1000 * 1000, US_PER_MS = 1000 };

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
    uint64_t looked_us, listed_us; /* monotonic; 0: at once */
    bool stale, stale_logged;      /* a change could not be read yet */
    bool desk_failed;              /* at the last look; said once */
    uint64_t list_number;          /* 0: none yet */
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

static void publish_on(struct service *s, enum topic_kind kind, struct slice id,
                       struct slice payload, bool retained)
{
    char buf[TOPIC_BUF_BYTES];
    struct slice topic = topic_print(kind, s->config->topic_prefix, id, slice_str(""), buf);
    struct msg *msg = msg_new(slice_str(""), payload, NULL);
    if (bus_publish(s->bus, LANE_ZONE, topic, msg, 1, retained) != ERR_OK)
        s->unsent++;
    msg_unref(msg);
}

static struct msg *message_of(struct service *s, const struct zone_answer *answer,
                              struct slice payload)
{
    char buf[TOPIC_BUF_BYTES];
    struct slice prefix = s->config->topic_prefix;
    return msg_new(topic_print(answer->topic, prefix, answer->id, slice_str(""), buf), payload,
                   NULL);
}

static void publish(struct service *s, const struct zone_answer *answer)
{
    if (answer->granted)
        log_granted(answer->granted);
    if (!answer->otherwise.len) {
        publish_on(s, answer->topic, answer->id, answer->payload, false);
        return;
    }
    const struct credential *c = answer->granted;
    CHECK(c); /* only who is granted something has an answer for otherwise */
    if (!desk_hold(s->config->desk, c->kind, &c->subject, message_of(s, answer, answer->payload),
                   message_of(s, answer, answer->otherwise)))
        log_line(LOG_WARN, "%s was told to come again: no account at the broker for it now",
                 c->subject.s);
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
    log_line(LOG_ERROR, "%s", store_error(s->config->folder->store));
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

/* Takes over the login. A renewal: whoever knows the subject vouches for it. */
static void answer_renewal(struct service *s, struct login *login)
{
    struct provider *const providers[] = {s->config->passwords, s->config->tokens};
    login->err = ERR_UNAUTHORIZED;
    for (size_t i = 0; i < 2 && login->err == ERR_UNAUTHORIZED; i++)
        if (providers[i])
            login->err = providers[i]->knows(providers[i], login);
    answer_login(s, login);
}

/* Takes over the login. */
static void begin_login(struct service *s, struct login *login)
{
    if (login->renews) {
        answer_renewal(s, login);
        return;
    }
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

static void link_desk(struct service *s, enum bus_event_kind kind)
{
    if (kind == BUS_CONNECTED || kind == BUS_LOST)
        desk_link(s->config->desk, kind == BUS_CONNECTED);
}

static void take_bus_events(struct service *s)
{
    struct bus_event event;
    while (bus_event_take(s->bus, &event)) {
        bool before = all_connected(s);
        if (event.lane == LANE_BROKER)
            link_desk(s, event.kind);
        if (event.kind == BUS_CONNECTED && event.lane == LANE_ZONE)
            s->listed_us = 0;
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

/* --- what other processes changed ------------------------------------------------- */

/* The list and the keys, each by itself: a key file in disorder holds up no revocation. false: the
 * error is in `why`. */
static bool reload_list(struct service *s, char why[static FOLDER_ERROR_BYTES])
{
    struct store *store = s->config->folder->store;
    CLEANUP(mem_free_ptr) struct revoked *list = mem_alloc(sizeof(*list));
    if (store_revoked(store, list) != ERR_OK) {
        snprintf(why, FOLDER_ERROR_BYTES, "%s", store_error(store));
        return false;
    }
    if (list->number == s->list_number)
        return true;
    zone_revoke(s->config->zone, list);
    s->list_number = list->number;
    s->listed_us = 0;
    log_line(LOG_INFO, "list of revocations %" PRIu64 ": %u serials", list->number, list->n);
    return true;
}

static bool reload_keys(struct service *s, char why[static FOLDER_ERROR_BYTES])
{
    struct folder *folder = s->config->folder;
    uint32_t epoch_before = folder->zone.key_epoch;
    if (folder_reload(folder, why) != ERR_OK)
        return false;
    zone_adopt(s->config->zone, &folder->zone, &folder->keys);
    s->listed_us = 0; /* it is signed by the zone's key */
    if (s->config->desk)
        desk_secret(s->config->desk, folder->keys.secret);
    if (folder->zone.key_epoch != epoch_before)
        log_line(LOG_INFO, "key epoch %u from now on", folder->zone.key_epoch);
    return true;
}

static void look_desk(struct service *s)
{
    bool failed = s->config->desk && desk_look(s->config->desk) != ERR_OK;
    if (failed && !s->desk_failed)
        log_line(LOG_ERROR, "accounts at the broker: %s", store_error(s->config->folder->store));
    s->desk_failed = failed;
}

/* Look for changes now and then; what cannot be read is tried again, and said once. */
static void look(struct service *s, uint64_t mono_us)
{
    char why[FOLDER_ERROR_BYTES];
    if (s->looked_us && mono_us - s->looked_us < SERVICE_LOOK_MS * (uint64_t)US_PER_MS)
        return;
    s->looked_us = mono_us;
    look_desk(s);
    if (store_changed(s->config->folder->store))
        s->stale = true;
    if (!s->stale)
        return;
    bool listed = reload_list(s, why);
    s->stale = !reload_keys(s, why) || !listed;
    if (s->stale && !s->stale_logged)
        log_line(LOG_ERROR, "a change cannot be taken over, trying on: %s", why);
    s->stale_logged = s->stale;
}

/* The list is worth something when it is new: none waits for a connection. */
static void list_out(struct service *s, uint64_t mono_us)
{
    uint64_t every_us = REVOCATIONS_EVERY_S * 1000 * (uint64_t)US_PER_MS;
    if (!s->connected[LANE_ZONE] || s->list_number == 0 ||
        (s->listed_us && mono_us - s->listed_us < every_us))
        return;
    s->listed_us = mono_us;
    publish_on(s, TOPIC_AUTH_REVOCATIONS, slice_str(""),
               zone_revocations(s->config->zone, clock_utc_us(), &s->arena),
               s->config->retain_revocations);
    arena_reset(&s->arena);
}

/* --- serving ---------------------------------------------------------------------- */

/* The one line about a broker that is absent at the start. */
static void report_absence(struct service *s)
{
    if (all_connected(s) || s->reported ||
        clock_mono_us() - s->started_us < SERVICE_REPORT_MS * (uint64_t)US_PER_MS)
        return;
    char why[BUS_ERROR_BYTES];
    bus_last_error(s->bus, why);
    log_line(LOG_WARN, "no broker yet: %s; trying until there is one",
             why[0] ? why : s->config->broker->broker);
    s->reported = true;
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
            watch(config->desk ? desk_fd(config->desk) : -1),
        };
        poll(fds, sizeof(fds) / sizeof(fds[0]), SERVICE_LOOK_MS);
        report_absence(s);
        take_signals(s);
        take_bus_events(s);
        look(s, clock_mono_us());
        list_out(s, clock_mono_us());
        take_logins(s, config->passwords);
        take_logins(s, config->tokens);
        take_messages(s, SERVICE_BATCH_MAX);
        if (config->desk)
            desk_pump(config->desk);
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

/* Those whose accounts are being made get a little time; the others come again. */
static void drain_desk(struct service *s)
{
    struct desk *desk = s->config->desk;
    uint64_t end_us = clock_mono_us() + SERVICE_DESK_TIMEOUT_MS * (uint64_t)US_PER_MS;
    while (desk_waiting(desk) > 0 && clock_mono_us() < end_us) {
        struct pollfd fd = watch(desk_fd(desk));
        poll(&fd, 1, (int)((end_us - clock_mono_us()) / US_PER_MS) + 1);
        desk_pump(desk);
    }
    desk_end(desk);
}

static void end(struct service *s)
{
    log_line(LOG_INFO, "ending");
    drain(s);
    if (s->config->desk)
        drain_desk(s);
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
    bus.lanes_n = s->config->desk ? SERVICE_LANES : LANE_BROKER;
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
    bus.lanes[LANE_BROKER] = bus.lanes[LANE_ZONE];
    bus.lanes[LANE_BROKER].name = "broker";
    enum err err = bus_open(&bus, &s->bus);
    if (err == ERR_OK && s->config->desk)
        err = desk_open(s->config->desk, s->bus);
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
