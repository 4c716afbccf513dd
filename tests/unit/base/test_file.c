#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/unit/base/scratch.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_holds(const char *path, const char *expected)
{
    CLEANUP(mem_free_ptr) char *bytes = NULL;
    size_t len = 0;
    assert_int_equal(file_read(path, 1000, &bytes, &len), ERR_OK);
    assert_int_equal(len, strlen(expected));
    assert_string_equal(bytes, expected);
}

static void test_read_limits(void **state)
{
    (void)state;
    scratch_put("five", "12345");
    CLEANUP(mem_free_ptr) char *bytes = NULL;
    size_t len = 77;
    assert_int_equal(file_read("five", 4, &bytes, &len), ERR_LIMIT);
    assert_int_equal(file_read("five", 0, &bytes, &len), ERR_LIMIT);
    assert_null(bytes);
    assert_int_equal(len, 77);
    assert_int_equal(file_read("five", 5, &bytes, &len), ERR_OK);
    assert_int_equal(len, 5);
    assert_string_equal(bytes, "12345");
}

static void test_read_empty(void **state)
{
    (void)state;
    scratch_put("empty", "");
    CLEANUP(mem_free_ptr) char *bytes = NULL;
    size_t len = 77;
    assert_int_equal(file_read("empty", 0, &bytes, &len), ERR_OK);
    assert_int_equal(len, 0);
    assert_string_equal(bytes, "");
}

static void test_read_errors(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t len = 77;
    assert_int_equal(file_read("absent", 10, &bytes, &len), ERR_UNKNOWN);
    assert_int_equal(file_read(".", 10, &bytes, &len), ERR_IO);
    assert_int_equal(errno, EISDIR);
    scratch_put("plain", "x");
    assert_int_equal(file_read("plain/x", 10, &bytes, &len), ERR_IO);
    assert_int_equal(errno, ENOTDIR);
    assert_null(bytes);
    assert_int_equal(len, 77);
}

static void test_write_replaces(void **state)
{
    (void)state;
    assert_int_equal(file_write("key", slice_str("first")), ERR_OK);
    assert_holds("key", "first");
    assert_int_equal(file_write("key", slice_str("2nd")), ERR_OK);
    assert_holds("key", "2nd");
    assert_int_equal(file_write("key", (struct slice){0}), ERR_OK);
    assert_holds("key", "");
    struct stat st;
    assert_int_equal(stat("key", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(access("key.tmp", F_OK), -1);
}

static void test_open_to_others(void **state)
{
    static const mode_t kept[] = {0600, 0400, 0700}, open[] = {0640, 0604, 0660, 0777, 0601};
    (void)state;
    assert_false(file_is_open("none"));
    scratch_put("key", "x");
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        assert_int_equal(chmod("key", kept[i]), 0);
        assert_false(file_is_open("key"));
    }
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        assert_int_equal(chmod("key", open[i]), 0);
        assert_true(file_is_open("key"));
    }
}

/* A secret is never readable by others, whatever a killed writer left behind. */
static void test_write_over_a_leftover(void **state)
{
    (void)state;
    scratch_put("key.tmp", "half of something");
    assert_int_equal(chmod("key.tmp", 0644), 0);
    assert_int_equal(file_write("key", slice_str("secret")), ERR_OK);
    struct stat st;
    assert_int_equal(stat("key", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_holds("key", "secret");
}

static void test_write_errors(void **state)
{
    (void)state;
    assert_int_equal(file_write("no/such/folder", slice_str("x")), ERR_IO);
    assert_int_equal(errno, ENOENT);
    char longer[PATH_MAX + 1];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(file_write(longer, slice_str("x")), ERR_IO);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(file_write("folder", slice_str("x")), ERR_IO);
    assert_int_equal(access("folder.tmp", F_OK), -1);
}

static void test_rename(void **state)
{
    (void)state;
    scratch_put("new", "next");
    scratch_put("old", "first");
    assert_int_equal(file_rename("new", "old"), ERR_OK);
    assert_holds("old", "next");
    assert_int_equal(access("new", F_OK), -1);
    assert_int_equal(file_rename("new", "old"), ERR_IO);
    assert_int_equal(errno, ENOENT);
    assert_holds("old", "next");
}

static void test_make_dir(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(file_make_dir("a/b//c/"), ERR_OK);
    assert_int_equal(stat("a/b/c", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(file_make_dir("a/b/c"), ERR_OK);
    assert_int_equal(file_make_dir("."), ERR_OK);
    assert_int_equal(file_make_dir("/"), ERR_OK);
    assert_int_equal(file_make_dir("/tmp"), ERR_OK);
}

static void test_make_dir_errors(void **state)
{
    (void)state;
    assert_int_equal(file_make_dir(""), ERR_IO);
    scratch_put("plain", "x");
    assert_int_equal(file_make_dir("plain/x"), ERR_IO);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(file_make_dir("plain"), ERR_IO);
    assert_int_equal(errno, ENOTDIR);
    char longer[PATH_MAX + 1];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(file_make_dir(longer), ERR_IO);
    assert_int_equal(errno, ENAMETOOLONG);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_enter, scratch_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(test_read_limits),    IN_SCRATCH(test_read_empty),
        IN_SCRATCH(test_read_errors),    IN_SCRATCH(test_write_replaces),
        IN_SCRATCH(test_open_to_others), IN_SCRATCH(test_write_over_a_leftover),
        IN_SCRATCH(test_write_errors),   IN_SCRATCH(test_rename),
        IN_SCRATCH(test_make_dir),       IN_SCRATCH(test_make_dir_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
