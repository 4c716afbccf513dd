/* What edge_thumbnail cannot do any more once it is in its jail, and what it makes of garbage. */
#include "thumbnail/jail.h"
#include "thumbnail/picture.h"
#include "trust/thumbnail.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Bits of what succeeded; run in the jail, by a process that does nothing else. */
static uint8_t attempts(void)
{
    uint8_t done = 0;
    const int rwx = PROT_READ | PROT_WRITE | PROT_EXEC, quiet = MAP_PRIVATE | MAP_ANONYMOUS;
    done |= (uint8_t)(open("/etc/passwd", O_RDONLY) >= 0);
    done |= (uint8_t)((socket(AF_UNIX, SOCK_STREAM, 0) >= 0) << 1);
    done |= (uint8_t)((fork() >= 0) << 2);
    done |= (uint8_t)((write(STDERR_FILENO, "", 1) >= 0) << 3);
    done |= (uint8_t)((mmap(NULL, 4096, rwx, quiet, -1, 0) != MAP_FAILED) << 4);
    done |= (uint8_t)((kill(getppid(), 0) == 0) << 5);
    done |= (uint8_t)((fcntl(STDIN_FILENO, F_DUPFD, 0) >= 0) << 6);
    done |= (uint8_t)((execl("/bin/true", "true", (char *)NULL) == 0) << 7);
    return done;
}

static void in_jail(int out)
{
    uint8_t said[2] = {1, 0xff};
    if (dup2(out, STDOUT_FILENO) == STDOUT_FILENO && jail_enter() == ERR_OK) {
        said[0] = 0;
        said[1] = attempts();
    }
    _exit(write(STDOUT_FILENO, said, sizeof(said)) == (ssize_t)sizeof(said) ? 0 : 1);
}

static void nothing_is_left(void **state)
{
    (void)state;
    int pipes[2], status;
    uint8_t said[2] = {2, 2};
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0)
        in_jail(pipes[1]);
    assert_true(pid > 0);
    close(pipes[1]);
    assert_int_equal(read(pipes[0], said, sizeof(said)), sizeof(said));
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(said[0], 0);   /* it is in */
    assert_int_equal(said[1], 0);   /* and nothing went through */
    assert_true(WIFEXITED(status)); /* a sanitizer's own look at the end needs more than it has */
}

static void garbage(void **state)
{
    static uint8_t bytes[100000], jpeg[THUMBNAIL_JPEG_BYTES_MAX];
    static const uint8_t boxes[] = {0, 0, 0, 16, 'f', 't', 'y', 'p', 'i', 's', 'o', 'm',
                                    0, 0, 0, 0,  0,   0,   0,   8,   'm', 'o', 'o', 'v'};
    size_t len = 7;
    (void)state;
    assert_int_equal(picture_of(slice_of(bytes, 0), sizeof(jpeg), jpeg, &len), ERR_FORMAT);
    assert_int_equal(picture_of(slice_of(bytes, sizeof(bytes)), sizeof(jpeg), jpeg, &len),
                     ERR_FORMAT);
    assert_int_equal(picture_of(slice_of(boxes, sizeof(boxes)), sizeof(jpeg), jpeg, &len),
                     ERR_FORMAT);
    assert_int_equal(len, 7); /* untouched */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
