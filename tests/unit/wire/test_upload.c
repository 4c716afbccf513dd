/* Uploads and lives: the original's messages, parts in JSON, limits. */
#include "base/base64.h"
#include "tests/unit/wire/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct arena arena;

static int release(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

/* The original clients' messages, word for word. */
#define UPLOAD_INIT_S                                                                              \
    "{\"video_id\": \"video1\", \"video_nom\": \"Ma premi\\u00e8re vid\\u00e9o\", "                \
    "\"description\": \"Description de la vidéo\", \"category\": \"Gaming\", "                    \
    "\"thumbnail\": \"thumb1.jpg\", \"init\": 1, \"end\": \"0\", \"streamer_id\": \"STREAMER\", "  \
    "\"streamer_nom\": \"Léa\"}"
#define UPLOAD_CHUNK_S                                                                             \
    "{\"video_id\": \"video1\", \"video_nom\": \"Ma première vidéo\", \"chunk\": \"{part}\", "   \
    "\"chunk_part\": \"1\", \"init\": 0, \"end\": \"0\"}"
#define UPLOAD_CHUNK_OLD_S                                                                         \
    "{\"video_ID\": \"video1\", \"chunk\": \"{part}\", \"chunk_part\": 2, \"init\": 0, "           \
    "\"end\": \"1\"}"
#define LIVE_INIT_S                                                                                \
    "{\"video_id\": \"1234\", \"end\": 0, \"streamer_nom\": \"Léa\", \"category\": \"live\", "    \
    "\"description\": \"Live de Léa\", \"thumbnail\": 12456, \"video_nom\": \"Live de Léa\", "   \
    "\"streamer_id\": \"STREAMER\"}"
#define LIVE_CHUNK_S                                                                               \
    "{\"video_id\": \"1234\", \"end\": 0, \"chunk_part\": 42, \"chunk\": \"{part}\", "             \
    "\"packet_index\": 0, \"total_packets\": 8}"
#define LIVE_END_S "{\"video_id\": \"1234\", \"end\": 1}"

enum { NONE = -1 };

/* The kind, or NONE. */
static int kind_of(const char *text, bool live)
{
    enum upload_kind kind;
    enum err err = upload_classify(slice_str(text), live, &kind);
    assert_true(err == ERR_OK || err == ERR_FORMAT);
    return err == ERR_OK ? (int)kind : NONE;
}

static void test_what_the_originals_send(void **state)
{
    (void)state;
    assert_int_equal(kind_of(UPLOAD_INIT_S, false), UPLOAD_INIT);
    assert_int_equal(kind_of(UPLOAD_CHUNK_S, false), UPLOAD_PART_JSON);
    assert_int_equal(kind_of(UPLOAD_CHUNK_OLD_S, false), UPLOAD_PART_JSON);
    assert_int_equal(kind_of(LIVE_INIT_S, true), UPLOAD_INIT);
    assert_int_equal(kind_of(LIVE_CHUNK_S, true), UPLOAD_PART_JSON);
    assert_int_equal(kind_of(LIVE_END_S, true), UPLOAD_END_UNSIGNED);
    assert_int_equal(kind_of(LIVE_END_S, false), UPLOAD_END_UNSIGNED);
}

static void test_classification(void **state)
{
    static const struct {
        const char *text;
        int upload, live;
    } cases[] = {
        {"", NONE, NONE},
        {"EVC", NONE, NONE},
        {"EVC1", UPLOAD_PART_BINARY, UPLOAD_PART_BINARY},
        {"evc1", NONE, NONE},
        {" {\"init\":1}", NONE, NONE},
        {"[]", NONE, NONE},
        {"{}", NONE, NONE},
        {"{\"a\":1}", NONE, UPLOAD_INIT},
        {"{\"init\":0,\"end\":\"0\"}", NONE, UPLOAD_INIT},
        {"{\"init\":\"1\"}", UPLOAD_INIT, UPLOAD_INIT},
        {"{\"init\":true,\"end\":false}", UPLOAD_INIT, UPLOAD_INIT},
        {"{\"init\":1,\"end\":1}", UPLOAD_INIT, UPLOAD_END_UNSIGNED},
        {"{\"end\":\"1\",\"manifest\":\"AAAA\"}", UPLOAD_END, UPLOAD_END},
        {"{\"manifest\":\"AAAA\",\"init\":0,\"end\":true}", UPLOAD_END, UPLOAD_END},
        {"{\"end\":1,\"manifest\":null}", UPLOAD_END_UNSIGNED, UPLOAD_END_UNSIGNED},
        {"{\"end\":0,\"manifest\":\"AAAA\"}", NONE, UPLOAD_INIT},
        {"{\"end\":1,\"chunk\":\"\"}", UPLOAD_PART_JSON, UPLOAD_PART_JSON},
        {"{\"end\":1,\"chunk\":null}", UPLOAD_END_UNSIGNED, UPLOAD_END_UNSIGNED},
        {"{\"end\":1,\"chunk\":{\"init\":1}}", UPLOAD_END_UNSIGNED, UPLOAD_END_UNSIGNED},
        {"{\"x\":{\"chunk\":\"AAAA\"},\"end\":1}", UPLOAD_END_UNSIGNED, UPLOAD_END_UNSIGNED},
        {"{\"x\":\"\\\"chunk\\\":\\\"A\",\"end\":1}", UPLOAD_END_UNSIGNED, UPLOAD_END_UNSIGNED},
        {"{\"delegation\":\"AAAA\"}", UPLOAD_DELEGATION, UPLOAD_DELEGATION},
        {"{\"video_id\":\"v\",\"delegation\":\"\"}", UPLOAD_DELEGATION, UPLOAD_DELEGATION},
        {"{\"delegation\":null}", NONE, UPLOAD_INIT},
        {"{\"delegation\":7}", NONE, UPLOAD_INIT},
        {"{\"delegation\":\"AAAA\",\"end\":0}", NONE, UPLOAD_INIT},
        {"{\"delegation\":\"AAAA\",\"init\":1}", UPLOAD_INIT, UPLOAD_INIT},
        {"{\"delegation\":\"AAAA\",\"end\":1}", UPLOAD_END_UNSIGNED, UPLOAD_END_UNSIGNED},
        {"{\"delegation\":\"AAAA\",\"end\":1,\"manifest\":\"AAAA\"}", UPLOAD_END, UPLOAD_END},
        {"{\"delegation\":\"AAAA\",\"chunk\":\"AAAA\"}", UPLOAD_PART_JSON, UPLOAD_PART_JSON},
        {"{\"x\":{\"delegation\":\"AAAA\"}}", NONE, UPLOAD_INIT},
        {"{\"init\":\"yes\"}", NONE, NONE},
        {"{\"init\":-1}", NONE, NONE},
        {"{\"end\":[1]}", NONE, NONE},
        {"{\"init\":1", NONE, NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (kind_of(cases[i].text, false) != cases[i].upload)
            fail_msg("upload: %s: %d", cases[i].text, kind_of(cases[i].text, false));
        if (kind_of(cases[i].text, true) != cases[i].live)
            fail_msg("live: %s: %d", cases[i].text, kind_of(cases[i].text, true));
    }
}

static void test_init_of_the_originals(void **state)
{
    struct upload_init m;
    (void)state;
    assert_int_equal(upload_init_decode(slice_str(UPLOAD_INIT_S), &arena, &m), ERR_OK);
    assert_string_equal(m.video_id.s, "video1");
    assert_true(slice_eq_str(m.title, "Ma première vidéo") && slice_eq_str(m.category, "Gaming") &&
                slice_eq_str(m.description, "Description de la vidéo") &&
                slice_eq_str(m.thumbnail, "thumb1.jpg") && slice_eq_str(m.streamer_name, "Léa"));
    assert_string_equal(m.streamer_id.s, "STREAMER");
    assert_true(!m.credential.len && !m.statement.len && !m.signature.auth.len);
    assert_int_equal(upload_init_decode(slice_str(LIVE_INIT_S), &arena, &m), ERR_OK);
    assert_string_equal(m.video_id.s, "1234");
    assert_true(slice_eq_str(m.thumbnail, "12456"));
}

/* What we write is what the originals' servers read: the same fields, the same types. */
static void test_init_as_written(void **state)
{
    struct upload_init m = {.video_id = sample_id("v"), .streamer_id = sample_id("s")};
    (void)state;
    assert_true(slice_eq_str(
        upload_init_encode(&m, false, NULL, &arena),
        "{\"video_id\":\"v\",\"video_nom\":\"\",\"description\":\"\",\"category\":\"\","
        "\"thumbnail\":\"\",\"init\":1,\"end\":\"0\",\"streamer_id\":\"s\",\"streamer_nom\":"
        "\"\"}"));
    assert_true(slice_eq_str(
        upload_init_encode(&m, true, NULL, &arena),
        "{\"video_id\":\"v\",\"video_nom\":\"\",\"description\":\"\",\"category\":\"\","
        "\"thumbnail\":\"\",\"end\":0,\"streamer_id\":\"s\",\"streamer_nom\":\"\"}"));
}

static struct upload_init largest_init(void)
{
    return (struct upload_init){
        .video_id = sample_id("0123456789012345678901234567890123456789012345678901234567890123"),
        .title = sample_text(&arena, '"', TITLE_BYTES_MAX),
        .description = sample_text(&arena, '"', DESCRIPTION_BYTES_MAX),
        .category = sample_text(&arena, '"', CATEGORY_BYTES_MAX),
        .thumbnail = sample_text(&arena, '"', THUMBNAIL_BYTES_MAX),
        .streamer_id = sample_id("s"),
        .streamer_name = sample_text(&arena, '"', NAME_BYTES_MAX),
        .credential = sample_bytes(&arena, CREDENTIAL_OBJECT_BYTES_MAX),
        .statement = sample_bytes(&arena, VIDEO_OBJECT_BYTES_MAX),
    };
}

static enum err init_err(const struct upload_init *m)
{
    struct request_signer signer = sample_signer();
    struct upload_init got;
    struct slice text = upload_init_encode(m, true, &signer, &arena);
    assert_true(text.len <= PACKET_BYTES_MAX);
    return upload_init_decode(text, &arena, &got);
}

static void test_init_limits(void **state)
{
    (void)state;
    struct upload_init m = largest_init();
    assert_int_equal(init_err(&m), ERR_OK);
    struct slice *const fields[] = {&m.title,         &m.description, &m.category, &m.thumbnail,
                                    &m.streamer_name, &m.credential,  &m.statement};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct slice before = *fields[i];
        *fields[i] = sample_text(&arena, 'x', before.len + 1);
        assert_int_equal(init_err(&m), ERR_LIMIT);
        *fields[i] = (struct slice){0};
        assert_int_equal(init_err(&m), ERR_OK);
        *fields[i] = before;
    }
}

static void test_end_needs_what_is_signed(void **state)
{
    static const char *const keys[] = {"\"manifest\"", "\"statement\"", "\"video_id\"",
                                       "\"streamer_id\"", "\"end\""};
    struct upload_end m = {.video_id = sample_id("v"),
                           .streamer_id = sample_id("s"),
                           .manifest = sample_bytes(&arena, MANIFEST_OBJECT_BYTES_MAX),
                           .statement = sample_bytes(&arena, VIDEO_OBJECT_BYTES_MAX)};
    struct upload_end got;
    (void)state;
    struct slice text = upload_end_encode(&m, &arena);
    assert_int_equal(upload_end_decode(text, &arena, &got), ERR_OK);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_int_equal(
            upload_end_decode(sample_edit(&arena, text, keys[i], "\"x\""), &arena, &got),
            ERR_FORMAT);
    m.manifest = sample_bytes(&arena, MANIFEST_OBJECT_BYTES_MAX + 1);
    assert_int_equal(upload_end_decode(upload_end_encode(&m, &arena), &arena, &got), ERR_LIMIT);
}

static void test_delegations(void **state)
{
    static const char *const keys[] = {"\"video_id\"", "\"streamer_id\"", "\"delegation\""};
    struct upload_delegation m = {.video_id = sample_id("v"),
                                  .streamer_id = sample_id("s"),
                                  .delegation = sample_bytes(&arena, DELEGATION_OBJECT_BYTES_MAX)};
    struct upload_delegation got;
    struct upload_end end = {.video_id = m.video_id,
                             .streamer_id = m.streamer_id,
                             .manifest = slice_str("m"),
                             .statement = slice_str("s")};
    struct upload_end ended;
    enum upload_kind kind;
    (void)state;
    struct slice text = upload_delegation_encode(&m, &arena);
    assert_int_equal(upload_classify(text, true, &kind), ERR_OK);
    assert_int_equal(kind, UPLOAD_DELEGATION);
    assert_int_equal(upload_delegation_decode(text, &arena, &got), ERR_OK);
    assert_true(slice_eq(got.delegation, m.delegation) && id_eq(&got.video_id, &m.video_id));
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_int_equal(
            upload_delegation_decode(sample_edit(&arena, text, keys[i], "\"x\""), &arena, &got),
            ERR_FORMAT);
    m.delegation = sample_bytes(&arena, DELEGATION_OBJECT_BYTES_MAX + 1);
    assert_int_equal(upload_delegation_decode(upload_delegation_encode(&m, &arena), &arena, &got),
                     ERR_LIMIT);

    assert_int_equal(upload_end_decode(upload_end_encode(&end, &arena), &arena, &ended), ERR_OK);
    assert_int_equal(ended.delegation.len, 0);
    end.delegation = m.delegation;
    assert_int_equal(upload_end_decode(upload_end_encode(&end, &arena), &arena, &ended), ERR_LIMIT);
    end.delegation.len--;
    text = upload_end_encode(&end, &arena);
    assert_int_equal(upload_classify(text, false, &kind), ERR_OK);
    assert_int_equal(kind, UPLOAD_END);
    assert_int_equal(upload_end_decode(text, &arena, &ended), ERR_OK);
    assert_true(slice_eq(ended.delegation, end.delegation));
}

static void test_acknowledgements(void **state)
{
    struct upload_ack m = {.video_id = sample_id("v"), .edge_id = sample_id("e"), .next = 1};
    struct upload_ack got;
    (void)state;
    struct slice text = upload_ack_encode(&m, &arena);
    assert_true(slice_eq_str(text, "{\"status\":\"ok\",\"video_id\":\"v\",\"next\":1,"
                                   "\"next_part\":0,\"window_bytes\":0,\"EDGE_ID\":\"e\"}"));
    assert_int_equal(upload_ack_decode(text, &arena, &got), ERR_OK);
    assert_false(got.has_part);
    assert_int_equal(
        upload_ack_decode(sample_edit(&arena, text, "\"next\"", "\"x\""), &arena, &got),
        ERR_FORMAT);
}

/* --- parts in JSON -------------------------------------------------------------------- */

static struct slice part_text(const char *format, struct slice packet)
{
    char *b64 = arena_alloc(&arena, b64_text_len(packet.len) + 1);
    b64_encode(packet, b64);
    return sample_edit(&arena, slice_str(format), "{part}", b64);
}

static enum err part_err(struct slice text, struct budget *budget)
{
    struct id id;
    struct msg *msg = NULL;
    enum err err = part_json_decode(text, budget, &id, &msg);
    assert_true((err == ERR_OK) == (msg != NULL));
    msg_unref(msg);
    return err;
}

static void test_parts_of_the_originals(void **state)
{
    (void)state;
    struct slice packet = sample_packet(&arena, 2500, 1024, 0);
    struct slice text = part_text(UPLOAD_CHUNK_S, packet);
    struct budget budget = {.max_bytes = packet.len};
    struct id id;
    struct msg *msg;
    assert_int_equal(part_json_decode(text, &budget, &id, &msg), ERR_OK);
    assert_string_equal(id.s, "video1");
    assert_true(slice_eq(msg->payload, packet));
    assert_int_equal(budget.alive_bytes, packet.len);
    msg_unref(msg);
    assert_int_equal(budget.alive_bytes, 0);
    struct slice old = sample_edit(&arena, slice_str(UPLOAD_CHUNK_OLD_S), ": 2", ": 1");
    assert_int_equal(part_err(part_text((const char *)old.ptr, packet), NULL), ERR_OK);
}

static void test_parts_that_contradict_themselves(void **state)
{
    static const struct {
        const char *text;
        enum err err;
    } cases[] = {
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"chunk\":\"{part}\"}", ERR_OK},
        {"{\"video_id\":\"v\",\"chunk_part\":\"1\",\"packet_index\":\"1\",\"total_packets\":\"3\","
         "\"chunk\":\"{part}\"}",
         ERR_OK},
        {"{\"video_id\":\"v\",\"chunk_part\":true,\"chunk\":\"{part}\"}", ERR_OK},
        {"{\"video_id\":\"v\",\"chunk_part\":2,\"chunk\":\"{part}\"}", ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk\":\"{part}\"}", ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"packet_index\":0,\"chunk\":\"{part}\"}",
         ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"total_packets\":4,\"chunk\":\"{part}\"}",
         ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"packet_index\":4294967297,\"chunk\":\"{part}\"}",
         ERR_LIMIT},
        {"{\"chunk_part\":1,\"chunk\":\"{part}\"}", ERR_FORMAT},
        {"{\"video_id\":\"a b\",\"chunk_part\":1,\"chunk\":\"{part}\"}", ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"chunk\":\"A{part}\"}", ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"chunk\":\"{part}AAAA\"}", ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"chunk\":\"AAAA{part}\"}", ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"chunk\":\"\",\"x\":\"{part}\"}", ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"chunk\":\"=\",\"x\":\"{part}\"}", ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"chunk\":\"====\",\"x\":\"{part}\"}", ERR_FORMAT},
        {"{\"video_id\":\"v\",\"chunk_part\":1,\"chunk\":7,\"x\":\"{part}\"}", ERR_FORMAT},
    };
    (void)state;
    struct slice packet = sample_packet(&arena, 2500, 1024, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct budget budget = {.max_bytes = PACKET_BYTES_MAX};
        enum err err = part_err(part_text(cases[i].text, packet), &budget);
        if (err != cases[i].err)
            fail_msg("%s: %s", cases[i].text, err_name(err));
        assert_int_equal(budget.alive_bytes, 0);
    }
}

