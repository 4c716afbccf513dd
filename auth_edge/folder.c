/*
 * Why: a zone is its keys. Losing one silently, or replacing it because a file
 * was not found, would cut off every edge and viewer that pinned it.
 *
 * Invariants
 *   I1  keys are made only while the database names no zone.
 *   I2  a folder is opened only if its key files are those that its database names.
 *   I3  zone.key.new is renamed or removed under the database's lock alone, and
 *       renamed only if it is the key that the database names.
 *
 *   a rotation, and what it leaves when it is cut short:
 *     zone.key.new written   zone.key is the database's: zone.key.new is removed
 *     database committed     zone.key.new is the database's: it becomes zone.key
 *     renamed                nothing
 */
#include "auth_edge/folder.h"

#include "auth_edge/keyfile.h"
#include "base/check.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the steps of opening share. */
struct opening {
    const struct folder_config *config;
    struct folder *folder;
    char *error; /* FOLDER_ERROR_BYTES */
};

void folder_file(const struct folder *folder, const char *name, char ret[static PATH_MAX])
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

/* ERR_UNKNOWN: no such file. */
static enum err read_secret(const struct opening *o, const char *name,
                            uint8_t ret[static KEY_BYTES])
{
    char path[PATH_MAX];
    folder_file(o->folder, name, path);
    enum err err = keyfile_read(path, ret);
    if (err == ERR_LIMIT)
        err = ERR_FORMAT;
    return err == ERR_OK ? ERR_OK : fail(o, err, name, keyfile_fault(err));
}

/* A secret from its file; while the folder is new (I1), made when it is not there. */
static enum err load_secret(const struct opening *o, const char *name,
                            uint8_t ret[static KEY_BYTES])
{
    char path[PATH_MAX];
    enum err err = read_secret(o, name, ret);
    if (err != ERR_UNKNOWN)
        return err;
    if (!o->folder->created)
        return ERR_CONFLICT;
    folder_file(o->folder, name, path);
    crypto_random(ret, KEY_BYTES);
    err = keyfile_write(path, ret);
    return err == ERR_OK ? ERR_OK : fail(o, err, name, keyfile_fault(err));
}

static enum err load_zone_secret(const struct opening *o)
{
    struct folder *folder = o->folder;
    if (folder->secret_from_outside) /* and here already: it is read again */
        return ERR_OK;
    if (!o->config->zone_secret)
        return load_secret(o, "zone.secret", folder->keys.secret);
    folder->secret_from_outside = true;
    if (secret_parse(slice_str(o->config->zone_secret), folder->keys.secret) == ERR_OK)
        return ERR_OK;
    snprintf(o->error, FOLDER_ERROR_BYTES, "ZONE_SECRET is not 64 hexadecimal digits");
    return ERR_FORMAT;
}

static enum err load_sign_key(const struct opening *o, const char *name)
{
    uint8_t seed[KEY_BYTES];
    enum err err = load_secret(o, name, seed);
    if (err == ERR_OK)
        signkey_from_seed(seed, &o->folder->keys.sign);
    crypto_wipe(seed, sizeof(seed));
    return err;
}

static enum err load_others(const struct opening *o)
{
    uint8_t box_secret[KEY_BYTES];
    enum err err = load_secret(o, "zone.box", box_secret);
    if (err == ERR_OK)
        boxkey_from_secret(box_secret, &o->folder->keys.box);
    crypto_wipe(box_secret, sizeof(box_secret));
    return err == ERR_OK ? load_zone_secret(o) : err;
}

/* --- the signing key, and what a rotation left ----------------------------------- */

static bool there_is(const struct opening *o, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    folder_file(o->folder, name, path);
    return stat(path, &st) == 0;
}

/* Load a key from a file if it is the one that the database names. */
static bool take_key(const struct opening *o, const char *name)
{
    const struct folder *folder = o->folder;
    return there_is(o, name) && load_sign_key(o, name) == ERR_OK &&
           pubkey_eq(&folder->keys.sign.pk, &folder->zone.sign_pk);
}

/* I3, under the lock. When the zone's key is in neither file, nothing is touched. */
static enum err mend_files(const struct opening *o)
{
    char path[PATH_MAX], path_new[PATH_MAX];
    folder_file(o->folder, "zone.key", path);
    folder_file(o->folder, "zone.key.new", path_new);
    if (take_key(o, "zone.key")) {
        if (unlink(path_new) == 0 || errno == ENOENT)
            return ERR_OK;
        return fail(o, ERR_IO, "zone.key.new", strerror(errno));
    }
    if (take_key(o, "zone.key.new"))
        return file_rename(path_new, path) == ERR_OK
                   ? ERR_OK
                   : fail(o, ERR_IO, "zone.key.new", strerror(errno));
    enum err err = load_sign_key(o, "zone.key");
    if (err == ERR_OK)
        err = fail(o, ERR_CONFLICT, "zone.key", "another zone's key; restore it from a backup");
    return err;
}

static enum err mend(const struct opening *o)
{
    struct folder *folder = o->folder;
    enum err err = store_lock(folder->store);
    if (err == ERR_OK) {
        err = store_zone_get(folder->store, &folder->zone);
        if (err == ERR_OK)
            return store_unlock(folder->store, mend_files(o));
        store_unlock(folder->store, err);
    }
    return fail(o, err, "", store_error(folder->store));
}

/* The parameters and the key that signs them: of one moment, whoever rotates meanwhile. */
static enum err load_signer(const struct opening *o)
{
    if (!there_is(o, "zone.key.new") && take_key(o, "zone.key"))
        return ERR_OK;
    return mend(o);
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
    enum err err = load_sign_key(o, "zone.key");
    if (err == ERR_OK)
        err = load_others(o);
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
    err = load_signer(o);
    if (err == ERR_OK)
        err = load_others(o);
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
    folder_file(o->folder, "auth_edge.db", path);
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

enum err folder_reload(struct folder *folder, char ret_error[static FOLDER_ERROR_BYTES])
{
    const struct folder_config config = {0};
    struct folder fresh = *folder;
    struct opening o = {.config = &config, .folder = &fresh, .error = ret_error};
    fresh.created = false;
    enum err err = open_zone(&o);
    if (err == ERR_OK)
        *folder = fresh;
    crypto_wipe(&fresh, sizeof(fresh));
    return err;
}

enum err folder_broker_key(const struct folder *folder, bool make, uint8_t ret[static KEY_BYTES],
                           char ret_error[static FOLDER_ERROR_BYTES])
{
    char path[PATH_MAX];
    folder_file(folder, "zone.broker", path);
    enum err err = keyfile_read(path, ret);
    if (err == ERR_UNKNOWN && make) {
        crypto_random(ret, KEY_BYTES);
        err = keyfile_write(path, ret);
    }
    if (err == ERR_LIMIT)
        err = ERR_FORMAT;
    if (err == ERR_UNKNOWN)
        snprintf(ret_error, FOLDER_ERROR_BYTES,
                 "%.2048s: missing; restore it from a backup, or set the broker up with: auth_edge "
                 "broker init",
                 path);
    else if (err != ERR_OK)
        snprintf(ret_error, FOLDER_ERROR_BYTES, "%.2048s: %.512s", path, keyfile_fault(err));
    return err;
}

void folder_close(struct folder *folder)
{
    store_close(folder->store);
    crypto_wipe(folder, sizeof(*folder));
}
