/* An edge is its data folder: copy it and there are two of the same, which the broker will notice.
 */
#include "edge/settings.h"

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "edge/core/core.h"
#include "wire/topic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SMALL_FILE_BYTES_MAX = 1024 };

static const struct option table[] = {
    {.name = "data",
     .env = "EDGE_DATA",
     .help = "folder of this edge's database and key",
     .fallback = "./edge_data"},
    {.name = "edge-id",
     .help = "this edge's id, [A-Za-z0-9_-]{1,64}; kept in the folder; default: random"},
    {.name = "mqtt-broker",
     .help = "host, host:port, mqtt://… or mqtts://…",
     .fallback = "mqtt://127.0.0.1:1883"},
    {.name = "mqtt-user", .help = "user name at the broker"},
    {.name = "mqtt-password-file", .help = "file whose first line is the password at the broker"},
    {.name = "mqtt-password",
     .help = "the password at the broker, where no file has it",
     .secret = true},
    {.name = "mqtt-ca-file", .help = "PEM of the CA that signs the broker's certificate"},
    {.name = "mqtt-cert-file", .help = "PEM of our certificate, if the broker asks for one"},
    {.name = "mqtt-key-file", .help = "PEM of its key"},
    {.name = "broker-accounts",
     .help = "1: the broker is locked: this edge's account comes from auth_edge (production)",
     .kind = OPTION_FLAG},
    {.name = "topic-prefix", .help = "levels that stand before every topic", .fallback = ""},
    {.name = "zone-secret-file",
     .help = "file with the zone's secret, 64 hexadecimal digits (auth_edge makes it)"},
    {.name = "zone-secret", .help = "the zone's secret, where no file has it", .secret = true},
    {.name = "storage-bytes-max",
     .help = "largest size of the database in bytes, from 1048576; 0: the disk's",
     .fallback = "0",
     .kind = OPTION_UINT,
     .max = UINT64_MAX},
    {.name = "replicas",
     .help = "how many edges keep a copy of every video, 1…16; the same at all edges of a zone",
     .fallback = "2",
     .kind = OPTION_UINT,
     .min = 1,
     .max = REPLICAS_MAX},
    {.name = "replica-grace-s",
     .help = "seconds that an edge may be away before others replace its copies, at most 30 days",
     .fallback = "300",
     .kind = OPTION_UINT,
     .max = REPLICA_GRACE_S_MAX},
    {.name = "cache-mib",
     .help = "MiB for videos that were fetched because somebody here watched them",
     .fallback = "1024",
     .kind = OPTION_UINT,
     .max = CACHE_MIB_MAX},
    {.name = "replication-kib-s",
     .help = "KiB a second at which copies are fetched from other edges, from 64",
     .fallback = "8192",
     .kind = OPTION_UINT,
     .min = REPLICATION_KIB_S_MIN,
     .max = REPLICATION_KIB_S_MAX},
    {.name = "tombstone-hours",
     .help = "hours that deletions are remembered, from 1; the same at all edges of a zone",
     .fallback = "720",
     .kind = OPTION_UINT,
     .min = 1,
     .max = TOMBSTONE_HOURS_MAX},
    {.name = "thumbnail-program",
     .help = "program that makes thumbnails; default: edge_thumbnail beside this one"},
    {.name = "allow-token-reply-ids",
     .help = "1: serve reply ids that are no ids (development)",
     .kind = OPTION_FLAG},
    {.name = "verbose", .env = "EDGE_VERBOSE", .help = "1: log every detail", .kind = OPTION_FLAG},
    {.name = "help", .env = "EDGE_HELP", .help = "print this", .kind = OPTION_FLAG},
    {.name = NULL},
};

static enum err say(char *ret_error, enum err err, const char *what, const char *path)
{
    snprintf(ret_error, SETTINGS_ERROR_BYTES, "%.60s %.300s: %.100s", what, path,
             err == ERR_IO ? strerror(errno) : err_name(err));
    return ERR_IO;
}

static struct slice trimmed(const char *text, size_t len)
{
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        len--;
    return slice_of(text, len);
}

static void warn_if_open(const char *path)
{
    if (file_is_open(path))
        log_line(LOG_WARN, "%s can be read by others: chmod 600 it", path);
}

static void in_folder(const struct settings *s, const char *name, char ret[static PATH_BYTES_MAX])
{
    snprintf(ret, PATH_BYTES_MAX, "%s/%s", config_text(s->options, "data"), name);
}

