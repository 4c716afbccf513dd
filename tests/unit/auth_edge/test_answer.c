/* What Supabase's answers mean, and how long it is left alone after none. */
#include "auth_edge/answer.h"
#include "auth_edge/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = 4096 };

static const struct id subject = {"5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11"};
#define ID "\"id\":\"5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11\""

static enum answer answer(long status, const char *body)
{
    struct answer_name name;
    return answer_read(status, slice_str(body), &subject, &name);
}

static void only_200_401_and_403_say_something(void **state)
{
    static const long unknown[] = {0, 204, 301, 302, 400, 404, 408, 429, 500, 502, 503, 504, 522};
    (void)state;
    assert_int_equal(answer(200, "{" ID "}"), ANSWER_VALID);
    assert_int_equal(answer(401, ""), ANSWER_REFUSED);
    assert_int_equal(answer(401, "{\"code\":401,\"msg\":\"invalid JWT\"}"), ANSWER_REFUSED);
    assert_int_equal(answer(403, "{\"error_code\":\"user_banned\"}"), ANSWER_REFUSED);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_int_equal(answer(unknown[i], "{" ID "}"), ANSWER_UNKNOWN);
}

static void our_own_key_is_not_the_users_fault(void **state)
{
    (void)state;
    assert_int_equal(answer(401, "{\"message\":\"Invalid API key\",\"hint\":\"x\"}"),
                     ANSWER_OUR_KEY);
    assert_int_equal(answer(401, "{\"message\":\"No API key found in request\"}"), ANSWER_OUR_KEY);
    assert_int_equal(answer(403, "{\"message\":\"Invalid API key\"}"), ANSWER_REFUSED);
}

