/*
 * Decode and verify: one function per topic. Nothing here depends on time or
 * state, but that what edges say to each other counts once (decode_peer.c): dates,
 * freshness and claims are the core's to judge.
 *
 * Invariants
 *   I1  an event other than EVENT_REJECTED carries no signature that was not
 *       checked against the view.
 *   I2  a rejection whose answer flag is set names a reply id from the message;
 *       whether it may be put into a topic is checked where it is answered.
 */
#include "edge/decode.h"

#include "base/check.h"
#include "edge/decode_work.h"
#include "wire/address.h"

/* ---- refusing ---- */

void decode_reject(struct work *w, enum err err, const char *what)
{
    w->ev->kind = EVENT_REJECTED;
    w->ev->u.rejection = (struct rejection){.err = err, .what = what};
}

/* Refuse, and answer on a reply topic if the message says where. */
void decode_reject_to(struct work *w, enum err err, const char *what, enum topic_kind reply_kind)
{
    struct reply_address a = address_read(w->ev->msg->payload, &w->ev->arena);
    bool streamer = reply_kind == TOPIC_UPLOAD_REPLY || reply_kind == TOPIC_LIVE_UPLOAD_REPLY ||
                    (reply_kind == TOPIC_DELETE_REPLY && (a.credential || !a.client_id.len));
    struct slice id = streamer ? a.streamer_id : a.client_id;
    decode_reject(w, err, what);
    struct rejection *r = &w->ev->u.rejection;
    r->answer = id.len > 0;
    r->reply_kind = reply_kind;
    r->reply_id = id;
    r->video_id = a.video_id;
    r->client_id = a.client_id;
}

void decode_newer(struct work *w, enum err err)
{
    if (err == ERR_NOT_READY && w->view->has_zone)
        w->ev->newer_zone = true;
}

const char decode_malformed[] = "malformed, or a field is missing, of the wrong type or too long";
const char decode_newer_key[] = "the zone has a newer key than this edge knows; try again";

/* ---- uploads and lives ---- */

static const char *mismatch(const struct upload_init *m, const struct video *v)
{
    struct hash thumbnail = video_thumbnail_hash(m->thumbnail);
    if (!id_eq(&m->video_id, &v->video_id) || !id_eq(&m->streamer_id, &v->streamer_id))
        return "video_id or streamer_id is not the statement's";
    if (!slice_eq(m->title, v->title) || !slice_eq(m->description, v->description) ||
        !slice_eq(m->category, v->category))
        return "title, description or category is not the statement's";
    if (!hash_eq(&thumbnail, &v->thumbnail_hash))
        return "the thumbnail is not the statement's";
    return NULL;
}

/* Who begins it, and what. NULL: all of it is signed and belongs together; else what does not, and
 * *ret why. */
static const char *init_open(struct work *w, bool live, struct verified_init *v, enum err *ret)
{
    *ret = ERR_UNAUTHORIZED;
    if (!v->init.credential.len || !v->init.statement.len || !v->init.signature.auth.len)
        return "credential, statement and auth are required; log in";
    *ret = ERR_NOT_READY;
    if (!w->view->has_zone)
        return "this edge is not enrolled yet; try again";
    *ret = credential_open(v->init.credential, &w->view->zone, &v->credential);
    decode_newer(w, *ret);
    if (*ret == ERR_NOT_READY)
        return decode_newer_key;
    if (*ret != ERR_OK)
        return "the credential is not this zone's; log in again";
    *ret = video_open(v->init.statement, &v->credential.pk, &v->video);
    if (*ret != ERR_OK)
        return "the statement is not signed by the credential's key";
    *ret = ERR_FORMAT;
    const char *wrong = mismatch(&v->init, &v->video);
    if (wrong)
        return wrong;
    if (!id_eq(&v->video.zone_id, &w->view->zone.zone_id))
        return "the statement is for another zone";
    *ret = request_check(slice_str(live ? "live/upload" : "video/upload"), id_slice(&w->d->self),
                         &v->init.signature.fields, v->init.signature.auth, &v->credential.pk,
                         &v->auth, NULL);
    return *ret == ERR_OK ? NULL : "auth is not a signature over these fields for this edge";
}

static void init_verify(struct work *w, bool live)
{
    enum topic_kind reply = live ? TOPIC_LIVE_UPLOAD_REPLY : TOPIC_UPLOAD_REPLY;
    struct verified_init v = {0};
    struct slice body;
    struct signature sig;
    enum err err = upload_init_decode(w->ev->msg->payload, &w->ev->arena, &v.init);
    const char *wrong = err == ERR_OK ? init_open(w, live, &v, &err) : decode_malformed;
    if (wrong) {
        decode_reject_to(w, err, wrong, reply);
        return;
    }
    signed_split(v.init.statement, &body, &sig);
    v.statement_hash = object_hash(OBJECT_VIDEO, body);
    v.stream = video_stream(&v.video);
    w->ev->kind = live ? EVENT_LIVE_INIT : EVENT_UPLOAD_INIT;
    w->ev->u.init = v;
}

