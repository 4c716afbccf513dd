#include "tests/unit/edge/conformance.h"

#include "base/check.h"
#include "base/mem.h"
#include "edge/core/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

int pair_setup(void **state)
{
    struct pair *p = mem_alloc(sizeof(*p));
    void *w;
    world_setup(&w);
    p->w = w;
    struct memory_store_config config = {.edge_id = p->w->config.edge_id};
    memcpy(config.digest_key, p->w->config.digest_key.b, KEY_BYTES);
    p->m = memory_store_new(&config);
    *state = p;
    return 0;
}

int pair_teardown(void **state)
{
    struct pair *p = *state;
    void *w = p->w;
    world_teardown(&w);
    memory_store_free(p->m);
    free(p);
    return 0;
}

/* ---- operations ---- */

static void *copied(struct arena *arena, const void *items, size_t bytes)
{
    void *out = arena_alloc(arena, bytes + 1);
    if (bytes)
        memcpy(out, items, bytes);
    return out;
}

static struct storage_op *op_copied(const struct storage_op *from)
{
    struct storage_op *op = storage_op_new(from->kind, from->token);
    struct arena *a = &op->arena;
    op->u = from->u;
    switch (from->kind) {
    case STORAGE_CLAIM:
    case STORAGE_ROW_MERGE:
    case STORAGE_DELETE:
    case STORAGE_CUSTODY_PUT: op->u.row = storage_row_copy(a, &from->u.row); break;
    case STORAGE_PART_PUT: msg_ref(op->u.part_put.packet); break;
    case STORAGE_FINISH:
        op->u.finish.row = storage_row_copy(a, &from->u.finish.row);
        op->u.finish.receipt = arena_copy(a, from->u.finish.receipt);
        op->u.finish.receipt_credential = arena_copy(a, from->u.finish.receipt_credential);
        break;
    case STORAGE_THUMBNAIL_PUT:
        op->u.thumbnail_put.delegation = arena_copy(a, from->u.thumbnail_put.delegation);
        op->u.thumbnail_put.packet = arena_copy(a, from->u.thumbnail_put.packet);
        break;
    case STORAGE_META_PUT: op->u.meta_put.value = arena_copy(a, from->u.meta_put.value); break;
    case STORAGE_LIST: op->u.list.after = arena_copy(a, from->u.list.after); break;
    case STORAGE_CACHE_TRIM:
        op->u.cache_trim.keep =
            copied(a, from->u.cache_trim.keep, from->u.cache_trim.keep_n * sizeof(struct id));
        break;
    case STORAGE_DIGESTS:
        op->u.digests.nodes =
            copied(a, from->u.digests.nodes, from->u.digests.n * sizeof(struct digest_node));
        break;
    case STORAGE_LEAVES:
        op->u.leaves.leaves = copied(a, from->u.leaves.leaves, from->u.leaves.n * sizeof(uint16_t));
        op->u.leaves.from =
            copied(a, from->u.leaves.from, from->u.leaves.n * sizeof(struct row_digest));
        break;
    case STORAGE_ROWS_GET:
        op->u.rows_get.rows =
            copied(a, from->u.rows_get.rows, from->u.rows_get.n * sizeof(struct sync_want));
        break;
    default: break;
    }
    return op;
}

static struct storage_done *memory_do(struct memory_store *m, struct storage_op *op)
{
    memory_store_submit(m, op);
    while (memory_store_commit(m, SIZE_MAX) || memory_store_read(m))
        ;
    struct storage_done *done = memory_store_take(m);
    CHECK(done != NULL);
    return done;
}

/* What both answered. */
struct answers {
    struct storage_done *s, *m;
};

static struct answers ask(struct pair *p, struct storage_op *op)
{
    struct storage_op *same = op_copied(op);
    return (struct answers){world_do(p->w, op), memory_do(p->m, same)};
}

static enum err answers_free(struct answers *a)
{
    enum err err = a->s->err;
    storage_done_free(a->s);
    storage_done_free(a->m);
    return err;
}

/* ---- completions ---- */

#define SAME(field) assert_int_equal(a->s->field, a->m->field)
#define SAME_ID(field) assert_string_equal(a->s->field.s, a->m->field.s)
#define SAME_BYTES(field) assert_memory_equal(&a->s->field, &a->m->field, sizeof(a->s->field))
#define SAME_SLICE(field) assert_true(slice_eq(a->s->field, a->m->field))

static void same_position(const struct answers *a)
{
    SAME(u.position.next);
    SAME(u.position.next_part);
    SAME_BYTES(u.position.prev);
    SAME_BYTES(u.position.current);
    SAME(u.position.init_number);
    SAME(u.position.finished);
    SAME_SLICE(u.position.receipt);
    SAME_SLICE(u.position.receipt_credential);
    SAME(u.position.receipt_ours);
}

