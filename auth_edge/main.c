/*
 * Why: the command line of the zone authority: settings, sub-commands, and who
 * is connected to whom.
 */
#include "auth_edge/keyfile.h"
#include "auth_edge/local.h"
#include "auth_edge/operator.h"
#include "auth_edge/service.h"
#include "auth_edge/supabase.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    CREDENTIAL_S_MAX = 10 * 366 * 24 * 3600,
    CLIENT_ID_RANDOM_BYTES = 8,
    PASSWORD_FILE_BYTES_MAX = 1024,
    SUPABASE_KEY_FILE_BYTES_MAX = 4096,
    SETTING_PATH_BYTES = OPTION_VALUE_BYTES_MAX + 16,
};

static const uint64_t us_per_s = 1000 * 1000;

static struct option options[] = {
    {.name = "auth-data",
     .help = "folder of the zone's keys and users; --data for short",
     .fallback = "./auth_data"},
    {.name = "zone-id", .help = "id of the zone (default zone1, or the folder's)"},
    {.name = "mqtt-broker",
     .help = "host, host:port, or mqtt:// mqtts:// ws:// wss:// URL",
     .fallback = "127.0.0.1:1883"},
    {.name = "mqtt-user", .help = "user at the broker (default: anonymous)"},
    {.name = "mqtt-password-file", .help = "file whose first line is the password at the broker"},
    {.name = "mqtt-password",
     .help = "the password at the broker, where no file has it",
     .secret = true},
    {.name = "mqtt-ca-file", .help = "certificates that the broker is checked against, PEM"},
    {.name = "mqtt-cert-file", .help = "our certificate for the broker, PEM"},
    {.name = "mqtt-key-file", .help = "its key, PEM"},
    {.name = "broker-accounts",
     .help = "the broker is locked: keep an account there for each edge and streamer (production)",
     .kind = OPTION_FLAG},
    {.name = "out", .env = "BROKER_INIT_OUT", .help = "broker init: folder for the broker's files"},
    {.name = "topic-prefix", .help = "levels before every topic (default: none)"},
    {.name = "edge-credential-s",
     .help = "seconds that an edge's credential is valid",
     .fallback = "86400",
     .kind = OPTION_UINT,
     .min = 1,
     .max = CREDENTIAL_S_MAX},
    {.name = "streamer-credential-s",
     .help = "seconds that a streamer's is valid",
     .fallback = "604800",
     .kind = OPTION_UINT,
     .min = 1,
     .max = CREDENTIAL_S_MAX},
    {.name = "allow-token-reply-ids",
     .help = "answer under ids that are no ids (development)",
     .kind = OPTION_FLAG},
    {.name = "require-sealed-login",
     .help = "refuse tokens that were not sealed to the zone's key (production; with\n"
             "                                 --broker-accounts unless the variable says 0)",
     .kind = OPTION_FLAG},
    {.name = "supabase-url",
     .help = "https address of a Supabase project, whose tokens then count here"},
    {.name = "supabase-key-file",
     .help = "file whose first line is the project's publishable (anon) key"},
    {.name = "supabase-key", .help = "the project's key, where no file has it", .secret = true},
    {.name = "supabase-ca-file",
     .help = "certificates that Supabase is checked against, PEM (default: the system's)"},
    {.name = "supabase-issuer",
     .help = "issuer that tokens must name (default: the address and /auth/v1); none: none"},
    {.name = "supabase-allow-http",
     .help = "http:// also to another machine: whoever is in between gets the tokens",
     .kind = OPTION_FLAG},
    {.name = "password-file", .help = "user add, user passwd: the password is its first line"},
    {.name = "auth-password",
     .help = "user add, user passwd: the password, where no file has it",
     .secret = true},
    {.name = "zone-secret",
     .help = "64 hexadecimal digits instead of the folder's zone.secret",
     .secret = true},
    {.name = NULL},
};

static int print_help(void)
{
    fputs("auth_edge: the authority of an Edge Cluster zone: enrols edges, logs streamers in.\n\n"
          "  auth_edge [run]               serve until SIGTERM; SIGUSR1 logs the counters\n",
          stdout);
    operator_print_help();
    fputs("  auth_edge --version\n\n"
          "A serving auth_edge takes over by itself what these commands change.\n\n"
          "Options, also as variables (--zone-id is ZONE_ID) of the environment or of .env:\n",
          stdout);
    config_print_help(options);
    return EXIT_SUCCESS;
}

/* --- serving --------------------------------------------------------------------- */

