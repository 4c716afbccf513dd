/* The reads of the memory store by which edges come to agree, and by which copies are placed. */
#include "tests/unit/edge/memory_kept.h"

#include <stdlib.h>

/* ---- bundles ---- */

struct bundle_page {
    struct arena *arena;
    struct bundle_claim *claims;
    struct holding_row *holdings;
    size_t claims_n, holdings_n, bytes;
};

static struct bundle_page page_of(struct arena *arena)
{
    return (struct bundle_page){
        .arena = arena,
        .claims = arena_alloc(arena, BUNDLE_ROWS_MAX * sizeof(struct bundle_claim)),
        .holdings = arena_alloc(arena, BUNDLE_ROWS_MAX * sizeof(struct holding_row)),
    };
}

/* Whether so much more fits: the first row always does. */
static bool page_fits(struct bundle_page *p, size_t bytes)
{
    size_t n = p->claims_n + p->holdings_n;
    if (n == BUNDLE_ROWS_MAX || (n && p->bytes + bytes > CATALOGUE_PAGE_BYTES_MAX))
        return false;
    p->bytes += bytes;
    return true;
}

static bool page_claim(struct bundle_page *p, const struct storage_row *row)
{
    size_t len = row->statement.len + row->credential.len + row->manifest.len;
    if (!page_fits(p, 128 + 4 * len / 3 + 2 * row->thumbnail.len))
        return false;
    struct storage_row copy = storage_row_copy(p->arena, row);
    p->claims[p->claims_n++] = (struct bundle_claim){.deleted = copy.has_deletion,
                                                     .object = copy.statement,
                                                     .credential = copy.credential,
                                                     .manifest = copy.manifest,
                                                     .thumbnail = copy.thumbnail};
    return true;
}

static bool page_holding(struct bundle_page *p, const struct storage_row *row)
{
    size_t len = row->holding_row.object.len + row->holding_row.edge_credential.len;
    if (!page_fits(p, 64 + 4 * len / 3))
        return false;
    p->holdings[p->holdings_n++] = storage_row_copy(p->arena, row).holding_row;
    return true;
}

static void page_end(const struct bundle_page *p, struct storage_done *done)
{
    done->u.bundle.claims = p->claims;
    done->u.bundle.claims_n = p->claims_n;
    done->u.bundle.holdings = p->holdings;
    done->u.bundle.holdings_n = p->holdings_n;
}

/* The holdings of a claim, those after `inside` (NULL: all). False: the page is full. */
static bool page_holdings(struct bundle_page *p, const struct shelf *sh, const struct id *streamer,
                          const struct storage_op *inside, struct storage_done *done)
{
    bool begun = inside == NULL;
    for (size_t i = 0; i < sh->holdings.n; i++) {
        const struct storage_row *r = &((struct kept_row *)sh->holdings.at[i])->row;
        if (!id_eq(&r->holding.streamer_id, streamer))
            continue;
        if (!begun) {
            int order = strcmp(r->holding.edge_id.s, inside->u.bundle_page.after_edge.s);
            begun = order > 0 || (order == 0 && r->holding_row.type == OBJECT_PRESENCE &&
                                  inside->u.bundle_page.after_type == OBJECT_CUSTODY);
        }
        if (!begun)
            continue;
        if (!page_holding(p, r))
            return false;
        done->u.bundle.inside = true; /* until the claim is done */
        done->u.bundle.last_edge = r->holding.edge_id;
        done->u.bundle.last_type = r->holding_row.type;
    }
    done->u.bundle.inside = false;
    return true;
}

