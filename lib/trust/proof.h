#ifndef TRUST_PROOF_H
#define TRUST_PROOF_H
/*
 * The proof file of docs/PROTOCOL.md §5: what makes a saved video verifiable
 * offline. This is its form alone; nothing in it is believed before its
 * signatures are checked against a pinned zone key.
 * Not thread-safe; different objects are independent.
 */
#include "trust/object.h"
#include "trust/part.h"

enum {
    /* 27 hours of film at a chunk a second, in 23 MB: a process has 64. */
    PROOF_CHUNKS_MAX = 100 * 1000,
    PROOF_ENTRY_BYTES_MAX = 4 + STATEMENT_BYTES_MAX + SIGNATURE_BYTES,
    PROOF_HEAD_BYTES_MAX = 4 + 6 * (4 + OBJECT_BYTES_MAX) + 4,
    PROOF_BYTES_MAX = PROOF_HEAD_BYTES_MAX + PROOF_CHUNKS_MAX * PROOF_ENTRY_BYTES_MAX,
};

/* The signed objects that stand before the chunks. Borrowed. */
struct proof_head {
    struct slice zone, credential, video;
    struct slice manifest;                    /* empty: none */
    struct slice receipt, receipt_credential; /* that it was stored, by whom; empty: none */
};

/* One chunk's. */
struct proof_entry {
    struct slice statement; /* the chunk body; borrowed */
    struct signature sig;
};

/* A proof file that grows in memory and is whole after every call. */
struct proof_writer {
    uint8_t *buf; /* owned */
    size_t len, cap;
    size_t count_at; /* where the number of chunks stands */
    uint32_t chunks_n;
};

/* proof_writer_init: copies head. ERR_LIMIT: an object above OBJECT_BYTES_MAX. */
enum err proof_writer_init(struct proof_writer *w, const struct proof_head *head);
/* proof_writer_add: copies the next chunk's entry. ERR_LIMIT: there are PROOF_CHUNKS_MAX already.
 */
enum err proof_writer_add(struct proof_writer *w, const struct proof_entry *entry);
/* proof_writer_rehead: another head, before the same chunks. ERR_LIMIT: as proof_writer_init. */
enum err proof_writer_rehead(struct proof_writer *w, const struct proof_head *head);
/* proof_writer_bytes: the file so far; borrowed until the next call. */
struct slice proof_writer_bytes(const struct proof_writer *w);
/* proof_writer_release: zeroed is fine. */
void proof_writer_release(struct proof_writer *w);

/* A proof file, read in place. */
struct proof {
    struct proof_head head;
    uint32_t chunks_n;
    struct reader entries; /* those that proof_next has not given yet */
};

/*
 * proof_open: everything borrows from bytes.
 * ERR_FORMAT: not a proof file, cut short, or bytes left over.
 * ERR_LIMIT: a length or the number of chunks above its limit.
 */
enum err proof_open(struct slice bytes, struct proof *ret);
/* proof_next: the next chunk's entry; false after the last. */
bool proof_next(struct proof *p, struct proof_entry *ret);

#endif
