/* The kept list of revocations: it only ever becomes newer, whoever writes it. */
#include "base/file.h"
#include "client/revocations.h"
#include "client/zone.h"
#include "tests/unit/client/zone_of_ours.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* When lists are taken, where the test says nothing else: long after they were issued. */
static const uint64_t NOW_US = 1000000ull * 1000000;

struct fixture {
    struct ours ours;
    struct identity identity;
    char home[OURS_PATH_BYTES];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    ours_move_in(&f->ours, &f->identity, f->home);
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

static enum err take(struct fixture *f, struct revocation_list *l)
{
    return revocation_list_take(l, &f->ours.zone, bytes_of(&f->ours.revocations), NOW_US);
}

/* A list of this number and time, taken and kept. */
static void keep(struct fixture *f, uint64_t number, uint64_t issued_us)
{
    struct revocation_list l = {0};
    ours_revoke(&f->ours, number, issued_us, NULL, 0);
    assert_int_equal(take(f, &l), ERR_OK);
    assert_int_equal(revocation_list_keep(&l, &f->identity, &f->ours.zone, NOW_US), ERR_OK);
    revocation_list_release(&l);
}

static void assert_kept(const struct fixture *f, uint64_t number, uint64_t issued_us)
{
    struct revocation_list l;
    assert_int_equal(revocation_list_load(&f->identity, &f->ours.zone, &l), ERR_OK);
    assert_int_equal(l.list.number, number);
    assert_int_equal(l.list.issued_us, issued_us);
    revocation_list_release(&l);
}

static void test_takes_only_newer_ones(void **state)
{
    struct fixture *f = *state;
    struct revocation_list l = {0};
    const struct revocation one = {OURS_SERIAL, 5};
    uint64_t since_us;
    ours_revoke(&f->ours, 2, 100, &one, 1);
    assert_int_equal(take(f, &l), ERR_OK);
    assert_int_equal(take(f, &l), ERR_CONFLICT); /* the same */
    ours_revoke(&f->ours, 2, 99, NULL, 0);
    assert_int_equal(take(f, &l), ERR_CONFLICT);
    ours_revoke(&f->ours, 1, 1000, NULL, 0);
    assert_int_equal(take(f, &l), ERR_CONFLICT);
    assert_true(revocations_since(revocation_list_get(&l), OURS_SERIAL, &since_us));
    ours_revoke(&f->ours, 2, 101, NULL, 0);
    assert_int_equal(take(f, &l), ERR_OK);
    ours_revoke(&f->ours, 3, 101, NULL, 0);
    assert_int_equal(take(f, &l), ERR_OK);
    assert_int_equal(l.list.number, 3);
    assert_false(revocations_since(revocation_list_get(&l), OURS_SERIAL, &since_us));
    revocation_list_release(&l);
    assert_null(revocation_list_get(&l));
    revocation_list_release(&l);
}

static void test_takes_nothing_that_does_not_hold(void **state)
{
    struct fixture *f = *state;
    struct revocation_list l = {0};
    ours_revoke(&f->ours, 1, 100, NULL, 0);
    for (size_t at = 0; at < f->ours.revocations.len; at += 3) {
        f->ours.revocations.b[at] ^= 1;
        assert_int_not_equal(take(f, &l), ERR_OK);
        f->ours.revocations.b[at] ^= 1;
    }
    uint8_t *large = calloc(1, REVOCATIONS_BODY_BYTES_MAX + SIGNATURE_BYTES + 1);
    assert_int_equal(revocation_list_take(
                         &l, &f->ours.zone,
                         slice_of(large, REVOCATIONS_BODY_BYTES_MAX + SIGNATURE_BYTES + 1), NOW_US),
                     ERR_LIMIT);
    free(large);
    assert_null(revocation_list_get(&l));
}

static void test_kept_list_never_goes_back(void **state)
{
    struct fixture *f = *state;
    struct revocation_list none = {0};
    assert_int_equal(revocation_list_load(&f->identity, &f->ours.zone, &none), ERR_UNKNOWN);
    assert_int_equal(revocation_list_keep(&none, &f->identity, &f->ours.zone, NOW_US), ERR_OK);
    assert_int_equal(revocation_list_load(&f->identity, &f->ours.zone, &none), ERR_UNKNOWN);
    keep(f, 2, 100);
    assert_kept(f, 2, 100);
    keep(f, 2, 50); /* by a command that began before */
    keep(f, 1, 1000);
    assert_kept(f, 2, 100);
    keep(f, 3, 60);
    assert_kept(f, 3, 60);
}

static void test_kept_list_outlives_the_key(void **state)
{
    struct fixture *f = *state;
    struct revocation_list l = {0};
    const struct zone_params before = f->ours.zone;
    keep(f, 2, 100);
    ours_rotate(&f->ours);
    assert_kept(f, 2, 100);
    struct signed_bytes old = f->ours.revocations;
    assert_int_equal(revocation_list_take(&l, &f->ours.zone, bytes_of(&old), NOW_US),
                     ERR_UNAUTHORIZED);
    ours_revoke(&f->ours, 3, 200, NULL, 0);
    assert_int_equal(revocation_list_take(&l, &before, bytes_of(&f->ours.revocations), NOW_US),
                     ERR_NOT_READY);
    keep(f, 3, 200);
    assert_kept(f, 3, 200);
    assert_int_equal(revocation_list_load(&f->identity, &before, &l), ERR_NOT_READY);
}

/* A command that has not heard of the rotation is shown a list that the old key had signed. */
static void test_kept_list_of_a_later_epoch_stays(void **state)
{
    struct fixture *f = *state;
    struct revocation_list old = {0};
    const struct zone_params before = f->ours.zone;
    ours_revoke(&f->ours, 9, 900, NULL, 0);
    assert_int_equal(take(f, &old), ERR_OK);
    ours_rotate(&f->ours);
    keep(f, 3, 200);
    assert_int_equal(revocation_list_keep(&old, &f->identity, &before, NOW_US), ERR_OK);
    assert_kept(f, 3, 200);
    revocation_list_release(&old);
}

static enum err take_at(struct fixture *f, struct revocation_list *l, uint64_t utc_us)
{
    return revocation_list_take(l, &f->ours.zone, bytes_of(&f->ours.revocations), utc_us);
}

/* A list of this number, issued at issued_us by auth_edge's clock. */
static void issue(struct fixture *f, uint64_t number, uint64_t issued_us)
{
    const struct revocation one = {OURS_SERIAL, 5};
    ours_revoke(&f->ours, number, issued_us, &one, 1);
}

static void test_a_list_from_the_future_pins_nobody(void **state)
{
    struct fixture *f = *state;
    struct revocation_list l = {0};
    const uint64_t far_us = NOW_US + 10 * REVOCATIONS_AHEAD_MAX_US;
    char text[REVOCATIONS_TEXT_BYTES];
    uint64_t since_us;
    /* Dated ahead, what is known already adds nothing. */
    issue(f, 2, NOW_US);
    assert_int_equal(take_at(f, &l, NOW_US), ERR_OK);
    issue(f, 2, NOW_US + REVOCATIONS_AHEAD_MAX_US + 1);
    assert_int_equal(take_at(f, &l, NOW_US), ERR_CONFLICT);
    issue(f, 2, NOW_US + REVOCATIONS_AHEAD_MAX_US);
    assert_int_equal(take_at(f, &l, NOW_US), ERR_OK);
    /* What it says of people counts, its time does not. */
    issue(f, 3, far_us);
    assert_int_equal(take_at(f, &l, NOW_US), ERR_OK);
    assert_int_equal(revocation_list_keep(&l, &f->identity, &f->ours.zone, NOW_US), ERR_OK);
    assert_true(revocations_since(revocation_list_get(&l), OURS_SERIAL, &since_us));
    assert_true(revocation_list_ahead(&l, NOW_US));
    assert_false(revocation_list_fresh(&l, NOW_US));
    assert_false(revocation_list_overdue(&l, NOW_US));
    assert_true(revocation_list_worries(&l, NOW_US, text));
    assert_non_null(strstr(text, "still to come"));
    /* It goes back for nobody, and holds up nobody. */
    issue(f, 2, NOW_US + 1);
    assert_int_equal(take_at(f, &l, NOW_US), ERR_CONFLICT);
    ours_revoke(&f->ours, 3, NOW_US, NULL, 0);
    assert_int_equal(take_at(f, &l, NOW_US), ERR_CONFLICT);
    issue(f, 3, NOW_US - TIME_WINDOW_US - 1);
    assert_int_equal(take_at(f, &l, NOW_US), ERR_CONFLICT);
    issue(f, 3, NOW_US);
    assert_int_equal(take_at(f, &l, NOW_US), ERR_OK);
    assert_int_equal(revocation_list_keep(&l, &f->identity, &f->ours.zone, NOW_US), ERR_OK);
    assert_kept(f, 3, NOW_US);
    assert_true(revocation_list_fresh(&l, NOW_US));
    assert_false(revocation_list_worries(&l, NOW_US, text));
    revocation_list_release(&l);
}

static void test_damaged_list(void **state)
{
    struct fixture *f = *state;
    struct revocation_list l = {0};
    char path[IDENTITY_PATH_BYTES_MAX];
    identity_path(&f->identity, "revocations", path);
    assert_int_equal(file_write(path, slice_str("not base64!")), ERR_OK);
    assert_int_equal(revocation_list_load(&f->identity, &f->ours.zone, &l), ERR_FORMAT);
    assert_null(l.bytes);
    keep(f, 1, 1); /* and is replaced */
    assert_kept(f, 1, 1);
    struct zone_params other = f->ours.zone;
    assert_int_equal(id_parse(slice_str("other"), &other.zone_id), ERR_OK);
    assert_int_equal(revocation_list_load(&f->identity, &other, &l), ERR_UNAUTHORIZED);
}

/* As long as there may be one. */
static void test_longest_list(void **state)
{
    struct fixture *f = *state;
    uint8_t *entries = calloc(REVOCATIONS_MAX, 16);
    uint8_t *body = calloc(1, REVOCATIONS_BODY_BYTES_MAX);
    uint8_t *whole = calloc(1, REVOCATIONS_BODY_BYTES_MAX + SIGNATURE_BYTES);
    struct writer e = writer_of(entries, (size_t)REVOCATIONS_MAX * 16);
    for (uint64_t i = 0; i < REVOCATIONS_MAX; i++) {
        write_u64(&e, i);
        write_u64(&e, 1);
    }
    struct revocations r = {.zone_id = f->ours.zone.zone_id,
                            .key_epoch = 1,
                            .number = REVOCATIONS_MAX,
                            .issued_us = 1,
                            .n = REVOCATIONS_MAX,
                            .entries = slice_of(entries, e.len)};
    struct writer b = writer_of(body, REVOCATIONS_BODY_BYTES_MAX);
    struct writer w = writer_of(whole, REVOCATIONS_BODY_BYTES_MAX + SIGNATURE_BYTES);
    revocations_encode(&r, &b);
    signed_append(&w, OBJECT_REVOCATIONS, slice_of(body, b.len), &f->ours.zone_key);
    assert_false(e.full || b.full || w.full);
    struct revocation_list l = {0};
    assert_int_equal(revocation_list_take(&l, &f->ours.zone, slice_of(whole, w.len), NOW_US),
                     ERR_OK);
    assert_int_equal(revocation_list_keep(&l, &f->identity, &f->ours.zone, NOW_US), ERR_OK);
    assert_kept(f, REVOCATIONS_MAX, 1);
    revocation_list_release(&l);
    free(entries);
    free(body);
    free(whole);
}

static void test_overdue(void **state)
{
    struct fixture *f = *state;
    struct revocation_list l = {0};
    assert_false(revocation_list_overdue(&l, UINT64_MAX));
    ours_revoke(&f->ours, 1, 0, NULL, 0); /* next after 30 s */
    assert_int_equal(take(f, &l), ERR_OK);
    assert_false(revocation_list_overdue(&l, 0));
    assert_false(revocation_list_overdue(&l, l.list.next_us + REVOCATIONS_OVERDUE_US));
    assert_true(revocation_list_overdue(&l, l.list.next_us + REVOCATIONS_OVERDUE_US + 1));
    revocation_list_release(&l);
}

static void test_fresh(void **state)
{
    struct fixture *f = *state;
    struct revocation_list l = {0};
    char text[REVOCATIONS_TEXT_BYTES];
    const uint64_t fresh_us = REVOCATIONS_FRESH_S * 1000000ull;
    assert_false(revocation_list_fresh(&l, 0));
    assert_true(revocation_list_worries(&l, 0, text));
    assert_non_null(strstr(text, "no list of revocations"));
    ours_revoke(&f->ours, 1, NOW_US, NULL, 0);
    assert_int_equal(take(f, &l), ERR_OK);
    assert_true(revocation_list_fresh(&l, NOW_US - REVOCATIONS_AHEAD_MAX_US));
    assert_false(revocation_list_fresh(&l, NOW_US - REVOCATIONS_AHEAD_MAX_US - 1));
    assert_true(revocation_list_fresh(&l, NOW_US + fresh_us));
    assert_false(revocation_list_fresh(&l, NOW_US + fresh_us + 1));
    assert_true(revocation_list_worries(&l, NOW_US + fresh_us + 1, text));
    assert_non_null(strstr(text, "is 60 s old"));
    revocation_list_release(&l);
}

/* ------------------------------------------------------------------ the pin beside it */

static void read_pin(const struct fixture *f, const struct pubkey *key, enum exit_status expect)
{
    char text[64];
    struct option options[] = {{.name = "zone-key", .value = text}, {.name = NULL}};
    struct zone_pin pin;
    b64_encode(slice_of(key->b, KEY_BYTES), text);
    int before = dup(STDERR_FILENO);
    assert_non_null(freopen("/dev/null", "w", stderr)); /* it says what is wrong */
    enum exit_status status = zone_pin_read(&f->identity, options, &pin);
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(status, expect);
    if (expect != STATUS_OK)
        return;
    assert_true(pin.whole);
    assert_true(pubkey_eq(&pin.params.sign_pk, &f->ours.zone.sign_pk));
}

static void test_pin_with_an_older_key(void **state)
{
    struct fixture *f = *state;
    struct pubkey keys[3];
    keys[0] = f->ours.zone.sign_pk;
    ours_rotate(&f->ours);
    keys[1] = f->ours.zone.sign_pk;
    ours_rotate(&f->ours);
    keys[2] = f->ours.zone.sign_pk;
    struct zone_params now;
    assert_int_equal(zone_pin(&f->identity, bytes_of(&f->ours.zone_bytes), &now), ERR_OK);
    for (int i = 0; i < 3; i++)
        read_pin(f, &keys[i], STATUS_OK);
    read_pin(f, &f->ours.streamer_key.pk, STATUS_FAILED);
}

#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(test_takes_only_newer_ones),
        IN_HOME(test_takes_nothing_that_does_not_hold),
        IN_HOME(test_kept_list_never_goes_back),
        IN_HOME(test_kept_list_outlives_the_key),
        IN_HOME(test_kept_list_of_a_later_epoch_stays),
        IN_HOME(test_a_list_from_the_future_pins_nobody),
        IN_HOME(test_damaged_list),
        IN_HOME(test_longest_list),
        IN_HOME(test_overdue),
        IN_HOME(test_fresh),
        IN_HOME(test_pin_with_an_older_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
