/*
 * Why: a zone is its keys. Losing one silently, or replacing it because a file
 * was not found, would cut off every edge and viewer that pinned it.
 *
 * Invariants
 *   I1  keys are made only while the database names no zone.
 *   I2  a folder is opened only if its key files are those that its database names.
 */
#include "auth_edge/folder.h"

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { KEY_FILE_BYTES_MAX = 256 };

/* What the steps of opening share. */
struct opening {
    const struct folder_config *config;
    struct folder *folder;
    char *error; /* FOLDER_ERROR_BYTES */
};

static void file_path(const struct folder *folder, const char *name, char ret[static PATH_MAX])
{
    int n = snprintf(ret, PATH_MAX, "%s/%s", folder->path, name);
    CHECK(n > 0 && n < PATH_MAX);
}

/* Say why, about a file of the folder, or about the folder when name is empty. */
static enum err fail(const struct opening *o, enum err err, const char *name, const char *why)
{
    snprintf(o->error, FOLDER_ERROR_BYTES, "%.*s%s%s: %.512s", FOLDER_PATH_BYTES_MAX,
             o->folder->path, name[0] ? "/" : "", name, why);
    return err;
}

void folder_warn_if_open(const char *path)
{
    if (file_is_open(path))
        log_line(LOG_WARN, "%s can be read by others: chmod 600 it", path);
}

/* ERR_UNKNOWN: no such file. */
static enum err read_secret(const struct opening *o, const char *name,
                            uint8_t ret[static KEY_BYTES])
{
    char path[PATH_MAX];
    char *text;
    size_t len;
    file_path(o->folder, name, path);
    enum err err = file_read(path, KEY_FILE_BYTES_MAX, &text, &len);
    if (err == ERR_UNKNOWN)
        return fail(o, err, name, "missing; restore it from a backup");
    if (err != ERR_OK)
        return fail(o, err, name, err == ERR_LIMIT ? "too long for a key" : strerror(errno));
    folder_warn_if_open(path);
    err = secret_parse(slice_of(text, len), ret);
    crypto_wipe(text, len);
    free(text);
    return err == ERR_OK ? ERR_OK : fail(o, ERR_FORMAT, name, "not 64 hexadecimal digits");
}

static enum err write_secret(const struct opening *o, const char *name,
                             const uint8_t secret[static KEY_BYTES])
{
    char path[PATH_MAX];
    char text[SECRET_TEXT_BYTES + 1];
    file_path(o->folder, name, path);
    hex_encode(slice_of(secret, KEY_BYTES), text);
    memcpy(text + SECRET_TEXT_BYTES - 1, "\n", 2);
    enum err err = file_write(path, slice_str(text));
    crypto_wipe(text, sizeof(text));
    return err == ERR_OK ? ERR_OK : fail(o, err, name, strerror(errno));
}

/* A secret from its file; while the folder is new (I1), made when it is not there. */
static enum err load_secret(const struct opening *o, const char *name,
                            uint8_t ret[static KEY_BYTES])
{
    enum err err = read_secret(o, name, ret);
    if (err != ERR_UNKNOWN)
        return err;
    if (!o->folder->created)
        return ERR_CONFLICT;
    crypto_random(ret, KEY_BYTES);
    return write_secret(o, name, ret);
}

static enum err load_zone_secret(const struct opening *o)
{
    uint8_t *secret = o->folder->keys.secret;
    if (!o->config->zone_secret)
        return load_secret(o, "zone.secret", secret);
    if (secret_parse(slice_str(o->config->zone_secret), secret) == ERR_OK)
        return ERR_OK;
    snprintf(o->error, FOLDER_ERROR_BYTES, "ZONE_SECRET is not 64 hexadecimal digits");
    return ERR_FORMAT;
}

static enum err load_keys(const struct opening *o)
{
    uint8_t sign_seed[KEY_BYTES], box_secret[KEY_BYTES];
    enum err err = load_secret(o, "zone.key", sign_seed);
    if (err == ERR_OK)
        err = load_secret(o, "zone.box", box_secret);
    if (err == ERR_OK)
        err = load_zone_secret(o);
    if (err == ERR_OK) {
        signkey_from_seed(sign_seed, &o->folder->keys.sign);
        boxkey_from_secret(box_secret, &o->folder->keys.box);
    }
    crypto_wipe(sign_seed, sizeof(sign_seed));
    crypto_wipe(box_secret, sizeof(box_secret));
    return err;
}

