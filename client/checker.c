/*
 *   I1  Nothing is compared with anything before its signature holds.
 *   I2  The zone is the caller's; the streamer's key comes from the credential
 *       that this zone signed, and from nowhere else.
 */
#include "client/checker.h"

#include "base/check.h"
#include "base/date.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 3, 4))) static enum err fail(struct checker *c, enum err err,
                                                           const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->why, sizeof(c->why), fmt, args);
    va_end(args);
    return err;
}

static enum err open_credential(struct checker *c, const struct claim *claim)
{
    enum err err = credential_open(c->credential_bytes, &c->zone, &c->credential);
    if (err == ERR_NOT_READY)
        return fail(c, err,
                    "the credential is of a later key of zone %s than the one that is known here "
                    "(epoch %u)",
                    c->zone.zone_id.s, c->zone.key_epoch);
    if (err != ERR_OK)
        return fail(c, err, "the streamer's credential is not signed by zone %s (%s)",
                    c->zone.zone_id.s, err_name(err));
    if (c->credential.kind != CREDENTIAL_STREAMER)
        return fail(c, ERR_UNAUTHORIZED, "the credential is not a streamer's");
    if (claim->valid_at_us && !credential_valid_at(&c->credential, claim->valid_at_us))
        return fail(c, ERR_UNAUTHORIZED, "the credential of %s is out of date",
                    c->credential.subject.s);
    return ERR_OK;
}

static enum err open_video(struct checker *c, const struct claim *claim)
{
    const struct credential *who = &c->credential;
    enum err err = video_open(c->statement_bytes, &who->pk, &c->video);
    if (err != ERR_OK)
        return fail(c, err, "the video's statement is not signed by %s (%s)", who->subject.s,
                    err_name(err));
    if (!id_eq(&c->video.streamer_id, &who->subject) || !id_eq(&c->video.zone_id, &c->zone.zone_id))
        return fail(c, ERR_UNAUTHORIZED, "the statement names streamer %s of zone %s, not %s of %s",
                    c->video.streamer_id.s, c->video.zone_id.s, who->subject.s, c->zone.zone_id.s);
    if (claim->video_id && !id_eq(&c->video.video_id, claim->video_id))
        return fail(c, ERR_UNAUTHORIZED, "the statement is about video %s, not %s",
                    c->video.video_id.s, claim->video_id->s);
    c->stream = video_stream(&c->video);
    return ERR_OK;
}

static enum err open_manifest(struct checker *c)
{
    if (!c->manifest_bytes.len)
        return hash_is_zero(&c->video.manifest_hash)
                   ? ERR_OK
                   : fail(c, ERR_FORMAT, "the statement names a manifest, and none came with it");
    enum err err = manifest_open(c->manifest_bytes, &c->credential.pk, &c->manifest);
    if (err != ERR_OK)
        return fail(c, err, "the manifest is not signed by %s (%s)", c->credential.subject.s,
                    err_name(err));
    struct slice body = slice_of(c->manifest_bytes.ptr, c->manifest_bytes.len - SIGNATURE_BYTES);
    struct hash hash = object_hash(OBJECT_MANIFEST, body);
    if (!hash_eq(&hash, &c->video.manifest_hash) || !hash_eq(&c->manifest.stream, &c->stream) ||
        c->manifest.track != 0)
        return fail(c, ERR_SIGNATURE, "the manifest is not the one that the statement names");
    c->has_manifest = true;
    return ERR_OK;
}

/*
 * That an edge of this zone stored just this: the stream, and all that the manifest lists.
 * ERR_NOT_READY: its edge has a credential of a later epoch. Another error: it is none.
 */
static enum err open_receipt(struct checker *c)
{
    struct credential edge;
    struct receipt r;
    if (!c->has_manifest || !c->receipt_bytes.len)
        return ERR_UNKNOWN;
    enum err err = credential_open(c->receipt_credential_bytes, &c->zone, &edge);
    if (err == ERR_OK)
        err = receipt_open(c->receipt_bytes, &edge.pk, &r);
    if (err != ERR_OK)
        return err;
    c->has_receipt = edge.kind == CREDENTIAL_EDGE && id_eq(&r.zone_id, &c->zone.zone_id) &&
                     id_eq(&r.edge_id, &edge.subject) && hash_eq(&r.stream, &c->stream) &&
                     r.track == 0 && r.last_chunk == c->manifest.chunks &&
                     hash_eq(&r.hash, &c->video.manifest_hash);
    c->receipt_us = r.time_us;
    c->receipt_serial = edge.serial;
    return ERR_OK;
}

