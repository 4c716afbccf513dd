/* Reading and writing JSON: what is accepted, what is not, and what it is then. */
#include "base/arena.h"
#include "trust/part.h"
#include "wire/json.h"
#include "wire/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena arena;

static int release(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static enum err opens(struct slice text)
{
    struct json j = json_open(text, &arena);
    enum err err = j.err;
    json_close(&j);
    return err;
}

static void test_what_is_json(void **state)
{
    static const char *const yes[] = {"{}",
                                      "[]",
                                      " \t\r\n{\"a\":1}\n ",
                                      "{\"a\":{\"b\":[1,-2.5e3,true,null]}}",
                                      "{\"a\":\"\\u00e9\\ud83d\\ude00\\/\\n\"}",
                                      "{\"a\":\"\\\\u0000\"}",
                                      "{\"a\":\"}{][\\\"\"}",
                                      "[[[[[[[[]]]]]]]]"};
    static const char *const no[] = {"",
                                     " ",
                                     "1",
                                     "\"a\"",
                                     "null",
                                     "{",
                                     "}",
                                     "[}",
                                     "{]",
                                     "{\"a\"}",
                                     "{\"a\":}",
                                     "{\"a\":1,",
                                     "{\"a\":1,}",
                                     "[1,]",
                                     "{\"a\":1}x",
                                     "{}{}",
                                     "{a:1}",
                                     "{'a':1}",
                                     "{\"a\":tru}",
                                     "{\"a\":-}",
                                     "{\"a\":\"\\x\"}",
                                     "{\"a\":\"\\ud83d\"}",
                                     "{\"a\":\"\\ude00\"}",
                                     "{\"a\":\"\\u0000\"}",
                                     "{\"a\\u0000\":1}",
                                     "{\"a\":\"\n\"}",
                                     "{\"a\":\"\xff\"}",
                                     "{\"\xc0\xaf\":1}",
                                     "\xef\xbb\xbf{}",
                                     "{\"a\":\"",
                                     "{\"a\":\"\\",
                                     "{\"a\":\"\\u",
                                     "[\"a\":1]",
                                     "{\"a\":0x10}",
                                     "{1:2}"};
    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (opens(slice_str(yes[i])) != ERR_OK)
            fail_msg("refused: %s", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (opens(slice_str(no[i])) != ERR_FORMAT)
            fail_msg("accepted: %s", no[i]);
    assert_int_equal(opens(slice_of("{\"a\":\"\0\"}", 9)), ERR_FORMAT);
    assert_int_equal(opens(slice_of("{}\0", 3)), ERR_FORMAT);
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(opens(slice_str("[[[[[[[[[]]]]]]]]]")), ERR_LIMIT);
    assert_int_equal(opens(slice_str("[{\"a\":[{\"a\":[{\"a\":[{\"a\":[]}]}]}]}]")), ERR_LIMIT);
    uint8_t *text = arena_alloc(&arena, PACKET_BYTES_MAX + 1);
    memset(text, ' ', PACKET_BYTES_MAX + 1);
    memcpy(text, "{}", 2);
    assert_int_equal(opens(slice_of(text, PACKET_BYTES_MAX)), ERR_OK);
    assert_int_equal(opens(slice_of(text, PACKET_BYTES_MAX + 1)), ERR_LIMIT);
    memset(text, '[', PACKET_BYTES_MAX);
    assert_int_equal(opens(slice_of(text, PACKET_BYTES_MAX)), ERR_LIMIT);
}

static struct json of(const char *text)
{
    struct json j = json_open_object(slice_str(text), &arena);
    assert_int_equal(j.err, ERR_OK);
    return j;
}

static void test_objects_are_not_arrays(void **state)
{
    (void)state;
    struct json j = json_open_object(slice_str("[]"), &arena);
    assert_int_equal(j.err, ERR_FORMAT);
    assert_false(json_has(&j, "a"));
    json_close(&j);
}

/* I3: the first error stays, and nothing is given after it. */
static void test_the_first_error_stays(void **state)
{
    (void)state;
    struct json j = of("{\"long\":\"abc\",\"n\":{},\"ok\":\"x\"}");
    assert_int_equal(json_text(&j, "long", 2).len, 0);
    assert_int_equal(json_u32(&j, "n"), 0);
    assert_int_equal(json_text(&j, "ok", 9).len, 0);
    assert_int_equal(j.err, ERR_LIMIT);
    json_close(&j);
}

static enum err text_err(const char *text, size_t max)
{
    struct json j = of(text);
    json_text(&j, "a", max);
    enum err err = j.err;
    json_close(&j);
    return err;
}

static void test_texts(void **state)
{
    (void)state;
    assert_int_equal(text_err("{}", 0), ERR_OK);
    assert_int_equal(text_err("{\"a\":null}", 0), ERR_OK);
    assert_int_equal(text_err("{\"a\":\"\"}", 0), ERR_OK);
    assert_int_equal(text_err("{\"a\":\"abc\"}", 3), ERR_OK);
    assert_int_equal(text_err("{\"a\":\"abc\"}", 2), ERR_LIMIT);
    assert_int_equal(text_err("{\"a\":\"\\u00e9\"}", 2), ERR_OK);
    assert_int_equal(text_err("{\"a\":\"\\u00e9\"}", 1), ERR_LIMIT);
    assert_int_equal(text_err("{\"a\":1}", 3), ERR_FORMAT);
    assert_int_equal(text_err("{\"a\":[\"b\"]}", 3), ERR_FORMAT);
    assert_int_equal(text_err("{\"a\":\"\\t\\n\\r\"}", 3), ERR_OK);
    assert_int_equal(text_err("{\"a\":\"\\u001b[2J\"}", 9), ERR_FORMAT);
    assert_int_equal(text_err("{\"a\":\"\x7f\"}", 9), ERR_FORMAT);
    assert_int_equal(text_err("{\"a\":\"\\u0085\"}", 9), ERR_FORMAT);
}

static void test_loose_texts(void **state)
{
    (void)state;
    struct json j = of("{\"a\":12456,\"b\":true,\"c\":\"x\",\"d\":-0.0,\"e\":1e3,\"f\":1.5}");
    assert_true(slice_eq_str(json_loose_text(&j, "a", 9), "12456"));
    assert_true(slice_eq_str(json_loose_text(&j, "b", 9), "true"));
    assert_true(slice_eq_str(json_loose_text(&j, "c", 9), "x"));
    assert_true(slice_eq_str(json_loose_text(&j, "d", 9), "0"));
    assert_true(slice_eq_str(json_loose_text(&j, "e", 9), "1000"));
    assert_int_equal(json_loose_text(&j, "g", 9).len, 0);
    assert_int_equal(j.err, ERR_OK);
    json_loose_text(&j, "f", 9);
    assert_int_equal(j.err, ERR_FORMAT);
    json_close(&j);
}

static void test_names(void **state)
{
    (void)state;
    struct json j = json_open(
        slice_str(
            "{\"a\":\"x\",\"b\":[1,\"y\",\"x\"],\"c\":[],\"d\":{\"e\":\"x\"},\"f\":[[\"x\"]]}"),
        &arena);
    assert_true(json_names(&j, "a", "x"));
    assert_false(json_names(&j, "a", "y"));
    assert_true(json_names(&j, "b", "x"));
    assert_false(json_names(&j, "b", "z"));
    assert_false(json_names(&j, "c", "x"));
    assert_false(json_names(&j, "d", "x"));
    assert_false(json_names(&j, "f", "x"));
    assert_false(json_names(&j, "g", "x"));
    assert_int_equal(j.err, ERR_OK);
    json_close(&j);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        enum err err;
        uint32_t value;
    } cases[] = {
        {"{}", ERR_OK, 0},
        {"{\"a\":0}", ERR_OK, 0},
        {"{\"a\":4294967295}", ERR_OK, UINT32_MAX},
        {"{\"a\":4294967296}", ERR_LIMIT, 0},
        {"{\"a\":1e300}", ERR_LIMIT, 0},
        {"{\"a\":1e999}", ERR_LIMIT, 0},
        {"{\"a\":-1}", ERR_FORMAT, 0},
        {"{\"a\":-1e999}", ERR_FORMAT, 0},
        {"{\"a\":-0}", ERR_OK, 0},
        {"{\"a\":1.0}", ERR_OK, 1},
        {"{\"a\":1.5}", ERR_FORMAT, 0},
        {"{\"a\":\"42\"}", ERR_OK, 42},
        {"{\"a\":\"007\"}", ERR_OK, 7},
        {"{\"a\":\"4294967296\"}", ERR_LIMIT, 0},
        {"{\"a\":\"99999999999999999999999999999999\"}", ERR_LIMIT, 0},
        {"{\"a\":\"\"}", ERR_FORMAT, 0},
        {"{\"a\":\"-1\"}", ERR_FORMAT, 0},
        {"{\"a\":\"1.0\"}", ERR_FORMAT, 0},
        {"{\"a\":\" 1\"}", ERR_FORMAT, 0},
        {"{\"a\":true}", ERR_OK, 1},
        {"{\"a\":false}", ERR_OK, 0},
        {"{\"a\":{}}", ERR_FORMAT, 0},
        {"{\"a\":[1]}", ERR_FORMAT, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json j = of(cases[i].text);
        uint32_t v = json_u32(&j, "a");
        if (j.err != cases[i].err || v != cases[i].value)
            fail_msg("%s: %s, %u", cases[i].text, err_name(j.err), (unsigned)v);
        json_close(&j);
    }
}

static void test_numbers_end_below_2_53(void **state)
{
    (void)state;
    struct json j = of("{\"a\":9007199254740991,\"b\":9007199254740992}");
    assert_true(json_u53(&j, "a") == 9007199254740991u);
    assert_int_equal(j.err, ERR_OK);
    json_u53(&j, "b");
    assert_int_equal(j.err, ERR_LIMIT);
    json_close(&j);
}

static void test_flags(void **state)
{
    static const struct {
        const char *value;
        enum err err;
        bool flag;
    } cases[] = {
        {"1", ERR_OK, true},        {"0", ERR_OK, false},           {"\"1\"", ERR_OK, true},
        {"\"0\"", ERR_OK, false},   {"true", ERR_OK, true},         {"false", ERR_OK, false},
        {"\"true\"", ERR_OK, true}, {"\"false\"", ERR_OK, false},   {"\"\"", ERR_OK, false},
        {"2", ERR_OK, true},        {"\"00\"", ERR_OK, false},      {"null", ERR_OK, false},
        {"-1", ERR_FORMAT, false},  {"\"yes\"", ERR_FORMAT, false}, {"0.5", ERR_FORMAT, false},
        {"{}", ERR_FORMAT, false},  {"[]", ERR_FORMAT, false},      {"1e999", ERR_OK, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_out out = json_begin(&arena, 0);
        json_put_open(&out, "a", ' ');
        json_put_raw(&out, slice_str(cases[i].value));
        struct slice text = json_end(&out);
        struct json j = json_open_object(text, &arena);
        bool flag = json_flag(&j, "a");
        if (j.err != cases[i].err || flag != cases[i].flag)
            fail_msg("%s: %s, %d", cases[i].value, err_name(j.err), flag);
        json_close(&j);
        /* I4: peeking sees the same. */
        struct json_peek peek[] = {{.key = "none"}, {.key = "a"}};
        bool peeked = false;
        assert_int_equal(json_peek(text, peek, 2), ERR_OK);
        assert_int_equal(json_peek_flag(peek[1].value, &peeked), cases[i].err);
        assert_int_equal(peeked, cases[i].flag);
    }
}

static void test_reals(void **state)
{
    (void)state;
    struct json j = of("{\"a\":12.5,\"b\":1e999}");
    assert_true(json_real(&j, "a") > 12.4 && json_real(&j, "a") < 12.6);
    assert_true(json_real(&j, "none") < 1 && j.err == ERR_OK);
    json_real(&j, "b");
    assert_int_equal(j.err, ERR_FORMAT);
    json_close(&j);
}

static enum err blob_err(const char *text, size_t max, size_t len)
{
    struct json j = of(text);
    struct slice blob = json_blob(&j, "a", max);
    enum err err = j.err;
    assert_int_equal(blob.len, err == ERR_OK ? len : 0);
    json_close(&j);
    return err;
}

static void test_blobs(void **state)
{
    (void)state;
    assert_int_equal(blob_err("{}", 0, 0), ERR_OK);
    assert_int_equal(blob_err("{\"a\":\"\"}", 0, 0), ERR_OK);
    assert_int_equal(blob_err("{\"a\":\"AAAA\"}", 3, 3), ERR_OK);
    assert_int_equal(blob_err("{\"a\":\"AAAA\"}", 2, 0), ERR_LIMIT);
    assert_int_equal(blob_err("{\"a\":\"AAAA\"}", 0, 0), ERR_LIMIT);
    assert_int_equal(blob_err("{\"a\":\"AA==\"}", 1, 1), ERR_OK);
    assert_int_equal(blob_err("{\"a\":\"AA\"}", 3, 0), ERR_FORMAT);
    assert_int_equal(blob_err("{\"a\":\"A-_A\"}", 3, 0), ERR_FORMAT);
    assert_int_equal(blob_err("{\"a\":\"\\/\\/\\/\\/\"}", 3, 3), ERR_OK);
    assert_int_equal(blob_err("{\"a\":0}", 3, 0), ERR_FORMAT);
    uint8_t three[3] = {7, 7, 7};
    struct json j = of("{\"a\":\"AAAA\",\"b\":\"AA==\"}");
    json_bytes(&j, "a", three, 3);
    assert_true(j.err == ERR_OK && three[2] == 0);
    json_bytes(&j, "b", three, 3);
    assert_int_equal(j.err, ERR_FORMAT);
    json_close(&j);
}

static enum err blobs_err(const char *text, size_t max_n, size_t want_n)
{
    struct json j = of(text);
    size_t n;
    struct slice *blobs = json_blobs(&j, "a", max_n, 3, &n);
    enum err err = j.err;
    if (err == ERR_OK)
        assert_int_equal(n, want_n);
    for (size_t i = 0; err == ERR_OK && i < n; i++)
        assert_in_range(blobs[i].len, 0, 3);
    json_close(&j);
    return err;
}

static void test_lists_of_blobs(void **state)
{
    (void)state;
    assert_int_equal(blobs_err("{}", 0, 0), ERR_OK);
    assert_int_equal(blobs_err("{\"a\":null}", 0, 0), ERR_OK);
    assert_int_equal(blobs_err("{\"a\":[]}", 0, 0), ERR_OK);
    assert_int_equal(blobs_err("{\"a\":[\"AAAA\",\"\"]}", 2, 2), ERR_OK);
    assert_int_equal(blobs_err("{\"a\":[\"AAAA\",\"\"]}", 1, 0), ERR_LIMIT);
    assert_int_equal(blobs_err("{\"a\":[\"AAAAAAAA\"]}", 1, 0), ERR_LIMIT);
    assert_int_equal(blobs_err("{\"a\":[\"A\"]}", 1, 0), ERR_FORMAT);
    assert_int_equal(blobs_err("{\"a\":[null]}", 1, 0), ERR_FORMAT);
    assert_int_equal(blobs_err("{\"a\":[[]]}", 1, 0), ERR_FORMAT);
    assert_int_equal(blobs_err("{\"a\":\"AAAA\"}", 1, 0), ERR_FORMAT);
    assert_int_equal(blobs_err("{\"a\":{}}", 1, 0), ERR_FORMAT);
}

/* A token that is none is worth as much as none: no reason to refuse the request. */
static void test_tokens(void **state)
{
    (void)state;
    struct json j = of("{\"token\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}");
    assert_int_equal(json_token(&j).len, TOKEN_BYTES);
    json_close(&j);
    static const char *const none[] = {"{}", "{\"token\":\"AAAA\"}", "{\"token\":7}",
                                       "{\"token\":\"a.jwt.of-the-original\"}",
                                       "{\"token\":\"AAAAAAAAAAAAAAAAAAAAAAA=\"}"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        j = of(none[i]);
        assert_int_equal(json_token(&j).len, 0);
        assert_int_equal(j.err, ERR_OK);
        json_close(&j);
    }
}

static void test_spellings(void **state)
{
    static const char *const texts[] = {
        "{\"video_id\":\"v\",\"client_id\":\"c\",\"video_nom\":\"t\"}",
        "{\"video_ID\":\"v\",\"client_ID\":\"c\",\"video_title\":\"t\"}",
        "{\"video_id\":null,\"video_ID\":\"v\",\"client_ID\":\"c\",\"title\":\"t\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct json j = of(texts[i]);
        struct id id = json_id(&j, "video_id");
        assert_string_equal(id.s, "v");
        assert_true(slice_eq_str(json_reply_id(&j), "c"));
        assert_true(slice_eq_str(json_text(&j, "video_nom", 9), "t"));
        assert_true(slice_eq_str(json_text(&j, "title", 9), "t"));
        assert_int_equal(j.err, ERR_OK);
        json_close(&j);
    }
    struct json j = of("{\"Video_Id\":\"v\"}");
    json_id(&j, "video_id");
    assert_int_equal(j.err, ERR_FORMAT);
    json_close(&j);
}

static void test_fields_that_are_signed(void **state)
{
    struct field f[REQUEST_FIELDS_MAX];
    (void)state;
    struct json j = of("{\"s\":\"x\",\"auth\":{},\"n\":-12,\"e\":1e3,\"t\":true,\"z\":null,"
                       "\"m\":9007199254740991}");
    assert_int_equal(json_fields(&j, f), 6);
    static const char *const values[] = {"x", "-12", "1000", "true", "null", "9007199254740991"};
    for (size_t i = 0; i < 6; i++)
        assert_true(slice_eq_str(f[i].value, values[i]));
    json_close(&j);
    static const char *const no[] = {"{\"a\":1.5}",
                                     "{\"a\":9007199254740992}",
                                     "{\"a\":-9007199254740992}",
                                     "{\"a\":1e999}",
                                     "{\"a\":{}}",
                                     "{\"a\":[]}",
                                     "{\"auth\":\"\",\"auth\":\"\"}"};
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        j = of(no[i]);
        json_fields(&j, f);
        assert_int_equal(j.err, ERR_FORMAT);
        json_close(&j);
    }
}

static enum err many_fields(size_t n)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct field f[REQUEST_FIELDS_MAX];
    struct json_out out = json_begin(&arena, 0);
    for (size_t i = 0; i < n; i++)
        json_put_uint(&out, (char[]){letters[i], '\0'}, i);
    json_put_str(&out, "auth", "");
    struct json j = json_open_object(json_end(&out), &arena);
    size_t got = json_fields(&j, f);
    enum err err = j.err;
    assert_int_equal(got, err == ERR_OK ? n : 0);
    json_close(&j);
    return err;
}

static void test_number_of_signed_fields(void **state)
{
    (void)state;
    assert_int_equal(many_fields(0), ERR_OK);
    assert_int_equal(many_fields(REQUEST_FIELDS_MAX), ERR_OK);
    assert_int_equal(many_fields(REQUEST_FIELDS_MAX + 1), ERR_FORMAT);
}

static void test_peeking(void **state)
{
    (void)state;
    struct json_peek p[] = {{.key = "chunk"}, {.key = "end"}};
    assert_int_equal(json_peek(slice_str("{\"a\":{\"end\":9},\"end\" : 1 ,\"end\":0}"), p, 2),
                     ERR_OK);
    assert_true(slice_eq_str(p[1].value, "1"));
    assert_int_equal(p[0].value.len, 0);
    /* Found as a string: the rest is not looked at. */
    struct json_peek q[] = {{.key = "chunk"}, {.key = "end"}};
    assert_int_equal(json_peek(slice_str("{\"chunk\":\"AAAA\",nonsense"), q, 2), ERR_OK);
    assert_true(slice_eq_str(q[0].value, "\""));
    struct json_peek s[] = {{.key = "chunk"}, {.key = "a"}};
    assert_int_equal(json_peek(slice_str("{\"a\":\"xy\"}"), s, 2), ERR_OK);
    assert_true(json_peek_is(s[1].value, "xy"));
    assert_false(json_peek_is(s[1].value, "x"));
    assert_false(json_peek_is(s[1].value, "xyz"));
    static const char *const no[] = {"",          "[]",         "{",        "{}",
                                     "{\"a\"",    "{\"a\":",    "{\"a\":1", "{\"a\":1,",
                                     "{\"a\":1]", "{\"a\":[1}", "{,}",      "{\"a\":\"\\u0000\"}",
                                     "{\"a\" 1}", "{\"a\":,}"};
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        struct json_peek r[] = {{.key = "chunk"}};
        if (json_peek(slice_str(no[i]), r, 1) != ERR_FORMAT)
            fail_msg("peeked: %s", no[i]);
    }
}

