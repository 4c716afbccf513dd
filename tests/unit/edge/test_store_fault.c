/* What goes wrong around a store: other files, other edges, no room, no power. */
#include "base/check.h"
#include "edge/store/conn.h"
#include "tests/unit/edge/store_world.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- opening ---- */

static enum err open_err(struct world *w, const char *path, uint64_t bytes_max, const char *says)
{
    struct store_config config = w->config;
    struct store *store = NULL;
    char error[STORE_ERROR_BYTES] = "";
    config.path = path;
    config.bytes_max = bytes_max;
    enum err err = store_open(&config, &store, error);
    assert_true(err != ERR_OK || store);
    if (err != ERR_OK && !strstr(error, says))
        fail_msg("the sentence is: %s", error);
    store_close(store);
    return err;
}

static void one_edge_at_a_time(void **state)
{
    struct world *w = *state;
    assert_int_equal(open_err(w, w->path, 0, "another edge is using"), ERR_IO);
    store_close(w->store);
    w->store = NULL;
    assert_int_equal(open_err(w, w->path, 0, ""), ERR_OK);
}

static void files_that_are_not_ours(void **state)
{
    struct world *w = *state;
    char path[128];
    store_close(w->store);
    w->store = NULL;
    world_exec(w, "PRAGMA user_version = 99");
    assert_int_equal(open_err(w, w->path, 0, "newer version"), ERR_FORMAT);
    world_exec(w, "PRAGMA user_version = 1; PRAGMA application_id = 5");
    assert_int_equal(open_err(w, w->path, 0, "not an Edge Cluster database"), ERR_FORMAT);
    world_exec(w, "PRAGMA application_id = 0");
    assert_int_equal(open_err(w, w->path, 0, "not an Edge Cluster database"), ERR_FORMAT);
    world_exec(w, "PRAGMA application_id = 1163281201"); /* 0x45564331 */
    assert_int_equal(open_err(w, w->path, 0, ""), ERR_OK);
    assert_int_equal(truncate(w->path, 0), 0);
    FILE *f = fopen(w->path, "w");
    assert_non_null(f);
    for (int i = 0; i < 9999; i++)
        fputs("no database ", f);
    fclose(f);
    assert_int_equal(open_err(w, w->path, 0, "not an Edge Cluster database"), ERR_FORMAT);
    snprintf(path, sizeof(path), "%s/nowhere/edge_cluster.db", w->dir);
    assert_int_equal(open_err(w, path, 0, "No such file or directory"), ERR_IO);
    snprintf(path, sizeof(path), "%s/folder", w->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_err(w, path, 0, "Is a directory"), ERR_IO);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/folder-lock", w->dir);
    unlink(path);
}

