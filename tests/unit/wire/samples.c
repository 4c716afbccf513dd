#include "tests/unit/wire/samples.h"

#include "base/check.h"

/* --- values ---------------------------------------------------------------------- */

struct slice sample_text(struct arena *arena, char c, size_t n)
{
    char *s = arena_alloc(arena, n + 1);
    memset(s, c, n);
    return slice_of(s, n);
}

struct slice sample_bytes(struct arena *arena, size_t n)
{
    uint8_t *bytes = arena_alloc(arena, n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256 + 1);
    return slice_of(bytes, n);
}

struct id sample_id(const char *s)
{
    struct id id;
    CHECK(id_parse(slice_str(s), &id) == ERR_OK);
    return id;
}

const struct signkey *sample_key(void)
{
    static struct signkey key;
    static const uint8_t seed[KEY_BYTES] = {1, 2, 3};
    signkey_from_seed(seed, &key);
    return &key;
}

struct request_signer sample_signer(void)
{
    return (struct request_signer){.target = slice_str("edge1"),
                                   .ts_us = 1795259370123456,
                                   .nonce = {{9, 8, 7}},
                                   .key = sample_key()};
}

struct slice sample_packet(struct arena *arena, size_t n, uint32_t part_bytes, uint32_t index)
{
    struct chunk_cutter cutter;
    struct cut_chunk cut;
    struct hash stream = {{5}};
    uint8_t *packet = arena_alloc(arena, PACKET_BYTES_MAX);
    chunk_cutter_init(&cutter, &stream, sample_key(), part_bytes);
    CHECK(chunk_cut(&cutter, CHUNK_INIT, 0, 1795259370123456, 0, sample_bytes(arena, n), &cut) ==
          ERR_OK);
    size_t len = cut_chunk_part(&cut, index, packet);
    cut_chunk_release(&cut);
    return slice_of(packet, len);
}

struct slice sample_edit(struct arena *arena, struct slice text, const char *from, const char *to)
{
    const uint8_t *at = memmem(text.ptr, text.len, from, strlen(from));
    CHECK(at);
    size_t before = (size_t)(at - text.ptr), len = text.len - strlen(from) + strlen(to);
    uint8_t *edited = arena_alloc(arena, len + 1);
    memcpy(edited, text.ptr, before);
    memcpy(edited + before, to, strlen(to));
    memcpy(edited + before + strlen(to), at + strlen(from), text.len - before - strlen(from));
    return slice_of(edited, len);
}

/* --- one of each ------------------------------------------------------------------- */

#define AGAIN(type)                                                                                \
    static struct slice type##_again(struct slice text, struct arena *arena, enum err *ret_err)    \
    {                                                                                              \
        struct type m;                                                                             \
        *ret_err = type##_decode(text, arena, &m);                                                 \
        return *ret_err == ERR_OK ? type##_encode(&m, arena) : (struct slice){0};                  \
    }                                                                                              \
    static struct slice type##_text(struct arena *arena)

static const struct hash some_hash = {{1, 2, 3, 4}};

AGAIN(params_request)
{
    struct params_request m = {.client_id = slice_str("client1")};
    return params_request_encode(&m, arena);
}

AGAIN(params_reply)
{
    struct params_reply m = {.params = sample_bytes(arena, ZONE_OBJECT_BYTES_MAX),
                             .revocations = sample_bytes(arena, 300)};
    return params_reply_encode(&m, arena);
}

AGAIN(revocations_message)
{
    struct revocations_message m = {.revocations = sample_bytes(arena, 300)};
    return revocations_message_encode(&m, arena);
}

AGAIN(broker_login)
{
    struct broker_login m = {.user = slice_str("edge1"), .password = slice_str("ab\"12\n")};
    return broker_login_encode(&m, arena);
}

AGAIN(zone_request)
{
    struct zone_request m = {
        .enrolment = {.edge_id = sample_id("edge1"),
                      .pk = sample_key()->pk,
                      .ts_us = 1795259370123456,
                      .nonce = {{3}}},
        .proof = sample_bytes(arena, ENROL_PROOF_BYTES),
    };
    return zone_request_encode(&m, arena);
}

