/* Why: the upload loop does not care what it sends. */
#include "client/source.h"

#include "base/mem.h"
#include "trust/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err fail_errno(struct source *s, const char *what)
{
    snprintf(s->why, sizeof(s->why), "%s: %s", what, strerror(errno));
    return ERR_IO;
}

/* A file that libavformat knows, in codecs that MP4 carries, is media; all others go as they are.
 */
static enum err open_input(struct source *s)
{
    struct media_options options = {.fragment_bytes_max = CHUNK_BYTES_MAX};
    enum err err = media_open(s->path, &options, &s->media, s->why);
    if (err == ERR_OK)
        return ERR_OK;
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    return s->fd < 0 ? fail_errno(s, "it cannot be read") : ERR_OK;
}

enum err source_open(struct source *s, const char *path)
{
    *s = (struct source){.path = path, .fd = -1};
    struct stat st;
    if (stat(path, &st) != 0)
        return fail_errno(s, "it cannot be read");
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        snprintf(s->why, sizeof(s->why), "it is %s",
                 S_ISREG(st.st_mode) ? "empty" : "no regular file; edgectl live takes others");
        return ERR_IO;
    }
    s->size_bytes = (uint64_t)st.st_size;
    s->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return open_input(s);
}

void source_close(struct source *s)
{
    media_close(s->media);
    s->media = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static enum err next_piece(struct source *s, struct fragment *ret)
{
    uint8_t *bytes = mem_alloc_raw(SOURCE_PIECE_BYTES);
    size_t len = 0;
    while (len < SOURCE_PIECE_BYTES) {
        ssize_t n = read(s->fd, bytes + len, SOURCE_PIECE_BYTES - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(bytes);
            return fail_errno(s, "reading failed");
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (len == 0) {
        free(bytes);
        return ERR_CLOSED;
    }
    *ret = (struct fragment){.bytes = bytes, .len = len};
    return ERR_OK;
}

enum err source_next(struct source *s, struct fragment *ret)
{
    if (!s->media)
        return next_piece(s, ret);
    uint64_t wait_us;
    enum err err = media_next(s->media, 0, ret, &wait_us);
    if (err != ERR_OK && err != ERR_CLOSED)
        snprintf(s->why, sizeof(s->why), "%s", media_why(s->media));
    return err;
}

const char *source_media_type(const struct source *s)
{
    return s->media ? "video/mp4" : "application/octet-stream";
}

const char *source_codecs(const struct source *s)
{
    return s->media ? media_codecs(s->media) : "";
}