/* The key that signs the stream a statement names, if that stream is under way here. */
static const struct trusted_stream *stream_of(const struct work *w, struct slice statement,
                                              struct video *ret_video, struct slice *ret_body)
{
    struct signature sig;
    if (signed_split(statement, ret_body, &sig) != ERR_OK ||
        video_decode(*ret_body, ret_video) != ERR_OK)
        return NULL;
    struct hash stream = video_stream(ret_video);
    return trust_view_find(w->view, &stream);
}

static void end_verify(struct work *w)
{
    struct verified_end v = {0};
    struct slice body;
    struct slice manifest_body;
    struct signature sig;
    enum err err = upload_end_decode(w->ev->msg->payload, &w->ev->arena, &v.end);
    if (err != ERR_OK) {
        decode_reject_to(w, err, decode_malformed, TOPIC_UPLOAD_REPLY);
        return;
    }
    const struct trusted_stream *s = stream_of(w, v.end.statement, &v.video, &body);
    if (!s) {
        decode_reject_to(w, ERR_NOT_READY, "no such upload is under way here; send init",
                         TOPIC_UPLOAD_REPLY);
        return;
    }
    if (video_open(v.end.statement, &s->signer, &v.video) != ERR_OK ||
        manifest_open(v.end.manifest, &s->signer, &v.manifest) != ERR_OK ||
        signed_split(v.end.manifest, &manifest_body, &sig) != ERR_OK) {
        decode_reject_to(w, ERR_SIGNATURE,
                         "statement or manifest is not signed by the upload's key",
                         TOPIC_UPLOAD_REPLY);
        return;
    }
    struct hash manifest_hash = object_hash(OBJECT_MANIFEST, manifest_body);
    if (!id_eq(&v.video.video_id, &v.end.video_id) ||
        !id_eq(&v.video.streamer_id, &v.end.streamer_id) ||
        !hash_eq(&v.manifest.stream, &s->stream) || v.manifest.track != 0 ||
        !hash_eq(&v.video.manifest_hash, &manifest_hash)) {
        decode_reject_to(w, ERR_FORMAT, "statement, manifest and ids do not belong together",
                         TOPIC_UPLOAD_REPLY);
        return;
    }
    v.stream = s->stream;
    v.statement_hash = object_hash(OBJECT_VIDEO, body);
    v.delegated = v.end.delegation.len &&
                  delegation_open(v.end.delegation, &s->signer, &v.delegation) == ERR_OK;
    w->ev->kind = EVENT_UPLOAD_END;
    w->ev->u.end = v;
}

/* That this edge may make a thumbnail, of a stream that is under way here. */
static void delegation_verify(struct work *w)
{
    struct upload_delegation m = {0};
    struct delegation d;
    struct slice body;
    struct signature sig;
    enum err err = upload_delegation_decode(w->ev->msg->payload, &w->ev->arena, &m);
    if (err == ERR_OK)
        err = signed_split(m.delegation, &body, &sig);
    if (err == ERR_OK)
        err = delegation_decode(body, &d);
    if (err != ERR_OK) {
        decode_reject(w, err, decode_malformed);
        return;
    }
    const struct trusted_stream *s = trust_view_find(w->view, &d.stream);
    if (!s || delegation_open(m.delegation, &s->signer, &d) != ERR_OK) {
        decode_reject(w, ERR_SIGNATURE, "the delegation is not signed by the stream's key");
        return;
    }
    w->ev->kind = EVENT_DELEGATION;
    w->ev->u.delegation.message = m;
    w->ev->u.delegation.delegation = d;
}

/* A rejected part of a stream that is known: its streamer can be told. */
static void reject_part(struct work *w, enum err err, const char *what, const struct part *p)
{
    decode_reject(w, err, what);
    w->ev->u.rejection.has_stream = true;
    w->ev->u.rejection.stream = p->chunk.stream;
    w->ev->u.rejection.chunk_part = p->chunk.number;
}

