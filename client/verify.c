/*
 * edgectl verify: `verify ID` watches without output; `verify FILE --proof P` is
 * offline: it reads the file once and names every byte range that does not hold.
 */
#include "base/check.h"
#include "base/date.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/say.h"
#include "client/watch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAULTS_SHOWN_MAX = 20 };

static struct option options_verify[] = {
    {.name = "proof",
     .env = "EDGECTL_PROOF",
     .help = "proof file of a saved video: verify FILE offline"},
    {.name = "edge",
     .env = "EDGECTL_EDGE",
     .help = "verify ID: id of the edge to ask (default: the best that answers)"},
    OPTION_REQUIRE_REVOCATIONS,
    OPTIONS_COMMON,
};

/* An offline verification. */
struct saved {
    struct checker checker;
    struct revocation_list list; /* as it is kept */
    FILE *file;
    uint64_t offset; /* of the next chunk in FILE */
    uint64_t faults;
    uint32_t first_chunk;
    uint32_t gaps;
    bool json, short_file;
    char first_fault[2 * CHECKER_WHY_BYTES];
    struct sha256 hash;
};

__attribute__((format(printf, 2, 3))) static void fault(struct saved *s, const char *fmt, ...)
{
    char text[sizeof(s->first_fault)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (s->faults++ == 0)
        memcpy(s->first_fault, text, sizeof(text));
    if (s->faults <= FAULTS_SHOWN_MAX)
        say("%s", text);
    else if (s->faults == FAULTS_SHOWN_MAX + 1)
        say("…and more");
}

/* The chunk's bytes in FILE, against the tree that its statement names. */
static void check_payload(struct saved *s, const struct chunk *c)
{
    uint8_t part[PART_PAYLOAD_BYTES_MAX];
    struct merkle tree = {0};
    uint64_t end = s->offset + c->payload_len;
    for (uint32_t i = 0; i < c->parts_n; i++) {
        uint32_t len = chunk_part_len(c, i);
        size_t n = fread(part, 1, len, s->file);
        sha256_add(&s->hash, slice_of(part, n));
        if (n < len) {
            uint64_t at = s->offset + (uint64_t)i * c->part_bytes + n;
            fault(s,
                  "the file stops at byte %llu, in part %u of %u of chunk %u (bytes %llu to %llu)",
                  (unsigned long long)at, i, c->parts_n, c->number, (unsigned long long)s->offset,
                  (unsigned long long)end - 1);
            s->short_file = true;
            return;
        }
        struct hash leaf = merkle_leaf(slice_of(part, len));
        merkle_add(&tree, &leaf);
    }
    struct hash root = merkle_root(&tree);
    if (!hash_eq(&root, &c->root))
        fault(s,
              "chunk %u, bytes %llu to %llu (%u parts): these are not the bytes that were signed",
              c->number, (unsigned long long)s->offset, (unsigned long long)end - 1, c->parts_n);
    s->offset = end;
}

static void check_entry(struct saved *s, const struct proof_entry *entry)
{
    struct chunk chunk;
    uint32_t last = s->checker.last_number;
    if (checker_statement(&s->checker, entry->statement, &entry->sig, &chunk) != ERR_OK) {
        fault(s, "after chunk %u, byte %llu: %s", last, (unsigned long long)s->offset,
              checker_why(&s->checker));
        /* Without its length nothing after it can be found in the file. */
        s->short_file = true;
        return;
    }
    /* A live is joined in the middle: after its init chunk no number is missing. */
    s->gaps += last > s->checker.init_number && chunk.number > last + 1;
    if (!s->first_chunk)
        s->first_chunk = chunk.number;
    if (checker_chunk(&s->checker, &chunk, entry->statement, !s->checker.has_manifest) != ERR_OK)
        fault(s, "byte %llu: %s", (unsigned long long)s->offset, checker_why(&s->checker));
    check_payload(s, &chunk);
}

static void check_rest(struct saved *s)
{
    if (s->short_file)
        return;
    uint64_t extra = 0;
    uint8_t bytes[4096];
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), s->file)) > 0; extra += n)
        sha256_add(&s->hash, slice_of(bytes, n));
    if (extra)
        fault(s, "%llu bytes from byte %llu to the end of the file are signed by nobody",
              (unsigned long long)extra, (unsigned long long)s->offset);
    if (s->checker.has_manifest && checker_end(&s->checker) != ERR_OK)
        fault(s, "%s", checker_why(&s->checker));
}

