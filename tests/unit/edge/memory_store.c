/*
 * Operations in, completions out.
 *
 * Invariants
 *   I1  claims and holdings hold the greatest row of each key (edge/store/merge.h).
 *   I2  a holding lives under a claim that is no deletion.
 */
#include "tests/unit/edge/memory_store.h"

#include "base/check.h"
#include "base/mem.h"
#include "tests/unit/edge/memory_kept.h"

#include <stdio.h>
#include <stdlib.h>

struct memory_store *memory_store_new(const struct memory_store_config *config)
{
    struct memory_store *s = mem_alloc(sizeof(*s));
    s->edge_id = config->edge_id;
    s->digest = digest_new(config->digest_key);
    return s;
}

void memory_store_crash(struct memory_store *s)
{
    while (s->writes.n)
        storage_op_free(vec_take(&s->writes, 0));
    while (s->reads.n)
        storage_op_free(vec_take(&s->reads, 0));
    while (s->done.n)
        storage_done_free(vec_take(&s->done, 0));
}

void memory_store_free(struct memory_store *s)
{
    memory_store_crash(s);
    while (s->shelves.n)
        kept_shelf_free(vec_take(&s->shelves, s->shelves.n - 1));
    while (s->metas.n) {
        struct meta *m = vec_take(&s->metas, 0);
        free(m->value);
        free(m);
    }
    struct vec *all[] = {&s->shelves, &s->metas, &s->writes, &s->reads, &s->done};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]->at);
    digest_free(s->digest);
    free(s);
}

static bool failing(struct memory_store *s)
{
    if (s->fail_after)
        s->fail_after--;
    else if (s->fail_count)
        return s->fail_count--;
    return false;
}

/* ---- operations in, completions out ---- */

static bool is_read(const struct storage_op *op)
{
    return op->kind >= STORAGE_VIDEO_GET;
}

void memory_store_submit(struct memory_store *s, struct storage_op *op)
{
    vec_add(is_read(op) ? &s->reads : &s->writes, op);
}

static struct storage_done *done_new(const struct storage_op *op)
{
    struct storage_done *done = mem_alloc(sizeof(*done));
    done->kind = op->kind;
    done->token = op->token;
    return done;
}

static void sum_up(const struct memory_store *s, struct storage_done *done)
{
    done->videos = memory_store_videos(s);
    done->root = memory_store_root(s);
}

static bool more_of(const struct vec *writes, size_t from, size_t end, const struct hash *stream)
{
    for (size_t i = from; i < end; i++) {
        const struct storage_op *op = writes->at[i];
        if (op->kind == STORAGE_PART_PUT && hash_eq(&op->u.part_put.stream, stream))
            return true;
    }
    return false;
}

bool memory_store_commit(struct memory_store *s, size_t ops_max)
{
    size_t n = s->writes.n < ops_max ? s->writes.n : ops_max;
    if (n == 0)
        return false;
    size_t first = s->done.n;
    for (size_t i = 0; i < n; i++) {
        const struct storage_op *op = s->writes.at[i];
        struct storage_done *done = done_new(op);
        if (failing(s))
            done->err = s->fail_err;
        else
            CHECK(media_apply(s, op, done) || rows_apply(s, op, done));
        if (op->kind == STORAGE_PART_PUT) {
            done->u.part_put.stream = op->u.part_put.stream;
            done->u.part_put.chunk = op->u.part_put.chunk.number;
            done->u.part_put.index = op->u.part_put.index;
            done->u.part_put.parts_n = op->u.part_put.chunk.parts_n;
            done->u.part_put.packet_bytes = (uint32_t)op->u.part_put.packet->payload.len;
            done->u.part_put.more = more_of(&s->writes, i + 1, n, &op->u.part_put.stream);
        }
        vec_add(&s->done, done);
    }
    for (size_t i = 0; i < n; i++)
        storage_op_free(s->writes.at[i]);
    s->writes.n -= n;
    memmove(s->writes.at, s->writes.at + n, s->writes.n * sizeof(void *));
    for (size_t i = first; i < s->done.n; i++)
        sum_up(s, s->done.at[i]);
    return true;
}

bool memory_store_read(struct memory_store *s)
{
    if (!s->reads.n)
        return false;
    struct storage_op *op = vec_take(&s->reads, 0);
    struct storage_done *done = done_new(op);
    sum_up(s, done);
    if (s->read_fail_count) {
        s->read_fail_count--;
        done->err = s->read_err;
    } else {
        CHECK(read_apply_one(s, op, done) || agree_apply(s, op, done));
    }
    storage_op_free(op);
    vec_add(&s->done, done);
    return true;
}

struct storage_done *memory_store_take(struct memory_store *s)
{
    return s->done.n ? vec_take(&s->done, 0) : NULL;
}

void memory_store_fail(struct memory_store *s, enum err err, unsigned after, unsigned count)
{
    s->fail_err = err;
    s->fail_after = after;
    s->fail_count = count;
}

void memory_store_fail_reads(struct memory_store *s, enum err err, unsigned count)
{
    s->read_err = err;
    s->read_fail_count = count;
}

/* ---- looking in ---- */

size_t memory_store_under_way(const struct memory_store *s)
{
    return s->writes.n + s->reads.n + s->done.n;
}

size_t memory_store_writes(const struct memory_store *s)
{
    return s->writes.n;
}

size_t memory_store_reads(const struct memory_store *s)
{
    return s->reads.n;
}

