/* The catalogue: the originals' messages, pages that never grow too large, times. */
#include "tests/unit/wire/samples.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct arena arena;

static int release(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

#define ID_LONGEST "0123456789012345678901234567890123456789012345678901234567890123"

/* --- requests and updates ---------------------------------------------------------- */

static enum err list(const char *text, struct list_request *ret)
{
    return list_request_decode(slice_str(text), &arena, ret);
}

static void test_list_requests(void **state)
{
    struct list_request m;
    (void)state;
    assert_int_equal(list("{\"client_id\": \"CLIENT\"}", &m), ERR_OK);
    assert_true(slice_eq_str(m.client_id, "CLIENT") && !m.paged && !m.has_live);
    assert_int_equal(list("{\"client_id\":\"c\",\"token\":\"AAAA\"}", &m), ERR_OK);
    assert_false(m.paged);
    static const char *const paged[] = {"\"limit\":1",    "\"limit\":\"200\"",
                                        "\"after\":\"\"", "\"category\":\"Gaming\"",
                                        "\"live\":0",     "\"q\":\"x\""};
    for (size_t i = 0; i < sizeof(paged) / sizeof(paged[0]); i++) {
        struct slice text =
            sample_edit(&arena, slice_str("{\"client_id\":\"c\",@}"), "@", paged[i]);
        assert_int_equal(list_request_decode(text, &arena, &m), ERR_OK);
        assert_true(m.paged);
    }
    assert_int_equal(list("{\"client_id\":\"c\",\"live\":false}", &m), ERR_OK);
    assert_true(m.has_live && !m.live);
    assert_int_equal(list("{\"client_id\":\"c\",\"limit\":0}", &m), ERR_FORMAT);
    assert_int_equal(list("{\"client_id\":\"c\",\"limit\":201}", &m), ERR_LIMIT);
    assert_int_equal(list("{\"client_id\":\"c\",\"q\":1}", &m), ERR_FORMAT);
    assert_int_equal(list("{}", &m), ERR_FORMAT);
}

static void test_a_paged_request_without_options_stays_paged(void **state)
{
    struct list_request m = {.client_id = slice_str("c"), .paged = true}, got;
    (void)state;
    assert_int_equal(list_request_decode(list_request_encode(&m, &arena), &arena, &got), ERR_OK);
    assert_true(got.paged && got.limit == 0);
    m.paged = false;
    assert_true(slice_eq_str(list_request_encode(&m, &arena), "{\"client_id\":\"c\"}"));
}

static void test_list_request_limits(void **state)
{
    struct list_request m = {.client_id = slice_str("c"), .paged = true}, got;
    struct {
        struct slice *field;
        size_t max;
    } fields[] = {{&m.after, ID_BYTES_MAX},
                  {&m.category, CATEGORY_BYTES_MAX},
                  {&m.query, LIST_QUERY_BYTES_MAX}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        *fields[i].field = sample_text(&arena, 'x', fields[i].max);
        assert_int_equal(list_request_decode(list_request_encode(&m, &arena), &arena, &got),
                         ERR_OK);
        *fields[i].field = sample_text(&arena, 'x', fields[i].max + 1);
        assert_int_equal(list_request_decode(list_request_encode(&m, &arena), &arena, &got),
                         ERR_LIMIT);
        *fields[i].field = (struct slice){0};
    }
}

static void test_db_requests(void **state)
{
    struct db_request m;
    (void)state;
    assert_int_equal(db_request_decode(slice_str("{\"ID\": \"EDGE2\"}"), &arena, &m), ERR_OK);
    assert_string_equal(m.edge_id.s, "EDGE2");
    assert_int_equal(m.root.len, 0);
    assert_false(m.bundle);
    assert_int_equal(m.page, 0);
    assert_int_equal(db_request_decode(slice_str("{\"ID\":\"E\",\"page\":25}"), &arena, &m),
                     ERR_OK);
    assert_int_equal(m.page, 25);
    assert_int_equal(db_request_decode(slice_str("{\"ID\":\"E\",\"page\":-1}"), &arena, &m),
                     ERR_FORMAT);
    assert_int_equal(db_request_decode(slice_str("{\"id\":\"EDGE2\"}"), &arena, &m), ERR_FORMAT);
    assert_int_equal(db_request_decode(slice_str("{\"ID\":\"E\",\"form\":\"bundle\"}"), &arena, &m),
                     ERR_OK);
    assert_true(m.bundle);
    assert_int_equal(db_request_decode(slice_str("{\"ID\":\"E\",\"form\":\"later\"}"), &arena, &m),
                     ERR_OK);
    assert_false(m.bundle);
}

static enum err update(const char *text, struct db_update *ret)
{
    return db_update_decode(slice_str(text), &arena, ret);
}

static void test_updates_of_the_originals(void **state)
{
    struct db_update m;
    (void)state;
    assert_int_equal(
        update("{\"status\": \"ajout\", \"live\": false, \"video_id\": \"video1\", "
               "\"video_nom\": \"Ma première vidéo\", \"category\": \"Gaming\", "
               "\"streamer_id\": \"STREAMER\", \"streamer_nom\": \"Léa\", \"description\": "
               "\"Description\", \"thumbnail\": \"thumb1.jpg\", \"EDGE_ID\": \"EDGE2\"}",
               &m),
        ERR_OK);
    assert_true(!m.removal && !m.live && !m.has_holding && !m.statement.len);
    assert_true(slice_eq_str(m.title, "Ma première vidéo") &&
                slice_eq_str(m.thumbnail, "thumb1.jpg"));
    assert_string_equal(m.edge_id.s, "EDGE2");
    assert_int_equal(update("{\"status\": \"suppression\", \"video_id\": \"1234\", "
                            "\"EDGE_ID\": \"EDGE2\"}",
                            &m),
                     ERR_OK);
    assert_true(m.removal && m.streamer_id.s[0] == '\0');
}

static void test_updates(void **state)
{
    static const struct {
        const char *text;
        enum err err;
    } cases[] = {
        {"{\"status\":\"ajout\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"streamer_id\":\"s\"}",
         ERR_OK},
        {"{\"status\":\"ajout\",\"video_id\":\"v\",\"EDGE_ID\":\"e\"}", ERR_FORMAT},
        {"{\"status\":\"autre\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"streamer_id\":\"s\"}",
         ERR_FORMAT},
        {"{\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"streamer_id\":\"s\"}", ERR_FORMAT},
        {"{\"status\":\"suppression\",\"EDGE_ID\":\"e\"}", ERR_FORMAT},
        {"{\"status\":\"suppression\",\"video_id\":\"v\"}", ERR_FORMAT},
        {"{\"status\":\"suppression\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"presence\":\"AAAA\"}",
         ERR_FORMAT},
        {"{\"status\":\"suppression\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"presence\":\"AAAA\","
         "\"edge_credential\":\"AAAA\"}",
         ERR_OK},
        {"{\"status\":\"suppression\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"presence\":\"AAAA\","
         "\"custody\":\"AAAA\",\"edge_credential\":\"AAAA\"}",
         ERR_FORMAT},
        {"{\"status\":\"suppression\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"custody\":\"\","
         "\"edge_credential\":\"AAAA\"}",
         ERR_FORMAT},
        {"{\"status\":\"suppression\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"deletion\":\"AAAA\"}",
         ERR_OK},
        {"{\"status\":\"suppression\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"deletion\":\"AAAA\","
         "\"statement\":\"AAAA\"}",
         ERR_FORMAT},
        {"{\"status\":\"suppression\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"deletion\":\"AAAA\","
         "\"custody\":\"AAAA\",\"edge_credential\":\"AAAA\"}",
         ERR_FORMAT},
        {"{\"status\":\"ajout\",\"video_id\":\"v\",\"EDGE_ID\":\"e\",\"streamer_id\":\"s\","
         "\"deletion\":\"AAAA\"}",
         ERR_FORMAT},
    };
    struct db_update m;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum err err = update(cases[i].text, &m);
        if (err != cases[i].err)
            fail_msg("%s: %s", cases[i].text, err_name(err));
    }
}

