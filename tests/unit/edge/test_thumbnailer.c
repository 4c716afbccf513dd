/* The child and its limits, with shell scripts in the place of edge_thumbnail. */
#include "base/check.h"
#include "base/clock.h"
#include "edge/thumbnailer.h"
#include "tests/unit/jpeg.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 60000 };

struct place {
    char folder[64], program[96], note[96]; /* note: where a script writes is here */
    uint32_t wall_ms;
    struct thumbnailer *t;
};

static int setup(void **state)
{
    struct place *p = test_calloc(1, sizeof(*p));
    snprintf(p->folder, sizeof(p->folder), "/tmp/edge-thumbnailer-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->program, sizeof(p->program), "%s/program", p->folder);
    snprintf(p->note, sizeof(p->note), "%s/note", p->folder);
    p->wall_ms = THUMBNAIL_WALL_MS;
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    thumbnailer_close(p->t);
    unlink(p->program);
    unlink(p->note);
    assert_int_equal(rmdir(p->folder), 0);
    test_free(p);
    return 0;
}

static void script(struct place *p, const char *body)
{
    FILE *file = fopen(p->program, "we");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", body);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(p->program, 0700), 0);
}

static void ask(struct place *p, size_t media_len)
{
    struct thumbnail_job *job = thumbnail_job_new(1);
    memset(job->media, 'm', media_len);
    job->media_len = media_len;
    if (!p->t)
        assert_int_equal(thumbnailer_open(p->program, p->wall_ms, &p->t), ERR_OK);
    thumbnailer_submit(p->t, job);
}

static struct thumbnail_job *answer(struct place *p)
{
    struct pollfd fd = {.fd = queue_fd(thumbnailer_results(p->t)), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
    struct thumbnail_job *job = queue_take(thumbnailer_results(p->t), NULL);
    assert_non_null(job);
    return job;
}

static void expect(struct place *p, const char *body, size_t media_len, enum err err)
{
    script(p, body);
    ask(p, media_len);
    struct thumbnail_job *job = answer(p);
    assert_int_equal(job->err, err);
    assert_int_equal(job->serial, 1);
    thumbnail_job_free(job);
}

/* Octal escapes of a whole JPEG, for printf. */
static void jpeg_script(struct place *p, size_t len, const char *then)
{
    static uint8_t bytes[THUMBNAIL_JPEG_BYTES_MAX];
    static char body[5 * THUMBNAIL_JPEG_BYTES_MAX + 200];
    struct slice jpeg = jpeg_make(bytes, 320, 180, len);
    size_t n = (size_t)snprintf(body, sizeof(body), "cat >/dev/null; printf '");
    for (size_t i = 0; i < jpeg.len; i++)
        n += (size_t)snprintf(body + n, sizeof(body) - n, "\\%03o", jpeg.ptr[i]);
    snprintf(body + n, sizeof(body) - n, "'; %s", then);
    script(p, body);
}

static void a_picture(void **state)
{
    struct place *p = *state;
    jpeg_script(p, 3000, "exit 0");
    ask(p, THUMBNAIL_MEDIA_BYTES_MAX);
    struct thumbnail_job *job = answer(p);
    assert_int_equal(job->err, ERR_OK);
    assert_int_equal(job->jpeg_len, 3000);
    thumbnail_job_free(job);
    jpeg_script(p, THUMBNAIL_JPEG_BYTES_MAX, "exit 0"); /* the same thread runs the next one */
    ask(p, 0);
    job = answer(p);
    assert_int_equal(job->err, ERR_OK);
    assert_int_equal(job->jpeg_len, THUMBNAIL_JPEG_BYTES_MAX);
    thumbnail_job_free(job);
}

static void what_is_no_picture(void **state)
{
    struct place *p = *state;
    expect(p, "exit 0", 1000, ERR_FORMAT);
    expect(p, "exit 1", THUMBNAIL_MEDIA_BYTES_MAX, ERR_FORMAT); /* it reads nothing of it */
    expect(p, "kill -SEGV $$", 1000, ERR_FORMAT);
    expect(p, "cat >/dev/null; echo a word", 1000, ERR_FORMAT);
    expect(p, "exec head -c 8192 /dev/zero", 0, ERR_FORMAT);
    jpeg_script(p, 3000, "echo and more");
    ask(p, 0);
    struct thumbnail_job *job = answer(p);
    assert_int_equal(job->err, ERR_FORMAT);
    thumbnail_job_free(job);
}

static void too_much(void **state)
{
    struct place *p = *state;
    expect(p, "exec head -c 8193 /dev/zero", 0, ERR_LIMIT);
    expect(p, "exec yes", 1000, ERR_LIMIT);
    expect(p, "exec cat", THUMBNAIL_MEDIA_BYTES_MAX, ERR_LIMIT);
}

static void no_program(void **state)
{
    struct place *p = *state;
    ask(p, 10);
    struct thumbnail_job *job = answer(p);
    assert_int_equal(job->err, ERR_UNKNOWN);
    thumbnail_job_free(job);
    script(p, "exit 0");
    assert_int_equal(chmod(p->program, 0600), 0);
    if (access(p->program, X_OK) != 0) { /* root may execute nothing either */
        ask(p, 10);
        job = answer(p);
        assert_int_equal(job->err, ERR_UNKNOWN);
        thumbnail_job_free(job);
    }
    FILE *file = fopen(p->program, "we"); /* no #! line: no shell is asked what it might be */
    fputs("echo hello\n", file);
    fclose(file);
    assert_int_equal(chmod(p->program, 0700), 0);
    ask(p, 10);
    job = answer(p);
    assert_int_equal(job->err, ERR_IO);
    thumbnail_job_free(job);
}

/* Until the script has written its note. */
static void noted(struct place *p, char *ret, size_t cap)
{
    for (uint64_t end_us = clock_mono_us() + WAIT_MS * 1000ull; clock_mono_us() < end_us;) {
        FILE *file = fopen(p->note, "re");
        size_t n = file ? fread(ret, 1, cap - 1, file) : 0;
        if (file)
            fclose(file);
        ret[n] = '\0';
        if (n && ret[n - 1] == '\n')
            return;
        poll(NULL, 0, 5);
    }
    fail_msg("the script wrote nothing");
}

static bool is_gone(pid_t pid)
{
    for (uint64_t end_us = clock_mono_us() + WAIT_MS * 1000ull; clock_mono_us() < end_us;) {
        char path[32], text[256] = "";
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        FILE *file = fopen(path, "re");
        size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
        if (file)
            fclose(file);
        const char *name_end = strrchr(text, ')');
        if (!n || (name_end && name_end[2] == 'Z')) /* adopted by somebody who does not reap */
            return true;
        poll(NULL, 0, 5);
    }
    return false;
}

/* RLIMIT_FSIZE lets a script write nothing: a reader of a FIFO takes what it says. */
static void closing_kills_what_hangs(void **state)
{
    struct place *p = *state;
    char body[256], text[64];
    assert_int_equal(mkfifo(p->note, 0600), 0);
    snprintf(body, sizeof(body), "sleep 1000 & echo $$ $! >%s; wait", p->note);
    script(p, body);
    ask(p, 10);
    noted(p, text, sizeof(text));
    char *rest;
    int child = (int)strtol(text, &rest, 10);
    int grandchild = (int)strtol(rest, &rest, 10);
    assert_true(child > 0 && grandchild > 0);
    thumbnailer_close(p->t);
    p->t = NULL;
    assert_true(is_gone(child));
    assert_true(is_gone(grandchild));
}

static void it_has_its_limits_and_nothing_else(void **state)
{
    struct place *p = *state;
    char body[512], text[1024];
    int null = open("/dev/null", O_RDONLY);
    int leak = fcntl(null, F_DUPFD, 20); /* on purpose not close-on-exec */
    close(null);
    assert_int_equal(mkfifo(p->note, 0600), 0);
    /* It is limited before it can read its input. 10 and 11 are the shell's own. */
    snprintf(
        body, sizeof(body),
        "read -r x; { for f in 3 4 5 6 7 8 9 %d; do [ -e /proc/$$/fd/$f ] && echo OPEN $f; done; "
        "ulimit -t; ulimit -n; ulimit -c; ulimit -f; ulimit -v; "
        "pwd; tr '\\0' ' ' </proc/$$/environ; echo; } >%s",
        leak, p->note);
    script(p, body);
    setenv("EDGE_SECRET_OF_A_TEST", "1", 1);
    ask(p, 0);
    noted(p, text, sizeof(text));
    thumbnail_job_free(answer(p));
    close(leak);
    assert_null(strstr(text, "EDGE_SECRET_OF_A_TEST"));
    const char *limits = strstr(text, "5\n16\n0\n0\n");
    assert_non_null(limits);
    assert_null(strstr(text, "OPEN"));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_non_null(strstr(limits, "524288\n/\n"));
#endif
}

static void what_never_ends_is_ended(void **state)
{
    struct place *p = *state;
    p->wall_ms = 200;
    expect(p, "exec sleep 1000", 1000, ERR_TIMEOUT);
}

static void closing_drops_what_waits(void **state)
{
    struct place *p = *state;
    script(p, "exec sleep 1000");
    for (int i = 0; i < 3; i++)
        ask(p, 10);
    thumbnailer_close(p->t);
    p->t = NULL;
    thumbnailer_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_picture, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_picture, setup, teardown),
        cmocka_unit_test_setup_teardown(too_much, setup, teardown),
        cmocka_unit_test_setup_teardown(no_program, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_kills_what_hangs, setup, teardown),
        cmocka_unit_test_setup_teardown(it_has_its_limits_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(what_never_ends_is_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_drops_what_waits, setup, teardown),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