AGAIN(zone_reply)
{
    struct zone_reply m = {
        .edge_id = sample_id("edge1"),
        .params = sample_bytes(arena, 200),
        .credential = sample_bytes(arena, CREDENTIAL_OBJECT_BYTES_MAX),
        .nonce = {{3}},
        .proof = some_hash,
        .broker = sample_bytes(arena, BROKER_LOGIN_BYTES_MAX),
    };
    return zone_reply_encode(&m, arena);
}

AGAIN(user_reply)
{
    struct user_reply m = {.credential = sample_bytes(arena, 300),
                           .request = some_hash,
                           .broker = sample_bytes(arena, 200)};
    return user_reply_encode(&m, arena);
}

AGAIN(ping_request)
{
    struct ping_request m = {.client_id = slice_str("client1")};
    return ping_request_encode(&m, arena);
}

AGAIN(ping_reply)
{
    struct ping_reply m = {
        .edge_id = sample_id("edge1"),
        .load = {12, 8000000000, 5000000000, 3000000000, 38, 100, 60, 40, 60},
        .zone_id = sample_id("zone1"),
        .version = slice_str("1.0"),
        .streams = 2,
        .viewers = 3,
        .uptime_s = 99,
        .token = sample_bytes(arena, TOKEN_BYTES),
        .contact = {12, 1795259370123456, true, 1795259370000001},
    };
    return ping_reply_encode(&m, arena);
}

AGAIN(edge_status)
{
    struct edge_status m = {.edge_id = sample_id("edge1"),
                            .online = true,
                            .zone = slice_str("zone1"),
                            .ts_ms = 1795259370123,
                            .videos = 12,
                            .streams = 1,
                            .viewers = 7,
                            .uptime_s = 3600,
                            .signed_status = sample_bytes(arena, STATUS_OBJECT_BYTES_MAX),
                            .credential = sample_bytes(arena, 300),
                            .contact = {12, 0, true, 1795259370000001}};
    return edge_status_encode(&m, arena);
}

AGAIN(watch_info)
{
    struct watch_info m = {
        .video_id = sample_id("video1"),
        .title = slice_str("Ma première vidéo"),
        .edge_id = slice_str("edge1"),
        .streamer_id = sample_id("streamer1"),
        .streamer_name = slice_str("Léa"),
        .media_type = slice_str("video/mp4"),
        .codecs = slice_str("avc1.64001f,mp4a.40.2"),
        .live = true,
        .chunks = 21,
        .bytes = 12345678,
        .statement = sample_bytes(arena, VIDEO_OBJECT_BYTES_MAX),
        .credential = sample_bytes(arena, 300),
        .manifest = sample_bytes(arena, MANIFEST_OBJECT_BYTES_MAX),
        .token = sample_bytes(arena, TOKEN_BYTES),
        .receipt = sample_bytes(arena, RECEIPT_OBJECT_BYTES_MAX),
        .receipt_credential = sample_bytes(arena, 310),
        .delegation = sample_bytes(arena, DELEGATION_OBJECT_BYTES_MAX),
        .thumbnail_part = sample_bytes(arena, 500),
    };
    return watch_info_encode(&m, arena);
}

AGAIN(watch_request)
{
    struct watch_request m = {.kind = WATCH_SEEK,
                              .client_id = slice_str("client1"),
                              .video_id = sample_id("video1"),
                              .chunk_part = 3,
                              .part = 4,
                              .pull = 5,
                              .window_bytes = WATCH_WINDOW_BYTES_MAX,
                              .token = sample_bytes(arena, TOKEN_BYTES)};
    return watch_request_encode(&m, arena);
}

AGAIN(watch_end)
{
    struct watch_end m = {
        .video_id = sample_id("video1"), .has_pull = true, .pull = 5, .chunk_part = 21};
    return watch_end_encode(&m, arena);
}

AGAIN(live_join)
{
    struct live_join m = {.video_id = sample_id("1234"),
                          .client_id = slice_str("client1"),
                          .token = sample_bytes(arena, TOKEN_BYTES)};
    return live_join_encode(&m, arena);
}

