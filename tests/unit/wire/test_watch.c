/* Watching and lives: requests of the originals and of ours, and telling replies apart. */
#include "tests/unit/wire/samples.h"

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

static enum err request(const char *text, struct watch_request *ret)
{
    return watch_request_decode(slice_str(text), &arena, ret);
}

static void test_requests_of_the_originals(void **state)
{
    struct watch_request m;
    (void)state;
    assert_int_equal(
        request("{\"client_id\": \"CLIENT\", \"video_id\": \"video1\", \"init\": \"1\"}", &m),
        ERR_OK);
    assert_int_equal(m.kind, WATCH_INIT);
    assert_true(slice_eq_str(m.client_id, "CLIENT") && !m.local_only && !m.token.len);
    assert_int_equal(request("{\"client_id\": \"CLIENT\", \"video_id\": \"video1\", "
                             "\"init\": \"0\", \"chunk_part\": \"0\"}",
                             &m),
                     ERR_OK);
    assert_int_equal(m.kind, WATCH_PULL_ORIGINAL);
    assert_int_equal(m.chunk_part, 0);
    assert_string_equal(m.video_id.s, "video1");
}

#define IDS "\"client_id\":\"c\",\"video_id\":\"v\""
static void test_requests(void **state)
{
    static const struct {
        const char *text;
        enum err err;
        int kind;
    } cases[] = {
        {"{" IDS ",\"init\":1,\"local_only\":1}", ERR_OK, WATCH_INIT},
        {"{" IDS ",\"init\":true,\"pull\":1,\"chunk_part\":1}", ERR_OK, WATCH_INIT},
        {"{" IDS ",\"init\":1,\"chunk_part\":{}}", ERR_OK, WATCH_INIT},
        {"{" IDS ",\"chunk_part\":7}", ERR_OK, WATCH_PULL_ORIGINAL},
        {"{" IDS ",\"pull\":0,\"chunk_part\":1}", ERR_OK, WATCH_SEEK},
        {"{" IDS ",\"pull\":1,\"chunk_part\":1,\"part\":2,\"window_bytes\":0}", ERR_OK, WATCH_SEEK},
        {"{" IDS ",\"pull\":1,\"credit\":0,\"window_bytes\":9}", ERR_OK, WATCH_CREDIT},
        {"{" IDS ",\"pull\":1,\"credit\":9007199254740991}", ERR_OK, WATCH_CREDIT},
        {"{" IDS ",\"pull\":1,\"credit\":9007199254740992}", ERR_LIMIT, 0},
        {"{" IDS ",\"credit\":1}", ERR_FORMAT, 0},
        {"{" IDS ",\"pull\":1}", ERR_FORMAT, 0},
        {"{" IDS ",\"init\":0}", ERR_FORMAT, 0},
        {"{" IDS "}", ERR_FORMAT, 0},
        {"{" IDS ",\"chunk_part\":-1}", ERR_FORMAT, 0},
        {"{" IDS ",\"chunk_part\":4294967295}", ERR_OK, WATCH_PULL_ORIGINAL},
        {"{" IDS ",\"chunk_part\":4294967296}", ERR_LIMIT, 0},
        {"{" IDS ",\"pull\":4294967296,\"chunk_part\":1}", ERR_LIMIT, 0},
        {"{" IDS ",\"pull\":1,\"chunk_part\":1,\"window_bytes\":4294967296}", ERR_LIMIT, 0},
        {"{" IDS ",\"init\":[]}", ERR_FORMAT, 0},
        {"{\"video_id\":\"v\",\"init\":1}", ERR_FORMAT, 0},
        {"{\"client_id\":\"\",\"video_id\":\"v\",\"init\":1}", ERR_FORMAT, 0},
        {"{\"client_id\":\"c\",\"init\":1}", ERR_FORMAT, 0},
        {"{\"client_id\":\"c\",\"video_id\":\"a/b\",\"init\":1}", ERR_FORMAT, 0},
    };
    struct watch_request m;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum err err = request(cases[i].text, &m);
        if (err != cases[i].err || (err == ERR_OK && (int)m.kind != cases[i].kind))
            fail_msg("%s: %s", cases[i].text, err_name(err));
    }
}

