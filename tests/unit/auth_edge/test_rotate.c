#include "auth_edge/keyfile.h"
#include "auth_edge/rotate.h"
#include "base/file.h"
#include "tests/unit/auth_edge/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t now_us = 1700000000u * (uint64_t)1000000;

#define SECRET "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static enum err try_open(void **state, const char *secret, struct folder *ret)
{
    char error[FOLDER_ERROR_BYTES] = "";
    struct folder_config config = {
        .path = temp_path(state, "data"),
        .zone_secret = secret,
        .may_create = true,
        .now_us = now_us,
    };
    assert_int_equal(crypto_init(), ERR_OK);
    enum err err = folder_open(&config, ret, error);
    assert_true(err == ERR_OK || error[0] != '\0');
    return err;
}

static struct folder must_open(void **state)
{
    struct folder folder;
    assert_int_equal(try_open(state, NULL, &folder), ERR_OK);
    return folder;
}

static enum err rotate(struct folder *folder)
{
    char error[FOLDER_ERROR_BYTES] = "";
    enum err err = rotate_key(folder, now_us + folder->zone.key_epoch, error);
    assert_true(err == ERR_OK || error[0] != '\0');
    return err;
}

static bool there_is(void **state, const char *name)
{
    struct stat st;
    return stat(temp_path(state, name), &st) == 0;
}

