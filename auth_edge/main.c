/*
 * Why: the command line of the zone authority: settings, sub-commands, and who
 * is connected to whom.
 */
#include "auth_edge/folder.h"
#include "auth_edge/local.h"
#include "auth_edge/service.h"
#include "auth_edge/supabase.h"
#include "auth_edge/users.h"
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
    EXIT_USAGE = 2,
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
     .help = "refuse tokens that were not sealed to the zone's key (production)",
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
          "  auth_edge [run]           serve until SIGTERM; SIGUSR1 logs the counters\n"
          "  auth_edge init            make the zone's keys and say what edges need\n"
          "  auth_edge show            zone id, key epoch, zone key, paths\n"
          "  auth_edge user add NAME   a new user; the password from --password-file, from\n"
          "                            AUTH_PASSWORD, or asked for\n"
          "  auth_edge user passwd NAME\n"
          "  auth_edge user list\n"
          "  auth_edge delete STREAMER VIDEO\n"
          "                            print a deletion that the zone signs, for\n"
          "                            edgectl delete --signed FILE\n"
          "  auth_edge --version\n\n"
          "Options, also as variables (--zone-id is ZONE_ID) of the environment or of .env:\n",
          stdout);
    config_print_help(options);
    return EXIT_SUCCESS;
}

static int complain(const char *text)
{
    fprintf(stderr, "auth_edge: %s\n", text);
    return EXIT_FAILURE;
}

static int misuse(const char *text)
{
    fprintf(stderr, "auth_edge: %s; see auth_edge --help\n", text);
    return EXIT_USAGE;
}

/* --- the folder ------------------------------------------------------------------ */

static bool open_folder(bool may_create, struct folder *ret)
{
    char error[FOLDER_ERROR_BYTES];
    struct folder_config config = {
        .path = config_text(options, "auth-data"),
        .zone_id = config_text(options, "zone-id"),
        .zone_secret = config_text(options, "zone-secret"),
        .may_create = may_create,
        .now_us = clock_utc_us(),
    };
    if (folder_open(&config, ret, error) == ERR_OK)
        return true;
    complain(error);
    return false;
}

static void zone_key_text(const struct folder *folder, char ret[static 2 * KEY_BYTES])
{
    b64_encode(slice_of(folder->keys.sign.pk.b, KEY_BYTES), ret);
}

/* What the operator does with a zone that was just made. */
static void say_created(const struct folder *folder)
{
    char key[2 * KEY_BYTES];
    zone_key_text(folder, key);
    printf("zone %s was made in %s\n", folder->zone.zone_id.s, folder->path);
    if (config_text(options, "zone-secret"))
        printf("give every edge the same ZONE_SECRET\n");
    else
        printf("copy %s/zone.secret to every edge, and nowhere else\n", folder->path);
    printf("tell every streamer and viewer: --zone-key %s\n", key);
    fflush(stdout);
}

static int command_init(void)
{
    struct folder folder;
    if (!open_folder(true, &folder))
        return EXIT_FAILURE;
    if (folder.created)
        say_created(&folder);
    else
        printf("zone %s is in %s already; nothing was changed\n", folder.zone.zone_id.s,
               folder.path);
    folder_close(&folder);
    return EXIT_SUCCESS;
}

static int command_show(void)
{
    struct folder folder;
    char key[2 * KEY_BYTES];
    if (!open_folder(false, &folder))
        return EXIT_FAILURE;
    zone_key_text(&folder, key);
    printf("zone-id      %s\n", folder.zone.zone_id.s);
    printf("key-epoch    %u\n", folder.zone.key_epoch);
    printf("zone-key     %s\n", key);
    printf("data         %s\n", folder.path);
    if (config_text(options, "zone-secret"))
        printf("zone-secret  from ZONE_SECRET\n");
    else
        printf("zone-secret  %s/zone.secret\n", folder.path);
    printf("database     %s/auth_edge.db\n", folder.path);
    folder_close(&folder);
    return EXIT_SUCCESS;
}

/* --- users ----------------------------------------------------------------------- */

static int command_user(const char *const *args, int n)
{
    struct folder folder;
    struct password_source source = {.file = config_text(options, "password-file"),
                                     .text = config_text(options, "auth-password")};
    bool list = n == 1 && strcmp(args[0], "list") == 0;
    bool add = n == 2 && strcmp(args[0], "add") == 0;
    bool passwd = n == 2 && strcmp(args[0], "passwd") == 0;
    if (!list && !add && !passwd)
        return misuse("user takes add NAME, passwd NAME or list");
    if (!open_folder(add, &folder))
        return EXIT_FAILURE;
    if (folder.created)
        say_created(&folder);
    int status = list  ? users_list(folder.store)
                 : add ? users_add(folder.store, args[1], &source, clock_utc_us())
                       : users_passwd(folder.store, args[1], &source);
    folder_close(&folder);
    return status;
}

/* --- deletions -------------------------------------------------------------------- */

