/* Operations for the tests of the store, made of films. */
#include "base/check.h"
#include "tests/unit/edge/store_world.h"
#include "tests/unit/jpeg.h"
#include "trust/thumbnail.h"

#include <stdio.h>

static uint64_t next_token;

static struct storage_op *op_new(enum storage_kind kind)
{
    return storage_op_new(kind, ++next_token);
}

static struct id id_of(const char *text)
{
    struct id id;
    CHECK(id_parse(slice_str(text), &id) == ERR_OK);
    return id;
}

struct storage_op *op_claim(const struct film *f)
{
    struct storage_op *op = op_new(STORAGE_CLAIM);
    op->u.row = film_row(f, false, &op->arena);
    return op;
}

struct storage_op *op_live(const struct film *f, uint64_t hlc)
{
    CHECK(f->video.live);
    struct storage_op *op = op_claim(f);
    film_hold(f, &op->u.row, &op->arena, "edge1", OBJECT_PRESENCE, 1, hlc);
    return op;
}

struct storage_op *op_copy(const struct film *f)
{
    struct storage_op *op = op_new(STORAGE_COPY_BEGIN);
    op->u.copy_begin.video_id = f->video.video_id;
    op->u.copy_begin.stream = f->stream;
    return op;
}

struct storage_op *op_part(const struct film *f, size_t i)
{
    struct storage_op *op = op_new(STORAGE_PART_PUT);
    struct part part;
    op->u.part_put.packet =
        msg_new(slice_of(NULL, 0), slice_of(f->parts[i].packet, f->parts[i].len), NULL);
    CHECK(part_decode(op->u.part_put.packet->payload, &part) == ERR_OK);
    op->u.part_put.video_id = f->video.video_id;
    op->u.part_put.stream = f->stream;
    op->u.part_put.chunk = part.chunk;
    op->u.part_put.statement = part.statement;
    op->u.part_put.sig = part.sig;
    op->u.part_put.statement_hash = object_hash(OBJECT_CHUNK, part.statement);
    op->u.part_put.index = part.index;
    return op;
}

struct storage_op *op_finish(const struct film *f, uint64_t hlc, const char *receipt)
{
    struct storage_op *op = op_new(STORAGE_FINISH);
    op->u.finish.stream = f->stream;
    op->u.finish.manifest = f->manifest;
    op->u.finish.row = film_row(f, true, &op->arena);
    film_hold(f, &op->u.finish.row, &op->arena, "edge1", OBJECT_CUSTODY, 1, hlc);
    op->u.finish.receipt = arena_copy(&op->arena, slice_str(receipt));
    op->u.finish.receipt_ours = *receipt != 0;
    if (*receipt)
        op->u.finish.receipt_credential = arena_copy(&op->arena, slice_str("its edge"));
    return op;
}

struct storage_op *op_merge(const struct film *f, bool final, const char *edge_id,
                            enum object_type type, uint8_t state, uint64_t hlc)
{
    struct storage_op *op = op_new(STORAGE_ROW_MERGE);
    op->u.row = film_row(f, final, &op->arena);
    film_hold(f, &op->u.row, &op->arena, edge_id, type, state, hlc);
    return op;
}

struct storage_op *op_deleted(const struct film *f, uint64_t revision_us)
{
    struct storage_op *op = op_new(STORAGE_ROW_MERGE);
    op->u.row = film_deletion(f, revision_us, &op->arena);
    return op;
}

struct storage_op *op_delete(const struct film *f, uint64_t revision_us)
{
    struct storage_op *op = op_new(STORAGE_DELETE);
    op->u.row = film_deletion(f, revision_us, &op->arena);
    return op;
}

struct storage_op *op_custody(const struct film *f, uint8_t state, uint64_t hlc)
{
    struct storage_op *op = op_new(STORAGE_CUSTODY_PUT);
    film_hold(f, &op->u.row, &op->arena, "edge1", OBJECT_CUSTODY, state, hlc);
    return op;
}

