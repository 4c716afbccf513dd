/*
 * How traffic grows with edges and rows: a calm cluster whose edges all have the
 * same catalogue, but for one that lacks some rows of it.
 *
 * Three figures for each size: what heartbeats take, what finding and telling the
 * missing rows takes, and what announcing one new video takes.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/sim.h"
#include "wire/bundle.h"

#include <stdio.h>
#include <stdlib.h>

enum { MISSING = 10, WARM_S = 2, REPAIR_S = 120, BEATS_S = 10, UPLOAD_S = 20, GRACE_S = 3600 };

struct size {
    unsigned edges, rows;
};

/* ---- beginning with a catalogue ---- */

static void put_number(struct sim *s, unsigned edge, const char *key, uint64_t value)
{
    struct storage_op *op = storage_op_new(STORAGE_META_PUT, 0);
    uint8_t *buf = arena_alloc(&op->arena, sizeof(value));
    struct writer w = writer_of(buf, sizeof(value));
    write_u64(&w, value);
    snprintf(op->u.meta_put.key, sizeof(op->u.meta_put.key), "%s", key);
    op->u.meta_put.value = slice_of(buf, w.len);
    memory_store_submit(s->nodes[edge].store, op);
}

static void settle(struct memory_store *store)
{
    memory_store_commit(store, SIZE_MAX);
    for (struct storage_done *done; (done = memory_store_take(store)) != NULL;)
        storage_done_free(done);
}

/* A finished video with a custody of an edge that is away: nobody makes copies of it. */
static struct storage_row row_of(struct arena *arena, const struct member *streamer,
                                 const struct member *holder, unsigned number)
{
    char name[32];
    struct slice body;
    struct signature sig;
    snprintf(name, sizeof(name), "video%06u", number);
    struct reel *r = reel_new(streamer, name, number, false);
    reel_cut(r, CHUNK_INIT, 0, REEL_UTC_US, 100);
    reel_finish(r);
    struct holding h = {.zone_id = r->video.zone_id,
                        .edge_id = holder->id,
                        .video_id = r->video.video_id,
                        .streamer_id = r->video.streamer_id,
                        .stream = r->stream,
                        .state = 1,
                        .hlc = (REEL_UTC_US / 1000) << 16};
    struct slice object = reel_holding_object(arena, OBJECT_CUSTODY, &h, &holder->key);
    CHECK(signed_split(r->final_statement, &body, &sig) == ERR_OK);
    struct storage_row row = {
        .has_video = true,
        .video = r->final_video,
        .stream = r->stream,
        .statement_hash = object_hash(OBJECT_VIDEO, body),
        .statement = arena_copy(arena, r->final_statement),
        .credential = member_credential(streamer),
        .manifest = arena_copy(arena, r->manifest_bytes),
        .thumbnail = slice_str("thumb1.jpg"),
        .streamer_name = id_slice(&streamer->id),
        .has_holding = true,
        .holding = h,
        .holding_row = {.type = OBJECT_CUSTODY,
                        .object = object,
                        .edge_credential = member_credential(holder)},
    };
    reel_free(r);
    return row;
}

static void fill(struct sim *s, unsigned rows)
{
    struct arena arena = {0};
    static struct member streamer, holder; /* the rows' credentials are theirs */
    member_make("streamer1", CREDENTIAL_STREAMER, &streamer);
    member_make("away1", CREDENTIAL_EDGE, &holder);
    for (unsigned i = 0; i < rows; i++) {
        struct storage_row row = row_of(&arena, &streamer, &holder, i);
        for (unsigned e = 0; e < s->nodes_n; e++) {
            if (e == 0 && i < MISSING)
                continue;
            struct storage_op *op = storage_op_new(STORAGE_ROW_MERGE, 0);
            op->u.row = row; /* borrowed until it is applied */
            memory_store_submit(s->nodes[e].store, op);
            settle(s->nodes[e].store);
        }
        arena_release(&arena);
    }
}

