/* The codecs of the signed objects: their invariants on random objects, then each rule. */
#include "base/mem.h"
#include "tests/unit/trust/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BODY_BYTES_MAX = REVOCATIONS_BODY_BYTES_MAX, ROUNDS = 60, MUTATIONS = 200 };

/* --- one random maker and one re-encoder for each type ------------------- */

static char text_buf[6][1200];
static uint8_t entries_buf[20 * 16];

static struct hash random_hash(struct prng *p)
{
    struct hash h;
    prng_fill(p, &h, sizeof(h));
    return h;
}

static struct pubkey random_pubkey(struct prng *p)
{
    struct pubkey pk;
    prng_fill(p, &pk, sizeof(pk));
    return pk;
}

static void make_zone(struct prng *p, struct writer *w)
{
    struct zone_params z = {
        .zone_id = prng_id(p),
        .sign_pk = random_pubkey(p),
        .box_pk = random_pubkey(p),
        .key_epoch = (uint32_t)prng_next(p),
        .issued_us = prng_next(p),
        .links_n = (uint8_t)prng_below(p, ZONE_LINKS_MAX + 1),
    };
    for (size_t i = 0; i < z.links_n; i++)
        prng_fill(p, &z.links[i], sizeof(z.links[i]));
    zone_params_encode(&z, w);
}

static void make_credential(struct prng *p, struct writer *w)
{
    struct credential c = {
        .kind = (enum credential_kind)(1 + prng_below(p, 2)),
        .subject = prng_id(p),
        .display_name = prng_text(p, text_buf[0], NAME_BYTES_MAX),
        .pk = random_pubkey(p),
        .zone_id = prng_id(p),
        .key_epoch = (uint32_t)prng_next(p),
        .serial = prng_next(p),
        .not_before_us = prng_next(p),
        .not_after_us = prng_next(p),
    };
    credential_encode(&c, w);
}

static void make_video(struct prng *p, struct writer *w)
{
    struct video v = {
        .zone_id = prng_id(p),
        .video_id = prng_id(p),
        .streamer_id = prng_id(p),
        .nonce = random_hash(p),
        .title = prng_text(p, text_buf[0], TITLE_BYTES_MAX),
        .description = prng_text(p, text_buf[1], DESCRIPTION_BYTES_MAX),
        .category = prng_text(p, text_buf[2], CATEGORY_BYTES_MAX),
        .live = prng_below(p, 2),
        .thumbnail_hash = random_hash(p),
        .media_type = prng_text(p, text_buf[3], MEDIA_TYPE_BYTES_MAX),
        .codecs = prng_text(p, text_buf[4], CODECS_BYTES_MAX),
        .created_us = prng_next(p),
        .revision_us = prng_next(p),
        .manifest_hash = random_hash(p),
    };
    video_encode(&v, w);
}

static void make_manifest(struct prng *p, struct writer *w)
{
    struct manifest m = {
        .stream = random_hash(p),
        .track = (uint16_t)prng_next(p),
        .chunks = (uint32_t)prng_next(p),
        .bytes = prng_next(p),
        .root = random_hash(p),
    };
    manifest_encode(&m, w);
}

static void make_receipt(struct prng *p, struct writer *w)
{
    struct receipt r = {
        .zone_id = prng_id(p),
        .edge_id = prng_id(p),
        .stream = random_hash(p),
        .track = (uint16_t)prng_next(p),
        .last_chunk = (uint32_t)prng_next(p),
        .hash = random_hash(p),
        .time_us = prng_next(p),
    };
    receipt_encode(&r, w);
}

static void make_holding(struct prng *p, struct writer *w)
{
    struct holding h = {
        .zone_id = prng_id(p),
        .edge_id = prng_id(p),
        .video_id = prng_id(p),
        .streamer_id = prng_id(p),
        .stream = random_hash(p),
        .state = (uint8_t)prng_below(p, 2),
        .hlc = prng_next(p),
    };
    holding_encode(&h, w);
}

