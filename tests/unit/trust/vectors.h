#ifndef TESTS_TRUST_VECTORS_H
#define TESTS_TRUST_VECTORS_H
/*
 * The files of docs/vectors/ but digests.json, made from the fixture alone. test_vectors compares
 * them with what is in the repository; `test_vectors --write` replaces it.
 */
#include "trust/object.h"

#include <stdio.h>

/* JSON with one field a line. Names and texts are escaped; a NULL name is a list's element. */
struct json {
    FILE *out;
    unsigned depth;
    bool begun; /* the object or list has an element already */
};
void json_open(struct json *j, const char *name, char bracket);
void json_close(struct json *j, char bracket);
void json_text(struct json *j, const char *name, struct slice text);
void json_hex(struct json *j, const char *name, struct slice bytes);
void json_b64(struct json *j, const char *name, struct slice bytes);
void json_hash(struct json *j, const char *name, const struct hash *hash);
void json_u32(struct json *j, const char *name, uint32_t v);
/* json_u64: as text, since JSON numbers are exact to 2^53 only. */
void json_u64(struct json *j, const char *name, uint64_t v);
/* json_raw: text that is JSON already. */
void json_raw(struct json *j, const char *name, const char *text);

struct vector_file {
    const char *path;
    const char *about;
    void (*fill)(struct json *j);
};
enum { VECTOR_FILES_N = 6 };
extern const struct vector_file vector_files[VECTOR_FILES_N];

/* vector_text: the whole file; the caller frees. */
char *vector_text(const struct vector_file *file, size_t *ret_len);

void vectors_keys(struct json *j);
void vectors_objects(struct json *j);
void vectors_requests(struct json *j);
void vectors_merkle(struct json *j);
void vectors_parts(struct json *j);
void vectors_proof(struct json *j);

#endif
