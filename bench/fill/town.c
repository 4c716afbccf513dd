#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "bench/fill/fill.h"

#include <stdio.h>

enum {
    STREAMERS = 1000,
    HOLDERS = 10,
    EVERY_US = 3 * 1000 * 1000, /* a video begins */
    CHUNKS = 150,
    CHUNK_BYTES = 500000,
    DAY_S = 86400,
};

static const char *const places[] = {"North gate",     "Loading dock 2",  "Car park, level -1",
                                     "Reception",      "Pumping station", "Substation 14",
                                     "Quai Malaquais", "Workshop, saw"};
static const char *const events[] = {"patrol",      "delivery",   "motion", "inspection",
                                     "night round", "alarm test", "visitor"};
#define CHOSEN(table, n) (table)[(n) % (sizeof(table) / sizeof((table)[0]))]

void secret_load(const char *auth_folder, const char *name, uint8_t ret[static KEY_BYTES])
{
    char path[1024];
    CLEANUP(mem_free_ptr) char *text = NULL;
    size_t len;
    snprintf(path, sizeof(path), "%s/%s", auth_folder, name);
    if (file_read(path, SECRET_TEXT_BYTES, &text, &len) != ERR_OK ||
        secret_parse(slice_of(text, len), ret) != ERR_OK)
        die("%s is no %s", path, name);
}

void town_load(struct town *t, const char *auth_folder, const char *zone_id)
{
    uint8_t seed[KEY_BYTES];
    *t = (struct town){.now_us = clock_utc_us()};
    secret_load(auth_folder, "zone.key", seed);
    if (id_parse(slice_str(zone_id), &t->zone_id) != ERR_OK)
        die("'%s' is no id", zone_id);
    signkey_from_seed(seed, &t->zone_key);
}

/* ---- who signs ---- */

static void key_of(const struct town *t, enum credential_kind kind, uint32_t k, struct signkey *ret)
{
    uint8_t seed[KEY_BYTES];
    crypto_expand(t->zone_key.seed, (uint64_t)kind << 32 | k, seed, sizeof(seed));
    signkey_from_seed(seed, ret);
}

static struct id id_of(const char *name, uint32_t k)
{
    char text[ID_BYTES_MAX];
    struct id id;
    snprintf(text, sizeof(text), "%.32s%06u", name, k);
    CHECK(id_parse(slice_str(text), &id) == ERR_OK);
    return id;
}

static struct slice sign(struct arena *arena, enum object_type type, const struct writer *body,
                         const struct signkey *key)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    signed_append(&w, type, slice_of(body->buf, body->len), key);
    CHECK(!body->full && !w.full);
    return arena_copy(arena, slice_of(buf, w.len));
}

/* Made once for each: a thousand videos have the same. */
static struct slice credential_of(const struct town *t, enum credential_kind kind, uint32_t k,
                                  const struct id *subject, struct slice display_name)
{
    static struct arena arena;
    static struct slice made[2][STREAMERS];
    struct slice *ret = &made[kind == CREDENTIAL_EDGE][k];
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct signkey key;
    if (ret->len)
        return *ret;
    key_of(t, kind, k, &key);
    struct credential c = {.kind = kind,
                           .subject = *subject,
                           .display_name = display_name,
                           .pk = key.pk,
                           .zone_id = t->zone_id,
                           .key_epoch = 1,
                           .serial = 1000000 + ((uint64_t)kind << 32) + k,
                           .not_before_us = t->now_us - 90ULL * DAY_S * 1000000,
                           .not_after_us = t->now_us + 90ULL * DAY_S * 1000000};
    credential_encode(&c, &w);
    *ret = sign(&arena, OBJECT_CREDENTIAL, &w, &t->zone_key);
    return *ret;
}

/* ---- what they say ---- */

static struct hash hash_of_number(const char *name, uint32_t k, const char *what)
{
    char text[128];
    snprintf(text, sizeof(text), "%s %s %u", what, name, k);
    return hash_of(slice_str(text), (struct slice){0});
}

