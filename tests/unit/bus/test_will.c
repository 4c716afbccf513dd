/* The last will: published for a process that dies, not for one that leaves. */
#include "broker.h"

struct mortal {
    pid_t pid;
    int told; /* it writes here when it is connected */
    int tell; /* write here to make it leave */
};

static _Noreturn void live(const struct broker *broker, const char *id, int told, int tell)
{
    char topic[64], byte;
    struct bus *bus = NULL;
    struct bus_event event;
    struct bus_config config = bus_test_config(broker, id);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(topic, sizeof(topic), "edge/status/%s", id);
    config.will_topic = slice_str(topic);
    config.will_payload = slice_str("offline");
    if (bus_open(&config, &bus) != ERR_OK)
        _exit(1);
    do {
        if (!fd_wait(bus_events_fd(bus), WAIT_MS) || !bus_event_take(bus, &event))
            _exit(2);
    } while (event.kind != BUS_CONNECTED || event.lane != CONTROL);
    if (write(told, "x", 1) != 1 || read(tell, &byte, 1) != 1)
        _exit(3);
    bus_close(bus);
    _exit(0);
}

/* A process that connects with a will. Call before this one has threads: Paho survives no fork. */
static struct mortal mortal_start(const struct broker *broker, const char *id)
{
    int told[2], tell[2];
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
    struct mortal mortal = {.pid = fork(), .told = told[0], .tell = tell[1]};
    assert_true(mortal.pid >= 0);
    if (mortal.pid == 0)
        live(broker, id, told[1], tell[0]);
    close(told[1]);
    close(tell[0]);
    char byte;
    assert_int_equal(read(mortal.told, &byte, 1), 1);
    return mortal;
}

static int mortal_end(struct mortal *mortal)
{
    int status;
    assert_int_equal(waitpid(mortal->pid, &status, 0), mortal->pid);
    close(mortal->told);
    close(mortal->tell);
    return status;
}

static void a_will_is_for_the_dead_alone(void **state)
{
    (void)state;
    struct broker broker;
    broker_prepare(&broker, NULL);
    broker_start(&broker);
    struct mortal dying = mortal_start(&broker, "dying");
    struct mortal leaving = mortal_start(&broker, "leaving");
    struct bus_config config = bus_test_config(&broker, "witness");
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("#"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    kill(dying.pid, SIGKILL);
    mortal_end(&dying);
    expect_text(bus, CONTROL, "edge/status/dying", "offline");
    assert_int_equal(write(leaving.tell, "x", 1), 1);
    assert_int_equal(mortal_end(&leaving), 0);
    /* Its will would have been published when its connection ended: before this. */
    publish_text(bus, CONTROL, "after", "nothing before");
    expect_text(bus, CONTROL, "after", "nothing before");
    bus_close(bus);
    broker_remove(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_will_is_for_the_dead_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
