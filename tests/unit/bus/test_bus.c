/* The bus against a broker that stays up. */
#include "broker.h"

#include <pthread.h>
#include <sched.h>

static struct broker broker;

static int start(void **state)
{
    (void)state;
    broker_prepare(&broker, "max_packet_size 10500000\n");
    broker_start(&broker);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    broker_remove(&broker);
    return 0;
}

static void messages_go_round_on_every_lane(void **state)
{
    (void)state;
    struct bus_config config = bus_test_config(&broker, "round");
    struct bus *bus = bus_test_open(&config);
    char text[BUS_ERROR_BYTES];
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("c/+"), 1, NULL), ERR_OK);
    assert_int_equal(bus_subscribe(bus, MEDIA, slice_str("m/#"), 0, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    assert_int_equal(publish_text(bus, CONTROL, "c/1", "ping"), ERR_OK);
    expect_text(bus, CONTROL, "c/1", "ping");
    assert_int_equal(publish_text(bus, MEDIA, "m/a/b", "part"), ERR_OK);
    expect_text(bus, MEDIA, "m/a/b", "part");
    assert_int_equal(publish_text(bus, MEDIA, "c/2", ""), ERR_OK);
    expect_text(bus, CONTROL, "c/2", "");
    assert_int_equal(bus_flush(bus, WAIT_MS), ERR_OK);
    struct bus_counters media = bus_counters(bus, MEDIA);
    assert_int_equal(media.sent, 2);
    assert_int_equal(media.sent_bytes, 4);
    assert_int_equal(media.outbox_bytes, 0);
    COUNTER_WAIT(bus, MEDIA, received, 1);
    COUNTER_WAIT(bus, CONTROL, received_bytes, 4);
    bus_last_error(bus, text);
    assert_string_equal(text, "");
    bus_close(bus);
}

static void a_configuration_is_checked(void **state)
{
    (void)state;
    struct bus *bus = NULL;
    struct bus_config config = bus_test_config(&broker, "not/an/id");
    assert_int_equal(bus_open(&config, &bus), ERR_FORMAT);
    config = bus_test_config(&broker, "ok");
    config.broker = "gopher://x";
    assert_int_equal(bus_open(&config, &bus), ERR_FORMAT);
    config = bus_test_config(&broker, "ok");
    config.broker = NULL;
    assert_int_equal(bus_open(&config, &bus), ERR_FORMAT);
    config = bus_test_config(&broker, "ok");
    config.lanes[MEDIA].name = "a b";
    assert_int_equal(bus_open(&config, &bus), ERR_FORMAT);
    config = bus_test_config(&broker, "ok");
    config.will_topic = slice_str("#");
    assert_int_equal(bus_open(&config, &bus), ERR_FORMAT);
    assert_null(bus);
}

/* Number i as four bytes, at the front of len bytes. */
static struct msg *numbered(uint32_t i, size_t len)
{
    uint8_t *bytes;
    struct msg *msg = msg_alloc(len, NULL, &bytes);
    memset(bytes, (int)(i & 0xff), len);
    memcpy(bytes, &i, sizeof(i));
    return msg;
}

static void expect_numbered(struct bus *bus, int lane, uint32_t i, size_t len)
{
    uint32_t got;
    struct msg *msg = inbox_wait(bus, lane);
    assert_int_equal(msg->payload.len, len);
    memcpy(&got, msg->payload.ptr, sizeof(got));
    assert_int_equal(got, i);
    assert_int_equal(msg->payload.ptr[len - 1], i & 0xff);
    msg_unref(msg);
}

static void publish_numbered(struct bus *bus, uint32_t i, size_t len)
{
    struct msg *msg = numbered(i, len);
    enum err err;
    while ((err = bus_publish(bus, MEDIA, slice_str("n"), msg, 1, false)) == ERR_LIMIT)
        event_wait(bus, BUS_DRAINED, MEDIA);
    assert_int_equal(err, ERR_OK);
    msg_unref(msg);
}

static void order_is_kept(void **state)
{
    (void)state;
    enum { MESSAGES = 10000, SMALL = 8 };
    struct bus_config config = bus_test_config(&broker, "order");
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, MEDIA, slice_str("n"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    for (uint32_t i = 0; i < MESSAGES; i++)
        publish_numbered(bus, i, SMALL);
    for (uint32_t i = 0; i < MESSAGES; i++)
        expect_numbered(bus, MEDIA, i, SMALL);
    assert_int_equal(bus_counters(bus, MEDIA).dropped_inbox, 0);
    bus_close(bus);
}

enum { PUBLISHERS = 4, EACH = 500 };

struct publisher {
    struct bus *bus;
    uint32_t first;
};

static void *publish_each(void *arg)
{
    struct publisher *p = arg;
    for (uint32_t i = p->first; i < p->first + EACH; i++) {
        struct msg *msg = numbered(i, 2000);
        while (bus_publish(p->bus, MEDIA, slice_str("n"), msg, 1, false) != ERR_OK)
            sched_yield();
        msg_unref(msg);
    }
    return NULL;
}

/* Publishers send themselves while there is room: each in its order, and nothing twice. */
static void publishers_do_not_overtake_themselves(void **state)
{
    (void)state;
    pthread_t threads[PUBLISHERS];
    struct publisher publishers[PUBLISHERS];
    uint32_t seen[PUBLISHERS] = {0};
    struct bus_config config = bus_test_config(&broker, "publishers");
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, MEDIA, slice_str("n"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    for (uint32_t i = 0; i < PUBLISHERS; i++) {
        publishers[i] = (struct publisher){.bus = bus, .first = i * EACH};
        assert_int_equal(pthread_create(&threads[i], NULL, publish_each, &publishers[i]), 0);
    }
    for (int i = 0; i < PUBLISHERS * EACH; i++) {
        uint32_t got;
        struct msg *msg = inbox_wait(bus, MEDIA);
        memcpy(&got, msg->payload.ptr, sizeof(got));
        assert_int_equal(got % EACH, seen[got / EACH]++);
        msg_unref(msg);
    }
    for (int i = 0; i < PUBLISHERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(bus_flush(bus, WAIT_MS), ERR_OK);
    bus_close(bus);
}

static void parts_of_60_kib_pass_whole(void **state)
{
    (void)state;
    enum { PARTS = 300, PART = 61440 };
    struct bus_config config = bus_test_config(&broker, "parts");
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, MEDIA, slice_str("n"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    for (uint32_t i = 0; i < PARTS; i++)
        publish_numbered(bus, i, PART);
    for (uint32_t i = 0; i < PARTS; i++)
        expect_numbered(bus, MEDIA, i, PART);
    COUNTER_WAIT(bus, MEDIA, received_bytes, (uint64_t)PARTS * PART);
    assert_int_equal(bus_counters(bus, MEDIA).inbox_alive_bytes, 0);
    bus_close(bus);
}

static void a_full_inbox_drops_and_counts(void **state)
{
    (void)state;
    enum { FIT = 10, SENT = 25, LEN = 1000 };
    struct bus_config config = bus_test_config(&broker, "full");
    config.lanes[MEDIA].inbox_bytes_max = FIT * (LEN + 1 + BUS_MESSAGE_OVERHEAD_BYTES);
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, MEDIA, slice_str("n"), 1, NULL), ERR_OK);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("c"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    for (uint32_t i = 0; i < SENT; i++)
        publish_numbered(bus, i, LEN);
    COUNTER_WAIT(bus, MEDIA, dropped_inbox, SENT - FIT);
    assert_int_equal(bus_counters(bus, MEDIA).inbox_alive_bytes,
                     config.lanes[MEDIA].inbox_bytes_max);
    assert_int_equal(publish_text(bus, CONTROL, "c", "still"), ERR_OK);
    expect_text(bus, CONTROL, "c", "still");
    /* A message that was taken counts until it is released. */
    struct msg *held = inbox_wait(bus, MEDIA);
    publish_numbered(bus, 100, LEN);
    COUNTER_WAIT(bus, MEDIA, dropped_inbox, SENT - FIT + 1);
    msg_unref(held);
    publish_numbered(bus, 101, LEN);
    for (uint32_t i = 1; i < FIT; i++)
        expect_numbered(bus, MEDIA, i, LEN);
    expect_numbered(bus, MEDIA, 101, LEN);
    bus_close(bus);
}

static void an_inbox_counts_messages_too(void **state)
{
    (void)state;
    struct bus_config config = bus_test_config(&broker, "count");
    config.lanes[MEDIA].inbox_messages_max = 3;
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, MEDIA, slice_str("n"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    for (uint32_t i = 0; i < 5; i++)
        publish_numbered(bus, i, 8);
    COUNTER_WAIT(bus, MEDIA, dropped_inbox, 2);
    for (uint32_t i = 0; i < 3; i++)
        expect_numbered(bus, MEDIA, i, 8);
    bus_close(bus);
}

static void write_whole(int fd, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len) {
        ssize_t n = write(fd, at, len);
        assert_true(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

/* A stranger's PUBLISH on topic "n" at QoS 0, without the bus: it sends no such thing in a hurry.
 */
static void stranger_publishes(size_t len)
{
    static const uint8_t connect_packet[] = {0x10, 14, 0, 4,  'M', 'Q', 'T', 'T',
                                             4,    2,  0, 60, 0,   2,   's', 't'};
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(broker.port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint8_t answer[4], head[8] = {0x30}, *payload = calloc(1, len);
    size_t head_len = 1, rest = len + 3;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    write_whole(fd, connect_packet, sizeof(connect_packet));
    assert_int_equal(recv(fd, answer, sizeof(answer), MSG_WAITALL), sizeof(answer));
    for (; rest >= 0x80; rest >>= 7)
        head[head_len++] = (uint8_t)(rest | 0x80);
    head[head_len++] = (uint8_t)rest;
    memcpy(head + head_len, "\0\1n", 3);
    write_whole(fd, head, head_len + 3);
    write_whole(fd, payload, len);
    free(payload);
    close(fd);
}

static void ten_megabytes_are_dropped(void **state)
{
    (void)state;
    struct bus_config config = bus_test_config(&broker, "large");
    config.lanes[MEDIA].inbox_bytes_max = 1u << 20;
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, MEDIA, slice_str("n"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    stranger_publishes(10u << 20);
    COUNTER_WAIT(bus, MEDIA, dropped_inbox, 1);
    publish_numbered(bus, 2, 100);
    expect_numbered(bus, MEDIA, 2, 100);
    assert_int_equal(bus_counters(bus, MEDIA).reconnects, 0);
    bus_close(bus);
}

static void messages_outlive_the_bus(void **state)
{
    (void)state;
    struct bus_config config = bus_test_config(&broker, "outlive");
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("c"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    publish_text(bus, CONTROL, "c", "taken");
    publish_text(bus, CONTROL, "c", "left in the inbox");
    struct msg *taken = inbox_wait(bus, CONTROL);
    assert_true(fd_wait(queue_fd(bus_inbox(bus, CONTROL)), WAIT_MS));
    bus_close(bus);
    assert_true(slice_eq_str(taken->payload, "taken"));
    assert_true(slice_eq_str(taken->topic, "c"));
    msg_unref(taken);
}

static void filters_are_answered_and_forgotten(void **state)
{
    (void)state;
    int first, second, again;
    struct bus_config config = bus_test_config(&broker, "filters");
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("f/1"), 1, &first), ERR_OK);
    assert_int_equal(event_wait(bus, BUS_SUBSCRIBED, CONTROL).filter, first);
    event_wait(bus, BUS_CONNECTED, CONTROL);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("f/2"), 1, &second), ERR_OK);
    assert_int_not_equal(first, second);
    assert_int_equal(event_wait(bus, BUS_SUBSCRIBED, CONTROL).filter, second);
    publish_text(bus, CONTROL, "f/2", "heard");
    expect_text(bus, CONTROL, "f/2", "heard");
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("f/2"), 0, &again), ERR_OK);
    assert_int_equal(again, second);
    assert_int_equal(event_wait(bus, BUS_SUBSCRIBED, CONTROL).filter, second);
    assert_int_equal(bus_unsubscribe(bus, CONTROL, slice_str("f/2")), ERR_OK);
    assert_int_equal(bus_unsubscribe(bus, CONTROL, slice_str("f/2")), ERR_UNKNOWN);
    /* What follows an UNSUBSCRIBE on the same connection is answered after it. */
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("f/3"), 1, &again), ERR_OK);
    assert_int_equal(event_wait(bus, BUS_SUBSCRIBED, CONTROL).filter, again);
    publish_text(bus, CONTROL, "f/2", "unheard");
    publish_text(bus, CONTROL, "f/1", "heard");
    expect_text(bus, CONTROL, "f/1", "heard");
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("a#"), 1, NULL), ERR_FORMAT);
    bus_close(bus);
}

