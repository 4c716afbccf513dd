/* Another login while it runs: who we are to the broker, and what happens when it says no. */
#include "broker.h"

static struct broker broker;
static char passwords[160], access_list[160];

static void run(const char *const argv[])
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Everybody may read and write what has his user name for its last level. */
static int start(void **state)
{
    (void)state;
    char extra[400];
    broker_prepare(&broker, NULL);
    snprintf(passwords, sizeof(passwords), "%s/passwords", broker.folder);
    snprintf(access_list, sizeof(access_list), "%s/acl", broker.folder);
    run((const char *const[]){"mosquitto_passwd", "-c", "-b", passwords, "lea", "a good one",
                              NULL});
    run((const char *const[]){"mosquitto_passwd", "-b", passwords, "noe", "another", NULL});
    FILE *f = fopen(access_list, "w");
    assert_non_null(f);
    fputs("topic readwrite free\npattern readwrite own/%u\n", f);
    fclose(f);
    snprintf(extra, sizeof(extra), "password_file %s\nacl_file %s\n", passwords, access_list);
    f = fopen(broker.conf, "a");
    assert_non_null(f);
    fputs(extra, f);
    fclose(f);
    broker_start(&broker);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    unlink(passwords);
    unlink(access_list);
    broker_remove(&broker);
    return 0;
}

static struct bus *open_as(const char *id, const char *user, const char *password)
{
    struct bus_config config = bus_test_config(&broker, id);
    config.user = user;
    config.password = password;
    return bus_test_open(&config);
}

static void subscribe_own(struct bus *bus)
{
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("own/+"), 1, NULL), ERR_OK);
}

static void a_login_takes_the_place_of_another(void **state)
{
    (void)state;
    struct bus *bus = open_as("login", "lea", "a good one");
    subscribe_own(bus);
    bus_wait_connected(bus, 2);
    publish_text(bus, CONTROL, "own/noe", "lea to noe");
    publish_text(bus, CONTROL, "own/lea", "lea to herself");
    expect_text(bus, CONTROL, "own/lea", "lea to herself");
    bus_set_login(bus, "noe", "another");
    event_wait(bus, BUS_LOST, CONTROL);
    event_wait(bus, BUS_CONNECTED, CONTROL);
    publish_text(bus, CONTROL, "own/lea", "noe to lea");
    publish_text(bus, CONTROL, "own/noe", "noe to himself");
    expect_text(bus, CONTROL, "own/noe", "noe to himself");
    bus_close(bus);
}

static void what_was_queued_is_sent_after_it(void **state)
{
    (void)state;
    struct bus *bus = open_as("queued", NULL, NULL);
    subscribe_own(bus);
    bus_wait_connected(bus, 2);
    bus_set_login(bus, "lea", "a good one");
    publish_text(bus, CONTROL, "own/lea", "patient");
    expect_text(bus, CONTROL, "own/lea", "patient");
    assert_int_equal(bus_flush(bus, WAIT_MS), ERR_OK);
    bus_close(bus);
}

/* Five connections are refused, and refused again: one event for each login. */
static void a_refusal_is_told_once_for_each_login(void **state)
{
    (void)state;
    char text[BUS_ERROR_BYTES];
    struct bus *bus = open_as("denied", "lea", "a wrong one");
    struct bus_event event = event_next(bus);
    assert_int_equal(event.kind, BUS_DENIED);
    assert_int_equal(event.filter, -1);
    bus_last_error(bus, text);
    assert_non_null(strstr(text, "not authorised"));
    assert_false(fd_wait(bus_events_fd(bus), 4 * BUS_RETRY_FIRST_MS));
    bus_set_login(bus, "nobody", "whatever");
    assert_int_equal(event_next(bus).kind, BUS_DENIED);
    bus_set_login(bus, NULL, NULL);
    bus_wait_connected(bus, 2);
    bus_close(bus);
}

static void the_last_of_several_counts(void **state)
{
    (void)state;
    struct bus *bus = open_as("several", NULL, NULL);
    subscribe_own(bus);
    for (int i = 0; i < 20; i++)
        bus_set_login(bus, i % 2 ? "lea" : "noe", "not it");
    bus_set_login(bus, "noe", "another");
    publish_text(bus, CONTROL, "own/noe", "at last");
    expect_text(bus, CONTROL, "own/noe", "at last");
    bus_set_login(bus, "lea", "not it");
    bus_close(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_takes_the_place_of_another),
        cmocka_unit_test(what_was_queued_is_sent_after_it),
        cmocka_unit_test(a_refusal_is_told_once_for_each_login),
        cmocka_unit_test(the_last_of_several_counts),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