static struct sim *cluster(const struct size *size)
{
    struct sim_spec spec = {.seed = 1, .edges = size->edges};
    struct sim *s = sim_new(&spec);
    verdict_init(s);
    s->healed = true;
    s->replicas = 1;
    s->grace_us = GRACE_S * SIM_S;
    s->kept_us = 720ull * GRACE_S * SIM_S;
    fill(s, size->rows);
    for (unsigned i = 0; i < s->nodes_n; i++) {
        put_number(s, i, "since", s->utc_us - REEL_DAY_US);
        put_number(s, i, "contact", s->utc_us);
        settle(s->nodes[i].store);
        sim_at(s, s->now_us + sim_random(s, WARM_S * SIM_S), HAPPEN_CHAOS, TROUBLES_MAX + 1 + i, 0,
               NULL);
    }
    return s;
}

/* ---- measuring ---- */

static bool same(const struct sim *s)
{
    struct catalogue_root first = memory_store_root(s->nodes[0].store);
    for (unsigned i = 1; i < s->nodes_n; i++) {
        struct catalogue_root root = memory_store_root(s->nodes[i].store);
        if (memcmp(&root, &first, sizeof(root)) != 0)
            return false;
    }
    return true;
}

static void forget(struct sim *s)
{
    memset(s->sent, 0, sizeof(s->sent));
    memset(s->received, 0, sizeof(s->received));
}

/* One video more: what its announcement takes, at all who hear it together. */
static struct traffic announce(struct sim *s)
{
    s->heal_us = s->now_us + 2;
    s->streamers_n = 1;
    streamer_init(s, 0);
    struct streamer *st = &s->streamers[0];
    st->n = 1;
    st->uploads[0].delete_us = 0;
    forget(s);
    for (unsigned i = 0; i < UPLOAD_S && !st->uploads[0].acked; i++)
        sim_until(s, s->now_us + SIM_S);
    CHECK(st->uploads[0].acked);
    return s->received[TRAFFIC_GOSSIP];
}

static void measure(const struct size *size)
{
    struct sim *s = cluster(size);
    sim_until(s, s->now_us + WARM_S * SIM_S);
    uint64_t begin_us = s->now_us;
    while (!same(s) && s->now_us - begin_us < REPAIR_S * SIM_S)
        sim_until(s, s->now_us + SIM_S);
    double repair_s = (double)(s->now_us - begin_us) / (double)SIM_S;
    struct traffic repair = s->sent[TRAFFIC_REPAIR];
    forget(s);
    sim_until(s, s->now_us + BEATS_S * SIM_S);
    double each = (double)s->nodes_n * BEATS_S;
    printf("%6u %7u %13.0f %12.0f %10s %10llu %8.1f %7.0f", size->edges, size->rows,
           (double)s->sent[TRAFFIC_STATUS].bytes / each,
           (double)s->received[TRAFFIC_STATUS].bytes / each, same(s) ? "yes" : "NO",
           (unsigned long long)repair.messages, (double)repair.bytes / 1024, repair_s);
    struct traffic gossip = announce(s);
    printf(" %11llu %8.1f\n", (unsigned long long)gossip.messages, (double)gossip.bytes / 1024);
    fflush(stdout);
    sim_free(s);
}

int scale_main(unsigned edges)
{
    static const struct size sizes[] = {{3, 100},   {10, 100},  {10, 1000}, {30, 100},
                                        {30, 1000}, {100, 100}, {100, 300}, {300, 100}};
    struct size last = {edges, 100};
    printf("one edge lacks %d videos of the catalogue; else all is calm\n"
           "                 heartbeats, B/s    ----- telling the missing rows -----"
           "     one new video\n"
           " edges    rows  an edge sends  and receives  equal   messages      KiB       s"
           "   received      KiB\n",
           MISSING);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !edges; i++)
        measure(&sizes[i]);
    if (edges)
        measure(&last);
    return 0;
}
