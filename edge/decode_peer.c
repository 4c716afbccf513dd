/*
 * The catalogue and the other edges: what decode.c says of itself holds here. Who says something
 * in the name of an edge or a streamer has signed it with the key of that one's credential, or
 * it is left out, or the event says that nothing was proved.
 *
 * Invariants
 *   I1  what edges alone say to each other (all of db/sync, lots of db/update, requests and
 *       pages of `db` in form bundle) is looked into only if an edge that we hear signed it, for
 *       us or for all, not long ago, and for the first time. What is cheap to tell is told first.
 */
#include "edge/decode_work.h"
#include "edge/rows.h"
#include "wire/peer.h"

/* ---- what edges sign ---- */

static bool peer_refuse(struct work *w, const char *what)
{
    decode_reject(w, ERR_UNAUTHORIZED, what);
    w->ev->u.rejection.of_peer = true;
    return false;
}

/* Our own come back from topics that all hear: they are what we know. */
static bool own(struct work *w)
{
    if (w->topic.a.len)
        return peer_refuse(w, "in the name of this edge");
    w->ev->kind = EVENT_TICK;
    return false;
}

/* I1. Whether an edge signed the message, and which; else the event says why not. key: of the field
 * that names it. */
static bool peer_signed(struct work *w, const char *key, struct id *ret_from)
{
    struct slice payload = w->ev->msg->payload;
    const struct asked *asked = &w->view->asked;
    struct peer_mark m;
    if (peer_text_read(payload, key, &m) != ERR_OK)
        return peer_refuse(w, "no edge signed it");
    if (id_eq(&m.from, &w->d->self))
        return own(w);
    if (w->topic.kind == TOPIC_DB_REPLY &&
        (!asked->number || asked->number != m.asking || !id_eq(&asked->from, &m.from)))
        return peer_refuse(w, "a page that nobody asked for");
    const struct pubkey *pk = trust_view_edge(w->view, &m.from);
    if (!pk || !w->view->has_zone)
        return peer_refuse(w, "of an edge whose credential was not seen");
    if (!once_fresh(w->d->once, &m.from, m.time_us, w->d->utc_us))
        return peer_refuse(w, "of another time, or said before");
    struct peer_stamp stamp = {.zone_id = w->view->zone.zone_id,
                               .from = m.from,
                               .topic = w->topic.kind,
                               .time_us = m.time_us};
    if (w->topic.a.len)
        stamp.to = w->d->self;
    if (peer_text_check(payload, &stamp, &m.sig, pk) != ERR_OK)
        return peer_refuse(w, "not signed by the edge that it names");
    if (!once_take(w->d->once, &m.from, m.time_us, w->d->utc_us))
        return peer_refuse(w, "too many edges at once");
    *ret_from = m.from;
    return true;
}

/* ---- catalogue ---- */

void decode_list(struct work *w)
{
    struct list_request m = {0};
    enum err err = list_request_decode(w->ev->msg->payload, &w->ev->arena, &m);
    if (err != ERR_OK) {
        decode_reject_to(w, err, decode_malformed, TOPIC_LIST_REPLY);
        return;
    }
    w->ev->kind = EVENT_LIST;
    w->ev->u.list = m;
}

/* Rows as edges exchange them, in db/sync or a lot of db/update. */
static void db_rows(struct work *w, const struct bundle *b)
{
    w->ev->kind = EVENT_DB_ROWS;
    w->ev->u.db_rows.skipped = b->skipped;
    w->ev->u.db_rows.rows = rows_from_bundle(b, w->view, &w->ev->arena, &w->ev->u.db_rows.n,
                                             &w->ev->u.db_rows.skipped, &w->ev->newer_zone);
}

void decode_db_request(struct work *w)
{
    struct db_request m = {0};
    struct id from;
    enum err err = db_request_decode(w->ev->msg->payload, &w->ev->arena, &m);
    if (err == ERR_OK && m.bundle && !peer_signed(w, "ID", &from))
        return;
    if (err == ERR_OK && m.bundle && !id_eq(&from, &m.edge_id))
        err = ERR_FORMAT;
    if (err != ERR_OK) {
        decode_reject(w, err, decode_malformed);
        return;
    }
    w->ev->kind = EVENT_DB_REQUEST;
    w->ev->u.db_request = m;
}

static void db_lot(struct work *w)
{
    bool found;
    struct bundle bundle;
    struct id from;
    if (!peer_signed(w, "EDGE_ID", &from))
        return;
    enum err err = bundle_decode(w->ev->msg->payload, &w->ev->arena, &found, &bundle);
    if (err == ERR_OK && found)
        db_rows(w, &bundle);
    else
        decode_reject(w, ERR_FORMAT, decode_malformed);
}

