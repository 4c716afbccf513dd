#include "base/mem.h"
#include "tests/unit/trust/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MUTATIONS = 3000 };

/* A media chunk of three parts: 1,024, 1,024 and 452 bytes. */
static struct signkey key;
static uint8_t payload[2500];
static struct cut_chunk cut;
static uint8_t packet[PACKET_BYTES_MAX + 1];

static int setup(void **state)
{
    (void)state;
    struct chunk_cutter cutter;
    struct cut_chunk init;
    struct hash stream = fixture_stream();
    key = fixture_key(KEY_STREAMER);
    chunk_cutter_init(&cutter, &stream, &key, PART_BYTES_MIN);
    fixture_payload(2, payload, sizeof(payload));
    if (chunk_cut(&cutter, CHUNK_INIT, 0, fixture_now_us, 0, slice_of(payload, 100), &init) !=
        ERR_OK)
        return 1;
    cut_chunk_release(&init);
    return chunk_cut(&cutter, CHUNK_MEDIA, CHUNK_KEYFRAME, fixture_now_us, 200000,
                     slice_of(payload, sizeof(payload)), &cut) != ERR_OK;
}

static int teardown(void **state)
{
    (void)state;
    cut_chunk_release(&cut);
    return 0;
}

/* Whether bytes are taken for a part that verifies; a copy ends where its memory ends. */
static bool accepted(struct slice bytes)
{
    uint8_t *exact = mem_alloc_raw(bytes.len);
    memcpy(exact, bytes.ptr, bytes.len);
    struct part p, before;
    memset(&p, 0x5a, sizeof(p));
    memset(&before, 0x5a, sizeof(before));
    enum err err = part_decode(slice_of(exact, bytes.len), &p);
    if (err != ERR_OK) {
        assert_true(err == ERR_FORMAT || err == ERR_LIMIT);
        assert_memory_equal(&p, &before, sizeof(p));
    } else {
        assert_int_equal(part_packet_len(&p.chunk, p.statement.len, p.index), bytes.len);
        err = part_verify(&p, NULL);
    }
    free(exact);
    return err == ERR_OK;
}

/* --- statements ---------------------------------------------------------- */

