#ifndef AUTH_EDGE_KEYFILE_H
#define AUTH_EDGE_KEYFILE_H
/*
 * Files that hold one secret: 32 bytes as 64 hexadecimal digits and a line end,
 * mode 0600. What passes through here is wiped from memory, but for what the
 * caller asked for. Logs a warning when others may read such a file.
 */
#include "trust/crypto.h"

/*
 * keyfile_read
 * ERR_UNKNOWN: there is no such file. ERR_LIMIT, ERR_FORMAT: not a key. ERR_IO:
 * errno tells. ret is untouched then.
 */
enum err keyfile_read(const char *path, uint8_t ret[static KEY_BYTES]);

/* keyfile_write: as one step, on disk when it returns. ERR_IO: errno tells. */
enum err keyfile_write(const char *path, const uint8_t secret[static KEY_BYTES]);

/* keyfile_fault: what an error of these two means; errno as it was left. Static, or strerror's. */
const char *keyfile_fault(enum err err);

/* keyfile_warn_if_open: say so if others may use a file with a secret, ours or another. */
void keyfile_warn_if_open(const char *path);

#endif