void decode_db_update(struct work *w)
{
    struct db_update m = {0};
    struct storage_row row = {0};
    if (bundle_peek(w->ev->msg->payload)) {
        db_lot(w);
        return;
    }
    enum err err = db_update_decode(w->ev->msg->payload, &w->ev->arena, &m);
    if (err == ERR_OK)
        err = row_from_update(&m, w->view, &row);
    decode_newer(w, err);
    if (err != ERR_OK) {
        decode_reject(w, err == ERR_NOT_READY ? ERR_UNAUTHORIZED : err,
                      "a row that nobody entitled signed");
        return;
    }
    w->ev->kind = EVENT_DB_UPDATE;
    w->ev->u.db_update.row = row;
}

/* Whether it is for this edge, and signed by the one that it names; if not, it is rejected. */
static bool told_to_us(struct work *w, struct id *ret_from)
{
    if (slice_eq(w->topic.a, id_slice(&w->d->self)))
        return peer_signed(w, "EDGE_ID", ret_from);
    decode_reject(w, ERR_FORMAT, "not for this edge");
    return false;
}

void decode_db_reply(struct work *w)
{
    bool found = false;
    struct bundle b = {0};
    struct id from;
    if (!told_to_us(w, &from))
        return;
    enum err err = bundle_decode(w->ev->msg->payload, &w->ev->arena, &found, &b);
    if (err != ERR_OK || !found || b.page == 0) {
        decode_reject(w, ERR_FORMAT, decode_malformed);
        return;
    }
    size_t n = 0, skipped = b.skipped;
    struct storage_row *rows =
        rows_from_bundle(&b, w->view, &w->ev->arena, &n, &skipped, &w->ev->newer_zone);
    w->ev->kind = EVENT_DB_REPLY;
    w->ev->u.db_reply.page = b.page;
    w->ev->u.db_reply.pages = b.pages;
    w->ev->u.db_reply.from = from;
    w->ev->u.db_reply.asking = b.asking;
    w->ev->u.db_reply.skipped = skipped;
    w->ev->u.db_reply.n = n;
    w->ev->u.db_reply.rows = rows;
}

/* Whether an edge signed that it holds what we asked it about. */
static bool proof_verify(const struct work *w, const struct sync_message *m, struct possession *ret)
{
    const struct pubkey *pk = trust_view_edge(w->view, &m->edge_id);
    return pk && possession_open(m->u.proof.proof, pk, ret) == ERR_OK &&
           id_eq(&ret->zone_id, &w->view->zone.zone_id) && id_eq(&ret->edge_id, &m->edge_id) &&
           id_eq(&ret->asker_id, &w->d->self);
}

void decode_db_sync(struct work *w)
{
    struct sync_message m = {0};
    struct id from;
    if (!told_to_us(w, &from))
        return;
    enum err err = sync_message_decode(w->ev->msg->payload, &w->ev->arena, &m);
    if (err == ERR_OK && !id_eq(&m.edge_id, &from))
        err = ERR_FORMAT;
    if (err != ERR_OK) {
        decode_reject(w, err, decode_malformed);
        return;
    }
    if (m.kind == SYNC_ROWS) {
        db_rows(w, &m.u.rows);
        return;
    }
    struct possession possession = {0};
    bool proved = m.kind == SYNC_PROOF && proof_verify(w, &m, &possession);
    w->ev->kind = EVENT_DB_SYNC;
    w->ev->u.db_sync.message = m;
    w->ev->u.db_sync.proved = proved;
    w->ev->u.db_sync.possession = possession;
}

/* ---- presence ---- */

/* Whose key signs a status: that of the credential in it, or else the one remembered. */
static bool status_key(struct work *w, struct verified_status *v)
{
    struct credential c;
    if (!v->status.credential.len) {
        const struct pubkey *pk = trust_view_edge(w->view, &v->status.edge_id);
        if (pk)
            v->pk = *pk;
        return pk != NULL;
    }
    enum err err = credential_open(v->status.credential, &w->view->zone, &c);
    decode_newer(w, err);
    if (err != ERR_OK || c.kind != CREDENTIAL_EDGE || !id_eq(&c.subject, &v->status.edge_id))
        return false;
    v->pk = c.pk;
    v->serial = c.serial;
    v->not_after_us = c.not_after_us;
    return true;
}

