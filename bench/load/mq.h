#ifndef BENCH_LOAD_MQ_H
#define BENCH_LOAD_MQ_H
/*
 * MQTT 3.1.1 as a load generator needs it: thousands of connections in one
 * thread, QoS 1 with many publishes under way, and a body that is sent from
 * where it lies. Neither Paho nor libmosquitto gives all three, and a generator
 * that costs more than the node hides the node. Not for anything but benches: a
 * connection that breaks ends the program.
 *
 *   mq_open .. mq_subscribe .. mq_run until mq_settled .. mq_publish, mq_run …
 *
 * One thread owns a loop and its connections.
 */
#include "base/slice.h"

enum {
    MQ_TOPIC_BYTES_MAX = 256,
    MQ_LEAD_BYTES_MAX = 1024,      /* what stands before the body, see mq_publish */
    MQ_READ_BYTES = 1024 * 1024,   /* taken from a socket at once */
    MQ_MESSAGE_BYTES_MAX = 262144, /* longest message received */
};

struct mq_loop {
    int epoll_fd;
    uint8_t *buf; /* MQ_READ_BYTES + MQ_MESSAGE_BYTES_MAX, shared: hot in the cache */
};

struct mq;
/* message: everything is borrowed during the call. May publish. */
typedef void mq_message_fn(struct mq *mq, struct slice topic, struct slice payload);

struct mq {
    struct mq_loop *loop;
    int fd;
    mq_message_fn *message;
    void *owner; /* the caller's */
    int number;  /* likewise */
    bool connected;
    int subscribing;    /* SUBSCRIBEs not yet answered */
    unsigned in_flight; /* publishes not yet acknowledged */
    uint16_t packet_id;
    bool wants_out;
    uint8_t *rest; /* the start of a message whose end has not come */
    size_t rest_len, rest_cap;
    struct mq_out *out; /* ring */
    unsigned out_cap, out_head, out_n;
};

void mq_loop_init(struct mq_loop *loop);

/*
 * mq_open: connect and say CONNECT (clean session, no keep-alive).
 * broker  host:port, IPv4. out_cap: packets that may wait to be written.
 */
void mq_open(struct mq *mq, struct mq_loop *loop, const char *broker, const char *client_id,
             unsigned out_cap, mq_message_fn *message, void *owner, int number);

void mq_subscribe(struct mq *mq, const char *filter, int qos);

/* mq_settled: connected, and every subscription answered. */
bool mq_settled(const struct mq *mq);

/*
 * mq_publish: QoS 1. The message is lead ‖ body.
 * lead  copied; at most MQ_LEAD_BYTES_MAX. body: borrowed until it is acknowledged.
 */
void mq_publish(struct mq *mq, const char *topic, struct slice lead, struct slice body);

/* mq_publish_copy: the same for a small message of its own: all of it is copied. */
void mq_publish_copy(struct mq *mq, const char *topic, struct slice payload);

/* mq_run: wait at most wait_us for something to happen, and let it happen. */
void mq_run(struct mq_loop *loop, uint64_t wait_us);

/* mq_close: drop the connection without a word. */
void mq_close(struct mq *mq);

/* die: say why on standard error and exit with 1. */
_Noreturn __attribute__((format(printf, 1, 2))) void die(const char *fmt, ...);

#endif
