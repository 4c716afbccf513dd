#ifndef TESTS_EDGE_MEMORY_KEPT_H
#define TESTS_EDGE_MEMORY_KEPT_H
/*
 * What the memory store keeps, and what its files ask about it: memory_kept.c looks up and lists,
 * memory_media.c has the operations about bytes, memory_rows.c those about rows, memory_read.c
 * and memory_agree.c the reads. Nobody else includes it.
 */
#include "edge/core/state.h"
#include "edge/store/merge.h"

/* Owned pointers, in order. */
struct vec {
    void **at;
    size_t n, cap;
};

/* A claim (its video or deletion half) or a holding (its other half). */
struct kept_row {
    struct arena arena;
    struct storage_row row;
    struct row_digest digest;
};

enum copy_state { COPY_UPLOADING, COPY_FETCHING, COPY_WHOLE };

struct copy {
    struct arena arena; /* owns upload and receipt */
    uint64_t n;         /* older ones have lower ones */
    enum copy_state state;
    bool kept; /* meant for custody; else it may make room */
    uint64_t used_us;
    struct id video_id, streamer_id;
    struct hash stream;
    struct storage_row upload; /* UPLOADING: what the streamer signed at the beginning */
    uint32_t next, next_part, init_number;
    struct hash prev, current, root;
    struct merkle statements;
    uint64_t bytes;
    struct slice receipt, receipt_credential;
    bool receipt_ours;
    struct vec parts; /* struct storage_part */
    struct slice delegation, thumbnail;
};

/* Everything under one video id. Claims and copies are few; holdings ascend by streamer, edge,
 * kind. */
struct shelf {
    struct id video_id;
    uint16_t leaf;
    bool listed;
    struct vec claims, holdings; /* struct kept_row */
    struct vec copies;
};

struct meta {
    char key[32];
    uint8_t *value;
    size_t len;
};

struct memory_store {
    struct id edge_id;  /* whose copies these are */
    struct vec shelves; /* ascending by id */
    struct vec metas;
    struct digest *digest;
    uint64_t horizon_us;
    uint64_t videos;
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
void vec_insert(struct vec *v, size_t i, void *item);
void *vec_take(struct vec *v, size_t i);
void kept_row_free(struct kept_row *r);
void kept_copy_free(struct copy *c);

/* kept_shelf: NULL: nothing is known of this id. kept_shelf_of: made if need be. */
struct shelf *kept_shelf(const struct memory_store *s, const struct id *video_id);
struct shelf *kept_shelf_of(struct memory_store *s, const struct id *video_id);
void kept_shelf_free(struct shelf *sh);
/* kept_first_after: index of the first shelf above an id. */
size_t kept_first_after(const struct memory_store *s, const struct id *video_id);
static inline struct shelf *kept_at(const struct memory_store *s, size_t i)
{
    return s->shelves.at[i];
}

/* Looking up: sh may be NULL. kept_claim: deletions too; kept_video_claim: none of them. */
struct kept_row *kept_claim(const struct shelf *sh, const struct id *streamer_id);
struct kept_row *kept_video_claim(const struct shelf *sh, const struct id *streamer_id);
struct kept_row *kept_holding(const struct shelf *sh, const struct holding *h,
                              enum object_type type);
/* kept_own_custody: this edge's own custody row about a claim; NULL: none. */
struct kept_row *kept_own_custody(const struct memory_store *s, const struct shelf *sh,
                                  const struct id *streamer_id);
/* kept_in_custody: and it says that this stream is held. */
bool kept_in_custody(const struct memory_store *s, const struct shelf *sh,
                     const struct id *streamer_id, const struct hash *stream);
struct copy *kept_copy(const struct shelf *sh, const struct id *streamer_id);
struct copy *kept_copy_of_stream(const struct shelf *sh, const struct hash *stream);
void kept_copy_drop(struct shelf *sh, const struct copy *copy);

/* kept_put: a row takes its place (also another's), the digest with it. kept_drop: row i goes. */
void kept_put_claim(struct memory_store *s, struct shelf *sh, const struct storage_row *row);
void kept_put_holding(struct memory_store *s, struct shelf *sh, const struct storage_row *row);
void kept_drop_claim(struct memory_store *s, struct shelf *sh, size_t i);
void kept_drop_holding(struct memory_store *s, struct shelf *sh, size_t i);

/* kept_merge_claim, kept_merge_holding: the greater row stays; whether the new one does. */
int kept_revision_order(const struct storage_row *row, const struct kept_row *held);
bool kept_merge_claim(struct memory_store *s, struct shelf *sh, const struct storage_row *row);
bool kept_merge_holding(struct memory_store *s, struct shelf *sh, const struct storage_row *row);

/* kept_as_claim: how it stands against others of its id. */
struct merge_claim kept_as_claim(const struct shelf *sh, const struct storage_row *row);
/* kept_listing: what stands under a video id; sh may be NULL. */
struct listing kept_listing(const struct shelf *sh);
/* kept_is_held: whether an edge says of this claim's stream that it has it. */
bool kept_is_held(const struct shelf *sh, const struct storage_row *claim, enum object_type type);
/* kept_settle: after a change: fetches of what nobody holds any more are dropped, the shelf is
 * counted. */
void kept_settle(struct memory_store *s, struct shelf *sh);

/* kept_manifest: of a claim; false: it has none. */
bool kept_manifest(const struct storage_row *claim, struct manifest *ret);
/* kept_streamer: name and first video, from the claims and uploads there are. */
struct storage_streamer kept_streamer(const struct memory_store *s, const struct id *streamer_id,
                                      struct arena *arena);

static inline uint64_t kept_hlc_us(uint64_t hlc)
{
    return (hlc >> 16) * 1000;
}

/* media_apply, rows_apply: a write, if it is theirs (else false). read_apply, agree_apply: a read.
 */
bool media_apply(struct memory_store *s, const struct storage_op *op, struct storage_done *done);
bool rows_apply(struct memory_store *s, const struct storage_op *op, struct storage_done *done);
bool read_apply_one(const struct memory_store *s, const struct storage_op *op,
                    struct storage_done *done);
bool agree_apply(const struct memory_store *s, const struct storage_op *op,
                 struct storage_done *done);
/* read_edges: the edges that answer for the listed claim, joined by commas. */
struct slice read_edges(const struct shelf *sh, const struct listing *l, struct arena *arena);

#endif
