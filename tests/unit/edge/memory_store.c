/*
 * Invariants
 *   I1  claims and holdings hold the greatest row of each key (edge/store/merge.h).
 *   I2  parts of a copy are those before (next, next_part), in order, without a gap.
 *   I3  an operation checks everything before it changes anything: a failed one changes nothing.
 */
#include "tests/unit/edge/memory_store.h"

#include "base/check.h"
#include "base/mem.h"
#include "tests/unit/edge/memory_kept.h"

#include <stdlib.h>

struct memory_store *memory_store_new(void)
{
    return mem_alloc(sizeof(struct memory_store));
}

void memory_store_crash(struct memory_store *s)
{
    while (s->writes.n)
        storage_op_free(vec_take(&s->writes, 0));
    while (s->reads.n)
        storage_op_free(vec_take(&s->reads, 0));
    while (s->done.n)
        storage_done_free(vec_take(&s->done, 0));
}

void memory_store_free(struct memory_store *s)
{
    memory_store_crash(s);
    while (s->claims.n)
        kept_row_free(vec_take(&s->claims, 0));
    while (s->holdings.n)
        kept_row_free(vec_take(&s->holdings, 0));
    while (s->copies.n)
        kept_copy_free(vec_take(&s->copies, 0));
    while (s->metas.n) {
        struct meta *m = vec_take(&s->metas, 0);
        free(m->value);
        free(m);
    }
    struct vec *all[] = {&s->claims, &s->holdings, &s->copies, &s->metas,
                         &s->writes, &s->reads,    &s->done};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]->at);
    free(s);
}

/* ---- writes ---- */

static int revision_order(const struct storage_row *row, const struct kept_row *held)
{
    if (!held)
        return 1;
    struct merge_revision a = {row->video.revision_us, row->statement_hash};
    struct merge_revision b = {held->row.video.revision_us, held->row.statement_hash};
    return merge_revision_order(&a, &b);
}

static bool merge_video(struct memory_store *s, const struct storage_row *row)
{
    struct kept_row *held = kept_claim(s, &row->video.video_id, &row->video.streamer_id);
    int order = revision_order(row, held);
    if (order < 0 || (order == 0 && (held->row.manifest.len || !row->manifest.len)))
        return false;
    if (!held) {
        held = mem_alloc(sizeof(*held));
        vec_add(&s->claims, held);
    }
    arena_release(&held->arena);
    held->row = storage_row_copy(&held->arena, row);
    return true;
}

static bool merge_holding(struct memory_store *s, const struct storage_row *row)
{
    struct kept_row *held = kept_holding(s, row);
    struct merge_state now = {row->holding.hlc, row->holding_row.object};
    if (held) {
        struct merge_state before = {held->row.holding.hlc, held->row.holding_row.object};
        if (merge_state_order(&now, &before) <= 0)
            return false;
    } else {
        held = mem_alloc(sizeof(*held));
        vec_add(&s->holdings, held);
    }
    arena_release(&held->arena);
    held->row = storage_row_copy(&held->arena, row);
    return true;
}

static struct copy *copy_new(struct memory_store *s, const struct storage_row *claim,
                             enum copy_state state)
{
    struct copy *c = mem_alloc(sizeof(*c));
    c->state = state;
    c->video_id = claim->video.video_id;
    c->streamer_id = claim->video.streamer_id;
    c->stream = claim->stream;
    c->next = 1;
    vec_add(&s->copies, c);
    return c;
}

static struct storage_position position_of(const struct copy *c, struct arena *arena)
{
    return (struct storage_position){
        .next = c->next,
        .next_part = c->next_part,
        .prev = c->prev,
        .current = c->current,
        .init_number = c->init_number,
        .finished = c->state == COPY_WHOLE,
        .receipt = c->receipt.len ? arena_copy(arena, c->receipt) : (struct slice){0},
    };
}

