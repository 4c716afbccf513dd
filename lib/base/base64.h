#ifndef BASE_BASE64_H
#define BASE_BASE64_H
/*
 * base64 (RFC 4648 §4): the standard alphabet, padded, canonical: every byte
 * string has exactly one text. Our own, because media passes through it and
 * libsodium's, made for secrets, is ten times slower. Not constant-time.
 * Pure; any thread.
 */
#include "base/err.h"
#include "base/slice.h"

/* b64_text_len: characters of the text of n bytes, without NUL. */
static inline size_t b64_text_len(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* b64_encode: writes b64_text_len(bytes.len) + 1 bytes, NUL included. */
void b64_encode(struct slice bytes, char *ret);

/*
 * b64_decode: at most max bytes.
 * ret  may hold part of the bytes when this fails; ret_len is untouched then.
 * ERR_FORMAT: not base64, not padded, or bits set that no byte holds.
 * ERR_LIMIT: more than max.
 */
enum err b64_decode(struct slice text, uint8_t *ret, size_t max, size_t *ret_len);

/* b64url_decode: as b64_decode, of the alphabet of RFC 4648 §5 without padding (RFC 7515). */
enum err b64url_decode(struct slice text, uint8_t *ret, size_t max, size_t *ret_len);

#endif
