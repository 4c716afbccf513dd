/*
 * Group commit.
 *
 *   BEGIN ── apply each operation ──┬─ all ok ────────────────────────────────────┬── COMMIT
 *                                   └─ one failed ── ROLLBACK, BEGIN ── guarded ──┘
 *
 *   guarded: SAVEPOINT ── apply ──┬─ ok ───────────── RELEASE
 *                                 └─ error ─ ROLLBACK TO, RELEASE
 *
 * A savepoint makes SQLite keep a copy of every page that the operation changes, which costs an
 * upload more than its own bytes. Hardly any operation fails, so there are none at first; a group
 * with one that does is applied twice.
 *
 * I1  a completion says ERR_OK only after the COMMIT (synchronous=FULL) that holds its operation.
 * I2  an operation that fails leaves nothing behind, and does not touch the others, unless the
 *     database itself fails: then the whole group fails with it, and nothing of it is kept. That
 *     it is locked by another process is no failure: the group may be committed again.
 * I3  part_put.more is set exactly if a later part of the same stream succeeds in the same group.
 * I4  what an operation or a group made of c->tally is taken back with it; the sums change only
 *     after the COMMIT.
 */
#include "edge/store/group.h"

#include "base/check.h"
#include "base/mem.h"
#include "edge/store/sums.h"
#include "edge/store/write.h"

#include <stdio.h>

static size_t part_bytes(const struct storage_op *op)
{
    return op->kind == STORAGE_PART_PUT ? op->u.part_put.packet->payload.len : 0;
}

bool group_has_room(const struct group *g)
{
    return g->n < GROUP_OPS_MAX && g->bytes < STORE_GROUP_BYTES_MAX;
}

void group_add(struct group *g, struct storage_op *op)
{
    CHECK(group_has_room(g));
    g->bytes += part_bytes(op);
    g->ops[g->n++] = op;
}

struct storage_done *done_new(const struct storage_op *op)
{
    struct storage_done *done = mem_alloc(sizeof(*done));
    done->kind = op->kind;
    done->token = op->token;
    return done;
}

/* The database may go on. */
static bool sound(const struct conn *c)
{
    return c->db.err == ERR_OK || c->db.err == ERR_STORAGE_FULL;
}

/* I2: what remains of the operation is taken back; false: so was the whole transaction. */
static bool take_back(struct conn *c, const struct tally *before)
{
    if (!sound(c) || !db_in_transaction(&c->db))
        return false;
    db_clear(&c->db);
    conn_run(c, Q_ROLLBACK_TO);
    conn_run(c, Q_RELEASE);
    c->tally = *before;
    return c->db.err == ERR_OK;
}

/* false: the transaction cannot go on. */
static bool apply(struct group *g, struct conn *c, size_t i, bool guarded)
{
    struct storage_done *done = g->dones[i];
    struct tally before = c->tally;
    if (guarded)
        conn_run(c, Q_SAVEPOINT);
    done->err = c->db.err ? c->db.err : write_apply(c, g->ops[i], done);
    if (c->db.err)
        done->err = c->db.err;
    if (done->err != ERR_OK)
        return guarded && take_back(c, &before);
    if (guarded)
        conn_run(c, Q_RELEASE);
    return c->db.err == ERR_OK;
}

static bool apply_all(struct group *g, struct conn *c, bool guarded)
{
    conn_run(c, Q_BEGIN_WRITE);
    bool going = c->db.err == ERR_OK;
    for (size_t i = 0; i < g->n && going; i++)
        going = apply(g, c, i, guarded);
    return going;
}

static void roll_back(struct conn *c, const struct tally *before)
{
    c->tally = *before;
    if (db_in_transaction(&c->db))
        conn_run(c, Q_ROLLBACK);
}

static bool is_later_part(const struct storage_done *a, const struct storage_done *b)
{
    return b->kind == STORAGE_PART_PUT && b->err == ERR_OK &&
           hash_eq(&a->u.part_put.stream, &b->u.part_put.stream);
}

/* I3 */
static void mark_more(struct group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        struct storage_done *done = g->dones[i];
        if (done->kind != STORAGE_PART_PUT || done->err != ERR_OK)
            continue;
        for (size_t j = i + 1; j < g->n && !done->u.part_put.more; j++)
            done->u.part_put.more = is_later_part(done, g->dones[j]);
    }
}

/* What a part's completion says on failure too. */
static void name_part(struct storage_done *done, const struct storage_op *op)
{
    if (op->kind != STORAGE_PART_PUT)
        return;
    done->u.part_put.stream = op->u.part_put.stream;
    done->u.part_put.chunk = op->u.part_put.chunk.number;
    done->u.part_put.index = op->u.part_put.index;
    done->u.part_put.parts_n = op->u.part_put.chunk.parts_n;
    done->u.part_put.packet_bytes = (uint32_t)op->u.part_put.packet->payload.len;
}

static void dones_new(struct group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        g->dones[i] = done_new(g->ops[i]);
        name_part(g->dones[i], g->ops[i]);
    }
}

static void dones_free(struct group *g)
{
    for (size_t i = 0; i < g->n; i++)
        storage_done_free(g->dones[i]);
}

static enum err first_full(const struct group *g)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->dones[i]->err == ERR_STORAGE_FULL)
            return ERR_STORAGE_FULL;
    return ERR_OK;
}

/* Returns what the database failed at. */
static enum err transact(struct group *g, struct conn *c, char ret_error[static DB_ERROR_BYTES])
{
    struct tally before = c->tally;
    bool going = apply_all(g, c, false);
    if (!going && sound(c)) {
        db_clear(&c->db);
        roll_back(c, &before);
        dones_free(g);
        dones_new(g);
        going = apply_all(g, c, true);
    }
    enum err full = first_full(g);
    if (going)
        conn_run(c, Q_COMMIT);
    if (full || c->db.err)
        memcpy(ret_error, c->db.error, DB_ERROR_BYTES);
    enum err err = db_clear(&c->db);
    if (err == ERR_OK) {
        sums_committed(c);
        return full;
    }
    roll_back(c, &before);
    db_clear(&c->db);
    for (size_t i = 0; i < g->n; i++) /* I2 */
        g->dones[i]->err = err;
    return err;
}

static void ops_free(struct group *g)
{
    for (size_t i = 0; i < g->n; i++)
        storage_op_free(g->ops[i]);
}

enum err group_commit(struct group *g, struct conn *c, char ret_error[static DB_ERROR_BYTES])
{
    dones_new(g);
    enum err err = transact(g, c, ret_error);
    if (err == ERR_BUSY) {
        dones_free(g);
        return err;
    }
    mark_more(g);
    struct catalogue_root root = sums_root(c);
    for (size_t i = 0; i < g->n; i++) {
        g->dones[i]->videos = c->tally.videos;
        g->dones[i]->root = root;
    }
    ops_free(g);
    return err;
}

void group_fail(struct group *g, enum err err)
{
    dones_new(g);
    for (size_t i = 0; i < g->n; i++)
        g->dones[i]->err = err;
    ops_free(g);
}
