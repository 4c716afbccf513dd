/*
 * edge_thumbnail: media on standard input, a JPEG on standard output. A program of its own because
 * codecs are large and media is a stranger's: what goes wrong in them ends here, with nothing in
 * reach. The edge sets limits and starts it (edge/thumbnailer.h); docs/decisions/0012 says why.
 *
 * Exit status: 0 a JPEG was written; 1 there is none to be had; 2 it could not be jailed.
 */
#include "base/mem.h"
#include "thumbnail/jail.h"
#include "thumbnail/picture.h"
#include "trust/thumbnail.h"

#include <sys/syscall.h>
#include <unistd.h>

/* Straight to the kernel: what a library or a sanitizer would do at the end, the jail refuses. */
static _Noreturn void leave(int status)
{
    syscall(SYS_exit_group, status);
    _exit(status);
}

/* Up to max bytes, to the end of the input. What is beyond is left. */
static size_t read_all(uint8_t *ret, size_t max)
{
    size_t len = 0;
    ssize_t n = 1;
    while (len < max && (n = read(STDIN_FILENO, ret + len, max - len)) > 0)
        len += (size_t)n;
    return n < 0 ? 0 : len;
}

static bool write_all(struct slice bytes)
{
    while (bytes.len) {
        ssize_t n = write(STDOUT_FILENO, bytes.ptr, bytes.len);
        if (n <= 0)
            return false;
        bytes = slice_from(bytes, (size_t)n);
    }
    return true;
}

int main(void)
{
    static uint8_t jpeg[THUMBNAIL_JPEG_BYTES_MAX];
    if (jail_enter() != ERR_OK)
        leave(2);
    uint8_t *media = mem_alloc_raw(THUMBNAIL_MEDIA_BYTES_MAX);
    struct slice input = slice_of(media, read_all(media, THUMBNAIL_MEDIA_BYTES_MAX));
    size_t len = 0;
    bool made =
        picture_of(input, sizeof(jpeg), jpeg, &len) == ERR_OK && write_all(slice_of(jpeg, len));
    leave(made ? 0 : 1);
}
