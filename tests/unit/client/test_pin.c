/* The pin of the zone, while several commands of one home follow its keys. */
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "client/follow.h"
#include "client/zone.h"
#include "tests/unit/client/zone_of_ours.h"
#include "wire/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { EPOCHS = 3, ROUNDS = 60 };

struct fixture {
    struct ours ours;
    struct identity identity;
    struct signed_bytes of_epoch[EPOCHS + 1]; /* the zone's parameters in each epoch, from 1 */
    char home[OURS_PATH_BYTES];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    ours_move_in(&f->ours, &f->identity, f->home);
    for (uint32_t epoch = 1; epoch <= EPOCHS; epoch++) {
        f->of_epoch[epoch] = f->ours.zone_bytes;
        if (epoch < EPOCHS)
            ours_rotate(&f->ours);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ours_move_out(&f->ours, f->home);
    free(f);
    return 0;
}

/* The epoch that is pinned; 0: the file is damaged or missing. */
static uint32_t pinned_epoch(const struct fixture *f)
{
    struct zone_params params;
    return zone_pinned(&f->identity, &params) == ERR_OK ? params.key_epoch : 0;
}

static struct zone_params params_of(const struct signed_bytes *bytes)
{
    struct zone_params params;
    assert_int_equal(zone_open(bytes_of(bytes), &params), ERR_OK);
    return params;
}

/* Pins an epoch's parameters; which epoch is to be trusted then. */
static uint32_t pin(const struct fixture *f, uint32_t epoch)
{
    struct zone_params now = {0};
    enum err err = zone_pin(&f->identity, bytes_of(&f->of_epoch[epoch]), &now);
    return err == ERR_OK ? now.key_epoch : 0;
}

/* What a thief of the first key makes of it: another second epoch. */
static struct signed_bytes forked(const struct fixture *f)
{
    struct ours thief = f->ours;
    uint8_t seed[KEY_BYTES] = {1}, buf[OBJECT_BYTES_MAX];
    struct writer body = writer_of(buf, sizeof(buf));
    struct signkey first;
    struct signed_bytes ret;
    struct writer w = writer_of(ret.b, sizeof(ret.b));
    signkey_from_seed(seed, &first);
    thief.zone = params_of(&f->of_epoch[1]);
    thief.zone_key = first;
    seed[0] = 200;
    signkey_from_seed(seed, &thief.edge_key);
    struct zone_link *link = &thief.zone.links[thief.zone.links_n++];
    *link = (struct zone_link){
        .old_epoch = 1, .old_pk = first.pk, .new_epoch = 2, .new_pk = thief.edge_key.pk};
    zone_link_body(&thief.zone.zone_id, link, &body);
    link->sig = object_sign(OBJECT_ZONE_LINK, slice_of(buf, body.len), &first);
    thief.zone.sign_pk = thief.edge_key.pk;
    thief.zone.key_epoch = 2;
    body = writer_of(buf, sizeof(buf));
    zone_params_encode(&thief.zone, &body);
    signed_append(&w, OBJECT_ZONE, slice_of(buf, body.len), &thief.edge_key);
    ret.len = w.len;
    return ret;
}

static void test_two_commands_at_once(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(identity_write(&f->identity, "zone", bytes_of(&f->of_epoch[1])), ERR_OK);
        pid_t other = fork();
        assert_true(other >= 0);
        if (other == 0)
            _exit(pin(f, 2) >= 2 ? 0 : 1);
        assert_int_equal(pin(f, 3), 3);
        int status;
        assert_int_equal(waitpid(other, &status, 0), other);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(pinned_epoch(f), 3);
    }
}

static void test_pin_never_goes_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pin(f, 1), 1);
    assert_int_equal(pin(f, 3), 3);
    assert_int_equal(pin(f, 1), 3); /* and who comes with less is told */
    assert_int_equal(pin(f, 2), 3);
    assert_int_equal(pinned_epoch(f), 3);
}

static void test_pin_of_another_way_on_stays(void **state)
{
    struct fixture *f = *state;
    struct signed_bytes fork_of_2 = forked(f);
    struct zone_params params = params_of(&f->of_epoch[1]), stolen = params_of(&fork_of_2), ret;
    assert_int_equal(zone_accept(&params, &stolen), ERR_OK);
    assert_int_equal(pin(f, 2), 2);
    assert_int_equal(zone_pin(&f->identity, bytes_of(&fork_of_2), &ret), ERR_UNAUTHORIZED);
    assert_int_equal(pin(f, 1), 2);
    assert_int_equal(pinned_epoch(f), 2);
}

static void test_damaged_pin_is_not_replaced(void **state)
{
    struct fixture *f = *state;
    char path[IDENTITY_PATH_BYTES_MAX];
    identity_path(&f->identity, "zone", path);
    assert_int_equal(file_write(path, slice_str("not base64!")), ERR_OK);
    assert_int_equal(pin(f, 2), 0);
    assert_int_equal(pinned_epoch(f), 0);
}

/* ------------------------------------------------------------------ a command that goes on */

/* A command that began in the first epoch; nothing is sent: the session has no broker. */
struct command_of_then {
    struct session session;
    struct zone_params zone;
    struct follow follow;
};

