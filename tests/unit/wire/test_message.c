/* Error answers, and who asks: signed requests, enrolment, login, presence. */
#include "tests/unit/wire/samples.h"
#include "wire/address.h"
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

/* --- errors ----------------------------------------------------------------------- */

static void test_codes(void **state)
{
    static const struct {
        enum err err;
        const char *name;
    } codes[] = {
        {ERR_FORMAT, "bad_request"},
        {ERR_LIMIT, "too_large"},
        {ERR_SIGNATURE, "bad_signature"},
        {ERR_UNAUTHORIZED, "unauthorized"},
        {ERR_UNKNOWN, "unknown_video"},
        {ERR_CONFLICT, "conflict"},
        {ERR_QUOTA, "quota"},
        {ERR_BUSY, "busy"},
        {ERR_STORAGE_FULL, "storage_full"},
        {ERR_NOT_READY, "not_ready"},
        {ERR_IO, "internal"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_string_equal(wire_code_name(wire_code_of(codes[i].err)), codes[i].name);
        assert_int_equal(wire_code_err(slice_str(codes[i].name)), codes[i].err);
    }
    assert_int_equal(wire_code_of(ERR_TIMEOUT), CODE_BUSY);
    assert_int_equal(wire_code_of(ERR_CLOSED), CODE_INTERNAL);
    assert_int_equal(wire_code_of(ERR_OK), CODE_INTERNAL);
    assert_int_equal(wire_code_err(slice_str("from_the_future")), ERR_BUSY);
    assert_int_equal(wire_code_err((struct slice){0}), ERR_BUSY);
}

static void test_errors_come_back(void **state)
{
    (void)state;
    struct wire_error sent = {
        .code = CODE_CONFLICT,
        .message = slice_str("the id is taken"),
        .video_id = slice_str("video1"),
        .client_id = slice_str("client1"),
        .edge_id = slice_str("edge1"),
        .chunk_part = 3,
        .has_packet_index = true,
        .pull = 9,
        .request = {{1, 2, 3}},
    };
    struct slice text = wire_error_encode(&sent, &arena);
    assert_true(slice_starts(text, "{\"status\":\"error\",\"code\":\"conflict\",\"message\":"));
    struct wire_error got;
    assert_true(reply_is_error(text, &arena, &got));
    assert_int_equal(got.code, CODE_CONFLICT);
    assert_true(slice_eq_str(got.code_text, "conflict"));
    assert_true(slice_eq(got.message, sent.message) && slice_eq(got.video_id, sent.video_id) &&
                slice_eq(got.client_id, sent.client_id) && slice_eq(got.edge_id, sent.edge_id));
    assert_true(got.chunk_part == 3 && got.has_packet_index && got.packet_index == 0 &&
                got.pull == 9);
    assert_true(hash_eq(&got.request, &sent.request));
    struct wire_error bare = {.code = CODE_BUSY};
    text = wire_error_encode(&bare, &arena);
    assert_true(slice_eq_str(text, "{\"status\":\"error\",\"code\":\"busy\",\"message\":\"\"}"));
    assert_true(reply_is_error(text, &arena, &got));
    assert_true(hash_is_zero(&got.request) && !got.has_packet_index);
}

static void test_what_is_no_error(void **state)
{
    static const char *const no[] = {"",
                                     "EVC1",
                                     "{}",
                                     "[]",
                                     "{\"status\":\"ok\"}",
                                     "{\"status\":1}",
                                     "{\"status\":\"error\"",
                                     "{\"status\":[\"error\"]}"};
    struct wire_error got;
    (void)state;
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(reply_is_error(slice_str(no[i]), &arena, &got));
}

/* An error stays an error, whatever else is wrong with it. */
static void test_damaged_errors_are_errors(void **state)
{
    struct wire_error got;
    (void)state;
    assert_true(reply_is_error(slice_str("{\"status\":\"error\",\"code\":7,\"message\":[],"
                                         "\"video_id\":{},\"chunk_part\":\"x\",\"pull\":-1,"
                                         "\"packet_index\":1e99,\"EDGE_ID\":\"edge1\","
                                         "\"request\":\"AAAA\"}"),
                               &arena, &got));
    assert_int_equal(got.code, CODE_BUSY);
    assert_true(got.message.len == 0 && got.video_id.len == 0 && got.chunk_part == 0);
    assert_false(got.has_packet_index);
    assert_true(slice_eq_str(got.edge_id, "edge1") && hash_is_zero(&got.request));
}

static void test_addresses(void **state)
{
    (void)state;
    struct reply_address a = address_read(
        slice_str("{\"client_ID\":\"c\",\"streamer_id\":7,\"video_id\":\"v\",\"ID\":\"e\"}"),
        &arena);
    assert_true(slice_eq_str(a.client_id, "c") && slice_eq_str(a.video_id, "v"));
    assert_true(slice_eq_str(a.edge_id, "e") && a.streamer_id.len == 0);
    a = address_read(slice_str("{\"client_id\":\"c\""), &arena);
    assert_int_equal(a.client_id.len, 0);
}

/* --- signed requests ------------------------------------------------------------------ */

static struct slice signed_init(struct hash *ret_request)
{
    struct request_signer signer = sample_signer();
    signer.ret_request = ret_request;
    struct upload_init m = {.video_id = sample_id("video1"),
                            .title = slice_str("Ma \"première\"\nvidéo"),
                            .thumbnail = slice_str("thumb1.jpg"),
                            .streamer_id = sample_id("streamer1")};
    return upload_init_encode(&m, false, &signer, &arena);
}

static enum err check(struct slice text, const char *type, const char *target, struct hash *ret)
{
    struct upload_init m;
    struct request_auth auth;
    enum err err = upload_init_decode(text, &arena, &m);
    if (err != ERR_OK)
        return err;
    return request_check(slice_str(type), slice_str(target), &m.signature.fields, m.signature.auth,
                         &sample_key()->pk, &auth, ret);
}

static void test_signed_requests_verify(void **state)
{
    struct hash signed_request, checked;
    (void)state;
    struct slice text = signed_init(&signed_request);
    assert_int_equal(check(text, "video/upload", "edge1", &checked), ERR_OK);
    assert_true(hash_eq(&signed_request, &checked));
    assert_int_equal(check(text, "live/upload", "edge1", NULL), ERR_SIGNATURE);
    assert_int_equal(check(text, "video/upload", "edge2", NULL), ERR_SIGNATURE);
}

/* What may change on the way without the signature's noticing, and what may not. */
static void test_what_a_signature_covers(void **state)
{
    static const struct {
        const char *from, *to;
        enum err err;
    } edits[] = {
        {"\"init\":1", "\"init\": 1.0", ERR_OK},
        {"\"init\":1", "\"init\":\"1\"", ERR_OK},
        {"\"thumb1.jpg\"", "\"\\u0074humb1.jpg\"", ERR_OK},
        {"\"init\":1,", "", ERR_SIGNATURE},
        {"\"init\":1", "\"init\":true", ERR_SIGNATURE},
        {"\"end\":\"0\"", "\"end\":\"1\"", ERR_SIGNATURE},
        {"thumb1.jpg", "thumb2.jpg", ERR_SIGNATURE},
        {"\"video_nom\"", "\"title\"", ERR_SIGNATURE},
        {"{", "{\"unknown\":null,", ERR_SIGNATURE},
        {"{", "{\"unknown\":1.5,", ERR_FORMAT},
        {"{", "{\"unknown\":[],", ERR_FORMAT},
        {"{", "{\"unknown\":9007199254740992,", ERR_FORMAT},
        {"{", "{\"init\":1,", ERR_FORMAT},
        {"{", "{\"auth\":\"\",", ERR_FORMAT},
        {"\"auth\":\"", "\"auth\":\"AAAA", ERR_LIMIT},
        {"\"auth\":", "\"auth\":\"AAAA\",\"x\":", ERR_FORMAT},
    };
    (void)state;
    struct slice text = signed_init(NULL);
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct slice edited = sample_edit(&arena, text, edits[i].from, edits[i].to);
        enum err err = check(edited, "video/upload", "edge1", NULL);
        if (err != edits[i].err)
            fail_msg("%s -> %s: %s", edits[i].from, edits[i].to, err_name(err));
    }
}

