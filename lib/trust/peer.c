#include "trust/peer.h"

#include "base/check.h"
#include "trust/body.h"

enum { BODY_BYTES_MAX = 1 + 3 * (4 + ID_BYTES_MAX) + 4 + PEER_TOPIC_BYTES_MAX + 8 + HASH_BYTES };

void peer_said_encode(const struct peer_said *p, struct writer *w)
{
    write_u8(w, OBJECT_VERSION);
    write_id(w, &p->zone_id);
    write_id(w, &p->from);
    write_id(w, &p->to);
    write_str(w, p->topic);
    write_u64(w, p->time_us);
    write_hash(w, &p->text);
}

static struct slice body_in(const struct peer_said *p, uint8_t buf[static BODY_BYTES_MAX])
{
    struct writer w = writer_of(buf, BODY_BYTES_MAX);
    peer_said_encode(p, &w);
    CHECK(!w.full);
    return slice_of(buf, w.len);
}

struct signature peer_said_sign(const struct peer_said *p, const struct signkey *key)
{
    uint8_t buf[BODY_BYTES_MAX];
    return object_sign(OBJECT_PEER, body_in(p, buf), key);
}

enum err peer_said_check(const struct peer_said *p, const struct signature *sig,
                         const struct pubkey *pk)
{
    uint8_t buf[BODY_BYTES_MAX];
    return object_check(OBJECT_PEER, body_in(p, buf), sig, pk);
}