/* A proof file holds no thumbnail: it says whether the streamer signed one. */
static void report(const struct saved *s, const char *path)
{
    const struct checker *c = &s->checker;
    struct thumbnail thumbnail;
    thumbnail_check(c, (struct slice){0}, (struct slice){0}, &thumbnail);
    char digest[SINK_SHA256_TEXT_BYTES];
    struct sink sum = {.hash = s->hash};
    sink_sha256(&sum, digest);
    char title[TITLE_BYTES_MAX + 1];
    text_safe(c->video.title, title, sizeof(title));
    if (s->json) {
        struct json_text j = {.file = stdout};
        json_text_open(&j, NULL, '{');
        json_text_str(&j, "file", slice_str(path));
        json_text_bool(&j, "verified", s->faults == 0);
        json_text_bool(&j, "whole", c->has_manifest && s->faults == 0);
        json_text_str(&j, "id", id_slice(&c->video.video_id));
        json_text_str(&j, "title", c->video.title);
        json_text_str(&j, "streamer_id", id_slice(&c->video.streamer_id));
        json_text_str(&j, "zone", id_slice(&c->zone.zone_id));
        json_text_uint(&j, "chunks", c->chunks);
        json_text_uint(&j, "bytes", s->offset);
        json_text_uint(&j, "gaps", s->gaps);
        json_text_uint(&j, "faults", s->faults);
        json_text_str(&j, "first_fault", slice_str(s->first_fault));
        json_text_str(&j, "thumbnail", slice_str(thumbnail_kind_name(thumbnail.kind)));
        json_text_str(&j, "sha256", slice_str(digest));
        follow_json(&s->list, &j);
        json_text_close(&j, '}');
        putchar('\n');
        return;
    }
    if (s->faults)
        return;
    printf("%s is verified: %u chunks, %llu bytes, sha256 %s\n", path, c->chunks,
           (unsigned long long)s->offset, digest);
    printf("video %s (%s), signed by %s of zone %s\n", c->video.video_id.s, title,
           c->credential.subject.s, c->zone.zone_id.s);
    if (s->list.bytes) {
        char issued[ISO8601_BYTES];
        clock_iso8601(s->list.list.issued_us, issued);
        printf("not revoked, by the zone's list of %s\n", issued);
    }
    if (c->has_manifest)
        printf("whole: it is all that the manifest lists\n");
    else
        printf(
            "a part: chunks %u to %u with %u gaps%s; there is no manifest to say what is missing\n",
            s->first_chunk, c->last_number, s->gaps, c->ended ? ", to its signed end" : "");
}

/*
 * Under which parameters of the zone the proof is read: its own if they follow from the pin,
 * else the pin's if they follow from the proof's, which were made before the key changed.
 */
static enum err choose_zone(const struct zone_pin *pin, const struct zone_params *proof,
                            struct zone_params *ret)
{
    enum err err = zone_accept(&pin->params, proof);
    if (err == ERR_OK)
        *ret = *proof;
    if (err == ERR_OK || !pin->whole)
        return err;
    err = zone_accept(proof, &pin->params);
    if (err == ERR_OK)
        *ret = pin->params;
    return err;
}

static void say_strange_zone(const struct zone_pin *pin, const struct zone_params *proof)
{
    char key[KEY_BYTES * 2];
    b64_encode(slice_of(proof->sign_pk.b, KEY_BYTES), key);
    if (pin->whole && !id_eq(&pin->params.zone_id, &proof->zone_id))
        say("the proof is of zone %s, and %s is pinned", proof->zone_id.s, pin->params.zone_id.s);
    else if (pin->whole)
        say("the proof is of epoch %u of zone %s, with the key %s, and no link in it or in the pin "
            "leads from one to the other (pinned: epoch %u)",
            proof->key_epoch, proof->zone_id.s, key, pin->params.key_epoch);
    else
        say("the proof is of epoch %u of zone %s, with the key %s, and no link in it leads there "
            "from --zone-key; if --zone-key is newer than the proof, its links are missing: run a "
            "command against the zone once, which pins them, or give the key of that time",
            proof->key_epoch, proof->zone_id.s, key);
}

/* The zone that the proof names must be the pinned one, before or after its key changed. */
static enum exit_status trust_zone(const struct option *options, struct slice bytes,
                                   struct saved *s)
{
    struct identity identity;
    struct zone_pin pin;
    if (identity_open(&identity) != ERR_OK) {
        say("set EDGECTL_HOME to the folder of your pinned zone: HOME is not set, or too long");
        return STATUS_USAGE;
    }
    enum exit_status status = zone_pin_read(&identity, options, &pin);
    if (status != STATUS_OK)
        return status;
    if (!pin.any) {
        say("no zone is pinned in %s: log in once, or give --zone-key", identity.home);
        return STATUS_USAGE;
    }
    struct zone_params zone;
    enum err err = zone_open(bytes, &zone);
    if (err != ERR_OK) {
        say("what the proof says of its zone is not signed by that zone (%s)", err_name(err));
        return STATUS_UNVERIFIED;
    }
    if (choose_zone(&pin, &zone, &s->checker.zone) != ERR_OK) {
        say_strange_zone(&pin, &zone);
        return STATUS_UNVERIFIED;
    }
    err = revocation_list_load(&identity, &s->checker.zone, &s->list);
    if (err != ERR_OK && err != ERR_UNKNOWN)
        say("note: the list of revocations kept in %s/revocations is left out (%s)", identity.home,
            err_name(err));
    return STATUS_OK;
}

