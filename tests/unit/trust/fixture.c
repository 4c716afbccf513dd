#include "tests/unit/trust/fixture.h"

#include "base/check.h"

static const struct {
    const char *name;
    uint8_t seed;
} keys[FIXTURE_KEYS_N] = {
    [KEY_ZONE] = {"zone", 0x01},
    [KEY_ZONE_2] = {"zone at epoch 2", 0x02},
    [KEY_ZONE_3] = {"zone at epoch 3", 0x03},
    [KEY_EDGE] = {"edge", 0x11},
    [KEY_STREAMER] = {"streamer", 0x21},
    [KEY_STRANGER] = {"stranger", 0x66},
};

struct signkey fixture_key(enum fixture_key which)
{
    struct signkey key;
    signkey_from_seed(fixture_bytes(keys[which].seed).b, &key);
    return key;
}

const char *fixture_key_name(enum fixture_key which)
{
    return keys[which].name;
}

struct boxkey fixture_box(void)
{
    struct boxkey key;
    boxkey_from_secret(fixture_bytes(0x31).b, &key);
    return key;
}

struct hash fixture_bytes(uint8_t value)
{
    struct hash h;
    memset(h.b, value, sizeof(h.b));
    return h;
}

struct id fixture_id(const char *text)
{
    struct id id;
    CHECK(id_parse(slice_str(text), &id) == ERR_OK);
    return id;
}

struct zone_params fixture_zone(void)
{
    return (struct zone_params){
        .zone_id = fixture_id("zone1"),
        .sign_pk = fixture_key(KEY_ZONE).pk,
        .box_pk = fixture_box().pk,
        .key_epoch = 1,
        .issued_us = fixture_now_us,
    };
}

static struct zone_link link_of(const struct id *zone_id, uint32_t old_epoch,
                                enum fixture_key old_key, enum fixture_key new_key)
{
    struct signkey key = fixture_key(old_key);
    struct zone_link l = {
        .old_epoch = old_epoch,
        .old_pk = key.pk,
        .new_epoch = old_epoch + 1,
        .new_pk = fixture_key(new_key).pk,
    };
    uint8_t bytes[256];
    struct writer w = writer_of(bytes, sizeof(bytes));
    zone_link_body(zone_id, &l, &w);
    CHECK(!w.full);
    l.sig = object_sign(OBJECT_ZONE_LINK, slice_of(bytes, w.len), &key);
    return l;
}

struct zone_params fixture_zone_rotated(void)
{
    struct zone_params z = fixture_zone();
    z.sign_pk = fixture_key(KEY_ZONE_3).pk;
    z.key_epoch = 3;
    z.links_n = 2;
    z.links[0] = link_of(&z.zone_id, 1, KEY_ZONE, KEY_ZONE_2);
    z.links[1] = link_of(&z.zone_id, 2, KEY_ZONE_2, KEY_ZONE_3);
    return z;
}

struct credential fixture_credential(enum credential_kind kind)
{
    bool edge = kind == CREDENTIAL_EDGE;
    return (struct credential){
        .kind = kind,
        .subject = fixture_id(edge ? "edge1" : "streamer1"),
        .display_name = slice_str(edge ? "" : "Léa"),
        .pk = fixture_key(edge ? KEY_EDGE : KEY_STREAMER).pk,
        .zone_id = fixture_id("zone1"),
        .key_epoch = 1,
        .serial = edge ? 7 : 8,
        .not_before_us = fixture_now_us,
        .not_after_us = fixture_now_us + (uint64_t)30 * 24 * 3600 * 1000 * 1000,
    };
}

struct video fixture_video(void)
{
    return (struct video){
        .zone_id = fixture_id("zone1"),
        .video_id = fixture_id("video1"),
        .streamer_id = fixture_id("streamer1"),
        .nonce = fixture_bytes(0xa1),
        .title = slice_str("Ma première vidéo \"en direct\" 日本 🎬"),
        .description = slice_str("Description\nde la vidéo"),
        .category = slice_str("Gaming"),
        .thumbnail_hash = video_thumbnail_hash(slice_str("12456")),
        .media_type = slice_str("video/mp4"),
        .codecs = slice_str("avc1.64001f,mp4a.40.2"),
        .created_us = fixture_now_us,
        .revision_us = fixture_now_us,
    };
}

struct hash fixture_stream(void)
{
    struct video v = fixture_video();
    return video_stream(&v);
}

void fixture_payload(uint32_t number, uint8_t *ret, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint8_t)(i * 31 + i / 256 + number * 17);
}

void fixture_sign(enum object_type type, const struct writer *body, enum fixture_key key,
                  struct fixture_object *ret)
{
    CHECK(!body->full);
    struct signkey signer = fixture_key(key);
    struct writer w = writer_of(ret->bytes, sizeof(ret->bytes));
    signed_append(&w, type, slice_of(body->buf, body->len), &signer);
    CHECK(!w.full);
    ret->body = slice_of(ret->bytes, body->len);
    ret->whole = slice_of(ret->bytes, w.len);
}

uint64_t prng_next(struct prng *p)
{
    p->state += 0x9e3779b97f4a7c15;
    uint64_t z = p->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint32_t prng_below(struct prng *p, uint32_t n)
{
    return (uint32_t)(prng_next(p) % n);
}

void prng_fill(struct prng *p, void *ret, size_t n)
{
    uint8_t *bytes = ret;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)prng_next(p);
}

struct slice prng_text(struct prng *p, char *buf, size_t max)
{
    static const char *const glyphs[] = {"a", "Z", " ", "\n", "\"", "é", "日", "🎬", "\x7f"};
    size_t len = 0;
    for (uint32_t n = prng_below(p, (uint32_t)max + 1); n; n--) {
        const char *glyph = glyphs[prng_below(p, sizeof(glyphs) / sizeof(glyphs[0]))];
        size_t glyph_len = strlen(glyph);
        if (glyph_len > max - len)
            break;
        memcpy(buf + len, glyph, glyph_len);
        len += glyph_len;
    }
    return slice_of(buf, len);
}

struct id prng_id(struct prng *p)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    struct id id = {0};
    for (uint32_t n = 1 + prng_below(p, ID_BYTES_MAX), i = 0; i < n; i++)
        id.s[i] = chars[prng_below(p, sizeof(chars) - 1)];
    return id;
}
