/*
 * Pages of the catalogue: of what is listed, in the order of an index, until
 * the page is as large as a message can be.
 *
 * I1  a page holds at least one row, if there is one; more only while they are together within
 *     CATALOGUE_PAGE_BYTES_MAX at the most that JSON can make of them, their streamers included:
 *     the encoder never has to leave out a row that storage counts as told.
 * I2  a list looks at LIST_SCAN_ROWS_MAX videos at most, however few of them are wanted: the reads
 *     of those who watch wait behind it.
 * I3  a thumbnail that an edge made takes only what room the rows of a list have left: it never
 * costs a row its place.
 */
#include "edge/store/read.h"
#include "trust/thumbnail.h"

enum {
    ROW_FRAME_BYTES = 256,                                    /* JSON around one row's values */
    STREAMER_BYTES = 128 + ID_BYTES_MAX + 2 * NAME_BYTES_MAX, /* the row's streamer beside it */
    PAGE_ROWS_START = 16,
    /* Of one row's holdings: the rest of a row that is as large as it can be still fits the page.
     */
    HOLDINGS_BYTES_MAX = 16 * 1024,
};

/* Rows in the arena, growing by doubling. */
struct rows {
    struct arena *arena;
    struct catalogue_row *at;
    size_t n, cap;
    size_t bytes; /* estimated, as JSON */
};

static struct catalogue_row *rows_add(struct rows *r)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : PAGE_ROWS_START;
        struct catalogue_row *at = arena_alloc(r->arena, cap * sizeof(*at));
        if (r->n)
            memcpy(at, r->at, r->n * sizeof(*at));
        r->at = at;
        r->cap = cap;
    }
    return &r->at[r->n++];
}

static size_t holding_bytes(const struct holding_row *h)
{
    return b64_text_len(h->object.len) + b64_text_len(h->edge_credential.len) + 64;
}

size_t read_text_bytes(struct slice text)
{
    size_t n = text.len;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] < 0x20 || text.ptr[i] == '"' || text.ptr[i] == '\\';
    return n;
}

static size_t row_bytes(const struct catalogue_row *r)
{
    size_t n = ROW_FRAME_BYTES + strlen(r->video_id.s) + strlen(r->streamer_id.s) +
               read_text_bytes(r->title) + read_text_bytes(r->description) +
               read_text_bytes(r->category) + read_text_bytes(r->thumbnail) + r->edges.len +
               b64_text_len(r->statement.len) + b64_text_len(r->credential.len) +
               b64_text_len(r->manifest.len);
    for (size_t i = 0; i < r->holdings_n; i++)
        n += holding_bytes(&r->holdings[i]);
    return n;
}

/* Take back the row that was added last. */
static bool rows_drop(struct rows *r)
{
    r->n--;
    return false;
}

/* Keep the row that was added last, with what else it brings, unless the page is full (I1). */
static bool rows_keep(struct rows *r, size_t beside_bytes)
{
    size_t bytes = row_bytes(&r->at[r->n - 1]) + beside_bytes;
    if (r->n > 1 && r->bytes + bytes > CATALOGUE_PAGE_BYTES_MAX)
        return rows_drop(r);
    r->bytes += bytes;
    return true;
}

/* Where the page after a video begins; false: that video is not there (any more). */
static bool list_start(struct conn *c, const struct list_request *m, struct arena *arena,
                       struct slice *ret_created_at)
{
    if (!m->after.len) {
        *ret_created_at = slice_str("~"); /* after every date */
        return true;
    }
    struct query *q = query_of(c, Q_LIST_START);
    bind_text(q, 1, m->after);
    bool found = query_row(q);
    if (found)
        *ret_created_at = col_copy(q, 0, arena);
    query_end(q);
    return found;
}

/* Where the streamer gave no thumbnail: one that an edge made; empty: none. */
static struct slice made_thumbnail(struct conn *c, const struct catalogue_row *row,
                                   struct arena *arena)
{
    struct slice packet, jpeg;
    if (row->thumbnail.len ||
        !read_thumbnail(c, &row->video_id, &row->streamer_id, arena, NULL, &packet) ||
        thumbnail_jpeg(packet, &jpeg) != ERR_OK)
        return (struct slice){0};
    return thumbnail_text(jpeg, arena);
}

/* Add a video's row to the page, if it is wanted; false: it is, and the page is full. */
static bool list_row(struct conn *c, const struct list_request *m, const struct id *id,
                     struct rows *rows)
{
    bool kept = true;
    struct query *q = query_of(c, Q_LIST_ROW);
    bind_id(q, 1, id);
    bind_null(q, 2);
    bind_null(q, 3);
    bind_null(q, 4);
    if (m->category.len)
        bind_text(q, 2, m->category);
    if (m->has_live)
        bind_int(q, 3, m->live);
    if (m->query.len)
        bind_text(q, 4, m->query);
    if (query_row(q)) {
        struct catalogue_row *row = rows_add(rows);
        read_row(q, rows->arena, row);
        struct slice made = m->paged ? made_thumbnail(c, row, rows->arena) : (struct slice){0};
        if (made.len)
            row->thumbnail = made;
        if (m->limit && rows->n > m->limit)
            kept = rows_drop(rows);
        else
            kept = rows_keep(rows, 0);
    }
    query_end(q);
    return kept;
}

