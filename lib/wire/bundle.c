/*
 * Rows between edges: each credential stands once and rows name it by its place.
 *
 *   I1  a bundle is never longer than BUNDLE_BYTES_MAX, nor its message than PACKET_BYTES_MAX.
 *   I2  one row within the limits, with its credential, fits an empty bundle (asserted below).
 *   I3  a row that does not fit leaves nothing behind, its credential neither.
 */
#include "wire/bundle.h"

#include "base/check.h"
#include "wire/bundle_json.h"
#include "wire/peer.h"

enum {
    FRAME_BYTES = 256,   /* the lists' names and brackets, and the fields around them */
    INDEX_TEXT_BYTES = 3 /* of a credential's place */
};
_Static_assert(BUNDLE_CREDENTIALS_MAX <= 1000, "places have three digits");

#define CREDENTIAL_ITEM BLOB_FIELD("", CREDENTIAL_OBJECT_BYTES_MAX)
#define CLAIM_ITEM                                                                                 \
    (sizeof("{},") + BLOB_FIELD("statement", VIDEO_OBJECT_BYTES_MAX) +                             \
     PLAIN_FIELD("credential", INDEX_TEXT_BYTES) +                                                 \
     BLOB_FIELD("manifest", MANIFEST_OBJECT_BYTES_MAX) +                                           \
     TEXT_FIELD("thumbnail", THUMBNAIL_BYTES_MAX))
#define HOLDING_ITEM                                                                               \
    (sizeof("{},") + BLOB_FIELD("presence", HOLDING_OBJECT_BYTES_MAX) +                            \
     PLAIN_FIELD("edge_credential", INDEX_TEXT_BYTES))
_Static_assert(CREDENTIAL_ITEM + CLAIM_ITEM + FRAME_BYTES <= BUNDLE_BYTES_MAX, "I2");
_Static_assert(CREDENTIAL_ITEM + HOLDING_ITEM + FRAME_BYTES <= BUNDLE_BYTES_MAX, "I2");
_Static_assert(DELETION_OBJECT_BYTES_MAX <= VIDEO_OBJECT_BYTES_MAX, "I2: a deletion is shorter");
_Static_assert((int)BUNDLE_BYTES_MAX + (int)PEER_SIG_TEXT_BYTES <= (int)PACKET_BYTES_MAX, "I1");

/* --- writing -------------------------------------------------------------------------- */

/* What was added; kept and put back as a whole (I3). */
struct lists {
    struct json_out credentials, claims, deletions, holdings; /* items alone, joined by commas */
    size_t credentials_n, claims_n, deletions_n, holdings_n;
};

struct bundle_out {
    struct arena *arena;
    struct lists lists;
    struct slice known[BUNDLE_CREDENTIALS_MAX]; /* the credentials, by place; borrowed */
};

struct bundle_out *bundle_start(struct arena *arena)
{
    struct bundle_out *b = arena_alloc(arena, sizeof(*b));
    b->arena = arena;
    b->lists = (struct lists){.credentials = json_bare(arena),
                              .claims = json_bare(arena),
                              .deletions = json_bare(arena),
                              .holdings = json_bare(arena)};
    return b;
}

static bool fits(const struct lists *l)
{
    return l->credentials.len + l->claims.len + l->deletions.len + l->holdings.len + FRAME_BYTES <=
           BUNDLE_BYTES_MAX;
}

/* The place of a credential, which takes one if it has none yet; false: no place is left. */
static bool place_of(struct bundle_out *b, struct slice credential, size_t *ret_place)
{
    struct lists *l = &b->lists;
    size_t i = 0;
    while (i < l->credentials_n && !slice_eq(b->known[i], credential))
        i++;
    if (i == BUNDLE_CREDENTIALS_MAX)
        return false;
    if (i == l->credentials_n) {
        json_put_blob(&l->credentials, NULL, credential);
        b->known[l->credentials_n++] = credential;
    }
    *ret_place = i;
    return true;
}

static void put_statement(struct json_out *out, const struct bundle_claim *claim, size_t place)
{
    json_put_open(out, NULL, '{');
    json_put_blob(out, "statement", claim->object);
    json_put_uint(out, "credential", place);
    json_put_blob(out, "manifest", claim->manifest);
    json_put_some(out, "thumbnail", claim->thumbnail);
    json_put_close(out, '}');
}

