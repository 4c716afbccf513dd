/* Topics, read and written. */
#include "wire/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    enum topic_kind kind;
    const char *text, *a, *b;
} topics[] = {
    {TOPIC_AUTH_PARAMS, "auth/params", "", ""},
    {TOPIC_AUTH_PARAMS_REPLY, "auth/params/C", "C", ""},
    {TOPIC_AUTH_ZONE, "auth/zone", "", ""},
    {TOPIC_AUTH_ZONE_REPLY, "auth/zone/E", "E", ""},
    {TOPIC_AUTH_USER, "auth/user", "", ""},
    {TOPIC_AUTH_USER_REPLY, "auth/user/C", "C", ""},
    {TOPIC_AUTH_REVOCATIONS, "auth/revocations", "", ""},
    {TOPIC_DB, "db", "", ""},
    {TOPIC_DB_REPLY, "db/E", "E", ""},
    {TOPIC_DB_UPDATE, "db/update", "", ""},
    {TOPIC_DB_SYNC, "db/sync/E", "E", ""},
    {TOPIC_EDGE_STATUS, "edge/status/E", "E", ""},
    {TOPIC_PING, "video/request/ping", "", ""},
    {TOPIC_PING_REPLY, "video/request/ping/C", "C", ""},
    {TOPIC_LIST, "video/liste/E", "E", ""},
    {TOPIC_LIST_REPLY, "video/liste/E/C", "E", "C"},
    {TOPIC_UPLOAD, "video/upload/E", "E", ""},
    {TOPIC_UPLOAD_REPLY, "video/upload/E/S", "E", "S"},
    {TOPIC_DELETE, "video/delete/E", "E", ""},
    {TOPIC_DELETE_REPLY, "video/delete/E/S", "E", "S"},
    {TOPIC_WATCH, "video/watch/E", "E", ""},
    {TOPIC_WATCH_REPLY, "video/watch/E/C", "E", "C"},
    {TOPIC_LIVE_UPLOAD, "live/upload/E", "E", ""},
    {TOPIC_LIVE_UPLOAD_REPLY, "live/upload/E/S", "E", "S"},
    {TOPIC_LIVE_WATCH, "live/watch/E", "E", ""},
    {TOPIC_LIVE_PARTS, "live/watch/E/V", "E", "V"},
};
enum { TOPICS_N = sizeof(topics) / sizeof(topics[0]) };

static enum err parse(const char *text, const char *prefix, struct topic *ret)
{
    return topic_parse(slice_str(text), slice_str(prefix), ret);
}

static void test_both_ways(void **state)
{
    static const char *const prefixes[] = {"", "lab", "site-1/lab_2"};
    (void)state;
    assert_int_equal(TOPICS_N, TOPIC_LIVE_PARTS + 1);
    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; i < TOPICS_N; i++) {
            char buf[TOPIC_BUF_BYTES];
            struct topic topic;
            struct slice prefix = slice_str(prefixes[p]);
            struct slice text = topic_print(topics[i].kind, prefix, slice_str(topics[i].a),
                                            slice_str(topics[i].b), buf);
            assert_int_equal(strlen(buf), text.len);
            struct slice own = prefix.len ? slice_from(text, prefix.len + 1) : text;
            assert_true(slice_eq_str(own, topics[i].text));
            assert_int_equal(topic_parse(text, prefix, &topic), ERR_OK);
            assert_int_equal(topic.kind, topics[i].kind);
            assert_true(slice_eq_str(topic.a, topics[i].a));
            assert_true(slice_eq_str(topic.b, topics[i].b));
        }
}

