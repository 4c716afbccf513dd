#include "edge/core/thumbnail_job.h"

#include "base/mem.h"

#include <stdlib.h>

struct thumbnail_job *thumbnail_job_new(uint64_t serial)
{
    struct thumbnail_job *job = mem_alloc(sizeof(*job));
    job->serial = serial;
    job->media = mem_alloc_raw(THUMBNAIL_MEDIA_BYTES_MAX);
    return job;
}

void thumbnail_job_free(struct thumbnail_job *job)
{
    if (!job)
        return;
    free(job->media);
    free(job);
}

bool thumbnail_job_add(struct thumbnail_job *job, struct slice bytes)
{
    size_t room = THUMBNAIL_MEDIA_BYTES_MAX - job->media_len;
    size_t n = bytes.len < room ? bytes.len : room;
    if (n)
        memcpy(job->media + job->media_len, bytes.ptr, n);
    job->media_len += n;
    return n < bytes.len;
}
