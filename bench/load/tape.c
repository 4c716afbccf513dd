#include "bench/load/tape.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "bench/load/mq.h"
#include "wire/upload.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROOF_HASHES_MAX = 12 };

/* ---- who signs ---- */

static size_t read_text(const char *home, const char *name, char **ret)
{
    char path[1024];
    size_t len;
    snprintf(path, sizeof(path), "%s/%s", home, name);
    if (file_read(path, 2 * OBJECT_BYTES_MAX, ret, &len) != ERR_OK)
        die("%s cannot be read: log in first", path);
    while (len && (*ret)[len - 1] == '\n')
        len--;
    return len;
}

void streamer_load(const char *home, struct streamer *ret)
{
    CLEANUP(mem_free_ptr) char *key = NULL;
    CLEANUP(mem_free_ptr) char *text = NULL;
    uint8_t seed[KEY_BYTES];
    struct slice body;
    struct signature sig;
    if (secret_parse(slice_of(key, read_text(home, "key", &key)), seed) != ERR_OK)
        die("%s/key is no key", home);
    signkey_from_seed(seed, &ret->key);
    size_t len = read_text(home, "credential", &text);
    if (b64_decode(slice_of(text, len), ret->bytes, sizeof(ret->bytes), &ret->len) != ERR_OK ||
        signed_split(slice_of(ret->bytes, ret->len), &body, &sig) != ERR_OK ||
        credential_decode(body, &ret->credential) != ERR_OK)
        die("%s/credential is no credential", home);
}

/* ---- signing ---- */

/* The same bytes for every tape: it is the node that is measured, not the memory bus. */
static struct slice media_of(size_t len)
{
    static uint8_t *media;
    static size_t have;
    if (len > have) {
        uint8_t seed[KEY_BYTES] = {1};
        media = mem_alloc(len); /* the smaller one stays with the tapes that use it */
        crypto_expand(seed, 0, media, len);
        have = len;
    }
    return slice_of(media, len);
}

