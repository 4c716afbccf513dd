#ifndef BASE_FILE_H
#define BASE_FILE_H
/* Small files: keys, credentials, secrets, settings. Media never passes through here. */
#include "base/err.h"
#include "base/slice.h"

/*
 * file_read: the whole of a file of at most max_bytes.
 * ret_bytes  heap, NUL-terminated past ret_len; the caller frees.
 * ERR_UNKNOWN: there is no such file. ERR_LIMIT: larger than max_bytes.
 * ERR_IO: anything else, errno tells.
 */
enum err file_read(const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_len);

/*
 * file_write: replace a file as one step (temporary file, fsync, rename, fsync
 * of the folder), mode 0600. ERR_IO: errno tells; the old file is untouched.
 */
enum err file_write(const char *path, struct slice bytes);

/* file_rename: give a file another's place, on disk when it returns. ERR_IO: errno tells. */
enum err file_rename(const char *from, const char *to);

/* file_is_open: whether there is such a file, and users other than its own may use it. */
bool file_is_open(const char *path);

/* file_make_dir: create path (0700) and its missing parents. ERR_IO: errno tells. */
enum err file_make_dir(const char *path);

#endif
