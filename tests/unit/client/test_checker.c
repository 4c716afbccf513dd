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

/* ------------------------------------------------------------------ revoked, renewed */

static enum err judge(const struct ours *o, bool with_list, char *ret_why)
{
    struct checker *c = malloc(sizeof(*c));
    struct claim claim = ours_claim(o);
    struct revocations list;
    assert_int_equal(open_with(o, &claim, c), ERR_OK);
    if (with_list)
        assert_int_equal(revocations_open(bytes_of(&o->revocations), &o->zone, &list), ERR_OK);
    enum err err = checker_judge(c, with_list ? &list : NULL);
    snprintf(ret_why, CHECKER_WHY_BYTES, "%s", checker_why(c));
    checker_release(c);
    free(c);
    return err;
}

static void assert_judged(const struct ours *o, const char *why)
{
    char got[CHECKER_WHY_BYTES];
    assert_int_equal(judge(o, true, got), why ? ERR_UNAUTHORIZED : ERR_OK);
    if (why && !strstr(got, why))
        fail_msg("'%s' is not in: %s", why, got);
    if (why && !strstr(got, "streamer lea is revoked since 1970-01-01T00:00:00.000500Z"))
        fail_msg("not who and when: %s", got);
}

static void test_judge(void **state)
{
    struct ours *o = *state;
    char why[CHECKER_WHY_BYTES];
    const struct revocation others[] = {{1, 1}, {6, 1}, {8, 1}};
    const struct revocation streamer[] = {{1, 1}, {OURS_SERIAL, 500}, {8, 1}};
    struct revocation both[] = {{OURS_SERIAL, 500}, {OURS_EDGE_SERIAL, 0}};
    assert_int_equal(judge(o, false, why), ERR_OK); /* no list is known */
    ours_revoke(o, 1, 10, NULL, 0);
    assert_judged(o, NULL);
    ours_revoke(o, 1, 10, others, 3);
    assert_judged(o, NULL);
    ours_revoke(o, 1, 10, streamer, 3);
    assert_judged(o, "no receipt shows that an edge had this before"); /* nor is it finished */
    ours_finish(o);
    assert_judged(o, "no receipt");
    ours_receipt(o, 499);
    assert_judged(o, NULL);
    ours_receipt(o, 500);
    assert_judged(o, "the receipt for this is of 1970-01-01T00:00:00.000500Z");
    ours_receipt(o, 400);
    both[1].since_us = 401;
    ours_revoke(o, 1, 10, both, 2);
    assert_judged(o, NULL);
    both[1].since_us = 400;
    ours_revoke(o, 1, 10, both, 2);
    assert_judged(o, "and so was the edge");
}

/* Whatever is wrong with a receipt, it is none; without a revocation nobody asks for it. */
static void test_receipt_that_does_not_hold(void **state)
{
    struct ours *o = *state;
    const struct revocation streamer[] = {{OURS_SERIAL, 500}};
    char why[CHECKER_WHY_BYTES];
    ours_finish(o);
    ours_receipt(o, 499);
    struct signed_bytes *objects[] = {&o->receipt, &o->receipt_credential};
    for (size_t i = 0; i < 2; i++)
        for (size_t at = 0; at < objects[i]->len; at += 5) {
            objects[i]->b[at] ^= 0x10;
            ours_revoke(o, 1, 10, streamer, 1);
            assert_int_not_equal(judge(o, true, why), ERR_OK);
            ours_revoke(o, 1, 10, NULL, 0);
            assert_judged(o, NULL);
            objects[i]->b[at] ^= 0x10;
        }
    ours_revoke(o, 1, 10, streamer, 1);
    struct hash manifest = o->video.manifest_hash;
    o->video.manifest_hash.b[0] ^= 1;
    ours_receipt(o, 499); /* of another manifest */
    o->video.manifest_hash = manifest;
    assert_judged(o, "no receipt");
    o->stream.b[0] ^= 1;
    ours_receipt(o, 499); /* of another stream */
    o->stream.b[0] ^= 1;
    assert_judged(o, "no receipt");
}