struct storage_op *op_cached(const struct film *f)
{
    struct storage_op *op = op_finish(f, 0, "");
    op->u.finish.row.has_holding = false;
    return op;
}

struct storage_op *op_touch(const char *video_id, uint64_t used_us)
{
    struct storage_op *op = op_new(STORAGE_COPY_TOUCH);
    op->u.copy_touch.video_id = id_of(video_id);
    op->u.copy_touch.used_us = used_us;
    return op;
}

struct storage_op *op_trim(uint64_t bytes_max, const char *keep)
{
    struct storage_op *op = op_new(STORAGE_CACHE_TRIM);
    op->u.cache_trim.bytes_max = bytes_max;
    if (keep) {
        struct id *id = arena_alloc(&op->arena, sizeof(*id));
        *id = id_of(keep);
        op->u.cache_trim.keep = id;
        op->u.cache_trim.keep_n = 1;
    }
    return op;
}

struct storage_op *op_horizon(uint64_t horizon_us)
{
    struct storage_op *op = op_new(STORAGE_HORIZON);
    op->u.horizon.horizon_us = horizon_us;
    return op;
}

struct storage_op *op_bootstrap(uint64_t kept_hlc)
{
    struct storage_op *op = op_new(STORAGE_BOOTSTRAP);
    op->u.bootstrap.kept_hlc = kept_hlc;
    return op;
}

struct storage_op *op_orphans(void)
{
    return op_new(STORAGE_ORPHANS);
}

struct storage_op *op_digests(uint8_t depth, uint16_t prefix)
{
    struct storage_op *op = op_new(STORAGE_DIGESTS);
    struct digest_node *node = arena_alloc(&op->arena, sizeof(*node));
    *node = (struct digest_node){depth, prefix};
    op->u.digests.n = 1;
    op->u.digests.nodes = node;
    return op;
}

struct storage_op *op_leaf(uint16_t leaf, const uint8_t *from)
{
    struct storage_op *op = op_new(STORAGE_LEAVES);
    uint16_t *leaves = arena_alloc(&op->arena, sizeof(*leaves));
    struct row_digest *above = arena_alloc(&op->arena, sizeof(*above));
    *leaves = leaf;
    if (from)
        memcpy(above->b, from, ROW_DIGEST_BYTES);
    op->u.leaves.n = 1;
    op->u.leaves.leaves = leaves;
    op->u.leaves.from = above;
    return op;
}

struct storage_op *op_bundle(const struct storage_done *after)
{
    struct storage_op *op = op_new(STORAGE_BUNDLE_PAGE);
    op->u.bundle_page.first = !after;
    if (after) {
        op->u.bundle_page.after_video = after->u.bundle.last_video;
        op->u.bundle_page.after_streamer = after->u.bundle.last_streamer;
        op->u.bundle_page.inside = after->u.bundle.inside;
        op->u.bundle_page.after_edge = after->u.bundle.last_edge;
        op->u.bundle_page.after_type = after->u.bundle.last_type;
    }
    return op;
}

struct storage_op *op_rows(const struct sync_want *rows, size_t n)
{
    struct storage_op *op = op_new(STORAGE_ROWS_GET);
    struct sync_want *copy = arena_alloc(&op->arena, n * sizeof(*copy));
    memcpy(copy, rows, n * sizeof(*copy));
    op->u.rows_get.n = n;
    op->u.rows_get.rows = copy;
    return op;
}

struct storage_op *op_scan(const char *after, const char *only)
{
    struct storage_op *op = op_new(STORAGE_CUSTODY_SCAN);
    if (after[0])
        op->u.custody_scan.after = id_of(after);
    if (only[0])
        op->u.custody_scan.only = id_of(only);
    return op;
}

struct storage_op *op_probe(const struct film *f, uint64_t seed)
{
    struct storage_op *op = op_new(STORAGE_PROBE);
    op->u.probe.video_id = f->video.video_id;
    op->u.probe.stream = f->stream;
    op->u.probe.nonce = (struct nonce){{1, 2, 3}};
    op->u.probe.pick = true;
    op->u.probe.seed = seed;
    return op;
}

