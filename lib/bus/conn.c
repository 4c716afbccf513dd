/*
 * One connection: made, watched, and made again for ever.
 *
 *            deadline                connected
 *   WAITING ──────────▶ CONNECTING ─────────────▶ UP
 *      ▲ ▲  conn_connect   │   │  on_connected    │ lost; a send failed;
 *      │ └─────────────────┘   │ deadline         │ nothing acknowledged
 *      │   on_connect_failed   ▼                  ▼
 *      └────────────────────── BROKEN ◀───────────┘
 *             conn_rebuild
 *
 * I1  A Paho client serves one connection. When that dies the client is
 *     destroyed: only so is it certain that what it still has queued is not sent
 *     out of order later, and that none of its callbacks comes any more (Paho
 *     may or may not call them).
 * I2  The new client is made before the old one is destroyed: destroying a
 *     process's last client stops Paho's threads, which takes a second.
 * I3  What was under way goes back to the front of the outbox at the rebuild,
 *     and only there.
 * I4  Back-off starts over only after a connection that lived BUS_STABLE_MS: two
 *     clients with one id would otherwise throw each other out at full speed.
 */
#include "base/check.h"
#include "base/clock.h"
#include "bus/internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
    /* Paho looks at its connect time-outs every 3 s. */
    CONNECT_STUCK_MS = BUS_CONNECT_TIMEOUT_S * 1000 + 10000,
    GOODBYE_MS = 300,
    FDS_LOOKED_AT = 1024,
    US_PER_MS = 1000,
};

static void set_error(struct conn *conn, const char *why)
{
    snprintf(conn->bus->last_error, sizeof(conn->bus->last_error), "broker %.*s: %s",
             BUS_ERROR_BYTES / 2, conn->bus->uri.uri, why);
}

static void forget_error_if_all_up(struct bus *bus)
{
    for (int i = 0; i < bus->lanes_n; i++)
        for (int k = 0; k < bus->lanes[i].conns_n; k++)
            if (bus->lanes[i].conns[k].state != CONN_UP)
                return;
    bus->last_error[0] = '\0';
}

/* Doubled at every attempt, capped, then 50..100 % of it. */
static uint64_t back_off_us(unsigned attempts)
{
    uint64_t ms = BUS_RETRY_FIRST_MS;
    for (unsigned i = 0; i < attempts && ms < BUS_RETRY_MAX_MS; i++)
        ms *= 2;
    if (ms > BUS_RETRY_MAX_MS)
        ms = BUS_RETRY_MAX_MS;
    uint64_t us = ms * US_PER_MS;
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        random = (uint32_t)clock_mono_us();
    return us / 2 + random % (us / 2 + 1);
}

static void wait_for_next_attempt(struct conn *conn, uint64_t now_us)
{
    conn->state = CONN_WAITING;
    conn->deadline_us = now_us + back_off_us(conn->attempts);
    if (conn->attempts < UINT16_MAX)
        conn->attempts++;
    lane_refresh(conn->lane);
    pthread_cond_signal(&conn->bus->work);
}

void conn_break(struct conn *conn, const char *why)
{
    if (conn->state != CONN_UP && conn->state != CONN_CONNECTING)
        return;
    uint64_t now_us = clock_mono_us();
    if (conn->state == CONN_UP && now_us - conn->up_us >= (uint64_t)BUS_STABLE_MS * US_PER_MS)
        conn->attempts = 0; /* I4 */
    if (why)
        set_error(conn, why);
    conn->state = CONN_BROKEN;
    if (conn->receives)
        lane_forget_session(conn->lane);
    lane_refresh(conn->lane);
    pthread_cond_signal(&conn->bus->work);
}

void conn_renew(struct conn *conn, uint64_t now_us)
{
    conn_break(conn, NULL);
    conn->attempts = 0;
    if (conn->state == CONN_WAITING)
        conn->deadline_us = now_us;
}

/* What Paho tells us, on its threads. */

