#include "auth_edge/users.h"

#include "auth_edge/keyfile.h"
#include "base/check.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* A password while it is in memory. */
struct password {
    char text[PASSWORD_BYTES_MAX + 2]; /* room to see that it is too long */
    size_t len;
};

static void password_wipe(struct password *password)
{
    crypto_wipe(password, sizeof(*password));
}

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "auth_edge: %s: %s\n", what, why);
    return false;
}

static bool password_set(struct password *password, const char *text, const char *where)
{
    password->len = strcspn(text, "\r\n");
    if (password->len == 0)
        return complain(where, "the password is empty");
    if (password->len > PASSWORD_BYTES_MAX)
        return complain(where, "the password is longer than 256 bytes");
    if (!wire_text_ok(slice_of(text, password->len)))
        return complain(where, "the password is no UTF-8 or has control characters");
    memcpy(password->text, text, password->len);
    return true;
}

static bool password_from_file(const char *path, struct password *ret)
{
    char *text;
    size_t len;
    enum err err = file_read(path, OBJECT_BYTES_MAX, &text, &len);
    if (err != ERR_OK)
        return complain(path, err == ERR_LIMIT ? "too long for a password" : strerror(errno));
    keyfile_warn_if_open(path);
    bool ok = password_set(ret, text, path);
    crypto_wipe(text, len);
    free(text);
    return ok;
}

/* One line of standard input; on a terminal asked for, and not shown. */
static bool password_ask(const char *prompt, struct password *ret)
{
    struct termios shown;
    bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    if (terminal) {
        struct termios hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        fputs(prompt, stderr);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    char line[PASSWORD_BYTES_MAX + 3];
    bool got = fgets(line, sizeof(line), stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputc('\n', stderr);
    }
    bool ok = got ? password_set(ret, line, "standard input")
                  : complain("standard input", "no password came");
    crypto_wipe(line, sizeof(line));
    return ok;
}

static bool password_from_person(struct password *ret)
{
    CLEANUP(password_wipe) struct password again = {0};
    if (!password_ask("Password: ", ret))
        return false;
    if (!isatty(STDIN_FILENO))
        return true;
    if (!password_ask("Again: ", &again))
        return false;
    if (ret->len != again.len || memcmp(ret->text, again.text, ret->len) != 0)
        return complain("password", "the two differ");
    return true;
}

static bool password_get(const struct password_source *source, struct password *ret)
{
    if (source->file)
        return password_from_file(source->file, ret);
    if (source->text)
        return password_set(ret, source->text, "AUTH_PASSWORD");
    return password_from_person(ret);
}

static bool hash_password(const struct password_source *source,
                          char ret[static PASSWORD_HASH_BYTES])
{
    CLEANUP(password_wipe) struct password password = {0};
    if (!password_get(source, &password))
        return false;
    if (password_hash(slice_of(password.text, password.len), ret) != ERR_OK)
        return complain("password", "not enough memory to hash it");
    return true;
}

/* A random UUID (version 4) as text: 36 characters, all of them an id's. */
static void uuid_random(struct id *ret)
{
    uint8_t b[16];
    char hex[33];
    crypto_random(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    hex_encode(slice_of(b, sizeof(b)), hex);
    int n = snprintf(ret->s, sizeof(ret->s), "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
                     hex + 16, hex + 20);
    CHECK(n == 36);
}

static bool name_ok(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > USER_BYTES_MAX)
        return complain(name, "a user name has 1 to 64 bytes");
    if (!wire_text_ok(slice_str(name)) || strpbrk(name, "\t\r\n"))
        return complain("user name", "it is no UTF-8 or has control characters");
    return true;
}

int users_add(struct store *store, const char *name, const struct password_source *source,
              uint64_t now_us)
{
    struct store_user user = {0};
    struct store_user taken;
    if (!name_ok(name))
        return EXIT_FAILURE;
    if (store_user_find(store, slice_str(name), &taken) == ERR_OK) {
        complain(name, "there is such a user; change the password with: auth_edge user passwd");
        return EXIT_FAILURE;
    }
    if (!hash_password(source, user.password_hash))
        return EXIT_FAILURE;
    memcpy(user.name, name, strlen(name));
    uuid_random(&user.id);
    clock_iso8601(now_us, user.created_at);
    enum err err = store_user_add(store, &user);
    if (err != ERR_OK) {
        complain(name, err == ERR_CONFLICT ? "there is such a user" : store_error(store));
        return EXIT_FAILURE;
    }
    printf("user %s added: streamer %s\n", name, user.id.s);
    return EXIT_SUCCESS;
}

int users_passwd(struct store *store, const char *name, const struct password_source *source)
{
    struct store_user user;
    enum err err = store_user_find(store, slice_str(name), &user);
    if (err == ERR_OK && !hash_password(source, user.password_hash))
        return EXIT_FAILURE;
    if (err == ERR_OK)
        err = store_user_set_hash(store, name, user.password_hash);
    if (err != ERR_OK) {
        complain(name, err == ERR_UNKNOWN ? "there is no such user" : store_error(store));
        return EXIT_FAILURE;
    }
    printf("user %s: password changed\n", name);
    return EXIT_SUCCESS;
}

int users_list(struct store *store)
{
    struct store_user user = {0};
    enum err err;
    while ((err = store_user_next(store, user.name, &user)) == ERR_OK)
        printf(isatty(STDOUT_FILENO) ? "%-36s  %-27s  %s\n" : "%s\t%s\t%s\n", user.id.s,
               user.created_at, user.name);
    if (err == ERR_UNKNOWN)
        return EXIT_SUCCESS;
    complain("users", store_error(store));
    return EXIT_FAILURE;
}
