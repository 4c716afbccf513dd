/* What happens to an edge on a stage: events as decode would make them. */
#include "base/check.h"
#include "tests/unit/edge/stage.h"

struct event *stage_init_event(struct stage *s, const struct reel *r)
{
    struct event *ev = event_new(r->video.live ? EVENT_LIVE_INIT : EVENT_UPLOAD_INIT);
    struct verified_init *v = &ev->u.init;
    struct slice body;
    struct signature sig;
    v->video = r->video;
    v->stream = r->stream;
    v->auth = stage_auth(s);
    v->init = (struct upload_init){
        .video_id = r->video.video_id,
        .title = r->video.title,
        .description = r->video.description,
        .category = r->video.category,
        .thumbnail = r->thumbnail,
        .streamer_id = r->video.streamer_id,
        .streamer_name = slice_str(r->streamer->id.s),
        .credential = arena_copy(&ev->arena, member_credential(r->streamer)),
        .statement = arena_copy(&ev->arena, r->statement),
    };
    CHECK(signed_split(v->init.statement, &body, &sig) == ERR_OK);
    v->statement_hash = object_hash(OBJECT_VIDEO, body);
    CHECK(signed_split(v->init.credential, &body, &sig) == ERR_OK &&
          credential_decode(body, &v->credential) == ERR_OK);
    return ev;
}

static struct event *part_event(const struct reel_part *p, bool json, enum topic_kind topic)
{
    struct event *ev = event_new(EVENT_PART);
    ev->u.part = (struct part_event){
        .topic = topic,
        .packet = msg_ref(p->packet),
        .original = json ? msg_new((struct slice){0}, slice_str("{\"as\":\"it came\"}"), NULL)
                         : msg_ref(p->packet),
        .json = json,
        .part = p->part,
        .statement_hash = p->statement_hash,
    };
    return ev;
}

struct event *stage_part_event(const struct reel *r, size_t i)
{
    return part_event(&r->parts[i], false, r->video.live ? TOPIC_LIVE_UPLOAD : TOPIC_UPLOAD);
}

struct event *stage_part_json_event(const struct reel *r, size_t i)
{
    struct event *ev =
        part_event(&r->parts[i], true, r->video.live ? TOPIC_LIVE_UPLOAD : TOPIC_UPLOAD);
    ev->u.part.video_id = r->video.video_id;
    return ev;
}

struct event *stage_end_event(const struct reel *r)
{
    struct event *ev = event_new(EVENT_UPLOAD_END);
    struct verified_end *v = &ev->u.end;
    struct slice body;
    struct signature sig;
    v->end = (struct upload_end){.video_id = r->video.video_id,
                                 .streamer_id = r->video.streamer_id,
                                 .manifest = arena_copy(&ev->arena, r->manifest_bytes),
                                 .statement = arena_copy(&ev->arena, r->final_statement)};
    CHECK(signed_split(v->end.statement, &body, &sig) == ERR_OK &&
          video_decode(body, &v->video) == ERR_OK);
    v->stream = r->stream;
    v->statement_hash = object_hash(OBJECT_VIDEO, body);
    v->manifest = r->manifest;
    return ev;
}

struct event *stage_watch_event(const struct watch_request *m)
{
    struct event *ev = event_new(EVENT_WATCH);
    ev->u.watch = *m;
    ev->u.watch.client_id = arena_copy(&ev->arena, m->client_id);
    ev->u.watch.token = arena_copy(&ev->arena, m->token);
    return ev;
}

struct event *stage_join_event(const char *client_id, const char *video_id, struct slice token)
{
    struct event *ev = event_new(EVENT_JOIN);
    ev->u.join = (struct live_join){.video_id = stage_id(video_id),
                                    .client_id = arena_copy(&ev->arena, slice_str(client_id)),
                                    .token = arena_copy(&ev->arena, token)};
    return ev;
}

/* ---- other edges ---- */