static void same_merge(const struct answers *a)
{
    SAME(u.row_merge.changed);
    SAME(u.row_merge.refused);
    SAME(u.row_merge.deletion);
    if (a->s->u.row_merge.deletion)
        SAME(u.row_merge.revision_us);
    SAME_ID(u.row_merge.video_id);
    SAME_ID(u.row_merge.streamer_id);
    SAME(u.row_merge.complete);
    SAME(u.row_merge.own);
    if (!a->s->u.row_merge.own)
        return;
    SAME(u.row_merge.own_true);
    SAME(u.row_merge.own_presence);
    SAME(u.row_merge.own_holding.state);
    SAME(u.row_merge.own_holding.hlc);
    SAME_BYTES(u.row_merge.own_holding.stream);
}

static void same_row(const struct catalogue_row *s, const struct catalogue_row *m)
{
    assert_string_equal(s->video_id.s, m->video_id.s);
    assert_string_equal(s->streamer_id.s, m->streamer_id.s);
    assert_true(slice_eq(s->title, m->title));
    assert_true(slice_eq(s->description, m->description));
    assert_true(slice_eq(s->category, m->category));
    assert_true(slice_eq(s->edges, m->edges));
    assert_true(slice_eq(s->thumbnail, m->thumbnail));
    assert_true(slice_eq(s->statement, m->statement));
    assert_true(slice_eq(s->credential, m->credential));
    assert_true(slice_eq(s->manifest, m->manifest));
    assert_int_equal(s->live, m->live);
    assert_int_equal(s->created_us, m->created_us);
    assert_int_equal(s->holdings_n, m->holdings_n);
    for (size_t i = 0; i < s->holdings_n; i++) {
        assert_int_equal(s->holdings[i].type, m->holdings[i].type);
        assert_true(slice_eq(s->holdings[i].object, m->holdings[i].object));
    }
}

static void same_video(const struct answers *a)
{
    same_row(&a->s->u.video.row, &a->m->u.video.row);
    SAME_SLICE(u.video.streamer_name);
    SAME_SLICE(u.video.media_type);
    SAME_SLICE(u.video.receipt);
    SAME_SLICE(u.video.receipt_credential);
    SAME_SLICE(u.video.delegation);
    SAME_SLICE(u.video.thumbnail_part);
    SAME_SLICE(u.video.codecs);
    SAME_BYTES(u.video.stream);
    SAME(u.video.whole);
    SAME(u.video.custody);
    SAME(u.video.live);
    SAME(u.video.chunks);
    SAME(u.video.bytes);
}

static void same_parts(const struct answers *a)
{
    SAME(u.parts_read.n);
    SAME(u.parts_read.end);
    for (size_t i = 0; i < a->s->u.parts_read.n; i++) {
        SAME(u.parts_read.parts[i].chunk);
        SAME(u.parts_read.parts[i].index);
        SAME(u.parts_read.parts[i].parts_n);
        SAME_SLICE(u.parts_read.parts[i].packet->payload);
    }
}

static void same_leaves(const struct answers *a)
{
    SAME(u.leaves.n);
    for (size_t i = 0; i < a->s->u.leaves.n; i++) {
        SAME(u.leaves.leaves[i].leaf);
        SAME(u.leaves.leaves[i].more);
        SAME(u.leaves.leaves[i].n);
        SAME_BYTES(u.leaves.leaves[i].from);
        for (size_t k = 0; k < a->s->u.leaves.leaves[i].n; k++) {
            SAME(u.leaves.leaves[i].entries[k].kind);
            SAME(u.leaves.leaves[i].entries[k].version);
            SAME_BYTES(u.leaves.leaves[i].entries[k].key);
            SAME_BYTES(u.leaves.leaves[i].entries[k].digest);
        }
    }
}

/* Each page holds the rows that were asked for, in that order, as far as it goes. */
static void same_rows(const struct answers *a)
{
    SAME(u.bundle.looked_n);
    SAME(u.bundle.more);
    SAME(u.bundle.claims_n);
    SAME(u.bundle.holdings_n);
    for (size_t i = 0; i < a->s->u.bundle.claims_n; i++)
        SAME_SLICE(u.bundle.claims[i].object);
    for (size_t i = 0; i < a->s->u.bundle.holdings_n; i++)
        SAME_SLICE(u.bundle.holdings[i].object);
}

