#include "tests/unit/auth_edge/temp.h"

#include "base/check.h"
#include "base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFERS = 4 };

int temp_enter(void **state)
{
    char *dir = mem_alloc(TEMP_PATH_BYTES);
    snprintf(dir, TEMP_PATH_BYTES, "/tmp/auth-edge-test-XXXXXX");
    *state = mkdtemp(dir);
    return *state ? 0 : -1;
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        char inner[2 * TEMP_PATH_BYTES];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof(inner), "%s/%.255s", path, entry->d_name);
        if (entry->d_type == DT_DIR)
            remove_tree(inner);
        else
            unlink(inner);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

int temp_leave(void **state)
{
    remove_tree(*state);
    free(*state);
    return 0;
}

const char *temp_path(void **state, const char *name)
{
    static char buffers[BUFFERS][TEMP_PATH_BYTES];
    static unsigned next;
    char *buffer = buffers[next++ % BUFFERS];
    int n = snprintf(buffer, TEMP_PATH_BYTES, "%s/%s", (const char *)*state, name);
    CHECK(n > 0 && n < TEMP_PATH_BYTES);
    return buffer;
}
