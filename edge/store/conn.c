/*
 * The statements, and how a connection is set up.
 *
 * I1  the writer connection alone changes the file; the reader's cannot (query_only).
 * I2  a video is listed exactly when its state is in LISTED.
 * I3  a copy may be dropped for room exactly when it is CACHED.
 */
#include "edge/store/conn.h"

#include "base/bytes.h"
#include "edge/store/migrate.h"

#include <stdio.h>

/* As in the index video_newest, word for word, or SQLite does not use it. */
#define LISTED "('complete', 'live')"

/* An ISO 8601 text as microseconds; also CURRENT_TIMESTAMP's form, which has no fraction. Only
 * the whole seconds go through unixepoch(), which rounds .9995 and above up to the next one. */
#define US_OF(column)                                                                              \
    "unixepoch(substr(" column ", 1, 19)) * 1000000 + CAST(substr(" column ", 21, 6) AS INTEGER)"

/* As in the index copy_cached, likewise. */
#define CACHED "state <> 'uploading' AND kept = 0"

#define COPY_COLUMNS                                                                               \
    "n, streamer_id, stream, state, chunk_prefix, next, next_part, init_number, bytes,"            \
    " duration_us, prev, current, root, receipt, kept, receipt_credential, receipt_ours"

/* What list_row() in read_list.c takes, in its order. */
#define ROW_COLUMNS                                                                                \
    "v.id, v.title, v.description, v.category, v.live, v.edges, v.thumbnail, "                     \
    "v.streamer_id, " US_OF("v.created_at")

/* So that the index answers, however many there are. */
#define LAST_HLC_OF(kind, state)                                                                   \
    "(SELECT coalesce(max(hlc), 0) FROM holding WHERE edge_id = ?1 AND kind = '" kind              \
    "' AND state = " state ")"

