#include "tests/unit/base/scratch.h"

#include "base/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char home[PATH_MAX];
static char folder[] = "/tmp/edge-unit-XXXXXX";

int scratch_enter(void **state)
{
    (void)state;
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    CHECK(getcwd(home, sizeof(home)) && mkdtemp(folder) && chdir(folder) == 0);
    return 0;
}

static void remove_tree(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        CHECK(unlinkat(parent, name, 0) == 0);
        return;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove_tree(dirfd(dir), e->d_name);
    closedir(dir);
    CHECK(unlinkat(parent, name, AT_REMOVEDIR) == 0);
}

int scratch_leave(void **state)
{
    (void)state;
    CHECK(chdir(home) == 0);
    remove_tree(AT_FDCWD, folder);
    return 0;
}

void scratch_put(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

void scratch_capture(int fd, void (*act)(void), char *ret, size_t ret_bytes)
{
    FILE *f = tmpfile();
    CHECK(f);
    fflush(NULL);
    int kept = dup(fd);
    CHECK(kept >= 0 && dup2(fileno(f), fd) == fd);
    act();
    fflush(NULL);
    CHECK(dup2(kept, fd) == fd && close(kept) == 0);
    rewind(f);
    ret[fread(ret, 1, ret_bytes - 1, f)] = '\0';
    CHECK(fclose(f) == 0);
}

bool scratch_aborts(void (*act)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status != 0;
}
