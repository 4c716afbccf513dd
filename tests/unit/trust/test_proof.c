#include "base/mem.h"
#include "tests/unit/trust/fixture.h"
#include "trust/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct proof_head head = {
    {(const uint8_t *)"zone", 4},    {(const uint8_t *)"credential", 10},
    {(const uint8_t *)"video", 5},   {NULL, 0},
    {(const uint8_t *)"receipt", 7}, {(const uint8_t *)"edge", 4},
};
static uint8_t statement[STATEMENT_BYTES_MAX];

static struct proof_entry entry_of(uint32_t i)
{
    struct proof_entry e = {slice_of(statement, STATEMENT_BYTES_MIN + i % 7), {{0}}};
    memset(e.sig.b, (int)(i % 251), SIGNATURE_BYTES);
    return e;
}

static void fill(struct proof_writer *w, uint32_t n)
{
    assert_int_equal(proof_writer_init(w, &head), ERR_OK);
    for (uint32_t i = 0; i < n; i++) {
        struct proof_entry e = entry_of(i);
        assert_int_equal(proof_writer_add(w, &e), ERR_OK);
    }
}

static void check_read(struct slice bytes, uint32_t n)
{
    struct proof p;
    struct proof_entry got;
    assert_int_equal(proof_open(bytes, &p), ERR_OK);
    assert_int_equal(p.chunks_n, n);
    assert_true(slice_eq(p.head.zone, head.zone));
    assert_true(slice_eq(p.head.credential, head.credential));
    assert_true(slice_eq(p.head.video, head.video));
    assert_int_equal(p.head.manifest.len, 0);
    assert_true(slice_eq(p.head.receipt, head.receipt));
    assert_true(slice_eq(p.head.receipt_credential, head.receipt_credential));
    for (uint32_t i = 0; i < n; i++) {
        struct proof_entry e = entry_of(i);
        assert_true(proof_next(&p, &got));
        assert_true(slice_eq(got.statement, e.statement));
        assert_memory_equal(got.sig.b, e.sig.b, SIGNATURE_BYTES);
    }
    assert_false(proof_next(&p, &got));
    assert_false(proof_next(&p, &got));
}

/* Across several times that the buffer grows. */
static void test_round_trip(void **state)
{
    static const uint32_t counts[] = {0, 1, 2, 300, 5000};
    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct proof_writer w;
        fill(&w, counts[i]);
        check_read(proof_writer_bytes(&w), counts[i]);
        proof_writer_release(&w);
    }
}

/* The writer's bytes are a whole file after every call. */
static void test_always_whole(void **state)
{
    (void)state;
    struct proof_writer w;
    fill(&w, 0);
    for (uint32_t i = 0; i < 10; i++) {
        check_read(proof_writer_bytes(&w), i);
        struct proof_entry e = entry_of(i);
        assert_int_equal(proof_writer_add(&w, &e), ERR_OK);
    }
    proof_writer_release(&w);
    proof_writer_release(&w);
}

static void test_another_head(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 5000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const struct proof_head short_head = {.zone = head.zone};
        struct proof_head large = head;
        static uint8_t object[OBJECT_BYTES_MAX + 1];
        struct proof_writer w;
        assert_int_equal(proof_writer_init(&w, &short_head), ERR_OK);
        for (uint32_t j = 0; j < counts[i]; j++) {
            struct proof_entry e = entry_of(j);
            assert_int_equal(proof_writer_add(&w, &e), ERR_OK);
        }
        assert_int_equal(proof_writer_rehead(&w, &head), ERR_OK);
        check_read(proof_writer_bytes(&w), counts[i]);
        large.receipt = slice_of(object, sizeof(object));
        assert_int_equal(proof_writer_rehead(&w, &large), ERR_LIMIT);
        check_read(proof_writer_bytes(&w), counts[i]);
        struct proof_entry e = entry_of(counts[i]);
        assert_int_equal(proof_writer_add(&w, &e), ERR_OK);
        check_read(proof_writer_bytes(&w), counts[i] + 1);
        proof_writer_release(&w);
    }
}

