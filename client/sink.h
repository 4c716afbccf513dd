#ifndef CLIENT_SINK_H
#define CLIENT_SINK_H
/*
 * Where verified media goes: a file, standard output, or nowhere. Everything
 * that passes is counted and hashed. Only verified bytes are given to it.
 */
#include "base/err.h"
#include "base/slice.h"
#include "trust/crypto.h"

struct sink {
    int fd; /* -1: nowhere */
    bool own_fd;
    char *path;      /* the final name; NULL: none */
    char *part_path; /* written first, renamed by sink_commit; NULL: path itself is written */
    struct sha256 hash;
    uint64_t bytes;
};

/*
 * sink_open: path NULL: nowhere; "-": standard output; else a file.
 * whole  write PATH.part, which becomes PATH in sink_commit: nobody takes half a
 *        video for all of it. Otherwise PATH grows as it is written. What is no
 *        regular file (a pipe, a device, a link) is written as it is: it must not
 *        be replaced.
 * ERR_IO: errno tells.
 */
enum err sink_open(struct sink *s, const char *path, bool whole);

/* sink_write: ERR_CLOSED: the reader of standard output went away. ERR_IO: errno tells. */
enum err sink_write(struct sink *s, struct slice bytes);

/* sink_commit: everything is there: fsync, rename, close. ERR_IO: errno tells. */
enum err sink_commit(struct sink *s);

/* sink_release: close; PATH.part, if it was not committed, is removed. */
void sink_release(struct sink *s);

/* sink_sha256: of everything written so far, in hexadecimal. */
enum { SINK_SHA256_TEXT_BYTES = 2 * SHA256_BYTES + 1 };
void sink_sha256(const struct sink *s, char ret[static SINK_SHA256_TEXT_BYTES]);

#endif
