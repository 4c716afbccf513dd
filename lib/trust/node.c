/* What an edge says of itself: that it is there and where its catalogue stands, and that it holds
 * what it is asked about. */
#include "base/check.h"
#include "trust/body.h"
#include "trust/object.h"

void node_status_encode(const struct node_status *s, struct writer *w)
{
    write_u8(w, OBJECT_VERSION);
    write_id(w, &s->zone_id);
    write_id(w, &s->edge_id);
    write_u8(w, s->state);
    write_u64(w, s->time_us);
    write_u64(w, s->since_us);
    write_u64(w, s->horizon_us);
    write_bytes(w, s->root, NODE_ROOT_BYTES);
    write_u64(w, s->disk_free);
    write_u64(w, s->disk_total);
}

enum err node_status_decode(struct slice body, struct node_status *ret)
{
    struct body b = body_of(body);
    struct node_status s = {0};
    body_version(&b);
    body_id(&b, &s.zone_id);
    body_id(&b, &s.edge_id);
    s.state = body_u8(&b, 0, 1);
    s.time_us = read_u64(&b.r);
    s.since_us = read_u64(&b.r);
    s.horizon_us = read_u64(&b.r);
    read_copy(&b.r, s.root, NODE_ROOT_BYTES);
    s.disk_free = read_u64(&b.r);
    s.disk_total = read_u64(&b.r);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = s;
    return err;
}

enum err node_status_open(struct slice bytes, const struct pubkey *pk, struct node_status *ret)
{
    struct slice body;
    struct signature sig;
    struct node_status s;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = node_status_decode(body, &s);
    if (err == ERR_OK)
        err = object_check(OBJECT_STATUS, body, &sig, pk);
    if (err == ERR_OK)
        *ret = s;
    return err;
}

void possession_encode(const struct possession *p, struct writer *w)
{
    CHECK(p->n <= POSSESSION_PARTS_MAX);
    write_u8(w, OBJECT_VERSION);
    write_id(w, &p->zone_id);
    write_id(w, &p->edge_id);
    write_id(w, &p->asker_id);
    write_hash(w, &p->stream);
    write_bytes(w, p->nonce.b, NONCE_BYTES);
    write_u16(w, p->n);
    for (size_t i = 0; i < p->n; i++)
        write_hash(w, &p->hashes[i]);
}

enum err possession_decode(struct slice body, struct possession *ret)
{
    struct body b = body_of(body);
    struct possession p = {0};
    body_version(&b);
    body_id(&b, &p.zone_id);
    body_id(&b, &p.edge_id);
    body_id(&b, &p.asker_id);
    p.stream = body_hash(&b);
    read_copy(&b.r, p.nonce.b, NONCE_BYTES);
    p.n = read_u16(&b.r);
    if (p.n > POSSESSION_PARTS_MAX)
        body_refuse(&b, ERR_LIMIT);
    for (size_t i = 0; i < p.n && b.err == ERR_OK; i++)
        p.hashes[i] = body_hash(&b);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = p;
    return err;
}

enum err possession_open(struct slice bytes, const struct pubkey *pk, struct possession *ret)
{
    struct slice body;
    struct signature sig;
    struct possession p;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = possession_decode(body, &p);
    if (err == ERR_OK)
        err = object_check(OBJECT_PROOF, body, &sig, pk);
    if (err == ERR_OK)
        *ret = p;
    return err;
}
