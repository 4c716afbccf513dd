/* Signed requests, enrolment and reply tokens: who may ask, and where the answer may go. */
#include "base/check.h"
#include "trust/body.h"
#include "trust/object.h"

enum {
    REQUEST_BODY_BYTES_MAX = 512, /* a type of ours, a target id and 56 bytes */
    EDGE_REQ_BYTES_MAX = 4 + ID_BYTES_MAX + KEY_BYTES + 8 + NONCE_BYTES,
};
static const uint64_t hour_us = (uint64_t)3600 * 1000 * 1000;

/* --- fields -------------------------------------------------------------- */

/* Ascending order of the bytes; a prefix comes first. */
static int key_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (c == 0 && a.len != b.len)
        c = a.len < b.len ? -1 : 1;
    return c;
}

static void fields_sort(struct field *fields, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct field moving = fields[i];
        size_t at = i;
        for (; at > 0 && key_cmp(fields[at - 1].key, moving.key) > 0; at--)
            fields[at] = fields[at - 1];
        fields[at] = moving;
    }
}

enum err fields_hash(struct field *fields, size_t n, struct hash *ret)
{
    if (n > REQUEST_FIELDS_MAX + 1)
        return ERR_LIMIT;
    fields_sort(fields, n);
    struct hasher h;
    size_t hashed = 0;
    hasher_init(&h);
    hasher_add(&h, object_domain(OBJECT_FIELDS));
    for (size_t i = 0; i < n; i++) {
        if (i && slice_eq(fields[i].key, fields[i - 1].key))
            return ERR_FORMAT;
        if (slice_eq_str(fields[i].key, "auth"))
            continue;
        hasher_add_str(&h, fields[i].key);
        hasher_add_str(&h, fields[i].value);
        hashed++;
    }
    if (hashed > REQUEST_FIELDS_MAX)
        return ERR_LIMIT;
    *ret = hasher_end(&h);
    return ERR_OK;
}

/* --- requests ------------------------------------------------------------ */

void request_body(struct writer *w, struct slice type, struct slice target,
                  const struct hash *fields, uint64_t ts_us, const struct nonce *nonce)
{
    write_str(w, type);
    write_str(w, target);
    write_hash(w, fields);
    write_u64(w, ts_us);
    write_bytes(w, nonce->b, NONCE_BYTES);
}

