#ifndef BASE_ID_H
#define BASE_ID_H
/*
 * Names of videos, edges, zones, streamers and our own clients: one MQTT topic
 * level of [A-Za-z0-9_-]{1,64}, kept by value with a NUL so that they can be
 * printed, compared and used as keys without an owner.
 */
#include "base/err.h"
#include "base/slice.h"

enum { ID_BYTES_MAX = 64 };

struct id {
    char s[ID_BYTES_MAX + 1];
};

/* id_parse: text as an id. ERR_FORMAT: empty, longer than ID_BYTES_MAX, or another character. */
enum err id_parse(struct slice text, struct id *ret_id);

static inline struct slice id_slice(const struct id *id)
{
    return slice_str(id->s);
}

static inline bool id_eq(const struct id *a, const struct id *b)
{
    return strcmp(a->s, b->s) == 0;
}

#endif
