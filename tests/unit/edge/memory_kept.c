/*
 * Invariants
 *   I1  what is listed is computed from claims, holdings and copies whenever it is asked for;
 *       shelf.listed and videos count it as of the last kept_settle.
 *   I2  the digest sums exactly the claims and holdings: rows come and go through kept_put_…
 *       and kept_drop_… alone.
 */
#include "tests/unit/edge/memory_kept.h"

#include "base/mem.h"

#include <stdlib.h>

void vec_insert(struct vec *v, size_t i, void *item)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 4;
        v->at = mem_resize(v->at, v->cap * sizeof(void *));
    }
    memmove(v->at + i + 1, v->at + i, (v->n - i) * sizeof(void *));
    v->at[i] = item;
    v->n++;
}

void vec_add(struct vec *v, void *item)
{
    vec_insert(v, v->n, item);
}

void *vec_take(struct vec *v, size_t i)
{
    void *item = v->at[i];
    memmove(v->at + i, v->at + i + 1, (v->n - i - 1) * sizeof(void *));
    v->n--;
    return item;
}

void kept_row_free(struct kept_row *r)
{
    arena_release(&r->arena);
    free(r);
}

void kept_copy_free(struct copy *c)
{
    for (size_t i = 0; i < c->parts.n; i++) {
        struct storage_part *p = c->parts.at[i];
        msg_unref(p->packet);
        free(p);
    }
    free(c->parts.at);
    arena_release(&c->arena);
    free(c);
}

/* ---- shelves ---- */

