/*
 * edge: one per node. Puts the parts together and takes them apart again:
 *
 *   settings → store → core → bus → verify pool → loop → (drain) → the reverse
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "edge/loop.h"
#include "edge/settings.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LIVE_INBOX_BYTES_MAX = 20 * 1024 * 1024,  /* alive: in the inbox, GOP cache, replays, outbox */
    MEDIA_INBOX_BYTES_MAX = 12 * 1024 * 1024, /* alive: in the inbox, store queue */
    MEDIA_INBOX_MESSAGES_MAX = 8192,
    MEDIA_OUTBOX_MESSAGES_MAX = 8192,
    CONTROL_INBOX_BYTES_MAX = 4 * 1024 * 1024,
    CONTROL_INBOX_MESSAGES_MAX = 4096,
    CONTROL_OUTBOX_MESSAGES_MAX = 4096,
    READ_BUDGET_BYTES = READS_BYTES_MAX + MEDIA_OUTBOX_BYTES_MAX + 1024 * 1024,
    JSON_BUDGET_BYTES = 4 * 1024 * 1024, /* packets taken out of JSON parts */
    CLIENT_ID_RANDOM_BYTES = 16,
};

struct app {
    struct settings settings;
    struct budget read_budget, json_budget;
    struct holding *stale;
    size_t stale_n;
    struct loop loop;
};

static void stale_add(void *context, const struct holding *holding)
{
    struct app *app = context;
    if (app->stale_n < STALE_MAX)
        app->stale[app->stale_n++] = *holding;
}

/* Signals are read as data by the loop; every thread is started with them blocked. */
static int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum err open_store(struct app *app)
{
    char error[STORE_ERROR_BYTES];
    struct store_config config = {
        .path = app->settings.db_path,
        .edge_id = app->settings.edge_id,
        .budget = &app->read_budget,
        .bytes_max = config_uint(app->settings.options, "storage-bytes-max"),
        .digest_key = digest_key(app->settings.zone_secret),
    };
    enum err err = store_open(&config, &app->loop.store, error);
    crypto_wipe(&config.digest_key, sizeof(config.digest_key));
    if (err != ERR_OK)
        log_line(LOG_ERROR, "%s", error);
    return err;
}

static void kept(struct app *app, const char *key, uint8_t **ret, struct slice *ret_slice)
{
    size_t len = 0;
    if (store_meta(app->loop.store, key, ret, &len) == ERR_OK)
        *ret_slice = slice_of(*ret, len);
}

/* A number that the core put under this key; 0: never put. */
static uint64_t kept_number(struct app *app, const char *key)
{
    CLEANUP(mem_free_ptr) uint8_t *bytes = NULL;
    struct slice value = {0};
    kept(app, key, &bytes, &value);
    struct reader r = reader_of(value);
    uint64_t number = read_u64(&r);
    return reader_done(&r) ? number : 0;
}

static void configure_copies(const struct option *o, struct core_config *config)
{
    config->replicas = (unsigned)config_uint(o, "replicas");
    config->replica_grace_us = config_uint(o, "replica-grace-s") * 1000000;
    config->cache_bytes_max = config_uint(o, "cache-mib") * 1024 * 1024;
    config->replication_bytes_per_s = config_uint(o, "replication-kib-s") * 1024;
    config->tombstone_kept_us = config_uint(o, "tombstone-hours") * 3600 * 1000000;
}

static enum err open_core(struct app *app)
{
    struct settings *s = &app->settings;
    CLEANUP(mem_free_ptr) uint8_t *params = NULL;
    CLEANUP(mem_free_ptr) uint8_t *credential = NULL;
    CLEANUP(mem_free_ptr) uint8_t *revocations = NULL;
    CLEANUP(mem_free_ptr) uint8_t *login = NULL;
    struct core_config config = {
        .edge_id = s->edge_id,
        .key = s->key,
        .version = EDGE_CLUSTER_VERSION,
        .allow_token_reply_ids = config_flag(s->options, "allow-token-reply-ids"),
        .broker_accounts = config_flag(s->options, "broker-accounts"),
        .now_us = clock_mono_us(),
        .utc_us = clock_utc_us(),
        .last_hlc = store_last_hlc(app->loop.store),
        .videos = store_videos(app->loop.store),
        .root = store_root(app->loop.store),
        .contact_us = kept_number(app, "contact"),
        .since_us = kept_number(app, "since"),
    };
    configure_copies(s->options, &config);
    memcpy(config.zone_secret, s->zone_secret, KEY_BYTES);
    crypto_random(config.seed, KEY_BYTES);
    kept(app, "zone_params", &params, &config.zone_params);
    kept(app, "credential", &credential, &config.credential);
    kept(app, "revocations", &revocations, &config.revocations);
    kept(app, "broker", &login, &config.broker_login);
    app->stale = mem_array(STALE_MAX, sizeof(*app->stale));
    enum err err = store_stale_presences(app->loop.store, stale_add, app);
    config.stale = app->stale;
    config.stale_n = app->stale_n;
    if (err == ERR_OK)
        app->loop.core = core_new(&config);
    crypto_wipe((void *)(uintptr_t)config.broker_login.ptr, config.broker_login.len);
    crypto_wipe(&config, sizeof(config));
    settings_forget(s);
    free(app->stale);
    app->stale = NULL;
    return err;
}

