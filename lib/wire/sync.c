/*
 * What two edges say to each other to find out in which rows they differ.
 *
 *   I1  every list within its limit fits a packet (asserted below).
 *   I2  what decodes is in order: entries ascend, and what they count is there.
 */
#include "wire/sync.h"

#include "base/check.h"
#include "wire/bundle_json.h"

enum {
    FRAME_BYTES = 512, /* around the one long field; a signature as well */
    NODE_BYTES = 1 + 2 + SYNC_FANOUT * SYNC_NODE_DIGEST_BYTES,
    ENTRY_BYTES = 1 + SYNC_KEY_BYTES + 8 + SYNC_ROW_DIGEST_BYTES,
    LEAF_BYTES = 2 + 1 + 2 * SYNC_ROW_DIGEST_BYTES + 2, /* without its entries */
    WANT_BYTES = 2 + SYNC_ROW_DIGEST_BYTES,
    PART_BYTES = 4 + 2,
    NODES_BYTES_MAX = SYNC_NODES_MAX * NODE_BYTES,
    LEAVES_BYTES_MAX = SYNC_LEAVES_MAX * LEAF_BYTES + SYNC_ENTRIES_MAX * ENTRY_BYTES,
    WANT_BYTES_MAX = SYNC_WANT_MAX * WANT_BYTES,
};
_Static_assert(BLOB_FIELD("nodes", NODES_BYTES_MAX) + FRAME_BYTES <= PACKET_BYTES_MAX, "I1");
_Static_assert(BLOB_FIELD("leaves", LEAVES_BYTES_MAX) + FRAME_BYTES <= PACKET_BYTES_MAX, "I1");
_Static_assert(BLOB_FIELD("want", WANT_BYTES_MAX) + FRAME_BYTES <= PACKET_BYTES_MAX, "I1");
_Static_assert(BLOB_FIELD("proof", PROOF_OBJECT_BYTES_MAX) + FRAME_BYTES <= PACKET_BYTES_MAX, "I1");
_Static_assert((int)PROBE_PARTS_MAX == (int)POSSESSION_PARTS_MAX, "each part has its hash");

static const char *const names[] = {
    [SYNC_DIGESTS] = "digests", [SYNC_LEAVES] = "leaves", [SYNC_WANT] = "want",
    [SYNC_ROWS] = "rows",       [SYNC_PROBE] = "probe",   [SYNC_PROOF] = "proof",
};
enum { NAMES_N = sizeof(names) / sizeof(names[0]) };

/* --- writing -------------------------------------------------------------------------- */

static struct writer writer_in(struct arena *arena, size_t bytes)
{
    return writer_of(arena_alloc(arena, bytes), bytes);
}

static void put_written(struct json_out *out, const char *key, const struct writer *w)
{
    CHECK(!w->full);
    json_put_blob(out, key, slice_of(w->buf, w->len));
}

static void put_nodes(struct json_out *out, const struct sync_message *m)
{
    CHECK(m->u.digests.n <= SYNC_NODES_MAX);
    struct writer w = writer_in(out->arena, m->u.digests.n * NODE_BYTES);
    for (size_t i = 0; i < m->u.digests.n; i++) {
        const struct sync_node *node = &m->u.digests.nodes[i];
        write_u8(&w, node->depth);
        write_u16(&w, node->prefix);
        write_bytes(&w, node->children, sizeof(node->children));
    }
    put_written(out, "nodes", &w);
}

static void write_leaf(struct writer *w, const struct sync_leaf *leaf)
{
    write_u16(w, leaf->leaf);
    write_u8(w, leaf->more);
    write_bytes(w, leaf->from, SYNC_ROW_DIGEST_BYTES);
    write_bytes(w, leaf->through, SYNC_ROW_DIGEST_BYTES);
    write_u16(w, (uint16_t)leaf->n);
    for (size_t i = 0; i < leaf->n; i++) {
        const struct sync_entry *e = &leaf->entries[i];
        write_u8(w, (uint8_t)e->kind);
        write_bytes(w, e->key, SYNC_KEY_BYTES);
        write_u64(w, e->version);
        write_bytes(w, e->digest, SYNC_ROW_DIGEST_BYTES);
    }
}