static void must_be_secret(void **state, const char *name)
{
    struct stat st;
    assert_int_equal(stat(temp_path(state, name), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

/* What clients do: from their pin to what the folder's key signs. */
static enum err accepted(const struct zone_params *pin, const struct folder *folder)
{
    uint8_t body[OBJECT_BYTES_MAX], object[OBJECT_BYTES_MAX];
    struct writer b = writer_of(body, sizeof(body)), w = writer_of(object, sizeof(object));
    struct zone_params offered;
    zone_params_encode(&folder->zone, &b);
    signed_append(&w, OBJECT_ZONE, slice_of(body, b.len), &folder->keys.sign);
    assert_int_equal(zone_open(slice_of(object, w.len), &offered), ERR_OK);
    return zone_accept(pin, &offered);
}

static void test_rotate(void **state)
{
    struct folder folder = must_open(state);
    struct zone_params before = folder.zone;
    struct zone_keys keys = folder.keys;
    assert_int_equal(rotate(&folder), ERR_OK);
    assert_int_equal(folder.zone.key_epoch, 2);
    assert_int_equal(folder.zone.links_n, 1);
    assert_true(folder.zone.issued_us > before.issued_us);
    assert_string_equal(folder.zone.zone_id.s, before.zone_id.s);
    assert_true(pubkey_eq(&folder.zone.box_pk, &before.box_pk));
    assert_false(pubkey_eq(&folder.zone.sign_pk, &before.sign_pk));
    assert_memory_equal(&folder.keys.box, &keys.box, sizeof(keys.box));
    assert_memory_equal(folder.keys.secret, keys.secret, KEY_BYTES);
    assert_int_equal(accepted(&before, &folder), ERR_OK);
    must_be_secret(state, "data/zone.key");
    assert_false(there_is(state, "data/zone.key.new"));
    folder_close(&folder);

    folder = must_open(state);
    assert_int_equal(folder.zone.key_epoch, 2);
    assert_int_equal(accepted(&before, &folder), ERR_OK);
    folder_close(&folder);
}

/* The eighth, and the ninth: refused, and nothing is changed by it. */
static void test_limit(void **state)
{
    struct folder folder = must_open(state);
    struct zone_params pins[ZONE_LINKS_MAX + 1];
    for (size_t i = 0; i < ZONE_LINKS_MAX; i++) {
        pins[i] = folder.zone;
        assert_int_equal(rotate(&folder), ERR_OK);
        for (size_t j = 0; j <= i; j++)
            assert_int_equal(accepted(&pins[j], &folder), ERR_OK);
    }
    pins[ZONE_LINKS_MAX] = folder.zone;
    struct folder before = folder;
    assert_int_equal(rotate(&folder), ERR_LIMIT);
    assert_memory_equal(&folder.zone, &before.zone, sizeof(before.zone));
    assert_memory_equal(&folder.keys, &before.keys, sizeof(before.keys));
    assert_false(there_is(state, "data/zone.key.new"));
    folder_close(&folder);
    folder = must_open(state);
    assert_int_equal(folder.zone.key_epoch, ZONE_LINKS_MAX + 1);
    for (size_t j = 0; j <= ZONE_LINKS_MAX; j++)
        assert_int_equal(accepted(&pins[j], &folder), ERR_OK);
    folder_close(&folder);
}

static void put_key(void **state, const char *name, const struct signkey *key)
{
    assert_int_equal(keyfile_write(temp_path(state, name), key->seed), ERR_OK);
}

/* Cut short after the new key was written: the zone is as it was, and the key is gone. */
static void test_crash_before_commit(void **state)
{
    struct folder folder = must_open(state);
    struct zone_params before = folder.zone;
    struct signkey never;
    folder_close(&folder);
    signkey_random(&never);
    put_key(state, "data/zone.key.new", &never);
    folder = must_open(state);
    assert_memory_equal(&folder.zone, &before, sizeof(before));
    assert_false(there_is(state, "data/zone.key.new"));
    assert_int_equal(rotate(&folder), ERR_OK);
    folder_close(&folder);
}

/* Cut short within the writing of the new key's file. */
static void test_crash_while_writing(void **state)
{
    struct folder folder = must_open(state);
    assert_int_equal(file_write(temp_path(state, "data/zone.key.new.tmp"), slice_str("0011")),
                     ERR_OK);
    assert_int_equal(rotate(&folder), ERR_OK);
    assert_false(there_is(state, "data/zone.key.new.tmp"));
    folder_close(&folder);
}

/* Cut short after the database had it: whoever opens the folder next ends it. */
static void test_crash_before_rename(void **state)
{
    struct folder folder = must_open(state);
    struct signkey old = folder.keys.sign;
    assert_int_equal(rotate(&folder), ERR_OK);
    struct signkey new = folder.keys.sign;
    put_key(state, "data/zone.key.new", &new);
    put_key(state, "data/zone.key", &old);
    char error[FOLDER_ERROR_BYTES];
    assert_int_equal(folder_reload(&folder, error), ERR_OK); /* a serving one does, too */
    assert_true(pubkey_eq(&folder.keys.sign.pk, &new.pk));
    assert_false(there_is(state, "data/zone.key.new"));
    must_be_secret(state, "data/zone.key");
    folder_close(&folder);

    put_key(state, "data/zone.key.new", &new);
    assert_int_equal(unlink(temp_path(state, "data/zone.key")), 0);
    folder = must_open(state);
    assert_true(pubkey_eq(&folder.keys.sign.pk, &new.pk));
    assert_int_equal(folder.zone.key_epoch, 2);
    must_be_secret(state, "data/zone.key");
    folder_close(&folder);
}

/* Cut short after the rename, and a key file that is left over all the same. */
static void test_crash_after_rename(void **state)
{
    struct folder folder = must_open(state);
    struct signkey old = folder.keys.sign;
    assert_int_equal(rotate(&folder), ERR_OK);
    folder_close(&folder);
    put_key(state, "data/zone.key.new", &old);
    folder = must_open(state);
    assert_int_equal(folder.zone.key_epoch, 2);
    assert_false(there_is(state, "data/zone.key.new"));
    folder_close(&folder);
}

/* The zone's key is in neither file: nothing is touched, so that a backup can be put back. */
static void test_no_key(void **state)
{
    struct folder folder = must_open(state), refused;
    struct signkey key = folder.keys.sign, stranger;
    folder_close(&folder);
    signkey_random(&stranger);
    put_key(state, "data/zone.key", &stranger);
    put_key(state, "data/zone.key.new", &stranger);
    assert_int_equal(try_open(state, NULL, &refused), ERR_CONFLICT);
    assert_true(there_is(state, "data/zone.key.new"));
    assert_int_equal(unlink(temp_path(state, "data/zone.key")), 0);
    assert_int_equal(try_open(state, NULL, &refused), ERR_CONFLICT);
    assert_false(there_is(state, "data/zone.key"));
    put_key(state, "data/zone.key", &key);
    folder = must_open(state);
    folder_close(&folder);
}

/* Two at once: the second sees that the first was there, and does nothing. */
static void test_two_at_once(void **state)
{
    char error[FOLDER_ERROR_BYTES];
    struct folder a = must_open(state), b = must_open(state);
    assert_true(store_changed(b.store));
    assert_false(store_changed(b.store));
    assert_int_equal(rotate(&a), ERR_OK);
    assert_true(store_changed(b.store));
    assert_int_equal(rotate(&b), ERR_CONFLICT);
    assert_int_equal(b.zone.key_epoch, 1);
    assert_int_equal(folder_reload(&b, error), ERR_OK);
    assert_memory_equal(&a.zone, &b.zone, sizeof(a.zone));
    assert_memory_equal(&a.keys, &b.keys, sizeof(a.keys));
    assert_int_equal(rotate(&b), ERR_OK);
    assert_int_equal(b.zone.key_epoch, 3);
    folder_close(&b);
    folder_close(&a);
}

static void test_secret(void **state)
{
    char error[FOLDER_ERROR_BYTES];
    struct folder a = must_open(state), serving = must_open(state);
    struct zone_keys before = a.keys;
    assert_true(store_changed(serving.store));
    assert_int_equal(rotate_secret(&a, error), ERR_OK);
    assert_true(store_changed(serving.store));
    assert_memory_not_equal(a.keys.secret, before.secret, KEY_BYTES);
    assert_memory_equal(&a.keys.sign, &before.sign, sizeof(before.sign));
    assert_int_equal(folder_reload(&serving, error), ERR_OK);
    assert_memory_equal(serving.keys.secret, a.keys.secret, KEY_BYTES);
    must_be_secret(state, "data/zone.secret");
    folder_close(&serving);
    folder_close(&a);
}

/* A secret that the environment holds is not ours to change, and survives what is. */
static void test_secret_from_outside(void **state)
{
    char error[FOLDER_ERROR_BYTES] = "";
    struct folder folder;
    uint8_t expected[KEY_BYTES];
    assert_int_equal(try_open(state, SECRET, &folder), ERR_OK);
    assert_int_equal(hex_decode(slice_str(SECRET), expected, KEY_BYTES), ERR_OK);
    assert_int_equal(rotate_secret(&folder, error), ERR_CONFLICT);
    assert_true(error[0] != '\0');
    assert_int_equal(rotate(&folder), ERR_OK);
    assert_memory_equal(folder.keys.secret, expected, KEY_BYTES);
    assert_false(there_is(state, "data/zone.secret"));
    folder_close(&folder);
}

/* What cannot be read leaves the folder as it was. */
static void test_reload_fails(void **state)
{
    char error[FOLDER_ERROR_BYTES] = "";
    struct folder folder = must_open(state), before = folder;
    assert_int_equal(file_write(temp_path(state, "data/zone.secret"), slice_str("?")), ERR_OK);
    assert_int_equal(folder_reload(&folder, error), ERR_FORMAT);
    assert_true(error[0] != '\0');
    assert_memory_equal(&folder, &before, sizeof(folder));
    folder_close(&folder);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, temp_enter, temp_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(test_rotate),
        ON_DISK(test_limit),
        ON_DISK(test_crash_before_commit),
        ON_DISK(test_crash_while_writing),
        ON_DISK(test_crash_before_rename),
        ON_DISK(test_crash_after_rename),
        ON_DISK(test_no_key),
        ON_DISK(test_two_at_once),
        ON_DISK(test_secret),
        ON_DISK(test_secret_from_outside),
        ON_DISK(test_reload_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
