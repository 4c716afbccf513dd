/* The outbox alone, with a clock of our own and no broker. */
#include "base/clock.h"
#include "bus/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { AGE_MAX_US = BUS_SEND_AGE_MAX_MS * 1000 };

static struct bus *bus;
static struct lane *lane;
static struct conn *conn;

static int setup(void **state)
{
    (void)state;
    struct bus_lane_config config = {
        .inbox_messages_max = 1, .outbox_bytes_max = 1000, .outbox_messages_max = 100};
    bus = calloc(1, sizeof(*bus));
    bus->events_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&bus->lock, NULL);
    pthread_cond_init(&bus->work, NULL);
    pthread_cond_init(&bus->emptied, NULL);
    bus->lanes_n = 1;
    lane = &bus->lanes[0];
    assert_int_equal(lane_init(lane, bus, 0, &config), ERR_OK);
    lane->conns_n = 1;
    lane->recv = lane->send = conn = &lane->conns[0];
    conn->lane = lane;
    conn->bus = bus;
    for (int i = 0; i < BUS_WINDOW; i++)
        conn->slots[i].conn = conn;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lane_release(lane);
    close(bus->events_fd);
    pthread_cond_destroy(&bus->work);
    pthread_cond_destroy(&bus->emptied);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
    return 0;
}

static void publish(int n)
{
    for (int i = 0; i < n; i++) {
        struct msg *msg = msg_new((struct slice){0}, slice_str("123456789"), NULL);
        assert_int_equal(bus_publish(bus, 0, slice_str("t"), msg, 1, false), ERR_OK);
        msg_unref(msg);
    }
}

/* As outbox_send_one does, with Paho left out: the oldest goes into slot i. */
static void move_under_way(int i)
{
    struct outgoing *item = lane->head;
    lane->head = item->next;
    if (!lane->head)
        lane->tail = &lane->head;
    item->next = NULL;
    conn->slots[i].item = item;
    conn->in_flight++;
}

static void expect_queue(uint64_t first_seq, size_t n)
{
    struct outgoing *item = lane->head;
    for (size_t i = 0; i < n; i++, item = item->next) {
        assert_non_null(item);
        assert_int_equal(item->seq, first_seq + i);
    }
    assert_null(item);
}

static void what_was_under_way_goes_back_in_order(void **state)
{
    (void)state;
    publish(6);
    move_under_way(3);
    move_under_way(15);
    move_under_way(0);
    expect_queue(3, 3);
    assert_null(outbox_requeue(lane));
    expect_queue(0, 6);
    assert_int_equal(conn->in_flight, 0);
    assert_int_equal(lane->counters.resent, 3);
    assert_int_equal(lane->outbox_messages, 6);
    publish(1); /* the tail is sound */
    expect_queue(0, 7);
}

static void all_of_them_go_back_into_an_empty_queue(void **state)
{
    (void)state;
    publish(2);
    move_under_way(1);
    move_under_way(0);
    assert_null(lane->head);
    assert_null(outbox_requeue(lane));
    publish(1);
    expect_queue(0, 3);
}

static void a_message_is_tried_a_limited_number_of_times(void **state)
{
    (void)state;
    publish(2);
    for (int tries = 1; tries < BUS_SEND_TRIES_MAX; tries++) {
        move_under_way(0);
        assert_null(outbox_requeue(lane));
    }
    expect_queue(0, 2);
    move_under_way(0);
    struct outgoing *given_up = outbox_requeue(lane);
    assert_non_null(given_up);
    assert_int_equal(given_up->seq, 0);
    assert_null(given_up->next);
    outgoing_free_list(given_up);
    expect_queue(1, 1);
    assert_int_equal(lane->counters.send_failures, 1);
    assert_int_equal(lane->outbox_messages, 1);
    assert_int_equal(lane->outbox_bytes, 10);
}

static void a_suspect_is_sent_alone(void **state)
{
    (void)state;
    publish(4);
    assert_false(outbox_can_send(lane));
    lane->up = true;
    assert_true(outbox_can_send(lane));
    lane->head->next->tries = 2;
    move_under_way(0);
    assert_false(outbox_can_send(lane)); /* it waits for its neighbour to arrive */
    outbox_send_done(&conn->slots[0].send, true);
    assert_true(outbox_can_send(lane));
    move_under_way(0);
    conn->alone = true;
    assert_false(outbox_can_send(lane));
    outbox_send_done(&conn->slots[0].send, true);
    assert_true(outbox_can_send(lane));
    assert_int_equal(lane->counters.sent, 2);
    assert_int_equal(lane->counters.sent_bytes, 18);
    /* A late answer for an empty place changes nothing. */
    outbox_send_done(&conn->slots[0].send, true);
    assert_int_equal(lane->outbox_messages, 2);
}

static void a_window_is_not_exceeded(void **state)
{
    (void)state;
    publish(BUS_WINDOW + 1);
    lane->up = true;
    for (int i = 0; i < BUS_WINDOW; i++) {
        assert_true(outbox_can_send(lane));
        move_under_way(i);
    }
    assert_false(outbox_can_send(lane));
}

static void one_thread_at_a_time_sends(void **state)
{
    (void)state;
    publish(2);
    lane->up = true;
    move_under_way(0);
    lane->sending = true;
    assert_false(outbox_can_send(lane));
    publish(1); /* goes behind */
    expect_queue(1, 2);
    conn->state = CONN_BROKEN;
    assert_false(conn_step(conn, 0)); /* the client is still needed */
    lane->sending = false;
    assert_true(outbox_can_send(lane));
}

static void a_message_waits_so_long_and_no_longer(void **state)
{
    (void)state;
    publish(2);
    uint64_t queued_us = lane->head->queued_us;
    lane->head->next->queued_us = queued_us + 5;
    assert_int_equal(outbox_age_deadline(lane), queued_us + AGE_MAX_US);
    assert_null(outbox_drop_aged(lane, queued_us + AGE_MAX_US - 1));
    struct outgoing *aged = outbox_drop_aged(lane, queued_us + AGE_MAX_US);
    assert_non_null(aged);
    assert_int_equal(aged->seq, 0);
    assert_null(aged->next);
    outgoing_free_list(aged);
    expect_queue(1, 1);
    assert_int_equal(lane->counters.dropped_age, 1);
    assert_int_equal(lane->outbox_messages, 1);
}

static void only_one_outage_counts(void **state)
{
    (void)state;
    publish(1);
    uint64_t queued_us = lane->head->queued_us;
    lane->down_us = queued_us + 1000;
    assert_int_equal(outbox_age_deadline(lane), queued_us + 1000 + AGE_MAX_US);
    lane->up = true; /* slow is not absent */
    assert_int_equal(outbox_age_deadline(lane), UINT64_MAX);
    assert_null(outbox_drop_aged(lane, UINT64_MAX - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_under_way_goes_back_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(all_of_them_go_back_into_an_empty_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_is_tried_a_limited_number_of_times, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_suspect_is_sent_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_window_is_not_exceeded, setup, teardown),
        cmocka_unit_test_setup_teardown(one_thread_at_a_time_sends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_waits_so_long_and_no_longer, setup, teardown),
        cmocka_unit_test_setup_teardown(only_one_outage_counts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
