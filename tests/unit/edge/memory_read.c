/* The reads of the memory store: they see what was committed. */
#include "base/check.h"
#include "tests/unit/edge/memory_kept.h"

#include <stdlib.h>

/* A copy that can be read: of the listed claim, or of the upload that is under way. */
static const struct copy *readable(const struct memory_store *s, const struct id *video_id)
{
    struct listing l = kept_listing(s, video_id);
    const struct copy *c = l.row ? kept_copy(s, video_id, &l.row->video.streamer_id) : NULL;
    return c && (l.state == UPLOADING || hash_eq(&c->stream, &l.row->stream)) ? c : NULL;
}

static struct slice edges_of(const struct memory_store *s, const struct listing *l,
                             struct arena *arena)
{
    enum object_type type = l->state == LIVE ? OBJECT_PRESENCE : OBJECT_CUSTODY;
    char *text = arena_alloc(arena, EDGES_TEXT_BYTES_MAX);
    size_t len = 0;
    for (size_t i = 0; i < s->holdings.n && l->state >= COMPLETE; i++) {
        const struct storage_row *r = &((struct kept_row *)s->holdings.at[i])->row;
        size_t id_len = strlen(r->holding.edge_id.s);
        if (r->holding_row.type != type || r->holding.state != 1 ||
            !id_eq(&r->holding.video_id, &l->row->video.video_id) ||
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

static void fill_row(const struct memory_store *s, const struct listing *l, struct arena *arena,
                     struct catalogue_row *ret)
{
    struct storage_row row = storage_row_copy(arena, l->row);
    *ret = (struct catalogue_row){
        .video_id = row.video.video_id,
        .title = row.video.title,
        .description = row.video.description,
        .category = row.video.category,
        .live = l->state == LIVE,
        .edges = edges_of(s, l, arena),
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
    struct listing l = kept_listing(s, &op->u.video_get.video_id);
    if (!l.row)
        return ERR_UNKNOWN;
    const struct copy *c = readable(s, &op->u.video_get.video_id);
    fill_row(s, &l, &done->arena, &done->u.video.row);
    done->u.video.streamer_name = arena_copy(&done->arena, l.row->streamer_name);
    done->u.video.media_type = arena_copy(&done->arena, l.row->video.media_type);
    done->u.video.codecs = arena_copy(&done->arena, l.row->video.codecs);
    done->u.video.stream = l.row->stream;
    done->u.video.live = l.state == LIVE;
    done->u.video.whole = c && c->state == COPY_WHOLE;
    if (done->u.video.whole) {
        done->u.video.chunks = c->next - 1;
        done->u.video.bytes = c->bytes;
    }
    return ERR_OK;
}

static enum err parts_read(const struct memory_store *s, const struct storage_op *op,
                           struct storage_done *done)
{
    const struct copy *c = readable(s, &op->u.parts_read.video_id);
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

/* The listed claims, in an order. */
struct listed_rows {
    const struct storage_row **at;
    size_t n;
};

static int newest_first(const void *a, const void *b)
{
    const struct video *x = &(*(const struct storage_row *const *)a)->video;
    const struct video *y = &(*(const struct storage_row *const *)b)->video;
    if (x->created_us != y->created_us)
        return x->created_us > y->created_us ? -1 : 1;
    return strcmp(x->video_id.s, y->video_id.s);
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(const struct storage_row *const *)a)->video.video_id.s,
                  (*(const struct storage_row *const *)b)->video.video_id.s);
}

static struct listed_rows listed(const struct memory_store *s, struct arena *arena,
                                 int (*order)(const void *, const void *))
{
    struct listed_rows rows = {.at = arena_alloc(arena, s->claims.n * sizeof(void *))};
    for (size_t i = 0; i < s->claims.n; i++) {
        const struct storage_row *row = &((struct kept_row *)s->claims.at[i])->row;
        if (kept_is_listed(s, row))
            rows.at[rows.n++] = row;
    }
    if (rows.n)
        qsort(rows.at, rows.n, sizeof(void *), order);
    return rows;
}

static size_t size_of(const struct catalogue_row *r)
{
    return 192 + r->title.len + r->description.len + r->edges.len + r->thumbnail.len +
           2 * (r->statement.len + r->credential.len + r->manifest.len);
}

static bool wanted(const struct list_request *m, const struct storage_row *row, bool live)
{
    return (!m->category.len || slice_eq(row->video.category, m->category)) &&
           (!m->has_live || m->live == live);
}

static enum err list(const struct memory_store *s, const struct storage_op *op,
                     struct storage_done *done)
{
    const struct list_request *m = &op->u.list;
    struct listed_rows rows = listed(s, &done->arena, newest_first);
    struct catalogue_row *out = arena_alloc(&done->arena, rows.n * sizeof(*out));
    bool after = !m->after.len;
    size_t n = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < rows.n && !done->u.list.more; i++) {
        struct listing l = kept_listing(s, &rows.at[i]->video.video_id);
        bool takes = after && wanted(m, rows.at[i], l.state == LIVE);
        after = after || slice_eq(id_slice(&rows.at[i]->video.video_id), m->after);
        if (!takes)
            continue;
        done->u.list.more = bytes >= CATALOGUE_PAGE_BYTES_MAX || (m->limit && n == m->limit);
        if (done->u.list.more)
            break;
        fill_row(s, &l, &done->arena, &out[n]);
        out[n].statement = out[n].credential = out[n].manifest = (struct slice){0};
        done->u.list.next = out[n].video_id;
        bytes += size_of(&out[n++]);
    }
    done->u.list.n = n;
    done->u.list.rows = out;
    return ERR_OK;
}

static void fill_holdings(const struct memory_store *s, struct catalogue_row *row,
                          struct arena *arena)
{
    row->holdings = arena_alloc(arena, ROW_HOLDINGS_MAX * sizeof(*row->holdings));
    for (size_t i = 0; i < s->holdings.n && row->holdings_n < ROW_HOLDINGS_MAX; i++) {
        const struct storage_row *r = &((struct kept_row *)s->holdings.at[i])->row;
        if (!id_eq(&r->holding.video_id, &row->video_id) ||
            !id_eq(&r->holding.streamer_id, &row->streamer_id))
            continue;
        struct storage_row copy = storage_row_copy(arena, r);
        row->holdings[row->holdings_n++] = copy.holding_row;
    }
}

static enum err db_page(const struct memory_store *s, const struct storage_op *op,
                        struct storage_done *done)
{
    struct listed_rows rows = listed(s, &done->arena, by_id);
    struct catalogue_row *out = arena_alloc(&done->arena, rows.n * sizeof(*out));
    struct storage_streamer *names = arena_alloc(&done->arena, rows.n * sizeof(*names));
    size_t n = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < rows.n; i++) {
        const struct video *v = &rows.at[i]->video;
        if (!op->u.db_page.first && strcmp(v->video_id.s, op->u.db_page.after.s) <= 0)
            continue;
        if (bytes >= CATALOGUE_PAGE_BYTES_MAX) {
            done->u.db_page.more = true;
            break;
        }
        struct listing l = kept_listing(s, &v->video_id);
        fill_row(s, &l, &done->arena, &out[n]);
        fill_holdings(s, &out[n], &done->arena);
        names[n] = (struct storage_streamer){
            v->streamer_id, arena_copy(&done->arena, rows.at[i]->streamer_name), v->created_us};
        bytes += size_of(&out[n++]);
    }
    done->u.db_page.n = done->u.db_page.streamers_n = n;
    done->u.db_page.rows = out;
    done->u.db_page.streamers = names;
    return ERR_OK;
}

enum err kept_read(const struct memory_store *s, const struct storage_op *op,
                   struct storage_done *done)
{
    switch (op->kind) {
    case STORAGE_VIDEO_GET: return video_get(s, op, done);
    case STORAGE_PARTS_READ: return parts_read(s, op, done);
    case STORAGE_LIST: return list(s, op, done);
    case STORAGE_DB_PAGE: return db_page(s, op, done);
    default: check_fail("a read", __FILE__, __LINE__);
    }
}
