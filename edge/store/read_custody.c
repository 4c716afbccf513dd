/*
 * Who holds what, and that it is held.
 *
 * I1  a proof is read from the packets on disk, and only of a whole copy that is in custody: what
 *     was given up may be gone any moment.
 */
#include "base/check.h"
#include "edge/store/read.h"

#include <stdio.h>

/* The columns are Q_CUSTODY_SCAN's. */
static struct storage_custody load_custody(struct query *q, struct arena *arena)
{
    struct storage_custody v = {
        .edges = col_copy(q, 2, arena),
        .bytes = col_int(q, 3),
        .custody_here = col_int(q, 5) != 0,
        .whole_here = col_int(q, 6) != 0,
        .own_hlc = col_int(q, 7),
    };
    col_id(q, 0, &v.video_id);
    col_id(q, 1, &v.streamer_id);
    col_hash(q, 4, &v.stream);
    return v;
}

enum err read_custody(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    struct storage_custody *videos = arena_alloc(&done->arena, STORE_SCAN_MAX * sizeof(*videos));
    const struct id *only = &op->u.custody_scan.only;
    char from[ID_BYTES_MAX + 2];
    size_t n = 0;
    bool more = false;
    /* A space comes before, a tilde after every character of an id. */
    snprintf(from, sizeof(from), "%s ", op->u.custody_scan.after.s);
    struct query *q = query_of(c, Q_CUSTODY_SCAN);
    bind_str(q, 1, only->s[0] ? only->s : from);
    bind_id(q, 2, &c->edge_id);
    bind_str(q, 3, only->s[0] ? only->s : "~");
    while (!more && query_row(q)) {
        more = n == STORE_SCAN_MAX;
        if (!more)
            videos[n++] = load_custody(q, &done->arena);
    }
    query_end(q);
    done->u.custody_scan.n = n;
    done->u.custody_scan.videos = videos;
    done->u.custody_scan.more = more;
    return ERR_OK;
}

/* I1. 0: there is none. */
static uint64_t provable_copy(struct conn *c, const struct storage_op *op)
{
    struct query *q = query_of(c, Q_COPY_PROVABLE);
    bind_id(q, 1, &op->u.probe.video_id);
    bind_hash(q, 2, &op->u.probe.stream);
    bind_id(q, 3, &c->edge_id);
    uint64_t copy = query_row(q) ? col_int(q, 0) : 0;
    query_end(q);
    return copy;
}

static uint64_t count_parts(struct conn *c, const struct id *video_id, uint64_t copy)
{
    struct query *q = query_of(c, Q_PROBE_COUNT);
    bind_id(q, 1, video_id);
    bind_int(q, 2, copy);
    uint64_t n = query_row(q) ? col_int(q, 0) : 0;
    query_end(q);
    return n;
}

/* Different places below `total`, ascending; returns how many: all, if there are no more. */
static size_t draw_places(uint64_t seed, uint64_t total, uint64_t ret[static PROBE_PARTS_MAX])
{
    uint8_t key[KEY_BYTES] = {0};
    size_t n = 0;
    memcpy(key, &seed, sizeof(seed));
    size_t wanted = total < PROBE_PARTS_MAX ? (size_t)total : PROBE_PARTS_MAX;
    for (uint64_t counter = 0; n < wanted; counter++) {
        uint64_t draw;
        crypto_expand(key, counter, &draw, sizeof(draw));
        draw = total <= PROBE_PARTS_MAX ? counter : draw % total;
        size_t at = n;
        while (at && ret[at - 1] > draw)
            at--;
        if (at && ret[at - 1] == draw)
            continue;
        memmove(&ret[at + 1], &ret[at], (n - at) * sizeof(*ret));
        ret[at] = draw;
        n++;
    }
    return n;
}

/* The parts at these places of the whole sequence. */
static size_t parts_at(struct conn *c, const struct id *video_id, uint64_t copy,
                       const uint64_t *places, size_t n,
                       struct probe_part ret[static PROBE_PARTS_MAX])
{
    uint64_t before = 0; /* parts of earlier chunks */
    size_t i = 0;
    struct query *q = query_of(c, Q_PROBE_CHUNKS);
    bind_id(q, 1, video_id);
    bind_int(q, 2, copy);
    while (i < n && query_row(q)) {
        uint64_t parts = col_int(q, 1);
        for (; i < n && places[i] < before + parts; i++)
            ret[i] = (struct probe_part){(uint32_t)col_int(q, 0), (uint16_t)(places[i] - before)};
        before += parts;
    }
    query_end(q);
    return i;
}

static bool prove(struct conn *c, const struct nonce *nonce, uint64_t copy,
                  const struct probe_part *part, struct hash *ret)
{
    struct query *q = query_of(c, Q_PROBE_PART);
    bind_int(q, 1, copy);
    bind_int(q, 2, part->chunk);
    bind_int(q, 3, part->part);
    bool found = query_row(q);
    if (found)
        *ret = hash_of(slice_of(nonce->b, NONCE_BYTES), col_slice(q, 0));
    query_end(q);
    return found;
}

enum err read_probe(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    const struct id *video_id = &op->u.probe.video_id;
    struct probe_part *parts = done->u.probe.parts;
    uint64_t copy = provable_copy(c, op);
    size_t n = op->u.probe.n;
    CHECK(op->u.probe.pick || n <= PROBE_PARTS_MAX);
    if (!copy)
        return ERR_UNKNOWN;
    if (op->u.probe.pick) {
        uint64_t places[PROBE_PARTS_MAX];
        n = draw_places(op->u.probe.seed, count_parts(c, video_id, copy), places);
        n = parts_at(c, video_id, copy, places, n, parts);
    } else {
        memcpy(parts, op->u.probe.parts, n * sizeof(*parts));
    }
    for (size_t i = 0; i < n; i++)
        if (!prove(c, &op->u.probe.nonce, copy, &parts[i], &done->u.probe.hashes[i]))
            return ERR_UNKNOWN;
    done->u.probe.n = n;
    return ERR_OK;
}
