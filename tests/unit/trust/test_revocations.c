/* The zone's list of credentials that count no longer: its codec's rules, whose word it is, asking.
 */
#include "base/check.h"
#include "tests/unit/trust/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ENTRY_BYTES = 16, BODY_BYTES_MAX = REVOCATIONS_BODY_BYTES_MAX };

static uint8_t entries[(REVOCATIONS_MAX + 1) * ENTRY_BYTES];
static uint8_t bytes[BODY_BYTES_MAX + ENTRY_BYTES];
static struct fixture_object object;

static struct slice entries_of(const struct revocation *list, size_t n)
{
    struct writer w = writer_of(entries, sizeof(entries));
    for (size_t i = 0; i < n; i++) {
        write_u64(&w, list[i].serial);
        write_u64(&w, list[i].since_us);
    }
    CHECK(!w.full);
    return slice_of(entries, w.len);
}

/* Odd serials from 1 on, each revoked at its serial times 10. */
static struct revocations list_of(uint32_t n)
{
    struct writer w = writer_of(entries, sizeof(entries));
    for (uint64_t i = 0; i < n; i++) {
        write_u64(&w, 2 * i + 1);
        write_u64(&w, 10 * (2 * i + 1));
    }
    CHECK(!w.full);
    return (struct revocations){
        .zone_id = fixture_id("zone1"),
        .key_epoch = 1,
        .number = 12,
        .issued_us = fixture_now_us,
        .next_us = fixture_now_us + 30000000,
        .n = n,
        .entries = slice_of(entries, w.len),
    };
}

static struct slice encoded(const struct revocations *r)
{
    struct writer w = writer_of(bytes, sizeof(bytes));
    revocations_encode(r, &w);
    CHECK(!w.full);
    return slice_of(bytes, w.len);
}

static struct slice signed_list(const struct revocations *r, enum fixture_key key)
{
    struct writer w = writer_of(bytes, BODY_BYTES_MAX);
    revocations_encode(r, &w);
    fixture_sign(OBJECT_REVOCATIONS, &w, key, &object);
    return object.whole;
}

/* --- the codec --------------------------------------------------------------- */

static void test_limit(void **state)
{
    (void)state;
    struct revocations r = list_of(REVOCATIONS_MAX), out;
    memset(r.zone_id.s, 'z', ID_BYTES_MAX);
    struct slice body = encoded(&r);
    assert_int_equal(body.len, REVOCATIONS_BODY_BYTES_MAX);
    assert_int_equal(revocations_decode(body, &out), ERR_OK);
    struct revocation last = revocations_at(&out, REVOCATIONS_MAX - 1);
    assert_int_equal(last.serial, 2 * REVOCATIONS_MAX - 1);
    assert_int_equal(last.since_us, 10 * (2 * REVOCATIONS_MAX - 1));

    size_t n_at = body.len - (size_t)REVOCATIONS_MAX * ENTRY_BYTES - 4;
    struct writer n = writer_of(bytes + n_at, 4);
    write_u32(&n, REVOCATIONS_MAX + 1);
    memset(bytes + body.len, 0xff, ENTRY_BYTES);
    assert_int_equal(revocations_decode(slice_of(bytes, body.len + ENTRY_BYTES), &out), ERR_LIMIT);
}

/* The longest list can be signed, and what is longer than anything that is signed verifies never.
 */
static void test_the_longest_is_signed(void **state)
{
    (void)state;
    struct revocations r = list_of(REVOCATIONS_MAX), out;
    struct zone_params zone = fixture_zone();
    struct slice whole = signed_list(&r, KEY_ZONE);
    assert_int_equal(revocations_open(whole, &zone, &out), ERR_OK);
    assert_int_equal(out.n, REVOCATIONS_MAX);
    struct signature sig = {{0}};
    assert_int_equal(
        object_check(OBJECT_REVOCATIONS, slice_of(bytes, sizeof(bytes)), &sig, &zone.sign_pk),
        ERR_SIGNATURE);
}

static void test_none(void **state)
{
    (void)state;
    struct revocations r = list_of(0), out;
    struct slice body = encoded(&r);
    uint64_t since_us = 7;
    assert_int_equal(revocations_decode(body, &out), ERR_OK);
    assert_int_equal(out.n, 0);
    assert_false(revocations_since(&out, 0, &since_us));
    assert_false(revocations_since(&out, 1, &since_us));
    assert_int_equal(since_us, 7);
}

/* Equal or falling serials have a second encoding, or cannot be searched: refused. */
static void test_order(void **state)
{
    static const struct {
        struct revocation list[3];
        enum err err;
    } cases[] = {
        {{{0, 5}, {1, 5}, {UINT64_MAX, 5}}, ERR_OK},
        {{{1, 5}, {1, 5}, {2, 5}}, ERR_FORMAT},
        {{{1, 5}, {1, 6}, {2, 5}}, ERR_FORMAT},
        {{{1, 5}, {3, 5}, {2, 5}}, ERR_FORMAT},
        {{{2, 5}, {1, 5}, {3, 5}}, ERR_FORMAT},
        {{{UINT64_MAX, 5}, {0, 5}, {1, 5}}, ERR_FORMAT},
    };
    (void)state;
    struct revocations r = list_of(3), out;
    struct slice body = encoded(&r);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice list = entries_of(cases[i].list, 3);
        memcpy(bytes + body.len - list.len, list.ptr, list.len);
        assert_int_equal(revocations_decode(body, &out), cases[i].err);
    }
}

/* --- whose word it is ---------------------------------------------------------- */

