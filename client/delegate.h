#ifndef CLIENT_DELEGATE_H
#define CLIENT_DELEGATE_H
/*
 * Delegated thumbnails (docs/PROTOCOL.md §4.9), both sides of them: a streamer who gives no picture
 * lets the edge make one, and a viewer checks whose it is.
 */
#include "client/checker.h"
#include "trust/thumbnail.h"

#define DELEGATION_LIFE_US (60ull * 60 * 1000 * 1000)

/* To whom a streamer may delegate: an edge whose credential was seen. */
struct delegate {
    bool wanted; /* no picture was given, and it was not forbidden */
    bool known;
    struct pubkey edge_pk;
};

/* delegate_edge: take the key of the edge's credential, if it is one of this zone, for this edge,
 * in date; anything else changes nothing. */
void delegate_edge(struct delegate *d, const struct zone_params *zone, const struct id *edge_id,
                   struct slice credential, uint64_t utc_us);

/* delegate_sign: the delegation for DELEGATION_LIFE_US, signed; 0 bytes: none is wanted, or the
 * edge is not known. Returns the length. */
size_t delegate_sign(const struct delegate *d, const struct hash *stream,
                     const struct signkey *streamer, uint64_t utc_us,
                     uint8_t ret[static DELEGATION_OBJECT_BYTES_MAX]);

/* What a viewer knows of a video's thumbnail. */
enum thumbnail_kind {
    THUMBNAIL_NONE,
    THUMBNAIL_GIVEN,     /* by the streamer, who signed it: in the row, and not looked at here */
    THUMBNAIL_DELEGATED, /* the chain holds */
};

struct thumbnail {
    enum thumbnail_kind kind;
    bool rejected; /* one was shown that does not hold: it is none */
    size_t jpeg_len;
    uint8_t jpeg[THUMBNAIL_JPEG_BYTES_MAX]; /* DELEGATED */
};

/* thumbnail_check: what an edge shows beside what c has opened. delegation, part: may be empty. */
void thumbnail_check(const struct checker *c, struct slice delegation, struct slice part,
                     struct thumbnail *ret);

/* thumbnail_kind_name: "none", "given", "delegated". */
const char *thumbnail_kind_name(enum thumbnail_kind kind);

#endif
