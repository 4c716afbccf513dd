/*
 * Why: what is issued to whom, decided and written in one transaction, so that
 * an operator's command beside it is either before or after.
 */
#include "auth_edge/db.h"
#include "auth_edge/store.h"
#include "base/check.h"

/* --- who ------------------------------------------------------------------------- */

/* ERR_UNAUTHORIZED: a row of that statement (?1: id) is there and revoked. ERR_CONFLICT: it is
 * there. ERR_OK: there is none. */
static enum err why_not(struct store *store, const char *sql, const struct id *id)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store, sql, &stmt);
    if (err != ERR_OK)
        return err;
    bind_id(stmt, 1, id);
    err = db_row(store, stmt);
    if (err == ERR_UNKNOWN)
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    return column_u64(stmt, 0) ? ERR_UNAUTHORIZED : ERR_CONFLICT;
}

/* Write a subject's row. sql: ?1 id, ?2 key or name, ?3 the time; changes nothing where it may
 * not. ERR_NOT_READY: it may not. */
static enum err put_subject(struct store *store, const char *sql, const struct issue *issue)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    const struct credential *c = &issue->credential;
    enum err err = db_prepare(store, sql, &stmt);
    if (err != ERR_OK)
        return err;
    char now[ISO8601_BYTES];
    clock_iso8601(issue->now_us, now);
    bind_id(stmt, 1, &c->subject);
    if (c->kind == CREDENTIAL_EDGE)
        bind_key(stmt, 2, &c->pk);
    else
        bind_text(stmt, 2, c->display_name);
    bind_text(stmt, 3, slice_str(now));
    err = db_done(store, stmt, "write who it is for");
    return err == ERR_OK && db_changes(store) == 0 ? ERR_NOT_READY : err;
}

/* ERR_CONFLICT: bound to another key, or a streamer's id. ERR_UNAUTHORIZED: revoked. */
static enum err put_edge(struct store *store, const struct issue *issue)
{
    const struct id *id = &issue->credential.subject;
    enum err err = why_not(store,
                           "SELECT 0 FROM streamers WHERE id = ?1"
                           " UNION SELECT 0 FROM users WHERE id = ?1",
                           id);
    if (err == ERR_OK)
        err = put_subject(store,
                          "INSERT INTO edges (id, pk, created_at, last_seen)"
                          " VALUES (?1, ?2, ?3, ?3) ON CONFLICT (id) DO UPDATE"
                          " SET pk = ?2, last_seen = ?3"
                          " WHERE state = 'admitted' AND (pk = ?2 OR pk = '')",
                          issue);
    if (err == ERR_NOT_READY)
        err = why_not(store, "SELECT state = 'revoked' FROM edges WHERE id = ?1", id);
    return err;
}

/* ERR_CONFLICT: an edge's id. ERR_UNAUTHORIZED: revoked. */
static enum err put_streamer(struct store *store, const struct issue *issue)
{
    const struct id *id = &issue->credential.subject;
    enum err err = why_not(store, "SELECT 0 FROM edges WHERE id = ?1", id);
    if (err == ERR_OK)
        err = put_subject(store,
                          "INSERT INTO streamers (id, name, created_at, last_seen)"
                          " VALUES (?1, ?2, ?3, ?3) ON CONFLICT (id) DO UPDATE"
                          " SET name = ?2, last_seen = ?3 WHERE state = 'admitted'",
                          issue);
    return err == ERR_NOT_READY ? ERR_UNAUTHORIZED : err;
}

/* ERR_UNAUTHORIZED: the credential that was shown is revoked. */
static enum err check_renewed(struct store *store, uint64_t serial)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store, "SELECT 1 FROM revocations WHERE serial = ?1", &stmt);
    if (err != ERR_OK)
        return err;
    if (serial > INT64_MAX) /* none of ours */
        return ERR_UNAUTHORIZED;
    bind_u64(stmt, 1, serial);
    err = db_row(store, stmt);
    if (err == ERR_OK)
        return ERR_UNAUTHORIZED;
    return err == ERR_UNKNOWN ? ERR_OK : err;
}

/* --- what ------------------------------------------------------------------------ */