static bool too_long(const struct claim *claim)
{
    const struct slice objects[] = {claim->credential, claim->statement, claim->manifest,
                                    claim->receipt, claim->receipt_credential};
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
        if (objects[i].len > OBJECT_BYTES_MAX)
            return true;
    return false;
}

enum err checker_open(struct checker *ret, const struct zone_params *zone,
                      const struct claim *claim)
{
    *ret = (struct checker){.zone = *zone, .complete = true};
    if (too_long(claim))
        return fail(ret, ERR_LIMIT, "a signed object is longer than %d bytes", OBJECT_BYTES_MAX);
    ret->credential_bytes = arena_copy(&ret->arena, claim->credential);
    ret->statement_bytes = arena_copy(&ret->arena, claim->statement);
    ret->manifest_bytes = arena_copy(&ret->arena, claim->manifest);
    ret->receipt_bytes = arena_copy(&ret->arena, claim->receipt);
    ret->receipt_credential_bytes = arena_copy(&ret->arena, claim->receipt_credential);
    enum err err = open_credential(ret, claim);
    if (err == ERR_OK)
        err = open_video(ret, claim);
    if (err == ERR_OK)
        err = open_manifest(ret);
    if (err == ERR_OK)
        open_receipt(ret);
    return err;
}

void checker_release(struct checker *c)
{
    arena_release(&c->arena);
}

enum err checker_judge(struct checker *c, const struct revocations *list)
{
    uint64_t since_us, edge_since_us;
    char since[ISO8601_BYTES], receipt[ISO8601_BYTES];
    if (!list || !revocations_since(list, c->credential.serial, &since_us))
        return ERR_OK;
    clock_iso8601(since_us, since);
    const char *who = c->credential.subject.s;
    if (!c->has_receipt && open_receipt(c) == ERR_NOT_READY)
        return fail(c, ERR_NOT_READY,
                    "streamer %s is revoked since %s, and the receipt is of an edge with a later "
                    "key of zone %s than is known here",
                    who, since, c->zone.zone_id.s);
    if (!c->has_receipt)
        return fail(c, ERR_UNAUTHORIZED,
                    "streamer %s is revoked since %s, and no receipt shows that an edge had this "
                    "before",
                    who, since);
    clock_iso8601(c->receipt_us, receipt);
    if (c->receipt_us >= since_us)
        return fail(c, ERR_UNAUTHORIZED,
                    "streamer %s is revoked since %s, and the receipt for this is of %s", who,
                    since, receipt);
    if (revocations_since(list, c->receipt_serial, &edge_since_us) &&
        edge_since_us <= c->receipt_us)
        return fail(c, ERR_UNAUTHORIZED,
                    "streamer %s is revoked since %s, and so was the edge whose receipt of %s "
                    "would show that it is from before",
                    who, since, receipt);
    return ERR_OK;
}

bool checker_receipt(struct checker *c, struct slice receipt, struct slice receipt_credential)
{
    const struct slice before[] = {c->receipt_bytes, c->receipt_credential_bytes};
    if (c->has_receipt || receipt.len > OBJECT_BYTES_MAX ||
        receipt_credential.len > OBJECT_BYTES_MAX)
        return c->has_receipt;
    c->receipt_bytes = receipt;
    c->receipt_credential_bytes = receipt_credential;
    open_receipt(c);
    /* Only what holds is copied: anybody may send any number of others. */
    c->receipt_bytes = c->has_receipt ? arena_copy(&c->arena, receipt) : before[0];
    c->receipt_credential_bytes =
        c->has_receipt ? arena_copy(&c->arena, receipt_credential) : before[1];
    return c->has_receipt;
}

void checker_renewed(struct checker *c, struct slice credential)
{
    struct credential newer;
    if (credential.len > OBJECT_BYTES_MAX ||
        credential_open(credential, &c->zone, &newer) != ERR_OK ||
        newer.kind != CREDENTIAL_STREAMER || !id_eq(&newer.subject, &c->credential.subject) ||
        !pubkey_eq(&newer.pk, &c->credential.pk) ||
        newer.not_after_us <= c->credential.not_after_us)
        return;
    c->credential_bytes = arena_copy(&c->arena, credential);
    CHECK(credential_open(c->credential_bytes, &c->zone, &c->credential) == ERR_OK);
}

static enum err check_owner(struct checker *c, const struct chunk *chunk)
{
    if (!hash_eq(&chunk->stream, &c->stream))
        return fail(c, ERR_UNAUTHORIZED, "chunk %u belongs to another stream", chunk->number);
    if (chunk->track != 0 || !pubkey_eq(&chunk->signer, &c->credential.pk))
        return fail(c, ERR_UNAUTHORIZED, "chunk %u is not signed by %s", chunk->number,
                    c->credential.subject.s);
    return ERR_OK;
}