static void test_parts_stay_within_the_budget(void **state)
{
    (void)state;
    struct slice packet = sample_packet(&arena, 2500, 1024, 0);
    struct slice text = part_text(UPLOAD_CHUNK_S, packet);
    struct budget budget = {.max_bytes = packet.len - 1};
    assert_int_equal(part_err(text, &budget), ERR_LIMIT);
    assert_int_equal(budget.alive_bytes, 0);
    budget.max_bytes = 0;
    assert_int_equal(part_err(text, &budget), ERR_LIMIT);
}

static struct part_json part_of(size_t packet_bytes)
{
    return (struct part_json){.video_id = sample_id("video1"),
                              .video_title = slice_str("Titre"),
                              .packet = sample_bytes(&arena, packet_bytes),
                              .number = 1,
                              .parts_n = 1};
}

/* I2: one message up to the last byte that fits, then two, and their halves make the packet. */
static void test_parts_that_do_not_fit_one_message(void **state)
{
    size_t fits = 45000, not = PACKET_BYTES_MAX;
    (void)state;
    while (not -fits > 1) {
        size_t middle = (fits + not ) / 2;
        struct part_json m = part_of(middle);
        if (part_json_messages(&m) == 1)
            fits = middle;
        else
            not = middle;
    }
    struct part_json m = part_of(fits);
    struct slice text = part_json_encode(&m, 0, &arena);
    assert_true(text.len <= PACKET_BYTES_MAX && text.len + 4 > PACKET_BYTES_MAX);
    static const size_t sizes[] = {0, PACKET_BYTES_MAX - 1, PACKET_BYTES_MAX};
    for (size_t i = 0; i < 3; i++) {
        m = part_of(i == 0 ? fits + 1 : sizes[i]);
        m.video_title = sample_text(&arena, '"', TITLE_BYTES_MAX);
        assert_int_equal(part_json_messages(&m), 2);
        char *b64 = arena_alloc(&arena, b64_text_len(m.packet.len) + 1);
        size_t half = (m.packet.len + 1) / 2;
        for (unsigned f = 0; f < 2; f++) {
            struct slice chunk = f ? slice_from(m.packet, half) : slice_of(m.packet.ptr, half);
            text = part_json_encode(&m, f, &arena);
            assert_true(text.len <= PACKET_BYTES_MAX);
            b64_encode(chunk, b64);
            assert_non_null(memmem(text.ptr, text.len, b64, strlen(b64)));
            char tail[64];
            int n = snprintf(tail, sizeof(tail), ",\"fragment\":%u,\"fragments\":2}", f);
            assert_memory_equal(text.ptr + text.len - (size_t)n, tail, (size_t)n);
        }
    }
}

