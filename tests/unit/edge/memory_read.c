/* The reads of the memory store that viewers and original edges cause: what was committed. */
#include "tests/unit/edge/memory_kept.h"
#include "trust/thumbnail.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* A copy that can be read: of the listed claim, or of the upload that is under way. */
static const struct copy *readable(const struct shelf *sh)
{
    struct listing l = kept_listing(sh);
    const struct copy *c = l.row ? kept_copy(sh, &l.row->video.streamer_id) : NULL;
    return c && (l.state == UPLOADING || hash_eq(&c->stream, &l.row->stream)) ? c : NULL;
}

struct slice read_edges(const struct shelf *sh, const struct listing *l, struct arena *arena)
{
    enum object_type type = l->state == LIVE ? OBJECT_PRESENCE : OBJECT_CUSTODY;
    char *text = arena_alloc(arena, EDGES_TEXT_BYTES_MAX);
    size_t len = 0;
    for (size_t i = 0; i < sh->holdings.n && l->state >= COMPLETE; i++) {
        const struct storage_row *r = &((struct kept_row *)sh->holdings.at[i])->row;
        size_t id_len = strlen(r->holding.edge_id.s);
        if (r->holding_row.type != type || r->holding.state != 1 ||
            !id_eq(&r->holding.streamer_id, &l->row->video.streamer_id) ||
            !hash_eq(&r->holding.stream, &l->row->stream) ||
            len + id_len + 1 > EDGES_TEXT_BYTES_MAX)
            continue;
        if (len)
            text[len++] = ',';
        memcpy(text + len, r->holding.edge_id.s, id_len);
        len += id_len;
    }
    return slice_of(text, len);
}

static void fill_row(const struct shelf *sh, const struct listing *l, struct arena *arena,
                     struct catalogue_row *ret)
{
    struct storage_row row = storage_row_copy(arena, l->row);
    *ret = (struct catalogue_row){
        .video_id = row.video.video_id,
        .title = row.video.title,
        .description = row.video.description,
        .category = row.video.category,
        .live = l->state == LIVE,
        .edges = read_edges(sh, l, arena),
        .thumbnail = row.thumbnail,
        .streamer_id = row.video.streamer_id,
        .created_us = row.video.created_us,
        .statement = row.statement,
        .credential = row.credential,
        .manifest = row.manifest,
    };
}

static enum err video_get(const struct memory_store *s, const struct storage_op *op,
                          struct storage_done *done)
{
    const struct shelf *sh = kept_shelf(s, &op->u.video_get.video_id);
    struct listing l = kept_listing(sh);
    struct manifest manifest;
    if (!l.row)
        return ERR_UNKNOWN;
    const struct copy *c = readable(sh);
    struct arena *arena = &done->arena;
    const struct id *streamer_id = &l.row->video.streamer_id;
    fill_row(sh, &l, arena, &done->u.video.row);
    done->u.video.streamer_name = kept_streamer(s, streamer_id, arena).name;
    done->u.video.media_type = arena_copy(arena, l.row->video.media_type);
    done->u.video.codecs = arena_copy(arena, l.row->video.codecs);
    done->u.video.stream = l.row->stream;
    done->u.video.live = l.state == LIVE;
    done->u.video.whole = c && c->state == COPY_WHOLE;
    if (done->u.video.whole && c->receipt.len) {
        done->u.video.receipt = arena_copy(arena, c->receipt);
        done->u.video.receipt_credential = arena_copy(arena, c->receipt_credential);
    }
    if (done->u.video.whole && c->thumbnail.len && l.state != UPLOADING) {
        done->u.video.delegation = arena_copy(arena, c->delegation);
        done->u.video.thumbnail_part = arena_copy(arena, c->thumbnail);
    }
    done->u.video.custody =
        done->u.video.whole && kept_in_custody(s, sh, streamer_id, &l.row->stream);
    if (l.state != UPLOADING && kept_manifest(l.row, &manifest)) {
        done->u.video.chunks = manifest.chunks;
        done->u.video.bytes = manifest.bytes;
    }
    return ERR_OK;
}

