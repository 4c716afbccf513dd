/*
 * I1  a copy leaves garbage when no part and no proof has its number any more: what a crash leaves
 *     behind goes on where it was.
 */
#include "edge/store/garbage.h"

/* Up to max rows of a copy; returns how many there were. */
static uint64_t drop_some(struct conn *c, enum query_number number, uint64_t copy, uint64_t max)
{
    uint64_t n = 0;
    struct query *q = query_of(c, number);
    bind_int(q, 1, copy);
    bind_int(q, 2, max);
    while (query_row(q))
        n++;
    query_end(q);
    return n;
}

/* I1 */
static void drop_slice(struct conn *c, uint64_t copy)
{
    if (drop_some(c, Q_GARBAGE_PARTS, copy, GARBAGE_PARTS_MAX) == GARBAGE_PARTS_MAX)
        return;
    if (drop_some(c, Q_GARBAGE_PROOFS, copy, GARBAGE_PROOFS_MAX) == GARBAGE_PROOFS_MAX)
        return;
    struct query *q = query_of(c, Q_GARBAGE_DROP);
    bind_int(q, 1, copy);
    query_run(q);
}

static uint64_t next_copy(struct conn *c)
{
    struct query *q = query_of(c, Q_GARBAGE_NEXT);
    uint64_t copy = query_row(q) ? col_int(q, 0) : 0;
    query_end(q);
    return copy;
}

bool garbage_free(struct conn *c)
{
    if (!c->garbage)
        return false;
    uint64_t copy = next_copy(c);
    if (copy) {
        conn_run(c, Q_BEGIN_WRITE);
        drop_slice(c, copy);
        conn_run(c, Q_COMMIT);
    } else if (!c->db.err) {
        c->garbage = false;
    }
    if (db_clear(&c->db) == ERR_OK)
        return copy != 0;
    if (db_in_transaction(&c->db))
        conn_run(c, Q_ROLLBACK);
    db_clear(&c->db);
    return false;
}