void decode_edge_status(struct work *w)
{
    struct verified_status v = {0};
    enum err err = edge_status_decode(w->ev->msg->payload, &w->ev->arena, &v.status);
    if (err == ERR_OK && !slice_eq(w->topic.a, id_slice(&v.status.edge_id)))
        err = ERR_FORMAT;
    if (err != ERR_OK) {
        decode_reject(w, err, decode_malformed);
        return;
    }
    v.verified = v.status.signed_status.len && w->view->has_zone && status_key(w, &v) &&
                 node_status_open(v.status.signed_status, &v.pk, &v.node) == ERR_OK &&
                 id_eq(&v.node.zone_id, &w->view->zone.zone_id) &&
                 id_eq(&v.node.edge_id, &v.status.edge_id) &&
                 v.node.state == (v.status.online ? 1 : 0);
    w->ev->kind = EVENT_EDGE_STATUS;
    w->ev->u.status = v;
}

/* ---- deletion ---- */

/* Who is revoked. An older key of the zone may say nothing about that any more. */
void decode_revocations(struct work *w)
{
    struct revocations_message m = {0};
    struct revocations list = {0};
    enum err err = revocations_message_decode(w->ev->msg->payload, &w->ev->arena, &m);
    if (err == ERR_OK)
        err = w->view->has_zone ? revocations_open(m.revocations, &w->view->zone, &list)
                                : ERR_UNAUTHORIZED;
    decode_newer(w, err);
    if (err != ERR_OK) {
        decode_reject(w, ERR_UNAUTHORIZED, "no list that the zone's key in force has signed");
        return;
    }
    w->ev->kind = EVENT_REVOCATIONS;
    w->ev->u.revocations.bytes = m.revocations;
    w->ev->u.revocations.list = list;
}

/* Whose key signs it: the streamer's, whose request is signed too, or the zone's, in any epoch.
 * NULL: all holds; else what does not, and *ret why. */
static const char *delete_open(struct work *w, struct verified_delete *v, enum err *ret)
{
    const struct delete_request *m = &v->request;
    v->by_zone = m->credential.len == 0;
    if (!v->by_zone) {
        *ret = credential_open(m->credential, &w->view->zone, &v->credential);
        if (*ret == ERR_OK && (v->credential.kind != CREDENTIAL_STREAMER ||
                               !id_eq(&v->credential.subject, &m->streamer_id)))
            *ret = ERR_UNAUTHORIZED;
        decode_newer(w, *ret);
        if (*ret == ERR_NOT_READY)
            return decode_newer_key;
        if (*ret != ERR_OK)
            return "the credential is not this streamer's of this zone; log in again";
    }
    *ret = v->by_zone ? zone_deletion_open(m->deletion, &w->view->zone, &v->deletion)
                      : deletion_open(m->deletion, &v->credential.pk, &v->deletion);
    if (*ret != ERR_OK)
        return "the deletion is not signed by the credential's key, or without one by the zone's";
    *ret = ERR_FORMAT;
    if (!id_eq(&v->deletion.zone_id, &w->view->zone.zone_id) ||
        !id_eq(&v->deletion.video_id, &m->video_id) ||
        !id_eq(&v->deletion.streamer_id, &m->streamer_id))
        return "zone, video_id or streamer_id is not the deletion's";
    *ret = ERR_OK;
    if (!v->by_zone)
        *ret = request_check(slice_str("video/delete"), id_slice(&w->d->self), &m->signature.fields,
                             m->signature.auth, &v->credential.pk, &v->auth, NULL);
    return *ret == ERR_OK ? NULL : "auth is not a signature over these fields for this edge";
}

void decode_delete(struct work *w)
{
    struct verified_delete v = {0};
    enum err err = delete_request_decode(w->ev->msg->payload, &w->ev->arena, &v.request);
    const char *wrong = decode_malformed;
    if (err == ERR_OK && v.request.credential.len && !v.request.signature.auth.len) {
        err = ERR_UNAUTHORIZED;
        wrong = "auth is required with a credential; log in";
    } else if (err == ERR_OK && !w->view->has_zone) {
        err = ERR_NOT_READY;
        wrong = "this edge is not enrolled yet; try again";
    } else if (err == ERR_OK) {
        wrong = delete_open(w, &v, &err);
    }
    if (err != ERR_OK) {
        decode_reject_to(w, err, wrong, TOPIC_DELETE_REPLY);
        return;
    }
    struct slice body;
    struct signature sig;
    signed_split(v.request.deletion, &body, &sig);
    v.deletion_hash = object_hash(OBJECT_DELETION, body);
    w->ev->kind = EVENT_DELETE;
    w->ev->u.delete = v;
}
