/* What two edges have to tell each other about a leaf. */
#include "edge/core/differ.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct sync_entry entry(enum sync_row_kind kind, uint8_t key, uint64_t version,
                               uint8_t digest)
{
    return (struct sync_entry){.kind = kind, .key = {key}, .version = version, .digest = {digest}};
}

static struct sync_leaf leaf(struct sync_entry *entries, size_t n)
{
    return (struct sync_leaf){.leaf = 7, .n = n, .entries = entries};
}

/* One of each at most: whether it is wanted, whether it is sent. */
static void expect(struct sync_entry *theirs, size_t theirs_n, struct sync_entry *ours,
                   size_t ours_n, size_t wants_n, size_t rows_n)
{
    struct arena arena = {0};
    struct sync_leaf a = leaf(theirs, theirs_n);
    struct sync_leaf b = leaf(ours, ours_n);
    struct difference d;
    assert_null(differ_leaf(&a, &b, &arena, &d));
    assert_int_equal(d.wants_n, wants_n);
    assert_int_equal(d.rows_n, rows_n);
    for (size_t i = 0; i < wants_n; i++)
        assert_int_equal(d.wants[i].leaf, 7);
    arena_release(&arena);
}

static void test_one(void **state)
{
    (void)state;
    struct sync_entry a = entry(SYNC_ROW_CUSTODY, 1, 5, 10);
    struct sync_entry same = a;
    struct sync_entry older = entry(SYNC_ROW_CUSTODY, 1, 4, 20);
    struct sync_entry tie = entry(SYNC_ROW_CUSTODY, 1, 5, 30);
    struct sync_entry presence = entry(SYNC_ROW_PRESENCE, 1, 5, 40);
    expect(NULL, 0, NULL, 0, 0, 0);
    expect(&a, 1, NULL, 0, 1, 0);
    expect(NULL, 0, &a, 1, 0, 1);
    expect(&a, 1, &same, 1, 0, 0);
    expect(&a, 1, &older, 1, 1, 0);
    expect(&older, 1, &a, 1, 0, 1);
    expect(&a, 1, &tie, 1, 1, 1);      /* which is newer cannot be told */
    expect(&a, 1, &presence, 1, 1, 1); /* of the same edge, about something else */
}

/* A claim and its deletion are about the same, and the deletion wins a tie. */
static void test_deletions(void **state)
{
    (void)state;
    struct sync_entry claim = entry(SYNC_ROW_CLAIM, 1, 5, 10);
    struct sync_entry gone = entry(SYNC_ROW_DELETION, 1, 5, 20);
    struct sync_entry revised = entry(SYNC_ROW_CLAIM, 1, 6, 30);
    expect(&claim, 1, &gone, 1, 0, 1);
    expect(&gone, 1, &claim, 1, 1, 0);
    expect(&gone, 1, &revised, 1, 0, 1);
}

/* Two things whose short keys are the same do not hide each other for good. */
static void test_keys_that_collide(void **state)
{
    (void)state;
    struct sync_entry theirs[] = {entry(SYNC_ROW_CUSTODY, 1, 9, 10)};
    struct sync_entry ours[] = {entry(SYNC_ROW_CUSTODY, 1, 5, 20)};
    struct sync_entry both[] = {ours[0], theirs[0]};
    expect(theirs, 1, ours, 1, 1, 0);
    expect(theirs, 1, both, 2, 0, 1); /* when we have theirs, ours goes */
}

static void test_claims_first(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct sync_entry ours[] = {entry(SYNC_ROW_PRESENCE, 1, 5, 1), entry(SYNC_ROW_CUSTODY, 2, 5, 2),
                                entry(SYNC_ROW_CLAIM, 200, 5, 255)};
    struct sync_leaf a = leaf(NULL, 0);
    struct sync_leaf b = leaf(ours, 3);
    struct difference d;
    differ_leaf(&a, &b, &arena, &d);
    assert_int_equal(d.rows_n, 3);
    assert_int_equal(d.rows[0].digest[0], 255);
    arena_release(&arena);
}

/* Beyond where a list was cut off nothing is known. */
static void test_cut_off(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct sync_entry theirs[] = {entry(SYNC_ROW_CUSTODY, 1, 5, 10),
                                  entry(SYNC_ROW_CUSTODY, 2, 5, 20)};
    struct sync_entry ours[] = {entry(SYNC_ROW_CUSTODY, 3, 5, 15),
                                entry(SYNC_ROW_CUSTODY, 4, 5, 25)};
    struct sync_leaf a = leaf(theirs, 2);
    struct sync_leaf b = leaf(ours, 2);
    struct difference d;
    a.more = true;
    a.through[0] = 20;
    const uint8_t *through = differ_leaf(&a, &b, &arena, &d);
    assert_int_equal(through[0], 20);
    assert_true(d.wants_n == 2 && d.rows_n == 1);
    b.more = true;
    b.through[0] = 15;
    through = differ_leaf(&a, &b, &arena, &d);
    assert_int_equal(through[0], 15);
    assert_true(d.wants_n == 1 && d.rows_n == 1);
    a.more = false;
    through = differ_leaf(&a, &b, &arena, &d);
    assert_int_equal(through[0], 15);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_deletions),
        cmocka_unit_test(test_keys_that_collide),
        cmocka_unit_test(test_claims_first),
        cmocka_unit_test(test_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