static enum err parts_read(const struct memory_store *s, const struct storage_op *op,
                           struct storage_done *done)
{
    const struct copy *c = readable(kept_shelf(s, &op->u.parts_read.video_id));
    if (!c)
        return ERR_UNKNOWN;
    uint32_t max = op->u.parts_read.bytes_max;
    size_t n = 0;
    size_t bytes = 0;
    size_t i = 0;
    for (; i < c->parts.n; i++) {
        const struct storage_part *p = c->parts.at[i];
        if (p->chunk > op->u.parts_read.chunk ||
            (p->chunk == op->u.parts_read.chunk && p->index >= op->u.parts_read.part))
            break;
    }
    for (; i < c->parts.n && n < STORE_READ_PARTS_MAX; i++) {
        const struct storage_part *p = c->parts.at[i];
        bytes += p->packet->payload.len;
        if (n && bytes > (max < STORE_READ_BYTES_MAX ? max : STORE_READ_BYTES_MAX))
            break;
        done->u.parts_read.parts[n] = *p;
        msg_ref(done->u.parts_read.parts[n++].packet);
    }
    done->u.parts_read.n = n;
    done->u.parts_read.end = c->state == COPY_WHOLE && i == c->parts.n;
    return ERR_OK;
}

/* ---- pages of what is listed ---- */

struct listed_rows {
    const struct shelf **at;
    size_t n;
};

static int newest_first(const void *a, const void *b)
{
    const struct video *x = &kept_listing(*(const struct shelf *const *)a).row->video;
    const struct video *y = &kept_listing(*(const struct shelf *const *)b).row->video;
    if (x->created_us != y->created_us)
        return x->created_us > y->created_us ? -1 : 1;
    return strcmp(x->video_id.s, y->video_id.s);
}

/* By id, as the shelves are. */
static struct listed_rows listed(const struct memory_store *s, struct arena *arena)
{
    struct listed_rows rows = {.at = arena_alloc(arena, s->shelves.n * sizeof(void *) + 1)};
    for (size_t i = 0; i < s->shelves.n; i++)
        if (kept_listing(kept_at(s, i)).state >= COMPLETE)
            rows.at[rows.n++] = kept_at(s, i);
    return rows;
}

static size_t size_of(const struct catalogue_row *r)
{
    size_t n = 256 + r->title.len + r->description.len + r->category.len + r->edges.len +
               r->thumbnail.len + 4 * (r->statement.len + r->credential.len + r->manifest.len) / 3;
    for (size_t i = 0; i < r->holdings_n; i++)
        n += 64 + 4 * (r->holdings[i].object.len + r->holdings[i].edge_credential.len) / 3;
    return n;
}

static bool contains(struct slice text, struct slice query)
{
    for (size_t i = 0; i + query.len <= text.len; i++)
        if (strncasecmp((const char *)text.ptr + i, (const char *)query.ptr, query.len) == 0)
            return true;
    return false;
}

static bool wanted(const struct list_request *m, const struct listing *l)
{
    return (!m->category.len || slice_eq(l->row->video.category, m->category)) &&
           (!m->has_live || m->live == (l->state == LIVE)) &&
           (!m->query.len || contains(l->row->video.title, m->query));
}

/* Where the streamer gave none: an edge's, if there is room for it. */
static bool lend_thumbnail(const struct memory_store *s, struct catalogue_row *row,
                           struct arena *arena, size_t *bytes)
{
    const struct copy *c = readable(kept_shelf(s, &row->video_id));
    struct slice jpeg;
    if (row->thumbnail.len || !c || c->state != COPY_WHOLE || !c->thumbnail.len ||
        thumbnail_jpeg(c->thumbnail, &jpeg) != ERR_OK)
        return false;
    struct slice text = thumbnail_text(jpeg, arena);
    if (*bytes + text.len > CATALOGUE_PAGE_BYTES_MAX)
        return false;
    *bytes += text.len;
    row->thumbnail = text;
    return true;
}

