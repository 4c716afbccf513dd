#ifndef AUTH_EDGE_RECORDS_H
#define AUTH_EDGE_RECORDS_H
/*
 * What the authority must have written down before it answers: the port
 * between zone.c, which decides, and store.c, which keeps. Tests put a table
 * in memory behind it.
 *
 * Invariants
 *   I1  a serial is given to one credential only, and is on disk before anyone
 *       learns it.
 *   I2  an edge id belongs to the first key that a credential was issued to,
 *       until the operator frees it; no id is an edge's and a streamer's.
 *   I3  whom the operator has revoked is issued nothing.
 */
#include "trust/object.h"

/* Credentials of one subject that are in date, so that revoking it fits the list. */
enum { SUBJECT_CREDENTIALS_MAX = 128 };

/* What the operator has revoked: the zone's list before it is signed. */
struct revoked {
    uint64_t number; /* greater after every change, for ever; at least 1 */
    uint32_t n;
    struct revocation entries[REVOCATIONS_MAX]; /* serials ascend */
};

struct issue {
    struct credential credential; /* as wanted; serial unset; display_name borrowed */
    uint64_t now_us;
    uint64_t request_us; /* the time inside the request that is answered */
    uint64_t renews;     /* serial of the credential that was shown; 0: none */
    /* A credential that differs from this one in serial and dates alone, ends no
     * sooner than this, and is not revoked, is given again instead of a new one. */
    uint64_t reuse_from_us;
};

struct issued {
    uint64_t serial;
    uint64_t not_before_us;
    uint64_t not_after_us;
};

struct records {
    void *ctx;
    /*
     * Record a credential, and with it the edge's binding and the request's
     * time, in one transaction that is on disk when this returns. Nothing was
     * recorded after ERR_CONFLICT: the id is somebody else's (I2);
     * ERR_UNAUTHORIZED: the subject, or the serial that it renews, is revoked (I3);
     * ERR_QUOTA: SUBJECT_CREDENTIALS_MAX are in date; ERR_STORAGE_FULL; ERR_IO.
     */
    enum err (*issue)(void *ctx, const struct issue *issue, struct issued *ret_issued);
};

#endif
