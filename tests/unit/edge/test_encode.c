/* What the core says, as bytes: every message is read back by its decoder, and pages fit. */
#include "base/mem.h"
#include "edge/encode.h"
#include "tests/unit/edge/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;
static struct reel *film;

static int group_setup(void **state)
{
    scene_cast(state);
    film = scene_small("video1");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    reel_free(film);
    arena_release(&arena);
    return 0;
}

static struct slice encoded(enum message_kind message, const void *body)
{
    struct effect e = {.kind = EFFECT_SEND, .message = message, .body = body};
    struct slice payloads[ENCODE_MESSAGES_MAX];
    assert_int_equal(encode(&e, &arena, payloads), 1);
    assert_true(payloads[0].len <= PACKET_BYTES_MAX);
    return payloads[0];
}

static void test_small_ones(void **state)
{
    (void)state;
    struct ping_reply ping = {.edge_id = edge1.id, .uptime_s = 7};
    struct edge_status status = {.edge_id = edge1.id, .online = true, .streams = 3};
    struct upload_ack ack = {.video_id = film->video.video_id,
                             .edge_id = edge1.id,
                             .has_part = true,
                             .chunk_part = 4,
                             .next = 5,
                             .next_part = 2};
    struct wire_error error = {.code = CODE_QUOTA, .message = slice_str("no more")};
    struct db_request request = {.edge_id = edge1.id};
    assert_int_equal(ping_reply_decode(encoded(MESSAGE_PING_REPLY, &ping), &arena, &ping), ERR_OK);
    assert_int_equal(ping.uptime_s, 7);
    assert_int_equal(edge_status_decode(encoded(MESSAGE_EDGE_STATUS, &status), &arena, &status),
                     ERR_OK);
    assert_true(status.online && status.streams == 3);
    assert_int_equal(upload_ack_decode(encoded(MESSAGE_UPLOAD_ACK, &ack), &arena, &ack), ERR_OK);
    assert_true(ack.has_part && ack.chunk_part == 4 && ack.next == 5 && ack.next_part == 2);
    assert_true(reply_is_error(encoded(MESSAGE_ERROR, &error), &arena, &error));
    assert_int_equal(error.code, CODE_QUOTA);
    assert_int_equal(db_request_decode(encoded(MESSAGE_DB_REQUEST, &request), &arena, &request),
                     ERR_OK);
}

static void test_zone_request(void **state)
{
    (void)state;
    uint8_t proof[ENROL_PROOF_BYTES] = {1, 2, 3};
    struct zone_request m = {.enrolment = {.edge_id = edge1.id, .pk = edge1.key.pk, .ts_us = 5},
                             .proof = slice_of(proof, sizeof(proof))};
    assert_int_equal(zone_request_decode(encoded(MESSAGE_ZONE_REQUEST, &m), &arena, &m), ERR_OK);
    assert_int_equal(m.enrolment.ts_us, 5);
    assert_int_equal(m.proof.len, ENROL_PROOF_BYTES);
}

static void test_watching(void **state)
{
    (void)state;
    struct watch_request ask = {.kind = WATCH_SEEK,
                                .client_id = slice_str("edge1"),
                                .video_id = film->video.video_id,
                                .pull = 3,
                                .chunk_part = 4};
    struct watch_info info = {.video_id = film->video.video_id,
                              .title = slice_str("A title"),
                              .edges = slice_str("edge1,edge2"),
                              .streamer_id = alice.id,
                              .streamer_name = slice_str("Alice"),
                              .statement = film->statement,
                              .chunks = 2};
    struct watch_end end = {.video_id = film->video.video_id, .has_pull = true, .pull = 9};
    struct watch_info back;
    assert_int_equal(watch_request_decode(encoded(MESSAGE_WATCH_REQUEST, &ask), &arena, &ask),
                     ERR_OK);
    assert_true(ask.kind == WATCH_SEEK && ask.pull == 3);
    assert_int_equal(watch_info_decode(encoded(MESSAGE_WATCH_INFO, &info), &arena, &back), ERR_OK);
    assert_true(slice_eq(back.edges, info.edges) && back.chunks == 2);
    assert_int_equal(watch_info_decode(encoded(MESSAGE_LIVE_INFO_ALL, &info), &arena, &back),
                     ERR_OK);
    assert_true(slice_eq_str(back.streamer_name, "Alice"));
    assert_int_equal(watch_info_decode(encoded(MESSAGE_LIVE_INFO_ONE, &info), &arena, &back),
                     ERR_OK);
    assert_true(back.live);
    assert_int_equal(watch_end_decode(encoded(MESSAGE_WATCH_END, &end), &arena, &end), ERR_OK);
    assert_int_equal(end.pull, 9);
}

