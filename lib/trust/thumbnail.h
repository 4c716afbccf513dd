#ifndef TRUST_THUMBNAIL_H
#define TRUST_THUMBNAIL_H
/*
 * Delegated thumbnails (docs/PROTOCOL.md §4.9): a picture that an edge signed
 * because the streamer said that it may. Pure; any thread.
 *
 *   credential → delegation (the streamer's key) → part of track 1 (the edge's key) → JPEG
 */
#include "base/arena.h"
#include "trust/part.h"

enum {
    THUMBNAIL_TRACK = 1,
    THUMBNAIL_WIDTH_MAX = 320,
    THUMBNAIL_HEIGHT_MAX = 180,
    THUMBNAIL_JPEG_BYTES_MAX = 8192,
    THUMBNAIL_PART_BYTES_MAX =
        4 + 2 + STATEMENT_BYTES_MAX + SIGNATURE_BYTES + 2 + THUMBNAIL_JPEG_BYTES_MAX,
    THUMBNAIL_MEDIA_BYTES_MAX = 2 * 1024 * 1024, /* of a video, that one is made from */
    DELEGATION_OBJECT_BYTES_MAX =
        1 + HASH_BYTES + KEY_BYTES + 2 + 2 * DELEGATION_TRACKS_MAX + 8 + SIGNATURE_BYTES,
};

/*
 * jpeg_ok: whether these bytes are one baseline JPEG within the box and the limit, with nothing
 * before or behind it. Its picture is not decoded. O(n).
 */
bool jpeg_ok(struct slice bytes);

/* delegation_allows: for this stream and this key, and track 1 is in it. Dates are not looked at.
 */
bool delegation_allows(const struct delegation *d, const struct hash *stream,
                       const struct pubkey *edge_pk);

/* thumbnail_sign: the part, with the time at which it was made; jpeg as jpeg_ok wants it.
 * ret has THUMBNAIL_PART_BYTES_MAX bytes' room; returns the length. */
size_t thumbnail_sign(const struct hash *stream, const struct signkey *key, uint64_t made_us,
                      struct slice jpeg, uint8_t *ret);

/*
 * thumbnail_open: the whole chain from the streamer's key on.
 * delegation  signed object. packet: the part.
 * ret_jpeg    borrows from packet.
 * ERR_FORMAT: malformed, no thumbnail, or no such JPEG. ERR_SIGNATURE. ERR_UNAUTHORIZED: the
 * delegation is for something else, or was over when the thumbnail says that it was made.
 * Two signatures: 0.1 ms.
 */
enum err thumbnail_open(struct slice delegation, struct slice packet, const struct hash *stream,
                        const struct pubkey *streamer_pk, struct slice *ret_jpeg);

/* thumbnail_jpeg: the picture of a part that was opened before. ERR_FORMAT: no part. */
enum err thumbnail_jpeg(struct slice packet, struct slice *ret);

/* thumbnail_text: as the `thumbnail` of a row: a data URL, at most THUMBNAIL_BYTES_MAX. */
struct slice thumbnail_text(struct slice jpeg, struct arena *arena);

#endif
