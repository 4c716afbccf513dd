#include "auth_edge/db.h"
#include "auth_edge/store.h"
#include "tests/unit/auth_edge/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t now_us = 1700000000u * (uint64_t)1000000;
static const uint64_t life_us = 1000u * (uint64_t)1000000;

static struct id id_of(const char *text)
{
    struct id id;
    assert_int_equal(id_parse(slice_str(text), &id), ERR_OK);
    return id;
}

static struct store *reopen(void **state)
{
    char error[STORE_ERROR_BYTES];
    struct store *store;
    assert_int_equal(store_open(temp_path(state, "auth_edge.db"), &store, error), ERR_OK);
    return store;
}

static struct store *must_open(void **state)
{
    struct store *store = reopen(state);
    struct zone_params zone = {.zone_id = id_of("zone1"), .key_epoch = 1};
    assert_int_equal(store_zone_put(store, &zone), ERR_OK);
    return store;
}

static enum err issue_at(struct store *store, enum credential_kind kind, const char *subject,
                         uint8_t key, uint64_t at_us, uint64_t *ret_serial)
{
    struct records records = store_records(store);
    struct issue issue = {
        .credential = {.kind = kind,
                       .subject = id_of(subject),
                       .pk = {{key}},
                       .key_epoch = 1,
                       .not_before_us = at_us - 60,
                       .not_after_us = at_us + life_us},
        .now_us = at_us,
        .request_us = at_us,
        .reuse_from_us = at_us + life_us / 2,
    };
    if (kind == CREDENTIAL_STREAMER)
        issue.credential.display_name = slice_str("Léa");
    struct issued issued = {0};
    enum err err = records.issue(records.ctx, &issue, &issued);
    *ret_serial = issued.serial;
    return err;
}

static uint64_t issue(struct store *store, enum credential_kind kind, const char *subject,
                      uint8_t key)
{
    uint64_t serial;
    assert_int_equal(issue_at(store, kind, subject, key, now_us, &serial), ERR_OK);
    return serial;
}

static enum err refused(struct store *store, enum credential_kind kind, const char *subject,
                        uint8_t key)
{
    uint64_t serial;
    return issue_at(store, kind, subject, key, now_us, &serial);
}

static enum err revoke(struct store *store, enum credential_kind kind, const char *subject,
                       uint64_t at_us, struct store_revoking *ret)
{
    struct id id = id_of(subject);
    return store_revoke(store, kind, &id, at_us, ret);
}

/* The list, which is large, in one place. */
static const struct revoked *list(struct store *store)
{
    static struct revoked revoked;
    assert_int_equal(store_revoked(store, &revoked), ERR_OK);
    return &revoked;
}

static void test_nothing_revoked(void **state)
{
    struct store *store = must_open(state);
    assert_int_equal(list(store)->number, 1);
    assert_int_equal(list(store)->n, 0);
    store_close(store);
}

/* What it holds is listed, in order, and what it held; it gets nothing new; others do. */
static void test_streamer(void **state)
{
    struct store *store = must_open(state);
    struct store_revoking done;
    uint64_t expired, serial;
    assert_int_equal(issue_at(store, CREDENTIAL_STREAMER, "s1", 1, now_us - life_us, &expired),
                     ERR_OK);
    uint64_t a = issue(store, CREDENTIAL_STREAMER, "s1", 1);
    uint64_t other = issue(store, CREDENTIAL_STREAMER, "s2", 2);
    uint64_t b = issue(store, CREDENTIAL_STREAMER, "s1", 3);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s1", now_us + 5, &done), ERR_OK);
    assert_int_equal(done.serials, 3);
    assert_int_equal(done.listed, 3);
    const struct revoked *now = list(store);
    assert_int_equal(now->n, 3);
    assert_int_equal(now->number, done.number);
    assert_int_equal(now->entries[0].serial, expired);
    assert_int_equal(now->entries[0].since_us, now_us + 5);
    assert_int_equal(now->entries[1].serial, a);
    assert_int_equal(now->entries[1].since_us, now_us + 5);
    assert_int_equal(now->entries[2].serial, b);
    assert_int_equal(refused(store, CREDENTIAL_STREAMER, "s1", 1), ERR_UNAUTHORIZED);
    assert_int_equal(refused(store, CREDENTIAL_STREAMER, "s1", 9), ERR_UNAUTHORIZED);
    assert_int_equal(issue(store, CREDENTIAL_STREAMER, "s2", 2), other);

    /* Again: nothing is left to revoke, the list is the same one. */
    uint64_t number = done.number;
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s1", now_us + 9, &done), ERR_OK);
    assert_int_equal(done.serials, 0);
    assert_int_equal(done.number, number);
    assert_int_equal(list(store)->entries[0].since_us, now_us + 5);

    /* Admitted: a new serial, never one of the list. */
    struct id s1 = id_of("s1"), nobody = id_of("nobody");
    assert_int_equal(store_admit(store, &nobody), ERR_UNKNOWN);
    assert_int_equal(store_admit(store, &s1), ERR_OK);
    serial = issue(store, CREDENTIAL_STREAMER, "s1", 1);
    assert_true(serial > b);
    assert_int_equal(list(store)->n, 3);
    store_close(store);
}