enum err checker_part(struct checker *c, struct slice packet, struct part *ret_part)
{
    struct part part;
    enum err err = part_decode(packet, &part);
    if (err != ERR_OK)
        return fail(c, err, "a packet is no part (%s)", err_name(err));
    err = check_owner(c, &part.chunk);
    if (err != ERR_OK)
        return err;
    err = part_verify(&part, &c->cache);
    if (err != ERR_OK)
        return fail(c, err, "part %u of chunk %u does not hold: signature or hash is wrong",
                    part.index, part.chunk.number);
    *ret_part = part;
    return ERR_OK;
}

enum err checker_statement(struct checker *c, struct slice statement, const struct signature *sig,
                           struct chunk *ret)
{
    struct chunk chunk;
    enum err err = chunk_decode(statement, &chunk);
    if (err != ERR_OK)
        return fail(c, err, "a chunk's statement is malformed (%s)", err_name(err));
    err = check_owner(c, &chunk);
    if (err != ERR_OK)
        return err;
    if (object_check(OBJECT_CHUNK, statement, sig, &c->credential.pk) != ERR_OK)
        return fail(c, ERR_SIGNATURE, "the signature of chunk %u's statement does not hold",
                    chunk.number);
    *ret = chunk;
    return ERR_OK;
}

/* Rules that bind a chunk to the one just before it. */
static enum err check_follows(struct checker *c, const struct chunk *chunk)
{
    if (!hash_eq(&chunk->prev, &c->last_hash))
        return fail(c, ERR_CONFLICT,
                    "chunk %u does not follow from chunk %u: the hash chain is broken",
                    chunk->number, c->last_number);
    if (chunk->kind != CHUNK_INIT && chunk->init_number != c->init_number)
        return fail(c, ERR_FORMAT, "chunk %u needs init chunk %u, but %u is the last",
                    chunk->number, chunk->init_number, c->init_number);
    if (chunk->number == 1 && chunk->kind != CHUNK_INIT &&
        slice_eq_str(c->video.media_type, "video/mp4"))
        return fail(c, ERR_FORMAT, "the video does not begin with an init chunk");
    return ERR_OK;
}

enum err checker_chunk(struct checker *c, const struct chunk *chunk, struct slice statement,
                       bool gaps)
{
    if (chunk->number <= c->last_number)
        return fail(c, ERR_CONFLICT, "chunk %u comes after chunk %u", chunk->number,
                    c->last_number);
    if (c->ended)
        return fail(c, ERR_CONFLICT, "chunk %u comes after the end", chunk->number);
    bool next = chunk->number == c->last_number + 1;
    if (!next && !gaps)
        return fail(c, ERR_NOT_READY, "chunks %u to %u are missing", c->last_number + 1,
                    chunk->number - 1);
    if (chunk->kind == CHUNK_INIT && chunk->init_number != chunk->number)
        return fail(c, ERR_FORMAT, "init chunk %u names another", chunk->number);
    enum err err = next ? check_follows(c, chunk) : ERR_OK;
    if (err != ERR_OK)
        return err;
    c->complete = c->complete && next;
    c->last_number = chunk->number;
    c->last_hash = object_hash(OBJECT_CHUNK, statement);
    c->init_number = chunk->init_number;
    c->ended = chunk->kind == CHUNK_END;
    c->payload_bytes += chunk->payload_len;
    c->chunks++;
    struct hash leaf = merkle_leaf(slice_of(c->last_hash.b, HASH_BYTES));
    merkle_add(&c->statements, &leaf);
    return ERR_OK;
}

enum err checker_end(struct checker *c)
{
    if (!c->has_manifest)
        return c->ended
                   ? ERR_OK
                   : fail(c, ERR_NOT_READY,
                          "truncated: it stops after chunk %u with neither a manifest nor an end",
                          c->last_number);
    if (!c->complete || c->chunks != c->manifest.chunks || c->payload_bytes != c->manifest.bytes)
        return fail(c, ERR_CONFLICT,
                    "the manifest has %u chunks of %llu bytes, here are %u of %llu",
                    c->manifest.chunks, (unsigned long long)c->manifest.bytes, c->chunks,
                    (unsigned long long)c->payload_bytes);
    struct hash root = merkle_root(&c->statements);
    if (!hash_eq(&root, &c->manifest.root))
        return fail(c, ERR_CONFLICT, "the chunks are not those of the manifest");
    return ERR_OK;
}
