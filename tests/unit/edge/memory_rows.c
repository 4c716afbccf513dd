/*
 * The writes of the memory store that are about rows: merging, deleting, our
 * own custody, and forgetting.
 */
#include "base/mem.h"
#include "tests/unit/edge/memory_kept.h"

#include <stdlib.h>

/* ---- merging ---- */

/* A deletion was taken: everything under its key goes, but an upload that is newer. */
static void clear(struct memory_store *s, struct shelf *sh, const struct storage_row *deletion)
{
    const struct id *streamer_id = &deletion->video.streamer_id;
    for (size_t i = sh->holdings.n; i-- > 0;) {
        const struct storage_row *r = &((struct kept_row *)sh->holdings.at[i])->row;
        if (id_eq(&r->holding.streamer_id, streamer_id))
            kept_drop_holding(s, sh, i);
    }
    const struct copy *copy = kept_copy(sh, streamer_id);
    bool newer = copy && copy->state == COPY_UPLOADING &&
                 copy->upload.video.revision_us > deletion->video.revision_us;
    if (copy && !newer)
        kept_copy_drop(sh, copy);
}

static bool merge_claim(struct memory_store *s, struct shelf *sh, const struct storage_row *row,
                        struct storage_done *done)
{
    if (row->has_deletion && merge_dead_deletion(row->video.revision_us, s->horizon_us)) {
        done->u.row_merge.refused = true;
        return false;
    }
    if (row->recent_only && row->has_video && !kept_claim(sh, &row->video.streamer_id) &&
        merge_dead_deletion(row->video.revision_us, s->horizon_us)) {
        done->u.row_merge.refused = true;
        return false;
    }
    if (!kept_merge_claim(s, sh, row))
        return false;
    if (row->has_deletion) {
        done->u.row_merge.deletion = true;
        done->u.row_merge.revision_us = row->video.revision_us;
        clear(s, sh, row);
    }
    return true;
}

/* Whether our own row, as it is held now, agrees with the copies here. */
static bool is_true(const struct memory_store *s, const struct shelf *sh,
                    const struct storage_row *row)
{
    if (row->holding_row.type == OBJECT_PRESENCE)
        return true;
    const struct kept_row *own = kept_own_custody(s, sh, &row->holding.streamer_id);
    const struct copy *c = kept_copy_of_stream(sh, &own->row.holding.stream);
    bool whole = c && c->state == COPY_WHOLE;
    return own->row.holding.state == 1 ? whole : !whole || !c->kept;
}

static bool merge_holding(struct memory_store *s, struct shelf *sh, const struct storage_row *row,
                          struct storage_done *done)
{
    if (!kept_video_claim(sh, &row->holding.streamer_id) ||
        merge_dead_holding(row->holding.state, row->holding.hlc, s->horizon_us)) {
        done->u.row_merge.refused = true;
        return false;
    }
    bool taken = kept_merge_holding(s, sh, row);
    if (id_eq(&row->holding.edge_id, &s->edge_id)) {
        done->u.row_merge.own = true;
        done->u.row_merge.own_true = is_true(s, sh, row);
        done->u.row_merge.own_presence = row->holding_row.type == OBJECT_PRESENCE;
        done->u.row_merge.own_holding = row->holding;
    }
    return taken;
}

static void merged(struct memory_store *s, struct shelf *sh, const struct storage_row *row,
                   bool changed, struct storage_done *done)
{
    bool claim = row->has_video || row->has_deletion;
    done->u.row_merge.changed = changed;
    done->u.row_merge.video_id = sh->video_id;
    done->u.row_merge.streamer_id = claim ? row->video.streamer_id : row->holding.streamer_id;
    kept_settle(s, sh);
    done->u.row_merge.complete = kept_listing(sh).state == COMPLETE;
}

static const struct id *video_of(const struct storage_row *row)
{
    return row->has_video || row->has_deletion ? &row->video.video_id : &row->holding.video_id;
}

static enum err row_merge(struct memory_store *s, const struct storage_row *row,
                          struct storage_done *done)
{
    struct shelf *sh = kept_shelf_of(s, video_of(row));
    bool changed = (row->has_video || row->has_deletion) && merge_claim(s, sh, row, done);
    if (row->has_holding)
        changed = merge_holding(s, sh, row, done) || changed;
    merged(s, sh, row, changed, done);
    return ERR_OK;
}

