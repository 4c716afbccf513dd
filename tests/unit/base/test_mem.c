#include "base/check.h"
#include "base/mem.h"
#include "tests/unit/base/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_alloc(void **state)
{
    (void)state;
    CLEANUP(mem_free_ptr) char *none = mem_alloc(0);
    CLEANUP(mem_free_ptr) char *raw = mem_alloc_raw(0);
    CLEANUP(mem_free_ptr) char *empty = mem_array(0, 8);
    CLEANUP(mem_free_ptr) uint64_t *numbers = mem_array(100, sizeof(*numbers));
    assert_non_null(none);
    assert_non_null(raw);
    assert_non_null(empty);
    for (int i = 0; i < 100; i++)
        assert_true(numbers[i] == 0);
}

static void test_resize(void **state)
{
    (void)state;
    CLEANUP(mem_free_ptr) char *text = mem_resize(NULL, 4);
    memcpy(text, "abc", 4);
    text = mem_resize(text, 1000);
    assert_string_equal(text, "abc");
    text = mem_resize(text, 0);
    assert_non_null(text);
}

static void test_free_of_null(void **state)
{
    (void)state;
    CLEANUP(mem_free_ptr) char *none = NULL;
    assert_null(none);
    CLEANUP(mem_free_secret_ptr) char *no_secret = NULL;
    mem_free_secret(no_secret);
}

static void allocate_everything(void)
{
    free(mem_alloc(SIZE_MAX / 2));
}

static void overflow(void)
{
    volatile size_t count = SIZE_MAX / 2;
    free(mem_array(count, 4));
}

static void break_an_invariant(void)
{
    volatile int one = 1;
    CHECK(one == 2);
}

static void keep_an_invariant(void)
{
    volatile int one = 1;
    CHECK(one == 1);
}

static void test_what_stops_the_process(void **state)
{
    (void)state;
    assert_true(scratch_aborts(allocate_everything));
    assert_true(scratch_aborts(overflow));
    assert_true(scratch_aborts(break_an_invariant));
    assert_false(scratch_aborts(keep_an_invariant));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_free_of_null),
        cmocka_unit_test(test_what_stops_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
