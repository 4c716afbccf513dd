#include "auth_edge/local.h"
#include "base/clock.h"
#include "tests/unit/auth_edge/temp.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ANSWER_TIMEOUT_MS = 20000 };

struct world {
    struct store *store;
    struct provider *local;
};

static struct world world_open(void **state)
{
    char error[STORE_ERROR_BYTES];
    struct world w;
    struct store_user user = {.name = "lea", .created_at = "2026-11-21T11:09:30.123456Z"};
    assert_int_equal(crypto_init(), ERR_OK);
    assert_int_equal(store_open(temp_path(state, "auth_edge.db"), &w.store, error), ERR_OK);
    assert_int_equal(id_parse(slice_str("5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11"), &user.id), ERR_OK);
    assert_int_equal(password_hash(slice_str("correct horse"), user.password_hash), ERR_OK);
    assert_int_equal(store_user_add(w.store, &user), ERR_OK);
    assert_int_equal(local_open(w.store, &w.local), ERR_OK);
    return w;
}

static void world_close(struct world *w)
{
    w->local->close(w->local);
    store_close(w->store);
}

static struct login *login_of(const char *user, const char *password)
{
    struct login *login = login_new();
    login->user_len = strlen(user);
    memcpy(login->user, user, login->user_len);
    login->password_len = strlen(password);
    memcpy(login->password, password, login->password_len);
    return login;
}

static struct login *wait_answer(struct provider *local)
{
    struct pollfd fd = {.fd = local->fd(local), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, ANSWER_TIMEOUT_MS), 1);
    struct login *login = local->take(local);
    assert_non_null(login);
    return login;
}

static struct login *ask(struct provider *local, const char *user, const char *password)
{
    assert_int_equal(local->check(local, login_of(user, password)), ERR_OK);
    assert_int_equal(local->pending(local), 1);
    struct login *login = wait_answer(local);
    assert_int_equal(local->pending(local), 0);
    assert_null(local->take(local));
    return login;
}

static void test_right_password(void **state)
{
    struct world w = world_open(state);
    struct login *login = ask(w.local, "lea", "correct horse");
    assert_int_equal(login->err, ERR_OK);
    assert_string_equal(login->subject.s, "5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11");
    assert_int_equal(login->name_len, 3);
    assert_memory_equal(login->name, "lea", 3);
    for (size_t i = 0; i < sizeof(login->password); i++)
        assert_int_equal(login->password[i], 0);
    login_free(login);
    world_close(&w);
}

/* Unknown user and wrong password: the same answer, at the cost of a hash either way. */
static void test_refused_alike(void **state)
{
    static const char *const pairs[][2] = {{"lea", "correct horsf"},
                                           {"lea", "x"},
                                           {"nobody", "correct horse"},
                                           {"LEA", "correct horse"}};
    struct world w = world_open(state);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        uint64_t begun_us = clock_mono_us();
        struct login *login = ask(w.local, pairs[i][0], pairs[i][1]);
        assert_int_equal(login->err, ERR_UNAUTHORIZED);
        assert_null(login->message);
        assert_true(clock_mono_us() - begun_us > 1000);
        login_free(login);
    }
    world_close(&w);
}

/* At the limit, above it, and again when answers were taken. */
static void test_queue_full(void **state)
{
    struct world w = world_open(state);
    for (int i = 0; i < LOGIN_QUEUE_MAX; i++)
        assert_int_equal(w.local->check(w.local, login_of("lea", "correct horse")), ERR_OK);
    struct login *refused = login_of("lea", "correct horse");
    assert_int_equal(w.local->check(w.local, refused), ERR_BUSY);
    assert_int_equal(w.local->pending(w.local), LOGIN_QUEUE_MAX);
    login_free(wait_answer(w.local));
    assert_int_equal(w.local->check(w.local, refused), ERR_OK);
    for (int i = 0; i < LOGIN_QUEUE_MAX; i++) {
        struct login *login = wait_answer(w.local);
        assert_int_equal(login->err, ERR_OK);
        login_free(login);
    }
    assert_int_equal(w.local->pending(w.local), 0);
    world_close(&w);
}

/* For a renewal: the name of today, and nobody who is gone. */
static void test_knows(void **state)
{
    struct world w = world_open(state);
    struct login *login = login_new();
    assert_int_equal(id_parse(slice_str("5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11"), &login->subject),
                     ERR_OK);
    assert_int_equal(w.local->knows(w.local, login), ERR_OK);
    assert_int_equal(login->name_len, 3);
    assert_memory_equal(login->name, "lea", 3);
    assert_int_equal(id_parse(slice_str("5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a12"), &login->subject),
                     ERR_OK);
    assert_int_equal(w.local->knows(w.local, login), ERR_UNAUTHORIZED);
    assert_non_null(login->message);
    assert_int_equal(w.local->pending(w.local), 0);
    login_free(login);
    world_close(&w);
}

/* Closing gives up what waits, without hashing all of it. */
static void test_close_with_pending(void **state)
{
    struct world w = world_open(state);
    for (int i = 0; i < LOGIN_QUEUE_MAX; i++)
        assert_int_equal(w.local->check(w.local, login_of("lea", "x")), ERR_OK);
    world_close(&w);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, temp_enter, temp_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(test_right_password), ON_DISK(test_refused_alike),      ON_DISK(test_queue_full),
        ON_DISK(test_knows),          ON_DISK(test_close_with_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