static void filters_have_a_limit(void **state)
{
    (void)state;
    char filter[32];
    struct bus_config config = bus_test_config(&broker, "many");
    struct bus *bus = bus_test_open(&config);
    for (int i = 0; i < BUS_FILTERS_MAX; i++) {
        snprintf(filter, sizeof(filter), "many/%d", i);
        assert_int_equal(bus_subscribe(bus, CONTROL, slice_str(filter), 1, NULL), ERR_OK);
    }
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("more"), 1, NULL), ERR_LIMIT);
    bus_wait_connected(bus, 2);
    publish_text(bus, CONTROL, filter, "last");
    expect_text(bus, CONTROL, filter, "last");
    assert_int_equal(bus_unsubscribe(bus, CONTROL, slice_str("many/7")), ERR_OK);
    COUNTER_WAIT(bus, CONTROL, sent, 1);
    int number = -1;
    while (bus_subscribe(bus, CONTROL, slice_str("more"), 1, &number) == ERR_LIMIT)
        poll(NULL, 0, 1); /* until UNSUBSCRIBE has left */
    assert_int_equal(number, 7);
    bus_close(bus);
}

static void a_full_outbox_refuses_and_says_when_it_drained(void **state)
{
    (void)state;
    struct broker nobody = broker;
    snprintf(nobody.uri, sizeof(nobody.uri), "127.0.0.1:%u", (unsigned)broker_free_port());
    struct bus_config config = bus_test_config(&nobody, "outbox");
    config.lanes[CONTROL].outbox_bytes_max = 100;
    config.lanes[MEDIA].outbox_messages_max = 2;
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_outbox_free_bytes(bus, CONTROL), 100);
    struct msg *msg = numbered(1, 98);
    assert_int_equal(bus_publish(bus, CONTROL, slice_str("abc"), msg, 1, false), ERR_LIMIT);
    assert_int_equal(bus_publish(bus, CONTROL, slice_str("ab"), msg, 1, false), ERR_OK);
    assert_int_equal(bus_outbox_free_bytes(bus, CONTROL), 0);
    assert_int_equal(publish_text(bus, CONTROL, "a", ""), ERR_LIMIT);
    assert_int_equal(publish_text(bus, MEDIA, "a", ""), ERR_OK);
    assert_int_equal(publish_text(bus, MEDIA, "a", ""), ERR_OK);
    assert_int_equal(publish_text(bus, MEDIA, "a", ""), ERR_LIMIT);
    assert_int_equal(bus_outbox_free_bytes(bus, MEDIA), 0);
    assert_int_equal(bus_counters(bus, CONTROL).dropped_outbox, 2);
    assert_int_equal(bus_counters(bus, MEDIA).dropped_outbox, 1);
    assert_int_equal(bus_publish(bus, CONTROL, slice_str("a/+"), msg, 1, false), ERR_FORMAT);
    assert_int_equal(bus_flush(bus, 20), ERR_TIMEOUT);
    msg_unref(msg);
    bus_close(bus);
}

