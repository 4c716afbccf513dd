#include "tests/unit/edge/store_world.h"

#include "base/check.h"
#include "base/mem.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char zone_id[] = "zone1";

int world_setup(void **state)
{
    CHECK(crypto_init() == ERR_OK);
    struct world *w = mem_alloc(sizeof(*w));
    /* In memory where it can be: a sync is as much a sync, and takes no time. */
    bool in_memory = access("/dev/shm", W_OK) == 0;
    snprintf(w->dir, sizeof(w->dir), "%s/edge-store-XXXXXX", in_memory ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/edge_cluster.db", w->dir);
    w->budget.max_bytes = 64 * 1024 * 1024;
    w->config = (struct store_config){.path = w->path, .budget = &w->budget};
    CHECK(id_parse(slice_str("edge1"), &w->config.edge_id) == ERR_OK);
    w->config.digest_key = hash_of(slice_str("digest key"), slice_of(NULL, 0));
    char error[STORE_ERROR_BYTES] = "";
    if (store_open(&w->config, &w->store, error) != ERR_OK)
        check_fail(error, __FILE__, __LINE__);
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-lock"};
    struct world *w = *state;
    store_close(w->store);
    CHECK(atomic_load(&w->budget.alive_bytes) == 0);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", w->path, endings[i]);
        unlink(path);
    }
    CHECK(rmdir(w->dir) == 0);
    free(w);
    return 0;
}

void world_reopen(struct world *w)
{
    char error[STORE_ERROR_BYTES];
    store_close(w->store);
    if (store_open(&w->config, &w->store, error) != ERR_OK)
        check_fail(error, __FILE__, __LINE__);
}

struct storage_done *world_do(struct world *w, struct storage_op *op)
{
    enum storage_kind kind = op->kind;
    uint64_t token = op->token;
    CHECK(store_submit(w->store, op) == ERR_OK);
    struct storage_done *done = queue_wait(store_completions(w->store), NULL);
    CHECK(done && done->kind == kind && done->token == token);
    return done;
}

enum err world_err(struct world *w, struct storage_op *op)
{
    struct storage_done *done = world_do(w, op);
    enum err err = done->err;
    storage_done_free(done);
    return err;
}

static sqlite3 *look(struct world *w)
{
    sqlite3 *db;
    CHECK(sqlite3_open(w->path, &db) == SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

const char *world_text(struct world *w, const char *sql)
{
    static char text[65536];
    size_t n = 0;
    sqlite3 *db = look(w);
    sqlite3_stmt *stmt;
    CHECK(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK);
    text[0] = '\0';
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const unsigned char *value = sqlite3_column_text(stmt, 0);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "",
                              value ? (const char *)value : "NULL");
        CHECK(n < sizeof(text));
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return text;
}

int64_t world_int(struct world *w, const char *sql)
{
    return strtoll(world_text(w, sql), NULL, 10);
}

void world_freed(struct world *w)
{
    while (world_int(w, "SELECT count(*) FROM garbage"))
        sched_yield(); /* the writer is about to */
}

/* The digest of a row as it is stored, and whether it is what the row's other columns give. */
static bool add_row(struct digest *d, sqlite3_stmt *row, bool claim)
{
    struct slice blobs[4];
    for (int i = 0; i < 4; i++)
        blobs[i] =
            slice_of(sqlite3_column_blob(row, 2 + i), (size_t)sqlite3_column_bytes(row, 2 + i));
    struct id video_id;
    CHECK(id_parse(slice_str((const char *)sqlite3_column_text(row, 0)), &video_id) == ERR_OK);
    struct row_digest digest = claim ? row_digest_of_claim(blobs[1], blobs[2], blobs[3])
                                     : row_digest_of_holding(blobs[1], blobs[2]);
    uint16_t leaf = digest_leaf_of(&video_id);
    digest_add(d, leaf, &digest);
    return sqlite3_column_int(row, 1) == leaf &&
           slice_eq(blobs[0], slice_of(digest.b, ROW_DIGEST_BYTES));
}

bool world_root_is_right(struct world *w)
{
    static const char *const queries[] = {
        "SELECT video_id, leaf, digest, statement, manifest, credential FROM claim",
        "SELECT video_id, leaf, digest, object, edge_credential, '' FROM holding"};
    struct digest *d = digest_new(w->config.digest_key.b);
    struct catalogue_root root = store_root(w->store), sum = {0};
    bool right = true;
    sqlite3 *db = look(w);
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *stmt;
        CHECK(sqlite3_prepare_v2(db, queries[i], -1, &stmt, NULL) == SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW)
            right = add_row(d, stmt, i == 0) && right;
        sqlite3_finalize(stmt);
    }
    sqlite3_close(db);
    digest_root(d, sum.b);
    digest_free(d);
    return right && memcmp(sum.b, root.b, ROOT_DIGEST_BYTES) == 0;
}