static void test_limit(void **state)
{
    (void)state;
    struct proof_writer w;
    struct proof_entry e = entry_of(0);
    fill(&w, PROOF_CHUNKS_MAX);
    size_t len = w.len;
    assert_int_equal(proof_writer_add(&w, &e), ERR_LIMIT);
    assert_int_equal(w.len, len);
    assert_true(len <= PROOF_BYTES_MAX);
    check_read(proof_writer_bytes(&w), PROOF_CHUNKS_MAX);

    struct proof p;
    struct writer count = writer_of(w.buf + w.count_at, 4);
    write_u32(&count, PROOF_CHUNKS_MAX + 1);
    assert_int_equal(proof_open(proof_writer_bytes(&w), &p), ERR_LIMIT);
    proof_writer_release(&w);
}

static void test_head_limit(void **state)
{
    (void)state;
    static uint8_t object[OBJECT_BYTES_MAX + 1];
    struct proof_head large;
    struct proof_writer w;
    struct proof p;
    struct slice all = slice_of(object, OBJECT_BYTES_MAX);
    large = (struct proof_head){all, all, all, all, all, all};
    assert_int_equal(proof_writer_init(&w, &large), ERR_OK);
    assert_int_equal(w.len, PROOF_HEAD_BYTES_MAX);
    assert_int_equal(proof_open(proof_writer_bytes(&w), &p), ERR_OK);
    assert_int_equal(p.head.manifest.len, OBJECT_BYTES_MAX);
    proof_writer_release(&w);
    large.manifest.len++;
    assert_int_equal(proof_writer_init(&w, &large), ERR_LIMIT);
    large.manifest = all;
    large.receipt_credential.len++;
    assert_int_equal(proof_writer_init(&w, &large), ERR_LIMIT);
}

/* Any length but the right one, and any declared length but the right one, is refused. */
static void test_refused(void **state)
{
    (void)state;
    struct proof_writer w;
    struct proof p;
    fill(&w, 3);
    struct slice whole = proof_writer_bytes(&w);
    for (size_t len = 0; len <= whole.len; len++) {
        uint8_t *exact = mem_alloc_raw(len);
        memcpy(exact, whole.ptr, len);
        assert_int_equal(proof_open(slice_of(exact, len), &p),
                         len == whole.len ? ERR_OK : ERR_FORMAT);
        free(exact);
    }
    struct proof_entry e = entry_of(3);
    assert_int_equal(proof_writer_add(&w, &e), ERR_OK);
    struct writer count = writer_of(w.buf + w.count_at, 4);
    write_u32(&count, 3); /* an entry left over */
    assert_int_equal(proof_open(proof_writer_bytes(&w), &p), ERR_FORMAT);
    count = writer_of(w.buf + w.count_at, 4);
    write_u32(&count, 5); /* an entry too few */
    assert_int_equal(proof_open(proof_writer_bytes(&w), &p), ERR_FORMAT);
    proof_writer_release(&w);
}

static void test_declared_lengths(void **state)
{
    (void)state;
    struct proof_writer w;
    struct proof p;
    fill(&w, 1);
    struct writer len = writer_of(w.buf + w.count_at + 4, 4);
    write_u32(&len, STATEMENT_BYTES_MAX + 1);
    assert_int_equal(proof_open(proof_writer_bytes(&w), &p), ERR_LIMIT);
    len = writer_of(w.buf + 4, 4);
    write_u32(&len, OBJECT_BYTES_MAX + 1);
    assert_int_equal(proof_open(proof_writer_bytes(&w), &p), ERR_LIMIT);
    w.buf[3] = '2';
    assert_int_equal(proof_open(proof_writer_bytes(&w), &p), ERR_FORMAT);
    proof_writer_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_always_whole),
        cmocka_unit_test(test_another_head),     cmocka_unit_test(test_limit),
        cmocka_unit_test(test_head_limit),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_declared_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