static void a_drained_outbox_is_told(void **state)
{
    (void)state;
    struct bus_config config = bus_test_config(&broker, "drained");
    config.lanes[CONTROL].outbox_bytes_max = 1000;
    struct bus *bus = bus_test_open(&config);
    struct msg *msg = numbered(1, 600);
    assert_int_equal(bus_publish(bus, CONTROL, slice_str("a"), msg, 1, false), ERR_OK);
    event_wait(bus, BUS_DRAINED, CONTROL);
    assert_int_equal(bus_outbox_free_bytes(bus, CONTROL), 1000);
    msg_unref(msg);
    bus_close(bus);
}

static void a_retained_message_stays(void **state)
{
    (void)state;
    struct bus_config config = bus_test_config(&broker, "retained");
    struct bus *bus = bus_test_open(&config);
    struct msg *msg = msg_new((struct slice){0}, slice_str("kept"), NULL);
    assert_int_equal(bus_publish(bus, CONTROL, slice_str("r"), msg, 0, true), ERR_OK);
    assert_int_equal(bus_publish(bus, CONTROL, slice_str("r2"), msg, 1, true), ERR_OK);
    msg_unref(msg);
    assert_int_equal(bus_flush(bus, WAIT_MS), ERR_OK);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("r"), 1, NULL), ERR_OK);
    expect_text(bus, CONTROL, "r", "kept");
    bus_close(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_round_on_every_lane),
        cmocka_unit_test(a_configuration_is_checked),
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(publishers_do_not_overtake_themselves),
        cmocka_unit_test(parts_of_60_kib_pass_whole),
        cmocka_unit_test(a_full_inbox_drops_and_counts),
        cmocka_unit_test(an_inbox_counts_messages_too),
        cmocka_unit_test(ten_megabytes_are_dropped),
        cmocka_unit_test(messages_outlive_the_bus),
        cmocka_unit_test(filters_are_answered_and_forgotten),
        cmocka_unit_test(filters_have_a_limit),
        cmocka_unit_test(a_full_outbox_refuses_and_says_when_it_drained),
        cmocka_unit_test(a_drained_outbox_is_told),
        cmocka_unit_test(a_retained_message_stays),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
