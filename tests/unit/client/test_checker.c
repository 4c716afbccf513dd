/* The checker: everything that a viewer must refuse, one fault at a time. */
#include "tests/unit/client/zone_of_ours.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int setup(void **state)
{
    struct ours *o = calloc(1, sizeof(*o));
    ours_init(o, false);
    ours_chunk(o, CHUNK_INIT, 0, 700);
    ours_chunk(o, CHUNK_MEDIA, CHUNK_KEYFRAME, 5000);
    ours_chunk(o, CHUNK_MEDIA, 0, 1024);
    *state = o;
    return 0;
}

static int teardown(void **state)
{
    ours_release(*state);
    free(*state);
    return 0;
}

static enum err open_with(const struct ours *o, const struct claim *claim, struct checker *ret)
{
    enum err err = checker_open(ret, &o->zone, claim);
    if (err != ERR_OK)
        assert_true(checker_why(ret)[0] != '\0');
    return err;
}

static enum err open_err(const struct ours *o, const struct claim *claim)
{
    struct checker *c = malloc(sizeof(*c));
    enum err err = open_with(o, claim, c);
    checker_release(c);
    free(c);
    return err;
}

static enum err chunk_at(struct checker *c, const struct cut_chunk *cut, bool gaps)
{
    return checker_chunk(c, &cut->chunk, slice_of(cut->statement, cut->statement_len), gaps);
}

static void test_open(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    assert_int_equal(open_err(o, &claim), ERR_OK);
    ours_finish(o);
    claim = ours_claim(o);
    assert_int_equal(open_err(o, &claim), ERR_OK);
}

static void test_open_other_zone(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    struct zone_params other = o->zone;
    other.sign_pk = o->streamer_key.pk;
    struct checker *c = malloc(sizeof(*c));
    assert_int_not_equal(checker_open(c, &other, &claim), ERR_OK);
    checker_release(c);
    free(c);
}

static void test_open_flipped_bits(void **state)
{
    struct ours *o = *state;
    ours_finish(o);
    struct signed_bytes *objects[] = {&o->credential, &o->statement, &o->manifest};
    for (size_t i = 0; i < 3; i++)
        for (size_t at = 0; at < objects[i]->len; at += 7) {
            objects[i]->b[at] ^= 0x10;
            struct claim claim = ours_claim(o);
            assert_int_not_equal(open_err(o, &claim), ERR_OK);
            objects[i]->b[at] ^= 0x10;
        }
}

static void test_open_wrong_people(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    struct credential c = ours_credential(o);
    c.kind = CREDENTIAL_EDGE;
    ours_sign_credential(o, &c);
    assert_int_equal(open_err(o, &claim), ERR_UNAUTHORIZED);
    c = ours_credential(o);
    assert_int_equal(id_parse(slice_str("other"), &c.subject), ERR_OK);
    ours_sign_credential(o, &c);
    claim = ours_claim(o);
    assert_int_equal(open_err(o, &claim), ERR_UNAUTHORIZED);
}

static void test_open_dates(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    claim.valid_at_us = 999;
    assert_int_equal(open_err(o, &claim), ERR_UNAUTHORIZED);
    claim.valid_at_us = 1000;
    assert_int_equal(open_err(o, &claim), ERR_OK);
    claim.valid_at_us = 1000000;
    assert_int_equal(open_err(o, &claim), ERR_UNAUTHORIZED);
    claim.valid_at_us = 0; /* stored content does not expire */
    assert_int_equal(open_err(o, &claim), ERR_OK);
}

static void test_open_other_video(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    struct id other;
    assert_int_equal(id_parse(slice_str("v2"), &other), ERR_OK);
    claim.video_id = &other;
    assert_int_equal(open_err(o, &claim), ERR_UNAUTHORIZED);
}

static void test_open_manifest(void **state)
{
    struct ours *o = *state;
    ours_finish(o);
    struct claim claim = ours_claim(o);
    claim.manifest = (struct slice){0};
    assert_int_equal(open_err(o, &claim), ERR_FORMAT); /* it was withheld */
    ours_chunk(o, CHUNK_MEDIA, 0, 10);
    struct signed_bytes statement = o->statement;
    ours_finish(o);
    o->statement = statement; /* the manifest is another revision's */
    claim = ours_claim(o);
    assert_int_equal(open_err(o, &claim), ERR_SIGNATURE);
    uint8_t big[OBJECT_BYTES_MAX + 1] = {0};
    claim.manifest = slice_of(big, sizeof(big));
    assert_int_equal(open_err(o, &claim), ERR_LIMIT);
}

static void test_parts(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    struct checker *c = malloc(sizeof(*c));
    uint8_t packet[PACKET_BYTES_MAX];
    struct part part;
    assert_int_equal(open_with(o, &claim, c), ERR_OK);
    size_t len = cut_chunk_part(&o->chunks[1], 2, packet);
    assert_int_equal(checker_part(c, slice_of(packet, len), &part), ERR_OK);
    assert_int_equal(part.index, 2);
    assert_memory_equal(part.payload.ptr, o->payloads[1] + 2 * PART_BYTES_MIN, PART_BYTES_MIN);
    for (size_t at = 0; at < len; at += 13) {
        packet[at] ^= 1;
        assert_int_not_equal(checker_part(c, slice_of(packet, len), &part), ERR_OK);
        packet[at] ^= 1;
    }
    for (size_t short_by = 1; short_by < len; short_by += 97)
        assert_int_not_equal(checker_part(c, slice_of(packet, len - short_by), &part), ERR_OK);
    checker_release(c);
    free(c);
}

