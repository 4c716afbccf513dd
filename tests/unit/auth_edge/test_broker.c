/* What a locked broker is told, the table of its accounts, and the logins in answers. */
#include "auth_edge/broker.h"
#include "auth_edge/db.h"
#include "auth_edge/folder.h"
#include "auth_edge/pbkdf2.h"
#include "base/file.h"
#include "tests/unit/auth_edge/temp.h"
#include "tests/unit/auth_edge/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const uint8_t secret[KEY_BYTES] = {3};

/* --- the files --------------------------------------------------------------------- */

/* As Python's hashlib.pbkdf2_hmac("sha512", b"password", bytes(range(12)), 101) has it. */
static void test_pbkdf2(void **state)
{
    (void)state;
    uint8_t salt[PBKDF2_SALT_BYTES], hash[PBKDF2_BYTES];
    char text[2 * 8 + 1];
    for (size_t i = 0; i < PBKDF2_SALT_BYTES; i++)
        salt[i] = (uint8_t)i;
    pbkdf2(slice_str("password"), salt, hash);
    hex_encode(slice_of(hash, 8), text);
    assert_string_equal(text, "0c43b5e1588fa1f0");
}

static bool has_line(struct slice text, const char *line)
{
    char all[20000];
    assert_true(text.len < sizeof(all) - 2);
    all[0] = '\n';
    memcpy(all + 1, text.ptr, text.len);
    all[text.len + 1] = '\0';
    char wanted[300];
    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    return strstr(all, wanted);
}

static void test_acl(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice acl = broker_acl(slice_str(""), &arena);
    assert_true(has_line(acl, "pattern read video/watch/+/%c"));
    assert_true(has_line(acl, "pattern read video/upload/+/%u"));
    assert_true(has_line(acl, "pattern write edge/status/%u"));
    assert_false(has_line(acl, "pattern read auth/zone/%c"));
    acl = broker_acl(slice_str("a/b"), &arena);
    assert_true(has_line(acl, "pattern read a/b/video/watch/+/%c"));
    assert_false(has_line(acl, "pattern read video/watch/+/%c"));
    arena_release(&arena);
}

static void test_security(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice prefixed = broker_security(slice_str("a/b"), "of enrol", "of auth", &arena);
    char *text = arena_alloc(&arena, prefixed.len + 1);
    memcpy(text, prefixed.ptr, prefixed.len);
    text[prefixed.len] = '\0';
    assert_non_null(strstr(text, "\"topic\":\"a/b/auth/params\""));
    assert_null(strstr(text, "\"topic\":\"auth/params\""));
    assert_non_null(strstr(text, "\"topic\":\"$CONTROL/dynamic-security/v1\""));
    assert_non_null(strstr(text, "\"publishClientReceive\":false"));
    assert_null(strstr(text, "of enrol"));
    assert_null(strstr(text, "of auth"));
    arena_release(&arena);
}

