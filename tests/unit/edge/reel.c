/* Everything here follows from ids and counters, so that a failing test fails again. */
#include "tests/unit/edge/reel.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static struct signkey key_of(const char *name)
{
    struct signkey key;
    signkey_from_seed(hash_of(slice_str("reel"), slice_str(name)).b, &key);
    return key;
}

struct signkey reel_zone_key_at(uint32_t epoch)
{
    char name[32];
    snprintf(name, sizeof(name), "zone%u", epoch);
    return key_of(epoch == 1 ? "zone" : name);
}

struct signkey reel_zone_key(void)
{
    return reel_zone_key_at(1);
}

void reel_zone_at(uint32_t epoch, struct zone_params *ret)
{
    *ret = (struct zone_params){.sign_pk = reel_zone_key_at(epoch).pk,
                                .key_epoch = epoch,
                                .issued_us = REEL_UTC_US - REEL_DAY_US + epoch - 1};
    CHECK(id_parse(slice_str("zone1"), &ret->zone_id) == ERR_OK);
    for (uint32_t old = 1; old < epoch; old++) {
        uint8_t buf[OBJECT_BYTES_MAX];
        struct writer w = writer_of(buf, sizeof(buf));
        struct signkey key = reel_zone_key_at(old);
        struct zone_link *l = &ret->links[ret->links_n++];
        *l = (struct zone_link){old, key.pk, old + 1, reel_zone_key_at(old + 1).pk, {{0}}};
        zone_link_body(&ret->zone_id, l, &w);
        l->sig = object_sign(OBJECT_ZONE_LINK, slice_of(buf, w.len), &key);
    }
}

void reel_zone(struct zone_params *ret)
{
    reel_zone_at(1, ret);
}

struct slice reel_object(struct arena *arena, enum object_type type, const struct writer *body,
                         const struct signkey *key)
{
    CHECK(!body->full);
    size_t cap = body->len + SIGNATURE_BYTES;
    struct writer w = writer_of(arena_alloc(arena, cap), cap);
    signed_append(&w, type, slice_of(body->buf, body->len), key);
    return slice_of(w.buf, w.len);
}

struct slice reel_zone_bytes_at(uint32_t epoch, struct arena *arena)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct zone_params zone;
    struct signkey key = reel_zone_key_at(epoch);
    reel_zone_at(epoch, &zone);
    zone_params_encode(&zone, &w);
    return reel_object(arena, OBJECT_ZONE, &w, &key);
}

struct slice reel_zone_bytes(struct arena *arena)
{
    return reel_zone_bytes_at(1, arena);
}

struct slice reel_revocations(const struct reel_list *list, struct arena *arena)
{
    static uint8_t entries[REVOCATIONS_MAX * 16];
    static uint8_t buf[REVOCATIONS_BODY_BYTES_MAX];
    struct writer e = writer_of(entries, sizeof(entries));
    struct writer w = writer_of(buf, sizeof(buf));
    struct signkey key = reel_zone_key_at(list->epoch ? list->epoch : 1);
    struct zone_params zone;
    reel_zone(&zone);
    for (uint32_t i = 0; i < list->n; i++) {
        write_u64(&e, list->entries[i].serial);
        write_u64(&e, list->entries[i].since_us);
    }
    uint64_t issued_us = list->issued_us ? list->issued_us : REEL_UTC_US;
    struct revocations r = {.zone_id = zone.zone_id,
                            .key_epoch = list->epoch ? list->epoch : 1,
                            .number = list->number,
                            .issued_us = issued_us,
                            .next_us = issued_us + 30ull * 1000 * 1000,
                            .n = list->n,
                            .entries = slice_of(entries, e.len)};
    revocations_encode(&r, &w);
    return reel_object(arena, OBJECT_REVOCATIONS, &w, &key);
}

void reel_zone_secret(uint8_t ret[static KEY_BYTES])
{
    memcpy(ret, hash_of(slice_str("zone secret"), (struct slice){0}).b, KEY_BYTES);
}

void member_make_as(const char *id, const struct member_spec *spec, struct member *ret)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct zone_params zone;
    reel_zone(&zone);
    *ret = (struct member){.key = key_of(id)};
    CHECK(id_parse(slice_str(id), &ret->id) == ERR_OK);
    struct credential c = {.kind = spec->kind,
                           .subject = ret->id,
                           .display_name = slice_str(id),
                           .pk = ret->key.pk,
                           .zone_id = zone.zone_id,
                           .key_epoch = spec->epoch ? spec->epoch : 1,
                           .serial = spec->serial ? spec->serial : REEL_SERIAL,
                           .not_before_us = spec->not_before_us,
                           .not_after_us = spec->not_after_us};
    credential_encode(&c, &w);
    struct signkey key = reel_zone_key_at(c.key_epoch);
    struct writer out = writer_of(ret->credential, sizeof(ret->credential));
    signed_append(&out, OBJECT_CREDENTIAL, slice_of(w.buf, w.len), &key);
    CHECK(!w.full && !out.full);
    ret->credential_len = out.len;
}

void member_make_numbered(const char *id, enum credential_kind kind, uint64_t serial,
                          struct member *ret)
{
    struct member_spec spec = {.kind = kind,
                               .not_before_us = REEL_UTC_US - REEL_DAY_US,
                               .not_after_us = REEL_UTC_US + REEL_DAY_US,
                               .serial = serial};
    member_make_as(id, &spec, ret);
}

