#ifndef TESTS_AUTH_EDGE_TEMP_H
#define TESTS_AUTH_EDGE_TEMP_H
/* A folder of its own for each test that touches the disk. */

enum { TEMP_PATH_BYTES = 256 };

/* temp_enter: cmocka setup: make a folder. *state is its path. */
int temp_enter(void **state);
/* temp_leave: cmocka teardown: remove it and the files in it. */
int temp_leave(void **state);
/* temp_path: DIR/name, in one of a few static buffers. */
const char *temp_path(void **state, const char *name);

#endif
