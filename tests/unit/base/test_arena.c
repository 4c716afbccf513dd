#include "base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_zeroed(const uint8_t *ptr, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ptr[i], 0);
}

static void test_allocations_are_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    struct arena arena = {0};
    uint8_t *last[64];
    for (size_t n = 1; n < 64; n++) {
        last[n] = arena_alloc(&arena, n);
        assert_int_equal((uintptr_t)last[n] % alignof(max_align_t), 0);
        assert_zeroed(last[n], n);
        memset(last[n], (int)n, n);
    }
    for (size_t n = 1; n < 64; n++)
        for (size_t i = 0; i < n; i++)
            assert_int_equal(last[n][i], n);
    arena_release(&arena);
}

/* Nothing, a whole block, one byte more, and several blocks at once. */
static void test_block_edges(void **state)
{
    static const size_t sizes[] = {0, ARENA_BLOCK_BYTES, ARENA_BLOCK_BYTES + 1,
                                   10 * ARENA_BLOCK_BYTES};
    (void)state;
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *ptr = arena_alloc(&arena, sizes[i]);
        assert_non_null(ptr);
        assert_zeroed(ptr, sizes[i]);
        memset(ptr, 0xff, sizes[i]);
    }
    arena_release(&arena);
    assert_null(arena.head);
}

static void test_copy(void **state)
{
    (void)state;
    struct arena arena = {0};
    char text[] = "title";
    struct slice copy = arena_copy(&arena, slice_str(text));
    text[0] = 'T';
    assert_true(slice_eq_str(copy, "title"));
    assert_string_equal((const char *)copy.ptr, "title");
    struct slice none = arena_copy(&arena, (struct slice){0});
    assert_int_equal(none.len, 0);
    assert_string_equal((const char *)none.ptr, "");
    arena_release(&arena);
}

/* A reset keeps one block of the usual size, never a large one, and its bytes come back zeroed. */
static void test_reset_reuses(void **state)
{
    (void)state;
    struct arena arena = {0};
    uint8_t *first = arena_alloc(&arena, 100);
    memset(first, 0xff, 100);
    arena_alloc(&arena, ARENA_BLOCK_BYTES);
    arena_alloc(&arena, 3 * ARENA_BLOCK_BYTES);
    arena_reset(&arena);
    uint8_t *again = arena_alloc(&arena, 100);
    assert_ptr_equal(again, first);
    assert_zeroed(again, 100);
    arena_release(&arena);

    arena_alloc(&arena, ARENA_BLOCK_BYTES + 1);
    arena_reset(&arena);
    assert_null(arena.head);
}

static void test_zeroed_is_released(void **state)
{
    (void)state;
    struct arena arena = {0};
    arena_reset(&arena);
    arena_release(&arena);
    arena_release(&arena);
    assert_null(arena.head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations_are_aligned_zeroed_and_apart),
        cmocka_unit_test(test_block_edges),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_reset_reuses),
        cmocka_unit_test(test_zeroed_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
