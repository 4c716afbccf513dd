/* The order of a live: starts, holes, doubles, two topics at once, and its bounds. */
#include "client/live_view.h"
#include "tests/unit/client/zone_of_ours.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PARTS_MAX = 64, WAIT = LIVE_VIEW_WAIT_US };

struct fixture {
    struct ours ours;
    struct live_view view;
    uint8_t packets[PARTS_MAX][2048];
    size_t packets_n;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    ours_init(&f->ours, true);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    live_view_release(&f->view);
    ours_release(&f->ours);
    free(f);
    return 0;
}

static void cut(struct fixture *f, enum chunk_kind kind, uint16_t flags, uint32_t len)
{
    ours_chunk(&f->ours, kind, flags, len);
}

/* Give the view one part; number counts from 1. */
static bool put(struct fixture *f, uint32_t number, uint32_t index)
{
    uint8_t packet[PACKET_BYTES_MAX];
    struct part part;
    size_t len = cut_chunk_part(&f->ours.chunks[number - 1], index, packet);
    assert_int_equal(part_decode(slice_of(packet, len), &part), ERR_OK);
    return live_view_part(&f->view, &part);
}

static void put_all(struct fixture *f, uint32_t number)
{
    for (uint32_t i = 0; i < f->ours.chunks[number - 1].chunk.parts_n; i++)
        assert_true(put(f, number, i));
}

/* The number of the next chunk to play, whose bytes are right; 0: none. */
static uint32_t take(struct fixture *f, uint64_t now_us)
{
    struct live_chunk *c = live_view_next(&f->view, now_us);
    if (!c)
        return 0;
    uint32_t number = c->chunk.number;
    if (c->chunk.payload_len)
        assert_memory_equal(c->payload, f->ours.payloads[number - 1], c->chunk.payload_len);
    live_chunk_free(c);
    return number;
}

/* 1 init, 2 key, 3, 4, 5 key, 6, 7 end. */
static void cut_some(struct fixture *f)
{
    cut(f, CHUNK_INIT, 0, 500);
    cut(f, CHUNK_MEDIA, CHUNK_KEYFRAME, 3000);
    cut(f, CHUNK_MEDIA, 0, 100);
    cut(f, CHUNK_MEDIA, 0, 2500);
    cut(f, CHUNK_MEDIA, CHUNK_KEYFRAME, 1025);
    cut(f, CHUNK_MEDIA, 0, 10);
    cut(f, CHUNK_END, 0, 0);
}

static void test_in_order(void **state)
{
    struct fixture *f = *state;
    cut_some(f);
    for (uint32_t n = 1; n <= 7; n++) {
        put_all(f, n);
        if (n > 1)
            assert_int_equal(take(f, 0), n == 2 ? 1 : n);
        if (n == 2)
            assert_int_equal(take(f, 0), 2);
        assert_int_equal(take(f, 0), 0);
    }
    assert_int_equal(f->view.gaps, 0);
    assert_int_equal(f->view.held_bytes, 0);
    assert_false(put(f, 3, 0));
    assert_int_equal(f->view.old, 1);
}

static void test_starts_at_a_keyframe(void **state)
{
    struct fixture *f = *state;
    cut_some(f);
    put_all(f, 1);
    put_all(f, 3);
    put_all(f, 4);
    assert_int_equal(take(f, 0), 0);
    put_all(f, 5);
    assert_int_equal(take(f, 0), 1);
    assert_int_equal(take(f, 0), 5);
    put_all(f, 6);
    assert_int_equal(take(f, 0), 6);
    assert_int_equal(f->view.gaps, 0);
}

static void test_waits_for_the_init_chunk(void **state)
{
    struct fixture *f = *state;
    cut_some(f);
    put_all(f, 5);
    assert_int_equal(take(f, 0), 0);
    put_all(f, 1); /* the replay comes later than the live */
    assert_int_equal(take(f, 0), 1);
    assert_int_equal(take(f, 0), 5);
}

/* Replay and live interleave, and overlap in the middle of a chunk. */
static void test_two_topics(void **state)
{
    struct fixture *f = *state;
    cut_some(f);
    assert_true(put(f, 4, 2)); /* live: the tail of 4, then 5 */
    put_all(f, 5);
    put_all(f, 1); /* replay */
    put_all(f, 2);
    assert_int_equal(take(f, 0), 1);
    assert_int_equal(take(f, 0), 2);
    put_all(f, 3);
    assert_true(put(f, 4, 0));
    assert_int_equal(take(f, 1), 3);
    assert_int_equal(take(f, 1), 0);
    assert_true(put(f, 4, 1));
    assert_false(put(f, 4, 2));
    assert_int_equal(f->view.duplicates, 1);
    assert_int_equal(take(f, 1), 4);
    assert_int_equal(take(f, 1), 5);
}