/* A part that one message cannot hold comes in two. */
static void test_part_json(void **state)
{
    (void)state;
    static uint8_t packet[PART_PAYLOAD_BYTES_MAX];
    struct part_json m = {.video_id = film->video.video_id,
                          .packet = slice_of(packet, PART_PAYLOAD_JSON_BYTES_MAX),
                          .number = 1,
                          .parts_n = 1};
    struct effect e = {.kind = EFFECT_SEND, .message = MESSAGE_PART_JSON, .body = &m};
    struct slice payloads[ENCODE_MESSAGES_MAX];
    assert_int_equal(encode(&e, &arena, payloads), 1);
    m.packet.len = sizeof(packet);
    assert_int_equal(encode(&e, &arena, payloads), 2);
    assert_true(payloads[0].len <= PACKET_BYTES_MAX && payloads[1].len <= PACKET_BYTES_MAX);
    assert_true(payloads[0].len + payloads[1].len > b64_text_len(sizeof(packet)));
}

static struct catalogue_row *rows_of(size_t n, size_t thumbnail_len, bool with_trust)
{
    struct catalogue_row *rows = mem_array(n, sizeof(*rows));
    static char thumbnail[THUMBNAIL_BYTES_MAX];
    char id[32];
    memset(thumbnail, 't', sizeof(thumbnail));
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "v%04zu", i);
        rows[i] = (struct catalogue_row){.video_id = stage_id(id),
                                         .title = slice_str("A title"),
                                         .category = slice_str("Gaming"),
                                         .edges = slice_str("edge1"),
                                         .thumbnail = slice_of(thumbnail, thumbnail_len),
                                         .streamer_id = alice.id,
                                         .created_us = REEL_UTC_US};
        if (!with_trust)
            continue;
        rows[i].statement = film->final_statement;
        rows[i].credential = member_credential(&alice);
        rows[i].manifest = film->manifest_bytes;
    }
    return rows;
}

static struct list_reply listed(const struct message_list *m)
{
    struct list_reply reply;
    assert_int_equal(list_reply_decode(encoded(MESSAGE_LIST, m), &arena, &reply), ERR_OK);
    return reply;
}

static void test_list(void **state)
{
    (void)state;
    struct catalogue_row *rows = rows_of(3, 10, false);
    struct message_list m = {.n = 3, .rows = rows, .token = slice_str("0123456789abcdef")};
    struct list_reply reply = listed(&m);
    assert_true(reply.n == 3 && reply.next.len == 0);
    assert_true(slice_starts(encoded(MESSAGE_LIST, &m), "[")); /* the original's */
    m.paged = true;
    reply = listed(&m);
    assert_true(reply.n == 3 && reply.next.len == 0 && slice_eq(reply.token, m.token));
    m.more = true;
    m.next = stage_id("v0007"); /* storage has looked so far */
    assert_true(slice_eq_str(listed(&m).next, "v0007"));
    m.n = 0;
    m.more = false;
    assert_int_equal(listed(&m).n, 0);
    free(rows);
}

/* Rows that do not fit: the page says after which one the next begins, and none is lost. */
static void test_list_too_long(void **state)
{
    (void)state;
    enum { N = 12 };
    struct catalogue_row *rows = rows_of(N, THUMBNAIL_BYTES_MAX, false);
    struct message_list m = {.paged = true, .n = N, .rows = rows};
    size_t n = 0;
    while (n < N) {
        m.rows = rows + n;
        m.n = N - n;
        struct list_reply reply = listed(&m);
        assert_true(reply.n > 0);
        n += reply.n;
        assert_int_equal(reply.next.len > 0, n < N);
        if (n < N)
            assert_true(slice_eq(reply.next, id_slice(&rows[n - 1].video_id)));
    }
    m = (struct message_list){.n = N, .rows = rows};
    assert_true(listed(&m).n > 1); /* the newest ones, as many as fit */
    free(rows);
}

static void test_db_page(void **state)
{
    (void)state;
    struct catalogue_row *rows = rows_of(20, 100, true);
    struct storage_streamer streamer = {alice.id, slice_str("Alice"), REEL_UTC_US};
    struct message_db_page m = {
        .n = 20, .rows = rows, .streamers_n = 1, .streamers = &streamer, .page = 3, .pages = 3};
    struct slice text = encoded(MESSAGE_DB_PAGE, &m);
    struct db_reply reply;
    assert_int_equal(db_reply_decode(text, &arena, &reply), ERR_OK);
    assert_true(reply.n == 20 && reply.skipped == 0 && reply.page == 3 && reply.pages == 3);
    assert_non_null(memmem(text.ptr, text.len, "\"Alice\"", 7));
    assert_true(slice_eq(reply.rows[19].statement, film->final_statement));
    m = (struct message_db_page){.page = 1, .pages = 1};
    assert_true(slice_eq_str(encoded(MESSAGE_DB_PAGE, &m), "{\"streamers\":\"\"}"));
    free(rows);
}

