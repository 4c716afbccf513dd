/*
 * A statement is checked once for all parts and threads, and a wrong one never counts as checked.
 *
 * Whether one is known shows in a part whose signer was exchanged after it was decoded: only a
 * check of the signature looks at that.
 */
#include "edge/checked.h"
#include "tests/unit/edge/reel.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

enum { CHUNKS = 200, PARTS_PER_CHUNK = 3, CHUNK_BYTES = 20000, THREADS = 8, ROUNDS = 40 };
enum { SIGNATURE_BITS = 8 * SIGNATURE_BYTES };

static struct member alice, bob;
static struct reel *film;
static uint8_t other_payload[REEL_PART_BYTES];

static int group_setup(void **state)
{
    (void)state;
    crypto_init();
    member_make("alice", CREDENTIAL_STREAMER, &alice);
    member_make("bob", CREDENTIAL_STREAMER, &bob);
    film = reel_new(&alice, "film1", 1, false);
    reel_cut(film, CHUNK_INIT, 0, REEL_UTC_US, CHUNK_BYTES);
    for (int i = 1; i < CHUNKS; i++)
        reel_cut(film, CHUNK_MEDIA, CHUNK_KEYFRAME, REEL_UTC_US, CHUNK_BYTES);
    return film->n == (size_t)CHUNKS * PARTS_PER_CHUNK ? 0 : -1;
}

static int group_teardown(void **state)
{
    (void)state;
    reel_free(film);
    return 0;
}

static int setup(void **state)
{
    *state = checked_new();
    return 0;
}

static int teardown(void **state)
{
    checked_free(*state);
    return 0;
}

/* Chunks and parts from 0. */
static struct part part_of(unsigned chunk, unsigned part)
{
    return film->parts[chunk * PARTS_PER_CHUNK + part].part;
}