static enum err claim_upload(struct memory_store *s, const struct storage_row *row,
                             const struct listing *taken, struct storage_done *done)
{
    const struct kept_row *claim = kept_claim(s, &row->video.video_id, &row->video.streamer_id);
    bool same_claim = claim && hash_eq(&claim->row.stream, &row->stream);
    struct copy *copy = kept_copy(s, &row->video.video_id, &row->video.streamer_id);
    bool same_copy = copy && hash_eq(&copy->stream, &row->stream);
    if ((row->only_resume && !same_copy) ||
        (!same_claim && (taken->state == COMPLETE || revision_order(row, claim) < 0)) ||
        (copy && !same_copy && copy->state == COPY_WHOLE && !same_claim))
        return ERR_CONFLICT;
    if (copy && !same_copy) {
        kept_copy_drop(s, copy);
        copy = NULL;
    }
    if (!copy)
        copy = copy_new(s, row, COPY_UPLOADING);
    if (copy->state != COPY_WHOLE) {
        copy->state = COPY_UPLOADING;
        copy->upload = storage_row_copy(&copy->arena, row);
    }
    done->u.position = position_of(copy, &done->arena);
    return ERR_OK;
}

static enum err claim_live(struct memory_store *s, const struct storage_row *row,
                           const struct listing *taken, struct storage_done *done)
{
    const struct kept_row *claim = kept_claim(s, &row->video.video_id, &row->video.streamer_id);
    bool same_claim = claim && hash_eq(&claim->row.stream, &row->stream);
    const struct copy *copy = kept_copy(s, &row->video.video_id, &row->video.streamer_id);
    if (taken->state == COMPLETE || (copy && copy->state == COPY_WHOLE) ||
        (!same_claim && (revision_order(row, claim) < 0 || row->only_resume)))
        return ERR_CONFLICT;
    if (copy)
        kept_copy_drop(s, copy);
    merge_video(s, row);
    if (row->has_holding)
        merge_holding(s, row);
    done->u.position = (struct storage_position){.next = 1};
    return ERR_OK;
}

static enum err claim(struct memory_store *s, const struct storage_row *row,
                      struct storage_done *done)
{
    struct listing taken = kept_listing(s, &row->video.video_id);
    if (taken.row && !id_eq(&taken.row->video.streamer_id, &row->video.streamer_id))
        return ERR_CONFLICT;
    return row->video.live ? claim_live(s, row, &taken, done) : claim_upload(s, row, &taken, done);
}

static enum err copy_begin(struct memory_store *s, const struct storage_op *op,
                           struct storage_done *done)
{
    const struct hash *stream = &op->u.copy_begin.stream;
    struct listing taken = kept_listing(s, &op->u.copy_begin.video_id);
    if (taken.state != COMPLETE)
        return ERR_UNKNOWN;
    if (!hash_eq(&taken.row->stream, stream))
        return ERR_CONFLICT;
    struct copy *copy = kept_copy(s, &op->u.copy_begin.video_id, &taken.row->video.streamer_id);
    if (copy && !hash_eq(&copy->stream, stream)) {
        kept_copy_drop(s, copy);
        copy = NULL;
    }
    if (!copy)
        copy = copy_new(s, taken.row, COPY_FETCHING);
    done->u.position = position_of(copy, &done->arena);
    return ERR_OK;
}

static bool follows(const struct copy *c, const struct storage_op *op)
{
    if (!c || c->state == COPY_WHOLE || op->u.part_put.chunk.number != c->next ||
        op->u.part_put.index != c->next_part)
        return false;
    return c->next_part ? hash_eq(&op->u.part_put.statement_hash, &c->current)
                        : hash_eq(&op->u.part_put.chunk.prev, &c->prev);
}

static enum err part_put(struct memory_store *s, const struct storage_op *op)
{
    const struct chunk *chunk = &op->u.part_put.chunk;
    struct copy *c = kept_copy_of_stream(s, &op->u.part_put.stream);
    if (!follows(c, op))
        return ERR_CONFLICT;
    if (op->u.part_put.index == 0) {
        struct hash leaf = merkle_leaf(slice_of(op->u.part_put.statement_hash.b, HASH_BYTES));
        merkle_add(&c->statements, &leaf);
    }
    struct storage_part *p = mem_alloc(sizeof(*p));
    *p = (struct storage_part){msg_ref(op->u.part_put.packet), chunk->number, op->u.part_put.index,
                               chunk->parts_n};
    vec_add(&c->parts, p); /* I2 */
    c->current = op->u.part_put.statement_hash;
    if (++c->next_part == chunk->parts_n) {
        c->next++;
        c->next_part = 0;
        c->bytes += chunk->payload_len;
        c->prev = c->current;
        c->current = (struct hash){0};
        if (chunk->kind == CHUNK_INIT)
            c->init_number = chunk->number;
    }
    return ERR_OK;
}