static void same_scan(const struct answers *a)
{
    SAME(u.custody_scan.n);
    SAME(u.custody_scan.more);
    for (size_t i = 0; i < a->s->u.custody_scan.n; i++) {
        SAME_ID(u.custody_scan.videos[i].video_id);
        SAME_ID(u.custody_scan.videos[i].streamer_id);
        SAME_BYTES(u.custody_scan.videos[i].stream);
        SAME(u.custody_scan.videos[i].bytes);
        SAME_SLICE(u.custody_scan.videos[i].edges);
        SAME(u.custody_scan.videos[i].custody_here);
        SAME(u.custody_scan.videos[i].own_hlc);
        SAME(u.custody_scan.videos[i].whole_here);
    }
}

static void same_put(const struct answers *a)
{
    SAME_BYTES(u.part_put.stream);
    SAME(u.part_put.chunk);
    SAME(u.part_put.index);
    SAME(u.part_put.parts_n);
    SAME(u.part_put.packet_bytes);
}

/* Which parts are picked is left to them. */
static void same_probe(const struct answers *a)
{
    SAME(u.probe.n);
    for (size_t i = 0; i < a->s->u.probe.n; i++)
        for (size_t k = 0; k < a->m->u.probe.n; k++)
            if (a->s->u.probe.parts[i].chunk == a->m->u.probe.parts[k].chunk &&
                a->s->u.probe.parts[i].part == a->m->u.probe.parts[k].part)
                assert_memory_equal(&a->s->u.probe.hashes[i], &a->m->u.probe.hashes[k], HASH_BYTES);
}

static void compare(const struct answers *a)
{
    SAME(kind);
    assert_string_equal(err_name(a->s->err), err_name(a->m->err));
    SAME(videos);
    SAME(root.horizon_us);
    SAME_BYTES(root.b);
    if (a->s->kind == STORAGE_PART_PUT)
        same_put(a);
    if (a->s->err != ERR_OK)
        return;
    switch (a->s->kind) {
    case STORAGE_CLAIM:
    case STORAGE_COPY_BEGIN: same_position(a); break;
    case STORAGE_ROW_MERGE:
    case STORAGE_DELETE:
    case STORAGE_CUSTODY_PUT: same_merge(a); break;
    case STORAGE_VIDEO_GET: same_video(a); break;
    case STORAGE_PARTS_READ: same_parts(a); break;
    case STORAGE_LEAVES: same_leaves(a); break;
    case STORAGE_PROBE: same_probe(a); break;
    case STORAGE_ROWS_GET: same_rows(a); break;
    case STORAGE_CUSTODY_SCAN: same_scan(a); break;
    case STORAGE_DIGESTS:
        SAME(u.digests.n);
        assert_memory_equal(a->s->u.digests.nodes, a->m->u.digests.nodes,
                            a->s->u.digests.n * sizeof(struct sync_node));
        break;
    default: break;
    }
}

enum err pair_do(struct pair *p, struct storage_op *op)
{
    struct answers a = ask(p, op);
    compare(&a);
    return answers_free(&a);
}

void pair_ok(struct pair *p, struct storage_op *op)
{
    assert_int_equal(pair_do(p, op), ERR_OK);
}

/* ---- what is done in slices ---- */

static bool goes_on(const struct storage_done *done)
{
    return done->kind == STORAGE_CACHE_TRIM ? done->u.cache_trim.dropped > 0 : done->u.slice.more;
}

void pair_until(struct pair *p, struct storage_op *(*make)(void *context), void *context)
{
    struct answers a;
    uint64_t s_n = 0;
    uint64_t m_n = 0;
    bool more;
    do {
        a = ask(p, make(context));
        assert_int_equal(a.s->err, ERR_OK);
        assert_int_equal(a.m->err, ERR_OK);
        more = goes_on(a.s) || goes_on(a.m);
        bool trim = a.s->kind == STORAGE_CACHE_TRIM;
        s_n += trim ? a.s->u.cache_trim.dropped : a.s->u.slice.rows;
        m_n += trim ? a.m->u.cache_trim.dropped : a.m->u.slice.rows;
        if (trim && !more)
            assert_int_equal(a.s->u.cache_trim.bytes, a.m->u.cache_trim.bytes);
        if (!more)
            compare(&a);
        answers_free(&a);
    } while (more);
    assert_int_equal(s_n, m_n);
}

/* ---- walks ---- */

typedef struct storage_done *(*doer)(void *store, struct storage_op *op);

static struct storage_done *world_doer(void *store, struct storage_op *op)
{
    return world_do(store, op);
}

static struct storage_done *memory_doer(void *store, struct storage_op *op)
{
    return memory_do(store, op);
}

static void dump_bytes(FILE *out, struct slice bytes)
{
    char text[2 * HASH_BYTES + 1];
    struct hash h = hash_of(bytes, (struct slice){0});
    hex_encode(slice_of(h.b, HASH_BYTES), text);
    fprintf(out, " %.12s", text);
}

