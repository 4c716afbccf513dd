#ifndef AUTH_EDGE_SERVICE_H
#define AUTH_EDGE_SERVICE_H
/*
 * The loop: broker, authority and providers, in one thread. Everything that
 * waits is a descriptor in one poll(); everything that takes long is a
 * provider's. What the operator's commands change beside it is taken over within
 * SERVICE_LOOK_MS; the list of revocations goes out on connecting, when it
 * changes and every REVOCATIONS_EVERY_S. SIGTERM and SIGINT end it, SIGUSR1 logs
 * the counters.
 */
#include "auth_edge/desk.h"
#include "auth_edge/folder.h"
#include "auth_edge/provider.h"
#include "bus/bus.h"

/*
 * Lanes, so that an edge that enrols does not stand in line behind a flood of
 * logins: whatever waits on the first is taken before each login. The third is a locked broker's
 * plugin's alone, so that nobody's flood hides its answers.
 */
enum service_lane { LANE_ZONE, LANE_LOGIN, LANE_BROKER, SERVICE_LANES };

enum {
    SERVICE_INBOX_MESSAGES_MAX = 1024, /* of each lane */
    SERVICE_INBOX_BYTES_MAX = 4 * 1024 * 1024,
    SERVICE_OUTBOX_MESSAGES_MAX = 1024,
    SERVICE_OUTBOX_BYTES_MAX = 4 * 1024 * 1024,
    SERVICE_BATCH_MAX = 64,         /* messages between two looks at everything else */
    SERVICE_LOGINS_BATCH_MAX = 4,   /* answered logins, likewise: each is a commit */
    SERVICE_REPORT_MS = 1500,       /* no broker after so long: say so */
    SERVICE_LOOK_MS = 500,          /* that changes by other processes are looked for */
    SERVICE_DRAIN_TIMEOUT_MS = 800, /* for accepted logins, when ending */
    SERVICE_DESK_TIMEOUT_MS = 300,  /* for accounts that are being made */
    SERVICE_FLUSH_TIMEOUT_MS = 400, /* for their answers */
};

struct service_config {
    struct zone *zone;
    struct folder *folder;      /* of the zone; read again when another process changed it */
    struct provider *passwords; /* who checks user and password; NULL: nobody */
    struct provider *tokens;    /* who checks tokens; NULL: nobody */
    struct desk *desk;          /* with accounts at the broker; NULL: it keeps none */
    struct slice topic_prefix;
    bool retain_revocations;         /* the broker may keep the list for who comes later */
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