static bool page_shelf(struct bundle_page *p, const struct shelf *sh, const struct storage_op *op,
                       struct storage_done *done)
{
    bool here = !op->u.bundle_page.first && id_eq(&sh->video_id, &op->u.bundle_page.after_video);
    for (size_t i = 0; i < sh->claims.n; i++) {
        const struct storage_row *row = &((struct kept_row *)sh->claims.at[i])->row;
        const struct id *streamer = &row->video.streamer_id;
        int order = here ? strcmp(streamer->s, op->u.bundle_page.after_streamer.s) : 1;
        bool inside = order == 0 && op->u.bundle_page.inside;
        if (order < 0 || (order == 0 && !inside))
            continue;
        if (!inside && !page_claim(p, row))
            return false;
        done->u.bundle.last_video = sh->video_id;
        done->u.bundle.last_streamer = *streamer;
        if (inside) { /* none may be left of it, or none fit */
            done->u.bundle.inside = true;
            done->u.bundle.last_edge = op->u.bundle_page.after_edge;
            done->u.bundle.last_type = op->u.bundle_page.after_type;
        } else {
            done->u.bundle.inside = false;
        }
        if (!page_holdings(p, sh, streamer, inside ? op : NULL, done)) {
            if (!done->u.bundle.inside) { /* not one of them fitted: all of them come next */
                done->u.bundle.inside = true;
                done->u.bundle.last_edge = (struct id){0};
                done->u.bundle.last_type = OBJECT_CUSTODY;
            }
            return false;
        }
    }
    return true;
}

static enum err bundle_page(const struct memory_store *s, const struct storage_op *op,
                            struct storage_done *done)
{
    struct bundle_page p = page_of(&done->arena);
    size_t i = 0;
    if (!op->u.bundle_page.first) {
        i = kept_first_after(s, &op->u.bundle_page.after_video);
        if (i && id_eq(&kept_at(s, i - 1)->video_id, &op->u.bundle_page.after_video))
            i--;
    }
    for (; i < s->shelves.n && !done->u.bundle.more; i++)
        done->u.bundle.more = !page_shelf(&p, kept_at(s, i), op, done);
    page_end(&p, done);
    return ERR_OK;
}

/* ---- leaves ---- */

static struct sync_entry entry_of(const struct shelf *sh, const struct kept_row *r)
{
    const struct storage_row *row = &r->row;
    struct sync_entry e;
    memcpy(e.digest, r->digest.b, ROW_DIGEST_BYTES);
    if (row->has_holding) {
        e.kind = row->holding_row.type == OBJECT_PRESENCE ? SYNC_ROW_PRESENCE : SYNC_ROW_CUSTODY;
        e.version = row->holding.hlc;
        row_key_of_holding(&sh->video_id, &row->holding.streamer_id, &row->holding.edge_id, e.key);
    } else {
        e.kind = row->has_deletion ? SYNC_ROW_DELETION : SYNC_ROW_CLAIM;
        e.version = row->video.revision_us;
        row_key_of_claim(&sh->video_id, &row->video.streamer_id, e.key);
    }
    return e;
}

static int by_digest(const void *a, const void *b)
{
    return memcmp(((const struct sync_entry *)a)->digest, ((const struct sync_entry *)b)->digest,
                  ROW_DIGEST_BYTES);
}

/* Every row of a leaf, ascending. */
static struct sync_entry *entries_of(const struct memory_store *s, uint16_t leaf,
                                     struct arena *arena, size_t *ret_n)
{
    size_t cap = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->shelves.n; i++)
        if (kept_at(s, i)->leaf == leaf)
            cap += kept_at(s, i)->claims.n + kept_at(s, i)->holdings.n;
    struct sync_entry *out = arena_alloc(arena, cap * sizeof(*out) + 1);
    for (size_t i = 0; i < s->shelves.n; i++) {
        const struct shelf *sh = kept_at(s, i);
        for (size_t k = 0; sh->leaf == leaf && k < sh->claims.n; k++)
            out[n++] = entry_of(sh, sh->claims.at[k]);
        for (size_t k = 0; sh->leaf == leaf && k < sh->holdings.n; k++)
            out[n++] = entry_of(sh, sh->holdings.at[k]);
    }
    if (n)
        qsort(out, n, sizeof(*out), by_digest);
    *ret_n = n;
    return out;
}

