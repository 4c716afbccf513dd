/* keys.json, objects.json and merkle.json. */
#include "base/check.h"
#include "tests/unit/trust/fixture.h"
#include "tests/unit/trust/vectors.h"

#include <stdio.h>

enum { BODY_BYTES_MAX = 4096 };

void vectors_keys(struct json *j)
{
    json_open(j, "ed25519", '[');
    for (int k = 0; k < FIXTURE_KEYS_N; k++) {
        struct signkey key = fixture_key((enum fixture_key)k);
        json_open(j, NULL, '{');
        json_text(j, "name", slice_str(fixture_key_name((enum fixture_key)k)));
        json_hex(j, "seed", slice_of(key.seed, KEY_BYTES));
        json_hex(j, "public", slice_of(key.pk.b, KEY_BYTES));
        json_close(j, '}');
    }
    json_close(j, ']');
    struct boxkey box = fixture_box();
    json_open(j, "x25519", '{');
    json_text(j, "name", slice_str("zone's box"));
    json_hex(j, "secret", slice_of(box.sk, KEY_BYTES));
    json_hex(j, "public", slice_of(box.pk.b, KEY_BYTES));
    json_close(j, '}');
    struct hash zone_secret = fixture_bytes(0x41), edge_secret = fixture_bytes(0x51);
    json_hash(j, "zone_secret", &zone_secret);
    json_hash(j, "edge_secret", &edge_secret);
}

/* --- objects ------------------------------------------------------------- */

static void put_id(struct json *j, const char *name, const struct id *id)
{
    json_text(j, name, id_slice(id));
}

static void put_pubkey(struct json *j, const char *name, const struct pubkey *pk)
{
    json_hex(j, name, slice_of(pk->b, KEY_BYTES));
}

/* An object begins with what it is, then come its fields, then its bytes. */
static void object_begin(struct json *j, const char *name)
{
    json_open(j, NULL, '{');
    json_text(j, "name", slice_str(name));
    json_open(j, "fields", '{');
}

static void object_end(struct json *j, enum object_type type, const struct writer *body,
                       enum fixture_key key)
{
    struct fixture_object o;
    fixture_sign(type, body, key, &o);
    struct slice domain = object_domain(type);
    struct hash hash = object_hash(type, o.body);
    const char *type_name = (const char *)domain.ptr + strlen("edge-cluster/v1/");
    json_close(j, '}');
    json_text(j, "type", slice_str(type_name));
    json_text(j, "signed_by", slice_str(fixture_key_name(key)));
    json_hex(j, "body", o.body);
    json_hex(j, "signature", slice_from(o.whole, o.body.len));
    json_hash(j, "hash", &hash);
    json_b64(j, "base64", o.whole);
    json_close(j, '}');
}

static void put_zone(struct json *j, const char *name, const struct zone_params *z,
                     enum fixture_key key)
{
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, name);
    put_id(j, "zone_id", &z->zone_id);
    put_pubkey(j, "sign_pk", &z->sign_pk);
    put_pubkey(j, "box_pk", &z->box_pk);
    json_u32(j, "key_epoch", z->key_epoch);
    json_u64(j, "issued", z->issued_us);
    json_open(j, "links", '[');
    for (size_t i = 0; i < z->links_n; i++) {
        const struct zone_link *l = &z->links[i];
        uint8_t link_bytes[256];
        struct writer link = writer_of(link_bytes, sizeof(link_bytes));
        zone_link_body(&z->zone_id, l, &link);
        json_open(j, NULL, '{');
        json_u32(j, "old_epoch", l->old_epoch);
        put_pubkey(j, "old_pk", &l->old_pk);
        json_u32(j, "new_epoch", l->new_epoch);
        put_pubkey(j, "new_pk", &l->new_pk);
        json_hex(j, "signed_body", slice_of(link_bytes, link.len));
        json_hex(j, "signature", slice_of(l->sig.b, SIGNATURE_BYTES));
        json_close(j, '}');
    }
    json_close(j, ']');
    zone_params_encode(z, &w);
    object_end(j, OBJECT_ZONE, &w, key);
}

