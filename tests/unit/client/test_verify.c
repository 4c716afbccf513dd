/* verify FILE --proof P: what it says, and its exit status, for every kind of damage. */
#include "base/file.h"
#include "client/command.h"
#include "tests/unit/client/zone_of_ours.h"
#include "trust/proof.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZES_N = 3, FILE_BYTES = 700 + 5000 + 1024, OUTPUT_BYTES_MAX = 4096 };

struct saved {
    struct ours ours;
    char home[OURS_PATH_BYTES];
    char file[OURS_PATH_BYTES + 16], proof[OURS_PATH_BYTES + 16], output[OURS_PATH_BYTES + 16];
    uint8_t media[FILE_BYTES];
    struct proof_writer writer;
    char said[OUTPUT_BYTES_MAX]; /* standard output of the last run */
};

static void keep_proof(struct saved *s)
{
    assert_int_equal(file_write(s->proof, proof_writer_bytes(&s->writer)), ERR_OK);
}

static void write_proof(struct saved *s)
{
    struct proof_head head = {.zone = bytes_of(&s->ours.zone_bytes),
                              .credential = bytes_of(&s->ours.credential),
                              .video = bytes_of(&s->ours.statement),
                              .manifest = bytes_of(&s->ours.manifest),
                              .receipt = bytes_of(&s->ours.receipt),
                              .receipt_credential = bytes_of(&s->ours.receipt_credential)};
    assert_int_equal(proof_writer_init(&s->writer, &head), ERR_OK);
    for (uint32_t i = 0; i < SIZES_N; i++) {
        const struct cut_chunk *c = &s->ours.chunks[i];
        struct proof_entry entry = {.statement = slice_of(c->statement, c->statement_len),
                                    .sig = c->sig};
        assert_int_equal(proof_writer_add(&s->writer, &entry), ERR_OK);
    }
    keep_proof(s);
}

