/* parts.json and proof.json: one stream, cut by the cutter. */
#include "base/check.h"
#include "base/mem.h"
#include "tests/unit/trust/fixture.h"
#include "tests/unit/trust/vectors.h"
#include "trust/proof.h"
#include "trust/thumbnail.h"

#include <stdlib.h>

enum { CHUNKS_N = 4, PAYLOAD_BYTES_MAX = 2500 };

static const struct {
    const char *name;
    enum chunk_kind kind;
    uint16_t flags;
    uint32_t duration_us;
    size_t payload_len;
} plan[CHUNKS_N] = {
    {"init, one part", CHUNK_INIT, 0, 0, 700},
    {"media, keyframe, three parts, the last one short", CHUNK_MEDIA, CHUNK_KEYFRAME, 200000, 2500},
    {"media, discontinuity, two whole parts", CHUNK_MEDIA, CHUNK_DISCONTINUITY, 200000, 2048},
    {"end", CHUNK_END, 0, 0, 0},
};

struct stream {
    struct signkey key;
    struct chunk_cutter cutter;
    struct cut_chunk chunks[CHUNKS_N];
    uint8_t payloads[CHUNKS_N][PAYLOAD_BYTES_MAX];
};

static struct stream *stream_new(void)
{
    struct stream *s = mem_alloc(sizeof(*s));
    struct hash id = fixture_stream();
    s->key = fixture_key(KEY_STREAMER);
    chunk_cutter_init(&s->cutter, &id, &s->key, PART_BYTES_MIN);
    for (uint32_t i = 0; i < CHUNKS_N; i++) {
        fixture_payload(i + 1, s->payloads[i], plan[i].payload_len);
        CHECK(chunk_cut(&s->cutter, plan[i].kind, plan[i].flags, fixture_now_us + i * 200000,
                        plan[i].duration_us, slice_of(s->payloads[i], plan[i].payload_len),
                        &s->chunks[i]) == ERR_OK);
    }
    return s;
}

static void stream_free(struct stream *s)
{
    for (size_t i = 0; i < CHUNKS_N; i++)
        cut_chunk_release(&s->chunks[i]);
    free(s);
}

static void put_chunk_fields(struct json *j, const struct chunk *c)
{
    json_open(j, "fields", '{');
    json_hash(j, "stream", &c->stream);
    json_u32(j, "track", c->track);
    json_u32(j, "kind", (uint32_t)c->kind);
    json_u32(j, "flags", c->flags);
    json_u32(j, "number", c->number);
    json_u32(j, "init_number", c->init_number);
    json_hex(j, "signer", slice_of(c->signer.b, KEY_BYTES));
    json_u64(j, "capture", c->capture_us);
    json_u32(j, "duration_us", c->duration_us);
    json_u32(j, "payload_len", c->payload_len);
    json_u32(j, "part_bytes", c->part_bytes);
    json_u32(j, "parts_n", c->parts_n);
    json_hash(j, "root", &c->root);
    json_hash(j, "prev", &c->prev);
    json_hex(j, "ext", c->ext);
    json_close(j, '}');
}

static void put_statement(struct json *j, struct slice body, const struct signature *sig)
{
    struct hash hash = object_hash(OBJECT_CHUNK, body);
    json_text(j, "signed_by", slice_str(fixture_key_name(KEY_STREAMER)));
    json_hex(j, "body", body);
    json_hex(j, "signature", slice_of(sig->b, SIGNATURE_BYTES));
    json_hash(j, "hash", &hash);
}

/* The part as JSON (docs/PROTOCOL.md §3): what lib/wire must be able to read. */
static void put_part_json(struct json *j, const struct cut_chunk *c, uint32_t index,
                          struct slice packet)
{
    char *chunk = mem_alloc(b64_text_len(packet.len) + 1);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    CHECK(out);
    b64_encode(packet, chunk);
    fprintf(out,
            "{\"video_id\":\"video1\",\"end\":\"0\",\"chunk_part\":\"%u\",\"chunk\":\"%s\","
            "\"packet_index\":%u,\"total_packets\":%u}",
            (unsigned)c->chunk.number, chunk, (unsigned)index, (unsigned)c->chunk.parts_n);
    CHECK(fclose(out) == 0);
    json_text(j, "json", slice_of(text, len));
    free(text);
    free(chunk);
}

static void put_part(struct json *j, const struct cut_chunk *c, uint32_t index)
{
    uint8_t bytes[PACKET_BYTES_MAX];
    struct slice packet = slice_of(bytes, cut_chunk_part(c, index, bytes));
    struct part part;
    CHECK(part_decode(packet, &part) == ERR_OK);
    json_open(j, NULL, '{');
    json_u32(j, "index", index);
    json_hash(j, "leaf", &c->leaves[index]);
    json_hex(j, "proof", part.proof);
    json_hex(j, "packet", packet);
    put_part_json(j, c, index, packet);
    json_close(j, '}');
}