struct event *stage_beat_event(const struct stage_beat *b)
{
    struct event *ev = event_new(EVENT_EDGE_STATUS);
    struct verified_status *v = &ev->u.status;
    struct zone_params zone;
    struct member edge;
    reel_zone(&zone);
    member_make(b->edge_id, CREDENTIAL_EDGE, &edge);
    v->status.edge_id = edge.id;
    v->status.online = !b->offline;
    v->status.contact.revocations = b->revocations;
    v->status.uptime_s = b->uptime_s;
    if (b->unsigned_will)
        return ev;
    v->verified = true;
    v->pk = edge.key.pk;
    if (b->key) {
        struct member other;
        member_make(b->key, CREDENTIAL_EDGE, &other);
        v->pk = other.key.pk;
    }
    v->node = (struct node_status){
        .zone_id = zone.zone_id,
        .edge_id = edge.id,
        .state = !b->offline,
        .time_us = b->time_us,
        .since_us = b->since_us ? b->since_us : REEL_UTC_US - REEL_DAY_US,
        .horizon_us = b->root.horizon_us,
        .disk_free = b->disk_total ? b->disk_free : 100ull << 30,
        .disk_total = b->disk_total ? b->disk_total : 200ull << 30,
    };
    memcpy(v->node.root, b->root.b, NODE_ROOT_BYTES);
    if (!b->without_credential) {
        v->status.credential = arena_copy(&ev->arena, member_credential(&edge));
        v->serial = b->serial ? b->serial : REEL_SERIAL;
        v->not_after_us = REEL_UTC_US + REEL_DAY_US;
    }
    return ev;
}

struct event *stage_revocations_event(const struct reel_list *list)
{
    struct event *ev = event_new(EVENT_REVOCATIONS);
    struct slice body;
    struct signature sig;
    ev->u.revocations.bytes = reel_revocations(list, &ev->arena);
    CHECK(signed_split(ev->u.revocations.bytes, &body, &sig) == ERR_OK &&
          revocations_decode(body, &ev->u.revocations.list) == ERR_OK);
    return ev;
}

struct event *stage_status_event(const char *edge_id, bool online)
{
    struct stage_beat beat = {.edge_id = edge_id, .offline = !online};
    return stage_beat_event(&beat);
}

static struct storage_row *rows_copied(struct arena *arena, const struct storage_row *rows,
                                       size_t n)
{
    struct storage_row *out = arena_alloc(arena, n * sizeof(*out) + 1);
    for (size_t i = 0; i < n; i++)
        out[i] = storage_row_copy(arena, &rows[i]);
    return out;
}

struct event *stage_rows_event(const struct storage_row *rows, size_t n, uint32_t page,
                               uint32_t pages)
{
    struct event *ev = event_new(EVENT_DB_REPLY);
    ev->u.db_reply.rows = rows_copied(&ev->arena, rows, n);
    ev->u.db_reply.n = n;
    ev->u.db_reply.page = page;
    ev->u.db_reply.pages = pages;
    return ev;
}

struct event *stage_lot_event(const struct storage_row *rows, size_t n)
{
    struct event *ev = event_new(EVENT_DB_ROWS);
    ev->u.db_rows.rows = rows_copied(&ev->arena, rows, n);
    ev->u.db_rows.n = n;
    return ev;
}

struct event *stage_row_event(const struct storage_row *row)
{
    struct event *ev = event_new(EVENT_DB_UPDATE);
    ev->u.db_update.row = storage_row_copy(&ev->arena, row);
    return ev;
}

static void *copied(struct arena *arena, const void *items, size_t bytes)
{
    void *out = arena_alloc(arena, bytes + 1);
    if (bytes)
        memcpy(out, items, bytes);
    return out;
}