/* The epoch is 1 for the zone's first key, and so on. */
static void put_credential(struct json *j, const char *name, enum credential_kind kind,
                           enum fixture_key key)
{
    struct credential c = fixture_credential(kind);
    c.key_epoch = 1 + (uint32_t)(key - KEY_ZONE);
    c.serial += 10 * (uint64_t)(key - KEY_ZONE);
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, name);
    json_u32(j, "kind", (uint32_t)c.kind);
    put_id(j, "subject", &c.subject);
    json_text(j, "display_name", c.display_name);
    put_pubkey(j, "pk", &c.pk);
    put_id(j, "zone_id", &c.zone_id);
    json_u32(j, "key_epoch", c.key_epoch);
    json_u64(j, "serial", c.serial);
    json_u64(j, "not_before", c.not_before_us);
    json_u64(j, "not_after", c.not_after_us);
    credential_encode(&c, &w);
    object_end(j, OBJECT_CREDENTIAL, &w, key);
}

static void put_video(struct json *j, const char *name, const struct video *v)
{
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, name);
    put_id(j, "zone_id", &v->zone_id);
    put_id(j, "video_id", &v->video_id);
    put_id(j, "streamer_id", &v->streamer_id);
    json_hash(j, "nonce", &v->nonce);
    json_text(j, "title", v->title);
    json_text(j, "description", v->description);
    json_text(j, "category", v->category);
    json_u32(j, "live", v->live);
    json_hash(j, "thumbnail_hash", &v->thumbnail_hash);
    json_text(j, "media_type", v->media_type);
    json_text(j, "codecs", v->codecs);
    json_u64(j, "created", v->created_us);
    json_u64(j, "revision", v->revision_us);
    json_hash(j, "manifest_hash", &v->manifest_hash);
    video_encode(v, &w);
    object_end(j, OBJECT_VIDEO, &w, KEY_STREAMER);
}

static void put_receipt(struct json *j)
{
    struct receipt r = {
        .zone_id = fixture_id("zone1"),
        .edge_id = fixture_id("edge1"),
        .stream = fixture_stream(),
        .last_chunk = 4,
        .hash = fixture_bytes(0xb2),
        .time_us = fixture_now_us,
    };
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, "receipt");
    put_id(j, "zone_id", &r.zone_id);
    put_id(j, "edge_id", &r.edge_id);
    json_hash(j, "stream", &r.stream);
    json_u32(j, "track", r.track);
    json_u32(j, "last_chunk", r.last_chunk);
    json_hash(j, "hash", &r.hash);
    json_u64(j, "time", r.time_us);
    receipt_encode(&r, &w);
    object_end(j, OBJECT_RECEIPT, &w, KEY_EDGE);
}

static void put_holding(struct json *j, const char *name, enum object_type type, uint8_t state)
{
    struct holding h = {
        .zone_id = fixture_id("zone1"),
        .edge_id = fixture_id("edge1"),
        .video_id = fixture_id("video1"),
        .streamer_id = fixture_id("streamer1"),
        .stream = fixture_stream(),
        .state = state,
        .hlc = fixture_now_us / 1000 << 16 | 3,
    };
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, name);
    put_id(j, "zone_id", &h.zone_id);
    put_id(j, "edge_id", &h.edge_id);
    put_id(j, "video_id", &h.video_id);
    put_id(j, "streamer_id", &h.streamer_id);
    json_hash(j, "stream", &h.stream);
    json_u32(j, "state", h.state);
    json_u64(j, "hlc", h.hlc);
    holding_encode(&h, &w);
    object_end(j, type, &w, KEY_EDGE);
}

static void put_deletion(struct json *j, const char *name, enum fixture_key key)
{
    struct deletion d = {
        .zone_id = fixture_id("zone1"),
        .video_id = fixture_id("video1"),
        .streamer_id = fixture_id("streamer1"),
        .revision_us = fixture_now_us + 2,
    };
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, name);
    put_id(j, "zone_id", &d.zone_id);
    put_id(j, "video_id", &d.video_id);
    put_id(j, "streamer_id", &d.streamer_id);
    json_u64(j, "revision", d.revision_us);
    deletion_encode(&d, &w);
    object_end(j, OBJECT_DELETION, &w, key);
}

