#ifndef EDGE_CORE_THUMBNAIL_JOB_H
#define EDGE_CORE_THUMBNAIL_JOB_H
/* One picture to be made: from the core as an effect, back to it as an event. */
#include "base/err.h"
#include "trust/thumbnail.h"

struct thumbnail_job {
    uint64_t serial; /* the core's */
    size_t media_len;
    uint8_t *media; /* owned: an init segment and (the beginning of) a keyframe fragment */
    /*
     * ERR_OK: jpeg is what the program wrote, which jpeg_ok holds for. ERR_FORMAT: it ended without
     * a picture, or with something else. ERR_LIMIT: it wrote too much. ERR_TIMEOUT: it was killed.
     * ERR_UNKNOWN: there is no such program. ERR_IO: it could not be started. ERR_CLOSED: the
     * thumbnailer was closed meanwhile.
     */
    enum err err;
    size_t jpeg_len;
    uint8_t jpeg[THUMBNAIL_JPEG_BYTES_MAX];
};

/* thumbnail_job_new: with room for THUMBNAIL_MEDIA_BYTES_MAX. _free: NULL is fine. */
struct thumbnail_job *thumbnail_job_new(uint64_t serial);
void thumbnail_job_free(struct thumbnail_job *job);
/* thumbnail_job_add: as much of the bytes as fits; true: not all of it did. */
bool thumbnail_job_add(struct thumbnail_job *job, struct slice bytes);

#endif