/* Our own hash over the fields of a fixture agrees with what decode gives. */
static void test_fields_of_an_unsigned_request(void **state)
{
    struct upload_init m;
    struct hash expected;
    (void)state;
    assert_int_equal(upload_init_decode(slice_str("{\"video_id\":\"v\",\"streamer_id\":\"s\","
                                                  "\"end\":0,\"thumbnail\":12456,\"x\":false}"),
                                        &arena, &m),
                     ERR_OK);
    struct field fields[] = {
        {slice_str("x"), slice_str("false")},         {slice_str("video_id"), slice_str("v")},
        {slice_str("streamer_id"), slice_str("s")},   {slice_str("end"), slice_str("0")},
        {slice_str("thumbnail"), slice_str("12456")},
    };
    assert_int_equal(fields_hash(fields, 5, &expected), ERR_OK);
    assert_true(hash_eq(&m.signature.fields, &expected));
    assert_int_equal(m.signature.auth.len, 0);
}

/* --- enrolment and login ---------------------------------------------------------------- */

static void test_enrolment_without_proof(void **state)
{
    struct zone_request m;
    (void)state;
    assert_int_equal(zone_request_decode(slice_str("{\"ID\":\"EDGE\"}"), &arena, &m), ERR_OK);
    assert_string_equal(m.enrolment.edge_id.s, "EDGE");
    assert_int_equal(m.proof.len, 0);
    assert_int_equal(zone_request_decode(slice_str("{\"ID\":\"\"}"), &arena, &m), ERR_FORMAT);
    assert_int_equal(zone_request_decode(slice_str("{}"), &arena, &m), ERR_FORMAT);
}

