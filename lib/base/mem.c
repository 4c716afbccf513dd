#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *ptr, size_t n)
{
    if (!ptr) {
        fprintf(stderr, "out of memory: %zu bytes were refused; give the process more\n", n);
        abort();
    }
    return ptr;
}

void *mem_alloc(size_t n)
{
    return must(calloc(1, n ? n : 1), n);
}

void *mem_alloc_raw(size_t n)
{
    return must(malloc(n ? n : 1), n);
}

void *mem_array(size_t count, size_t size)
{
    return must(calloc(count ? count : 1, size ? size : 1), count);
}

void *mem_resize(void *ptr, size_t n)
{
    return must(realloc(ptr, n ? n : 1), n);
}

void mem_free_ptr(void *pp)
{
    free(*(void **)pp);
}

void mem_free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void mem_free_secret_ptr(char **text)
{
    mem_free_secret(*text);
}
