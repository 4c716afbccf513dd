/* What an operator may say to an edge, and what is said to him when it is wrong. */
#include "base/check.h"
#include "base/mem.h"
#include "edge/settings.h"
#include "wire/topic.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGS_MAX = 8 };

static const char secret_text[] =
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const char *const variables[] = {
    "EDGE_DATA",        "EDGE_ID",           "TOPIC_PREFIX",   "ZONE_SECRET",
    "ZONE_SECRET_FILE", "MQTT_PASSWORD",     "MQTT_BROKER",    "MQTT_PASSWORD_FILE",
    "MQTT_USER",        "STORAGE_BYTES_MAX", "REPLICAS",       "REPLICA_GRACE_S",
    "CACHE_MIB",        "REPLICATION_KIB_S", "TOMBSTONE_HOURS"};
static char dir[64];
static char error[SETTINGS_ERROR_BYTES];

static const char *in_dir(const char *name)
{
    static char path[sizeof(dir) + 256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
    CHECK(chmod(in_dir(name), 0600) == 0);
}

static int enter(void **state)
{
    (void)state;
    CHECK(crypto_init() == ERR_OK);
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    snprintf(dir, sizeof(dir), "/tmp/edge-settings-XXXXXX");
    CHECK(mkdtemp(dir));
    return 0;
}

static int leave(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            CHECK(unlink(in_dir(e->d_name)) == 0);
    closedir(d);
    return rmdir(dir);
}

/* settings_load with --data, and one option more unless it is NULL. */
static enum err load(struct settings *s, const char *option, const char *value)
{
    char program[] = "edge", data[] = "--data", folder[64], name[64], text[4096];
    char *argv[ARGS_MAX] = {program, data, folder, name, text};
    snprintf(folder, sizeof(folder), "%s", dir);
    snprintf(name, sizeof(name), "%s", option ? option : "");
    snprintf(text, sizeof(text), "%s", value ? value : "");
    error[0] = '\0';
    return settings_load(option ? 5 : 3, argv, s, error);
}

static void assert_refused(const char *option, const char *value, enum err err, const char *says)
{
    struct settings s;
    assert_int_equal(load(&s, option, value), err);
    settings_release(&s);
    if (!strstr(error, says))
        fail_msg("the sentence is: %s", error);
}

static void assert_taken(const char *option, const char *value)
{
    struct settings s;
    if (load(&s, option, value) != ERR_OK)
        fail_msg("%s %s: %s", option, value, error);
    settings_release(&s);
}

static void topic_prefixes(void **state)
{
    char longest[TOPIC_PREFIX_BYTES_MAX + 1] = "", longer[3001] = "";
    (void)state;
    setenv("ZONE_SECRET", secret_text, 1);
    memset(longest, 'a', sizeof(longest) - 1);
    memset(longer, 'a', sizeof(longer) - 1);
    assert_taken("--topic-prefix", "");
    assert_taken("--topic-prefix", "a/b/c/d");
    assert_taken("--topic-prefix", longest);
    assert_refused("--topic-prefix", "a/b/c/d/e", ERR_FORMAT, "--topic-prefix 'a/b/c/d/e'");
    assert_refused("--topic-prefix", "a#b", ERR_FORMAT, "'a#b'");
    assert_refused("--topic-prefix", "a/", ERR_FORMAT, "57 bytes");
    assert_refused("--topic-prefix", longer, ERR_FORMAT, "--topic-prefix");
    longer[sizeof(longest)] = '\0';
    assert_refused("--topic-prefix", longer, ERR_FORMAT, "--topic-prefix");
}

static void storage_limits(void **state)
{
    (void)state;
    setenv("ZONE_SECRET", secret_text, 1);
    assert_taken("--storage-bytes-max", "0");
    assert_taken("--storage-bytes-max", "1048576");
    assert_taken("--storage-bytes-max", "18446744073709551615");
    assert_refused("--storage-bytes-max", "1", ERR_FORMAT, "is 1; give at least 1048576");
    assert_refused("--storage-bytes-max", "16383", ERR_FORMAT, "--storage-bytes-max");
    assert_refused("--storage-bytes-max", "1048575", ERR_FORMAT, "--storage-bytes-max");
}

static void copy_limits(void **state)
{
    (void)state;
    setenv("ZONE_SECRET", secret_text, 1);
    assert_taken("--replicas", "1");
    assert_taken("--replicas", "16");
    assert_refused("--replicas", "0", ERR_FORMAT, "replicas");
    assert_refused("--replicas", "17", ERR_FORMAT, "replicas");
    assert_taken("--replica-grace-s", "0");
    assert_taken("--replica-grace-s", "2592000");
    assert_refused("--replica-grace-s", "2592001", ERR_FORMAT, "replica-grace-s");
    assert_taken("--cache-mib", "0");
    assert_taken("--cache-mib", "1073741824");
    assert_refused("--cache-mib", "1073741825", ERR_FORMAT, "cache-mib");
    assert_taken("--replication-kib-s", "64");
    assert_taken("--replication-kib-s", "16777216");
    assert_refused("--replication-kib-s", "63", ERR_FORMAT, "replication-kib-s");
    assert_refused("--replication-kib-s", "16777217", ERR_FORMAT, "replication-kib-s");
    assert_taken("--tombstone-hours", "1");
    assert_taken("--tombstone-hours", "87600");
    assert_refused("--tombstone-hours", "0", ERR_FORMAT, "tombstone-hours");
    assert_refused("--tombstone-hours", "87601", ERR_FORMAT, "tombstone-hours");
}

/* What holds when nothing is said, and that the environment may say it. */
static void copy_defaults(void **state)
{
    struct settings s;
    (void)state;
    setenv("ZONE_SECRET", secret_text, 1);
    assert_int_equal(load(&s, NULL, NULL), ERR_OK);
    assert_int_equal(config_uint(s.options, "replicas"), 2);
    assert_int_equal(config_uint(s.options, "replica-grace-s"), 300);
    assert_int_equal(config_uint(s.options, "cache-mib"), 1024);
    assert_int_equal(config_uint(s.options, "replication-kib-s"), 8192);
    assert_int_equal(config_uint(s.options, "tombstone-hours"), 720);
    settings_release(&s);
    setenv("REPLICAS", "3", 1);
    assert_int_equal(load(&s, NULL, NULL), ERR_OK);
    assert_int_equal(config_uint(s.options, "replicas"), 3);
    settings_release(&s);
}

/* Beside the program that runs, whatever folder it runs in. */
static void thumbnail_programs(void **state)
{
    struct settings s;
    char longest[PATH_BYTES_MAX] = "", longer[PATH_BYTES_MAX + 1] = "", self[PATH_BYTES_MAX];
    (void)state;
    setenv("ZONE_SECRET", secret_text, 1);
    assert_int_equal(load(&s, NULL, NULL), ERR_OK);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(n > 0);
    self[n] = '\0';
    snprintf(strrchr(self, '/'), 32, "/edge_thumbnail");
    assert_string_equal(s.thumbnail_program, self);
    settings_release(&s);
    memset(longest, 'p', sizeof(longest) - 1);
    memset(longer, 'p', sizeof(longer) - 1);
    assert_int_equal(load(&s, "--thumbnail-program", longest), ERR_OK);
    assert_string_equal(s.thumbnail_program, longest);
    settings_release(&s);
    assert_refused("--thumbnail-program", longer, ERR_FORMAT, "--thumbnail-program");
}

static void zone_secrets(void **state)
{
    struct settings s;
    char line[sizeof(secret_text) + 2];
    (void)state;
    assert_refused(NULL, NULL, ERR_FORMAT, "no zone secret");
    assert_refused("--zone-secret", secret_text, ERR_FORMAT, "set ZONE_SECRET");
    assert_null(strstr(error, secret_text));
    setenv("ZONE_SECRET", "0011", 1);
    assert_refused(NULL, NULL, ERR_FORMAT, "ZONE_SECRET is not 64");
    assert_refused("--zone-secret-file", in_dir("none"), ERR_IO, in_dir("none"));
    put("zone.secret", "0011");
    assert_refused("--zone-secret-file", in_dir("zone.secret"), ERR_FORMAT, in_dir("zone.secret"));
    snprintf(line, sizeof(line), "%s\n", secret_text);
    put("zone.secret", line); /* comes before the variable */
    assert_int_equal(load(&s, "--zone-secret-file", in_dir("zone.secret")), ERR_OK);
    assert_int_equal(s.zone_secret[1], 0x11);
    settings_release(&s);
    setenv("ZONE_SECRET", secret_text, 1);
    assert_int_equal(load(&s, NULL, NULL), ERR_OK);
    assert_int_equal(s.zone_secret[31], 0xff);
    assert_null(config_text(s.options, "zone-secret")); /* used, and wiped */
    settings_forget(&s);
    assert_int_equal(s.zone_secret[31], 0);
    assert_int_equal(s.key.seed[0] | s.key.seed[1] | s.key.seed[2] | s.key.seed[3], 0);
    settings_release(&s);
}

static void keys_are_kept(void **state)
{
    struct settings s;
    (void)state;
    setenv("ZONE_SECRET", secret_text, 1);
    assert_int_equal(load(&s, NULL, NULL), ERR_OK);
    struct signkey key = s.key;
    struct id id = s.edge_id;
    settings_release(&s);
    assert_int_equal(load(&s, NULL, NULL), ERR_OK);
    assert_true(pubkey_eq(&key.pk, &s.key.pk) && id_eq(&id, &s.edge_id));
    settings_release(&s);
    assert_refused("--edge-id", "another", ERR_FORMAT, "belongs to edge");
    put("edge.key", "0011\n");
    assert_refused(NULL, NULL, ERR_IO, in_dir("edge.key"));
}

static void reserved_ids(void **state)
{
    (void)state;
    setenv("ZONE_SECRET", secret_text, 1);
    assert_refused("--edge-id", "update", ERR_FORMAT, "reserved");
    assert_refused("--edge-id", "sync", ERR_FORMAT, "reserved");
    assert_refused("--edge-id", "a/b", ERR_FORMAT, "'a/b'");
    assert_taken("--edge-id", "sync1");
}

static void broker_passwords(void **state)
{
    struct settings s;
    (void)state;
    setenv("ZONE_SECRET", secret_text, 1);
    assert_int_equal(load(&s, NULL, NULL), ERR_OK);
    assert_null(s.password);
    settings_release(&s);
    assert_refused("--mqtt-password", "x", ERR_FORMAT, "set MQTT_PASSWORD");
    setenv("MQTT_PASSWORD", "from the environment", 1);
    assert_int_equal(load(&s, NULL, NULL), ERR_OK);
    assert_string_equal(s.password, "from the environment");
    settings_release(&s);
    put("password", "from the file\r\nnot this\n");
    assert_int_equal(load(&s, "--mqtt-password-file", in_dir("password")), ERR_OK);
    assert_string_equal(s.password, "from the file");
    settings_release(&s);
    assert_refused("--mqtt-password-file", in_dir("none"), ERR_IO, in_dir("none"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(topic_prefixes), TEST(storage_limits),     TEST(copy_limits),
        TEST(copy_defaults),  TEST(thumbnail_programs), TEST(zone_secrets),
        TEST(keys_are_kept),  TEST(reserved_ids),       TEST(broker_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
