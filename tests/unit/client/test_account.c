/* Our account at a locked broker, as edgectl keeps it. */
#include "base/file.h"
#include "client/account.h"
#include "tests/unit/client/zone_of_ours.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const char here[] = "mqtts://broker.example";

static char home[OURS_PATH_BYTES];
static struct identity identity;
static struct signkey key;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), ERR_OK);
    folder_make(home);
    assert_int_equal(identity_open(&identity), ERR_OK);
    signkey_random(&key);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(home);
    return 0;
}

static enum err keep(const char *broker, const char *user, const char *password)
{
    struct arena arena = {0};
    struct broker_login login = {.user = slice_str(user), .password = slice_str(password)};
    struct slice plain = broker_login_encode(&login, &arena);
    uint8_t sealed[1024];
    assert_int_equal(seal_to_signer(&key.pk, plain, sealed), ERR_OK);
    enum err err =
        account_keep(&identity, broker, &key, slice_of(sealed, plain.len + SEAL_OVERHEAD_BYTES));
    arena_release(&arena);
    return err;
}

static void write_text(const char *text)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    identity_path(&identity, "broker", path);
    assert_int_equal(file_write(path, slice_str(text)), ERR_OK);
}

static void what_was_kept_is_read_again(void **state)
{
    (void)state;
    char path[IDENTITY_PATH_BYTES_MAX];
    struct account account;
    struct stat st;
    assert_int_equal(account_read(&identity, here, &account), ERR_UNKNOWN);
    assert_int_equal(keep(here, "streamer-1", "its own"), ERR_OK);
    assert_int_equal(account_read(&identity, here, &account), ERR_OK);
    assert_string_equal(account.user, "streamer-1");
    assert_string_equal(account.password, "its own");
    identity_path(&identity, "broker", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(keep(here, "streamer-1", "another"), ERR_OK);
    assert_int_equal(account_read(&identity, here, &account), ERR_OK);
    assert_string_equal(account.password, "another");
}

static void another_broker_is_not_shown_it(void **state)
{
    (void)state;
    struct account account;
    assert_int_equal(keep(here, "streamer-1", "its own"), ERR_OK);
    assert_int_equal(account_read(&identity, "mqtts://broker.example.org", &account), ERR_UNKNOWN);
    assert_int_equal(account_read(&identity, "mqtt://broker.example", &account), ERR_UNKNOWN);
    assert_int_equal(account_read(&identity, "", &account), ERR_UNKNOWN);
}

static void what_others_may_read_is_not_used(void **state)
{
    (void)state;
    char path[IDENTITY_PATH_BYTES_MAX];
    struct account account;
    assert_int_equal(keep(here, "streamer-1", "its own"), ERR_OK);
    identity_path(&identity, "broker", path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(account_read(&identity, here, &account), ERR_UNAUTHORIZED);
}

static void what_is_not_ours_is_not_kept(void **state)
{
    (void)state;
    struct account account;
    struct signkey mine = key;
    uint8_t nothing[SEAL_OVERHEAD_BYTES + 1] = {0};
    signkey_random(&key);
    struct signkey other = key;
    key = mine;
    struct arena arena = {0};
    struct broker_login login = {.user = slice_str("u"), .password = slice_str("p")};
    struct slice plain = broker_login_encode(&login, &arena);
    uint8_t sealed[1024];
    assert_int_equal(seal_to_signer(&other.pk, plain, sealed), ERR_OK);
    assert_int_equal(
        account_keep(&identity, here, &mine, slice_of(sealed, plain.len + SEAL_OVERHEAD_BYTES)),
        ERR_SIGNATURE);
    assert_int_equal(account_keep(&identity, here, &mine, slice_of(nothing, sizeof(nothing))),
                     ERR_SIGNATURE);
    assert_int_equal(account_keep(&identity, here, &mine, slice_of(nothing, SEAL_OVERHEAD_BYTES)),
                     ERR_FORMAT);
    assert_int_equal(account_keep(&identity, here, &mine, (struct slice){0}), ERR_FORMAT);
    assert_int_equal(account_read(&identity, here, &account), ERR_UNKNOWN);
    arena_release(&arena);
}

static void a_damaged_file_is_no_account(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "mqtts://broker.example\n",
        "mqtts://broker.example\nuser\n",
        "mqtts://broker.example\nuser\npassword",
        "mqtts://broker.example\n\npassword\n",
    };
    struct account account;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_text(texts[i]);
        assert_int_equal(account_read(&identity, here, &account), ERR_FORMAT);
    }
    char longer[64 + BROKER_TEXT_BYTES_MAX + 1];
    snprintf(longer, sizeof(longer), "%s\nu\n%0*d\n", here, BROKER_TEXT_BYTES_MAX, 7);
    write_text(longer);
    assert_int_equal(account_read(&identity, here, &account), ERR_OK);
    snprintf(longer, sizeof(longer), "%s\nu\n%0*d\n", here, BROKER_TEXT_BYTES_MAX + 1, 7);
    write_text(longer);
    assert_int_equal(account_read(&identity, here, &account), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_kept_is_read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(another_broker_is_not_shown_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_others_may_read_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_ours_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_no_account, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