static void test_parts_as_written(void **state)
{
    (void)state;
    struct part_json m = part_of(3);
    m.number = 42;
    m.index = 2;
    m.parts_n = 8;
    assert_true(slice_eq_str(part_json_encode(&m, 0, &arena),
                             "{\"video_id\":\"video1\",\"video_title\":\"Titre\",\"end\":\"0\","
                             "\"chunk_part\":42,\"chunk\":\"AQgP\",\"packet_index\":2,"
                             "\"total_packets\":8}"));
}

/* The largest part that the originals' encoding carries. */
static void test_the_largest_part_in_json(void **state)
{
    (void)state;
    struct part_json m = part_of(0);
    m.video_title = (struct slice){0};
    m.packet = sample_packet(&arena, CHUNK_BYTES_MAX, PART_PAYLOAD_JSON_BYTES_MAX, 0);
    m.parts_n = 94;
    assert_int_equal(part_json_messages(&m), 1);
    assert_int_equal(part_err(part_json_encode(&m, 0, &arena), NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_originals_send),
        cmocka_unit_test(test_classification),
        cmocka_unit_test(test_init_of_the_originals),
        cmocka_unit_test(test_init_as_written),
        cmocka_unit_test(test_init_limits),
        cmocka_unit_test(test_end_needs_what_is_signed),
        cmocka_unit_test(test_delegations),
        cmocka_unit_test(test_acknowledgements),
        cmocka_unit_test(test_parts_of_the_originals),
        cmocka_unit_test(test_parts_that_contradict_themselves),
        cmocka_unit_test(test_parts_stay_within_the_budget),
        cmocka_unit_test(test_parts_that_do_not_fit_one_message),
        cmocka_unit_test(test_parts_as_written),
        cmocka_unit_test(test_the_largest_part_in_json),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, release);
}