static void a_malformed_200_is_no_yes(void **state)
{
    static const char *const bodies[] = {
        "",
        "x",
        "<html>log in to this hotel</html>",
        "[]",
        "{}",
        "{\"id\":5}",
        "{\"id\":null}",
        "{\"id\":\"5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11\"",
        "{\"id\":\"00000000-0000-0000-0000-000000000000\"}",
        "{\"id\":\"5F0C6F9E-8A3E-4D0B-9C52-4F5B1F0E7A11\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(answer(200, bodies[i]), ANSWER_UNKNOWN);
    assert_int_equal(answer(200, "{" ID ",\"a\":[[[[[[[[[[0]]]]]]]]]]}"), ANSWER_UNFIT);
}

static void expect_name(const char *body, const char *expected)
{
    struct answer_name name;
    assert_int_equal(answer_read(200, slice_str(body), &subject, &name), ANSWER_VALID);
    assert_int_equal(name.len, strlen(expected));
    if (name.len)
        assert_memory_equal(name.s, expected, name.len);
}

static void names_are_taken_where_they_are(void **state)
{
    (void)state;
    expect_name("{" ID "}", "");
    expect_name("{" ID ",\"email\":\"lea@example.org\"}", "lea");
    expect_name("{" ID ",\"email\":\"\"}", "");
    expect_name("{" ID ",\"email\":\"lea\"}", "");
    expect_name("{" ID ",\"email\":null,\"user_metadata\":null}", "");
    expect_name("{" ID ",\"email\":\"a@b\",\"user_metadata\":{\"name\":\"Léa\"}}", "Léa");
    expect_name("{" ID ",\"user_metadata\":{\"name\":\"N\",\"full_name\":\"Full\"}}", "Full");
    expect_name("{" ID ",\"user_metadata\":{\"user_name\":\"u\"}}", "u");
    expect_name("{" ID ",\"user_metadata\":{\"email\":\"x@y\"}}", "");
}

/* The user writes the metadata: whatever is there must not keep the user out. */
static void unfit_names_are_left_out(void **state)
{
    (void)state;
    expect_name("{" ID ",\"email\":\"a@b\",\"user_metadata\":{\"name\":\"\\u0007\"}}", "a");
    expect_name("{" ID ",\"email\":\"a@b\",\"user_metadata\":{\"name\":5}}", "a");
    expect_name("{" ID ",\"email\":\"a@b\",\"user_metadata\":{\"name\":{}}}", "a");
    expect_name("{" ID ",\"email\":\"a@b\",\"user_metadata\":[]}", "a");
    expect_name("{" ID ",\"email\":5,\"user_metadata\":{\"name\":\"n\"}}", "");
}

static void expect_name_len(size_t letters, const char *last, size_t expected)
{
    char body[TEXT_BYTES];
    char letters_text[TEXT_BYTES] = {0};
    struct answer_name name;
    memset(letters_text, 'n', letters);
    snprintf(body, sizeof(body), "{" ID ",\"user_metadata\":{\"name\":\"%.1000s%s\"}}",
             letters_text, last);
    assert_int_equal(answer_read(200, slice_str(body), &subject, &name), ANSWER_VALID);
    assert_int_equal(name.len, expected);
}

static void names_are_cut_between_characters(void **state)
{
    (void)state;
    expect_name_len(NAME_BYTES_MAX, "", NAME_BYTES_MAX);
    expect_name_len(NAME_BYTES_MAX, "n", NAME_BYTES_MAX);
    expect_name_len(NAME_BYTES_MAX - 2, "é", NAME_BYTES_MAX);
    expect_name_len(NAME_BYTES_MAX - 1, "é", NAME_BYTES_MAX - 1);
    expect_name_len(NAME_BYTES_MAX - 1, "\xf0\x9f\x8e\xa5", NAME_BYTES_MAX - 1);
}

/* --- back-off ------------------------------------------------------------------------- */

static const uint64_t MS = 1000;

static void an_open_one_admits_all(void **state)
{
    (void)state;
    struct backoff b = {0};
    for (uint64_t i = 0; i < 10; i++)
        assert_true(backoff_admit(&b, i));
    assert_false(backoff_ok(&b, 3));
    assert_true(backoff_admit(&b, 11));
}

static void after_a_failure_one_asks_alone(void **state)
{
    (void)state;
    struct backoff b = {0};
    assert_true(backoff_failed(&b, 10, 1000, 0, 0));
    assert_int_equal(b.until_us, 1000 + 500 * MS);
    assert_false(backoff_admit(&b, 1000));
    assert_false(backoff_admit(&b, b.until_us - 1));
    assert_false(backoff_shut(&b, b.until_us));
    assert_true(backoff_admit(&b, b.until_us));
    assert_true(backoff_shut(&b, b.until_us));
    assert_false(backoff_admit(&b, b.until_us + 3600 * 1000 * MS));
    assert_true(backoff_ok(&b, b.until_us));
    assert_true(backoff_admit(&b, b.until_us));
    assert_true(backoff_admit(&b, b.until_us));
}

static void failures_together_are_one(void **state)
{
    (void)state;
    struct backoff b = {0};
    assert_true(backoff_failed(&b, 900, 1000, 0, 0));
    uint64_t until_us = b.until_us;
    for (uint64_t i = 0; i < 200; i++)
        assert_false(backoff_failed(&b, 800 + i, 2000 + i, 0, 0));
    assert_false(backoff_ok(&b, 1000)); /* nor does what began before say that it is well */
    assert_int_equal(b.failures, 1);
    assert_int_equal(b.until_us, until_us);
}

static void waits_double_up_to_a_minute_with_jitter(void **state)
{
    static const uint64_t full_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    (void)state;
    struct backoff low = {0}, high = {0};
    for (unsigned i = 0; i < 100; i++) {
        uint64_t full = full_ms[i < 8 ? i : 7] * MS;
        uint64_t at_us = (uint64_t)(i + 1) * 100 * 1000 * MS;
        assert_true(backoff_failed(&low, at_us, at_us, 0, 0));
        assert_int_equal(low.until_us - at_us, full / 2);
        assert_true(backoff_failed(&high, at_us, at_us, 0, (uint32_t)(full / MS / 2)));
        assert_int_equal(high.until_us - at_us, full);
        assert_true(backoff_failed(&(struct backoff){0}, 1, 1, 0, UINT32_MAX));
    }
}

static void what_the_service_asks_for_counts_up_to_a_minute(void **state)
{
    (void)state;
    struct backoff b = {0};
    backoff_failed(&b, 1, 1, 7000, 0);
    assert_int_equal(b.until_us, 1 + 7000 * MS);
    assert_int_equal(backoff_wait_s(&b, 1), 7);
    assert_int_equal(backoff_wait_s(&b, 2), 7);
    assert_int_equal(backoff_wait_s(&b, b.until_us - 1), 1);
    assert_int_equal(backoff_wait_s(&b, b.until_us), 1);
    b = (struct backoff){0};
    backoff_failed(&b, 1, 1, UINT64_MAX, 0);
    assert_int_equal(b.until_us, 1 + BACKOFF_MAX_MS * MS);
    b = (struct backoff){0};
    backoff_failed(&b, 1, 1, 1, 0);
    assert_int_equal(b.until_us, 1 + 500 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_200_401_and_403_say_something),
        cmocka_unit_test(our_own_key_is_not_the_users_fault),
        cmocka_unit_test(a_malformed_200_is_no_yes),
        cmocka_unit_test(names_are_taken_where_they_are),
        cmocka_unit_test(unfit_names_are_left_out),
        cmocka_unit_test(names_are_cut_between_characters),
        cmocka_unit_test(an_open_one_admits_all),
        cmocka_unit_test(after_a_failure_one_asks_alone),
        cmocka_unit_test(failures_together_are_one),
        cmocka_unit_test(waits_double_up_to_a_minute_with_jitter),
        cmocka_unit_test(what_the_service_asks_for_counts_up_to_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
