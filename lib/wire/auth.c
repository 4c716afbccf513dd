/* Asking the authority: zone parameters and revocations, enrolment, login. */
#include "wire/auth.h"

#include "base/check.h"
#include "wire/signed.h"
#include "wire/topic.h"

/* --- zone parameters, revocations -------------------------------------------------- */

_Static_assert(sizeof("{\"status\":\"ok\",}") +
                       BLOB_FIELD("parametre", (size_t)ZONE_OBJECT_BYTES_MAX) +
                       BLOB_FIELD("revocations", (size_t)REVOCATIONS_OBJECT_BYTES_MAX) <=
                   PACKET_BYTES_MAX,
               "the longest answer to auth/params fits a packet");

struct slice params_request_encode(const struct params_request *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_text(&out, "client_id", m->client_id);
    return json_end(&out);
}

enum err params_request_decode(struct slice payload, struct arena *arena,
                               struct params_request *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct params_request m = {.client_id = json_reply_id(&j)};
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

struct slice params_reply_encode(const struct params_reply *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_str(&out, "status", "ok");
    json_put_blob(&out, "parametre", m->params);
    json_put_blob(&out, "revocations", m->revocations);
    return json_end(&out);
}

enum err params_reply_decode(struct slice payload, struct arena *arena, struct params_reply *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct params_reply m = {
        .params = json_blob(&j, "parametre", ZONE_OBJECT_BYTES_MAX),
        .revocations = json_blob(&j, "revocations", REVOCATIONS_OBJECT_BYTES_MAX),
    };
    json_require(&j, m.params.len > 0);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

struct slice revocations_message_encode(const struct revocations_message *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_blob(&out, "revocations", m->revocations);
    return json_end(&out);
}

enum err revocations_message_decode(struct slice payload, struct arena *arena,
                                    struct revocations_message *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct revocations_message m = {
        .revocations = json_blob(&j, "revocations", REVOCATIONS_OBJECT_BYTES_MAX),
    };
    json_require(&j, m.revocations.len > 0);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* --- enrolment -------------------------------------------------------------------- */

struct slice zone_request_encode(const struct zone_request *m, struct arena *arena)
{
    const struct enrolment *e = &m->enrolment;
    struct json_out out = json_begin(arena, 0);
    json_put_id(&out, "ID", &e->edge_id);
    json_put_blob(&out, "pk", slice_of(e->pk.b, KEY_BYTES));
    json_put_uint(&out, "ts", e->ts_us);
    json_put_blob(&out, "nonce", slice_of(e->nonce.b, NONCE_BYTES));
    json_put_blob(&out, "proof", m->proof);
    return json_end(&out);
}

enum err zone_request_decode(struct slice payload, struct arena *arena, struct zone_request *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct zone_request m = {
        .enrolment.edge_id = json_id(&j, "ID"),
        .proof = json_blob(&j, "proof", ENROL_PROOF_BYTES),
    };
    if (m.proof.len > 0) {
        json_require(&j, m.proof.len == ENROL_PROOF_BYTES && json_has(&j, "ts"));
        json_bytes(&j, "pk", m.enrolment.pk.b, KEY_BYTES);
        json_bytes(&j, "nonce", m.enrolment.nonce.b, NONCE_BYTES);
        m.enrolment.ts_us = json_u53(&j, "ts");
    }
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

struct slice zone_reply_encode(const struct zone_reply *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_str(&out, "status", "ok");
    json_put_id(&out, "ID", &m->edge_id);
    json_put_blob(&out, "parametre", m->params);
    json_put_blob(&out, "credential", m->credential);
    json_put_blob(&out, "nonce", slice_of(m->nonce.b, NONCE_BYTES));
    json_put_blob(&out, "proof", slice_of(m->proof.b, HASH_BYTES));
    json_put_blob(&out, "broker", m->broker);
    return json_end(&out);
}

enum err zone_reply_decode(struct slice payload, struct arena *arena, struct zone_reply *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct zone_reply m = {
        .edge_id = json_id(&j, "ID"),
        .params = json_blob(&j, "parametre", ZONE_OBJECT_BYTES_MAX),
        .credential = json_blob(&j, "credential", CREDENTIAL_OBJECT_BYTES_MAX),
        .broker = json_blob(&j, "broker", BROKER_LOGIN_BYTES_MAX),
    };
    json_require(&j, m.params.len > 0 && m.credential.len > 0);
    json_bytes(&j, "nonce", m.nonce.b, NONCE_BYTES);
    json_bytes(&j, "proof", m.proof.b, HASH_BYTES);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* --- login -------------------------------------------------------------------------- */

struct slice user_request_encode(const struct user_request *m, const struct request_signer *signer,
                                 struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_some(&out, "user", m->user);
    json_put_some(&out, "password", m->password);
    json_put_some(&out, "ownerId", m->owner_id);
    json_put_blob(&out, "renew", m->renew);
    json_put_blob(&out, "pk", slice_of(m->pk.b, KEY_BYTES));
    json_put_some(&out, "client_id", m->client_id);
    return signed_end(&out, "auth/user", signer);
}

struct slice user_sealed_encode(struct slice sealed, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_blob(&out, "sealed", sealed);
    return json_end(&out);
}

static void inner_read(struct json *j, struct user_request *m)
{
    m->user = json_text(j, "user", USER_BYTES_MAX);
    m->password = json_text(j, "password", PASSWORD_BYTES_MAX);
    m->owner_id = json_text(j, "ownerId", JWT_BYTES_MAX);
    m->renew = json_blob(j, "renew", CREDENTIAL_OBJECT_BYTES_MAX);
    m->client_id = json_text(j, "client_id", REPLY_ID_BYTES_MAX);
    json_bytes(j, "pk", m->pk.b, KEY_BYTES);
    json_require(j, (m->user.len > 0) + (m->owner_id.len > 0) + (m->renew.len > 0) == 1);
    json_require(j, (m->user.len > 0) == (m->password.len > 0));
    signed_read(j, &m->signature);
}

enum err user_request_decode(struct slice payload, struct arena *arena, struct user_request *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct user_request m = {.sealed = json_blob(&j, "sealed", SEALED_BYTES_MAX)};
    if (m.sealed.len == 0)
        inner_read(&j, &m);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

struct slice user_reply_encode(const struct user_reply *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_str(&out, "status", "ok");
    json_put_blob(&out, "ownerbase64", m->credential);
    json_put_blob(&out, "request", slice_of(m->request.b, HASH_BYTES));
    json_put_blob(&out, "broker", m->broker);
    return json_end(&out);
}

enum err user_reply_decode(struct slice payload, struct arena *arena, struct user_reply *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct user_reply m = {
        .credential = json_blob(&j, "ownerbase64", CREDENTIAL_OBJECT_BYTES_MAX),
        .broker = json_blob(&j, "broker", BROKER_LOGIN_BYTES_MAX),
    };
    json_require(&j, m.credential.len > 0);
    json_bytes(&j, "request", m.request.b, HASH_BYTES);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

struct slice broker_login_encode(const struct broker_login *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_text(&out, "user", m->user);
    json_put_text(&out, "password", m->password);
    return json_end(&out);
}

enum err broker_login_decode(struct slice plain, struct arena *arena, struct broker_login *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(plain, arena);
    struct broker_login m = {
        .user = json_text(&j, "user", BROKER_TEXT_BYTES_MAX),
        .password = json_text(&j, "password", BROKER_TEXT_BYTES_MAX),
    };
    json_require(&j, m.user.len > 0 && m.password.len > 0);
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}
