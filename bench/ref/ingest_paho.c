/*
 * The ingest on Paho: receive on one handle, acknowledge on another.
 *
 *   ingest_paho PORT DATABASE
 */
#include "bench/ref/ingest.h"
#include "bench/ref/nodelay.h"

#include <MQTTAsync.h>

static MQTTAsync in, out;
static int ready;

struct received {
    MQTTAsync_message *message;
    char *topic;
};

static void release(struct job *job)
{
    struct received *r = job->message;
    MQTTAsync_freeMessage(&r->message);
    MQTTAsync_free(r->topic);
    free(r);
}

static void acknowledge(int stream, const char *text, int len)
{
    char topic[64];
    snprintf(topic, sizeof(topic), "bench/out/%d", stream);
    if (MQTTAsync_send(out, topic, len, text, 1, 0, NULL) != MQTTASYNC_SUCCESS)
        fputs("ingest_paho: an acknowledgement was lost\n", stderr);
}

static int arrived(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct received *r = malloc(sizeof(*r));
    (void)context, (void)topic_len;
    *r = (struct received){message, topic};
    submit(topic, slice_of(message->payload, (size_t)message->payloadlen), r);
    return 1;
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
    create.maxBufferedMessages = QUEUE;
    if (MQTTAsync_createWithOptions(handle, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create))
        exit(1);
    void *receives = handle == &in ? (void *)handle : NULL;
    MQTTAsync_setCallbacks(*handle, receives, NULL, arrived, NULL);
    MQTTAsync_setConnected(*handle, receives, connected);
    options.cleansession = 1;
    options.maxInflight = QUEUE;
    if (MQTTAsync_connect(*handle, &options) != MQTTASYNC_SUCCESS)
        exit(1);
}

int main(int argc, char **argv)
{
    char uri[64];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 3 || crypto_init() != ERR_OK)
        return 1;
    snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%s", argv[1]);
    handle_open(&out, uri, "ingest-out");
    handle_open(&in, uri, "ingest-in");
    ingest_run(argv[2]);
}
