#include "auth_edge/list.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/message.h"

enum { US_PER_S = 1000 * 1000 };

/* What is written before it is signed: too much for a stack. */
struct draft {
    uint8_t entries[REVOCATIONS_MAX * sizeof(struct revocation)];
    uint8_t body[REVOCATIONS_BODY_BYTES_MAX];
};

size_t list_sign(const struct revoked *revoked, const struct zone_params *zone,
                 const struct signkey *key, uint64_t utc_us, uint8_t *ret)
{
    CLEANUP(mem_free_ptr) struct draft *draft = mem_alloc(sizeof(*draft));
    struct writer entries = writer_of(draft->entries, sizeof(draft->entries));
    struct writer body = writer_of(draft->body, sizeof(draft->body));
    struct writer object = writer_of(ret, REVOCATIONS_OBJECT_BYTES_MAX);
    for (uint32_t i = 0; i < revoked->n; i++) {
        write_u64(&entries, revoked->entries[i].serial);
        write_u64(&entries, revoked->entries[i].since_us);
    }
    struct revocations list = {
        .zone_id = zone->zone_id,
        .key_epoch = zone->key_epoch,
        .number = revoked->number,
        .issued_us = utc_us,
        .next_us = utc_us + REVOCATIONS_NEXT_S * (uint64_t)US_PER_S,
        .n = revoked->n,
        .entries = slice_of(entries.buf, entries.len),
    };
    revocations_encode(&list, &body);
    signed_append(&object, OBJECT_REVOCATIONS, slice_of(body.buf, body.len), key);
    CHECK(!entries.full && !body.full && !object.full);
    return object.len;
}