static void make_deletion(struct prng *p, struct writer *w)
{
    struct deletion d = {
        .zone_id = prng_id(p),
        .video_id = prng_id(p),
        .streamer_id = prng_id(p),
        .revision_us = prng_next(p),
    };
    deletion_encode(&d, w);
}

static void make_revocations(struct prng *p, struct writer *w)
{
    struct revocations r = {
        .zone_id = prng_id(p),
        .key_epoch = (uint32_t)prng_next(p),
        .number = prng_next(p),
        .issued_us = prng_next(p),
        .next_us = prng_next(p),
        .n = prng_below(p, 20),
    };
    struct writer entries = writer_of(entries_buf, sizeof(entries_buf));
    for (uint64_t i = 0, serial = prng_below(p, 9); i < r.n; i++, serial += 1 + prng_below(p, 9)) {
        write_u64(&entries, serial);
        write_u64(&entries, prng_next(p));
    }
    r.entries = slice_of(entries_buf, entries.len);
    revocations_encode(&r, w);
}

static void make_delegation(struct prng *p, struct writer *w)
{
    struct delegation d = {
        .stream = random_hash(p),
        .edge_pk = random_pubkey(p),
        .tracks_n = (uint16_t)prng_below(p, DELEGATION_TRACKS_MAX + 1),
        .not_after_us = prng_next(p),
    };
    for (size_t i = 0; i < d.tracks_n; i++)
        d.tracks[i] = (uint16_t)(1 + prng_below(p, UINT16_MAX));
    delegation_encode(&d, w);
}

static void make_status(struct prng *p, struct writer *w)
{
    struct node_status s = {
        .zone_id = prng_id(p),
        .edge_id = prng_id(p),
        .state = (uint8_t)prng_below(p, 2),
        .time_us = prng_next(p),
        .since_us = prng_next(p),
        .horizon_us = prng_next(p),
        .disk_free = prng_next(p),
        .disk_total = prng_next(p),
    };
    prng_fill(p, s.root, sizeof(s.root));
    node_status_encode(&s, w);
}

static void make_proof(struct prng *p, struct writer *w)
{
    struct possession proof = {
        .zone_id = prng_id(p),
        .edge_id = prng_id(p),
        .asker_id = prng_id(p),
        .stream = random_hash(p),
        .n = (uint16_t)prng_below(p, POSSESSION_PARTS_MAX + 1),
    };
    prng_fill(p, proof.nonce.b, sizeof(proof.nonce.b));
    for (size_t i = 0; i < proof.n; i++)
        proof.hashes[i] = random_hash(p);
    possession_encode(&proof, w);
}

/* Decode and encode again; a decoder that fails must leave its output alone. */
#define AGAIN(type, name)                                                                          \
    static enum err again_##type(struct slice body, struct writer *w)                              \
    {                                                                                              \
        struct name x, before;                                                                     \
        memset(&x, 0x5a, sizeof(x));                                                               \
        memset(&before, 0x5a, sizeof(before));                                                     \
        enum err err = name##_decode(body, &x);                                                    \
        if (err != ERR_OK)                                                                         \
            assert_memory_equal(&x, &before, sizeof(x));                                           \
        else                                                                                       \
            name##_encode(&x, w);                                                                  \
        return err;                                                                                \
    }
AGAIN(zone, zone_params)
AGAIN(credential, credential)
AGAIN(video, video)
AGAIN(manifest, manifest)
AGAIN(receipt, receipt)
AGAIN(holding, holding)
AGAIN(deletion, deletion)
AGAIN(revocations, revocations)
AGAIN(delegation, delegation)
AGAIN(status, node_status)
AGAIN(proof, possession)

struct codec {
    const char *name;
    void (*make)(struct prng *p, struct writer *w);
    enum err (*again)(struct slice body, struct writer *w);
};

#define CODEC(type)                                                                                \
    {                                                                                              \
#type, make_##type, again_##type                                                           \
    }