AGAIN(upload_end)
{
    struct upload_end m = {.video_id = sample_id("video1"),
                           .streamer_id = sample_id("streamer1"),
                           .manifest = sample_bytes(arena, 143),
                           .statement = sample_bytes(arena, 400),
                           .delegation = sample_bytes(arena, 141)};
    return upload_end_encode(&m, arena);
}

AGAIN(upload_delegation)
{
    struct upload_delegation m = {.video_id = sample_id("video1"),
                                  .streamer_id = sample_id("streamer1"),
                                  .delegation = sample_bytes(arena, DELEGATION_OBJECT_BYTES_MAX)};
    return upload_delegation_encode(&m, arena);
}

AGAIN(upload_ack)
{
    struct upload_ack m = {.video_id = sample_id("video1"),
                           .edge_id = sample_id("edge1"),
                           .has_part = true,
                           .chunk_part = 3,
                           .packet_index = 0,
                           .next = 3,
                           .next_part = 1,
                           .window_bytes = 1048576,
                           .receipt = sample_bytes(arena, RECEIPT_OBJECT_BYTES_MAX),
                           .edge_credential = sample_bytes(arena, 300)};
    return upload_ack_encode(&m, arena);
}

AGAIN(list_request)
{
    struct list_request m = {.client_id = slice_str("client1"),
                             .paged = true,
                             .limit = LIST_LIMIT_MAX,
                             .after = slice_str("video1"),
                             .category = slice_str("Gaming"),
                             .query = slice_str("première"),
                             .has_live = true,
                             .live = true,
                             .token = sample_bytes(arena, TOKEN_BYTES)};
    return list_request_encode(&m, arena);
}

AGAIN(db_request)
{
    struct db_request m = {
        .edge_id = sample_id("edge2"), .root = slice_str("ab12"), .bundle = true, .page = 25};
    return db_request_encode(&m, arena);
}

AGAIN(db_update)
{
    struct db_update m = {
        .live = true,
        .video_id = sample_id("video1"),
        .title = slice_str("Ma première vidéo"),
        .category = slice_str("Gaming"),
        .description = slice_str("Description\nen deux lignes"),
        .thumbnail = slice_str("thumb1.jpg"),
        .streamer_id = sample_id("streamer1"),
        .streamer_name = slice_str("Léa"),
        .edge_id = sample_id("edge2"),
        .statement = sample_bytes(arena, 400),
        .credential = sample_bytes(arena, 300),
        .manifest = sample_bytes(arena, 143),
        .has_holding = true,
        .holding = {OBJECT_PRESENCE, sample_bytes(arena, 200), sample_bytes(arena, 300)},
    };
    return db_update_encode(&m, arena);
}

static struct slice db_deletion_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    return db_update_again(text, arena, ret_err);
}

static struct slice db_deletion_text(struct arena *arena)
{
    struct db_update m = {
        .removal = true,
        .video_id = sample_id("video1"),
        .streamer_id = sample_id("streamer1"),
        .edge_id = sample_id("edge2"),
        .deletion = sample_bytes(arena, DELETION_OBJECT_BYTES_MAX),
        .credential = sample_bytes(arena, 300),
    };
    return db_update_encode(&m, arena);
}

static struct catalogue_row some_row(struct arena *arena)
{
    struct holding_row *holdings = arena_alloc(arena, 2 * sizeof(*holdings));
    holdings[0] =
        (struct holding_row){OBJECT_CUSTODY, sample_bytes(arena, 200), sample_bytes(arena, 300)};
    holdings[1] =
        (struct holding_row){OBJECT_PRESENCE, sample_bytes(arena, 210), sample_bytes(arena, 310)};
    return (struct catalogue_row){
        .video_id = sample_id("video1"),
        .title = slice_str("Ma \"première\" vidéo"),
        .description = slice_str("Description"),
        .category = slice_str("Gaming"),
        .live = true,
        .edges = slice_str("edge1,edge2"),
        .offline = slice_str("edge2"),
        .thumbnail = slice_str("thumb1.jpg"),
        .streamer_id = sample_id("streamer1"),
        .created_us = 1795259370123456,
        .statement = sample_bytes(arena, 400),
        .credential = sample_bytes(arena, 300),
        .manifest = sample_bytes(arena, 143),
        .holdings_n = 2,
        .holdings = holdings,
    };
}

