/* When a credential is to be renewed, and which one takes its place. */
#include "base/clock.h"
#include "base/file.h"
#include "client/renewal.h"
#include "tests/unit/client/zone_of_ours.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t HOUR_US = 3600u * 1000 * 1000;

struct fixture {
    struct ours ours;
    struct identity identity;
    struct session session; /* says nothing: what is in home is enough */
    struct follow follow;
    struct streamer streamer;
    struct renewal renewal;
    struct credential credential;
    char home[OURS_PATH_BYTES];
};

/* A credential with so much of its three hours left is kept in home. */
static void keep(struct fixture *f, uint64_t left_us)
{
    f->credential.not_after_us = clock_utc_us() + left_us;
    f->credential.not_before_us = f->credential.not_after_us - 3 * HOUR_US;
    f->credential.serial++;
    ours_sign_credential(&f->ours, &f->credential);
    assert_int_equal(identity_write(&f->identity, "credential", bytes_of(&f->ours.credential)),
                     ERR_OK);
}

/* And is the one in use. */
static void use(struct fixture *f, uint64_t left_us)
{
    keep(f, left_us);
    f->streamer.key = f->ours.streamer_key;
    f->streamer.len = f->ours.credential.len;
    memcpy(f->streamer.bytes, f->ours.credential.b, f->streamer.len);
    assert_int_equal(credential_open(slice_of(f->streamer.bytes, f->streamer.len), &f->ours.zone,
                                     &f->streamer.credential),
                     ERR_OK);
    renewal_init(&f->renewal, &f->follow, &f->streamer);
}

