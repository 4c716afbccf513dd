/*
 * Who may say what about a video: its streamer signs the video row, and each
 * edge signs what it holds itself; both credentials are the zone's. Fields
 * beside what is signed are ignored, but for the thumbnail, whose hash is signed.
 */
#include "edge/rows.h"

static enum err open_video(struct slice statement, struct slice credential, struct slice manifest,
                           struct slice thumbnail, const struct trust_view *view,
                           struct storage_row *row)
{
    struct credential c;
    struct manifest m = {0};
    struct slice body;
    struct signature sig;
    enum err err = credential_open(credential, &view->zone, &c);
    if (err == ERR_OK)
        err = video_open(statement, &c.pk, &row->video);
    if (err == ERR_OK && manifest.len)
        err = manifest_open(manifest, &c.pk, &m);
    if (err == ERR_OK)
        err = signed_split(statement, &body, &sig);
    if (err != ERR_OK)
        return err;
    const struct video *v = &row->video;
    row->stream = video_stream(v);
    struct hash manifest_hash = {0};
    if (manifest.len)
        manifest_hash =
            object_hash(OBJECT_MANIFEST, slice_of(manifest.ptr, manifest.len - SIGNATURE_BYTES));
    struct hash thumbnail_hash = video_thumbnail_hash(thumbnail);
    if (c.kind != CREDENTIAL_STREAMER || !id_eq(&c.subject, &v->streamer_id) ||
        !id_eq(&v->zone_id, &view->zone.zone_id))
        return ERR_UNAUTHORIZED;
    if (!hash_eq(&manifest_hash, &v->manifest_hash) ||
        !hash_eq(&thumbnail_hash, &v->thumbnail_hash) ||
        (manifest.len && !hash_eq(&m.stream, &row->stream)))
        return ERR_SIGNATURE;
    row->has_video = true;
    row->statement_hash = object_hash(OBJECT_VIDEO, body);
    row->statement = statement;
    row->credential = credential;
    row->manifest = manifest;
    row->thumbnail = thumbnail;
    row->streamer_name = c.display_name;
    return ERR_OK;
}

static enum err open_holding(const struct holding_row *h, const struct trust_view *view,
                             struct storage_row *row)
{
    struct credential c;
    enum err err = credential_open(h->edge_credential, &view->zone, &c);
    if (err == ERR_OK)
        err = holding_open(h->type, h->object, &c.pk, &row->holding);
    if (err != ERR_OK)
        return err;
    if (c.kind != CREDENTIAL_EDGE || !id_eq(&c.subject, &row->holding.edge_id) ||
        !id_eq(&row->holding.zone_id, &view->zone.zone_id))
        return ERR_UNAUTHORIZED;
    if (row->has_video && (!id_eq(&row->holding.video_id, &row->video.video_id) ||
                           !id_eq(&row->holding.streamer_id, &row->video.streamer_id) ||
                           !hash_eq(&row->holding.stream, &row->stream)))
        return ERR_FORMAT;
    row->has_holding = true;
    row->holding_row = *h;
    return ERR_OK;
}

enum err row_from_update(const struct db_update *m, const struct trust_view *view,
                         struct storage_row *ret)
{
    struct storage_row row = {0};
    if (!view->has_zone)
        return ERR_NOT_READY;
    enum err err = ERR_OK;
    if (m->statement.len)
        err = open_video(m->statement, m->credential, m->manifest, m->thumbnail, view, &row);
    if (err == ERR_OK && m->has_holding)
        err = open_holding(&m->holding, view, &row);
    if (err == ERR_OK && !row.has_video && !row.has_holding)
        err = ERR_UNAUTHORIZED;
    if (err == ERR_OK)
        *ret = row;
    return err;
}

struct storage_row *rows_from_reply(const struct db_reply *m, const struct trust_view *view,
                                    struct arena *arena, size_t *ret_n, size_t *skipped)
{
    size_t most = 0;
    for (size_t i = 0; i < m->n; i++)
        most += 1 + m->rows[i].holdings_n;
    struct storage_row *rows = arena_alloc(arena, most * sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct catalogue_row *c = &m->rows[i];
        struct storage_row row = {0};
        if (!view->has_zone || open_video(c->statement, c->credential, c->manifest, c->thumbnail,
                                          view, &row) != ERR_OK) {
            ++*skipped;
            continue;
        }
        size_t first = n;
        rows[n++] = row;
        for (size_t k = 0; k < c->holdings_n; k++) {
            struct storage_row *into = k == 0 ? &rows[first] : &rows[n];
            struct storage_row holder = rows[first];
            if (open_holding(&c->holdings[k], view, &holder) != ERR_OK) {
                ++*skipped;
                continue;
            }
            holder.has_video = k == 0;
            *into = holder;
            n += k != 0;
        }
    }
    *ret_n = n;
    return rows;
}
