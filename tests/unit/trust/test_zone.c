#include "tests/unit/trust/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct fixture_object object;

static struct slice signed_zone(const struct zone_params *z, enum fixture_key key)
{
    uint8_t bytes[OBJECT_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    zone_params_encode(z, &w);
    fixture_sign(OBJECT_ZONE, &w, key, &object);
    return object.whole;
}

static struct slice signed_credential(const struct credential *c, enum fixture_key key)
{
    uint8_t bytes[OBJECT_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    credential_encode(c, &w);
    fixture_sign(OBJECT_CREDENTIAL, &w, key, &object);
    return object.whole;
}

static void test_zone_open(void **state)
{
    (void)state;
    struct zone_params z = fixture_zone_rotated(), out;
    struct slice bytes = signed_zone(&z, KEY_ZONE_3);
    assert_int_equal(zone_open(bytes, &out), ERR_OK);
    assert_true(id_eq(&out.zone_id, &z.zone_id));
    assert_int_equal(out.links_n, 2);
    for (size_t i = 0; i < bytes.len; i++) {
        object.bytes[i] ^= 1;
        assert_true(zone_open(bytes, &out) != ERR_OK);
        object.bytes[i] ^= 1;
    }
    assert_int_equal(zone_open(signed_zone(&z, KEY_ZONE), &out), ERR_SIGNATURE);
    assert_int_equal(zone_open((struct slice){0}, &out), ERR_FORMAT);
}

static void test_same_epoch(void **state)
{
    (void)state;
    struct zone_params pin = fixture_zone(), offered = pin;
    offered.issued_us++;
    offered.box_pk = fixture_key(KEY_STRANGER).pk;
    assert_int_equal(zone_accept(&pin, &offered), ERR_OK);
    offered.zone_id = fixture_id("zone2");
    assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
    offered = pin;
    offered.sign_pk = fixture_key(KEY_STRANGER).pk;
    assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
    offered = pin;
    offered.key_epoch = 0;
    assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
    offered.key_epoch = 2;
    assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
}

static void test_links(void **state)
{
    (void)state;
    struct zone_params pin = fixture_zone(), offered = fixture_zone_rotated();
    assert_int_equal(zone_accept(&pin, &offered), ERR_OK);
    assert_int_equal(zone_accept(&offered, &offered), ERR_OK);
    assert_int_equal(zone_accept(&offered, &pin), ERR_UNAUTHORIZED); /* never back */
    struct zone_params middle = pin;
    middle.sign_pk = fixture_key(KEY_ZONE_2).pk;
    middle.key_epoch = 2;
    assert_int_equal(zone_accept(&middle, &offered), ERR_OK);

    struct zone_link first = offered.links[0];
    offered.links[0] = offered.links[1];
    offered.links[1] = first;
    assert_int_equal(zone_accept(&pin, &offered), ERR_OK); /* in any order */
    offered.links_n = 1;
    assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
    assert_int_equal(zone_accept(&middle, &offered), ERR_OK);
    offered.links_n = 0;
    assert_int_equal(zone_accept(&middle, &offered), ERR_UNAUTHORIZED);
}

/* Any change to a link that is needed breaks the chain. */
static void test_broken_links(void **state)
{
    (void)state;
    struct zone_params pin = fixture_zone();
    for (size_t i = 0; i < 2; i++)
        for (size_t at = 0; at < sizeof(struct zone_link); at++) {
            struct zone_params offered = fixture_zone_rotated();
            ((uint8_t *)&offered.links[i])[at] ^= 1;
            assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
        }
    struct zone_params offered = fixture_zone_rotated();
    pin.zone_id = offered.zone_id = fixture_id("zone2"); /* links of another zone */
    assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
}

/* A link of zone1 that the zone's first key did sign. */
static struct zone_link signed_link(uint32_t old_epoch, uint32_t new_epoch,
                                    enum fixture_key new_key)
{
    struct signkey key = fixture_key(KEY_ZONE);
    struct id zone_id = fixture_id("zone1");
    uint8_t bytes[256];
    struct writer w = writer_of(bytes, sizeof(bytes));
    struct zone_link l = {old_epoch, key.pk, new_epoch, fixture_key(new_key).pk, {{0}}};
    zone_link_body(&zone_id, &l, &w);
    l.sig = object_sign(OBJECT_ZONE_LINK, slice_of(bytes, w.len), &key);
    return l;
}

/* A link from the pinned key, but from another epoch than the pinned one. */
static void test_link_of_another_epoch(void **state)
{
    (void)state;
    struct zone_params pin = fixture_zone(), offered = fixture_zone();
    offered.sign_pk = fixture_key(KEY_ZONE_2).pk;
    offered.key_epoch = 3;
    offered.links_n = 1;
    offered.links[0] = signed_link(1, 3, KEY_ZONE_2);
    assert_int_equal(zone_accept(&pin, &offered), ERR_OK);
    offered.links[0] = signed_link(2, 3, KEY_ZONE_2);
    assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
    offered.links[0] = signed_link(1, 2, KEY_ZONE_2); /* leads to the key at another epoch */
    assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
}

/* A link that goes back or stays, signed by the key itself, must not loop. */
static void test_circular_links(void **state)
{
    (void)state;
    struct zone_params pin = fixture_zone(), offered = fixture_zone();
    offered.sign_pk = fixture_key(KEY_STRANGER).pk;
    offered.key_epoch = 9;
    for (uint32_t new_epoch = 0; new_epoch <= 1; new_epoch++) {
        offered.links_n = 1;
        offered.links[0] = signed_link(1, new_epoch, KEY_ZONE);
        assert_int_equal(zone_accept(&pin, &offered), ERR_UNAUTHORIZED);
        struct zone_params key_alone = {.sign_pk = pin.sign_pk};
        assert_int_equal(zone_accept(&key_alone, &offered), ERR_UNAUTHORIZED);
    }
}

/* --zone-key: the key alone is known. */
static void test_key_alone(void **state)
{
    (void)state;
    struct zone_params pin = {.sign_pk = fixture_key(KEY_ZONE).pk};
    struct zone_params first = fixture_zone(), third = fixture_zone_rotated();
    assert_int_equal(zone_accept(&pin, &first), ERR_OK);
    assert_int_equal(zone_accept(&pin, &third), ERR_OK);
    first.key_epoch = 77;
    assert_int_equal(zone_accept(&pin, &first), ERR_OK);
    pin.sign_pk = fixture_key(KEY_ZONE_2).pk;
    assert_int_equal(zone_accept(&pin, &third), ERR_OK);
    assert_int_equal(zone_accept(&pin, &first), ERR_UNAUTHORIZED);
    pin.sign_pk = fixture_key(KEY_STRANGER).pk;
    assert_int_equal(zone_accept(&pin, &third), ERR_UNAUTHORIZED);
}

static void test_credential_open(void **state)
{
    (void)state;
    struct zone_params zone = fixture_zone();
    struct credential c = fixture_credential(CREDENTIAL_STREAMER), out;
    struct slice bytes = signed_credential(&c, KEY_ZONE);
    assert_int_equal(credential_open(bytes, &zone, &out), ERR_OK);
    assert_int_equal(out.kind, CREDENTIAL_STREAMER);
    assert_true(id_eq(&out.subject, &c.subject));
    assert_true(pubkey_eq(&out.pk, &c.pk));
    for (size_t i = 0; i < bytes.len; i++) {
        object.bytes[i] ^= 1;
        assert_true(credential_open(bytes, &zone, &out) != ERR_OK);
        object.bytes[i] ^= 1;
    }
    assert_int_equal(credential_open(slice_of(bytes.ptr, 20), &zone, &out), ERR_FORMAT);
    assert_int_equal(credential_open(signed_credential(&c, KEY_STRANGER), &zone, &out),
                     ERR_SIGNATURE);
    c.key_epoch = 2;
    assert_int_equal(credential_open(signed_credential(&c, KEY_ZONE), &zone, &out),
                     ERR_UNAUTHORIZED);
    c.key_epoch = 1;
    c.zone_id = fixture_id("zone2");
    assert_int_equal(credential_open(signed_credential(&c, KEY_ZONE), &zone, &out),
                     ERR_UNAUTHORIZED);
}

static void test_credential_dates(void **state)
{
    (void)state;
    struct credential c = {.not_before_us = 10, .not_after_us = 20};
    assert_false(credential_valid_at(&c, 0));
    assert_false(credential_valid_at(&c, 9));
    assert_true(credential_valid_at(&c, 10));
    assert_true(credential_valid_at(&c, 19));
    assert_false(credential_valid_at(&c, 20));
    assert_false(credential_valid_at(&c, UINT64_MAX));
    c.not_after_us = 10;
    assert_false(credential_valid_at(&c, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zone_open),
        cmocka_unit_test(test_same_epoch),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_broken_links),
        cmocka_unit_test(test_link_of_another_epoch),
        cmocka_unit_test(test_circular_links),
        cmocka_unit_test(test_key_alone),
        cmocka_unit_test(test_credential_open),
        cmocka_unit_test(test_credential_dates),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
