#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_layout(void **state)
{
    static const uint8_t expected[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f,
                                       0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 0x02,
                                       0x00, 0x00, 0x00, 'h',  'i',  '!'};
    (void)state;
    uint8_t buf[sizeof(expected)];
    struct writer w = writer_of(buf, sizeof(buf));
    write_u8(&w, 0x01);
    write_u16(&w, 0x0203);
    write_u32(&w, 0x04050607);
    write_u64(&w, 0x08090a0b0c0d0e0f);
    write_str(&w, slice_str("hi"));
    write_bytes(&w, "!", 1);
    assert_false(w.full);
    assert_int_equal(w.len, sizeof(expected));
    assert_memory_equal(buf, expected, sizeof(expected));
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t buf[64];
    struct writer w = writer_of(buf, sizeof(buf));
    write_u8(&w, UINT8_MAX);
    write_u16(&w, UINT16_MAX);
    write_u32(&w, UINT32_MAX);
    write_u64(&w, UINT64_MAX);
    write_str(&w, slice_str("été"));
    write_str(&w, slice_str(""));
    write_bytes(&w, "abcd", 4);

    struct reader r = reader_of(slice_of(buf, w.len));
    assert_int_equal(read_u8(&r), UINT8_MAX);
    assert_int_equal(read_u16(&r), UINT16_MAX);
    assert_int_equal(read_u32(&r), UINT32_MAX);
    assert_true(read_u64(&r) == UINT64_MAX);
    assert_true(slice_eq_str(read_str(&r, 5), "été"));
    assert_int_equal(read_str(&r, 0).len, 0);
    assert_false(reader_done(&r));
    char four[4];
    read_copy(&r, four, sizeof(four));
    assert_memory_equal(four, "abcd", 4);
    assert_true(reader_done(&r));
}

static void test_writer_fills_to_the_byte(void **state)
{
    (void)state;
    uint8_t buf[4] = {9, 9, 9, 9};
    struct writer w = writer_of(buf, 3);
    write_u16(&w, 0);
    write_u8(&w, 1);
    assert_false(w.full);
    write_bytes(&w, NULL, 0);
    assert_false(w.full);
    write_u8(&w, 2);
    assert_true(w.full);
    assert_int_equal(w.len, 3);
    assert_int_equal(buf[3], 9);
}

/* After the first append that does not fit, a smaller one is refused too. */
static void test_writer_stays_full(void **state)
{
    (void)state;
    uint8_t buf[4];
    struct writer w = writer_of(buf, sizeof(buf));
    write_u8(&w, 1);
    write_u32(&w, 2);
    assert_true(w.full);
    write_u8(&w, 3);
    assert_int_equal(w.len, 1);

    w = writer_of(NULL, 0);
    write_bytes(&w, NULL, 0);
    assert_false(w.full);
    write_u8(&w, 1);
    assert_true(w.full);
}

static void test_reader_of_nothing(void **state)
{
    (void)state;
    struct reader r = reader_of((struct slice){0});
    assert_true(reader_done(&r));
    assert_int_equal(read_bytes(&r, 0).len, 0);
    assert_false(r.bad);
    assert_int_equal(read_u8(&r), 0);
    assert_true(r.bad);
    assert_false(reader_done(&r));
}

/* After the first take that does not fit, everything is zero or empty. */
static void test_reader_stays_bad(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3};
    struct reader r = reader_of(slice_of(bytes, sizeof(bytes)));
    assert_int_equal(read_u32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(read_u8(&r), 0);
    assert_int_equal(read_bytes(&r, 1).len, 0);
    uint8_t out[2] = {7, 7};
    read_copy(&r, out, sizeof(out));
    assert_int_equal(out[0] + out[1], 0);
    assert_false(reader_done(&r));
}

static void test_string_limits(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {3, 0, 0, 0, 'a', 'b', 'c'};
    struct slice all = slice_of(bytes, sizeof(bytes));
    struct reader r = reader_of(all);
    assert_true(slice_eq_str(read_str(&r, 3), "abc"));
    assert_true(reader_done(&r));

    r = reader_of(all);
    assert_int_equal(read_str(&r, 2).len, 0);
    assert_true(r.bad);

    r = reader_of(slice_of(bytes, sizeof(bytes) - 1));
    assert_int_equal(read_str(&r, 3).len, 0);
    assert_true(r.bad);

    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'a'};
    r = reader_of(slice_of(huge, sizeof(huge)));
    assert_int_equal(read_str(&r, SIZE_MAX).len, 0);
    assert_true(r.bad);
}

static void test_slices(void **state)
{
    (void)state;
    struct slice none = slice_str(NULL);
    assert_int_equal(none.len, 0);
    assert_true(slice_eq(none, slice_str("")));
    assert_true(slice_starts(none, ""));
    assert_false(slice_starts(none, "a"));
    struct slice s = slice_str("video/upload");
    assert_true(slice_starts(s, "video/"));
    assert_false(slice_starts(s, "video/uploads"));
    assert_true(slice_eq_str(slice_from(s, 6), "upload"));
    assert_int_equal(slice_from(s, s.len).len, 0);
    assert_false(slice_eq_str(s, "video/uploaD"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_writer_fills_to_the_byte),
        cmocka_unit_test(test_writer_stays_full),
        cmocka_unit_test(test_reader_of_nothing),
        cmocka_unit_test(test_reader_stays_bad),
        cmocka_unit_test(test_string_limits),
        cmocka_unit_test(test_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
