/* requests.json. */
#include "base/check.h"
#include "base/mem.h"
#include "tests/unit/trust/fixture.h"
#include "tests/unit/trust/vectors.h"
#include "trust/peer.h"

#include <stdio.h>
#include <stdlib.h>

/* A field as it stands in the JSON object, and its text in the hash. */
struct vector_field {
    const char *key;
    const char *raw;
    const char *value;
};

struct vector_request {
    const char *type, *target;
    enum fixture_key key;
    const struct vector_field *fields;
    size_t fields_n;
};

static const struct vector_field upload_fields[] = {
    {"video_id", "\"video1\"", "video1"},
    {"video_nom", "\"Ma premi\\u00e8re \\\"vid\\u00e9o\\\"\"", "Ma première \"vidéo\""},
    {"description", "\"\"", ""},
    {"category", "\"Gaming\"", "Gaming"},
    {"thumbnail", "12456", "12456"},
    {"init", "1", "1"},
    {"end", "\"0\"", "0"},
    {"streamer_id", "\"streamer1\"", "streamer1"},
    {"streamer_nom", "\"L\\u00e9a\"", "Léa"},
};
static const struct vector_field login_fields[] = {
    {"ownerId", "\"eyJhbGciOiJFUzI1NiJ9.e30.AA\"", "eyJhbGciOiJFUzI1NiJ9.e30.AA"},
    {"client_id", "\"5f0c6a1e9b7d4c3f8a2e1d0c9b8a7f6e\"", "5f0c6a1e9b7d4c3f8a2e1d0c9b8a7f6e"},
    {"pk", "\"iEuIV/TqoWE8YVBNs01L6vNGUXoOMd483dTZtCAdnQs=\"",
     "iEuIV/TqoWE8YVBNs01L6vNGUXoOMd483dTZtCAdnQs="},
};
/* The credential of a streamer, as objects.json has it. */
#define CREDENTIAL_B64                                                                             \
    "AQIJAAAAc3RyZWFtZXIxBAAAAEzDqWGIS4hX9OqhYTxhUE2zTUvq80ZReg4x3jzd1Nm0IB2dCwUAAAB6"             \
    "b25lMQEAAAAIAAAAAAAAAMAwCWXHYAYAwHBG5CJjBgDqDxx/3W3J2wdWIfLvsB6q+S2hDg0dNfd2C4uZ"             \
    "CUsuj8jkqxxBfG9V5zszGRyE5nm1WTcImirVGQG7ibk7SpgG"
static const struct vector_field renewal_fields[] = {
    {"renew", "\"" CREDENTIAL_B64 "\"", CREDENTIAL_B64},
    {"pk", "\"iEuIV/TqoWE8YVBNs01L6vNGUXoOMd483dTZtCAdnQs=\"",
     "iEuIV/TqoWE8YVBNs01L6vNGUXoOMd483dTZtCAdnQs="},
};
static const struct vector_field odd_fields[] = {
    {"b", "true", "true"},
    {"a", "false", "false"},
    {"B", "null", "null"},
    {"ab", "-7", "-7"},
    {"", "9007199254740991", "9007199254740991"},
    {"\xc3\xa9", "\"/\"", "/"},
};

#define FIELDS(f) (f), sizeof(f) / sizeof((f)[0])
static const struct vector_request requests[] = {
    {"video/upload", "edge1", KEY_STREAMER, FIELDS(upload_fields)},
    {"auth/user", "zone1", KEY_STREAMER, FIELDS(login_fields)},
    {"auth/user", "zone1", KEY_STREAMER, FIELDS(renewal_fields)},
    {"live/upload", "edge1", KEY_STREAMER, FIELDS(odd_fields)},
    {"video/delete", "edge1", KEY_ZONE, NULL, 0},
};

static void put_object(struct json *j, const struct vector_request *r, struct slice auth)
{
    json_open(j, "object", '{');
    for (size_t i = 0; i < r->fields_n; i++)
        json_raw(j, r->fields[i].key, r->fields[i].raw);
    json_b64(j, "auth", auth);
    json_close(j, '}');
}

