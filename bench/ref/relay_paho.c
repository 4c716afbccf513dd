/*
 * The relay as one would write it on Paho: callback → queue → worker → second
 * handle with 16 publishes under way. bench/in/k goes out as bench/out/k.
 *
 *   relay_paho PORT [verify]     verify: check signature and Merkle proof first
 */
#include "bench/ref/nodelay.h"
#include "trust/part.h"

#include <MQTTAsync.h>
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

static MQTTAsync in, out;
static struct item queue[QUEUE];
static unsigned head, count, dropped;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static sem_t window;
static int ready;

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

static void one_more(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    set_nodelay();
    if (__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST) == 2)
        puts("ready"), fflush(stdout);
}

static void connected(void *context, char *cause)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    (void)cause;
    options.onSuccess = one_more;
    if (context)
        MQTTAsync_subscribe(in, "bench/in/#", 1, &options);
    else
        one_more(NULL, NULL);
}

static void handle_open(MQTTAsync *handle, const char *uri, const char *id)
{
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    if (MQTTAsync_createWithOptions(handle, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create))
        exit(1);
    void *receives = handle == &in ? (void *)handle : NULL;
    MQTTAsync_setCallbacks(*handle, receives, NULL, arrived, NULL);
    MQTTAsync_setConnected(*handle, receives, connected);
    options.cleansession = 1;
    if (MQTTAsync_connect(*handle, &options) != MQTTASYNC_SUCCESS)
        exit(1);
}

int main(int argc, char **argv)
{
    char uri[64];
    struct sig_cache *cache = argc > 2 ? calloc(1, sizeof(*cache)) : NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 2 || crypto_init() != ERR_OK || sem_init(&window, 0, WINDOW))
        return 1;
    snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%s", argv[1]);
    handle_open(&out, uri, "relay-out");
    handle_open(&in, uri, "relay-in");
    for (;;)
        relay(take(), cache);
}