static void put_status(struct json *j, const char *name, uint8_t state)
{
    struct node_status s = {
        .zone_id = fixture_id("zone1"),
        .edge_id = fixture_id("edge1"),
        .state = state,
        .time_us = fixture_now_us,
        .since_us = fixture_now_us - 7,
        .horizon_us = fixture_now_us / 3600000000 * 3600000000,
        .disk_free = (uint64_t)3 << 40,
        .disk_total = (uint64_t)4 << 40,
    };
    for (size_t i = 0; i < NODE_ROOT_BYTES; i++)
        s.root[i] = (uint8_t)(0xc0 + i);
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, name);
    put_id(j, "zone_id", &s.zone_id);
    put_id(j, "edge_id", &s.edge_id);
    json_u32(j, "state", s.state);
    json_u64(j, "time", s.time_us);
    json_u64(j, "since", s.since_us);
    json_u64(j, "horizon", s.horizon_us);
    json_hex(j, "root", slice_of(s.root, sizeof(s.root)));
    json_u64(j, "disk_free", s.disk_free);
    json_u64(j, "disk_total", s.disk_total);
    node_status_encode(&s, &w);
    object_end(j, OBJECT_STATUS, &w, KEY_EDGE);
}

static void put_proof_object(struct json *j, const char *name, uint16_t n)
{
    struct possession p = {
        .zone_id = fixture_id("zone1"),
        .edge_id = fixture_id("edge1"),
        .asker_id = fixture_id("edge2"),
        .stream = fixture_stream(),
        .n = n,
    };
    memset(p.nonce.b, 0x77, sizeof(p.nonce.b));
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, name);
    put_id(j, "zone_id", &p.zone_id);
    put_id(j, "edge_id", &p.edge_id);
    put_id(j, "asker_id", &p.asker_id);
    json_hash(j, "stream", &p.stream);
    json_hex(j, "nonce", slice_of(p.nonce.b, sizeof(p.nonce.b)));
    json_open(j, "hashes", '[');
    for (uint16_t i = 0; i < n; i++) {
        p.hashes[i] = fixture_bytes((uint8_t)(0xd0 + i));
        json_open(j, NULL, '{');
        json_hash(j, "hash", &p.hashes[i]);
        json_close(j, '}');
    }
    json_close(j, ']');
    possession_encode(&p, &w);
    object_end(j, OBJECT_PROOF, &w, KEY_EDGE);
}

/* By the zone's first key at epoch 1, and so on. */
static void put_revocations(struct json *j, const char *name, enum fixture_key key,
                            const struct revocation *revoked, uint32_t n)
{
    uint8_t entries[64];
    struct writer e = writer_of(entries, sizeof(entries));
    struct revocations r = {
        .zone_id = fixture_id("zone1"),
        .key_epoch = 1 + (uint32_t)(key - KEY_ZONE),
        .number = 12,
        .issued_us = fixture_now_us,
        .next_us = fixture_now_us + (uint64_t)3600 * 1000 * 1000,
        .n = n,
    };
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, name);
    put_id(j, "zone_id", &r.zone_id);
    json_u32(j, "key_epoch", r.key_epoch);
    json_u64(j, "number", r.number);
    json_u64(j, "issued", r.issued_us);
    json_u64(j, "next", r.next_us);
    json_open(j, "revoked", '[');
    for (size_t i = 0; i < n; i++) {
        json_open(j, NULL, '{');
        json_u64(j, "serial", revoked[i].serial);
        json_u64(j, "since", revoked[i].since_us);
        json_close(j, '}');
        write_u64(&e, revoked[i].serial);
        write_u64(&e, revoked[i].since_us);
    }
    json_close(j, ']');
    CHECK(!e.full);
    r.entries = slice_of(entries, e.len);
    revocations_encode(&r, &w);
    object_end(j, OBJECT_REVOCATIONS, &w, key);
}

static void put_delegation(struct json *j, const char *name, uint16_t tracks_n)
{
    struct delegation d = {
        .stream = fixture_stream(),
        .edge_pk = fixture_key(KEY_EDGE).pk,
        .tracks_n = tracks_n,
        .tracks = {1, 65535},
        .not_after_us = fixture_now_us + 1,
    };
    uint8_t bytes[BODY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof(bytes));
    object_begin(j, name);
    json_hash(j, "stream", &d.stream);
    put_pubkey(j, "edge_pk", &d.edge_pk);
    json_open(j, "tracks", '[');
    for (size_t i = 0; i < d.tracks_n; i++)
        json_u32(j, NULL, d.tracks[i]);
    json_close(j, ']');
    json_u64(j, "not_after", d.not_after_us);
    delegation_encode(&d, &w);
    object_end(j, OBJECT_DELEGATION, &w, KEY_STREAMER);
}

