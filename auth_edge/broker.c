/*
 * Why: one table says who may do what, and both files that the broker reads are
 * printed from it.
 *
 * Invariants
 *   I1  whatever no line of the table grants is refused: the plugin's defaults deny, the roles
 *       deny all filters and topics that they do not name (the broker's own check of ACL
 *       patterns would grant every subscription, and to write below one's own name), and
 *       nothing else is in the ACL file.
 *   I2  a topic that ends with a client's id or name is read by that client alone. The plugin
 *       grants the subscription, the pattern what arrives on it.
 */
#include "auth_edge/broker.h"

#include "auth_edge/pbkdf2.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "wire/json.h"
#include "wire/topic.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum role {
    ANONYMOUS = 1, /* who names no user */
    VIEWER = 2,    /* an account that the operator makes */
    STREAMER = 4,
    EDGE = 8,
    ENROL = 16,
    AUTH = 32,
    WATCHERS = ANONYMOUS | VIEWER | STREAMER,
};

static const struct {
    unsigned role;
    const char *name;
} roles[] = {
    {ANONYMOUS, "anonymous"}, {VIEWER, "viewer"},         {STREAMER, BROKER_ROLE_STREAMER},
    {EDGE, BROKER_ROLE_EDGE}, {ENROL, BROKER_USER_ENROL}, {AUTH, BROKER_USER_AUTH},
};
enum { ROLES_N = sizeof(roles) / sizeof(roles[0]) };

/* "%c" is a client's id, "%u" its user's name, as the ACL file has them. */
struct rule {
    enum topic_kind kind;
    unsigned publish;      /* roles that may publish, whatever the levels */
    unsigned read;         /* roles that may read, whatever the levels */
    unsigned read_own;     /* roles that may read where own says so */
    const char *own[2];    /* patterns of the last two levels, "a/b" or "a" */
    const char *own_write; /* a pattern that may be written: by edges, below their own name */
};

static const struct rule rules[] = {
    {TOPIC_AUTH_PARAMS, WATCHERS, AUTH, 0, {NULL}, NULL},
    {TOPIC_AUTH_PARAMS_REPLY, AUTH, 0, WATCHERS, {"%c"}, NULL},
    {TOPIC_AUTH_ZONE, ENROL | EDGE, AUTH, 0, {NULL}, NULL},
    {TOPIC_AUTH_ZONE_REPLY, AUTH, ENROL, EDGE, {"%u"}, NULL},
    {TOPIC_AUTH_USER, ANONYMOUS | STREAMER, AUTH, 0, {NULL}, NULL},
    {TOPIC_AUTH_USER_REPLY, AUTH, 0, ANONYMOUS | STREAMER, {"%c"}, NULL},
    {TOPIC_AUTH_REVOCATIONS, AUTH | EDGE, WATCHERS | EDGE, 0, {NULL}, NULL},
    {TOPIC_DB, EDGE, EDGE, 0, {NULL}, NULL},
    {TOPIC_DB_REPLY, EDGE, 0, EDGE, {"%u"}, NULL},
    {TOPIC_DB_UPDATE, EDGE, EDGE, 0, {NULL}, NULL},
    {TOPIC_DB_SYNC, EDGE, 0, EDGE, {"%u"}, NULL},
    {TOPIC_EDGE_STATUS, 0, WATCHERS | EDGE, 0, {NULL}, "%u"},
    {TOPIC_PING, WATCHERS, EDGE, 0, {NULL}, NULL},
    {TOPIC_PING_REPLY, EDGE, 0, WATCHERS, {"%c"}, NULL},
    {TOPIC_LIST, WATCHERS, 0, EDGE, {"%u"}, NULL},
    {TOPIC_LIST_REPLY, 0, 0, WATCHERS, {"+/%c"}, "%u/+"},
    {TOPIC_UPLOAD, STREAMER, 0, EDGE, {"%u"}, NULL},
    {TOPIC_UPLOAD_REPLY, 0, 0, STREAMER, {"+/%u"}, "%u/+"},
    {TOPIC_DELETE, STREAMER, 0, EDGE, {"%u"}, NULL},
    {TOPIC_DELETE_REPLY, 0, 0, STREAMER, {"+/%u", "+/%c"}, "%u/+"},
    {TOPIC_WATCH, WATCHERS | EDGE, 0, EDGE, {"%u"}, NULL},
    {TOPIC_WATCH_REPLY, 0, 0, WATCHERS | EDGE, {"+/%c", "+/%u"}, "%u/+"},
    {TOPIC_LIVE_UPLOAD, STREAMER, 0, EDGE, {"%u"}, NULL},
    {TOPIC_LIVE_UPLOAD_REPLY, 0, 0, STREAMER, {"+/%u"}, "%u/+"},
    {TOPIC_LIVE_WATCH, WATCHERS, 0, EDGE, {"%u"}, NULL},
    {TOPIC_LIVE_PARTS, 0, WATCHERS, 0, {NULL}, "%u/+"},
};
enum { RULES_N = sizeof(rules) / sizeof(rules[0]) };

