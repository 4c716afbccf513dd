#ifndef TESTS_WIRE_SAMPLES_H
#define TESTS_WIRE_SAMPLES_H
/*
 * One filled message of every codec, for what must hold of all of them; and the
 * values that they are made of.
 */
#include "wire/auth.h"
#include "wire/catalogue.h"
#include "wire/delete.h"
#include "wire/presence.h"
#include "wire/sync.h"
#include "wire/upload.h"
#include "wire/watch.h"

struct sample {
    const char *name;
    struct slice (*text)(struct arena *arena);
    /* Decode, and encode what was decoded; empty, and the error, when it does not decode. */
    struct slice (*again)(struct slice text, struct arena *arena, enum err *ret_err);
};
extern const struct sample samples[];
extern const size_t samples_n;

/* n times one character. */
struct slice sample_text(struct arena *arena, char c, size_t n);
/* n bytes that differ. */
struct slice sample_bytes(struct arena *arena, size_t n);
struct id sample_id(const char *s);
/* "edge1", a fixed time, nonce and key. */
struct request_signer sample_signer(void);
const struct signkey *sample_key(void);

/* A packet: part 0 of a chunk of n payload bytes, cut into parts of part_bytes. */
struct slice sample_packet(struct arena *arena, size_t n, uint32_t part_bytes, uint32_t index);

/* text with the first `from` replaced by `to`; `from` must be there. */
struct slice sample_edit(struct arena *arena, struct slice text, const char *from, const char *to);

#endif