/* That there is no list to go by; how old one is, the report says. */
static void note_list(const struct saved *s)
{
    char text[REVOCATIONS_TEXT_BYTES];
    uint64_t now_us = clock_utc_us();
    if (s->json || (s->list.bytes && !revocation_list_ahead(&s->list, now_us)))
        return;
    revocation_list_tell(&s->list, now_us, text);
    say("note: %s; edgectl watch, or verify ID, gets the newest", text);
}

static enum exit_status check_all(struct saved *s, struct proof *proof, const char *path)
{
    struct claim claim = {.credential = proof->head.credential,
                          .statement = proof->head.video,
                          .manifest = proof->head.manifest,
                          .receipt = proof->head.receipt,
                          .receipt_credential = proof->head.receipt_credential};
    struct zone_params zone = s->checker.zone;
    if (checker_open(&s->checker, &zone, &claim) != ERR_OK) {
        say("the proof does not hold: %s", checker_why(&s->checker));
        return STATUS_UNVERIFIED;
    }
    if (claim.receipt.len && !s->checker.has_receipt)
        fault(s, "the receipt in the proof does not hold, or is about something else");
    if (checker_judge(&s->checker, revocation_list_get(&s->list)) != ERR_OK)
        fault(s, "%s", checker_why(&s->checker));
    sha256_init(&s->hash);
    struct proof_entry entry;
    while (!s->short_file && proof_next(proof, &entry))
        check_entry(s, &entry);
    check_rest(s);
    note_list(s);
    report(s, path);
    return s->faults ? STATUS_UNVERIFIED : STATUS_OK;
}

static enum exit_status verify_file(const struct option *options, const char *path,
                                    const char *proof_path)
{
    CLEANUP(mem_free_ptr) char *bytes = NULL;
    size_t len;
    enum err err = file_read(proof_path, PROOF_BYTES_MAX, &bytes, &len);
    if (err != ERR_OK) {
        say("%s cannot be read: %s", proof_path, err == ERR_LIMIT ? "too long" : strerror(errno));
        return STATUS_FAILED;
    }
    struct proof proof;
    err = proof_open(slice_of(bytes, len), &proof);
    if (err != ERR_OK) {
        say("%s is no proof file, or a damaged one (%s)", proof_path, err_name(err));
        return STATUS_UNVERIFIED;
    }
    struct saved *s = mem_alloc(sizeof(*s));
    s->json = config_flag(options, "json");
    enum exit_status status = trust_zone(options, proof.head.zone, s);
    if (status == STATUS_OK && config_flag(options, "require-revocations") &&
        !revocation_list_fresh(&s->list, clock_utc_us()))
        status = revocations_missing(&s->list);
    if (status == STATUS_OK) {
        s->file = fopen(path, "re");
        if (s->file) {
            status = check_all(s, &proof, path);
            fclose(s->file);
        } else {
            say("%s cannot be read: %s", path, strerror(errno));
            status = STATUS_FAILED;
        }
    }
    checker_release(&s->checker);
    revocation_list_release(&s->list);
    free(s);
    return status;
}

static enum exit_status run(const struct option *options, const char *const *arguments, int n)
{
    (void)n;
    const char *proof_path = config_text(options, "proof");
    if (proof_path)
        return verify_file(options, arguments[0], proof_path);
    struct watch_order order = {.json = config_flag(options, "json"),
                                .verify = true,
                                .require_list = config_flag(options, "require-revocations")};
    if (id_parse(slice_str(arguments[0]), &order.video_id) != ERR_OK) {
        say("'%.80s' is no video id; to verify a file, give its --proof", arguments[0]);
        return STATUS_USAGE;
    }
    return watch_run(options, &order);
}

const struct command command_verify = {
    .name = "verify",
    .arguments = "ID | FILE --proof FILE.proof",
    .summary = "check signatures, chain and manifest; says what is wrong and where",
    .details =
        "verify ID fetches the video (or joins the live) and verifies all of it without keeping\n"
        "a byte. verify FILE --proof FILE.proof needs no network: it checks a file that\n"
        "`watch -o FILE --proof FILE.proof` wrote, against the zone key that is pinned in\n"
        "$EDGECTL_HOME or given with --zone-key, and names chunk and byte offsets of what does\n"
        "not hold. A key found inside the proof is never trusted. Whether the streamer is revoked\n"
        "is judged by the newest list that a command has seen; what was stored before that, and\n"
        "has a receipt in its proof, counts. Where none was seen, that is said; with\n"
        "--require-revocations nothing counts then, nor by a list from more than 60 s ago (verify\n"
        "ID and watch fetch one), and the exit status is 6.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = options_verify,
    .run = run,
};