static enum err compare(const struct copy *c, const struct manifest *m)
{
    if (c->state != COPY_WHOLE && (c->next_part || c->next <= m->chunks))
        return ERR_NOT_READY;
    if (c->statements.count == 0)
        return ERR_SIGNATURE;
    struct hash root = merkle_root(&c->statements);
    bool matches =
        c->statements.count == m->chunks && c->bytes == m->bytes && hash_eq(&root, &m->root);
    return matches ? ERR_OK : ERR_SIGNATURE;
}

static enum err finish(struct memory_store *s, const struct storage_op *op)
{
    const struct storage_row *row = &op->u.finish.row;
    struct copy *c = kept_copy_of_stream(s, &op->u.finish.stream);
    if (!c || !hash_eq(&op->u.finish.manifest.stream, &c->stream))
        return ERR_CONFLICT;
    const struct kept_row *held = kept_claim(s, &c->video_id, &c->streamer_id);
    bool same = held && hash_eq(&held->row.stream, &row->stream);
    if ((revision_order(row, held) < 0 && !same) ||
        (c->state == COPY_UPLOADING && row->video.revision_us < c->upload.video.revision_us))
        return ERR_CONFLICT;
    enum err err = compare(c, &op->u.finish.manifest);
    if (err != ERR_OK)
        return err;
    c->state = COPY_WHOLE;
    c->root = op->u.finish.manifest.root;
    if (!c->receipt.len && op->u.finish.receipt.len)
        c->receipt = arena_copy(&c->arena, op->u.finish.receipt);
    merge_video(s, row);
    if (row->has_holding)
        merge_holding(s, row);
    return ERR_OK;
}

static enum err row_merge(struct memory_store *s, const struct storage_row *row,
                          struct storage_done *done)
{
    const struct id *id = row->has_video ? &row->video.video_id : &row->holding.video_id;
    bool video = row->has_video && merge_video(s, row);
    bool holding = row->has_holding && merge_holding(s, row);
    done->u.row_merge.changed = video || holding;
    kept_settle(s, id);
    return ERR_OK;
}

static enum err meta_put(struct memory_store *s, const struct storage_op *op)
{
    struct meta *m = NULL;
    for (size_t i = 0; i < s->metas.n; i++)
        if (strcmp(((struct meta *)s->metas.at[i])->key, op->u.meta_put.key) == 0)
            m = s->metas.at[i];
    if (!m) {
        m = mem_alloc(sizeof(*m));
        memcpy(m->key, op->u.meta_put.key, sizeof(m->key));
        vec_add(&s->metas, m);
    }
    m->len = op->u.meta_put.value.len;
    m->value = mem_resize(m->value, m->len + 1);
    memcpy(m->value, op->u.meta_put.value.ptr, m->len);
    return ERR_OK;
}

static enum err apply(struct memory_store *s, const struct storage_op *op,
                      struct storage_done *done)
{
    if (s->fail_after) {
        s->fail_after--;
    } else if (s->fail_count) {
        s->fail_count--;
        return s->fail_err;
    }
    switch (op->kind) {
    case STORAGE_CLAIM: return claim(s, &op->u.row, done);
    case STORAGE_COPY_BEGIN: return copy_begin(s, op, done);
    case STORAGE_PART_PUT: return part_put(s, op);
    case STORAGE_FINISH: return finish(s, op);
    case STORAGE_ROW_MERGE: return row_merge(s, &op->u.row, done);
    case STORAGE_META_PUT: return meta_put(s, op);
    default: check_fail("a write", __FILE__, __LINE__);
    }
}

/* ---- operations in, completions out ---- */

static bool is_read(const struct storage_op *op)
{
    return op->kind >= STORAGE_VIDEO_GET;
}

void memory_store_submit(struct memory_store *s, struct storage_op *op)
{
    vec_add(is_read(op) ? &s->reads : &s->writes, op);
}

static struct storage_done *done_new(const struct storage_op *op)
{
    struct storage_done *done = mem_alloc(sizeof(*done));
    done->kind = op->kind;
    done->token = op->token;
    return done;
}

