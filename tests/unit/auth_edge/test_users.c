#include "auth_edge/users.h"
#include "base/file.h"
#include "tests/unit/auth_edge/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t now_us = 1700000000u * (uint64_t)1000000;

static struct store *must_open(void **state)
{
    char error[STORE_ERROR_BYTES];
    struct store *store;
    assert_int_equal(crypto_init(), ERR_OK);
    assert_int_equal(store_open(temp_path(state, "auth_edge.db"), &store, error), ERR_OK);
    return store;
}

static int add(struct store *store, const char *name, const char *password)
{
    struct password_source source = {.text = password};
    return users_add(store, name, &source, now_us);
}

static enum err password_of(struct store *store, const char *name, const char *password)
{
    struct store_user user;
    assert_int_equal(store_user_find(store, slice_str(name), &user), ERR_OK);
    return password_verify(user.password_hash, slice_str(password));
}

static void test_add(void **state)
{
    struct store *store = must_open(state);
    struct store_user a, b;
    assert_int_equal(users_list(store), EXIT_SUCCESS);
    assert_int_equal(add(store, "léa", "one"), EXIT_SUCCESS);
    assert_int_equal(add(store, "ann", "two"), EXIT_SUCCESS);
    assert_int_equal(add(store, "ann", "three"), EXIT_FAILURE);
    assert_int_equal(users_list(store), EXIT_SUCCESS);
    assert_int_equal(password_of(store, "ann", "two"), ERR_OK);
    assert_int_equal(password_of(store, "ann", "three"), ERR_UNAUTHORIZED);
    assert_int_equal(store_user_find(store, slice_str("léa"), &a), ERR_OK);
    assert_int_equal(store_user_find(store, slice_str("ann"), &b), ERR_OK);
    assert_int_equal(strlen(a.id.s), 36);
    assert_int_equal(a.id.s[14], '4'); /* the UUID's version */
    assert_string_not_equal(a.id.s, b.id.s);
    store_close(store);
}

/* Names at their limit, above it, and empty. */
static void test_names(void **state)
{
    struct store *store = must_open(state);
    char name[USER_BYTES_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[USER_BYTES_MAX + 1] = '\0';
    assert_int_equal(add(store, name, "pw"), EXIT_FAILURE);
    name[USER_BYTES_MAX] = '\0';
    assert_int_equal(add(store, name, "pw"), EXIT_SUCCESS);
    assert_int_equal(add(store, "", "pw"), EXIT_FAILURE);
    assert_int_equal(add(store, "a\nb", "pw"), EXIT_FAILURE);
    assert_int_equal(add(store, "a\x1b[2J", "pw"), EXIT_FAILURE);
    assert_int_equal(add(store, "\xff", "pw"), EXIT_FAILURE);
    store_close(store);
}

static void test_passwords(void **state)
{
    struct store *store = must_open(state);
    char password[PASSWORD_BYTES_MAX + 2];
    memset(password, 'p', sizeof(password));
    password[PASSWORD_BYTES_MAX + 1] = '\0';
    assert_int_equal(add(store, "ann", password), EXIT_FAILURE);
    assert_int_equal(add(store, "ann", ""), EXIT_FAILURE);
    assert_int_equal(add(store, "ann", "\xff"), EXIT_FAILURE);
    password[PASSWORD_BYTES_MAX] = '\0';
    assert_int_equal(add(store, "ann", password), EXIT_SUCCESS);
    assert_int_equal(password_of(store, "ann", password), ERR_OK);
    store_close(store);
}

/* The first line of a file, with either line end; the file goes before the text. */
static void test_password_file(void **state)
{
    struct store *store = must_open(state);
    struct password_source source = {.file = temp_path(state, "pw"), .text = "other"};
    assert_int_equal(users_passwd(store, "ann", &source), EXIT_FAILURE);
    assert_int_equal(add(store, "ann", "old"), EXIT_SUCCESS);
    assert_int_equal(users_passwd(store, "ann", &source), EXIT_FAILURE); /* no such file */
    assert_int_equal(file_write(source.file, slice_str("new one\r\nmore\n")), ERR_OK);
    assert_int_equal(users_passwd(store, "ann", &source), EXIT_SUCCESS);
    assert_int_equal(password_of(store, "ann", "new one"), ERR_OK);
    assert_int_equal(password_of(store, "ann", "old"), ERR_UNAUTHORIZED);
    assert_int_equal(file_write(source.file, slice_str("\nnew\n")), ERR_OK);
    assert_int_equal(users_passwd(store, "ann", &source), EXIT_FAILURE);
    assert_int_equal(password_of(store, "ann", "new one"), ERR_OK);
    store_close(store);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, temp_enter, temp_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(test_add),
        ON_DISK(test_names),
        ON_DISK(test_passwords),
        ON_DISK(test_password_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
