/*
 * Why: the operator's last word on who is in the zone. Whoever is blocked first
 * gets nothing new; then what it holds goes on the list.
 *
 * Invariants
 *   I1  the number of the list goes up with every change of the list, and beyond
 *       the seconds since 1970: after a database is put back from a backup, the
 *       next change has a number that nobody has seen yet.
 *   I2  a serial on the list stays there: what it signed is judged by it for ever.
 *   I3  the list has at most REVOCATIONS_MAX serials.
 */
#include "auth_edge/db.h"
#include "auth_edge/store.h"
#include "base/check.h"

#include <stdio.h>

enum { US_PER_S = 1000 * 1000 };

/* A statement about a subject: ?1 its kind, ?2 its id, ?3 the time, in that order of need. */
static enum err prepare_about(struct store *store, const char *sql, enum credential_kind kind,
                              const struct id *id, const uint64_t *now_us,
                              struct sqlite3_stmt **ret)
{
    enum err err = db_prepare(store, sql, ret);
    if (err != ERR_OK)
        return err;
    bind_kind(*ret, 1, kind);
    bind_id(*ret, 2, id);
    if (now_us)
        bind_u64(*ret, 3, *now_us);
    return ERR_OK;
}

static enum err run_about(struct store *store, const char *sql, enum credential_kind kind,
                          const struct id *id, const uint64_t *now_us)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = prepare_about(store, sql, kind, id, now_us, &stmt);
    return err == ERR_OK ? db_done(store, stmt, "write a revocation") : err;
}

static enum err number_about(struct store *store, const char *sql, enum credential_kind kind,
                             const struct id *id, const uint64_t *now_us, uint64_t *ret)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = prepare_about(store, sql, kind, id, now_us, &stmt);
    if (err == ERR_OK)
        err = db_row(store, stmt);
    if (err == ERR_OK)
        *ret = column_u64(stmt, 0);
    return err;
}

/* Change a subject's row. ERR_UNKNOWN: it has none. */
static enum err change(struct store *store, const char *sql, enum credential_kind kind,
                       const struct id *id)
{
    enum err err = run_about(store, sql, kind, id, NULL);
    return err == ERR_OK && db_changes(store) == 0 ? ERR_UNKNOWN : err;
}

/* --- the list -------------------------------------------------------------------- */

/* I1 */
static enum err count_up(struct store *store, uint64_t now_us)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err =
        db_prepare(store, "UPDATE zone SET list_number = max(list_number + 1, ?1)", &stmt);
    if (err != ERR_OK)
        return err;
    bind_u64(stmt, 1, now_us / US_PER_S);
    return db_done(store, stmt, "write a revocation");
}

static enum err read_done(struct store *store, struct store_revoking *ret)
{
    uint64_t listed = 0;
    enum err err = db_number(store, "SELECT count(*) FROM revocations", &listed);
    if (err == ERR_OK)
        err = db_number(store, "SELECT list_number FROM zone", &ret->number);
    ret->listed = (uint32_t)listed;
    return err;
}

/*
 * A streamer's credentials that have ended, too, the last ones first: they are no secret, and
 * whoever has the key of one can still sign in its name what viewers cannot tell from what is old.
 * As far as they leave half of the list to what is in date.
 */
static enum err put_ended(struct store *store, const struct id *id, uint64_t now_us,
                          uint32_t *serials)
{
    _Static_assert(REVOCATIONS_MAX == 2900 && SUBJECT_CREDENTIALS_MAX == 128, "the limits below");
    enum err err = run_about(store,
                             "INSERT INTO revocations (serial, since_us)"
                             " SELECT serial, ?3 FROM credentials WHERE kind = ?1 AND subject = ?2"
                             " AND not_after_us <= ?3"
                             " AND serial NOT IN (SELECT serial FROM revocations)"
                             " ORDER BY serial DESC LIMIT"
                             " min(128, max(0, 1450 - (SELECT count(*) FROM revocations)))",
                             CREDENTIAL_STREAMER, id, &now_us);
    if (err == ERR_OK)
        *serials += (uint32_t)db_changes(store);
    return err;
}

/* What a subject holds in date goes on the list. ERR_LIMIT (I3): to be undone. */
static enum err put_on_list(struct store *store, enum credential_kind kind, const struct id *id,
                            uint64_t now_us, struct store_revoking *ret)
{
    enum err err = number_about(store,
                                "SELECT max(not_after_us) FROM credentials WHERE kind = ?1"
                                " AND subject = ?2 AND not_after_us > ?3"
                                " AND serial NOT IN (SELECT serial FROM revocations)",
                                kind, id, &now_us, &ret->end_us);
    if (err == ERR_OK)
        err = run_about(store,
                        "INSERT INTO revocations (serial, since_us)"
                        " SELECT serial, ?3 FROM credentials WHERE kind = ?1 AND subject = ?2"
                        " AND not_after_us > ?3"
                        " AND serial NOT IN (SELECT serial FROM revocations)",
                        kind, id, &now_us);
    if (err != ERR_OK)
        return err;
    ret->serials = (uint32_t)db_changes(store);
    if (kind == CREDENTIAL_STREAMER)
        err = put_ended(store, id, now_us, &ret->serials);
    if (err == ERR_OK && ret->serials > 0)
        err = count_up(store, now_us);
    if (err == ERR_OK)
        err = read_done(store, ret);
    if (err != ERR_OK || ret->listed <= REVOCATIONS_MAX)
        return err;
    snprintf(store->error, sizeof(store->error),
             "the list of revocations holds %u of %d serials and cannot take %u more",
             ret->listed - ret->serials, REVOCATIONS_MAX, ret->serials);
    ret->listed -= ret->serials;
    ret->serials = 0;
    return ERR_LIMIT;
}

