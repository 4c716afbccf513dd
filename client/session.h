#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H
/*
 * One connection to the broker, under an id that is also our reply id, and the
 * loop that waits on it: for messages, for the connection, for a time, for
 * SIGINT and SIGTERM. One session per process; one thread.
 */
#include "base/arena.h"
#include "base/config.h"
#include "base/msg.h"
#include "bus/bus.h"
#include "client/command.h"
#include "wire/topic.h"

enum {
    SESSION_INBOX_BYTES_MAX = 8 * 1024 * 1024,
    SESSION_INBOX_MESSAGES_MAX = 4096,
    SESSION_OUTBOX_BYTES_MAX = 4 * 1024 * 1024,
    SESSION_OUTBOX_MESSAGES_MAX = 2048,
    SESSION_REPEAT_US = 2 * 1000 * 1000, /* a request that may be repeated, is */
    SESSION_LATER_US = 500 * 1000,       /* a request that was put off is asked again after */
    SESSION_DOUBT_US = 300 * 1000,       /* and one that was refused for the first time */
    SESSION_FLUSH_MS = 5000,
};

/*
 * Who looks at every message first, whatever is being waited for: what is trusted is followed
 * like that (follow.h). Zeroed: nobody.
 */
enum heard {
    HEARD_NOTHING, /* not for him */
    HEARD,         /* for him alone */
    HEARD_NEWS,    /* and it changes what is trusted: SESSION_TRUST */
};
struct session_listener {
    enum heard (*take)(void *context, const struct topic *topic, struct slice payload);
    void *context;
};

struct session {
    struct bus *bus;
    struct id id;       /* 128 random bits: MQTT client id and reply id */
    const char *broker; /* --mqtt-broker; the options' */
    bool account;       /* we are there as $EDGECTL_HOME/broker says (account.h) */
    char prefix[TOPIC_PREFIX_BYTES_MAX + 1];
    uint64_t timeout_us; /* --timeout */
    bool up;
    uint64_t strays; /* messages that nobody waited for */
    struct session_listener listener;
};

/*
 * session_open: connect with the common options, and wait until it stands. Without --mqtt-user:
 * with our account at this broker, if we have one; without it, when it is refused.
 * Says what is wrong. STATUS_USAGE: an option is malformed. STATUS_NO_ANSWER: no
 * broker in time. STATUS_FAILED: interrupted, or the system refuses.
 */
enum exit_status session_open(struct session *s, const struct option *options);

/* session_close: drops what was not sent. Zeroed is fine. */
void session_close(struct session *s);

/* session_catch_signals: from main, once: SIGINT and SIGTERM stop us in order, a
 * second one at once; SIGPIPE is an error of write() instead. */
void session_catch_signals(void);

/* session_interrupted: a signal has asked us to stop. */
bool session_interrupted(void);

enum session_news {
    SESSION_TIMEOUT, /* the deadline has passed */
    SESSION_MESSAGE, /* *ret_msg is filled */
    SESSION_UP,      /* connected again, subscriptions in force */
    SESSION_DOWN,
    SESSION_DRAINED, /* there is room in the outbox */
    SESSION_TRUST,   /* the listener: what is trusted has changed */
    SESSION_STOP,    /* a signal: told once */
};

/*
 * session_wait: until something happens, or deadline_us (monotonic).
 * ret_msg    SESSION_MESSAGE: the caller's to msg_unref.
 * ret_topic  SESSION_MESSAGE: what its topic says; borrows from the message.
 */
enum session_news session_wait(struct session *s, uint64_t deadline_us, struct msg **ret_msg,
                               struct topic *ret_topic);

/*
 * session_subscribe: receive a reply topic, and wait until the broker has agreed.
 * What else arrives meanwhile is dropped: subscribe before asking.
 * ERR_UNAUTHORIZED: the broker refuses. ERR_TIMEOUT. ERR_CLOSED: interrupted.
 */
enum err session_subscribe(struct session *s, enum topic_kind kind, struct slice a, struct slice b);

/* session_listen: as session_subscribe, without waiting: what is refused stays unheard. */
enum err session_listen(struct session *s, enum topic_kind kind, struct slice a);

/* session_unsubscribe: forget it again. */
void session_unsubscribe(struct session *s, enum topic_kind kind, struct slice a, struct slice b);

/* session_send: publish on the topic of kind and a. ERR_LIMIT: the outbox is full. */
enum err session_send(struct session *s, enum topic_kind kind, struct slice a,
                      struct slice payload);

/* session_send_msg: as session_send, without a copy; msg stays the caller's. */
enum err session_send_msg(struct session *s, enum topic_kind kind, struct slice a, struct msg *msg);

/* What a message is to who asked. */
enum answer {
    ANSWER_STRAY, /* none of his: dropped and counted */
    ANSWER_TAKEN, /* what he asked for */
    ANSWER_LATER, /* not now: asked again until the time is up */
    /* No. Nobody signs that, so it is believed when it comes again after the request was repeated
     * (SESSION_DOUBT_US later), and until then an answer may still come. */
    ANSWER_REFUSED,
};

/* A request, and who looks at what comes back. */
struct ask {
    enum topic_kind kind;
    struct slice a;
    struct slice payload;
    /* renew: a request that counts once only: makes what is sent each time, in place of payload. */
    struct slice (*renew)(void *context, struct arena *arena);
    bool repeat; /* send again every SESSION_REPEAT_US, after a reconnect, and at SESSION_TRUST */
    enum answer (*take)(void *context, const struct topic *topic, struct slice payload);
    void *context;
};

/*
 * session_ask: send, and wait at most timeout_us for an answer.
 * ERR_OK: taken; or there was a LATER or REFUSED, and nothing better in time: the
 * context knows what take said last. ERR_TIMEOUT: not even that. ERR_CLOSED:
 * interrupted. ERR_LIMIT: the outbox is full.
 */
enum err session_ask(struct session *s, const struct ask *ask, uint64_t timeout_us);

/*
 * session_status: say what an error of the calls above means for `what` ("edge
 * e1"), and the exit status for it.
 */
enum exit_status session_status(struct session *s, enum err err, const char *what);

#endif
