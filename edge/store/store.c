/*
 * The store's threads.
 *
 *   store_submit ─┬─ writes ─▶ writer: group commit ─┬─▶ completions
 *                 └─ reads ──▶ reader ───────────────┘
 *
 * I1  every operation that store_submit took has exactly one completion, for which there is room:
 *     at most STORE_OPS_MAX are submitted and not taken back.
 * I2  a connection is used by its thread alone: the writer's from the start, the reader's once the
 *     first operation was submitted; before that, its thread waits and the opener may use it.
 * I3  one edge at a time: the lock file beside the database is held while it is open.
 * I4  before its first group the writer sums up the catalogue; the opener does not wait for it.
 * I5  what was dropped is freed slice by slice, when nothing is to be written or after every few
 *     groups: no write waits for more than one slice.
 */
#include "edge/store/store.h"

#include "base/check.h"
#include "base/mem.h"
#include "edge/store/conn.h"
#include "edge/store/garbage.h"
#include "edge/store/group.h"
#include "edge/store/read.h"
#include "edge/store/sums.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct store {
    struct conn writer, reader;
    struct queue writes, reads, completions;
    pthread_t writer_thread, reader_thread;
    bool writer_runs, reader_runs;
    pthread_mutex_t lock; /* submitted, error, root */
    uint64_t submitted;
    char error[STORE_ERROR_BYTES];
    atomic_uint_least64_t videos; /* as of the last commit */
    struct catalogue_root root;   /* likewise */
    uint64_t last_hlc;
    struct id edge_id;
    char *path;
    int lock_fd;
};

static void note_error(struct store *s, const char *sentence)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->error, sizeof(s->error), "%s", sentence);
    pthread_mutex_unlock(&s->lock);
}

void store_error(struct store *s, char ret[static STORE_ERROR_BYTES])
{
    pthread_mutex_lock(&s->lock);
    memcpy(ret, s->error, STORE_ERROR_BYTES);
    pthread_mutex_unlock(&s->lock);
}

/* I1 */
static void post(struct store *s, struct storage_done *done)
{
    CHECK(queue_push(&s->completions, done) == ERR_OK);
}

static void note_root(struct store *s)
{
    struct catalogue_root root = sums_root(&s->writer);
    pthread_mutex_lock(&s->lock);
    s->root = root;
    pthread_mutex_unlock(&s->lock);
}

struct catalogue_root store_root(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    struct catalogue_root root = s->root;
    pthread_mutex_unlock(&s->lock);
    return root;
}

/* Before the first group, without keeping the opener waiting. What fails here, fails each group as
 * well, and is tried again with it. */
static void sum_up(struct store *s)
{
    do
        sums_build(&s->writer);
    while (db_clear(&s->writer.db) == ERR_BUSY && !queue_is_closed(&s->writes));
    note_root(s);
}

/* The next write; while there is none, what was dropped is freed. */
static struct storage_op *next_write(struct store *s)
{
    struct storage_op *op;
    do
        op = queue_take(&s->writes, NULL);
    while (!op && !queue_is_closed(&s->writes) && garbage_free(&s->writer));
    return op ? op : queue_wait(&s->writes, NULL); /* what came just before it was closed */
}

/* Until nobody else keeps the database locked, or the store is closed. */
static void commit(struct store *s, struct group *g)
{
    char error[DB_ERROR_BYTES];
    enum err err;
    do
        err = group_commit(g, &s->writer, error);
    while (err == ERR_BUSY && !queue_is_closed(&s->writes));
    if (err == ERR_BUSY)
        group_fail(g, ERR_IO);
    if (err != ERR_OK)
        note_error(s, error);
}

static void *write_groups(void *arg)
{
    struct store *s = arg;
    pthread_setname_np(pthread_self(), "store-write");
    struct group *g = mem_alloc(sizeof(*g));
    sum_up(s);
    struct storage_op *op = next_write(s);
    for (unsigned groups = 1; op; groups++) {
        if (!s->writer.digest)
            sum_up(s);
        for (g->n = g->bytes = 0; op; op = group_has_room(g) ? queue_take(&s->writes, NULL) : NULL)
            group_add(g, op);
        commit(s, g);
        atomic_store(&s->videos, s->writer.tally.videos);
        note_root(s);
        for (size_t i = 0; i < g->n; i++)
            post(s, g->dones[i]);
        if (groups % GARBAGE_GROUPS == 0)
            garbage_free(&s->writer);
        op = next_write(s);
    }
    free(g);
    return NULL;
}

