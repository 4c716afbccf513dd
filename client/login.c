/*
 * edgectl login: proves who we are to auth_edge and keeps the credential that
 * it signs for our key (docs/PROTOCOL.md §2.4). The password leaves only sealed
 * to the zone's key.
 */
#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/auth.h"
#include "client/say.h"
#include "client/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { BUSY_WAIT_US = 1000 * 1000 };

static struct option options_login[] = {
    {.name = "user", .env = "EDGECTL_USER", .help = "account at the zone (local provider)"},
    {.name = "password-file",
     .env = "EDGECTL_PASSWORD_FILE",
     .help = "file whose first line is the password"},
    {.name = "password",
     .env = "EDGECTL_PASSWORD",
     .help = "the password, without a file",
     .secret = true},
    {.name = "token-file",
     .env = "EDGECTL_TOKEN_FILE",
     .help = "file whose first line is a provider's access token (JWT), instead of a user"},
    {.name = "token",
     .env = "EDGECTL_TOKEN",
     .help = "the token itself; all can read it on a command line until it is wiped there",
     .wiped = true},
    OPTIONS_COMMON,
};

static enum err read_line(FILE *file, char *ret, size_t cap)
{
    if (!fgets(ret, (int)cap, file))
        return ERR_CLOSED;
    size_t len = strcspn(ret, "\r\n");
    bool whole = ret[len] != '\0' || feof(file);
    ret[len] = '\0';
    return whole ? ERR_OK : ERR_LIMIT;
}

/* From the terminal, without echo; from a pipe its first line. */
static enum err prompt_password(const char *user, char *ret, size_t cap)
{
    struct termios before, quiet;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        fprintf(stderr, "password of %s: ", user);
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    enum err err = read_line(stdin, ret, cap);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    return err;
}

static enum err file_line(const char *path, char *ret, size_t cap)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return ERR_IO;
    enum err err = read_line(file, ret, cap);
    fclose(file);
    return err;
}

static enum exit_status get_password(const struct option *options, char *ret, size_t cap)
{
    const char *path = config_text(options, "password-file");
    const char *env = config_text(options, "password");
    enum err err = ERR_OK;
    if (path)
        err = file_line(path, ret, cap);
    else if (env)
        err = (size_t)snprintf(ret, cap, "%s", env) < cap ? ERR_OK : ERR_LIMIT;
    else
        err = prompt_password(config_text(options, "user"), ret, cap);
    if (err == ERR_OK && ret[0])
        return STATUS_OK;
    if (err == ERR_LIMIT)
        say("a password has at most %d bytes", PASSWORD_BYTES_MAX);
    else if (path)
        say("no password can be read from the first line of %s", path);
    else
        say("no password was given: use --password-file, EDGECTL_PASSWORD or a terminal");
    return STATUS_USAGE;
}

/* The token, "" where there is none. */
static enum exit_status get_token(const struct option *options, char *ret, size_t cap)
{
    const char *path = config_text(options, "token-file");
    const char *text = config_text(options, "token");
    enum err err = ERR_OK;
    if (path)
        err = file_line(path, ret, cap);
    else if (text)
        err = (size_t)snprintf(ret, cap, "%s", text) < cap ? ERR_OK : ERR_LIMIT;
    if (path && err == ERR_OK && !ret[0])
        err = ERR_CLOSED;
    if (err == ERR_OK && strlen(ret) <= JWT_BYTES_MAX)
        return STATUS_OK;
    if (err == ERR_OK || err == ERR_LIMIT)
        say("a token has at most %d bytes", JWT_BYTES_MAX);
    else
        say("no token can be read from the first line of %s", path);
    return STATUS_USAGE;
}

/* What was asked, and what came back. */
struct login {
    struct zone_params zone;
    struct signkey key;
    struct auth_request auth;
    struct arena *arena; /* for what is kept of the answer */
    struct user_reply reply;
    struct wire_error error;
    bool refused;
};

static enum answer take_reply(void *context, const struct topic *topic, struct slice payload)
{
    struct login *l = context;
    enum auth_answer answer = auth_take(&l->auth, topic, payload, l->arena, &l->reply, &l->error);
    if (answer == AUTH_STRAY)
        return ANSWER_STRAY;
    l->refused = answer == AUTH_REFUSED;
    return ANSWER_TAKEN;
}

/* Ask until there is an answer that is not "busy". */
static enum err ask(struct session *s, struct login *l)
{
    uint64_t deadline_us = clock_mono_us() + s->timeout_us;
    for (;;) {
        CLEANUP(arena_release) struct arena arena = {0};
        uint64_t now_us = clock_mono_us();
        if (now_us >= deadline_us)
            return l->refused ? ERR_OK : ERR_TIMEOUT;
        struct ask ask = {.kind = TOPIC_AUTH_USER,
                          .payload = auth_seal(&l->auth, &arena),
                          .take = take_reply,
                          .context = l};
        enum err err = session_ask(s, &ask, deadline_us - now_us);
        bool busy = l->refused && wire_code_err(l->error.code_text) == ERR_BUSY;
        if (err != ERR_OK || !busy)
            return err == ERR_TIMEOUT && l->refused ? ERR_OK : err;
        struct msg *msg = NULL;
        struct topic topic;
        uint64_t until_us = clock_mono_us() + BUSY_WAIT_US;
        if (session_wait(s, until_us < deadline_us ? until_us : deadline_us, &msg, &topic) ==
            SESSION_STOP)
            return ERR_CLOSED;
        msg_unref(msg);
    }
}

