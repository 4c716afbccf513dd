/*
 * Invariants
 *   I1  what thumbnail_sign makes, thumbnail_open takes while the delegation lasts.
 *   I2  a text of thumbnail_text fits THUMBNAIL_BYTES_MAX.
 */
#include "trust/thumbnail.h"

#include "base/base64.h"
#include "base/check.h"

#define DATA_URL "data:image/jpeg;base64,"

_Static_assert(sizeof(DATA_URL) + (THUMBNAIL_JPEG_BYTES_MAX + 2) / 3 * 4 <= THUMBNAIL_BYTES_MAX,
               "I2");

/* ---- JPEG ---- */

enum {
    JPEG_SOF0 = 0xc0,
    JPEG_DHT = 0xc4,
    JPEG_RST0 = 0xd0,
    JPEG_RST7 = 0xd7,
    JPEG_SOI = 0xd8,
    JPEG_EOI = 0xd9,
    JPEG_SOS = 0xda,
    JPEG_DQT = 0xdb,
    JPEG_DRI = 0xdd,
    JPEG_APP0 = 0xe0,
    JPEG_COM = 0xfe,
    JPEG_FRAME_BYTES_MIN = 6, /* precision, height, width, components */
};

static unsigned big16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static bool frame_ok(struct slice segment)
{
    if (segment.len < JPEG_FRAME_BYTES_MIN || segment.ptr[0] != 8)
        return false;
    unsigned height = big16(segment.ptr + 1);
    unsigned width = big16(segment.ptr + 3);
    return width >= 1 && height >= 1 && width <= THUMBNAIL_WIDTH_MAX &&
           height <= THUMBNAIL_HEIGHT_MAX;
}

/* After the header of the only scan: its data to the end of the picture, which ends the bytes. */
static bool scan_ok(struct slice rest)
{
    for (size_t i = 0; i + 1 < rest.len; i++) {
        if (rest.ptr[i] != 0xff)
            continue;
        uint8_t marker = rest.ptr[i + 1];
        if (marker == JPEG_EOI)
            return i + 2 == rest.len;
        if (marker != 0 && (marker < JPEG_RST0 || marker > JPEG_RST7))
            return false;
        i++;
    }
    return false;
}

bool jpeg_ok(struct slice bytes)
{
    bool frame = false;
    if (bytes.len > THUMBNAIL_JPEG_BYTES_MAX || bytes.len < 4 || bytes.ptr[0] != 0xff ||
        bytes.ptr[1] != JPEG_SOI)
        return false;
    bytes = slice_from(bytes, 2);
    while (bytes.len >= 4 && bytes.ptr[0] == 0xff) {
        uint8_t marker = bytes.ptr[1];
        size_t len = big16(bytes.ptr + 2); /* its own two bytes included */
        if (len < 2 || len > bytes.len - 2)
            return false;
        struct slice segment = slice_of(bytes.ptr + 4, len - 2);
        bytes = slice_from(bytes, 2 + len);
        switch (marker) {
        case JPEG_SOF0:
            if (frame || !frame_ok(segment))
                return false;
            frame = true;
            break;
        case JPEG_SOS: return frame && scan_ok(bytes);
        case JPEG_DHT:
        case JPEG_DQT:
        case JPEG_DRI:
        case JPEG_APP0:
        case JPEG_COM: break;
        default: return false;
        }
    }
    return false;
}

/* ---- the chain ---- */

bool delegation_allows(const struct delegation *d, const struct hash *stream,
                       const struct pubkey *edge_pk)
{
    bool track = false;
    for (uint16_t i = 0; i < d->tracks_n; i++)
        track = track || d->tracks[i] == THUMBNAIL_TRACK;
    return track && hash_eq(&d->stream, stream) && pubkey_eq(&d->edge_pk, edge_pk);
}

size_t thumbnail_sign(const struct hash *stream, const struct signkey *key, uint64_t made_us,
                      struct slice jpeg, uint8_t *ret)
{
    uint8_t packet[PACKET_BYTES_MAX];
    struct chunk_cutter cutter;
    struct cut_chunk cut;
    CHECK(jpeg_ok(jpeg));
    chunk_cutter_init(&cutter, stream, key, PART_PAYLOAD_BYTES_MAX);
    cutter.track = THUMBNAIL_TRACK;
    CHECK(chunk_cut(&cutter, CHUNK_MEDIA, CHUNK_KEYFRAME, made_us, 0, jpeg, &cut) == ERR_OK);
    size_t len = cut_chunk_part(&cut, 0, packet);
    cut_chunk_release(&cut);
    CHECK(len <= THUMBNAIL_PART_BYTES_MAX);
    memcpy(ret, packet, len);
    return len;
}

static bool is_thumbnail(const struct chunk *c, const struct hash *stream)
{
    return hash_eq(&c->stream, stream) && c->track == THUMBNAIL_TRACK && c->number == 1 &&
           c->kind == CHUNK_MEDIA && c->init_number == 0 && c->flags == CHUNK_KEYFRAME &&
           c->parts_n == 1;
}

enum err thumbnail_open(struct slice delegation, struct slice packet, const struct hash *stream,
                        const struct pubkey *streamer_pk, struct slice *ret_jpeg)
{
    struct delegation d;
    struct part part;
    enum err err = delegation_open(delegation, streamer_pk, &d);
    if (err == ERR_OK)
        err = part_decode(packet, &part);
    if (err != ERR_OK)
        return err;
    if (!is_thumbnail(&part.chunk, stream) || !jpeg_ok(part.payload))
        return ERR_FORMAT;
    if (!delegation_allows(&d, stream, &part.chunk.signer) ||
        part.chunk.capture_us >= d.not_after_us)
        return ERR_UNAUTHORIZED;
    err = part_verify(&part, NULL);
    if (err == ERR_OK)
        *ret_jpeg = part.payload;
    return err;
}

enum err thumbnail_jpeg(struct slice packet, struct slice *ret)
{
    struct part part;
    enum err err = part_decode(packet, &part);
    if (err == ERR_OK)
        *ret = part.payload;
    return err == ERR_OK ? ERR_OK : ERR_FORMAT;
}

struct slice thumbnail_text(struct slice jpeg, struct arena *arena)
{
    size_t head = sizeof(DATA_URL) - 1;
    size_t len = head + b64_text_len(jpeg.len);
    char *text = arena_alloc(arena, len + 1);
    memcpy(text, DATA_URL, head);
    b64_encode(jpeg, text + head);
    return slice_of(text, len);
}
