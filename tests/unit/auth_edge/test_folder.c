#include "auth_edge/folder.h"
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

static enum err try_open(void **state, const char *zone_id, const char *secret, bool may_create,
                         struct folder *ret)
{
    char error[FOLDER_ERROR_BYTES] = "";
    struct folder_config config = {
        .path = temp_path(state, "data"),
        .zone_id = zone_id,
        .zone_secret = secret,
        .may_create = may_create,
        .now_us = now_us,
    };
    enum err err = folder_open(&config, ret, error);
    assert_true(err == ERR_OK || error[0] != '\0');
    return err;
}

static enum err refused(void **state, const char *zone_id, const char *secret, bool may_create)
{
    struct folder folder;
    return try_open(state, zone_id, secret, may_create, &folder);
}

static struct folder must_open(void **state, const char *zone_id)
{
    assert_int_equal(crypto_init(), ERR_OK);
    struct folder folder;
    assert_int_equal(try_open(state, zone_id, NULL, true, &folder), ERR_OK);
    return folder;
}

static void test_made_once(void **state)
{
    static const char *const names[] = {"data/zone.key", "data/zone.box", "data/zone.secret",
                                        "data/auth_edge.db"};
    struct stat st;
    struct folder a = must_open(state, NULL);
    assert_true(a.created);
    assert_string_equal(a.zone.zone_id.s, ZONE_ID_DEFAULT);
    assert_int_equal(a.zone.key_epoch, 1);
    assert_true(a.path[0] == '/');
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(stat(temp_path(state, names[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    struct folder b = must_open(state, ZONE_ID_DEFAULT);
    assert_false(b.created);
    assert_memory_equal(&a.keys, &b.keys, sizeof(a.keys));
    assert_int_equal(b.zone.issued_us, now_us);
    folder_close(&b);
    folder_close(&a);
    assert_null(a.store);
}

static void test_not_made(void **state)
{
    struct stat st;
    assert_int_equal(refused(state, NULL, NULL, false), ERR_UNKNOWN);
    assert_int_not_equal(stat(temp_path(state, "data"), &st), 0);
    assert_int_equal(mkdir(temp_path(state, "data"), 0700), 0);
    assert_int_equal(refused(state, NULL, NULL, false), ERR_UNKNOWN);
    assert_int_not_equal(stat(temp_path(state, "data/auth_edge.db"), &st), 0);
    assert_int_equal(refused(state, "a/b", NULL, true), ERR_FORMAT);
    assert_int_equal(refused(state, "", NULL, true), ERR_FORMAT);
}

static void test_another_zone(void **state)
{
    struct folder a = must_open(state, "zone-a");
    folder_close(&a);
    assert_int_equal(refused(state, "zone-b", NULL, true), ERR_CONFLICT);
    struct folder again = must_open(state, NULL);
    assert_string_equal(again.zone.zone_id.s, "zone-a");
    folder_close(&again);
}

/* I1, I2: a key file that is lost, exchanged or damaged is never replaced. */
static void test_keys_kept(void **state)
{
    static const char *const names[] = {"data/zone.key", "data/zone.box", "data/zone.secret"};
    struct stat st;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[TEMP_PATH_BYTES], kept[TEMP_PATH_BYTES];
        struct folder folder = must_open(state, NULL);
        folder_close(&folder);
        snprintf(path, sizeof(path), "%s", temp_path(state, names[i]));
        snprintf(kept, sizeof(kept), "%s", temp_path(state, "kept"));
        assert_int_equal(rename(path, kept), 0);
        assert_int_equal(refused(state, NULL, NULL, true), ERR_CONFLICT);
        assert_int_not_equal(stat(path, &st), 0);
        assert_int_equal(file_write(path, slice_str("not a key")), ERR_OK);
        assert_int_equal(refused(state, NULL, NULL, true), ERR_FORMAT);
        if (i < 2) {
            assert_int_equal(file_write(path, slice_str(SECRET)), ERR_OK);
            assert_int_equal(refused(state, NULL, NULL, true), ERR_CONFLICT);
        }
        assert_int_equal(rename(kept, path), 0);
    }
}

static void test_secret_from_outside(void **state)
{
    struct folder folder;
    struct stat st;
    uint8_t expected[KEY_BYTES];
    assert_int_equal(crypto_init(), ERR_OK);
    assert_int_equal(refused(state, NULL, "short", true), ERR_FORMAT);
    assert_int_equal(try_open(state, NULL, SECRET, true, &folder), ERR_OK);
    assert_int_equal(hex_decode(slice_str(SECRET), expected, KEY_BYTES), ERR_OK);
    assert_memory_equal(folder.keys.secret, expected, KEY_BYTES);
    assert_int_not_equal(stat(temp_path(state, "data/zone.secret"), &st), 0);
    folder_close(&folder);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, temp_enter, temp_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(test_made_once),           ON_DISK(test_not_made),
        ON_DISK(test_another_zone),        ON_DISK(test_keys_kept),
        ON_DISK(test_secret_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