static void report(const struct identity *identity, const struct option *options,
                   const struct login *l, const struct credential *c)
{
    char name[NAME_BYTES_MAX + 1], until[ISO8601_BYTES];
    text_safe(c->display_name, name, sizeof(name));
    clock_iso8601(c->not_after_us, until);
    if (!config_flag(options, "json")) {
        printf("logged in to zone %s as %s (%s) until %s\n", l->zone.zone_id.s, c->subject.s, name,
               until);
        return;
    }
    struct json_text j = {.file = stdout};
    json_text_open(&j, NULL, '{');
    json_text_str(&j, "zone", id_slice(&l->zone.zone_id));
    json_text_str(&j, "streamer_id", id_slice(&c->subject));
    json_text_str(&j, "name", c->display_name);
    json_text_str(&j, "until", slice_str(until));
    json_text_str(&j, "home", slice_str(identity->home));
    json_text_close(&j, '}');
    putchar('\n');
}

static enum exit_status say_not_kept(const struct identity *identity, enum err err)
{
    if (identity_say_locked(identity, err))
        return STATUS_FAILED;
    if (err == ERR_CONFLICT) {
        say("%s/key is not the key that asked any more, and its credential is not kept; log in "
            "again with the key that is there now",
            identity->home);
        return STATUS_FAILED;
    }
    if (err == ERR_IO) {
        say("the credential cannot be kept in %s; check that you may write there", identity->home);
        return STATUS_FAILED;
    }
    say("the credential that came back is not this zone's, or not for our key (%s); nothing is "
        "kept",
        err_name(err));
    return STATUS_UNVERIFIED;
}

static enum exit_status say_no_key(const struct identity *identity, enum err err)
{
    if (!identity_say_locked(identity, err))
        say(err == ERR_UNAUTHORIZED ? "%s/key may be read by others: chmod 600 it, or remove it to "
                                      "make a new one"
                                    : "%s/key cannot be read or made; look at its permissions",
            identity->home);
    return STATUS_FAILED;
}

static enum exit_status exchange(struct session *s, const struct identity *identity,
                                 const struct option *options, struct login *l)
{
    enum exit_status status = zone_obtain(s, identity, options, true, &l->zone);
    if (status != STATUS_OK)
        return status;
    enum err err = identity_key(identity, true, &l->key);
    if (err != ERR_OK)
        return say_no_key(identity, err);
    l->auth.zone = &l->zone;
    l->auth.key = &l->key;
    l->auth.client_id = s->id;
    l->auth.broker = s->broker;
    err = session_subscribe(s, TOPIC_AUTH_USER_REPLY, id_slice(&s->id), (struct slice){0});
    if (err == ERR_OK)
        err = ask(s, l);
    if (err != ERR_OK)
        return session_status(s, err, "auth_edge (login)");
    if (l->refused) {
        char refusal[REFUSAL_BYTES];
        say_refusal(&l->error, refusal);
        say("login refused: %s", refusal);
        return STATUS_FAILED;
    }
    struct credential c;
    err = auth_keep(&l->auth, identity, &l->reply, &c);
    if (err == ERR_NOT_READY) { /* the zone's key has changed since we asked for it */
        status = zone_obtain(s, identity, options, true, &l->zone);
        if (status != STATUS_OK)
            return status;
        err = auth_keep(&l->auth, identity, &l->reply, &c);
    }
    if (err != ERR_OK)
        return say_not_kept(identity, err);
    report(identity, options, l, &c);
    return STATUS_OK;
}

static enum exit_status with_secrets(const struct option *options, struct login *l)
{
    struct identity identity;
    if (identity_open(&identity) != ERR_OK) {
        say("set EDGECTL_HOME to a folder for keys: HOME is not set, or too long");
        return STATUS_USAGE;
    }
    struct session s;
    enum exit_status status = session_open(&s, options);
    if (status != STATUS_OK)
        return status;
    status = exchange(&s, &identity, options, l);
    session_close(&s);
    return status;
}

static enum exit_status log_in(const struct option *options, const char *token, const char *user,
                               const char *password)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct login l = {.arena = &arena};
    if (token[0])
        l.auth.request.owner_id = slice_str(token);
    else
        l.auth.request.user = slice_str(user);
    l.auth.request.password = slice_str(password);
    enum exit_status status = with_secrets(options, &l);
    crypto_wipe(&l.key, sizeof(l.key));
    return status;
}

static enum exit_status run(const struct option *options, const char *const *arguments, int n)
{
    (void)arguments;
    (void)n;
    const char *user = config_text(options, "user");
    char token[JWT_BYTES_MAX + 2] = "", password[PASSWORD_BYTES_MAX + 2] = "";
    enum exit_status status = get_token(options, token, sizeof(token));
    if (status == STATUS_OK && !token[0] && (!user || strlen(user) > USER_BYTES_MAX)) {
        say("who are you? give --user NAME, of at most %d bytes, or --token-file FILE",
            USER_BYTES_MAX);
        status = STATUS_USAGE;
    }
    if (status == STATUS_OK && !token[0])
        status = get_password(options, password, sizeof(password));
    if (status == STATUS_OK)
        status = log_in(options, token, user, password);
    crypto_wipe(token, sizeof(token));
    crypto_wipe(password, sizeof(password));
    return status;
}

const struct command command_login = {
    .name = "login",
    .arguments = "",
    .summary = "get and keep a credential for your key",
    .details =
        "Makes a key pair if there is none, proves who you are to the zone's auth_edge, and keeps\n"
        "the credential that it signs, in $EDGECTL_HOME (default ~/.config/edge-cluster). The\n"
        "password comes from --password-file, else from EDGECTL_PASSWORD, else it is asked for;\n"
        "a provider's token from --token-file, else from EDGECTL_TOKEN.\n"
        "The zone's key is pinned: from --zone-key, or on first use where the broker is on this\n"
        "machine or reached over TLS.",
    .options = options_login,
    .run = run,
};