static void test_db_update(void **state)
{
    (void)state;
    struct holding h = {.zone_id = film->video.zone_id,
                        .edge_id = edge1.id,
                        .video_id = film->video.video_id,
                        .streamer_id = alice.id,
                        .stream = film->stream,
                        .state = 1};
    struct db_update m = {.video_id = film->video.video_id,
                          .streamer_id = alice.id,
                          .edge_id = edge1.id,
                          .statement = film->final_statement,
                          .credential = member_credential(&alice),
                          .manifest = film->manifest_bytes,
                          .has_holding = true,
                          .holding = {OBJECT_CUSTODY,
                                      reel_holding_object(&arena, OBJECT_CUSTODY, &h, &edge1.key),
                                      member_credential(&edge1)}};
    struct db_update back;
    assert_int_equal(db_update_decode(encoded(MESSAGE_DB_UPDATE, &m), &arena, &back), ERR_OK);
    assert_true(!back.removal && back.has_holding && back.holding.type == OBJECT_CUSTODY);
    assert_true(slice_eq(back.manifest, m.manifest));
    m.removal = true;
    m.live = true;
    m.statement = m.credential = m.manifest = (struct slice){0};
    m.holding.type = OBJECT_PRESENCE;
    assert_int_equal(db_update_decode(encoded(MESSAGE_DB_UPDATE, &m), &arena, &back), ERR_OK);
    assert_true(back.removal && back.holding.type == OBJECT_PRESENCE);
}

static void test_deletions(void **state)
{
    (void)state;
    struct db_update m = {.removal = true,
                          .video_id = film->video.video_id,
                          .streamer_id = alice.id,
                          .edge_id = edge1.id,
                          .deletion = slice_str("signed"),
                          .credential = member_credential(&alice)};
    struct db_update back;
    assert_int_equal(db_update_decode(encoded(MESSAGE_DB_UPDATE, &m), &arena, &back), ERR_OK);
    assert_true(back.removal && slice_eq_str(back.deletion, "signed") && !back.has_holding);
    struct delete_reply reply = {.video_id = film->video.video_id, .edge_id = edge1.id}, said;
    assert_int_equal(delete_reply_decode(encoded(MESSAGE_DELETE_REPLY, &reply), &arena, &said),
                     ERR_OK);
    assert_true(id_eq(&said.edge_id, &edge1.id));
}

/* The same rows in the three messages that carry them. */
static void test_bundles(void **state)
{
    (void)state;
    struct bundle_claim claims[] = {
        {.object = film->final_statement,
         .credential = member_credential(&alice),
         .manifest = film->manifest_bytes,
         .thumbnail = film->thumbnail},
        {.deleted = true, .object = slice_str("signed")},
    };
    struct holding_row holding = {OBJECT_CUSTODY, slice_str("signed"), member_credential(&edge1)};
    struct message_bundle m = {.edge_id = edge1.id,
                               .claims_n = 2,
                               .holdings_n = 1,
                               .claims = claims,
                               .holdings = &holding,
                               .page = 2,
                               .pages = 3};
    static const enum message_kind kinds[] = {MESSAGE_DB_LOT, MESSAGE_DB_BUNDLE, MESSAGE_SYNC_ROWS};
    for (size_t i = 0; i < 3; i++) {
        struct slice text = encoded(kinds[i], &m);
        struct bundle b;
        bool found = false;
        assert_int_equal(bundle_decode(text, &arena, &found, &b), ERR_OK);
        assert_true(found && b.claims_n == 2 && b.holdings_n == 1 && b.skipped == 0);
        assert_true(slice_eq(b.claims[0].object, film->final_statement));
        assert_true(b.claims[1].deleted && slice_eq_str(b.claims[1].object, "signed"));
        assert_true(slice_eq(b.holdings[0].edge_credential, member_credential(&edge1)));
        assert_int_equal(b.page, kinds[i] == MESSAGE_DB_BUNDLE ? 2 : 0);
    }
    struct sync_message sync;
    assert_int_equal(sync_message_decode(encoded(MESSAGE_SYNC_ROWS, &m), &arena, &sync), ERR_OK);
    assert_true(sync.kind == SYNC_ROWS && id_eq(&sync.edge_id, &edge1.id));
    m = (struct message_bundle){.edge_id = edge1.id, .page = 1, .pages = 1};
    m.asking = 7;
    assert_true(
        slice_eq_str(encoded(MESSAGE_DB_BUNDLE, &m),
                     "{\"EDGE_ID\":\"edge1\",\"asking\":7,\"claims\":[],\"page\":1,\"pages\":1}"));
}

static void test_sync(void **state)
{
    (void)state;
    struct sync_want want = {9, {1, 2, 3}};
    struct sync_message m = {
        .kind = SYNC_WANT, .edge_id = edge1.id, .horizon_us = REEL_UTC_US, .u.want = {1, &want}};
    struct sync_message back;
    assert_int_equal(sync_message_decode(encoded(MESSAGE_SYNC, &m), &arena, &back), ERR_OK);
    assert_true(back.kind == SYNC_WANT && back.horizon_us == REEL_UTC_US);
    assert_int_equal(back.u.want.rows[0].leaf, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_ones), cmocka_unit_test(test_zone_request),
        cmocka_unit_test(test_watching),   cmocka_unit_test(test_part_json),
        cmocka_unit_test(test_list),       cmocka_unit_test(test_list_too_long),
        cmocka_unit_test(test_db_page),    cmocka_unit_test(test_db_update),
        cmocka_unit_test(test_deletions),  cmocka_unit_test(test_bundles),
        cmocka_unit_test(test_sync),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
