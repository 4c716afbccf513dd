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
    assert_int_equal(credential_open(signed_credential(&c, KEY_ZONE), &zone, &out), ERR_NOT_READY);
    c.key_epoch = 0;
    assert_int_equal(credential_open(signed_credential(&c, KEY_ZONE), &zone, &out),
                     ERR_UNAUTHORIZED);
    c.key_epoch = 1;
    c.zone_id = fixture_id("zone2");
    assert_int_equal(credential_open(signed_credential(&c, KEY_ZONE), &zone, &out),
                     ERR_UNAUTHORIZED);
}

/* The key of every epoch that the links lead back to, in any order; nothing of other epochs. */
static void test_keys_of_epochs(void **state)
{
    (void)state;
    struct zone_params first = fixture_zone(), third = fixture_zone_rotated();
    struct pubkey pk = {{0}};
    assert_int_equal(zone_key_of(&first, 1, &pk), ERR_OK);
    assert_true(pubkey_eq(&pk, &first.sign_pk));
    assert_int_equal(zone_key_of(&first, 0, &pk), ERR_UNAUTHORIZED);
    assert_int_equal(zone_key_of(&first, 2, &pk), ERR_NOT_READY);
    assert_int_equal(zone_key_of(&first, UINT32_MAX, &pk), ERR_NOT_READY);
    static const enum fixture_key keys[] = {KEY_ZONE, KEY_ZONE_2, KEY_ZONE_3};
    for (int swapped = 0; swapped < 2; swapped++) {
        for (uint32_t epoch = 1; epoch <= 3; epoch++) {
            struct pubkey expected = fixture_key(keys[epoch - 1]).pk;
            assert_int_equal(zone_key_of(&third, epoch, &pk), ERR_OK);
            assert_true(pubkey_eq(&pk, &expected));
        }
        assert_int_equal(zone_key_of(&third, 0, &pk), ERR_UNAUTHORIZED);
        assert_int_equal(zone_key_of(&third, 4, &pk), ERR_NOT_READY);
        struct zone_link kept = third.links[0];
        third.links[0] = third.links[1];
        third.links[1] = kept;
    }
    third.links_n = 1; /* 1 -> 2 alone: nothing leads back from the third key */
    assert_int_equal(zone_key_of(&third, 2, &pk), ERR_UNAUTHORIZED);
    assert_int_equal(zone_key_of(&third, 3, &pk), ERR_OK);
}

/* Links that skip an epoch, lead nowhere or would go round: the walk ends, and finds no key. */
static void test_keys_of_odd_links(void **state)
{
    (void)state;
    struct zone_params z = fixture_zone();
    struct pubkey pk, first = z.sign_pk, current = fixture_key(KEY_ZONE_3).pk;
    z.sign_pk = current;
    z.key_epoch = 9;
    z.links_n = 1;
    z.links[0] = (struct zone_link){4, first, 9, current, {{0}}};
    assert_int_equal(zone_key_of(&z, 4, &pk), ERR_OK);
    assert_true(pubkey_eq(&pk, &first));
    assert_int_equal(zone_key_of(&z, 5, &pk), ERR_UNAUTHORIZED);
    assert_int_equal(zone_key_of(&z, 3, &pk), ERR_UNAUTHORIZED);
    z.links[0].old_epoch = 9; /* to itself */
    assert_int_equal(zone_key_of(&z, 4, &pk), ERR_UNAUTHORIZED);
    z.links[0] = (struct zone_link){10, first, 9, current, {{0}}};
    assert_int_equal(zone_key_of(&z, 4, &pk), ERR_UNAUTHORIZED);
    z.links[0] = (struct zone_link){4, first, 8, current, {{0}}}; /* to the key at another epoch */
    assert_int_equal(zone_key_of(&z, 4, &pk), ERR_UNAUTHORIZED);
    z.links[0] = (struct zone_link){4, first, 9, first, {{0}}}; /* to another key */
    assert_int_equal(zone_key_of(&z, 4, &pk), ERR_UNAUTHORIZED);
    for (uint32_t i = 0; i < ZONE_LINKS_MAX; i++) /* as many as there can be */
        z.links[i] = (struct zone_link){i + 1, current, i + 2, current, {{0}}};
    z.links[0].old_pk = first;
    z.links_n = ZONE_LINKS_MAX;
    z.key_epoch = ZONE_LINKS_MAX + 1;
    assert_int_equal(zone_key_of(&z, 1, &pk), ERR_OK);
    assert_true(pubkey_eq(&pk, &first));
}