static void dump_bundle(FILE *out, const struct storage_done *d)
{
    for (size_t i = 0; i < d->u.bundle.claims_n; i++) {
        const struct bundle_claim *c = &d->u.bundle.claims[i];
        fprintf(out, "%s", c->deleted ? "deletion" : "claim");
        dump_bytes(out, c->object);
        dump_bytes(out, c->credential);
        dump_bytes(out, c->manifest);
        dump_bytes(out, c->thumbnail);
        fputc('\n', out);
    }
}

static void dump_holdings(FILE *out, const struct storage_done *d)
{
    for (size_t i = 0; i < d->u.bundle.holdings_n; i++) {
        fprintf(out, "holding %d", d->u.bundle.holdings[i].type);
        dump_bytes(out, d->u.bundle.holdings[i].object);
        dump_bytes(out, d->u.bundle.holdings[i].edge_credential);
        fputc('\n', out);
    }
}

/* Claims and holdings apart: pages end where they like. */
static void walk_bundles(FILE *out, doer do_one, void *store)
{
    for (int holdings = 0; holdings < 2; holdings++) {
        struct storage_done *d = do_one(store, op_bundle(NULL));
        for (;;) {
            assert_int_equal(d->err, ERR_OK);
            (holdings ? dump_holdings : dump_bundle)(out, d);
            if (!d->u.bundle.more)
                break;
            struct storage_done *next = do_one(store, op_bundle(d));
            storage_done_free(d);
            d = next;
        }
        storage_done_free(d);
    }
}

static void walk_list(FILE *out, doer do_one, void *store)
{
    char after[ID_BYTES_MAX + 1] = "";
    bool more = true;
    while (more) {
        struct storage_done *d = do_one(store, op_list(after, 3));
        assert_int_equal(d->err, ERR_OK);
        for (size_t i = 0; i < d->u.list.n; i++)
            fprintf(out, "%s %s %.*s %d %.*s %d\n", d->u.list.rows[i].video_id.s,
                    d->u.list.rows[i].streamer_id.s, SLICE_FMT(d->u.list.rows[i].edges),
                    d->u.list.rows[i].live, SLICE_FMT(d->u.list.rows[i].thumbnail),
                    d->u.list.made && d->u.list.made[i]);
        more = d->u.list.more;
        memcpy(after, d->u.list.next.s, sizeof(after));
        storage_done_free(d);
    }
}

static void walk_pages(FILE *out, doer do_one, void *store)
{
    char after[ID_BYTES_MAX + 1] = "";
    bool more = true;
    while (more) {
        struct storage_done *d = do_one(store, op_page(after));
        assert_int_equal(d->err, ERR_OK);
        for (size_t i = 0; i < d->u.db_page.n; i++) {
            const struct catalogue_row *row = &d->u.db_page.rows[i];
            fprintf(out, "%s %zu", row->video_id.s, row->holdings_n);
            dump_bytes(out, row->statement);
            for (size_t k = 0; k < d->u.db_page.streamers_n; k++)
                if (id_eq(&d->u.db_page.streamers[k].id, &row->streamer_id)) {
                    fprintf(out, " %.*s %llu", SLICE_FMT(d->u.db_page.streamers[k].name),
                            (unsigned long long)d->u.db_page.streamers[k].created_us);
                    break;
                }
            fputc('\n', out);
            memcpy(after, row->video_id.s, sizeof(after));
        }
        more = d->u.db_page.more;
        storage_done_free(d);
    }
}

static char *walk(doer do_one, void *store)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    CHECK(out != NULL);
    walk_bundles(out, do_one, store);
    walk_list(out, do_one, store);
    walk_pages(out, do_one, store);
    fclose(out);
    return text;
}

void pair_look(struct pair *p)
{
    CLEANUP(mem_free_ptr) char *s = walk(world_doer, p->w);
    CLEANUP(mem_free_ptr) char *m = walk(memory_doer, p->m);
    assert_string_equal(s, m);
    pair_ok(p, op_scan("", ""));
    for (unsigned depth = 0; depth < DIGEST_DEPTH; depth++)
        pair_ok(p, op_digests((uint8_t)depth, 0));
}

/* ---- short cuts ---- */

void pair_parts(struct pair *p, const struct film *f, size_t from)
{
    for (size_t i = from; i < f->parts_n; i++)
        pair_ok(p, op_part(f, i));
}

void pair_upload(struct pair *p, const struct film *f, uint64_t hlc)
{
    pair_ok(p, op_claim(f));
    pair_parts(p, f, 0);
    pair_ok(p, op_finish(f, hlc, "receipt"));
}

void pair_fetch(struct pair *p, const struct film *f, uint64_t used_us)
{
    struct storage_op *op = op_copy(f);
    op->u.copy_begin.used_us = used_us;
    pair_ok(p, op);
    pair_parts(p, f, 0);
    pair_ok(p, op_cached(f));
}