static enum err decode_chunk(const struct chunk *c, struct chunk *ret)
{
    uint8_t bytes[STATEMENT_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    chunk_encode(c, &w);
    assert_false(w.full);
    assert_int_equal(w.len, STATEMENT_BYTES_MIN + c->ext.len);
    return chunk_decode(slice_of(bytes, w.len), ret);
}

/* CHECK_FIELD: whether the statement decodes with this one field changed. */
#define CHECK_FIELD(field, value, expected)                                                        \
    do {                                                                                           \
        struct chunk changed = cut.chunk, changed_out;                                             \
        changed.field = (value);                                                                   \
        assert_int_equal(decode_chunk(&changed, &changed_out), expected);                          \
    } while (0)

static void test_statement_rules(void **state)
{
    (void)state;
    CHECK_FIELD(kind, CHUNK_MEDIA, ERR_OK);
    CHECK_FIELD(kind, (enum chunk_kind)0, ERR_FORMAT);
    CHECK_FIELD(kind, (enum chunk_kind)4, ERR_FORMAT);
    CHECK_FIELD(kind, CHUNK_END, ERR_FORMAT);  /* with a payload */
    CHECK_FIELD(kind, CHUNK_INIT, ERR_FORMAT); /* that names another init */
    CHECK_FIELD(flags, 0x00ff, ERR_OK);
    for (unsigned bit = 8; bit < 16; bit++)
        CHECK_FIELD(flags, (uint16_t)(1 << bit), ERR_FORMAT);
    CHECK_FIELD(number, 0, ERR_FORMAT);
    CHECK_FIELD(number, 1, ERR_FORMAT); /* with a prev */
    CHECK_FIELD(number, UINT32_MAX, ERR_OK);
    CHECK_FIELD(init_number, 0, ERR_OK);
    CHECK_FIELD(init_number, cut.chunk.number, ERR_FORMAT);
    CHECK_FIELD(init_number, cut.chunk.number + 1, ERR_FORMAT);
    CHECK_FIELD(prev, (struct hash){0}, ERR_FORMAT);
    CHECK_FIELD(track, UINT16_MAX, ERR_OK);
    CHECK_FIELD(duration_us, UINT32_MAX, ERR_OK);
    CHECK_FIELD(capture_us, UINT64_MAX, ERR_OK);
}

static void test_statement_sizes(void **state)
{
    (void)state;
    static uint8_t ext[STATEMENT_EXT_BYTES_MAX];
    CHECK_FIELD(payload_len, 0, ERR_FORMAT);
    CHECK_FIELD(payload_len, CHUNK_BYTES_MAX + 1, ERR_LIMIT);
    CHECK_FIELD(payload_len, UINT32_MAX, ERR_LIMIT);
    CHECK_FIELD(payload_len, 2 * PART_BYTES_MIN, ERR_FORMAT);
    CHECK_FIELD(payload_len, 2 * PART_BYTES_MIN + 1, ERR_OK);
    CHECK_FIELD(payload_len, 3 * PART_BYTES_MIN, ERR_OK);
    CHECK_FIELD(payload_len, 3 * PART_BYTES_MIN + 1, ERR_FORMAT);
    CHECK_FIELD(part_bytes, 0, ERR_FORMAT);
    CHECK_FIELD(part_bytes, PART_BYTES_MIN - 1, ERR_FORMAT);
    CHECK_FIELD(part_bytes, PART_PAYLOAD_BYTES_MAX + 1, ERR_LIMIT);
    CHECK_FIELD(parts_n, 0, ERR_FORMAT);
    CHECK_FIELD(parts_n, 2, ERR_FORMAT);
    CHECK_FIELD(parts_n, 4, ERR_FORMAT);
    CHECK_FIELD(ext, slice_of(ext, sizeof(ext)), ERR_OK);

    struct chunk c = cut.chunk, out;
    c.payload_len = CHUNK_BYTES_MAX;
    c.parts_n = CHUNK_PARTS_MAX;
    assert_int_equal(decode_chunk(&c, &out), ERR_OK);
    c.part_bytes = PART_PAYLOAD_BYTES_MAX;
    c.parts_n = 69;
    assert_int_equal(decode_chunk(&c, &out), ERR_OK);
    assert_int_equal(chunk_part_len(&c, 68), CHUNK_BYTES_MAX - 68 * PART_PAYLOAD_BYTES_MAX);
    c.kind = CHUNK_END;
    c.payload_len = 0;
    c.parts_n = 1;
    assert_int_equal(decode_chunk(&c, &out), ERR_OK);
    assert_int_equal(chunk_part_len(&c, 0), 0);
}

static void test_statement_ext_length(void **state)
{
    (void)state;
    uint8_t bytes[STATEMENT_BYTES_MAX + 1] = {0};
    struct writer w = writer_of(bytes, sizeof(bytes));
    struct chunk out;
    chunk_encode(&cut.chunk, &w);
    bytes[STATEMENT_BYTES_MIN - 2] = 1; /* ext_len 257 */
    bytes[STATEMENT_BYTES_MIN - 1] = 1;
    assert_int_equal(chunk_decode(slice_of(bytes, sizeof(bytes)), &out), ERR_LIMIT);
    bytes[STATEMENT_BYTES_MIN - 2] = 0; /* 256 */
    assert_int_equal(chunk_decode(slice_of(bytes, STATEMENT_BYTES_MAX), &out), ERR_OK);
    assert_int_equal(chunk_decode(slice_of(bytes, STATEMENT_BYTES_MAX - 1), &out), ERR_FORMAT);
    assert_int_equal(chunk_decode(slice_of(bytes, STATEMENT_BYTES_MAX + 1), &out), ERR_FORMAT);
}

static void test_statement_round_trip(void **state)
{
    (void)state;
    struct prng p = {11};
    uint8_t bytes[STATEMENT_BYTES_MAX], again[STATEMENT_BYTES_MAX], ext[STATEMENT_EXT_BYTES_MAX];
    for (int i = 0; i < MUTATIONS; i++) {
        struct chunk c = cut.chunk, out;
        c.track = (uint16_t)prng_next(&p);
        c.capture_us = prng_next(&p);
        prng_fill(&p, ext, sizeof(ext));
        c.ext = slice_of(ext, prng_below(&p, sizeof(ext) + 1));
        struct writer w = writer_of(bytes, sizeof(bytes)), v = writer_of(again, sizeof(again));
        chunk_encode(&c, &w);
        if (i % 2) /* and with a byte changed: refused, or the same when encoded again */
            bytes[prng_below(&p, (uint32_t)w.len)] = (uint8_t)prng_next(&p);
        if (chunk_decode(slice_of(bytes, w.len), &out) != ERR_OK) {
            assert_true(i % 2);
            continue;
        }
        chunk_encode(&out, &v);
        assert_true(slice_eq(slice_of(bytes, w.len), slice_of(again, v.len)));
    }
}

static void test_parts_n(void **state)
{
    (void)state;
    assert_int_equal(chunk_parts_n(0, 1024), 1);
    assert_int_equal(chunk_parts_n(1, 1024), 1);
    assert_int_equal(chunk_parts_n(1024, 1024), 1);
    assert_int_equal(chunk_parts_n(1025, 1024), 2);
    assert_int_equal(chunk_parts_n(CHUNK_BYTES_MAX, PART_BYTES_MIN), CHUNK_PARTS_MAX);
    assert_int_equal(chunk_parts_n(UINT32_MAX, 1024), 4194304);
}

/* --- parts --------------------------------------------------------------- */

static void test_parts(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < cut.chunk.parts_n; i++) {
        struct part p;
        size_t len = cut_chunk_part(&cut, i, packet);
        assert_int_equal(part_decode(slice_of(packet, len), &p), ERR_OK);
        assert_int_equal(p.index, i);
        assert_int_equal(p.payload.len, i < 2 ? 1024 : 452);
        assert_memory_equal(p.payload.ptr, payload + i * 1024, p.payload.len);
        assert_int_equal(p.chunk.number, 2);
        assert_true(slice_eq(p.statement, slice_of(cut.statement, cut.statement_len)));
        assert_int_equal(part_check_statement(&p), ERR_OK);
        assert_int_equal(part_check_payload(&p), ERR_OK);
        assert_true(accepted(slice_of(packet, len)));
    }
}