static bool more_of(const struct vec *writes, size_t from, size_t end, const struct hash *stream)
{
    for (size_t i = from; i < end; i++) {
        const struct storage_op *op = writes->at[i];
        if (op->kind == STORAGE_PART_PUT && hash_eq(&op->u.part_put.stream, stream))
            return true;
    }
    return false;
}

bool memory_store_commit(struct memory_store *s, size_t ops_max)
{
    size_t n = s->writes.n < ops_max ? s->writes.n : ops_max;
    if (n == 0)
        return false;
    size_t first = s->done.n;
    for (size_t i = 0; i < n; i++) {
        const struct storage_op *op = s->writes.at[i];
        struct storage_done *done = done_new(op);
        done->err = apply(s, op, done);
        if (op->kind == STORAGE_PART_PUT) {
            done->u.part_put.stream = op->u.part_put.stream;
            done->u.part_put.chunk = op->u.part_put.chunk.number;
            done->u.part_put.index = op->u.part_put.index;
            done->u.part_put.parts_n = op->u.part_put.chunk.parts_n;
            done->u.part_put.packet_bytes = (uint32_t)op->u.part_put.packet->payload.len;
            done->u.part_put.more = more_of(&s->writes, i + 1, n, &op->u.part_put.stream);
        }
        vec_add(&s->done, done);
    }
    for (size_t i = 0; i < n; i++)
        storage_op_free(s->writes.at[i]);
    s->writes.n -= n;
    memmove(s->writes.at, s->writes.at + n, s->writes.n * sizeof(void *));
    uint64_t videos = memory_store_videos(s);
    for (size_t i = first; i < s->done.n; i++)
        ((struct storage_done *)s->done.at[i])->videos = videos;
    return true;
}

bool memory_store_read(struct memory_store *s)
{
    if (!s->reads.n)
        return false;
    struct storage_op *op = vec_take(&s->reads, 0);
    struct storage_done *done = done_new(op);
    done->videos = memory_store_videos(s);
    if (s->read_fail_count) {
        s->read_fail_count--;
        done->err = s->read_err;
    } else {
        done->err = kept_read(s, op, done);
    }
    storage_op_free(op);
    vec_add(&s->done, done);
    return true;
}

struct storage_done *memory_store_take(struct memory_store *s)
{
    return s->done.n ? vec_take(&s->done, 0) : NULL;
}

void memory_store_fail(struct memory_store *s, enum err err, unsigned after, unsigned count)
{
    s->fail_err = err;
    s->fail_after = after;
    s->fail_count = count;
}

void memory_store_fail_reads(struct memory_store *s, enum err err, unsigned count)
{
    s->read_err = err;
    s->read_fail_count = count;
}

/* ---- looking in ---- */

size_t memory_store_under_way(const struct memory_store *s)
{
    return s->writes.n + s->reads.n + s->done.n;
}

size_t memory_store_writes(const struct memory_store *s)
{
    return s->writes.n;
}

size_t memory_store_reads(const struct memory_store *s)
{
    return s->reads.n;
}

struct slice memory_store_meta(const struct memory_store *s, const char *key)
{
    for (size_t i = 0; i < s->metas.n; i++) {
        const struct meta *m = s->metas.at[i];
        if (strcmp(m->key, key) == 0)
            return slice_of(m->value, m->len);
    }
    return (struct slice){0};
}

size_t memory_store_parts(const struct memory_store *s, const struct hash *stream)
{
    const struct copy *c = kept_copy_of_stream(s, stream);
    return c ? c->parts.n : 0;
}

int memory_store_holding(const struct memory_store *s, enum object_type type,
                         const struct id *video_id, const struct id *edge_id)
{
    for (size_t i = 0; i < s->holdings.n; i++) {
        const struct storage_row *r = &((struct kept_row *)s->holdings.at[i])->row;
        if (r->holding_row.type == type && id_eq(&r->holding.video_id, video_id) &&
            id_eq(&r->holding.edge_id, edge_id))
            return r->holding.state;
    }
    return -1;
}

uint64_t memory_store_videos(const struct memory_store *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->claims.n; i++)
        n += kept_is_listed(s, &((struct kept_row *)s->claims.at[i])->row);
    return n;
}
