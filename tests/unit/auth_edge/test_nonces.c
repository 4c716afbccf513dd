#include "auth_edge/nonces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { CAP = 3 };

static const uint64_t start_us = 1000u * 1000 * 1000 * 1000;

static enum err offer(struct nonces *n, int key, int nonce, uint64_t ts_us, uint64_t now_us)
{
    struct pubkey pk = {{(uint8_t)key}};
    struct nonce value = {{(uint8_t)nonce}};
    return nonces_accept(n, &pk, &value, ts_us, now_us);
}

/* The window's edges, on both sides of the clock. */
static void test_window(void **state)
{
    (void)state;
    struct nonces n;
    nonces_init(&n, 8, 0);
    assert_int_equal(offer(&n, 1, 1, start_us - TIME_WINDOW_US, start_us), ERR_OK);
    assert_int_equal(offer(&n, 1, 2, start_us - TIME_WINDOW_US - 1, start_us), ERR_TIMEOUT);
    assert_int_equal(offer(&n, 1, 3, start_us + TIME_WINDOW_US, start_us), ERR_OK);
    assert_int_equal(offer(&n, 1, 4, start_us + TIME_WINDOW_US + 1, start_us), ERR_TIMEOUT);
    assert_int_equal(offer(&n, 1, 5, 0, start_us), ERR_TIMEOUT);
    assert_int_equal(offer(&n, 1, 6, UINT64_MAX, start_us), ERR_TIMEOUT);
    nonces_release(&n);
}

/* A pair counts once; the same nonce of another key is another pair. */
static void test_pair_once(void **state)
{
    (void)state;
    struct nonces n;
    nonces_init(&n, 8, 0);
    assert_int_equal(offer(&n, 1, 1, start_us, start_us), ERR_OK);
    assert_int_equal(offer(&n, 1, 1, start_us, start_us), ERR_CONFLICT);
    assert_int_equal(offer(&n, 1, 1, start_us, start_us + TIME_WINDOW_US), ERR_CONFLICT);
    assert_int_equal(offer(&n, 1, 1, start_us, start_us + TIME_WINDOW_US + 1), ERR_TIMEOUT);
    assert_int_equal(offer(&n, 2, 1, start_us + 1, start_us), ERR_OK);
    assert_int_equal(offer(&n, 1, 2, start_us + 1, start_us), ERR_OK);
    nonces_release(&n);
}

/* At the limit, above it, and again once the window has passed. */
static void test_full(void **state)
{
    (void)state;
    struct nonces n;
    nonces_init(&n, CAP, 0);
    for (int i = 0; i < CAP; i++)
        assert_int_equal(offer(&n, 1, i, start_us, start_us), ERR_OK);
    assert_int_equal(offer(&n, 1, CAP, start_us, start_us), ERR_BUSY);
    assert_int_equal(offer(&n, 1, 0, start_us, start_us), ERR_CONFLICT);
    uint64_t later_us = start_us + TIME_WINDOW_US;
    assert_int_equal(offer(&n, 1, CAP, later_us, later_us), ERR_BUSY);
    later_us++;
    for (int i = 0; i < CAP; i++)
        assert_int_equal(offer(&n, 1, i, later_us, later_us), ERR_OK);
    assert_int_equal(offer(&n, 1, CAP, later_us, later_us), ERR_BUSY);
    nonces_release(&n);
}

/* A clock that is set back does not make what was forgotten new (I2). */
static void test_clock_set_back(void **state)
{
    (void)state;
    struct nonces n;
    nonces_init(&n, CAP, 0);
    uint64_t later_us = start_us + TIME_WINDOW_US + 1;
    assert_int_equal(offer(&n, 1, 1, start_us, start_us), ERR_OK);
    assert_int_equal(offer(&n, 1, 2, later_us, later_us), ERR_OK);
    assert_int_equal(offer(&n, 1, 1, start_us, start_us), ERR_BUSY);
    assert_int_equal(offer(&n, 1, 2, later_us, start_us + 1), ERR_CONFLICT);
    nonces_release(&n);
}

/* What a process before this one may have answered. */
static void test_before_start(void **state)
{
    (void)state;
    struct nonces n;
    nonces_init(&n, CAP, start_us);
    assert_int_equal(offer(&n, 1, 1, start_us, start_us + 1), ERR_BUSY);
    assert_int_equal(offer(&n, 1, 1, start_us - 1, start_us + 1), ERR_BUSY);
    assert_int_equal(offer(&n, 1, 1, start_us + 1, start_us + 1), ERR_OK);
    nonces_release(&n);
}

static void test_released(void **state)
{
    (void)state;
    struct nonces n = {0};
    nonces_release(&n);
    nonces_init(&n, 1, 0);
    nonces_release(&n);
    assert_null(n.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),       cmocka_unit_test(test_pair_once),
        cmocka_unit_test(test_full),         cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_before_start), cmocka_unit_test(test_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