static void on_connected(void *owner)
{
    struct conn *conn = owner;
    struct bus *bus = conn->bus;
    pthread_mutex_lock(&bus->lock);
    if (conn->state == CONN_CONNECTING) {
        conn->state = CONN_UP;
        conn->fresh = true;
        conn->up_us = clock_mono_us();
        if (conn->was_up)
            conn->lane->counters.reconnects++;
        conn->was_up = true;
        forget_error_if_all_up(bus);
        lane_refresh(conn->lane);
        pthread_cond_signal(&bus->work);
    }
    pthread_mutex_unlock(&bus->lock);
}

/* Told once for each login, however many connections it is refused on. */
static void note_denied(struct conn *conn)
{
    struct bus *bus = conn->bus;
    if (bus->login_due || bus->denied_told)
        return;
    bus->denied = bus->denied_told = true;
    bus->denied_lane = conn->lane->index;
}

static void on_connect_failed(void *owner, const char *text, bool denied)
{
    struct conn *conn = owner;
    pthread_mutex_lock(&conn->bus->lock);
    if (conn->state == CONN_CONNECTING) {
        set_error(conn, text);
        if (denied)
            note_denied(conn);
        wait_for_next_attempt(conn, clock_mono_us());
    }
    pthread_mutex_unlock(&conn->bus->lock);
}

static void on_lost(void *owner)
{
    struct conn *conn = owner;
    pthread_mutex_lock(&conn->bus->lock);
    conn_break(conn, "connection lost");
    pthread_mutex_unlock(&conn->bus->lock);
}

static void on_received(void *owner, struct slice topic, struct slice payload,
                        struct paho_message memory)
{
    struct conn *conn = owner;
    lane_received(conn->lane, topic, payload, memory);
}

static void on_disconnected(void *owner)
{
    struct conn *conn = owner;
    pthread_mutex_lock(&conn->bus->lock);
    conn->disconnecting = false;
    pthread_cond_signal(&conn->bus->work);
    pthread_mutex_unlock(&conn->bus->lock);
}

static const struct paho_listener listener = {
    .connected = on_connected,
    .connect_failed = on_connect_failed,
    .lost = on_lost,
    .received = on_received,
    .disconnected = on_disconnected,
};

/* Paho refuses a client only for a malformed id or URI, and ours are checked. */
static struct paho *client_new(struct conn *conn)
{
    struct paho *paho;
    CHECK(paho_new(conn->bus->uri.uri, conn->client_id, &listener, conn, &paho) == ERR_OK);
    return paho;
}

void conn_init(struct conn *conn, struct lane *lane, bool receives, const char *client_id,
               uint64_t now_us)
{
    *conn = (struct conn){.bus = lane->bus,
                          .lane = lane,
                          .receives = receives,
                          .carries_will = receives && lane->index == 0,
                          .state = CONN_WAITING,
                          .deadline_us = now_us};
    snprintf(conn->client_id, sizeof(conn->client_id), "%s", client_id);
    for (int i = 0; i < BUS_WINDOW; i++)
        conn->slots[i] = (struct slot){.send.done = outbox_send_done, .conn = conn};
    conn->paho = client_new(conn);
}

static void conn_rebuild(struct conn *conn)
{
    struct bus *bus = conn->bus;
    struct paho *dead = conn->paho;
    pthread_mutex_unlock(&bus->lock);
    conn->paho = client_new(conn); /* I2 */
    paho_free(dead);               /* I1 */
    pthread_mutex_lock(&bus->lock);
    struct outgoing *given_up =
        conn->lane->send == conn ? outbox_requeue(conn->lane) : NULL; /* I3 */
    wait_for_next_attempt(conn, clock_mono_us());
    pthread_mutex_unlock(&bus->lock);
    outgoing_free_list(given_up);
    pthread_mutex_lock(&bus->lock);
}

static void conn_connect(struct conn *conn, uint64_t now_us)
{
    struct bus *bus = conn->bus;
    struct paho_options options = {
        .user = bus->user,
        .password = bus->password,
        .tls = bus->uri.tls,
        .ca_file = bus->ca_file,
        .cert_file = bus->cert_file,
        .key_file = bus->key_file,
        .will_topic = conn->carries_will ? bus->will_topic : NULL,
        .will_payload = slice_of(bus->will_payload, bus->will_len),
        .keep_alive_s = BUS_KEEP_ALIVE_S,
        .connect_timeout_s = BUS_CONNECT_TIMEOUT_S,
    };
    char text[PAHO_TEXT_BYTES];
    conn->state = CONN_CONNECTING;
    conn->deadline_us = now_us + (uint64_t)CONNECT_STUCK_MS * US_PER_MS;
    pthread_mutex_unlock(&bus->lock);
    enum err err = paho_connect(conn->paho, &options, text);
    pthread_mutex_lock(&bus->lock);
    if (err != ERR_OK)
        conn_break(conn, text);
}

