/*
 * Zone parameters: what a zone's members need to know of it, and how a pinned
 * key leads to the key that replaced it.
 *
 * Invariants
 *   I1  what is accepted was signed by the pinned key, or by a key that a chain
 *       of signatures leads to from there, at ever greater epochs.
 *   I2  a walk back along the links goes to ever smaller epochs, and ends.
 */
#include "base/check.h"
#include "trust/body.h"
#include "trust/object.h"

enum { LINK_BODY_BYTES_MAX = 4 + ID_BYTES_MAX + 2 * (4 + KEY_BYTES) };

static void link_fields(const struct zone_link *l, struct writer *w)
{
    write_u32(w, l->old_epoch);
    write_pubkey(w, &l->old_pk);
    write_u32(w, l->new_epoch);
    write_pubkey(w, &l->new_pk);
}

void zone_link_body(const struct id *zone_id, const struct zone_link *link, struct writer *w)
{
    write_id(w, zone_id);
    link_fields(link, w);
}

void zone_params_encode(const struct zone_params *z, struct writer *w)
{
    CHECK(z->links_n <= ZONE_LINKS_MAX);
    write_u8(w, OBJECT_VERSION);
    write_id(w, &z->zone_id);
    write_pubkey(w, &z->sign_pk);
    write_pubkey(w, &z->box_pk);
    write_u32(w, z->key_epoch);
    write_u64(w, z->issued_us);
    write_u8(w, z->links_n);
    for (size_t i = 0; i < z->links_n; i++) {
        link_fields(&z->links[i], w);
        write_bytes(w, z->links[i].sig.b, SIGNATURE_BYTES);
    }
}

static void link_decode(struct body *b, struct zone_link *ret)
{
    ret->old_epoch = read_u32(&b->r);
    ret->old_pk = body_pubkey(b);
    ret->new_epoch = read_u32(&b->r);
    ret->new_pk = body_pubkey(b);
    read_copy(&b->r, ret->sig.b, SIGNATURE_BYTES);
}

enum err zone_params_decode(struct slice body, struct zone_params *ret)
{
    struct body b = body_of(body);
    struct zone_params z = {0};
    body_version(&b);
    body_id(&b, &z.zone_id);
    z.sign_pk = body_pubkey(&b);
    z.box_pk = body_pubkey(&b);
    z.key_epoch = read_u32(&b.r);
    z.issued_us = read_u64(&b.r);
    z.links_n = read_u8(&b.r);
    if (z.links_n > ZONE_LINKS_MAX)
        body_refuse(&b, ERR_LIMIT);
    for (size_t i = 0; i < z.links_n && b.err == ERR_OK; i++)
        link_decode(&b, &z.links[i]);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = z;
    return err;
}

enum err zone_open(struct slice bytes, struct zone_params *ret)
{
    struct slice body;
    struct signature sig;
    struct zone_params z;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = zone_params_decode(body, &z);
    if (err == ERR_OK)
        err = object_check(OBJECT_ZONE, body, &sig, &z.sign_pk);
    if (err == ERR_OK)
        *ret = z;
    return err;
}

static bool link_holds(const struct id *zone_id, const struct zone_link *l)
{
    uint8_t bytes[LINK_BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    zone_link_body(zone_id, l, &w);
    CHECK(!w.full);
    return l->new_epoch > l->old_epoch &&
           object_check(OBJECT_ZONE_LINK, slice_of(bytes, w.len), &l->sig, &l->old_pk) == ERR_OK;
}

/* The link that leads on from a key. any_epoch: only the key is known. */
static const struct zone_link *link_from(const struct zone_params *z, const struct pubkey *pk,
                                         uint32_t epoch, bool any_epoch)
{
    for (size_t i = 0; i < z->links_n; i++) {
        const struct zone_link *l = &z->links[i];
        if (pubkey_eq(&l->old_pk, pk) && (any_epoch || l->old_epoch == epoch))
            return link_holds(&z->zone_id, l) ? l : NULL;
    }
    return NULL;
}

static bool leads_to(const struct pubkey *pk, uint32_t epoch, bool any_epoch,
                     const struct zone_params *z)
{
    while (!pubkey_eq(pk, &z->sign_pk) || (!any_epoch && epoch != z->key_epoch)) {
        const struct zone_link *l = link_from(z, pk, epoch, any_epoch);
        if (!l)
            return false;
        pk = &l->new_pk; /* I1: epochs only grow, so this ends */
        epoch = l->new_epoch;
        any_epoch = false;
    }
    return true;
}

enum err zone_accept(const struct zone_params *pin, const struct zone_params *offered)
{
    bool key_alone = pin->zone_id.s[0] == '\0';
    if (!key_alone && !id_eq(&pin->zone_id, &offered->zone_id))
        return ERR_UNAUTHORIZED;
    if (!leads_to(&pin->sign_pk, pin->key_epoch, key_alone, offered))
        return ERR_UNAUTHORIZED;
    return ERR_OK;
}

/*
 * From a key of these parameters to the one before it. Nothing is verified: the current key
 * signed the links, and a walk forth from a pin (zone_accept) has asked for their own signatures.
 */
static bool step_back(const struct zone_params *z, struct pubkey *pk, uint32_t *epoch)
{
    for (size_t i = 0; i < z->links_n; i++) {
        const struct zone_link *l = &z->links[i];
        if (l->new_epoch == *epoch && l->old_epoch < *epoch && pubkey_eq(&l->new_pk, pk)) {
            *pk = l->old_pk;
            *epoch = l->old_epoch;
            return true;
        }
    }
    return false;
}

enum err zone_key_of(const struct zone_params *zone, uint32_t epoch, struct pubkey *ret)
{
    struct pubkey pk = zone->sign_pk;
    uint32_t at = zone->key_epoch;
    if (epoch > at)
        return ERR_NOT_READY;
    while (at > epoch)
        if (!step_back(zone, &pk, &at))
            return ERR_UNAUTHORIZED;
    if (at != epoch)
        return ERR_UNAUTHORIZED;
    *ret = pk;
    return ERR_OK;
}

enum err zone_deletion_open(struct slice bytes, const struct zone_params *zone,
                            struct deletion *ret)
{
    struct pubkey pk = zone->sign_pk;
    uint32_t epoch = zone->key_epoch;
    enum err err = deletion_open(bytes, &pk, ret);
    while (err == ERR_SIGNATURE && step_back(zone, &pk, &epoch))
        err = deletion_open(bytes, &pk, ret);
    return err;
}
