#ifndef BUS_INTERNAL_H
#define BUS_INTERNAL_H
/*
 * Private to lib/bus: what its files share. bus.c has the life cycle and the
 * bus's thread, conn.c the connections, lane.c what comes in, outbox.c what
 * goes out, events.c what the program is told.
 *
 * Locks
 *   L1  bus->lock guards everything below except what says otherwise. Neither a message that
 *       arrives nor a look at the outbox's room takes it.
 *   L2  No paho_* call, no msg_unref and no free of a message is made with
 *       bus->lock held: Paho's callbacks take it while they hold Paho's lock.
 *   L3  Only the bus's thread calls paho_*, but for paho_publish, which publishers call, too, with
 *       lane->sending set; a client is freed by the bus's thread while it is not. So conn->paho
 *       needs no lock.
 *
 * Functions marked [locked] are called with bus->lock held and keep it, those
 * marked [unlocks] release and take it again inside.
 */
#include "bus/bus.h"
#include "bus/paho.h"
#include "bus/text.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BUS_CLIENT_ID_BYTES = 64 + 1 + BUS_LANE_NAME_BYTES_MAX + 2 + 1 };

/* One message on its way out. */
struct outgoing {
    struct outgoing *next;
    struct msg *msg;
    uint64_t seq; /* of the lane */
    uint64_t queued_us;
    size_t bytes;   /* what it counts in the outbox */
    unsigned tries; /* connections that died with it under way */
    int qos;
    bool retained;
    char topic[];
};

/* Its place in the window while it is under way. */
struct slot {
    struct paho_send send; /* first: send_done casts back */
    struct conn *conn;
    struct outgoing *item; /* NULL: free */
};

enum conn_state {
    CONN_WAITING,    /* until deadline_us */
    CONN_CONNECTING, /* at most until deadline_us */
    CONN_UP,
    CONN_BROKEN, /* to be rebuilt */
};

struct conn {
    struct bus *bus;
    struct lane *lane;
    struct paho *paho;
    bool receives; /* the lane's first connection; it may send, too */
    bool carries_will;
    char client_id[BUS_CLIENT_ID_BYTES];

    enum conn_state state;
    bool fresh; /* up, and its socket not yet looked after */
    bool was_up;
    bool disconnecting;
    uint64_t deadline_us;
    uint64_t up_us;    /* when it last came up */
    unsigned attempts; /* since it was last stable */

    struct slot slots[BUS_WINDOW];
    int in_flight;        /* slots with an item */
    bool alone;           /* the one under way has failed before: nothing goes beside it */
    uint64_t progress_us; /* last acknowledgement, or first send into an empty window */
};

enum filter_state {
    FILTER_FREE,
    FILTER_NEW,   /* to be subscribed */
    FILTER_ASKED, /* SUBSCRIBE sent */
    FILTER_SETTLED,
    FILTER_GONE, /* to be unsubscribed, then free */
};

struct filter {
    struct paho_ask ask; /* first: answered casts back */
    struct lane *lane;
    char *text; /* kept while asks > 0, so that the number is not reused too early */
    int qos;
    int asks; /* SUBSCRIBEs of this connection still unanswered */
    enum filter_state state;
    bool report;   /* an event was promised */
    bool answered; /* and is due */
    bool refused;
};

/* What received messages are charged to. Shared with them: it outlives the bus. */
struct inbox_budget {
    struct budget budget; /* first: messages know it as their budget */
    atomic_uint refs;
};

struct lane {
    struct bus *bus;
    int index;
    size_t outbox_bytes_max, outbox_messages_max;
    struct conn conns[2];
    int conns_n;
    struct conn *recv, *send; /* &conns[0], &conns[conns_n - 1] */

    struct queue inbox;
    struct inbox_budget *inbox_budget;

    struct outgoing *head, **tail; /* not under way, in order */
    uint64_t next_seq;
    bool sending;                         /* a thread is handing one to Paho */
    size_t outbox_bytes, outbox_messages; /* queued and under way */
    atomic_size_t outbox_free_bytes;      /* follows from them; read without the lock */

    struct filter filters[BUS_FILTERS_MAX];
    int filters_n;      /* filters[filters_n…] were never used */
    bool filters_dirty; /* some are NEW or GONE */

    bool settled;      /* every filter was answered once on this connection */
    bool up;           /* settled, and the sending connection stands */
    uint64_t down_us;  /* since when it is not */
    bool reported;     /* the program was last told CONNECTED */
    bool lost_since;   /* went down since then */
    bool drain_wanted; /* refused a message or went above half */
    bool drained;      /* an event is due */
    int answers_due;   /* filters with an event due */
    struct bus_counters counters;
    atomic_uint_fast64_t received, received_bytes, dropped_inbox; /* of them; without the lock */
};