static struct slice list_reply_text(struct arena *arena)
{
    struct page *page = page_start(arena);
    struct catalogue_row row = some_row(arena);
    CHECK(page_add_row(page, &row, false) && page_add_row(page, &row, false));
    return page_end_list(page, slice_str("video1"), sample_bytes(arena, TOKEN_BYTES));
}

static struct slice list_reply_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    struct list_reply m;
    struct page *page = page_start(arena);
    *ret_err = list_reply_decode(text, arena, &m);
    if (*ret_err != ERR_OK)
        return (struct slice){0};
    for (size_t i = 0; i < m.n; i++)
        CHECK(page_add_row(page, &m.rows[i], false));
    return page_end_list(page, m.next, m.token);
}

static struct slice list_bare_text(struct arena *arena)
{
    struct page *page = page_start(arena);
    struct catalogue_row row = some_row(arena);
    CHECK(page_add_row(page, &row, false));
    return page_end_bare(page);
}

static struct slice list_bare_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    struct list_reply m;
    struct page *page = page_start(arena);
    *ret_err = list_reply_decode(text, arena, &m);
    if (*ret_err != ERR_OK)
        return (struct slice){0};
    for (size_t i = 0; i < m.n; i++)
        CHECK(page_add_row(page, &m.rows[i], false));
    return page_end_bare(page);
}

static struct slice db_reply_text(struct arena *arena)
{
    struct page *page = page_start(arena);
    struct catalogue_row row = some_row(arena);
    CHECK(page_add_row(page, &row, true));
    return page_end_db(page, 3, 7);
}

static struct slice db_reply_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    struct db_reply m;
    struct page *page = page_start(arena);
    *ret_err = db_reply_decode(text, arena, &m);
    if (*ret_err != ERR_OK)
        return (struct slice){0};
    for (size_t i = 0; i < m.n; i++)
        CHECK(page_add_row(page, &m.rows[i], true));
    return page_end_db(page, m.page, m.pages);
}

static struct slice upload_init_text(struct arena *arena)
{
    struct request_signer signer = sample_signer();
    struct upload_init m = {
        .video_id = sample_id("video1"),
        .title = slice_str("Ma première vidéo"),
        .description = slice_str("Description de la vidéo"),
        .category = slice_str("Gaming"),
        .thumbnail = slice_str("thumb1.jpg"),
        .streamer_id = sample_id("streamer1"),
        .streamer_name = slice_str("Léa"),
        .credential = sample_bytes(arena, 300),
        .statement = sample_bytes(arena, 400),
    };
    return upload_init_encode(&m, false, &signer, arena);
}

static struct slice upload_init_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    struct request_signer signer = sample_signer();
    struct upload_init m;
    *ret_err = upload_init_decode(text, arena, &m);
    return *ret_err == ERR_OK ? upload_init_encode(&m, false, &signer, arena) : (struct slice){0};
}

static struct slice delete_request_text(struct arena *arena)
{
    struct request_signer signer = sample_signer();
    struct delete_request m = {
        .video_id = sample_id("video1"),
        .streamer_id = sample_id("streamer1"),
        .credential = sample_bytes(arena, 300),
        .deletion = sample_bytes(arena, DELETION_OBJECT_BYTES_MAX),
    };
    return delete_request_encode(&m, &signer, arena);
}

static struct slice delete_request_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    struct request_signer signer = sample_signer();
    struct delete_request m;
    *ret_err = delete_request_decode(text, arena, &m);
    return *ret_err == ERR_OK ? delete_request_encode(&m, &signer, arena) : (struct slice){0};
}

AGAIN(delete_reply)
{
    struct delete_reply m = {.video_id = sample_id("video1"), .edge_id = sample_id("edge1")};
    return delete_reply_encode(&m, arena);
}

