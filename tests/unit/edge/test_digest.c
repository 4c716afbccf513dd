/* The tree of sums: whatever comes and goes in whatever order, only what is there counts. */
#include "base/check.h"
#include "edge/core/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 400 };

static const uint8_t key[KEY_BYTES] = "the key of this zone";

struct row {
    uint16_t leaf;
    struct row_digest digest;
};

static uint32_t draw(uint64_t counter, uint32_t below)
{
    static const uint8_t seed[KEY_BYTES] = "digest";
    uint32_t v;
    crypto_expand(seed, counter, &v, sizeof(v));
    return v % below;
}

static void make_rows(struct row rows[ROWS])
{
    for (uint32_t i = 0; i < ROWS; i++) {
        static const uint16_t some[] = {0, 1, 0x0010, 0x1000, 0x1234, 0xffff};
        rows[i].leaf = i % 2 ? some[draw(i, 6)] : (uint16_t)draw(i, DIGEST_LEAVES);
        struct hash h = hash_of(slice_of(&i, sizeof(i)), slice_of(NULL, 0));
        memcpy(rows[i].digest.b, h.b, ROW_DIGEST_BYTES);
    }
}

static void assert_same(const struct digest *a, const struct digest *b)
{
    uint8_t x[ROOT_DIGEST_BYTES], y[ROOT_DIGEST_BYTES];
    digest_root(a, x);
    digest_root(b, y);
    assert_memory_equal(x, y, ROOT_DIGEST_BYTES);
    for (unsigned depth = 0; depth <= DIGEST_DEPTH; depth++) {
        for (unsigned prefix = 0; prefix < 1u << (4 * depth); prefix++) {
            struct digest_node node = {(uint8_t)depth, (uint16_t)prefix};
            digest_of_node(a, node, x);
            digest_of_node(b, node, y);
            assert_memory_equal(x, y, NODE_DIGEST_BYTES);
        }
    }
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

static void nothing_is_all_zero(void **state)
{
    (void)state;
    struct digest *d = digest_new(key);
    uint8_t root[ROOT_DIGEST_BYTES], node[NODE_DIGEST_BYTES];
    struct row rows[ROWS];
    make_rows(rows);
    for (int round = 0; round < 2; round++) {
        digest_root(d, root);
        assert_true(is_zero(root, ROOT_DIGEST_BYTES));
        digest_of_node(d, (struct digest_node){DIGEST_DEPTH, 0xffff}, node);
        assert_true(is_zero(node, NODE_DIGEST_BYTES));
        for (size_t i = 0; i < ROWS; i++)
            digest_add(d, rows[i].leaf, &rows[i].digest);
        digest_root(d, root);
        assert_false(is_zero(root, ROOT_DIGEST_BYTES));
        for (size_t i = 0; i < ROWS; i++)
            digest_remove(d, rows[i].leaf, &rows[i].digest);
    }
    digest_root(d, root);
    assert_true(is_zero(root, ROOT_DIGEST_BYTES));
    digest_free(d);
    digest_free(NULL);
}

static void the_order_does_not_matter(void **state)
{
    (void)state;
    struct digest *a = digest_new(key), *b = digest_new(key);
    struct row rows[ROWS], other = {0x1234, {{1}}};
    make_rows(rows);
    digest_remove(b, other.leaf, &other.digest); /* even before it comes */
    for (size_t i = 0; i < ROWS; i++) {
        digest_add(a, rows[i].leaf, &rows[i].digest);
        digest_add(b, rows[ROWS - 1 - i].leaf, &rows[ROWS - 1 - i].digest);
    }
    digest_add(b, other.leaf, &other.digest);
    assert_same(a, b);
    digest_free(a);
    digest_free(b);
}

/* A row shows in exactly the nodes above its leaf. */
static void a_row_is_found_from_the_root(void **state)
{
    (void)state;
    static const uint16_t leaves[] = {0, 0xffff, 0x1234, 0x8000};
    struct row rows[ROWS];
    make_rows(rows);
    for (size_t k = 0; k < 4; k++) {
        struct digest *a = digest_new(key), *b = digest_new(key);
        struct row_digest row = {{(uint8_t)k, 7}};
        for (size_t i = 0; i < ROWS; i++) {
            digest_add(a, rows[i].leaf, &rows[i].digest);
            digest_add(b, rows[i].leaf, &rows[i].digest);
        }
        digest_add(b, leaves[k], &row);
        uint8_t x[ROOT_DIGEST_BYTES], y[ROOT_DIGEST_BYTES];
        digest_root(a, x);
        digest_root(b, y);
        assert_memory_not_equal(x, y, ROOT_DIGEST_BYTES);
        for (unsigned depth = 0; depth <= DIGEST_DEPTH; depth++) {
            unsigned above = (unsigned)leaves[k] >> (4 * (DIGEST_DEPTH - depth));
            for (unsigned prefix = 0; prefix < 1u << (4 * depth); prefix++) {
                struct digest_node node = {(uint8_t)depth, (uint16_t)prefix};
                digest_of_node(a, node, x);
                digest_of_node(b, node, y);
                assert_int_equal(memcmp(x, y, NODE_DIGEST_BYTES) == 0, prefix != above);
            }
        }
        digest_free(a);
        digest_free(b);
    }
}

/* The same row twice is not the same as not at all, as it would be with an exclusive or. */
static void doubled_rows_do_not_cancel(void **state)
{
    (void)state;
    struct digest *a = digest_new(key), *b = digest_new(key);
    struct row_digest row = {{42}};
    uint8_t x[ROOT_DIGEST_BYTES], y[ROOT_DIGEST_BYTES];
    for (int i = 0; i < 4; i++) {
        digest_add(a, 5, &row);
        digest_add(a, 5, &row);
        digest_root(a, x);
        digest_root(b, y);
        assert_memory_not_equal(x, y, ROOT_DIGEST_BYTES);
        digest_add(b, 5, &row);
    }
    digest_free(a);
    digest_free(b);
}

static void the_key_counts(void **state)
{
    (void)state;
    static const uint8_t secret[KEY_BYTES] = "secret", another[KEY_BYTES] = "secret.";
    struct hash k = digest_key(secret), l = digest_key(another);
    struct hash expected = mac_of(secret, slice_str("edge-cluster/v1/digest-key"));
    assert_true(hash_eq(&k, &expected));
    assert_false(hash_eq(&k, &l));
    struct digest *a = digest_new(k.b), *b = digest_new(l.b);
    struct row_digest row = {{42}};
    uint8_t x[ROOT_DIGEST_BYTES], y[ROOT_DIGEST_BYTES];
    digest_add(a, 5, &row);
    digest_add(b, 5, &row);
    digest_root(a, x);
    digest_root(b, y);
    assert_memory_not_equal(x, y, ROOT_DIGEST_BYTES);
    digest_free(a);
    digest_free(b);
}

/* Whatever field a byte is in, or moves to, it is another row. */
static void rows_are_told_apart(void **state)
{
    (void)state;
    const struct slice none = {0}, ab = slice_str("ab"), a = slice_str("a"), b = slice_str("b");
    const struct row_digest digests[] = {
        row_digest_of_claim(ab, none, none), row_digest_of_claim(a, b, none),
        row_digest_of_claim(a, none, b),     row_digest_of_claim(none, ab, none),
        row_digest_of_claim(none, a, b),     row_digest_of_claim(none, none, ab),
        row_digest_of_holding(ab, none),     row_digest_of_holding(a, b),
        row_digest_of_holding(none, ab),     row_digest_of_claim(none, none, none),
        row_digest_of_holding(none, none),
    };
    size_t n = sizeof(digests) / sizeof(digests[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            assert_int_equal(row_digest_eq(&digests[i], &digests[j]), i == j);
}

static void keys_are_told_apart(void **state)
{
    (void)state;
    const struct id ab = {"ab"}, a = {"a"}, b = {"b"}, c = {"c"};
    uint8_t x[ROW_KEY_BYTES], y[ROW_KEY_BYTES];
    row_key_of_claim(&ab, &c, x);
    row_key_of_claim(&a, &b, y);
    assert_memory_not_equal(x, y, ROW_KEY_BYTES);
    row_key_of_holding(&a, &b, &c, x);
    assert_memory_not_equal(x, y, ROW_KEY_BYTES);
    row_key_of_holding(&a, &b, &c, y);
    assert_memory_equal(x, y, ROW_KEY_BYTES);
    row_key_of_holding(&a, &c, &b, y);
    assert_memory_not_equal(x, y, ROW_KEY_BYTES);
}

static void leaves_are_the_first_bits_of_a_hash(void **state)
{
    (void)state;
    struct hash h = hash_of(slice_str("video1"), slice_of(NULL, 0));
    assert_int_equal(digest_leaf_of(&(struct id){"video1"}), h.b[0] * 256 + h.b[1]);
}

int main(void)
{
    CHECK(crypto_init() == ERR_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_all_zero),
        cmocka_unit_test(the_order_does_not_matter),
        cmocka_unit_test(a_row_is_found_from_the_root),
        cmocka_unit_test(doubled_rows_do_not_cancel),
        cmocka_unit_test(the_key_counts),
        cmocka_unit_test(rows_are_told_apart),
        cmocka_unit_test(keys_are_told_apart),
        cmocka_unit_test(leaves_are_the_first_bits_of_a_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
