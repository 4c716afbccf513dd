#include "tests/unit/trust/fixture.h"
#include "trust/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LEAVES_N = 130 };

static struct hash leaves[LEAVES_N];

static struct hash node_of(const struct hash *left, const struct hash *right)
{
    uint8_t bytes[1 + 2 * HASH_BYTES] = {0x01};
    memcpy(bytes + 1, left->b, HASH_BYTES);
    memcpy(bytes + 1 + HASH_BYTES, right->b, HASH_BYTES);
    return hash_of(slice_of(bytes, sizeof(bytes)), (struct slice){0});
}

static uint32_t split_of(uint32_t n)
{
    uint32_t k = 1;
    while (k * 2 < n)
        k *= 2;
    return k;
}

/* MTH and PATH, word for word from RFC 9162 §2.1.1 and §2.1.3.1. */
static struct hash mth(const struct hash *d, uint32_t n)
{
    if (n == 1)
        return d[0];
    uint32_t k = split_of(n);
    struct hash left = mth(d, k), right = mth(d + k, n - k);
    return node_of(&left, &right);
}

static size_t path(uint32_t m, const struct hash *d, uint32_t n, struct hash *ret)
{
    if (n == 1)
        return 0;
    uint32_t k = split_of(n);
    size_t len = m < k ? path(m, d, k, ret) : path(m - k, d + k, n - k, ret);
    ret[len] = m < k ? mth(d + k, n - k) : mth(d, k);
    return len + 1;
}

static int fill_leaves(void **state)
{
    (void)state;
    for (size_t i = 0; i < LEAVES_N; i++)
        leaves[i] = merkle_leaf(slice_of(&i, 1));
    return 0;
}

static void test_against_the_rfc(void **state)
{
    (void)state;
    struct merkle tree = {0};
    for (uint32_t n = 1; n <= LEAVES_N; n++) {
        merkle_add(&tree, &leaves[n - 1]);
        struct hash root = merkle_root(&tree), expected = mth(leaves, n);
        assert_true(hash_eq(&root, &expected));
        for (uint32_t i = 0; i < n; i++) {
            struct hash proof[MERKLE_DEPTH_MAX], rfc[MERKLE_DEPTH_MAX];
            size_t len = path(i, leaves, n, rfc);
            assert_int_equal(merkle_proof_len(i, n), len);
            merkle_prove(leaves, n, i, proof);
            assert_memory_equal(proof, rfc, len * sizeof(proof[0]));
            struct slice bytes = slice_of(proof, len * HASH_BYTES);
            assert_int_equal(merkle_check(&leaves[i], i, n, bytes, &root), ERR_OK);
        }
    }
}

static void test_lone_leaf(void **state)
{
    (void)state;
    struct merkle tree = {0};
    merkle_add(&tree, &leaves[0]);
    struct hash root = merkle_root(&tree);
    assert_true(hash_eq(&root, &leaves[0]));
    assert_int_equal(merkle_check(&leaves[0], 0, 1, (struct slice){0}, &root), ERR_OK);
    assert_int_equal(merkle_check(&leaves[1], 0, 1, (struct slice){0}, &root), ERR_SIGNATURE);
}

/* No leaf passes under another index, count, root or with another proof. */
static void test_nothing_else_passes(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 17; n++) {
        struct hash root = mth(leaves, n);
        for (uint32_t i = 0; i < n; i++) {
            struct hash proof[MERKLE_DEPTH_MAX + 1] = {0};
            merkle_prove(leaves, n, i, proof);
            size_t len = merkle_proof_len(i, n) * HASH_BYTES;
            struct slice bytes = slice_of(proof, len);
            for (uint32_t other = 0; other <= n; other++)
                if (other != i)
                    assert_true(merkle_check(&leaves[i], other, n, bytes, &root) != ERR_OK);
            assert_int_equal(merkle_check(&leaves[n], i, n, bytes, &root), ERR_SIGNATURE);
            assert_int_equal(
                merkle_check(&leaves[i], i, n, slice_of(proof, len + HASH_BYTES), &root),
                ERR_FORMAT);
            assert_int_equal(merkle_check(&leaves[i], i, n, slice_of(proof, len + 1), &root),
                             ERR_FORMAT);
            if (len)
                assert_int_equal(merkle_check(&leaves[i], i, n, slice_of(proof, len - 1), &root),
                                 ERR_FORMAT);
            for (size_t at = 0; at < len; at++) {
                ((uint8_t *)proof)[at] ^= 0x80;
                assert_int_equal(merkle_check(&leaves[i], i, n, bytes, &root), ERR_SIGNATURE);
                ((uint8_t *)proof)[at] ^= 0x80;
            }
        }
    }
}

/* A node is no leaf: 0x00 and 0x01 keep them apart. */
static void test_second_preimage(void **state)
{
    (void)state;
    uint8_t children[2 * HASH_BYTES];
    memcpy(children, leaves[0].b, HASH_BYTES);
    memcpy(children + HASH_BYTES, leaves[1].b, HASH_BYTES);
    struct hash root = mth(leaves, 2);
    struct hash forged = merkle_leaf(slice_of(children, sizeof(children)));
    assert_int_equal(merkle_check(&forged, 0, 1, (struct slice){0}, &root), ERR_SIGNATURE);
}

static void test_proof_len_at_the_limits(void **state)
{
    (void)state;
    assert_int_equal(merkle_proof_len(0, 1), 0);
    assert_int_equal(merkle_proof_len(4095, 4096), 12);
    assert_int_equal(merkle_proof_len(4096, 4097), 1);
    assert_int_equal(merkle_proof_len(0, UINT32_MAX), MERKLE_DEPTH_MAX);
    assert_int_equal(merkle_proof_len(UINT32_MAX - 1, UINT32_MAX), MERKLE_DEPTH_MAX - 1);
    struct hash root = {0};
    assert_int_equal(merkle_check(&root, 0, 0, (struct slice){0}, &root), ERR_FORMAT);
    assert_int_equal(merkle_check(&root, UINT32_MAX, UINT32_MAX, (struct slice){0}, &root),
                     ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_rfc),         cmocka_unit_test(test_lone_leaf),
        cmocka_unit_test(test_nothing_else_passes),     cmocka_unit_test(test_second_preimage),
        cmocka_unit_test(test_proof_len_at_the_limits),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, fill_leaves, NULL);
}