static enum err leaves(const struct memory_store *s, const struct storage_op *op,
                       struct storage_done *done)
{
    size_t room = SYNC_ENTRIES_MAX;
    size_t n = 0;
    struct sync_leaf *out = arena_alloc(&done->arena, op->u.leaves.n * sizeof(*out) + 1);
    for (size_t i = 0; i < op->u.leaves.n && room; i++) {
        struct sync_leaf *leaf = &out[n++];
        size_t all;
        struct sync_entry *entries = entries_of(s, op->u.leaves.leaves[i], &done->arena, &all);
        size_t from = 0;
        static const uint8_t zero[ROW_DIGEST_BYTES];
        const uint8_t *above = op->u.leaves.from[i].b;
        while (from < all && memcmp(above, zero, ROW_DIGEST_BYTES) != 0 &&
               memcmp(entries[from].digest, above, ROW_DIGEST_BYTES) <= 0)
            from++;
        leaf->leaf = op->u.leaves.leaves[i];
        memcpy(leaf->from, above, ROW_DIGEST_BYTES);
        leaf->entries = entries + from;
        leaf->n = all - from < room ? all - from : room;
        leaf->more = leaf->n < all - from;
        if (leaf->more)
            memcpy(leaf->through, leaf->entries[leaf->n - 1].digest, ROW_DIGEST_BYTES);
        room -= leaf->n;
    }
    done->u.leaves.n = n;
    done->u.leaves.leaves = out;
    return ERR_OK;
}

static const struct kept_row *row_of(const struct memory_store *s, const struct sync_want *w)
{
    for (size_t i = 0; i < s->shelves.n; i++) {
        const struct shelf *sh = kept_at(s, i);
        if (sh->leaf != w->leaf)
            continue;
        for (size_t k = 0; k < sh->claims.n + sh->holdings.n; k++) {
            const struct kept_row *r =
                k < sh->claims.n ? sh->claims.at[k] : sh->holdings.at[k - sh->claims.n];
            if (memcmp(r->digest.b, w->digest, ROW_DIGEST_BYTES) == 0)
                return r;
        }
    }
    return NULL;
}

static enum err rows_get(const struct memory_store *s, const struct storage_op *op,
                         struct storage_done *done)
{
    struct bundle_page p = page_of(&done->arena);
    size_t i = 0;
    for (; i < op->u.rows_get.n; i++) {
        const struct kept_row *r = row_of(s, &op->u.rows_get.rows[i]);
        if (r && !(r->row.has_holding ? page_holding(&p, &r->row) : page_claim(&p, &r->row)))
            break;
    }
    done->u.bundle.looked_n = i;
    done->u.bundle.more = i < op->u.rows_get.n;
    page_end(&p, done);
    return ERR_OK;
}

/* ---- custody ---- */

static bool custody_of(const struct memory_store *s, const struct shelf *sh, struct arena *arena,
                       struct storage_custody *ret)
{
    struct listing l = kept_listing(sh);
    struct manifest manifest = {0};
    if (l.state != COMPLETE && l.state != UNLISTED)
        return false;
    const struct id *streamer_id = &l.row->video.streamer_id;
    const struct kept_row *own = kept_own_custody(s, sh, streamer_id);
    const struct copy *c = kept_copy_of_stream(sh, &l.row->stream);
    bool whole = c && c->state == COPY_WHOLE;
    if (l.state == UNLISTED && !whole)
        return false;
    kept_manifest(l.row, &manifest);
    *ret = (struct storage_custody){
        .video_id = sh->video_id,
        .streamer_id = *streamer_id,
        .stream = l.row->stream,
        .bytes = manifest.bytes,
        .edges = read_edges(sh, &l, arena),
        .custody_here = kept_in_custody(s, sh, streamer_id, &l.row->stream),
        .own_hlc = own ? own->row.holding.hlc : 0,
        .whole_here = whole,
    };
    return true;
}