void world_merged(struct world *w, struct storage_op *op, bool changed, bool refused, bool deletion)
{
    struct storage_done *done = world_do(w, op);
    assert_int_equal(done->err, ERR_OK);
    assert_int_equal(done->u.row_merge.changed, changed);
    assert_int_equal(done->u.row_merge.refused, refused);
    assert_int_equal(done->u.row_merge.deletion, deletion);
    struct catalogue_root root = store_root(w->store);
    assert_memory_equal(done->root.b, root.b, ROOT_DIGEST_BYTES);
    storage_done_free(done);
    assert_true(world_root_is_right(w));
}

void world_exec(struct world *w, const char *sql)
{
    sqlite3 *db = look(w);
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

size_t world_kill(struct world *w, void (*act)(struct world *w, const struct film *f, int fd),
                  const struct film *f, size_t after)
{
    int fds[2];
    char byte;
    CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        act(w, f, fds[1]);
    close(fds[1]);
    size_t told = 0;
    while (told < after && read(fds[0], &byte, 1) == 1)
        told++;
    kill(pid, SIGKILL);
    while (read(fds[0], &byte, 1) == 1)
        told++;
    close(fds[0]);
    CHECK(waitpid(pid, NULL, 0) == pid);
    return told;
}

struct sqlite3 *world_lock(struct world *w, const char *how)
{
    sqlite3 *db = look(w);
    CHECK(sqlite3_exec(db, how, NULL, NULL, NULL) == SQLITE_OK);
    return db;
}

void world_unlock(struct sqlite3 *db)
{
    CHECK(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

/* ---- films ---- */

static void key_of(const char *name, struct signkey *ret)
{
    struct hash seed = hash_of(slice_str("key of "), slice_str(name));
    signkey_from_seed(seed.b, ret);
}

static void add_chunk(struct film *f, struct chunk_cutter *cutter, unsigned number, size_t bytes)
{
    uint8_t seed[KEY_BYTES] = {(uint8_t)number, (uint8_t)(number >> 8), f->stream.b[0]};
    uint8_t *payload CLEANUP(mem_free_ptr) = mem_alloc(bytes);
    crypto_expand(seed, number, payload, bytes);
    struct cut_chunk cut;
    enum chunk_kind kind = number == 1 ? CHUNK_INIT : CHUNK_MEDIA;
    uint16_t flags = kind == CHUNK_MEDIA && number % 2 == 0 ? CHUNK_KEYFRAME : 0;
    CHECK(chunk_cut(cutter, kind, flags, f->video.created_us + number * 1000000u,
                    kind == CHUNK_MEDIA ? 1001000 : 0, slice_of(payload, bytes), &cut) == ERR_OK);
    f->parts = mem_resize(f->parts, (f->parts_n + cut.chunk.parts_n) * sizeof(*f->parts));
    for (uint32_t i = 0; i < cut.chunk.parts_n; i++) {
        uint8_t packet[PACKET_BYTES_MAX];
        struct film_part *p = &f->parts[f->parts_n++];
        *p =
            (struct film_part){.len = cut_chunk_part(&cut, i, packet), .chunk = number, .index = i};
        p->packet = mem_alloc(p->len);
        memcpy(p->packet, packet, p->len);
    }
    cut_chunk_release(&cut);
}

static struct slice manifest_signed(const struct film *f, uint8_t *buf, size_t cap)
{
    uint8_t body[OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    manifest_encode(&f->manifest, &w);
    struct writer out = writer_of(buf, cap);
    signed_append(&out, OBJECT_MANIFEST, slice_of(body, w.len), &f->key);
    CHECK(!w.full && !out.full);
    return slice_of(buf, out.len);
}

void film_make(struct film *f, const char *video_id, const char *streamer_id, uint64_t created_us,
               unsigned seed, unsigned chunks_n, size_t chunk_bytes, uint32_t part_bytes)
{
    *f = (struct film){.name = "Jean"};
    key_of(streamer_id, &f->key);
    struct video *v = &f->video;
    CHECK(id_parse(slice_str(zone_id), &v->zone_id) == ERR_OK);
    CHECK(id_parse(slice_str(video_id), &v->video_id) == ERR_OK);
    CHECK(id_parse(slice_str(streamer_id), &v->streamer_id) == ERR_OK);
    v->nonce.b[0] = (uint8_t)seed;
    v->title = slice_str("Ma première vidéo");
    v->description = slice_str("for the tests");
    v->category = slice_str(seed % 2 ? "sport" : "news");
    v->thumbnail_hash = hash_of(slice_str("12456"), slice_of(NULL, 0));
    v->media_type = slice_str("video/mp4");
    v->codecs = slice_str("avc1.64001f,mp4a.40.2");
    v->created_us = created_us;
    v->revision_us = created_us + 1;
    f->stream = video_stream(v);

    struct chunk_cutter cutter;
    chunk_cutter_init(&cutter, &f->stream, &f->key, part_bytes);
    add_chunk(f, &cutter, 1, FILM_PART_BYTES < part_bytes ? part_bytes : FILM_PART_BYTES);
    for (unsigned i = 2; i <= chunks_n; i++)
        add_chunk(f, &cutter, i, chunk_bytes);
    f->manifest = chunk_cutter_manifest(&cutter);
    f->final = *v;
    f->final.revision_us = created_us + 2;
    uint8_t buf[OBJECT_BYTES_MAX];
    struct slice body;
    struct signature sig;
    CHECK(signed_split(manifest_signed(f, buf, sizeof(buf)), &body, &sig) == ERR_OK);
    f->final.manifest_hash = object_hash(OBJECT_MANIFEST, body);
}

struct film film_small(const char *video_id, const char *streamer_id, uint64_t created_us,
                       unsigned seed)
{
    struct film f;
    film_make(&f, video_id, streamer_id, created_us, seed, 3, 2500, FILM_PART_BYTES);
    CHECK(f.parts_n == 1 + 3 + 3);
    return f;
}

void film_release(struct film *f)
{
    for (size_t i = 0; i < f->parts_n; i++)
        free(f->parts[i].packet);
    free(f->parts);
    *f = (struct film){0};
}

static struct slice credential_of(const struct film *f, struct arena *arena)
{
    uint8_t body[OBJECT_BYTES_MAX], buf[OBJECT_BYTES_MAX];
    struct credential credential = {.kind = CREDENTIAL_STREAMER,
                                    .subject = f->video.streamer_id,
                                    .display_name = slice_str(f->name),
                                    .pk = f->key.pk,
                                    .zone_id = f->video.zone_id,
                                    .key_epoch = 1,
                                    .serial = 7,
                                    .not_after_us = UINT64_MAX};
    struct signkey zone;
    key_of(zone_id, &zone);
    struct writer w = writer_of(body, sizeof(body)), out = writer_of(buf, sizeof(buf));
    credential_encode(&credential, &w);
    signed_append(&out, OBJECT_CREDENTIAL, slice_of(body, w.len), &zone);
    CHECK(!w.full && !out.full);
    return arena_copy(arena, slice_of(buf, out.len));
}

struct storage_row film_row(const struct film *f, bool final, struct arena *arena)
{
    uint8_t body[OBJECT_BYTES_MAX], buf[OBJECT_BYTES_MAX];
    struct storage_row row = {
        .has_video = true,
        .video = final ? f->final : f->video,
        .stream = f->stream,
        .credential = credential_of(f, arena),
        .thumbnail = slice_str(f->bare ? "" : "12456"),
        .streamer_name = slice_str(f->name),
    };
    struct writer w = writer_of(body, sizeof(body)), out = writer_of(buf, sizeof(buf));
    video_encode(&row.video, &w);
    signed_append(&out, OBJECT_VIDEO, slice_of(body, w.len), &f->key);
    CHECK(!w.full && !out.full);
    row.statement = arena_copy(arena, slice_of(buf, out.len));
    row.statement_hash = object_hash(OBJECT_VIDEO, slice_of(body, w.len));
    if (final)
        row.manifest = arena_copy(arena, manifest_signed(f, buf, sizeof(buf)));
    return row;
}

struct storage_row film_deletion(const struct film *f, uint64_t revision_us, struct arena *arena)
{
    uint8_t body[OBJECT_BYTES_MAX], buf[OBJECT_BYTES_MAX];
    const struct deletion d = {f->video.zone_id, f->video.video_id, f->video.streamer_id,
                               revision_us};
    struct storage_row row = {.has_deletion = true,
                              .video = {.zone_id = d.zone_id,
                                        .video_id = d.video_id,
                                        .streamer_id = d.streamer_id,
                                        .revision_us = revision_us},
                              .credential = credential_of(f, arena)};
    struct writer w = writer_of(body, sizeof(body)), out = writer_of(buf, sizeof(buf));
    deletion_encode(&d, &w);
    signed_append(&out, OBJECT_DELETION, slice_of(body, w.len), &f->key);
    CHECK(!w.full && !out.full);
    row.statement = arena_copy(arena, slice_of(buf, out.len));
    row.statement_hash = object_hash(OBJECT_DELETION, slice_of(body, w.len));
    return row;
}

void film_hold(const struct film *f, struct storage_row *row, struct arena *arena,
               const char *edge_id, enum object_type type, uint8_t state, uint64_t hlc)
{
    uint8_t body[OBJECT_BYTES_MAX], buf[OBJECT_BYTES_MAX];
    struct signkey key;
    key_of(edge_id, &key);
    row->has_holding = true;
    row->holding = (struct holding){.zone_id = f->video.zone_id,
                                    .video_id = f->video.video_id,
                                    .streamer_id = f->video.streamer_id,
                                    .stream = f->stream,
                                    .state = state,
                                    .hlc = hlc};
    CHECK(id_parse(slice_str(edge_id), &row->holding.edge_id) == ERR_OK);
    struct writer w = writer_of(body, sizeof(body)), out = writer_of(buf, sizeof(buf));
    holding_encode(&row->holding, &w);
    signed_append(&out, type, slice_of(body, w.len), &key);
    CHECK(!w.full && !out.full);
    row->holding_row.type = type;
    row->holding_row.object = arena_copy(arena, slice_of(buf, out.len));
    row->holding_row.edge_credential = arena_copy(arena, slice_str("credential of the edge"));
}