static void turn_over(struct signature *sig, unsigned bit)
{
    sig->b[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* With one bit of the signature turned over. */
static struct part badly_signed(unsigned chunk, unsigned part, unsigned bit)
{
    struct part p = part_of(chunk, part);
    turn_over(&p.sig, bit);
    return p;
}

/* Of another signer than the statement's: wrong under the part_key of the right one. */
static struct part as_bobs(struct part p)
{
    p.chunk.signer = bob.key.pk;
    return p;
}

static struct part badly_paid(unsigned chunk, unsigned part)
{
    struct part p = part_of(chunk, part);
    p.payload.ptr = other_payload;
    return p;
}

static bool known(struct checked *c, struct part p)
{
    p = as_bobs(p);
    return checked_verify(c, &p) == ERR_OK;
}

static void expect(struct checked *c, struct part p, enum err err)
{
    assert_int_equal(checked_verify(c, &p), err);
}

static unsigned slot_of(const struct part *p)
{
    struct hash key = part_key(p);
    return (key.b[0] | (unsigned)key.b[1] << 8) % SIG_CACHE_SLOTS;
}

/* Two chunks with one slot. */
static void find_twins(unsigned *ret_a, unsigned *ret_b)
{
    unsigned slots[CHUNKS];
    for (unsigned b = 0; b < CHUNKS; b++) {
        struct part p = part_of(b, 0);
        slots[b] = slot_of(&p);
        for (unsigned a = 0; a < b; a++)
            if (slots[a] == slots[b]) {
                *ret_a = a;
                *ret_b = b;
                return;
            }
    }
    fail_msg("no two of %d chunks have the same slot", CHUNKS);
}

/* Part 0 of a chunk with two bits of its signature turned over, so that its slot is that of chunk
 * `like`. */
static struct part bad_twin(unsigned chunk, unsigned like)
{
    struct part good = part_of(like, 0);
    unsigned slot = slot_of(&good);
    for (unsigned i = 1; i < SIGNATURE_BITS; i++)
        for (unsigned j = 0; j < i; j++) {
            struct part bad = badly_signed(chunk, 0, i);
            turn_over(&bad.sig, j);
            if (slot_of(&bad) == slot)
                return bad;
        }
    fail_msg("no signature has the slot of chunk %u", like);
    return good;
}

/* ---- one thread ---- */

static void test_right_is_known_after_once(void **state)
{
    for (unsigned chunk = 0; chunk < 3; chunk++) {
        assert_false(known(*state, part_of(chunk, 0)));
        expect(*state, part_of(chunk, 1), ERR_OK); /* whichever part is the first */
        for (unsigned part = 0; part < PARTS_PER_CHUNK; part++) {
            assert_true(known(*state, part_of(chunk, part)));
            expect(*state, part_of(chunk, part), ERR_OK);
        }
    }
}

static void test_wrong_signature_is_never_known(void **state)
{
    static const unsigned bits[] = {0, 1, SIGNATURE_BITS / 2, SIGNATURE_BITS - 1};
    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        for (unsigned part = 0; part < PARTS_PER_CHUNK; part++) {
            expect(*state, badly_signed(i, part, bits[i]), ERR_SIGNATURE);
            expect(*state, badly_signed(i, part, bits[i]), ERR_SIGNATURE);
        }
        expect(*state, part_of(i, 0), ERR_OK);
        expect(*state, badly_signed(i, 0, bits[i]), ERR_SIGNATURE); /* though the right one is */
        assert_true(known(*state, part_of(i, 1)));
    }
}

/* Another statement under a signature that is known. */
static void test_wrong_statement(void **state)
{
    struct part p = part_of(0, 0);
    expect(*state, p, ERR_OK);
    p.statement = part_of(1, 0).statement;
    expect(*state, p, ERR_SIGNATURE);
    expect(*state, p, ERR_SIGNATURE);
    expect(*state, part_of(1, 0), ERR_OK);
}

static void test_wrong_payload(void **state)
{
    expect(*state, badly_paid(0, 0), ERR_SIGNATURE); /* and the statement was right */
    assert_true(known(*state, part_of(0, 0)));
    for (unsigned part = 0; part < PARTS_PER_CHUNK; part++) {
        expect(*state, badly_paid(0, part), ERR_SIGNATURE);
        expect(*state, part_of(0, part), ERR_OK);
    }
    struct part p = part_of(0, 0); /* another part's place */
    p.index = 1;
    expect(*state, p, ERR_SIGNATURE);
    p = part_of(0, 0);
    p.proof = part_of(0, 1).proof;
    expect(*state, p, ERR_SIGNATURE);
    p = part_of(0, 0);
    p.payload.len = 0;
    expect(*state, p, ERR_SIGNATURE);
    assert_true(known(*state, part_of(0, 2)));
}

/* The later one takes the place, and the earlier one is right all the same. */
static void test_same_slot(void **state)
{
    unsigned a = 0, b = 0;
    find_twins(&a, &b);
    for (int round = 0; round < 3; round++) {
        expect(*state, part_of(a, 0), ERR_OK);
        assert_true(known(*state, part_of(a, 1)));
        assert_false(known(*state, part_of(b, 1))); /* that was refused, and a stays */
        assert_true(known(*state, part_of(a, 2)));
        expect(*state, part_of(b, 0), ERR_OK);
        assert_false(known(*state, part_of(a, 1)));
        assert_true(known(*state, part_of(b, 2)));
    }
}

/* I1: it pushes nothing out, whichever was first. */
static void test_wrong_one_in_the_same_slot(void **state)
{
    struct part bads[] = {bad_twin(1, 0), bad_twin(0, 0)};
    for (unsigned i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        expect(*state, bads[i], ERR_SIGNATURE);
        expect(*state, part_of(0, 0), ERR_OK);
        for (int round = 0; round < 3; round++) {
            assert_true(known(*state, part_of(0, 1)));
            expect(*state, bads[i], ERR_SIGNATURE);
            assert_true(known(*state, part_of(0, 1)));
            assert_false(known(*state, bads[i]));
        }
    }
}

/* I2: a claim ends with the check, however it ends. While one were left, the wrong payload would
 * be found first, and nothing be learnt of its statement. */
static void test_nothing_stays_claimed(void **state)
{
    for (unsigned chunk = 0; chunk < CHUNKS; chunk++) { /* more than claims */
        expect(*state, as_bobs(part_of(chunk, 0)), ERR_SIGNATURE);
        expect(*state, badly_paid(chunk, 1), ERR_SIGNATURE);
        assert_true(known(*state, part_of(chunk, 2)));
    }
}

static void test_nothing_is_remembered_without(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        expect(NULL, part_of(0, 0), ERR_OK);
        assert_false(known(NULL, part_of(0, 0)));
        expect(NULL, badly_signed(0, 0, 0), ERR_SIGNATURE);
        expect(NULL, badly_paid(0, 0), ERR_SIGNATURE);
    }
    checked_free(NULL);
}

/* ---- several threads ---- */

struct test_case {
    struct part part;
    enum err err;
};

enum { CASES_MAX = 64 };

struct crowd {
    struct checked *checked;
    struct test_case cases[CASES_MAX];
    unsigned cases_n;
    unsigned stride; /* between the cases that the threads begin with; 0: the same */
    pthread_barrier_t ready;
    atomic_uint wrong;
};

struct one {
    struct crowd *crowd;
    unsigned number;
    pthread_t thread;
};

static void add(struct crowd *crowd, struct part part, enum err err)
{
    assert_true(crowd->cases_n < CASES_MAX);
    crowd->cases[crowd->cases_n++] = (struct test_case){part, err};
}

