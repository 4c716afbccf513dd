/*
 * Who may say what about a video: its streamer signs the video row or its
 * deletion, which the zone may sign as well, and each edge signs what it holds
 * itself; all credentials are the zone's. Fields beside what is signed are
 * ignored, but for the thumbnail, whose hash is signed.
 */
#include "edge/rows.h"

/* A credential that was looked at, and what came of it. */
struct known {
    struct slice bytes;
    enum err err;
    struct credential credential;
};

/* What rows are verified against: the zone, and the credentials met so far in one message. */
struct opener {
    const struct trust_view *view;
    struct arena *arena; /* NULL: credentials are not kept */
    bool newer;          /* one names a later key of the zone than the view knows */
    size_t known_n, known_cap;
    struct known *known;
};

enum { TABLE_START = 8 };

/* A table of n items of `size` bytes with room for one more; so that what is no row costs no
 * memory, whatever a message counts. */
static void *table_grow(struct arena *arena, void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    *cap = *cap ? 2 * *cap : TABLE_START;
    void *grown = arena_alloc(arena, *cap * size);
    if (n)
        memcpy(grown, items, n * size);
    return grown;
}

/* credential_open, once for each of the same bytes if its signature had to be looked at. */
static enum err opener_credential(struct opener *o, struct slice bytes, struct credential *ret)
{
    for (size_t i = 0; i < o->known_n; i++) {
        const struct known *k = &o->known[i];
        if (k->bytes.len == bytes.len && (k->bytes.ptr == bytes.ptr || slice_eq(k->bytes, bytes))) {
            *ret = k->credential;
            return k->err;
        }
    }
    struct known k = {.bytes = bytes};
    k.err = credential_open(bytes, &o->view->zone, &k.credential);
    o->newer = o->newer || k.err == ERR_NOT_READY;
    if (o->arena && (k.err == ERR_OK || k.err == ERR_SIGNATURE)) {
        o->known = table_grow(o->arena, o->known, o->known_n, &o->known_cap, sizeof(k));
        o->known[o->known_n++] = k;
    }
    *ret = k.credential;
    return k.err;
}

/* The parts of a video row that the streamer signs, and the thumbnail. */
struct claim {
    struct slice statement, credential, manifest, thumbnail;
};

static enum err open_video(struct opener *o, const struct claim *claim, struct storage_row *row)
{
    struct credential c;
    struct manifest m = {0};
    struct slice body;
    struct signature sig;
    enum err err = opener_credential(o, claim->credential, &c);
    if (err == ERR_OK)
        err = video_open(claim->statement, &c.pk, &row->video);
    if (err == ERR_OK && claim->manifest.len)
        err = manifest_open(claim->manifest, &c.pk, &m);
    if (err == ERR_OK)
        err = signed_split(claim->statement, &body, &sig);
    if (err != ERR_OK)
        return err;
    const struct video *v = &row->video;
    row->stream = video_stream(v);
    struct hash manifest_hash = {0};
    if (claim->manifest.len)
        manifest_hash = object_hash(
            OBJECT_MANIFEST, slice_of(claim->manifest.ptr, claim->manifest.len - SIGNATURE_BYTES));
    struct hash thumbnail_hash = video_thumbnail_hash(claim->thumbnail);
    if (c.kind != CREDENTIAL_STREAMER || !id_eq(&c.subject, &v->streamer_id) ||
        !id_eq(&v->zone_id, &o->view->zone.zone_id))
        return ERR_UNAUTHORIZED;
    if (!hash_eq(&manifest_hash, &v->manifest_hash) ||
        !hash_eq(&thumbnail_hash, &v->thumbnail_hash) ||
        (claim->manifest.len && !hash_eq(&m.stream, &row->stream)))
        return ERR_SIGNATURE;
    row->has_video = true;
    row->statement_hash = object_hash(OBJECT_VIDEO, body);
    row->statement = claim->statement;
    row->credential = claim->credential;
    row->manifest = claim->manifest;
    row->thumbnail = claim->thumbnail;
    row->streamer_name = c.display_name;
    return ERR_OK;
}

