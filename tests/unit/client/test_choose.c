/* The score that orders edges, lists of them, where a zone may be trusted on first use, and what
 * is believed before anything verified. */
#include "client/choose.h"
#include "client/publish.h"
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

static void assert_edges(const char *text, const char *const *ids, size_t n)
{
    struct slice left = slice_str(text);
    struct id id;
    for (size_t i = 0; i < n; i++) {
        assert_true(edges_next(&left, &id));
        assert_string_equal(id.s, ids[i]);
        assert_true(edges_have(slice_str(text), &id));
    }
    assert_false(edges_next(&left, &id));
    assert_false(edges_have(slice_str(text), &(struct id){"other"}));
}

static void test_edges(void **state)
{
    (void)state;
    static const char *const two[] = {"edge1", "e-2"};
    char longest[2 * ID_BYTES_MAX + 2];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_edges("", two, 0);
    assert_edges(",", two, 0);
    assert_edges("edge1", two, 1);
    assert_edges("edge1,e-2", two, 2);
    assert_edges(",edge1,,no/id,e-2,", two, 2); /* what is no id is left out */
    assert_edges(longest, two, 0);              /* longer than an id */
    longest[ID_BYTES_MAX] = ',';
    char one[ID_BYTES_MAX + 1];
    memset(one, 'a', ID_BYTES_MAX);
    one[ID_BYTES_MAX] = '\0';
    const char *const ids[] = {one, one};
    assert_edges(longest, ids, 2);
}

/* A refusal before anything was granted: believed once it comes after another init. */
static void test_doubt(void **state)
{
    (void)state;
    struct publication p = {0};
    assert_false(publication_doubts(&p, 1000));
    assert_false(publication_believes(&p, 1000));
    assert_false(publication_believes(&p, 1001)); /* no other init since */
    assert_false(publication_doubts(&p, 1000 + SESSION_DOUBT_US - 1));
    assert_false(publication_believes(&p, 1000 + SESSION_DOUBT_US));
    assert_true(publication_doubts(&p, 1000 + SESSION_DOUBT_US));
    assert_false(publication_doubts(&p, 1001 + SESSION_DOUBT_US)); /* once */
    assert_true(publication_believes(&p, 1001 + SESSION_DOUBT_US));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),  cmocka_unit_test(test_latency_is_capped),
        cmocka_unit_test(test_overload), cmocka_unit_test(test_trusted_brokers),
        cmocka_unit_test(test_edges),    cmocka_unit_test(test_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