static const struct codec codecs[] = {
    CODEC(zone),       CODEC(credential), CODEC(video),    CODEC(manifest),
    CODEC(receipt),    CODEC(holding),    CODEC(deletion), CODEC(revocations),
    CODEC(delegation), CODEC(status),     CODEC(proof),
};
enum { CODECS_N = sizeof(codecs) / sizeof(codecs[0]) };

static uint8_t body_buf[BODY_BYTES_MAX], again_buf[BODY_BYTES_MAX];

/* What the codec says of a copy that ends where its memory ends. */
static enum err try_bytes(const struct codec *c, struct slice bytes, struct slice *ret_again)
{
    uint8_t *exact = mem_alloc_raw(bytes.len);
    memcpy(exact, bytes.ptr, bytes.len);
    struct writer w = writer_of(again_buf, sizeof(again_buf));
    enum err err = c->again(slice_of(exact, bytes.len), &w);
    assert_false(w.full);
    *ret_again = slice_of(again_buf, w.len);
    free(exact);
    return err;
}

static struct slice make_body(const struct codec *c, struct prng *p)
{
    struct writer w = writer_of(body_buf, sizeof(body_buf) - 1);
    c->make(p, &w);
    assert_false(w.full);
    return slice_of(body_buf, w.len);
}

/* I1 of object.h, both halves. */
static void test_round_trip(void **state)
{
    (void)state;
    for (size_t k = 0; k < CODECS_N; k++) {
        struct prng p = {k};
        for (int round = 0; round < ROUNDS; round++) {
            struct slice body = make_body(&codecs[k], &p), again;
            if (try_bytes(&codecs[k], body, &again) != ERR_OK || !slice_eq(body, again))
                fail_msg("%s, round %d", codecs[k].name, round);
        }
    }
}

static void test_length(void **state)
{
    (void)state;
    for (size_t k = 0; k < CODECS_N; k++) {
        struct prng p = {100 + k};
        struct slice body = make_body(&codecs[k], &p), again;
        for (size_t len = 0; len < body.len; len++)
            if (try_bytes(&codecs[k], slice_of(body.ptr, len), &again) == ERR_OK)
                fail_msg("%s cut at %zu of %zu", codecs[k].name, len, body.len);
        body_buf[body.len] = 0;
        assert_int_equal(try_bytes(&codecs[k], slice_of(body.ptr, body.len + 1), &again),
                         ERR_FORMAT);
    }
}

static void test_mutations(void **state)
{
    (void)state;
    for (size_t k = 0; k < CODECS_N; k++) {
        struct prng p = {200 + k};
        for (int i = 0; i < MUTATIONS; i++) {
            struct slice body = make_body(&codecs[k], &p), again;
            for (uint32_t n = 1 + prng_below(&p, 3); n; n--)
                body_buf[prng_below(&p, (uint32_t)body.len)] = (uint8_t)prng_next(&p);
            if (try_bytes(&codecs[k], body, &again) == ERR_OK && !slice_eq(body, again))
                fail_msg("%s, mutation %d: two encodings of one object", codecs[k].name, i);
        }
    }
}

static void test_version(void **state)
{
    (void)state;
    for (size_t k = 0; k < CODECS_N; k++) {
        struct prng p = {300 + k};
        struct slice body = make_body(&codecs[k], &p), again;
        for (unsigned v = 0; v < 256; v++) {
            body_buf[0] = (uint8_t)v;
            assert_int_equal(try_bytes(&codecs[k], body, &again), v == 1 ? ERR_OK : ERR_FORMAT);
        }
    }
}

/* A writer that is too small says so, at every size. */
static void test_full(void **state)
{
    (void)state;
    for (size_t k = 0; k < CODECS_N; k++) {
        struct prng p = {400 + k};
        struct slice body = make_body(&codecs[k], &p);
        for (size_t cap = 0; cap < body.len; cap++) {
            struct prng same = {400 + k};
            struct writer w = writer_of(again_buf, cap);
            codecs[k].make(&same, &w);
            assert_true(w.full);
        }
    }
}

