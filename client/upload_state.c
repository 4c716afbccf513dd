/* Why: an upload of hours must survive our own end. */
#include "client/upload_state.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STATE_BYTES_MAX = UPLOAD_PATH_BYTES_MAX + 1024 };

static void state_path(const struct identity *identity, const struct id *video_id,
                       char ret[static IDENTITY_PATH_BYTES_MAX])
{
    char name[sizeof("uploads/") + ID_BYTES_MAX];
    snprintf(name, sizeof(name), "uploads/%s", video_id->s);
    identity_path(identity, name, ret);
}

/* The value of a line "name value" in text; false: there is no such line. */
static bool line_of(const char *text, const char *name, char *ret, size_t cap)
{
    size_t n = strlen(name);
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t len = strcspn(line, "\n");
        if (len <= n || strncmp(line, name, n) != 0 || line[n] != ' ' || len - n - 1 >= cap)
            continue;
        memcpy(ret, line + n + 1, len - n - 1);
        ret[len - n - 1] = '\0';
        return true;
    }
    return false;
}

static bool number_of(const char *text, const char *name, uint64_t *ret)
{
    char value[32];
    char *end;
    if (!line_of(text, name, value, sizeof(value)) || value[0] < '0' || value[0] > '9')
        return false;
    *ret = strtoull(value, &end, 10);
    return *end == '\0';
}

static bool id_of(const char *text, const char *name, struct id *ret)
{
    char value[ID_BYTES_MAX + 1];
    return line_of(text, name, value, sizeof(value)) && id_parse(slice_str(value), ret) == ERR_OK;
}

static bool parse(const char *text, struct upload_state *ret)
{
    char nonce[2 * HASH_BYTES + 1];
    uint64_t part_bytes, mtime_ns;
    if (!line_of(text, "nonce", nonce, sizeof(nonce)) ||
        hex_decode(slice_str(nonce), ret->nonce.b, HASH_BYTES) != ERR_OK ||
        !number_of(text, "created_us", &ret->created_us) ||
        !number_of(text, "revision_us", &ret->revision_us) ||
        !number_of(text, "part_bytes", &part_bytes) || part_bytes > UINT32_MAX ||
        !number_of(text, "size_bytes", &ret->size_bytes) ||
        !number_of(text, "mtime_ns", &mtime_ns) || !id_of(text, "zone", &ret->zone_id) ||
        !id_of(text, "streamer", &ret->streamer_id) || !id_of(text, "edge", &ret->edge_id) ||
        !line_of(text, "path", ret->path, sizeof(ret->path)))
        return false;
    ret->part_bytes = (uint32_t)part_bytes;
    ret->mtime_ns = (int64_t)mtime_ns;
    return true;
}

enum err upload_state_read(const struct identity *identity, const struct id *video_id,
                           struct upload_state *ret)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    CLEANUP(mem_free_ptr) char *text = NULL;
    size_t len;
    state_path(identity, video_id, path);
    enum err err = file_read(path, STATE_BYTES_MAX, &text, &len);
    if (err != ERR_OK)
        return err;
    CLEANUP(mem_free_ptr) struct upload_state *state = mem_alloc(sizeof(*state));
    if (!parse(text, state))
        return ERR_FORMAT;
    *ret = *state;
    return ERR_OK;
}

enum err upload_state_write(const struct identity *identity, const struct id *video_id,
                            const struct upload_state *state)
{
    char path[IDENTITY_PATH_BYTES_MAX], nonce[2 * HASH_BYTES + 1];
    CLEANUP(mem_free_ptr) char *text = mem_alloc(STATE_BYTES_MAX);
    hex_encode(slice_of(state->nonce.b, HASH_BYTES), nonce);
    int n = snprintf(text, STATE_BYTES_MAX,
                     "nonce %s\ncreated_us %" PRIu64 "\nrevision_us %" PRIu64 "\npart_bytes %u\n"
                     "size_bytes %" PRIu64 "\nmtime_ns %" PRIu64 "\nzone %s\nstreamer %s\nedge %s\n"
                     "path %s\n",
                     nonce, state->created_us, state->revision_us, state->part_bytes,
                     state->size_bytes, (uint64_t)state->mtime_ns, state->zone_id.s,
                     state->streamer_id.s, state->edge_id.s, state->path);
    CHECK(n > 0 && n < STATE_BYTES_MAX);
    identity_path(identity, "uploads", path);
    enum err err = file_make_dir(path);
    if (err != ERR_OK)
        return err;
    state_path(identity, video_id, path);
    return file_write(path, slice_of(text, (size_t)n));
}

void upload_state_remove(const struct identity *identity, const struct id *video_id)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    state_path(identity, video_id, path);
    unlink(path);
}

bool upload_state_same(const struct upload_state *a, const struct upload_state *b)
{
    return a->part_bytes == b->part_bytes && a->size_bytes == b->size_bytes &&
           a->mtime_ns == b->mtime_ns && id_eq(&a->zone_id, &b->zone_id) &&
           id_eq(&a->streamer_id, &b->streamer_id) && strcmp(a->path, b->path) == 0;
}
