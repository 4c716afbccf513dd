/*
 *   I1  packets of one connection leave whole and in the order of the calls.
 *   I2  what was received is parsed where it was read; only a message that is
 *       cut by the end of a read is kept and copied.
 */
#include "bench/load/mq.h"

#include "base/check.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    OUT_HEAD_BYTES = 8 + MQ_TOPIC_BYTES_MAX + MQ_LEAD_BYTES_MAX,
    EVENTS = 256,
    WRITE_ITEMS = 16
};
enum { CONNACK = 2, PUBLISH = 3, PUBACK = 4, SUBSCRIBE = 8, SUBACK = 9, PINGRESP = 13 };
enum { ACK_BYTES = 4 };

struct mq_out {
    struct slice body;
    void *owned; /* freed when written */
    size_t done; /* bytes written of head and body */
    size_t head_len;
    bool acks; /* holds nothing but PUBACKs: more may follow */
    uint8_t head[OUT_HEAD_BYTES];
};

void die(const char *fmt, ...)
{
    va_list args;
    fputs("load: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void mq_loop_init(struct mq_loop *loop)
{
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(loop->epoll_fd >= 0);
    loop->buf = mem_alloc(MQ_READ_BYTES + MQ_MESSAGE_BYTES_MAX);
}

/* ---- out ---- */

static void watch(struct mq *mq, int op)
{
    struct epoll_event ev = {.events = EPOLLIN | (mq->wants_out ? (uint32_t)EPOLLOUT : 0),
                             .data.ptr = mq};
    CHECK(epoll_ctl(mq->loop->epoll_fd, op, mq->fd, &ev) == 0);
}

static int gather(struct mq *mq, struct iovec iov[static 2 * WRITE_ITEMS])
{
    int n = 0;
    for (unsigned i = 0; i < mq->out_n && i < WRITE_ITEMS; i++) {
        struct mq_out *o = &mq->out[(mq->out_head + i) % mq->out_cap];
        size_t of_head = o->done < o->head_len ? o->done : o->head_len;
        if (of_head < o->head_len)
            iov[n++] = (struct iovec){o->head + of_head, o->head_len - of_head};
        if (o->done < o->head_len + o->body.len) {
            struct slice body = slice_from(o->body, o->done - of_head);
            iov[n++] = (struct iovec){(void *)(uintptr_t)body.ptr, body.len};
        }
    }
    return n;
}

static void advance(struct mq *mq, size_t written)
{
    while (mq->out_n) {
        struct mq_out *o = &mq->out[mq->out_head];
        size_t left = o->head_len + o->body.len - o->done;
        if (written < left) {
            o->done += written;
            return;
        }
        written -= left;
        free(o->owned);
        mq->out_head = (mq->out_head + 1) % mq->out_cap;
        mq->out_n--;
    }
}

static void flush(struct mq *mq)
{
    while (mq->out_n) {
        struct iovec iov[2 * WRITE_ITEMS];
        int n = gather(mq, iov);
        ssize_t written = writev(mq->fd, iov, n);
        if (written < 0 && errno != EAGAIN)
            die("connection %d broke while sending: %s", mq->number, strerror(errno));
        if (written < 0)
            break;
        advance(mq, (size_t)written); /* I1 */
    }
    if (mq->wants_out != (mq->out_n > 0)) {
        mq->wants_out = mq->out_n > 0;
        watch(mq, EPOLL_CTL_MOD);
    }
}

static struct mq_out *out_new(struct mq *mq)
{
    if (mq->out_n == mq->out_cap)
        die("connection %d: more than %u packets wait to be sent", mq->number, mq->out_cap);
    struct mq_out *o = &mq->out[(mq->out_head + mq->out_n++) % mq->out_cap];
    o->body = (struct slice){0};
    o->owned = NULL;
    o->done = o->head_len = 0;
    o->acks = false;
    return o;
}

static void put(struct mq_out *o, const void *ptr, size_t n)
{
    CHECK(o->head_len + n <= OUT_HEAD_BYTES);
    if (n)
        memcpy(o->head + o->head_len, ptr, n);
    o->head_len += n;
}

static void put_u8(struct mq_out *o, unsigned v)
{
    uint8_t byte = (uint8_t)v;
    put(o, &byte, 1);
}

static void put_u16(struct mq_out *o, unsigned v)
{
    put_u8(o, v >> 8);
    put_u8(o, v & 0xff);
}

static void put_length(struct mq_out *o, size_t n)
{
    do {
        put_u8(o, (unsigned)(n % 128) | (n >= 128 ? 128u : 0u));
        n /= 128;
    } while (n);
}

static void put_text(struct mq_out *o, const char *text)
{
    size_t n = strlen(text);
    put_u16(o, (unsigned)n);
    put(o, text, n);
}

static uint16_t next_id(struct mq *mq)
{
    return ++mq->packet_id ? mq->packet_id : ++mq->packet_id;
}

static void publish(struct mq *mq, const char *topic, struct slice lead, struct slice body,
                    void *owned)
{
    struct mq_out *o = out_new(mq);
    put_u8(o, PUBLISH << 4 | 2);
    put_length(o, 2 + strlen(topic) + 2 + lead.len + body.len);
    put_text(o, topic);
    put_u16(o, next_id(mq));
    put(o, lead.ptr, lead.len);
    o->body = body;
    o->owned = owned;
    mq->in_flight++;
    flush(mq);
}

void mq_publish(struct mq *mq, const char *topic, struct slice lead, struct slice body)
{
    publish(mq, topic, lead, body, NULL);
}

void mq_publish_copy(struct mq *mq, const char *topic, struct slice payload)
{
    uint8_t *copy = mem_alloc(payload.len + 1);
    memcpy(copy, payload.ptr, payload.len);
    publish(mq, topic, (struct slice){0}, slice_of(copy, payload.len), copy);
}

void mq_subscribe(struct mq *mq, const char *filter, int qos)
{
    struct mq_out *o = out_new(mq);
    put_u8(o, SUBSCRIBE << 4 | 2);
    put_length(o, 2 + 2 + strlen(filter) + 1);
    put_u16(o, next_id(mq));
    put_text(o, filter);
    put_u8(o, (unsigned)qos);
    mq->subscribing++;
    flush(mq);
}

static void acknowledge(struct mq *mq, const uint8_t *packet_id)
{
    struct mq_out *o = mq->out_n ? &mq->out[(mq->out_head + mq->out_n - 1) % mq->out_cap] : NULL;
    if (!o || !o->acks || o->head_len + ACK_BYTES > OUT_HEAD_BYTES) {
        o = out_new(mq);
        o->acks = true;
    }
    put_u8(o, PUBACK << 4);
    put_u8(o, 2);
    put(o, packet_id, 2);
}

/* ---- in ---- */

static void take_publish(struct mq *mq, unsigned flags, struct slice p)
{
    size_t topic_len = p.len < 2 ? SIZE_MAX : (size_t)p.ptr[0] << 8 | p.ptr[1];
    size_t id_len = flags & 6 ? 2 : 0;
    if (topic_len == SIZE_MAX || p.len < 2 + topic_len + id_len)
        die("connection %d: a malformed message", mq->number);
    struct slice topic = slice_of(p.ptr + 2, topic_len);
    if (id_len)
        acknowledge(mq, p.ptr + 2 + topic_len);
    mq->message(mq, topic, slice_from(p, 2 + topic_len + id_len));
}

static void take_packet(struct mq *mq, uint8_t first, struct slice p)
{
    switch (first >> 4) {
    case CONNACK:
        if (p.len != 2 || p.ptr[1])
            die("connection %d: the broker refuses it", mq->number);
        mq->connected = true;
        break;
    case SUBACK:
        if (p.len < 3 || p.ptr[2] & 0x80)
            die("connection %d: the broker refuses a subscription", mq->number);
        mq->subscribing--;
        break;
    case PUBACK: mq->in_flight--; break;
    case PUBLISH: take_publish(mq, first & 15u, p); break;
    case PINGRESP: break;
    default: die("connection %d: packet type %d", mq->number, first >> 4);
    }
}

/* The length of the first packet of bytes and where its rest begins; 0: not all of it is here. */
static size_t packet_len(struct slice bytes, size_t *ret_start)
{
    size_t n = 0;
    for (size_t i = 1; i < bytes.len && i <= 4; i++) {
        n |= (size_t)(bytes.ptr[i] & 127) << (7 * (i - 1));
        if (bytes.ptr[i] & 128)
            continue;
        *ret_start = i + 1;
        return i + 1 + n <= bytes.len ? i + 1 + n : 0;
    }
    return 0;
}

static void keep_rest(struct mq *mq, struct slice bytes)
{
    if (bytes.len > MQ_MESSAGE_BYTES_MAX)
        die("connection %d: a message of more than %d bytes", mq->number, MQ_MESSAGE_BYTES_MAX);
    if (bytes.len > mq->rest_cap) {
        mq->rest_cap =
            bytes.len < MQ_MESSAGE_BYTES_MAX / 4 ? MQ_MESSAGE_BYTES_MAX / 4 : MQ_MESSAGE_BYTES_MAX;
        mq->rest = mem_resize(mq->rest, mq->rest_cap);
    }
    if (bytes.len)
        memcpy(mq->rest, bytes.ptr, bytes.len); /* I2 */
    mq->rest_len = bytes.len;
}

static void take_bytes(struct mq *mq)
{
    uint8_t *buf = mq->loop->buf;
    if (mq->rest_len)
        memcpy(buf, mq->rest, mq->rest_len);
    ssize_t n = read(mq->fd, buf + mq->rest_len, MQ_READ_BYTES);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("connection %d broke: %s", mq->number, n ? strerror(errno) : "closed by the broker");
    struct slice bytes = slice_of(buf, mq->rest_len + (size_t)n);
    size_t start, len;
    while ((len = packet_len(bytes, &start)) > 0) {
        take_packet(mq, bytes.ptr[0], slice_of(bytes.ptr + start, len - start));
        bytes = slice_from(bytes, len);
    }
    keep_rest(mq, bytes);
    flush(mq);
}

void mq_run(struct mq_loop *loop, uint64_t wait_us)
{
    struct epoll_event events[EVENTS];
    struct timespec wait = {.tv_sec = (time_t)(wait_us / 1000000),
                            .tv_nsec = (long)(wait_us % 1000000) * 1000};
    int n = epoll_pwait2(loop->epoll_fd, events, EVENTS, &wait, NULL);
    for (int i = 0; i < n; i++) {
        struct mq *mq = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            flush(mq);
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            take_bytes(mq);
    }
}

/* ---- life ---- */

static int dial(const char *broker)
{
    char host[64];
    unsigned port;
    int one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (sscanf(broker, "%63[^:]:%u", host, &port) != 2 || port > UINT16_MAX ||
        inet_pton(AF_INET, host, &to.sin_addr) != 1)
        die("broker '%s': give an IPv4 address and a port", broker);
    to.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("no connection to %s: %s", broker, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

void mq_open(struct mq *mq, struct mq_loop *loop, const char *broker, const char *client_id,
             unsigned out_cap, mq_message_fn *message, void *owner, int number)
{
    *mq = (struct mq){.loop = loop,
                      .fd = dial(broker),
                      .message = message,
                      .owner = owner,
                      .number = number,
                      .out = mem_array(out_cap, sizeof(struct mq_out)),
                      .out_cap = out_cap};
    struct mq_out *o = out_new(mq);
    put_u8(o, 1 << 4);
    put_length(o, 10 + 2 + strlen(client_id));
    put_text(o, "MQTT");
    put_u8(o, 4); /* 3.1.1 */
    put_u8(o, 2); /* clean session */
    put_u16(o, 0);
    put_text(o, client_id);
    ssize_t n = write(mq->fd, o->head, o->head_len);
    if (n != (ssize_t)o->head_len)
        die("connection %d broke at once", number);
    advance(mq, (size_t)n);
    CHECK(fcntl(mq->fd, F_SETFL, O_NONBLOCK) == 0);
    watch(mq, EPOLL_CTL_ADD);
}

bool mq_settled(const struct mq *mq)
{
    return mq->connected && mq->subscribing == 0;
}

void mq_close(struct mq *mq)
{
    close(mq->fd);
    free(mq->rest);
    free(mq->out);
    *mq = (struct mq){.fd = -1};
}