/* "auth-<zone>-<random>", cut to an id's length. */
static void client_id_make(const struct id *zone_id, struct id *ret)
{
    uint8_t random[CLIENT_ID_RANDOM_BYTES];
    char hex[2 * CLIENT_ID_RANDOM_BYTES + 1];
    crypto_random(random, sizeof(random));
    hex_encode(slice_of(random, sizeof(random)), hex);
    int n = snprintf(ret->s, sizeof(ret->s), "auth-%.40s-%s", zone_id->s, hex);
    CHECK(n > 0 && n <= ID_BYTES_MAX);
}

/* The first line of the file that an option names, or another option's text, or NULL. ret: heap. */
static bool secret_line(const char *file_option, const char *text_option, size_t bytes_max,
                        char **ret)
{
    const char *path = config_text(options, file_option);
    const char *given = config_text(options, text_option);
    char *text = NULL;
    size_t len;
    if (path && file_read(path, bytes_max, &text, &len) != ERR_OK) {
        fprintf(stderr, "auth_edge: cannot read --%s %s\n", file_option, path);
        return false;
    }
    if (path)
        keyfile_warn_if_open(path);
    if (!path && given)
        text = strdup(given);
    if (text)
        text[strcspn(text, "\r\n")] = '\0';
    *ret = text;
    return true;
}

static int run_service(struct folder *folder, struct zone *zone, struct provider *local,
                       struct provider *supabase, struct desk *desk)
{
    struct id client_id;
    CLEANUP(mem_free_secret_ptr) char *password = NULL;
    if (!secret_line("mqtt-password-file", "mqtt-password", PASSWORD_FILE_BYTES_MAX, &password))
        return EXIT_FAILURE;
    client_id_make(&folder->zone.zone_id, &client_id);
    struct bus_config broker = {
        .broker = config_text(options, "mqtt-broker"),
        .client_id = client_id.s,
        .user = config_text(options, "mqtt-user"),
        .password = password,
        .ca_file = config_text(options, "mqtt-ca-file"),
        .cert_file = config_text(options, "mqtt-cert-file"),
        .key_file = config_text(options, "mqtt-key-file"),
    };
    struct service_config service = {
        .zone = zone,
        .folder = folder,
        .passwords = local,
        .tokens = supabase,
        .topic_prefix = slice_str(config_text(options, "topic-prefix")),
        .desk = desk,
        .retain_revocations = !desk,
        .broker = &broker,
    };
    log_line(LOG_INFO, "zone %s, keys in %s, broker %s", folder->zone.zone_id.s, folder->path,
             broker.broker);
    enum err err = service_run(&service);
    if (err == ERR_FORMAT)
        return operator_misuse("--mqtt-broker is no address of a broker");
    if (err != ERR_OK)
        return operator_complain(strerror(errno));
    return EXIT_SUCCESS;
}

/* A text that is there and not empty: a variable that a compose file passes on is often empty. */
static const char *text_or_none(const char *option)
{
    const char *text = config_text(options, option);
    return text && *text ? text : NULL;
}

/* ret: NULL: no --supabase-url. */
static bool open_supabase(struct provider **ret)
{
    char error[SUPABASE_ERROR_BYTES];
    CLEANUP(mem_free_secret_ptr) char *key = NULL;
    struct supabase_config config = {
        .url = text_or_none("supabase-url"),
        .ca_file = text_or_none("supabase-ca-file"),
        .issuer = text_or_none("supabase-issuer"),
        .allow_http = config_flag(options, "supabase-allow-http"),
    };
    *ret = NULL;
    if (!config.url)
        return true;
    if (!secret_line("supabase-key-file", "supabase-key", SUPABASE_KEY_FILE_BYTES_MAX, &key))
        return false;
    config.key = key;
    if (supabase_open(&config, ret, error) != ERR_OK) {
        operator_complain(error);
        return false;
    }
    log_line(LOG_INFO, "tokens are checked with Supabase at %s", config.url);
    return true;
}

static struct desk *open_desk(struct folder *folder, const uint8_t key[static KEY_BYTES])
{
    struct accounts *accounts = accounts_new(key, store_clients(folder->store));
    accounts_secret(accounts, folder->keys.secret);
    return desk_new(accounts, LANE_BROKER, LANE_ZONE);
}

/* In production unless it is said otherwise. */
static bool sealed_logins_only(void)
{
    return config_text(options, "require-sealed-login")
               ? config_flag(options, "require-sealed-login")
               : config_flag(options, "broker-accounts");
}

