#include "tests/unit/trust/vectors.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

const struct vector_file vector_files[VECTOR_FILES_N] = {
    {"docs/vectors/keys.json", "The keys that the other files name, all from fixed seeds.",
     vectors_keys},
    {"docs/vectors/objects.json",
     "PROTOCOL.md 2.1: each signed object's fields, body, signature and hash; base64 is body and "
     "signature as they travel.",
     vectors_objects},
    {"docs/vectors/requests.json",
     "PROTOCOL.md 2.1, 2.3 to 2.5: stream ids, thumbnail hashes, signed requests, enrolment, "
     "reply tokens.",
     vectors_requests},
    {"docs/vectors/merkle.json",
     "PROTOCOL.md 2.2: the trees over 1 to 9 leaves; leaf i holds the one byte i.", vectors_merkle},
    {"docs/vectors/parts.json",
     "PROTOCOL.md 2.2 and 3: one stream of four chunks, each part in both encodings, its manifest, "
     "and packets to refuse.",
     vectors_parts},
    {"docs/vectors/proof.json", "PROTOCOL.md 5: the proof file of the stream in parts.json.",
     vectors_proof},
};

static void put_text(FILE *out, struct slice text)
{
    fputc('"', out);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

/* What stands before a value: comma, line, indentation, name. */
static void put_name(struct json *j, const char *name)
{
    if (j->begun)
        fputc(',', j->out);
    if (j->depth)
        fprintf(j->out, "\n%*s", (int)(2 * j->depth), "");
    if (name) {
        put_text(j->out, slice_str(name));
        fputs(": ", j->out);
    }
    j->begun = true;
}

void json_open(struct json *j, const char *name, char bracket)
{
    put_name(j, name);
    fputc(bracket, j->out);
    j->depth++;
    j->begun = false;
}

void json_close(struct json *j, char bracket)
{
    CHECK(j->depth > 0);
    j->depth--;
    if (j->begun)
        fprintf(j->out, "\n%*s", (int)(2 * j->depth), "");
    fputc(bracket, j->out);
    j->begun = true;
}

void json_text(struct json *j, const char *name, struct slice text)
{
    put_name(j, name);
    put_text(j->out, text);
}

void json_hex(struct json *j, const char *name, struct slice bytes)
{
    char *hex = mem_alloc(bytes.len * 2 + 1);
    hex_encode(bytes, hex);
    json_text(j, name, slice_str(hex));
    free(hex);
}

void json_b64(struct json *j, const char *name, struct slice bytes)
{
    char *text = mem_alloc(b64_text_len(bytes.len) + 1);
    b64_encode(bytes, text);
    json_text(j, name, slice_str(text));
    free(text);
}

void json_hash(struct json *j, const char *name, const struct hash *hash)
{
    json_hex(j, name, slice_of(hash->b, HASH_BYTES));
}

void json_u32(struct json *j, const char *name, uint32_t v)
{
    put_name(j, name);
    fprintf(j->out, "%" PRIu32, v);
}

void json_u64(struct json *j, const char *name, uint64_t v)
{
    put_name(j, name);
    fprintf(j->out, "\"%" PRIu64 "\"", v);
}

void json_raw(struct json *j, const char *name, const char *text)
{
    put_name(j, name);
    fputs(text, j->out);
}

char *vector_text(const struct vector_file *file, size_t *ret_len)
{
    char *text = NULL;
    struct json j = {.out = open_memstream(&text, ret_len)};
    CHECK(j.out);
    json_open(&j, NULL, '{');
    json_text(&j, "about", slice_str(file->about));
    file->fill(&j);
    json_close(&j, '}');
    fputc('\n', j.out);
    CHECK(fclose(j.out) == 0);
    return text;
}
