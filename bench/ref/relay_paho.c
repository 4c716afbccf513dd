/*
 * The relay as one would write it on Paho: callback → queue → worker → second
 * handle with 16 publishes under way. bench/in/k goes out as bench/out/k.
 *
 *   relay_paho PORT [verify]     verify: check signature and Merkle proof first
 */
#include "bench/ref/on_paho.h"
#include "trust/part.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { QUEUE = 1024, WINDOW = 16, TOPIC_BYTES = 256 };

struct item {
    MQTTAsync_message *message;
    char *topic;
};

static struct item queue[QUEUE];
static unsigned head, count, dropped;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static sem_t window;

static void drop(struct item *item)
{
    MQTTAsync_freeMessage(&item->message);
    MQTTAsync_free(item->topic);
}

static int arrived(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct item item = {message, topic};
    (void)context, (void)topic_len;
    pthread_mutex_lock(&lock);
    int full = count == QUEUE;
    if (full)
        dropped++;
    else
        queue[(head + count++) % QUEUE] = item;
    pthread_cond_signal(&filled);
    pthread_mutex_unlock(&lock);
    if (full)
        drop(&item);
    return 1;
}

static struct item take(void)
{
    pthread_mutex_lock(&lock);
    while (!count)
        pthread_cond_wait(&filled, &lock);
    struct item item = queue[head];
    head = (head + 1) % QUEUE;
    count--;
    pthread_mutex_unlock(&lock);
    return item;
}

static void sent(void *context, MQTTAsync_successData *data)
{
    struct item item = *(struct item *)context;
    (void)data;
    free(context);
    drop(&item);
    sem_post(&window);
}

static void not_sent(void *context, MQTTAsync_failureData *data)
{
    (void)data;
    fputs("relay_paho: a publish failed\n", stderr);
    sent(context, NULL);
}

static void relay(struct item item, struct sig_cache *cache)
{
    char topic[TOPIC_BYTES];
    struct part part;
    struct slice payload = slice_of(item.message->payload, (size_t)item.message->payloadlen);
    if (cache && (part_decode(payload, &part) != ERR_OK || part_verify(&part, cache) != ERR_OK)) {
        drop(&item);
        return;
    }
    snprintf(topic, sizeof(topic), "bench/out/%s", item.topic + sizeof("bench/in/") - 1);
    struct item *keep = malloc(sizeof(*keep));
    *keep = item;
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = sent;
    options.onFailure = not_sent;
    options.context = keep;
    sem_wait(&window);
    if (MQTTAsync_send(out, topic, item.message->payloadlen, item.message->payload, 1, 0,
                       &options) != MQTTASYNC_SUCCESS)
        not_sent(keep, NULL);
}

int main(int argc, char **argv)
{
    struct sig_cache *cache = argc > 2 ? calloc(1, sizeof(*cache)) : NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 2 || crypto_init() != ERR_OK || sem_init(&window, 0, WINDOW))
        return 1;
    handles_open(argv[1], "relay", "bench/in/#", 0);
    for (;;)
        relay(take(), cache);
}
