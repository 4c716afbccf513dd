/*
 * The writes of the memory store that are about bytes: claims, copies, parts.
 *
 *   I1  parts of a copy are those before (next, next_part), in order, without a gap.
 *   I2  an operation checks everything before it changes anything: a failed one changes nothing.
 */
#include "base/mem.h"
#include "tests/unit/edge/memory_kept.h"

#include <stdlib.h>

static uint64_t next_number(const struct memory_store *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->shelves.n; i++)
        for (size_t k = 0; k < kept_at(s, i)->copies.n; k++) {
            const struct copy *c = kept_at(s, i)->copies.at[k];
            n = c->n > n ? c->n : n;
        }
    return n + 1;
}

static struct copy *copy_new(struct memory_store *s, struct shelf *sh,
                             const struct storage_row *claim, enum copy_state state)
{
    struct copy *c = mem_alloc(sizeof(*c));
    c->n = next_number(s);
    c->state = state;
    c->video_id = claim->video.video_id;
    c->streamer_id = claim->video.streamer_id;
    c->stream = claim->stream;
    c->next = 1;
    vec_add(&sh->copies, c);
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
        .receipt_credential =
            c->receipt.len ? arena_copy(arena, c->receipt_credential) : (struct slice){0},
        .receipt_ours = c->receipt_ours,
    };
}

/* ---- claims ---- */

struct taken {
    struct listing listing;
    const struct kept_row *claim; /* of the same streamer, a deletion too */
    bool same_claim;              /* and of the same stream */
    struct copy *copy;            /* of the same streamer */
    bool same_copy;
};

static struct taken taken_by(struct shelf *sh, const struct storage_row *row)
{
    struct taken t = {.listing = kept_listing(sh),
                      .claim = kept_claim(sh, &row->video.streamer_id),
                      .copy = kept_copy(sh, &row->video.streamer_id)};
    t.same_claim =
        t.claim && !t.claim->row.has_deletion && hash_eq(&t.claim->row.stream, &row->stream);
    t.same_copy = t.copy && hash_eq(&t.copy->stream, &row->stream);
    return t;
}

static bool created_moved(const struct taken *t, const struct storage_row *row)
{
    return t->same_copy && t->copy->state == COPY_UPLOADING &&
           t->copy->upload.video.created_us != row->video.created_us;
}

static bool outdated(const struct taken *t, const struct storage_row *row)
{
    return t->claim && t->claim->row.video.revision_us >= row->video.revision_us;
}

static enum err claim_upload(struct memory_store *s, struct shelf *sh,
                             const struct storage_row *row, struct taken *t,
                             struct storage_done *done)
{
    if ((row->only_resume && !t->same_copy) || created_moved(t, row))
        return ERR_CONFLICT;
    if (!t->same_claim && (t->listing.state == COMPLETE || outdated(t, row)))
        return ERR_CONFLICT;
    if (t->copy && !t->same_copy) {
        if (t->copy->state == COPY_WHOLE && !t->same_claim)
            return ERR_CONFLICT;
        kept_copy_drop(sh, t->copy);
        t->copy = NULL;
    }
    if (!t->copy)
        t->copy = copy_new(s, sh, row, COPY_UPLOADING);
    if (t->copy->state != COPY_WHOLE) {
        t->copy->state = COPY_UPLOADING;
        t->copy->upload = storage_row_copy(&t->copy->arena, row);
    }
    done->u.position = position_of(t->copy, &done->arena);
    return ERR_OK;
}

static enum err claim_live(struct memory_store *s, struct shelf *sh, const struct storage_row *row,
                           const struct taken *t, struct storage_done *done)
{
    if (t->listing.state == COMPLETE || (t->copy && t->copy->state == COPY_WHOLE))
        return ERR_CONFLICT;
    if (!t->same_claim && (row->only_resume || outdated(t, row)))
        return ERR_CONFLICT;
    if (t->copy)
        kept_copy_drop(sh, t->copy);
    kept_merge_claim(s, sh, row);
    if (row->has_holding)
        kept_merge_holding(s, sh, row);
    done->u.position = (struct storage_position){.next = 1};
    return ERR_OK;
}