/* ERR_BUSY: another process keeps the database locked, and *ret_done says as much. */
static enum err read_once(struct store *s, const struct storage_op *op,
                          struct storage_done **ret_done)
{
    struct conn *c = &s->reader;
    struct storage_done *done = *ret_done = done_new(op);
    done->videos = store_videos(s);
    done->root = store_root(s);
    conn_run(c, Q_BEGIN_READ);
    enum err err = c->db.err ? c->db.err : read_apply(c, op, done);
    conn_run(c, Q_COMMIT);
    done->err = c->db.err ? c->db.err : err;
    if (!c->db.err)
        return ERR_OK;
    note_error(s, c->db.error);
    if (op->kind == STORAGE_PARTS_READ && err == ERR_OK)
        for (size_t i = 0; i < done->u.parts_read.n; i++)
            msg_unref(done->u.parts_read.parts[i].packet);
    err = db_clear(&c->db);
    if (db_in_transaction(&c->db))
        conn_run(c, Q_ROLLBACK);
    db_clear(&c->db);
    return err;
}

static void read_one(struct store *s, const struct storage_op *op)
{
    struct storage_done *done;
    while (read_once(s, op, &done) == ERR_BUSY && !queue_is_closed(&s->reads))
        storage_done_free(done);
    post(s, done);
}

static void *read_ops(void *arg)
{
    struct store *s = arg;
    pthread_setname_np(pthread_self(), "store-read");
    for (struct storage_op *op; (op = queue_wait(&s->reads, NULL));) {
        read_one(s, op);
        storage_op_free(op);
    }
    return NULL;
}

/* I3, and the files' modes: SQLite gives its log the mode of the database. */
static enum err make_files(struct store *s, char ret_error[static STORE_ERROR_BYTES])
{
    size_t n = strlen(s->path) + sizeof("-lock");
    char *lock_path CLEANUP(mem_free_ptr) = mem_alloc(n);
    snprintf(lock_path, n, "%s-lock", s->path);
    s->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0) {
        snprintf(ret_error, STORE_ERROR_BYTES,
                 "cannot create %s: %s; make its folder and let this user write there", lock_path,
                 strerror(errno));
        return errno == ENOSPC || errno == EDQUOT ? ERR_STORAGE_FULL : ERR_IO;
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(ret_error, STORE_ERROR_BYTES,
                 "another edge is using %.120s; stop it or name another data folder", s->path);
        return ERR_IO;
    }
    int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        snprintf(ret_error, STORE_ERROR_BYTES, "cannot write %s: %s; let this user write it",
                 s->path, strerror(errno));
        return errno == ENOSPC || errno == EDQUOT ? ERR_STORAGE_FULL : ERR_IO;
    }
    close(fd);
    return ERR_OK;
}

static uint64_t last_hlc(struct store *s)
{
    struct query *q = query_of(&s->reader, Q_LAST_HLC);
    bind_id(q, 1, &s->edge_id);
    uint64_t hlc = query_row(q) ? col_int(q, 0) : 0;
    query_end(q);
    return hlc;
}

/* What SQLite counts in; its own limit is beyond any disk's. */
static uint32_t pages_of(uint64_t bytes)
{
    uint64_t pages = bytes / DB_PAGE_BYTES;
    if (!bytes || pages > DB_PAGES_MAX)
        return 0;
    return pages ? (uint32_t)pages : 1;
}

static enum err open_database(struct store *s, const struct store_config *config,
                              char ret_error[static STORE_ERROR_BYTES])
{
    conn_open_writer(&s->writer, s->path, pages_of(config->bytes_max));
    s->writer.edge_id = config->edge_id;
    s->writer.digest_key = config->digest_key;
    if (!s->writer.db.err) {
        conn_open_reader(&s->reader, s->path, config->budget);
        s->reader.edge_id = config->edge_id;
        if (!s->reader.db.err)
            s->last_hlc = last_hlc(s);
    }
    struct db *failed = s->writer.db.err ? &s->writer.db : &s->reader.db;
    if (!failed->err)
        return ERR_OK;
    const char *hint = failed->err == ERR_STORAGE_FULL ? "; make room, or raise the limit" : "";
    snprintf(ret_error, STORE_ERROR_BYTES, "%.*s%s", (int)(STORE_ERROR_BYTES - 1 - strlen(hint)),
             failed->error, hint);
    return failed->err == ERR_BUSY ? ERR_IO : failed->err;
}

/* The signals of the process are its main thread's. */
static bool start(pthread_t *thread, void *(*run)(void *), struct store *s)
{
    sigset_t all, before;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    bool started = pthread_create(thread, NULL, run, s) == 0;
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return started;
}

