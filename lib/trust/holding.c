/* What an edge says of what it holds: receipt, custody, presence. */
#include "base/check.h"
#include "trust/body.h"
#include "trust/object.h"

void receipt_encode(const struct receipt *r, struct writer *w)
{
    write_u8(w, OBJECT_VERSION);
    write_id(w, &r->zone_id);
    write_id(w, &r->edge_id);
    write_hash(w, &r->stream);
    write_u16(w, r->track);
    write_u32(w, r->last_chunk);
    write_hash(w, &r->hash);
    write_u64(w, r->time_us);
}

enum err receipt_decode(struct slice body, struct receipt *ret)
{
    struct body b = body_of(body);
    struct receipt r = {0};
    body_version(&b);
    body_id(&b, &r.zone_id);
    body_id(&b, &r.edge_id);
    r.stream = body_hash(&b);
    r.track = read_u16(&b.r);
    r.last_chunk = read_u32(&b.r);
    r.hash = body_hash(&b);
    r.time_us = read_u64(&b.r);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = r;
    return err;
}

enum err receipt_open(struct slice bytes, const struct pubkey *pk, struct receipt *ret)
{
    struct slice body;
    struct signature sig;
    struct receipt r;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = receipt_decode(body, &r);
    if (err == ERR_OK)
        err = object_check(OBJECT_RECEIPT, body, &sig, pk);
    if (err == ERR_OK)
        *ret = r;
    return err;
}

void holding_encode(const struct holding *h, struct writer *w)
{
    write_u8(w, OBJECT_VERSION);
    write_id(w, &h->zone_id);
    write_id(w, &h->edge_id);
    write_id(w, &h->video_id);
    write_id(w, &h->streamer_id);
    write_hash(w, &h->stream);
    write_u8(w, h->state);
    write_u64(w, h->hlc);
}

enum err holding_decode(struct slice body, struct holding *ret)
{
    struct body b = body_of(body);
    struct holding h = {0};
    body_version(&b);
    body_id(&b, &h.zone_id);
    body_id(&b, &h.edge_id);
    body_id(&b, &h.video_id);
    body_id(&b, &h.streamer_id);
    h.stream = body_hash(&b);
    h.state = body_u8(&b, 0, 1);
    h.hlc = read_u64(&b.r);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = h;
    return err;
}

enum err holding_open(enum object_type type, struct slice bytes, const struct pubkey *pk,
                      struct holding *ret)
{
    CHECK(type == OBJECT_CUSTODY || type == OBJECT_PRESENCE);
    struct slice body;
    struct signature sig;
    struct holding h;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = holding_decode(body, &h);
    if (err == ERR_OK)
        err = object_check(type, body, &sig, pk);
    if (err == ERR_OK)
        *ret = h;
    return err;
}