/* Nothing in a packet is outside of what is signed. */
static void test_flipped(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < cut.chunk.parts_n; i += 2) {
        size_t len = cut_chunk_part(&cut, i, packet);
        for (size_t at = 0; at < len; at++) {
            uint8_t flip = (uint8_t)(1 << (at + i) % 8);
            packet[at] ^= flip;
            if (accepted(slice_of(packet, len)))
                fail_msg("part %u with byte %zu changed was accepted", i, at);
            packet[at] ^= flip;
        }
    }
}

static void test_cut_short_and_extended(void **state)
{
    (void)state;
    struct part p;
    size_t len = cut_chunk_part(&cut, 2, packet);
    for (size_t n = 0; n < len; n++)
        assert_false(accepted(slice_of(packet, n)));
    memset(packet + len, 0, sizeof(packet) - len);
    assert_false(accepted(slice_of(packet, len + 1)));
    assert_false(accepted(slice_of(packet, len + HASH_BYTES)));
    assert_false(accepted(slice_of(packet, sizeof(packet))));
    assert_int_equal(part_decode((struct slice){0}, &p), ERR_FORMAT);
}

static void test_random_mutations(void **state)
{
    (void)state;
    struct prng p = {12};
    for (int i = 0; i < MUTATIONS; i++) {
        uint8_t original[2048];
        size_t len = cut_chunk_part(&cut, prng_below(&p, 3), packet);
        memcpy(original, packet, len);
        size_t from = prng_below(&p, (uint32_t)len), n = prng_below(&p, 16);
        n = n < len - from ? n : len - from;
        prng_fill(&p, packet + from, n);
        bool changed = memcmp(original, packet, len) != 0;
        assert_int_equal(accepted(slice_of(packet, len)), !changed);
    }
    for (int i = 0; i < MUTATIONS; i++) { /* noise behind the magic */
        uint32_t len = prng_below(&p, 2048);
        prng_fill(&p, packet, len);
        memcpy(packet, "EVC1", len < 4 ? len : 4);
        assert_false(accepted(slice_of(packet, len)));
    }
}

