#ifndef BASE_MEM_H
#define BASE_MEM_H
/*
 * Heap memory. Every table, queue and message is bounded by a named limit, so
 * running out of memory is a broken deployment and not an input: the process
 * stops with one clear line, and what it acknowledged is on disk.
 */
#include <stddef.h>

/* mem_alloc: n zeroed bytes (n may be 0); the caller frees with free(). Never NULL. */
void *mem_alloc(size_t n);

/* mem_alloc_raw: as mem_alloc, not zeroed: for payloads that are written whole at once. */
void *mem_alloc_raw(size_t n);

/* mem_array: count zeroed elements of size bytes; stops the process on overflow. Never NULL. */
void *mem_array(size_t count, size_t size);

/* mem_resize: realloc that never returns NULL. */
void *mem_resize(void *ptr, size_t n);

/* mem_free_ptr: free what *pp points to, for CLEANUP(mem_free_ptr); pp is any T**. */
void mem_free_ptr(void *pp);

/* mem_free_secret: overwrite a text, and free it. NULL is fine. _ptr: for CLEANUP. */
void mem_free_secret(char *text);
void mem_free_secret_ptr(char **text);

#endif
