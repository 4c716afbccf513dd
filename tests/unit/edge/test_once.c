/* What was said once counts once, in whatever order it comes. */
#include "edge/once.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW_US (1795259370ull * 1000 * 1000)

static struct id edge(unsigned i)
{
    struct id id = {0};
    snprintf(id.s, sizeof(id.s), "edge%u", i);
    return id;
}

static bool taken(struct once *r, unsigned i, uint64_t time_us)
{
    struct id id = edge(i);
    return once_fresh(r, &id, time_us, NOW_US) && once_take(r, &id, time_us, NOW_US);
}

static void test_once(void **state)
{
    (void)state;
    struct once *r = once_new();
    assert_true(taken(r, 1, NOW_US) && taken(r, 1, NOW_US - 5) && taken(r, 1, NOW_US + 5));
    assert_false(taken(r, 1, NOW_US) || taken(r, 1, NOW_US - 5) || taken(r, 1, NOW_US + 5));
    assert_true(taken(r, 2, NOW_US)); /* another edge's */
    once_free(r);
    once_free(NULL);
}

static void test_the_window(void **state)
{
    (void)state;
    struct once *r = once_new();
    assert_true(taken(r, 1, NOW_US - PEER_WINDOW_US) && taken(r, 1, NOW_US + PEER_WINDOW_US));
    assert_false(taken(r, 1, NOW_US - PEER_WINDOW_US - 1) || taken(r, 1, 0));
    assert_false(taken(r, 1, NOW_US + PEER_WINDOW_US + 1) || taken(r, 1, UINT64_MAX));
    once_free(r);
}

/* Of what is forgotten nothing comes back. */
static void test_more_than_it_remembers(void **state)
{
    (void)state;
    struct once *r = once_new();
    for (unsigned i = 0; i < ONCE_TIMES; i++)
        assert_true(taken(r, 1, NOW_US + 2 * i));
    assert_true(taken(r, 1, NOW_US - 1)); /* overtaken by all of them */
    for (unsigned i = 0; i < ONCE_TIMES; i++)
        assert_true(taken(r, 1, NOW_US + 2 * (ONCE_TIMES + i)));
    for (unsigned i = 0; i < 2 * ONCE_TIMES; i++)
        assert_false(taken(r, 1, NOW_US + 2 * i));
    assert_false(taken(r, 1, NOW_US - 1) || taken(r, 1, NOW_US + 1));
    once_free(r);
}

static void test_more_edges_than_it_remembers(void **state)
{
    (void)state;
    struct once *r = once_new();
    for (unsigned i = 0; i < ONCE_EDGES_MAX; i++)
        assert_true(taken(r, i, NOW_US));
    assert_false(taken(r, ONCE_EDGES_MAX, NOW_US));
    assert_true(taken(r, 0, NOW_US + 1));
    struct id id = edge(ONCE_EDGES_MAX);
    assert_true(once_take(r, &id, NOW_US, NOW_US + PEER_WINDOW_US + 1)); /* old ones give way */
    id = edge(0);
    assert_false(once_fresh(r, &id, NOW_US + 1, NOW_US));
    once_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_the_window),
        cmocka_unit_test(test_more_than_it_remembers),
        cmocka_unit_test(test_more_edges_than_it_remembers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