static void test_not_ours(void **state)
{
    static const char *const no[] = {"",
                                     "/",
                                     "db/",
                                     "/db",
                                     "db/E/x",
                                     "dbx",
                                     "d",
                                     "db/update/x",
                                     "db/sync/",
                                     "db/sync/E/x",
                                     "video/delete",
                                     "video/delete/E/S/x",
                                     "db//",
                                     "auth",
                                     "auth/",
                                     "auth/zone/",
                                     "auth/params/C/D",
                                     "auth/revocations/x",
                                     "video/watch",
                                     "video/watch/",
                                     "video/watch/E/",
                                     "video/watch/E/C/D",
                                     "video/watch//C",
                                     "live/watch/E/V/x",
                                     "edge/status",
                                     "video/request/ping/",
                                     "video/request",
                                     "VIDEO/watch/E",
                                     "video/watch/E ",
                                     "$SYS/broker"};
    (void)state;
    struct topic untouched = {.kind = TOPIC_DB};
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (parse(no[i], "", &untouched) != ERR_FORMAT || untouched.kind != TOPIC_DB)
            fail_msg("read: %s", no[i]);
}

static void test_ids_are_ids(void **state)
{
    static const char *const no[] = {"db/update ",
                                     "db/sync",
                                     "db/sync/sync",
                                     "db/sync/update",
                                     "video/delete/sync",
                                     "db/+",
                                     "db/#",
                                     "auth/zone/update",
                                     "edge/status/sync",
                                     "video/liste/update",
                                     "live/watch/sync/V",
                                     "video/watch/a.b",
                                     "video/upload/E/a.b",
                                     "live/watch/E/a+",
                                     "live/upload/E/é",
                                     "video/watch/E/+",
                                     "video/watch/E/#",
                                     "video/liste/E/a#b"};
    struct topic topic;
    (void)state;
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (parse(no[i], "", &topic) != ERR_FORMAT)
            fail_msg("read: %s", no[i]);
    /* Videos, streamers and clients may have the names that edges may not. */
    assert_int_equal(parse("live/watch/E/update", "", &topic), ERR_OK);
    assert_int_equal(parse("video/upload/E/sync", "", &topic), ERR_OK);
    assert_int_equal(parse("video/watch/E/update", "", &topic), ERR_OK);
    /* Reply ids may be no ids. */
    assert_int_equal(parse("video/watch/E/a.jwt token", "", &topic), ERR_OK);
    assert_true(slice_eq_str(topic.b, "a.jwt token"));
}

static void test_prefixes_must_be_there(void **state)
{
    struct topic topic;
    (void)state;
    assert_int_equal(parse("lab/db", "lab", &topic), ERR_OK);
    assert_int_equal(parse("db", "lab", &topic), ERR_FORMAT);
    assert_int_equal(parse("lab", "lab", &topic), ERR_FORMAT);
    assert_int_equal(parse("labdb", "lab", &topic), ERR_FORMAT);
    assert_int_equal(parse("lab//db", "lab", &topic), ERR_FORMAT);
    assert_int_equal(parse("lab/lab/db", "lab", &topic), ERR_FORMAT);
    assert_int_equal(parse("lab/db", "", &topic), ERR_FORMAT);
}

static struct slice repeat(char *buf, char c, size_t n)
{
    memset(buf, c, n);
    return slice_of(buf, n);
}

static void test_lengths(void **state)
{
    char prefix[TOPIC_PREFIX_BYTES_MAX], id[ID_BYTES_MAX + 1], token[REPLY_ID_BYTES_MAX + 1];
    char buf[TOPIC_BUF_BYTES], more[TOPIC_BUF_BYTES + 1];
    struct topic topic;
    (void)state;
    struct slice p = repeat(prefix, 'p', sizeof(prefix)), i = repeat(id, 'i', ID_BYTES_MAX);
    struct slice text = topic_print(TOPIC_UPLOAD_REPLY, p, i, i, buf);
    assert_int_equal(text.len, TOPIC_BYTES_MAX);
    assert_int_equal(topic_parse(text, p, &topic), ERR_OK);
    text = topic_print(TOPIC_WATCH_REPLY, p, i, repeat(token, 't', REPLY_ID_BYTES_MAX), buf);
    assert_int_equal(topic_parse(text, p, &topic), ERR_OK);
    assert_int_equal(topic.b.len, REPLY_ID_BYTES_MAX);
    memcpy(more, text.ptr, text.len);
    more[text.len] = 't';
    assert_int_equal(topic_parse(slice_of(more, text.len + 1), p, &topic), ERR_FORMAT);
    text = topic_print(TOPIC_WATCH, (struct slice){0}, repeat(id, 'i', ID_BYTES_MAX + 1), i, buf);
    assert_int_equal(topic_parse(text, (struct slice){0}, &topic), ERR_FORMAT);
}

