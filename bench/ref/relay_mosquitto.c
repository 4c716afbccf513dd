/*
 * The relay as one would write it on libmosquitto: two clients, each with its
 * own thread; what one receives is published on the other. 16 under way (the
 * library's queue holds what waits). bench/in/k goes out as bench/out/k.
 *
 *   relay_mosquitto PORT [verify]
 */
#include "bench/ref/on_mosquitto.h"
#include "trust/part.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { WINDOW = 16, TOPIC_BYTES = 256 };

static struct sig_cache *cache;

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

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 2 || crypto_init() != ERR_OK)
        return 1;
    cache = argc > 2 ? calloc(1, sizeof(*cache)) : NULL;
    clients_open(argv[1], "relay", WINDOW);
    for (;;)
        pause();
}
