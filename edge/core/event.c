#include "edge/core/event.h"

#include "base/mem.h"

#include <stdlib.h>

struct event *event_new(enum event_kind kind)
{
    struct event *ev = mem_alloc(sizeof(*ev));
    ev->kind = kind;
    return ev;
}

void event_free(struct event *ev)
{
    if (!ev)
        return;
    if (ev->kind == EVENT_STORED)
        storage_done_free(ev->u.done);
    if (ev->kind == EVENT_PART) {
        msg_unref(ev->u.part.packet);
        msg_unref(ev->u.part.original);
    }
    if (ev->kind == EVENT_THUMBNAIL)
        thumbnail_job_free(ev->u.thumbnail);
    msg_unref(ev->msg);
    arena_release(&ev->arena);
    free(ev);
}