/* I3 */
static bool *add_thumbnails(struct conn *c, struct rows *rows)
{
    bool *made = arena_alloc(rows->arena, rows->n * sizeof(*made));
    for (size_t i = 0; i < rows->n && rows->bytes < CATALOGUE_PAGE_BYTES_MAX; i++) {
        struct slice text = made_thumbnail(c, &rows->at[i], rows->arena);
        if (!text.len || rows->bytes + text.len > CATALOGUE_PAGE_BYTES_MAX)
            continue;
        rows->bytes += text.len;
        rows->at[i].thumbnail = text;
        made[i] = true;
    }
    return made;
}

enum err read_list(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    const struct list_request *m = &op->u.list;
    struct rows rows = {.arena = &done->arena};
    struct slice created_at;
    bool more = false;
    if (!list_start(c, m, &done->arena, &created_at))
        return ERR_OK;
    struct query *q = query_of(c, Q_LIST);
    bind_text(q, 1, created_at);
    bind_text(q, 2, m->after);
    for (int looked = 0; !more && query_row(q); looked++) { /* I2 */
        struct id id;
        col_id(q, 0, &id);
        more = looked == LIST_SCAN_ROWS_MAX || !list_row(c, m, &id, &rows);
        if (!more)
            done->u.list.next = id;
    }
    query_end(q);
    if (!m->paged)
        done->u.list.made = add_thumbnails(c, &rows);
    done->u.list.bytes = rows.bytes;
    done->u.list.n = rows.n;
    done->u.list.rows = rows.at;
    done->u.list.more = more;
    return ERR_OK;
}

static void read_holdings(struct conn *c, struct catalogue_row *row, struct arena *arena)
{
    size_t bytes = 0;
    struct query *q = query_of(c, Q_ROW_HOLDINGS);
    bind_id(q, 1, &row->video_id);
    bind_id(q, 2, &row->streamer_id);
    row->holdings = arena_alloc(arena, ROW_HOLDINGS_MAX * sizeof(*row->holdings));
    while (row->holdings_n < ROW_HOLDINGS_MAX && query_row(q)) {
        struct holding_row h = {
            .type = slice_eq_str(col_slice(q, 0), "presence") ? OBJECT_PRESENCE : OBJECT_CUSTODY,
            .object = col_slice(q, 1),
            .edge_credential = col_slice(q, 2),
        };
        bytes += holding_bytes(&h);
        if (row->holdings_n && bytes > HOLDINGS_BYTES_MAX)
            break;
        h.object = arena_copy(arena, h.object);
        h.edge_credential = arena_copy(arena, h.edge_credential);
        row->holdings[row->holdings_n++] = h;
    }
    query_end(q);
}

static void read_streamers(struct conn *c, const struct rows *rows, struct storage_done *done)
{
    size_t n = 0;
    struct storage_streamer *s = arena_alloc(&done->arena, rows->n * sizeof(*s));
    for (size_t i = 0; i < rows->n; i++) {
        const struct id *id = &rows->at[i].streamer_id;
        bool known = false;
        for (size_t j = 0; j < n && !known; j++)
            known = id_eq(&s[j].id, id);
        if (known)
            continue;
        struct query *q = query_of(c, Q_STREAMER_GET);
        bind_id(q, 1, id);
        if (query_row(q)) {
            s[n].id = *id;
            s[n].name = col_copy(q, 0, &done->arena);
            s[n].created_us = col_int(q, 1);
            n++;
        }
        query_end(q);
    }
    done->u.db_page.streamers = s;
    done->u.db_page.streamers_n = n;
}

enum err read_db_page(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    struct rows rows = {.arena = &done->arena};
    bool more = false;
    struct query *q = query_of(c, Q_DB_PAGE);
    bind_text(q, 1, op->u.db_page.first ? slice_str("") : id_slice(&op->u.db_page.after));
    while (!more && query_row(q)) {
        struct catalogue_row *row = rows_add(&rows);
        read_row(q, &done->arena, row);
        row->statement = col_copy(q, READ_ROW_COLUMNS, &done->arena);
        row->credential = col_copy(q, READ_ROW_COLUMNS + 1, &done->arena);
        row->manifest = col_copy(q, READ_ROW_COLUMNS + 2, &done->arena);
        read_holdings(c, row, &done->arena);
        more = !rows_keep(&rows, STREAMER_BYTES);
    }
    query_end(q);
    read_streamers(c, &rows, done);
    done->u.db_page.n = rows.n;
    done->u.db_page.rows = rows.at;
    done->u.db_page.more = more;
    return ERR_OK;
}
