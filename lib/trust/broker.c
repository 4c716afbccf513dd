/*
 * Why: a password that follows from a key need not be kept, and is the same for each device of a
 * streamer and after a lost answer. None can be computed from another one.
 */
#include "trust/broker.h"

#include "base/check.h"

#include <string.h>

enum { PASSWORD_INPUT_BYTES_MAX = 256 };

bool broker_user_reserved(const struct id *id)
{
    return strcmp(id->s, BROKER_USER_ENROL) == 0 || strcmp(id->s, BROKER_USER_AUTH) == 0;
}

static void password_of(const uint8_t key[static KEY_BYTES], const struct writer *w,
                        char ret[static BROKER_PASSWORD_BYTES])
{
    CHECK(!w->full);
    struct hash mac = mac_of(key, slice_of(w->buf, w->len));
    hex_encode(slice_of(mac.b, HASH_BYTES), ret);
    crypto_wipe(&mac, sizeof(mac));
}

static struct writer input(uint8_t buf[static PASSWORD_INPUT_BYTES_MAX], const char *what)
{
    struct writer w = writer_of(buf, PASSWORD_INPUT_BYTES_MAX);
    write_bytes(&w, what, strlen(what) + 1);
    return w;
}

void broker_enrol_password(const uint8_t zone_secret[static KEY_BYTES],
                           char ret[static BROKER_PASSWORD_BYTES])
{
    uint8_t buf[PASSWORD_INPUT_BYTES_MAX];
    struct writer w = input(buf, "edge-cluster/v1/broker-enrol");
    password_of(zone_secret, &w, ret);
}

void broker_password(const uint8_t key[static KEY_BYTES], enum credential_kind kind,
                     const struct id *subject, uint32_t generation,
                     char ret[static BROKER_PASSWORD_BYTES])
{
    uint8_t buf[PASSWORD_INPUT_BYTES_MAX];
    struct writer w = input(buf, "edge-cluster/v1/broker-password");
    write_u8(&w, (uint8_t)kind);
    write_str(&w, id_slice(subject));
    write_u32(&w, generation);
    password_of(key, &w, ret);
}
