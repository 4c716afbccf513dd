/* Messages that an edge signed: the text as it was, and one field more. */
#include "base/arena.h"
#include "base/check.h"
#include "wire/json.h"
#include "wire/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW_US (1795259370ull * 1000 * 1000)

static struct arena arena;
static struct signkey key, other_key;

static int group_setup(void **state)
{
    (void)state;
    uint8_t seed[KEY_BYTES] = {1};
    crypto_init();
    signkey_from_seed(seed, &key);
    seed[0] = 2;
    signkey_from_seed(seed, &other_key);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static struct id id_of(const char *text)
{
    struct id id;
    assert_int_equal(id_parse(slice_str(text), &id), ERR_OK);
    return id;
}

static struct peer_stamp stamp_of(void)
{
    return (struct peer_stamp){.zone_id = id_of("zone1"),
                               .from = id_of("edge1"),
                               .to = id_of("edge2"),
                               .topic = TOPIC_DB_REPLY,
                               .time_us = NOW_US,
                               .key = &key};
}

static enum err checked(struct slice payload, const struct peer_stamp *stamp)
{
    struct peer_mark m;
    enum err err = peer_text_read(payload, "EDGE_ID", &m);
    if (err == ERR_OK && m.time_us != stamp->time_us)
        err = ERR_FORMAT; /* it says so itself */
    return err == ERR_OK ? peer_text_check(payload, stamp, &m.sig, &key.pk) : err;
}

static void test_as_it_travels(void **state)
{
    (void)state;
    struct peer_stamp s = stamp_of();
    struct slice text = slice_str("{\"EDGE_ID\":\"edge1\",\"asking\":9007199254740991}");
    struct slice payload = peer_text_sign(text, &s, &arena);
    assert_int_equal(payload.len, text.len + PEER_SIG_TEXT_BYTES);
    assert_memory_equal(payload.ptr, text.ptr, text.len - 1);
    struct peer_mark m;
    assert_int_equal(peer_text_read(payload, "EDGE_ID", &m), ERR_OK);
    assert_true(id_eq(&m.from, &s.from) && m.time_us == NOW_US);
    assert_true(m.asking == (1ull << 53) - 1);
    assert_int_equal(checked(payload, &s), ERR_OK);
    struct json j CLEANUP(json_close) = json_open_object(payload, &arena); /* it is JSON */
    struct id from = json_id(&j, "EDGE_ID");
    assert_true(j.err == ERR_OK && id_eq(&from, &s.from));
}

/* Whatever is not as it was signed. */
static void test_another(void **state)
{
    (void)state;
    struct peer_stamp s = stamp_of();
    struct slice payload = peer_text_sign(slice_str("{\"EDGE_ID\":\"edge1\"}"), &s, &arena);
    struct peer_stamp o[] = {s, s, s, s, s};
    o[0].zone_id = id_of("zone2");
    o[1].from = id_of("edge3");
    o[2].to = id_of("edge3");
    o[3].to = (struct id){0};
    o[4].topic = TOPIC_DB_SYNC;
    for (size_t i = 0; i < sizeof(o) / sizeof(o[0]); i++)
        assert_int_equal(checked(payload, &o[i]), ERR_SIGNATURE);
    for (size_t i = 0; i < payload.len; i++) {
        struct slice copy = arena_copy(&arena, payload);
        ((uint8_t *)copy.ptr)[i] ^= 1;
        assert_int_not_equal(checked(copy, &s), ERR_OK);
    }
    struct peer_mark m;
    struct peer_stamp later = s;
    later.time_us++;
    assert_int_equal(peer_text_read(payload, "EDGE_ID", &m), ERR_OK);
    assert_int_equal(peer_text_check(payload, &later, &m.sig, &key.pk), ERR_SIGNATURE);
    s.key = &other_key;
    payload = peer_text_sign(slice_str("{\"EDGE_ID\":\"edge1\"}"), &s, &arena);
    assert_int_equal(checked(payload, &s), ERR_SIGNATURE);
}

static void test_not_signed(void **state)
{
    (void)state;
    struct peer_stamp s = stamp_of();
    struct slice signed_text = peer_text_sign(slice_str("{\"EDGE_ID\":\"edge1\"}"), &s, &arena);
    struct slice tail = slice_from(signed_text, signed_text.len - PEER_SIG_TEXT_BYTES - 1);
    struct peer_mark m;
    assert_int_equal(peer_text_read((struct slice){0}, "EDGE_ID", &m), ERR_UNAUTHORIZED);
    assert_int_equal(peer_text_read(tail, "EDGE_ID", &m), ERR_UNAUTHORIZED);
    assert_int_equal(peer_text_read(slice_str("{\"EDGE_ID\":\"edge1\"}"), "EDGE_ID", &m),
                     ERR_UNAUTHORIZED);
    assert_int_equal(peer_text_read(signed_text, "ID", &m), ERR_UNAUTHORIZED); /* of nobody */
    static const char *const nobody[] = {"{\"EDGE_ID\":7}", "{\"EDGE_ID\":\"a b\"}",
                                         "{\"EDGE_ID\":\"\"}", "[\"EDGE_ID\"]",
                                         "{\"asking\":\"7\",\"EDGE_ID\":\"edge1\"}"};
    for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
        struct slice text = slice_str(nobody[i]);
        uint8_t *whole = arena_alloc(&arena, text.len + tail.len);
        memcpy(whole, text.ptr, text.len - 1);
        memcpy(whole + text.len - 1, tail.ptr, tail.len);
        assert_int_equal(peer_text_read(slice_of(whole, text.len - 1 + tail.len), "EDGE_ID", &m),
                         ERR_UNAUTHORIZED);
    }
}

/* A number that is not as we write it is none. */
static void test_asking(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"asking\":-1,\"EDGE_ID\":\"edge1\"}",
                                        "{\"asking\":1.5,\"EDGE_ID\":\"edge1\"}",
                                        "{\"asking\":99999999999999999999,\"EDGE_ID\":\"edge1\"}",
                                        "{\"asking\":null,\"EDGE_ID\":\"edge1\"}"};
    struct peer_stamp s = stamp_of();
    struct peer_mark m;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct slice payload = peer_text_sign(slice_str(texts[i]), &s, &arena);
        assert_int_equal(peer_text_read(payload, "EDGE_ID", &m), ERR_OK);
        assert_int_equal(m.asking, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_travels),
        cmocka_unit_test(test_another),
        cmocka_unit_test(test_not_signed),
        cmocka_unit_test(test_asking),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