static void test_enrolment_survives_the_wire(void **state)
{
    static const uint8_t secret[KEY_BYTES] = {7};
    struct zone_request sent = {.enrolment = {.edge_id = sample_id("edge1"),
                                              .pk = sample_key()->pk,
                                              .ts_us = 1795259370123456,
                                              .nonce = {{1}}}},
                        got;
    uint8_t proof[ENROL_PROOF_BYTES];
    struct hash request, checked;
    (void)state;
    enrolment_prove(&sent.enrolment, secret, sample_key(), proof, &request);
    sent.proof = slice_of(proof, sizeof(proof));
    struct slice text = zone_request_encode(&sent, &arena);
    assert_int_equal(zone_request_decode(text, &arena, &got), ERR_OK);
    assert_int_equal(enrolment_check(&got.enrolment, secret, got.proof, &checked), ERR_OK);
    assert_true(hash_eq(&request, &checked));
    static const char *const keys[] = {"\"pk\"", "\"ts\"", "\"nonce\""};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            zone_request_decode(sample_edit(&arena, text, keys[i], "\"x\""), &arena, &got),
            ERR_FORMAT);
    struct slice longer = sample_edit(&arena, text, "\"proof\":\"", "\"proof\":\"AAAA");
    assert_int_equal(zone_request_decode(longer, &arena, &got), ERR_LIMIT);
    sent.proof = slice_of(proof, sizeof(proof) - 1);
    assert_int_equal(zone_request_decode(zone_request_encode(&sent, &arena), &arena, &got),
                     ERR_FORMAT);
}

static enum err login(const char *text)
{
    struct user_request m;
    return user_request_decode(slice_str(text), &arena, &m);
}

