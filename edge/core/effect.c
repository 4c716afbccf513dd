#include "edge/core/effect.h"

#include "base/check.h"

void effects_own(struct effects *fx, struct event *ev)
{
    CHECK(!fx->event);
    fx->event = ev;
}

void effects_reset(struct effects *fx)
{
    for (size_t i = 0; i < fx->n; i++) {
        msg_unref(fx->list[i].packet);
        storage_op_free(fx->list[i].op);
        thumbnail_job_free(fx->list[i].job);
    }
    event_free(fx->event);
    fx->event = NULL;
    fx->n = 0;
    arena_reset(&fx->arena);
}