static void test_init(void **state)
{
    static const char *const names[] = {"broker.auth", "acl", "dynamic-security.json"};
    char error[BROKER_ERROR_BYTES] = "";
    char dir[300], path[400];
    struct stat st;
    snprintf(dir, sizeof(dir), "%s", temp_path(state, "of/the-broker"));
    assert_int_equal(broker_init(dir, slice_str(""), secret, error), ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(broker_init(dir, slice_str(""), secret, error), ERR_CONFLICT);
    assert_non_null(strstr(error, "move it away"));
    snprintf(path, sizeof(path), "%s/acl/below", dir);
    assert_int_equal(broker_init(path, slice_str(""), secret, error), ERR_IO);
}

static void test_key(void **state)
{
    char error[FOLDER_ERROR_BYTES];
    struct folder folder = {0};
    uint8_t key[KEY_BYTES], again[KEY_BYTES];
    snprintf(folder.path, sizeof(folder.path), "%s", (const char *)*state);
    assert_int_equal(folder_broker_key(&folder, false, key, error), ERR_UNKNOWN);
    assert_non_null(strstr(error, "auth_edge broker init"));
    assert_int_equal(folder_broker_key(&folder, true, key, error), ERR_OK);
    assert_int_equal(folder_broker_key(&folder, true, again, error), ERR_OK);
    assert_memory_equal(key, again, KEY_BYTES);
    assert_int_equal(file_write(temp_path(state, "zone.broker"), slice_str("short")), ERR_OK);
    assert_int_equal(folder_broker_key(&folder, true, again, error), ERR_FORMAT);
}

/* --- the table --------------------------------------------------------------------- */

static struct store *must_open(void **state)
{
    char error[STORE_ERROR_BYTES];
    struct store *store;
    assert_int_equal(store_open(temp_path(state, "auth_edge.db"), &store, error), ERR_OK);
    struct zone_params zone = {.zone_id = id_of("zone1"), .key_epoch = 1};
    assert_int_equal(store_zone_put(store, &zone), ERR_OK);
    return store;
}

static struct broker_client found(struct store *store, enum credential_kind kind, const char *name)
{
    struct clients clients = store_clients(store);
    struct id id = id_of(name);
    struct broker_client client;
    assert_int_equal(clients.find(clients.ctx, kind, &id, &client), ERR_OK);
    assert_string_equal(client.subject.s, name);
    assert_int_equal(client.kind, kind);
    return client;
}

static void confirm(struct store *store, const char *name, enum client_state state)
{
    struct clients clients = store_clients(store);
    struct id id = id_of(name);
    assert_int_equal(clients.confirm(clients.ctx, &id, state), ERR_OK);
}

static void issue(struct store *store, enum credential_kind kind, const char *subject, uint8_t key)
{
    struct records records = store_records(store);
    struct issue issue = {
        .credential = {.kind = kind,
                       .subject = id_of(subject),
                       .pk = {{key}},
                       .key_epoch = 1,
                       .not_before_us = start_us,
                       .not_after_us = start_us + edge_life_us},
        .now_us = start_us,
        .request_us = start_us,
        .reuse_from_us = start_us + 1,
    };
    struct issued issued;
    assert_int_equal(records.issue(records.ctx, &issue, &issued), ERR_OK);
}

static void expect_ending(struct store *store, const char *after, const char *name)
{
    struct clients clients = store_clients(store);
    struct broker_client client;
    enum err err = clients.next_ending(clients.ctx, after, &client);
    assert_int_equal(err, name ? ERR_OK : ERR_UNKNOWN);
    if (name)
        assert_string_equal(client.subject.s, name);
}

static void test_clients(void **state)
{
    struct store *store = must_open(state);
    struct broker_client client = found(store, CREDENTIAL_EDGE, "e1");
    assert_int_equal(client.state, CLIENT_WANTED);
    assert_int_equal(client.generation, 1);
    confirm(store, "e1", CLIENT_THERE);
    assert_int_equal(found(store, CREDENTIAL_EDGE, "e1").state, CLIENT_THERE);
    struct clients clients = store_clients(store);
    struct id id = id_of("e1");
    assert_int_equal(clients.find(clients.ctx, CREDENTIAL_STREAMER, &id, &client), ERR_CONFLICT);
    confirm(store, "e1", CLIENT_GONE); /* nobody ended it */
    assert_int_equal(found(store, CREDENTIAL_EDGE, "e1").state, CLIENT_THERE);
    expect_ending(store, "", NULL);
    store_close(store);
}

static void test_who_is_revoked_loses_his_account(void **state)
{
    struct store_revoking done;
    struct store *store = must_open(state);
    struct id streamer = id_of("s1"), edge = id_of("e1");
    issue(store, CREDENTIAL_EDGE, "e1", 1);
    issue(store, CREDENTIAL_EDGE, "e2", 2);
    issue(store, CREDENTIAL_STREAMER, "s1", 3);
    found(store, CREDENTIAL_EDGE, "e1");
    found(store, CREDENTIAL_EDGE, "e2");
    found(store, CREDENTIAL_STREAMER, "s1");
    confirm(store, "e1", CLIENT_THERE);
    expect_ending(store, "", NULL);
    assert_int_equal(store_revoke(store, CREDENTIAL_STREAMER, &streamer, start_us, &done), ERR_OK);
    expect_ending(store, "", "s1");
    assert_int_equal(store_rekey(store, &edge, start_us, &done), ERR_OK);
    expect_ending(store, "", "e1");
    expect_ending(store, "e1", "s1");
    expect_ending(store, "s1", NULL);
    confirm(store, "e1", CLIENT_THERE); /* too late */
    assert_int_equal(found(store, CREDENTIAL_EDGE, "e1").state, CLIENT_ENDING);
    confirm(store, "e1", CLIENT_GONE);
    confirm(store, "e1", CLIENT_GONE);
    assert_int_equal(found(store, CREDENTIAL_EDGE, "e1").generation, 2);
    issue(store, CREDENTIAL_EDGE, "e1", 9); /* the next key */
    assert_int_equal(found(store, CREDENTIAL_EDGE, "e1").state, CLIENT_GONE);
    confirm(store, "e1", CLIENT_THERE);
    assert_int_equal(found(store, CREDENTIAL_EDGE, "e1").state, CLIENT_THERE);
    expect_ending(store, "", "s1");
    store_close(store);
}

static void test_clients_max(void **state)
{
    struct store *store = must_open(state);
    struct clients clients = store_clients(store);
    struct broker_client client;
    struct id id = id_of("one-more");
    char sql[300];
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO broker_clients (subject, kind) SELECT 'e' || i, 'edge' FROM n",
             BROKER_CLIENTS_MAX - 1);
    assert_int_equal(db_run(store, sql, "fill"), ERR_OK);
    assert_int_equal(clients.find(clients.ctx, CREDENTIAL_EDGE, &id, &client), ERR_OK);
    id = id_of("too-many");
    assert_int_equal(clients.find(clients.ctx, CREDENTIAL_EDGE, &id, &client), ERR_LIMIT);
    id = id_of("one-more");
    assert_int_equal(clients.find(clients.ctx, CREDENTIAL_EDGE, &id, &client), ERR_OK);
    store_close(store);
}