static void *check_all(void *arg)
{
    const struct one *me = arg;
    struct crowd *crowd = me->crowd;
    pthread_barrier_wait(&crowd->ready);
    for (unsigned i = 0; i < crowd->cases_n; i++) {
        unsigned at = (me->number * crowd->stride + i) % crowd->cases_n;
        const struct test_case *it = &crowd->cases[at];
        if (checked_verify(crowd->checked, &it->part) != it->err)
            atomic_fetch_add(&crowd->wrong, 1);
    }
    return NULL;
}

/* All threads check all cases. */
static void meet(struct crowd *crowd)
{
    struct one ones[THREADS];
    assert_int_equal(pthread_barrier_init(&crowd->ready, NULL, THREADS), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        ones[i] = (struct one){.crowd = crowd, .number = i};
        assert_int_equal(pthread_create(&ones[i].thread, NULL, check_all, &ones[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(ones[i].thread, NULL), 0);
    pthread_barrier_destroy(&crowd->ready);
    assert_int_equal(atomic_load(&crowd->wrong), 0);
}

/* With nothing known at first. */
static void run_round(struct crowd *crowd)
{
    crowd->checked = checked_new();
    meet(crowd);
    for (unsigned i = 0; i < crowd->cases_n; i++)
        expect(crowd->checked, crowd->cases[i].part, crowd->cases[i].err);
    checked_free(crowd->checked);
}

/* From the same case on, so that they meet at one statement, and from different ones. */
static void run_crowd(struct crowd *crowd)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        crowd->stride = round % 2 ? round % crowd->cases_n : 0;
        run_round(crowd);
    }
}

static void test_threads_one_chunk(void **state)
{
    (void)state;
    static struct crowd crowd;
    for (unsigned part = 0; part < PARTS_PER_CHUNK; part++) {
        add(&crowd, part_of(0, part), ERR_OK);
        add(&crowd, badly_paid(0, part), ERR_SIGNATURE);
    }
    run_crowd(&crowd);
}

static void test_threads_bad_chunk(void **state)
{
    (void)state;
    static struct crowd crowd;
    for (unsigned part = 0; part < PARTS_PER_CHUNK; part++)
        add(&crowd, badly_signed(0, part, 3), ERR_SIGNATURE);
    run_crowd(&crowd);
}

/* Of one statement whose payload is right: all are refused, by whoever checks it first and who
 * finds it claimed; the claim ends, and the right one is learnt. */
static void test_threads_bad_then_good(void **state)
{
    static struct crowd crowd;
    crowd.checked = *state;
    for (unsigned chunk = 0; chunk < CHUNKS; chunk++) {
        crowd.cases_n = 0;
        for (unsigned i = 0; i < 4; i++)
            add(&crowd, as_bobs(part_of(chunk, i % PARTS_PER_CHUNK)), ERR_SIGNATURE);
        meet(&crowd);
        expect(*state, badly_paid(chunk, 0), ERR_SIGNATURE); /* see test_nothing_stays_claimed */
        assert_true(known(*state, part_of(chunk, 0)));
        expect(*state, part_of(chunk, 1), ERR_OK);
    }
}

static void test_threads_many_chunks(void **state)
{
    (void)state;
    static struct crowd crowd;
    for (unsigned chunk = 0; chunk < 5; chunk++)
        for (unsigned part = 0; part < PARTS_PER_CHUNK; part++) {
            add(&crowd, part_of(chunk, part), ERR_OK);
            add(&crowd, badly_signed(chunk, part, chunk), ERR_SIGNATURE);
            add(&crowd, badly_paid(chunk, part), ERR_SIGNATURE);
        }
    run_crowd(&crowd);
}

/* Four statements, two of them wrong, for one slot: nobody's result is another's. */
static void test_threads_same_slot(void **state)
{
    (void)state;
    static struct crowd crowd;
    unsigned a = 0, b = 0;
    find_twins(&a, &b);
    struct part bad_a = bad_twin(a, a), bad_b = bad_twin(b, a);
    for (unsigned part = 0; part < PARTS_PER_CHUNK; part++) {
        add(&crowd, part_of(a, part), ERR_OK);
        add(&crowd, bad_a, ERR_SIGNATURE);
        add(&crowd, part_of(b, part), ERR_OK);
        add(&crowd, bad_b, ERR_SIGNATURE);
        add(&crowd, badly_paid(a, part), ERR_SIGNATURE);
    }
    run_crowd(&crowd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_right_is_known_after_once),
        T(test_wrong_signature_is_never_known),
        T(test_wrong_statement),
        T(test_wrong_payload),
        T(test_same_slot),
        T(test_wrong_one_in_the_same_slot),
        T(test_nothing_stays_claimed),
        cmocka_unit_test(test_nothing_is_remembered_without),
        cmocka_unit_test(test_threads_one_chunk),
        cmocka_unit_test(test_threads_bad_chunk),
        T(test_threads_bad_then_good),
        cmocka_unit_test(test_threads_many_chunks),
        cmocka_unit_test(test_threads_same_slot),
    };
#undef T
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