/* The id: as given, as kept, or made now; given and kept must agree. */
static enum err load_id(struct settings *s, char *ret_error)
{
    char path[PATH_BYTES_MAX];
    CLEANUP(mem_free_ptr) char *kept = NULL;
    size_t len = 0;
    const char *given = config_text(s->options, "edge-id");
    in_folder(s, "edge.id", path);
    enum err err = file_read(path, SMALL_FILE_BYTES_MAX, &kept, &len);
    if (err != ERR_OK && err != ERR_UNKNOWN)
        return say(ret_error, err, "cannot read", path);
    char made[2 * 4 + 8] = "edge-";
    uint8_t random[4];
    crypto_random(random, sizeof(random));
    hex_encode(slice_of(random, sizeof(random)), made + strlen(made));
    struct slice text = kept ? trimmed(kept, len) : slice_str(given ? given : made);
    if (id_parse(text, &s->edge_id) != ERR_OK || edge_id_reserved(&s->edge_id)) {
        snprintf(ret_error, SETTINGS_ERROR_BYTES,
                 "edge id '%.80s' is not [A-Za-z0-9_-]{1,64}, or is reserved; choose another",
                 given ? given : "");
        return ERR_FORMAT;
    }
    if (kept && given && strcmp(given, s->edge_id.s) != 0) {
        snprintf(ret_error, SETTINGS_ERROR_BYTES,
                 "%.300s belongs to edge '%s', not to '%.80s'; give each edge a folder of its own",
                 config_text(s->options, "data"), s->edge_id.s, given);
        return ERR_FORMAT;
    }
    if (!kept && file_write(path, id_slice(&s->edge_id)) != ERR_OK)
        return say(ret_error, ERR_IO, "cannot write", path);
    return ERR_OK;
}

static enum err load_key(struct settings *s, char *ret_error)
{
    char path[PATH_BYTES_MAX];
    char hex[2 * KEY_BYTES + 1];
    CLEANUP(mem_free_secret_ptr) char *kept = NULL;
    uint8_t seed[KEY_BYTES];
    size_t len;
    in_folder(s, "edge.key", path);
    enum err err = file_read(path, SMALL_FILE_BYTES_MAX, &kept, &len);
    if (err == ERR_OK) {
        warn_if_open(path);
        err = secret_parse(slice_of(kept, len), seed);
        if (err != ERR_OK)
            return say(ret_error, err, "not a key of 64 hexadecimal digits:", path);
    } else if (err == ERR_UNKNOWN) {
        crypto_random(seed, KEY_BYTES);
        hex_encode(slice_of(seed, KEY_BYTES), hex);
        if (file_write(path, slice_str(hex)) != ERR_OK)
            return say(ret_error, ERR_IO, "cannot write", path);
    } else {
        return say(ret_error, err, "cannot read", path);
    }
    signkey_from_seed(seed, &s->key);
    crypto_wipe(seed, sizeof(seed));
    crypto_wipe(hex, sizeof(hex));
    return ERR_OK;
}

static enum err load_secret_file(struct settings *s, const char *path, char *ret_error)
{
    CLEANUP(mem_free_secret_ptr) char *text = NULL;
    size_t len;
    enum err err = file_read(path, SMALL_FILE_BYTES_MAX, &text, &len);
    if (err == ERR_UNKNOWN) {
        snprintf(ret_error, SETTINGS_ERROR_BYTES,
                 "there is no zone secret at %.300s; start auth_edge first", path);
        return ERR_IO;
    }
    if (err != ERR_OK)
        return say(ret_error, err, "cannot read", path);
    warn_if_open(path);
    if (secret_parse(slice_of(text, len), s->zone_secret) == ERR_OK)
        return ERR_OK;
    snprintf(ret_error, SETTINGS_ERROR_BYTES,
             "%.300s is no zone secret of 64 hexadecimal digits; copy auth_edge's anew", path);
    return ERR_FORMAT;
}

static enum err load_secret(struct settings *s, char *ret_error)
{
    const char *path = config_text(s->options, "zone-secret-file");
    const char *given = config_text(s->options, "zone-secret");
    if (path)
        return load_secret_file(s, path, ret_error);
    if (given && secret_parse(slice_str(given), s->zone_secret) == ERR_OK)
        return ERR_OK;
    snprintf(ret_error, SETTINGS_ERROR_BYTES, "%s",
             given ? "ZONE_SECRET is not 64 hexadecimal digits"
                   : "no zone secret; give --zone-secret-file with the file that auth_edge made");
    return ERR_FORMAT;
}

static enum err load_password(struct settings *s, char *ret_error)
{
    const char *path = config_text(s->options, "mqtt-password-file");
    const char *given = config_text(s->options, "mqtt-password");
    CLEANUP(mem_free_secret_ptr) char *text = NULL;
    size_t len;
    if (!path && !given)
        return ERR_OK;
    if (path) {
        enum err err = file_read(path, SMALL_FILE_BYTES_MAX, &text, &len);
        if (err != ERR_OK)
            return say(ret_error, err, "cannot read", path);
        warn_if_open(path);
    }
    const char *from = path ? text : given;
    size_t n = strcspn(from, "\r\n");
    s->password = mem_alloc(n + 1);
    memcpy(s->password, from, n);
    return ERR_OK;
}

