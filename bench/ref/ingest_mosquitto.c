/*
 * The ingest on libmosquitto: receive on one client, acknowledge on another.
 *
 *   ingest_mosquitto PORT DATABASE
 */
#include "bench/ref/ingest.h"

#include <mosquitto.h>

static struct mosquitto *in, *out;
static int ready;

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
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    return m;
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 3 || crypto_init() != ERR_OK || mosquitto_lib_init())
        return 1;
    out = client_open("ingest-out");
    in = client_open("ingest-in");
    if (mosquitto_connect(out, "127.0.0.1", atoi(argv[1]), 60) || mosquitto_loop_start(out) ||
        mosquitto_connect(in, "127.0.0.1", atoi(argv[1]), 60) || mosquitto_loop_start(in))
        return 1;
    ingest_run(argv[2]);
}
