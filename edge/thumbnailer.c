/*
 * Invariants
 *   I1  the limits are in force before the child gets its first byte: they are the kernel's, set
 *       from here, and do not depend on what the program does.
 *   I2  a child is reaped before the next one is started, and its process group killed before it is
 *       reaped: nothing that it started outlives it.
 *   I3  whatever it wrote is believed only as jpeg_ok says.
 */
#include "edge/thumbnailer.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct thumbnailer {
    uint32_t wall_ms;
    char *program;
    struct queue jobs, results;
    int stop_fd; /* eventfd: readable once it closes */
    pthread_t thread;
    bool runs;
};

struct child {
    pid_t pid;
    int pid_fd, in_fd, out_fd; /* -1: closed */
    size_t sent;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- starting ---- */

static bool limit(pid_t pid, enum __rlimit_resource what, rlim_t value)
{
    struct rlimit both = {value, value};
    return prlimit(pid, what, &both, NULL) == 0;
}

/* I1. A build with sanitizers needs more addresses than any limit. */
static bool limit_all(pid_t pid)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    bool memory = true;
#else
    bool memory = limit(pid, RLIMIT_AS, THUMBNAIL_MEMORY_BYTES);
#endif
    return memory && setpriority(PRIO_PROCESS, (id_t)pid, THUMBNAIL_NICE) == 0 &&
           limit(pid, RLIMIT_CPU, THUMBNAIL_CPU_S) && limit(pid, RLIMIT_CORE, 0) &&
           limit(pid, RLIMIT_FSIZE, 0) && limit(pid, RLIMIT_NOFILE, THUMBNAIL_FILES_MAX);
}

static int spawn(const char *program, int in, int out, pid_t *ret_pid)
{
    char *const argv[] = {"edge_thumbnail", NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    CHECK(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&how) == 0);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    posix_spawn_file_actions_addchdir_np(&files, "/");
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                       POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setpgroup(&how, 0);
    int error = posix_spawn(ret_pid, program, &files, &how, argv, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return error;
}

/* I2 */
static void child_end(struct child *c)
{
    close_fd(&c->in_fd);
    close_fd(&c->out_fd);
    close_fd(&c->pid_fd);
    kill(-c->pid, SIGKILL);
    kill(c->pid, SIGKILL); /* should it have left its group */
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static enum err child_start(const char *program, struct child *ret)
{
    int in[2], out[2];
    if (access(program, X_OK) != 0)
        return ERR_UNKNOWN;
    if (pipe2(in, O_CLOEXEC) != 0)
        return ERR_IO;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return ERR_IO;
    }
    *ret = (struct child){.pid_fd = -1, .in_fd = in[1], .out_fd = out[0]};
    int error = spawn(program, in[0], out[1], &ret->pid);
    close(in[0]);
    close(out[1]);
    if (error) {
        close_fd(&ret->in_fd);
        close_fd(&ret->out_fd);
        return ERR_IO;
    }
    ret->pid_fd = pidfd_open(ret->pid, 0);
    if (ret->pid_fd < 0 || !limit_all(ret->pid) || fcntl(ret->in_fd, F_SETFL, O_NONBLOCK) != 0 ||
        fcntl(ret->out_fd, F_SETFL, O_NONBLOCK) != 0) {
        child_end(ret);
        return ERR_IO;
    }
    return ERR_OK;
}

/* ---- media in, JPEG out ---- */

static void give(struct child *c, const struct thumbnail_job *job)
{
    ssize_t n = write(c->in_fd, job->media + c->sent, job->media_len - c->sent);
    if (n > 0)
        c->sent += (size_t)n;
    if (c->sent == job->media_len || (n < 0 && errno != EAGAIN))
        close_fd(&c->in_fd); /* all of it went, or nobody reads any more */
}

/* ERR_LIMIT: it writes more than a thumbnail may have. */
static enum err take(struct child *c, struct thumbnail_job *job)
{
    uint8_t more;
    for (;;) {
        size_t room = sizeof(job->jpeg) - job->jpeg_len;
        ssize_t n =
            room ? read(c->out_fd, job->jpeg + job->jpeg_len, room) : read(c->out_fd, &more, 1);
        if (n > 0 && !room)
            return ERR_LIMIT;
        if (n > 0) {
            job->jpeg_len += (size_t)n;
            continue;
        }
        if (n == 0)
            close_fd(&c->out_fd);
        return ERR_OK;
    }
}

/* Until it has ended: ERR_OK. ERR_LIMIT, ERR_TIMEOUT, ERR_CLOSED. */
static enum err attend(const struct thumbnailer *t, struct child *c, struct thumbnail_job *job)
{
    uint64_t end_us = clock_mono_us() + t->wall_ms * 1000ull;
    enum err err = ERR_OK;
    while (err == ERR_OK) {
        struct pollfd fds[] = {
            {.fd = t->stop_fd, .events = POLLIN},
            {.fd = c->pid_fd, .events = POLLIN},
            {.fd = c->in_fd, .events = POLLOUT}, /* a descriptor of -1 is not looked at */
            {.fd = c->out_fd, .events = POLLIN},
        };
        uint64_t now_us = clock_mono_us();
        if (now_us >= end_us)
            return ERR_TIMEOUT;
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), (int)((end_us - now_us) / 1000 + 1)) < 0)
            continue; /* EINTR */
        if (fds[0].revents)
            return ERR_CLOSED;
        if (fds[2].revents)
            give(c, job);
        if (fds[3].revents || (fds[1].revents && c->out_fd >= 0))
            err = take(c, job);
        if (fds[1].revents)
            return err;
    }
    return err;
}