static void test_open(void **state)
{
    (void)state;
    struct zone_params zone = fixture_zone();
    struct revocations r = list_of(3), out, before;
    struct slice whole = signed_list(&r, KEY_ZONE);
    assert_int_equal(revocations_open(whole, &zone, &out), ERR_OK);
    assert_true(out.number == 12 && out.n == 3 && out.next_us == r.next_us);
    memset(&out, 0x5a, sizeof(out));
    before = out;
    for (size_t i = 0; i < whole.len; i++) {
        object.bytes[i] ^= 1;
        assert_true(revocations_open(whole, &zone, &out) != ERR_OK);
        object.bytes[i] ^= 1;
    }
    assert_memory_equal(&out, &before, sizeof(out));
    for (size_t len = 0; len < whole.len; len++)
        assert_true(revocations_open(slice_of(object.bytes, len), &zone, &out) != ERR_OK);
    assert_int_equal(revocations_open(signed_list(&r, KEY_STRANGER), &zone, &out), ERR_SIGNATURE);
    r.zone_id = fixture_id("zone2");
    assert_int_equal(revocations_open(signed_list(&r, KEY_ZONE), &zone, &out), ERR_UNAUTHORIZED);
}

/* A key that was replaced, perhaps because it was stolen, may not say who is revoked. */
static void test_only_the_current_key(void **state)
{
    static const struct {
        uint32_t epoch;
        enum fixture_key key;
        enum err err;
    } cases[] = {
        {3, KEY_ZONE_3, ERR_OK},           {3, KEY_ZONE_2, ERR_SIGNATURE},
        {3, KEY_ZONE, ERR_SIGNATURE},      {2, KEY_ZONE_2, ERR_UNAUTHORIZED},
        {1, KEY_ZONE, ERR_UNAUTHORIZED},   {2, KEY_ZONE_3, ERR_UNAUTHORIZED},
        {0, KEY_ZONE_3, ERR_UNAUTHORIZED}, {4, KEY_ZONE_3, ERR_NOT_READY},
        {4, KEY_STRANGER, ERR_NOT_READY},  {UINT32_MAX, KEY_ZONE_3, ERR_NOT_READY},
    };
    (void)state;
    struct zone_params zone = fixture_zone_rotated();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct revocations r = list_of(1), out;
        r.key_epoch = cases[i].epoch;
        enum err err = revocations_open(signed_list(&r, cases[i].key), &zone, &out);
        if (err != cases[i].err)
            fail_msg("epoch %u, %s: %s", (unsigned)cases[i].epoch, fixture_key_name(cases[i].key),
                     err_name(err));
    }
}

static void test_newer(void **state)
{
    (void)state;
    const struct revocations none = {0};
    struct revocations a = {.number = 5, .issued_us = 100}, b = a;
    assert_false(revocations_newer(&a, &b));
    assert_false(revocations_newer(&none, &none));
    assert_true(revocations_newer(&a, &none));
    assert_false(revocations_newer(&none, &a));
    b.issued_us = 101;
    assert_true(revocations_newer(&b, &a));
    assert_false(revocations_newer(&a, &b));
    a.number = 6; /* signed before, and yet the later one */
    assert_true(revocations_newer(&a, &b));
    assert_false(revocations_newer(&b, &a));
    b = (struct revocations){.key_epoch = 1, .number = UINT64_MAX, .issued_us = UINT64_MAX};
    a.key_epoch = 2; /* what a stolen key said last is outdone by the next key's first word */
    assert_true(revocations_newer(&a, &b));
    assert_false(revocations_newer(&b, &a));
    b = (struct revocations){.issued_us = 1}; /* the first list there ever is, and empty */
    assert_true(revocations_newer(&b, &none));
}

/* --- asking ------------------------------------------------------------------------ */

static void test_since(void **state)
{
    (void)state;
    const uint32_t lengths[] = {1, 2, 3, 4, 7, 8, 100, REVOCATIONS_MAX};
    for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
        struct revocations r = list_of(lengths[k]);
        for (uint64_t serial = 0; serial <= 2 * (uint64_t)lengths[k] + 1; serial++) {
            uint64_t since_us = 7;
            bool listed = serial % 2 == 1 && serial < 2 * (uint64_t)lengths[k];
            assert_int_equal(revocations_since(&r, serial, &since_us), listed);
            assert_int_equal(since_us, listed ? 10 * serial : 7);
        }
        uint64_t since_us;
        assert_false(revocations_since(&r, UINT64_MAX, &since_us));
    }
}

static void test_revoked(void **state)
{
    static const struct revocation list[] = {{0, 0}, {5, 1000}, {UINT64_MAX, UINT64_MAX}};
    (void)state;
    struct revocations r = {.n = 3, .entries = entries_of(list, 3)};
    assert_true(revocations_revoked(&r, 0, 0));
    assert_false(revocations_revoked(&r, 5, 0));
    assert_false(revocations_revoked(&r, 5, 999));
    assert_true(revocations_revoked(&r, 5, 1000));
    assert_true(revocations_revoked(&r, 5, UINT64_MAX));
    assert_false(revocations_revoked(&r, 4, UINT64_MAX));
    assert_false(revocations_revoked(&r, UINT64_MAX, UINT64_MAX - 1));
    assert_true(revocations_revoked(&r, UINT64_MAX, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),   cmocka_unit_test(test_the_longest_is_signed),
        cmocka_unit_test(test_none),    cmocka_unit_test(test_order),
        cmocka_unit_test(test_open),    cmocka_unit_test(test_only_the_current_key),
        cmocka_unit_test(test_newer),   cmocka_unit_test(test_since),
        cmocka_unit_test(test_revoked),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