static struct slice offline_message(struct app *app, struct arena *arena)
{
    struct edge_status status = {.edge_id = app->settings.edge_id};
    return edge_status_encode(&status, arena);
}

/* At a locked broker nobody may know it: whoever connects under the same id throws us out. */
static void client_id_make(const struct app *app, struct id *ret)
{
    uint8_t random[CLIENT_ID_RANDOM_BYTES];
    *ret = app->settings.edge_id;
    if (!core_login(app->loop.core))
        return;
    crypto_random(random, sizeof(random));
    hex_encode(slice_of(random, sizeof(random)), ret->s);
}

static enum err open_bus(struct app *app)
{
    const struct option *o = app->settings.options;
    char topic[TOPIC_BUF_BYTES];
    struct arena arena = {0};
    struct id client_id;
    const struct edge_login *login = core_login(app->loop.core);
    client_id_make(app, &client_id);
    struct bus_config config = {
        .broker = config_text(o, "mqtt-broker"),
        .client_id = client_id.s,
        .user = login ? login->user : config_text(o, "mqtt-user"),
        .password = login ? login->password : app->settings.password,
        .ca_file = config_text(o, "mqtt-ca-file"),
        .cert_file = config_text(o, "mqtt-cert-file"),
        .key_file = config_text(o, "mqtt-key-file"),
        .will_topic = topic_print(TOPIC_EDGE_STATUS, app->loop.prefix,
                                  id_slice(&app->settings.edge_id), (struct slice){0}, topic),
        .will_payload = offline_message(app, &arena),
        .lanes = {[LANE_CONTROL] = {.name = "",
                                    .inbox_waited = true,
                                    .inbox_bytes_max = CONTROL_INBOX_BYTES_MAX,
                                    .inbox_messages_max = CONTROL_INBOX_MESSAGES_MAX,
                                    .outbox_bytes_max = CONTROL_OUTBOX_BYTES_MAX,
                                    .outbox_messages_max = CONTROL_OUTBOX_MESSAGES_MAX},
                  [LANE_LIVE] = {.name = "live",
                                 .separate_sender = true,
                                 .inbox_bytes_max = LIVE_INBOX_BYTES_MAX,
                                 .inbox_messages_max = MEDIA_INBOX_MESSAGES_MAX,
                                 .outbox_bytes_max = LIVE_OUTBOX_BYTES_MAX,
                                 .outbox_messages_max = MEDIA_OUTBOX_MESSAGES_MAX},
                  [LANE_MEDIA] = {.name = "media",
                                  .separate_sender = true,
                                  .inbox_bytes_max = MEDIA_INBOX_BYTES_MAX,
                                  .inbox_messages_max = MEDIA_INBOX_MESSAGES_MAX,
                                  .outbox_bytes_max = MEDIA_OUTBOX_BYTES_MAX,
                                  .outbox_messages_max = MEDIA_OUTBOX_MESSAGES_MAX}},
        .lanes_n = LANES,
    };
    enum err err = bus_open(&config, &app->loop.bus);
    arena_release(&arena);
    if (err == ERR_FORMAT)
        log_line(LOG_ERROR, "--mqtt-broker '%s' is no broker; give host:port or mqtts://host:port",
                 config.broker);
    else if (err != ERR_OK)
        log_line(LOG_ERROR, "cannot start the broker connection: too many open files or threads");
    return err;
}

struct subscription {
    enum lane lane;
    enum topic_kind kind;
    bool self_a, any_a, self_b;
};

static enum err subscribe(struct app *app)
{
    static const struct subscription subscriptions[] = {
        {LANE_CONTROL, TOPIC_AUTH_REVOCATIONS, false, false, false},
        {LANE_CONTROL, TOPIC_AUTH_ZONE_REPLY, true, false, false},
        {LANE_CONTROL, TOPIC_DB, false, false, false},
        {LANE_CONTROL, TOPIC_DB_REPLY, true, false, false},
        {LANE_CONTROL, TOPIC_DB_UPDATE, false, false, false},
        {LANE_CONTROL, TOPIC_DB_SYNC, true, false, false},
        {LANE_CONTROL, TOPIC_DELETE, true, false, false},
        {LANE_CONTROL, TOPIC_EDGE_STATUS, false, true, false},
        {LANE_CONTROL, TOPIC_PING, false, false, false},
        {LANE_CONTROL, TOPIC_LIST, true, false, false},
        {LANE_CONTROL, TOPIC_WATCH, true, false, false},
        {LANE_CONTROL, TOPIC_LIVE_WATCH, true, false, false},
        {LANE_MEDIA, TOPIC_UPLOAD, true, false, false},
        {LANE_LIVE, TOPIC_LIVE_UPLOAD, true, false, false},
        {LANE_MEDIA, TOPIC_WATCH_REPLY, false, true, true},
    };
    struct slice self = id_slice(&app->settings.edge_id);
    for (size_t i = 0; i < sizeof(subscriptions) / sizeof(subscriptions[0]); i++) {
        const struct subscription *s = &subscriptions[i];
        char buf[TOPIC_BUF_BYTES];
        struct slice a = s->self_a ? self : s->any_a ? slice_str("+") : (struct slice){0};
        struct slice b = s->self_b ? self : (struct slice){0};
        struct slice filter = topic_print(s->kind, app->loop.prefix, a, b, buf);
        enum err err = bus_subscribe(app->loop.bus, (int)s->lane, filter, 1, NULL);
        if (err != ERR_OK) {
            log_line(LOG_ERROR, "cannot subscribe to %.*s: %s", SLICE_FMT(filter), err_name(err));
            return err;
        }
    }
    return ERR_OK;
}