static void test_removals_as_written(void **state)
{
    struct db_update m = {.removal = true,
                          .video_id = sample_id("v"),
                          .streamer_id = sample_id("s"),
                          .edge_id = sample_id("e"),
                          .has_holding = true,
                          .holding = {OBJECT_PRESENCE, slice_str("abc"), slice_str("def")}};
    (void)state;
    assert_true(slice_eq_str(db_update_encode(&m, &arena),
                             "{\"status\":\"suppression\",\"video_id\":\"v\",\"streamer_id\":\"s\","
                             "\"EDGE_ID\":\"e\",\"presence\":\"YWJj\",\"edge_credential\":"
                             "\"ZGVm\"}"));
    m.has_holding = false;
    m.deletion = slice_str("abc");
    m.credential = slice_str("def");
    assert_true(slice_eq_str(db_update_encode(&m, &arena),
                             "{\"status\":\"suppression\",\"video_id\":\"v\",\"streamer_id\":\"s\","
                             "\"EDGE_ID\":\"e\",\"deletion\":\"YWJj\",\"credential\":\"ZGVm\"}"));
}

/* --- rows ---------------------------------------------------------------------------- */

static struct catalogue_row small_row(const char *id)
{
    return (struct catalogue_row){.video_id = sample_id(id),
                                  .title = slice_str("t"),
                                  .streamer_id = sample_id("s"),
                                  .statement = slice_str("abc")};
}