/* It looks at four bytes, if there are so many. */
static void test_part_is(void **state)
{
    (void)state;
    uint8_t *exact = mem_alloc_raw(4);
    memcpy(exact, "EVC1", 4);
    assert_false(part_is((struct slice){0}));
    for (size_t n = 0; n < 4; n++)
        assert_false(part_is(slice_of(exact + 4 - n, n)) || part_is(slice_of("EVC1", n)));
    assert_true(part_is(slice_of(exact, 4)));
    for (size_t at = 0; at < 4; at++) {
        exact[at] ^= 0x20;
        assert_false(part_is(slice_of(exact, 4)));
        exact[at] ^= 0x20;
    }
    free(exact);
    assert_true(part_is(slice_str("EVC1 and more")));
    assert_false(part_is(slice_str("{\"EVC1\":0}")));
    assert_true(part_is(slice_of(packet, cut_chunk_part(&cut, 0, packet))));
}

/* A part of one chunk under the statement of another. */
static void test_swapped(void **state)
{
    (void)state;
    uint8_t other[PACKET_BYTES_MAX];
    size_t len = cut_chunk_part(&cut, 0, packet);
    cut_chunk_part(&cut, 1, other);
    size_t index_at = 6 + cut.statement_len + SIGNATURE_BYTES;
    memcpy(packet + index_at, other + index_at, 2);
    assert_false(accepted(slice_of(packet, len)));
    memcpy(packet + index_at, other + index_at, len - index_at);
    assert_true(accepted(slice_of(packet, len)));
}

/* Who signs must be who the statement names. */
static void test_signer(void **state)
{
    (void)state;
    struct signkey stranger = fixture_key(KEY_STRANGER);
    struct slice statement = slice_of(cut.statement, cut.statement_len);
    struct signature sig = object_sign(OBJECT_CHUNK, statement, &stranger);
    struct part p;
    size_t len = cut_chunk_part(&cut, 0, packet);
    memcpy(packet + 6 + cut.statement_len, sig.b, SIGNATURE_BYTES);
    assert_int_equal(part_decode(slice_of(packet, len), &p), ERR_OK);
    assert_int_equal(part_check_payload(&p), ERR_OK);
    assert_int_equal(part_check_statement(&p), ERR_SIGNATURE);
    assert_int_equal(part_verify(&p, NULL), ERR_SIGNATURE);
}

static void test_declared_lengths(void **state)
{
    (void)state;
    struct part p;
    size_t len = cut_chunk_part(&cut, 0, packet);
    struct slice whole = slice_of(packet, len);
    struct writer w = writer_of(packet + 4, 2);
    write_u16(&w, STATEMENT_BYTES_MAX + 1);
    assert_int_equal(part_decode(whole, &p), ERR_LIMIT);
    w = writer_of(packet + 4, 2);
    write_u16(&w, 0);
    assert_int_equal(part_decode(whole, &p), ERR_FORMAT);
    cut_chunk_part(&cut, 0, packet);
    w = writer_of(packet + 6 + cut.statement_len + SIGNATURE_BYTES, 2);
    write_u16(&w, cut.chunk.parts_n);
    assert_int_equal(part_decode(whole, &p), ERR_FORMAT);
}

/* --- the cache ----------------------------------------------------------- */

static unsigned cached_n(const struct sig_cache *cache)
{
    unsigned n = 0;
    for (size_t i = 0; i < SIG_CACHE_SLOTS; i++)
        n += !hash_is_zero(&cache->slots[i]);
    return n;
}