struct event *stage_sync_event(const struct sync_message *m)
{
    struct event *ev = event_new(EVENT_DB_SYNC);
    struct sync_message *to = &ev->u.db_sync.message;
    struct arena *a = &ev->arena;
    *to = *m;
    switch (m->kind) {
    case SYNC_DIGESTS:
        to->u.digests.nodes =
            copied(a, m->u.digests.nodes, m->u.digests.n * sizeof(struct sync_node));
        break;
    case SYNC_LEAVES:
        to->u.leaves.leaves =
            copied(a, m->u.leaves.leaves, m->u.leaves.n * sizeof(struct sync_leaf));
        for (size_t i = 0; i < m->u.leaves.n; i++) {
            struct sync_leaf *leaf = &to->u.leaves.leaves[i];
            leaf->entries = copied(a, leaf->entries, leaf->n * sizeof(struct sync_entry));
        }
        break;
    case SYNC_WANT:
        to->u.want.rows = copied(a, m->u.want.rows, m->u.want.n * sizeof(struct sync_want));
        break;
    case SYNC_PROOF: to->u.proof.proof = arena_copy(a, m->u.proof.proof); break;
    case SYNC_PROBE: break;
    case SYNC_ROWS: CHECK(false); /* stage_lot_event */
    }
    return ev;
}

struct event *stage_proof_event(const char *edge_id, const struct id *video_id,
                                const struct possession *p)
{
    struct sync_message m = {.kind = SYNC_PROOF, .edge_id = stage_id(edge_id)};
    m.u.proof.video_id = *video_id;
    m.u.proof.proof = slice_str("signed");
    struct event *ev = stage_sync_event(&m);
    ev->u.db_sync.proved = true;
    ev->u.db_sync.possession = *p;
    return ev;
}

/* ---- deletions ---- */

struct storage_row stage_deletion_row(struct arena *arena, const struct reel *r,
                                      uint64_t revision_us, bool by_zone)
{
    struct deletion deletion = {.zone_id = r->video.zone_id,
                                .video_id = r->video.video_id,
                                .streamer_id = r->video.streamer_id,
                                .revision_us = revision_us};
    struct signkey zone = reel_zone_key();
    struct slice object =
        reel_deletion_object(arena, &deletion, by_zone ? &zone : &r->streamer->key);
    return (struct storage_row){
        .has_deletion = true,
        .video = {.zone_id = deletion.zone_id,
                  .video_id = deletion.video_id,
                  .streamer_id = deletion.streamer_id,
                  .revision_us = revision_us},
        .statement_hash =
            object_hash(OBJECT_DELETION, slice_of(object.ptr, object.len - SIGNATURE_BYTES)),
        .statement = object,
        .credential = by_zone ? (struct slice){0} : member_credential(r->streamer),
        .streamer_name = by_zone ? (struct slice){0} : slice_str(r->streamer->id.s),
    };
}

struct event *stage_delete_event(struct stage *s, const struct reel *r, uint64_t revision_us,
                                 const char *client_id)
{
    struct event *ev = event_new(EVENT_DELETE);
    struct verified_delete *v = &ev->u.delete;
    bool by_zone = client_id != NULL;
    struct storage_row row = stage_deletion_row(&ev->arena, r, revision_us, by_zone);
    v->by_zone = by_zone;
    v->request = (struct delete_request){
        .video_id = r->video.video_id,
        .streamer_id = r->video.streamer_id,
        .client_id = by_zone ? arena_copy(&ev->arena, slice_str(client_id)) : (struct slice){0},
        .credential = arena_copy(&ev->arena, row.credential),
        .deletion = row.statement,
    };
    v->deletion = (struct deletion){.zone_id = r->video.zone_id,
                                    .video_id = r->video.video_id,
                                    .streamer_id = r->video.streamer_id,
                                    .revision_us = revision_us};
    v->deletion_hash = row.statement_hash;
    if (by_zone)
        return ev;
    struct slice body;
    struct signature sig;
    v->auth = stage_auth(s);
    CHECK(signed_split(v->request.credential, &body, &sig) == ERR_OK &&
          credential_decode(body, &v->credential) == ERR_OK);
    return ev;
}
