/*
 * What storage was asked for is done: whose it is.
 *
 * Invariants
 *   I1  every operation handed to storage is counted in stores_under_way until
 *       its completion was applied: draining ends at zero.
 */
#include "base/check.h"
#include "edge/core/state.h"

void core_keep(struct core *core, const char *key, struct slice value)
{
    struct storage_op *op = storage_op_new(STORAGE_META_PUT, TOKEN_OF(TOKEN_META, 0));
    CHECK(strlen(key) < sizeof(op->u.meta_put.key));
    memcpy(op->u.meta_put.key, key, strlen(key) + 1);
    op->u.meta_put.value = arena_copy(&op->arena, value);
    core_store(core, op);
}

static void part_committed(struct core *core, const struct storage_done *done)
{
    struct ingest *in = ingest_find(core, &done->u.part_put.stream);
    if (!in || in->serial != TOKEN_NUMBER(done->token))
        return; /* it was given up meanwhile, and perhaps begun again */
    ingest_committed(core, in, done);
    if (in->use == STREAM_UPLOAD)
        upload_done(core, in, done);
    else
        fetch_committed(core, in, done);
}

static void finished(struct core *core, const struct storage_done *done)
{
    struct ingest *in = ingest_by_serial(core, TOKEN_NUMBER(done->token));
    if (in && in->use == STREAM_UPLOAD)
        upload_done(core, in, done);
    else if (in)
        fetch_committed(core, in, done);
}

void core_stored(struct core *core, struct storage_done *done)
{
    CHECK(core->stores_under_way > 0); /* I1 */
    core->stores_under_way--;
    core->videos = done->videos;
    core->root = done->root;
    if (done->err == ERR_STORAGE_FULL || done->err == ERR_IO)
        core_count(core, COUNT_store_failures);
    switch (done->kind) {
    case STORAGE_CLAIM: claim_done(core, done); break;
    case STORAGE_COPY_BEGIN: fetch_begun(core, done); break;
    case STORAGE_PART_PUT: part_committed(core, done); break;
    case STORAGE_FINISH: finished(core, done); break;
    case STORAGE_ROW_MERGE: catalogue_merged(core, done); break;
    case STORAGE_META_PUT: revocation_kept(core, done); break;
    case STORAGE_COPY_TOUCH: break;
    case STORAGE_DELETE: delete_done(core, done); break;
    case STORAGE_CUSTODY_PUT: custody_put(core, done); break;
    case STORAGE_CACHE_TRIM: custody_trimmed(core, done); break;
    case STORAGE_HORIZON:
    case STORAGE_BOOTSTRAP:
    case STORAGE_ORPHANS: horizon_done(core, done); break;
    case STORAGE_DIGESTS:
    case STORAGE_LEAVES:
    case STORAGE_ROWS_GET: repair_read(core, done); break;
    case STORAGE_VIDEO_GET:
        (TOKEN_PURPOSE(done->token) == TOKEN_CUSTODY ? custody_video : watch_video)(core, done);
        break;
    case STORAGE_PARTS_READ:
        if (TOKEN_PURPOSE(done->token) == TOKEN_THUMBNAIL)
            thumbnail_parts(core, done);
        else
            watch_parts(core, done);
        break;
    case STORAGE_THUMBNAIL_PUT: thumbnail_stored(core, done); break;
    case STORAGE_LIST: catalogue_listed(core, done); break;
    case STORAGE_DB_PAGE:
    case STORAGE_BUNDLE_PAGE: sync_page(core, done); break;
    case STORAGE_CUSTODY_SCAN: custody_scanned(core, done); break;
    case STORAGE_PROBE: custody_probed(core, done); break;
    }
}