static int setup(void **state)
{
    static const uint32_t sizes[SIZES_N] = {700, 5000, 1024};
    struct saved *s = calloc(1, sizeof(*s));
    ours_init(&s->ours, false);
    folder_make(s->home);
    size_t at = 0;
    for (uint32_t i = 0; i < SIZES_N; i++) {
        ours_chunk(&s->ours, i ? CHUNK_MEDIA : CHUNK_INIT, i ? CHUNK_KEYFRAME : 0, sizes[i]);
        memcpy(s->media + at, s->ours.payloads[i], sizes[i]);
        at += sizes[i];
    }
    ours_finish(&s->ours);
    snprintf(s->file, sizeof(s->file), "%s/film.mp4", s->home);
    snprintf(s->proof, sizeof(s->proof), "%s/film.proof", s->home);
    snprintf(s->output, sizeof(s->output), "%s/output", s->home);
    assert_int_equal(file_write(s->file, slice_of(s->media, FILE_BYTES)), ERR_OK);
    write_proof(s);
    struct identity identity;
    assert_int_equal(identity_open(&identity), ERR_OK);
    assert_int_equal(identity_write(&identity, "zone", bytes_of(&s->ours.zone_bytes)), ERR_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct saved *s = *state;
    proof_writer_release(&s->writer);
    folder_remove(s->home);
    ours_release(&s->ours);
    free(s);
    return 0;
}

/* Run the command with standard output in a file; its exit status. */
static int verify(struct saved *s, const char *zone_key)
{
    char *argv[] = {s->file,  "--json",     "--proof",
                    s->proof, "--zone-key", (char *)(uintptr_t)zone_key};
    const char *positional[6];
    char error[CONFIG_ERROR_BYTES], *text;
    int n;
    size_t len;
    const struct command *c = &command_verify;
    assert_int_equal(config_load(c->options, zone_key ? 6 : 4, argv, positional, &n, error),
                     ERR_OK);
    fflush(stdout);
    int before = dup(STDOUT_FILENO), before_err = dup(STDERR_FILENO);
    int fd = open(s->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int nowhere = open("/dev/null", O_WRONLY); /* what it says there is in the JSON as well */
    dup2(fd, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    int status = (int)c->run(c->options, positional, n);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    dup2(before_err, STDERR_FILENO);
    close(before);
    close(before_err);
    close(nowhere);
    close(fd);
    config_release(c->options);
    assert_int_equal(file_read(s->output, OUTPUT_BYTES_MAX - 1, &text, &len), ERR_OK);
    snprintf(s->said, sizeof(s->said), "%s", text);
    free(text);
    return status;
}

static void assert_said(const struct saved *s, const char *part)
{
    if (!strstr(s->said, part))
        fail_msg("'%s' is not in: %s", part, s->said);
}

static void change_media(struct saved *s, size_t len)
{
    assert_int_equal(file_write(s->file, slice_of(s->media, len)), ERR_OK);
}

static void test_whole(void **state)
{
    struct saved *s = *state;
    assert_int_equal(verify(s, NULL), STATUS_OK);
    assert_said(s, "\"whole\": true");
    assert_said(s, "\"bytes\": 6724");
}

static void test_flipped_bit(void **state)
{
    struct saved *s = *state;
    s->media[700 + 3000] ^= 1;
    change_media(s, FILE_BYTES);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    assert_said(s, "chunk 2, bytes 700 to 5699 (5 parts)");
    assert_said(s, "\"faults\": 1,"); /* the rest still holds */
}

static void test_cut_short(void **state)
{
    struct saved *s = *state;
    change_media(s, 700 + 2048 + 5);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    assert_said(s, "stops at byte 2753, in part 2 of 5 of chunk 2");
    change_media(s, 700);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    assert_said(s, "stops at byte 700, in part 0 of 5 of chunk 2");
}

static void test_bytes_after_the_end(void **state)
{
    struct saved *s = *state;
    uint8_t longer[FILE_BYTES + 3] = {0};
    memcpy(longer, s->media, FILE_BYTES);
    assert_int_equal(file_write(s->file, slice_of(longer, sizeof(longer))), ERR_OK);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    assert_said(s, "3 bytes from byte 6724 to the end of the file are signed by nobody");
}

static void test_chunk_left_out(void **state)
{
    struct saved *s = *state;
    proof_writer_release(&s->writer);
    s->ours.chunks_n = SIZES_N;
    struct cut_chunk kept = s->ours.chunks[1];
    s->ours.chunks[1] = s->ours.chunks[2];
    write_proof(s); /* 1, 3, 3 */
    s->ours.chunks[1] = kept;
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    assert_said(s, "chunks 2 to 2 are missing");
}

static void test_signature_of_a_statement(void **state)
{
    struct saved *s = *state;
    s->writer.buf[s->writer.len - 1] ^= 1;
    keep_proof(s);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    assert_said(s, "signature of chunk 3");
}

static void test_damaged_proof(void **state)
{
    struct saved *s = *state;
    for (size_t len = 0; len < s->writer.len; len += 101) {
        assert_int_equal(file_write(s->proof, slice_of(s->writer.buf, len)), ERR_OK);
        assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    }
    assert_int_equal(unlink(s->proof), 0);
    assert_int_equal(verify(s, NULL), STATUS_FAILED);
}

static void test_zone_is_never_taken_from_the_proof(void **state)
{
    struct saved *s = *state;
    char key[64], path[OURS_PATH_BYTES + 16];
    snprintf(path, sizeof(path), "%s/zone", s->home);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(verify(s, NULL), STATUS_USAGE); /* nothing is pinned */
    b64_encode(slice_of(s->ours.zone_key.pk.b, KEY_BYTES), key);
    assert_int_equal(verify(s, key), STATUS_OK);
    b64_encode(slice_of(s->ours.streamer_key.pk.b, KEY_BYTES), key);
    assert_int_equal(verify(s, key), STATUS_UNVERIFIED);
    assert_int_equal(verify(s, "AAAA"), STATUS_USAGE);
}

static void test_pin_and_option_contradict(void **state)
{
    struct saved *s = *state;
    char key[64];
    b64_encode(slice_of(s->ours.streamer_key.pk.b, KEY_BYTES), key);
    assert_int_equal(verify(s, key), STATUS_FAILED);
}

/* ------------------------------------------------------------------ the key changes */

static void pin(const struct signed_bytes *zone)
{
    struct identity identity;
    assert_int_equal(identity_open(&identity), ERR_OK);
    assert_int_equal(identity_write(&identity, "zone", bytes_of(zone)), ERR_OK);
}

static void unpin(const struct saved *s)
{
    char path[OURS_PATH_BYTES + 16];
    snprintf(path, sizeof(path), "%s/zone", s->home);
    assert_int_equal(unlink(path), 0);
}

static const char *zone_key(const struct saved *s, char buf[static 64])
{
    b64_encode(slice_of(s->ours.zone.sign_pk.b, KEY_BYTES), buf);
    return buf;
}

static void make_proof_again(struct saved *s)
{
    proof_writer_release(&s->writer);
    write_proof(s);
}

static void test_proof_before_a_rotation(void **state)
{
    struct saved *s = *state;
    char before[64], after[64];
    zone_key(s, before);
    ours_rotate(&s->ours);
    zone_key(s, after);
    pin(&s->ours.zone_bytes);
    assert_int_equal(verify(s, NULL), STATUS_OK); /* the links are in the pin */
    assert_int_equal(verify(s, before), STATUS_OK);
    assert_int_equal(verify(s, after), STATUS_OK);
    unpin(s);
    assert_int_equal(verify(s, before), STATUS_OK);
    assert_int_equal(verify(s, after), STATUS_UNVERIFIED); /* nobody shows the link */
}

static void test_proof_after_a_rotation(void **state)
{
    struct saved *s = *state;
    char before[64], after[64];
    zone_key(s, before);
    ours_rotate(&s->ours);
    ours_rotate(&s->ours);
    zone_key(s, after);
    struct credential c = ours_credential(&s->ours);
    ours_sign_credential(&s->ours, &c);
    make_proof_again(s);
    assert_int_equal(verify(s, NULL), STATUS_OK); /* pinned: the first key */
    unpin(s);
    assert_int_equal(verify(s, before), STATUS_OK);
    assert_int_equal(verify(s, after), STATUS_OK);
    ours_rotate(&s->ours);
    pin(&s->ours.zone_bytes); /* and one that came after it */
    assert_int_equal(verify(s, NULL), STATUS_OK);
    struct ours other;
    ours_init(&other, false);
    other.zone.zone_id.s[0] = 'x';
    ours_rotate(&other);
    pin(&other.zone_bytes);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    ours_release(&other);
}

/* ------------------------------------------------------------------ revoked */

static void keep_list(struct saved *s, uint64_t since_us)
{
    struct identity identity;
    struct revocation entry = {OURS_SERIAL, since_us};
    assert_int_equal(identity_open(&identity), ERR_OK);
    ours_revoke(&s->ours, 3, 1000, &entry, 1);
    assert_int_equal(identity_write(&identity, "revocations", bytes_of(&s->ours.revocations)),
                     ERR_OK);
}

static void test_revoked_streamer(void **state)
{
    struct saved *s = *state;
    assert_int_equal(verify(s, NULL), STATUS_OK);
    assert_said(s, "\"revocations\": 0");
    keep_list(s, 500);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    assert_said(s, "streamer lea is revoked since 1970-01-01T00:00:00.000500Z, and no receipt");
    assert_said(s, "\"revocations\": 3");
    assert_said(s, "\"revocations_age_s\": ");
    ours_receipt(&s->ours, 499);
    make_proof_again(s);
    assert_int_equal(verify(s, NULL), STATUS_OK);
    assert_said(s, "\"whole\": true");
    keep_list(s, 499);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    ours_rotate(&s->ours); /* the list that is kept stays good */
    pin(&s->ours.zone_bytes);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    assert_said(s, "is revoked since");
}

static void test_receipt_in_a_proof_must_hold(void **state)
{
    struct saved *s = *state;
    ours_receipt(&s->ours, 499);
    s->ours.receipt.b[s->ours.receipt.len - 1] ^= 1;
    make_proof_again(s);
    assert_int_equal(verify(s, NULL), STATUS_UNVERIFIED);
    assert_said(s, "receipt in the proof does not hold");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flipped_bit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes_after_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chunk_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signature_of_a_statement, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_proof, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zone_is_never_taken_from_the_proof, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pin_and_option_contradict, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proof_before_a_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proof_after_a_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revoked_streamer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receipt_in_a_proof_must_hold, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
