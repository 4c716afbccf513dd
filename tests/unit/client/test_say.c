/* Text on its way to a terminal or a program, and where media is written. */
#include "base/file.h"
#include "client/progress.h"
#include "client/say.h"
#include "client/sink.h"
#include "tests/unit/client/zone_of_ours.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char *safe(const char *text, size_t cap)
{
    static char buf[256];
    return text_safe(slice_str(text), buf, cap);
}

static void test_text_safe(void **state)
{
    (void)state;
    assert_string_equal(safe("Léa – ok", 256), "Léa – ok");
    assert_string_equal(safe("a\x1b[31mb\r\n\x7f", 256), "a?[31mb???");
    assert_string_equal(safe("\xc2\x9b"
                             "31m",
                             256),
                        "??31m"); /* a C1 control */
    assert_string_equal(safe("\xff\xe2\x82", 256), "???");
    static const char override[] = {'x', '\xe2', '\x80', '\xae', 'y', '\0'}; /* right to left */
    assert_string_equal(safe(override, 256), "x???y");
    assert_string_equal(safe("aéé", 4), "aé"); /* cut at a character */
    assert_string_equal(safe("abc", 1), "");
}

static void test_refusals(void **state)
{
    (void)state;
    char buf[REFUSAL_BYTES], message[2 * REFUSAL_BYTES];
    struct wire_error error = {.message = slice_str("no\x1b[31m"), .code_text = slice_str("quota")};
    say_refusal(&error, buf);
    assert_string_equal(buf, "no?[31m (quota)");
    say_refusal(&(struct wire_error){0}, buf);
    assert_string_equal(buf, " ()");
    memset(message, 'm', sizeof(message));
    error.message = error.code_text = slice_of(message, sizeof(message));
    say_refusal(&error, buf);
    assert_true(strlen(buf) < REFUSAL_BYTES);
}

static void test_sizes(void **state)
{
    (void)state;
    char buf[TEXT_SIZE_BYTES];
    assert_string_equal(text_size(0, buf), "0 B");
    assert_string_equal(text_size(999, buf), "999 B");
    assert_string_equal(text_size(1000, buf), "1.0 kB");
    assert_string_equal(text_size(3.4e9, buf), "3.4 GB");
    assert_string_equal(text_size(5e15, buf), "5000.0 TB");
}

static void test_json(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    struct json_text j = {.file = open_memstream(&text, &len)};
    json_text_open(&j, NULL, '{');
    json_text_str(&j, "a\"b", slice_str("x\\\n\x01\xff\"é"));
    json_text_uint(&j, "n", UINT64_MAX);
    json_text_open(&j, "list", '[');
    json_text_bool(&j, NULL, true);
    json_text_real(&j, NULL, 0.5);
    json_text_close(&j, ']');
    json_text_bool(&j, "no", false);
    json_text_close(&j, '}');
    fclose(j.file);
    assert_string_equal(text, "{\"a\\\"b\": \"x\\\\\\u000a\\u0001\\ufffd\\\"é\", "
                              "\"n\": 18446744073709551615, \"list\": [true, 0.500], "
                              "\"no\": false}");
    free(text);
}

static void test_progress(void **state)
{
    (void)state;
    char line[PROGRESS_LINE_BYTES];
    struct progress p = {.what = "upload", .total_bytes = 4000000, .started_us = 1000000};
    progress_line(&p, 1000000, "film", 2000000, line);
    assert_string_equal(line,
                        "upload [######..................]  25 % 1.0 MB, 1.0 MB/s, 0:03 left, "
                        "film");
    progress_line(&p, 0, "", 1000000, line);
    assert_string_equal(line, "upload [........................]   0 % 0 B, 0 B/s");
    progress_line(&p, 9000000, "", 2000000, line); /* more than was expected */
    assert_non_null(strstr(line, "] 100 %"));
    p.total_bytes = 0;
    progress_line(&p, 1000000, "", 3000000, line);
    assert_string_equal(line, "upload 1.0 MB, 500.0 kB/s");
    progress_init(&p, "x", 1, true, 0);
    assert_false(p.shown);
}

static void test_sink_whole(void **state)
{
    (void)state;
    char home[OURS_PATH_BYTES], path[OURS_PATH_BYTES + 8], part[OURS_PATH_BYTES + 16];
    char digest[SINK_SHA256_TEXT_BYTES];
    folder_make(home);
    snprintf(path, sizeof(path), "%s/f", home);
    snprintf(part, sizeof(part), "%s.part", path);
    struct sink s;
    assert_int_equal(sink_open(&s, path, true), ERR_OK);
    assert_int_equal(sink_write(&s, slice_str("ab")), ERR_OK);
    assert_int_equal(access(path, F_OK), -1); /* nobody takes half for all of it */
    assert_int_equal(sink_write(&s, slice_str("c")), ERR_OK);
    sink_sha256(&s, digest);
    assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sink_commit(&s), ERR_OK);
    sink_release(&s);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(sink_open(&s, path, true), ERR_OK);
    assert_int_equal(sink_write(&s, slice_str("zzz")), ERR_OK);
    sink_release(&s); /* given up: the old one stays, no rest is left */
    char *text;
    size_t len;
    assert_int_equal(file_read(path, 10, &text, &len), ERR_OK);
    assert_string_equal(text, "abc");
    free(text);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(sink_open(&s, "/nowhere/f", true), ERR_IO);
    folder_remove(home);
}

static void test_sink_others(void **state)
{
    (void)state;
    struct sink s;
    assert_int_equal(sink_open(&s, NULL, true), ERR_OK);
    assert_int_equal(sink_write(&s, slice_str("abc")), ERR_OK);
    assert_int_equal(s.bytes, 3);
    assert_int_equal(sink_commit(&s), ERR_OK);
    sink_release(&s);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    s = (struct sink){.fd = fds[1]};
    sha256_init(&s.hash);
    assert_int_equal(sink_write(&s, slice_str("abc")), ERR_CLOSED);
    close(fds[1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (crypto_init() != ERR_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_safe),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_sizes),       cmocka_unit_test(test_json),
        cmocka_unit_test(test_progress),    cmocka_unit_test(test_sink_whole),
        cmocka_unit_test(test_sink_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
