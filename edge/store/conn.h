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
    Q_VIDEO_STATE,
    Q_VIDEO_PUT,
    Q_VIDEO_DROP,
    /* writer: the catalogue */
    Q_CLAIM_VERSION,
    Q_CLAIM_PUT,
    Q_CLAIM_FILL,
    Q_CLAIM_LOAD,
    Q_CLAIMS_OF_VIDEO,
    Q_HOLDING_VERSION,
    Q_HOLDING_PUT,
    Q_HOLDING_EDGES,
    /* writer: copies */
    Q_COPY_OF_STREAMER,
    Q_COPY_OF_STREAM,
    Q_COPY_LEFT,
    Q_COPY_NEW,
    Q_COPY_MOVE,
    Q_COPY_STATE,
    Q_COPY_FINISH,
    Q_COPY_DROP,
    Q_FETCHES_OF_VIDEO,
    Q_UPLOAD_PUT,
    Q_UPLOAD_LOAD,
    Q_UPLOAD_DROP,
    Q_CHUNK_NEW,
    Q_CHUNK_GROW,
    Q_CHUNK_SUMS,
    Q_CHUNKS_DROP,
    Q_PROOF_NEW,
    Q_PROOF_HASHES,
    Q_PART_NEW,
    Q_META_PUT,
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
    Q_STREAMER_GET,
    Q_META_GET,
    Q_LAST_HLC,
    Q_STALE_PRESENCES,
    Q_N,
};

struct conn {
    struct db db;
    struct budget *budget; /* reader's: what parts are charged to */
    uint64_t videos;       /* writer's: rows listed, as of the running transaction */
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
