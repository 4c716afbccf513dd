#ifndef BUS_PAHO_H
#define BUS_PAHO_H
/*
 * Private to lib/bus: one MQTT client of Paho's, in our types. paho.c is the
 * one includer of MQTTAsync.h and holds no state of its own.
 *
 * Thread. paho_* functions take Paho's global lock: the bus's own thread calls
 * them, holding no lock of ours that a listener takes. Listeners run on Paho's
 * threads, nearly always under that lock: they never wait and never call paho_*.
 */
#include "base/err.h"
#include "base/slice.h"

enum { PAHO_TEXT_BYTES = 160 };

struct paho;

/* A received message's own memory, kept until paho_message_free. */
struct paho_message {
    void *message;
    void *topic;
};

struct paho_listener {
    void (*connected)(void *owner);
    /* text: why, for a person; denied: the broker does not want this user and password */
    void (*connect_failed)(void *owner, const char *text, bool denied);
    void (*lost)(void *owner);
    void (*received)(void *owner, struct slice topic, struct slice payload,
                     struct paho_message memory); /* the listener's from now on */
    void (*disconnected)(void *owner);
};

/* Embedded by the owner in whatever describes one message under way. */
struct paho_send {
    void (*done)(struct paho_send *send, bool ok);
};

/* Embedded by the owner in whatever describes one filter. ok: the broker has
 * answered, granted or refused it; else the connection is dying. */
struct paho_ask {
    void (*answered)(struct paho_ask *ask, bool ok, bool granted);
};

struct paho_options {
    const char *user, *password; /* NULL: none */
    bool tls;
    const char *ca_file, *cert_file, *key_file; /* NULL: none */
    const char *will_topic;                     /* NULL: none */
    struct slice will_payload;
    int keep_alive_s, connect_timeout_s;
};

/* paho_new: a client that does nothing yet. listener and owner outlive it. ERR_IO: refused. */
enum err paho_new(const char *uri, const char *client_id, const struct paho_listener *listener,
                  void *owner, struct paho **ret_paho);

/*
 * paho_free: drop the connection if there is one (with DISCONNECT), and
 * everything queued. No listener is called any more once it has returned, and
 * no `done` need ever have been. The last client of the process also stops
 * Paho's threads, which takes up to about a second. NULL is fine.
 */
void paho_free(struct paho *paho);

/*
 * paho_connect: start connecting: `connected` or `connect_failed` follows.
 * ERR_IO: neither will; ret_text says why.
 */
enum err paho_connect(struct paho *paho, const struct paho_options *options,
                      char ret_text[static PAHO_TEXT_BYTES]);

/* paho_disconnect: send DISCONNECT now; `disconnected` follows. ERR_IO: it does not. */
enum err paho_disconnect(struct paho *paho);

/*
 * paho_subscribe: one SUBSCRIBE of one filter (Paho does not say how long the
 * list of a longer SUBACK is, so a hostile broker's could not be read safely).
 * ask->answered follows unless the connection dies. ERR_IO: not connected.
 */
enum err paho_subscribe(struct paho *paho, const char *filter, int qos, struct paho_ask *ask);

/* paho_unsubscribe: one UNSUBSCRIBE of one filter; unanswered. ERR_IO: not connected. */
enum err paho_unsubscribe(struct paho *paho, const char *filter);

/*
 * paho_publish: hand one message over; Paho copies it. send->done follows
 * unless the connection dies. ERR_CLOSED: not connected. ERR_FORMAT: Paho will
 * never take this message.
 */
enum err paho_publish(struct paho *paho, const char *topic, struct slice payload, int qos,
                      bool retained, struct paho_send *send);

/* paho_message_free: free a received message's memory. Any thread, also after paho_free. */
void paho_message_free(struct paho_message memory);

#endif
