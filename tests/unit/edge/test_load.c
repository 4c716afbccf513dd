/* The machine's figures: plausible, and the share of the CPU is that since the last sample. */
#include "edge/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_sample(void **state)
{
    (void)state;
    struct load load = {.folder = "/"};
    struct machine_load m;
    load_sample(&load, &m);
    assert_true(m.memory_total > 0 && m.memory_available <= m.memory_total);
    assert_int_equal(m.memory_used, m.memory_total - m.memory_available);
    assert_true(m.memory_percent > 0 && m.memory_percent <= 100);
    assert_true(m.disk_total > 0 && m.disk_used <= m.disk_total);
    assert_true(m.disk_percent >= 0 && m.disk_percent <= 100);
    assert_true(m.cpu_percent >= 0 && m.cpu_percent <= 100);
    assert_true(load.total > 0 && load.busy <= load.total);
    uint64_t total = load.total;
    load_sample(&load, &m); /* at once: perhaps not a tick has passed */
    assert_true(load.total >= total);
    assert_true(m.cpu_percent >= 0 && m.cpu_percent <= 100);
}

static void test_no_such_folder(void **state)
{
    (void)state;
    struct load load = {.folder = "/nowhere/at/all"};
    struct machine_load m = {.disk_total = 9};
    load_sample(&load, &m);
    assert_int_equal(m.disk_total, 0);
    assert_true(m.disk_percent == 0);
    assert_true(m.memory_total > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_no_such_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