void member_make(const char *id, enum credential_kind kind, struct member *ret)
{
    member_make_numbered(id, kind, 0, ret);
}

struct slice reel_peer_text(struct arena *arena, struct slice text, enum topic_kind topic,
                            const struct member *from, const struct id *to, uint64_t time_us)
{
    struct zone_params zone;
    reel_zone(&zone);
    struct peer_stamp stamp = {.zone_id = zone.zone_id,
                               .from = from->id,
                               .to = *to,
                               .topic = topic,
                               .time_us = time_us,
                               .key = &from->key};
    return peer_text_sign(text, &stamp, arena);
}

struct slice reel_video_object(struct arena *arena, const struct video *video,
                               const struct signkey *key)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    video_encode(video, &w);
    return reel_object(arena, OBJECT_VIDEO, &w, key);
}

struct slice reel_deletion_object(struct arena *arena, const struct deletion *deletion,
                                  const struct signkey *key)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    deletion_encode(deletion, &w);
    return reel_object(arena, OBJECT_DELETION, &w, key);
}

struct slice reel_holding_object(struct arena *arena, enum object_type type,
                                 const struct holding *holding, const struct signkey *key)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    holding_encode(holding, &w);
    return reel_object(arena, type, &w, key);
}

void reel_sign(struct reel *r)
{
    r->stream = video_stream(&r->video);
    r->statement = reel_video_object(&r->arena, &r->video, &r->streamer->key);
    chunk_cutter_init(&r->cutter, &r->stream, &r->streamer->key, REEL_PART_BYTES);
}

struct reel *reel_new(const struct member *streamer, const char *video_id, unsigned take, bool live)
{
    struct reel *r = mem_alloc(sizeof(*r));
    struct zone_params zone;
    reel_zone(&zone);
    r->streamer = streamer;
    r->thumbnail = slice_str("thumb1.jpg");
    r->video = (struct video){.zone_id = zone.zone_id,
                              .streamer_id = streamer->id,
                              .nonce = hash_of(slice_str(video_id), slice_of(&take, sizeof(take))),
                              .title = slice_str("A title"),
                              .description = slice_str("What it is about"),
                              .category = slice_str("Gaming"),
                              .live = live,
                              .thumbnail_hash = video_thumbnail_hash(r->thumbnail),
                              .media_type = slice_str("video/mp4"),
                              .codecs = slice_str("avc1.64001f"),
                              .created_us = REEL_UTC_US,
                              .revision_us = REEL_UTC_US + take};
    CHECK(id_parse(slice_str(video_id), &r->video.video_id) == ERR_OK);
    reel_sign(r);
    return r;
}

void reel_free(struct reel *r)
{
    for (size_t i = 0; i < r->n; i++)
        msg_unref(r->parts[i].packet);
    arena_release(&r->arena);
    free(r);
}

size_t reel_cut(struct reel *r, enum chunk_kind kind, uint16_t flags, uint64_t capture_us,
                size_t payload_len)
{
    static uint8_t packet[PACKET_BYTES_MAX];
    struct cut_chunk cut;
    size_t first = r->n;
    CLEANUP(mem_free_ptr) uint8_t *payload = mem_alloc(payload_len + 1);
    for (size_t i = 0; i < payload_len; i++)
        payload[i] = (uint8_t)((r->cutter.next_number + i + i / 251) % 251);
    CHECK(chunk_cut(&r->cutter, kind, flags, capture_us, 1000 * 1000,
                    slice_of(payload, payload_len), &cut) == ERR_OK);
    for (uint32_t i = 0; i < cut.chunk.parts_n; i++) {
        CHECK(r->n < REEL_PARTS_MAX);
        struct reel_part *p = &r->parts[r->n++];
        size_t len = cut_chunk_part(&cut, i, packet);
        p->packet = msg_new((struct slice){0}, slice_of(packet, len), NULL);
        CHECK(part_decode(p->packet->payload, &p->part) == ERR_OK);
        p->statement_hash = object_hash(OBJECT_CHUNK, p->part.statement);
    }
    cut_chunk_release(&cut);
    return first;
}

void reel_fill(struct reel *r, unsigned n, size_t payload_len)
{
    reel_cut(r, CHUNK_INIT, 0, REEL_UTC_US, 700);
    for (unsigned i = 0; i < n; i++)
        reel_cut(r, CHUNK_MEDIA, CHUNK_KEYFRAME, REEL_UTC_US, payload_len);
}

void reel_finish(struct reel *r)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    r->manifest = chunk_cutter_manifest(&r->cutter);
    manifest_encode(&r->manifest, &w);
    r->manifest_bytes = reel_object(&r->arena, OBJECT_MANIFEST, &w, &r->streamer->key);
    r->final_video = r->video;
    r->final_video.revision_us += 1000;
    r->final_video.manifest_hash = object_hash(OBJECT_MANIFEST, slice_of(buf, w.len));
    r->final_statement = reel_video_object(&r->arena, &r->final_video, &r->streamer->key);
}

uint16_t reel_parts_of(const struct reel *r, uint32_t chunk)
{
    return r->parts[reel_at(r, chunk, 0)].part.chunk.parts_n;
}

size_t reel_at(const struct reel *r, uint32_t chunk, uint32_t part)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->parts[i].part.chunk.number == chunk && r->parts[i].part.index == part)
            return i;
    check_fail("a part of the reel", __FILE__, __LINE__);
}
