#include "bus/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect_uri(const char *broker, const char *uri, uint16_t port, bool tls)
{
    struct text_uri parsed;
    assert_int_equal(text_uri_parse(broker, &parsed), ERR_OK);
    assert_string_equal(parsed.uri, uri);
    assert_int_equal(parsed.port, port);
    assert_int_equal(parsed.tls, tls);
}

static void brokers_are_understood(void **state)
{
    (void)state;
    expect_uri("localhost", "tcp://localhost:1883", 1883, false);
    expect_uri("10.0.0.1:1884", "tcp://10.0.0.1:1884", 1884, false);
    expect_uri("mqtt://broker", "tcp://broker:1883", 1883, false);
    expect_uri("mqtt://broker:1/", "tcp://broker:1", 1, false);
    expect_uri("tcp://broker:65535", "tcp://broker:65535", 65535, false);
    expect_uri("mqtts://broker", "ssl://broker:8883", 8883, true);
    expect_uri("ssl://broker:443", "ssl://broker:443", 443, true);
    expect_uri("ws://broker:9001/mqtt", "ws://broker:9001/mqtt", 9001, false);
    expect_uri("ws://broker", "ws://broker:80", 80, false);
    expect_uri("wss://broker/a/b", "wss://broker:443/a/b", 443, true);
    expect_uri("[::1]", "tcp://[::1]:1883", 1883, false);
    expect_uri("mqtts://[fe80::1]:8884", "ssl://[fe80::1]:8884", 8884, true);
}

static void other_brokers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "tcp://",     ":1883",    "host:",     "host:0",
        "host:65536", "host:x",     "http://h", "host/path", "user:pw@host",
        "a b",        "h\n",        "::1",      "host:1:2",  "host:99999999999999999999",
        "h\"",        "mqtt://h/x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct text_uri parsed;
        assert_int_equal(text_uri_parse(bad[i], &parsed), ERR_FORMAT);
    }
}

static void a_broker_has_a_length_limit(void **state)
{
    (void)state;
    char text[BUS_BROKER_BYTES_MAX + 2];
    struct text_uri parsed;
    memset(text, 'h', sizeof(text));
    text[BUS_BROKER_BYTES_MAX] = '\0';
    assert_int_equal(text_uri_parse(text, &parsed), ERR_OK);
    assert_int_equal(strlen(parsed.uri), strlen("tcp://") + BUS_BROKER_BYTES_MAX + strlen(":1883"));
    text[BUS_BROKER_BYTES_MAX] = 'h';
    text[BUS_BROKER_BYTES_MAX + 1] = '\0';
    assert_int_equal(text_uri_parse(text, &parsed), ERR_FORMAT);
}

static void topics_are_checked(void **state)
{
    (void)state;
    assert_true(text_is_topic(slice_str("video/watch/a/b")));
    assert_true(text_is_topic(slice_str("/")));
    assert_true(text_is_topic(slice_str("vid\xc3\xa9o/\xf0\x9f\x8e\xa5")));
    assert_false(text_is_topic(slice_str("")));
    assert_false(text_is_topic(slice_str("a/+")));
    assert_false(text_is_topic(slice_str("a/#")));
    assert_false(text_is_topic(slice_of("a\0b", 3)));
    assert_false(text_is_topic(slice_str("\xff")));
    assert_false(text_is_topic(slice_str("a\xc3")));            /* cut short */
    assert_false(text_is_topic(slice_str("\xc0\xaf")));         /* overlong */
    assert_false(text_is_topic(slice_str("\xe0\x80\xaf")));     /* overlong */
    assert_false(text_is_topic(slice_str("\xed\xa0\x80")));     /* surrogate */
    assert_false(text_is_topic(slice_str("\xf4\x90\x80\x80"))); /* above U+10FFFF */
}

static void a_topic_has_a_length_limit(void **state)
{
    (void)state;
    char text[BUS_TOPIC_BYTES_MAX + 1];
    memset(text, 't', sizeof(text));
    assert_true(text_is_topic(slice_of(text, BUS_TOPIC_BYTES_MAX)));
    assert_false(text_is_topic(slice_of(text, BUS_TOPIC_BYTES_MAX + 1)));
}

static void wildcards_stand_where_mqtt_allows_them(void **state)
{
    (void)state;
    static const char *const good[] = {"#", "+", "a/#", "+/b", "a/+/c", "+/+", "a/b", "/+/", "+/#"};
    static const char *const bad[] = {"", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "+#"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(text_is_filter(slice_str(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(text_is_filter(slice_str(bad[i])));
}

static void lane_names_are_checked(void **state)
{
    (void)state;
    assert_true(text_is_lane_name(slice_str(NULL)));
    assert_true(text_is_lane_name(slice_str("")));
    assert_true(text_is_lane_name(slice_str("sixteen-bytes_16")));
    assert_false(text_is_lane_name(slice_str("seventeen-bytes17")));
    assert_false(text_is_lane_name(slice_str("a/b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brokers_are_understood),
        cmocka_unit_test(other_brokers_are_refused),
        cmocka_unit_test(a_broker_has_a_length_limit),
        cmocka_unit_test(topics_are_checked),
        cmocka_unit_test(a_topic_has_a_length_limit),
        cmocka_unit_test(wildcards_stand_where_mqtt_allows_them),
        cmocka_unit_test(lane_names_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
