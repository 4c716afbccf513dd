/* The bus and a broker that comes and goes. */
#include "broker.h"

static void an_absent_broker_is_named(void **state)
{
    (void)state;
    char text[BUS_ERROR_BYTES];
    char expected[BUS_ERROR_BYTES];
    struct broker broker = {0};
    snprintf(broker.uri, sizeof(broker.uri), "127.0.0.1:%u", (unsigned)broker_free_port());
    struct bus_config config = bus_test_config(&broker, "absent");
    struct bus *bus = bus_test_open(&config);
    error_wait(bus, text);
    snprintf(expected, sizeof(expected),
             "broker tcp://%s: connection refused, or host unknown or unreachable", broker.uri);
    assert_string_equal(text, expected);
    struct bus_event event;
    assert_false(bus_event_take(bus, &event));
    assert_int_equal(publish_text(bus, CONTROL, "a", "waits"), ERR_OK);
    uint64_t before_us = clock_mono_us();
    bus_close(bus);
    assert_true(clock_mono_us() - before_us < 2000000u);
}

static void a_broker_may_come_later(void **state)
{
    (void)state;
    struct broker broker;
    broker_prepare(&broker, NULL);
    struct bus_config config = bus_test_config(&broker, "later");
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("reply"), 1, NULL), ERR_OK);
    /* Sent only once the subscription stands. */
    assert_int_equal(publish_text(bus, CONTROL, "reply", "at once"), ERR_OK);
    broker_start(&broker);
    event_wait(bus, BUS_SUBSCRIBED, CONTROL);
    event_wait(bus, BUS_CONNECTED, CONTROL);
    expect_text(bus, CONTROL, "reply", "at once");
    bus_close(bus);
    broker_remove(&broker);
}

static void a_restart_is_survived(void **state)
{
    (void)state;
    struct broker broker;
    char text[BUS_ERROR_BYTES];
    broker_prepare(&broker, NULL);
    broker_start(&broker);
    struct bus_config config = bus_test_config(&broker, "restart");
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("c/#"), 1, NULL), ERR_OK);
    assert_int_equal(bus_subscribe(bus, MEDIA, slice_str("m"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    broker_stop(&broker);
    event_wait(bus, BUS_LOST, MEDIA);
    bus_last_error(bus, text);
    assert_true(text[0] != '\0');
    assert_int_equal(publish_text(bus, CONTROL, "c/1", "first"), ERR_OK);
    assert_int_equal(publish_text(bus, CONTROL, "c/2", "second"), ERR_OK);
    assert_int_equal(publish_text(bus, MEDIA, "m", "part"), ERR_OK);
    broker_start(&broker);
    event_wait(bus, BUS_CONNECTED, MEDIA);
    expect_text(bus, CONTROL, "c/1", "first");
    expect_text(bus, CONTROL, "c/2", "second");
    expect_text(bus, MEDIA, "m", "part");
    assert_int_equal(bus_flush(bus, WAIT_MS), ERR_OK);
    assert_int_equal(bus_counters(bus, CONTROL).reconnects, 1);
    assert_int_equal(bus_counters(bus, MEDIA).reconnects, 2);
    bus_last_error(bus, text);
    assert_string_equal(text, "");
    bus_close(bus);
    broker_remove(&broker);
}

static void events_come_in_sequence(void **state)
{
    (void)state;
    static const enum bus_event_kind expected[] = {BUS_SUBSCRIBED, BUS_CONNECTED, BUS_LOST,
                                                   BUS_CONNECTED};
    struct broker broker;
    broker_prepare(&broker, NULL);
    broker_start(&broker);
    struct bus_config config = bus_test_config(&broker, "sequence");
    config.lanes_n = 1;
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("c"), 1, NULL), ERR_OK);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct bus_event event = event_next(bus);
        assert_int_equal(event.kind, expected[i]);
        assert_int_equal(event.lane, CONTROL);
        if (event.kind == BUS_CONNECTED && i + 1 < sizeof(expected) / sizeof(expected[0]))
            broker_stop(&broker);
        else if (event.kind == BUS_LOST)
            broker_start(&broker);
    }
    /* Lost and made again unseen: one LOST and one CONNECTED, in this order. */
    uint64_t reconnects = bus_counters(bus, CONTROL).reconnects;
    broker_stop(&broker);
    broker_start(&broker);
    COUNTER_WAIT(bus, CONTROL, reconnects, reconnects + 1);
    assert_int_equal(event_next(bus).kind, BUS_LOST);
    assert_int_equal(event_next(bus).kind, BUS_CONNECTED);
    bus_close(bus);
    broker_remove(&broker);
}

static uint32_t number_wait(struct bus *bus)
{
    uint32_t number;
    struct msg *msg = inbox_wait(bus, MEDIA);
    memcpy(&number, msg->payload.ptr, sizeof(number));
    msg_unref(msg);
    return number;
}

static void publish_numbers(struct bus *bus, uint32_t from, uint32_t to, size_t len)
{
    for (uint32_t i = from; i < to; i++) {
        uint8_t *bytes;
        struct msg *msg = msg_alloc(len, NULL, &bytes);
        memset(bytes, 0, len);
        memcpy(bytes, &i, sizeof(i));
        assert_int_equal(bus_publish(bus, MEDIA, slice_str("n"), msg, 1, false), ERR_OK);
        msg_unref(msg);
    }
}

/* What the broker held dies with it. What was not acknowledged comes again, at
 * most a window of it, and what follows is whole and in order. */
static void order_survives_a_restart_in_full_flight(void **state)
{
    (void)state;
    enum { BEFORE = 600, AFTER = 700, LEN = 20000 };
    struct broker broker;
    broker_prepare(&broker, NULL);
    broker_start(&broker);
    struct bus_config config = bus_test_config(&broker, "flight");
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, MEDIA, slice_str("n"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    publish_numbers(bus, 0, BEFORE, LEN);
    while (number_wait(bus) < 100)
        ;
    broker_stop(&broker);
    event_wait(bus, BUS_LOST, MEDIA);
    publish_numbers(bus, BEFORE, AFTER, LEN);
    broker_start(&broker);
    uint32_t last = 100;
    int steps_back = 0;
    while (last != AFTER - 1) {
        uint32_t number = number_wait(bus);
        if (number <= last) {
            steps_back++;
            assert_true(last - number < BUS_WINDOW);
        } else if (number != last + 1) {
            steps_back++; /* the broker took them into its grave */
        }
        last = number;
    }
    assert_true(steps_back <= 1);
    assert_int_equal(bus_flush(bus, WAIT_MS), ERR_OK);
    assert_true(bus_counters(bus, MEDIA).resent <= BUS_WINDOW);
    assert_int_equal(bus_counters(bus, MEDIA).send_failures, 0);
    bus_close(bus);
    broker_remove(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_absent_broker_is_named),
        cmocka_unit_test(a_broker_may_come_later),
        cmocka_unit_test(a_restart_is_survived),
        cmocka_unit_test(events_come_in_sequence),
        cmocka_unit_test(order_survives_a_restart_in_full_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
