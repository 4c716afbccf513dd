/* The score that orders edges, and where a zone may be trusted on first use. */
#include "client/choose.h"
#include "client/zone.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static double score(double cpu, double memory, double disk, double rtt_ms)
{
    struct machine_load load = {.cpu_percent = cpu, .memory_percent = memory, .disk_percent = disk};
    return choose_score(&load, rtt_ms);
}

static void assert_score(double is, double should)
{
    assert_true(fabs(is - should) < 1e-9);
}

static void test_weights(void **state)
{
    (void)state;
    assert_score(score(0, 0, 0, 0), 0);
    assert_score(score(10, 0, 0, 0), 3);
    assert_score(score(0, 10, 0, 0), 3);
    assert_score(score(0, 0, 10, 0), 2);
    assert_score(score(0, 0, 0, 100), 2);
    assert_score(score(50, 40, 30, 500), 15 + 12 + 6 + 10);
}

static void test_latency_is_capped(void **state)
{
    (void)state;
    assert_score(score(0, 0, 0, 1000), 20);
    assert_score(score(0, 0, 0, 60000), 20);
}

static void test_overload(void **state)
{
    (void)state;
    assert_score(score(90, 0, 0, 0), 27); /* at the limit, not above */
    assert_score(score(91, 0, 0, 0), 1000 + 27.3);
    assert_score(score(0, 91, 0, 0), 1000 + 27.3);
    assert_score(score(0, 0, 91, 0), 1000 + 18.2);
    assert_score(score(91, 91, 91, 0), 1000 + 27.3 + 27.3 + 18.2); /* once */
}

static void test_trusted_brokers(void **state)
{
    (void)state;
    static const char *const trusted[] = {
        "mqtt://127.0.0.1:1883",  "127.0.0.1",       "127.1.2.3:99",        "localhost",
        "tcp://localhost:1883",   "ws://[::1]:9001", "mqtts://example.org", "ssl://10.0.0.1:8883",
        "wss://example.org/mqtt",
    };
    static const char *const not_trusted[] = {
        "mqtt://example.org", "10.0.0.1",      "localhost.example.org",
        "127.example.org",    "127.",          "mqtt://127.0.0.1.example.org:1883",
        "ws://example.org",   "[2001:db8::1]", "localhost@example.org",
    };
    for (size_t i = 0; i < sizeof(trusted) / sizeof(*trusted); i++)
        assert_true(zone_broker_trusted(trusted[i]));
    for (size_t i = 0; i < sizeof(not_trusted) / sizeof(*not_trusted); i++)
        assert_false(zone_broker_trusted(not_trusted[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_latency_is_capped),
        cmocka_unit_test(test_overload),
        cmocka_unit_test(test_trusted_brokers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