static void test_writing(void **state)
{
    (void)state;
    struct json_out out = json_begin(&arena, 0);
    json_put_str(&out, "s", "a\"\\\t\n\r\x01\x7f\xc2\x85\xc3\xa9/");
    json_put_text(&out, "bad", slice_str("\xff\xc3\xa9"));
    json_put_some(&out, "none", (struct slice){0});
    json_put_uint(&out, "n", 1000000000000000);
    json_put_uint(&out, "max", UINT64_MAX);
    json_put_bool(&out, "t", true);
    json_put_blob(&out, "b", slice_str("abcd"));
    json_put_blob(&out, "nob", (struct slice){0});
    json_put_open(&out, "l", '[');
    json_put_open(&out, NULL, '{');
    json_put_close(&out, '}');
    json_put_str(&out, NULL, "");
    json_put_close(&out, ']');
    json_put_bool(&out, "f", false);
    struct slice text = json_end(&out);
    assert_true(slice_eq_str(text, "{\"s\":\"a\\\"\\\\\\t\\n\\r???\xc3\xa9/\",\"bad\":\"???\","
                                   "\"n\":1000000000000000,\"max\":9007199254740991,\"t\":true,"
                                   "\"b\":\"YWJjZA==\",\"l\":[{},\"\"],\"f\":false}"));
    assert_int_equal(opens(text), ERR_OK);
}

