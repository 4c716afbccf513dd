#ifndef EDGE_STORE_CONN_H
#define EDGE_STORE_CONN_H
/*
 * One connection of the store, with the statements that its thread runs, each
 * prepared once. The texts are in conn.c.
 */
#include "edge/core/storage.h"
#include "edge/store/sqlite.h"

enum {
    DB_PAGE_BYTES = 16384,
    DB_PAGES_MAX = INT32_MAX,
    WRITER_CACHE_KIB = 6144, /* a group of STORE_GROUP_BYTES_MAX and its indexes: else its pages
                                are written, read back and written again */
    READER_CACHE_KIB = 2048,
    WAL_BYTES_KEPT = 64 * 1024 * 1024, /* of the log file after a checkpoint */
};

#define META_HORIZON "horizon" /* the key that the store keeps for itself: u64, little-endian */

enum query_number {
    /* both */
    Q_COMMIT,
    Q_ROLLBACK,
    Q_SHARED_END,
    /* writer: transactions */
    Q_BEGIN_WRITE = Q_SHARED_END,
    Q_SAVEPOINT,
    Q_ROLLBACK_TO,
    Q_RELEASE,
    /* writer: the tables that a person reads */
    Q_STREAMER_PUT,
    Q_STREAMER_DROP,
    Q_STREAMER_NEWEST,
    Q_STREAMER_FIRST,
    Q_STREAMER_UPLOAD,
    Q_VIDEO_STATE,
    Q_VIDEO_PUT,
    Q_VIDEO_UNLIST,
    Q_VIDEO_DROP,
    /* writer: the catalogue */
    Q_CLAIM_VERSION,
    Q_CLAIM_PUT,
    Q_CLAIM_DROP,
    Q_CLAIM_LOAD,
    Q_CLAIM_OF_OTHER,
    Q_CLAIMS_OF_VIDEO,
    Q_CLAIMS_FROM,
    Q_CLAIMS_OWN_FROM,
    Q_CLAIM_DIGESTS,
    Q_HOLDING_VERSION,
    Q_HOLDING_PUT,
    Q_HOLDING_DROP,
    Q_HOLDING_EDGES,
    Q_HOLDINGS_OF_CLAIM,
    Q_HOLDINGS_DROP,
    Q_HOLDINGS_DEAD,
    Q_HOLDING_DIGESTS,
    /* writer: copies */
    Q_COPY_OF_STREAMER,
    Q_COPY_OF_STREAM,
    Q_COPY_LEFT,
    Q_COPY_NEW,
    Q_COPY_MOVE,
    Q_COPY_STATE,
    Q_COPY_FINISH,
    Q_COPY_DROP,
    Q_COPY_KEEP,
    Q_COPY_TOUCH,
    Q_COPY_ANY,
    Q_COPIES_FROM,
    Q_CACHE_BYTES,
    Q_CACHE_OLDEST,
    Q_GARBAGE_PUT,
    Q_GARBAGE_NEXT,
    Q_GARBAGE_PARTS,
    Q_GARBAGE_PROOFS,
    Q_GARBAGE_DROP,
    Q_FETCHES_OF_VIDEO,
    Q_UPLOAD_PUT,
    Q_UPLOAD_LOAD,
    Q_UPLOAD_DROP,
    Q_THUMBNAIL_PUT,
    Q_CHUNK_NEW,
    Q_CHUNK_GROW,
    Q_CHUNK_SUMS,
    Q_CHUNKS_DROP,
    Q_PROOF_NEW,
    Q_PROOF_HASHES,
    Q_PART_NEW,
    Q_META_PUT,
    Q_HORIZON,
    Q_WRITER_END,
    /* reader */
    Q_BEGIN_READ = Q_WRITER_END,
    Q_VIDEO_GET,
    Q_COPY_READABLE,
    Q_PARTS,
    Q_LIST_START,
    Q_LIST,
    Q_LIST_ROW,
    Q_DB_PAGE,
    Q_ROW_HOLDINGS,
    Q_BUNDLE_CLAIMS,
    Q_BUNDLE_HOLDINGS,
    Q_LEAF_CLAIMS,
    Q_LEAF_HOLDINGS,
    Q_ROW_CLAIM,
    Q_ROW_HOLDING,
    Q_CUSTODY_SCAN,
    Q_COPY_PROVABLE,
    Q_PROBE_COUNT,
    Q_PROBE_CHUNKS,
    Q_PROBE_PART,
    Q_STREAMER_GET,
    Q_THUMBNAIL_GET,
    Q_META_GET,
    Q_LAST_HLC,
    Q_STALE_PRESENCES,
    Q_N,
};

/* Where a write that goes through a table in slices goes on. */
struct walk {
    bool under_way;
    enum storage_kind kind;
    uint64_t limit; /* of the operation: another one begins anew */
    struct id video_id, streamer_id;
    uint64_t copy;
};

/* What the running transaction makes of the database besides its tables: as it was again when an
 * operation or the transaction is rolled back. */
struct tally {
    uint64_t videos;     /* rows listed */
    uint64_t horizon_us; /* the root's */
    uint64_t dead_us;    /* rows dead at it are refused: where the horizon is going to */
    struct walk walk;
    size_t changes_n; /* of sums.h */
};

struct conn {
    struct db db;
    struct id edge_id;     /* whose copies these are */
    struct budget *budget; /* reader's: what parts are charged to */
    /* writer's */
    struct tally tally;
    struct hash digest_key;
    struct digest *digest;  /* sums.h; NULL: not summed up yet */
    struct change *changes; /* to it, when the transaction is committed; owned */
    size_t changes_cap;
    bool garbage; /* there may be some */
};

/* conn_open_writer: connect to an existing file, migrate it, prepare. pages_max 0: no limit.
 * Check conn->db.err; ERR_FORMAT: not ours, or newer (conn->db.error tells which). */
void conn_open_writer(struct conn *c, const char *path, uint32_t pages_max);
/* conn_open_reader: connect to what conn_open_writer has migrated, unable to write. */
void conn_open_reader(struct conn *c, const char *path, struct budget *budget);
void conn_close(struct conn *c);

static inline struct query *query_of(struct conn *c, enum query_number number)
{
    return query_start(&c->db, (int)number);
}

/* conn_run: a statement without parameters. */
void conn_run(struct conn *c, enum query_number number);

#endif