/* Everything as long as it may be, and of what takes most room. */
static struct catalogue_row largest_row(void)
{
    struct catalogue_row row = {
        .video_id = sample_id(ID_LONGEST),
        .title = sample_text(&arena, '\n', TITLE_BYTES_MAX),
        .description = sample_text(&arena, '"', DESCRIPTION_BYTES_MAX),
        .category = sample_text(&arena, '\\', CATEGORY_BYTES_MAX),
        .live = true,
        .edges = sample_text(&arena, ',', EDGES_TEXT_BYTES_MAX),
        .offline = sample_text(&arena, ',', EDGES_TEXT_BYTES_MAX),
        .thumbnail = sample_text(&arena, '"', THUMBNAIL_BYTES_MAX),
        .streamer_id = sample_id(ID_LONGEST),
        .created_us = UINT64_MAX,
        .statement = sample_bytes(&arena, VIDEO_OBJECT_BYTES_MAX),
        .credential = sample_bytes(&arena, CREDENTIAL_OBJECT_BYTES_MAX),
        .manifest = sample_bytes(&arena, MANIFEST_OBJECT_BYTES_MAX),
        .holdings_n = ROW_HOLDINGS_MAX,
    };
    row.holdings = arena_alloc(&arena, ROW_HOLDINGS_MAX * sizeof(*row.holdings));
    for (size_t i = 0; i < ROW_HOLDINGS_MAX; i++)
        row.holdings[i] =
            (struct holding_row){OBJECT_PRESENCE, sample_bytes(&arena, HOLDING_OBJECT_BYTES_MAX),
                                 sample_bytes(&arena, CREDENTIAL_OBJECT_BYTES_MAX)};
    return row;
}

/* I2: and its streamer with it. */
static void test_the_largest_row_fits_an_empty_page(void **state)
{
    struct db_reply got;
    struct list_reply listed;
    (void)state;
    struct catalogue_row row = largest_row();
    struct page *p = page_start(&arena);
    assert_true(page_add_streamer(p, &row.streamer_id, sample_text(&arena, '"', NAME_BYTES_MAX),
                                  UINT64_MAX));
    assert_true(page_add_row(p, &row, true));
    struct slice text = page_end_db(p, UINT32_MAX, UINT32_MAX);
    assert_true(text.len <= PACKET_BYTES_MAX);
    assert_int_equal(db_reply_decode(text, &arena, &got), ERR_OK);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.rows[0].holdings_n, ROW_HOLDINGS_MAX);
    assert_true(slice_eq(got.rows[0].thumbnail, row.thumbnail));
    p = page_start(&arena);
    assert_true(page_add_row(p, &row, false));
    text = page_end_list(p, slice_str(ID_LONGEST), sample_bytes(&arena, TOKEN_BYTES));
    assert_true(text.len <= PACKET_BYTES_MAX);
    assert_int_equal(list_reply_decode(text, &arena, &listed), ERR_OK);
    assert_int_equal(listed.n, 1);
    assert_true(slice_eq(listed.rows[0].offline, row.offline));
    assert_int_equal(got.rows[0].offline.len, 0); /* a page of db does not say who is silent */
}

