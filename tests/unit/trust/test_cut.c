#include "base/mem.h"
#include "tests/unit/trust/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct signkey key;
static struct hash stream;
static uint8_t packet[PACKET_BYTES_MAX];
static uint8_t *media; /* CHUNK_BYTES_MAX + 1 */

static int setup(void **state)
{
    (void)state;
    key = fixture_key(KEY_STREAMER);
    stream = fixture_stream();
    media = mem_alloc_raw(CHUNK_BYTES_MAX + 1);
    fixture_payload(1, media, CHUNK_BYTES_MAX + 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(media);
    return 0;
}

/* Cut a chunk of n bytes and put it together again from its parts. */
static void check_chunk(uint32_t part_bytes, size_t n)
{
    static struct sig_cache cache;
    struct chunk_cutter cutter;
    struct cut_chunk cut;
    chunk_cutter_init(&cutter, &stream, &key, part_bytes);
    assert_int_equal(chunk_cut(&cutter, CHUNK_MEDIA, 0, 1, 2, slice_of(media, n), &cut), ERR_OK);
    assert_int_equal(cut.chunk.parts_n, chunk_parts_n((uint32_t)n, part_bytes));
    size_t at = 0;
    for (uint32_t i = 0; i < cut.chunk.parts_n; i++) {
        struct part p;
        size_t len = cut_chunk_part(&cut, i, packet);
        assert_int_equal(len, part_packet_len(&cut.chunk, cut.statement_len, i));
        assert_int_equal(part_decode(slice_of(packet, len), &p), ERR_OK);
        assert_int_equal(part_verify(&p, &cache), ERR_OK);
        assert_memory_equal(p.payload.ptr, media + at, p.payload.len);
        at += p.payload.len;
    }
    assert_int_equal(at, n);
    cut_chunk_release(&cut);
}

static void test_sizes(void **state)
{
    static const uint32_t part_bytes[] = {PART_BYTES_MIN, PART_PAYLOAD_JSON_BYTES_MAX,
                                          PART_PAYLOAD_BYTES_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(part_bytes) / sizeof(part_bytes[0]); i++) {
        check_chunk(part_bytes[i], 1);
        check_chunk(part_bytes[i], part_bytes[i] - 1);
        check_chunk(part_bytes[i], part_bytes[i]);
        check_chunk(part_bytes[i], part_bytes[i] + 1);
        check_chunk(part_bytes[i], 7 * part_bytes[i]);
    }
    check_chunk(PART_PAYLOAD_BYTES_MAX, CHUNK_BYTES_MAX);
}

/* The most parts that there can be; only some are made, each hashes the tree. */
static void test_most_parts(void **state)
{
    (void)state;
    struct chunk_cutter cutter;
    struct cut_chunk cut;
    struct part p;
    chunk_cutter_init(&cutter, &stream, &key, PART_BYTES_MIN);
    assert_int_equal(
        chunk_cut(&cutter, CHUNK_MEDIA, 0, 1, 2, slice_of(media, CHUNK_BYTES_MAX), &cut), ERR_OK);
    assert_int_equal(cut.chunk.parts_n, CHUNK_PARTS_MAX);
    for (uint32_t i = 0; i < CHUNK_PARTS_MAX; i += 1365) {
        size_t len = cut_chunk_part(&cut, i, packet);
        assert_int_equal(part_decode(slice_of(packet, len), &p), ERR_OK);
        assert_int_equal(p.proof.len, 12 * HASH_BYTES);
        assert_int_equal(part_verify(&p, NULL), ERR_OK);
    }
    cut_chunk_release(&cut);
}

static void test_too_long(void **state)
{
    (void)state;
    struct chunk_cutter cutter, before;
    struct cut_chunk cut;
    chunk_cutter_init(&cutter, &stream, &key, PART_PAYLOAD_BYTES_MAX);
    before = cutter;
    assert_int_equal(
        chunk_cut(&cutter, CHUNK_INIT, 0, 1, 2, slice_of(media, CHUNK_BYTES_MAX + 1), &cut),
        ERR_LIMIT);
    assert_memory_equal(&cutter, &before, sizeof(cutter));
}

/* I2 of cut.c, the init numbers, and the manifest. */
static void test_chain(void **state)
{
    static const struct {
        enum chunk_kind kind;
        size_t len;
        uint32_t init_number;
    } plan[] = {
        {CHUNK_MEDIA, 10, 0}, {CHUNK_INIT, 20, 2}, {CHUNK_MEDIA, 3000, 2},
        {CHUNK_INIT, 30, 4},  {CHUNK_END, 0, 4},
    };
    enum { PLAN_N = sizeof(plan) / sizeof(plan[0]) };
    (void)state;
    struct chunk_cutter cutter;
    struct merkle tree = {0};
    struct hash prev = {0};
    uint64_t bytes = 0;
    chunk_cutter_init(&cutter, &stream, &key, PART_BYTES_MIN);
    for (uint32_t i = 0; i < PLAN_N; i++) {
        struct cut_chunk cut;
        struct slice payload = plan[i].len ? slice_of(media, plan[i].len) : (struct slice){0};
        assert_int_equal(chunk_cut(&cutter, plan[i].kind, 0, 5, 6, payload, &cut), ERR_OK);
        struct slice statement = slice_of(cut.statement, cut.statement_len);
        assert_int_equal(cut.chunk.number, i + 1);
        assert_int_equal(cut.chunk.init_number, plan[i].init_number);
        assert_true(hash_eq(&cut.chunk.prev, &prev));
        assert_true(hash_eq(&cut.chunk.stream, &stream));
        assert_int_equal(object_check(OBJECT_CHUNK, statement, &cut.sig, &key.pk), ERR_OK);
        prev = object_hash(OBJECT_CHUNK, statement);
        struct hash leaf = merkle_leaf(slice_of(prev.b, HASH_BYTES));
        merkle_add(&tree, &leaf);
        bytes += plan[i].len;
        size_t len = cut_chunk_part(&cut, 0, packet);
        struct part p;
        assert_int_equal(part_decode(slice_of(packet, len), &p), ERR_OK);
        assert_int_equal(part_verify(&p, NULL), ERR_OK);
        cut_chunk_release(&cut);
        cut_chunk_release(&cut); /* a second time does no harm */
    }
    struct manifest m = chunk_cutter_manifest(&cutter);
    struct hash root = merkle_root(&tree);
    assert_int_equal(m.chunks, PLAN_N);
    assert_int_equal(m.bytes, bytes);
    assert_int_equal(m.track, 0);
    assert_true(hash_eq(&m.stream, &stream));
    assert_true(hash_eq(&m.root, &root));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_most_parts),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_chain),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, setup, teardown);
}
