/*
 * Copies: from nothing, part by part in order, to whole.
 *
 *              copy_new            copy_put, in order          finish_copy
 *   (none) --------------> uploading, fetching -------------> ---------------> whole
 *      ^                            |                                            |
 *      +-------- copy_drop ---------+---------------- copy_drop ----------------+
 *
 * I1  (next, next_part, prev, current, init_number, bytes, duration_us) describe exactly the rows
 *     of chunk, chunk_proof and part that hang on the copy: they change in one savepoint.
 * I2  chunks 1 … next - 1 are there with all their parts, parts 0 … next_part - 1 of chunk next,
 *     and nothing beyond.
 * I3  a copy's number is not used again before its parts are freed.
 */
#include "edge/store/copy.h"

#include "base/check.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const state_names[] = {
    [COPY_UPLOADING] = "uploading", [COPY_FETCHING] = "fetching", [COPY_WHOLE] = "whole"};

static enum copy_state state_of(struct slice name)
{
    if (slice_eq_str(name, state_names[COPY_WHOLE]))
        return COPY_WHOLE;
    return slice_eq_str(name, state_names[COPY_FETCHING]) ? COPY_FETCHING : COPY_UPLOADING;
}

/* The columns are COPY_COLUMNS of conn.c. */
static struct copy load(struct query *q, const struct id *video_id)
{
    struct copy copy = {.video_id = *video_id};
    if (query_row(q)) {
        copy.n = col_int(q, 0);
        col_id(q, 1, &copy.streamer_id);
        col_hash(q, 2, &copy.stream);
        copy.state = state_of(col_slice(q, 3));
        snprintf(copy.chunk_prefix, sizeof(copy.chunk_prefix), "%.*s", SLICE_FMT(col_slice(q, 4)));
        copy.next = (uint32_t)col_int(q, 5);
        copy.next_part = (uint32_t)col_int(q, 6);
        copy.init_number = (uint32_t)col_int(q, 7);
        copy.bytes = col_int(q, 8);
        copy.duration_us = col_int(q, 9);
        col_hash(q, 10, &copy.prev);
        col_hash(q, 11, &copy.current);
        if (copy.state == COPY_WHOLE)
            col_hash(q, 12, &copy.root);
        copy.has_receipt = col_slice(q, 13).len > 0;
        copy.kept = col_int(q, 14) != 0;
        copy.receipt_ours = col_int(q, 16) != 0;
    }
    query_end(q);
    return copy;
}

struct copy copy_of_streamer(struct conn *c, const struct id *video_id,
                             const struct id *streamer_id)
{
    struct query *q = query_of(c, Q_COPY_OF_STREAMER);
    bind_id(q, 1, video_id);
    bind_id(q, 2, streamer_id);
    return load(q, video_id);
}

struct copy copy_of_stream(struct conn *c, const struct id *video_id, const struct hash *stream)
{
    struct query *q = query_of(c, Q_COPY_OF_STREAM);
    bind_id(q, 1, video_id);
    bind_hash(q, 2, stream);
    return load(q, video_id);
}

struct copy copy_new(struct conn *c, const struct id *video_id, const struct id *streamer_id,
                     const struct hash *stream, enum copy_state state)
{
    struct query *q = query_of(c, Q_COPY_NEW);
    bind_id(q, 1, video_id);
    bind_id(q, 2, streamer_id);
    bind_str(q, 3, state_names[state]);
    bind_hash(q, 4, stream);
    query_run(q);
    return copy_of_streamer(c, video_id, streamer_id);
}

void copy_keep(struct conn *c, const struct copy *copy, bool kept)
{
    struct query *q = query_of(c, Q_COPY_KEEP);
    bind_int(q, 1, copy->n);
    bind_int(q, 2, kept);
    query_run(q);
}

void copy_drop(struct conn *c, const struct copy *copy)
{
    struct query *q = query_of(c, Q_CHUNKS_DROP);
    bind_id(q, 1, &copy->video_id);
    bind_int(q, 2, copy->n);
    query_run(q);
    q = query_of(c, Q_COPY_DROP);
    bind_int(q, 1, copy->n);
    query_run(q);
    q = query_of(c, Q_GARBAGE_PUT);
    bind_int(q, 1, copy->n);
    query_run(q);
    c->garbage = true;
}

struct storage_position copy_position(struct conn *c, const struct copy *copy, struct arena *arena)
{
    struct storage_position at = {
        .next = copy->next,
        .next_part = copy->next_part,
        .prev = copy->prev,
        .current = copy->current,
        .init_number = copy->init_number,
        .finished = copy->state == COPY_WHOLE,
        .receipt_ours = copy->receipt_ours,
    };
    if (copy->has_receipt) {
        struct query *q = query_of(c, Q_COPY_OF_STREAMER);
        bind_id(q, 1, &copy->video_id);
        bind_id(q, 2, &copy->streamer_id);
        if (query_row(q)) {
            at.receipt = col_copy(q, 13, arena);
            at.receipt_credential = col_copy(q, 15, arena);
        }
        query_end(q);
    }
    return at;
}