static enum err claim(struct memory_store *s, const struct storage_row *row,
                      struct storage_done *done)
{
    struct shelf *sh = kept_shelf_of(s, &row->video.video_id);
    struct taken t = taken_by(sh, row);
    bool others =
        t.listing.row && !id_eq(&t.listing.row->video.streamer_id, &row->video.streamer_id);
    for (size_t i = 0; i < sh->claims.n; i++) /* deletions too, but what was begun goes on */
        others = others || (sh->claims.at[i] != t.claim && !t.same_claim && !t.same_copy);
    for (size_t i = 0; i < sh->copies.n; i++) { /* whole ones whose claim was forgotten */
        const struct copy *c = sh->copies.at[i];
        others = others || (c->state == COPY_WHOLE && c != t.copy);
    }
    enum err err = others            ? ERR_CONFLICT
                   : row->video.live ? claim_live(s, sh, row, &t, done)
                                     : claim_upload(s, sh, row, &t, done);
    kept_settle(s, sh);
    return err;
}

/* ---- copies ---- */

static enum err copy_begin(struct memory_store *s, const struct storage_op *op,
                           struct storage_done *done)
{
    const struct hash *stream = &op->u.copy_begin.stream;
    struct shelf *sh = kept_shelf(s, &op->u.copy_begin.video_id);
    struct listing taken = kept_listing(sh);
    if (taken.state != COMPLETE)
        return ERR_UNKNOWN;
    if (!hash_eq(&taken.row->stream, stream))
        return ERR_CONFLICT;
    struct copy *copy = kept_copy(sh, &taken.row->video.streamer_id);
    if (copy && !hash_eq(&copy->stream, stream)) {
        if (copy->state == COPY_UPLOADING &&
            copy->upload.video.revision_us > taken.row->video.revision_us)
            return ERR_CONFLICT;
        kept_copy_drop(sh, copy);
        copy = NULL;
    }
    if (!copy)
        copy = copy_new(s, sh, taken.row, COPY_FETCHING);
    if (op->u.copy_begin.used_us > copy->used_us)
        copy->used_us = op->u.copy_begin.used_us;
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
    const struct shelf *sh = kept_shelf(s, &op->u.part_put.video_id);
    struct copy *c = kept_copy_of_stream(sh, &op->u.part_put.stream);
    if (!follows(c, op))
        return ERR_CONFLICT;
    if (op->u.part_put.index == 0) {
        struct hash leaf = merkle_leaf(slice_of(op->u.part_put.statement_hash.b, HASH_BYTES));
        merkle_add(&c->statements, &leaf);
    }
    struct storage_part *p = mem_alloc(sizeof(*p));
    *p = (struct storage_part){msg_ref(op->u.part_put.packet), chunk->number, op->u.part_put.index,
                               chunk->parts_n};
    vec_add(&c->parts, p); /* I1 */
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

static bool another_visible(const struct shelf *sh, const struct id *streamer_id)
{
    for (size_t i = 0; i < sh->claims.n; i++) {
        const struct storage_row *row = &((struct kept_row *)sh->claims.at[i])->row;
        if (row->has_deletion || id_eq(&row->video.streamer_id, streamer_id))
            continue;
        struct merge_claim claim = kept_as_claim(sh, row);
        if (merge_claim_visible(&claim))
            return true;
    }
    return false;
}

static enum err finish(struct memory_store *s, const struct storage_op *op)
{
    const struct storage_row *row = &op->u.finish.row;
    struct shelf *sh = kept_shelf(s, &row->video.video_id);
    struct copy *c = kept_copy_of_stream(sh, &op->u.finish.stream);
    if (!c || !hash_eq(&op->u.finish.manifest.stream, &c->stream))
        return ERR_CONFLICT;
    struct taken t = taken_by(sh, row);
    bool uploading = c->state == COPY_UPLOADING;
    if ((kept_revision_order(row, t.claim) < 0 && !t.same_claim) ||
        (uploading && row->video.revision_us < c->upload.video.revision_us) ||
        (uploading && !t.same_claim && another_visible(sh, &c->streamer_id)))
        return ERR_CONFLICT;
    enum err err = compare(c, &op->u.finish.manifest);
    if (err != ERR_OK)
        return err;
    c->state = COPY_WHOLE;
    c->kept = c->kept || row->has_holding;
    c->root = op->u.finish.manifest.root;
    if (op->u.finish.receipt.len &&
        (op->u.finish.receipt_ours ? !c->receipt_ours : !c->receipt.len)) {
        c->receipt = arena_copy(&c->arena, op->u.finish.receipt);
        c->receipt_credential = arena_copy(&c->arena, op->u.finish.receipt_credential);
        c->receipt_ours = op->u.finish.receipt_ours;
    }
    kept_merge_claim(s, sh, row);
    if (row->has_holding)
        kept_merge_holding(s, sh, row);
    kept_settle(s, sh);
    return ERR_OK;
}

/* ---- making room ---- */

static enum err touch(const struct memory_store *s, const struct storage_op *op)
{
    const struct shelf *sh = kept_shelf(s, &op->u.copy_touch.video_id);
    if (!sh || !sh->copies.n)
        return ERR_UNKNOWN;
    for (size_t i = 0; i < sh->copies.n; i++) {
        struct copy *c = sh->copies.at[i];
        if (op->u.copy_touch.used_us > c->used_us)
            c->used_us = op->u.copy_touch.used_us;
    }
    return ERR_OK;
}

/* Whether a cached copy may go: never the last one that the catalogue has a use for. */
static bool may_go(const struct memory_store *s, const struct shelf *sh, const struct copy *c)
{
    const struct kept_row *claim = kept_video_claim(sh, &c->streamer_id);
    if (c->state == COPY_UPLOADING || c->kept)
        return false;
    if (!claim || !hash_eq(&claim->row.stream, &c->stream))
        return true;
    if (kept_in_custody(s, sh, &c->streamer_id, &c->stream))
        return false;
    return c->state != COPY_WHOLE || kept_is_held(sh, &claim->row, OBJECT_CUSTODY);
}

static bool named(const struct storage_op *op, const struct id *video_id)
{
    for (size_t i = 0; i < op->u.cache_trim.keep_n; i++)
        if (id_eq(&op->u.cache_trim.keep[i], video_id))
            return true;
    return false;
}

struct victim {
    struct shelf *sh;
    const struct copy *copy;
};

static uint64_t cached_bytes(const struct memory_store *s, const struct storage_op *op,
                             struct victim *ret_oldest)
{
    uint64_t bytes = 0;
    *ret_oldest = (struct victim){0};
    for (size_t i = 0; i < s->shelves.n; i++) {
        struct shelf *sh = kept_at(s, i);
        bool kept = named(op, &sh->video_id);
        for (size_t k = 0; k < sh->copies.n; k++) {
            const struct copy *c = sh->copies.at[k];
            if (c->state == COPY_UPLOADING || c->kept)
                continue;
            bytes += c->bytes;
            const struct copy *old = ret_oldest->copy;
            bool older =
                !old || c->used_us < old->used_us || (c->used_us == old->used_us && c->n < old->n);
            if (!kept && older && may_go(s, sh, c))
                *ret_oldest = (struct victim){sh, c};
        }
    }
    return bytes;
}

static enum err trim(struct memory_store *s, const struct storage_op *op, struct storage_done *done)
{
    struct victim oldest;
    uint64_t bytes;
    while ((bytes = cached_bytes(s, op, &oldest)) > op->u.cache_trim.bytes_max && oldest.copy) {
        kept_copy_drop(oldest.sh, oldest.copy);
        kept_settle(s, oldest.sh);
        done->u.cache_trim.dropped++;
    }
    done->u.cache_trim.bytes = bytes;
    return ERR_OK;
}

static enum err thumbnail_put(const struct memory_store *s, const struct storage_op *op)
{
    const struct shelf *sh = kept_shelf(s, &op->u.thumbnail_put.video_id);
    struct copy *c = kept_copy_of_stream(sh, &op->u.thumbnail_put.stream);
    if (!c || c->state != COPY_WHOLE)
        return ERR_UNKNOWN;
    c->delegation = arena_copy(&c->arena, op->u.thumbnail_put.delegation);
    c->thumbnail = arena_copy(&c->arena, op->u.thumbnail_put.packet);
    return ERR_OK;
}

bool media_apply(struct memory_store *s, const struct storage_op *op, struct storage_done *done)
{
    switch (op->kind) {
    case STORAGE_CLAIM: done->err = claim(s, &op->u.row, done); return true;
    case STORAGE_COPY_BEGIN: done->err = copy_begin(s, op, done); return true;
    case STORAGE_PART_PUT: done->err = part_put(s, op); return true;
    case STORAGE_FINISH: done->err = finish(s, op); return true;
    case STORAGE_COPY_TOUCH: done->err = touch(s, op); return true;
    case STORAGE_CACHE_TRIM: done->err = trim(s, op, done); return true;
    case STORAGE_THUMBNAIL_PUT: done->err = thumbnail_put(s, op); return true;
    default: return false;
    }
}
