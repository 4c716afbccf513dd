/*
 * The relay as one would write it on libmosquitto: two clients, each with its
 * own thread; what one receives is published on the other. 16 under way (the
 * library's queue holds what waits). bench/in/k goes out as bench/out/k.
 *
 *   relay_mosquitto PORT [verify]
 */
#include "trust/part.h"

#include <mosquitto.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { WINDOW = 16, TOPIC_BYTES = 256 };

static struct mosquitto *in, *out;
static struct sig_cache *cache;
static int ready;

static void arrived(struct mosquitto *m, void *context, const struct mosquitto_message *message)
{
    char topic[TOPIC_BYTES];
    struct part part;
    struct slice payload = slice_of(message->payload, (size_t)message->payloadlen);
    (void)m, (void)context;
    if (cache && (part_decode(payload, &part) != ERR_OK || part_verify(&part, cache) != ERR_OK))
        return;
    snprintf(topic, sizeof(topic), "bench/out/%s", message->topic + sizeof("bench/in/") - 1);
    if (mosquitto_publish(out, NULL, topic, message->payloadlen, message->payload, 1, false))
        fputs("relay_mosquitto: a publish failed\n", stderr);
}

static void say_ready(void)
{
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

static struct mosquitto *client_open(const char *id)
{
    struct mosquitto *m = mosquitto_new(id, true, NULL);
    if (!m)
        exit(1);
    mosquitto_connect_callback_set(m, connected);
    mosquitto_subscribe_callback_set(m, subscribed);
    mosquitto_message_callback_set(m, arrived);
    mosquitto_max_inflight_messages_set(m, WINDOW);
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    return m;
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 2 || crypto_init() != ERR_OK || mosquitto_lib_init())
        return 1;
    cache = argc > 2 ? calloc(1, sizeof(*cache)) : NULL;
    out = client_open("relay-out");
    in = client_open("relay-in");
    if (mosquitto_connect(out, "127.0.0.1", atoi(argv[1]), 60) || mosquitto_loop_start(out) ||
        mosquitto_connect(in, "127.0.0.1", atoi(argv[1]), 60) || mosquitto_loop_start(in))
        return 1;
    for (;;)
        pause();
}
