#ifndef WIRE_BUNDLE_H
#define WIRE_BUNDLE_H
/*
 * Catalogue rows as edges exchange them (docs/PROTOCOL.md §4.5): the signed
 * objects alone, each credential once. Part of several messages; never one of
 * its own. Conventions: wire/message.h.
 */
#include "wire/catalogue.h"

/* What a streamer says about a video: a statement, or its deletion. */
struct bundle_claim {
    bool deleted;
    struct slice object;     /* signed video statement or deletion */
    struct slice credential; /* the streamer's; empty with a deletion: the zone signed it */
    struct slice manifest;   /* may be empty */
    struct slice thumbnail;  /* text; may be empty */
};

/* Decoded: arrays in the arena, slices in the arena; not verified. */
struct bundle {
    size_t claims_n, holdings_n;
    struct bundle_claim *claims;
    struct holding_row *holdings;
    size_t skipped;       /* entries that were no such objects */
    uint32_t page, pages; /* of a page of `db`; else 0, as is: */
    uint64_t asking;
};

enum {
    BUNDLE_ROWS_MAX = 512,        /* of each kind in one message */
    BUNDLE_CREDENTIALS_MAX = 512, /* distinct ones */
    BUNDLE_BYTES_MAX = 56 * 1024, /* of the JSON of one bundle, so that it fits every message */
};

/* A bundle being filled. Owned by the arena it was started in. */
struct bundle_out;
struct bundle_out *bundle_start(struct arena *arena);
/* bundle_add_claim, bundle_add_holding: false, and nothing added: it does not fit any more. One
 * row within the limits always fits an empty bundle. */
bool bundle_add_claim(struct bundle_out *b, const struct bundle_claim *claim);
bool bundle_add_holding(struct bundle_out *b, const struct holding_row *holding);
bool bundle_empty(const struct bundle_out *b);

/* The three messages that carry one. */

/* A page of `db` in form bundle. asking: the asker's number. pages 0: more follow. */
struct slice bundle_end_db(struct bundle_out *b, const struct id *edge_id, uint64_t asking,
                           uint32_t page, uint32_t pages);
/* db/update, status "lot". */
struct slice bundle_end_update(struct bundle_out *b, const struct id *edge_id);
/* db/sync, kind rows. */
struct slice bundle_end_sync(struct bundle_out *b, const struct id *edge_id);

/* bundle_peek: whether the payload may be one of the three. Cheap. */
bool bundle_peek(struct slice payload);
/*
 * bundle_decode: the rows of any of the three. *ret_found false: the payload is none of them
 * (no "claims", "deletions" or "holdings" in it), which is no error.
 */
enum err bundle_decode(struct slice payload, struct arena *arena, bool *ret_found,
                       struct bundle *ret);

#endif