/* Leaves, and every part's proof; returns the root. */
static struct hash hash_media(struct tape *t)
{
    uint32_t n = t->config.parts_n;
    CLEANUP(mem_free_ptr) struct hash *leaves = mem_array(n, sizeof(struct hash));
    struct merkle tree = {0};
    for (uint32_t i = 0; i < n; i++) {
        size_t at = (size_t)i * t->config.part_bytes;
        leaves[i] = merkle_leaf(slice_of(t->media.ptr + at, t->config.part_bytes));
        merkle_add(&tree, &leaves[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        CHECK(merkle_proof_len(i, n) <= PROOF_HASHES_MAX);
        merkle_prove(leaves, n, i, t->proofs + (size_t)i * PROOF_HASHES_MAX);
    }
    return merkle_root(&tree);
}

static void sign_chunk(struct tape *t, uint32_t number, uint64_t now_us, const struct hash *root,
                       struct hash *prev, const struct hash *stream)
{
    const struct tape_config *config = &t->config;
    struct tape_chunk *to = &t->chunks[number - 1];
    struct chunk c = {
        .stream = *stream,
        .kind = CHUNK_MEDIA,
        .flags = (number - 1) % config->keyframe_every == 0 ? CHUNK_KEYFRAME : 0,
        .number = number,
        .signer = t->streamer->key.pk,
        .capture_us = now_us,
        .duration_us = (uint32_t)config->chunk_us,
        .payload_len = (uint32_t)t->media.len,
        .part_bytes = config->part_bytes,
        .parts_n = (uint16_t)config->parts_n,
        .root = *root,
        .prev = *prev,
    };
    struct writer w = writer_of(to->statement, sizeof(to->statement));
    chunk_encode(&c, &w);
    CHECK(!w.full && w.len == STATEMENT_BYTES_MIN);
    struct slice statement = slice_of(to->statement, w.len);
    to->sig = object_sign(OBJECT_CHUNK, statement, &t->streamer->key);
    *prev = object_hash(OBJECT_CHUNK, statement);
    struct hash leaf = merkle_leaf(slice_of(prev->b, HASH_BYTES));
    merkle_add(&t->statements, &leaf);
}

static struct video video_of(const struct tape_config *config, const struct streamer *streamer)
{
    struct video v = {
        .zone_id = streamer->credential.zone_id,
        .streamer_id = streamer->credential.subject,
        .title = slice_str("bench"),
        .category = slice_str("bench"),
        .media_type = slice_str("application/octet-stream"),
        .live = config->live,
        .created_us = clock_utc_us(),
    };
    if (id_parse(slice_str(config->video_id), &v.video_id) != ERR_OK)
        die("'%s' is no video id", config->video_id);
    v.revision_us = v.created_us;
    crypto_random(v.nonce.b, HASH_BYTES);
    return v;
}

void tape_make(struct tape *t, const struct tape_config *config, const struct streamer *streamer)
{
    *t = (struct tape){
        .config = *config,
        .streamer = streamer,
        .video = video_of(config, streamer),
        .media = media_of((size_t)config->part_bytes * config->parts_n),
        .proofs = mem_array((size_t)config->parts_n * PROOF_HASHES_MAX, sizeof(struct hash)),
        .chunks = mem_array(config->chunks_n, sizeof(struct tape_chunk))};
    struct hash root = hash_media(t);
    struct hash stream = video_stream(&t->video);
    struct hash prev = {0};
    uint64_t now_us = clock_utc_us();
    for (uint32_t number = 1; number <= config->chunks_n; number++)
        sign_chunk(t, number, now_us, &root, &prev, &stream);
}

size_t tape_part(const struct tape *t, uint32_t chunk, uint32_t part, uint8_t *lead,
                 struct slice *ret_body)
{
    CHECK(chunk >= 1 && chunk <= t->config.chunks_n && part < t->config.parts_n);
    const struct tape_chunk *c = &t->chunks[chunk - 1];
    const struct hash *proof = t->proofs + (size_t)part * PROOF_HASHES_MAX;
    struct writer w = writer_of(lead, MQ_LEAD_BYTES_MAX);
    write_bytes(&w, "EVC1", 4);
    write_u16(&w, STATEMENT_BYTES_MIN);
    write_bytes(&w, c->statement, STATEMENT_BYTES_MIN);
    write_bytes(&w, c->sig.b, SIGNATURE_BYTES);
    write_u16(&w, (uint16_t)part);
    write_bytes(&w, proof, merkle_proof_len(part, t->config.parts_n) * HASH_BYTES);
    CHECK(!w.full);
    *ret_body = slice_of(t->media.ptr + (size_t)part * t->config.part_bytes, t->config.part_bytes);
    return w.len;
}

size_t tape_packet_bytes(const struct tape *t)
{
    struct slice body;
    uint8_t lead[MQ_LEAD_BYTES_MAX];
    return tape_part(t, 1, 0, lead, &body) + t->config.part_bytes;
}

/* ---- its messages ---- */

static struct slice sign_video(const struct tape *t, const struct video *video, struct arena *arena)
{
    uint8_t body[VIDEO_OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    video_encode(video, &w);
    struct writer out =
        writer_of(arena_alloc(arena, VIDEO_OBJECT_BYTES_MAX), VIDEO_OBJECT_BYTES_MAX);
    signed_append(&out, OBJECT_VIDEO, slice_of(body, w.len), &t->streamer->key);
    CHECK(!w.full && !out.full);
    return slice_of(out.buf, out.len);
}

struct slice tape_init(const struct tape *t, struct slice edge_id, struct arena *arena)
{
    const struct video *v = &t->video;
    struct upload_init init = {
        .video_id = v->video_id,
        .title = v->title,
        .category = v->category,
        .streamer_id = v->streamer_id,
        .streamer_name = t->streamer->credential.display_name,
        .credential = slice_of(t->streamer->bytes, t->streamer->len),
        .statement = sign_video(t, v, arena),
    };
    struct request_signer signer = {
        .target = edge_id, .ts_us = clock_utc_us(), .key = &t->streamer->key};
    crypto_random(signer.nonce.b, NONCE_BYTES);
    return upload_init_encode(&init, v->live, &signer, arena);
}

struct slice tape_end(const struct tape *t, struct arena *arena)
{
    uint8_t body[MANIFEST_OBJECT_BYTES_MAX];
    struct manifest manifest = {
        .stream = video_stream(&t->video),
        .chunks = t->config.chunks_n,
        .bytes = (uint64_t)t->config.chunks_n * t->media.len,
        .root = merkle_root(&t->statements),
    };
    struct writer w = writer_of(body, sizeof(body));
    manifest_encode(&manifest, &w);
    struct writer out =
        writer_of(arena_alloc(arena, MANIFEST_OBJECT_BYTES_MAX), MANIFEST_OBJECT_BYTES_MAX);
    signed_append(&out, OBJECT_MANIFEST, slice_of(body, w.len), &t->streamer->key);
    CHECK(!w.full && !out.full);
    struct video final = t->video;
    final.revision_us++;
    final.manifest_hash = object_hash(OBJECT_MANIFEST, slice_of(body, w.len));
    struct upload_end end = {
        .video_id = final.video_id,
        .streamer_id = final.streamer_id,
        .manifest = slice_of(out.buf, out.len),
        .statement = sign_video(t, &final, arena),
    };
    return upload_end_encode(&end, arena);
}