/* --- the login in an answer --------------------------------------------------------- */

static enum err find_result;

static enum err find_fixed(void *ctx, enum credential_kind kind, const struct id *subject,
                           struct broker_client *ret)
{
    (void)ctx;
    *ret = (struct broker_client){.subject = *subject, .kind = kind, .generation = 4};
    return find_result;
}

static struct zone_outcome enrol_as(struct world *w, const char *edge_id)
{
    struct zone_request m = {.enrolment = {.edge_id = id_of(edge_id),
                                           .pk = w->key.pk,
                                           .ts_us = w->now.utc_us,
                                           .nonce = {{++w->nonce}}}};
    uint8_t proof[ENROL_PROOF_BYTES];
    struct hash request;
    enrolment_prove(&m.enrolment, w->keys.secret, &w->key, proof, &request);
    m.proof = slice_of(proof, sizeof(proof));
    return receive(w, TOPIC_AUTH_ZONE, zone_request_encode(&m, &w->arena));
}

static void use_accounts(struct world *w)
{
    static const uint8_t key[KEY_BYTES] = {6};
    zone_free(w->zone);
    w->config.broker_key = key;
    w->config.clients = (struct clients){.find = find_fixed};
    w->zone = zone_new(&w->config);
    find_result = ERR_OK;
}