static void run(const struct thumbnailer *t, struct thumbnail_job *job)
{
    struct child child;
    job->err = child_start(t->program, &child);
    if (job->err != ERR_OK)
        return;
    job->err = attend(t, &child, job);
    child_end(&child);
    if (job->err == ERR_OK && !jpeg_ok(slice_of(job->jpeg, job->jpeg_len))) /* I3 */
        job->err = ERR_FORMAT;
}

static void *run_all(void *arg)
{
    struct thumbnailer *t = arg;
    pthread_setname_np(pthread_self(), "thumbnailer");
    for (struct thumbnail_job *job; (job = queue_wait(&t->jobs, NULL)) != NULL;) {
        if (queue_is_closed(&t->jobs))
            job->err = ERR_CLOSED;
        else
            run(t, job);
        CHECK(queue_push(&t->results, job) == ERR_OK);
    }
    return NULL;
}

/* ---- life ---- */

enum err thumbnailer_open(const char *program, uint32_t wall_ms, struct thumbnailer **ret)
{
    struct thumbnailer *t = mem_alloc(sizeof(*t));
    size_t n = strlen(program) + 1;
    t->wall_ms = wall_ms;
    t->program = mem_alloc(n);
    memcpy(t->program, program, n);
    queue_init_waited(&t->jobs, THUMBNAIL_JOBS_MAX);
    t->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->stop_fd >= 0 && queue_init(&t->results, 2 * THUMBNAIL_JOBS_MAX) == ERR_OK)
        t->runs = pthread_create(&t->thread, NULL, run_all, t) == 0;
    if (!t->runs) {
        thumbnailer_close(t);
        return ERR_IO;
    }
    *ret = t;
    return ERR_OK;
}

void thumbnailer_submit(struct thumbnailer *t, struct thumbnail_job *job)
{
    CHECK(queue_push(&t->jobs, job) == ERR_OK);
}

struct queue *thumbnailer_results(struct thumbnailer *t)
{
    return &t->results;
}

static void drop_all(struct queue *q)
{
    for (struct thumbnail_job *job; q->items && (job = queue_take(q, NULL)) != NULL;)
        thumbnail_job_free(job);
    queue_release(q);
}

void thumbnailer_close(struct thumbnailer *t)
{
    uint64_t one = 1;
    if (!t)
        return;
    queue_close(&t->jobs);
    if (t->runs) {
        CHECK(write(t->stop_fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
        pthread_join(t->thread, NULL);
    }
    drop_all(&t->jobs);
    drop_all(&t->results);
    if (t->stop_fd >= 0)
        close(t->stop_fd);
    free(t->program);
    free(t);
}
