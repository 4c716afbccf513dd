#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Codes are stored in exit statuses and logs: they and their names never change. */
static void test_names(void **state)
{
    static const char *const names[] = {
        "ok",    "format", "limit",        "signature", "unauthorized", "unknown", "conflict",
        "quota", "busy",   "storage_full", "not_ready", "io",           "timeout", "closed",
    };
    (void)state;
    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++)
        assert_string_equal(err_name((enum err)(-i)), names[i]);
    assert_int_equal(ERR_CLOSED, -13);
}

static void test_unlisted(void **state)
{
    (void)state;
    assert_string_equal(err_name((enum err)1), "unlisted");
    assert_string_equal(err_name((enum err)(ERR_CLOSED - 1)), "unlisted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_unlisted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
