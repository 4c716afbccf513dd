#ifndef BUS_BUS_H
#define BUS_BUS_H
/*
 * The broker, seen from a program: lanes of messages in, lanes of messages
 * out, and events that say when a lane may be used. The only thing in the
 * project that talks MQTT; nothing of Paho shows here.
 *
 * A lane is an order and a budget of its own, on one connection (or two, with
 * separate_sender), so that control never queues behind media:
 *   lane 0 is control: it is sent first and carries the last will;
 *   the other lanes share what is left, one message each in turn.
 *
 *   broker --> inbox(lane) --> the program --> bus_publish(lane) --> outbox --> broker
 *
 * Nothing here waits for the broker except bus_flush() and bus_close(). The
 * connection is made, kept and made again by the bus's own thread, for ever,
 * with capped, jittered back-off; subscriptions are remembered and renewed.
 *
 * What is promised
 *   Order     what is published on one lane arrives in the order of the calls.
 *             After a reconnect some messages may arrive a second time (QoS 1
 *             and QoS 0 alike: what was not acknowledged is sent again).
 *   Bounds    inbox: bytes alive (waiting or still referenced) and messages
 *             waiting; outbox: bytes and messages queued or unacknowledged.
 *             What does not fit is refused (out) or dropped and counted (in).
 *   Not       custody. A broker's acknowledgement says nothing about storage.
 *
 * Any thread may call anything but bus_open and bus_close. No callbacks: take
 * from bus_inbox() and bus_event_take(), poll queue_fd() and bus_events_fd().
 * One bus per program, opened after any fork: Paho's threads do not survive one.
 */
#include "base/err.h"
#include "base/msg.h"
#include "base/queue.h"
#include "base/slice.h"

enum {
    BUS_LANES_MAX = 4,
    BUS_FILTERS_MAX = 256, /* subscriptions of one lane */
    BUS_WINDOW = 16,       /* messages of a lane sent and not yet acknowledged */
    BUS_LANE_NAME_BYTES_MAX = 16,
    BUS_TOPIC_BYTES_MAX = 4096,
    BUS_BROKER_BYTES_MAX = 512,
    BUS_ERROR_BYTES = 256,
    BUS_MESSAGE_OVERHEAD_BYTES = 256, /* charged per received message on top of its bytes */

    BUS_KEEP_ALIVE_S = 20,
    BUS_CONNECT_TIMEOUT_S = 5,
    BUS_RETRY_FIRST_MS = 200, /* doubled at every attempt, then jittered to 50..100 % */
    BUS_RETRY_MAX_MS = 30000,
    BUS_STABLE_MS = 5000,        /* a connection that lived so long resets the back-off */
    BUS_SEND_AGE_MAX_MS = 30000, /* see bus_publish */
    BUS_SEND_TRIES_MAX = 5,      /* see bus_publish */
    BUS_ACK_MAX_MS = 60000,      /* a connection that acknowledges nothing so long is given up */
};

struct bus; /* opaque */

struct bus_lane_config {
    /* Suffix of the MQTT client id ("CLIENT-media"), [A-Za-z0-9_-], at most
     * BUS_LANE_NAME_BYTES_MAX. Exactly one lane has "" (or NULL) and receives
     * as exactly client_id: brokers' access lists tie reply topics to it. */
    const char *name;
    /* Publish on a second connection ("…-s"): needed where a lane receives and
     * sends media at once, or each direction stalls the other. */
    bool separate_sender;
    /* The program takes with queue_wait() alone: its inbox has no queue_fd(). */
    bool inbox_waited;
    size_t inbox_bytes_max;    /* each message counts payload + topic + overhead */
    size_t inbox_messages_max; /* > 0 */
    size_t outbox_bytes_max;   /* each message counts payload + topic */
    size_t outbox_messages_max;
};

