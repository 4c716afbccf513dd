#include "base/check.h"
#include "base/msg.h"
#include "tests/unit/base/scratch.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 20000 };

static size_t alive(struct budget *budget)
{
    return atomic_load(&budget->alive_bytes);
}

static void test_budget_limits(void **state)
{
    (void)state;
    struct budget budget = {.max_bytes = 10};
    assert_true(budget_take(&budget, 0));
    assert_true(budget_take(&budget, 10));
    assert_true(budget_take(&budget, 0));
    assert_false(budget_take(&budget, 1));
    budget_give(&budget, 1);
    assert_false(budget_take(&budget, 2));
    assert_true(budget_take(&budget, 1));
    assert_false(budget_take(&budget, SIZE_MAX));
    budget_give(&budget, 10);
    assert_int_equal(alive(&budget), 0);

    struct budget none = {0};
    assert_true(budget_take(&none, 0));
    assert_false(budget_take(&none, 1));
    assert_false(budget_take(&none, SIZE_MAX));
}

static void test_a_message_is_a_copy(void **state)
{
    (void)state;
    char topic[] = "live/upload";
    char payload[] = "payload";
    struct msg *msg = msg_new(slice_str(topic), slice_str(payload), NULL);
    assert_non_null(msg);
    memset(topic, 0, sizeof(topic));
    memset(payload, 0, sizeof(payload));
    assert_true(slice_eq_str(msg->topic, "live/upload"));
    assert_true(slice_eq_str(msg->payload, "payload"));
    msg_unref(msg);
    msg_unref(NULL);
}

static void test_an_empty_message(void **state)
{
    (void)state;
    struct budget budget = {0};
    struct msg *msg = msg_new((struct slice){0}, (struct slice){0}, &budget);
    assert_non_null(msg);
    assert_int_equal(msg->topic.len + msg->payload.len, 0);
    msg_unref(msg);
}

/* I2: charged from creation to the last release, at the limit and above it. */
static void test_budget_of_messages(void **state)
{
    (void)state;
    struct budget budget = {.max_bytes = 8};
    struct msg *msg = msg_new(slice_str("abc"), slice_str("defgh"), &budget);
    assert_non_null(msg);
    assert_int_equal(alive(&budget), 8);
    assert_null(msg_new(slice_str("a"), (struct slice){0}, &budget));
    assert_ptr_equal(msg_ref(msg), msg);
    msg_unref(msg);
    assert_int_equal(alive(&budget), 8);
    msg_unref(msg);
    assert_int_equal(alive(&budget), 0);
    assert_null(msg_new(slice_str("abcd"), slice_str("efghi"), &budget));
    assert_int_equal(alive(&budget), 0);
}

static void test_alloc_is_filled_by_the_caller(void **state)
{
    (void)state;
    struct budget budget = {.max_bytes = 4};
    uint8_t *bytes = NULL;
    assert_null(msg_alloc(5, &budget, &bytes));
    assert_null(bytes);
    CLEANUP(msg_unref_ptr) struct msg *msg = msg_alloc(4, &budget, &bytes);
    assert_non_null(msg);
    memcpy(bytes, "wxyz", 4);
    assert_int_equal(msg->topic.len, 0);
    assert_true(slice_eq_str(msg->payload, "wxyz"));
}

static unsigned destroyed_n;

static void count_destroyed(struct msg *msg)
{
    destroyed_n++;
    free(msg->backing[0]);
}

/* A message around another library's memory: destroyed once, by the last reference. */
static void test_foreign_memory(void **state)
{
    (void)state;
    char *memory = strdup("from elsewhere");
    struct budget budget = {.max_bytes = 100};
    struct msg msg = {.payload = slice_str(memory),
                      .refs = 1,
                      .budget = &budget,
                      .charged_bytes = 14,
                      .destroy = count_destroyed,
                      .backing = {memory}};
    assert_true(budget_take(&budget, 14));
    destroyed_n = 0;
    msg_ref(&msg);
    msg_unref(&msg);
    assert_int_equal(destroyed_n, 0);
    msg_unref(&msg);
    assert_int_equal(destroyed_n, 1);
    assert_int_equal(alive(&budget), 0);
}

static void give_too_much(void)
{
    struct budget budget = {.max_bytes = 10};
    budget_give(&budget, 1);
}

static void ref_the_dead(void)
{
    struct msg msg = {.refs = 0};
    msg_ref(&msg);
}

static void unref_the_dead(void)
{
    struct msg msg = {.refs = 0};
    msg_unref(&msg);
}

static void test_misuse_stops_the_process(void **state)
{
    (void)state;
    assert_true(scratch_aborts(give_too_much));
    assert_true(scratch_aborts(ref_the_dead));
    assert_true(scratch_aborts(unref_the_dead));
}

struct shared {
    struct budget budget;
    struct msg *msg;
    atomic_uint over_limit;
};

static void *pass_around(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct msg *mine = msg_new(slice_str("t"), slice_str("abc"), &shared->budget);
        if (alive(&shared->budget) > shared->budget.max_bytes)
            atomic_fetch_add(&shared->over_limit, 1);
        msg_unref(mine);
        msg_ref(shared->msg);
        msg_unref(shared->msg);
    }
    msg_unref(shared->msg);
    return NULL;
}

/* Many threads at a limit that fits the shared message and two more. */
static void test_threads_share(void **state)
{
    (void)state;
    struct shared shared = {.budget = {.max_bytes = 13}};
    shared.msg = msg_new(slice_str("topic"), (struct slice){0}, &shared.budget);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        msg_ref(shared.msg);
        assert_int_equal(pthread_create(&threads[i], NULL, pass_around, &shared), 0);
    }
    msg_unref(shared.msg);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&shared.over_limit), 0);
    assert_int_equal(alive(&shared.budget), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget_limits),
        cmocka_unit_test(test_a_message_is_a_copy),
        cmocka_unit_test(test_an_empty_message),
        cmocka_unit_test(test_budget_of_messages),
        cmocka_unit_test(test_alloc_is_filled_by_the_caller),
        cmocka_unit_test(test_foreign_memory),
        cmocka_unit_test(test_misuse_stops_the_process),
        cmocka_unit_test(test_threads_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