static uint16_t peer_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } peer = {.room = {0}};
    socklen_t len = sizeof(peer);
    if (getpeername(fd, &peer.any, &len) != 0)
        return 0;
    if (peer.any.sa_family == AF_INET)
        return ntohs(peer.v4.sin_port);
    return peer.any.sa_family == AF_INET6 ? ntohs(peer.v6.sin6_port) : 0;
}

/* Paho has no option for TCP_NODELAY and does not show its socket, so every
 * connection of the process to the broker's port gets it; that harms none. */
static void sockets_set_nodelay(uint16_t port)
{
    const int one = 1;
    for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
        if (peer_port(fd) == port)
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* When a broker that answers neither messages nor subscriptions is given up. */
static uint64_t silence_deadline(const struct conn *conn)
{
    uint64_t silence_max_us = (uint64_t)BUS_ACK_MAX_MS * US_PER_MS;
    if (conn->in_flight > 0)
        return conn->progress_us + silence_max_us;
    if (conn->receives && !conn->lane->settled)
        return conn->up_us + silence_max_us;
    return UINT64_MAX;
}

bool conn_step(struct conn *conn, uint64_t now_us)
{
    if (conn->state == CONN_BROKEN) {
        if (conn->lane->send == conn && conn->lane->sending)
            return false; /* L3: who is sending wakes the thread again */
        conn_rebuild(conn);
    } else if (conn->state == CONN_WAITING && now_us >= conn->deadline_us) {
        conn_connect(conn, now_us);
    } else if (conn->state == CONN_CONNECTING && now_us >= conn->deadline_us) {
        conn_break(conn, "no answer in time");
    } else if (conn->state == CONN_UP && conn->fresh) {
        conn->fresh = false;
        pthread_mutex_unlock(&conn->bus->lock);
        sockets_set_nodelay(conn->bus->uri.port);
        pthread_mutex_lock(&conn->bus->lock);
    } else if (conn->state == CONN_UP && now_us >= silence_deadline(conn)) {
        conn_break(conn, "it acknowledges nothing any more");
    } else {
        return false;
    }
    return true;
}

uint64_t conn_deadline(const struct conn *conn)
{
    if (conn->state == CONN_WAITING || conn->state == CONN_CONNECTING)
        return conn->deadline_us;
    return conn->state == CONN_UP ? silence_deadline(conn) : UINT64_MAX;
}

static bool goodbye_pending(const struct bus *bus)
{
    for (int i = 0; i < bus->lanes_n; i++)
        for (int k = 0; k < bus->lanes[i].conns_n; k++)
            if (bus->lanes[i].conns[k].disconnecting)
                return true;
    return false;
}

static void say_goodbye(struct conn *conn)
{
    if (conn->state != CONN_UP)
        return;
    conn->disconnecting = true;
    pthread_mutex_unlock(&conn->bus->lock);
    enum err err = paho_disconnect(conn->paho);
    pthread_mutex_lock(&conn->bus->lock);
    if (err != ERR_OK)
        conn->disconnecting = false;
}

static void clients_free(struct bus *bus)
{
    for (int i = 0; i < bus->lanes_n; i++)
        for (int k = 0; k < bus->lanes[i].conns_n; k++)
            paho_free(bus->lanes[i].conns[k].paho);
}

void conn_close_all(struct bus *bus)
{
    for (int i = 0; i < bus->lanes_n; i++)
        for (int k = 0; k < bus->lanes[i].conns_n; k++)
            say_goodbye(&bus->lanes[i].conns[k]);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)GOODBYE_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (goodbye_pending(bus) && pthread_cond_timedwait(&bus->work, &bus->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&bus->lock);
    clients_free(bus);
    pthread_mutex_lock(&bus->lock);
}
