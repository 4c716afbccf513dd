#ifndef CLIENT_CHECKER_H
#define CLIENT_CHECKER_H
/*
 * Whether media is what its streamer signed: credential, statement, parts,
 * hash chain, manifest (docs/PROTOCOL.md §2), against a zone that the caller
 * trusts. The same for stored videos, lives and proof files; it trusts no edge,
 * no broker, and no key found in what it verifies.
 *
 * checker_why() says as a sentence what the last error was about.
 * Pure. Not thread-safe.
 */
#include "base/arena.h"
#include "trust/object.h"
#include "trust/part.h"

enum { CHECKER_WHY_BYTES = 256 };

struct checker {
    struct zone_params zone; /* the caller may put newer parameters of the same zone here */
    struct arena arena;      /* what the next two borrow from */
    struct credential credential;
    struct video video;
    struct slice credential_bytes, statement_bytes, manifest_bytes; /* signed objects */
    struct slice receipt_bytes, receipt_credential_bytes;           /* as they came */
    struct hash stream;
    bool has_manifest;
    struct manifest manifest;
    bool has_receipt; /* an edge of this zone signed that it stored just this */
    uint64_t receipt_us, receipt_serial;
    /* the chain so far */
    uint32_t last_number; /* 0: nothing yet */
    uint32_t init_number;
    struct hash last_hash;    /* of the statement of last_number */
    struct merkle statements; /* meaningful while no number was missing */
    bool complete;            /* no number was missing since 1 */
    uint64_t payload_bytes;
    uint32_t chunks;
    bool ended; /* the last one was of kind end */
    struct sig_cache cache;
    char why[CHECKER_WHY_BYTES];
};

/* What to verify, as it came. */
struct claim {
    struct slice credential, statement, manifest; /* signed objects; manifest may be empty */
    struct slice receipt, receipt_credential;     /* may be empty, or hold nothing that counts */
    const struct id *video_id;                    /* which video it must be; NULL: any */
    uint64_t valid_at_us; /* the credential must be in date then; 0: stored content, no matter */
};

/*
 * checker_open: verify who signs what. ret is whole only after ERR_OK, but why
 * and release work in any case.
 * A receipt that does not hold is none (has_receipt): it is no fault of what was signed.
 * ERR_FORMAT, ERR_LIMIT, ERR_SIGNATURE, ERR_UNAUTHORIZED (not of this zone, not
 * this streamer's, out of date); ERR_NOT_READY: signed in a later epoch than the
 * zone's parameters here.
 */
enum err checker_open(struct checker *ret, const struct zone_params *zone,
                      const struct claim *claim);
void checker_release(struct checker *c);

/*
 * checker_judge: whether the zone's list of revocations lets it stand. What a streamer whose
 * credential is revoked has signed counts only with a receipt from before that, of an edge
 * that was not revoked itself by then.
 * list  opened; NULL: none is known.
 * ERR_UNAUTHORIZED: it does not; ERR_NOT_READY: its receipt needs the zone's parameters of a
 * later epoch. In both cases why says who is revoked since when, and what is missing.
 */
enum err checker_judge(struct checker *c, const struct revocations *list);

/* checker_receipt: a receipt that came later than the rest. true: it holds (has_receipt). */
bool checker_receipt(struct checker *c, struct slice receipt, struct slice receipt_credential);

/*
 * checker_renewed: a live's streamer shows a newer credential for the same key: its serial
 * is what counts from now on. What is none, or is not newer, changes nothing.
 */
void checker_renewed(struct checker *c, struct slice credential);

/*
 * checker_part: decode a packet and verify it alone: this stream's, signed by
 * its streamer, payload under its root. ret_part borrows from packet.
 * ERR_FORMAT, ERR_LIMIT, ERR_UNAUTHORIZED (another stream, track or signer), ERR_SIGNATURE.
 */
enum err checker_part(struct checker *c, struct slice packet, struct part *ret_part);

/*
 * checker_chunk: the next chunk's statement, whose signature was verified: does
 * it follow from the one before?
 * gaps  numbers may be missing in between (live); else they may not.
 * ERR_CONFLICT: a number not above the last, or the hash chain is broken.
 * ERR_NOT_READY: numbers are missing. ERR_FORMAT: against the rules of §2.2.
 */
enum err checker_chunk(struct checker *c, const struct chunk *chunk, struct slice statement,
                       bool gaps);

/*
 * checker_statement: decode and verify a statement without a part of it (proof
 * files). Errors as checker_part. ret borrows from statement.
 */
enum err checker_statement(struct checker *c, struct slice statement, const struct signature *sig,
                           struct chunk *ret);

/*
 * checker_end: is what was seen the whole? With a manifest: exactly what it
 * says (else ERR_CONFLICT). Without: ERR_NOT_READY unless a chunk of kind end was last.
 */
enum err checker_end(struct checker *c);

static inline const char *checker_why(const struct checker *c)
{
    return c->why;
}

#endif
