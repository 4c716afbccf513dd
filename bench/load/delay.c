/*
 * A wire of a given length: a TCP relay that hands every byte on `delay` after
 * it came, in both directions. Kernels without netem have nothing else.
 *
 *   load delay --in LISTEN_IP:PORT --out TO_IP:PORT --rate DELAY_MS
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/load/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 16384, CHUNKS = 4096 }; /* 64 MB may be on the wire */

struct piece {
    uint64_t due_us;
    size_t len;
    uint8_t bytes[CHUNK];
};

/* One direction of one connection: a reader and a writer. */
struct wire {
    int from, to;
    uint64_t delay_us;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct piece *ring[CHUNKS];
    unsigned head, n;
    bool ended;
};

static void *read_wire(void *arg)
{
    struct wire *w = arg;
    for (;;) {
        struct piece *c = mem_alloc_raw(sizeof(*c));
        ssize_t n = read(w->from, c->bytes, CHUNK);
        pthread_mutex_lock(&w->lock);
        while (w->n == CHUNKS)
            pthread_cond_wait(&w->changed, &w->lock);
        w->ended = n <= 0;
        if (n > 0) {
            c->len = (size_t)n;
            c->due_us = clock_mono_us() + w->delay_us;
            w->ring[(w->head + w->n++) % CHUNKS] = c;
        }
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        if (n <= 0) {
            free(c);
            return NULL;
        }
    }
}

static void wait_until_us(uint64_t due_us)
{
    struct timespec t = {.tv_sec = (time_t)(due_us / 1000000),
                         .tv_nsec = (long)(due_us % 1000000) * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

static bool write_all(int fd, const uint8_t *bytes, size_t len)
{
    for (ssize_t n; len; bytes += n, len -= (size_t)n)
        if ((n = send(fd, bytes, len, MSG_NOSIGNAL)) <= 0)
            return false;
    return true;
}

static void *write_wire(void *arg)
{
    struct wire *w = arg;
    for (;;) {
        pthread_mutex_lock(&w->lock);
        while (!w->n && !w->ended)
            pthread_cond_wait(&w->changed, &w->lock);
        struct piece *c = w->n ? w->ring[w->head] : NULL;
        if (c) {
            w->head = (w->head + 1) % CHUNKS;
            w->n--;
        }
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        if (c)
            wait_until_us(c->due_us);
        bool ok = c && write_all(w->to, c->bytes, c->len);
        free(c);
        if (!ok) {
            shutdown(w->to, SHUT_WR);
            return NULL;
        }
    }
}

static void wire_start(int from, int to, uint64_t delay_us)
{
    struct wire *w = mem_alloc(sizeof(*w));
    pthread_t reader, writer;
    w->from = from;
    w->to = to;
    w->delay_us = delay_us;
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0 && pthread_cond_init(&w->changed, NULL) == 0);
    CHECK(pthread_create(&reader, NULL, read_wire, w) == 0);
    CHECK(pthread_create(&writer, NULL, write_wire, w) == 0);
    pthread_detach(reader);
    pthread_detach(writer);
}

static struct sockaddr_in address(const char *text)
{
    char host[64];
    unsigned port;
    struct sockaddr_in a = {.sin_family = AF_INET};
    if (!text || sscanf(text, "%63[^:]:%u", host, &port) != 2 || port > UINT16_MAX ||
        inet_pton(AF_INET, host, &a.sin_addr) != 1)
        die("delay: give --in and --out as IPv4:port");
    a.sin_port = htons((uint16_t)port);
    return a;
}

static int stream_socket(void)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    return fd;
}

/* Until it is killed; what a connection held is the process's. */
int delay_main(struct load *load)
{
    struct sockaddr_in in = address(load->in), out = address(load->out);
    int listener = stream_socket();
    int one = 1;
    if (bind(listener, (struct sockaddr *)&in, sizeof(in)) != 0 || listen(listener, 64) != 0)
        die("delay: cannot listen on %s: %s", load->in, strerror(errno));
    puts("ready");
    fflush(stdout);
    for (;;) {
        int from = accept(listener, NULL, NULL);
        int to = stream_socket();
        if (from < 0 || connect(to, (struct sockaddr *)&out, sizeof(out)) != 0)
            die("delay: %s", strerror(errno));
        setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        wire_start(from, to, (uint64_t)(load->rate * 1000));
        wire_start(to, from, (uint64_t)(load->rate * 1000));
    }
}
