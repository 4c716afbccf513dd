/* Why: the one password hash that is another program's, with its parameters. */
#include "auth_edge/pbkdf2.h"

#include "base/check.h"

#include <openssl/evp.h>

void pbkdf2(struct slice password, const uint8_t salt[static PBKDF2_SALT_BYTES],
            uint8_t ret[static PBKDF2_BYTES])
{
    CHECK(PKCS5_PBKDF2_HMAC((const char *)password.ptr, (int)password.len, salt, PBKDF2_SALT_BYTES,
                            PBKDF2_ITERATIONS, EVP_sha512(), PBKDF2_BYTES, ret) == 1);
}
