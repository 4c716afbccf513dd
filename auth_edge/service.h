#ifndef AUTH_EDGE_SERVICE_H
#define AUTH_EDGE_SERVICE_H
/*
 * The loop: broker, authority and providers, in one thread. Everything that
 * waits is a descriptor in one poll(); everything that takes long is a
 * provider's. SIGTERM and SIGINT end it, SIGUSR1 logs the counters.
 */
#include "auth_edge/provider.h"
#include "auth_edge/store.h"
#include "auth_edge/zone.h"
#include "bus/bus.h"

/*
 * Two lanes, so that an edge that enrols does not stand in line behind a flood of
 * logins: whatever waits on the first is taken before each login.
 */
enum service_lane { LANE_ZONE, LANE_LOGIN, SERVICE_LANES };

enum {
    SERVICE_INBOX_MESSAGES_MAX = 1024, /* of each lane */
    SERVICE_INBOX_BYTES_MAX = 4 * 1024 * 1024,
    SERVICE_OUTBOX_MESSAGES_MAX = 1024,
    SERVICE_OUTBOX_BYTES_MAX = 4 * 1024 * 1024,
    SERVICE_BATCH_MAX = 64,         /* messages between two looks at everything else */
    SERVICE_LOGINS_BATCH_MAX = 4,   /* answered logins, likewise: each is a commit */
    SERVICE_REPORT_MS = 1500,       /* no broker after so long: say so */
    SERVICE_DRAIN_TIMEOUT_MS = 800, /* for accepted logins, when ending */
    SERVICE_FLUSH_TIMEOUT_MS = 400, /* for their answers */
};

struct service_config {
    struct zone *zone;
    const struct store *store;  /* for what it says when it fails */
    struct provider *passwords; /* who checks user and password; NULL: nobody */
    struct provider *tokens;    /* who checks tokens; NULL: nobody */
    struct slice topic_prefix;
    const struct bus_config *broker; /* the connection; lanes and will are the service's */
};

/* service_block_signals: before any thread is started, so that the loop alone gets them. */
void service_block_signals(void);

/*
 * service_run: serve until SIGTERM or SIGINT; finish what was accepted, and
 * return within 2 s. Logs.
 * ERR_FORMAT: the broker's address or client id is malformed. ERR_IO: a
 * descriptor or thread is refused (errno).
 */
enum err service_run(const struct service_config *config);

#endif