static void chunk_id(const struct copy *copy, uint32_t number, char ret[static CHUNK_ID_BYTES])
{
    snprintf(ret, CHUNK_ID_BYTES, "%s-%06" PRIu32, copy->chunk_prefix, number);
}

static const char *kind_name(enum chunk_kind kind)
{
    return kind == CHUNK_INIT ? "init" : kind == CHUNK_END ? "end" : "media";
}

/* The first part of a chunk brings its row and its proof. */
static void chunk_begin(struct conn *c, const struct copy *copy, const struct storage_op *op)
{
    const struct chunk *chunk = &op->u.part_put.chunk;
    char id[CHUNK_ID_BYTES], captured_at[ISO8601_BYTES];
    chunk_id(copy, chunk->number, id);
    struct query *q = query_of(c, Q_CHUNK_NEW);
    bind_str(q, 1, id);
    bind_id(q, 2, &copy->video_id);
    bind_int(q, 3, chunk->number);
    bind_int(q, 4, chunk->parts_n);
    bind_str(q, 5, kind_name(chunk->kind));
    bind_int(q, 6, (chunk->flags & CHUNK_KEYFRAME) != 0);
    bind_int(q, 7, chunk->payload_len);
    bind_int(q, 8, (chunk->duration_us + 500ull) / 1000);
    bind_null(q, 9);
    if (chunk->capture_us) {
        clock_iso8601(chunk->capture_us, captured_at);
        bind_str(q, 9, captured_at);
    }
    bind_int(q, 10, copy->n);
    query_run(q);

    q = query_of(c, Q_PROOF_NEW);
    bind_int(q, 1, copy->n);
    bind_int(q, 2, chunk->number);
    bind_hash(q, 3, &op->u.part_put.statement_hash);
    bind_blob(q, 4, op->u.part_put.statement);
    bind_blob(q, 5, slice_of(op->u.part_put.sig.b, SIGNATURE_BYTES));
    query_run(q);
}

static void chunk_grow(struct conn *c, const struct copy *copy, const struct storage_op *op)
{
    char id[CHUNK_ID_BYTES];
    chunk_id(copy, op->u.part_put.chunk.number, id);
    struct query *q = query_of(c, Q_CHUNK_GROW);
    bind_str(q, 1, id);
    bind_int(q, 2, op->u.part_put.index + 1u);
    query_run(q);
}

/* I1: the position after this part. */
static void move(struct conn *c, struct copy *copy, const struct storage_op *op)
{
    const struct chunk *chunk = &op->u.part_put.chunk;
    copy->current = op->u.part_put.statement_hash;
    if (++copy->next_part == chunk->parts_n) {
        copy->next++;
        copy->next_part = 0;
        copy->bytes += chunk->payload_len;
        copy->duration_us += chunk->duration_us;
        copy->prev = copy->current;
        copy->current = (struct hash){0};
        if (chunk->kind == CHUNK_INIT)
            copy->init_number = chunk->number;
    }
    struct query *q = query_of(c, Q_COPY_MOVE);
    bind_int(q, 1, copy->n);
    bind_int(q, 2, copy->next);
    bind_int(q, 3, copy->next_part);
    bind_int(q, 4, copy->init_number);
    bind_int(q, 5, copy->bytes);
    bind_int(q, 6, copy->duration_us);
    bind_hash(q, 7, &copy->prev);
    bind_hash(q, 8, &copy->current);
    query_run(q);
}

static bool follows(const struct copy *copy, const struct storage_op *op)
{
    if (copy->n == 0 || copy->state == COPY_WHOLE)
        return false;
    if (op->u.part_put.chunk.number != copy->next || op->u.part_put.index != copy->next_part)
        return false;
    return copy->next_part ? hash_eq(&op->u.part_put.statement_hash, &copy->current)
                           : hash_eq(&op->u.part_put.chunk.prev, &copy->prev);
}

enum err copy_put(struct conn *c, const struct storage_op *op)
{
    CHECK(op->u.part_put.index < op->u.part_put.chunk.parts_n);
    struct copy copy = copy_of_stream(c, &op->u.part_put.video_id, &op->u.part_put.stream);
    if (!follows(&copy, op))
        return ERR_CONFLICT;
    if (op->u.part_put.index == 0)
        chunk_begin(c, &copy, op);
    else
        chunk_grow(c, &copy, op);
    struct query *q = query_of(c, Q_PART_NEW);
    bind_int(q, 1, copy.n);
    bind_int(q, 2, copy.next);
    bind_int(q, 3, copy.next_part);
    bind_blob(q, 4, op->u.part_put.packet->payload);
    query_run(q);
    move(c, &copy, op);
    return ERR_OK;
}
