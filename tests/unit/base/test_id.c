#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_every_character(void **state)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    (void)state;
    for (int c = 0; c < 256; c++) {
        uint8_t text[] = {'a', (uint8_t)c};
        bool ok = c != 0 && strchr(allowed, c);
        struct id id = {.s = "before"};
        assert_int_equal(id_parse(slice_of(text, 2), &id), ok ? ERR_OK : ERR_FORMAT);
        if (!ok)
            assert_string_equal(id.s, "before");
    }
}

static void test_length(void **state)
{
    (void)state;
    char text[ID_BYTES_MAX + 1];
    memset(text, 'x', sizeof(text));
    struct id id;
    assert_int_equal(id_parse(slice_of(text, 0), &id), ERR_FORMAT);
    assert_int_equal(id_parse((struct slice){0}, &id), ERR_FORMAT);
    assert_int_equal(id_parse(slice_of(text, 1), &id), ERR_OK);
    assert_string_equal(id.s, "x");
    assert_int_equal(id_parse(slice_of(text, ID_BYTES_MAX), &id), ERR_OK);
    assert_int_equal(strlen(id.s), ID_BYTES_MAX);
    assert_int_equal(id_parse(slice_of(text, ID_BYTES_MAX + 1), &id), ERR_FORMAT);
}

/* An id is zeroed past its text, so that it can be compared and hashed as bytes. */
static void test_value(void **state)
{
    (void)state;
    struct id a, b;
    memset(&a, 0xff, sizeof(a));
    memset(&b, 0x55, sizeof(b));
    assert_int_equal(id_parse(slice_str("edge1"), &a), ERR_OK);
    assert_int_equal(id_parse(slice_str("edge1"), &b), ERR_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_true(id_eq(&a, &b));
    assert_true(slice_eq_str(id_slice(&a), "edge1"));
    assert_int_equal(id_parse(slice_str("edge2"), &b), ERR_OK);
    assert_false(id_eq(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