static void test_edge(void **state)
{
    struct store *store = must_open(state);
    struct store_revoking done = {0};
    struct id edge = id_of("edge1"), nobody = id_of("edge9");
    uint64_t first = issue(store, CREDENTIAL_EDGE, "edge1", 1);
    assert_int_equal(revoke(store, CREDENTIAL_EDGE, "edge9", now_us, &done), ERR_UNKNOWN);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "edge1", now_us, &done), ERR_UNKNOWN);
    assert_int_equal(revoke(store, CREDENTIAL_EDGE, "edge1", now_us, &done), ERR_OK);
    assert_int_equal(done.serials, 1);
    assert_int_equal(refused(store, CREDENTIAL_EDGE, "edge1", 1), ERR_UNAUTHORIZED);
    assert_int_equal(refused(store, CREDENTIAL_EDGE, "edge1", 2), ERR_UNAUTHORIZED);

    /* Rekeyed: the next key is its own, and the only one. */
    assert_int_equal(store_rekey(store, &nobody, now_us, &done), ERR_UNKNOWN);
    assert_int_equal(store_rekey(store, &edge, now_us, &done), ERR_OK);
    assert_int_equal(done.serials, 0); /* all revoked before */
    uint64_t second = issue(store, CREDENTIAL_EDGE, "edge1", 2);
    assert_true(second > first);
    assert_int_equal(refused(store, CREDENTIAL_EDGE, "edge1", 1), ERR_CONFLICT);

    /* Without a revocation before, rekeying revokes what the old key has. */
    uint64_t number = list(store)->number;
    assert_int_equal(store_rekey(store, &edge, now_us + 1, &done), ERR_OK);
    assert_int_equal(done.serials, 1);
    assert_true(list(store)->number > number);
    assert_int_equal(list(store)->entries[1].serial, second);
    assert_true(issue(store, CREDENTIAL_EDGE, "edge1", 2) > second); /* and not it again */
    store_close(store);
}

/* Numbers only go up, beyond the clock's seconds; also over restarts, and with a clock set back. */
static void test_numbers(void **state)
{
    struct store *store = must_open(state);
    struct store_revoking done;
    issue(store, CREDENTIAL_STREAMER, "s1", 1);
    issue(store, CREDENTIAL_STREAMER, "s2", 1);
    issue(store, CREDENTIAL_STREAMER, "s3", 1);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s1", now_us, &done), ERR_OK);
    assert_int_equal(done.number, now_us / 1000000);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s2", now_us, &done), ERR_OK);
    assert_int_equal(done.number, now_us / 1000000 + 1);
    store_close(store);
    store = reopen(state);
    assert_int_equal(list(store)->number, done.number);
    assert_int_equal(list(store)->n, 2);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s3", now_us - life_us / 2, &done), ERR_OK);
    assert_int_equal(done.number, now_us / 1000000 + 2);
    store_close(store);
}

/* n credentials of a subject, faster than one by one. */
static void fill(struct store *store, const char *subject, unsigned n)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < %u)"
             " INSERT INTO credentials (kind, subject, name, pk, key_epoch, not_before_us,"
             " not_after_us) SELECT 'streamer', '%s', '', 'k' || x, 1, 0, %llu FROM i",
             n, subject, (unsigned long long)now_us + life_us);
    assert_int_equal(db_run(store, sql, "fill"), ERR_OK);
}

/* At the limit of the list, and one above it: blocked all the same, and said. */
static void test_list_limit(void **state)
{
    struct store *store = must_open(state);
    struct store_revoking done;
    struct id edge = id_of("edge1");
    issue(store, CREDENTIAL_STREAMER, "s1", 1);
    fill(store, "s1", REVOCATIONS_MAX - 1);
    uint64_t spared = issue(store, CREDENTIAL_STREAMER, "s2", 1);
    uint64_t kept = issue(store, CREDENTIAL_EDGE, "edge1", 1);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s1", now_us, &done), ERR_OK);
    assert_int_equal(done.serials, REVOCATIONS_MAX);
    assert_int_equal(list(store)->n, REVOCATIONS_MAX);
    uint64_t number = done.number;

    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s2", now_us, &done), ERR_LIMIT);
    assert_true(strlen(store_error(store)) > 0);
    assert_int_equal(done.serials, 0);
    assert_int_equal(done.end_us, now_us + life_us);
    assert_int_equal(list(store)->n, REVOCATIONS_MAX);
    assert_int_equal(list(store)->number, number);
    assert_int_equal(refused(store, CREDENTIAL_STREAMER, "s2", 1), ERR_UNAUTHORIZED);
    assert_true(spared > 0);

    assert_int_equal(store_rekey(store, &edge, now_us, &done), ERR_LIMIT);
    assert_int_equal(issue(store, CREDENTIAL_EDGE, "edge1", 1), kept); /* nothing was changed */
    assert_int_equal(refused(store, CREDENTIAL_EDGE, "edge1", 2), ERR_CONFLICT);
    store_close(store);
}