static void keep_key(const struct fixture *f, const struct signkey *key)
{
    char path[IDENTITY_PATH_BYTES_MAX], text[2 * KEY_BYTES + 1];
    identity_path(&f->identity, "key", path);
    hex_encode(slice_of(key->seed, KEY_BYTES), text);
    assert_int_equal(file_write(path, slice_str(text)), ERR_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    ours_move_in(&f->ours, &f->identity, f->home);
    keep_key(f, &f->ours.streamer_key);
    f->credential = ours_credential(&f->ours);
    f->follow =
        (struct follow){.session = &f->session, .identity = &f->identity, .zone = &f->ours.zone};
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

static void test_due(void **state)
{
    (void)state;
    struct credential c = {.not_before_us = 100, .not_after_us = 400};
    assert_int_equal(renewal_due_us(&c), 300);
    c.not_after_us = 100;
    assert_int_equal(renewal_due_us(&c), 100);
    c = (struct credential){.not_after_us = UINT64_MAX};
    assert_true(renewal_due_us(&c) > UINT64_MAX / 2);
}

static void test_not_before_it_is_due(void **state)
{
    struct fixture *f = *state;
    use(f, HOUR_US + 60u * 1000 * 1000);
    keep(f, 3 * HOUR_US);
    renewal_start(&f->renewal);
    assert_false(renewal_step(&f->renewal, 1));
    assert_int_equal(f->streamer.credential.serial, f->credential.serial - 1);
}

static void test_newer_one_in_home_is_taken(void **state)
{
    struct fixture *f = *state;
    use(f, HOUR_US / 2);
    keep(f, 3 * HOUR_US);
    assert_true(renewal_step(&f->renewal, 1));
    assert_int_equal(f->streamer.credential.serial, f->credential.serial);
    assert_true(
        slice_eq(slice_of(f->streamer.bytes, f->streamer.len), bytes_of(&f->ours.credential)));
    assert_false(renewal_step(&f->renewal, 2));
    use(f, HOUR_US / 2);
    keep(f, 3 * HOUR_US);
    renewal_start(&f->renewal);
    assert_int_equal(f->streamer.credential.serial, f->credential.serial);
}

/* auth_edge has granted this, as a renewal of what was in use or after a login. */
static enum err granted(struct fixture *f, const struct credential *credential, bool renewal,
                        struct credential *ret)
{
    struct auth_request a = {.zone = &f->ours.zone,
                             .key = &f->ours.streamer_key,
                             .request = {.renew = slice_str(renewal ? "x" : "")}};
    ours_sign_credential(&f->ours, credential);
    struct user_reply reply = {.credential = bytes_of(&f->ours.credential)};
    return auth_keep(&a, &f->identity, &reply, ret);
}

/* Which credential is in home after a renewal. */
static uint64_t kept_after_renewal(struct fixture *f, const struct credential *renewed)
{
    struct credential c;
    uint8_t bytes[OBJECT_BYTES_MAX];
    size_t len;
    assert_int_equal(granted(f, renewed, true, &c), ERR_OK);
    assert_int_equal(c.serial, renewed->serial);
    assert_int_equal(identity_read(&f->identity, "credential", bytes, &len), ERR_OK);
    assert_int_equal(credential_open(slice_of(bytes, len), &f->ours.zone, &c), ERR_OK);
    return c.serial;
}

/* Somebody has logged in here as another, or with another key, while the answer was under way. */
static void test_another_login_stays(void **state)
{
    struct fixture *f = *state;
    use(f, HOUR_US / 2);
    struct credential renewed = f->credential;
    renewed.serial = 100;
    renewed.not_after_us += 3 * HOUR_US;
    assert_int_equal(kept_after_renewal(f, &renewed), 100);
    f->credential.subject.s[0] = 'n';
    keep(f, HOUR_US);
    assert_int_equal(kept_after_renewal(f, &renewed), f->credential.serial);
    f->credential.subject = renewed.subject;
    f->credential.pk = f->ours.edge_key.pk;
    keep(f, HOUR_US);
    assert_int_equal(kept_after_renewal(f, &renewed), f->credential.serial);
    f->credential.pk = renewed.pk;
    keep(f, 9 * HOUR_US);
    assert_int_equal(kept_after_renewal(f, &renewed), f->credential.serial);
}

/* The key was removed, and another command has made a new one, while the answer was under way. */
static void test_no_credential_beside_another_key(void **state)
{
    struct fixture *f = *state;
    struct credential c;
    uint8_t bytes[OBJECT_BYTES_MAX];
    size_t len;
    keep_key(f, &f->ours.edge_key);
    assert_int_equal(granted(f, &f->credential, false, &c), ERR_CONFLICT);
    assert_int_equal(granted(f, &f->credential, true, &c), ERR_CONFLICT);
    char path[IDENTITY_PATH_BYTES_MAX];
    identity_path(&f->identity, "key", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(granted(f, &f->credential, false, &c), ERR_CONFLICT);
    assert_int_equal(identity_read(&f->identity, "credential", bytes, &len), ERR_UNKNOWN);
    keep_key(f, &f->ours.streamer_key);
    assert_int_equal(granted(f, &f->credential, false, &c), ERR_OK);
    assert_int_equal(identity_read(&f->identity, "credential", bytes, &len), ERR_OK);
}

/* What is there is not known to be worth less than what was renewed. */
static void test_what_cannot_be_read_is_not_replaced(void **state)
{
    struct fixture *f = *state;
    struct credential c;
    char path[IDENTITY_PATH_BYTES_MAX];
    identity_path(&f->identity, "credential", path);
    assert_int_equal(symlink(path, path), 0); /* also root cannot read that */
    assert_int_equal(granted(f, &f->credential, true, &c), ERR_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(file_write(path, slice_str("not base64!")), ERR_OK);
    assert_int_equal(granted(f, &f->credential, true, &c), ERR_OK);
}

#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due),
        IN_HOME(test_not_before_it_is_due),
        IN_HOME(test_newer_one_in_home_is_taken),
        IN_HOME(test_another_login_stays),
        IN_HOME(test_no_credential_beside_another_key),
        IN_HOME(test_what_cannot_be_read_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
