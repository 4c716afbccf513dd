/* Delegated thumbnails: what is a picture, and who may have signed it. */
#include "tests/unit/jpeg.h"
#include "trust/thumbnail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MADE_US = 1000 };

struct scene {
    struct signkey streamer, edge;
    struct hash stream;
    uint8_t jpeg[THUMBNAIL_JPEG_BYTES_MAX + 1];
    uint8_t delegation[DELEGATION_OBJECT_BYTES_MAX], packet[THUMBNAIL_PART_BYTES_MAX];
    size_t delegation_len, packet_len;
};

static struct signkey key_of(uint8_t n)
{
    uint8_t seed[KEY_BYTES] = {n};
    struct signkey key;
    signkey_from_seed(seed, &key);
    return key;
}

static void delegate(struct scene *c, const struct delegation *d, const struct signkey *key)
{
    uint8_t body[DELEGATION_OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    delegation_encode(d, &w);
    struct writer out = writer_of(c->delegation, sizeof(c->delegation));
    signed_append(&out, OBJECT_DELEGATION, slice_of(body, w.len), key);
    assert_false(w.full || out.full);
    c->delegation_len = out.len;
}

static struct delegation usual(const struct scene *c)
{
    return (struct delegation){.stream = c->stream,
                               .edge_pk = c->edge.pk,
                               .tracks_n = 1,
                               .tracks = {THUMBNAIL_TRACK},
                               .not_after_us = MADE_US + 1};
}

static void scene_make(struct scene *c)
{
    *c = (struct scene){.streamer = key_of(1), .edge = key_of(2), .stream = {{3}}};
    struct delegation d = usual(c);
    delegate(c, &d, &c->streamer);
    c->packet_len = thumbnail_sign(&c->stream, &c->edge, MADE_US,
                                   jpeg_make(c->jpeg, 320, 180, 2000), c->packet);
}

static enum err opened(const struct scene *c)
{
    struct slice jpeg;
    enum err err =
        thumbnail_open(slice_of(c->delegation, c->delegation_len),
                       slice_of(c->packet, c->packet_len), &c->stream, &c->streamer.pk, &jpeg);
    if (err == ERR_OK)
        assert_true(jpeg_ok(jpeg));
    return err;
}

static void the_chain_holds(void **state)
{
    struct scene c;
    (void)state;
    scene_make(&c);
    assert_int_equal(opened(&c), ERR_OK);
    struct delegation d = usual(&c);
    d.tracks_n = 2;
    d.tracks[0] = 7; /* several tracks, ours among them */
    d.tracks[1] = THUMBNAIL_TRACK;
    delegate(&c, &d, &c.streamer);
    assert_int_equal(opened(&c), ERR_OK);
}

static void a_delegation_for_something_else(void **state)
{
    struct scene c;
    (void)state;
    scene_make(&c);
    struct delegation d = usual(&c);
    d.tracks[0] = 2;
    delegate(&c, &d, &c.streamer);
    assert_int_equal(opened(&c), ERR_UNAUTHORIZED);
    d = usual(&c);
    d.tracks_n = 0;
    delegate(&c, &d, &c.streamer);
    assert_int_equal(opened(&c), ERR_UNAUTHORIZED);
    d = usual(&c);
    d.stream.b[0]++;
    delegate(&c, &d, &c.streamer);
    assert_int_equal(opened(&c), ERR_UNAUTHORIZED);
    d = usual(&c);
    d.edge_pk = c.streamer.pk;
    delegate(&c, &d, &c.streamer);
    assert_int_equal(opened(&c), ERR_UNAUTHORIZED);
    d = usual(&c);
    d.not_after_us = MADE_US; /* it was over when the picture was made */
    delegate(&c, &d, &c.streamer);
    assert_int_equal(opened(&c), ERR_UNAUTHORIZED);
    d = usual(&c);
    delegate(&c, &d, &c.edge); /* nobody lets himself */
    assert_int_equal(opened(&c), ERR_SIGNATURE);
    c.delegation_len = 0;
    assert_int_equal(opened(&c), ERR_FORMAT);
}

static void every_byte_counts(void **state)
{
    struct scene c;
    (void)state;
    scene_make(&c);
    for (size_t i = 0; i < c.packet_len; i += 7) {
        c.packet[i] ^= 1;
        assert_int_not_equal(opened(&c), ERR_OK);
        c.packet[i] ^= 1;
    }
    for (size_t i = 0; i < c.delegation_len; i++) {
        c.delegation[i] ^= 1;
        assert_int_not_equal(opened(&c), ERR_OK);
        c.delegation[i] ^= 1;
    }
    c.packet_len--;
    assert_int_not_equal(opened(&c), ERR_OK);
}

/* A part that the edge signs, but that is no thumbnail. */
static enum err other(struct scene *c, uint16_t track, enum chunk_kind kind, uint16_t flags,
                      unsigned before, struct slice payload)
{
    uint8_t packet[PACKET_BYTES_MAX];
    struct chunk_cutter cutter;
    struct cut_chunk cut;
    chunk_cutter_init(&cutter, &c->stream, &c->edge, PART_PAYLOAD_BYTES_MAX);
    cutter.track = track;
    for (unsigned i = 0; i <= before; i++) {
        assert_int_equal(chunk_cut(&cutter, kind, flags, MADE_US, 0, payload, &cut), ERR_OK);
        if (i < before)
            cut_chunk_release(&cut);
    }
    c->packet_len = cut_chunk_part(&cut, 0, packet);
    cut_chunk_release(&cut);
    memcpy(c->packet, packet, c->packet_len);
    return opened(c);
}

static void other_parts_are_none(void **state)
{
    struct scene c;
    uint8_t bytes[2000];
    (void)state;
    scene_make(&c);
    struct slice jpeg = jpeg_make(bytes, 10, 10, sizeof(bytes));
    assert_int_equal(other(&c, 1, CHUNK_MEDIA, CHUNK_KEYFRAME, 0, jpeg), ERR_OK);
    assert_int_equal(other(&c, 0, CHUNK_MEDIA, CHUNK_KEYFRAME, 0, jpeg), ERR_FORMAT);
    assert_int_equal(other(&c, 2, CHUNK_MEDIA, CHUNK_KEYFRAME, 0, jpeg), ERR_FORMAT);
    assert_int_equal(other(&c, 1, CHUNK_INIT, 0, 0, jpeg), ERR_FORMAT);
    assert_int_equal(other(&c, 1, CHUNK_MEDIA, 0, 0, jpeg), ERR_FORMAT);
    assert_int_equal(other(&c, 1, CHUNK_MEDIA, CHUNK_KEYFRAME, 1, jpeg), ERR_FORMAT);
    assert_int_equal(other(&c, 1, CHUNK_MEDIA, CHUNK_KEYFRAME, 0, slice_str("no picture")),
                     ERR_FORMAT);
}

static bool made(unsigned width, unsigned height, size_t len)
{
    static uint8_t bytes[THUMBNAIL_JPEG_BYTES_MAX + 1];
    return jpeg_ok(jpeg_make(bytes, width, height, len));
}

static void pictures_within_the_limits(void **state)
{
    (void)state;
    assert_true(made(320, 180, 8192));
    assert_true(made(1, 1, JPEG_FRAME_BYTES));
    assert_false(made(320, 180, 8193));
    assert_false(made(321, 180, 100));
    assert_false(made(320, 181, 100));
    assert_false(made(0, 180, 100));
    assert_false(made(320, 0, 100));
    assert_false(made(65535, 65535, 100));
}

static void one_picture_and_nothing_else(void **state)
{
    uint8_t bytes[200];
    (void)state;
    struct slice jpeg = jpeg_make(bytes, 10, 10, 100);
    assert_true(jpeg_ok(jpeg));
    for (size_t len = 0; len < 100; len++) /* cut off */
        assert_false(jpeg_ok(slice_of(bytes, len)));
    assert_false(jpeg_ok(slice_of(bytes, 101))); /* a byte behind it */
    jpeg_make(bytes + 100, 10, 10, 100);
    assert_false(jpeg_ok(slice_of(bytes, 200))); /* another one behind it */
    bytes[60] = 0xff;                            /* in the data: stuffed, restart, and a marker */
    bytes[61] = 0x00;
    assert_true(jpeg_ok(jpeg));
    bytes[61] = 0xd0;
    assert_true(jpeg_ok(jpeg));
    bytes[61] = 0xda;
    assert_false(jpeg_ok(jpeg));
    bytes[60] = bytes[61] = 0;
    bytes[3] = 0xc2; /* progressive */
    assert_false(jpeg_ok(jpeg));
    bytes[3] = 0xe1; /* what else a file may carry */
    assert_false(jpeg_ok(jpeg));
    bytes[3] = 0xc0;
    bytes[5] = 0; /* a segment that is shorter than its length */
    assert_false(jpeg_ok(jpeg));
    bytes[4] = 0xff; /* or runs over the end */
    assert_false(jpeg_ok(jpeg));
}

static void as_text(void **state)
{
    static uint8_t bytes[THUMBNAIL_JPEG_BYTES_MAX];
    struct arena arena = {0};
    (void)state;
    struct slice text = thumbnail_text(jpeg_make(bytes, 320, 180, sizeof(bytes)), &arena);
    assert_true(text.len <= THUMBNAIL_BYTES_MAX);
    assert_true(slice_starts(text, "data:image/jpeg;base64,/9j/"));
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_holds),
        cmocka_unit_test(a_delegation_for_something_else),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(other_parts_are_none),
        cmocka_unit_test(pictures_within_the_limits),
        cmocka_unit_test(one_picture_and_nothing_else),
        cmocka_unit_test(as_text),
    };
    return crypto_init() == ERR_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
