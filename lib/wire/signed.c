#include "wire/signed.h"

#include "base/check.h"

/*
 * Why the signer reads its own text back: what is hashed is then what the other
 * side hashes, by the same code, and no second rule can drift from the first.
 */

static void hash_fields(struct json *j, struct hash *ret)
{
    struct field fields[REQUEST_FIELDS_MAX];
    size_t n = json_fields(j, fields);
    if (j->err == ERR_OK && fields_hash(fields, n, ret) != ERR_OK)
        json_fail(j, ERR_FORMAT);
}

void signed_read(struct json *j, struct signed_fields *ret)
{
    hash_fields(j, &ret->fields);
    ret->auth = json_blob(j, "auth", AUTH_BYTES);
    json_require(j, ret->auth.len == AUTH_BYTES || !json_has(j, "auth"));
}

struct slice signed_end(struct json_out *out, const char *type, const struct request_signer *signer)
{
    struct json_out unsigned_out = *out;
    struct slice text = json_end(&unsigned_out);
    if (!signer)
        return text;
    struct json j CLEANUP(json_close) = json_open_object(text, out->arena);
    struct hash fields = {0};
    hash_fields(&j, &fields);
    CHECK(j.err == ERR_OK);
    uint8_t auth[AUTH_BYTES];
    request_sign(slice_str(type), signer->target, &fields, signer->ts_us, &signer->nonce,
                 signer->key, auth, signer->ret_request);
    json_put_blob(out, "auth", slice_of(auth, sizeof(auth)));
    return json_end(out);
}
