/*
 * The ingest on libmosquitto: receive on one client, acknowledge on another.
 *
 *   ingest_mosquitto PORT DATABASE
 */
#include "bench/ref/ingest.h"
#include "bench/ref/on_mosquitto.h"

static void release(struct job *job)
{
    struct mosquitto_message *copy = job->message;
    mosquitto_message_free(&copy);
}

static void acknowledge(int stream, const char *text, int len)
{
    char topic[64];
    snprintf(topic, sizeof(topic), "bench/out/%d", stream);
    if (mosquitto_publish(out, NULL, topic, len, text, 1, false))
        fputs("ingest_mosquitto: an acknowledgement was lost\n", stderr);
}

/* The library frees its message after the callback: it has to be copied. */
static void arrived(struct mosquitto *m, void *context, const struct mosquitto_message *message)
{
    struct mosquitto_message *copy = calloc(1, sizeof(*copy));
    (void)m, (void)context;
    if (mosquitto_message_copy(copy, message))
        exit(1);
    submit(copy->topic, slice_of(copy->payload, (size_t)copy->payloadlen), copy);
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 3 || crypto_init() != ERR_OK)
        return 1;
    clients_open(argv[1], "ingest", 0);
    ingest_run(argv[2]);
}