static void put_deletion(struct json_out *out, const struct bundle_claim *claim, size_t place)
{
    json_put_open(out, NULL, '{');
    json_put_blob(out, "deletion", claim->object);
    if (claim->credential.len > 0)
        json_put_uint(out, "credential", place);
    json_put_close(out, '}');
}

bool bundle_add_claim(struct bundle_out *b, const struct bundle_claim *claim)
{
    struct lists *l = &b->lists, before = b->lists;
    size_t place = 0;
    bool room = (claim->deleted ? l->deletions_n : l->claims_n) < BUNDLE_ROWS_MAX;
    if (room && claim->credential.len > 0)
        room = place_of(b, claim->credential, &place);
    if (!room)
        return false;
    if (claim->deleted) {
        put_deletion(&l->deletions, claim, place);
        l->deletions_n++;
    } else {
        put_statement(&l->claims, claim, place);
        l->claims_n++;
    }
    if (!fits(l))
        b->lists = before;
    return l->claims_n + l->deletions_n > before.claims_n + before.deletions_n;
}

bool bundle_add_holding(struct bundle_out *b, const struct holding_row *holding)
{
    struct lists *l = &b->lists, before = b->lists;
    size_t place;
    if (l->holdings_n == BUNDLE_ROWS_MAX || !place_of(b, holding->edge_credential, &place))
        return false;
    json_put_open(&l->holdings, NULL, '{');
    json_put_blob(&l->holdings, holding->type == OBJECT_PRESENCE ? "presence" : "custody",
                  holding->object);
    json_put_uint(&l->holdings, "edge_credential", place);
    json_put_close(&l->holdings, '}');
    l->holdings_n++;
    if (!fits(l))
        b->lists = before;
    return l->holdings_n > before.holdings_n;
}

bool bundle_empty(const struct bundle_out *b)
{
    return b->lists.claims_n + b->lists.deletions_n + b->lists.holdings_n == 0;
}

/* An empty bundle has its list of claims all the same: it is how it is known for one. */
static void put_lists(struct json_out *out, const struct lists *l)
{
    if (l->credentials_n)
        json_put_items(out, "credentials", &l->credentials);
    json_put_items(out, "claims", &l->claims);
    if (l->deletions_n)
        json_put_items(out, "deletions", &l->deletions);
    if (l->holdings_n)
        json_put_items(out, "holdings", &l->holdings);
}

/* Who says it and to what stand first: whoever has not asked need not read on. */
struct slice bundle_end_db(struct bundle_out *b, const struct id *edge_id, uint64_t asking,
                           uint32_t page, uint32_t pages)
{
    struct json_out out = json_begin(b->arena, BUNDLE_BYTES_MAX);
    json_put_id(&out, "EDGE_ID", edge_id);
    json_put_uint(&out, "asking", asking);
    put_lists(&out, &b->lists);
    json_put_uint(&out, "page", page);
    json_put_uint(&out, "pages", pages);
    return json_end(&out);
}

struct slice bundle_end_update(struct bundle_out *b, const struct id *edge_id)
{
    struct json_out out = json_begin(b->arena, BUNDLE_BYTES_MAX);
    json_put_str(&out, "status", "lot");
    json_put_id(&out, "EDGE_ID", edge_id);
    put_lists(&out, &b->lists);
    return json_end(&out);
}

struct slice bundle_end_sync(struct bundle_out *b, const struct id *edge_id)
{
    struct json_out out = json_begin(b->arena, BUNDLE_BYTES_MAX);
    json_put_id(&out, "EDGE_ID", edge_id);
    json_put_str(&out, "sync", "rows");
    put_lists(&out, &b->lists);
    return json_end(&out);
}

/* --- reading -------------------------------------------------------------------------- */

struct credentials {
    size_t n;
    const struct slice *list;
};

/* The credential whose place is under key; ERR_FORMAT: there is none. */
static struct slice credential_read(struct json *j, const char *key, const struct credentials *c)
{
    uint32_t place = json_u32(j, key);
    json_require(j, json_has(j, key) && place < c->n);
    return j->err == ERR_OK ? c->list[place] : (struct slice){0};
}

static void statement_read(struct json *j, const struct credentials *c, struct bundle_claim *ret)
{
    *ret = (struct bundle_claim){
        .object = json_blob(j, "statement", VIDEO_OBJECT_BYTES_MAX),
        .credential = credential_read(j, "credential", c),
        .manifest = json_blob(j, "manifest", MANIFEST_OBJECT_BYTES_MAX),
        .thumbnail = json_text(j, "thumbnail", THUMBNAIL_BYTES_MAX),
    };
    json_require(j, ret->object.len > 0 && ret->credential.len > 0);
}