static void put_leaves(struct json_out *out, const struct sync_message *m)
{
    size_t entries = 0;
    for (size_t i = 0; i < m->u.leaves.n; i++)
        entries += m->u.leaves.leaves[i].n;
    CHECK(m->u.leaves.n <= SYNC_LEAVES_MAX && entries <= SYNC_ENTRIES_MAX);
    struct writer w =
        writer_in(out->arena, m->u.leaves.n * LEAF_BYTES + entries * (size_t)ENTRY_BYTES);
    for (size_t i = 0; i < m->u.leaves.n; i++)
        write_leaf(&w, &m->u.leaves.leaves[i]);
    put_written(out, "leaves", &w);
}

static void put_want(struct json_out *out, const struct sync_message *m)
{
    CHECK(m->u.want.n <= SYNC_WANT_MAX);
    struct writer w = writer_in(out->arena, m->u.want.n * WANT_BYTES);
    for (size_t i = 0; i < m->u.want.n; i++) {
        write_u16(&w, m->u.want.rows[i].leaf);
        write_bytes(&w, m->u.want.rows[i].digest, SYNC_ROW_DIGEST_BYTES);
    }
    put_written(out, "want", &w);
}

static void put_probe(struct json_out *out, const struct sync_message *m)
{
    CHECK(m->u.probe.n <= PROBE_PARTS_MAX);
    uint8_t parts[PROBE_PARTS_MAX * PART_BYTES];
    struct writer w = writer_of(parts, sizeof(parts));
    for (size_t i = 0; i < m->u.probe.n; i++) {
        write_u32(&w, m->u.probe.parts[i].chunk);
        write_u16(&w, m->u.probe.parts[i].part);
    }
    json_put_id(out, "video_id", &m->u.probe.video_id);
    json_put_blob(out, "stream", slice_of(m->u.probe.stream.b, HASH_BYTES));
    json_put_blob(out, "nonce", slice_of(m->u.probe.nonce.b, NONCE_BYTES));
    put_written(out, "parts", &w);
}

struct slice sync_message_encode(const struct sync_message *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    CHECK(m->kind != SYNC_ROWS);
    json_put_id(&out, "EDGE_ID", &m->edge_id);
    json_put_str(&out, "sync", names[m->kind]);
    if (m->kind == SYNC_DIGESTS || m->kind == SYNC_LEAVES || m->kind == SYNC_WANT)
        json_put_uint(&out, "horizon", m->horizon_us);
    switch (m->kind) {
    case SYNC_DIGESTS: put_nodes(&out, m); break;
    case SYNC_LEAVES: put_leaves(&out, m); break;
    case SYNC_WANT: put_want(&out, m); break;
    case SYNC_ROWS: break; /* bundle_end_sync writes them */
    case SYNC_PROBE: put_probe(&out, m); break;
    case SYNC_PROOF:
        json_put_id(&out, "video_id", &m->u.proof.video_id);
        json_put_blob(&out, "proof", m->u.proof.proof);
        break;
    }
    return json_end(&out);
}

/* --- reading -------------------------------------------------------------------------- */

/* The records under key, n of so many bytes each, at least one. */
static struct reader records_of(struct json *j, const char *key, size_t bytes, size_t max,
                                size_t *ret_n)
{
    struct slice blob = json_blob(j, key, bytes * max);
    json_require(j, blob.len > 0 && blob.len % bytes == 0);
    *ret_n = j->err == ERR_OK ? blob.len / bytes : 0;
    return reader_of(blob);
}

static void read_nodes(struct json *j, struct sync_message *m)
{
    size_t n;
    struct reader r = records_of(j, "nodes", NODE_BYTES, SYNC_NODES_MAX, &n);
    struct sync_node *nodes = arena_alloc(j->arena, n * sizeof(*nodes));
    for (size_t i = 0; i < n; i++) {
        nodes[i].depth = read_u8(&r);
        nodes[i].prefix = read_u16(&r);
        read_copy(&r, nodes[i].children, sizeof(nodes[i].children));
        json_require(j, nodes[i].depth < SYNC_DEPTH && nodes[i].prefix >> 4 * nodes[i].depth == 0);
    }
    m->u.digests.n = n;
    m->u.digests.nodes = nodes;
}

/* I2; false: it does not hold, or the records end before. */
static bool read_entries(struct reader *r, struct sync_leaf *leaf)
{
    const uint8_t *before = leaf->from;
    for (size_t i = 0; i < leaf->n; i++) {
        struct sync_entry *e = &leaf->entries[i];
        e->kind = (enum sync_row_kind)read_u8(r);
        read_copy(r, e->key, SYNC_KEY_BYTES);
        e->version = read_u64(r);
        read_copy(r, e->digest, SYNC_ROW_DIGEST_BYTES);
        if (e->kind < SYNC_ROW_CLAIM || e->kind > SYNC_ROW_PRESENCE)
            return false;
        if (memcmp(before, e->digest, SYNC_ROW_DIGEST_BYTES) >= 0)
            return false;
        before = e->digest;
    }
    return !leaf->more || memcmp(before, leaf->through, SYNC_ROW_DIGEST_BYTES) <= 0;
}

