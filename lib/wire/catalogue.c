#include "wire/catalogue.h"

#include "base/check.h"
#include "base/date.h"
#include "wire/json.h"

/*
 * The catalogue as it is written: requests, updates, and pages that are filled
 * row by row until the next one would not fit.
 *
 *   I1  no page is longer than PACKET_BYTES_MAX.
 *   I2  a row within the limits and its streamer fit an empty page (asserted below).
 */

enum {
    TIME_TEXT_BYTES = ISO8601_BYTES - 1,
    PAGE_FRAME_BYTES = 256, /* around rows and streamers, with next and token, or page and pages */
};

/* Upper bounds of what is written. */
#define HOLDING_FIELDS                                                                             \
    (sizeof("{},") + BLOB_FIELD("presence", HOLDING_OBJECT_BYTES_MAX) +                            \
     BLOB_FIELD("edge_credential", CREDENTIAL_OBJECT_BYTES_MAX))
#define LISTED_FIELDS                                                                              \
    (sizeof("{},") + PLAIN_FIELD("id", ID_BYTES_MAX) + TEXT_FIELD("title", TITLE_BYTES_MAX) +      \
     TEXT_FIELD("description", DESCRIPTION_BYTES_MAX) +                                            \
     TEXT_FIELD("category", CATEGORY_BYTES_MAX) + PLAIN_FIELD("live", 1) +                         \
     PLAIN_FIELD("edges", EDGES_TEXT_BYTES_MAX) + TEXT_FIELD("thumbnail", THUMBNAIL_BYTES_MAX) +   \
     PLAIN_FIELD("streamer_id", ID_BYTES_MAX) + PLAIN_FIELD("created_at", TIME_TEXT_BYTES))
#define ROW_FIELDS                                                                                 \
    (LISTED_FIELDS + BLOB_FIELD("statement", VIDEO_OBJECT_BYTES_MAX) +                             \
     BLOB_FIELD("credential", CREDENTIAL_OBJECT_BYTES_MAX) +                                       \
     BLOB_FIELD("manifest", MANIFEST_OBJECT_BYTES_MAX) + PLAIN_FIELD("rows", 2) +                  \
     ROW_HOLDINGS_MAX * HOLDING_FIELDS)
#define STREAMER_FIELDS                                                                            \
    (sizeof("{},") + PLAIN_FIELD("id", ID_BYTES_MAX) + TEXT_FIELD("name", NAME_BYTES_MAX) +        \
     PLAIN_FIELD("created_at", TIME_TEXT_BYTES))
_Static_assert(ROW_FIELDS + STREAMER_FIELDS + PAGE_FRAME_BYTES <= PACKET_BYTES_MAX, "I2");
_Static_assert(LISTED_FIELDS + PLAIN_FIELD("offline", EDGES_TEXT_BYTES_MAX) + PAGE_FRAME_BYTES <=
                   PACKET_BYTES_MAX,
               "I2");

static void put_time(struct json_out *out, const char *key, uint64_t utc_us)
{
    char text[ISO8601_BYTES];
    clock_iso8601(utc_us, text);
    json_put_str(out, key, text);
}

/* --- requests and updates ------------------------------------------------------------- */

struct slice list_request_encode(const struct list_request *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_text(&out, "client_id", m->client_id);
    if (m->paged) {
        if (m->limit)
            json_put_uint(&out, "limit", m->limit);
        json_put_text(&out, "after", m->after); /* even empty: it is what makes the request paged */
        json_put_some(&out, "category", m->category);
        if (m->has_live)
            json_put_uint(&out, "live", m->live);
        json_put_some(&out, "q", m->query);
    }
    json_put_blob(&out, "token", m->token);
    return json_end(&out);
}

struct slice db_request_encode(const struct db_request *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_id(&out, "ID", &m->edge_id);
    json_put_some(&out, "root", m->root);
    json_put_some(&out, "from", m->from);
    if (m->bundle)
        json_put_str(&out, "form", "bundle");
    if (m->page)
        json_put_uint(&out, "page", m->page);
    if (m->asking)
        json_put_uint(&out, "asking", m->asking);
    return json_end(&out);
}

static void put_holding(struct json_out *out, const struct holding_row *h)
{
    json_put_blob(out, h->type == OBJECT_PRESENCE ? "presence" : "custody", h->object);
    json_put_blob(out, "edge_credential", h->edge_credential);
}

