#ifndef CLIENT_SOURCE_H
#define CLIENT_SOURCE_H
/*
 * What an upload sends, piece by piece: a media file as init segment and
 * fragments (media.h), any other file as it is. The same file gives the same
 * pieces again, so that an upload can be gone on with in another run.
 */
#include "client/media.h"

#include <sys/types.h>

enum { SOURCE_PIECE_BYTES = 1024 * 1024 }; /* of a file that is no media */

struct source {
    const char *path;    /* borrowed */
    struct media *media; /* NULL: as it is */
    int fd;              /* as it is; else -1 */
    uint64_t size_bytes;
    int64_t mtime_ns;
    char why[MEDIA_WHY_BYTES];
};

/*
 * source_open: path is a regular file, borrowed until source_close.
 * ERR_IO: it cannot be read, or is empty; source.why tells.
 */
enum err source_open(struct source *s, const char *path);
void source_close(struct source *s);

/*
 * source_next: the next piece, the caller's to free. ERR_CLOSED: that was all.
 * ERR_IO, ERR_FORMAT, ERR_LIMIT: why tells.
 */
enum err source_next(struct source *s, struct fragment *ret);

/* source_media_type, source_codecs: for the statement. Borrowed. */
const char *source_media_type(const struct source *s);
const char *source_codecs(const struct source *s);

#endif