static void claim(const struct town *t, const char *name, uint32_t k, uint32_t again,
                  struct arena *arena, struct storage_row *row)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    char title[TITLE_BYTES_MAX], about[DESCRIPTION_BYTES_MAX], person[NAME_BYTES_MAX];
    uint32_t streamer = k % STREAMERS;
    uint64_t created_us = t->now_us - 3600ULL * 1000000 - (uint64_t)(k % 400000) * EVERY_US;
    struct signkey key;
    key_of(t, CREDENTIAL_STREAMER, streamer, &key);
    snprintf(title, sizeof(title), "%s, %s, camera %u", CHOSEN(places, k), CHOSEN(events, k / 8),
             streamer % 40 + 1);
    snprintf(about, sizeof(about), "%s at %s, recording %u of this camera, 1080p25",
             CHOSEN(events, k / 8), CHOSEN(places, k), k / STREAMERS + 1);
    snprintf(person, sizeof(person), "Site %u, camera %u", streamer / 40 + 1, streamer % 40 + 1);
    row->has_video = true;
    row->video = (struct video){.zone_id = t->zone_id,
                                .video_id = id_of(name, k),
                                .streamer_id = id_of("camera", streamer),
                                .nonce = hash_of_number(name, k, "nonce"),
                                .title = arena_copy(arena, slice_str(title)),
                                .description = arena_copy(arena, slice_str(about)),
                                .category = slice_str("surveillance"),
                                .media_type = slice_str("video/mp4"),
                                .codecs = slice_str("avc1.64001f,mp4a.40.2"),
                                .created_us = created_us,
                                .revision_us = created_us + 60000000 + again};
    row->stream = video_stream(&row->video);
    struct manifest m = {.stream = row->stream,
                         .chunks = CHUNKS,
                         .bytes = (uint64_t)CHUNKS * CHUNK_BYTES,
                         .root = hash_of_number(name, k, "root")};
    struct writer w = writer_of(buf, sizeof(buf));
    manifest_encode(&m, &w);
    row->video.manifest_hash = object_hash(OBJECT_MANIFEST, slice_of(buf, w.len));
    row->manifest = sign(arena, OBJECT_MANIFEST, &w, &key);
    w = writer_of(buf, sizeof(buf));
    video_encode(&row->video, &w);
    row->statement_hash = object_hash(OBJECT_VIDEO, slice_of(buf, w.len));
    row->statement = sign(arena, OBJECT_VIDEO, &w, &key);
    row->streamer_name = arena_copy(arena, slice_str(person));
    row->credential = credential_of(t, CREDENTIAL_STREAMER, streamer, &row->video.streamer_id,
                                    row->streamer_name);
}

static void hold(const struct town *t, uint32_t k, uint32_t again, struct arena *arena,
                 struct storage_row *row)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    uint32_t holder = k % HOLDERS;
    struct signkey key;
    key_of(t, CREDENTIAL_EDGE, holder, &key);
    row->has_holding = true;
    row->holding = (struct holding){.zone_id = t->zone_id,
                                    .edge_id = id_of("far", holder),
                                    .video_id = row->video.video_id,
                                    .streamer_id = row->video.streamer_id,
                                    .stream = row->stream,
                                    .state = 1,
                                    .hlc = row->video.revision_us / 1000 << 16 | again};
    struct writer w = writer_of(buf, sizeof(buf));
    holding_encode(&row->holding, &w);
    row->holding_row.type = OBJECT_CUSTODY;
    row->holding_row.object = sign(arena, OBJECT_CUSTODY, &w, &key);
    row->holding_row.edge_credential =
        credential_of(t, CREDENTIAL_EDGE, holder, &row->holding.edge_id, slice_str("edge"));
}

struct storage_op *town_row(const struct town *t, const char *name, uint32_t k, uint32_t again)
{
    struct storage_op *op = storage_op_new(STORAGE_ROW_MERGE, k);
    claim(t, name, k, again, &op->arena, &op->u.row);
    hold(t, k, again, &op->arena, &op->u.row);
    return op;
}
