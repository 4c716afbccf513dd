/* What a view and its list of revocations do as time passes; the broker's part is the test's. */
#include "base/check.h"
#include "base/clock.h"
#include "client/watch.h"
#include "tests/unit/client/zone_of_ours.h"
#include "wire/auth.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEP_US = 200 * 1000, INBOX_BYTES_MAX = 100 * 1000, SAID_BYTES = 1024 };

struct fixture {
    struct ours ours;
    struct session session; /* of a broker that is not there */
    struct view view;
    char home[OURS_PATH_BYTES];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct bus_config config = {.broker = "127.0.0.1:1",
                                .client_id = "viewer",
                                .lanes = {{.name = "",
                                           .inbox_bytes_max = INBOX_BYTES_MAX,
                                           .inbox_messages_max = 10,
                                           .outbox_bytes_max = INBOX_BYTES_MAX,
                                           .outbox_messages_max = 10}},
                                .lanes_n = 1};
    ours_init(&f->ours, false);
    folder_make(f->home);
    assert_int_equal(bus_open(&config, &f->session.bus), ERR_OK);
    assert_int_equal(id_parse(slice_str("viewer"), &f->session.id), ERR_OK);
    struct view *v = &f->view;
    v->session = &f->session;
    v->zone = f->ours.zone;
    assert_int_equal(id_parse(slice_str("e1"), &v->edge_id), ERR_OK);
    assert_int_equal(id_parse(slice_str("v1"), &v->order.video_id), ERR_OK);
    assert_int_equal(identity_open(&v->identity), ERR_OK);
    v->order.json = true;
    v->follow = (struct follow){.session = &f->session, .identity = &v->identity, .zone = &v->zone};
    f->session.listener = (struct session_listener){.take = follow_take, .context = &v->follow};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    revocation_list_release(&f->view.follow.list);
    session_close(&f->session);
    folder_remove(f->home);
    ours_release(&f->ours);
    free(f);
    return 0;
}

static void arrives(struct fixture *f, enum topic_kind kind, struct slice payload)
{
    char buf[TOPIC_BUF_BYTES];
    struct slice none = {0};
    struct slice topic =
        topic_print(kind, none, id_slice(&f->view.edge_id), id_slice(&f->session.id), buf);
    struct msg *msg = msg_new(topic, payload, NULL);
    assert_int_equal(queue_push(bus_inbox(f->session.bus, 0), msg), ERR_OK);
}

static void list_arrives(struct fixture *f)
{
    CLEANUP(arena_release) struct arena arena = {0};
    ours_revoke(&f->ours, 1, clock_utc_us(), NULL, 0);
    struct revocations_message message = {.revocations = bytes_of(&f->ours.revocations)};
    arrives(f, TOPIC_AUTH_REVOCATIONS, revocations_message_encode(&message, &arena));
}

static void test_a_list_that_comes_at_the_last_moment_counts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(follow_wait(&f->view.follow, false, 0), ERR_TIMEOUT);
    list_arrives(f);
    assert_int_equal(follow_wait(&f->view.follow, false, 0), ERR_OK);
    assert_int_equal(follow_wait(&f->view.follow, true, 0), ERR_OK);
}

static void *part_arrives_once_it_lapsed(void *context)
{
    const struct fixture *f = context;
    while (revocation_list_fresh(&f->view.follow.list, clock_utc_us()))
        poll(NULL, 0, 5);
    arrives(context, TOPIC_WATCH_REPLY, slice_str("no part at all"));
    return NULL;
}

/* The list is fresh when the wait begins, and is not any more when a part comes. */
static void test_no_part_is_taken_after_the_list_lapsed(void **state)
{
    struct fixture *f = *state;
    pthread_t edge;
    uint64_t now_us = clock_utc_us();
    ours_revoke(&f->ours, 1, now_us - REVOCATIONS_FRESH_S * 1000000ull + STEP_US, NULL, 0);
    assert_int_equal(revocation_list_take(&f->view.follow.list, &f->view.zone,
                                          bytes_of(&f->ours.revocations), now_us),
                     ERR_OK);
    f->view.order.require_list = true;
    f->session.timeout_us = 10 * 1000 * 1000;
    assert_int_equal(pthread_create(&edge, NULL, part_arrives_once_it_lapsed, f), 0);
    assert_int_equal(watch_stored(&f->view), STATUS_NO_LIST);
    assert_int_equal(f->view.rejected, 0); /* it was not even looked at */
    assert_int_equal(pthread_join(edge, NULL), 0);
}

static void test_a_missing_list_is_noted_once(void **state)
{
    struct fixture *f = *state;
    view_note(&f->view); /* with --json, and no terminal: nothing to say */
    assert_true(f->view.noted);
}

/* What follow_note says on standard error. */
static void note(const char *path, const char *else_do, char ret[static SAID_BYTES])
{
    struct revocation_list none = {0};
    int before = dup(STDERR_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(before >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    follow_note(&none, false, else_do);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    ssize_t n = pread(fd, ret, SAID_BYTES - 1, 0);
    assert_true(n > 0);
    ret[n] = '\0';
    close(before);
    close(fd);
}

static void test_nobody_is_advised_what_his_command_has_not(void **state)
{
    struct fixture *f = *state;
    char said[SAID_BYTES], path[OURS_PATH_BYTES + 16];
    snprintf(path, sizeof(path), "%s/said", f->home);
    note(path, "", said);
    assert_non_null(strstr(said, "note: no list of revocations"));
    assert_null(strstr(said, "--"));
    note(path, "; --or-else", said);
    assert_non_null(strstr(said, "; --or-else\n"));
}

#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(test_a_list_that_comes_at_the_last_moment_counts),
        IN_HOME(test_no_part_is_taken_after_the_list_lapsed),
        IN_HOME(test_a_missing_list_is_noted_once),
        IN_HOME(test_nobody_is_advised_what_his_command_has_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
