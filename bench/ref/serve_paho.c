/*
 * A stored video for one viewer, as one would serve it on Paho if it lay in
 * memory: the same parts, the same window and credit, 16 publishes under way.
 * Requests come on bench/in, parts go to bench/out/CLIENT.
 *
 *   serve_paho PORT CHUNKS PARTS PART_BYTES
 */
#include "base/bytes.h"
#include "bench/ref/on_paho.h"
#include "trust/part.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

enum { WINDOW = 16, TEXT = 256 };

struct packet {
    uint8_t *bytes;
    size_t len;
};

static struct packet *packets;
static unsigned packets_n, parts_n;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static sem_t window;

/* The view: what the last seek and credit said. */
static struct {
    char topic[TEXT];
    unsigned long pull, at, sent, allowed;
    int running;
} view;

static unsigned long field(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

static void request(const char *json)
{
    unsigned long pull = field(json, "\"pull\":"), allowed = field(json, "\"window_bytes\":");
    const char *client = strstr(json, "\"client_id\":\"");
    pthread_mutex_lock(&lock);
    if (strstr(json, "\"credit\":") && pull == view.pull) {
        view.allowed = field(json, "\"credit\":") + allowed;
    } else if (client && (pull > view.pull || pull == 1)) { /* 1: a viewer begins */
        client += sizeof("\"client_id\":\"") - 1;
        snprintf(view.topic, TEXT, "bench/out/%.*s", (int)strcspn(client, "\""), client);
        view.pull = pull;
        view.at = (field(json, "\"chunk_part\":") - 1) * parts_n + field(json, "\"part\":");
        view.sent = 0;
        view.allowed = allowed;
        view.running = 1;
    }
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static int arrived(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    char json[1024];
    (void)context, (void)topic_len;
    snprintf(json, sizeof(json), "%.*s", message->payloadlen, (char *)message->payload);
    request(json);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void sent(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    sem_post(&window);
}

static void publish(const char *topic, const void *bytes, size_t len)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = sent;
    sem_wait(&window);
    if (MQTTAsync_send(out, topic, (int)len, bytes, 1, 0, &options) != MQTTASYNC_SUCCESS)
        exit(1);
}

static void serve_one(void)
{
    char topic[TEXT], end[TEXT];
    pthread_mutex_lock(&lock);
    while (!view.running ||
           (view.at < packets_n && view.sent && view.sent + packets[view.at].len > view.allowed))
        pthread_cond_wait(&changed, &lock);
    snprintf(topic, sizeof(topic), "%s", view.topic);
    snprintf(end, sizeof(end), "{\"video_id\":\"ref\",\"pull\":%lu,\"end\":\"1\"}", view.pull);
    struct packet *packet = view.at < packets_n ? &packets[view.at++] : NULL;
    if (packet)
        view.sent += packet->len;
    else
        view.running = 0;
    pthread_mutex_unlock(&lock);
    if (packet)
        publish(topic, packet->bytes, packet->len);
    else
        publish(topic, end, strlen(end));
}

static void cut(unsigned chunks, uint32_t part_bytes)
{
    struct signkey key;
    struct hash stream = {{1}};
    struct chunk_cutter cutter;
    uint8_t *media = calloc(parts_n, part_bytes), *packet = malloc(PACKET_BYTES_MAX);
    signkey_random(&key);
    chunk_cutter_init(&cutter, &stream, &key, part_bytes);
    packets = calloc((size_t)chunks * parts_n, sizeof(*packets));
    for (unsigned c = 0; c < chunks; c++) {
        struct cut_chunk chunk;
        if (chunk_cut(&cutter, CHUNK_MEDIA, 0, 0, 0, slice_of(media, (size_t)parts_n * part_bytes),
                      &chunk) != ERR_OK)
            exit(1);
        for (unsigned p = 0; p < parts_n; p++) {
            struct packet *to = &packets[packets_n++];
            to->len = cut_chunk_part(&chunk, p, packet);
            to->bytes = memcpy(malloc(to->len), packet, to->len);
        }
        cut_chunk_release(&chunk);
    }
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 5 || crypto_init() != ERR_OK || sem_init(&window, 0, WINDOW))
        return 1;
    parts_n = (unsigned)atoi(argv[3]);
    cut((unsigned)atoi(argv[2]), (uint32_t)atoi(argv[4]));
    handles_open(argv[1], "serve", "bench/in", 0);
    for (;;)
        serve_one();
}