/* video_id: of a part in JSON; NULL: binary. */
static void part_accept(struct work *w, struct msg *packet, const struct id *video_id)
{
    struct part_event e = {.topic = w->topic.kind, .packet = packet, .original = w->ev->msg};
    if (video_id) {
        e.json = true;
        e.video_id = *video_id;
    }
    enum err err = part_decode(packet->payload, &e.part);
    if (err != ERR_OK) {
        decode_reject(w, err, "not a part");
        return;
    }
    const struct trusted_stream *s = trust_view_find(w->view, &e.part.chunk.stream);
    if (!s) {
        decode_reject(w, ERR_NOT_READY, "no such stream is under way here");
        return;
    }
    if (!pubkey_eq(&s->signer, &e.part.chunk.signer)) {
        reject_part(w, ERR_UNAUTHORIZED, "another key signs this stream", &e.part);
        return;
    }
    if (checked_verify(w->d->checked, &e.part) != ERR_OK) {
        reject_part(w, ERR_SIGNATURE, "the part is not what was signed", &e.part);
        return;
    }
    e.statement_hash = object_hash(OBJECT_CHUNK, e.part.statement);
    msg_ref(e.packet);
    msg_ref(e.original);
    w->ev->kind = EVENT_PART;
    w->ev->u.part = e;
}

static void part_json_accept(struct work *w)
{
    struct id video_id;
    CLEANUP(msg_unref_ptr) struct msg *packet = NULL;
    enum err err = part_json_decode(w->ev->msg->payload, w->d->budget, &video_id, &packet);
    if (err == ERR_OK) {
        part_accept(w, packet, &video_id);
        return;
    }
    decode_reject(w, err, "not a part, or fields that contradict it");
    w->ev->u.rejection.by_video = true;
    w->ev->u.rejection.video_id = address_read(w->ev->msg->payload, &w->ev->arena).video_id;
}

static void upload(struct work *w)
{
    bool live = w->topic.kind == TOPIC_LIVE_UPLOAD;
    enum topic_kind reply = live ? TOPIC_LIVE_UPLOAD_REPLY : TOPIC_UPLOAD_REPLY;
    enum upload_kind kind;
    enum err err = upload_classify(w->ev->msg->payload, live, &kind);
    if (err != ERR_OK) {
        decode_reject_to(w, err, decode_malformed, reply);
        return;
    }
    switch (kind) {
    case UPLOAD_PART_BINARY: part_accept(w, w->ev->msg, NULL); break;
    case UPLOAD_PART_JSON: part_json_accept(w); break;
    case UPLOAD_INIT: init_verify(w, live); break;
    case UPLOAD_END: end_verify(w); break;
    case UPLOAD_END_UNSIGNED: w->ev->kind = EVENT_LIVE_END_UNSIGNED; break;
    case UPLOAD_DELEGATION: delegation_verify(w); break;
    }
}

/* ---- watching, and answers to our own fetches ---- */

static void watch(struct work *w)
{
    struct watch_request m = {0};
    enum err err = watch_request_decode(w->ev->msg->payload, &w->ev->arena, &m);
    if (err != ERR_OK) {
        decode_reject_to(w, err, decode_malformed, TOPIC_WATCH_REPLY);
        return;
    }
    w->ev->kind = EVENT_WATCH;
    w->ev->u.watch = m;
}

static void join(struct work *w)
{
    struct live_join m = {0};
    enum err err = live_join_decode(w->ev->msg->payload, &w->ev->arena, &m);
    if (err != ERR_OK) {
        decode_reject_to(w, err, decode_malformed, TOPIC_WATCH_REPLY);
        return;
    }
    w->ev->kind = EVENT_JOIN;
    w->ev->u.join = m;
}

/* Whether the receipt that comes with a video is one of an edge of this zone; of which video is
 * the core's to compare. */
static bool receipt_verify(struct work *w, const struct watch_info *info, struct receipt *ret,
                           uint64_t *ret_serial)
{
    struct credential c;
    struct receipt r;
    if (!info->receipt.len || !w->view->has_zone)
        return false;
    enum err err = credential_open(info->receipt_credential, &w->view->zone, &c);
    decode_newer(w, err);
    if (err != ERR_OK || c.kind != CREDENTIAL_EDGE ||
        receipt_open(info->receipt, &c.pk, &r) != ERR_OK || !id_eq(&r.edge_id, &c.subject) ||
        !id_eq(&r.zone_id, &c.zone_id) || !credential_valid_at(&c, r.time_us))
        return false;
    *ret = r;
    *ret_serial = c.serial;
    return true;
}

/* Whether the thumbnail that comes with a video is one, by leave of the streamer of a stream that
 * is fetched here. */
static bool thumbnail_verify(const struct work *w, const struct watch_info *info,
                             struct hash *ret_stream)
{
    struct part part;
    struct slice jpeg;
    if (!info->delegation.len || part_decode(info->thumbnail_part, &part) != ERR_OK)
        return false;
    const struct trusted_stream *s = trust_view_find(w->view, &part.chunk.stream);
    if (!s || info->delegation.len > DELEGATION_OBJECT_BYTES_MAX ||
        thumbnail_open(info->delegation, info->thumbnail_part, &s->stream, &s->signer, &jpeg) !=
            ERR_OK)
        return false;
    *ret_stream = s->stream;
    return true;
}

