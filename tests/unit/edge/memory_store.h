#ifndef TESTS_EDGE_MEMORY_STORE_H
#define TESTS_EDGE_MEMORY_STORE_H
/*
 * What edge/core/storage.h promises, kept in memory: the semantics of edge/store
 * without SQLite, threads or a disk. Whoever drives it says when a group is
 * committed and when a read is answered, and may let writes fail.
 * test_conformance.c holds both against each other.
 *
 * A write that is queued and not yet committed is seen by no read. Not thread-safe.
 */
#include "edge/core/storage.h"

struct memory_store;

struct memory_store_config {
    struct id edge_id;             /* whose copies these are */
    uint8_t digest_key[KEY_BYTES]; /* digest_key() of the zone's secret */
};

/* memory_store_new: config is copied. */
struct memory_store *memory_store_new(const struct memory_store_config *config);
void memory_store_free(struct memory_store *s);

/* memory_store_submit: hand over an operation; s owns it. */
void memory_store_submit(struct memory_store *s, struct storage_op *op);

/* memory_store_commit: apply up to ops_max queued writes as one group. False: there was none. */
bool memory_store_commit(struct memory_store *s, size_t ops_max);

/* memory_store_read: answer the oldest queued read. False: there was none. */
bool memory_store_read(struct memory_store *s);

/* memory_store_take: the oldest completion, which becomes the caller's, or NULL. */
struct storage_done *memory_store_take(struct memory_store *s);

/* memory_store_fail: after `after` more writes were applied, the next `count` fail with err. */
void memory_store_fail(struct memory_store *s, enum err err, unsigned after, unsigned count);

/* memory_store_fail_reads: the next `count` reads fail with err. */
void memory_store_fail_reads(struct memory_store *s, enum err err, unsigned count);

/* memory_store_crash: forget what was not committed, and the completions not taken. */
void memory_store_crash(struct memory_store *s);

/* memory_store_under_way: operations submitted whose completion was not taken. */
size_t memory_store_under_way(const struct memory_store *s);
/* memory_store_writes, _reads: queued ones. */
size_t memory_store_writes(const struct memory_store *s);
size_t memory_store_reads(const struct memory_store *s);

/* memory_store_meta: what META_PUT kept under key; empty: nothing. Borrowed until the next commit.
 */
struct slice memory_store_meta(const struct memory_store *s, const char *key);
/* memory_store_videos: how many are listed. memory_store_root: as of the last commit. */
uint64_t memory_store_videos(const struct memory_store *s);
struct catalogue_root memory_store_root(const struct memory_store *s);
/* memory_store_last_hlc: the greatest of this edge's holdings; 0: none. */
uint64_t memory_store_last_hlc(const struct memory_store *s);
/* memory_store_stale: this edge's presences of state 1, ascending: an array in the arena. */
const struct holding *memory_store_stale(const struct memory_store *s, struct arena *arena,
                                         size_t *ret_n);
/* memory_store_listed: whether this id is listed, and whose stream it is. */
bool memory_store_listed(const struct memory_store *s, const struct id *video_id,
                         struct hash *ret_stream);
/* memory_store_parts: parts held of the copy of this stream; 0 also when there is none. */
size_t memory_store_parts(const struct memory_store *s, const struct hash *stream);
/* memory_store_whole: whether every byte of it is here, in custody or cached. */
bool memory_store_whole(const struct memory_store *s, const struct hash *stream);
/* memory_store_holding: the state (0, 1) that this edge's holding has, or -1: there is none. */
int memory_store_holding(const struct memory_store *s, enum object_type type,
                         const struct id *video_id, const struct id *edge_id);
/* memory_store_deleted: whether the claim of this key is a deletion. */
bool memory_store_deleted(const struct memory_store *s, const struct id *video_id,
                          const struct id *streamer_id);

/* memory_store_copy: visit every part of the copy of this stream, in order. */
void memory_store_copy(const struct memory_store *s, const struct hash *stream,
                       void (*visit)(void *context, struct slice packet), void *context);

/* memory_store_dump: claims and holdings as text, one row per line, ascending: what two edges that
 * agree have in common. Owned by the arena. */
struct slice memory_store_dump(const struct memory_store *s, struct arena *arena);

#endif
