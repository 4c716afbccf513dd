/*
 * Why: a key that many have pinned can be replaced only so that each of them can
 * see who replaced it, and that no moment is without a key on the disk.
 */
#include "auth_edge/rotate.h"

#include "auth_edge/keyfile.h"
#include "base/check.h"

#include <errno.h>
#include <stdio.h>

static enum err fail(const struct folder *folder, enum err err, const char *why,
                     char error[static FOLDER_ERROR_BYTES])
{
    snprintf(error, FOLDER_ERROR_BYTES, "%s: %.512s", folder->path, why);
    return err;
}

/* The parameters under the next key. */
static struct zone_params params_after(const struct zone_params *zone, const struct signkey *old,
                                       const struct signkey *next, uint64_t now_us)
{
    uint8_t bytes[OBJECT_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    struct zone_link link = {.old_epoch = zone->key_epoch,
                             .old_pk = old->pk,
                             .new_epoch = zone->key_epoch + 1,
                             .new_pk = next->pk};
    zone_link_body(&zone->zone_id, &link, &w);
    CHECK(!w.full);
    link.sig = object_sign(OBJECT_ZONE_LINK, slice_of(bytes, w.len), old);
    struct zone_params after = *zone;
    after.links[after.links_n++] = link;
    after.key_epoch = link.new_epoch;
    after.sign_pk = next->pk;
    after.issued_us = now_us;
    return after;
}

/* Under the lock: the file first, then the database. */
static enum err rotate_locked(struct folder *folder, const struct signkey *next, uint64_t now_us,
                              char error[static FOLDER_ERROR_BYTES])
{
    struct zone_params zone;
    char path[PATH_MAX];
    enum err err = store_zone_get(folder->store, &zone);
    if (err != ERR_OK)
        return fail(folder, err, store_error(folder->store), error);
    if (!pubkey_eq(&zone.sign_pk, &folder->keys.sign.pk))
        return fail(folder, ERR_CONFLICT, "the key was rotated just now; look at: auth_edge show",
                    error);
    if (zone.links_n == ZONE_LINKS_MAX)
        return fail(folder, ERR_LIMIT,
                    "this zone's key was rotated 8 times, and no more than 8 links are followed;"
                    " found another zone (auth_edge init), enrol the edges there, and give"
                    " everybody its --zone-key",
                    error);
    folder_file(folder, "zone.key.new", path);
    err = keyfile_write(path, next->seed);
    if (err != ERR_OK)
        return fail(folder, err, keyfile_fault(err), error);
    zone = params_after(&zone, &folder->keys.sign, next, now_us);
    err = store_zone_put(folder->store, &zone);
    return err == ERR_OK ? ERR_OK : fail(folder, err, store_error(folder->store), error);
}

enum err rotate_key(struct folder *folder, uint64_t now_us,
                    char ret_error[static FOLDER_ERROR_BYTES])
{
    struct signkey next;
    enum err err = store_lock(folder->store);
    if (err != ERR_OK)
        return fail(folder, err, store_error(folder->store), ret_error);
    signkey_random(&next);
    enum err done = rotate_locked(folder, &next, now_us, ret_error);
    crypto_wipe(&next, sizeof(next));
    err = store_unlock(folder->store, done);
    if (err != done)
        fail(folder, err, store_error(folder->store), ret_error);
    return err == ERR_OK ? folder_reload(folder, ret_error) : err;
}

enum err rotate_secret(struct folder *folder, char ret_error[static FOLDER_ERROR_BYTES])
{
    uint8_t secret[KEY_BYTES];
    char path[PATH_MAX];
    if (folder->secret_from_outside)
        return fail(folder, ERR_CONFLICT,
                    "the secret comes from ZONE_SECRET: change it there, and at every edge",
                    ret_error);
    folder_file(folder, "zone.secret", path);
    crypto_random(secret, sizeof(secret));
    enum err err = keyfile_write(path, secret);
    crypto_wipe(secret, sizeof(secret));
    if (err != ERR_OK)
        return fail(folder, err, keyfile_fault(err), ret_error);
    err = store_touch(folder->store);
    if (err != ERR_OK)
        return fail(folder, err, store_error(folder->store), ret_error);
    return folder_reload(folder, ret_error);
}
