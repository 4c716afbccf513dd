#ifndef TEST_CLIENT_ZONE_OF_OURS_H
#define TEST_CLIENT_ZONE_OF_OURS_H
/* A zone with one streamer and one stream, made from fixed keys, and folders to test in. */
#include "client/checker.h"
#include "client/identity.h"

enum { OURS_CHUNKS_MAX = 16, OURS_PATH_BYTES = 256 };

struct signed_bytes {
    uint8_t b[OBJECT_BYTES_MAX];
    size_t len;
};

static inline struct slice bytes_of(const struct signed_bytes *s)
{
    return slice_of(s->b, s->len);
}

struct ours {
    struct signkey zone_key, streamer_key, edge_key;
    struct boxkey box_key;
    struct zone_params zone;
    struct signed_bytes zone_bytes, credential, statement, manifest;
    struct signed_bytes receipt, receipt_credential; /* ours_receipt */
    struct signed_bytes revocations;                 /* ours_revoke */
    struct video video;
    struct hash stream;
    struct chunk_cutter cutter;
    struct cut_chunk chunks[OURS_CHUNKS_MAX];
    uint8_t *payloads[OURS_CHUNKS_MAX];
    uint32_t chunks_n;
};

/* ours_init: zone, credential and the first statement (live or not), no chunks. */
void ours_init(struct ours *o, bool live);
void ours_release(struct ours *o);
/* ours_chunk: cut the next chunk, len bytes of its own pattern. */
struct cut_chunk *ours_chunk(struct ours *o, enum chunk_kind kind, uint16_t flags, uint32_t len);
/* ours_finish: manifest and final statement. */
void ours_finish(struct ours *o);
/* ours_claim: everything, about the video "v1". */
struct claim ours_claim(const struct ours *o);
/* ours_sign_statement, ours_sign_credential: again, after a change. */
void ours_sign_statement(struct ours *o);
void ours_sign_credential(struct ours *o, const struct credential *credential);
struct credential ours_credential(const struct ours *o);

/* ours_rotate: the zone's next key, epoch + 1: zone, zone_bytes and zone_key are of that one. */
void ours_rotate(struct ours *o);
/* ours_receipt: of the finished stream, by edge e1 with this serial. */
enum { OURS_SERIAL = 7, OURS_EDGE_SERIAL = 20 };
void ours_receipt(struct ours *o, uint64_t time_us);
/* ours_revoke: a list of these, by the current key; next is 30 s after issued. */
void ours_revoke(struct ours *o, uint64_t number, uint64_t issued_us,
                 const struct revocation *entries, uint32_t n);

/* folder_make: an empty folder in /tmp, and EDGECTL_HOME set to it; folder_remove: with all in it.
 */
void folder_make(char ret[static OURS_PATH_BYTES]);
void folder_remove(const char *path);
/* ours_move_in: ours_init, and the identity of an empty home at folder; ours_move_out undoes it. */
void ours_move_in(struct ours *o, struct identity *identity, char folder[static OURS_PATH_BYTES]);
void ours_move_out(struct ours *o, const char *folder);
/* shell: run a command line; its exit status, -1 if a signal ended it. */
int shell(const char *command);

#endif