#define PK "\"pk\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""
static void test_logins(void **state)
{
    (void)state;
    assert_int_equal(login("{\"ownerId\":\"JWT\"}"), ERR_FORMAT); /* S, without pk */
    assert_int_equal(login("{\"ownerId\":\"JWT\"," PK "}"), ERR_OK);
    assert_int_equal(login("{\"user\":\"lea\",\"password\":\"x\"," PK "}"), ERR_OK);
    assert_int_equal(login("{\"user\":\"lea\"," PK "}"), ERR_FORMAT);
    assert_int_equal(login("{\"password\":\"x\"," PK "}"), ERR_FORMAT);
    assert_int_equal(login("{" PK "}"), ERR_FORMAT);
    assert_int_equal(login("{\"ownerId\":\"JWT\",\"user\":\"lea\",\"password\":\"x\"," PK "}"),
                     ERR_FORMAT);
    assert_int_equal(login("{\"renew\":\"AAAA\"," PK "}"), ERR_OK);
    assert_int_equal(login("{\"renew\":\"\"," PK "}"), ERR_FORMAT);
    assert_int_equal(login("{\"renew\":\"AAAA\"}"), ERR_FORMAT);
    assert_int_equal(login("{\"renew\":\"AAAA\",\"ownerId\":\"JWT\"," PK "}"), ERR_FORMAT);
    assert_int_equal(login("{\"renew\":\"AAAA\",\"user\":\"lea\",\"password\":\"x\"," PK "}"),
                     ERR_FORMAT);
    assert_int_equal(login("{\"renew\":\"AAAA\",\"password\":\"x\"," PK "}"), ERR_FORMAT);
    assert_int_equal(login("{\"renew\":\"AAAA\",\"ownerId\":\"JWT\",\"user\":\"lea\","
                           "\"password\":\"x\"," PK "}"),
                     ERR_FORMAT);
    assert_int_equal(login("{\"sealed\":\"\"}"), ERR_FORMAT);
    struct user_request m;
    struct slice text = user_sealed_encode(slice_str("sealed bytes"), &arena);
    assert_int_equal(user_request_decode(text, &arena, &m), ERR_OK);
    assert_true(slice_eq_str(m.sealed, "sealed bytes"));
}

static enum err login_of(size_t user, size_t password, size_t jwt)
{
    struct user_request m = {.user = sample_text(&arena, 'u', user),
                             .password = sample_text(&arena, 'p', password),
                             .owner_id = sample_text(&arena, 'j', jwt)};
    struct request_signer signer = sample_signer();
    struct user_request got;
    return user_request_decode(user_request_encode(&m, &signer, &arena), &arena, &got);
}

static enum err renewal_of(size_t bytes)
{
    struct user_request m = {.renew = sample_bytes(&arena, bytes)}, got;
    struct request_signer signer = sample_signer();
    enum err err = user_request_decode(user_request_encode(&m, &signer, &arena), &arena, &got);
    assert_true(err != ERR_OK || slice_eq(got.renew, m.renew));
    return err;
}

/* What was sealed to a key comes back with it; other bytes, or too many, do not. */
static void test_broker_logins(void **state)
{
    (void)state;
    struct broker_login sent = {.user = sample_text(&arena, 'u', BROKER_TEXT_BYTES_MAX),
                                .password = sample_text(&arena, 'p', BROKER_TEXT_BYTES_MAX)};
    struct broker_login got;
    struct slice text = broker_login_encode(&sent, &arena);
    assert_true(text.len + SEAL_OVERHEAD_BYTES <= BROKER_LOGIN_BYTES_MAX);
    uint8_t *sealed = arena_alloc(&arena, text.len + SEAL_OVERHEAD_BYTES);
    uint8_t *plain = arena_alloc(&arena, text.len);
    assert_int_equal(seal_to_signer(&sample_key()->pk, text, sealed), ERR_OK);
    struct user_reply reply = {.credential = sample_bytes(&arena, 300),
                               .broker = slice_of(sealed, text.len + SEAL_OVERHEAD_BYTES)};
    struct user_reply answered;
    assert_int_equal(user_reply_decode(user_reply_encode(&reply, &arena), &arena, &answered),
                     ERR_OK);
    assert_int_equal(seal_open_signer(sample_key(), answered.broker, plain), ERR_OK);
    assert_int_equal(broker_login_decode(slice_of(plain, text.len), &arena, &got), ERR_OK);
    assert_true(slice_eq(got.user, sent.user) && slice_eq(got.password, sent.password));

    sent.user = sample_text(&arena, 'u', BROKER_TEXT_BYTES_MAX + 1);
    assert_int_equal(broker_login_decode(broker_login_encode(&sent, &arena), &arena, &got),
                     ERR_LIMIT);
    sent.user = slice_str("");
    assert_int_equal(broker_login_decode(broker_login_encode(&sent, &arena), &arena, &got),
                     ERR_FORMAT);
    sent = (struct broker_login){.user = slice_str("u")};
    assert_int_equal(broker_login_decode(broker_login_encode(&sent, &arena), &arena, &got),
                     ERR_FORMAT);
    reply.broker = sample_bytes(&arena, BROKER_LOGIN_BYTES_MAX + 1);
    assert_int_equal(user_reply_decode(user_reply_encode(&reply, &arena), &arena, &answered),
                     ERR_LIMIT);
    struct zone_reply enrolled = {.edge_id = sample_id("edge1"),
                                  .params = sample_bytes(&arena, 200),
                                  .credential = sample_bytes(&arena, 300)};
    struct zone_reply back;
    assert_int_equal(zone_reply_decode(zone_reply_encode(&enrolled, &arena), &arena, &back),
                     ERR_OK);
    assert_int_equal(back.broker.len, 0);
    enrolled.broker = reply.broker;
    assert_int_equal(zone_reply_decode(zone_reply_encode(&enrolled, &arena), &arena, &back),
                     ERR_LIMIT);
}