/* --- each rule ----------------------------------------------------------- */

static enum err decode_video(const struct video *v, struct video *ret)
{
    struct writer w = writer_of(body_buf, sizeof(body_buf));
    video_encode(v, &w);
    assert_false(w.full);
    return video_decode(slice_of(body_buf, w.len), ret);
}

static void check_text_limit(struct video *v, struct slice *field, size_t max)
{
    static char text[DESCRIPTION_BYTES_MAX + 1];
    struct video out;
    struct slice kept = *field;
    memset(text, 'x', sizeof(text));
    *field = slice_of(text, 0);
    assert_int_equal(decode_video(v, &out), ERR_OK);
    *field = slice_of(text, max);
    assert_int_equal(decode_video(v, &out), ERR_OK);
    *field = slice_of(text, max + 1);
    assert_int_equal(decode_video(v, &out), ERR_LIMIT);
    *field = slice_of("a\0b", 3);
    assert_int_equal(decode_video(v, &out), ERR_FORMAT);
    *field = slice_str("caf\xe9");
    assert_int_equal(decode_video(v, &out), ERR_FORMAT);
    *field = kept;
}

static void test_texts(void **state)
{
    (void)state;
    struct video v = fixture_video(), out;
    check_text_limit(&v, &v.title, TITLE_BYTES_MAX);
    check_text_limit(&v, &v.description, DESCRIPTION_BYTES_MAX);
    check_text_limit(&v, &v.category, CATEGORY_BYTES_MAX);
    check_text_limit(&v, &v.media_type, MEDIA_TYPE_BYTES_MAX);
    check_text_limit(&v, &v.codecs, CODECS_BYTES_MAX);
    assert_int_equal(decode_video(&v, &out), ERR_OK);
    assert_true(slice_eq(out.title, v.title));
    assert_true(id_eq(&out.streamer_id, &v.streamer_id));
    assert_true(hash_eq(&out.thumbnail_hash, &v.thumbnail_hash));

    char name[NAME_BYTES_MAX + 1];
    struct credential c = fixture_credential(CREDENTIAL_STREAMER), c_out;
    memset(name, 'n', sizeof(name));
    for (size_t len = NAME_BYTES_MAX; len <= NAME_BYTES_MAX + 1; len++) {
        struct writer w = writer_of(body_buf, sizeof(body_buf));
        c.display_name = slice_of(name, len);
        credential_encode(&c, &w);
        assert_int_equal(credential_decode(slice_of(body_buf, w.len), &c_out),
                         len <= NAME_BYTES_MAX ? ERR_OK : ERR_LIMIT);
    }
}

/* Every value of one byte of a body: only min..max are accepted. */
static void check_byte(const struct codec *c, struct slice body, size_t at, uint8_t min,
                       uint8_t max)
{
    for (unsigned v = 0; v < 256; v++) {
        struct slice again;
        body_buf[at] = (uint8_t)v;
        assert_int_equal(try_bytes(c, body, &again), v >= min && v <= max ? ERR_OK : ERR_FORMAT);
    }
}

static void test_values(void **state)
{
    (void)state;
    struct writer w = writer_of(body_buf, sizeof(body_buf));
    struct credential c = fixture_credential(CREDENTIAL_EDGE);
    credential_encode(&c, &w);
    check_byte(&codecs[1], slice_of(body_buf, w.len), 1, 1, 2);

    struct video v = fixture_video();
    w = writer_of(body_buf, sizeof(body_buf));
    video_encode(&v, &w);
    size_t live_at =
        w.len - (HASH_BYTES + 8 + 8 + 4 + v.codecs.len + 4 + v.media_type.len + HASH_BYTES + 1);
    check_byte(&codecs[2], slice_of(body_buf, w.len), live_at, 0, 1);

    struct prng p = {1};
    struct slice body = make_body(&codecs[5], &p);
    check_byte(&codecs[5], body, body.len - 9, 0, 1);

    body = make_body(&codecs[9], &p);
    check_byte(&codecs[9], body, body.len - (NODE_ROOT_BYTES + 5 * 8 + 1), 0, 1);
}

