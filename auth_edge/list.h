#ifndef AUTH_EDGE_LIST_H
#define AUTH_EDGE_LIST_H
/* The list of revocations as it is published: signed anew every time, so that its age shows
 * whether the authority is there. Pure. */
#include "auth_edge/records.h"

enum {
    REVOCATIONS_EVERY_S = 10, /* that it is published */
    REVOCATIONS_NEXT_S = 30,  /* that it says the next one comes in, at the latest */
};

/* list_sign: the signed object; ret has room for REVOCATIONS_OBJECT_BYTES_MAX. Returns its bytes.
 * Up to half a millisecond. */
size_t list_sign(const struct revoked *revoked, const struct zone_params *zone,
                 const struct signkey *key, uint64_t utc_us, uint8_t *ret);

#endif