/* The longest list travels, alone and beside the longest parameters. */
static void test_revocations_travel(void **state)
{
    (void)state;
    struct revocations_message sent = {.revocations =
                                           sample_bytes(&arena, REVOCATIONS_OBJECT_BYTES_MAX)};
    struct revocations_message got;
    struct params_reply reply = {.params = sample_bytes(&arena, ZONE_OBJECT_BYTES_MAX),
                                 .revocations = sent.revocations};
    struct params_reply answered;
    struct slice text = revocations_message_encode(&sent, &arena);
    assert_true(text.len <= PACKET_BYTES_MAX);
    assert_int_equal(revocations_message_decode(text, &arena, &got), ERR_OK);
    assert_true(slice_eq(got.revocations, sent.revocations));
    text = params_reply_encode(&reply, &arena);
    assert_true(text.len <= PACKET_BYTES_MAX);
    assert_int_equal(params_reply_decode(text, &arena, &answered), ERR_OK);
    assert_true(slice_eq(answered.revocations, sent.revocations));
    reply.revocations = (struct slice){0};
    assert_int_equal(params_reply_decode(params_reply_encode(&reply, &arena), &arena, &answered),
                     ERR_OK);
    assert_int_equal(answered.revocations.len, 0);
    reply.params = sample_bytes(&arena, ZONE_OBJECT_BYTES_MAX + 1);
    assert_int_equal(params_reply_decode(params_reply_encode(&reply, &arena), &arena, &answered),
                     ERR_LIMIT);
    sent.revocations = sample_bytes(&arena, REVOCATIONS_OBJECT_BYTES_MAX + 1);
    assert_int_equal(
        revocations_message_decode(revocations_message_encode(&sent, &arena), &arena, &got),
        ERR_LIMIT);
    assert_int_equal(revocations_message_decode(slice_str("{}"), &arena, &got), ERR_FORMAT);
    assert_int_equal(revocations_message_decode(slice_str("{\"revocations\":\"\"}"), &arena, &got),
                     ERR_FORMAT);
}

static void test_login_limits(void **state)
{
    (void)state;
    assert_int_equal(login_of(USER_BYTES_MAX, PASSWORD_BYTES_MAX, 0), ERR_OK);
    assert_int_equal(login_of(USER_BYTES_MAX + 1, 1, 0), ERR_LIMIT);
    assert_int_equal(login_of(1, PASSWORD_BYTES_MAX + 1, 0), ERR_LIMIT);
    assert_int_equal(login_of(0, 0, JWT_BYTES_MAX), ERR_OK);
    assert_int_equal(login_of(0, 0, JWT_BYTES_MAX + 1), ERR_LIMIT);
    assert_int_equal(login_of(0, 0, 0), ERR_FORMAT);
    assert_int_equal(renewal_of(CREDENTIAL_OBJECT_BYTES_MAX), ERR_OK);
    assert_int_equal(renewal_of(CREDENTIAL_OBJECT_BYTES_MAX + 1), ERR_LIMIT);
    assert_int_equal(renewal_of(0), ERR_FORMAT);
    struct user_request m;
    struct slice most = sample_bytes(&arena, SEALED_BYTES_MAX + 1);
    most.len--;
    assert_int_equal(user_request_decode(user_sealed_encode(most, &arena), &arena, &m), ERR_OK);
    most.len++;
    assert_int_equal(user_request_decode(user_sealed_encode(most, &arena), &arena, &m), ERR_LIMIT);
}