#define LONG_ID "12345678901234567890123456789012345678901234567890123456789012345" /* 65 */

static void test_ids(void **state)
{
    static const char *const refused[] = {"", "a b", "a/b", "a+", "é", LONG_ID};
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct writer w = writer_of(body_buf, sizeof(body_buf));
        struct deletion d;
        write_u8(&w, OBJECT_VERSION);
        write_str(&w, slice_str("zone1"));
        write_str(&w, slice_str(refused[i]));
        write_str(&w, slice_str("streamer1"));
        write_u64(&w, 1);
        assert_int_equal(deletion_decode(slice_of(body_buf, w.len), &d), ERR_FORMAT);
    }
}

/* The count one above its limit, with everything that it counts. */
static void test_counts(void **state)
{
    (void)state;
    struct zone_params z = fixture_zone();
    struct writer w = writer_of(body_buf, sizeof(body_buf));
    z.links_n = ZONE_LINKS_MAX;
    zone_params_encode(&z, &w);
    assert_int_equal(zone_params_decode(slice_of(body_buf, w.len), &z), ERR_OK);
    memset(body_buf + w.len, 0, sizeof(struct zone_link));
    body_buf[w.len - ZONE_LINKS_MAX * 136 - 1] = ZONE_LINKS_MAX + 1;
    assert_int_equal(zone_params_decode(slice_of(body_buf, w.len + 136), &z), ERR_LIMIT);

    struct delegation d = {.tracks_n = DELEGATION_TRACKS_MAX};
    memset(d.tracks, 1, sizeof(d.tracks));
    w = writer_of(body_buf, sizeof(body_buf));
    delegation_encode(&d, &w);
    assert_int_equal(delegation_decode(slice_of(body_buf, w.len), &d), ERR_OK);
    memset(body_buf + w.len, 1, 2);
    body_buf[1 + HASH_BYTES + KEY_BYTES] = DELEGATION_TRACKS_MAX + 1;
    assert_int_equal(delegation_decode(slice_of(body_buf, w.len + 2), &d), ERR_LIMIT);
    body_buf[1 + HASH_BYTES + KEY_BYTES] = DELEGATION_TRACKS_MAX;
    memset(body_buf + 1 + HASH_BYTES + KEY_BYTES + 4, 0, 2); /* track 0 is the streamer's */
    assert_int_equal(delegation_decode(slice_of(body_buf, w.len), &d), ERR_FORMAT);
}

static void test_counts_of_a_proof(void **state)
{
    (void)state;
    struct id id = fixture_id("edge1");
    for (size_t n = 0; n <= POSSESSION_PARTS_MAX; n += POSSESSION_PARTS_MAX) {
        struct possession p = {.zone_id = id, .edge_id = id, .asker_id = id, .n = (uint16_t)n}, out;
        struct writer w = writer_of(body_buf, sizeof(body_buf));
        possession_encode(&p, &w);
        assert_int_equal(possession_decode(slice_of(body_buf, w.len), &out), ERR_OK);
        assert_int_equal(out.n, n);
        memset(body_buf + w.len, 0, HASH_BYTES);
        body_buf[w.len - n * HASH_BYTES - 2]++;
        assert_int_equal(possession_decode(slice_of(body_buf, w.len + HASH_BYTES), &out),
                         n < POSSESSION_PARTS_MAX ? ERR_OK : ERR_LIMIT);
    }
}

/* --- domains and signatures ---------------------------------------------- */

static void test_domains(void **state)
{
    (void)state;
    for (int a = OBJECT_ZONE; a <= OBJECT_TOKEN; a++) {
        struct slice domain = object_domain((enum object_type)a);
        assert_true(slice_starts(domain, "edge-cluster/v1/"));
        assert_int_equal(domain.ptr[domain.len - 1], 0);
        assert_int_equal(strlen((const char *)domain.ptr), domain.len - 1);
        for (int b = OBJECT_ZONE; b < a; b++)
            assert_false(slice_eq(domain, object_domain((enum object_type)b)));
    }
}