/* A key is remembered until another one comes into its slot, which its first 11 bits say. */
static void test_cache_slots(void **state)
{
    (void)state;
    static struct sig_cache cache;
    struct hash one = {.b = {0xff, 0x07, 1}}, other = {.b = {0xff, 0x0f, 1}};
    assert_false(sig_cache_has(&cache, &one));
    for (unsigned slot = 0; slot < SIG_CACHE_SLOTS; slot++) {
        struct hash k = {.b = {(uint8_t)slot, (uint8_t)(slot >> 8), 1}};
        sig_cache_add(&cache, &k);
        assert_int_equal(cached_n(&cache), slot + 1);
    }
    assert_true(sig_cache_has(&cache, &one));
    assert_false(sig_cache_has(&cache, &other));
    sig_cache_add(&cache, &other);
    assert_true(sig_cache_has(&cache, &other));
    assert_false(sig_cache_has(&cache, &one));
    assert_int_equal(cached_n(&cache), SIG_CACHE_SLOTS);
    one.b[1] = 0x06; /* its neighbour is still there */
    assert_true(sig_cache_has(&cache, &one));
}

/* By part_key: the same for all parts of a chunk, another for every bit of what was signed and of
 * the signature. */
static void test_part_key(void **state)
{
    (void)state;
    struct part p, q;
    uint8_t other[PACKET_BYTES_MAX];
    size_t len = cut_chunk_part(&cut, 0, packet), other_len = cut_chunk_part(&cut, 2, other);
    assert_int_equal(part_decode(slice_of(packet, len), &p), ERR_OK);
    assert_int_equal(part_decode(slice_of(other, other_len), &q), ERR_OK);
    struct hash first = part_key(&p), same = part_key(&q);
    assert_true(hash_eq(&first, &same));
    q = p;
    for (size_t at = 6; at < 6 + cut.statement_len; at++) { /* p borrows from the packet */
        packet[at] ^= 1;
        same = part_key(&p);
        assert_false(hash_eq(&first, &same));
        packet[at] ^= 1;
    }
    for (size_t at = 0; at < SIGNATURE_BYTES; at++) {
        q.sig.b[at] ^= 1;
        same = part_key(&q);
        assert_false(hash_eq(&first, &same));
        q.sig.b[at] ^= 1;
    }
}

static void test_cache(void **state)
{
    (void)state;
    static struct sig_cache cache;
    struct part p;
    size_t sig_at = 6 + cut.statement_len;
    size_t len = cut_chunk_part(&cut, 0, packet);
    packet[sig_at] ^= 1; /* a bad signature is never remembered */
    assert_int_equal(part_decode(slice_of(packet, len), &p), ERR_OK);
    assert_int_equal(part_verify(&p, &cache), ERR_SIGNATURE);
    assert_int_equal(part_verify(&p, &cache), ERR_SIGNATURE);
    assert_int_equal(cached_n(&cache), 0);
    for (uint32_t i = 0; i < cut.chunk.parts_n; i++) {
        len = cut_chunk_part(&cut, i, packet);
        assert_int_equal(part_decode(slice_of(packet, len), &p), ERR_OK);
        assert_int_equal(part_verify(&p, &cache), ERR_OK);
        assert_int_equal(cached_n(&cache), 1);
    }
    packet[len - 1] ^= 1; /* the payload is checked all the same */
    assert_int_equal(part_decode(slice_of(packet, len), &p), ERR_OK);
    assert_int_equal(part_verify(&p, &cache), ERR_SIGNATURE);
    packet[len - 1] ^= 1;
    for (size_t at = 6; at < sig_at + SIGNATURE_BYTES; at++) { /* and another statement misses */
        packet[at] ^= 1;
        if (part_decode(slice_of(packet, len), &p) == ERR_OK)
            assert_int_equal(part_verify(&p, &cache), ERR_SIGNATURE);
        packet[at] ^= 1;
    }
    assert_int_equal(cached_n(&cache), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statement_rules),
        cmocka_unit_test(test_statement_sizes),
        cmocka_unit_test(test_statement_ext_length),
        cmocka_unit_test(test_statement_round_trip),
        cmocka_unit_test(test_parts_n),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_cut_short_and_extended),
        cmocka_unit_test(test_random_mutations),
        cmocka_unit_test(test_part_is),
        cmocka_unit_test(test_swapped),
        cmocka_unit_test(test_signer),
        cmocka_unit_test(test_declared_lengths),
        cmocka_unit_test(test_cache_slots),
        cmocka_unit_test(test_part_key),
        cmocka_unit_test(test_cache),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, setup, teardown);
}