static void test_requests_round_trip(void **state)
{
    (void)state;
    struct watch_request sent = {
        .client_id = slice_str("c"),
        .video_id = sample_id("v"),
        .local_only = true,
        .chunk_part = 1,
        .part = 2,
        .pull = 3,
        .credit_bytes = 4,
        .window_bytes = 5,
        .token = sample_bytes(&arena, TOKEN_BYTES),
    };
    for (int kind = WATCH_INIT; kind <= WATCH_CREDIT; kind++) {
        struct watch_request got;
        sent.kind = (enum watch_kind)kind;
        assert_int_equal(watch_request_decode(watch_request_encode(&sent, &arena), &arena, &got),
                         ERR_OK);
        assert_int_equal(got.kind, kind);
        assert_int_equal(got.local_only, kind == WATCH_INIT);
        assert_int_equal(got.chunk_part, kind == WATCH_SEEK || kind == WATCH_PULL_ORIGINAL);
        assert_int_equal(got.part, kind == WATCH_SEEK ? 2 : 0);
        assert_int_equal(got.pull, kind >= WATCH_SEEK ? 3 : 0);
        assert_int_equal(got.credit_bytes, kind == WATCH_CREDIT ? 4 : 0);
        assert_int_equal(got.window_bytes, kind >= WATCH_SEEK ? 5 : 0);
        assert_true(slice_eq(got.token, sent.token));
    }
}

static struct watch_info some_info(void)
{
    return (struct watch_info){
        .video_id = sample_id("1234"),
        .title = slice_str("Live de Léa"),
        .edge_id = slice_str("E"),
        .streamer_id = sample_id("S"),
        .streamer_name = slice_str("Léa"),
        .statement = slice_str("abc"),
        .credential = slice_str("def"),
        .token = sample_bytes(&arena, TOKEN_BYTES),
    };
}

static void test_info_as_written(void **state)
{
    (void)state;
    struct watch_info m = some_info();
    assert_true(slice_eq_str(
        watch_info_encode(&m, &arena),
        "{\"status\":\"ok\",\"video_id\":\"1234\",\"video_title\":\"Live de Léa\","
        "\"video_nom\":\"Live de Léa\",\"chunk_part\":\"0\",\"end\":\"0\",\"EDGE_ID\":\"E\","
        "\"streamer_id\":\"S\",\"streamer_nom\":\"Léa\",\"media_type\":\"\",\"codecs\":\"\","
        "\"live\":0,\"chunks\":0,\"bytes\":0,\"statement\":\"YWJj\",\"credential\":\"ZGVm\","
        "\"token\":\"AQgPFh0kKzI5QEdOVVxjag==\"}"));
    assert_true(slice_eq_str(
        live_info_encode(&m, false, &arena),
        "{\"video_id\":\"1234\",\"streamer_id\":\"S\",\"streamer_nom\":\"Léa\","
        "\"video_title\":\"Live de Léa\",\"statement\":\"YWJj\",\"credential\":\"ZGVm\","
        "\"end\":0}"));
    struct watch_info got;
    assert_int_equal(watch_info_decode(live_info_encode(&m, true, &arena), &arena, &got), ERR_OK);
    assert_true(got.live && got.token.len == TOKEN_BYTES && slice_eq(got.title, m.title));
    assert_int_equal(watch_info_decode(live_info_encode(&m, false, &arena), &arena, &got), ERR_OK);
    assert_true(!got.token.len && slice_eq(got.statement, m.statement));
}

/* As an original edge answers. */
static void test_info_of_the_original(void **state)
{
    struct watch_info m;
    (void)state;
    assert_int_equal(watch_info_decode(slice_str("{\"video_title\":\"t\",\"video_id\":\"video1\","
                                                 "\"chunk_part\":\"0\",\"end\":\"0\"}"),
                                       &arena, &m),
                     ERR_OK);
    assert_true(slice_eq_str(m.title, "t") && !m.statement.len && m.streamer_id.s[0] == '\0');
}