/* Everything is copied by bus_open. */
struct bus_config {
    /* MQTT_BROKER: host, host:port, mqtt:// or tcp:// (1883), mqtts:// or
     * ssl:// (8883), ws:// or wss:// (passed on as they are). */
    const char *broker;
    const char *client_id; /* an id (base/id.h) */
    const char *user;      /* NULL: anonymous */
    const char *password;
    /* TLS: the certificate chain and the host name are always verified.
     * ca_file NULL: the system's trust store. cert_file and key_file: the
     * client's certificate, or both NULL. PEM. */
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    /* Last will: published by the broker, QoS 1, not retained, when lane 0's
     * receiving connection dies; a clean bus_close suppresses it. Empty topic: none. */
    struct slice will_topic;
    struct slice will_payload;
    struct bus_lane_config lanes[BUS_LANES_MAX];
    int lanes_n; /* 1..BUS_LANES_MAX */
};

/*
 * bus_open: start connecting; returns at once, whether or not there is a broker.
 * ERR_FORMAT: broker, client id or a lane's name is malformed. ERR_IO: no
 * thread or eventfd (errno tells). Call from one thread at a time.
 */
enum err bus_open(const struct bus_config *config, struct bus **ret_bus);

/*
 * bus_close: disconnect cleanly (so the will stays unpublished), free all.
 * What is still queued is dropped: call bus_flush first (a connection that is
 * stuck in the middle of a message cannot say goodbye, and its will is sent).
 * Within about a second in every state but one: a name server that is being
 * waited for. NULL is fine. Nobody may be inside another bus_* call, in
 * bus_inbox() or in bus_events_fd() any more (queue_close(bus_inbox(…)) wakes
 * those who wait there). Messages taken from an inbox stay valid, and their
 * budget with them, until their last release.
 */
void bus_close(struct bus *bus);

/*
 * bus_set_login: who we are to the broker from now on, in place of the configuration's user and
 * password (copied; user NULL: anonymous). Every connection is given up with a goodbye and made
 * anew at once; filters are renewed, what is queued or under way is sent there, and so is all
 * that is published from now on.
 */
void bus_set_login(struct bus *bus, const char *user, const char *password);

/*
 * bus_flush: wait until every outbox is empty and acknowledged.
 * ERR_TIMEOUT: timeout_ms passed first; the rest stays queued.
 */
enum err bus_flush(struct bus *bus, uint32_t timeout_ms);

/*
 * bus_subscribe: receive what matches topic_filter on a lane, now and after
 * every reconnect. Answered by one BUS_SUBSCRIBED or BUS_REFUSED event that
 * carries *ret_filter. The same filter again gives the same number (a new
 * QoS counts) and another event.
 * qos         0 or 1.
 * ret_filter  number of the filter in its lane; may be NULL.
 * ERR_FORMAT: not a filter (empty, longer than BUS_TOPIC_BYTES_MAX, not UTF-8,
 * a NUL, or a wildcard where MQTT has none).
 * ERR_LIMIT: the lane has BUS_FILTERS_MAX.
 */
enum err bus_subscribe(struct bus *bus, int lane, struct slice topic_filter, int qos,
                       int *ret_filter);

/*
 * bus_unsubscribe: forget a filter. Messages that are under way may still
 * arrive; its number may be given to another filter. ERR_UNKNOWN: no such filter.
 */
enum err bus_unsubscribe(struct bus *bus, int lane, struct slice topic_filter);

/*
 * bus_inbox: the lane's received messages: struct msg * with topic and payload
 * set. Whoever takes one owns the reference (msg_unref). The queue is the bus's.
 * A message that does not fit the lane's budget never gets here: it is counted
 * in dropped_inbox, whatever its size.
 */
struct queue *bus_inbox(struct bus *bus, int lane);

