/* The edge is believed by its credential alone: an answer that anybody sent names no other key than
 * that of the edge that was asked. */
#include "client/delegate.h"

#include "base/check.h"

void delegate_edge(struct delegate *d, const struct zone_params *zone, const struct id *edge_id,
                   struct slice credential, uint64_t utc_us)
{
    struct credential edge;
    if (!d->wanted || !credential.len || credential_open(credential, zone, &edge) != ERR_OK ||
        edge.kind != CREDENTIAL_EDGE || !id_eq(&edge.subject, edge_id) ||
        !credential_valid_at(&edge, utc_us))
        return;
    d->edge_pk = edge.pk;
    d->known = true;
}

size_t delegate_sign(const struct delegate *d, const struct hash *stream,
                     const struct signkey *streamer, uint64_t utc_us,
                     uint8_t ret[static DELEGATION_OBJECT_BYTES_MAX])
{
    uint8_t body[DELEGATION_OBJECT_BYTES_MAX];
    if (!d->wanted || !d->known)
        return 0;
    struct delegation delegation = {.stream = *stream,
                                    .edge_pk = d->edge_pk,
                                    .tracks_n = 1,
                                    .tracks = {THUMBNAIL_TRACK},
                                    .not_after_us = utc_us + DELEGATION_LIFE_US};
    struct writer w = writer_of(body, sizeof(body));
    delegation_encode(&delegation, &w);
    struct writer out = writer_of(ret, DELEGATION_OBJECT_BYTES_MAX);
    signed_append(&out, OBJECT_DELEGATION, slice_of(body, w.len), streamer);
    CHECK(!w.full && !out.full);
    return out.len;
}

void thumbnail_check(const struct checker *c, struct slice delegation, struct slice part,
                     struct thumbnail *ret)
{
    static const struct hash none = {0};
    struct slice jpeg;
    *ret = (struct thumbnail){.kind = THUMBNAIL_NONE};
    if (!hash_eq(&c->video.thumbnail_hash, &none)) {
        ret->kind = THUMBNAIL_GIVEN;
        return;
    }
    if (!delegation.len && !part.len)
        return;
    if (thumbnail_open(delegation, part, &c->stream, &c->credential.pk, &jpeg) != ERR_OK) {
        ret->rejected = true;
        return;
    }
    ret->kind = THUMBNAIL_DELEGATED;
    ret->jpeg_len = jpeg.len;
    memcpy(ret->jpeg, jpeg.ptr, jpeg.len);
}

const char *thumbnail_kind_name(enum thumbnail_kind kind)
{
    switch (kind) {
    case THUMBNAIL_GIVEN: return "given";
    case THUMBNAIL_DELEGATED: return "delegated";
    case THUMBNAIL_NONE: break;
    }
    return "none";
}
