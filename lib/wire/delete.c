/* video/delete: a signed deletion, carried to an edge. */
#include "wire/delete.h"

#include "base/check.h"
#include "wire/signed.h"
#include "wire/topic.h"

struct slice delete_request_encode(const struct delete_request *m,
                                   const struct request_signer *signer, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_id(&out, "video_id", &m->video_id);
    json_put_id(&out, "streamer_id", &m->streamer_id);
    json_put_some(&out, "client_id", m->client_id);
    json_put_blob(&out, "credential", m->credential);
    json_put_blob(&out, "deletion", m->deletion);
    return signed_end(&out, "video/delete", signer);
}

enum err delete_request_decode(struct slice payload, struct arena *arena,
                               struct delete_request *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct delete_request m = {
        .video_id = json_id(&j, "video_id"),
        .streamer_id = json_id(&j, "streamer_id"),
        .client_id = json_text(&j, "client_id", REPLY_ID_BYTES_MAX),
        .credential = json_blob(&j, "credential", CREDENTIAL_OBJECT_BYTES_MAX),
        .deletion = json_blob(&j, "deletion", DELETION_OBJECT_BYTES_MAX),
    };
    signed_read(&j, &m.signature);
    json_require(&j, m.deletion.len > 0 && (m.credential.len > 0 || m.client_id.len > 0));
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

struct slice delete_reply_encode(const struct delete_reply *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_str(&out, "status", "ok");
    json_put_id(&out, "video_id", &m->video_id);
    json_put_id(&out, "EDGE_ID", &m->edge_id);
    return json_end(&out);
}

enum err delete_reply_decode(struct slice payload, struct arena *arena, struct delete_reply *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct delete_reply m = {
        .video_id = json_id(&j, "video_id"),
        .edge_id = json_id(&j, "EDGE_ID"),
    };
    json_require(&j, slice_eq_str(json_peek_text(&j, "status"), "ok"));
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}
