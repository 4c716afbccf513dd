#ifndef WIRE_PEER_H
#define WIRE_PEER_H
/*
 * Messages between edges that an edge has signed (docs/PROTOCOL.md §4.5): the
 * text is as without it, and ends with one more field,
 *
 *     ,"sig":"b64( u64 time ‖ [64] signature )"}
 *
 * written exactly so. What is signed is the text before it and "}", where it
 * goes and when: neither side writes JSON anew to look at it. Pure; any thread.
 */
#include "base/arena.h"
#include "trust/peer.h"
#include "wire/topic.h"

enum {
    PEER_SIG_BYTES = 8 + SIGNATURE_BYTES,
    PEER_SIG_TEXT_BYTES = 105, /* by which it makes a message longer */
};

/* From its time on it may be on its way for so long; clocks differ by no more. */
#define PEER_WINDOW_US (5ull * 60 * 1000 * 1000)

/* Whose message it is, and where it goes. */
struct peer_stamp {
    struct id zone_id, from;
    struct id to;              /* the edge that the topic names; "": none */
    enum topic_kind topic;     /* DB, DB_REPLY, DB_UPDATE, DB_SYNC */
    uint64_t time_us;          /* of one edge no two are the same */
    const struct signkey *key; /* to sign with; borrowed */
};

/* peer_text_sign: the text, a JSON object that is not empty, signed. 16 µs and a hash. */
struct slice peer_text_sign(struct slice text, const struct peer_stamp *stamp, struct arena *arena);

/* What a message says of its signature; nothing of it is proved. */
struct peer_mark {
    struct id from;
    uint64_t time_us;
    struct signature sig;
    uint64_t asking; /* of a page of `db`: what it answers; 0: nothing */
};

/*
 * peer_text_read: cheap: nothing is parsed or verified.
 * key  of the field that names the sender.
 * ERR_UNAUTHORIZED: it is not signed, or names nobody.
 */
enum err peer_text_read(struct slice payload, const char *key, struct peer_mark *ret);

/* peer_text_check: ERR_SIGNATURE unless pk signed the payload so. After peer_text_read; the stamp's
 * key is not looked at. 48 µs and a hash. */
enum err peer_text_check(struct slice payload, const struct peer_stamp *stamp,
                         const struct signature *sig, const struct pubkey *pk);

#endif