/* A custody row is no presence row, though every byte of the bodies is the same. */
static void test_open(void **state)
{
    (void)state;
    struct prng p = {6};
    struct holding h;
    struct pubkey edge = fixture_key(KEY_EDGE).pk, stranger = fixture_key(KEY_STRANGER).pk;
    static struct fixture_object o;
    struct slice body = make_body(&codecs[5], &p);
    struct writer w = {.buf = body_buf, .cap = sizeof(body_buf), .len = body.len};
    fixture_sign(OBJECT_CUSTODY, &w, KEY_EDGE, &o);
    assert_int_equal(holding_open(OBJECT_CUSTODY, o.whole, &edge, &h), ERR_OK);
    assert_int_equal(holding_open(OBJECT_PRESENCE, o.whole, &edge, &h), ERR_SIGNATURE);
    assert_int_equal(holding_open(OBJECT_CUSTODY, o.whole, &stranger, &h), ERR_SIGNATURE);
    for (size_t i = 0; i < o.whole.len; i++) {
        o.bytes[i] ^= 1;
        assert_true(holding_open(OBJECT_CUSTODY, o.whole, &edge, &h) != ERR_OK);
        o.bytes[i] ^= 1;
    }
    for (size_t len = 0; len < o.whole.len; len++)
        assert_int_equal(holding_open(OBJECT_CUSTODY, slice_of(o.bytes, len), &edge, &h),
                         ERR_FORMAT);
}

static void test_opens(void **state)
{
    (void)state;
    static struct fixture_object o;
    struct prng p = {7};
    struct pubkey pk = fixture_key(KEY_STREAMER).pk, stranger = fixture_key(KEY_STRANGER).pk;
    struct video v = fixture_video(), v_out;
    struct manifest m;
    struct receipt r;
    struct writer w = writer_of(body_buf, sizeof(body_buf));
    video_encode(&v, &w);
    fixture_sign(OBJECT_VIDEO, &w, KEY_STREAMER, &o);
    assert_int_equal(video_open(o.whole, &pk, &v_out), ERR_OK);
    assert_true(slice_eq(v_out.title, v.title));
    assert_int_equal(video_open(o.whole, &stranger, &v_out), ERR_SIGNATURE);
    assert_int_equal(video_open(o.body, &pk, &v_out), ERR_FORMAT);

    w = writer_of(body_buf, sizeof(body_buf));
    make_manifest(&p, &w);
    fixture_sign(OBJECT_MANIFEST, &w, KEY_STREAMER, &o);
    assert_int_equal(manifest_open(o.whole, &pk, &m), ERR_OK);
    assert_int_equal(manifest_open(o.whole, &stranger, &m), ERR_SIGNATURE);

    w = writer_of(body_buf, sizeof(body_buf));
    make_receipt(&p, &w);
    fixture_sign(OBJECT_RECEIPT, &w, KEY_STREAMER, &o);
    assert_int_equal(receipt_open(o.whole, &pk, &r), ERR_OK);
    assert_int_equal(receipt_open(o.whole, &stranger, &r), ERR_SIGNATURE);

    struct delegation d;
    w = writer_of(body_buf, sizeof(body_buf));
    make_delegation(&p, &w);
    fixture_sign(OBJECT_DELEGATION, &w, KEY_STREAMER, &o);
    assert_int_equal(delegation_open(o.whole, &pk, &d), ERR_OK);
    assert_int_equal(delegation_open(o.whole, &stranger, &d), ERR_SIGNATURE);
    assert_int_equal(delegation_open(o.body, &pk, &d), ERR_FORMAT);
    assert_int_equal(delegation_open((struct slice){0}, &pk, &d), ERR_FORMAT);
    fixture_sign(OBJECT_MANIFEST, &w, KEY_STREAMER, &o); /* another type's signature */
    assert_int_equal(delegation_open(o.whole, &pk, &d), ERR_SIGNATURE);
}