static void deletion_read(struct json *j, const struct credentials *c, struct bundle_claim *ret)
{
    *ret = (struct bundle_claim){
        .deleted = true,
        .object = json_blob(j, "deletion", DELETION_OBJECT_BYTES_MAX),
    };
    if (json_has(j, "credential")) {
        ret->credential = credential_read(j, "credential", c);
        json_require(j, ret->credential.len > 0);
    }
    json_require(j, ret->object.len > 0);
}

static void holding_read(struct json *j, const struct credentials *c, struct holding_row *ret)
{
    bool custody = json_has(j, "custody");
    json_require(j, custody != json_has(j, "presence"));
    *ret = (struct holding_row){
        .type = custody ? OBJECT_CUSTODY : OBJECT_PRESENCE,
        .object = json_blob(j, custody ? "custody" : "presence", HOLDING_OBJECT_BYTES_MAX),
        .edge_credential = credential_read(j, "edge_credential", c),
    };
    json_require(j, ret->object.len > 0 && ret->edge_credential.len > 0);
}

/* Whether the entry that was just read is one; if not it is counted, and the others still count. */
static bool taken(struct json *j, struct bundle *b)
{
    bool ok = j->err == ERR_OK;
    b->skipped += !ok;
    j->err = ERR_OK;
    return ok;
}

bool bundle_here(const struct json *j)
{
    return json_has(j, "claims") || json_has(j, "deletions") || json_has(j, "holdings");
}

void bundle_read(struct json *j, struct bundle *ret)
{
    struct bundle b = {0};
    struct credentials c;
    size_t claims_n, deletions_n, holdings_n;
    const struct cJSON *outside = j->at;
    c.list =
        json_blobs(j, "credentials", BUNDLE_CREDENTIALS_MAX, CREDENTIAL_OBJECT_BYTES_MAX, &c.n);
    const struct cJSON *claim = json_array(j, "claims", BUNDLE_ROWS_MAX, &claims_n);
    const struct cJSON *deletion = json_array(j, "deletions", BUNDLE_ROWS_MAX, &deletions_n);
    const struct cJSON *holding = json_array(j, "holdings", BUNDLE_ROWS_MAX, &holdings_n);
    if (json_has(j, "page")) {
        b.page = json_u32(j, "page");
        b.pages = json_u32(j, "pages");
        b.asking = json_u53(j, "asking");
        json_require(j, b.page > 0);
    }
    if (j->err != ERR_OK)
        return;
    b.claims = arena_alloc(j->arena, (claims_n + deletions_n) * sizeof(*b.claims));
    b.holdings = arena_alloc(j->arena, holdings_n * sizeof(*b.holdings));
    for (; claim; claim = json_next(claim)) {
        j->at = claim;
        statement_read(j, &c, &b.claims[b.claims_n]);
        b.claims_n += taken(j, &b);
    }
    for (; deletion; deletion = json_next(deletion)) {
        j->at = deletion;
        deletion_read(j, &c, &b.claims[b.claims_n]);
        b.claims_n += taken(j, &b);
    }
    for (; holding; holding = json_next(holding)) {
        j->at = holding;
        holding_read(j, &c, &b.holdings[b.holdings_n]);
        b.holdings_n += taken(j, &b);
    }
    j->at = outside;
    *ret = b;
}

bool bundle_peek(struct slice payload)
{
    struct json_peek lists[] = {{.key = "claims"}, {.key = "deletions"}, {.key = "holdings"}};
    return json_peek(payload, lists, 3) == ERR_OK &&
           (lists[0].value.len || lists[1].value.len || lists[2].value.len);
}

/* Cheap where there is none: the text is parsed only if it has such a list. */
enum err bundle_decode(struct slice payload, struct arena *arena, bool *ret_found,
                       struct bundle *ret)
{
    *ret_found = false;
    if (!bundle_peek(payload))
        return ERR_OK;
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct bundle b = {0};
    if (j.err == ERR_OK && !bundle_here(&j))
        return ERR_OK; /* lists that are null */
    bundle_read(&j, &b);
    if (j.err == ERR_OK) {
        *ret_found = true;
        *ret = b;
    }
    return j.err;
}