static void put_request(struct json *j, const struct vector_request *r)
{
    struct field fields[REQUEST_FIELDS_MAX];
    uint8_t bytes[4096], body_bytes[512], auth[AUTH_BYTES];
    struct writer hashed = writer_of(bytes, sizeof(bytes));
    struct writer body = writer_of(body_bytes, sizeof(body_bytes));
    struct nonce nonce;
    struct hash fields_digest, request;
    struct signkey key = fixture_key(r->key);
    for (size_t i = 0; i < r->fields_n; i++)
        fields[i] = (struct field){slice_str(r->fields[i].key), slice_str(r->fields[i].value)};
    CHECK(fields_hash(fields, r->fields_n, &fields_digest) == ERR_OK);
    for (size_t i = 0; i < r->fields_n; i++) {
        write_str(&hashed, fields[i].key);
        write_str(&hashed, fields[i].value);
    }
    memset(nonce.b, 0xc1, NONCE_BYTES);
    request_body(&body, slice_str(r->type), slice_str(r->target), &fields_digest, fixture_now_us,
                 &nonce);
    request_sign(slice_str(r->type), slice_str(r->target), &fields_digest, fixture_now_us, &nonce,
                 &key, auth, &request);

    json_open(j, NULL, '{');
    json_text(j, "type", slice_str(r->type));
    json_text(j, "target", slice_str(r->target));
    json_text(j, "signed_by", slice_str(fixture_key_name(r->key)));
    put_object(j, r, slice_of(auth, sizeof(auth)));
    json_hex(j, "sorted_fields", slice_of(bytes, hashed.len));
    json_hash(j, "fields_hash", &fields_digest);
    json_u64(j, "ts", fixture_now_us);
    json_hex(j, "nonce", slice_of(nonce.b, NONCE_BYTES));
    json_hex(j, "body", slice_of(body_bytes, body.len));
    json_hash(j, "hash", &request);
    json_hex(j, "auth", slice_of(auth, sizeof(auth)));
    json_close(j, '}');
}

static void put_enrolment(struct json *j)
{
    struct signkey key = fixture_key(KEY_EDGE);
    struct hash secret = fixture_bytes(0x41), request;
    struct enrolment e = {fixture_id("edge1"), key.pk, fixture_now_us, {{0}}};
    struct nonce reply_nonce;
    uint8_t proof[ENROL_PROOF_BYTES];
    memset(e.nonce.b, 0xc2, NONCE_BYTES);
    memset(reply_nonce.b, 0xc3, NONCE_BYTES);
    enrolment_prove(&e, secret.b, &key, proof, &request);

    uint8_t zone_body[512], credential_body[512];
    struct writer z = writer_of(zone_body, sizeof(zone_body));
    struct writer c = writer_of(credential_body, sizeof(credential_body));
    struct zone_params zone = fixture_zone();
    struct credential credential = fixture_credential(CREDENTIAL_EDGE);
    struct fixture_object zone_object, credential_object;
    zone_params_encode(&zone, &z);
    credential_encode(&credential, &c);
    fixture_sign(OBJECT_ZONE, &z, KEY_ZONE, &zone_object);
    fixture_sign(OBJECT_CREDENTIAL, &c, KEY_ZONE, &credential_object);
    struct hash reply = enrolment_reply_mac(secret.b, &request, zone_object.whole,
                                            credential_object.whole, &reply_nonce);

    json_open(j, "enrolment", '{');
    json_hash(j, "zone_secret", &secret);
    json_text(j, "signed_by", slice_str(fixture_key_name(KEY_EDGE)));
    json_open(j, "request", '{');
    json_text(j, "ID", id_slice(&e.edge_id));
    json_b64(j, "pk", slice_of(e.pk.b, KEY_BYTES));
    json_raw(j, "ts", "1795259370123456");
    json_b64(j, "nonce", slice_of(e.nonce.b, NONCE_BYTES));
    json_b64(j, "proof", slice_of(proof, sizeof(proof)));
    json_close(j, '}');
    json_hash(j, "request_hash", &request);
    json_open(j, "reply", '{');
    json_text(j, "status", slice_str("ok"));
    json_text(j, "ID", id_slice(&e.edge_id));
    json_b64(j, "parametre", zone_object.whole);
    json_b64(j, "credential", credential_object.whole);
    json_b64(j, "nonce", slice_of(reply_nonce.b, NONCE_BYTES));
    json_b64(j, "proof", slice_of(reply.b, HASH_BYTES));
    json_close(j, '}');
    json_close(j, '}');
}

/* Sealed once, since that draws random bytes: what matters is that it opens. */
static void put_broker_login(struct json *j)
{
    static const char sealed_hex[] =
        "ab1c21dc663252a33a3817877a68facb82cc3499c5e21a1c1a32d652cdba3d06eaa851542f9c6930"
        "405c28839af0737b574afdb5969b4dd1caffebdc81d4d83abfdf004e8aedcc45aa19104d4ca79b75"
        "8ca0c50f";
    static const char plain[] = "{\"user\":\"edge1\",\"password\":\"c0ffee\"}";
    enum { SEALED_BYTES = sizeof(sealed_hex) / 2 };
    uint8_t sealed[SEALED_BYTES], opened[SEALED_BYTES];
    struct signkey key = fixture_key(KEY_EDGE);
    CHECK(hex_decode(slice_str(sealed_hex), sealed, SEALED_BYTES) == ERR_OK);
    CHECK(seal_open_signer(&key, slice_of(sealed, SEALED_BYTES), opened) == ERR_OK);
    CHECK(slice_eq_str(slice_of(opened, SEALED_BYTES - SEAL_OVERHEAD_BYTES), plain));
    json_open(j, "broker", '{');
    json_text(j, "sealed_to", slice_str(fixture_key_name(KEY_EDGE)));
    json_text(j, "plain", slice_str(plain));
    json_b64(j, "base64", slice_of(sealed, SEALED_BYTES));
    json_close(j, '}');
}