static void begin(struct fixture *f, struct command_of_then *c)
{
    assert_int_equal(pin(f, 1), 1);
    *c = (struct command_of_then){.zone = params_of(&f->of_epoch[1])};
    c->follow = (struct follow){.session = &c->session, .identity = &f->identity, .zone = &c->zone};
    c->follow.asked_us = clock_mono_us();
}

static enum heard offer(struct command_of_then *c, const struct signed_bytes *zone)
{
    CLEANUP(arena_release) struct arena arena = {0};
    const struct topic topic = {.kind = TOPIC_AUTH_PARAMS_REPLY};
    struct params_reply reply = {.params = bytes_of(zone)};
    return follow_take(&c->follow, &topic, params_reply_encode(&reply, &arena));
}

static void test_command_follows(void **state)
{
    struct fixture *f = *state;
    struct command_of_then c;
    begin(f, &c);
    assert_int_equal(offer(&c, &f->of_epoch[1]), HEARD);
    assert_int_equal(offer(&c, &f->of_epoch[2]), HEARD_NEWS);
    assert_int_equal(c.zone.key_epoch, 2);
    assert_int_equal(pinned_epoch(f), 2);
    assert_int_equal(offer(&c, &f->of_epoch[1]), HEARD);
    assert_int_equal(c.zone.key_epoch, 2);
}

/* By the newest key. */
static void keep_list(struct fixture *f)
{
    struct revocation_list l = {0};
    ours_revoke(&f->ours, 1, 1, NULL, 0);
    assert_int_equal(revocation_list_take(&l, &f->ours.zone, bytes_of(&f->ours.revocations), 1),
                     ERR_OK);
    assert_int_equal(revocation_list_keep(&l, &f->identity, &f->ours.zone, 1), ERR_OK);
    revocation_list_release(&l);
}

static void test_command_that_missed_an_epoch(void **state)
{
    struct fixture *f = *state;
    struct command_of_then c;
    begin(f, &c);
    keep_list(f);
    assert_int_equal(pin(f, 3), 3); /* another command's, as is the list */
    assert_int_equal(offer(&c, &f->of_epoch[2]), HEARD_NEWS);
    assert_int_equal(c.zone.key_epoch, 3);
    assert_int_equal(pinned_epoch(f), 3);
    assert_non_null(follow_list(&c.follow));
    revocation_list_release(&c.follow.list);
}

/* What is held is of the first epoch, and what is kept of the third. */
static void test_kept_list_takes_the_place_of_an_older_one(void **state)
{
    struct fixture *f = *state;
    struct command_of_then c;
    begin(f, &c);
    struct ours first = f->ours;
    uint8_t seed[KEY_BYTES] = {1};
    first.zone = c.zone;
    signkey_from_seed(seed, &first.zone_key);
    ours_revoke(&first, 5, 1, NULL, 0);
    assert_int_equal(revocation_list_take(&c.follow.list, &c.zone, bytes_of(&first.revocations), 1),
                     ERR_OK);
    keep_list(f);
    assert_int_equal(pin(f, 3), 3);
    assert_int_equal(offer(&c, &f->of_epoch[2]), HEARD_NEWS);
    assert_int_equal(follow_list(&c.follow)->key_epoch, 3);
    follow_load(&c.follow); /* nothing newer: what is held stays, and nothing leaks */
    assert_int_equal(follow_list(&c.follow)->number, 1);
    revocation_list_release(&c.follow.list);
}

/* Between reading the pin and reading the list, another command has replaced both. */
static void test_list_of_an_epoch_that_was_missed(void **state)
{
    struct fixture *f = *state;
    struct command_of_then c;
    begin(f, &c);
    keep_list(f);
    assert_int_equal(pin(f, 3), 3);
    follow_load(&c.follow);
    assert_int_equal(c.zone.key_epoch, 3);
    assert_non_null(follow_list(&c.follow));
    revocation_list_release(&c.follow.list);
}

/* Another command has followed the zone: this one does not follow the thief. */
static void test_command_does_not_leave_the_pin(void **state)
{
    struct fixture *f = *state;
    struct command_of_then c;
    struct signed_bytes stolen = forked(f);
    begin(f, &c);
    assert_int_equal(pin(f, 2), 2);
    assert_int_equal(offer(&c, &stolen), HEARD);
    assert_int_equal(c.zone.key_epoch, 1);
    assert_int_equal(pinned_epoch(f), 2);
    assert_int_equal(offer(&c, &f->of_epoch[2]), HEARD_NEWS);
}

#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(test_two_commands_at_once),
        IN_HOME(test_pin_never_goes_back),
        IN_HOME(test_pin_of_another_way_on_stays),
        IN_HOME(test_damaged_pin_is_not_replaced),
        IN_HOME(test_command_follows),
        IN_HOME(test_command_that_missed_an_epoch),
        IN_HOME(test_kept_list_takes_the_place_of_an_older_one),
        IN_HOME(test_list_of_an_epoch_that_was_missed),
        IN_HOME(test_command_does_not_leave_the_pin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
