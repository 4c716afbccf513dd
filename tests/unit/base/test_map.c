#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { KEYS = 200, STEPS = 40000 };

static void test_put_get_remove(void **state)
{
    (void)state;
    struct map map;
    int a, b;
    map_init(&map, 2);
    assert_null(map_get(&map, slice_str("a")));
    assert_null(map_remove(&map, slice_str("a")));
    assert_int_equal(map_put(&map, slice_str("a"), &a), ERR_OK);
    assert_int_equal(map_put(&map, slice_str("a"), &b), ERR_CONFLICT);
    assert_ptr_equal(map_get(&map, slice_str("a")), &a);
    assert_null(map_get(&map, slice_str("A")));
    assert_ptr_equal(map_remove(&map, slice_str("a")), &a);
    assert_null(map_get(&map, slice_str("a")));
    assert_int_equal(map_put(&map, slice_str("a"), &b), ERR_OK);
    assert_ptr_equal(map_get(&map, slice_str("a")), &b);
    map_release(&map);
}

static void test_capacity(void **state)
{
    (void)state;
    struct map map;
    int v;
    map_init(&map, 0);
    assert_int_equal(map_put(&map, slice_str("a"), &v), ERR_LIMIT);
    assert_null(map_get(&map, slice_str("a")));
    map_release(&map);

    map_init(&map, 3);
    assert_int_equal(map_put(&map, slice_str("a"), &v), ERR_OK);
    assert_int_equal(map_put(&map, slice_str("b"), &v), ERR_OK);
    assert_int_equal(map_put(&map, slice_str("c"), &v), ERR_OK);
    assert_int_equal(map_put(&map, slice_str("d"), &v), ERR_LIMIT);
    assert_int_equal(map_put(&map, slice_str("c"), &v), ERR_CONFLICT);
    assert_int_equal(map.count, 3);
    assert_ptr_equal(map_remove(&map, slice_str("b")), &v);
    assert_int_equal(map_put(&map, slice_str("d"), &v), ERR_OK);
    map_release(&map);
}

/* The empty key and keys with zero bytes in them are keys like others. */
static void test_odd_keys(void **state)
{
    (void)state;
    struct map map;
    int a, b, c;
    map_init(&map, 3);
    assert_int_equal(map_put(&map, slice_str(""), &a), ERR_OK);
    assert_int_equal(map_put(&map, slice_of("\0", 1), &b), ERR_OK);
    assert_int_equal(map_put(&map, slice_of("\0\0", 2), &c), ERR_OK);
    assert_ptr_equal(map_get(&map, slice_str("")), &a);
    assert_ptr_equal(map_get(&map, slice_of("\0", 1)), &b);
    assert_ptr_equal(map_remove(&map, slice_of("\0\0", 2)), &c);
    assert_ptr_equal(map_get(&map, slice_of("\0", 1)), &b);
    map_release(&map);
}

static void test_released_twice(void **state)
{
    (void)state;
    struct map map = {0};
    map_release(&map);
    map_init(&map, 1);
    map_release(&map);
    map_release(&map);
    assert_null(map.slots);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

struct value {
    char key[8];
    bool present; /* the naive model: what the map must know */
};

static void assert_same(const struct map *map, struct value *values, size_t count)
{
    assert_int_equal(map->count, count);
    size_t walked = 0, cursor = 0;
    for (struct value *v; (v = map_next(map, &cursor)); walked++)
        assert_true(v->present);
    assert_int_equal(walked, count);
    for (size_t i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(map, slice_str(values[i].key)),
                         values[i].present ? &values[i] : NULL);
}

/* Random puts and removes beside a naive model, in a map that runs full and empty in turns. */
static void compare_with_model(uint32_t seed, size_t cap)
{
    static struct value values[KEYS];
    struct map map;
    size_t count = 0;
    map_init(&map, cap);
    for (size_t i = 0; i < KEYS; i++) {
        values[i].present = false;
        snprintf(values[i].key, sizeof(values[i].key), "k%zu", i);
    }
    for (int step = 0; step < STEPS; step++) {
        struct value *v = &values[next_random(&seed) % KEYS];
        bool filling = (step / 1000) % 2 == 0;
        if (next_random(&seed) % 4 == 0 ? !filling : filling) {
            enum err expected = v->present ? ERR_CONFLICT : count == cap ? ERR_LIMIT : ERR_OK;
            assert_int_equal(map_put(&map, slice_str(v->key), v), expected);
            count += expected == ERR_OK;
            v->present |= expected == ERR_OK;
        } else {
            assert_ptr_equal(map_remove(&map, slice_str(v->key)), v->present ? v : NULL);
            count -= v->present;
            v->present = false;
        }
        if (step % 500 == 0)
            assert_same(&map, values, count);
    }
    assert_same(&map, values, count);
    map_release(&map);
}

static void test_against_a_model(void **state)
{
    (void)state;
    compare_with_model(0x9e3779b9u, KEYS);
    compare_with_model(0x12345678u, KEYS / 2);
    compare_with_model(0xdeadbeefu, 8);
    compare_with_model(0x00000001u, 1);
}

/* The order of a walk depends on keys and calls alone: two maps at different addresses agree. */
static void test_walks_replay(void **state)
{
    (void)state;
    static char keys[KEYS][8];
    struct map a, b;
    map_init(&a, KEYS);
    map_init(&b, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
        assert_int_equal(map_put(&a, slice_str(keys[i]), keys[i]), ERR_OK);
        assert_int_equal(map_put(&b, slice_str(keys[i]), keys[i]), ERR_OK);
    }
    for (size_t i = 0; i < KEYS; i += 3) {
        map_remove(&a, slice_str(keys[i]));
        map_remove(&b, slice_str(keys[i]));
    }
    size_t at_a = 0, at_b = 0;
    for (void *v; (v = map_next(&a, &at_a));)
        assert_ptr_equal(map_next(&b, &at_b), v);
    assert_null(map_next(&b, &at_b));
    map_release(&a);
    map_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_remove),  cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_odd_keys),        cmocka_unit_test(test_released_twice),
        cmocka_unit_test(test_against_a_model), cmocka_unit_test(test_walks_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