/* What has ended: the last of it, and never where it would take the room of what is in date. */
static void test_what_has_ended(void **state)
{
    struct store *store = must_open(state);
    struct store_revoking done;
    uint64_t first = issue(store, CREDENTIAL_STREAMER, "s1", 1);
    issue(store, CREDENTIAL_STREAMER, "s3", 1);
    issue(store, CREDENTIAL_STREAMER, "s3", 2);
    issue(store, CREDENTIAL_EDGE, "edge1", 1);
    fill(store, "s1", SUBJECT_CREDENTIALS_MAX);
    assert_int_equal(db_run(store, "UPDATE credentials SET not_after_us = 1", "end"), ERR_OK);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s1", now_us, &done), ERR_OK);
    assert_int_equal(done.serials, SUBJECT_CREDENTIALS_MAX);
    assert_true(list(store)->entries[0].serial > first);
    issue(store, CREDENTIAL_STREAMER, "s2", 1);
    fill(store, "s2", REVOCATIONS_MAX / 2 - SUBJECT_CREDENTIALS_MAX - 2);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s2", now_us, &done), ERR_OK);
    assert_int_equal(done.listed, REVOCATIONS_MAX / 2 - 1);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s3", now_us, &done), ERR_OK);
    assert_int_equal(done.serials, 1); /* of two */
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s1", now_us, &done), ERR_OK);
    assert_int_equal(done.serials, 0);
    assert_int_equal(revoke(store, CREDENTIAL_EDGE, "edge1", now_us, &done), ERR_OK);
    assert_int_equal(done.serials, 0); /* of an edge, what is in date */
    store_close(store);
}

/* Nobody can hold so many credentials that revoking them would not fit. */
static void test_quota(void **state)
{
    struct store *store = must_open(state);
    struct store_revoking done;
    uint64_t serial;
    fill(store, "s1", SUBJECT_CREDENTIALS_MAX - 1);
    uint64_t last = issue(store, CREDENTIAL_STREAMER, "s1", 1);
    assert_int_equal(refused(store, CREDENTIAL_STREAMER, "s1", 2), ERR_QUOTA);
    assert_int_equal(issue(store, CREDENTIAL_STREAMER, "s1", 1), last); /* given again */
    issue(store, CREDENTIAL_STREAMER, "s2", 2);
    assert_int_equal(issue_at(store, CREDENTIAL_STREAMER, "s1", 2, now_us + life_us, &serial),
                     ERR_OK);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s1", now_us, &done), ERR_OK);
    assert_int_equal(done.serials, SUBJECT_CREDENTIALS_MAX + 1);
    struct id s1 = id_of("s1");
    assert_int_equal(store_admit(store, &s1), ERR_OK);
    issue(store, CREDENTIAL_STREAMER, "s1", 3); /* what is revoked does not count */
    store_close(store);
}

/* An id is an edge's, or a streamer's, or a user's: brokers tell them apart by it alone. */
static void test_ids_are_exclusive(void **state)
{
    struct store *store = must_open(state);
    struct store_user user = {.id = id_of("u1"), .name = "lea", .password_hash = "h"};
    assert_int_equal(store_user_add(store, &user), ERR_OK);
    issue(store, CREDENTIAL_EDGE, "e1", 1);
    issue(store, CREDENTIAL_STREAMER, "s1", 2);
    assert_int_equal(refused(store, CREDENTIAL_STREAMER, "e1", 2), ERR_CONFLICT);
    assert_int_equal(refused(store, CREDENTIAL_EDGE, "s1", 2), ERR_CONFLICT);
    assert_int_equal(refused(store, CREDENTIAL_EDGE, "u1", 2), ERR_CONFLICT);
    issue(store, CREDENTIAL_STREAMER, "u1", 2);
    store_close(store);
}

/* A user who never logged in can be kept out. */
static void test_user_without_a_login(void **state)
{
    struct store *store = must_open(state);
    struct store_revoking done;
    struct store_user user = {.id = id_of("u1"), .name = "lea", .password_hash = "h"};
    assert_int_equal(store_user_add(store, &user), ERR_OK);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "u1", now_us, &done), ERR_OK);
    assert_int_equal(done.serials, 0);
    assert_int_equal(done.number, 1);
    assert_int_equal(refused(store, CREDENTIAL_STREAMER, "u1", 1), ERR_UNAUTHORIZED);
    store_close(store);
}