struct storage_op *op_thumbnail(const struct film *f, size_t jpeg_len)
{
    static uint8_t jpeg[THUMBNAIL_JPEG_BYTES_MAX];
    struct storage_op *op = storage_op_new(STORAGE_THUMBNAIL_PUT, 0);
    uint8_t *packet = arena_alloc(&op->arena, THUMBNAIL_PART_BYTES_MAX);
    size_t len =
        thumbnail_sign(&f->stream, &f->key, 1, jpeg_make(jpeg, 320, 180, jpeg_len), packet);
    op->u.thumbnail_put.video_id = f->video.video_id;
    op->u.thumbnail_put.stream = f->stream;
    op->u.thumbnail_put.delegation = slice_str("delegation");
    op->u.thumbnail_put.packet = slice_of(packet, len);
    return op;
}

struct storage_op *op_get(const char *video_id)
{
    struct storage_op *op = op_new(STORAGE_VIDEO_GET);
    op->u.video_get.video_id = id_of(video_id);
    return op;
}

struct storage_op *op_read(const char *video_id, uint32_t chunk, uint32_t part, uint32_t bytes_max)
{
    struct storage_op *op = op_new(STORAGE_PARTS_READ);
    op->u.parts_read.video_id = id_of(video_id);
    op->u.parts_read.chunk = chunk;
    op->u.parts_read.part = part;
    op->u.parts_read.bytes_max = bytes_max;
    return op;
}

struct storage_op *op_list(const char *after, uint32_t limit)
{
    struct storage_op *op = op_new(STORAGE_LIST);
    op->u.list = (struct list_request){.limit = limit, .after = slice_str(after)};
    return op;
}

struct storage_op *op_page(const char *after)
{
    struct storage_op *op = op_new(STORAGE_DB_PAGE);
    op->u.db_page.first = !after[0];
    if (after[0])
        op->u.db_page.after = id_of(after);
    return op;
}

struct storage_op *op_meta(const char *key, struct slice value)
{
    struct storage_op *op = op_new(STORAGE_META_PUT);
    snprintf(op->u.meta_put.key, sizeof(op->u.meta_put.key), "%s", key);
    op->u.meta_put.value = arena_copy(&op->arena, value);
    return op;
}

void film_upload(struct world *w, const struct film *f)
{
    CHECK(world_err(w, op_claim(f)) == ERR_OK);
    for (size_t i = 0; i < f->parts_n; i++)
        CHECK(world_err(w, op_part(f, i)) == ERR_OK);
    CHECK(world_err(w, op_finish(f, f->video.created_us, "receipt")) == ERR_OK);
}

void film_fetch(struct world *w, const struct film *f, uint64_t used_us)
{
    CHECK(world_err(w, op_merge(f, true, "edge2", OBJECT_CUSTODY, 1, f->video.created_us)) ==
          ERR_OK);
    struct storage_op *op = op_copy(f);
    op->u.copy_begin.used_us = used_us;
    CHECK(world_err(w, op) == ERR_OK);
    for (size_t i = 0; i < f->parts_n; i++)
        CHECK(world_err(w, op_part(f, i)) == ERR_OK);
    CHECK(world_err(w, op_cached(f)) == ERR_OK);
}

void world_fill(struct world *w, unsigned videos, unsigned edges)
{
    char id[16], edge[16];
    for (unsigned i = 0; i < videos; i++) {
        struct film f;
        snprintf(id, sizeof(id), "video%03u", i);
        film_make(&f, id, i % 3 ? "alice" : "bob", 1763700000000000ull + i, i, 1, 0,
                  FILM_PART_BYTES);
        for (unsigned k = 0; k < edges; k++) {
            snprintf(edge, sizeof(edge), "edge%03u", k);
            CHECK(world_err(w, op_merge(&f, true, edge, OBJECT_CUSTODY, 1, 1 + k)) == ERR_OK);
        }
        film_release(&f);
    }
}