/* What `edgectl delete --signed` sends: the zone says that a streamer's video is gone. */
static int command_delete(const char *const *args, int n)
{
    struct deletion deletion = {.revision_us = clock_utc_us()};
    if (n != 2 || id_parse(slice_str(args[0]), &deletion.streamer_id) != ERR_OK ||
        id_parse(slice_str(args[1]), &deletion.video_id) != ERR_OK)
        return misuse("delete takes a streamer's id and a video's, as edgectl list shows them");
    struct folder folder;
    if (!open_folder(false, &folder))
        return EXIT_FAILURE;
    deletion.zone_id = folder.zone.zone_id;
    uint8_t body[OBJECT_BYTES_MAX], object[OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    struct writer out = writer_of(object, sizeof(object));
    deletion_encode(&deletion, &w);
    signed_append(&out, OBJECT_DELETION, slice_of(body, w.len), &folder.keys.sign);
    folder_close(&folder);
    CHECK(!w.full && !out.full);
    CLEANUP(mem_free_ptr) char *text = mem_alloc(b64_text_len(out.len) + 1);
    b64_encode(slice_of(object, out.len), text);
    printf("%s\n", text);
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
        folder_warn_if_open(path);
    if (!path && given)
        text = strdup(given);
    if (text)
        text[strcspn(text, "\r\n")] = '\0';
    *ret = text;
    return true;
}

static void wiped_free_ptr(char **text)
{
    if (*text)
        crypto_wipe(*text, strlen(*text));
    free(*text);
}

static int run_service(const struct folder *folder, struct zone *zone, struct provider *local,
                       struct provider *supabase)
{
    struct id client_id;
    CLEANUP(wiped_free_ptr) char *password = NULL;
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
        .store = folder->store,
        .passwords = local,
        .tokens = supabase,
        .topic_prefix = slice_str(config_text(options, "topic-prefix")),
        .broker = &broker,
    };
    log_line(LOG_INFO, "zone %s, keys in %s, broker %s", folder->zone.zone_id.s, folder->path,
             broker.broker);
    enum err err = service_run(&service);
    if (err == ERR_FORMAT)
        return misuse("--mqtt-broker is no address of a broker");
    if (err != ERR_OK)
        return complain(strerror(errno));
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
    CLEANUP(wiped_free_ptr) char *key = NULL;
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
        complain(error);
        return false;
    }
    log_line(LOG_INFO, "tokens are checked with Supabase at %s", config.url);
    return true;
}

static int serve_folder(const struct folder *folder)
{
    struct zone_config config = {
        .zone_id = folder->zone.zone_id,
        .key_epoch = folder->zone.key_epoch,
        .issued_us = folder->zone.issued_us,
        .keys = &folder->keys,
        .edge_credential_us = config_uint(options, "edge-credential-s") * us_per_s,
        .streamer_credential_us = config_uint(options, "streamer-credential-s") * us_per_s,
        .allow_token_reply_ids = config_flag(options, "allow-token-reply-ids"),
        .require_sealed_login = config_flag(options, "require-sealed-login"),
        .records = store_records(folder->store),
    };
    if (store_answered_until(folder->store, &config.answered_until_us) != ERR_OK)
        return complain(store_error(folder->store));
    struct provider *local, *supabase;
    if (!open_supabase(&supabase))
        return EXIT_FAILURE;
    int status = EXIT_FAILURE;
    if (local_open(folder->store, &local) == ERR_OK) {
        struct zone *zone = zone_new(&config);
        status = run_service(folder, zone, local, supabase);
        local->close(local);
        zone_free(zone);
    } else {
        complain("the login worker cannot be started: no thread or memory left");
    }
    if (supabase)
        supabase->close(supabase);
    return status;
}

static int command_run(void)
{
    struct folder folder;
    const struct rlimit no_core = {0};
    if (!topic_prefix_ok(slice_str(config_text(options, "topic-prefix"))))
        return misuse("--topic-prefix takes levels of A-Z a-z 0-9 _ - joined by /");
    setrlimit(RLIMIT_CORE, &no_core); /* keys are in memory from here on */
    service_block_signals();
    if (!open_folder(true, &folder))
        return EXIT_FAILURE;
    if (folder.created)
        say_created(&folder);
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
    if (n == 0 || (n == 1 && strcmp(args[0], "run") == 0))
        return command_run();
    if (n == 1 && strcmp(args[0], "init") == 0)
        return command_init();
    if (n == 1 && strcmp(args[0], "show") == 0)
        return command_show();
    if (strcmp(args[0], "user") == 0)
        return command_user(args + 1, n - 1);
    if (strcmp(args[0], "delete") == 0)
        return command_delete(args + 1, n - 1);
    return misuse("there is no such command");
}

int main(int argc, char **argv)
{
    char error[CONFIG_ERROR_BYTES];
    int n;
    log_setup("auth_edge", LOG_INFO);
    umask(077);
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
        misuse(error);
    else if (crypto_init() != ERR_OK)
        status = complain("the system gives no random numbers");
    else
        status = command(args, n);
    config_release(options);
    return status;
}
