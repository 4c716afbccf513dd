/* The catalogue as it arrives: pages, updates, and what is asked for. */
#include "base/check.h"
#include "base/date.h"
#include "wire/catalogue.h"
#include "wire/json.h"
#include "wire/topic.h"

enum { PAGE_ROWS_START = 8 };

/* --- requests ----------------------------------------------------------------------- */

enum err list_request_decode(struct slice payload, struct arena *arena, struct list_request *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct list_request m = {
        .client_id = json_reply_id(&j),
        .paged = json_has(&j, "limit") || json_has(&j, "after") || json_has(&j, "category") ||
                 json_has(&j, "live") || json_has(&j, "q"),
        .limit = (uint32_t)json_uint(&j, "limit", LIST_LIMIT_MAX),
        .after = json_text(&j, "after", ID_BYTES_MAX),
        .category = json_text(&j, "category", CATEGORY_BYTES_MAX),
        .query = json_text(&j, "q", LIST_QUERY_BYTES_MAX),
        .has_live = json_has(&j, "live"),
        .live = json_flag(&j, "live"),
        .token = json_token(&j),
    };
    json_require(&j, !json_has(&j, "limit") || m.limit > 0);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

enum err db_request_decode(struct slice payload, struct arena *arena, struct db_request *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct db_request m = {
        .edge_id = json_id(&j, "ID"),
        .root = json_text(&j, "root", DB_ROOT_BYTES_MAX),
        .from = json_text(&j, "from", ID_BYTES_MAX),
        .bundle = slice_eq_str(json_peek_text(&j, "form"), "bundle"),
        .page = json_u32(&j, "page"),
        .asking = json_u53(&j, "asking"),
    };
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* --- rows ----------------------------------------------------------------------------- */

static struct holding_row holding_read(struct json *j)
{
    bool custody = json_has(j, "custody");
    json_require(j, custody != json_has(j, "presence"));
    struct holding_row h = {
        .type = custody ? OBJECT_CUSTODY : OBJECT_PRESENCE,
        .object = json_blob(j, custody ? "custody" : "presence", HOLDING_OBJECT_BYTES_MAX),
        .edge_credential = json_blob(j, "edge_credential", CREDENTIAL_OBJECT_BYTES_MAX),
    };
    json_require(j, h.object.len > 0 && h.edge_credential.len > 0);
    return h;
}

static void row_read(struct json *j, struct catalogue_row *row)
{
    *row = (struct catalogue_row){
        .video_id = json_id(j, "id"),
        .title = json_text(j, "title", TITLE_BYTES_MAX),
        .description = json_text(j, "description", DESCRIPTION_BYTES_MAX),
        .category = json_text(j, "category", CATEGORY_BYTES_MAX),
        .live = json_flag(j, "live"),
        .edges = json_text(j, "edges", EDGES_TEXT_BYTES_MAX),
        .offline = json_text(j, "offline", EDGES_TEXT_BYTES_MAX),
        .thumbnail = json_loose_text(j, "thumbnail", THUMBNAIL_BYTES_MAX),
        .streamer_id = json_id(j, "streamer_id"),
        .created_us = clock_iso8601_read(json_peek_text(j, "created_at")),
        .statement = json_blob(j, "statement", VIDEO_OBJECT_BYTES_MAX),
        .credential = json_blob(j, "credential", CREDENTIAL_OBJECT_BYTES_MAX),
        .manifest = json_blob(j, "manifest", MANIFEST_OBJECT_BYTES_MAX),
    };
    const struct cJSON *outside = j->at;
    const struct cJSON *item = json_array(j, "rows", ROW_HOLDINGS_MAX, &row->holdings_n);
    row->holdings = arena_alloc(j->arena, row->holdings_n * sizeof(*row->holdings));
    for (struct holding_row *h = row->holdings; item; item = json_next(item)) {
        j->at = item;
        *h++ = holding_read(j);
    }
    j->at = outside;
}

/* Room for twice as many rows: a page that is no page costs what of it was read, not what it
 * counts. */
static struct catalogue_row *rows_grow(struct arena *arena, const struct catalogue_row *rows,
                                       size_t n)
{
    size_t cap = n ? 2 * n : PAGE_ROWS_START;
    struct catalogue_row *grown = arena_alloc(arena, cap * sizeof(*grown));
    if (n)
        memcpy(grown, rows, n * sizeof(*grown));
    return grown;
}

/* The rows of the array under key (NULL: the array at). */
static struct catalogue_row *rows_read(struct json *j, const char *key, size_t *ret_n)
{
    const struct cJSON *outside = j->at;
    const struct cJSON *item = json_array(j, key, PAGE_ROWS_MAX, ret_n);
    struct catalogue_row *rows = NULL;
    size_t cap = 0;
    for (size_t n = 0; item && j->err == ERR_OK; item = json_next(item), n++) {
        if (n == cap) {
            rows = rows_grow(j->arena, rows, cap);
            cap = cap ? 2 * cap : PAGE_ROWS_START;
        }
        j->at = item;
        row_read(j, &rows[n]);
    }
    j->at = outside;
    return rows;
}

enum err list_reply_decode(struct slice payload, struct arena *arena, struct list_reply *ret)
{
    struct json j CLEANUP(json_close) = json_open(payload, arena);
    bool bare = json_is_array(&j);
    struct list_reply m = {0};
    json_require(&j, bare || json_has(&j, "videos"));
    m.rows = rows_read(&j, bare ? NULL : "videos", &m.n);
    if (!bare) {
        m.next = json_text(&j, "next", ID_BYTES_MAX);
        m.token = json_token(&j);
    }
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* Without what is signed a row is worth nothing between edges: keep the others, in their order. */
static void rows_drop_unsigned(struct db_reply *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->rows[i].statement.len > 0)
            m->rows[kept++] = m->rows[i];
    m->skipped = m->n - kept;
    m->n = kept;
}

enum err db_reply_decode(struct slice payload, struct arena *arena, struct db_reply *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct db_reply m = {.page = 1, .pages = 1};
    json_require(&j, json_has(&j, "streamers") || json_has(&j, "videos"));
    m.rows = rows_read(&j, "videos", &m.n);
    if (json_has(&j, "page")) {
        m.page = json_u32(&j, "page");
        m.pages = json_u32(&j, "pages");
        json_require(&j, m.page > 0);
    }
    if (j.err != ERR_OK)
        return j.err;
    rows_drop_unsigned(&m);
    *ret = m;
    return ERR_OK;
}

/* --- updates ---------------------------------------------------------------------------- */

enum err db_update_decode(struct slice payload, struct arena *arena, struct db_update *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct slice status = json_peek_text(&j, "status");
    struct db_update m = {
        .removal = slice_eq_str(status, "suppression"),
        .live = json_flag(&j, "live"),
        .video_id = json_id(&j, "video_id"),
        .title = json_text(&j, "video_nom", TITLE_BYTES_MAX),
        .category = json_text(&j, "category", CATEGORY_BYTES_MAX),
        .description = json_text(&j, "description", DESCRIPTION_BYTES_MAX),
        .thumbnail = json_loose_text(&j, "thumbnail", THUMBNAIL_BYTES_MAX),
        .streamer_id = json_id_or_none(&j, "streamer_id"),
        .streamer_name = json_text(&j, "streamer_nom", NAME_BYTES_MAX),
        .edge_id = json_id(&j, "EDGE_ID"),
        .statement = json_blob(&j, "statement", VIDEO_OBJECT_BYTES_MAX),
        .credential = json_blob(&j, "credential", CREDENTIAL_OBJECT_BYTES_MAX),
        .manifest = json_blob(&j, "manifest", MANIFEST_OBJECT_BYTES_MAX),
        .has_holding = json_has(&j, "custody") || json_has(&j, "presence"),
        .deletion = json_blob(&j, "deletion", DELETION_OBJECT_BYTES_MAX),
    };
    json_require(&j, m.removal || (slice_eq_str(status, "ajout") && m.streamer_id.s[0]));
    json_require(&j, !m.deletion.len || (m.removal && !m.statement.len && !m.has_holding));
    if (m.has_holding)
        m.holding = holding_read(&j);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}