static enum err load_options(int argc, char **argv, struct settings *s, char *ret_error)
{
    if (config_asked(argc - 1, argv + 1, "--version")) {
        printf("edge %s\n", EDGE_CLUSTER_VERSION);
        return ERR_CLOSED;
    }
    s->options = mem_alloc(sizeof(table));
    memcpy(s->options, table, sizeof(table));
    CLEANUP(mem_free_ptr) const char **positional = mem_array((size_t)argc + 1, sizeof(char *));
    int positional_n = 0;
    enum err err =
        config_load(s->options, argc - 1, argv + 1, positional, &positional_n, ret_error);
    if (err == ERR_OK && config_flag(s->options, "help")) {
        printf("edge: stores and serves verified video over MQTT\n\nusage: edge [options]\n");
        config_print_help(s->options);
        return ERR_CLOSED;
    }
    if (err == ERR_OK && positional_n > 0) {
        snprintf(ret_error, SETTINGS_ERROR_BYTES, "'%.80s' is no option; --help lists them",
                 positional[0]);
        return ERR_FORMAT;
    }
    return err;
}

/* What can be told of the options without a look at any file. */
static enum err check_options(const struct settings *s, char *ret_error)
{
    const char *prefix = config_text(s->options, "topic-prefix");
    const char *program = config_text(s->options, "thumbnail-program");
    uint64_t bytes_max = config_uint(s->options, "storage-bytes-max");
    bool accounts = config_flag(s->options, "broker-accounts");
    if (strlen(config_text(s->options, "data")) > PATH_BYTES_MAX - 32)
        snprintf(ret_error, SETTINGS_ERROR_BYTES, "--data is too long");
    else if (program && strlen(program) >= PATH_BYTES_MAX)
        snprintf(ret_error, SETTINGS_ERROR_BYTES, "--thumbnail-program is too long");
    else if (!topic_prefix_ok(slice_str(prefix)))
        snprintf(ret_error, SETTINGS_ERROR_BYTES,
                 "--topic-prefix '%.80s' is none; it takes at most %d levels of A-Z a-z 0-9 _ - "
                 "joined by /, at most %d bytes",
                 prefix, TOPIC_PREFIX_LEVELS_MAX, TOPIC_PREFIX_BYTES_MAX);
    else if (accounts && config_text(s->options, "mqtt-user"))
        snprintf(ret_error, SETTINGS_ERROR_BYTES,
                 "--broker-accounts and --mqtt-user do not go together: auth_edge gives the user");
    else if (accounts && config_flag(s->options, "allow-token-reply-ids"))
        snprintf(ret_error, SETTINGS_ERROR_BYTES,
                 "--broker-accounts and --allow-token-reply-ids do not go together: a locked "
                 "broker lets nobody read what is sent to a token");
    else if (bytes_max && bytes_max < STORAGE_BYTES_MIN)
        snprintf(ret_error, SETTINGS_ERROR_BYTES,
                 "--storage-bytes-max is %llu; give at least %d, or 0 for as much as the disk has",
                 (unsigned long long)bytes_max, STORAGE_BYTES_MIN);
    else
        return ERR_OK;
    return ERR_FORMAT;
}

/* Where nothing is given: beside this program, whatever the working folder and the path are. */
static void find_thumbnail_program(struct settings *s)
{
    static const char name[] = "edge_thumbnail";
    const char *given = config_text(s->options, "thumbnail-program");
    char self[PATH_BYTES_MAX];
    ssize_t n = given ? 0 : readlink("/proc/self/exe", self, sizeof(self) - sizeof(name));
    while (n > 0 && self[n - 1] != '/')
        n--;
    if (given)
        snprintf(s->thumbnail_program, PATH_BYTES_MAX, "%s", given);
    else if (n > 0)
        snprintf(s->thumbnail_program, PATH_BYTES_MAX, "%.*s%s", (int)n, self, name);
}

enum err settings_load(int argc, char **argv, struct settings *ret,
                       char ret_error[static SETTINGS_ERROR_BYTES])
{
    *ret = (struct settings){0};
    enum err err = load_options(argc, argv, ret, ret_error);
    if (err == ERR_OK)
        err = check_options(ret, ret_error);
    if (err != ERR_OK)
        return err;
    const char *folder = config_text(ret->options, "data");
    err = load_secret(ret, ret_error);
    if (err == ERR_OK && file_make_dir(folder) != ERR_OK)
        err = say(ret_error, ERR_IO, "cannot make the data folder", folder);
    if (err == ERR_OK)
        err = load_id(ret, ret_error);
    if (err == ERR_OK)
        err = load_key(ret, ret_error);
    if (err == ERR_OK)
        err = load_password(ret, ret_error);
    config_forget(ret->options);
    in_folder(ret, "edge_cluster.db", ret->db_path);
    find_thumbnail_program(ret);
    return err;
}

void settings_forget(struct settings *s)
{
    crypto_wipe(&s->key, sizeof(s->key));
    crypto_wipe(s->zone_secret, sizeof(s->zone_secret));
}

void settings_release(struct settings *s)
{
    if (s->options)
        config_release(s->options);
    free(s->options);
    mem_free_secret(s->password);
    crypto_wipe(s, sizeof(*s));
}
