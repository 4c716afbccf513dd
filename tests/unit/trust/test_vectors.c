#include "base/file.h"
#include "tests/unit/trust/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { VECTOR_FILE_BYTES_MAX = 1024 * 1024 };

/* The program runs at the top of the repository, as `make unit` has it. */
static void check_file(const struct vector_file *file)
{
    char *kept = NULL;
    size_t kept_len = 0, len = 0;
    if (file_read(file->path, VECTOR_FILE_BYTES_MAX, &kept, &kept_len) != ERR_OK)
        fail_msg("%s cannot be read", file->path);
    char *text = vector_text(file, &len);
    size_t same = 0;
    while (same < len && same < kept_len && text[same] == kept[same])
        same++;
    if (same != len || len != kept_len)
        fail_msg("%s differs from what the code makes at byte %zu: what is signed has changed",
                 file->path, same);
    free(text);
    free(kept);
}

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTOR_FILES_N; i++)
        check_file(&vector_files[i]);
}

static int write_files(void)
{
    for (size_t i = 0; i < VECTOR_FILES_N; i++) {
        size_t len = 0;
        char *text = vector_text(&vector_files[i], &len);
        FILE *out = fopen(vector_files[i].path, "w");
        bool written = out && fwrite(text, 1, len, out) == len;
        if (out && fclose(out) != 0)
            written = false;
        free(text);
        if (!written) {
            perror(vector_files[i].path);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    if (argc == 2 && strcmp(argv[1], "--write") == 0)
        return write_files();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
