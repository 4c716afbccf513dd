/* What a streamer says of a video as a whole: statement, manifest, deletion, delegation. */
#include "base/check.h"
#include "trust/body.h"
#include "trust/object.h"

void video_encode(const struct video *v, struct writer *w)
{
    write_u8(w, OBJECT_VERSION);
    write_id(w, &v->zone_id);
    write_id(w, &v->video_id);
    write_id(w, &v->streamer_id);
    write_hash(w, &v->nonce);
    write_str(w, v->title);
    write_str(w, v->description);
    write_str(w, v->category);
    write_u8(w, v->live);
    write_hash(w, &v->thumbnail_hash);
    write_str(w, v->media_type);
    write_str(w, v->codecs);
    write_u64(w, v->created_us);
    write_u64(w, v->revision_us);
    write_hash(w, &v->manifest_hash);
}

enum err video_decode(struct slice body, struct video *ret)
{
    struct body b = body_of(body);
    struct video v = {0};
    body_version(&b);
    body_id(&b, &v.zone_id);
    body_id(&b, &v.video_id);
    body_id(&b, &v.streamer_id);
    v.nonce = body_hash(&b);
    v.title = body_text(&b, TITLE_BYTES_MAX);
    v.description = body_text(&b, DESCRIPTION_BYTES_MAX);
    v.category = body_text(&b, CATEGORY_BYTES_MAX);
    v.live = body_u8(&b, 0, 1);
    v.thumbnail_hash = body_hash(&b);
    v.media_type = body_text(&b, MEDIA_TYPE_BYTES_MAX);
    v.codecs = body_text(&b, CODECS_BYTES_MAX);
    v.created_us = read_u64(&b.r);
    v.revision_us = read_u64(&b.r);
    v.manifest_hash = body_hash(&b);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = v;
    return err;
}

enum err video_open(struct slice bytes, const struct pubkey *pk, struct video *ret)
{
    struct slice body;
    struct signature sig;
    struct video v;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = video_decode(body, &v);
    if (err == ERR_OK)
        err = object_check(OBJECT_VIDEO, body, &sig, pk);
    if (err == ERR_OK)
        *ret = v;
    return err;
}

struct hash video_stream(const struct video *v)
{
    struct hasher h;
    hasher_init(&h);
    hasher_add(&h, object_domain(OBJECT_STREAM));
    hasher_add_str(&h, id_slice(&v->zone_id));
    hasher_add_str(&h, id_slice(&v->streamer_id));
    hasher_add_str(&h, id_slice(&v->video_id));
    hasher_add(&h, slice_of(v->nonce.b, HASH_BYTES));
    return hasher_end(&h);
}

struct hash video_thumbnail_hash(struct slice text)
{
    if (text.len == 0)
        return (struct hash){0};
    return hash_of(text, (struct slice){0});
}

void manifest_encode(const struct manifest *m, struct writer *w)
{
    write_u8(w, OBJECT_VERSION);
    write_hash(w, &m->stream);
    write_u16(w, m->track);
    write_u32(w, m->chunks);
    write_u64(w, m->bytes);
    write_hash(w, &m->root);
}

enum err manifest_decode(struct slice body, struct manifest *ret)
{
    struct body b = body_of(body);
    struct manifest m = {0};
    body_version(&b);
    m.stream = body_hash(&b);
    m.track = read_u16(&b.r);
    m.chunks = read_u32(&b.r);
    m.bytes = read_u64(&b.r);
    m.root = body_hash(&b);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = m;
    return err;
}

enum err manifest_open(struct slice bytes, const struct pubkey *pk, struct manifest *ret)
{
    struct slice body;
    struct signature sig;
    struct manifest m;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = manifest_decode(body, &m);
    if (err == ERR_OK)
        err = object_check(OBJECT_MANIFEST, body, &sig, pk);
    if (err == ERR_OK)
        *ret = m;
    return err;
}

void deletion_encode(const struct deletion *d, struct writer *w)
{
    write_u8(w, OBJECT_VERSION);
    write_id(w, &d->zone_id);
    write_id(w, &d->video_id);
    write_id(w, &d->streamer_id);
    write_u64(w, d->revision_us);
}

enum err deletion_decode(struct slice body, struct deletion *ret)
{
    struct body b = body_of(body);
    struct deletion d = {0};
    body_version(&b);
    body_id(&b, &d.zone_id);
    body_id(&b, &d.video_id);
    body_id(&b, &d.streamer_id);
    d.revision_us = read_u64(&b.r);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = d;
    return err;
}

enum err deletion_open(struct slice bytes, const struct pubkey *pk, struct deletion *ret)
{
    struct slice body;
    struct signature sig;
    struct deletion d;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = deletion_decode(body, &d);
    if (err == ERR_OK)
        err = object_check(OBJECT_DELETION, body, &sig, pk);
    if (err == ERR_OK)
        *ret = d;
    return err;
}

void delegation_encode(const struct delegation *d, struct writer *w)
{
    CHECK(d->tracks_n <= DELEGATION_TRACKS_MAX);
    write_u8(w, OBJECT_VERSION);
    write_hash(w, &d->stream);
    write_pubkey(w, &d->edge_pk);
    write_u16(w, d->tracks_n);
    for (size_t i = 0; i < d->tracks_n; i++)
        write_u16(w, d->tracks[i]);
    write_u64(w, d->not_after_us);
}

enum err delegation_decode(struct slice body, struct delegation *ret)
{
    struct body b = body_of(body);
    struct delegation d = {0};
    body_version(&b);
    d.stream = body_hash(&b);
    d.edge_pk = body_pubkey(&b);
    d.tracks_n = read_u16(&b.r);
    if (d.tracks_n > DELEGATION_TRACKS_MAX)
        body_refuse(&b, ERR_LIMIT);
    for (size_t i = 0; i < d.tracks_n && b.err == ERR_OK; i++) {
        d.tracks[i] = read_u16(&b.r);
        if (d.tracks[i] == 0) /* the original is the streamer's alone */
            body_refuse(&b, ERR_FORMAT);
    }
    d.not_after_us = read_u64(&b.r);
    enum err err = body_end(&b);
    if (err == ERR_OK)
        *ret = d;
    return err;
}

enum err delegation_open(struct slice bytes, const struct pubkey *pk, struct delegation *ret)
{
    struct slice body;
    struct signature sig;
    struct delegation d;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = delegation_decode(body, &d);
    if (err == ERR_OK)
        err = object_check(OBJECT_DELEGATION, body, &sig, pk);
    if (err == ERR_OK)
        *ret = d;
    return err;
}