static void test_login_in_answer(void **state)
{
    struct world *w = *state;
    struct zone_reply reply;
    struct broker_login login;
    struct wire_error error;
    char password[BROKER_PASSWORD_BYTES];
    struct zone_outcome o = enrol_as(w, "edge1");
    assert_int_equal(zone_reply_decode(o.answer.payload, &w->arena, &reply), ERR_OK);
    assert_int_equal(reply.broker.len, 0);
    assert_int_equal(o.answer.otherwise.len, 0);
    use_accounts(w);
    o = enrol_as(w, "edge1");
    assert_int_equal(zone_reply_decode(o.answer.payload, &w->arena, &reply), ERR_OK);
    assert_true(reply.broker.len > SEAL_OVERHEAD_BYTES);
    uint8_t plain[1024];
    assert_int_equal(seal_open_signer(&w->key, reply.broker, plain), ERR_OK);
    assert_int_equal(broker_login_decode(slice_of(plain, reply.broker.len - SEAL_OVERHEAD_BYTES),
                                         &w->arena, &login),
                     ERR_OK);
    struct id id = id_of("edge1");
    broker_password(w->config.broker_key, CREDENTIAL_EDGE, &id, 4, password);
    assert_true(slice_eq_str(login.user, "edge1"));
    assert_true(slice_eq_str(login.password, password));
    assert_true(reply_is_error(o.answer.otherwise, &w->arena, &error));
    assert_true(slice_eq_str(error.code_text, "busy"));
    assert_true(slice_eq_str(error.edge_id, "edge1"));
}

static void test_login_refused(void **state)
{
    struct world *w = *state;
    use_accounts(w);
    struct zone_outcome o = enrol_as(w, "auth");
    expect_refusal(w, &o, TOPIC_AUTH_ZONE_REPLY, "auth", CODE_BAD_REQUEST, ZONE_RESERVED);
    o = enrol_as(w, "enrol");
    expect_refusal(w, &o, TOPIC_AUTH_ZONE_REPLY, "enrol", CODE_BAD_REQUEST, ZONE_RESERVED);
    find_result = ERR_LIMIT;
    o = enrol_as(w, "edge1");
    expect_refusal(w, &o, TOPIC_AUTH_ZONE_REPLY, "edge1", CODE_QUOTA, ZONE_QUOTA);
    find_result = ERR_CONFLICT;
    o = enrol_as(w, "edge1");
    expect_refusal(w, &o, TOPIC_AUTH_ZONE_REPLY, "edge1", CODE_CONFLICT, ZONE_SECOND_KEY);
    find_result = ERR_IO;
    o = enrol_as(w, "edge1");
    expect_refusal(w, &o, TOPIC_AUTH_ZONE_REPLY, "edge1", CODE_INTERNAL, ZONE_RECORD_FAILED);
}

static void test_passwords_differ(void **state)
{
    (void)state;
    char a[BROKER_PASSWORD_BYTES], b[BROKER_PASSWORD_BYTES];
    static const uint8_t other[KEY_BYTES] = {4};
    struct id x = id_of("x"), y = id_of("y");
    broker_password(secret, CREDENTIAL_EDGE, &x, 1, a);
    assert_int_equal(strlen(a), 64);
    broker_password(secret, CREDENTIAL_STREAMER, &x, 1, b);
    assert_string_not_equal(a, b);
    broker_password(secret, CREDENTIAL_EDGE, &y, 1, b);
    assert_string_not_equal(a, b);
    broker_password(secret, CREDENTIAL_EDGE, &x, 2, b);
    assert_string_not_equal(a, b);
    broker_password(other, CREDENTIAL_EDGE, &x, 1, b);
    assert_string_not_equal(a, b);
    broker_password(secret, CREDENTIAL_EDGE, &x, 1, b);
    assert_string_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pbkdf2),
        cmocka_unit_test(test_acl),
        cmocka_unit_test(test_security),
        cmocka_unit_test_setup_teardown(test_init, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(test_key, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(test_clients, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(test_who_is_revoked_loses_his_account, temp_enter,
                                        temp_leave),
        cmocka_unit_test_setup_teardown(test_clients_max, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(test_login_in_answer, world_enter, world_leave),
        cmocka_unit_test_setup_teardown(test_login_refused, world_enter, world_leave),
        cmocka_unit_test(test_passwords_differ),
    };
    assert_int_equal(crypto_init(), ERR_OK);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
