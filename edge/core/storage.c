#include "edge/core/storage.h"

#include "base/mem.h"

#include <stdlib.h>

struct storage_op *storage_op_new(enum storage_kind kind, uint64_t token)
{
    struct storage_op *op = mem_alloc(sizeof(*op));
    op->kind = kind;
    op->token = token;
    return op;
}

void storage_op_free(struct storage_op *op)
{
    if (!op)
        return;
    if (op->kind == STORAGE_PART_PUT)
        msg_unref(op->u.part_put.packet);
    arena_release(&op->arena);
    free(op);
}

void storage_done_free(struct storage_done *done)
{
    if (!done)
        return;
    if (done->kind == STORAGE_PARTS_READ && done->err == ERR_OK)
        for (size_t i = 0; i < done->u.parts_read.n; i++)
            msg_unref(done->u.parts_read.parts[i].packet);
    arena_release(&done->arena);
    free(done);
}
