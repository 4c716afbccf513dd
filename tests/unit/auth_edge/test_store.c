#include "auth_edge/store.h"
#include "base/file.h"
#include "tests/unit/auth_edge/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const uint64_t now_us = 1700000000u * (uint64_t)1000000;
static const uint64_t life_us = 1000u * (uint64_t)1000000;

static struct store *must_open(void **state)
{
    char error[STORE_ERROR_BYTES];
    struct store *store;
    assert_int_equal(store_open(temp_path(state, "auth_edge.db"), &store, error), ERR_OK);
    return store;
}

static struct issue issue_of(enum credential_kind kind, const char *subject, uint8_t key)
{
    struct issue issue = {
        .credential = {.kind = kind,
                       .pk = {{key}},
                       .key_epoch = 1,
                       .not_before_us = now_us - 60,
                       .not_after_us = now_us + life_us},
        .now_us = now_us,
        .request_us = now_us,
        .reuse_from_us = now_us + life_us / 2,
    };
    assert_int_equal(id_parse(slice_str(subject), &issue.credential.subject), ERR_OK);
    return issue;
}

static enum err issue(struct store *store, const struct issue *what, struct issued *ret)
{
    struct records records = store_records(store);
    return records.issue(records.ctx, what, ret);
}

static void test_open(void **state)
{
    struct store *store = must_open(state);
    struct stat st;
    assert_int_equal(stat(temp_path(state, "auth_edge.db"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(temp_path(state, "auth_edge.db-wal"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct store *second = must_open(state); /* beside the first */
    store_close(second);
    store_close(store);
    store_close(must_open(state));
    store_close(NULL);
}

static void test_open_refused(void **state)
{
    char error[STORE_ERROR_BYTES] = "";
    struct store *store = NULL;
    const char *path = temp_path(state, "not.db");
    assert_int_equal(file_write(path, slice_str("this is a text, and a long enough one")), ERR_OK);
    assert_int_equal(store_open(path, &store, error), ERR_IO);
    assert_null(store);
    assert_true(strlen(error) > 0);
    assert_int_equal(store_open(temp_path(state, "no/such.db"), &store, error), ERR_IO);
    assert_int_equal(store_open(*state, &store, error), ERR_IO);
}

static void test_zone(void **state)
{
    struct store *store = must_open(state);
    struct zone_params zone = {
        .key_epoch = 1, .issued_us = now_us, .sign_pk = {{7}}, .box_pk = {{8}}};
    struct zone_params got;
    uint64_t until = 1;
    assert_int_equal(id_parse(slice_str("zone1"), &zone.zone_id), ERR_OK);
    assert_int_equal(store_zone_get(store, &got), ERR_UNKNOWN);
    assert_int_equal(store_answered_until(store, &until), ERR_OK);
    assert_int_equal(until, 0);
    assert_int_equal(store_zone_put(store, &zone), ERR_OK);
    zone.key_epoch = 2;
    assert_int_equal(store_zone_put(store, &zone), ERR_OK);
    store_close(store);
    store = must_open(state);
    assert_int_equal(store_zone_get(store, &got), ERR_OK);
    assert_string_equal(got.zone_id.s, "zone1");
    assert_int_equal(got.key_epoch, 2);
    assert_int_equal(got.issued_us, now_us);
    assert_true(pubkey_eq(&got.sign_pk, &zone.sign_pk));
    assert_true(pubkey_eq(&got.box_pk, &zone.box_pk));
    store_close(store);
}

/* Serials rise and survive; the newest request's time does, too. */
static void test_serials(void **state)
{
    struct store *store = must_open(state);
    struct zone_params zone = {.key_epoch = 1};
    struct issued a, b, c;
    uint64_t until;
    assert_int_equal(id_parse(slice_str("zone1"), &zone.zone_id), ERR_OK);
    assert_int_equal(store_zone_put(store, &zone), ERR_OK);
    struct issue edge = issue_of(CREDENTIAL_EDGE, "edge1", 1);
    struct issue user = issue_of(CREDENTIAL_STREAMER, "s1", 2);
    assert_int_equal(issue(store, &edge, &a), ERR_OK);
    assert_int_equal(issue(store, &user, &b), ERR_OK);
    store_close(store);
    store = must_open(state);
    struct issue other = issue_of(CREDENTIAL_EDGE, "edge2", 3);
    other.request_us = now_us - 1;
    assert_int_equal(issue(store, &other, &c), ERR_OK);
    assert_true(0 < a.serial && a.serial < b.serial && b.serial < c.serial);
    assert_int_equal(a.not_after_us, now_us + life_us);
    assert_int_equal(store_answered_until(store, &until), ERR_OK);
    assert_int_equal(until, now_us);
    store_close(store);
}

/* The first key of an edge id is binding; nothing is left of the attempt of a second one. */
static void test_binding(void **state)
{
    struct store *store = must_open(state);
    struct issued first, again;
    struct issued untouched = {.serial = 77};
    struct issue edge = issue_of(CREDENTIAL_EDGE, "edge1", 1);
    struct issue thief = issue_of(CREDENTIAL_EDGE, "edge1", 2);
    struct issue other = issue_of(CREDENTIAL_EDGE, "edge2", 2);
    assert_int_equal(issue(store, &edge, &first), ERR_OK);
    assert_int_equal(issue(store, &thief, &untouched), ERR_CONFLICT);
    assert_int_equal(untouched.serial, 77);
    assert_int_equal(issue(store, &other, &again), ERR_OK);
    assert_int_equal(again.serial, first.serial + 1);
    store_close(store);
}

/* Given again while half of its life is left, and only the very same. */
static void test_given_again(void **state)
{
    struct store *store = must_open(state);
    struct issued first, next;
    struct issue edge = issue_of(CREDENTIAL_STREAMER, "s1", 1);
    assert_int_equal(issue(store, &edge, &first), ERR_OK);

    struct issue later = edge;
    later.now_us += life_us / 2;
    later.reuse_from_us += life_us / 2;
    later.credential.not_after_us += life_us / 2;
    assert_int_equal(issue(store, &later, &next), ERR_OK);
    assert_int_equal(next.serial, first.serial);
    assert_int_equal(next.not_after_us, first.not_after_us);

    struct issue named = later;
    named.credential.display_name = slice_str("Léa");
    assert_int_equal(issue(store, &named, &next), ERR_OK);
    assert_int_not_equal(next.serial, first.serial);

    struct issue epoch = later;
    epoch.credential.key_epoch = 2;
    assert_int_equal(issue(store, &epoch, &next), ERR_OK);
    assert_int_not_equal(next.serial, first.serial);

    struct issue shorter = edge; /* the operator shortened lives meanwhile */
    shorter.credential.not_after_us -= 1;
    assert_int_equal(issue(store, &shorter, &next), ERR_OK);
    assert_int_not_equal(next.serial, first.serial);

    later.reuse_from_us++;
    later.credential.not_after_us++;
    assert_int_equal(issue(store, &later, &next), ERR_OK);
    assert_int_not_equal(next.serial, first.serial);
    assert_int_equal(next.not_after_us, later.credential.not_after_us);
    store_close(store);
}

static struct store_user user_of(const char *id, const char *name)
{
    struct store_user user = {.password_hash = "hash", .created_at = "2026-11-21T11:09:30.123456Z"};
    assert_int_equal(id_parse(slice_str(id), &user.id), ERR_OK);
    snprintf(user.name, sizeof(user.name), "%s", name);
    return user;
}

static void test_users(void **state)
{
    struct store *store = must_open(state);
    struct store_user lea = user_of("b-1", "Léa"), ann = user_of("a-2", "ann"), got;
    assert_int_equal(store_user_next(store, "", &got), ERR_UNKNOWN);
    assert_int_equal(store_user_find(store, slice_str("ann"), &got), ERR_UNKNOWN);
    assert_int_equal(store_user_set_hash(store, "ann", "h2"), ERR_UNKNOWN);
    assert_int_equal(store_user_add(store, &lea), ERR_OK);
    assert_int_equal(store_user_add(store, &ann), ERR_OK);
    assert_int_equal(store_user_add(store, &ann), ERR_CONFLICT);
    struct store_user same_id = user_of("a-2", "bob");
    assert_int_equal(store_user_add(store, &same_id), ERR_CONFLICT);
    assert_int_equal(store_user_set_hash(store, "ann", "h2"), ERR_OK);
    assert_int_equal(store_user_find(store, slice_str("ann"), &got), ERR_OK);
    assert_string_equal(got.password_hash, "h2");
    assert_string_equal(got.id.s, "a-2");
    assert_int_equal(store_user_find(store, slice_str("Ann"), &got), ERR_UNKNOWN);
    assert_int_equal(store_user_find(store, slice_str(""), &got), ERR_UNKNOWN);
    assert_int_equal(store_user_find(store, slice_of("ann\0", 4), &got), ERR_UNKNOWN);
    assert_int_equal(store_user_find(store, slice_str("' OR 1=1 --"), &got), ERR_UNKNOWN);
    assert_int_equal(store_user_next(store, "", &got), ERR_OK);
    assert_string_equal(got.name, "Léa");
    assert_int_equal(store_user_next(store, got.name, &got), ERR_OK);
    assert_string_equal(got.name, "ann");
    assert_int_equal(store_user_next(store, got.name, &got), ERR_UNKNOWN);
    store_close(store);
}

/* Two processes: the second one's commit is seen by the first, and waits for nothing of it. */
static void test_two_at_once(void **state)
{
    struct store *serving = must_open(state), *admin = must_open(state);
    struct store_user ann = user_of("a-2", "ann"), got;
    struct issue edge = issue_of(CREDENTIAL_EDGE, "edge1", 1);
    struct issued issued;
    assert_int_equal(issue(serving, &edge, &issued), ERR_OK);
    assert_int_equal(store_user_add(admin, &ann), ERR_OK);
    assert_int_equal(store_user_find(serving, slice_str("ann"), &got), ERR_OK);
    assert_int_equal(issue(serving, &edge, &issued), ERR_OK);
    store_close(admin);
    store_close(serving);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, temp_enter, temp_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(test_open),    ON_DISK(test_open_refused), ON_DISK(test_zone),
        ON_DISK(test_serials), ON_DISK(test_binding),      ON_DISK(test_given_again),
        ON_DISK(test_users),   ON_DISK(test_two_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