static void test_the_largest_update_fits(void **state)
{
    struct db_update got;
    (void)state;
    struct catalogue_row row = largest_row();
    struct db_update m = {
        .live = true,
        .video_id = row.video_id,
        .title = row.title,
        .category = row.category,
        .description = row.description,
        .thumbnail = row.thumbnail,
        .streamer_id = row.streamer_id,
        .streamer_name = sample_text(&arena, '"', NAME_BYTES_MAX),
        .edge_id = row.video_id,
        .statement = row.statement,
        .credential = row.credential,
        .manifest = row.manifest,
        .has_holding = true,
        .holding = row.holdings[0],
    };
    struct slice text = db_update_encode(&m, &arena);
    assert_true(text.len <= PACKET_BYTES_MAX);
    assert_int_equal(db_update_decode(text, &arena, &got), ERR_OK);
}

/* The sizes that the arithmetic stands on are those of real objects. */
static void test_the_largest_objects(void **state)
{
    static uint8_t buf[8192];
    struct id id = sample_id(ID_LONGEST);
    (void)state;
    struct writer w = writer_of(buf, sizeof(buf));
    struct credential credential = {.kind = CREDENTIAL_EDGE,
                                    .subject = id,
                                    .display_name = sample_text(&arena, 'x', NAME_BYTES_MAX),
                                    .zone_id = id};
    credential_encode(&credential, &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, CREDENTIAL_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    struct video video = {.zone_id = id,
                          .video_id = id,
                          .streamer_id = id,
                          .title = sample_text(&arena, 'x', TITLE_BYTES_MAX),
                          .description = sample_text(&arena, 'x', DESCRIPTION_BYTES_MAX),
                          .category = sample_text(&arena, 'x', CATEGORY_BYTES_MAX),
                          .media_type = sample_text(&arena, 'x', MEDIA_TYPE_BYTES_MAX),
                          .codecs = sample_text(&arena, 'x', CODECS_BYTES_MAX)};
    video_encode(&video, &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, VIDEO_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    manifest_encode(&(struct manifest){0}, &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, MANIFEST_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    holding_encode(
        &(struct holding){.zone_id = id, .edge_id = id, .video_id = id, .streamer_id = id}, &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, HOLDING_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    receipt_encode(&(struct receipt){.zone_id = id, .edge_id = id}, &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, RECEIPT_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    deletion_encode(&(struct deletion){.zone_id = id, .video_id = id, .streamer_id = id}, &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, DELETION_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    node_status_encode(&(struct node_status){.zone_id = id, .edge_id = id}, &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, STATUS_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    possession_encode(
        &(struct possession){
            .zone_id = id, .edge_id = id, .asker_id = id, .n = POSSESSION_PARTS_MAX},
        &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, PROOF_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    struct zone_params zone = {.zone_id = id, .links_n = ZONE_LINKS_MAX};
    zone_params_encode(&zone, &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, ZONE_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    struct delegation delegation = {.tracks_n = DELEGATION_TRACKS_MAX};
    delegation_encode(&delegation, &w);
    assert_int_equal(w.len + SIGNATURE_BYTES, DELEGATION_OBJECT_BYTES_MAX);
    w = writer_of(buf, sizeof(buf));
    revocations_encode(&(struct revocations){.zone_id = id}, &w);
    assert_int_equal(w.len + REVOCATIONS_MAX * 16 + SIGNATURE_BYTES, REVOCATIONS_OBJECT_BYTES_MAX);
}

/* I1: rows are added until one does not fit, which leaves no trace. */
static void test_full_pages(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= THUMBNAIL_BYTES_MAX; bytes = bytes * 3 + 1) {
        struct page *p = page_start(&arena);
        struct catalogue_row row = small_row("v");
        struct list_reply got;
        size_t n = 0;
        row.thumbnail = sample_text(&arena, 'x', bytes);
        while (page_add_row(p, &row, false))
            n++;
        assert_false(page_add_row(p, &row, false));
        struct slice text =
            page_end_list(p, slice_str(ID_LONGEST), sample_bytes(&arena, TOKEN_BYTES));
        assert_true(text.len <= PACKET_BYTES_MAX && n > 0 && n < PAGE_ROWS_MAX);
        assert_int_equal(list_reply_decode(text, &arena, &got), ERR_OK);
        assert_int_equal(got.n, n);
        assert_true(slice_eq_str(got.next, ID_LONGEST));
        arena_reset(&arena);
    }
}

static void test_full_pages_of_streamers(void **state)
{
    struct page *p = page_start(&arena);
    struct id id = sample_id("s");
    struct catalogue_row row = small_row("v");
    struct db_reply got;
    (void)state;
    assert_true(page_add_row(p, &row, true));
    while (page_add_streamer(p, &id, sample_text(&arena, 'x', NAME_BYTES_MAX), 0))
        continue;
    struct slice text = page_end_db(p, 1, 1);
    assert_true(text.len <= PACKET_BYTES_MAX && text.len > PACKET_BYTES_MAX - 1024);
    assert_int_equal(db_reply_decode(text, &arena, &got), ERR_OK);
    assert_int_equal(got.n, 1);
}

static void test_empty_pages(void **state)
{
    struct list_reply listed;
    struct db_reply got;
    (void)state;
    assert_true(slice_eq_str(page_end_bare(page_start(&arena)), "[]"));
    assert_int_equal(list_reply_decode(slice_str("[]"), &arena, &listed), ERR_OK);
    assert_int_equal(listed.n, 0);
    assert_true(
        slice_eq_str(page_end_list(page_start(&arena), (struct slice){0}, (struct slice){0}),
                     "{\"videos\":[],\"next\":\"\"}"));
    struct slice text = page_end_db(page_start(&arena), 1, 1);
    assert_true(slice_eq_str(text, "{\"streamers\":\"\"}"));
    assert_int_equal(db_reply_decode(text, &arena, &got), ERR_OK);
    assert_true(got.n == 0 && got.page == 1 && got.pages == 1);
    /* An empty last page still says that it is the last one. */
    text = page_end_db(page_start(&arena), 5, 5);
    assert_true(slice_eq_str(text, "{\"streamers\":[],\"videos\":[],\"page\":5,\"pages\":5}"));
    assert_int_equal(db_reply_decode(text, &arena, &got), ERR_OK);
    assert_int_equal(got.page, 5);
}

static void test_pages_as_written(void **state)
{
    struct catalogue_row row = small_row("v");
    struct id id = sample_id("s");
    (void)state;
    row.created_us = 1795259370123456;
    row.edges = slice_str("e1,e2");
    struct page *p = page_start(&arena);
    assert_true(page_add_row(p, &row, false));
    assert_true(slice_eq_str(
        page_end_bare(p),
        "[{\"id\":\"v\",\"title\":\"t\",\"description\":\"\",\"category\":\"\",\"live\":0,"
        "\"edges\":\"e1,e2\",\"thumbnail\":\"\",\"streamer_id\":\"s\",\"created_at\":"
        "\"2026-11-21T11:09:30.123456Z\"}]"));
    row.holdings_n = 1;
    row.holdings = &(struct holding_row){OBJECT_CUSTODY, slice_str("abc"), slice_str("def")};
    p = page_start(&arena);
    assert_true(page_add_streamer(p, &id, slice_str("Léa"), 0) && page_add_row(p, &row, true));
    assert_true(slice_eq_str(
        page_end_db(p, 1, 0),
        "{\"streamers\":[{\"id\":\"s\",\"name\":\"Léa\",\"created_at\":"
        "\"1970-01-01T00:00:00.000000Z\"}],\"videos\":[{\"id\":\"v\",\"title\":\"t\","
        "\"description\":\"\",\"category\":\"\",\"live\":0,\"edges\":\"e1,e2\",\"thumbnail\":\"\","
        "\"streamer_id\":\"s\",\"created_at\":\"2026-11-21T11:09:30.123456Z\",\"statement\":"
        "\"YWJj\",\"rows\":[{\"custody\":\"YWJj\",\"edge_credential\":\"ZGVm\"}]}],\"page\":1,"
        "\"pages\":0}"));
}

/* --- reading pages ------------------------------------------------------------------------ */

static void test_rows_without_statement_are_skipped(void **state)
{
    struct db_reply m;
    (void)state;
    assert_int_equal(
        db_reply_decode(slice_str("{\"streamers\":[],\"videos\":["
                                  "{\"id\":\"a\",\"streamer_id\":\"s\"},"
                                  "{\"id\":\"b\",\"streamer_id\":\"s\",\"statement\":\"AAAA\"},"
                                  "{\"id\":\"c\",\"streamer_id\":\"s\",\"statement\":\"\"},"
                                  "{\"id\":\"d\",\"streamer_id\":\"s\",\"statement\":\"AAAA\"}],"
                                  "\"page\":1,\"pages\":0}"),
                        &arena, &m),
        ERR_OK);
    assert_true(m.n == 2 && m.skipped == 2);
    assert_string_equal(m.rows[0].video_id.s, "b");
    assert_string_equal(m.rows[1].video_id.s, "d");
}

static void test_bad_pages(void **state)
{
    static const char *const no[] = {
        "{}",
        "{\"page\":1}",
        "{\"videos\":{}}",
        "{\"videos\":[1]}",
        "{\"videos\":[[]]}",
        "{\"videos\":[{}]}",
        "{\"videos\":[{\"id\":\"a\"}]}",
        "{\"videos\":[],\"page\":0}",
        "{\"videos\":[{\"id\":\"a\",\"streamer_id\":\"s\",\"rows\":{}}]}",
        "{\"videos\":[{\"id\":\"a\",\"streamer_id\":\"s\",\"rows\":[{}]}]}",
        "{\"videos\":[{\"id\":\"a\",\"streamer_id\":\"s\",\"rows\":[{\"custody\":\"AAAA\"}]}]}"};
    struct db_reply m;
    struct list_reply listed;
    (void)state;
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (db_reply_decode(slice_str(no[i]), &arena, &m) != ERR_FORMAT)
            fail_msg("read: %s", no[i]);
    assert_int_equal(db_reply_decode(slice_str("[]"), &arena, &m), ERR_FORMAT);
    assert_int_equal(list_reply_decode(slice_str("[1]"), &arena, &listed), ERR_FORMAT);
    assert_int_equal(list_reply_decode(slice_str("{\"videos\":\"\"}"), &arena, &listed),
                     ERR_FORMAT);
}

/* A page whose array repeats one item. */
static struct slice repeated(const char *before, const char *item, size_t n, const char *after)
{
    char *text = arena_alloc(&arena, strlen(before) + n * (strlen(item) + 1) + strlen(after) + 1);
    size_t len = (size_t)sprintf(text, "%s", before);
    for (size_t i = 0; i < n; i++)
        len += (size_t)sprintf(text + len, "%s%s", i ? "," : "", item);
    len += (size_t)sprintf(text + len, "%s", after);
    return slice_of(text, len);
}

static void test_numbers_of_rows(void **state)
{
    static const char row[] = "{\"id\":\"a\",\"streamer_id\":\"s\"}";
    static const char holding[] = "{\"custody\":\"AAAA\",\"edge_credential\":\"AAAA\"}";
    static const char with[] = "[{\"id\":\"a\",\"streamer_id\":\"s\",\"rows\":[";
    struct list_reply m;
    (void)state;
    assert_int_equal(list_reply_decode(repeated("[", row, PAGE_ROWS_MAX, "]"), &arena, &m), ERR_OK);
    assert_int_equal(m.n, PAGE_ROWS_MAX);
    assert_int_equal(list_reply_decode(repeated("[", row, PAGE_ROWS_MAX + 1, "]"), &arena, &m),
                     ERR_LIMIT);
    assert_int_equal(
        list_reply_decode(repeated(with, holding, ROW_HOLDINGS_MAX, "]}]"), &arena, &m), ERR_OK);
    assert_int_equal(m.rows[0].holdings_n, ROW_HOLDINGS_MAX);
    assert_int_equal(
        list_reply_decode(repeated(with, holding, ROW_HOLDINGS_MAX + 1, "]}]"), &arena, &m),
        ERR_LIMIT);
}

/* --- times ----------------------------------------------------------------------------------- */

static uint64_t time_read(const char *text)
{
    struct list_reply m;
    struct slice page = sample_edit(
        &arena, slice_str("[{\"id\":\"a\",\"streamer_id\":\"s\",\"created_at\":\"@\"}]"), "@",
        text);
    assert_int_equal(list_reply_decode(page, &arena, &m), ERR_OK);
    return m.rows[0].created_us;
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        uint64_t us;
    } cases[] = {
        {"2026-11-21T11:09:30.123456Z", 1795259370123456},
        {"2026-11-21T11:09:30Z", 1795259370000000},
        {"2026-11-21T11:09:30", 1795259370000000},
        {"2026-11-21 11:09:30", 1795259370000000},
        {"2026-11-21 11:09:30.5", 1795259370500000},
        {"2026-11-21T11:09:30.123456789Z", 1795259370123456},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"2000-02-29T00:00:00Z", 951782400000000},
        {"2100-03-01T00:00:00Z", 4107542400000000},
        {"9999-12-31T23:59:59.999999Z", 253402300799999999},
        {"", 0},
        {"1969-12-31T23:59:59Z", 0},
        {"2026-13-21T11:09:30Z", 0},
        {"2026-00-21T11:09:30Z", 0},
        {"2026-11-00T11:09:30Z", 0},
        {"2026-11-21T24:09:30Z", 0},
        {"2026-11-21T11:60:30Z", 0},
        {"2026-11-21", 0},
        {"2026-11-21T11:09:3", 0},
        {"2026-11-21X11:09:30Z", 0},
        {"2026/11/21T11:09:30Z", 0},
        {"2026-11-21T11:09:30+01:00", 0},
        {"2026-11-21T11:09:30Zx", 0},
        {"yesterday", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (time_read(cases[i].text) != cases[i].us)
            fail_msg("%s: %llu", cases[i].text, (unsigned long long)time_read(cases[i].text));
}

static void test_times_come_back(void **state)
{
    (void)state;
    for (uint64_t us = 1; us < 253402300799999999u; us = us * 2 + 86399999983u) {
        struct list_reply m;
        struct page *p = page_start(&arena);
        struct catalogue_row row = small_row("v");
        row.created_us = us;
        assert_true(page_add_row(p, &row, false));
        assert_int_equal(list_reply_decode(page_end_bare(p), &arena, &m), ERR_OK);
        assert_true(m.rows[0].created_us == us);
    }
}

/* Many rows that are none: they cost no more than the message does. */
static void test_empty_rows_cost_little(void **state)
{
    (void)state;
    char text[3 * PAGE_ROWS_MAX + 64];
    int len = snprintf(text, sizeof(text), "{\"videos\":[{}");
    for (size_t i = 1; i < PAGE_ROWS_MAX; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, ",{}");
    snprintf(text + len, sizeof(text) - (size_t)len, "]}");
    struct db_reply m;
    struct arena fresh = {0};
    struct mallinfo2 before = mallinfo2();
    assert_int_equal(db_reply_decode(slice_str(text), &fresh, &m), ERR_FORMAT);
    struct mallinfo2 after = mallinfo2();
    assert_true(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd <= 16 * 1024);
    arena_release(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_requests),
        cmocka_unit_test(test_a_paged_request_without_options_stays_paged),
        cmocka_unit_test(test_list_request_limits),
        cmocka_unit_test(test_db_requests),
        cmocka_unit_test(test_updates_of_the_originals),
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_removals_as_written),
        cmocka_unit_test(test_the_largest_row_fits_an_empty_page),
        cmocka_unit_test(test_the_largest_update_fits),
        cmocka_unit_test(test_the_largest_objects),
        cmocka_unit_test(test_full_pages),
        cmocka_unit_test(test_full_pages_of_streamers),
        cmocka_unit_test(test_empty_pages),
        cmocka_unit_test(test_pages_as_written),
        cmocka_unit_test(test_rows_without_statement_are_skipped),
        cmocka_unit_test(test_bad_pages),
        cmocka_unit_test(test_empty_rows_cost_little),
        cmocka_unit_test(test_numbers_of_rows),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_times_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