/* The parameters ?1 to ?5 of two statements below: all of a credential but serial and dates. */
static void bind_credential(struct sqlite3_stmt *stmt, const struct credential *c)
{
    bind_kind(stmt, 1, c->kind);
    bind_id(stmt, 2, &c->subject);
    bind_text(stmt, 3, c->display_name);
    bind_key(stmt, 4, &c->pk);
    bind_u64(stmt, 5, c->key_epoch);
}

/* ERR_UNKNOWN: none that may be given again. */
static enum err find_credential(struct store *store, const struct issue *issue, struct issued *ret)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store,
                              "SELECT serial, not_before_us, not_after_us FROM credentials"
                              " WHERE kind = ?1 AND subject = ?2 AND name = ?3 AND pk = ?4"
                              " AND key_epoch = ?5 AND not_before_us <= ?6 AND not_after_us >= ?7"
                              " AND not_after_us <= ?8"
                              " AND serial NOT IN (SELECT serial FROM revocations)"
                              " ORDER BY serial DESC LIMIT 1",
                              &stmt);
    if (err != ERR_OK)
        return err;
    bind_credential(stmt, &issue->credential);
    bind_u64(stmt, 6, issue->now_us);
    bind_u64(stmt, 7, issue->reuse_from_us);
    bind_u64(stmt, 8, issue->credential.not_after_us);
    err = db_row(store, stmt);
    if (err == ERR_OK)
        *ret = (struct issued){column_u64(stmt, 0), column_u64(stmt, 1), column_u64(stmt, 2)};
    return err;
}

/* ERR_QUOTA: so many are in date that one more could not be revoked with certainty. */
static enum err check_quota(struct store *store, const struct issue *issue)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store,
                              "SELECT count(*) FROM credentials"
                              " WHERE kind = ?1 AND subject = ?2 AND not_after_us > ?3"
                              " AND serial NOT IN (SELECT serial FROM revocations)",
                              &stmt);
    if (err != ERR_OK)
        return err;
    bind_kind(stmt, 1, issue->credential.kind);
    bind_id(stmt, 2, &issue->credential.subject);
    bind_u64(stmt, 3, issue->now_us);
    err = db_row(store, stmt);
    if (err != ERR_OK)
        return err;
    return column_u64(stmt, 0) < SUBJECT_CREDENTIALS_MAX ? ERR_OK : ERR_QUOTA;
}

static enum err add_credential(struct store *store, const struct issue *issue, struct issued *ret)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    const struct credential *c = &issue->credential;
    enum err err = check_quota(store, issue);
    if (err == ERR_OK)
        err = db_prepare(store,
                         "INSERT INTO credentials (kind, subject, name, pk, key_epoch,"
                         " not_before_us, not_after_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                         &stmt);
    if (err != ERR_OK)
        return err;
    bind_credential(stmt, c);
    bind_u64(stmt, 6, c->not_before_us);
    bind_u64(stmt, 7, c->not_after_us);
    err = db_done(store, stmt, "write a credential");
    if (err == ERR_OK)
        *ret = (struct issued){db_last_id(store), c->not_before_us, c->not_after_us};
    return err;
}

static enum err note_answered(struct store *store, uint64_t request_us)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err =
        db_prepare(store, "UPDATE zone SET answered_until_us = max(answered_until_us, ?1)", &stmt);
    if (err != ERR_OK)
        return err;
    bind_u64(stmt, 1, request_us);
    return db_done(store, stmt, "write the time of a request");
}

static enum err record(struct store *store, const struct issue *issue, struct issued *ret)
{
    bool edge = issue->credential.kind == CREDENTIAL_EDGE;
    enum err err = check_renewed(store, issue->renews);
    if (err == ERR_OK)
        err = edge ? put_edge(store, issue) : put_streamer(store, issue);
    if (err == ERR_OK)
        err = find_credential(store, issue, ret);
    if (err == ERR_UNKNOWN)
        err = add_credential(store, issue, ret);
    if (err == ERR_OK)
        err = note_answered(store, issue->request_us);
    return err;
}

static enum err issue_credential(void *ctx, const struct issue *issue, struct issued *ret_issued)
{
    struct store *store = ctx;
    struct issued issued;
    enum err err = db_begin(store);
    if (err != ERR_OK)
        return err;
    err = db_finish(store, record(store, issue, &issued));
    if (err == ERR_OK)
        *ret_issued = issued;
    return err;
}

struct records store_records(struct store *store)
{
    return (struct records){.ctx = store, .issue = issue_credential};
}