/* Credentials outlive the key that signed them; each counts with the key of its own epoch alone. */
static void test_credentials_of_older_epochs(void **state)
{
    static const enum fixture_key keys[] = {KEY_ZONE, KEY_ZONE_2, KEY_ZONE_3};
    (void)state;
    struct zone_params zone = fixture_zone_rotated();
    struct credential c = fixture_credential(CREDENTIAL_EDGE), out;
    for (uint32_t epoch = 1; epoch <= 3; epoch++)
        for (uint32_t k = 0; k < 3; k++) {
            c.key_epoch = epoch;
            assert_int_equal(credential_open(signed_credential(&c, keys[k]), &zone, &out),
                             k + 1 == epoch ? ERR_OK : ERR_SIGNATURE);
        }
    c.key_epoch = 4;
    assert_int_equal(credential_open(signed_credential(&c, KEY_ZONE_3), &zone, &out),
                     ERR_NOT_READY);
    c.key_epoch = 1;
    zone.links_n = 0; /* as from a zone that forgot how it came here */
    assert_int_equal(credential_open(signed_credential(&c, KEY_ZONE), &zone, &out),
                     ERR_UNAUTHORIZED);
}

/* The zone's own deletions name no epoch: any key of its history counts, and nobody else's. */
static void test_deletions_by_the_zone(void **state)
{
    static const enum fixture_key keys[] = {KEY_ZONE, KEY_ZONE_2, KEY_ZONE_3};
    (void)state;
    struct zone_params first = fixture_zone(), third = fixture_zone_rotated();
    struct deletion d = {.zone_id = first.zone_id,
                         .video_id = fixture_id("video1"),
                         .streamer_id = fixture_id("streamer1"),
                         .revision_us = 7};
    struct deletion out;
    uint8_t bytes[OBJECT_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    deletion_encode(&d, &w);
    for (size_t k = 0; k < 3; k++) {
        fixture_sign(OBJECT_DELETION, &w, keys[k], &object);
        assert_int_equal(zone_deletion_open(object.whole, &third, &out), ERR_OK);
        assert_true(id_eq(&out.video_id, &d.video_id) && out.revision_us == 7);
        assert_int_equal(zone_deletion_open(object.whole, &first, &out),
                         k == 0 ? ERR_OK : ERR_SIGNATURE);
    }
    static const enum fixture_key others[] = {KEY_STREAMER, KEY_EDGE, KEY_STRANGER};
    for (size_t k = 0; k < 3; k++) {
        fixture_sign(OBJECT_DELETION, &w, others[k], &object);
        assert_int_equal(zone_deletion_open(object.whole, &third, &out), ERR_SIGNATURE);
    }
    fixture_sign(OBJECT_CUSTODY, &w, KEY_ZONE_3, &object);
    assert_int_equal(zone_deletion_open(object.whole, &third, &out), ERR_SIGNATURE);
    assert_int_equal(zone_deletion_open(object.body, &third, &out), ERR_FORMAT);
    assert_int_equal(zone_deletion_open((struct slice){0}, &third, &out), ERR_FORMAT);
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
        cmocka_unit_test(test_keys_of_epochs),
        cmocka_unit_test(test_keys_of_odd_links),
        cmocka_unit_test(test_credentials_of_older_epochs),
        cmocka_unit_test(test_deletions_by_the_zone),
        cmocka_unit_test(test_credential_dates),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
