#include "base/file.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_TO_OTHERS = 077 };

static enum err read_all(int fd, size_t max_bytes, char **ret_bytes, size_t *ret_len)
{
    CLEANUP(mem_free_ptr) char *bytes = mem_alloc_raw(max_bytes + 1);
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, bytes + len, max_bytes + 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max_bytes)
            return ERR_LIMIT;
    }
    bytes[len] = '\0';
    *ret_bytes = mem_resize(bytes, len + 1);
    bytes = NULL;
    *ret_len = len;
    return ERR_OK;
}

enum err file_read(const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_UNKNOWN : ERR_IO;
    enum err err = read_all(fd, max_bytes, ret_bytes, ret_len);
    int saved = errno;
    close(fd);
    errno = saved;
    return err;
}

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes = slice_from(bytes, (size_t)n);
    }
    return fsync(fd) == 0;
}

static enum err sync_folder_of(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    int rc = fsync(fd);
    close(fd);
    return rc == 0 ? ERR_OK : ERR_IO;
}

enum err file_write(const char *path, struct slice bytes)
{
    char tmp[PATH_MAX];
    int n = snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    if (n < 0 || (size_t)n >= sizeof(tmp)) {
        errno = ENAMETOOLONG;
        return ERR_IO;
    }
    unlink(tmp); /* a killed writer's; its mode and links are not ours */
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ERR_IO;
    bool written = write_all(fd, bytes);
    if (close(fd) != 0)
        written = false;
    if (!written || rename(tmp, path) != 0) {
        int saved = errno;
        unlink(tmp);
        errno = saved;
        return ERR_IO;
    }
    return sync_folder_of(path);
}

enum err file_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? sync_folder_of(to) : ERR_IO;
}

bool file_is_open(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & OPEN_TO_OTHERS) != 0;
}

static bool make_one_dir(const char *path)
{
    if (mkdir(path, 0700) == 0)
        return true;
    struct stat st;
    if (errno != EEXIST || stat(path, &st) != 0)
        return false;
    errno = ENOTDIR;
    return S_ISDIR(st.st_mode);
}

enum err file_make_dir(const char *path)
{
    char copy[PATH_MAX];
    int n = snprintf(copy, sizeof(copy), "%s", path);
    if (n <= 0 || (size_t)n >= sizeof(copy)) {
        errno = ENAMETOOLONG;
        return ERR_IO;
    }
    for (char *slash = copy + 1;; slash++) {
        if (*slash != '/' && *slash != '\0')
            continue;
        char kept = *slash;
        *slash = '\0';
        if (!make_one_dir(copy))
            return ERR_IO;
        *slash = kept;
        if (kept == '\0')
            return ERR_OK;
    }
}