struct slice memory_store_meta(const struct memory_store *s, const char *key)
{
    for (size_t i = 0; i < s->metas.n; i++) {
        const struct meta *m = s->metas.at[i];
        if (strcmp(m->key, key) == 0)
            return slice_of(m->value, m->len);
    }
    return (struct slice){0};
}

uint64_t memory_store_videos(const struct memory_store *s)
{
    return s->videos;
}

struct catalogue_root memory_store_root(const struct memory_store *s)
{
    struct catalogue_root root = {.horizon_us = s->horizon_us};
    digest_root(s->digest, root.b);
    return root;
}

uint64_t memory_store_last_hlc(const struct memory_store *s)
{
    uint64_t last = 0;
    for (size_t i = 0; i < s->shelves.n; i++)
        for (size_t k = 0; k < kept_at(s, i)->holdings.n; k++) {
            const struct kept_row *r = kept_at(s, i)->holdings.at[k];
            if (id_eq(&r->row.holding.edge_id, &s->edge_id) && r->row.holding.hlc > last)
                last = r->row.holding.hlc;
        }
    return last;
}

const struct holding *memory_store_stale(const struct memory_store *s, struct arena *arena,
                                         size_t *ret_n)
{
    size_t all = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->shelves.n; i++)
        all += kept_at(s, i)->holdings.n;
    struct holding *out = arena_alloc(arena, all * sizeof(*out) + 1);
    for (size_t i = 0; i < s->shelves.n; i++)
        for (size_t k = 0; k < kept_at(s, i)->holdings.n; k++) {
            const struct storage_row *r = &((struct kept_row *)kept_at(s, i)->holdings.at[k])->row;
            if (id_eq(&r->holding.edge_id, &s->edge_id) && r->holding.state == 1 &&
                r->holding_row.type == OBJECT_PRESENCE)
                out[n++] = r->holding;
        }
    *ret_n = n;
    return out;
}

bool memory_store_listed(const struct memory_store *s, const struct id *video_id,
                         struct hash *ret_stream)
{
    struct listing l = kept_listing(kept_shelf(s, video_id));
    if (l.state < COMPLETE)
        return false;
    *ret_stream = l.row->stream;
    return true;
}

static const struct copy *copy_of(const struct memory_store *s, const struct hash *stream)
{
    const struct copy *c = NULL;
    for (size_t i = 0; i < s->shelves.n && !c; i++)
        c = kept_copy_of_stream(kept_at(s, i), stream);
    return c;
}

size_t memory_store_parts(const struct memory_store *s, const struct hash *stream)
{
    const struct copy *c = copy_of(s, stream);
    return c ? c->parts.n : 0;
}

bool memory_store_whole(const struct memory_store *s, const struct hash *stream)
{
    const struct copy *c = copy_of(s, stream);
    return c && c->state == COPY_WHOLE;
}

void memory_store_copy(const struct memory_store *s, const struct hash *stream,
                       void (*visit)(void *context, struct slice packet), void *context)
{
    const struct copy *c = copy_of(s, stream);
    for (size_t i = 0; c && i < c->parts.n; i++)
        visit(context, ((struct storage_part *)c->parts.at[i])->packet->payload);
}

int memory_store_holding(const struct memory_store *s, enum object_type type,
                         const struct id *video_id, const struct id *edge_id)
{
    const struct shelf *sh = kept_shelf(s, video_id);
    for (size_t i = 0; sh && i < sh->holdings.n; i++) {
        const struct storage_row *r = &((struct kept_row *)sh->holdings.at[i])->row;
        if (r->holding_row.type == type && id_eq(&r->holding.edge_id, edge_id))
            return r->holding.state;
    }
    return -1;
}

bool memory_store_deleted(const struct memory_store *s, const struct id *video_id,
                          const struct id *streamer_id)
{
    const struct kept_row *r = kept_claim(kept_shelf(s, video_id), streamer_id);
    return r && r->row.has_deletion;
}

static void dump_row(FILE *out, const struct shelf *sh, const struct kept_row *r)
{
    char digest[2 * ROW_DIGEST_BYTES + 1];
    const struct storage_row *row = &r->row;
    hex_encode(slice_of(r->digest.b, ROW_DIGEST_BYTES), digest);
    if (row->has_holding)
        fprintf(out, "%s %s %s %s %u %llu %s\n", sh->video_id.s, row->holding.streamer_id.s,
                row->holding.edge_id.s,
                row->holding_row.type == OBJECT_PRESENCE ? "presence" : "custody",
                row->holding.state, (unsigned long long)row->holding.hlc, digest);
    else
        fprintf(out, "%s %s %s %llu %s\n", sh->video_id.s, row->video.streamer_id.s,
                row->has_deletion ? "deletion" : "claim",
                (unsigned long long)row->video.revision_us, digest);
}

struct slice memory_store_dump(const struct memory_store *s, struct arena *arena)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    CHECK(out != NULL);
    for (size_t i = 0; i < s->shelves.n; i++) {
        const struct shelf *sh = kept_at(s, i);
        for (size_t k = 0; k < sh->claims.n; k++)
            dump_row(out, sh, sh->claims.at[k]);
        for (size_t k = 0; k < sh->holdings.n; k++)
            dump_row(out, sh, sh->holdings.at[k]);
    }
    fclose(out);
    struct slice ret = arena_copy(arena, slice_of(text, len));
    free(text);
    return ret;
}
