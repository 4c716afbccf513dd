#ifndef CLIENT_MEDIA_H
#define CLIENT_MEDIA_H
/*
 * Media in, fragments of MP4 out: opens a file, a URL or standard input with
 * libavformat and remuxes it (nothing is decoded or encoded) into one init
 * segment and fragments that can be signed as chunks (docs/PROTOCOL.md §2.2).
 * media.c is the only includer of libavformat, libavcodec and libavutil.
 *
 * It streams: at most one fragment is in memory, in the muxer and here.
 * The same file cut with the same options gives the same bytes again.
 *
 * Not thread-safe; one media per thread.
 */
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MEDIA_WHY_BYTES = 256,
    MEDIA_CODECS_BYTES = 64,
    MEDIA_FILE_FRAGMENT_MIN_US = 1000 * 1000,     /* file: cut at the first keyframe after */
    MEDIA_FILE_FRAGMENT_MAX_US = 8 * 1000 * 1000, /* file: cut regardless */
    MEDIA_FIRST_WAIT_US = 3 * 1000 * 1000,        /* the first cut waits so long for every stream */
};

struct media; /* opaque */

struct media_options {
    bool live;            /* cut for live: at every video keyframe and after fragment_us */
    bool paced;           /* give packets out in real time, by their decoding time */
    bool loop;            /* at the end begin again; timestamps go on growing */
    uint32_t fragment_us; /* live */
    size_t fragment_bytes_max;
    bool (*interrupted)(void); /* polled while reading blocks; NULL: never */
};

/* An init segment or a fragment. */
struct fragment {
    bool init;
    bool keyframe;        /* the first video sample is a sync sample; audio only: true */
    uint64_t start_us;    /* decoding time from the beginning of the media */
    uint32_t duration_us; /* 0 for an init segment */
    uint8_t *bytes;       /* heap; the caller's, to free */
    size_t len;
};

/*
 * media_open: open input ("-": standard input) and choose one video and one audio stream.
 * ret_why  a sentence for the user when anything but ERR_OK is returned.
 * ERR_IO: it cannot be opened or read. ERR_FORMAT: it opens, but is no audio or
 * video, or in codecs that this MP4 does not carry (a file can go as it is).
 */
enum err media_open(const char *input, const struct media_options *options,
                    struct media **ret_media, char ret_why[static MEDIA_WHY_BYTES]);

/* media_close: NULL is fine. */
void media_close(struct media *media);

/* media_codecs: RFC 6381 names where known, libavcodec's otherwise, with commas. Borrowed. */
const char *media_codecs(const struct media *media);

/*
 * media_next: the next fragment; the first one is the init segment.
 * now_us       monotonic; looked at when paced.
 * ret_wait_us  written with ERR_BUSY: when to call again.
 * ERR_BUSY: paced, and the next packet is not due.
 * ERR_CLOSED: the input ended (or was interrupted), everything was given out.
 * ERR_LIMIT: one frame is larger than fragment_bytes_max.
 * ERR_IO, ERR_FORMAT: reading or muxing failed; media_why tells.
 */
enum err media_next(struct media *media, uint64_t now_us, struct fragment *ret_fragment,
                    uint64_t *ret_wait_us);

/* media_why: the last error as a sentence. Borrowed. */
const char *media_why(const struct media *media);

#endif
