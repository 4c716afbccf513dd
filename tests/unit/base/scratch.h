#ifndef TESTS_BASE_SCRATCH_H
#define TESTS_BASE_SCRATCH_H
/*
 * What the tests of lib/base share: a folder that lives as long as one test and
 * is the working directory meanwhile, and a child process for what must abort.
 */
#include <stdbool.h>
#include <stddef.h>

/* scratch_enter: cmocka setup: make a new folder and change into it. */
int scratch_enter(void **state);

/* scratch_leave: cmocka teardown: change back and remove the folder with all in it. */
int scratch_leave(void **state);

/* scratch_put: write text to a file in the working directory. */
void scratch_put(const char *name, const char *text);

/* scratch_capture: what act() writes to the stream with this descriptor, NUL-terminated in ret. */
void scratch_capture(int fd, void (*act)(void), char *ret, size_t ret_bytes);

/* scratch_aborts: whether act(), in a child with standard error shut, ends other than by return. */
bool scratch_aborts(void (*act)(void));

#endif