void request_sign(struct slice type, struct slice target, const struct hash *fields, uint64_t ts_us,
                  const struct nonce *nonce, const struct signkey *key,
                  uint8_t ret_auth[static AUTH_BYTES], struct hash *ret_request)
{
    uint8_t bytes[REQUEST_BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    request_body(&w, type, target, fields, ts_us, nonce);
    CHECK(!w.full);
    struct slice body = slice_of(bytes, w.len);
    struct signature sig = object_sign(OBJECT_REQUEST, body, key);

    struct writer auth = writer_of(ret_auth, AUTH_BYTES);
    write_u64(&auth, ts_us);
    write_bytes(&auth, nonce->b, NONCE_BYTES);
    write_bytes(&auth, sig.b, SIGNATURE_BYTES);
    if (ret_request)
        *ret_request = object_hash(OBJECT_REQUEST, body);
}

enum err request_check(struct slice type, struct slice target, const struct hash *fields,
                       struct slice auth, const struct pubkey *pk, struct request_auth *ret,
                       struct hash *ret_request)
{
    struct reader r = reader_of(auth);
    struct request_auth a;
    a.ts_us = read_u64(&r);
    read_copy(&r, a.nonce.b, NONCE_BYTES);
    read_copy(&r, a.sig.b, SIGNATURE_BYTES);
    if (!reader_done(&r))
        return ERR_FORMAT;

    uint8_t bytes[REQUEST_BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    request_body(&w, type, target, fields, a.ts_us, &a.nonce);
    CHECK(!w.full);
    struct slice body = slice_of(bytes, w.len);
    enum err err = object_check(OBJECT_REQUEST, body, &a.sig, pk);
    if (err != ERR_OK)
        return err;
    *ret = a;
    if (ret_request)
        *ret_request = object_hash(OBJECT_REQUEST, body);
    return ERR_OK;
}

/* --- enrolment ----------------------------------------------------------- */

static void edge_req_body(struct writer *w, const struct enrolment *e)
{
    write_id(w, &e->edge_id);
    write_pubkey(w, &e->pk);
    write_u64(w, e->ts_us);
    write_bytes(w, e->nonce.b, NONCE_BYTES);
    CHECK(!w->full);
}

static struct hash edge_req_mac(const uint8_t secret[static KEY_BYTES], struct slice body)
{
    struct hasher h;
    hasher_init_keyed(&h, secret);
    hasher_add(&h, object_domain(OBJECT_EDGE_REQ));
    hasher_add(&h, body);
    return hasher_end(&h);
}

void enrolment_prove(const struct enrolment *e, const uint8_t secret[static KEY_BYTES],
                     const struct signkey *key, uint8_t ret_proof[static ENROL_PROOF_BYTES],
                     struct hash *ret_request)
{
    uint8_t bytes[EDGE_REQ_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    edge_req_body(&w, e);
    struct slice body = slice_of(bytes, w.len);
    struct hash mac = edge_req_mac(secret, body);
    struct signature sig = object_sign(OBJECT_EDGE_REQ, body, key);
    memcpy(ret_proof, mac.b, HASH_BYTES);
    memcpy(ret_proof + HASH_BYTES, sig.b, SIGNATURE_BYTES);
    *ret_request = object_hash(OBJECT_EDGE_REQ, body);
}

enum err enrolment_check(const struct enrolment *e, const uint8_t secret[static KEY_BYTES],
                         struct slice proof, struct hash *ret_request)
{
    if (proof.len != ENROL_PROOF_BYTES)
        return ERR_FORMAT;
    uint8_t bytes[EDGE_REQ_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    edge_req_body(&w, e);
    struct slice body = slice_of(bytes, w.len);
    struct hash mac = edge_req_mac(secret, body);
    if (!crypto_equal(mac.b, proof.ptr, HASH_BYTES))
        return ERR_UNAUTHORIZED;
    struct signature sig;
    memcpy(sig.b, proof.ptr + HASH_BYTES, SIGNATURE_BYTES);
    enum err err = object_check(OBJECT_EDGE_REQ, body, &sig, &e->pk);
    if (err == ERR_OK)
        *ret_request = object_hash(OBJECT_EDGE_REQ, body);
    return err;
}

struct hash enrolment_reply_mac(const uint8_t secret[static KEY_BYTES], const struct hash *request,
                                struct slice params, struct slice credential,
                                const struct nonce *nonce)
{
    struct hasher h;
    hasher_init_keyed(&h, secret);
    hasher_add(&h, object_domain(OBJECT_EDGE_REP));
    hasher_add(&h, slice_of(request->b, HASH_BYTES));
    hasher_add_str(&h, params);
    hasher_add_str(&h, credential);
    hasher_add(&h, slice_of(nonce->b, NONCE_BYTES));
    return hasher_end(&h);
}

/* --- reply tokens -------------------------------------------------------- */

static struct hash token_mac(const uint8_t secret[static KEY_BYTES], struct slice client_id,
                             uint64_t hour)
{
    struct hasher h;
    hasher_init_keyed(&h, secret);
    hasher_add(&h, object_domain(OBJECT_TOKEN));
    hasher_add_str(&h, client_id);
    hasher_add_u64(&h, hour);
    return hasher_end(&h);
}

void token_make(const uint8_t secret[static KEY_BYTES], struct slice client_id, uint64_t utc_us,
                uint8_t ret[static TOKEN_BYTES])
{
    struct hash mac = token_mac(secret, client_id, utc_us / hour_us);
    memcpy(ret, mac.b, TOKEN_BYTES);
}

bool token_valid(const uint8_t secret[static KEY_BYTES], struct slice client_id, uint64_t utc_us,
                 struct slice token)
{
    uint64_t hour = utc_us / hour_us;
    if (token.len != TOKEN_BYTES)
        return false;
    struct hash mac = token_mac(secret, client_id, hour);
    if (crypto_equal(mac.b, token.ptr, TOKEN_BYTES))
        return true;
    if (hour == 0)
        return false;
    mac = token_mac(secret, client_id, hour - 1);
    return crypto_equal(mac.b, token.ptr, TOKEN_BYTES);
}