static void put_token(struct json *j, const char *client_id, uint64_t utc_us)
{
    struct hash secret = fixture_bytes(0x51);
    uint8_t token[TOKEN_BYTES];
    token_make(secret.b, slice_str(client_id), utc_us, token);
    json_open(j, NULL, '{');
    json_hash(j, "edge_secret", &secret);
    json_text(j, "client_id", slice_str(client_id));
    json_u64(j, "time", utc_us);
    json_u64(j, "hour", utc_us / 1000 / 1000 / 3600);
    json_b64(j, "token", slice_of(token, sizeof(token)));
    json_close(j, '}');
}

static void put_thumbnail(struct json *j, const char *text)
{
    struct hash hash = video_thumbnail_hash(slice_str(text));
    json_open(j, NULL, '{');
    json_text(j, "thumbnail", slice_str(text));
    json_hash(j, "thumbnail_hash", &hash);
    json_close(j, '}');
}

/* A message between edges: the text, and the same with its signature as it travels. */
static void put_peer(struct json *j, const char *topic, const char *to, const char *text)
{
    struct signkey key = fixture_key(KEY_EDGE);
    struct peer_said p = {.zone_id = fixture_id("zone1"),
                          .from = fixture_id("edge1"),
                          .topic = slice_str(topic),
                          .time_us = fixture_now_us,
                          .text = hash_of(slice_str(text), (struct slice){0})};
    uint8_t body_bytes[512], blob[8 + SIGNATURE_BYTES];
    char blob_text[128], message[1024];
    if (*to)
        p.to = fixture_id(to);
    struct writer body = writer_of(body_bytes, sizeof(body_bytes));
    peer_said_encode(&p, &body);
    struct signature sig = peer_said_sign(&p, &key);
    struct writer b = writer_of(blob, sizeof(blob));
    write_u64(&b, p.time_us);
    write_bytes(&b, sig.b, SIGNATURE_BYTES);
    b64_encode(slice_of(blob, b.len), blob_text);
    snprintf(message, sizeof(message), "%.*s,\"sig\":\"%s\"}", (int)strlen(text) - 1, text,
             blob_text);
    json_open(j, NULL, '{');
    json_text(j, "topic", slice_str(topic));
    json_text(j, "to", slice_str(to));
    json_text(j, "signed_by", slice_str(fixture_key_name(KEY_EDGE)));
    json_u64(j, "time", p.time_us);
    json_text(j, "text", slice_str(text));
    json_hash(j, "text_hash", &p.text);
    json_hex(j, "body", slice_of(body_bytes, body.len));
    json_text(j, "message", slice_str(message));
    json_close(j, '}');
}

void vectors_requests(struct json *j)
{
    struct video v = fixture_video();
    struct hash stream = video_stream(&v);
    json_open(j, "streams", '[');
    json_open(j, NULL, '{');
    json_text(j, "zone_id", id_slice(&v.zone_id));
    json_text(j, "streamer_id", id_slice(&v.streamer_id));
    json_text(j, "video_id", id_slice(&v.video_id));
    json_hash(j, "nonce", &v.nonce);
    json_hash(j, "stream", &stream);
    json_close(j, '}');
    json_close(j, ']');

    json_open(j, "thumbnails", '[');
    put_thumbnail(j, "");
    put_thumbnail(j, "12456");
    put_thumbnail(j, "thumb1.jpg");
    json_close(j, ']');

    json_open(j, "requests", '[');
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        put_request(j, &requests[i]);
    json_close(j, ']');

    put_enrolment(j);
    put_broker_login(j);

    json_open(j, "between_edges", '[');
    put_peer(j, "db", "", "{\"ID\":\"edge1\",\"from\":\"edge2\",\"form\":\"bundle\",\"asking\":7}");
    put_peer(j, "db", "edge2",
             "{\"EDGE_ID\":\"edge1\",\"asking\":7,\"claims\":[],\"page\":1,\"pages\":1}");
    put_peer(j, "db/sync", "edge2",
             "{\"EDGE_ID\":\"edge1\",\"sync\":\"want\",\"horizon\":1795255200000000,"
             "\"want\":\"AAAAAAAAAAAAAAAAAAAAAAAA\"}");
    json_close(j, ']');

    json_open(j, "tokens", '[');
    put_token(j, "5f0c6a1e9b7d4c3f8a2e1d0c9b8a7f6e", fixture_now_us);
    put_token(j, "CLIENT", 0);
    json_close(j, ']');
}