static void test_parts_of_others(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    struct checker *c = malloc(sizeof(*c));
    uint8_t packet[PACKET_BYTES_MAX];
    struct part part;
    assert_int_equal(open_with(o, &claim, c), ERR_OK);
    struct ours *other = calloc(1, sizeof(*other));
    ours_init(other, false);
    other->video.nonce.b[0] ^= 1; /* the same streamer's next stream */
    ours_sign_statement(other);
    chunk_cutter_init(&other->cutter, &other->stream, &other->streamer_key, PART_BYTES_MIN);
    size_t len = cut_chunk_part(ours_chunk(other, CHUNK_INIT, 0, 100), 0, packet);
    assert_int_equal(checker_part(c, slice_of(packet, len), &part), ERR_UNAUTHORIZED);
    chunk_cutter_init(&other->cutter, &o->stream, &other->zone_key, PART_BYTES_MIN);
    len = cut_chunk_part(ours_chunk(other, CHUNK_INIT, 0, 100), 0, packet);
    assert_int_equal(checker_part(c, slice_of(packet, len), &part), ERR_UNAUTHORIZED);
    ours_release(other);
    free(other);
    checker_release(c);
    free(c);
}

static void test_chain(void **state)
{
    struct ours *o = *state;
    ours_finish(o);
    struct claim claim = ours_claim(o);
    struct checker *c = malloc(sizeof(*c));
    assert_int_equal(open_with(o, &claim, c), ERR_OK);
    assert_int_equal(chunk_at(c, &o->chunks[1], false), ERR_NOT_READY);
    assert_int_equal(chunk_at(c, &o->chunks[0], false), ERR_OK);
    assert_int_equal(chunk_at(c, &o->chunks[0], false), ERR_CONFLICT);
    assert_int_equal(checker_end(c), ERR_CONFLICT); /* two are missing */
    assert_int_equal(chunk_at(c, &o->chunks[1], false), ERR_OK);
    assert_int_equal(chunk_at(c, &o->chunks[2], false), ERR_OK);
    assert_int_equal(checker_end(c), ERR_OK);
    checker_release(c);
    free(c);
}

static void test_chain_broken(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    struct checker *c = malloc(sizeof(*c));
    assert_int_equal(open_with(o, &claim, c), ERR_OK);
    assert_int_equal(chunk_at(c, &o->chunks[0], false), ERR_OK);
    o->cutter.next_number = 2;
    o->cutter.prev.b[0] ^= 1;
    struct cut_chunk *forged = ours_chunk(o, CHUNK_MEDIA, 0, 10); /* signed, but follows nothing */
    assert_int_equal(chunk_at(c, forged, false), ERR_CONFLICT);
    o->cutter.next_number = 2;
    o->cutter.prev = c->last_hash;
    o->cutter.init_number = 0;
    assert_int_equal(chunk_at(c, ours_chunk(o, CHUNK_MEDIA, 0, 10), false), ERR_FORMAT);
    assert_int_equal(chunk_at(c, &o->chunks[1], false), ERR_OK);
    checker_release(c);
    free(c);
}

static void test_must_begin_with_init(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    struct checker *c = malloc(sizeof(*c));
    assert_int_equal(open_with(o, &claim, c), ERR_OK);
    chunk_cutter_init(&o->cutter, &o->stream, &o->streamer_key, PART_BYTES_MIN);
    assert_int_equal(chunk_at(c, ours_chunk(o, CHUNK_MEDIA, 0, 10), false), ERR_FORMAT);
    checker_release(c);
    free(c);
}

static void test_live_gaps_and_end(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    struct checker *c = malloc(sizeof(*c));
    assert_int_equal(open_with(o, &claim, c), ERR_OK);
    assert_int_equal(chunk_at(c, &o->chunks[0], true), ERR_OK);
    assert_int_equal(chunk_at(c, &o->chunks[2], true), ERR_OK);
    assert_int_equal(chunk_at(c, &o->chunks[1], true), ERR_CONFLICT); /* not above the last */
    assert_int_equal(checker_end(c), ERR_NOT_READY);                  /* truncated */
    assert_int_equal(chunk_at(c, ours_chunk(o, CHUNK_END, 0, 0), true), ERR_OK);
    assert_int_equal(checker_end(c), ERR_OK);
    assert_int_equal(chunk_at(c, ours_chunk(o, CHUNK_MEDIA, 0, 9), true), ERR_CONFLICT);
    checker_release(c);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_other_zone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_flipped_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_wrong_people, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_dates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_other_video, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_manifest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chain_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_must_begin_with_init, setup, teardown),
        cmocka_unit_test_setup_teardown(test_live_gaps_and_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