static struct slice user_request_text(struct arena *arena)
{
    struct request_signer signer = sample_signer();
    struct user_request m = {.user = slice_str("lea"),
                             .password = slice_str("secret"),
                             .pk = sample_key()->pk,
                             .client_id = slice_str("client1")};
    return user_request_encode(&m, &signer, arena);
}

static struct slice user_request_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    struct request_signer signer = sample_signer();
    struct user_request m;
    *ret_err = user_request_decode(text, arena, &m);
    return *ret_err == ERR_OK ? user_request_encode(&m, &signer, arena) : (struct slice){0};
}

static struct slice user_renewal_text(struct arena *arena)
{
    struct request_signer signer = sample_signer();
    struct user_request m = {.renew = sample_bytes(arena, CREDENTIAL_OBJECT_BYTES_MAX),
                             .pk = sample_key()->pk};
    return user_request_encode(&m, &signer, arena);
}

static struct slice user_renewal_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    return user_request_again(text, arena, ret_err);
}

static struct slice part_json_text(struct arena *arena)
{
    struct part_json m = {.video_id = sample_id("video1"),
                          .packet = sample_packet(arena, 2500, 1024, 1),
                          .number = 1,
                          .index = 1,
                          .parts_n = 3};
    return part_json_encode(&m, 0, arena);
}

static struct slice part_json_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    struct part_json m = {0};
    struct part part;
    struct msg *msg;
    *ret_err = part_json_decode(text, NULL, &m.video_id, &msg);
    if (*ret_err != ERR_OK)
        return (struct slice){0};
    CHECK(part_decode(msg->payload, &part) == ERR_OK);
    m.packet = arena_copy(arena, msg->payload);
    m.number = part.chunk.number;
    m.index = part.index;
    m.parts_n = part.chunk.parts_n;
    msg_unref(msg);
    return part_json_encode(&m, 0, arena);
}

/* --- db/sync ------------------------------------------------------------------------- */

static struct slice sync_again(struct slice text, struct arena *arena, enum err *ret_err)
{
    struct sync_message m;
    *ret_err = sync_message_decode(text, arena, &m);
    if (*ret_err != ERR_OK)
        return (struct slice){0};
    if (m.kind != SYNC_ROWS)
        return sync_message_encode(&m, arena);
    struct bundle_out *b = bundle_start(arena);
    for (size_t i = 0; i < m.u.rows.claims_n; i++)
        CHECK(bundle_add_claim(b, &m.u.rows.claims[i]));
    for (size_t i = 0; i < m.u.rows.holdings_n; i++)
        CHECK(bundle_add_holding(b, &m.u.rows.holdings[i]));
    return bundle_end_sync(b, &m.edge_id);
}

static struct slice sync_digests_text(struct arena *arena)
{
    struct sync_node nodes[] = {{.depth = 0}, {.depth = 3, .prefix = 0xfff}};
    memcpy(nodes[1].children, sample_bytes(arena, sizeof(nodes[1].children)).ptr,
           sizeof(nodes[1].children));
    struct sync_message m = {.kind = SYNC_DIGESTS,
                             .edge_id = sample_id("edge2"),
                             .horizon_us = 1795255200000000,
                             .u.digests = {2, nodes}};
    return sync_message_encode(&m, arena);
}

static struct slice sync_leaves_text(struct arena *arena)
{
    struct sync_entry entries[] = {
        {SYNC_ROW_CLAIM, {1}, 1795255200000001, {2}},
        {SYNC_ROW_DELETION, {2}, UINT64_MAX, {2, 1}},
        {SYNC_ROW_PRESENCE, {3}, 0, {3}},
    };
    struct sync_leaf leaves[] = {
        {.leaf = 0, .n = 0},
        {.leaf = 65535, .more = true, .from = {1}, .through = {3}, .n = 3, .entries = entries}};
    struct sync_message m = {.kind = SYNC_LEAVES,
                             .edge_id = sample_id("edge2"),
                             .horizon_us = 1795255200000000,
                             .u.leaves = {2, leaves}};
    return sync_message_encode(&m, arena);
}