/* --- presence ------------------------------------------------------------------------------ */

static void test_pings(void **state)
{
    struct ping_request m;
    (void)state;
    assert_int_equal(ping_request_decode(slice_str("{\"client_id\":\"CLIENT\"}"), &arena, &m),
                     ERR_OK);
    assert_true(slice_eq_str(m.client_id, "CLIENT"));
    assert_int_equal(ping_request_decode(slice_str("{\"client_ID\":\"C\"}"), &arena, &m), ERR_OK);
    assert_int_equal(ping_request_decode(slice_str("{\"client_id\":7}"), &arena, &m), ERR_FORMAT);
    assert_int_equal(ping_request_decode(slice_str("{}"), &arena, &m), ERR_FORMAT);
    struct ping_request most = {.client_id = sample_text(&arena, 'c', REPLY_ID_BYTES_MAX)};
    assert_int_equal(ping_request_decode(ping_request_encode(&most, &arena), &arena, &m), ERR_OK);
    most.client_id = sample_text(&arena, 'c', REPLY_ID_BYTES_MAX + 1);
    assert_int_equal(ping_request_decode(ping_request_encode(&most, &arena), &arena, &m),
                     ERR_LIMIT);
}

/* As an original edge answers: fractions, no zone, no token. */
static void test_ping_reply_of_the_original(void **state)
{
    struct ping_reply m;
    (void)state;
    struct slice text = slice_str(
        "{\"edge_id\":\"EDGE\",\"cpu_usage_percent\":12.5,\"memory_usage\":{\"total\":16,"
        "\"available\":8,\"percent\":50.0,\"used\":8},\"disk_usage\":{\"total\":100,\"used\":25,"
        "\"free\":75,\"percent\":25.1},\"timestamp\":\"2026-11-21T11:09:30.123456\","
        "\"status\":\"ok\"}");
    assert_int_equal(ping_reply_decode(text, &arena, &m), ERR_OK);
    assert_string_equal(m.edge_id.s, "EDGE");
    assert_true(m.load.cpu_percent > 12.4 && m.load.cpu_percent < 12.6);
    assert_true(m.load.memory_used == 8 && m.load.disk_free == 75 && m.zone_id.s[0] == '\0');
    struct slice bare = sample_edit(&arena, text, "\"disk_usage\"", "\"x\"");
    assert_int_equal(ping_reply_decode(bare, &arena, &m), ERR_FORMAT);
}

static uint64_t percent_written(double percent)
{
    struct ping_reply m = {.edge_id = sample_id("e"), .load.cpu_percent = percent}, got;
    assert_int_equal(ping_reply_decode(ping_reply_encode(&m, &arena), &arena, &got), ERR_OK);
    return (uint64_t)got.load.cpu_percent;
}

static void test_percentages_are_whole(void **state)
{
    (void)state;
    assert_int_equal(percent_written(12.4), 12);
    assert_int_equal(percent_written(12.6), 13);
    assert_int_equal(percent_written(-3), 0);
    assert_int_equal(percent_written(1e300), 100);
    assert_int_equal(percent_written(0.0 / 0.0), 0);
}

static struct zone_contact contact_of(const char *fields)
{
    struct ping_reply m = {.edge_id = sample_id("e")}, got;
    struct slice text = ping_reply_encode(&m, &arena);
    text = sample_edit(&arena, text, ",\"revocations\":0,\"auth_edge\":\"ok\"", fields);
    assert_int_equal(ping_reply_decode(text, &arena, &got), ERR_OK);
    return got.contact;
}