/* credential empty: the zone signed it. */
static enum err open_deletion(struct opener *o, struct slice deletion, struct slice credential,
                              struct storage_row *row)
{
    struct credential c = {0};
    struct deletion d;
    struct slice body;
    struct signature sig;
    enum err err = ERR_OK;
    if (credential.len)
        err = opener_credential(o, credential, &c);
    if (err == ERR_OK)
        err = credential.len ? deletion_open(deletion, &c.pk, &d)
                             : zone_deletion_open(deletion, &o->view->zone, &d);
    if (err == ERR_OK)
        err = signed_split(deletion, &body, &sig);
    if (err != ERR_OK)
        return err;
    if (!id_eq(&d.zone_id, &o->view->zone.zone_id))
        return ERR_UNAUTHORIZED;
    if (credential.len && (c.kind != CREDENTIAL_STREAMER || !id_eq(&c.subject, &d.streamer_id)))
        return ERR_UNAUTHORIZED;
    row->has_deletion = true;
    row->video.zone_id = d.zone_id;
    row->video.video_id = d.video_id;
    row->video.streamer_id = d.streamer_id;
    row->video.revision_us = d.revision_us;
    row->statement_hash = object_hash(OBJECT_DELETION, body);
    row->statement = deletion;
    row->credential = credential;
    return ERR_OK;
}

static enum err open_holding(struct opener *o, const struct holding_row *h, struct storage_row *row)
{
    struct credential c;
    enum err err = opener_credential(o, h->edge_credential, &c);
    if (err == ERR_OK)
        err = holding_open(h->type, h->object, &c.pk, &row->holding);
    if (err != ERR_OK)
        return err;
    if (c.kind != CREDENTIAL_EDGE || !id_eq(&c.subject, &row->holding.edge_id) ||
        !id_eq(&row->holding.zone_id, &o->view->zone.zone_id))
        return ERR_UNAUTHORIZED;
    if (row->has_video && (!id_eq(&row->holding.video_id, &row->video.video_id) ||
                           !id_eq(&row->holding.streamer_id, &row->video.streamer_id) ||
                           !hash_eq(&row->holding.stream, &row->stream)))
        return ERR_FORMAT;
    row->has_holding = true;
    row->holding_row = *h;
    return ERR_OK;
}

enum err row_from_deletion(struct slice deletion, struct slice credential,
                           const struct trust_view *view, struct storage_row *ret)
{
    struct storage_row row = {0};
    struct opener o = {.view = view};
    if (!view->has_zone)
        return ERR_NOT_READY;
    enum err err = open_deletion(&o, deletion, credential, &row);
    if (err == ERR_OK)
        *ret = row;
    return err;
}

enum err row_from_update(const struct db_update *m, const struct trust_view *view,
                         struct storage_row *ret)
{
    struct storage_row row = {0};
    struct opener o = {.view = view};
    if (!view->has_zone)
        return ERR_NOT_READY;
    if (m->deletion.len)
        return row_from_deletion(m->deletion, m->credential, view, ret);
    struct claim claim = {m->statement, m->credential, m->manifest, m->thumbnail};
    enum err err = ERR_OK;
    if (m->statement.len)
        err = open_video(&o, &claim, &row);
    if (err == ERR_OK && m->has_holding)
        err = open_holding(&o, &m->holding, &row);
    if (err == ERR_OK && !row.has_video && !row.has_holding)
        err = ERR_UNAUTHORIZED;
    if (err == ERR_OK)
        *ret = row;
    return err;
}

/* --- many of them ----------------------------------------------------------------------- */

struct table {
    struct arena *arena;
    size_t n, cap;
    struct storage_row *rows;
    size_t skipped;
};

/* Keep a row, or count that it did not verify. Returns whether it was kept. */
static bool table_add(struct table *t, enum err err, const struct storage_row *row)
{
    if (err != ERR_OK) {
        t->skipped++;
        return false;
    }
    t->rows = table_grow(t->arena, t->rows, t->n, &t->cap, sizeof(*row));
    t->rows[t->n++] = *row;
    return true;
}

struct storage_row *rows_from_bundle(const struct bundle *b, const struct trust_view *view,
                                     struct arena *arena, size_t *ret_n, size_t *skipped,
                                     bool *newer)
{
    struct opener o = {.view = view, .arena = arena};
    struct table t = {.arena = arena};
    for (size_t i = 0; i < b->claims_n; i++) {
        const struct bundle_claim *c = &b->claims[i];
        struct claim claim = {c->object, c->credential, c->manifest, c->thumbnail};
        struct storage_row row = {0};
        enum err err = ERR_NOT_READY;
        if (view->has_zone)
            err = c->deleted ? open_deletion(&o, c->object, c->credential, &row)
                             : open_video(&o, &claim, &row);
        table_add(&t, err, &row);
    }
    for (size_t i = 0; i < b->holdings_n; i++) {
        struct storage_row row = {0};
        enum err err = ERR_NOT_READY;
        if (view->has_zone)
            err = open_holding(&o, &b->holdings[i], &row);
        table_add(&t, err, &row);
    }
    *skipped += t.skipped;
    *newer = *newer || o.newer;
    *ret_n = t.n;
    return t.rows;
}
