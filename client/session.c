/*
 *   I1  Nothing is asked before the topic of the answer is subscribed.
 *   I2  Whatever arrives and is not taken is dropped and counted, never kept.
 */
#include "client/session.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/account.h"
#include "client/say.h"
#include "trust/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ID_RANDOM_BYTES = 16, LANE = 0, PASSWORD_FILE_BYTES_MAX = 1024 };

/* ------------------------------------------------------------------ signals */

static volatile sig_atomic_t stop_asked;
static bool stop_told;
static int stop_pipe[2] = {-1, -1};

static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    stop_asked = 1;
    if (write(stop_pipe[1], "", 1) < 0)
        errno = saved; /* full: somebody is awake already */
    errno = saved;
}

void session_catch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    CHECK(pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) == 0);
    CHECK(sigaction(SIGINT, &stop, NULL) == 0);
    CHECK(sigaction(SIGTERM, &stop, NULL) == 0);
    CHECK(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

bool session_interrupted(void)
{
    return stop_asked;
}

/* ------------------------------------------------------------------ opening */

static void random_id(struct id *ret)
{
    uint8_t bytes[ID_RANDOM_BYTES];
    crypto_random(bytes, sizeof(bytes));
    hex_encode(slice_of(bytes, sizeof(bytes)), ret->s);
}

/* The first line of --mqtt-password-file, else MQTT_PASSWORD; NULL: none. ret_file is its text. */
static enum err broker_password(const struct option *options, char **ret_file,
                                const char **ret_password)
{
    const char *path = config_text(options, "mqtt-password-file");
    size_t len;
    if (!path) {
        *ret_password = config_text(options, "mqtt-password");
        return ERR_OK;
    }
    enum err err = file_read(path, PASSWORD_FILE_BYTES_MAX, ret_file, &len);
    if (err != ERR_OK) {
        say("--mqtt-password-file %s cannot be read (%s)", path,
            err == ERR_IO ? strerror(errno) : err_name(err));
        return err;
    }
    (*ret_file)[strcspn(*ret_file, "\r\n")] = '\0';
    *ret_password = *ret_file;
    return ERR_OK;
}

/* Our account at this broker. false: there is none, or a user was named. */
static bool find_account(const struct option *options, struct account *ret)
{
    struct identity identity;
    if (config_text(options, "mqtt-user") || identity_open(&identity) != ERR_OK)
        return false;
    enum err err = account_read(&identity, config_text(options, "mqtt-broker"), ret);
    if (err != ERR_OK && err != ERR_UNKNOWN)
        say(err == ERR_UNAUTHORIZED
                ? "%s/broker may be read by others and is not used: chmod 600 it"
                : "%s/broker cannot be read and is not used",
            identity.home);
    return err == ERR_OK;
}

/* The library would say no more than that TLS failed. */
static enum exit_status check_tls_files(const struct option *options)
{
    static const char *const names[] = {"mqtt-ca-file", "mqtt-cert-file", "mqtt-key-file"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *path = config_text(options, names[i]);
        if (path && access(path, R_OK) != 0) {
            say("--%s %s cannot be read: %s", names[i], path, strerror(errno));
            return STATUS_USAGE;
        }
    }
    return STATUS_OK;
}

static enum exit_status wait_for_broker(struct session *s)
{
    uint64_t deadline_us = clock_mono_us() + s->timeout_us;
    while (!s->up) {
        struct msg *msg = NULL;
        struct topic topic;
        enum session_news news = session_wait(s, deadline_us, &msg, &topic);
        msg_unref(msg);
        if (news == SESSION_STOP)
            return session_status(s, ERR_CLOSED, "the broker");
        if (news == SESSION_TIMEOUT) {
            char why[BUS_ERROR_BYTES];
            bus_last_error(s->bus, why);
            say("no connection after %llu s: %s; start the broker, or name another with "
                "--mqtt-broker",
                (unsigned long long)(s->timeout_us / 1000000), why[0] ? why : "no answer");
            return STATUS_NO_ANSWER;
        }
    }
    return STATUS_OK;
}

enum exit_status session_open(struct session *s, const struct option *options)
{
    *s = (struct session){.timeout_us = config_uint(options, "timeout") * 1000000u};
    const char *prefix = config_text(options, "topic-prefix");
    if (!topic_prefix_ok(slice_str(prefix))) {
        say("--topic-prefix '%s': give at most %d levels of [A-Za-z0-9_-] joined by '/', and %d "
            "bytes",
            prefix, TOPIC_PREFIX_LEVELS_MAX, TOPIC_PREFIX_BYTES_MAX);
        return STATUS_USAGE;
    }
    snprintf(s->prefix, sizeof(s->prefix), "%s", prefix ? prefix : "");
    if (check_tls_files(options) != STATUS_OK)
        return STATUS_USAGE;
    random_id(&s->id);
    CLEANUP(mem_free_ptr) char *password_file = NULL;
    const char *password = NULL;
    if (broker_password(options, &password_file, &password) != ERR_OK)
        return STATUS_USAGE;
    struct account account = {0};
    s->broker = config_text(options, "mqtt-broker");
    s->account = find_account(options, &account);
    struct bus_config config = {
        .broker = s->broker,
        .client_id = s->id.s,
        .user = s->account ? account.user : config_text(options, "mqtt-user"),
        .password = s->account ? account.password : password,
        .ca_file = config_text(options, "mqtt-ca-file"),
        .cert_file = config_text(options, "mqtt-cert-file"),
        .key_file = config_text(options, "mqtt-key-file"),
        .lanes = {{.name = "",
                   .inbox_bytes_max = SESSION_INBOX_BYTES_MAX,
                   .inbox_messages_max = SESSION_INBOX_MESSAGES_MAX,
                   .outbox_bytes_max = SESSION_OUTBOX_BYTES_MAX,
                   .outbox_messages_max = SESSION_OUTBOX_MESSAGES_MAX}},
        .lanes_n = 1,
    };
    enum err err = bus_open(&config, &s->bus);
    crypto_wipe(&account, sizeof(account));
    if (password_file)
        crypto_wipe(password_file, strlen(password_file));
    if (err == ERR_FORMAT) {
        say("--mqtt-broker '%s' is no broker address: give host, host:port or mqtt://host:port",
            config.broker);
        return STATUS_USAGE;
    }
    if (err != ERR_OK) {
        say("the connection cannot be set up: %s", strerror(errno));
        return STATUS_FAILED;
    }
    enum exit_status status = wait_for_broker(s);
    if (status != STATUS_OK)
        session_close(s);
    return status;
}

void session_close(struct session *s)
{
    bus_close(s->bus);
    s->bus = NULL;
}

/* ------------------------------------------------------------------ waiting */

/* An account that was taken away, or that a broker was set up anew without: watching needs none. */
static void without_account(struct session *s)
{
    if (!s->account)
        return;
    say("the broker refuses the account that came with our credential; going on without: "
        "edgectl login asks for another one");
    s->account = false;
    bus_set_login(s->bus, NULL, NULL);
}

/* What the bus has to tell; true: it is news for the caller. */
static bool take_event(struct session *s, enum session_news *ret_news, struct bus_event *ret_event)
{
    while (bus_event_take(s->bus, ret_event)) {
        switch (ret_event->kind) {
        case BUS_CONNECTED:
            s->up = true;
            *ret_news = SESSION_UP;
            return true;
        case BUS_LOST:
            s->up = false;
            *ret_news = SESSION_DOWN;
            return true;
        case BUS_DRAINED: *ret_news = SESSION_DRAINED; return true;
        case BUS_DENIED: without_account(s); break;
        case BUS_SUBSCRIBED:
        case BUS_REFUSED: *ret_news = SESSION_TIMEOUT; return true;
        }
    }
    return false;
}

static void sleep_until(struct session *s, uint64_t now_us, uint64_t deadline_us)
{
    struct pollfd fds[] = {
        {.fd = queue_fd(bus_inbox(s->bus, LANE)), .events = POLLIN},
        {.fd = bus_events_fd(s->bus), .events = POLLIN},
        {.fd = stop_told ? -1 : stop_pipe[0], .events = POLLIN},
    };
    uint64_t left_ms = (deadline_us - now_us + 999) / 1000;
    poll(fds, sizeof(fds) / sizeof(*fds), left_ms > 60000 ? 60000 : (int)left_ms);
}

static enum heard listen(struct session *s, const struct topic *topic, struct slice payload)
{
    const struct session_listener *l = &s->listener;
    return l->take ? l->take(l->context, topic, payload) : HEARD_NOTHING;
}

/* As session_wait, and *ret_event is filled when the bus answered a subscription. */
static enum session_news wait_news(struct session *s, uint64_t deadline_us, struct msg **ret_msg,
                                   struct topic *ret_topic, struct bus_event *ret_event)
{
    for (;;) {
        enum session_news news;
        struct bus_event event;
        if (stop_asked && !stop_told) {
            stop_told = true;
            return SESSION_STOP;
        }
        if (take_event(s, &news, &event)) {
            if (news != SESSION_TIMEOUT)
                return news;
            if (ret_event) {
                *ret_event = event;
                return SESSION_TIMEOUT;
            }
            continue;
        }
        struct msg *msg = queue_take(bus_inbox(s->bus, LANE), NULL);
        if (msg && topic_parse(msg->topic, slice_str(s->prefix), ret_topic) == ERR_OK) {
            enum heard heard = listen(s, ret_topic, msg->payload);
            if (heard == HEARD_NOTHING) {
                *ret_msg = msg;
                return SESSION_MESSAGE;
            }
            msg_unref(msg);
            if (heard == HEARD_NEWS)
                return SESSION_TRUST;
            continue;
        }
        if (msg) {
            s->strays++; /* I2 */
            msg_unref(msg);
            continue;
        }
        uint64_t now_us = clock_mono_us();
        if (now_us >= deadline_us)
            return SESSION_TIMEOUT;
        sleep_until(s, now_us, deadline_us);
    }
}

enum session_news session_wait(struct session *s, uint64_t deadline_us, struct msg **ret_msg,
                               struct topic *ret_topic)
{
    return wait_news(s, deadline_us, ret_msg, ret_topic, NULL);
}

/* ------------------------------------------------------------------ asking */

enum err session_subscribe(struct session *s, enum topic_kind kind, struct slice a, struct slice b)
{
    char buf[TOPIC_BUF_BYTES];
    int filter;
    enum err err =
        bus_subscribe(s->bus, LANE, topic_print(kind, slice_str(s->prefix), a, b, buf), 1, &filter);
    if (err != ERR_OK)
        return err;
    uint64_t deadline_us = clock_mono_us() + s->timeout_us;
    for (;;) {
        struct msg *msg = NULL;
        struct topic topic;
        struct bus_event event = {.filter = -1};
        enum session_news news = wait_news(s, deadline_us, &msg, &topic, &event);
        if (news == SESSION_STOP)
            return ERR_CLOSED;
        if (news == SESSION_MESSAGE) {
            s->strays++; /* I2 */
            msg_unref(msg);
        }
        if (news != SESSION_TIMEOUT)
            continue;
        if (event.filter == filter)
            return event.kind == BUS_SUBSCRIBED ? ERR_OK : ERR_UNAUTHORIZED;
        if (event.filter < 0)
            return ERR_TIMEOUT;
    }
}

enum err session_listen(struct session *s, enum topic_kind kind, struct slice a)
{
    char buf[TOPIC_BUF_BYTES];
    struct slice none = {0};
    return bus_subscribe(s->bus, LANE, topic_print(kind, slice_str(s->prefix), a, none, buf), 1,
                         NULL);
}

void session_unsubscribe(struct session *s, enum topic_kind kind, struct slice a, struct slice b)
{
    char buf[TOPIC_BUF_BYTES];
    bus_unsubscribe(s->bus, LANE, topic_print(kind, slice_str(s->prefix), a, b, buf));
}

enum err session_send_msg(struct session *s, enum topic_kind kind, struct slice a, struct msg *msg)
{
    char buf[TOPIC_BUF_BYTES];
    struct slice topic = topic_print(kind, slice_str(s->prefix), a, (struct slice){0}, buf);
    return bus_publish(s->bus, LANE, topic, msg, 1, false);
}

enum err session_send(struct session *s, enum topic_kind kind, struct slice a, struct slice payload)
{
    CLEANUP(msg_unref_ptr) struct msg *msg = msg_new((struct slice){0}, payload, NULL);
    return session_send_msg(s, kind, a, msg);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* One session_ask under way. */
struct asking {
    const struct ask *ask;
    uint64_t send_us; /* when to send (again) */
    unsigned sends;
    unsigned refused_at; /* how many sends there had been at the first refusal; 0: none came */
    bool put_off;
};

static enum err send_ask(struct session *s, struct asking *a, uint64_t now_us)
{
    CLEANUP(arena_release) struct arena arena = {0};
    const struct ask *ask = a->ask;
    struct slice payload = ask->renew ? ask->renew(ask->context, &arena) : ask->payload;
    enum err err = session_send(s, ask->kind, ask->a, payload);
    a->sends++;
    a->send_us = ask->repeat ? now_us + SESSION_REPEAT_US : UINT64_MAX;
    return err;
}

/* Whether what came ends the asking. */
static bool take_answer(struct session *s, struct asking *a, const struct topic *topic,
                        struct slice payload)
{
    uint64_t now_us = clock_mono_us();
    switch (a->ask->take(a->ask->context, topic, payload)) {
    case ANSWER_STRAY: s->strays++; return false; /* I2 */
    case ANSWER_TAKEN: return true;
    case ANSWER_LATER:
        a->put_off = true;
        a->send_us = least(a->send_us, now_us + SESSION_LATER_US);
        return false;
    case ANSWER_REFUSED: break;
    }
    if (a->refused_at)
        return a->sends > a->refused_at;
    a->refused_at = a->sends;
    a->send_us = least(a->send_us, now_us + SESSION_DOUBT_US);
    return false;
}

enum err session_ask(struct session *s, const struct ask *ask, uint64_t timeout_us)
{
    uint64_t deadline_us = clock_mono_us() + timeout_us;
    struct asking a = {.ask = ask};
    for (;;) {
        uint64_t now_us = clock_mono_us();
        if (now_us >= a.send_us) {
            enum err err = send_ask(s, &a, now_us);
            if (err != ERR_OK)
                return err;
        }
        CLEANUP(msg_unref_ptr) struct msg *msg = NULL;
        struct topic topic;
        switch (session_wait(s, least(deadline_us, a.send_us), &msg, &topic)) {
        case SESSION_STOP: return ERR_CLOSED;
        case SESSION_MESSAGE:
            CHECK(msg);
            if (take_answer(s, &a, &topic, msg->payload))
                return ERR_OK;
            break;
        case SESSION_UP:
        case SESSION_TRUST:
            if (ask->repeat)
                a.send_us = 0;
            break;
        case SESSION_TIMEOUT:
            if (clock_mono_us() >= deadline_us)
                return a.refused_at || a.put_off ? ERR_OK : ERR_TIMEOUT;
            break;
        case SESSION_DOWN:
        case SESSION_DRAINED: break;
        }
    }
}

enum exit_status session_status(struct session *s, enum err err, const char *what)
{
    switch (err) {
    case ERR_OK: return STATUS_OK;
    case ERR_TIMEOUT:
        say("no answer from %s within %llu s; is it running? --timeout waits longer", what,
            (unsigned long long)(s->timeout_us / 1000000));
        return STATUS_NO_ANSWER;
    case ERR_CLOSED: say("interrupted"); return STATUS_FAILED;
    case ERR_UNAUTHORIZED:
        say("the broker does not let us read the answers of %s; edgectl login asks for an account "
            "there, unless --mqtt-user names another one",
            what);
        return STATUS_FAILED;
    default: say("asking %s failed: %s", what, err_name(err)); return STATUS_FAILED;
    }
}
