#ifndef TESTS_EDGE_MEMORY_KEPT_H
#define TESTS_EDGE_MEMORY_KEPT_H
/* What the memory store keeps, and what its files ask about it. Nobody else includes it. */
#include "edge/core/state.h"
#include "edge/store/merge.h"

/* Owned pointers, in order. */
struct vec {
    void **at;
    size_t n, cap;
};

/* A claim (its video half) or a holding (its other half). */
struct kept_row {
    struct arena arena;
    struct storage_row row;
};

enum copy_state { COPY_UPLOADING, COPY_FETCHING, COPY_WHOLE };

struct copy {
    struct arena arena; /* owns upload and receipt */
    enum copy_state state;
    struct id video_id, streamer_id;
    struct hash stream;
    struct storage_row upload; /* UPLOADING: what the streamer signed at the beginning */
    uint32_t next, next_part, init_number;
    struct hash prev, current, root;
    struct merkle statements;
    uint64_t bytes;
    struct slice receipt;
    struct vec parts; /* struct storage_part */
};

struct meta {
    char key[32];
    uint8_t *value;
    size_t len;
};

struct memory_store {
    struct vec claims, holdings, copies, metas;
    struct vec writes, reads; /* queued operations */
    struct vec done;          /* completions */
    enum err fail_err;
    unsigned fail_after, fail_count;
    enum err read_err;
    unsigned read_fail_count;
};

/* A listed video, an upload under way, or bytes that nobody answers for. */
enum listed { ABSENT, UPLOADING, UNLISTED, COMPLETE, LIVE };

struct listing {
    enum listed state;
    const struct storage_row *row; /* of the claim, or the upload's */
};

void vec_add(struct vec *v, void *item);
void *vec_take(struct vec *v, size_t i);
void kept_row_free(struct kept_row *r);
void kept_copy_free(struct copy *c);
void kept_copy_drop(struct memory_store *s, const struct copy *copy);

struct kept_row *kept_claim(const struct memory_store *s, const struct id *video_id,
                            const struct id *streamer_id);
struct kept_row *kept_holding(const struct memory_store *s, const struct storage_row *row);
struct copy *kept_copy(const struct memory_store *s, const struct id *video_id,
                       const struct id *streamer_id);
struct copy *kept_copy_of_stream(const struct memory_store *s, const struct hash *stream);

/* kept_listing: what stands under a video id. kept_is_listed: this claim is what is listed. */
struct listing kept_listing(const struct memory_store *s, const struct id *video_id);
bool kept_is_listed(const struct memory_store *s, const struct storage_row *row);
/* kept_settle: fetches of what nobody holds any more are dropped. */
void kept_settle(struct memory_store *s, const struct id *video_id);

/* kept_read: answer a read. */
enum err kept_read(const struct memory_store *s, const struct storage_op *op,
                   struct storage_done *done);

#endif