static enum err start_threads(struct store *s, char ret_error[static STORE_ERROR_BYTES])
{
    atomic_store(&s->videos, s->writer.tally.videos);
    queue_init_waited(&s->writes, STORE_OPS_MAX);
    queue_init_waited(&s->reads, STORE_OPS_MAX);
    if (queue_init(&s->completions, STORE_OPS_MAX) == ERR_OK) {
        s->writer_runs = start(&s->writer_thread, write_groups, s);
        s->reader_runs = start(&s->reader_thread, read_ops, s);
    }
    if (s->writer_runs && s->reader_runs)
        return ERR_OK;
    snprintf(ret_error, STORE_ERROR_BYTES, "cannot start the threads of the store: %s",
             strerror(errno));
    return ERR_IO;
}

enum err store_open(const struct store_config *config, struct store **ret,
                    char ret_error[static STORE_ERROR_BYTES])
{
    struct store *s = mem_alloc(sizeof(*s));
    size_t path_n = strlen(config->path) + 1;
    s->path = mem_alloc(path_n);
    memcpy(s->path, config->path, path_n);
    s->edge_id = config->edge_id;
    s->lock_fd = -1;
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    enum err err = make_files(s, ret_error);
    if (err == ERR_OK)
        err = open_database(s, config, ret_error);
    if (err == ERR_OK)
        err = start_threads(s, ret_error);
    if (err != ERR_OK) {
        store_close(s);
        return err;
    }
    *ret = s;
    return ERR_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->writes.items)
        queue_close(&s->writes);
    if (s->reads.items)
        queue_close(&s->reads);
    if (s->writer_runs)
        pthread_join(s->writer_thread, NULL);
    if (s->reader_runs)
        pthread_join(s->reader_thread, NULL);
    for (struct storage_done *done;
         s->completions.items && (done = queue_take(&s->completions, NULL));)
        storage_done_free(done);
    queue_release(&s->writes);
    queue_release(&s->reads);
    queue_release(&s->completions);
    conn_close(&s->reader);
    sums_release(&s->writer);
    conn_close(&s->writer);
    crypto_wipe(&s->writer.digest_key, sizeof(s->writer.digest_key));
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

enum err store_submit(struct store *s, struct storage_op *op)
{
    CHECK(op->kind != STORAGE_META_PUT || op->u.meta_put.value.len <= STORE_META_BYTES_MAX);
    struct queue *to = op->kind < STORAGE_VIDEO_GET ? &s->writes : &s->reads;
    pthread_mutex_lock(&s->lock);
    bool room = s->submitted - queue_taken(&s->completions) < STORE_OPS_MAX; /* I1 */
    if (room) {
        s->submitted++;
        CHECK(queue_push(to, op) == ERR_OK);
    }
    pthread_mutex_unlock(&s->lock);
    return room ? ERR_OK : ERR_LIMIT;
}

struct queue *store_completions(struct store *s)
{
    return &s->completions;
}

/* What the opener's questions to the reader's connection failed at (I2). */
static enum err asked(struct store *s)
{
    if (s->reader.db.err)
        note_error(s, s->reader.db.error);
    return db_clear(&s->reader.db) == ERR_OK ? ERR_OK : ERR_IO;
}

enum err store_meta(struct store *s, const char *key, uint8_t **ret, size_t *ret_len)
{
    uint8_t *value = NULL;
    size_t len = 0;
    struct query *q = query_of(&s->reader, Q_META_GET);
    bind_str(q, 1, key);
    if (query_row(q)) {
        struct slice held = col_slice(q, 0);
        len = held.len;
        value = mem_alloc(len + 1);
        if (len)
            memcpy(value, held.ptr, len);
    }
    query_end(q);
    enum err err = asked(s);
    if (err != ERR_OK || !value) {
        free(value);
        return err != ERR_OK ? err : ERR_UNKNOWN;
    }
    *ret = value;
    *ret_len = len;
    return ERR_OK;
}

uint64_t store_last_hlc(struct store *s)
{
    return s->last_hlc;
}

uint64_t store_videos(struct store *s)
{
    return atomic_load(&s->videos);
}

enum err store_stale_presences(struct store *s,
                               void (*visit)(void *context, const struct holding *holding),
                               void *context)
{
    struct query *q = query_of(&s->reader, Q_STALE_PRESENCES);
    bind_id(q, 1, &s->edge_id);
    while (query_row(q)) {
        struct slice body;
        struct signature sig;
        struct holding holding;
        if (signed_split(col_slice(q, 0), &body, &sig) != ERR_OK ||
            holding_decode(body, &holding) != ERR_OK) {
            db_corrupt(&s->reader.db, "a holding");
            break;
        }
        visit(context, &holding);
    }
    query_end(q);
    return asked(s);
}