/*
 * bus_publish: queue one message; if the window has room, hand it to the client
 * library (which copies it, about 20 µs for 60 KiB). Never waits for the broker.
 * topic    copied; no wildcard.
 * payload  its payload is sent (its topic is not); the bus takes a reference
 *          of its own and gives it back when the broker has acknowledged.
 * qos      0 or 1.
 * While there is no connection the message waits; it is dropped and counted
 * once it has waited BUS_SEND_AGE_MAX_MS of one outage, so that a long one
 * does not end in a flood of stale requests (dropped_age), or once
 * BUS_SEND_TRIES_MAX connections died while it was under way (send_failures).
 * ERR_LIMIT: the outbox is full: count, and drop or come back at BUS_DRAINED.
 * ERR_FORMAT: topic empty, longer than BUS_TOPIC_BYTES_MAX, not UTF-8, with a
 * NUL or wildcard. ERR_CLOSED: bus_close has begun.
 */
enum err bus_publish(struct bus *bus, int lane, struct slice topic, struct msg *payload, int qos,
                     bool retained);

/*
 * bus_outbox_free_bytes: what bus_publish would still take on this lane. An acknowledgement of this
 * moment may be missing, never a message that the caller published or a BUS_DRAINED that he took.
 */
size_t bus_outbox_free_bytes(struct bus *bus, int lane);

enum bus_event_kind {
    /* The lane's connections stand and every filter that it had is
     * acknowledged: a request that is published from now on can be answered. */
    BUS_CONNECTED,
    /* It is so no more. Keep publishing: it is queued. */
    BUS_LOST,
    /* A filter was acknowledged (once per bus_subscribe; later renewals are
     * part of BUS_CONNECTED). */
    BUS_SUBSCRIBED,
    /* The broker does not allow this filter. It does not hold back BUS_CONNECTED. */
    BUS_REFUSED,
    /* The broker refuses this user and password, or anybody who names none. Once for each login;
     * the attempts go on. lane: the first that was refused. */
    BUS_DENIED,
    /* The outbox, which had refused a message or been above half of a limit,
     * is at or below half again. */
    BUS_DRAINED,
};

struct bus_event {
    enum bus_event_kind kind;
    int lane;
    int filter; /* BUS_SUBSCRIBED, BUS_REFUSED; else -1 */
};

/*
 * bus_event_take: the next event. false: there is none now.
 * Events are states, not a log: a slow reader misses repetitions (a connection
 * that was lost and made again since is one LOST and one CONNECTED), never the
 * last word. LOST comes before CONNECTED and SUBSCRIBED before CONNECTED. What was denied before
 * bus_set_login is not told after it.
 */
bool bus_event_take(struct bus *bus, struct bus_event *ret_event);

/* bus_events_fd: readable while bus_event_take has something; for poll() only, never read it. */
int bus_events_fd(const struct bus *bus);

/* Since bus_open, per lane. */
struct bus_counters {
    uint64_t received;       /* messages that reached the inbox */
    uint64_t received_bytes; /* their payloads */
    uint64_t dropped_inbox;  /* arrived, but over the inbox's bytes or messages */
    uint64_t sent;           /* messages acknowledged by the broker (QoS 0: written) */
    uint64_t sent_bytes;     /* their payloads */
    uint64_t dropped_outbox; /* refused by bus_publish with ERR_LIMIT */
    uint64_t dropped_age;    /* waited too long for a connection */
    uint64_t send_failures;  /* given up after BUS_SEND_TRIES_MAX, or refused by the library */
    uint64_t resent;         /* sent again after a lost connection */
    uint64_t reconnects;     /* connections made after a first one, on either handle */
    size_t inbox_alive_bytes;
    size_t outbox_bytes; /* queued or unacknowledged */
};

/* bus_counters: each is exact; what arrives meanwhile may be in one and not yet in another. */
struct bus_counters bus_counters(struct bus *bus, int lane);

/*
 * bus_last_error: why the last attempt to connect failed, as a sentence for the
 * user ("broker tcp://127.0.0.1:1883: connection refused or host unreachable");
 * "" while nothing went wrong or once every lane is connected.
 */
void bus_last_error(struct bus *bus, char ret_text[static BUS_ERROR_BYTES]);

#endif