static int serve_folder(struct folder *folder)
{
    bool accounts = config_flag(options, "broker-accounts");
    uint8_t broker_key[KEY_BYTES];
    char error[FOLDER_ERROR_BYTES];
    if (accounts && folder_broker_key(folder, false, broker_key, error) != ERR_OK)
        return operator_complain(error);
    struct zone_config config = {
        .params = &folder->zone,
        .keys = &folder->keys,
        .edge_credential_us = config_uint(options, "edge-credential-s") * us_per_s,
        .streamer_credential_us = config_uint(options, "streamer-credential-s") * us_per_s,
        .allow_token_reply_ids = config_flag(options, "allow-token-reply-ids"),
        .require_sealed_login = sealed_logins_only(),
        .records = store_records(folder->store),
        .broker_key = accounts ? broker_key : NULL,
        .clients = store_clients(folder->store),
    };
    if (store_answered_until(folder->store, &config.answered_until_us) != ERR_OK)
        return operator_complain(store_error(folder->store));
    struct provider *local, *supabase;
    if (!open_supabase(&supabase))
        return EXIT_FAILURE;
    int status = EXIT_FAILURE;
    if (local_open(folder->store, &local) == ERR_OK) {
        struct zone *zone = zone_new(&config);
        struct desk *desk = accounts ? open_desk(folder, broker_key) : NULL;
        status = run_service(folder, zone, local, supabase, desk);
        desk_free(desk);
        local->close(local);
        zone_free(zone);
    } else {
        operator_complain("the login worker cannot be started: no thread or memory left");
    }
    if (supabase)
        supabase->close(supabase);
    crypto_wipe(broker_key, sizeof(broker_key));
    return status;
}

static int command_run(const struct operator_settings *settings)
{
    struct folder folder;
    if (!topic_prefix_ok(slice_str(config_text(options, "topic-prefix"))))
        return operator_misuse("--topic-prefix takes levels of A-Z a-z 0-9 _ - joined by /");
    if (config_flag(options, "broker-accounts") && config_flag(options, "allow-token-reply-ids"))
        return operator_misuse(
            "--broker-accounts and --allow-token-reply-ids do not go together: a locked "
            "broker lets nobody read what is sent to a token");
    if (config_flag(options, "broker-accounts") && !config_text(options, "mqtt-user"))
        return operator_misuse("--broker-accounts needs --mqtt-user " BROKER_USER_AUTH
                               " and --mqtt-password-file broker.auth, which broker init made");
    service_block_signals();
    if (!operator_open(settings, true, &folder))
        return EXIT_FAILURE;
    int status = serve_folder(&folder);
    folder_close(&folder);
    return status;
}

/* --- the command line ------------------------------------------------------------ */

/* --data is --auth-data, whose variable AUTH_DATA does not collide with other programs'. */
static void lengthen_data_flag(int argc, char **argv)
{
    static char flag[] = "--auth-data";
    static char flag_and_path[SETTING_PATH_BYTES];
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--data") == 0)
            argv[i] = flag;
        if (strncmp(argv[i], "--data=", 7) == 0) {
            snprintf(flag_and_path, sizeof(flag_and_path), "--auth-data=%s", argv[i] + 7);
            argv[i] = flag_and_path;
        }
    }
}

static int command(const char *const *args, int n)
{
    struct operator_settings settings = {
        .folder = {.path = config_text(options, "auth-data"),
                   .zone_id = config_text(options, "zone-id"),
                   .zone_secret = config_text(options, "zone-secret")},
        .password = {.file = config_text(options, "password-file"),
                     .text = config_text(options, "auth-password")},
        .out = config_text(options, "out"),
        .topic_prefix = config_text(options, "topic-prefix"),
    };
    if (n == 0 || (n == 1 && strcmp(args[0], "run") == 0))
        return command_run(&settings);
    return operator_command(&settings, args, n);
}

int main(int argc, char **argv)
{
    char error[CONFIG_ERROR_BYTES];
    int n;
    const struct rlimit no_core = {0}; /* keys will be in memory */
    log_setup("auth_edge", LOG_INFO);
    umask(077);
    setrlimit(RLIMIT_CORE, &no_core);
    if (config_asked(argc - 1, argv + 1, "--help") || config_asked(argc - 1, argv + 1, "-h"))
        return print_help();
    if (config_asked(argc - 1, argv + 1, "--version")) {
        printf("auth_edge %s\n", EDGE_CLUSTER_VERSION);
        return EXIT_SUCCESS;
    }
    CLEANUP(mem_free_ptr) const char **args = mem_array((size_t)argc + 1, sizeof(*args));
    lengthen_data_flag(argc, argv);
    int status = EXIT_USAGE;
    if (config_load(options, argc - 1, argv + 1, args, &n, error) != ERR_OK)
        operator_misuse(error);
    else if (crypto_init() != ERR_OK)
        status = operator_complain("the system gives no random numbers");
    else
        status = command(args, n);
    config_release(options);
    return status;
}