/* --- the plugin's file ------------------------------------------------------------ */

static const char send_right[] = "publishClientSend", receive_right[] = "publishClientReceive",
                  filter_right[] = "subscribePattern";

static void put_right(struct json_out *out, const char *right, struct slice topic, bool allow)
{
    json_put_open(out, NULL, '{');
    json_put_str(out, "acltype", right);
    json_put_text(out, "topic", topic);
    json_put_uint(out, "priority", allow); /* what is allowed is looked at first */
    json_put_bool(out, "allow", allow);
    json_put_close(out, '}');
}

static void put_rule(struct json_out *out, const struct rule *rule, unsigned role,
                     struct slice prefix)
{
    char buf[TOPIC_BUF_BYTES];
    struct slice any = slice_str("+");
    struct slice topic = topic_print(rule->kind, prefix, any, any, buf);
    if ((rule->publish & role) != 0)
        put_right(out, send_right, topic, true);
    if ((rule->read & role) != 0)
        put_right(out, receive_right, topic, true);
    if (((rule->read | rule->read_own) & role) != 0)
        put_right(out, filter_right, topic, true);
}

static void put_denials(struct json_out *out, unsigned role)
{
    static const char *const filters[] = {"#", "$SYS/#", "$share/#", "$CONTROL/#"};
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        put_right(out, filter_right, slice_str(filters[i]), false);
    if (role != EDGE) /* whose patterns would be refused with all else */
        put_right(out, send_right, slice_str("#"), false);
}

static void put_role(struct json_out *out, size_t i, struct slice prefix)
{
    unsigned role = roles[i].role;
    json_put_open(out, NULL, '{');
    json_put_str(out, "rolename", roles[i].name);
    json_put_open(out, "acls", '[');
    for (size_t k = 0; k < RULES_N; k++)
        put_rule(out, &rules[k], role, prefix);
    if (role == AUTH) {
        put_right(out, send_right, slice_str(BROKER_CONTROL_TOPIC), true);
        put_right(out, receive_right, slice_str(BROKER_CONTROL_ANSWERS), true);
        put_right(out, filter_right, slice_str(BROKER_CONTROL_ANSWERS), true);
    }
    put_denials(out, role);
    json_put_close(out, ']');
    json_put_close(out, '}');
}

static void put_role_name(struct json_out *out, const char *name)
{
    json_put_open(out, "roles", '[');
    json_put_open(out, NULL, '{');
    json_put_str(out, "rolename", name);
    json_put_close(out, '}');
    json_put_close(out, ']');
}

static void put_client(struct json_out *out, const char *name, const char *password)
{
    uint8_t salt[PBKDF2_SALT_BYTES], hash[PBKDF2_BYTES];
    crypto_random(salt, sizeof(salt));
    pbkdf2(slice_str(password), salt, hash);
    json_put_open(out, NULL, '{');
    json_put_str(out, "username", name);
    json_put_blob(out, "password", slice_of(hash, sizeof(hash)));
    json_put_blob(out, "salt", slice_of(salt, sizeof(salt)));
    json_put_uint(out, "iterations", PBKDF2_ITERATIONS);
    put_role_name(out, name);
    json_put_close(out, '}');
}

static void put_defaults(struct json_out *out)
{
    json_put_open(out, "defaultACLAccess", '{'); /* I1 */
    json_put_bool(out, send_right, false);
    json_put_bool(out, receive_right, false);
    json_put_bool(out, "subscribe", false);
    json_put_bool(out, "unsubscribe", true);
    json_put_close(out, '}');
}

struct slice broker_security(struct slice topic_prefix, const char *enrol_password,
                             const char *auth_password, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    put_defaults(&out);
    json_put_str(&out, "anonymousGroup", roles[0].name);
    json_put_open(&out, "groups", '[');
    json_put_open(&out, NULL, '{');
    json_put_str(&out, "groupname", roles[0].name);
    put_role_name(&out, roles[0].name);
    json_put_close(&out, '}');
    json_put_close(&out, ']');
    json_put_open(&out, "clients", '[');
    put_client(&out, BROKER_USER_AUTH, auth_password);
    put_client(&out, BROKER_USER_ENROL, enrol_password);
    json_put_close(&out, ']');
    json_put_open(&out, "roles", '[');
    for (size_t i = 0; i < ROLES_N; i++)
        put_role(&out, i, topic_prefix);
    json_put_close(&out, ']');
    return json_end(&out);
}