/* I2, I3 of json_out.c: any byte becomes two at most, and counting agrees with writing. */
static void test_any_bytes_are_written_as_text(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b += 5) {
            uint8_t raw[2] = {(uint8_t)a, (uint8_t)b};
            struct json_out out = json_begin(&arena, 64), count = json_count();
            json_put_text(&out, "a", slice_of(raw, 2));
            json_put_text(&count, "a", slice_of(raw, 2));
            assert_int_equal(out.len, count.len);
            struct slice text = json_end(&out);
            assert_true(text.len <= strlen("{\"a\":\"\"}") + 4);
            struct json j = json_open_object(text, &arena);
            json_text(&j, "a", 4);
            assert_int_equal(j.err, ERR_OK);
            json_close(&j);
            arena_reset(&arena);
        }
}

static void test_text_that_is_refused(void **state)
{
    (void)state;
    assert_true(wire_text_ok((struct slice){0}));
    assert_true(wire_text_ok(slice_str("Ma première\tvidéo\r\n\xf0\x9f\x98\x80\xc2\xa0")));
    assert_false(wire_text_ok(slice_str("\x1b[2J")));
    assert_false(wire_text_ok(slice_str("a\x7f")));
    assert_false(wire_text_ok(slice_str("\xc2\x9b")));
    assert_false(wire_text_ok(slice_str("\xc2")));
    assert_false(wire_text_ok(slice_of("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_json),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_objects_are_not_arrays),
        cmocka_unit_test(test_the_first_error_stays),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_loose_texts),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_end_below_2_53),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_lists_of_blobs),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_fields_that_are_signed),
        cmocka_unit_test(test_number_of_signed_fields),
        cmocka_unit_test(test_peeking),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_any_bytes_are_written_as_text),
        cmocka_unit_test(test_text_that_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
