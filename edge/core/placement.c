/*
 * Rendezvous hashing, the weighted one with key = -log2(u) / weight, lowest first, where
 * u in (0, 1) is drawn from the hash of video and edge. An edge that comes or goes changes
 * only whose rank it takes.
 *
 * Invariants
 *   I1  integers alone, so that every machine gets the same ranks.
 *   I2  the order is total: equal keys fall back on the ids.
 */
#include "edge/core/placement.h"

#include "base/bytes.h"
#include "trust/crypto.h"

enum {
    LOG_FRACTION_BITS = 32,
    WEIGHT_LOG_MAX = 24, /* 16 PiB free and more weigh the same */
    GIB_LOG = 30,
    DISK_KEPT_SHARE = 20, /* a twentieth of a disk is left alone */
};

static uint64_t draw(const struct id *video_id, const struct id *edge_id)
{
    uint8_t buf[2 * (4 + ID_BYTES_MAX)];
    struct writer w = writer_of(buf, sizeof(buf));
    write_str(&w, id_slice(video_id));
    write_str(&w, id_slice(edge_id));
    struct hash h = hash_of(slice_of(buf, w.len), (struct slice){0});
    struct reader r = reader_of(slice_of(h.b, HASH_BYTES));
    return read_u64(&r);
}

static unsigned floor_log2(uint64_t v)
{
    return v ? 63u - (unsigned)__builtin_clzll(v) : 0;
}

/* -log2((u + 1) / 2^64), in units of 2^-32: the fraction by squaring, bit by bit. */
static uint64_t neg_log2(uint64_t u)
{
    u += u < UINT64_MAX;
    unsigned whole = floor_log2(u);
    uint64_t x = (u << (63 - whole)) >> 32; /* in [1, 2), the highest of 32 bits is 1 */
    uint64_t log = (uint64_t)whole << LOG_FRACTION_BITS;
    for (unsigned bit = LOG_FRACTION_BITS; bit-- > 0;) {
        x *= x;
        bool two = x >> 63;
        x >>= two ? 32 : 31;
        if (two)
            log |= 1ull << bit;
    }
    return (64ull << LOG_FRACTION_BITS) - log;
}

/* The weight is the free GiB down to a power of two: small changes of a disk change no rank. */
static uint64_t weighted_key(const struct place *p, const struct id *video_id)
{
    unsigned weight_log = floor_log2(p->disk_free >> GIB_LOG);
    if (weight_log > WEIGHT_LOG_MAX)
        weight_log = WEIGHT_LOG_MAX;
    uint64_t key = neg_log2(draw(video_id, &p->edge_id)); /* below 2^38 and so much room above */
    return key << (WEIGHT_LOG_MAX - weight_log);
}

/* I2: whether a comes before b. */
static bool before(uint64_t a, const struct id *a_id, uint64_t b, const struct id *b_id)
{
    return a != b ? a < b : strcmp(a_id->s, b_id->s) < 0;
}

static const struct place *place_of(const struct place *places, size_t n, const struct id *edge_id)
{
    for (size_t i = 0; i < n; i++)
        if (id_eq(&places[i].edge_id, edge_id))
            return &places[i];
    return NULL;
}

unsigned placement_missing(const struct place *places, size_t n, unsigned replicas)
{
    unsigned counted = 0;
    unsigned able = 0;
    for (size_t i = 0; i < n; i++) {
        counted += places[i].holds && places[i].counted;
        able += places[i].online && !places[i].holds;
    }
    unsigned missing = counted < replicas ? replicas - counted : 0;
    return missing < able ? missing : able;
}

bool placement_room(const struct place *p, uint64_t bytes)
{
    if (!p->disk_total)
        return true; /* not known yet: a disk that is full says so itself */
    return p->disk_free / 2 >= bytes && p->disk_free >= p->disk_total / DISK_KEPT_SHARE;
}

static bool candidate(const struct place *p, uint64_t bytes)
{
    return p->online && !p->holds && placement_room(p, bytes);
}

bool placement_makes(const struct place *places, size_t n, const struct id *self,
                     const struct id *video_id, uint64_t bytes, unsigned missing)
{
    const struct place *me = place_of(places, n, self);
    if (!me || !missing || !candidate(me, bytes))
        return false;
    uint64_t mine = weighted_key(me, video_id);
    unsigned rank = 0;
    for (size_t i = 0; rank < missing && i < n; i++)
        rank += &places[i] != me && candidate(&places[i], bytes) &&
                before(weighted_key(&places[i], video_id), &places[i].edge_id, mine, self);
    return rank < missing;
}

bool placement_surplus(const struct place *places, size_t n, const struct id *self,
                       const struct id *video_id, unsigned replicas, struct id *ret_keepers,
                       size_t *ret_n)
{
    const struct place *me = place_of(places, n, self);
    if (!me || !me->holds || !me->online || !replicas)
        return false;
    uint64_t mine = draw(video_id, self);
    uint64_t last = 0; /* the key that was kept last, and whose it is */
    const struct id *last_id = NULL;
    for (size_t kept = 0; kept < replicas; kept++) { /* each turn finds the next in order */
        const struct place *next = NULL;
        uint64_t next_key = 0;
        for (size_t i = 0; i < n; i++) {
            const struct place *p = &places[i];
            if (!p->holds || !p->online)
                continue;
            uint64_t key = draw(video_id, &p->edge_id);
            if ((!last_id || before(last, last_id, key, &p->edge_id)) &&
                (!next || before(key, &p->edge_id, next_key, &next->edge_id))) {
                next = p;
                next_key = key;
            }
        }
        if (!next || !before(next_key, &next->edge_id, mine, self))
            return false; /* we are one of the first */
        ret_keepers[kept] = next->edge_id;
        last = next_key;
        last_id = &next->edge_id;
    }
    *ret_n = replicas;
    return true;
}
