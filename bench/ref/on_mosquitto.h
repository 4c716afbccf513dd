#ifndef BENCH_REF_ON_MOSQUITTO_H
#define BENCH_REF_ON_MOSQUITTO_H
/*
 * The half of the references on libmosquitto that is the same: one client
 * receives bench/in/#, another sends, each with a thread of its own, and
 * "ready" is said when both can. Everything is static: a reference is one program.
 */
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>

static struct mosquitto *in, *out;

/* The other half's: a message has come on `in`; the library frees it afterwards. */
static void arrived(struct mosquitto *m, void *context, const struct mosquitto_message *message);

static void say_ready(void)
{
    static int ready;
    if (__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST) == 2)
        puts("ready"), fflush(stdout);
}

static void connected(struct mosquitto *m, void *context, int code)
{
    (void)context;
    if (code)
        exit(1);
    if (m == in)
        mosquitto_subscribe(in, NULL, "bench/in/#", 1);
    else
        say_ready();
}

static void subscribed(struct mosquitto *m, void *context, int id, int n, const int *qos)
{
    (void)m, (void)context, (void)id, (void)n, (void)qos;
    say_ready();
}

static void client_open(struct mosquitto **client, const char *port, const char *name,
                        const char *end, unsigned window)
{
    char id[64];
    snprintf(id, sizeof(id), "%s-%s", name, end);
    struct mosquitto *m = *client = mosquitto_new(id, true, NULL);
    if (!m)
        exit(1);
    mosquitto_connect_callback_set(m, connected);
    mosquitto_subscribe_callback_set(m, subscribed);
    mosquitto_message_callback_set(m, arrived);
    if (window)
        mosquitto_max_inflight_messages_set(m, window);
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    if (mosquitto_connect(m, "127.0.0.1", atoi(port), 60) || mosquitto_loop_start(m))
        exit(1);
}

/* clients_open: window: how many publishes are under way; 0: as many as the library has. */
static void clients_open(const char *port, const char *name, unsigned window)
{
    if (mosquitto_lib_init())
        exit(1);
    client_open(&out, port, name, "out", window);
    client_open(&in, port, name, "in", window);
}

#endif