size_t kept_first_after(const struct memory_store *s, const struct id *video_id)
{
    size_t low = 0;
    size_t high = s->shelves.n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(kept_at(s, middle)->video_id.s, video_id->s) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct shelf *kept_shelf(const struct memory_store *s, const struct id *video_id)
{
    size_t i = kept_first_after(s, video_id);
    return i && id_eq(&kept_at(s, i - 1)->video_id, video_id) ? kept_at(s, i - 1) : NULL;
}

struct shelf *kept_shelf_of(struct memory_store *s, const struct id *video_id)
{
    struct shelf *sh = kept_shelf(s, video_id);
    if (sh)
        return sh;
    sh = mem_alloc(sizeof(*sh));
    sh->video_id = *video_id;
    sh->leaf = digest_leaf_of(video_id);
    vec_insert(&s->shelves, kept_first_after(s, video_id), sh);
    return sh;
}

void kept_shelf_free(struct shelf *sh)
{
    while (sh->claims.n)
        kept_row_free(vec_take(&sh->claims, sh->claims.n - 1));
    while (sh->holdings.n)
        kept_row_free(vec_take(&sh->holdings, sh->holdings.n - 1));
    while (sh->copies.n)
        kept_copy_free(vec_take(&sh->copies, sh->copies.n - 1));
    free(sh->claims.at);
    free(sh->holdings.at);
    free(sh->copies.at);
    free(sh);
}

/* ---- looking things up ---- */

struct kept_row *kept_claim(const struct shelf *sh, const struct id *streamer_id)
{
    for (size_t i = 0; sh && i < sh->claims.n; i++) {
        struct kept_row *r = sh->claims.at[i];
        if (id_eq(&r->row.video.streamer_id, streamer_id))
            return r;
    }
    return NULL;
}

struct kept_row *kept_video_claim(const struct shelf *sh, const struct id *streamer_id)
{
    struct kept_row *r = kept_claim(sh, streamer_id);
    return r && !r->row.has_deletion ? r : NULL;
}

/* By streamer, edge, kind. */
static int holding_order(const struct holding *a, enum object_type a_type, const struct holding *b,
                         enum object_type b_type)
{
    int order = strcmp(a->streamer_id.s, b->streamer_id.s);
    if (!order)
        order = strcmp(a->edge_id.s, b->edge_id.s);
    return order ? order : (int)(a_type == OBJECT_PRESENCE) - (int)(b_type == OBJECT_PRESENCE);
}

/* The first one that is not below. */
static size_t holding_index(const struct shelf *sh, const struct holding *h, enum object_type type)
{
    size_t i = 0;
    for (; i < sh->holdings.n; i++) {
        const struct storage_row *r = &((struct kept_row *)sh->holdings.at[i])->row;
        if (holding_order(&r->holding, r->holding_row.type, h, type) >= 0)
            break;
    }
    return i;
}

struct kept_row *kept_holding(const struct shelf *sh, const struct holding *h,
                              enum object_type type)
{
    size_t i = sh ? holding_index(sh, h, type) : 0;
    if (!sh || i == sh->holdings.n)
        return NULL;
    struct kept_row *r = sh->holdings.at[i];
    bool same = holding_order(&r->row.holding, r->row.holding_row.type, h, type) == 0;
    return same ? r : NULL;
}

struct kept_row *kept_own_custody(const struct memory_store *s, const struct shelf *sh,
                                  const struct id *streamer_id)
{
    struct holding own = {.streamer_id = *streamer_id, .edge_id = s->edge_id};
    return kept_holding(sh, &own, OBJECT_CUSTODY);
}

bool kept_in_custody(const struct memory_store *s, const struct shelf *sh,
                     const struct id *streamer_id, const struct hash *stream)
{
    const struct kept_row *own = kept_own_custody(s, sh, streamer_id);
    return own && own->row.holding.state == 1 && hash_eq(&own->row.holding.stream, stream);
}

struct copy *kept_copy(const struct shelf *sh, const struct id *streamer_id)
{
    for (size_t i = 0; sh && i < sh->copies.n; i++) {
        struct copy *c = sh->copies.at[i];
        if (id_eq(&c->streamer_id, streamer_id))
            return c;
    }
    return NULL;
}

struct copy *kept_copy_of_stream(const struct shelf *sh, const struct hash *stream)
{
    for (size_t i = 0; sh && i < sh->copies.n; i++) {
        struct copy *c = sh->copies.at[i];
        if (hash_eq(&c->stream, stream))
            return c;
    }
    return NULL;
}

void kept_copy_drop(struct shelf *sh, const struct copy *copy)
{
    for (size_t i = 0; i < sh->copies.n; i++)
        if (sh->copies.at[i] == copy) {
            kept_copy_free(vec_take(&sh->copies, i));
            return;
        }
}

/* ---- rows (I2) ---- */

static struct row_digest digest_of_row(const struct storage_row *row)
{
    return row->has_holding
               ? row_digest_of_holding(row->holding_row.object, row->holding_row.edge_credential)
               : row_digest_of_claim(row->statement, row->manifest, row->credential);
}

static void fill(struct memory_store *s, const struct shelf *sh, struct kept_row *r,
                 const struct storage_row *half)
{
    r->row = storage_row_copy(&r->arena, half);
    r->digest = digest_of_row(&r->row);
    digest_add(s->digest, sh->leaf, &r->digest);
}

void kept_put_claim(struct memory_store *s, struct shelf *sh, const struct storage_row *row)
{
    for (size_t i = 0; i < sh->claims.n; i++)
        if (sh->claims.at[i] == kept_claim(sh, &row->video.streamer_id)) {
            kept_drop_claim(s, sh, i);
            break;
        }
    struct kept_row *r = mem_alloc(sizeof(*r));
    struct storage_row half = *row;
    half.has_holding = half.only_resume = half.restamp = false;
    half.holding = (struct holding){0};
    half.holding_row = (struct holding_row){0};
    size_t at = 0;
    while (at < sh->claims.n &&
           strcmp(((struct kept_row *)sh->claims.at[at])->row.video.streamer_id.s,
                  row->video.streamer_id.s) < 0)
        at++;
    fill(s, sh, r, &half);
    vec_insert(&sh->claims, at, r);
}

void kept_put_holding(struct memory_store *s, struct shelf *sh, const struct storage_row *row)
{
    size_t i = holding_index(sh, &row->holding, row->holding_row.type);
    if (kept_holding(sh, &row->holding, row->holding_row.type))
        kept_drop_holding(s, sh, i);
    struct kept_row *r = mem_alloc(sizeof(*r));
    struct storage_row half = {
        .has_holding = true, .holding = row->holding, .holding_row = row->holding_row};
    fill(s, sh, r, &half);
    vec_insert(&sh->holdings, i, r);
}

static void drop(struct memory_store *s, const struct shelf *sh, struct vec *from, size_t i)
{
    struct kept_row *r = vec_take(from, i);
    digest_remove(s->digest, sh->leaf, &r->digest);
    kept_row_free(r);
}

void kept_drop_claim(struct memory_store *s, struct shelf *sh, size_t i)
{
    drop(s, sh, &sh->claims, i);
}

void kept_drop_holding(struct memory_store *s, struct shelf *sh, size_t i)
{
    drop(s, sh, &sh->holdings, i);
}

static struct merge_revision revision_of(const struct storage_row *row)
{
    return (struct merge_revision){.revision_us = row->video.revision_us,
                                   .deleted = row->has_deletion,
                                   .statement_hash = row->statement_hash,
                                   .statement = row->statement,
                                   .manifest = row->manifest,
                                   .credential = row->credential};
}

int kept_revision_order(const struct storage_row *row, const struct kept_row *held)
{
    if (!held)
        return 1;
    struct merge_revision a = revision_of(row);
    struct merge_revision b = revision_of(&held->row);
    return merge_revision_order(&a, &b);
}

bool kept_merge_claim(struct memory_store *s, struct shelf *sh, const struct storage_row *row)
{
    const struct kept_row *held = kept_claim(sh, &row->video.streamer_id);
    struct copy *copy = kept_copy(sh, &row->video.streamer_id);
    if (kept_revision_order(row, held) <= 0)
        return false;
    if (held && row->has_video && copy && !hash_eq(&copy->stream, &row->stream))
        copy->kept = false; /* replaced */
    kept_put_claim(s, sh, row);
    return true;
}

bool kept_merge_holding(struct memory_store *s, struct shelf *sh, const struct storage_row *row)
{
    const struct kept_row *held = kept_holding(sh, &row->holding, row->holding_row.type);
    if (held) {
        const struct storage_row *h = &held->row;
        struct merge_state now = {row->holding.hlc, row->holding_row.object,
                                  row->holding_row.edge_credential};
        struct merge_state before = {h->holding.hlc, h->holding_row.object,
                                     h->holding_row.edge_credential};
        bool was_ahead = row->restamp && kept_hlc_us(h->holding.hlc) >
                                             kept_hlc_us(row->holding.hlc) + RESTAMP_AHEAD_US;
        if (merge_state_order(&now, &before) <= 0 && !was_ahead)
            return false;
    }
    kept_put_holding(s, sh, row);
    return true;
}

/* ---- what is listed (I1) ---- */

static bool says_so(const struct storage_row *holding, const struct storage_row *claim)
{
    return holding->holding.state == 1 &&
           id_eq(&holding->holding.streamer_id, &claim->video.streamer_id) &&
           hash_eq(&holding->holding.stream, &claim->stream);
}

bool kept_is_held(const struct shelf *sh, const struct storage_row *claim, enum object_type type)
{
    for (size_t i = 0; i < sh->holdings.n; i++) {
        const struct storage_row *r = &((struct kept_row *)sh->holdings.at[i])->row;
        if (r->holding_row.type == type && says_so(r, claim))
            return true;
    }
    return false;
}

/* An edge counts once; the holdings of one follow each other. */
static unsigned vouched(const struct shelf *sh, const struct storage_row *claim)
{
    unsigned n = 0;
    const struct id *last = NULL;
    for (size_t i = 0; i < sh->holdings.n && n < VOUCHED_MAX; i++) {
        const struct storage_row *r = &((struct kept_row *)sh->holdings.at[i])->row;
        if (!says_so(r, claim) || (last && id_eq(last, &r->holding.edge_id)))
            continue;
        last = &r->holding.edge_id;
        n++;
    }
    return n;
}

struct merge_claim kept_as_claim(const struct shelf *sh, const struct storage_row *row)
{
    return (struct merge_claim){
        .streamer_id = row->video.streamer_id,
        .created_us = row->video.created_us,
        .live = kept_is_held(sh, row, OBJECT_PRESENCE),
        .stored = row->manifest.len && kept_is_held(sh, row, OBJECT_CUSTODY),
        .vouched = vouched(sh, row),
    };
}

static bool listed_claim(const struct shelf *sh, struct listing *ret)
{
    struct merge_claim first = {0};
    for (size_t i = 0; i < sh->claims.n; i++) {
        const struct storage_row *row = &((struct kept_row *)sh->claims.at[i])->row;
        if (row->has_deletion)
            continue;
        struct merge_claim claim = kept_as_claim(sh, row);
        if (!merge_claim_visible(&claim) || (ret->row && !merge_claim_listed(&claim, &first)))
            continue;
        first = claim;
        *ret = (struct listing){claim.live ? LIVE : COMPLETE, row};
    }
    return ret->row != NULL;
}

struct listing kept_listing(const struct shelf *sh)
{
    struct listing l = {ABSENT, NULL};
    if (!sh || listed_claim(sh, &l))
        return l;
    for (size_t i = 0; i < sh->copies.n; i++) {
        const struct copy *c = sh->copies.at[i];
        if (c->state == COPY_FETCHING || l.state == UNLISTED)
            continue;
        const struct kept_row *claim = kept_video_claim(sh, &c->streamer_id);
        if (c->state == COPY_WHOLE && claim)
            l = (struct listing){UNLISTED, &claim->row};
        else if (l.state == ABSENT && c->state == COPY_UPLOADING)
            l = (struct listing){UPLOADING, &c->upload};
    }
    return l;
}

void kept_settle(struct memory_store *s, struct shelf *sh)
{
    bool listed = kept_listing(sh).state >= COMPLETE;
    for (size_t i = sh->copies.n; !listed && i-- > 0;) {
        const struct copy *c = sh->copies.at[i];
        if (c->state == COPY_FETCHING)
            kept_copy_drop(sh, c);
    }
    s->videos = s->videos + listed - sh->listed;
    sh->listed = listed;
}

bool kept_manifest(const struct storage_row *claim, struct manifest *ret)
{
    struct slice body;
    struct signature sig;
    return claim->manifest.len && signed_split(claim->manifest, &body, &sig) == ERR_OK &&
           manifest_decode(body, ret) == ERR_OK;
}

/* ---- streamers ---- */

struct newest {
    const struct storage_row *row;
    uint64_t created_us;
};

static void look_at(struct newest *newest, const struct storage_row *row)
{
    const struct video *v = &row->video;
    if (!newest->row || v->created_us < newest->created_us)
        newest->created_us = v->created_us;
    if (!newest->row || v->revision_us > newest->row->video.revision_us ||
        (v->revision_us == newest->row->video.revision_us &&
         strcmp(v->video_id.s, newest->row->video.video_id.s) > 0))
        newest->row = row;
}

struct storage_streamer kept_streamer(const struct memory_store *s, const struct id *streamer_id,
                                      struct arena *arena)
{
    struct newest claims = {0};
    struct newest uploads = {0};
    for (size_t i = 0; i < s->shelves.n; i++) {
        const struct kept_row *claim = kept_video_claim(kept_at(s, i), streamer_id);
        const struct copy *copy = kept_copy(kept_at(s, i), streamer_id);
        if (claim)
            look_at(&claims, &claim->row);
        if (copy && copy->state == COPY_UPLOADING)
            look_at(&uploads, &copy->upload);
    }
    struct newest *newest = claims.row ? &claims : &uploads;
    struct storage_streamer ret = {.id = *streamer_id};
    if (!newest->row)
        return ret;
    ret.name = arena_copy(arena, newest->row->streamer_name);
    ret.created_us = newest->created_us;
    return ret;
}
