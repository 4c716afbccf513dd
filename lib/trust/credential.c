/* Credentials: the zone's word that a key is an edge's or a streamer's. */
#include "trust/body.h"
#include "trust/object.h"

void credential_encode(const struct credential *c, struct writer *w)
{
    write_u8(w, OBJECT_VERSION);
    write_u8(w, (uint8_t)c->kind);
    write_id(w, &c->subject);
    write_str(w, c->display_name);
    write_pubkey(w, &c->pk);
    write_id(w, &c->zone_id);
    write_u32(w, c->key_epoch);
    write_u64(w, c->serial);
    write_u64(w, c->not_before_us);
    write_u64(w, c->not_after_us);
}

enum err credential_decode(struct slice body, struct credential *ret)
{
    struct body b = body_of(body);
    struct credential c = {0};
    body_version(&b);
    c.kind = (enum credential_kind)body_u8(&b, CREDENTIAL_EDGE, CREDENTIAL_STREAMER);
    body_id(&b, &c.subject);
    c.display_name = body_text(&b, NAME_BYTES_MAX);
    c.pk = body_pubkey(&b);
    body_id(&b, &c.zone_id);
    c.key_epoch = read_u32(&b.r);
    c.serial = read_u64(&b.r);
    c.not_before_us = read_u64(&b.r);
    c.not_after_us = read_u64(&b.r);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = c;
    return err;
}

enum err credential_open(struct slice bytes, const struct zone_params *zone, struct credential *ret)
{
    struct slice body;
    struct signature sig;
    struct credential c;
    struct pubkey pk;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = credential_decode(body, &c);
    if (err != ERR_OK)
        return err;
    if (!id_eq(&c.zone_id, &zone->zone_id))
        return ERR_UNAUTHORIZED;
    err = zone_key_of(zone, c.key_epoch, &pk);
    if (err == ERR_OK)
        err = object_check(OBJECT_CREDENTIAL, body, &sig, &pk);
    if (err == ERR_OK)
        *ret = c;
    return err;
}

bool credential_valid_at(const struct credential *c, uint64_t utc_us)
{
    return c->not_before_us <= utc_us && utc_us < c->not_after_us;
}
