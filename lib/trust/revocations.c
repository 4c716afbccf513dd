/*
 * The zone's list of credentials that count no longer.
 *
 * Invariants
 *   I1  the serials ascend, in what is written and in what was read: none stands twice, and they
 *       can be searched.
 */
#include "base/check.h"
#include "trust/body.h"
#include "trust/object.h"

enum { REVOCATION_BYTES = 16 };

struct revocation revocations_at(const struct revocations *r, uint32_t i)
{
    CHECK(i < r->n);
    struct reader reader = reader_of(slice_from(r->entries, (size_t)i * REVOCATION_BYTES));
    struct revocation entry;
    entry.serial = read_u64(&reader);
    entry.since_us = read_u64(&reader);
    return entry;
}

static bool ascends(const struct revocations *r)
{
    for (uint32_t i = 1; i < r->n; i++)
        if (revocations_at(r, i - 1).serial >= revocations_at(r, i).serial)
            return false;
    return true;
}

void revocations_encode(const struct revocations *r, struct writer *w)
{
    CHECK(r->n <= REVOCATIONS_MAX && r->entries.len == (size_t)r->n * REVOCATION_BYTES);
    CHECK(ascends(r));
    write_u8(w, OBJECT_VERSION);
    write_id(w, &r->zone_id);
    write_u32(w, r->key_epoch);
    write_u64(w, r->number);
    write_u64(w, r->issued_us);
    write_u64(w, r->next_us);
    write_u32(w, r->n);
    write_bytes(w, r->entries.ptr, r->entries.len);
}

enum err revocations_decode(struct slice body, struct revocations *ret)
{
    struct body b = body_of(body);
    struct revocations r = {0};
    body_version(&b);
    body_id(&b, &r.zone_id);
    r.key_epoch = read_u32(&b.r);
    r.number = read_u64(&b.r);
    r.issued_us = read_u64(&b.r);
    r.next_us = read_u64(&b.r);
    r.n = read_u32(&b.r);
    if (r.n > REVOCATIONS_MAX)
        body_refuse(&b, ERR_LIMIT);
    r.entries = read_bytes(&b.r, (size_t)r.n * REVOCATION_BYTES);
    enum err err = body_end(&b);
    if (err == ERR_OK && !ascends(&r))
        err = ERR_FORMAT;
    if (err == ERR_OK)
        *ret = r;
    return err;
}

enum err revocations_open(struct slice bytes, const struct zone_params *zone,
                          struct revocations *ret)
{
    struct slice body;
    struct signature sig;
    struct revocations r;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = revocations_decode(body, &r);
    if (err != ERR_OK)
        return err;
    if (!id_eq(&r.zone_id, &zone->zone_id) || r.key_epoch < zone->key_epoch)
        return ERR_UNAUTHORIZED;
    if (r.key_epoch > zone->key_epoch)
        return ERR_NOT_READY;
    err = object_check(OBJECT_REVOCATIONS, body, &sig, &zone->sign_pk);
    if (err == ERR_OK)
        *ret = r;
    return err;
}

bool revocations_newer(const struct revocations *list, const struct revocations *than)
{
    if (list->key_epoch != than->key_epoch)
        return list->key_epoch > than->key_epoch;
    if (list->number != than->number)
        return list->number > than->number;
    return list->issued_us > than->issued_us;
}

bool revocations_since(const struct revocations *list, uint64_t serial, uint64_t *ret_us)
{
    uint32_t from = 0, to = list->n; /* it stands in [from, to) if anywhere */
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        struct revocation entry = revocations_at(list, middle);
        if (entry.serial == serial) {
            *ret_us = entry.since_us;
            return true;
        }
        if (entry.serial < serial)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

bool revocations_revoked(const struct revocations *list, uint64_t serial, uint64_t at_us)
{
    uint64_t since_us;
    return revocations_since(list, serial, &since_us) && since_us <= at_us;
}
