#ifndef EDGE_CHECKED_H
#define EDGE_CHECKED_H
/*
 * Statements of chunks whose signature was checked, shared by all threads that decode: the parts of
 * a chunk cost one check of its signature, whichever threads they fall to. Known by part_key; one
 * that was forgotten costs time, never truth.
 *
 * Any thread.
 */
#include "trust/part.h"

struct checked;

/* checked_new: none is known. checked_free: NULL is fine. */
struct checked *checked_new(void);
void checked_free(struct checked *c);

/*
 * checked_verify: as part_verify, with this memory. It never waits for another thread: while one
 * checks the same statement, the payload is checked first, and the signature only if it is not
 * known by then. Some 60 µs for a signature, and 1 µs for each KB of payload.
 * c  NULL: nothing is remembered.
 * ERR_SIGNATURE: the statement is not its signer's, or the payload is not the statement's.
 */
enum err checked_verify(struct checked *c, const struct part *p);

#endif
