#ifndef BENCH_REF_ON_PAHO_H
#define BENCH_REF_ON_PAHO_H
/*
 * The half of the references on Paho that is the same: one handle receives,
 * another sends, and "ready" is said when both can. Everything is static: a
 * reference is one program.
 */
#include <MQTTAsync.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static MQTTAsync in, out;

/* The other half's: a message has come on `in`; it is its to free. */
static int arrived(void *context, char *topic, int topic_len, MQTTAsync_message *message);

/*
 * Paho does not set TCP_NODELAY and does not show its sockets: set it on all of
 * the process's. Without it a reference's small messages wait for the last
 * acknowledgement, and ours would look better than it is.
 */
static void set_nodelay(void)
{
    int one = 1;
    for (int fd = 3; fd < 64; fd++)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void one_more(void *context, MQTTAsync_successData *data)
{
    static int ready;
    (void)context, (void)data;
    set_nodelay();
    if (__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST) == 2)
        puts("ready"), fflush(stdout);
}

static void connected(void *filter, char *cause)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    (void)cause;
    options.onSuccess = one_more;
    if (filter)
        MQTTAsync_subscribe(in, filter, 1, &options);
    else
        one_more(NULL, NULL);
}

/* filter: what it subscribes to, or NULL. */
static void handle_open(MQTTAsync *handle, const char *port, const char *name, const char *filter,
                        int queue)
{
    char uri[64], id[64];
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    if (queue)
        create.maxBufferedMessages = options.maxInflight = queue;
    snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%s", port);
    snprintf(id, sizeof(id), "%s-%s", name, filter ? "in" : "out");
    if (MQTTAsync_createWithOptions(handle, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create))
        exit(1);
    MQTTAsync_setCallbacks(*handle, NULL, NULL, arrived, NULL);
    MQTTAsync_setConnected(*handle, (void *)(uintptr_t)filter, connected);
    options.cleansession = 1;
    if (MQTTAsync_connect(*handle, &options) != MQTTASYNC_SUCCESS)
        exit(1);
}

/* handles_open: queue: how many publishes Paho holds; 0: as many as it does by itself. */
static void handles_open(const char *port, const char *name, const char *filter, int queue)
{
    handle_open(&out, port, name, NULL, queue);
    handle_open(&in, port, name, filter, queue);
}

#endif