static void test_info_limits(void **state)
{
    struct watch_info got, m = some_info();
    struct {
        struct slice *field;
        size_t max;
    } fields[] = {
        {&m.title, TITLE_BYTES_MAX},
        {&m.edge_id, ID_BYTES_MAX},
        {&m.streamer_name, NAME_BYTES_MAX},
        {&m.media_type, MEDIA_TYPE_BYTES_MAX},
        {&m.codecs, CODECS_BYTES_MAX},
        {&m.statement, VIDEO_OBJECT_BYTES_MAX},
        {&m.credential, CREDENTIAL_OBJECT_BYTES_MAX},
        {&m.manifest, MANIFEST_OBJECT_BYTES_MAX},
        {&m.receipt, RECEIPT_OBJECT_BYTES_MAX},
        {&m.receipt_credential, CREDENTIAL_OBJECT_BYTES_MAX},
        {&m.delegation, DELEGATION_OBJECT_BYTES_MAX},
        {&m.thumbnail_part, THUMBNAIL_PART_BYTES_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct slice before = *fields[i].field;
        *fields[i].field = sample_text(&arena, 'x', fields[i].max);
        assert_int_equal(watch_info_decode(watch_info_encode(&m, &arena), &arena, &got), ERR_OK);
        *fields[i].field = sample_text(&arena, 'x', fields[i].max + 1);
        assert_int_equal(watch_info_decode(watch_info_encode(&m, &arena), &arena, &got), ERR_LIMIT);
        *fields[i].field = before;
    }
}

/* Every field at its limit, in texts of which each byte becomes two: one message still. */
static void test_the_largest_info(void **state)
{
    (void)state;
    struct watch_info got,
        m = {
            .video_id =
                sample_id("0123456789012345678901234567890123456789012345678901234567890123"),
            .title = sample_text(&arena, '"', TITLE_BYTES_MAX),
            .edge_id = sample_text(&arena, '"', ID_BYTES_MAX),
            .edges = sample_text(&arena, '"', EDGES_TEXT_BYTES_MAX),
            .streamer_id =
                sample_id("0123456789012345678901234567890123456789012345678901234567890123"),
            .streamer_name = sample_text(&arena, '"', NAME_BYTES_MAX),
            .media_type = sample_text(&arena, '"', MEDIA_TYPE_BYTES_MAX),
            .codecs = sample_text(&arena, '"', CODECS_BYTES_MAX),
            .live = true,
            .chunks = UINT32_MAX,
            .bytes = UINT64_MAX,
            .statement = sample_bytes(&arena, VIDEO_OBJECT_BYTES_MAX),
            .credential = sample_bytes(&arena, CREDENTIAL_OBJECT_BYTES_MAX),
            .manifest = sample_bytes(&arena, MANIFEST_OBJECT_BYTES_MAX),
            .token = sample_bytes(&arena, TOKEN_BYTES),
            .receipt = sample_bytes(&arena, RECEIPT_OBJECT_BYTES_MAX),
            .receipt_credential = sample_bytes(&arena, CREDENTIAL_OBJECT_BYTES_MAX),
            .delegation = sample_bytes(&arena, DELEGATION_OBJECT_BYTES_MAX),
            .thumbnail_part = sample_bytes(&arena, THUMBNAIL_PART_BYTES_MAX),
        };
    struct slice text = watch_info_encode(&m, &arena);
    assert_true(text.len <= PACKET_BYTES_MAX);
    assert_int_equal(watch_info_decode(text, &arena, &got), ERR_OK);
    assert_true(slice_eq(got.receipt, m.receipt) && slice_eq(got.delegation, m.delegation) &&
                slice_eq(got.receipt_credential, m.receipt_credential) &&
                slice_eq(got.thumbnail_part, m.thumbnail_part));
    text = live_info_encode(&m, true, &arena);
    assert_true(text.len <= PACKET_BYTES_MAX);
    assert_int_equal(watch_info_decode(text, &arena, &got), ERR_OK);
    assert_true(slice_eq(got.thumbnail_part, m.thumbnail_part) && got.receipt.len == 0);
    assert_int_equal(watch_info_decode(live_info_encode(&m, false, &arena), &arena, &got), ERR_OK);
    assert_int_equal(got.thumbnail_part.len, 0);
}

/* The largest thumbnail is one part of the length that its limit says. */
static void test_the_largest_thumbnail(void **state)
{
    (void)state;
    struct slice packet =
        sample_packet(&arena, THUMBNAIL_JPEG_BYTES_MAX, THUMBNAIL_JPEG_BYTES_MAX, 0);
    assert_int_equal(packet.len + STATEMENT_EXT_BYTES_MAX, THUMBNAIL_PART_BYTES_MAX);
}

/* What a streamer signed may be any number: ours stays JSON. */
static void test_numbers_that_json_cannot_hold(void **state)
{
    struct watch_info got, m = some_info();
    (void)state;
    m.bytes = UINT64_MAX;
    m.chunks = UINT32_MAX;
    assert_int_equal(watch_info_decode(watch_info_encode(&m, &arena), &arena, &got), ERR_OK);
    assert_true(got.bytes == 9007199254740991u && got.chunks == UINT32_MAX);
}

static void test_ends_as_written(void **state)
{
    struct watch_end m = {.video_id = sample_id("v")}, got;
    (void)state;
    assert_true(slice_eq_str(watch_end_encode(&m, &arena), "{\"video_id\":\"v\",\"end\":\"1\"}"));
    m.chunk_part = 21;
    assert_true(slice_eq_str(watch_end_encode(&m, &arena),
                             "{\"video_id\":\"v\",\"chunk_part\":21,\"end\":\"1\"}"));
    m = (struct watch_end){.video_id = sample_id("v"), .live = true};
    struct slice text = watch_end_encode(&m, &arena);
    assert_true(slice_eq_str(text, "{\"video_id\":\"v\",\"end\":1}"));
    assert_int_equal(watch_end_decode(text, &arena, &got), ERR_OK);
    assert_true(got.live && !got.has_pull);
    assert_int_equal(watch_end_decode(slice_str("{\"video_id\":\"v\",\"end\":0}"), &arena, &got),
                     ERR_FORMAT);
    assert_int_equal(watch_end_decode(slice_str("{\"video_id\":\"v\"}"), &arena, &got), ERR_FORMAT);
    assert_int_equal(watch_end_decode(slice_str("{\"end\":1}"), &arena, &got), ERR_FORMAT);
}

static void test_telling_replies_apart(void **state)
{
    static const struct {
        const char *text;
        int kind;
    } cases[] = {
        {"{\"video_title\":\"t\",\"video_id\":\"v\",\"chunk_part\":\"0\",\"end\":\"0\"}",
         WATCH_REPLY_INFO},
        {"{\"streamer_id\":\"s\",\"streamer_nom\":\"n\"}", WATCH_REPLY_INFO},
        {"{\"statement\":\"AAAA\",\"end\":0}", WATCH_REPLY_INFO},
        {"{\"video_title\":\"t\",\"chunk_part\":\"3\",\"chunk\":\"AAAA\",\"end\":\"0\"}",
         WATCH_REPLY_PART_JSON},
        {"{\"chunk\":\"AAAA\",\"chunk_part\":42,\"end\":\"1\"}", WATCH_REPLY_PART_JSON},
        {"{\"video_id\":\"v\",\"end\":\"1\"}", WATCH_REPLY_END},
        {"{\"video_id\":\"v\",\"end\":1}", WATCH_REPLY_END},
        {"{\"video_id\":\"v\",\"end\":true,\"streamer_id\":\"s\"}", WATCH_REPLY_END},
        {"{\"status\":\"error\",\"code\":\"busy\",\"video_id\":\"v\"}", WATCH_REPLY_ERROR},
        {"{\"video_id\":\"v\",\"end\":1,\"status\":\"error\"}", WATCH_REPLY_ERROR},
        {"{\"video_id\":\"v\"}", -1},
        {"{\"video_id\":\"v\",\"end\":\"0\"}", -1},
        {"{\"end\":{}}", -1},
        {"{}", -1},
        {"[]", -1},
        {"", -1},
        {"EVC1", -1},
        {"{\"end\":1", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum watch_reply_kind kind;
        enum err err = watch_reply_classify(slice_str(cases[i].text), &kind);
        if (err != (cases[i].kind < 0 ? ERR_FORMAT : ERR_OK) ||
            (err == ERR_OK && (int)kind != cases[i].kind))
            fail_msg("%s: %s, %d", cases[i].text, err_name(err), err == ERR_OK ? (int)kind : -1);
    }
}

/* What our own edge writes is told apart by our own client. */
static void test_own_replies_are_told_apart(void **state)
{
    enum watch_reply_kind kind;
    struct watch_info info = some_info();
    struct watch_end end = {.video_id = sample_id("v"), .has_pull = true, .pull = 1};
    struct wire_error error = {.code = CODE_UNKNOWN_VIDEO};
    struct part_json part = {
        .video_id = sample_id("v"), .packet = sample_bytes(&arena, 50000), .parts_n = 1};
    (void)state;
    assert_int_equal(watch_reply_classify(watch_info_encode(&info, &arena), &kind), ERR_OK);
    assert_int_equal(kind, WATCH_REPLY_INFO);
    assert_int_equal(watch_reply_classify(live_info_encode(&info, false, &arena), &kind), ERR_OK);
    assert_int_equal(kind, WATCH_REPLY_INFO);
    assert_int_equal(watch_reply_classify(watch_end_encode(&end, &arena), &kind), ERR_OK);
    assert_int_equal(kind, WATCH_REPLY_END);
    assert_int_equal(watch_reply_classify(wire_error_encode(&error, &arena), &kind), ERR_OK);
    assert_int_equal(kind, WATCH_REPLY_ERROR);
    for (unsigned f = 0; f < 2; f++) {
        assert_int_equal(watch_reply_classify(part_json_encode(&part, f, &arena), &kind), ERR_OK);
        assert_int_equal(kind, WATCH_REPLY_PART_JSON);
    }
}

static enum err join(const char *text)
{
    struct live_join m;
    return live_join_decode(slice_str(text), &arena, &m);
}

static void test_joins(void **state)
{
    (void)state;
    assert_int_equal(
        join("{\"video_id\": \"1234\", \"client_id\": \"CLIENT\", \"action\": \"watch\"}"), ERR_OK);
    assert_int_equal(join("{" IDS ",\"action\":\"watch\",\"token\":\"not one\"}"), ERR_OK);
    assert_int_equal(join("{" IDS ",\"action\":\"leave\"}"), ERR_FORMAT);
    assert_int_equal(join("{" IDS ",\"action\":1}"), ERR_FORMAT);
    assert_int_equal(join("{" IDS "}"), ERR_FORMAT);
    assert_int_equal(join("{\"video_id\":\"v\",\"action\":\"watch\"}"), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_of_the_originals),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_requests_round_trip),
        cmocka_unit_test(test_info_as_written),
        cmocka_unit_test(test_info_of_the_original),
        cmocka_unit_test(test_info_limits),
        cmocka_unit_test(test_the_largest_info),
        cmocka_unit_test(test_the_largest_thumbnail),
        cmocka_unit_test(test_numbers_that_json_cannot_hold),
        cmocka_unit_test(test_ends_as_written),
        cmocka_unit_test(test_telling_replies_apart),
        cmocka_unit_test(test_own_replies_are_told_apart),
        cmocka_unit_test(test_joins),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
