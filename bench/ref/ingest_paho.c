/*
 * The ingest on Paho: receive on one handle, acknowledge on another.
 *
 *   ingest_paho PORT DATABASE
 */
#include "bench/ref/ingest.h"
#include "bench/ref/on_paho.h"

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

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 3 || crypto_init() != ERR_OK)
        return 1;
    handles_open(argv[1], "ingest", "bench/in/#", QUEUE);
    ingest_run(argv[2]);
}
