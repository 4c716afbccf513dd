/* What holds of every codec: round trips, and that no damage to a message does harm. */
#include "base/mem.h"
#include "tests/unit/wire/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Decode from memory that ends where the text ends, so that a sanitizer sees each step beyond. */
static enum err decode(const struct sample *s, struct slice text)
{
    struct arena arena = {0};
    enum err err;
    uint8_t *exact = mem_alloc_raw(text.len);
    if (text.len)
        memcpy(exact, text.ptr, text.len);
    s->again(slice_of(exact, text.len), &arena, &err);
    free(exact);
    arena_release(&arena);
    return err;
}

static void test_what_is_encoded_decodes_to_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < samples_n; i++) {
        struct arena arena = {0};
        struct slice text = samples[i].text(&arena);
        enum err err;
        struct slice again = samples[i].again(text, &arena, &err);
        if (err != ERR_OK || !slice_eq(text, again))
            fail_msg("%s: %s: %.*s\n%.*s", samples[i].name, err_name(err), SLICE_FMT(text),
                     SLICE_FMT(again));
        arena_release(&arena);
    }
}

static void test_every_shorter_text_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < samples_n; i++) {
        struct arena arena = {0};
        struct slice text = samples[i].text(&arena);
        for (size_t len = 0; len < text.len; len++)
            assert_int_equal(decode(&samples[i], slice_of(text.ptr, len)), ERR_FORMAT);
        arena_release(&arena);
    }
}

/* Whatever stands in one place: an error or a message, never more than that. */
static void test_no_damaged_byte_does_harm(void **state)
{
    static const char bytes[] = {'\0', '"', '\\', '{', '}', '[', ',', ':', '-', '9', ' ', '\xff'};
    (void)state;
    for (size_t i = 0; i < samples_n; i++) {
        struct arena arena = {0};
        struct slice text = samples[i].text(&arena);
        uint8_t *damaged = arena_alloc(&arena, text.len);
        size_t step = text.len > 1200 ? 7 : 1;
        for (size_t at = 0; at < text.len; at += step) {
            memcpy(damaged, text.ptr, text.len);
            damaged[at] = (uint8_t)bytes[at % sizeof(bytes)];
            decode(&samples[i], slice_of(damaged, text.len));
        }
        arena_release(&arena);
    }
}

/* The value after the n-th colon at any depth replaced; false: there are not so many. */
static bool replace_value(struct slice text, size_t n, const char *value, struct arena *arena,
                          struct slice *ret)
{
    size_t at = 0;
    for (; at < text.len; at++)
        if (text.ptr[at] == ':' && at > 0 && text.ptr[at - 1] == '"' && n-- == 0)
            break;
    if (at == text.len)
        return false;
    size_t end = ++at;
    bool quoted = text.ptr[at] == '"';
    if (text.ptr[at] == '{' || text.ptr[at] == '[') {
        end = at; /* the value stays behind a comma of its own: not JSON, or an odd member */
    } else if (quoted) {
        for (end++; text.ptr[end] != '"'; end++)
            end += text.ptr[end] == '\\';
        end++;
    } else {
        while (text.ptr[end] != ',' && text.ptr[end] != '}')
            end++;
    }
    size_t len = strlen(value);
    uint8_t *out = arena_alloc(arena, text.len + len);
    memcpy(out, text.ptr, at);
    memcpy(out + at, value, len);
    memcpy(out + at + len, text.ptr + end, text.len - end);
    *ret = slice_of(out, at + len + text.len - end);
    return true;
}

