#include "tests/unit/client/zone_of_ours.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void finish(struct signed_bytes *ret, enum object_type type, const struct writer *body,
                   const struct signkey *key)
{
    CHECK(!body->full);
    struct writer w = writer_of(ret->b, sizeof(ret->b));
    signed_append(&w, type, slice_of(body->buf, body->len), key);
    CHECK(!w.full);
    ret->len = w.len;
}

struct credential ours_credential(const struct ours *o)
{
    struct credential c = {.kind = CREDENTIAL_STREAMER,
                           .display_name = slice_str("Léa"),
                           .pk = o->streamer_key.pk,
                           .zone_id = o->zone.zone_id,
                           .key_epoch = o->zone.key_epoch,
                           .serial = OURS_SERIAL,
                           .not_before_us = 1000,
                           .not_after_us = 1000000};
    CHECK(id_parse(slice_str("lea"), &c.subject) == ERR_OK);
    return c;
}

void ours_sign_credential(struct ours *o, const struct credential *credential)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    credential_encode(credential, &w);
    finish(&o->credential, OBJECT_CREDENTIAL, &w, &o->zone_key);
}

void ours_sign_statement(struct ours *o)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    video_encode(&o->video, &w);
    finish(&o->statement, OBJECT_VIDEO, &w, &o->streamer_key);
    o->stream = video_stream(&o->video);
}

static void sign_zone(struct ours *o)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    zone_params_encode(&o->zone, &w);
    finish(&o->zone_bytes, OBJECT_ZONE, &w, &o->zone_key);
}

static void make_zone(struct ours *o)
{
    CHECK(id_parse(slice_str("zone1"), &o->zone.zone_id) == ERR_OK);
    o->zone.sign_pk = o->zone_key.pk;
    o->zone.box_pk = o->box_key.pk;
    o->zone.key_epoch = 1;
    o->zone.issued_us = 5;
    sign_zone(o);
}

void ours_rotate(struct ours *o)
{
    uint8_t seed[KEY_BYTES] = {100}, buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct zone_params *z = &o->zone;
    struct zone_link *link = &z->links[z->links_n++];
    CHECK(z->links_n <= ZONE_LINKS_MAX);
    seed[1] = (uint8_t)z->key_epoch;
    *link = (struct zone_link){
        .old_epoch = z->key_epoch, .old_pk = z->sign_pk, .new_epoch = z->key_epoch + 1};
    struct signkey next;
    signkey_from_seed(seed, &next);
    link->new_pk = next.pk;
    zone_link_body(&z->zone_id, link, &w);
    link->sig = object_sign(OBJECT_ZONE_LINK, slice_of(buf, w.len), &o->zone_key);
    z->sign_pk = next.pk;
    z->key_epoch++;
    o->zone_key = next;
    sign_zone(o);
}

void ours_receipt(struct ours *o, uint64_t time_us)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct manifest manifest = chunk_cutter_manifest(&o->cutter);
    struct receipt r = {.zone_id = o->zone.zone_id,
                        .stream = o->stream,
                        .last_chunk = manifest.chunks,
                        .hash = o->video.manifest_hash,
                        .time_us = time_us};
    CHECK(id_parse(slice_str("e1"), &r.edge_id) == ERR_OK);
    receipt_encode(&r, &w);
    finish(&o->receipt, OBJECT_RECEIPT, &w, &o->edge_key);
    struct credential c = ours_credential(o);
    c.kind = CREDENTIAL_EDGE;
    c.subject = r.edge_id;
    c.pk = o->edge_key.pk;
    c.serial = OURS_EDGE_SERIAL;
    w = writer_of(buf, sizeof(buf));
    credential_encode(&c, &w);
    finish(&o->receipt_credential, OBJECT_CREDENTIAL, &w, &o->zone_key);
}