static void test_later_key_of_the_zone(void **state)
{
    struct ours *o = *state;
    struct zone_params before = o->zone;
    struct checker *c = malloc(sizeof(*c));
    ours_rotate(o);
    struct claim claim = ours_claim(o);
    assert_int_equal(open_err(o, &claim), ERR_OK); /* signed by the key before */
    struct credential later = ours_credential(o);
    ours_sign_credential(o, &later);
    claim = ours_claim(o);
    assert_int_equal(open_err(o, &claim), ERR_OK);
    assert_int_equal(checker_open(c, &before, &claim), ERR_NOT_READY);
    assert_non_null(strstr(checker_why(c), "epoch 1"));
    checker_release(c);
    free(c);
}

/* A receipt under a key that is not known yet counts once it is. */
static void test_receipt_of_a_later_key(void **state)
{
    struct ours *o = *state;
    const struct revocation streamer[] = {{OURS_SERIAL, 500}};
    struct revocations list;
    ours_finish(o);
    ours_revoke(o, 1, 10, streamer, 1);
    assert_int_equal(revocations_open(bytes_of(&o->revocations), &o->zone, &list), ERR_OK);
    struct zone_params before = o->zone;
    ours_rotate(o);
    ours_receipt(o, 499);
    struct claim claim = ours_claim(o);
    struct checker *c = malloc(sizeof(*c));
    assert_int_equal(checker_open(c, &before, &claim), ERR_OK);
    assert_int_equal(checker_judge(c, &list), ERR_NOT_READY);
    c->zone = o->zone;
    assert_int_equal(checker_judge(c, &list), ERR_OK);
    checker_release(c);
    free(c);
}

static void test_receipt_that_comes_later(void **state)
{
    struct ours *o = *state;
    struct checker *c = malloc(sizeof(*c));
    ours_finish(o);
    struct claim claim = ours_claim(o);
    assert_int_equal(open_with(o, &claim, c), ERR_OK);
    assert_false(c->has_receipt);
    ours_receipt(o, 499);
    struct signed_bytes receipt = o->receipt, credential = o->receipt_credential;
    assert_false(checker_receipt(c, (struct slice){0}, bytes_of(&credential)));
    receipt.b[receipt.len - 1] ^= 1;
    assert_false(checker_receipt(c, bytes_of(&receipt), bytes_of(&credential)));
    assert_int_equal(c->receipt_bytes.len, 0);
    receipt.b[receipt.len - 1] ^= 1;
    assert_true(checker_receipt(c, bytes_of(&receipt), bytes_of(&credential)));
    memset(receipt.b, 0, receipt.len); /* it has a copy of its own */
    assert_true(slice_eq(c->receipt_bytes, bytes_of(&o->receipt)));
    assert_true(slice_eq(c->receipt_credential_bytes, bytes_of(&o->receipt_credential)));
    assert_true(checker_receipt(c, (struct slice){0}, (struct slice){0})); /* that stays */
    checker_release(c);
    free(c);
}

static void test_renewed(void **state)
{
    struct ours *o = *state;
    struct claim claim = ours_claim(o);
    struct checker *c = malloc(sizeof(*c));
    assert_int_equal(open_with(o, &claim, c), ERR_OK);
    struct credential newer = ours_credential(o);
    newer.serial = 99;
    ours_sign_credential(o, &newer); /* ends no later */
    checker_renewed(c, bytes_of(&o->credential));
    assert_int_equal(c->credential.serial, OURS_SERIAL);
    newer.not_after_us++;
    newer.pk = o->edge_key.pk;
    ours_sign_credential(o, &newer); /* another key */
    checker_renewed(c, bytes_of(&o->credential));
    checker_renewed(c, (struct slice){0});
    assert_int_equal(c->credential.serial, OURS_SERIAL);
    newer.pk = o->streamer_key.pk;
    ours_sign_credential(o, &newer);
    o->credential.b[o->credential.len - 1] ^= 1; /* signed by nobody */
    checker_renewed(c, bytes_of(&o->credential));
    assert_int_equal(c->credential.serial, OURS_SERIAL);
    o->credential.b[o->credential.len - 1] ^= 1;
    checker_renewed(c, bytes_of(&o->credential));
    assert_int_equal(c->credential.serial, 99);
    assert_true(slice_eq(c->credential_bytes, bytes_of(&o->credential)));
    checker_release(c);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_judge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receipt_that_does_not_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_key_of_the_zone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receipt_of_a_later_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receipt_that_comes_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_renewed, setup, teardown),
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