/* A renewal shows a serial; one of the list is worth nothing, whoever is admitted again. */
static void test_renewed_serial(void **state)
{
    struct store *store = must_open(state);
    struct records records = store_records(store);
    struct store_revoking done;
    struct issued issued;
    uint64_t old = issue(store, CREDENTIAL_STREAMER, "s1", 1);
    struct issue renewal = {.credential = {.kind = CREDENTIAL_STREAMER,
                                           .subject = id_of("s1"),
                                           .pk = {{1}},
                                           .key_epoch = 1,
                                           .not_before_us = now_us,
                                           .not_after_us = now_us + life_us + 1},
                            .now_us = now_us,
                            .request_us = now_us,
                            .renews = old,
                            .reuse_from_us = now_us + life_us + 1};
    assert_int_equal(records.issue(records.ctx, &renewal, &issued), ERR_OK);
    assert_true(issued.serial > old);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s1", now_us, &done), ERR_OK);
    struct id s1 = id_of("s1");
    assert_int_equal(store_admit(store, &s1), ERR_OK);
    assert_int_equal(records.issue(records.ctx, &renewal, &issued), ERR_UNAUTHORIZED);
    renewal.renews = UINT64_MAX;
    assert_int_equal(records.issue(records.ctx, &renewal, &issued), ERR_UNAUTHORIZED);
    store_close(store);
}

static void test_lists_of_who(void **state)
{
    struct store *store = must_open(state);
    struct store_principal p;
    struct store_revoking done;
    struct id edge = id_of("e1");
    assert_int_equal(store_principal_next(store, CREDENTIAL_EDGE, "", &p), ERR_UNKNOWN);
    issue(store, CREDENTIAL_EDGE, "e2", 1);
    uint64_t e1 = issue(store, CREDENTIAL_EDGE, "e1", 1);
    uint64_t s1 = issue(store, CREDENTIAL_STREAMER, "s1", 1);
    assert_int_equal(store_principal_next(store, CREDENTIAL_EDGE, "", &p), ERR_OK);
    assert_string_equal(p.id.s, "e1");
    assert_true(p.bound && !p.revoked);
    assert_int_equal(p.serial, e1);
    assert_int_equal(p.end_us, now_us + life_us);
    assert_int_equal(store_principal_next(store, CREDENTIAL_EDGE, "e1", &p), ERR_OK);
    assert_string_equal(p.id.s, "e2");
    assert_int_equal(store_principal_next(store, CREDENTIAL_EDGE, "e2", &p), ERR_UNKNOWN);
    assert_int_equal(store_rekey(store, &edge, now_us, &done), ERR_OK);
    assert_int_equal(store_principal_next(store, CREDENTIAL_EDGE, "", &p), ERR_OK);
    assert_false(p.bound);
    assert_int_equal(revoke(store, CREDENTIAL_STREAMER, "s1", now_us, &done), ERR_OK);
    assert_int_equal(store_principal_next(store, CREDENTIAL_STREAMER, "", &p), ERR_OK);
    assert_string_equal(p.name, "Léa");
    assert_true(p.revoked);
    assert_int_equal(p.serial, s1);
    assert_int_equal(store_principal_next(store, CREDENTIAL_STREAMER, "s1", &p), ERR_UNKNOWN);
    store_close(store);
}

/* A serving process sees what a command wrote, once; what it wrote itself is no news. */
static void test_changed(void **state)
{
    struct store *serving = must_open(state), *command = reopen(state);
    struct store_revoking done;
    assert_true(store_changed(serving));
    assert_false(store_changed(serving));
    issue(serving, CREDENTIAL_STREAMER, "s1", 1);
    assert_false(store_changed(serving));
    assert_int_equal(revoke(command, CREDENTIAL_STREAMER, "s1", now_us, &done), ERR_OK);
    assert_true(store_changed(serving));
    assert_false(store_changed(serving));
    assert_int_equal(list(serving)->n, 1);
    assert_int_equal(refused(serving, CREDENTIAL_STREAMER, "s1", 1), ERR_UNAUTHORIZED);
    store_close(command);
    store_close(serving);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, temp_enter, temp_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(test_nothing_revoked),
        ON_DISK(test_streamer),
        ON_DISK(test_edge),
        ON_DISK(test_numbers),
        ON_DISK(test_list_limit),
        ON_DISK(test_what_has_ended),
        ON_DISK(test_quota),
        ON_DISK(test_ids_are_exclusive),
        ON_DISK(test_user_without_a_login),
        ON_DISK(test_renewed_serial),
        ON_DISK(test_lists_of_who),
        ON_DISK(test_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