static void test_hole(void **state)
{
    struct fixture *f = *state;
    cut_some(f);
    put_all(f, 1);
    put_all(f, 2);
    assert_int_equal(take(f, 0), 1);
    assert_int_equal(take(f, 0), 2);
    put_all(f, 4); /* 3 is lost */
    assert_int_equal(take(f, 10), 0);
    assert_int_equal(live_view_deadline_us(&f->view), 10 + WAIT);
    assert_int_equal(take(f, 10 + WAIT - 1), 0);
    assert_int_equal(f->view.gaps, 0);
    assert_int_equal(take(f, 10 + WAIT), 0);
    assert_int_equal(f->view.gaps, 1);
    assert_int_equal(live_view_deadline_us(&f->view), UINT64_MAX);
    put_all(f, 5);
    assert_int_equal(take(f, 11 + WAIT), 5); /* 4 cannot be shown without 3; 1 was given out */
    assert_int_equal(f->view.skipped_chunks, 1);
}

static void test_hole_inside_a_chunk(void **state)
{
    struct fixture *f = *state;
    cut_some(f);
    put_all(f, 1);
    put_all(f, 2);
    take(f, 0);
    take(f, 0);
    put_all(f, 3);
    assert_int_equal(take(f, 0), 3);
    put(f, 4, 0);
    assert_int_equal(take(f, 5 * WAIT), 0); /* nothing later came: it may just be slow */
    assert_int_equal(f->view.gaps, 0);
    put_all(f, 5);
    assert_int_equal(take(f, 5 * WAIT), 0);
    assert_int_equal(take(f, 6 * WAIT), 5);
    assert_int_equal(f->view.gaps, 1);
}

static void test_new_init_chunk(void **state)
{
    struct fixture *f = *state;
    cut(f, CHUNK_INIT, 0, 500);
    cut(f, CHUNK_MEDIA, CHUNK_KEYFRAME, 3000);
    cut(f, CHUNK_MEDIA, 0, 100); /* is lost */
    cut(f, CHUNK_INIT, 0, 300);
    cut(f, CHUNK_MEDIA, CHUNK_KEYFRAME | CHUNK_DISCONTINUITY, 1000);
    put_all(f, 1);
    put_all(f, 2);
    take(f, 0);
    take(f, 0);
    put_all(f, 4);
    put_all(f, 5);
    assert_int_equal(take(f, 1), 0);
    assert_int_equal(take(f, 1 + WAIT), 4);
    assert_int_equal(take(f, 1 + WAIT), 5);
}

static void test_conflict(void **state)
{
    struct fixture *f = *state;
    cut_some(f);
    put(f, 2, 0);
    f->ours.cutter.next_number = 2;
    ours_chunk(&f->ours, CHUNK_MEDIA, 0, 2000); /* another number 2, signed as well */
    assert_false(put(f, 8, 0));
    assert_int_equal(f->view.conflicts, 1);
}

/* However many unfinished chunks come, what is held stays bounded, and it recovers. */
static void test_bounded(void **state)
{
    struct fixture *f = *state;
    cut(f, CHUNK_INIT, 0, 500);
    cut(f, CHUNK_MEDIA, 0, CHUNK_BYTES_MAX);
    cut(f, CHUNK_MEDIA, 0, CHUNK_BYTES_MAX);
    cut(f, CHUNK_MEDIA, 0, CHUNK_BYTES_MAX);
    cut(f, CHUNK_MEDIA, 0, CHUNK_BYTES_MAX);
    cut(f, CHUNK_MEDIA, CHUNK_KEYFRAME, 900);
    put_all(f, 1);
    for (uint32_t n = 2; n <= 5; n++) {
        assert_true(put(f, n, 0));
        assert_true(f->view.held_bytes <= LIVE_VIEW_BYTES_MAX);
    }
    put_all(f, 6);
    assert_int_equal(take(f, 0), 1);
    assert_int_equal(take(f, 0), 6);
    assert_int_equal(f->view.held_bytes, 0);
}

static void test_end_alone(void **state)
{
    struct fixture *f = *state;
    cut_some(f);
    put_all(f, 7);
    assert_int_equal(take(f, 0), 7); /* whoever came too late is told that it is over */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_starts_at_a_keyframe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits_for_the_init_chunk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_topics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hole_inside_a_chunk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_init_chunk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conflict, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