static enum err delete_video(struct memory_store *s, const struct storage_row *row,
                             struct storage_done *done)
{
    struct shelf *sh = kept_shelf_of(s, &row->video.video_id);
    const struct kept_row *claim = kept_claim(sh, &row->video.streamer_id);
    const struct copy *copy = kept_copy(sh, &row->video.streamer_id);
    bool uploading = copy && copy->state == COPY_UPLOADING;
    done->u.row_merge.video_id = sh->video_id;
    done->u.row_merge.streamer_id = row->video.streamer_id;
    if (!claim && !uploading)
        return ERR_UNKNOWN;
    int order = kept_revision_order(row, claim);
    if (order < 0 || (uploading && copy->upload.video.revision_us > row->video.revision_us))
        return ERR_CONFLICT;
    if (order > 0 && merge_dead_deletion(row->video.revision_us, s->horizon_us))
        return ERR_CONFLICT;
    merged(s, sh, row, merge_claim(s, sh, row, done), done);
    return ERR_OK;
}

static enum err put_custody(struct memory_store *s, const struct storage_row *row,
                            struct storage_done *done)
{
    const struct holding *h = &row->holding;
    struct shelf *sh = kept_shelf_of(s, &h->video_id);
    const struct kept_row *claim = kept_video_claim(sh, &h->streamer_id);
    done->u.row_merge.video_id = h->video_id;
    done->u.row_merge.streamer_id = h->streamer_id;
    if (!claim || !hash_eq(&claim->row.stream, &h->stream))
        return ERR_CONFLICT;
    struct copy *copy = kept_copy_of_stream(sh, &h->stream);
    bool whole = copy && copy->state == COPY_WHOLE;
    if (h->state == 1 && !whole)
        return ERR_NOT_READY;
    bool changed = merge_holding(s, sh, row, done);
    if (changed && whole)
        copy->kept = h->state == 1;
    if (done->u.row_merge.own)
        done->u.row_merge.own_true = is_true(s, sh, row);
    merged(s, sh, row, changed, done);
    return ERR_OK;
}

/* ---- forgetting, in slices ---- */

static bool has_holding(const struct shelf *sh, const struct id *streamer_id)
{
    for (size_t i = 0; i < sh->holdings.n; i++)
        if (id_eq(&((struct kept_row *)sh->holdings.at[i])->row.holding.streamer_id, streamer_id))
            return true;
    return false;
}

/* Whether a row goes at the horizon. */
static bool dead_claim(const struct memory_store *s, const struct shelf *sh,
                       const struct storage_row *row)
{
    if (row->has_deletion)
        return merge_dead_deletion(row->video.revision_us, s->horizon_us);
    return row->video.revision_us <= s->horizon_us && !has_holding(sh, &row->video.streamer_id);
}

static uint32_t forget_dead(struct memory_store *s, struct shelf *sh, uint32_t room)
{
    uint32_t n = 0;
    for (size_t i = sh->holdings.n; n < room && i-- > 0;) {
        const struct holding *h = &((struct kept_row *)sh->holdings.at[i])->row.holding;
        if (!merge_dead_holding(h->state, h->hlc, s->horizon_us))
            continue;
        kept_drop_holding(s, sh, i);
        n++;
    }
    for (size_t i = sh->claims.n; n < room && i-- > 0;) {
        if (!dead_claim(s, sh, &((struct kept_row *)sh->claims.at[i])->row))
            continue;
        kept_drop_claim(s, sh, i);
        n++;
    }
    return n;
}

static bool stays(const struct memory_store *s, const struct shelf *sh, const struct id *streamer,
                  uint64_t kept_hlc)
{
    const struct kept_row *own = kept_own_custody(s, sh, streamer);
    return own && own->row.holding.state == 1 && own->row.holding.hlc > kept_hlc;
}

