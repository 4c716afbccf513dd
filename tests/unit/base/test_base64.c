#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check_pair(const char *bytes, const char *text)
{
    char out[32];
    uint8_t back[32];
    size_t len = 99;
    b64_encode(slice_str(bytes), out);
    assert_string_equal(out, text);
    assert_int_equal(b64_text_len(strlen(bytes)), strlen(text));
    assert_int_equal(b64_decode(slice_str(text), back, sizeof(back), &len), ERR_OK);
    assert_true(slice_eq_str(slice_of(back, len), bytes));
}

/* RFC 4648 §10. */
static void test_rfc(void **state)
{
    (void)state;
    check_pair("", "");
    check_pair("f", "Zg==");
    check_pair("fo", "Zm8=");
    check_pair("foo", "Zm9v");
    check_pair("foob", "Zm9vYg==");
    check_pair("fooba", "Zm9vYmE=");
    check_pair("foobar", "Zm9vYmFy");
    check_pair("\xfb\xff\xfe", "+//+");
}

static void test_every_length(void **state)
{
    (void)state;
    uint8_t bytes[300], back[300];
    char text[401];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 151 + i / 7);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        size_t len = 0;
        b64_encode(slice_of(bytes, n), text);
        assert_int_equal(strlen(text), b64_text_len(n));
        assert_int_equal(b64_decode(slice_str(text), back, n, &len), ERR_OK);
        assert_int_equal(len, n);
        assert_memory_equal(back, bytes, n);
        if (n)
            assert_int_equal(b64_decode(slice_str(text), back, n - 1, &len), ERR_LIMIT);
    }
}

/* What decodes encodes to the same text again: there is one text for each byte string. */
static void test_canonical(void **state)
{
    static const char tail[] = "AQgw=+/-_\n \x80";
    enum { TAIL_N = sizeof(tail) };
    (void)state;
    size_t accepted = 0;
    for (size_t i = 0; i < (size_t)TAIL_N * TAIL_N * TAIL_N * TAIL_N; i++) {
        char text[9] = {'Z',
                        'm',
                        '9',
                        'v',
                        tail[i % TAIL_N],
                        tail[i / TAIL_N % TAIL_N],
                        tail[i / TAIL_N / TAIL_N % TAIL_N],
                        tail[i / TAIL_N / TAIL_N / TAIL_N],
                        '\0'};
        uint8_t bytes[6];
        char again[9];
        size_t len = 77;
        enum err err = b64_decode(slice_of(text, 8), bytes, sizeof(bytes), &len);
        if (err != ERR_OK) {
            assert_int_equal(err, ERR_FORMAT);
            assert_int_equal(len, 77);
            continue;
        }
        accepted++;
        b64_encode(slice_of(bytes, len), again);
        assert_memory_equal(text, again, 8);
    }
    /* Six of the tail's are digits; four of those (A Q g w) may stand before a pad. */
    assert_int_equal(accepted, 6 * 6 * 6 * 6 + 6 * 6 * 4 + 6 * 4);
}

static void test_refused(void **state)
{
    static const char *const refused[] = {
        "Z",       "Zg",   "Zg=",      "Zm9",      "Zg===",    "====",   "A===",
        "Zh==",    "Zm9=", "Zg==Zg==", "Zm=v",     "=m9v",     "Zm9v\n", "Zm9v    ",
        "Zm9\xc3", "Zm9-", "Zm9_",     "Z===Zm9v", "Zm9vZ=g=",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        uint8_t bytes[16];
        size_t len = 77;
        if (b64_decode(slice_str(refused[i]), bytes, sizeof(bytes), &len) != ERR_FORMAT)
            fail_msg("\"%s\" was accepted", refused[i]);
        assert_int_equal(len, 77);
    }
    uint8_t three[3];
    size_t len = 77;
    assert_int_equal(b64_decode(slice_of("Zm\0v", 4), three, 3, &len), ERR_FORMAT);
    assert_int_equal(b64_decode((struct slice){0}, three, 0, &len), ERR_OK);
    assert_int_equal(len, 0);
}

/* RFC 4648 §5 without padding: each byte string has one text here, too. */
static void test_url_alphabet(void **state)
{
    static const struct {
        const char *bytes, *text;
    } pairs[] = {{"", ""},        {"f", "Zg"},        {"fo", "Zm8"},
                 {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xfb\xff\xfe", "-__-"}};
    static const char *const bad[] = {"A",    "AAAAA", "Zg==", "Zh",      "Zm9",  "+//+",
                                      "AA=A", "A A",   "AA\n", "A\x80zz", "AAA=", "AA=="};
    (void)state;
    uint8_t back[16];
    size_t len = 99;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        size_t n = strlen(pairs[i].bytes);
        assert_int_equal(b64url_decode(slice_str(pairs[i].text), back, n, &len), ERR_OK);
        assert_true(slice_eq_str(slice_of(back, len), pairs[i].bytes));
        if (n)
            assert_int_equal(b64url_decode(slice_str(pairs[i].text), back, n - 1, &len), ERR_LIMIT);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(b64url_decode(slice_str(bad[i]), back, sizeof(back), &len), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc),          cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_canonical),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_url_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