static void put_chunk(struct json *j, const char *name, const struct cut_chunk *c)
{
    json_open(j, NULL, '{');
    json_text(j, "name", slice_str(name));
    put_chunk_fields(j, &c->chunk);
    put_statement(j, slice_of(c->statement, c->statement_len), &c->sig);
    json_hex(j, "payload", c->payload);
    json_open(j, "parts", '[');
    for (uint32_t i = 0; i < c->chunk.parts_n; i++)
        put_part(j, c, i);
    json_close(j, ']');
    json_close(j, '}');
}

/* A statement with what the cutter never writes: another track, a flag to ignore, ext. */
static void put_odd_statement(struct json *j, const struct stream *s)
{
    struct chunk c = s->chunks[1].chunk;
    uint8_t bytes[STATEMENT_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    c.track = 258;
    c.flags |= 8;
    c.ext = slice_str("\x01later");
    chunk_encode(&c, &w);
    struct slice body = slice_of(bytes, w.len);
    struct signature sig = object_sign(OBJECT_CHUNK, body, &s->key);
    json_open(j, "statement_with_ext", '{');
    put_chunk_fields(j, &c);
    put_statement(j, body, &sig);
    json_close(j, '}');
}

static void put_manifest(struct json *j, const struct manifest *m, struct fixture_object *ret)
{
    uint8_t bytes[256];
    struct writer w = writer_of(bytes, sizeof(bytes));
    manifest_encode(m, &w);
    fixture_sign(OBJECT_MANIFEST, &w, KEY_STREAMER, ret);
    struct hash hash = object_hash(OBJECT_MANIFEST, ret->body);
    json_open(j, "manifest", '{');
    json_open(j, "fields", '{');
    json_hash(j, "stream", &m->stream);
    json_u32(j, "track", m->track);
    json_u32(j, "chunks", m->chunks);
    json_u64(j, "bytes", m->bytes);
    json_hash(j, "root", &m->root);
    json_close(j, '}');
    json_text(j, "signed_by", slice_str(fixture_key_name(KEY_STREAMER)));
    json_hex(j, "body", ret->body);
    json_hex(j, "signature", slice_from(ret->whole, ret->body.len));
    json_hash(j, "hash", &hash);
    json_b64(j, "base64", ret->whole);
    json_close(j, '}');
}

/* One change to the last part of chunk 2, that no reader may accept. */
static void put_refused(struct json *j, const char *why, struct slice packet)
{
    struct part part;
    CHECK(part_decode(packet, &part) != ERR_OK || part_verify(&part, NULL) != ERR_OK);
    json_open(j, NULL, '{');
    json_text(j, "why", slice_str(why));
    json_hex(j, "packet", packet);
    json_close(j, '}');
}

static void put_flipped(struct json *j, const char *why, struct slice packet, size_t at)
{
    uint8_t bytes[PACKET_BYTES_MAX];
    memcpy(bytes, packet.ptr, packet.len);
    bytes[at] ^= 1;
    put_refused(j, why, slice_of(bytes, packet.len));
}

static void put_all_refused(struct json *j, const struct cut_chunk *c)
{
    uint8_t bytes[PACKET_BYTES_MAX];
    size_t len = cut_chunk_part(c, 2, bytes);
    struct slice packet = slice_of(bytes, len);
    size_t sig_at = 6 + c->statement_len, index_at = sig_at + SIGNATURE_BYTES;
    json_open(j, "refused", '[');
    put_flipped(j, "another magic", packet, 3);
    put_flipped(j, "another version", packet, 6);
    put_flipped(j, "another stream than was signed", packet, 7);
    put_flipped(j, "another signature", packet, sig_at);
    put_flipped(j, "another index", packet, index_at);
    put_flipped(j, "another proof", packet, index_at + 2);
    put_flipped(j, "another payload", packet, len - 1);
    put_refused(j, "a byte short", slice_of(bytes, len - 1));
    bytes[len] = 0;
    put_refused(j, "a byte left over", slice_of(bytes, len + 1));
    json_close(j, ']');
}

/* The smallest bytes that may be a thumbnail; no decoder would make a picture of them. */
static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 180, 1,  64, 1,    1,    0x11,
                               0,    0xff, 0xda, 0,    8, 1,  1, 0, 0,   63, 0,  0x5a, 0xff, 0xd9};