static enum err custody_scan(const struct memory_store *s, const struct storage_op *op,
                             struct storage_done *done)
{
    struct storage_custody *out = arena_alloc(&done->arena, STORE_SCAN_MAX * sizeof(*out));
    struct storage_custody one;
    const struct id *only = &op->u.custody_scan.only;
    size_t n = 0;
    for (size_t i = kept_first_after(s, &op->u.custody_scan.after); i < s->shelves.n; i++) {
        if ((only->s[0] && !id_eq(only, &kept_at(s, i)->video_id)) ||
            !custody_of(s, kept_at(s, i), &done->arena, &one))
            continue;
        done->u.custody_scan.more = n == STORE_SCAN_MAX;
        if (done->u.custody_scan.more)
            break;
        out[n++] = one;
    }
    done->u.custody_scan.n = n;
    done->u.custody_scan.videos = out;
    return ERR_OK;
}

/* Different ones, drawn by the seed. */
static size_t pick(const struct copy *c, uint64_t seed, struct probe_part *ret)
{
    size_t n = 0;
    uint8_t key[KEY_BYTES] = {0};
    memcpy(key, &seed, sizeof(seed));
    for (uint64_t draw = 0; n < PROBE_PARTS_MAX && n < c->parts.n; draw++) {
        uint64_t number;
        crypto_expand(key, draw, &number, sizeof(number));
        const struct storage_part *p = c->parts.at[number % c->parts.n];
        bool again = false;
        for (size_t i = 0; i < n; i++)
            again = again || (ret[i].chunk == p->chunk && ret[i].part == p->index);
        if (!again)
            ret[n++] = (struct probe_part){p->chunk, p->index};
    }
    return n;
}

static const struct storage_part *part_of(const struct copy *c, const struct probe_part *at)
{
    for (size_t i = 0; i < c->parts.n; i++) {
        const struct storage_part *p = c->parts.at[i];
        if (p->chunk == at->chunk && p->index == at->part)
            return p;
    }
    return NULL;
}

static enum err probe(const struct memory_store *s, const struct storage_op *op,
                      struct storage_done *done)
{
    const struct shelf *sh = kept_shelf(s, &op->u.probe.video_id);
    const struct copy *c = kept_copy_of_stream(sh, &op->u.probe.stream);
    if (!c || c->state != COPY_WHOLE ||
        !kept_in_custody(s, sh, &c->streamer_id, &op->u.probe.stream))
        return ERR_UNKNOWN;
    struct probe_part *parts = done->u.probe.parts;
    size_t n = op->u.probe.pick ? pick(c, op->u.probe.seed, parts) : op->u.probe.n;
    if (!op->u.probe.pick)
        memcpy(parts, op->u.probe.parts, n * sizeof(*parts));
    for (size_t i = 0; i < n; i++) {
        const struct storage_part *p = part_of(c, &parts[i]);
        if (!p)
            return ERR_UNKNOWN;
        done->u.probe.hashes[i] =
            hash_of(slice_of(op->u.probe.nonce.b, NONCE_BYTES), p->packet->payload);
    }
    done->u.probe.n = n;
    return ERR_OK;
}

bool agree_apply(const struct memory_store *s, const struct storage_op *op,
                 struct storage_done *done)
{
    switch (op->kind) {
    case STORAGE_BUNDLE_PAGE: done->err = bundle_page(s, op, done); return true;
    case STORAGE_LEAVES: done->err = leaves(s, op, done); return true;
    case STORAGE_ROWS_GET: done->err = rows_get(s, op, done); return true;
    case STORAGE_CUSTODY_SCAN: done->err = custody_scan(s, op, done); return true;
    case STORAGE_PROBE: done->err = probe(s, op, done); return true;
    default: return false;
    }
}