void ours_revoke(struct ours *o, uint64_t number, uint64_t issued_us,
                 const struct revocation *entries, uint32_t n)
{
    uint8_t buf[OBJECT_BYTES_MAX], list[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf)), l = writer_of(list, sizeof(list));
    for (uint32_t i = 0; i < n; i++) {
        write_u64(&l, entries[i].serial);
        write_u64(&l, entries[i].since_us);
    }
    CHECK(!l.full);
    struct revocations r = {.zone_id = o->zone.zone_id,
                            .key_epoch = o->zone.key_epoch,
                            .number = number,
                            .issued_us = issued_us,
                            .next_us = issued_us + 30 * 1000 * 1000,
                            .n = n,
                            .entries = slice_of(list, l.len)};
    revocations_encode(&r, &w);
    finish(&o->revocations, OBJECT_REVOCATIONS, &w, &o->zone_key);
}

void ours_init(struct ours *o, bool live)
{
    *o = (struct ours){0};
    CHECK(crypto_init() == ERR_OK);
    uint8_t seed[KEY_BYTES] = {1};
    signkey_from_seed(seed, &o->zone_key);
    seed[0] = 2;
    signkey_from_seed(seed, &o->streamer_key);
    seed[0] = 4;
    signkey_from_seed(seed, &o->edge_key);
    seed[0] = 3;
    boxkey_from_secret(seed, &o->box_key);
    make_zone(o);
    struct credential c = ours_credential(o);
    ours_sign_credential(o, &c);
    o->video = (struct video){.zone_id = o->zone.zone_id,
                              .streamer_id = c.subject,
                              .title = slice_str("Titre"),
                              .live = live,
                              .media_type = slice_str("video/mp4"),
                              .created_us = 10,
                              .revision_us = 10};
    CHECK(id_parse(slice_str("v1"), &o->video.video_id) == ERR_OK);
    o->video.nonce.b[0] = 9;
    ours_sign_statement(o);
    chunk_cutter_init(&o->cutter, &o->stream, &o->streamer_key, PART_BYTES_MIN);
}

void ours_release(struct ours *o)
{
    for (uint32_t i = 0; i < o->chunks_n; i++) {
        cut_chunk_release(&o->chunks[i]);
        free(o->payloads[i]);
    }
}

struct cut_chunk *ours_chunk(struct ours *o, enum chunk_kind kind, uint16_t flags, uint32_t len)
{
    CHECK(o->chunks_n < OURS_CHUNKS_MAX);
    uint8_t *payload = mem_alloc(len);
    for (uint32_t i = 0; i < len; i++)
        payload[i] = (uint8_t)(i * 31 + o->chunks_n);
    o->payloads[o->chunks_n] = payload;
    struct cut_chunk *c = &o->chunks[o->chunks_n++];
    CHECK(chunk_cut(&o->cutter, kind, flags, 100 + o->chunks_n, 10, slice_of(payload, len), c) ==
          ERR_OK);
    return c;
}

void ours_finish(struct ours *o)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    struct manifest manifest = chunk_cutter_manifest(&o->cutter);
    manifest_encode(&manifest, &w);
    finish(&o->manifest, OBJECT_MANIFEST, &w, &o->streamer_key);
    o->video.manifest_hash = object_hash(OBJECT_MANIFEST, slice_of(buf, w.len));
    o->video.revision_us++;
    ours_sign_statement(o);
}

struct claim ours_claim(const struct ours *o)
{
    return (struct claim){.credential = bytes_of(&o->credential),
                          .statement = bytes_of(&o->statement),
                          .manifest = bytes_of(&o->manifest),
                          .receipt = bytes_of(&o->receipt),
                          .receipt_credential = bytes_of(&o->receipt_credential),
                          .video_id = &o->video.video_id};
}

void folder_make(char ret[static OURS_PATH_BYTES])
{
    snprintf(ret, OURS_PATH_BYTES, "/tmp/edgectl-test-XXXXXX");
    CHECK(mkdtemp(ret));
    CHECK(setenv("EDGECTL_HOME", ret, 1) == 0);
}

int shell(const char *command)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void folder_remove(const char *path)
{
    char command[OURS_PATH_BYTES + 16];
    CHECK(strncmp(path, "/tmp/edgectl-test-", 18) == 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    CHECK(shell(command) == 0);
}

void ours_move_in(struct ours *o, struct identity *identity, char folder[static OURS_PATH_BYTES])
{
    ours_init(o, false);
    folder_make(folder);
    CHECK(identity_open(identity) == ERR_OK);
}

void ours_move_out(struct ours *o, const char *folder)
{
    folder_remove(folder);
    ours_release(o);
}