static void test_filters_are_printed(void **state)
{
    char buf[TOPIC_BUF_BYTES];
    (void)state;
    topic_print(TOPIC_EDGE_STATUS, slice_str("lab"), slice_str("+"), (struct slice){0}, buf);
    assert_string_equal(buf, "lab/edge/status/+");
    topic_print(TOPIC_WATCH_REPLY, (struct slice){0}, slice_str("+"), slice_str("me"), buf);
    assert_string_equal(buf, "video/watch/+/me");
}

static void test_prefix_ok(void **state)
{
    static const char *const yes[] = {"", "a", "a/b/c/d", "lab_1/Site-2"};
    static const char *const no[] = {"/",   "/a", "a/",  "a//b", "a/b/c/d/e",
                                     "a b", "+",  "a/#", "é",    "$SYS"};
    char buf[TOPIC_PREFIX_BYTES_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(topic_prefix_ok(slice_str(yes[i])));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(topic_prefix_ok(slice_str(no[i])));
    assert_true(topic_prefix_ok(repeat(buf, 'a', TOPIC_PREFIX_BYTES_MAX)));
    assert_false(topic_prefix_ok(repeat(buf, 'a', TOPIC_PREFIX_BYTES_MAX + 1)));
}

static void test_reserved_ids(void **state)
{
    (void)state;
    assert_true(edge_id_reserved(&(struct id){"update"}));
    assert_true(edge_id_reserved(&(struct id){"sync"}));
    assert_false(edge_id_reserved(&(struct id){"sync1"}));
    assert_false(edge_id_reserved(&(struct id){""}));
}

static void test_reply_ids(void **state)
{
    static const char *const tokens[] = {"eyJhbGciOi.J9.x_-y=", "a b", "é", "\xf0\x9f\x98\x80",
                                         "$x"};
    static const char *const never[] = {"",
                                        "a+b",
                                        "#",
                                        "a/b",
                                        "a\nb",
                                        "\x7f",
                                        "\xc2\x9f",
                                        "\xff",
                                        "\xef\xbf\xbe",
                                        "\xef\xb7\x90",
                                        "\xf0\x9f\xbf\xbf",
                                        "a\xc3"};
    char buf[REPLY_ID_BYTES_MAX + 1];
    (void)state;
    assert_true(reply_id_ok(slice_str("abc_-9"), false));
    assert_true(reply_id_ok(slice_str("abc_-9"), true));
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        assert_false(reply_id_ok(slice_str(tokens[i]), false));
        assert_true(reply_id_ok(slice_str(tokens[i]), true));
    }
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        assert_false(reply_id_ok(slice_str(never[i]), false));
        assert_false(reply_id_ok(slice_str(never[i]), true));
    }
    assert_false(reply_id_ok(slice_of("a\0", 2), true));
    assert_true(reply_id_ok(repeat(buf, 'a', ID_BYTES_MAX), false));
    assert_false(reply_id_ok(repeat(buf, 'a', ID_BYTES_MAX + 1), false));
    assert_true(reply_id_ok(repeat(buf, 'a', REPLY_ID_BYTES_MAX), true));
    assert_false(reply_id_ok(repeat(buf, 'a', REPLY_ID_BYTES_MAX + 1), true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),   cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_ids_are_ids), cmocka_unit_test(test_prefixes_must_be_there),
        cmocka_unit_test(test_lengths),     cmocka_unit_test(test_filters_are_printed),
        cmocka_unit_test(test_prefix_ok),   cmocka_unit_test(test_reserved_ids),
        cmocka_unit_test(test_reply_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
