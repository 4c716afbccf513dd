/*
 *   I1  a password goes to the broker through which it came, and to no other.
 */
#include "client/account.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { BROKER_TEXT_MAX = 1024, FILE_BYTES_MAX = BROKER_TEXT_MAX + 2 * BROKER_TEXT_BYTES_MAX + 16 };

static enum err write_file(const struct identity *identity, const char *broker,
                           const struct broker_login *login)
{
    char path[IDENTITY_PATH_BYTES_MAX], text[FILE_BYTES_MAX];
    int n = snprintf(text, sizeof(text), "%s\n%.*s\n%.*s\n", broker, SLICE_FMT(login->user),
                     SLICE_FMT(login->password));
    if (n < 0 || (size_t)n >= sizeof(text))
        return ERR_LIMIT;
    identity_path(identity, "broker", path);
    enum err err = file_make_dir(identity->home);
    if (err == ERR_OK)
        err = file_write(path, slice_of(text, (size_t)n));
    crypto_wipe(text, sizeof(text));
    return err;
}

enum err account_keep(const struct identity *identity, const char *broker,
                      const struct signkey *key, struct slice sealed)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct broker_login login;
    if (sealed.len <= SEAL_OVERHEAD_BYTES)
        return ERR_FORMAT;
    size_t len = sealed.len - SEAL_OVERHEAD_BYTES;
    uint8_t *plain = arena_alloc(&arena, len);
    enum err err = seal_open_signer(key, sealed, plain);
    if (err == ERR_OK)
        err = broker_login_decode(slice_of(plain, len), &arena, &login);
    if (err == ERR_OK)
        err = write_file(identity, broker, &login);
    crypto_wipe(plain, len);
    return err;
}

/* The next line of a text; false: there is none that fits. */
static bool next_line(char **text, char *ret, size_t cap)
{
    size_t len = strcspn(*text, "\n");
    if ((*text)[len] != '\n' || len == 0 || len >= cap)
        return false;
    memcpy(ret, *text, len);
    ret[len] = '\0';
    *text += len + 1;
    return true;
}

static enum err parse(char *text, const char *broker, struct account *ret)
{
    char at[BROKER_TEXT_MAX];
    struct account account;
    if (!next_line(&text, at, sizeof(at)) ||
        !next_line(&text, account.user, sizeof(account.user)) ||
        !next_line(&text, account.password, sizeof(account.password)))
        return ERR_FORMAT;
    if (strcmp(at, broker) != 0)
        return ERR_UNKNOWN; /* I1 */
    *ret = account;
    crypto_wipe(&account, sizeof(account));
    return ERR_OK;
}

enum err account_read(const struct identity *identity, const char *broker, struct account *ret)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    CLEANUP(mem_free_ptr) char *text = NULL;
    size_t len;
    identity_path(identity, "broker", path);
    enum err err = file_read(path, FILE_BYTES_MAX, &text, &len);
    if (err != ERR_OK)
        return err == ERR_LIMIT ? ERR_FORMAT : err;
    err = file_is_open(path) ? ERR_UNAUTHORIZED : parse(text, broker, ret);
    crypto_wipe(text, len);
    return err;
}