/* --- the ACL file ----------------------------------------------------------------- */

enum { ACL_BYTES_MAX = 16384 };

struct acl_text {
    char *text;
    size_t len;
};

/* pattern: "%c", or "+/%u": one level or two. */
static void put_pattern(struct acl_text *acl, const char *access, enum topic_kind kind,
                        struct slice prefix, const char *pattern)
{
    char buf[TOPIC_BUF_BYTES];
    const char *slash = strchr(pattern, '/');
    struct slice a = slash ? slice_of(pattern, (size_t)(slash - pattern)) : slice_str(pattern);
    struct slice b = slice_str(slash ? slash + 1 : "");
    int n = snprintf(acl->text + acl->len, ACL_BYTES_MAX - acl->len, "pattern %s %s\n", access,
                     (const char *)topic_print(kind, prefix, a, b, buf).ptr);
    CHECK(n > 0 && (size_t)n < ACL_BYTES_MAX - acl->len);
    acl->len += (size_t)n;
}

struct slice broker_acl(struct slice topic_prefix, struct arena *arena)
{
    struct acl_text acl = {.text = arena_alloc(arena, ACL_BYTES_MAX)};
    for (size_t i = 0; i < RULES_N; i++) {
        const struct rule *rule = &rules[i];
        for (size_t k = 0; k < 2 && rule->own[k]; k++)
            put_pattern(&acl, "read", rule->kind, topic_prefix, rule->own[k]);
        if (rule->own_write)
            put_pattern(&acl, "write", rule->kind, topic_prefix, rule->own_write);
    }
    return slice_of(acl.text, acl.len);
}

/* --- writing ---------------------------------------------------------------------- */

static enum err write_new(const char *dir, const char *name, struct slice text,
                          char ret_error[static BROKER_ERROR_BYTES])
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)) {
        snprintf(ret_error, BROKER_ERROR_BYTES, "the path of --out is too long");
        return ERR_IO;
    }
    if (file_write(path, text) == ERR_OK)
        return ERR_OK;
    snprintf(ret_error, BROKER_ERROR_BYTES, "%.2048s: %.512s", path, strerror(errno));
    return ERR_IO;
}

static enum err check_absent(const char *dir, char ret_error[static BROKER_ERROR_BYTES])
{
    char path[PATH_MAX];
    struct stat st;
    if (snprintf(path, sizeof(path), "%s/dynamic-security.json", dir) < (int)sizeof(path) &&
        stat(path, &st) == 0) {
        snprintf(ret_error, BROKER_ERROR_BYTES,
                 "%.2048s is there already, with the clients of a broker; move it away to begin "
                 "anew: edges and streamers are then let in again at their next login",
                 path);
        return ERR_CONFLICT;
    }
    if (file_make_dir(dir) == ERR_OK)
        return ERR_OK;
    snprintf(ret_error, BROKER_ERROR_BYTES, "%.2048s: %.512s", dir, strerror(errno));
    return ERR_IO;
}

enum err broker_init(const char *dir, struct slice topic_prefix,
                     const uint8_t zone_secret[static KEY_BYTES],
                     char ret_error[static BROKER_ERROR_BYTES])
{
    CLEANUP(arena_release) struct arena arena = {0};
    uint8_t random[KEY_BYTES];
    char enrol[BROKER_PASSWORD_BYTES], auth[SECRET_TEXT_BYTES + 1];
    enum err err = check_absent(dir, ret_error);
    if (err != ERR_OK)
        return err;
    crypto_random(random, sizeof(random));
    hex_encode(slice_of(random, sizeof(random)), auth);
    broker_enrol_password(zone_secret, enrol);
    struct slice security = broker_security(topic_prefix, enrol, auth, &arena);
    memcpy(auth + SECRET_TEXT_BYTES - 1, "\n", 2);
    err = write_new(dir, "broker.auth", slice_str(auth), ret_error);
    if (err == ERR_OK)
        err = write_new(dir, "acl", broker_acl(topic_prefix, &arena), ret_error);
    if (err == ERR_OK)
        err = write_new(dir, "dynamic-security.json", security, ret_error);
    crypto_wipe(random, sizeof(random));
    crypto_wipe(auth, sizeof(auth));
    crypto_wipe(enrol, sizeof(enrol));
    return err;
}