struct bus {
    pthread_mutex_t lock;
    pthread_cond_t work;    /* the bus's thread waits here */
    pthread_cond_t emptied; /* bus_flush waits here */
    pthread_t thread;
    bool closing;

    struct text_uri uri;
    char *ca_file, *cert_file, *key_file, *will_topic; /* constant */
    char *user, *password;                             /* the bus's thread's */
    char *next_user, *next_password;                   /* in their place, if login_due */
    bool login_due;
    bool denied;      /* an event is due */
    bool denied_told; /* of this login */
    int denied_lane;
    uint8_t *will_payload;
    size_t will_len;

    struct lane lanes[BUS_LANES_MAX];
    int lanes_n;
    int turn; /* the lane that sends next, lane 0 apart */

    int events_fd;
    bool events_raised;
    char last_error[BUS_ERROR_BYTES];
};

/* bus.c */

/* bus_steady: every connection stands, and stays for now. [locked] */
bool bus_steady(const struct bus *bus);

/* conn.c */

/* conn_init: not yet connecting. */
void conn_init(struct conn *conn, struct lane *lane, bool receives, const char *client_id,
               uint64_t now_us);
/* conn_step: do what is due on one connection. true: something was done. [locked, unlocks] */
bool conn_step(struct conn *conn, uint64_t now_us);
/* conn_deadline: when conn_step has something to do; UINT64_MAX: nothing. [locked] */
uint64_t conn_deadline(const struct conn *conn);
/* conn_break: the connection is of no use any more. why: for bus_last_error; NULL: it is no error.
 * [locked] */
void conn_break(struct conn *conn, const char *why);
/* conn_renew: the login has changed: connect anew at once. [locked] */
void conn_renew(struct conn *conn, uint64_t now_us);
/*
 * conn_close_all: say goodbye on every connection, wait shortly for it to
 * leave, and free the clients. [locked, unlocks]
 */
void conn_close_all(struct bus *bus);

/* lane.c: what comes in */

/* lane_init: ERR_IO: no eventfd. lane_release undoes either. */
enum err lane_init(struct lane *lane, struct bus *bus, int index,
                   const struct bus_lane_config *config);
/* lane_release: everything but the clients. The bus's thread is gone. Zeroed is fine. */
void lane_release(struct lane *lane);
/* lane_refresh: after a change of a connection or filter: up or not, events. [locked] */
void lane_refresh(struct lane *lane);
/* lane_forget_session: the receiving connection died, and the broker's memory of it. [locked] */
void lane_forget_session(struct lane *lane);
/* lane_filters_step: send a SUBSCRIBE or UNSUBSCRIBE. true: something was done. [locked, unlocks]
 */
bool lane_filters_step(struct lane *lane);
/* lane_received: take a message into the inbox, or drop and count it. Not locked. */
void lane_received(struct lane *lane, struct slice topic, struct slice payload,
                   struct paho_message memory);

/* outbox.c: what goes out */

/*
 * outbox_requeue: what was under way goes back to the front, in order. What was
 * tried too often leaves the outbox; the caller frees it, unlocked. [locked]
 */
struct outgoing *outbox_requeue(struct lane *lane);
/* outbox_drop_aged: take out what waited too long for a connection; the caller frees it. [locked]
 */
struct outgoing *outbox_drop_aged(struct lane *lane, uint64_t now_us);
/* outbox_age_deadline: when outbox_drop_aged has something to do; UINT64_MAX: never. [locked] */
uint64_t outbox_age_deadline(const struct lane *lane);
/* outbox_can_send: there is something to send, room in the window, and nobody at it. [locked] */
bool outbox_can_send(const struct lane *lane);
/* outbox_send_one: hand the oldest message to Paho; outbox_can_send. [locked, unlocks] */
void outbox_send_one(struct lane *lane, uint64_t now_us);
/* outbox_send_done: struct paho_send's done, on Paho's threads. Not locked. */
void outbox_send_done(struct paho_send *send, bool ok);
/* outbox_release: free everything. The bus's thread is gone. */
void outbox_release(struct lane *lane);
/* outgoing_free_list: release items and their messages. Not locked (L2). */
void outgoing_free_list(struct outgoing *list);

/* events.c */

/* events_refresh: make events_fd say whether events are due. [locked] */
void events_refresh(struct bus *bus);

#endif
