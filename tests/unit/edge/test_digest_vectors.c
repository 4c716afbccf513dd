/*
 * docs/vectors/digests.json: what edges compare, made from fixed rows. Fails when the code makes
 * another file; with --write, at the top of the repository, it writes the file.
 */
#include "base/check.h"
#include "base/file.h"
#include "edge/core/digest.h"
#include "wire/sync.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FILE_BYTES_MAX = 256 * 1024, ROWS_N = 5 };

static const char path[] = "docs/vectors/digests.json";
static const uint64_t horizon_us = 1795255200000000;

/* The bytes stand for signed objects: a digest does not look into them. */
static const struct row {
    enum sync_row_kind kind;
    const char *video_id, *streamer_id, *edge_id, *object, *manifest, *credential;
    uint64_t version;
} rows[ROWS_N] = {
    {SYNC_ROW_CLAIM, "video1", "streamer1", "", "a statement", "a manifest", "a credential", 7},
    {SYNC_ROW_CLAIM, "video2", "streamer1", "", "another statement", "", "a credential", 8},
    {SYNC_ROW_DELETION, "video1", "streamer2", "", "a deletion", "", "", 9},
    {SYNC_ROW_CUSTODY, "video1", "streamer1", "edge1", "a custody", "", "its credential",
     UINT64_MAX},
    {SYNC_ROW_PRESENCE, "video1", "streamer1", "edge1", "a presence", "", "its credential", 0},
};

static struct id id_of(const char *text)
{
    struct id id;
    CHECK(id_parse(slice_str(text), &id) == ERR_OK);
    return id;
}

static bool is_claim(const struct row *r)
{
    return r->kind == SYNC_ROW_CLAIM || r->kind == SYNC_ROW_DELETION;
}

static struct row_digest digest_of(const struct row *r)
{
    if (is_claim(r))
        return row_digest_of_claim(slice_str(r->object), slice_str(r->manifest),
                                   slice_str(r->credential));
    return row_digest_of_holding(slice_str(r->object), slice_str(r->credential));
}

static struct sync_entry entry_of(const struct row *r)
{
    struct id video = id_of(r->video_id), streamer = id_of(r->streamer_id);
    struct row_digest digest = digest_of(r);
    struct sync_entry e = {.kind = r->kind, .version = r->version};
    memcpy(e.digest, digest.b, sizeof(e.digest));
    if (is_claim(r)) {
        row_key_of_claim(&video, &streamer, e.key);
    } else {
        struct id edge = id_of(r->edge_id);
        row_key_of_holding(&video, &streamer, &edge, e.key);
    }
    return e;
}

static void put_hex(FILE *out, const char *name, const void *bytes, size_t n, const char *after)
{
    char text[2 * 64 + 1];
    CHECK(n <= 64);
    hex_encode(slice_of(bytes, n), text);
    fprintf(out, "\"%s\": \"%s\"%s", name, text, after);
}

static void put_row(FILE *out, const struct row *r, bool last)
{
    struct id video = id_of(r->video_id);
    struct sync_entry e = entry_of(r);
    fprintf(out, "    {\"kind\": %d, \"video_id\": \"%s\", \"streamer_id\": \"%s\", ", r->kind,
            r->video_id, r->streamer_id);
    fprintf(out, "\"edge_id\": \"%s\",\n     ", r->edge_id);
    put_hex(out, "object", r->object, strlen(r->object), ", ");
    put_hex(out, "manifest", r->manifest, strlen(r->manifest), ",\n     ");
    put_hex(out, "credential", r->credential, strlen(r->credential), ", ");
    fprintf(out, "\"version\": \"%" PRIu64 "\",\n     ", r->version);
    put_hex(out, "digest", e.digest, sizeof(e.digest), ", ");
    put_hex(out, "key", e.key, sizeof(e.key), ", ");
    fprintf(out, "\"leaf\": %u}%s\n", digest_leaf_of(&video), last ? "" : ",");
}

static void put_node(FILE *out, const struct digest *d, unsigned depth, unsigned leaf, bool last)
{
    struct digest_node node = {(uint8_t)depth, (uint16_t)(leaf >> (4 * (DIGEST_DEPTH - depth)))};
    uint8_t sum[NODE_DIGEST_BYTES];
    digest_of_node(d, node, sum);
    fprintf(out, "    {\"depth\": %u, \"prefix\": %u, ", depth, node.prefix);
    put_hex(out, "digest", sum, sizeof(sum), last ? "}\n" : "},\n");
}

static int by_digest(const void *a, const void *b)
{
    return memcmp(((const struct sync_entry *)a)->digest, ((const struct sync_entry *)b)->digest,
                  SYNC_ROW_DIGEST_BYTES);
}

/* A message as it travels, as the value of its kind. */
static void put_message(FILE *out, const char *name, const struct sync_message *m,
                        const char *after)
{
    struct arena arena = {0};
    struct slice text = sync_message_encode(m, &arena);
    fprintf(out, "    \"%s\": %.*s%s\n", name, SLICE_FMT(text), after);
    arena_release(&arena);
}