static void test_no_value_of_another_type_does_harm(void **state)
{
    static const char *const values[] = {"{}",
                                         "[]",
                                         "[{}]",
                                         "null",
                                         "true",
                                         "-1",
                                         "1.5",
                                         "1e999",
                                         "18446744073709551616",
                                         "\"\"",
                                         "\"a\"",
                                         "\"=\"",
                                         "{\"a\":[[]]}",
                                         "\"\\ud83d\\ude00\"",
                                         "\"////\""};
    (void)state;
    for (size_t i = 0; i < samples_n; i++) {
        struct arena arena = {0};
        struct slice text = samples[i].text(&arena);
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            struct arena inner = {0};
            struct slice edited;
            for (size_t n = 0; replace_value(text, n, values[v], &inner, &edited); n++) {
                decode(&samples[i], edited);
                arena_reset(&inner);
            }
            arena_release(&inner);
        }
        arena_release(&arena);
    }
}

/* Objects and arrays are the value of no field that holds text, a number or bytes. */
static void test_objects_in_place_of_values_are_refused(void **state)
{
    static const char *const codecs[] = {
        "params_request", "zone_request",        "ping_request", "edge_status",
        "upload_end",     "user_reply",          "delete_reply", "sync_digests",
        "sync_proof",     "revocations_message", "broker_login", "upload_delegation"};
    (void)state;
    for (size_t i = 0; i < samples_n; i++) {
        bool plain = false;
        for (size_t k = 0; k < sizeof(codecs) / sizeof(codecs[0]); k++)
            plain = plain || strcmp(samples[i].name, codecs[k]) == 0;
        struct arena arena = {0};
        struct slice text = samples[i].text(&arena), edited;
        for (size_t n = 0; plain && replace_value(text, n, "{}", &arena, &edited); n++)
            if (!memmem(edited.ptr, edited.len, "\"init\":{}", 9) &&
                !memmem(edited.ptr, edited.len, "\"status\":{}", 11))
                assert_int_equal(decode(&samples[i], edited), ERR_FORMAT);
        arena_release(&arena);
    }
}

static void test_what_is_too_long_or_too_deep_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < samples_n; i++) {
        struct arena arena = {0};
        struct slice text = samples[i].text(&arena);
        uint8_t *padded = arena_alloc(&arena, PACKET_BYTES_MAX + 1);
        memcpy(padded, text.ptr, text.len);
        memset(padded + text.len, ' ', PACKET_BYTES_MAX + 1 - text.len);
        assert_int_equal(decode(&samples[i], slice_of(padded, PACKET_BYTES_MAX)), ERR_OK);
        assert_int_equal(decode(&samples[i], slice_of(padded, PACKET_BYTES_MAX + 1)), ERR_LIMIT);
        struct slice deep = sample_text(&arena, '[', JSON_DEPTH_MAX + 1);
        assert_int_equal(decode(&samples[i], deep), ERR_LIMIT);
        arena_release(&arena);
    }
}

/* Unknown members of any type are ignored, except where they are signed. */
static void test_unknown_fields_are_ignored(void **state)
{
    (void)state;
    for (size_t i = 0; i < samples_n; i++) {
        struct arena arena = {0};
        struct slice text = samples[i].text(&arena);
        const char *to = text.ptr[0] == '[' ? "[{\"x\":[{\"y\":null}]," : "{\"x\":[{\"y\":null}],";
        struct slice edited = sample_edit(&arena, text, text.ptr[0] == '[' ? "[{" : "{", to);
        bool is_signed = strcmp(samples[i].name, "upload_init") == 0 ||
                         strcmp(samples[i].name, "user_request") == 0 ||
                         strcmp(samples[i].name, "user_renewal") == 0 ||
                         strcmp(samples[i].name, "delete_request") == 0;
        assert_int_equal(decode(&samples[i], edited), is_signed ? ERR_FORMAT : ERR_OK);
        arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_encoded_decodes_to_the_same),
        cmocka_unit_test(test_every_shorter_text_is_refused),
        cmocka_unit_test(test_no_damaged_byte_does_harm),
        cmocka_unit_test(test_no_value_of_another_type_does_harm),
        cmocka_unit_test(test_objects_in_place_of_values_are_refused),
        cmocka_unit_test(test_what_is_too_long_or_too_deep_is_refused),
        cmocka_unit_test(test_unknown_fields_are_ignored),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