/* How an edge stands with auth_edge: what is missing or odd counts as nothing known. */
static void test_contact(void **state)
{
    (void)state;
    struct zone_contact c = contact_of("");
    assert_true(c.revocations == 0 && c.issued_us == 0 && !c.away && c.since_us == 0);
    c = contact_of(",\"revocations\":12,\"revocations_issued\":\"2026-11-21T11:09:30.123456Z\","
                   "\"auth_edge\":\"ok\",\"auth_edge_since\":\"2026-11-21T11:09:30Z\"");
    assert_true(c.revocations == 12 && c.issued_us == 1795259370123456 && !c.away &&
                c.since_us == 0);
    c = contact_of(",\"auth_edge\":\"away\",\"auth_edge_since\":\"2026-11-21T11:09:30Z\"");
    assert_true(c.away && c.since_us == 1795259370000000);
    c = contact_of(",\"auth_edge\":\"gone\",\"revocations_issued\":\"yesterday\"");
    assert_true(!c.away && c.issued_us == 0);

    struct ping_reply m = {.edge_id = sample_id("e")}, got;
    m.contact = (struct zone_contact){.revocations = UINT64_MAX};
    assert_int_equal(ping_reply_decode(ping_reply_encode(&m, &arena), &arena, &got), ERR_OK);
    assert_int_equal(got.contact.revocations, ((uint64_t)1 << 53) - 1);
    struct slice text = sample_edit(&arena, ping_reply_encode(&m, &arena), "\"auth_edge\":\"ok\"",
                                    "\"auth_edge\":7");
    assert_int_equal(ping_reply_decode(text, &arena, &got), ERR_FORMAT);
}

/* A status carries of it what an edge acts on, and nothing when it is the last. */
static void test_contact_in_a_status(void **state)
{
    (void)state;
    struct edge_status m = {.edge_id = sample_id("e"),
                            .online = true,
                            .contact = {12, 1795259370123456, true, 1795259370000000}};
    struct edge_status got;
    assert_int_equal(edge_status_decode(edge_status_encode(&m, &arena), &arena, &got), ERR_OK);
    assert_true(got.contact.revocations == 12 && got.contact.away && got.contact.issued_us == 0 &&
                got.contact.since_us == 1795259370000000);
    m.contact.away = false;
    struct slice text = edge_status_encode(&m, &arena);
    assert_true(slice_eq_str(text,
                             "{\"EDGE_ID\":\"e\",\"status\":\"online\",\"zone\":\"\",\"ts\":0,"
                             "\"videos\":0,\"streams\":0,\"viewers\":0,\"uptime_s\":0,"
                             "\"revocations\":12}"));
    assert_int_equal(edge_status_decode(text, &arena, &got), ERR_OK);
    assert_true(got.contact.revocations == 12 && !got.contact.away && !got.contact.since_us);
    m.online = false;
    text = edge_status_encode(&m, &arena);
    assert_null(memmem(text.ptr, text.len, "revocations", 11));
    assert_int_equal(edge_status_decode(text, &arena, &got), ERR_OK);
    assert_int_equal(got.contact.revocations, 0);
}

static void test_status(void **state)
{
    struct edge_status m;
    (void)state;
    assert_int_equal(
        edge_status_decode(slice_str("{\"EDGE_ID\":\"e\",\"status\":\"offline\"}"), &arena, &m),
        ERR_OK);
    assert_false(m.online);
    assert_int_equal(
        edge_status_decode(slice_str("{\"EDGE_ID\":\"e\",\"status\":\"gone\"}"), &arena, &m),
        ERR_FORMAT);
    assert_int_equal(edge_status_decode(slice_str("{\"EDGE_ID\":\"e\"}"), &arena, &m), ERR_FORMAT);
    assert_int_equal(
        edge_status_decode(slice_str("{\"EDGE_ID\":\"e\",\"status\":\"online\",\"signed\":\"?\"}"),
                           &arena, &m),
        ERR_FORMAT);
}