static void put_thumbnail(struct json *j, const struct hash *stream)
{
    struct signkey edge = fixture_key(KEY_EDGE), streamer = fixture_key(KEY_STREAMER);
    struct delegation d = {.stream = *stream,
                           .edge_pk = edge.pk,
                           .tracks_n = 1,
                           .tracks = {THUMBNAIL_TRACK},
                           .not_after_us = fixture_now_us + 1};
    uint8_t bytes[256], packet[THUMBNAIL_PART_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    struct fixture_object delegation;
    struct slice opened;
    delegation_encode(&d, &w);
    fixture_sign(OBJECT_DELEGATION, &w, KEY_STREAMER, &delegation);
    struct slice picture = slice_of(jpeg, sizeof(jpeg));
    struct slice part =
        slice_of(packet, thumbnail_sign(stream, &edge, fixture_now_us, picture, packet));
    CHECK(thumbnail_open(delegation.whole, part, stream, &streamer.pk, &opened) == ERR_OK);
    CHECK(slice_eq(opened, picture));
    json_open(j, "thumbnail", '{');
    json_b64(j, "delegation", delegation.whole);
    json_b64(j, "thumbnail_part", part);
    json_text(j, "delegated_by", slice_str(fixture_key_name(KEY_STREAMER)));
    json_text(j, "signed_by", slice_str(fixture_key_name(KEY_EDGE)));
    json_hash(j, "stream", stream);
    json_hex(j, "jpeg", picture);
    json_close(j, '}');
}

void vectors_parts(struct json *j)
{
    struct stream *s = stream_new();
    struct manifest m = chunk_cutter_manifest(&s->cutter);
    struct fixture_object manifest;
    json_open(j, "chunks", '[');
    for (size_t i = 0; i < CHUNKS_N; i++)
        put_chunk(j, plan[i].name, &s->chunks[i]);
    json_close(j, ']');
    put_manifest(j, &m, &manifest);
    put_odd_statement(j, s);
    put_thumbnail(j, &m.stream);
    put_all_refused(j, &s->chunks[1]);
    stream_free(s);
}

void vectors_proof(struct json *j)
{
    struct stream *s = stream_new();
    uint8_t bodies[6][2048];
    struct writer zone = writer_of(bodies[0], sizeof(bodies[0]));
    struct writer credential = writer_of(bodies[1], sizeof(bodies[1]));
    struct writer video = writer_of(bodies[2], sizeof(bodies[2]));
    struct writer manifest = writer_of(bodies[3], sizeof(bodies[3]));
    struct writer receipt = writer_of(bodies[4], sizeof(bodies[4]));
    struct writer edge = writer_of(bodies[5], sizeof(bodies[5]));
    struct zone_params z = fixture_zone();
    struct credential c = fixture_credential(CREDENTIAL_STREAMER);
    struct credential e = fixture_credential(CREDENTIAL_EDGE);
    struct manifest m = chunk_cutter_manifest(&s->cutter);
    struct video v = fixture_video();
    zone_params_encode(&z, &zone);
    credential_encode(&c, &credential);
    manifest_encode(&m, &manifest);
    v.revision_us += 1;
    v.manifest_hash = object_hash(OBJECT_MANIFEST, slice_of(bodies[3], manifest.len));
    video_encode(&v, &video);
    struct receipt r = {.zone_id = z.zone_id,
                        .edge_id = e.subject,
                        .stream = m.stream,
                        .last_chunk = m.chunks,
                        .hash = v.manifest_hash,
                        .time_us = fixture_now_us};
    receipt_encode(&r, &receipt);
    credential_encode(&e, &edge);

    static struct fixture_object o[6];
    fixture_sign(OBJECT_ZONE, &zone, KEY_ZONE, &o[0]);
    fixture_sign(OBJECT_CREDENTIAL, &credential, KEY_ZONE, &o[1]);
    fixture_sign(OBJECT_VIDEO, &video, KEY_STREAMER, &o[2]);
    fixture_sign(OBJECT_MANIFEST, &manifest, KEY_STREAMER, &o[3]);
    fixture_sign(OBJECT_RECEIPT, &receipt, KEY_EDGE, &o[4]);
    fixture_sign(OBJECT_CREDENTIAL, &edge, KEY_ZONE, &o[5]);
    struct proof_head head = {o[0].whole, o[1].whole, o[2].whole,
                              o[3].whole, o[4].whole, o[5].whole};
    struct proof_writer w;
    CHECK(proof_writer_init(&w, &head) == ERR_OK);
    for (size_t i = 0; i < CHUNKS_N; i++) {
        const struct cut_chunk *cut = &s->chunks[i];
        struct proof_entry entry = {slice_of(cut->statement, cut->statement_len), cut->sig};
        CHECK(proof_writer_add(&w, &entry) == ERR_OK);
    }
    json_hex(j, "zone", head.zone);
    json_hex(j, "credential", head.credential);
    json_hex(j, "video", head.video);
    json_hex(j, "manifest", head.manifest);
    json_hex(j, "receipt", head.receipt);
    json_hex(j, "receipt_credential", head.receipt_credential);
    json_u32(j, "chunks", w.chunks_n);
    json_hex(j, "file", proof_writer_bytes(&w));
    proof_writer_release(&w);
    stream_free(s);
}
