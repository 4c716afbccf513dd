/* What edges say to each other: bundles of rows, db/sync, deletions. */
#include "tests/unit/wire/samples.h"
#include "wire/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena arena;

static int release(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

#define ID_LONGEST "0123456789012345678901234567890123456789012345678901234567890123"

/* --- bundles -------------------------------------------------------------------------- */

static struct bundle_claim claim_of(const char *object, const char *credential)
{
    return (struct bundle_claim){.object = slice_str(object), .credential = slice_str(credential)};
}

static struct bundle decoded(struct slice text)
{
    struct bundle b = {0};
    bool found = false;
    assert_int_equal(bundle_decode(text, &arena, &found, &b), ERR_OK);
    assert_true(found);
    return b;
}

/* As the only page of an answer. */
static struct slice page_of(struct bundle_out *b)
{
    struct id id = sample_id("edge1");
    return bundle_end_db(b, &id, 7, 1, 1);
}

/* Each credential once, under its place; an empty list is left out, but for the claims. */
static void test_as_written(void **state)
{
    (void)state;
    struct id id = sample_id("e");
    struct bundle_out *b = bundle_start(&arena);
    assert_true(bundle_empty(b));
    assert_true(slice_eq_str(
        page_of(b), "{\"EDGE_ID\":\"edge1\",\"asking\":7,\"claims\":[],\"page\":1,\"pages\":1}"));
    struct bundle_claim one = claim_of("abc", "def"), gone = claim_of("ghi", "def");
    struct bundle_claim by_zone = claim_of("jkl", "");
    struct holding_row h = {OBJECT_CUSTODY, slice_str("mno"), slice_str("pqr")};
    one.manifest = slice_str("abc");
    one.thumbnail = slice_str("t\"");
    gone.deleted = by_zone.deleted = true;
    b = bundle_start(&arena);
    assert_true(bundle_add_claim(b, &one) && bundle_add_claim(b, &gone));
    assert_true(bundle_add_claim(b, &by_zone) && bundle_add_holding(b, &h));
    h.type = OBJECT_PRESENCE;
    assert_true(bundle_add_holding(b, &h) && !bundle_empty(b));
    assert_true(slice_eq_str(
        bundle_end_update(b, &id),
        "{\"status\":\"lot\",\"EDGE_ID\":\"e\",\"credentials\":[\"ZGVm\",\"cHFy\"],\"claims\":[{"
        "\"statement\":\"YWJj\",\"credential\":0,\"manifest\":\"YWJj\",\"thumbnail\":\"t\\\"\"}],"
        "\"deletions\":[{\"deletion\":\"Z2hp\",\"credential\":0},{\"deletion\":\"amts\"}],"
        "\"holdings\":[{\"custody\":\"bW5v\",\"edge_credential\":1},"
        "{\"presence\":\"bW5v\",\"edge_credential\":1}]}"));
    assert_true(slice_starts(bundle_end_sync(b, &id), "{\"EDGE_ID\":\"e\",\"sync\":\"rows\","));
}

static void test_all_three_messages_are_read(void **state)
{
    (void)state;
    struct id id = sample_id("e");
    struct bundle_out *b = bundle_start(&arena);
    struct bundle_claim gone = claim_of("ghi", ""), one = claim_of("abc", "def");
    gone.deleted = true;
    assert_true(bundle_add_claim(b, &gone) && bundle_add_claim(b, &one));
    struct slice texts[] = {bundle_end_db(b, &id, 1, 7, 9), bundle_end_update(b, &id),
                            bundle_end_sync(b, &id)};
    for (size_t i = 0; i < 3; i++) {
        struct bundle got = decoded(texts[i]);
        assert_int_equal(got.claims_n, 2);
        assert_true(!got.claims[0].deleted && got.claims[1].deleted);
        assert_true(slice_eq_str(got.claims[0].credential, "def"));
        assert_int_equal(got.claims[1].credential.len, 0);
        assert_int_equal(got.page, i == 0 ? 7 : 0);
        assert_int_equal(got.pages, i == 0 ? 9 : 0);
    }
    struct db_update update;
    assert_int_equal(db_update_decode(texts[1], &arena, &update), ERR_FORMAT);
}

/* I1 and I2: full is full, and one row of the largest is never too large. */
static void test_limits_of_bytes(void **state)
{
    (void)state;
    struct id id = sample_id(ID_LONGEST);
    struct slice credential = sample_bytes(&arena, CREDENTIAL_OBJECT_BYTES_MAX);
    struct bundle_claim largest = {
        .object = sample_bytes(&arena, VIDEO_OBJECT_BYTES_MAX),
        .credential = credential,
        .manifest = sample_bytes(&arena, MANIFEST_OBJECT_BYTES_MAX),
        .thumbnail = sample_text(&arena, '"', THUMBNAIL_BYTES_MAX),
    };
    struct holding_row holding = {OBJECT_PRESENCE, sample_bytes(&arena, HOLDING_OBJECT_BYTES_MAX),
                                  credential};
    struct bundle_out *b = bundle_start(&arena);
    assert_true(bundle_add_claim(b, &largest));
    assert_false(bundle_add_claim(b, &largest) && bundle_add_claim(b, &largest));
    size_t n = 0;
    while (bundle_add_holding(b, &holding))
        n++;
    assert_in_range(n, 1, BUNDLE_ROWS_MAX - 1);
    struct slice texts[] = {bundle_end_db(b, &id, UINT64_MAX, UINT32_MAX, UINT32_MAX),
                            bundle_end_update(b, &id), bundle_end_sync(b, &id)};
    for (size_t i = 0; i < 3; i++) {
        assert_in_range(texts[i].len, BUNDLE_BYTES_MAX - 1024, BUNDLE_BYTES_MAX);
        assert_int_equal(decoded(texts[i]).holdings_n, n);
    }
}

/* I3: what found no room brings no credential either. */
static void test_what_does_not_fit_leaves_no_trace(void **state)
{
    (void)state;
    struct bundle_out *b = bundle_start(&arena);
    struct bundle_claim large = claim_of("abc", "def");
    large.thumbnail = sample_text(&arena, 'x', THUMBNAIL_BYTES_MAX);
    while (bundle_add_claim(b, &large))
        ;
    struct bundle before = decoded(page_of(b));
    large.credential = slice_str("another");
    assert_false(bundle_add_claim(b, &large));
    large.deleted = true; /* which is short: its thumbnail is not written */
    assert_true(bundle_add_claim(b, &large));
    struct slice text = page_of(b);
    struct bundle after = decoded(text);
    assert_int_equal(after.claims_n, before.claims_n + 1);
    assert_true(slice_eq_str(after.claims[after.claims_n - 1].credential, "another"));
    assert_non_null(memmem(text.ptr, text.len, "\"credential\":1}", 15));
}

static void test_limits_of_counts(void **state)
{
    (void)state;
    struct bundle_out *b = bundle_start(&arena);
    struct bundle_claim claim = claim_of("a", "c"), gone = claim_of("a", "");
    struct holding_row h = {OBJECT_CUSTODY, slice_str("a"), slice_str("c")};
    gone.deleted = true;
    for (size_t i = 0; i < BUNDLE_ROWS_MAX; i++)
        assert_true(bundle_add_holding(b, &h));
    assert_false(bundle_add_holding(b, &h));
    assert_true(bundle_add_claim(b, &claim));
    assert_int_equal(decoded(page_of(b)).holdings_n, BUNDLE_ROWS_MAX);
    b = bundle_start(&arena);
    for (size_t i = 0; i < BUNDLE_ROWS_MAX; i++)
        assert_true(bundle_add_claim(b, &claim) && bundle_add_claim(b, &gone));
    assert_false(bundle_add_claim(b, &claim) || bundle_add_claim(b, &gone));
    struct slice text = page_of(b);
    assert_int_equal(decoded(text).claims_n, 2 * BUNDLE_ROWS_MAX);
    bool found = false;
    struct bundle got;
    struct slice more = sample_edit(&arena, text, "\"deletions\":[", "\"deletions\":[{},");
    assert_int_equal(bundle_decode(more, &arena, &found, &got), ERR_LIMIT);

    b = bundle_start(&arena);
    uint16_t *numbers = arena_alloc(&arena, BUNDLE_CREDENTIALS_MAX * sizeof(*numbers));
    for (size_t i = 0; i < BUNDLE_CREDENTIALS_MAX; i++) {
        numbers[i] = (uint16_t)i;
        claim.credential = slice_of(&numbers[i], sizeof(numbers[i]));
        if (i % 2)
            assert_true(bundle_add_claim(b, &claim));
        h.edge_credential = claim.credential;
        assert_true(bundle_add_holding(b, &h));
    }
    claim.credential = slice_str("one too many");
    assert_false(bundle_add_claim(b, &claim));
    text = page_of(b);
    assert_int_equal(decoded(text).holdings_n, BUNDLE_CREDENTIALS_MAX);
    more = sample_edit(&arena, text, "\"credentials\":[", "\"credentials\":[\"AAAA\",");
    assert_int_equal(bundle_decode(more, &arena, &found, &got), ERR_LIMIT);
}

/* An entry that is none costs the others nothing. */
static void test_bad_entries_are_skipped(void **state)
{
    static const char text[] =
        "{\"credentials\":[\"ZGVm\",\"\"],"
        "\"claims\":[{},{\"statement\":\"YWJj\"},{\"statement\":\"YWJj\",\"credential\":2},"
        "{\"statement\":\"YWJj\",\"credential\":1},{\"statement\":\"?\",\"credential\":0},"
        "{\"statement\":\"YWJj\",\"credential\":0,\"thumbnail\":3},"
        "{\"statement\":\"YWJj\",\"credential\":0}],"
        "\"deletions\":[{\"deletion\":\"\"},{\"deletion\":\"YWJj\",\"credential\":2},"
        "{\"deletion\":\"YWJj\",\"credential\":1},{\"deletion\":\"YWJj\"}],"
        "\"holdings\":[{\"custody\":\"YWJj\"},{\"custody\":\"YWJj\",\"edge_credential\":9},"
        "{\"custody\":\"YWJj\",\"presence\":\"YWJj\",\"edge_credential\":0},"
        "{\"presence\":\"YWJj\",\"edge_credential\":0}]}";
    (void)state;
    struct bundle b = decoded(slice_str(text));
    assert_int_equal(b.claims_n, 2);
    assert_int_equal(b.holdings_n, 1);
    assert_int_equal(b.skipped, 6 + 3 + 3);
    assert_true(b.claims[1].deleted && b.holdings[0].type == OBJECT_PRESENCE);
}

static void test_what_is_no_bundle(void **state)
{
    static const char *const no[] = {"",
                                     "[]",
                                     "{}",
                                     "{\"claims\"",
                                     "{\"claims\":null}",
                                     "{\"status\":\"ajout\",\"video_id\":\"v\"}",
                                     "{\"streamers\":\"\"}",
                                     "{\"credentials\":[]}"};
    static const char *const bad[] = {"{\"claims\":1}",
                                      "{\"claims\":\"x\"}",
                                      "{\"claims\":[1]}",
                                      "{\"claims\":[],\"credentials\":[1]}",
                                      "{\"claims\":[],\"credentials\":[\"?\"]}",
                                      "{\"claims\":[],\"credentials\":{}}",
                                      "{\"claims\":[],\"page\":0}",
                                      "{\"claims\":[],\"page\":-1}",
                                      "{\"claims\":[]},"};
    (void)state;
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        struct bundle b;
        bool found = true;
        if (bundle_decode(slice_str(no[i]), &arena, &found, &b) != ERR_OK || found)
            fail_msg("%s", no[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bundle b;
        bool found = false;
        enum err err = bundle_decode(slice_str(bad[i]), &arena, &found, &b);
        if (found || (err == ERR_OK && i + 1 < sizeof(bad) / sizeof(bad[0])))
            fail_msg("%s: %s", bad[i], err_name(err));
    }
}

/* --- db/sync -------------------------------------------------------------------------- */

static enum err sync_decoded(const struct sync_message *m, struct sync_message *ret)
{
    return sync_message_decode(sync_message_encode(m, &arena), &arena, ret);
}

static struct sync_message message_of(enum sync_kind kind)
{
    return (struct sync_message){
        .kind = kind, .edge_id = sample_id(ID_LONGEST), .horizon_us = UINT64_MAX >> 11};
}

/* The text with the base64 under key made of these bytes. */
static struct slice with_bytes(const char *kind, const char *key, struct slice bytes)
{
    char *b64 = arena_alloc(&arena, b64_text_len(bytes.len) + 1);
    b64_encode(bytes, b64);
    struct slice text = slice_str("{\"EDGE_ID\":\"e\",\"sync\":\"KIND\",\"KEY\":\"BYTES\"}");
    text = sample_edit(&arena, text, "KIND", kind);
    return sample_edit(&arena, sample_edit(&arena, text, "KEY", key), "BYTES", b64);
}

static enum err bytes_decoded(const char *kind, const char *key, size_t n)
{
    struct sync_message m;
    return sync_message_decode(with_bytes(kind, key, slice_of(arena_alloc(&arena, n), n)), &arena,
                               &m);
}

static void test_limits_of_nodes(void **state)
{
    static struct sync_node nodes[SYNC_NODES_MAX];
    struct sync_message m = message_of(SYNC_DIGESTS), got;
    (void)state;
    for (size_t i = 0; i < SYNC_NODES_MAX; i++)
        nodes[i] = (struct sync_node){.depth = 3, .prefix = (uint16_t)i};
    m.u.digests.nodes = nodes;
    m.u.digests.n = SYNC_NODES_MAX;
    assert_true(sync_message_encode(&m, &arena).len <= PACKET_BYTES_MAX);
    assert_int_equal(sync_decoded(&m, &got), ERR_OK);
    assert_int_equal(got.u.digests.n, SYNC_NODES_MAX);
    assert_int_equal(got.u.digests.nodes[SYNC_NODES_MAX - 1].prefix, SYNC_NODES_MAX - 1);
    m.u.digests.n = 0;
    assert_int_equal(sync_decoded(&m, &got), ERR_FORMAT);
    assert_int_equal(bytes_decoded("digests", "nodes", 131), ERR_OK);
    assert_int_equal(bytes_decoded("digests", "nodes", 132), ERR_FORMAT);
    assert_int_equal(bytes_decoded("digests", "nodes", 131 * (SYNC_NODES_MAX + 1)), ERR_LIMIT);
    static const struct {
        uint8_t depth;
        uint16_t prefix;
        enum err err;
    } cases[] = {{0, 0, ERR_OK},      {0, 1, ERR_FORMAT},    {1, 15, ERR_OK},
                 {1, 16, ERR_FORMAT}, {2, 255, ERR_OK},      {2, 256, ERR_FORMAT},
                 {3, 4095, ERR_OK},   {3, 4096, ERR_FORMAT}, {SYNC_DEPTH, 0, ERR_FORMAT},
                 {255, 0, ERR_FORMAT}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        nodes[0] = (struct sync_node){.depth = cases[i].depth, .prefix = cases[i].prefix};
        m.u.digests.n = 1;
        assert_int_equal(sync_decoded(&m, &got), cases[i].err);
    }
}

static struct sync_entry *entries_of(size_t n)
{
    struct sync_entry *entries = arena_alloc(&arena, (n + 1) * sizeof(*entries));
    for (size_t i = 0; i < n; i++)
        entries[i] = (struct sync_entry){.kind = SYNC_ROW_PRESENCE,
                                         .version = UINT64_MAX - i,
                                         .digest = {(uint8_t)(i >> 8), (uint8_t)i, 1}};
    return entries;
}

static void test_limits_of_leaves(void **state)
{
    static struct sync_leaf leaves[SYNC_LEAVES_MAX + 1];
    struct sync_message m = message_of(SYNC_LEAVES), got;
    (void)state;
    m.u.leaves.n = SYNC_LEAVES_MAX;
    m.u.leaves.leaves = leaves;
    for (size_t i = 0; i < SYNC_LEAVES_MAX; i++)
        leaves[i] = (struct sync_leaf){.leaf = (uint16_t)(65535 - i)};
    leaves[5].n = SYNC_ENTRIES_MAX;
    leaves[5].entries = entries_of(SYNC_ENTRIES_MAX);
    assert_true(sync_message_encode(&m, &arena).len <= PACKET_BYTES_MAX);
    assert_int_equal(sync_decoded(&m, &got), ERR_OK);
    assert_int_equal(got.u.leaves.n, SYNC_LEAVES_MAX);
    assert_int_equal(got.u.leaves.leaves[5].n, SYNC_ENTRIES_MAX);
    assert_int_equal(got.u.leaves.leaves[6].n, 0);
    assert_int_equal(got.u.leaves.leaves[6].leaf, 65535 - 6);
    m.u.leaves.n = 0;
    assert_int_equal(sync_decoded(&m, &got), ERR_FORMAT);
    enum { LEAF_BYTES = 37, ENTRY_BYTES = 33 };
    assert_int_equal(bytes_decoded("leaves", "leaves", LEAF_BYTES * SYNC_LEAVES_MAX), ERR_OK);
    assert_int_equal(bytes_decoded("leaves", "leaves", LEAF_BYTES * (SYNC_LEAVES_MAX + 1)),
                     ERR_LIMIT);
    assert_int_equal(bytes_decoded("leaves", "leaves", LEAF_BYTES + 1), ERR_FORMAT);

    /* One entry too many, where fewer leaves leave room for it. */
    m.u.leaves.n = 1;
    leaves[0].n = SYNC_ENTRIES_MAX;
    leaves[0].entries = leaves[5].entries;
    struct slice one = sync_message_encode(&m, &arena);
    size_t at = (size_t)((uint8_t *)memmem(one.ptr, one.len, "\"leaves\":\"", 10) - one.ptr) + 10;
    uint8_t *bytes = arena_alloc(&arena, one.len);
    size_t len;
    assert_int_equal(b64_decode(slice_of(one.ptr + at, one.len - at - 2), bytes, one.len, &len),
                     ERR_OK);
    assert_int_equal(len, LEAF_BYTES + SYNC_ENTRIES_MAX * ENTRY_BYTES);
    bytes[LEAF_BYTES - 2] = (uint8_t)(SYNC_ENTRIES_MAX + 1);
    bytes[LEAF_BYTES - 1] = (uint8_t)((SYNC_ENTRIES_MAX + 1) >> 8);
    assert_int_equal(
        sync_message_decode(with_bytes("leaves", "leaves", slice_of(bytes, len)), &arena, &got),
        ERR_FORMAT);
    memset(bytes + len, 0xff, ENTRY_BYTES);
    bytes[len] = SYNC_ROW_CLAIM;
    assert_int_equal(
        sync_message_decode(with_bytes("leaves", "leaves", slice_of(bytes, len + ENTRY_BYTES)),
                            &arena, &got),
        ERR_LIMIT);
}

/* I2: who reads a leaf may rely on its order. */
static void test_entries_are_in_order(void **state)
{
    struct sync_message m = message_of(SYNC_LEAVES), got;
    struct sync_leaf leaf = {.n = 3, .entries = entries_of(3)};
    struct sync_entry third = leaf.entries[2];
    (void)state;
    m.u.leaves.n = 1;
    m.u.leaves.leaves = &leaf;
    assert_int_equal(sync_decoded(&m, &got), ERR_OK);
    leaf.entries[2] = leaf.entries[1];
    assert_int_equal(sync_decoded(&m, &got), ERR_FORMAT);
    leaf.entries[2] = leaf.entries[0];
    assert_int_equal(sync_decoded(&m, &got), ERR_FORMAT);
    leaf.entries[2] = third;
    leaf.more = true;
    memcpy(leaf.through, third.digest, sizeof(leaf.through));
    assert_int_equal(sync_decoded(&m, &got), ERR_OK);
    leaf.through[1]--;
    assert_int_equal(sync_decoded(&m, &got), ERR_FORMAT);
    leaf.more = false;
    memcpy(leaf.from, leaf.entries[0].digest, sizeof(leaf.from));
    assert_int_equal(sync_decoded(&m, &got), ERR_FORMAT);
    leaf.from[2]--;
    assert_int_equal(sync_decoded(&m, &got), ERR_OK);
    for (unsigned kind = 0; kind < 256; kind += kind < 5 ? 1 : 50) {
        leaf.entries[0].kind = (enum sync_row_kind)kind;
        assert_int_equal(sync_decoded(&m, &got), kind >= 1 && kind <= 4 ? ERR_OK : ERR_FORMAT);
    }
}

static void test_limits_of_wants(void **state)
{
    static struct sync_want rows[SYNC_WANT_MAX];
    struct sync_message m = message_of(SYNC_WANT), got;
    (void)state;
    rows[SYNC_WANT_MAX - 1].leaf = 65535;
    m.u.want.rows = rows;
    m.u.want.n = SYNC_WANT_MAX;
    assert_true(sync_message_encode(&m, &arena).len <= PACKET_BYTES_MAX);
    assert_int_equal(sync_decoded(&m, &got), ERR_OK);
    assert_int_equal(got.u.want.n, SYNC_WANT_MAX);
    assert_int_equal(got.u.want.rows[SYNC_WANT_MAX - 1].leaf, 65535);
    assert_int_equal(got.horizon_us, m.horizon_us);
    m.u.want.n = 0;
    assert_int_equal(sync_decoded(&m, &got), ERR_FORMAT);
    assert_int_equal(bytes_decoded("want", "want", 18 * (SYNC_WANT_MAX + 1)), ERR_LIMIT);
    assert_int_equal(bytes_decoded("want", "want", 17), ERR_FORMAT);
}

static void test_probes_and_proofs(void **state)
{
    struct sync_message m = message_of(SYNC_PROBE), got;
    (void)state;
    m.u.probe.video_id = sample_id("v");
    m.u.probe.n = PROBE_PARTS_MAX;
    m.u.probe.parts[PROBE_PARTS_MAX - 1] = (struct probe_part){UINT32_MAX, UINT16_MAX};
    assert_int_equal(sync_decoded(&m, &got), ERR_OK);
    assert_int_equal(got.u.probe.n, PROBE_PARTS_MAX);
    assert_int_equal(got.u.probe.parts[PROBE_PARTS_MAX - 1].chunk, UINT32_MAX);
    assert_int_equal(got.u.probe.parts[PROBE_PARTS_MAX - 1].part, UINT16_MAX);
    m.u.probe.n = 1;
    struct slice text = sync_message_encode(&m, &arena);
    assert_int_equal(sync_message_decode(text, &arena, &got), ERR_OK);
    struct slice nine = slice_of(arena_alloc(&arena, 54), 54);
    char b64[80];
    b64_encode(nine, b64);
    assert_int_equal(
        sync_message_decode(sample_edit(&arena, text, "AAAAAAAA\"}", b64), &arena, &got),
        ERR_FORMAT);
    m.u.probe.n = 0;
    assert_int_equal(sync_decoded(&m, &got), ERR_FORMAT);
    assert_int_equal(
        sync_message_decode(sample_edit(&arena, text, "\"nonce\"", "\"n\""), &arena, &got),
        ERR_FORMAT);
    m = message_of(SYNC_PROOF);
    m.u.proof.video_id = sample_id("v");
    assert_int_equal(sync_decoded(&m, &got), ERR_FORMAT);
    m.u.proof.proof = sample_bytes(&arena, PROOF_OBJECT_BYTES_MAX);
    assert_int_equal(sync_decoded(&m, &got), ERR_OK);
    m.u.proof.proof = sample_bytes(&arena, PROOF_OBJECT_BYTES_MAX + 1);
    assert_int_equal(sync_decoded(&m, &got), ERR_LIMIT);
}

static void test_what_is_no_sync(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"EDGE_ID\":\"e\"}",
        "{\"EDGE_ID\":\"e\",\"sync\":\"\"}",
        "{\"EDGE_ID\":\"e\",\"sync\":1}",
        "{\"EDGE_ID\":\"e\",\"sync\":\"digest\"}",
        "{\"sync\":\"rows\",\"claims\":[]}",
        "{\"EDGE_ID\":\"e\",\"sync\":\"rows\"}",
        "{\"EDGE_ID\":\"e\",\"sync\":\"want\",\"horizon\":-1,\"want\":\"AAAA\"}"};
    struct sync_message m;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (sync_message_decode(slice_str(bad[i]), &arena, &m) != ERR_FORMAT)
            fail_msg("%s", bad[i]);
    assert_int_equal(
        sync_message_decode(slice_str("{\"EDGE_ID\":\"e\",\"sync\":\"rows\",\"claims\":[]}"),
                            &arena, &m),
        ERR_OK);
    assert_int_equal(m.u.rows.claims_n, 0);
}

/* --- deletions ------------------------------------------------------------------------ */

static void test_delete_requests(void **state)
{
    struct delete_request m = {.video_id = sample_id("v"),
                               .streamer_id = sample_id("s"),
                               .client_id = slice_str("c"),
                               .deletion = sample_bytes(&arena, DELETION_OBJECT_BYTES_MAX)},
                          got;
    struct request_signer signer = sample_signer();
    struct request_auth auth;
    (void)state;
    struct slice by_zone = delete_request_encode(&m, NULL, &arena);
    assert_int_equal(delete_request_decode(by_zone, &arena, &got), ERR_OK);
    assert_true(got.signature.auth.len == 0 && slice_eq_str(got.client_id, "c"));
    m.client_id = (struct slice){0}; /* nobody to answer, nobody who asks */
    assert_int_equal(delete_request_decode(delete_request_encode(&m, NULL, &arena), &arena, &got),
                     ERR_FORMAT);
    m.credential = slice_str("credential");
    struct slice text = delete_request_encode(&m, &signer, &arena);
    assert_int_equal(delete_request_decode(text, &arena, &got), ERR_OK);
    assert_int_equal(request_check(slice_str("video/delete"), signer.target, &got.signature.fields,
                                   got.signature.auth, &signer.key->pk, &auth, NULL),
                     ERR_OK);
    assert_int_equal(auth.ts_us, signer.ts_us);
    text = sample_edit(&arena, text, "\"v\"", "\"w\"");
    assert_int_equal(delete_request_decode(text, &arena, &got), ERR_OK);
    assert_int_equal(request_check(slice_str("video/delete"), signer.target, &got.signature.fields,
                                   got.signature.auth, &signer.key->pk, &auth, NULL),
                     ERR_SIGNATURE);
    m.deletion = sample_bytes(&arena, DELETION_OBJECT_BYTES_MAX + 1);
    assert_int_equal(delete_request_decode(delete_request_encode(&m, NULL, &arena), &arena, &got),
                     ERR_LIMIT);
    m.deletion = (struct slice){0};
    assert_int_equal(delete_request_decode(delete_request_encode(&m, NULL, &arena), &arena, &got),
                     ERR_FORMAT);
}

static void test_delete_replies(void **state)
{
    struct delete_reply m = {.video_id = sample_id("v"), .edge_id = sample_id("e")};
    (void)state;
    struct slice text = delete_reply_encode(&m, &arena);
    assert_true(slice_eq_str(text, "{\"status\":\"ok\",\"video_id\":\"v\",\"EDGE_ID\":\"e\"}"));
    assert_int_equal(delete_reply_decode(sample_edit(&arena, text, "ok", "no"), &arena, &m),
                     ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_written),
        cmocka_unit_test(test_all_three_messages_are_read),
        cmocka_unit_test(test_limits_of_bytes),
        cmocka_unit_test(test_what_does_not_fit_leaves_no_trace),
        cmocka_unit_test(test_limits_of_counts),
        cmocka_unit_test(test_bad_entries_are_skipped),
        cmocka_unit_test(test_what_is_no_bundle),
        cmocka_unit_test(test_limits_of_nodes),
        cmocka_unit_test(test_limits_of_leaves),
        cmocka_unit_test(test_entries_are_in_order),
        cmocka_unit_test(test_limits_of_wants),
        cmocka_unit_test(test_probes_and_proofs),
        cmocka_unit_test(test_what_is_no_sync),
        cmocka_unit_test(test_delete_requests),
        cmocka_unit_test(test_delete_replies),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, release);
}