/* Each is signed by whom it must be, and is none of the others. */
static void test_opens_of_edges(void **state)
{
    (void)state;
    static struct fixture_object o;
    struct prng p = {8};
    struct pubkey zone = fixture_key(KEY_ZONE).pk, edge = fixture_key(KEY_EDGE).pk;
    struct deletion d;
    struct node_status s;
    struct possession proof;
    struct writer w = writer_of(body_buf, sizeof(body_buf));
    make_deletion(&p, &w);
    fixture_sign(OBJECT_DELETION, &w, KEY_ZONE, &o);
    assert_int_equal(deletion_open(o.whole, &zone, &d), ERR_OK);
    assert_int_equal(deletion_open(o.whole, &edge, &d), ERR_SIGNATURE);
    assert_int_equal(deletion_open(slice_of(o.bytes, SIGNATURE_BYTES - 1), &zone, &d), ERR_FORMAT);

    w = writer_of(body_buf, sizeof(body_buf));
    make_status(&p, &w);
    fixture_sign(OBJECT_STATUS, &w, KEY_EDGE, &o);
    assert_int_equal(node_status_open(o.whole, &edge, &s), ERR_OK);
    assert_int_equal(node_status_open(o.whole, &zone, &s), ERR_SIGNATURE);
    assert_int_equal(node_status_open(o.body, &edge, &s), ERR_FORMAT);
    fixture_sign(OBJECT_PRESENCE, &w, KEY_EDGE, &o);
    assert_int_equal(node_status_open(o.whole, &edge, &s), ERR_SIGNATURE);

    w = writer_of(body_buf, sizeof(body_buf));
    make_proof(&p, &w);
    fixture_sign(OBJECT_PROOF, &w, KEY_EDGE, &o);
    assert_int_equal(possession_open(o.whole, &edge, &proof), ERR_OK);
    assert_int_equal(possession_open(o.whole, &zone, &proof), ERR_SIGNATURE);
    assert_int_equal(possession_open(o.body, &edge, &proof), ERR_FORMAT);
}

static void test_split(void **state)
{
    (void)state;
    uint8_t bytes[SIGNATURE_BYTES + 1] = {7};
    struct slice body = slice_str("before");
    struct signature sig;
    assert_int_equal(signed_split(slice_of(bytes, SIGNATURE_BYTES - 1), &body, &sig), ERR_FORMAT);
    assert_int_equal(body.len, 6);
    assert_int_equal(signed_split(slice_of(bytes, SIGNATURE_BYTES), &body, &sig), ERR_OK);
    assert_int_equal(body.len, 0);
    assert_int_equal(sig.b[0], 7);
    assert_int_equal(signed_split(slice_of(bytes, SIGNATURE_BYTES + 1), &body, &sig), ERR_OK);
    assert_int_equal(body.len, 1);
    assert_int_equal(sig.b[0], 0);
}

/* The stream changes with each of the four that name it, and "ab","c" is not "a","bc". */
static void test_stream(void **state)
{
    (void)state;
    struct video v = fixture_video(), w = v;
    struct hash stream = video_stream(&v), other;
    w.title = slice_str("another title");
    w.revision_us++;
    other = video_stream(&w);
    assert_true(hash_eq(&stream, &other));
    w = v;
    w.nonce.b[31] ^= 1;
    other = video_stream(&w);
    assert_false(hash_eq(&stream, &other));
    w = v;
    w.streamer_id = fixture_id("streamer");
    w.video_id = fixture_id("1video1");
    other = video_stream(&w);
    assert_false(hash_eq(&stream, &other));
    w = v;
    w.zone_id = fixture_id("zone2");
    other = video_stream(&w);
    assert_false(hash_eq(&stream, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_opens),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_counts_of_a_proof),
        cmocka_unit_test(test_opens_of_edges),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
