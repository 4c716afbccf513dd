#ifndef TESTS_BUS_BROKER_H
#define TESTS_BUS_BROKER_H
/* A real mosquitto on an ephemeral loopback port, and waiting without luck. */
#include "base/clock.h"
#include "bus/bus.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 20000, CONTROL = 0, MEDIA = 1 };

struct broker {
    pid_t pid;
    uint16_t port;
    char folder[64];
    char conf[128];
    char uri[64];
};

static inline uint16_t broker_free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    close(fd);
    return ntohs(addr.sin_port);
}

static inline bool broker_answers(const struct broker *broker)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(broker->port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
    close(fd);
    return answers;
}

/* Choose a port and write the configuration; extra: further lines. */
static inline void broker_prepare(struct broker *broker, const char *extra)
{
    *broker = (struct broker){.port = broker_free_port()};
    snprintf(broker->folder, sizeof(broker->folder), "/tmp/bus-test-XXXXXX");
    assert_non_null(mkdtemp(broker->folder));
    snprintf(broker->conf, sizeof(broker->conf), "%s/mosquitto.conf", broker->folder);
    snprintf(broker->uri, sizeof(broker->uri), "127.0.0.1:%u", (unsigned)broker->port);
    FILE *f = fopen(broker->conf, "w");
    assert_non_null(f);
    fprintf(f,
            "user root\nlistener %u 127.0.0.1\nallow_anonymous true\npersistence false\n"
            "max_queued_messages 100000\nmax_queued_bytes 67108864\nset_tcp_nodelay true\n"
            "log_dest none\n%s",
            (unsigned)broker->port, extra ? extra : "");
    fclose(f);
}

static inline void broker_start(struct broker *broker)
{
    broker->pid = fork();
    assert_true(broker->pid >= 0);
    if (broker->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execl("/usr/sbin/mosquitto", "mosquitto", "-c", broker->conf, (char *)NULL);
        _exit(127);
    }
    uint64_t until_us = clock_mono_us() + WAIT_MS * 1000u;
    while (!broker_answers(broker)) {
        assert_true(clock_mono_us() < until_us);
        assert_int_equal(waitpid(broker->pid, NULL, WNOHANG), 0);
        poll(NULL, 0, 5);
    }
}

static inline void broker_stop(struct broker *broker)
{
    if (broker->pid > 0) {
        kill(broker->pid, SIGKILL);
        waitpid(broker->pid, NULL, 0);
    }
    broker->pid = 0;
}

static inline void broker_remove(struct broker *broker)
{
    broker_stop(broker);
    unlink(broker->conf);
    rmdir(broker->folder);
}

/* Two lanes as an edge has them, with roomy limits. */
static inline struct bus_config bus_test_config(const struct broker *broker, const char *id)
{
    struct bus_lane_config roomy = {.name = "",
                                    .inbox_bytes_max = 64u << 20,
                                    .inbox_messages_max = 20000,
                                    .outbox_bytes_max = 16u << 20,
                                    .outbox_messages_max = 1000};
    struct bus_config config = {.broker = broker->uri, .client_id = id, .lanes_n = 2};
    config.lanes[CONTROL] = roomy;
    config.lanes[MEDIA] = roomy;
    config.lanes[MEDIA].name = "media";
    config.lanes[MEDIA].separate_sender = true;
    return config;
}

static inline struct bus *bus_test_open(const struct bus_config *config)
{
    struct bus *bus = NULL;
    assert_int_equal(bus_open(config, &bus), ERR_OK);
    return bus;
}

static inline bool fd_wait(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static inline struct bus_event event_next(struct bus *bus)
{
    struct bus_event event;
    assert_true(fd_wait(bus_events_fd(bus), WAIT_MS));
    assert_true(bus_event_take(bus, &event));
    return event;
}

/* Pass over events until this one. */
static inline struct bus_event event_wait(struct bus *bus, enum bus_event_kind kind, int lane)
{
    for (;;) {
        struct bus_event event = event_next(bus);
        if (event.kind == kind && event.lane == lane)
            return event;
    }
}

/* Until the bus says what ails it. */
static inline void error_wait(struct bus *bus, char ret[static BUS_ERROR_BYTES])
{
    uint64_t until_us = clock_mono_us() + WAIT_MS * 1000u;
    do {
        assert_true(clock_mono_us() < until_us);
        poll(NULL, 0, 1);
        bus_last_error(bus, ret);
    } while (ret[0] == '\0');
}

static inline void bus_wait_connected(struct bus *bus, int lanes_n)
{
    for (int connected = 0; connected < lanes_n;)
        connected += event_next(bus).kind == BUS_CONNECTED;
}

static inline struct msg *inbox_wait(struct bus *bus, int lane)
{
    assert_true(fd_wait(queue_fd(bus_inbox(bus, lane)), WAIT_MS));
    struct msg *msg = queue_take(bus_inbox(bus, lane), NULL);
    assert_non_null(msg);
    return msg;
}

static inline enum err publish_text(struct bus *bus, int lane, const char *topic, const char *text)
{
    struct msg *msg = msg_new((struct slice){0}, slice_str(text), NULL);
    enum err err = bus_publish(bus, lane, slice_str(topic), msg, 1, false);
    msg_unref(msg);
    return err;
}

static inline void expect_text(struct bus *bus, int lane, const char *topic, const char *text)
{
    struct msg *msg = inbox_wait(bus, lane);
    assert_true(slice_eq_str(msg->topic, topic));
    assert_true(slice_eq_str(msg->payload, text));
    msg_unref(msg);
}

/* Wait until a counter of a lane reaches a value: it changes just after what is counted. */
#define COUNTER_WAIT(bus, lane, field, value)                                                      \
    do {                                                                                           \
        uint64_t until_us_ = clock_mono_us() + WAIT_MS * 1000u;                                    \
        while (bus_counters(bus, lane).field != (value)) {                                         \
            assert_true(clock_mono_us() < until_us_);                                              \
            poll(NULL, 0, 1);                                                                      \
        }                                                                                          \
    } while (0)

#endif