/* I2. */
static enum err check_zone(const struct opening *o)
{
    const struct folder *folder = o->folder;
    const char *wanted = o->config->zone_id;
    if (wanted && strcmp(wanted, folder->zone.zone_id.s) != 0) {
        snprintf(o->error, FOLDER_ERROR_BYTES,
                 "%s belongs to zone %s, not %.64s; use a folder each", folder->path,
                 folder->zone.zone_id.s, wanted);
        return ERR_CONFLICT;
    }
    if (!pubkey_eq(&folder->zone.sign_pk, &folder->keys.sign.pk))
        return fail(o, ERR_CONFLICT, "zone.key", "another zone's key; restore it from a backup");
    if (!pubkey_eq(&folder->zone.box_pk, &folder->keys.box.pk))
        return fail(o, ERR_CONFLICT, "zone.box", "another zone's key; restore it from a backup");
    return ERR_OK;
}

static enum err found_zone(const struct opening *o)
{
    struct folder *folder = o->folder;
    const char *wanted = o->config->zone_id;
    if (id_parse(slice_str(wanted ? wanted : ZONE_ID_DEFAULT), &folder->zone.zone_id) != ERR_OK) {
        snprintf(o->error, FOLDER_ERROR_BYTES,
                 "the zone id '%.64s' is malformed: 1 to %d of A-Z a-z 0-9 _ -", wanted,
                 ID_BYTES_MAX);
        return ERR_FORMAT;
    }
    enum err err = load_keys(o);
    if (err != ERR_OK)
        return err;
    folder->zone.key_epoch = 1;
    folder->zone.issued_us = o->config->now_us;
    folder->zone.sign_pk = folder->keys.sign.pk;
    folder->zone.box_pk = folder->keys.box.pk;
    err = store_zone_put(folder->store, &folder->zone);
    return err == ERR_OK ? ERR_OK : fail(o, err, "", store_error(folder->store));
}

static enum err open_zone(const struct opening *o)
{
    struct folder *folder = o->folder;
    enum err err = store_zone_get(folder->store, &folder->zone);
    if (err == ERR_UNKNOWN && !o->config->may_create)
        return fail(o, err, "", "no zone is in this folder; make one with: auth_edge init");
    if (err == ERR_UNKNOWN) {
        folder->created = true;
        return found_zone(o);
    }
    if (err != ERR_OK)
        return fail(o, err, "", store_error(folder->store));
    err = load_keys(o);
    return err == ERR_OK ? check_zone(o) : err;
}

/* Make the folder, if that is allowed, and its path absolute. */
static enum err enter(const struct opening *o)
{
    char absolute[PATH_MAX];
    struct folder *folder = o->folder;
    snprintf(folder->path, sizeof(folder->path), "%s", o->config->path);
    if (strlen(o->config->path) >= sizeof(folder->path))
        return fail(o, ERR_IO, "", "the path is too long");
    if (o->config->may_create && file_make_dir(folder->path) != ERR_OK)
        return fail(o, ERR_IO, "", strerror(errno));
    if (!realpath(folder->path, absolute)) {
        if (errno == ENOENT)
            return fail(o, ERR_UNKNOWN, "", "there is no such folder; make it: auth_edge init");
        return fail(o, ERR_IO, "", strerror(errno));
    }
    if (strlen(absolute) >= sizeof(folder->path))
        return fail(o, ERR_IO, "", "the path is too long");
    memcpy(folder->path, absolute, strlen(absolute) + 1);
    return ERR_OK;
}

static enum err open_store(const struct opening *o)
{
    char path[PATH_MAX], why[STORE_ERROR_BYTES];
    struct stat st;
    file_path(o->folder, "auth_edge.db", path);
    if (!o->config->may_create && stat(path, &st) != 0 && errno == ENOENT)
        return fail(o, ERR_UNKNOWN, "", "no zone is in this folder; make one with: auth_edge init");
    enum err err = store_open(path, &o->folder->store, why);
    return err == ERR_OK ? ERR_OK : fail(o, err, "", why);
}

enum err folder_open(const struct folder_config *config, struct folder *ret_folder,
                     char ret_error[static FOLDER_ERROR_BYTES])
{
    struct folder folder = {0};
    struct opening o = {.config = config, .folder = &folder, .error = ret_error};
    enum err err = enter(&o);
    if (err == ERR_OK)
        err = open_store(&o);
    if (err == ERR_OK)
        err = open_zone(&o);
    if (err == ERR_OK)
        *ret_folder = folder;
    else
        store_close(folder.store);
    crypto_wipe(&folder, sizeof(folder));
    return err;
}

void folder_close(struct folder *folder)
{
    store_close(folder->store);
    crypto_wipe(folder, sizeof(*folder));
}
