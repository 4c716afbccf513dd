#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* One code point as UTF-8 would write it in `len` bytes, valid or not. */
static struct slice encode(uint32_t cp, size_t len, uint8_t ret[4])
{
    static const uint8_t first[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i-- > 1; cp >>= 6)
        ret[i] = (uint8_t)(0x80 | (cp & 0x3f));
    ret[0] = (uint8_t)(first[len] | cp);
    return slice_of(ret, len);
}

static size_t shortest(uint32_t cp)
{
    return cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
}

/* Every code point in every length that can hold it: the shortest form alone is text. */
static void test_every_code_point(void **state)
{
    static const uint32_t limits[] = {0, 0x80, 0x800, 0x10000, 0x200000};
    (void)state;
    for (uint32_t cp = 0; cp < 0x200000; cp++) {
        bool scalar = cp != 0 && cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff);
        for (size_t len = 1; len <= 4; len++) {
            uint8_t bytes[4];
            if (cp >= limits[len])
                continue;
            bool text = utf8_text(encode(cp, len, bytes));
            if (text != (scalar && len == shortest(cp)))
                fail_msg("U+%04x in %zu bytes", cp, len);
        }
    }
}

/* Every pair and every byte alone: the same as what the grammar says. */
static void test_every_two_bytes(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        uint8_t bytes[2] = {(uint8_t)a, 0};
        bool ascii = a >= 1 && a < 0x80;
        assert_int_equal(utf8_text(slice_of(bytes, 1)), ascii);
        for (unsigned b = 0; b < 256; b++) {
            bytes[1] = (uint8_t)b;
            bool pair = a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;
            bool two = ascii && b >= 1 && b < 0x80;
            assert_int_equal(utf8_text(slice_of(bytes, 2)), pair || two);
        }
    }
}

static void test_whole_texts(void **state)
{
    (void)state;
    assert_true(utf8_text((struct slice){0}));
    assert_true(utf8_text(slice_str("Ma première vidéo, 日本 🎬\n")));
    const char cut[] = "vidéo 🎬";
    size_t len = sizeof(cut) - 1;
    for (size_t i = 1; i < 4; i++)
        assert_false(utf8_text(slice_of(cut, len - i)));
    assert_true(utf8_text(slice_of(cut, len - 4)));
    assert_false(utf8_text(slice_of("a\0b", 3)));
    assert_false(utf8_text(slice_of("ab\xff", 3)));
    assert_false(utf8_text(slice_of("a\x80", 2)));
    assert_false(utf8_text(slice_of("\xe2\x82\x41", 3)));
    assert_false(utf8_text(slice_of("\xf0\x9f\x8e\xc0", 4)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_every_two_bytes),
        cmocka_unit_test(test_whole_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