enum err store_revoked(struct store *store, struct revoked *ret)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store,
                              "SELECT list_number, serial, since_us FROM zone"
                              " LEFT JOIN revocations ORDER BY serial",
                              &stmt);
    if (err == ERR_OK)
        err = db_row(store, stmt);
    if (err != ERR_OK)
        return err;
    ret->number = column_u64(stmt, 0);
    ret->n = 0;
    for (; err == ERR_OK; err = db_row(store, stmt)) {
        struct revocation r = {column_u64(stmt, 1), column_u64(stmt, 2)};
        if (r.serial == 0) /* none: the zone's row alone */
            continue;
        if (ret->n == REVOCATIONS_MAX)
            return db_damaged(store, "revocations");
        ret->entries[ret->n++] = r;
    }
    return err == ERR_UNKNOWN ? ERR_OK : err;
}

/* --- the operator ---------------------------------------------------------------- */

static enum err block(struct store *store, enum credential_kind kind, const struct id *id)
{
    if (kind == CREDENTIAL_EDGE)
        return change(store, "UPDATE edges SET state = 'revoked' WHERE id = ?2", kind, id);
    enum err err = run_about(store, /* a user who never logged in has no row yet */
                             "INSERT INTO streamers (id, name, created_at, last_seen)"
                             " SELECT id, name, created_at, '' FROM users WHERE id = ?2"
                             " ON CONFLICT (id) DO NOTHING",
                             kind, id, NULL);
    if (err == ERR_OK)
        err = change(store, "UPDATE streamers SET state = 'revoked' WHERE id = ?2", kind, id);
    return err;
}

enum err store_revoke(struct store *store, enum credential_kind kind, const struct id *id,
                      uint64_t now_us, struct store_revoking *ret_done)
{
    struct store_revoking done = {0};
    enum err err = db_begin(store);
    if (err == ERR_OK)
        err = db_finish(store, block(store, kind, id));
    if (err == ERR_OK)
        err = db_begin(store);
    if (err != ERR_OK)
        return err;
    err = db_finish(store, put_on_list(store, kind, id, now_us, &done));
    if (err == ERR_OK || err == ERR_LIMIT)
        *ret_done = done;
    return err;
}

static enum err rekey(struct store *store, const struct id *edge_id, uint64_t now_us,
                      struct store_revoking *ret)
{
    enum err err = change(store, "UPDATE edges SET pk = '', state = 'admitted' WHERE id = ?2",
                          CREDENTIAL_EDGE, edge_id);
    return err == ERR_OK ? put_on_list(store, CREDENTIAL_EDGE, edge_id, now_us, ret) : err;
}

enum err store_rekey(struct store *store, const struct id *edge_id, uint64_t now_us,
                     struct store_revoking *ret_done)
{
    struct store_revoking done = {0};
    enum err err = db_begin(store);
    if (err != ERR_OK)
        return err;
    err = db_finish(store, rekey(store, edge_id, now_us, &done));
    if (err == ERR_OK)
        *ret_done = done;
    return err;
}

enum err store_admit(struct store *store, const struct id *streamer_id)
{
    return change(store, "UPDATE streamers SET state = 'admitted' WHERE id = ?2",
                  CREDENTIAL_STREAMER, streamer_id);
}

/* --- who there is ---------------------------------------------------------------- */

/* The credential that ends last. */
static enum err read_last(struct store *store, enum credential_kind kind, struct store_principal *p)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = prepare_about(store,
                                 "SELECT serial, not_after_us FROM credentials WHERE kind = ?1"
                                 " AND subject = ?2 ORDER BY not_after_us DESC, serial DESC"
                                 " LIMIT 1",
                                 kind, &p->id, NULL, &stmt);
    if (err == ERR_OK)
        err = db_row(store, stmt);
    if (err == ERR_OK) {
        p->serial = column_u64(stmt, 0);
        p->end_us = column_u64(stmt, 1);
    }
    return err == ERR_UNKNOWN ? ERR_OK : err;
}

enum err store_principal_next(struct store *store, enum credential_kind kind, const char *after,
                              struct store_principal *ret)
{
    static const char edges[] = "SELECT id, '', last_seen, state = 'revoked', pk != '' FROM edges"
                                " WHERE id > ?1 ORDER BY id LIMIT 1";
    static const char streamers[] = "SELECT id, name, last_seen, state = 'revoked', 1"
                                    " FROM streamers WHERE id > ?1 ORDER BY id LIMIT 1";
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store, kind == CREDENTIAL_EDGE ? edges : streamers, &stmt);
    if (err != ERR_OK)
        return err;
    bind_text(stmt, 1, slice_str(after));
    err = db_row(store, stmt);
    if (err != ERR_OK)
        return err;
    struct store_principal p = {.revoked = column_u64(stmt, 3) != 0,
                                .bound = column_u64(stmt, 4) != 0};
    if (id_parse(column_text(stmt, 0), &p.id) != ERR_OK ||
        !column_copy(stmt, 1, p.name, sizeof(p.name)) ||
        !column_copy(stmt, 2, p.last_seen, sizeof(p.last_seen)))
        return db_damaged(store, "edges or streamers");
    err = read_last(store, kind, &p);
    if (err == ERR_OK)
        *ret = p;
    return err;
}