static enum err list(const struct memory_store *s, const struct storage_op *op,
                     struct storage_done *done)
{
    const struct list_request *m = &op->u.list;
    struct listed_rows rows = listed(s, &done->arena);
    struct catalogue_row *out = arena_alloc(&done->arena, rows.n * sizeof(*out) + 1);
    bool after = !m->after.len;
    size_t n = 0;
    size_t bytes = 0;
    if (rows.n)
        qsort(rows.at, rows.n, sizeof(void *), newest_first);
    for (size_t i = 0; i < rows.n && !done->u.list.more; i++) {
        struct listing l = kept_listing(rows.at[i]);
        bool takes = after && wanted(m, &l);
        after = after || slice_eq(id_slice(&rows.at[i]->video_id), m->after);
        if (!takes)
            continue;
        done->u.list.more = bytes >= CATALOGUE_PAGE_BYTES_MAX || (m->limit && n == m->limit);
        if (done->u.list.more)
            break;
        fill_row(rows.at[i], &l, &done->arena, &out[n]);
        out[n].statement = out[n].credential = out[n].manifest = (struct slice){0};
        done->u.list.next = out[n].video_id;
        size_t lent = 0;
        if (m->paged)
            lend_thumbnail(s, &out[n], &done->arena, &lent);
        bytes += size_of(&out[n++]);
    }
    done->u.list.n = n;
    done->u.list.rows = out;
    done->u.list.made = arena_alloc(&done->arena, n + 1);
    for (size_t i = 0; i < n && !m->paged; i++)
        done->u.list.made[i] = lend_thumbnail(s, &out[i], &done->arena, &bytes);
    done->u.list.bytes = bytes;
    return ERR_OK;
}

/* Newest state 1 first. */
static int for_page(const void *a, const void *b)
{
    const struct holding *x = &(*(const struct storage_row *const *)a)->holding;
    const struct holding *y = &(*(const struct storage_row *const *)b)->holding;
    if (x->state != y->state)
        return x->state > y->state ? -1 : 1;
    if (x->hlc != y->hlc)
        return x->hlc > y->hlc ? -1 : 1;
    return strcmp(x->edge_id.s, y->edge_id.s);
}

static void fill_holdings(const struct shelf *sh, struct catalogue_row *row, struct arena *arena)
{
    const struct storage_row **of = arena_alloc(arena, sh->holdings.n * sizeof(void *) + 1);
    size_t n = 0;
    for (size_t i = 0; i < sh->holdings.n; i++) {
        const struct storage_row *r = &((struct kept_row *)sh->holdings.at[i])->row;
        if (id_eq(&r->holding.streamer_id, &row->streamer_id))
            of[n++] = r;
    }
    if (n)
        qsort(of, n, sizeof(void *), for_page);
    row->holdings = arena_alloc(arena, ROW_HOLDINGS_MAX * sizeof(*row->holdings));
    for (size_t i = 0; i < n && row->holdings_n < ROW_HOLDINGS_MAX; i++)
        row->holdings[row->holdings_n++] = storage_row_copy(arena, of[i]).holding_row;
}

static enum err db_page(const struct memory_store *s, const struct storage_op *op,
                        struct storage_done *done)
{
    struct listed_rows rows = listed(s, &done->arena);
    struct catalogue_row *out = arena_alloc(&done->arena, rows.n * sizeof(*out) + 1);
    struct storage_streamer *names = arena_alloc(&done->arena, rows.n * sizeof(*names) + 1);
    size_t n = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < rows.n; i++) {
        const struct shelf *sh = rows.at[i];
        if (!op->u.db_page.first && strcmp(sh->video_id.s, op->u.db_page.after.s) <= 0)
            continue;
        struct listing l = kept_listing(sh);
        fill_row(sh, &l, &done->arena, &out[n]);
        fill_holdings(sh, &out[n], &done->arena);
        bytes += size_of(&out[n]) + 256;
        done->u.db_page.more = n && bytes > CATALOGUE_PAGE_BYTES_MAX;
        if (done->u.db_page.more)
            break;
        names[n] = kept_streamer(s, &out[n].streamer_id, &done->arena);
        n++;
    }
    done->u.db_page.n = done->u.db_page.streamers_n = n;
    done->u.db_page.rows = out;
    done->u.db_page.streamers = names;
    return ERR_OK;
}

bool read_apply_one(const struct memory_store *s, const struct storage_op *op,
                    struct storage_done *done)
{
    switch (op->kind) {
    case STORAGE_VIDEO_GET: done->err = video_get(s, op, done); return true;
    case STORAGE_PARTS_READ: done->err = parts_read(s, op, done); return true;
    case STORAGE_LIST: done->err = list(s, op, done); return true;
    case STORAGE_DB_PAGE: done->err = db_page(s, op, done); return true;
    default: return false;
    }
}
