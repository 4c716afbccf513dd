#include "base/log.h"
#include "tests/unit/base/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TIME_BYTES = 27, LINE_BYTES_MAX = 1024 }; /* "2026-11-21T11:09:30.123456Z" */

static char text[8192];

static const char *logged(void (*act)(void))
{
    scratch_capture(STDERR_FILENO, act, text, sizeof(text));
    return text;
}

static void log_levels(void)
{
    log_setup("edge edge1", LOG_WARN);
    log_line(LOG_ERROR, "one %d", 1);
    log_line(LOG_WARN, "two");
    log_line(LOG_INFO, "three");
    log_line(LOG_DEBUG, "four");
}

static void test_lines_and_levels(void **state)
{
    (void)state;
    const char *line = logged(log_levels);
    assert_int_equal(line[TIME_BYTES - 1], 'Z');
    const char *rest = " error edge edge1: one 1\n";
    assert_memory_equal(line + TIME_BYTES, rest, strlen(rest));
    line += TIME_BYTES + strlen(rest);
    assert_string_equal(line + TIME_BYTES, " warn edge edge1: two\n");
}

static void log_controls(void)
{
    log_setup("p", LOG_DEBUG);
    log_line(LOG_DEBUG, "a\nb\r\x1b[31m\tc\x7f é");
}

/* Text from strangers cannot forge a line or drive a terminal. */
static void test_control_characters(void **state)
{
    (void)state;
    assert_string_equal(logged(log_controls) + TIME_BYTES, " debug p: a?b??[31m?c? é\n");
}

static char long_text[3 * LINE_BYTES_MAX];

static void log_long(void)
{
    log_setup("p", LOG_INFO);
    log_line(LOG_INFO, "%s", long_text);
}

static void test_truncation(void **state)
{
    (void)state;
    const size_t before = TIME_BYTES + strlen(" info p: ");
    memset(long_text, 'x', LINE_BYTES_MAX - 1);
    assert_int_equal(strlen(logged(log_long)), before + LINE_BYTES_MAX - 1 + 1);
    memset(long_text, 'x', sizeof(long_text) - 1);
    assert_int_equal(strlen(logged(log_long)), before + LINE_BYTES_MAX - 1 + 1);
    assert_int_equal(text[strlen(text) - 1], '\n');
    memset(long_text, 0, sizeof(long_text));
    assert_string_equal(logged(log_long) + TIME_BYTES, " info p: \n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_levels),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
