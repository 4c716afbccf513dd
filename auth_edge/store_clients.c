/*
 * Why: which accounts the broker has been told of, and which it must still be told to end: what
 * outlives both processes.
 *
 * Invariants
 *   I1  a generation only goes up: a password that was taken away never comes back.
 *   I2  `ending` is left by way of `gone` alone.
 */
#include "auth_edge/clients.h"
#include "auth_edge/db.h"
#include "base/check.h"

static const char *const states[] = {
    [CLIENT_WANTED] = "wanted",
    [CLIENT_THERE] = "there",
    [CLIENT_ENDING] = "ending",
    [CLIENT_GONE] = "gone",
};
enum { STATES_N = sizeof(states) / sizeof(states[0]) };

/* Of the columns subject, kind, generation, state. */
static enum err read_client(struct store *store, struct sqlite3_stmt *stmt,
                            struct broker_client *ret)
{
    struct broker_client client = {.generation = (uint32_t)column_u64(stmt, 2)};
    struct slice kind = column_text(stmt, 1), state = column_text(stmt, 3);
    size_t i = 0;
    while (i < STATES_N && !slice_eq_str(state, states[i]))
        i++;
    if (i == STATES_N)
        return db_damaged(store, "broker_clients");
    client.state = (enum client_state)i;
    client.kind = slice_eq_str(kind, "edge") ? CREDENTIAL_EDGE : CREDENTIAL_STREAMER;
    if (id_parse(column_text(stmt, 0), &client.subject) != ERR_OK)
        return db_damaged(store, "broker_clients");
    *ret = client;
    return ERR_OK;
}

/* The first that a condition on ?1 gives. */
static enum err get(struct store *store, const char *sql, struct slice text,
                    struct broker_client *ret)
{
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store, sql, &stmt);
    if (err != ERR_OK)
        return err;
    bind_text(stmt, 1, text);
    err = db_row(store, stmt);
    return err == ERR_OK ? read_client(store, stmt, ret) : err;
}

static enum err add(struct store *store, enum credential_kind kind, const struct id *subject)
{
    uint64_t n = 0;
    enum err err = db_number(store, "SELECT count(*) FROM broker_clients", &n);
    if (err != ERR_OK)
        return err;
    if (n >= BROKER_CLIENTS_MAX)
        return ERR_LIMIT;
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    err = db_prepare(store, "INSERT INTO broker_clients (subject, kind) VALUES (?1, ?2)", &stmt);
    if (err != ERR_OK)
        return err;
    bind_id(stmt, 1, subject);
    bind_kind(stmt, 2, kind);
    return db_done(store, stmt, "write a broker's client");
}

static enum err find(void *ctx, enum credential_kind kind, const struct id *subject,
                     struct broker_client *ret)
{
    struct store *store = ctx;
    static const char sql[] =
        "SELECT subject, kind, generation, state FROM broker_clients WHERE subject = ?1";
    struct broker_client client;
    enum err err = get(store, sql, id_slice(subject), &client);
    if (err == ERR_UNKNOWN) {
        err = add(store, kind, subject);
        if (err == ERR_OK)
            err = get(store, sql, id_slice(subject), &client);
    }
    if (err == ERR_OK && client.kind != kind)
        err = ERR_CONFLICT;
    if (err == ERR_OK)
        *ret = client;
    return err;
}

static enum err confirm(void *ctx, const struct id *subject, enum client_state state)
{
    struct store *store = ctx;
    const char *sql = state == CLIENT_GONE
                          ? "UPDATE broker_clients SET state = 'gone', generation = generation + 1"
                            " WHERE subject = ?1 AND state = 'ending'"
                          : "UPDATE broker_clients SET state = 'there'"
                            " WHERE subject = ?1 AND state IN ('wanted', 'gone')";
    CLEANUP(db_finalize) struct sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(store, sql, &stmt);
    if (err != ERR_OK)
        return err;
    bind_id(stmt, 1, subject);
    return db_done(store, stmt, "write a broker's client");
}

static enum err next_ending(void *ctx, const char *after, struct broker_client *ret)
{
    return get(ctx,
               "SELECT subject, kind, generation, state FROM broker_clients"
               " WHERE state = 'ending' AND subject > ?1 ORDER BY subject LIMIT 1",
               slice_str(after), ret);
}

struct clients store_clients(struct store *store)
{
    return (struct clients){
        .ctx = store, .find = find, .confirm = confirm, .next_ending = next_ending};
}