static struct slice sync_want_text(struct arena *arena)
{
    struct sync_want rows[] = {{7, {1, 2}}, {65535, {3, 4}}};
    struct sync_message m = {.kind = SYNC_WANT,
                             .edge_id = sample_id("edge2"),
                             .horizon_us = 1795255200000000,
                             .u.want = {2, rows}};
    return sync_message_encode(&m, arena);
}

static struct slice sync_probe_text(struct arena *arena)
{
    struct sync_message m = {.kind = SYNC_PROBE,
                             .edge_id = sample_id("edge2"),
                             .u.probe = {.video_id = sample_id("video1"),
                                         .stream = some_hash,
                                         .nonce = {{5, 6}},
                                         .n = 2,
                                         .parts = {{1, 0}, {0xffffffff, 0xffff}}}};
    return sync_message_encode(&m, arena);
}

static struct slice sync_proof_text(struct arena *arena)
{
    struct sync_message m = {
        .kind = SYNC_PROOF,
        .edge_id = sample_id("edge2"),
        .u.proof = {sample_id("video1"), sample_bytes(arena, PROOF_OBJECT_BYTES_MAX)}};
    return sync_message_encode(&m, arena);
}

static struct slice sync_rows_text(struct arena *arena)
{
    struct slice streamer = sample_bytes(arena, 300), edge = sample_bytes(arena, 310);
    const struct bundle_claim claims[] = {
        {false, sample_bytes(arena, 400), streamer, sample_bytes(arena, 143), slice_str("thumb")},
        {.object = sample_bytes(arena, 401), .credential = streamer},
        {.deleted = true, .object = sample_bytes(arena, 150), .credential = streamer},
        {.deleted = true, .object = sample_bytes(arena, 151)},
    };
    const struct holding_row holdings[] = {{OBJECT_CUSTODY, sample_bytes(arena, 200), edge},
                                           {OBJECT_PRESENCE, sample_bytes(arena, 201), edge}};
    struct bundle_out *b = bundle_start(arena);
    struct id id = sample_id("edge2");
    for (size_t i = 0; i < 4; i++)
        CHECK(bundle_add_claim(b, &claims[i]));
    for (size_t i = 0; i < 2; i++)
        CHECK(bundle_add_holding(b, &holdings[i]));
    return bundle_end_sync(b, &id);
}

#define SYNC_SAMPLE(name)                                                                          \
    {                                                                                              \
#name, name##_text, sync_again                                                             \
    }
#define SAMPLE(name)                                                                               \
    {                                                                                              \
#name, name##_text, name##_again                                                           \
    }
const struct sample samples[] = {
    SAMPLE(params_request),    SAMPLE(params_reply),     SAMPLE(revocations_message),
    SAMPLE(broker_login),      SAMPLE(zone_request),     SAMPLE(zone_reply),
    SAMPLE(user_request),      SAMPLE(user_renewal),     SAMPLE(user_reply),
    SAMPLE(ping_request),      SAMPLE(ping_reply),       SAMPLE(edge_status),
    SAMPLE(watch_request),     SAMPLE(watch_info),       SAMPLE(watch_end),
    SAMPLE(live_join),         SAMPLE(upload_init),      SAMPLE(upload_end),
    SAMPLE(upload_delegation), SAMPLE(upload_ack),       SAMPLE(part_json),
    SAMPLE(list_request),      SAMPLE(list_reply),       SAMPLE(list_bare),
    SAMPLE(db_request),        SAMPLE(db_reply),         SAMPLE(db_update),
    SAMPLE(db_deletion),       SAMPLE(delete_request),   SAMPLE(delete_reply),
    SYNC_SAMPLE(sync_digests), SYNC_SAMPLE(sync_leaves), SYNC_SAMPLE(sync_want),
    SYNC_SAMPLE(sync_rows),    SYNC_SAMPLE(sync_probe),  SYNC_SAMPLE(sync_proof),
};
const size_t samples_n = sizeof(samples) / sizeof(samples[0]);