static uint32_t forget_group(struct memory_store *s, struct shelf *sh, const struct id *streamer,
                             uint32_t room)
{
    uint32_t n = 0;
    for (size_t i = sh->holdings.n; n < room && i-- > 0;) {
        if (!id_eq(&((struct kept_row *)sh->holdings.at[i])->row.holding.streamer_id, streamer))
            continue;
        kept_drop_holding(s, sh, i);
        n++;
    }
    for (size_t i = sh->claims.n; n < room && i-- > 0;)
        if (sh->claims.at[i] == kept_claim(sh, streamer)) {
            kept_drop_claim(s, sh, i);
            n++;
            break;
        }
    return n;
}

/* A holding lives under a claim, so the claims name every group. Deletions stay: what was deleted
 * here may be known to nobody else yet. */
static uint32_t forget_all(struct memory_store *s, struct shelf *sh, uint64_t kept_hlc,
                           uint32_t room)
{
    uint32_t n = 0;
    for (size_t i = sh->claims.n; n < room && i-- > 0;) {
        const struct storage_row *row = &((struct kept_row *)sh->claims.at[i])->row;
        struct id streamer = row->video.streamer_id;
        if (!row->has_deletion && !stays(s, sh, &streamer, kept_hlc))
            n += forget_group(s, sh, &streamer, room - n);
    }
    return n;
}

static uint32_t forget_orphans(struct shelf *sh, uint32_t room)
{
    uint32_t n = 0;
    for (size_t i = sh->copies.n; n < room && i-- > 0;) {
        const struct copy *c = sh->copies.at[i];
        const struct kept_row *claim = kept_video_claim(sh, &c->streamer_id);
        if (c->state == COPY_UPLOADING || (claim && hash_eq(&claim->row.stream, &c->stream)))
            continue;
        kept_copy_drop(sh, c);
        n++;
    }
    return n;
}

static enum err forget(struct memory_store *s, const struct storage_op *op,
                       struct storage_done *done)
{
    uint32_t n = 0;
    if (op->kind == STORAGE_HORIZON)
        s->horizon_us = op->u.horizon.horizon_us;
    for (size_t i = 0; i < s->shelves.n && n < STORE_SLICE_ROWS_MAX; i++) {
        struct shelf *sh = kept_at(s, i);
        uint32_t room = STORE_SLICE_ROWS_MAX - n;
        uint32_t gone = op->kind == STORAGE_HORIZON ? forget_dead(s, sh, room)
                        : op->kind == STORAGE_BOOTSTRAP
                            ? forget_all(s, sh, op->u.bootstrap.kept_hlc, room)
                            : forget_orphans(sh, room);
        if (gone)
            kept_settle(s, sh);
        n += gone;
    }
    done->u.slice.rows = n;
    done->u.slice.more = n == STORE_SLICE_ROWS_MAX;
    return ERR_OK;
}

/* ---- the rest ---- */

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

static enum err digests(const struct memory_store *s, const struct storage_op *op,
                        struct storage_done *done)
{
    size_t n = op->u.digests.n;
    struct sync_node *out = arena_alloc(&done->arena, n * sizeof(*out) + 1);
    for (size_t i = 0; i < n; i++) {
        struct digest_node node = op->u.digests.nodes[i];
        out[i].depth = node.depth;
        out[i].prefix = node.prefix;
        for (unsigned k = 0; k < DIGEST_FANOUT; k++) {
            struct digest_node child = {(uint8_t)(node.depth + 1),
                                        (uint16_t)(node.prefix * DIGEST_FANOUT + k)};
            digest_of_node(s->digest, child, out[i].children[k]);
        }
    }
    done->u.digests.n = n;
    done->u.digests.nodes = out;
    return ERR_OK;
}

bool rows_apply(struct memory_store *s, const struct storage_op *op, struct storage_done *done)
{
    switch (op->kind) {
    case STORAGE_ROW_MERGE: done->err = row_merge(s, &op->u.row, done); return true;
    case STORAGE_DELETE: done->err = delete_video(s, &op->u.row, done); return true;
    case STORAGE_CUSTODY_PUT: done->err = put_custody(s, &op->u.row, done); return true;
    case STORAGE_META_PUT: done->err = meta_put(s, op); return true;
    case STORAGE_DIGESTS: done->err = digests(s, op, done); return true;
    case STORAGE_HORIZON:
    case STORAGE_BOOTSTRAP:
    case STORAGE_ORPHANS: done->err = forget(s, op, done); return true;
    default: return false;
    }
}
