#include "auth_edge/keyfile.h"

#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { KEY_FILE_BYTES_MAX = 256 };

void keyfile_warn_if_open(const char *path)
{
    if (file_is_open(path))
        log_line(LOG_WARN, "%s can be read by others: chmod 600 it", path);
}

enum err keyfile_read(const char *path, uint8_t ret[static KEY_BYTES])
{
    char *text;
    size_t len;
    uint8_t secret[KEY_BYTES];
    enum err err = file_read(path, KEY_FILE_BYTES_MAX, &text, &len);
    if (err != ERR_OK)
        return err;
    keyfile_warn_if_open(path);
    err = secret_parse(slice_of(text, len), secret);
    crypto_wipe(text, len);
    free(text);
    if (err == ERR_OK)
        memcpy(ret, secret, KEY_BYTES);
    crypto_wipe(secret, sizeof(secret));
    return err;
}

enum err keyfile_write(const char *path, const uint8_t secret[static KEY_BYTES])
{
    char text[SECRET_TEXT_BYTES + 1];
    hex_encode(slice_of(secret, KEY_BYTES), text);
    memcpy(text + SECRET_TEXT_BYTES - 1, "\n", 2);
    enum err err = file_write(path, slice_str(text));
    crypto_wipe(text, sizeof(text));
    return err;
}

const char *keyfile_fault(enum err err)
{
    switch (err) {
    case ERR_UNKNOWN: return "missing; restore it from a backup";
    case ERR_LIMIT: return "too long for a key";
    case ERR_FORMAT: return "not 64 hexadecimal digits";
    default: return strerror(errno);
    }
}