/* Run check in a child that is not root; true: it returned true. */
static bool as_nobody(struct world *w, bool (*check)(struct world *w))
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        _exit(check(w) ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool is_refused(struct world *w)
{
    struct store *store;
    char error[STORE_ERROR_BYTES] = "";
    return store_open(&w->config, &store, error) == ERR_IO && strstr(error, "Permission denied") &&
           strstr(error, w->dir);
}

static void folders_that_cannot_be_written(void **state)
{
    struct world *w = *state;
    bool root = geteuid() == 0; /* who is not, cannot be another: he closes his own files */
    char lock[128];
    snprintf(lock, sizeof(lock), "%s-lock", w->path);
    store_close(w->store);
    w->store = NULL;
    assert_int_equal(chmod(lock, root ? 0600 : 0), 0);
    assert_int_equal(chmod(w->dir, 0555), 0);
    bool refused = as_nobody(w, is_refused); /* the lock file is another's */
    chmod(w->dir, 0755);
    assert_true(refused);
    assert_int_equal(chmod(lock, 0666), 0);
    assert_int_equal(chmod(w->path, root ? 0600 : 0), 0);
    assert_true(as_nobody(w, is_refused)); /* the database is another's */
}

static void files_are_private(void **state)
{
    struct world *w = *state;
    static const char *const endings[] = {"", "-wal", "-shm", "-lock"};
    for (size_t i = 0; i < 4; i++) {
        struct stat st;
        char path[128];
        snprintf(path, sizeof(path), "%s%s", w->path, endings[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(world_int(w, "PRAGMA page_size"), DB_PAGE_BYTES);
    assert_string_equal(world_text(w, "PRAGMA journal_mode"), "wal");
    assert_int_equal(world_int(w, "PRAGMA application_id"), 0x45564331);
    assert_int_equal(world_int(w, "PRAGMA user_version"), 1);
}

static void a_damaged_file(void **state)
{
    struct world *w = *state;
    struct film f;
    film_make(&f, "video1", "alice", T, 1, 3, 2500, FILM_PART_BYTES);
    film_upload(w, &f);
    world_exec(w, "UPDATE part SET packet = x'00' WHERE chunk_nb = 2 AND part_nb = 1");
    struct storage_done *done = world_do(w, op_read("video1", 1, 0, 1));
    assert_int_equal(done->err, ERR_OK);
    storage_done_free(done);
    assert_int_equal(world_err(w, op_read("video1", 1, 0, UINT32_MAX)), ERR_IO);
    assert_int_equal(atomic_load(&w->budget.alive_bytes), 0);
    char error[STORE_ERROR_BYTES];
    store_error(w->store, error);
    assert_non_null(strstr(error, "a part is damaged"));
    assert_non_null(strstr(error, w->path));
    world_exec(w, "UPDATE claim SET stream = x'00'");
    assert_int_equal(world_err(w, op_get("video1")), ERR_IO);
    assert_int_equal(world_err(w, op_copy(&f)), ERR_IO);
    store_error(w->store, error);
    assert_non_null(strstr(error, "a hash is damaged"));
    film_release(&f);
}

/* ---- no room ---- */

/* Every part before the position that a claim tells is there, and right. */
static void assert_held(struct world *w, const struct film *f, size_t n)
{
    struct storage_done *done = world_do(w, op_claim(f));
    assert_int_equal(done->err, ERR_OK);
    bool at_end = n == f->parts_n;
    assert_int_equal(done->u.position.next, at_end ? f->parts[n - 1].chunk + 1 : f->parts[n].chunk);
    assert_int_equal(done->u.position.next_part, at_end ? 0 : f->parts[n].index);
    storage_done_free(done);
    for (size_t i = 0; i < n;) {
        done = world_do(w, op_read("video1", f->parts[i].chunk, f->parts[i].index, UINT32_MAX));
        assert_int_equal(done->err, ERR_OK);
        assert_true(done->u.parts_read.n > 0);
        for (size_t j = 0; j < done->u.parts_read.n; j++, i++) {
            assert_true(i < n);
            struct slice got = done->u.parts_read.parts[j].packet->payload;
            assert_true(slice_eq(got, slice_of(f->parts[i].packet, f->parts[i].len)));
        }
        storage_done_free(done);
    }
    world_freed(w);
    assert_int_equal(world_int(w, "SELECT count(*) FROM part"), n);
    if (n)
        assert_int_equal(world_int(w, "SELECT sum(part) FROM chunk"), n);
}

static void a_full_store_keeps_what_it_acknowledged(void **state)
{
    struct world *w = *state;
    struct film f;
    film_make(&f, "video1", "alice", T, 1, 2, 20 * 60000, 60000);
    assert_int_equal(world_err(w, op_claim(&f)), ERR_OK);
    w->config.bytes_max =
        (uint64_t)(world_int(w, "PRAGMA page_count") + 40) * DB_PAGE_BYTES + DB_PAGE_BYTES - 1;
    world_reopen(w);
    size_t n = 0;
    enum err err = ERR_OK;
    while (n < f.parts_n && (err = world_err(w, op_part(&f, n))) == ERR_OK)
        n++;
    assert_int_equal(err, ERR_STORAGE_FULL);
    assert_in_range(n, 5, 15);
    char error[STORE_ERROR_BYTES];
    store_error(w->store, error);
    assert_non_null(strstr(error, "full"));
    assert_int_equal(world_err(w, op_part(&f, n)), ERR_STORAGE_FULL);
    assert_int_equal(world_err(w, op_part(&f, n + 1)), ERR_CONFLICT);
    assert_held(w, &f, n);
    /* As a group: all or nothing of it. */
    for (size_t i = n; i < n + 3; i++)
        assert_int_equal(store_submit(w->store, op_part(&f, i)), ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        struct storage_done *done = queue_wait(store_completions(w->store), NULL);
        assert_true(done->err == ERR_STORAGE_FULL || done->err == ERR_CONFLICT);
        assert_int_equal(done->u.part_put.packet_bytes, f.parts[n + i].len);
        assert_false(done->u.part_put.more);
        storage_done_free(done);
    }
    assert_held(w, &f, n);
    w->config.bytes_max = 0; /* room is made */
    world_reopen(w);
    for (; n < f.parts_n; n++)
        assert_int_equal(world_err(w, op_part(&f, n)), ERR_OK);
    assert_held(w, &f, n);
    assert_int_equal(world_err(w, op_finish(&f, 1, "receipt")), ERR_OK);
    film_release(&f);
}

static void no_room_to_open(void **state)
{
    struct world *w = *state;
    char path[128], lock[160];
    snprintf(path, sizeof(path), "%s/other.db", w->dir);
    snprintf(lock, sizeof(lock), "%s-lock", path);
    assert_int_equal(open_err(w, path, 1, "full"), ERR_STORAGE_FULL);
    assert_int_equal(open_err(w, path, 0, ""), ERR_OK); /* and nothing stands in the way after it */
    for (const char *const *e = (const char *const[]){"", "-wal", "-shm", NULL}; *e; e++) {
        snprintf(lock, sizeof(lock), "%s%s", path, *e);
        unlink(lock);
    }
    snprintf(lock, sizeof(lock), "%s-lock", path);
    unlink(lock);
}

/* Whether a completion comes while another process has the database for longer than SQLite waits.
 */
static bool comes_while_locked(struct world *w)
{
    struct pollfd fd = {.fd = queue_fd(store_completions(w->store)), .events = POLLIN};
    return poll(&fd, 1, BUSY_TIMEOUT_MS + BUSY_TIMEOUT_MS / 4) != 0;
}

static void an_operator_may_lock_it(void **state)
{
    struct world *w = *state;
    struct film f;
    char error[STORE_ERROR_BYTES];
    film_make(&f, "video1", "alice", T, 1, 2, 3 * FILM_PART_BYTES, FILM_PART_BYTES);
    struct sqlite3 *locker = world_lock(w, "BEGIN IMMEDIATE");
    struct storage_op *ops[] = {op_claim(&f), op_part(&f, 0), op_part(&f, 2), op_part(&f, 1)};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(store_submit(w->store, ops[i]), ERR_OK);
    assert_false(comes_while_locked(w));
    world_unlock(locker);
    for (size_t i = 0; i < 4; i++) {
        struct storage_done *done = queue_wait(store_completions(w->store), NULL);
        assert_int_equal(done->err, i == 2 ? ERR_CONFLICT : ERR_OK);
        storage_done_free(done);
    }
    store_error(w->store, error);
    assert_string_equal(error, "");
    assert_held(w, &f, 2);
    /* Closing does not wait for ever, and what was not acknowledged is not there. */
    locker = world_lock(w, "BEGIN IMMEDIATE");
    assert_int_equal(store_submit(w->store, op_part(&f, 2)), ERR_OK);
    store_close(w->store);
    w->store = NULL;
    world_unlock(locker);
    assert_int_equal(open_err(w, w->path, 0, ""), ERR_OK);
    assert_int_equal(store_open(&w->config, &w->store, error), ERR_OK);
    assert_held(w, &f, 2);
    film_release(&f);
}

static void a_disk_that_fails(void **state)
{
    struct world *w = *state;
    struct film f;
    film_make(&f, "video1", "alice", T, 1, 2, 20 * 60000, 60000);
    assert_int_equal(world_err(w, op_claim(&f)), ERR_OK);
    assert_int_equal(world_err(w, op_part(&f, 0)), ERR_OK);
    struct rlimit before, small = {64 * 1024, RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0); /* writes fail with EFBIG */
    struct storage_done *done = world_do(w, op_part(&f, 1));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(done->err, ERR_IO);
    storage_done_free(done);
    char error[STORE_ERROR_BYTES];
    store_error(w->store, error);
    assert_non_null(strstr(error, w->path));
    world_reopen(w);
    assert_held(w, &f, 1);
    film_release(&f);
}

/* ---- groups ---- */

static void groups_keep_order_and_apart(void **state)
{
    enum { N = 200 };
    struct world *w = *state;
    struct film f, g;
    film_make(&f, "video1", "alice", T, 1, 2, (N - 1) * FILM_PART_BYTES, FILM_PART_BYTES);
    film_make(&g, "video2", "bob", T, 2, 2, (N - 1) * FILM_PART_BYTES, FILM_PART_BYTES);
    struct storage_op *ops[4 * N + 2];
    size_t n = 0;
    ops[n++] = op_claim(&f);
    ops[n++] = op_claim(&g);
    for (size_t i = 0; i < N; i++) {
        ops[n++] = op_part(&f, i);
        ops[n++] = op_part(&f, i); /* a duplicate: refused, and it takes nothing with it */
        ops[n++] = op_part(&g, i);
        ops[n++] = op_meta("last", slice_of(&i, sizeof(i)));
    }
    uint64_t first = ops[0]->token;
    for (size_t i = 0; i < n; i++)
        ops[i]->token = first + i;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(store_submit(w->store, ops[i]), ERR_OK);
    bool owed[2] = {false, false}; /* the last one of this stream said that more follow */
    for (size_t i = 0; i < n; i++) {
        struct storage_done *done = queue_wait(store_completions(w->store), NULL);
        assert_int_equal(done->token, first + i);
        bool duplicate = i >= 2 && (i - 2) % 4 == 1;
        assert_int_equal(done->err, duplicate ? ERR_CONFLICT : ERR_OK);
        if (done->kind == STORAGE_PART_PUT && !duplicate)
            owed[hash_eq(&done->u.part_put.stream, &g.stream)] = done->u.part_put.more;
        else if (duplicate)
            assert_false(done->u.part_put.more);
        storage_done_free(done);
    }
    assert_false(owed[0] || owed[1]);
    assert_int_equal(world_err(w, op_finish(&f, 1, "r")), ERR_OK);
    assert_int_equal(world_err(w, op_finish(&g, 2, "r")), ERR_OK);
    assert_int_equal(store_videos(w->store), 2);
    film_release(&f);
    film_release(&g);
}

static void submissions_are_bounded(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < STORE_OPS_MAX; i++)
        assert_int_equal(
            store_submit(w->store, i % 2 ? op_get("video1")
                                         : op_copy(&(struct film){.video.video_id = {"video1"}})),
            ERR_OK);
    struct storage_op *op = op_get("video1");
    assert_int_equal(store_submit(w->store, op), ERR_LIMIT);
    struct storage_done *done = queue_wait(store_completions(w->store), NULL);
    assert_int_equal(done->err, ERR_UNKNOWN);
    storage_done_free(done);
    assert_int_equal(store_submit(w->store, op), ERR_OK);
    op = op_get("video1");
    assert_int_equal(store_submit(w->store, op), ERR_LIMIT);
    storage_op_free(op);
    /* What nobody took is freed with the store. */
}

static void closing_commits_what_was_submitted(void **state)
{
    struct world *w = *state;
    struct film f;
    film_make(&f, "video1", "alice", T, 1, 2, 100 * FILM_PART_BYTES, FILM_PART_BYTES);
    assert_int_equal(store_submit(w->store, op_claim(&f)), ERR_OK);
    for (size_t i = 0; i < f.parts_n; i++)
        assert_int_equal(store_submit(w->store, op_part(&f, i)), ERR_OK);
    world_reopen(w);
    assert_held(w, &f, f.parts_n);
    film_release(&f);
}

/* ---- no power ---- */

/* The child: put parts, and write one byte to fd for each that is acknowledged. */
static void put_and_tell(struct world *w, const struct film *f, int fd)
{
    enum { UNDER_WAY = 16 };
    char error[STORE_ERROR_BYTES];
    CHECK(store_open(&w->config, &w->store, error) == ERR_OK);
    CHECK(world_err(w, op_claim(f)) == ERR_OK);
    for (size_t sent = 0, told = 0; told < f->parts_n; told++) {
        for (; sent < f->parts_n && sent < told + UNDER_WAY; sent++)
            CHECK(store_submit(w->store, op_part(f, sent)) == ERR_OK);
        struct storage_done *done = queue_wait(store_completions(w->store), NULL);
        CHECK(done->err == ERR_OK && write(fd, "", 1) == 1);
        storage_done_free(done);
    }
    _exit(0);
}

static void a_killed_edge_has_what_it_acknowledged(void **state)
{
    static const size_t afters[] = {1, 7, 40, 100, 150};
    struct world *w = *state;
    for (size_t k = 0; k < sizeof(afters) / sizeof(afters[0]); k++) {
        struct film f; /* each one replaces the last one's unfinished upload */
        film_make(&f, "video1", "alice", T + k * 1000, (unsigned)k, 9, 20 * 60000, 60000);
        store_close(w->store);
        w->store = NULL;
        size_t told = world_kill(w, put_and_tell, &f, afters[k]);
        assert_in_range(told, afters[k], f.parts_n);
        char error[STORE_ERROR_BYTES];
        assert_int_equal(store_open(&w->config, &w->store, error), ERR_OK);
        struct storage_done *done = world_do(w, op_claim(&f));
        size_t held = 0;
        while (held < f.parts_n && (f.parts[held].chunk < done->u.position.next ||
                                    (f.parts[held].chunk == done->u.position.next &&
                                     f.parts[held].index < done->u.position.next_part)))
            held++;
        storage_done_free(done);
        assert_true(held >= told);
        assert_held(w, &f, held);
        film_release(&f);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_edge_at_a_time),
        TEST(files_that_are_not_ours),
        TEST(folders_that_cannot_be_written),
        TEST(files_are_private),
        TEST(a_damaged_file),
        TEST(a_full_store_keeps_what_it_acknowledged),
        TEST(no_room_to_open),
        TEST(an_operator_may_lock_it),
        TEST(a_disk_that_fails),
        TEST(groups_keep_order_and_apart),
        TEST(submissions_are_bounded),
        TEST(closing_commits_what_was_submitted),
        TEST(a_killed_edge_has_what_it_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