struct slice db_update_encode(const struct db_update *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_str(&out, "status", m->removal ? "suppression" : "ajout");
    if (!m->removal)
        json_put_bool(&out, "live", m->live);
    json_put_id(&out, "video_id", &m->video_id);
    if (!m->removal) {
        json_put_text(&out, "video_nom", m->title);
        json_put_text(&out, "category", m->category);
    }
    json_put_some(&out, "streamer_id", id_slice(&m->streamer_id));
    if (!m->removal) {
        json_put_text(&out, "streamer_nom", m->streamer_name);
        json_put_text(&out, "description", m->description);
        json_put_text(&out, "thumbnail", m->thumbnail);
    }
    json_put_id(&out, "EDGE_ID", &m->edge_id);
    json_put_blob(&out, "deletion", m->deletion);
    json_put_blob(&out, "statement", m->statement);
    json_put_blob(&out, "credential", m->credential);
    json_put_blob(&out, "manifest", m->manifest);
    if (m->has_holding)
        put_holding(&out, &m->holding);
    return json_end(&out);
}

/* --- pages ---------------------------------------------------------------------------------- */

struct page {
    struct arena *arena;
    struct json_out rows, streamers; /* items alone, joined by commas */
    size_t rows_n, streamers_n;
};

struct page *page_start(struct arena *arena)
{
    struct page *p = arena_alloc(arena, sizeof(*p));
    *p = (struct page){.arena = arena, .rows = json_bare(arena), .streamers = json_bare(arena)};
    return p;
}

static bool page_fits(const struct page *p)
{
    return p->rows.len + p->streamers.len + PAGE_FRAME_BYTES <= PACKET_BYTES_MAX;
}

static void put_trust(struct json_out *out, const struct catalogue_row *row)
{
    CHECK(row->holdings_n <= ROW_HOLDINGS_MAX);
    json_put_blob(out, "statement", row->statement);
    json_put_blob(out, "credential", row->credential);
    json_put_blob(out, "manifest", row->manifest);
    json_put_open(out, "rows", '[');
    for (size_t i = 0; i < row->holdings_n; i++) {
        json_put_open(out, NULL, '{');
        put_holding(out, &row->holdings[i]);
        json_put_close(out, '}');
    }
    json_put_close(out, ']');
}

static void put_row(struct json_out *out, const struct catalogue_row *row, bool with_trust)
{
    json_put_open(out, NULL, '{');
    json_put_id(out, "id", &row->video_id);
    json_put_text(out, "title", row->title);
    json_put_text(out, "description", row->description);
    json_put_text(out, "category", row->category);
    json_put_uint(out, "live", row->live);
    json_put_text(out, "edges", row->edges);
    if (!with_trust) /* who is silent is not for others to say */
        json_put_some(out, "offline", row->offline);
    json_put_text(out, "thumbnail", row->thumbnail);
    json_put_id(out, "streamer_id", &row->streamer_id);
    put_time(out, "created_at", row->created_us);
    if (with_trust)
        put_trust(out, row);
    json_put_close(out, '}');
}

bool page_add_row(struct page *p, const struct catalogue_row *row, bool with_trust)
{
    struct json_out before = p->rows;
    if (p->rows_n == PAGE_ROWS_MAX)
        return false;
    put_row(&p->rows, row, with_trust);
    if (!page_fits(p)) {
        p->rows = before;
        return false;
    }
    p->rows_n++;
    return true;
}

bool page_add_streamer(struct page *p, const struct id *id, struct slice name, uint64_t created_us)
{
    struct json_out before = p->streamers;
    json_put_open(&p->streamers, NULL, '{');
    json_put_id(&p->streamers, "id", id);
    json_put_text(&p->streamers, "name", name);
    put_time(&p->streamers, "created_at", created_us);
    json_put_close(&p->streamers, '}');
    if (!page_fits(p)) {
        p->streamers = before;
        return false;
    }
    p->streamers_n++;
    return true;
}

static struct slice page_text(const struct json_out *out)
{
    return slice_of(out->buf, out->len);
}

struct slice page_end_bare(struct page *p)
{
    struct json_out out = json_bare(p->arena);
    json_put_items(&out, NULL, &p->rows);
    return page_text(&out);
}

struct slice page_end_list(struct page *p, struct slice next, struct slice token)
{
    CHECK(next.len <= ID_BYTES_MAX && token.len <= TOKEN_BYTES);
    struct json_out out = json_begin(p->arena, p->rows.len + PAGE_FRAME_BYTES);
    json_put_items(&out, "videos", &p->rows);
    json_put_text(&out, "next", next);
    json_put_blob(&out, "token", token);
    return json_end(&out);
}

struct slice page_end_db(struct page *p, uint32_t page, uint32_t pages)
{
    struct json_out out = json_begin(p->arena, p->rows.len + p->streamers.len + PAGE_FRAME_BYTES);
    if (page <= 1 && p->rows_n == 0 && p->streamers_n == 0) {
        json_put_str(&out, "streamers", "");
        return json_end(&out);
    }
    json_put_items(&out, "streamers", &p->streamers);
    json_put_items(&out, "videos", &p->rows);
    json_put_uint(&out, "page", page);
    json_put_uint(&out, "pages", pages);
    return json_end(&out);
}