/* One core is left to the client library: it has two threads for everything. The loop decodes, too,
 * but has its own to do where there is so much that workers are woken. */
static unsigned media_workers(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    return n < 1 ? 1 : n > VERIFY_WORKERS_MAX ? VERIFY_WORKERS_MAX : (unsigned)n;
}

static enum err open_verify(struct app *app)
{
    struct decoder decoder = {
        .self = app->settings.edge_id, .prefix = app->loop.prefix, .budget = &app->json_budget};
    struct queue *inboxes[LANES] = {
        [LANE_CONTROL] = bus_inbox(app->loop.bus, LANE_CONTROL),
        [LANE_LIVE] = bus_inbox(app->loop.bus, LANE_LIVE),
        [LANE_MEDIA] = bus_inbox(app->loop.bus, LANE_MEDIA),
    };
    enum err err = verify_open(&decoder, inboxes, media_workers(), &app->loop.verify);
    if (err != ERR_OK)
        log_line(LOG_ERROR, "cannot start the threads that verify: no more threads or files");
    return err;
}

static enum err open_thumbnailer(struct app *app)
{
    enum err err = thumbnailer_open(app->settings.thumbnail_program, THUMBNAIL_WALL_MS,
                                    &app->loop.thumbnailer);
    if (err != ERR_OK)
        log_line(LOG_ERROR, "cannot start the thread for thumbnails: no more threads or files");
    return err;
}

static enum err open_all(struct app *app)
{
    app->loop.prefix = slice_str(config_text(app->settings.options, "topic-prefix"));
    app->loop.load.folder = config_text(app->settings.options, "data");
    app->read_budget.max_bytes = READ_BUDGET_BYTES;
    app->json_budget.max_bytes = JSON_BUDGET_BYTES;
    enum err err = open_store(app);
    if (err == ERR_OK)
        err = open_core(app);
    if (err == ERR_OK)
        err = open_bus(app);
    if (err == ERR_OK)
        err = subscribe(app);
    if (err == ERR_OK)
        err = open_verify(app);
    if (err == ERR_OK)
        err = open_thumbnailer(app);
    return err;
}

static void close_all(struct app *app)
{
    struct loop *loop = &app->loop;
    if (loop->core && loop->bus)
        loop_log_counters(loop);
    thumbnailer_close(loop->thumbnailer);
    verify_close(loop->verify);
    bus_close(loop->bus);
    store_close(loop->store);
    core_free(loop->core);
    if (loop->signal_fd >= 0)
        close(loop->signal_fd);
    settings_release(&app->settings);
}

/* No core dumps: they would hold the edge's key and the zone's secret. */
static void harden(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    umask(0077);
    mallopt(M_ARENA_MAX, 2); /* memory freed by one thread serves the others */
}

int main(int argc, char **argv)
{
    static struct app app;
    char error[SETTINGS_ERROR_BYTES];
    harden();
    log_setup("edge", LOG_INFO);
    app.loop.signal_fd = signals_open();
    if (app.loop.signal_fd < 0 || crypto_init() != ERR_OK) {
        log_line(LOG_ERROR, "cannot start: no signalfd or no source of randomness");
        return EXIT_FAILURE;
    }
    enum err err = settings_load(argc, argv, &app.settings, error);
    if (err != ERR_OK) {
        if (err != ERR_CLOSED)
            fprintf(stderr, "edge: %s\n", error);
        settings_release(&app.settings);
        return err == ERR_CLOSED ? EXIT_SUCCESS : err == ERR_FORMAT ? 2 : EXIT_FAILURE;
    }
    char name[16 + ID_BYTES_MAX];
    snprintf(name, sizeof(name), "edge %s", app.settings.edge_id.s);
    log_setup(name, config_flag(app.settings.options, "verbose") ? LOG_DEBUG : LOG_INFO);
    err = open_all(&app);
    if (err == ERR_OK) {
        log_line(LOG_INFO, "up, data in %s, broker %s", config_text(app.settings.options, "data"),
                 config_text(app.settings.options, "mqtt-broker"));
        err = loop_run(&app.loop);
    }
    if (err == ERR_IO && app.loop.store) {
        char why[STORE_ERROR_BYTES];
        store_error(app.loop.store, why);
        log_line(LOG_ERROR, "database: %s; what was acknowledged is on disk", why);
    }
    close_all(&app);
    return err == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