/* What is signed of a status between edges whose ids, and whose zone's, are of so many bytes. */
static struct slice status_signed(size_t id_bytes)
{
    struct node_status s = {.time_us = UINT64_MAX};
    memset(s.edge_id.s, 'e', id_bytes);
    memset(s.zone_id.s, 'z', id_bytes);
    uint8_t *bytes = arena_alloc(&arena, STATUS_OBJECT_BYTES_MAX);
    uint8_t body[STATUS_OBJECT_BYTES_MAX];
    struct writer b = writer_of(body, sizeof(body));
    struct writer w = writer_of(bytes, STATUS_OBJECT_BYTES_MAX);
    node_status_encode(&s, &b);
    signed_append(&w, OBJECT_STATUS, slice_of(body, b.len), sample_key());
    assert_false(w.full);
    return slice_of(bytes, w.len);
}

static struct edge_status status_of(size_t id_bytes)
{
    struct edge_status m = {
        .online = true,
        .zone = sample_text(&arena, 'z', id_bytes),
        .ts_ms = 1795259370123,
        .videos = 1000000,
        .streams = 1000,
        .viewers = 10000,
        .uptime_s = 100000000,
        .signed_status = status_signed(id_bytes),
        .contact = {1000, 1795259370123456, false, 0},
    };
    memset(m.edge_id.s, 'e', id_bytes);
    return m;
}

/* The longest status object is what its limit says, and one byte more is too much. */
static void test_status_limits(void **state)
{
    struct edge_status m = status_of(ID_BYTES_MAX), got;
    (void)state;
    assert_int_equal(m.signed_status.len, STATUS_OBJECT_BYTES_MAX);
    assert_int_equal(edge_status_decode(edge_status_encode(&m, &arena), &arena, &got), ERR_OK);
    assert_true(slice_eq(got.signed_status, m.signed_status) && got.credential.len == 0);
    m.signed_status = sample_bytes(&arena, STATUS_OBJECT_BYTES_MAX + 1);
    assert_int_equal(edge_status_decode(edge_status_encode(&m, &arena), &arena, &got), ERR_LIMIT);
    m.signed_status = (struct slice){0};
    m.credential = sample_bytes(&arena, CREDENTIAL_OBJECT_BYTES_MAX + 1);
    assert_int_equal(edge_status_decode(edge_status_encode(&m, &arena), &arena, &got), ERR_LIMIT);
}

/* A hundred edges that say so every 5 s publish less than 10 KB/s. */
static void test_a_status_is_small(void **state)
{
    enum { ID_BYTES = 20, HEADER_BYTES = 7, STATUS_BYTES_MAX = 500 };
    char topic[TOPIC_BUF_BYTES];
    struct edge_status m = status_of(ID_BYTES);
    (void)state;
    struct slice text = edge_status_encode(&m, &arena);
    struct slice on =
        topic_print(TOPIC_EDGE_STATUS, slice_str(""), id_slice(&m.edge_id), slice_str(""), topic);
    assert_in_range(text.len + on.len + HEADER_BYTES, 1, STATUS_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_errors_come_back),
        cmocka_unit_test(test_what_is_no_error),
        cmocka_unit_test(test_damaged_errors_are_errors),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_signed_requests_verify),
        cmocka_unit_test(test_what_a_signature_covers),
        cmocka_unit_test(test_fields_of_an_unsigned_request),
        cmocka_unit_test(test_enrolment_without_proof),
        cmocka_unit_test(test_enrolment_survives_the_wire),
        cmocka_unit_test(test_logins),
        cmocka_unit_test(test_broker_logins),
        cmocka_unit_test(test_revocations_travel),
        cmocka_unit_test(test_login_limits),
        cmocka_unit_test(test_pings),
        cmocka_unit_test(test_ping_reply_of_the_original),
        cmocka_unit_test(test_percentages_are_whole),
        cmocka_unit_test(test_contact),
        cmocka_unit_test(test_contact_in_a_status),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_status_limits),
        cmocka_unit_test(test_a_status_is_small),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, release);
}
