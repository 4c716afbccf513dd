/* Why: three kinds of output, one of which must not be seen half done. */
#include "client/sink.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *joined(const char *a, const char *b)
{
    size_t cap = strlen(a) + strlen(b) + 1;
    char *text = mem_alloc(cap);
    snprintf(text, cap, "%s%s", a, b);
    return text;
}

/* Whether a file may be put in the place of what is there. */
static bool replaceable(const char *path)
{
    struct stat st;
    return lstat(path, &st) != 0 || S_ISREG(st.st_mode);
}

enum err sink_open(struct sink *s, const char *path, bool whole)
{
    *s = (struct sink){.fd = -1};
    sha256_init(&s->hash);
    if (!path)
        return ERR_OK;
    if (strcmp(path, "-") == 0) {
        s->fd = STDOUT_FILENO;
        return ERR_OK;
    }
    whole = whole && replaceable(path);
    char *part_path = whole ? joined(path, ".part") : NULL;
    int fd = open(whole ? part_path : path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        free(part_path);
        return ERR_IO;
    }
    s->fd = fd;
    s->own_fd = true;
    s->path = joined(path, "");
    s->part_path = part_path;
    return ERR_OK;
}

enum err sink_write(struct sink *s, struct slice bytes)
{
    sha256_add(&s->hash, bytes);
    s->bytes += bytes.len;
    while (s->fd >= 0 && bytes.len) {
        ssize_t n = write(s->fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EPIPE ? ERR_CLOSED : ERR_IO;
        bytes = slice_from(bytes, (size_t)n);
    }
    return ERR_OK;
}

enum err sink_commit(struct sink *s)
{
    if (!s->own_fd)
        return ERR_OK;
    int fd = s->fd;
    s->fd = -1;
    s->own_fd = false;
    bool synced = fsync(fd) == 0 || errno == EINVAL; /* a pipe or device has nothing to sync */
    if (close(fd) != 0 || !synced)
        return ERR_IO;
    if (!s->part_path)
        return ERR_OK;
    if (rename(s->part_path, s->path) != 0)
        return ERR_IO;
    free(s->part_path);
    s->part_path = NULL;
    return ERR_OK;
}

void sink_release(struct sink *s)
{
    if (s->own_fd)
        close(s->fd);
    if (s->part_path)
        unlink(s->part_path);
    free(s->part_path);
    free(s->path);
    *s = (struct sink){.fd = -1};
}

void sink_sha256(const struct sink *s, char ret[static SINK_SHA256_TEXT_BYTES])
{
    struct sha256 copy = s->hash;
    uint8_t digest[SHA256_BYTES];
    sha256_end(&copy, digest);
    hex_encode(slice_of(digest, sizeof(digest)), ret);
}
