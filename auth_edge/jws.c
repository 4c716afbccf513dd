/*
 * Why: OpenSSL's EVP behind three functions, so that what is accepted as a key or
 * as a signature is read in one place.
 *
 *   I1  a key is of one of two kinds, and is used as that kind alone.
 *   I2  OpenSSL's error queue is empty between calls: nothing of it outlives one.
 */
#include "auth_edge/jws.h"

#include "base/check.h"
#include "base/mem.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>

enum { DER_BYTES_MAX = 80 }; /* of an ECDSA signature with P-256: 72 */

struct jws_key {
    bool ec;
    EVP_PKEY *pkey;
};

static void bn_free_ptr(BIGNUM **bn)
{
    BN_free(*bn);
}

static void builder_free_ptr(OSSL_PARAM_BLD **builder)
{
    OSSL_PARAM_BLD_free(*builder);
}

static void params_free_ptr(OSSL_PARAM **params)
{
    OSSL_PARAM_free(*params);
}

static void pkey_ctx_free_ptr(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static void md_ctx_free_ptr(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

static void ecdsa_free_ptr(ECDSA_SIG **signature)
{
    ECDSA_SIG_free(*signature);
}

/*
 * The key that the parameters describe. OpenSSL checks here that a point is on its
 * curve; its check of RSA keys tests for primes, for many milliseconds, and tells
 * us nothing: the set comes from Supabase itself.
 */
static EVP_PKEY *pkey_of(const char *type, OSSL_PARAM_BLD *builder)
{
    CLEANUP(params_free_ptr) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    CLEANUP(pkey_ctx_free_ptr) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return pkey;
}

static enum err key_new(bool ec, EVP_PKEY *pkey, struct jws_key **ret)
{
    ERR_clear_error(); /* I2 */
    if (!pkey)
        return ERR_FORMAT;
    struct jws_key *key = mem_alloc(sizeof(*key));
    *key = (struct jws_key){.ec = ec, .pkey = pkey};
    *ret = key;
    return ERR_OK;
}

enum err jws_key_es256(struct slice x, struct slice y, struct jws_key **ret)
{
    uint8_t point[1 + 2 * JWS_EC_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    if (x.len != JWS_EC_BYTES || y.len != JWS_EC_BYTES)
        return ERR_FORMAT;
    memcpy(point + 1, x.ptr, JWS_EC_BYTES);
    memcpy(point + 1 + JWS_EC_BYTES, y.ptr, JWS_EC_BYTES);
    CLEANUP(builder_free_ptr) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    if (builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
        pkey = pkey_of("EC", builder);
    return key_new(true, pkey, ret);
}

enum err jws_key_rs256(struct slice n, struct slice e, struct jws_key **ret)
{
    if (n.len < JWS_RSA_BYTES_MIN || n.len > JWS_RSA_BYTES_MAX || !(n.ptr[0] & 0x80))
        return ERR_FORMAT;
    if (e.len == 0 || e.len > JWS_RSA_EXPONENT_BYTES_MAX || e.ptr[0] == 0 ||
        !(e.ptr[e.len - 1] & 1) || (e.len == 1 && e.ptr[0] == 1))
        return ERR_FORMAT;
    CLEANUP(bn_free_ptr) BIGNUM *modulus = BN_bin2bn(n.ptr, (int)n.len, NULL);
    CLEANUP(bn_free_ptr) BIGNUM *exponent = BN_bin2bn(e.ptr, (int)e.len, NULL);
    CLEANUP(builder_free_ptr) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    if (modulus && exponent && builder &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
        pkey = pkey_of("RSA", builder);
    return key_new(false, pkey, ret);
}

void jws_key_free(struct jws_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

/* r ‖ s, as it stands in a token, as the DER that OpenSSL reads; 0: cannot be. */
static size_t der_of(struct slice raw, uint8_t ret[static DER_BYTES_MAX])
{
    CLEANUP(ecdsa_free_ptr) ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.ptr, JWS_EC_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(raw.ptr + JWS_EC_BYTES, JWS_EC_BYTES, NULL);
    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return 0;
    }
    uint8_t *at = ret;
    int len = i2d_ECDSA_SIG(signature, NULL);
    if (len <= 0 || len > DER_BYTES_MAX)
        return 0;
    return (size_t)i2d_ECDSA_SIG(signature, &at);
}

static bool holds(const struct jws_key *key, struct slice input, struct slice signature)
{
    CLEANUP(md_ctx_free_ptr) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    return ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
           EVP_DigestVerify(ctx, signature.ptr, signature.len, input.ptr, input.len) == 1;
}

enum err jws_verify(const struct jws_key *key, struct slice input, struct slice signature)
{
    uint8_t der[DER_BYTES_MAX];
    if (key->ec) {
        if (signature.len != 2 * JWS_EC_BYTES)
            return ERR_SIGNATURE;
        signature = slice_of(der, der_of(signature, der));
    }
    bool ok = signature.len > 0 && holds(key, input, signature);
    ERR_clear_error(); /* I2 */
    return ok ? ERR_OK : ERR_SIGNATURE;
}