void vectors_objects(struct json *j)
{
    struct zone_params zone = fixture_zone(), rotated = fixture_zone_rotated();
    struct video first = fixture_video(), last = first, live = first;
    const struct revocation revoked[] = {{7, fixture_now_us - 1}, {UINT64_MAX, fixture_now_us}};
    last.revision_us += 1;
    last.manifest_hash = fixture_bytes(0xb1);
    live.live = true;
    live.description = live.codecs = slice_str("");
    live.thumbnail_hash = video_thumbnail_hash(slice_str(""));

    json_open(j, "objects", '[');
    put_zone(j, "zone, first key", &zone, KEY_ZONE);
    put_zone(j, "zone, third key, with the links that lead to it", &rotated, KEY_ZONE_3);
    put_credential(j, "credential of an edge", CREDENTIAL_EDGE, KEY_ZONE);
    put_credential(j, "credential of a streamer", CREDENTIAL_STREAMER, KEY_ZONE);
    put_credential(j, "credential of an edge, second key", CREDENTIAL_EDGE, KEY_ZONE_2);
    put_credential(j, "credential of a streamer, third key", CREDENTIAL_STREAMER, KEY_ZONE_3);
    put_video(j, "video, first revision", &first);
    put_video(j, "video, final revision", &last);
    put_video(j, "video, live, without thumbnail, description and codecs", &live);
    put_receipt(j);
    put_holding(j, "custody, a whole copy", OBJECT_CUSTODY, 1);
    put_holding(j, "custody, gone", OBJECT_CUSTODY, 0);
    put_holding(j, "presence, live", OBJECT_PRESENCE, 1);
    put_holding(j, "presence, ended", OBJECT_PRESENCE, 0);
    put_deletion(j, "deletion", KEY_STREAMER);
    put_deletion(j, "deletion, by the zone", KEY_ZONE);
    put_revocations(j, "revocations", KEY_ZONE, revoked, 2);
    put_revocations(j, "revocations of nobody, third key", KEY_ZONE_3, revoked, 0);
    put_revocations(j, "revocations, third key", KEY_ZONE_3, revoked, 2);
    put_delegation(j, "delegation of two tracks", 2);
    put_delegation(j, "delegation of thumbnails", 1);
    put_status(j, "status, online", 1);
    put_status(j, "status, stopping", 0);
    put_proof_object(j, "proof of two parts", 2);
    put_proof_object(j, "proof of nothing", 0);
    json_close(j, ']');
}

/* --- trees --------------------------------------------------------------- */

enum { LEAVES_MAX = 9 };

static void put_proof(struct json *j, const struct hash *leaves, uint32_t n, uint32_t index)
{
    struct hash proof[MERKLE_DEPTH_MAX];
    merkle_prove(leaves, n, index, proof);
    json_open(j, NULL, '[');
    for (size_t i = 0; i < merkle_proof_len(index, n); i++)
        json_hash(j, NULL, &proof[i]);
    json_close(j, ']');
}

void vectors_merkle(struct json *j)
{
    struct hash leaves[LEAVES_MAX];
    struct merkle tree = {0};
    json_open(j, "leaf_hashes", '[');
    for (size_t i = 0; i < LEAVES_MAX; i++) {
        uint8_t data = (uint8_t)i;
        leaves[i] = merkle_leaf(slice_of(&data, 1));
        json_hash(j, NULL, &leaves[i]);
    }
    json_close(j, ']');
    json_open(j, "trees", '[');
    for (uint32_t n = 1; n <= LEAVES_MAX; n++) {
        merkle_add(&tree, &leaves[n - 1]);
        struct hash root = merkle_root(&tree);
        json_open(j, NULL, '{');
        json_u32(j, "leaves", n);
        json_hash(j, "root", &root);
        json_open(j, "proofs", '[');
        for (uint32_t i = 0; i < n; i++)
            put_proof(j, leaves, n, i);
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
}