static void read_leaves(struct json *j, struct sync_message *m)
{
    struct slice blob = json_blob(j, "leaves", LEAVES_BYTES_MAX);
    struct reader r = reader_of(blob);
    size_t n = 0, entries_n = 0;
    json_require(j, blob.len > 0);
    struct sync_leaf *leaves = arena_alloc(j->arena, SYNC_LEAVES_MAX * sizeof(*leaves));
    struct sync_entry *entries = arena_alloc(j->arena, blob.len / ENTRY_BYTES * sizeof(*entries));
    while (r.len > 0 && j->err == ERR_OK) {
        if (n == SYNC_LEAVES_MAX) {
            json_fail(j, ERR_LIMIT);
            break;
        }
        struct sync_leaf *leaf = &leaves[n++];
        leaf->leaf = read_u16(&r);
        uint8_t more = read_u8(&r);
        read_copy(&r, leaf->from, SYNC_ROW_DIGEST_BYTES);
        read_copy(&r, leaf->through, SYNC_ROW_DIGEST_BYTES);
        leaf->n = read_u16(&r);
        leaf->more = more == 1;
        leaf->entries = entries + entries_n;
        json_require(j, more <= 1 && !r.bad && leaf->n <= r.len / ENTRY_BYTES);
        if (j->err == ERR_OK)
            json_require(j, read_entries(&r, leaf));
        entries_n += leaf->n;
        if (entries_n > SYNC_ENTRIES_MAX)
            json_fail(j, ERR_LIMIT);
    }
    m->u.leaves.n = n;
    m->u.leaves.leaves = leaves;
}

static void read_want(struct json *j, struct sync_message *m)
{
    size_t n;
    struct reader r = records_of(j, "want", WANT_BYTES, SYNC_WANT_MAX, &n);
    struct sync_want *rows = arena_alloc(j->arena, n * sizeof(*rows));
    for (size_t i = 0; i < n; i++) {
        rows[i].leaf = read_u16(&r);
        read_copy(&r, rows[i].digest, SYNC_ROW_DIGEST_BYTES);
    }
    m->u.want.n = n;
    m->u.want.rows = rows;
}

static void read_probe(struct json *j, struct sync_message *m)
{
    struct reader r = records_of(j, "parts", PART_BYTES, PROBE_PARTS_MAX, &m->u.probe.n);
    m->u.probe.video_id = json_id(j, "video_id");
    json_bytes(j, "stream", m->u.probe.stream.b, HASH_BYTES);
    json_bytes(j, "nonce", m->u.probe.nonce.b, NONCE_BYTES);
    for (size_t i = 0; i < m->u.probe.n; i++) {
        m->u.probe.parts[i].chunk = read_u32(&r);
        m->u.probe.parts[i].part = read_u16(&r);
    }
}

static void read_body(struct json *j, struct sync_message *m)
{
    switch (m->kind) {
    case SYNC_DIGESTS: read_nodes(j, m); break;
    case SYNC_LEAVES: read_leaves(j, m); break;
    case SYNC_WANT: read_want(j, m); break;
    case SYNC_ROWS:
        json_require(j, bundle_here(j));
        bundle_read(j, &m->u.rows);
        break;
    case SYNC_PROBE: read_probe(j, m); break;
    case SYNC_PROOF:
        m->u.proof.video_id = json_id(j, "video_id");
        m->u.proof.proof = json_blob(j, "proof", PROOF_OBJECT_BYTES_MAX);
        json_require(j, m->u.proof.proof.len > 0);
        break;
    }
}

enum err sync_message_decode(struct slice payload, struct arena *arena, struct sync_message *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct slice name = json_peek_text(&j, "sync");
    struct sync_message m = {
        .edge_id = json_id(&j, "EDGE_ID"),
        .horizon_us = json_u53(&j, "horizon"),
    };
    size_t kind = 0;
    while (kind < NAMES_N && !slice_eq_str(name, names[kind]))
        kind++;
    json_require(&j, kind < NAMES_N);
    if (j.err == ERR_OK) {
        m.kind = (enum sync_kind)kind;
        read_body(&j, &m);
    }
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}