static void put_messages(FILE *out, const struct digest *d)
{
    struct id video1 = id_of("video1");
    struct sync_message m = {.edge_id = id_of("edge1"), .horizon_us = horizon_us};
    struct sync_node root = {0};
    for (size_t i = 0; i < SYNC_FANOUT; i++)
        digest_of_node(d, (struct digest_node){1, (uint16_t)i}, root.children[i]);
    m.kind = SYNC_DIGESTS;
    m.u.digests.n = 1;
    m.u.digests.nodes = &root;
    put_message(out, "digests", &m, ",");

    struct sync_entry entries[ROWS_N];
    struct sync_leaf leaf = {.leaf = digest_leaf_of(&video1), .entries = entries};
    for (size_t i = 0; i < ROWS_N; i++)
        if (strcmp(rows[i].video_id, "video1") == 0)
            entries[leaf.n++] = entry_of(&rows[i]);
    qsort(entries, leaf.n, sizeof(entries[0]), by_digest);
    leaf.more = true;
    memcpy(leaf.through, entries[leaf.n - 1].digest, sizeof(leaf.through));
    m.kind = SYNC_LEAVES;
    m.u.leaves.n = 1;
    m.u.leaves.leaves = &leaf;
    put_message(out, "leaves", &m, ",");

    struct sync_want want = {.leaf = leaf.leaf};
    memcpy(want.digest, entries[0].digest, sizeof(want.digest));
    m.kind = SYNC_WANT;
    m.u.want.n = 1;
    m.u.want.rows = &want;
    put_message(out, "want", &m, ",");

    m.kind = SYNC_PROBE;
    memset(&m.u, 0, sizeof(m.u));
    m.u.probe.video_id = video1;
    memset(m.u.probe.stream.b, 0x33, HASH_BYTES);
    memset(m.u.probe.nonce.b, 0x44, NONCE_BYTES);
    m.u.probe.n = 2;
    m.u.probe.parts[0] = (struct probe_part){1, 0};
    m.u.probe.parts[1] = (struct probe_part){70000, 4095};
    put_message(out, "probe", &m, "");
}

static char *file_text(size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    CHECK(out);
    uint8_t secret[KEY_BYTES];
    memset(secret, 0x41, sizeof(secret));
    struct hash key = digest_key(secret);
    struct digest *d = digest_new(key.b);
    uint16_t leaf = digest_leaf_of(&(struct id){"video1"});
    uint8_t root[ROOT_DIGEST_BYTES];
    fprintf(out, "{\n  \"about\": \"PROTOCOL.md 4.6: row digests, the tree of sums, db/sync; the "
                 "bytes of the rows stand for signed objects.\",\n  ");
    put_hex(out, "zone_secret", secret, sizeof(secret), ",\n  ");
    put_hex(out, "digest_key", key.b, sizeof(key.b), ",\n  \"rows\": [\n");
    for (size_t i = 0; i < ROWS_N; i++) {
        struct row_digest digest = digest_of(&rows[i]);
        struct id video = id_of(rows[i].video_id);
        digest_add(d, digest_leaf_of(&video), &digest);
        put_row(out, &rows[i], i + 1 == ROWS_N);
    }
    fprintf(out, "  ],\n  \"nodes\": [\n");
    for (unsigned depth = 0; depth <= DIGEST_DEPTH; depth++)
        put_node(out, d, depth, leaf, false);
    put_node(out, d, DIGEST_DEPTH, leaf + 1u, true);
    digest_root(d, root);
    fprintf(out, "  ],\n  ");
    put_hex(out, "root", root, sizeof(root), ",\n  \"messages\": {\n");
    put_messages(out, d);
    fprintf(out, "  }\n}\n");
    digest_free(d);
    CHECK(fclose(out) == 0);
    return text;
}

static void test_file(void **state)
{
    (void)state;
    char *kept = NULL;
    size_t kept_len = 0, len = 0;
    if (file_read(path, FILE_BYTES_MAX, &kept, &kept_len) != ERR_OK)
        fail_msg("%s cannot be read", path);
    char *text = file_text(&len);
    if (len != kept_len || memcmp(text, kept, len) != 0)
        fail_msg("%s differs from what the code makes: edges that compare would not agree", path);
    free(text);
    free(kept);
}

static int write_file(void)
{
    size_t len = 0;
    char *text = file_text(&len);
    FILE *out = fopen(path, "w");
    bool written = out && fwrite(text, 1, len, out) == len;
    if (out && fclose(out) != 0)
        written = false;
    free(text);
    if (!written)
        perror(path);
    return written ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_file)};
    if (crypto_init() != ERR_OK)
        return 1;
    if (argc == 2 && strcmp(argv[1], "--write") == 0)
        return write_file();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