static enum err watch_answer(struct work *w, const struct id *source)
{
    struct slice payload = w->ev->msg->payload;
    struct arena *arena = &w->ev->arena;
    struct watch_info info = {0};
    struct watch_end end = {0};
    struct wire_error error = {0};
    enum watch_reply_kind kind;
    enum err err = watch_reply_classify(payload, &kind);
    if (err != ERR_OK)
        return err;
    switch (kind) {
    case WATCH_REPLY_INFO:
        err = watch_info_decode(payload, arena, &info);
        w->ev->kind = EVENT_WATCH_INFO;
        w->ev->u.watch_info.source = *source;
        w->ev->u.watch_info.info = info;
        w->ev->u.watch_info.receipt_holds = receipt_verify(w, &info, &w->ev->u.watch_info.receipt,
                                                           &w->ev->u.watch_info.receipt_serial);
        w->ev->u.watch_info.thumbnail_holds =
            thumbnail_verify(w, &info, &w->ev->u.watch_info.thumbnail_stream);
        return err;
    case WATCH_REPLY_END:
        err = watch_end_decode(payload, arena, &end);
        w->ev->kind = EVENT_WATCH_END;
        w->ev->u.watch_end.source = *source;
        w->ev->u.watch_end.end = end;
        return err;
    case WATCH_REPLY_ERROR:
        if (!reply_is_error(payload, arena, &error))
            return ERR_FORMAT;
        w->ev->kind = EVENT_WATCH_ERROR;
        w->ev->u.watch_error.source = *source;
        w->ev->u.watch_error.error = error;
        return ERR_OK;
    case WATCH_REPLY_PART_JSON: break; /* we ask for binary */
    }
    return ERR_FORMAT;
}

static void watch_reply(struct work *w)
{
    struct id source;
    struct slice payload = w->ev->msg->payload;
    if (id_parse(w->topic.a, &source) != ERR_OK || !slice_eq(w->topic.b, id_slice(&w->d->self))) {
        decode_reject(w, ERR_FORMAT, "not for this edge");
        return;
    }
    if (payload.len && payload.ptr[0] != '{') {
        part_accept(w, w->ev->msg, NULL);
        return;
    }
    enum err err = watch_answer(w, &source);
    if (err != ERR_OK)
        decode_reject(w, err, decode_malformed);
}

/* ---- small ones: decode alone ---- */

static enum err decode_small(struct work *w)
{
    struct slice payload = w->ev->msg->payload;
    struct arena *arena = &w->ev->arena;
    switch (w->topic.kind) {
    case TOPIC_AUTH_ZONE_REPLY:
        w->ev->kind = EVENT_ZONE_ERROR;
        if (reply_is_error(payload, arena, &w->ev->u.zone_error))
            return ERR_OK;
        w->ev->kind = EVENT_ZONE_REPLY;
        return zone_reply_decode(payload, arena, &w->ev->u.zone_reply);
    case TOPIC_PING:
        w->ev->kind = EVENT_PING;
        return ping_request_decode(payload, arena, &w->ev->u.ping);
    default: return ERR_FORMAT;
    }
}

struct event *decode(const struct decoder *d, const struct trust_view *view, struct msg *msg)
{
    struct work w = {.d = d, .view = view, .ev = event_new(EVENT_REJECTED)};
    w.ev->msg = msg;
    enum err err = ERR_LIMIT;
    if (msg->payload.len <= PACKET_BYTES_MAX)
        err = topic_parse(msg->topic, d->prefix, &w.topic);
    if (err != ERR_OK) {
        decode_reject(&w, err, "no topic of ours, or a message above PACKET_BYTES_MAX");
        return w.ev;
    }
    switch (w.topic.kind) {
    case TOPIC_UPLOAD:
    case TOPIC_LIVE_UPLOAD: upload(&w); break;
    case TOPIC_WATCH: watch(&w); break;
    case TOPIC_WATCH_REPLY: watch_reply(&w); break;
    case TOPIC_LIVE_WATCH: join(&w); break;
    case TOPIC_LIST: decode_list(&w); break;
    case TOPIC_DB: decode_db_request(&w); break;
    case TOPIC_DB_UPDATE: decode_db_update(&w); break;
    case TOPIC_DB_REPLY: decode_db_reply(&w); break;
    case TOPIC_DB_SYNC: decode_db_sync(&w); break;
    case TOPIC_EDGE_STATUS: decode_edge_status(&w); break;
    case TOPIC_AUTH_REVOCATIONS: decode_revocations(&w); break;
    case TOPIC_DELETE: decode_delete(&w); break;
    default:
        err = decode_small(&w);
        if (err != ERR_OK)
            decode_reject(&w, err, decode_malformed);
        break;
    }
    return w.ev;
}
