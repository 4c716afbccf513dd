#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_iso(uint64_t utc_us, const char *expected)
{
    char text[ISO8601_BYTES];
    clock_iso8601(utc_us, text);
    assert_string_equal(text, expected);
}

static void test_iso8601(void **state)
{
    (void)state;
    assert_iso(0, "1970-01-01T00:00:00.000000Z");
    assert_iso(1, "1970-01-01T00:00:00.000001Z");
    assert_iso(951782399999999, "2000-02-28T23:59:59.999999Z");
    assert_iso(951782400000000, "2000-02-29T00:00:00.000000Z");
    assert_iso(1795259370123456, "2026-11-21T11:09:30.123456Z");
}

/* The last microsecond that fits four digits of year; what is later stays within the buffer. */
static void test_iso8601_limits(void **state)
{
    (void)state;
    assert_iso(253402300799999999, "9999-12-31T23:59:59.999999Z");
    assert_iso(253402300800000000, "9999-12-31T23:59:59.000000Z");
    assert_iso(UINT64_MAX, "9999-12-31T23:59:59.551615Z");
}

static uint64_t read_iso(const char *text)
{
    return clock_iso8601_read(slice_str(text));
}

/* What is written is read as it was, on days of every kind. */
static void test_iso8601_read(void **state)
{
    static const uint64_t times[] = {1,
                                     951782399999999,
                                     951782400000000, /* a leap day */
                                     951868800000000,
                                     1795259370123456,
                                     4107542400000000, /* 2100-03-01, after no leap day */
                                     253402300799999999};
    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char text[ISO8601_BYTES];
        clock_iso8601(times[i], text);
        assert_int_equal(read_iso(text), times[i]);
    }
    assert_int_equal(read_iso("2026-11-21 11:09:30"), 1795259370000000);
    assert_int_equal(read_iso("2026-11-21T11:09:30.5"), 1795259370500000);
    assert_int_equal(read_iso("2026-11-21T11:09:30.1234567Z"), 1795259370123456);
}

static void test_iso8601_that_is_none(void **state)
{
    static const char *const none[] = {"",
                                       "2026",
                                       "2026-11-21",
                                       "2026-11-21T11:09",
                                       "2026-11-21T11:09:3",
                                       "2026-13-21T11:09:30Z",
                                       "2026-00-21T11:09:30Z",
                                       "2026-11-00T11:09:30Z",
                                       "2026-11-32T11:09:30Z",
                                       "2026-11-21T24:09:30Z",
                                       "2026-11-21T11:60:30Z",
                                       "2026-11-21T11:09:61Z",
                                       "1969-12-31T23:59:59Z",
                                       "2026-11-21T11:09:30+01:00",
                                       "2026-11-21T11:09:30ZZ",
                                       "2026/11/21T11:09:30Z",
                                       " 2026-11-21T11:09:30Z"};
    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        if (read_iso(none[i]) != 0)
            fail_msg("%s", none[i]);
}

static void test_clocks(void **state)
{
    (void)state;
    uint64_t before = clock_mono_us();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_mono_us();
        assert_true(now >= before);
        before = now;
    }
    assert_true(clock_utc_us() > 1767225600000000); /* this was written after 2026 began */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso8601),      cmocka_unit_test(test_iso8601_limits),
        cmocka_unit_test(test_iso8601_read), cmocka_unit_test(test_iso8601_that_is_none),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