static const char *const sql[Q_N] = {
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",

    [Q_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [Q_SAVEPOINT] = "SAVEPOINT operation",
    [Q_ROLLBACK_TO] = "ROLLBACK TO operation",
    [Q_RELEASE] = "RELEASE operation",

    [Q_STREAMER_PUT] = "INSERT INTO streamer (id, name, created_at) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
                       " created_at = excluded.created_at"
                       " WHERE excluded.name <> name OR excluded.created_at <> created_at",
    [Q_STREAMER_DROP] = "DELETE FROM streamer WHERE id = ?1"
                        " AND NOT EXISTS (SELECT 1 FROM video WHERE streamer_id = ?1)",
    [Q_STREAMER_NEWEST] = "SELECT credential FROM claim WHERE streamer_id = ?1 AND deleted = 0"
                          " ORDER BY revision_us DESC, video_id DESC LIMIT 1",
    [Q_STREAMER_FIRST] = "SELECT created_us FROM claim WHERE streamer_id = ?1 AND deleted = 0"
                         " ORDER BY created_us LIMIT 1",
    [Q_STREAMER_UPLOAD] = "SELECT u.credential, u.statement FROM upload u"
                          " CROSS JOIN copy k ON k.n = u.copy WHERE k.streamer_id = ?1"
                          " ORDER BY u.revision_us DESC, k.video_id DESC LIMIT 1",
    [Q_VIDEO_STATE] = "SELECT streamer_id, state, state IN " LISTED " FROM video WHERE id = ?1",
    [Q_VIDEO_PUT] =
        "INSERT INTO video (id, title, description, category, live, edges, thumbnail, streamer_id,"
        " created_at, state, media_type, codecs, chunks, bytes)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        " ON CONFLICT (id) DO UPDATE SET title = excluded.title,"
        " description = excluded.description, category = excluded.category, live = excluded.live,"
        " edges = excluded.edges, thumbnail = excluded.thumbnail,"
        " streamer_id = excluded.streamer_id, created_at = excluded.created_at,"
        " state = excluded.state, media_type = excluded.media_type, codecs = excluded.codecs,"
        " chunks = excluded.chunks, bytes = excluded.bytes",
    [Q_VIDEO_UNLIST] = "UPDATE video SET state = 'unlisted', live = 0, edges = '' WHERE id = ?1",
    [Q_VIDEO_DROP] = "DELETE FROM video WHERE id = ?1",

    [Q_CLAIM_VERSION] = "SELECT revision_us, deleted, statement_hash, stream, digest, statement,"
                        " manifest, credential FROM claim WHERE video_id = ?1 AND streamer_id = ?2",
    [Q_CLAIM_PUT] =
        "INSERT OR REPLACE INTO claim (video_id, streamer_id, deleted, created_us, revision_us,"
        " leaf, digest, stream, statement_hash, statement, credential, manifest, thumbnail)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [Q_CLAIM_DROP] = "DELETE FROM claim WHERE video_id = ?1 AND streamer_id = ?2",
    [Q_CLAIM_LOAD] = "SELECT stream, thumbnail, statement, manifest FROM claim"
                     " WHERE video_id = ?1 AND streamer_id = ?2 AND deleted = 0",
    [Q_CLAIM_OF_OTHER] = "SELECT 1 FROM claim WHERE video_id = ?1 AND streamer_id <> ?2",
    [Q_CLAIMS_OF_VIDEO] =
        "SELECT c.streamer_id, c.created_us,"
        " EXISTS (SELECT 1 FROM holding h WHERE h.video_id = c.video_id"
        "  AND h.streamer_id = c.streamer_id AND h.kind = 'presence' AND h.state = 1"
        "  AND h.stream = c.stream),"
        " length(c.manifest) > 0 AND"
        " EXISTS (SELECT 1 FROM holding h WHERE h.video_id = c.video_id"
        "  AND h.streamer_id = c.streamer_id AND h.kind = 'custody' AND h.state = 1"
        "  AND h.stream = c.stream),"
        " (SELECT count(DISTINCT h.edge_id) FROM holding h WHERE h.video_id = c.video_id"
        "  AND h.streamer_id = c.streamer_id AND h.state = 1 AND h.stream = c.stream)"
        " FROM claim c WHERE c.video_id = ?1 AND c.deleted = 0",
    [Q_CLAIMS_FROM] = "SELECT c.video_id, c.streamer_id, NOT EXISTS (SELECT 1 FROM holding h"
                      "  WHERE h.video_id = c.video_id AND h.streamer_id = c.streamer_id)"
                      " FROM claim c WHERE (c.video_id, c.streamer_id) > (?1, ?2)"
                      " ORDER BY c.video_id, c.streamer_id",
    [Q_CLAIMS_OWN_FROM] =
        "SELECT c.video_id, c.streamer_id, c.deleted = 0 AND NOT EXISTS (SELECT 1 FROM holding h"
        "  WHERE h.video_id = c.video_id AND h.streamer_id = c.streamer_id AND h.edge_id = ?3"
        "  AND h.kind = 'custody' AND h.state = 1 AND h.hlc > ?4)"
        " FROM claim c WHERE (c.video_id, c.streamer_id) > (?1, ?2)"
        " ORDER BY c.video_id, c.streamer_id",
    [Q_CLAIM_DIGESTS] = "SELECT leaf, digest FROM claim INDEXED BY claim_leaf",
    [Q_HOLDING_VERSION] =
        "SELECT hlc, object, edge_credential, state, stream, digest FROM holding"
        " WHERE video_id = ?1 AND streamer_id = ?2 AND edge_id = ?3 AND kind = ?4",
    [Q_HOLDING_PUT] =
        "INSERT OR REPLACE INTO holding (video_id, streamer_id, edge_id, kind, state, hlc,"
        " leaf, digest, stream, object, edge_credential)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [Q_HOLDING_DROP] = "DELETE FROM holding WHERE rowid = ?1",
    [Q_HOLDING_EDGES] = "SELECT edge_id FROM holding WHERE video_id = ?1 AND streamer_id = ?2"
                        " AND kind = ?3 AND state = 1 AND stream = ?4 ORDER BY edge_id",

    [Q_HOLDINGS_OF_CLAIM] = "SELECT digest FROM holding WHERE video_id = ?1 AND streamer_id = ?2",
    [Q_HOLDINGS_DROP] = "DELETE FROM holding WHERE video_id = ?1 AND streamer_id = ?2",
    [Q_HOLDINGS_DEAD] = "SELECT rowid, video_id, digest FROM holding"
                        " WHERE state = 0 AND hlc < ?1",
    [Q_HOLDING_DIGESTS] = "SELECT leaf, digest FROM holding INDEXED BY holding_leaf",

    [Q_COPY_OF_STREAMER] =
        "SELECT " COPY_COLUMNS " FROM copy WHERE video_id = ?1 AND streamer_id = ?2",
    [Q_COPY_OF_STREAM] = "SELECT " COPY_COLUMNS " FROM copy WHERE video_id = ?1 AND stream = ?2",
    /* What is left of a video that nobody can show: see list_rest(). */
    [Q_COPY_LEFT] =
        "SELECT CASE WHEN k.state = 'whole' AND c.deleted = 0 THEN 0"
        "  WHEN u.statement IS NOT NULL THEN 1 ELSE 2 END,"
        " k.streamer_id, u.thumbnail, u.statement FROM copy k"
        " LEFT JOIN upload u ON u.copy = k.n"
        " LEFT JOIN claim c ON c.video_id = k.video_id AND c.streamer_id = k.streamer_id"
        " WHERE k.video_id = ?1 ORDER BY 1, k.stream <> c.stream, k.n LIMIT 1",
    [Q_COPY_NEW] =
        "INSERT INTO copy (n, video_id, streamer_id, state, used_us, chunk_prefix, next, next_part,"
        " init_number, bytes, duration_us, stream, prev, current)"
        " VALUES (1 + max((SELECT coalesce(max(n), 0) FROM copy),"
        "  (SELECT coalesce(max(copy), 0) FROM garbage)),"
        " ?1, ?2, ?3, 0, CASE WHEN EXISTS (SELECT 1 FROM copy WHERE chunk_prefix = ?1)"
        " THEN ?1 || '.' || ?2 ELSE ?1 END, 1, 0, 0, 0, 0, ?4, zeroblob(32), zeroblob(32))",
    [Q_COPY_MOVE] = "UPDATE copy SET next = ?2, next_part = ?3, init_number = ?4, bytes = ?5,"
                    " duration_us = ?6, prev = ?7, current = ?8 WHERE n = ?1",
    [Q_COPY_STATE] = "UPDATE copy SET state = ?2 WHERE n = ?1",
    [Q_COPY_FINISH] = "UPDATE copy SET state = 'whole', root = ?2, receipt = ?3,"
                      " receipt_credential = ?4, receipt_ours = ?5 WHERE n = ?1",
    [Q_COPY_DROP] = "DELETE FROM copy WHERE n = ?1",
    [Q_COPY_KEEP] = "UPDATE copy SET kept = ?2 WHERE n = ?1",
    [Q_COPY_TOUCH] = "UPDATE copy SET used_us = ?2 WHERE video_id = ?1 AND used_us < ?2",
    [Q_COPY_ANY] = "SELECT 1 FROM copy WHERE video_id = ?1",
    [Q_COPIES_FROM] =
        "SELECT k.n, k.video_id, k.streamer_id, k.next, NOT EXISTS (SELECT 1 FROM claim c"
        "  WHERE c.video_id = k.video_id AND c.streamer_id = k.streamer_id AND c.stream = k.stream"
        "   AND c.deleted = 0) FROM copy k WHERE k.n > ?1 AND k.state <> 'uploading' ORDER BY k.n",
    [Q_CACHE_BYTES] = "SELECT coalesce(sum(bytes), 0) FROM copy WHERE " CACHED,
    /* The last column: its claim stands, and our own row says custody, or it is whole and nobody
     * else's does. */
    [Q_CACHE_OLDEST] =
        "SELECT k.n, k.video_id, k.streamer_id, k.bytes, k.next,"
        " EXISTS (SELECT 1 FROM claim c WHERE c.video_id = k.video_id"
        "  AND c.streamer_id = k.streamer_id AND c.deleted = 0 AND c.stream = k.stream) AND"
        " (EXISTS (SELECT 1 FROM holding h WHERE h.video_id = k.video_id"
        "  AND h.streamer_id = k.streamer_id AND h.edge_id = ?1 AND h.kind = 'custody'"
        "  AND h.state = 1 AND h.stream = k.stream) OR"
        " (k.state = 'whole' AND NOT EXISTS (SELECT 1 FROM holding h WHERE h.video_id = k.video_id"
        "  AND h.streamer_id = k.streamer_id AND h.kind = 'custody' AND h.state = 1"
        "  AND h.stream = k.stream))) FROM copy k WHERE " CACHED " ORDER BY used_us, n",
    [Q_GARBAGE_PUT] = "INSERT INTO garbage (copy) VALUES (?1)",
    [Q_GARBAGE_NEXT] = "SELECT min(copy) FROM garbage",
    [Q_GARBAGE_PARTS] = "DELETE FROM part WHERE rowid IN"
                        " (SELECT rowid FROM part WHERE copy = ?1 LIMIT ?2) RETURNING 1",
    [Q_GARBAGE_PROOFS] = "DELETE FROM chunk_proof WHERE copy = ?1 AND chunk_nb IN"
                         " (SELECT chunk_nb FROM chunk_proof WHERE copy = ?1 LIMIT ?2) RETURNING 1",
    [Q_GARBAGE_DROP] = "DELETE FROM garbage WHERE copy = ?1",
    [Q_FETCHES_OF_VIDEO] = "SELECT n FROM copy WHERE video_id = ?1 AND state = 'fetching' LIMIT 1",
    [Q_UPLOAD_PUT] = "INSERT OR REPLACE INTO upload (copy, revision_us, thumbnail, statement,"
                     " credential) VALUES (?1, ?2, ?3, ?4, ?5)",
    [Q_UPLOAD_LOAD] = "SELECT revision_us, statement FROM upload WHERE copy = ?1",
    [Q_UPLOAD_DROP] = "DELETE FROM upload WHERE copy = ?1",
    [Q_THUMBNAIL_PUT] =
        "INSERT OR REPLACE INTO thumbnail (copy, delegation, packet) VALUES (?1, ?2, ?3)",
    [Q_CHUNK_NEW] = "INSERT INTO chunk (id, video_id, chunk_nb, part, parts, kind, keyframe, bytes,"
                    " duration_ms, captured_at, copy)"
                    " VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [Q_CHUNK_GROW] = "UPDATE chunk SET part = ?2 WHERE id = ?1",
    [Q_CHUNK_SUMS] = "SELECT count(*), coalesce(sum(bytes), 0) FROM chunk WHERE video_id = ?1"
                     " AND copy = ?2 AND part = parts",
    [Q_CHUNKS_DROP] = "DELETE FROM chunk WHERE video_id = ?1 AND copy = ?2",
    [Q_PROOF_NEW] = "INSERT INTO chunk_proof (copy, chunk_nb, hash, statement, signature)"
                    " VALUES (?1, ?2, ?3, ?4, ?5)",
    [Q_PROOF_HASHES] = "SELECT hash FROM chunk_proof WHERE copy = ?1 ORDER BY chunk_nb",
    [Q_PART_NEW] = "INSERT INTO part (copy, chunk_nb, part_nb, packet) VALUES (?1, ?2, ?3, ?4)",
    [Q_META_PUT] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
    [Q_HORIZON] = "SELECT value FROM meta WHERE key = '" META_HORIZON "'",

    [Q_BEGIN_READ] = "BEGIN",
    /* An upload that is not finished has no claim of its own yet: upload tells. */
    [Q_VIDEO_GET] =
        "SELECT " ROW_COLUMNS ", v.state, v.media_type, v.codecs, v.chunks, v.bytes, s.name,"
        " iif(v.state = 'uploading', u.statement, c.statement),"
        " iif(v.state = 'uploading', u.credential, c.credential),"
        " iif(v.state = 'uploading', NULL, c.manifest),"
        " iif(v.state = 'uploading', k.stream, c.stream),"
        " coalesce(k.state = 'whole' AND k.stream = c.stream, 0),"
        " coalesce(k.state = 'whole' AND k.stream = c.stream, 0) AND"
        " EXISTS (SELECT 1 FROM holding h WHERE h.video_id = v.id"
        "  AND h.streamer_id = v.streamer_id AND h.edge_id = ?2 AND h.kind = 'custody'"
        "  AND h.state = 1 AND h.stream = c.stream),"
        " iif(k.state = 'whole' AND k.stream = c.stream, k.receipt, NULL),"
        " iif(k.state = 'whole' AND k.stream = c.stream, k.receipt_credential, NULL)"
        " FROM video v JOIN streamer s ON s.id = v.streamer_id"
        " LEFT JOIN claim c ON c.video_id = v.id AND c.streamer_id = v.streamer_id"
        " LEFT JOIN copy k ON k.video_id = v.id AND k.streamer_id = v.streamer_id"
        " LEFT JOIN upload u ON u.copy = k.n WHERE v.id = ?1"
        " AND (v.state = 'uploading' OR c.stream IS NOT NULL)",
    [Q_COPY_READABLE] = "SELECT k.n, k.state = 'whole', k.next FROM video v"
                        " JOIN copy k ON k.video_id = v.id AND k.streamer_id = v.streamer_id"
                        " LEFT JOIN claim c ON c.video_id = v.id AND c.streamer_id = v.streamer_id"
                        " WHERE v.id = ?1 AND (v.state = 'uploading' OR k.stream = c.stream)",
    [Q_PARTS] = "SELECT chunk_nb, part_nb, packet FROM part"
                " WHERE copy = ?1 AND (chunk_nb, part_nb) >= (?2, ?3) ORDER BY chunk_nb, part_nb",
    [Q_LIST_START] = "SELECT created_at FROM video WHERE id = ?1",
    [Q_LIST] = "SELECT id FROM video WHERE state IN " LISTED
               " AND created_at <= ?1 AND NOT (created_at = ?1 AND id <= ?2)"
               " ORDER BY created_at DESC, id",
    [Q_LIST_ROW] = "SELECT " ROW_COLUMNS " FROM video v WHERE v.id = ?1"
                   " AND (?2 IS NULL OR v.category = ?2) AND (?3 IS NULL OR v.live = ?3)"
                   " AND (?4 IS NULL OR instr(lower(v.title), lower(?4)) > 0)",
    [Q_DB_PAGE] = "SELECT " ROW_COLUMNS ", c.statement, c.credential, c.manifest FROM video v"
                  " JOIN claim c ON c.video_id = v.id AND c.streamer_id = v.streamer_id"
                  " WHERE v.id > ?1 AND v.state IN " LISTED " ORDER BY v.id",
    [Q_ROW_HOLDINGS] =
        "SELECT kind, object, edge_credential FROM holding"
        " WHERE video_id = ?1 AND streamer_id = ?2 ORDER BY state DESC, hlc DESC, edge_id",
    [Q_BUNDLE_CLAIMS] = "SELECT video_id, streamer_id, deleted, statement, credential, manifest,"
                        " thumbnail FROM claim WHERE (video_id, streamer_id) > (?1, ?2)"
                        " ORDER BY video_id, streamer_id",
    [Q_BUNDLE_HOLDINGS] = "SELECT kind, object, edge_credential, edge_id FROM holding"
                          " WHERE video_id = ?1 AND streamer_id = ?2 AND (edge_id, kind) > (?3, ?4)"
                          " ORDER BY edge_id, kind",
    [Q_LEAF_CLAIMS] = "SELECT digest, deleted, revision_us, video_id, streamer_id FROM claim"
                      " WHERE leaf = ?1 AND digest > ?2 ORDER BY digest",
    [Q_LEAF_HOLDINGS] = "SELECT digest, kind, hlc, video_id, streamer_id, edge_id FROM holding"
                        " WHERE leaf = ?1 AND digest > ?2 ORDER BY digest",
    [Q_ROW_CLAIM] = "SELECT video_id, streamer_id, deleted, statement, credential, manifest,"
                    " thumbnail FROM claim WHERE leaf = ?1 AND digest = ?2",
    [Q_ROW_HOLDING] = "SELECT kind, object, edge_credential FROM holding"
                      " WHERE leaf = ?1 AND digest = ?2",
    /* What is listed, and what we hold every byte of though nobody answers for it. */
    [Q_CUSTODY_SCAN] =
        "SELECT v.id, v.streamer_id, v.edges, v.bytes, c.stream,"
        " EXISTS (SELECT 1 FROM holding h WHERE h.video_id = v.id"
        "  AND h.streamer_id = v.streamer_id AND h.edge_id = ?2 AND h.kind = 'custody'"
        "  AND h.state = 1 AND h.stream = c.stream),"
        " coalesce(k.state = 'whole' AND k.stream = c.stream, 0),"
        " (SELECT h.hlc FROM holding h WHERE h.video_id = v.id"
        "  AND h.streamer_id = v.streamer_id AND h.edge_id = ?2 AND h.kind = 'custody')"
        " FROM video v JOIN claim c ON c.video_id = v.id AND c.streamer_id = v.streamer_id"
        " LEFT JOIN copy k ON k.video_id = v.id AND k.streamer_id = v.streamer_id"
        " WHERE v.id >= ?1 AND v.id <= ?3 AND (v.state = 'complete' OR (v.state = 'unlisted'"
        "  AND k.state = 'whole' AND k.stream = c.stream AND v.bytes IS NOT NULL)) ORDER BY v.id",
    [Q_COPY_PROVABLE] =
        "SELECT k.n FROM copy k CROSS JOIN holding h ON h.video_id = k.video_id"
        "  AND h.streamer_id = k.streamer_id AND h.edge_id = ?3 AND h.kind = 'custody'"
        "  AND h.state = 1 AND h.stream = k.stream"
        " WHERE k.video_id = ?1 AND k.stream = ?2 AND k.state = 'whole'",
    [Q_PROBE_COUNT] = "SELECT coalesce(sum(parts), 0) FROM chunk WHERE video_id = ?1 AND copy = ?2",
    [Q_PROBE_CHUNKS] = "SELECT chunk_nb, parts FROM chunk WHERE video_id = ?1 AND copy = ?2"
                       " ORDER BY chunk_nb",
    [Q_PROBE_PART] = "SELECT packet FROM part WHERE copy = ?1 AND chunk_nb = ?2 AND part_nb = ?3",
    [Q_STREAMER_GET] = "SELECT name, " US_OF("created_at") " FROM streamer WHERE id = ?1",
    /* Of a whole copy of what is claimed now. */
    [Q_THUMBNAIL_GET] = "SELECT t.delegation, t.packet FROM copy k JOIN thumbnail t ON t.copy = k.n"
                        " JOIN claim c ON c.video_id = k.video_id AND c.streamer_id = k.streamer_id"
                        " WHERE k.video_id = ?1 AND k.streamer_id = ?2 AND k.state = 'whole'"
                        " AND c.deleted = 0 AND c.stream = k.stream",
    [Q_META_GET] = "SELECT value FROM meta WHERE key = ?1",
    [Q_LAST_HLC] = "SELECT max(" LAST_HLC_OF("custody", "0") ", " LAST_HLC_OF(
        "custody", "1") ", " LAST_HLC_OF("presence", "0") ", " LAST_HLC_OF("presence", "1") ")",
    [Q_STALE_PRESENCES] =
        "SELECT object FROM holding"
        " WHERE edge_id = ?1 AND kind = 'presence' AND state = 1 ORDER BY video_id, streamer_id",
};

static void pragma(struct conn *c, const char *name, long value)
{
    char text[96];
    snprintf(text, sizeof(text), "PRAGMA %s = %ld", name, value);
    /* Some answer with the value that is now in force. */
    db_int(&c->db, text);
}

static void set_up(struct conn *c, int cache_kib)
{
    pragma(c, "cache_size", -cache_kib);
    db_exec(&c->db, "PRAGMA temp_store = MEMORY");
    db_exec(&c->db, "PRAGMA foreign_keys = ON");
}

static void load_horizon(struct conn *c)
{
    struct query *q = query_of(c, Q_HORIZON);
    if (query_row(q)) {
        struct reader r = reader_of(col_slice(q, 0));
        c->tally.horizon_us = c->tally.dead_us = read_u64(&r);
        if (!reader_done(&r))
            db_corrupt(&c->db, "the horizon");
    }
    query_end(q);
}

void conn_open_writer(struct conn *c, const char *path, uint32_t pages_max)
{
    *c = (struct conn){0};
    db_open(&c->db, path);
    migrate_check(&c->db);
    pragma(c, "page_size", DB_PAGE_BYTES);
    if (pages_max)
        pragma(c, "max_page_count", (long)pages_max);
    db_exec(&c->db, "PRAGMA journal_mode = WAL");
    db_exec(&c->db, "PRAGMA synchronous = FULL");
    db_exec(&c->db, "PRAGMA secure_delete = FAST");
    pragma(c, "journal_size_limit", WAL_BYTES_KEPT);
    set_up(c, WRITER_CACHE_KIB);
    migrate(&c->db);
    db_prepare(&c->db, sql, Q_N, 0, Q_WRITER_END);
    c->tally.videos = (uint64_t)db_int(&c->db, "SELECT count(*) FROM video WHERE state IN " LISTED);
    if (!c->db.err)
        load_horizon(c);
    c->garbage = true;
}

void conn_open_reader(struct conn *c, const char *path, struct budget *budget)
{
    *c = (struct conn){.budget = budget};
    db_open(&c->db, path);
    set_up(c, READER_CACHE_KIB);
    db_exec(&c->db, "PRAGMA query_only = ON");
    db_prepare(&c->db, sql, Q_N, 0, Q_SHARED_END);
    db_prepare(&c->db, sql, Q_N, Q_BEGIN_READ, Q_N);
}

void conn_close(struct conn *c)
{
    db_close(&c->db);
}

void conn_run(struct conn *c, enum query_number number)
{
    query_run(query_of(c, number));
}
